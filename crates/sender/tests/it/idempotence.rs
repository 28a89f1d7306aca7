//! Once, and in order: what the sender does with identities and sequences.

use crate::world::{PRODUCER_ID, Sent, World};
use ottla_protocol::messages::InitProducerIdResponse;
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_sender::{Delivery, FailureKind, Persistence, SendRecord};
use std::time::Duration;

const LEADERS: [i32; 2] = [1, 2];

/// Two partitions, each record a batch of its own, sent at once.
fn world() -> World {
    World::with_topic(2, |config, accumulator| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        accumulator.batch_size = 1;
    })
}

fn offset(delivery: &Delivery) -> Option<i64> {
    delivery.outcome().expect("resolved").expect("acked").offset()
}

fn failure(delivery: &Delivery) -> (FailureKind, Persistence) {
    let failure = delivery.outcome().expect("resolved").expect_err("failed");
    (failure.kind, failure.persistence)
}

/// Sends to partition 0 and has the first acked, so that its window is open. Returns the deliveries of the others, which
/// are in flight.
fn in_flight(world: &mut World, values: &[&str]) -> Vec<Delivery> {
    let first = world.send_to(0, "first");
    world.turn();
    assert_eq!(
        world.answer_produce(ErrorCode::NONE, 100)[0].identity,
        (PRODUCER_ID, 0, 0)
    );
    assert_eq!(offset(&first), Some(100));
    let deliveries = values.iter().map(|value| world.send_to(0, value)).collect();
    world.turn();
    deliveries
}

/// KIP-219: any answer may ask for it.
#[test]
fn a_broker_that_throttles_in_the_answer_of_an_init_producer_id_is_left_alone() {
    let mut world = World::new(|config, _| config.idempotent = true);
    let topic = world.handle.topic(crate::world::TOPIC);
    let early = world.handle.try_send(&topic, &SendRecord::default());
    assert!(early.is_err(), "no metadata yet");
    world.turn();
    while world.requests[0].1.api_key != ApiKey::INIT_PRODUCER_ID.0 {
        world.answer_metadata(&LEADERS);
    }
    let (throttling, request) = world.next_request(ApiKey::INIT_PRODUCER_ID);
    let answer = InitProducerIdResponse {
        throttle_time_ms: 10_000,
        error_code: ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.0,
        ..InitProducerIdResponse::default()
    };
    let answered = world.now();
    world.respond(throttling, &request, &answer);
    let to_it = |world: &World| world.requests.iter().any(|(node, _)| *node == throttling);
    world.run_until(answered + Duration::from_millis(9_999));
    assert!(!to_it(&world));
}

fn answer(world: &mut World, code: ErrorCode, base_offset: i64) -> Sent {
    world.until_produce(&LEADERS);
    let mut sent = world.answer_produce(code, base_offset);
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

#[test]
fn a_new_partition_has_one_request_in_flight_until_its_first_ack_and_then_five() {
    let mut world = world();
    let deliveries: Vec<_> = (0..8)
        .map(|number| world.send_to(0, &number.to_string()))
        .collect();
    world.turn();
    assert_eq!(world.requests.len(), 1);
    let first = answer(&mut world, ErrorCode::NONE, 0);
    assert_eq!(first.identity, (PRODUCER_ID, 0, 0));
    assert_eq!(world.requests.len(), 5);
    for (sequence, delivery) in (1..).zip(&deliveries[1..]) {
        let sent = answer(&mut world, ErrorCode::NONE, i64::from(sequence));
        assert_eq!(sent.identity, (PRODUCER_ID, 0, sequence));
        assert_eq!(offset(delivery), Some(i64::from(sequence)));
    }
}

#[test]
fn the_first_of_five_fails_retriably_and_all_are_retried_in_order() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a", "b", "c", "d", "e"]);
    assert_eq!(world.requests.len(), 5);
    let mut sent = vec![answer(&mut world, ErrorCode::NOT_ENOUGH_REPLICAS, -1)];
    for _ in 0..4 {
        sent.push(answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    }
    for (number, before) in sent.iter().enumerate() {
        let again = answer(&mut world, ErrorCode::NONE, 101 + number as i64);
        assert_eq!(&again, before, "identity and bytes stay what they were");
        assert_eq!(offset(&deliveries[number]), Some(101 + number as i64));
    }
    assert!(
        world
            .requests
            .iter()
            .all(|(_, request)| request.api_key != ApiKey::INIT_PRODUCER_ID.0)
    );
}

#[test]
fn out_of_order_behind_a_failed_predecessor_waits_without_an_epoch_bump() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a", "b"]);
    let first = answer(&mut world, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    let second = answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert_eq!(answer(&mut world, ErrorCode::NONE, 101), first);
    assert_eq!(answer(&mut world, ErrorCode::NONE, 102), second);
    assert_eq!(
        (offset(&deliveries[0]), offset(&deliveries[1])),
        (Some(101), Some(102))
    );
}

#[test]
fn a_lost_response_is_sent_again_as_it_was_and_acked_once() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a"]);
    let lost = world.lose(true);
    world.until_produce(&LEADERS);
    // The broker knows the sequence and answers with the offset it had given.
    assert_eq!(world.answer_produce(ErrorCode::NONE, 101), lost);
    assert_eq!(offset(&deliveries[0]), Some(101));
}

