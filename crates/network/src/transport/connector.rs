//! From an address to a stream of bytes.

use super::BoxFuture;
use crate::Endpoint;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

/// A connected stream. Vectored writes should be real ones ([`AsyncWrite::is_write_vectored`]): requests come in
/// pieces.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to brokers: with everything below Kafka's protocol.
///
/// The network sets the deadline; the future is dropped when it is no longer wanted.
pub trait Connector: Debug + Send + Sync {
    /// A stream to `address`, one of the addresses of `endpoint`'s host.
    fn connect(&self, endpoint: &Endpoint, address: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>>;
}

/// Plain TCP, with `TCP_NODELAY` and `SO_KEEPALIVE` as the Java client has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TcpConnector {
    /// `SO_SNDBUF` in bytes (`send.buffer.bytes`); `None` leaves it to the operating system.
    pub send_buffer_bytes: Option<u32>,
    /// `SO_RCVBUF` in bytes (`receive.buffer.bytes`); `None` leaves it to the operating system.
    pub receive_buffer_bytes: Option<u32>,
}

impl Default for TcpConnector {
    /// The Java client's buffer sizes.
    fn default() -> TcpConnector {
        TcpConnector {
            send_buffer_bytes: Some(131_072),
            receive_buffer_bytes: Some(32_768),
        }
    }
}

impl TcpConnector {
    fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_nodelay(true)?;
        socket.set_keepalive(true)?;
        // Before connecting, because the window's scale is agreed upon then.
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(socket)
    }
}

impl Connector for TcpConnector {
    fn connect(&self, _endpoint: &Endpoint, address: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let socket = self.socket(address);
        Box::pin(async move {
            let stream: Box<dyn Stream> = Box::new(socket?.connect(address).await?);
            Ok(stream)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn buffers_are_as_large_as_was_asked_for() {
        let size = |connector: &TcpConnector| {
            let socket = connector.socket(([127, 0, 0, 1], 1).into()).expect("a socket");
            let [send, receive] = [socket.send_buffer_size(), socket.recv_buffer_size()];
            (send.expect("asked"), receive.expect("asked"))
        };
        // Linux reserves twice as much as is asked for, and says so; others say what was asked for.
        let fits = |has: u32, wanted: u32| has == wanted || has == 2 * wanted;
        for (send, receive) in [(131_072, 32_768), (16_384, 65_536)] {
            let connector = TcpConnector {
                send_buffer_bytes: Some(send),
                receive_buffer_bytes: Some(receive),
            };
            let has = size(&connector);
            assert!(fits(has.0, send) && fits(has.1, receive), "{has:?}");
        }
        let own = TcpSocket::new_v4().expect("a socket");
        let own = (
            own.send_buffer_size().expect("asked"),
            own.recv_buffer_size().expect("asked"),
        );
        let left_alone = TcpConnector {
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
        };
        assert_eq!(size(&left_alone), own);
    }
}
