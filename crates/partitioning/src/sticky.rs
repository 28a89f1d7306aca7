//! The built-in choice for records without a key: KIP-794's uniform sticky partitioner.

use crate::TopicView;
use crate::atomic::{AtomicU64, Ordering};
use crate::random::AtomicRandom;

/// No partition has been chosen yet. It is in no topic.
const NONE: i32 = -1;

/// The sticky partition of one topic: where records without a key go until about a batch has been appended.
///
/// For each record: ask [`current`](StickyPartition::current), take the lock of that partition's queue, ask
/// [`before_append`](StickyPartition::before_append) (and start again if it says no), append, and report with
/// [`on_append`](StickyPartition::on_append). A client whose appends are not under a lock may leave out the question
/// before: then a record that races with a switch lands in the partition that was just left, which does no harm.
///
/// # When it moves
///
/// As the Java client 4.3.1 does, once the bytes that were appended since the last move
/// - reach `batch.size`, and the partition is at a *boundary*: its queue is empty, or its last batch takes no more
///   records (otherwise the rest of that batch would be sent half empty), or
/// - reach twice `batch.size`, whatever the batches look like.
///
/// A `batch.size` of 0 counts as 1: if nothing were enough, every look would move it, and no append would ever find the
/// partition that it asked for (KAFKA-14303).
///
/// It also moves, unlike Java's, when its partition has lost its leader or no longer exists while another one can be
/// sent to: waiting for a leader would help nobody.
///
/// # Where it moves
///
/// To a random partition among those that have a leader, or among all if none has one; with a [`crate::LoadTable`] that
/// is not even, by its weights. It may be the same one again.
///
/// # Threads
///
/// All methods take `&self` and none waits: the state is one word, changed by compare-and-set. What is counted, is
/// counted for the run it was appended in; of several threads that find the partition due, one moves it.
#[derive(Debug)]
pub struct StickyPartition {
    /// The partition in the upper half, the bytes of its run in the lower: so they change together. That the partition
    /// may have come back meanwhile (the ABA problem) does not matter: who appended to it, appended to the current one.
    state: AtomicU64,
    random: AtomicRandom,
    /// `batch.size`, at least 1.
    switch_bytes: u32,
}

/// What [`StickyPartition::on_append`] found. It is exhaustive: these are all cases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAppend {
    /// The partition remains the sticky one.
    Stays,
    /// Enough was appended: this call moved the sticky partition on.
    Moved,
    /// The partition is not the sticky one: another thread has moved it, and nothing was counted.
    Changed,
}

/// What [`StickyPartition::charge`] found. It is exhaustive: these are all cases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The partition remains the sticky one.
    Stays,
    /// Enough was appended: call [`StickyPartition::advance`].
    Due,
    /// The partition is not the sticky one: another thread has moved it, and nothing was counted.
    Changed,
}

impl StickyPartition {
    /// One for batches of `batch_size_bytes`. With one thread, the same seed gives the same partitions.
    pub fn new(batch_size_bytes: usize, seed: u64) -> StickyPartition {
        // The upper bound is the largest batch.size that Kafka knows; twice that still fits in the counter.
        let switch_bytes = batch_size_bytes.clamp(1, i32::MAX as usize) as u32;
        StickyPartition {
            state: AtomicU64::new(pack(NONE, 0)),
            random: AtomicRandom::new(seed),
            switch_bytes,
        }
    }

    /// Whether a partition was ever asked for: who keeps a [`LoadTable`](crate::LoadTable) need not for a topic whose
    /// records all have keys.
    pub fn is_used(&self) -> bool {
        partition_of(self.state.load(Ordering::Relaxed)) != NONE
    }

    /// The bytes that were counted since the last move.
    pub fn run_bytes(&self) -> u32 {
        bytes_of(self.state.load(Ordering::Relaxed))
    }

    /// The partition where the next record without a key goes.
    #[inline]
    pub fn current(&self, topic: &TopicView<'_>) -> i32 {
        // Relaxed everywhere: the word is all there is, no other memory is published with it.
        let partition = partition_of(self.state.load(Ordering::Relaxed));
        if is_usable(partition, topic) {
            partition
        } else {
            self.replace(topic)
        }
    }

