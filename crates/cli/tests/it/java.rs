//! Kafka's own tools beside ours, on a real Kafka: `OTTLA_KAFKA_LIB` names the folder with Kafka's jars.

use crate::support::{Run, run};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Kafka's tools, and a real Kafka to use them with.
pub(crate) struct Java {
    library: String,
    pub(crate) broker: String,
}

impl Java {
    /// `None`, said loudly, if they are not here, and never with `CI` set.
    pub(crate) fn find() -> Option<Java> {
        let variable = |name| std::env::var(name).ok();
        let found = variable("OTTLA_KAFKA_LIB").zip(variable("OTTLA_KAFKA_BOOTSTRAP"));
        if found.is_none() {
            let in_ci = std::env::var_os("CI").is_some();
            assert!(
                !in_ci,
                "with CI set, OTTLA_KAFKA_LIB and OTTLA_KAFKA_BOOTSTRAP must be set"
            );
            println!("SKIPPED: OTTLA_KAFKA_LIB and OTTLA_KAFKA_BOOTSTRAP name no real Kafka");
        }
        found.map(|(library, broker)| Java { library, broker })
    }

    /// Runs `org.apache.kafka.tools.<tool>` with these flags, and `input` on its standard input.
    pub(crate) fn run(&self, tool: &str, flags: &[&str], input: &str) -> Run {
        let mut java = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m", "-cp"])
            .arg(format!("{}/*", self.library))
            .arg(format!("org.apache.kafka.tools.{tool}"))
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("java runs");
        // A tool that reads nothing may have ended by now.
        let _ = java.stdin.take().expect("piped").write_all(input.as_bytes());
        Run::from(java.wait_with_output().expect("java ends"))
    }
}

/// Each file of `examples/configurations` that needs no listener of its own, unchanged, with Kafka's console producer and
/// ours. (Those with TLS and SASL have `cargo xtask security`; with `transactional.id` Kafka's console producer fails.)
#[test]
fn configurations_do_for_javas_console_producer_and_ours() {
    let Some(java) = Java::find() else { return };
    let topic = crate::real::topic("configurations");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../producer/examples/configurations");
    let names = ["plaintext", "throughput", "low-latency", "as-before-3.0"];
    let mut expected = Vec::new();
    for name in names {
        let file = folder.join(format!("{name}.properties"));
        let file = file.to_str().expect("UTF-8");
        let flags = [
            "--bootstrap-server",
            &java.broker,
            "--topic",
            &topic,
            "--command-config",
            file,
        ];
        let javas = java.run("ConsoleProducer", &flags, &format!("java {name}\n"));
        assert_eq!(javas.code, Some(0), "{name}: {}", javas.stderr);
        let ours = run(
            &[&["produce"], flags.as_slice()].concat(),
            &format!("ottla {name}\n"),
        );
        ours.ends(0, "");
        assert_eq!(ours.stderr, "1 sent, 0 failed\n", "{name}: nothing to warn of");
        expected.extend([format!("java {name}"), format!("ottla {name}")]);
    }
    let read = crate::real::read(&java.broker, &topic);
    let mut found: Vec<_> = read
        .iter()
        .filter_map(|record| record["payload"].as_str())
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
