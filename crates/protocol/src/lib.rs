//! The Apache Kafka wire protocol: every message at every version, record batches and their codecs, without I/O.

mod api_key;
pub mod compression;
mod message;
#[path = "generated/mod.rs"]
pub mod messages;
pub mod records;
pub mod wire;

pub use api_key::ApiKey;
pub use message::{Message, Request, VersionRange};
