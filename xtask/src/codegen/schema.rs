//! Kafka's message schemas: read from the jar, checked, and resolved to what the generator needs.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::versions::Versions;

/// Where the schemas are in the jar of kafka-clients.
const FOLDER: &str = "common/message/";

/// A schema as its file has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSchema {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    api_key: Option<i16>,
    valid_versions: String,
    flexible_versions: Option<String>,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default)]
    common_structs: Vec<RawStruct>,
    #[serde(default)]
    latest_version_unstable: bool,
    /// Which listeners of a broker take the request: not our business.
    #[serde(default, rename = "listeners")]
    _listeners: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawStruct {
    name: String,
    versions: String,
    fields: Vec<RawField>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    versions: String,
    nullable_versions: Option<String>,
    tagged_versions: Option<String>,
    tag: Option<u32>,
    flexible_versions: Option<String>,
    default: Option<serde_json::Value>,
    #[serde(default)]
    ignorable: bool,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default, rename = "about")]
    _about: String,
    #[serde(default, rename = "entityType")]
    _entity_type: String,
    /// Java keeps the array as a hash set; on the wire it is an array.
    #[serde(default, rename = "mapKey")]
    _map_key: bool,
    #[serde(default, rename = "zeroCopy")]
    _zero_copy: bool,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Request,
    Response,
    Header,
    Data,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Header => "header",
            Self::Data => "data",
        }
    }
}

/// A message: its own structure is the last of `structs`, and each uses only those before it.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) key: Option<i16>,
    pub(crate) valid: Versions,
    pub(crate) flexible: Versions,
    pub(crate) latest_version_unstable: bool,
    pub(crate) structs: Vec<Struct>,
}

/// One structure of a message.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    /// The versions of the message in which it can occur.
    pub(crate) domain: Versions,
    pub(crate) fields: Vec<Field>,
    /// The fields that hold it.
    pub(crate) used_by: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Field {
    /// As in the schema.
    pub(crate) name: String,
    pub(crate) kind: Type,
    /// The versions of the message that have it, tagged or not.
    pub(crate) present: Versions,
    /// Those of them in which it is tagged.
    pub(crate) tagged: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) nullable: Versions,
    pub(crate) flexible: Versions,
    pub(crate) ignorable: bool,
    pub(crate) default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            _ => match text.strip_prefix("[]") {
                Some(element) => match Self::parse(element)? {
                    Self::Array(_) | Self::Bool | Self::Records => {
                        bail!("arrays of `{element}` are not supported")
                    }
                    element => Self::Array(Box::new(element)),
                },
                None if text.starts_with(|c: char| c.is_ascii_uppercase()) => Self::Struct(text.to_owned()),
                None => bail!("the type `{text}` is not known"),
            },
        })
    }

    /// The structure that it is, or that its elements are.
    pub(crate) fn structure(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.structure(),
            _ => None,
        }
    }

    fn can_be_null(&self) -> bool {
        matches!(
            self,
            Self::String | Self::Bytes | Self::Records | Self::Struct(_) | Self::Array(_)
        )
    }
}

/// Reads all schemas of the jar, by name.
pub(crate) fn read_jar(jar: &Path) -> anyhow::Result<Vec<Schema>> {
    let file = File::open(jar).with_context(|| format!("cannot open {}", jar.display()))?;
    let mut archive = zip::ZipArchive::new(file).with_context(|| format!("{} is no jar", jar.display()))?;
    let mut texts = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(name) = entry.name()?.strip_prefix(FOLDER).map(str::to_owned) else {
            continue;
        };
        if name.ends_with(".json") {
            let mut text = String::new();
            entry
                .read_to_string(&mut text)
                .with_context(|| format!("cannot read {name}"))?;
            texts.insert(name, text);
        }
    }
    if texts.is_empty() {
        bail!("{} has no message schemas", jar.display());
    }
    texts
        .iter()
        .map(|(name, text)| parse(text).with_context(|| format!("in {name}")))
        .collect()
}

/// Parses one schema.
pub(crate) fn parse(text: &str) -> anyhow::Result<Schema> {
    let raw: RawSchema = serde_json::from_str(&without_comments(text))?;
    let valid = Versions::parse(&raw.valid_versions)?;
    let flexible = match &raw.flexible_versions {
        Some(versions) => Versions::parse(versions)?,
        None => Versions::NONE,
    };
    let mut resolver = Resolver {
        valid,
        flexible,
        structs: Vec::new(),
        common: &raw.common_structs,
    };
    if !valid.is_empty() {
        resolver.add(&raw.name, &raw.fields, valid, None)?;
        let names: HashSet<_> = resolver.structs.iter().map(|structure| &structure.name).collect();
        if names.len() != resolver.structs.len() {
            bail!("two structures have one name");
        }
    }
    Ok(Schema {
        name: raw.name,
        kind: raw.kind,
        key: raw.api_key,
        valid,
        flexible: flexible.and(valid),
        latest_version_unstable: raw.latest_version_unstable,
        structs: resolver.structs,
    })
}

/// Removes `//` comments, which JSON does not have.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut in_string, mut escaped, mut end) = (false, false, line.len());
        for (index, byte) in line.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'/' if !in_string && line[index..].starts_with("//") => {
                    end = index;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

struct Resolver<'a> {
    valid: Versions,
    flexible: Versions,
    structs: Vec<Struct>,
    common: &'a [RawStruct],
}

