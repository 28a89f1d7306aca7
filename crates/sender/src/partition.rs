//! What the sender knows of a partition.

use ottla_accumulator::{Inspection, Partition, Persistence, SealedBatch, SealingBatch};
use ottla_time::{Time, mutant};
use ottla_transactions::{Sequences, Stamp};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many batches of a partition may be in flight: as many as a broker remembers of each producer, so that it knows a
/// repeated one again.
pub(crate) const IN_FLIGHT_MAX: usize = 5;

/// A sealed batch and its history.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) batch: SealedBatch,
    /// Its numbers, from the first attempt on.
    pub(crate) stamp: Option<Stamp>,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// Not to be sent again before this.
    pub(crate) not_before: Time,
    /// Whether an attempt may have reached the log.
    pub(crate) maybe_persisted: bool,
    /// What went wrong last, for the error at the deadline.
    pub(crate) last_error: Option<Arc<str>>,
}

impl Pending {
    pub(crate) fn new(batch: SealedBatch) -> Pending {
        Pending {
            batch,
            stamp: None,
            attempts: 0,
            not_before: Time::ZERO,
            maybe_persisted: false,
            last_error: None,
        }
    }

    /// What holds about its records if it fails now.
    pub(crate) fn persistence(&self) -> Persistence {
        if self.maybe_persisted && !mutant!("unknown is told as not persisted") {
            Persistence::PossiblyPersisted
        } else {
            Persistence::NotPersisted
        }
    }
}

/// A batch of a partition that a request carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    /// The request.
    pub(crate) request: u64,
    /// When the batch was created. A request may carry a thousand batches: who only asks for their age need not look for
    /// the batch in it.
    pub(crate) created: Time,
}

/// A partition as the sender sees it.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) queue: Arc<Partition>,
    /// Index of its topic.
    pub(crate) topic: usize,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    /// What waits in the accumulator, when last looked at.
    pub(crate) queued: Inspection,
    /// Whether a batch is being sealed.
    pub(crate) sealing: Option<SealingBatch>,
    /// Sealed batches, in order; the first may be a retry.
    pub(crate) pending: VecDeque<Pending>,
    /// The requests that carry its batches, in order.
    pub(crate) in_flight: SmallVec<[Carried; IN_FLIGHT_MAX]>,
    /// Whether what is in flight was sent to a topic of the same name that is deleted.
    pub(crate) outlived: bool,
    /// The numbering of its batches, if the producer is idempotent and something was sent.
    pub(crate) sequences: Option<Sequences>,
    /// The node in whose queue of ready partitions it stands.
    pub(crate) in_ready_queue: Option<i32>,
    /// Its place in the list of partitions that merely linger.
    pub(crate) lingering_at: Option<usize>,
    /// The earliest armed [`Timer::Due`](crate::timers::Timer::Due).
    pub(crate) due_armed: Time,
    /// The earliest armed [`Timer::Expiry`](crate::timers::Timer::Expiry).
    pub(crate) expiry_armed: Time,
}

impl PartitionState {
    pub(crate) fn new(queue: Arc<Partition>, topic: usize) -> PartitionState {
        PartitionState {
            queue,
            topic,
            leader: None,
            leader_epoch: -1,
            queued: Inspection::default(),
            sealing: None,
            pending: VecDeque::new(),
            in_flight: SmallVec::new(),
            outlived: false,
            sequences: None,
            in_ready_queue: None,
            lingering_at: None,
            due_armed: Time::MAX,
            expiry_armed: Time::MAX,
        }
    }

    /// Whether there is anything that is not resolved yet, apart from what is in flight.
    pub(crate) fn has_work(&self) -> bool {
        !self.pending.is_empty() || self.sealing.is_some() || self.queued.oldest.is_some()
    }

    /// How many batches may be in flight now. Without sequences only one: two could change places in a retry.
    pub(crate) fn window(&self, idempotent: bool) -> usize {
        if self.outlived {
            return 0;
        }
        match &self.sequences {
            Some(_) if mutant!("more than five in flight") => 2 * IN_FLIGHT_MAX,
            Some(_) if idempotent && mutant!("five in flight before the first ack") => IN_FLIGHT_MAX,
            Some(sequences) if idempotent && !sequences.is_probing() => IN_FLIGHT_MAX,
            _ => 1,
        }
    }

    /// The topic was made anew: its brokers know nothing of the producer, and take whatever comes first for the beginning. So
    /// nothing follows what is in flight until that is answered, and may come again; and then one batch at a time.
    pub(crate) fn begin_anew(&mut self) {
        let waits = !mutant!("batches for a topic that was deleted are overtaken");
        self.outlived = waits && !self.in_flight.is_empty();
        if let Some(sequences) = self.sequences.as_mut().filter(|_| !self.outlived) {
            sequences.probe();
        }
    }

    /// A request carries nothing of it any more.
    pub(crate) fn settle(&mut self, request: u64) {
        self.in_flight.retain(|other| other.request != request);
        if self.outlived && self.in_flight.is_empty() {
            self.begin_anew();
        }
    }

    /// Puts a batch back that was not appended, or may not have been: in the order of its numbers.
    pub(crate) fn put_back(&mut self, pending: Pending) {
        let behind = |other: &Pending| match (&other.stamp, &pending.stamp) {
            _ if mutant!("retry behind later batches") => false,
            (Some(other), Some(stamp)) => stamp.is_before(other),
            // What was never sent comes after all that was.
            (None, _) | (Some(_), None) => true,
        };
        let at = self.pending.iter().position(behind).unwrap_or(self.pending.len());
        self.pending.insert(at, pending);
    }

    /// How many batches wait to be sent, or to be sent again.
    pub(crate) fn waiting_batches(&self) -> u32 {
        let queued = self.queued.closed + usize::from(self.queued.open);
        let waiting = queued + self.pending.len() + usize::from(self.sealing.is_some());
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// When the oldest batch that waits was created.
    pub(crate) fn oldest_waiting(&self) -> Option<Time> {
        self.pending
            .front()
            .map(|pending| pending.batch.created())
            .or(self.queued.oldest)
    }
}
