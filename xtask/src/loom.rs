//! `cargo xtask loom`: every interleaving of two threads, where threads share more than a lock.

use crate::project;

/// The crates whose tests have models.
const PACKAGES: [&str; 2] = ["ottla-accumulator", "ottla-partitioning"];

/// Runs the models. They are compiled with a cfg of their own, beside everything else.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut tests = project::cargo();
    tests
        .args(["test", "--lib"])
        .args(PACKAGES.iter().flat_map(|package| ["-p", package]))
        .arg("loom_tests")
        .env("CARGO_TARGET_DIR", project::target().join("loom"))
        .env("RUSTFLAGS", "--cfg loom");
    project::run(&mut tests)
}
