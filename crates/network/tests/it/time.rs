//! Deadlines, backoff and idleness.

use crate::support::{Hands, METADATA, NODE, PRODUCE, config, frame, request, versions_answer};
use ottla_network::{NetworkConfig, NetworkErrorKind, NodeState};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// The waits after failures in a row, as the Java client has them for 50/1000; and for ten times as much.
#[test]
fn reconnect_backoff_grows_with_jitter_and_is_reset_when_ready() {
    check_reconnect_backoff(NetworkConfig::default(), MS);
    let mut config = NetworkConfig::default();
    config.reconnect_backoff = 500 * MS;
    config.reconnect_backoff_max = 10_000 * MS;
    check_reconnect_backoff(config, 10 * MS);
}

/// Waits are so many times `unit` as they are milliseconds by default.
fn check_reconnect_backoff(config: NetworkConfig, unit: Duration) {
    let mut hands = Hands::new(config);
    hands.connect();
    let ranges = [
        (40, 60),
        (80, 120),
        (160, 240),
        (320, 480),
        (640, 960),
        (799, 1_000),
        (799, 1_000),
    ];
    for (low, high) in ranges {
        hands.resolve_failed();
        assert_eq!(hands.events(), ["disconnected 1"]);
        let Some(NodeState::Disconnected { retry_at }) = hands.state() else {
            panic!("down")
        };
        let wait = retry_at.since(hands.now);
        assert!(
            wait >= low * unit && wait <= high * unit,
            "{wait:?} is not in {low}..={high} times {unit:?}"
        );
        hands.actions();
        hands.connect();
        assert_eq!(hands.pass_until_output(), wait);
        assert_eq!(hands.actions(), ["resolve broker:9092"]);
    }
    hands.resolved(&["10.0.0.1:9092"]);
    hands.connected();
    hands.write_all();
    hands.read(versions_answer(0));
    hands.closed();
    let Some(NodeState::Disconnected { retry_at }) = hands.state() else {
        panic!("down")
    };
    assert!(retry_at.since(hands.now) <= 60 * unit);
}

/// Also an attempt that gets as far as ApiVersions and no further is a failure: no reconnect storm.
#[test]
fn a_broker_that_accepts_and_closes_is_backed_off() {
    let mut hands = Hands::new(NetworkConfig::default());
    hands.connect();
    let mut waits = Vec::new();
    for _ in 0..6 {
        hands.resolved(&["10.0.0.1:9092"]);
        hands.connected();
        hands.closed();
        hands.connect();
        waits.push(hands.pass_until_output());
        hands.actions();
    }
    assert!(waits[0] <= 60 * MS && waits[5] >= 799 * MS, "{waits:?}");
}

/// 10 s at first, doubling to 30 s, with jitter below that, or what else is set; accept then silence and a SYN that is
/// dropped alike.
#[test]
fn setup_timeout_grows() {
    let check = |accepts: bool, unit: Duration| {
        let mut config = NetworkConfig::default();
        config.connection_setup_timeout = 10 * unit;
        config.connection_setup_timeout_max = 30 * unit;
        let mut hands = Hands::new(config);
        hands.connect();
        let mut timeouts = Vec::new();
        for _ in 0..4 {
            hands.resolved(&["10.0.0.1:9092"]);
            if accepts {
                hands.connected();
                hands.write_all();
            }
            hands.actions();
            timeouts.push(hands.pass_until_output());
            assert!(hands.disconnect_error().is_timeout());
            hands.connect();
            hands.pass(Duration::from_secs(2));
            assert!(hands.actions().contains(&"resolve broker:9092".to_owned()));
        }
        let range = |index: usize, low: u32, high: u32| {
            let timeout: Duration = timeouts[index];
            assert!(
                timeout >= low * unit && timeout <= high * unit,
                "{timeouts:?} in units of {unit:?}"
            );
        };
        range(0, 8, 12);
        range(1, 16, 24);
        range(2, 23, 30);
        range(3, 23, 30);
    };
    let default = NetworkConfig::default();
    let second = Duration::from_secs(1);
    assert_eq!(
        (
            default.connection_setup_timeout,
            default.connection_setup_timeout_max
        ),
        (10 * second, 30 * second)
    );
    for unit in [second, 500 * MS] {
        check(false, unit);
        check(true, unit);
    }
}

#[test]
fn silent_link_loss_is_detected_within_the_request_timeout() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.pass(10 * MS);
    let mut shorter = request(6, PRODUCE, b"six");
    shorter.timeout = Duration::from_secs(3);
    hands.send(shorter).unwrap();
    hands.actions();
    assert_eq!(hands.pass_until_output(), Duration::from_secs(3));
    assert_eq!(hands.actions(), ["close"]);
    let error = hands.disconnect_error();
    let timeout = Duration::from_secs(3);
    assert_eq!(
        error.kind(),
        &NetworkErrorKind::RequestTimeout { api_key: 0, timeout }
    );
}

