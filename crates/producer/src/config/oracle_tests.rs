//! Tests against Java as the oracle: `java.util.Properties`, and the configuration of Kafka's own producer.
//!
//! They need a `java` and, in the folder that `OTTLA_KAFKA_LIB` names, Kafka's jars of 4.3.1; without the variable they
//! say `SKIPPED:`, and with `CI` set they fail.

use super::error::Origin;
use super::{ConfigBuilder, DEFINITIONS, KeyType, Preset, Properties, strangers, value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as RunnerConfig, RngAlgorithm, RngSeed, TestRunner};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The answers of the oracle to `questions`, one line each; `None` if it cannot run here.
fn ask(mode: &str, questions: &[String]) -> Option<Vec<String>> {
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
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../xtask/java/ConfigOracle.java"
        ))
        .arg(mode)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut input = java.stdin.take().expect("piped");
    let text: String = questions.iter().map(|question| format!("{question}\n")).collect();
    // Written aside: the oracle answers while it reads.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = java.wait_with_output().expect("java ends");
    writer
        .join()
        .expect("no panic")
        .expect("the oracle reads all questions");
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(str::to_owned)
        .collect();
    if !questions.is_empty() {
        assert_eq!(answers.len(), questions.len(), "one answer to each question");
    }
    Some(answers)
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `count` values of `strategy`, the same ones each time.
fn samples<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let config = RunnerConfig {
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(1),
        ..Default::default()
    };
    let mut runner = TestRunner::new(config);
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).expect("a value").current())
        .collect()
}

/// A file of what the format gives a meaning to, mostly.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        10 => prop::sample::select(b"\\\\\\=: \t\x0c\n\n\r#!utnrfab0d8\x0b\xe9".to_vec()).prop_map(|byte| vec![byte]),
        1 => prop::sample::select(vec!["\\u0041", "\\ud83d\\ude00", "\\u00", "\\uD83D", "\\\n", "\\\r\n", "\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let files = samples(&files(), 20_000);
    let questions: Vec<_> = files.iter().map(|file| hex(file.iter().copied())).collect();
    let Some(answers) = ask("properties", &questions) else {
        return;
    };
    let utf16 = |text: &str| hex(text.encode_utf16().flat_map(u16::to_be_bytes));
    let (mut errors, mut halves) = (0, 0);
    for (file, answer) in files.iter().zip(&answers) {
        let shown = file.escape_ascii();
        match Properties::from_latin_1(file) {
            Ok(properties) => {
                let entries: BTreeMap<_, _> = properties
                    .entries()
                    .iter()
                    .map(|entry| (utf16(&entry.key), utf16(&entry.value)))
                    .collect();
                let ours = entries.iter().fold("entries".to_owned(), |text, (key, value)| {
                    format!("{text} {key}={value}")
                });
                assert_eq!(&ours, answer, "{shown}");
            }
            // What no `String` can hold is refused here.
            Err(error) if error.reason().contains("surrogate") => {
                // A later line may be malformed, or replace the entry.
                halves += usize::from(answer.split([' ', '=']).any(has_half));
            }
            Err(error) => {
                assert_eq!(answer, "error", "{shown}: {error}");
                errors += 1;
            }
        }
    }
    assert!(
        errors > 100 && halves > 100,
        "the files reach the errors too: {errors}, {halves}"
    );
}

/// Variables of the environment, whole and in pieces, are replaced where Java replaces them.
#[test]
fn variables_are_replaced_as_in_java() {
    let pieces = vec![
        "${",
        "}",
        ":",
        "e",
        "$",
        "x",
        "${e:PATH}",
        "${e::HOME}",
        "${e:NOBODY_SETS_THIS}",
        "${x:PATH}",
        "{",
        "a",
    ];
    let texts = prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat());
    let texts = samples(&texts, 1_000);
    let questions: Vec<_> = texts.iter().map(|text| hex(text.bytes())).collect();
    let Some(answers) = ask("variables", &questions) else {
        return;
    };
    let mut replaced = 0;
    for (text, answer) in texts.iter().zip(&answers) {
        let mut builder = ConfigBuilder::new()
            .bootstrap_servers("a:1")
            .set("config.providers", "e");
        builder = builder.set(
            "config.providers.e.class",
            "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        );
        let ours = match builder.client_id(text.as_str()).build() {
            Ok((config, _)) => hex(config.client_id().unwrap_or_default().bytes()),
            Err(_) => "error".to_owned(),
        };
        assert_eq!(&ours, answer, "{text}");
        replaced += usize::from(ours != hex(text.bytes()));
    }
    assert!(replaced > 100, "{replaced}");
}

#[test]
fn the_other_clients_keys_are_javas() {
    let Some(answers) = ask("strangers", &[]) else {
        return;
    };
    let ours = |keys: &[&str], whose: &str| keys.iter().map(|key| format!("{whose}\t{key}")).collect();
    let ours: [Vec<String>; 2] = [
        ours(strangers::CONSUMER, "consumer"),
        ours(strangers::ADMIN, "admin"),
    ];
    assert_eq!(answers, ours.concat());
}

#[test]
fn definitions_are_javas() {
    let Some(answers) = ask("definitions", &[]) else {
        return;
    };
    let ours: Vec<_> = DEFINITIONS
        .iter()
        .map(|definition| {
            let preset = match definition.default {
                Preset::Is(text) => text.to_owned(),
                other => other.to_string(),
            };
            let row = [
                definition.name.to_owned(),
                definition.kind.to_string(),
                preset,
                definition.importance.to_string(),
            ];
            let [name, kind, preset, importance] = row;
            format!(
                "{name}\t{}\t{preset}\t{}",
                kind.to_uppercase(),
                importance.to_uppercase()
            )
        })
        .collect();
    assert_eq!(ours, answers);
}

/// Whether UTF-16 in hexadecimal holds half of a surrogate pair.
fn has_half(units: &str) -> bool {
    let unit = |digits: &[u8]| {
        std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| u16::from_str_radix(digits, 16).ok())
    };
    let units: Vec<u16> = units.as_bytes().chunks(4).filter_map(unit).collect();
    String::from_utf16(&units).is_err()
}

