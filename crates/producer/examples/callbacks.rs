//! Outcomes by callback, by handler and by future: `cargo run -p ottla --example callbacks -- [HOST:PORT]`.

mod common;

use ottla::{Error as SendError, Producer, Record, RecordMetadata};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder().bootstrap_servers(servers).build()?;

    // A closure for each record.
    let record = Record::to("orders").value("one");
    producer
        .send_with(&record, |outcome| match outcome {
            Ok(at) => println!("{}-{} at {:?}", at.topic(), at.partition(), at.offset()),
            Err(error) => eprintln!("{error} ({})", error.advice()),
        })
        .await?;

    // One handler for all, which is told a number of yours: nothing is allocated for each record.
    let failed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&failed);
    let handler = Arc::new(move |number: u64, outcome: Result<RecordMetadata, SendError>| {
        if let Err(error) = outcome {
            eprintln!("record {number}: {error}");
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    for number in 0..100 {
        let record = Record::to("orders").value(number.to_string());
        producer.send_to(&record, handler.clone(), number).await?;
    }

    // A future that can be awaited now, later, elsewhere, or never.
    let delivery = producer.send(&Record::to("orders").value("two")).await?;
    println!("at {:?}", delivery.await?.offset());

    // Waits for the callbacks too.
    producer.flush().await;
    println!("{} failed", failed.load(Ordering::Relaxed));
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
