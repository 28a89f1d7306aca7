//! Dead letters: what can never be delivered stands in a topic of its own, with the error, and holds up nobody.

use crate::support::{TOPIC, producer};
use ottla::serialization::builtin::{LongSerializer, StringSerializer};
use ottla::serialization::{ErrorKind, JsonSerializer, Output, Payload, SerializeError, Serializer, Target};
use ottla::transport::{BoxFuture, Endpoint, Resolver};
use ottla::{DeadLetterCounts, DeadLetters, Error, Producer, Record, TypedProducer, TypedRecord};
use ottla_broker::{Fault, FaultAction, TestCluster, TopicConfig, TopicSpec};
use ottla_protocol::{ApiKey, ErrorCode};
use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DEAD: &str = "dead";
const LONG: Duration = Duration::from_secs(30);

fn cluster() -> TestCluster {
    let builder = TestCluster::builder().topic(TOPIC, 2).topic(DEAD, 1);
    builder.start_blocking().expect("loopback has free ports")
}

fn with_letters(cluster: &TestCluster, settings: &[(&str, &str)]) -> Producer {
    let start = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("linger.ms", "0")
        .set("retry.backoff.ms", "5")
        .dead_letters(DeadLetters::to(DEAD));
    let builder = settings
        .iter()
        .fold(start, |builder, (key, value)| builder.set(*key, *value));
    builder.build().expect("a good configuration")
}

fn refuse(topic: &str, code: ErrorCode) -> Fault {
    Fault::new(FaultAction::Error(code))
        .api(ApiKey::PRODUCE)
        .topic(topic)
}

/// Key, value, and headers as text.
type Letter = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, String)>);

/// The only dead letter.
#[track_caller]
fn letter(cluster: &TestCluster) -> Letter {
    let found = cluster.records(DEAD, 0);
    assert_eq!(found.len(), 1, "{found:?}");
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"null")).into_owned();
    let headers = found[0].headers.iter();
    let headers = headers
        .map(|header| (text(Some(&header.key)), text(header.value.as_deref())))
        .collect();
    (
        found[0].key.as_ref().map(|it| it.to_vec()),
        found[0].value.as_ref().map(|it| it.to_vec()),
        headers,
    )
}

#[track_caller]
fn counts(producer: &Producer, taken: u64, written: u64, lost: u64) {
    let mut expected = DeadLetterCounts::default();
    (expected.taken, expected.written, expected.lost) = (taken, written, lost);
    assert_eq!(producer.dead_letter_counts(), expected);
    let metrics = producer.metrics();
    let total = |name: &str| {
        let found = metrics
            .iter()
            .find(|metric| metric.group() == "producer-dead-letter-metrics" && metric.name() == name);
        // Without a policy they are not shown.
        found.map_or(0.0, |metric| metric.number().expect("a number"))
    };
    let totals = [
        "dead-letter-total",
        "dead-letter-written-total",
        "dead-letter-lost-total",
    ]
    .map(total);
    assert_eq!(totals, [taken, written, lost].map(|count| count as f64));
}

/// Sends a record that the broker refuses for good.
async fn make_a_letter(cluster: &TestCluster, producer: &Producer) {
    cluster.add_fault(refuse(TOPIC, ErrorCode::INVALID_RECORD).once());
    let delivery = producer
        .send(&Record::to(TOPIC).value("v"))
        .await
        .expect("queued");
    assert!(delivery.await.expect_err("refused").is_dead_letter());
}

#[tokio::test]
async fn what_a_broker_refuses_for_good_becomes_a_letter_with_everything() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[]);
    cluster.add_fault(refuse(TOPIC, ErrorCode::INVALID_RECORD).partition(1));
    let record = Record::to(TOPIC)
        .key("k")
        .value("v")
        .header("h", None)
        .timestamp_ms(7)
        .partition(1);
    let delivery = producer.send(&record).await.expect("queued");
    let error = delivery.await.expect_err("refused");
    assert!(
        error.is_dead_letter() && error.code() == Some(ErrorCode::INVALID_RECORD),
        "{error}"
    );
    // The other partition never noticed.
    let other = producer
        .send(&Record::to(TOPIC).value("v").partition(0))
        .await
        .expect("queued");
    other.await.expect("acked");
    producer.flush().await;
    let (key, value, headers) = letter(&cluster);
    assert_eq!(
        (key.as_deref(), value.as_deref()),
        (Some(&b"k"[..]), Some(&b"v"[..]))
    );
    let name = |name: &str| format!("__producer.errors.{name}");
    let expected = [
        ("h".to_owned(), "null".to_owned()),
        (name("topic"), TOPIC.to_owned()),
        (name("partition"), "1".to_owned()),
        (name("stage"), "PRODUCE".to_owned()),
        (
            name("exception.class.name"),
            "org.apache.kafka.common.errors.InvalidRecordException".to_owned(),
        ),
        (name("exception.message"), error.to_string()),
    ];
    assert_eq!(headers, expected);
    assert_eq!(cluster.records(DEAD, 0)[0].timestamp, 7);
    counts(&producer, 1, 1, 0);
}

