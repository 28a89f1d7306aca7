//! Trouble in one partition is trouble of that partition alone.

use crate::world::{TOPIC, World};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_sender::{SendError, SendRecord, TrySendError};
use std::time::Duration;

const VALUE: [u8; 1_000] = [7; 1_000];

fn to(partition: i32) -> SendRecord<'static> {
    SendRecord {
        value: Some(&VALUE),
        partition: Some(partition),
        ..SendRecord::default()
    }
}

/// A world with two partitions, of which 1 has no leader, and 1 MiB of memory. Partition 1 holds all it may.
fn world_with_a_stuck_partition() -> World {
    let mut world = World::with_topic(2, |config, accumulator| {
        config.linger = Duration::ZERO;
        accumulator.buffer_memory = 1 << 20;
    });
    let topic = world.handle.topic(TOPIC);
    world.send_to(1, "its leader goes").topic();
    world.turn();
    world.answer_produce(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    // Its retry may still go to the old leader.
    for _ in 0..3 {
        world.until_request();
        match world.requests[0].1.api_key == ApiKey::METADATA.0 {
            true => world.answer_metadata(&[1, -1]),
            false => drop(world.answer_produce(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)),
        }
    }
    while let Ok(delivery) = world.handle.try_send(&topic, &to(1)) {
        drop(delivery);
    }
    world
}

#[test]
fn a_partition_without_leader_leaves_memory_to_the_others() {
    let mut world = world_with_a_stuck_partition();
    let topic = world.handle.topic(TOPIC);
    let held = world.handle.memory_used();
    assert!(
        (600 << 10..=700 << 10).contains(&held),
        "two thirds of 1 MiB, not {held}"
    );
    for _ in 0..2_000 {
        let delivery = world
            .handle
            .try_send(&topic, &to(0))
            .expect("there is memory for partition 0");
        world.turn();
        world.until_produce(&[1, -1]);
        let sent = world.answer_produce(ErrorCode::NONE, 0);
        assert!(sent.iter().all(|sent| sent.partition == 0));
        assert!(delivery.is_resolved());
    }
    assert!(matches!(
        world.handle.try_send(&topic, &to(1)),
        Err(TrySendError::Memory)
    ));
}

#[test]
fn a_send_to_a_partition_that_holds_its_share_says_so() {
    let mut world = world_with_a_stuck_partition();
    let (topic, handle) = (world.handle.topic(TOPIC), world.handle.clone());
    let record = to(1);
    let mut send = Box::pin(handle.send(&topic, &record));
    assert!(World::poll(send.as_mut()).is_none());
    let until = world.now() + Duration::from_millis(60_001);
    world.run_answering_metadata(&[1, -1], until);
    let error = World::poll(send.as_mut())
        .expect("max.block.ms is over")
        .expect_err("no memory");
    let SendError::MemoryTimeout { partition, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        partition.as_ref().map(|(topic, number)| (&**topic, *number)),
        Some((TOPIC, 1))
    );
    assert!(
        error
            .to_string()
            .contains("orders-1 holds its share of buffer.memory"),
        "{error}"
    );
}

#[test]
fn records_without_a_key_go_around_a_partition_that_holds_its_share() {
    let mut world = World::with_topic(2, |config, accumulator| {
        config.linger = Duration::ZERO;
        accumulator.buffer_memory = 1 << 20;
        config.adaptive_partitioning = false;
    });
    let topic = world.handle.topic(TOPIC);
    // Node 2, which leads partition 1, answers nothing.
    while let Ok(delivery) = world.handle.try_send(&topic, &to(1)) {
        drop(delivery);
    }
    world.turn();
    let record = SendRecord {
        value: Some(&VALUE),
        ..SendRecord::default()
    };
    for _ in 0..1_000 {
        let delivery = world
            .handle
            .try_send(&topic, &record)
            .expect("partition 0 takes it");
        assert_eq!(delivery.partition(), 0);
        world.turn();
        while let Some(at) = world.requests.iter().position(|(node, _)| *node == 1) {
            world.requests.swap(0, at);
            assert_eq!(world.requests[0].1.api_key, ApiKey::PRODUCE.0);
            world.answer_produce(ErrorCode::NONE, 0);
        }
    }
}
