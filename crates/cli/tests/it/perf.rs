//! `ottla perf`: the lines of kafka-producer-perf-test.

use crate::java::Java;
use crate::support::{Run, run};
use std::collections::BTreeSet;

/// A line's words, with `#` for each number: what a parser of Java's lines goes by.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for character in line.chars() {
        match character {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            _ => shape.push(character),
        }
    }
    shape.replace("#.#", "#")
}

#[test]
fn the_summary_is_javas_and_the_plot_is_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("plot.svg");
    let payloads = folder.path().join("payloads");
    std::fs::write(&payloads, "one|two|three").expect("written");
    let flags = [
        "perf",
        "-b",
        "embedded",
        "--topic",
        "t",
        "--num-records",
        "20000",
        "--throughput",
        "-1",
    ];
    let with = |more: &[&str]| run(&[flags.as_slice(), more].concat(), "");

    let plotted = with(&["--record-size", "100", "--plot", plot.to_str().expect("UTF-8")]);
    plotted.ends(0, "latency in ms: ");
    assert!(
        plotted.stdout.starts_with("20000 records sent, "),
        "{}",
        plotted.stdout
    );
    assert!(plotted.stdout.ends_with(" ms 99.9th.\n"), "{}", plotted.stdout);
    assert!(
        std::fs::read_to_string(&plot)
            .expect("drawn")
            .contains("records/s")
    );

    let steady = with(&["--payload-monotonic", "--warmup-records", "5000"]);
    let last = steady
        .ends(0, "\nsteady state latency in ms: ")
        .stdout
        .lines()
        .last()
        .unwrap_or_default();
    assert!(last.starts_with("15000 steady state records sent, "), "{last}");

    let file = payloads.to_str().expect("UTF-8");
    let listed = with(&[
        "--payload-file",
        file,
        "--payload-delimiter",
        "|",
        "--producer-props",
        "acks=1",
        "linger.ms=1",
    ]);
    assert!(
        listed
            .ends(0, "")
            .stdout
            .starts_with("Number of messages read: 3\n"),
        "{}",
        listed.stdout
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let flags = ["perf", "-b", "127.0.0.1:1", "-t", "t", "--num-records", "10"];
    let with = |more: &[&str]| run(&[flags.as_slice(), more].concat(), "");
    with(&[]).ends(2, "--record-size");
    with(&["--record-size", "10", "--payload-monotonic"]).ends(2, "cannot be used with");
    with(&["--record-size", "0"]).ends(2, "0");
    with(&["--record-size", "10", "--warmup-records", "10"]).ends(2, "--warmup-records must be fewer");
    with(&["--record-size", "10", "--transaction-duration-ms", "0"]).ends(2, "0");
    with(&["--record-size", "10", "--command-property", "lingr.ms=1"])
        .ends(2, "--command-property: lingr.ms");
    with(&["--payload-file", "/nowhere"]).ends(3, "cannot read payloads from /nowhere");
    let failed = with(&[
        "--record-size",
        "10",
        "--command-property",
        "max.block.ms=100",
        "retries=1",
    ]);
    failed.ends(1, "error: 10 records failed");
    assert!(failed.stdout.starts_with("0 records sent, "), "{}", failed.stdout);
}

/// Java's own tool and ours with the same flags: the same lines, but for the numbers.
#[test]
fn the_lines_are_those_of_java() {
    let Some(java) = Java::find() else { return };
    let topic = crate::real::topic("perf");
    let flags = [
        "--bootstrap-server",
        &java.broker,
        "--topic",
        &topic,
        "--num-records",
        "2000",
        "--record-size",
        "100",
        "--throughput",
        "1000",
        "--warmup-records",
        "500",
        "--reporting-interval",
        "300",
        "--command-property",
        "linger.ms=1",
        "batch.size=20000",
        "--print-metrics",
    ];
    let java = java.run("ProducerPerformance", &flags, "");
    let ours = run(&[&["perf"], flags.as_slice()].concat(), "");
    let shapes = |run: &Run| -> Vec<String> { run.stdout.lines().map(shape).collect() };
    same_metrics(&java, &ours);
    let before_metrics = |run: &Run| -> Vec<String> {
        let lines = shapes(run).into_iter();
        lines.take_while(|line| !line.is_empty()).collect()
    };
    let (java, ours) = (before_metrics(java.ends(0, "")), before_metrics(ours.ends(0, "")));
    assert_eq!(java[0], ours[0], "the warm-up");
    assert_eq!(java[java.len() - 2..], ours[ours.len() - 2..], "the summaries");
    // How many windows there are, if any, is a matter of the machine.
    let windows = [
        "# records sent, # records/sec (# MB/sec), # ms avg latency, # ms max latency.",
        "In steady state.",
    ];
    for line in java[1..java.len() - 2].iter().chain(&ours[1..ours.len() - 2]) {
        assert!(windows.contains(&line.as_str()), "{line}");
    }
}

/// The metrics that both have printed: the same form, and the same names, but for those that have no meaning here.
fn same_metrics(java: &Run, ours: &Run) {
    let names = |run: &Run| -> BTreeSet<String> {
        let metrics = run.stdout.split_once("\n\n").expect("metrics").1;
        let (head, metrics) = metrics.split_once('\n').expect("a heading");
        assert!(
            head.starts_with("Metric Name ") && head.ends_with("   Value"),
            "{head}"
        );
        let width = head.len() - "   Value".len();
        let name = |line: &str| {
            assert_eq!(&line[width..width + 3], " : ", "{line}");
            // Which brokers there are is a matter of the cluster.
            let (name, _) = line.split_once(":{client-id=").expect("tags");
            name.to_owned()
        };
        metrics.lines().map(name).collect()
    };
    let (java, ours) = (names(java), names(ours));
    let missing: Vec<&String> = java.difference(&ours).collect();
    assert_eq!(
        missing,
        ["app-info:commit-id", "producer-metrics:txn-prepare-time-ns-total"]
    );
    assert_eq!(ours.difference(&java).count(), 0, "{ours:?}");
}
