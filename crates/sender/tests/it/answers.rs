//! What an answer to Produce may tell, and what not.

use crate::world::{TOPIC, World};
use ottla_protocol::messages::produce::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use ottla_protocol::wire::Uuid;
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_sender::{Acks, Persistence};
use std::time::Duration;

const OLD: Uuid = Uuid::from_halves(0, 1);
const NEW: Uuid = Uuid::from_halves(0, 2);

fn one_partition(topic_id: Uuid, partition: PartitionProduceResponse) -> ProduceResponse {
    ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: if topic_id == Uuid::ZERO {
                TOPIC.into()
            } else {
                String::new()
            },
            topic_id,
            partition_responses: vec![partition],
            ..TopicProduceResponse::default()
        }],
        ..ProduceResponse::default()
    }
}

/// How many nodes the sender knows.
fn nodes(world: &World) -> usize {
    let debug = format!("{:?}", world.sender);
    let (_, rest) = debug.split_once("nodes: ").expect("a count");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn an_answer_makes_no_brokers_known_but_the_leader_it_names() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    let _delivery = world.send_to(0, "one");
    world.turn();
    let before = nodes(&world);
    let (node, request) = world.next_request(ApiKey::PRODUCE);
    let moved = PartitionProduceResponse {
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0,
        base_offset: -1,
        current_leader: LeaderIdAndEpoch {
            leader_id: 7,
            leader_epoch: 9,
            ..LeaderIdAndEpoch::default()
        },
        ..PartitionProduceResponse::default()
    };
    let mut answer = one_partition(Uuid::ZERO, moved);
    // 1 MiB, the most that an answer may have, could bring 50,000 of them, again and again.
    answer.node_endpoints = (3..1_003)
        .map(|node_id| NodeEndpoint {
            node_id,
            host: format!("broker-{node_id}"),
            port: 9092,
            ..NodeEndpoint::default()
        })
        .collect();
    world.respond(node, &request, &answer);
    assert_eq!(nodes(&world), before + 1);
    let (node, _) = world.next_request(ApiKey::PRODUCE);
    assert_eq!(node, 7, "the new leader is followed");
}

/// A world that has a batch on its way to the topic of the id [`OLD`], which meanwhile is [`NEW`] and has no leader.
fn world_with_a_topic_that_was_made_anew() -> (World, ottla_sender::Delivery, (i32, ottla_sender::Request)) {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.acks = Acks::Leader;
        config.metadata_max_age = Duration::from_secs(1);
        config.delivery_timeout = Duration::from_secs(10);
    });
    world.produce_version = 13;
    world.ready(1);
    world.until_request();
    world.answer_metadata_of(OLD, ErrorCode::NONE, &[1], 5);
    let delivery = world.send_to(0, "one");
    world.turn();
    let produce = world.next_request(ApiKey::PRODUCE);
    assert_eq!(produce.1.api_version, 13);
    world.until_request();
    world.answer_metadata_of(NEW, ErrorCode::NONE, &[-1], 0);
    (world, delivery, produce)
}

#[test]
fn an_answer_is_about_the_topic_that_was_asked_for_although_another_has_its_name_now() {
    let (mut world, delivery, (node, request)) = world_with_a_topic_that_was_made_anew();
    let acked = PartitionProduceResponse {
        base_offset: 7,
        ..PartitionProduceResponse::default()
    };
    world.respond(node, &request, &one_partition(OLD, acked));
    let metadata = delivery.outcome().expect("it was acked").expect("it was acked");
    assert_eq!(metadata.offset(), Some(7));
}

