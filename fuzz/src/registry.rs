//! A schema registry that answers anything. The input is cut at zero bytes: each part is the answer to one request, its first
//! byte chooses the status. Every look-up ends, in a schema or in an error that names its subject; and the same bytes as HTTP
//! are read the same whole and in pieces.

use crate::within;
use ottla_serialization::avro::AvroSerializer;
use ottla_serialization::json_schema::JsonSchemaSerializer;
use ottla_serialization::protobuf::DynamicProtobufSerializer;
use ottla_serialization::registry::{
    BoxFuture, Http, HttpError, IdForm, Reference, Registry, RegistryConfig, Request, RequestReader,
    Response, ResponseReader, Schema, SchemaKind, SchemaSource, SerializerSettings,
};
use ottla_serialization::{JsonValue, Role, SerializeError, Serializer, Target};
use std::future::ready;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// One input.
pub fn run(input: &[u8]) {
    as_http(input);
    let cut: Vec<_> = input.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    // Each answer is parsed, and a schema is kept as text, as JSON and compiled.
    within(16 * 1024 * 1024 + 1_024 * input.len(), || {
        for (kind, source) in [
            (SchemaKind::Avro, SchemaSource::Latest),
            (SchemaKind::Avro, SchemaSource::Register),
            (SchemaKind::Json, SchemaSource::Latest),
            (SchemaKind::Protobuf, SchemaSource::Id(7)),
        ] {
            let answers = Answers(Arc::new(Mutex::new(cut.iter().rev().cloned().collect())));
            if let Err(error) = look_up(answers, kind, source) {
                assert!(error.subject().is_some(), "{error}");
            }
        }
    });
}

fn look_up(answers: Answers, kind: SchemaKind, source: SchemaSource) -> Result<(), SerializeError> {
    let mut config = RegistryConfig::new("http://a,http://b").expect("addresses");
    config.retries = 1;
    config.response_bytes_max = 64 * 1024;
    let registry = Registry::new(config, Arc::new(answers));
    let mut settings = SerializerSettings::default();
    settings.source = source;
    settings.id_form = if kind == SchemaKind::Avro {
        IdForm::Header
    } else {
        IdForm::Prefix
    };
    let own = (source == SchemaSource::Register).then(|| {
        let inner = Schema::new(kind, "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}");
        Schema::new(kind, "\"long\"").with_reference(Reference::to_schema("F", "f", inner))
    });
    match kind {
        SchemaKind::Json => wait(&JsonSchemaSerializer::with_registry(registry, settings, own)?),
        SchemaKind::Protobuf => wait(&DynamicProtobufSerializer::with_registry(
            registry, settings, own, None,
        )?),
        _ => wait(&AvroSerializer::with_registry(registry, settings, own)?),
    }
}

/// Nothing here waits, so one look is enough.
fn wait(serializer: &dyn Serializer<JsonValue>) -> Result<(), SerializeError> {
    let value = JsonValue::parse(b"{}").expect("JSON");
    let readiness = serializer.prepare(&Target::new("t", Role::Value), Some(&value))?;
    match pin!(readiness.ready()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits for what was answered"),
    }
}

struct Answers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Http for Answers {
    fn exchange(&self, request: Request) -> BoxFuture<Result<Response, HttpError>> {
        let answer = self.0.lock().expect("no panic").pop();
        let outcome = match answer.as_deref().and_then(<[u8]>::split_first) {
            None => Err(HttpError::Connection("it is gone".to_owned())),
            Some((_, body)) if body.len() > request.response_bytes_max => {
                Err(HttpError::Protocol("a body that is too large".to_owned()))
            }
            Some((b't', _)) => Err(HttpError::Timeout),
            Some((b'4', body)) => Ok(Response::new(404, body)),
            Some((b'5', body)) => Ok(Response::new(500, body)),
            Some((status @ 100.., body)) => Ok(Response::new(u16::from(*status) + 300, body)),
            Some((_, body)) => Ok(Response::new(200, body)),
        };
        Box::pin(ready(outcome))
    }

    fn sleep(&self, _duration: Duration) -> BoxFuture<()> {
        Box::pin(ready(()))
    }
}

/// As the answer to a request, and as a request.
fn as_http(input: &[u8]) {
    const BODY_BYTES_MAX: usize = 4_096;
    let responses = [input.len().max(1), 1, 7].map(|step| {
        let mut reader = ResponseReader::new(BODY_BYTES_MAX);
        for piece in input.chunks(step) {
            match reader.push(piece) {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        reader.end()
    });
    for response in &responses {
        assert_eq!(response.is_ok(), responses[0].is_ok(), "{responses:?}");
        if let (Ok(response), Ok(first)) = (response, &responses[0]) {
            assert_eq!(response, first);
            assert!(response.body.len() <= BODY_BYTES_MAX);
        }
    }
    if let Ok(Some(request)) = RequestReader::new(BODY_BYTES_MAX).push(input) {
        assert!(request.body.len() <= BODY_BYTES_MAX);
    }
}
