//! Java's console producer and ours, side by side, through every listener of a real Kafka: both get through, or neither.
//!
//! `OTTLA_KAFKA_CLIENTS` holds a folder with a `.properties` file for each way in, as `cargo xtask kafka up --tls --sasl`
//! writes them, and `OTTLA_KAFKA_LIB` the jars.

use crate::real::{broker, read, topic};
use crate::support::run;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// A file, what is set besides, and whether a record gets through.
type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

/// Another file's listener: the value names the file.
const LISTENER: &str = "bootstrap.servers";

const CASES: &[Case] = &[
    ("ssl-jks", &[], true),
    ("ssl-pkcs12", &[], true),
    ("ssl-pem", &[], true),
    ("ssl-inline", &[], true),
    ("mtls-jks", &[], true),
    ("mtls-pkcs12", &[], true),
    ("mtls-pem", &[], true),
    ("mtls-inline", &[], true),
    ("sasl-plaintext-scram-sha-512", &[], true),
    ("sasl-ssl-plain", &[], true),
    ("sasl-ssl-scram-sha-256", &[], true),
    ("ssl-jks", &[("ssl.protocol", "TLSv1.2")], true),
    ("ssl-jks", &[("ssl.truststore.password", "wrong")], false),
    ("mtls-jks", &[("ssl.key.password", "wrong")], false),
    ("ssl-pem", &[("ssl.truststore.password", "none-in-pem")], false),
    ("ssl-jks", &[(LISTENER, "mtls-jks")], false),
    ("ssl-jks", &[(LISTENER, "plaintext")], false),
    ("plaintext", &[(LISTENER, "ssl-jks")], false),
];

#[test]
fn java_and_ottla_get_through_the_same_doors() {
    let Some(broker) = broker() else { return };
    let (Some(clients), Some(lib)) = (folder("OTTLA_KAFKA_CLIENTS"), folder("OTTLA_KAFKA_LIB")) else {
        return;
    };
    let topic = topic("security");
    // Whoever comes second must not wait for the topic.
    run(&["produce", &topic, "-b", &broker, "-q"], "first\n").ends(0, "");
    let cases: Vec<(usize, &Case)> = CASES.iter().enumerate().collect();
    thread::scope(|scope| {
        // Two at a time: a Java takes about a core.
        for half in cases.chunks(cases.len().div_ceil(2)) {
            let (clients, lib, topic) = (&clients, &lib, &topic);
            scope.spawn(move || {
                for (number, case) in half {
                    produce(clients, lib, topic, *number, case);
                }
            });
        }
    });
    let values = read(&broker, &topic).into_iter();
    let came: BTreeSet<String> = values
        .map(|record| record["payload"].as_str().unwrap_or_default().to_owned())
        .collect();
    for (number, (file, more, works)) in CASES.iter().enumerate() {
        for who in ["java", "ottla"] {
            let through = came.contains(&format!("{who} {number}"));
            assert_eq!(through, *works, "{who} with {file}.properties and {more:?}");
        }
    }
}

/// Sends one value through each producer. Whether it came shows in the topic only: Java's console producer ends with 0
/// whatever happens.
fn produce(clients: &Path, lib: &Path, topic: &str, number: usize, (file, more, works): &Case) {
    let path = |file: &str| clients.join(format!("{file}.properties"));
    let listener = more.iter().find(|(key, _)| *key == LISTENER);
    let bootstrap = bootstrap(&path(listener.map_or(*file, |(_, file)| *file)));
    let config = path(file).to_string_lossy().into_owned();
    let settings: Vec<String> = more
        .iter()
        .filter(|(key, _)| *key != LISTENER)
        .map(|(key, value)| format!("{key}={value}"))
        .chain(["max.block.ms=10000".to_owned()])
        .collect();

    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m", "-cp"])
        .arg(lib.join("*"))
        .arg("org.apache.kafka.tools.ConsoleProducer")
        .args([
            "--bootstrap-server",
            &bootstrap,
            "--topic",
            topic,
            "--command-config",
            &config,
        ])
        .args(
            settings
                .iter()
                .flat_map(|setting| ["--command-property", setting]),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut java = java.spawn().expect("java runs");
    // One that refuses its configuration ends without reading.
    let _ = java
        .stdin
        .take()
        .expect("a pipe")
        .write_all(format!("java {number}\n").as_bytes());

    let mut arguments = vec!["produce", topic, "-F", &config, "-b", &bootstrap, "-q"];
    arguments.extend(settings.iter().flat_map(|setting| ["-X", setting]));
    let ours = run(&arguments, &format!("ottla {number}\n"));
    assert_eq!(
        ours.stderr.is_empty(),
        *works,
        "{file} and {more:?}: {}",
        ours.stderr
    );
    assert!(!ours.stderr.contains("secret"), "{}", ours.stderr);
    java.wait().expect("its end");
}

fn bootstrap(properties: &Path) -> String {
    let text = std::fs::read_to_string(properties).expect("a file of the cluster");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("bootstrap.servers="));
    line.expect("an address").to_owned()
}

/// A folder that a variable names; `None`, said loudly, if it names none, and never with `CI` set.
fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "with CI set, {variable} must name a folder"
        );
        println!("SKIPPED: {variable} names no folder");
    }
    folder
}
