//! Records in JSON with a schema, with a registry's ids or without.

use super::JsonSchema;
use crate::{Output, Payload, SerializeError, Serializer, Target};
use serde::Serialize;

#[cfg(feature = "registry")]
use super::schema::{Documents, wrong};
#[cfg(feature = "registry")]
use crate::{
    Readiness,
    registry::{Binding, Compile, Registry, Schema, SchemaKind, SerializerSettings},
};
#[cfg(feature = "registry")]
use jsonschema::Uri;

/// Writes anything that implements `serde::Serialize` as compact JSON that its schema allows. A null value is a null
/// payload.
///
/// Confluent's serializer checks values only if `json.fail.invalid.schema` is set; this one does unless it is told not to
/// ([`without_check`](Self::without_check)).
#[derive(Clone, Debug)]
pub struct JsonSchemaSerializer {
    source: Source,
    checks: bool,
}

#[derive(Clone, Debug)]
enum Source {
    Plain(JsonSchema),
    #[cfg(feature = "registry")]
    Registry(Binding<Json>),
}

impl JsonSchemaSerializer {
    /// Writes what this schema allows, and nothing in front.
    pub fn plain(schema: JsonSchema) -> JsonSchemaSerializer {
        JsonSchemaSerializer {
            source: Source::Plain(schema),
            checks: true,
        }
    }

    /// Writes what a schema of the registry allows, with its id: what Confluent's `KafkaJsonSchemaSerializer` does.
    /// `latest.compatibility.strict` has no effect here: each value is held against the schema whose id it gets.
    ///
    /// # Errors
    /// The schema is none, or there is none where the settings need one.
    #[cfg(feature = "registry")]
    pub fn with_registry(
        registry: Registry,
        settings: SerializerSettings,
        schema: Option<Schema>,
    ) -> Result<JsonSchemaSerializer, SerializeError> {
        Ok(JsonSchemaSerializer {
            source: Source::Registry(Binding::new(registry, settings, Json, schema)?),
            checks: true,
        })
    }

    /// Writes whatever it is given (`json.fail.invalid.schema=false`).
    #[must_use]
    pub fn without_check(self) -> JsonSchemaSerializer {
        JsonSchemaSerializer {
            checks: false,
            ..self
        }
    }

    fn append<T: Serialize + ?Sized>(
        &self,
        schema: &JsonSchema,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), SerializeError> {
        if self.checks {
            return schema.write(value, bytes);
        }
        serde_json::to_writer(bytes, value).map_err(|_| crate::json::explain(value))
    }
}

impl<T: Serialize + ?Sized> Serializer<T> for JsonSchemaSerializer {
    #[cfg(feature = "registry")]
    fn prepare(&self, target: &Target<'_>, value: Option<&T>) -> Result<Readiness, SerializeError> {
        Ok(match &self.source {
            Source::Registry(binding) if value.is_some() => binding.prepare(target),
            _ => Readiness::Ready,
        })
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        match &self.source {
            Source::Plain(schema) => self
                .append(schema, value, output.bytes)
                .map_err(|error| error.at(target))?,
            #[cfg(feature = "registry")]
            Source::Registry(binding) => {
                let bound = binding.require(target)?;
                bound.write_id(target, output);
                self.append(bound.compiled(), value, output.bytes)
                    .map_err(|error| error.with_subject(bound.subject()).at(target))?;
            }
        }
        Ok(Payload::Bytes)
    }
}

/// What JSON Schema makes of a registry's schema.
#[cfg(feature = "registry")]
#[derive(Clone, Copy, Debug)]
struct Json;

#[cfg(feature = "registry")]
impl Compile for Json {
    type Compiled = JsonSchema;

    fn compile(&self, schema: &Schema) -> Result<JsonSchema, SerializeError> {
        if schema.kind != SchemaKind::Json {
            return Err(wrong(format_args!(
                "the subject's schema is {}, not JSON",
                schema.kind
            )));
        }
        let mut documents = Documents::new(&schema.text)?;
        let base = documents.root.clone();
        collect(schema, &base, &mut documents)?;
        JsonSchema::compile(documents)
    }

    fn check(&self, _fetched: &JsonSchema, _own: &JsonSchema) -> Result<(), SerializeError> {
        Ok(())
    }

    fn record_name(&self, compiled: &JsonSchema) -> Option<String> {
        compiled.title().map(str::to_owned)
    }
}

/// What the schema refers to, and what that refers to; the registry's client has bounded both.
#[cfg(feature = "registry")]
fn collect(schema: &Schema, base: &Uri<String>, documents: &mut Documents) -> Result<(), SerializeError> {
    for reference in &schema.references {
        if let Some(inner) = &reference.schema {
            let base = documents.add(base, &reference.name, &inner.text)?;
            collect(inner, &base, documents)?;
        }
    }
    Ok(())
}