#[tokio::test]
async fn callbacks_and_refusals_before_the_queue_have_letters_too() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[("max.request.size", "2000")]);
    let told = Arc::new(Mutex::new(None));
    cluster.add_fault(refuse(TOPIC, ErrorCode::TOPIC_AUTHORIZATION_FAILED).once());
    let slot = Arc::clone(&told);
    let record = Record::to(TOPIC).key("k").value("v").partition(0);
    let sent = producer.send_with(&record, move |outcome| {
        *slot.lock().expect("no panic") = Some(outcome)
    });
    sent.await.expect("queued");
    producer.flush().await;
    let outcome: Option<Result<_, Error>> = told.lock().expect("no panic").take();
    assert!(outcome.expect("told").expect_err("refused").is_dead_letter());
    assert_eq!(letter(&cluster).1.as_deref(), Some(&b"v"[..]));
    // Too large here is too large for the letter: it goes without the value.
    let large = "x".repeat(3_000);
    for send in [true, false] {
        let record = Record::to(TOPIC).key("k").value(&large).partition(0);
        let refused = if send {
            producer.send(&record).await.map(drop)
        } else {
            producer.try_send(&record).map(drop)
        };
        assert!(refused.expect_err("too large").is_dead_letter());
    }
    producer.flush().await;
    let found = cluster.records(DEAD, 0);
    assert_eq!(found.len(), 3);
    for record in &found[1..] {
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (Some(&b"k"[..]), None)
        );
        let last = record.headers.last().expect("headers");
        assert_eq!(
            (&*last.key, last.value.as_deref()),
            (&b"__producer.errors.left.out"[..], Some(&b"value"[..]))
        );
    }
    counts(&producer, 3, 3, 0);
}

/// A broker may find a letter too large that the client let through.
#[tokio::test]
async fn a_letter_that_a_broker_finds_too_large_goes_with_less() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[]);
    for fault in [
        refuse(TOPIC, ErrorCode::MESSAGE_TOO_LARGE),
        refuse(DEAD, ErrorCode::MESSAGE_TOO_LARGE).times(2),
    ] {
        cluster.add_fault(fault);
    }
    let record = Record::to(TOPIC)
        .key("k")
        .value("v")
        .header("h", Some(b"w"))
        .partition(0);
    let error = producer
        .send(&record)
        .await
        .expect("queued")
        .await
        .expect_err("too large");
    assert!(error.is_dead_letter(), "{error}");
    producer.flush().await;
    // Neither with the value nor without it; then with the error alone.
    let (key, value, headers) = letter(&cluster);
    assert_eq!((key, value), (None, None));
    assert_eq!(headers[0].0, "__producer.errors.topic");
    let last = headers.last().expect("headers");
    assert_eq!(
        last,
        &(
            "__producer.errors.left.out".to_owned(),
            "key,value,headers".to_owned()
        )
    );
    counts(&producer, 1, 1, 0);
}

#[tokio::test]
async fn a_letter_that_fails_is_lost_and_counted_and_makes_no_other() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[]);
    cluster.add_fault(refuse(TOPIC, ErrorCode::INVALID_RECORD));
    cluster.add_fault(refuse(DEAD, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    let refused = async |topic: &'static str| {
        let delivery = producer
            .send(&Record::to(topic).value("v").partition(0))
            .await
            .expect("queued");
        delivery.await.expect_err("refused").is_dead_letter()
    };
    for _ in 0..3 {
        assert!(refused(TOPIC).await);
    }
    // A record that was for the topic of the letters is none.
    assert!(!refused(DEAD).await);
    producer.flush().await;
    counts(&producer, 3, 0, 3);
    assert!(cluster.records(DEAD, 0).is_empty());
    // What stood in the way is gone: the next one is written.
    cluster.clear_faults();
    cluster.add_fault(refuse(TOPIC, ErrorCode::INVALID_RECORD));
    assert!(refused(TOPIC).await);
    // A close waits for letters as a flush does.
    producer.close(LONG).await;
    counts(&producer, 4, 1, 3);
    assert_eq!(cluster.records(DEAD, 0).len(), 1);
}

