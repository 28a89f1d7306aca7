//! Records in Avro, with a registry's ids or without.

use super::AvroSchema;
use crate::{Output, Payload, SerializeError, Serializer, Target};
use serde::Serialize;

#[cfg(feature = "registry")]
use crate::{
    ErrorKind, Readiness,
    registry::{Binding, Compile, Registry, Schema, SchemaKind, SerializerSettings},
};

/// Writes anything that implements `serde::Serialize`, an [`AvroValue`](super::AvroValue) too, by an Avro schema. A null
/// value is a null payload.
#[derive(Clone, Debug)]
pub struct AvroSerializer(Source);

#[derive(Clone, Debug)]
enum Source {
    Plain(AvroSchema),
    #[cfg(feature = "registry")]
    Registry(Binding<Avro>),
}

impl AvroSerializer {
    /// Writes by that schema, and nothing in front: readers have to know it.
    pub fn plain(schema: AvroSchema) -> AvroSerializer {
        AvroSerializer(Source::Plain(schema))
    }

    /// Writes by a schema of the registry, with its id: what Confluent's `KafkaAvroSerializer` does.
    ///
    /// # Errors
    /// The schema is none, or there is none where the settings need one.
    #[cfg(feature = "registry")]
    pub fn with_registry(
        registry: Registry,
        settings: SerializerSettings,
        schema: Option<Schema>,
    ) -> Result<AvroSerializer, SerializeError> {
        Ok(AvroSerializer(Source::Registry(Binding::new(
            registry, settings, Avro, schema,
        )?)))
    }
}

impl<T: Serialize + ?Sized> Serializer<T> for AvroSerializer {
    #[cfg(feature = "registry")]
    fn prepare(&self, target: &Target<'_>, value: Option<&T>) -> Result<Readiness, SerializeError> {
        Ok(match &self.0 {
            Source::Registry(binding) if value.is_some() => binding.prepare(target),
            _ => Readiness::Ready,
        })
    }

    #[inline]
    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        match &self.0 {
            Source::Plain(schema) => schema
                .write(value, output.bytes)
                .map_err(|error| error.at(target))?,
            #[cfg(feature = "registry")]
            Source::Registry(binding) => {
                let bound = binding.require(target)?;
                bound.write_id(target, output);
                bound
                    .compiled()
                    .write(value, output.bytes)
                    .map_err(|error| error.with_subject(bound.subject()).at(target))?;
            }
        }
        Ok(Payload::Bytes)
    }
}

/// What Avro makes of a registry's schema.
#[cfg(feature = "registry")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avro;

#[cfg(feature = "registry")]
impl Compile for Avro {
    type Compiled = AvroSchema;

    fn compile(&self, schema: &Schema) -> Result<AvroSchema, SerializeError> {
        if schema.kind != SchemaKind::Avro {
            let message = format!("the subject's schema is {}, not AVRO", schema.kind);
            return Err(SerializeError::new(ErrorKind::Schema, message));
        }
        let mut others = Vec::new();
        collect(schema, &mut others);
        AvroSchema::parse_with(&schema.text, &others)
    }

    fn check(&self, fetched: &AvroSchema, own: &AvroSchema) -> Result<(), SerializeError> {
        let differences = fetched.incompatibilities(own);
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the latest version cannot stand for the serializer's own schema (latest.compatibility.strict): {}",
            differences.join("; ")
        );
        Err(SerializeError::new(ErrorKind::Incompatible, message))
    }

    fn record_name(&self, compiled: &AvroSchema) -> Option<String> {
        compiled.name().map(str::to_owned)
    }
}

/// What the schema refers to, each before what needs it, and once.
#[cfg(feature = "registry")]
fn collect<'a>(schema: &'a Schema, others: &mut Vec<&'a str>) {
    for inner in schema
        .references
        .iter()
        .filter_map(|reference| reference.schema.as_ref())
    {
        collect(inner, others);
        if !others.contains(&inner.text.as_str()) {
            others.push(&inner.text);
        }
    }
}
