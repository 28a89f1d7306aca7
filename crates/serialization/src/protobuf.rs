//! Protocol Buffers by prost, with the ids of a schema registry or without.
//!
//! [`ProtobufSerializer`] takes the types that prost generates. With the feature `protobuf-dynamic`,
//! `DynamicProtobufSerializer` writes messages whose schema comes as text, from values of serde or from `ProtobufValue`.
//!
//! The schema is the text of a `.proto` file, or a serialized `FileDescriptorProto` in base64, as registries take both.
//! Which of its messages is meant is told by its full name; readers find it by the path that stands behind the id.

#[cfg(feature = "protobuf-dynamic")]
mod dynamic;
#[cfg(all(test, feature = "protobuf-dynamic"))]
mod dynamic_tests;
#[cfg(feature = "protobuf-dynamic")]
mod encode;
#[cfg(feature = "protobuf-dynamic")]
mod files;
#[cfg(feature = "protobuf-dynamic")]
mod input;
#[cfg(feature = "protobuf-dynamic")]
mod schema;
#[cfg(feature = "protobuf-dynamic")]
mod value;

#[cfg(feature = "protobuf-dynamic")]
pub use {dynamic::DynamicProtobufSerializer, schema::ProtobufSchema, value::ProtobufValue};

use crate::{Output, Payload, SerializeError, Serializer, Target};

#[cfg(feature = "registry")]
use crate::{
    ErrorKind, Readiness,
    registry::{Binding, Compile, Registry, Schema, SchemaKind, SerializerSettings},
};

/// A message that can write itself. All of prost's messages are such.
pub trait ProtobufMessage {
    /// Appends the message's bytes.
    ///
    /// # Errors
    /// The buffer cannot hold it.
    fn append_to(&self, bytes: &mut Vec<u8>) -> Result<(), SerializeError>;
}

impl<M: prost::Message> ProtobufMessage for M {
    #[inline]
    fn append_to(&self, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
        self.encode(bytes)
            .map_err(|error| SerializeError::value(error.to_string()))
    }
}

/// Writes Protobuf messages. A null value is a null payload.
#[derive(Clone, Debug)]
pub struct ProtobufSerializer(Source);

#[derive(Clone, Debug)]
enum Source {
    Plain,
    #[cfg(feature = "registry")]
    Registry(Binding<Protobuf>),
}

impl ProtobufSerializer {
    /// Writes the message and nothing in front: readers have to know which it is.
    pub fn plain() -> ProtobufSerializer {
        ProtobufSerializer(Source::Plain)
    }

    /// Writes messages with the id of their schema in the registry: what Confluent's `KafkaProtobufSerializer` does.
    /// `message` is the full name of the message type, as `shop.Order.Line`.
    ///
    /// # Errors
    /// The schema is none or lacks the message, or there is none where the settings need one.
    #[cfg(feature = "registry")]
    pub fn with_registry(
        registry: Registry,
        settings: SerializerSettings,
        schema: Option<Schema>,
        message: &str,
    ) -> Result<ProtobufSerializer, SerializeError> {
        let compile = Protobuf {
            message: message.to_owned(),
        };
        Ok(ProtobufSerializer(Source::Registry(Binding::new(
            registry, settings, compile, schema,
        )?)))
    }
}

impl<T: ProtobufMessage + ?Sized> Serializer<T> for ProtobufSerializer {
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
            Source::Plain => value.append_to(output.bytes).map_err(|error| error.at(target))?,
            #[cfg(feature = "registry")]
            Source::Registry(binding) => {
                let bound = binding.require(target)?;
                bound.write_id(target, output);
                value
                    .append_to(output.bytes)
                    .map_err(|error| error.with_subject(bound.subject()).at(target))?;
            }
        }
        Ok(Payload::Bytes)
    }
}

/// What a registry's schema has to have: the message.
#[cfg(feature = "registry")]
#[derive(Clone, Debug)]
struct Protobuf {
    message: String,
}

/// A schema has a few KiB; what is larger is a mistake.
#[cfg(feature = "registry")]
const TEXT_BYTES_MAX: usize = 1 << 20;

#[cfg(feature = "registry")]
impl Compile for Protobuf {
    /// The path to the message.
    type Compiled = Vec<u32>;

    fn compile(&self, schema: &Schema) -> Result<Vec<u32>, SerializeError> {
        let wrong = |message: String| SerializeError::new(ErrorKind::Schema, message);
        if schema.kind != SchemaKind::Protobuf {
            return Err(wrong(format!(
                "the subject's schema is {}, not PROTOBUF",
                schema.kind
            )));
        }
        if schema.text.len() > TEXT_BYTES_MAX {
            return Err(wrong(format!(
                "Protobuf schema: larger than {TEXT_BYTES_MAX} bytes"
            )));
        }
        let file = file(&schema.text).map_err(|why| wrong(format!("Protobuf schema: {why}")))?;
        path(&file, &self.message).ok_or_else(|| {
            wrong(format!(
                "Protobuf schema: it has no message {:?}; names are full, with the package",
                self.message
            ))
        })
    }

    /// The registry's own checks hold the versions together; here the message has been found, which is all that the
    /// bytes depend on.
    fn check(&self, _fetched: &Vec<u32>, _own: &Vec<u32>) -> Result<(), SerializeError> {
        Ok(())
    }

    fn record_name(&self, _compiled: &Vec<u32>) -> Option<String> {
        Some(self.message.clone())
    }

