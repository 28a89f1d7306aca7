//! Finding topics and leaders.

use crate::world::{TOPIC, World};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_sender::{SendError, SendRecord};
use std::time::Duration;

#[test]
fn a_send_waits_for_metadata_and_goes_on_when_it_comes() {
    let mut world = World::new(|_, _| {});
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord::default();
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    world.turn();
    assert_eq!(world.connects[0].1.host, "bootstrap");
    world.answer_metadata(&[1, 2]);
    assert!(World::poll(waiting.as_mut()).expect("metadata is there").is_ok());
}

#[test]
fn a_missing_topic_is_asked_for_at_a_bounded_rate_until_the_deadline() {
    let mut world = World::new(|config, _| config.max_block = Duration::from_secs(10));
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord::default();
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    let until = world.now() + Duration::from_secs(10);
    world.turn();
    let mut asked = 0;
    while world.now() < until {
        while !world.requests.is_empty() {
            asked += 1;
            world.answer_metadata_with(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &[], 0);
        }
        let next = world.sender.next_timeout().expect("the deadline at least");
        world.clock.advance_to(next.min(until));
        world.turn();
    }
    let error = World::poll(waiting.as_mut())
        .expect("the deadline")
        .expect_err("no such topic");
    assert!(
        error.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"),
        "{error}"
    );
    assert!((10..30).contains(&asked), "{asked} requests in 10 s");
}

#[test]
fn a_refused_topic_fails_at_once_and_only_its_own_records() {
    let mut world = World::new(|_, _| {});
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord::default();
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    world.turn();
    world.answer_metadata_with(ErrorCode::TOPIC_AUTHORIZATION_FAILED, &[], 0);
    let error = World::poll(waiting.as_mut())
        .expect("at once")
        .expect_err("refused");
    assert_eq!(
        error,
        SendError::Topic {
            topic: TOPIC.into(),
            code: ErrorCode::TOPIC_AUTHORIZATION_FAILED
        }
    );
    // Who asks again, asks the cluster again.
    let mut again = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(again.as_mut()).is_none());
    let until = world.now() + Duration::from_secs(1);
    world.run_until(until);
    world.answer_metadata(&[1]);
    assert!(World::poll(again.as_mut()).expect("metadata is there").is_ok());
}

#[test]
fn a_bad_explicit_partition_is_bounded_and_typed() {
    let mut world = World::with_topic(2, |config, _| config.max_block = Duration::from_secs(1));
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord {
        partition: Some(2),
        ..SendRecord::default()
    };
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    let until = world.now() + Duration::from_secs(1);
    world.run_until(until);
    let error = World::poll(waiting.as_mut())
        .expect("the deadline")
        .expect_err("no such partition");
    assert_eq!(
        error,
        SendError::NoSuchPartition {
            topic: TOPIC.into(),
            partition: 2,
            count: 2
        }
    );
    let negative = SendRecord {
        partition: Some(-1),
        ..SendRecord::default()
    };
    assert!(
        World::poll(handle.send(&topic, &negative))
            .expect("at once")
            .is_err()
    );
}

#[test]
fn the_partition_count_grows() {
    let mut world = World::with_topic(2, |_, _| {});
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord {
        partition: Some(3),
        ..SendRecord::default()
    };
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    let until = world.now() + Duration::from_secs(1);
    world.run_until(until);
    world.answer_metadata(&[1, 2, 1, 2]);
    let delivery = World::poll(waiting.as_mut())
        .expect("it has four now")
        .expect("queued");
    assert_eq!(delivery.partition(), 3);
}

#[test]
fn a_new_leader_gets_the_batch_without_backoff() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    // Metadata is asked for at most every retry.backoff.ms.
    world.advance(Duration::from_millis(200));
    let delivery = world.send_to(0, "one");
    world.turn();
    assert_eq!(world.requests[0].0, 1);
    let sent = world.answer_produce(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    // The answer asks for metadata too, which says that node 2 leads now.
    assert_eq!(world.requests[0].1.api_key, ApiKey::METADATA.0);
    world.answer_metadata_with(ErrorCode::NONE, &[2], 1);
    assert_eq!(world.requests[0].0, 2, "sent at once, to the new leader");
    assert_eq!(world.answer_produce(ErrorCode::NONE, 4), sent);
    assert!(delivery.outcome().expect("resolved").is_ok());
}

#[test]
fn older_metadata_is_rejected() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.metadata_max_age = Duration::from_secs(1);
    });
    for (epoch, leader, expected) in [(5, 2, 2), (4, 1, 2), (6, 1, 1)] {
        let until = world.now() + Duration::from_millis(2_500);
        world.run_until(until);
        world.answer_metadata_with(ErrorCode::NONE, &[leader], epoch);
        let _delivery = world.send_to(0, "one");
        world.turn();
        assert_eq!(world.requests[0].0, expected, "epoch {epoch}");
        world.answer_produce(ErrorCode::NONE, 0);
    }
}

#[test]
fn a_topic_that_vanishes_for_a_moment_keeps_its_queue() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::from_secs(10);
        config.metadata_max_age = Duration::from_secs(1);
    });
    let delivery = world.send_to(0, "one");
    let until = world.now() + Duration::from_millis(1_500);
    world.run_until(until);
    world.answer_metadata_with(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &[], 0);
    let _flush = world.handle.flush();
    world.turn();
    world.answer_produce(ErrorCode::NONE, 1);
    assert!(delivery.outcome().expect("resolved").is_ok());
}

#[test]
fn every_bootstrap_down_then_up_recovers() {
    let mut world = World::new(|config, _| {
        config.bootstrap.push(ottla_sender::Address {
            host: "second".into(),
            port: 2,
        });
    });
    world.reachable = false;
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord::default();
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    world.turn();
    for _ in 0..4 {
        let (node, _) = world.connects.last().cloned().expect("an attempt");
        world.clock.advance(Duration::from_millis(50));
        let now = world.now();
        world.sender.handle_disconnected(node, "connection refused", now);
        world.turn();
    }
    let hosts: Vec<&str> = world
        .connects
        .iter()
        .map(|(_, address)| address.host.as_str())
        .collect();
    assert_eq!(hosts, ["bootstrap", "second", "bootstrap", "second", "bootstrap"]);
    world.ready(-1);
    world.turn();
    world.answer_metadata(&[1]);
    assert!(World::poll(waiting.as_mut()).expect("metadata is there").is_ok());
}
