//! Leaders, followers, coordinators and their troubles.

use crate::batch::Batch;
use crate::link::{Core, Link as _};
use crate::session::{Session, Target};
use ottla_broker::{
    ClusterConfig, EventKind, Isolation, Output, PartitionState, SinkCheck, Storage, TopicSpec,
};
use ottla_protocol::messages::metadata::MetadataRequestTopic;
use ottla_protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData};
use ottla_protocol::messages::{
    FindCoordinatorRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest,
};
use ottla_protocol::{ErrorCode, frame};
use ottla_time::Time;
use std::time::Duration;

const VERSION: i16 = 12;
pub(crate) const TIMEOUT_MS: i32 = 5_000;

pub(crate) fn config() -> ClusterConfig {
    let mut config = ClusterConfig::default();
    config.brokers = 3;
    config.topics = vec![TopicSpec::new("t", 3)];
    config
}

pub(crate) fn request(
    acks: i16,
    partition: i32,
    batch: &Batch,
    transactional_id: Option<&str>,
) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: TIMEOUT_MS,
        transactional_id: transactional_id.map(str::to_owned),
        topic_data: vec![TopicProduceData {
            name: "t".to_owned(),
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Some(batch.build()),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    }
}

pub(crate) fn produce(core: &mut Core, acks: i16, partition: i32, batch: &Batch) -> PartitionProduceResponse {
    produce_in(core, acks, partition, batch, None)
}

pub(crate) fn produce_in(
    core: &mut Core,
    acks: i16,
    partition: i32,
    batch: &Batch,
    transactional_id: Option<&str>,
) -> PartitionProduceResponse {
    let request = request(acks, partition, batch, transactional_id);
    let frame = frame::encode_request(&request, VERSION, 1, None).expect("a request");
    let answer = core.exchange(&frame).expect("an answer");
    let (_, mut response) = frame::decode_response::<ProduceRequest>(&answer, VERSION).expect("an answer");
    response.responses.remove(0).partition_responses.remove(0)
}

pub(crate) fn state(core: &Core, partition: i32) -> PartitionState {
    core.cluster.partition_state("t", partition).expect("a partition")
}

pub(crate) fn values(core: &mut Core, partition: i32, isolation: Isolation) -> usize {
    core.cluster
        .records("t", partition, isolation)
        .expect("a partition")
        .len()
}

#[test]
fn acks_all_waits_for_the_followers_and_acks_1_does_not() {
    let mut config = config();
    config.replication_delay = Duration::from_millis(30);
    let mut core = Core::new(config);
    assert_eq!(produce(&mut core, 1, 0, &Batch::plain(2)).base_offset, 0);
    assert_eq!((core.now, state(&core, 0).high_watermark), (Time::ZERO, 0));
    assert_eq!(produce(&mut core, -1, 0, &Batch::plain(1)).base_offset, 2);
    assert_eq!(
        (core.now, state(&core, 0).high_watermark),
        (Time::from_millis(30), 3)
    );
}