    /// Whether a record may be appended to `partition`; if not, ask [`StickyPartition::current`] again.
    ///
    /// `at_boundary` says that the partition's queue is empty or that its last batch takes no more records. A move that
    /// was put off because the batch was not full is made here.
    #[inline]
    pub fn before_append(&self, partition: i32, at_boundary: bool, topic: &TopicView<'_>) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        if partition_of(state) != partition {
            return false;
        }
        if self.is_due(bytes_of(state), at_boundary) {
            // Whether this call moves it or another thread does: the partition that was asked for is to be left.
            self.advance(partition, topic);
            return false;
        }
        true
    }

    /// Counts `bytes` that were appended to `partition`, and moves on if that is enough.
    ///
    /// `bytes` is what the batch grew by, its header included when the record opened it. `at_boundary` is as in
    /// [`StickyPartition::before_append`], after the append.
    #[inline]
    pub fn on_append(
        &self,
        partition: i32,
        bytes: usize,
        at_boundary: bool,
        topic: &TopicView<'_>,
    ) -> OnAppend {
        match self.charge(partition, bytes, at_boundary) {
            Charge::Stays => OnAppend::Stays,
            Charge::Due if self.advance(partition, topic) => OnAppend::Moved,
            Charge::Due | Charge::Changed => OnAppend::Changed,
        }
    }

    /// The first half of [`StickyPartition::on_append`], for those who get hold of the topic, or of its load, only when
    /// it is needed.
    #[inline]
    pub fn charge(&self, partition: i32, bytes: usize, at_boundary: bool) -> Charge {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if partition_of(state) != partition {
                return Charge::Changed;
            }
            let appended = bytes_of(state).saturating_add(bytes);
            let new = pack(partition, appended);
            let exchanged =
                self.state
                    .compare_exchange_weak(state, new, Ordering::Relaxed, Ordering::Relaxed);
            match exchanged {
                Ok(_) if self.is_due(appended, at_boundary) => return Charge::Due,
                Ok(_) => return Charge::Stays,
                Err(now) => state = now,
            }
        }
    }

    /// Moves on from `partition`, which was found due. Returns whether this call did it: if not, another thread had
    /// done so before.
    #[cold]
    pub fn advance(&self, partition: i32, topic: &TopicView<'_>) -> bool {
        self.end_run(partition, topic).is_some()
    }

    /// Leaves `partition` before its run is over, because it takes nothing now. Returns where the next record goes, which
    /// may be the same one, if the topic has no other to offer.
    #[cold]
    pub fn leave(&self, partition: i32, topic: &TopicView<'_>) -> i32 {
        let mut next = self.draw(topic);
        // Another draw each time it comes out the same: with two partitions one in sixteen calls stays where it is.
        for _ in 0..3 {
            if next != partition {
                break;
            }
            next = self.draw(topic);
        }
        let state = self.state.load(Ordering::Relaxed);
        if partition_of(state) != partition {
            return self.current(topic);
        }
        // If it fails, another thread has counted or moved meanwhile: then what it left is as good.
        let _ = self
            .state
            .compare_exchange(state, pack(next, 0), Ordering::Relaxed, Ordering::Relaxed);
        self.current(topic)
    }

    /// Ends the run of `partition` and returns the bytes that were appended in it; `None` if another thread has done so.
    fn end_run(&self, partition: i32, topic: &TopicView<'_>) -> Option<u32> {
        let next = self.draw(topic);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            // The bytes are below the limit if another thread has moved it on, and to the same partition.
            if partition_of(state) != partition || bytes_of(state) < self.switch_bytes {
                return None;
            }
            let exchanged =
                self.state
                    .compare_exchange_weak(state, pack(next, 0), Ordering::Relaxed, Ordering::Relaxed);
            match exchanged {
                Ok(_) => return Some(bytes_of(state)),
                Err(now) => state = now,
            }
        }
    }

    /// Replaces a partition that cannot be used, unless another thread has.
    #[cold]
    fn replace(&self, topic: &TopicView<'_>) -> i32 {
        let next = self.draw(topic);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let partition = partition_of(state);
            if is_usable(partition, topic) {
                return partition;
            }
            let exchanged =
                self.state
                    .compare_exchange_weak(state, pack(next, 0), Ordering::Relaxed, Ordering::Relaxed);
            match exchanged {
                Ok(_) => return next,
                Err(now) => state = now,
            }
        }
    }

    fn is_due(&self, appended: u32, at_boundary: bool) -> bool {
        (at_boundary && appended >= self.switch_bytes) || appended >= 2 * self.switch_bytes
    }

    fn draw(&self, topic: &TopicView<'_>) -> i32 {
        if let Some(table) = topic.load_table().filter(|table| !table.is_even()) {
            let drawn = table.partition_at(self.random.below(table.sum()));
            // The table is older than the view: its partition may have lost its leader, or be gone.
            if let Some(partition) = drawn.filter(|&partition| topic.is_available(partition)) {
                return partition;
            }
        }
        let available = topic.available();
        let index = self.random.below(available.len() as u64) as usize;
        let any = || self.random.below(topic.partition_count() as u64) as i32;
        available.get(index).copied().unwrap_or_else(any)
    }
}