#[tokio::test]
async fn what_may_pass_or_may_be_in_the_log_is_no_letter() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[("retries", "1")]);
    for code in [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::UNKNOWN_SERVER_ERROR] {
        cluster.add_fault(refuse(TOPIC, code));
        let delivery = producer
            .send(&Record::to(TOPIC).value("v").partition(0))
            .await
            .expect("queued");
        let error = delivery.await.expect_err("refused");
        assert!(!error.is_dead_letter(), "{error}");
        cluster.clear_faults();
    }
    producer.close(LONG).await;
    let refused = producer.send(&Record::to(TOPIC).value("v")).await;
    assert!(!refused.map(drop).expect_err("closed").is_dead_letter());
    counts(&producer, 0, 0, 0);
}

/// Fails for values below zero, and takes all others as they are.
struct Positive;

impl Serializer<i64> for Positive {
    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&i64>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        match value {
            Some(..0) => Err(SerializeError::value("it is below zero")
                .with_field("price")
                .at(target)),
            value => LongSerializer.serialize(target, value, output),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_serialized_becomes_a_letter() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[]);
    let plain = TypedProducer::<str, i64>::new(producer.clone(), StringSerializer::default(), Positive);
    let salvaging = plain
        .clone()
        .dead_letters_as(StringSerializer::default(), JsonSerializer);
    let record = || TypedRecord::to(TOPIC).key("k").value(&-1).header("h", Some(b"w"));
    let refused = [
        plain.send(&record()).await.map(drop),
        salvaging.send(&record()).await.map(drop),
        salvaging.try_send(&record()).map(drop),
        salvaging.try_send_with(&record(), |_| panic!("it was not queued")),
    ];
    for refused in refused {
        let error = refused.expect_err("below zero");
        assert!(error.is_dead_letter(), "{error}");
        assert_eq!(
            error.serialize_error().map(|cause| cause.kind()),
            Some(ErrorKind::Value)
        );
    }
    // Good ones go on.
    plain
        .send(&TypedRecord::to(TOPIC).key("k").value(&1))
        .await
        .expect("queued")
        .await
        .expect("acked");
    producer.flush().await;
    counts(&producer, 4, 4, 0);
    let found = cluster.records(DEAD, 0);
    // Letters are sent side by side: which one comes first is not promised.
    assert_eq!(found.iter().filter(|record| record.value.is_none()).count(), 1);
    for record in &found {
        let text = |name: &str| {
            let name = format!("__producer.errors.{name}");
            let header = record
                .headers
                .iter()
                .find(|header| *header.key == *name.as_bytes())?;
            Some(String::from_utf8_lossy(header.value.as_deref()?).into_owned())
        };
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(&*record.headers[0].key, b"h");
        let (value, left_out) = match &record.value {
            None => (None, Some("value")),
            Some(_) => (Some(&b"-1"[..]), None),
        };
        assert_eq!(
            (record.value.as_deref(), text("left.out").as_deref()),
            (value, left_out)
        );
        assert_eq!(text("stage").as_deref(), Some("VALUE_SERIALIZER"));
        assert_eq!(
            text("exception.class.name").as_deref(),
            Some("org.apache.kafka.common.errors.SerializationException")
        );
        assert!(
            text("exception.message")
                .is_some_and(|message| message.contains("field price: it is below zero"))
        );
    }
}

