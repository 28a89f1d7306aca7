//! `ottla produce` where no broker is needed: usage, configuration, input, and a broker that is not there.

use crate::support::run;
use std::fs;

/// An address that nobody listens on: a port that only root could bind, and that no service uses any more (tcpmux).
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn bad_usage_ends_with_2() {
    run(&[], "").ends(2, "Usage: ottla");
    run(&["produce", "-b", "a:1"], "").ends(2, "no topic");
    run(&["produce", "t", "--no-such-flag"], "").ends(2, "--no-such-flag");
    run(&["produce", "t", "-p", "-1"], "").ends(2, "-1");
    run(&["produce", "t", "-p", "x"], "").ends(2, "invalid digit");
    run(&["produce", "t", "-K", "\\q"], "").ends(2, "unknown escape");
    run(&["produce", "t", "-K", ""], "").ends(2, "");
    run(&["produce", "t", "--rate", "0"], "").ends(2, "above 0");
    run(&["produce", "t", "-z", "brotli"], "").ends(2, "none, gzip, snappy, lz4 or zstd");
    run(&["produce", "t", "-z", "gzip:10"], "").ends(2, "1 to 9");
    run(&["produce", "t", "-b", "a:1", "--partitioner", "dice"], "")
        .ends(2, "--partitioner: partitioner.class=dice");
    run(&["produce", "t", "-X", "list"], "").ends(2, "ottla config list");
    run(&["produce", "t", "-H", "=v"], "").ends(2, "name");
    run(&["--help"], "").ends(0, "");
    run(&["produce", "--version"], "").ends(2, "");
}

#[test]
fn bad_configuration_ends_with_2() {
    run(&["produce", "t"], "").ends(2, "bootstrap.servers: is not set");
    run(&["produce", "t", "-b", "localhost"], "").ends(2, "-b: bootstrap.servers: \"localhost\" has no port");
    run(&["produce", "t", "-b", "a:1", "-X", "lingr.ms=5"], "").ends(2, "did you mean linger.ms?");
    run(&["produce", "t", "-b", "a:1", "--acks", "2"], "").ends(2, "--acks: acks=2");
    run(
        &[
            "produce",
            "t",
            "-b",
            "a:1",
            "-X",
            "config.providers=vault",
            "-X",
            "config.providers.vault.class=x.Vault",
        ],
        "",
    )
    .ends(2, "config.providers.vault.class: is Java code");
    run(&["produce", "t", "-b", "a:1", "-F", "/nowhere"], "")
        .ends(2, "cannot read the configuration /nowhere");
}

#[test]
fn input_that_is_not_there_ends_with_3() {
    let missing = run(&["produce", "t", "-b", "127.0.0.1:1", "/nowhere"], "");
    missing.ends(3, "error: cannot read /nowhere: No such file");
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);
    run(&["produce", "t", "-b", "127.0.0.1:1", "/"], "").ends(3, "it is a directory");
}

#[test]
fn a_broker_that_is_not_there_ends_with_1() {
    let flags = ["produce", "t", "-b", NOBODY, "-X", "max.block.ms=300"];
    let refused = run(&flags, "a\nb\nc\n");
    refused
        .ends(1, "error: line 1: ")
        .ends(1, "max.block.ms")
        .ends(1, "0 sent, 1 failed\n");
    // It tried several times, and says why it waits once.
    let why = "warning: 127.0.0.1:1: cannot connect: Connection refused";
    assert!(refused.stderr.starts_with(why), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 3, "{}", refused.stderr);

    let json = run(
        &[flags.as_slice(), &["--output", "json", "-q"]].concat(),
        "a\nb\n",
    );
    let lines = json.ends(1, "error: line 1: ").json();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["line"], &lines[0]["topic"]), (&1.into(), &"t".into()));
    assert_eq!(lines[0]["persistence"], "not persisted");
    assert!(!json.stderr.contains("sent"), "{}", json.stderr);
}

#[test]
fn nothing_to_send_is_no_failure() {
    run(&["produce", "t", "-b", NOBODY], "").ends(0, "0 sent, 0 failed\n");
    run(&["produce", "t", "-b", NOBODY, "-c", "0"], "a\nb\n").ends(0, "0 sent, 0 failed\n");
}

/// Records that can never be sent fail one by one; they need no broker to be found out.
#[test]
fn records_that_are_too_large_fail_for_themselves() {
    let long = "x".repeat(2_000);
    let input = format!("{long}\n{long}\n");
    let flags = [
        "produce",
        "t",
        "-b",
        NOBODY,
        "-X",
        "max.request.size=1000",
        "--output",
        "json",
    ];
    let run_ = run(&flags, &input);
    assert_eq!(run_.ends(1, "0 sent, 2 failed").json().len(), 2);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("large");
    fs::write(&file, &long).expect("written");
    let whole = run(&[flags.as_slice(), &[file.to_str().expect("UTF-8")]].concat(), "");
    let lines = whole.ends(1, "0 sent, 1 failed").json();
    assert!(
        lines[0]["error"]
            .as_str()
            .expect("a text")
            .contains("max.request.size=1000"),
        "{}",
        lines[0]
    );
}
