//! Every input in every state, and the ways through the states.

use crate::support::{Hands, METADATA, NODE, PRODUCE, config, frame, home, request, versions_answer};
use ottla_network::{Endpoint, IoFailure, NetworkErrorKind, NodeState, SendError, SetupStage, TlsFailure};
use ottla_time::Time;
use std::io::ErrorKind;
use std::time::Duration;

type Way = fn() -> Hands;

/// The states, with the way to bring hands into each.
const STATES: [(&str, Way); 8] = [
    ("unknown", || Hands::new(config())),
    ("down", || down(Hands::ready(config()))),
    ("waiting", || {
        let mut hands = down(Hands::ready(config()));
        hands.connect();
        hands
    }),
    ("resolving", || {
        let mut hands = Hands::new(config());
        hands.connect();
        hands
    }),
    ("dialing", || {
        let mut hands = Hands::new(config());
        hands.connect();
        hands.resolved(&["10.0.0.1:9092", "10.0.0.2:9092"]);
        hands
    }),
    ("negotiating", || Hands::negotiating(config())),
    ("ready", || Hands::ready(config())),
    ("busy", || {
        let mut hands = Hands::ready(config());
        hands.send(request(5, METADATA, b"five")).unwrap();
        hands.write_all();
        hands.send(request(6, METADATA, b"six")).unwrap();
        hands.written(1);
        hands.send(request(7, METADATA, b"seven")).unwrap();
        hands
    }),
];

/// The connection was lost, and the backoff lasts.
fn down(mut hands: Hands) -> Hands {
    hands.closed();
    assert_eq!(
        hands.disconnect_error().to_string().split(": ").nth(1),
        Some("connection lost")
    );
    hands
}

/// One input, and what must come out of it in each state: the actions and events in order, and the state after it.
fn check(input: &str, apply: fn(&mut Hands), expected: [&str; 8]) {
    for ((state, hands), expected) in STATES.into_iter().zip(expected) {
        let mut hands = hands();
        if hands.connection.is_none()
            && !matches!(
                input,
                "connect" | "connect elsewhere" | "send" | "disconnect" | "remove"
            )
        {
            // Nothing was ever asked of the I/O: it has no connection to report about.
            assert_eq!(expected, "-", "{input} when {state}");
            continue;
        }
        let (_, _) = (hands.actions(), hands.events());
        apply(&mut hands);
        let mut outputs = hands.actions();
        outputs.extend(hands.events());
        let after = match hands.state() {
            None => "unknown",
            Some(NodeState::Disconnected { retry_at }) if retry_at > hands.now => "backoff",
            Some(NodeState::Disconnected { .. }) => "down",
            Some(NodeState::Connecting) => "connecting",
            Some(NodeState::Ready) => "ready",
            Some(other) => panic!("{other:?}"),
        };
        outputs.push(format!("[{after}]"));
        assert_eq!(outputs.join(", "), expected, "{input} when {state}");
    }
}

