//! What the sender knows of a partition.

use ottla_accumulator::{Inspection, Partition, Persistence, SealedBatch};
use ottla_time::Time;
use std::collections::VecDeque;
use std::sync::Arc;

/// A sealed batch and its history.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) batch: SealedBatch,
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
            attempts: 0,
            not_before: Time::ZERO,
            maybe_persisted: false,
            last_error: None,
        }
    }

    /// What holds about its records if it fails now.
    pub(crate) fn persistence(&self) -> Persistence {
        if self.maybe_persisted {
            Persistence::PossiblyPersisted
        } else {
            Persistence::NotPersisted
        }
    }
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
    pub(crate) sealing: bool,
    /// Sealed batches, in order; the first may be a retry.
    pub(crate) pending: VecDeque<Pending>,
    /// The request that carries its batch: no other batch is sent meanwhile.
    pub(crate) in_flight: Option<u64>,
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
            sealing: false,
            pending: VecDeque::new(),
            in_flight: None,
            in_ready_queue: None,
            lingering_at: None,
            due_armed: Time::MAX,
            expiry_armed: Time::MAX,
        }
    }

    /// Whether there is anything that is not resolved yet, apart from what is in flight.
    pub(crate) fn has_work(&self) -> bool {
        !self.pending.is_empty() || self.sealing || self.queued.oldest.is_some()
    }

    /// When the oldest batch that waits was created.
    pub(crate) fn oldest_waiting(&self) -> Option<Time> {
        self.pending
            .front()
            .map(|pending| pending.batch.created())
            .or(self.queued.oldest)
    }
}
