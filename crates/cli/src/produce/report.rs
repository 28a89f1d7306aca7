//! Outcomes, in the order of the input: counted, and told.

use super::console::Console;
use crate::park::Parker;
use ottla::{Delivery, Error, RecordMetadata};
use ottla_formats::json;
use ottla_formats::template::{Place, Template};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

/// Records that are handed to the reporter together: enough that the hand-over costs nothing for each.
pub(super) const CHUNK_RECORDS: usize = 1_024;
/// Chunks that wait for their acknowledgements. A quarter of a million records: more than `buffer.memory` holds by
/// default of records of 100 bytes, so that one slow partition does not hold up the others at once.
pub(super) const CHUNKS_WAITING_MAX: usize = 256;

/// A record that was read, in the order of the input.
pub(super) enum Sent {
    /// Queued; its outcome is to come.
    Delivery(Delivery),
    /// Not queued, and why.
    Refused(Box<Error>),
    /// Longer than any record may be; it was not even read whole.
    TooLong,
    /// A line that holds no record.
    Nothing,
}

/// How many records came to what. Only the reporter writes it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    acked: AtomicU64,
    failed: AtomicU64,
    /// Set by the sender before it aborts a transaction: what fails from then on fails by that.
    aborting: AtomicBool,
}

impl Counters {
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// From now on failures are not told one by one.
    pub(super) fn abort(&self) {
        self.aborting.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_aborting(&self) -> bool {
        self.aborting.load(Ordering::Relaxed)
    }
}

/// Awaits the outcomes in order. One line for each goes to `out`, if there is an `out`.
pub(super) struct Reporter<W> {
    lines: Option<Lines<W>>,
    counters: Arc<Counters>,
    console: Console,
    too_long: String,
    line: u64,
}

/// What is not told on standard error any more, once it has become a flood.
const FAILURES_TOLD_MAX: u64 = 10;

impl<W: Write> Reporter<W> {
    /// `record_bytes_max` is for the message about records that are too long.
    pub(super) fn new(
        out: Option<(W, Form, &str)>,
        counters: Arc<Counters>,
        console: Console,
        record_bytes_max: usize,
    ) -> Reporter<W> {
        Reporter {
            lines: out.map(|(out, form, topic)| Lines::new(out, form, topic)),
            counters,
            console,
            too_long: format!("the record is longer than max.request.size={record_bytes_max}"),
            line: 0,
        }
    }

    /// Runs until no chunk can come any more. An error is one of writing the lines; counting goes on after it.
    pub(super) fn run(
        mut self,
        chunks: &Receiver<Vec<Sent>>,
        memory: &SyncSender<Vec<Sent>>,
    ) -> io::Result<()> {
        let parker = Parker::new();
        loop {
            let mut chunk = match chunks.try_recv() {
                Ok(chunk) => chunk,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.flush();
                    match chunks.recv() {
                        Ok(chunk) => chunk,
                        Err(_) => break,
                    }
                }
            };
            for sent in chunk.drain(..) {
                self.line += 1;
                self.report(sent, &parker);
            }
            let _ = memory.try_send(chunk);
            self.console.settled(self.line);
        }
        self.flush();
        let told = self.counters.failed().saturating_sub(FAILURES_TOLD_MAX);
        if told > 0 && !self.counters.is_aborting() {
            self.console.error(&format!("{told} more records failed"));
        }
        self.lines.map_or(Ok(()), Lines::end)
    }

    fn report(&mut self, sent: Sent, parker: &Parker) {
        match sent {
            Sent::Nothing => {}
            Sent::Delivery(delivery) => {
                if !delivery.is_resolved() {
                    // Whoever reads the lines sees all that is known before we wait.
                    self.flush();
                }
                match parker.wait(delivery) {
                    Ok(metadata) => self.acked(&metadata),
                    Err(error) => self.failed(&error.to_string(), &error.persistence().to_string()),
                }
            }
            Sent::Refused(error) => self.failed(&error.to_string(), &error.persistence().to_string()),
            Sent::TooLong => {
                let reason = self.too_long.clone();
                self.failed(&reason, "not persisted");
            }
        }
    }

    fn acked(&mut self, metadata: &RecordMetadata) {
        self.counters
            .acked
            .store(self.counters.acked() + 1, Ordering::Relaxed);
        if let Some(lines) = &mut self.lines {
            lines.acked(
                self.line,
                metadata.partition(),
                metadata.offset(),
                metadata.timestamp_ms(),
            );
        }
    }

    fn failed(&mut self, error: &str, persistence: &str) {
        let failed = self.counters.failed() + 1;
        self.counters.failed.store(failed, Ordering::Relaxed);
        if failed <= FAILURES_TOLD_MAX && !self.counters.is_aborting() {
            self.console.error(&format!("line {}: {error}", self.line));
        }
        if let Some(lines) = &mut self.lines {
            lines.failed(self.line, error, persistence);
        }
    }

    fn flush(&mut self) {
        if let Some(lines) = &mut self.lines {
            lines.flush();
        }
    }
}

