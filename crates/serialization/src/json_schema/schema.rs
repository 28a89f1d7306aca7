//! A schema, ready to check values with.

use super::bounds::{self, Bounds};
use super::fault;
use crate::json::explain;
use crate::{ErrorKind, SerializeError};
use jsonschema::{Draft, PatternOptions, Retrieve, Uri, Validator};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A schema has a few KiB; what is larger is a mistake.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// With all that it refers to.
const ALL_BYTES_MAX: usize = 4 << 20;
/// Of a pattern with look-around or back references, which may take exponential time. Some milliseconds' worth.
const PATTERN_STEPS_MAX: usize = 100_000;
/// Of a compiled pattern; the default of the regex crate is forty times that.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// A compiled JSON Schema. Cheap to clone.
#[derive(Clone)]
pub struct JsonSchema {
    inner: Arc<Inner>,
}

struct Inner {
    title: Option<String>,
    validator: Validator,
    bounds: Bounds,
}

impl JsonSchema {
    /// Compiles a schema from its text.
    ///
    /// # Errors
    /// It is no schema, refers to what is not there, or is beyond a bound of this [module](super).
    pub fn parse(text: &str) -> Result<JsonSchema, SerializeError> {
        JsonSchema::parse_with(text, &[])
    }

    /// Compiles a schema that refers to others: their names, as they stand in `$ref`, and their texts. A relative name
    /// is relative to the `$id` of the schema, as it is in `$ref`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(text: &str, others: &[(&str, &str)]) -> Result<JsonSchema, SerializeError> {
        let mut documents = Documents::new(text)?;
        let base = documents.root.clone();
        for (name, text) in others {
            documents.add(&base, name, text)?;
        }
        JsonSchema::compile(documents)
    }

    pub(super) fn compile(documents: Documents) -> Result<JsonSchema, SerializeError> {
        let bounds = Bounds::of(&documents.all)?;
        let root = documents.all.get(&documents.root).unwrap_or(&Value::Null).clone();
        let title = root.get("title").and_then(Value::as_str).map(str::to_owned);
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(PATTERN_STEPS_MAX)
            .size_limit(PATTERN_BYTES_MAX);
        let mut options = jsonschema::options()
            .with_base_uri(documents.root.as_str())
            .with_pattern_options(patterns)
            .with_retriever(Known(documents.all));
        if root.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft7);
        }
        let validator = options
            .build(&root)
            .map_err(|error| wrong(fault::of_schema(&error)))?;
        Ok(JsonSchema {
            inner: Arc::new(Inner {
                title,
                validator,
                bounds,
            }),
        })
    }

    /// The schema's `title`: what subject strategies take for the record's name.
    pub fn title(&self) -> Option<&str> {
        self.inner.title.as_deref()
    }

    /// Appends the value as compact JSON, and holds it against the schema.
    ///
    /// # Errors
    /// The value cannot be written as JSON, or the schema does not allow it; the error names the field. What was appended
    /// is to be thrown away.
    pub fn write<T: Serialize + ?Sized>(&self, value: &T, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
        let start = bytes.len();
        if serde_json::to_writer(&mut *bytes, value).is_err() {
            return Err(explain(value));
        }
        self.check(&bytes[start..])
    }

    /// Holds a text in JSON against the schema.
    ///
    /// # Errors
    /// It is no JSON, or the schema does not allow it; the error names the field.
    pub fn check(&self, json: &[u8]) -> Result<(), SerializeError> {
        // What readers will see is checked, which is not always what the value was: numbers were made text.
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| SerializeError::value(format!("it is no JSON that can be checked: {error}")))?;
        self.inner.bounds.check(&value)?;
        self.inner
            .validator
            .validate(&value)
            .map_err(|error| fault::explain(&error))
    }
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema")
            .field("title", &self.inner.title)
            .finish_non_exhaustive()
    }
}

pub(super) fn wrong(message: impl fmt::Display) -> SerializeError {
    SerializeError::new(ErrorKind::Schema, format!("JSON Schema: {message}"))
}

/// A schema and what it refers to, by their addresses.
pub(super) struct Documents {
    pub(super) root: Uri<String>,
    pub(super) all: BTreeMap<Uri<String>, Value>,
    bytes: usize,
}

impl Documents {
    pub(super) fn new(text: &str) -> Result<Documents, SerializeError> {
        let schema = read(text)?;
        let root = own_address(&schema, None)?;
        Ok(Documents {
            all: BTreeMap::from([(root.clone(), schema)]),
            root,
            bytes: text.len(),
        })
    }

    /// Adds what a schema with the address `base` knows by that name, and says what its own address is.
    pub(super) fn add(
        &mut self,
        base: &Uri<String>,
        name: &str,
        text: &str,
    ) -> Result<Uri<String>, SerializeError> {
        let schema = read(text).map_err(|error| named(&error, name))?;
        self.bytes += text.len();
        if self.bytes > ALL_BYTES_MAX {
            return Err(wrong(format_args!(
                "with its references larger than {ALL_BYTES_MAX} bytes"
            )));
        }
        let address = jsonschema::uri::resolve_against(&base.borrow(), name).map_err(wrong)?;
        let own = own_address(&schema, Some(&address))?;
        // It is found by the name that others give it, and by the one that it gives itself.
        for address in [&address, &own] {
            match self.all.get(address) {
                None => drop(self.all.insert(address.clone(), schema.clone())),
                Some(known) if *known == schema => {}
                Some(_) => {
                    return Err(wrong(format_args!(
                        "two different schemas have the address {address}"
                    )));
                }
            }
        }
        Ok(own)
    }
}

fn read(text: &str) -> Result<Value, SerializeError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong(format_args!("larger than {TEXT_BYTES_MAX} bytes")));
    }
    match serde_json::from_str(text) {
        Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema),
        Ok(_) => Err(wrong("it is neither an object nor a boolean")),
        Err(error) => Err(wrong(error)),
    }
}

fn named(error: &SerializeError, name: &str) -> SerializeError {
    SerializeError::new(error.kind(), format!("reference {name:?}: {}", error.message()))
}

/// What the schema says that its address is, or else the one by which it is known.
fn own_address(schema: &Value, known: Option<&Uri<String>>) -> Result<Uri<String>, SerializeError> {
    let id = bounds::id_of(schema).unwrap_or_default();
    let address = match known {
        Some(known) => jsonschema::uri::resolve_against(&known.borrow(), id),
        None => jsonschema::uri::from_str(id),
    };
    // An empty fragment at its end says nothing.
    address
        .map(|address| address.strip_fragment().to_owned())
        .map_err(wrong)
}

/// Schemas come from here, and from nowhere else.
struct Known(BTreeMap<Uri<String>, Value>);

impl Retrieve for Known {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        match self.0.get(uri) {
            Some(schema) => Ok(schema.clone()),
            None => Err("it is not among the schema's references, and is not fetched".into()),
        }
    }
}
