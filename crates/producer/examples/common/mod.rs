//! What the examples share: where the brokers are.

use ottla_broker::TestCluster;
use std::error::Error;

/// Runs an example with the brokers that the first argument names, `HOST:PORT`; without one in an in-memory broker.
pub(crate) fn run(example: fn(&str) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    if let Some(servers) = std::env::args().nth(1) {
        return example(&servers);
    }
    let cluster = TestCluster::builder().topic("orders", 3).start_blocking()?;
    eprintln!(
        "no HOST:PORT was given: this is a broker in memory, {}",
        cluster.bootstrap_servers()
    );
    example(&cluster.bootstrap_servers())
}
