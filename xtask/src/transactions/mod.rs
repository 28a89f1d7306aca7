//! `cargo xtask transactions`: real brokers that die and freeze, a client that is killed and comes back under the same
//! `transactional.id`, and the readers of committed records that must see each committed transaction whole, once, and no
//! other.
//!
//! The client is the example `transactions` of the producer; it prints what became of each transaction. The cluster
//! begins with protocol 1 and is upgraded to protocol 2 (KIP-890) half way, while the client runs.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::acceptance::{self, readers};
use crate::kafka::{Cluster, Options, java};
use crate::maven;
use crate::project;
use crate::test::Counts;
use checker::{Ledger, Verdict};
use client::{Client, Ended};

mod checker;
mod client;

const TOPIC: &str = "transactions";
const TRANSACTIONAL_ID: &str = "campaign";
const NODES: usize = 3;

/// Records in each transaction.
const SIZE: usize = 750;

/// How long a transaction takes at least, so that brokers die within transactions and not only between them, and that
/// an incident is over before the next is due.
const PAUSE: Duration = Duration::from_millis(2_000);
const PAUSE_SHORT: Duration = Duration::from_millis(600);

/// How long a client may be without a word while nothing is wrong with the brokers.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// How long a node is dead or frozen: beyond the broker's session (4 s) and a request (5 s).
const HOLD: Duration = Duration::from_secs(7);
const HOLD_SHORT: Duration = Duration::from_secs(4);

/// A client that is fenced is at its end and is started anew; that is right once in a while, and not all the time.
const FATAL_MAX: usize = 10;

/// How much happens.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many records, in transactions of 750.
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// What continuous integration runs: a few transactions, one incident of each kind, and a debug build.
    #[arg(long, conflicts_with = "records")]
    short: bool,
    /// The version of Kafka; before 4.0 there is only protocol 1.
    #[arg(long, default_value = maven::DEFAULT_VERSION)]
    version: String,
    /// A client that was built before [default: a build of this checkout].
    #[arg(long)]
    program: Option<PathBuf>,
}

/// What happens to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incident {
    /// `kill -9` for a node.
    NodeKilled(usize),
    /// SIGSTOP for a node, and SIGCONT.
    NodeFrozen(usize),
    /// `kill -9` for the client, in the middle of a transaction.
    ClientKilled,
    /// The cluster goes from protocol 1 to protocol 2.
    Upgraded,
}

/// A run.
struct Campaign {
    transactions: u64,
    hold: Duration,
    pause: Duration,
    /// By the number of the transaction that it strikes.
    incidents: Vec<(u64, Incident)>,
    program: PathBuf,
    version: String,
}

/// What has happened.
#[derive(Debug, Default)]
struct Done {
    /// Nodes killed or frozen.
    nodes: usize,
    /// Clients killed.
    killed: usize,
    /// Clients that had come to their end.
    fatal: usize,
}

/// `cargo xtask transactions`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    acceptance::require_kcat()?;
    let program = match &arguments.program {
        Some(path) => path.clone(),
        None => build(!arguments.short)?,
    };
    let mut campaign = match arguments.short {
        true => Campaign::short(program),
        false => Campaign::whole(arguments.records, program),
    };
    campaign.at_version(&arguments.version);
    println!("{}", campaign.run()?);
    Ok(())
}

/// The short form, for every run of the tests: one test.
pub(crate) fn short() -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    if let Err(missing) = acceptance::require_kcat() {
        if project::in_ci() {
            return Err(missing);
        }
        eprintln!("\nSKIPPING the campaign of transactions: {missing:#}\n");
        counts.skipped = 1;
        return Ok(counts);
    }
    match Campaign::short(build(false)?).run() {
        Ok(summary) => {
            counts.passed = 1;
            println!("test transactions::short ... ok ({summary})");
        }
        Err(error) => {
            counts.failed = 1;
            println!("test transactions::short ... FAILED: {error:#}");
        }
    }
    Ok(counts)
}

