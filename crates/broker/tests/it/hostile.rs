//! No bytes make the core panic, answer nonsense, or grow without bound.

use crate::batch::Batch;
use crate::link::Core;
use bytes::Bytes;
use fastrand::Rng;
use ottla_broker::{ClusterConfig, Fault, FaultAction, Output, TopicSpec};
use ottla_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};
use ottla_protocol::{ApiKey, Request, frame};
use std::time::Duration;

fn core() -> Core {
    let mut config = ClusterConfig::default();
    config.brokers = 3;
    config.topics = vec![TopicSpec::new("t", 2)];
    config.limits.topics_max = 50;
    config.limits.partitions_max = 200;
    config.limits.topic_bytes_max = 100_000;
    config.limits.log_bytes_max = 300_000;
    config.limits.groups_max = 20;
    config.limits.transactional_ids_max = 20;
    config.limits.producers_per_partition_max = 20;
    config.limits.events_max = 100;
    Core::new(config)
}

fn drain(core: &mut Core) {
    while let Some(output) = core.cluster.poll_output() {
        if let Output::Send { bytes, .. } = output {
            let length = i32::from_be_bytes(bytes[..4].try_into().expect("a length"));
            assert_eq!(usize::try_from(length), Ok(bytes.len() - 4), "a whole frame");
        }
    }
}

/// Any API, any version, any body.
#[test]
fn random_bodies() {
    let mut random = Rng::with_seed(1);
    let mut core = core();
    for round in 0..60_000 {
        let api = random.i16(-2..95);
        let version = random.i16(-1..20);
        let mut frame = vec![0; 4];
        frame.extend_from_slice(&api.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&random.i32(..).to_be_bytes());
        frame.extend_from_slice(&[0xff, 0xff]);
        let length = random.usize(0..80);
        // Small numbers make counts that come true more often.
        frame.extend((0..length).map(|_| {
            if random.bool() {
                random.u8(0..4)
            } else {
                random.u8(..)
            }
        }));
        let id = core
            .cluster
            .accept(random.i32(1..=3), "test", core.now)
            .expect("there is room");
        core.cluster
            .handle_frame(id, Bytes::from(frame).slice(4..), core.now, 0);
        drain(&mut core);
        core.cluster.handle_closed(id, core.now);
        if round % 100 == 0 {
            core.advance(Duration::from_millis(random.u64(0..100_000)));
            drain(&mut core);
        }
    }
}

fn good_frames() -> Vec<Vec<u8>> {
    let batch = Batch::idempotent((7, 0), 0, 3).build();
    let produce = |version: i16| {
        let request = ProduceRequest {
            acks: -1,
            topic_data: vec![TopicProduceData {
                name: if version < 13 {
                    "t".to_owned()
                } else {
                    String::new()
                },
                partition_data: vec![PartitionProduceData {
                    records: Some(batch.clone()),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        encode(&request, version)
    };
    let mut frames: Vec<Vec<u8>> = (3..=13).map(produce).collect();
    frames.push(encode(
        &MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        },
        12,
    ));
    frames.push(encode(
        &FetchRequest {
            session_epoch: -1,
            ..FetchRequest::default()
        },
        12,
    ));
    frames
}

fn encode<R: Request>(request: &R, version: i16) -> Vec<u8> {
    frame::encode_request(request, version, 5, Some("client"))
        .expect("a request")
        .to_vec()
}

/// Good frames with a few bytes changed, cut, or doubled, under faults of every kind.
#[test]
fn mutated_frames() {
    let mut random = Rng::with_seed(2);
    let mut core = core();
    let frames = good_frames();
    for round in 0..30_000 {
        if round % 500 == 0 {
            core.cluster.clear_faults();
            let action = match random.u8(0..8) {
                0 => FaultAction::CloseAtByte(random.usize(0..50)),
                1 => FaultAction::Partial(random.usize(0..50)),
                2 => FaultAction::WrongCorrelationId(1),
                3 => FaultAction::GarbageBody(Bytes::from_static(b"??")),
                4 => FaultAction::Delay(Duration::from_millis(5)),
                5 => FaultAction::OmitPartitions,
                6 => FaultAction::DropResponse,
                _ => FaultAction::DisconnectAfter,
            };
            core.cluster.add_fault(Fault::new(action).topic("t").skip(3));
            core.cluster
                .add_fault(Fault::new(FaultAction::Throttle(Duration::from_secs(1))).api(ApiKey::PRODUCE));
        }
        let mut frame = frames[random.usize(..frames.len())].clone();
        for _ in 0..random.usize(0..4) {
            let place = random.usize(4..=frame.len());
            match random.u8(0..3) {
                0 if place < frame.len() => frame[place] = random.u8(..),
                0 => frame.push(random.u8(..)),
                1 => frame.truncate(place),
                _ => frame.insert(place, random.u8(..)),
            }
        }
        let id = core
            .cluster
            .accept(random.i32(1..=3), "test", core.now)
            .expect("there is room");
        core.cluster
            .handle_frame(id, Bytes::from(frame).slice(4..), core.now, 1_600_000_000_000);
        while core.cluster.poll_output().is_some() {}
        core.advance(Duration::from_millis(1));
        while core.cluster.poll_output().is_some() {}
        core.cluster.handle_closed(id, core.now);
    }
    assert!(core.cluster.log_bytes() <= 300_000);
    assert!(core.cluster.events().count() <= 100);
}

/// A client that asks and asks without reading.
#[test]
fn too_many_requests_wait() {
    let mut core = core();
    core.cluster
        .add_fault(Fault::new(FaultAction::Delay(Duration::from_secs(1))).once());
    let id = core.connection();
    let frame = Bytes::from(good_frames().remove(0)).slice(4..);
    let mut handed_over = 0;
    while core.cluster.is_reading(id) && handed_over < 100_000 {
        core.cluster.handle_frame(id, frame.clone(), core.now, 0);
        handed_over += 1;
    }
    assert_eq!(
        handed_over,
        core.cluster.config().limits.queued_requests_max + 1,
        "one is being handled"
    );
    core.advance(Duration::from_secs(1));
    let mut resumed = false;
    let mut answers = 0;
    while let Some(output) = core.cluster.poll_output() {
        match output {
            Output::Resume { connection } => resumed |= connection == id,
            Output::Send { .. } => answers += 1,
            output => panic!("{output:?}"),
        }
    }
    assert!(resumed && core.cluster.is_reading(id));
    assert_eq!(answers, handed_over);
}