/// Keys whose values are checked otherwise than in Java, on purpose.
fn differs(name: &str, text: &str) -> bool {
    match name {
        // Java takes a wait below zero and does odd things with it.
        "socket.connection.setup.timeout.ms" | "socket.connection.setup.timeout.max.ms" => {
            value::trim(text).starts_with('-')
        }
        // Java compares with both bounds, and not-a-number is outside of none.
        "sasl.login.refresh.window.factor" | "sasl.login.refresh.window.jitter" => text.contains("NaN"),
        _ => false,
    }
}

#[test]
fn values_are_accepted_as_in_java() {
    const TEXTS: &[&str] = &[
        "",
        " ",
        "0",
        "1",
        "-1",
        "+1",
        "-2",
        "5",
        "9",
        "10",
        "16",
        "17",
        "18",
        "22",
        "23",
        "-131072",
        "-131073",
        "900",
        "901",
        "3600",
        "3601",
        "4999",
        "5000",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "86400",
        "86401",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999",
        " 7\t",
        "\u{1}7",
        "\u{a0}7",
        "7\u{a0}",
        "0x10",
        "1_000",
        "1,000",
        "1.0",
        "0.05",
        ".5",
        "5.",
        "1e0",
        "1e-1",
        "0.25",
        "0.26",
        "1d",
        "1f",
        "1D",
        "1F",
        "1dd",
        "d",
        "1L",
        "NaN",
        "Infinity",
        "-Infinity",
        "+NaN",
        "nan",
        "inf",
        "infinity",
        "--1",
        "+-1",
        "1e",
        "e1",
        ".",
        "true",
        "TRUE",
        " False ",
        "yes",
        "no",
        "t",
        "null",
        "all",
        "ALL",
        "none",
        "gzip",
        "GZIP",
        "lz4",
        "zstd",
        "snappy",
        "PLAINTEXT",
        "plaintext",
        "SASL_ssl",
        "INFO",
        "info",
        "TRACE",
        "rebootstrap",
        "REBOOTSTRAP",
        "None",
        "use_all_dns_ips",
        "default",
        "RS256",
        "es256",
        "HS256",
        "a",
        "a,b",
        "a, b ,\tc",
        "a,a",
        "a,,b",
        ",a",
        "a,",
        ",",
        "a ,",
        "resolve_canonical_bootstrap_servers_only",
    ];
    let keys = || {
        DEFINITIONS
            .iter()
            .filter(|definition| definition.kind != KeyType::Class)
    };
    let cases: Vec<_> = keys()
        .flat_map(|definition| TEXTS.iter().map(move |text| (definition, *text)))
        .collect();
    let question = |(definition, text): &(&super::Definition, &str)| {
        format!("{}\t{}", definition.name, hex(text.bytes()))
    };
    let Some(answers) = ask("values", &cases.iter().map(question).collect::<Vec<_>>()) else {
        return;
    };
    let mut wrong = Vec::new();
    for ((definition, text), answer) in cases.iter().zip(&answers) {
        let ours = value::parse(definition, text).map_or("error", |_| "ok");
        if ours != answer && !differs(definition.name, text) {
            wrong.push(format!(
                "{}={text:?}: Java {answer}, ours {ours}",
                definition.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whole_configurations_are_accepted_as_in_java() {
    const CHOICES: &[(&str, &[&str])] = &[
        ("acks", &["all", "-1", "0", "1"]),
        ("retries", &["0", "1", "2147483647"]),
        ("max.in.flight.requests.per.connection", &["1", "5", "6"]),
        ("enable.idempotence", &["true", "false"]),
        ("transactional.id", &["t"]),
        ("transaction.timeout.ms", &["60000"]),
        ("transaction.two.phase.commit.enable", &["true", "false"]),
        ("linger.ms", &["0", "10", "200000", "9223372036854775807"]),
        ("request.timeout.ms", &["0", "119996", "2147483647"]),
        ("delivery.timeout.ms", &["0", "119999", "120000", "2147483647"]),
        ("batch.size", &["0", "1000000"]),
        ("buffer.memory", &["0", "1000"]),
        ("reconnect.backoff.ms", &["0", "5000"]),
        ("retry.backoff.ms", &["0", "5000"]),
        (
            "bootstrap.servers",
            &[
                "[::1]:1",
                "PLAINTEXT://127.0.0.1:1",
                "127.0.0.1",
                "127.0.0.1:x",
                "127.0.0.1:65536",
                "::1:1",
            ],
        ),
    ];
    let set = |(key, values): &(&'static str, &'static [&'static str])| {
        let key = *key;
        prop::option::weighted(0.3, prop::sample::select(*values))
            .prop_map(move |value| value.map(|value| (key, value)))
    };
    let strategy: Vec<_> = CHOICES.iter().map(set).collect();
    let with_server = |settings: Vec<Option<(&'static str, &'static str)>>| {
        let mut settings: BTreeMap<_, _> = settings.into_iter().flatten().collect();
        settings.entry("bootstrap.servers").or_insert("127.0.0.1:1");
        settings
    };
    let cases: Vec<_> = samples(&strategy, 400).into_iter().map(with_server).collect();
    let question = |settings: &BTreeMap<&str, &str>| {
        settings
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join("\t")
    };
    let Some(answers) = ask("producers", &cases.iter().map(question).collect::<Vec<_>>()) else {
        return;
    };
    for (settings, answer) in cases.iter().zip(&answers) {
        let mut builder = ConfigBuilder::new();
        for (key, value) in settings {
            builder = builder.set_from(*key, *value, Origin::Code);
        }
        let report = builder.check();
        // What does nothing yet, and what no broker speaks, is refused here, whatever Java does with it.
        let errors: Vec<_> = report
            .errors
            .iter()
            .map(ToString::to_string)
            .filter(|error| !error.contains("does nothing yet") && !error.contains("(KIP-939)"))
            .collect();
        assert_eq!(
            if errors.is_empty() { "ok" } else { "error" },
            answer,
            "{settings:?}: {errors:?}"
        );
    }
    let refused = answers.iter().filter(|answer| *answer == "error").count();
    assert!(
        (50..350).contains(&refused),
        "both outcomes are reached: {refused} of 400 refused"
    );
}
