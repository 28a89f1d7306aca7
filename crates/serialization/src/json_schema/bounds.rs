//! How much work a schema can make, found out before it is compiled.
//!
//! Parts of a schema that hold at one place of the value (`allOf`, `anyOf`, `$ref` and the like) are checked one inside of
//! the other. Each that refers to the next takes room on the stack, and two that refer twice to the next double the work.
//! So both are counted here: along the longest way, and in all. Going into the value (`properties`, `items`) begins anew,
//! for each value is finite.

use super::schema::wrong;
use crate::SerializeError;
use hashbrown::HashMap;
use jsonschema::{Uri, uri};
use serde_json::Value;
use std::collections::BTreeMap;

/// Parts that refer to each other at one place. People's schemas have fewer than ten.
const DEPTH_MAX: u32 = 200;
/// Parts that hold at one place, each as often as it is referred to: a millisecond of work.
const PARTS_MAX: u32 = 10_000;
/// Depth of the value times that of the schema. Unoptimised, a thousand take less than a megabyte of stack, and a thread
/// has two.
const NESTING_MAX: u32 = 1_000;

/// What the check of a value needs to know of its schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    depth: u32,
}

impl Bounds {
    /// Looks through a schema and all that it refers to.
    ///
    /// # Errors
    /// It refers to itself without going into the value, to what is not there, or is beyond a bound.
    pub(super) fn of(documents: &BTreeMap<Uri<String>, Value>) -> Result<Bounds, SerializeError> {
        let mut survey = Survey::default();
        for (address, document) in documents {
            let mut places = Vec::new();
            survey.collect(document, address, is_draft_4(document), &mut places)?;
            survey.places.append(&mut places);
        }
        let places = std::mem::take(&mut survey.places);
        let mut depth = 1;
        for (schema, base) in &places {
            depth = depth.max(survey.measure(schema, base, 0)?.depth);
        }
        Ok(Bounds { depth })
    }

    /// Whether a value is not too deep for its schema.
    ///
    /// # Errors
    /// It is.
    pub(super) fn check(&self, value: &Value) -> Result<(), SerializeError> {
        let depth = nesting(value);
        if depth.saturating_mul(self.depth) > NESTING_MAX {
            let message = format!(
                "the value is {depth} deep, and its schema refers {} times at one place: more than can be checked",
                self.depth
            );
            return Err(SerializeError::value(message));
        }
        Ok(())
    }
}

fn nesting(value: &Value) -> u32 {
    let inside = match value {
        Value::Array(items) => items.iter().map(nesting).max(),
        Value::Object(fields) => fields.values().map(nesting).max(),
        _ => None,
    };
    inside.map_or(1, |inside| inside + 1)
}

/// The address that a schema gives itself: `$id`, and `id` in draft 4.
pub(super) fn id_of(schema: &Value) -> Option<&str> {
    id_in(schema, is_draft_4(schema))
}

fn is_draft_4(schema: &Value) -> bool {
    let dialect = schema.get("$schema").and_then(Value::as_str);
    dialect.is_some_and(|dialect| dialect.contains("draft-04"))
}

fn id_in(schema: &Value, is_draft_4: bool) -> Option<&str> {
    schema.get(if is_draft_4 { "id" } else { "$id" })?.as_str()
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    depth: u32,
    parts: u32,
}

