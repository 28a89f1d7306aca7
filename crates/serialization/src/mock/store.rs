//! What the mock remembers.

use super::{json, protobuf};
use crate::avro::AvroSchema;
use crate::registry::{Compatibility, Guid, Schema, SchemaKind};
use serde_json::Value;
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
    Incompatible(Vec<String>),
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
        use Compatibility::{Backward, Forward, Full};
        let is_transitive = !matches!(self.level(subject), Backward | Forward | Full);
        let found = self.subjects.get(subject);
        let ids = found.into_iter().flat_map(Subject::versions).map(|(_, id)| id);
        let mut earlier: Vec<u32> = ids.collect();
        // The last one is told about first.
        earlier.reverse();
        if !is_transitive {
            earlier.truncate(1);
        }
        self.check_with(subject, schema, &earlier)
    }

    /// Whether the schema goes with these, by the subject's level.
    pub(super) fn check_with(&self, subject: &str, schema: &Schema, ids: &[u32]) -> Result<(), Refusal> {
        self.validate(schema, 0)?;
        let level = self.level(subject);
        if level == Compatibility::None {
            return Ok(());
        }
        for old in ids.iter().filter_map(|id| self.schema(*id)) {
            self.check_pair(level, old, schema)?;
        }
        Ok(())
    }

    fn level(&self, subject: &str) -> Compatibility {
        let own = self.subjects.get(subject).and_then(|found| found.compatibility);
        own.unwrap_or(self.compatibility)
    }

    fn check_pair(&self, level: Compatibility, old: &Schema, new: &Schema) -> Result<(), Refusal> {
        if canonical(old) == canonical(new) {
            return Ok(());
        }
        if old.kind != new.kind {
            let kinds = format!("schema type {} was {}", new.kind, old.kind);
            return Err(Refusal::Incompatible(vec![kinds]));
        }
        let differences = match new.kind {
            SchemaKind::Avro => {
                let (old, new) = (self.avro(old)?, self.avro(new)?);
                both_ways(level, &old, &new, |writer, reader| {
                    reader.incompatibilities(writer)
                })
            }
            SchemaKind::Json => {
                let (old, new) = (self.json(old)?, self.json(new)?);
                both_ways(level, &old, &new, json::incompatibilities)
            }
            SchemaKind::Protobuf => {
                let (old, new) = (self.protobuf(old)?, self.protobuf(new)?);
                both_ways(level, &old, &new, protobuf::incompatibilities)
            }
        };
        if differences.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Incompatible(differences))
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
            SchemaKind::Json => self.json(schema).map(drop),
            SchemaKind::Protobuf => self.protobuf(schema).map(drop),
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
        let others: Vec<_> = others.into_iter().map(|(_, text)| text).collect();
        AvroSchema::parse_with(&schema.text, &others).map_err(|error| Refusal::Invalid(error.to_string()))
    }

    fn json(&self, schema: &Schema) -> Result<json::Documents, Refusal> {
        let read = |text: &str| match serde_json::from_str(text) {
            Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema),
            Ok(_) => Err(Refusal::Invalid(
                "a JSON Schema is an object or a boolean".to_owned(),
            )),
            Err(error) => Err(Refusal::Invalid(error.to_string())),
        };
        let mut others = Vec::new();
        self.collect(schema, &mut others, 0)?;
        let others = others
            .into_iter()
            .map(|(name, text)| Ok((name.to_owned(), read(text)?)));
        Ok(json::Documents {
            root: read(&schema.text)?,
            others: others.collect::<Result<_, Refusal>>()?,
        })
    }

    fn protobuf(&self, schema: &Schema) -> Result<protobuf::Files, Refusal> {
        let read = |text: &str| crate::protobuf::file(text).map_err(Refusal::Invalid);
        let mut others = Vec::new();
        self.collect(schema, &mut others, 0)?;
        let root = read(&schema.text)?;
        let is_known =
            |import: &&String| import.starts_with("google/") || others.iter().any(|(name, _)| name == import);
        if let Some(import) = root.dependency.iter().find(|import| !is_known(import)) {
            let why = format!("it imports {import:?}, which is not among its references");
            return Err(Refusal::Invalid(why));
        }
        let imports = others.into_iter().map(|(_, text)| read(text));
        Ok(protobuf::Files {
            root,
            imports: imports.collect::<Result<_, Refusal>>()?,
        })
    }

    /// Names and texts of what the schema refers to, each before what needs it, and once.
    fn collect<'a>(
        &'a self,
        schema: &'a Schema,
        others: &mut Vec<(&'a str, &'a str)>,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::Invalid("references go too deep".to_owned()));
        }
        for reference in &schema.references {
            let inner = self.referred(&reference.subject, reference.version.unwrap_or(-1))?;
            self.collect(inner, others, depth + 1)?;
            let other = (reference.name.as_str(), inner.text.as_str());
            if !others.contains(&other) {
                others.push(other);
            }
        }
        Ok(())
    }
}

/// Differences in the directions that the level asks for; `find` takes the writer first.
fn both_ways<T>(level: Compatibility, old: &T, new: &T, find: impl Fn(&T, &T) -> Vec<String>) -> Vec<String> {
    use Compatibility::{Backward, BackwardTransitive, Forward, ForwardTransitive};
    let mut differences = Vec::new();
    if !matches!(level, Forward | ForwardTransitive) {
        differences.extend(find(old, new));
    }
    if !matches!(level, Backward | BackwardTransitive) {
        differences.extend(find(new, old));
    }
    differences
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
