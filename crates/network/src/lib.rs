//! Connections to Kafka brokers: sessions and connection states without I/O, and a tokio transport.
//!
//! # What it does
//!
//! [`Network`] holds the connections of one client, one for each node, as one state machine. It decides when to look a
//! name up, which address to dial, when to wait, what a broker may say, and when a connection has to end; it frames
//! requests, matches answers, asks every broker first what it can do (ApiVersions, with its fallbacks), and then tells
//! it who this client is ([`sasl`]), again before a session ends. It knows neither sockets nor a clock: commands, inputs and the time go in, [`IoAction`]s and [`NetworkEvent`]s come out.
//!
//! ```text
//!      commands                    ┌─────────┐  IoAction: Resolve, Dial, Write, Close
//!  connect, send, disconnect ────► │         │ ────────────────────────────────────────►  I/O
//!                                  │ Network │
//!  client ◄─────────────────────── │         │ ◄────────────────────────────────────────
//!      NetworkEvent                └─────────┘  handle_resolved, _connected, _read, _written, _closed
//!      Ready, Response, Failed …        ▲
//!                                       └ handle_timeout(now), by poll_timeout
//! ```
//!
//! Each request ends with exactly one event, and one that failed says whether a byte of it may have reached the wire.
//! Nothing that a peer sends can panic, or take memory beyond what it sent and the limits in [`NetworkConfig`]; a peer
//! that is no Kafka broker is told by its first four bytes ([`LooksLike`]).
//!
//! # What it does not do
//!
//! It does not know records, batches or metadata: who sends what to which node, how many requests are in flight, and
//! what is sent again, is decided above it. It never reconnects by itself: one call of [`Network::connect`] is one
//! attempt, which honours the backoff.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tokio` | yes | `transport`: the I/O on a tokio runtime, with `Resolver` and `Connector` as places for one's own |
//! | `http` | no | `http`: the HTTP client for schema registries and token endpoints |
//! | `jwt` | no | `sasl::jwt`: what OAuth's tokens and token endpoints say, without I/O |
//! | `stores` | no | `stores`: keystores and truststores in JKS and PEM, without I/O |
//! | `pkcs12` | no | PKCS#12, too |
//! | `tls` | no | `tls`: TLS by rustls, with a provider of cryptography of one's own |
//! | `tls-ring`, `tls-aws-lc-rs` | no | TLS with one of these; with both, with aws-lc-rs |
//! | `native-roots` | no | trust in what the operating system trusts |
//!
//! # Without tokio
//!
//! The I/O below is blocking, for one node; the simulation has another one, in memory.
//!
//! ```
//! use bytes::Bytes;
//! use ottla_network::{Endpoint, IoAction, IoFailure, Network, NetworkConfig, NetworkEvent, OutgoingRequest};
//! use ottla_protocol::messages::MetadataRequest;
//! use ottla_time::Time;
//! use std::io::{Read, Write};
//! use std::net::{TcpStream, ToSocketAddrs};
//! use std::time::{Duration, Instant};
//!
//! fn metadata(endpoint: Endpoint) -> Result<Bytes, Box<dyn std::error::Error>> {
//!     let origin = Instant::now();
//!     let now = || Time::ZERO + origin.elapsed();
//!     let mut network = Network::new(NetworkConfig::default(), 7)?;
//!     let mut stream: Option<TcpStream> = None;
//!     let mut reading = None;
//!     network.connect(1, endpoint, now());
//!     loop {
//!         while let Some(action) = network.poll_io() {
//!             match action {
//!                 IoAction::Resolve { connection, endpoint } => {
//!                     let found = (endpoint.host(), endpoint.port()).to_socket_addrs();
//!                     network.handle_resolved(connection, found.map(Iterator::collect).map_err(IoFailure::from), now());
//!                 }
//!                 IoAction::Dial { connection, address, .. } => match TcpStream::connect(address) {
//!                     Ok(connected) => {
//!                         (stream, reading) = (Some(connected), Some(connection));
//!                         network.handle_connected(connection, now());
//!                     }
//!                     Err(error) => network.handle_connect_failed(connection, error.into(), now()),
//!                 },
//!                 IoAction::Write { connection, header, body } => {
//!                     let Some(stream) = &mut stream else { continue };
//!                     for piece in std::iter::once(header).chain(body) {
//!                         stream.write_all(&piece)?;
//!                         network.handle_written(connection, piece.len(), now());
//!                     }
//!                 }
//!                 IoAction::Close { .. } => (stream, reading) = (None, None),
//!                 _ => {}
//!             }
//!         }
//!         match network.poll_event() {
//!             Some(NetworkEvent::Ready { node, .. }) => {
//!                 let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
//!                 let request = OutgoingRequest::encode(42, &request, 12, Duration::from_secs(30))?;
//!                 network.send(node, request, now())?;
//!             }
//!             Some(NetworkEvent::Response { body, .. }) => return Ok(body),
//!             Some(NetworkEvent::Disconnected { error, .. }) => return Err(error.into()),
//!             Some(_) => {}
//!             None => {
//!                 // Nothing to do but to wait: for bytes, no longer than to the next deadline.
//!                 let (Some(stream), Some(connection)) = (&mut stream, reading) else { continue };
//!                 let wait = network.poll_timeout().unwrap_or(Time::MAX).since(now());
//!                 stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
//!                 let mut buffer = vec![0; 4_096];
//!                 match stream.read(&mut buffer) {
//!                     Ok(0) => network.handle_closed(connection, IoFailure::end_of_stream(), now()),
//!                     Ok(count) => {
//!                         buffer.truncate(count);
//!                         network.handle_read(connection, buffer.into(), now());
//!                     }
//!                     Err(_) => network.handle_timeout(now()),
//!                 }
//!             }
//!         }
//!     }
//! }
//! # // A broker that answers anything in its own way.
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let port = listener.local_addr()?.port();
//! # let broker = std::thread::spawn(move || -> std::io::Result<()> {
//! #     let (mut stream, _) = listener.accept()?;
//! #     for body in [&b"\0\0\x01\0\0\0\0\0"[..], b"\0metadata"] {
//! #         let mut length = [0; 4];
//! #         stream.read_exact(&mut length)?;
//! #         let mut request = vec![0; u32::from_be_bytes(length) as usize];
//! #         stream.read_exact(&mut request)?;
//! #         let length = 4 + body.len() as u32;
//! #         stream.write_all(&[&length.to_be_bytes(), &request[4..8], body].concat())?;
//! #     }
//! #     Ok(())
//! # });
//! # assert_eq!(metadata(Endpoint::new("127.0.0.1", port))?, b"metadata"[..]);
//! # broker.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod action;
mod addresses;
mod api_versions;
mod authentication;
mod config;
#[cfg(feature = "stores")]
mod der;
mod endpoint;
mod error;
mod event;
mod frame;
#[cfg(feature = "http")]
pub mod http;
mod network;
mod node;
mod observation;
mod renewal;
mod request;
pub mod sasl;
mod segments;
mod session;
#[cfg(feature = "stores")]
pub mod stores;
mod timer;
#[cfg(feature = "tls")]
pub mod tls;
mod tls_failure;
#[cfg(feature = "tokio")]
pub mod transport;
mod versions;

pub use action::{ConnectionId, IoAction, IoFailure};
pub use config::{InvalidConfig, NetworkConfig};
pub use endpoint::Endpoint;
pub use error::{LooksLike, NetworkError, NetworkErrorKind, SendError, SetupStage};
pub use event::NetworkEvent;
pub use network::Network;
pub use node::NodeState;
pub use request::OutgoingRequest;
pub use segments::{IntoPieces, Segments};
pub use tls_failure::TlsFailure;
pub use versions::{ApiRange, BrokerVersions, FinalizedFeature};
