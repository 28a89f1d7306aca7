//! A broker that knows the protocol, and keeps to it or not: it lets a client in, ends its sessions, answers late, in
//! pieces, in the wrong order or with lies, and hangs up.
//!
//! The client's connection states are held against what such a broker can see and a client can count: every request ends
//! once, an answer is the one to its own request, nothing goes out before it may, no request goes between the messages of
//! an authentication (KIP-368), no secret before the broker has taken the mechanism, and a broken rule ends the connection.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use bytes::Bytes;
use ottla_network::sasl::{Credentials, Mechanism, PasswordCredentials, SaslConfig};
use ottla_network::{
    ConnectionId, Endpoint, IoAction, IoFailure, Network, NetworkConfig, NetworkEvent, NodeState,
    OutgoingRequest, Segments,
};
use ottla_protocol::frame;
use ottla_protocol::messages::api_versions::ApiVersion;
use ottla_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse,
};
use ottla_time::Time;

use crate::within;

const NODE: i32 = 1;
const SECRET: &[u8] = b"canary";
const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
/// Neither is flexible, so the body is what stands at the end.
const REQUESTS: [(i16, i16); 2] = [(0, 8), (3, 8)];

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    within(512 * 1024 + 256 * input.len(), || {
        // Too short an input is none.
        let _ = World::new().live(&mut Unstructured::new(input));
    });
}

/// What the broker does with the oldest request that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Right,
    /// With an error code, where the message has one.
    Refusal(i16),
    /// With another correlation id.
    WrongId(i32),
    /// Bytes at the end are missing, and the length says so.
    Cut(u8),
    /// More is announced than anybody may send.
    TooLong,
    Nonsense,
}

impl Answer {
    fn arbitrary(input: &mut Unstructured<'_>) -> Result<Answer> {
        Ok(match input.int_in_range(0..=12)? {
            0..=7 => Answer::Right,
            8 => Answer::Refusal(i16::arbitrary(input)?),
            9 => Answer::WrongId(i32::arbitrary(input)?),
            10 => Answer::Cut(u8::arbitrary(input)?),
            11 => Answer::TooLong,
            _ => Answer::Nonsense,
        })
    }
}

/// A request as the broker reads it.
#[derive(Debug)]
struct Request {
    api_key: i16,
    version: i16,
    correlation_id: i32,
    body: Bytes,
}

/// What the broker knows of the connection that stands.
#[derive(Debug, Default)]
struct Link {
    id: Option<ConnectionId>,
    /// What the client wrote and the broker has not read as a whole request.
    written: Vec<u8>,
    due: VecDeque<Request>,
    /// Bytes that the I/O has not taken yet.
    untaken: usize,
    knows_versions: bool,
    /// From the client's SaslHandshake to the answer to its SaslAuthenticate.
    authenticating: bool,
    took_mechanism: bool,
    authenticated: bool,
}

struct World {
    network: Network,
    now: Time,
    link: Link,
    /// How many bytes the client gets at once.
    piece: usize,
    /// The lifetime that the broker gives to sessions, in milliseconds.
    lifetime_ms: i64,
    /// The newest version of SaslAuthenticate that the broker knows.
    authenticate_version: i16,
    /// Whether the I/O takes what is to be written.
    writable: bool,
    next: u64,
    open: BTreeSet<u64>,
    answered: usize,
    renewed: usize,
}

impl World {
    fn new() -> World {
        let credentials = Credentials::Password(PasswordCredentials::new("alice", "canary"));
        let mut config = NetworkConfig::default();
        config.sasl = Some(SaslConfig::new(Mechanism::Plain, [7; 32]).with_credentials(credentials));
        config.frame_bytes_max = 4_096;
        config.produce_frame_bytes_max = 4_096;
        config.requests_outstanding_max = 8;
        World {
            network: Network::new(config, 7).expect("good settings"),
            now: Time::from_millis(1_000),
            link: Link::default(),
            piece: usize::MAX,
            lifetime_ms: 0,
            authenticate_version: 2,
            writable: true,
            next: 0,
            open: BTreeSet::new(),
            answered: 0,
            renewed: 0,
        }
    }

