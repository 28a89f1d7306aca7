//! Serializers that the configuration names by Java's classes.

use crate::support::{TOPIC, cluster, producer};
use ottla::config::{Config, ConfigBuilder, SerializerKind};
use ottla::serialization::mock::MockRegistry;
use ottla::serialization::registry::{Registry, RegistryConfig, Schema, SchemaKind};
use ottla::serialization::{
    AddedHeaders, ErrorKind, Output, Payload, Role, SerializeError, Serializer, Target,
};
use ottla::{ConfiguredSerializer, SchemaChoice, TypedProducer, TypedRecord};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

const KAFKA: &str = "org.apache.kafka.common.serialization.";
const AVRO: &str = "io.confluent.kafka.serializers.KafkaAvroSerializer";

#[derive(Serialize)]
struct Order {
    id: i64,
    note: Option<String>,
}

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#;

fn config(settings: &[(&str, &str)]) -> Config {
    let start = ConfigBuilder::new().bootstrap_servers("localhost:9092");
    let builder = settings
        .iter()
        .fold(start, |builder, (key, value)| builder.set(*key, *value));
    builder.build().expect("a good configuration").0
}

/// What a class of Java's makes of a value.
fn plain<T: Serialize + ?Sized>(class: &str, value: &T) -> Result<(Payload, Vec<u8>), SerializeError> {
    let class = format!("{KAFKA}{class}");
    let elements = format!("{KAFKA}Serdes$ShortSerde");
    let mut settings = vec![("value.serializer", class.as_str())];
    if class.ends_with("ListSerializer") {
        settings.push(("default.list.value.serde.inner", &elements));
    }
    let serializer = ConfiguredSerializer::new(&config(&settings), Role::Value).expect("a serializer");
    let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
    let target = Target::new(TOPIC, Role::Value);
    let payload = serializer.serialize(&target, Some(value), &mut Output::new(&mut bytes, &mut headers))?;
    assert_eq!(
        serializer.serialize(
            &target,
            None::<&T>,
            &mut Output::new(&mut Vec::new(), &mut headers)
        )?,
        Payload::Null
    );
    Ok((payload, bytes))
}

#[track_caller]
fn makes<T: Serialize + ?Sized>(class: &str, value: &T, expected: &[u8]) {
    assert_eq!(
        plain(class, value),
        Ok((Payload::Bytes, expected.to_vec())),
        "{class}"
    );
}

#[test]
fn each_plain_class_takes_what_it_is_for() {
    makes("StringSerializer", "ü", "ü".as_bytes());
    makes("StringSerializer", &json!("a"), b"a");
    makes("StringSerializer", &'a', b"a");
    makes("ByteArraySerializer", &[1_u8, 255][..], &[1, 255]);
    makes("BytesSerializer", &json!([1, 255]), &[1, 255]);
    makes("ByteBufferSerializer", &vec![0_u8; 0], b"");
    makes("ShortSerializer", &-2_i64, &[255, 254]);
    makes("IntegerSerializer", &7_u8, &[0, 0, 0, 7]);
    makes("LongSerializer", &json!(7), &[0, 0, 0, 0, 0, 0, 0, 7]);
    makes("FloatSerializer", &json!(0.5), &0.5_f32.to_be_bytes());
    makes("FloatSerializer", &0.1_f32, &0.1_f32.to_be_bytes());
    makes("DoubleSerializer", &0.1_f64, &0.1_f64.to_be_bytes());
    makes("DoubleSerializer", &3, &3_f64.to_be_bytes());
    makes("BooleanSerializer", &true, &[1]);
    let uuid = "0123abcd-4567-89ef-0123-456789abcdef";
    makes("UUIDSerializer", uuid, uuid.as_bytes());
    makes(
        "ListSerializer",
        &[Some(1_i32), None],
        &[0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1],
    );
    assert_eq!(plain("VoidSerializer", &()), Ok((Payload::Null, Vec::new())));
    assert_eq!(
        plain("StringSerializer", &None::<String>),
        Ok((Payload::Null, Vec::new()))
    );
}

#[track_caller]
fn refuses<T: Serialize + ?Sized>(class: &str, value: &T, parts: &[&str]) {
    let error = plain(class, value).expect_err(class);
    assert_eq!(error.kind(), ErrorKind::Value);
    let text = error.to_string();
    let class = format!("value.serializer={KAFKA}{class} takes ");
    let parts = [&[class.as_str(), "value for topic \"orders\""], parts].concat();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not contain {part:?}");
    }
}

