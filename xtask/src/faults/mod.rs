//! `cargo xtask faults`: real brokers that die, freeze and come back, while the program writes to them.
//!
//! Three nodes, replication 3, `min.insync.replicas` 2, and one node at a time that is killed, frozen or restarted, in
//! an order that follows from a seed. Two producers write numbered records with keys all the while: a patient one, of
//! which no record may fail, and an impatient one, whose records fail and have to say truthfully whether they are in
//! the log. In the end kcat and Java's consumer read everything, and the checker holds it against what was said.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::acceptance::{self, PARTITIONS, readers};
use crate::kafka::{Cluster, Options};
use crate::maven;
use crate::program::Program;
use crate::project;
use crate::test::Counts;
use checker::{Shape, Totals};
use producing::{Producing, Told};
use schedule::{Fault, Kind, NODES, Schedule};

mod checker;
mod producing;
mod schedule;

/// How many keys: a prime, so that neither batches nor partitions fall into step with it.
const KEYS: usize = 997;

/// Large enough that batches of several requests are on their way, small enough that a million fits on a small disk.
const VALUE_BYTES: usize = 100;

/// How long a partition may be without an ack after its node is back. A leader is elected within 4 to 8 s; a machine
/// with two busy cores takes more.
const HEALED_MAX: Duration = Duration::from_secs(90);

/// How long a node is away at most: beyond the broker's session (4 s), the lag of a replica (6 s) and the requests.
const HOLD_MAX: Duration = Duration::from_secs(12);
const HOLD_SHORT_MAX: Duration = Duration::from_secs(5);

/// Faults of the short form: one of each kind.
const FAULTS_SHORT: usize = 3;

/// From so many faults on, an impatient producer of which no record failed has proven nothing.
const FAULTS_FOR_FAILURES: usize = 10;

/// How much happens.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many faults.
    #[arg(long, default_value_t = 20)]
    faults: usize,
    /// Faults for so many seconds, in place of a number of them.
    #[arg(long, conflicts_with = "faults")]
    seconds: Option<u64>,
    /// What continuous integration runs: one fault of each kind, and a debug build of the program.
    #[arg(long, conflicts_with_all = ["faults", "seconds"])]
    short: bool,
    /// The seed of another run, for the same faults again [default: a new one].
    #[arg(long)]
    seed: Option<u64>,
    /// Records in a second of the patient producer; the impatient one sends a quarter of that.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// A program that was built before [default: a build of this checkout].
    #[arg(long)]
    program: Option<std::path::PathBuf>,
}

/// `cargo xtask faults`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    acceptance::require_kcat()?;
    let program = match &arguments.program {
        Some(path) => Program::at(path.clone()),
        None => Program::build(!arguments.short)?,
    };
    let campaign = Campaign {
        faults: match (arguments.short, arguments.seconds) {
            (true, _) => FAULTS_SHORT,
            (false, Some(_)) => usize::MAX,
            (false, None) => arguments.faults,
        },
        time_max: arguments.seconds.map_or(Duration::MAX, Duration::from_secs),
        hold_max: if arguments.short { HOLD_SHORT_MAX } else { HOLD_MAX },
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        rate: arguments.rate,
        program,
    };
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
        eprintln!("\nSKIPPING the campaign of faults: {missing:#}\n");
        counts.skipped = 1;
        return Ok(counts);
    }
    let campaign = Campaign {
        faults: FAULTS_SHORT,
        time_max: Duration::MAX,
        hold_max: HOLD_SHORT_MAX,
        seed: fastrand::u64(..1_000_000),
        rate: 2_000,
        program: Program::build(false)?,
    };
    match campaign.run() {
        Ok(summary) => {
            counts.passed = 1;
            println!("test faults::short ... ok ({summary})");
        }
        Err(error) => {
            counts.failed = 1;
            println!("test faults::short ... FAILED: {error:#}");
        }
    }
    Ok(counts)
}