    /// Returns how many requests were answered, and how many sessions renewed.
    fn live(mut self, input: &mut Unstructured<'_>) -> Result<(usize, usize)> {
        self.connect();
        while !input.is_empty() {
            match input.int_in_range(0..=15)? {
                0..=5 => self.answer(Answer::arbitrary(input)?),
                6..=8 => {
                    let (key, version) = *input.choose(&REQUESTS)?;
                    self.send(key, version);
                }
                9 | 10 => self.pass(u64::from(u16::arbitrary(input)?)),
                11 => self.connect(),
                12 => match input.int_in_range(0..=3)? {
                    0 => self.hang_up(),
                    1 => self.network.disconnect(NODE, self.now),
                    2 => self.unasked(),
                    _ => self.swap(),
                },
                13 => self.piece = usize::from(u8::arbitrary(input)?).max(1),
                14 => {
                    self.lifetime_ms = *input.choose(&[0, 1, 1_000, 10_000, i64::MAX, -1])?;
                    self.authenticate_version = input.int_in_range(0..=2)?;
                }
                _ => self.writable = bool::arbitrary(input)?,
            }
            self.settle();
        }
        self.network.remove(NODE, self.now);
        self.settle();
        assert!(
            self.open.is_empty(),
            "these requests never ended: {:?}",
            self.open
        );
        Ok((self.answered, self.renewed))
    }

    fn connect(&mut self) {
        self.network
            .connect(NODE, Endpoint::new("broker", 9092), self.now);
        self.settle();
    }

