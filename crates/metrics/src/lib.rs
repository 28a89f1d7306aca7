//! The metrics of a Kafka producer: names, groups and tags as the Java producer has them, so that dashboards go on to
//! work, from sums over windows that cost some nanoseconds for each batch or request.
//!
//! # What it does
//! - [`Metrics`] is told what happens ([`Metrics::at`]), by whoever knows: the sender of batches, the network of bytes.
//! - [`Metrics::snapshot`] says what all metrics are now. Rates and averages are taken over the last windows, by the
//!   rules of Java's `SampledStat` and `Rate`; totals since the beginning.
//! - [`DEFINITIONS`] is the one table of all names: what each is made of, or why it has no meaning here.
//! - [`otlp`] writes a snapshot as OpenTelemetry's protocol has it, for brokers that subscribe to metrics (KIP-714).
//!
//! # What it does not
//! It reads no clock and knows no record: nothing here is called for a single record.
//!
//! ```
//! use ottla_metrics::{ClientSensor, Metrics, MetricsConfig};
//! use ottla_time::Time;
//! use std::time::Duration;
//!
//! let metrics = Metrics::new(MetricsConfig::default());
//! let now = Time::ZERO + Duration::from_secs(10);
//! metrics.at(now).client(ClientSensor::BatchSize, 16_384.0);
//! metrics.at(now).client(ClientSensor::BatchSize, 8_192.0);
//!
//! let snapshot = metrics.snapshot(now);
//! let value = |name| snapshot.iter().find(|metric| metric.name() == name).and_then(|metric| metric.number());
//! assert_eq!(value("batch-size-avg"), Some(12_288.0));
//! assert_eq!(value("batch-size-max"), Some(16_384.0));
//! assert!(value("record-size-avg").is_some_and(f64::is_nan), "nothing was sent, as far as this example knows");
//! ```

mod definition;
mod metrics;
#[cfg(test)]
mod oracle_tests;
pub mod otlp;
mod reference;
mod samples;
mod sensor;
mod snapshot;
mod table;

pub use definition::{Definition, Group, Kind, Source};
pub use metrics::{Metrics, MetricsConfig, Recorder};
pub use reference::reference;
pub use sensor::{ClientSensor, Gauge, NodeSensor, Statistic, TopicSensor};
pub use snapshot::{Metric, MetricValue};
pub use table::DEFINITIONS;
