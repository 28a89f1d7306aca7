//! A topic as the sending threads see it.

use crate::{DisconnectClass, SendError};
use arc_swap::ArcSwapOption;
use ottla_accumulator::Partition;
use ottla_partitioning::{LoadTable, TopicState, TopicView};
use ottla_protocol::ErrorCode;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::{Context, Waker};

/// A topic that records were, or will be, sent to. Keep it to send many records: that saves the look-up by name.
#[derive(Debug)]
pub struct Topic {
    name: Arc<str>,
    /// The producer whose topic it is.
    owner: u64,
    /// `None` until the first metadata.
    layout: ArcSwapOption<Layout>,
    partitioning: TopicState,
    /// How likely each partition is to be the next sticky one; `None` while all are equally likely.
    load: ArcSwapOption<LoadTable>,
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    /// Why waiting is vain, if that was the last word.
    refusal: Option<Refusal>,
    /// Why there is no metadata yet, for the error at the deadline.
    cause: Option<Arc<str>>,
    /// Those who wait for metadata. Bounded by the waiting futures: it is emptied at each answer.
    waiting: Vec<Waker>,
}

/// Why no metadata will come.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The cluster refuses the topic.
    Cluster(ErrorCode),
    /// There is no way to the cluster.
    Connection(DisconnectClass, Arc<str>),
}

impl Refusal {
    /// As the error of a send to this topic.
    fn into_error(self, topic: &Arc<str>) -> SendError {
        match self {
            Refusal::Cluster(code) => SendError::Topic {
                topic: Arc::clone(topic),
                code,
            },
            Refusal::Connection(class, cause) => SendError::Connection { class, cause },
        }
    }
}

/// The partitions of a topic: a snapshot that is replaced as a whole.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) partitions: Vec<Arc<Partition>>,
    /// The numbers of those with a leader, ascending.
    pub(crate) available: Vec<i32>,
    /// The leaders, by partition.
    pub(crate) leaders: Vec<Option<i32>>,
}

/// A partition of a topic, as far as a producer needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its number.
    pub partition: i32,
    /// The id of the broker that leads it; `None` while it has no leader.
    pub leader: Option<i32>,
}

impl Layout {
    pub(crate) fn view(&self) -> TopicView<'_> {
        // A broker announces at most i32::MAX partitions: the count comes from an int32.
        TopicView::new(self.partitions.len() as i32, &self.available)
    }

    pub(crate) fn info(&self) -> Vec<PartitionInfo> {
        let leaders = self.leaders.iter().copied();
        (0..)
            .zip(leaders)
            .map(|(partition, leader)| PartitionInfo { partition, leader })
            .collect()
    }
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, owner: u64, batch_size: usize, seed: u64) -> Topic {
        Topic {
            name,
            owner,
            layout: ArcSwapOption::empty(),
            partitioning: TopicState::new(batch_size, seed),
            load: ArcSwapOption::empty(),
            status: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn owner(&self) -> u64 {
        self.owner
    }

    /// Whether the cluster can have a topic of this name.
    pub(crate) fn has_legal_name(&self) -> bool {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let name = self.name.as_bytes();
        (1..=249).contains(&name.len()) && name.iter().copied().all(legal) && name != b"." && name != b".."
    }

    /// How many partitions it has, as far as is known.
    pub fn partition_count(&self) -> Option<usize> {
        self.layout.load().as_ref().map(|layout| layout.partitions.len())
    }

    pub(crate) fn layout(&self) -> arc_swap::Guard<Option<Arc<Layout>>> {
        self.layout.load()
    }

    pub(crate) fn partitioning(&self) -> &TopicState {
        &self.partitioning
    }

    /// The weights of the partitions, for the next choice among them.
    pub(crate) fn load(&self) -> arc_swap::Guard<Option<Arc<LoadTable>>> {
        self.load.load()
    }

    /// Replaces the weights, if they changed.
    pub(crate) fn weigh(&self, table: &LoadTable) {
        let known = self.load.load();
        match known.as_deref() {
            None if table.is_even() => {}
            Some(known) if known == table => {}
            _ => self
                .load
                .store((!table.is_even()).then(|| Arc::new(table.clone()))),
        }
    }

    /// The last thing that stood in the way of metadata.
    pub(crate) fn cause(&self) -> Option<Arc<str>> {
        self.status.lock().cause.clone()
    }

    /// Forgets a refusal: somebody asks anew.
    pub(crate) fn forget_refusal(&self) {
        self.status.lock().refusal = None;
    }

    /// Whether there are at least `count` partitions; if not, the task is woken at the next answer.
    pub(crate) fn poll_layout(&self, count: usize, cx: &mut Context<'_>) -> Option<Result<(), SendError>> {
        let mut status = self.status.lock();
        if self.partition_count().is_some_and(|known| known >= count) {
            return Some(Ok(()));
        }
        if let Some(refusal) = &status.refusal {
            return Some(Err(refusal.clone().into_error(&self.name)));
        }
        if !status.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            status.waiting.push(cx.waker().clone());
        }
        None
    }

    /// Whether somebody waits for more than is known.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.status.lock().waiting.is_empty()
    }

    pub(crate) fn publish(&self, layout: Layout) {
        self.layout.store(Some(Arc::new(layout)));
        let mut status = self.status.lock();
        status.refusal = None;
        status.cause = None;
        // Those who wait for more partitions than there are register again.
        wake(status);
    }

    /// Forgets the partitions: the next send waits for metadata.
    pub(crate) fn unpublish(&self) {
        self.layout.store(None);
    }

    /// No metadata will come: those who wait fail with the reason.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let mut status = self.status.lock();
        status.refusal = Some(refusal);
        wake(status);
    }

    /// No metadata this time, for a reason that may pass.
    pub(crate) fn delay(&self, cause: Arc<str>) {
        let mut status = self.status.lock();
        status.cause = Some(cause);
        // Those who still wait register again; those who gave up are forgotten.
        wake(status);
    }

    /// Wakes those who wait, so that they see a close.
    pub(crate) fn wake(&self) {
        wake(self.status.lock());
    }
}

/// Wakes outside the lock.
fn wake(mut status: parking_lot::MutexGuard<'_, Status>) {
    let waiting = std::mem::take(&mut status.waiting);
    drop(status);
    waiting.into_iter().for_each(Waker::wake);
}
