//! Registries that are down, slow, or answer what they should not: a typed error in time, and the producer goes on.

use crate::support::{TOPIC, cluster, producer};
use ottla::serialization::ErrorKind;
use ottla::serialization::mock::{Fault, MockRegistry, MockServer};
use ottla::serialization::registry::{Schema, SchemaKind};
use ottla::{Error, Producer, TypedProducer, TypedRecord};
use std::time::Duration;

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}"#;
/// Longer than any test waits: who is waited for so long is waited for in vain.
const FOR_EVER: Duration = Duration::from_secs(3_600);

type Orders = TypedProducer<str, serde_json::Value>;

fn orders(producer: Producer) -> Orders {
    TypedProducer::configured(producer)
        .value_schema(Schema::new(SchemaKind::Avro, SCHEMA))
        .build()
        .expect("serializers")
}

fn settings<'s>(url: &'s str, more: &[(&'s str, &'s str)]) -> Vec<(&'s str, &'s str)> {
    let base = [
        (
            "key.serializer",
            "org.apache.kafka.common.serialization.StringSerializer",
        ),
        (
            "value.serializer",
            "io.confluent.kafka.serializers.KafkaAvroSerializer",
        ),
        ("schema.registry.url", url),
        ("max.retries", "0"),
    ];
    [&base[..], more].concat()
}

/// The error names the subject, and nothing was queued; the kind says who is at fault.
#[track_caller]
fn tells(error: &Error, kind: ErrorKind) {
    let cause = error.serialize_error().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(
        (cause.kind(), cause.subject()),
        (kind, Some("orders-value")),
        "{error}"
    );
    assert_eq!(error.is_timeout(), kind == ErrorKind::Timeout, "{error}");
    let passes = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout);
    assert_eq!(error.is_retriable(), passes, "{error}");
    assert_eq!(error.persistence(), ottla::Persistence::NotPersisted);
}

