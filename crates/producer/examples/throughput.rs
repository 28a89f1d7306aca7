//! As many records as the brokers take: `cargo run --release -p ottla --example throughput -- [HOST:PORT]`.
//!
//! Deliveries that nobody keeps cost nothing; here a sample of them has callbacks.

mod common;

use ottla::{Producer, Record, blocking};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const RECORDS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

pub(crate) fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder()
        .bootstrap_servers(servers)
        // Larger batches, and a moment to fill them; 256 KiB for each partition that is busy.
        .set("batch.size", "262144")
        .set("linger.ms", "10")
        .set("compression.type", "lz4")
        .build()?;
    let producer = blocking::Producer::new(producer);
    let orders = producer.inner().topic("orders");
    let value = [b'x'; 100];
    let failed = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    for number in 0..RECORDS {
        let record = Record::to(&orders).value(&value);
        // One in a thousand is asked about; the others share the fate of their batches.
        if number % 1_000 == 0 {
            let failed = Arc::clone(&failed);
            producer.send_with(&record, move |outcome| {
                failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
            })?;
        } else {
            drop(producer.send(&record)?);
        }
    }
    producer.flush();
    let rate = RECORDS as f64 / start.elapsed().as_secs_f64();
    println!(
        "{rate:.0} records/s, {} of the samples failed",
        failed.load(Ordering::Relaxed)
    );
    producer.close(Duration::from_secs(10));
    Ok(())
}
