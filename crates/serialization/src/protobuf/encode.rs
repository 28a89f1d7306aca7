//! From a message to its bytes.
//!
//! Fields go out by their numbers and a map's entries by their keys, with key and value always: as Java's library does
//! where it is asked to be deterministic. Equal messages have equal bytes, which a record's key needs.

use crate::SerializeError;
use prost_reflect::{Cardinality, DynamicMessage, Kind, MapKey, ReflectMessage as _, Value};

/// Messages inside of messages: readers take a hundred.
const DEPTH_MAX: u32 = 100;

const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;
const GROUP_START: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED_32: u32 = 5;

/// Appends the message's bytes.
pub(super) fn message(message: &DynamicMessage, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
    fields(message, 0, bytes)
}

/// What fields and extensions have in common.
struct Shape<'m> {
    number: u32,
    name: String,
    kind: Kind,
    is_map: bool,
    is_packed: bool,
    is_group: bool,
    value: &'m Value,
}

macro_rules! shape {
    ($field:expr, $name:expr, $value:expr) => {
        Shape {
            number: $field.number(),
            name: $name,
            kind: $field.kind(),
            is_map: $field.is_map(),
            is_packed: $field.is_packed(),
            is_group: $field.is_group(),
            value: $value,
        }
    };
}

fn fields(message: &DynamicMessage, depth: u32, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
    if depth >= DEPTH_MAX {
        return Err(SerializeError::value(format!(
            "messages are nested deeper than {DEPTH_MAX}, which no reader takes"
        )));
    }
    for field in message.descriptor().fields() {
        if field.cardinality() == Cardinality::Required && !message.has_field(&field) {
            return Err(SerializeError::value("it is required, and missing").with_field(field.name()));
        }
    }
    let own = message
        .fields()
        .map(|(field, value)| shape!(field, field.name().to_owned(), value));
    let extensions = message
        .extensions()
        .map(|(field, value)| shape!(field, format!("[{}]", field.full_name()), value));
    let mut all: Vec<_> = own.chain(extensions).collect();
    all.sort_unstable_by_key(|shape| shape.number);
    for shape in &all {
        field(shape, depth, bytes).map_err(|error| error.within(&shape.name))?;
    }
    Ok(())
}

fn field(shape: &Shape<'_>, depth: u32, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
    match shape.value {
        Value::List(items) if shape.is_packed => {
            if items.is_empty() {
                return Ok(());
            }
            tag(shape.number, LENGTH, bytes);
            prefixed(bytes, |bytes| {
                items.iter().try_for_each(|item| scalar(&shape.kind, item, bytes))
            })
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                single(shape.number, &shape.kind, shape.is_group, item, depth, bytes)
                    .map_err(|error| error.within(format_args!("[{at}]")))?;
            }
            Ok(())
        }
        Value::Map(entries) if shape.is_map => {
            let Some(entry) = shape.kind.as_message() else {
                return Err(mistyped());
            };
            let (keys, values) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in sorted {
                tag(shape.number, LENGTH, bytes);
                let written = prefixed(bytes, |bytes| {
                    single(1, &keys.kind(), false, &Value::from(key.clone()), depth, bytes)?;
                    single(2, &values.kind(), values.is_group(), value, depth, bytes)
                });
                written.map_err(|error| error.within(shown(key)))?;
            }
            Ok(())
        }
        value => single(shape.number, &shape.kind, shape.is_group, value, depth, bytes),
    }
}

fn shown(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// One value with its tag.
fn single(
    number: u32,
    kind: &Kind,
    is_group: bool,
    value: &Value,
    depth: u32,
    bytes: &mut Vec<u8>,
) -> Result<(), SerializeError> {
    match value {
        Value::Message(message) if is_group => {
            tag(number, GROUP_START, bytes);
            fields(message, depth + 1, bytes)?;
            tag(number, GROUP_END, bytes);
            Ok(())
        }
        Value::Message(message) => {
            tag(number, LENGTH, bytes);
            prefixed(bytes, |bytes| fields(message, depth + 1, bytes))
        }
        _ => {
            let wire = match kind {
                Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => FIXED_64,
                Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => FIXED_32,
                Kind::String | Kind::Bytes | Kind::Message(_) => LENGTH,
                _ => VARINT,
            };
            tag(number, wire, bytes);
            scalar(kind, value, bytes)
        }
    }
}

/// One value without its tag.
fn scalar(kind: &Kind, value: &Value, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
    match (value, kind) {
        (Value::Bool(is), _) => bytes.push(u8::from(*is)),
        (Value::I32(number), Kind::Sint32) => {
            varint(u64::from(((number << 1) ^ (number >> 31)).cast_unsigned()), bytes);
        }
        (Value::I64(number), Kind::Sint64) => varint(((number << 1) ^ (number >> 63)).cast_unsigned(), bytes),
        (Value::I32(number), Kind::Sfixed32) => bytes.extend_from_slice(&number.to_le_bytes()),
        (Value::I64(number), Kind::Sfixed64) => bytes.extend_from_slice(&number.to_le_bytes()),
        (Value::U32(number), Kind::Fixed32) => bytes.extend_from_slice(&number.to_le_bytes()),
        (Value::U64(number), Kind::Fixed64) => bytes.extend_from_slice(&number.to_le_bytes()),
        // Negative numbers take ten bytes, those of 32 bits too.
        (Value::I32(number) | Value::EnumNumber(number), _) => {
            varint(i64::from(*number).cast_unsigned(), bytes);
        }
        (Value::I64(number), _) => varint(number.cast_unsigned(), bytes),
        (Value::U32(number), _) => varint(u64::from(*number), bytes),
        (Value::U64(number), _) => varint(*number, bytes),
        (Value::F32(number), _) => bytes.extend_from_slice(&number.to_le_bytes()),
        (Value::F64(number), _) => bytes.extend_from_slice(&number.to_le_bytes()),
        (Value::String(text), _) => {
            varint(text.len() as u64, bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        (Value::Bytes(blob), _) => {
            varint(blob.len() as u64, bytes);
            bytes.extend_from_slice(blob);
        }
        (Value::Message(_) | Value::List(_) | Value::Map(_), _) => return Err(mistyped()),
    }
    Ok(())
}

/// Values come from the descriptor's own fields, which have checked them.
#[cold]
fn mistyped() -> SerializeError {
    SerializeError::value("the value is not of the field's type")
}

fn tag(number: u32, wire: u32, bytes: &mut Vec<u8>) {
    varint(u64::from((number << 3) | wire), bytes);
}

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What `write` appends, with its length in front.
fn prefixed(
    bytes: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), SerializeError>,
) -> Result<(), SerializeError> {
    let start = bytes.len();
    // Nearly all lengths fit in one byte; the others move what they stand before.
    bytes.push(0);
    write(bytes)?;
    let length = bytes.len() - start - 1;
    if length < 0x80 {
        bytes[start] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        varint(length as u64, &mut prefix);
        bytes.splice(start..=start, prefix);
    }
    Ok(())
}
