//! Outcomes in the order in which they come: a partition that waits holds back no other.

use crate::park::Parker;
use ottla::{Delivery, Error, RecordMetadata};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::Poll;
use std::thread::{self, Thread};

/// Records that are handed over together: enough that the hand-over costs nothing for each.
const CHUNK_RECORDS: usize = 1_024;
/// Chunks on their way.
const CHUNKS_MAX: usize = 16;
/// Records that wait for their outcome; with it, the memory of what stands beside them is bounded. More than
/// `buffer.memory` holds by default of records of 100 bytes.
const WAITING_MAX: usize = 1 << 18;

/// What became of a record.
pub(crate) type Outcome = Result<RecordMetadata, Error>;

/// A record that was sent, or that could not be; `T` is what the receiver knows it by.
enum Sent<T> {
    Delivery(T, Delivery),
    Refused(T, Error),
}

/// The sending end. Dropping it lets the receiver end.
pub(crate) struct OutcomeSender<T> {
    chunk: Vec<Sent<T>>,
    chunks: SyncSender<Vec<Sent<T>>>,
    receiver: Thread,
}

/// The receiving end, for another thread.
pub(crate) struct OutcomeReceiver<T> {
    chunks: Receiver<Vec<Sent<T>>>,
    /// By partition. Outcomes of a partition come in order, so only the first of each is looked at.
    waiting: Vec<VecDeque<(T, Delivery)>>,
    count: usize,
}

/// Starts a thread that receives, and calls it with the receiving end.
pub(crate) fn spawn<T: Send + 'static, R: Send + 'static>(
    name: &str,
    receive: impl FnOnce(OutcomeReceiver<T>) -> R + Send + 'static,
) -> std::io::Result<(OutcomeSender<T>, thread::JoinHandle<R>)> {
    let (sender, chunks) = sync_channel(CHUNKS_MAX);
    let receiver = OutcomeReceiver {
        chunks,
        waiting: Vec::new(),
        count: 0,
    };
    let handle = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || receive(receiver))?;
    let sender = OutcomeSender {
        chunk: Vec::with_capacity(CHUNK_RECORDS),
        chunks: sender,
        receiver: handle.thread().clone(),
    };
    Ok((sender, handle))
}

impl<T> OutcomeSender<T> {
    /// A record that is queued.
    pub(crate) fn queued(&mut self, record: T, delivery: Delivery) {
        self.push(Sent::Delivery(record, delivery));
    }

    /// A record that was not queued.
    pub(crate) fn refused(&mut self, record: T, error: Error) {
        self.push(Sent::Refused(record, error));
    }

    fn push(&mut self, sent: Sent<T>) {
        self.chunk.push(sent);
        if self.chunk.len() >= CHUNK_RECORDS {
            self.hand_over();
        }
    }

    /// Gives what was sent to the receiver: whoever is going to wait calls this first.
    pub(crate) fn hand_over(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_RECORDS));
        // The receiver ends only after this end of the queue is closed.
        let _ = self.chunks.send(chunk);
        self.receiver.unpark();
    }
}

impl<T> Drop for OutcomeSender<T> {
    fn drop(&mut self) {
        self.hand_over();
        // The queue is closed before the receiver wakes to look at it.
        let (closed, _) = sync_channel(0);
        self.chunks = closed;
        self.receiver.unpark();
    }
}

impl<T> OutcomeReceiver<T> {
    /// Calls `take` with each outcome as it comes, and `idle` before it waits, until the sender is gone and nothing is
    /// open any more.
    pub(crate) fn run(mut self, mut take: impl FnMut(T, Outcome), mut idle: impl FnMut()) {
        let parker = Parker::new();
        let mut open = true;
        while open || self.count > 0 {
            let mut progressed = false;
            if open && self.count < WAITING_MAX {
                match self.chunks.try_recv() {
                    Ok(chunk) => {
                        progressed = true;
                        self.admit(chunk, &mut take);
                    }
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => {
                        open = false;
                        continue;
                    }
                }
            }
            progressed |= self.poll(&parker, &mut take);
            if !progressed {
                idle();
                thread::park();
            }
        }
        idle();
    }

    fn admit(&mut self, chunk: Vec<Sent<T>>, take: &mut impl FnMut(T, Outcome)) {
        for sent in chunk {
            match sent {
                Sent::Refused(record, error) => take(record, Err(error)),
                Sent::Delivery(record, delivery) => {
                    let partition = usize::try_from(delivery.partition()).unwrap_or(0);
                    if partition >= self.waiting.len() {
                        self.waiting.resize_with(partition + 1, VecDeque::new);
                    }
                    self.waiting[partition].push_back((record, delivery));
                    self.count += 1;
                }
            }
        }
    }

    /// Takes all outcomes that stand, and asks to be woken for the next. True if there was one.
    fn poll(&mut self, parker: &Parker, take: &mut impl FnMut(T, Outcome)) -> bool {
        let mut progressed = false;
        for queue in &mut self.waiting {
            while let Some((_, delivery)) = queue.front_mut() {
                let Poll::Ready(outcome) = parker.poll(Pin::new(delivery)) else {
                    break;
                };
                if let Some((record, _)) = queue.pop_front() {
                    take(record, outcome);
                }
                self.count -= 1;
                progressed = true;
            }
        }
        progressed
    }
}
