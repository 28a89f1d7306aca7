//! The client itself.

use super::endpoint::percent_encoded;
use super::flight::Flights;
use super::http::{BoxFuture, Http, HttpError, Method, Request, Response};
use super::{Endpoint, Guid, Reference, Schema, SchemaKind};
use crate::{ErrorKind, SerializeError};
use hashbrown::HashMap;
use ottla_time::ExponentialBackoff;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// References of references, and no deeper.
const REFERENCE_DEPTH_MAX: usize = 16;
/// All schemas that one needs; what a registry answers has no other bound.
const REFERENCES_MAX: usize = 256;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A client of one registry, which may have several addresses. Cheap to clone; all clones share what they learned.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    config: RegistryConfig,
    http: Arc<dyn Http>,
    /// The address that answered last.
    current: AtomicUsize,
    /// By subject, schema and question; bounded.
    known: Mutex<HashMap<Question, Registered, foldhash::fast::FixedState>>,
    asking: Flights<Question, Registered>,
    random: Mutex<fastrand::Rng>,
}

/// Where the registry is, who we are, and how patient.
#[derive(Clone)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// The addresses, tried in turn when one does not answer.
    pub endpoints: Vec<Endpoint>,
    /// The value of `Authorization`; a secret.
    authorization: Option<String>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How often all addresses are tried again (`max.retries`).
    pub retries: u32,
    /// How long to wait before that, at first and at most (`retries.wait.ms`, `retries.max.wait.ms`).
    pub retry_backoff: (Duration, Duration),
    /// The largest answer to take.
    pub response_bytes_max: usize,
    /// So many schemas the client remembers the ids of. When there are more, it begins anew.
    pub schemas_max: usize,
    /// What jitter is made from: two clients should not have the same.
    pub seed: u64,
}

impl RegistryConfig {
    /// Addresses separated by commas, with Confluent's defaults for the rest. User and password in an address are used
    /// for basic authentication (`basic.auth.credentials.source=URL`).
    ///
    /// # Errors
    /// There is no address, or one that is none.
    pub fn new(urls: &str) -> Result<RegistryConfig, SerializeError> {
        let given = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        let endpoints = given.map(Endpoint::parse).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = endpoints.first() else {
            return Err(SerializeError::new(
                ErrorKind::Refused,
                "schema.registry.url names no address",
            ));
        };
        let credentials = first.credentials();
        let config = RegistryConfig {
            endpoints,
            authorization: None,
            request_timeout: Duration::from_secs(30),
            retries: 3,
            retry_backoff: (Duration::from_secs(1), Duration::from_secs(20)),
            response_bytes_max: 16 << 20,
            schemas_max: 1_000,
            seed: 0,
        };
        Ok(match credentials {
            Some(credentials) => config.basic_credentials(&credentials),
            None => config,
        })
    }

    /// Authenticates with `user:password` (`basic.auth.user.info`).
    #[must_use]
    pub fn basic_credentials(mut self, credentials: &str) -> RegistryConfig {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        self.authorization = Some(format!("Basic {encoded}"));
        self
    }

    /// Authenticates with a token (`bearer.auth.token`).
    #[must_use]
    pub fn bearer_token(mut self, token: &str) -> RegistryConfig {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }
}

impl fmt::Debug for RegistryConfig {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig")
            .field("endpoints", &self.endpoints)
            .field("authorization", &self.authorization.as_ref().map(|_| "[hidden]"))
            .field("request_timeout", &self.request_timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// What makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    subject: String,
    schema: Schema,
    normalize: bool,
    registers: bool,
}

/// What a registry knows of a schema under a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// Its number in this registry.
    pub id: u32,
    /// Its id in all registries, if this one gives such ids.
    pub guid: Option<Guid>,
    /// Its version under the subject, if the answer told.
    pub version: Option<i32>,
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectVersion {
    /// Its numbers.
    pub registered: Registered,
    /// The schema, with all that it refers to.
    pub schema: Schema,
}

/// What the next version of a subject must be compatible with, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Compatibility {
    /// Readers with the new schema read what was written with the last one.
    #[default]
    Backward,
    /// And with all before it.
    BackwardTransitive,
    /// Readers with the last schema read what is written with the new one.
    Forward,
    /// And with all before it.
    ForwardTransitive,
    /// Both, with the last one.
    Full,
    /// Both, with all.
    FullTransitive,
    /// Everything goes.
    None,
}

