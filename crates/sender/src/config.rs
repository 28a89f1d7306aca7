//! The settings of the sender.

use ottla_metrics::Metrics;
use ottla_protocol::compression::{Codec, Compression};
use ottla_transactions::TransactionConfig;
use std::sync::Arc;
use std::time::Duration;

impl SenderConfig {
    pub(crate) fn compresses(&self) -> bool {
        self.codec.compression() != Compression::None
    }
}

/// When a broker answers a Produce request: `acks`.
///
/// Exhaustive on purpose: Kafka has accepted these three since its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acks {
    /// Never. A delivery is "acknowledged" when its bytes are written; nothing is known of its fate.
    None,
    /// When the leader has appended it.
    Leader,
    /// When all replicas in sync have it.
    All,
}

impl Acks {
    /// The int16 of the Produce request.
    pub fn wire_value(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// The settings that the sender and its [`Handle`](crate::Handle) need. Names and defaults are Java's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SenderConfig {
    /// `bootstrap.servers`: where the cluster is looked for.
    pub bootstrap: Vec<Address>,
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`: whether batches carry a producer id and sequences, so that the broker appends each once and
    /// keeps their order although several are in flight. Needs [`Acks::All`].
    pub idempotent: bool,
    /// `linger.ms`: how long a batch that is not full waits for more records.
    pub linger: Duration,
    /// `retries`: how often a batch is sent again after a retriable error.
    pub retries: u32,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub retry_backoff: (Duration, Duration),
    /// `delivery.timeout.ms`: the deadline of every delivery, from the first record of its batch on.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `max.block.ms`: how long a send may wait for metadata and memory together.
    pub max_block: Duration,
    /// `max.request.size` in bytes, before compression for a single record, on the wire for a request.
    pub max_request_size: usize,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
    /// `metadata.max.age.ms`: how old metadata may become before it is fetched again.
    pub metadata_max_age: Duration,
    /// `metadata.max.idle.ms`: a topic that nothing was sent to for this long is no longer asked for.
    pub metadata_max_idle: Duration,
    /// `metadata.recovery.strategy` and `metadata.recovery.rebootstrap.trigger.ms`: whether the client begins again at the
    /// bootstrap servers when no node that it knows can be reached, or when nobody has given metadata for this long.
    /// `None`: never.
    pub rebootstrap_trigger: Option<Duration>,
    /// `partitioner.adaptive.partitioning.enable`: whether records without a key go less often to partitions whose queue
    /// is long (KIP-794).
    pub adaptive_partitioning: bool,
    /// `partitioner.availability.timeout.ms`: a partition whose broker could take nothing for longer than this gets no
    /// records without a key while others can; zero switches that off.
    pub availability_timeout: Duration,
    /// `transactional.id` and what goes with it: every record is sent in a transaction. Needs
    /// [`SenderConfig::idempotent`].
    pub transactions: Option<TransactionConfig>,
    /// `enable.metrics.push`: whether brokers are asked which metrics their operators want, and told them (KIP-714).
    pub telemetry: bool,
    /// What counts what the sender does.
    pub metrics: Arc<Metrics>,
    /// `compression.type` and the codec's level. With one, batches go through [`Action::Seal`](crate::Action::Seal).
    pub codec: Codec,
    /// The sequence of a producer's first record in a partition. A broker that does not know the producer takes any; what
    /// begins near 2^31 - 1 shows whether the numbering goes on at 0 after it. Not for transactions.
    #[doc(hidden)]
    pub first_sequence: i32,
}

impl Default for SenderConfig {
    fn default() -> SenderConfig {
        SenderConfig {
            bootstrap: Vec::new(),
            acks: Acks::All,
            idempotent: true,
            linger: Duration::from_millis(5),
            retries: i32::MAX as u32,
            retry_backoff: (Duration::from_millis(100), Duration::from_millis(1_000)),
            delivery_timeout: Duration::from_millis(120_000),
            request_timeout: Duration::from_millis(30_000),
            max_block: Duration::from_millis(60_000),
            max_request_size: 1_048_576,
            max_in_flight: 5,
            metadata_max_age: Duration::from_millis(300_000),
            metadata_max_idle: Duration::from_millis(300_000),
            rebootstrap_trigger: Some(Duration::from_millis(300_000)),
            adaptive_partitioning: true,
            availability_timeout: Duration::ZERO,
            transactions: None,
            telemetry: false,
            metrics: Arc::default(),
            codec: Codec::new(Compression::None),
            first_sequence: 0,
        }
    }
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}