#[test]
fn a_leader_dies_and_what_was_not_replicated_is_lost() {
    let mut config = config();
    config.replication_delay = Duration::from_millis(30);
    let mut core = Core::new(config);
    produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 0, 2));
    produce(&mut core, 1, 0, &Batch::idempotent((9, 0), 2, 1));
    assert_eq!(values(&mut core, 0, Isolation::Log), 3);
    let id = core.connection();
    core.cluster.kill_broker(1).expect("broker 1");
    assert_eq!(
        core.cluster.poll_output(),
        Some(Output::Close {
            connection: id,
            at_once: true
        })
    );
    let after = state(&core, 0);
    assert_eq!(
        (after.leader, after.leader_epoch, after.in_sync.as_slice()),
        (2, 1, &[2, 3][..])
    );
    assert_eq!((after.log_end, values(&mut core, 0, Isolation::Log)), (2, 2));
    assert!(
        core.cluster
            .events()
            .any(|event| matches!(event.kind, EventKind::Truncated { from: 3, to: 2, .. }))
    );
    assert!(
        core.cluster.accept(1, "test", core.now).is_err(),
        "nobody listens"
    );
    // The new leader knows the producer as far as it has its records.
    core.connect(2);
    assert_eq!(
        produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 0, 2)).base_offset,
        0,
        "a duplicate"
    );
    assert_eq!(
        produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 2, 1)).base_offset,
        2
    );
    core.cluster.start_broker(1).expect("broker 1");
    assert_eq!(state(&core, 0).in_sync, [1, 2, 3]);
    core.connect(1);
    let moved = produce(&mut core, -1, 0, &Batch::plain(1));
    assert_eq!(ErrorCode(moved.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(
        (moved.current_leader.leader_id, moved.current_leader.leader_epoch),
        (2, 1)
    );
}

#[test]
fn nobody_leads_when_the_last_replica_in_sync_is_dead() {
    let mut core = Core::new(config());
    produce(&mut core, -1, 0, &Batch::plain(1));
    for broker in [1, 2, 3] {
        core.cluster.kill_broker(broker).expect("a broker");
    }
    assert_eq!(
        (state(&core, 0).leader, state(&core, 0).in_sync.as_slice()),
        (-1, &[3][..])
    );
    core.cluster.start_broker(1).expect("broker 1");
    assert_eq!(state(&core, 0).leader, -1, "broker 1 was not in sync");
    core.cluster.start_broker(3).expect("broker 3");
    assert_eq!(state(&core, 0).leader, 3);
    assert_eq!(values(&mut core, 0, Isolation::ReadUncommitted), 1);
}

#[test]
fn an_election_takes_its_time() {
    let mut config = config();
    config.election_delay = Duration::from_millis(500);
    let mut core = Core::new(config);
    core.cluster.kill_broker(1).expect("broker 1");
    assert_eq!(state(&core, 0).leader, -1);
    core.advance(Duration::from_millis(499));
    assert_eq!(state(&core, 0).leader, -1);
    core.advance(Duration::from_millis(1));
    assert_eq!(state(&core, 0).leader, 2);
}

#[test]
fn a_frozen_follower_holds_acks_all_up_until_its_session_is_over() {
    let mut core = Core::new(config());
    core.cluster.freeze_broker(2).expect("broker 2");
    let late = produce(&mut core, -1, 0, &Batch::plain(1));
    assert_eq!(ErrorCode(late.error_code), ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(core.now, Time::from_millis(5_000));
    assert_eq!(state(&core, 0).high_watermark, 0);
    core.advance(Duration::from_secs(4));
    assert_eq!(
        (state(&core, 0).high_watermark, state(&core, 0).in_sync),
        (1, vec![1, 3])
    );
    assert_eq!(produce(&mut core, -1, 0, &Batch::plain(1)).error_code, 0);
    core.cluster.start_broker(2).expect("broker 2");
    assert_eq!(state(&core, 0).in_sync, [1, 2, 3]);
}

#[test]
fn a_frozen_broker_answers_when_it_is_thawed() {
    let mut core = Core::new(config());
    let frame =
        frame::encode_request(&request(1, 0, &Batch::plain(1), None), VERSION, 1, None).expect("a request");
    core.cluster.freeze_broker(1).expect("broker 1");
    core.submit(&frame);
    assert_eq!(core.cluster.poll_output(), None);
    assert_eq!(state(&core, 0).log_end, 0);
    core.advance(Duration::from_secs(8));
    core.cluster.start_broker(1).expect("broker 1");
    assert!(matches!(core.cluster.poll_output(), Some(Output::Send { .. })));
    assert_eq!((state(&core, 0).leader, state(&core, 0).log_end), (1, 1));
    // An old end of session means nothing any more, and a new one takes the leadership away.
    core.advance(Duration::from_secs(8));
    assert_eq!(state(&core, 0).leader, 1);
    core.cluster.freeze_broker(1).expect("broker 1");
    core.advance(Duration::from_secs(9));
    assert_eq!(state(&core, 0).leader, 2);
}

#[test]
fn who_waits_for_followers_hears_that_the_leader_moved() {
    let mut config = config();
    config.replication_delay = Duration::from_secs(1);
    let mut core = Core::new(config);
    let frame =
        frame::encode_request(&request(-1, 0, &Batch::plain(1), None), VERSION, 1, None).expect("a request");
    core.submit(&frame);
    core.cluster.move_leader("t", 0, 3, true).expect("broker 3");
    let Some(Output::Send { bytes, .. }) = core.cluster.poll_output() else {
        panic!("an answer");
    };
    let (_, answer) =
        frame::decode_response::<ProduceRequest>(&bytes.slice(4..), VERSION).expect("an answer");
    let answer = &answer.responses[0].partition_responses[0];
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(answer.current_leader.leader_id, 3);
    assert_eq!(state(&core, 0).log_end, 0);
}

fn leader_in_metadata(session: &mut Session<Core>, partition: usize) -> i32 {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("t".to_owned()),
            ..MetadataRequestTopic::default()
        }]),
        ..MetadataRequest::default()
    };
    session.call(&request, 9).expect("an answer").topics[0].partitions[partition].leader_id
}

