//! A complete producer for Apache Kafka.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ottla::{Producer, Record, blocking::wait};
//! # let cluster = ottla_broker::TestCluster::builder().topic("orders", 1).start_blocking()?;
//! # let servers = cluster.bootstrap_servers();
//!
//! // `servers` is "host:port,host:port"; `wait` is for programs without an async runtime.
//! let producer = Producer::builder().bootstrap_servers(servers).build()?;
//! let delivery = wait(producer.send(&Record::to("orders").key("ada").value("placed")))?;
//! println!("at {:?}", wait(delivery)?.offset());
//! # Ok(())
//! # }
//! ```
//!
//! - [`Producer`]: sending, flushing, closing; [`Record`] and [`Delivery`]; [`Error`] with what to do about it.
//! - [`Producer::send_with`] for callbacks, [`Producer::send_all`] for many; [`blocking`] without an async runtime.
//! - [`Producer::begin`] and [`Transaction`]; [`TypedProducer`] for Rust types; [`config`] for every key of Java's producer.
//! - For your tests: `ottla_broker::TestCluster`, a cluster in memory.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `gzip`, `snappy`, `lz4`, `zstd` | yes | the codecs; `zstd` needs a C compiler |
//! | `zstd-rust` | | zstd without a C compiler, at one level |
//! | `tls` | yes | TLS and certificate stores, with ring's cryptography, which needs a C compiler |
//! | `tls-aws-lc-rs` | | the same with aws-lc-rs, which also knows the curve P-521 |
//! | `tls-no-provider` | | the same with the cryptography that the program installs as rustls's default |
//! | `oauth` | yes | tokens from an endpoint (OIDC) |
//! | `futures` | yes | `Producer::send_stream` and `Producer::sink` |
//! | `json`, `avro`, `schema-registry` | yes | serializers, and the registry's client |
//! | `json-schema` | | JSON by a JSON Schema |
//! | `protobuf`, `protobuf-dynamic` | | Protobuf by prost's types; by a schema in text |
//! | `mock-registry` | | a schema registry inside the process, for tests |
//! | `tracing` | | a span for each record, events of connections, and `TraceContext` for headers |
//! | `metrics` | | `Producer::export_metrics`: the metrics in the recorder of the `metrics` crate |
//! | `full` | | the default, `json-schema`, `protobuf-dynamic`, `tracing` and `metrics` |
//!
//! Without default features the producer is complete but for these; `cargo build --no-default-features --features
//! gzip,snappy,lz4,zstd-rust` needs no C compiler.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod blocking;
mod callback;
mod clock;
mod codec_pool;
pub mod config;
mod dead_letters;
mod deliveries;
mod delivery;
mod driver;
mod error;
#[cfg(feature = "metrics")]
mod exporter;
mod interceptor;
mod observe;
mod producer;
mod record;
pub mod sasl;
mod send;
#[cfg(feature = "futures")]
mod stream;
#[cfg(feature = "tls-no-provider")]
mod tls;
#[cfg(feature = "tracing")]
pub mod tracing;
mod transaction;
pub mod transport;
mod typed;

pub use callback::DeliveryHandler;
pub use dead_letters::{DeadLetterCounts, DeadLetters};
pub use deliveries::Deliveries;
pub use delivery::{Delivery, Tally};
pub use error::Error;
pub use interceptor::{Acknowledgement, Interceptor};
pub use ottla_metrics::{Kind as MetricKind, Metric, MetricValue};
#[cfg(any(feature = "oauth", feature = "schema-registry"))]
pub use ottla_network::http;
pub use ottla_partitioning as partitioning;
pub use ottla_protocol::ErrorCode;
pub use ottla_protocol::wire::Uuid;
pub use ottla_sender::{GroupMetadata, GroupOffset, PartitionInfo, Persistence, RecordMetadata};
pub use ottla_serialization as serialization;
pub use producer::{Producer, ProducerBuilder};
pub use record::{Part, Record, TopicRef};
#[cfg(feature = "futures")]
pub use stream::{Outcomes, RecordSink};
pub use transaction::Transaction;
pub use typed::{ConfiguredSerializer, TypedProducer, TypedProducerBuilder, TypedRecord};
#[cfg(feature = "schema-registry")]
pub use typed::{RegistryHttp, SchemaChoice};

use std::sync::Arc;

/// A topic that records are sent to; get it from [`Producer::topic`].
#[derive(Clone, Debug)]
pub struct Topic(Arc<ottla_sender::Topic>);

impl Topic {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// How many partitions it has, as far as is known by now.
    pub fn partition_count(&self) -> Option<usize> {
        self.0.partition_count()
    }
}

/// The manual, whose examples are compiled with the tests.
#[cfg(doctest)]
mod manual {
    #[doc = include_str!("../../../docs/manual/coming-from.md")]
    struct ComingFrom;
    #[doc = include_str!("../../../docs/manual/delivery.md")]
    struct Delivery;
    #[doc = include_str!("../../../docs/manual/errors.md")]
    struct Errors;
    #[doc = include_str!("../../../docs/manual/first-steps.md")]
    struct FirstSteps;
    #[cfg(feature = "schema-registry")]
    #[doc = include_str!("../../../docs/manual/schema-registry.md")]
    struct SchemaRegistry;
    #[doc = include_str!("../../../docs/manual/security.md")]
    struct Security;
    #[doc = include_str!("../../../docs/manual/testing.md")]
    struct Testing;
    #[doc = include_str!("../../../docs/manual/transactions.md")]
    struct Transactions;
    #[doc = include_str!("../../../docs/manual/tuning.md")]
    struct Tuning;
    #[doc = include_str!("../../../README.md")]
    struct Readme;
}