/// One run.
struct Campaign {
    faults: usize,
    time_max: Duration,
    hold_max: Duration,
    seed: u64,
    rate: u32,
    program: Program,
}

/// The two producers: their topics have their names.
const PATIENT: &str = "patient";
const IMPATIENT: &str = "impatient";

impl Campaign {
    /// Returns the line that sums it up.
    fn run(&self) -> anyhow::Result<String> {
        let start = Instant::now();
        let summary = self.faults_and_check(start);
        summary.with_context(|| {
            let seed = self.seed;
            format!("with seed {seed} (the same faults again: `cargo xtask faults --seed {seed}`)")
        })
    }

    fn faults_and_check(&self, start: Instant) -> anyhow::Result<String> {
        let mut cluster = Cluster::start(&Options {
            version: maven::DEFAULT_VERSION.to_owned(),
            nodes: NODES,
            ..Options::default()
        })?;
        let keys = (0..KEYS).map(|key| key.to_string());
        let topics = [PATIENT, IMPATIENT];
        let partition_of_key = acceptance::topics_and_partitions(&cluster, NODES, &topics, keys)?;
        let shape = |prefix| Shape {
            prefix,
            value_bytes: VALUE_BYTES,
            partition_of_key: partition_of_key.clone(),
        };
        let (patient, impatient) = (shape(7), shape(8));
        let mut patient = Producing::start(
            PATIENT,
            self.producer(&cluster, PATIENT, &patient, self.rate, PATIENT_SETTINGS),
            patient,
            PARTITIONS,
        )?;
        let settings = IMPATIENT_SETTINGS;
        let mut impatient = Producing::start(
            IMPATIENT,
            self.producer(&cluster, IMPATIENT, &impatient, self.rate / 4, settings),
            impatient,
            PARTITIONS,
        )?;
        let kinds = self.inject(&mut cluster, &mut patient, &mut impatient)?;
        let silence = patient.longest_silence();
        let patient = Self::verify(&cluster, PATIENT, patient.stop()?)?;
        let impatient = Self::verify(&cluster, IMPATIENT, impatient.stop()?)?;
        self.sum_up(&kinds, &patient, &impatient, silence, start.elapsed())
    }

    fn producer(
        &self,
        cluster: &Cluster,
        topic: &str,
        shape: &Shape,
        rate: u32,
        settings: &[&str],
    ) -> Command {
        let mut command = self.program.verifiable(&cluster.bootstrap(), topic);
        let numbers = [
            ("--throughput", rate.to_string()),
            ("--repeating-keys", shape.partition_of_key.len().to_string()),
            ("--value-prefix", shape.prefix.to_string()),
            ("--value-bytes", shape.value_bytes.to_string()),
        ];
        for (flag, number) in numbers {
            command.args([flag, &number]);
        }
        for setting in settings {
            command.args(["-X", setting]);
        }
        command
    }

