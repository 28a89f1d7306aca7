//! Beginning again at the bootstrap servers (KIP-899, KIP-1102).

use crate::world::{TOPIC, World};
use ottla_protocol::messages::MetadataResponse;
use ottla_protocol::messages::metadata::MetadataResponseBroker;
use ottla_protocol::{ApiKey, ErrorCode};
use std::time::Duration;

const TRIGGER: Duration = Duration::from_secs(10);

/// A world with a topic on nodes 1 and 2, whose requests nobody answers from now on.
fn silent(trigger: Option<Duration>) -> World {
    let mut world = World::with_topic(2, |config, _| {
        config.linger = Duration::ZERO;
        config.request_timeout = Duration::from_secs(1_000);
        config.rebootstrap_trigger = trigger;
    });
    // The connection to the bootstrap server is idle; the next answer has to come from the cluster.
    let now = world.now();
    world.sender.handle_disconnected(-1, "idle", now);
    world.until_request();
    assert!(world.requests[0].0 > 0, "a broker of the cluster is asked");
    world.connects.clear();
    world
}

fn hosts(world: &World) -> Vec<&str> {
    let hosts = world.connects.iter().map(|(_, address)| address.host.as_str());
    hosts.collect()
}

#[test]
fn without_metadata_for_long_it_begins_again_and_what_is_queued_goes_to_the_new_leader() {
    let mut world = silent(Some(TRIGGER));
    let delivery = world.send_to(0, "queued");
    let until = world.now() + TRIGGER - Duration::from_millis(1);
    world.run_until(until);
    assert!(world.disconnects.is_empty(), "{:?}", world.disconnects);
    let until = world.now() + Duration::from_secs(1);
    world.run_until(until);
    world.disconnects.sort_unstable();
    assert!(world.disconnects.contains(&1), "{:?}", world.disconnects);
    assert_eq!(hosts(&world), ["bootstrap"]);
    // The new cluster counts epochs from its own beginning: the world's answers have epoch 0, as before.
    world.until_produce(&[2, 2]);
    assert_eq!(world.requests[0].0, 2);
    world.answer_produce(ErrorCode::NONE, 7);
    let outcome = World::poll(delivery).expect("answered").expect("acknowledged");
    assert_eq!(outcome.offset(), Some(7));
    // And it has arrived: nothing begins again.
    world.disconnects.clear();
    let until = world.now() + Duration::from_secs(60);
    world.run_answering_metadata(&[2, 2], until);
    assert!(world.disconnects.is_empty(), "{:?}", world.disconnects);
}

#[test]
fn a_broker_may_ask_for_it() {
    let mut world = silent(Some(Duration::from_secs(300)));
    let refuse = |world: &mut World| {
        let (node, request) = world.next_request(ApiKey::METADATA);
        let answer = MetadataResponse {
            error_code: ErrorCode::REBOOTSTRAP_REQUIRED.0,
            brokers: vec![MetadataResponseBroker::default()],
            ..MetadataResponse::default()
        };
        world.respond(node, &request, &answer);
    };
    refuse(&mut world);
    world.until_request();
    assert!(!world.disconnects.is_empty());
    assert_eq!(hosts(&world), ["bootstrap"]);
    // A bootstrap server that says the same is asked again, ever more slowly, and nothing is torn down for it.
    let closed = world.disconnects.len();
    let start = world.now();
    for _ in 0..8 {
        refuse(&mut world);
        world.until_request();
    }
    assert_eq!(world.disconnects.len(), closed);
    assert!(world.now() >= start + Duration::from_secs(3));
    world.answer_metadata(&[1, 2]);
    let topic = world.handle.topic(TOPIC);
    assert_eq!(topic.partition_count(), Some(2));
}

#[test]
fn without_the_strategy_only_the_brokers_that_are_known_are_asked() {
    let mut world = silent(None);
    let until = world.now() + Duration::from_secs(400);
    world.run_until(until);
    assert!(world.disconnects.is_empty(), "{:?}", world.disconnects);
    world.connects.clear();
    // And if none of them can be reached, they are tried again.
    world.reachable = false;
    world.lose(true);
    fail_attempts(&mut world, 12);
    assert!(
        hosts(&world).iter().all(|host| host.starts_with("broker-")),
        "{:?}",
        world.connects
    );
}

#[test]
fn with_it_the_bootstrap_servers_are_tried_among_brokers_that_cannot_be_reached() {
    let mut world = silent(Some(Duration::from_secs(300)));
    world.reachable = false;
    world.lose(true);
    fail_attempts(&mut world, 12);
    assert!(hosts(&world).contains(&"bootstrap"), "{:?}", world.connects);
}

/// Every attempt to connect fails, until there were that many.
fn fail_attempts(world: &mut World, count: usize) {
    let mut failed = 0;
    for _ in 0..1_000 {
        if world.connects.len() >= count {
            return;
        }
        if let Some((node, _)) = world.connects.get(failed).cloned() {
            failed += 1;
            let now = world.now();
            world.sender.handle_disconnected(node, "refused", now);
        }
        world.advance(Duration::from_millis(100));
    }
    panic!("only {} attempts", world.connects.len());
}
