//! A producer from a `.properties` file, with whatever security it sets up:
//! `cargo run -p ottla --example configuration_file -- FILE TOPIC`.
//!
//! `examples/configurations` has files for TLS, SCRAM and Confluent Cloud.

use ottla::{Producer, Record};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: configuration_file FILE TOPIC".into());
    };
    run(&file, &topic)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(file: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder().properties_file(file)?.build()?;
    // Unknown keys and values that mean nothing here are no errors, as in Java; but they are worth a look.
    for warning in producer.warnings() {
        eprintln!("{warning}");
    }
    let at = producer.send(&Record::to(topic).value("hello")).await?.await?;
    println!("{}-{} at {:?}", at.topic(), at.partition(), at.offset());
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