#[test]
fn another_type_is_an_error_that_names_class_and_type() {
    refuses(
        "StringSerializer",
        &7,
        &["takes text", "it is an integer", "of the type i32"],
    );
    refuses(
        "LongSerializer",
        "7",
        &["an integer of 64 bits", "it is text", "of the type str"],
    );
    refuses(
        "LongSerializer",
        &u64::MAX,
        &["18446744073709551615", "64 bits", "u64"],
    );
    refuses("ShortSerializer", &40_000, &["it is 40000", "16 bits"]);
    refuses("IntegerSerializer", &1.5, &["a number with a fraction", "f64"]);
    refuses("FloatSerializer", &0.1_f64, &["0.1", "32 bits"]);
    refuses("DoubleSerializer", &i64::MAX, &["9223372036854775807"]);
    refuses("BooleanSerializer", &1, &["a boolean, and it is an integer"]);
    refuses("ByteArraySerializer", "text", &["takes bytes, and it is text"]);
    refuses(
        "ByteArraySerializer",
        &[1, 256],
        &["a list of other things than bytes"],
    );
    refuses("UUIDSerializer", "no uuid", &["text that is no UUID"]);
    refuses(
        "UUIDSerializer",
        "+123abcd-4567-89ef-0123-456789abcdef",
        &["text that is no UUID"],
    );
    refuses("VoidSerializer", &1, &["nothing but null"]);
    let order = Order { id: 1, note: None };
    refuses(
        "StringSerializer",
        &order,
        &["it is a Order, which has parts", "::Order)"],
    );
    refuses("ListSerializer", "text", &["takes a list, and it is text"]);
    let error = plain("ListSerializer", &json!([1, "x"])).expect_err("text is no short");
    assert_eq!(error.field(), Some("[1]"));
    assert!(
        error
            .message()
            .contains("takes an integer of 16 bits, and it is text"),
        "{error}"
    );
}

#[test]
fn a_class_that_is_missing_or_unknown_is_told_when_it_is_used() {
    for settings in [&[][..], &[("value.serializer", "com.example.Own")]] {
        let error = ConfiguredSerializer::new(&config(settings), Role::Value).expect_err("no class");
        assert!(
            error.is_config() && error.to_string().starts_with("value.serializer: "),
            "{error}"
        );
    }
    let settings = [
        ("value.serializer", AVRO),
        ("schema.registry.url", "mock://unused"),
    ];
    let error = ConfiguredSerializer::new(&config(&settings), Role::Value).expect_err("no schema");
    assert!(error.to_string().contains("use.latest.version"), "{error}");
    let nonsense = Schema::new(SchemaKind::Avro, "{");
    let error =
        ConfiguredSerializer::with_schema(&config(&settings), Role::Value, nonsense).expect_err("none");
    assert!(error.is_config(), "{error}");
    let serializer = ConfiguredSerializer::new(
        &config(&[("key.serializer", &format!("{KAFKA}LongSerializer"))]),
        Role::Key,
    );
    assert_eq!(serializer.expect("a serializer").kind(), SerializerKind::Long);
}

/// A file as Java's and Confluent's programs have it.
#[tokio::test]
async fn avro_by_class_name_against_a_registry_in_the_process() {
    let cluster = cluster(1);
    let strings = format!("{KAFKA}StringSerializer");
    let settings = [
        ("key.serializer", strings.as_str()),
        ("value.serializer", AVRO),
        ("schema.registry.url", "mock://configured"),
    ];
    let own = Schema::new(SchemaKind::Avro, SCHEMA);
    let typed = TypedProducer::<str, Order>::configured(producer(&cluster, &settings))
        .value_schema(own)
        .build()
        .expect("serializers");
    let note = Some("x".to_owned());
    let order = Order { id: 2, note };
    let record = TypedRecord::to(TOPIC).key("k").value(&order).partition(0);
    typed.send(&record).await.expect("queued").await.expect("acked");
    // Another one has no schema, and takes the latest.
    let latest = [&settings[..], &[("use.latest.version", "true")]].concat();
    let typed = TypedProducer::<str, serde_json::Value>::configured(producer(&cluster, &latest))
        .build()
        .expect("serializers");
    let value = json!({"id": 2, "note": "x"});
    let record = TypedRecord::to(TOPIC).key("k").value(&value).partition(0);
    typed.send(&record).await.expect("queued").await.expect("acked");
    let value = json!({"id": "two"});
    let record = TypedRecord::to(TOPIC).key("k").value(&value).partition(0);
    let error = typed.send(&record).await.expect_err("no number");
    let cause = error.serialize_error().expect("the value's");
    assert_eq!(
        (cause.subject(), cause.field()),
        (Some("orders-value"), Some("id")),
        "{error}"
    );
    // By number and by subject, with a registry that is at hand.
    for choice in [SchemaChoice::id(1), SchemaChoice::latest_of("orders-value")] {
        let config = RegistryConfig::new("mock://x").expect("an address");
        let registry = Registry::new(config, Arc::new(MockRegistry::scope("configured")));
        let typed = TypedProducer::<str, Order>::configured(producer(&cluster, &settings))
            .value_schema(choice)
            .registry(registry)
            .build()
            .expect("serializers");
        let record = TypedRecord::to(TOPIC).key("k").value(&order).partition(0);
        typed.send(&record).await.expect("queued").await.expect("acked");
    }
    let found = cluster.records(TOPIC, 0);
    assert_eq!(found.len(), 4);
    for record in found {
        assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 1, 4, 2, 2, b'x'][..]));
    }
    let requests = MockRegistry::scope("configured").take_requests();
    assert_eq!(
        requests[..2],
        [
            "POST /subjects/orders-value/versions",
            "GET /subjects/orders-value/versions/latest"
        ]
    );
}

