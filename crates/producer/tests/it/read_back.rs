//! Avro and Protobuf through a real Kafka, read by Java's consumer with Avro's and Google's libraries.

use crate::real::{kafka, unique};
use ottla::blocking::wait;
use ottla::serialization::avro::AvroSerializer;
use ottla::serialization::builtin::BytesSerializer;
use ottla::serialization::mock::{MockRegistry, MockServer};
use ottla::serialization::protobuf::DynamicProtobufSerializer;
use ottla::serialization::registry::{Registry, RegistryConfig, Schema, SchemaKind, SerializerSettings};
use ottla::serialization::{JsonText, Serializer};
use ottla::{Producer, RegistryHttp, TypedProducer, TypedRecord};
use serde_json::json;
use std::process::{Command, Stdio};
use std::sync::Arc;

const RECORDS: i64 = 200;

/// Sends what `value` makes of each number, as JSON, and gives back what Java reads.
fn read_back(
    kafka: &(String, String),
    serializer: impl Serializer<str> + 'static,
    value: impl Fn(i64) -> serde_json::Value,
    arguments: &[&str],
) -> Vec<String> {
    let (bootstrap, library) = kafka;
    let topic = unique("read-back");
    let producer = Producer::builder()
        .bootstrap_servers(bootstrap)
        .set("linger.ms", "5");
    let producer = producer.build().expect("a good configuration");
    let typed = TypedProducer::<Vec<u8>, str>::new(producer, BytesSerializer, serializer);
    let deliveries: Vec<_> = (0..RECORDS)
        .map(|number| {
            let text = value(number).to_string();
            wait(typed.send(&TypedRecord::to(&*topic).value(&*text).partition(0))).expect("queued")
        })
        .collect();
    for delivery in deliveries {
        wait(delivery).expect("acked");
    }
    let program = format!("{}/../../xtask/java/ReadBack.java", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("java")
        .args([
            "-Xmx256m",
            "-cp",
            &format!("{library}/*"),
            &program,
            bootstrap,
            &topic,
        ])
        .arg(RECORDS.to_string())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("java runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(str::to_owned).collect()
}

fn registry(server: &MockServer) -> Registry {
    let config = RegistryConfig::new(&server.url()).expect("an address");
    Registry::new(config, Arc::new(RegistryHttp::new()))
}

/// Numbers of all lengths, with both signs.
fn number(index: i64) -> i64 {
    index.wrapping_mul(0x0123_4567_89AB_CDEF) >> (index % 64)
}

#[test]
fn avros_library_reads_avro() {
    let Some(kafka) = kafka() else { return };
    let server = MockServer::start(MockRegistry::new()).expect("a port");
    let text = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"},{"name":"x","type":"double"},
        {"name":"s","type":["null","string"]},{"name":"l","type":{"type":"array","items":"int"}}]}"#;
    let schema = Some(Schema::new(SchemaKind::Avro, text));
    let serializer = AvroSerializer::with_registry(registry(&server), SerializerSettings::default(), schema);
    let value = |index: i64| {
        let note = (index % 3 > 0).then(|| "ü".repeat(usize::try_from(index).unwrap_or(0)));
        let list: Vec<_> = (0..index % 5).map(|item| -item).collect();
        json!({"n": number(index), "x": index as f64 / 4.0, "s": note, "l": list})
    };
    let serializer = JsonText::new(serializer.expect("a schema"));
    let lines = read_back(&kafka, serializer, value, &["avro", text]);
    assert_eq!(lines.len() as i64, RECORDS);
    for (index, line) in (0..).zip(&lines) {
        let mut expected = value(index);
        if let Some(note) = expected["s"].as_str() {
            expected["s"] = json!({"string": note});
        }
        let json = line.strip_prefix("0 1 ").unwrap_or_else(|| panic!("{line}"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(json).expect("JSON"),
            expected
        );
    }
}

#[test]
fn googles_library_reads_protobuf() {
    let Some(kafka) = kafka() else { return };
    let server = MockServer::start(MockRegistry::new()).expect("a port");
    let text = "syntax = \"proto3\"; message A {} message B { message M { sint64 n = 1; double x = 2; string s = 3; \
                fixed32 f = 4; } }";
    let schema = Some(Schema::new(SchemaKind::Protobuf, text));
    let settings = SerializerSettings::default();
    let serializer =
        DynamicProtobufSerializer::with_registry(registry(&server), settings, schema, Some("B.M"));
    let value = |index: i64| {
        json!({"n": number(index + 1), "x": index as f64 / 4.0 + 1.0, "s": "s".repeat(1 + usize::try_from(index).unwrap_or(0)),
               "f": index + 1})
    };
    let fields = ["protobuf", "sint64 n", "double x", "string s", "fixed32 f"];
    let serializer = JsonText::new(serializer.expect("a schema"));
    let lines = read_back(&kafka, serializer, value, &fields);
    assert_eq!(lines.len() as i64, RECORDS);
    for (index, line) in (0..).zip(&lines) {
        let sent = value(index);
        let (n, x, s, f) = (
            &sent["n"],
            &sent["x"],
            sent["s"].as_str().expect("text"),
            &sent["f"],
        );
        let expected = match number(index + 1) {
            0 => format!("0 1 1,0 x={x} s={s} f={f}"),
            _ => format!("0 1 1,0 n={n} x={x} s={s} f={f}"),
        };
        assert_eq!(*line, expected);
    }
}
