//! Appending to a partition: the producer's state, transactions, replication and retention.

use crate::cluster::Cluster;
use crate::config::Storage;
use crate::event::EventKind;
use crate::log::{Append, HEADER_LEN};
use crate::producer_state::{AppendedBatch, Identity, Verdict};
use crate::topic::{Partition, TopicKey};
use crate::transaction::{Participant, Protocol};
use crate::validation::{self, Refusal, Rules};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::records::{BatchHeader, EndTransactionMarker, RecordBatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch that stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// -1 unless the topic has LogAppendTime (or the batch is a duplicate, as Kafka does it).
    pub(crate) log_append_time: i64,
    pub(crate) log_start: i64,
}

/// What a Produce request says about all of its batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProduceTerms<'a> {
    pub(crate) version: i16,
    pub(crate) transactional_id: Option<&'a str>,
}

/// Batches smaller than this are copied out of their frame, so that they do not keep all of it alive.
const COPY_BELOW_BYTES: usize = 2 * 1024;

/// No timestamp, as it stands on the wire.
const NO_TIMESTAMP: i64 = -1;

impl Cluster {
    /// Appends what a Produce request has for one partition that this broker leads.
    pub(crate) fn append(
        &mut self,
        topic: TopicKey,
        index: i32,
        batch: &RecordBatch,
        terms: ProduceTerms<'_>,
    ) -> Result<Appended, Refusal> {
        self.verify_transaction(topic, index, batch, terms)?;
        if !self.has_room(topic, batch.bytes().len()) {
            return Err(Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        let unknown = || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let (storage, wall_ms) = (self.config.storage, self.wall_ms);
        let topic_state = self.topics.topic_mut(topic).ok_or_else(unknown)?;
        let rules = Rules {
            config: &topic_state.config,
            storage,
            wall_ms,
        };
        validation::check(batch, rules, &mut self.decompressor)?;
        let stamp = topic_state.config.log_append_time.then_some(wall_ms);
        let name = Arc::clone(&topic_state.name);
        let partition = topic_state.partition_mut(index).ok_or_else(unknown)?;
        let identity = identity_of(batch.header());
        if let Some(known) = judge(partition, &identity, batch.header())? {
            let log_start = partition.log.log_start();
            self.events.record(self.now, || EventKind::Duplicate {
                topic: name,
                partition: index,
                base_offset: known.base_offset,
                producer_id: identity.producer_id,
                base_sequence: identity.base_sequence,
            });
            return Ok(Appended {
                base_offset: known.base_offset,
                last_offset: known.last_offset,
                log_append_time: known.timestamp,
                log_start,
            });
        }
        Ok(self.write(topic, index, batch, stamp))
    }

    /// Writes a batch that was found good into the log.
    fn write(&mut self, topic: TopicKey, index: i32, batch: &RecordBatch, stamp: Option<i64>) -> Appended {
        let header = *batch.header();
        let identity = identity_of(&header);
        let producers_max = self.config.limits.producers_per_partition_max;
        let keep = self.config.storage == Storage::Keep;
        let Some(topic_state) = self.topics.topic_mut(topic) else {
            return Appended::NOTHING;
        };
        let name = Arc::clone(&topic_state.name);
        let Some(partition) = topic_state.partition_mut(index) else {
            return Appended::NOTHING;
        };
        let timestamp = stamp.unwrap_or(header.max_timestamp);
        let stored = match stamp {
            Some(_) => batch.assigned(0, partition.leader_epoch, stamp),
            // Offset and epoch are outside the checksum: the log writes them itself.
            None => first_bytes(batch),
        };
        let append = Append {
            offsets: i64::from(header.record_count),
            max_timestamp: timestamp,
            transactional_producer: header.attributes.is_transactional().then_some(header.producer_id),
        };
        let payload = if keep {
            detached(batch.payload())
        } else {
            Bytes::new()
        };
        let before = partition.log.bytes();
        let base_offset = partition
            .log
            .append(stored, payload, append, partition.leader_epoch, keep);
        let grown = partition.log.bytes() - before;
        if identity.producer_id >= 0 {
            partition
                .producers
                .appended(&identity, base_offset, timestamp, producers_max);
        }
        let log_start = partition.log.log_start();
        self.events.record(self.now, || EventKind::Appended {
            topic: name,
            partition: index,
            base_offset,
            records: header.record_count,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        });
        self.charge(topic, index, grown);
        self.grown(topic, index);
        Appended {
            base_offset,
            last_offset: base_offset + append.offsets - 1,
            log_append_time: stamp.unwrap_or(NO_TIMESTAMP),
            log_start,
        }
    }

    /// Asks the coordinator about the first batch of a transaction in a partition (KIP-890); under protocol 2 the
    /// question adds the partition.
    fn verify_transaction(
        &mut self,
        topic: TopicKey,
        index: i32,
        batch: &RecordBatch,
        terms: ProduceTerms<'_>,
    ) -> Result<(), Refusal> {
        let header = batch.header();
        let (true, Some(id)) = (header.attributes.is_transactional(), terms.transactional_id) else {
            return Ok(());
        };
        let partition = self.topics.partition(topic, index);
        let open = partition.is_some_and(|partition| {
            partition.log.open_transaction(header.producer_id).is_some()
                && partition.producers.epoch(header.producer_id) == Some(header.producer_epoch)
        });
        if open || !self.verifies_transactions() {
            return Ok(());
        }
        let producers_max = self.config.limits.producers_per_partition_max;
        let epoch_bumps = terms.version >= 12;
        if let Some(partition) = self.topics.partition_mut(topic, index) {
            let batch = identity_of(header);
            partition
                .producers
                .begin_verification(&batch, epoch_bumps, producers_max);
        }
        let identity = (header.producer_id, header.producer_epoch);
        let participant = Participant::Partition(topic, index);
        let result = if epoch_bumps {
            self.add_to_transaction(id, identity, vec![participant], Protocol::V2)
        } else {
            self.transactions.verify(id, identity, &participant)
        };
        result.map_err(|error| {
            Refusal::new(match error {
                // A partition's log knows only this error for an epoch that is too old.
                ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
                // Older clients would not try again, or would refresh their metadata in vain.
                ErrorCode::CONCURRENT_TRANSACTIONS if !epoch_bumps => ErrorCode::NOT_ENOUGH_REPLICAS,
                ErrorCode::TRANSACTION_ABORTABLE if terms.version < 11 => ErrorCode::INVALID_TXN_STATE,
                error => error,
            })
        })
    }

    /// Writes the marker that ends a producer's transaction in a partition; its offset.
    pub(crate) fn append_marker(
        &mut self,
        topic: TopicKey,
        index: i32,
        marker: Marker,
    ) -> Result<i64, ErrorCode> {
        let wall_ms = self.wall_ms;
        let keep = self.config.storage == Storage::Keep;
        let producers_max = self.config.limits.producers_per_partition_max;
        let topic_state = self
            .topics
            .topic_mut(topic)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let name = Arc::clone(&topic_state.name);
        let partition = topic_state
            .partition_mut(index)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let Marker {
            producer_id,
            epoch,
            committed,
        } = marker;
        partition
            .producers
            .check_marker(producer_id, epoch, COORDINATOR_EPOCH)?;
        let control = EndTransactionMarker {
            committed,
            coordinator_epoch: COORDINATOR_EPOCH,
        };
        let bytes = control.batch(wall_ms, producer_id, epoch);
        let (Some(header), payload) = (
            bytes.first_chunk::<HEADER_LEN>().copied(),
            bytes.slice(HEADER_LEN..),
        ) else {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        };
        let append = Append {
            offsets: 1,
            max_timestamp: wall_ms,
            transactional_producer: None,
        };
        let before = partition.log.bytes();
        let offset = partition
            .log
            .append(header, payload, append, partition.leader_epoch, keep);
        let grown = partition.log.bytes() - before;
        partition
            .producers
            .marked(producer_id, epoch, COORDINATOR_EPOCH, producers_max);
        partition.log.end_transaction(producer_id, offset, committed);
        self.events.record(self.now, || EventKind::Marker {
            topic: name,
            partition: index,
            offset,
            producer_id,
            committed,
        });
        self.charge(topic, index, grown);
        self.grown(topic, index);
        Ok(offset)
    }

    /// Accounts for memory, and drops the oldest batches while there is too much of it: of the partition that grew, or
    /// else of the largest of its topic.
    fn charge(&mut self, topic: TopicKey, index: i32, bytes: usize) {
        self.log_bytes += bytes;
        let limits = &self.config.limits;
        let (topic_max, log_max) = (limits.topic_bytes_max, limits.log_bytes_max);
        let Some(state) = self.topics.topic_mut(topic) else {
            return;
        };
        state.bytes += bytes;
        let retention = usize::try_from(state.config.retention_bytes).unwrap_or(usize::MAX);
        // Partition → where its log started before.
        let mut starts: BTreeMap<i32, i64> = BTreeMap::new();
        loop {
            let full = state.bytes > topic_max || self.log_bytes > log_max;
            let Some(own) = state.partition_mut(index) else {
                break;
            };
            if !full && own.log.bytes() <= retention {
                break;
            }
            let mut shrunk = (index, own.log.log_start(), own.log.drop_oldest());
            if shrunk.2.is_none() && full {
                let largest = (0..)
                    .zip(&mut state.partitions)
                    .max_by_key(|(_, partition)| partition.log.bytes());
                let Some((other, partition)) = largest else { break };
                shrunk = (other, partition.log.log_start(), partition.log.drop_oldest());
            }
            // What an open transaction holds stays; `has_room` refuses more of it.
            let (shrunk, start, Some(freed)) = shrunk else {
                break;
            };
            starts.entry(shrunk).or_insert(start);
            state.bytes -= freed;
            self.log_bytes -= freed;
        }
        let Some(name) = self
            .topics
            .topic(topic)
            .map(|state| Arc::clone(&state.name))
            .filter(|_| !starts.is_empty())
        else {
            return;
        };
        for (partition, from) in starts {
            let now = self
                .topics
                .partition(topic, partition)
                .map(|partition| partition.log.log_start());
            self.log_start_moved(&name, partition, from, now.unwrap_or(from));
        }
    }

    /// Whether a batch may be taken although nothing else can be dropped for it.
    fn has_room(&self, topic: TopicKey, bytes: usize) -> bool {
        let limits = &self.config.limits;
        let held = self.topics.topic(topic).map_or(0, |state| state.bytes);
        held.saturating_add(bytes) <= limits.topic_bytes_max.saturating_mul(2)
            && self.log_bytes.saturating_add(bytes) <= limits.log_bytes_max.saturating_mul(2)
    }

    fn verifies_transactions(&self) -> bool {
        self.config.pose >= crate::config::Pose::V3_9
    }
}

/// There is one coordinator for all time.
const COORDINATOR_EPOCH: i32 = 0;

/// The end of a transaction, for one partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) committed: bool,
}

impl Appended {
    /// What a partition says that is not there any more.
    const NOTHING: Appended = Appended {
        base_offset: -1,
        last_offset: -1,
        log_append_time: NO_TIMESTAMP,
        log_start: -1,
    };
}

/// Holds a batch against what the partition knows of its producer: refused, appended before, or (`None`) new.
fn judge(
    partition: &Partition,
    identity: &Identity,
    header: &BatchHeader,
) -> Result<Option<AppendedBatch>, Refusal> {
    if identity.producer_id < 0 {
        return Ok(None);
    }
    match partition.producers.check(identity) {
        Verdict::Duplicate(known) => return Ok(Some(known)),
        Verdict::Refuse(error) => return Err(Refusal::in_log(error)),
        Verdict::Append => {}
    }
    let in_transaction = partition.log.open_transaction(identity.producer_id).is_some();
    if in_transaction && !header.attributes.is_transactional() {
        return Err(Refusal::in_log(ErrorCode::INVALID_TXN_STATE));
    }
    Ok(None)
}

fn identity_of(header: &BatchHeader) -> Identity {
    Identity {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        record_count: header.record_count,
    }
}

/// The header of a batch as it came.
fn first_bytes(batch: &RecordBatch) -> [u8; HEADER_LEN] {
    // A decoded batch has a whole header.
    batch
        .bytes()
        .first_chunk::<HEADER_LEN>()
        .copied()
        .unwrap_or([0; HEADER_LEN])
}

/// A payload that does not keep much more memory alive than it has bytes.
fn detached(payload: Bytes) -> Bytes {
    if payload.len() < COPY_BELOW_BYTES {
        Bytes::copy_from_slice(&payload)
    } else {
        payload
    }
}
