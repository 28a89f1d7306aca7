//! What the cluster wants to know of its clients, and what they told it (KIP-714).

use bytes::Bytes;
use ottla_protocol::wire::Uuid;
use std::collections::VecDeque;

/// What the operators of the cluster subscribe to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TelemetryOptions {
    /// The beginnings of the metrics' names; `*` alone is all, none is none.
    pub requested_metrics: Vec<String>,
    /// How often clients push, in milliseconds.
    pub push_interval_ms: i32,
    /// Whether counters are told as differences.
    pub delta_temporality: bool,
    /// The codecs that are taken, the best first, by their ids.
    pub accepted_compression_types: Vec<i8>,
    /// The largest push, in bytes.
    pub bytes_max: i32,
}

impl Default for TelemetryOptions {
    /// All metrics, every five minutes, in the codecs and sizes that Kafka takes.
    fn default() -> TelemetryOptions {
        TelemetryOptions {
            requested_metrics: vec!["*".to_owned()],
            push_interval_ms: 300_000,
            delta_temporality: true,
            accepted_compression_types: vec![4, 3, 1, 2],
            bytes_max: 1_048_576,
        }
    }
}

/// One push of a client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TelemetryPush {
    /// The name that the cluster gave the client.
    pub client_instance_id: Uuid,
    /// Whether the client says that it is the last one.
    pub terminating: bool,
    /// The codec of the metrics, by its id.
    pub compression_type: i8,
    /// The metrics as they came.
    pub metrics: Bytes,
}

/// The pushes that are remembered; the oldest go first.
const PUSHES_MAX: usize = 1_000;

/// The subscription that holds now, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) options: Option<TelemetryOptions>,
    /// Counts the subscriptions: clients with an older one ask again.
    pub(crate) subscription_id: i32,
    pub(crate) pushes: VecDeque<TelemetryPush>,
}

impl Telemetry {
    pub(crate) fn new(options: Option<TelemetryOptions>) -> Telemetry {
        Telemetry {
            options,
            subscription_id: 1,
            pushes: VecDeque::new(),
        }
    }

    pub(crate) fn subscribe(&mut self, options: TelemetryOptions) {
        self.options = Some(options);
        self.subscription_id = self.subscription_id.wrapping_add(1);
    }

    pub(crate) fn push(&mut self, push: TelemetryPush) {
        if self.pushes.len() >= PUSHES_MAX {
            self.pushes.pop_front();
        }
        self.pushes.push_back(push);
    }
}
