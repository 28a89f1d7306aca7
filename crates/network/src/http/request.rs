//! What is sent, and what comes back.

use super::error::HttpError;
use super::url::HttpUrl;
use crate::sasl::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// What to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpMethod {
    /// Read it.
    Get,
    /// Add to it, or ask it.
    Post,
    /// Replace it.
    Put,
    /// Remove it.
    Delete,
}

impl HttpMethod {
    pub(super) fn as_hyper(self) -> hyper::Method {
        match self {
            HttpMethod::Get => hyper::Method::GET,
            HttpMethod::Post => hyper::Method::POST,
            HttpMethod::Put => hyper::Method::PUT,
            HttpMethod::Delete => hyper::Method::DELETE,
        }
    }
}

/// The value of a header `Authorization`; it does not show itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization(Secret);

impl Authorization {
    /// A user and a password (RFC 7617).
    pub fn basic(user: &str, password: &str) -> Authorization {
        let plain = Zeroizing::new(format!("{user}:{password}"));
        let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
        Authorization(Secret::new(format!("Basic {}", *encoded)))
    }

    /// A token (RFC 6750).
    pub fn bearer(token: &Secret) -> Authorization {
        Authorization(Secret::new(format!("Bearer {}", token.reveal())))
    }

    /// The whole value, as it is sent.
    pub fn raw(value: impl Into<Secret>) -> Authorization {
        Authorization(value.into())
    }

    /// As a header; hyper shows no such value.
    pub(super) fn header_value(&self) -> Result<HeaderValue, HttpError> {
        let mut value = HeaderValue::from_str(self.0.reveal()).map_err(|_| HttpError::Request {
            reason: "the credentials have a character that no header can have",
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// One request.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpRequest {
    /// What to do.
    pub method: HttpMethod,
    /// Where. User and password in it are not sent: they have to become the `authorization`.
    pub url: HttpUrl,
    /// Who asks.
    pub authorization: Option<Authorization>,
    /// Other headers: name and value.
    pub headers: Vec<(&'static str, String)>,
    /// The body; its memory is cleared when it is dropped. `None` is not the same as an empty one.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// How long finding the server, connecting and TLS may take, within the whole.
    pub connect_timeout: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The largest body that is taken for an answer.
    pub response_bytes_max: usize,
}

impl HttpRequest {
    /// A request without body and credentials, with 10 s to connect, 30 s in all, and at most 1 MiB of answer.
    pub fn new(method: HttpMethod, url: HttpUrl) -> HttpRequest {
        HttpRequest {
            method,
            url,
            authorization: None,
            headers: Vec::new(),
            body: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            response_bytes_max: 1 << 20,
        }
    }
}

impl fmt::Debug for HttpRequest {
    /// Shows neither credentials nor body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("body_bytes", &self.body.as_ref().map(|body| body.len()))
            .finish_non_exhaustive()
    }
}

/// One answer, of any status.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpResponse {
    /// 200 and so on.
    pub status: u16,
    /// The whole body; its memory is cleared when it is dropped.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for HttpResponse {
    /// Shows the body's length only: it may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
