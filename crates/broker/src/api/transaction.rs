//! Transactions: what takes part, how they end, and what tools ask about them.

use super::{code, code_of};
use crate::cluster::Cluster;
use crate::group::{Caller, CommittedOffset, OffsetKey};
use crate::marker::internal_partition;
use crate::request::{Outcome, RequestContext};
use crate::transaction::{Decision, Participant, Protocol, State, Transaction};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_offsets_to_txn::AddOffsetsToTxnResponse;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};
use ottla_protocol::messages::describe_producers::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use ottla_protocol::messages::describe_transactions::{
    DescribeTransactionsResponse, TopicData, TransactionState,
};
use ottla_protocol::messages::end_txn::EndTxnResponse;
use ottla_protocol::messages::list_transactions::{self, ListTransactionsResponse};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    EndTxnRequest, ListTransactionsRequest, TxnOffsetCommitRequest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The states that a transaction has in Kafka; the last two are never seen here.
const STATE_NAMES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

impl Cluster {
    pub(super) fn add_partitions_to_txn(
        &mut self,
        context: &RequestContext,
        request: AddPartitionsToTxnRequest,
    ) -> Outcome {
        let mut response = AddPartitionsToTxnResponse {
            throttle_time_ms: context.throttle_ms(),
            ..AddPartitionsToTxnResponse::default()
        };
        if context.version < 4 {
            response.results_by_topic_v3_and_below = self.add_partitions(
                context,
                &request.v3_and_below_transactional_id,
                (
                    request.v3_and_below_producer_id,
                    request.v3_and_below_producer_epoch,
                ),
                &request.v3_and_below_topics,
                false,
            );
        } else {
            for transaction in &request.transactions {
                let topic_results = self.add_partitions(
                    context,
                    &transaction.transactional_id,
                    (transaction.producer_id, transaction.producer_epoch),
                    &transaction.topics,
                    transaction.verify_only,
                );
                response.results_by_transaction.push(AddPartitionsToTxnResult {
                    transactional_id: transaction.transactional_id.clone(),
                    topic_results,
                    ..AddPartitionsToTxnResult::default()
                });
            }
        }
        context.answer::<AddPartitionsToTxnRequest>(&response)
    }

    fn add_partitions(
        &mut self,
        context: &RequestContext,
        id: &str,
        identity: (i64, i16),
        topics: &[AddPartitionsToTxnTopic],
        verify_only: bool,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        let mut errors: BTreeMap<(usize, i32), ErrorCode> = BTreeMap::new();
        let mut participants = Vec::new();
        for (place, topic) in topics.iter().enumerate() {
            let key = self.topics.key_of(&topic.name);
            for &partition in &topic.partitions {
                if let Some(error) = context.strikes.error_for(&topic.name, partition) {
                    errors.insert((place, partition), error);
                } else if let Some(key) = key.filter(|&key| self.topics.partition(key, partition).is_some()) {
                    participants.push(Participant::Partition(key, partition));
                } else {
                    errors.insert((place, partition), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                }
            }
        }
        let rest = if errors.is_empty() {
            self.add_all(context, id, identity, participants, verify_only)
        } else {
            // All or nothing.
            Err(ErrorCode::OPERATION_NOT_ATTEMPTED)
        };
        let result_of = |place: usize, name: &str, partition: i32| {
            let own = errors.get(&(place, partition)).copied();
            let error = own.or(rest.err()).unwrap_or(ErrorCode::NONE);
            let told = context.strikes.error_after_for(name, partition).unwrap_or(error);
            AddPartitionsToTxnPartitionResult {
                partition_index: partition,
                partition_error_code: code(told),
                ..AddPartitionsToTxnPartitionResult::default()
            }
        };
        let topic_result =
            |(place, topic): (usize, &AddPartitionsToTxnTopic)| AddPartitionsToTxnTopicResult {
                name: topic.name.clone(),
                results_by_partition: topic
                    .partitions
                    .iter()
                    .map(|&partition| result_of(place, &topic.name, partition))
                    .collect(),
                ..AddPartitionsToTxnTopicResult::default()
            };
        topics.iter().enumerate().map(topic_result).collect()
    }

    fn add_all(
        &mut self,
        context: &RequestContext,
        id: &str,
        identity: (i64, i16),
        participants: Vec<Participant>,
        verify_only: bool,
    ) -> Result<(), ErrorCode> {
        self.check_coordinator(id, context.broker)?;
        let result = if verify_only {
            participants
                .iter()
                .try_for_each(|participant| self.transactions.verify(id, identity, participant))
        } else {
            self.add_to_transaction(id, identity, participants, Protocol::V1)
        };
        result.map_err(|error| fenced_before(error, context.version, 2))
    }

    pub(super) fn add_offsets_to_txn(
        &mut self,
        context: &RequestContext,
        request: AddOffsetsToTxnRequest,
    ) -> Outcome {
        let id = &request.transactional_id;
        let identity = (request.producer_id, request.producer_epoch);
        let result = match context.error() {
            Some(error) => Err(error),
            None => self.check_coordinator(id, context.broker).and_then(|()| {
                let group = Participant::Group(Arc::from(request.group_id.as_str()));
                self.add_to_transaction(id, identity, vec![group], Protocol::V1)
            }),
        };
        let result = result.map_err(|error| fenced_before(error, context.version, 2));
        let response = AddOffsetsToTxnResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: context
                .strikes
                .error_after()
                .map_or_else(|| code_of(result), code),
            ..AddOffsetsToTxnResponse::default()
        };
        context.answer::<AddOffsetsToTxnRequest>(&response)
    }