/// Answers do not move the timer: it looks again when it fires, and the request that is left keeps its deadline.
#[test]
fn an_answered_request_does_not_time_out() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.pass(Duration::from_secs(20));
    hands.send(request(6, METADATA, b"six")).unwrap();
    hands.write_all();
    hands.read(frame(&[b"\0\0\0\x01"]));
    hands.actions();
    hands.events();
    assert_eq!(hands.pass_until_output(), Duration::from_secs(30));
    assert!(hands.disconnect_error().is_timeout());
}

/// The drip is traffic, but no answer.
#[test]
fn a_slow_drip_times_out() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.actions();
    let answer = frame(&[b"\0\0\0\x01", &[0; 100]]);
    for byte in 0..29 {
        hands.pass(Duration::from_secs(1));
        hands.read(answer.slice(byte..byte + 1));
        assert_eq!(hands.events(), [""; 0]);
    }
    hands.pass(Duration::from_secs(1));
    assert_eq!(hands.actions(), ["close"]);
    assert!(hands.disconnect_error().is_timeout());
}

#[test]
fn a_timeout_in_the_middle_of_a_send_closes() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.send(request(6, METADATA, b"six")).unwrap();
    hands.written(10);
    hands.pass(Duration::from_secs(30));
    assert_eq!(hands.actions(), ["write", "write", "close"]);
    assert_eq!(
        hands.events(),
        [
            "failed 1 5 written=true",
            "failed 1 6 written=false",
            "disconnected 1"
        ]
    );
}

/// A request that expects no answer has until its timeout to be written.
#[test]
fn an_unwritten_request_without_answer_times_out() {
    let mut hands = Hands::ready(config());
    let mut silent = request(5, PRODUCE, b"silent");
    silent.expects_response = false;
    hands.send(silent).unwrap();
    hands.actions();
    assert_eq!(hands.pass_until_output(), Duration::from_secs(30));
    assert_eq!(hands.events(), ["failed 1 5 written=false", "disconnected 1"]);
}

#[test]
fn a_throttled_broker_gets_more_time() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.actions();
    hands.network.extend_deadlines(NODE, Duration::from_secs(12));
    assert_eq!(hands.pass_until_output(), Duration::from_secs(42));
}

#[test]
fn an_idle_connection_is_closed_and_can_be_had_again_at_once() {
    check_idle_connection(config(), Duration::from_secs(540));
    let mut sooner = config();
    sooner.connection_idle_max = Some(Duration::from_secs(120));
    check_idle_connection(sooner, Duration::from_secs(120));
}

fn check_idle_connection(config: NetworkConfig, idle_max: Duration) {
    let mut hands = Hands::ready(config);
    hands.pass(Duration::from_secs(100));
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.read(frame(&[b"\0\0\0\x01"]));
    hands.actions();
    hands.events();
    assert_eq!(hands.pass_until_output(), idle_max);
    assert_eq!(hands.actions(), ["close"]);
    assert_eq!(hands.disconnect_error().kind(), &NetworkErrorKind::Idle);
    hands.connect();
    assert_eq!(hands.actions(), ["resolve broker:9092"]);
}

#[test]
fn a_connection_with_requests_is_not_idle() {
    let mut hands = Hands::ready(config());
    let mut patient = request(5, METADATA, b"five");
    patient.timeout = Duration::from_secs(3_000);
    hands.send(patient).unwrap();
    hands.write_all();
    hands.pass(Duration::from_secs(1_000));
    hands.pass(Duration::from_secs(1_000));
    assert_eq!(hands.events(), [""; 0]);
}

/// The event that the connection went idle crosses a send: the send is refused, so it can go elsewhere.
#[test]
fn idle_close_races_with_a_write() {
    let mut hands = Hands::ready(config());
    hands.now += Duration::from_secs(541);
    hands.send(request(5, METADATA, b"five")).unwrap();
    // The deadline has passed, but there is traffic now.
    hands.network.handle_timeout(hands.now);
    hands.write_all();
    hands.read(frame(&[b"\0\0\0\x01"]));
    assert_eq!(hands.events(), ["response 1 5 "]);
}

#[test]
fn without_an_idle_limit_no_timer_is_left() {
    let mut config = config();
    config.connection_idle_max = None;
    Hands::ready(config).assert_timers_are_over();
}

/// KAFKA-7311: idle or backing off, the number of wake-ups is bounded. A thousand requests leave four: one at the time
/// of the setup timer, one at that of the first request, two for idleness, of which the second closes.
#[test]
fn idle_wake_ups_are_bounded() {
    let mut hands = Hands::ready(config());
    for id in 0..1_000 {
        hands.send(request(id, METADATA, b"x")).unwrap();
        hands.write_all();
        hands.read(frame(&[&(id as i32 + 1).to_be_bytes()]));
        hands.pass(MS);
    }
    hands.events();
    let mut wake_ups = 0;
    while hands.events().is_empty() {
        let at = hands.network.poll_timeout().unwrap();
        hands.pass(at.since(hands.now));
        wake_ups += 1;
    }
    assert_eq!(wake_ups, 4);
}
