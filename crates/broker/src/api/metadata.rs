//! Metadata, DescribeCluster and DescribeTopicPartitions: what the cluster looks like.

use super::code;
use crate::cluster::Cluster;
use crate::config::TopicSpec;
use crate::metadata::{PartitionView, TopicView};
use crate::request::{Outcome, RequestContext};
use crate::topic::{self, NO_LEADER};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster::{DescribeClusterBroker, DescribeClusterResponse};
use ottla_protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic, ResponseCursor,
};
use ottla_protocol::messages::metadata::{
    MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ottla_protocol::messages::{DescribeClusterRequest, DescribeTopicPartitionsRequest, MetadataRequest};
use ottla_protocol::wire::Uuid;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The operations on a topic that everybody is authorised for where nobody is asked (bits of `AclOperation`).
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// The operations on the cluster, likewise.
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// Whose addresses DescribeCluster is asked for (KIP-919). A broker knows those of brokers.
const ENDPOINT_BROKERS: i8 = 1;
const ENDPOINT_CONTROLLERS: i8 = 2;
/// The operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;

impl Cluster {
    pub(super) fn metadata(&mut self, context: &RequestContext, request: MetadataRequest) -> Outcome {
        let version = context.version;
        let broker = context.broker;
        let wants_all = match &request.topics {
            None => true,
            // Version 0 has no null.
            Some(topics) => version == 0 && topics.is_empty(),
        };
        let mut topics = Vec::new();
        if wants_all {
            for name in self.topic_names_seen_by(broker) {
                if let Some(view) = self.topic_seen_by(broker, &name) {
                    topics.push(describe_topic(
                        context,
                        &view,
                        request.include_topic_authorized_operations,
                    ));
                }
            }
        } else {
            let may_create = version < 4 || request.allow_auto_topic_creation;
            for wanted in request.topics.iter().flatten() {
                topics.push(self.describe_wanted(context, &request, wanted, may_create));
            }
        }
        let brokers = self.brokers_seen_by(broker);
        let response = MetadataResponse {
            throttle_time_ms: context.throttle_ms(),
            cluster_id: Some(self.cluster_id.clone()),
            controller_id: brokers.first().map_or(-1, |broker| broker.id),
            brokers: brokers
                .into_iter()
                .map(|broker| MetadataResponseBroker {
                    node_id: broker.id,
                    host: broker.host,
                    port: broker.port,
                    ..MetadataResponseBroker::default()
                })
                .collect(),
            topics,
            cluster_authorized_operations: if (8..=10).contains(&version)
                && request.include_cluster_authorized_operations
            {
                CLUSTER_OPERATIONS
            } else {
                NOT_ASKED
            },
            ..MetadataResponse::default()
        };
        context.answer::<MetadataRequest>(&response)
    }

    fn describe_wanted(
        &mut self,
        context: &RequestContext,
        request: &MetadataRequest,
        wanted: &MetadataRequestTopic,
        may_create: bool,
    ) -> MetadataResponseTopic {
        let by_id = wanted.name.is_none();
        let name = match &wanted.name {
            Some(name) => Some(Arc::from(name.as_str())),
            None => self.topic_name_seen_by(context.broker, &wanted.topic_id),
        };
        let operations = topic_operations(context, request.include_topic_authorized_operations);
        let failed = |error: ErrorCode, name: Option<&str>| MetadataResponseTopic {
            error_code: code(error),
            // Before version 12 a topic always has a name.
            name: name
                .map(str::to_owned)
                .or_else(|| (context.version < 12).then(String::new)),
            topic_id: if by_id { wanted.topic_id } else { Uuid::ZERO },
            topic_authorized_operations: if by_id { NOT_ASKED } else { operations },
            ..MetadataResponseTopic::default()
        };
        let Some(name) = name else {
            return failed(ErrorCode::UNKNOWN_TOPIC_ID, None);
        };
        if let Some(error) = context.strikes.error_for(&name, -1) {
            return failed(error, Some(&name));
        }
        if let Some(view) = self.topic_seen_by(context.broker, &name) {
            return describe_topic(context, &view, request.include_topic_authorized_operations);
        }
        if topic::name_error(&name).is_some() {
            return failed(ErrorCode::INVALID_TOPIC_EXCEPTION, Some(&name));
        }
        if may_create && self.config.auto_create_topics {
            let spec = TopicSpec {
                config: self.config.default_topic_config.clone(),
                ..TopicSpec::new(&*name, self.config.default_partitions)
            };
            if let Err(error) = self.create_topic(&spec) {
                return failed(error.code(), Some(&name));
            }
        }
        // As with a real broker, the topic that is being created is there the next time only.
        failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Some(&name))
    }

    pub(super) fn describe_cluster(
        &mut self,
        context: &RequestContext,
        request: DescribeClusterRequest,
    ) -> Outcome {
        let wrong_place = match request.endpoint_type {
            ENDPOINT_BROKERS => None,
            ENDPOINT_CONTROLLERS => Some(ErrorCode::MISMATCHED_ENDPOINT_TYPE),
            _ => Some(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE),
        };
        if let Some(error) = context.error().or(wrong_place) {
            let response = DescribeClusterResponse {
                throttle_time_ms: context.throttle_ms(),
                error_code: code(error),
                ..DescribeClusterResponse::default()
            };
            return context.answer::<DescribeClusterRequest>(&response);
        }
        let brokers = self.brokers_seen_by(context.broker);
        let response = DescribeClusterResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(context.told(ErrorCode::NONE)),
            cluster_id: self.cluster_id.clone(),
            controller_id: brokers.first().map_or(-1, |broker| broker.id),
            endpoint_type: request.endpoint_type,
            brokers: brokers
                .into_iter()
                .map(|broker| DescribeClusterBroker {
                    broker_id: broker.id,
                    host: broker.host,
                    port: broker.port,
                    ..DescribeClusterBroker::default()
                })
                .collect(),
            cluster_authorized_operations: if request.include_cluster_authorized_operations {
                CLUSTER_OPERATIONS
            } else {
                NOT_ASKED
            },
            ..DescribeClusterResponse::default()
        };
        context.answer::<DescribeClusterRequest>(&response)
    }

    pub(super) fn describe_topic_partitions(
        &mut self,
        context: &RequestContext,
        request: DescribeTopicPartitionsRequest,
    ) -> Outcome {
        // Kafka's max.request.partition.size.limit.
        let limit = usize::try_from(request.response_partition_limit)
            .unwrap_or(0)
            .clamp(1, 2_000);
        let cursor = request.cursor.as_ref();
        let mut names: BTreeSet<Arc<str>> = request
            .topics
            .iter()
            .map(|topic| Arc::from(topic.name.as_str()))
            .collect();
        let wants_all = names.is_empty();
        if wants_all {
            names = self.topic_names_seen_by(context.broker).into_iter().collect();
        }
        if let Some(cursor) = cursor {
            names.retain(|name| &**name >= cursor.topic_name.as_str());
        }
        let mut response = DescribeTopicPartitionsResponse {
            throttle_time_ms: context.throttle_ms(),
            ..DescribeTopicPartitionsResponse::default()
        };
        let mut left = limit;
        for name in names {
            let from = match cursor {
                Some(cursor) if cursor.topic_name == *name => {
                    usize::try_from(cursor.partition_index).unwrap_or(0)
                }
                _ => 0,
            };
            if left == 0 {
                response.next_cursor = Some(next_cursor(&name, from));
                break;
            }
            let view = self.topic_seen_by(context.broker, &name);
            let error = if view.is_some() {
                ErrorCode::NONE
            } else {
                unknown_topic(&name)
            };
            let error = context
                .topic_error(&name)
                .unwrap_or(context.topic_told(&name, error));
            let (Some(view), ErrorCode::NONE) = (view, error) else {
                response.topics.push(DescribeTopicPartitionsResponseTopic {
                    error_code: code(error),
                    name: Some(name.to_string()),
                    topic_authorized_operations: TOPIC_OPERATIONS,
                    ..DescribeTopicPartitionsResponseTopic::default()
                });
                continue;
            };
            let total = view.partitions.len();
            let topic = describe_partitions(&view, from, left);
            let described = topic.partitions.len();
            response.topics.push(topic);
            left -= described;
            if from + described < total {
                response.next_cursor = Some(next_cursor(&name, from + described));
                break;
            }
        }
        context.answer::<DescribeTopicPartitionsRequest>(&response)
    }
}

