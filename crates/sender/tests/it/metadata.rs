//! Finding topics and leaders.

use crate::world::{TOPIC, World};
use ottla_protocol::messages::MetadataRequest;
use ottla_protocol::wire::{Reader, Uuid};
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_sender::{FailureKind, SendError, SendRecord, TrySendError};
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
        let next = world.sender.poll_timeout().expect("the deadline at least");
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

/// The topics that the next request, which must be for metadata, asks for.
fn asked_topics(world: &World) -> Vec<String> {
    let (_, request) = &world.requests[0];
    assert_eq!(request.api_key, ApiKey::METADATA.0);
    let body = bytes::Bytes::from(request.body.concat());
    let request = MetadataRequest::decode(&mut Reader::from_bytes(&body), request.api_version);
    let topics = request.expect("readable").topics.expect("not all topics");
    topics.into_iter().flat_map(|topic| topic.name).collect()
}

#[test]
fn a_topic_is_asked_for_until_it_was_idle_for_long_enough() {
    let mut world = World::with_topic(2, |config, _| {
        config.linger = Duration::ZERO;
        config.metadata_max_idle = Duration::from_secs(11 * 60);
    });
    // metadata.max.age.ms is five minutes.
    for expected in [&[TOPIC][..], &[TOPIC], &[]] {
        world.until_request();
        assert_eq!(asked_topics(&world), expected);
        world.answer_metadata(&[1, 2]);
    }
}

#[test]
fn a_topic_that_is_not_used_is_no_longer_asked_for() {
    let mut world = World::with_topic(2, |config, _| {
        config.linger = Duration::ZERO;
        config.idempotent = true;
    });
    let topic = world.handle.topic(TOPIC);
    world.send_to(1, "one").topic();
    world.turn();
    world.answer_produce(ErrorCode::NONE, 0);
    // metadata.max.age.ms and metadata.max.idle.ms are both five minutes.
    world.until_request();
    assert!(asked_topics(&world).is_empty());
    world.answer_metadata(&[1, 2]);
    assert_eq!(topic.partition_count(), None);

    let refused = world.handle.try_send(&topic, &SendRecord::default());
    assert!(matches!(refused, Err(TrySendError::Metadata)));
    world.turn();
    assert_eq!(asked_topics(&world), [TOPIC]);
    world.answer_metadata(&[1, 2]);
    world.send_to(1, "two").topic();
    world.turn();
    let sent = world.answer_produce(ErrorCode::NONE, 1);
    assert_eq!(
        (sent[0].partition, sent[0].identity.2),
        (1, 1),
        "its numbering goes on"
    );
}

#[test]
fn a_topic_that_is_in_use_is_asked_for_again() {
    let mut world = World::with_topic(2, |config, _| config.linger = Duration::ZERO);
    for _ in 0..4 {
        world.advance(Duration::from_secs(100));
        if let Some((_, request)) = world.requests.front()
            && request.api_key == ApiKey::METADATA.0
        {
            assert_eq!(asked_topics(&world), [TOPIC]);
            return;
        }
        world.send_to(0, "in use").topic();
        world.turn();
        world.answer_produce(ErrorCode::NONE, 0);
    }
    panic!("metadata.max.age.ms is over");
}

#[test]
fn a_topic_that_was_made_anew_with_fewer_partitions_shrinks() {
    let (old, new) = (Uuid::from_halves(0, 1), Uuid::from_halves(0, 2));
    let mut world = World::with_topic(3, |config, _| config.linger = Duration::ZERO);
    let topic = world.handle.topic(TOPIC);
    let answer = |world: &mut World, id, leaders: &[i32], epoch| {
        world.send_to(0, "stale").topic();
        world.until_request();
        while world.requests[0].1.api_key == ApiKey::PRODUCE.0 {
            world.answer_produce(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1);
            world.until_request();
        }
        world.answer_metadata_of(id, ErrorCode::NONE, leaders, epoch);
    };
    answer(&mut world, old, &[1, 2, 1], 5);
    assert_eq!(topic.partition_count(), Some(3));
    // An answer of a broker that lags behind shrinks nothing.
    answer(&mut world, old, &[1, 2], 5);
    assert_eq!(topic.partition_count(), Some(3));
    // The epochs of the new one begin anew.
    answer(&mut world, new, &[2], 0);
    assert_eq!(topic.partition_count(), Some(1));

    let record = SendRecord {
        partition: Some(2),
        ..SendRecord::default()
    };
    let refused = world.handle.try_send(&topic, &record);
    assert!(matches!(refused, Err(TrySendError::Metadata)), "{refused:?}");
}

#[test]
fn what_is_queued_for_a_partition_that_is_gone_fails_at_its_deadline() {
    let mut world = World::with_topic(2, |config, _| config.linger = Duration::from_secs(1));
    let delivery = world.send_to(1, "too late");
    world.advance(Duration::from_millis(200));
    world.send_to(0, "asks for metadata").topic();
    world.advance(Duration::from_secs(1));
    while let Some((_, request)) = world.requests.front() {
        if request.api_key == ApiKey::METADATA.0 {
            world.answer_metadata(&[1]);
        } else {
            world.answer_produce(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1);
        }
    }
    let until = world.now() + Duration::from_secs(120);
    world.run_answering(until, |world| {
        if world.requests[0].1.api_key == ApiKey::METADATA.0 {
            world.answer_metadata(&[1]);
        } else {
            world.answer_produce(ErrorCode::NONE, 0);
        }
    });
    let failure = delivery
        .outcome()
        .expect("its deadline is over")
        .expect_err("it is gone");
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
}

#[test]
fn metadata_is_asked_for_again_when_it_is_old() {
    let max_age = Duration::from_secs(7);
    let mut world = World::with_topic(1, |config, _| config.metadata_max_age = max_age);
    let start = world.now();
    let mut asked = Vec::new();
    while asked.len() < 3 {
        world.until_request();
        asked.push(world.now().since(start));
        world.answer_metadata(&[1]);
    }
    assert_eq!(asked, [max_age, 2 * max_age, 3 * max_age]);
}