#[test]
fn metadata_is_stale() {
    let mut session = Session::new(Core::new(config()));
    session
        .link
        .cluster
        .set_stale_metadata(1, true)
        .expect("broker 1");
    session
        .link
        .cluster
        .move_leader("t", 0, 3, false)
        .expect("broker 3");
    assert_eq!(leader_in_metadata(&mut session, 0), 1);
    session.link.connect(2);
    assert_eq!(leader_in_metadata(&mut session, 0), 3);
    session.link.connect(1);
    session
        .link
        .cluster
        .set_stale_metadata(1, false)
        .expect("broker 1");
    assert_eq!(leader_in_metadata(&mut session, 0), 3);
}

#[test]
fn a_topic_is_created_when_it_is_asked_for() {
    let mut session = Session::new(Core::new(ClusterConfig::default()));
    let request = |may_create| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("new".to_owned()),
            ..MetadataRequestTopic::default()
        }]),
        allow_auto_topic_creation: may_create,
        ..MetadataRequest::default()
    };
    for (may_create, error) in [(false, 3), (true, 3), (false, 0)] {
        assert_eq!(
            session.call(&request(may_create), 12).expect("an answer").topics[0].error_code,
            error
        );
    }
}

#[test]
fn the_coordinator_moves() {
    let mut session = Session::new(Core::new(config()));
    let find = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec!["x".to_owned()],
        ..FindCoordinatorRequest::default()
    };
    let first = session.call(&find, 4).expect("an answer").coordinators[0].node_id;
    let other = first % 3 + 1;
    let init = InitProducerIdRequest {
        transactional_id: Some("x".to_owned()),
        transaction_timeout_ms: 1_000,
        ..InitProducerIdRequest::default()
    };
    session.link.connect(first);
    assert_eq!(session.call(&init, 4).expect("an answer").error_code, 0);
    session
        .link
        .cluster
        .move_coordinator("x", other)
        .expect("a broker");
    let error = session.call(&init, 4).expect("an answer").error_code;
    assert_eq!(ErrorCode(error), ErrorCode::NOT_COORDINATOR);
    assert_eq!(
        session.call(&find, 4).expect("an answer").coordinators[0].node_id,
        other
    );
    session.link.connect(other);
    assert_eq!(session.call(&init, 4).expect("an answer").producer_epoch, 1);
    session.link.cluster.kill_broker(other).expect("a broker");
    session.link.connect(first);
    assert_ne!(
        session.call(&find, 4).expect("an answer").coordinators[0].node_id,
        other
    );
}

