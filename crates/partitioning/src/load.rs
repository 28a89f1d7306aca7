//! Which partitions can take more: the adaptive part of KIP-794.

use std::time::Duration;

/// What the producer knows of one partition when it looks at its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLoad {
    /// The partition; it has a leader (those that have none are left out by the caller).
    pub partition: i32,
    /// How many batches (not bytes) are queued.
    pub queued_batches: u32,
    /// For how long the leader has had data to take without being able to take it: the last time it had some minus the
    /// last time it could be sent to, zero if that is negative.
    pub stalled: Duration,
}

/// How likely each partition is to be chosen next, from the lengths of the queues: the longest queue gets the weight 1,
/// and every batch less adds 1. A slow broker thus gets less, but never nothing.
///
/// It is built by whoever looks at the queues anyway, and shared as a snapshot ([`crate::TopicView::load`]). While it is
/// even ([`LoadTable::is_even`]) all partitions with a leader are equally likely.
///
/// ```
/// use ottla_partitioning::{LoadTable, PartitionLoad};
/// use std::time::Duration;
///
/// let queue = |partition, queued_batches| PartitionLoad { partition, queued_batches, stalled: Duration::ZERO };
/// let mut table = LoadTable::new();
/// table.rebuild(3, Duration::ZERO, [queue(0, 0), queue(1, 3), queue(2, 1)]);
/// let weights: Vec<_> = table.weights().collect();
/// assert_eq!(weights, [(0, 4), (1, 1), (2, 3)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadTable {
    /// Each partition with the sum of the weights up to and with its own; empty if even.
    cumulative: Vec<(i32, u64)>,
}

impl LoadTable {
    /// An even table.
    pub const fn new() -> LoadTable {
        LoadTable {
            cumulative: Vec::new(),
        }
    }

    /// Builds the table anew, in the memory that it has. `partition_count` is that of all partitions of the topic.
    ///
    /// A partition with queued batches whose leader has been stalled for longer than `availability_timeout`
    /// (`partitioner.availability.timeout.ms`) is left out; zero switches that off.
    ///
    /// As in Java the table is even if the topic has fewer than two partitions, if nothing is left, and if all queues
    /// are of one length and nothing was left out. Unlike there, a partition of which nothing is known may be missing
    /// from `loads` (it is not chosen then): Java waits until every partition has had a record.
    pub fn rebuild(
        &mut self,
        partition_count: i32,
        availability_timeout: Duration,
        loads: impl IntoIterator<Item = PartitionLoad>,
    ) {
        self.cumulative.clear();
        if partition_count < 2 {
            return;
        }
        let is_stalled = |load: &PartitionLoad| {
            !availability_timeout.is_zero() && load.queued_batches > 0 && load.stalled > availability_timeout
        };
        let kept = loads.into_iter().filter(|load| !is_stalled(load));
        // The lengths stand in the place of the sums until the longest is known.
        self.cumulative
            .extend(kept.map(|load| (load.partition, u64::from(load.queued_batches))));
        let Some(&(_, first)) = self.cumulative.first() else {
            return;
        };
        let everything_kept = self.cumulative.len() == partition_count as usize;
        if everything_kept && self.cumulative.iter().all(|&(_, length)| length == first) {
            self.cumulative.clear();
            return;
        }
        let longest = self
            .cumulative
            .iter()
            .map(|&(_, length)| length)
            .max()
            .unwrap_or(first);
        let mut sum = 0;
        for (_, length) in &mut self.cumulative {
            // At most 2^32 each, of at most 2^31 partitions.
            sum += longest + 1 - *length;
            *length = sum;
        }
    }

    /// Whether the queues say nothing: all partitions with a leader are equally likely.
    pub fn is_even(&self) -> bool {
        self.cumulative.is_empty()
    }

    /// The partitions that may be chosen and their weights; nothing if even.
    pub fn weights(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let mut before = 0;
        self.cumulative.iter().map(move |&(partition, sum)| {
            let weight = sum - before;
            before = sum;
            (partition, weight)
        })
    }

