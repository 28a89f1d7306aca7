//! What becomes of a record: one slot in its batch, resolved for the whole batch at once.

use crate::details::Details;
use crate::sync::{Mutex, Once};
use ottla_protocol::ErrorCode;
use ottla_time::{mutant, points};
use std::fmt;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Whether a record that failed is in the log: what a caller must know before it sends the record again.
///
/// Exhaustive on purpose: there is no fourth answer, and a caller must decide on each of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// Never written to a broker, or every attempt was answered "not appended": sending it again cannot duplicate it.
    NotPersisted,
    /// An attempt may have reached the log, and no answer said which. Sending it again may duplicate it.
    PossiblyPersisted,
    /// It is in the log, although the call failed.
    Persisted,
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Persistence::NotPersisted => "not persisted",
            Persistence::PossiblyPersisted => "possibly persisted",
            Persistence::Persisted => "persisted",
        })
    }
}

/// Why a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The broker refused the batch with this code, for good or more often than `retries` allows.
    Broker(ErrorCode),
    /// The broker refused the batch with this code because of other records in it, and has nothing against this one.
    Neighbours(ErrorCode),
    /// `delivery.timeout.ms` passed before an acknowledgement.
    Timeout,
    /// The connection failed, more often than `retries` allows.
    Network,
    /// The producer was closed before the record could be sent.
    Closed,
    /// The record's transaction is aborted, so it was not sent.
    Aborted,
    /// The batch could not be compressed or encoded.
    Encode,
    /// A defect of this library: the batch was given up without an outcome.
    Internal,
}

/// A delivery that failed: why, and what holds about the record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeliveryFailure {
    /// Why.
    pub kind: FailureKind,
    /// Whether the record is in the log.
    pub persistence: Persistence,
    /// More about it for people: the broker's own message, or the last error before the deadline. Shared by the batch.
    pub detail: Option<Arc<str>>,
}

impl DeliveryFailure {
    /// A failure without detail.
    pub fn new(kind: FailureKind, persistence: Persistence) -> DeliveryFailure {
        DeliveryFailure {
            kind,
            persistence,
            detail: None,
        }
    }

    /// The same about a record of which something else is known.
    pub fn with_persistence(mut self, persistence: Persistence) -> DeliveryFailure {
        self.persistence = persistence;
        self
    }

    /// The same with something to tell.
    pub fn with_detail(mut self, detail: impl Into<Arc<str>>) -> DeliveryFailure {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FailureKind::Broker(code) => write!(f, "the broker refused the record: {code}")?,
            FailureKind::Neighbours(code) => {
                write!(f, "the broker refused other records of the same batch: {code}")?
            }
            FailureKind::Timeout => f.write_str("not acknowledged within delivery.timeout.ms")?,
            FailureKind::Network => f.write_str("the connection failed and retries are used up")?,
            FailureKind::Closed => f.write_str("the producer was closed before the record was sent")?,
            FailureKind::Aborted => f.write_str("the record's transaction is aborted")?,
            FailureKind::Encode => f.write_str("the batch could not be encoded")?,
            FailureKind::Internal => {
                f.write_str("the batch was given up without an outcome, which is a defect")?
            }
        }
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        write!(f, "; {}", self.persistence)
    }
}

impl std::error::Error for DeliveryFailure {}

/// Where an acknowledged record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key_size: i32,
    value_size: i32,
}

impl RecordMetadata {
    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset in the partition; `None` where the broker did not tell (acks=0, or a duplicate that it had forgotten).
    pub fn offset(&self) -> Option<i64> {
        (self.offset >= 0).then_some(self.offset)
    }

    /// Milliseconds since the Unix epoch: the record's own timestamp, or the broker's append time where the topic is
    /// configured for LogAppendTime.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// Length of the serialized key in bytes; `None` for a null key.
    pub fn key_size(&self) -> Option<usize> {
        usize::try_from(self.key_size).ok()
    }

    /// Length of the serialized value in bytes; `None` for a null value.
    pub fn value_size(&self) -> Option<usize> {
        usize::try_from(self.value_size).ok()
    }
}

