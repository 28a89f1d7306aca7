//! Under which subject a schema is registered.

use crate::{Role, SerializeError};

/// Names the subject of the registry for a topic, a part of the record and the schema's record.
pub trait SubjectStrategy: Send + Sync {
    /// The subject. `record` is the full name of the schema's record or message, or a JSON Schema's title, if it has one.
    ///
    /// # Errors
    /// The strategy needs a name, and the schema has none.
    fn subject(&self, topic: &str, role: Role, record: Option<&str>) -> Result<String, SerializeError>;
}

/// `topic-key` and `topic-value`: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct TopicName;

/// The record's full name, whatever the topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordName;

/// `topic-` and the record's full name.
#[derive(Clone, Copy, Debug, Default)]
pub struct TopicRecordName;

impl SubjectStrategy for TopicName {
    fn subject(&self, topic: &str, role: Role, _record: Option<&str>) -> Result<String, SerializeError> {
        Ok(format!("{topic}-{role}"))
    }
}

impl SubjectStrategy for RecordName {
    fn subject(&self, _topic: &str, _role: Role, record: Option<&str>) -> Result<String, SerializeError> {
        record.map(str::to_owned).ok_or_else(no_name)
    }
}

impl SubjectStrategy for TopicRecordName {
    fn subject(&self, topic: &str, _role: Role, record: Option<&str>) -> Result<String, SerializeError> {
        record
            .map(|record| format!("{topic}-{record}"))
            .ok_or_else(no_name)
    }
}

fn no_name() -> SerializeError {
    let message = "the subject strategy needs the name of a record, and this schema has none: use TopicName, or a \
                   record, a message, or a JSON Schema with a title";
    SerializeError::new(crate::ErrorKind::Schema, message)
}
