//! The same requests go to the core and to a real Kafka, and everything that is told has to be the same.
//!
//! The requests come from a seed. The real Kafka is the one that `OTTLA_KAFKA_BOOTSTRAP` names.

use crate::batch::{Batch, TIMESTAMP, changed, damaged};
use crate::link::{Core, Link, Socket};
use crate::session::{Session, Target};
use bytes::Bytes;
use fastrand::Rng;
use ottla_broker::ClusterConfig;
use ottla_protocol::ErrorCode;
use ottla_protocol::compression::Compression;
use ottla_protocol::wire::Uuid;
use std::sync::{Mutex, PoisonError};

/// One script at a time: Kafka asks the coordinator about the batches of several connections in one request, and then
/// answers all of them in the words that one of them understands.
static REAL: Mutex<()> = Mutex::new(());

/// Runs a script against both, and compares what they wrote down.
pub(crate) fn compare(script: impl Script) {
    let Some(bootstrap) = bootstrap() else {
        return;
    };
    let _alone = REAL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut real = Session::new(Socket::new(&bootstrap));
    script.run(&mut real);
    let mut core = Session::new(Core::new(ClusterConfig::default()));
    script.run(&mut core);
    for (index, (real_line, core_line)) in real.lines.iter().zip(&core.lines).enumerate() {
        if real_line != core_line {
            let before = real.lines[index.saturating_sub(40)..index].join("\n");
            panic!("{before}\nKafka: {real_line}\nours:  {core_line}");
        }
    }
    assert_eq!(real.lines.len(), core.lines.len());
}

fn bootstrap() -> Option<String> {
    let Ok(servers) = std::env::var("OTTLA_KAFKA_BOOTSTRAP") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and OTTLA_KAFKA_BOOTSTRAP is not"
        );
        println!("SKIPPED: OTTLA_KAFKA_BOOTSTRAP does not name a Kafka");
        return None;
    };
    servers.split(',').next().map(str::to_owned)
}

/// A sequence of requests that is the same for every broker.
pub(crate) trait Script {
    fn run<L: Link>(&self, session: &mut Session<L>);
}

/// The seeds that are tried: a few, or those up to what `OTTLA_BROKER_SEEDS` says.
fn seeds() -> std::ops::Range<u64> {
    let count =
        std::env::var("OTTLA_BROKER_SEEDS").map_or(4, |count| count.parse().expect("a number of seeds"));
    0..count
}

/// Topics and transactional ids of one test: a name that nobody else uses.
pub(crate) fn unique(name: &str, seed: u64) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the real Kafka remembers the names of earlier runs"
    )]
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    format!("broker-{name}-{seed}-{}-{nanos}", std::process::id())
}

const PARTITIONS: i32 = 2;
/// Every version that 4.3 takes.
const PRODUCE_VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;

/// An idempotent producer, as the script knows it.
#[derive(Clone, Debug)]
struct Producer {
    identity: (i64, i16),
    next: [i32; PARTITIONS as usize],
    sent: Vec<(i32, Batch)>,
}

/// Batches of idempotent producers, good ones and such that are wrong in each way.
struct Idempotent {
    seed: u64,
    topic: String,
}

impl Script for Idempotent {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let mut random = Rng::with_seed(self.seed);
        let id = session.create_topic(&self.topic, PARTITIONS, &[("max.message.bytes", "20000")]);
        let mut producers = Vec::new();
        for _ in 0..2 {
            let version = random.i16(0..=5);
            let identity = session
                .init(version, None, i32::MAX, (-1, -1))
                .expect("an identity");
            producers.push(Producer {
                identity,
                next: [0; 2],
                sent: Vec::new(),
            });
        }
        for _ in 0..150 {
            let mut producer = producers.swap_remove(random.usize(..producers.len()));
            self.step(session, &mut random, id, &mut producer);
            producers.push(producer);
        }
        for partition in 0..PARTITIONS {
            session.read(&self.topic, partition, 0, false);
        }
    }
}

