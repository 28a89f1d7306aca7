//! A value without a type of its own.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// A value of any Avro schema, for who has no Rust type for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AvroValue {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// 32 bits.
    Int(i32),
    /// 64 bits.
    Long(i64),
    /// 32 bits.
    Float(f32),
    /// 64 bits.
    Double(f64),
    /// Bytes, of any number.
    Bytes(Vec<u8>),
    /// Text.
    String(String),
    /// Bytes, of the number that the schema says.
    Fixed(Vec<u8>),
    /// One of the symbols.
    Enum(String),
    /// Values of one type.
    Array(Vec<AvroValue>),
    /// Values of one type by name, in their order.
    Map(Vec<(String, AvroValue)>),
    /// The branch, from 0, and its value.
    Union(u32, Box<AvroValue>),
    /// Fields and their values, in any order.
    Record(Vec<(String, AvroValue)>),
}

/// How an explicit branch of a union goes through serde: as a variant of an enum of this name, which no Rust enum has.
pub(super) const UNION: &str = "$avro union";

impl Serialize for AvroValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AvroValue::Null => serializer.serialize_unit(),
            AvroValue::Boolean(is) => serializer.serialize_bool(*is),
            AvroValue::Int(number) => serializer.serialize_i32(*number),
            AvroValue::Long(number) => serializer.serialize_i64(*number),
            AvroValue::Float(number) => serializer.serialize_f32(*number),
            AvroValue::Double(number) => serializer.serialize_f64(*number),
            AvroValue::Bytes(bytes) | AvroValue::Fixed(bytes) => serializer.serialize_bytes(bytes),
            AvroValue::String(text) | AvroValue::Enum(text) => serializer.serialize_str(text),
            AvroValue::Array(items) => {
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    array.serialize_element(item)?;
                }
                array.end()
            }
            AvroValue::Map(entries) | AvroValue::Record(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (name, value) in entries {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            AvroValue::Union(branch, value) => {
                serializer.serialize_newtype_variant(UNION, *branch, "branch", &**value)
            }
        }
    }
}
