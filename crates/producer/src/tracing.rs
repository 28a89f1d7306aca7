//! Spans and events for [`tracing`](https://docs.rs/tracing), by OpenTelemetry's conventions for messaging.
//!
//! With the feature `tracing` each record has a span `send` from the call until its outcome is known, of level INFO and
//! target `ottla`, with `messaging.system`, `messaging.destination.name`, `messaging.client.id`,
//! `messaging.destination.partition.id`, `messaging.kafka.offset` and, if it fails, `error.type` and
//! `otel.status_code`; `otel.name` and `otel.kind` are what `tracing-opentelemetry` reads. Where nobody subscribes to it, a
//! record costs one look at a static. Connections tell their lives in events of level DEBUG, and WARN if they fail.
//!
//! A record carries the trace to its consumers in headers, if the producer is given a [`TraceContext`].

use crate::Record;
use crate::interceptor::Acknowledgement;
use ottla_network::NetworkError;
use tracing::field::Empty;
use tracing::{Level, Span};

/// Writes the context of a span into a record's headers: `traceparent` and what goes with it (W3C Trace Context). Given to
/// [`ProducerBuilder::trace_context`](crate::ProducerBuilder::trace_context).
///
/// With `tracing-opentelemetry` that is `span.context()`, and the propagator of the application.
pub trait TraceContext: Send + Sync + 'static {
    /// Calls `set` for each header. `span` is that of the record.
    fn inject(&self, span: &Span, set: &mut dyn FnMut(&str, &str));
}

/// A broker takes requests.
pub(crate) fn connected(client_id: &str, node: i32) {
    tracing::debug!(target: "ottla", client_id, node, "connected");
}

/// A connection ended, or could not be made. What this client wanted itself is no news.
pub(crate) fn disconnected(client_id: &str, node: i32, error: &NetworkError) {
    if error.is_local() {
        tracing::debug!(target: "ottla", client_id, node, reason = %error, "disconnected");
    } else {
        tracing::warn!(target: "ottla", client_id, node, %error, "a connection ended or could not be made");
    }
}

/// The span of one record.
#[derive(Debug)]
pub(crate) struct RecordSpan(Span);

impl RecordSpan {
    /// Whether anybody subscribes to spans of records.
    #[inline]
    pub(crate) fn is_wanted() -> bool {
        tracing::span_enabled!(target: "ottla", Level::INFO)
    }

    /// Opens the span as a child of the caller's, and lets `context` write it into the headers.
    pub(crate) fn begin<'r>(
        record: Record<'r>,
        client_id: &str,
        context: Option<&dyn TraceContext>,
    ) -> (Record<'r>, RecordSpan) {
        let topic = record.topic_name();
        let span = tracing::info_span!(
            target: "ottla",
            "send",
            otel.name = format!("send {topic}"),
            otel.kind = "producer",
            otel.status_code = Empty,
            messaging.system = "kafka",
            messaging.operation.name = "send",
            messaging.operation.r#type = "send",
            messaging.client.id = client_id,
            messaging.destination.name = topic,
            messaging.destination.partition.id = Empty,
            messaging.message.body.size = record.value_bytes().map_or(0, <[u8]>::len),
            messaging.kafka.message.tombstone = record.value_bytes().is_none(),
            messaging.kafka.offset = Empty,
            error.r#type = Empty,
        );
        let mut record = record;
        if let Some(context) = context.filter(|_| !span.is_disabled()) {
            let mut headers = Vec::new();
            context.inject(&span, &mut |name, value| {
                headers.push((name.to_owned(), value.to_owned()))
            });
            for (name, value) in headers {
                record = record.header_owned(name, Some(value.into_bytes()));
            }
        }
        (record, RecordSpan(span))
    }

    /// The outcome is known; the span ends when the last who looked at the record is done.
    pub(crate) fn end(&self, acknowledgement: &Acknowledgement<'_>) {
        if let Some(partition) = acknowledgement.partition() {
            self.0.record("messaging.destination.partition.id", partition);
        }
        match acknowledgement.outcome() {
            Ok(metadata) => {
                if let Some(offset) = metadata.offset() {
                    self.0.record("messaging.kafka.offset", offset);
                }
            }
            Err(error) => {
                self.0.record("otel.status_code", "ERROR");
                let code = error.code().map(|code| code.to_string());
                let kind = match &code {
                    Some(code) => code.as_str(),
                    None if error.is_timeout() => "timeout",
                    None => "_OTHER",
                };
                self.0.record("error.type", kind);
                let _inside = self.0.enter();
                tracing::warn!(target: "ottla", %error, persistence = %error.persistence(), "a record failed");
            }
        }
    }
}
