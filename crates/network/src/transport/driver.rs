//! The network and its I/O in one thing to poll.

use super::ready::{ReadySet, SlotWaker};
use super::socket::{Socket, Turn};
use super::{BoxFuture, Connector, CredentialProvider, Resolver, Stream, SystemResolver, TcpConnector};
use crate::sasl::{CredentialFailure, Credentials};
use crate::{ConnectionId, Endpoint, IoAction, Network, NetworkEvent, OutgoingRequest, SendError};
use bytes::BytesMut;
use ottla_time::{Clock, Time};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How often one poll goes around the sockets that have something to do before it lets other tasks run.
const ROUNDS_PER_POLL: usize = 8;

/// A [`Network`] with real sockets: commands go in, events come out of [`poll_event`](NetworkDriver::poll_event).
///
/// It has no task: whoever owns it polls it, on any tokio runtime with I/O and time enabled. Commands take effect
/// at the next poll. Dropping it closes all connections.
///
/// ```
/// use ottla_network::transport::NetworkDriver;
/// use ottla_network::{Endpoint, Network, NetworkConfig, NetworkEvent};
/// use ottla_time::Time;
/// use std::future::poll_fn;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let origin = tokio::time::Instant::now();
/// let now = || Time::ZERO + origin.elapsed();
/// let mut driver = NetworkDriver::new(Network::new(NetworkConfig::default(), 7)?);
/// // Nothing listens on port 1, most likely.
/// driver.connect(1, Endpoint::new("127.0.0.1", 1), now());
/// let event = poll_fn(|cx| driver.poll_event(cx, now())).await;
/// assert!(matches!(event, NetworkEvent::Disconnected { node: 1, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NetworkDriver {
    network: Network,
    resolver: Arc<dyn Resolver>,
    connector: Arc<dyn Connector>,
    credentials: Option<Arc<dyn CredentialProvider>>,
    /// By [`ConnectionId::slot`].
    slots: Vec<Slot>,
    ready: Arc<ReadySet>,
    /// The slots that get a turn next.
    due: Vec<usize>,
    /// Empty between two turns; its memory is kept.
    read_buffer: BytesMut,
    timer: Timer,
}

struct Slot {
    work: Work,
    /// The credentials that the connection waits for.
    credentials: Option<(ConnectionId, Getting)>,
    flag: Arc<SlotWaker>,
    /// The same as `flag`, in the form that futures take.
    waker: Waker,
}

/// Credentials on their way.
type Getting = BoxFuture<Result<Credentials, CredentialFailure>>;

/// What goes on for a connection.
enum Work {
    Nothing,
    Resolving(ConnectionId, BoxFuture<io::Result<Vec<SocketAddr>>>),
    Naming(ConnectionId, BoxFuture<io::Result<String>>),
    Dialing(ConnectionId, BoxFuture<io::Result<Box<dyn Stream>>>),
    Open(Socket),
}

impl NetworkDriver {
    /// A driver with the system's resolver and plain TCP.
    pub fn new(network: Network) -> NetworkDriver {
        NetworkDriver {
            network,
            resolver: Arc::new(SystemResolver),
            connector: Arc::new(TcpConnector::default()),
            credentials: None,
            slots: Vec::new(),
            ready: Arc::default(),
            due: Vec::new(),
            read_buffer: BytesMut::new(),
            timer: Timer::default(),
        }
    }

    /// Looks names up with `resolver` from now on.
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> NetworkDriver {
        self.resolver = resolver;
        self
    }

    /// Connects with `connector` from now on.
    pub fn with_connector(mut self, connector: Arc<dyn Connector>) -> NetworkDriver {
        self.connector = connector;
        self
    }

    /// Asks `provider` for the credentials that the configuration does not have.
    pub fn with_credentials(mut self, provider: Arc<dyn CredentialProvider>) -> NetworkDriver {
        self.credentials = Some(provider);
        self
    }

    /// See [`Network::connect`].
    pub fn connect(&mut self, node: i32, endpoint: Endpoint, now: Time) {
        self.network.connect(node, endpoint, now);
    }

