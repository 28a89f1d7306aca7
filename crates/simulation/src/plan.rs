//! Which faults strike when.

use crate::scenario::{BROKERS, FAULTS_MIN, Promise, Scenario, chance};
use bytes::Bytes;
use fastrand::Rng;
use ottla_broker::{Fault, FaultAction};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_time::Time;
use std::time::Duration;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// A broker does something else than it was asked to.
    Rule(Fault),
    Kill {
        broker: i32,
        back: Duration,
    },
    Freeze {
        broker: i32,
        back: Duration,
    },
    /// Another broker leads; what was not replicated is lost if `unclean`.
    MoveLeader {
        unclean: bool,
    },
    /// The leader dies, and what was not replicated is lost with it: right after something was appended.
    KillLeader {
        back: Duration,
    },
    Stale {
        broker: i32,
        back: Duration,
    },
    /// Followers fall out of sync.
    OutOfSync {
        back: Duration,
    },
    /// `message.max.bytes` is lowered.
    Limit {
        bytes: i32,
        back: Option<Duration>,
    },
    /// Connections end after so many bytes to the broker, or back.
    Cut {
        broker: i32,
        up: bool,
        bytes: usize,
        back: Duration,
    },
    /// Connections lose everything and nobody is told: to the broker, back, or both.
    Black {
        broker: i32,
        up: bool,
        down: bool,
    },
    /// Nothing arrives for so long; then all of it does.
    Stall {
        broker: i32,
        up: bool,
        down: bool,
        back: Duration,
    },
    Slow {
        broker: i32,
        extra: Duration,
        back: Duration,
    },
    /// New connections take few bytes at a time, and those that stand.
    Narrow {
        broker: i32,
        window: usize,
        segment: usize,
        back: Duration,
    },
    Refuse {
        broker: i32,
        silent: bool,
        back: Duration,
    },
    /// Host names cannot be looked up.
    NoNames {
        back: Duration,
    },
    /// Every connection to the broker is closed.
    CloseAll {
        broker: i32,
    },
    WallJump {
        by_ms: i64,
    },
    /// The answer to an EndTxn is lost, and when it is asked for again the coordinator says that the transaction has to be
    /// aborted.
    LostVerdict,
    /// The next EndTxn, or its answer, is so long on its way, while the producer asks again on another connection.
    HoldEnd {
        up: bool,
        back: Duration,
    },
}

/// The faults of a seed. As many as each seed has strike before `until`, when the producer is closed.
pub(crate) fn draw(scenario: &Scenario, until: Time, random: &mut Rng) -> Vec<(Time, Trouble)> {
    let latest = scenario.trouble.saturating_sub(Duration::from_secs(2));
    let draw_one = |number| {
        let latest = if number < FAULTS_MIN {
            latest.min(until.since(Time::ZERO))
        } else {
            latest
        };
        (
            Time::ZERO + latest.mul_f64(random.f64()),
            trouble(scenario, random),
        )
    };
    (0..scenario.faults).map(draw_one).collect()
}

fn trouble(scenario: &Scenario, random: &mut Rng) -> Trouble {
    if scenario.transactional {
        match random.u32(..100) {
            ..3 => return Trouble::LostVerdict,
            3..18 => return hold_end(scenario, random),
            _ => {}
        }
    }
    let broker = random.i32(1..=BROKERS);
    let back = Duration::from_millis(random.u64(100..6_000));
    match random.u32(..100) {
        ..36 => Trouble::Rule(rule(scenario, random)),
        36..42 => Trouble::Kill { broker, back },
        42..50 => Trouble::KillLeader { back },
        50..53 => Trouble::Freeze { broker, back },
        53..60 => Trouble::MoveLeader {
            unclean: chance(random, 50),
        },
        60..63 => Trouble::Stale { broker, back },
        63..66 => Trouble::OutOfSync { back },
        66..72 => Trouble::Limit {
            bytes: random.i32(150..2_500),
            back: chance(random, 70).then_some(back * 4),
        },
        72..77 => Trouble::Cut {
            broker,
            up: chance(random, 60),
            bytes: random.usize(1..20_000),
            back,
        },
        77..81 => {
            let up = chance(random, 60);
            Trouble::Black {
                broker,
                up,
                down: !up || chance(random, 30),
            }
        }
        81..86 => {
            let up = chance(random, 70);
            Trouble::Stall {
                broker,
                up,
                down: !up || chance(random, 50),
                back,
            }
        }
        86..88 => Trouble::Slow {
            broker,
            extra: Duration::from_millis(random.u64(10..400)),
            back,
        },
        88..91 => Trouble::Narrow {
            broker,
            window: random.usize(64..4_000),
            segment: random.usize(40..1_000),
            back,
        },
        91..94 => Trouble::Refuse {
            broker,
            silent: chance(random, 50),
            back,
        },
        94..95 => Trouble::NoNames { back },
        95..98 => Trouble::CloseAll { broker },
        _ => Trouble::WallJump {
            by_ms: random.i64(-3_600_000..3_600_000),
        },
    }
}

