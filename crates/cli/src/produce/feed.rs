//! The main thread: cuts blocks into records and queues them.

use super::arguments::{Arguments, InputForm};
use super::console::Console;
use super::format::InputProducer;
use super::input::{Input, records};

use super::report::{CHUNK_RECORDS, Counters, Sent};
use crate::interrupt::Interrupt;
use crate::pace::Pace;
use crate::park::Parker;
use crate::transactions::Transactions;
use ottla::{Delivery, Error, Producer, Record, Topic, TypedRecord};
use ottla_formats::envelope;
use ottla_formats::fields::Fields;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

/// Why nothing more is sent.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything was read, or as many records as were asked for, or a signal came.
    Whole,
    /// The input cannot be read any further.
    InputFailed(String),
    /// A record could not be queued, and the next could not either.
    GivenUp,
    /// A transaction could not be begun or committed.
    TransactionFailed(String),
}

/// A person who waits longer than this wants to know for what.
const PATIENCE: Duration = Duration::from_secs(3);

/// Queues records and hands their deliveries to the reporter.
pub(super) struct Feed<'a> {
    arguments: &'a Arguments,
    queue: Queue<'a>,
    topic: &'a Topic,
    interrupt: &'a Interrupt,
    parker: &'a Parker,
    console: &'a Console,
    counters: &'a Counters,
    max_block: Duration,
    pace: Option<Pace>,
    transactions: Option<Transactions<'a>>,
    left: u64,
    /// Lines so far.
    lines: u64,
    /// Records so far, however they stand in the input.
    records: u64,
    chunk: Vec<Sent>,
    chunks: SyncSender<Vec<Sent>>,
    used: Receiver<Vec<Sent>>,
    waited: bool,
}

/// The next step after a record.
type Step = Result<(), Ended>;

