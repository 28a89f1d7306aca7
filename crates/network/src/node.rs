//! One node: its endpoint, its connection if it has one, and the way there.

mod sasl;
mod suspicion;

use crate::action::{ConnectionId, IoAction, IoFailure};
use crate::addresses::Addresses;
use crate::api_versions;
use crate::authentication::Authentication;
use crate::error::{NetworkError, NetworkErrorKind, SendError, SetupStage};
use crate::renewal::Renewal;
use crate::session::{HeaderWriter, Outstanding, Purpose, Session};
use crate::timer::{Timer, Timers};
use crate::{BrokerVersions, Endpoint, NetworkConfig, NetworkEvent, OutgoingRequest};
use bytes::Bytes;
use ottla_metrics::Metrics;
use ottla_time::{ExponentialBackoff, Time, mutant};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What all nodes share: settings, randomness, and the queues that are polled.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: NetworkConfig,
    pub(crate) reconnect_backoff: ExponentialBackoff,
    pub(crate) setup_timeout: ExponentialBackoff,
    pub(crate) random: fastrand::Rng,
    pub(crate) headers: HeaderWriter,
    /// How many authentications began.
    pub(crate) authentications: u64,
    pub(crate) actions: VecDeque<IoAction>,
    pub(crate) events: VecDeque<NetworkEvent>,
    pub(crate) metrics: Arc<Metrics>,
    /// How many connections stand.
    pub(crate) connections: u64,
    /// No timer of any node fires before this.
    pub(crate) wake_at: Time,
}

/// Where a node is on its way to a connection.
///
/// ```text
///               connect, backoff not over
///        ┌────────────────────────────────► Waiting ──────┐
///        │                                                │ backoff over
///        │     connect          no address left           ▼                 resolved
///      Down ──────────────────────────────────────────► (start) ──► Resolving ──┐
///        ▲                                                │                     │
///        │                              an address left   └────────► Dialing ◄──┘
///        │                                                              │     (by way of Naming, for an endpoint
///        │                                                              │      that is called by its canonical name)
///        │                                                              │ connected: ApiVersions is queued
///        │                                                              ▼
///        │                                                         Negotiating ──┐ UNSUPPORTED_VERSION:
///        │                                                           │  │   ▲    │ again, older
///        │                           versions, and SASL is wanted    │  │   └────┘
///        │                          ┌────────────────────────────────┘  │ versions
///        │                          ▼          done                     ▼
///        │                    Authenticating ────────────────────────► Ready
///        │                                                              │
///        └──────────────────────────────────────────────────────────────┘
///           from every state: failure, timeout, violation, close by either side
/// ```
///
/// A session that ends authenticates again while it is `Ready`: see [`Renewal`].
///
/// Leaving for `Down` fails the outstanding requests, sets the backoff unless this client wanted the end, and reports
/// `Disconnected`. Inputs of I/O that do not belong to the current attempt, or that the state has no use for, change
/// nothing.
#[derive(Debug)]
enum State {
    /// No connection, and nobody asked for one.
    Down { retry_at: Time },
    /// Somebody asked for a connection, and the backoff is not over.
    Waiting { retry_at: Time },
    /// The I/O looks the host up.
    Resolving,
    /// The I/O looks for the address's canonical name, for an endpoint that is to be called by it.
    Naming { address: SocketAddr },
    /// The I/O connects.
    Dialing { address: SocketAddr },
    /// Connected; only ApiVersions, asked in `version`, is on the way.
    Negotiating {
        address: SocketAddr,
        session: Session,
        version: i16,
    },
    /// Connected; the broker is told who this client is.
    Authenticating {
        address: SocketAddr,
        session: Session,
        versions: Arc<BrokerVersions>,
        authentication: Authentication,
    },
    /// In use.
    Ready {
        address: SocketAddr,
        session: Session,
        versions: Arc<BrokerVersions>,
        active_at: Time,
        /// For a session that ends; most do not.
        renewal: Option<Box<Renewal>>,
    },
}

/// A node's way to a connection, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeState {
    /// There is no connection, and none is being made. Before `retry_at` a call of connect waits.
    Disconnected {
        /// When the backoff ends; it may be past.
        retry_at: Time,
    },
    /// A connection is being made, or will be when the backoff ends.
    Connecting,
    /// Requests can be sent.
    Ready,
}

