//! What a producer has to survive: the stimuli of `docs/scenarios.md` that no other file here is about.

use crate::world::{PRODUCER_ID, TOPIC, World};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_sender::{FailureKind, Persistence, SendRecord};
use std::time::Duration;

/// Answers the next Produce request for one partition.
fn answer(world: &mut World, partition: PartitionProduceResponse) {
    let (node, request) = world.next_request(ApiKey::PRODUCE);
    let topic = TopicProduceResponse {
        name: TOPIC.into(),
        partition_responses: vec![partition],
        ..TopicProduceResponse::default()
    };
    let answer = ProduceResponse {
        responses: vec![topic],
        ..ProduceResponse::default()
    };
    world.respond(node, &request, &answer);
}

fn produced(world: &World) -> usize {
    let is_produce = |(_, request): &&(i32, ottla_sender::Request)| request.api_key == ApiKey::PRODUCE.0;
    world.requests.iter().filter(is_produce).count()
}

#[test]
fn one_partition_backs_off_and_its_siblings_still_drain() {
    let mut world = World::with_topic(4, |config, _| {
        config.linger = Duration::ZERO;
        config.retry_backoff = (Duration::from_secs(10), Duration::from_secs(10));
    });
    // Partitions 0 and 2 have the same leader.
    let stuck = world.send_to(0, "stuck");
    world.turn();
    world.answer_produce(ErrorCode::CORRUPT_MESSAGE, -1);
    for number in 0..100 {
        let sibling = world.send_to(2, "sibling");
        world.turn();
        assert_eq!(world.answer_produce(ErrorCode::NONE, number)[0].partition, 2);
        assert!(sibling.is_resolved());
    }
    assert!(!stuck.is_resolved());
}

/// KAFKA-7311: Java's sender span while everything backed off.
#[test]
fn everything_backs_off_and_nobody_is_woken_meanwhile() {
    let mut world = World::with_topic(8, |config, _| {
        config.linger = Duration::ZERO;
        config.retry_backoff = (Duration::from_secs(50), Duration::from_secs(50));
    });
    let deliveries: Vec<_> = (0..8)
        .map(|partition| world.send_to(partition, "stuck"))
        .collect();
    world.turn();
    while produced(&world) > 0 {
        world.answer_produce(ErrorCode::CORRUPT_MESSAGE, -1);
    }
    // Jitter takes a fifth of it at most.
    let until = world.now() + Duration::from_secs(39);
    let turns = world.run_until(until);
    assert!(turns <= 2, "{turns} turns, and nothing was due");
    assert!(deliveries.iter().all(|delivery| !delivery.is_resolved()));
}

#[test]
fn a_blocked_send_is_cancelled_while_a_flush_waits_and_the_flush_ends() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.linger = Duration::from_secs(60);
        accumulator.buffer_memory = 4_096;
    });
    let (topic, handle) = (world.handle.topic(TOPIC), world.handle.clone());
    let value = [7; 1_000];
    let record = SendRecord {
        value: Some(&value),
        partition: Some(0),
        ..SendRecord::default()
    };
    while handle.try_send(&topic, &record).is_ok() {}
    let mut blocked = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(blocked.as_mut()).is_none());
    let mut flush = handle.flush();
    world.turn();
    assert!(World::poll(&mut flush).is_none());
    drop(blocked);
    while !world.requests.is_empty() {
        world.answer_produce(ErrorCode::NONE, 0);
    }
    assert!(World::poll(&mut flush).is_some());
    assert_eq!(handle.memory_used(), 0, "nothing is kept for who gave up");
}

/// franz-go #1217: the sequence of a record that nobody waited for was given to the next one, which was then acked as a
/// duplicate, and lost.
#[test]
fn a_delivery_is_dropped_after_a_lost_answer_and_its_sequence_is_not_used_again() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        accumulator.batch_size = 1;
    });
    let first = world.send_to(0, "first");
    world.turn();
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(first.is_resolved());
    let dropped = world.send_to(0, "dropped");
    world.turn();
    let lost = world.lose(true);
    drop(dropped);
    let next = world.send_to(0, "next");
    world.until_produce(&[1]);
    assert_eq!(
        world.answer_produce(ErrorCode::NONE, 1),
        lost,
        "it goes on, although nobody waits"
    );
    world.until_produce(&[1]);
    let sent = world.answer_produce(ErrorCode::NONE, 2);
    assert_eq!(
        (sent[0].values[0].as_str(), sent[0].identity),
        ("next", (PRODUCER_ID, 0, 2))
    );
    assert_eq!(
        next.outcome().expect("resolved").expect("acked").offset(),
        Some(2)
    );
}

