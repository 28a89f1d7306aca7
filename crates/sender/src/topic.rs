//! A topic as the sending threads see it.

use crate::lanes::Lanes;
use crate::{DisconnectClass, SendError};
use arc_swap::ArcSwapOption;
use ottla_accumulator::Partition;
use ottla_partitioning::{LoadTable, TopicView};
use ottla_protocol::ErrorCode;
use ottla_time::points;
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

/// A topic that records were, or will be, sent to. Keep it to send many records: that saves the look-up by name.
#[derive(Debug)]
pub struct Topic {
    name: Arc<str>,
    /// The producer whose topic it is.
    owner: u64,
    layouts: Layouts,
    lanes: Lanes,
    /// How likely each partition is to be the next sticky one; `None` while all are equally likely.
    load: ArcSwapOption<LoadTable>,
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    /// The leaders, by partition.
    leaders: Vec<Option<i32>>,
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
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) partitions: Vec<Arc<Partition>>,
    /// The numbers of those with a leader, ascending.
    pub(crate) available: Vec<i32>,
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
    fn is_same(&self, other: &Layout) -> bool {
        let pairs = || self.partitions.iter().zip(&other.partitions);
        self.available == other.available
            && self.partitions.len() == other.partitions.len()
            && pairs().all(|(one, other)| Arc::ptr_eq(one, other))
    }

    pub(crate) fn view(&self) -> TopicView<'_> {
        // A broker announces at most i32::MAX partitions: the count comes from an int32.
        TopicView::new(self.partitions.len() as i32, &self.available)
    }
}

/// The layouts of a topic, of which one is current.
///
/// A topic has the same few layouts all its life: it gets partitions, and some of them lose their leader and get another
/// one. The first ones are kept, so that a send borrows the current one for no more than a load; what goes beyond them
/// costs two contended operations at each send.
#[derive(Debug, Default)]
struct Layouts {
    kept: [OnceLock<Layout>; LAYOUTS_KEPT],
    /// Which of `kept` is current, counted from 1; [`NONE`] or [`OTHER`].
    current: AtomicUsize,
    other: ArcSwapOption<Layout>,
}

/// All partitions with a leader, one of them without, and the same after it grew: more are rare. A layout of ten thousand
/// partitions takes 120 KB.
const LAYOUTS_KEPT: usize = 4;
/// There is no layout now.
const NONE: usize = 0;
/// The current layout is in [`Layouts::other`].
const OTHER: usize = usize::MAX;

/// A topic's partitions, borrowed from it.
#[derive(Debug)]
pub(crate) enum LayoutRef<'a> {
    Kept(&'a Layout),
    Other(Arc<Layout>),
}

impl Deref for LayoutRef<'_> {
    type Target = Layout;

    #[inline]
    fn deref(&self) -> &Layout {
        match self {
            LayoutRef::Kept(layout) => layout,
            LayoutRef::Other(layout) => layout,
        }
    }
}

impl Layouts {
    #[inline]
    fn current(&self) -> Option<LayoutRef<'_>> {
        let current = self.current.load(Ordering::Acquire);
        match self.kept.get(current.wrapping_sub(1)) {
            Some(layout) => layout.get().map(LayoutRef::Kept),
            None if current == OTHER => self.other.load_full().map(LayoutRef::Other),
            None => None,
        }
    }

    /// Called by the sender alone.
    fn publish(&self, layout: Layout) {
        for (number, kept) in (1..).zip(&self.kept) {
            if kept.get_or_init(|| layout.clone()).is_same(&layout) {
                return self.current.store(number, Ordering::Release);
            }
        }
        self.other.store(Some(Arc::new(layout)));
        self.current.store(OTHER, Ordering::Release);
    }

    fn unpublish(&self) {
        self.current.store(NONE, Ordering::Release);
    }
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, owner: u64, batch_size: usize, seed: u64) -> Topic {
        Topic {
            name,
            owner,
            layouts: Layouts::default(),
            lanes: Lanes::new(batch_size, seed),
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
        Some(self.layout()?.partitions.len())
    }

    /// The partitions; `None` until the first metadata.
    #[inline]
    pub(crate) fn layout(&self) -> Option<LayoutRef<'_>> {
        self.layouts.current()
    }

    #[inline]
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
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
        points::reach("who awaits metadata is looked for");
        !self.status.lock().waiting.is_empty()
    }

    /// What is known of the partitions.
    pub(crate) fn info(&self) -> Vec<PartitionInfo> {
        let status = self.status.lock();
        let leaders = status.leaders.iter().copied();
        (0..)
            .zip(leaders)
            .map(|(partition, leader)| PartitionInfo { partition, leader })
            .collect()
    }

    /// `leaders` are those of the layout's partitions. They change more often than what a send has to know.
    pub(crate) fn publish(&self, layout: Layout, leaders: Vec<Option<i32>>) {
        points::reach("metadata is about to be published");
        self.layouts.publish(layout);
        points::reach("the layout is published, the leaders are not");
        let mut status = self.status.lock();
        status.leaders = leaders;
        status.refusal = None;
        status.cause = None;
        // Those who wait for more partitions than there are register again.
        wake(status);
    }

    /// Forgets the partitions: the next send waits for metadata.
    pub(crate) fn unpublish(&self) {
        points::reach("the layout is withdrawn");
        self.layouts.unpublish();
    }

    /// No metadata will come: those who wait fail with the reason.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        points::reach("a topic is refused");
        let mut status = self.status.lock();
        status.refusal = Some(refusal);
        wake(status);
    }

    /// No metadata this time, for a reason that may pass.
    pub(crate) fn delay(&self, cause: Arc<str>) {
        points::reach("metadata is late");
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

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_accumulator::{Accumulator, AccumulatorConfig};

    #[test]
    fn layouts_come_back_and_go_beyond_those_that_are_kept() {
        let accumulator = Accumulator::new(AccumulatorConfig::default());
        let topic = accumulator.topic("t".into());
        let partitions: Vec<_> = (0..6).map(|number| topic.partition(number, 0)).collect();
        let layout = |available: &[i32]| Layout {
            partitions: partitions.clone(),
            available: available.to_vec(),
        };
        let layouts = Layouts::default();
        assert!(layouts.current().is_none());
        // More than are kept, and then the same once more.
        for last in (0..6).chain(0..6) {
            layouts.publish(layout(&[last]));
            let current = layouts.current().expect("published");
            assert_eq!(current.available, [last]);
            assert_eq!(matches!(current, LayoutRef::Kept(_)), last < LAYOUTS_KEPT as i32);
        }
        layouts.unpublish();
        assert!(layouts.current().is_none());
        layouts.publish(layout(&[5]));
        assert_eq!(layouts.current().expect("published").available, [5]);
    }
}
