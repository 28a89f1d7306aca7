//! Authentication: the exchange, its refusals, brokers of old, and authenticating again.

use crate::support::{Hands, METADATA, config, describe, frame, home, request};
use bytes::Bytes;
use ottla_network::sasl::{
    BearerToken, CredentialFailure, Credentials, Mechanism, PasswordCredentials, SaslConfig, SaslFailure,
};
use ottla_network::{NetworkConfig, NetworkErrorKind, NodeState};
use std::time::Duration;

/// The first correlation id of SASL.
const SASL_ID: i32 = 2_147_483_640;

/// Settings with a mechanism, and its credentials if they are fixed.
fn sasl(mechanism: Mechanism, credentials: Option<Credentials>) -> NetworkConfig {
    let mut sasl = SaslConfig::new(mechanism, [7; 32]);
    if let Some(credentials) = credentials {
        sasl = sasl.with_credentials(credentials);
    }
    let mut config = config();
    config.sasl = Some(sasl);
    config
}

fn alice() -> Credentials {
    Credentials::Password(PasswordCredentials::new("alice", "canary"))
}

fn plain() -> NetworkConfig {
    sasl(Mechanism::Plain, Some(alice()))
}

/// The answer to ApiVersions with correlation id 0, by a broker with these versions of SaslHandshake and
/// SaslAuthenticate.
fn versions_answer(handshake: Option<i16>, authenticate: Option<i16>) -> Bytes {
    let apis = [(17_i16, handshake), (36, authenticate)];
    let apis: Vec<(i16, i16)> = apis.iter().filter_map(|&(key, max)| Some((key, max?))).collect();
    let mut list = vec![apis.len() as u8 + 1];
    for (key, max) in apis {
        list.extend(key.to_be_bytes());
        list.extend(0_i16.to_be_bytes());
        list.extend(max.to_be_bytes());
        list.push(0);
    }
    frame(&[&0_i32.to_be_bytes(), b"\0\0", &list, b"\0\0\0\0\0"])
}

fn handshake_answer(id: i32, code: i16, mechanisms: &[&str]) -> Bytes {
    let mut body = code.to_be_bytes().to_vec();
    body.extend((mechanisms.len() as i32).to_be_bytes());
    for name in mechanisms {
        body.extend((name.len() as i16).to_be_bytes());
        body.extend(name.as_bytes());
    }
    frame(&[&id.to_be_bytes(), &body])
}

/// In version 2, which is flexible.
fn authenticate_answer(id: i32, code: i16, message: &str, bytes: &[u8], lifetime_ms: i64) -> Bytes {
    frame(&[
        &id.to_be_bytes(),
        b"\0",
        &code.to_be_bytes(),
        &[message.len() as u8 + 1],
        message.as_bytes(),
        &[bytes.len() as u8 + 1],
        bytes,
        &lifetime_ms.to_be_bytes(),
        b"\0",
    ])
}

/// Hands with a broker that has told its versions and has the next message before it.
fn after_versions(config: NetworkConfig, handshake: Option<i16>, authenticate: Option<i16>) -> Hands {
    let mut hands = Hands::negotiating(config);
    hands.read(versions_answer(handshake, authenticate));
    hands
}

/// What was written since the last call, without the frame's length.
fn sent(hands: &mut Hands) -> Vec<u8> {
    let outgoing = hands.outgoing.clone();
    hands.write_all();
    hands.actions();
    let (length, message) = outgoing.split_at(4);
    assert_eq!(
        i32::from_be_bytes(length.try_into().unwrap()) as usize,
        message.len()
    );
    message.to_vec()
}

/// The header of a request of SASL with client id "me".
fn header(key: i16, version: i16, id: i32) -> Vec<u8> {
    let mut header = [key.to_be_bytes(), version.to_be_bytes()].concat();
    header.extend(id.to_be_bytes());
    header.extend(b"\0\x02me");
    if key == 36 && version == 2 {
        header.push(0);
    }
    header
}

