//! What can happen to a cluster.

use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use ottla_broker::FaultAction;
use ottla_protocol::ErrorCode;

/// Brokers have the ids 1 to 3.
pub(super) const BROKERS: i32 = 3;
/// Partitions of the topic, before somebody adds more.
pub(super) const PARTITIONS: i32 = 2;
/// The first ones have a transactional id.
pub(super) const PRODUCERS: usize = 4;

/// Which identity a request bears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Identity {
    Own,
    /// The epoch before, or after.
    Epoch(i16),
    /// That of another producer.
    Of(usize),
}

/// Which sequence a batch bears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sequence {
    Next,
    /// That of the last batch, and as many records.
    Again,
    Beside(i8),
    Any(i32),
}

/// A batch for one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Produce {
    pub(super) producer: usize,
    pub(super) identity: Identity,
    pub(super) sequence: Sequence,
    /// To another broker than the leader.
    pub(super) astray: bool,
    pub(super) partition: i32,
    pub(super) records: u8,
    pub(super) acks: i16,
    pub(super) version: i16,
    pub(super) transactional: bool,
    /// A byte of the batch that is wrong: (place, what it is changed by).
    pub(super) damage: Option<(u8, u8)>,
}

#[derive(Debug)]
pub(super) enum Operation<'a> {
    Produce(Produce),
    Init {
        producer: usize,
        version: i16,
        known: bool,
    },
    AddPartitions {
        producer: usize,
        identity: Identity,
        partition: i32,
        version: i16,
    },
    CommitOffset {
        producer: usize,
        identity: Identity,
        version: i16,
    },
    End {
        producer: usize,
        identity: Identity,
        commit: bool,
        version: i16,
    },
    Fetch {
        partition: i32,
        offset: i64,
        committed: bool,
        wait_ms: i32,
    },
    Frame {
        broker: i32,
        api: i16,
        version: i16,
        body: &'a [u8],
    },
    Bytes(i32, &'a [u8]),
    CreateTopic,
    DeleteTopic,
    DeleteRecords {
        partition: i32,
        offset: i64,
    },
    MinInsyncReplicas(i32),
    Fault {
        action: FaultAction,
        skip: u64,
        times: u64,
    },
    ClearFaults,
    Advance(Duration),
    Kill(i32),
    Start(i32),
    Freeze(i32),
    MoveLeader {
        partition: i32,
        to: i32,
        unclean: bool,
    },
    MoveCoordinator {
        producer: usize,
        to: i32,
    },
    InSync {
        partition: i32,
        broker: i32,
        in_sync: bool,
    },
    Hold {
        partition: i32,
        held: bool,
    },
    ReplicationDelay(Duration),
    Stale(i32, bool),
    CloseConnections(i32),
}

