//! Every example, run against the in-memory broker.

#![allow(
    clippy::duplicate_mod,
    reason = "each example has its own copy of what they share"
)]

use crate::support::cluster;
use std::path::PathBuf;

/// The example's file as a module.
macro_rules! example {
    ($name:ident, $file:literal) => {
        #[allow(
            dead_code,
            reason = "main() reads the arguments, which here are the tests'"
        )]
        #[path = $file]
        mod $name;
    };
}

example!(authentication, "../../examples/authentication.rs");
example!(callbacks, "../../examples/callbacks.rs");
example!(configuration_file, "../../examples/configuration_file.rs");
example!(errors, "../../examples/errors.rs");
example!(keyed, "../../examples/keyed.rs");
#[cfg(feature = "mock-registry")]
example!(schema_registry, "../../examples/schema_registry.rs");
example!(streams, "../../examples/streams.rs");
example!(throughput, "../../examples/throughput.rs");
#[cfg(feature = "tracing")]
example!(tracing, "../../examples/tracing.rs");
example!(unit_test, "../../examples/unit_test.rs");
example!(without_runtime, "../../examples/without_runtime.rs");

#[test]
fn examples_do_what_they_show() {
    let count = |run: fn(&str) -> Result<(), Box<dyn std::error::Error>>| {
        let cluster = cluster(1);
        run(&cluster.bootstrap_servers()).expect("it works");
        (0..6)
            .map(|partition| cluster.records("orders", partition).len())
            .sum::<usize>()
    };
    let examples = [
        callbacks::run,
        errors::run,
        keyed::run,
        streams::run,
        throughput::run,
        without_runtime::run,
    ];
    // The last one has the marker of its transaction in each partition that it wrote to, which is no record.
    assert_eq!(examples.map(count), [102, 1, 4, 1_003, 100_000, 40]);
    unit_test::main();
    authentication::in_memory().expect("all get in");
}

/// Those that need TLS or somebody else's service are configurations that can be: the stores are read when the producer
/// is built, and are not there.
#[test]
fn each_kind_of_authentication_is_a_good_configuration() {
    for (kind, settings) in authentication::KINDS {
        let builder = ottla::config::ConfigBuilder::new().refuse_unknown_keys();
        let mut builder = builder.bootstrap_servers("127.0.0.1:9092");
        builder.extend(settings.iter().copied());
        let report = builder.check();
        // What is brought by the program is not in the configuration.
        let blamed: Vec<_> = report
            .errors
            .iter()
            .flat_map(|error| error.keys_to_blame())
            .collect();
        let expected: &[&str] = if kind == "own" { &["sasl.jaas.config"] } else { &[] };
        assert_eq!(blamed, expected, "{kind}: {:?}", report.errors);
    }
    let error = authentication::builder("kerberos").expect_err("no such kind");
    assert!(error.to_string().contains("mutual-tls, plain, scram"), "{error}");
}

#[cfg(feature = "tracing")]
#[test]
fn a_trace_goes_along() {
    let cluster = cluster(1);
    tracing::run(&cluster.bootstrap_servers()).expect("it works");
    let records = (0..6).flat_map(|partition| cluster.records("orders", partition));
    assert_eq!(records.count(), 1);
}

#[test]
fn a_configuration_file_makes_a_producer() {
    let cluster = cluster(1);
    let file: PathBuf = std::env::temp_dir().join(format!("ottla-example-{}.properties", std::process::id()));
    std::fs::write(
        &file,
        format!("bootstrap.servers={}\nlinger.ms=0\n", cluster.bootstrap_servers()),
    )
    .expect("written");
    configuration_file::run(file.to_str().expect("UTF-8"), "orders").expect("it works");
    std::fs::remove_file(&file).expect("ours");
}

#[cfg(feature = "mock-registry")]
#[test]
fn a_schema_registry_gives_ids() {
    let cluster = cluster(1);
    schema_registry::run(&cluster.bootstrap_servers()).expect("it works");
    let mut values: Vec<_> = (0..6)
        .flat_map(|partition| cluster.records("orders", partition))
        .collect();
    let values = values.iter_mut().map(|record| record.value.take());
    let values: Vec<_> = values.map(|value| value.expect("a value").to_vec()).collect();
    assert_eq!(values.len(), 3);
    assert!(
        values.iter().all(|value| value.starts_with(&[0, 0, 0, 0, 1])),
        "{values:?}"
    );
}
