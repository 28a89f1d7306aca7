//! `cargo xtask test`: everything a fresh machine needs, then all tests, then one line that counts them.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::ops::AddAssign;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::acceptance;
use crate::faults;
use crate::guard::Guard;
use crate::kafka::{self, Cluster};
use crate::maven::{self, Library};
use crate::project;
use crate::security;
use crate::transactions;

/// Names the folder of a Kafka's jars, for tests that run Java's clients.
pub(crate) const LIBRARY_VARIABLE: &str = "OTTLA_KAFKA_LIB";

/// The bootstrap address of a real Kafka, for tests that need one.
const BOOTSTRAP_VARIABLE: &str = "OTTLA_KAFKA_BOOTSTRAP";

/// The folder into which that Kafka writes what clients tell of themselves (KIP-714).
const TELEMETRY_VARIABLE: &str = "OTTLA_KAFKA_TELEMETRY";

/// The folder of that Kafka's files for clients, one for each way in. Its stores and its issuer's keys are beside it.
const CLIENTS_VARIABLE: &str = "OTTLA_KAFKA_CLIENTS";

/// All that tell a test of a real Kafka.
pub(crate) const VARIABLES: [&str; 4] = [
    LIBRARY_VARIABLE,
    BOOTSTRAP_VARIABLE,
    TELEMETRY_VARIABLE,
    CLIENTS_VARIABLE,
];

/// What a test prints, as the start of a line, when it cannot run here. libtest has no word for it and calls it passed.
const SKIPPED: &str = "SKIPPED: ";

/// How many lines of what a failed test said are shown once more at the end.
const KEPT_LINES: usize = 12;

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// `cargo xtask test`.
pub(crate) fn run() -> anyhow::Result<()> {
    let start = Instant::now();
    let report = all()?;
    eprintln!("the tests took {:.1} s", start.elapsed().as_secs_f32());
    let counts = report.counts;
    // Once more where people look: the end.
    for line in &report.failures {
        eprintln!("{line}");
    }
    if project::in_ci() {
        for line in &report.said {
            eprintln!("error: with CI set nothing may be missing, but a test said `{line}`");
        }
    }
    // The last line, whatever happened: scripts read it.
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.skipped
    );
    if counts.failed > 0 || (project::in_ci() && !report.said.is_empty()) {
        return Err(project::Reported.into());
    }
    Ok(())
}

/// Runs all tests, with a real Kafka for those that need one.
fn all() -> anyhow::Result<Counter> {
    // Compiled first: a broker that waits for the compiler takes memory and cycles from it.
    project::run(cargo_test().args(["--no-run"]))?;
    let cluster = real_kafka()?;
    let mut tests = cargo_test();
    tests.args(["--no-fail-fast", "--", "--show-output"]);
    // What is not there must not be there by accident either: a variable of the shell's may name another Kafka.
    for variable in VARIABLES {
        tests.env_remove(variable);
    }
    if let Some(cluster) = &cluster {
        tests
            .env(LIBRARY_VARIABLE, &cluster.library().lib)
            .env(BOOTSTRAP_VARIABLE, cluster.bootstrap());
        if let Some(folder) = cluster.clients() {
            tests.env(CLIENTS_VARIABLE, folder);
        }
        if let Some(folder) = cluster.telemetry() {
            tests.env(TELEMETRY_VARIABLE, folder);
        }
    }
    let mut counter = Counter::default();
    let passed = counted(&mut tests, &mut counter)?;
    let real_kafka = cluster.is_some();
    if let Some(cluster) = &cluster {
        counter.counts += security::short(cluster).unwrap_or_else(|error| cannot_run("ways in", &error));
    }
    drop(cluster);
    if !passed && counter.counts.failed == 0 {
        bail!("`cargo test` failed without a failed test: a test program ended early, or did not compile");
    }
    if real_kafka {
        counter.counts += acceptance::short().unwrap_or_else(|error| cannot_run("acceptance tests", &error));
        counter.counts +=
            transactions::short().unwrap_or_else(|error| cannot_run("campaign of transactions", &error));
        counter.counts += faults::short().unwrap_or_else(|error| cannot_run("campaign of faults", &error));
    }
    Ok(counter)
}

/// The count comes last in any case: scripts wait for it.
fn cannot_run(what: &str, error: &anyhow::Error) -> Counts {
    eprintln!("error: the {what} cannot run: {error:#}");
    Counts {
        failed: 1,
        ..Counts::default()
    }
}

/// All tests of the workspace, those in the documentation too.
fn cargo_test() -> Command {
    let mut command = project::cargo();
    command.args(["test", "--workspace", "--all-features"]);
    command
}

