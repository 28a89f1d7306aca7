//! What becomes of a record: one slot in its batch, resolved for the whole batch at once.

use ottla_protocol::ErrorCode;
use ottla_time::mutant;
use parking_lot::Mutex;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
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

/// What a whole batch came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// In the log. -1 for an offset or a time that the broker did not tell.
    Acked {
        base_offset: i64,
        log_append_time_ms: i64,
    },
    /// All of it failed, for one reason.
    Failed(DeliveryFailure),
    /// Too large for the broker: its records went on in these batches, each with the index of its first record.
    Split(Vec<(u32, Arc<Completion>)>),
    /// Refused because of some of its records (KIP-467): theirs by index, ascending; the others share one failure.
    Rejected {
        culprits: Vec<(u32, DeliveryFailure)>,
        others: DeliveryFailure,
    },
}

/// The outcome of a batch, and who waits for it.
#[derive(Debug)]
pub(crate) struct Completion {
    topic: Arc<str>,
    partition: i32,
    outcome: OnceLock<Outcome>,
    /// One entry for each delivery that was polled; a delivery remembers its own, so polling again is O(1).
    waiters: Mutex<Vec<Option<Waker>>>,
}

impl Completion {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Completion {
        Completion {
            topic,
            partition,
            outcome: OnceLock::new(),
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// Sets the outcome and wakes every waiter, outside the lock. False if there was one already: the first stands.
    pub(crate) fn complete(&self, outcome: Outcome) -> bool {
        if self.outcome.set(outcome).is_err() {
            return false;
        }
        let waiters = std::mem::take(&mut *self.waiters.lock());
        let mut previous: Option<Waker> = None;
        for waker in waiters.into_iter().flatten() {
            // One task that awaits many deliveries in turn needs one wake-up, not thousands.
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
        true
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// The topic and the partition.
    pub(crate) fn place(&self) -> (&Arc<str>, i32) {
        (&self.topic, self.partition)
    }

    /// Has the waker woken when the outcome is set; `at` is where this waiter stands. False if it is set already.
    fn register(&self, at: &mut Option<u32>, waker: &Waker) -> bool {
        let mut waiters = self.waiters.lock();
        // `complete` sets the outcome before it takes the waiters: what is not set here will find this waker.
        if self.is_complete() {
            return false;
        }
        match at.and_then(|at| waiters.get_mut(at as usize)) {
            Some(known) => {
                let old = known.replace(waker.clone());
                // Dropped outside the lock: a waker may be the last holder of a task that has deliveries of this batch.
                drop(waiters);
                drop(old);
            }
            None => {
                // A batch has fewer than 2^31 records, and each delivery registers once.
                *at = u32::try_from(waiters.len()).ok();
                waiters.push(Some(waker.clone()));
            }
        }
        true
    }
}

/// The part of a split batch in which the record with this index went on, and its index there.
fn part_of(parts: &[(u32, Arc<Completion>)], index: u32) -> (u32, &Arc<Completion>) {
    // The first part begins at 0, so there is always one that begins at or before the index.
    let at = parts.partition_point(|(first, _)| *first <= index) - 1;
    let (first, part) = &parts[at];
    (index - first, part)
}

/// The future outcome of one record. Dropping it costs nothing and cancels nothing: the record stays queued.
///
/// It resolves exactly once, by `delivery.timeout.ms` at the latest. Polling it after that repeats the same answer.
#[derive(Debug)]
#[must_use = "an outcome that nobody looks at loses errors; drop it explicitly if that is meant"]
pub struct Delivery {
    batch: Arc<Completion>,
    index: u32,
    /// The entry in the batch's waiters, once polled.
    waiter: Option<u32>,
    key_size: i32,
    value_size: i32,
    timestamp_ms: i64,
}

impl Delivery {
    pub(crate) fn new(
        batch: Arc<Completion>,
        index: u32,
        key_size: i32,
        value_size: i32,
        timestamp_ms: i64,
    ) -> Delivery {
        Delivery {
            batch,
            index,
            waiter: None,
            key_size,
            value_size,
            timestamp_ms,
        }
    }

    /// The topic of the record.
    pub fn topic(&self) -> &str {
        &self.batch.topic
    }

    /// The partition of the record.
    pub fn partition(&self) -> i32 {
        self.batch.partition
    }

    /// Whether the outcome stands, so that awaiting it will not wait.
    pub fn is_resolved(&self) -> bool {
        self.standing().is_some()
    }

    /// The outcome, if it stands.
    pub fn outcome(&self) -> Option<Result<RecordMetadata, DeliveryFailure>> {
        self.standing()
            .map(|(index, outcome)| self.resolve(index, outcome))
    }

    /// The outcome that stands, and the record's index in the batch that it is of.
    fn standing(&self) -> Option<(u32, &Outcome)> {
        let (mut index, mut batch) = (self.index, &self.batch);
        loop {
            match batch.outcome.get()? {
                Outcome::Split(parts) => (index, batch) = part_of(parts, index),
                outcome => return Some((index, outcome)),
            }
        }
    }

    /// Follows the record into the part of a split batch that it went on in.
    fn follow(&mut self) {
        while let Some(Outcome::Split(parts)) = self.batch.outcome.get() {
            let (index, part) = part_of(parts, self.index);
            let part = Arc::clone(part);
            (self.index, self.batch, self.waiter) = (index, part, None);
        }
    }

    fn resolve(&self, index: u32, outcome: &Outcome) -> Result<RecordMetadata, DeliveryFailure> {
        match outcome {
            Outcome::Acked {
                base_offset,
                log_append_time_ms,
            } => Ok(RecordMetadata {
                topic: Arc::clone(&self.batch.topic),
                partition: self.batch.partition,
                offset: match *base_offset {
                    ..0 => -1,
                    // A broker may answer anything; what is no offset is none.
                    base if mutant!("offset of the batch for all of it") => base,
                    base => base.checked_add(i64::from(index)).unwrap_or(-1),
                },
                timestamp_ms: if *log_append_time_ms < 0 {
                    self.timestamp_ms
                } else {
                    *log_append_time_ms
                },
                key_size: self.key_size,
                value_size: self.value_size,
            }),
            Outcome::Failed(failure) => Err(failure.clone()),
            Outcome::Split(_) => unreachable!("a split is followed before anything is resolved"),
            Outcome::Rejected { culprits, others } => {
                let culprit = culprits.binary_search_by_key(&index, |(culprit, _)| *culprit);
                Err(culprit.map_or(others, |at| &culprits[at].1).clone())
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(outcome) = this.outcome() {
                return Poll::Ready(outcome);
            }
            this.follow();
            if this.batch.register(&mut this.waiter, cx.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(at) = self.waiter {
            let waker = self
                .batch
                .waiters
                .lock()
                .get_mut(at as usize)
                .and_then(Option::take);
            // Outside the lock, as in `register`.
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        Arc::new(Completion::new("orders".into(), 3))
    }

    fn delivery(batch: &Arc<Completion>, index: u32) -> Delivery {
        Delivery::new(Arc::clone(batch), index, 1, -1, 1_000 + i64::from(index))
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

    #[test]
    fn deliveries_follow_their_records_into_the_parts_of_a_split_batch() {
        let (parent, left, right) = (batch(), batch(), batch());
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut last = delivery(&parent, 4);
        let never_polled = delivery(&parent, 1);
        assert!(
            Pin::new(&mut last)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        let parts = vec![(0, Arc::clone(&left)), (3, Arc::clone(&right))];
        assert!(parent.complete(Outcome::Split(parts)));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "woken to follow");
        assert!(
            Pin::new(&mut last)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert!(!last.is_resolved() && never_polled.outcome().is_none());

        // The right part is split once more.
        let (third, fourth) = (batch(), batch());
        right.complete(Outcome::Split(vec![(0, third), (1, Arc::clone(&fourth))]));
        fourth.complete(Outcome::Acked {
            base_offset: 70,
            log_append_time_ms: -1,
        });
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
        let outcome = last.outcome().expect("resolved").expect("acked");
        assert_eq!((outcome.offset(), outcome.timestamp_ms()), (Some(70), 1_004));
        assert!(
            Pin::new(&mut last)
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        );
        left.complete(Outcome::Acked {
            base_offset: 10,
            log_append_time_ms: -1,
        });
        assert_eq!(
            never_polled.outcome().expect("resolved").expect("acked").offset(),
            Some(11)
        );
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
