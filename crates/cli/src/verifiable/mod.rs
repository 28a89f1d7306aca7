//! `ottla verifiable`: the counterpart of kafka-verifiable-producer.
//!
//! Records with rising numbers, and for each a line of JSON with where it is, or why it is not there. Lines come in the
//! order in which outcomes come, so that a partition in trouble hides nothing of the others.

mod arguments;
mod report;
mod values;

pub(crate) use arguments::Arguments;

use crate::connection::build_with_embedded;
use crate::exit::{self, Failure};
use crate::interrupt::{self, Interrupt};
use crate::outcomes::{self, OutcomeSender};
use crate::pace::Pace;
use crate::park::Parker;
use crate::queue::{Queued, queue};
use ottla::{Producer, Record, Topic};
use report::Report;
use std::cell::RefCell;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use values::Values;

/// Sends until the count is reached or a signal comes, and waits for all outcomes.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (_embedded, config) = build_with_embedded(&arguments.connection, arguments.builder()?, false)?;
    if config.transactional_id().is_some() {
        return Err(Failure::usage(
            "transactional.id: verifiable sends without transactions, as Java's tool does",
        ));
    }
    let close_timeout = config.delivery_timeout();
    let producer = Producer::builder()
        .config(config)
        .build()
        .map_err(Failure::delivery)?;
    let interrupt = Interrupt::listen(|| {})
        .map_err(|error| Failure::delivery(format!("cannot listen for signals: {error}")))?;

    let values = Values {
        prefix: arguments.value_prefix,
        repeating_keys: arguments.repeating_keys,
        bytes: arguments.value_bytes.unwrap_or(0) as usize,
    };
    let nobody_reads = Arc::new(AtomicBool::new(false));
    let mut report = Report::new(io::stdout(), &arguments.topic, values, Arc::clone(&nobody_reads));
    let start = Instant::now();
    report.event("startup_complete");
    let (sender, reporter) = outcomes::spawn("reporter", move |receiver| {
        let report = RefCell::new(report);
        receiver.run(
            |number, outcome| report.borrow_mut().outcome(number, &outcome),
            || report.borrow_mut().flush(),
        );
        report.into_inner()
    })
    .map_err(|error| Failure::delivery(format!("cannot start a thread: {error}")))?;

    let parker = Parker::new();
    let mut numbers = Numbers {
        arguments,
        values,
        producer: &producer,
        topic: producer.topic(&arguments.topic),
        interrupt: &interrupt,
        parker: &parker,
        outcomes: sender,
        start,
    };
    let sent = numbers.send(&nobody_reads);
    drop(numbers);
    parker.wait(producer.flush());
    let mut report = reporter
        .join()
        .map_err(|_| Failure::delivery("the reporter ended early, which is a defect"))?;
    parker.wait(producer.close(close_timeout));
    report.event("shutdown_complete");
    report.tool_data(sent, arguments.throughput, start.elapsed().as_secs_f64());
    if let Some(error) = report.error() {
        return Err(Failure::delivery(format!(
            "cannot write to standard output: {error}"
        )));
    }
    Ok(ExitCode::from(match interrupt.signal() {
        Some(signal) => interrupt::exit_code(signal),
        None if report.failed > 0 => exit::DELIVERY,
        None => return Ok(ExitCode::SUCCESS),
    }))
}

/// The sending loop.
struct Numbers<'a> {
    arguments: &'a Arguments,
    values: Values,
    producer: &'a Producer,
    topic: Topic,
    interrupt: &'a Interrupt,
    parker: &'a Parker,
    outcomes: OutcomeSender<u64>,
    start: Instant,
}

impl Numbers<'_> {
    /// Returns how many records were tried.
    fn send(&mut self, nobody_reads: &AtomicBool) -> u64 {
        let throughput = self.arguments.throughput;
        // Java's throttle at 0 waits for ever; a rate this low comes to the same.
        let rate = (throughput >= 0).then(|| (throughput as f64).max(f64::MIN_POSITIVE));
        let mut pace = Pace::new(rate, None, self.start);
        let (mut key, mut value) = (String::new(), String::new());
        let mut number = 0;
        while number < self.arguments.count() && !nobody_reads.load(Ordering::Relaxed) {
            if let Some(pace) = &mut pace {
                let due = pace.due(0);
                if due > Instant::now() {
                    self.outcomes.hand_over();
                    self.interrupt.wait_until(due);
                }
            }
            if self.interrupt.signal().is_some() {
                break;
            }
            let has_key = self.values.write_key(number, &mut key);
            self.values.write_value(number, &mut value);
            let mut record = Record::to(&self.topic).value(&value);
            if has_key {
                record = record.key(&key);
            }
            if let Some(time) = self.arguments.create_time() {
                record = record.timestamp_ms(time.saturating_add(milliseconds(self.start.elapsed())));
            }
            let outcomes = &mut self.outcomes;
            match queue(self.producer, &record, self.parker, self.interrupt, || {
                outcomes.hand_over();
            }) {
                Queued::Delivery(delivery) => self.outcomes.queued(number, delivery),
                Queued::Refused(error) => self.outcomes.refused(number, error),
                Queued::Interrupted => break,
            }
            number += 1;
        }
        number
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
