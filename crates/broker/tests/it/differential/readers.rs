//! Readers that ask for what is not there.

use super::{Script, compare, unique};
use crate::batch::{Batch, TIMESTAMP};
use crate::link::Link;
use crate::session::{Session, Target};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch::{FetchPartition, FetchTopic};
use ottla_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use ottla_protocol::messages::{DescribeProducersRequest, FetchRequest, OffsetForLeaderEpochRequest};
use ottla_protocol::wire::Uuid;

/// Readers that ask for what is not there.
struct Readers {
    topic: String,
}

impl Script for Readers {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let name = self.topic.as_str();
        let id = session.create_topic(name, 1, &[]);
        let target = Target {
            version: 13,
            acks: -1,
            transactional_id: None,
            topic: name,
            topic_id: id,
            partition: 0,
        };
        for count in [1, 3, 2] {
            session.produce("records", target, Some(Batch::plain(count).build()));
        }
        for version in 4..=18 {
            for (what, partition, offset, epoch) in [
                ("first", 0, 0, -1),
                ("middle", 0, 2, -1),
                ("end", 0, 6, -1),
                ("beyond", 0, 7, -1),
                ("negative", 0, -1, -1),
                ("known epoch", 0, 0, 0),
                ("future epoch", 0, 0, 9),
                ("unknown partition", 5, 0, -1),
            ] {
                self.fetch(session, version, what, (name, id), partition, offset, epoch);
            }
            self.fetch(
                session,
                version,
                "unknown topic",
                ("no-such-topic", Uuid::from_halves(3, 3)),
                0,
                0,
                -1,
            );
        }
        for (partition, current, wanted) in [
            (0, -1, 0),
            (0, 0, 0),
            (0, 9, 0),
            (0, -1, 7),
            (0, -1, -1),
            (3, -1, 0),
        ] {
            let request = OffsetForLeaderEpochRequest {
                replica_id: -1,
                topics: vec![OffsetForLeaderTopic {
                    topic: name.to_owned(),
                    partitions: vec![OffsetForLeaderPartition {
                        partition,
                        current_leader_epoch: current,
                        leader_epoch: wanted,
                        ..OffsetForLeaderPartition::default()
                    }],
                    ..OffsetForLeaderTopic::default()
                }],
                ..OffsetForLeaderEpochRequest::default()
            };
            let answer = session
                .call(&request, 4)
                .expect("an answer")
                .topics
                .remove(0)
                .partitions
                .remove(0);
            session.note(format!(
                "epoch {wanted} known {current} of {partition} -> {} {} {}",
                ErrorCode(answer.error_code),
                answer.leader_epoch,
                answer.end_offset
            ));
        }
        for (partition, timestamp) in [(0, -1), (3, -1), (0, TIMESTAMP + 1), (0, -9)] {
            session.list_offset(10, name, partition, timestamp, false);
        }
        session.list_offset(10, "no-such-topic", 0, -1, false);
        for (name, partition) in [(name, 0), (name, 7), ("no-such-topic", 0)] {
            let request = DescribeProducersRequest {
                topics: vec![ottla_protocol::messages::describe_producers::TopicRequest {
                    name: name.to_owned(),
                    partition_indexes: vec![partition],
                    ..ottla_protocol::messages::describe_producers::TopicRequest::default()
                }],
                ..DescribeProducersRequest::default()
            };
            let answer = session
                .call(&request, 0)
                .expect("an answer")
                .topics
                .remove(0)
                .partitions
                .remove(0);
            session.note(format!(
                "producers {partition} -> {} {}",
                ErrorCode(answer.error_code),
                answer.active_producers.len()
            ));
        }
    }
}

impl Readers {
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    fn fetch<L: Link>(
        &self,
        session: &mut Session<L>,
        version: i16,
        what: &str,
        (name, id): (&str, Uuid),
        partition: i32,
        fetch_offset: i64,
        current_leader_epoch: i32,
    ) {
        let mut wanted = FetchTopic {
            partitions: vec![FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: 1_000_000,
                current_leader_epoch: if version >= 9 { current_leader_epoch } else { -1 },
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        };
        if version >= 13 {
            wanted.topic_id = id;
        } else {
            name.clone_into(&mut wanted.topic);
        }
        let request = FetchRequest {
            max_bytes: 1_000_000,
            min_bytes: 0,
            session_epoch: -1,
            topics: vec![wanted],
            ..FetchRequest::default()
        };
        let answer = session.call(&request, version).expect("an answer");
        let error = ErrorCode(answer.error_code);
        let data = &answer.responses[0].partitions[0];
        session.note(format!(
            "fetch v{version} {what} -> {error} {} high {} stable {} start {} bytes {:?} aborted {:?} leader {:?}",
            ErrorCode(data.error_code),
            data.high_watermark,
            data.last_stable_offset,
            data.log_start_offset,
            data.records.as_ref().map(Bytes::len),
            data.aborted_transactions.as_ref().map(Vec::len),
            (data.current_leader.leader_id, data.current_leader.leader_epoch),
        ));
    }
}

#[test]
fn readers() {
    compare(Readers {
        topic: unique("readers", 0),
    });
}