    fn send(&mut self, api_key: i16, api_version: i16) {
        let id = self.next;
        let request = OutgoingRequest {
            id,
            api_key,
            api_version,
            flexible: false,
            body: Segments::from(Bytes::copy_from_slice(&id.to_be_bytes())),
            expects_response: true,
            timeout: Duration::from_secs(5),
        };
        if self.network.send(NODE, request, self.now).is_ok() {
            self.open.insert(id);
            self.next += 1;
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.network.handle_timeout(self.now);
    }

    fn hang_up(&mut self) {
        if let Some(id) = self.link.id.take() {
            self.network
                .handle_closed(id, IoFailure::end_of_stream(), self.now);
        }
    }

    /// Bytes that nobody asked for.
    fn unasked(&mut self) {
        let nothing_due = self.link.due.is_empty() && self.link.written.is_empty() && self.link.untaken == 0;
        if self.link.id.is_some() && nothing_due {
            self.deliver(b"\0\0\0\x04\0\0\0\0");
            assert!(self.is_closed(), "nobody asked for that");
        }
    }

    /// The broker takes two requests in the wrong order.
    fn swap(&mut self) {
        if self.link.due.len() >= 2 {
            self.link.due.swap(0, 1);
            self.answer(Answer::Right);
            assert!(self.is_closed(), "answers come in the order of their requests");
        }
    }

    fn is_closed(&mut self) -> bool {
        self.settle();
        self.link.id.is_none() && !matches!(self.network.node_state(NODE), Some(NodeState::Ready))
    }

    fn answer(&mut self, answer: Answer) {
        let Some(request) = self.link.due.pop_front() else {
            return;
        };
        let code = match answer {
            Answer::Refusal(code) => code,
            _ => 0,
        };
        let mut whole = self.response(&request, code);
        match answer {
            Answer::Right | Answer::Refusal(_) => self.told(&request, code),
            Answer::WrongId(by) => {
                let id = request.correlation_id.wrapping_add(by);
                whole[4..8].copy_from_slice(&id.to_be_bytes());
                if by == 0 {
                    self.told(&request, 0);
                }
            }
            Answer::Cut(by) => {
                whole.truncate(whole.len().saturating_sub(usize::from(by)).max(8));
                let size = whole.len() as i32 - 4;
                whole[..4].copy_from_slice(&size.to_be_bytes());
                // Not every byte at the end is needed.
                self.told(&request, 0);
            }
            Answer::TooLong => whole[..4].copy_from_slice(&i32::MAX.to_be_bytes()),
            Answer::Nonsense => whole = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        }
        self.deliver(&whole);
        let breaks = match answer {
            Answer::WrongId(by) => by != 0,
            Answer::TooLong | Answer::Nonsense => true,
            _ => false,
        };
        assert!(!breaks || self.is_closed(), "{answer:?} was let pass");
    }

    /// The client may believe this answer.
    fn told(&mut self, request: &Request, code: i16) {
        match request.api_key {
            API_VERSIONS => self.link.knows_versions = true,
            SASL_HANDSHAKE => self.link.took_mechanism = code == 0,
            SASL_AUTHENTICATE if code == 0 => {
                self.renewed += usize::from(self.link.authenticated);
                (self.link.authenticating, self.link.authenticated) = (false, true);
            }
            _ => {}
        }
    }

    fn response(&self, request: &Request, error_code: i16) -> Vec<u8> {
        let (version, id) = (request.version, request.correlation_id);
        let written = match request.api_key {
            API_VERSIONS => {
                let api = |api_key, max_version| ApiVersion {
                    api_key,
                    max_version,
                    ..ApiVersion::default()
                };
                let response = ApiVersionsResponse {
                    error_code,
                    api_keys: vec![
                        api(0, 8),
                        api(3, 8),
                        api(SASL_HANDSHAKE, 1),
                        api(API_VERSIONS, 4),
                        api(SASL_AUTHENTICATE, self.authenticate_version),
                    ],
                    ..ApiVersionsResponse::default()
                };
                frame::encode_response::<ApiVersionsRequest>(&response, version, id)
            }
            SASL_HANDSHAKE => {
                let response = SaslHandshakeResponse {
                    error_code,
                    mechanisms: vec!["PLAIN".to_owned()],
                };
                frame::encode_response::<SaslHandshakeRequest>(&response, version, id)
            }
            SASL_AUTHENTICATE => {
                let response = SaslAuthenticateResponse {
                    error_code,
                    session_lifetime_ms: if version > 0 { self.lifetime_ms } else { 0 },
                    ..SaslAuthenticateResponse::default()
                };
                frame::encode_response::<SaslAuthenticateRequest>(&response, version, id)
            }
            // The body of a request is its number, and so is that of its answer.
            _ => {
                let size = 4 + request.body.len() as i32;
                return [&size.to_be_bytes()[..], &id.to_be_bytes(), &request.body].concat();
            }
        };
        written.expect("a version that the client asked in").to_vec()
    }

    fn deliver(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece.min(bytes.len())) {
            // It may hang up in the middle.
            self.settle();
            if let Some(id) = self.link.id {
                self.network
                    .handle_read(id, Bytes::copy_from_slice(piece), self.now);
            }
        }
        self.settle();
    }

    /// The I/O's part, until nothing is left to do.
    fn settle(&mut self) {
        loop {
            if let Some(action) = self.network.poll_io() {
                self.act(action);
            } else if let Some(id) = self.link.id.filter(|_| self.writable && self.link.untaken > 0) {
                let taken = std::mem::take(&mut self.link.untaken);
                self.network.handle_written(id, taken, self.now);
                self.read_requests();
            } else if let Some(event) = self.network.poll_event() {
                self.hear(&event);
            } else {
                return;
            }
        }
    }

