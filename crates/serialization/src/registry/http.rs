//! What the client needs of HTTP.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A future that owns what it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Exchanges requests for responses, and waits: what only somebody with I/O can do.
pub trait Http: Send + Sync {
    /// Sends the request and reads the whole response, within the request's timeout and bound. A response of any status
    /// is no error. Redirects are not followed: credentials must not go elsewhere.
    fn exchange(&self, request: Request) -> BoxFuture<Result<Response, HttpError>>;

    /// Is ready after that time.
    fn sleep(&self, duration: Duration) -> BoxFuture<()>;
}

/// A request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// `http://` or `https://`, without user and password.
    pub url: String,
    /// The value of `Authorization`; a secret.
    pub authorization: Option<String>,
    /// The media type of the body, and of the answer that is wanted.
    pub media_type: &'static str,
    /// The body; none is not the same as an empty one.
    pub body: Option<Vec<u8>>,
    /// When to give up.
    pub timeout: Duration,
    /// The largest response body to take; a larger one is an error.
    pub response_bytes_max: usize,
}

impl Request {
    /// A request without body and credentials.
    pub fn new(method: Method, url: impl Into<String>) -> Request {
        Request {
            method,
            url: url.into(),
            authorization: None,
            media_type: "application/json",
            body: None,
            timeout: Duration::from_secs(30),
            response_bytes_max: 1 << 20,
        }
    }
}

impl fmt::Debug for Request {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("body", &self.body.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// What to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Read it.
    Get,
    /// Add to it, or ask it.
    Post,
    /// Replace it.
    Put,
    /// Remove it.
    Delete,
}

impl Method {
    /// Its name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// 200 and so on.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// A response.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            body: body.into(),
        }
    }
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The server cannot be reached, or the connection broke: why.
    Connection(String),
    /// The timeout passed.
    Timeout,
    /// What came is no HTTP, or more than was allowed: what is wrong.
    Protocol(String),
    /// The request cannot be sent by this implementation, or the server's certificate is not trusted: why. Another
    /// attempt would end in the same way.
    Refused(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Connection(why) => write!(f, "no connection: {why}"),
            HttpError::Timeout => f.write_str("no answer in time"),
            HttpError::Protocol(why) => write!(f, "no HTTP: {why}"),
            HttpError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for HttpError {}