/// The cluster that the tests get; none, said loudly, where a person's machine cannot run it.
fn real_kafka() -> anyhow::Result<Option<Cluster>> {
    let missing = match kafka::java::require().and_then(|()| maven::library(maven::DEFAULT_VERSION)) {
        Ok(Library { .. }) => {
            let options = kafka::Options {
                tls: true,
                sasl: true,
                // It takes a compiler, and not only a Java.
                telemetry: kafka::telemetry::is_possible() || project::in_ci(),
                ..kafka::Options::default()
            };
            return Cluster::start(&options).map(Some);
        }
        Err(missing) => missing,
    };
    if project::in_ci() {
        return Err(missing.context("no real Kafka can run, and with CI set nothing may be missing"));
    }
    eprintln!("\nSKIPPING all tests that need a real Kafka: {missing:#}\n");
    Ok(None)
}

/// Runs `tests`, shows what it prints, and counts; says whether its exit code was 0.
fn counted(tests: &mut Command, counter: &mut Counter) -> anyhow::Result<bool> {
    // A group of its own, so that the guard ends the tests, and what they started, with us.
    let mut child = tests
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("cannot run `cargo test`")?;
    let guard = Guard::over(child.id())?;
    let output = child.stdout.take().context("a pipe that was just asked for")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counter.line(&line);
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    guard.release();
    Ok(status.success())
}

/// Counts tests from what libtest prints with `--show-output`: for each test program the lines `test … ok`, the output
/// of the tests that passed, that of those that failed, and a summary.
#[derive(Debug, Default)]
struct Counter {
    counts: Counts,
    /// The reasons of all tests that could not run.
    said: Vec<String>,
    /// The test whose output is being shown.
    shown: String,
    /// The tests of the running program that said that they could not run.
    skipped: BTreeSet<String>,
    /// From here on the running program shows the output of tests that failed: those are not skipped.
    in_failures: bool,
    /// What tests that failed said, the first lines of each.
    failures: Vec<String>,
    /// How many lines of the test that is shown are in `failures`.
    kept_lines: usize,
}

impl Counter {
    fn line(&mut self, line: &str) {
        if let Some(test) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            test.clone_into(&mut self.shown);
            self.kept_lines = 0;
            self.keep(line);
        } else if line.starts_with(SKIPPED) && !self.in_failures {
            self.skipped.insert(self.shown.clone());
            self.said.push(format!("{}: {line}", self.shown));
        } else if line == "failures:" {
            self.in_failures = true;
        } else if let Some(summary) = line.strip_prefix("test result: ") {
            self.finish(summary);
        } else {
            self.keep(line);
        }
    }

    /// Keeps a line of a test that failed.
    fn keep(&mut self, line: &str) {
        if self.in_failures && !line.is_empty() && self.kept_lines < KEPT_LINES {
            self.kept_lines += 1;
            self.failures.push(line.to_owned());
        }
    }

    /// `ok. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s`
    fn finish(&mut self, summary: &str) {
        let number = |what: &str| {
            let before = summary.split_once(what).map_or("", |(before, _)| before);
            before
                .split_whitespace()
                .next_back()
                .and_then(|word| word.parse::<usize>().ok())
                .unwrap_or(0)
        };
        let skipped = self.skipped.len();
        self.counts += Counts {
            passed: number(" passed;").saturating_sub(skipped),
            failed: number(" failed;"),
            skipped: number(" ignored;") + skipped,
        };
        self.skipped.clear();
        self.shown.clear();
        self.in_failures = false;
        self.kept_lines = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: usize, failed: usize, skipped: usize) {
        let mut counter = Counter::default();
        output.lines().for_each(|line| counter.line(line));
        assert_eq!(
            counter.counts,
            Counts {
                passed,
                failed,
                skipped
            },
            "{output}"
        );
    }

    #[test]
    fn nothing_is_no_tests() {
        check("", 0, 0, 0);
    }

    #[test]
    fn several_programs_add_up() {
        check(
            "test a ... ok\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.00s\n",
            5,
            4,
            1,
        );
    }

    #[test]
    fn a_test_that_says_so_is_skipped_once() {
        check(
            "successes:\n\n\
             ---- kafka::one stdout ----\n\
             SKIPPED: no broker\n\
             SKIPPED: no jars\n\n\
             ---- kafka::two stdout ----\n\
             SKIPPED: no broker\n\n\
             ---- other stdout ----\n\
             this test was not SKIPPED: it ran\n\n\
             test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            5,
            0,
            2,
        );
    }

    #[test]
    fn a_failed_test_is_not_skipped() {
        check(
            "failures:\n\n\
             ---- kafka::one stdout ----\n\
             SKIPPED: no broker\n\
             thread 'kafka::one' panicked: CI is set\n\n\
             failures:\n    kafka::one\n\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            2,
            1,
            0,
        );
    }

    #[test]
    fn what_failed_tests_said_is_kept() {
        let mut counter = Counter::default();
        let output = "successes:\n\n---- well stdout ----\nall is well\n\nfailures:\n\n---- one stdout ----\n\
                      thread 'one' panicked at one.rs:1:2\n\nfailures:\n    one\n\n\
                      test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      \nrunning 3 tests\n";
        output.lines().for_each(|line| counter.line(line));
        assert_eq!(
            counter.failures,
            [
                "---- one stdout ----",
                "thread 'one' panicked at one.rs:1:2",
                "    one"
            ]
        );
    }
}