/// Who ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndedBy {
    /// The I/O, which has dropped it already.
    Io,
    /// This state machine: the I/O has to be told.
    Us,
}

#[derive(Debug)]
pub(crate) struct Node {
    id: i32,
    endpoint: Arc<Endpoint>,
    /// What the current attempt calls the broker, or the last one did: the endpoint, or its canonical name.
    called: Arc<Endpoint>,
    /// The current attempt, or the last one.
    connection: ConnectionId,
    state: State,
    timers: Timers,
    addresses: Addresses,
    /// Failures since the node was last ready: the exponent of the backoff.
    failures: u32,
    /// Failures to get connected in time or at all, in a row: the exponent of the setup timeout.
    setup_failures: u32,
    /// The setup timeout of this attempt.
    setup_timeout: Duration,
    attempted_at: Option<Time>,
    /// Whether this connection, once ready, has answered anything.
    answered: bool,
    /// Whether the last connection was lost as a listener with SASL turns away a client without.
    suspects_sasl: bool,
}

impl Node {
    /// A node without connection. `connection` is the last one that used its slot.
    pub(crate) fn new(id: i32, endpoint: Endpoint, connection: ConnectionId) -> Node {
        let endpoint = Arc::new(endpoint);
        Node {
            id,
            called: Arc::clone(&endpoint),
            endpoint,
            connection,
            state: State::Down { retry_at: Time::ZERO },
            timers: Timers::new(),
            addresses: Addresses::default(),
            failures: 0,
            setup_failures: 0,
            setup_timeout: Duration::ZERO,
            attempted_at: None,
            answered: false,
            suspects_sasl: false,
        }
    }

    // Commands of the client.

    pub(crate) fn connect(&mut self, endpoint: Endpoint, now: Time, shared: &mut Shared) {
        if *self.endpoint != endpoint {
            if !matches!(self.state, State::Down { .. }) {
                self.end(NetworkErrorKind::EndpointChanged, EndedBy::Us, now, shared);
            }
            // What failed at the old place says nothing about the new one.
            self.endpoint = Arc::new(endpoint);
            self.called = Arc::clone(&self.endpoint);
            self.addresses = Addresses::default();
            (self.failures, self.setup_failures) = (0, 0);
            self.suspects_sasl = false;
            self.state = State::Down { retry_at: now };
        }
        let State::Down { retry_at } = self.state else {
            return;
        };
        if now < retry_at {
            self.state = State::Waiting { retry_at };
            self.set_timer(Timer::Backoff, retry_at, shared);
        } else {
            self.start(now, shared);
        }
    }

    pub(crate) fn send(
        &mut self,
        request: OutgoingRequest,
        now: Time,
        shared: &mut Shared,
    ) -> Result<(), SendError> {
        let is_due = |renewal: &Renewal| renewal.is_due(now);
        if matches!(&self.state, State::Ready { renewal: Some(renewal), .. } if is_due(renewal)) {
            self.renew(now, shared);
        }
        let outstanding_count = self.outstanding_count();
        let State::Ready {
            active_at, renewal, ..
        } = &mut self.state
        else {
            return Err(SendError::NotReady);
        };
        if outstanding_count >= shared.config.requests_outstanding_max {
            return Err(SendError::TooManyOutstanding);
        }
        if let Some(renewal) = renewal
            && renewal.is_holding(now)
        {
            // What is added to it is a header, whose longest part is the client's id.
            if request.body.bytes_total() > (i32::MAX - 2 * i32::from(i16::MAX)) as usize {
                return Err(SendError::TooLong);
            }
            renewal.held.push_back(request);
            return Ok(());
        }
        *active_at = now;
        self.write(Purpose::Client(request.id), request, now, shared)
    }

