//! Runs a cluster until its standard input ends: `cargo run -p ottla-broker --example serve -- [PORT [BROKERS [sink]]]`.
//!
//! A sink checks what comes, counts it, and keeps nothing: what a benchmark of producers wants.

use ottla_broker::{ListenOptions, SinkCheck, Storage, TestCluster};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(9092), |port| port.parse())?;
    let brokers = arguments.next().map_or(Ok(1), |brokers| brokers.parse())?;
    let storage = match arguments.next().as_deref() {
        None => Storage::Keep,
        Some("sink") => Storage::Discard {
            check: SinkCheck::Header,
        },
        Some(other) => return Err(format!("'{other}' is not 'sink'").into()),
    };
    let cluster = TestCluster::builder()
        .brokers(brokers)
        .configure(|config| config.storage = storage)
        .listen(ListenOptions::new().port(port))
        .start_blocking()?;
    println!("{}", cluster.bootstrap_servers());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
