//! A message that is put together by hand, for who has no type for it.

use crate::SerializeError;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

/// A value of any Protobuf type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProtobufValue {
    /// `bool`.
    Bool(bool),
    /// `int32`, `sint32` or `sfixed32`.
    I32(i32),
    /// `int64`, `sint64` or `sfixed64`.
    I64(i64),
    /// `uint32` or `fixed32`.
    U32(u32),
    /// `uint64` or `fixed64`.
    U64(u64),
    /// `float`.
    F32(f32),
    /// `double`.
    F64(f64),
    /// `string`, or the name of an enum's value.
    String(String),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// The number of an enum's value, known or not.
    Enum(i32),
    /// Fields by their names in the schema, in any order; those that are not there are not set.
    Message(Vec<(String, ProtobufValue)>),
    /// `repeated`.
    List(Vec<ProtobufValue>),
    /// `map`: keys and values, of which the last of a key counts.
    Map(Vec<(ProtobufValue, ProtobufValue)>),
}

impl ProtobufValue {
    /// For messages.
    fn what(&self) -> &'static str {
        match self {
            ProtobufValue::Bool(_) => "a bool",
            ProtobufValue::I32(_) => "an i32",
            ProtobufValue::I64(_) => "an i64",
            ProtobufValue::U32(_) => "a u32",
            ProtobufValue::U64(_) => "a u64",
            ProtobufValue::F32(_) => "an f32",
            ProtobufValue::F64(_) => "an f64",
            ProtobufValue::String(_) => "a string",
            ProtobufValue::Bytes(_) => "bytes",
            ProtobufValue::Enum(_) => "an enum's number",
            ProtobufValue::Message(_) => "a message",
            ProtobufValue::List(_) => "a list",
            ProtobufValue::Map(_) => "a map",
        }
    }
}

/// Values inside of values: readers take a hundred.
const DEPTH_MAX: u32 = 100;

pub(super) fn message(
    descriptor: &MessageDescriptor,
    value: &ProtobufValue,
) -> Result<DynamicMessage, SerializeError> {
    message_at(descriptor, value, 0)
}

fn message_at(
    descriptor: &MessageDescriptor,
    value: &ProtobufValue,
    depth: u32,
) -> Result<DynamicMessage, SerializeError> {
    if depth > DEPTH_MAX {
        return Err(SerializeError::value(format!(
            "messages are nested deeper than {DEPTH_MAX}"
        )));
    }
    let ProtobufValue::Message(fields) = value else {
        return Err(misfit(value, &Kind::Message(descriptor.clone())));
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in fields {
        let converted = match descriptor.get_field_by_name(name) {
            Some(field) => of_field(&field, value, depth).and_then(|value| {
                let set = message.try_set_field(&field, value);
                set.map_err(|error| SerializeError::value(error.to_string()))
            }),
            None => Err(SerializeError::value(format!(
                "the message {} has no such field",
                descriptor.full_name()
            ))),
        };
        converted.map_err(|error| error.within(name))?;
    }
    Ok(message)
}

fn of_field(field: &FieldDescriptor, value: &ProtobufValue, depth: u32) -> Result<Value, SerializeError> {
    let kind = field.kind();
    match (value, &kind) {
        (ProtobufValue::List(items), _) if field.is_list() => {
            let items = items.iter().enumerate().map(|(at, item)| {
                of_kind(&kind, item, depth).map_err(|error| error.within(format_args!("[{at}]")))
            });
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        (ProtobufValue::Map(entries), Kind::Message(entry)) if field.is_map() => {
            let (keys, values) = (
                entry.map_entry_key_field().kind(),
                entry.map_entry_value_field().kind(),
            );
            let entries = entries.iter().enumerate().map(|(at, (key, value))| {
                let place = |error: SerializeError| error.within(format_args!("[{at}]"));
                let key = of_kind(&keys, key, depth).and_then(map_key).map_err(place)?;
                Ok((key, of_kind(&values, value, depth).map_err(place)?))
            });
            Ok(Value::Map(entries.collect::<Result<_, _>>()?))
        }
        _ if field.is_list() => Err(SerializeError::value(format!("{} is no list", value.what()))),
        _ if field.is_map() => Err(SerializeError::value(format!("{} is no map", value.what()))),
        _ => of_kind(&kind, value, depth),
    }
}

fn of_kind(kind: &Kind, value: &ProtobufValue, depth: u32) -> Result<Value, SerializeError> {
    Ok(match (value, kind) {
        (ProtobufValue::Bool(is), Kind::Bool) => Value::Bool(*is),
        (ProtobufValue::I32(number), Kind::Int32 | Kind::Sint32 | Kind::Sfixed32) => Value::I32(*number),
        (ProtobufValue::I64(number), Kind::Int64 | Kind::Sint64 | Kind::Sfixed64) => Value::I64(*number),
        (ProtobufValue::U32(number), Kind::Uint32 | Kind::Fixed32) => Value::U32(*number),
        (ProtobufValue::U64(number), Kind::Uint64 | Kind::Fixed64) => Value::U64(*number),
        (ProtobufValue::F32(number), Kind::Float) => Value::F32(*number),
        (ProtobufValue::F64(number), Kind::Double) => Value::F64(*number),
        (ProtobufValue::String(text), Kind::String) => Value::String(text.clone()),
        (ProtobufValue::Bytes(bytes), Kind::Bytes) => Value::Bytes(bytes.clone().into()),
        (ProtobufValue::Enum(number), Kind::Enum(_)) => Value::EnumNumber(*number),
        (ProtobufValue::String(name), Kind::Enum(symbols)) => match symbols.get_value_by_name(name) {
            Some(found) => Value::EnumNumber(found.number()),
            None => {
                let message = format!("the enum {} has no value {name:?}", symbols.full_name());
                return Err(SerializeError::value(message));
            }
        },
        (ProtobufValue::Message(_), Kind::Message(descriptor)) => {
            Value::Message(message_at(descriptor, value, depth + 1)?)
        }
        _ => return Err(misfit(value, kind)),
    })
}

fn map_key(key: Value) -> Result<MapKey, SerializeError> {
    key.into_map_key()
        .ok_or_else(|| SerializeError::value("it cannot be the key of a map"))
}

fn misfit(value: &ProtobufValue, kind: &Kind) -> SerializeError {
    SerializeError::value(format!("{} is no {kind:?}", value.what()))
}
