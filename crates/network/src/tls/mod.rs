//! TLS by rustls: what to trust, who this client is, and a [`Connector`](crate::transport::Connector) that uses it.
//!
//! ```
//! use ottla_network::stores::{Store, StoreForm};
//! use ottla_network::tls::{TlsConfig, TlsConnector};
//! use ottla_network::transport::TcpConnector;
//! use std::sync::Arc;
//!
//! # fn connector(pem: &[u8]) -> Result<TlsConnector, Box<dyn std::error::Error>> {
//! let trusted = Store::read(StoreForm::Pem, pem, None, None)?.trusted;
//! let config = TlsConfig::builder().trust(trusted).build()?;
//! let connector = TlsConnector::new(Arc::new(TcpConnector::default()), Arc::new(config));
//! # Ok(connector) }
//! # assert!(connector(b"").is_err());
//! ```
//!
//! # Whom it believes
//!
//! A broker's certificate must be signed, over any number of others, by one that is trusted, be valid now and name the
//! host. What Java accepts and rustls alone does not: a certificate that stands in the truststore itself is believed
//! though it is self-signed or an authority's; it still has to be valid and to name the host. The check of the name, and
//! nothing else, can be switched off. The signature of the handshake is always checked, and no setting accepts every
//! certificate.
//!
//! # Cryptography
//!
//! By the feature `tls-ring` or `tls-aws-lc-rs`, or any provider given to [`TlsConfigBuilder::provider`]; none is
//! installed for the process.

mod config;
mod connector;
mod explain;
mod probe;
mod signer;
mod stream;
mod verifier;
mod x509;

pub use config::{TlsConfig, TlsConfigBuilder, TlsConfigError, TlsVersion};
#[cfg(feature = "http")]
pub(crate) use connector::secure;
pub use connector::{TlsConnector, TlsSource};
pub use rustls::crypto::CryptoProvider;
pub use signer::{JwtAlgorithm, JwtSigner, SignerError};