fn unknown_topic(name: &str) -> ErrorCode {
    if topic::name_error(name).is_some() {
        ErrorCode::INVALID_TOPIC_EXCEPTION
    } else {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    }
}

fn next_cursor(name: &str, partition: usize) -> ResponseCursor {
    ResponseCursor {
        topic_name: name.to_owned(),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
        ..ResponseCursor::default()
    }
}

fn describe_topic(
    context: &RequestContext,
    view: &TopicView,
    with_operations: bool,
) -> MetadataResponseTopic {
    let name = &view.name;
    let told = context
        .strikes
        .error_for(name, -1)
        .or_else(|| context.strikes.error_after_for(name, -1));
    let partition = |(index, partition): (usize, &PartitionView)| MetadataResponsePartition {
        error_code: code(leader_error(partition)),
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        offline_replicas: partition.offline.clone(),
        ..MetadataResponsePartition::default()
    };
    MetadataResponseTopic {
        error_code: code(told.unwrap_or(ErrorCode::NONE)),
        name: Some(name.to_string()),
        topic_id: view.id,
        is_internal: view.is_internal,
        partitions: if told.is_some() {
            Vec::new()
        } else {
            view.partitions.iter().enumerate().map(partition).collect()
        },
        topic_authorized_operations: topic_operations(context, with_operations),
        ..MetadataResponseTopic::default()
    }
}

fn topic_operations(context: &RequestContext, asked: bool) -> i32 {
    if context.version >= 8 && asked {
        TOPIC_OPERATIONS
    } else {
        NOT_ASKED
    }
}

fn leader_error(partition: &PartitionView) -> ErrorCode {
    if partition.leader == NO_LEADER {
        ErrorCode::LEADER_NOT_AVAILABLE
    } else {
        ErrorCode::NONE
    }
}

fn describe_partitions(view: &TopicView, from: usize, limit: usize) -> DescribeTopicPartitionsResponseTopic {
    let describe = |(index, partition): (usize, &PartitionView)| DescribeTopicPartitionsResponsePartition {
        error_code: code(leader_error(partition)),
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: partition.offline.clone(),
        ..DescribeTopicPartitionsResponsePartition::default()
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(view.name.to_string()),
        topic_id: view.id,
        is_internal: view.is_internal,
        partitions: view
            .partitions
            .iter()
            .enumerate()
            .skip(from)
            .take(limit)
            .map(describe)
            .collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