impl<'a> Feed<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "it only brings together what `run` made"
    )]
    pub(super) fn new(
        arguments: &'a Arguments,
        queue: Queue<'a>,
        topic: &'a Topic,
        interrupt: &'a Interrupt,
        parker: &'a Parker,
        console: &'a Console,
        counters: &'a Counters,
        max_block: Duration,
        chunks: SyncSender<Vec<Sent>>,
        used: Receiver<Vec<Sent>>,
    ) -> Feed<'a> {
        Feed {
            arguments,
            queue,
            topic,
            interrupt,
            parker,
            console,
            counters,
            max_block,
            pace: Pace::new(arguments.rate, arguments.max_bytes_rate, Instant::now()),
            transactions: Transactions::of(queue.producer, parker),
            left: arguments.count.unwrap_or(u64::MAX),
            lines: 0,
            records: 0,
            chunk: Vec::with_capacity(CHUNK_RECORDS),
            chunks,
            used,
            waited: false,
        }
    }

    /// Sends until the input ends. Blocks that are done go back through `memory`.
    pub(super) fn run(&mut self, inputs: &Receiver<Input>, memory: &SyncSender<Vec<u8>>) -> Ended {
        let ended = loop {
            if self.left == 0 || self.interrupt.signal().is_some() {
                break Ended::Whole;
            }
            let input = match inputs.try_recv() {
                Ok(input) => input,
                Err(TryRecvError::Disconnected) => break Ended::Whole,
                Err(TryRecvError::Empty) => {
                    self.hand_over();
                    match inputs.recv() {
                        Ok(input) => input,
                        Err(_) => break Ended::Whole,
                    }
                }
            };
            if let Err(ended) = self.take(input, memory) {
                break ended;
            }
        };
        self.hand_over();
        self.end_transaction(ended)
    }

    /// Commits what is open if all went well, and aborts it otherwise.
    fn end_transaction(&mut self, ended: Ended) -> Ended {
        let Some(transactions) = &mut self.transactions else {
            return ended;
        };
        if !transactions.is_open() {
            return ended;
        }
        let whole = matches!(ended, Ended::Whole) && self.interrupt.signal().is_none();
        let failed = if whole {
            transactions.commit().err()
        } else {
            self.counters.abort();
            match transactions.abort() {
                Ok(records) => {
                    let committed = transactions.committed;
                    self.console.note(&format!(
                        "note: the transaction is aborted; readers of committed records do not see its {records} \
                         records ({committed} were committed before)"
                    ));
                    None
                }
                Err(error) => Some(error),
            }
        };
        match failed {
            Some(error) if whole => Ended::TransactionFailed(error.to_string()),
            Some(error) => {
                self.console
                    .error(&format!("the transaction could not be aborted: {error}"));
                ended
            }
            None => ended,
        }
    }

    /// Before a record: a transaction is open.
    fn begin_transaction(&mut self) -> Step {
        let Some(transactions) = self.transactions.as_mut().filter(|it| !it.is_open()) else {
            return Ok(());
        };
        transactions
            .begin()
            .map_err(|error| Ended::TransactionFailed(error.to_string()))
    }

    /// After a record: a transaction that has its records is committed.
    fn count_in_transaction(&mut self) -> Step {
        let Some(transactions) = &mut self.transactions else {
            return Ok(());
        };
        transactions.count();
        if !self
            .arguments
            .txn_records
            .is_some_and(|records| transactions.holds(records))
        {
            return Ok(());
        }
        self.hand_over();
        match self.transactions.as_mut().map_or(Ok(()), Transactions::commit) {
            Ok(()) => Ok(()),
            Err(error) => Err(Ended::TransactionFailed(error.to_string())),
        }
    }

    fn take(&mut self, input: Input, memory: &SyncSender<Vec<u8>>) -> Step {
        match input {
            Input::Lines(block) => {
                for line in records(block.bytes(), self.arguments.record_delimiter()) {
                    self.line(line)?;
                }
                self.console.read(block.bytes().len() as u64);
                let _ = memory.try_send(block.into_memory());
                Ok(())
            }
            Input::Records(records, bytes) => {
                for fields in &records {
                    self.send_fields(fields)?;
                }
                self.console.read(bytes as u64);
                Ok(())
            }
            Input::Whole(bytes) => {
                self.send(&Parts::value(&bytes))?;
                self.console.read(bytes.len() as u64);
                Ok(())
            }
            Input::TooLong => {
                self.lines += 1;
                self.push(Sent::TooLong);
                self.left -= 1;
                Ok(())
            }
            Input::Failed(reason) => Err(Ended::InputFailed(reason)),
            Input::End | Input::Interrupted => Err(Ended::Whole),
        }
    }

    /// One line.
    fn line(&mut self, line: &[u8]) -> Step {
        self.lines += 1;
        if self.arguments.input != InputForm::Json {
            let (key, value) = self.split(line);
            let parts = Parts {
                key,
                ..Parts::default()
            };
            return self.send(&Parts { value, ..parts });
        }
        if line.trim_ascii().is_empty() {
            // An empty line is no record, but the report counts lines.
            self.push(Sent::Nothing);
            return Ok(());
        }
        match envelope::parse(line) {
            Ok(fields) => self.send_fields(&fields),
            Err(reason) => Err(Ended::InputFailed(format!("line {}: {reason}", self.lines))),
        }
    }

    fn send_fields(&mut self, fields: &Fields<'_>) -> Step {
        let headers: Vec<_> = fields
            .headers
            .iter()
            .map(|(name, value)| (&**name, value.as_deref()))
            .collect();
        self.send(&Parts {
            key: fields.key.as_deref(),
            value: fields.value.as_deref(),
            headers: &headers,
            // A layout speaks of the partition to have it used; in an envelope it is where the record came from.
            partition: fields
                .partition
                .filter(|_| self.arguments.input != InputForm::Json || self.arguments.keep_partition),
            timestamp_ms: fields.timestamp_ms,
            ..Parts::default()
        })
    }

    /// The key and the value of a line.
    fn split<'r>(&self, line: &'r [u8]) -> (Option<&'r [u8]>, Option<&'r [u8]>) {
        let Some(delimiter) = self.arguments.key_delimiter() else {
            return (None, Some(line));
        };
        let at = match *delimiter {
            [byte] => memchr::memchr(byte, line),
            _ => memchr::memmem::find(line, delimiter),
        };
        match at {
            Some(at) => (Some(&line[..at]), Some(&line[at + delimiter.len()..])),
            None => (None, Some(line)),
        }
    }

    /// Queues one record, and waits if it must.
    fn send(&mut self, parts: &Parts<'_>) -> Step {
        if self.left == 0 || self.interrupt.signal().is_some() {
            return Err(Ended::Whole);
        }
        let bytes = parts.key.map_or(0, <[u8]>::len) + parts.value.map_or(0, <[u8]>::len);
        self.keep_pace(bytes)?;
        self.begin_transaction()?;
        let parts = resolved(self.arguments, parts);
        self.left -= 1;
        self.records += 1;
        match self.queue.try_send(self.topic, &parts) {
            Ok(delivery) => {
                self.push(Sent::Delivery(delivery));
                self.count_in_transaction()
            }
            Err(error) if error.would_wait() => self.send_waiting(&parts),
            Err(error) if is_input(&error) => Err(self.bad_input(&error)),
            Err(error) => {
                // What the cluster refuses for the topic, or a transaction that is lost, it refuses for every record; a
                // record that is too large is its own trouble only.
                let give_up = error.code().is_some()
                        || error.is_closed()
                        || error.is_abortable()
                        || error.is_fatal()
                        // The registry's trouble is that of the next record, too.
                        || error.serialize_error().is_some();
                self.push(Sent::Refused(Box::new(error)));
                if give_up { Err(Ended::GivenUp) } else { Ok(()) }
            }
        }
    }

    /// Waits for metadata, memory or a schema. What cannot be had within `max.block.ms` the next record will not get either.
    fn send_waiting(&mut self, parts: &Parts<'_>) -> Step {
        self.hand_over();
        let (console, max_block, told) = (self.console, self.max_block, self.waited);
        let impatient = || {
            if !told {
                let seconds = max_block.as_secs();
                console.note(&format!(
                    "note: the brokers do not answer; waiting for up to {seconds} s (max.block.ms)"
                ));
            }
        };
        let started = Instant::now();
        let send = self.queue.send(self.topic, parts);
        let result = self
            .parker
            .wait_unless_interrupted(send, self.interrupt, PATIENCE, impatient);
        self.waited |= started.elapsed() >= PATIENCE;
        match result {
            None => Err(Ended::Whole),
            Some(Ok(delivery)) => {
                self.push(Sent::Delivery(delivery));
                self.count_in_transaction()
            }
            Some(Err(error)) if is_input(&error) => Err(self.bad_input(&error)),
            Some(Err(error)) => {
                self.push(Sent::Refused(Box::new(error)));
                Err(Ended::GivenUp)
            }
        }
    }

    /// A value that does not fit ends it, as a line that is no record.
    fn bad_input(&self, error: &Error) -> Ended {
        let place = match self.lines {
            0 => format!("record {}", self.records),
            lines => format!("line {lines}"),
        };
        Ended::InputFailed(format!("{place}: {error}"))
    }

    fn keep_pace(&mut self, bytes: usize) -> Step {
        let Some(pace) = &mut self.pace else { return Ok(()) };
        let due = pace.due(bytes);
        if due > Instant::now() {
            self.hand_over();
            self.interrupt.wait_until(due);
            if self.interrupt.signal().is_some() {
                return Err(Ended::Whole);
            }
        }
        Ok(())
    }

    fn push(&mut self, sent: Sent) {
        self.chunk.push(sent);
        if self.chunk.len() >= CHUNK_RECORDS {
            self.hand_over();
        }
    }

    /// Gives what was sent to the reporter; waits while too much is unanswered.
    fn hand_over(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let empty = self
            .used
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(CHUNK_RECORDS));
        self.console.queued(self.chunk.len());
        // The reporter ends only after this end of the queue is closed.
        let _ = self.chunks.send(std::mem::replace(&mut self.chunk, empty));
    }
}

