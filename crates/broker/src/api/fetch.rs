//! Fetch, ListOffsets and OffsetForLeaderEpoch: what readers ask.

use super::code;
use crate::cluster::Cluster;
use crate::log::{Log, StoredBatch};
use crate::request::{Outcome, RequestContext};
use crate::topic::{Partition, TopicKey};
use crate::wait::{Wait, Waiter};
use bytes::BytesMut;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use ottla_protocol::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};
use ottla_protocol::records::RecordBatch;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

/// A broker's `fetch.max.bytes`.
const FETCH_BYTES_MAX: usize = 55 * 1024 * 1024;

/// What a batch may decompress to while a timestamp is looked for, in bytes.
const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// `IsolationLevel.READ_COMMITTED`.
const READ_COMMITTED: i8 = 1;

/// Timestamps that stand for a place in the log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

impl Cluster {
    pub(super) fn fetch(&mut self, context: &RequestContext, request: FetchRequest) -> Outcome {
        if let Some(error) = fetch_error(context, &request) {
            let response = FetchResponse {
                throttle_time_ms: context.throttle_ms(),
                error_code: code(error),
                ..FetchResponse::default()
            };
            return context.answer::<FetchRequest>(&response);
        }
        if request.max_wait_ms > 0 && !self.has_enough(context, &request) {
            let named = request.topics.iter().flat_map(|topic| {
                let key = self.fetched_topic(context, topic);
                topic
                    .partitions
                    .iter()
                    .filter_map(move |partition| Some((key?, partition.partition)))
            });
            let partitions: Vec<(TopicKey, i32)> = named.collect();
            let longest = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
            let wait = Wait::Fetch {
                request,
                partitions: partitions.clone(),
            };
            self.wait(context, wait, &partitions, Some(self.now + longest));
            return Outcome::Wait;
        }
        self.answer_fetch(context, &request)
    }

    /// Whether a Fetch that waits may be answered.
    pub(crate) fn is_fetch_ready(&self, ticket: u64) -> bool {
        match self.waiters.get(&ticket) {
            Some(Waiter {
                context,
                wait: Wait::Fetch { request, .. },
                ..
            }) => self.has_enough(context, request),
            _ => false,
        }
    }

    fn fetched_topic(&self, context: &RequestContext, topic: &FetchTopic) -> Option<TopicKey> {
        if context.version >= 13 {
            self.topics.key_of_id(&topic.topic_id)
        } else {
            self.topics.key_of(&topic.topic)
        }
    }

    /// Whether there are as many bytes as the reader wants, or an error to tell.
    fn has_enough(&self, context: &RequestContext, request: &FetchRequest) -> bool {
        let wanted = usize::try_from(request.min_bytes).unwrap_or(0);
        let mut available = 0_usize;
        for topic in &request.topics {
            let key = self.fetched_topic(context, topic);
            for wanted_partition in &topic.partitions {
                let Ok(partition) = self.readable(context, key, wanted_partition) else {
                    return true;
                };
                let limit = read_limit(partition, request.isolation_level);
                let bytes_max = usize::try_from(wanted_partition.partition_max_bytes).unwrap_or(0);
                let readable = partition
                    .log
                    .read(wanted_partition.fetch_offset, limit, bytes_max, true);
                available = available.saturating_add(readable.map(StoredBatch::wire_len).sum());
                if available >= wanted && available > 0 {
                    return true;
                }
            }
        }
        wanted == 0
    }

    /// The partition that a reader may read from at the place it wants.
    fn readable(
        &self,
        context: &RequestContext,
        key: Option<TopicKey>,
        wanted: &FetchPartition,
    ) -> Result<&Partition, ErrorCode> {
        let unknown = if context.version >= 13 {
            ErrorCode::UNKNOWN_TOPIC_ID
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        };
        let topic = key.and_then(|key| self.topics.topic(key)).ok_or(unknown)?;
        // Nothing is done by reading: there is no before and after.
        let index = wanted.partition;
        let after = || context.strikes.error_after_for(&topic.name, index);
        if let Some(error) = context.partition_error(&topic.name, index).or_else(after) {
            return Err(error);
        }
        let partition = topic
            .partition(wanted.partition)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        check_leader(partition, context.broker, wanted.current_leader_epoch)?;
        let log = &partition.log;
        // A reader may be ahead of the high watermark (after an unclean move), but not of the log.
        if wanted.fetch_offset < log.log_start() || wanted.fetch_offset > log.log_end() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        Ok(partition)
    }

