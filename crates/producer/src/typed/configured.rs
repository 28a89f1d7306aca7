//! Serializers that a configuration names.

use super::TypedProducer;
use super::plain::{Misfit, Plain};
use crate::config::{Config, SerializerChoice, SerializerKind};
use crate::{Error, Producer};
use ottla_serialization::{Output, Payload, Readiness, Role, SerializeError, Serializer, Target};
use serde::Serialize;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

#[cfg(feature = "schema-registry")]
use super::choice::SchemaChoice;
#[cfg(feature = "schema-registry")]
use ottla_serialization::registry::Registry;

/// The serializer that `key.serializer` or `value.serializer` names. It takes whatever serde can write, and looks at each
/// value whether it is what the class takes: integers of any type that hold the value, text, booleans, bytes (also as a
/// list of numbers), UUIDs as text; for Avro, Protobuf and JSON Schema what the schema says. A value of another type is
/// an error that names the class and the type.
///
/// Confluent's classes need a schema, which Java takes from the object: see [`SchemaChoice`](crate::SchemaChoice).
#[derive(Clone, Debug)]
pub struct ConfiguredSerializer {
    choice: Arc<SerializerChoice>,
    format: Format,
}

#[derive(Clone, Debug)]
enum Format {
    Plain(Plain),
    #[cfg(feature = "json")]
    Json,
    #[cfg(all(feature = "avro", feature = "schema-registry"))]
    Avro(ottla_serialization::avro::AvroSerializer),
    #[cfg(all(feature = "json-schema", feature = "schema-registry"))]
    JsonSchema(ottla_serialization::json_schema::JsonSchemaSerializer),
    #[cfg(all(feature = "protobuf-dynamic", feature = "schema-registry"))]
    Protobuf(ottla_serialization::protobuf::DynamicProtobufSerializer),
}

/// The feature that a class needs and that is not compiled in.
fn missing_feature(kind: SerializerKind) -> Option<&'static str> {
    let needed = [
        (kind == SerializerKind::Json, cfg!(feature = "json"), "json"),
        (
            kind.needs_registry(),
            cfg!(feature = "schema-registry"),
            "schema-registry",
        ),
        (kind == SerializerKind::Avro, cfg!(feature = "avro"), "avro"),
        (
            kind == SerializerKind::Protobuf,
            cfg!(feature = "protobuf-dynamic"),
            "protobuf-dynamic",
        ),
        (
            kind == SerializerKind::JsonSchema,
            cfg!(feature = "json-schema"),
            "json-schema",
        ),
    ];
    let missing = needed
        .into_iter()
        .find(|(is_needed, is_there, _)| *is_needed && !is_there);
    missing.map(|(_, _, feature)| feature)
}

/// What stands in the way of a serializer.
fn unusable(role: Role, reason: impl fmt::Display) -> Error {
    Error::from(crate::config::ConfigError::unusable(
        crate::config::class_key(role),
        &reason,
    ))
}

impl ConfiguredSerializer {
    /// The serializer of keys or of values, by a configuration.
    ///
    /// # Errors
    /// No class is named, or one that has no counterpart here; or no schema where the class needs one.
    pub fn new(config: &Config, role: Role) -> Result<ConfiguredSerializer, Error> {
        #[cfg(feature = "schema-registry")]
        return ConfiguredSerializer::with_schema(config, role, SchemaChoice::default());
        #[cfg(not(feature = "schema-registry"))]
        ConfiguredSerializer::by(config, role)
    }

    /// The same with a schema. What uses the registry makes a client of its own.
    ///
    /// # Errors
    /// As [`new`](ConfiguredSerializer::new); or the schema is none.
    #[cfg(feature = "schema-registry")]
    pub fn with_schema(
        config: &Config,
        role: Role,
        schema: impl Into<SchemaChoice>,
    ) -> Result<ConfiguredSerializer, Error> {
        ConfiguredSerializer::by(config, role, schema.into(), config.schema_registry()?)
    }

    fn by(
        config: &Config,
        role: Role,
        #[cfg(feature = "schema-registry")] schema: SchemaChoice,
        #[cfg(feature = "schema-registry")] registry: Option<Registry>,
    ) -> Result<ConfiguredSerializer, Error> {
        let Some(choice) = config.serializers().of(role) else {
            let reason =
                "names no class that has a counterpart here; see docs/configuration.md for those that have";
            return Err(unusable(role, reason));
        };
        if let Some(feature) = missing_feature(choice.kind) {
            let reason = format!(
                "{} is not compiled in: it takes the feature {feature}",
                choice.kind
            );
            return Err(unusable(role, reason));
        }
        let format = match choice.kind {
            #[cfg(feature = "json")]
            SerializerKind::Json => Format::Json,
            #[cfg(feature = "schema-registry")]
            kind if kind.needs_registry() => {
                // The configuration was checked: there is an address.
                let registry = registry.ok_or_else(|| unusable(role, "needs schema.registry.url"))?;
                by_schema(config, role, choice, schema, registry)?
            }
            kind => Format::Plain(Plain {
                kind,
                encoding: choice.encoding,
                elements: choice.elements,
            }),
        };
        Ok(ConfiguredSerializer {
            choice: Arc::new(choice.clone()),
            format,
        })
    }

