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

example!(callbacks, "../../examples/callbacks.rs");
example!(configuration_file, "../../examples/configuration_file.rs");
example!(errors, "../../examples/errors.rs");
example!(keyed, "../../examples/keyed.rs");
example!(streams, "../../examples/streams.rs");
example!(throughput, "../../examples/throughput.rs");
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
