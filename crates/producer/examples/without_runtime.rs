//! Threads and no async runtime, with a transaction: `cargo run -p ottla --example without_runtime -- [HOST:PORT]`.

mod common;

use ottla::{Record, blocking::Producer};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

pub(crate) fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let builder = ottla::Producer::builder().bootstrap_servers(servers);
    let producer = Producer::new(builder.set("transactional.id", "orders-1").build()?);

    // Four threads share one producer, and one transaction.
    let transaction = producer.begin()?;
    std::thread::scope(|scope| {
        let send = |thread: usize| {
            for number in 0..10 {
                let record = Record::to("orders").value(format!("{thread}.{number}"));
                drop(transaction.send(&record)?);
            }
            Ok::<(), ottla::Error>(())
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || send(thread))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    // If a record was lost on the way, this says so, and nobody sees any.
    transaction.commit()?;
    println!("40 records are seen together");
    producer.close(Duration::from_secs(10));
    Ok(())
}
