//! Trouble on trouble: what a review found that the tests by scenario had not.

use crate::world::{TOPIC, World, sent};
use ottla_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker};
use ottla_protocol::messages::produce::{
    LeaderIdAndEpoch, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_sender::{SendError, SendRecord, TrySendError};
use ottla_time::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Answers the next Produce request for partition 0 alone.
fn answer(world: &mut World, partition: PartitionProduceResponse, throttle_time_ms: i32) {
    let (node, request) = world.next_request(ApiKey::PRODUCE);
    let topic = TopicProduceResponse {
        name: TOPIC.into(),
        partition_responses: vec![partition],
        ..TopicProduceResponse::default()
    };
    let answer = ProduceResponse {
        responses: vec![topic],
        throttle_time_ms,
        ..ProduceResponse::default()
    };
    world.respond(node, &request, &answer);
}

fn refuse(world: &mut World, code: ErrorCode) {
    let partition = PartitionProduceResponse {
        error_code: code.0,
        base_offset: -1,
        ..PartitionProduceResponse::default()
    };
    answer(world, partition, 0);
}

fn produced(world: &World) -> usize {
    world
        .requests
        .iter()
        .filter(|(_, request)| request.api_key == ApiKey::PRODUCE.0)
        .count()
}

#[test]
fn a_throttle_that_is_over_does_not_make_the_sender_spin() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.linger = Duration::ZERO;
        config.max_in_flight = 1;
        accumulator.batch_size = 1;
    });
    let _one = world.send_to(0, "one");
    world.turn();
    answer(&mut world, PartitionProduceResponse::default(), 10);
    world.advance(Duration::from_secs(5));
    let _two = world.send_to(0, "two");
    world.turn();
    world.reachable = false;
    world.lose(true);
    world.advance(Duration::from_secs(3));
    assert!(world.sender.poll_timeout().is_some_and(|at| at > world.now()));
}

#[test]
fn metadata_comes_from_a_living_node_while_a_dead_one_is_tried() {
    let mut world = World::with_topic(4, |config, accumulator| {
        config.linger = Duration::ZERO;
        config.max_in_flight = 1;
        accumulator.batch_size = 1;
    });
    world.advance(Duration::from_secs(1));
    let _deliveries = [world.send_to(0, "one"), world.send_to(2, "two")];
    world.turn();
    assert_eq!(produced(&world), 1, "partition 2 waits for node 1 too");
    world.reachable = false;
    let now = world.now();
    world.sender.handle_disconnected(-1, "idle", now);
    world.connects.clear();
    world.lose(true);
    for _ in 0..20 {
        world.advance(Duration::from_secs(1));
        for (node, _) in std::mem::take(&mut world.connects) {
            if node != 1 {
                return;
            }
            let now = world.now();
            world.sender.handle_disconnected(1, "refused", now);
        }
    }
    panic!("no other node was tried in 20 s");
}

#[test]
fn what_stands_in_the_queue_of_ready_partitions_is_looked_at_again_before_it_is_sent() {
    for (code, why) in [
        (ErrorCode::INVALID_RECORD, "nothing is numbered behind a gap"),
        (
            ErrorCode::NOT_ENOUGH_REPLICAS,
            "a retry backs off, and nothing overtakes it",
        ),
    ] {
        let mut world = World::with_topic(4, |config, accumulator| {
            config.idempotent = true;
            config.linger = Duration::ZERO;
            config.max_in_flight = 2;
            accumulator.batch_size = 1;
        });
        let _first = world.send_to(0, "first");
        world.turn();
        answer(&mut world, PartitionProduceResponse::default(), 0);
        let _deliveries = ["a", "b", "c"].map(|value| world.send_to(0, value));
        world.turn();
        assert_eq!(
            produced(&world),
            2,
            "the node takes two, \"c\" waits in its queue"
        );
        refuse(&mut world, code);
        assert_eq!(produced(&world), 1, "{why}");
        assert_eq!(sent(&world.requests[0].1)[0].values, ["b"]);
    }
}

#[test]
fn an_impossible_topic_name_is_refused_and_harms_no_other_topic() {
    let world = World::with_topic(1, |_, _| {});
    let long = "x".repeat(40_000);
    for name in ["", ".", "..", "a b", "a/b", "ä", &long] {
        let topic = world.handle.topic(name);
        let error = world
            .handle
            .try_send(&topic, &SendRecord::default())
            .expect_err("refused");
        assert_eq!(
            error,
            TrySendError::Refused(SendError::TopicName { topic: name.into() })
        );
        assert!(error.to_string().len() < 300);
    }
}

#[test]
fn an_absurd_offset_is_no_offset() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    let deliveries = [world.send_to(0, "one"), world.send_to(0, "two")];
    world.turn();
    world.answer_produce(ErrorCode::NONE, i64::MAX);
    let offset = |at: usize| {
        deliveries[at]
            .outcome()
            .expect("resolved")
            .expect("acked")
            .offset()
    };
    assert_eq!((offset(0), offset(1)), (Some(i64::MAX), None));
}

