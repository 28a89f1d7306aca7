//! `ottla verifiable`: the lines of Java's kafka-verifiable-producer.

use crate::java::Java;
use crate::support::{Run, ottla, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

/// The lines by name, in the order of the first of each.
fn by_name(lines: &[Value]) -> BTreeMap<&str, Vec<&Value>> {
    let mut names: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in lines {
        names
            .entry(line["name"].as_str().expect("a name"))
            .or_default()
            .push(line);
    }
    names
}

/// The names of the fields.
fn fields(line: &Value) -> BTreeSet<&str> {
    line.as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn each_number_is_told_with_its_place() {
    let sent = run(
        &[
            "verifiable",
            "-b",
            "embedded",
            "--topic",
            "t",
            "--max-messages",
            "5000",
            "--repeating-keys",
            "97",
            "--value-prefix",
            "7",
            "--value-bytes",
            "20",
        ],
        "",
    );
    let lines = sent.ends(0, "").json();
    assert_eq!(sent.stderr, "");
    assert_eq!(lines[0]["name"], "startup_complete");
    assert_eq!(lines[lines.len() - 2]["name"], "shutdown_complete");
    let tool = &lines[lines.len() - 1];
    assert_eq!(tool["name"], "tool_data");
    assert_eq!((&tool["sent"], &tool["acked"]), (&5_000.into(), &5_000.into()));
    let successes = &by_name(&lines)["producer_send_success"];
    assert_eq!(successes.len(), 5_000);
    let mut places = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for success in successes {
        let value = success["value"].as_str().expect("a text");
        assert_eq!(value.len(), 20, "{value}");
        let number: u64 = value[2..]
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number");
        assert!(value.starts_with(&format!("7.{number} 7.{number}")), "{value}");
        assert_eq!(success["key"], (number % 97).to_string());
        assert!(
            seen.insert(number) && places.insert((success["partition"].as_i64(), success["offset"].as_i64()))
        );
    }
}

#[test]
fn failures_say_their_persistence_and_end_with_1() {
    let failed = run(
        &[
            "verifiable",
            "-b",
            "127.0.0.1:1",
            "--topic",
            "t",
            "--max-messages",
            "2",
            "-X",
            "max.block.ms=200",
        ],
        "",
    );
    let lines = failed.ends(1, "").json();
    let errors = &by_name(&lines)["producer_send_error"];
    assert_eq!(errors.len(), 2);
    for error in errors {
        assert_eq!(
            error["exception"],
            "class org.apache.kafka.common.errors.TimeoutException"
        );
        assert_eq!(error["persistence"], "not persisted");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| message.contains("max.block.ms"))
        );
    }
    assert_eq!(errors[1]["value"], "1");
}

#[test]
fn without_retries_as_java_unless_the_configuration_says_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("p.properties");
    std::fs::write(&file, "acks=1\nretries=5\nenable.idempotence=true\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let flags = [
        "verifiable",
        "-b",
        "embedded",
        "--topic",
        "t",
        "--max-messages",
        "1",
    ];
    // The file wins over the flag: acks=1 cannot be idempotent.
    run(
        &[flags.as_slice(), &["--acks", "-1", "--command-config", file]].concat(),
        "",
    )
    .ends(2, "needs acks=all, not 1");
    run(
        &[flags.as_slice(), &["-X", "enable.idempotence=true"]].concat(),
        "",
    )
    .ends(2, "retries");
    run(&flags, "").ends(0, "");
    run(&[flags.as_slice(), &["--acks", "2"]].concat(), "").ends(2, "--acks");
    run(&[flags.as_slice(), &["--acks", "0"]].concat(), "").ends(0, "");
}

/// An interrupt ends it in order: what was sent is told, and the last lines come.
#[test]
fn an_interrupt_ends_it_in_order() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .args([
            "verifiable",
            "-b",
            "embedded",
            "--topic",
            "t",
            "--throughput",
            "1000",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut output = std::io::BufReader::new(program.stdout.take().expect("piped"));
    let mut first = String::new();
    for _ in 0..20 {
        std::io::BufRead::read_line(&mut output, &mut first).expect("a line");
    }
    let status = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());
    std::io::Read::read_to_string(&mut output, &mut first).expect("the rest");
    let ended = Run::from(program.wait_with_output().expect("the program ends"));
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let lines: Vec<Value> = first
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let acked = by_name(&lines)["producer_send_success"].len();
    let tool = lines.last().expect("lines");
    assert_eq!(tool["name"], "tool_data");
    assert_eq!((&tool["sent"], &tool["acked"]), (&acked.into(), &acked.into()));
}

/// Java's own tool and ours, into the same broker: the same names in the same order, and no field of Java's is missing.
#[test]
fn every_field_of_javas_lines_is_there() {
    let Some(java) = Java::find() else { return };
    let topic = crate::real::topic("verifiable");
    let flags = [
        "--bootstrap-server",
        &java.broker,
        "--topic",
        &topic,
        "--max-messages",
        "30",
        "--repeating-keys",
        "3",
        "--value-prefix",
        "7",
        "--acks",
        "-1",
        "--throughput",
        "1000",
        "--message-create-time",
        "1700000000000",
    ];
    let java = java.run("VerifiableProducer", &flags, "");
    let ours = Run::from(
        ottla(&[&["verifiable"], flags.as_slice()].concat())
            .output()
            .expect("ours runs"),
    );
    let (java, ours) = (java.ends(0, "").json(), ours.ends(0, "").json());
    let shape = |lines: &[Value]| -> Vec<(String, Value, Value)> {
        let mut shape: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line["name"].to_string(),
                    line["key"].clone(),
                    line["value"].clone(),
                )
            })
            .collect();
        // Outcomes of several partitions come in any order.
        shape[1..31].sort_by_key(|line| line.2.to_string());
        shape
    };
    assert_eq!(shape(&java), shape(&ours));
    for (java, ours) in java.iter().zip(&ours) {
        assert_eq!(fields(java), fields(ours), "{java} {ours}");
    }
    let partition = |lines: &[Value]| -> BTreeSet<(String, String)> {
        lines[1..31]
            .iter()
            .map(|line| (line["key"].to_string(), line["partition"].to_string()))
            .collect()
    };
    assert_eq!(
        partition(&java),
        partition(&ours),
        "the same keys in the same partitions"
    );
}
