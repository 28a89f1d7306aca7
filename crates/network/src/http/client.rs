//! The client: from a request to an answer.

use super::connection::{Connection, Failed};
use super::error::{HttpError, HttpStage};
use super::pool::{Key, Pool};
use super::proxy::Proxy;
use super::request::{HttpMethod, HttpRequest, HttpResponse};
use super::url::HttpUrl;
use crate::Endpoint;
#[cfg(feature = "tls")]
use crate::tls::TlsSource;
use crate::transport::{Connector, Resolver, Stream, SystemResolver, TcpConnector};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Exchanges requests for answers. Cheap to clone; all clones share their connections.
///
/// Its futures run on any tokio runtime with I/O and time enabled; a client belongs to one runtime, because its
/// connections do.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    resolver: Arc<dyn Resolver>,
    connector: Arc<dyn Connector>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<dyn TlsSource>>,
    proxy: Option<Proxy>,
    pool: Pool,
}

/// Collects what an [`HttpClient`] connects by.
#[derive(Clone, Debug)]
#[must_use = "build() makes the client"]
pub struct HttpClientBuilder {
    resolver: Arc<dyn Resolver>,
    connector: Arc<dyn Connector>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<dyn TlsSource>>,
    proxy: Option<Proxy>,
}

impl HttpClientBuilder {
    /// Looks names up with `resolver`, instead of the system's.
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> HttpClientBuilder {
        self.resolver = resolver;
        self
    }

    /// Connects with `connector`, instead of plain TCP. TLS comes on top of it.
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> HttpClientBuilder {
        self.connector = connector;
        self
    }

    /// Speaks TLS by these settings where the address is `https`, which is refused without.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, source: Arc<dyn TlsSource>) -> HttpClientBuilder {
        self.tls = Some(source);
        self
    }

    /// Goes through this proxy.
    pub fn proxy(mut self, proxy: Proxy) -> HttpClientBuilder {
        self.proxy = Some(proxy);
        self
    }

    /// The client. It connects when it is first asked.
    pub fn build(self) -> HttpClient {
        HttpClient {
            shared: Arc::new(Shared {
                resolver: self.resolver,
                connector: self.connector,
                #[cfg(feature = "tls")]
                tls: self.tls,
                proxy: self.proxy,
                pool: Pool::default(),
            }),
        }
    }
}

impl HttpClient {
    /// Plain TCP, the system's names, no TLS and no proxy, until something else is said.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder {
            resolver: Arc::new(SystemResolver),
            connector: Arc::new(TcpConnector::default()),
            #[cfg(feature = "tls")]
            tls: None,
            proxy: None,
        }
    }

    /// Sends a request and reads the whole answer, within the request's deadline and bound. An answer of any status is
    /// no error. A redirect is an answer like others: it is not followed.
    ///
    /// A request that a kept connection did not take is sent once more on a new one, if nothing of it was sent or it
    /// changes nothing to send it twice.
    ///
    /// # Errors
    ///
    /// There is no answer, or not one that can be taken.
    pub async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let now = Instant::now();
        let deadline = now + request.timeout;
        let connect_deadline = deadline.min(now + request.connect_timeout);
        let mut head = self.shared.head(&request)?;
        // Its memory is cleared when the last slice of it goes.
        let body = request.body.clone().map_or_else(Bytes::new, Bytes::from_owner);
        let key: Key = (request.url.is_tls(), request.url.endpoint().clone());
        let timed_out = |waiting_for| move |_| HttpError::Timeout { waiting_for };
        let mut kept = self.shared.pool.take(&key);
        loop {
            let is_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => timeout_at(connect_deadline, self.shared.connect(&request.url))
                    .await
                    .map_err(timed_out(HttpStage::Connection))??,
            };
            let mut message = Request::new(Full::new(body.clone()));
            *message.method_mut() = request.method.as_hyper();
            *message.uri_mut() = head.uri.clone();
            *message.headers_mut() = if is_kept {
                head.headers.clone()
            } else {
                std::mem::take(&mut head.headers)
            };
            let answer = connection.exchange(message, request.response_bytes_max);
            let answer = timeout_at(deadline, answer)
                .await
                .map_err(timed_out(HttpStage::Answer))?;
            match answer {
                Ok((status, body)) => {
                    self.shared.pool.keep(key, connection);
                    return Ok(HttpResponse { status, body });
                }
                Err(failed) if is_kept && may_repeat(&failed, request.method) => {}
                Err(failed) => return Err(failed.error),
            }
        }
    }
}

