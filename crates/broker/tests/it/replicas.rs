//! What followers have not got: high watermarks, truncation, and what the producers' states are afterwards.

use crate::batch::Batch;
use crate::brokers::{TIMEOUT_MS, config, produce, produce_in, request, state, values};
use crate::link::Core;
use crate::session::Session;
use crate::transactions::end;
use ottla_broker::{ClusterConfig, EventKind, Isolation, Output, Pose, TopicConfig, TopicSpec};
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::{ErrorCode, frame};
use ottla_time::Time;
use std::time::Duration;

/// One partition, whose records have to be with two of its three brokers, 30 ms after the append.
fn config_min_two() -> ClusterConfig {
    let mut config = config();
    let mut topic = TopicConfig::default();
    topic.min_insync_replicas = 2;
    config.topics = vec![TopicSpec::new("t", 1).config(topic)];
    config.replication_delay = Duration::from_millis(30);
    config
}

fn in_sync(core: &mut Core, broker: i32, in_sync: bool) {
    core.cluster
        .set_in_sync("t", 0, broker, in_sync)
        .expect("a partition");
}

/// Sends a batch under acks=all, lets something happen before its followers have it, and returns the answer's error.
fn interrupted(core: &mut Core, happens: impl FnOnce(&mut Core)) -> ErrorCode {
    let request = request(-1, 0, &Batch::plain(1), None);
    // A version that Kafka 2.8 speaks, too.
    let version = 9;
    let frame = frame::encode_request(&request, version, 1, None).expect("a request");
    core.submit(&frame);
    assert_eq!(core.cluster.poll_output(), None, "it waits");
    happens(core);
    let Some(Output::Send { bytes, .. }) = core.next_output() else {
        panic!("no answer");
    };
    let (_, answer) =
        frame::decode_response::<ProduceRequest>(&bytes.slice(4..), version).expect("an answer");
    ErrorCode(answer.responses[0].partition_responses[0].error_code)
}

#[test]
fn too_few_replicas_in_sync() {
    for (pose, told, high_watermark) in [
        (Pose::V2_8, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, 1),
        // KIP-966: nothing is readable that a second broker has not got.
        (Pose::V4_3, ErrorCode::REQUEST_TIMED_OUT, 0),
    ] {
        let mut config = config_min_two();
        config.pose = pose;
        let mut core = Core::new(config);
        let error = interrupted(&mut core, |core| {
            in_sync(core, 2, false);
            in_sync(core, 3, false);
        });
        assert_eq!((error, state(&core, 0).high_watermark), (told, high_watermark));
        if pose == Pose::V4_3 {
            assert_eq!(core.now, Time::from_millis(TIMEOUT_MS.unsigned_abs().into()));
        }
    }
}

#[test]
fn few_replicas_in_sync_refuse_acks_all_until_they_are_more() {
    let mut core = Core::new(config_min_two());
    in_sync(&mut core, 2, false);
    in_sync(&mut core, 3, false);
    in_sync(&mut core, 1, false);
    assert_eq!(state(&core, 0).in_sync, [1], "a leader is always in sync");
    let refused = produce(&mut core, -1, 0, &Batch::plain(1));
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::NOT_ENOUGH_REPLICAS);
    let taken = produce(&mut core, 1, 0, &Batch::plain(1));
    assert_eq!(taken.error_code, 0, "acks=1 does not ask");
    assert_eq!((state(&core, 0).high_watermark, state(&core, 0).log_end), (0, 1));
    in_sync(&mut core, 2, true);
    assert_eq!(state(&core, 0).high_watermark, 1);
    assert_eq!(produce(&mut core, -1, 0, &Batch::plain(1)).base_offset, 1);
}

#[test]
fn a_partition_asks_for_no_more_replicas_than_it_has() {
    let mut config = config_min_two();
    config.topics[0].replication_factor = Some(1);
    let mut core = Core::new(config);
    assert_eq!(produce(&mut core, -1, 0, &Batch::plain(1)).error_code, 0);
    assert_eq!(state(&core, 0).high_watermark, 1);
}

