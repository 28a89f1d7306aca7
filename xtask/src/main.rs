//! Everything that builds, checks and tests Ottla: `cargo xtask <command>`.

use std::process::ExitCode;

use clap::Parser;

mod acceptance;
mod api;
mod bench;
mod ci;
mod codegen;
mod demo;
mod faults;
mod fuzz;
mod guard;
mod interrupt;
mod kafka;
mod layers;
mod links;
mod loom;
mod maven;
mod metadata;
#[cfg(feature = "messages")]
mod oracle;
mod portable;
mod program;
mod project;
#[cfg(feature = "messages")]
mod roundtrip;
#[cfg(test)]
mod scenarios;
mod security;
mod simulation;
mod test;
mod transactions;
#[cfg(feature = "messages")]
mod tuning;

/// Everything that builds, checks and tests Ottla.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Send lines through the program into a real Kafka, and compare what Java and kcat read back.
    Acceptance(acceptance::Arguments),
    /// Write what each library offers to others into `docs/api`, or say what the lists there miss.
    Api(api::Arguments),
    /// Measure how fast Ottla is, by itself or beside other clients.
    Bench(bench::Arguments),
    /// Run all checks that a change has to pass, and say what each took.
    Ci(ci::Arguments),
    /// Write the Rust types of all Kafka messages, from the schemas in the jar of kafka-clients.
    Codegen(codegen::Arguments),
    /// Send this repository's change log into a real Kafka, and read it back.
    Demo,
    /// Write to three real brokers while they are killed, frozen and restarted, and check what came of each record.
    Faults(faults::Arguments),
    /// Run the fuzz targets, for seconds or for as long as wanted.
    Fuzz(fuzz::Arguments),
    /// Fetch a Kafka's jars from Maven's registry and print the folder that holds them.
    Jars(maven::Arguments),
    /// Start or end a real Kafka on 127.0.0.1.
    #[command(subcommand)]
    Kafka(kafka::Action),
    /// Prove that the crates depend on each other only downwards, and on no I/O where there must be none.
    Layers,
    /// Try every interleaving of two threads where they share more than a lock.
    Loom,
    /// Compare our encoding of all messages with that of the Java client, over random instances.
    #[cfg(feature = "messages")]
    Oracle(oracle::Arguments),
    /// Decode and encode the messages on standard input, one a line: `KEY KIND VERSION HEX`.
    #[cfg(feature = "messages")]
    Roundtrip,
    /// Go through every door of a real Kafka, with Java's console producer beside ours: both get through, or neither.
    Security(security::Arguments),
    /// Run the producer and its brokers in a simulated world, seed after seed.
    Sim(simulation::Arguments),
    /// Run all tests, with a real Kafka; the last line is `N passed, N failed, N skipped`.
    Test,
    /// Write transactions into real brokers that die, with a client that is killed, and check what readers see.
    Transactions(transactions::Arguments),
    /// Measure what batch.size and linger.ms do, and draw the manual's plots of it.
    #[cfg(feature = "messages")]
    Tuning(tuning::Arguments),
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        interrupt::end_on_signals()?;
        match self {
            Self::Acceptance(arguments) => acceptance::run(&arguments),
            Self::Api(arguments) => api::run(&arguments),
            Self::Bench(arguments) => bench::run(&arguments),
            Self::Ci(arguments) => ci::run(&arguments),
            Self::Codegen(arguments) => codegen::run(&arguments),
            Self::Demo => demo::run(),
            Self::Faults(arguments) => faults::run(&arguments),
            Self::Fuzz(arguments) => fuzz::run(&arguments),
            Self::Jars(arguments) => maven::run(&arguments),
            Self::Kafka(action) => kafka::run(action),
            Self::Layers => layers::run(),
            Self::Loom => loom::run(),
            #[cfg(feature = "messages")]
            Self::Oracle(arguments) => oracle::run(&arguments),
            #[cfg(feature = "messages")]
            Self::Roundtrip => roundtrip::run(),
            Self::Security(arguments) => security::run(&arguments),
            Self::Sim(arguments) => simulation::run(&arguments),
            Self::Test => test::run(),
            Self::Transactions(arguments) => transactions::run(&arguments),
            #[cfg(feature = "messages")]
            Self::Tuning(arguments) => tuning::run(&arguments),
        }
    }
}

fn main() -> ExitCode {
    if api::is_rustdoc() {
        return api::rustdoc();
    }
    match Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<project::Reported>() => ExitCode::FAILURE,
        Err(error) => {
            // One line for people: causes follow on the same line (`{:#}`), a backtrace helps nobody here.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