/// What was read of a record.
#[derive(Clone, Copy, Default)]
struct Parts<'r> {
    key: Option<&'r [u8]>,
    value: Option<&'r [u8]>,
    headers: &'r [(&'r str, Option<&'r [u8]>)],
    /// The flags' headers, which follow those that were read.
    more_headers: &'r [(String, Option<String>)],
    partition: Option<i32>,
    timestamp_ms: Option<i64>,
}

impl<'r> Parts<'r> {
    fn value(value: &'r [u8]) -> Parts<'r> {
        Parts {
            value: Some(value),
            ..Parts::default()
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&'r str, Option<&'r [u8]>)> {
        let more = self.more_headers.iter();
        let more = more.map(|(name, value)| (name.as_str(), value.as_deref().map(str::as_bytes)));
        self.headers.iter().copied().chain(more)
    }

    fn record(&self, topic: &'r Topic) -> Record<'r> {
        let mut record = Record::to(topic);
        if let Some(key) = self.key {
            record = record.key(key);
        }
        if let Some(value) = self.value {
            record = record.value(value);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = self.timestamp_ms {
            record = record.timestamp_ms(timestamp);
        }
        self.headers()
            .fold(record, |record, (name, value)| record.header(name, value))
    }

    fn typed_record(&self, topic: &'r Topic) -> TypedRecord<'r, [u8], [u8]> {
        let mut record = TypedRecord::to(topic);
        if let Some(key) = self.key {
            record = record.key(key);
        }
        if let Some(value) = self.value {
            record = record.value(value);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = self.timestamp_ms {
            record = record.timestamp_ms(timestamp);
        }
        self.headers()
            .fold(record, |record, (name, value)| record.header(name, value))
    }
}

/// What is sent: a key that was read wins over the flag's, and a partition or a timestamp of a flag is that of every
/// record.
fn resolved<'r>(arguments: &'r Arguments, parts: &Parts<'r>) -> Parts<'r> {
    Parts {
        key: match parts.key {
            Some(key) => not_null(arguments, key),
            None => arguments.key.as_deref().map(str::as_bytes),
        },
        value: parts.value.and_then(|value| not_null(arguments, value)),
        headers: parts.headers,
        more_headers: &arguments.headers,
        partition: arguments.partition.or(parts.partition),
        timestamp_ms: arguments.timestamp.or(parts.timestamp_ms),
    }
}

/// Where records are queued: as bytes, or by the formats of keys and values.
#[derive(Clone, Copy)]
pub(super) struct Queue<'a> {
    producer: &'a Producer,
    typed: Option<&'a InputProducer>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(producer: &'a Producer, typed: Option<&'a InputProducer>) -> Queue<'a> {
        Queue { producer, typed }
    }

    fn try_send(&self, topic: &Topic, parts: &Parts<'_>) -> Result<Delivery, Error> {
        match self.typed {
            None => self.producer.try_send(&parts.record(topic)),
            Some(typed) => typed.try_send(&parts.typed_record(topic)),
        }
    }

    async fn send(&self, topic: &Topic, parts: &Parts<'_>) -> Result<Delivery, Error> {
        match self.typed {
            None => self.producer.send(&parts.record(topic)).await,
            Some(typed) => typed.send(&parts.typed_record(topic)).await,
        }
    }
}

/// Whether the record is at fault: its value does not fit its format or its schema. A registry that cannot be asked is
/// no fault of the input.
fn is_input(error: &Error) -> bool {
    use ottla::serialization::ErrorKind;
    error.serialize_error().is_some_and(|error| {
        let of_registry = matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Protocol);
        !error.is_retriable() && !of_registry
    })
}

/// What is sent for bytes that were read: nothing, if the flags say that they stand for null.
fn not_null<'r>(arguments: &Arguments, bytes: &'r [u8]) -> Option<&'r [u8]> {
    let is_null = (arguments.empty_is_null && bytes.is_empty())
        || arguments.null_marker().is_some_and(|marker| marker == bytes);
    (!is_null).then_some(bytes)
}
