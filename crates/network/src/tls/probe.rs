//! Whether a listener that hangs up on TLS is a Kafka broker without TLS.

use crate::Endpoint;
use crate::transport::Connector;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A broker that hangs up at once answers at once; nobody should wait long for a better error.
const TIMEOUT: Duration = Duration::from_secs(1);

/// ApiVersions, version 0, without client id; the correlation id is one that no other protocol answers with.
const REQUEST: [u8; 14] = *b"\0\0\0\x0a\0\x12\0\0ottl\xff\xff";
const CORRELATION_ID: &[u8] = b"ottl";

/// Asks in plain text what the listener can do, which tells it nothing. A broker takes the start of TLS for a frame of
/// 369 MB and closes the connection without a word, as any other server might that is about to stop.
pub(super) async fn speaks_plain_kafka(
    connector: &dyn Connector,
    endpoint: &Endpoint,
    address: SocketAddr,
) -> bool {
    let dial = connector.connect(endpoint, address);
    let ask = async {
        let mut stream = dial.await?;
        stream.write_all(&REQUEST).await?;
        stream.flush().await?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(TIMEOUT, ask).await {
        Ok(Ok(answer)) => answer.ends_with(CORRELATION_ID),
        _ => false,
    }
}
