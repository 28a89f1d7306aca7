//! OffsetCommit and OffsetFetch: where a consumer group stands.

use super::code;
use crate::cluster::Cluster;
use crate::group::{Caller, CommittedOffset};
use crate::request::{Outcome, RequestContext};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use ottla_protocol::wire::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `offset.metadata.max.bytes`.
pub(super) const METADATA_BYTES_MAX: usize = 4096;

impl Cluster {
    pub(super) fn offset_commit(
        &mut self,
        context: &RequestContext,
        request: OffsetCommitRequest,
    ) -> Outcome {
        let accepted = self.accept_commit(context, &request);
        let by_id = context.version >= 10;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name = if by_id {
                self.topics
                    .key_of_id(&topic.topic_id)
                    .and_then(|key| self.topics.topic(key))
            } else {
                self.topics
                    .key_of(&topic.name)
                    .and_then(|key| self.topics.topic(key))
            }
            .map(|topic| Arc::clone(&topic.name));
            let commit = |cluster: &mut Cluster, partition: &OffsetCommitRequestPartition| {
                let index = partition.partition_index;
                let told = name.as_deref().unwrap_or(&topic.name);
                if let Some(error) = context.partition_error(told, index) {
                    return error;
                }
                if let Err(error) = accepted {
                    return error;
                }
                let Some(name) = &name else {
                    return if by_id {
                        ErrorCode::UNKNOWN_TOPIC_ID
                    } else {
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    };
                };
                cluster.commit_offset(&request.group_id, name, partition)
            };
            let told = name.as_deref().unwrap_or(&topic.name);
            let partitions = topic
                .partitions
                .iter()
                .map(|partition| OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: code(context.partition_told(
                        told,
                        partition.partition_index,
                        commit(self, partition),
                    )),
                    ..OffsetCommitResponsePartition::default()
                })
                .collect();
            topics.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions,
                ..OffsetCommitResponseTopic::default()
            });
        }
        let response = OffsetCommitResponse {
            throttle_time_ms: context.throttle_ms(),
            topics,
            ..OffsetCommitResponse::default()
        };
        context.answer::<OffsetCommitRequest>(&response)
    }

    fn accept_commit(
        &mut self,
        context: &RequestContext,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let group_id = request.group_id.as_str();
        self.check_coordinator(group_id, context.broker)?;
        let generation = request.generation_id_or_member_epoch;
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation,
        };
        let now = self.now;
        let checked = self.groups.with(group_id, |group| {
            group.check_commit(caller, false)?;
            group.touch(&request.member_id, now);
            Ok(())
        });
        match checked {
            Some(result) => result,
            // A consumer that assigns its partitions itself may commit to a group that does not exist yet.
            None if generation < 0 => Ok(()),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    fn commit_offset(
        &mut self,
        group_id: &str,
        name: &Arc<str>,
        partition: &OffsetCommitRequestPartition,
    ) -> ErrorCode {
        let index = partition.partition_index;
        let known = self
            .topics
            .key_of(name)
            .and_then(|key| self.topics.partition(key, index))
            .is_some();
        if !known {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        }
        let metadata = partition.committed_metadata.clone().unwrap_or_default();
        if metadata.len() > METADATA_BYTES_MAX {
            return ErrorCode::OFFSET_METADATA_TOO_LARGE;
        }
        let offset = CommittedOffset {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata,
        };
        let key = (Arc::clone(name), index);
        match self
            .groups
            .with_new(group_id, |group| group.offsets.commit(key, offset))
        {
            Ok(true) => ErrorCode::NONE,
            Ok(false) => ErrorCode::INVALID_COMMIT_OFFSET_SIZE,
            Err(error) => error,
        }
    }

    pub(super) fn offset_fetch(&mut self, context: &RequestContext, request: OffsetFetchRequest) -> Outcome {
        let mut response = OffsetFetchResponse {
            throttle_time_ms: context.throttle_ms(),
            ..OffsetFetchResponse::default()
        };
        if context.version >= 8 {
            response.groups = request
                .groups
                .iter()
                .map(|group| {
                    self.fetch_group(
                        context,
                        &group.group_id,
                        group.topics.as_deref(),
                        request.require_stable,
                    )
                })
                .collect();
            return context.answer::<OffsetFetchRequest>(&response);
        }
        let topics: Option<Vec<OffsetFetchRequestTopics>> = request.topics.as_ref().map(|topics| {
            topics
                .iter()
                .map(|topic| OffsetFetchRequestTopics {
                    name: topic.name.clone(),
                    partition_indexes: topic.partition_indexes.clone(),
                    ..OffsetFetchRequestTopics::default()
                })
                .collect()
        });
        let group = self.fetch_group(
            context,
            &request.group_id,
            topics.as_deref(),
            request.require_stable,
        );
        response.error_code = group.error_code;
        response.topics = group.topics.into_iter().map(old_topic).collect();
        if context.version < 2 && group.error_code != 0 {
            // There is no place for the error of the whole: each partition tells it.
            let asked = request.topics.iter().flatten();
            response.topics = asked
                .map(|topic| refused_topic(topic, group.error_code))
                .collect();
        }
        context.answer::<OffsetFetchRequest>(&response)
    }

    fn fetch_group(
        &self,
        context: &RequestContext,
        group_id: &str,
        topics: Option<&[OffsetFetchRequestTopics]>,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let failed = context
            .error()
            .or_else(|| self.check_coordinator(group_id, context.broker).err());
        if let Some(error) = failed {
            return OffsetFetchResponseGroup {
                group_id: group_id.to_owned(),
                error_code: code(error),
                ..OffsetFetchResponseGroup::default()
            };
        }
        let by_id = context.version >= 10;
        let mut fetched = Vec::new();
        match topics {
            Some(topics) => {
                for topic in topics {
                    let name: Option<Arc<str>> = if by_id {
                        let key = self.topics.key_of_id(&topic.topic_id);
                        key.and_then(|key| self.topics.topic(key))
                            .map(|topic| Arc::clone(&topic.name))
                    } else {
                        Some(Arc::from(topic.name.as_str()))
                    };
                    let fetch =
                        |&index: &i32| self.fetch_offset(group_id, name.as_ref(), index, require_stable);
                    fetched.push(OffsetFetchResponseTopics {
                        name: topic.name.clone(),
                        topic_id: topic.topic_id,
                        partitions: topic.partition_indexes.iter().map(fetch).collect(),
                        ..OffsetFetchResponseTopics::default()
                    });
                }
            }
            None => fetched = self.fetch_all(group_id, by_id, require_stable),
        }
        OffsetFetchResponseGroup {
            group_id: group_id.to_owned(),
            topics: fetched,
            error_code: code(context.told(ErrorCode::NONE)),
            ..OffsetFetchResponseGroup::default()
        }
    }

    /// Every offset that a group has committed.
    fn fetch_all(&self, group_id: &str, by_id: bool, require_stable: bool) -> Vec<OffsetFetchResponseTopics> {
        let mut by_topic: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
        if let Some(group) = self.groups.find(group_id) {
            for ((name, index), _) in group.offsets.iter() {
                by_topic.entry(Arc::clone(name)).or_default().push(*index);
            }
        }
        by_topic
            .into_iter()
            .map(|(name, indexes)| {
                let id = self
                    .topics
                    .key_of(&name)
                    .and_then(|key| self.topics.topic(key))
                    .map(|topic| topic.id);
                OffsetFetchResponseTopics {
                    name: name.to_string(),
                    topic_id: if by_id {
                        id.unwrap_or(Uuid::ZERO)
                    } else {
                        Uuid::ZERO
                    },
                    partitions: indexes
                        .into_iter()
                        .map(|index| self.fetch_offset(group_id, Some(&name), index, require_stable))
                        .collect(),
                    ..OffsetFetchResponseTopics::default()
                }
            })
            .collect()
    }

    fn fetch_offset(
        &self,
        group_id: &str,
        name: Option<&Arc<str>>,
        index: i32,
        require_stable: bool,
    ) -> OffsetFetchResponsePartitions {
        let none = |error: ErrorCode| OffsetFetchResponsePartitions {
            partition_index: index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            error_code: code(error),
            ..OffsetFetchResponsePartitions::default()
        };
        let Some(name) = name else {
            return none(ErrorCode::UNKNOWN_TOPIC_ID);
        };
        let Some(group) = self.groups.find(group_id) else {
            return none(ErrorCode::NONE);
        };
        let key = (Arc::clone(name), index);
        if require_stable && group.offsets.is_unstable(&key) {
            return none(ErrorCode::UNSTABLE_OFFSET_COMMIT);
        }
        match group.offsets.find(&key) {
            None => none(ErrorCode::NONE),
            Some(committed) => OffsetFetchResponsePartitions {
                partition_index: index,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch,
                metadata: Some(committed.metadata.clone()),
                ..OffsetFetchResponsePartitions::default()
            },
        }
    }
}

fn refused_topic(topic: &OffsetFetchRequestTopic, error_code: i16) -> OffsetFetchResponseTopic {
    OffsetFetchResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|&partition_index| OffsetFetchResponsePartition {
                partition_index,
                committed_offset: -1,
                metadata: Some(String::new()),
                error_code,
                ..OffsetFetchResponsePartition::default()
            })
            .collect(),
        ..OffsetFetchResponseTopic::default()
    }
}

fn old_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
                ..OffsetFetchResponsePartition::default()
            })
            .collect(),
        ..OffsetFetchResponseTopic::default()
    }
}
