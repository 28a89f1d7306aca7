//! What the network asks of the I/O around it.

use crate::sasl::Mechanism;
use crate::{Endpoint, Segments, TlsFailure};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::{fmt, io};

/// One attempt to connect to a node, and the connection that comes of it. A new attempt has a new id, so that what
/// belongs to an older one is recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnectionId {
    /// A small number that no two open connections share: an index for tables of the I/O. It is used again by later
    /// connections, after the [`IoAction::Close`] or the failure that ended this one.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// What the I/O has to do, in this order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum IoAction {
    /// Look the host up, then call [`crate::Network::handle_resolved`].
    Resolve {
        /// For which attempt.
        connection: ConnectionId,
        /// The host to look up; the port goes into the addresses.
        endpoint: Arc<Endpoint>,
    },
    /// Find the canonical name of an address, then call [`crate::Network::handle_named`]. It is asked for where an endpoint
    /// is [by canonical name](Endpoint::by_canonical_name).
    Name {
        /// For which attempt.
        connection: ConnectionId,
        /// Whose name is wanted.
        address: IpAddr,
    },
    /// Connect, with everything below Kafka's protocol (TCP, TLS), then call [`crate::Network::handle_connected`] or
    /// [`crate::Network::handle_connect_failed`].
    Dial {
        /// For which attempt.
        connection: ConnectionId,
        /// The host's name, which TLS has to verify.
        endpoint: Arc<Endpoint>,
        /// Where to connect to.
        address: SocketAddr,
    },
    /// Get credentials for an authentication, then call [`crate::Network::handle_credentials`]. What goes on with the
    /// connection goes on meanwhile.
    Credentials {
        /// For which connection.
        connection: ConnectionId,
        /// Who wants them: some credentials are good for one broker only.
        endpoint: Arc<Endpoint>,
        /// What they are for.
        mechanism: Mechanism,
    },
    /// Write after what was to be written before, and call [`crate::Network::handle_written`] as bytes are taken.
    Write {
        /// To which connection.
        connection: ConnectionId,
        /// The frame's length and the request's header: it goes first.
        header: Bytes,
        /// The request's body.
        body: Segments,
    },
    /// Drop everything of this connection at once: a lookup, a dial, a wait for credentials, unwritten bytes, the
    /// socket. No further input is
    /// due for it.
    Close {
        /// Which one.
        connection: ConnectionId,
    },
}

impl IoAction {
    /// Which connection it is for.
    pub fn connection(&self) -> ConnectionId {
        match self {
            IoAction::Resolve { connection, .. }
            | IoAction::Name { connection, .. }
            | IoAction::Dial { connection, .. }
            | IoAction::Credentials { connection, .. }
            | IoAction::Write { connection, .. }
            | IoAction::Close { connection } => *connection,
        }
    }
}

/// Why I/O failed: the class and the operating system's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoFailure {
    /// The class of the failure.
    pub kind: io::ErrorKind,
    /// What to show.
    pub message: String,
    /// What went wrong with TLS, if that was it.
    pub tls: Option<TlsFailure>,
}

impl IoFailure {
    /// A failure of this class, in these words. They may end in a log: no secrets.
    pub fn new(kind: io::ErrorKind, message: impl Into<String>) -> IoFailure {
        IoFailure {
            kind,
            message: message.into(),
            tls: None,
        }
    }

    /// The other side ended the stream in order.
    pub fn end_of_stream() -> IoFailure {
        IoFailure::new(io::ErrorKind::UnexpectedEof, "the broker closed the connection")
    }
}

impl From<TlsFailure> for IoFailure {
    fn from(failure: TlsFailure) -> IoFailure {
        io::Error::new(io::ErrorKind::InvalidData, failure).into()
    }
}

impl From<io::Error> for IoFailure {
    fn from(error: io::Error) -> IoFailure {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<TlsFailure>());
        IoFailure {
            kind: error.kind(),
            message: error.to_string(),
            tls: tls.cloned(),
        }
    }
}

impl fmt::Display for IoFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
