//! `ottla perf`: the counterpart of kafka-producer-perf-test.
//!
//! The main thread makes values and queues them; another one takes the outcomes as they come, so that the latency of a
//! record does not contain that of another partition.

mod arguments;
mod metrics;
mod payload;
#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "plot")]
mod series;
mod statistics;

pub(crate) use arguments::Arguments;

use crate::connection::build_with_embedded;
use crate::exit::{self, Failure};
use crate::interrupt::{self, Interrupt};
use crate::label;
use crate::outcomes::{self, OutcomeSender};
use crate::pace::Pace;
use crate::park::Parker;
use crate::queue::{Queued, queue};
use crate::transactions::Transactions;
use ottla::{Error, Producer, Record};
use payload::Payloads;
#[cfg(feature = "plot")]
use series::Series;
use statistics::Statistics;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

/// Failures that are told one by one.
const FAILURES_TOLD_MAX: u64 = 10;

/// Sends all records and tells how fast.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.check()?;
    let (_embedded, config) = build_with_embedded(&arguments.connection, arguments.builder()?, false)?;
    let mut payloads = arguments.payloads()?;
    if let Some(count) = payloads.listed() {
        tell(&mut io::stdout(), &format!("Number of messages read: {count}"))?;
    }
    let close_timeout = config.delivery_timeout();
    let producer = Producer::builder()
        .config(config)
        .build()
        .map_err(Failure::delivery)?;
    let interrupt = Interrupt::listen(|| {})
        .map_err(|error| Failure::delivery(format!("cannot listen for signals: {error}")))?;
    let warmup = arguments.warmup_records();
    if warmup > 0 {
        let line = format!(
            "Warmup first {warmup} records. Steady state results will print after the complete test summary."
        );
        tell(&mut io::stdout(), &line)?;
    }

    let parker = Parker::new();
    let mut sending = Sending {
        producer: &producer,
        interrupt: &interrupt,
        parker: &parker,
        transactions: Transactions::of(&producer, &parker),
    };
    if let Some(transactions) = &mut sending.transactions {
        transactions.init().map_err(Failure::delivery)?;
    }
    let start = Instant::now();
    let mut results = Results::new(arguments, start);
    let (sender, reporter) = outcomes::spawn("statistics", move |receiver| {
        receiver.run(
            |sent: Sent, outcome| {
                results.take(&sent, outcome.as_ref().err(), Instant::now());
            },
            || {},
        );
        results
    })
    .map_err(|error| Failure::delivery(format!("cannot start a thread: {error}")))?;
    let sent = sending.run(arguments, &mut payloads, sender, start);
    parker.wait(producer.flush());
    let results = reporter
        .join()
        .map_err(|_| Failure::delivery("the statistics ended early, which is a defect"))?;
    let metrics = producer.metrics();
    parker.wait(producer.close(close_timeout));
    results.finish(arguments)?;
    if arguments.prints_metrics() {
        metrics::print(&metrics, &mut io::stdout())?;
    }
    sent.map_err(|error| Failure::delivery(format!("a transaction failed: {error}")))?;
    Ok(ExitCode::from(match interrupt.signal() {
        Some(signal) => interrupt::exit_code(signal),
        None if results.failed > 0 => exit::DELIVERY,
        None => return Ok(ExitCode::SUCCESS),
    }))
}

/// What is known of a record until its outcome comes.
struct Sent {
    at: Instant,
    bytes: u32,
    steady_state: bool,
}

/// The sending loop.
struct Sending<'a> {
    producer: &'a Producer,
    interrupt: &'a Interrupt,
    parker: &'a Parker,
    transactions: Option<Transactions<'a>>,
}