    fn message_indexes(&self, compiled: &Vec<u32>) -> Option<Vec<u32>> {
        Some(compiled.clone())
    }
}

/// Brackets inside of brackets: messages, and the values of options. Parsers go down them on the thread's stack.
#[cfg(any(feature = "registry", feature = "protobuf-dynamic"))]
const NESTING_MAX: usize = 100;

/// Whether the text can be parsed without harm.
#[cfg(any(feature = "registry", feature = "protobuf-dynamic"))]
fn is_nested_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' | b'<' | b'(' => depth += 1,
            b'}' | b']' | b'>' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > NESTING_MAX
    })
}

/// What a text says, or a descriptor in base64.
#[cfg(feature = "registry")]
pub(crate) fn file(text: &str) -> Result<prost_types::FileDescriptorProto, String> {
    use base64::Engine as _;
    use prost::Message as _;
    if is_nested_too_deep(text) {
        return Err(format!("nested deeper than {NESTING_MAX}"));
    }
    match protox_parse::parse("schema.proto", text) {
        Ok(file) => Ok(file),
        Err(error) => base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| prost_types::FileDescriptorProto::decode(&bytes[..]).ok())
            .ok_or_else(|| error.to_string()),
    }
}

/// The index of the message in the file, and those inside of messages, to the one of that full name.
#[cfg(feature = "registry")]
fn path(file: &prost_types::FileDescriptorProto, message: &str) -> Option<Vec<u32>> {
    let package = file.package.as_deref().unwrap_or_default();
    let inside = match message.strip_prefix(package) {
        Some(rest) if !package.is_empty() => rest.strip_prefix('.')?,
        Some(rest) => rest,
        None => return None,
    };
    let mut messages = &file.message_type;
    let mut indexes = Vec::new();
    for name in inside.split('.') {
        let index = messages
            .iter()
            .position(|known| known.name.as_deref() == Some(name))?;
        indexes.push(u32::try_from(index).ok()?);
        messages = &messages[index].nested_type;
    }
    Some(indexes)
}

#[cfg(all(test, feature = "mock"))]
mod tests {
    use super::*;
    use crate::mock::MockRegistry;
    use crate::registry::{RegistryConfig, SchemaSource, WireForm};
    use crate::{AddedHeaders, Role};
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    const TEXT: &str = "syntax = \"proto3\"; package shop; message Other {} message Order { message Line { int32 count \
                        = 1; string item = 2; } Line line = 1; }";

    /// One of prost's own messages that has the bytes of a `shop.Order.Line`: a number in field 1.
    fn line() -> impl ProtobufMessage {
        prost_types::Duration { seconds: 3, nanos: 0 }
    }

    fn written(schema: &str, message: &str, source: SchemaSource) -> Result<Vec<u8>, SerializeError> {
        let mock = MockRegistry::new();
        let config = RegistryConfig::new("mock://protobuf").expect("an address");
        let registry = Registry::new(config, Arc::new(mock));
        let schema = Schema::new(SchemaKind::Protobuf, schema);
        let mut register = pin!(registry.register("t-value", &schema, false));
        // The mock answers at once.
        let answer = register.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(answer.is_ready());
        let settings = SerializerSettings {
            source,
            ..SerializerSettings::default()
        };
        let serializer =
            ProtobufSerializer::with_registry(registry.clone(), settings, Some(schema.clone()), message)?;
        let target = Target::new("t", Role::Value);
        let readiness = serializer.prepare(&target, Some(&line()))?;
        match pin!(readiness.ready()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome?,
            Poll::Pending => panic!("the mock answers at once"),
        }
        let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
        let payload =
            serializer.serialize(&target, Some(&line()), &mut Output::new(&mut bytes, &mut headers))?;
        assert_eq!(payload, Payload::Bytes);
        Ok(bytes)
    }

    #[test]
    fn the_path_to_the_message_stands_behind_the_id() {
        for (message, indexes) in [
            ("shop.Other", &[0][..]),
            ("shop.Order", &[1]),
            ("shop.Order.Line", &[1, 0]),
        ] {
            for source in [SchemaSource::Register, SchemaSource::LookUp, SchemaSource::Latest] {
                let bytes = written(TEXT, message, source).expect("written");
                let read = WireForm::read(&bytes, None, true).expect("well formed");
                assert_eq!(
                    (&read.message_indexes[..], read.payload),
                    (indexes, &[8, 3][..]),
                    "{message}"
                );
            }
        }
    }

    #[test]
    fn a_descriptor_in_base64_is_a_schema_too() {
        use base64::Engine as _;
        use prost::Message as _;
        let descriptor = file(TEXT).expect("a file").encode_to_vec();
        let text = base64::engine::general_purpose::STANDARD.encode(descriptor);
        let bytes = written(&text, "shop.Order", SchemaSource::Register).expect("written");
        assert_eq!(bytes, [0, 0, 0, 0, 1, 2, 2, 8, 3]);
    }

    #[test]
    fn what_has_not_the_message_is_refused() {
        for (text, message) in [
            (TEXT, "Order"),
            (TEXT, "shop.Order.Nothing"),
            (TEXT, "shop"),
            ("nonsense", "shop.Order"),
            ("message {", "x"),
            (
                &format!("message M {{ option (o) = {} }}", "{a: ".repeat(100_000)),
                "M",
            ),
        ] {
            let error = written(text, message, SchemaSource::Register).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
        }
    }
}
