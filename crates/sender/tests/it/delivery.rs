//! What becomes of records.

use crate::world::{TOPIC, World};
use ottla_protocol::ErrorCode;
use ottla_protocol::compression::Compression;
use ottla_sender::{Acks, FailureKind, Persistence, SendError, SendRecord, TrySendError};
use std::time::Duration;

const LINGER: Duration = Duration::from_millis(5);

#[test]
fn a_single_record_is_sent_at_linger_and_not_before() {
    // The default, and another.
    for linger in [LINGER, 6 * LINGER] {
        let mut world = World::with_topic(1, |config, _| {
            if linger != LINGER {
                config.linger = linger;
            }
        });
        let delivery = world.send_to(0, "one");
        world.turn();
        let due = world.sender.poll_timeout().expect("the linger");
        assert_eq!(due, world.now() + linger);
        world.advance(linger - Duration::from_nanos(1));
        assert!(world.requests.is_empty());
        world.advance(Duration::from_nanos(1));
        let sent = world.answer_produce(ErrorCode::NONE, 41);
        assert_eq!(sent[0].values, ["one"]);
        let metadata = delivery.outcome().expect("resolved").expect("acked");
        assert_eq!(
            (metadata.topic(), metadata.partition(), metadata.offset()),
            (TOPIC, 0, Some(41))
        );
    }
}

#[test]
fn each_request_has_the_timeout_that_is_set() {
    for seconds in [30, 7] {
        let timeout = Duration::from_secs(seconds);
        let mut world = World::with_topic(1, |config, _| {
            config.linger = Duration::ZERO;
            config.request_timeout = timeout;
        });
        let _delivery = world.send_to(0, "one");
        world.turn();
        let (_, produce) = &world.requests[0];
        assert_eq!(produce.timeout, timeout);
    }
}

#[test]
fn a_full_batch_is_sent_at_once() {
    let mut world = World::with_topic(1, |_, accumulator| accumulator.batch_size = 100);
    let value = "x".repeat(60);
    let _first = world.send_to(0, &value);
    world.turn();
    // 61 + 67 bytes are more than 100.
    assert_eq!(world.requests.len(), 1);
}

#[test]
fn one_batch_of_a_partition_is_in_flight_and_several_partitions_share_a_request() {
    let mut world = World::with_topic(4, |config, accumulator| {
        config.linger = Duration::ZERO;
        accumulator.batch_size = 100;
    });
    let value = "x".repeat(60);
    for partition in [0, 0, 2, 1] {
        let _delivery = world.send_to(partition, &value);
    }
    world.turn();
    assert_eq!(world.requests.len(), 2, "one for each leader");
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for _ in 0..2 {
        let sent = world.answer_produce(ErrorCode::NONE, 0);
        partitions.push(sent.iter().map(|sent| sent.partition).collect());
    }
    partitions.sort();
    assert_eq!(partitions, [vec![0, 2], vec![1]]);
    // The second batch of partition 0 went when the first was acked.
    assert_eq!(world.answer_produce(ErrorCode::NONE, 1)[0].partition, 0);
    assert!(world.requests.is_empty());
}

#[test]
fn a_request_stays_within_max_request_size_and_the_start_position_rotates() {
    let mut world = World::with_topic(5, |config, accumulator| {
        config.max_request_size = 300;
        config.max_in_flight = 1;
        accumulator.batch_size = 100;
    });
    let value = "x".repeat(60);
    // All on node 1: partitions 0, 2 and 4; two batches of 128 bytes fit into 300.
    for partition in [0, 2, 4, 0, 2, 4] {
        let _delivery = world.send_to(partition, &value);
    }
    world.turn();
    let mut order = Vec::new();
    while !world.requests.is_empty() {
        order.push(
            world
                .answer_produce(ErrorCode::NONE, 0)
                .iter()
                .map(|sent| sent.partition)
                .collect::<Vec<_>>(),
        );
    }
    assert!(order.iter().all(|request| request.len() <= 2), "{order:?}");
    assert_eq!(order[0], [0, 2]);
    assert_eq!(order[1][0], 4, "what did not fit goes first: {order:?}");
    assert_eq!(order.concat().len(), 6);
}

