//! What a seed decides before anything happens: the settings of producer, brokers and network.

#![allow(
    clippy::needless_update,
    reason = "a setting that is added keeps its default here until somebody varies it"
)]

use fastrand::Rng;
use ottla_accumulator::AccumulatorConfig;
use ottla_broker::{ClusterConfig, Pose, TopicSpec};
use ottla_network::NetworkConfig;
use ottla_protocol::compression::{Codec, Compression};
use ottla_sender::{Acks, Address, SenderConfig, TransactionConfig};
use std::time::Duration;

/// A seed has at least so many records.
pub(crate) const RECORDS_MIN: u64 = 2_000;
/// And so many faults.
pub(crate) const FAULTS_MIN: usize = 5;
/// How many brokers there are, with the ids 1 to 3.
pub(crate) const BROKERS: i32 = 3;

/// What the settings promise, and so what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Idempotent: acked is once, at its offset, in order.
    ExactlyOnce,
    /// acks=all without idempotence: acked is there, in order; it may be there twice.
    AtLeastOnce,
    /// acks=1: acked may be lost with its leader.
    LeaderOnly,
    /// acks=0: nothing is known.
    Nothing,
}

/// One seed's world, as it begins.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) promise: Promise,
    /// Whether everything is sent in transactions.
    pub(crate) transactional: bool,
    pub(crate) sender: SenderConfig,
    pub(crate) accumulator: AccumulatorConfig,
    pub(crate) network: NetworkConfig,
    pub(crate) cluster: ClusterConfig,
    /// Names and numbers of partitions.
    pub(crate) topics: Vec<(String, i32)>,
    /// How long a byte is under way to each broker, one way.
    pub(crate) latency: Vec<Duration>,
    /// What a byte's way may take longer, at random.
    pub(crate) jitter: Duration,
    /// The driver takes its turn so much after it was woken, at most.
    pub(crate) driver_delay_max: Duration,
    /// A codec takes so long, at most.
    pub(crate) seal_delay_max: Duration,
    /// How many records are sent.
    pub(crate) records: u32,
    /// The largest value that users send, in bytes.
    pub(crate) value_len_max: usize,
    /// How long there is trouble.
    pub(crate) trouble: Duration,
    /// How many faults there are, at least.
    pub(crate) faults: usize,
    /// Each host has a first address where nobody listens.
    pub(crate) dead_addresses: bool,
    /// What a connection takes at a time while there is trouble, in bytes: with a small one requests stand in line for long.
    pub(crate) window: usize,
    /// How often a topic gets another partition.
    pub(crate) growths: u32,
    /// How often a topic is deleted and created anew.
    pub(crate) recreations: u32,
    /// How often users act in the middle of the sender's work.
    pub(crate) interruptions: Interruptions,
    /// Close in the middle of trouble, in place of after it.
    pub(crate) closes_early: bool,
}

/// How often users act in the middle of the sender's work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interruptions {
    /// Of a hundred users who are woken so many wait for a turn of the sender.
    pub(crate) waits: u32,
    /// Of a hundred points in its work they act at so many.
    pub(crate) acts: u32,
}

impl Interruptions {
    /// In some seeds nobody does.
    fn draw(random: &mut Rng) -> Interruptions {
        let some = chance(random, 70);
        Interruptions {
            waits: if some { random.u32(10..=90) } else { 0 },
            acts: if some { random.u32(2..=30) } else { 0 },
        }
    }
}

fn millis(random: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.u64(from..=to))
}

/// True in `percent` of a hundred cases.
pub(crate) fn chance(random: &mut Rng, percent: u32) -> bool {
    random.u32(..100) < percent
}

impl Scenario {
    pub(crate) fn new(seed: u64, random: &mut Rng) -> Scenario {
        let promise = match random.u32(..100) {
            ..80 => Promise::ExactlyOnce,
            80..90 => Promise::AtLeastOnce,
            90..96 => Promise::LeaderOnly,
            _ => Promise::Nothing,
        };
        let compression = match random.u32(..100) {
            ..55 => Compression::None,
            55..75 => Compression::Lz4,
            75..90 => Compression::Snappy,
            90..95 => Compression::Gzip,
            _ => Compression::Zstd,
        };
        let batch_size = random
            .choice([100, 500, 1_000, 2_000, 4_000, 16_384])
            .unwrap_or(1_000);
        let buffer_memory = if chance(random, 45) {
            random.usize(48 << 10..160 << 10)
        } else {
            random.usize(256 << 10..4 << 20)
        };
        let value_len_max = (buffer_memory / 12).min(24 << 10);
        let topics: Vec<(String, i32)> = (0..random.i32(1..=3))
            .map(|index| (format!("topic-{index}"), random.i32(1..=4)))
            .collect();
        let far = Duration::from_micros(random.u64(50..=20_000));
        let latency = (0..BROKERS)
            .map(|_| Duration::from_micros(random.u64(50..=2_000)) + far)
            .collect();
        let transactional = promise == Promise::ExactlyOnce && chance(random, 20);
        let mut sender = sender(promise, compression, value_len_max, random);
        sender.transactions = transactional.then(|| {
            let mut transactions = TransactionConfig::new(crate::world::TRANSACTIONAL_ID);
            transactions.transaction_timeout = millis(random, 2_000, 30_000);
            transactions.retry_backoff = sender.retry_backoff;
            transactions
        });
        let mut accumulator = AccumulatorConfig::default();
        accumulator.batch_size = batch_size;
        accumulator.buffer_memory = buffer_memory;
        accumulator.compression = compression;
        let mut cluster = cluster(seed, &topics, random);
        if transactional && cluster.pose < Pose::V3_9 {
            // A batch that comes late under the id before hangs there for ever (KAFKA-14402), and hides what is behind it;
            // nothing that a producer does helps.
            cluster.first_producer_epoch = 0;
        }
        // Who names topics by their names alone cannot tell one from the next, and loses the order between them.
        let by_id = cluster.pose == Pose::V4_3 && !transactional;
        let kept = matches!(promise, Promise::ExactlyOnce | Promise::AtLeastOnce);
        let recreations = if by_id && kept && chance(random, 20) {
            random.u32(1..=3)
        } else {
            0
        };
        Scenario {
            promise,
            transactional,
            sender,
            accumulator,
            network: network(random),
            cluster,
            topics,
            latency,
            jitter: Duration::from_micros(random.u64(0..=3_000)),
            driver_delay_max: Duration::from_micros(if chance(random, 50) {
                0
            } else {
                random.u64(1..=800)
            }),
            seal_delay_max: Duration::from_micros(random.u64(1..=20_000)),
            records: RECORDS_MIN as u32 + random.u32(0..=800),
            value_len_max,
            trouble: millis(random, 46_000, 54_000),
            faults: random.usize(FAULTS_MIN..=16),
            dead_addresses: chance(random, 15),
            closes_early: chance(random, 6),
            window: if chance(random, 8) {
                random.usize(300..4_000)
            } else {
                usize::MAX
            },
            interruptions: Interruptions::draw(random),
            recreations,
            growths: if recreations == 0 && chance(random, 15) {
                random.u32(1..=2)
            } else {
                0
            },
        }
    }
}