/// The letter of a record that dooms its transaction is not aborted with it.
#[tokio::test]
async fn a_letter_survives_the_abort_of_its_records_transaction() {
    let cluster = cluster();
    let producer = with_letters(&cluster, &[("transactional.id", "tx")]);
    let transaction = producer.begin().await.expect("begun");
    cluster.add_fault(refuse(TOPIC, ErrorCode::INVALID_RECORD).once());
    let delivery = transaction
        .send(&Record::to(TOPIC).key("k").value("v").partition(0))
        .await
        .expect("queued");
    assert!(delivery.await.expect_err("refused").is_dead_letter());
    let error = transaction.commit().await.expect_err("a record was refused");
    assert!(error.is_abortable(), "{error}");
    // The next one is as any other; what cannot be serialized leaves it as it was.
    let transaction = producer.begin().await.expect("begun");
    let typed = TypedProducer::<str, i64>::new(producer.clone(), StringSerializer::default(), Positive);
    let refused = typed.send(&TypedRecord::to(TOPIC).key("k").value(&-1)).await;
    assert!(refused.map(drop).expect_err("below zero").is_dead_letter());
    let delivery = typed
        .send(&TypedRecord::to(TOPIC).key("k").value(&1).partition(0))
        .await
        .expect("queued");
    drop(delivery);
    transaction.commit().await.expect("committed");
    producer.close(LONG).await;
    counts(&producer, 2, 2, 0);
    assert_eq!(cluster.committed_records(TOPIC, 0).len(), 1);
    assert_eq!(cluster.committed_records(DEAD, 0).len(), 2);
    // They were written outside of any transaction.
    assert_eq!(cluster.records(DEAD, 0).len(), 2);
}

/// A broker says which records of a batch it does not like (KIP-467). The others can be sent again: they are no letters.
#[tokio::test]
async fn who_fails_because_of_its_neighbours_is_no_letter() {
    let mut compacted = TopicConfig::default();
    compacted.compact = true;
    let topic = TopicSpec::new(TOPIC, 1).config(compacted);
    let cluster = TestCluster::builder()
        .topic(DEAD, 1)
        .configure(|config| config.topics.push(topic))
        .start_blocking()
        .expect("loopback has free ports");
    let producer = with_letters(&cluster, &[("linger.ms", "60000")]);
    let mut deliveries = Vec::new();
    for key in [Some("a"), None, Some("b")] {
        let mut record = Record::to(TOPIC).value("v");
        if let Some(key) = key {
            record = record.key(key);
        }
        deliveries.push(producer.send(&record).await.expect("queued"));
    }
    // They are one batch, which goes now.
    producer.flush().await;
    let mut told = Vec::new();
    for delivery in deliveries {
        let error = delivery.await.expect_err("refused");
        assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD), "{error}");
        told.push((error.is_dead_letter(), error.is_retriable()));
    }
    assert_eq!(told, [(false, true), (true, false), (false, true)]);
    counts(&producer, 1, 1, 0);
    assert_eq!(letter(&cluster).0, None);
}

/// Every name is this machine.
#[derive(Debug)]
struct Here;

impl Resolver for Here {
    fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port()));
        Box::pin(ready(Ok(vec![address])))
    }
}

/// Through a tunnel, say: letters go the same way as the records.
#[tokio::test]
async fn letters_reach_brokers_as_records_do() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let port = servers.rsplit(':').next().expect("a port");
    let producer = Producer::builder()
        .bootstrap_servers(format!("kafka.invalid:{port}"))
        .resolver(Arc::new(Here))
        .set("linger.ms", "0")
        .set("max.block.ms", "10000")
        .dead_letters(DeadLetters::to(DEAD))
        .build()
        .expect("a good configuration");
    make_a_letter(&cluster, &producer).await;
    producer.flush().await;
    counts(&producer, 1, 1, 0);
}

/// Letters wait for their own topic's metadata, on nobody's time.
#[tokio::test]
async fn a_topic_for_letters_that_is_not_there_holds_up_nobody() {
    let cluster = TestCluster::builder()
        .topic(TOPIC, 1)
        .configure(|config| config.auto_create_topics = false)
        .start_blocking()
        .expect("loopback has free ports");
    let producer = with_letters(&cluster, &[]);
    make_a_letter(&cluster, &producer).await;
    producer
        .send(&Record::to(TOPIC).value("v"))
        .await
        .expect("queued")
        .await
        .expect("acked");
    // The letter waits for up to `max.block.ms`, and the close for as long as it is told.
    counts(&producer, 1, 0, 0);
    producer.close(Duration::ZERO).await;
    while producer.dead_letter_counts().lost == 0 {
        tokio::task::yield_now().await;
    }
    counts(&producer, 1, 0, 1);
}

#[tokio::test]
async fn without_the_policy_nothing_changes() {
    let cluster = cluster();
    let producer = producer(&cluster, &[]);
    cluster.add_fault(refuse(TOPIC, ErrorCode::INVALID_RECORD).once());
    let delivery = producer
        .send(&Record::to(TOPIC).value("v"))
        .await
        .expect("queued");
    assert!(!delivery.await.expect_err("refused").is_dead_letter());
    counts(&producer, 0, 0, 0);
    assert!(cluster.records(DEAD, 0).is_empty());
}