#[cfg(feature = "json-schema")]
#[tokio::test]
async fn json_by_its_schema_and_by_class_name() {
    let cluster = cluster(1);
    let strings = format!("{KAFKA}StringSerializer");
    let settings = [
        ("key.serializer", strings.as_str()),
        (
            "value.serializer",
            "io.confluent.kafka.serializers.json.KafkaJsonSchemaSerializer",
        ),
        ("schema.registry.url", "mock://configured-json"),
    ];
    let text = r#"{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}"#;
    let send = async |settings: &[(&str, &str)], value: serde_json::Value| {
        let typed = TypedProducer::<str, serde_json::Value>::configured(producer(&cluster, settings))
            .value_schema(Schema::new(SchemaKind::Json, text))
            .build()
            .expect("serializers");
        let record = TypedRecord::to(TOPIC).key("k").value(&value).partition(0);
        let delivery = typed.send(&record).await?;
        delivery.await.map(drop)
    };
    send(&settings, json!({"id": 1})).await.expect("it fits");
    let error = send(&settings, json!({"id": "x"})).await.expect_err("no integer");
    let cause = error.serialize_error().expect("the value's");
    assert_eq!(
        (cause.kind(), cause.field()),
        (ErrorKind::Value, Some("id")),
        "{error}"
    );
    // As Java has it by default.
    let lenient = [&settings[..], &[("json.fail.invalid.schema", "false")]].concat();
    send(&lenient, json!({"id": "x"}))
        .await
        .expect("it is not held against the schema");
    let values: Vec<_> = cluster
        .records(TOPIC, 0)
        .into_iter()
        .map(|record| record.value.expect("a value").to_vec())
        .collect();
    assert_eq!(
        values,
        [&b"\0\0\0\0\x01{\"id\":1}"[..], b"\0\0\0\0\x01{\"id\":\"x\"}"]
    );
}

#[cfg(feature = "protobuf-dynamic")]
#[tokio::test]
async fn protobuf_by_a_schema_in_text_and_by_class_name() {
    let cluster = cluster(1);
    let strings = format!("{KAFKA}StringSerializer");
    let settings = [
        ("key.serializer", strings.as_str()),
        (
            "value.serializer",
            "io.confluent.kafka.serializers.protobuf.KafkaProtobufSerializer",
        ),
        ("schema.registry.url", "mock://configured-protobuf"),
    ];
    let text = "syntax = \"proto3\"; message First { int64 id = 1; } message Second { string note = 2; }";
    for (message, value) in [(None, json!({"id": 1})), (Some("Second"), json!({"note": "x"}))] {
        let choice = SchemaChoice::own(Schema::new(SchemaKind::Protobuf, text));
        let choice = match message {
            Some(message) => choice.message(message),
            None => choice,
        };
        let typed = TypedProducer::<str, serde_json::Value>::configured(producer(&cluster, &settings))
            .value_schema(choice)
            .build()
            .expect("serializers");
        let record = TypedRecord::to(TOPIC).key("k").value(&value).partition(0);
        typed.send(&record).await.expect("queued").await.expect("acked");
    }
    let values: Vec<_> = cluster
        .records(TOPIC, 0)
        .into_iter()
        .map(|record| record.value.expect("a value").to_vec())
        .collect();
    assert_eq!(
        values,
        [
            &[0, 0, 0, 0, 1, 0, 8, 1][..],
            &[0, 0, 0, 0, 1, 2, 2, 0x12, 1, b'x']
        ]
    );
}
