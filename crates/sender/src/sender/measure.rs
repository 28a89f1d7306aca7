//! What the sender tells the metrics.

use super::Sender;
use crate::partition::Pending;
use ottla_metrics::{ClientSensor, Gauge, NodeSensor, TopicSensor};
use ottla_protocol::records::BATCH_HEADER_SIZE;
use ottla_time::Time;
use std::sync::Arc;

impl Sender {
    /// These batches go out in one request.
    pub(super) fn measure_produce(&self, batches: &[(usize, Pending)], now: Time) {
        let mut recorder = self.shared.config.metrics.at(now);
        let mut records = 0;
        for (slot, pending) in batches {
            let batch = &pending.batch;
            let wire_len = batch.wire_len() as f64;
            let uncompressed = batch.uncompressed_len().max(1);
            let compression = (batch.wire_len() - BATCH_HEADER_SIZE) as f64 / uncompressed as f64;
            let waited_ms = now.since(batch.created()).as_secs_f64() * 1e3;
            recorder.client(ClientSensor::BatchSize, wire_len);
            recorder.client(ClientSensor::CompressionRate, compression);
            recorder.client(ClientSensor::QueueTime, waited_ms);
            recorder.client(ClientSensor::RecordSize, batch.record_len_max() as f64);
            let topic = self.topic_name(*slot);
            recorder.topic(topic, TopicSensor::RecordSend, f64::from(batch.record_count()));
            recorder.topic(topic, TopicSensor::Bytes, wire_len);
            recorder.topic(topic, TopicSensor::CompressionRate, compression);
            records += batch.record_count();
        }
        recorder.client(ClientSensor::RecordsPerRequest, f64::from(records));
    }

    /// The batch will be sent again.
    pub(super) fn measure_retry(&self, slot: usize, pending: &Pending, now: Time) {
        let records = f64::from(pending.batch.record_count());
        let mut recorder = self.shared.config.metrics.at(now);
        recorder.client(ClientSensor::RecordRetry, records);
        recorder.topic(self.topic_name(slot), TopicSensor::RecordRetry, records);
    }

    /// The answer to a Produce request that was sent at `sent`.
    pub(super) fn measure_latency(&self, node: i32, sent: Time, now: Time) {
        let latency_ms = now.since(sent).as_secs_f64() * 1e3;
        let mut recorder = self.shared.config.metrics.at(now);
        recorder.client(ClientSensor::RequestLatency, latency_ms);
        recorder.node(node, NodeSensor::RequestLatency, latency_ms);
    }

    pub(super) fn measure_throttle(&self, throttle_ms: i32, now: Time) {
        let mut recorder = self.shared.config.metrics.at(now);
        recorder.client(ClientSensor::ThrottleTime, f64::from(throttle_ms));
    }

    pub(super) fn measure_split(&self, now: Time) {
        self.shared
            .config
            .metrics
            .at(now)
            .client(ClientSensor::BatchSplit, 1.0);
    }

    /// A request was sent, or ended.
    pub(super) fn measure_in_flight(&self) {
        let count = self.in_flight.len() as u64;
        self.shared.config.metrics.set(Gauge::RequestsInFlight, count);
    }

    fn topic_name(&self, slot: usize) -> &Arc<str> {
        self.metadata.topics[self.partitions[slot].topic].shared.name()
    }
}