fn is_usable(partition: i32, topic: &TopicView<'_>) -> bool {
    topic.is_available(partition) || (topic.available().is_empty() && topic.contains(partition))
}

fn pack(partition: i32, bytes: u32) -> u64 {
    u64::from(partition as u32) << 32 | u64::from(bytes)
}

fn partition_of(state: u64) -> i32 {
    (state >> 32) as u32 as i32
}

fn bytes_of(state: u64) -> u32 {
    state as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{LoadTable, PartitionLoad};
    use std::time::Duration;

    const ALL: &[i32] = &[0, 1, 2, 3, 4, 5];

    fn bytes(sticky: &StickyPartition) -> u32 {
        bytes_of(sticky.state.load(Ordering::Relaxed))
    }

    /// Java's rules, one line for each: bytes appended so far, bytes of the record, at a boundary → moved.
    #[test]
    fn it_moves_when_java_does() {
        for (before, record, at_boundary, expected) in [
            (0, 99, true, OnAppend::Stays),
            (0, 100, true, OnAppend::Moved),
            (0, 100, false, OnAppend::Stays),
            (99, 1, true, OnAppend::Moved),
            (100, 99, false, OnAppend::Stays),
            (100, 100, false, OnAppend::Moved),
            (0, 5_000, false, OnAppend::Moved),
            (0, usize::MAX, false, OnAppend::Moved),
            (50, 0, true, OnAppend::Stays),
        ] {
            let topic = TopicView::new(6, ALL);
            let sticky = StickyPartition::new(100, 1);
            let partition = sticky.current(&topic);
            assert_ne!(sticky.charge(partition, before, false), Charge::Changed);
            let found = sticky.on_append(partition, record, at_boundary, &topic);
            assert_eq!(found, expected, "{before} + {record}, {at_boundary}");
            if expected == OnAppend::Moved {
                assert_eq!(bytes(&sticky), 0);
            } else {
                assert_eq!(bytes(&sticky) as usize, before + record);
            }
        }
    }

    /// A move that had to wait for the batch is made before the next append, once the batch was closed or drained.
    #[test]
    fn a_move_that_was_put_off_is_made_at_the_boundary() {
        let topic = TopicView::new(6, ALL);
        let sticky = StickyPartition::new(100, 1);
        let partition = sticky.current(&topic);
        assert_eq!(sticky.on_append(partition, 150, false, &topic), OnAppend::Stays);
        assert!(sticky.before_append(partition, false, &topic));
        assert!(!sticky.before_append(partition, true, &topic));
        let next = sticky.current(&topic);
        assert!(sticky.before_append(next, true, &topic));
        assert_eq!(bytes(&sticky), 0);
    }

    #[test]
    fn who_comes_too_late_counts_nothing() {
        let topic = TopicView::new(6, ALL);
        let sticky = StickyPartition::new(100, 1);
        let left = sticky.current(&topic);
        while sticky.current(&topic) == left {
            assert_eq!(sticky.on_append(left, 100, true, &topic), OnAppend::Moved);
        }
        assert!(!sticky.before_append(left, false, &topic));
        assert_eq!(sticky.on_append(left, 100, true, &topic), OnAppend::Changed);
        assert!(!sticky.advance(left, &topic));
        assert_eq!(bytes(&sticky), 0);
        // Nor does a second thread move on a run that the first has just ended in the same partition.
        assert!(!sticky.advance(sticky.current(&topic), &topic));
    }

    /// Scenario: batch.size 0 with no key → terminates (KAFKA-14303).
    #[test]
    fn batch_size_0_terminates() {
        let topic = TopicView::new(6, ALL);
        let sticky = StickyPartition::new(0, 1);
        let mut moves = 0;
        for _ in 0..100 {
            let mut looks = 0;
            let partition = loop {
                let partition = sticky.current(&topic);
                if sticky.before_append(partition, true, &topic) {
                    break partition;
                }
                looks += 1;
                assert!(looks < 2, "one thread: at most one move is outstanding");
            };
            moves += usize::from(sticky.on_append(partition, 70, true, &topic) == OnAppend::Moved);
        }
        assert_eq!(moves, 100);
    }

    /// Scenario: all partitions leaderless → buffered until the deadline (in one of them, which can be told).
    #[test]
    fn all_partitions_leaderless() {
        let sticky = StickyPartition::new(100, 1);
        let nobody = TopicView::new(6, &[]);
        let mut seen = [false; 6];
        for _ in 0..200 {
            let partition = sticky.current(&nobody);
            assert_eq!(sticky.current(&nobody), partition, "it stays where it is");
            assert_eq!(sticky.on_append(partition, 100, true, &nobody), OnAppend::Moved);
            seen[partition as usize] = true;
        }
        assert_eq!(seen, [true; 6]);
        // A leader appears: from now on only there.
        let one = TopicView::new(6, &[3]);
        assert_eq!(sticky.current(&one), 3);
        assert_eq!(sticky.on_append(3, 100, true, &one), OnAppend::Moved);
        assert_eq!(sticky.current(&one), 3);
    }

    /// Scenario: the partition count grows or shrinks → adapts, no panic.
    #[test]
    fn the_partition_count_grows_or_shrinks() {
        let sticky = StickyPartition::new(100, 1);
        for count in [6, 1, 3, 0, 6, 2] {
            let topic = TopicView::new(count, ALL.get(..count as usize).unwrap_or(ALL));
            let mut seen = vec![false; count.max(1) as usize];
            for _ in 0..200 {
                let partition = sticky.current(&topic);
                seen[partition as usize] = true;
                assert_eq!(sticky.on_append(partition, 100, true, &topic), OnAppend::Moved);
            }
            assert!(seen.iter().all(|&seen| seen), "{count}: {seen:?}");
        }
    }

    #[test]
    fn a_partition_that_loses_its_leader_is_left() {
        let sticky = StickyPartition::new(100, 1);
        let partition = sticky.current(&TopicView::new(6, ALL));
        let others: Vec<_> = ALL.iter().copied().filter(|&other| other != partition).collect();
        let topic = TopicView::new(6, &others);
        let next = sticky.current(&topic);
        assert_ne!(next, partition);
        assert_eq!(sticky.current(&topic), next, "once");
    }

    fn shares(topic: &TopicView<'_>, moves: usize) -> Vec<usize> {
        let sticky = StickyPartition::new(100, 11);
        let mut shares = vec![0; topic.partition_count() as usize];
        for _ in 0..moves {
            let partition = sticky.current(topic);
            shares[partition as usize] += 1;
            sticky.on_append(partition, 100, true, topic);
        }
        shares
    }

    /// Scenario: no key → sticky and near-uniform; a slow broker → fewer records, not zero.
    #[test]
    fn no_key_is_near_uniform_and_a_slow_broker_gets_fewer_but_not_zero() {
        let even = shares(&TopicView::new(6, ALL), 60_000);
        assert!(
            even.iter().all(|share| (9_600..10_400).contains(share)),
            "{even:?}"
        );

        let mut table = LoadTable::new();
        let queues = [0, 0, 9, 0, 0, 4].into_iter().zip(0..);
        table.rebuild(
            6,
            Duration::ZERO,
            queues.map(|(queued_batches, partition)| PartitionLoad {
                partition,
                queued_batches,
                stalled: Duration::ZERO,
            }),
        );
        // Weights 10, 10, 1, 10, 10, 6: sum 47.
        let weighted = shares(&TopicView::new(6, ALL).load(Some(&table)), 47_000);
        for (share, weight) in weighted.iter().zip([10, 10, 1, 10, 10, 6]) {
            assert!(share.abs_diff(weight * 1_000) < 100 + weight * 30, "{weighted:?}");
        }
        // A table that is older than the view: what it names and the view has not got, is not chosen.
        let stale = shares(&TopicView::new(3, &[0, 2]).load(Some(&table)), 10_000);
        assert!(stale[0] > 0 && stale[1] == 0 && stale[2] > 0, "{stale:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_partitions() {
        let walk = |seed| {
            let topic = TopicView::new(6, ALL);
            let sticky = StickyPartition::new(100, seed);
            let step = |_| {
                let partition = sticky.current(&topic);
                sticky.on_append(partition, 100, true, &topic);
                partition
            };
            (0..50).map(step).collect::<Vec<_>>()
        };
        assert_eq!(walk(5), walk(5));
        assert_ne!(walk(5), walk(6));
    }

    /// Threads race at switches: whatever the order, every byte is counted once, in one run, and no run ends early or
    /// twice.
    #[test]
    fn threads_racing_at_a_switch() {
        const THREADS: u64 = 4;
        const RECORDS: u64 = 20_000;
        const RECORD: u64 = 40;
        let sticky = StickyPartition::new(100, 3);
        let topic = TopicView::new(2, &[0, 1]);
        let run = || {
            let (mut ended, mut runs) = (0, 0);
            for _ in 0..RECORDS {
                loop {
                    let partition = sticky.current(&topic);
                    match sticky.charge(partition, RECORD as usize, true) {
                        Charge::Changed => continue,
                        Charge::Stays => break,
                        Charge::Due => {
                            if let Some(bytes) = sticky.end_run(partition, &topic) {
                                assert!(bytes >= 100, "a run ended after {bytes} bytes");
                                ended += u64::from(bytes);
                                runs += 1;
                            }
                            break;
                        }
                    }
                }
            }
            (ended, runs)
        };
        let (ended, runs) = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("the thread asserts"))
                .fold((0, 0), |(ended, runs), (more_ended, more_runs)| {
                    (ended + more_ended, runs + more_runs)
                })
        });
        assert_eq!(ended + u64::from(bytes(&sticky)), THREADS * RECORDS * RECORD);
        // Every thread ends the run that it finds due before it appends again: so a run has at most the three records
        // that make it due, and one of each other thread.
        assert!(runs >= THREADS * RECORDS / (3 + THREADS - 1), "{runs} runs");
    }
}