#[test]
fn the_delivery_timeout_spans_queue_backoff_and_flight_to_the_tick() {
    let mut world = World::with_topic(1, |config, accumulator| {
        config.linger = Duration::ZERO;
        config.delivery_timeout = Duration::from_secs(30);
        config.retry_backoff = (Duration::from_secs(8), Duration::from_secs(8));
        accumulator.batch_size = 1;
    });
    // Ten seconds in the queue, behind another one in flight.
    let before = world.send_to(0, "before");
    world.turn();
    let appended = world.now();
    let late = world.send_to(0, "late");
    world.advance(Duration::from_secs(10));
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(before.is_resolved());
    // Then one attempt, about eight seconds of backoff, and another attempt that nobody answers.
    world.answer_produce(ErrorCode::REQUEST_TIMED_OUT, -1);
    world.until_produce(&[1]);
    let due = appended + Duration::from_secs(30);
    world.run_until(due - Duration::from_nanos(1));
    assert!(!late.is_resolved());
    world.run_until(due);
    let failure = late.outcome().expect("it is due").expect_err("expired");
    assert_eq!(
        (failure.kind, failure.persistence),
        (FailureKind::Timeout, Persistence::PossiblyPersisted)
    );
}

#[test]
fn the_wall_clock_jumps_an_hour_and_no_timer_notices() {
    for by_ms in [3_600_000, -3_600_000] {
        let mut world = World::with_topic(2, |_, _| {});
        let lingering = world.send_to(0, "one");
        world.turn();
        let due = world.sender.poll_timeout();
        world.clock.jump_wall_ms(by_ms);
        world.turn();
        assert_eq!(world.sender.poll_timeout(), due, "{by_ms}");
        assert!(world.requests.is_empty() && !lingering.is_resolved());
        world.advance(Duration::from_millis(5));
        world.answer_produce(ErrorCode::NONE, 1);
        let metadata = lingering.outcome().expect("resolved").expect("acked");
        assert_eq!(
            metadata.timestamp_ms(),
            1_700_000_000_000,
            "of when it was appended"
        );
        // One that is queued for as long as it may be.
        world.reachable = false;
        let stuck = world.send_to(1, "two");
        let from = world.now();
        world.clock.jump_wall_ms(-by_ms);
        world.run_until(from + Duration::from_millis(119_999));
        assert!(!stuck.is_resolved(), "{by_ms}");
        world.run_until(from + Duration::from_millis(120_000));
        assert!(stuck.is_resolved(), "{by_ms}");
    }
}

#[test]
fn a_throttled_broker_costs_no_record_its_time() {
    let mut world = World::with_topic(2, |config, _| {
        config.linger = Duration::ZERO;
        config.delivery_timeout = Duration::from_secs(40);
        config.request_timeout = Duration::from_secs(5);
    });
    let _one = world.send_to(0, "one");
    world.turn();
    let (node, request) = world.next_request(ApiKey::PRODUCE);
    let throttled = ProduceResponse {
        throttle_time_ms: 30_000,
        ..ProduceResponse::default()
    };
    world.respond(node, &request, &throttled);
    // The other broker is not muted.
    let other = world.send_to(1, "other");
    world.turn();
    assert_eq!(world.answer_produce(ErrorCode::NONE, 7)[0].partition, 1);
    assert!(other.is_resolved());
    // Longer than a request may take, shorter than a record may wait.
    let waits = world.send_to(0, "waits");
    let until = world.now() + Duration::from_millis(29_999);
    world.run_until(until);
    assert!(!waits.is_resolved() && produced(&world) == 0);
    world.run_until(until + Duration::from_millis(1));
    while !waits.is_resolved() {
        world.until_produce(&[1, 2]);
        world.answer_produce(ErrorCode::NONE, 0);
    }
    assert!(waits.outcome().expect("resolved").is_ok());
}

