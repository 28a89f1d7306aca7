//! Produce: batches of records for partitions that this broker leads.

use super::code;
use crate::append::{Appended, ProduceTerms};
use crate::cluster::Cluster;
use crate::request::{Outcome, RequestContext};
use crate::topic::{self, TopicKey};
use crate::validation::{self, Refusal};
use crate::wait::{Missing, Wait};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
    PartitionProduceResponse, ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use ottla_protocol::records::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// The acknowledgement that a producer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    None,
    Leader,
    All,
}

impl Acks {
    fn from_wire(acks: i16) -> Option<Acks> {
        match acks {
            0 => Some(Acks::None),
            1 => Some(Acks::Leader),
            -1 => Some(Acks::All),
            _ => None,
        }
    }
}

/// What all partitions of a request share.
struct Terms<'a> {
    acks: Acks,
    produce: ProduceTerms<'a>,
}

/// What came of one partition.
struct Placed {
    response: PartitionProduceResponse,
    missing: Option<Missing>,
}

impl Cluster {
    pub(super) fn produce(&mut self, context: &RequestContext, request: ProduceRequest) -> Outcome {
        let version = context.version;
        let Some(acks) = Acks::from_wire(request.acks) else {
            return self.refuse_all(context, &request, ErrorCode::INVALID_REQUIRED_ACKS);
        };
        let transactional_id = request.transactional_id.as_deref();
        if transactional_id.is_none() && has_transactional_records(&request) {
            return self.refuse_all(
                context,
                &request,
                ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            );
        }
        let terms = Terms {
            acks,
            produce: ProduceTerms {
                version,
                transactional_id,
            },
        };
        let mut response = ProduceResponse {
            throttle_time_ms: context.throttle_ms(),
            responses: Vec::with_capacity(request.topic_data.len()),
            ..ProduceResponse::default()
        };
        let mut missing = Vec::new();
        for data in &request.topic_data {
            let answer = self.produce_topic(context, &terms, data, response.responses.len(), &mut missing);
            response.responses.push(answer);
        }
        if acks == Acks::None {
            let failed = |answer: &PartitionProduceResponse| answer.error_code != 0;
            let any = response
                .responses
                .iter()
                .flat_map(|topic| &topic.partition_responses)
                .any(failed);
            // There is no answer to tell the error in; the client shall at least refresh its metadata.
            return if any {
                Outcome::Close("an error under acks=0")
            } else {
                Outcome::Nothing
            };
        }
        if missing.is_empty() {
            self.tell_leaders(context, &mut response);
            return context.answer::<ProduceRequest>(&response);
        }
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let partitions: Vec<(TopicKey, i32)> = missing
            .iter()
            .map(|place| (place.topic, place.partition))
            .collect();
        self.wait(
            context,
            Wait::Produce { response, missing },
            &partitions,
            Some(self.now + timeout),
        );
        Outcome::Wait
    }

    fn produce_topic(
        &mut self,
        context: &RequestContext,
        terms: &Terms<'_>,
        data: &TopicProduceData,
        topic_place: usize,
        missing: &mut Vec<Missing>,
    ) -> TopicProduceResponse {
        let by_id = context.version >= 13;
        let key = if by_id {
            self.topics.key_of_id(&data.topic_id)
        } else {
            self.topics.key_of(&data.name)
        };
        let name = key
            .and_then(|key| self.topics.topic(key))
            .map_or_else(|| Arc::from(data.name.as_str()), |topic| Arc::clone(&topic.name));
        let mut answer = TopicProduceResponse {
            partition_responses: Vec::with_capacity(data.partition_data.len()),
            ..TopicProduceResponse::default()
        };
        if by_id {
            answer.topic_id = data.topic_id;
        } else {
            answer.name.clone_from(&data.name);
        }
        for partition in &data.partition_data {
            if context.strikes.omits(&name, partition.index) {
                continue;
            }
            let place = (topic_place, answer.partition_responses.len());
            let unknown = if by_id {
                ErrorCode::UNKNOWN_TOPIC_ID
            } else {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            };
            let placed = match key {
                None => Err(Refusal::new(unknown)),
                Some(key) => self.produce_partition(context, terms, (key, &name), partition, place),
            };
            let Placed {
                mut response,
                missing: waits,
            } = placed.unwrap_or_else(|refusal| {
                self.refused(&name, partition.index, &refusal);
                Placed {
                    response: self.refusal_response(key, partition.index, refusal, context.version),
                    missing: None,
                }
            });
            if let Some(error) = context.strikes.error_after_for(&name, partition.index) {
                response = error_response(partition.index, error);
            } else if terms.acks == Acks::All {
                missing.extend(waits);
            }
            answer.partition_responses.push(response);
        }
        answer
    }

