//! Listeners, and the cluster behind its lock.

use super::connection;
use super::outbox::{Closing, Outbox};
use super::watch::Watch;
use crate::cluster::{Cluster, ConnectionId, Output};
use bytes::Bytes;
use ottla_time::Time;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Where the brokers of a cluster listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// The address that is listened on. Loopback by default: a test broker knows no authentication.
    pub bind: IpAddr,
    /// The port of the first broker; the others have those that follow. 0 takes free ports.
    pub port: u16,
    /// The host that clients are told to connect to; `None` tells them `bind`.
    pub advertised_host: Option<String>,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            advertised_host: None,
        }
    }
}

impl ListenOptions {
    /// Loopback, with free ports.
    pub fn new() -> ListenOptions {
        ListenOptions::default()
    }

    /// The first broker's port; 0 takes free ports.
    pub fn port(mut self, port: u16) -> ListenOptions {
        self.port = port;
        self
    }

    /// The address that is listened on.
    pub fn bind(mut self, bind: IpAddr) -> ListenOptions {
        self.bind = bind;
        self
    }

    /// The host that clients are told to connect to.
    pub fn advertised_host(mut self, host: impl Into<String>) -> ListenOptions {
        self.advertised_host = Some(host.into());
        self
    }
}

/// A cluster that listens. Dropping it ends its tasks and closes every connection.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    addresses: Vec<SocketAddr>,
}

/// The listening sockets of a cluster, bound and not yet served.
#[derive(Debug)]
pub(crate) struct Bound {
    listeners: Vec<(i32, std::net::TcpListener)>,
    addresses: Vec<SocketAddr>,
}

impl Bound {
    /// Binds a socket for each broker, and tells the cluster their addresses.
    pub(crate) fn bind(cluster: &mut Cluster, options: &ListenOptions) -> io::Result<Bound> {
        let mut bound = Bound {
            listeners: Vec::new(),
            addresses: Vec::new(),
        };
        for broker in cluster.broker_ids() {
            let offset = u16::try_from(broker - 1).map_err(io::Error::other)?;
            let port = match options.port {
                0 => 0,
                first => first
                    .checked_add(offset)
                    .ok_or_else(|| io::Error::other("no port is left for a broker"))?,
            };
            let wanted = SocketAddr::new(options.bind, port);
            let listener = std::net::TcpListener::bind(wanted).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("broker {broker} cannot listen on {wanted}: {error}"),
                )
            })?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let host = match &options.advertised_host {
                Some(host) => host.clone(),
                None if address.ip().is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
                None => address.ip().to_string(),
            };
            cluster.set_address(broker, &host, address.port());
            bound.listeners.push((broker, listener));
            bound.addresses.push(address);
        }
        Ok(bound)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Server {
    /// Binds the listeners of every broker and serves them on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// A port that is taken, or an address that is not this machine's.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn start(mut cluster: Cluster, options: &ListenOptions) -> io::Result<Server> {
        let bound = Bound::bind(&mut cluster, options)?;
        Server::serve(Shared::new(cluster), bound)
    }

    /// Serves listeners that are bound.
    pub(crate) fn serve(shared: Arc<Shared>, bound: Bound) -> io::Result<Server> {
        let mut tasks = JoinSet::new();
        for (broker, listener) in bound.listeners {
            let listener = TcpListener::from_std(listener)?;
            tasks.spawn(accept(Arc::clone(&shared), broker, listener));
        }
        tasks.spawn(run_timers(Arc::clone(&shared)));
        Ok(Server {
            shared,
            tasks,
            addresses: bound.addresses,
        })
    }

    /// Where the brokers listen, in the order of their ids.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// `host:port` of every broker, separated by commas: what clients call `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster().bootstrap_servers()
    }

    /// The cluster, to look into it or to make trouble. Connections wait while the guard lives.
    pub fn cluster(&self) -> ClusterGuard<'_> {
        self.shared.cluster()
    }

    /// Runs until a task of the server ends, which none does by itself.
    pub async fn run(mut self) {
        self.tasks.join_next().await;
    }
}

/// The cluster, locked. What was changed takes effect when the guard is dropped.
#[derive(Debug)]
pub struct ClusterGuard<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl Deref for ClusterGuard<'_> {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.state.cluster
    }
}

impl DerefMut for ClusterGuard<'_> {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.state.cluster
    }
}

impl Drop for ClusterGuard<'_> {
    fn drop(&mut self) {
        self.shared.settle(&mut self.state);
    }
}

impl ClusterGuard<'_> {
    /// The time that the cluster's clock shows now.
    pub fn now(&self) -> Time {
        self.shared.now()
    }
}

/// What all tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    watch: Watch,
    timer_changed: Notify,
    origin: Instant,
    frame_bytes_max: usize,
    unsent_bytes_max: usize,
}

#[derive(Debug)]
struct State {
    cluster: Cluster,
    outboxes: BTreeMap<ConnectionId, Arc<Outbox>>,
    /// The deadline that the timer task waits for.
    armed: Option<Time>,
}