#[derive(Default)]
struct Survey<'a> {
    /// Schemas with an address, without its fragment.
    resources: BTreeMap<String, &'a Value>,
    /// Schemas with a name inside of one with an address: both with `#` between.
    anchors: BTreeMap<String, (&'a Value, Uri<String>)>,
    /// All that may be schemas, with the address that references in them are relative to.
    places: Vec<(&'a Value, Uri<String>)>,
    /// By the schema's address in memory; `None` while it is being measured.
    measured: HashMap<*const Value, Option<Extent>, foldhash::fast::FixedState>,
}

impl<'a> Survey<'a> {
    /// Finds all that may be a schema or be referred to.
    fn collect(
        &mut self,
        value: &'a Value,
        base: &Uri<String>,
        is_draft_4: bool,
        places: &mut Vec<(&'a Value, Uri<String>)>,
    ) -> Result<(), SerializeError> {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Array(items) => {
                return items
                    .iter()
                    .try_for_each(|item| self.collect(item, base, is_draft_4, places));
            }
            _ => return Ok(()),
        };
        let mut base = base.clone();
        if let Some(id) = id_in(value, is_draft_4) {
            match id.strip_prefix('#') {
                // Before 2019-09 that is how a part got a name.
                Some(name) => self.anchor(&base, name, value),
                None => base = resolve(&base, id)?,
            }
        }
        // The first is the one whose address it is; a document inside of itself has the same.
        self.resources.entry(without_fragment(&base)).or_insert(value);
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = fields.get(keyword).and_then(Value::as_str) {
                self.anchor(&base, name, value);
            }
        }
        for (name, inner) in fields {
            // Values, in which nothing is a schema.
            if !matches!(&**name, "const" | "default" | "enum" | "examples") {
                self.collect(inner, &base, is_draft_4, places)?;
            }
        }
        places.push((value, base));
        Ok(())
    }

    fn anchor(&mut self, base: &Uri<String>, name: &str, schema: &'a Value) {
        let key = format!("{}#{name}", without_fragment(base));
        self.anchors.insert(key, (schema, base.clone()));
    }

    fn measure(
        &mut self,
        schema: &'a Value,
        base: &Uri<String>,
        above: u32,
    ) -> Result<Extent, SerializeError> {
        let key = std::ptr::from_ref(schema);
        match self.measured.get(&key) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(wrong("it refers to itself without going into the value")),
            None => {}
        }
        if above >= DEPTH_MAX {
            return Err(wrong(format_args!(
                "more than {DEPTH_MAX} parts refer to each other at one place"
            )));
        }
        self.measured.insert(key, None);
        let mut extent = Extent { depth: 1, parts: 1 };
        for (inner, base) in self.inside(schema, base)? {
            let inner = self.measure(inner, &base, above + 1)?;
            extent.depth = extent.depth.max(inner.depth + 1);
            extent.parts = extent.parts.saturating_add(inner.parts);
        }
        if extent.depth > DEPTH_MAX || extent.parts > PARTS_MAX {
            return Err(wrong(format_args!(
                "more than {DEPTH_MAX} parts refer to each other at one place, or more than {PARTS_MAX} hold there"
            )));
        }
        self.measured.insert(key, Some(extent));
        Ok(extent)
    }

    /// What holds at the same place of the value as the schema.
    fn inside(
        &self,
        schema: &'a Value,
        base: &Uri<String>,
    ) -> Result<Vec<(&'a Value, Uri<String>)>, SerializeError> {
        let Value::Object(fields) = schema else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (keyword, value) in fields {
            match (&**keyword, value) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                    found.extend(self.follow(base, reference)?);
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                    found.extend(schemas.iter().map(|inner| (inner, base)).map(entered));
                }
                ("not" | "if" | "then" | "else", inner) => found.push(entered((inner, base))),
                ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                    found.extend(schemas.values().map(|inner| (inner, base)).map(entered));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// What a reference refers to, and the address that references in there are relative to; nothing for the drafts' own
    /// schemas, which the validator knows.
    fn follow(
        &self,
        base: &Uri<String>,
        reference: &str,
    ) -> Result<Option<(&'a Value, Uri<String>)>, SerializeError> {
        let target = resolve(base, reference)?;
        let address = without_fragment(&target);
        let lost = || wrong(format_args!("{reference:?} refers to nothing that was given"));
        let Some(resource) = self.resources.get(&address) else {
            let is_drafts = ["http://json-schema.org/", "https://json-schema.org/"]
                .iter()
                .any(|known| address.starts_with(known));
            return if is_drafts { Ok(None) } else { Err(lost()) };
        };
        let fragment = target
            .fragment()
            .map(|fragment| fragment.decode().to_string_lossy());
        match fragment.as_deref() {
            None | Some("") => Ok(Some((*resource, target.clone()))),
            Some(pointer) if pointer.starts_with('/') => {
                let mut found = (*resource, target.clone());
                for step in pointer[1..].split('/') {
                    let step = step.replace("~1", "/").replace("~0", "~");
                    let inner = match found.0 {
                        Value::Object(fields) => fields.get(&step),
                        Value::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                        _ => None,
                    };
                    found = entered((inner.ok_or_else(lost)?, &found.1));
                }
                Ok(Some(found))
            }
            Some(name) => {
                let known = self.anchors.get(&format!("{address}#{name}"));
                known.cloned().map(Some).ok_or_else(lost)
            }
        }
    }
}

/// With the address that holds inside.
fn entered<'a>((schema, base): (&'a Value, &Uri<String>)) -> (&'a Value, Uri<String>) {
    let own = id_of(schema).filter(|id| !id.starts_with('#'));
    let base = own
        .and_then(|id| resolve(base, id).ok())
        .unwrap_or_else(|| base.clone());
    (schema, base)
}

fn resolve(base: &Uri<String>, reference: &str) -> Result<Uri<String>, SerializeError> {
    uri::resolve_against(&base.borrow(), reference).map_err(wrong)
}

fn without_fragment(address: &Uri<String>) -> String {
    address.strip_fragment().as_str().to_owned()
}
