//! Clients of other makers, as programs of their own (`tests/clients`): rdkafka and franz-go, unmodified.
//!
//! Each produces with every codec, idempotent and in transactions, reads everything back as a group, and checks it. What
//! they need is cargo and librdkafka's development files, or Go; where that is missing they say `SKIPPED:`, and with `CI`
//! set they fail.

use crate::clients::{missing, run};
use ottla_broker::TestCluster;
use std::path::{Path, PathBuf};
use std::process::Command;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// What the programs send: to each codec's topic, and in transactions.
const RECORDS: usize = 300;
const COMMITTED: usize = 200;
const ABORTED: usize = 100;
const PARTITIONS: i32 = 2;

fn source(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(client)
}

fn output(client: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(client)
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Lets a client do what it does, and looks into the logs and at the group.
fn check(program: &Path, name: &str) {
    for brokers in [1, 3] {
        let topics = CODECS.into_iter().chain(["transactional"]);
        let mut builder = TestCluster::builder().brokers(brokers);
        for topic in topics.clone() {
            builder = builder.topic(topic, PARTITIONS);
        }
        let cluster = builder.start_blocking().expect("free ports");
        let printed = run(Command::new(program).arg(cluster.bootstrap_servers()), "");
        let read = CODECS.len() * RECORDS + COMMITTED;
        assert_eq!(printed.trim(), format!("{read} records"), "{name}");
        for topic in topics {
            let count = |committed: bool| -> usize {
                let records = |partition| {
                    if committed {
                        cluster.committed_records(topic, partition)
                    } else {
                        cluster.records(topic, partition)
                    }
                };
                (0..PARTITIONS).map(|partition| records(partition).len()).sum()
            };
            let expected = if topic == "transactional" {
                (COMMITTED + ABORTED, COMMITTED)
            } else {
                (RECORDS, RECORDS)
            };
            assert_eq!((count(false), count(true)), expected, "{name} {topic}");
            let cluster = cluster.cluster();
            for partition in 0..PARTITIONS {
                let end = cluster
                    .partition_state(topic, partition)
                    .expect("a partition")
                    .log_end;
                let committed = cluster.committed_offset(name, topic, partition).unwrap_or(0);
                // A client may leave the last markers out.
                assert!(
                    (0..=2).contains(&(end - committed)) || (topic == "transactional" && committed > 0),
                    "{name} {topic} {partition}: {committed} of {end}"
                );
            }
        }
        let state = cluster
            .cluster()
            .transaction(name)
            .map(|transaction| transaction.state);
        assert_eq!(state, Some("CompleteAbort"), "{name}");
    }
}

#[test]
fn rdkafka_produces_and_consumes() {
    if !succeeds(Command::new("pkg-config").args(["--exists", "rdkafka"])) {
        return missing("there is no librdkafka to link with (librdkafka-dev, pkg-config)");
    }
    let target = output("rdkafka");
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(source("rdkafka").join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    run(&mut build, "");
    check(&target.join("debug/ottla-broker-rdkafka"), "rdkafka");
}

#[test]
fn franz_go_produces_and_consumes() {
    let source = source("franz-go");
    // In the module's folder: a newer Go than the installed one may come from there.
    if !succeeds(Command::new("go").args(["list", "-m"]).current_dir(&source)) {
        return missing("there is no Go, or none that is new enough for franz-go");
    }
    let program = output("franz-go");
    let mut build = Command::new("go");
    build
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source);
    run(&mut build, "");
    check(&program, "franz-go");
}