#[test]
fn a_retry_that_waits_behind_a_younger_batch_expires_in_time() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        config.delivery_timeout = Duration::from_secs(10);
        accumulator.batch_size = 1;
    });
    let first = world.send_to(0, "first");
    world.turn();
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(first.is_resolved());
    world.advance(Duration::from_secs(1));
    let old = world.send_to(0, "old");
    world.turn();
    world.advance(Duration::from_secs(6));
    let _young = world.send_to(0, "young");
    world.turn();
    world.answer_produce(ErrorCode::NOT_ENOUGH_REPLICAS, -1);
    world.run_until(Time::from_millis(12_000));
    assert!(old.is_resolved(), "it was due at 11 s");
}

#[test]
fn close_wakes_a_waiter_that_would_block_for_ever() {
    #[derive(Default)]
    struct CountWakes(AtomicUsize);
    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let world = World::with_topic(1, |config, accumulator| {
        config.linger = Duration::from_secs(100);
        config.max_block = Duration::MAX;
        accumulator.buffer_memory = 4_096;
    });
    let topic = world.handle.topic(TOPIC);
    let value = [0; 3_000];
    let record = SendRecord {
        value: Some(&value),
        partition: Some(0),
        ..SendRecord::default()
    };
    let _queued = world
        .handle
        .try_send(&topic, &record)
        .expect("there is memory for one");
    let wakes = Arc::new(CountWakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut waiting = Box::pin(world.handle.send(&topic, &record));
    assert!(
        waiting
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let _closing = world.handle.close(Duration::from_secs(60));
    assert!(wakes.0.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_leader_that_metadata_forgot_is_asked_for() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.metadata_max_age = Duration::from_secs(60);
    });
    world.run_until(Time::from_millis(60_500));
    world.answer_metadata_with(ErrorCode::NONE, &[2], 5);
    world.run_until(Time::from_millis(121_500));
    // A broker that lags behind: it knows neither node 2 nor the topic.
    let (node, request) = world.next_request(ApiKey::METADATA);
    let broker = MetadataResponseBroker {
        node_id: 1,
        host: "broker-1".into(),
        port: 9092,
        ..MetadataResponseBroker::default()
    };
    let answer = MetadataResponse {
        brokers: vec![broker],
        ..MetadataResponse::default()
    };
    world.respond(node, &request, &answer);
    let _delivery = world.send_to(0, "one");
    world.advance(Duration::from_secs(5));
    assert_eq!(
        world.requests.front().map(|(_, request)| request.api_key),
        Some(ApiKey::METADATA.0)
    );
}

#[test]
fn a_hint_of_the_new_leader_is_followed_at_once() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    let _delivery = world.send_to(0, "one");
    world.turn();
    let partition = PartitionProduceResponse {
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0,
        base_offset: -1,
        current_leader: LeaderIdAndEpoch {
            leader_id: 2,
            leader_epoch: 9,
            ..LeaderIdAndEpoch::default()
        },
        ..PartitionProduceResponse::default()
    };
    answer(&mut world, partition.clone(), 0);
    assert_eq!((produced(&world), world.requests[0].0), (1, 2));
    // The same hint again is no news: it backs off (franz-go #1413 went round in circles).
    answer(&mut world, partition, 0);
    assert_eq!(produced(&world), 0);
}

#[test]
fn a_topic_of_another_producer_is_refused() {
    let (one, other) = (World::with_topic(1, |_, _| {}), World::with_topic(1, |_, _| {}));
    let topic = one.handle.topic(TOPIC);
    let error = other
        .handle
        .try_send(&topic, &SendRecord::default())
        .expect_err("refused");
    assert_eq!(
        error,
        TrySendError::Refused(SendError::ForeignTopic { topic: TOPIC.into() })
    );
}

#[test]
fn a_broker_that_always_forgets_the_producer_is_not_asked_in_a_loop() {
    let mut world = World::with_topic(1, |config, _| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
    });
    let _delivery = world.send_to(0, "one");
    world.turn();
    let until = world.now() + Duration::from_secs(10);
    let mut asked = 0;
    while world.now() < until {
        while !world.requests.is_empty() {
            if world.requests[0].1.api_key == ApiKey::PRODUCE.0 {
                asked += 1;
                refuse(&mut world, ErrorCode::UNKNOWN_PRODUCER_ID);
            } else {
                world.answer_metadata(&[1]);
            }
        }
        let next = world.sender.poll_timeout().expect("the retry");
        world.clock.advance_to(next.min(until));
        world.turn();
    }
    assert!((5..30).contains(&asked), "{asked} attempts in 10 s");
}
