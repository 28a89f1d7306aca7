//! What a cluster takes and gives: connections, and what is to be done about them.

use bytes::Bytes;
use std::fmt;

/// A connection's number: counts up over the life of the cluster, and stands in the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

impl ConnectionId {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What the cluster wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Bytes go to a client: usually one whole frame.
    Send {
        /// To which.
        connection: ConnectionId,
        /// What.
        bytes: Bytes,
    },
    /// A connection is to be closed.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Without sending what still waits to be written, as when a broker dies.
        at_once: bool,
    },
    /// A connection that was not [read](crate::Cluster::is_reading) is to be read again.
    Resume {
        /// Which.
        connection: ConnectionId,
    },
}

/// A connection that is not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The cluster has no broker of this id.
    UnknownBroker,
    /// The broker is dead.
    BrokerIsDown,
    /// As many connections as may be are open.
    TooManyConnections,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::UnknownBroker => "the cluster has no broker of this id",
            Refused::BrokerIsDown => "the broker is down",
            Refused::TooManyConnections => "as many connections as may be are open",
        })
    }
}

impl std::error::Error for Refused {}