impl Registry {
    /// A client that speaks over `http`. It asks nothing yet.
    pub fn new(config: RegistryConfig, http: Arc<dyn Http>) -> Registry {
        let random = fastrand::Rng::with_seed(config.seed);
        Registry {
            inner: Arc::new(Inner {
                config,
                http,
                current: AtomicUsize::new(0),
                known: Mutex::new(HashMap::default()),
                asking: Flights::new(),
                random: Mutex::new(random),
            }),
        }
    }

    /// Registers the schema under the subject, if it is not yet; what it refers to first. Asked once for each schema:
    /// who asks meanwhile waits for the same answer, and who asks later gets it from memory.
    ///
    /// # Errors
    /// The registry refuses it, or there is none.
    pub async fn register(
        &self,
        subject: &str,
        schema: &Schema,
        normalize: bool,
    ) -> Result<Registered, SerializeError> {
        self.question(subject, schema, normalize, true).await
    }

    /// The numbers of a schema that is registered under the subject, asked once as in [`register`](Self::register).
    ///
    /// # Errors
    /// It is not registered, or there is no registry.
    pub async fn look_up(
        &self,
        subject: &str,
        schema: &Schema,
        normalize: bool,
    ) -> Result<Registered, SerializeError> {
        self.question(subject, schema, normalize, false).await
    }

    /// The latest version of a subject, and what it refers to.
    ///
    /// # Errors
    /// The subject has none, or there is no registry.
    pub async fn latest(&self, subject: &str) -> Result<SubjectVersion, SerializeError> {
        let path = format!("/subjects/{}/versions/latest", percent_encoded(subject));
        let version = self.inner.fetch(&path, subject).await?;
        self.complete(version, subject).await
    }

    /// A version of a subject, and what it refers to.
    ///
    /// # Errors
    /// There is no such version, or no registry.
    pub async fn version(&self, subject: &str, version: i32) -> Result<SubjectVersion, SerializeError> {
        let path = format!("/subjects/{}/versions/{version}", percent_encoded(subject));
        let version = self.inner.fetch(&path, subject).await?;
        self.complete(version, subject).await
    }

    /// The schema with this id, and what it refers to; `subject` is for messages, and for registries with contexts.
    ///
    /// # Errors
    /// There is no such id, or no registry.
    pub async fn by_id(&self, id: u32, subject: &str) -> Result<SubjectVersion, SerializeError> {
        let path = format!("/schemas/ids/{id}?subject={}", percent_encoded(subject));
        let mut answer: Answer = self.inner.fetch(&path, subject).await?;
        answer.id = Some(id);
        self.complete(answer, subject).await
    }

