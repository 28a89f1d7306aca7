//! A peer that says the wrong things: each time one error that says what it looks like, and the connection closes.

use crate::support::{Hands, METADATA, NODE, PRODUCE, config, describe, frame, request, versions_answer};
use bytes::Bytes;
use ottla_network::{LooksLike, NetworkError, NetworkErrorKind};
use proptest::prelude::*;
use std::time::Duration;

/// The error that these bytes end a connection with: one that negotiates, and one that waits for two answers.
fn errors_after(bytes: &[u8]) -> [NetworkError; 2] {
    let mut busy = Hands::ready(config());
    busy.send(request(5, METADATA, b"five")).unwrap();
    busy.send(request(6, PRODUCE, b"six")).unwrap();
    busy.write_all();
    [Hands::negotiating(config()), busy].map(|mut hands| {
        hands.actions();
        hands.read(Bytes::copy_from_slice(bytes));
        assert_eq!(hands.actions(), ["close"], "{bytes:?}");
        let error = hands.disconnect_error();
        assert!(error.is_protocol_violation() && !error.is_timeout() && !error.is_local());
        error
    })
}

#[test]
fn impossible_frames_say_what_they_look_like() {
    let check = |bytes: &[u8], expected: LooksLike, words: &str| {
        for (error, is_first) in errors_after(bytes).into_iter().zip([true, false]) {
            // Garbage that comes first is no broker's.
            let expected = match expected {
                LooksLike::Garbage if is_first => LooksLike::NoBroker,
                other => other,
            };
            let is_wrong_peer = !matches!(expected, LooksLike::Garbage | LooksLike::LongFrame);
            assert_eq!(error.is_wrong_peer(), is_wrong_peer, "{error}");
            let NetworkErrorKind::FrameLength { looks_like, .. } = error.kind() else {
                panic!("{error}")
            };
            assert_eq!(*looks_like, expected, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    };
    check(&(-1_i32).to_be_bytes(), LooksLike::Garbage, "would be -1 bytes");
    check(&0_i32.to_be_bytes(), LooksLike::Garbage, "would be 0 bytes");
    check(&3_i32.to_be_bytes(), LooksLike::Garbage, "would be 3 bytes");
    check(
        &i32::MAX.to_be_bytes(),
        LooksLike::Garbage,
        "would be 2147483647 bytes",
    );
    check(
        b"\x15\x03\x03\x00\x02\x02\x50",
        LooksLike::Tls,
        "security.protocol",
    );
    check(
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        LooksLike::Http,
        "a HTTP server listens there",
    );
    check(
        b"SSH-2.0-OpenSSH_9.9\r\n",
        LooksLike::Ssh,
        "a SSH server listens there",
    );
    check(b"220 mail ready\r\n", LooksLike::Text, "\"220 \"");
    check(
        &(200_i32 << 20).to_be_bytes(),
        LooksLike::LongFrame,
        "209715200 bytes",
    );
}

#[test]
fn answers_are_bounded_by_what_is_expected() {
    let check = |mut hands: Hands, longest: usize| {
        hands.read((longest as i32 + 1).to_be_bytes().to_vec());
        let error = hands.disconnect_error();
        let NetworkErrorKind::FrameLength {
            length,
            bytes_max,
            looks_like,
        } = error.kind()
        else {
            panic!("{error}");
        };
        assert_eq!((*length as usize, *bytes_max), (longest + 1, longest));
        assert_eq!(*looks_like, LooksLike::LongFrame);
    };
    let waiting_for = |what| {
        let mut hands = Hands::ready(config());
        hands.send(request(5, what, b"five")).unwrap();
        hands.write_all();
        hands
    };
    check(Hands::negotiating(config()), 64 * 1024);
    check(waiting_for(PRODUCE), 1024 * 1024);
    check(waiting_for(METADATA), 16 * 1024 * 1024);
    // The longest is taken.
    let mut hands = waiting_for(PRODUCE);
    hands.read(frame(&[b"\0\0\0\x01\0", &vec![7; 1024 * 1024 - 5]]));
    assert_eq!(hands.events().len(), 1);
}

#[test]
fn unknown_or_wrong_correlation_id_closes() {
    for received in [-1, 1, 3, i32::MAX, i32::MIN] {
        let mut hands = Hands::ready(config());
        for id in [1, 2, 3] {
            hands.send(request(id, METADATA, b"x")).unwrap();
        }
        hands.write_all();
        hands.actions();
        hands.read(frame(&[b"\0\0\0\x01"]));
        hands.read(frame(&[&received.to_be_bytes()]));
        assert_eq!(hands.actions(), ["close"]);
        assert_eq!(
            hands.events(),
            [
                "response 1 1 ",
                "failed 1 2 written=true",
                "failed 1 3 written=true",
                "disconnected 1"
            ]
        );
    }
    let [_, error] = errors_after(&frame(&[b"\0\0\0\x07"]));
    assert_eq!(
        error.kind(),
        &NetworkErrorKind::CorrelationMismatch {
            expected: 1,
            received: 7
        }
    );
}

#[test]
fn unsolicited_bytes_close() {
    let mut hands = Hands::ready(config());
    hands.read(&b"\0"[..]);
    assert_eq!(hands.disconnect_error().kind(), &NetworkErrorKind::Unsolicited);

    // Also in one piece with the last answer that was due: that one still counts.
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.write_all();
    hands.read([&frame(&[b"\0\0\0\x01", b"ok"])[..], b"\0"].concat());
    assert_eq!(hands.events(), ["response 1 5 ok", "disconnected 1"]);

    // A request that expects no answer gets none.
    let mut hands = Hands::ready(config());
    let mut silent = request(5, PRODUCE, b"silent");
    silent.expects_response = false;
    hands.send(silent).unwrap();
    hands.written(3);
    hands.read(frame(&[b"\0\0\0\x01"]));
    assert_eq!(hands.disconnect_error().kind(), &NetworkErrorKind::Unsolicited);
}

#[test]
fn an_answer_before_its_request_is_written_closes() {
    let mut hands = Hands::ready(config());
    hands.send(request(5, METADATA, b"five")).unwrap();
    hands.written(3);
    hands.read(frame(&[b"\0\0\0\x01"]));
    assert_eq!(
        hands.disconnect_error().kind(),
        &NetworkErrorKind::AnsweredBeforeWritten
    );
}

#[test]
fn garbage_after_api_versions_closes() {
    let mut hands = Hands::negotiating(config());
    hands.read([&versions_answer(0)[..], b"garbage"].concat());
    assert_eq!(hands.events(), ["ready 1", "disconnected 1"]);
    hands.assert_timers_are_over();
}

#[test]
fn truncated_api_versions_is_malformed() {
    let whole = versions_answer(0);
    for end in 8..whole.len() {
        let mut hands = Hands::negotiating(config());
        hands.read(frame(&[&whole[4..end]]));
        let error = hands.disconnect_error();
        assert!(
            matches!(error.kind(), NetworkErrorKind::Malformed { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn bad_tagged_fields_of_the_header_are_malformed() {
    for tags in [
        &b""[..],
        b"\x01",
        b"\x01\x05",
        b"\x01\x05\x02z",
        b"\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\x0f",
    ] {
        let mut hands = Hands::ready(config());
        hands.send(request(5, PRODUCE, b"five")).unwrap();
        hands.write_all();
        hands.read(frame(&[b"\0\0\0\x01", tags]));
        let error = hands.disconnect_error();
        assert!(
            matches!(error.kind(), NetworkErrorKind::Malformed { .. }),
            "{tags:?}: {error}"
        );
    }
}

/// A host's name comes from the broker's metadata, and may end in a log.
#[test]
fn a_hostile_host_name_is_escaped() {
    let mut hands = Hands::new(config());
    hands.connect_to(ottla_network::Endpoint::new("a\n\x1b[31mFATAL", 1));
    hands.resolve_failed();
    let error = hands.disconnect_error().to_string();
    assert!(!error.contains('\n') && !error.contains('\x1b'), "{error}");
}

/// An exchange: the bytes of both directions, for the tests below. Three requests, three answers.
fn exchange() -> (Hands, Vec<u8>) {
    let mut hands = Hands::negotiating(config());
    hands.read(versions_answer(0));
    hands.events();
    for id in [5, 6, 7] {
        let what = if id == 6 { PRODUCE } else { METADATA };
        hands.send(request(id, what, b"body")).unwrap();
    }
    hands.actions();
    let answers = [
        frame(&[b"\0\0\0\x01", b"one"]),
        frame(&[b"\0\0\0\x02", b"\0", &[b'2'; 300]]),
        frame(&[b"\0\0\0\x03"]),
    ];
    (hands, answers.concat())
}

#[test]
fn reset_at_every_offset_of_the_answers_fails_what_is_open() {
    let (_, answers) = exchange();
    for offset in 0..=answers.len() {
        let (mut hands, _) = exchange();
        hands.write_all();
        hands.read(Bytes::copy_from_slice(&answers[..offset]));
        hands.closed();
        let events = hands.events();
        let answered = events
            .iter()
            .filter(|event| event.starts_with("response"))
            .count();
        let failed = events
            .iter()
            .filter(|event| event.ends_with("written=true"))
            .count();
        assert_eq!(
            (answered + failed, events.len()),
            (3, 4),
            "offset {offset}: {events:?}"
        );
        assert_eq!(events[3], "disconnected 1");
        assert_eq!(
            answered,
            [11, 11 + 309, 11 + 309 + 8]
                .iter()
                .filter(|&&end| end <= offset)
                .count()
        );
    }
}

#[test]
fn reset_at_every_offset_of_a_send_tells_what_may_have_arrived() {
    let (hands, _) = exchange();
    let length = hands.outgoing.len();
    // The second one has a flexible header: one byte more.
    let starts = [0, length / 3, length / 3 * 2 + 1];
    for offset in 0..=length {
        let (mut hands, _) = exchange();
        hands.written(offset);
        hands.closed();
        let expected: Vec<_> = std::iter::zip([5, 6, 7], starts)
            .map(|(id, start)| format!("failed 1 {id} written={}", offset > start))
            .chain(["disconnected 1".to_owned()])
            .collect();
        assert_eq!(hands.events(), expected, "offset {offset} of {length}");
    }
}

/// What the peer says in one go and what it says in pieces give the same.
fn events_in_chunks(stream: &[u8], cuts: &[usize]) -> (Vec<String>, Vec<String>) {
    let mut hands = Hands::negotiating(config());
    hands.actions();
    let mut events = Vec::new();
    let mut at = 0;
    // Requests go out when the node is ready, whatever piece that is in; a stream is cut after ApiVersions for that.
    let greeting = versions_answer(0);
    hands.read(greeting);
    for id in [5, 6, 7] {
        let what = if id == 6 { PRODUCE } else { METADATA };
        hands.send(request(id, what, b"body")).unwrap();
    }
    hands.write_all();
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let cut = cut.clamp(at, stream.len());
        hands.read(Bytes::copy_from_slice(&stream[at..cut]));
        at = cut;
        events.extend(hands.events());
    }
    hands.pass(Duration::from_secs(60));
    events.extend(hands.events());
    (events, hands.actions())
}

fn answer_parts() -> impl Strategy<Value = Vec<u8>> {
    let answer =
        |correlation_id: i32, body: Vec<u8>| frame(&[&correlation_id.to_be_bytes(), b"\0", &body]).to_vec();
    prop_oneof![
        8 => (1..4_i32, prop::collection::vec(any::<u8>(), 0..40)).prop_map(move |(id, body)| answer(id, body)),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        ordered in any::<bool>(),
        parts in prop::collection::vec(answer_parts(), 0..5),
        mut cuts in prop::collection::vec(0..200_usize, 0..20),
    ) {
        let mut stream: Vec<u8> = Vec::new();
        if ordered {
            for id in 1..4_i32 {
                stream.extend(frame(&[&id.to_be_bytes(), b"\0good"]));
            }
        }
        stream.extend(parts.concat());
        cuts.sort_unstable();
        let whole = events_in_chunks(&stream, &[]);
        prop_assert_eq!(&whole, &events_in_chunks(&stream, &cuts));
        let bytes: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(&whole, &events_in_chunks(&stream, &bytes));
    }

    /// Whatever a broker says from its first byte on: no panic, an end by the deadline, one end for each request.
    #[test]
    fn any_bytes_end_well(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
        let mut hands = Hands::negotiating(config());
        for chunk in &chunks {
            hands.read(Bytes::copy_from_slice(chunk));
        }
        hands.pass(Duration::from_secs(60));
        let events = hands.events();
        prop_assert_eq!(events.last().map(String::as_str), Some("disconnected 1"));
        prop_assert_eq!(hands.network.requests_outstanding(NODE), 0);
    }

    /// Answers to ApiVersions with flipped bits: ready, asked again, or an error.
    #[test]
    fn flipped_api_versions_end_well(flips in prop::collection::vec((8..52_usize, 0..8_u8), 1..4)) {
        let mut answer = versions_answer(0).to_vec();
        for (at, bit) in flips {
            let at = at.min(answer.len() - 1);
            answer[at] ^= 1 << bit;
        }
        let mut hands = Hands::negotiating(config());
        hands.actions();
        hands.read(answer);
        let events: Vec<_> = hands.events();
        let asked_again = hands.actions() == ["write"];
        prop_assert!(asked_again != (events == ["ready 1"] || events == ["disconnected 1"]), "{:?}", events);
    }
}

/// The same seed and inputs give the same outputs, jitter included.
#[test]
fn deterministic() {
    let run = || {
        let mut hands = Hands::new(ottla_network::NetworkConfig::default());
        let mut log = Vec::new();
        for _ in 0..20 {
            hands.connect();
            hands.pass(Duration::from_secs(1));
            hands.refused();
            log.push(format!("{:?} {:?}", hands.state(), hands.network.poll_timeout()));
            while let Some(event) = hands.network.poll_event() {
                log.push(describe(&event));
            }
        }
        log
    };
    assert_eq!(run(), run());
}
