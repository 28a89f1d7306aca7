//! Tests of the network: its states without I/O, hostile peers, real sockets, and a real Kafka.

#[cfg(feature = "tokio")]
mod client;
mod hostile;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "tokio")]
mod kafka;
mod sasl;
mod states;
#[cfg(feature = "pkcs12")]
mod stores;
mod support;
mod time;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
mod tls;
#[cfg(any(feature = "pkcs12", feature = "tls"))]
mod tools;
#[cfg(feature = "tokio")]
mod transport;
