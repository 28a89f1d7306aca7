//! The places to put in other ways to find and to reach brokers.
//!
//! [`ProducerBuilder::connector`](crate::ProducerBuilder::connector) takes a [`Connector`]: a tunnel, a proxy, a network in
//! memory. [`ProducerBuilder::resolver`](crate::ProducerBuilder::resolver) takes a [`Resolver`]: a service registry, or
//! fixed addresses.
//!
//! ```
//! use ottla::transport::{BoxFuture, Endpoint, Resolver};
//! use std::io;
//! use std::net::{Ipv4Addr, SocketAddr};
//! use std::sync::Arc;
//!
//! /// Every broker is on this machine, whatever it is called.
//! #[derive(Debug)]
//! struct Here;
//!
//! impl Resolver for Here {
//!     fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
//!         let address = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port()));
//!         Box::pin(async move { Ok(vec![address]) })
//!     }
//! }
//!
//! let builder = ottla::Producer::builder().resolver(Arc::new(Here));
//! # let _ = builder;
//! ```

pub use ottla_network::Endpoint;
pub use ottla_network::transport::{BoxFuture, Connector, Resolver, Stream, SystemResolver, TcpConnector};
