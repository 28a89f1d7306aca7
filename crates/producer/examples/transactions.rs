//! Numbered transactions, one after the other, and what became of each: what a program has to do about every error.
//!
//! ```text
//! cargo run --example transactions -- 127.0.0.1:9092 orders orders-1
//! ```
//!
//! Prints `begin T A` before the first record of attempt A at transaction T, and then `committed T A` or `aborted T A`.
//! A transaction that was begun and has no such line may be either: the program was killed, or it printed `unknown T A`.
//! Every seventh transaction is aborted on purpose. `cargo xtask transactions` kills this program and the brokers that it
//! writes to, and checks that a reader of committed records sees what these lines say.

use ottla::blocking::wait;
use ottla::{Error, Producer, Record};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Transactions are written in so many slices, with a pause behind each.
const SLICES: usize = 15;

struct Arguments {
    bootstrap: String,
    topic: String,
    transactional_id: String,
    /// The numbers of the first transaction and of the one behind the last.
    first: u64,
    end: u64,
    /// Records in each.
    records: usize,
    /// How long each takes at least.
    pause: Duration,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            eprintln!("arguments: BOOTSTRAP TOPIC TRANSACTIONAL_ID [FIRST [END [RECORDS [PAUSE_MS]]]]");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut given = std::env::args().skip(1);
    let mut text = |name: &str| given.next().ok_or(format!("{name} is missing"));
    let bootstrap = text("BOOTSTRAP")?;
    let topic = text("TOPIC")?;
    let transactional_id = text("TRANSACTIONAL_ID")?;
    let mut number = |name: &str, default: u64| match given.next() {
        None => Ok(default),
        Some(text) => text.parse().map_err(|error| format!("{name} {text}: {error}")),
    };
    Ok(Arguments {
        bootstrap,
        topic,
        transactional_id,
        first: number("FIRST", 0)?,
        end: number("END", 10)?,
        records: usize::try_from(number("RECORDS", 750)?).map_err(|error| error.to_string())?,
        pause: Duration::from_millis(number("PAUSE_MS", 0)?),
    })
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let producer = Producer::builder()
        .bootstrap_servers(&arguments.bootstrap)
        .set("transactional.id", &arguments.transactional_id)
        .set("max.block.ms", "10000")
        .set("request.timeout.ms", "5000")
        .build()?;
    repeat(|| wait(producer.init_transactions()))?;
    for number in arguments.first..arguments.end {
        let mut attempt = 0;
        while !transact(&producer, arguments, number, attempt)? {
            attempt += 1;
        }
    }
    wait(producer.close(Duration::from_secs(30)));
    Ok(())
}

/// One attempt. True if that was all for this transaction, false if its work has to be done again.
fn transact(producer: &Producer, arguments: &Arguments, number: u64, attempt: u32) -> Result<bool, Error> {
    let name = format!("{number} {attempt}");
    repeat(|| wait(producer.begin_transaction()))?;
    println!("begin {name}");
    let sent = send(producer, arguments, number, attempt);
    if sent.is_ok() && number % 7 != 3 {
        match repeat(|| wait(producer.commit_transaction())) {
            Ok(()) => {
                println!("committed {name}");
                return Ok(true);
            }
            Err(error) if error.is_abortable() => eprintln!("transaction {name}: {error}"),
            Err(error) => {
                // The producer is at its end; what it had printed before is all that is known.
                let verdict = if error.is_outcome_unknown() {
                    "unknown"
                } else {
                    "aborted"
                };
                println!("{verdict} {name}");
                return Err(error);
            }
        }
    } else if let Err(error) = &sent {
        eprintln!("transaction {name}: {error}");
    }
    // From here on it is not committed, whatever becomes of the abort.
    println!("aborted {name}");
    repeat(|| wait(producer.abort_transaction()))?;
    Ok(sent.is_ok() && number % 7 == 3)
}

/// Queues the records of a transaction. That they are delivered need not be awaited: the commit fails otherwise.
fn send(producer: &Producer, arguments: &Arguments, number: u64, attempt: u32) -> Result<(), Error> {
    let slice = arguments.records.div_ceil(SLICES).max(1);
    for index in 0..arguments.records {
        let value = format!("{number}.{attempt}.{index}");
        let partition = i32::try_from(index % 6).unwrap_or(0);
        let record = Record::to(&arguments.topic)
            .partition(partition)
            .key("-")
            .value(&value);
        drop(repeat(|| wait(producer.send(&record)))?);
        if index % slice == 0 {
            thread::sleep(arguments.pause / SLICES as u32);
        }
    }
    Ok(())
}

/// Repeats a call while that is what its error asks for.
fn repeat<T>(call: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match call() {
            Err(error) if error.is_retriable() => eprintln!("again: {error}"),
            done => return done,
        }
    }
}
