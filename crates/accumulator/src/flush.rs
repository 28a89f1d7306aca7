//! Which batches a flush waits for.

use crate::delivery::{DeliveryFailure, FailureKind};
use ottla_time::{mutant, points};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// Counts the incomplete batches by generation. A flush begins a new generation and waits until all older ones are
/// empty: what is sent after it belongs to the new one and neither delays it nor loses its linger (KAFKA-12870).
#[derive(Debug, Default)]
pub struct FlushTracker {
    /// The generation of batches that are created now: a copy of the truth under the lock, for readers.
    current: AtomicU64,
    inner: Mutex<Inner>,
    /// Bytes of the batches that are closed and incomplete, before compression.
    closed_bytes: AtomicUsize,
    /// The first batch that failed since somebody asked.
    failure: Mutex<Option<DeliveryFailure>>,
    /// How many records failed since somebody asked, by topic: bounded by the topics that are sent to.
    failed: Mutex<BTreeMap<Arc<str>, u64>>,
    /// Whether there are any.
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// The generation of `incomplete[0]`; `base + incomplete.len() - 1` is the current one.
    base: u64,
    /// How many batches of each generation are incomplete. Bounded by the flushes that wait.
    incomplete: VecDeque<usize>,
    /// The waits: generation, which wait it is, and whom to wake. Each wait stands here at most once, and leaves when it
    /// is dropped.
    waiters: Vec<(u64, u64, Waker)>,
    next_wait: u64,
}

impl FlushTracker {
    /// The generation of batches that are created now. Batches of an older one have been flushed and must not linger.
    pub fn current(&self) -> u64 {
        points::reach("the generation is looked at");
        self.current.load(Ordering::Acquire)
    }

    /// How many batches are incomplete.
    pub fn incomplete(&self) -> usize {
        points::reach("what is incomplete is counted");
        self.inner.lock().incomplete.iter().sum()
    }

    /// Bytes of the batches that take no more records and are incomplete: what waits to be sent or acknowledged, before
    /// compression. The parts of a split batch do not count.
    pub fn closed_bytes(&self) -> usize {
        self.closed_bytes.load(Ordering::Relaxed)
    }

    /// The first failure of a batch since this was asked last. A batch that fails is counted as incomplete until this
    /// tells of it: who finds none incomplete, and then no failure, knows that all were acknowledged. What was dropped
    /// because its transaction is aborted is no failure.
    pub fn take_failure(&self) -> Option<DeliveryFailure> {
        points::reach("a failure is asked for");
        self.failure.lock().take()
    }

    /// Whether [`take_failure`](FlushTracker::take_failure) has one.
    pub fn has_failure(&self) -> bool {
        points::reach("a failure is looked for");
        self.failure.lock().is_some()
    }

    /// Whether [`tell_failed`](FlushTracker::tell_failed) has something to tell.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Tells how many records of each topic failed since this was asked last. Who asks while another is being told waits:
    /// what was told is where it belongs for everybody.
    pub fn tell_failed(&self, mut tell: impl FnMut(&Arc<str>, u64)) {
        let mut failed = self.failed.lock();
        self.has_failed.store(false, Ordering::Release);
        for (topic, records) in std::mem::take(&mut *failed) {
            tell(&topic, records);
        }
    }

    /// Counts a new batch, until its ticket is dropped.
    pub(crate) fn ticket(self: &Arc<Self>) -> FlushTicket {
        let mut inner = self.inner.lock();
        let generation = inner.current();
        // `current` made sure that there is an entry.
        if let Some(count) = inner.incomplete.back_mut() {
            *count += 1;
        }
        drop(inner);
        FlushTicket {
            tracker: Arc::clone(self),
            generation,
            closed_bytes: 0,
            released: AtomicBool::new(false),
        }
    }

