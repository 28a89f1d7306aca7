//! What the fuzz targets do, as functions that take the fuzzer's bytes.
//!
//! They are apart from libFuzzer so that an ordinary test runs every committed input (`tests/corpus.rs`), on any machine
//! and in any build. To fuzz: `cargo xtask fuzz --smoke`, or `cargo xtask fuzz --minutes 10 --target messages`.
//!
//! Each function panics when something does not hold. What has to hold is more than "no panic": what was read can be
//! written and read again, memory is bounded by the input, several ways to the same result agree, and models that are
//! simple enough to be believed say the same.

pub mod accumulator;
pub mod avro;
pub mod batch_build;
pub mod broker;
pub mod cli_envelope;
pub mod cli_layout;
pub mod codec_roundtrip;
pub mod configuration;
pub mod decompress;
pub mod frames;
pub mod hostile_broker;
pub mod jaas;
pub mod json_schema;
mod memory;
pub mod messages;
pub mod negotiation;
pub mod oauth;
pub mod partitioning;
pub mod protobuf;
pub mod records;
pub mod registry;
pub mod sasl;
pub mod sender;
pub mod session;
pub mod stores;
pub mod transactions;
pub mod wire;

pub use memory::within;

/// A fuzz target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 26] = [
    ("accumulator", accumulator::run),
    ("avro", avro::run),
    ("batch_build", batch_build::run),
    ("broker", broker::run),
    ("cli_envelope", cli_envelope::run),
    ("cli_layout", cli_layout::run),
    ("codec_roundtrip", codec_roundtrip::run),
    ("configuration", configuration::run),
    ("decompress", decompress::run),
    ("frames", frames::run),
    ("hostile_broker", hostile_broker::run),
    ("jaas", jaas::run),
    ("json_schema", json_schema::run),
    ("messages", messages::run),
    ("negotiation", negotiation::run),
    ("oauth", oauth::run),
    ("partitioning", partitioning::run),
    ("protobuf", protobuf::run),
    ("records", records::run),
    ("registry", registry::run),
    ("sasl", sasl::run),
    ("sender", sender::run),
    ("session", session::run),
    ("stores", stores::run),
    ("transactions", transactions::run),
    ("wire", wire::run),
];

/// A text, and what stands behind the first zero byte.
fn parts(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(&input[..end]).ok()?;
    Some((text, &input[end + 1..]))
}
