//! What goes wrong with connections, and what to do about it.

use crate::action::IoFailure;
use crate::sasl::{Mechanism, SaslFailure};
use crate::{Endpoint, TlsFailure};
use ottla_protocol::ApiKey;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a connection ended, could not be made, or a request on it failed: what happened, where, and a hint.
///
/// It is cheap to clone, because every request on a lost connection gets it.
#[derive(Clone, PartialEq)]
pub struct NetworkError(Arc<Inner>);

#[derive(PartialEq)]
struct Inner {
    node: i32,
    endpoint: Arc<Endpoint>,
    kind: NetworkErrorKind,
}

/// What happened. The variants say who acted: the first group is the way to the broker, the second the broker itself,
/// the third what it sent, the fourth this client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// The host's name could not be resolved.
    Resolve(IoFailure),
    /// The host's name has no address.
    NoAddress,
    /// Nothing accepted a connection at this address.
    Connect {
        /// Where it was tried.
        address: SocketAddr,
        /// The operating system's answer.
        failure: IoFailure,
    },
    /// The connection was not ready in time.
    SetupTimeout {
        /// What was not done in time.
        stage: SetupStage,
        /// The timeout.
        timeout: Duration,
    },
    /// The connection was lost.
    Closed {
        /// What I/O reported.
        failure: IoFailure,
        /// What the connection was doing, if it had not been ready yet.
        during: Option<SetupStage>,
    },

    /// TLS with the broker could not be agreed upon.
    Tls(TlsFailure),
    /// The broker did not accept this client, or this client the broker.
    Sasl {
        /// The mechanism that was tried.
        mechanism: Mechanism,
        /// Why it did not succeed.
        failure: SaslFailure,
    },
    /// The listener wants clients to authenticate by SASL, and this one is set not to.
    SaslWanted {
        /// The mechanisms that it offers.
        offered: Vec<String>,
    },

    /// The broker did not answer a request in time, so the connection was closed.
    RequestTimeout {
        /// The API of the request that waited longest.
        api_key: i16,
        /// How long it was given.
        timeout: Duration,
    },
    /// The broker refused ApiVersions with this error code.
    ApiVersionsRefused {
        /// Kafka's error code.
        code: i16,
    },

    /// The next four bytes cannot be the length of an answer.
    FrameLength {
        /// The length they would mean.
        length: i32,
        /// The longest that was acceptable here.
        bytes_max: usize,
        /// What they look like.
        looks_like: LooksLike,
    },
    /// An answer to another request than the oldest one.
    CorrelationMismatch {
        /// The oldest outstanding request's id.
        expected: i32,
        /// The id in the answer.
        received: i32,
    },
    /// Bytes came although no answer was due.
    Unsolicited,
    /// An answer came before its request was written.
    AnsweredBeforeWritten,
    /// An answer that cannot be decoded.
    Malformed {
        /// Which part of it, and why.
        detail: String,
    },

    /// The connection was not used for a while.
    Idle,
    /// The client asked for it.
    Requested,
    /// The node has another address now.
    EndpointChanged,
}

/// How far the setup of a connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupStage {
    /// Looking up the host.
    Resolving,
    /// Connecting: TCP, and TLS where it is used.
    Dialing,
    /// Waiting for the answer to ApiVersions.
    ApiVersions,
    /// Waiting for credentials, such as a token.
    Credentials,
    /// Authenticating by SASL.
    Authenticating,
}

/// What the start of an answer that is none looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LooksLike {
    /// A record of TLS: the listener wants TLS.
    Tls,
    /// `HTTP`.
    Http,
    /// `SSH-`.
    Ssh,
    /// Four printable characters: some text protocol.
    Text,
    /// A frame of Kafka that is too long.
    LongFrame,
    /// Nothing known.
    Garbage,
    /// Nothing known, where a broker's first answer should be: what listens there is none.
    NoBroker,
}

impl NetworkError {
    pub(crate) fn new(node: i32, endpoint: Arc<Endpoint>, kind: NetworkErrorKind) -> NetworkError {
        NetworkError(Arc::new(Inner { node, endpoint, kind }))
    }

    /// What happened.
    pub fn kind(&self) -> &NetworkErrorKind {
        &self.0.kind
    }

    /// The node it happened with.
    pub fn node(&self) -> i32 {
        self.0.node
    }

