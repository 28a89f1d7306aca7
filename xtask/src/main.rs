//! Everything that builds, checks and tests Ottla: `cargo xtask <command>`.

use std::process::ExitCode;

use clap::Parser;

mod interrupt;
mod kafka;
mod maven;
mod project;

/// Everything that builds, checks and tests Ottla.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Fetch a Kafka's jars from Maven's registry and print the folder that holds them.
    Jars(maven::Arguments),
    /// Start or end a real Kafka on 127.0.0.1.
    #[command(subcommand)]
    Kafka(kafka::Action),
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        interrupt::end_on_signals()?;
        match self {
            Self::Jars(arguments) => maven::run(&arguments),
            Self::Kafka(action) => kafka::run(action),
        }
    }
}

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line for people: causes follow on the same line (`{:#}`), a backtrace helps nobody here.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
