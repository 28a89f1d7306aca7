//! What has to be reached, as ratios within one run, and whether it is.

use super::case::{self, BEST, Case};
use super::client::Client;
use super::sample::{Run, Spread};

/// Less than this between two medians is a tie.
const TIE: f64 = 0.10;

/// What came of a goal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// The case, in words.
    pub(super) what: &'static str,
    /// What was to be reached.
    pub(super) at_least: &'static str,
    /// What was, with its parts.
    pub(super) reached: String,
    /// `None` if it was not measured.
    pub(super) good: Option<bool>,
}

/// A part of a goal: a text, and whether it is good.
type Part = Option<(String, bool)>;

/// Every row of the table of goals.
pub(super) fn outcomes(run: &Run) -> Vec<Outcome> {
    let row = |what, at_least, parts: Vec<Part>| {
        let missing = parts.iter().any(Option::is_none);
        let found: Vec<(String, bool)> = parts.into_iter().flatten().collect();
        let good = found.iter().all(|part| part.1);
        let texts: Vec<String> = found.into_iter().map(|part| part.0).collect();
        Outcome {
            what,
            at_least,
            reached: if texts.is_empty() {
                "not measured".to_owned()
            } else {
                texts.join("; ")
            },
            // One part that falls short decides, whatever is missing.
            good: if !good {
                Some(false)
            } else if missing {
                None
            } else {
                Some(true)
            },
        }
    };
    vec![
        row(
            "100 B, no key, pinned to one core: CPU per record",
            "≤ 0.25 × franz-go's",
            vec![cpu_beside(run, "small-one-core", &[Client::FranzGo], 0.25)],
        ),
        row(
            "the same, two cores: records/s",
            "≥ 2.5 × the best peer",
            vec![rate_beside(run, "small-two-cores", BEST, 2.5)],
        ),
        row(
            "100 B keyed, one core: CPU per record",
            "≤ 0.35 × the best peer",
            vec![cpu_beside(run, "keyed-one-core", BEST, 0.35)],
        ),
        row(
            "1 KiB, one core: CPU per record",
            "≤ 0.55 × the best peer, ≤ 1.5 × the floor of the same run",
            vec![
                cpu_beside(run, "large-one-core", BEST, 0.55),
                cpu_beside(run, "large-one-core", &[Client::Floor], 1.5),
            ],
        ),
        row(
            "16 KiB batches (the defaults untouched), 100 B: CPU per record",
            "≤ 0.40 × the best peer",
            vec![cpu_beside(run, "defaults", BEST, 0.40)],
        ),
        row(
            "1 KiB JSON, lz4 / zstd, two cores: records/s",
            "≥ 1.4 × / 1.2 × the best peer",
            vec![
                rate_beside(run, "json-lz4", BEST, 1.4),
                rate_beside(run, "json-zstd", BEST, 1.2),
            ],
        ),
        row(
            "a future awaited for each record (10,000 outstanding): CPU per record",
            "≤ 0.25 × rdkafka FutureProducer's",
            vec![cpu_beside(run, "awaited", &[Client::RdkafkaFuture], 0.25)],
        ),
        row(
            "1,000 rec/s, linger 0: p50 / p99",
            "no worse than the best peer, on sink and broker",
            vec![
                latency_beside(run, "latency", "p50"),
                latency_beside(run, "latency", "p99"),
                latency_beside(run, "latency-kafka", "p50"),
                latency_beside(run, "latency-kafka", "p99"),
            ],
        ),
        row(
            "one partition at 20 ms round trip, 16 KiB batches: records/s",
            "≥ 4 × krafka's, ≥ the best peer's",
            vec![
                rate_beside(run, "long-line", &[Client::Krafka], 4.0),
                rate_no_worse(run, "long-line"),
            ],
        ),
        row(
            "keyed over 1 … 10,000 partitions: CPU per record",
            "+ < 25 % from 1 to 1,000 with full batches; with the default linger no more than the best peer grows",
            vec![full_batches_grow(run), default_linger_grows(run)],
        ),
        row(
            "1, 2, 4 sending threads, no key: records/s",
            "more threads never lose to one",
            vec![threads(run, "threads-2"), threads(run, "threads-4")],
        ),
        row(
            "allocations for each record (bytes in)",
            "≤ 1 with the delivery awaited, 0 when it is dropped",
            vec![
                allocations(run, "awaited", "awaited", 1.0),
                allocations(run, "alone", "dropped", 0.0),
                batches_allocations(run),
            ],
        ),
        row(
            "resident memory under full load",
            "≤ the smallest of the best peers with the same buffer",
            vec![resident(run, "small-two-cores")],
        ),
        row(
            "real Kafka 4.3.1 on tmpfs: records/s",
            "≥ the best peer in each case",
            ["kafka-small", "kafka-keyed", "kafka-large", "kafka-defaults"]
                .into_iter()
                .map(|name| rate_no_worse(run, name))
                .collect(),
        ),
        row(
            "transactions of 1,000 records, sink and real Kafka: records/s",
            "≥ Java's and rdkafka's",
            ["transactions", "kafka-transactions"]
                .into_iter()
                .map(|name| rate_no_worse(run, name))
                .collect(),
        ),
    ]
}

