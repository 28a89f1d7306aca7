//! Sends a few records and prints where they are: `cargo run -p ottla --example simple -- HOST:PORT TOPIC`.

use ottla::{Producer, Record};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(servers), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: simple HOST:PORT TOPIC".into());
    };
    let producer = Producer::builder().bootstrap_servers(servers).build()?;

    // Queue them all first: awaiting each outcome before the next send would make a request of every record.
    let mut deliveries = Vec::new();
    for number in 0..10 {
        let (key, value) = (format!("key-{}", number % 3), format!("value {number}"));
        let record = Record::to(&topic)
            .key(&key)
            .value(&value)
            .header("from", Some(b"simple"));
        deliveries.push(producer.send(&record).await?);
    }
    for delivery in deliveries {
        let metadata = delivery.await?;
        println!(
            "{}-{}@{}",
            metadata.topic(),
            metadata.partition(),
            metadata.offset().unwrap_or(-1)
        );
    }
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
