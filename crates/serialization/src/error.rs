//! Why a key or a value could not be serialized.

use crate::{Role, Target};
use std::error::Error;
use std::fmt;

/// A key or a value that could not be serialized. It was not queued.
///
/// The text names the topic, the subject and the field as far as they are known; no text holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerializeError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    subject: Option<String>,
    place: Option<(String, Role)>,
}

/// Who is at fault, and what still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The value does not fit its type or its schema; another value may.
    Value,
    /// The schema cannot be read or used.
    Schema,
    /// [`prepare`](crate::Serializer::prepare) has not been awaited for this topic; nothing is wrong with the value.
    NotReady,
    /// The registry says that the schema is not compatible with the subject's earlier ones.
    Incompatible,
    /// The registry does not know the subject, the version or the schema.
    NotFound,
    /// The registry does not accept our credentials.
    Unauthorized,
    /// The registry refuses the request for another reason, such as a schema that it cannot read.
    Refused,
    /// The registry cannot be reached, or cannot answer now. The same call may succeed later.
    Unavailable,
    /// The registry did not answer within the deadline. The same call may succeed later.
    Timeout,
    /// What answers is not a registry, or answers nonsense.
    Protocol,
}

impl SerializeError {
    /// An error of that kind; `message` says what is wrong and, if it can, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> SerializeError {
        SerializeError(Box::new(Inner {
            kind,
            message: message.into(),
            field: None,
            subject: None,
            place: None,
        }))
    }

    /// A value that does not fit.
    pub fn value(message: impl Into<String>) -> SerializeError {
        SerializeError::new(ErrorKind::Value, message)
    }

    /// Names the field at fault, as `customer.addresses[2].city`.
    #[must_use]
    pub fn with_field(mut self, path: impl Into<String>) -> SerializeError {
        self.0.field = Some(path.into());
        self
    }

    /// Puts a step in front of the field's path.
    #[cfg(feature = "protobuf-dynamic")]
    pub(crate) fn within(mut self, step: impl fmt::Display) -> SerializeError {
        let inside = self.0.field.take().unwrap_or_default();
        let dot = if inside.is_empty() || inside.starts_with('[') {
            ""
        } else {
            "."
        };
        self.0.field = Some(format!("{step}{dot}{inside}"));
        self
    }

    /// Names the subject of the registry that the error is about.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> SerializeError {
        self.0.subject = Some(subject.into());
        self
    }

    /// Names the topic, and which part of the record it was; an error that has a place keeps it.
    #[must_use]
    pub fn at(mut self, target: &Target<'_>) -> SerializeError {
        let place = || (target.topic().to_owned(), target.role());
        self.0.place.get_or_insert_with(place);
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field at fault, if one is.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The registry's subject that the error is about, if any.
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// Whether it was the key or the value, if that is known.
    pub fn role(&self) -> Option<Role> {
        self.0.place.as_ref().map(|(_, role)| *role)
    }

    /// Whether the same call may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::NotReady | ErrorKind::Unavailable | ErrorKind::Timeout
        )
    }
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some((topic, role)) = &inner.place {
            write!(f, "{role} for topic {topic:?}: ")?;
        }
        if let Some(subject) = &inner.subject {
            write!(f, "subject {subject:?}: ")?;
        }
        match inner.field.as_deref() {
            Some("") | None => {}
            Some(field) => write!(f, "field {field}: ")?,
        }
        f.write_str(&inner.message)
    }
}

impl Error for SerializeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_is_known() {
        let error = SerializeError::value("no number").with_field("a.b[3]");
        assert_eq!(error.to_string(), "field a.b[3]: no number");
        let error = error
            .with_subject("orders-value")
            .at(&Target::new("orders", Role::Value))
            .at(&Target::new("elsewhere", Role::Key));
        assert_eq!(
            error.to_string(),
            "value for topic \"orders\": subject \"orders-value\": field a.b[3]: no number"
        );
        assert!(!error.is_retriable());
    }
}