/// The server may have closed a kept connection just when it was used again.
fn may_repeat(failed: &Failed, method: HttpMethod) -> bool {
    failed.is_unsent || failed.is_unanswered && method != HttpMethod::Post
}

/// What comes before the body.
struct Head {
    uri: hyper::Uri,
    headers: hyper::HeaderMap,
}

impl Shared {
    fn head(&self, request: &HttpRequest) -> Result<Head, HttpError> {
        let unsendable = || HttpError::Request {
            reason: "the request cannot be sent: a header or the URL has a character that is not allowed there",
        };
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| unsendable());
        let url = &request.url;
        let mut headers = hyper::HeaderMap::new();
        headers.insert(HOST, value(&url.host())?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("ottla/", env!("CARGO_PKG_VERSION"))),
        );
        if request.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, text) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable())?;
            headers.insert(name, value(text)?);
        }
        if let Some(authorization) = &request.authorization {
            headers.insert(AUTHORIZATION, authorization.header_value()?);
        }
        let mut uri = url.target().to_owned();
        if let Some(proxy) = self.proxy.as_ref().filter(|_| !url.is_tls()) {
            uri = format!("http://{}{uri}", url.authority());
            if let Some(authorization) = proxy.credentials() {
                headers.insert(PROXY_AUTHORIZATION, authorization.header_value()?);
            }
        }
        let uri = uri.parse().map_err(|_| unsendable())?;
        Ok(Head { uri, headers })
    }

    async fn connect(&self, url: &HttpUrl) -> Result<Connection, HttpError> {
        if url.is_tls() && !self.has_tls() {
            return Err(NO_TLS);
        }
        let stream = match &self.proxy {
            None => self.dial(url.endpoint()).await?,
            Some(proxy) => {
                let mut stream = self.dial(proxy.endpoint()).await?;
                if url.is_tls() {
                    proxy.tunnel(&mut *stream, &url.authority()).await?;
                }
                stream
            }
        };
        let stream = if url.is_tls() {
            self.secure(stream, url).await?
        } else {
            stream
        };
        Connection::open(stream).await
    }

    /// A connection to the first of the addresses that takes one.
    async fn dial(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>, HttpError> {
        let failed = |error: &io::Error| HttpError::Connection {
            reason: format!("{endpoint}: {error}"),
        };
        let addresses = self.resolver.resolve(endpoint).await;
        let mut last = HttpError::Connection {
            reason: format!("{endpoint} has no address"),
        };
        for address in addresses.map_err(|error| failed(&error))? {
            match self.connector.connect(endpoint, address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = failed(&error),
            }
        }
        Err(last)
    }

    fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, stream: Box<dyn Stream>, url: &HttpUrl) -> Result<Box<dyn Stream>, HttpError> {
        let Some(source) = &self.tls else {
            return Err(NO_TLS);
        };
        let config = source.config().await.map_err(HttpError::Tls)?;
        crate::tls::secure(stream, url.endpoint(), &config)
            .await
            .map_err(|failure| match crate::IoFailure::from(failure) {
                crate::IoFailure { tls: Some(tls), .. } => HttpError::Tls(tls),
                other => HttpError::Connection {
                    reason: format!("{}: {other}", url.endpoint()),
                },
            })
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, _: Box<dyn Stream>, _: &HttpUrl) -> Result<Box<dyn Stream>, HttpError> {
        Err(NO_TLS)
    }
}

const NO_TLS: HttpError = HttpError::Request {
    reason: "https takes TLS, and none is set up here",
};

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("connector", &self.shared.connector)
            .field("proxy", &self.shared.proxy)
            .finish_non_exhaustive()
    }
}