    /// Answers a Fetch with what there is.
    pub(crate) fn answer_fetch(&mut self, context: &RequestContext, request: &FetchRequest) -> Outcome {
        let mut left = usize::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(FETCH_BYTES_MAX);
        let mut at_least_one = true;
        let mut moved = BTreeSet::new();
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let key = self.fetched_topic(context, topic);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let data = match self.readable(context, key, wanted) {
                    Ok(partition) => read_partition(
                        partition,
                        wanted,
                        request.isolation_level,
                        &mut left,
                        &mut at_least_one,
                    ),
                    Err(error) => self.fetch_failure(context, key, wanted, error, &mut moved),
                };
                partitions.push(data);
            }
            let mut response = FetchableTopicResponse {
                partitions,
                ..FetchableTopicResponse::default()
            };
            if context.version >= 13 {
                response.topic_id = topic.topic_id;
            } else {
                response.topic.clone_from(&topic.topic);
            }
            responses.push(response);
        }
        let endpoint = |id: i32| {
            let node = self.nodes.get(&id)?;
            Some(NodeEndpoint {
                node_id: id,
                host: node.host.clone(),
                port: node.port,
                ..NodeEndpoint::default()
            })
        };
        let response = FetchResponse {
            throttle_time_ms: context.throttle_ms(),
            responses,
            node_endpoints: if context.version >= 16 {
                moved.into_iter().filter_map(endpoint).collect()
            } else {
                Vec::new()
            },
            ..FetchResponse::default()
        };
        context.answer::<FetchRequest>(&response)
    }

    fn fetch_failure(
        &self,
        context: &RequestContext,
        key: Option<TopicKey>,
        wanted: &FetchPartition,
        error: ErrorCode,
        moved: &mut BTreeSet<i32>,
    ) -> PartitionData {
        let mut data = PartitionData {
            partition_index: wanted.partition,
            error_code: code(error),
            high_watermark: -1,
            last_stable_offset: -1,
            // Where there is no log to ask Kafka says "none", otherwise "not known".
            aborted_transactions: is_unknown(error).then(Vec::new),
            records: Some(bytes::Bytes::new()),
            ..PartitionData::default()
        };
        let partition = key.and_then(|key| self.topics.partition(key, wanted.partition));
        let has_moved = matches!(
            error,
            ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
        );
        if let Some(partition) = partition.filter(|_| has_moved && context.version >= 12) {
            data.current_leader = LeaderIdAndEpoch {
                leader_id: partition.leader,
                leader_epoch: partition.leader_epoch,
                ..LeaderIdAndEpoch::default()
            };
            moved.insert(partition.leader);
        }
        data
    }

    pub(super) fn list_offsets(&mut self, context: &RequestContext, request: ListOffsetsRequest) -> Outcome {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let key = self.topics.key_of(&topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let index = wanted.partition_index;
                let after = || context.strikes.error_after_for(&topic.name, index);
                let result = match context.partition_error(&topic.name, index).or_else(after) {
                    Some(error) => Err(error),
                    None => self.find_offset(context, key, wanted, request.isolation_level),
                };
                let mut response = ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    ..ListOffsetsPartitionResponse::default()
                };
                match result {
                    Ok(found) => {
                        response.offset = found.offset;
                        response.timestamp = found.timestamp;
                        if context.version >= 4 {
                            response.leader_epoch = found.leader_epoch;
                        }
                    }
                    Err(error) => response.error_code = code(error),
                }
                partitions.push(response);
            }
            topics.push(ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions,
                ..ListOffsetsTopicResponse::default()
            });
        }
        let response = ListOffsetsResponse {
            throttle_time_ms: context.throttle_ms(),
            topics,
            ..ListOffsetsResponse::default()
        };
        context.answer::<ListOffsetsRequest>(&response)
    }

    fn find_offset(
        &mut self,
        context: &RequestContext,
        key: Option<TopicKey>,
        wanted: &ListOffsetsPartition,
        isolation_level: i8,
    ) -> Result<Found, ErrorCode> {
        let partition = key.and_then(|key| self.topics.partition(key, wanted.partition_index));
        let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        check_leader(partition, context.broker, wanted.current_leader_epoch)?;
        check_timestamp(context.version, wanted.timestamp)?;
        let log = &partition.log;
        let limit = read_limit(partition, isolation_level);
        let at = |offset: i64| Found {
            offset,
            timestamp: -1,
            leader_epoch: log.epoch_of(offset).unwrap_or(partition.leader_epoch),
        };
        let batch = match wanted.timestamp {
            LATEST => {
                return Ok(Found {
                    leader_epoch: partition.leader_epoch,
                    ..at(limit)
                });
            }
            EARLIEST | EARLIEST_LOCAL => return Ok(at(log.log_start())),
            MAX_TIMESTAMP => log.batch_of_max_timestamp(),
            // Nothing is stored elsewhere.
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => None,
            timestamp => log.first_batch_since(timestamp),
        };
        let Some(batch) = batch else {
            return Ok(Found::NOTHING);
        };
        let least = if wanted.timestamp == MAX_TIMESTAMP {
            batch.max_timestamp
        } else {
            wanted.timestamp
        };
        let (bytes, leader_epoch) = (batch.to_bytes(), batch.leader_epoch);
        let found = self
            .first_record_since(bytes, least)
            .filter(|&(offset, _)| offset < limit);
        Ok(found.map_or(Found::NOTHING, |(offset, timestamp)| Found {
            offset,
            timestamp,
            leader_epoch,
        }))
    }

    /// Offset and timestamp of the first record of a batch that is not older than `timestamp`.
    fn first_record_since(&mut self, batch: bytes::Bytes, timestamp: i64) -> Option<(i64, i64)> {
        let batch = RecordBatch::decode(batch).ok()?;
        let mut records = batch
            .records(&mut self.decompressor, DECOMPRESSED_BYTES_MAX)
            .ok()?;
        let record = records.find_map(|record| record.ok().filter(|record| record.timestamp >= timestamp))?;
        Some((record.offset, record.timestamp))
    }

    pub(super) fn offset_for_leader_epoch(
        &mut self,
        context: &RequestContext,
        request: OffsetForLeaderEpochRequest,
    ) -> Outcome {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let key = self.topics.key_of(&topic.topic);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let partition = key.and_then(|key| self.topics.partition(key, wanted.partition));
                let index = wanted.partition;
                let after = || context.strikes.error_after_for(&topic.topic, index);
                let struck = context.partition_error(&topic.topic, index).or_else(after);
                let checked = partition
                    .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                    .and_then(|partition| struck.map_or(Ok(partition), Err))
                    .and_then(|partition| {
                        check_leader(partition, context.broker, wanted.current_leader_epoch)?;
                        Ok(partition)
                    });
                let mut answer = EpochEndOffset {
                    partition: wanted.partition,
                    leader_epoch: -1,
                    end_offset: -1,
                    ..EpochEndOffset::default()
                };
                match checked {
                    Err(error) => answer.error_code = code(error),
                    Ok(partition) => {
                        if let Some((epoch, end)) = end_of_epoch(partition, wanted.leader_epoch) {
                            answer.leader_epoch = epoch;
                            answer.end_offset = end;
                        }
                    }
                }
                partitions.push(answer);
            }
            topics.push(OffsetForLeaderTopicResult {
                topic: topic.topic.clone(),
                partitions,
                ..OffsetForLeaderTopicResult::default()
            });
        }
        let response = OffsetForLeaderEpochResponse {
            throttle_time_ms: context.throttle_ms(),
            topics,
            ..OffsetForLeaderEpochResponse::default()
        };
        context.answer::<OffsetForLeaderEpochRequest>(&response)
    }
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

