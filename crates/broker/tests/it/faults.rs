//! Every fault on request does what it says, to the requests it names, as often as it says.

use crate::batch::Batch;
use crate::link::Core;
use bytes::Bytes;
use ottla_broker::{ClusterConfig, EventKind, Fault, FaultAction, Output, TopicSpec};
use ottla_protocol::messages::create_topics::CreatableTopic;
use ottla_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceResponse, TopicProduceData,
};
use ottla_protocol::messages::{CreateTopicsRequest, ProduceRequest};
use ottla_protocol::{ApiKey, ErrorCode, frame};
use ottla_time::Time;
use std::sync::Arc;
use std::time::Duration;

const VERSION: i16 = 12;

fn core() -> Core {
    let mut config = ClusterConfig::default();
    config.topics = vec![TopicSpec::new("t", 3)];
    Core::new(config)
}

/// A Produce of one record for each of these partitions.
fn produce(correlation_id: i32, partitions: &[i32]) -> Vec<u8> {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1_000,
        topic_data: vec![TopicProduceData {
            name: "t".to_owned(),
            partition_data: partitions
                .iter()
                .map(|&index| PartitionProduceData {
                    index,
                    records: Some(Batch::plain(1).build()),
                    ..PartitionProduceData::default()
                })
                .collect(),
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    frame::encode_request(&request, VERSION, correlation_id, None)
        .expect("a request")
        .to_vec()
}

/// What a client sees: when, and which bytes; no bytes are the end of the connection.
fn observed(core: &mut Core) -> Vec<(Time, Bytes)> {
    let mut seen = Vec::new();
    while let Some(output) = core.next_output() {
        match output {
            Output::Send { bytes, .. } => seen.push((core.now, bytes)),
            Output::Close { .. } => seen.push((core.now, Bytes::new())),
            output => panic!("{output:?}"),
        }
    }
    seen
}

fn decode(bytes: &Bytes) -> (i32, ProduceResponse) {
    frame::decode_response::<ProduceRequest>(&bytes.slice(4..), VERSION).expect("an answer that can be read")
}

fn answers(bytes: &Bytes) -> Vec<PartitionProduceResponse> {
    decode(bytes).1.responses.remove(0).partition_responses
}

fn log_end(core: &Core, partition: i32) -> i64 {
    core.cluster
        .partition_state("t", partition)
        .expect("a partition")
        .log_end
}

/// Sends one Produce for partition 0 under a fault; what is seen, and whether the record is in the log. That the rule
/// struck is an event.
fn under(action: FaultAction) -> (Vec<(Time, Bytes)>, bool) {
    let mut core = core();
    let rule = core
        .cluster
        .add_fault(Fault::new(action.clone()).api(ApiKey::PRODUCE));
    core.submit(&produce(1, &[0]));
    let seen = observed(&mut core);
    let struck: Vec<EventKind> = core
        .cluster
        .events()
        .map(|event| event.kind.clone())
        .filter(|kind| matches!(kind, EventKind::Fault { .. }))
        .collect();
    let expected = EventKind::Fault {
        connection: 0,
        rule,
        api: ApiKey::PRODUCE,
    };
    assert_eq!(struck, [expected], "{action:?}");
    (seen, log_end(&core, 0) == 1)
}

#[test]
fn errors_are_told_for_the_partitions_they_name() {
    let mut core = core();
    let error = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    core.cluster.add_fault(
        Fault::new(FaultAction::Error(error))
            .topic("t")
            .partition(1)
            .skip(1)
            .once(),
    );
    let expected = [[0, 0], [0, error.0], [0, 0]];
    for (request, expected) in expected.into_iter().enumerate() {
        core.submit(&produce(i32::try_from(request).expect("small"), &[0, 1]));
        let seen = observed(&mut core);
        let errors: Vec<i16> = answers(&seen[0].1)
            .iter()
            .map(|answer| answer.error_code)
            .collect();
        assert_eq!(errors, expected, "request {request}");
    }
    assert_eq!((log_end(&core, 0), log_end(&core, 1)), (3, 2));
    let faults = core
        .cluster
        .events()
        .filter(|event| matches!(event.kind, EventKind::Fault { .. }))
        .count();
    assert_eq!(faults, 1);
    let refused = core.cluster.events().any(
        |event| matches!(&event.kind, EventKind::Refused { partition: 1, error: told, .. } if *told == error),
    );
    assert!(refused, "the refusal is recorded");
}

#[test]
fn an_error_after_the_append_leaves_the_record_in_the_log() {
    let (seen, appended) = under(FaultAction::ErrorAfter(
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ));
    let answer = &answers(&seen[0].1)[0];
    assert_eq!((answer.error_code, answer.base_offset), (20, -1));
    assert!(appended);
}

#[test]
fn requests_and_responses_get_lost() {
    assert_eq!(under(FaultAction::DropRequest), (vec![], false));
    assert_eq!(under(FaultAction::DropResponse), (vec![], true));
    // Later requests of the connection are not held up.
    let mut core = core();
    core.cluster
        .add_fault(Fault::new(FaultAction::DropResponse).once());
    core.submit(&produce(1, &[0]));
    core.submit(&produce(2, &[0]));
    let seen = observed(&mut core);
    assert_eq!(seen.len(), 1);
    assert_eq!(decode(&seen[0].1).0, 2);
    assert_eq!(log_end(&core, 0), 2);
}

#[test]
fn connections_break_before_and_after() {
    let closed = vec![(Time::ZERO, Bytes::new())];
    assert_eq!(under(FaultAction::Disconnect), (closed.clone(), false));
    assert_eq!(under(FaultAction::DisconnectAfter), (closed, true));
}

#[test]
fn connections_break_at_every_byte() {
    let (whole, _) = under(FaultAction::Delay(Duration::ZERO));
    let whole = &whole[0].1;
    for bytes in 0..=whole.len() + 1 {
        let (seen, appended) = under(FaultAction::CloseAtByte(bytes));
        let cut = whole.slice(..bytes.min(whole.len()));
        let expected = [cut.clone(), Bytes::new()];
        assert_eq!(
            seen.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(),
            expected,
            "{bytes}"
        );
        assert!(appended);
        let (seen, appended) = under(FaultAction::Partial(bytes));
        assert_eq!(
            seen.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(),
            [cut],
            "{bytes}"
        );
        assert!(appended);
    }
}

#[test]
fn after_a_partial_answer_nothing_comes() {
    let mut core = core();
    core.cluster.add_fault(Fault::new(FaultAction::Partial(5)).once());
    core.submit(&produce(1, &[0]));
    core.submit(&produce(2, &[0]));
    assert_eq!(observed(&mut core).len(), 1);
}

#[test]
fn answers_are_garbage() {
    let garbage = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n");
    let (seen, appended) = under(FaultAction::Garbage(garbage.clone()));
    assert_eq!(seen[0].1, garbage);
    assert!(appended);
    let (seen, _) = under(FaultAction::GarbageBody(Bytes::from_static(&[0xff; 3])));
    assert_eq!(seen[0].1[..], [0, 0, 0, 7, 0, 0, 0, 1, 0xff, 0xff, 0xff]);
    let (seen, _) = under(FaultAction::WrongCorrelationId(41));
    assert_eq!(decode(&seen[0].1).0, 42);
}

#[test]
fn a_slow_broker_holds_the_connection_up_and_a_long_way_does_not() {
    let second = Duration::from_secs(1);
    for (action, arrivals) in [
        (FaultAction::Delay(second), [1, 2, 3]),
        (FaultAction::DelayResponse(second), [1, 1, 1]),
    ] {
        let mut core = core();
        core.cluster.add_fault(Fault::new(action.clone()));
        for correlation_id in 1..=3 {
            core.submit(&produce(correlation_id, &[0]));
        }
        let seen: Vec<(Time, i32)> = observed(&mut core)
            .iter()
            .map(|(at, bytes)| (*at, decode(bytes).0))
            .collect();
        let expected: Vec<(Time, i32)> = (1..=3)
            .map(|id| (Time::ZERO + second * arrivals[id as usize - 1], id))
            .collect();
        assert_eq!(seen, expected, "{action:?}");
    }
}

#[test]
fn a_round_trip_is_paid_once_by_what_is_pipelined() {
    let mut core = core();
    core.cluster
        .set_round_trip(1, Duration::from_millis(20))
        .expect("broker 1");
    for correlation_id in 1..=3 {
        core.submit(&produce(correlation_id, &[0]));
    }
    let seen = observed(&mut core);
    assert!(
        seen.iter().all(|(at, _)| *at == Time::from_millis(20)),
        "{seen:?}"
    );
    let ids: Vec<i32> = seen.iter().map(|(_, bytes)| decode(bytes).0).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn answers_tell_of_throttling() {
    let (seen, appended) = under(FaultAction::Throttle(Duration::from_millis(700)));
    assert_eq!(decode(&seen[0].1).1.throttle_time_ms, 700);
    assert!(appended);
}

#[test]
fn a_response_omits_a_partition() {
    let mut core = core();
    core.cluster
        .add_fault(Fault::new(FaultAction::OmitPartitions).partition(1));
    core.submit(&produce(1, &[0, 1, 2]));
    let seen = observed(&mut core);
    let told: Vec<i32> = answers(&seen[0].1).iter().map(|answer| answer.index).collect();
    assert_eq!(told, [0, 2]);
    assert_eq!(log_end(&core, 1), 0, "what is left out is not carried out either");
}

#[test]
fn a_fault_that_was_removed_does_not_strike() {
    let mut core = core();
    let number = core.cluster.add_fault(Fault::new(FaultAction::Disconnect));
    assert!(core.cluster.remove_fault(number));
    assert!(!core.cluster.remove_fault(number));
    core.submit(&produce(1, &[0]));
    assert_eq!(answers(&observed(&mut core)[0].1)[0].error_code, 0);
}

#[test]
fn faults_strike_the_topics_that_administrators_name() {
    let mut core = core();
    let error = ErrorCode::POLICY_VIOLATION;
    core.cluster
        .add_fault(Fault::new(FaultAction::Error(error)).topic("struck"));
    let request = CreateTopicsRequest {
        topics: ["good", "struck"]
            .map(|name| CreatableTopic {
                name: name.to_owned(),
                num_partitions: 1,
                replication_factor: 1,
                ..CreatableTopic::default()
            })
            .into(),
        ..CreateTopicsRequest::default()
    };
    let frame = frame::encode_request(&request, 7, 1, None).expect("a request");
    core.submit(&frame);
    let seen = observed(&mut core);
    let (_, answer) =
        frame::decode_response::<CreateTopicsRequest>(&seen[0].1.slice(4..), 7).expect("an answer");
    let told: Vec<(&str, i16)> = answer
        .topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic.error_code))
        .collect();
    assert_eq!(told, [("good", 0), ("struck", error.0)]);
    assert_eq!(core.cluster.partition_count("good"), Some(1));
    assert_eq!(core.cluster.partition_count("struck"), None);
}

/// What a test does by hand is in the record beside what its clients did.
#[test]
fn what_a_test_does_is_recorded() -> Result<(), ottla_broker::Unknown> {
    let mut config = ClusterConfig::default();
    config.brokers = 2;
    let mut core = Core::new(config);
    let cluster = &mut core.cluster;
    cluster
        .create_topic(&TopicSpec::new("t", 1))
        .expect("a new topic");
    let (t, ms): (Arc<str>, _) = ("t".into(), Duration::from_millis);
    cluster.set_stale_metadata(2, true)?;
    cluster.set_round_trip(1, ms(20))?;
    cluster.move_leader("t", 0, 2, false)?;
    cluster.set_in_sync("t", 0, 1, false)?;
    cluster.hold_replication("t", 0, true)?;
    cluster.move_coordinator("g", 2)?;
    cluster.freeze_broker(1)?;
    cluster.start_broker(1)?;
    cluster.kill_broker(1)?;
    cluster.delete_topic("t");
    let broker = |broker, state| EventKind::Broker { broker, state };
    let (topic, partition) = (|| Arc::clone(&t), 0);
    let expected = [
        EventKind::TopicCreated {
            topic: topic(),
            partitions: 1,
        },
        EventKind::StaleMetadata {
            broker: 2,
            stale: true,
        },
        EventKind::RoundTrip {
            broker: 1,
            round_trip: ms(20),
        },
        EventKind::Leader {
            topic: topic(),
            partition,
            leader: 2,
            leader_epoch: 1,
        },
        EventKind::InSync {
            topic: topic(),
            partition,
            in_sync: vec![2],
        },
        EventKind::Replication {
            topic: topic(),
            partition,
            held: true,
        },
        EventKind::Coordinator {
            key: "g".into(),
            broker: 2,
        },
        broker(1, "frozen"),
        broker(1, "up"),
        broker(1, "down"),
        EventKind::TopicDeleted { topic: topic() },
    ];
    let recorded: Vec<EventKind> = cluster.events().map(|event| event.kind.clone()).collect();
    assert_eq!(recorded, expected);
    Ok(())
}
