//! `cargo xtask tuning`: the figures and plots of `docs/manual/tuning.md`.

mod chart;
mod linger;
mod sizes;

use crate::project;
use std::fs;

use anyhow::Context as _;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Measure throughput and latency by batch.size and linger.ms, against a real Kafka; the default is what batches do to
    /// the bytes over the wire.
    #[arg(long)]
    measure: bool,
    /// Measure this `ottla`, and build none.
    #[arg(long, value_name = "FILE", requires = "measure")]
    program: Option<std::path::PathBuf>,
}

/// `cargo xtask tuning`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.measure {
        linger::run(arguments.program.clone())
    } else {
        sizes::run()
    }
}

/// Writes a plot of the manual.
fn write_plot(name: &str, svg: &str) -> anyhow::Result<()> {
    let path = project::root().join("docs/manual").join(name);
    fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))
}

/// A size in bytes as people write it.
fn kibibytes(size: usize) -> String {
    match size >> 10 {
        1024 => "1 MiB".to_owned(),
        kibibytes => format!("{kibibytes} KiB"),
    }
}
