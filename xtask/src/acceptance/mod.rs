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
use clap::builder::PossibleValuesParser;

use crate::kafka::{Cluster, Options, java};
use crate::maven;
use crate::program::Program;
use crate::project;
use crate::test::Counts;
use compare::{Comparison, Faults, Timestamps};
use failover::Trouble;
use input::Input;

pub(crate) mod compare;
mod failover;
mod input;
pub(crate) mod readers;
mod reports;

/// The partitions of every topic here.
pub(crate) const PARTITIONS: usize = 6;

/// The codecs, as `-z` and Kafka's dump call them.
const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

/// The lines of the short form: enough for batches to fill, and for several in each partition.
const LINES_SHORT: usize = 20_000;

/// What happens to a broker of three, by its name.
const TROUBLES: &[Trouble] = &[Trouble::Killed, Trouble::Frozen];

/// How much is produced, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these checks: codecs, and what happens to a broker [default: all].
    #[arg(value_parser = PossibleValuesParser::new(CODECS.iter().copied().chain(TROUBLES.iter().map(|t| t.name()))))]
    checks: Vec<String>,
    /// How many lines of 100 bytes for each check.
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
    if arguments.lines < 100 {
        bail!("fewer than 100 lines prove nothing");
    }
    let program = match &arguments.program {
        Some(path) => Program::at(path.clone()),
        None => Program::build(true)?,
    };
    let wanted =
        |name: &str| arguments.checks.is_empty() || arguments.checks.iter().any(|check| check == name);
    let mut checks = Checks {
        program,
        version: arguments.version.clone(),
        input: Input {
            lines: arguments.lines,
        },
        counts: Counts::default(),
    };
    let codecs: Vec<_> = CODECS.iter().copied().filter(|codec| wanted(codec)).collect();
    checks.codecs(&codecs)?;
    let troubles: Vec<_> = TROUBLES
        .iter()
        .copied()
        .filter(|trouble| wanted(trouble.name()))
        .collect();
    checks.troubles(&troubles)?;
    let Counts { passed, failed, .. } = checks.counts;
    if failed > 0 {
        bail!("{failed} of {} acceptance tests failed", passed + failed);
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
    let mut checks = Checks {
        program: Program::build(false)?,
        version: maven::DEFAULT_VERSION.to_owned(),
        input: Input { lines: LINES_SHORT },
        counts: Counts::default(),
    };
    checks.codecs(CODECS)?;
    checks.troubles(&[Trouble::Killed])?;
    Ok(checks.counts)
}

/// A run of checks.
struct Checks {
    program: Program,
    version: String,
    input: Input,
    counts: Counts,
}

impl Checks {
    /// All lines with each of `codecs`, into one broker.
    fn codecs(&mut self, codecs: &[&str]) -> anyhow::Result<()> {
        if codecs.is_empty() {
            return Ok(());
        }
        let cluster = Cluster::start(&self.options(1))?;
        let folder = Folder::create()?;
        let file = folder.path.join("lines");
        self.input.write(&file)?;
        let topics: Vec<_> = codecs.iter().map(|codec| format!("codec-{codec}")).collect();
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        let partition_of_key = topics_and_partitions(&cluster, 1, &topics, self.input.all_keys())?;
        for (codec, topic) in codecs.iter().zip(topics) {
            let result = codec_round(
                &self.program,
                &cluster,
                codec,
                topic,
                &file,
                self.input,
                &partition_of_key,
            );
            self.tell(codec, result);
        }
        Ok(())
    }

    /// All lines through each of `troubles`, into three brokers.
    fn troubles(&mut self, troubles: &[Trouble]) -> anyhow::Result<()> {
        if troubles.is_empty() {
            return Ok(());
        }
        let mut cluster = Cluster::start(&self.options(3))?;
        for &trouble in troubles {
            let result = failover::run(&self.program, &mut cluster, trouble, self.input);
            self.tell(trouble.name(), result);
        }
        Ok(())
    }

    fn options(&self, nodes: usize) -> Options {
        Options {
            version: self.version.clone(),
            nodes,
            ..Options::default()
        }
    }

    fn tell(&mut self, name: &str, result: anyhow::Result<String>) {
        match result {
            Ok(what) => {
                self.counts.passed += 1;
                println!("test acceptance::{name} ... ok ({what})");
            }
            Err(error) => {
                self.counts.failed += 1;
                println!("test acceptance::{name} ... FAILED: {error:#}");
            }
        }
    }
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

    let mut comparison = Comparison::new(input, &acks, Timestamps::Exact);
    readers::java_consumer(cluster.library(), &bootstrap, topic, input.lines, |record| {
        comparison.record(record);
    })?;
    comparison.finish().context("Java's consumer")?;
    let mut comparison = Comparison::new(input, &acks, Timestamps::Exact);
    readers::kcat(&bootstrap, topic, |record| comparison.record(record))?;
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

pub(crate) fn require_kcat() -> anyhow::Result<()> {
    match Command::new("kcat").arg("-V").stdin(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("kcat is not in the PATH (Debian: apt-get install kcat)")
        }
        Err(error) => Err(error).context("cannot run `kcat`"),
        Ok(_) => Ok(()),
    }
}

/// Creates topics, and asks Java for the partition of each key, by the key's number.
pub(crate) fn topics_and_partitions(
    cluster: &Cluster,
    replicas: usize,
    topics: &[&str],
    keys: impl Iterator<Item = String>,
) -> anyhow::Result<Vec<usize>> {
    let source = project::root().join("xtask/java/Acceptance.java");
    let mut child = java::tool(cluster.library(), &source.to_string_lossy())
        .args([cluster.bootstrap(), PARTITIONS.to_string(), replicas.to_string()])
        .args(topics)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `java`")?;
    let mut stdin = child.stdin.take().context("a pipe that was just asked for")?;
    // It prints nothing before it has read everything, so neither pipe can fill while the other waits.
    let mut count = 0;
    let all_keys = keys
        .inspect(|_| count += 1)
        .map(|key| key + "\n")
        .collect::<String>();
    stdin
        .write_all(all_keys.as_bytes())
        .context("Java takes no keys")?;
    drop(stdin);
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
    if partitions.len() != count {
        bail!("Java gave {} partitions for {count} keys", partitions.len());
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
