//! Keys, headers, timestamps, tombstones: `cargo run -p ottla --example keyed -- [HOST:PORT]`.

mod common;

use ottla::{Producer, Record};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder().bootstrap_servers(servers).build()?;
    // A handle saves looking the topic up by its name for each record.
    let orders = producer.topic("orders");

    // All records of a customer go to one partition, and stay in their order.
    let mut deliveries = Vec::new();
    for (customer, state) in [("ada", "placed"), ("bob", "placed"), ("ada", "paid")] {
        let record = Record::to(&orders)
            .key(customer)
            .value(state)
            .header("content-type", Some(b"text/plain"))
            .header("retried", None)
            .timestamp_ms(1_700_000_000_000);
        deliveries.push(producer.send(&record).await?);
    }
    // A record without a value: a compacted topic forgets the key.
    deliveries.push(producer.send(&Record::to(&orders).key("bob")).await?);

    for delivery in deliveries {
        let at = delivery.await?;
        println!("{}-{} at {:?}", at.topic(), at.partition(), at.offset());
    }
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
