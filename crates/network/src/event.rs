//! What the network tells the client.

use crate::{BrokerVersions, NetworkError};
use bytes::Bytes;
use ottla_time::Time;
use std::sync::Arc;

/// What happened, in order. When a connection ends, its requests fail first, in the order in which they were sent,
/// and [`NetworkEvent::Disconnected`] comes last.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NetworkEvent {
    /// The node takes requests now.
    Ready {
        /// Which node.
        node: i32,
        /// What it can do.
        versions: Arc<BrokerVersions>,
    },
    /// A request was answered.
    Response {
        /// By which node.
        node: i32,
        /// The request's [`crate::OutgoingRequest::id`].
        id: u64,
        /// What follows the response's header: a slice of what was read. It may be empty or garbage.
        body: Bytes,
    },
    /// A request that expects no answer was written to its last byte, and so is complete.
    Written {
        /// To which node.
        node: i32,
        /// The request's [`crate::OutgoingRequest::id`].
        id: u64,
    },
    /// Bytes had piled up before a socket that took no more; now all of them are written.
    Drained {
        /// For which node.
        node: i32,
    },
    /// A request ended without an answer.
    Failed {
        /// Which node it was sent to.
        node: i32,
        /// The request's [`crate::OutgoingRequest::id`].
        id: u64,
        /// Why.
        error: NetworkError,
        /// Whether a byte of it may have reached the wire. If not, the broker cannot have seen it.
        written: bool,
    },
    /// A connection ended or an attempt to connect failed. The node stays without connection until the client asks
    /// for one again.
    Disconnected {
        /// Which node.
        node: i32,
        /// Why.
        error: NetworkError,
        /// Not before this will a new attempt be made.
        retry_at: Time,
    },
}
