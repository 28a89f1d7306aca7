//! Through a proxy: `CONNECT` for https, whole URLs for http.

use super::error::HttpError;
use super::request::Authorization;
use super::url::{HttpUrl, InvalidUrl};
use crate::Endpoint;
use crate::transport::Stream;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// An answer to `CONNECT` has a few lines.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// A proxy that is spoken to in plain HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    endpoint: Endpoint,
    authorization: Option<Authorization>,
}

impl Proxy {
    /// A proxy that listens there.
    pub fn new(endpoint: Endpoint) -> Proxy {
        Proxy {
            endpoint,
            authorization: None,
        }
    }

    /// A proxy by its `http://` address; user and password in front of an `@` become its authorization.
    ///
    /// # Errors
    ///
    /// It is no such address.
    pub fn parse(text: &str) -> Result<Proxy, InvalidUrl> {
        let url: HttpUrl = if text.contains("://") {
            text.parse()?
        } else {
            format!("http://{text}").parse()?
        };
        if url.is_tls() {
            return Err(super::url::PROXY_IN_PLAIN);
        }
        let mut proxy = Proxy::new(url.endpoint().clone());
        if let Some(user_info) = url.user_info() {
            let (user, password) = user_info
                .reveal()
                .split_once(':')
                .unwrap_or((user_info.reveal(), ""));
            let decoded = super::url::percent_decoded;
            proxy.authorization = Some(Authorization::basic(&decoded(user), &decoded(password)));
        }
        Ok(proxy)
    }

    /// Who asks the proxy.
    #[must_use]
    pub fn authorization(mut self, authorization: Authorization) -> Proxy {
        self.authorization = Some(authorization);
        self
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn credentials(&self) -> Option<&Authorization> {
        self.authorization.as_ref()
    }

    /// Asks for a tunnel to `authority` over a connection to the proxy.
    pub(super) async fn tunnel(&self, stream: &mut dyn Stream, authority: &str) -> Result<(), HttpError> {
        let mut head = Zeroizing::new(Vec::with_capacity(512));
        head.extend_from_slice(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").as_bytes());
        if let Some(authorization) = &self.authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(authorization.header_value()?.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let answer = async {
            stream.write_all(&head).await?;
            stream.flush().await?;
            read_head(stream).await
        };
        let answer = answer.await.map_err(|error| HttpError::Proxy {
            reason: error.to_string(),
            is_transient: error.kind() != io::ErrorKind::InvalidData,
        })?;
        match status(&answer) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(HttpError::Proxy {
                reason: "it wants other credentials (407)".to_owned(),
                is_transient: false,
            }),
            Some(status) => Err(HttpError::Proxy {
                reason: format!("it answered {status}"),
                is_transient: status >= 500,
            }),
            None => Err(HttpError::Proxy {
                reason: "its answer is no HTTP/1".to_owned(),
                is_transient: false,
            }),
        }
    }
}

/// Everything up to the empty line, and nothing behind it: a server that is spoken TLS to is silent until it is asked.
async fn read_head(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let wrong = |reason| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    let mut head = Vec::new();
    let mut chunk = [0; 512];
    loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it closed the connection",
            ));
        }
        head.extend_from_slice(&chunk[..count]);
        match head.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) if at + 4 == head.len() => return Ok(head),
            Some(_) => return wrong("it sent more than its answer"),
            None if head.len() > HEAD_BYTES_MAX => return wrong("its answer has no end"),
            None => {}
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
}
