//! `cargo xtask bench`: how fast Ottla is, by itself and beside its peers.
//!
//! By itself: criterion's benches, and instruction counts that are held against committed figures. With `--peers`: the
//! same work through every client, in turns, each in a process of its own.

use std::path::PathBuf;

use crate::project;

mod case;
mod client;
mod distance;
mod goal;
mod instructions;
mod payload;
mod plot;
mod report;
mod round;
mod sample;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compare with other clients, and write docs/benchmarks.md if all cases were run.
    #[arg(long)]
    peers: bool,
    /// How often each client does each case [default: 5].
    #[arg(long, requires = "peers")]
    rounds: Option<usize>,
    /// Only these cases, separated by commas; `list` prints them.
    #[arg(long, requires = "peers", value_delimiter = ',')]
    cases: Vec<String>,
    /// Only these clients, separated by commas.
    #[arg(long, requires = "peers", value_delimiter = ',')]
    only: Vec<String>,
    /// Many times as many records as usual, or a part of them.
    #[arg(long, requires = "peers", default_value_t = 1.0)]
    scale: f64,
    /// Measure nothing: write docs/benchmarks.md from what a run has left in this file.
    #[arg(long, requires = "peers", value_name = "FILE")]
    from: Option<PathBuf>,
    /// Write docs/benchmarks.md whatever was run.
    #[arg(long, requires = "peers")]
    write: bool,
    /// Only the instruction counts, which need valgrind.
    #[arg(long, conflicts_with = "peers")]
    instructions: bool,
    /// Write the instruction counts down instead of comparing them.
    #[arg(long, requires = "instructions")]
    accept: bool,
}

/// `cargo xtask bench`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.peers {
        return peers(arguments);
    }
    if arguments.instructions {
        return instructions::run(arguments.accept);
    }
    project::run(project::cargo().args(["bench", "--package", "ottla-benches"]))?;
    instructions::run(false)
}

fn peers(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.cases.iter().any(|case| case == "list") {
        for case in case::CASES {
            println!("{:<24} {}", case.name, case.title);
        }
        return Ok(());
    }
    let whole = arguments.cases.is_empty() && arguments.only.is_empty();
    let run = match &arguments.from {
        Some(file) => sample::Run::read(file)?,
        None => round::run(&round::Options {
            rounds: arguments.rounds.unwrap_or(round::ROUNDS),
            cases: case::chosen(&arguments.cases)?,
            clients: client::chosen(&arguments.only)?,
            scale: arguments.scale,
        })?,
    };
    print!("{}", report::tables(&run));
    if arguments.write || arguments.from.is_some() || (whole && run.rounds() >= round::ROUNDS) {
        report::write(&run)?;
    }
    Ok(())
}