    /// The partition for a number that is drawn below [`LoadTable::sum`]; `None` if even.
    pub(crate) fn partition_at(&self, drawn: u64) -> Option<i32> {
        let index = self.cumulative.partition_point(|&(_, sum)| sum <= drawn);
        self.cumulative.get(index).map(|&(partition, _)| partition)
    }

    /// The sum of all weights; 0 if even.
    pub(crate) fn sum(&self) -> u64 {
        self.cumulative.last().map_or(0, |&(_, sum)| sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    /// Queues of the lengths given, of the partitions from 0; a negative length is that of a stalled partition.
    fn table(partition_count: i32, timeout: Duration, lengths: &[i32]) -> LoadTable {
        let loads = lengths.iter().zip(0..).map(|(&length, partition)| PartitionLoad {
            partition,
            queued_batches: length.unsigned_abs(),
            stalled: if length < 0 { TIMEOUT * 2 } else { TIMEOUT },
        });
        let mut table = LoadTable::new();
        table.rebuild(partition_count, timeout, loads);
        table
    }

    fn check(partition_count: i32, timeout: Duration, lengths: &[i32], expected: &[(i32, u64)]) {
        let weights: Vec<_> = table(partition_count, timeout, lengths).weights().collect();
        assert_eq!(weights, expected, "{lengths:?}");
    }

    #[test]
    fn weights_are_those_of_java() {
        check(3, Duration::ZERO, &[0, 3, 1], &[(0, 4), (1, 1), (2, 3)]);
        check(3, Duration::ZERO, &[5, 5, 5], &[]);
        check(1, Duration::ZERO, &[7], &[]);
        check(2, Duration::ZERO, &[], &[]);
        // One of three is missing: the others are even, but the table is needed to keep it out.
        check(3, Duration::ZERO, &[2, 2], &[(0, 1), (1, 1)]);
    }

    #[test]
    fn stalled_partitions_are_left_out_if_they_hold_data() {
        check(3, TIMEOUT, &[0, -3, 1], &[(0, 2), (2, 1)]);
        // Without the timeout, and at the timeout itself, they stay.
        check(3, Duration::ZERO, &[0, -3, 1], &[(0, 4), (1, 1), (2, 3)]);
        check(3, TIMEOUT, &[0, 3, 1], &[(0, 4), (1, 1), (2, 3)]);
        // Nothing is left: even, rather than no choice at all.
        check(2, TIMEOUT, &[-1, -1], &[]);
        let idle = PartitionLoad {
            partition: 1,
            queued_batches: 0,
            stalled: TIMEOUT * 2,
        };
        let busy = PartitionLoad {
            partition: 0,
            queued_batches: 1,
            stalled: Duration::ZERO,
        };
        let mut table = LoadTable::new();
        table.rebuild(2, TIMEOUT, [busy, idle]);
        assert_eq!(table.weights().collect::<Vec<_>>(), [(0, 1), (1, 2)]);
    }

    #[test]
    fn the_longest_queues_do_not_overflow() {
        let mut table = LoadTable::new();
        let loads = [0, u32::MAX, 0].into_iter().zip(0..);
        table.rebuild(
            3,
            Duration::ZERO,
            loads.map(|(queued_batches, partition)| PartitionLoad {
                partition,
                queued_batches,
                stalled: Duration::ZERO,
            }),
        );
        assert_eq!(table.sum(), 2 * (1 << 32) + 1);
    }

    proptest! {
        /// Every number below the sum finds a partition, each as often as its weight says.
        #[test]
        fn draws_follow_the_weights(lengths in proptest::collection::vec(-9..9_i32, 0..12), missing in 0..3_i32) {
            let table = table(lengths.len() as i32 + missing, TIMEOUT, &lengths);
            let mut drawn = Vec::new();
            for number in 0..table.sum() {
                drawn.push(table.partition_at(number).expect("below the sum"));
            }
            let expected: Vec<_> =
                table.weights().flat_map(|(partition, weight)| vec![partition; weight as usize]).collect();
            prop_assert_eq!(drawn, expected);
            prop_assert_eq!(table.partition_at(table.sum()), None);
            prop_assert!(table.weights().all(|(_, weight)| weight > 0));
        }
    }
}
