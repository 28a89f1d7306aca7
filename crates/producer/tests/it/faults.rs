//! Trouble on the way: each record is in the log once all the same.

use crate::support::{
    PARTITIONS, TOPIC, check_acked_once_in_order, cluster, producer, send_many, send_range,
};
use ottla::{Persistence, Record};
use ottla_broker::{Fault, FaultAction};
use ottla_protocol::{ApiKey, ErrorCode};
use std::time::{Duration, Instant};

#[tokio::test]
async fn each_fault_on_the_way_is_survived_once_and_in_order() {
    let garbage = || bytes::Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    for action in [
        FaultAction::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        FaultAction::Error(ErrorCode::NOT_ENOUGH_REPLICAS),
        FaultAction::Error(ErrorCode::CORRUPT_MESSAGE),
        FaultAction::ErrorAfter(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND),
        FaultAction::ErrorAfter(ErrorCode::REQUEST_TIMED_OUT),
        FaultAction::Disconnect,
        FaultAction::DisconnectAfter,
        FaultAction::CloseAtByte(3),
        FaultAction::Garbage(garbage()),
        FaultAction::GarbageBody(garbage()),
        FaultAction::WrongCorrelationId(1),
        FaultAction::OmitPartitions,
        FaultAction::Throttle(Duration::from_millis(20)),
        FaultAction::DelayResponse(Duration::from_millis(20)),
    ] {
        let cluster = cluster(1);
        // The first requests open the windows of the partitions; the fault meets pipelines that are full.
        cluster.add_fault(Fault::new(action.clone()).api(ApiKey::PRODUCE).skip(4).times(3));
        let producer = producer(&cluster, &[("batch.size", "500")]);
        let sent = send_many(&producer, 2_000, 30).await;
        check_acked_once_in_order(&cluster, sent).await;
        let struck = cluster
            .events()
            .iter()
            .filter(|event| format!("{event:?}").contains("Fault"))
            .count();
        assert!(struck > 0, "{action:?} never struck");
    }
}

#[tokio::test]
async fn a_silent_connection_is_given_up_after_request_timeout() {
    let cluster = cluster(1);
    cluster.add_fault(Fault::new(FaultAction::DropResponse).api(ApiKey::PRODUCE).once());
    let producer = producer(&cluster, &[("request.timeout.ms", "200")]);
    let sent = send_many(&producer, 10, 3).await;
    check_acked_once_in_order(&cluster, sent).await;
}

#[tokio::test]
async fn leaders_die_and_move_while_records_flow() {
    let cluster = cluster(3);
    let producer = producer(&cluster, &[("batch.size", "300"), ("request.timeout.ms", "1000")]);
    let mut sent = send_many(&producer, 300, 30).await;
    // In a statement of its own: the guard holds the whole cluster up while it lives.
    let brokers = cluster.cluster().broker_ids();
    for broker in brokers {
        cluster.cluster().kill_broker(broker).expect("it exists");
        let from = sent.len();
        sent.extend(send_range(&producer, from..from + 300, 30).await);
        cluster.cluster().start_broker(broker).expect("it exists");
        let from = sent.len();
        sent.extend(send_range(&producer, from..from + 300, 30).await);
    }
    check_acked_once_in_order(&cluster, sent).await;
}

#[tokio::test]
async fn a_frozen_broker_holds_up_only_its_own_partitions_and_memory_stays_bounded() {
    let cluster = cluster(2);
    let settings = [
        ("buffer.memory", "200000"),
        ("batch.size", "1000"),
        ("max.block.ms", "5000"),
    ];
    let producer = producer(&cluster, &settings);
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    for &partition in &partitions {
        let record = Record::to(TOPIC).partition(partition).value("v");
        producer
            .send(&record)
            .await
            .expect("queued")
            .await
            .expect("acked");
    }
    cluster.cluster().freeze_broker(1).expect("it exists");
    let mut alive = Vec::new();
    for &partition in &partitions {
        let state = cluster
            .cluster()
            .partition_state(TOPIC, partition)
            .expect("it exists");
        if state.leader != 1 {
            alive.push(partition);
        }
    }
    assert!(!alive.is_empty() && alive.len() < partitions.len(), "{alive:?}");
    let started = Instant::now();
    for &partition in &alive {
        let record = Record::to(TOPIC).partition(partition).value("v");
        producer
            .send(&record)
            .await
            .expect("queued")
            .await
            .expect("acked");
    }
    // Far below request.timeout.ms, which is all that could end the other broker's silence.
    assert!(started.elapsed() < Duration::from_secs(20));
    let frozen = partitions
        .iter()
        .find(|partition| !alive.contains(partition))
        .expect("there is one");
    let value = vec![7; 900];
    let mut queued = Vec::new();
    let error = loop {
        let record = Record::to(TOPIC).partition(*frozen).value(&value);
        match producer.send(&record).await {
            Ok(delivery) => queued.push(delivery),
            Err(error) => break error,
        }
        assert!(producer.memory_used() <= 200_000);
    };
    assert!(
        error.is_timeout() && error.to_string().contains("buffer.memory"),
        "{error}"
    );
    producer.close(Duration::ZERO).await;
    for delivery in queued {
        let failure = delivery.await.expect_err("never acked");
        assert_ne!(failure.persistence(), Persistence::Persisted);
    }
}
