//! A network with hands instead of I/O: tests feed it and read what comes out as text.

use bytes::Bytes;
use ottla_network::sasl::{CredentialFailure, Credentials};
use ottla_network::{
    ConnectionId, Endpoint, IoAction, IoFailure, Network, NetworkConfig, NetworkError, NetworkEvent,
    NodeState, OutgoingRequest, Segments, SendError,
};
use ottla_time::Time;
use std::io;
use std::time::Duration;

/// The node that most tests talk to.
pub(crate) const NODE: i32 = 1;
/// Produce at version 11, which is flexible.
pub(crate) const PRODUCE: (i16, i16, bool) = (0, 11, true);
/// Metadata at version 8, which is not.
pub(crate) const METADATA: (i16, i16, bool) = (3, 8, false);

/// The endpoint of [`NODE`].
pub(crate) fn home() -> Endpoint {
    Endpoint::new("broker", 9092)
}

/// Settings without surprises: constant backoff and timeouts have no jitter.
pub(crate) fn config() -> NetworkConfig {
    let mut config = NetworkConfig::default();
    config.client_id = Some("me".to_owned());
    config.reconnect_backoff = Duration::from_millis(50);
    config.reconnect_backoff_max = Duration::from_millis(50);
    config.connection_setup_timeout = Duration::from_secs(10);
    config.connection_setup_timeout_max = Duration::from_secs(10);
    config
}

/// A request to Produce or Metadata.
pub(crate) fn request(
    id: u64,
    (api_key, api_version, flexible): (i16, i16, bool),
    body: &'static [u8],
) -> OutgoingRequest {
    OutgoingRequest {
        id,
        api_key,
        api_version,
        flexible,
        body: Segments::from(Bytes::from_static(body)),
        expects_response: true,
        timeout: Duration::from_secs(30),
    }
}

/// A frame around `parts`.
pub(crate) fn frame(parts: &[&[u8]]) -> Bytes {
    let content = parts.concat();
    let mut frame = (content.len() as i32).to_be_bytes().to_vec();
    frame.extend(content);
    Bytes::from(frame)
}

/// The answer to ApiVersions version 4 with this correlation id: two APIs, a feature, epoch 9.
pub(crate) fn versions_answer(correlation_id: i32) -> Bytes {
    frame(&[
        &correlation_id.to_be_bytes(),
        b"\0\0",
        b"\x03\0\0\0\x03\0\x0d\0\0\x03\0\x00\0\x0d\0",
        b"\0\0\0\0",
        // Two tagged fields: 1, the epoch; 2, one feature "tv" from 1 to 2.
        b"\x02\x01\x08\0\0\0\0\0\0\0\x09\x02\x09\x02\x03tv\0\x02\0\x01\0",
    ])
}

/// The network, the hands, and what came out.
pub(crate) struct Hands {
    pub(crate) network: Network,
    pub(crate) now: Time,
    /// The connection that the last action was for.
    pub(crate) connection: Option<ConnectionId>,
    /// What is to be written, all requests together.
    pub(crate) outgoing: Vec<u8>,
    /// The host's name at the last dial.
    pub(crate) called: String,
    actions: Vec<String>,
    events: Vec<NetworkEvent>,
}

