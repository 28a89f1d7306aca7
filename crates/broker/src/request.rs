//! One request while it is carried out, and what comes of it.

use crate::cluster::ConnectionId;
use crate::fault::{Strikes, WHOLE_TOPIC};
use bytes::Bytes;
use ottla_protocol::{ApiKey, ErrorCode, Request, frame};

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
    /// The whole frame of the answer; after it the connection ends, for this reason.
    AnswerAndClose(Bytes, &'static str),
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

    /// The error that a fault wants in place of the work on a topic as a whole.
    pub(crate) fn topic_error(&self, topic: &str) -> Option<ErrorCode> {
        self.strikes.error_for(topic, WHOLE_TOPIC)
    }

    /// The error that a fault wants the answer to tell of a topic as a whole, or what really happened.
    pub(crate) fn topic_told(&self, topic: &str, error: ErrorCode) -> ErrorCode {
        self.partition_told(topic, WHOLE_TOPIC, error)
    }

    /// The error that a fault wants in place of the work on a partition.
    pub(crate) fn partition_error(&self, topic: &str, partition: i32) -> Option<ErrorCode> {
        self.strikes.error_for(topic, partition)
    }

    /// The error that a fault wants the answer to tell of a partition, or what really happened.
    pub(crate) fn partition_told(&self, topic: &str, partition: i32, error: ErrorCode) -> ErrorCode {
        self.strikes.error_after_for(topic, partition).unwrap_or(error)
    }

    /// The frame of an answer.
    pub(crate) fn answer<R: Request>(&self, response: &R::Response) -> Outcome {
        self.answer_as::<R>(response, self.version)
    }

    /// The frame of an answer whose version is not that of the request.
    pub(crate) fn answer_as<R: Request>(&self, response: &R::Response, version: i16) -> Outcome {
        match frame::encode_response::<R>(response, version, self.correlation_id) {
            Ok(frame) => Outcome::Answer(frame),
            Err(error) => {
                // A field was set that the version has not got: a bug of ours, which the tests of every version look for.
                debug_assert!(false, "{error}");
                Outcome::Close("the answer could not be encoded")
            }
        }
    }
}
