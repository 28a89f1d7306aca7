//! The configuration: one table of keys, and what reads it.
//!
//! [`DEFINITIONS`] has a row for every key of Apache Kafka's producer: its type, default, allowed values, and what it
//! means here. Reading, checking, the typed [`Config`], the reference in `docs/configuration.md` and the program's
//! `config` command come out of that table. Keys and values are Java's; librdkafka's names are translated with a
//! warning. A key that does nothing yet is refused unless it has its default value, and never ignored in silence.
//!
//! ```
//! use ottla::config::{Acks, ConfigBuilder};
//! use std::time::Duration;
//!
//! let (config, warnings) = ConfigBuilder::new()
//!     .bootstrap_servers("localhost:9092")
//!     .linger(Duration::from_millis(20))
//!     .set("acks", "all")
//!     .build()?;
//! assert_eq!(config.linger(), Duration::from_millis(20));
//! assert_eq!(config.acks(), Acks::All);
//! assert!(warnings.is_empty());
//!
//! let error = ConfigBuilder::new().set("bootstrap.servers", "localhost").build().unwrap_err();
//! assert!(error.to_string().contains("localhost:9092"));
//! # Ok::<(), ottla::config::ConfigError>(())
//! ```

mod alias;
mod builder;
mod choices;
#[cfg(test)]
mod coverage_tests;
mod definition;
mod endpoint;
mod error;
#[cfg(feature = "oauth")]
pub(crate) mod oauth;
#[cfg(all(test, feature = "oauth"))]
mod oauth_tests;
#[cfg(test)]
mod oracle_tests;
mod password;
mod properties;
mod providers;
mod reference;
#[cfg(feature = "schema-registry")]
mod registry;
mod rules;
mod sasl;
#[cfg(test)]
mod sasl_tests;
#[cfg(feature = "schema-registry")]
mod schemas;
mod serializers;
mod settings;
mod strangers;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;
#[cfg(all(test, feature = "tls-no-provider"))]
mod tls_tests;
mod typed;
mod value;

pub use builder::{ConfigBuilder, ConfigReport};
pub use choices::{Acks, PartitionerKind, SecurityProtocol, UnknownName};
pub use definition::{Allowed, Definition, Importance, KeyType, Meaning, Preset};
pub use endpoint::BootstrapServer;
pub use error::{ConfigError, Origin, Warning};
pub use ottla_partitioning::LibrdkafkaScheme;
pub use ottla_protocol::compression::{Codec, CodecError, Compression};
pub use password::Password;
pub use properties::{Properties, PropertiesError, Property};
pub use reference::markdown;
pub(crate) use sasl::Login;
pub use serializers::SerializerKind;
pub(crate) use serializers::{SerializerChoice, class_key};
pub use settings::Setting;
pub use table::{DEFINITIONS, definition};
pub use typed::Config;
pub use value::Value;
