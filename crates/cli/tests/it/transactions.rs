//! Transactions of `ottla produce` and `ottla perf`, as a reader of committed records sees them.

use crate::support::{Broker, Run, kcat, run, send};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// The values that kcat, which reads committed records only, finds in a topic of one partition's records.
fn committed(broker: &Broker, topic: &str) -> Option<Vec<String>> {
    let dump = kcat(broker, topic)?;
    let value = |line: &[u8]| {
        let record: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        record["payload"].as_str().expect("a text").to_owned()
    };
    let lines = dump.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    Some(lines.map(value).collect())
}

#[test]
fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    let broker = Broker::start();
    let flags = ["-t", "t", "-p", "0", "-X", "transactional.id=x"];
    let with =
        |more: &[&str], input: &str| send(&broker, &[flags.as_slice(), more].concat(), input.as_bytes());
    with(&["--txn-records", "2"], "a\nb\nc\nd\ne\n").ends(0, "5 sent, 0 failed\n");
    with(&[], "f\n").ends(0, "1 sent, 0 failed\n");
    // One line is wrong: nothing of a load that is one transaction is seen.
    with(
        &["--input", "json"],
        "{\"payload\":\"no\"}\n{\"payload\":\"no\"}\nno\n",
    )
    .ends(3, "error: line 3: not JSON")
    .ends(
        3,
        "the transaction is aborted; readers of committed records do not see its 2 records (0 were committed",
    );
    // Only the transaction that is open is lost.
    with(
        &["--input", "json", "--txn-records", "1"],
        "{\"payload\":\"g\"}\nno\n",
    )
    .ends(3, "error: line 2: not JSON");
    let Some(seen) = committed(&broker, "t") else {
        return;
    };
    assert_eq!(seen, ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn an_interrupt_aborts() {
    let broker = Broker::start();
    let flags = [
        "produce",
        "-b",
        &broker.address,
        "-t",
        "t",
        "-X",
        "transactional.id=x",
        "--output",
        "json",
    ];
    let mut program = Command::new(env!("CARGO_BIN_EXE_ottla"))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = program.stdin.take().expect("piped");
    input.write_all(b"one\ntwo\n").expect("written");
    let mut output = BufReader::new(program.stdout.take().expect("piped"));
    let mut lines = String::new();
    for _ in 0..2 {
        output.read_line(&mut lines).expect("a line");
    }
    let kill = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status();
    assert!(kill.expect("kill runs").success());
    let ended = Run::from(program.wait_with_output().expect("the program ends"));
    ended
        .ends(130, "the transaction is aborted")
        .ends(130, "2 sent, 0 failed\n");
    drop(input);
    let Some(seen) = committed(&broker, "t") else {
        return;
    };
    assert_eq!(seen, [""; 0]);
}

#[test]
fn perf_commits_after_a_while() {
    let broker = Broker::start();
    let flags = [
        "perf",
        "-b",
        &broker.address,
        "-t",
        "t",
        "--num-records",
        "300",
        "--payload-monotonic",
    ];
    let with = |more: &[&str]| run(&[flags.as_slice(), more].concat(), "");
    let ran = with(&["--throughput", "1000", "--transaction-duration-ms", "50"]);
    assert!(
        ran.ends(0, "").stdout.starts_with("300 records sent, "),
        "{}",
        ran.stdout
    );
    with(&["--transactional-id", "x"]).ends(0, "");
    let Some(seen) = committed(&broker, "t") else {
        return;
    };
    assert_eq!(seen.len(), 600);
}

#[test]
fn what_does_not_go_together_is_refused() {
    run(&["produce", "-b", "a:1", "-t", "t", "--txn-records", "1"], "")
        .ends(2, "needs -X transactional.id=ID");
    run(
        &[
            "verifiable",
            "-b",
            "a:1",
            "-t",
            "t",
            "-X",
            "transactional.id=x",
            "-X",
            "retries=1",
        ],
        "",
    )
    .ends(2, "sends without transactions");
}
