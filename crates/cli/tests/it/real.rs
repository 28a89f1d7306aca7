//! `ottla produce` into a real Kafka, whose address `OTTLA_KAFKA_BOOTSTRAP` holds, read back with kcat.

use crate::support::run;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The broker's address; `None`, said loudly, if there is none, and never with `CI` set.
pub(crate) fn broker() -> Option<String> {
    let in_ci = std::env::var_os("CI").is_some();
    let Ok(broker) = std::env::var("OTTLA_KAFKA_BOOTSTRAP") else {
        assert!(
            !in_ci,
            "with CI set, OTTLA_KAFKA_BOOTSTRAP must hold a broker's address"
        );
        println!("SKIPPED: OTTLA_KAFKA_BOOTSTRAP holds no address of a real Kafka");
        return None;
    };
    let has_kcat = Command::new("kcat")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !has_kcat {
        assert!(!in_ci, "with CI set, kcat must be there");
        println!("SKIPPED: there is no kcat");
        return None;
    }
    Some(broker)
}

/// A name that no other test and no other run has.
pub(crate) fn topic(name: &str) -> String {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    format!("ottla-cli-{name}-{}-{nanos}", std::process::id())
}

/// Every record of the topic as kcat sees it, by partition and offset.
pub(crate) fn read(broker: &str, topic: &str) -> Vec<serde_json::Value> {
    let output = Command::new("kcat")
        .args([
            "-C",
            "-e",
            "-q",
            "-J",
            "-o",
            "beginning",
            "-b",
            broker,
            "-t",
            topic,
        ])
        .stdin(Stdio::null())
        .output()
        .expect("kcat runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    records.sort_by_key(|record| (record["partition"].as_i64(), record["offset"].as_i64()));
    records
}

#[test]
fn lines_arrive_where_the_report_says() {
    let Some(broker) = broker() else { return };
    let topic = topic("lines");
    let input: String = (1..=5_000)
        .map(|n| format!("key{}\tvalue {n}\n", n % 97))
        .collect();
    let sent = run(
        &[
            "produce", &topic, "-b", &broker, "-K", "\\t", "--output", "json", "-z", "lz4",
        ],
        &input,
    );
    sent.ends(0, "5000 sent, 0 failed\n");
    let reported = sent.json();
    let read = read(&broker, &topic);
    assert_eq!((reported.len(), read.len()), (5_000, 5_000));
    let at = |record: &serde_json::Value| (record["partition"].as_i64(), record["offset"].as_i64());
    let by_place: BTreeMap<_, _> = read.iter().map(|record| (at(record), record)).collect();
    for (index, report) in reported.iter().enumerate() {
        assert_eq!(report["line"], index + 1);
        assert_eq!(report["topic"], topic.as_str());
        let found = by_place
            .get(&at(report))
            .unwrap_or_else(|| panic!("nothing at {report}"));
        let n = index + 1;
        assert_eq!(
            (&found["key"], &found["payload"]),
            (&format!("key{}", n % 97).into(), &format!("value {n}").into())
        );
        assert_eq!(found["ts"], report["timestamp"]);
    }
}

#[test]
fn flags_shape_the_record() {
    let Some(broker) = broker() else { return };
    let topic = topic("flags");
    let flags = ["produce", "-t", &topic, "-b", &broker, "-q", "-p", "0"];
    let with = |more: &[&str], input: &str| {
        let run = run(&[flags.as_slice(), more].concat(), input);
        assert_eq!(run.ends(0, "").stderr, "");
    };
    with(
        &[
            "-k",
            "fixed",
            "-K",
            ":",
            "-Z",
            "-D",
            ";",
            "--timestamp",
            "1700000000000",
        ],
        "a:b;c;:d;e:",
    );
    with(
        &["-H", "h=v", "-H", "n", "-H", "h:w", "--null-marker", "NULL"],
        "NULL\nx",
    );
    with(&["-c", "2"], "1\n2\n3\n");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "two\nlines\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    with(&[file], "");
    with(&["-l", file], "");
    let records = read(&broker, &topic);
    let shown: Vec<_> = records
        .iter()
        .map(|record| (record["key"].as_str(), record["payload"].as_str()))
        .collect();
    let expected = [
        (Some("a"), Some("b")),
        (Some("fixed"), Some("c")),
        (None, Some("d")),
        (Some("e"), None),
        (None, None),
        (None, Some("x")),
        (None, Some("1")),
        (None, Some("2")),
        (None, Some("two\nlines\n")),
        (None, Some("two")),
        (None, Some("lines")),
    ];
    assert_eq!(shown, expected);
    assert_eq!(records[0]["ts"], 1_700_000_000_000_i64);
    assert_eq!(
        records[5]["headers"],
        serde_json::json!(["h", "v", "n", null, "h", "w"])
    );
}

/// Standard input stays open: what was read is acknowledged and told, and the program ends with 130.
#[test]
fn an_interrupt_sends_what_was_read() {
    let Some(broker) = broker() else { return };
    let topic = topic("interrupt");
    let mut program = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .args(["produce", &topic, "-b", &broker, "--output", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = program.stdin.take().expect("piped");
    input.write_all(b"one\ntwo\nthr").expect("written");
    let mut output = std::io::BufReader::new(program.stdout.take().expect("piped"));
    // Lines are told as they are acknowledged, though the input has not ended.
    let mut lines = String::new();
    for _ in 0..2 {
        std::io::BufRead::read_line(&mut output, &mut lines).expect("a line");
    }
    let status = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());
    let ended = crate::support::Run::from(program.wait_with_output().expect("the program ends"));
    ended.ends(130, "2 sent, 0 failed\n");
    drop(input);
    let payloads: Vec<_> = read(&broker, &topic)
        .iter()
        .map(|record| record["payload"].clone())
        .collect();
    assert_eq!(payloads, ["one", "two"]);
}

/// The reader of the report goes away after the first line; all records are sent all the same, and quietly.
#[test]
fn a_closed_pipe_is_no_error() {
    let Some(broker) = broker() else { return };
    let topic = topic("pipe");
    let mut program = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .args(["produce", &topic, "-b", &broker, "--output", "json", "-p", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(program.stdout.take());
    let mut input = program.stdin.take().expect("piped");
    let text: String = (0..50_000).map(|n| format!("{n}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let ended = crate::support::Run::from(program.wait_with_output().expect("the program ends"));
    writer.join().expect("no panic").expect("everything is read");
    ended.ends(0, "");
    assert_eq!(ended.stderr, "50000 sent, 0 failed\n");
    assert_eq!(read(&broker, &topic).len(), 50_000);
}

#[test]
fn a_partition_that_is_not_there_ends_with_1() {
    let Some(broker) = broker() else { return };
    let topic = topic("partition");
    run(&["produce", &topic, "-b", &broker], "a\n").ends(0, "1 sent, 0 failed\n");
    let flags = [
        "produce",
        &topic,
        "-b",
        &broker,
        "-p",
        "4000",
        "-X",
        "max.block.ms=1000",
    ];
    run(&flags, "a\nb\n")
        .ends(1, "there is no partition 4000")
        .ends(1, "0 sent, 1 failed\n");
}