/// What a whole batch, or a part of a split one, came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// In the log. -1 for an offset or a time that the broker did not tell.
    Acked {
        base_offset: i64,
        log_append_time_ms: i64,
    },
    /// All of it failed, for one reason.
    Failed(DeliveryFailure),
    /// Refused because of some of its records (KIP-467): theirs by index, ascending; the others share one failure.
    Rejected {
        culprits: Vec<(u32, DeliveryFailure)>,
        others: DeliveryFailure,
    },
    /// Too large for the broker: its records went on in parts, which are resolved one by one.
    Split(Mutex<Vec<PartOutcome>>),
}

/// The outcome of some of a split batch's records.
#[derive(Debug)]
pub(crate) struct PartOutcome {
    /// The first record's index in the whole batch.
    first: u32,
    record_count: u32,
    outcome: Outcome,
}

impl PartOutcome {
    fn end(&self) -> u32 {
        self.first + self.record_count
    }

    /// Takes in the part that follows, if one outcome can stand for both: of a batch that was split down to single
    /// records, and acknowledged, one outcome is left.
    fn join(&mut self, next: &PartOutcome) -> bool {
        let (
            Outcome::Acked {
                base_offset,
                log_append_time_ms,
            },
            Outcome::Acked {
                base_offset: next_offset,
                log_append_time_ms: next_time_ms,
            },
        ) = (&self.outcome, &next.outcome)
        else {
            return false;
        };
        let follows = match *base_offset {
            // Not told for this one, and so for none.
            ..0 => *next_offset < 0,
            base => base.checked_add(i64::from(self.record_count)) == Some(*next_offset),
        };
        let joins = self.end() == next.first && follows && log_append_time_ms == next_time_ms;
        if joins {
            self.record_count += next.record_count;
        }
        joins
    }
}

/// The place of the part in which the record with this index is, if that is resolved.
fn part_of(parts: &[PartOutcome], index: u32) -> Option<usize> {
    let at = parts.partition_point(|part| part.end() <= index);
    parts.get(at).filter(|part| part.first <= index).map(|_| at)
}

/// The outcome of a batch, and who waits for it. It stays one when the batch is split: a delivery keeps its place in it.
#[derive(Debug)]
pub(crate) struct Completion {
    topic: Arc<str>,
    partition: i32,
    outcome: Once<Outcome>,
    /// Known once the batch is closed, and so before its records can be acknowledged.
    details: Once<Details>,
    /// By the index of the record: polling again is O(1), and no delivery has to remember a place of its own. As long as
    /// the last one that is awaited.
    waiters: Mutex<Vec<Option<Waker>>>,
}