#[test]
fn a_retriable_error_sends_identical_bytes_again_and_in_order() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.linger = Duration::ZERO;
        accumulator.batch_size = 100;
    });
    let value = "x".repeat(60);
    let first = world.send_to(0, &value);
    let second = world.send_to(0, "later");
    world.turn();
    let sent = world.answer_produce(ErrorCode::CORRUPT_MESSAGE, -1);
    assert!(
        world.requests.is_empty(),
        "it backs off, and nothing overtakes it"
    );
    world.advance(Duration::from_millis(120));
    assert_eq!(world.answer_produce(ErrorCode::NONE, 7), sent);
    assert_eq!(world.answer_produce(ErrorCode::NONE, 8)[0].values, ["later"]);
    assert_eq!(
        first.outcome().expect("resolved").expect("acked").offset(),
        Some(7)
    );
    assert_eq!(
        second.outcome().expect("resolved").expect("acked").offset(),
        Some(8)
    );
}

#[test]
fn a_fatal_error_fails_the_batch_as_not_persisted_with_advice() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    let delivery = world.send_to(0, "one");
    world.turn();
    world.answer_produce(ErrorCode::MESSAGE_TOO_LARGE, -1);
    let failure = delivery.outcome().expect("resolved").expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Broker(ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!(failure.persistence, Persistence::NotPersisted);
    assert!(failure.to_string().contains("batch.size"), "{failure}");
}

#[test]
fn a_batch_above_the_brokers_limit_is_split_until_only_the_culprit_fails() {
    for (idempotent, codec) in [
        (false, Compression::None),
        (true, Compression::None),
        (true, Compression::Lz4),
    ] {
        let mut world = World::with_topic(1, |config, _| {
            config.idempotent = idempotent;
            config.codec = codec.into();
        });
        let sizes = [10, 20, 900, 30, 40, 50, 60, 70];
        let values: Vec<String> = sizes.iter().map(|&size| pseudo_random_text(size)).collect();
        let deliveries: Vec<_> = values.iter().map(|value| world.send_to(0, value)).collect();
        let mut flush = world.handle.flush();
        world.turn();
        let mut log: Vec<String> = Vec::new();
        let mut identities = Vec::new();
        for _ in 0..100 {
            if world.requests.is_empty() {
                break;
            }
            assert!(World::poll(&mut flush).is_none(), "the flush waits for the parts");
            let next = crate::world::sent(&world.requests[0].1);
            // The broker's limit: 500 bytes for a batch.
            if next[0].bytes.len() > 500 {
                world.answer_produce(ErrorCode::MESSAGE_TOO_LARGE, -1);
                // A single record that is too large leaves a gap; what follows is refused for it.
            } else if idempotent && next[0].identity.2 != identities.len() as i32 && next[0].identity.1 == 0 {
                world.answer_produce(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
            } else {
                world.answer_produce(ErrorCode::NONE, log.len() as i64);
                identities.extend(next[0].values.iter().map(|_| next[0].identity));
                log.extend(next[0].values.clone());
            }
            let until = world.now() + Duration::from_millis(300);
            world.run_until(until);
        }
        assert!(World::poll(&mut flush).is_some());
        let mut expected: Vec<&String> = values.iter().collect();
        let culprit = expected.remove(2);
        assert_eq!(log.iter().collect::<Vec<_>>(), expected);
        for (value, delivery) in values.iter().zip(&deliveries) {
            let outcome = delivery.outcome().expect("resolved");
            if value == culprit {
                let failure = outcome.expect_err("too large");
                assert_eq!(failure.kind, FailureKind::Broker(ErrorCode::MESSAGE_TOO_LARGE));
                assert_eq!(failure.persistence, Persistence::NotPersisted);
            } else {
                let offset = outcome.expect("acked").offset().expect("an offset");
                assert_eq!(&log[usize::try_from(offset).expect("positive")], value);
            }
        }
        assert_eq!(world.handle.memory_used(), 0);
    }
}

/// Text that no codec makes much smaller.
fn pseudo_random_text(len: usize) -> String {
    let mut state = len as u64 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(33 + (state >> 33) as u8 % 90)
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn retries_zero_means_one_attempt() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.retries = 0;
    });
    let delivery = world.send_to(0, "one");
    world.turn();
    world.answer_produce(ErrorCode::NOT_ENOUGH_REPLICAS, -1);
    let failure = delivery.outcome().expect("resolved").expect_err("refused");
    assert_eq!(failure.persistence, Persistence::NotPersisted);
}