impl Sending<'_> {
    /// Sends all records. An error is one of a transaction.
    fn run(
        &mut self,
        arguments: &Arguments,
        payloads: &mut Payloads,
        mut outcomes: OutcomeSender<Sent>,
        start: Instant,
    ) -> Result<(), Error> {
        let topic = self.producer.topic(&arguments.topic);
        // Java's throttle at 0 waits for ever; a rate this low comes to the same.
        let rate = (arguments.throughput >= 0.0).then(|| arguments.throughput.max(f64::MIN_POSITIVE));
        let mut pace = Pace::new(rate, None, start);
        let warmup = arguments.warmup_records();
        for number in 0..arguments.num_records {
            if let Some(pace) = &mut pace {
                let due = pace.due(0);
                if due > Instant::now() {
                    outcomes.hand_over();
                    self.interrupt.wait_until(due);
                }
            }
            if self.interrupt.signal().is_some() {
                return self.abort();
            }
            if let Some(transactions) = &mut self.transactions {
                transactions.begin()?;
            }
            let value = payloads.next(number);
            let sent = Sent {
                at: Instant::now(),
                bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
                steady_state: warmup > 0 && number >= warmup,
            };
            let record = Record::to(&topic).value(value);
            match queue(self.producer, &record, self.parker, self.interrupt, || {
                outcomes.hand_over();
            }) {
                Queued::Delivery(delivery) => outcomes.queued(sent, delivery),
                Queued::Refused(error) => outcomes.refused(sent, error),
                Queued::Interrupted => return self.abort(),
            }
            if let Some(transactions) = &mut self.transactions
                && transactions.lasts(arguments.transaction_duration())
            {
                outcomes.hand_over();
                transactions.commit()?;
            }
        }
        outcomes.hand_over();
        self.transactions.as_mut().map_or(Ok(()), Transactions::commit)
    }

    fn abort(&mut self) -> Result<(), Error> {
        match &mut self.transactions {
            Some(transactions) => transactions.abort().map(drop),
            None => Ok(()),
        }
    }
}

/// Everything that outcomes add up to.
struct Results {
    whole: Statistics,
    steady: Option<Statistics>,
    interval: std::time::Duration,
    #[cfg(feature = "plot")]
    series: Option<Series>,
    #[cfg(feature = "plot")]
    start: Instant,
    #[cfg(feature = "plot")]
    end: Instant,
    failed: u64,
    out: io::Stdout,
}

impl Results {
    fn new(arguments: &Arguments, start: Instant) -> Results {
        let interval = arguments.reporting_interval();
        Results {
            whole: Statistics::new(false, interval, start),
            steady: None,
            interval,
            #[cfg(feature = "plot")]
            series: arguments.plot().map(|_| Series::new()),
            #[cfg(feature = "plot")]
            start,
            #[cfg(feature = "plot")]
            end: start,
            failed: 0,
            out: io::stdout(),
        }
    }

    fn take(&mut self, sent: &Sent, error: Option<&Error>, now: Instant) {
        if let Some(error) = error {
            self.failed += 1;
            if self.failed <= FAILURES_TOLD_MAX {
                // Nobody may be listening.
                let _ = writeln!(
                    io::stderr(),
                    "{} {error} ({})",
                    label::error(),
                    error.persistence()
                );
            }
            return;
        }
        let latency = now.saturating_duration_since(sent.at);
        let bytes = u64::from(sent.bytes);
        #[cfg(feature = "plot")]
        {
            self.end = now;
        }
        #[cfg(feature = "plot")]
        if let Some(series) = &mut self.series {
            series.record(now.saturating_duration_since(self.start), latency, bytes);
        }
        // Lines that cannot be written are no reason to stop measuring; the last one tells.
        let _ = self.whole.record(latency, bytes, now, &mut self.out);
        if sent.steady_state {
            let steady = self.steady.get_or_insert_with(|| {
                self.whole.silence();
                Statistics::new(true, self.interval, sent.at)
            });
            let _ = steady.record(latency, bytes, now, &mut self.out);
        }
    }

    fn finish(&self, arguments: &Arguments) -> Result<(), Failure> {
        let mut lines = Vec::new();
        // Writing to memory cannot fail.
        let _ = self.whole.write_total(&mut lines);
        if let Some(steady) = &self.steady {
            let _ = steady.write_total(&mut lines);
        }
        tell(&mut io::stdout(), String::from_utf8_lossy(&lines).trim_end())?;
        let mut stderr = io::stderr();
        let _ = writeln!(stderr, "{}", self.whole.exact());
        if let Some(steady) = &self.steady {
            let _ = writeln!(stderr, "{}", steady.exact());
        }
        if self.failed > 0 {
            let _ = writeln!(stderr, "error: {} records failed", self.failed);
        }
        self.draw(arguments)
    }

    #[cfg(feature = "plot")]
    fn draw(&self, arguments: &Arguments) -> Result<(), Failure> {
        let (Some(series), Some(path)) = (&self.series, arguments.plot()) else {
            return Ok(());
        };
        let title = format!(
            "ottla perf: {} records into {}",
            arguments.num_records, arguments.topic
        );
        let points = series.drawn(self.end.saturating_duration_since(self.start));
        plot::write(path, &title, &points)
            .map_err(|error| Failure::delivery(format!("cannot draw {}: {error}", path.display())))
    }

    #[cfg(not(feature = "plot"))]
    fn draw(&self, _arguments: &Arguments) -> Result<(), Failure> {
        Ok(())
    }
}

/// A line on standard output; a reader that has gone away is no error.
fn tell(out: &mut impl Write, line: &str) -> Result<(), Failure> {
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::delivery(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}
