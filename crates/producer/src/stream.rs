//! Streams of records, and a sink for them.

use crate::{Delivery, Error, Producer, Record};
use futures_core::Stream;
use futures_sink::Sink;
use ottla_sender::RecordMetadata;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How many records may be on their way before the first of them has to have its outcome: enough for large batches to many
/// partitions, and a few megabytes of state.
const UNDER_WAY_MAX: usize = 64 << 10;

type Sending = Pin<Box<dyn Future<Output = Result<Delivery, Error>> + Send>>;

impl Producer {
    /// Sends the records of a stream as they come, and yields their outcomes in the same order. It reads ahead as far as
    /// memory allows. A record that could not be queued yields its error, and the stream goes on.
    ///
    /// # Cancel safety
    /// If the stream of outcomes is dropped, what is queued by then is sent; a record that waits for memory is not.
    pub fn send_stream<S: Stream<Item = Record<'static>> + Unpin>(&self, records: S) -> Outcomes<S> {
        Outcomes {
            queue: Queue::new(self.clone()),
            records: Some(records),
        }
    }

    /// A sink for records. It is ready as long as there is memory. Flushing it flushes the producer, and waits for all that
    /// went through the sink; the first that was not delivered is the error. After an error it can be used on.
    pub fn sink(&self) -> RecordSink {
        RecordSink {
            queue: Queue::new(self.clone()),
            flushed: false,
        }
    }
}

/// The outcomes of a stream of records, from [`Producer::send_stream`].
#[must_use = "a stream sends nothing unless it is polled"]
pub struct Outcomes<S> {
    queue: Queue,
    /// `None` when it has ended.
    records: Option<S>,
}

impl<S: Stream<Item = Record<'static>> + Unpin> Stream for Outcomes<S> {
    type Item = Result<RecordMetadata, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while this.queue.poll_room(cx).is_ready() {
            let Some(records) = &mut this.records else { break };
            match Pin::new(records).poll_next(cx) {
                Poll::Ready(Some(record)) => this.queue.push(record),
                Poll::Ready(None) => this.records = None,
                Poll::Pending => break,
            }
        }
        match this.queue.poll_outcome(cx) {
            Poll::Ready(None) if this.records.is_some() => Poll::Pending,
            outcome => outcome,
        }
    }
}

/// A sink of records, from [`Producer::sink`].
#[must_use = "a sink sends nothing unless it is polled"]
pub struct RecordSink {
    queue: Queue,
    /// Whether a flush stands for all that the queue holds.
    flushed: bool,
}

impl Sink<Record<'static>> for RecordSink {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            // What is resolved makes room, and its errors are told as early as can be.
            while let Some(outcome) = self.queue.take_resolved() {
                outcome?;
            }
            if self.queue.poll_room(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.queue.sending.is_some() {
                return Poll::Pending;
            }
            // The queue is full: its first has to end.
            if let Some(outcome) = ready!(self.queue.poll_outcome(cx)) {
                outcome?;
            }
        }
    }

    fn start_send(mut self: Pin<&mut Self>, record: Record<'static>) -> Result<(), Error> {
        self.flushed = false;
        self.queue.push(record);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if !self.flushed && self.queue.poll_sent(cx).is_ready() {
                // The flush stands as soon as this returns; the outcomes are awaited here.
                drop(self.queue.producer.flush());
                self.flushed = true;
            }
            match ready!(self.queue.poll_outcome(cx)) {
                Some(outcome) => drop(outcome?),
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush(cx)
    }
}

/// Records on their way, in order: those that are queued, and at most one that waits for memory or metadata.
struct Queue {
    producer: Producer,
    outcomes: VecDeque<Result<Delivery, Error>>,
    sending: Option<Sending>,
}

impl Queue {
    fn new(producer: Producer) -> Queue {
        Queue {
            producer,
            outcomes: VecDeque::new(),
            sending: None,
        }
    }

    /// Queues the record, or begins to wait; only to be called while there is room.
    fn push(&mut self, record: Record<'static>) {
        match self.producer.try_send(&record) {
            Err(error) if error.would_wait() => {
                let producer = self.producer.clone();
                self.sending = Some(Box::pin(async move { producer.send(&record).await }));
            }
            outcome => self.outcomes.push_back(outcome),
        }
    }

    /// Ready when no record waits any more.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sending) = &mut self.sending {
            let outcome = ready!(sending.as_mut().poll(cx));
            self.sending = None;
            self.outcomes.push_back(outcome);
        }
        Poll::Ready(())
    }

    /// Ready when another record can be pushed.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_sent(cx));
        if self.outcomes.len() < UNDER_WAY_MAX {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The outcome of the first, if it stands.
    fn take_resolved(&mut self) -> Option<Result<RecordMetadata, Error>> {
        let outcome = match self.outcomes.front()? {
            Ok(delivery) => delivery.outcome()?,
            Err(error) => Err(error.clone()),
        };
        self.outcomes.pop_front();
        Some(outcome)
    }

    /// The outcome of the first; `None` if there is none on its way.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordMetadata, Error>>> {
        let sent = self.poll_sent(cx);
        let outcome = match self.outcomes.front_mut() {
            Some(Ok(delivery)) => ready!(Pin::new(delivery).poll(cx)),
            Some(Err(error)) => Err(error.clone()),
            None => return sent.map(|()| None),
        };
        self.outcomes.pop_front();
        Poll::Ready(Some(outcome))
    }
}

impl<S> fmt::Debug for Outcomes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes")
            .field("under_way", &self.queue.outcomes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSink")
            .field("under_way", &self.queue.outcomes.len())
            .finish_non_exhaustive()
    }
}
