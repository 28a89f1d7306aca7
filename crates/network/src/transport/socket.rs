//! One open socket: its queue of pieces to write, and its turns.

use super::Stream;
use crate::{ConnectionId, IoFailure, Segments};
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWrite};

/// How many pieces go into one write. A request with six batches has nineteen; Linux takes up to 1,024 at once, and
/// filling the list costs a nanosecond for each.
const SLICES_MAX: usize = 128;
/// What a socket may write in one turn: some requests of a megabyte, so that loopback speed is not lost.
const WRITE_BYTES_PER_TURN: usize = 4 * 1024 * 1024;
/// What a socket may read in one turn: thousands of answers to Produce.
const READ_BYTES_PER_TURN: usize = 256 * 1024;
/// The size of the buffer that is read into.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// When less than this is left of it, it is reused or replaced.
const READ_BUFFER_BYTES_MIN: usize = 16 * 1024;

/// How a turn ended.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing more to do until the socket's waker says so.
    Waits,
    /// There is more to do, and others come first.
    Again,
    /// The socket is gone.
    Failed(IoFailure),
}

pub(super) struct Socket {
    pub(super) connection: ConnectionId,
    stream: Box<dyn Stream>,
    outgoing: VecDeque<Bytes>,
    /// Whether the stream may hold bytes back that were written to it, as TLS does.
    needs_flush: bool,
}

impl Socket {
    pub(super) fn new(connection: ConnectionId, stream: Box<dyn Stream>) -> Socket {
        Socket {
            connection,
            stream,
            outgoing: VecDeque::new(),
            needs_flush: false,
        }
    }

    /// Queues a request.
    pub(super) fn push(&mut self, header: Bytes, body: Segments) {
        self.outgoing.push_back(header);
        self.outgoing.extend(body);
    }

    /// Writes what is queued. Says how many bytes were taken, also where it failed after that.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> (usize, Turn) {
        let mut taken = 0;
        let turn = loop {
            if self.outgoing.is_empty() {
                break self.flush(cx);
            }
            if taken >= WRITE_BYTES_PER_TURN {
                break Turn::Again;
            }
            match self.poll_write(cx) {
                Poll::Pending => break Turn::Waits,
                Poll::Ready(Ok(0)) => break Turn::Failed(io::Error::from(io::ErrorKind::WriteZero).into()),
                Poll::Ready(Ok(count)) => {
                    self.needs_flush = true;
                    self.advance(count);
                    taken += count;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => break Turn::Failed(error.into()),
            }
        };
        (taken, turn)
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Turn {
        if self.needs_flush {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return Turn::Waits,
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => return Turn::Failed(error.into()),
            }
        }
        Turn::Waits
    }

    /// Reads what is there, into `buffer`, which all sockets share: it is empty before and after. `read` gets the
    /// bytes as slices of it.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
        mut read: impl FnMut(Bytes),
    ) -> Turn {
        let mut bytes_left = READ_BYTES_PER_TURN;
        // To the end, not only to the first short read: the waker is set where nothing was left.
        while bytes_left > 0 {
            if buffer.capacity() < READ_BUFFER_BYTES_MIN {
                // Takes the old memory again if nobody holds a slice of it.
                buffer.reserve(READ_BUFFER_BYTES);
            }
            match pin!(self.stream.read_buf(buffer)).poll(cx) {
                Poll::Pending => return Turn::Waits,
                Poll::Ready(Ok(0)) => return Turn::Failed(IoFailure::end_of_stream()),
                Poll::Ready(Ok(count)) => {
                    bytes_left = bytes_left.saturating_sub(count);
                    read(buffer.split().freeze());
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Turn::Failed(error.into()),
            }
        }
        Turn::Again
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.outgoing) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..count])
    }

    /// Forgets the first `count` bytes.
    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.outgoing.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.outgoing.pop_front();
        }
    }
}
