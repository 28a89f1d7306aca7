//! Confluent's API over the store.

use super::store::{Refusal, Store};
use crate::registry::{Compatibility, Method, ReceivedRequest, Reference, Response, Schema, SchemaKind};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn error(status: u16, code: i64, message: &str) -> Response {
    reply(status, &json!({"error_code": code, "message": message}))
}

fn reply(status: u16, body: &Value) -> Response {
    Response::new(status, body.to_string())
}

pub(super) fn answer(store: &mut Store, request: &ReceivedRequest) -> Response {
    // Queries ask for normalizing, which the store always does, or name a context, of which it has one.
    let path = request.target.split('?').next().unwrap_or_default();
    let words: Vec<_> = path
        .trim_matches('/')
        .split('/')
        .map(crate::registry::percent_decoded)
        .collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let outcome = match (request.method, &words[..]) {
        (Some(Method::Get), ["subjects"]) => Ok(json!(store.subjects.keys().collect::<Vec<_>>())),
        (Some(Method::Get), ["subjects", subject, "versions"]) => versions(store, subject),
        (Some(Method::Post), ["subjects", subject, "versions"]) => register(store, subject, &request.body),
        (Some(Method::Post), ["subjects", subject]) => look_up(store, subject, &request.body),
        (Some(Method::Delete), ["subjects", subject]) => delete_subject(store, subject),
        (Some(Method::Get), ["subjects", subject, "versions", version]) => {
            version_of(store, subject, version)
        }
        (Some(Method::Delete), ["subjects", subject, "versions", version]) => {
            delete_version(store, subject, version)
        }
        (Some(Method::Get), ["schemas", "ids", id]) => by_id(store, id.parse().ok()),
        (Some(Method::Get), ["schemas", "guids", guid]) => {
            let id = guid.parse().ok().and_then(|guid| store.id_of_guid(guid));
            by_id(store, id)
        }
        (Some(Method::Get), ["config"]) => Ok(json!({"compatibilityLevel": store.compatibility})),
        (Some(Method::Put), ["config"]) => set_level(&request.body, |level| store.compatibility = level),
        (Some(Method::Get), ["config", subject]) => level_of(store, subject),
        (Some(Method::Put), ["config", subject]) => set_level(&request.body, |level| {
            store
                .subjects
                .entry((*subject).to_owned())
                .or_default()
                .compatibility = Some(level);
        }),
        (Some(Method::Post), ["compatibility", "subjects", subject, "versions", rest @ ..])
            if rest.len() < 2 =>
        {
            let is_verbose = request.target.contains("verbose=true");
            compatibility(store, subject, rest.first().copied(), &request.body, is_verbose)
        }
        _ => Err(error(404, 404, "HTTP 404 Not Found")),
    };
    match outcome {
        Ok(body) => reply(200, &body),
        Err(response) => response,
    }
}

type Outcome = Result<Value, Response>;

fn no_subject(subject: &str) -> Response {
    error(404, 40_401, &format!("Subject '{subject}' not found."))
}

fn no_version(version: &str) -> Response {
    error(404, 40_402, &format!("Version {version} not found."))
}

#[derive(Deserialize)]
struct Body {
    schema: String,
    #[serde(rename = "schemaType", default)]
    kind: SchemaKind,
    #[serde(default)]
    references: Vec<ReferenceBody>,
}

#[derive(Deserialize)]
struct ReferenceBody {
    name: String,
    subject: String,
    version: i32,
}

fn schema(body: &[u8]) -> Result<Schema, Response> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|wrong| error(422, 42_201, &format!("Invalid schema: {wrong}")))?;
    let mut schema = Schema::new(body.kind, body.schema);
    for reference in body.references {
        schema = schema.with_reference(Reference::to_version(
            reference.name,
            reference.subject,
            reference.version,
        ));
    }
    Ok(schema)
}

fn refused(refusal: Refusal, subject: &str) -> Response {
    match refusal {
        Refusal::Invalid(why) => error(422, 42_201, &format!("Invalid schema: {why}")),
        Refusal::Incompatible(differences) => {
            let why = differences.join("; ");
            let message = format!(
                "Schema being registered is incompatible with an earlier schema for subject \"{subject}\": {why}"
            );
            error(409, 409, &message)
        }
    }
}

/// A schema with all that is known of it.
fn described(store: &Store, subject: Option<(&str, i32)>, id: u32) -> Value {
    let mut body = json!({"id": id});
    if let Some(schema) = store.schema(id) {
        body["schema"] = json!(schema.text);
        body["guid"] = json!(store.guid(id).map(|guid| guid.to_string()));
        if schema.kind != SchemaKind::Avro {
            body["schemaType"] = json!(schema.kind);
        }
        if !schema.references.is_empty() {
            let references = schema
                .references
                .iter()
                .map(|it| json!({"name": it.name, "subject": it.subject, "version": it.version}));
            body["references"] = references.collect();
        }
    }
    if let Some((subject, version)) = subject {
        body["subject"] = json!(subject);
        body["version"] = json!(version);
    }
    body
}