/// Else metadata of the new topic, whose epochs are lower, would be taken for an old answer for ever.
#[test]
fn a_leader_of_a_topic_that_was_made_anew_is_not_learnt_from_an_answer_about_the_old_one() {
    let (mut world, delivery, (node, request)) = world_with_a_topic_that_was_made_anew();
    let moved = PartitionProduceResponse {
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER.0,
        base_offset: -1,
        current_leader: LeaderIdAndEpoch {
            leader_id: 2,
            leader_epoch: 6,
            ..LeaderIdAndEpoch::default()
        },
        ..PartitionProduceResponse::default()
    };
    world.respond(node, &request, &one_partition(OLD, moved));
    world.until_request();
    world.answer_metadata_of(NEW, ErrorCode::NONE, &[1], 0);
    world.turn();
    let (node, request) = world.next_request(ApiKey::PRODUCE);
    assert_eq!(node, 1, "who leads the new topic");
    let acked = PartitionProduceResponse::default();
    world.respond(node, &request, &one_partition(NEW, acked));
    assert!(delivery.outcome().expect("it was acked").is_ok());
}

#[test]
fn a_broker_that_does_not_know_the_topic_any_more_has_appended_nothing() {
    let (mut world, delivery, (node, request)) = world_with_a_topic_that_was_made_anew();
    let unknown = PartitionProduceResponse {
        error_code: ErrorCode::UNKNOWN_TOPIC_ID.0,
        base_offset: -1,
        ..PartitionProduceResponse::default()
    };
    world.respond(node, &request, &one_partition(OLD, unknown));
    let until = world.now() + Duration::from_secs(11);
    world.run_answering(until, |world| {
        world.answer_metadata_of(NEW, ErrorCode::NONE, &[-1], 0);
    });
    let failure = delivery
        .outcome()
        .expect("its time is over")
        .expect_err("nobody leads");
    assert_eq!(failure.persistence, Persistence::NotPersisted, "{failure}");
}

/// Its brokers know nothing of the producer, and take whatever comes first for the beginning.
#[test]
fn nothing_goes_to_a_topic_that_was_made_anew_before_what_was_sent_to_the_old_one_is_answered() {
    let mut world = World::with_topic(1, |config, _| {
        config.linger = Duration::ZERO;
        config.idempotent = true;
        config.metadata_max_age = Duration::from_secs(1);
    });
    let answer = |code: ErrorCode, base_offset| PartitionProduceResponse {
        error_code: code.0,
        base_offset,
        ..PartitionProduceResponse::default()
    };
    world.produce_version = 13;
    world.ready(1);
    world.until_request();
    world.answer_metadata_of(OLD, ErrorCode::NONE, &[1], 5);
    let _zero = world.send_to(0, "zero");
    world.turn();
    let (node, request) = world.next_request(ApiKey::PRODUCE);
    world.respond(node, &request, &one_partition(OLD, answer(ErrorCode::NONE, 7)));
    // From now on several may be in flight.
    let one = world.send_to(0, "one");
    world.turn();
    let first = world.next_request(ApiKey::PRODUCE);
    let two = world.send_to(0, "two");
    world.turn();
    let second = world.next_request(ApiKey::PRODUCE);
    world.until_request();
    world.answer_metadata_of(NEW, ErrorCode::NONE, &[2], 0);
    world.ready(2);
    let three = world.send_to(0, "three");
    world.turn();
    assert!(world.requests.is_empty(), "{:?}", world.requests);
    // The first was appended before the topic was deleted, the second comes again.
    world.respond(first.0, &first.1, &one_partition(OLD, answer(ErrorCode::NONE, 8)));
    assert!(world.requests.is_empty() && one.is_resolved());
    let unknown = answer(ErrorCode::UNKNOWN_TOPIC_ID, -1);
    world.respond(second.0, &second.1, &one_partition(OLD, unknown));
    for (offset, delivery) in [(0, two), (1, three)] {
        world.until_request();
        while world.requests[0].1.api_key == ApiKey::METADATA.0 {
            world.answer_metadata_of(NEW, ErrorCode::NONE, &[2], 0);
            world.until_request();
        }
        let (node, request) = world.next_request(ApiKey::PRODUCE);
        assert!(node == 2 && world.requests.is_empty(), "one at a time, in order");
        world.respond(
            node,
            &request,
            &one_partition(NEW, answer(ErrorCode::NONE, offset)),
        );
        let metadata = delivery.outcome().expect("it is answered").expect("it was acked");
        assert_eq!(metadata.offset(), Some(offset));
    }
}
