//! A complete producer for Apache Kafka.

pub mod blocking;
mod callback;
mod clock;
mod codec_pool;
pub mod config;
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
mod typed;

pub use callback::DeliveryHandler;
pub use delivery::Delivery;
pub use error::Error;
pub use interceptor::{Acknowledgement, Interceptor};
pub use ottla_metrics::{Kind as MetricKind, Metric, MetricValue};
#[cfg(any(feature = "oauth", feature = "schema-registry"))]
pub use ottla_network::http;
pub use ottla_protocol::ErrorCode;
pub use ottla_protocol::wire::Uuid;
pub use ottla_sender::{GroupMetadata, GroupOffset, PartitionInfo, Persistence, RecordMetadata};
pub use ottla_serialization as serialization;
pub use producer::{Producer, ProducerBuilder};
pub use record::{Part, Record, TopicRef};
#[cfg(feature = "futures")]
pub use stream::{Outcomes, RecordSink};
pub use transaction::Transaction;
#[cfg(feature = "schema-registry")]
pub use typed::RegistryHttp;
pub use typed::{TypedProducer, TypedRecord};

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
