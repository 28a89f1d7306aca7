//! Runs the clients, in turns: each case by each client, then all again, so that whatever else the machine does falls on
//! all of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::thread;

use anyhow::{Context as _, bail};

use super::case::{Amount, Case, Mode, Target};
use super::client::{self, Client, Program};
use super::sample::{Machine, Report, Run, Sample};
use super::{distance, payload};
use crate::kafka::MemoryCluster;
use crate::project;

/// How many rounds a median is taken of, at least.
pub(super) const ROUNDS: usize = 5;

/// A client that takes longer has stalled.
const SECONDS_MAX: &str = "90";

/// The topic that is there, in the sink as in a real Kafka.
const TOPIC: &str = "peers";

/// Before those that are measured a client sends so many times fewer records: for connections and memory.
const WARMUP_PART: u64 = 4;

/// What to run.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) rounds: usize,
    pub(super) cases: Vec<&'static Case>,
    pub(super) clients: Vec<Client>,
    /// Many times as many records as the cases say.
    pub(super) scale: f64,
}

/// Measures.
pub(super) fn run(options: &Options) -> anyhow::Result<Run> {
    let cores = Cores::of_this_machine()?;
    let wanted = |client: Client| {
        let mut cases = options.cases.iter();
        options.clients.contains(&client) && cases.any(|case| case.clients.contains(&client))
    };
    let mut machine = machine();
    let mut programs = BTreeMap::new();
    for client in Client::ALL.into_iter().filter(|&client| wanted(client)) {
        eprintln!("building {}", client.name());
        match client.build() {
            Ok(program) => {
                programs.insert(client, program);
            }
            Err(error) => {
                eprintln!("SKIPPED: {} cannot be built here: {error:#}", client.name());
                machine
                    .missing
                    .insert(client.name().to_owned(), format!("{error:#}"));
            }
        }
    }
    let folder = project::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let results = folder.join(format!("peers-{}.jsonl", process::id()));
    let mut file = fs::File::create(&results)?;
    eprintln!("each sample goes to {}", results.display());
    let bench = Bench {
        sink: client::ours("peer_sink")?,
        kafka: kafka(&options.cases)?,
        folder,
        cores,
        scale: options.scale,
        programs,
    };
    if wanted(Client::Ottla) {
        machine.allocations = bench.allocations()?;
    }
    file.write_all(Run::line(&machine)?.as_bytes())?;
    let mut run = Run {
        machine,
        samples: Vec::new(),
    };
    for round in 0..options.rounds {
        for case in &options.cases {
            for sample in bench.case(case, round)? {
                file.write_all(Run::line(&sample)?.as_bytes())?;
                run.samples.push(sample);
            }
        }
    }
    Ok(run)
}

/// All that is needed to run a client.
struct Bench {
    sink: PathBuf,
    kafka: Option<MemoryCluster>,
    folder: PathBuf,
    cores: Cores,
    scale: f64,
    programs: BTreeMap<Client, Program>,
}

impl Bench {
    /// One case by all clients, another one first in each round.
    fn case(&self, case: &Case, round: usize) -> anyhow::Result<Vec<Sample>> {
        let mut clients: Vec<(&Client, &Program)> = self
            .programs
            .iter()
            .filter(|(client, _)| case.clients.contains(client))
            .collect();
        if clients.is_empty() {
            return Ok(Vec::new());
        }
        let first = round % clients.len();
        clients.rotate_left(first);
        let values = payload::values(&self.folder, case.payload, case.size)?;
        let keys = match case.keyed {
            true => Some(payload::keys(&self.folder)?),
            false => None,
        };
        let mut samples = Vec::new();
        for (&client, program) in clients {
            // A new one for each: nobody finds it as another has left it.
            let sink = match case.target {
                Target::Sink { round_trip_ms } => Some(Sink::start(self, case, round_trip_ms)?),
                Target::Kafka => None,
            };
            let bootstrap = match (&sink, &self.kafka) {
                (Some(sink), _) if client == Client::Floor => sink.forgetful.clone(),
                (Some(sink), _) => sink.bootstrap.clone(),
                (None, Some(kafka)) => kafka.bootstrap().to_owned(),
                (None, None) => bail!("no Kafka was started"),
            };
            let load = load().unwrap_or_default();
            let round_trip_ns = distance::round_trip_ns();
            let files = (values.as_path(), keys.as_deref());
            let outcome = self.client(case, client, program, &bootstrap, files);
            let (report, error) = match outcome {
                Ok(report) => (Some(report), None),
                Err(error) => (None, Some(format!("{error:#}"))),
            };
            announce(case, client, round, load, &report, error.as_deref());
            samples.push(Sample {
                case: case.name.to_owned(),
                client: client.name().to_owned(),
                round,
                load,
                round_trip_ns,
                report,
                error,
            });
        }
        Ok(samples)
    }

    /// Ottla's allocations for each record, by what is done with its delivery.
    fn allocations(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let case = super::case::named("defaults").context("a case that is there")?;
        let sink = Sink::start(self, case, 0)?;
        let program = client::ours("peer_allocations")?;
        let said = project::output(Command::new(program).args([&sink.bootstrap, TOPIC]))?;
        let number = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        said.lines()
            .map(|line| number(line).with_context(|| format!("it printed `{line}`")))
            .collect()
    }

    /// How many records are measured.
    fn count(&self, case: &Case, client: Client) -> u64 {
        let factor = match (case.mode, case.amount) {
            // So many samples make a percentile; more would only take longer.
            (Mode::Latency, _) => 1.0,
            (_, Amount::Same) => self.scale,
            (_, Amount::BySpeed) => self.scale * client.speed(),
        };
        ((case.count as f64 * factor) as u64).max(1)
    }