/// Goes through PLAIN from the handshake on; ids begin at `id`.
fn authenticate_plain(hands: &mut Hands, id: i32, lifetime_ms: i64) {
    assert_eq!(sent(hands), [&header(17, 1, id)[..], b"\0\x05PLAIN"].concat());
    hands.read(handshake_answer(id, 0, &["PLAIN"]));
    assert_eq!(
        sent(hands),
        [&header(36, 2, id + 1)[..], b"\x0e\0alice\0canary\0"].concat()
    );
    hands.read(authenticate_answer(id + 1, 0, "", b"", lifetime_ms));
}

/// Hands with a session of that life.
fn ready(lifetime_ms: i64) -> Hands {
    let mut hands = after_versions(plain(), Some(1), Some(2));
    authenticate_plain(&mut hands, SASL_ID, lifetime_ms);
    assert_eq!(hands.events(), ["ready 1"]);
    hands
}

fn failure(hands: &mut Hands) -> SaslFailure {
    let error = hands.disconnect_error();
    assert!(!error.to_string().contains("canary") && !format!("{error:?}").contains("canary"));
    let NetworkErrorKind::Sasl { failure, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(error.is_authentication(), !failure.is_transient());
    failure.clone()
}

#[test]
fn plain_in_two_round_trips() {
    let mut hands = after_versions(plain(), Some(1), Some(2));
    assert_eq!(hands.state(), Some(NodeState::Connecting));
    authenticate_plain(&mut hands, SASL_ID, 0);
    assert_eq!(hands.events(), ["ready 1"]);
    // A session without end: nothing of SASL comes again.
    hands.now += Duration::from_secs(500);
    hands.send(request(1, METADATA, b"x")).unwrap();
    assert_eq!(sent(&mut hands)[..2], [0, 3]);
    assert!(!format!("{:?}", hands.network).contains("canary"));
}

#[test]
fn brokers_of_old_get_bare_messages() {
    for authenticate in [None, Some(0)] {
        let mut hands = after_versions(plain(), Some(0), authenticate);
        assert_eq!(
            sent(&mut hands),
            [&header(17, 0, SASL_ID)[..], b"\0\x05PLAIN"].concat()
        );
        hands.read(handshake_answer(SASL_ID, 0, &["PLAIN"]));
        assert_eq!(sent(&mut hands), b"\0alice\0canary");
        // The answer is an empty frame, which is garbage everywhere else.
        hands.read(frame(&[]));
        assert_eq!(hands.events(), ["ready 1"]);
    }
}

#[test]
fn a_broker_without_sasl_says_so() {
    let mut hands = after_versions(plain(), None, None);
    assert_eq!(failure(&mut hands), SaslFailure::NotSupported);
    let mut hands = after_versions(plain(), Some(1), Some(2));
    hands.read(handshake_answer(SASL_ID, 34, &[]));
    hands.write_all();
    let mut hands = after_versions(plain(), Some(1), Some(2));
    sent(&mut hands);
    hands.read(handshake_answer(SASL_ID, 34, &[]));
    assert_eq!(failure(&mut hands), SaslFailure::NotExpected);
}

/// A fuzzer found that the first form ended in a panic.
#[test]
fn versions_below_zero_are_none() {
    let mut hands = after_versions(plain(), Some(1), Some(-1));
    assert_eq!(
        sent(&mut hands),
        [&header(17, 0, SASL_ID)[..], b"\0\x05PLAIN"].concat()
    );
    let mut hands = after_versions(plain(), Some(-1), Some(2));
    assert_eq!(failure(&mut hands), SaslFailure::NotSupported);
}

#[test]
fn refusals_are_for_good_and_say_why() {
    let mut hands = after_versions(plain(), Some(1), Some(2));
    sent(&mut hands);
    hands.read(handshake_answer(SASL_ID, 33, &["GSSAPI", "SCRAM-SHA-512"]));
    let refused = failure(&mut hands);
    assert!(refused.to_string().contains("GSSAPI, SCRAM-SHA-512"), "{refused}");

    let mut hands = after_versions(plain(), Some(1), Some(2));
    sent(&mut hands);
    hands.read(handshake_answer(SASL_ID, 0, &["PLAIN"]));
    sent(&mut hands);
    hands.read(authenticate_answer(SASL_ID + 1, 58, "no\nsuch user", b"", 0));
    let refused = failure(&mut hands);
    assert!(refused.to_string().contains("no\\nsuch user"), "{refused}");
    // Nothing of it is tried again by itself.
    hands.assert_timers_are_over();

    // A broker that closes instead says nothing: that may pass.
    let mut hands = after_versions(plain(), Some(1), Some(2));
    sent(&mut hands);
    hands.closed();
    let error = hands.disconnect_error();
    assert!(
        !error.is_authentication() && error.to_string().contains("while authenticating"),
        "{error}"
    );
}

#[test]
fn a_broker_that_is_slow_or_talks_too_much() {
    let mut hands = after_versions(plain(), Some(1), Some(2));
    sent(&mut hands);
    assert_eq!(hands.pass_until_output(), Duration::from_secs(10));
    let error = hands.disconnect_error();
    assert!(
        error.is_timeout() && error.to_string().contains("still authenticating"),
        "{error}"
    );

    // 64 KiB is what a message of SASL may have.
    let mut hands = after_versions(plain(), Some(1), Some(2));
    sent(&mut hands);
    hands.read(Bytes::copy_from_slice(&(64 * 1024 + 1_i32).to_be_bytes()));
    assert!(matches!(
        hands.disconnect_error().kind(),
        NetworkErrorKind::FrameLength {
            bytes_max: 65_536,
            ..
        }
    ));
}

#[test]
fn credentials_are_asked_for_and_waited_for() {
    let asked = format!("credentials for OAUTHBEARER at {}", home());
    let start = || {
        let mut hands = after_versions(sasl(Mechanism::OauthBearer, None), Some(1), Some(2));
        assert_eq!(hands.actions(), std::slice::from_ref(&asked));
        hands
    };
    let mut hands = start();
    hands.credentials(Ok(Credentials::Token(BearerToken::new("canary").unwrap())));
    assert_eq!(
        sent(&mut hands),
        [&header(17, 1, SASL_ID)[..], b"\0\x0bOAUTHBEARER"].concat()
    );
    hands.read(handshake_answer(SASL_ID, 0, &[]));
    let message = sent(&mut hands);
    assert!(
        message.ends_with(b"auth=Bearer canary\x01\x01\0"),
        "{}",
        message.escape_ascii()
    );
    hands.read(authenticate_answer(
        SASL_ID + 1,
        0,
        "",
        b"{\"status\":\"invalid_token\"}",
        0,
    ));
    assert_eq!(
        sent(&mut hands),
        [&header(36, 2, SASL_ID + 2)[..], b"\x02\x01\0"].concat()
    );
    hands.read(authenticate_answer(
        SASL_ID + 2,
        58,
        "{\"status\":\"invalid_token\"}",
        b"",
        0,
    ));
    assert!(failure(&mut hands).to_string().contains("invalid_token"));

    let mut hands = start();
    hands.credentials(Err(CredentialFailure::transient("the endpoint is away")));
    assert!(failure(&mut hands).is_transient());
    let mut hands = start();
    hands.credentials(Err(CredentialFailure::lasting("wrong secret")));
    assert!(!failure(&mut hands).is_transient());
    let mut hands = start();
    hands.credentials(Ok(alice()));
    assert!(matches!(
        failure(&mut hands),
        SaslFailure::InvalidCredentials { .. }
    ));

    // They have the time of a request.
    let mut hands = start();
    assert_eq!(hands.pass_until_output(), Duration::from_secs(30));
    assert!(
        hands
            .disconnect_error()
            .to_string()
            .contains("waiting for credentials")
    );
}

#[test]
fn a_session_that_ends_is_renewed_under_load() {
    let mut hands = ready(100_000);
    hands.now += Duration::from_millis(84_000);
    hands.send(request(1, METADATA, b"one")).unwrap();
    assert_eq!(&sent(&mut hands)[..2], b"\0\x03");

    // Late in its life: SASL goes first, and what comes now waits. What is due from before is still answered.
    hands.now += Duration::from_millis(12_000);
    hands.send(request(2, METADATA, b"two")).unwrap();
    hands.send(request(3, METADATA, b"three")).unwrap();
    assert_eq!(
        sent(&mut hands),
        [&header(17, 1, SASL_ID + 2)[..], b"\0\x05PLAIN"].concat(),
        "only the handshake"
    );
    hands.read(frame(&[&1_i32.to_be_bytes(), b"1"]));
    assert_eq!(hands.events(), ["response 1 1 1"]);
    hands.read(handshake_answer(SASL_ID + 2, 0, &["PLAIN"]));
    assert!(sent(&mut hands).ends_with(b"canary\0"));
    hands.send(request(4, METADATA, b"four")).unwrap();
    assert!(hands.outgoing.is_empty());
    hands.read(authenticate_answer(SASL_ID + 3, 0, "", b"", 100_000));
    let outgoing = hands.outgoing.clone();
    let order: Vec<usize> = [&b"two"[..], b"three", b"four"]
        .iter()
        .map(|part| {
            outgoing
                .windows(part.len())
                .position(|window| window == *part)
                .expect("it was sent")
        })
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    hands.write_all();
    for id in 2..=4_i32 {
        hands.read(frame(&[&id.to_be_bytes(), b"x"]));
    }
    assert_eq!(
        hands.events(),
        ["response 1 2 x", "response 1 3 x", "response 1 4 x"]
    );
    hands.actions();

    // And again; an idle session that has ended is no trouble.
    hands.now += Duration::from_millis(300_000);
    hands.send(request(5, METADATA, b"five")).unwrap();
    authenticate_plain(&mut hands, SASL_ID + 4, 0);
    assert!(sent(&mut hands).ends_with(b"five"));
}

#[test]
fn a_renewal_that_fails_ends_what_waits() {
    let mut hands = ready(1_000);
    hands.now += Duration::from_millis(950);
    hands.send(request(1, METADATA, b"one")).unwrap();
    hands.send(request(2, METADATA, b"two")).unwrap();
    sent(&mut hands);
    hands.read(handshake_answer(SASL_ID + 2, 0, &["PLAIN"]));
    sent(&mut hands);
    hands.read(authenticate_answer(SASL_ID + 3, 58, "user is gone", b"", 0));
    assert_eq!(
        hands.events(),
        [
            "failed 1 1 written=false",
            "failed 1 2 written=false",
            "disconnected 1"
        ]
    );

    // A broker that is silent is given the time of a request.
    let mut hands = ready(1_000);
    hands.now += Duration::from_millis(950);
    hands.send(request(1, METADATA, b"one")).unwrap();
    sent(&mut hands);
    assert_eq!(hands.pass_until_output(), Duration::from_secs(30));
    assert_eq!(hands.events(), ["failed 1 1 written=false", "disconnected 1"]);
}

#[test]
fn requests_go_on_while_credentials_are_got() {
    let mut hands = after_versions(sasl(Mechanism::ScramSha256, None), Some(1), Some(2));
    hands.credentials(Ok(alice()));
    sent(&mut hands);
    hands.read(handshake_answer(SASL_ID, 0, &[]));
    let first = sent(&mut hands);
    let nonce_at = first.windows(2).position(|window| window == b"r=").unwrap() + 2;
    let nonce = first[nonce_at..nonce_at + 24].to_vec();
    let challenge = [b"r=", &nonce[..], b"x,s=W22Z,i=4096"].concat();
    hands.read(authenticate_answer(SASL_ID + 1, 0, "", &challenge, 0));
    sent(&mut hands);
    // A broker that does not know the password.
    hands.read(authenticate_answer(SASL_ID + 2, 0, "", b"v=AAAA", 0));
    assert_eq!(failure(&mut hands), SaslFailure::ServerNotProven);

    let mut hands = after_versions(sasl(Mechanism::Plain, None), Some(1), Some(2));
    hands.credentials(Ok(alice()));
    authenticate_plain(&mut hands, SASL_ID, 100_000);
    hands.events();
    hands.now += Duration::from_millis(96_000);
    hands.send(request(1, METADATA, b"one")).unwrap();
    assert!(sent(&mut hands).ends_with(b"one"), "the session still lasts");
    hands.now += Duration::from_millis(5_000);
    hands.send(request(2, METADATA, b"two")).unwrap();
    assert!(hands.outgoing.is_empty(), "it does no more");
    hands.read(frame(&[&1_i32.to_be_bytes(), b"1"]));
    hands.credentials(Ok(alice()));
    authenticate_plain(&mut hands, SASL_ID + 2, 0);
    assert!(sent(&mut hands).ends_with(b"two"));

    // Credentials that do not come end the connection.
    let mut hands = after_versions(sasl(Mechanism::Plain, None), Some(1), Some(2));
    hands.credentials(Ok(alice()));
    authenticate_plain(&mut hands, SASL_ID, 1_000);
    hands.events();
    hands.now += Duration::from_millis(1_500);
    hands.send(request(1, METADATA, b"one")).unwrap();
    hands.actions();
    assert_eq!(hands.pass_until_output(), Duration::from_secs(30));
    assert_eq!(hands.events(), ["failed 1 1 written=false", "disconnected 1"]);
}

#[test]
fn no_two_authentications_have_the_same_nonce() {
    let mut nonces = Vec::new();
    let mut hands = Hands::new(sasl(Mechanism::ScramSha512, Some(alice())));
    for _ in 0..3 {
        hands.connect();
        hands.resolved(&["10.0.0.1:9092"]);
        hands.connected();
        let id = i32::from_be_bytes(hands.outgoing[8..12].try_into().unwrap());
        assert_eq!(id, 0);
        hands.write_all();
        hands.read(versions_answer(Some(1), Some(2)));
        sent(&mut hands);
        hands.read(handshake_answer(SASL_ID, 0, &[]));
        nonces.push(sent(&mut hands));
        hands.disconnect();
        hands.actions();
    }
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2]);
    assert_eq!(
        hands
            .network
            .poll_event()
            .iter()
            .map(describe)
            .collect::<Vec<_>>(),
        [""; 0]
    );
}

