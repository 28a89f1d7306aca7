//! One connection: reads frames, hands them to the cluster, writes what comes back.

use super::outbox::{Closing, Outbox, Work};
use super::server::Shared;
use crate::cluster::ConnectionId;
use crate::frame::FrameDecoder;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many buffers go into one write: `IOV_MAX` is 1,024 on Linux; more than a few dozen gain nothing.
const SLICES_MAX: usize = 64;

/// Serves a connection until either side ends it.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, id: ConnectionId, outbox: Arc<Outbox>) {
    // Whatever the end was, the peer sees a closed socket: there is nobody to tell the error to.
    let _ = run(&shared, stream, id, &outbox).await;
    shared.closed(id);
}

async fn run(shared: &Shared, mut stream: TcpStream, id: ConnectionId, outbox: &Outbox) -> io::Result<()> {
    let mut decoder = FrameDecoder::new(shared.frame_bytes_max());
    let mut frames = Vec::new();
    loop {
        let Work { mut queue, closing } = outbox.take();
        if closing == Some(Closing::Now) {
            return Ok(());
        }
        let wrote = !queue.is_empty();
        write_all(&mut stream, &mut queue, outbox).await?;
        if wrote {
            continue;
        }
        if closing.is_some() {
            return stream.shutdown().await;
        }
        if !shared.is_reading(id) {
            // What a muted client sends stays in its socket, as with a real broker.
            outbox.changed().await;
            continue;
        }
        tokio::select! {
            biased;
            () = outbox.changed() => {}
            read = stream.read_buf(decoder.buffer_mut()) => {
                if read? == 0 {
                    return Ok(());
                }
                loop {
                    match decoder.next_frame() {
                        Ok(Some(frame)) => frames.push(frame),
                        Ok(None) => break,
                        Err(error) => {
                            shared.handle(id, &mut frames);
                            return Err(io::Error::other(error));
                        }
                    }
                }
                shared.handle(id, &mut frames);
            }
        }
    }
}

/// Writes a queue of buffers; gives up when the connection is to end at once.
async fn write_all(stream: &mut TcpStream, queue: &mut VecDeque<Bytes>, outbox: &Outbox) -> io::Result<()> {
    while !queue.is_empty() {
        let written = {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut used = 0;
            for (slice, bytes) in slices.iter_mut().zip(queue.iter()) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
            tokio::select! {
                biased;
                written = stream.write_vectored(&slices[..used]) => written?,
                () = killed(outbox) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        consume(queue, written);
    }
    Ok(())
}

/// Waits until the connection is to end at once.
async fn killed(outbox: &Outbox) {
    loop {
        outbox.changed().await;
        if outbox.is_killed() {
            return;
        }
    }
}

/// Takes `written` bytes off the front of a queue.
fn consume(queue: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = queue.front_mut() {
        if written < front.len() {
            let _ = front.split_to(written);
            return;
        }
        written -= front.len();
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_leave_the_rest() {
        let stream: Vec<u8> = (0..10).collect();
        for written in 0..=10 {
            let mut queue: VecDeque<Bytes> = [&stream[..3], &stream[3..4], &stream[4..]]
                .map(Bytes::copy_from_slice)
                .into();
            consume(&mut queue, written);
            let rest: Vec<u8> = queue.iter().flatten().copied().collect();
            assert_eq!(rest, stream[written..]);
        }
    }
}
