//! What the sender and its callers tell the metrics.

use crate::SendError;
use crate::shared::Shared;
use ottla_metrics::{ClientSensor, Gauge, Metric, TopicSensor};
use ottla_time::Time;
use std::fmt;
use std::sync::Arc;

/// Measures how long a call takes, until it is dropped: also one that is given up.
#[must_use = "it measures until it is dropped"]
pub struct Timed {
    shared: Arc<Shared>,
    sensor: ClientSensor,
    since: Time,
}

impl Timed {
    pub(crate) fn new(shared: Arc<Shared>, sensor: ClientSensor) -> Timed {
        let since = shared.clock.now();
        Timed {
            shared,
            sensor,
            since,
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let nanos = now.since(self.since).as_nanos() as f64;
        self.shared.config.metrics.at(now).client(self.sensor, nanos);
    }
}

impl fmt::Debug for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed")
            .field("sensor", &self.sensor)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// All metrics now.
    pub(crate) fn snapshot(&self, now: Time) -> Vec<Metric> {
        self.measure_failed(now);
        let (metrics, memory) = (&self.config.metrics, self.accumulator.memory());
        let available = memory.limit().saturating_sub(memory.used());
        metrics.set(Gauge::BufferTotal, memory.limit() as u64);
        metrics.set(Gauge::BufferAvailable, available as u64);
        metrics.set(Gauge::WaitingThreads, memory.waiting() as u64);
        metrics.snapshot(now)
    }

    /// A record was not queued, and will not be.
    #[cold]
    pub(crate) fn measure_refused(&self, error: &SendError) {
        let mut recorder = self.config.metrics.at(self.clock.now());
        recorder.client(ClientSensor::RecordError, 1.0);
        if matches!(error, SendError::MemoryTimeout { .. }) {
            recorder.client(ClientSensor::BufferExhausted, 1.0);
        }
    }

    /// Counts the records of batches that failed since this was called last.
    pub(crate) fn measure_failed(&self, now: Time) {
        self.accumulator.flushes().tell_failed(|topic, records| {
            let mut recorder = self.config.metrics.at(now);
            recorder.client(ClientSensor::RecordError, records as f64);
            recorder.topic(topic, TopicSensor::RecordError, records as f64);
        });
    }
}
