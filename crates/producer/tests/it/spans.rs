//! Spans of records, and their context in headers.

use crate::support::{TOPIC, cluster};
use ottla::tracing::TraceContext;
use ottla::{ErrorCode, Producer, Record};
use ottla_broker::{Fault, FaultAction};
use ottla_protocol::ApiKey;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Metadata, Span, Subscriber};

/// Keeps the fields of all spans of ours, and how often each was closed.
#[derive(Default)]
struct Kept {
    next: AtomicU64,
    spans: Mutex<BTreeMap<u64, Fields>>,
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// The same, as many threads have it.
#[derive(Clone, Default)]
struct Keeper(Arc<Kept>);

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ottla"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.0.spans.lock().unwrap().insert(id, fields);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Values<'_>) {
        let mut spans = self.0.spans.lock().unwrap();
        values.record(spans.get_mut(&id.into_u64()).expect("a span"));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Writes the number of the span.
struct Numbers;

impl TraceContext for Numbers {
    fn inject(&self, span: &Span, set: &mut dyn FnMut(&str, &str)) {
        let id = span.id().expect("somebody subscribes");
        set("traceparent", &id.into_u64().to_string());
    }
}

#[test]
fn a_record_has_a_span_until_its_outcome_is_known() {
    let keeper = Keeper::default();
    let cluster = cluster(1);
    let builder = Producer::builder().bootstrap_servers(cluster.bootstrap_servers());
    let producer = builder.set("client.id", "traced").trace_context(Numbers).build();
    let producer = producer.expect("a good configuration");
    let send = |record: &Record<'_>| {
        let delivery = ottla::blocking::wait(producer.send(record)).expect("queued");
        ottla::blocking::wait(delivery)
    };
    // Nobody subscribes to this one.
    send(&Record::to(TOPIC).value("quiet").partition(0)).expect("acked");
    tracing::subscriber::with_default(keeper.clone(), || {
        send(&Record::to(TOPIC).value("seen").partition(2)).expect("acked");
        let fault = Fault::new(FaultAction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        cluster.add_fault(fault.api(ApiKey::PRODUCE).once());
        send(&Record::to(TOPIC).partition(1)).expect_err("refused");
    });
    let spans = keeper.0.spans.lock().unwrap().clone();
    let field = |span: u64, name: &str| spans[&span].0.get(name).map(String::as_str);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert_eq!(field(1, "otel.name"), Some("send orders"));
    assert_eq!(field(1, "messaging.system"), Some("kafka"));
    assert_eq!(field(1, "messaging.client.id"), Some("traced"));
    assert_eq!(field(1, "messaging.destination.partition.id"), Some("2"));
    assert_eq!(field(1, "messaging.kafka.offset"), Some("0"));
    assert_eq!(field(1, "messaging.message.body.size"), Some("4"));
    assert_eq!(field(1, "error.type"), None);
    assert_eq!(field(2, "messaging.kafka.message.tombstone"), Some("true"));
    assert_eq!(field(2, "otel.status_code"), Some("ERROR"));
    assert!(field(2, "error.type").is_some_and(|kind| kind.contains("TOPIC_AUTHORIZATION_FAILED")));
    assert_eq!(field(2, "messaging.destination.partition.id"), Some("1"));

    let header = |partition| {
        let records = cluster.records(TOPIC, partition);
        records[0]
            .headers
            .first()
            .map(|header| (header.key.clone(), header.value.clone()))
    };
    assert_eq!(header(0), None);
    let (name, value) = header(2).expect("a header");
    assert_eq!(
        (&name[..], value.as_deref()),
        (&b"traceparent"[..], Some(&b"1"[..]))
    );
}
