//! docs/benchmarks.md, from a run: what had to be reached, each case's table, and the plots beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::Context as _;

use super::case::{self, Case, Metric};
use super::client::Client;
use super::goal;
use super::plot::{self, Bar, Panel};
use super::sample::{Run, Spread};
use crate::project;

const PAGE: &str = "docs/benchmarks.md";
const PLOTS: &str = "docs/benchmarks";

/// What stands behind this line was written by hand, and stays.
const BY_HAND: &str = "<!-- From here on by hand: `cargo xtask bench --peers` keeps it. -->";

/// Writes the page and the plots.
pub(super) fn write(run: &Run) -> anyhow::Result<()> {
    let page = project::root().join(PAGE);
    let before = fs::read_to_string(&page).unwrap_or_default();
    let by_hand = before.split_once(BY_HAND).map_or("\n", |(_, rest)| rest);
    let folder = project::root().join(PLOTS);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut text = head(run);
    text += &goals(run);
    text += "\n## Plots\nThe bar is the median, the line goes from the least to the greatest.\n\n";
    for (name, title, panels) in plots(run) {
        fs::write(folder.join(format!("{name}.svg")), plot::draw(title, &panels))?;
        let _ = writeln!(text, "![{title}](benchmarks/{name}.svg)\n");
    }
    text += &tables(run);
    text += &settings(run);
    let _ = write!(text, "\n{BY_HAND}{by_hand}");
    fs::write(&page, text).with_context(|| format!("cannot write {PAGE}"))?;
    eprintln!("{PAGE} is written");
    Ok(())
}

/// What was measured, where and how.
fn head(run: &Run) -> String {
    let machine = &run.machine;
    let gibibytes = machine.memory_bytes as f64 / f64::from(1 << 30);
    let load = run.load();
    let load = load.map_or("unknown".to_owned(), |load| {
        format!("{:.1} ({:.1} to {:.1})", load.median, load.least, load.greatest)
    });
    let trip = run.round_trip_ns();
    let trip = trip.map_or("unknown".to_owned(), |trip| shown(Some(trip), 1.0, 0));
    format!(
        "# Benchmarks\n\nWritten by `{}` from one run; the last section is by hand. Run it on your own machine.\n\n\
         - {} × {}, {gibibytes:.0} GiB, {}, {}, commit {}.\n\
         - Load of the machine during the run: {load}. One client and its broker make about 2. What is above that \
         was other work: then CPU for each record still compares, records/s and latencies hardly do.\n\
         - A cache line from one thread to another and back took {trip} ns, measured before each client's turn: it depends \
         on where a hypervisor has put the two cores. What hands data between threads depends on it, most of all with \
         small batches on two cores.\n\
         - {} rounds, in each round all clients do each case in turns, another one first each time. Medians, and \
         the range in parentheses. Less than 10 % is a tie.\n\
         - CPU is user and system time of the client's process, between the end of its warm-up and the last \
         acknowledgement. The other end is our in-memory broker as a sink, which validates little and keeps nothing, \
         or a real Kafka 4.3.1 with its log on a tmpfs.\n\
         - One core: the client has a core to itself, and the sink another. Two cores: both share them.\n\
         - Each client works for about a second and is warm before: slow ones get fewer records. Those that are far \
         behind the best are left out of some cases.\n",
        machine.command,
        machine.cores,
        machine.processor,
        machine.system,
        machine.rustc,
        machine.commit,
        run.rounds(),
    )
}

/// The table of what had to be reached.
fn goals(run: &Run) -> String {
    let mut text = "\n## What had to be reached\n\"Best peer\" is the best of those that are idempotent and tell an \
                    outcome for each record, in this run.\n\n| case | at least | reached | |\n|---|---|---|---|\n"
        .to_owned();
    for outcome in goal::outcomes(run) {
        let verdict = match outcome.good {
            Some(true) => "yes",
            Some(false) => "**falls short**",
            None => "not measured",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            outcome.what, outcome.at_least, outcome.reached
        );
    }
    text
}

/// A table for each case that was run.
pub(super) fn tables(run: &Run) -> String {
    let mut text = "\n## Cases\n".to_owned();
    for case in case::CASES {
        if run.samples.iter().any(|sample| sample.case == case.name) {
            text += &table(run, case);
        }
    }
    text
}

