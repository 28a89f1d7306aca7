//! Typed records into a cluster, with a registry over HTTP.

use crate::support::{TOPIC, cluster, producer};
use ottla::serialization::avro::AvroSerializer;
use ottla::serialization::builtin::{LongSerializer, StringSerializer};
use ottla::serialization::mock::{Fault, MockRegistry, MockServer};
use ottla::serialization::registry::{
    IdForm, Registry, RegistryConfig, Schema, SchemaKind, SerializerSettings,
};
use ottla::serialization::{ErrorKind, JsonSerializer};
use ottla::{RegistryHttp, TypedProducer, TypedRecord};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Order {
    id: i64,
    note: Option<String>,
}

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#;

fn avro(server: &MockServer, change: impl FnOnce(&mut SerializerSettings)) -> AvroSerializer {
    let config = RegistryConfig::new(&server.url()).expect("an address");
    let registry = Registry::new(config, Arc::new(RegistryHttp::new()));
    let mut settings = SerializerSettings::default();
    change(&mut settings);
    let schema = Schema::new(SchemaKind::Avro, SCHEMA);
    AvroSerializer::with_registry(registry, settings, Some(schema)).expect("a schema")
}

fn order(id: i64) -> Order {
    Order {
        id,
        note: Some("x".to_owned()),
    }
}

#[tokio::test]
async fn json_and_numbers_arrive_and_null_is_a_tombstone() {
    let cluster = cluster(1);
    let typed = TypedProducer::<i64, Order>::new(producer(&cluster, &[]), LongSerializer, JsonSerializer);
    let of = |key| TypedRecord::to(TOPIC).key(key).partition(0);
    for record in [of(&7).value(&order(1)).header("h", None), of(&8)] {
        typed.send(&record).await.expect("queued").await.expect("acked");
    }
    let found = cluster.records(TOPIC, 0);
    assert_eq!(found[0].key.as_deref(), Some(&7_i64.to_be_bytes()[..]));
    assert_eq!(found[0].value.as_deref(), Some(&br#"{"id":1,"note":"x"}"#[..]));
    assert_eq!(found[1].value, None);
}

#[tokio::test]
async fn avro_goes_with_the_registrys_id() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let typed = TypedProducer::<str, Order>::new(
        producer(&cluster, &[]),
        StringSerializer::default(),
        avro(&server, |_| {}),
    );
    for id in 0..3 {
        let record = order(id);
        let record = TypedRecord::to(TOPIC).key("k").value(&record).partition(0);
        typed.send(&record).await.expect("queued").await.expect("acked");
    }
    assert_eq!(mock.take_requests(), ["POST /subjects/orders-value/versions"]);
    let found = cluster.records(TOPIC, 0);
    assert_eq!(
        found[2].value.as_deref(),
        Some(&[0, 0, 0, 0, 1, 4, 2, 2, b'x'][..])
    );
    let headers = TypedProducer::<str, Order>::new(
        producer(&cluster, &[]),
        StringSerializer::default(),
        avro(&server, |settings| settings.id_form = IdForm::Header),
    );
    let record = order(5);
    let record = TypedRecord::to(TOPIC).value(&record).partition(1);
    headers.send(&record).await.expect("queued").await.expect("acked");
    let found = cluster.records(TOPIC, 1);
    assert_eq!(found[0].value.as_deref(), Some(&[10, 2, 2, b'x'][..]));
    assert_eq!(found[0].headers.len(), 1);
}

#[test]
fn a_caller_without_a_runtime_waits_for_the_registry_too() {
    let cluster = cluster(1);
    let server = MockServer::start(MockRegistry::new()).expect("a port");
    let typed = TypedProducer::<str, Order>::new(
        producer(&cluster, &[]),
        StringSerializer::default(),
        avro(&server, |_| {}),
    );
    let record = order(1);
    let record = TypedRecord::to(TOPIC).value(&record);
    let delivery = ottla::blocking::wait(typed.send(&record)).expect("queued");
    ottla::blocking::wait(delivery).expect("acked");
}

#[tokio::test]
async fn what_cannot_be_serialized_is_not_queued_and_the_producer_goes_on() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let typed = TypedProducer::<str, serde_json::Value>::new(
        producer(&cluster, &[]),
        StringSerializer::default(),
        avro(&server, |_| {}),
    );
    mock.push_fault(Fault::Status(409));
    let good = serde_json::json!({"id": 1, "note": null});
    let record = TypedRecord::to(TOPIC).value(&good).partition(0);
    let error = typed.send(&record).await.expect_err("refused");
    let cause = error.serialize_error().expect("the registry's");
    assert_eq!(
        (cause.kind(), cause.subject()),
        (ErrorKind::Incompatible, Some("orders-value"))
    );
    typed.send(&record).await.expect("queued").await.expect("acked");
    let bad = serde_json::json!({"id": "seven"});
    let record = TypedRecord::to(TOPIC).value(&bad).partition(0);
    let error = typed.send(&record).await.expect_err("refused");
    let cause = error.serialize_error().expect("the value's");
    assert_eq!((cause.kind(), cause.field()), (ErrorKind::Value, Some("id")));
    assert!(!error.is_retriable(), "{error}");
    typed.producer().flush().await;
    assert_eq!(cluster.records(TOPIC, 0).len(), 1);
}

#[tokio::test]
async fn try_send_starts_the_look_up() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let producer = producer(&cluster, &[]);
    let topic = producer.topic(TOPIC);
    producer.partition_count(&topic).await.expect("metadata");
    let typed =
        TypedProducer::<str, Order>::new(producer, StringSerializer::default(), avro(&server, |_| {}));
    mock.push_fault(Fault::Status(422));
    let value = order(1);
    let record = TypedRecord::to(&topic).value(&value).partition(0);
    let first = typed.try_send(&record).expect_err("nothing is known yet");
    assert!(first.would_wait(), "{first}");
    // The look-up runs elsewhere; each call only looks.
    let mut refusals = 0;
    loop {
        match typed.try_send(&record) {
            Ok(delivery) => {
                delivery.await.expect("acked");
                break;
            }
            Err(error) if error.would_wait() => tokio::task::yield_now().await,
            Err(error) => {
                let kind = error.serialize_error().map(|cause| cause.kind());
                assert_eq!(kind, Some(ErrorKind::Refused), "{error}");
                refusals += 1;
            }
        }
    }
    assert_eq!(refusals, 1, "the first look-up's error was told, once");
}
