//! The Apache Kafka wire protocol: every message at every version, record batches and their codecs, without I/O.
//!
//! # What it does
//!
//! - [`messages`]: a type for each request, response, header and stored record of Kafka 4.3.1, read and written at every
//!   version that its schema has. Tagged fields that are newer than this crate are kept, and written back.
//! - [`ApiVersions`], [`ApiKey`] and [`ErrorCode`]: which version both sides have, and what an answer means. Numbers
//!   that are not known stay what they are.
//! - [`frame`]: size, header and message in one, for whoever holds a socket.
//! - [`records`] and [`compression`]: record batches, written in place and decoded lazily; gzip, snappy, lz4 and zstd as
//!   Java frames them.
//! - [`wire`]: the reader and the writer below all that.
//!
//! No bytes from a peer make it panic, loop, or take memory without measure: a count is believed when the bytes that
//! remain can hold so many elements, nested arrays share that budget, and an error says which field of which message was
//! wrong, and where.
//!
//! # What it does not do
//!
//! It opens no socket, reads no clock, starts no thread and logs nothing. It does not know what a client should do next:
//! which request follows which answer is the business of who uses it. Message sets of the formats before record
//! batches (v0 and v1) are read, not written. Versions that Kafka 4.0 removed from its schemas are not there.
//!
//! # How data flows
//!
//! ```text
//!   ProduceRequest { … }                                  MetadataResponse { … }
//!     │ encode, in a version                                ▲ decode, in the version of the request
//!     ▼                                                     │
//!   Writer ─► size │ header │ message ──► broker ──► size │ header │ message ─► Reader
//!                             ▲                                      │
//!   records ─► RecordRef ─► payload ─► Compressor           RecordBatches ─► Decompressor ─► Record
//! ```
//!
//! A value has the fields of all versions. The version is an argument of [`Message::encode`]: a field that it does not
//! have is left out if the schema allows that, and is an error otherwise, so that nothing gets lost in silence.
//! Fields of type bytes share the memory of what was read where that is [`Bytes`](bytes::Bytes).
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `gzip` | yes | gzip batches, with `flate2` on `zlib-rs` |
//! | `snappy` | yes | snappy batches, with `snap` |
//! | `lz4` | yes | lz4 batches, with `lz4_flex` for its fast level and its decoder |
//! | `zstd` | yes | zstd batches, with the C library through `zstd` |
//! | `zstd-rust` | no | zstd batches without a C compiler, at one level, with `ruzstd`; where `zstd` is on too, that one is used |
//!
//! Without any of them, batches that are not compressed can still be written and read.
//!
//! # A broker's versions, over a plain socket
//!
//! The other end here is a thread that answers as a broker does; `examples/api_versions.rs` asks a real one.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//!
//! use bytes::Bytes;
//! use ottla_protocol::messages::api_versions::ApiVersion;
//! use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
//! use ottla_protocol::wire::Reader;
//! use ottla_protocol::{ApiVersions, ErrorCode, frame};
//!
//! fn read_frame(stream: &mut impl Read) -> Result<Bytes, Box<dyn std::error::Error>> {
//!     let mut size = [0; frame::SIZE_BYTES];
//!     stream.read_exact(&mut size)?;
//!     // Whoever answers may be no broker: 64 KiB is more than any answer to ApiVersions.
//!     let mut body = vec![0; frame::check_size(size, 64 * 1024)?];
//!     stream.read_exact(&mut body)?;
//!     Ok(body.into())
//! }
//!
//! # let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # let broker = std::thread::spawn(move || {
//! #     let (mut stream, _) = listener.accept().unwrap();
//! #     let body = read_frame(&mut stream).unwrap();
//! #     let mut reader = Reader::from_bytes(&body);
//! #     let header = frame::decode_request_header(&mut reader).unwrap();
//! #     let request: ApiVersionsRequest = frame::decode_request(&mut reader, header.request_api_version).unwrap();
//! #     assert_eq!(request.client_software_name, "embedder");
//! #     let metadata = ApiVersion { api_key: 3, min_version: 0, max_version: 12, ..ApiVersion::default() };
//! #     let response = ApiVersionsResponse { api_keys: vec![metadata], ..ApiVersionsResponse::default() };
//! #     let version = header.request_api_version;
//! #     let answer = frame::encode_response::<ApiVersionsRequest>(&response, version, header.correlation_id).unwrap();
//! #     stream.write_all(&answer).unwrap();
//! # });
//! let mut stream = TcpStream::connect(address)?;
//! let request = ApiVersionsRequest {
//!     client_software_name: "embedder".into(),
//!     client_software_version: "1.0".into(),
//!     ..ApiVersionsRequest::default()
//! };
//! let (version, correlation_id) = (3, 7);
//! stream.write_all(&frame::encode_request(&request, version, correlation_id, Some("me"))?)?;
//!
//! let (answered, response) = frame::decode_api_versions(&read_frame(&mut stream)?, version)?;
//! assert_eq!(answered, correlation_id);
//! ErrorCode(response.error_code).into_result()?;
//! let broker_versions = ApiVersions::from_response(&response);
//! assert_eq!(broker_versions.negotiate::<MetadataRequest>()?, 12);
//! # broker.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api_key;
mod api_versions;
pub mod compression;
mod error_code;
pub mod frame;
mod message;
#[path = "generated/mod.rs"]
pub mod messages;
pub mod records;
pub mod wire;

pub use api_key::ApiKey;
pub use api_versions::{ApiVersions, NegotiationError};
pub use error_code::{ErrorClass, ErrorCode};
pub use message::{Message, Request, VersionRange};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