    /// Whether the schema could be registered as the subject's next version. A registry that cannot be asked so
    /// (Redpanda's) is asked about the last version only, also where the subject's level looks at all of them.
    ///
    /// # Errors
    /// There is no registry, or it cannot read the schema.
    pub async fn is_compatible(&self, subject: &str, schema: &Schema) -> Result<bool, SerializeError> {
        #[derive(Deserialize)]
        struct Verdict {
            is_compatible: bool,
        }
        let all = format!("/compatibility/subjects/{}/versions", percent_encoded(subject));
        let body = SchemaBody::of(schema, subject)?;
        let verdict: Result<Verdict, _> = self.inner.json(Method::Post, &all, Some(&body), subject).await;
        let verdict = match verdict {
            // Redpanda's registry does not have this, and only tells of one version.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Refused) => {
                let last = format!("{all}/latest");
                self.inner.json(Method::Post, &last, Some(&body), subject).await?
            }
            verdict => verdict?,
        };
        Ok(verdict.is_compatible)
    }

    /// Sets what the subject's next version must be compatible with.
    ///
    /// # Errors
    /// There is no registry, or it refuses.
    pub async fn set_compatibility(&self, subject: &str, level: Compatibility) -> Result<(), SerializeError> {
        #[derive(Serialize)]
        struct Level {
            compatibility: Compatibility,
        }
        let path = format!("/config/{}", percent_encoded(subject));
        let level = Level { compatibility: level };
        let _: serde::de::IgnoredAny = self.inner.json(Method::Put, &path, Some(&level), subject).await?;
        Ok(())
    }

    async fn question(
        &self,
        subject: &str,
        schema: &Schema,
        normalize: bool,
        registers: bool,
    ) -> Result<Registered, SerializeError> {
        let question = Question {
            subject: subject.to_owned(),
            schema: schema.clone(),
            normalize,
            registers,
        };
        if let Some(known) = self.inner.known.lock().get(&question) {
            return Ok(known.clone());
        }
        let make = || {
            let (registry, question) = (self.clone(), question.clone());
            let future: BoxFuture<_> = Box::pin(async move { registry.ask(question).await });
            future
        };
        self.inner.asking.join(question.clone(), make).await
    }

    async fn ask(&self, question: Question) -> Result<Registered, SerializeError> {
        let Question {
            subject,
            schema,
            normalize,
            registers,
        } = &question;
        let mut budget = REFERENCES_MAX;
        let settled = self
            .settle(schema.clone(), *normalize, *registers, 0, &mut budget)
            .await?;
        let path = match registers {
            true => format!("/subjects/{}/versions", percent_encoded(subject)),
            false => format!("/subjects/{}", percent_encoded(subject)),
        };
        let normalized = if *normalize { "?normalize=true" } else { "" };
        let body = SchemaBody::of(&settled, subject)?;
        let answer: Answer = self
            .inner
            .json(Method::Post, &format!("{path}{normalized}"), Some(&body), subject)
            .await?;
        let registered = answer.registered(subject)?;
        let mut known = self.inner.known.lock();
        if known.len() >= self.inner.config.schemas_max {
            known.clear();
        }
        known.insert(question, registered.clone());
        Ok(registered)
    }

    /// The schema with a version for each of its references; those that have none are registered or looked up.
    fn settle<'a>(
        &'a self,
        mut schema: Schema,
        normalize: bool,
        registers: bool,
        depth: usize,
        budget: &'a mut usize,
    ) -> BoxFutureIn<'a, Result<Schema, SerializeError>> {
        Box::pin(async move {
            for reference in &mut schema.references {
                spend(depth, budget, &reference.subject)?;
                let Some(inner) = reference.schema.take() else {
                    continue;
                };
                if reference.version.is_some() {
                    continue;
                }
                let inner = self
                    .settle(inner, normalize, registers, depth + 1, budget)
                    .await?;
                if registers {
                    self.direct(&reference.subject, &inner, normalize, true).await?;
                }
                // The answer to a registration does not always tell the version.
                let found = self.direct(&reference.subject, &inner, normalize, false).await?;
                reference.version = found.version;
            }
            Ok(schema)
        })
    }

    /// One request, past memory and flights: only for what is asked within a flight.
    async fn direct(
        &self,
        subject: &str,
        schema: &Schema,
        normalize: bool,
        registers: bool,
    ) -> Result<Registered, SerializeError> {
        let versions = if registers { "/versions" } else { "" };
        let normalized = if normalize { "?normalize=true" } else { "" };
        let path = format!("/subjects/{}{versions}{normalized}", percent_encoded(subject));
        let body = SchemaBody::of(schema, subject)?;
        let answer: Answer = self.inner.json(Method::Post, &path, Some(&body), subject).await?;
        answer.registered(subject)
    }

    async fn complete(&self, answer: Answer, subject: &str) -> Result<SubjectVersion, SerializeError> {
        let registered = answer.registered(subject)?;
        let mut budget = REFERENCES_MAX;
        let schema = answer.into_schema(subject)?;
        let schema = self.resolve(schema, 0, &mut budget).await?;
        Ok(SubjectVersion { registered, schema })
    }

    /// Fetches what the schema refers to.
    fn resolve<'a>(
        &'a self,
        mut schema: Schema,
        depth: usize,
        budget: &'a mut usize,
    ) -> BoxFutureIn<'a, Result<Schema, SerializeError>> {
        Box::pin(async move {
            for reference in &mut schema.references {
                spend(depth, budget, &reference.subject)?;
                let version = reference.version.unwrap_or(-1);
                let subject = percent_encoded(&reference.subject);
                let path = format!("/subjects/{subject}/versions/{version}");
                let answer: Answer = self.inner.fetch(&path, &reference.subject).await?;
                let inner = answer.into_schema(&reference.subject)?;
                reference.schema = Some(self.resolve(inner, depth + 1, budget).await?);
            }
            Ok(schema)
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

type BoxFutureIn<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

fn spend(depth: usize, budget: &mut usize, subject: &str) -> Result<(), SerializeError> {
    if depth >= REFERENCE_DEPTH_MAX || *budget == 0 {
        let message = format!(
            "the schema's references go deeper than {REFERENCE_DEPTH_MAX} or are more than {REFERENCES_MAX}"
        );
        return Err(SerializeError::new(ErrorKind::Schema, message).with_subject(subject));
    }
    *budget -= 1;
    Ok(())
}

impl Inner {
    async fn fetch(&self, path: &str, subject: &str) -> Result<Answer, SerializeError> {
        self.json(Method::Get, path, None::<&()>, subject).await
    }

    async fn json<A: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        subject: &str,
    ) -> Result<A, SerializeError> {
        let body = match body.map(serde_json::to_vec).transpose() {
            Ok(body) => body,
            Err(error) => return Err(SerializeError::value(error.to_string()).with_subject(subject)),
        };
        let (response, endpoint) = self
            .exchange(method, path, body)
            .await
            .map_err(|error| error.with_subject(subject))?;
        let answer = match response.status {
            200..=299 => serde_json::from_slice(&response.body).map_err(|error| {
                SerializeError::new(
                    ErrorKind::Protocol,
                    format!("{endpoint} answers what no registry does: {error}"),
                )
            }),
            _ => Err(refusal(&response, endpoint)),
        };
        answer.map_err(|error| error.with_subject(subject))
    }

    /// Tries the addresses in turn, beginning with the one that answered last, and all of them again after a while.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(Response, &Endpoint), SerializeError> {
        let endpoints = &self.config.endpoints;
        let backoff = ExponentialBackoff::new(self.config.retry_backoff.0, self.config.retry_backoff.1);
        let mut round = 0;
        loop {
            let mut failure = None;
            let first = self.current.load(Ordering::Relaxed);
            for number in (first..first + endpoints.len()).map(|number| number % endpoints.len()) {
                let endpoint = &endpoints[number];
                let error = match self.attempt(endpoint, method, path, body.clone()).await {
                    Ok(response) => {
                        self.current.store(number, Ordering::Relaxed);
                        return Ok((response, endpoint));
                    }
                    Err(error) => error,
                };
                // What another attempt would not change does not hide behind what it might.
                let is_final = !error.is_retriable();
                if failure.is_none() || is_final {
                    failure = Some(error);
                }
            }
            let failure = failure
                .unwrap_or_else(|| SerializeError::new(ErrorKind::Refused, "the registry has no address"));
            if round == self.config.retries || !failure.is_retriable() {
                return Err(failure);
            }
            let pause = backoff.delay(round, &mut self.random.lock());
            self.http.sleep(pause).await;
            round += 1;
        }
    }

    /// One request to one address; an answer that another address may improve on is an error here.
    async fn attempt(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response, SerializeError> {
        let request = Request {
            method,
            url: endpoint.url(path),
            authorization: self.config.authorization.clone(),
            media_type: MEDIA_TYPE,
            body,
            timeout: self.config.request_timeout,
            response_bytes_max: self.config.response_bytes_max,
        };
        let response = self.http.exchange(request).await.map_err(|error| {
            let kind = match error {
                HttpError::Timeout => ErrorKind::Timeout,
                HttpError::Connection(_) => ErrorKind::Unavailable,
                HttpError::Protocol(_) => ErrorKind::Protocol,
                HttpError::Refused(_) => ErrorKind::Refused,
            };
            SerializeError::new(kind, format!("schema registry {endpoint}: {error}"))
        })?;
        match response.status {
            // 501 and 505 stay; the others may be another node's good answer.
            408 | 429 | 500 | 502 | 503 | 504 => Err(refusal(&response, endpoint)),
            _ => Ok(response),
        }
    }
}

/// What a response that is no success means.
fn refusal(response: &Response, endpoint: &Endpoint) -> SerializeError {
    #[derive(Deserialize)]
    struct Body {
        error_code: Option<i64>,
        message: Option<String>,
    }
    /// Registries put whole schemas into messages.
    const MESSAGE_CHARACTERS_MAX: usize = 1_000;
    let body = serde_json::from_slice::<Body>(&response.body).ok();
    let kind = match response.status {
        401 | 403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        408 | 429 | 500 | 502 | 503 | 504 => ErrorKind::Unavailable,
        409 => ErrorKind::Incompatible,
        400..=499 => ErrorKind::Refused,
        _ => ErrorKind::Protocol,
    };
    let code = body.as_ref().and_then(|body| body.error_code);
    let said = body.and_then(|body| body.message).unwrap_or_default();
    let said: String = said.chars().take(MESSAGE_CHARACTERS_MAX).collect();
    let hint = match kind {
        ErrorKind::Unauthorized => {
            "; check basic.auth.credentials.source and basic.auth.user.info, or bearer.auth.token"
        }
        ErrorKind::NotFound if code.is_none() => "; is there a registry at that path?",
        _ => "",
    };
    let code = code.map_or(String::new(), |code| format!(" (error code {code})"));
    let message = format!(
        "schema registry {endpoint} answers {}{code}: {said}{hint}",
        response.status
    );
    SerializeError::new(kind, message)
}

/// A schema as requests carry it.
#[derive(Serialize)]
struct SchemaBody<'a> {
    schema: &'a str,
    #[serde(rename = "schemaType", skip_serializing_if = "is_avro")]
    kind: SchemaKind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<ReferenceBody>,
}