    /// Where the node listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Whether a timeout of this client ended it.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.kind(),
            NetworkErrorKind::SetupTimeout { .. } | NetworkErrorKind::RequestTimeout { .. }
        )
    }

    /// Whether one side does not accept who the other one is: certificates, credentials or the settings about them are
    /// wrong. Trying again does not help, and who waits should be told.
    pub fn is_authentication(&self) -> bool {
        match self.kind() {
            NetworkErrorKind::Tls(failure) => !failure.is_wrong_peer(),
            NetworkErrorKind::Sasl { failure, .. } => !failure.is_transient(),
            _ => false,
        }
    }

    /// Whether what listens there is no Kafka broker, or one that speaks another `security.protocol`. Trying again does
    /// not help, and who waits should be told.
    pub fn is_wrong_peer(&self) -> bool {
        match self.kind() {
            NetworkErrorKind::Tls(failure) => failure.is_wrong_peer(),
            NetworkErrorKind::SaslWanted { .. } => true,
            NetworkErrorKind::FrameLength { looks_like, .. } => {
                matches!(
                    looks_like,
                    LooksLike::Tls | LooksLike::Http | LooksLike::Ssh | LooksLike::Text | LooksLike::NoBroker
                )
            }
            _ => false,
        }
    }

    /// Whether the peer does not speak Kafka's protocol as it should.
    pub fn is_protocol_violation(&self) -> bool {
        matches!(
            self.kind(),
            NetworkErrorKind::FrameLength { .. }
                | NetworkErrorKind::CorrelationMismatch { .. }
                | NetworkErrorKind::Unsolicited
                | NetworkErrorKind::AnsweredBeforeWritten
                | NetworkErrorKind::Malformed { .. }
                | NetworkErrorKind::ApiVersionsRefused { .. }
        )
    }

    /// Whether this client ended the connection without anything being wrong.
    pub fn is_local(&self) -> bool {
        matches!(
            self.kind(),
            NetworkErrorKind::Idle | NetworkErrorKind::Requested | NetworkErrorKind::EndpointChanged
        )
    }

    /// What to look at or to change, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        hint(self.kind())
    }
}

fn hint(kind: &NetworkErrorKind) -> Option<&'static str> {
    Some(match kind {
        NetworkErrorKind::Resolve(_) | NetworkErrorKind::NoAddress => {
            "check bootstrap.servers and the broker's advertised.listeners"
        }
        NetworkErrorKind::Connect { failure, .. } if failure.kind == io::ErrorKind::ConnectionRefused => {
            "no broker listens there: check that it runs, and the port"
        }
        NetworkErrorKind::SetupTimeout {
            stage: SetupStage::ApiVersions,
            ..
        } => {
            "something accepted the connection but does not answer: the listener may want TLS \
             (security.protocol), or the broker is stuck"
        }
        NetworkErrorKind::SetupTimeout {
            stage: SetupStage::Credentials | SetupStage::Authenticating,
            ..
        } => return None,
        NetworkErrorKind::SetupTimeout { .. } => {
            "a firewall may drop the packets; or, with TLS, the listener accepts and does not answer"
        }
        NetworkErrorKind::Tls(failure) => failure.hint(),
        NetworkErrorKind::Sasl { failure, .. } => return failure.hint(),
        NetworkErrorKind::SaslWanted { .. } => {
            "set security.protocol to SASL_PLAINTEXT, or with TLS SASL_SSL, and sasl.mechanism and sasl.jaas.config"
        }
        NetworkErrorKind::Closed {
            during: Some(SetupStage::Authenticating),
            ..
        } => "the broker gives up on an authentication that it does not like: its log says more",
        NetworkErrorKind::Closed { during: Some(_), .. } => {
            "it accepted the connection and closed it before the first answer: the listener may want TLS or SASL \
             (security.protocol)"
        }
        NetworkErrorKind::ApiVersionsRefused { .. } => "the listener may want SASL (security.protocol)",
        NetworkErrorKind::FrameLength { looks_like, .. } => match looks_like {
            LooksLike::Tls => "this listener speaks TLS: set security.protocol to SSL or SASL_SSL",
            LooksLike::Http => "a HTTP server listens there: check the port",
            LooksLike::Ssh => "a SSH server listens there: check the port",
            LooksLike::LongFrame => "raise the limit of the frame's length if the cluster is that big",
            LooksLike::Text | LooksLike::Garbage | LooksLike::NoBroker => {
                "no Kafka broker listens there: check the port"
            }
        },
        _ => return None,
    })
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            // Java's numbers for those that are asked first: nobody knows them by these.
            ..0 => write!(f, "{}: ", self.endpoint())?,
            node => write!(f, "node {node} at {}: ", self.endpoint())?,
        }
        match self.kind() {
            // The same twice, if the endpoint is an address.
            NetworkErrorKind::Connect { address, failure }
                if self.endpoint().to_string() == address.to_string() =>
            {
                write!(f, "cannot connect: {failure}")?;
            }
            kind => kind.fmt(f)?,
        }
        match self.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkError")
            .field("node", &self.node())
            .field("endpoint", self.endpoint())
            .field("kind", self.kind())
            .finish()
    }
}

