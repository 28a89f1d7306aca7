//! What all clients of the comparison send to: the in-memory broker as a sink, and a socket that reads and forgets, for
//! the floor.
//!
//! `peer_sink PARTITIONS ROUND_TRIP_MS` prints the broker's address, then the socket's, and serves until its standard
//! input ends.

use std::error::Error;
use std::io::Read as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use ottla_broker::{SinkCheck, Storage, TestCluster};

/// The topic that is there.
const TOPIC: &str = "peers";

/// What the broker itself reads at once, about.
const READ_BYTES: usize = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let partitions = arguments
        .next()
        .ok_or("usage: peer_sink PARTITIONS [ROUND_TRIP_MS]")?;
    let round_trip_ms: u64 = arguments.next().map_or(Ok(0), |number| number.parse())?;
    let cluster = TestCluster::builder()
        .topic(TOPIC, partitions.parse()?)
        .configure(|config| {
            config.storage = Storage::Discard {
                check: SinkCheck::Header,
            };
            config.limits.events_max = 0;
        })
        .start_blocking()?;
    if round_trip_ms > 0 {
        cluster.set_round_trip(Duration::from_millis(round_trip_ms));
    }
    println!("{}", cluster.bootstrap_servers());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    thread::spawn(move || forget(&listener));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// Reads whatever anybody sends, one connection after the other.
fn forget(listener: &TcpListener) {
    let mut buffer = vec![0; READ_BYTES];
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        while matches!(stream.read(&mut buffer), Ok(1..)) {}
    }
}