impl Resolver<'_> {
    fn add(
        &mut self,
        name: &str,
        raw_fields: &[RawField],
        domain: Versions,
        used_by: Option<String>,
    ) -> anyhow::Result<()> {
        let mut fields = Vec::new();
        for raw in raw_fields {
            let field = self
                .field(raw, domain)
                .with_context(|| format!("in {name}.{}", raw.name))?;
            if field.present.is_empty() {
                // Only in versions that are no longer valid.
                continue;
            }
            self.add_structure_of(name, raw, &field)?;
            fields.push(field);
        }
        self.structs.push(Struct {
            name: name.to_owned(),
            domain,
            fields,
            used_by: used_by.into_iter().collect(),
        });
        Ok(())
    }

    /// Adds the structure that a field is made of, before the one that has the field.
    fn add_structure_of(&mut self, parent: &str, raw: &RawField, field: &Field) -> anyhow::Result<()> {
        let Some(structure) = field.kind.structure() else {
            return Ok(());
        };
        let used_by = format!("{parent}.{}", raw.name);
        if !raw.fields.is_empty() {
            return self.add(structure, &raw.fields, field.present, Some(used_by));
        }
        if let Some(known) = self.structs.iter_mut().find(|known| known.name == structure) {
            known.used_by.push(used_by);
            return Ok(());
        }
        let common = self.common;
        let Some(common) = common.iter().find(|common| common.name == structure) else {
            bail!("the structure `{structure}` is not defined");
        };
        let domain = Versions::parse(&common.versions)?.and(self.valid);
        self.add(structure, &common.fields, domain, Some(used_by))
    }

    fn field(&self, raw: &RawField, domain: Versions) -> anyhow::Result<Field> {
        let optional = |text: &Option<String>| text.as_deref().map_or(Ok(Versions::NONE), Versions::parse);
        let kind = Type::parse(&raw.kind)?;
        let present = Versions::parse(&raw.versions)?.and(domain);
        let tagged = optional(&raw.tagged_versions)?.and(present);
        let nullable = optional(&raw.nullable_versions)?.and(present);
        if !nullable.is_empty() && !kind.can_be_null() {
            bail!("a `{}` cannot be null", raw.kind);
        }
        if tagged.is_empty() != raw.tag.is_none() && !present.is_empty() {
            bail!("a tag without tagged versions, or the reverse");
        }
        if tagged.and(self.flexible) != tagged {
            bail!("tagged in a version that is not flexible");
        }
        if matches!(kind, Type::Struct(_)) && !tagged.and(nullable).is_empty() {
            bail!("tagged structures that can be null are not supported");
        }
        let flexible = match &raw.flexible_versions {
            Some(text) => Versions::parse(text)?,
            None => self.flexible,
        };
        let default = raw.default.as_ref().map(|value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        if default.as_deref() == Some("null") && nullable != present {
            bail!("the default is null in versions that cannot have it");
        }
        Ok(Field {
            name: raw.name.clone(),
            kind,
            present,
            tagged,
            tag: raw.tag,
            nullable,
            flexible,
            ignorable: raw.ignorable,
            default,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_a_line_but_not_a_string() {
        assert_eq!(
            without_comments("a // b\n\"http://x\" // \"c\"\n"),
            "a \n\"http://x\" \n"
        );
        assert_eq!(without_comments(r#""a\"//" // b"#), "\"a\\\"//\" \n");
    }

    #[test]
    fn fields_that_no_valid_version_has_are_left_out() {
        let schema = parse(
            r#"{ "type": "data", "name": "Example", "validVersions": "3-4", "flexibleVersions": "4+", "fields": [
                { "name": "Old", "type": "int32", "versions": "0-2" },
                { "name": "New", "type": "[]Part", "versions": "0+", "nullableVersions": "4+", "fields": [
                    { "name": "Inner", "type": "string", "versions": "4+" } ] } ] }"#,
        )
        .unwrap_or_else(|error| panic!("{error:#}"));
        let names: Vec<_> = schema
            .structs
            .iter()
            .map(|structure| structure.name.as_str())
            .collect();
        assert_eq!(names, ["Part", "Example"]);
        let example = &schema.structs[1];
        assert_eq!(example.fields.len(), 1);
        assert_eq!(example.fields[0].nullable, Versions { low: 4, high: 4 });
        assert_eq!(schema.structs[0].fields[0].present, Versions { low: 4, high: 4 });
    }

    #[test]
    fn what_the_generator_does_not_know_is_refused() {
        for field in [
            r#"{ "name": "A", "type": "int128", "versions": "0+" }"#,
            r#"{ "name": "A", "type": "int32", "versions": "0+", "nullableVersions": "0+" }"#,
            r#"{ "name": "A", "type": "int32", "versions": "0+", "taggedVersions": "0+", "tag": 0 }"#,
            r#"{ "name": "A", "type": "Missing", "versions": "0+" }"#,
            r#"{ "name": "A", "type": "int32", "versions": "0+", "novel": 1 }"#,
        ] {
            let text = format!(
                r#"{{ "type": "data", "name": "X", "validVersions": "0", "flexibleVersions": "none", "fields": [{field}] }}"#
            );
            assert!(parse(&text).is_err(), "{field}");
        }
    }
}
