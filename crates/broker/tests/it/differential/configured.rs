//! What the configuration of topics decides.

use super::{Script, compare, unique};
use crate::batch::{Batch, TIMESTAMP};
use crate::link::Link;
use crate::session::{Session, Target};

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
