//! Transactions against clusters of every protocol, with trouble at each of their requests.

use crate::support::{PARTITIONS, TOPIC, producer};
use ottla::blocking::wait;
use ottla::{Error, GroupMetadata, GroupOffset, Producer, Record};
use ottla_broker::{Cluster, Fault, FaultAction, Pose, TestCluster, TransactionVersion};
use ottla_protocol::{ApiKey, ErrorCode};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

const ID: &str = "orders-1";

/// The protocols and the releases that differ for a transactional producer.
const POSES: [(Pose, TransactionVersion); 6] = [
    (Pose::V2_1, TransactionVersion::V0),
    (Pose::V2_8, TransactionVersion::V0),
    (Pose::V3_9, TransactionVersion::V1),
    (Pose::V4_0, TransactionVersion::V2),
    (Pose::V4_3, TransactionVersion::V1),
    (Pose::V4_3, TransactionVersion::V2),
];
const V1: (Pose, TransactionVersion) = POSES[4];
const V2: (Pose, TransactionVersion) = POSES[5];

fn cluster(brokers: i32, (pose, version): (Pose, TransactionVersion)) -> TestCluster {
    let builder = TestCluster::builder().brokers(brokers).topic(TOPIC, PARTITIONS);
    let builder = builder.pose(pose).transaction_version(version);
    builder.start_blocking().expect("loopback has free ports")
}

fn transactional(cluster: &TestCluster, settings: &[(&str, &str)]) -> Producer {
    let mut all = vec![("transactional.id", ID), ("max.block.ms", "20000")];
    all.extend_from_slice(settings);
    producer(cluster, &all)
}

/// Sends `count` records whose values begin with `name`, over all partitions.
/// What the coordinator calls the state of our transaction.
fn state(cluster: &Cluster) -> Option<&'static str> {
    cluster.transaction(ID).map(|transaction| transaction.state)
}

async fn send(producer: &Producer, name: &str, count: usize) -> Result<(), Error> {
    for number in 0..count {
        let value = format!("{name}:{number}");
        let partition = i32::try_from(number % 6).expect("small");
        drop(
            producer
                .send(&Record::to(TOPIC).partition(partition).value(&value))
                .await?,
        );
    }
    Ok(())
}

/// The values that a read_committed reader sees, in the order of each partition.
fn committed(cluster: &TestCluster) -> Vec<String> {
    let mut values = Vec::new();
    for partition in 0..PARTITIONS {
        for record in cluster.committed_records(TOPIC, partition) {
            let value = record.value.expect("a value").to_vec();
            values.push(String::from_utf8(value).expect("text"));
        }
    }
    values
}

/// What a reader sees has to be `count` records of each of these transactions, once, in order, and nothing else.
#[track_caller]
fn check_committed(cluster: &TestCluster, names: &[&str], count: usize) {
    let mut found = committed(cluster);
    let mut expected: Vec<String> = Vec::new();
    for partition in 0..6 {
        for name in names {
            let numbers = (0..count).filter(|number| number % 6 == partition);
            expected.extend(numbers.map(|number| format!("{name}:{number}")));
        }
    }
    found.dedup();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    for pose in POSES {
        let cluster = cluster(1, pose);
        let producer = transactional(&cluster, &[]);
        producer.init_transactions().await.expect("initialised");
        for name in ["a", "b", "c"] {
            producer.begin_transaction().await.expect("begun");
            send(&producer, name, 20).await.expect("queued");
            producer.commit_transaction().await.expect("committed");
            let aborted = producer.begin().await.expect("begun");
            send(&producer, "aborted", 20).await.expect("queued");
            producer.flush().await;
            aborted.abort().await.expect("aborted");
        }
        check_committed(&cluster, &["a", "b", "c"], 20);
        // The aborted ones are in the log all the same.
        let all: usize = (0..PARTITIONS)
            .map(|partition| cluster.records(TOPIC, partition).len())
            .sum();
        assert_eq!(all, 120, "{pose:?}");
    }
}

#[test]
fn everything_works_without_a_runtime() {
    let cluster = cluster(1, V2);
    let producer = transactional(&cluster, &[]);
    let transaction = wait(producer.begin()).expect("begun");
    let delivery = wait(transaction.send(&Record::to(TOPIC).partition(0).value("a:0"))).expect("queued");
    wait(transaction.commit()).expect("committed");
    assert!(wait(delivery).is_ok());
    check_committed(&cluster, &["a"], 1);
}

