//! `cargo xtask acceptance`: the program, a real Kafka, and readers that are not ours.
//!
//! For each codec, lines with keys go through `ottla produce` into six partitions, and Java's console consumer and kcat
//! read them back: exactly those, at the reported offsets, each key in order and in the partition that Java would
//! choose; and Kafka's dump of its own files finds every batch valid. Then a broker of three dies, and another time
//! freezes, and comes back while lines are produced.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::kafka::{Cluster, Options, java};
use crate::maven;
use crate::program::Program;
use crate::project;
use crate::test::Counts;
use compare::{Comparison, Faults, Repeats};
use failover::Trouble;
use input::Input;

mod compare;
mod failover;
mod input;

mod readers;
mod reports;

/// The partitions of every topic here.
const PARTITIONS: usize = 6;

/// The codecs, as `-z` and Kafka's dump call them.
const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

/// The lines of the short form: enough for batches to fill, and for several in each partition.
const LINES_SHORT: usize = 20_000;

/// How much is produced, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many lines of 100 bytes for each codec.
    #[arg(long, default_value_t = 1_000_000)]
    lines: usize,
    /// The version of Kafka.
    #[arg(long, default_value = maven::DEFAULT_VERSION)]
    version: String,
    /// A program that was built before [default: a release build of this checkout].
    #[arg(long)]
    program: Option<PathBuf>,
}

/// `cargo xtask acceptance`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    require_kcat()?;
    let program = match &arguments.program {
        Some(path) => Program::at(path.clone()),
        None => Program::build(true)?,
    };
    let input = Input {
        lines: arguments.lines,
    };
    let counts = all(
        &program,
        &arguments.version,
        input,
        &[Trouble::Killed, Trouble::Frozen],
    )?;
    if counts.failed > 0 {
        bail!(
            "{} of {} acceptance tests failed",
            counts.failed,
            counts.failed + counts.passed
        );
    }
    Ok(())
}

/// The short form, for every run of the tests: each check is one test.
pub(crate) fn short() -> anyhow::Result<Counts> {
    if let Err(missing) = require_kcat() {
        if project::in_ci() {
            return Err(missing);
        }
        eprintln!("\nSKIPPING the acceptance tests: {missing:#}\n");
        return Ok(Counts {
            skipped: CODECS.len() + 1,
            ..Counts::default()
        });
    }
    all(
        &Program::build(false)?,
        maven::DEFAULT_VERSION,
        Input { lines: LINES_SHORT },
        &[Trouble::Killed],
    )
}

fn all(program: &Program, version: &str, input: Input, troubles: &[Trouble]) -> anyhow::Result<Counts> {
    if input.lines < 100 {
        bail!("fewer than 100 lines prove nothing");
    }
    let mut counts = Counts::default();
    let mut tell = |name: &str, result: anyhow::Result<String>| match result {
        Ok(what) => {
            counts.passed += 1;
            println!("test acceptance::{name} ... ok ({what})");
        }
        Err(error) => {
            counts.failed += 1;
            println!("test acceptance::{name} ... FAILED: {error:#}");
        }
    };
    {
        let cluster = Cluster::start(&Options {
            version: version.to_owned(),
            ..Options::default()
        })?;
        let folder = Folder::create()?;
        let file = folder.path.join("lines");
        input.write(&file)?;
        let topics: Vec<_> = CODECS.iter().map(|codec| format!("codec-{codec}")).collect();
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        let partition_of_key = topics_and_partitions(&cluster, 1, &topics, input)?;
        for (codec, topic) in CODECS.iter().zip(topics) {
            tell(
                codec,
                codec_round(program, &cluster, codec, topic, &file, input, &partition_of_key),
            );
        }
    }
    let mut cluster = Cluster::start(&Options {
        version: version.to_owned(),
        nodes: 3,
        ..Options::default()
    })?;
    for &trouble in troubles {
        tell(
            trouble.name(),
            failover::run(program, &mut cluster, trouble, input),
        );
    }
    Ok(counts)
}

/// All lines with one codec: produced, read back twice, and dumped.
fn codec_round(
    program: &Program,
    cluster: &Cluster,
    codec: &str,
    topic: &str,
    file: &Path,
    input: Input,
    partition_of_key: &[usize],
) -> anyhow::Result<String> {
    let mut faults = Faults::default();
    let bootstrap = cluster.bootstrap();
    let produce = produce(program, &bootstrap, topic, &["-z", codec]);
    let (acks, time) = reports::produce_file(produce, topic, file, input, &mut faults)?;
    acks.check(input, partition_of_key, &mut faults);
    faults.into_result()?;

    let mut comparison = Comparison::new(input, &acks, Repeats::Forbidden);
    readers::java_consumer(cluster.library(), &bootstrap, topic, input.lines, &mut comparison)?;
    comparison.finish().context("Java's consumer")?;
    let mut comparison = Comparison::new(input, &acks, Repeats::Forbidden);
    readers::kcat(&bootstrap, topic, &mut comparison)?;
    comparison.finish().context("kcat")?;

    let dump = readers::dump(cluster.library(), &cluster.data(1), topic, codec)?;
    if dump.records != input.lines {
        bail!(
            "Kafka's files hold {} records and not {}",
            dump.records,
            input.lines
        );
    }
    let seconds = time.as_secs_f64();
    Ok(format!(
        "{} lines in {seconds:.2} s, {PARTITIONS} partitions as Java's, {} valid batches, read back by Java and kcat",
        input.lines, dump.batches
    ))
}

/// `ottla produce` of keyed lines, with a report for each.
fn produce(program: &Program, bootstrap: &str, topic: &str, options: &[&str]) -> Command {
    let mut command = program.produce(bootstrap, topic);
    command.args(["-K", r"\t", "--output", "json"]).args(options);
    command
}

fn require_kcat() -> anyhow::Result<()> {
    match Command::new("kcat").arg("-V").stdin(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("kcat is not in the PATH (Debian: apt-get install kcat)")
        }
        Err(error) => Err(error).context("cannot run `kcat`"),
        Ok(_) => Ok(()),
    }
}

/// Creates topics, and asks Java for the partition of each key, by the key's number.
fn topics_and_partitions(
    cluster: &Cluster,
    replicas: usize,
    topics: &[&str],
    input: Input,
) -> anyhow::Result<Vec<usize>> {
    let source = project::root().join("xtask/java/Acceptance.java");
    let mut child = java::tool(cluster.library(), &source.to_string_lossy())
        .args([cluster.bootstrap(), PARTITIONS.to_string(), replicas.to_string()])
        .args(topics)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `java`")?;
    let mut keys = child.stdin.take().context("a pipe that was just asked for")?;
    // It prints nothing before it has read everything, so neither pipe can fill while the other waits.
    let all_keys = input.all_keys().map(|key| key + "\n").collect::<String>();
    keys.write_all(all_keys.as_bytes())
        .context("Java takes no keys")?;
    drop(keys);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("Acceptance.java ended with {}", output.status);
    }
    let partitions = String::from_utf8(output.stdout).context("Acceptance.java printed what is not UTF-8")?;
    let partitions: Vec<usize> = partitions
        .lines()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("a partition")?;
    if partitions.len() != input.keys() {
        bail!(
            "Java gave {} partitions for {} keys",
            partitions.len(),
            input.keys()
        );
    }
    Ok(partitions)
}

/// A folder for input and reports, removed at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let path = project::target().join(format!("kafka/acceptance-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
