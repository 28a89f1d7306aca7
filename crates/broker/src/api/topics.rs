//! CreateTopics, DeleteTopics, CreatePartitions and DeleteRecords.

use super::code;
use super::config::topic_config;
use crate::cluster::Cluster;
use crate::config::TopicSpec;
use crate::control::TopicError;
use crate::request::{Outcome, RequestContext};
use crate::topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions::{
    CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::delete_topics::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
};
use ottla_protocol::wire::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The message of an error that a fault made.
const FAULT: &str = "a fault";

impl Cluster {
    pub(super) fn create_topics(
        &mut self,
        context: &RequestContext,
        request: CreateTopicsRequest,
    ) -> Outcome {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for wanted in &request.topics {
            *times.entry(&wanted.name).or_default() += 1;
        }
        let mut results = Vec::new();
        for (name, count) in &times {
            let twice = *count > 1;
            let Some(wanted) = request.topics.iter().find(|wanted| wanted.name == *name) else {
                continue;
            };
            let result = if let Some(error) = context.topic_error(name) {
                Err(TopicError::new(error, FAULT))
            } else if twice {
                Err(TopicError::new(
                    ErrorCode::INVALID_REQUEST,
                    "Duplicate topic name.",
                ))
            } else {
                self.create_one(wanted, request.validate_only)
            };
            let really = result.as_ref().err().map_or(ErrorCode::NONE, TopicError::code);
            let told = context.topic_told(name, really);
            let result = if told == really {
                result
            } else {
                Err(TopicError::new(told, FAULT))
            };
            results.push(match result {
                Ok((spec, id)) => self.created(context, &spec, id),
                Err(error) => CreatableTopicResult {
                    name: wanted.name.clone(),
                    error_code: code(error.code()),
                    error_message: Some(error.to_string()),
                    num_partitions: -1,
                    replication_factor: -1,
                    ..CreatableTopicResult::default()
                },
            });
        }
        let response = CreateTopicsResponse {
            throttle_time_ms: context.throttle_ms(),
            topics: results,
            ..CreateTopicsResponse::default()
        };
        context.answer::<CreateTopicsRequest>(&response)
    }

    fn create_one(
        &mut self,
        wanted: &CreatableTopic,
        validate_only: bool,
    ) -> Result<(TopicSpec, Uuid), TopicError> {
        let defaults = &self.config.default_topic_config;
        let mut spec = TopicSpec {
            name: wanted.name.clone(),
            partitions: wanted.num_partitions,
            replication_factor: (wanted.replication_factor != -1).then_some(wanted.replication_factor),
            config: topic_config(
                defaults,
                wanted
                    .configs
                    .iter()
                    .map(|config| (config.name.as_str(), config.value.as_deref())),
            )?,
        };
        let mut assignment = None;
        if wanted.assignments.is_empty() {
            if spec.partitions == -1 {
                spec.partitions = self.config.default_partitions;
            }
        } else {
            let assigned = self.check_assignment(wanted)?;
            spec.partitions = i32::try_from(assigned.len()).unwrap_or(i32::MAX);
            spec.replication_factor = assigned
                .first()
                .and_then(|replicas| i16::try_from(replicas.len()).ok());
            assignment = Some(assigned);
        }
        self.check_new_topic(&spec)?;
        if validate_only {
            // The answer tells an id all the same.
            return Ok((spec, self.new_topic_id()));
        }
        let id = match assignment {
            Some(assignment) => self.create_assigned(&spec, assignment),
            None => self.create_topic(&spec)?,
        };
        Ok((spec, id))
    }

