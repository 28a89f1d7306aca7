//! What a cluster is made of: brokers, topics, limits and the defaults that a real broker has.

use crate::sasl::SaslOptions;
use crate::telemetry::TelemetryOptions;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which release of Apache Kafka the cluster poses as.
///
/// A pose decides the versions that ApiVersions advertises, the finalised features (and so the transaction protocol),
/// and the few behaviours that changed between releases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pose {
    /// Kafka 2.1: no flexible versions, no features, the oldest broker that 4.x clients support (KIP-896).
    V2_1,
    /// Kafka 2.8: flexible versions, no topic ids in Produce and no leader hints.
    V2_8,
    /// Kafka 3.9: transaction protocol 1, leader hints (KIP-951).
    V3_9,
    /// Kafka 4.0: transaction protocol 2 (KIP-890), Produce up to 12.
    V4_0,
    /// Kafka 4.3: topic ids in Produce (v13).
    #[default]
    V4_3,
}

/// Which transaction protocol (KIP-890) the finalised feature `transaction.version` announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TransactionVersion {
    /// No feature is announced at all, or level 0: transactions as before KIP-890.
    V0,
    /// Level 1: the coordinator's own records are flexible; nothing changes for clients.
    V1,
    /// Level 2: implicit partition registration and an epoch bump with every transaction.
    V2,
}

impl TransactionVersion {
    /// The level as ApiVersions reports it.
    pub const fn level(self) -> i16 {
        match self {
            TransactionVersion::V0 => 0,
            TransactionVersion::V1 => 1,
            TransactionVersion::V2 => 2,
        }
    }
}

/// What becomes of a batch once it has been accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// Batches are kept (within the memory limit) and can be fetched.
    #[default]
    Keep,
    /// Batches are checked as `check` says, given offsets, and dropped: a sink for benchmarks.
    Discard {
        /// How much of a batch is looked at before it is acknowledged.
        check: SinkCheck,
    },
}

/// How much a discarding cluster looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkCheck {
    /// The 61 bytes of the batch header: sizes, counts, producer id, epoch and sequence.
    #[default]
    Header,
    /// The header, and the checksum over the whole batch.
    HeaderAndCrc,
}

/// The configuration of one topic; the names are those of Kafka's topic configuration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// `max.message.bytes`: the largest batch, in bytes.
    pub max_message_bytes: i32,
    /// `min.insync.replicas`: fewer replicas in sync refuse acks=all.
    pub min_insync_replicas: i32,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`: how much older than the broker's clock a record may be.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far in the future a record may be.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` is `compact`: records need a key. Nothing is ever compacted.
    pub compact: bool,
    /// `retention.bytes` of each partition; -1 is without limit (the memory limits hold all the same).
    pub retention_bytes: i64,
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        TopicConfig {
            // Kafka's defaults: message.max.bytes is 1 MiB and the twelve bytes of offset and length.
            max_message_bytes: 1_048_588,
            min_insync_replicas: 1,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compact: false,
            retention_bytes: -1,
        }
    }
}

/// A topic that exists when the cluster starts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopicSpec {
    /// The topic's name.
    pub name: String,
    /// How many partitions it has, at least 1.
    pub partitions: i32,
    /// How many brokers hold each partition; `None` takes the cluster's default.
    pub replication_factor: Option<i16>,
    /// Its configuration.
    pub config: TopicConfig,
}

impl TopicSpec {
    /// A topic with the default configuration.
    pub fn new(name: impl Into<String>, partitions: i32) -> TopicSpec {
        TopicSpec {
            name: name.into(),
            partitions,
            replication_factor: None,
            config: TopicConfig::default(),
        }
    }

    /// The same topic with another configuration.
    pub fn config(mut self, config: TopicConfig) -> TopicSpec {
        self.config = config;
        self
    }

