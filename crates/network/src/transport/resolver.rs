//! From a host's name to its addresses, and from an address to its name.

use super::BoxFuture;
use crate::Endpoint;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Looks names up.
///
/// The network sets the deadline and tries the addresses in their order; the future is dropped when it is no longer
/// wanted.
pub trait Resolver: Debug + Send + Sync {
    /// The addresses of `endpoint`, with its port.
    fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>>;

    /// The canonical name of `address`, for endpoints that are [called by it](Endpoint::by_canonical_name). Where there is
    /// none, the address stands for itself; a resolver that does not say otherwise knows none.
    fn canonical_name(&self, address: IpAddr) -> BoxFuture<io::Result<String>> {
        let _ = address;
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

/// The operating system's resolver (`getaddrinfo` and `getnameinfo`), on tokio's threads for blocking work.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let target = (endpoint.host().to_owned(), endpoint.port());
        Box::pin(async move { Ok(tokio::net::lookup_host(target).await?.collect()) })
    }

    /// As Java's `InetAddress.getCanonicalHostName`: a name that does not lead back to the address is not believed, for
    /// whoever owns an address may give it any name.
    fn canonical_name(&self, address: IpAddr) -> BoxFuture<io::Result<String>> {
        Box::pin(async move {
            let lookup = tokio::task::spawn_blocking(move || dns_lookup::lookup_addr(&address));
            let name = lookup.await.map_err(io::Error::other)??;
            let leads_back = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .any(|found| found.ip() == address);
            if leads_back {
                Ok(name)
            } else {
                Err(io::Error::other("the name of the address is another address's"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a machine calls itself is its own affair: a name, or none.
    #[tokio::test]
    async fn a_canonical_name_leads_back_to_its_address() {
        let address = IpAddr::from([127, 0, 0, 1]);
        if let Ok(name) = SystemResolver.canonical_name(address).await {
            let found = SystemResolver
                .resolve(&Endpoint::new(name.as_str(), 1))
                .await
                .unwrap();
            assert!(
                found.iter().any(|found| found.ip() == address),
                "{name}: {found:?}"
            );
        }
    }
}