/// franz-go #1413: two brokers that each name the other one were asked in a loop.
#[test]
fn a_hint_of_the_same_or_an_older_epoch_backs_off() {
    for epoch in [7, 6, -1] {
        let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
        let delivery = world.send_to(0, "one");
        world.turn();
        let hint = |leader_id, leader_epoch| PartitionProduceResponse {
            error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0,
            base_offset: -1,
            current_leader: LeaderIdAndEpoch {
                leader_id,
                leader_epoch,
                ..LeaderIdAndEpoch::default()
            },
            ..PartitionProduceResponse::default()
        };
        answer(&mut world, hint(2, 7));
        assert_eq!((produced(&world), world.requests[0].0), (1, 2), "that was news");
        let refused = world.now();
        answer(&mut world, hint(1, epoch));
        assert_eq!(produced(&world), 0, "epoch {epoch} is none");
        // Metadata of before the move does not lead it back either.
        world.until_produce(&[1]);
        assert!(
            world.now().since(refused) >= Duration::from_millis(80),
            "it backed off"
        );
        let at = world
            .requests
            .iter()
            .position(|(_, request)| request.api_key == ApiKey::PRODUCE.0);
        assert_eq!(world.requests[at.expect("a Produce request")].0, 2);
        assert!(!delivery.is_resolved());
    }
}

#[test]
fn one_caller_of_a_shared_refresh_gives_up_and_the_others_succeed() {
    let mut world = World::new(|_, _| {});
    let (topic, handle) = (world.handle.topic(TOPIC), world.handle.clone());
    let record = SendRecord::default();
    let mut callers: Vec<_> = (0..3).map(|_| Box::pin(handle.send(&topic, &record))).collect();
    for caller in &mut callers {
        assert!(World::poll(caller.as_mut()).is_none());
    }
    world.turn();
    // The one who asked first.
    drop(callers.remove(0));
    world.turn();
    while world.requests.front().is_some() {
        world.answer_metadata(&[1]);
    }
    for caller in callers {
        assert!(World::poll(caller).expect("metadata is there").is_ok());
    }
}

#[test]
fn a_node_id_with_a_new_host_is_connected_to_there() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.metadata_max_age = Duration::from_secs(10);
    });
    let delivery = world.send_to(0, "one");
    world.turn();
    world.answer_produce(ErrorCode::NONE, 0);
    assert!(delivery.is_resolved());
    world.until_request();
    let (node, request) = world.next_request(ApiKey::METADATA);
    let moved = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: "elsewhere".into(),
            port: 9093,
            ..MetadataResponseBroker::default()
        }],
        topics: vec![MetadataResponseTopic {
            name: Some(TOPIC.into()),
            partitions: vec![MetadataResponsePartition {
                leader_id: 1,
                ..MetadataResponsePartition::default()
            }],
            ..MetadataResponseTopic::default()
        }],
        ..MetadataResponse::default()
    };
    world.connects.clear();
    world.respond(node, &request, &moved);
    let (node, address) = world.connects.first().expect("a connection to the new address");
    assert_eq!(
        (*node, address.host.as_str(), address.port),
        (1, "elsewhere", 9093)
    );
    let next = world.send_to(0, "two");
    world.turn();
    world.answer_produce(ErrorCode::NONE, 1);
    assert!(next.outcome().expect("resolved").is_ok());
}

/// librdkafka #3672: the counters of a topic that an answer had left out began anew, and records were lost as duplicates.
#[test]
fn a_topic_that_vanishes_for_a_moment_keeps_its_numbering() {
    let mut world = World::with_topic(1, |config, _| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        config.metadata_max_age = Duration::from_secs(1);
    });
    for (sequence, leaders) in [(0, &[][..]), (1, &[1]), (2, &[])] {
        let delivery = world.send_to(0, "one");
        world.turn();
        let sent = world.answer_produce(ErrorCode::NONE, i64::from(sequence));
        assert_eq!(sent[0].identity, (PRODUCER_ID, 0, sequence));
        assert!(delivery.is_resolved());
        world.until_request();
        let code = match leaders {
            [] => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            _ => ErrorCode::NONE,
        };
        world.answer_metadata_with(code, leaders, 0);
    }
}