impl Found {
    const NOTHING: Found = Found {
        offset: -1,
        timestamp: -1,
        leader_epoch: -1,
    };
}

/// Why a whole Fetch is refused. Sessions (KIP-227) are never opened, so that none can be continued.
fn fetch_error(context: &RequestContext, request: &FetchRequest) -> Option<ErrorCode> {
    let continues = request.session_id != 0 && request.session_epoch > 0;
    // A fault that names partitions is told for them.
    let named = request.topics.is_empty();
    context
        .error()
        .filter(|_| named)
        .or_else(|| continues.then_some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND))
}

/// Whether a version of ListOffsets knows a place in the log.
fn check_timestamp(version: i16, timestamp: i64) -> Result<(), ErrorCode> {
    let since = match timestamp {
        0.. | LATEST | EARLIEST => 0,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => return Err(ErrorCode::UNSUPPORTED_VERSION),
    };
    if version >= since {
        Ok(())
    } else {
        Err(ErrorCode::UNSUPPORTED_VERSION)
    }
}

fn is_unknown(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID
    )
}

/// Whether this broker leads, and the client knows the same leader epoch (KIP-320).
fn check_leader(partition: &Partition, broker: i32, known_epoch: i32) -> Result<(), ErrorCode> {
    if partition.leader != broker {
        Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)
    } else if known_epoch >= 0 && known_epoch < partition.leader_epoch {
        Err(ErrorCode::FENCED_LEADER_EPOCH)
    } else if known_epoch > partition.leader_epoch {
        Err(ErrorCode::UNKNOWN_LEADER_EPOCH)
    } else {
        Ok(())
    }
}

