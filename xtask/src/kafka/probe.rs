//! Asks a broker how many brokers it sees.
//!
//! By hand, over a plain socket: whether a real Kafka is there must not depend on the code that is tested against it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A broker that starts accepts connections before it answers; then the next try has a fresh connection.
const TIMEOUT: Duration = Duration::from_secs(2);

/// An answer about no topics names a few brokers: more than this is no answer of Kafka's.
const ANSWER_MAX: usize = 64 * 1024;

/// How many live brokers the broker at `port` of 127.0.0.1 knows.
pub(crate) fn brokers_seen(port: u16) -> io::Result<usize> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&metadata_request())?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if !(8..=ANSWER_MAX).contains(&size) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not an answer of a Kafka broker",
        ));
    }
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    // The correlation id, then the array of brokers, of which the count is enough.
    let count = i32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]]);
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Metadata, version 1 (every Kafka from 0.10 to 4.x answers it), about no topic at all.
fn metadata_request() -> Vec<u8> {
    let (key, version, correlation, no_client_id, no_topics) = (3_i16, 1_i16, 1_i32, -1_i16, 0_i32);
    let mut body = Vec::new();
    body.extend(key.to_be_bytes());
    body.extend(version.to_be_bytes());
    body.extend(correlation.to_be_bytes());
    body.extend(no_client_id.to_be_bytes());
    body.extend(no_topics.to_be_bytes());
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&size.to_be_bytes()[..], &body].concat()
}
