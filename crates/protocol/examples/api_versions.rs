//! Asks a broker which versions of which APIs it offers, over a plain socket of the standard library.
//!
//! `cargo run -p ottla-protocol --example api_versions -- 127.0.0.1:9092`

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::{ApiVersions, ErrorCode, Message, VersionRange, frame};

/// No answer of a broker to ApiVersions comes near it; what is no broker may claim anything.
const FRAME_BYTES_MAX: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("the address of a broker is expected, such as 127.0.0.1:9092")?;
    let stream = TcpStream::connect(&address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let response = api_versions(stream)?;
    let broker = ApiVersions::from_response(&response);
    for (key, offered) in broker.iter() {
        let ours = key.stable_versions().unwrap_or(VersionRange::new(0, -1));
        match broker.negotiate_within(key, ours) {
            Ok(version) => println!("{key}: {offered}, shared up to {version}"),
            Err(_) => println!("{key}: {offered}, none shared"),
        }
    }
    Ok(())
}

/// Asks in the highest version, and once more in one that the broker names if it does not have that.
fn api_versions(mut stream: impl Read + Write) -> Result<ApiVersionsResponse, Box<dyn Error>> {
    let mut version = ApiVersionsRequest::VERSIONS.max;
    for correlation_id in 0..2 {
        // Brokers since 2.4 want to know who asks.
        let request = ApiVersionsRequest {
            client_software_name: "ottla-example".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..ApiVersionsRequest::default()
        };
        stream.write_all(&frame::encode_request(
            &request,
            version,
            correlation_id,
            Some("example"),
        )?)?;
        let (answered, response) = frame::decode_api_versions(&read_frame(&mut stream)?, version)?;
        if answered != correlation_id {
            return Err("the answer is to another request".into());
        }
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => return Ok(response),
            ErrorCode::UNSUPPORTED_VERSION => {
                version = ApiVersions::from_response(&response)
                    .negotiate::<ApiVersionsRequest>()
                    .unwrap_or(0);
            }
            error => return Err(error.into()),
        }
    }
    Err("the broker does not have the version it named".into())
}

fn read_frame(stream: &mut impl Read) -> Result<Bytes, Box<dyn Error>> {
    let mut size = [0; frame::SIZE_BYTES];
    stream.read_exact(&mut size)?;
    let mut body = vec![0; frame::check_size(size, FRAME_BYTES_MAX)?];
    stream.read_exact(&mut body)?;
    Ok(Bytes::from(body))
}
