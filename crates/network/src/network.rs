//! All nodes in one state machine.

use crate::action::{ConnectionId, IoAction, IoFailure};
use crate::config::InvalidConfig;
use crate::error::SendError;
use crate::node::{Node, NodeState, Shared};
use crate::sasl::{CredentialFailure, Credentials};
use crate::session::HeaderWriter;
use crate::{BrokerVersions, Endpoint, NetworkConfig, NetworkEvent, OutgoingRequest};
use bytes::Bytes;
use ottla_metrics::Metrics;
use ottla_time::{ExponentialBackoff, Time};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The connections of one client, without I/O and without a clock.
///
/// Three parties use it. The **client** gives commands ([`connect`](Network::connect), [`send`](Network::send),
/// [`disconnect`](Network::disconnect), [`remove`](Network::remove)) and polls [`poll_event`](Network::poll_event).
/// The **I/O** polls [`poll_io`](Network::poll_io), does what it says in that order, and reports by `handle_*`. The
/// **clock** calls [`handle_timeout`](Network::handle_timeout) no later than [`poll_timeout`](Network::poll_timeout).
///
/// After any command or input, poll actions and events until there are none. Time never goes back.
///
/// The I/O owes two things. Bytes that the operating system took are reported by
/// [`handle_written`](Network::handle_written) before anything else happens to that connection: whether a request may
/// have reached the broker depends on it. And after [`IoAction::Close`], or after having reported a failure, it
/// forgets the connection; late reports of it are ignored here.
///
/// The same commands, inputs, times and seed give the same actions and events.
#[derive(Debug)]
pub struct Network {
    shared: Shared,
    /// By node id: where in `slots` it is.
    nodes: BTreeMap<i32, u32>,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
}

/// A place for a node. The place is used again, the generations of its connections go on.
#[derive(Debug)]
struct Slot {
    generation: u32,
    node: Option<Node>,
}

impl Network {
    /// A network without nodes. `seed` decides the jitter of backoffs and timeouts.
    ///
    /// # Errors
    ///
    /// A setting that cannot work.
    pub fn new(config: NetworkConfig, seed: u64) -> Result<Network, InvalidConfig> {
        config.check()?;
        Ok(Network {
            shared: Shared {
                reconnect_backoff: ExponentialBackoff::new(
                    config.reconnect_backoff,
                    config.reconnect_backoff_max,
                ),
                setup_timeout: ExponentialBackoff::new(
                    config.connection_setup_timeout,
                    config.connection_setup_timeout_max,
                ),
                random: fastrand::Rng::with_seed(seed),
                headers: HeaderWriter::new(config.client_id.as_deref()),
                authentications: 0,
                actions: VecDeque::new(),
                events: VecDeque::new(),
                wake_at: Time::MAX,
                metrics: Arc::default(),
                connections: 0,
                config,
            },
            nodes: BTreeMap::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
        })
    }

    /// Counts connections, requests and bytes in `metrics` from now on.
    pub fn with_metrics(mut self, metrics: Arc<Metrics>) -> Network {
        self.shared.metrics = metrics;
        self
    }

    // Commands.

    /// Asks for a connection to `node` at `endpoint`.
    ///
    /// One call is one attempt, which ends with [`NetworkEvent::Ready`] or [`NetworkEvent::Disconnected`]; while it
    /// lasts, and while the connection does, further calls change nothing. An attempt that the backoff does not allow
    /// yet begins when it does. Each attempt tries one of the host's addresses, in turn. A node that is now somewhere
    /// else loses its connection and gets a new one, without backoff.
    pub fn connect(&mut self, node: i32, endpoint: Endpoint, now: Time) {
        let slot = match self.nodes.get(&node) {
            Some(&slot) => slot,
            None => self.add(node, endpoint.clone()),
        };
        if let Some(node) = &mut self.slots[slot as usize].node {
            node.connect(endpoint, now, &mut self.shared);
        }
    }

    /// Sends a request after those that were sent before. It ends with exactly one of [`NetworkEvent::Response`],
    /// [`NetworkEvent::Written`] (if it expects no response) and [`NetworkEvent::Failed`].
    ///
    /// # Errors
    ///
    /// The request was not taken, and no event will name it.
    pub fn send(&mut self, node: i32, request: OutgoingRequest, now: Time) -> Result<(), SendError> {
        match node_of(&self.nodes, &mut self.slots, node) {
            Some(node) => node.send(request, now, &mut self.shared),
            None => Err(SendError::NotReady),
        }
    }

    /// Ends the node's connection or attempt, if there is one; its requests fail. No backoff follows.
    pub fn disconnect(&mut self, node: i32, now: Time) {
        if let Some(node) = node_of(&self.nodes, &mut self.slots, node) {
            node.disconnect(now, &mut self.shared);
        }
    }

    /// As [`Network::disconnect`], and forgets the node with its backoff and addresses.
    pub fn remove(&mut self, node: i32, now: Time) {
        self.disconnect(node, now);
        if let Some(index) = self.nodes.remove(&node) {
            let slot = &mut self.slots[index as usize];
            if let Some(node) = slot.node.take() {
                slot.generation = node.connection().generation;
            }
            self.vacant.push(index);
        }
    }

    /// Gives all outstanding requests of a node more time: a broker that throttles this client answers later.
    pub fn extend_deadlines(&mut self, node: i32, by: Duration) {
        if let Some(node) = node_of(&self.nodes, &mut self.slots, node) {
            node.extend_deadlines(by);
        }
    }

