//! CPU time, user and system, and allocations for each record, of the whole default path: from `Producer::send` to the
//! socket, with idempotence and an outcome for each record. It fails if records allocate more than they may.
//!
//! `cargo bench -p ottla-benches --bench cpu [-- <words of a case>]`
//!
//! The sink is a process of its own on the first core, the producer with all its threads runs on the second. Each case is
//! a process, so that none finds memory that another has touched.

use ottla::blocking::wait;
use ottla::{Delivery, Producer, Record};
use ottla_benches::only_listed;
use ottla_broker::{SinkCheck, Storage, TestCluster};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::collections::VecDeque;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOPIC: &str = "cpu";
const WARM_UP: u64 = 500_000;
const RUNS: usize = 5;
/// How many deliveries are outstanding where each is awaited.
const OUTSTANDING: usize = 10_000;

/// For each record. What a batch allocates is shared by its records: a batch of 16 KiB has 15 if they are of 1 KiB.
const ALLOCATIONS_MAX: f64 = 1.0;

/// What is sent, and what becomes of the deliveries.
struct Case {
    name: &'static str,
    value_len: usize,
    keyed: bool,
    awaited: bool,
    partitions: i32,
    batch_size: &'static str,
    records: u64,
}

const fn case(name: &'static str, value_len: usize, batch_size: &'static str) -> Case {
    Case {
        name,
        value_len,
        keyed: false,
        awaited: false,
        partitions: 6,
        batch_size,
        // About as many bytes in each case.
        records: if value_len > 500 { 1_000_000 } else { 5_000_000 },
    }
}

const DEFAULT: &str = "16384";
const LARGE: &str = "1048576";

const CASES: &[Case] = &[
    case("100 B", 100, DEFAULT),
    case("100 B large", 100, LARGE),
    Case {
        keyed: true,
        ..case("100 B keyed", 100, DEFAULT)
    },
    Case {
        keyed: true,
        ..case("100 B keyed large", 100, LARGE)
    },
    Case {
        awaited: true,
        ..case("100 B awaited", 100, DEFAULT)
    },
    Case {
        awaited: true,
        ..case("100 B awaited large", 100, LARGE)
    },
    case("1 KiB", 1_024, DEFAULT),
    case("1 KiB large", 1_024, LARGE),
    Case {
        keyed: true,
        partitions: 1,
        ..case("100 B keyed, 1 partition", 100, DEFAULT)
    },
    Case {
        keyed: true,
        partitions: 1_000,
        ..case("100 B keyed, 1000 partitions", 100, DEFAULT)
    },
];