    /// The same topic on `factor` brokers.
    pub fn replication_factor(mut self, factor: i16) -> TopicSpec {
        self.replication_factor = Some(factor);
        self
    }
}

/// Bounds that hold whatever clients send.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest request frame, in bytes (`socket.request.max.bytes`).
    pub frame_bytes_max: usize,
    /// How many connections may be open at once, over all brokers.
    pub connections_max: usize,
    /// How many requests one connection may have waiting behind the one that is being handled.
    pub queued_requests_max: usize,
    /// How many bytes of responses may wait for the reader of one connection before it is closed.
    pub unsent_bytes_max: usize,
    /// How many topics there may be.
    pub topics_max: usize,
    /// How many partitions there may be over all topics.
    pub partitions_max: usize,
    /// How many bytes of batches a topic keeps; the oldest go first.
    pub topic_bytes_max: usize,
    /// How many bytes of batches the cluster keeps; the oldest of the topic that grows go first.
    pub log_bytes_max: usize,
    /// How many producer ids a partition remembers; the one longest unused goes first.
    pub producers_per_partition_max: usize,
    /// How many transactional ids there may be.
    pub transactional_ids_max: usize,
    /// How many consumer groups there may be.
    pub groups_max: usize,
    /// How many members a group may have.
    pub group_members_max: usize,
    /// How many bytes of metadata a member or a committed offset may bring.
    pub group_metadata_bytes_max: usize,
    /// How many events are remembered; the oldest go first. 0 records none.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame_bytes_max: 100 * 1024 * 1024,
            connections_max: 10_000,
            queued_requests_max: 1_000,
            unsent_bytes_max: 256 * 1024 * 1024,
            topics_max: 10_000,
            partitions_max: 200_000,
            topic_bytes_max: 256 * 1024 * 1024,
            log_bytes_max: 1024 * 1024 * 1024,
            producers_per_partition_max: 10_000,
            transactional_ids_max: 10_000,
            groups_max: 1_000,
            group_members_max: 250,
            group_metadata_bytes_max: 64 * 1024,
            events_max: 65_536,
        }
    }
}

/// Everything that decides how a cluster behaves. The defaults are those of a 4.3 broker.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// How many brokers there are, with the ids 1 to `brokers`.
    pub brokers: i32,
    /// The release that the cluster poses as.
    pub pose: Pose,
    /// Overrides the transaction protocol that the pose brings.
    pub transaction_version: Option<TransactionVersion>,
    /// The topics that exist from the start.
    pub topics: Vec<TopicSpec>,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `num.partitions`: what a topic gets when nobody says how many.
    pub default_partitions: i32,
    /// `default.replication.factor`; `None` is three, or the number of brokers when there are fewer. (Kafka's is one;
    /// a leader that dies would take its partitions away.)
    pub default_replication_factor: Option<i16>,
    /// What topics get that are created without a configuration of their own.
    pub default_topic_config: TopicConfig,
    /// What becomes of accepted batches.
    pub storage: Storage,
    /// How long after an append the followers have it: acks=all waits for that, and what a follower has not got is lost
    /// when the leader dies. Partitions with one replica do not wait.
    pub replication_delay: Duration,
    /// How long a broker that does not answer stays a leader and in sync (`broker.session.timeout.ms`).
    pub session_timeout: Duration,
    /// How long a partition has no leader after its leader died.
    pub election_delay: Duration,
    /// How long after the decision the markers of a transaction are written; until then the transaction is
    /// "concurrent".
    pub marker_delay: Duration,
    /// `transaction.max.timeout.ms`.
    pub transaction_max_timeout_ms: i32,
    /// `transactional.id.expiration.ms` and `producer.id.expiration.ms` are not modelled: ids live as long as the
    /// cluster, within the limits. This is the first producer id that is handed out.
    pub first_producer_id: i64,
    /// The epoch with which producers begin: a test that wants to see epochs used up has not got the time for 32,767.
    pub first_producer_epoch: i16,
    /// `group.initial.rebalance.delay.ms`; Kafka's default is 3 s, a test wants none.
    pub group_initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout_ms: i32,
    /// `connections.max.idle.ms`; `None` keeps idle connections.
    pub connections_max_idle: Option<Duration>,
    /// Who may connect; `None` lets everybody in, as a listener without SASL does.
    pub sasl: Option<SaslOptions>,
    /// What clients are asked to tell of themselves; `None` does not even offer it, as a broker without a reporter.
    pub telemetry: Option<TelemetryOptions>,
    /// Bounds that hold whatever clients send.
    pub limits: Limits,
    /// Decides ids that a real cluster draws at random: cluster, topics and members. The same seed and the same inputs
    /// give the same outputs.
    pub seed: u64,
}