/// Every interleaving of two threads: `RUSTFLAGS="--cfg loom" cargo test -p ottla-partitioning --lib --release`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// The bytes of the runs that this thread ended.
    fn append(sticky: &StickyPartition, records: u32) -> u32 {
        let topic = TopicView::new(2, &[0, 1]);
        let mut ended = 0;
        for _ in 0..records {
            loop {
                let partition = sticky.current(&topic);
                match sticky.charge(partition, 60, true) {
                    Charge::Changed => continue,
                    Charge::Stays => break,
                    Charge::Due => {
                        if let Some(bytes) = sticky.end_run(partition, &topic) {
                            assert!(bytes >= 100, "a run ended after {bytes} bytes");
                            ended += bytes;
                        }
                        break;
                    }
                }
            }
        }
        ended
    }

    #[test]
    fn every_byte_is_counted_once() {
        loom::model(|| {
            let sticky = Arc::new(StickyPartition::new(100, 1));
            // The next record makes the run due, in either thread; the one after that belongs to the next run.
            assert_eq!(append(&sticky, 1), 0);
            let other = Arc::clone(&sticky);
            let thread = loom::thread::spawn(move || append(&other, 1));
            let here = append(&sticky, 2);
            let there = thread.join().unwrap();
            let left = bytes_of(sticky.state.load(Ordering::Relaxed));
            assert_eq!(here + there + left, 4 * 60);
        });
    }
}
