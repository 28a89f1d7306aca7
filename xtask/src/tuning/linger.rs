//! `cargo xtask tuning --measure`: throughput and latency by `batch.size` and `linger.ms`, with `ottla perf` against a real
//! Kafka, as a table and as `docs/manual/linger.svg`.
//!
//! Throughput is that of a producer that sends as fast as it can. There latency is the time in a queue, and says nothing
//! about settings; so it is taken from a second run, at a rate that the broker keeps up with easily.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};

use super::chart::{self, Chart, Line, Scale};
use super::kibibytes;
use crate::kafka::MemoryCluster;
use crate::program::Program;

const BATCH_SIZES: [usize; 4] = [1 << 10, 16 << 10, 64 << 10, 256 << 10];
const LINGERS_MS: [u32; 4] = [0, 5, 20, 100];

/// The size of each record's value in bytes.
const RECORD_SIZE: usize = 100;
const TOPIC: &str = "tuning";
const PARTITIONS: i32 = 6;

/// Each figure is the median of so many runs, for there is a broker beside the producer, on few cores.
const ROUNDS: usize = 5;
/// A second or two; a quarter of them goes with batches of 1 KiB, which take as long.
const FAST_RECORDS: u32 = 2_000_000;
/// One of so many records is there until code, memory and the broker's files are warm.
const WARMUP_PART: u32 = 6;

/// Records a second for the latency: one of the default batches fills in about the time of the middle lingers.
const RATE: u32 = 10_000;
/// Two and a half seconds after a warm-up of a half.
const SLOW_RECORDS: u32 = 30_000;

/// What came of one pair of settings.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    records_per_second: f64,
    latency_50_ms: f64,
    latency_99_ms: f64,
}

pub(super) fn run(program: Option<PathBuf>) -> anyhow::Result<()> {
    let program = match program {
        Some(path) => Program::at(path),
        None => Program::build(true)?,
    };
    let perf = Perf {
        program,
        cluster: MemoryCluster::start(TOPIC, PARTITIONS)?,
    };
    // The broker's code is compiled while it runs: the first run is not for the books.
    perf.throughput(BATCH_SIZES[1], LINGERS_MS[1])?;
    // Round by round, so that what the machine does meanwhile meets all settings alike.
    let mut rounds = vec![Vec::new(); BATCH_SIZES.len() * LINGERS_MS.len()];
    for round in 1..=ROUNDS {
        for ((batch_size, linger_ms), of) in settings().zip(&mut rounds) {
            let (latency_50_ms, latency_99_ms) = perf.latency(batch_size, linger_ms)?;
            let point = Point {
                records_per_second: perf.throughput(batch_size, linger_ms)?,
                latency_50_ms,
                latency_99_ms,
            };
            eprintln!(
                "round {round}: {}, {linger_ms} ms: {point:?}",
                kibibytes(batch_size)
            );
            of.push(point);
        }
    }
    let points: Vec<_> = rounds.iter().map(|rounds| median(rounds)).collect();
    print!("{}", table(&points));
    super::write_plot("linger.svg", &svg(&points))
}

