//! From a host's name to its addresses.

use super::BoxFuture;
use crate::Endpoint;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

/// Looks names up.
///
/// The network sets the deadline and tries the addresses in their order; the future is dropped when it is no longer
/// wanted.
pub trait Resolver: Debug + Send + Sync {
    /// The addresses of `endpoint`, with its port.
    fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>>;
}

/// The operating system's resolver (`getaddrinfo`), on tokio's threads for blocking work.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let target = (endpoint.host().to_owned(), endpoint.port());
        Box::pin(async move { Ok(tokio::net::lookup_host(target).await?.collect()) })
    }
}
