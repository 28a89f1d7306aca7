//! A real Apache Kafka on 127.0.0.1: `cargo xtask kafka up` and `down`, and [`Cluster`] for our own tests.

use std::path::PathBuf;

use anyhow::Context as _;

pub(crate) use cluster::{Cluster, Options};
pub(crate) use memory::MemoryCluster;

use crate::maven;
use crate::project;

mod clients;
mod cluster;
mod issuer;
pub(crate) mod java;
mod listeners;
mod memory;
mod node;
mod ports;
mod probe;
mod properties;
mod stores;
pub(crate) mod telemetry;

/// What to do with the cluster.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Start a cluster in the background; the last line printed is its bootstrap address.
    ///
    /// Lines before it name the other listeners with their addresses, and the folder with a `.properties` file for each
    /// way in, for Java's clients and for ours. It begins empty. Interrupted or failing before that line, it leaves nothing running.
    Up(UpArguments),
    /// End the cluster that `up` started, and remove its data (its logs stay).
    Down {
        /// The folder given to `up`.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// Which cluster `up` starts.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArguments {
    /// The version of Kafka; before 3.3 with a ZooKeeper, and without SASL.
    #[arg(long, default_value = maven::DEFAULT_VERSION)]
    version: String,
    /// How many nodes: 1, or 3 with settings under which acked records survive one dead node.
    #[arg(long, default_value = "1", value_parser = ["1", "3"])]
    nodes: String,
    /// Where data and logs go [default: target/kafka/run/up].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The first of two ports for each node, first the brokers' [default: free ports].
    #[arg(long)]
    port: Option<u16>,
    /// Also listen with TLS: SSL, MTLS where clients must have a certificate, and EXPIRED and MISNAMED, whose
    /// certificates nobody should believe.
    #[arg(long)]
    tls: bool,
    /// Also listen with SASL (SASL_PLAINTEXT; with --tls SASL_SSL too): PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and
    /// OAUTHBEARER (unsecured), for the user alice with the password alice-secret.
    #[arg(long)]
    sasl: bool,
    /// Take what clients tell of themselves (KIP-714), and write it into the folder that is printed.
    #[arg(long)]
    telemetry: bool,
    /// A setting of the brokers, as `key=value`; wins over the others.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// The level of a feature, as `name=level`: `transaction.version=1` is transactions as before Kafka 4.0.
    #[arg(long = "feature", value_name = "NAME=LEVEL")]
    features: Vec<String>,
}

/// `cargo xtask kafka`.
pub(crate) fn run(action: Action) -> anyhow::Result<()> {
    match action {
        Action::Up(arguments) => up(arguments),
        Action::Down { dir } => down(dir),
    }
}

fn up(arguments: UpArguments) -> anyhow::Result<()> {
    let options = Options {
        version: arguments.version,
        nodes: arguments.nodes.parse().context("a number of nodes")?,
        port: arguments.port,
        folder: Some(folder(arguments.dir)?),
        tls: arguments.tls,
        sasl: arguments.sasl,
        telemetry: arguments.telemetry,
        settings: arguments.settings,
        features: arguments.features,
    };
    let cluster = Cluster::start(&options)?;
    for (listener, bootstrap) in cluster.other_bootstraps() {
        println!("{listener} {bootstrap}");
    }
    if let Some(clients) = cluster.clients() {
        println!("clients {}", clients.display());
    }
    if let Some(telemetry) = cluster.telemetry() {
        println!("telemetry {}", telemetry.display());
    }
    let bootstrap = cluster.bootstrap();
    cluster.detach();
    println!("{bootstrap}");
    Ok(())
}

fn down(dir: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = folder(dir)?;
    match cluster::kill_in(&folder)? {
        0 => eprintln!("no cluster runs in {}", folder.display()),
        1 => eprintln!("1 node ended"),
        count => eprintln!("{count} nodes ended"),
    }
    Ok(())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The folder of `up` and `down`, whole: the path is how a broker's process is known again.
fn folder(dir: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let folder = dir.unwrap_or_else(|| project::target().join("kafka/run/up"));
    std::path::absolute(&folder).with_context(|| format!("not a folder: {}", folder.display()))
}
