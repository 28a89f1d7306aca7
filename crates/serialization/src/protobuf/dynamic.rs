//! Records of messages whose type is known only when the program runs.

use super::{ProtobufSchema, ProtobufValue};
use crate::{Output, Payload, Readiness, SerializeError, Serializer, Target};
use serde::Serialize;

#[cfg(feature = "registry")]
use super::files;
#[cfg(feature = "registry")]
use crate::registry::{Binding, Compile, Registry, Schema, SchemaKind, SerializerSettings};

/// Writes messages by a [`ProtobufSchema`]: from anything that implements `serde::Serialize`, by Protobuf's mapping of
/// JSON ([`ProtobufSchema::write`]), or from [`ProtobufValue`]. A null value is a null payload.
#[derive(Clone, Debug)]
pub struct DynamicProtobufSerializer(Source);

#[derive(Clone, Debug)]
enum Source {
    Plain(ProtobufSchema),
    #[cfg(feature = "registry")]
    Registry(Binding<Dynamic>),
}

impl DynamicProtobufSerializer {
    /// Writes the message and nothing in front.
    pub fn plain(schema: ProtobufSchema) -> DynamicProtobufSerializer {
        DynamicProtobufSerializer(Source::Plain(schema))
    }

    /// Writes by a schema of the registry, with its id and the path to the message. `message` is the full name of the
    /// message type; without it the first of the schema is meant.
    ///
    /// # Errors
    /// The schema is none or lacks the message, or there is none where the settings need one.
    #[cfg(feature = "registry")]
    pub fn with_registry(
        registry: Registry,
        settings: SerializerSettings,
        schema: Option<Schema>,
        message: Option<&str>,
    ) -> Result<DynamicProtobufSerializer, SerializeError> {
        let compile = Dynamic {
            message: message.map(str::to_owned),
        };
        Ok(DynamicProtobufSerializer(Source::Registry(Binding::new(
            registry, settings, compile, schema,
        )?)))
    }

    fn readiness(&self, target: &Target<'_>, is_null: bool) -> Readiness {
        match &self.0 {
            #[cfg(feature = "registry")]
            Source::Registry(binding) if !is_null => binding.prepare(target),
            _ => {
                let _ = (target, is_null);
                Readiness::Ready
            }
        }
    }

    fn append(
        &self,
        target: &Target<'_>,
        output: &mut Output<'_>,
        write: impl FnOnce(&ProtobufSchema, &mut Vec<u8>) -> Result<(), SerializeError>,
    ) -> Result<Payload, SerializeError> {
        match &self.0 {
            Source::Plain(schema) => write(schema, output.bytes).map_err(|error| error.at(target))?,
            #[cfg(feature = "registry")]
            Source::Registry(binding) => {
                let bound = binding.require(target)?;
                bound.write_id(target, output);
                write(bound.compiled(), output.bytes)
                    .map_err(|error| error.with_subject(bound.subject()).at(target))?;
            }
        }
        Ok(Payload::Bytes)
    }
}

impl<T: Serialize + ?Sized> Serializer<T> for DynamicProtobufSerializer {
    fn prepare(&self, target: &Target<'_>, value: Option<&T>) -> Result<Readiness, SerializeError> {
        Ok(self.readiness(target, value.is_none()))
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        match value {
            Some(value) => self.append(target, output, |schema, bytes| schema.write(value, bytes)),
            None => Ok(Payload::Null),
        }
    }
}

impl Serializer<ProtobufValue> for DynamicProtobufSerializer {
    fn prepare(
        &self,
        target: &Target<'_>,
        value: Option<&ProtobufValue>,
    ) -> Result<Readiness, SerializeError> {
        Ok(self.readiness(target, value.is_none()))
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&ProtobufValue>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        match value {
            Some(value) => self.append(target, output, |schema, bytes| schema.write_value(value, bytes)),
            None => Ok(Payload::Null),
        }
    }
}

/// What is made of a registry's schema.
#[cfg(feature = "registry")]
#[derive(Clone, Debug)]
struct Dynamic {
    message: Option<String>,
}

#[cfg(feature = "registry")]
impl Compile for Dynamic {
    type Compiled = ProtobufSchema;

    fn compile(&self, schema: &Schema) -> Result<ProtobufSchema, SerializeError> {
        if schema.kind != SchemaKind::Protobuf {
            return Err(files::wrong(format_args!(
                "the subject's schema is {}, not PROTOBUF",
                schema.kind
            )));
        }
        let mut others = Vec::new();
        collect(schema, &mut others);
        ProtobufSchema::parse_with(&schema.text, &others, self.message.as_deref())
    }

    /// The registry's own checks hold the versions together; each value is held against the schema whose id it gets.
    fn check(&self, _fetched: &ProtobufSchema, _own: &ProtobufSchema) -> Result<(), SerializeError> {
        Ok(())
    }

    fn record_name(&self, compiled: &ProtobufSchema) -> Option<String> {
        Some(compiled.name().to_owned())
    }

    fn message_indexes(&self, compiled: &ProtobufSchema) -> Option<Vec<u32>> {
        Some(compiled.message_indexes())
    }
}

/// Names and texts of all that the schema refers to.
#[cfg(feature = "registry")]
fn collect<'a>(schema: &'a Schema, others: &mut Vec<(&'a str, &'a str)>) {
    for reference in &schema.references {
        if let Some(inner) = &reference.schema {
            let other = (&*reference.name, &*inner.text);
            if !others.contains(&other) {
                others.push(other);
                collect(inner, others);
            }
        }
    }
}
