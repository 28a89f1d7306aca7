//! What keys and values become on the wire.
//!
//! A [`Serializer`] works in two steps. [`prepare`](Serializer::prepare) gets what it needs from elsewhere, and is ready
//! at once when that is known; [`serialize`](Serializer::serialize) appends the bytes to a buffer that the caller gives
//! and uses again, and neither waits nor locks. The crate does no I/O, has no runtime and reads no clock: whoever has
//! those drives the [`Preparation`].
//!
//! - [`builtin`]: strings, bytes, numbers, UUIDs, booleans, nulls and lists, with the bytes of Java's serializers.
//! - [`JsonSerializer`] (feature `json`): anything that implements `serde::Serialize`, as JSON.
//! - `json_schema` (feature `json-schema`): the same, held against a JSON Schema.
//! - `avro` (feature `avro`): serde's values and generic ones by an Avro schema.
//! - `protobuf` (features `protobuf` and `protobuf-dynamic`): prost's messages, and values by a schema in text.
//! - [`JsonText`] (feature `json`): a text in JSON, written by any of those.
//! - `registry` (feature `registry`): a schema registry's client, whose ids the last four put in front; `mock` is such a
//!   registry for tests.
//!
//! ```
//! use ottla_serialization::builtin::IntegerSerializer;
//! use ottla_serialization::{AddedHeaders, Output, Payload, Role, Serializer, Target};
//!
//! # fn main() -> Result<(), ottla_serialization::SerializeError> {
//! let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
//! let target = Target::new("orders", Role::Key);
//! let payload = IntegerSerializer.serialize(&target, Some(&7), &mut Output::new(&mut bytes, &mut headers))?;
//! assert_eq!((payload, &bytes[..]), (Payload::Bytes, &[0, 0, 0, 7][..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `json` | yes | [`JsonSerializer`] |
//! | `json-schema` | no | `json_schema`: the same, held against a JSON Schema |
//! | `avro` | no | `avro`: by serde and by generic value, without another library |
//! | `protobuf` | no | `protobuf`: the messages of prost |
//! | `protobuf-dynamic` | no | values by a schema in text |
//! | `registry` | no | `registry`: the client of schema registries, without I/O |
//! | `mock` | no | `mock`: a registry for tests, in the process and over HTTP |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "avro")]
pub mod avro;
pub mod builtin;
#[cfg(test)]
mod builtin_oracle_tests;
mod error;
mod headers;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json-schema")]
pub mod json_schema;
#[cfg(feature = "json")]
mod json_text;
#[cfg(feature = "mock")]
pub mod mock;
#[cfg(test)]
mod oracle;
#[cfg(feature = "protobuf")]
pub mod protobuf;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(test)]
mod roundtrip_tests;
mod serializer;

/// As what a value that came as text in JSON goes through serde: as a struct of this name, which no Rust type has. For Avro
/// it may name the branches of unions.
#[cfg(any(feature = "avro", feature = "json"))]
pub(crate) const JSON_TEXT: &str = "$json text";

pub use error::{ErrorKind, SerializeError};
pub use headers::{AddedHeaders, Headers};
#[cfg(feature = "json")]
pub use json::JsonSerializer;
#[cfg(feature = "json")]
pub use json_text::{JsonText, JsonValue};
pub use serializer::{Output, Payload, Preparation, Readiness, Role, Serializer, Target};
