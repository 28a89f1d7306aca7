//! Tests of the network: its states without I/O, hostile peers, real sockets, and a real Kafka.

#[cfg(feature = "tokio")]
mod client;
mod hostile;
#[cfg(feature = "tokio")]
mod kafka;
mod sasl;
mod states;
mod support;
mod time;
#[cfg(feature = "tokio")]
mod transport;