#[test]
fn a_leader_that_nobody_replaced_comes_back_with_its_log() {
    let mut core = Core::new(config_min_two());
    in_sync(&mut core, 2, false);
    in_sync(&mut core, 3, false);
    produce(&mut core, 1, 0, &Batch::idempotent((9, 0), 0, 2));
    core.cluster.kill_broker(1).expect("broker 1");
    in_sync(&mut core, 1, false);
    in_sync(&mut core, 2, true);
    assert_eq!((state(&core, 0).leader, state(&core, 0).in_sync), (-1, vec![1]));
    core.cluster.start_broker(1).expect("broker 1");
    assert_eq!((state(&core, 0).leader, state(&core, 0).log_end), (1, 2));
    core.connect(1);
    let again = produce(&mut core, -1, 0, &Batch::idempotent((9, 0), 0, 2));
    assert_eq!((again.error_code, again.base_offset), (0, 0), "a duplicate");
}

#[test]
fn a_broker_that_comes_back_before_the_election_follows_the_new_leader() {
    let mut config = config_min_two();
    config.election_delay = Duration::from_millis(100);
    let mut core = Core::new(config);
    in_sync(&mut core, 3, false);
    core.cluster.kill_broker(1).expect("broker 1");
    core.cluster.start_broker(1).expect("broker 1");
    assert_eq!((state(&core, 0).leader, state(&core, 0).in_sync), (-1, vec![2]));
    core.advance(Duration::from_millis(100));
    assert_eq!(
        (state(&core, 0).leader, state(&core, 0).in_sync),
        (2, vec![1, 2, 3])
    );
}

#[test]
fn who_waits_to_be_elected_has_not_got_what_only_the_lost_leader_had() {
    let mut config = config_min_two();
    config.election_delay = Duration::from_millis(100);
    let mut core = Core::new(config);
    in_sync(&mut core, 3, false);
    core.cluster.hold_replication("t", 0, true).expect("a partition");
    produce(&mut core, 1, 0, &Batch::plain(2));
    core.cluster.kill_broker(1).expect("broker 1");
    core.cluster.hold_replication("t", 0, false).expect("a partition");
    core.advance(Duration::from_millis(100));
    assert_eq!((state(&core, 0).leader, state(&core, 0).log_end), (2, 0));
}

#[test]
fn what_every_replica_has_survives_its_leader_also_above_the_high_watermark() {
    let mut core = Core::new(config_min_two());
    core.cluster
        .configure_topic("t", |topic| topic.min_insync_replicas = 3)
        .expect("a topic");
    in_sync(&mut core, 3, false);
    produce(&mut core, 1, 0, &Batch::plain(2));
    core.advance(Duration::from_millis(30));
    produce(&mut core, 1, 0, &Batch::plain(1));
    assert_eq!((state(&core, 0).high_watermark, state(&core, 0).log_end), (0, 3));
    core.cluster.kill_broker(1).expect("broker 1");
    assert_eq!((state(&core, 0).leader, state(&core, 0).log_end), (2, 2));
}