    /// Runs one client to its end.
    fn client(
        &self,
        case: &Case,
        client: Client,
        program: &Program,
        bootstrap: &str,
        (values, keys): (&Path, Option<&Path>),
    ) -> anyhow::Result<Report> {
        let count = self.count(case, client);
        let warmup = match client {
            // Its compiler needs a second or two until it has seen enough, however short the run is.
            Client::Java => count.max((case.count as f64 * client.speed() / 10.0) as u64),
            _ => count / WARMUP_PART,
        };
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: OsString| {
            arguments.push(format!("--{name}").into());
            arguments.push(value);
        };
        add("bootstrap", bootstrap.into());
        add("topic", TOPIC.into());
        add("partitions", case.partitions.to_string().into());
        add("values", values.into());
        add("size", case.size.to_string().into());
        if let Some(keys) = keys {
            add("keys", keys.into());
            add("key-size", payload::KEY_BYTES.to_string().into());
        }
        add("linger-ms", case.linger_ms.to_string().into());
        add("batch-bytes", case.batch_bytes.to_string().into());
        add("buffer-bytes", case.buffer_bytes.to_string().into());
        add("compression", case.compression.into());
        add("threads", case.threads.to_string().into());
        add("mode", case.mode.name().into());
        add("count", count.to_string().into());
        add("warmup", warmup.to_string().into());
        let cores = case.pinned.then_some(self.cores.client.as_str());
        let mut command = on_cores(
            cores,
            &[&["timeout".into(), SECONDS_MAX.into()], program.words()].concat(),
        );
        let output = command
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("cannot run it")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            if output.status.code() == Some(124) {
                bail!("it did not end in {SECONDS_MAX} s");
            }
            bail!("{}", said.lines().last().unwrap_or("it failed without a word"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("it printed `{line}`"))
    }
}

/// One line for who waits.
fn announce(
    case: &Case,
    client: Client,
    round: usize,
    load: f64,
    report: &Option<Report>,
    error: Option<&str>,
) {
    let what = match report {
        Some(report) => {
            let records = report.records as f64;
            format!(
                "{:>9.0} records/s {:>6.0} ns",
                records / report.seconds,
                report.cpu_seconds * 1e9 / records
            )
        }
        None => format!("failed: {}", error.unwrap_or_default()),
    };
    let (number, client) = (round + 1, client.name());
    eprintln!("{number} {:<20} {client:<16} {what}  load {load:.1}", case.name);
}

/// The in-memory broker in a process of its own, which ends when its standard input does.
struct Sink {
    process: Child,
    input: Option<ChildStdin>,
    bootstrap: String,
    /// The socket that reads and forgets.
    forgetful: String,
}

impl Sink {
    fn start(bench: &Bench, case: &Case, round_trip_ms: u64) -> anyhow::Result<Self> {
        let words = [
            bench.sink.clone().into_os_string(),
            case.partitions.to_string().into(),
            round_trip_ms.to_string().into(),
        ];
        let cores = case.pinned.then_some(bench.cores.others.as_str());
        let mut process = on_cores(cores, &words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run the sink")?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("a pipe that was asked for")?;
        let mut lines = BufReader::new(output).lines();
        let mut line = || {
            lines
                .next()
                .context("the sink ended early")?
                .context("the sink's pipe")
        };
        Ok(Self {
            bootstrap: line()?,
            forgetful: line()?,
            process,
            input,
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends with its input; there is nobody to tell that it did so badly.
        let _ = self.process.wait();
    }
}

/// A real Kafka, if any case needs it.
fn kafka(cases: &[&Case]) -> anyhow::Result<Option<MemoryCluster>> {
    if !cases.iter().any(|case| case.target == Target::Kafka) {
        return Ok(None);
    }
    let partitions = super::case::named("kafka-small").map_or(1, |case| case.partitions);
    MemoryCluster::start(TOPIC, partitions).map(Some)
}

/// Which cores the client has where it is pinned, and which the other end.
struct Cores {
    client: String,
    others: String,
}

impl Cores {
    fn of_this_machine() -> anyhow::Result<Self> {
        match thread::available_parallelism()?.get() {
            1 => bail!("a client and a broker need two cores"),
            count => Ok(Self {
                client: "0".to_owned(),
                others: format!("1-{}", count - 1),
            }),
        }
    }
}

/// A command that may run on these cores only.
fn on_cores(cores: Option<&str>, words: &[OsString]) -> Command {
    let pinned: Vec<OsString> = match cores {
        Some(cores) => vec!["taskset".into(), "-c".into(), cores.into()],
        None => Vec::new(),
    };
    let mut all = pinned.iter().chain(words);
    // There is always a program among the words.
    let mut command = Command::new(all.next().map_or("true".as_ref(), OsString::as_os_str));
    command.args(all);
    command
}

fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn machine() -> Machine {
    let field = |file: &str, name: &str| -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kibibytes: u64 = memory.trim_end_matches("kB").trim().parse().unwrap_or_default();
    let said = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(project::root());
        project::output(&mut command)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    // The first word is where this program is.
    let words: Vec<String> = std::env::args().skip(1).collect();
    Machine {
        processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        cores: thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: kibibytes << 10,
        system: said("uname", &["-sr"]),
        rustc: said("rustc", &["--version"]),
        commit: said("git", &["rev-parse", "--short", "HEAD"]),
        command: format!("cargo xtask {}", words.join(" ")),
        missing: BTreeMap::new(),
        allocations: BTreeMap::new(),
    }
}
