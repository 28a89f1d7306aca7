//! What to do about a record that failed: `cargo run -p ottla --example errors -- [HOST:PORT]`.

mod common;

use ottla::{Persistence, Producer, Record};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder()
        .bootstrap_servers(servers)
        .set("max.request.size", "1000")
        .build()?;
    let large = "x".repeat(2_000);
    for value in ["small", &large] {
        let record = Record::to("orders").value(value);
        let outcome = match producer.send(&record).await {
            Ok(delivery) => delivery.await,
            // It was not queued: too large, no such topic, no memory or no brokers within max.block.ms.
            Err(error) => Err(error),
        };
        match outcome {
            Ok(at) => println!("at {:?}", at.offset()),
            // The producer has retried for delivery.timeout.ms already. Whether to begin anew depends on this:
            Err(error) => match error.persistence() {
                Persistence::NotPersisted if error.is_retriable() => println!("later again: {error}"),
                Persistence::NotPersisted => println!("never as it is: {error}. {}", error.advice()),
                Persistence::PossiblyPersisted => println!("may be there; again is perhaps twice: {error}"),
                Persistence::Persisted => println!("it is there: {error}"),
            },
        }
    }
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
