//! One partition after the other.

use crate::{Choice, Partitioner, RecordView, TopicState, TopicView, to_positive};

/// Java's `RoundRobinPartitioner`: each record, with a key or without, goes to the next partition of its topic that has
/// a leader; if none has one, to the next of all.
///
/// Java walks the partitions in the order of a hash map, this one in ascending order. The counter is that of the
/// [`TopicState`]: with a state for each handle, each handle has a round of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundRobin;

impl Partitioner for RoundRobin {
    #[inline]
    fn partition(&self, _record: &RecordView<'_>, topic: &TopicView<'_>, state: &TopicState) -> Choice {
        // The wrap from 2^31 - 1 to 0 is Java's too.
        let count = to_positive(state.count());
        let available = topic.available();
        // `max(1)` only tells the compiler that it does not divide by zero; an empty list has no first element.
        let index = count as usize % available.len().max(1);
        let partition = available.get(index).copied();
        Choice::Partition(partition.unwrap_or_else(|| topic.partition_of_hash(count)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn rounds(topic: &TopicView<'_>, state: &TopicState, count: usize) -> Vec<Choice> {
        let record = RecordView::new("t").key(Some(b"ignored"));
        (0..count)
            .map(|_| RoundRobin.partition(&record, topic, state))
            .collect()
    }

    fn partitions<const N: usize>(expected: [i32; N]) -> Vec<Choice> {
        expected.map(Choice::Partition).to_vec()
    }

    #[test]
    fn it_goes_round_the_partitions_with_a_leader() {
        let state = TopicState::new(16_384, 0);
        assert_eq!(
            rounds(&TopicView::new(4, &[0, 2, 3]), &state, 5),
            partitions([0, 2, 3, 0, 2])
        );
        // Another topic has another counter.
        let other = TopicState::new(16_384, 0);
        assert_eq!(
            rounds(&TopicView::new(4, &[0, 2, 3]), &other, 2),
            partitions([0, 2])
        );
    }

    /// Scenario: all partitions leaderless → buffered until the deadline (they are still spread).
    #[test]
    fn all_partitions_leaderless() {
        let state = TopicState::new(16_384, 0);
        assert_eq!(
            rounds(&TopicView::new(3, &[]), &state, 4),
            partitions([0, 1, 2, 0])
        );
    }

    /// Scenario: the partition count grows or shrinks → adapts, no panic.
    #[test]
    fn the_partition_count_grows_or_shrinks() {
        let state = TopicState::new(16_384, 0);
        rounds(&TopicView::new(3, &[0, 1, 2]), &state, 4);
        assert_eq!(
            rounds(&TopicView::new(6, &[0, 1, 2, 3, 4, 5]), &state, 2),
            partitions([4, 5])
        );
        assert_eq!(rounds(&TopicView::new(1, &[0]), &state, 2), partitions([0, 0]));
        assert_eq!(rounds(&TopicView::new(0, &[]), &state, 1), partitions([0]));
    }
}
