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
