//! How a serializer uses the registry.

use super::{SubjectStrategy, TopicName};
use std::fmt;
use std::sync::Arc;

/// How a serializer uses the registry. The defaults are those of Confluent's serializers for Java.
#[derive(Clone)]
#[non_exhaustive]
pub struct SerializerSettings {
    /// Where schema and id come from.
    pub source: SchemaSource,
    /// Whether the registry normalizes schemas, so that what differs only in form is the same (`normalize.schemas`).
    pub normalize: bool,
    /// Whether the latest version must be able to stand for the serializer's own schema
    /// (`latest.compatibility.strict`).
    pub latest_compatibility_strict: bool,
    /// Under which subject a schema is registered (`key.subject.name.strategy`, `value.subject.name.strategy`).
    pub subject_strategy: Arc<dyn SubjectStrategy>,
    /// Where a reader finds the schema's id.
    pub id_form: IdForm,
    /// About so many topics the serializer remembers what it learned. When there are more, it begins anew with those that
    /// came last.
    pub topics_max: usize,
}

impl Default for SerializerSettings {
    fn default() -> SerializerSettings {
        SerializerSettings {
            source: SchemaSource::Register,
            normalize: false,
            latest_compatibility_strict: true,
            subject_strategy: Arc::new(TopicName),
            id_form: IdForm::Prefix,
            topics_max: 1_000,
        }
    }
}

impl fmt::Debug for SerializerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerializerSettings")
            .field("source", &self.source)
            .field("normalize", &self.normalize)
            .field("latest_compatibility_strict", &self.latest_compatibility_strict)
            .field("id_form", &self.id_form)
            .finish_non_exhaustive()
    }
}

/// Where schema and id come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaSource {
    /// The serializer's own schema, which is registered if it is not yet (`auto.register.schemas=true`).
    #[default]
    Register,
    /// The serializer's own schema, which must be registered already.
    LookUp,
    /// The subject's latest schema (`use.latest.version=true`), when the first record for a topic is sent.
    Latest,
    /// The schema with this id (`use.schema.id`).
    Id(u32),
}

/// Where a reader finds the schema's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdForm {
    /// In front of the payload: a zero byte and four bytes of id.
    #[default]
    Prefix,
    /// In a header, as a GUID; the payload is the format's alone (`HeaderSchemaIdSerializer`).
    Header,
}
