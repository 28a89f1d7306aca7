//! The I/O around [`Network`](crate::Network), on tokio: names, sockets and the timer, all in one task.
//!
//! [`NetworkDriver`] owns every socket and is polled by its user's own future, so nothing is sent through a channel
//! and nothing is locked on the way of a request: a command queues it, the next poll writes it, together with what
//! else waits for that socket, in one vectored write. Each socket has a waker of its own, so a poll looks only at
//! those that have something to do, and each gets a bounded turn: a broker that floods or freezes holds up nobody
//! else.
//!
//! [`Resolver`] and [`Connector`] are the places to put in other ways to find and to reach a broker.

mod connector;
mod credentials;
mod driver;
mod ready;
mod resolver;
mod socket;

pub use connector::{Connector, Stream, TcpConnector};
pub use credentials::CredentialProvider;
pub use driver::NetworkDriver;
pub use resolver::{Resolver, SystemResolver};

use std::future::Future;
use std::pin::Pin;

/// A future on the heap: a lookup or a dial is rare enough.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
