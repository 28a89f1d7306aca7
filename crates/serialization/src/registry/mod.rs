//! A client of schema registries that speak Confluent's API: Confluent's own, Apicurio's and Redpanda's.
//!
//! [`Registry`] speaks the API over an [`Http`] that somebody else implements, because this crate does no I/O.
//! A [`Binding`] ties one schema, or the latest of a subject, to the topics that a serializer writes to. What it learned
//! about a topic it keeps, so that each further record costs a look-up without a lock.

mod binding;
mod client;
mod endpoint;
mod first;
mod flight;
mod http;
mod http1;
mod schema;
mod settings;
mod subject;
#[cfg(all(test, feature = "mock"))]
mod tests;
mod wire;

pub use binding::{Binding, Bound, Compile, Found};
pub use client::{Compatibility, Registered, Registry, RegistryConfig, SubjectVersion};
pub use endpoint::Endpoint;
#[cfg(feature = "mock")]
pub(crate) use endpoint::percent_decoded;
pub use http::{BoxFuture, Http, HttpError, Method, Request, Response};
pub use http1::{ReceivedRequest, RequestReader, ResponseReader, request_bytes, response_bytes};
pub use schema::{Reference, Schema, SchemaKind};
pub use settings::{IdForm, SchemaSource, SerializerSettings};
pub use subject::{RecordName, SubjectStrategy, TopicName, TopicRecordName};
pub use wire::{
    Guid, KEY_SCHEMA_ID_HEADER, SchemaId, VALUE_SCHEMA_ID_HEADER, WireError, WireForm, message_indexes,
};
