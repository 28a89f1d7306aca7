//! Topics and their partitions: names, ids, leaders, replicas.

use crate::config::TopicConfig;
use crate::log::Log;
use crate::producer_state::ProducerStates;
use ottla_protocol::wire::Uuid;
use ottla_time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A topic's place in the cluster: never used again after the topic is deleted.
pub(crate) type TopicKey = u32;

/// No broker leads the partition.
pub(crate) const NO_LEADER: i32 = -1;

/// One partition, as all of its replicas see it.
#[derive(Debug)]
pub(crate) struct Partition {
    /// The broker that leads, or [`NO_LEADER`].
    pub(crate) leader: i32,
    /// Goes up with every change of the leader.
    pub(crate) leader_epoch: i32,
    /// The brokers that hold the partition; the first is preferred as leader.
    pub(crate) replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub(crate) isr: Vec<i32>,
    pub(crate) log: Log,
    pub(crate) producers: ProducerStates,
    /// Appends that the followers do not have yet: (when they will, the end offset then).
    pub(crate) replicating: VecDeque<(Time, i64)>,
    /// What every replica in sync has, which the high watermark follows unless too few are in sync.
    pub(crate) replicated: i64,
    /// A test keeps the followers from fetching.
    pub(crate) held: bool,
    /// The leader that died, while there is no other yet: it alone has what its followers have not got.
    pub(crate) lost_leader: Option<i32>,
    /// Markers that the followers do not have yet: (offset, transactional id). Their transactions are not complete.
    pub(crate) markers: VecDeque<(i64, Arc<str>)>,
    /// Requests that wait for the high watermark or for records.
    pub(crate) waiting: BTreeSet<u64>,
}

impl Partition {
    fn new(replicas: Vec<i32>) -> Partition {
        Partition {
            leader: replicas.first().copied().unwrap_or(NO_LEADER),
            leader_epoch: 0,
            isr: replicas.clone(),
            replicas,
            log: Log::default(),
            producers: ProducerStates::default(),
            replicating: VecDeque::new(),
            replicated: 0,
            held: false,
            lost_leader: None,
            markers: VecDeque::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Whether fewer replicas are in sync than `min.insync.replicas` asks for. A partition that has not got so many at
    /// all is content with those that it has (`Partition.effectiveMinIsr`).
    pub(crate) fn is_under_min_isr(&self, min_insync_replicas: i32) -> bool {
        let count = |brokers: &[i32]| i32::try_from(brokers.len()).unwrap_or(i32::MAX);
        count(&self.isr) < min_insync_replicas.min(count(&self.replicas))
    }
}

/// A topic and its partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) config: TopicConfig,
    pub(crate) partitions: Vec<Partition>,
    /// How much memory the batches of all partitions are charged with, in bytes.
    pub(crate) bytes: usize,
}

impl Topic {
    /// The partition of an index that came from the wire.
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// The partition of an index that came from the wire.
    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    topics: BTreeMap<TopicKey, Topic>,
    by_name: BTreeMap<Arc<str>, TopicKey>,
    by_id: BTreeMap<[u8; 16], TopicKey>,
    next_key: TopicKey,
    /// Partitions over all topics.
    partitions: usize,
}

impl Topics {
    /// Creates a topic whose partitions are spread over brokers 1 to `brokers`; its name must be new.
    pub(crate) fn create(
        &mut self,
        name: &str,
        id: Uuid,
        assignment: Vec<Vec<i32>>,
        config: TopicConfig,
    ) -> TopicKey {
        let key = self.next_key;
        self.next_key += 1;
        let name: Arc<str> = Arc::from(name);
        self.partitions += assignment.len();
        self.by_name.insert(Arc::clone(&name), key);
        self.by_id.insert(*id.as_bytes(), key);
        self.topics.insert(
            key,
            Topic {
                name,
                id,
                config,
                partitions: assignment.into_iter().map(Partition::new).collect(),
                bytes: 0,
            },
        );
        key
    }

