//! What a test reads out of the cluster.

use crate::cluster::Cluster;
use crate::control::Unknown;
use crate::telemetry::{TelemetryOptions, TelemetryPush};
use crate::topic::Partition;
use crate::versions;
use bytes::Bytes;
use ottla_protocol::ApiKey;
use ottla_protocol::records::{Record, RecordBatch};
use ottla_protocol::wire::Uuid;

/// What a coordinator knows of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionState {
    /// As Kafka calls it: `Empty`, `Ongoing`, `PrepareCommit`, `CompleteAbort` and so on.
    pub state: &'static str,
    /// The producer that the id belongs to.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionState {
    /// The broker that leads; -1 if none does.
    pub leader: i32,
    /// How often the leader changed.
    pub leader_epoch: i32,
    /// The brokers in sync.
    pub in_sync: Vec<i32>,
    /// The first offset that can be read.
    pub log_start: i64,
    /// The offset that the next record gets.
    pub log_end: i64,
    /// The first offset that not every replica in sync has.
    pub high_watermark: i64,
    /// The first offset that a read_committed reader does not see yet.
    pub last_stable: i64,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// Everything that is replicated.
    #[default]
    ReadUncommitted,
    /// What is outside transactions or in committed ones, up to the first that is open.
    ReadCommitted,
    /// Everything in the leader's log, replicated or not.
    Log,
}

/// A batch in the log, with where its producer stood.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogBatch {
    /// The batch as a reader gets it, checked when it was appended.
    pub batch: RecordBatch,
}

/// What a batch may decompress to, in bytes.
const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;

impl Cluster {
    /// Whether the cluster offers this API.
    pub(crate) fn offers(&self, api: ApiKey) -> bool {
        !versions::is_telemetry(api) || self.telemetry.options.is_some()
    }

    /// What clients have told of themselves, oldest first; the last thousand.
    pub fn telemetry_pushes(&self) -> impl Iterator<Item = &TelemetryPush> {
        self.telemetry.pushes.iter()
    }

    /// Asks clients for something else from now on: with their next push they learn that they have to ask what.
    pub fn subscribe_to_telemetry(&mut self, options: TelemetryOptions) {
        self.telemetry.subscribe(options);
    }

    /// The names of all topics, in order.
    pub fn topic_names(&self) -> Vec<String> {
        self.topics
            .by_name()
            .map(|(_, topic)| topic.name.to_string())
            .collect()
    }

    /// The id of a topic; `None` if it does not exist.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        Some(self.topics.topic(self.topics.key_of(topic)?)?.id)
    }

    /// How many partitions a topic has; `None` if it does not exist.
    pub fn partition_count(&self, topic: &str) -> Option<i32> {
        let topic = self.topics.topic(self.topics.key_of(topic)?)?;
        i32::try_from(topic.partitions.len()).ok()
    }

    /// Where a partition stands.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn partition_state(&self, topic: &str, partition: i32) -> Result<PartitionState, Unknown> {
        let state = self.known_partition(topic, partition)?;
        Ok(PartitionState {
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            in_sync: state.isr.clone(),
            log_start: state.log.log_start(),
            log_end: state.log.log_end(),
            high_watermark: state.log.high_watermark(),
            last_stable: state.log.last_stable(),
        })
    }

    /// The batches of a partition, as the log has them.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn batches(&self, topic: &str, partition: i32) -> Result<Vec<LogBatch>, Unknown> {
        let state = self.known_partition(topic, partition)?;
        let decode = |bytes: Bytes| RecordBatch::decode(bytes).ok().map(|batch| LogBatch { batch });
        Ok(state
            .log
            .batches()
            .filter_map(|batch| decode(batch.to_bytes()))
            .collect())
    }

    /// The records of a partition that a reader sees, without control records.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn records(
        &mut self,
        topic: &str,
        partition: i32,
        isolation: Isolation,
    ) -> Result<Vec<Record>, Unknown> {
        let state = self.known_partition(topic, partition)?;
        let (limit, committed_only) = match isolation {
            Isolation::ReadUncommitted => (state.log.high_watermark(), false),
            Isolation::ReadCommitted => (state.log.last_stable(), true),
            Isolation::Log => (state.log.log_end(), false),
        };
        let from = state.log.log_start();
        let aborted: Vec<_> = state.log.aborted_between(from, limit).collect();
        let batches: Vec<Bytes> = state
            .log
            .read(from, limit, usize::MAX, true)
            .map(crate::log::StoredBatch::to_bytes)
            .collect();
        let mut records = Vec::new();
        for batch in batches
            .into_iter()
            .filter_map(|bytes| RecordBatch::decode(bytes).ok())
        {
            let header = batch.header();
            let hidden = committed_only
                && header.attributes.is_transactional()
                && aborted.iter().any(|aborted| {
                    aborted.producer_id == header.producer_id
                        && (aborted.first_offset..=aborted.last_offset).contains(&header.base_offset)
                });
            if header.attributes.is_control() || hidden {
                continue;
            }
            if let Ok(iterator) = batch.records(&mut self.decompressor, DECOMPRESSED_BYTES_MAX) {
                records.extend(
                    iterator
                        .filter_map(Result::ok)
                        .filter(|record| record.offset >= from),
                );
            }
        }
        Ok(records)
    }

    /// How many bytes of memory the logs are charged with.
    pub fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    /// What stands of a transactional id.
    pub fn transaction(&self, id: &str) -> Option<TransactionState> {
        let transaction = self.transactions.find(id)?;
        Some(TransactionState {
            state: transaction.state.name(),
            producer_id: transaction.producer_id,
            producer_epoch: transaction.epoch,
        })
    }

    /// The broker that coordinates a transactional id or group; `None` if every broker is down.
    pub fn coordinator(&self, key: &str) -> Option<i32> {
        self.coordinator_of(key)
    }

    /// The offset that a group has committed for a partition.
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let group = self.groups.find(group)?;
        let key = (std::sync::Arc::from(topic), partition);
        group.offsets.find(&key).map(|committed| committed.offset)
    }

    fn known_partition(&self, topic: &str, partition: i32) -> Result<&Partition, Unknown> {
        let found = self
            .topics
            .key_of(topic)
            .and_then(|key| self.topics.partition(key, partition));
        found.ok_or_else(|| Unknown::partition(topic, partition))
    }
}