fn main() -> Result<ExitCode> {
    if only_listed() {
        return Ok(ExitCode::SUCCESS);
    }
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve"] => serve(),
        ["--case", name, servers] => run(name, servers, None),
        // Fewer of them, for valgrind.
        ["--case", name, servers, records] => run(name, servers, Some(records.parse()?)),
        ref words => {
            if compare(words)? {
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("error: more than {ALLOCATIONS_MAX} allocations for each record");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Runs the cases whose names have all of `words`, and prints the median of each. False if one allocates too much.
fn compare(words: &[&str]) -> Result<bool> {
    let mut within = true;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "load {}",
        load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    );
    println!("| case | batch.size | CPU for each record: median (least to most) | allocations | records/s |");
    println!("|---|---|---|---|---|");
    for case in CASES {
        if !words
            .iter()
            .all(|word| case.name.split_whitespace().any(|part| part == *word))
        {
            continue;
        }
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let mut sink = Sink::start()?;
            let output = pinned(1)?.args(["--case", case.name, &sink.servers]).output()?;
            sink.stop();
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            let text = String::from_utf8(output.stdout)?;
            let mut numbers = text.split_whitespace().map(str::parse::<f64>);
            let mut next = || numbers.next().ok_or("a case prints three numbers");
            runs.push((next()??, next()??, next()??));
        }
        runs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (nanos, per_second, allocations) = runs[runs.len() / 2];
        within &= allocations <= ALLOCATIONS_MAX;
        println!(
            "| {} | {} | {nanos:.0} ns ({:.0} to {:.0}) | {allocations:.3} | {per_second:.0} |",
            case.name,
            case.batch_size,
            runs[0].0,
            runs[runs.len() - 1].0
        );
    }
    Ok(within)
}

/// This program on one core, if `taskset` is there and the machine has more than one.
fn pinned(core: usize) -> Result<Command> {
    let program = std::env::current_exe()?;
    let cores = std::thread::available_parallelism()?.get();
    let has_taskset = Command::new("taskset")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if cores < 2 || !has_taskset {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    Ok(command)
}

/// A sink until standard input ends.
fn serve() -> Result<ExitCode> {
    let mut topics = TestCluster::builder();
    for partitions in [1, 6, 1_000] {
        topics = topics.topic(format!("{TOPIC}-{partitions}"), partitions);
    }
    let cluster = topics
        .configure(|config| {
            config.storage = Storage::Discard {
                check: SinkCheck::Header,
            };
            config.limits.events_max = 0;
        })
        .start_blocking()?;
    println!("{}", cluster.bootstrap_servers());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(ExitCode::SUCCESS)
}

/// The sink's process.
struct Sink {
    process: Child,
    servers: String,
}

impl Sink {
    fn start() -> Result<Sink> {
        let mut process = pinned(0)?
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("a pipe was asked for")?;
        let mut servers = String::new();
        BufReader::new(stdout).read_line(&mut servers)?;
        Ok(Sink {
            process,
            servers: servers.trim().to_owned(),
        })
    }

    fn stop(&mut self) {
        drop(self.process.stdin.take());
        // It ends by itself when its input does; who has waited knows that.
        let _ = self.process.wait();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(name: &str, servers: &str, records: Option<u64>) -> Result<ExitCode> {
    let case = CASES
        .iter()
        .find(|case| case.name == name)
        .ok_or("no such case")?;
    let producer = Producer::builder()
        .bootstrap_servers(servers)
        .set("batch.size", case.batch_size)
        .build()?;
    let topic = producer.topic(&format!("{TOPIC}-{}", case.partitions));
    wait(producer.partition_count(&topic))?;
    let value = vec![b'x'; case.value_len];
    let mut feed = Feed {
        case,
        producer: &producer,
        topic: &topic,
        value: &value,
        outstanding: VecDeque::with_capacity(OUTSTANDING),
        key: 1,
    };
    feed.send(records.map_or(WARM_UP, |records| records / 10))?;
    let records = records.unwrap_or(case.records);
    let (cpu, start) = (cpu_nanos()?, Instant::now());
    let region = Region::new(ALLOCATOR);
    feed.send(records)?;
    let allocated = region.change();
    let (cpu, elapsed) = (cpu_nanos()? - cpu, start.elapsed());
    let records = records as f64;
    let allocations = (allocated.allocations + allocated.reallocations) as f64;
    println!(
        "{} {} {}",
        cpu as f64 / records,
        records / elapsed.as_secs_f64(),
        allocations / records
    );
    Ok(ExitCode::SUCCESS)
}

struct Feed<'a> {
    case: &'a Case,
    producer: &'a Producer,
    topic: &'a ottla::Topic,
    value: &'a [u8],
    outstanding: VecDeque<Delivery>,
    key: u64,
}

impl Feed<'_> {
    /// Sends, and waits until all of it is acknowledged.
    fn send(&mut self, records: u64) -> Result<()> {
        for _ in 0..records {
            let record = Record::to(self.topic).value(self.value);
            let delivery = if self.case.keyed {
                self.key = self.key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let key = self.key.to_be_bytes();
                wait(self.producer.send(&record.key(&key)))?
            } else {
                wait(self.producer.send(&record))?
            };
            if self.case.awaited {
                if self.outstanding.len() == OUTSTANDING
                    && let Some(oldest) = self.outstanding.pop_front()
                {
                    wait(oldest)?;
                }
                self.outstanding.push_back(delivery);
            }
        }
        while let Some(oldest) = self.outstanding.pop_front() {
            wait(oldest)?;
        }
        wait(self.producer.flush());
        Ok(())
    }
}

/// The CPU time of all threads of this process: the kernel counts it in nanoseconds for each.
fn cpu_nanos() -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let spent = text.split_whitespace().next().ok_or("an empty schedstat")?;
        sum += spent.parse::<u64>()?;
    }
    Ok(sum)
}
