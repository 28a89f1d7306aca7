//! The broker in memory: inside the process, and as a program of its own.

use crate::support::{ottla, run};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn lines_go_into_the_embedded_broker_and_are_read_back() {
    let ran = run(
        &[
            "produce", "-b", "embedded", "-t", "t", "-K", ":", "--output", "json",
        ],
        "a:1\nb:2\na:3\n",
    );
    ran.ends(0, "3 sent, 0 failed").ends(0, "read back 3 records");
    let lines = ran.json();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0]["partition"], lines[2]["partition"],
        "a key keeps its partition"
    );
    assert_eq!(
        lines[2]["offset"],
        lines[0]["offset"].as_i64().expect("a number") + 1
    );
}

#[test]
fn a_broker_of_its_own_serves_until_it_is_told_to_end() {
    let program = ottla(&[]).get_program().to_owned();
    let mut broker = Command::new(program)
        .args([
            "broker",
            "--port",
            "0",
            "--brokers",
            "2",
            "-t",
            "t:3",
            "--kafka-version",
            "3.9",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut address = String::new();
    BufReader::new(broker.stdout.take().expect("piped"))
        .read_line(&mut address)
        .expect("it tells its address");
    let address = address.trim();
    assert_eq!(address.split(',').count(), 2, "{address}");
    let ran = run(
        &["produce", "-b", address, "-t", "t", "--output", "json"],
        "one\ntwo\n",
    );
    ran.ends(0, "2 sent, 0 failed");
    // Killed, so that the test needs no signals; a signal is what the exit code tests of `produce` send.
    broker.kill().expect("it runs");
    broker.wait().expect("it ends");
}

#[test]
fn a_port_that_is_taken_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = taken.local_addr().expect("bound").port().to_string();
    run(&["broker", "--port", &port], "").ends(1, "cannot start");
}