#[tokio::test]
async fn a_dropped_guard_aborts_in_the_background() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let producer = transactional(
            &cluster,
            &[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")],
        );
        let dropped = producer.begin().await.expect("begun");
        let delivery = dropped
            .send(&Record::to(TOPIC).value("never sent"))
            .await
            .expect("queued");
        drop(dropped);
        let failure = delivery.await.expect_err("it was not sent");
        assert!(failure.is_abortable(), "{failure}");
        let transaction = producer.begin().await.expect("the abort is waited for");
        let record = Record::to(TOPIC).partition(0).value("a:0");
        let delivery = transaction.send(&record).await.expect("queued");
        transaction.commit().await.expect("committed");
        assert!(delivery.await.is_ok());
        check_committed(&cluster, &["a"], 1);
    }
}

#[tokio::test]
async fn a_record_outside_of_a_transaction_is_refused_and_never_sent_in_the_next() {
    let cluster = cluster(1, V2);
    let producer = transactional(&cluster, &[]);
    producer.init_transactions().await.expect("initialised");
    let record = Record::to(TOPIC).partition(0).value("stray");
    assert!(producer.send(&record).await.is_err());
    assert!(producer.try_send(&record).is_err());
    let first = producer.begin().await.expect("begun");
    first.abort().await.expect("aborted, without a request");
    let second = producer.begin().await.expect("begun");
    second.commit().await.expect("committed, without a request");
    assert!(producer.send(&record).await.is_err());
    let misused = [
        producer.commit_transaction().await,
        producer.abort_transaction().await,
        producer
            .send_offsets_to_transaction(vec![GroupOffset::new(TOPIC, 0, 1)], GroupMetadata::new("g"))
            .await,
    ];
    for error in misused {
        let error = error.expect_err("there is no transaction");
        assert!(
            !error.is_fatal() && !error.is_retriable() && !error.is_abortable(),
            "{error}"
        );
    }
    assert!(committed(&cluster).is_empty());
    let plain = self::producer(&cluster, &[]);
    let error = plain.begin().await.expect_err("not transactional");
    assert!(error.to_string().contains("transactional.id"), "{error}");
}

/// Trouble once at each request of a transaction: each is gone through, nothing twice, nothing lost.
#[tokio::test]
async fn trouble_at_each_request_is_survived() {
    let apis = [
        ApiKey::FIND_COORDINATOR,
        ApiKey::INIT_PRODUCER_ID,
        ApiKey::ADD_PARTITIONS_TO_TXN,
        ApiKey::PRODUCE,
        ApiKey::ADD_OFFSETS_TO_TXN,
        ApiKey::TXN_OFFSET_COMMIT,
        ApiKey::END_TXN,
    ];
    let actions = [
        FaultAction::Error(ErrorCode::NOT_COORDINATOR),
        FaultAction::Error(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        FaultAction::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        FaultAction::Error(ErrorCode::CONCURRENT_TRANSACTIONS),
        FaultAction::Disconnect,
        FaultAction::DisconnectAfter,
        FaultAction::GarbageBody(bytes::Bytes::from_static(b"\xff\xff\xff")),
    ];
    for pose in [V1, V2] {
        for action in &actions {
            let cluster = cluster(2, pose);
            for api in apis {
                cluster.add_fault(Fault::new(action.clone()).api(api).times(2));
            }
            let producer = transactional(&cluster, &[]);
            for name in ["a", "b"] {
                let context = || format!("{pose:?} {action:?} {name}");
                let transaction = producer
                    .begin()
                    .await
                    .unwrap_or_else(|error| panic!("{}: {error}", context()));
                send(&producer, name, 12).await.expect("queued");
                let offsets = vec![GroupOffset::new(TOPIC, 0, 12)];
                let sent = transaction.send_offsets(offsets, GroupMetadata::new("g")).await;
                sent.unwrap_or_else(|error| panic!("{}: {error}", context()));
                let committed = transaction.commit().await;
                committed.unwrap_or_else(|error| panic!("{}: {error}", context()));
            }
            check_committed(&cluster, &["a", "b"], 12);
            assert_eq!(cluster.cluster().committed_offset("g", TOPIC, 0), Some(12));
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_resolved_by_repeating_it() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let rule = cluster.add_fault(Fault::new(FaultAction::DropResponse).api(ApiKey::END_TXN));
        let producer = transactional(
            &cluster,
            &[("max.block.ms", "300"), ("request.timeout.ms", "100")],
        );
        let transaction = loop {
            match producer.begin().await {
                Ok(transaction) => break transaction,
                Err(error) => assert!(error.is_retriable(), "{error}"),
            }
        };
        send(&producer, "a", 6).await.expect("queued");
        let error = transaction.commit().await.expect_err("no answer");
        assert!(
            error.is_retriable() && error.is_timeout() && error.is_outcome_unknown(),
            "{error}"
        );
        for error in [
            producer.abort_transaction().await.err(),
            producer.begin().await.err(),
            producer.send(&Record::to(TOPIC)).await.err(),
        ] {
            let error = error.expect("the commit is not resolved");
            assert!(
                error.is_retriable() && error.to_string().contains("commit_transaction"),
                "{error}"
            );
        }
        assert!(cluster.cluster().remove_fault(rule));
        let resolved = loop {
            match producer.commit_transaction().await {
                Err(error) if error.is_retriable() => {}
                resolved => break resolved,
            }
        };
        resolved.expect("it was committed all along");
        check_committed(&cluster, &["a"], 6);
    }
}

#[tokio::test]
async fn a_record_that_is_not_delivered_fails_the_commit_and_the_work_can_be_done_again() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let refused = Fault::new(FaultAction::Error(ErrorCode::INVALID_RECORD))
            .api(ApiKey::PRODUCE)
            .once();
        cluster.add_fault(refused);
        let producer = transactional(&cluster, &[]);
        let transaction = producer.begin().await.expect("begun");
        send(&producer, "a", 12).await.expect("queued");
        let error = transaction.commit().await.expect_err("a record is lost");
        assert!(error.is_abortable() && !error.is_outcome_unknown(), "{error}");
        assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
        // The dropped guard has seen to the abort.
        let transaction = producer.begin().await.expect("begun");
        send(&producer, "b", 12).await.expect("queued");
        transaction.commit().await.expect("committed");
        check_committed(&cluster, &["b"], 12);
    }
}