    /// Counts a batch among those of `generation`: the parts of a split batch belong to whoever waits for the whole.
    pub(crate) fn ticket_in(self: &Arc<Self>, generation: u64) -> Option<FlushTicket> {
        let mut inner = self.inner.lock();
        let at = usize::try_from(generation.checked_sub(inner.base)?).ok()?;
        *inner.incomplete.get_mut(at)? += 1;
        drop(inner);
        Some(FlushTicket {
            tracker: Arc::clone(self),
            generation,
            closed_bytes: 0,
            released: AtomicBool::new(false),
        })
    }

    /// Begins a flush of everything that is incomplete now.
    pub fn begin(self: &Arc<Self>) -> FlushWait {
        let mut inner = self.inner.lock();
        let generation = inner.current();
        inner.incomplete.push_back(0);
        self.current.store(generation + 1, Ordering::Release);
        inner.retire();
        let wait = inner.next_wait;
        inner.next_wait += 1;
        drop(inner);
        FlushWait {
            tracker: Arc::clone(self),
            generation,
            wait,
        }
    }
}

impl Inner {
    fn current(&mut self) -> u64 {
        if self.incomplete.is_empty() {
            self.incomplete.push_back(0);
        }
        self.base + self.incomplete.len() as u64 - 1
    }

    /// Forgets the oldest generations that are empty; the current one stays.
    fn retire(&mut self) {
        while self.incomplete.len() > 1 && self.incomplete.front() == Some(&0) {
            self.incomplete.pop_front();
            self.base += 1;
        }
    }
}

/// A batch's share in the count of its generation, until the batch is complete.
#[derive(Debug)]
pub(crate) struct FlushTicket {
    tracker: Arc<FlushTracker>,
    generation: u64,
    /// What it counts for in the tracker's `closed_bytes`.
    closed_bytes: usize,
    released: AtomicBool,
}

