//! A message type that is known only when the program runs.

use super::files::{self, ROOT};
use super::value::{self, ProtobufValue};
use super::{encode, input};
use crate::{ErrorKind, SerializeError};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::Serialize;
use std::fmt;

/// A compiled `.proto` text, and one of its messages. Cheap to clone.
#[derive(Clone)]
pub struct ProtobufSchema {
    message: MessageDescriptor,
}

impl ProtobufSchema {
    /// Compiles the text of a `.proto` file, or a `FileDescriptorProto` in base64, without `protoc`. `message` is the full
    /// name of the message type, as `shop.Order.Line`; without it the first of the file is meant.
    ///
    /// # Errors
    /// It cannot be compiled, or has no such message.
    pub fn parse(text: &str, message: Option<&str>) -> Result<ProtobufSchema, SerializeError> {
        ProtobufSchema::parse_with(text, &[], message)
    }

    /// Compiles a text that imports others: their names, as they stand in `import`, and their texts. Those of
    /// `google/protobuf` need not be given.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(
        text: &str,
        others: &[(&str, &str)],
        message: Option<&str>,
    ) -> Result<ProtobufSchema, SerializeError> {
        let pool = files::compile(text, others)?;
        let file = pool.get_file_by_name(ROOT);
        let messages = || file.iter().flat_map(prost_reflect::FileDescriptor::messages);
        let found = match message {
            None => messages().next(),
            Some(name) => pool
                .get_message_by_name(name)
                .filter(|message| message.parent_file().name() == ROOT && !message.is_map_entry()),
        };
        match (found, message) {
            (Some(message), _) => Ok(ProtobufSchema { message }),
            (None, None) => Err(files::wrong("it has no message")),
            (None, Some(name)) => Err(files::wrong(format_args!(
                "it has no message {name:?}; names are full, with the package"
            ))),
        }
    }

    /// The message's full name.
    pub fn name(&self) -> &str {
        self.message.full_name()
    }

    /// The path to the message: its index in the file, and those inside of messages.
    pub fn message_indexes(&self) -> Vec<u32> {
        // A descriptor's path has the number of the field in front of each index.
        let path = self.message.path().iter().skip(1).step_by(2);
        path.map(|index| u32::try_from(*index).unwrap_or_default())
            .collect()
    }

    /// Appends the bytes of a value that has the fields of the message, by [Protobuf's mapping of
    /// JSON](https://protobuf.dev/programming-guides/json/): names as in the schema or in lower camel case, bytes in base64
    /// or as serde's bytes, a `Timestamp` as text. A map's entries are written in the order of their keys, so that the
    /// same value has the same bytes.
    ///
    /// # Errors
    /// The value does not fit; the error names the field. What was appended is to be thrown away.
    pub fn write<T: Serialize + ?Sized>(&self, value: &T, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
        let message = input::read(self.message.clone(), value)?;
        encode::message(&message, bytes)
    }

    /// Appends the bytes of a message that was put together by hand.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_value(&self, value: &ProtobufValue, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
        let message = value::message(&self.message, value)?;
        encode::message(&message, bytes)
    }

    /// What the bytes of a message say, as JSON.
    ///
    /// # Errors
    /// They are no such message.
    pub fn read(&self, bytes: &[u8]) -> Result<String, SerializeError> {
        let wrong = |why: &dyn fmt::Display| SerializeError::new(ErrorKind::Value, why.to_string());
        let message = DynamicMessage::decode(self.message.clone(), bytes).map_err(|error| wrong(&error))?;
        serde_json::to_string(&message).map_err(|error| wrong(&error))
    }

    /// All files, for those who compare us with other libraries.
    #[cfg(test)]
    pub(super) fn descriptor_set(&self) -> Vec<u8> {
        self.message.parent_pool().encode_to_vec()
    }
}

impl fmt::Debug for ProtobufSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtobufSchema")
            .field("message", &self.name())
            .finish_non_exhaustive()
    }
}
