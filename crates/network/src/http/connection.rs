//! One connection to a server, and one exchange on it.

use super::error::HttpError;
use super::io::Io;
use crate::TlsFailure;
use crate::transport::{BoxFuture, Stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use zeroize::Zeroizing;

/// Headers of an answer, in bytes and in number: servers have a few hundred bytes of them.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 100;

/// A connection that can carry one exchange after another. hyper's part of it has no task: it is polled together with
/// whatever waits for it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// `None` when it has ended.
    driver: Option<BoxFuture<()>>,
}

/// Why an exchange failed.
pub(super) struct Failed {
    pub(super) error: HttpError,
    /// Whether no part of an answer came.
    pub(super) is_unanswered: bool,
    /// Whether no byte of the request was sent.
    pub(super) is_unsent: bool,
}

impl Connection {
    /// Begins to speak HTTP over a stream.
    pub(super) async fn open(stream: Box<dyn Stream>) -> Result<Connection, HttpError> {
        let opened = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(Io(stream))
            .await;
        let (sender, connection) = opened.map_err(|error| broken(&error))?;
        Ok(Connection {
            sender,
            // Its error is the exchange's, too.
            driver: Some(Box::pin(async move { drop(connection.await) })),
        })
    }

    /// Whether it can carry another exchange now: a server that hung up meanwhile shows by this.
    pub(super) fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_driver(cx);
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and reads the whole answer: its status and its body.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), Failed> {
        let answer = self.sender.send_request(request);
        let response = self.drive(answer).await.map_err(|error| Failed {
            error: broken(&error),
            is_unanswered: true,
            is_unsent: error.is_canceled(),
        })?;
        let status = response.status().as_u16();
        let body = self
            .drive(read(response, bytes_max))
            .await
            .map_err(|error| Failed {
                error,
                is_unanswered: false,
                is_unsent: false,
            })?;
        Ok((status, body))
    }

    /// Polls hyper's part and `work` in turns, until `work` is done.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.poll_driver(cx);
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            // What `work` asked for in this turn.
            self.poll_driver(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        let ended = self
            .driver
            .as_mut()
            .is_some_and(|driver| driver.as_mut().poll(cx).is_ready());
        if ended {
            self.driver = None;
        }
    }
}

async fn read(response: Response<Incoming>, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    let mut incoming = response.into_body();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(frame) = incoming.frame().await {
        // Trailers are nothing to us.
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else {
            continue;
        };
        if body.len() + data.len() > bytes_max {
            return Err(HttpError::TooLarge { bytes_max });
        }
        body.extend_from_slice(&data);
    }
    Ok(body)
}

/// hyper's error in our words: the peer's fault, or the network's.
fn broken(error: &hyper::Error) -> HttpError {
    if error.is_parse() {
        return HttpError::Protocol {
            reason: error.to_string(),
        };
    }
    let below = std::error::Error::source(error);
    let io = below.and_then(|below| below.downcast_ref::<io::Error>());
    // With TLS 1.3 a server refuses the client's certificate after the handshake.
    if let Some(tls) = io.and_then(|io| io.get_ref()?.downcast_ref::<TlsFailure>()) {
        return HttpError::Tls(tls.clone());
    }
    let is_cut_off = io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof);
    let reason = if is_cut_off || error.is_incomplete_message() || error.is_canceled() {
        "the server closed it before the answer was whole".to_owned()
    } else {
        // The error below says what happened.
        below.map_or_else(|| error.to_string(), ToString::to_string)
    };
    HttpError::Connection { reason }
}