impl Hands {
    pub(crate) fn new(config: NetworkConfig) -> Hands {
        Hands {
            network: Network::new(config, 7).unwrap(),
            now: Time::from_millis(1_000),
            connection: None,
            outgoing: Vec::new(),
            called: String::new(),
            actions: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Hands with [`NODE`] negotiating: ApiVersions is written.
    pub(crate) fn negotiating(config: NetworkConfig) -> Hands {
        let mut hands = Hands::new(config);
        hands.connect();
        hands.resolved(&["10.0.0.1:9092"]);
        hands.connected();
        hands.write_all();
        assert_eq!(
            hands.actions(),
            ["resolve broker:9092", "dial 10.0.0.1:9092", "write"]
        );
        hands
    }

    /// Hands with [`NODE`] ready, and nothing left to poll.
    pub(crate) fn ready(config: NetworkConfig) -> Hands {
        let mut hands = Hands::negotiating(config);
        hands.read(versions_answer(0));
        assert_eq!(hands.events(), ["ready 1"]);
        hands
    }

    // Commands.

    pub(crate) fn connect(&mut self) {
        self.connect_to(home());
    }

    pub(crate) fn connect_to(&mut self, endpoint: Endpoint) {
        self.network.connect(NODE, endpoint, self.now);
        self.collect();
    }

    pub(crate) fn send(&mut self, request: OutgoingRequest) -> Result<(), SendError> {
        let result = self.network.send(NODE, request, self.now);
        self.collect();
        result
    }

    pub(crate) fn disconnect(&mut self) {
        self.network.disconnect(NODE, self.now);
        self.collect();
    }

    pub(crate) fn remove(&mut self) {
        self.network.remove(NODE, self.now);
        self.collect();
    }

    // Inputs, for the connection of the last action.

    pub(crate) fn resolved(&mut self, addresses: &[&str]) {
        let found = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.network.handle_resolved(self.id(), Ok(found), self.now);
        self.collect();
    }

    pub(crate) fn resolve_failed(&mut self) {
        let failure = IoFailure::new(io::ErrorKind::NotFound, "no such name");
        self.network.handle_resolved(self.id(), Err(failure), self.now);
        self.collect();
    }

    pub(crate) fn connected(&mut self) {
        self.network.handle_connected(self.id(), self.now);
        self.collect();
    }

    pub(crate) fn refused(&mut self) {
        let failure = IoFailure::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        self.network.handle_connect_failed(self.id(), failure, self.now);
        self.collect();
    }

    pub(crate) fn credentials(&mut self, result: Result<Credentials, CredentialFailure>) {
        self.network.handle_credentials(self.id(), result, self.now);
        self.collect();
    }

    pub(crate) fn written(&mut self, count: usize) {
        self.network.handle_written(self.id(), count, self.now);
        self.outgoing.drain(..count);
        self.collect();
    }

    pub(crate) fn write_all(&mut self) {
        self.written(self.outgoing.len());
    }

    pub(crate) fn read(&mut self, bytes: impl Into<Bytes>) {
        self.network.handle_read(self.id(), bytes.into(), self.now);
        self.collect();
    }

    pub(crate) fn closed(&mut self) {
        self.failed(IoFailure::end_of_stream());
    }

    pub(crate) fn failed(&mut self, failure: IoFailure) {
        self.network.handle_closed(self.id(), failure, self.now);
        self.collect();
    }

    // Time.

    pub(crate) fn pass(&mut self, by: Duration) {
        self.now += by;
        self.network.handle_timeout(self.now);
        self.collect();
    }

    /// Goes from timer to timer until an action or an event comes out, and says how long it took.
    pub(crate) fn pass_until_output(&mut self) -> Duration {
        let start = self.now;
        // Looking again is allowed, looking again for ever is not.
        for _ in 0..3 {
            let at = self.network.poll_timeout().expect("a timer is set");
            assert!(at >= self.now, "a timer in the past");
            self.pass(at.since(self.now));
            if !self.actions.is_empty() || !self.events.is_empty() {
                return self.now.since(start);
            }
        }
        panic!("timers fire for nothing");
    }

    /// No timer is set: at most one look at a timer that was, and nothing comes out.
    pub(crate) fn assert_timers_are_over(&mut self) {
        let (actions, events) = (self.actions.len(), self.events.len());
        if let Some(at) = self.network.poll_timeout() {
            self.pass(at.since(self.now));
        }
        assert_eq!(self.network.poll_timeout(), None);
        assert_eq!((self.actions.len(), self.events.len()), (actions, events));
    }

    // Outputs.

    /// The actions since the last call, as text.
    pub(crate) fn actions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.actions)
    }

    /// The events since the last call, as text.
    pub(crate) fn events(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| describe(&event)).collect()
    }

    /// The error of the `Disconnected` event that must be the last one, after failures with the same error only.
    pub(crate) fn disconnect_error(&mut self) -> NetworkError {
        let events = std::mem::take(&mut self.events);
        let Some((NetworkEvent::Disconnected { error, .. }, failures)) = events.split_last() else {
            panic!("{events:?}");
        };
        for failure in failures {
            assert!(
                matches!(failure, NetworkEvent::Failed { error: other, .. } if other == error),
                "{failure:?}"
            );
        }
        error.clone()
    }

    pub(crate) fn state(&self) -> Option<NodeState> {
        self.network.node_state(NODE)
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.connection.expect("an action told the connection")
    }

    fn collect(&mut self) {
        while let Some(action) = self.network.poll_io() {
            self.connection = Some(action.connection());
            self.actions.push(match action {
                IoAction::Resolve { endpoint, .. } => format!("resolve {endpoint}"),
                IoAction::Name { address, .. } => format!("name {address}"),
                IoAction::Dial {
                    endpoint, address, ..
                } => {
                    self.called = endpoint.host().to_owned();
                    format!("dial {address}")
                }
                IoAction::Write { header, body, .. } => {
                    self.outgoing.extend_from_slice(&header);
                    self.outgoing.extend(body.to_vec());
                    "write".to_owned()
                }
                IoAction::Credentials {
                    endpoint, mechanism, ..
                } => format!("credentials for {mechanism} at {endpoint}"),
                IoAction::Close { .. } => {
                    self.outgoing.clear();
                    "close".to_owned()
                }
                other => format!("{other:?}"),
            });
        }
        self.events
            .extend(std::iter::from_fn(|| self.network.poll_event()));
    }
}

/// An event in one line.
pub(crate) fn describe(event: &NetworkEvent) -> String {
    match event {
        NetworkEvent::Ready { node, .. } => format!("ready {node}"),
        NetworkEvent::Response { node, id, body } => {
            format!("response {node} {id} {}", body.escape_ascii())
        }
        NetworkEvent::Written { node, id } => format!("written {node} {id}"),
        NetworkEvent::Drained { node } => format!("drained {node}"),
        NetworkEvent::Failed {
            node, id, written, ..
        } => format!("failed {node} {id} written={written}"),
        NetworkEvent::Disconnected { node, .. } => format!("disconnected {node}"),
        other => format!("{other:?}"),
    }
}
