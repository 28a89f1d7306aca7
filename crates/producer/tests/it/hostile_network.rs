//! Networks that lose, cut, delay and swallow what is written: each record is in the log once, or fails by its deadline.

use crate::proxy::{Fate, Proxy, Side, Traffic};
use crate::support::{PARTITIONS, TOPIC, check_acked_once_in_order, send_many};
use ottla::{Producer, ProducerBuilder, Record};
use ottla_broker::{SaslOptions, TestCluster};
use std::time::{Duration, Instant};

const JAAS: &str =
    "org.apache.kafka.common.security.plain.PlainLoginModule required username=alice password=secret;";

/// A cluster of one broker whose clients all come through the proxy.
async fn through_a_proxy(sasl: Option<SaslOptions>) -> (TestCluster, Proxy) {
    let mut builder = TestCluster::builder().topic(TOPIC, PARTITIONS);
    if let Some(sasl) = sasl {
        builder = builder.sasl(sasl);
    }
    let cluster = builder.start_blocking().expect("loopback has free ports");
    let proxy = Proxy::start(cluster.addresses()[0]).await;
    let mut guard = cluster.cluster();
    let broker = guard.broker_ids()[0];
    guard.set_address(broker, "127.0.0.1", proxy.address.port());
    drop(guard);
    (cluster, proxy)
}

/// A producer with fast backoffs: the tests wait for real.
fn builder(proxy: &Proxy) -> ProducerBuilder {
    Producer::builder()
        .bootstrap_servers(proxy.address.to_string())
        .set("retry.backoff.ms", "1")
        .set("retry.backoff.max.ms", "5")
        .set("reconnect.backoff.ms", "1")
        .set("reconnect.backoff.max.ms", "5")
        .set("linger.ms", "0")
}

fn producer(proxy: &Proxy, settings: &[(&str, &str)]) -> Producer {
    let builder = settings
        .iter()
        .fold(builder(proxy), |builder, (key, value)| builder.set(*key, *value));
    builder.build().expect("a good configuration")
}

async fn send_one(producer: &Producer, value: &str) -> Result<(), ottla::Error> {
    let record = Record::to(TOPIC).partition(0).value(value);
    let delivery = producer.send(&record).await?;
    delivery.await.map(drop)
}

#[tokio::test]
async fn single_bytes_make_no_difference() {
    let (cluster, proxy) = through_a_proxy(None).await;
    proxy.plan([], Fate::SingleBytes);
    let producer = producer(&proxy, &[("batch.size", "200")]);
    let sent = send_many(&producer, 300, 20).await;
    check_acked_once_in_order(&cluster, sent).await;
}

/// A connection is reset at every byte of its life, both ways: from ApiVersions over SASL and metadata to a Produce
/// exchange. One producer for each offset sends one record, which has to be acked, and in the log once.
#[tokio::test]
async fn a_reset_at_every_byte_offset_costs_nothing() {
    let sasl = SaslOptions::new().user("alice", "secret");
    let (cluster, proxy) = through_a_proxy(Some(sasl)).await;
    let start = || {
        let builder = builder(&proxy)
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.jaas.config", JAAS);
        builder.build().expect("a good configuration")
    };
    // How long each connection lives if nothing happens.
    proxy.plan([], Fate::Pass);
    send_one(&start(), "0").await.expect("nothing is wrong yet");
    let lives: Vec<Traffic> = proxy.traffic();
    assert_eq!(lives.len(), 2, "one to the bootstrap server, one to the leader");
    let (mut count, mut struck) = (1, 0);
    for (number, (requests, answers)) in lives.into_iter().enumerate() {
        assert!(requests > 150 && answers > 150, "{requests} and {answers} bytes");
        let offsets = (0..=requests).map(|at| Fate::Reset(Side::Client, at));
        for fate in offsets.chain((0..=answers).map(|at| Fate::Reset(Side::Broker, at))) {
            let before = std::iter::repeat_n(Fate::Pass, number);
            proxy.plan(before.chain([fate]), Fate::Pass);
            send_one(&start(), &count.to_string())
                .await
                .unwrap_or_else(|error| panic!("{fate:?} of connection {number}: {error}"));
            count += 1;
            struck += usize::from(proxy.traffic().len() > 2);
        }
    }
    // A connection may live a bit longer at one time than at another: the last offsets need not be reached.
    assert!(struck > count * 9 / 10, "{struck} of {count} were reset");
    let found = cluster.records(TOPIC, 0);
    let values = found.iter().map(|record| record.value.clone().expect("a value"));
    let expected = (0..count).map(|number| bytes::Bytes::from(number.to_string()));
    assert!(values.eq(expected), "each once and in order");
}