    pub(super) fn end_txn(&mut self, context: &RequestContext, request: EndTxnRequest) -> Outcome {
        let result = match context.error() {
            Some(error) => Err(error),
            None => self.end_transaction(context, &request),
        };
        let result = match context.strikes.error_after() {
            Some(error) => Err(error),
            None => result,
        };
        let mut response = EndTxnResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code_of(result.map(|_| ())),
            ..EndTxnResponse::default()
        };
        if let (Ok((producer_id, producer_epoch)), true) = (result, context.version >= 5) {
            response.producer_id = producer_id;
            response.producer_epoch = producer_epoch;
        }
        context.answer::<EndTxnRequest>(&response)
    }

    fn end_transaction(
        &mut self,
        context: &RequestContext,
        request: &EndTxnRequest,
    ) -> Result<(i64, i16), ErrorCode> {
        let id = request.transactional_id.as_str();
        self.check_coordinator(id, context.broker)?;
        let decision = if request.committed {
            Decision::Commit
        } else {
            Decision::Abort
        };
        let protocol = if context.version >= 5 {
            Protocol::V2
        } else {
            Protocol::V1
        };
        let identity = (request.producer_id, request.producer_epoch);
        let ended = self
            .transactions
            .end(id, identity, decision, protocol)
            .map_err(|error| fenced_before(error, context.version, 2))?;
        if ended.decided {
            self.transaction_decided(id);
        }
        Ok(ended.next)
    }

    pub(super) fn txn_offset_commit(
        &mut self,
        context: &RequestContext,
        request: TxnOffsetCommitRequest,
    ) -> Outcome {
        let is_struck = |topic: &TxnOffsetCommitRequestTopic| {
            let mut partitions = topic.partitions.iter();
            partitions.all(|partition| {
                context
                    .partition_error(&topic.name, partition.partition_index)
                    .is_some()
            })
        };
        let result = match context.error() {
            // A fault of some of the partitions leaves the others what they are.
            Some(error) if request.topics.iter().all(is_struck) => Err(error),
            _ => self.accept_offsets(context, &request),
        };
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let key = self.topics.key_of(&topic.name);
            let name: Arc<str> = Arc::from(topic.name.as_str());
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let known = key
                    .and_then(|key| self.topics.partition(key, partition.partition_index))
                    .is_some();
                let index = partition.partition_index;
                let error = if let Some(error) = context.partition_error(&topic.name, index) {
                    error
                } else if let Err(error) = result {
                    error
                } else if !known {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else {
                    let offset = CommittedOffset {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: partition.committed_metadata.clone().unwrap_or_default(),
                    };
                    let key = (Arc::clone(&name), partition.partition_index);
                    self.commit_in_transaction(&request, key, offset)
                };
                partitions.push(TxnOffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: code(context.partition_told(&topic.name, index, error)),
                    ..TxnOffsetCommitResponsePartition::default()
                });
            }
            topics.push(TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions,
                ..TxnOffsetCommitResponseTopic::default()
            });
        }
        let response = TxnOffsetCommitResponse {
            throttle_time_ms: context.throttle_ms(),
            topics,
            ..TxnOffsetCommitResponse::default()
        };
        context.answer::<TxnOffsetCommitRequest>(&response)
    }

    /// Whether offsets may be committed at all: the member is one, and its transaction is open. Under protocol 2 the
    /// group joins the transaction with this.
    fn accept_offsets(
        &mut self,
        context: &RequestContext,
        request: &TxnOffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let group_id = request.group_id.as_str();
        if group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        self.check_coordinator(group_id, context.broker)?;
        let identity = (request.producer_id, request.producer_epoch);
        let participant = Participant::Group(Arc::from(group_id));
        let id = &request.transactional_id;
        if context.version >= 5 {
            self.add_to_transaction(id, identity, vec![participant], Protocol::V2)
        } else {
            self.transactions.verify(id, identity, &participant)
        }
        .map_err(|error| match error {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if context.version < 4 => ErrorCode::INVALID_TXN_STATE,
            ErrorCode::CONCURRENT_TRANSACTIONS if context.version < 5 => ErrorCode::NOT_ENOUGH_REPLICAS,
            error => error,
        })?;
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        };
        let checked = self
            .groups
            .with(group_id, |group| group.check_commit(caller, true));
        match checked {
            Some(result) => result,
            // Without a group there is nobody to be fenced; a generation makes no sense then.
            None if request.generation_id < 0 && request.member_id.is_empty() => Ok(()),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    fn commit_in_transaction(
        &mut self,
        request: &TxnOffsetCommitRequest,
        key: OffsetKey,
        offset: CommittedOffset,
    ) -> ErrorCode {
        if offset.metadata.len() > super::offsets::METADATA_BYTES_MAX {
            return ErrorCode::OFFSET_METADATA_TOO_LARGE;
        }
        let producer_id = request.producer_id;
        let kept = self.groups.with_new(&request.group_id, |group| {
            group.offsets.commit_in_transaction(producer_id, key, offset)
        });
        match kept {
            Ok(true) => ErrorCode::NONE,
            Ok(false) => ErrorCode::INVALID_COMMIT_OFFSET_SIZE,
            Err(error) => error,
        }
    }

    pub(super) fn describe_transactions(
        &mut self,
        context: &RequestContext,
        request: DescribeTransactionsRequest,
    ) -> Outcome {
        let describe = |id: &String| {
            let checked = match context.error() {
                Some(error) => Err(error),
                None => self.check_coordinator(id, context.broker),
            };
            let found = checked.and_then(|()| {
                self.transactions
                    .find(id)
                    .ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND)
            });
            let mut state = match found {
                Ok(transaction) => self.describe_transaction(id, transaction),
                Err(error) => TransactionState {
                    error_code: code(error),
                    transactional_id: id.clone(),
                    ..TransactionState::default()
                },
            };
            state.error_code = code(context.told(ErrorCode(state.error_code)));
            state
        };
        let response = DescribeTransactionsResponse {
            throttle_time_ms: context.throttle_ms(),
            transaction_states: request.transactional_ids.iter().map(describe).collect(),
            ..DescribeTransactionsResponse::default()
        };
        context.answer::<DescribeTransactionsRequest>(&response)
    }

    fn describe_transaction(&self, id: &str, transaction: &Transaction) -> TransactionState {
        let mut topics: BTreeMap<Arc<str>, BTreeSet<i32>> = BTreeMap::new();
        for participant in &transaction.participants {
            let named = match participant {
                Participant::Partition(key, partition) => self
                    .topics
                    .topic(*key)
                    .map(|topic| (Arc::clone(&topic.name), *partition)),
                // Kafka keeps a group's offsets in a partition of this topic.
                Participant::Group(group) => {
                    Some((Arc::from("__consumer_offsets"), internal_partition(group)))
                }
            };
            if let Some((name, partition)) = named {
                topics.entry(name).or_default().insert(partition);
            }
        }
        let open_for = self.now.since(transaction.started);
        let open_for_ms = i64::try_from(open_for.as_millis()).unwrap_or(i64::MAX);
        let started_ms = match transaction.state {
            State::Empty => -1,
            _ => self.wall_ms.saturating_sub(open_for_ms),
        };
        TransactionState {
            transactional_id: id.to_owned(),
            transaction_state: transaction.state.name().to_owned(),
            transaction_timeout_ms: i32::try_from(transaction.timeout.as_millis()).unwrap_or(i32::MAX),
            transaction_start_time_ms: started_ms,
            producer_id: transaction.producer_id,
            producer_epoch: transaction.epoch,
            topics: topics
                .into_iter()
                .map(|(name, partitions)| TopicData {
                    topic: name.to_string(),
                    partitions: partitions.into_iter().collect(),
                    ..TopicData::default()
                })
                .collect(),
            ..TransactionState::default()
        }
    }

    pub(super) fn list_transactions(
        &mut self,
        context: &RequestContext,
        request: ListTransactionsRequest,
    ) -> Outcome {
        let wanted = |transaction: &Transaction| {
            let open_for = self.now.since(transaction.started);
            let old_enough =
                u128::try_from(request.duration_filter).map_or(true, |least| open_for.as_millis() >= least);
            let state = transaction.state.name();
            (request.state_filters.is_empty() || request.state_filters.iter().any(|wanted| wanted == state))
                && (request.producer_id_filters.is_empty()
                    || request.producer_id_filters.contains(&transaction.producer_id))
                && old_enough
        };
        if let Some(error) = context.error() {
            let response = ListTransactionsResponse {
                throttle_time_ms: context.throttle_ms(),
                error_code: code(error),
                ..ListTransactionsResponse::default()
            };
            return context.answer::<ListTransactionsRequest>(&response);
        }
        let own = |id: &str| self.coordinator_of(id) == Some(context.broker);
        let unknown = |name: &&String| !STATE_NAMES.contains(&name.as_str());
        let listed = self
            .transactions
            .iter()
            .filter(|(id, transaction)| own(id) && wanted(transaction));
        let response = ListTransactionsResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(context.told(ErrorCode::NONE)),
            unknown_state_filters: request.state_filters.iter().filter(unknown).cloned().collect(),
            transaction_states: listed
                .map(|(id, transaction)| list_transactions::TransactionState {
                    transactional_id: id.to_string(),
                    producer_id: transaction.producer_id,
                    transaction_state: transaction.state.name().to_owned(),
                    ..list_transactions::TransactionState::default()
                })
                .collect(),
            ..ListTransactionsResponse::default()
        };
        context.answer::<ListTransactionsRequest>(&response)
    }

    pub(super) fn describe_producers(
        &mut self,
        context: &RequestContext,
        request: DescribeProducersRequest,
    ) -> Outcome {
        let describe = |name: &str, index: i32| {
            let key = self.topics.key_of(name);
            let found = match key.and_then(|key| self.topics.partition(key, index)) {
                None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                Some(partition) if partition.leader != context.broker => {
                    Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)
                }
                Some(partition) => Ok(partition),
            };
            let error = context
                .partition_error(name, index)
                .or(found.err())
                .unwrap_or(ErrorCode::NONE);
            let error = context.partition_told(name, index, error);
            let (Ok(partition), ErrorCode::NONE) = (found, error) else {
                return PartitionResponse {
                    partition_index: index,
                    error_code: code(error),
                    ..PartitionResponse::default()
                };
            };
            let active = partition
                .producers
                .iter()
                .map(|(producer_id, epoch, last_sequence)| ProducerState {
                    producer_id,
                    producer_epoch: i32::from(epoch),
                    last_sequence,
                    last_timestamp: -1,
                    coordinator_epoch: 0,
                    current_txn_start_offset: partition.log.open_transaction(producer_id).unwrap_or(-1),
                    ..ProducerState::default()
                });
            PartitionResponse {
                partition_index: index,
                active_producers: active.collect(),
                ..PartitionResponse::default()
            }
        };
        let response = DescribeProducersResponse {
            throttle_time_ms: context.throttle_ms(),
            topics: request
                .topics
                .iter()
                .map(|topic| TopicResponse {
                    name: topic.name.clone(),
                    partitions: topic
                        .partition_indexes
                        .iter()
                        .map(|&index| describe(&topic.name, index))
                        .collect(),
                    ..TopicResponse::default()
                })
                .collect(),
            ..DescribeProducersResponse::default()
        };
        context.answer::<DescribeProducersRequest>(&response)
    }
}

/// Versions that do not know PRODUCER_FENCED are told what they know.
fn fenced_before(error: ErrorCode, version: i16, since: i16) -> ErrorCode {
    if error == ErrorCode::PRODUCER_FENCED && version < since {
        ErrorCode::INVALID_PRODUCER_EPOCH
    } else {
        error
    }
}
