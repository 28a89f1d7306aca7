//! Why there is no answer.

use crate::TlsFailure;
use std::fmt;

/// What an exchange was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpStage {
    /// The server's address, the connection, or the end of the handshakes.
    Connection,
    /// The answer.
    Answer,
}

/// Why there is no answer. No credentials and nothing of a body show in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The name has no address, nobody listens there, or the connection broke.
    Connection {
        /// What happened.
        reason: String,
    },
    /// TLS could not be agreed upon.
    Tls(TlsFailure),
    /// The proxy refused, or is none.
    Proxy {
        /// What it answered.
        reason: String,
        /// Whether it may answer otherwise later.
        is_transient: bool,
    },
    /// What came is no HTTP/1.
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
    /// The answer's body is larger than was allowed.
    TooLarge {
        /// So much was allowed.
        bytes_max: usize,
    },
    /// The time is over.
    Timeout {
        /// What was waited for.
        waiting_for: HttpStage,
    },
    /// The request cannot be sent.
    Request {
        /// Why.
        reason: &'static str,
    },
}

impl HttpError {
    /// Whether the same request may get an answer later.
    pub fn is_transient(&self) -> bool {
        match self {
            HttpError::Connection { .. } | HttpError::Timeout { .. } => true,
            HttpError::Proxy { is_transient, .. } => *is_transient,
            HttpError::Tls(_)
            | HttpError::Protocol { .. }
            | HttpError::TooLarge { .. }
            | HttpError::Request { .. } => false,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Connection { reason } => write!(f, "no connection: {reason}"),
            // Its words are those for brokers.
            HttpError::Tls(failure) => f.write_str(&failure.to_string().replace("the broker", "the server")),
            HttpError::Proxy { reason, .. } => write!(f, "the proxy did not let it through: {reason}"),
            HttpError::Protocol { reason } => write!(f, "the answer is no HTTP/1: {reason}"),
            HttpError::TooLarge { bytes_max } => {
                write!(f, "the answer is larger than {bytes_max} bytes")
            }
            HttpError::Timeout {
                waiting_for: HttpStage::Connection,
            } => f.write_str("no connection in time"),
            HttpError::Timeout {
                waiting_for: HttpStage::Answer,
            } => f.write_str("no answer in time"),
            HttpError::Request { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for HttpError {}
