//! Which schema a configured serializer writes by.

use crate::config::Config;
use ottla_serialization::registry::{Schema, SchemaSource, SerializerSettings, SubjectStrategy};
use ottla_serialization::{Role, SerializeError};
use std::sync::Arc;

/// Which schema a serializer writes by, where its class is named by the configuration. By default what
/// `use.schema.id` or `use.latest.version` say.
///
/// ```
/// use ottla::SchemaChoice;
/// use ottla::serialization::registry::{Schema, SchemaKind};
///
/// let own = SchemaChoice::own(Schema::new(SchemaKind::Avro, r#""string""#));
/// let registered = SchemaChoice::id(42);
/// let latest = SchemaChoice::latest_of("orders-value");
/// # let _ = (own, registered, latest);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a choice does nothing until a serializer is made by it"]
pub struct SchemaChoice {
    pub(super) own: Option<Schema>,
    source: Option<SchemaSource>,
    subject: Option<String>,
    #[cfg_attr(
        not(feature = "protobuf-dynamic"),
        allow(dead_code, reason = "there is nobody to ask")
    )]
    pub(super) message: Option<String>,
}

impl SchemaChoice {
    /// This schema; by default it is registered if it is not yet (`auto.register.schemas`).
    pub fn own(schema: Schema) -> SchemaChoice {
        SchemaChoice {
            own: Some(schema),
            ..SchemaChoice::default()
        }
    }

    /// The schema that the registry has by this number, whatever the configuration says.
    pub fn id(id: u32) -> SchemaChoice {
        SchemaChoice {
            source: Some(SchemaSource::Id(id)),
            ..SchemaChoice::default()
        }
    }

    /// The latest version of the subject that the strategy names, whatever the configuration says.
    pub fn latest() -> SchemaChoice {
        SchemaChoice {
            source: Some(SchemaSource::Latest),
            ..SchemaChoice::default()
        }
    }

    /// The latest version of this subject, whatever the configuration says.
    pub fn latest_of(subject: impl Into<String>) -> SchemaChoice {
        SchemaChoice {
            subject: Some(subject.into()),
            ..SchemaChoice::latest()
        }
    }

    /// The message of a Protobuf schema, by its full name; without it the first one in the file.
    pub fn message(mut self, name: impl Into<String>) -> SchemaChoice {
        self.message = Some(name.into());
        self
    }

    /// How the serializer uses the registry; `None` if nothing says where a schema comes from.
    pub(super) fn settings(&self, config: &Config, role: Role) -> Option<SerializerSettings> {
        let mut settings = config.schema_settings(role);
        if let Some(source) = self.source {
            settings.source = source;
        } else if self.own.is_none() {
            settings.source = config.schemas().without_own?;
        }
        if let Some(subject) = &self.subject {
            settings.subject_strategy = Arc::new(Subject(subject.clone()));
        }
        Some(settings)
    }
}

impl From<Schema> for SchemaChoice {
    fn from(schema: Schema) -> SchemaChoice {
        SchemaChoice::own(schema)
    }
}

/// Always the same subject.
struct Subject(String);

impl SubjectStrategy for Subject {
    fn subject(&self, _topic: &str, _role: Role, _record: Option<&str>) -> Result<String, SerializeError> {
        Ok(self.0.clone())
    }
}
