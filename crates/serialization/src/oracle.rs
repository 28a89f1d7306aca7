//! Running Java as the oracle of tests.
//!
//! It takes a `java` and, in the folder that `OTTLA_KAFKA_LIB` names, Kafka's jars of 4.3.1; without the variable a test
//! says `SKIPPED:`, and with `CI` set it fails.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The answers of `program` (in xtask/java) to `questions`, one line each; `None` if it cannot run here.
pub(crate) fn ask(program: &str, questions: &[String]) -> Option<Vec<String>> {
    let Some(library) = std::env::var_os("OTTLA_KAFKA_LIB") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "with CI set, OTTLA_KAFKA_LIB must name Kafka's jars"
        );
        println!("SKIPPED: OTTLA_KAFKA_LIB does not name a folder with Kafka's jars");
        return None;
    };
    let mut class_path = library;
    class_path.push("/*");
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(class_path)
        .arg(format!(
            "{}/../../xtask/java/{program}.java",
            env!("CARGO_MANIFEST_DIR")
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut input = java.stdin.take().expect("piped");
    let text: String = questions.iter().map(|question| format!("{question}\n")).collect();
    // Written aside: the oracle answers while it reads.
    let output = std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.write_all(text.as_bytes()));
        let output = java.wait_with_output().expect("java ends");
        writer
            .join()
            .expect("no panic")
            .expect("the oracle reads all questions");
        output
    });
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(answers.len(), questions.len(), "one answer to each question");
    Some(answers)
}

pub(crate) fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `count` values of `strategy`, the same ones each time.
pub(crate) fn samples<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let config = Config {
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(1),
        ..Default::default()
    };
    let mut runner = TestRunner::new(config);
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).expect("a value").current())
        .collect()
}
