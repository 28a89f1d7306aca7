//! The schema registry's HTTP, on tokio.

use ottla_network::Endpoint;
use ottla_network::transport::{Connector, Resolver, Stream, SystemResolver, TcpConnector};
use ottla_serialization::registry::{
    self, BoxFuture, Http, HttpError, Request, Response, ResponseReader, request_bytes,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Exchanges each request on a connection of its own: a registry is asked once for each schema.
///
/// Its futures run on the producer's runtime. For `https` it needs a connector that speaks TLS
/// ([`with_tls`](RegistryHttp::with_tls)); without one such addresses are refused.
#[derive(Clone, Debug)]
pub struct RegistryHttp {
    plain: Arc<dyn Connector>,
    tls: Option<Arc<dyn Connector>>,
}

impl Default for RegistryHttp {
    fn default() -> RegistryHttp {
        RegistryHttp {
            plain: Arc::new(TcpConnector::default()),
            tls: None,
        }
    }
}

impl RegistryHttp {
    /// Plain HTTP only.
    pub fn new() -> RegistryHttp {
        RegistryHttp::default()
    }

    /// Connects by this for `https`: a connector that speaks TLS.
    #[must_use]
    pub fn with_tls(mut self, connector: Arc<dyn Connector>) -> RegistryHttp {
        self.tls = Some(connector);
        self
    }
}

impl Http for RegistryHttp {
    fn exchange(&self, request: Request) -> BoxFuture<Result<Response, HttpError>> {
        let this = self.clone();
        Box::pin(async move {
            let timeout = request.timeout;
            match tokio::time::timeout(timeout, this.talk(request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(HttpError::Timeout),
            }
        })
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl RegistryHttp {
    async fn talk(&self, request: Request) -> Result<Response, HttpError> {
        // The query is no part of an address.
        let address = request.url.split('?').next().unwrap_or_default();
        let to = registry::Endpoint::parse(address).map_err(|error| HttpError::Refused(error.to_string()))?;
        let connector = match (to.scheme(), &self.tls) {
            ("http", _) => &self.plain,
            ("https", Some(tls)) => tls,
            ("https", None) => {
                return Err(HttpError::Refused(
                    "https needs a connector that speaks TLS, and none was given".to_owned(),
                ));
            }
            (other, _) => return Err(HttpError::Refused(format!("nothing here speaks {other}"))),
        };
        let bytes = request_bytes(&request, &format!("{}:{}", to.host(), to.port()))?;
        let mut stream = connect(&**connector, &to).await?;
        stream.write_all(&bytes).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut reader = ResponseReader::new(request.response_bytes_max);
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await.map_err(broken)? {
                0 => return reader.end(),
                count => {
                    if let Some(response) = reader.push(&buffer[..count])? {
                        return Ok(response);
                    }
                }
            }
        }
    }
}

/// The first of the host's addresses that takes the connection.
async fn connect(connector: &dyn Connector, to: &registry::Endpoint) -> Result<Box<dyn Stream>, HttpError> {
    let host = to.host().trim_start_matches('[').trim_end_matches(']');
    let endpoint = Endpoint::new(host, to.port());
    let addresses = SystemResolver.resolve(&endpoint).await.map_err(broken)?;
    let mut failure = HttpError::Connection(format!("{host} has no address"));
    for address in addresses {
        match connector.connect(&endpoint, address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = broken(error),
        }
    }
    Err(failure)
}

fn broken(error: io::Error) -> HttpError {
    HttpError::Connection(error.to_string())
}
