//! `ottla config`.

use crate::support::{ottla, run};
use std::fs;

#[test]
fn list_shows_every_key() {
    let list = run(&["config", "list", "--output", "json"], "");
    let keys = list.ends(0, "").json();
    assert_eq!(keys.len(), 113);
    assert!(
        keys.iter()
            .any(|key| key["name"] == "linger.ms" && key["type"] == "long" && key["default"] == "5")
    );
    let text = run(&["config", "list", "backoff"], "");
    assert!(
        text.stdout.contains("retry.backoff.ms\n") && !text.stdout.contains("linger.ms"),
        "{}",
        text.stdout
    );
}

/// Written by `ottla config list --output markdown`.
#[test]
fn reference_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let committed = fs::read_to_string(path).expect("docs/configuration.md");
    let list = run(&["config", "list", "--output", "markdown"], "");
    assert!(
        list.stdout == committed,
        "docs/configuration.md is old: ottla config list --output markdown > {path}"
    );
}

#[test]
fn dump_reads_back_and_says_where_values_come_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("producer.properties");
    fs::write(
        &file,
        "bootstrap.servers=a:1\nclient.id=\\u00e9 \\\\\nbatch.size=1\n",
    )
    .expect("written");
    let file = file.to_str().expect("UTF-8");
    let dump = ottla(&[
        "config",
        "dump",
        "-F",
        file,
        "-X",
        "batch.size=2",
        "-X",
        "reconnect.backoff.ms=70",
    ])
    .env("OTTLA_CONFIG_LINGER_MS", "9")
    .env("OTTLA_CONFIG_BATCH_SIZE", "3")
    .output();
    let dump = crate::support::Run::from(dump.expect("the program starts"));
    dump.ends(0, "");
    for part in [
        "# environment OTTLA_CONFIG_LINGER_MS\nlinger.ms=9\n",
        "# -X\nbatch.size=2\n",
        "producer.properties:2\nclient.id=\\u00E9 \\\\\n",
        "# follows reconnect.backoff.ms, which alone is set\nreconnect.backoff.max.ms=70\n",
    ] {
        assert!(dump.stdout.contains(part), "{part} is not in {}", dump.stdout);
    }
    let set = run(&["config", "dump", "--set", "-F", file], "");
    assert_eq!(
        set.stdout.lines().filter(|line| !line.starts_with('#')).count(),
        3,
        "{}",
        set.stdout
    );
    let again = folder.path().join("again.properties");
    fs::write(&again, &set.stdout).expect("written");
    let again = run(
        &["config", "dump", "--set", "-F", again.to_str().expect("UTF-8")],
        "",
    );
    let values = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&again.stdout), values(&set.stdout));
}

#[test]
fn check_reports_everything() {
    let check = run(
        &[
            "config",
            "check",
            "-X",
            "acks=2",
            "-X",
            "lingr.ms=5",
            "-X",
            "max.in.flight=7",
            "-X",
            "ssl.key.password=canary",
        ],
        "",
    );
    check.ends(2, "error: -X: acks=2: expected one of all, -1, 0, 1\n");
    check.ends(2, "error: -X: lingr.ms: unknown key; did you mean linger.ms?\n");
    check.ends(2, "while enable.idempotence is true by default");
    check.ends(
        2,
        "warning: -X: max.in.flight: librdkafka's name for max.in.flight.requests.per.connection\n",
    );
    check.ends(2, "note: bootstrap.servers: is not set");
    assert!(!check.stderr.contains("canary") && check.stdout.is_empty());
    assert_eq!(
        run(&["config", "check", "-X", "linger.ms=5"], "")
            .ends(0, "")
            .stdout,
        "ok: 1 key set, 0 warnings\n"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.properties");
    fs::write(&file, "# one\nlinger.ms = \\\n  soon\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    run(&["config", "check", file], "").ends(2, "bad.properties:2: linger.ms=soon: expected a whole number");
    run(&["config", "check", "/nowhere.properties"], "")
        .ends(2, "cannot read the configuration /nowhere.properties");
}