    /// Hands a request to the I/O, and watches its deadline.
    fn write(
        &mut self,
        purpose: Purpose,
        request: OutgoingRequest,
        now: Time,
        shared: &mut Shared,
    ) -> Result<(), SendError> {
        let (session, is_ready) = match &mut self.state {
            State::Authenticating { session, .. } => (session, false),
            State::Ready { session, .. } => (session, true),
            _ => return Err(SendError::NotReady),
        };
        let header = session.send(purpose, &request, &mut shared.headers, now)?;
        shared.note_request(self.id, header.len() + request.body.bytes_total(), now);
        let deadline = now + request.timeout;
        shared.actions.push_back(IoAction::Write {
            connection: self.connection,
            header,
            body: request.body,
        });
        // Before that, the setup has a timer of its own.
        if is_ready && deadline < self.timers.at(Timer::Request) {
            self.set_timer(Timer::Request, deadline, shared);
        }
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, now: Time, shared: &mut Shared) {
        if !matches!(self.state, State::Down { .. }) {
            self.end(NetworkErrorKind::Requested, EndedBy::Us, now, shared);
        }
    }

    pub(crate) fn extend_deadlines(&mut self, by: Duration) {
        if let State::Ready { session, .. } = &mut self.state {
            session.extend_deadlines(by);
        }
    }

    // Inputs of the I/O. The network has checked that they belong to the current attempt.

    pub(crate) fn resolved(
        &mut self,
        result: Result<Vec<SocketAddr>, IoFailure>,
        now: Time,
        shared: &mut Shared,
    ) {
        if !matches!(self.state, State::Resolving) {
            return;
        }
        match result {
            Ok(found) => {
                self.addresses.fill(&found);
                match self.addresses.next() {
                    Some(address) => self.approach(address, shared),
                    None => self.end(NetworkErrorKind::NoAddress, EndedBy::Io, now, shared),
                }
            }
            Err(failure) => self.end(NetworkErrorKind::Resolve(failure), EndedBy::Io, now, shared),
        }
    }

    pub(crate) fn named(&mut self, result: Result<String, IoFailure>, shared: &mut Shared) {
        let State::Naming { address } = self.state else {
            return;
        };
        // Java's `InetAddress.getCanonicalHostName` gives the address where there is no name.
        let name = result.unwrap_or_else(|_| address.ip().to_string());
        self.called = Arc::new(Endpoint::new(name, self.endpoint.port()));
        self.dial(address, shared);
    }

    pub(crate) fn connected(&mut self, now: Time, shared: &mut Shared) {
        let State::Dialing { address } = self.state else {
            return;
        };
        shared.note_created(now);
        self.timers.clear(Timer::Setup);
        // Java gives ApiVersions the request timeout, which is three times as long by default: a peer that accepts
        // and is silent then holds up the client longer than one that does not even accept.
        let timeout = self.setup_timeout.min(shared.config.request_timeout);
        self.set_timer(Timer::Negotiation, now + timeout, shared);
        self.negotiate(
            address,
            Session::default(),
            api_versions::VERSION_MAX,
            now,
            shared,
        );
    }

    pub(crate) fn failed(&mut self, mut failure: IoFailure, now: Time, shared: &mut Shared) {
        // With TLS 1.3 a broker refuses the client's certificate only after the client's handshake is done.
        let in_setup = matches!(
            self.state,
            State::Dialing { .. } | State::Negotiating { .. } | State::Authenticating { .. }
        );
        if in_setup && let Some(tls) = failure.tls.take() {
            return self.end(NetworkErrorKind::Tls(tls), EndedBy::Io, now, shared);
        }
        let kind = match &self.state {
            State::Down { .. } | State::Waiting { .. } => return,
            State::Resolving | State::Naming { .. } => NetworkErrorKind::Resolve(failure),
            State::Dialing { address } => NetworkErrorKind::Connect {
                address: *address,
                failure,
            },
            State::Negotiating { .. } => NetworkErrorKind::Closed {
                failure,
                during: Some(SetupStage::ApiVersions),
            },
            State::Authenticating { .. } => NetworkErrorKind::Closed {
                failure,
                during: Some(SetupStage::Authenticating),
            },
            State::Ready { .. } => NetworkErrorKind::Closed {
                failure,
                during: None,
            },
        };
        self.end(kind, EndedBy::Io, now, shared);
    }

    pub(crate) fn written(&mut self, count: usize, now: Time, shared: &mut Shared) {
        shared.note_written(self.id, count, now);
        match &mut self.state {
            State::Negotiating { session, .. } | State::Authenticating { session, .. } => {
                session.written(count, |_| {});
            }
            State::Ready {
                session, active_at, ..
            } => {
                *active_at = now;
                let drained = session.written(count, |purpose| {
                    if let Purpose::Client(id) = purpose {
                        shared
                            .events
                            .push_back(NetworkEvent::Written { node: self.id, id });
                    }
                });
                if drained {
                    shared.events.push_back(NetworkEvent::Drained { node: self.id });
                }
            }
            _ => {}
        }
    }

