//! Real clients, unmodified: kcat (librdkafka) and Java's, against a cluster of three over TCP.
//!
//! kcat has to be on the path; Java's jars are in the folder that `OTTLA_KAFKA_LIB` names. Where one is missing its tests
//! say `SKIPPED:`, and with `CI` set they fail.

use ottla_broker::{Isolation, Pose, TestCluster};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI is set, and {what}");
    println!("SKIPPED: {what}");
}

fn has_kcat() -> bool {
    let found = Command::new("kcat")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        missing("there is no kcat");
    }
    found
}

fn jars() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("OTTLA_KAFKA_LIB") else {
        missing("OTTLA_KAFKA_LIB does not name a folder with Kafka's jars");
        return None;
    };
    Some(PathBuf::from(folder))
}

fn cluster(pose: Pose) -> TestCluster {
    TestCluster::builder()
        .brokers(3)
        .pose(pose)
        .start_blocking()
        .expect("free ports")
}

/// Runs a program to its end; what it prints.
pub(crate) fn run(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{errors}",
        output.status
    );
    text
}

fn kcat(cluster: &TestCluster, arguments: &[&str], input: &str) -> String {
    run(
        Command::new("kcat")
            .args(["-b", &cluster.bootstrap_servers()])
            .args(arguments),
        input,
    )
}

fn java(jars: &Path, class: &str, arguments: &[&str], input: &str) -> String {
    let class_path = jars.join("*");
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(class_path)
        .arg(class)
        .args(arguments);
    run(&mut command, input)
}

fn lines(count: usize) -> String {
    (0..count)
        .map(|index| format!("key-{index}:value {index}\n"))
        .collect()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn kcat_produces_with_every_codec_and_consumes() {
    if !has_kcat() {
        return;
    }
    for pose in [Pose::V2_1, Pose::V2_8, Pose::V3_9, Pose::V4_0, Pose::V4_3] {
        let cluster = cluster(pose);
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            kcat(&cluster, &["-P", "-t", codec, "-K:", "-z", codec], &lines(200));
            let read = kcat(&cluster, &["-C", "-t", codec, "-e", "-q", "-K:"], "");
            assert_eq!(sorted(&read), sorted(&lines(200)), "{pose:?} {codec}");
        }
    }
}

#[test]
fn kcat_is_idempotent_and_transactional() {
    if !has_kcat() {
        return;
    }
    let cluster = cluster(Pose::V4_3);
    let idempotent = ["-P", "-t", "idempotent", "-X", "enable.idempotence=true"];
    kcat(&cluster, &idempotent, &lines(500));
    assert_eq!(cluster.records("idempotent", 0).len(), 500);
    let transactional = ["-P", "-t", "transactional", "-X", "transactional.id=kcat"];
    kcat(&cluster, &transactional, &lines(500));
    assert_eq!(cluster.committed_records("transactional", 0).len(), 500);
    let transaction = cluster.cluster().transaction("kcat");
    let state = transaction.map(|transaction| transaction.state);
    assert_eq!(state, Some("CompleteCommit"));
}

#[test]
fn kcat_consumes_as_a_group() {
    if !has_kcat() {
        return;
    }
    let cluster = cluster(Pose::V4_3);
    kcat(&cluster, &["-P", "-t", "grouped"], &lines(50));
    let group = [
        "-G",
        "g",
        "-X",
        "auto.offset.reset=earliest",
        "-e",
        "-q",
        "grouped",
    ];
    assert_eq!(sorted(&kcat(&cluster, &group, "")), sorted(&lines(50)));
    assert_eq!(cluster.cluster().committed_offset("g", "grouped", 0), Some(50));
    assert_eq!(kcat(&cluster, &group, ""), "", "everything was committed");
}

#[test]
fn java_s_tools_create_describe_and_delete_topics() {
    let Some(jars) = jars() else { return };
    let cluster = cluster(Pose::V4_3);
    let servers = cluster.bootstrap_servers();
    let topics = |arguments: &[&str]| {
        let mut all = vec!["--bootstrap-server", &servers];
        all.extend(arguments);
        java(&jars, "org.apache.kafka.tools.TopicCommand", &all, "")
    };
    topics(&[
        "--create",
        "--topic",
        "made",
        "--partitions",
        "4",
        "--config",
        "max.message.bytes=2000",
    ]);
    topics(&["--alter", "--topic", "made", "--partitions", "6"]);
    let described = topics(&["--describe", "--topic", "made"]);
    assert!(
        described.contains("PartitionCount: 6") && described.contains("max.message.bytes=2000"),
        "{described}"
    );
    assert_eq!(cluster.cluster().partition_count("made"), Some(6));
    topics(&["--delete", "--topic", "made"]);
    assert_eq!(cluster.cluster().partition_count("made"), None);
}