    // Inputs of the I/O.

    /// A lookup ended: with addresses in the order of preference, or with a failure.
    pub fn handle_resolved(
        &mut self,
        connection: ConnectionId,
        result: Result<Vec<SocketAddr>, IoFailure>,
        now: Time,
    ) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.resolved(result, now, &mut self.shared);
        }
    }

    /// What [`IoAction::Name`] asked for. Without a name the address stands for itself, as in Java.
    pub fn handle_named(&mut self, connection: ConnectionId, result: Result<String, IoFailure>) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.named(result, &mut self.shared);
        }
    }

    /// A dial ended well: bytes can be written and read.
    pub fn handle_connected(&mut self, connection: ConnectionId, now: Time) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.connected(now, &mut self.shared);
        }
    }

    /// A dial failed.
    pub fn handle_connect_failed(&mut self, connection: ConnectionId, failure: IoFailure, now: Time) {
        self.handle_closed(connection, failure, now);
    }

    /// What [`IoAction::Credentials`] asked for.
    pub fn handle_credentials(
        &mut self,
        connection: ConnectionId,
        result: Result<Credentials, CredentialFailure>,
        now: Time,
    ) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.credentials(result, now, &mut self.shared);
        }
    }

    /// The next bytes of the stream. Bodies of responses are slices of them where a response came whole.
    pub fn handle_read(&mut self, connection: ConnectionId, bytes: Bytes, now: Time) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.read(bytes, now, &mut self.shared);
        }
    }

    /// The operating system took the next `count` bytes of what was to be written.
    pub fn handle_written(&mut self, connection: ConnectionId, count: usize, now: Time) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.written(count, now, &mut self.shared);
        }
    }

    /// The connection is gone: the stream ended, or reading or writing failed.
    pub fn handle_closed(&mut self, connection: ConnectionId, failure: IoFailure, now: Time) {
        if let Some(node) = attempt_of(&mut self.slots, connection) {
            node.failed(failure, now, &mut self.shared);
        }
    }

    /// Time passed. Costs nothing before [`Network::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Time) {
        if now < self.shared.wake_at || self.shared.wake_at == Time::MAX {
            return;
        }
        self.shared.wake_at = Time::MAX;
        for node in self.slots.iter_mut().filter_map(|slot| slot.node.as_mut()) {
            node.timeout(now, &mut self.shared);
        }
    }

    // Outputs.

    /// The next thing for the I/O to do.
    pub fn poll_io(&mut self) -> Option<IoAction> {
        self.shared.actions.pop_front()
    }

    /// The next thing for the client to know.
    pub fn poll_event(&mut self) -> Option<NetworkEvent> {
        self.shared.events.pop_front()
    }

    /// When [`Network::handle_timeout`] has to be called next. It may turn out that nothing was due: answers do not
    /// move timers, a timer that fires looks again.
    pub fn poll_timeout(&self) -> Option<Time> {
        Some(self.shared.wake_at).filter(|&at| at != Time::MAX)
    }

    // Questions.

    /// The state of a node, `None` if it is unknown.
    pub fn node_state(&self, node: i32) -> Option<NodeState> {
        self.node(node).map(Node::state)
    }

    /// What a ready node can do.
    pub fn versions(&self, node: i32) -> Option<&Arc<BrokerVersions>> {
        self.node(node)?.versions()
    }

    /// How many requests of a node are not complete; 0 if it is not ready.
    pub fn requests_outstanding(&self, node: i32) -> usize {
        self.node(node).map_or(0, Node::outstanding_count)
    }

    /// How many bytes a node's connection has to write; 0 if it is not ready. When this was not 0 after the I/O had
    /// its turn, [`NetworkEvent::Drained`] will say when it is.
    pub fn bytes_unwritten(&self, node: i32) -> usize {
        self.node(node)
            .and_then(Node::ready_session)
            .map_or(0, |session| session.bytes_unwritten())
    }

    /// When the last attempt to connect to a node began.
    pub fn attempted_at(&self, node: i32) -> Option<Time> {
        self.node(node)?.attempted_at()
    }

    /// The ids of all nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = i32> {
        self.nodes.keys().copied()
    }

    fn node(&self, node: i32) -> Option<&Node> {
        let slot = *self.nodes.get(&node)?;
        self.slots[slot as usize].node.as_ref()
    }

    fn add(&mut self, node: i32, endpoint: Endpoint) -> u32 {
        let index = match self.vacant.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    node: None,
                });
                // A node for each id: there are at most 2^32 of them, and memory ends long before.
                (self.slots.len() - 1) as u32
            }
        };
        let slot = &mut self.slots[index as usize];
        let connection = ConnectionId {
            slot: index,
            generation: slot.generation,
        };
        slot.node = Some(Node::new(node, endpoint, connection));
        self.nodes.insert(node, index);
        index
    }
}

fn node_of<'a>(nodes: &BTreeMap<i32, u32>, slots: &'a mut [Slot], node: i32) -> Option<&'a mut Node> {
    let slot = *nodes.get(&node)?;
    slots[slot as usize].node.as_mut()
}

/// The node whose current attempt this is; `None` for what is over.
fn attempt_of(slots: &mut [Slot], connection: ConnectionId) -> Option<&mut Node> {
    let node = slots.get_mut(connection.slot())?.node.as_mut()?;
    (node.connection() == connection).then_some(node)
}