#[test]
fn commands_in_every_state() {
    let lost =
        "close, failed 1 5 written=true, failed 1 6 written=true, failed 1 7 written=false, disconnected 1";
    check(
        "connect",
        Hands::connect,
        [
            "resolve broker:9092, [connecting]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "[ready]",
            "[ready]",
        ],
    );
    check(
        "connect elsewhere",
        |hands| hands.connect_to(Endpoint::new("elsewhere", 1)),
        [
            "resolve elsewhere:1, [connecting]",
            "resolve elsewhere:1, [connecting]",
            "resolve elsewhere:1, disconnected 1, [connecting]",
            "close, resolve elsewhere:1, disconnected 1, [connecting]",
            "close, resolve elsewhere:1, disconnected 1, [connecting]",
            "close, resolve elsewhere:1, disconnected 1, [connecting]",
            "close, resolve elsewhere:1, disconnected 1, [connecting]",
            &lost
                .replace("close,", "close, resolve elsewhere:1,")
                .replace("disconnected 1", "disconnected 1, [connecting]"),
        ],
    );
    check(
        "send",
        |hands| {
            let is_ready = hands.state() == Some(NodeState::Ready);
            let expected = if is_ready {
                Ok(())
            } else {
                Err(SendError::NotReady)
            };
            assert_eq!(hands.send(request(8, PRODUCE, b"x")), expected);
        },
        [
            "[unknown]",
            "[backoff]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "write, [ready]",
            "write, [ready]",
        ],
    );
    check(
        "disconnect",
        Hands::disconnect,
        [
            "[unknown]",
            "[backoff]",
            "disconnected 1, [backoff]",
            "close, disconnected 1, [down]",
            "close, disconnected 1, [down]",
            "close, disconnected 1, [down]",
            "close, disconnected 1, [down]",
            &format!("{lost}, [down]"),
        ],
    );
    check(
        "remove",
        Hands::remove,
        [
            "[unknown]",
            "[unknown]",
            "disconnected 1, [unknown]",
            "close, disconnected 1, [unknown]",
            "close, disconnected 1, [unknown]",
            "close, disconnected 1, [unknown]",
            "close, disconnected 1, [unknown]",
            &format!("{lost}, [unknown]"),
        ],
    );
}

#[test]
fn inputs_in_every_state() {
    let ignored = [
        "-",
        "[backoff]",
        "[connecting]",
        "[connecting]",
        "[connecting]",
        "[connecting]",
        "[ready]",
        "[ready]",
    ];
    let but = |state: usize, expected| {
        let mut row = ignored;
        row[state] = expected;
        row
    };
    let failed = "failed 1 5 written=true, failed 1 6 written=true, failed 1 7 written=false, disconnected 1, [backoff]";
    check(
        "resolved",
        |hands| hands.resolved(&["10.0.0.9:1"]),
        but(3, "dial 10.0.0.9:1, [connecting]"),
    );
    check(
        "resolved to nothing",
        |hands| hands.resolved(&[]),
        but(3, "disconnected 1, [backoff]"),
    );
    check(
        "not resolved",
        Hands::resolve_failed,
        but(3, "disconnected 1, [backoff]"),
    );
    check("connected", Hands::connected, but(4, "write, [connecting]"));
    let gone = [
        "-",
        "[backoff]",
        "[connecting]",
        "disconnected 1, [backoff]",
        "disconnected 1, [backoff]",
        "disconnected 1, [backoff]",
        "disconnected 1, [backoff]",
        failed,
    ];
    check("refused", Hands::refused, gone);
    check("closed", Hands::closed, gone);
    check(
        "read an answer",
        |hands| hands.read(versions_answer(0)),
        [
            "-",
            "[backoff]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "ready 1, [ready]",
            "close, disconnected 1, [backoff]",
            &format!("close, {failed}"),
        ],
    );
    check("read nothing", |hands| hands.read(&b""[..]), ignored);
    check(
        "written",
        |hands| hands.network.handle_written(hands.id(), 1, hands.now),
        ignored,
    );
}

#[test]
fn time_in_every_state() {
    let short = |hands: &mut Hands| hands.pass(Duration::from_millis(49));
    check(
        "49 ms",
        short,
        [
            "-",
            "[backoff]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "[connecting]",
            "[ready]",
            "[ready]",
        ],
    );
    let long = |hands: &mut Hands| hands.pass(Duration::from_secs(3_600));
    check(
        "an hour",
        long,
        [
            "-",
            "[down]",
            "resolve broker:9092, [connecting]",
            "close, disconnected 1, [backoff]",
            "close, disconnected 1, [backoff]",
            "close, disconnected 1, [backoff]",
            "close, disconnected 1, [down]",
            "close, failed 1 5 written=true, failed 1 6 written=true, failed 1 7 written=false, disconnected 1, [backoff]",
        ],
    );
}