/// The one among `clients` whose median is the best.
fn best(
    clients: &[Client],
    of: impl Fn(Client) -> Option<Spread>,
    better: impl Fn(f64, f64) -> bool,
) -> Option<(Client, f64)> {
    let mut found: Option<(Client, f64)> = None;
    for &client in clients {
        let Some(spread) = of(client) else { continue };
        if found.is_none_or(|(_, median)| better(spread.median, median)) {
            found = Some((client, spread.median));
        }
    }
    found
}

fn less(one: f64, other: f64) -> bool {
    one < other
}

fn more(one: f64, other: f64) -> bool {
    one > other
}

fn cpu_beside(run: &Run, name: &str, peers: &[Client], limit: f64) -> Part {
    let case = case::named(name)?;
    let ours = run.cpu(case, Client::Ottla)?.median;
    let (peer, theirs) = best(peers, |client| run.cpu(case, client), less)?;
    let ratio = ours / theirs;
    let text = format!("{ratio:.2} × {} ({ours:.0} : {theirs:.0} ns)", peer.name());
    Some((text, ratio <= limit))
}

fn rate_beside(run: &Run, name: &str, peers: &[Client], limit: f64) -> Part {
    let case = case::named(name)?;
    let (ours, peer, theirs) = rates(run, case, peers)?;
    let ratio = ours / theirs;
    let cores = run.cores(case, Client::Ottla)?.median;
    let text = format!(
        "{}{ratio:.2} × {} ({:.0} k : {:.0} k/s, {cores:.1} cores)",
        codec(case),
        peer.name(),
        ours / 1e3,
        theirs / 1e3
    );
    Some((text, ratio >= limit))
}

fn rate_no_worse(run: &Run, name: &str) -> Part {
    let case = case::named(name)?;
    let (ours, peer, theirs) = rates(run, case, BEST)?;
    let text = format!("{:.2} × {} ({name})", ours / theirs, peer.name());
    Some((text, ours >= theirs * (1.0 - TIE)))
}

fn rates(run: &Run, case: &Case, peers: &[Client]) -> Option<(f64, Client, f64)> {
    let (peer, theirs) = best(peers, |client| run.rate(case, client), more)?;
    Some((run.rate(case, Client::Ottla)?.median, peer, theirs))
}

fn codec(case: &Case) -> String {
    match case.compression {
        "none" => String::new(),
        codec => format!("{codec} "),
    }
}

fn latency_beside(run: &Run, name: &str, percentile: &str) -> Part {
    let case = case::named(name)?;
    let ours = run.latency(case, Client::Ottla, percentile)?.median;
    let (peer, theirs) = best(BEST, |client| run.latency(case, client, percentile), less)?;
    let place = if name == "latency" { "sink" } else { "broker" };
    let text = format!(
        "{place} {percentile} {ours:.0} : {theirs:.0} µs ({})",
        peer.name()
    );
    Some((text, ours <= theirs * (1.0 + TIE)))
}

fn growth(run: &Run, client: Client, from: &str, to: &str) -> Option<f64> {
    let cpu = |name| Some(run.cpu(case::named(name)?, client)?.median);
    Some(cpu(to)? / cpu(from)? - 1.0)
}

fn full_batches_grow(run: &Run) -> Part {
    let to = |name| growth(run, Client::Ottla, "spread-1", name);
    let grown = to("spread-1000")?;
    let mut text = format!("full batches {:+.0} %", grown * 100.0);
    if let Some(further) = to("spread-10000") {
        text += &format!(" (to 10,000: {:+.0} %)", further * 100.0);
    }
    Some((text, grown < 0.25))
}

fn default_linger_grows(run: &Run) -> Part {
    let of = |client| growth(run, client, "spread-default-1", "spread-default-1000");
    let ours = of(Client::Ottla)?;
    let mut peers = BEST.iter().filter_map(|&client| Some((client, of(client)?)));
    let first = peers.next()?;
    let (peer, theirs) = peers.fold(first, |a, b| if b.1 < a.1 { b } else { a });
    let (ours_percent, theirs_percent) = (ours * 100.0, theirs * 100.0);
    let text = format!(
        "default linger {ours_percent:+.0} % : {theirs_percent:+.0} % ({})",
        peer.name()
    );
    Some((text, ours <= theirs + TIE))
}