impl Idempotent {
    fn step<L: Link>(&self, session: &mut Session<L>, random: &mut Rng, id: Uuid, producer: &mut Producer) {
        let partition = random.i32(0..PARTITIONS);
        let next = producer.next[partition as usize];
        let (producer_id, epoch) = producer.identity;
        let records = random.i32(1..5);
        let good = Batch::idempotent(producer.identity, next, records);
        let codecs = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ];
        let target = Target {
            version: random.i16(PRODUCE_VERSIONS),
            acks: if random.bool() { -1 } else { 1 },
            transactional_id: None,
            topic: &self.topic,
            topic_id: id,
            partition,
        };
        let (what, batch, records) = match random.u8(0..16) {
            0..=4 => {
                let compression = codecs[random.usize(..codecs.len())];
                (
                    "next",
                    Batch {
                        compression,
                        ..good.clone()
                    },
                    None,
                )
            }
            5..=7 => match producer
                .sent
                .iter()
                .rev()
                .filter(|(sent, _)| *sent == partition)
                .nth(random.usize(0..7))
            {
                Some((_, sent)) => ("again", sent.clone(), None),
                None => return,
            },
            8 => (
                "gap",
                Batch {
                    sequence: next.wrapping_add(1) & i32::MAX,
                    ..good.clone()
                },
                None,
            ),
            9 => (
                "old epoch",
                Batch {
                    producer: Some((producer_id, epoch - 1)),
                    ..good.clone()
                },
                None,
            ),
            10 => (
                "new epoch in the middle",
                Batch {
                    producer: Some((producer_id, epoch + 1)),
                    ..good.clone()
                },
                None,
            ),
            11 => {
                let bumped = (producer_id, epoch + 1);
                ("new epoch", Batch::idempotent(bumped, 0, records), None)
            }
            12 => (
                "negative sequence",
                Batch {
                    sequence: -1,
                    ..good.clone()
                },
                None,
            ),
            13 => ("no producer", Batch::plain(records), None),
            _ => {
                let (what, bytes) = spoil(random, &good.build());
                (what, good.clone(), Some(bytes))
            }
        };
        let name = session.name_of(batch.producer.map_or(-1, |(id, _)| id));
        let (epoch, sequence) = (batch.producer.map_or(-1, |(_, epoch)| epoch), batch.sequence);
        let line = format!("{what} {name}/{epoch} {sequence}x{}", batch.records);
        let bytes = records.unwrap_or_else(|| batch.build());
        let error = session.produce(&line, target, Some(bytes));
        if error == Some(ErrorCode::NONE)
            && what != "again"
            && let Some(identity) = batch.producer
        {
            if identity != producer.identity {
                *producer = Producer {
                    identity,
                    next: [0; 2],
                    sent: Vec::new(),
                };
            }
            producer.next[partition as usize] = batch.sequence + batch.records;
            producer.sent.push((partition, batch));
        }
    }
}

/// A batch that is wrong in one way.
fn spoil(random: &mut Rng, good: &Bytes) -> (&'static str, Bytes) {
    match random.u8(0..15) {
        0 => ("crc", damaged(good, |bytes| bytes[70] ^= 1)),
        1 => ("base offset", changed(good, |bytes| bytes[7] = 1)),
        2 => ("magic 1", damaged(good, |bytes| bytes[16] = 1)),
        3 => ("magic 9", damaged(good, |bytes| bytes[16] = 9)),
        4 => ("cut", good.slice(..good.len() - 3)),
        5 => ("twice", Bytes::from([&good[..], &good[..]].concat())),
        6 => ("empty", Bytes::new()),
        7 => ("count", changed(good, |bytes| bytes[60] += 1)),
        8 => ("last offset delta", changed(good, |bytes| bytes[26] += 1)),
        9 => (
            "no records",
            changed(good, |bytes| {
                bytes.truncate(61);
                bytes[8..12].copy_from_slice(&49_i32.to_be_bytes());
                bytes[57..61].fill(0);
            }),
        ),
        10 => ("control", changed(good, |bytes| bytes[22] |= 0x20)),
        11 => ("codec 5", changed(good, |bytes| bytes[22] |= 5)),
        12 => ("not gzip", changed(good, |bytes| bytes[22] |= 1)),
        13 => ("record length", changed(good, |bytes| bytes[61] ^= 4)),
        _ => (
            "too large",
            Batch {
                value_bytes: 30_000,
                ..Batch::plain(1)
            }
            .build(),
        ),
    }
}

#[test]
fn idempotent_producers() {
    for seed in seeds() {
        compare(Idempotent {
            seed,
            topic: unique("idempotent", seed),
        });
    }
}

/// One case of each way in which a batch can be wrong, at every version.
struct EachWay {
    topic: String,
}

impl Script for EachWay {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let id = session.create_topic(&self.topic, 1, &[("max.message.bytes", "20000")]);
        let identity = session.init(4, None, i32::MAX, (-1, -1)).expect("an identity");
        for version in PRODUCE_VERSIONS {
            let target = Target {
                version,
                acks: -1,
                transactional_id: None,
                topic: &self.topic,
                topic_id: id,
                partition: 0,
            };
            let good = Batch::idempotent(identity, i32::from(version), 1).build();
            let mut random = Rng::with_seed(0);
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..400 {
                let (what, bytes) = spoil(&mut random, &good);
                if seen.insert(what) {
                    session.produce(what, target, Some(bytes));
                }
            }
            session.produce(
                "partition 9",
                Target {
                    partition: 9,
                    ..target
                },
                Some(good.clone()),
            );
            session.produce(
                "partition -1",
                Target {
                    partition: -1,
                    ..target
                },
                Some(good.clone()),
            );
            let unknown = Target {
                topic: "no-such-topic",
                topic_id: Uuid::from_halves(7, 7),
                ..target
            };
            session.produce("unknown topic", unknown, Some(good.clone()));
            session.produce("acks 2", Target { acks: 2, ..target }, Some(good.clone()));
            let transactional = Batch {
                transactional: true,
                ..Batch::idempotent(identity, 0, 1)
            }
            .build();
            session.produce("transactional without id", target, Some(transactional));
            let zstd = Batch {
                compression: Compression::Zstd,
                ..Batch::plain(3)
            }
            .build();
            session.produce("zstd", target, Some(zstd));
            session.produce("good", target, Some(Batch::plain(2).build()));
        }
        session.read(&self.topic, 0, 0, false);
    }
}