/// Reports of an attempt that is over do nothing to the one after it.
#[test]
fn late_reports_are_ignored() {
    let mut hands = Hands::ready(config());
    let old = hands.id();
    hands.disconnect();
    hands.connect();
    assert_eq!(hands.actions(), ["close", "resolve broker:9092"]);
    let new = hands.id();
    assert!(old != new && old.slot() == new.slot());
    hands.events();

    hands.connection = Some(old);
    hands.resolved(&["10.0.0.1:9092"]);
    hands.connected();
    hands.read(versions_answer(0));
    hands.network.handle_written(old, 100, hands.now);
    hands.refused();
    hands.closed();
    assert_eq!((hands.actions().len(), hands.events().len()), (0, 0));

    hands.connection = Some(new);
    hands.resolved(&["10.0.0.1:9092"]);
    assert_eq!(hands.actions(), ["dial 10.0.0.1:9092"]);
}

/// A removed node's place is used again, but not the ids of its connections.
#[test]
fn a_place_is_used_again_with_new_ids() {
    let mut hands = Hands::ready(config());
    let old = hands.id();
    hands.remove();
    hands.network.connect(2, home(), hands.now);
    hands.actions();
    let Some(action) = hands.network.poll_io() else {
        panic!("a lookup")
    };
    assert_eq!(action.connection().slot(), old.slot());
    assert_ne!(action.connection(), old);
    assert_eq!(hands.network.nodes().collect::<Vec<_>>(), [2]);
}

/// What was queued for the I/O and not taken goes away with the connection.
#[test]
fn actions_of_a_lost_connection_are_withdrawn() {
    let mut hands = Hands::ready(config());
    hands
        .network
        .send(NODE, request(5, METADATA, b"five"), hands.now)
        .unwrap();
    hands.closed();
    assert_eq!(hands.actions(), [""; 0]);
    assert_eq!(hands.events(), ["failed 1 5 written=false", "disconnected 1"]);
}

#[test]
fn requests_are_framed_and_answers_matched() {
    let mut hands = Hands::ready(config());
    hands.send(request(70, METADATA, b"body")).unwrap();
    assert_eq!(hands.outgoing, b"\0\0\0\x10\0\x03\0\x08\0\0\0\x01\0\x02mebody");
    hands.write_all();
    hands.send(request(71, PRODUCE, b"b")).unwrap();
    assert_eq!(hands.outgoing, b"\0\0\0\x0e\0\0\0\x0b\0\0\0\x02\0\x02me\0b");
    hands.write_all();
    assert_eq!(hands.network.requests_outstanding(NODE), 2);
    // Both in one read; the second has a tagged field in its header: tag 5, two bytes.
    let answers = [
        frame(&[b"\0\0\0\x01", b"one"]),
        frame(&[b"\0\0\0\x02", b"\x01\x05\x02zz", b"two"]),
    ]
    .concat();
    hands.read(answers);
    assert_eq!(hands.events(), ["response 1 70 one", "response 1 71 two"]);
    assert_eq!(hands.network.requests_outstanding(NODE), 0);
}

#[test]
fn a_request_without_answer_is_complete_when_written() {
    let mut hands = Hands::ready(config());
    let mut silent = request(5, PRODUCE, b"silent");
    silent.expects_response = false;
    hands.send(silent.clone()).unwrap();
    hands.send(request(6, METADATA, b"loud")).unwrap();
    silent.id = 7;
    hands.send(silent).unwrap();
    hands.written(10);
    assert_eq!(
        (hands.events(), hands.network.bytes_unwritten(NODE)),
        (vec![], hands.outgoing.len())
    );
    hands.write_all();
    assert_eq!(hands.events(), ["written 1 5", "written 1 7", "drained 1"]);
    hands.read(frame(&[b"\0\0\0\x02", b"heard"]));
    assert_eq!(hands.events(), ["response 1 6 heard"]);
    // Nothing is outstanding: the end of the connection fails nothing.
    hands.closed();
    assert_eq!(hands.events(), ["disconnected 1"]);
}

