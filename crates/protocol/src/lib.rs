//! The Apache Kafka wire protocol: every message at every version, record batches and their codecs, without I/O.

mod api_key;
mod api_versions;
pub mod compression;
mod error_code;
pub mod frame;
mod message;
#[path = "generated/mod.rs"]
pub mod messages;
pub mod records;
pub mod wire;

pub use api_key::ApiKey;
pub use api_versions::{ApiVersions, NegotiationError};
pub use error_code::{ErrorClass, ErrorCode};
pub use message::{Message, Request, VersionRange};