/// Builds the client.
fn build(release: bool) -> anyhow::Result<PathBuf> {
    let mut build = project::cargo();
    build.args(["build", "--package", "ottla", "--example", "transactions"]);
    if release {
        build.arg("--release");
    }
    project::run(&mut build)?;
    let folder = if release { "release" } else { "debug" };
    Ok(project::target().join(folder).join("examples/transactions"))
}

impl Campaign {
    fn short(program: PathBuf) -> Self {
        Self {
            transactions: 24,
            hold: HOLD_SHORT,
            pause: PAUSE_SHORT,
            incidents: vec![
                (3, Incident::ClientKilled),
                (5, Incident::NodeKilled(1)),
                (12, Incident::Upgraded),
                (14, Incident::ClientKilled),
                (15, Incident::NodeFrozen(2)),
            ],
            program,
            version: maven::DEFAULT_VERSION.to_owned(),
        }
    }

    /// An incident every few transactions, on the nodes in turn, and the upgrade half way.
    fn whole(records: usize, program: PathBuf) -> Self {
        let transactions = u64::try_from(records.div_ceil(SIZE)).unwrap_or(u64::MAX).max(24);
        let mut incidents = vec![(transactions / 2, Incident::Upgraded)];
        for (turn, at) in (4..transactions.saturating_sub(12)).step_by(8).enumerate() {
            let node = 1 + turn % NODES;
            incidents.push((
                at,
                match turn % 4 {
                    0 => Incident::NodeKilled(node),
                    1 | 3 => Incident::ClientKilled,
                    _ => Incident::NodeFrozen(node),
                },
            ));
        }
        incidents.sort_by_key(|(at, _)| *at);
        Self {
            transactions,
            hold: HOLD,
            pause: PAUSE,
            incidents,
            program,
            version: maven::DEFAULT_VERSION.to_owned(),
        }
    }

    /// The same with another Kafka.
    fn at_version(&mut self, version: &str) {
        version.clone_into(&mut self.version);
        if !self.can_be_upgraded() {
            self.incidents
                .retain(|(_, incident)| *incident != Incident::Upgraded);
        }
    }

    /// Whether there is a protocol 2: it comes with Kafka 4.0.
    fn can_be_upgraded(&self) -> bool {
        maven::release(&self.version) >= (4, 0)
    }

    /// Returns the line that sums it up.
    fn run(&self) -> anyhow::Result<String> {
        let start = Instant::now();
        let mut cluster = Cluster::start(&Options {
            version: self.version.clone(),
            nodes: NODES,
            features: match self.can_be_upgraded() {
                true => vec!["transaction.version=1".to_owned()],
                false => Vec::new(),
            },
            ..Options::default()
        })?;
        acceptance::topics_and_partitions(&cluster, NODES, &[TOPIC], std::iter::empty())?;
        let mut ledger = Ledger::default();
        let done = self.write(&mut cluster, &mut ledger)?;
        let committed = ledger.count(Verdict::Committed);
        if committed * 2 < self.transactions as usize {
            bail!(
                "only {committed} of {} transactions were committed",
                self.transactions
            );
        }
        let read = self.verify(&cluster, &ledger)?;
        Ok(format!(
            "{} transactions of {SIZE}: {committed} committed, {} aborted, {} unknown ({} of them there, whole); \
             {} records, read by kcat and Java, each once and in order, and no other; {} nodes killed or frozen, the \
             client killed {} times and at its end {} times, Kafka {}, {}, {:.0} s",
            self.transactions,
            ledger.count(Verdict::Aborted),
            ledger.count(Verdict::Unknown),
            read.unknown_there,
            read.records,
            done.nodes,
            done.killed,
            done.fatal,
            self.version,
            match self.can_be_upgraded() {
                true => "protocol 1 and 2",
                false => "protocol 1",
            },
            start.elapsed().as_secs_f32(),
        ))
    }