#[test]
fn drained_only_after_a_backlog() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    assert_eq!(hands.events(), [""; 0]);
}

#[test]
fn outstanding_requests_are_bounded() {
    let mut config = config();
    config.requests_outstanding_max = 2;
    let mut hands = Hands::ready(config);
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.send(request(6, METADATA, b"six")).unwrap();
    assert_eq!(
        hands.send(request(7, METADATA, b"seven")),
        Err(SendError::TooManyOutstanding)
    );
    hands.write_all();
    hands.read(frame(&[b"\0\0\0\x01"]));
    assert_eq!(hands.send(request(7, METADATA, b"seven")), Ok(()));
}

#[test]
fn what_the_broker_can_do_is_told() {
    let hands = Hands::ready(config());
    let versions = hands.network.versions(NODE).unwrap();
    assert_eq!(
        versions.range(0).map(|range| (range.min, range.max)),
        Some((3, 13))
    );
    assert_eq!(
        versions.range(3).map(|range| (range.min, range.max)),
        Some((0, 13))
    );
    assert_eq!(versions.range(1), None);
    assert_eq!(
        (versions.feature_level("tv"), versions.feature_level("other")),
        (2, 0)
    );
    assert_eq!(versions.finalized_features_epoch, 9);
}

/// The request of version 4 names the software; the client's id in the header is not compact though the version is
/// flexible.
#[test]
fn api_versions_goes_first_and_alone() {
    let mut hands = Hands::new(config());
    hands.connect();
    hands.resolved(&["10.0.0.1:9092"]);
    hands.connected();
    let version = env!("CARGO_PKG_VERSION");
    let mut expected = b"\0\x12\0\x04\0\0\0\0\0\x02me\0\x06ottla".to_vec();
    expected.push(version.len() as u8 + 1);
    expected.extend(version.as_bytes());
    expected.push(0);
    assert_eq!(hands.outgoing, frame(&[&expected]));
    assert_eq!(
        hands.send(request(5, METADATA, b"early")),
        Err(SendError::NotReady)
    );
}

/// An older broker answers UNSUPPORTED_VERSION in version 0, and lists what it knows, or does not.
#[test]
fn api_versions_falls_back() {
    let check = |listed: &[u8], expected_version: u8| {
        let mut hands = Hands::negotiating(config());
        hands.read(frame(&[b"\0\0\0\0", b"\0\x23", listed]));
        assert_eq!(hands.actions(), ["write"]);
        assert_eq!(
            hands.outgoing[4..12],
            [0, 18, 0, expected_version, 0, 0, 0, 1],
            "{listed:?}"
        );
        hands
    };
    check(b"\0\0\0\x01\0\x12\0\0\0\x03", 3);
    check(b"\0\0\0\x02\0\0\0\0\0\x05\0\x12\0\0\0\x02", 2);
    check(b"\0\0\0\0", 0);
    check(b"", 0);
    check(b"garbage", 0);
    // A broker that contradicts itself does not make a loop.
    check(b"\0\0\0\x01\0\x12\0\0\x7f\xff", 3);
    check(b"\0\0\0\x01\0\x12\xff\xff\xff\xff", 0);

    // Version 0 is understood, and ends it.
    let mut hands = check(b"\0\0\0\0", 0);
    hands.write_all();
    hands.read(frame(&[b"\0\0\0\x01", b"\0\0", b"\0\0\0\x01\0\0\0\x03\0\x05"]));
    assert_eq!(hands.events(), ["ready 1"]);
    assert_eq!(
        hands
            .network
            .versions(NODE)
            .unwrap()
            .range(0)
            .map(|range| range.max),
        Some(5)
    );
}