#[test]
fn not_enough_replicas_after_append_is_possibly_persisted() {
    for code in [
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode(12_345),
    ] {
        let mut world = World::with_topic(1, |config, _| {
            config.linger = Duration::ZERO;
            config.retries = 0;
        });
        let delivery = world.send_to(0, "one");
        world.turn();
        world.answer_produce(code, -1);
        let failure = delivery.outcome().expect("resolved").expect_err("refused");
        assert_eq!(failure.persistence, Persistence::PossiblyPersisted, "{code}");
    }
}

#[test]
fn a_lost_connection_is_retried_and_its_fate_is_unknown_until_acked() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    let delivery = world.send_to(0, "one");
    world.turn();
    let sent = world.lose(true);
    world.run_until(world.now() + Duration::from_millis(200));
    while world
        .requests
        .front()
        .is_some_and(|(_, request)| request.api_key != 0)
    {
        world.answer_metadata(&[1]);
        world.advance(Duration::from_millis(200));
    }
    assert_eq!(world.answer_produce(ErrorCode::NONE, 3), sent);
    assert_eq!(
        delivery.outcome().expect("resolved").expect("acked").offset(),
        Some(3)
    );
}

#[test]
fn no_leader_expires_unsent_as_a_definite_failure() {
    let mut world = World::with_topic(1, |_, _| {});
    let delivery = world.send_to(0, "one");
    // Its leader is lost before anything is sent.
    let _flush = world.handle.flush();
    world.reachable = false;
    world.turn();
    while world
        .requests
        .front()
        .is_some_and(|(_, request)| request.api_key == 0)
    {
        world.lose(false);
    }
    let until = world.now() + Duration::from_millis(120_001);
    let turns = world.run_until(until);
    let failure = delivery.outcome().expect("resolved").expect_err("expired");
    assert_eq!(
        (failure.kind, failure.persistence),
        (FailureKind::Timeout, Persistence::NotPersisted)
    );
    assert!(turns < 2_000, "{turns} turns in two minutes of waiting");
}

#[test]
fn a_batch_that_expires_in_flight_is_possibly_persisted_and_its_late_answer_changes_nothing() {
    let timeout = Duration::from_secs(40);
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.delivery_timeout = timeout;
    });
    let delivery = world.send_to(0, "one");
    world.turn();
    let until = world.now() + timeout;
    world.run_until(until);
    let failure = delivery
        .outcome()
        .expect("resolved within one tick")
        .expect_err("expired");
    assert_eq!(
        (failure.kind, failure.persistence),
        (FailureKind::Timeout, Persistence::PossiblyPersisted)
    );
    // Its memory stays charged while the writer may hold it.
    assert!(world.handle.memory_used() > 0);
    while world
        .requests
        .front()
        .is_some_and(|(_, request)| request.api_key != 0)
    {
        world.answer_metadata(&[1]);
    }
    let _sent = world.answer_produce(ErrorCode::NONE, 5);
    assert!(delivery.outcome().expect("still").is_err());
    drop(_sent);
    assert_eq!(world.handle.memory_used(), 0);
}

