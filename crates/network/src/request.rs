//! What the client asks a session to send.

use crate::Segments;
use ottla_protocol::Request;
use ottla_protocol::wire::{EncodeError, Writer};
use std::time::Duration;

/// A request without its frame and header: the session adds the length, the correlation id and the client's id.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// The caller's name for the request: events carry it back. It need not be unique.
    pub id: u64,
    /// The API's number.
    pub api_key: i16,
    /// The version that the body is encoded in.
    pub api_version: i16,
    /// Whether this version of the API is flexible: then both headers carry tagged fields.
    pub flexible: bool,
    /// The encoded body. It is written as it is, piece by piece, and never copied into one buffer.
    pub body: Segments,
    /// Whether the broker answers. Produce with acks=0 is the only request that is not answered: it is complete when
    /// its last byte is written.
    pub expects_response: bool,
    /// How long the answer may take, from now; for a request without answer, how long writing it may take. A timeout
    /// closes the connection, and so fails every request on it.
    pub timeout: Duration,
}

impl OutgoingRequest {
    /// Encodes a message of the protocol crate in `version`. It expects a response.
    ///
    /// # Errors
    ///
    /// The message cannot be written in this version.
    pub fn encode<R: Request>(
        id: u64,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<OutgoingRequest, EncodeError> {
        let mut body = Writer::with_capacity(64);
        request.encode(&mut body, version)?;
        Ok(OutgoingRequest {
            id,
            api_key: R::KEY.0,
            api_version: version,
            flexible: R::is_flexible(version),
            body: body.into_bytes().into(),
            expects_response: true,
            timeout,
        })
    }
}