#[tokio::test]
async fn a_twin_fences_for_ever() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let old = transactional(&cluster, &[]);
        let transaction = old.begin().await.expect("begun");
        send(&old, "old", 6).await.expect("queued");
        old.flush().await;
        let new = transactional(&cluster, &[]);
        let successor = new.begin().await.expect("it takes over");
        send(&new, "new", 6).await.expect("queued");
        let error = transaction.commit().await.expect_err("fenced");
        assert!(error.is_fatal() && !error.is_outcome_unknown(), "{error}");
        successor.commit().await.expect("committed");
        for error in [old.begin().await.err(), old.send(&Record::to(TOPIC)).await.err()] {
            assert!(error.expect("fenced").is_fatal());
        }
        check_committed(&cluster, &["new"], 6);
    }
}

#[tokio::test]
async fn a_transaction_that_is_open_for_longer_than_its_timeout_is_aborted() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let producer = transactional(&cluster, &[("transaction.timeout.ms", "50")]);
        let transaction = producer.begin().await.expect("begun");
        send(&producer, "late", 6).await.expect("queued");
        producer.flush().await;
        // The cluster's clock runs by itself; it tells when it has aborted.
        cluster
            .wait_until(|cluster| state(cluster) == Some("CompleteAbort"))
            .await;
        transaction.commit().await.expect_err("timed out");
        check_committed(&cluster, &[], 0);
    }
}

#[tokio::test]
async fn a_transaction_that_times_out_is_aborted_and_the_producer_goes_on() {
    // Under protocol 1 the brokers of this test let the producer have the epoch that the timeout raised (KIP-588).
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let producer = transactional(&cluster, &[]);
        let transaction = producer.begin().await.expect("begun");
        send(&producer, "late", 6).await.expect("queued");
        producer.flush().await;
        assert_eq!(cluster.cluster().time_out_transaction(ID), Ok(true));
        // Whether the next records or the commit itself meet the new epoch: it is not committed.
        let error = match send(&producer, "later", 6).await {
            Ok(()) => transaction.commit().await.expect_err("timed out"),
            Err(error) => {
                drop(transaction);
                error
            }
        };
        assert!(error.is_abortable() || error.is_fatal(), "{error}");
        assert!(!error.is_outcome_unknown(), "{error}");
        if error.is_abortable() {
            let transaction = producer.begin().await.expect("begun");
            send(&producer, "a", 6).await.expect("queued");
            transaction.commit().await.expect("committed");
            check_committed(&cluster, &["a"], 6);
        }
    }
}

