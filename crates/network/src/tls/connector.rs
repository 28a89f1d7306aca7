//! TLS over another connector.

use super::config::TlsConfig;
use super::stream::{Remembering, Secured};
use super::{explain, probe};
use crate::transport::{BoxFuture, Connector, Stream};
use crate::{Endpoint, TlsFailure};
use rustls_pki_types::ServerName;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where the settings of the next connection come from: a [`TlsConfig`], or something that reads files again when they
/// change.
pub trait TlsSource: Debug + Send + Sync {
    /// The settings for one connection. It must not block: this runs where all I/O does.
    fn config(&self) -> BoxFuture<Result<TlsConfig, TlsFailure>>;
}

impl TlsSource for TlsConfig {
    fn config(&self) -> BoxFuture<Result<TlsConfig, TlsFailure>> {
        let config = self.clone();
        Box::pin(async move { Ok(config) })
    }
}

/// Connects with TLS, over a stream that another connector makes. The host's name goes with the handshake (SNI), unless
/// it is an address; no protocol is negotiated (ALPN), as Kafka has none.
#[derive(Clone, Debug)]
pub struct TlsConnector {
    inner: Arc<dyn Connector>,
    source: Arc<dyn TlsSource>,
}

impl TlsConnector {
    /// TLS with these settings over `inner`.
    pub fn new(inner: Arc<dyn Connector>, source: Arc<dyn TlsSource>) -> TlsConnector {
        TlsConnector { inner, source }
    }
}

impl Connector for TlsConnector {
    fn connect(&self, endpoint: &Endpoint, address: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let connector = self.clone();
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let name = server_name(&endpoint).map_err(io::Error::other)?;
            let config = connector.source.config().await.map_err(io::Error::other)?;
            let stream = connector.inner.connect(&endpoint, address).await?;
            match handshake(stream, name, &config).await {
                Ok(secured) => Ok(secured),
                Err((error, start)) => Err(connector
                    .explained(error, &start, &endpoint, address, &config)
                    .await),
            }
        })
    }
}

impl TlsConnector {
    async fn explained(
        &self,
        error: io::Error,
        start: &[u8],
        endpoint: &Endpoint,
        address: SocketAddr,
        config: &TlsConfig,
    ) -> io::Error {
        if let Some(failure) = explain::failure(&error, start, config) {
            return io::Error::new(io::ErrorKind::InvalidData, failure);
        }
        // It closed the connection, or the network broke.
        if start.is_empty() && probe::speaks_plain_kafka(&*self.inner, endpoint, address).await {
            return io::Error::new(io::ErrorKind::InvalidData, TlsFailure::PlaintextBroker);
        }
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the broker closed the connection".to_owned(),
            _ => error.to_string(),
        };
        io::Error::new(error.kind(), format!("{reason} during the TLS handshake"))
    }
}

/// TLS over a stream that leads to a server which is no Kafka broker.
#[cfg(feature = "http")]
pub(crate) async fn secure(
    stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    config: &TlsConfig,
) -> io::Result<Box<dyn Stream>> {
    let name = server_name(endpoint).map_err(io::Error::other)?;
    handshake(stream, name, config).await.map_err(|(error, start)| {
        match explain::failure(&error, &start, config) {
            Some(failure) => io::Error::new(io::ErrorKind::InvalidData, failure),
            None => io::Error::new(error.kind(), format!("{error} during the TLS handshake")),
        }
    })
}

/// The handshake; an error comes with the start of what the peer sent.
async fn handshake(
    stream: Box<dyn Stream>,
    name: ServerName<'static>,
    config: &TlsConfig,
) -> Result<Box<dyn Stream>, (io::Error, Vec<u8>)> {
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config.client));
    match connector
        .connect(name, Remembering::new(stream))
        .into_fallible()
        .await
    {
        Ok(stream) => Ok(Box::new(Secured::new(stream, config.clone()))),
        Err((error, stream)) => Err((error, stream.start().to_vec())),
    }
}

/// The name to verify. The zone of an IPv6 address means something on this machine only.
fn server_name(endpoint: &Endpoint) -> Result<ServerName<'static>, TlsFailure> {
    let host = endpoint.host();
    let host = host.split_once('%').map_or(host, |(address, _)| address);
    ServerName::try_from(host.to_owned()).map_err(|_| TlsFailure::Protocol {
        detail: format!("{host:?} is neither a name nor an address that a certificate could have"),
    })
}