impl Completion {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Completion {
        Completion {
            topic,
            partition,
            outcome: Once::new(),
            details: Once::new(),
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// The batch is closed, and these are its records.
    pub(crate) fn set_details(&self, details: Details) {
        // There are none yet: a batch is closed once.
        let _ = self.details.set(details);
    }

    /// Sets the outcome and wakes every waiter, outside the lock. False if there was one already: the first stands.
    pub(crate) fn complete(&self, outcome: Outcome) -> bool {
        if self.outcome.set(outcome).is_err() {
            return false;
        }
        points::reach("an outcome is set, and nobody is woken");
        let waiters = std::mem::take(&mut *self.waiters.lock());
        wake_each_once(waiters);
        true
    }

    /// The batch goes on in parts: from now on each is resolved by [`Completion::complete_part`]. False if the batch is
    /// resolved already; true also if it was split before.
    pub(crate) fn split(&self) -> bool {
        let first = self.outcome.set(Outcome::Split(Mutex::default())).is_ok();
        first || matches!(self.outcome.get(), Some(Outcome::Split(_)))
    }

    /// [`Completion::complete`] for the records of a part.
    pub(crate) fn complete_part(&self, first: u32, record_count: u32, outcome: Outcome) -> bool {
        let Some(Outcome::Split(parts)) = self.outcome.get() else {
            return false;
        };
        {
            let mut parts = parts.lock();
            if part_of(&parts, first).is_some() {
                return false;
            }
            let part = PartOutcome {
                first,
                record_count,
                outcome,
            };
            let at = parts.partition_point(|other| other.first < first);
            let joined = at > 0 && parts[at - 1].join(&part);
            if !joined {
                parts.insert(at, part);
            }
        }
        points::reach("an outcome of a part is set, and nobody is woken");
        let mut waiters = self.waiters.lock();
        let end = waiters.len().min((first + record_count) as usize);
        let range = waiters.get_mut(first as usize..end).unwrap_or_default();
        let woken: Vec<_> = range.iter_mut().map(Option::take).collect();
        drop(waiters);
        wake_each_once(woken);
        true
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Whether the record with this index is resolved.
    pub(crate) fn is_resolved(&self, index: u32) -> bool {
        self.with_outcome(index, |_, _| ()).is_some()
    }

    /// Calls `look` with the outcome of the record with this index, and its index in what the outcome is of.
    fn with_outcome<T>(&self, index: u32, look: impl FnOnce(u32, &Outcome) -> T) -> Option<T> {
        match self.outcome.get()? {
            Outcome::Split(parts) => {
                let parts = parts.lock();
                let part = &parts[part_of(&parts, index)?];
                Some(look(index - part.first, &part.outcome))
            }
            outcome => Some(look(index, outcome)),
        }
    }

    /// Has the waker woken when the record with this index is resolved. False if it is already.
    fn register(&self, index: u32, waker: &Waker) -> bool {
        let mut waiters = self.waiters.lock();
        // The outcome is set before the waiters are taken: what is not set here will find this waker.
        if self.is_resolved(index) {
            return false;
        }
        let at = index as usize;
        if at >= waiters.len() {
            waiters.resize_with(at + 1, || None);
        }
        let old = waiters[at].replace(waker.clone());
        // Dropped outside the lock: a waker may be the last holder of a task that has deliveries of this batch.
        drop(waiters);
        drop(old);
        true
    }

    /// Nobody waits for the record any more.
    fn forget(&self, index: u32) {
        let waker = self.waiters.lock().get_mut(index as usize).and_then(Option::take);
        // Outside the lock, as in `register`.
        drop(waker);
    }
}

/// One task that awaits many deliveries in turn needs one wake-up, not thousands.
fn wake_each_once(waiters: Vec<Option<Waker>>) {
    let mut previous: Option<Waker> = None;
    for waker in waiters.into_iter().flatten() {
        if !previous
            .as_ref()
            .is_some_and(|previous| previous.will_wake(&waker))
            && let Some(previous) = previous.replace(waker)
        {
            previous.wake();
        }
    }
    if let Some(last) = previous.filter(|_| !mutant!("delivery resolved and not woken")) {
        last.wake();
    }
}

/// The last share of a batch that was given back in this thread, for the next record of the same batch: who sends and drops
/// the delivery, record by record, then touches no shared counter. It keeps one completion for each thread, some hundred
/// bytes, and no memory of the pool.
#[cfg(not(loom))]
mod spare {
    use super::Completion;
    use std::cell::Cell;
    use std::sync::Arc;

    thread_local! {
        static SPARE: Cell<Option<Arc<Completion>>> = const { Cell::new(None) };
    }

    #[inline]
    pub(super) fn share(batch: &Arc<Completion>) -> Arc<Completion> {
        let spare = SPARE.try_with(|cell| {
            let spare = cell.take();
            match spare {
                Some(spare) if Arc::ptr_eq(&spare, batch) => Some(spare),
                // For who is next: giving it up costs as much as it saves.
                other => {
                    cell.set(other);
                    None
                }
            }
        });
        match spare {
            Ok(Some(spare)) => spare,
            _ => Arc::clone(batch),
        }
    }

    #[inline]
    pub(super) fn keep(batch: Option<Arc<Completion>>) {
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| spare.set(batch));
    }
}

/// loom's threads share those of the operating system.
#[cfg(loom)]
mod spare {
    use super::Completion;
    use std::sync::Arc;

    pub(super) fn share(batch: &Arc<Completion>) -> Arc<Completion> {
        Arc::clone(batch)
    }