#[tokio::test]
async fn whatever_a_registry_answers_is_a_typed_error_and_the_producer_goes_on() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let url = server.url();
    let value = serde_json::json!({"id": 1});
    let record = || TypedRecord::to(TOPIC).key("k").value(&value).partition(0);
    let faults = [
        (Fault::Status(401), ErrorKind::Unauthorized),
        (Fault::Status(403), ErrorKind::Unauthorized),
        (Fault::Status(404), ErrorKind::NotFound),
        (Fault::Status(409), ErrorKind::Incompatible),
        (Fault::Status(422), ErrorKind::Refused),
        (Fault::Status(500), ErrorKind::Unavailable),
        (Fault::Status(503), ErrorKind::Unavailable),
        (Fault::Status(302), ErrorKind::Protocol),
        (Fault::Body("<html>".to_owned()), ErrorKind::Protocol),
        (Fault::Body("{}".to_owned()), ErrorKind::Protocol),
        (Fault::Body(r#"{"id": -1}"#.to_owned()), ErrorKind::Protocol),
        (Fault::Close, ErrorKind::Unavailable),
    ];
    for (count, (fault, kind)) in faults.into_iter().enumerate() {
        // A serializer that has not asked yet.
        let typed = orders(producer(&cluster, &settings(&url, &[])));
        mock.push_fault(fault.clone());
        let error = typed.send(&record()).await.expect_err("a fault");
        tells(&error, kind);
        // Nothing of it is left: the next one asks again, and is sent.
        typed
            .send(&record())
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"))
            .await
            .expect("acked");
        assert_eq!(cluster.records(TOPIC, 0).len(), count + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_given_up_after_max_block() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let url = server.url();
    let typed = orders(producer(&cluster, &settings(&url, &[("max.block.ms", "300")])));
    // The cluster's metadata shall not take of the time.
    let topic = typed.producer().topic(TOPIC);
    typed.producer().partition_count(&topic).await.expect("metadata");
    let value = serde_json::json!({"id": 1});
    let record = TypedRecord::to(TOPIC).key("k").value(&value);
    mock.push_fault(Fault::Delay(FOR_EVER));
    let error = typed.send(&record).await.expect_err("no answer");
    tells(&error, ErrorKind::Timeout);
    assert!(error.to_string().contains("max.block.ms (300 ms)"), "{error}");
    // Its own deadline may come first.
    let settings = settings(&url, &[("http.read.timeout.ms", "50")]);
    let hasty = orders(producer(&cluster, &settings));
    mock.push_fault(Fault::Delay(FOR_EVER));
    let error = hasty.send(&record).await.expect_err("no answer");
    assert!(error.is_retriable(), "{error}");
    // Both go on; records that need no registry never waited.
    for typed in [typed, hasty] {
        typed
            .producer()
            .send(&ottla::Record::to(TOPIC).value("plain"))
            .await
            .expect("queued")
            .await
            .expect("acked");
        typed.send(&record).await.expect("queued").await.expect("acked");
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_told_and_asked_again() {
    let cluster = cluster(1);
    let server = MockServer::start(MockRegistry::new()).expect("a port");
    let url = server.url();
    drop(server);
    let typed = orders(producer(&cluster, &settings(&url, &[])));
    let value = serde_json::json!({"id": 1});
    let record = TypedRecord::to(TOPIC).key("k").value(&value);
    let error = typed.send(&record).await.expect_err("nobody is there");
    tells(&error, ErrorKind::Unavailable);
    // The callback is not called for what was not queued.
    let refused = typed.send_with(&record, |_| panic!("it was not queued")).await;
    tells(&refused.expect_err("nobody is there"), ErrorKind::Unavailable);
    typed
        .producer()
        .send(&ottla::Record::to(TOPIC).value("plain"))
        .await
        .expect("queued")
        .await
        .expect("acked");
}

#[tokio::test]
async fn an_incompatible_schema_is_told_and_the_old_one_goes_on() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock).expect("a port");
    let url = server.url();
    let typed = orders(producer(&cluster, &settings(&url, &[])));
    let value = serde_json::json!({"id": 1});
    let record = TypedRecord::to(TOPIC).key("k").value(&value).partition(0);
    typed.send(&record).await.expect("queued").await.expect("acked");
    let other = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}"#;
    let changed = Orders::configured(typed.producer().clone())
        .value_schema(Schema::new(SchemaKind::Avro, other))
        .build()
        .expect("serializers");
    let error = changed.send(&record).await.expect_err("a string is no long");
    tells(&error, ErrorKind::Incompatible);
    assert!(error.to_string().contains("incompatible"), "{error}");
    typed.send(&record).await.expect("queued").await.expect("acked");
    assert_eq!(cluster.records(TOPIC, 0).len(), 2);
}

/// Calls until it is neither "not ready" nor a failure, and returns the failures that were told.
async fn until_queued(mut call: impl FnMut() -> Result<(), Error>) -> Vec<Error> {
    let mut failures = Vec::new();
    loop {
        match call() {
            Ok(()) => return failures,
            Err(error) if error.would_wait() => tokio::task::yield_now().await,
            Err(error) => failures.push(error),
        }
    }
}

#[tokio::test]
async fn the_forms_that_do_not_wait_start_the_look_up_and_tell_failures_by_topic() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let url = server.url();
    let producer = producer(&cluster, &settings(&url, &[("max.block.ms", "300")]));
    let topic = producer.topic(TOPIC);
    producer.partition_count(&topic).await.expect("metadata");
    let typed = orders(producer);
    let value = serde_json::json!({"id": 1});
    let record = TypedRecord::to(&topic).key("k").value(&value).partition(0);
    let (sender, outcomes) = std::sync::mpsc::channel();
    let callback = || {
        let sender = sender.clone();
        typed.try_send_with(&record, move |outcome| {
            sender.send(outcome).expect("the test waits")
        })
    };
    for (fault, kind) in [
        (Fault::Status(422), ErrorKind::Refused),
        // A registry that says nothing is told too, and not only "not ready" for ever.
        (Fault::Delay(FOR_EVER), ErrorKind::Timeout),
    ] {
        mock.push_fault(fault);
        // Nobody who asks about another topic is told of this one's failure.
        let mut failures = Vec::new();
        while failures.is_empty() {
            match callback() {
                Err(error) if error.would_wait() => tokio::task::yield_now().await,
                Err(error) => failures.push(error),
                Ok(()) => panic!("the first look-up fails"),
            }
        }
        tells(&failures[0], kind);
    }
    assert!(until_queued(callback).await.is_empty());
    typed.producer().flush().await;
    assert!(outcomes.try_recv().expect("its callback has run").is_ok());
    assert!(
        outcomes.try_recv().is_err(),
        "what was not queued has no callback"
    );
    assert_eq!(cluster.records(TOPIC, 0).len(), 1);
}