#[test]
fn java_s_console_produces_and_consumes_also_committed_and_as_a_group() {
    let Some(jars) = jars() else { return };
    let cluster = cluster(Pose::V4_3);
    let servers = cluster.bootstrap_servers();
    let producer = [
        "--bootstrap-server",
        &servers,
        "--topic",
        "t",
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=:",
    ];
    java(
        &jars,
        "org.apache.kafka.tools.ConsoleProducer",
        &producer,
        &lines(300),
    );
    let mut consumer = vec![
        "--bootstrap-server",
        &servers,
        "--topic",
        "t",
        "--from-beginning",
        "--max-messages",
        "300",
    ];
    consumer.extend(["--isolation-level", "read_committed", "--group", "console"]);
    consumer.extend([
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "key.separator=:",
    ]);
    let read = java(
        &jars,
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &consumer,
        "",
    );
    assert_eq!(sorted(&read), sorted(&lines(300)));
    let groups = ["--bootstrap-server", &servers, "--describe", "--group", "console"];
    let described = java(
        &jars,
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        &groups,
        "",
    );
    assert!(described.contains("console"), "{described}");
}

#[test]
fn java_s_verifiable_producer_is_acked_for_what_is_in_the_log() {
    let Some(jars) = jars() else { return };
    for pose in [Pose::V2_1, Pose::V2_8, Pose::V3_9, Pose::V4_0, Pose::V4_3] {
        let cluster = cluster(pose);
        let servers = cluster.bootstrap_servers();
        let arguments = [
            "--bootstrap-server",
            &servers,
            "--topic",
            "t",
            "--max-messages",
            "200",
        ];
        let printed = java(&jars, "org.apache.kafka.tools.VerifiableProducer", &arguments, "");
        let acked = printed
            .lines()
            .filter(|line| line.contains("producer_send_success"))
            .count();
        assert_eq!(acked, 200, "{pose:?}: {printed}");
        let mut cluster = cluster.cluster();
        let records = cluster
            .records("t", 0, Isolation::ReadUncommitted)
            .expect("a partition");
        let values: BTreeSet<_> = records.iter().map(|record| record.value.clone()).collect();
        assert_eq!((records.len(), values.len()), (200, 200), "{pose:?}");
    }
}

#[test]
fn java_s_performance_producer_writes_transactions() {
    let Some(jars) = jars() else { return };
    for pose in [Pose::V2_8, Pose::V3_9, Pose::V4_3] {
        let cluster = cluster(pose);
        let property = format!("bootstrap.servers={}", cluster.bootstrap_servers());
        let mut arguments = vec![
            "--topic",
            "t",
            "--num-records",
            "5000",
            "--record-size",
            "100",
            "--throughput",
            "-1",
        ];
        arguments.extend([
            "--transaction-duration-ms",
            "50",
            "--transactional-id",
            "perf",
            "--command-property",
            &property,
        ]);
        let printed = java(
            &jars,
            "org.apache.kafka.tools.ProducerPerformance",
            &arguments,
            "",
        );
        assert!(printed.contains("5000 records sent"), "{pose:?}: {printed}");
        assert_eq!(cluster.committed_records("t", 0).len(), 5_000, "{pose:?}");
    }
}

#[test]
fn java_s_copier_moves_records_and_offsets_in_one_transaction() {
    let Some(jars) = jars() else { return };
    for pose in [Pose::V3_9, Pose::V4_3] {
        let cluster = cluster(pose);
        let servers = cluster.bootstrap_servers();
        let from = [
            "--bootstrap-server",
            &servers,
            "--topic",
            "from",
            "--max-messages",
            "300",
        ];
        java(&jars, "org.apache.kafka.tools.VerifiableProducer", &from, "");
        let mut copier = vec![
            "--broker-list",
            &servers,
            "--input-topic",
            "from",
            "--input-partition",
            "0",
        ];
        copier.extend([
            "--output-topic",
            "to",
            "--max-messages",
            "300",
            "--consumer-group",
            "copiers",
        ]);
        copier.extend([
            "--transaction-size",
            "70",
            "--transactional-id",
            "copier",
            "--use-group-metadata",
        ]);
        java(
            &jars,
            "org.apache.kafka.tools.TransactionalMessageCopier",
            &copier,
            "",
        );
        let values = |topic: &str| -> Vec<_> {
            cluster
                .committed_records(topic, 0)
                .into_iter()
                .map(|record| record.value)
                .collect()
        };
        assert_eq!(values("to"), values("from"), "{pose:?}");
        assert_eq!(
            cluster.cluster().committed_offset("copiers", "from", 0),
            Some(300),
            "{pose:?}"
        );
    }
}