/// KIP-467: the broker says which records it does not like.
#[test]
fn record_errors_give_each_record_its_own_result() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::from_millis(5));
    let deliveries = ["good", "bad", "good too"].map(|value| world.send_to(0, value));
    world.advance(Duration::from_millis(5));
    let refused = PartitionProduceResponse {
        error_code: ErrorCode::INVALID_RECORD.0,
        base_offset: -1,
        record_errors: vec![BatchIndexAndErrorMessage {
            batch_index: 1,
            batch_index_error_message: Some("no key".into()),
            ..BatchIndexAndErrorMessage::default()
        }],
        error_message: Some("one of them".into()),
        ..PartitionProduceResponse::default()
    };
    answer(&mut world, refused);
    let told = deliveries.map(|delivery| {
        let failure = delivery.outcome().expect("resolved").expect_err("refused");
        assert_eq!(failure.persistence, Persistence::NotPersisted);
        (failure.kind, failure.to_string())
    });
    let code = ErrorCode::INVALID_RECORD;
    assert_eq!(told[1].0, FailureKind::Broker(code));
    assert!(told[1].1.contains("no key"), "{told:?}");
    for (kind, text) in [&told[0], &told[2]] {
        assert_eq!(*kind, FailureKind::Neighbours(code));
        assert!(
            text.contains("other records") && !text.contains("no key"),
            "{told:?}"
        );
    }
}

#[test]
fn a_codec_that_the_broker_does_not_support_is_a_typed_error() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.codec = ottla_protocol::compression::Compression::Lz4.into();
    });
    let delivery = world.send_to(0, "one");
    world.turn();
    world.answer_produce(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, -1);
    let failure = delivery.outcome().expect("resolved").expect_err("refused");
    assert_eq!(
        (failure.kind, failure.persistence),
        (
            FailureKind::Broker(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
            Persistence::NotPersisted
        )
    );
    assert!(failure.to_string().contains("compression.type"), "{failure}");
}

/// Every code there can be, as the answer to Produce: an outcome each, and no panic. Without a second attempt, so that
/// each ends at once; a new epoch follows what leaves a gap.
#[test]
fn every_code_of_produce_is_an_outcome() {
    for idempotent in [false, true] {
        let make = || {
            World::with_topic(1, |config, _| {
                config.idempotent = idempotent;
                config.linger = Duration::ZERO;
                config.retries = 0;
                config.retry_backoff = (Duration::ZERO, Duration::ZERO);
            })
        };
        for code in (i16::MIN..=i16::MAX).map(ErrorCode) {
            // The codes that have a name, and some that have none.
            if !(-2..=200).contains(&code.0) && code.0 % 977 != 0 {
                continue;
            }
            let mut world = make();
            let delivery = world.send_to(0, "one");
            world.turn();
            world.answer_produce(code, 3);
            let outcome = delivery
                .outcome()
                .unwrap_or_else(|| panic!("{code} has no outcome"));
            match outcome {
                Ok(_) => assert!(
                    [ErrorCode::NONE, ErrorCode::DUPLICATE_SEQUENCE_NUMBER].contains(&code),
                    "{code} is no ack"
                ),
                Err(failure) => assert_eq!(failure.kind, FailureKind::Broker(code)),
            }
            // The next record gets on.
            let next = world.send_to(0, "two");
            world.until_produce(&[1]);
            world.answer_produce(ErrorCode::NONE, 4);
            assert!(next.outcome().expect("resolved").is_ok(), "behind {code}");
            assert_eq!(world.handle.memory_used(), 0, "{code}");
        }
    }
}

/// The same as the answer to Metadata, for the topic: a refusal, or asked again; and to InitProducerId.
#[test]
fn every_code_of_metadata_and_of_a_producer_id_is_survived() {
    for code in (-2..=200).chain([i16::MIN, i16::MAX]).map(ErrorCode) {
        let mut world = World::new(|config, _| {
            config.idempotent = true;
            config.linger = Duration::ZERO;
        });
        let topic = world.handle.topic(TOPIC);
        assert!(world.handle.try_send(&topic, &SendRecord::default()).is_err());
        world.turn();
        let mut told = false;
        for _ in 0..100 {
            let Some((_, request)) = world.requests.front() else {
                // Who was refused asks again.
                if world.handle.try_send(&topic, &SendRecord::default()).is_ok() {
                    break;
                }
                let next = world.sender.poll_timeout().expect("something is due");
                world.clock.advance_to(next);
                world.turn();
                continue;
            };
            match (ApiKey(request.api_key), told) {
                (ApiKey::INIT_PRODUCER_ID, _) => world.answer_producer_id(code),
                (_, false) => {
                    told = true;
                    world.answer_metadata_with(code, &[], 0);
                }
                (_, true) => world.answer_metadata(&[1]),
            }
        }
        assert!(told, "{code}");
        assert_eq!(topic.partition_count(), Some(1), "{code}");
    }
}
