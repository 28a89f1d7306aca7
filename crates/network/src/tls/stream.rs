//! Streams around rustls's: one that remembers what came first, one that speaks our errors.

use super::config::TlsConfig;
use super::explain;
use crate::transport::Stream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// How much of the start is kept: enough to tell what it is.
const START_BYTES: usize = 8;

/// A stream that remembers how its input begins.
pub(super) struct Remembering {
    inner: Box<dyn Stream>,
    start: Vec<u8>,
}

impl Remembering {
    pub(super) fn new(inner: Box<dyn Stream>) -> Remembering {
        Remembering {
            inner,
            start: Vec::with_capacity(START_BYTES),
        }
    }

    /// The first bytes that came.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }
}

impl AsyncRead for Remembering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let missing = START_BYTES - self.start.len();
        if missing > 0 {
            let came = &buffer.filled()[before..];
            let kept = &came[..came.len().min(missing)];
            self.start.extend_from_slice(kept);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Remembering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A stream whose handshake is done.
pub(super) struct Secured {
    inner: TlsStream<Remembering>,
    config: TlsConfig,
}

impl Secured {
    pub(super) fn new(inner: TlsStream<Remembering>, config: TlsConfig) -> Secured {
        Secured { inner, config }
    }

    /// An alert may come at any time: with TLS 1.3 that is how a broker refuses the client's certificate.
    fn explained(&self, error: io::Error) -> io::Error {
        // A broker that dies says no farewell; that means the same here as one that closes.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return io::Error::new(error.kind(), "the broker closed the connection");
        }
        match explain::failure(&error, self.inner.get_ref().0.start(), &self.config) {
            Some(failure) => io::Error::new(error.kind(), failure),
            None => error,
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        Poll::Ready(result.map_err(|error| self.explained(error)))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        Poll::Ready(result.map_err(|error| self.explained(error)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices));
        Poll::Ready(result.map_err(|error| self.explained(error)))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(result.map_err(|error| self.explained(error)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