fn sender(
    promise: Promise,
    compression: Compression,
    value_len_max: usize,
    random: &mut Rng,
) -> SenderConfig {
    let acks = match promise {
        Promise::ExactlyOnce | Promise::AtLeastOnce => Acks::All,
        Promise::LeaderOnly => Acks::Leader,
        Promise::Nothing => Acks::None,
    };
    let bootstrap = (1..=random.i32(1..=BROKERS)).map(|broker| Address {
        host: format!("broker-{broker}"),
        port: 9092,
    });
    let request_timeout = millis(random, 200, 3_000);
    let backoff = random.u64(10..=100);
    // The order is that of the seeds: whoever draws, draws here.
    let mut config = SenderConfig::default();
    config.bootstrap = bootstrap.collect();
    config.acks = acks;
    config.idempotent = promise == Promise::ExactlyOnce;
    config.linger = millis(random, 0, 60);
    config.retries = if chance(random, 12) {
        random.u32(0..=4)
    } else {
        i32::MAX as u32
    };
    config.retry_backoff = (Duration::from_millis(backoff), millis(random, backoff, 1_000));
    config.delivery_timeout = request_timeout + millis(random, 500, 8_000);
    config.request_timeout = request_timeout;
    config.max_block = millis(random, 200, 4_000);
    // A record's headers and key take up to a hundred bytes beside its value.
    config.max_request_size = random.usize(value_len_max + 256..=value_len_max + 200_000);
    config.max_in_flight = if chance(random, 60) {
        5
    } else {
        random.usize(1..=4)
    };
    config.metadata_max_age = millis(random, 1_000, 60_000);
    config.codec = Codec::new(compression);
    config.first_sequence = if chance(random, 15) {
        random.i32(i32::MAX - 150..=i32::MAX)
    } else {
        0
    };
    config
}

fn network(random: &mut Rng) -> NetworkConfig {
    let mut config = NetworkConfig::default();
    config.client_id = chance(random, 50).then(|| "simulated".to_owned());
    config.reconnect_backoff = millis(random, 5, 50);
    config.reconnect_backoff_max = millis(random, 50, 1_000);
    config.connection_setup_timeout = millis(random, 200, 1_000);
    config.connection_setup_timeout_max = millis(random, 1_000, 2_000);
    config.connection_idle_max = Some(millis(random, 3_000, 60_000));
    config.request_timeout = millis(random, 300, 2_000);
    config
}

fn cluster(seed: u64, topics: &[(String, i32)], random: &mut Rng) -> ClusterConfig {
    let mut config = ClusterConfig::default();
    config.brokers = BROKERS;
    config.pose = random
        .choice([
            Pose::V2_1,
            Pose::V2_8,
            Pose::V3_9,
            Pose::V4_0,
            Pose::V4_3,
            Pose::V4_3,
        ])
        .unwrap_or_default();
    config.auto_create_topics = false;
    config.replication_delay = Duration::from_micros(random.u64(0..=15_000));
    config.session_timeout = millis(random, 800, 4_000);
    config.election_delay = millis(random, 0, 1_500);
    config.limits.events_max = 1_000;
    config.seed = seed;
    if chance(random, 15) {
        config.first_producer_epoch = random.i16(i16::MAX - 4..=i16::MAX - 2);
    }
    let min_insync_replicas = random.i32(1..=2);
    config.topics = topics
        .iter()
        .map(|(name, partitions)| {
            let mut spec = TopicSpec::new(name, *partitions);
            spec.config.min_insync_replicas = min_insync_replicas;
            // The brokers' clock jumps; what a topic thinks of timestamps is not what is simulated.
            spec.config.timestamp_after_max_ms = i64::MAX;
            spec
        })
        .collect();
    config
}