    /// Deletes a topic and returns what it was.
    pub(crate) fn delete(&mut self, key: TopicKey) -> Option<Topic> {
        let topic = self.topics.remove(&key)?;
        self.by_name.remove(&topic.name);
        self.by_id.remove(topic.id.as_bytes());
        self.partitions -= topic.partitions.len();
        Some(topic)
    }

    /// Adds partitions to a topic.
    pub(crate) fn grow(&mut self, key: TopicKey, assignment: Vec<Vec<i32>>) {
        if let Some(topic) = self.topics.get_mut(&key) {
            self.partitions += assignment.len();
            topic
                .partitions
                .extend(assignment.into_iter().map(Partition::new));
        }
    }

    pub(crate) fn key_of(&self, name: &str) -> Option<TopicKey> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn key_of_id(&self, id: &Uuid) -> Option<TopicKey> {
        self.by_id.get(id.as_bytes()).copied()
    }

    pub(crate) fn topic(&self, key: TopicKey) -> Option<&Topic> {
        self.topics.get(&key)
    }

    pub(crate) fn topic_mut(&mut self, key: TopicKey) -> Option<&mut Topic> {
        self.topics.get_mut(&key)
    }

    pub(crate) fn partition(&self, key: TopicKey, index: i32) -> Option<&Partition> {
        self.topics.get(&key)?.partition(index)
    }

    pub(crate) fn partition_mut(&mut self, key: TopicKey, index: i32) -> Option<&mut Partition> {
        self.topics.get_mut(&key)?.partition_mut(index)
    }

    /// Topics in the order of their names.
    pub(crate) fn by_name(&self) -> impl Iterator<Item = (TopicKey, &Topic)> {
        self.by_name
            .values()
            .filter_map(|&key| Some((key, self.topics.get(&key)?)))
    }

    pub(crate) fn keys(&self) -> Vec<TopicKey> {
        self.topics.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(crate) fn partitions_len(&self) -> usize {
        self.partitions
    }
}

/// Where the replicas of new partitions go: leaders rotate over the brokers, followers are the next ones.
pub(crate) fn spread(
    first_partition: i32,
    partitions: i32,
    replication_factor: i16,
    brokers: i32,
    shift: i32,
) -> Vec<Vec<i32>> {
    let place = |partition: i32, replica: i32| {
        (i64::from(partition) + i64::from(replica) + i64::from(shift)) % i64::from(brokers)
    };
    (first_partition..first_partition.saturating_add(partitions))
        .map(|partition| {
            (0..i32::from(replication_factor))
                .map(|replica| place(partition, replica) as i32 + 1)
                .collect()
        })
        .collect()
}

/// Why a topic cannot have a name, in the words that clients print.
pub(crate) fn name_error(name: &str) -> Option<&'static str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() {
        Some("the topic name is empty")
    } else if name == "." || name == ".." {
        Some("the topic name is '.' or '..'")
    } else if name.len() > 249 {
        Some("the topic name is longer than 249 characters")
    } else if !name.bytes().all(legal) {
        Some("the topic name has characters other than ASCII letters, digits, '.', '_' and '-'")
    } else {
        None
    }
}

/// Topics that Kafka keeps for itself: a client may not write to them.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(
        name,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_spread_over_brokers() {
        assert_eq!(spread(0, 4, 2, 3, 0), [[1, 2], [2, 3], [3, 1], [1, 2]]);
        assert_eq!(spread(4, 1, 3, 3, 1), [[3, 1, 2]]);
        assert_eq!(spread(i32::MAX - 1, 1, 1, 1, i32::MAX), [[1]]);
    }

    #[test]
    fn names() {
        for good in ["a", "A.b_c-9", &"x".repeat(249)] {
            assert_eq!(name_error(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(name_error(bad).is_some(), "{bad}");
        }
    }
}