/// Each figure's median.
fn median(points: &[Point]) -> Point {
    let of = |figure: fn(&Point) -> f64| {
        let mut figures: Vec<_> = points.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Point {
        records_per_second: of(|point| point.records_per_second),
        latency_50_ms: of(|point| point.latency_50_ms),
        latency_99_ms: of(|point| point.latency_99_ms),
    }
}

/// All pairs of settings, in the order of the points.
fn settings() -> impl Iterator<Item = (usize, u32)> {
    LINGERS_MS
        .into_iter()
        .flat_map(|linger| BATCH_SIZES.map(|size| (size, linger)))
}

/// `ottla perf` into the topic.
struct Perf {
    program: Program,
    cluster: MemoryCluster,
}

impl Perf {
    /// Records a second, as many as possible.
    fn throughput(&self, batch_size: usize, linger_ms: u32) -> anyhow::Result<f64> {
        let records = if batch_size < 16 << 10 {
            FAST_RECORDS / 4
        } else {
            FAST_RECORDS
        };
        let (stdout, _) = self.run(batch_size, linger_ms, records, -1)?;
        rate(&stdout).with_context(|| format!("no rate in {stdout:?}"))
    }

    /// The latency in milliseconds that half of the records, and 99 of 100, stay below.
    fn latency(&self, batch_size: usize, linger_ms: u32) -> anyhow::Result<(f64, f64)> {
        let (_, stderr) = self.run(batch_size, linger_ms, SLOW_RECORDS, RATE as i32)?;
        percentiles(&stderr).with_context(|| format!("no percentiles in {stderr:?}"))
    }

    /// What it prints: standard output, and standard error.
    fn run(
        &self,
        batch_size: usize,
        linger_ms: u32,
        records: u32,
        rate: i32,
    ) -> anyhow::Result<(String, String)> {
        let mut command = self.program.perf(self.cluster.bootstrap(), TOPIC);
        command.args(["--record-size", &RECORD_SIZE.to_string()]);
        command.args(["--num-records", &records.to_string()]);
        command.args(["--warmup-records", &(records / WARMUP_PART).to_string()]);
        command.args(["--throughput", &rate.to_string()]);
        command.args(["-X", &format!("batch.size={batch_size}")]);
        command.args(["-X", &format!("linger.ms={linger_ms}")]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("cannot run `ottla perf`")?;
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        if !output.status.success() {
            bail!("`ottla perf` ended with {}: {stderr}", output.status);
        }
        Ok((stdout, stderr))
    }
}

/// The rate in the summary of the steady state: `… steady state records sent, 12345.6 records/sec …`.
fn rate(stdout: &str) -> Option<f64> {
    let summary = stdout
        .lines()
        .find_map(|line| line.split_once(" steady state records sent, "))?
        .1;
    summary.split(' ').next()?.parse().ok()
}

/// `steady state latency in ms: 1.234 50th, 2.345 95th, 3.456 99th, …`.
fn percentiles(stderr: &str) -> Option<(f64, f64)> {
    let line = stderr
        .lines()
        .find_map(|line| line.strip_prefix("steady state latency in ms: "))?;
    let of = |name: &str| {
        let part = line.split(", ").find_map(|part| part.strip_suffix(name))?;
        part.trim().parse::<f64>().ok()
    };
    Some((of(" 50th")?, of(" 99th")?))
}

/// In Markdown.
fn table(points: &[Point]) -> String {
    let mut text = String::from(
        "| `linger.ms` | `batch.size` | records/s at most | p50 at 10,000/s | p99 at 10,000/s |\n|---:|---:|---:|---:|---:|\n",
    );
    for ((batch_size, linger_ms), point) in settings().zip(points) {
        // A `String` takes everything.
        let _ = writeln!(
            text,
            "| {linger_ms} | {} | {:.0} k | {:.1} ms | {:.1} ms |",
            kibibytes(batch_size),
            point.records_per_second / 1_000.0,
            point.latency_50_ms,
            point.latency_99_ms
        );
    }
    text
}

fn svg(points: &[Point]) -> String {
    let lines = |value: fn(&Point) -> f64| {
        let rows = LINGERS_MS.into_iter().zip(points.chunks(BATCH_SIZES.len()));
        rows.map(|(linger_ms, row)| Line {
            name: format!("linger {linger_ms}"),
            values: row.iter().map(value).collect(),
        })
        .collect()
    };
    let chart = |title, scale, lines| Chart {
        title,
        scale,
        height: 300.0,
        sizes: &BATCH_SIZES,
        lines,
    };
    chart::draw(&[
        chart(
            "Thousands of records a second, as fast as possible",
            Scale::Linear(500.0),
            lines(|point| point.records_per_second / 1_000.0),
        ),
        chart(
            "Latency of half of the records (p50) in ms, at 10,000 records a second",
            Scale::Logarithmic,
            lines(|point| point.latency_50_ms),
        ),
        chart(
            "Latency of 99 of 100 records (p99) in ms, at 10,000 records a second",
            Scale::Logarithmic,
            lines(|point| point.latency_99_ms),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_perf_prints() {
        let stdout = "5 records sent, 9.5 records/sec (0.95 MB/sec), 3.64 ms avg latency\n\
                      4 steady state records sent, 99.640743 records/sec (0.95 MB/sec), 3.73 ms avg latency\n";
        assert_eq!(rate(stdout), Some(99.640743));
        assert_eq!(rate("5 records sent, 9.5 records/sec"), None);
        let stderr = "latency in ms: 9.521 50th, 9.831 95th, 9.711 99th, 9.215 99.9th, 9.511 99.99th, 9.469 max\n\
                      steady state latency in ms: 3.521 50th, 6.831 95th, 9.5 99th, 12.215 99.9th, 13.511 99.99th, 3.4 max\n";
        assert_eq!(percentiles(stderr), Some((3.521, 9.5)));
        assert_eq!(percentiles("latency in ms: 9.521 50th, 9.711 99th"), None);
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let point = |records_per_second, latency_50_ms, latency_99_ms| Point {
            records_per_second,
            latency_50_ms,
            latency_99_ms,
        };
        let points = [point(1.0, 9.0, 5.0), point(3.0, 7.0, 6.0), point(2.0, 8.0, 4.0)];
        assert_eq!(median(&points), point(2.0, 8.0, 5.0));
    }

    #[test]
    fn each_pair_of_settings_has_its_row_and_each_linger_its_lines() {
        let points: Vec<_> = (1..=16)
            .map(|at| Point {
                records_per_second: f64::from(at) * 1_000.0,
                latency_50_ms: f64::from(at),
                latency_99_ms: f64::from(at) * 2.0,
            })
            .collect();
        let table = table(&points);
        assert!(
            table.contains("| 5 | 1 KiB | 5 k | 5.0 ms | 10.0 ms |\n"),
            "{table}"
        );
        assert!(
            table.ends_with("| 100 | 256 KiB | 16 k | 16.0 ms | 32.0 ms |\n"),
            "{table}"
        );
        assert_eq!(svg(&points).matches("<polyline").count(), 12);
    }
}
