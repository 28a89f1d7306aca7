//! A cluster that refuses this client, or is none.

use crate::world::{TOPIC, World};
use ottla_sender::{Disconnect, DisconnectClass, SendError, SendRecord};
use std::time::Duration;

const WRONG_PASSWORD: Disconnect<'static> = Disconnect {
    class: DisconnectClass::Authentication,
    cause: "wrong password",
};

fn refuse(world: &mut World, node: i32) {
    let now = world.now();
    world.sender.handle_disconnected(node, WRONG_PASSWORD, now);
    world.turn();
}

#[test]
fn a_wrong_password_fails_waiting_sends_at_once_and_is_tried_once_for_each() {
    let mut world = World::new(|_, _| {});
    world.reachable = false;
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    let record = SendRecord::default();
    for attempts in 1..=3 {
        let mut waiting = Box::pin(handle.send(&topic, &record));
        assert!(World::poll(waiting.as_mut()).is_none());
        world.turn();
        assert_eq!(world.connects.len(), attempts, "one attempt for this send");
        refuse(&mut world, -1);
        match World::poll(waiting.as_mut()).expect("it fails at once") {
            Err(SendError::Connection { class, cause }) => {
                assert_eq!(
                    (class, &*cause),
                    (DisconnectClass::Authentication, "wrong password")
                );
            }
            other => panic!("{other:?}"),
        }
        world.advance(Duration::from_secs(60));
        assert_eq!(
            world.connects.len(),
            attempts,
            "nobody needs anything: no storm of attempts"
        );
        assert_eq!(world.sender.poll_timeout(), None);
    }
}

#[test]
fn the_cluster_takes_the_client_again_after_a_refusal() {
    let mut world = World::new(|_, _| {});
    world.reachable = false;
    let handle = world.handle.clone();
    let topic = handle.topic(TOPIC);
    world.turn();
    refuse(&mut world, -1);
    world.reachable = true;
    let record = SendRecord::default();
    let mut waiting = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    world.turn();
    world.answer_metadata(&[1]);
    assert!(World::poll(waiting.as_mut()).expect("metadata is there").is_ok());
}

#[test]
fn one_broker_that_refuses_stops_nobody_while_another_one_is_connected() {
    let mut world = World::with_topic(4, |config, _| config.linger = Duration::ZERO);
    let other = world.handle.topic("another");
    let record = SendRecord::default();
    let handle = world.handle.clone();
    let mut waiting = Box::pin(handle.send(&other, &record));
    assert!(World::poll(waiting.as_mut()).is_none());
    world.turn();
    // Node 2 leads partitions of the first topic; the bootstrap connection stands.
    refuse(&mut world, 2);
    assert!(
        World::poll(waiting.as_mut()).is_none(),
        "metadata comes from elsewhere"
    );
}

#[test]
fn what_is_queued_keeps_its_deadline_and_its_attempts() {
    let mut world = World::with_topic(1, |config, _| config.linger = Duration::ZERO);
    world.reachable = false;
    let mut delivery = world.send_to(0, "value");
    world.turn();
    world.connects.clear();
    for attempts in 1..4 {
        refuse(&mut world, -1);
        refuse(&mut world, 1);
        let to_leader = world.connects.iter().filter(|(node, _)| *node == 1).count();
        assert_eq!(to_leader, attempts, "the cluster may take this client again");
        assert!(World::poll(&mut delivery).is_none());
    }
    world.advance(Duration::from_secs(121));
    let failure = World::poll(&mut delivery)
        .expect("its deadline")
        .expect_err("unsent");
    assert!(failure.to_string().contains("wrong password"), "{failure}");
}