#[test]
fn api_versions_refused_is_an_error() {
    let mut hands = Hands::negotiating(config());
    hands.read(frame(&[b"\0\0\0\0", b"\0\x1f"]));
    assert_eq!(hands.actions(), ["close"]);
    assert_eq!(
        hands.disconnect_error().kind(),
        &NetworkErrorKind::ApiVersionsRefused { code: 31 }
    );

    // UNSUPPORTED_VERSION to version 0 leaves nothing to try.
    let mut hands = Hands::negotiating(config());
    hands.read(frame(&[b"\0\0\0\0", b"\0\x23", b"\0\0\0\0"]));
    hands.write_all();
    hands.read(frame(&[b"\0\0\0\x01", b"\0\x23", b"\0\0\0\0"]));
    assert_eq!(
        hands.disconnect_error().kind(),
        &NetworkErrorKind::ApiVersionsRefused { code: 35 }
    );
}

/// The name's addresses are tried in turn, one for each attempt; when all failed, the name is looked up again.
#[test]
fn the_first_of_several_addresses_refuses_and_the_next_is_tried() {
    let mut hands = Hands::new(config());
    hands.connect();
    hands.resolved(&["10.0.0.1:9092", "[::1]:9092", "10.0.0.2:9092"]);
    hands.refused();
    let error = hands.disconnect_error();
    assert!(matches!(error.kind(), NetworkErrorKind::Connect { .. }));
    assert_eq!(
        error.to_string(),
        "node 1 at broker:9092: cannot connect to 10.0.0.1:9092: connection refused \
         (no broker listens there: check that it runs, and the port)"
    );
    hands.connect();
    hands.pass_until_output();
    assert_eq!(
        hands.actions(),
        ["resolve broker:9092", "dial 10.0.0.1:9092", "dial 10.0.0.2:9092"]
    );
    hands.refused();
    hands.connect();
    hands.pass(Duration::from_secs(1));
    assert_eq!(hands.actions(), ["resolve broker:9092"]);
}

/// After an accepted connection is lost the name is looked up again, and the lost address is not the first to be tried.
#[test]
fn a_lost_address_is_not_the_first_again() {
    let mut hands = Hands::ready(config());
    hands.closed();
    hands.connect();
    hands.pass(Duration::from_secs(1));
    assert_eq!(hands.actions(), ["resolve broker:9092"]);
    hands.resolved(&["10.0.0.1:9092", "10.0.0.2:9092"]);
    assert_eq!(hands.actions(), ["dial 10.0.0.2:9092"]);
}

#[test]
fn a_node_id_with_a_new_host_reconnects() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.actions();
    hands.connect_to(Endpoint::new("elsewhere", 9092));
    assert_eq!(hands.actions(), ["close", "resolve elsewhere:9092"]);
    let error = hands.disconnect_error();
    assert_eq!(error.kind(), &NetworkErrorKind::EndpointChanged);
    assert!(error.is_local());
    assert_eq!(error.endpoint(), &home());
}

#[test]
fn setup_timeouts_say_how_far_it_got() {
    let check = |mut hands: Hands, expected: SetupStage| {
        hands.actions();
        assert_eq!(hands.pass_until_output(), Duration::from_secs(10));
        assert_eq!(hands.actions(), ["close"]);
        let error = hands.disconnect_error();
        let timeout = Duration::from_secs(10);
        assert_eq!(
            error.kind(),
            &NetworkErrorKind::SetupTimeout {
                stage: expected,
                timeout
            }
        );
        assert!(error.is_timeout());
    };
    check(STATES[3].1(), SetupStage::Resolving);
    check(STATES[4].1(), SetupStage::Dialing);
    check(STATES[5].1(), SetupStage::ApiVersions);
}

#[test]
fn nothing_is_pending_without_nodes() {
    let mut hands = Hands::new(config());
    assert_eq!(hands.network.poll_timeout(), None);
    hands.network.handle_timeout(Time::MAX);
    assert!(hands.network.poll_io().is_none() && hands.network.poll_event().is_none());
}

