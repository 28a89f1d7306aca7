//! One request while it is carried out, and what comes of it.

use crate::cluster::ConnectionId;
use crate::fault::Strikes;
use bytes::Bytes;
use ottla_protocol::wire::Writer;
use ottla_protocol::{ApiKey, ErrorCode, Message, Request};

/// What every handler knows of its request.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) connection: ConnectionId,
    pub(crate) broker: i32,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    pub(crate) strikes: Strikes,
}

/// A request that is held back, with its body.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) context: RequestContext,
    pub(crate) body: Bytes,
}

/// What comes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The whole frame of the answer.
    Answer(Bytes),
    /// The answer comes later; the connection waits.
    Wait,
    /// The request has no answer (acks=0).
    Nothing,
    /// The connection cannot go on.
    Close(&'static str),
}

impl RequestContext {
    /// The throttle time that the answer tells, in milliseconds.
    pub(crate) fn throttle_ms(&self) -> i32 {
        self.strikes.throttle_ms()
    }

    /// The error that a fault wants in place of the work.
    pub(crate) fn error(&self) -> Option<ErrorCode> {
        self.strikes.error()
    }

    /// The error that a fault wants the answer to tell, or what really happened.
    pub(crate) fn told(&self, error: ErrorCode) -> ErrorCode {
        self.strikes.error_after().unwrap_or(error)
    }

    /// The frame of an answer: length, header, body.
    pub(crate) fn answer<R: Request>(&self, response: &R::Response) -> Outcome {
        self.answer_in(R::response_header_version(self.version), response, self.version)
    }

    /// The frame of an answer whose version is not that of the request.
    pub(crate) fn answer_in<M: Message>(&self, header_version: i16, response: &M, version: i16) -> Outcome {
        let mut writer = Writer::with_capacity(128);
        writer.i32(0);
        writer.i32(self.correlation_id);
        if header_version >= 1 {
            // No tagged fields.
            writer.unsigned_varint(0);
        }
        if response.encode(&mut writer, version).is_err() {
            // A field was set that the version has not got: a bug of ours, which the tests of every version look for.
            debug_assert!(false, "{} v{version} cannot be encoded: {response:?}", M::NAME);
            return Outcome::Close("the answer could not be encoded");
        }
        let Ok(length) = i32::try_from(writer.len() - 4) else {
            return Outcome::Close("the answer is larger than a frame can be");
        };
        writer.patch_i32(0, length);
        Outcome::Answer(writer.into_bytes())
    }
}
