//! `ottla-simulation [--seeds N] [--seed S] [--minutes M] [--trace] [--mutants [--only NAME]]
//! [--plant NAME]`: what `cargo xtask sim` builds and runs.

#![expect(
    clippy::disallowed_methods,
    reason = "this program measures how long the simulation takes; the simulation itself reads no clock"
)]

mod arguments;
mod campaign;
mod mutants;

use arguments::Arguments;
use campaign::Campaign;
use std::process::ExitCode;

/// From this many seeds on, each counter must have counted something.
const SEEDS_FOR_ALL_COUNTERS: u64 = 2_000;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.mutants {
        return mutants::hunt(arguments.seeds, arguments.only.as_deref());
    }
    if let Some(mutant) = &arguments.plant
        && !plant(mutant)
    {
        eprintln!("error: there is no bug {mutant:?}, or this program was built without them");
        return ExitCode::FAILURE;
    }
    if arguments.trace {
        let course = ottla_simulation::run(arguments.first, true);
        println!(
            "{}hash {:016x}, {:?} of virtual time",
            course.counters, course.hash, course.lasted
        );
        return match course.failure {
            Some(failure) => {
                println!("seed {}: {failure}", arguments.first);
                ExitCode::FAILURE
            }
            None => ExitCode::SUCCESS,
        };
    }
    let failures_max = match &arguments.plant {
        Some(_) => 1,
        None => campaign::FAILURES_SHOWN_MAX,
    };
    let campaign = Campaign::run(&arguments, failures_max);
    print!("{campaign}");
    let silent = campaign.silent_counters();
    if arguments.plant.is_none() && campaign.seeds() >= SEEDS_FOR_ALL_COUNTERS && !silent.is_empty() {
        println!("never happened: {}", silent.join(", "));
        return ExitCode::FAILURE;
    }
    if campaign.is_green() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(ottla_mutants)]
fn plant(mutant: &str) -> bool {
    mutants::MUTANTS.contains(&mutant) && ottla_time::mutants::plant(mutant)
}

#[cfg(not(ottla_mutants))]
fn plant(_mutant: &str) -> bool {
    false
}
