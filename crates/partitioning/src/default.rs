//! What the Java client does when no partitioner is configured.

use crate::{Choice, Partitioner, RecordView, TopicState, TopicView, murmur2, to_positive};

/// Java's built-in choice: a key is hashed with murmur2 over all partitions, records without one are
/// [`Choice::Sticky`].
///
/// An empty key is a key, and is hashed. All partitions count, also those without a leader, so that a key stays with
/// its partition as long as the topic does not grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultPartitioner {
    ignore_keys: bool,
}

impl DefaultPartitioner {
    /// Java's default.
    pub const fn new() -> DefaultPartitioner {
        DefaultPartitioner { ignore_keys: false }
    }

    /// Whether records with a key are treated like those without (`partitioner.ignore.keys`).
    pub const fn ignore_keys(mut self, ignore_keys: bool) -> DefaultPartitioner {
        self.ignore_keys = ignore_keys;
        self
    }
}

impl Partitioner for DefaultPartitioner {
    #[inline]
    fn partition(&self, record: &RecordView<'_>, topic: &TopicView<'_>, _state: &TopicState) -> Choice {
        match record.key {
            Some(key) if !self.ignore_keys => {
                Choice::Partition(topic.partition_of_hash(to_positive(murmur2(key))))
            }
            _ => Choice::Sticky,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn choose(partitioner: DefaultPartitioner, key: Option<&[u8]>, topic: &TopicView<'_>) -> Choice {
        partitioner.partition(&RecordView::new("t").key(key), topic, &TopicState::new(16_384, 0))
    }

    /// The partitions that librdkafka 2.0.2's `murmur2` and Java 4.3.1 give for these keys.
    #[test]
    fn keys_go_where_java_sends_them() {
        for (key, of_6, of_1000003) in [
            ("", 3, 645856),
            ("a", 4, 100772),
            ("kafka", 4, 976536),
            ("giberish123456789", 2, 239049),
            ("1234", 0, 296341),
            ("user-00000042", 0, 492086),
            ("日本語のキー", 2, 803706),
        ] {
            let key = Some(key.as_bytes());
            let default = DefaultPartitioner::new();
            assert_eq!(
                choose(default, key, &TopicView::new(6, &[0])),
                Choice::Partition(of_6)
            );
            assert_eq!(
                choose(default, key, &TopicView::new(1_000_003, &[])),
                Choice::Partition(of_1000003)
            );
        }
    }

    #[test]
    fn no_key_and_ignored_keys_are_sticky() {
        let topic = TopicView::new(6, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(choose(DefaultPartitioner::new(), None, &topic), Choice::Sticky);
        let ignoring = DefaultPartitioner::new().ignore_keys(true);
        assert_eq!(choose(ignoring, Some(b"kafka"), &topic), Choice::Sticky);
        assert_eq!(choose(ignoring, None, &topic), Choice::Sticky);
    }
}