#[test]
fn a_partition_left_out_of_the_answer_is_retried() {
    let mut world = World::with_topic(2, |config, _| config.linger = Duration::ZERO);
    let delivery = world.send_to(0, "one");
    world.turn();
    let (node, request) = world.next_request(ottla_protocol::ApiKey::PRODUCE);
    // An empty flexible answer: no topic, no throttle, no tags.
    let body = bytes::Bytes::from_static(&[1, 0, 0, 0, 0, 0]);
    let now = world.now();
    world.sender.handle_response(node, request.id, body, now);
    world.turn();
    assert!(delivery.outcome().is_none());
    world.advance(Duration::from_millis(150));
    while world
        .requests
        .front()
        .is_some_and(|(_, request)| request.api_key != 0)
    {
        world.answer_metadata(&[1, 2]);
        world.advance(Duration::from_millis(150));
    }
    world.answer_produce(ErrorCode::NONE, 9);
    assert!(delivery.outcome().expect("resolved").is_ok());
}

#[test]
fn acks_zero_is_done_when_it_is_written() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.acks = Acks::None;
    });
    let delivery = world.send_to(0, "one");
    world.turn();
    let (node, request) = world.next_request(ottla_protocol::ApiKey::PRODUCE);
    assert!(!request.expects_response);
    let now = world.now();
    world.sender.handle_written(node, request.id, now);
    let metadata = delivery.outcome().expect("resolved").expect("written");
    assert_eq!(
        (metadata.offset(), metadata.timestamp_ms()),
        (None, 1_700_000_000_000)
    );
}

#[test]
fn compressed_batches_fill_by_their_estimate_and_decode() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.codec = Compression::Lz4.into();
        accumulator.batch_size = 4_000;
    });
    let mut deliveries = Vec::new();
    let mut counts = Vec::new();
    for round in 0..40 {
        for _ in 0..50 {
            deliveries.push(world.send_to(0, &format!("{round:>100}")));
        }
        world.advance(LINGER);
        while !world.requests.is_empty() {
            let offset = deliveries.len() as i64;
            counts.extend(
                world
                    .answer_produce(ErrorCode::NONE, offset)
                    .iter()
                    .map(|sent| sent.values.len()),
            );
        }
    }
    assert_eq!(counts.iter().sum::<usize>(), 2_000);
    assert!(
        counts[0] < 40,
        "the first batch is taken for incompressible: {counts:?}"
    );
    assert!(
        *counts.last().expect("some") > counts[0],
        "later ones hold more: {counts:?}"
    );
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.outcome().is_some_and(|outcome| outcome.is_ok()))
    );
    assert_eq!(world.handle.memory_used(), 0);
}

#[test]
fn flush_overrides_linger_and_linger_applies_again_afterwards() {
    let mut world = World::with_topic(2, |config, _| config.linger = Duration::from_secs(60));
    let _one = world.send_to(0, "one");
    let _two = world.send_to(1, "two");
    world.turn();
    assert!(world.requests.is_empty());
    let mut flush = world.handle.flush();
    world.turn();
    let _three = world.send_to(0, "three");
    world.turn();
    assert!(World::poll(&mut flush).is_none());
    world.answer_produce(ErrorCode::NONE, 0);
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(World::poll(&mut flush).is_some());
    assert!(world.requests.is_empty(), "what came after the flush lingers");
}

#[test]
fn a_shortage_of_memory_ends_the_linger() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.linger = Duration::from_secs(60);
        accumulator.buffer_memory = 8_192;
        accumulator.batch_size = 100_000;
    });
    let topic = world.handle.topic(TOPIC);
    let value = [7; 1_000];
    let record = SendRecord {
        value: Some(&value),
        partition: Some(0),
        ..SendRecord::default()
    };
    let mut sent = 0;
    let error = loop {
        match world.handle.try_send(&topic, &record) {
            Ok(_delivery) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, TrySendError::Memory);
    assert!(sent >= 4, "{sent} records of 1,000 bytes in 8 KiB");
    world.turn();
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(world.handle.try_send(&topic, &record).is_ok());
}