    pub(crate) fn read(&mut self, mut input: Bytes, now: Time, shared: &mut Shared) {
        shared.note_read(self.id, input.len(), now);
        loop {
            let session = match &mut self.state {
                State::Negotiating { session, .. } | State::Authenticating { session, .. } => session,
                State::Ready {
                    session, active_at, ..
                } => {
                    *active_at = now;
                    session
                }
                _ => return,
            };
            let answer = session.next_answer(&mut input, &shared.config);
            if matches!(answer, Ok(Some(_))) {
                shared.note_response(self.id, now);
            }
            match answer {
                Ok(Some((Purpose::Client(id), body))) => {
                    self.answered = true;
                    shared.events.push_back(NetworkEvent::Response {
                        node: self.id,
                        id,
                        body,
                    });
                }
                Ok(Some((Purpose::ApiVersions, body))) => self.negotiated(&body, now, shared),
                Ok(Some((Purpose::Sasl, body))) => self.sasl_answered(&body, now, shared),
                Ok(None) => return,
                Err(kind) => return self.end(kind, EndedBy::Us, now, shared),
            }
        }
    }

    // Time.

    pub(crate) fn timeout(&mut self, now: Time, shared: &mut Shared) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Backoff => self.start(now, shared),
                Timer::Setup | Timer::Negotiation => self.setup_timed_out(now, shared),
                Timer::Request => self.request_timed_out(now, shared),
                Timer::Idle => self.maybe_idle(now, shared),
            }
        }
        shared.wake_at = shared.wake_at.min(self.timers.next());
    }

    // What the client may ask.

    pub(crate) fn state(&self) -> NodeState {
        match self.state {
            State::Down { retry_at } => NodeState::Disconnected { retry_at },
            State::Waiting { .. }
            | State::Resolving
            | State::Naming { .. }
            | State::Dialing { .. }
            | State::Negotiating { .. }
            | State::Authenticating { .. } => NodeState::Connecting,
            State::Ready { .. } => NodeState::Ready,
        }
    }

    pub(crate) fn versions(&self) -> Option<&Arc<BrokerVersions>> {
        match &self.state {
            State::Ready { versions, .. } => Some(versions),
            _ => None,
        }
    }

    pub(crate) fn ready_session(&self) -> Option<&Session> {
        match &self.state {
            State::Ready { session, .. } => Some(session),
            _ => None,
        }
    }

    /// How many requests of a ready node are not complete, those included that wait for an authentication.
    pub(crate) fn outstanding_count(&self) -> usize {
        match &self.state {
            State::Ready { session, renewal, .. } => {
                let held = renewal.as_ref().map_or(0, |renewal| renewal.held.len());
                session.outstanding_count() + held
            }
            _ => 0,
        }
    }

    pub(crate) fn attempted_at(&self) -> Option<Time> {
        self.attempted_at
    }

    pub(crate) fn connection(&self) -> ConnectionId {
        self.connection
    }

    // Transitions.

    /// Begins an attempt.
    fn start(&mut self, now: Time, shared: &mut Shared) {
        self.connection.generation = self.connection.generation.wrapping_add(1);
        self.attempted_at = Some(now);
        self.setup_timeout = shared
            .setup_timeout
            .delay(self.setup_failures, &mut shared.random);
        self.set_timer(Timer::Setup, now + self.setup_timeout, shared);
        self.called = Arc::clone(&self.endpoint);
        match self.addresses.next() {
            Some(address) => self.approach(address, shared),
            None => {
                self.state = State::Resolving;
                let endpoint = Arc::clone(&self.endpoint);
                shared.actions.push_back(IoAction::Resolve {
                    connection: self.connection,
                    endpoint,
                });
            }
        }
    }

    /// Dials, or asks first what to call the address.
    fn approach(&mut self, address: SocketAddr, shared: &mut Shared) {
        if !self.endpoint.is_by_canonical_name() {
            return self.dial(address, shared);
        }
        self.state = State::Naming { address };
        shared.actions.push_back(IoAction::Name {
            connection: self.connection,
            address: address.ip(),
        });
    }

    fn dial(&mut self, address: SocketAddr, shared: &mut Shared) {
        self.state = State::Dialing { address };
        let endpoint = Arc::clone(&self.called);
        shared.actions.push_back(IoAction::Dial {
            connection: self.connection,
            endpoint,
            address,
        });
    }

    /// Asks for the broker's versions: nothing else may go before the answer.
    fn negotiate(
        &mut self,
        address: SocketAddr,
        mut session: Session,
        version: i16,
        now: Time,
        shared: &mut Shared,
    ) {
        let request = api_versions::request(version, &shared.config);
        // The software's name and version were checked, so the request is far from too long.
        if let Ok(header) = session.send(Purpose::ApiVersions, &request, &mut shared.headers, now) {
            shared.note_request(self.id, header.len() + request.body.bytes_total(), now);
            shared.actions.push_back(IoAction::Write {
                connection: self.connection,
                header,
                body: request.body,
            });
        }
        self.state = State::Negotiating {
            address,
            session,
            version,
        };
    }

    fn negotiated(&mut self, body: &Bytes, now: Time, shared: &mut Shared) {
        let State::Negotiating {
            address,
            session,
            version,
        } = &mut self.state
        else {
            return;
        };
        match api_versions::answer(body, *version) {
            Ok(api_versions::Answer::Versions(versions)) => {
                let (address, session) = (*address, std::mem::take(session));
                let versions = Arc::new(versions);
                if shared.config.sasl.is_some() {
                    self.authenticate(address, session, versions, now, shared);
                } else if let Some((session, versions)) =
                    self.ask_about_sasl(address, session, versions, now, shared)
                {
                    self.ready(address, session, versions, None, now, shared);
                }
            }
            Ok(api_versions::Answer::Retry(older)) => {
                let (address, session) = (*address, std::mem::take(session));
                self.negotiate(address, session, older, now, shared);
            }
            Err(kind) => self.end(kind, EndedBy::Us, now, shared),
        }
    }

    fn ready(
        &mut self,
        address: SocketAddr,
        session: Session,
        versions: Arc<BrokerVersions>,
        renewal: Option<Box<Renewal>>,
        now: Time,
        shared: &mut Shared,
    ) {
        shared.note_authenticated(now);
        (self.failures, self.setup_failures) = (0, 0);
        self.answered = false;
        self.timers.clear(Timer::Negotiation);
        if let Some(idle) = shared.config.connection_idle_max {
            self.set_timer(Timer::Idle, now + idle, shared);
        }
        shared.events.push_back(NetworkEvent::Ready {
            node: self.id,
            versions: Arc::clone(&versions),
        });
        self.state = State::Ready {
            address,
            session,
            versions,
            active_at: now,
            renewal,
        };
    }

    fn setup_timed_out(&mut self, now: Time, shared: &mut Shared) {
        let (stage, timeout) = match &self.state {
            State::Resolving | State::Naming { .. } => (SetupStage::Resolving, self.setup_timeout),
            State::Dialing { .. } => (SetupStage::Dialing, self.setup_timeout),
            State::Negotiating { .. } => (
                SetupStage::ApiVersions,
                self.setup_timeout.min(shared.config.request_timeout),
            ),
            State::Authenticating { authentication, .. } if authentication.is_waiting() => {
                (SetupStage::Credentials, shared.config.request_timeout)
            }
            State::Authenticating { .. } => (
                SetupStage::Authenticating,
                self.setup_timeout.min(shared.config.request_timeout),
            ),
            _ => return,
        };
        self.end(
            NetworkErrorKind::SetupTimeout { stage, timeout },
            EndedBy::Us,
            now,
            shared,
        );
    }

    fn request_timed_out(&mut self, now: Time, shared: &mut Shared) {
        let State::Ready { session, renewal, .. } = &self.state else {
            return;
        };
        if mutant!("requests never time out") {
            return;
        }
        let credentials_until = renewal
            .as_ref()
            .map_or(Time::MAX, |renewal| renewal.credentials_until);
        if credentials_until <= now {
            let kind = NetworkErrorKind::SetupTimeout {
                stage: SetupStage::Credentials,
                timeout: shared.config.request_timeout,
            };
            return self.end(kind, EndedBy::Us, now, shared);
        }
        let next = match session.most_urgent() {
            Some((request, deadline)) if deadline <= now => {
                let kind = NetworkErrorKind::RequestTimeout {
                    api_key: request.api_key,
                    timeout: request.timeout,
                };
                return self.end(kind, EndedBy::Us, now, shared);
            }
            Some((_, deadline)) => deadline.min(credentials_until),
            None => credentials_until,
        };
        if next != Time::MAX {
            self.set_timer(Timer::Request, next, shared);
        }
    }

    fn maybe_idle(&mut self, now: Time, shared: &mut Shared) {
        let (
            State::Ready {
                session,
                active_at,
                renewal,
                ..
            },
            Some(idle),
        ) = (&self.state, shared.config.connection_idle_max)
        else {
            return;
        };
        let renews = matches!(renewal, Some(renewal) if renewal.authentication.is_some());
        if session.outstanding_count() > 0 || renews {
            self.set_timer(Timer::Idle, now + idle, shared);
        } else if now < *active_at + idle {
            self.set_timer(Timer::Idle, *active_at + idle, shared);
        } else {
            self.end(NetworkErrorKind::Idle, EndedBy::Us, now, shared);
        }
    }

    /// Ends the attempt or the connection, whatever the state.
    fn end(&mut self, kind: NetworkErrorKind, ended_by: EndedBy, now: Time, shared: &mut Shared) {
        let error = NetworkError::new(self.id, Arc::clone(&self.called), kind);
        let state = std::mem::replace(&mut self.state, State::Down { retry_at: now });
        self.timers = Timers::new();
        if matches!(
            state,
            State::Negotiating { .. } | State::Authenticating { .. } | State::Ready { .. }
        ) {
            shared.note_closed(now);
        }
        if error.is_authentication() {
            shared.note_refused(matches!(state, State::Ready { .. }), now);
        }
        shared
            .actions
            .retain(|action| action.connection() != self.connection);
        if ended_by == EndedBy::Us && !matches!(state, State::Waiting { .. }) {
            shared.actions.push_back(IoAction::Close {
                connection: self.connection,
            });
        }
        let retry_at = match &state {
            State::Waiting { retry_at } | State::Down { retry_at } => *retry_at,
            _ if error.is_local() => now,
            _ => {
                let backoff = shared.reconnect_backoff.delay(self.failures, &mut shared.random);
                self.failures = self.failures.saturating_add(1);
                now + backoff
            }
        };
        self.state = State::Down { retry_at };
        match state {
            State::Resolving | State::Naming { .. } | State::Dialing { .. } if !error.is_local() => {
                self.count_setup_failure()
            }
            State::Negotiating { address, .. } | State::Authenticating { address, .. } => {
                if error.is_timeout() {
                    self.count_setup_failure();
                }
                self.addresses.lost(address);
            }
            State::Ready {
                address,
                session,
                renewal,
                ..
            } => {
                self.addresses.lost(address);
                self.suspect(error.kind(), &session, shared);
                self.fail_outstanding(session.into_outstanding(), &error, shared);
                for request in renewal.into_iter().flat_map(|renewal| renewal.held) {
                    shared.events.push_back(NetworkEvent::Failed {
                        node: self.id,
                        id: request.id,
                        error: error.clone(),
                        written: false,
                    });
                }
            }
            _ => {}
        }
        shared.events.push_back(NetworkEvent::Disconnected {
            node: self.id,
            error,
            retry_at,
        });
    }

    fn count_setup_failure(&mut self) {
        self.setup_failures = self.setup_failures.saturating_add(1);
    }

    fn fail_outstanding(
        &self,
        outstanding: impl Iterator<Item = Outstanding>,
        error: &NetworkError,
        shared: &mut Shared,
    ) {
        for request in outstanding {
            if let Purpose::Client(id) = request.purpose {
                let written = request.is_touched();
                shared.events.push_back(NetworkEvent::Failed {
                    node: self.id,
                    id,
                    error: error.clone(),
                    written,
                });
            }
        }
    }

    fn set_timer(&mut self, timer: Timer, at: Time, shared: &mut Shared) {
        self.timers.set(timer, at);
        shared.wake_at = shared.wake_at.min(at);
    }
}
