//! Typed records into a cluster, with a registry over HTTP.

use crate::support::{TOPIC, cluster, producer};
use ottla::serialization::avro::AvroSerializer;
use ottla::serialization::builtin::{LongSerializer, StringSerializer};
use ottla::serialization::mock::{Fault, MockRegistry, MockServer};
use ottla::serialization::registry::{
    IdForm, Registry, RegistryConfig, Schema, SchemaKind, SerializerSettings,
};
use ottla::serialization::{
    ErrorKind, JsonSerializer, Output, Payload, Preparation, Readiness, Role, SerializeError, Serializer,
    Target,
};
use ottla::{RegistryHttp, TypedProducer, TypedRecord};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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

/// A serializer of somebody's own: it says of its errors no more than what is wrong, and forgets what it has learnt.
#[derive(Default)]
struct Careless {
    /// So many times it has forgotten what it learnt when it should write.
    forgets: AtomicU32,
}

impl Serializer<i64> for Careless {
    fn prepare(&self, _: &Target<'_>, _: Option<&i64>) -> Result<Readiness, SerializeError> {
        match self.forgets.load(Ordering::Relaxed) {
            0 => Ok(Readiness::Ready),
            _ => Ok(Readiness::Pending(Preparation::new(async { Ok(()) }))),
        }
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&i64>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let less = |forgets: u32| forgets.checked_sub(1);
        if self
            .forgets
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
        {
            return Err(SerializeError::new(ErrorKind::NotReady, "forgotten"));
        }
        match value {
            Some(..0) => Err(SerializeError::value("below zero")),
            value => LongSerializer.serialize(target, value, output),
        }
    }
}

#[tokio::test]
async fn errors_of_anybodys_serializers_name_topic_and_role() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let typed = TypedProducer::<i64, i64>::new(producer, Careless::default(), Careless::default());
    for (key, value, role) in [(-1, 1, Role::Key), (1, -1, Role::Value)] {
        let record = TypedRecord::to(TOPIC).key(&key).value(&value);
        let error = typed.send(&record).await.map(drop).expect_err("below zero");
        let cause = error.serialize_error().expect("a serializer's");
        assert_eq!(cause.role(), Some(role));
        assert_eq!(
            error.to_string(),
            format!("{role} for topic \"orders\": below zero")
        );
    }
}

/// With more topics than a serializer remembers, others push out what was learnt a moment ago.
#[tokio::test]
async fn a_send_asks_again_for_what_was_forgotten_at_once() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let forgets = AtomicU32::new(3);
    let typed = TypedProducer::<i64, i64>::new(producer, LongSerializer, Careless { forgets });
    let record = TypedRecord::to(TOPIC).key(&1).value(&2);
    typed.send(&record).await.expect("queued").await.expect("acked");
}

/// Who is less patient than the registry leaves the asking behind, but once for a topic, and not for each record.
#[tokio::test]
async fn sends_that_are_given_up_leave_one_look_up_behind() {
    let cluster = cluster(1);
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let runtime = tokio::runtime::Handle::current();
    let producer = ottla::Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .runtime(runtime.clone())
        .build()
        .expect("a good configuration");
    let typed =
        TypedProducer::<str, Order>::new(producer, StringSerializer::default(), avro(&server, |_| {}));
    mock.push_fault(Fault::Delay(Duration::from_millis(500)));
    let value = order(1);
    let record = TypedRecord::to(TOPIC).value(&value);
    let before = runtime.metrics().num_alive_tasks();
    for _ in 0..50 {
        let given_up = tokio::time::timeout(Duration::from_millis(1), typed.send(&record)).await;
        assert!(given_up.is_err(), "the registry is slower");
    }
    let left = runtime.metrics().num_alive_tasks().saturating_sub(before);
    assert!(left < 10, "{left} tasks for one question");
    // What was left behind has the answer.
    let mut tries = 0;
    while tokio::time::timeout(Duration::from_millis(50), typed.send(&record))
        .await
        .is_err()
    {
        tries += 1;
        assert!(tries < 200, "nobody asks on");
    }
    assert_eq!(mock.take_requests().len(), 1);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_registry_with_tls_is_set_up_by_confluents_keys() {
    use crate::web::{certificates, front};
    use ottla::config::ConfigBuilder;
    let Some(certificates) = certificates() else {
        return;
    };
    let server = MockServer::start(MockRegistry::new()).expect("a port");
    let port = server.url().rsplit(':').next().and_then(|port| port.parse().ok());
    let (port, task) = front(certificates.acceptor(true), port.expect("a port")).await;
    let identity = format!(
        "{}{}",
        certificates.read("client.key"),
        certificates.read("client.crt")
    );
    let identity = certificates.write("client.pem", &identity);
    let trust = certificates.path("ca.crt");
    let register = async |url: String, settings: &[(&str, &str)]| {
        let start = ConfigBuilder::new()
            .bootstrap_servers("localhost:9092")
            .set("schema.registry.url", url)
            .set("basic.auth.credentials.source", "USER_INFO")
            .set("basic.auth.user.info", "me:canary")
            .set("max.retries", "0");
        let builder = settings
            .iter()
            .fold(start, |builder, &(key, value)| builder.set(key, value));
        let (config, warnings) = builder.build().expect("a good configuration");
        assert!(warnings.is_empty(), "{warnings:?}");
        let registry = config
            .schema_registry()
            .expect("the stores can be read")
            .expect("an address");
        let registered = registry
            .register("s", &Schema::new(SchemaKind::Avro, SCHEMA), false)
            .await;
        registered.map(|registered| registered.id).map_err(|error| {
            let text = format!("{error} {error:?} {registry:?} {config:?}");
            assert!(!text.contains("canary"), "{text}");
            text
        })
    };
    let url = || format!("https://localhost:{port}");
    let trusting = [
        ("schema.registry.ssl.truststore.type", "PEM"),
        ("schema.registry.ssl.truststore.location", trust.as_str()),
    ];
    let known = [
        ("schema.registry.ssl.keystore.type", "PEM"),
        ("schema.registry.ssl.keystore.location", identity.as_str()),
    ];
    let both = [trusting, known].concat();
    assert_eq!(register(url(), &both).await, Ok(1));
    let error = register(url(), &trusting).await.expect_err("no certificate");
    assert!(error.contains("refused a client without certificate"), "{error}");
    let error = register(url(), &[]).await.expect_err("nobody trusted");
    assert!(error.contains("signed by nobody"), "{error}");
    let error = register(format!("https://[::ffff:127.0.0.1]:{port}"), &both).await;
    assert!(error.expect_err("another name").contains("is not for"));
    let nameless = ("schema.registry.ssl.endpoint.identification.algorithm", "");
    let nameless = [&both[..], &[nameless]].concat();
    assert_eq!(
        register(format!("https://[::ffff:127.0.0.1]:{port}"), &nameless).await,
        Ok(1)
    );
    task.abort();
}