#[test]
fn memory_exhausted_for_max_block_is_a_typed_error_and_nothing_is_queued() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.max_block = Duration::from_millis(50);
        accumulator.buffer_memory = 4_096;
    });
    let topic = world.handle.topic(TOPIC);
    let handle = world.handle.clone();
    let value = [7; 1_000];
    let record = SendRecord {
        value: Some(&value),
        partition: Some(0),
        ..SendRecord::default()
    };
    while handle.try_send(&topic, &record).is_ok() {}
    let used = handle.memory_used();
    assert!((1_000..=4_096).contains(&used), "{used} of buffer.memory");
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    let until = world.now() + Duration::from_millis(50);
    world.run_until(until);
    let error = World::poll(waiting.as_mut())
        .expect("the deadline")
        .expect_err("no memory");
    assert!(matches!(error, SendError::MemoryTimeout { .. }), "{error}");
    drop(waiting);
    assert_eq!(handle.memory_used(), used);
}

#[test]
fn a_waiter_at_close_errors_promptly_and_close_sends_what_is_queued() {
    let mut world = World::with_topic(1, |_, accumulator| accumulator.buffer_memory = 4_096);
    let topic = world.handle.topic(TOPIC);
    let handle = world.handle.clone();
    let value = [7; 1_000];
    let record = SendRecord {
        value: Some(&value),
        partition: Some(0),
        ..SendRecord::default()
    };
    let mut deliveries = Vec::new();
    while let Ok(delivery) = handle.try_send(&topic, &record) {
        deliveries.push(delivery);
    }
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    let mut closing = handle.close(Duration::from_secs(30));
    let error = World::poll(waiting.as_mut())
        .expect("promptly")
        .expect_err("closed");
    assert_eq!(error, SendError::Closed);
    drop(waiting);
    world.turn();
    assert!(World::poll(&mut closing).is_none());
    while !world.requests.is_empty() {
        world.answer_produce(ErrorCode::NONE, 0);
    }
    assert!(World::poll(&mut closing).is_some() && world.finished);
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.outcome().is_some_and(|outcome| outcome.is_ok()))
    );
}

#[test]
fn close_with_brokers_down_returns_in_time_with_everything_resolved() {
    let mut world = World::with_topic(2, |_, _| {});
    let in_flight = world.send_to(0, "in flight");
    world.advance(LINGER);
    let queued = world.send_to(0, "queued");
    let mut closing = world.handle.close(Duration::from_secs(3));
    let until = world.now() + Duration::from_secs(3);
    world.run_until(until);
    assert!(World::poll(&mut closing).is_some());
    let failure =
        |delivery: &ottla_sender::Delivery| delivery.outcome().expect("resolved").expect_err("closed");
    assert_eq!(failure(&in_flight).persistence, Persistence::PossiblyPersisted);
    assert_eq!(failure(&queued).persistence, Persistence::NotPersisted);
    let topic = world.handle.topic(TOPIC);
    let refused = world
        .handle
        .try_send(&topic, &SendRecord::default())
        .expect_err("closed");
    assert_eq!(refused, TrySendError::Refused(SendError::Closed));
}

#[test]
fn a_driver_that_dies_leaves_nobody_waiting() {
    let mut world = World::with_topic(1, |_, _| {});
    let delivery = world.send_to(0, "one");
    let topic = world.handle.topic("unknown");
    let handle = world.handle.clone();
    let record = SendRecord::default();
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    drop(world);
    assert_eq!(
        World::poll(waiting).expect("woken").expect_err("closed"),
        SendError::Closed
    );
    let failure = delivery.outcome().expect("resolved").expect_err("closed");
    assert_eq!(
        (failure.kind, failure.persistence),
        (FailureKind::Closed, Persistence::NotPersisted)
    );
}

