//! Windows against Java's own classes.
//!
//! They need a `java` and, in the folder that `OTTLA_KAFKA_LIB` names, Kafka's jars of 4.3.1; without the variable they
//! say `SKIPPED:`, and with `CI` set they fail.

use crate::samples::{Samples, Windows};
use crate::sensor::Statistic;
use ottla_time::Time;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// One history: the question to Java, and our answers.
fn history(numbers: &mut Numbers) -> (String, Vec<[f64; 4]>) {
    let (window_ms, count) = (numbers.below(1_000) + 1, numbers.below(4) + 1);
    let windows = Windows {
        length: Duration::from_millis(window_ms),
        count: count as usize,
    };
    let mut samples = Samples::default();
    let mut question = format!("{window_ms} {count}");
    let mut answers = Vec::new();
    let mut now_ms = 1_000_000;
    for step in 0..60 {
        // Mostly within a window, sometimes far beyond all of them.
        let far = if numbers.below(10) == 0 {
            6 * window_ms
        } else {
            window_ms / 2
        };
        now_ms += numbers.below(far + 2);
        let now = Time::from_millis(now_ms);
        if step == 0 || numbers.below(3) > 0 {
            let value = numbers.below(1_000) as f64;
            let _ = write!(question, " r:{now_ms}:{value}");
            samples.record(windows, value, now);
        } else {
            let _ = write!(question, " m:{now_ms}");
            let statistics = [
                Statistic::Rate,
                Statistic::Average,
                Statistic::Max,
                Statistic::Total,
            ];
            answers.push(statistics.map(|statistic| statistic.measure(&mut samples, windows, now)));
        }
    }
    (question, answers)
}

#[test]
fn windows_are_those_of_java() {
    let Some(library) = std::env::var_os("OTTLA_KAFKA_LIB") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "with CI set, OTTLA_KAFKA_LIB must name Kafka's jars"
        );
        println!("SKIPPED: OTTLA_KAFKA_LIB does not name a folder with Kafka's jars");
        return;
    };
    let mut numbers = Numbers(1);
    let histories: Vec<_> = (0..300).map(|_| history(&mut numbers)).collect();
    let mut class_path = library;
    class_path.push("/*");
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(class_path)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../xtask/java/MetricsOracle.java"
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut input = java.stdin.take().expect("piped");
    let questions: String = histories
        .iter()
        .map(|(question, _)| format!("{question}\n"))
        .collect();
    // Aside: the oracle answers while it reads.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            input
                .write_all(questions.as_bytes())
                .expect("the oracle reads all questions")
        });
        java.wait_with_output().expect("java ends")
    });
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(answers.lines().count(), histories.len());
    let mut compared = 0;
    for (line, (question, ours)) in answers.lines().zip(&histories) {
        let java = line.split(' ').filter(|answer| !answer.is_empty());
        let java = java.map(|answer| {
            answer
                .split(',')
                .map(|number| number.parse::<f64>().expect("a number"))
        });
        let java: Vec<Vec<f64>> = java.map(Iterator::collect).collect();
        assert_eq!(java.len(), ours.len(), "{question}");
        for (java, ours) in java.iter().zip(ours) {
            for (java, ours) in java.iter().zip(ours) {
                let same = (java.is_nan() && ours.is_nan()) || (java - ours).abs() <= 1e-9 * java.abs();
                assert!(same, "Java says {java}, we say {ours}: {question}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "{compared} values");
}