#[test]
fn tls_that_fails_is_told_as_such_wherever_the_setup_stands() {
    for (state, expected) in [("dialing", true), ("negotiating", true), ("ready", false)] {
        let (_, way) = STATES.into_iter().find(|(name, _)| *name == state).unwrap();
        let mut hands = way();
        let failure = TlsFailure::UnknownIssuer { trusted: 1 };
        hands.failed(failure.into());
        let error = hands.disconnect_error();
        assert_eq!(error.is_authentication(), expected, "{state}: {error}");
        assert!(!error.is_wrong_peer(), "{error}");
    }
}

#[test]
fn a_peer_that_is_no_broker_is_told_apart_from_a_broken_one() {
    for (answer, expected) in [
        (&b"\x15\x03\x03\0\x02"[..], true),
        (b"HTTP/1.1", true),
        (b"\0\0\0\0", true),
        // One that says too much may be a broker all the same.
        (b"\0\x01\0\x01", false),
    ] {
        let mut hands = Hands::negotiating(config());
        hands.write_all();
        hands.read(answer.to_vec());
        let error = hands.disconnect_error();
        assert_eq!(error.is_wrong_peer(), expected, "{error}");
        assert!(!error.is_authentication(), "{error}");
    }
}

#[test]
fn an_alias_is_called_by_the_canonical_name_of_each_of_its_addresses() {
    let alias = || home().by_canonical_name();
    let named = |hands: &mut Hands, name: Result<&str, IoFailure>| {
        let connection = hands.id();
        hands.network.handle_named(connection, name.map(str::to_owned));
        // The actions are collected with the next input.
        hands.pass(Duration::ZERO);
    };
    let mut hands = Hands::new(config());
    hands.connect_to(alias());
    hands.resolved(&["10.0.0.1:9092", "10.0.0.2:9092"]);
    assert_eq!(hands.actions(), ["resolve broker:9092", "name 10.0.0.1"]);
    named(&mut hands, Ok("one.example"));
    assert_eq!(hands.actions(), ["dial 10.0.0.1:9092"]);
    assert_eq!(hands.called, "one.example");
    hands.failed(IoFailure::new(ErrorKind::ConnectionRefused, "refused"));
    let error = hands.disconnect_error();
    assert_eq!(error.endpoint(), &Endpoint::new("one.example", 9092));

    // Without a name the address stands for itself.
    hands.pass(Duration::from_millis(50));
    hands.connect_to(alias());
    assert_eq!(hands.actions(), ["name 10.0.0.2"]);
    named(&mut hands, Err(IoFailure::new(ErrorKind::NotFound, "no name")));
    assert_eq!(hands.actions(), ["dial 10.0.0.2:9092"]);
    assert_eq!(hands.called, "10.0.0.2");
    hands.connected();
    hands.write_all();
    hands.read(versions_answer(0));
    assert_eq!(hands.events(), ["ready 1"]);
    // A name that comes late changes nothing, and neither does asking for the same again.
    named(&mut hands, Ok("late.example"));
    hands.connect_to(alias());
    assert_eq!(hands.state(), Some(NodeState::Ready));
    assert_eq!(hands.actions(), ["write"]);
    // What is not by its canonical name is another endpoint.
    hands.connect();
    assert_eq!(hands.actions(), ["close", "resolve broker:9092"]);
}

#[test]
fn a_name_that_never_comes_costs_the_setup_timeout() {
    let mut hands = Hands::new(config());
    hands.connect_to(home().by_canonical_name());
    hands.resolved(&["10.0.0.1:9092"]);
    hands.pass(Duration::from_secs(10));
    let error = hands.disconnect_error();
    let stage = SetupStage::Resolving;
    let timeout = Duration::from_secs(10);
    assert_eq!(error.kind(), &NetworkErrorKind::SetupTimeout { stage, timeout });
    assert_eq!(hands.actions(), ["resolve broker:9092", "name 10.0.0.1", "close"]);
}