#[test]
fn a_record_too_large_for_a_request_or_for_the_memory_is_refused_at_once() {
    let world = World::with_topic(1, |config, _| config.max_request_size = 1_000);
    let topic = world.handle.topic(TOPIC);
    let value = [7; 1_000];
    let record = SendRecord {
        value: Some(&value),
        ..SendRecord::default()
    };
    let error = world.handle.try_send(&topic, &record).expect_err("too large");
    assert!(error.to_string().contains("max.request.size=1000"), "{error}");
    // A record that fits into a request but not into a batch gets one of its own.
    let mut world = World::with_topic(1, |_, accumulator| accumulator.batch_size = 10);
    let delivery = world.send_to(0, &"x".repeat(900));
    world.turn();
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(delivery.outcome().expect("resolved").is_ok());
}

/// Answers the oldest Produce request with nothing but a wait.
fn throttle(world: &mut World, throttle_time_ms: i32) {
    use ottla_protocol::Message;
    use ottla_protocol::messages::ProduceResponse;
    let (node, request) = world.next_request(ottla_protocol::ApiKey::PRODUCE);
    let answer = ProduceResponse {
        throttle_time_ms,
        ..ProduceResponse::default()
    };
    let mut writer = ottla_protocol::wire::Writer::default();
    answer.encode(&mut writer, request.api_version).expect("encodes");
    let now = world.now();
    world
        .sender
        .handle_response(node, request.id, writer.into_bytes(), now);
    world.turn();
}

/// A broker that throttles answers at once and then reads nothing (KIP-219): what it has not read is not late.
#[test]
fn what_is_under_way_to_a_throttled_broker_gets_more_time() {
    // Node 1 leads the partitions 0 and 2, node 2 the other.
    let mut world = World::with_topic(3, |config, _| config.linger = Duration::ZERO);
    let _sent: Vec<_> = (0..3)
        .map(|partition| {
            let sent = world.send_to(partition, "one");
            world.turn();
            sent
        })
        .collect();
    throttle(&mut world, 10_000);
    assert_eq!(world.extended, [(1, Duration::from_secs(10))]);
    // Nothing is under way to it any more when its second answer comes.
    world.extended.clear();
    world.requests.rotate_left(1);
    throttle(&mut world, 20_000);
    assert_eq!(world.extended, []);
}

#[test]
fn throttled_brokers_get_nothing_until_then_without_a_spin() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    let _one = world.send_to(0, "one");
    world.turn();
    let now = world.now();
    throttle(&mut world, 10_000);
    let turns = world.run_until(now + Duration::from_millis(9_999));
    let produced = |world: &World| {
        world
            .requests
            .iter()
            .filter(|(_, request)| request.api_key == 0)
            .count()
    };
    assert_eq!(produced(&world), 0);
    assert!(turns < 20, "{turns} turns while throttled");
    world.run_until(now + Duration::from_millis(10_000));
    assert_eq!(produced(&world), 1);
}

#[test]
fn an_idle_sender_sleeps() {
    let mut world = World::with_topic(3, |_, _| {});
    let from = world.now();
    assert!(world.run_until(from + Duration::from_secs(299)) < 5);
    assert!(world.sender.poll_timeout().expect("metadata grows old") > from + Duration::from_secs(200));
}

#[test]
fn retries_wait_longer_and_longer_up_to_the_maximum() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.retry_backoff = (Duration::from_millis(70), Duration::from_millis(200));
    });
    let _delivery = world.send_to(0, "v");
    world.turn();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let answered = world.now();
        world.answer_produce(ErrorCode::CORRUPT_MESSAGE, -1);
        world.until_produce(&[1]);
        waits.push(world.now().since(answered));
    }
    // Each is off by a fifth at most.
    for (wait, expected_ms) in waits.iter().zip([70, 140, 200, 200, 200]) {
        let expected = Duration::from_millis(expected_ms);
        assert!(
            *wait >= expected * 4 / 5 && *wait <= expected * 6 / 5,
            "{waits:?}"
        );
    }
}