#[test]
fn first_outcome_unknown_and_second_acked_resolves_the_first_without_a_duplicate() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a", "b"]);
    let first = answer(&mut world, ErrorCode::REQUEST_TIMED_OUT, -1);
    answer(&mut world, ErrorCode::NONE, 102);
    assert_eq!(offset(&deliveries[1]), Some(102));
    assert_eq!(
        answer(&mut world, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1),
        first
    );
    assert_eq!(
        offset(&deliveries[0]),
        None,
        "it is in the log; where, the broker has forgotten"
    );
}

#[test]
fn out_of_order_at_the_head_drains_bumps_and_restarts_at_zero_while_others_go_on() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a", "b"]);
    let other = world.send_to(1, "other");
    world.turn();
    // Nothing before "a" is missing as far as was acked: the broker has lost something.
    answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert_eq!(
        world.requests.len(),
        2,
        "\"b\" and the other partition: nothing is numbered anew before they are done"
    );
    answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    let sent = answer(&mut world, ErrorCode::NONE, 7);
    assert_eq!(
        (sent.partition, sent.identity),
        (1, (PRODUCER_ID, 0, 0)),
        "the other partition keeps its epoch"
    );
    assert_eq!(offset(&other), Some(7));
    let again = answer(&mut world, ErrorCode::NONE, 101);
    assert_eq!(
        (again.values[0].as_str(), again.identity),
        ("a", (PRODUCER_ID, 1, 0))
    );
    let again = answer(&mut world, ErrorCode::NONE, 102);
    assert_eq!(
        (again.values[0].as_str(), again.identity),
        ("b", (PRODUCER_ID, 1, 1))
    );
    assert_eq!(
        (offset(&deliveries[0]), offset(&deliveries[1])),
        (Some(101), Some(102))
    );
}

#[test]
fn what_may_be_in_the_log_is_never_sent_under_a_new_identity() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a", "b"]);
    // "a" may have been appended; then the broker says that it has lost its place.
    answer(&mut world, ErrorCode::REQUEST_TIMED_OUT, -1);
    answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    let expected = FailureKind::Broker(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(
        failure(&deliveries[0]),
        (expected, Persistence::PossiblyPersisted)
    );
    let again = answer(&mut world, ErrorCode::NONE, 101);
    assert_eq!(
        (again.values[0].as_str(), again.identity),
        ("b", (PRODUCER_ID, 1, 0))
    );
    assert_eq!(offset(&deliveries[1]), Some(101));
}

