//! What the mock remembers.

use crate::avro::AvroSchema;
use crate::registry::{Compatibility, Guid, Schema, SchemaKind};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash};

/// References of references.
const DEPTH_MAX: usize = 16;

#[derive(Default)]
pub(super) struct Store {
    /// All schemas, by id − 1; the same schema has one id, whatever its subjects.
    schemas: Vec<(String, Schema)>,
    pub(super) subjects: BTreeMap<String, Subject>,
    pub(super) compatibility: Compatibility,
}

#[derive(Default)]
pub(super) struct Subject {
    /// The ids, by version − 1; none for one that was deleted.
    versions: Vec<Option<u32>>,
    pub(super) compatibility: Option<Compatibility>,
}

/// Why a schema is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is none: 42201.
    Invalid(String),
    /// The earlier versions do not go with it: 409.
    Incompatible(String),
    /// Nobody can tell: 501.
    Unchecked(SchemaKind),
}

impl Subject {
    /// Versions that are there, with their ids.
    pub(super) fn versions(&self) -> impl DoubleEndedIterator<Item = (i32, u32)> {
        self.versions.iter().enumerate().filter_map(|(at, id)| {
            let version = i32::try_from(at + 1).ok()?;
            Some((version, (*id)?))
        })
    }

    pub(super) fn delete(&mut self, version: i32) {
        let slot = usize::try_from(version - 1)
            .ok()
            .and_then(|at| self.versions.get_mut(at));
        if let Some(slot) = slot {
            *slot = None;
        }
    }
}

impl Store {
    pub(super) fn schema(&self, id: u32) -> Option<&Schema> {
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        self.schemas.get(at).map(|(_, schema)| schema)
    }

    pub(super) fn guid(&self, id: u32) -> Option<Guid> {
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        self.schemas.get(at).map(|(canonical, _)| guid(canonical))
    }

    pub(super) fn id_of_guid(&self, wanted: Guid) -> Option<u32> {
        let at = self
            .schemas
            .iter()
            .position(|(canonical, _)| guid(canonical) == wanted)?;
        u32::try_from(at + 1).ok()
    }

    /// The version and id of a schema under a subject.
    pub(super) fn find(&self, subject: &str, schema: &Schema) -> Option<(i32, u32)> {
        let canonical = canonical(schema);
        let is_it = |id: u32| self.schemas[id as usize - 1].0 == canonical;
        self.subjects.get(subject)?.versions().find(|(_, id)| is_it(*id))
    }

    pub(super) fn register(&mut self, subject: &str, schema: Schema) -> Result<(i32, u32), Refusal> {
        self.validate(&schema, 0)?;
        if let Some(found) = self.find(subject, &schema) {
            return Ok(found);
        }
        self.check(subject, &schema)?;
        let canonical = canonical(&schema);
        let known = self.schemas.iter().position(|(known, _)| *known == canonical);
        let at = known.unwrap_or_else(|| {
            self.schemas.push((canonical, schema));
            self.schemas.len() - 1
        });
        // A test has fewer schemas than that.
        let id = u32::try_from(at + 1).unwrap_or(u32::MAX);
        let versions = &mut self.subjects.entry(subject.to_owned()).or_default().versions;
        versions.push(Some(id));
        Ok((i32::try_from(versions.len()).unwrap_or(i32::MAX), id))
    }

    /// Whether the subject takes the schema as its next version.
    pub(super) fn check(&self, subject: &str, schema: &Schema) -> Result<(), Refusal> {
        self.validate(schema, 0)?;
        let Some(found) = self.subjects.get(subject) else {
            return Ok(());
        };
        use Compatibility::{Backward, Forward, Full, None as Nothing};
        let level = found.compatibility.unwrap_or(self.compatibility);
        let is_transitive = !matches!(level, Backward | Forward | Full);
        if level == Nothing {
            return Ok(());
        }
        let mut earlier: Vec<u32> = found.versions().map(|(_, id)| id).rev().collect();
        if !is_transitive {
            earlier.truncate(1);
        }
        for id in earlier {
            if let Some(old) = self.schema(id) {
                self.check_pair(level, old, schema)?;
            }
        }
        Ok(())
    }

