//! The `ottla` program: sends records to Apache Kafka from files and standard input, and measures and checks producing.
//!
//! Exit codes: 0 all acknowledged; 1 a delivery or a connection failed; 2 usage or configuration; 3 input; 130 after
//! SIGINT.

mod arguments;
mod broker;
mod config;
mod connection;
mod exit;
mod interrupt;
mod label;
mod outcomes;
mod pace;
mod park;
mod perf;
mod produce;
mod queue;
mod shell;
mod transactions;
mod verifiable;

use arguments::{Command, Program};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap itself ends with 2 on bad usage and with 0 after help.
    let result = match Program::parse().command {
        Command::Produce(arguments) => produce::run(&arguments),
        Command::Perf(arguments) => perf::run(&arguments),
        Command::Verifiable(arguments) => verifiable::run(&arguments),
        Command::Broker(arguments) => broker::run(&arguments),
        Command::Config(command) => config::run(&command),
        Command::Completions(arguments) => shell::completions(&arguments),
        Command::Man(arguments) => shell::man(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
