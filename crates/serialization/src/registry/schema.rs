//! Schemas as a registry keeps them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The language of a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SchemaKind {
    /// Apache Avro; the one that a registry assumes when nothing is said.
    #[default]
    #[serde(rename = "AVRO")]
    Avro,
    /// Protocol Buffers.
    #[serde(rename = "PROTOBUF")]
    Protobuf,
    /// JSON Schema.
    #[serde(rename = "JSON")]
    Json,
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SchemaKind::Avro => "AVRO",
            SchemaKind::Protobuf => "PROTOBUF",
            SchemaKind::Json => "JSON",
        })
    }
}

/// A schema's text, and what it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Schema {
    /// Its language.
    pub kind: SchemaKind,
    /// Its text.
    pub text: String,
    /// The other schemas that it names.
    pub references: Vec<Reference>,
}

impl Schema {
    /// A schema without references.
    pub fn new(kind: SchemaKind, text: impl Into<String>) -> Schema {
        Schema {
            kind,
            text: text.into(),
            references: Vec::new(),
        }
    }

    /// Adds a reference.
    #[must_use]
    pub fn with_reference(mut self, reference: Reference) -> Schema {
        self.references.push(reference);
        self
    }
}

/// A schema that another one names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Reference {
    /// The name in the text: a full name in Avro, a file in Protobuf, a URI in JSON Schema.
    pub name: String,
    /// The subject under which it is registered.
    pub subject: String,
    /// Its version there; `None` is found out when the schema that names it is registered.
    pub version: Option<i32>,
    /// The schema itself, if it is at hand. Without a version it is registered, or looked up, first.
    pub schema: Option<Schema>,
}

impl Reference {
    /// A reference to what is registered already.
    pub fn to_version(name: impl Into<String>, subject: impl Into<String>, version: i32) -> Reference {
        Reference {
            name: name.into(),
            subject: subject.into(),
            version: Some(version),
            schema: None,
        }
    }

    /// A reference to a schema that is at hand.
    pub fn to_schema(name: impl Into<String>, subject: impl Into<String>, schema: Schema) -> Reference {
        Reference {
            name: name.into(),
            subject: subject.into(),
            version: None,
            schema: Some(schema),
        }
    }

    /// Adds the schema that is meant.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Reference {
        self.schema = Some(schema);
        self
    }
}
