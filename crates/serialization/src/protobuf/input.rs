//! From serde to a message, by Protobuf's mapping of JSON.

use crate::SerializeError;
use base64::Engine as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::Serialize;
use serde_value::Value;
use std::collections::BTreeMap;

/// Values inside of values: readers take a hundred, and each takes room on the stack.
const DEPTH_MAX: u32 = 100;

pub(super) fn read<T: Serialize + ?Sized>(
    descriptor: MessageDescriptor,
    value: &T,
) -> Result<DynamicMessage, SerializeError> {
    let value = serde_value::to_value(value).map_err(|_| crate::json::explain(value))?;
    let value = plain(value, 0)?;
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_value::ValueDeserializer::<serde_value::DeserializerError>::new(value);
    let deserializer = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    match DynamicMessage::deserialize(descriptor, deserializer) {
        Ok(message) => Ok(message),
        Err(error) => Err(fault(&error.to_string(), shown(&track.path()))),
    }
}

/// The path ends at the message that has no such field; which one it is stands in the text.
#[cold]
fn fault(message: &str, path: String) -> SerializeError {
    let error = SerializeError::value(message).with_field(path);
    let unknown = message.strip_prefix("unrecognized field name '");
    match unknown.and_then(|rest| rest.split_once('\'')) {
        Some((name, _)) if error.field() == Some("") => error.with_field(name),
        Some((name, _)) => {
            let path = format!("{}.{name}", error.field().unwrap_or_default());
            error.with_field(path)
        }
        None => error,
    }
}

fn shown(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    if path == "." { String::new() } else { path }
}

/// The value as JSON has it: without the names of types, with text for keys and bytes.
fn plain(value: Value, depth: u32) -> Result<Value, SerializeError> {
    if depth > DEPTH_MAX {
        return Err(SerializeError::value(format!(
            "values are nested deeper than {DEPTH_MAX}"
        )));
    }
    Ok(match value {
        Value::Option(None) => Value::Unit,
        // Not deeper: these are not in the message.
        Value::Option(Some(inner)) | Value::Newtype(inner) => plain(*inner, depth)?,
        Value::Bytes(bytes) => Value::String(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Value::Seq(items) => {
            let plain = items.into_iter().enumerate().map(|(at, item)| {
                plain(item, depth + 1).map_err(|error| error.within(format_args!("[{at}]")))
            });
            Value::Seq(plain.collect::<Result<_, _>>()?)
        }
        Value::Map(entries) => {
            let mut fields = BTreeMap::new();
            for (key, value) in entries {
                let key = key_text(key)?;
                let value = plain(value, depth + 1).map_err(|error| error.within(&key))?;
                fields.insert(Value::String(key), value);
            }
            Value::Map(fields)
        }
        other => other,
    })
}

fn key_text(key: Value) -> Result<String, SerializeError> {
    Ok(match key {
        Value::String(text) => text,
        Value::Char(char) => char.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::I8(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U8(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::Newtype(inner) | Value::Option(Some(inner)) => return key_text(*inner),
        _ => {
            return Err(SerializeError::value(
                "the key of a map has to be text, a whole number or a boolean",
            ));
        }
    })
}
