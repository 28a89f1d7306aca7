//! What the in-memory broker costs as a sink, beside the producer that feeds it: `cargo bench -p ottla-benches --bench
//! sink`.
//!
//! The sink is a process of its own, so that both can be asked for their CPU time. It has to be small beside that of the
//! producer, else a benchmark of producers measures the broker.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use ottla::blocking::wait;
use ottla::{Producer, Record};
use ottla_broker::{SinkCheck, Storage, TestCluster};

/// What the sink is told to be by its parent.
const SERVE: &str = "serve";
const TOPIC: &str = "sink";
const PARTITIONS: i32 = 6;
/// The sink's CPU time may be this much of the producer's.
const SHARE_MAX: f64 = 0.25;
const SMALL_BYTES: usize = 100;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(SERVE) {
        return serve(arguments.next().as_deref() == Some("crc"));
    }
    let mut good = true;
    for (check, bytes, records) in [
        ("header", SMALL_BYTES, 10_000_000),
        ("header", 1_000, 3_000_000),
        ("crc", SMALL_BYTES, 10_000_000),
        ("crc", 1_000, 3_000_000),
    ] {
        let measured = measure(check, bytes, records)?;
        println!("{measured}");
        // The checksum is for those who do not trust the producer; the limit is for the sink as it is by default.
        good &= check != "header" || measured.share() <= SHARE_MAX;
    }
    if good {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: the sink takes more than {SHARE_MAX} of the producer's CPU time");
    Ok(ExitCode::FAILURE)
}

/// A sink until standard input ends.
fn serve(with_checksum: bool) -> Result<ExitCode, Box<dyn Error>> {
    let check = if with_checksum {
        SinkCheck::HeaderAndCrc
    } else {
        SinkCheck::Header
    };
    let cluster = TestCluster::builder()
        .topic(TOPIC, PARTITIONS)
        .configure(|config| {
            config.storage = Storage::Discard { check };
            config.limits.events_max = 0;
        })
        .start_blocking()?;
    println!("{}", cluster.bootstrap_servers());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(ExitCode::SUCCESS)
}

/// The sink's process; it ends with this.
struct Sink {
    process: Child,
    bootstrap_servers: String,
}

impl Sink {
    fn start(check: &str) -> Result<Sink, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([SERVE, check])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("a pipe was asked for")?;
        let mut bootstrap_servers = String::new();
        BufReader::new(stdout).read_line(&mut bootstrap_servers)?;
        Ok(Sink {
            process,
            bootstrap_servers: bootstrap_servers.trim().to_owned(),
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends by itself when its input does; who has waited knows that.
        let _ = self.process.wait();
    }
}

/// What a run took.
struct Measured {
    check: String,
    bytes: usize,
    records_per_second: f64,
    /// In ticks of the kernel's clock, as it counts CPU time.
    producer_ticks: u64,
    sink_ticks: u64,
}

impl Measured {
    fn share(&self) -> f64 {
        self.sink_ticks as f64 / self.producer_ticks.max(1) as f64
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "check {:<6} records of {:>4} B  {:>10.0} records/s  CPU of the sink {:>4.1} % of the producer's",
            self.check,
            self.bytes,
            self.records_per_second,
            100.0 * self.share()
        )
    }
}

fn measure(check: &str, bytes: usize, records: usize) -> Result<Measured, Box<dyn Error>> {
    let sink = Sink::start(check)?;
    let producer = Producer::builder()
        .bootstrap_servers(&sink.bootstrap_servers)
        .set("linger.ms", "5")
        .build()?;
    let topic = producer.topic(TOPIC);
    wait(producer.partition_count(&topic))?;
    let value = vec![b'x'; bytes];
    let record = Record::to(&topic).value(&value);
    let (own, pid) = (ticks("self")?, sink.process.id().to_string());
    let (other, start) = (ticks(&pid)?, Instant::now());
    for _ in 0..records {
        // Sent and forgotten: what is refused would be seen in the flush of the last.
        drop(wait(producer.send(&record))?);
    }
    wait(wait(producer.send(&record))?)?;
    wait(producer.flush());
    Ok(Measured {
        check: check.to_owned(),
        bytes,
        records_per_second: records as f64 / start.elapsed().as_secs_f64(),
        producer_ticks: ticks("self")? - own,
        sink_ticks: ticks(&pid)? - other,
    })
}

/// The CPU time of a process and all of its threads so far (fields 14 and 15 of `/proc/PID/stat`: user and system).
fn ticks(process: &str) -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The program's name, in parentheses, may have spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("a stat file without a name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next =
        || -> Result<u64, Box<dyn Error>> { Ok(fields.next().ok_or("a short stat file")?.parse()?) };
    Ok(next()? + next()?)
}
