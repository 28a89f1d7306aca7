//! Produces and consumes with rdkafka, and checks what comes back.
//!
//! `ottla-broker-rdkafka BOOTSTRAP`: 300 records of an idempotent producer in a topic for each codec, 200 committed and 100
//! aborted ones in the topic `transactional`, and a group `rdkafka` that reads all of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS: usize = 300;
const COMMITTED: usize = 200;
const ABORTED: usize = 100;
/// A machine that is busy may be slow; one that hangs shall end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts what the broker acknowledged.
#[derive(Default)]
struct Acknowledged(AtomicUsize);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        // What a transaction takes back was purged, and is no failure.
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::args().nth(1).ok_or("usage: ottla-broker-rdkafka BOOTSTRAP")?;
    for codec in CODECS {
        let mut config = client(&servers);
        config.set("enable.idempotence", "true").set("compression.type", codec);
        let producer: BaseProducer<Acknowledged> = config.create_with_context(Acknowledged::default())?;
        send(&producer, codec, 0..RECORDS)?;
        producer.flush(PATIENCE)?;
        expect("acknowledged", producer.context().0.load(Ordering::Relaxed), RECORDS)?;
    }
    transactions(&servers)?;
    consume(&servers)
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

/// One transaction that is committed, and one that is aborted.
fn transactions(servers: &str) -> Result<(), Box<dyn Error>> {
    let mut config = client(servers);
    config.set("transactional.id", "rdkafka");
    let producer: BaseProducer<Acknowledged> = config.create_with_context(Acknowledged::default())?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    send(&producer, "transactional", 0..COMMITTED)?;
    producer.commit_transaction(PATIENCE)?;
    producer.begin_transaction()?;
    send(&producer, "transactional", COMMITTED..COMMITTED + ABORTED)?;
    // So that there is something in the log to abort.
    producer.flush(PATIENCE)?;
    producer.abort_transaction(PATIENCE)?;
    expect(
        "acknowledged",
        producer.context().0.load(Ordering::Relaxed),
        COMMITTED + ABORTED,
    )
}

fn send(
    producer: &BaseProducer<Acknowledged>,
    topic: &str,
    numbers: std::ops::Range<usize>,
) -> Result<(), Box<dyn Error>> {
    for number in numbers {
        let (key, value) = (key(number), value(topic, number));
        let headers = OwnedHeaders::new().insert(Header {
            key: "number",
            value: Some(&key),
        });
        let mut record = BaseRecord::to(topic).key(&key).payload(&value).headers(headers);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    Ok(())
}

/// A group reads everything that is committed, and commits how far it came.
fn consume(servers: &str) -> Result<(), Box<dyn Error>> {
    let mut config = client(servers);
    config
        .set("group.id", "rdkafka")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let topics: Vec<&str> = CODECS.into_iter().chain(["transactional"]).collect();
    consumer.subscribe(&topics)?;
    let expected = CODECS.len() * RECORDS + COMMITTED;
    let mut found: BTreeMap<(String, usize), usize> = BTreeMap::new();
    let start = Instant::now();
    while found.len() < expected {
        if start.elapsed() > PATIENCE {
            return Err(format!("{} records of {expected} were read", found.len()).into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let key = message.key_view::<str>().ok_or("a record without a key")??;
        let number: usize = key.trim_start_matches("key-").parse()?;
        expect("value", message.payload().unwrap_or_default(), value(message.topic(), number).as_bytes())?;
        let header = message.headers().ok_or("a record without headers")?.get(0);
        expect("header", (header.key, header.value), ("number", Some(key.as_bytes())))?;
        *found.entry((message.topic().to_owned(), number)).or_default() += 1;
    }
    expect("times", found.values().copied().max(), Some(1))?;
    let aborted = found.keys().any(|(topic, number)| topic == "transactional" && *number >= COMMITTED);
    expect("aborted records", aborted, false)?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    println!("{} records", found.len());
    Ok(())
}

fn key(number: usize) -> String {
    format!("key-{number}")
}

/// A value that compresses, and that knows where it belongs.
fn value(topic: &str, number: usize) -> String {
    format!("{topic} {number} ").repeat(10)
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Box<dyn Error>> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, not {expected:?}").into())
    }
}