    /// Which it is.
    pub fn kind(&self) -> SerializerKind {
        self.choice.kind
    }

    #[cold]
    fn misfit<T: ?Sized>(&self, misfit: Misfit, target: &Target<'_>) -> SerializeError {
        let (place, reason) = match misfit {
            Misfit::Element(index, misfit) => (Some(format!("[{index}]")), *misfit),
            misfit => (None, misfit),
        };
        let error = match reason {
            Misfit::Error(error) => error,
            misfit => {
                let takes = match (&place, self.choice.elements) {
                    (Some(_), Some(kind)) => kind.takes(),
                    _ => self.choice.kind.takes(),
                };
                SerializeError::value(format!(
                    "{} takes {takes}, and {misfit} (a value of the type {})",
                    self.choice.setting,
                    type_name::<T>()
                ))
            }
        };
        let error = match place {
            Some(place) => error.with_field(place),
            None => error,
        };
        error.at(target)
    }
}

/// The format of a class that writes by schemas.
#[cfg(feature = "schema-registry")]
fn by_schema(
    config: &Config,
    role: Role,
    choice: &SerializerChoice,
    schema: SchemaChoice,
    registry: Registry,
) -> Result<Format, Error> {
    let settings = schema.settings(config, role);
    let settings = settings.ok_or_else(|| {
        let reason = format!(
            "{} has no schema: give one, or set use.latest.version=true or use.schema.id",
            choice.kind
        );
        unusable(role, reason)
    })?;
    let failed = |error: SerializeError| unusable(role, format!("{}: {error}", choice.kind));
    match choice.kind {
        #[cfg(feature = "avro")]
        SerializerKind::Avro => {
            use ottla_serialization::avro::AvroSerializer;
            let serializer = AvroSerializer::with_registry(registry, settings, schema.own);
            Ok(Format::Avro(serializer.map_err(failed)?))
        }
        #[cfg(feature = "json-schema")]
        SerializerKind::JsonSchema => {
            use ottla_serialization::json_schema::JsonSchemaSerializer;
            let serializer =
                JsonSchemaSerializer::with_registry(registry, settings, schema.own).map_err(failed)?;
            Ok(Format::JsonSchema(if config.schemas().checks_json {
                serializer
            } else {
                serializer.without_check()
            }))
        }
        #[cfg(feature = "protobuf-dynamic")]
        SerializerKind::Protobuf => {
            use ottla_serialization::protobuf::DynamicProtobufSerializer;
            let message = schema.message.as_deref();
            let serializer =
                DynamicProtobufSerializer::with_registry(registry, settings, schema.own, message);
            Ok(Format::Protobuf(serializer.map_err(failed)?))
        }
        // What is not compiled in was refused before.
        _ => {
            let _ = (registry, settings, failed);
            Err(unusable(role, "writes by no schema"))
        }
    }
}

impl<T: Serialize + ?Sized> Serializer<T> for ConfiguredSerializer {
    fn prepare(&self, target: &Target<'_>, value: Option<&T>) -> Result<Readiness, SerializeError> {
        match &self.format {
            #[cfg(all(feature = "avro", feature = "schema-registry"))]
            Format::Avro(serializer) => serializer.prepare(target, value),
            #[cfg(all(feature = "json-schema", feature = "schema-registry"))]
            Format::JsonSchema(serializer) => serializer.prepare(target, value),
            #[cfg(all(feature = "protobuf-dynamic", feature = "schema-registry"))]
            Format::Protobuf(serializer) => serializer.prepare(target, value),
            _ => {
                let _ = (target, value);
                Ok(Readiness::Ready)
            }
        }
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        match &self.format {
            Format::Plain(plain) => match value {
                None => Ok(Payload::Null),
                Some(value) => plain
                    .write(target, value, output)
                    .map_err(|misfit| self.misfit::<T>(misfit, target)),
            },
            #[cfg(feature = "json")]
            Format::Json => ottla_serialization::JsonSerializer.serialize(target, value, output),
            #[cfg(all(feature = "avro", feature = "schema-registry"))]
            Format::Avro(serializer) => serializer.serialize(target, value, output),
            #[cfg(all(feature = "json-schema", feature = "schema-registry"))]
            Format::JsonSchema(serializer) => serializer.serialize(target, value, output),
            #[cfg(all(feature = "protobuf-dynamic", feature = "schema-registry"))]
            Format::Protobuf(serializer) => serializer.serialize(target, value, output),
        }
    }
}

