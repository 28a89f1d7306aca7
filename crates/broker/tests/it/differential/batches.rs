//! One case of each way in which a batch can be wrong.

use super::{PRODUCE_VERSIONS, Script, compare, unique};
use crate::batch::{Batch, changed, damaged};
use crate::link::Link;
use crate::session::{Session, Target};
use bytes::Bytes;
use fastrand::Rng;
use ottla_protocol::compression::Compression;
use ottla_protocol::wire::Uuid;

/// A batch that is wrong in one way.
pub(super) fn spoil(random: &mut Rng, good: &Bytes) -> (&'static str, Bytes) {
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