#[test]
fn each_way_to_be_wrong() {
    compare(EachWay {
        topic: unique("each", 0),
    });
}

/// What the configuration of topics decides.
struct Configured {
    topic: String,
}

impl Script for Configured {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let cases: [(&str, &[(&str, &str)]); 4] = [
            ("plain", &[]),
            ("append-time", &[("message.timestamp.type", "LogAppendTime")]),
            ("compact", &[("cleanup.policy", "compact")]),
            ("recent", &[("message.timestamp.before.max.ms", "1000")]),
        ];
        for (name, configs) in cases {
            session.note(name);
            let topic = format!("{}-{name}", self.topic);
            let id = session.create_topic(&topic, 1, configs);
            let identity = session.init(5, None, i32::MAX, (-1, -1)).expect("an identity");
            let target = Target {
                version: 13,
                acks: -1,
                transactional_id: None,
                topic: &topic,
                topic_id: id,
                partition: 0,
            };
            for (sequence, version) in [(0, 8), (3, 13)] {
                let target = Target { version, ..target };
                let batch = Batch::idempotent(identity, sequence, 3);
                session.produce("keyed", target, Some(batch.build()));
                session.produce("keyed again", target, Some(batch.build()));
                session.produce(
                    "without key",
                    target,
                    Some(
                        Batch {
                            keyed: false,
                            ..Batch::plain(3)
                        }
                        .build(),
                    ),
                );
                let far = Batch {
                    timestamp: TIMESTAMP * 3,
                    ..Batch::plain(2)
                };
                session.produce("future", target, Some(far.build()));
                let none = Batch {
                    timestamp: -1,
                    ..Batch::plain(1)
                };
                session.produce("no timestamp", target, Some(none.build()));
            }
            if name == "plain" {
                for version in 1..=11 {
                    for timestamp in [
                        -1,
                        -2,
                        -3,
                        -4,
                        -5,
                        -6,
                        -7,
                        0,
                        TIMESTAMP,
                        TIMESTAMP + 1,
                        TIMESTAMP + 2,
                        TIMESTAMP * 2,
                    ] {
                        session.list_offset(version, &topic, 0, timestamp, false);
                    }
                }
                for offset in [2, 3, 1, 100, -2] {
                    session.delete_records(&topic, 0, offset);
                    session.list_offset(9, &topic, 0, -2, false);
                    session.produce("after", target, Some(Batch::plain(1).build()));
                }
                session.read(&topic, 0, 0, false);
                session.read(&topic, 0, 100, false);
                session.delete_records(&topic, 0, -1);
            }
            session.read(&topic, 0, 0, false);
        }
    }
}

#[test]
fn configured_topics() {
    compare(Configured {
        topic: unique("configured", 0),
    });
}

/// Sequences at the end of their range.
struct Wrap {
    topic: String,
}

impl Script for Wrap {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let id = session.create_topic(&self.topic, 1, &[]);
        let identity = session.init(5, None, i32::MAX, (-1, -1)).expect("an identity");
        let target = Target {
            version: 13,
            acks: -1,
            transactional_id: None,
            topic: &self.topic,
            topic_id: id,
            partition: 0,
        };
        for (sequence, records) in [
            (i32::MAX - 4, 2),
            (i32::MAX - 2, 5),
            (i32::MAX - 2, 5),
            (2, 1),
            (3, 1),
            (0, 1),
            (i32::MAX, 1),
            (i32::MAX - 4, 2),
        ] {
            let what = format!("{sequence} x {records}");
            session.produce(
                &what,
                target,
                Some(Batch::idempotent(identity, sequence, records).build()),
            );
        }
        session.read(&self.topic, 0, 0, false);
    }
}

#[test]
fn sequences_wrap() {
    compare(Wrap {
        topic: unique("wrap", 0),
    });
}

/// A transactional producer, as the script knows it.
#[derive(Clone, Copy, Debug)]
struct Transactional {
    identity: (i64, i16),
    next: [i32; PARTITIONS as usize],
}

