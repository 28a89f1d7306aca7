//! Spans, events and metrics: `cargo run -p ottla --features tracing --example tracing -- [HOST:PORT]`.
//!
//! With `tracing-opentelemetry` the same spans go to wherever the application's traces go; here they are printed.

mod common;

use ottla::tracing::TraceContext;
use ottla::{Producer, Record};
use std::error::Error;
use std::time::Duration;
use tracing::{Instrument as _, Level, Span};
use tracing_subscriber::fmt::format::FmtSpan;

/// Carries the trace on to the consumers. An application with OpenTelemetry asks its propagator; this one makes its own of
/// the span's number.
struct Traceparent;

impl TraceContext for Traceparent {
    fn inject(&self, span: &Span, set: &mut dyn FnMut(&str, &str)) {
        if let Some(id) = span.id() {
            let id = id.into_u64();
            set("traceparent", &format!("00-{id:032x}-{id:016x}-01"));
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .init();
    common::run(run)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::builder()
        .bootstrap_servers(servers)
        .trace_context(Traceparent)
        .build()?;
    // The span of the record is a child of the one that is entered when it is sent, and ends with its outcome.
    let placing = async {
        let record = Record::to("orders").key("ada").value("placed");
        producer.send(&record).await?.await
    };
    let at = placing.instrument(tracing::info_span!("place an order")).await?;
    println!("at {:?}", at.offset());

    // All metrics by the names that Java's producer has; the feature `metrics` writes them into a recorder.
    for metric in producer.metrics() {
        if metric.name().starts_with("record-send") || metric.name() == "request-latency-avg" {
            println!("{} {:?} {:?}", metric.name(), metric.tags(), metric.value());
        }
    }
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
