//! Metrics as OpenTelemetry's protocol has them (OTLP `MetricsData`, protobuf), by the naming of KIP-714.
//!
//! The dozen fields that are needed are written by hand: a library for all of OpenTelemetry would be larger than the rest
//! of this crate.

use crate::{Group, Kind, Metric, MetricValue};
use std::collections::BTreeMap;

/// How counters are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Temporality {
    /// Since the producer was made.
    Cumulative,
    /// Since they were told last.
    Delta,
}

impl Temporality {
    /// OTLP's `AggregationTemporality`.
    fn wire_value(self) -> u64 {
        match self {
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        }
    }
}

/// Writes snapshots, and remembers what counters were when they were told last.
#[derive(Debug)]
pub struct Exporter {
    started_unix_nanos: u64,
    resource: Vec<(&'static str, String)>,
    /// By name and tags: the value that was told last, and when. As many as there are counters.
    told: BTreeMap<String, (f64, u64)>,
    /// What [`Exporter::confirm`] will remember.
    pending: Vec<(String, (f64, u64))>,
}

impl Exporter {
    /// An exporter of a producer that was made at `started_unix_nanos`; `resource` says which it is.
    pub fn new(started_unix_nanos: u64, resource: Vec<(&'static str, String)>) -> Exporter {
        Exporter {
            started_unix_nanos,
            resource,
            told: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// The metrics whose [names](telemetry_name) are `wanted`, as `MetricsData`. Texts are left out: OTLP's metrics are
    /// numbers. Empty if nothing is left.
    pub fn encode(
        &mut self,
        metrics: &[Metric],
        wanted: impl Fn(&str) -> bool,
        temporality: Temporality,
        now_unix_nanos: u64,
    ) -> Vec<u8> {
        self.pending.clear();
        let mut scope_metrics = Message::default();
        // What Java's producer does not have would stand under Kafka's own names.
        let javas = |metric: &&Metric| metric.group() != Group::DeadLetter.name();
        for metric in metrics.iter().filter(javas) {
            let name = telemetry_name(metric);
            if wanted(&name)
                && let Some(encoded) = self.metric(metric, &name, temporality, now_unix_nanos)
            {
                scope_metrics.message(2, &encoded);
            }
        }
        if scope_metrics.0.is_empty() {
            return Vec::new();
        }
        let mut resource = Message::default();
        for (key, value) in &self.resource {
            resource.message(1, &attribute(key, value));
        }
        let mut resource_metrics = Message::default();
        resource_metrics.message(1, &resource);
        resource_metrics.message(2, &scope_metrics);
        let mut data = Message::default();
        data.message(1, &resource_metrics);
        data.0
    }

    /// What was encoded last has been told, or may have been: the next deltas begin there.
    pub fn confirm(&mut self) {
        self.told.extend(self.pending.drain(..));
    }

    fn metric(
        &mut self,
        metric: &Metric,
        name: &str,
        temporality: Temporality,
        now_unix_nanos: u64,
    ) -> Option<Message> {
        let mut point = Message::default();
        point.fixed(3, now_unix_nanos);
        for (tag, value) in metric.tags() {
            if *tag != "client-id" {
                point.message(7, &attribute(&tag.replace('-', "_"), value));
            }
        }
        let mut encoded = Message::default();
        encoded.bytes(1, name.as_bytes());
        match (metric.kind(), metric.value()) {
            (Kind::Counter, MetricValue::Number(total)) => {
                let key = key(metric, name);
                let (before, since) = match temporality {
                    Temporality::Cumulative => (0.0, self.started_unix_nanos),
                    Temporality::Delta => {
                        let told = self.told.get(&key).copied();
                        told.unwrap_or((0.0, self.started_unix_nanos))
                    }
                };
                self.pending.push((key, (*total, now_unix_nanos)));
                point.fixed(2, since);
                point.fixed(4, (total - before).to_bits());
                let mut sum = Message::default();
                sum.message(1, &point);
                sum.varint(2, temporality.wire_value());
                sum.varint(3, 1);
                encoded.message(7, &sum);
            }
            (_, value) => {
                match value {
                    MetricValue::Number(number) => point.fixed(4, number.to_bits()),
                    MetricValue::Integer(number) => point.fixed(6, number.cast_unsigned()),
                    MetricValue::Text(_) => return None,
                }
                let mut gauge = Message::default();
                gauge.message(1, &point);
                encoded.message(5, &gauge);
            }
        }
        Some(encoded)
    }
}

/// The name of a metric by KIP-714, such as `org.apache.kafka.producer.topic.record.send.total`. A subscription names
/// metrics by the beginnings of these.
pub fn telemetry_name(metric: &Metric) -> String {
    let clean = |text: &str| text.replace('-', ".").replace(".metrics", "");
    format!(
        "org.apache.kafka.{}.{}",
        clean(metric.group()),
        clean(metric.name())
    )
}

/// Tells a metric from all others.
fn key(metric: &Metric, name: &str) -> String {
    let tags = metric.tags().iter().map(|(_, value)| &**value);
    // No name of a topic has this character.
    std::iter::once(name).chain(tags).collect::<Vec<_>>().join("\n")
}

/// A `KeyValue` with a text.
fn attribute(key: &str, value: &str) -> Message {
    let mut text = Message::default();
    text.bytes(1, value.as_bytes());
    let mut attribute = Message::default();
    attribute.bytes(1, key.as_bytes());
    attribute.message(2, &text);
    attribute
}

/// A protobuf message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn tag(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.tag(field, 0);
        self.raw_varint(value);
    }

    /// Eight bytes: a `fixed64`, an `sfixed64` or a `double`.
    fn fixed(&mut self, field: u64, bits: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}