/// Transactions in every state, with every request.
struct Transactions {
    seed: u64,
    topic: String,
    /// Which protocol the client speaks; a mixture if none.
    protocol: Option<u8>,
}

impl Script for Transactions {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let mut random = Rng::with_seed(self.seed);
        let topic_id = session.create_topic(&self.topic, PARTITIONS, &[]);
        let ids: Vec<String> = (0..2).map(|index| format!("{}-{index}", self.topic)).collect();
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        session.find_coordinators(1, &names);
        session.find_coordinators(0, &[&self.topic]);
        let mut producers = Vec::new();
        for id in &ids {
            let identity = session.init(5, Some(id), 60_000, (-1, -1)).expect("an identity");
            producers.push(Transactional {
                identity,
                next: [0; 2],
            });
        }
        for _ in 0..120 {
            let index = random.usize(..ids.len());
            self.step(session, &mut random, topic_id, &ids[index], &mut producers[index]);
        }
        for (id, producer) in ids.iter().zip(&producers) {
            session.end(5, id, producer.identity, false);
            session.transaction_state(id);
        }
        for partition in 0..PARTITIONS {
            session.read(&self.topic, partition, 0, false);
            session.read(&self.topic, partition, 0, true);
        }
    }
}

impl Transactions {
    fn step<L: Link>(
        &self,
        session: &mut Session<L>,
        random: &mut Rng,
        topic_id: Uuid,
        id: &str,
        producer: &mut Transactional,
    ) {
        // Now and then somebody else: an old epoch, one that was never given, another producer id.
        let (producer_id, epoch) = producer.identity;
        let identity = match random.u8(0..20) {
            0 => (producer_id, epoch - 1),
            1 => (producer_id, epoch + 1),
            2 => (producer_id + 100_000, epoch),
            _ => producer.identity,
        };
        let is_self = identity == producer.identity;
        let v2 = self
            .protocol
            .map_or_else(|| random.bool(), |protocol| protocol == 2);
        let partition = random.i32(0..PARTITIONS);
        match random.u8(0..12) {
            0..=4 => {
                let next = producer.next[partition as usize];
                let sequence = if random.u8(0..10) == 0 { next + 1 } else { next };
                let records = random.i32(1..4);
                let target = Target {
                    version: if v2 {
                        random.i16(12..=13)
                    } else {
                        random.i16(3..=11)
                    },
                    acks: -1,
                    transactional_id: Some(id),
                    topic: &self.topic,
                    topic_id,
                    partition,
                };
                let batch = Batch::transactional(identity, sequence, records);
                let name = session.name_of(identity.0);
                let what = format!("{id} {name}/{} {sequence}x{records}", identity.1);
                let error = session.produce(&what, target, Some(batch.build()));
                if error == Some(ErrorCode::NONE) && is_self {
                    producer.next[partition as usize] = sequence + records;
                }
            }
            5 | 6 => {
                let partitions: &[i32] = match random.u8(0..6) {
                    0 => &[9],
                    1 => &[0, 1],
                    2 => &[0, 9],
                    _ => &[partition],
                };
                session.add_partitions(random.i16(0..=3), id, identity, &self.topic, partitions);
            }
            7 => session.add_offsets(random.i16(0..=4), id, identity, &self.topic),
            8 => {
                let version = if v2 { 5 } else { random.i16(0..=4) };
                session.commit_offset(
                    version,
                    id,
                    identity,
                    &self.topic,
                    (&self.topic, random.i64(0..9)),
                );
            }
            9 | 10 => {
                let version = if v2 { 5 } else { random.i16(0..=4) };
                let next = session.end(version, id, identity, random.bool());
                if let Some(identity) = next.filter(|identity| *identity != producer.identity) {
                    *producer = Transactional {
                        identity,
                        next: [0; 2],
                    };
                }
            }
            _ => {
                let known = if random.bool() { identity } else { (-1, -1) };
                let timeout_ms = if random.u8(0..10) == 0 { -1 } else { 60_000 };
                if let Some(identity) = session.init(random.i16(3..=5), Some(id), timeout_ms, known) {
                    *producer = Transactional {
                        identity,
                        next: [0; 2],
                    };
                }
                session.transaction_state(id);
            }
        }
    }
}

#[test]
fn transactions_of_protocol_1() {
    for seed in seeds() {
        compare(Transactions {
            seed,
            topic: unique("txn1", seed),
            protocol: Some(1),
        });
    }
}

#[test]
fn transactions_of_protocol_2() {
    for seed in seeds() {
        compare(Transactions {
            seed,
            topic: unique("txn2", seed),
            protocol: Some(2),
        });
    }
}

#[test]
fn transactions_of_both_protocols() {
    for seed in seeds() {
        compare(Transactions {
            seed,
            topic: unique("txn12", seed),
            protocol: None,
        });
    }
}
