//! A stream of records in, a stream of outcomes out; and a sink: `cargo run -p ottla --example streams -- [HOST:PORT]`.

mod common;

use futures_util::{SinkExt as _, StreamExt as _, stream};
use ottla::{Producer, Record};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder().bootstrap_servers(servers).build()?;

    let lines = stream::iter(["one", "two", "three"]);
    let records = lines.map(|line| Record::to("orders").value(line.to_owned()));
    let mut outcomes = producer.send_stream(records);
    while let Some(outcome) = outcomes.next().await {
        println!("at {:?}", outcome?.offset());
    }

    // A sink takes what a pipeline forwards, as fast as memory allows; closing it waits for all of it.
    let mut sink = producer.sink();
    for number in 0..1_000 {
        sink.feed(Record::to("orders").value(number.to_string())).await?;
    }
    sink.close().await?;
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
