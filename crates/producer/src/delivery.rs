//! The outcome of a record.

use crate::Error;
use crate::observe::Slot;
use ottla_sender::RecordMetadata;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The future outcome of one record: where it is, or why it is not there.
///
/// It resolves by `delivery.timeout.ms`, whether it is awaited or not.
///
/// # Cancel safety
/// Dropping it costs nothing and cancels nothing, before it was polled and after: the record is sent all the same. To wait
/// for a while and then go on with something else, await `&mut delivery`.
#[derive(Debug)]
#[must_use = "an outcome that nobody looks at loses errors; drop it explicitly if that is meant"]
pub struct Delivery(Source);

/// Where the outcome comes from.
#[derive(Debug)]
enum Source {
    Batch(ottla_sender::Delivery),
    /// By way of those who look at each record.
    Observed(Box<Observed>),
}

#[derive(Debug)]
struct Observed {
    topic: String,
    partition: i32,
    slot: Arc<Slot>,
}

impl From<ottla_sender::Delivery> for Delivery {
    fn from(delivery: ottla_sender::Delivery) -> Delivery {
        Delivery(Source::Batch(delivery))
    }
}

impl Delivery {
    pub(crate) fn observed(topic: &str, partition: i32, slot: Arc<Slot>) -> Delivery {
        let topic = topic.to_owned();
        Delivery(Source::Observed(Box::new(Observed {
            topic,
            partition,
            slot,
        })))
    }

    /// The topic of the record.
    pub fn topic(&self) -> &str {
        match &self.0 {
            Source::Batch(delivery) => delivery.topic(),
            Source::Observed(observed) => &observed.topic,
        }
    }

    /// The partition of the record.
    pub fn partition(&self) -> i32 {
        match &self.0 {
            Source::Batch(delivery) => delivery.partition(),
            Source::Observed(observed) => observed.partition,
        }
    }

    /// Whether the outcome stands, so that awaiting it will not wait.
    pub fn is_resolved(&self) -> bool {
        match &self.0 {
            Source::Batch(delivery) => delivery.is_resolved(),
            Source::Observed(observed) => observed.slot.outcome().is_some(),
        }
    }

    /// The outcome, if it stands.
    pub fn outcome(&self) -> Option<Result<RecordMetadata, Error>> {
        match &self.0 {
            Source::Batch(delivery) => Some(delivery.outcome()?.map_err(Error::from)),
            Source::Observed(observed) => observed.slot.outcome(),
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
    pub first_error: Option<Error>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }
}

impl From<ottla_sender::Tally> for Tally {
    fn from(tally: ottla_sender::Tally) -> Tally {
        Tally {
            acknowledged: tally.acknowledged,
            failed: tally.failed,
            first_error: tally.first_failure.map(Error::from),
        }
    }
}

impl From<Result<RecordMetadata, Error>> for Tally {
    fn from(outcome: Result<RecordMetadata, Error>) -> Tally {
        Tally {
            acknowledged: u64::from(outcome.is_ok()),
            failed: u64::from(outcome.is_err()),
            first_error: outcome.err(),
        }
    }
}

/// For [`Deliveries`](crate::Deliveries): records that stand side by side in a batch.
impl Delivery {
    #[inline]
    pub(crate) fn follows(&self, previous: &Delivery) -> bool {
        match (&self.0, &previous.0) {
            (Source::Batch(delivery), Source::Batch(previous)) => delivery.follows(previous),
            _ => false,
        }
    }

    /// What became of this record and the `before` in front of it, which [follow](Delivery::follows) each other.
    pub(crate) fn tally(&self, before: u32) -> Option<Tally> {
        match &self.0 {
            Source::Batch(delivery) => delivery.tally(before).map(Tally::from),
            Source::Observed(observed) => observed.slot.outcome().map(Tally::from),
        }
    }

    pub(crate) fn poll_tally(&mut self, before: u32, cx: &mut Context<'_>) -> Poll<Tally> {
        match &mut self.0 {
            Source::Batch(delivery) => delivery.poll_tally(before, cx).map(Tally::from),
            Source::Observed(observed) => observed.slot.poll(cx).map(Tally::from),
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Source::Batch(delivery) => Pin::new(delivery).poll(cx).map_err(Error::from),
            Source::Observed(observed) => observed.slot.poll(cx),
        }
    }
}