    /// Writes all transactions, with all incidents.
    fn write(&self, cluster: &mut Cluster, ledger: &mut Ledger) -> anyhow::Result<Done> {
        let mut done = Done::default();
        let mut incidents = self.incidents.iter().copied().peekable();
        while ledger.next() < self.transactions {
            let mut client = Client::start(self.command(&cluster.bootstrap(), ledger.next()))?;
            loop {
                match client.line(SILENCE_MAX)? {
                    Some(line) => ledger.note(&line)?,
                    None => match client.ended()? {
                        Ended::Well => break,
                        Ended::Failed(said) if done.fatal < FATAL_MAX => {
                            eprintln!("the client ended: {said}");
                            done.fatal += 1;
                            break;
                        }
                        Ended::Failed(said) => bail!("the client ended too often: {said}"),
                    },
                }
                let begun = ledger.begun();
                let Some((_, incident)) =
                    incidents.next_if(|(at, _)| begun.is_some_and(|begun| begun >= *at))
                else {
                    continue;
                };
                eprintln!("transaction {}: {incident:?}", begun.unwrap_or(0));
                if incident == Incident::ClientKilled {
                    // Somewhere between its first record and its commit.
                    thread::sleep(self.pause.mul_f32(1.1 * fastrand::f32()));
                    for line in client.kill()? {
                        ledger.note(&line)?;
                    }
                    done.killed += 1;
                    break;
                }
                self.strike(cluster, incident)
                    .with_context(|| format!("{incident:?}"))?;
                done.nodes += usize::from(incident != Incident::Upgraded);
            }
            ledger.lose();
        }
        if let Some((at, incident)) = incidents.next() {
            // On a busy machine an incident takes longer than the client needs for the rest.
            eprintln!("the client was done before {incident:?}, which was to be at transaction {at}");
        }
        Ok(done)
    }

    fn command(&self, bootstrap: &str, first: u64) -> Command {
        let mut command = Command::new(&self.program);
        command.args([bootstrap, TOPIC, TRANSACTIONAL_ID]);
        command.args([first, self.transactions].map(|number| number.to_string()));
        command.args([SIZE.to_string(), self.pause.as_millis().to_string()]);
        command
    }

    fn strike(&self, cluster: &mut Cluster, incident: Incident) -> anyhow::Result<()> {
        match incident {
            Incident::NodeKilled(node) => {
                cluster.kill_node(node)?;
                thread::sleep(self.hold);
                cluster.restart_node(node)?;
                cluster.wait()
            }
            Incident::NodeFrozen(node) => {
                cluster.stop_node(node)?;
                thread::sleep(self.hold);
                cluster.continue_node(node)?;
                cluster.wait()
            }
            Incident::Upgraded => {
                let arguments = ["--bootstrap-server", &cluster.bootstrap(), "upgrade"];
                let feature = ["--feature", "transaction.version=2"];
                let arguments: Vec<&str> = arguments.into_iter().chain(feature).collect();
                java::run_tool(
                    cluster.library(),
                    "org.apache.kafka.tools.FeatureCommand",
                    &arguments,
                )?;
                Ok(())
            }
            Incident::ClientKilled => Ok(()),
        }
    }

    fn verify(&self, cluster: &Cluster, ledger: &Ledger) -> anyhow::Result<checker::Read> {
        let bootstrap = cluster.bootstrap();
        let mut reading = ledger.reading(SIZE);
        readers::kcat(&bootstrap, TOPIC, |record| {
            reading.record(record.partition, record.value)
        })?;
        let found = reading.finish().context("read by kcat")?;
        let mut reading = ledger.reading(SIZE);
        readers::java_committed(cluster.library(), &bootstrap, TOPIC, found.records, |record| {
            reading.record(record.partition, record.value);
        })?;
        let java = reading.finish().context("read by Java's consumer")?;
        if java != found {
            bail!("kcat found {found:?} and Java's consumer {java:?}");
        }
        Ok(found)
    }
}