/// The epoch's end; that of the leader's own is the end of the log, also if nothing was written under it.
fn end_of_epoch(partition: &Partition, epoch: i32) -> Option<(i32, i64)> {
    match epoch.cmp(&partition.leader_epoch) {
        Ordering::Less => partition.log.end_of_epoch(epoch),
        Ordering::Equal => Some((epoch, partition.log.log_end())),
        Ordering::Greater => None,
    }
}

fn read_limit(partition: &Partition, isolation_level: i8) -> i64 {
    let log: &Log = &partition.log;
    if isolation_level == READ_COMMITTED {
        log.last_stable()
    } else {
        log.high_watermark()
    }
}

fn read_partition(
    partition: &Partition,
    wanted: &FetchPartition,
    isolation_level: i8,
    left: &mut usize,
    at_least_one: &mut bool,
) -> PartitionData {
    let log = &partition.log;
    let limit = read_limit(partition, isolation_level);
    let bytes_max = usize::try_from(wanted.partition_max_bytes)
        .unwrap_or(0)
        .min(*left);
    let mut records = BytesMut::new();
    let mut end = wanted.fetch_offset;
    for batch in log.read(wanted.fetch_offset, limit, bytes_max, *at_least_one) {
        records.extend_from_slice(&batch.header);
        records.extend_from_slice(&batch.payload);
        end = batch.last_offset + 1;
    }
    *left = left.saturating_sub(records.len());
    *at_least_one &= records.is_empty();
    let aborted = (isolation_level == READ_COMMITTED).then(|| {
        log.aborted_between(wanted.fetch_offset, end)
            .map(|aborted| AbortedTransaction {
                producer_id: aborted.producer_id,
                first_offset: aborted.first_offset,
                ..AbortedTransaction::default()
            })
            .collect()
    });
    PartitionData {
        partition_index: wanted.partition,
        high_watermark: log.high_watermark(),
        last_stable_offset: log.last_stable(),
        log_start_offset: log.log_start(),
        aborted_transactions: aborted,
        records: Some(records.freeze()),
        ..PartitionData::default()
    }
}