impl Shared {
    #[expect(
        clippy::disallowed_methods,
        reason = "the TCP front is where the core's time comes from"
    )]
    pub(crate) fn new(cluster: Cluster) -> Arc<Shared> {
        let limits = &cluster.config().limits;
        let (frame_bytes_max, unsent_bytes_max) = (limits.frame_bytes_max, limits.unsent_bytes_max);
        Arc::new(Shared {
            state: Mutex::new(State {
                cluster,
                outboxes: BTreeMap::new(),
                armed: None,
            }),
            watch: Watch::default(),
            timer_changed: Notify::new(),
            origin: Instant::now(),
            frame_bytes_max,
            unsent_bytes_max,
        })
    }

    pub(crate) fn cluster(&self) -> ClusterGuard<'_> {
        let mut state = self.lock();
        state.cluster.set_time(self.now(), wall_ms());
        ClusterGuard { shared: self, state }
    }

    pub(super) fn frame_bytes_max(&self) -> usize {
        self.frame_bytes_max
    }

    pub(super) fn is_reading(&self, id: ConnectionId) -> bool {
        self.lock().cluster.is_reading(id)
    }

    /// Hands frames over, in order.
    pub(super) fn handle(&self, id: ConnectionId, frames: &mut Vec<Bytes>) {
        if frames.is_empty() {
            return;
        }
        let (now, wall_ms) = (self.now(), wall_ms());
        let mut state = self.lock();
        for frame in frames.drain(..) {
            state.cluster.handle_frame(id, frame, now, wall_ms);
        }
        self.settle(&mut state);
    }

    /// A connection's task has ended.
    pub(super) fn closed(&self, id: ConnectionId) {
        let mut state = self.lock();
        state.outboxes.remove(&id);
        state.cluster.handle_closed(id, self.now());
        self.settle(&mut state);
    }

    fn accepted(&self, broker: i32, peer: SocketAddr) -> Option<(ConnectionId, Arc<Outbox>)> {
        let mut state = self.lock();
        let id = state
            .cluster
            .accept(broker, &peer.ip().to_string(), self.now())
            .ok()?;
        let outbox = Arc::new(Outbox::new(self.unsent_bytes_max));
        state.outboxes.insert(id, Arc::clone(&outbox));
        self.settle(&mut state);
        Some((id, outbox))
    }

    /// Distributes what the cluster has to say, and wakes the timer task if it waits for too late a moment.
    fn settle(&self, state: &mut State) {
        while let Some(output) = state.cluster.poll_output() {
            match output {
                Output::Send { connection, bytes } => {
                    if let Some(outbox) = state.outboxes.get(&connection) {
                        outbox.push(bytes);
                    }
                }
                Output::Close { connection, at_once } => {
                    if let Some(outbox) = state.outboxes.get(&connection) {
                        outbox.close(if at_once {
                            Closing::Now
                        } else {
                            Closing::AfterWriting
                        });
                    }
                }
                Output::Resume { connection } => {
                    if let Some(outbox) = state.outboxes.get(&connection) {
                        outbox.wake();
                    }
                }
            }
        }
        let deadline = state.cluster.poll_timeout();
        let earlier = match (deadline, state.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier {
            self.timer_changed.notify_one();
        }
        self.watch.tell();
    }

    /// Waits until `condition` holds, in a thread; false if it did not within `timeout`.
    pub(crate) fn wait_blocking(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&mut Cluster) -> bool,
    ) -> bool {
        let _watching = self.watch.begin();
        let deadline = self.now() + timeout;
        let mut state = self.lock();
        loop {
            if condition(&mut state.cluster) {
                return true;
            }
            let left = deadline.since(self.now());
            if left.is_zero() {
                return false;
            }
            state = self.watch.wait(state, left);
        }
    }

    /// Waits until `condition` holds.
    pub(crate) async fn wait(&self, mut condition: impl FnMut(&mut Cluster) -> bool) {
        let _watching = self.watch.begin();
        loop {
            let mut changed = std::pin::pin!(self.watch.changed());
            // From here on no change is missed.
            changed.as_mut().enable();
            if condition(&mut self.lock().cluster) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug of the core; the tests that found it shall still get their answers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the TCP front is where the core's time comes from"
    )]
    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the TCP front is where the core's time comes from"
)]
fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// Takes connections up for one broker.
async fn accept(shared: Arc<Shared>, broker: i32, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some((id, outbox)) = shared.accepted(broker, peer) {
                        // Without it a small answer may wait for the client's delayed acknowledgement.
                        let _ = stream.set_nodelay(true);
                        connections.spawn(connection::serve(Arc::clone(&shared), stream, id, outbox));
                    } else {
                        refuse(stream);
                    }
                }
                // No more file descriptors, or the client has gone again: the next one may do better.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

/// How long a listener rests after a failure, so that it does not spin while file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A dead broker does not listen. Its port stays ours, so that it can come back; a reset is as near as it gets.
fn refuse(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Lets the cluster's timers run.
async fn run_timers(shared: Arc<Shared>) {
    loop {
        let deadline = {
            let mut state = shared.lock();
            let now = shared.now();
            if state
                .cluster
                .poll_timeout()
                .is_some_and(|deadline| deadline <= now)
            {
                state.cluster.handle_timeout(now, wall_ms());
                shared.settle(&mut state);
            }
            state.armed = state.cluster.poll_timeout();
            state.armed
        };
        match deadline {
            Some(deadline) => {
                let origin = tokio::time::Instant::from_std(shared.origin);
                // A deadline beyond what the system's clock can say is none.
                let at = origin.checked_add(deadline.since(Time::ZERO));
                tokio::select! {
                    () = wait_until(at) => {}
                    () = shared.timer_changed.notified() => {}
                }
            }
            None => shared.timer_changed.notified().await,
        }
    }
}

async fn wait_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