fn versions(store: &Store, subject: &str) -> Outcome {
    let found = store.subjects.get(subject).ok_or_else(|| no_subject(subject))?;
    Ok(found.versions().map(|(version, _)| json!(version)).collect())
}

fn register(store: &mut Store, subject: &str, body: &[u8]) -> Outcome {
    let (_, id) = store
        .register(subject, schema(body)?)
        .map_err(|refusal| refused(refusal, subject))?;
    // As most registries: no more than the id.
    Ok(json!({"id": id}))
}

fn look_up(store: &Store, subject: &str, body: &[u8]) -> Outcome {
    let schema = schema(body)?;
    if !store.subjects.contains_key(subject) {
        return Err(no_subject(subject));
    }
    let (version, id) = store
        .find(subject, &schema)
        .ok_or_else(|| error(404, 40_403, "Schema not found"))?;
    Ok(described(store, Some((subject, version)), id))
}

fn find_version(store: &Store, subject: &str, version: &str) -> Result<(i32, u32), Response> {
    let found = store.subjects.get(subject).ok_or_else(|| no_subject(subject))?;
    let wanted = match version {
        "latest" | "-1" => None,
        number => Some(
            number
                .parse::<i32>()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| {
                    error(
                        422,
                        42_202,
                        &format!("The specified version '{version}' is not a valid version id."),
                    )
                })?,
        ),
    };
    let mut all = found.versions();
    match wanted {
        // A subject that only has a configuration has no versions either.
        None => all.next_back().ok_or_else(|| no_subject(subject)),
        Some(wanted) => all
            .find(|(number, _)| *number == wanted)
            .ok_or_else(|| no_version(version)),
    }
}

fn version_of(store: &Store, subject: &str, version: &str) -> Outcome {
    let (version, id) = find_version(store, subject, version)?;
    Ok(described(store, Some((subject, version)), id))
}

fn by_id(store: &Store, id: Option<u32>) -> Outcome {
    let found = id.filter(|id| store.schema(*id).is_some());
    let id = found.ok_or_else(|| error(404, 40_403, "Schema not found"))?;
    Ok(described(store, None, id))
}

fn delete_subject(store: &mut Store, subject: &str) -> Outcome {
    let found = store
        .subjects
        .remove(subject)
        .ok_or_else(|| no_subject(subject))?;
    Ok(found.versions().map(|(version, _)| json!(version)).collect())
}

fn delete_version(store: &mut Store, subject: &str, version: &str) -> Outcome {
    let (version, _) = find_version(store, subject, version)?;
    if let Some(found) = store.subjects.get_mut(subject) {
        found.delete(version);
    }
    Ok(json!(version))
}

fn level_of(store: &Store, subject: &str) -> Outcome {
    let level = store.subjects.get(subject).and_then(|found| found.compatibility);
    let level = level.ok_or_else(|| {
        let message = format!("Subject '{subject}' does not have subject-level compatibility configured");
        error(404, 40_408, &message)
    })?;
    Ok(json!({"compatibilityLevel": level}))
}

fn set_level(body: &[u8], set: impl FnOnce(Compatibility)) -> Outcome {
    #[derive(Deserialize)]
    struct Level {
        compatibility: Compatibility,
    }
    let level: Level =
        serde_json::from_slice(body).map_err(|_| error(422, 42_203, "Invalid compatibility level"))?;
    set(level.compatibility);
    Ok(json!({"compatibility": level.compatibility}))
}

/// Without a version it is what a registration would be held against.
fn compatibility(
    store: &Store,
    subject: &str,
    version: Option<&str>,
    body: &[u8],
    is_verbose: bool,
) -> Outcome {
    let schema = schema(body)?;
    let checked = match version {
        None => store.check(subject, &schema),
        Some(version) => {
            let found = match find_version(store, subject, version) {
                Ok((_, id)) => vec![id],
                // What is not there yet is compatible with everything.
                Err(_) if version == "latest" => Vec::new(),
                Err(response) => return Err(response),
            };
            store.check_with(subject, &schema, &found)
        }
    };
    let differences = match checked {
        Ok(()) => Vec::new(),
        Err(Refusal::Incompatible(differences)) => differences,
        Err(refusal) => return Err(refused(refusal, subject)),
    };
    let mut verdict = json!({"is_compatible": differences.is_empty()});
    if is_verbose {
        verdict["messages"] = json!(differences);
    }
    Ok(verdict)
}