#[tokio::test]
async fn what_is_lost_in_silence_is_noticed_and_sent_again() {
    for fate in [
        // In the middle of a request, and in the middle of an answer.
        Fate::Silence(Side::Client, 400),
        Fate::Silence(Side::Broker, 1_100),
        Fate::Drip(Duration::from_millis(10)),
    ] {
        let (cluster, proxy) = through_a_proxy(None).await;
        let producer = producer(
            &proxy,
            &[
                ("request.timeout.ms", "300"),
                ("batch.size", "300"),
                ("socket.connection.setup.timeout.ms", "300"),
            ],
        );
        send_one(&producer, "0:0").await.expect("nothing is wrong yet");
        proxy.plan([fate], Fate::Pass);
        proxy.cut();
        let mut values = vec!["0:0".to_owned()];
        for number in 1..40 {
            let value = format!("0:{number}");
            send_one(&producer, &value)
                .await
                .unwrap_or_else(|error| panic!("{fate:?}: {error}"));
            values.push(value);
        }
        let found = cluster.records(TOPIC, 0);
        let found = found
            .iter()
            .map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned());
        assert_eq!(found.collect::<Vec<_>>(), values, "{fate:?}");
        assert!(proxy.traffic().len() > 1, "{fate:?}: a second connection");
    }
}

#[tokio::test]
async fn a_black_hole_is_left_after_the_setup_timeout() {
    let (cluster, proxy) = through_a_proxy(None).await;
    proxy.plan([Fate::BlackHole, Fate::BlackHole], Fate::Pass);
    let producer = producer(
        &proxy,
        &[
            ("socket.connection.setup.timeout.ms", "100"),
            ("socket.connection.setup.timeout.max.ms", "200"),
        ],
    );
    let sent = send_many(&producer, 50, 5).await;
    check_acked_once_in_order(&cluster, sent).await;
}

#[tokio::test]
async fn a_black_hole_without_end_fails_each_record_by_its_deadline() {
    let (_cluster, proxy) = through_a_proxy(None).await;
    let producer = producer(
        &proxy,
        &[
            ("request.timeout.ms", "200"),
            ("delivery.timeout.ms", "1000"),
            ("socket.connection.setup.timeout.ms", "200"),
        ],
    );
    send_one(&producer, "before").await.expect("nothing is wrong yet");
    proxy.plan([], Fate::BlackHole);
    proxy.cut();
    let start = Instant::now();
    for number in 0..3 {
        let error = send_one(&producer, &number.to_string())
            .await
            .expect_err("nobody answers");
        assert!(error.is_timeout(), "{error}");
    }
    // Three deadlines of a second each; a machine that is this slow has other troubles.
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// The same bootstrap address leads to another cluster, which knows nothing of the first (KIP-899).
#[tokio::test]
async fn a_cluster_that_was_replaced_behind_its_bootstrap_address_is_found() {
    let start = || {
        let builder = TestCluster::builder().topic(TOPIC, PARTITIONS);
        builder.start_blocking().expect("loopback has free ports")
    };
    let (old, new) = (start(), start());
    let proxy = Proxy::start(old.addresses()[0]).await;
    let producer = producer(&proxy, &[]);
    send_one(&producer, "old").await.expect("acked");
    assert_eq!(old.records(TOPIC, 0).len(), 1);
    proxy.retarget(new.addresses()[0]);
    proxy.cut();
    drop(old);
    send_one(&producer, "new").await.expect("acked");
    assert_eq!(new.records(TOPIC, 0).len(), 1);
}