#[test]
fn a_refused_batch_leaves_a_gap_and_its_successors_go_on_under_a_new_epoch() {
    let mut world = world();
    let deliveries = in_flight(&mut world, &["a", "b", "c"]);
    answer(&mut world, ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert_eq!(failure(&deliveries[0]).1, Persistence::NotPersisted);
    answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    answer(&mut world, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    for (number, value) in ["b", "c"].into_iter().enumerate() {
        let again = answer(&mut world, ErrorCode::NONE, 101 + number as i64);
        assert_eq!(
            (again.values[0].as_str(), again.identity),
            (value, (PRODUCER_ID, 1, number as i32))
        );
    }
}

#[test]
fn the_first_expires_in_flight_and_the_partition_is_held_until_all_are_resolved() {
    let mut world = World::with_topic(2, |config, accumulator| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        config.delivery_timeout = Duration::from_secs(10);
        accumulator.batch_size = 1;
    });
    let deliveries = in_flight(&mut world, &["a", "b"]);
    let until = world.now() + Duration::from_secs(10);
    world.run_until(until);
    for delivery in &deliveries {
        assert_eq!(
            failure(delivery),
            (FailureKind::Timeout, Persistence::PossiblyPersisted)
        );
    }
    let later = world.send_to(0, "later");
    world.turn();
    let produced = |world: &World| {
        world
            .requests
            .iter()
            .filter(|(_, request)| request.api_key == 0)
            .count()
    };
    assert_eq!(
        produced(&world),
        3,
        "nothing is broken as far as is known: the window has room"
    );
    // Nothing was answered for "a" and "b"; the connection breaks.
    while produced(&world) > 0 {
        world.lose(true);
    }
    // Both were given up, so what follows cannot be told to be in order: "later" may be in the log too.
    world.until_produce(&LEADERS);
    let sent = world.answer_produce(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert_eq!(sent[0].identity, (PRODUCER_ID, 0, 3), "it is asked for as it was");
    assert_eq!(failure(&later).1, Persistence::PossiblyPersisted);
    let fresh = world.send_to(0, "fresh");
    let sent = answer(&mut world, ErrorCode::NONE, 101);
    assert_eq!(
        (sent.values[0].as_str(), sent.identity),
        ("fresh", (PRODUCER_ID, 1, 0))
    );
    assert_eq!(offset(&fresh), Some(101));
}

#[test]
fn an_ack_behind_a_given_up_batch_proves_that_there_is_no_gap() {
    let mut world = World::with_topic(2, |config, accumulator| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        config.delivery_timeout = Duration::from_secs(10);
        accumulator.batch_size = 1;
    });
    let deliveries = in_flight(&mut world, &["a"]);
    let until = world.now() + Duration::from_secs(9);
    world.run_until(until);
    let second = world.send_to(0, "b");
    world.turn();
    world.run_until(until + Duration::from_secs(1));
    assert_eq!(failure(&deliveries[0]).1, Persistence::PossiblyPersisted);
    answer(&mut world, ErrorCode::REQUEST_TIMED_OUT, -1);
    answer(&mut world, ErrorCode::NONE, 102);
    assert_eq!(offset(&second), Some(102));
    let third = world.send_to(0, "c");
    assert_eq!(
        answer(&mut world, ErrorCode::NONE, 103).identity,
        (PRODUCER_ID, 0, 3)
    );
    assert_eq!(offset(&third), Some(103));
}

#[test]
fn init_producer_id_fails_transiently_and_is_retried() {
    let mut world = World::new(|config, _| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
    });
    let topic = world.handle.topic(crate::world::TOPIC);
    assert!(world.handle.try_send(&topic, &SendRecord::default()).is_err());
    world.turn();
    let mut refusals = 3;
    let mut delivery = None;
    while delivery.is_none()
        || world
            .requests
            .front()
            .is_none_or(|(_, request)| request.api_key != 0)
    {
        match world.requests.front().map(|(_, request)| ApiKey(request.api_key)) {
            Some(ApiKey::INIT_PRODUCER_ID) if refusals > 0 => {
                refusals -= 1;
                world.answer_producer_id(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            }
            Some(ApiKey::INIT_PRODUCER_ID) => world.answer_producer_id(ErrorCode::NONE),
            Some(_) => world.answer_metadata(&LEADERS),
            None => {
                let next = world.sender.poll_timeout().expect("something is due");
                world.clock.advance_to(next);
                world.turn();
            }
        }
        if delivery.is_none() && topic.partition_count().is_some() {
            delivery = Some(world.send_to(0, "one"));
        }
    }
    assert_eq!(refusals, 0);
    assert_eq!(
        answer(&mut world, ErrorCode::NONE, 0).identity,
        (PRODUCER_ID, 0, 0)
    );
}

#[test]
fn a_client_that_may_not_be_idempotent_learns_what_to_change() {
    let mut world = World::new(|config, _| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
    });
    let topic = world.handle.topic(crate::world::TOPIC);
    assert!(world.handle.try_send(&topic, &SendRecord::default()).is_err());
    world.turn();
    while let Some((_, request)) = world.requests.front() {
        if request.api_key == ApiKey::INIT_PRODUCER_ID.0 {
            world.answer_producer_id(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        } else {
            world.answer_metadata(&LEADERS);
        }
    }
    let delivery = world.send_to(0, "one");
    world.turn();
    let failure = delivery.outcome().expect("at once").expect_err("refused");
    assert_eq!(failure.persistence, Persistence::NotPersisted);
    assert!(
        failure.to_string().contains("enable.idempotence=false"),
        "{failure}"
    );
}

#[test]
fn epochs_that_run_out_are_followed_by_a_new_producer_id_without_a_livelock() {
    let mut world = world();
    for epoch in 0..=i16::MAX {
        let delivery = world.send_to(0, "one");
        let sent = answer(&mut world, ErrorCode::MESSAGE_TOO_LARGE, -1);
        assert_eq!(sent.identity, (PRODUCER_ID, epoch, 0));
        assert_eq!(failure(&delivery).1, Persistence::NotPersisted);
    }
    let delivery = world.send_to(0, "one");
    world.turn();
    world.turn();
    world.answer_producer_id(ErrorCode::NONE);
    assert_eq!(
        answer(&mut world, ErrorCode::NONE, 9).identity,
        (PRODUCER_ID, 0, 0)
    );
    assert_eq!(offset(&delivery), Some(9));
}
