//! Where records without a key go.

use crate::world::World;
use ottla_protocol::ErrorCode;
use ottla_sender::SendRecord;
use std::time::Duration;

/// Sends `count` records without a key, a millisecond apart; node 1 answers at once, node 2 never. Returns how many went
/// to each partition; node 1 leads the even ones.
fn spread(world: &mut World, partitions: usize, count: usize) -> Vec<usize> {
    let mut spread = vec![0; partitions];
    for _ in 0..count {
        let value = [7; 500];
        let delivery = world.try_send(&SendRecord {
            value: Some(&value),
            ..SendRecord::default()
        });
        spread[usize::try_from(delivery.partition()).expect("a partition")] += 1;
        world.advance(Duration::from_millis(1));
        while let Some(at) = world.requests.iter().position(|(node, _)| *node == 1) {
            world.requests.swap(0, at);
            world.answer_produce(ErrorCode::NONE, 0);
        }
    }
    spread
}

/// One batch for each record, and one request at a time: so node 2 falls behind with its second record.
fn world(change: impl FnOnce(&mut ottla_sender::SenderConfig)) -> World {
    World::with_topic(4, |config, accumulator| {
        config.linger = Duration::ZERO;
        config.max_in_flight = 1;
        accumulator.batch_size = 500;
        change(config);
    })
}

#[test]
fn a_slow_broker_gets_fewer_records_but_not_none() {
    let mut world = world(|_| {});
    let spread = spread(&mut world, 4, 400);
    let (fast, slow) = (spread[0] + spread[2], spread[1] + spread[3]);
    assert!(slow > 0 && fast > 8 * slow, "{spread:?}");
}

#[test]
fn without_adaptive_partitioning_every_partition_gets_its_part() {
    let mut world = world(|config| config.adaptive_partitioning = false);
    let spread = spread(&mut world, 4, 400);
    assert!(spread.iter().all(|&count| count > 60), "{spread:?}");
}

#[test]
fn an_unavailable_broker_gets_nothing_after_the_timeout() {
    let mut world = world(|config| config.availability_timeout = Duration::from_millis(50));
    let before = spread(&mut world, 4, 100);
    assert!(before[1] + before[3] > 0, "{before:?}");
    let after = spread(&mut world, 4, 200);
    assert_eq!((after[1], after[3]), (0, 0), "{after:?}");
    assert!(after[0] > 0 && after[2] > 0, "{after:?}");
}