impl std::error::Error for NetworkError {}

impl fmt::Display for NetworkErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkErrorKind::Resolve(failure) => write!(f, "the name cannot be resolved: {failure}"),
            NetworkErrorKind::NoAddress => f.write_str("the name has no address"),
            NetworkErrorKind::Connect { address, failure } => {
                write!(f, "cannot connect to {address}: {failure}")
            }
            NetworkErrorKind::SetupTimeout { stage, timeout } => {
                write!(f, "not connected within {timeout:?}, still {stage}")
            }
            NetworkErrorKind::Closed {
                failure,
                during: None,
            } => write!(f, "connection lost: {failure}"),
            NetworkErrorKind::Closed {
                failure,
                during: Some(stage),
            } => {
                write!(f, "connection lost while {stage}: {failure}")
            }
            NetworkErrorKind::Tls(failure) => failure.fmt(f),
            NetworkErrorKind::Sasl { mechanism, failure } => {
                write!(f, "authentication by {mechanism} failed: {failure}")
            }
            NetworkErrorKind::SaslWanted { offered } if offered.is_empty() => {
                f.write_str("this listener wants SASL")
            }
            NetworkErrorKind::SaslWanted { offered } => {
                write!(f, "this listener wants SASL, by {}", offered.join(", "))
            }
            NetworkErrorKind::RequestTimeout { api_key, timeout } => {
                let api = ApiKey(*api_key);
                write!(f, "no answer to {api} within {timeout:?}, connection closed")
            }
            NetworkErrorKind::ApiVersionsRefused { code } => {
                write!(f, "ApiVersions was refused with error code {code}")
            }
            NetworkErrorKind::FrameLength {
                length,
                bytes_max,
                looks_like,
            } => write_frame_length(f, *length, *bytes_max, *looks_like),
            NetworkErrorKind::CorrelationMismatch { expected, received } => {
                write!(
                    f,
                    "an answer with correlation id {received} came where {expected} was due"
                )
            }
            NetworkErrorKind::Unsolicited => f.write_str("bytes came although no answer was due"),
            NetworkErrorKind::AnsweredBeforeWritten => {
                f.write_str("an answer came before its request was written")
            }
            NetworkErrorKind::Malformed { detail } => write!(f, "an answer cannot be decoded: {detail}"),
            NetworkErrorKind::Idle => f.write_str("connection closed, it was idle"),
            NetworkErrorKind::Requested => f.write_str("connection closed by this client"),
            NetworkErrorKind::EndpointChanged => {
                f.write_str("connection closed, the node moved to another address")
            }
        }
    }
}

fn write_frame_length(
    f: &mut fmt::Formatter<'_>,
    length: i32,
    bytes_max: usize,
    looks_like: LooksLike,
) -> fmt::Result {
    match looks_like {
        LooksLike::Tls => f.write_str("the answer is a TLS record"),
        LooksLike::Http => f.write_str("the answer is HTTP"),
        LooksLike::Ssh => f.write_str("the answer is SSH"),
        LooksLike::Text => {
            // Printable by the definition of this variant.
            let text: String = length
                .to_be_bytes()
                .iter()
                .map(|&byte| char::from(byte))
                .collect();
            write!(f, "the answer is text, starting with {text:?}")
        }
        LooksLike::LongFrame => write!(
            f,
            "an answer of {length} bytes, at most {bytes_max} are taken here"
        ),
        LooksLike::Garbage | LooksLike::NoBroker => write!(f, "the answer's length would be {length} bytes"),
    }
}

impl fmt::Display for SetupStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetupStage::Resolving => "resolving the name",
            SetupStage::Dialing => "connecting",
            SetupStage::ApiVersions => "waiting for the answer to ApiVersions",
            SetupStage::Credentials => "waiting for credentials",
            SetupStage::Authenticating => "authenticating",
        })
    }
}

/// Why a request was not taken: nothing of it was or will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The node has no connection that is ready: ask for one and wait for [`crate::NetworkEvent::Ready`].
    NotReady,
    /// [`crate::NetworkConfig::requests_outstanding_max`] are outstanding.
    TooManyOutstanding,
    /// Longer than a frame's length can say (2 GiB - 1).
    TooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::NotReady => "the node has no connection that is ready",
            SendError::TooManyOutstanding => "too many requests are outstanding on this connection",
            SendError::TooLong => "the request is longer than 2 GiB - 1",
        })
    }
}

impl std::error::Error for SendError {}