impl FlushTicket {
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The batch takes no more records, and has so many bytes.
    pub(crate) fn close(&mut self, bytes: usize) {
        self.closed_bytes += bytes;
        self.tracker.closed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The batch has failed; said before it is released.
    pub(crate) fn failed(&self, failure: DeliveryFailure) {
        points::reach("a batch has its outcome, and its failure is not noted");
        if failure.kind != FailureKind::Aborted && !mutant!("commit with failed records") {
            self.tracker.failure.lock().get_or_insert(failure);
        }
    }

    /// So many records of the topic have failed with the batch.
    pub(crate) fn count_failed(&self, topic: &Arc<str>, records: u32) {
        let mut failed = self.tracker.failed.lock();
        *failed.entry(Arc::clone(topic)).or_default() += u64::from(records);
        // Under the lock: who sees the flag finds what it stands for.
        self.tracker.has_failed.store(true, Ordering::Release);
    }

    /// The batch is complete, although its memory may be held for longer. Only the first call counts.
    pub(crate) fn release(&self) {
        points::reach("a batch has its outcome, and is counted as incomplete");
        if self.released.swap(true, Ordering::Relaxed) && !mutant!("batch counted as complete twice") {
            return;
        }
        let closed_bytes = &self.tracker.closed_bytes;
        closed_bytes.fetch_sub(self.closed_bytes, Ordering::Relaxed);
        let mut inner = self.tracker.inner.lock();
        let at = usize::try_from(self.generation.wrapping_sub(inner.base)).unwrap_or(usize::MAX);
        if let Some(count) = inner.incomplete.get_mut(at) {
            *count -= 1;
        }
        inner.retire();
        let base = inner.base;
        let mut woken = Vec::new();
        inner.waiters.retain(|(generation, _, waker)| {
            let done = *generation < base;
            if done {
                woken.push(waker.clone());
            }
            !done
        });
        drop(inner);
        points::reach("a batch is complete, and nobody is told");
        for waker in woken {
            waker.wake();
        }
    }
}

impl Drop for FlushTicket {
    fn drop(&mut self) {
        self.release();
    }
}

/// Resolves when every batch that was incomplete when the flush began is complete, be it acknowledged or failed.
#[derive(Debug)]
#[must_use = "a flush waits only while it is polled"]
pub struct FlushWait {
    tracker: Arc<FlushTracker>,
    generation: u64,
    wait: u64,
}

impl Future for FlushWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.tracker.inner.lock();
        if inner.base > self.generation {
            return Poll::Ready(());
        }
        let mut old = None;
        match inner.waiters.iter_mut().find(|(_, wait, _)| *wait == self.wait) {
            Some((_, _, waker)) => old = Some(std::mem::replace(waker, cx.waker().clone())),
            None => inner
                .waiters
                .push((self.generation, self.wait, cx.waker().clone())),
        }
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

impl Drop for FlushWait {
    fn drop(&mut self) {
        let mut inner = self.tracker.inner.lock();
        let at = inner.waiters.iter().position(|(_, wait, _)| *wait == self.wait);
        let waiter = at.map(|at| inner.waiters.swap_remove(at));
        drop(inner);
        drop(waiter);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn done(wait: &mut FlushWait) -> bool {
        Pin::new(wait)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_flush_waits_for_what_was_there_and_for_nothing_later() {
        let tracker = Arc::new(FlushTracker::default());
        let before = tracker.ticket();
        let mut flush = tracker.begin();
        let after = tracker.ticket();
        assert!(before.generation() < tracker.current() && after.generation() == tracker.current());
        assert!(!done(&mut flush));
        drop(before);
        assert!(done(&mut flush));
        assert_eq!(tracker.incomplete(), 1);
        drop(after);
        assert_eq!(tracker.incomplete(), 0);
    }

    #[test]
    fn closed_bytes_count_until_the_batch_is_complete() {
        let tracker = Arc::new(FlushTracker::default());
        let (mut one, mut other) = (tracker.ticket(), tracker.ticket());
        assert_eq!(tracker.closed_bytes(), 0);
        one.close(1_000);
        other.close(20);
        assert_eq!(tracker.closed_bytes(), 1_020);
        one.release();
        drop(one);
        assert_eq!(tracker.closed_bytes(), 20);
        drop(other);
        assert_eq!(tracker.closed_bytes(), 0);
    }

    #[test]
    fn who_asks_for_failures_waits_until_another_was_told() {
        let tracker = Arc::new(FlushTracker::default());
        let ticket = tracker.ticket();
        ticket.count_failed(&Arc::from("t"), 3);
        assert!(tracker.has_failed());
        let (other_is_told, told) = std::sync::mpsc::channel();
        let mut records = 0;
        std::thread::scope(|scope| {
            tracker.tell_failed(|topic, count| {
                assert_eq!(&**topic, "t");
                let (tracker, other_is_told) = (&tracker, other_is_told.clone());
                scope.spawn(move || {
                    tracker.tell_failed(|_, _| panic!("they were told already"));
                    other_is_told.send(()).expect("the test listens");
                });
                // Can only fail if the other one does not wait, and then nearly always does.
                told.recv_timeout(Duration::from_millis(20))
                    .expect_err("it did not wait");
                records += count;
            });
            told.recv_timeout(Duration::from_secs(60))
                .expect("now it is its turn");
        });
        assert_eq!(records, 3);
        assert!(!tracker.has_failed());
    }

    #[test]
    fn an_empty_flush_is_done_at_once() {
        let tracker = Arc::new(FlushTracker::default());
        assert!(done(&mut tracker.begin()));
        assert!(done(&mut tracker.begin()));
    }

    #[test]
    fn a_flush_waits_for_children_of_splits() {
        let tracker = Arc::new(FlushTracker::default());
        let parent = tracker.ticket();
        let mut flush = tracker.begin();
        let child = tracker
            .ticket_in(parent.generation())
            .expect("the parent keeps its generation");
        drop(parent);
        assert!(!done(&mut flush));
        drop(child);
        assert!(done(&mut flush));
    }

    #[test]
    fn later_flushes_do_not_finish_before_earlier_batches() {
        let tracker = Arc::new(FlushTracker::default());
        let first = tracker.ticket();
        let mut one = tracker.begin();
        let second = tracker.ticket();
        let mut two = tracker.begin();
        drop(second);
        assert!(!done(&mut one) && !done(&mut two));
        drop(first);
        assert!(done(&mut one) && done(&mut two));
    }
}