#[test]
fn memory_is_limited_and_the_oldest_goes_first() {
    let mut config = config();
    config.limits.topic_bytes_max = 50_000;
    let mut core = Core::new(config);
    let batch = Batch {
        value_bytes: 5_000,
        ..Batch::plain(1)
    };
    for offset in 0..40 {
        assert_eq!(produce(&mut core, -1, 0, &batch).base_offset, offset);
        assert!(core.cluster.log_bytes() <= 50_000);
    }
    let after = state(&core, 0);
    assert_eq!((after.log_start, after.log_end), (31, 40));
    let told = core.cluster.events().filter_map(|event| match event.kind {
        EventKind::LogStart { from, to, .. } => Some((from, to)),
        _ => None,
    });
    assert!(
        told.eq((0..31).map(|offset| (offset, offset + 1))),
        "what went is recorded"
    );
    // What a transaction holds open cannot go, and then nothing more is taken.
    let identity = (9, 0);
    let mut refused = false;
    for sequence in 0..40 {
        let batch = Batch {
            value_bytes: 5_000,
            ..Batch::transactional(identity, sequence, 1)
        };
        core.cluster.set_transactional_epoch("x", 0).ok();
        let mut session = Session::new(core);
        if sequence == 0 {
            session.link.cluster.move_coordinator("x", 1).expect("broker 1");
            session.init(5, Some("x"), 10_000, (-1, -1));
        }
        let transaction = session.link.cluster.transaction("x").expect("an id");
        let batch = Batch {
            producer: Some((transaction.producer_id, transaction.producer_epoch)),
            ..batch
        };
        let answer = produce_in(&mut session.link, -1, 0, &batch, Some("x"));
        refused |= ErrorCode(answer.error_code) == ErrorCode::KAFKA_STORAGE_ERROR;
        core = session.link;
    }
    assert!(refused);
    assert!(core.cluster.log_bytes() <= 100_000);
}

#[test]
fn a_sink_counts_and_keeps_nothing() {
    for check in [SinkCheck::Header, SinkCheck::HeaderAndCrc] {
        let mut config = config();
        config.storage = Storage::Discard { check };
        let mut core = Core::new(config);
        assert_eq!(
            produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 0, 3)).base_offset,
            0
        );
        assert_eq!(
            produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 3, 2)).base_offset,
            3
        );
        assert_eq!(
            produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 0, 3)).base_offset,
            0,
            "a duplicate"
        );
        let gap = produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 9, 1));
        assert_eq!(ErrorCode(gap.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!((state(&core, 0).log_end, core.cluster.log_bytes()), (5, 0));
    }
}

/// The same inputs give the same outputs, to the byte.
#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut config = config();
        config.seed = 7;
        config.replication_delay = Duration::from_millis(3);
        let mut core = Core::new(config);
        let mut random = fastrand::Rng::with_seed(3);
        let mut trace = String::new();
        for step in 0..300 {
            match random.u8(0..12) {
                0 => drop(core.cluster.kill_broker(random.i32(1..=3))),
                1 | 2 => drop(core.cluster.start_broker(random.i32(1..=3))),
                3 => drop(core.cluster.freeze_broker(random.i32(1..=3))),
                4 => core.advance(Duration::from_millis(random.u64(0..5_000))),
                _ => {
                    let broker = random.i32(1..=3);
                    let partition = random.i32(0..3);
                    let frame = frame::encode_request(
                        &request(-1, partition, &Batch::plain(1), None),
                        VERSION,
                        step,
                        None,
                    );
                    if let Ok(id) = core.cluster.accept(broker, "test", core.now) {
                        let frame = bytes::Bytes::copy_from_slice(&frame.expect("a request")[4..]);
                        core.cluster.handle_frame(id, frame, core.now, 0);
                    }
                }
            }
            while let Some(output) = core.cluster.poll_output() {
                trace.push_str(&format!("{output:?}\n"));
            }
        }
        for event in core.cluster.events() {
            trace.push_str(&format!("{event:?}\n"));
        }
        trace
    };
    let first = run();
    assert!(first.len() > 10_000);
    assert_eq!(first, run());
}

/// Records of several partitions that go to their leaders, read back whole.
#[test]
fn a_session_sees_its_own_records() {
    let mut session = Session::new(Core::new(ClusterConfig::default()));
    let id = session.create_topic("mine", 1, &[]);
    let target = Target {
        version: 13,
        acks: 1,
        transactional_id: None,
        topic: "mine",
        topic_id: id,
        partition: 0,
    };
    session.produce("one", target, Some(Batch::plain(3).build()));
    let records = session
        .link
        .cluster
        .records("mine", 0, Isolation::ReadUncommitted)
        .expect("a partition");
    let keys: Vec<_> = records
        .iter()
        .map(|record| record.key.clone().expect("a key"))
        .collect();
    assert_eq!(keys, ["key-0", "key-1", "key-2"]);
}
