//! Runs a cluster until its standard input ends: `cargo run -p ottla-broker --example serve -- [PORT [BROKERS]]`.

use ottla_broker::{ListenOptions, TestCluster};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(9092), |port| port.parse())?;
    let brokers = arguments.next().map_or(Ok(1), |brokers| brokers.parse())?;
    let cluster = TestCluster::builder()
        .brokers(brokers)
        .listen(ListenOptions::new().port(port))
        .start_blocking()?;
    println!("{}", cluster.bootstrap_servers());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