fn table(run: &Run, case: &Case) -> String {
    let loads = run.samples.iter().filter(|sample| sample.case == case.name);
    let load = Spread::of(loads.clone().map(|sample| sample.load)).map_or(0.0, |load| load.median);
    let trip = shown(Spread::of(loads.map(|sample| sample.round_trip_ns)), 1.0, 0);
    let mut text = format!("\n### {} (`{}`)\n\n", case.title, case.name);
    let latency = case.metric == Metric::Latency;
    text += if latency {
        "| client | p50 µs | p99 µs | CPU µs per record |\n|---|---|---|---|\n"
    } else {
        "| client | CPU ns per record | k records/s | cores | resident MiB |\n|---|---|---|---|---|\n"
    };
    for &client in case.clients {
        let name = client.name();
        if let Some(reason) = run.machine.missing.get(name) {
            let _ = writeln!(text, "| {name} | not built here: {reason} |");
        } else if let Some(cpu) = run.cpu(case, client) {
            let _ = if latency {
                let of = |percentile| run.latency(case, client, percentile);
                writeln!(
                    text,
                    "| {name} | {} | {} | {} |",
                    shown(of("p50"), 1.0, 0),
                    shown(of("p99"), 1.0, 0),
                    shown(Some(cpu), 1e-3, 0)
                )
            } else {
                writeln!(
                    text,
                    "| {name} | {} | {} | {:.2} | {} |",
                    shown(Some(cpu), 1.0, 0),
                    shown(run.rate(case, client), 1e-3, 0),
                    run.cores(case, client).map_or(0.0, |cores| cores.median),
                    shown(run.resident(case, client), 1.0 / f64::from(1 << 20), 0)
                )
            };
        } else if let Some(error) = run.error(case, client) {
            let _ = writeln!(text, "| {name} | failed: {error} |");
        }
    }
    let _ = writeln!(
        text,
        "\nLoad of the machine: {load:.1}. Between threads and back: {trip} ns."
    );
    text
}

/// `median (least-greatest)`, each times `factor`.
fn shown(spread: Option<Spread>, factor: f64, digits: usize) -> String {
    spread.map_or("-".to_owned(), |spread| {
        format!(
            "{:.digits$} ({:.digits$}-{:.digits$})",
            spread.median * factor,
            spread.least * factor,
            spread.greatest * factor
        )
    })
}

/// What each client was told, beside what the cases say.
fn settings(run: &Run) -> String {
    let mut text = "\n## Settings\nAll: acks=all, plaintext, the same values and keys from files, 64 MiB of buffer (256 \
                    MiB in the cases `spread-*`), otherwise each client's defaults, and:\n\n"
        .to_owned();
    let mut told: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for sample in &run.samples {
        if let Some(report) = &sample.report {
            told.insert(&sample.client, (&report.client, &report.settings));
        }
    }
    for (client, settings) in told.values() {
        let _ = writeln!(text, "- {client}: {settings}");
    }
    text += "\n| case | value | key | batch | linger | codec | threads | partitions | records |\n\
             |---|---|---|---|---|---|---|---|---|\n";
    for case in case::CASES {
        let samples = run.samples.iter().filter(|sample| sample.case == case.name);
        let reports = samples.filter_map(|sample| sample.report.as_ref());
        let Some(records) = Spread::of(reports.map(|report| report.records as f64)) else {
            continue;
        };
        let records = if records.least < records.greatest {
            format!("{} to {}", records.least, records.greatest)
        } else {
            records.least.to_string()
        };
        let key = if case.keyed { "16 B" } else { "-" };
        let _ = writeln!(
            text,
            "| {} | {} B {:?} | {key} | {} B | {} ms | {} | {} | {} | {records} |",
            case.name,
            case.size,
            case.payload,
            case.batch_bytes,
            case.linger_ms,
            case.compression,
            case.threads,
            case.partitions
        );
    }
    text
}

/// The plots: a name for the file, a title, and a panel for each case.
fn plots(run: &Run) -> Vec<(&'static str, &'static str, Vec<Panel>)> {
    let of = |names: &[&str], metric: Metric| -> Vec<Panel> {
        let cases = names.iter().filter_map(|name| case::named(name));
        cases
            .map(|case| panel(run, case, metric))
            .filter(|panel| !panel.bars.is_empty())
            .collect()
    };
    let all = [
        (
            "cpu",
            "CPU for each record (less is better)",
            of(
                &[
                    "small-one-core",
                    "keyed-one-core",
                    "large-one-core",
                    "defaults",
                    "awaited",
                ],
                Metric::Cpu,
            ),
        ),
        (
            "rate",
            "Records a second (more is better)",
            of(
                &[
                    "small-two-cores",
                    "json-lz4",
                    "json-zstd",
                    "long-line",
                    "kafka-small",
                    "kafka-large",
                ],
                Metric::Rate,
            ),
        ),
        (
            "latency",
            "Latency at 1,000 records a second, p50 (less is better)",
            of(&["latency", "latency-kafka"], Metric::Latency),
        ),
        (
            "partitions",
            "CPU for each keyed record over many partitions (less is better)",
            of(
                &["spread-1", "spread-10", "spread-1000", "spread-10000"],
                Metric::Cpu,
            ),
        ),
    ];
    all.into_iter()
        .filter(|(.., panels)| !panels.is_empty())
        .collect()
}

fn panel(run: &Run, case: &Case, metric: Metric) -> Panel {
    let (factor, unit) = match metric {
        Metric::Cpu => (1.0, "ns"),
        Metric::Rate => (1e-3, "k/s"),
        Metric::Latency => (1.0, "µs"),
    };
    let bar = |&client: &Client| {
        let spread = match metric {
            Metric::Cpu => run.cpu(case, client),
            Metric::Rate => run.rate(case, client),
            Metric::Latency => run.metric(case, client),
        }?;
        Some(Bar {
            name: client.name(),
            median: spread.median * factor,
            least: spread.least * factor,
            greatest: spread.greatest * factor,
            ours: client == Client::Ottla,
        })
    };
    Panel {
        title: format!("{}, {unit}", case.title),
        bars: case.clients.iter().filter_map(bar).collect(),
    }
}