    /// See [`Network::send`].
    ///
    /// # Errors
    ///
    /// The request was not taken, and no event will name it.
    pub fn send(&mut self, node: i32, request: OutgoingRequest, now: Time) -> Result<(), SendError> {
        self.network.send(node, request, now)
    }

    /// See [`Network::disconnect`].
    pub fn disconnect(&mut self, node: i32, now: Time) {
        self.network.disconnect(node, now);
    }

    /// See [`Network::remove`].
    pub fn remove(&mut self, node: i32, now: Time) {
        self.network.remove(node, now);
    }

    /// See [`Network::extend_deadlines`].
    pub fn extend_deadlines(&mut self, node: i32, by: Duration) {
        self.network.extend_deadlines(node, by);
    }

    /// The next event. Poll until it is pending: only then the timer is armed, and only then it will wake.
    ///
    /// `now` comes from a clock that goes as fast as tokio's.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<NetworkEvent> {
        if let Some(event) = self.network.poll_event() {
            return Poll::Ready(event);
        }
        self.ready.register(cx);
        for _ in 0..ROUNDS_PER_POLL {
            self.network.handle_timeout(now);
            self.act();
            self.ready.take(&mut self.due);
            let was_idle = self.due.is_empty();
            self.take_turns(now);
            if let Some(event) = self.network.poll_event() {
                return Poll::Ready(event);
            }
            if was_idle {
                self.timer.arm(self.network.poll_timeout(), now, cx);
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits for the next event. Dropping the future loses nothing.
    pub async fn next_event(&mut self, clock: &dyn Clock) -> NetworkEvent {
        poll_fn(|cx| self.poll_event(cx, clock.now())).await
    }

    /// The states of all nodes, for questions.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Begins what the network asks for; the turns that follow carry it on.
    fn act(&mut self) {
        while let Some(action) = self.network.poll_io() {
            let slot = self.slot(action.connection());
            match action {
                IoAction::Resolve { connection, endpoint } => {
                    self.slots[slot].work = Work::Resolving(connection, self.resolver.resolve(&endpoint));
                }
                IoAction::Name { connection, address } => {
                    self.slots[slot].work = Work::Naming(connection, self.resolver.canonical_name(address));
                }
                IoAction::Dial {
                    connection,
                    endpoint,
                    address,
                } => {
                    let dial = self.connector.connect(&endpoint, address);
                    self.slots[slot].work = Work::Dialing(connection, dial);
                }
                IoAction::Credentials {
                    connection,
                    endpoint,
                    mechanism,
                } => {
                    let getting: Getting = match &self.credentials {
                        Some(provider) => provider.credentials(&endpoint, mechanism),
                        None => Box::pin(std::future::ready(Err(CredentialFailure::lasting(
                            "none are configured, and nothing was set to get them from",
                        )))),
                    };
                    self.slots[slot].credentials = Some((connection, getting));
                }
                IoAction::Write {
                    connection,
                    header,
                    body,
                } => match &mut self.slots[slot].work {
                    Work::Open(socket) if socket.connection == connection => socket.push(header, body),
                    // Gone, and the network is about to hear of it or has.
                    _ => continue,
                },
                IoAction::Close { .. } => {
                    self.slots[slot].work = Work::Nothing;
                    self.slots[slot].credentials = None;
                    continue;
                }
            }
            if self.slots[slot].flag.claim() {
                self.due.push(slot);
            }
        }
    }

    /// The index of a connection's slot, which exists then.
    fn slot(&mut self, connection: ConnectionId) -> usize {
        while self.slots.len() <= connection.slot() {
            let flag = Arc::new(SlotWaker::new(self.slots.len(), &self.ready));
            let waker = Waker::from(Arc::clone(&flag));
            self.slots.push(Slot {
                work: Work::Nothing,
                credentials: None,
                flag,
                waker,
            });
        }
        connection.slot()
    }

    /// One turn for every slot that is due; those that want another one are due again.
    fn take_turns(&mut self, now: Time) {
        let count = self.due.len();
        for index in 0..count {
            let slot = self.due[index];
            self.slots[slot].flag.release();
            if self.take_turn(slot, now) && self.slots[slot].flag.claim() {
                self.due.push(slot);
            }
        }
        self.due.drain(..count);
    }

    /// One turn; true if the slot wants another one.
    fn take_turn(&mut self, index: usize, now: Time) -> bool {
        let slot = &mut self.slots[index];
        let cx = &mut Context::from_waker(&slot.waker);
        if let Some((connection, getting)) = &mut slot.credentials
            && let Poll::Ready(result) = getting.as_mut().poll(cx)
        {
            let connection = *connection;
            slot.credentials = None;
            self.network.handle_credentials(connection, result, now);
        }
        match &mut slot.work {
            Work::Nothing => false,
            Work::Resolving(connection, lookup) => {
                let Poll::Ready(result) = lookup.as_mut().poll(cx) else {
                    return false;
                };
                let connection = *connection;
                slot.work = Work::Nothing;
                self.network
                    .handle_resolved(connection, result.map_err(Into::into), now);
                false
            }
            Work::Naming(connection, lookup) => {
                let Poll::Ready(result) = lookup.as_mut().poll(cx) else {
                    return false;
                };
                let connection = *connection;
                slot.work = Work::Nothing;
                self.network.handle_named(connection, result.map_err(Into::into));
                false
            }
            Work::Dialing(connection, dial) => {
                let Poll::Ready(result) = dial.as_mut().poll(cx) else {
                    return false;
                };
                let connection = *connection;
                match result {
                    Ok(stream) => {
                        slot.work = Work::Open(Socket::new(connection, stream));
                        self.network.handle_connected(connection, now);
                        true
                    }
                    Err(error) => {
                        slot.work = Work::Nothing;
                        self.network.handle_connect_failed(connection, error.into(), now);
                        false
                    }
                }
            }
            Work::Open(socket) => {
                let turn = socket_turn(socket, &mut self.network, &mut self.read_buffer, cx, now);
                if let Turn::Failed(failure) = turn {
                    let connection = socket.connection;
                    slot.work = Work::Nothing;
                    slot.credentials = None;
                    self.network.handle_closed(connection, failure, now);
                    return false;
                }
                matches!(turn, Turn::Again)
            }
        }
    }
}

/// Writes and reads. A failure of either ends the socket, but what the broker had said before is read first: it may
/// tell why.
fn socket_turn(
    socket: &mut Socket,
    network: &mut Network,
    buffer: &mut BytesMut,
    cx: &mut Context<'_>,
    now: Time,
) -> Turn {
    let connection = socket.connection;
    let (taken, writing) = socket.write(cx);
    if taken > 0 {
        network.handle_written(connection, taken, now);
    }
    let reading = socket.read(cx, buffer, |bytes| network.handle_read(connection, bytes, now));
    match (writing, reading) {
        // Writing fails because the connection is gone, and reading may tell why it went.
        (Turn::Failed(_), Turn::Failed(failure)) if failure.tls.is_some() => Turn::Failed(failure),
        (Turn::Failed(failure), _) | (_, Turn::Failed(failure)) => Turn::Failed(failure),
        (Turn::Again, _) | (_, Turn::Again) => Turn::Again,
        (Turn::Waits, Turn::Waits) => Turn::Waits,
    }
}

impl fmt::Debug for NetworkDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkDriver")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// tokio's timer, set to the network's time.
#[derive(Default)]
struct Timer {
    /// Made at the first use, because it needs a runtime around it.
    sleep: Option<Pin<Box<Sleep>>>,
    /// What it is set to; `None` after it fired.
    at: Option<Time>,
}

impl Timer {
    /// Wakes the task at `at`. A timer that is set to that is left alone.
    fn arm(&mut self, at: Option<Time>, now: Time, cx: &mut Context<'_>) {
        let Some(at) = at else {
            self.at = None;
            return;
        };
        loop {
            // At least a tick of tokio's timer: if this clock is behind tokio's, the loop must not be busy.
            let wait = at.since(now).max(Duration::from_millis(1));
            let sleep = match &mut self.sleep {
                None => self.sleep.insert(Box::pin(tokio::time::sleep(wait))),
                Some(sleep) if self.at == Some(at) => sleep,
                Some(sleep) => {
                    sleep.as_mut().reset(Instant::now() + wait);
                    sleep
                }
            };
            self.at = Some(at);
            if sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.at = None;
        }
    }
}
