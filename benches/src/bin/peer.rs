//! Ottla's own entry in the comparison: `cargo xtask bench --peers` runs it beside the programs under `benches/peers`.
//!
//! The path is the facade's default one: idempotent, acks=all, an outcome for each record.

use std::collections::VecDeque;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use ottla::blocking::wait;
use ottla::{Deliveries, Delivery, Producer, Record, Topic};

#[path = "../../peers/common.rs"]
mod common;
use common::{Arguments, Mode, Moment, Pace, TRANSACTION_RECORDS, report, transactional_id};

/// How many records are sent between two looks for outcomes.
const LOOK_INTERVAL: u64 = 256;

/// How large a request may be: several full batches, as the others send them.
const REQUEST_BYTES_MAX: usize = 8_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let mut builder = Producer::builder()
        .bootstrap_servers(&arguments.bootstrap)
        .set("linger.ms", arguments.linger_ms.to_string())
        .set("batch.size", arguments.batch_bytes.to_string())
        .set("buffer.memory", arguments.buffer_bytes.to_string())
        .set("max.request.size", REQUEST_BYTES_MAX.to_string())
        .set("compression.type", &arguments.compression);
    if arguments.mode == Mode::Transactions {
        builder = builder.set("transactional.id", transactional_id());
    }
    let producer = builder.build()?;
    if arguments.mode == Mode::Transactions {
        wait(producer.init_transactions())?;
    }
    let topic = producer.topic(&arguments.topic);
    wait(producer.partition_count(&topic))?;
    let work = Work {
        arguments: &arguments,
        producer: &producer,
        topic: &topic,
    };
    work.send_all(arguments.warmup);
    let begin = Moment::now();
    let (failed, latencies) = work.send_all(arguments.count);
    let client = format!("ottla {}", env!("CARGO_PKG_VERSION"));
    let settings = format!("defaults, but max.request.size={REQUEST_BYTES_MAX}");
    report(&client, &settings, &arguments, &begin, failed, latencies)?;
    wait(producer.close(Duration::from_secs(30)));
    Ok(())
}

#[derive(Clone, Copy)]
struct Work<'a> {
    arguments: &'a Arguments,
    producer: &'a Producer,
    topic: &'a Topic,
}

impl<'a> Work<'a> {
    /// Sends from all threads and waits for all outcomes; how many failed, and how long each took if that is asked for.
    fn send_all(self, count: u64) -> (u64, Vec<Duration>) {
        if self.arguments.threads == 1 {
            return self.send_some(count);
        }
        let failed = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.arguments.threads)
                .map(|number| {
                    let share = self.arguments.share(count, number);
                    scope.spawn(move || self.send_some(share).0)
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no thread panics"))
                .sum()
        });
        (failed, Vec::new())
    }

    fn send_some(self, count: u64) -> (u64, Vec<Duration>) {
        match self.arguments.mode {
            Mode::Throughput => (wait(self.send(count)), Vec::new()),
            Mode::Await => (wait(self.send_awaited(count)), Vec::new()),
            Mode::Latency => self.send_timed(count),
            Mode::Transactions => (wait(self.send_in_transactions(count)), Vec::new()),
        }
    }

    /// A transaction whose commit fails counts with all of its records.
    async fn send_in_transactions(self, count: u64) -> u64 {
        let mut failed = 0;
        for begin in (0..count).step_by(TRANSACTION_RECORDS as usize) {
            let size = TRANSACTION_RECORDS.min(count - begin);
            if self.transact(begin, size).await.is_err() {
                failed += size;
            }
        }
        failed
    }

    async fn transact(self, begin: u64, size: u64) -> Result<(), ottla::Error> {
        let transaction = self.producer.begin().await?;
        for number in begin..begin + size {
            // The commit fails if any of them does.
            drop(self.producer.send(&self.record(number)).await?);
        }
        transaction.commit().await
    }

    fn record(self, number: u64) -> Record<'a> {
        let value = self.arguments.values.get(number);
        match self.arguments.keys.as_ref().map(|keys| keys.get(number)) {
            Some(key) => Record::to(self.topic).key(key).value(value),
            None => Record::to(self.topic).value(value),
        }
    }

    async fn send(self, count: u64) -> u64 {
        let mut deliveries = Deliveries::new();
        let mut failed = 0;
        for number in 0..count {
            match self.producer.send(&self.record(number)).await {
                Ok(delivery) => deliveries.push(delivery),
                Err(_) => failed += 1,
            }
            if number % LOOK_INTERVAL == 0 {
                failed += deliveries.take_resolved().failed;
            }
        }
        self.producer.flush().await;
        failed + deliveries.take_all().await.failed
    }

    async fn send_awaited(self, count: u64) -> u64 {
        let mut outstanding: VecDeque<Delivery> = VecDeque::with_capacity(self.arguments.window);
        let mut failed = 0;
        for number in 0..count {
            if outstanding.len() == self.arguments.window
                && let Some(oldest) = outstanding.pop_front()
            {
                failed += u64::from(oldest.await.is_err());
            }
            match self.producer.send(&self.record(number)).await {
                Ok(delivery) => outstanding.push_back(delivery),
                Err(_) => failed += 1,
            }
        }
        for delivery in outstanding {
            failed += u64::from(delivery.await.is_err());
        }
        failed
    }

    fn send_timed(self, count: u64) -> (u64, Vec<Duration>) {
        let (pace, mut latencies, mut failed) = (Pace::new(self.arguments.rate), Vec::new(), 0);
        for number in 0..count {
            thread::sleep(pace.due(number).saturating_duration_since(Instant::now()));
            let begin = Instant::now();
            let outcome = wait(async { self.producer.send(&self.record(number)).await?.await });
            latencies.push(begin.elapsed());
            failed += u64::from(outcome.is_err());
        }
        (failed, latencies)
    }
}
