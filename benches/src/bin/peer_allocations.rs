//! How much Ottla allocates for each record of 100 bytes: `peer_allocations BOOTSTRAP TOPIC` prints the number for records
//! whose deliveries are dropped, and for those whose deliveries are awaited, with default settings; and, as `alone`, with
//! batches so large that what they allocate does not show: what is left is a record's own.
//!
//! A program of its own, because counting costs: nothing is measured in time here.

use std::alloc::System;
use std::collections::VecDeque;
use std::error::Error;

use ottla::blocking::wait;
use ottla::{Delivery, Producer, Record};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WARM_UP: u64 = 500_000;
const RECORDS: u64 = 1_000_000;
/// As the cases of the comparison have them.
const LARGE_BATCH_BYTES: usize = 1_000_000;
/// How many deliveries are outstanding where each is awaited.
const OUTSTANDING: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: peer_allocations BOOTSTRAP TOPIC".into());
    };
    let large = LARGE_BATCH_BYTES.to_string();
    for (name, window, batch_size) in [
        ("dropped", 0, None),
        ("awaited", OUTSTANDING, None),
        ("alone", 0, Some(large)),
    ] {
        let builder = Producer::builder().bootstrap_servers(&bootstrap);
        let producer = match batch_size {
            None => builder.build()?,
            Some(bytes) => builder.set("batch.size", bytes).build()?,
        };
        let topic = producer.topic(&topic);
        let record = Record::to(&topic).value(&[0x5a_u8; 100]);
        wait(send(&producer, &record, window, WARM_UP))?;
        let region = Region::new(ALLOCATOR);
        wait(send(&producer, &record, window, RECORDS))?;
        let change = region.change();
        let allocations = change.allocations + change.reallocations;
        println!("{name} {}", allocations as f64 / RECORDS as f64);
    }
    Ok(())
}

/// Keeps up to `window` deliveries, awaits the oldest when there are more, and waits until all records are resolved.
async fn send(
    producer: &Producer,
    record: &Record<'_>,
    window: usize,
    count: u64,
) -> Result<(), ottla::Error> {
    let mut outstanding: VecDeque<Delivery> = VecDeque::with_capacity(window + 1);
    for _ in 0..count {
        let delivery = producer.send(record).await?;
        if window == 0 {
            continue;
        }
        outstanding.push_back(delivery);
        if outstanding.len() > window
            && let Some(oldest) = outstanding.pop_front()
        {
            oldest.await?;
        }
    }
    producer.flush().await;
    for delivery in outstanding {
        delivery.await?;
    }
    Ok(())
}