fn threads(run: &Run, name: &str) -> Part {
    let rate = |name| Some(run.rate(case::named(name)?, Client::Ottla)?.median);
    let ratio = rate(name)? / rate("threads-1")?;
    let number = name.trim_start_matches("threads-");
    Some((format!("{number} threads {ratio:.2} ×"), ratio >= 1.0 - TIE))
}

fn allocations(run: &Run, measured: &str, shown: &str, limit: f64) -> Part {
    let each = *run.machine.allocations.get(measured)?;
    // Large batches allocate, too, and their thousands of records share that.
    Some((format!("{shown} {each:.3}"), each <= limit + 0.01))
}

/// What is no record's own, and so not what the goal is about.
fn batches_allocations(run: &Run) -> Part {
    let each = *run.machine.allocations.get("dropped")?;
    Some((format!("default batches and their requests add {each:.3}"), true))
}

fn resident(run: &Run, name: &str) -> Part {
    let case = case::named(name)?;
    let ours = run.resident(case, Client::Ottla)?.median;
    let (peer, theirs) = best(BEST, |client| run.resident(case, client), less)?;
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    let text = format!(
        "{:.0} : {:.0} MiB ({}, buffer {} MiB)",
        mebibytes(ours),
        mebibytes(theirs),
        peer.name(),
        case.buffer_bytes >> 20
    );
    Some((text, ours <= theirs * (1.0 + TIE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::{Report, Sample};

    fn sample(case: &str, client: Client, seconds: f64, cpu_seconds: f64) -> Sample {
        Sample {
            case: case.to_owned(),
            client: client.name().to_owned(),
            round: 0,
            load: 0.0,
            round_trip_ns: 0.0,
            report: Some(Report {
                client: client.name().to_owned(),
                records: 1_000_000,
                seconds,
                cpu_seconds,
                user_seconds: cpu_seconds,
                system_seconds: 0.0,
                resident_bytes_max: 1 << 20,
                failed: 0,
                latency_us: None,
                settings: String::new(),
            }),
            error: None,
        }
    }

    fn good(samples: Vec<Sample>, what: &str) -> Option<bool> {
        let run = Run {
            samples,
            ..Run::default()
        };
        let outcome = outcomes(&run)
            .into_iter()
            .find(|outcome| outcome.what.starts_with(what));
        outcome.expect("a row of the table").good
    }

    #[test]
    fn less_cpu_than_a_part_of_the_peer_is_good() {
        let check = |ours, expected| {
            let samples = vec![
                sample("small-one-core", Client::Ottla, 1.0, ours),
                sample("small-one-core", Client::FranzGo, 1.0, 0.4),
            ];
            assert_eq!(good(samples, "100 B, no key"), expected, "{ours}");
        };
        check(0.1, Some(true));
        check(0.11, Some(false));
    }

    #[test]
    fn the_best_peer_counts_and_hand_built_batches_do_not() {
        let check = |ours, expected| {
            let samples = vec![
                sample("small-two-cores", Client::Ottla, ours, 1.0),
                sample("small-two-cores", Client::Krafka, 8.0, 1.0),
                sample("small-two-cores", Client::FranzGo, 5.0, 1.0),
                sample("small-two-cores", Client::Rskafka, 1.0, 1.0),
            ];
            assert_eq!(good(samples, "the same, two cores"), expected, "{ours}");
        };
        check(2.0, Some(true));
        check(2.1, Some(false));
    }

    #[test]
    fn what_was_not_measured_is_neither_good_nor_bad() {
        assert_eq!(good(Vec::new(), "100 B, no key"), None);
        let half = vec![
            sample("json-lz4", Client::Ottla, 1.0, 1.0),
            sample("json-lz4", Client::Java, 2.0, 1.0),
        ];
        assert_eq!(good(half, "1 KiB JSON"), None);
    }

    #[test]
    fn growth_is_taken_from_one_partition() {
        let check = |many, expected| {
            let samples = vec![
                sample("spread-1", Client::Ottla, 1.0, 0.100),
                sample("spread-1000", Client::Ottla, 1.0, many),
                sample("spread-default-1", Client::Ottla, 1.0, 0.1),
                sample("spread-default-1000", Client::Ottla, 1.0, 0.4),
                sample("spread-default-1", Client::Java, 1.0, 0.2),
                sample("spread-default-1000", Client::Java, 1.0, 0.9),
            ];
            assert_eq!(good(samples, "keyed over"), expected, "{many}");
        };
        check(0.124, Some(true));
        check(0.126, Some(false));
    }
}
