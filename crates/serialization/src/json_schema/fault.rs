//! From what the validator says to an error that names the field.

use crate::SerializeError;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;
use std::fmt::Write as _;

/// Messages quote the schema, which may list thousands of symbols.
const MESSAGE_CHARACTERS_MAX: usize = 500;
/// Alternatives inside of alternatives.
const DEPTH_MAX: usize = 16;

pub(super) fn explain(error: &ValidationError<'_>) -> SerializeError {
    let error = deepest(error);
    let mut field = path(error.instance_path());
    // What is missing, or should be missing, is the field at fault, and not the object around it.
    match error.kind() {
        Kind::Required {
            property: Value::String(name),
        } => step(&mut field, name),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            if let [name] = &unexpected[..] {
                step(&mut field, name);
            }
        }
        _ => {}
    }
    let message = format!(
        "{} ({} of the schema)",
        shortened(&error.masked_with("the value").to_string()),
        error.schema_path().as_str().trim_start_matches('/')
    );
    SerializeError::value(message).with_field(field)
}

/// What is wrong with a schema, which is a value of its draft's own schema.
pub(super) fn of_schema(error: &ValidationError<'_>) -> String {
    let error = deepest(error);
    let path = path(error.instance_path());
    let colon = if path.is_empty() { "" } else { ": " };
    format!(
        "{path}{colon}{}",
        shortened(&error.masked_with("the value").to_string())
    )
}

/// The fault furthest inside of the value. Where none of several alternatives fits, the one that fitted for longest is
/// what the value was meant to be: mostly the other is null.
fn deepest<'e, 'v>(error: &'e ValidationError<'v>) -> &'e ValidationError<'v> {
    let mut deepest = error;
    for _ in 0..DEPTH_MAX {
        let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = deepest.kind() else {
            break;
        };
        let depth = |error: &ValidationError<'_>| error.instance_path().segments().count();
        let own = depth(deepest);
        let further = context.iter().flatten().filter(|inner| depth(inner) > own);
        match further.max_by_key(|inner| depth(inner)) {
            Some(further) => deepest = further,
            None => break,
        }
    }
    deepest
}

/// As `customer.addresses[2].city`.
fn path(location: &Location) -> String {
    let mut path = String::new();
    for segment in location.segments() {
        match segment {
            LocationSegment::Property(name) => step(&mut path, &name),
            LocationSegment::Index(index) => drop(write!(path, "[{index}]")),
        }
    }
    path
}

fn step(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