#[tokio::test]
async fn offsets_count_with_the_commit_and_not_with_the_abort() {
    for pose in POSES {
        let cluster = cluster(1, pose);
        let producer = transactional(&cluster, &[]);
        for (offset, commits) in [(10, true), (20, false), (30, true)] {
            let transaction = producer.begin().await.expect("begun");
            let offsets = vec![
                GroupOffset::new(TOPIC, 0, offset),
                GroupOffset::new(TOPIC, 1, offset + 1),
            ];
            transaction
                .send_offsets(offsets, GroupMetadata::new("g"))
                .await
                .expect("taken");
            // A transaction of offsets alone is one, too.
            if commits {
                transaction.commit().await.expect("committed");
            } else {
                transaction.abort().await.expect("aborted");
            }
            let last = if commits { offset } else { 10 };
            let found = [0, 1].map(|partition| cluster.cluster().committed_offset("g", TOPIC, partition));
            assert_eq!(found, [Some(last), Some(last + 1)], "{pose:?}");
        }
    }
}

#[tokio::test]
async fn offsets_of_a_consumer_that_was_replaced_abort_the_transaction() {
    let cluster = cluster(1, V2);
    let producer = transactional(&cluster, &[]);
    let transaction = producer.begin().await.expect("begun");
    let stranger = GroupMetadata::new("g").member(7, "nobody");
    let offsets = vec![GroupOffset::new(TOPIC, 0, 1)];
    let error = transaction
        .send_offsets(offsets, stranger)
        .await
        .expect_err("it is no member");
    assert!(error.is_abortable(), "{error}");
    assert!(transaction.commit().await.expect_err("must abort").is_abortable());
    producer
        .begin()
        .await
        .expect("begun")
        .commit()
        .await
        .expect("committed");
    assert_eq!(cluster.cluster().committed_offset("g", TOPIC, 0), None);
}

#[tokio::test]
async fn batches_too_large_for_the_broker_are_split_inside_a_transaction() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let too_large = Fault::new(FaultAction::Error(ErrorCode::MESSAGE_TOO_LARGE))
            .api(ApiKey::PRODUCE)
            .times(3);
        cluster.add_fault(too_large);
        let producer = transactional(&cluster, &[("linger.ms", "50")]);
        for name in ["a", "b"] {
            let transaction = producer.begin().await.expect("begun");
            send(&producer, name, 120).await.expect("queued");
            transaction.commit().await.expect("committed");
        }
        check_committed(&cluster, &["a", "b"], 120);
    }
}

#[tokio::test]
async fn brokers_die_and_coordinators_move_between_and_within_transactions() {
    for pose in [V1, V2] {
        let cluster = cluster(3, pose);
        let producer = transactional(&cluster, &[("request.timeout.ms", "1000")]);
        let names: Vec<String> = (0..6).map(|number| format!("t{number}")).collect();
        let brokers = cluster.cluster().broker_ids();
        for (number, name) in names.iter().enumerate() {
            let transaction = producer.begin().await.expect("begun");
            send(&producer, name, 18).await.expect("queued");
            let broker = brokers[number % brokers.len()];
            let _ = cluster.cluster().kill_broker(broker);
            transaction
                .commit()
                .await
                .unwrap_or_else(|error| panic!("{pose:?} {name}: {error}"));
            let _ = cluster.cluster().start_broker(broker);
            let _ = cluster
                .cluster()
                .move_coordinator(ID, brokers[(number + 1) % brokers.len()]);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check_committed(&cluster, &names, 18);
    }
}

#[tokio::test]
async fn a_close_aborts_what_nobody_committed_and_finishes_a_commit() {
    for pose in [V1, V2] {
        let cluster = cluster(1, pose);
        let producer = transactional(&cluster, &[]);
        let open = producer.begin().await.expect("begun");
        send(&producer, "open", 6).await.expect("queued");
        producer.flush().await;
        producer.close(Duration::from_secs(20)).await;
        assert_eq!(state(&cluster.cluster()), Some("CompleteAbort"));
        assert!(open.commit().await.is_err());

        let producer = transactional(&cluster, &[]);
        let transaction = producer.begin().await.expect("begun");
        send(&producer, "a", 6).await.expect("queued");
        let mut commit = Box::pin(transaction.commit());
        // It is called before the close, whenever the tasks run.
        assert!(poll_fn(|cx| Poll::Ready(commit.as_mut().poll(cx).is_pending())).await);
        let commit = tokio::spawn(commit);
        while state(&cluster.cluster()).is_none_or(|state| state == "Empty" || state == "CompleteAbort") {
            tokio::task::yield_now().await;
        }
        producer.close(Duration::from_secs(20)).await;
        commit.await.expect("it runs").expect("committed");
        check_committed(&cluster, &["a"], 6);
    }
}