    pub(super) fn keep(batch: Option<Arc<Completion>>) {
        drop(batch);
    }
}

/// The future outcome of one record. Dropping it costs nothing and cancels nothing: the record stays queued.
///
/// It resolves exactly once, by `delivery.timeout.ms` at the latest. Polling it after that repeats the same answer.
#[derive(Debug)]
#[must_use = "an outcome that nobody looks at loses errors; drop it explicitly if that is meant"]
pub struct Delivery {
    /// Always there, until it is dropped.
    batch: Option<Arc<Completion>>,
    place: Place,
}

/// The index of a record in its batch, and whether a waker may stand there.
///
/// One number, and never 0: so a `Delivery`, and an `Option` of it, is a pair of words, which functions return in registers.
/// What is returned through memory in pieces and read back whole waits until the pieces have left the processor's store
/// buffer, and that takes as long as to encode a record.
#[derive(Clone, Copy, Debug)]
struct Place(NonZeroU64);

impl Place {
    const WAITS: u64 = 2;

    #[inline]
    fn new(index: u32) -> Place {
        Place(NonZeroU64::MIN | u64::from(index) << 32)
    }

    #[inline]
    fn index(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    #[inline]
    fn waits(self) -> bool {
        self.0.get() & Place::WAITS != 0
    }

    fn wait(&mut self) {
        self.0 |= Place::WAITS;
    }
}

impl Delivery {
    #[inline]
    pub(crate) fn new(batch: &Arc<Completion>, index: u32) -> Delivery {
        Delivery {
            batch: Some(spare::share(batch)),
            place: Place::new(index),
        }
    }

    #[inline]
    fn index(&self) -> u32 {
        self.place.index()
    }

    /// The topic of the record.
    pub fn topic(&self) -> &str {
        &self.batch().topic
    }

    /// The partition of the record.
    pub fn partition(&self) -> i32 {
        self.batch().partition
    }

    fn batch(&self) -> &Completion {
        match &self.batch {
            Some(batch) => batch,
            None => unreachable!("only drop takes it"),
        }
    }

    /// Whether the outcome stands, so that awaiting it will not wait.
    pub fn is_resolved(&self) -> bool {
        self.batch().is_resolved(self.index())
    }

    /// The outcome, if it stands.
    pub fn outcome(&self) -> Option<Result<RecordMetadata, DeliveryFailure>> {
        self.batch()
            .with_outcome(self.index(), |index, outcome| self.resolve(index, outcome))
    }

    fn metadata(&self, offset: i64, log_append_time_ms: i64) -> RecordMetadata {
        let batch = self.batch();
        let Some(detail) = batch.details.get().and_then(|details| details.get(self.index())) else {
            unreachable!("a batch is closed before it is acknowledged")
        };
        RecordMetadata {
            topic: Arc::clone(&batch.topic),
            partition: batch.partition,
            offset,
            timestamp_ms: match log_append_time_ms {
                ..0 => detail.timestamp_ms,
                appended => appended,
            },
            key_size: detail.key_size,
            value_size: detail.value_size,
        }
    }

    fn resolve(&self, index: u32, outcome: &Outcome) -> Result<RecordMetadata, DeliveryFailure> {
        match outcome {
            Outcome::Acked {
                base_offset,
                log_append_time_ms,
            } => Ok(self.metadata(
                match *base_offset {
                    ..0 => -1,
                    // A broker may answer anything; what is no offset is none.
                    base if mutant!("offset of the batch for all of it") => base,
                    base => base.checked_add(i64::from(index)).unwrap_or(-1),
                },
                *log_append_time_ms,
            )),
            Outcome::Failed(failure) => Err(failure.clone()),
            Outcome::Split(_) => unreachable!("a part is not split: its own parts take its place"),
            Outcome::Rejected { culprits, others } => {
                let culprit = culprits.binary_search_by_key(&index, |(culprit, _)| *culprit);
                Err(culprit.map_or(others, |at| &culprits[at].1).clone())
            }
        }
    }
}

/// What became of several records.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use = "it says how many records failed"]
pub struct Tally {
    /// How many were acknowledged.
    pub acknowledged: u64,
    /// How many failed.
    pub failed: u64,
    /// Why the first of those failed.
    pub first_failure: Option<DeliveryFailure>,
}

impl Tally {
    fn fail(&mut self, records: u64, failure: &DeliveryFailure) {
        self.failed += records;
        self.first_failure.get_or_insert_with(|| failure.clone());
    }
}

/// The outcomes of records that stand side by side in their batch, taken together: for those who want to know of many
/// records whether they are in the log, and not where.
impl Delivery {
    /// Whether the record is the next one after that of `previous`, in the same batch.
    #[inline]
    pub fn follows(&self, previous: &Delivery) -> bool {
        let (Some(batch), Some(other)) = (&self.batch, &previous.batch) else {
            return false;
        };
        Arc::ptr_eq(batch, other) && previous.index().checked_add(1) == Some(self.index())
    }

