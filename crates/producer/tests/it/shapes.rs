//! The shapes that sending comes in: many at once, streams, sinks, threads without a runtime; on every kind of runtime.

use crate::support::{PARTITIONS, TOPIC, cluster, producer};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use ottla::{Acknowledgement, Deliveries, Interceptor, Producer, Record, blocking};
use ottla_broker::{Fault, FaultAction, TestCluster};
use ottla_protocol::{ApiKey, ErrorCode};
use std::time::Duration;

fn records(count: usize) -> impl Iterator<Item = Record<'static>> {
    (0..count).map(|number| Record::to(TOPIC).value(number.to_string()).partition(0))
}

#[track_caller]
fn check_log(cluster: &TestCluster, count: usize) {
    let values = cluster
        .records(TOPIC, 0)
        .into_iter()
        .map(|record| record.value.expect("a value"));
    let values: Vec<_> = values
        .map(|value| String::from_utf8(value.to_vec()).expect("text"))
        .collect();
    let expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert!(values == expected, "{} records", values.len());
}

/// `settings` leave room for a few hundred records: what is sent has to wait for memory again and again.
const SMALL: [(&str, &str); 2] = [("buffer.memory", "20000"), ("batch.size", "1000")];

async fn all_shapes() {
    for shape in 0..3 {
        let cluster = cluster(1);
        let producer = producer(&cluster, &SMALL);
        let offsets: Vec<_> = match shape {
            0 => producer.send_all(records(3_000)).await,
            1 => producer.send_stream(stream::iter(records(3_000))).collect().await,
            _ => {
                let mut sink = producer.sink();
                for record in records(3_000) {
                    sink.feed(record).await.expect("room");
                }
                sink.close().await.expect("all are acked");
                Vec::new()
            }
        };
        let offsets: Vec<_> = offsets
            .into_iter()
            .map(|outcome| outcome.expect("acked").offset())
            .collect();
        let expected: Vec<_> = (0..3_000).map(Some).collect();
        assert!(shape == 2 || offsets == expected, "shape {shape}: not in order");
        check_log(&cluster, 3_000);
    }
}

#[tokio::test]
async fn many_records_on_a_current_thread_runtime() {
    all_shapes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_on_a_multi_thread_runtime() {
    tokio::spawn(all_shapes()).await.expect("no panic");
}

/// The producer's I/O on the very runtime that its user runs on, which has one thread.
#[tokio::test]
async fn the_io_may_share_its_users_only_thread() {
    let cluster = cluster(1);
    let builder = Producer::builder().bootstrap_servers(cluster.bootstrap_servers());
    let producer = builder
        .runtime(tokio::runtime::Handle::current())
        .build()
        .expect("valid");
    let outcomes = producer.send_all(records(1_000)).await;
    assert!(outcomes.len() == 1_000 && outcomes.iter().all(Result::is_ok));
    producer.close(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn what_fails_is_told_and_what_cannot_be_queued_ends_it() {
    let cluster = cluster(1);
    let refuse = FaultAction::Error(ErrorCode::INVALID_RECORD);
    cluster.add_fault(Fault::new(refuse).api(ApiKey::PRODUCE).partition(1));
    let producer = producer(&cluster, &[("max.block.ms", "500")]);
    let partitions = [0, 1, 0, 77, 0];
    let records = || {
        partitions
            .map(|partition| Record::to(TOPIC).partition(partition))
            .into_iter()
    };
    let outcomes = producer.send_all(records()).await;
    let failed: Vec<_> = outcomes.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false, true]);

    // A stream goes on behind what could not be queued.
    let outcomes: Vec<_> = producer.send_stream(stream::iter(records())).collect().await;
    let failed: Vec<_> = outcomes.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false, true, false]);

    let mut sink = producer.sink();
    sink.send(Record::to(TOPIC).partition(0)).await.expect("acked");
    let error = sink
        .send(Record::to(TOPIC).partition(1))
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
    sink.send(Record::to(TOPIC).partition(0))
        .await
        .expect("it can be used on");
}