impl<K: Serialize + ?Sized, V: Serialize + ?Sized> TypedProducer<K, V> {
    /// Sends through `producer` with the serializers that its configuration names, by `key.serializer` and
    /// `value.serializer`.
    ///
    /// ```
    /// # #[cfg(all(feature = "mock-registry", feature = "avro"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ottla::serialization::registry::{Schema, SchemaKind};
    /// use ottla::{Producer, TypedProducer};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Order {
    ///     id: i64,
    /// }
    ///
    /// // These keys may as well stand in a producer.properties.
    /// let producer = Producer::builder()
    ///     .bootstrap_servers("127.0.0.1:9092")
    ///     .set("key.serializer", "org.apache.kafka.common.serialization.StringSerializer")
    ///     .set("value.serializer", "io.confluent.kafka.serializers.KafkaAvroSerializer")
    ///     .set("schema.registry.url", "mock://orders")
    ///     .build()?;
    /// let schema = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}"#;
    /// let orders = TypedProducer::<str, Order>::configured(producer)
    ///     .value_schema(Schema::new(SchemaKind::Avro, schema))
    ///     .build()?;
    /// # let _ = orders;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "mock-registry", feature = "avro")))]
    /// # fn main() {}
    /// ```
    pub fn configured(producer: Producer) -> TypedProducerBuilder<K, V> {
        TypedProducerBuilder {
            producer,
            #[cfg(feature = "schema-registry")]
            key: SchemaChoice::default(),
            #[cfg(feature = "schema-registry")]
            value: SchemaChoice::default(),
            #[cfg(feature = "schema-registry")]
            registry: None,
            types: PhantomData,
        }
    }
}

/// Makes a [`TypedProducer`] by its producer's configuration.
#[must_use = "build() makes the producer"]
pub struct TypedProducerBuilder<K: ?Sized, V: ?Sized> {
    producer: Producer,
    #[cfg(feature = "schema-registry")]
    key: SchemaChoice,
    #[cfg(feature = "schema-registry")]
    value: SchemaChoice,
    #[cfg(feature = "schema-registry")]
    registry: Option<Registry>,
    types: PhantomData<fn(&K, &V)>,
}

impl<K: Serialize + ?Sized, V: Serialize + ?Sized> TypedProducerBuilder<K, V> {
    /// The schema of keys.
    #[cfg(feature = "schema-registry")]
    pub fn key_schema(mut self, schema: impl Into<SchemaChoice>) -> TypedProducerBuilder<K, V> {
        self.key = schema.into();
        self
    }

    /// The schema of values.
    #[cfg(feature = "schema-registry")]
    pub fn value_schema(mut self, schema: impl Into<SchemaChoice>) -> TypedProducerBuilder<K, V> {
        self.value = schema.into();
        self
    }

    /// Asks this registry, and not one that is made by `schema.registry.url`: what it knows is shared with all that it
    /// serves.
    #[cfg(feature = "schema-registry")]
    pub fn registry(mut self, registry: Registry) -> TypedProducerBuilder<K, V> {
        self.registry = Some(registry);
        self
    }

    /// Makes the serializers. Nobody is asked yet.
    ///
    /// # Errors
    /// As [`ConfiguredSerializer::new`].
    pub fn build(self) -> Result<TypedProducer<K, V>, Error> {
        let config = self.producer.config();
        #[cfg(feature = "schema-registry")]
        let (key, value) = {
            let registry = match self.registry {
                Some(registry) => Some(registry),
                None => config.schema_registry()?,
            };
            (
                ConfiguredSerializer::by(config, Role::Key, self.key, registry.clone())?,
                ConfiguredSerializer::by(config, Role::Value, self.value, registry)?,
            )
        };
        #[cfg(not(feature = "schema-registry"))]
        let (key, value) = (
            ConfiguredSerializer::by(config, Role::Key)?,
            ConfiguredSerializer::by(config, Role::Value)?,
        );
        let typed = TypedProducer::new(self.producer, key, value);
        #[cfg(feature = "json")]
        let typed = typed.dead_letters_as(
            ottla_serialization::JsonSerializer,
            ottla_serialization::JsonSerializer,
        );
        Ok(typed)
    }
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for TypedProducerBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedProducerBuilder")
            .field("producer", &self.producer)
            .finish_non_exhaustive()
    }
}
