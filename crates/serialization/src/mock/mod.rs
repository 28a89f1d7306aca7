//! A schema registry inside the process, for tests: ours and yours.
//!
//! [`MockRegistry`] keeps schemas in memory and answers as Confluent's registry does, with its error codes. A client
//! reaches it directly, because it is an [`Http`] itself, by the address `mock://name` ([`MockRegistry::scope`]), or over
//! real HTTP ([`MockServer`]).
//!
//! Schemas are checked as Confluent's registry does, for Avro, Protobuf and JSON Schema: what is none is refused with
//! status 422, and a version that does not go with the earlier ones, by the subject's level of compatibility, with 409 and
//! what is wrong. (What is not compared of a JSON Schema: `contains`, `unevaluatedItems`, `unevaluatedProperties`,
//! `propertyNames`, and `if`.)

mod api;
mod json;
mod protobuf;
mod server;
mod store;

pub use server::MockServer;

use crate::registry::{BoxFuture, Http, HttpError, Method, ReceivedRequest, Request, Response};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::ready;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::Store;

/// A registry in memory. Clones are the same one.
#[derive(Clone, Default)]
pub struct MockRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    store: Store,
    faults: VecDeque<Fault>,
    authorization: Option<String>,
    requests: Vec<String>,
}

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The registry answers this status, with an error in its own form.
    Status(u16),
    /// It answers 200 and this body.
    Body(String),
    /// It does what it is asked, but only after that time. Without HTTP between, time does not really pass: the request
    /// times out if the delay is longer than its timeout, and is answered at once otherwise.
    Delay(Duration),
    /// It closes the connection instead of answering.
    Close,
}

impl MockRegistry {
    /// A registry of its own, without schemas.
    pub fn new() -> MockRegistry {
        MockRegistry::default()
    }

    /// The registry that everybody in this process gets by that name: what `mock://name` means.
    pub fn scope(name: &str) -> MockRegistry {
        static SCOPES: OnceLock<Mutex<BTreeMap<String, MockRegistry>>> = OnceLock::new();
        SCOPES
            .get_or_init(Mutex::default)
            .lock()
            .entry(name.to_owned())
            .or_default()
            .clone()
    }

    /// Lets the next request that has no fault yet go wrong.
    pub fn push_fault(&self, fault: Fault) {
        self.state.lock().faults.push_back(fault);
    }

    /// From now on answers 401 to everybody who does not send this `Authorization`.
    pub fn require_authorization(&self, authorization: impl Into<String>) {
        self.state.lock().authorization = Some(authorization.into());
    }

    /// What it was asked so far, as `POST /subjects/a-value/versions`, and forgets it.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().requests)
    }

    /// Answers a request; with a fault, what a client sees of it.
    fn answer(&self, request: &ReceivedRequest) -> (Option<Fault>, Response) {
        let mut state = self.state.lock();
        let method = request.method.map_or("?", Method::name);
        state.requests.push(format!("{method} {}", request.target));
        let fault = state.faults.pop_front();
        let response = match &fault {
            Some(Fault::Status(status)) => api::error(
                *status,
                i64::from(*status) * 100 + 1,
                "a fault that was asked for",
            ),
            Some(Fault::Body(body)) => Response::new(200, body.clone()),
            Some(Fault::Close) => Response::new(500, Vec::new()),
            _ if state
                .authorization
                .as_ref()
                .is_some_and(|wanted| request.authorization.as_ref() != Some(wanted)) =>
            {
                api::error(401, 401, "Unauthorized")
            }
            _ => api::answer(&mut state.store, request),
        };
        (fault, response)
    }
}

impl fmt::Debug for MockRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockRegistry")
    }
}

/// Without HTTP between: it is asked directly, and no time passes.
impl Http for MockRegistry {
    fn exchange(&self, request: Request) -> BoxFuture<Result<Response, HttpError>> {
        let path = request.url.split_once("://").map_or("", |(_, rest)| rest);
        let path = path.find('/').map_or("/", |at| &path[at..]);
        let received = ReceivedRequest::new(
            request.method,
            path,
            request.authorization,
            request.body.unwrap_or_default(),
        );
        let outcome = match self.answer(&received) {
            (Some(Fault::Close), _) => Err(HttpError::Connection(
                "it was closed without an answer".to_owned(),
            )),
            (Some(Fault::Delay(delay)), _) if delay >= request.timeout => Err(HttpError::Timeout),
            (_, response) if response.body.len() > request.response_bytes_max => {
                Err(HttpError::Protocol("a body that is too large".to_owned()))
            }
            (_, response) => Ok(response),
        };
        Box::pin(ready(outcome))
    }

    fn sleep(&self, _duration: Duration) -> BoxFuture<()> {
        Box::pin(ready(()))
    }
}