    fn produce_partition(
        &mut self,
        context: &RequestContext,
        terms: &Terms<'_>,
        (key, name): (TopicKey, &Arc<str>),
        data: &PartitionProduceData,
        place: (usize, usize),
    ) -> Result<Placed, Refusal> {
        if let Some(error) = context.strikes.error_for(name, data.index) {
            return Err(Refusal::new(error));
        }
        let topic = self
            .topics
            .topic(key)
            .ok_or_else(|| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        let partition = topic
            .partition(data.index)
            .ok_or_else(|| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        let batch = validation::one_batch(data.records.clone(), context.version)?;
        if topic::is_internal(name) {
            return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION));
        }
        if partition.leader != context.broker {
            return Err(Refusal::new(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        }
        if terms.acks == Acks::All && partition.is_under_min_isr(topic.config.min_insync_replicas) {
            return Err(Refusal::in_log(ErrorCode::NOT_ENOUGH_REPLICAS));
        }
        let leader_epoch = partition.leader_epoch;
        let appended = self.append(key, data.index, &batch, terms.produce)?;
        let Appended {
            base_offset,
            last_offset,
            log_append_time,
            log_start,
        } = appended;
        let mut response = PartitionProduceResponse {
            index: data.index,
            base_offset,
            log_append_time_ms: log_append_time,
            ..PartitionProduceResponse::default()
        };
        if context.version >= 5 {
            response.log_start_offset = log_start;
        }
        let replicated = self
            .topics
            .partition(key, data.index)
            .map_or(0, |partition| partition.log.high_watermark());
        let missing = (replicated <= last_offset).then_some(Missing {
            topic: key,
            partition: data.index,
            offset: last_offset + 1,
            leader_epoch,
            place,
        });
        Ok(Placed { response, missing })
    }

    fn refused(&mut self, name: &Arc<str>, partition: i32, refusal: &Refusal) {
        self.events.record(self.now, || crate::event::EventKind::Refused {
            topic: Arc::clone(name),
            partition,
            error: refusal.error,
        });
    }

    fn refusal_response(
        &self,
        key: Option<TopicKey>,
        index: i32,
        refusal: Refusal,
        version: i16,
    ) -> PartitionProduceResponse {
        let mut response = error_response(index, refusal.error);
        if version >= 5 && refusal.tells_log_start {
            let partition = key.and_then(|key| self.topics.partition(key, index));
            response.log_start_offset = partition.map_or(-1, |partition| partition.log.log_start());
        }
        if version >= 8 {
            response.error_message = refusal.message;
            response.record_errors = refusal
                .records
                .into_iter()
                .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                    batch_index,
                    batch_index_error_message: Some(message),
                    ..BatchIndexAndErrorMessage::default()
                })
                .collect();
        }
        response
    }

    /// Refuses every partition of a request for a reason that has nothing to do with partitions.
    fn refuse_all(
        &mut self,
        context: &RequestContext,
        request: &ProduceRequest,
        error: ErrorCode,
    ) -> Outcome {
        if request.acks == 0 {
            return Outcome::Close("an error under acks=0");
        }
        let responses = request
            .topic_data
            .iter()
            .map(|data| TopicProduceResponse {
                name: data.name.clone(),
                topic_id: data.topic_id,
                partition_responses: data
                    .partition_data
                    .iter()
                    .map(|partition| error_response(partition.index, error))
                    .collect(),
                ..TopicProduceResponse::default()
            })
            .collect();
        let response = ProduceResponse {
            responses,
            throttle_time_ms: context.throttle_ms(),
            ..ProduceResponse::default()
        };
        context.answer::<ProduceRequest>(&response)
    }

    /// Tells clients whose leader is another one who it is (KIP-951).
    pub(crate) fn tell_leaders(&self, context: &RequestContext, response: &mut ProduceResponse) {
        if context.version < 10 {
            return;
        }
        let mut told: Vec<i32> = Vec::new();
        let by_id = context.version >= 13;
        for topic in &mut response.responses {
            let key = if by_id {
                self.topics.key_of_id(&topic.topic_id)
            } else {
                self.topics.key_of(&topic.name)
            };
            for answer in &mut topic.partition_responses {
                let moved = [
                    code(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                    code(ErrorCode::FENCED_LEADER_EPOCH),
                ];
                if !moved.contains(&answer.error_code) {
                    continue;
                }
                let Some(partition) = key.and_then(|key| self.topics.partition(key, answer.index)) else {
                    continue;
                };
                answer.current_leader = LeaderIdAndEpoch {
                    leader_id: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    ..LeaderIdAndEpoch::default()
                };
                if !told.contains(&partition.leader) {
                    told.push(partition.leader);
                }
            }
        }
        response.node_endpoints = told
            .into_iter()
            .filter_map(|id| {
                let node = self.nodes.get(&id)?;
                Some(NodeEndpoint {
                    node_id: id,
                    host: node.host.clone(),
                    port: node.port,
                    ..NodeEndpoint::default()
                })
            })
            .collect();
    }
}

fn error_response(index: i32, error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code(error),
        base_offset: -1,
        log_append_time_ms: -1,
        ..PartitionProduceResponse::default()
    }
}

/// Whether a request writes inside a transaction. Only the attributes of each batch are looked at.
fn has_transactional_records(request: &ProduceRequest) -> bool {
    let records = request
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data)
        .filter_map(|data| data.records.clone());
    records
        .filter_map(|bytes| RecordBatch::decode(bytes).ok())
        .any(|batch| batch.header().attributes.is_transactional())
}