/// What is printed of each record.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A line of JSON, of every record.
    Json,
    /// What `-o` says, of those that were acknowledged.
    Template(Template),
}

/// Lines, gathered to big writes.
struct Lines<W> {
    out: W,
    form: Form,
    buffer: Vec<u8>,
    topic: String,
    /// `,"topic":"…"`, the same in every line of JSON.
    prefix: Vec<u8>,
    /// The first error of writing; nothing is written after it.
    error: Option<io::Error>,
}

/// A buffer of this size is written out.
const WRITE_BYTES: usize = 64 << 10;

impl<W: Write> Lines<W> {
    fn new(out: W, form: Form, topic: &str) -> Lines<W> {
        let mut prefix = b",\"topic\":".to_vec();
        json::string(&mut prefix, topic);
        Lines {
            out,
            form,
            buffer: Vec::with_capacity(WRITE_BYTES + 1_024),
            topic: topic.to_owned(),
            prefix,
            error: None,
        }
    }

    fn begin(&mut self, line: u64) {
        self.buffer.extend_from_slice(b"{\"line\":");
        json::integer(&mut self.buffer, line.cast_signed());
        self.buffer.extend_from_slice(&self.prefix);
    }

    fn acked(&mut self, line: u64, partition: i32, offset: Option<i64>, timestamp_ms: i64) {
        if let Form::Template(template) = &self.form {
            let place = Place {
                line,
                topic: &self.topic,
                partition,
                offset,
                timestamp_ms,
            };
            template.write(&place, &mut self.buffer);
            self.write_if_full();
            return;
        }
        self.begin(line);
        self.buffer.extend_from_slice(b",\"partition\":");
        json::integer(&mut self.buffer, i64::from(partition));
        self.buffer.extend_from_slice(b",\"offset\":");
        match offset {
            Some(offset) => json::integer(&mut self.buffer, offset),
            // Not told by the broker, as with acks=0.
            None => self.buffer.extend_from_slice(b"null"),
        }
        self.buffer.extend_from_slice(b",\"timestamp\":");
        json::integer(&mut self.buffer, timestamp_ms);
        self.end_line();
    }

    fn failed(&mut self, line: u64, error: &str, persistence: &str) {
        if matches!(self.form, Form::Template(_)) {
            return;
        }
        self.begin(line);
        self.buffer.extend_from_slice(b",\"error\":");
        json::string(&mut self.buffer, error);
        self.buffer.extend_from_slice(b",\"persistence\":");
        json::string(&mut self.buffer, persistence);
        self.end_line();
    }

    fn end_line(&mut self) {
        self.buffer.extend_from_slice(b"}\n");
        self.write_if_full();
    }

    fn write_if_full(&mut self) {
        if self.buffer.len() >= WRITE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.error.is_none()
            && !self.buffer.is_empty()
            && let Err(error) = self.out.write_all(&self.buffer).and_then(|()| self.out.flush())
        {
            self.error = Some(error);
        }
        self.buffer.clear();
    }

    /// A reader that has gone away wants no more lines, and that is no error.
    fn end(self) -> io::Result<()> {
        match self.error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn values(out: &[u8]) -> Vec<serde_json::Value> {
        out.split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn lines_are_json() {
        let mut lines = Lines::new(Vec::new(), Form::Json, "a\"b");
        lines.acked(1, 3, Some(i64::MAX), 1_700_000_000_000);
        lines.acked(2, 0, None, -1);
        lines.failed(3, "no \"way\"\n", "not persisted");
        lines.flush();
        let expected = [
            r#"{"line":1,"topic":"a\"b","partition":3,"offset":9223372036854775807,"timestamp":1700000000000}"#,
            r#"{"line":2,"topic":"a\"b","partition":0,"offset":null,"timestamp":-1}"#,
            r#"{"line":3,"topic":"a\"b","error":"no \"way\"\n","persistence":"not persisted"}"#,
        ];
        assert_eq!(
            String::from_utf8_lossy(&lines.out),
            expected.map(|line| format!("{line}\n")).concat()
        );
        assert_eq!(values(&lines.out).len(), 3);
    }

    /// Fails after so many bytes.
    struct Full(usize, io::ErrorKind);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(self.1.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn counting_goes_on_when_nobody_reads() {
        for (kind, is_error) in [
            (io::ErrorKind::BrokenPipe, false),
            (io::ErrorKind::StorageFull, true),
        ] {
            let counters = Arc::new(Counters::default());
            let out = Some((Full(100, kind), Form::Json, "t"));
            let reporter = Reporter::new(out, Arc::clone(&counters), Console::silent(), 5);
            let (chunks, receiver) = sync_channel(2);
            let (memory, _returned) = sync_channel(2);
            for _ in 0..2 {
                chunks
                    .send((0..1_000).map(|_| Sent::TooLong).collect())
                    .expect("room");
            }
            drop(chunks);
            assert_eq!(reporter.run(&receiver, &memory).is_err(), is_error, "{kind}");
            assert_eq!((counters.acked(), counters.failed()), (0, 2_000));
        }
    }
}