#[test]
fn held_followers_lose_what_they_did_not_fetch() {
    let mut core = Core::new(config_min_two());
    core.cluster.hold_replication("t", 0, true).expect("a partition");
    let batch = Batch::idempotent((9, 0), 0, 2);
    let late = produce(&mut core, -1, 0, &batch);
    assert_eq!(ErrorCode(late.error_code), ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(
        values(&mut core, 0, Isolation::Log),
        2,
        "it stands in the leader's log"
    );
    core.cluster.kill_broker(1).expect("broker 1");
    assert_eq!(state(&core, 0).log_end, 0);
    core.cluster.hold_replication("t", 0, false).expect("a partition");
    core.connect(2);
    let retried = produce(&mut core, -1, 0, &batch);
    assert_eq!((retried.error_code, retried.base_offset), (0, 0));
    let truncated = |kind: &EventKind| matches!(kind, EventKind::Truncated { from: 2, to: 0, .. });
    let duplicate = |kind: &EventKind| matches!(kind, EventKind::Duplicate { .. });
    assert!(core.cluster.events().any(|event| truncated(&event.kind)));
    assert!(!core.cluster.events().any(|event| duplicate(&event.kind)));
}

#[test]
fn a_clean_move_takes_everything_along_and_an_unclean_one_what_is_readable() {
    for (unclean, left) in [(false, 3), (true, 2)] {
        let mut core = Core::new(config_min_two());
        produce(&mut core, -1, 0, &Batch::plain(2));
        produce(&mut core, 1, 0, &Batch::plain(1));
        core.cluster.move_leader("t", 0, 2, unclean).expect("a partition");
        core.advance(Duration::from_millis(30));
        let after = state(&core, 0);
        assert_eq!(
            (after.high_watermark, after.log_end),
            (left, left),
            "unclean {unclean}"
        );
    }
}

/// Whether a batch in the log is a marker.
fn markers(core: &Core) -> usize {
    let batches = core.cluster.batches("t", 0).expect("a partition");
    let is_marker = |log: &&ottla_broker::LogBatch| log.batch.header().attributes.is_control();
    batches.iter().filter(is_marker).count()
}

#[test]
fn a_marker_that_is_lost_with_its_leader_is_written_again() {
    for dies in [false, true] {
        let mut session = Session::new(Core::new(config_min_two()));
        session.link.cluster.move_coordinator("x", 2).expect("broker 2");
        session.link.connect(2);
        let identity = session.init(5, Some("x"), 10_000, (-1, -1)).expect("an identity");
        session.link.connect(1);
        let batch = Batch::transactional(identity, 0, 2);
        assert_eq!(
            produce_in(&mut session.link, -1, 0, &batch, Some("x")).error_code,
            0
        );
        session.link.connect(2);
        assert_eq!(end(&mut session, identity, true), ErrorCode::NONE);
        let mut core = session.link;
        let transaction = |core: &Core| core.cluster.transaction("x").map(|transaction| transaction.state);
        assert_eq!((transaction(&core), markers(&core)), (Some("PrepareCommit"), 1));
        assert_eq!(state(&core, 0).last_stable, 0);
        if dies {
            core.cluster.kill_broker(1).expect("broker 1");
            assert_eq!((transaction(&core), markers(&core)), (Some("PrepareCommit"), 1));
        }
        core.advance(Duration::from_millis(30));
        assert_eq!((transaction(&core), markers(&core)), (Some("CompleteCommit"), 1));
        assert_eq!(
            (state(&core, 0).leader == 2, state(&core, 0).last_stable),
            (dies, 3)
        );
        assert_eq!(values(&mut core, 0, Isolation::ReadCommitted), 2);
        let written = core
            .cluster
            .events()
            .filter(|event| matches!(event.kind, EventKind::Marker { .. }))
            .count();
        assert_eq!(written, if dies { 2 } else { 1 });
    }
}

#[test]
fn a_shorter_delay_does_not_overtake() {
    let mut core = Core::new(config_min_two());
    produce(&mut core, 1, 0, &Batch::plain(1));
    core.cluster.set_replication_delay(Duration::ZERO);
    produce(&mut core, 1, 0, &Batch::plain(1));
    assert_eq!(state(&core, 0).high_watermark, 0);
    core.advance(Duration::from_millis(30));
    assert_eq!(state(&core, 0).high_watermark, 2);
    produce(&mut core, 1, 0, &Batch::plain(1));
    assert_eq!(state(&core, 0).high_watermark, 3);
}

#[test]
fn forgotten_producers_begin_anywhere() {
    let mut core = Core::new(config());
    produce(&mut core, -1, 0, &Batch::idempotent((9, 3), 0, 2));
    let gap = produce(&mut core, -1, 0, &Batch::idempotent((9, 3), 7, 1));
    assert_eq!(ErrorCode(gap.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    core.cluster.forget_producers("t", 0).expect("a partition");
    assert_eq!(
        produce(&mut core, -1, 0, &Batch::idempotent((9, 3), 7, 1)).base_offset,
        2
    );
}

#[test]
fn a_topic_that_is_configured_anew_takes_smaller_batches() {
    let mut core = Core::new(config());
    assert_eq!(produce(&mut core, -1, 0, &Batch::plain(9)).error_code, 0);
    core.cluster
        .configure_topic("t", |topic| topic.max_message_bytes = 100)
        .expect("a topic");
    let refused = produce(&mut core, -1, 0, &Batch::plain(9));
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::MESSAGE_TOO_LARGE);
    assert!(core.cluster.configure_topic("u", |_| {}).is_err());
}