    /// Lets everything happen; returns how often each kind did.
    fn inject(
        &self,
        cluster: &mut Cluster,
        patient: &mut Producing,
        impatient: &mut Producing,
    ) -> anyhow::Result<BTreeMap<&'static str, usize>> {
        let mut kinds = BTreeMap::new();
        let start = Instant::now();
        let schedule = Schedule::new(self.seed, self.hold_max);
        patient.await_acks(start, HEALED_MAX)?;
        for (number, fault) in (1..).zip(schedule.take(self.faults)) {
            if start.elapsed() >= self.time_max {
                break;
            }
            eprintln!("{:5.0} s, fault {number}: {fault}", start.elapsed().as_secs_f32());
            strike(cluster, fault).with_context(|| format!("fault {number}: {fault}"))?;
            cluster.wait()?;
            // Both have to be well again before the next one; that is the claim of liveness.
            let healed = Instant::now();
            for producer in [&mut *patient, &mut *impatient] {
                producer
                    .await_acks(healed, HEALED_MAX)
                    .with_context(|| format!("after fault {number}: {fault}"))?;
            }
            let kind = match fault.kind {
                Kind::Kill => "kill -9",
                Kind::Freeze => "freezes",
                Kind::Restart => "restarts",
            };
            *kinds.entry(kind).or_default() += 1;
        }
        Ok(kinds)
    }

    /// Holds what was said against what kcat and Java's consumer find.
    fn verify(cluster: &Cluster, topic: &str, mut told: Told) -> anyhow::Result<Verified> {
        let about = || format!("the {topic} producer");
        let totals = told.reports.finish(told.sent).with_context(about)?;
        let mut reading = told.reports.reading();
        readers::kcat(&cluster.bootstrap(), topic, |record| reading.record(record))?;
        let found = reading
            .finish()
            .with_context(|| format!("{}, read by kcat", about()))?;
        let mut reading = told.reports.reading();
        let (library, bootstrap) = (cluster.library(), cluster.bootstrap());
        readers::java_consumer(library, &bootstrap, topic, found.records, |record| {
            reading.record(record);
        })?;
        let java = reading
            .finish()
            .with_context(|| format!("{}, read by Java's consumer", about()))?;
        if java != found {
            bail!("{}: kcat found {found:?} and Java's consumer {java:?}", about());
        }
        Ok(Verified {
            totals,
            there: found.doubtful,
            failures: told.failures,
        })
    }

    fn sum_up(
        &self,
        kinds: &BTreeMap<&'static str, usize>,
        patient: &Verified,
        impatient: &Verified,
        silence: Duration,
        time: Duration,
    ) -> anyhow::Result<String> {
        let Totals { acked, .. } = patient.totals;
        let failed = |totals: &Totals| totals.not_persisted + totals.possibly_persisted + totals.persisted;
        if failed(&patient.totals) > 0 {
            bail!(
                "records of the patient producer failed: {:?}, {:?}",
                patient.totals,
                patient.failures
            );
        }
        let faults: usize = kinds.values().sum();
        if faults >= FAULTS_FOR_FAILURES && failed(&impatient.totals) == 0 {
            bail!("no record of the impatient producer failed in {faults} faults: nothing is proven");
        }
        let kinds: Vec<_> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let hurried = impatient.totals;
        Ok(format!(
            "{faults} faults ({}), seed {}, {:.0} s: {acked} acked, none lost, doubled, misplaced or out of order; \
             in a hurry {} acked, {} not persisted (none there), {} possibly persisted ({} there), {} persisted; \
             at most {:.1} s without an ack; read by kcat and Java",
            kinds.join(", "),
            self.seed,
            time.as_secs_f32(),
            hurried.acked,
            hurried.not_persisted,
            hurried.possibly_persisted,
            impatient.there,
            hurried.persisted,
            silence.as_secs_f32(),
        ))
    }
}

/// What was found true of a producer.
struct Verified {
    totals: Totals,
    /// How many of the possibly persisted are there.
    there: usize,
    failures: Vec<String>,
}

/// Retries as a producer has them by default, which Java's verifiable producer, and so ours, has not.
const RETRIES: &str = "retries=2147483647";

const PATIENT_SETTINGS: &[&str] = &[RETRIES, "request.timeout.ms=8000"];

/// Far less patience than a failover takes.
const IMPATIENT_SETTINGS: &[&str] = &[
    RETRIES,
    "linger.ms=0",
    "request.timeout.ms=1500",
    "delivery.timeout.ms=2500",
    "max.block.ms=1000",
];

/// Does it, and undoes it.
fn strike(cluster: &mut Cluster, fault: Fault) -> anyhow::Result<()> {
    match fault.kind {
        Kind::Kill => {
            cluster.kill_node(fault.node)?;
            thread::sleep(fault.hold);
            cluster.restart_node(fault.node)
        }
        Kind::Freeze => {
            cluster.stop_node(fault.node)?;
            thread::sleep(fault.hold);
            cluster.continue_node(fault.node)
        }
        Kind::Restart => {
            cluster.terminate_node(fault.node)?;
            cluster.restart_node(fault.node)
        }
    }
}
