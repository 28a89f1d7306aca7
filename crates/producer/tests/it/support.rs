//! A producer, a cluster, and a checker that knows neither.

use ottla::{Delivery, Producer, Record};
use ottla_broker::TestCluster;
use std::collections::HashMap;
use std::ops::Range;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const PARTITIONS: i32 = 6;

pub(crate) fn cluster(brokers: i32) -> TestCluster {
    let builder = TestCluster::builder().brokers(brokers).topic(TOPIC, PARTITIONS);
    builder.start_blocking().expect("loopback has free ports")
}

/// A producer with fast backoffs: the tests wait for real.
pub(crate) fn producer(cluster: &TestCluster, settings: &[(&str, &str)]) -> Producer {
    let mut builder = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("retry.backoff.ms", "5")
        .set("retry.backoff.max.ms", "20")
        .set("reconnect.backoff.ms", "5")
        .set("reconnect.backoff.max.ms", "20")
        .set("linger.ms", "1");
    for (key, value) in settings {
        builder = builder.set(*key, *value);
    }
    builder.build().expect("a good configuration")
}

/// What was sent: its key's number, its place among that key's records, and the outcome to come.
pub(crate) struct Sent {
    value: String,
    delivery: Delivery,
}

/// Sends `count` records with `keys` different keys.
pub(crate) async fn send_many(producer: &Producer, count: usize, keys: usize) -> Vec<Sent> {
    send_range(producer, 0..count, keys).await
}

/// Sends the records with these numbers.
pub(crate) async fn send_range(producer: &Producer, numbers: Range<usize>, keys: usize) -> Vec<Sent> {
    let mut sent = Vec::with_capacity(numbers.len());
    for number in numbers {
        let (key, value) = (
            format!("key-{}", number % keys),
            format!("{}:{number}", number % keys),
        );
        let record = Record::to(TOPIC).key(&key).value(&value);
        let delivery = producer.send(&record).await.expect("queued");
        sent.push(Sent { value, delivery });
    }
    sent
}

/// Awaits all outcomes, which must be acknowledgements, and compares them with the log: each record once, at its offset,
/// and those of a key in order.
pub(crate) async fn check_acked_once_in_order(cluster: &TestCluster, sent: Vec<Sent>) {
    let count = sent.len();
    let mut expected: HashMap<(i32, i64), String> = HashMap::new();
    for Sent { value, delivery } in sent {
        let metadata = delivery.await.expect("acked");
        // A duplicate that the broker has forgotten has no offset; none of these tests is that late.
        let offset = metadata.offset().expect("an offset");
        let before = expected.insert((metadata.partition(), offset), value);
        assert_eq!(
            before,
            None,
            "two records at partition {} offset {offset}",
            metadata.partition()
        );
    }
    let mut found = 0;
    let mut last_of_key: HashMap<String, usize> = HashMap::new();
    for partition in 0..PARTITIONS {
        for record in cluster.records(TOPIC, partition) {
            found += 1;
            let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
            assert_eq!(
                expected.get(&(partition, record.offset)),
                Some(&value),
                "partition {partition} offset {}",
                record.offset
            );
            let (key, number) = value.split_once(':').expect("key:number");
            let number: usize = number.parse().expect("a number");
            let last = last_of_key.insert(key.to_owned(), number);
            assert!(
                last.is_none_or(|last| last < number),
                "key {key}: {number} behind {last:?}"
            );
        }
    }
    assert_eq!(found, count, "records in the log");
}
