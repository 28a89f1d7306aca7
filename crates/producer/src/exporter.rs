//! The producer's metrics in the recorder of the `metrics` crate, for whatever exporter the application has.

use crate::{Metric, MetricKind, MetricValue, Producer};
use metrics::{Key, Label, Level, Metadata};

const METADATA: Metadata<'static> = Metadata::new("ottla", Level::INFO, Some("ottla"));

impl Producer {
    /// Writes all metrics as they are now into the recorder of the `metrics` crate: to be called as often as they shall be
    /// fresh, or by whoever is about to export them. Counters are set to their totals, what is no number (and NaN) is left
    /// out.
    ///
    /// Names are those of KIP-714 with `_` in place of `.`, and `kafka` alone in front: `kafka_producer_record_send_total`,
    /// `kafka_producer_topic_byte_rate`; labels are `client_id`, `node_id` and `topic`.
    pub fn export_metrics(&self) {
        let metrics = self.metrics();
        metrics::with_recorder(|recorder| {
            for metric in &metrics {
                let (key, number) = (key(metric), metric.number());
                match (metric.kind(), number.filter(|number| !number.is_nan())) {
                    // Below 2^53 a sum of counts is exact.
                    (MetricKind::Counter, Some(total)) => {
                        recorder.register_counter(&key, &METADATA).absolute(total as u64);
                    }
                    (MetricKind::Gauge, Some(number)) if !matches!(metric.value(), MetricValue::Text(_)) => {
                        recorder.register_gauge(&key, &METADATA).set(number);
                    }
                    _ => {}
                }
            }
        });
    }
}

fn key(metric: &Metric) -> Key {
    let name = ottla_metrics::otlp::telemetry_name(metric);
    let name = name.trim_start_matches("org.apache.").replace('.', "_");
    let labels = metric.tags().iter();
    let labels: Vec<Label> = labels
        .map(|(tag, value)| Label::new(tag.replace('-', "_"), value.to_string()))
        .collect();
    Key::from_parts(name, labels)
}