    /// What became of this record and of the `before` that stand before it in the batch; `None` until the outcome of all
    /// of them stands. There may be fewer before it: then it is about those.
    pub fn tally(&self, before: u32) -> Option<Tally> {
        let first = self.index().saturating_sub(before);
        let count = u64::from(self.index() - first) + 1;
        let mut tally = Tally::default();
        match self.batch().outcome.get()? {
            Outcome::Acked { .. } => tally.acknowledged = count,
            Outcome::Failed(failure) => tally.fail(count, failure),
            Outcome::Rejected { .. } | Outcome::Split(_) => {
                for index in first..=self.index() {
                    let resolved = self
                        .batch()
                        .with_outcome(index, |index, outcome| self.resolve(index, outcome));
                    match resolved? {
                        Ok(_) => tally.acknowledged += 1,
                        Err(failure) => tally.fail(1, &failure),
                    }
                }
            }
        }
        Some(tally)
    }

    /// [`tally`](Delivery::tally), when the outcome of all of them stands.
    pub fn poll_tally(&mut self, before: u32, cx: &mut Context<'_>) -> Poll<Tally> {
        loop {
            if let Some(tally) = self.tally(before) {
                return Poll::Ready(tally);
            }
            let mut indices = self.index().saturating_sub(before)..=self.index();
            let batch = self.batch();
            // They resolve together, unless the batch was split.
            let unresolved = match batch.outcome.get() {
                None => self.index(),
                Some(_) => indices
                    .find(|&index| !batch.is_resolved(index))
                    .unwrap_or(self.index()),
            };
            // A waker that is left at another index is dropped with the batch's outcome.
            if unresolved == self.index() {
                self.place.wait();
            }
            if self.batch().register(unresolved, cx.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(outcome) = self.outcome() {
                return Poll::Ready(outcome);
            }
            self.place.wait();
            if self.batch().register(self.index(), cx.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Delivery {
    #[inline]
    fn drop(&mut self) {
        if self.place.waits() {
            self.batch().forget(self.index());
        }
        spare::keep(self.batch.take());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::details::Detail;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn batch() -> Arc<Completion> {
        let batch = Completion::new("orders".into(), 3);
        let mut details = Details::default();
        for index in 0..200 {
            details.push(Detail {
                timestamp_ms: 1_000 + index,
                key_size: 1,
                value_size: -1,
            });
        }
        batch.set_details(details);
        Arc::new(batch)
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_delivery_is_two_words_even_in_an_option() {
        assert_eq!(size_of::<Option<Delivery>>(), 2 * size_of::<usize>());
    }

    fn delivery(batch: &Arc<Completion>, index: u32) -> Delivery {
        Delivery::new(batch, index)
    }

    #[test]
    fn a_tally_is_of_neighbours_and_waits_for_all_of_them() {
        let batch = batch();
        let mut last = delivery(&batch, 3);
        assert!(last.follows(&delivery(&batch, 2)));
        assert!(!last.follows(&delivery(&batch, 1)) && !last.follows(&delivery(&self::batch(), 2)));
        assert!(last.tally(1).is_none());
        assert!(batch.split());
        let acked = || Outcome::Acked {
            base_offset: 7,
            log_append_time_ms: -1,
        };
        // The later half first: the wait is for the other one then.
        assert!(batch.complete_part(2, 2, acked()));
        let of = |last: &Delivery, before| last.tally(before).map(|tally| (tally.acknowledged, tally.failed));
        assert_eq!((of(&last, 1), of(&last, 2)), (Some((2, 0)), None));
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = &mut Context::from_waker(&waker);
        assert!(last.poll_tally(2, cx).is_pending());
        let failure = DeliveryFailure::new(FailureKind::Timeout, Persistence::NotPersisted);
        assert!(batch.complete_part(0, 2, Outcome::Failed(failure)));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(last.poll_tally(2, cx).is_ready());
        assert_eq!(
            (of(&last, 2), of(&last, 3), of(&last, 9)),
            (Some((2, 1)), Some((2, 2)), Some((2, 2)))
        );
        let tally = last.tally(3).expect("all are resolved");
        assert_eq!(
            tally.first_failure.map(|failure| failure.kind),
            Some(FailureKind::Timeout)
        );
    }

    #[test]
    fn a_tally_of_a_batch_that_is_not_split_is_one_outcome() {
        let check = |outcome: Outcome, expected: (u64, u64)| {
            let batch = batch();
            let last = delivery(&batch, 4);
            assert!(batch.complete(outcome));
            let tally = last.tally(3).expect("complete");
            assert_eq!((tally.acknowledged, tally.failed), expected);
            assert_eq!(tally.first_failure.is_some(), expected.1 > 0);
        };
        let failure = || DeliveryFailure::new(FailureKind::Closed, Persistence::NotPersisted);
        let acked = Outcome::Acked {
            base_offset: -1,
            log_append_time_ms: -1,
        };
        check(acked, (4, 0));
        check(Outcome::Failed(failure()), (0, 4));
        let rejected = Outcome::Rejected {
            culprits: vec![(2, failure())],
            others: failure(),
        };
        check(rejected, (0, 4));
    }

    #[test]
    fn offsets_are_base_plus_index() {
        let batch = batch();
        let (first, third) = (delivery(&batch, 0), delivery(&batch, 2));
        assert!(first.outcome().is_none());
        assert!(batch.complete(Outcome::Acked {
            base_offset: 40,
            log_append_time_ms: -1
        }));
        let metadata = third.outcome().expect("complete").expect("acked");
        assert_eq!(
            (metadata.topic(), metadata.partition(), metadata.offset()),
            ("orders", 3, Some(42))
        );
        assert_eq!(
            (
                metadata.timestamp_ms(),
                metadata.key_size(),
                metadata.value_size()
            ),
            (1_002, Some(1), None)
        );
        assert_eq!(
            first.outcome().expect("complete").expect("acked").offset(),
            Some(40)
        );
    }

    #[test]
    fn an_unknown_base_offset_gets_no_index_added() {
        let batch = batch();
        batch.complete(Outcome::Acked {
            base_offset: -1,
            log_append_time_ms: 77,
        });
        let metadata = delivery(&batch, 2).outcome().expect("complete").expect("acked");
        assert_eq!((metadata.offset(), metadata.timestamp_ms()), (None, 77));
    }

    #[test]
    fn the_first_outcome_stands() {
        let batch = batch();
        assert!(batch.complete(Outcome::Failed(DeliveryFailure::new(
            FailureKind::Timeout,
            Persistence::PossiblyPersisted
        ))));
        assert!(!batch.complete(Outcome::Acked {
            base_offset: 0,
            log_append_time_ms: -1
        }));
        let failure = delivery(&batch, 0)
            .outcome()
            .expect("complete")
            .expect_err("failed");
        assert_eq!(
            (failure.kind, failure.persistence),
            (FailureKind::Timeout, Persistence::PossiblyPersisted)
        );
    }

    #[test]
    fn a_task_that_awaits_many_is_woken_once() {
        let batch = batch();
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut deliveries: Vec<_> = (0..100).map(|index| delivery(&batch, index)).collect();
        for delivery in &mut deliveries {
            // Polled twice: the second registers nothing new.
            for _ in 0..2 {
                assert!(
                    Pin::new(&mut *delivery)
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            }
        }
        assert_eq!(batch.waiters.lock().len(), 100);
        drop(deliveries.split_off(50));
        batch.complete(Outcome::Acked {
            base_offset: 0,
            log_append_time_ms: -1,
        });
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        for delivery in &mut deliveries {
            assert!(
                Pin::new(delivery)
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            );
        }
    }

    fn acked(base_offset: i64) -> Outcome {
        Outcome::Acked {
            base_offset,
            log_append_time_ms: -1,
        }
    }

    #[test]
    fn deliveries_follow_their_records_into_the_parts_of_a_split_batch() {
        let batch = batch();
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let mut last = delivery(&batch, 4);
        let never_polled = delivery(&batch, 1);
        assert!(Pin::new(&mut last).poll(&mut cx).is_pending());
        assert!(batch.split() && batch.split(), "a part may be split again");
        assert!(!batch.complete(acked(0)), "only the parts are resolved");
        assert!(!last.is_resolved() && never_polled.outcome().is_none());
        assert!(Pin::new(&mut last).poll(&mut cx).is_pending());

        assert!(batch.complete_part(4, 1, acked(70)));
        assert!(!batch.complete_part(4, 1, acked(71)), "the first outcome stands");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        let outcome = last.outcome().expect("resolved").expect("acked");
        assert_eq!((outcome.offset(), outcome.timestamp_ms()), (Some(70), 1_004));
        assert!(Pin::new(&mut last).poll(&mut cx).is_ready());
        assert!(!never_polled.is_resolved());
        assert!(batch.complete_part(0, 2, acked(10)));
        assert_eq!(
            never_polled.outcome().expect("resolved").expect("acked").offset(),
            Some(11)
        );
    }

    #[test]
    fn a_part_wakes_only_those_who_wait_for_its_records() {
        let batch = batch();
        let wakes: Vec<Arc<CountWakes>> = (0..4).map(|_| Arc::default()).collect();
        let mut deliveries: Vec<_> = (0..4).map(|index| delivery(&batch, index)).collect();
        for (delivery, wakes) in deliveries.iter_mut().zip(&wakes) {
            let waker = Waker::from(Arc::clone(wakes));
            assert!(
                Pin::new(delivery)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        assert!(batch.split());
        let count = || -> Vec<usize> {
            wakes
                .iter()
                .map(|wakes| wakes.0.load(Ordering::Relaxed))
                .collect()
        };
        batch.complete_part(1, 2, acked(5));
        assert_eq!(count(), [0, 1, 1, 0]);
        batch.complete_part(3, 1, acked(7));
        batch.complete_part(0, 1, acked(4));
        assert_eq!(count(), [1, 1, 1, 1]);
    }

    #[test]
    fn neighbours_in_the_log_share_one_outcome() {
        let batch = batch();
        assert!(batch.split());
        for index in 0..100 {
            assert!(batch.complete_part(index, 1, acked(40 + i64::from(index))));
        }
        // Another producer's record came between.
        assert!(batch.complete_part(100, 1, acked(200)));
        let Some(Outcome::Split(parts)) = batch.outcome.get() else {
            panic!("it was split")
        };
        assert_eq!(parts.lock().len(), 2);
        let offset = |index| {
            delivery(&batch, index)
                .outcome()
                .expect("resolved")
                .expect("acked")
                .offset()
        };
        assert_eq!(
            (offset(0), offset(99), offset(100)),
            (Some(40), Some(139), Some(200))
        );
        assert!(!delivery(&batch, 101).is_resolved());
    }

    #[test]
    fn culprits_of_a_rejected_batch_get_their_own_reason() {
        let batch = batch();
        let failure = |text: &str| {
            DeliveryFailure::new(
                FailureKind::Broker(ErrorCode::INVALID_RECORD),
                Persistence::NotPersisted,
            )
            .with_detail(text)
        };
        batch.complete(Outcome::Rejected {
            culprits: vec![(1, failure("no key"))],
            others: failure("a neighbour"),
        });
        let detail = |index| {
            delivery(&batch, index)
                .outcome()
                .expect("complete")
                .expect_err("rejected")
                .detail
        };
        assert_eq!(detail(0).as_deref(), Some("a neighbour"));
        assert_eq!(detail(1).as_deref(), Some("no key"));
    }
}
