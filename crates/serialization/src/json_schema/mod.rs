//! JSON that is held against a JSON Schema before it is sent.
//!
//! [`JsonSchema`] is a compiled schema (drafts 4, 6, 7, 2019-09 and 2020-12; one that does not say which is of draft 7, as
//! Confluent's serializers have it). [`JsonSchemaSerializer`] writes records as [`JsonSerializer`](crate::JsonSerializer)
//! does, and refuses what the schema does not allow, by name of the field; with the ids of a schema registry or without.
//!
//! What a schema refers to is given with it, or comes with it from the registry. Nothing is fetched from elsewhere: a
//! `$ref` to an address that was not given is an error.
//!
//! A schema says how much work its own check is, and may say "for ever". What is bounded, so that no schema ends the
//! thread's stack or holds it up: the size of the text, how many parts of the schema hold at one place of the value, how
//! deep they refer to each other there, how deep the value may be for that, and the steps of a pattern.

mod bounds;
mod fault;
mod schema;
mod serializer;
#[cfg(test)]
mod tests;

pub use schema::JsonSchema;
pub use serializer::JsonSchemaSerializer;