/// For longer than the producer waits for an answer: then it asks on another connection, and is answered, and begins the
/// next transaction, and the first request still arrives.
fn hold_end(scenario: &Scenario, random: &mut Rng) -> Trouble {
    Trouble::HoldEnd {
        up: chance(random, 85),
        back: scenario.sender.request_timeout + Duration::from_millis(random.u64(50..2_500)),
    }
}

/// The requests of transactions.
const TRANSACTIONAL: &[ApiKey] = &[
    ApiKey::FIND_COORDINATOR,
    ApiKey::INIT_PRODUCER_ID,
    ApiKey::ADD_PARTITIONS_TO_TXN,
    ApiKey::END_TXN,
    ApiKey::END_TXN,
];

/// What a coordinator may answer in place of doing as it was asked.
const COORDINATOR: &[ErrorCode] = &[
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::CONCURRENT_TRANSACTIONS,
];

/// A coordinator's trouble.
fn transactional_rule(scenario: &Scenario, random: &mut Rng) -> Fault {
    let code = random.choice(COORDINATOR).copied();
    let code = code.unwrap_or(ErrorCode::NOT_COORDINATOR);
    let action = match action(scenario.promise, random) {
        FaultAction::Error(_) | FaultAction::OmitPartitions => FaultAction::Error(code),
        // It has written its decision, and then its log moves.
        FaultAction::ErrorAfter(_) => FaultAction::ErrorAfter(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        action => action,
    };
    let api = random.choice(TRANSACTIONAL).copied().unwrap_or(ApiKey::END_TXN);
    Fault::new(action).api(api).times(random.u64(1..=4))
}

fn rule(scenario: &Scenario, random: &mut Rng) -> Fault {
    let promise = scenario.promise;
    if scenario.transactional && chance(random, 50) {
        return transactional_rule(scenario, random);
    }
    let action = action(promise, random);
    let api = match random.u32(..100) {
        ..80 => ApiKey::PRODUCE,
        80..90 => ApiKey::METADATA,
        90..96 => ApiKey::INIT_PRODUCER_ID,
        _ => ApiKey::API_VERSIONS,
    };
    // Codes are drawn for Produce; elsewhere they would be lies.
    let api = match action {
        FaultAction::Error(_) | FaultAction::ErrorAfter(_) | FaultAction::OmitPartitions => ApiKey::PRODUCE,
        _ => api,
    };
    let mut fault = Fault::new(action).api(api).times(random.u64(1..=4));
    if chance(random, 40) {
        fault = fault.broker(random.i32(1..=BROKERS));
    }
    fault
}

/// Codes of a broker that has appended nothing, and says so.
const REFUSALS: &[ErrorCode] = &[
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode::UNKNOWN_PRODUCER_ID,
    ErrorCode::INVALID_PRODUCER_EPOCH,
    ErrorCode::MESSAGE_TOO_LARGE,
    ErrorCode::MESSAGE_TOO_LARGE,
    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ErrorCode::INVALID_RECORD,
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::UNKNOWN_TOPIC_ID,
];

/// Codes that a broker may answer although it has appended.
const FAILURES: &[ErrorCode] = &[
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
];

fn action(promise: Promise, random: &mut Rng) -> FaultAction {
    let short = Duration::from_millis(random.u64(1..4_000));
    match random.u32(..100) {
        ..22 => {
            // Without numbers the broker has nothing to say about them.
            let refusals: Vec<ErrorCode> = REFUSALS.to_vec();
            let code = random
                .choice(refusals)
                .unwrap_or(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            FaultAction::Error(code)
        }
        22..36 => {
            // With acks=1 a leader that appended does not say afterwards that it leads no more.
            let known = if promise == Promise::LeaderOnly {
                FAILURES.len() - 1
            } else {
                FAILURES.len()
            };
            FaultAction::ErrorAfter(random.choice(&FAILURES[..known]).copied().unwrap_or(FAILURES[0]))
        }
        36..50 => FaultAction::DropResponse,
        50..56 => FaultAction::DropRequest,
        56..62 => FaultAction::Delay(short),
        62..67 => FaultAction::DelayResponse(short),
        67..74 => FaultAction::Throttle(Duration::from_millis(random.u64(1..1_500))),
        74..78 => FaultAction::Disconnect,
        78..85 => FaultAction::DisconnectAfter,
        85..90 => FaultAction::CloseAtByte(random.usize(..120)),
        90..92 => FaultAction::Partial(random.usize(..120)),
        92..94 => FaultAction::Garbage(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        // No message begins with a length of -2.
        94..96 => FaultAction::GarbageBody(Bytes::from_static(&[0xff; 3])),
        96..97 => FaultAction::WrongCorrelationId(random.i32(1..5)),
        _ => FaultAction::OmitPartitions,
    }
}