struct Looks;

impl Interceptor for Looks {
    fn on_acknowledgement(&self, _: &Acknowledgement<'_>) {}
}

/// Records of two partitions by turns, of which one is refused: with outcomes by the batch, and by the record.
#[tokio::test]
async fn outcomes_of_many_records_are_counted_together() {
    for observed in [false, true] {
        let cluster = cluster(1);
        let refuse = FaultAction::Error(ErrorCode::INVALID_RECORD);
        cluster.add_fault(Fault::new(refuse).api(ApiKey::PRODUCE).partition(1));
        let mut builder = Producer::builder()
            .bootstrap_servers(cluster.bootstrap_servers())
            .set("batch.size", "500");
        if observed {
            builder = builder.interceptor(Looks);
        }
        let producer = builder.build().expect("valid");
        let mut deliveries = Deliveries::new();
        for number in 0..1_000 {
            // Runs of ten, so that neighbours are kept together, and others begin anew.
            let record = Record::to(TOPIC).value("a value").partition(number / 10 % 2);
            deliveries.push(producer.send(&record).await.expect("queued"));
        }
        assert_eq!(deliveries.len(), 1_000);
        let early = deliveries.take_resolved();
        let late = deliveries.take_all().await;
        assert!(deliveries.is_empty() && deliveries.take_resolved().acknowledged == 0);
        let counts = (early.acknowledged + late.acknowledged, early.failed + late.failed);
        assert_eq!(counts, (500, 500), "observed: {observed}");
        let error = early.into_result().and(late.into_result()).expect_err("refused");
        assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
    }
}

#[test]
fn a_thread_without_a_runtime_has_the_same_calls() {
    let cluster = cluster(1);
    let producer = blocking::Producer::new(producer(&cluster, &[("transactional.id", "t")]));
    let partitions = producer.partitions_for(TOPIC).expect("known");
    assert!(partitions.len() == PARTITIONS as usize && partitions.iter().all(|p| p.leader == Some(1)));
    let transaction = producer.begin().expect("begun");
    let delivery = transaction
        .send(&Record::to(TOPIC).value("0").partition(0))
        .expect("queued");
    transaction.commit().expect("committed");
    assert_eq!(delivery.wait().expect("acked").offset(), Some(0));
    let transaction = producer.begin().expect("begun");
    drop(
        transaction
            .send(&Record::to(TOPIC).value("no").partition(0))
            .expect("queued"),
    );
    transaction.abort().expect("aborted");
    producer.begin_transaction().expect("begun");
    let outcomes = producer.send_all([Record::to(TOPIC).value("1").partition(0)]);
    assert!(outcomes[0].is_ok());
    producer.flush();
    producer.commit_transaction().expect("committed");
    producer.close(Duration::from_secs(30));
    let committed = cluster.committed_records(TOPIC, 0).into_iter();
    let values: Vec<_> = committed.filter_map(|record| record.value).collect();
    assert_eq!(values, [&b"0"[..], b"1"]);
    let error = producer.send(&Record::to(TOPIC)).expect_err("closed");
    assert!(
        error.is_closed() && error.advice().contains("another producer"),
        "{error}"
    );
}

/// Dropping what is not finished must not wait, whatever it holds.
#[test]
fn a_drop_never_waits() {
    let cluster = cluster(1);
    let settings = [
        ("linger.ms", "60000"),
        ("delivery.timeout.ms", "120000"),
        ("transactional.id", "t"),
    ];
    let producer = producer(&cluster, &settings);
    let transaction = blocking::wait(producer.begin()).expect("begun");
    let delivery = blocking::wait(transaction.send(&Record::to(TOPIC))).expect("queued");
    // The cluster stands still: a drop that waited would wait for ever.
    let guard = cluster.cluster();
    drop(transaction);
    drop(producer);
    drop(guard);
    assert!(blocking::wait(delivery).expect_err("aborted").is_abortable());
}
