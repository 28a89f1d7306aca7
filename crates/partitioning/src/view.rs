//! What a partitioner sees: the record, and the topic as the cluster has it.

use crate::LoadTable;
use std::fmt;

/// A record before it has a partition. Everything is borrowed; key and value are as the serializers left them.
///
/// It has no `Debug`: keys and values do not belong into logs.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The key; an empty key is not the same as none.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a dyn Headers,
}

impl<'a> RecordView<'a> {
    /// A record without key, value and headers.
    #[inline]
    pub fn new(topic: &'a str) -> RecordView<'a> {
        RecordView {
            topic,
            key: None,
            value: None,
            headers: &(),
        }
    }

    /// Sets the key.
    #[inline]
    pub fn key(mut self, key: Option<&'a [u8]>) -> RecordView<'a> {
        self.key = key;
        self
    }

    /// Sets the value.
    #[inline]
    pub fn value(mut self, value: Option<&'a [u8]>) -> RecordView<'a> {
        self.value = value;
        self
    }

    /// Sets the headers.
    #[inline]
    pub fn headers(mut self, headers: &'a dyn Headers) -> RecordView<'a> {
        self.headers = headers;
        self
    }
}

/// The headers of a record, whatever they are stored in: a client implements it for its own collection, so that nothing
/// is copied for a partitioner that does not look.
pub trait Headers {
    /// How many there are.
    fn count(&self) -> usize;

    /// The name and the value of the header at `index`, in the order of the record; `None` beyond the end.
    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)>;
}

/// No headers.
impl Headers for () {
    fn count(&self) -> usize {
        0
    }

    fn header(&self, _index: usize) -> Option<(&str, Option<&[u8]>)> {
        None
    }
}

impl Headers for &[(&str, Option<&[u8]>)] {
    fn count(&self) -> usize {
        self.len()
    }

    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.get(index).copied()
    }
}

/// A topic as the cluster has it now. It is made for each record: a few words, borrowed from a snapshot of the metadata.
#[derive(Clone, Copy, Debug)]
pub struct TopicView<'a> {
    partition_count: i32,
    available: &'a [i32],
    load: Option<&'a LoadTable>,
}

impl<'a> TopicView<'a> {
    /// A topic of `partition_count` partitions, of which those in `available` have a leader.
    ///
    /// The count is that of all partitions, with a leader or not: keys are hashed over it. A count below 1 is taken as
    /// 1, so that a choice always exists; such a record waits like any other whose partition has no leader.
    ///
    /// `available` must be in ascending order, without duplicates. Partitions that lie beyond the count are not an
    /// error, but a choice may fall on them.
    #[inline]
    pub fn new(partition_count: i32, available: &'a [i32]) -> TopicView<'a> {
        TopicView {
            partition_count: partition_count.max(1),
            available,
            load: None,
        }
    }

    /// Adds how long the queues are; `None`, or an even table, means that all partitions are equally likely.
    #[inline]
    pub fn load(mut self, load: Option<&'a LoadTable>) -> TopicView<'a> {
        self.load = load;
        self
    }

    /// How many partitions the topic has; at least 1.
    #[inline]
    pub fn partition_count(&self) -> i32 {
        self.partition_count
    }

    /// The partitions that have a leader, in ascending order.
    #[inline]
    pub fn available(&self) -> &'a [i32] {
        self.available
    }

    /// How long the queues were when they were last looked at.
    #[inline]
    pub fn load_table(&self) -> Option<&'a LoadTable> {
        self.load
    }

    /// Whether `partition` has a leader.
    #[inline]
    pub fn is_available(&self, partition: i32) -> bool {
        // Nearly always every partition has one.
        if self.available.len() == self.partition_count as usize {
            return self.contains(partition);
        }
        self.available.binary_search(&partition).is_ok()
    }

    /// Whether the topic has `partition`.
    #[inline]
    pub fn contains(&self, partition: i32) -> bool {
        (0..self.partition_count).contains(&partition)
    }

    /// `partition` if the topic has it: for partitions that a record names or that someone's own partitioner chose.
    ///
    /// Java refuses negative choices of a partitioner only; one that is too large leaves the record waiting until it
    /// expires. Asking here gives a clear error at once.
    #[inline]
    pub fn check(&self, partition: i32) -> Result<i32, UnknownPartition> {
        if self.contains(partition) {
            Ok(partition)
        } else {
            Err(UnknownPartition {
                partition,
                partition_count: self.partition_count,
            })
        }
    }

    /// The partition that `hash` falls on, of all partitions.
    #[inline]
    pub fn partition_of_hash(&self, hash: u32) -> i32 {
        // partition_count is at least 1, and the remainder less than it: both fit.
        (hash % self.partition_count as u32) as i32
    }
}

/// A record or a partitioner named a partition that the topic has not got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownPartition {
    /// The partition.
    pub partition: i32,
    /// How many the topic has; they count from 0.
    pub partition_count: i32,
}

impl fmt::Display for UnknownPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the topic has no partition {}: its partitions are 0 to {}",
            self.partition,
            self.partition_count - 1
        )
    }
}

impl std::error::Error for UnknownPartition {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a bad explicit partition → bounded, typed error.
    #[test]
    fn a_bad_explicit_partition_is_a_typed_error() {
        let topic = TopicView::new(3, &[0, 1, 2]);
        assert_eq!(topic.check(2), Ok(2));
        for partition in [3, -1, i32::MIN, i32::MAX] {
            assert_eq!(
                topic.check(partition),
                Err(UnknownPartition {
                    partition,
                    partition_count: 3
                })
            );
        }
        let error = topic.check(7).unwrap_err().to_string();
        assert_eq!(error, "the topic has no partition 7: its partitions are 0 to 2");
    }

    #[test]
    fn a_topic_without_partitions_has_one_that_waits() {
        for count in [0, -1, i32::MIN] {
            let topic = TopicView::new(count, &[]);
            assert_eq!((topic.partition_count(), topic.check(0)), (1, Ok(0)));
            assert!(!topic.is_available(0));
            assert_eq!(topic.partition_of_hash(u32::MAX), 0);
        }
    }

    #[test]
    fn availability_is_looked_up() {
        let all = TopicView::new(3, &[0, 1, 2]);
        let some = TopicView::new(4, &[1, 3]);
        for (topic, expected) in [
            (all, [true, true, true, false]),
            (some, [false, true, false, true]),
        ] {
            assert_eq!(
                [0, 1, 2, 3].map(|partition| topic.is_available(partition)),
                expected
            );
            assert!(!topic.is_available(-1));
        }
    }

    #[test]
    fn headers_are_seen_in_order() {
        let headers: &[(&str, Option<&[u8]>)] = &[("trace", Some(b"1")), ("trace", None)];
        let record = RecordView::new("topic").headers(&headers);
        assert_eq!(record.headers.count(), 2);
        assert_eq!(record.headers.header(0), Some(("trace", Some(&b"1"[..]))));
        assert_eq!(record.headers.header(1), Some(("trace", None)));
        assert_eq!(record.headers.header(2), None);
        assert_eq!(RecordView::new("topic").headers.count(), 0);
    }
}