impl<'a> Operation<'a> {
    pub(super) fn arbitrary(input: &mut Unstructured<'a>) -> Result<Operation<'a>> {
        // What a producer does is twice as likely as what befalls it.
        match input.int_in_range(0..=43)? {
            0..=13 => Ok(Operation::Produce(Produce::arbitrary(input)?)),
            number @ 14..=25 => Operation::request(number - 14, input),
            number @ 26..=33 => Operation::change(number - 26, input),
            number => Operation::trouble(number - 34, input),
        }
    }

    fn request(number: u8, input: &mut Unstructured<'a>) -> Result<Operation<'a>> {
        Ok(match number {
            0 | 1 => Operation::Init {
                producer: producer(input)?,
                version: input.int_in_range(0..=5)?,
                known: bool::arbitrary(input)?,
            },
            2 | 3 => Operation::AddPartitions {
                producer: producer(input)?,
                identity: Identity::arbitrary(input)?,
                partition: partition(input)?,
                version: input.int_in_range(0..=3)?,
            },
            4 => Operation::CommitOffset {
                producer: producer(input)?,
                identity: Identity::arbitrary(input)?,
                version: input.int_in_range(0..=5)?,
            },
            5..=8 => Operation::End {
                producer: producer(input)?,
                identity: Identity::arbitrary(input)?,
                commit: bool::arbitrary(input)?,
                version: input.int_in_range(0..=5)?,
            },
            9 => Operation::Fetch {
                partition: partition(input)?,
                offset: i64::from(u8::arbitrary(input)?),
                committed: bool::arbitrary(input)?,
                wait_ms: i32::from(u16::arbitrary(input)?),
            },
            10 => Operation::Frame {
                broker: broker(input)?,
                api: input.int_in_range(0..=92)?,
                version: input.int_in_range(0..=17)?,
                body: bytes(input)?,
            },
            _ => Operation::Bytes(broker(input)?, bytes(input)?),
        })
    }

    fn change(number: u8, input: &mut Unstructured<'a>) -> Result<Operation<'a>> {
        Ok(match number {
            0..=3 => {
                // From a millisecond to an hour: each power is as likely as the others.
                let power = input.int_in_range(0..=21)?;
                Operation::Advance(Duration::from_millis(1 << power))
            }
            4 => Operation::Fault {
                action: action(input)?,
                skip: input.int_in_range(0..=3)?,
                times: input.int_in_range(1..=3)?,
            },
            5 => Operation::DeleteRecords {
                partition: partition(input)?,
                offset: i64::from(i8::arbitrary(input)?),
            },
            6 => Operation::MinInsyncReplicas(input.int_in_range(1..=3)?),
            _ => match input.int_in_range(0..=3)? {
                0 => Operation::CreateTopic,
                1 => Operation::DeleteTopic,
                2 => Operation::ClearFaults,
                _ => Operation::ReplicationDelay(Duration::from_millis(input.int_in_range(0..=50)?)),
            },
        })
    }

    fn trouble(number: u8, input: &mut Unstructured<'a>) -> Result<Operation<'a>> {
        Ok(match number {
            0 => Operation::Kill(broker(input)?),
            1 | 2 => Operation::Start(broker(input)?),
            3 => Operation::Freeze(broker(input)?),
            4 => Operation::MoveLeader {
                partition: partition(input)?,
                to: broker(input)?,
                unclean: bool::arbitrary(input)?,
            },
            5 => Operation::MoveCoordinator {
                producer: producer(input)?,
                to: broker(input)?,
            },
            6 => Operation::InSync {
                partition: partition(input)?,
                broker: broker(input)?,
                in_sync: bool::arbitrary(input)?,
            },
            7 | 8 => Operation::Hold {
                partition: partition(input)?,
                held: bool::arbitrary(input)?,
            },
            _ if bool::arbitrary(input)? => Operation::Stale(broker(input)?, bool::arbitrary(input)?),
            _ => Operation::CloseConnections(broker(input)?),
        })
    }
}

impl Produce {
    fn arbitrary(input: &mut Unstructured<'_>) -> Result<Produce> {
        let producer = producer(input)?;
        Ok(Produce {
            producer,
            identity: Identity::arbitrary(input)?,
            sequence: match input.int_in_range(0..=9)? {
                0..=5 => Sequence::Next,
                6 | 7 => Sequence::Again,
                8 => Sequence::Beside(i8::arbitrary(input)?),
                _ => Sequence::Any(i32::arbitrary(input)?),
            },
            astray: input.ratio(1, 16)?,
            partition: partition(input)?,
            records: input.int_in_range(1..=4)?,
            acks: *input.choose(&[-1, -1, -1, 1, 0])?,
            version: input.int_in_range(3..=13)?,
            transactional: producer < PRODUCERS / 2 && !input.ratio(1, 16)?,
            damage: if input.ratio(1, 16)? {
                Some((u8::arbitrary(input)?, u8::arbitrary(input)?))
            } else {
                None
            },
        })
    }
}

impl Identity {
    fn arbitrary(input: &mut Unstructured<'_>) -> Result<Identity> {
        Ok(match input.int_in_range(0..=15)? {
            0 => Identity::Epoch(-1),
            1 => Identity::Epoch(1),
            2 => Identity::Of(producer(input)?),
            _ => Identity::Own,
        })
    }
}

/// What a fault does; answers stay readable, so that they can be held against the log.
fn action(input: &mut Unstructured<'_>) -> Result<FaultAction> {
    let delay = |input: &mut Unstructured<'_>| -> Result<Duration> {
        Ok(Duration::from_millis(input.int_in_range(0..=2_000)?))
    };
    let error = |input: &mut Unstructured<'_>| -> Result<ErrorCode> {
        Ok(*input.choose(&[
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ])?)
    };
    Ok(match input.int_in_range(0..=9)? {
        0 => FaultAction::Error(error(input)?),
        1 => FaultAction::ErrorAfter(error(input)?),
        2 => FaultAction::Delay(delay(input)?),
        3 => FaultAction::DelayResponse(delay(input)?),
        4 => FaultAction::Throttle(delay(input)?),
        5 => FaultAction::DropResponse,
        6 => FaultAction::DropRequest,
        7 => FaultAction::Disconnect,
        8 => FaultAction::DisconnectAfter,
        _ => FaultAction::OmitPartitions,
    })
}

fn producer(input: &mut Unstructured<'_>) -> Result<usize> {
    input.int_in_range(0..=PRODUCERS - 1)
}

/// One more than there are.
fn partition(input: &mut Unstructured<'_>) -> Result<i32> {
    Ok(match input.int_in_range(0..=15)? {
        0 => PARTITIONS,
        number => number % PARTITIONS,
    })
}

fn broker(input: &mut Unstructured<'_>) -> Result<i32> {
    input.int_in_range(1..=BROKERS)
}

fn bytes<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let length = usize::from(u8::arbitrary(input)?);
    input.bytes(length.min(input.len()))
}