impl Default for ClusterConfig {
    fn default() -> ClusterConfig {
        ClusterConfig {
            brokers: 1,
            pose: Pose::default(),
            transaction_version: None,
            topics: Vec::new(),
            auto_create_topics: true,
            default_partitions: 1,
            default_replication_factor: None,
            default_topic_config: TopicConfig::default(),
            storage: Storage::default(),
            replication_delay: Duration::ZERO,
            session_timeout: Duration::from_secs(9),
            election_delay: Duration::ZERO,
            marker_delay: Duration::ZERO,
            transaction_max_timeout_ms: 900_000,
            first_producer_id: 0,
            first_producer_epoch: 0,
            group_initial_rebalance_delay: Duration::ZERO,
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            connections_max_idle: None,
            limits: Limits::default(),
            sasl: None,
            telemetry: None,
            seed: 0,
        }
    }
}

impl ClusterConfig {
    /// The transaction protocol that is announced: the override, or what the pose brings.
    pub fn effective_transaction_version(&self) -> TransactionVersion {
        self.transaction_version.unwrap_or(match self.pose {
            Pose::V2_1 | Pose::V2_8 => TransactionVersion::V0,
            Pose::V3_9 => TransactionVersion::V1,
            Pose::V4_0 | Pose::V4_3 => TransactionVersion::V2,
        })
    }

    /// The replication factor of topics that do not ask for one.
    pub(crate) fn effective_replication_factor(&self) -> i16 {
        let brokers = i16::try_from(self.brokers).unwrap_or(i16::MAX);
        self.default_replication_factor.unwrap_or(3).clamp(1, brokers)
    }

    /// What is wrong with this configuration, if anything.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let fail = |what: String| Err(ConfigError { what: what.into() });
        if !(1..=BROKERS_MAX).contains(&self.brokers) {
            return fail(format!(
                "brokers is {}, it must be 1 to {BROKERS_MAX}",
                self.brokers
            ));
        }
        if self.default_partitions < 1 {
            return fail(format!(
                "default_partitions is {}, it must be at least 1",
                self.default_partitions
            ));
        }
        if self.first_producer_id < 0 {
            return fail(format!(
                "first_producer_id is {}, it must not be negative",
                self.first_producer_id
            ));
        }
        if self.first_producer_epoch < 0 {
            return fail(format!(
                "first_producer_epoch is {}, it must not be negative",
                self.first_producer_epoch
            ));
        }
        if self.transaction_version == Some(TransactionVersion::V2) && self.pose < Pose::V4_0 {
            return fail(format!(
                "transaction version 2 needs the pose of 4.0 or later, not {:?}",
                self.pose
            ));
        }
        Ok(())
    }
}

/// More brokers than this have no use in one process; broker ids and replica lists stay small.
pub(crate) const BROKERS_MAX: i32 = 1_000;

/// A cluster that cannot be built as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    what: Arc<str>,
}

impl ConfigError {
    pub(crate) fn new(what: impl Into<Arc<str>>) -> ConfigError {
        ConfigError { what: what.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster cannot be built: {}", self.what)
    }
}

impl std::error::Error for ConfigError {}
