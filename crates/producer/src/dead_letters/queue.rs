//! From a record that failed to its dead letter in a log.

use super::letter::{Extent, Letter};
use super::{DeadLetterCounts, DeadLetters, Stage};
use crate::{Error, Producer, Record};
use ottla_metrics::ClientSensor;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Dead letters that wait for metadata or memory of their producer take at most so many bytes; what comes beyond that is
/// lost, and counted.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Makes the producer of the letters.
type Make = Box<dyn Fn() -> Result<Producer, Error> + Send + Sync>;

/// Counts one in the metrics of the producer whose records they were.
type Tell = Box<dyn Fn(ClientSensor) + Send + Sync>;

/// Where dead letters go. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Inner>);

struct Inner {
    policy: DeadLetters,
    make: Make,
    tell: Tell,
    state: Mutex<State>,
    taken: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    producer: Option<Producer>,
    is_closed: bool,
    /// Letters whose outcome is not known, by their numbers.
    open: BTreeSet<u64>,
    /// The number of the next letter.
    next: u64,
    /// What letters take that are not with their producer yet.
    waiting_bytes: usize,
    wakers: Vec<Waker>,
}

impl Queue {
    pub(crate) fn new(
        policy: DeadLetters,
        make: impl Fn() -> Result<Producer, Error> + Send + Sync + 'static,
        tell: impl Fn(ClientSensor) + Send + Sync + 'static,
    ) -> Queue {
        Queue(Arc::new(Inner {
            policy,
            make: Box::new(make),
            tell: Box::new(tell),
            state: Mutex::default(),
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }))
    }

    /// Makes a dead letter of a record, if its error is for good; the error then says so. `missing` are parts that could
    /// not be serialized. It never waits.
    pub(crate) fn take(
        &self,
        record: Record<'_>,
        partition: Option<i32>,
        error: Error,
        stage: Stage,
        missing: Vec<&'static str>,
    ) -> Error {
        let inner = &self.0;
        if !error.is_refused_for_good() || record.topic_name() == inner.policy.topic() {
            return error;
        }
        let letter = Letter::new(&inner.policy, record, partition, &error, stage, missing);
        let (number, producer) = self.open();
        let letter = Arc::new(Numbered { number, letter });
        match producer {
            Some(producer) => self.submit(&producer, letter, Extent::Whole),
            None => self.settle(number, Fate::Lost),
        }
        error.into_dead_letter()
    }

    pub(crate) fn counts(&self) -> DeadLetterCounts {
        DeadLetterCounts {
            taken: self.0.taken.load(Ordering::Relaxed),
            written: self.0.written.load(Ordering::Relaxed),
            lost: self.0.lost.load(Ordering::Relaxed),
        }
    }

    /// Counts a letter, and gives it its number and the producer, started if it is not there; none if it cannot be, or
    /// all is closed.
    fn open(&self) -> (u64, Option<Producer>) {
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        (self.0.tell)(ClientSensor::DeadLetter);
        let mut state = self.0.state.lock();
        let number = state.next;
        state.next += 1;
        state.open.insert(number);
        if state.is_closed {
            return (number, None);
        }
        if state.producer.is_none() {
            // What does not work now is tried again with the next letter.
            state.producer = (self.0.make)().ok();
        }
        (number, state.producer.clone())
    }

