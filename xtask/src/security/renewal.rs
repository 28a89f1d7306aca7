//! Sessions that end every two seconds, under load: `cargo xtask security --renewals SECONDS`.
//!
//! A real broker with `connections.max.reauth.ms=2000` closes each connection that is used without having authenticated
//! again (KIP-368). A producer for each mechanism, half of them over TLS, writes all the time; then each record has to be
//! where its report says, once, and no other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::acceptance::{self, readers};
use crate::kafka::{self, Cluster};
use crate::program::Program;

/// The clients' files, one for each mechanism.
const CLIENTS: [&str; 4] = [
    "sasl-plaintext-plain",
    "sasl-ssl-scram-sha-256-pem",
    "sasl-plaintext-scram-sha-512",
    "sasl-ssl-oauthbearer-jks",
];

/// Records that each writes in a second: a request every few milliseconds, so that one meets each end of a session.
const RECORDS_PER_SECOND: u64 = 1_000;

/// A line of the program.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    value: Option<String>,
    partition: Option<usize>,
    offset: Option<u64>,
}

/// Where each value is, by partition and offset.
type Places = BTreeMap<(usize, u64), String>;

pub(super) fn run(program: &Program, seconds: u64) -> anyhow::Result<()> {
    let cluster = Cluster::start(&kafka::Options {
        tls: true,
        sasl: true,
        settings: vec![("connections.max.reauth.ms".to_owned(), "2000".to_owned())],
        ..kafka::Options::default()
    })?;
    acceptance::topics_and_partitions(&cluster, 1, &CLIENTS, std::iter::empty())?;
    let clients = cluster.clients().context("a cluster with TLS and SASL")?;
    let results: Vec<anyhow::Result<usize>> = thread::scope(|scope| {
        let runs: Vec<_> = CLIENTS
            .iter()
            .map(|client| {
                let (cluster, file) = (&cluster, clients.join(format!("{client}.properties")));
                scope.spawn(move || one(program, cluster, client, file, seconds))
            })
            .collect();
        // A panic in there is one of ours.
        runs.into_iter()
            .map(|run| run.join().expect("a run does not panic"))
            .collect()
    });
    for (client, result) in CLIENTS.iter().zip(results) {
        let records = result.with_context(|| (*client).to_owned())?;
        println!("{client}: {records} records in {seconds} s, sessions of 2 s, each once where it was acked");
    }
    Ok(())
}

/// Writes with one client's file, and compares its reports with what kcat reads.
fn one(
    program: &Program,
    cluster: &Cluster,
    client: &str,
    file: PathBuf,
    seconds: u64,
) -> anyhow::Result<usize> {
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let bootstrap = text
        .lines()
        .find_map(|line| line.strip_prefix("bootstrap.servers="))
        .context("a file without bootstrap.servers")?;
    let count = seconds * RECORDS_PER_SECOND;
    // As Kafka's verifiable producer, ours tries nothing again unless it is told to.
    let patient = file.with_file_name(format!("{client}-patient.properties"));
    fs::write(&patient, format!("{text}retries={}\n", i32::MAX))
        .with_context(|| format!("cannot write {}", patient.display()))?;
    let mut child = program
        .verifiable(bootstrap, client)
        .arg("--command-config")
        .arg(&patient)
        .args(["--max-messages", &count.to_string()])
        .args(["--throughput", &RECORDS_PER_SECOND.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the program")?;
    let output = child.stdout.take().context("a pipe that was just asked for")?;
    let (mut acked, mut failed) = (Places::new(), None);
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what the program prints")?;
        let parsed: Line = serde_json::from_str(&line).with_context(|| format!("it printed `{line}`"))?;
        match (
            parsed.name.as_str(),
            parsed.value,
            parsed.partition,
            parsed.offset,
        ) {
            ("producer_send_success", Some(value), Some(partition), Some(offset)) => {
                acked.insert((partition, offset), value);
            }
            // It is read to its end all the same: a pipe that nobody reads would hold it up.
            ("producer_send_error", ..) => failed = failed.or(Some(line)),
            _ => {}
        }
    }
    if let Some(line) = failed {
        bail!("a record failed: {line}");
    }
    let status = child.wait().context("cannot wait for the program")?;
    if !status.success() {
        bail!("the program ended with {status}");
    }
    let mut found = Places::new();
    readers::kcat(&cluster.bootstrap(), client, |record| {
        found.insert((record.partition, record.offset), record.value.to_owned());
    })?;
    compare(&acked, &found, count)
}

/// Whether `found` is what was acked, and all numbers below `count` are there once.
fn compare(acked: &Places, found: &Places, count: u64) -> anyhow::Result<usize> {
    if acked != found {
        let lost = acked
            .iter()
            .filter(|(place, value)| found.get(place) != Some(value));
        let more = found.iter().filter(|(place, _)| !acked.contains_key(place));
        bail!(
            "{} acked records are not where they should be, and {} more are there",
            lost.count(),
            more.count()
        );
    }
    let mut numbers: Vec<u64> = found
        .values()
        .map(|value| value.parse())
        .collect::<Result<_, _>>()
        .context("a value that is no number")?;
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(0..count) {
        bail!(
            "{} records are there, and not each of {count} once",
            numbers.len()
        );
    }
    Ok(numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(values: &[&str]) -> Places {
        (0..)
            .zip(values)
            .map(|(offset, value)| ((0, offset), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn planted_bugs_are_caught() {
        let good = places(&["0", "1", "2"]);
        assert_eq!(compare(&good, &good, 3).expect("nothing is wrong"), 3);
        for (acked, found) in [
            (&["0", "1", "2"][..], &["0", "1"][..]),
            (&["0", "1"], &["0", "1", "2"]),
            (&["0", "1", "2"], &["0", "2", "1"]),
            (&["0", "1", "1"], &["0", "1", "1"]),
            (&["0", "1"], &["0", "1"]),
        ] {
            assert!(compare(&places(acked), &places(found), 3).is_err(), "{found:?}");
        }
    }
}
