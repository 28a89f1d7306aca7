//! `cargo xtask sim`: the simulation over many seeds, or one again with all that happens.

use std::process::Command;

use crate::project;

/// Which seeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds; 100, or as many as the time allows.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed; without a number of seeds, the only one.
    #[arg(long)]
    seed: Option<u64>,
    /// For how many minutes at most.
    #[arg(long)]
    minutes: Option<f64>,
    /// Print all that happens in one seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Plant one bug after the other, and look whether each is found.
    #[arg(long, conflicts_with_all = ["seed", "minutes", "trace"])]
    mutants: bool,
    /// Of the bugs only those whose name has this.
    #[arg(long, requires = "mutants")]
    only: Option<String>,
}

/// `cargo xtask sim`. The simulation is a program of its own, so that xtask need not wait for it to be compiled.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut simulation = Command::new(build()?);
    if let Some(seeds) = arguments.seeds {
        simulation.args(["--seeds", &seeds.to_string()]);
    }
    if let Some(seed) = arguments.seed {
        simulation.args(["--seed", &seed.to_string()]);
    }
    if let Some(minutes) = arguments.minutes {
        simulation.args(["--minutes", &minutes.to_string()]);
    }
    if arguments.trace {
        simulation.arg("--trace");
    }
    if arguments.mutants {
        simulation.arg("--mutants");
    }
    if let Some(only) = &arguments.only {
        simulation.args(["--only", only]);
    }
    project::run(&mut simulation)
}

/// Builds the simulation, optimised and without debug assertions; where it is. One build for all: with the points at which
/// users act in the middle of the sender's work, and with the bugs that can be planted. A profile of its own keeps what is
/// compiled with these flags apart.
fn build() -> anyhow::Result<std::path::PathBuf> {
    project::run(project::cargo().env("RUSTFLAGS", "--cfg ottla_mutants").args([
        "build",
        "--quiet",
        "--profile",
        PROFILE,
        "--package",
        "ottla-simulation",
    ]))?;
    Ok(project::target().join(PROFILE).join("ottla-simulation"))
}

/// The profile of the simulation's build.
const PROFILE: &str = "simulation";