    fn check_assignment(&self, wanted: &CreatableTopic) -> Result<Vec<Vec<i32>>, TopicError> {
        let invalid = |what: &str| TopicError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, what);
        if wanted.num_partitions != -1 || wanted.replication_factor != -1 {
            let what = "A manual partition assignment was specified, but numPartitions or replicationFactor was not set to -1.";
            return Err(TopicError::new(ErrorCode::INVALID_REQUEST, what));
        }
        let mut by_index: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for assignment in &wanted.assignments {
            let mut distinct = assignment.broker_ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let known = distinct.iter().all(|id| self.nodes.contains_key(id));
            if distinct.is_empty() || distinct.len() != assignment.broker_ids.len() || !known {
                return Err(invalid(
                    "The manual partition assignment names unknown brokers, some twice, or none.",
                ));
            }
            if by_index
                .insert(assignment.partition_index, assignment.broker_ids.clone())
                .is_some()
            {
                return Err(invalid(
                    "Found multiple manual partition assignments for one partition.",
                ));
            }
        }
        let dense = by_index
            .keys()
            .copied()
            .eq(0..i32::try_from(by_index.len()).unwrap_or(i32::MAX));
        if !dense {
            return Err(invalid(
                "partitions should be a consecutive 0-based integer sequence",
            ));
        }
        Ok(by_index.into_values().collect())
    }

    fn created(&self, context: &RequestContext, spec: &TopicSpec, id: Uuid) -> CreatableTopicResult {
        let factor = spec
            .replication_factor
            .unwrap_or_else(|| self.config.effective_replication_factor());
        let mut result = CreatableTopicResult {
            name: spec.name.clone(),
            ..CreatableTopicResult::default()
        };
        if context.version >= 5 {
            result.num_partitions = spec.partitions;
            result.replication_factor = factor;
            let entries = super::config::entries(&spec.config, &self.config.default_topic_config);
            result.configs = Some(
                entries
                    .into_iter()
                    .map(|entry| CreatableTopicConfigs {
                        name: entry.name.to_owned(),
                        value: Some(entry.value),
                        config_source: entry.source,
                        ..CreatableTopicConfigs::default()
                    })
                    .collect(),
            );
        }
        if context.version >= 7 {
            result.topic_id = id;
        }
        result
    }

    pub(super) fn delete_topics(
        &mut self,
        context: &RequestContext,
        request: DeleteTopicsRequest,
    ) -> Outcome {
        let by_name = request
            .topic_names
            .iter()
            .map(|name| (Some(name.clone()), Uuid::ZERO));
        let by_state = request
            .topics
            .iter()
            .map(|topic| (topic.name.clone(), topic.topic_id));
        let mut responses = Vec::new();
        for (name, id) in by_name.chain(by_state) {
            let mut result = DeletableTopicResult {
                name: name.clone(),
                ..DeletableTopicResult::default()
            };
            if context.version >= 6 {
                result.topic_id = id;
            }
            let key = match &name {
                Some(name) => self.topics.key_of(name),
                None => self.topics.key_of_id(&id),
            };
            let found = key
                .and_then(|key| self.topics.topic(key))
                .map(|topic| (Arc::clone(&topic.name), topic.id));
            let asked = found.as_ref().map(|(name, _)| name.to_string()).or(name.clone());
            let asked = asked.unwrap_or_default();
            let error = match (context.topic_error(&asked), found) {
                (Some(error), _) => error,
                (None, Some((found, id))) => {
                    result.name = Some(found.to_string());
                    if context.version >= 6 {
                        result.topic_id = id;
                    }
                    self.delete_topic(&found);
                    ErrorCode::NONE
                }
                (None, None) if name.is_none() => ErrorCode::UNKNOWN_TOPIC_ID,
                (None, None) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            result.error_code = code(context.topic_told(&asked, error));
            responses.push(result);
        }
        let response = DeleteTopicsResponse {
            throttle_time_ms: context.throttle_ms(),
            responses,
            ..DeleteTopicsResponse::default()
        };
        context.answer::<DeleteTopicsRequest>(&response)
    }

    pub(super) fn create_partitions(
        &mut self,
        context: &RequestContext,
        request: CreatePartitionsRequest,
    ) -> Outcome {
        let mut results = Vec::new();
        for wanted in &request.topics {
            let result = match context.topic_error(&wanted.name) {
                Some(error) => Err(TopicError::new(error, FAULT)),
                None => self.grow_topic(wanted, request.validate_only),
            };
            let (error, message) = match result {
                Ok(()) => (ErrorCode::NONE, None),
                Err(error) => (error.code(), Some(error.to_string())),
            };
            results.push(CreatePartitionsTopicResult {
                name: wanted.name.clone(),
                error_code: code(context.topic_told(&wanted.name, error)),
                error_message: message,
                ..CreatePartitionsTopicResult::default()
            });
        }
        let response = CreatePartitionsResponse {
            throttle_time_ms: context.throttle_ms(),
            results,
            ..CreatePartitionsResponse::default()
        };
        context.answer::<CreatePartitionsRequest>(&response)
    }

    fn grow_topic(&mut self, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), TopicError> {
        let fail = |code, what: &str| Err(TopicError::new(code, what));
        let found = self
            .topics
            .key_of(&wanted.name)
            .and_then(|key| Some((key, self.topics.topic(key)?)));
        let Some((key, topic)) = found else {
            return fail(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                "This server does not host this topic-partition.",
            );
        };
        let existing = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let new = wanted.count.saturating_sub(existing);
        if new <= 0 {
            return fail(
                ErrorCode::INVALID_PARTITIONS,
                "The topic already has as many partitions, or more.",
            );
        }
        let new_count = usize::try_from(new).unwrap_or(usize::MAX);
        if self.topics.partitions_len().saturating_add(new_count) > self.config.limits.partitions_max {
            return fail(
                ErrorCode::POLICY_VIOLATION,
                "the limit of partitions of this cluster is reached",
            );
        }
        let factor = topic
            .partitions
            .first()
            .map_or(1, |partition| partition.replicas.len());
        let factor = i16::try_from(factor).unwrap_or(1);
        let assignment = match &wanted.assignments {
            Some(assignments) => {
                let known = |id: &i32| self.nodes.contains_key(id);
                let valid = |ids: &Vec<i32>| !ids.is_empty() && ids.iter().all(known);
                let assigned: Vec<Vec<i32>> = assignments
                    .iter()
                    .map(|assigned| assigned.broker_ids.clone())
                    .collect();
                if assigned.len() != new_count || !assigned.iter().all(valid) {
                    return fail(
                        ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                        "The manual partition assignment does not fit.",
                    );
                }
                assigned
            }
            None => topic::spread(
                existing,
                new,
                factor,
                self.config.brokers,
                i32::try_from(key).unwrap_or(0),
            ),
        };
        if !validate_only {
            self.topics.grow(key, assignment);
            self.settle_new_partitions(key, usize::try_from(existing).unwrap_or(0));
        }
        Ok(())
    }

    pub(super) fn delete_records_api(
        &mut self,
        context: &RequestContext,
        request: DeleteRecordsRequest,
    ) -> Outcome {
        let mut topics = Vec::new();
        for topic in &request.topics {
            let key = self.topics.key_of(&topic.name);
            let mut partitions = Vec::new();
            for wanted in &topic.partitions {
                let index = wanted.partition_index;
                let partition = key.and_then(|key| Some((key, self.topics.partition(key, index)?)));
                let result = match (context.partition_error(&topic.name, index), partition) {
                    (Some(error), _) => Err(error),
                    (None, None) => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    (None, Some((_, partition))) if partition.leader != context.broker => {
                        Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)
                    }
                    (None, Some((key, partition))) => {
                        let end = partition.log.high_watermark();
                        let offset = if wanted.offset == -1 { end } else { wanted.offset };
                        if offset < 0 || offset > end {
                            Err(ErrorCode::OFFSET_OUT_OF_RANGE)
                        } else {
                            Ok(self.delete_before(key, index, offset).unwrap_or(-1))
                        }
                    }
                };
                partitions.push(DeleteRecordsPartitionResult {
                    partition_index: index,
                    low_watermark: result.unwrap_or(-1),
                    error_code: code(context.partition_told(
                        &topic.name,
                        index,
                        result.err().unwrap_or(ErrorCode::NONE),
                    )),
                    ..DeleteRecordsPartitionResult::default()
                });
            }
            topics.push(DeleteRecordsTopicResult {
                name: topic.name.clone(),
                partitions,
                ..DeleteRecordsTopicResult::default()
            });
        }
        let response = DeleteRecordsResponse {
            throttle_time_ms: context.throttle_ms(),
            topics,
            ..DeleteRecordsResponse::default()
        };
        context.answer::<DeleteRecordsRequest>(&response)
    }
}
