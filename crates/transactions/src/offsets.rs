//! The offsets of a consumer group that a transaction commits.

use std::sync::Arc;

/// Who consumes: what a consumer says about its group (Java's `ConsumerGroupMetadata`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMetadata {
    /// `group.id`.
    pub group_id: String,
    /// The group's generation; -1 for a consumer that assigns its partitions itself.
    pub generation_id: i32,
    /// The member; empty for a consumer that assigns its partitions itself.
    pub member_id: String,
    /// `group.instance.id`, for a static member.
    pub group_instance_id: Option<String>,
}

impl GroupMetadata {
    /// A group whose members assign their partitions themselves: nobody is fenced.
    pub fn new(group_id: impl Into<String>) -> GroupMetadata {
        GroupMetadata {
            group_id: group_id.into(),
            generation_id: -1,
            member_id: String::new(),
            group_instance_id: None,
        }
    }

    /// A member of a group in a generation: the group's coordinator refuses it once it is not one any more.
    pub fn member(self, generation_id: i32, member_id: impl Into<String>) -> GroupMetadata {
        GroupMetadata {
            generation_id,
            member_id: member_id.into(),
            ..self
        }
    }

    /// A generation needs its member, as in Java.
    pub(crate) fn is_consistent(&self) -> bool {
        self.generation_id <= 0 || !self.member_id.is_empty()
    }
}

/// An offset to be committed: the position of the next record to consume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOffset {
    /// The topic that is consumed.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// The next record to consume.
    pub offset: i64,
    /// The epoch of the last record's leader, if the consumer told.
    pub leader_epoch: Option<i32>,
    /// Anything that the consumer wants to keep with it.
    pub metadata: Option<String>,
}

impl GroupOffset {
    /// An offset and nothing else.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32, offset: i64) -> GroupOffset {
        GroupOffset {
            topic: topic.into(),
            partition,
            offset,
            leader_epoch: None,
            metadata: None,
        }
    }
}
