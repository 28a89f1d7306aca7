//! The producer against a cluster in memory, over real sockets.

mod callbacks;
mod cancel;
#[cfg(feature = "mock-registry")]
mod configured;
mod dead_letters;
mod exactly_once;
mod examples;
#[cfg(feature = "metrics")]
mod exporter;
mod faults;
mod hostile_network;
mod interceptors;
mod life;
mod metrics;
#[cfg(all(feature = "oauth", feature = "tls"))]
mod oauth;
#[cfg(all(feature = "oauth", feature = "tls"))]
mod oidc;
mod proxy;
mod read_back;
mod real;
mod records;
#[cfg(feature = "tls")]
mod redirect;
#[cfg(all(feature = "avro", feature = "schema-registry"))]
mod registry;
mod sasl;
mod settings;
mod shapes;
#[cfg(feature = "tracing")]
mod spans;
mod support;
#[cfg(feature = "futures")]
mod surface;
mod telemetry;
mod transactions;
mod typed;
#[cfg(feature = "tls")]
mod web;
