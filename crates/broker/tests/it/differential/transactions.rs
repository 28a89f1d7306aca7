//! Transactions in every state, with every request, under both protocols.

use super::{Script, compare, seeds, unique};
use crate::batch::Batch;
use crate::link::Link;
use crate::session::{Session, Target};
use fastrand::Rng;
use ottla_protocol::ErrorCode;
use ottla_protocol::wire::Uuid;

const PARTITIONS: i32 = 2;

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