/// A client without SASL whose connection was lost at its first request, and whose next one has told its versions.
fn turned_away(handshake: Option<i16>) -> Hands {
    let mut hands = after_versions(config(), handshake, None);
    assert_eq!(hands.events(), ["ready 1"]);
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.closed();
    assert!(hands.disconnect_error().to_string().contains("connection lost"));
    hands.pass(Duration::from_millis(50));
    hands.connect();
    hands.resolved(&["10.0.0.1:9092"]);
    hands.connected();
    hands.write_all();
    hands.actions();
    hands.read(versions_answer(handshake, None));
    hands
}

#[test]
fn a_listener_that_wants_sasl_is_told_from_a_broker_that_stops() {
    let mut hands = turned_away(Some(1));
    assert_eq!(hands.state(), Some(NodeState::Connecting));
    assert_eq!(
        sent(&mut hands),
        [&header(17, 1, SASL_ID)[..], b"\0\x05PLAIN"].concat()
    );
    hands.read(handshake_answer(SASL_ID, 33, &["SCRAM-SHA-512"]));
    let error = hands.disconnect_error();
    assert!(
        error.is_wrong_peer() && error.to_string().contains("SASL, by SCRAM-SHA-512"),
        "{error}"
    );

    // ILLEGAL_SASL_STATE: it wants none.
    let mut hands = turned_away(Some(1));
    sent(&mut hands);
    hands.read(handshake_answer(SASL_ID, 34, &[]));
    assert_eq!(hands.events(), ["ready 1"]);

    // A broker that knows no SASL, and one that is silent once, are used as they are.
    assert_eq!(turned_away(None).events(), ["ready 1"]);
    let mut hands = turned_away(Some(1));
    sent(&mut hands);
    hands.closed();
    assert!(!hands.disconnect_error().is_wrong_peer());
    hands.pass(Duration::from_secs(1));
    hands.connect();
    hands.resolved(&["10.0.0.1:9092"]);
    hands.connected();
    hands.write_all();
    hands.read(versions_answer(Some(1), None));
    assert_eq!(hands.events(), ["ready 1"]);
}

#[test]
fn a_connection_that_has_answered_is_not_suspected() {
    let mut hands = after_versions(config(), Some(1), None);
    hands.events();
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.read(frame(&[&1_i32.to_be_bytes(), b"yes"]));
    hands.send(request(6, METADATA, b"six")).unwrap();
    hands.write_all();
    hands.closed();
    hands.events();
    hands.pass(Duration::from_millis(50));
    hands.connect();
    hands.resolved(&["10.0.0.1:9092"]);
    hands.connected();
    hands.write_all();
    hands.read(versions_answer(Some(1), None));
    assert_eq!(hands.events(), ["ready 1"]);
}
