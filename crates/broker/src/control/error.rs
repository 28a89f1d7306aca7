//! What a test asks for and cannot have.

use ottla_protocol::ErrorCode;
use std::fmt;

/// A topic that cannot be created or changed as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicError {
    code: ErrorCode,
    what: String,
}

impl TopicError {
    pub(crate) fn new(code: ErrorCode, what: impl Into<String>) -> TopicError {
        TopicError {
            code,
            what: what.into(),
        }
    }

    /// The error that a client is told.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TopicError {}

/// A broker, topic or partition that the cluster has not got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    what: String,
}

impl Unknown {
    pub(super) fn broker(id: i32) -> Unknown {
        Unknown {
            what: format!("the cluster has no broker {id}"),
        }
    }

    pub(crate) fn partition(topic: &str, partition: i32) -> Unknown {
        Unknown {
            what: format!("the cluster has no partition {partition} of topic '{topic}'"),
        }
    }

    pub(super) fn topic(topic: &str) -> Unknown {
        Unknown {
            what: format!("the cluster has no topic '{topic}'"),
        }
    }

    pub(super) fn transaction(id: &str) -> Unknown {
        Unknown {
            what: format!("the cluster has no transactional id '{id}'"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Unknown {}