    /// The letter's outcome is known.
    fn settle(&self, number: u64, fate: Fate) {
        let (count, sensor) = match fate {
            Fate::Written => (&self.0.written, ClientSensor::DeadLetterWritten),
            Fate::Lost => (&self.0.lost, ClientSensor::DeadLetterLost),
        };
        count.fetch_add(1, Ordering::Relaxed);
        (self.0.tell)(sensor);
        let mut state = self.0.state.lock();
        state.open.remove(&number);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Queues a letter now, or lets it wait on its producer's runtime.
    fn submit(&self, producer: &Producer, letter: Arc<Numbered>, extent: Extent) {
        let outcome = {
            let record = letter.letter.record(&self.0.policy, extent);
            producer.try_send_with(&record, self.callback(producer, &letter, extent))
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.would_wait() => self.wait(producer, letter, extent),
            Err(error) => self.failed(producer, letter, extent, &error),
        }
    }

    fn callback(
        &self,
        producer: &Producer,
        letter: &Arc<Numbered>,
        extent: Extent,
    ) -> impl FnOnce(Result<ottla_sender::RecordMetadata, Error>) + Send + 'static {
        let (queue, producer, letter) = (self.clone(), producer.clone(), Arc::clone(letter));
        move |outcome| match outcome {
            Ok(_) => queue.settle(letter.number, Fate::Written),
            Err(error) => queue.failed(&producer, letter, extent, &error),
        }
    }

    /// A letter that is too large goes once more, with less; any other is lost.
    fn failed(&self, producer: &Producer, letter: Arc<Numbered>, extent: Extent, error: &Error) {
        match extent.less().filter(|_| error.is_too_large()) {
            Some(less) => self.submit(producer, letter, less),
            None => self.settle(letter.number, Fate::Lost),
        }
    }

    fn wait(&self, producer: &Producer, letter: Arc<Numbered>, extent: Extent) {
        let bytes = letter.letter.bytes();
        {
            let mut state = self.0.state.lock();
            if state.waiting_bytes.saturating_add(bytes) > WAITING_BYTES_MAX {
                drop(state);
                return self.settle(letter.number, Fate::Lost);
            }
            state.waiting_bytes += bytes;
        }
        let waiting = Waiting {
            queue: self.clone(),
            bytes,
            number: Some(letter.number),
        };
        let (queue, producer) = (self.clone(), producer.clone());
        let runtime = producer.runtime().clone();
        runtime.spawn(async move {
            let mut waiting = waiting;
            let callback = queue.callback(&producer, &letter, extent);
            let outcome = producer
                .send_with(&letter.letter.record(&queue.0.policy, extent), callback)
                .await;
            // From here on it is counted elsewhere.
            waiting.number = None;
            if let Err(error) = outcome {
                queue.failed(&producer, letter, extent, &error);
            }
            drop(waiting);
        });
    }

    /// Waits until all letters so far are written or lost.
    pub(crate) async fn flush(&self) {
        let end = self.0.state.lock().next;
        poll_fn(|cx| {
            let mut state = self.0.state.lock();
            if state.open.first().is_none_or(|first| *first >= end) {
                return Poll::Ready(());
            }
            if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Takes no more letters, and gives those that are there so much time.
    pub(crate) async fn close(&self, timeout: Duration) {
        let producer = {
            let mut state = self.0.state.lock();
            state.is_closed = true;
            state.producer.clone()
        };
        let Some(producer) = producer else { return };
        let started = Instant::now();
        // One that is too large goes once more, with less: not any more when its producer is closed.
        let queue = self.clone();
        let settled = producer
            .runtime()
            .spawn(async move { tokio::time::timeout(timeout, queue.flush()).await });
        // The runtime may have ended, and with it what there was to wait for.
        let _ = settled.await;
        producer
            .close_own(timeout.saturating_sub(started.elapsed()))
            .await;
    }
}

/// What became of a letter.
#[derive(Clone, Copy)]
enum Fate {
    Written,
    Lost,
}

/// A letter, and its number among all.
struct Numbered {
    number: u64,
    letter: Letter,
}

/// A letter that waits, until it does not.
struct Waiting {
    queue: Queue,
    bytes: usize,
    /// The letter's number, until its outcome is counted elsewhere.
    number: Option<u64>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.queue.0.state.lock().waiting_bytes -= self.bytes;
        if let Some(number) = self.number {
            // The runtime has ended.
            self.queue.settle(number, Fate::Lost);
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("policy", &self.0.policy)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