    fn check_pair(&self, level: Compatibility, old: &Schema, new: &Schema) -> Result<(), Refusal> {
        use Compatibility::{Backward, BackwardTransitive, Forward, ForwardTransitive};
        if canonical(old) == canonical(new) {
            return Ok(());
        }
        if old.kind != new.kind {
            return Err(Refusal::Incompatible(format!(
                "schema type {} was {}",
                new.kind, old.kind
            )));
        }
        if new.kind != SchemaKind::Avro {
            return Err(Refusal::Unchecked(new.kind));
        }
        let (old, new) = (self.avro(old)?, self.avro(new)?);
        let mut differences = Vec::new();
        if !matches!(level, Forward | ForwardTransitive) {
            differences.extend(new.incompatibilities(&old));
        }
        if !matches!(level, Backward | BackwardTransitive) {
            differences.extend(old.incompatibilities(&new));
        }
        if differences.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Incompatible(differences.join("; ")))
        }
    }

    fn validate(&self, schema: &Schema, depth: usize) -> Result<(), Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::Invalid("references go too deep".to_owned()));
        }
        for reference in &schema.references {
            self.referred(&reference.subject, reference.version.unwrap_or(-1))?;
        }
        match schema.kind {
            SchemaKind::Avro => self.avro(schema).map(drop),
            SchemaKind::Json => match serde_json::from_str(&schema.text) {
                Ok(serde_json::Value::Object(_) | serde_json::Value::Bool(_)) => Ok(()),
                Ok(_) => Err(Refusal::Invalid(
                    "a JSON Schema is an object or a boolean".to_owned(),
                )),
                Err(error) => Err(Refusal::Invalid(error.to_string())),
            },
            SchemaKind::Protobuf if schema.text.trim().is_empty() => {
                Err(Refusal::Invalid("Empty schema".to_owned()))
            }
            SchemaKind::Protobuf => Ok(()),
        }
    }

    fn referred(&self, subject: &str, version: i32) -> Result<&Schema, Refusal> {
        let found = self
            .subjects
            .get(subject)
            .and_then(|found| found.versions().find(|(number, _)| *number == version));
        found
            .and_then(|(_, id)| self.schema(id))
            .ok_or_else(|| Refusal::Invalid(format!("No schema reference found for {subject} {version}")))
    }

    fn avro(&self, schema: &Schema) -> Result<AvroSchema, Refusal> {
        let mut others = Vec::new();
        self.collect(schema, &mut others, 0)?;
        AvroSchema::parse_with(&schema.text, &others).map_err(|error| Refusal::Invalid(error.to_string()))
    }

    /// What the schema refers to, each before what needs it, and once.
    fn collect<'a>(
        &'a self,
        schema: &Schema,
        others: &mut Vec<&'a str>,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::Invalid("references go too deep".to_owned()));
        }
        for reference in &schema.references {
            let inner = self.referred(&reference.subject, reference.version.unwrap_or(-1))?;
            self.collect(inner, others, depth + 1)?;
            if !others.contains(&inner.text.as_str()) {
                others.push(&inner.text);
            }
        }
        Ok(())
    }
}

/// What makes two schemas the same: white space does not tell them apart, nor does the order of JSON's keys.
fn canonical(schema: &Schema) -> String {
    let text = match serde_json::from_str::<serde_json::Value>(&schema.text) {
        Ok(json) => json.to_string(),
        Err(_) => schema.text.trim().to_owned(),
    };
    let references: Vec<_> = schema
        .references
        .iter()
        .map(|reference| format!("{} {} {:?}", reference.name, reference.subject, reference.version))
        .collect();
    format!("{} {text} {references:?}", schema.kind)
}

/// The same for the same schema in every registry; Confluent's are hashes, too.
fn guid(canonical: &str) -> Guid {
    let hash = |seed: u64| {
        let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
        canonical.hash(&mut hasher);
        std::hash::Hasher::finish(&hasher).to_be_bytes()
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash(1));
    bytes[8..].copy_from_slice(&hash(2));
    // Version 4 and the usual variant, so that every reader takes it for a UUID.
    bytes[6] = (bytes[6] & 0x0F) | 0x40;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    Guid(bytes)
}
