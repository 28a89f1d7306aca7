//! The command line.

use crate::{broker, config, perf, produce, shell, verifiable};
use clap::{Parser, Subcommand};

/// A producer for Apache Kafka.
#[derive(Debug, Parser)]
#[command(
    name = "ottla",
    version,
    arg_required_else_help = true,
    subcommand_required = true
)]
#[command(after_help = "\
Try it, with a broker in memory: type lines, and end with Ctrl-D:
  ottla produce -b embedded -t orders --output json

`ottla <COMMAND> --help` says more; `ottla config list` shows every setting.

Exit codes: 0 all acknowledged; 1 a delivery or a connection failed; 2 usage or configuration;
3 input; 130 after Ctrl-C.")]
pub(crate) struct Program {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send lines or files as records
    Produce(Box<produce::Arguments>),
    /// Measure throughput and latency, as kafka-producer-perf-test does
    Perf(Box<perf::Arguments>),
    /// Send numbers and print what became of each, as kafka-verifiable-producer does
    Verifiable(verifiable::Arguments),
    /// Run a Kafka broker in memory, for tests and first steps
    Broker(broker::Arguments),
    /// Show, print and check the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print a script that lets a shell complete flags and values
    Completions(shell::Completions),
    /// Write the manual pages
    Man(shell::Man),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together() {
        Program::command().debug_assert();
    }
}
