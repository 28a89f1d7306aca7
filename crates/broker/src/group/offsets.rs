//! Committed offsets, and those that wait for their transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A partition, by the name of its topic.
pub(crate) type OffsetKey = (Arc<str>, i32);

/// An offset that a consumer committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<OffsetKey, CommittedOffset>,
    /// Producer id → what becomes committed with its transaction.
    pending: BTreeMap<i64, BTreeMap<OffsetKey, CommittedOffset>>,
}

/// How many partitions a group may have offsets for.
const OFFSETS_MAX: usize = 20_000;

impl Offsets {
    /// Commits an offset; false if the group has too many.
    pub(crate) fn commit(&mut self, key: OffsetKey, offset: CommittedOffset) -> bool {
        if self.committed.len() >= OFFSETS_MAX && !self.committed.contains_key(&key) {
            return false;
        }
        self.committed.insert(key, offset);
        true
    }

    /// Keeps an offset until its transaction ends; false if the group has too many.
    pub(crate) fn commit_in_transaction(
        &mut self,
        producer_id: i64,
        key: OffsetKey,
        offset: CommittedOffset,
    ) -> bool {
        let held: usize = self.pending.values().map(BTreeMap::len).sum();
        if held >= OFFSETS_MAX {
            return false;
        }
        self.pending.entry(producer_id).or_default().insert(key, offset);
        true
    }

    /// The transaction of a producer ended.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        let Some(pending) = self.pending.remove(&producer_id) else {
            return;
        };
        if committed {
            for (key, offset) in pending {
                self.commit(key, offset);
            }
        }
    }

    pub(crate) fn find(&self, key: &OffsetKey) -> Option<&CommittedOffset> {
        self.committed.get(key)
    }

    /// Whether an open transaction would change the offset of a partition.
    pub(crate) fn is_unstable(&self, key: &OffsetKey) -> bool {
        self.pending.values().any(|pending| pending.contains_key(key))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OffsetKey, &CommittedOffset)> {
        self.committed.iter()
    }

    /// Forgets the offsets of a topic that was deleted.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        self.committed.retain(|(name, _), _| &**name != topic);
        for pending in self.pending.values_mut() {
            pending.retain(|(name, _), _| &**name != topic);
        }
    }
}
