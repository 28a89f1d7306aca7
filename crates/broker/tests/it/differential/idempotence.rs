//! Producers with sequences: good batches, and such that are wrong in each way.

use super::batches::spoil;
use super::{PRODUCE_VERSIONS, Script, compare, seeds, unique};
use crate::batch::Batch;
use crate::link::Link;
use crate::session::{Session, Target};
use fastrand::Rng;
use ottla_protocol::ErrorCode;
use ottla_protocol::compression::Compression;
use ottla_protocol::wire::Uuid;

const PARTITIONS: i32 = 2;

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

#[test]
fn idempotent_producers() {
    for seed in seeds() {
        compare(Idempotent {
            seed,
            topic: unique("idempotent", seed),
        });
    }
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