/// Registries before 5.5 know only Avro, and not the field.
fn is_avro(kind: &SchemaKind) -> bool {
    *kind == SchemaKind::Avro
}

#[derive(Serialize, Deserialize)]
struct ReferenceBody {
    name: String,
    subject: String,
    version: i32,
}

impl<'a> SchemaBody<'a> {
    fn of(schema: &'a Schema, subject: &str) -> Result<SchemaBody<'a>, SerializeError> {
        let mut references = Vec::with_capacity(schema.references.len());
        for reference in &schema.references {
            let version = reference.version.ok_or_else(|| {
                let message = format!(
                    "the reference {:?} has neither version nor schema",
                    reference.name
                );
                SerializeError::new(ErrorKind::Schema, message).with_subject(subject)
            })?;
            references.push(ReferenceBody {
                name: reference.name.clone(),
                subject: reference.subject.clone(),
                version,
            });
        }
        Ok(SchemaBody {
            schema: &schema.text,
            kind: schema.kind,
            references,
        })
    }
}

/// What all answers about a schema have together; which fields are there depends on the question and the registry.
#[derive(Deserialize)]
struct Answer {
    id: Option<u32>,
    guid: Option<String>,
    version: Option<i32>,
    schema: Option<String>,
    #[serde(rename = "schemaType")]
    kind: Option<SchemaKind>,
    references: Option<Vec<ReferenceBody>>,
}

impl Answer {
    fn registered(&self, subject: &str) -> Result<Registered, SerializeError> {
        let id = self.id.ok_or_else(|| lacks("an id", subject))?;
        Ok(Registered {
            id,
            // One that is no GUID is as good as none.
            guid: self.guid.as_deref().and_then(|guid| guid.parse().ok()),
            version: self.version,
        })
    }

    fn into_schema(self, subject: &str) -> Result<Schema, SerializeError> {
        let text = self.schema.ok_or_else(|| lacks("a schema", subject))?;
        let mut schema = Schema::new(self.kind.unwrap_or_default(), text);
        for reference in self.references.unwrap_or_default() {
            schema.references.push(Reference::to_version(
                reference.name,
                reference.subject,
                reference.version,
            ));
        }
        Ok(schema)
    }
}

fn lacks(what: &str, subject: &str) -> SerializeError {
    let message = format!("the registry's answer lacks {what}");
    SerializeError::new(ErrorKind::Protocol, message).with_subject(subject)
}
