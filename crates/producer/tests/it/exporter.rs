//! The metrics in the recorder of the `metrics` crate.

use crate::support::{TOPIC, cluster, producer};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use ottla::Record;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Keeps what is set, by name and labels.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, f64>>>);

/// One metric of it.
struct One(Kept, String);

impl One {
    fn set_to(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl CounterFn for One {
    fn increment(&self, _: u64) {
        panic!("totals are set");
    }

    fn absolute(&self, value: u64) {
        self.set_to(value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }

    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.set_to(value);
    }
}

impl Kept {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let name = std::iter::once(key.name().to_owned())
            .chain(labels)
            .collect::<Vec<_>>()
            .join(" ");
        Arc::new(One(self.clone(), name))
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn counters_and_gauges_are_set_by_their_names() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("client.id", "c")]);
    let sent = ottla::blocking::wait(producer.send(&Record::to(TOPIC).value("x"))).expect("queued");
    ottla::blocking::wait(sent).expect("acked");
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || producer.export_metrics());
    let kept = kept.0.lock().unwrap();
    assert_eq!(
        kept.get("kafka_producer_record_send_total client_id=c"),
        Some(&1.0)
    );
    assert_eq!(
        kept.get("kafka_producer_topic_record_send_total client_id=c topic=orders"),
        Some(&1.0)
    );
    assert_eq!(
        kept.get("kafka_producer_buffer_total_bytes client_id=c"),
        Some(&33_554_432.0)
    );
    assert!(kept.contains_key("kafka_producer_node_request_total client_id=c node_id=node-1"));
    assert!(kept.values().all(|value| !value.is_nan()));
}
