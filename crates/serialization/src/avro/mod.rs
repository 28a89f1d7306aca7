//! Apache Avro: schemas, values and serde, written by ourselves.
//!
//! [`AvroSchema`] is a parsed schema. Anything that implements `serde::Serialize` is written by it, fields by their names;
//! [`AvroValue`] is the value of whoever has no type for it. [`AvroSerializer`] does so for records, with the ids of a
//! schema registry or without. Logical types are written as the type beneath them.
//!
//! What a serde value may become: integers any number type that holds them; text a string, an enum's symbol, or bytes
//! whose characters are the bytes (as in Avro's JSON); sequences of bytes also bytes and fixed; structs and maps a record
//! or a map. In a union the branch is chosen that fits best, and for an enum's variant the branch of that name; a text in
//! JSON ([`JsonText`](crate::JsonText)) may also name it as Avro's own JSON does. A field that is missing gets its default,
//! or null; one that the schema does not have is an error.

mod compatibility;
mod decode;
mod default;
mod encode;
mod parse;
mod schema;
mod serializer;
#[cfg(test)]
mod tests;
mod value;

pub use schema::AvroSchema;
pub use serializer::AvroSerializer;
pub use value::AvroValue;