    fn act(&mut self, action: IoAction) {
        let id = action.connection();
        match action {
            IoAction::Resolve { .. } => {
                let address = ([127, 0, 0, 1], 9092).into();
                self.network.handle_resolved(id, Ok(vec![address]), self.now);
            }
            IoAction::Dial { .. } => {
                self.link = Link {
                    id: Some(id),
                    ..Link::default()
                };
                self.network.handle_connected(id, self.now);
            }
            IoAction::Write { header, body, .. } if self.link.id == Some(id) => {
                self.link.untaken += header.len() + body.bytes_total();
                self.link.written.extend_from_slice(&header);
                self.link.written.extend(body.to_vec());
                self.look_at_order();
            }
            IoAction::Close { .. } if self.link.id == Some(id) => self.link = Link::default(),
            _ => {}
        }
    }

    /// What the client hands over to be written, in its order.
    fn look_at_order(&mut self) {
        let request = last_frame(&self.link.written);
        let has_secret = request.body.windows(SECRET.len()).any(|part| part == SECRET);
        let is_of_client = REQUESTS.iter().any(|(key, _)| *key == request.api_key);
        let link = &mut self.link;
        assert!(
            link.knows_versions || request.api_key == API_VERSIONS,
            "{request:?}"
        );
        assert!(
            !is_of_client || (link.authenticated && !link.authenticating),
            "{request:?}"
        );
        assert_eq!(has_secret, request.api_key == SASL_AUTHENTICATE, "{request:?}");
        assert!(!has_secret || link.took_mechanism, "{request:?}");
        if request.api_key == SASL_HANDSHAKE {
            (link.authenticating, link.took_mechanism) = (true, false);
        }
    }

    /// The broker reads what it was sent.
    fn read_requests(&mut self) {
        while let Some(request) = first_frame(&mut self.link.written) {
            self.link.due.push_back(request);
        }
        assert!(self.link.written.is_empty(), "half a request");
    }

    fn hear(&mut self, event: &NetworkEvent) {
        match event {
            NetworkEvent::Ready { .. } => assert!(self.link.authenticated, "the broker has let nobody in"),
            NetworkEvent::Response { id, body, .. } => {
                assert!(self.open.remove(id), "{id} is not open");
                // It may have been cut.
                assert!(id.to_be_bytes().starts_with(body), "{id} got another's answer");
                self.answered += 1;
            }
            NetworkEvent::Failed { id, .. } => assert!(self.open.remove(id), "{id} is not open"),
            NetworkEvent::Disconnected { error, .. } => {
                let text = format!("{error} {error:?}");
                assert!(!text.contains("canary") && !text.contains('\n'), "{text}");
            }
            _ => {}
        }
    }
}

/// The length of the frame in front.
fn frame_bytes(stream: &[u8]) -> Option<usize> {
    let size = u32::from_be_bytes(*stream.first_chunk()?);
    Some(4 + size as usize)
}

fn first_frame(stream: &mut Vec<u8>) -> Option<Request> {
    let length = frame_bytes(stream)?;
    let frame: Vec<u8> = stream.drain(..length).collect();
    Some(request_of(&frame))
}

fn last_frame(mut stream: &[u8]) -> Request {
    loop {
        let length = frame_bytes(stream).expect("whole frames");
        if length == stream.len() {
            return request_of(stream);
        }
        stream = &stream[length..];
    }
}

/// A frame with the client's id, which is null here, and a body.
fn request_of(frame: &[u8]) -> Request {
    let number = |at: usize| i16::from_be_bytes(*frame[at..].first_chunk().expect("a header"));
    Request {
        api_key: number(4),
        version: number(6),
        correlation_id: i32::from_be_bytes(*frame[8..].first_chunk().expect("a header")),
        body: Bytes::copy_from_slice(&frame[14..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this the target could fuzz nothing but the set-up, and nobody would see it.
    #[test]
    fn the_corpus_gets_as_far_as_a_renewed_session() {
        let input = include_bytes!("../corpus/hostile_broker/renewed");
        let (answered, renewed) = World::new()
            .live(&mut Unstructured::new(input))
            .expect("long enough");
        assert!(answered >= 2 && renewed >= 1, "{answered} {renewed}");
    }
}
