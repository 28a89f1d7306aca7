//! JSON Schema and Protobuf with a registry over HTTP, and texts in JSON by whatever schema it has.

use super::{Set, Written, settings, target, wait};
use crate::avro::AvroSerializer;
use crate::json_schema::JsonSchemaSerializer;
use crate::mock::Fault;
use crate::protobuf::DynamicProtobufSerializer;
use crate::registry::{
    IdForm, RecordName, Reference, Schema, SchemaKind, SchemaSource, SerializerSettings, WireForm,
};
use crate::{AddedHeaders, ErrorKind, JsonText, JsonValue, Output, SerializeError, Serializer};
use serde_json::json;
use std::sync::Arc;

fn write(serializer: &dyn Serializer<str>, topic: &str, text: &str) -> Result<Written, SerializeError> {
    let target = target(topic);
    wait(serializer.prepare(&target, Some(text))?.ready())?;
    let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
    let _ = serializer.serialize(&target, Some(text), &mut Output::new(&mut bytes, &mut headers))?;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()));
    Ok((bytes, headers.collect()))
}

fn text<S: Serializer<JsonValue>>(serializer: Result<S, SerializeError>) -> JsonText<S> {
    JsonText::new(serializer.expect("a schema"))
}

/// An order whose lines are another subject's.
fn order_json() -> Schema {
    let line = json!({"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}});
    let order = json!({
        "title": "shop.Order",
        "properties": {"id": {"type": "integer"}, "lines": {"items": {"$ref": "line.json"}}},
        "required": ["id"],
    });
    Schema::new(SchemaKind::Json, order.to_string()).with_reference(Reference::to_schema(
        "line.json",
        "lines",
        Schema::new(SchemaKind::Json, line.to_string()),
    ))
}

fn order_proto() -> Schema {
    let line = "syntax = \"proto3\"; package shop; message Line { int32 count = 1; }";
    let order = "syntax = \"proto3\"; package shop; import \"line.proto\"; message Other {} message Box { message Order { \
                 int64 id = 1; repeated Line lines = 2; } }";
    Schema::new(SchemaKind::Protobuf, order).with_reference(Reference::to_schema(
        "line.proto",
        "lines-proto",
        Schema::new(SchemaKind::Protobuf, line),
    ))
}

#[test]
fn json_is_held_against_the_registrys_schema() {
    let set = Set::new();
    let with = |settings, schema| {
        text(JsonSchemaSerializer::with_registry(
            set.registry(),
            settings,
            schema,
        ))
    };
    let own = with(SerializerSettings::default(), Some(order_json()));
    let good = r#"{"lines":[{"count":1}],"id":7}"#;
    let (bytes, _) = write(&own, "orders", good).expect("allowed");
    assert_eq!(bytes, [&[0, 0, 0, 0, 2][..], good.as_bytes()].concat());
    assert_eq!(
        set.mock.take_requests(),
        [
            "POST /subjects/lines/versions",
            "POST /subjects/lines",
            "POST /subjects/orders-value/versions"
        ]
    );
    let latest = settings(|settings| settings.source = SchemaSource::Latest);
    for serializer in [&own, &with(latest, None)] {
        assert_eq!(
            write(serializer, "orders", good).map(|(again, _)| again),
            Ok(bytes.clone())
        );
        let error =
            write(serializer, "orders", r#"{"id": 1, "lines": [{}, {"count": 0}]}"#).expect_err("none");
        assert_eq!(
            (error.kind(), error.subject(), error.field()),
            (ErrorKind::Value, Some("orders-value"), Some("lines[1].count")),
            "{error}"
        );
    }
    let named = settings(|settings| settings.subject_strategy = Arc::new(RecordName));
    set.mock.take_requests();
    write(&with(named, Some(order_json())), "orders", good).expect("allowed");
    let requests = set.mock.take_requests();
    assert_eq!(
        requests.last().map(String::as_str),
        Some("POST /subjects/shop.Order/versions")
    );
}

#[test]
fn protobuf_is_written_by_the_registrys_schema() {
    let set = Set::new();
    let with = |settings, schema, message| {
        text(DynamicProtobufSerializer::with_registry(
            set.registry(),
            settings,
            schema,
            message,
        ))
    };
    let message = Some("shop.Box.Order");
    let own = with(SerializerSettings::default(), Some(order_proto()), message);
    let value = r#"{"id": "7", "lines": [{"count": 1}]}"#;
    let expected = [0, 0, 0, 0, 2, 4, 2, 0, 8, 7, 18, 2, 8, 1];
    assert_eq!(
        write(&own, "orders", value).map(|(bytes, _)| bytes),
        Ok(expected.to_vec())
    );
    let latest = || settings(|settings| settings.source = SchemaSource::Latest);
    let by_id = settings(|settings| settings.source = SchemaSource::Id(2));
    for serializer in [&with(latest(), None, message), &with(by_id, None, message)] {
        assert_eq!(
            write(serializer, "orders", value).map(|(bytes, _)| bytes),
            Ok(expected.to_vec())
        );
        let error = write(serializer, "orders", r#"{"lines": [{"count": "many"}]}"#).expect_err("no number");
        assert_eq!(
            (error.kind(), error.subject(), error.field()),
            (ErrorKind::Value, Some("orders-value"), Some("lines[0].count")),
            "{error}"
        );
    }
    // The first message, without a name.
    let (bytes, _) = write(&with(latest(), None, None), "orders", "{}").expect("written");
    assert_eq!(bytes, [0, 0, 0, 0, 2, 0]);
    let headers = settings(|settings| settings.id_form = IdForm::Header);
    let (bytes, headers) =
        write(&with(headers, Some(order_proto()), message), "orders", value).expect("written");
    assert_eq!(bytes, expected[8..]);
    let read = WireForm::read(&bytes, Some(&headers[0].1), true).expect("well formed");
    assert_eq!(read.message_indexes, [1, 0]);
    let error = write(&with(latest(), None, Some("shop.Line")), "orders", value).expect_err("another file's");
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Schema, Some("orders-value"))
    );
}

#[test]
fn avro_is_written_from_text() {
    let set = Set::new();
    wait(set.registry().register("orders-value", &super::order(), false)).expect("registered");
    let latest = settings(|settings| settings.source = SchemaSource::Latest);
    let serializer = text(AvroSerializer::with_registry(set.registry(), latest, None));
    assert_eq!(
        write(&serializer, "orders", "{\"id\": 1}").map(|(bytes, _)| bytes),
        Ok(vec![0, 0, 0, 0, 1, 2])
    );
    let error = write(&serializer, "orders", "{\"id\": \"x\"}").expect_err("no number");
    assert_eq!(
        (error.subject(), error.field()),
        (Some("orders-value"), Some("id"))
    );
}

#[test]
fn a_schema_that_cannot_be_used_names_its_subject() {
    let set = Set::new();
    for (number, (kind, schema)) in [
        (
            SchemaKind::Json,
            r#"{"$ref": "http://127.0.0.1:1/elsewhere.json"}"#.to_owned(),
        ),
        (SchemaKind::Json, r##"{"allOf": [{"$ref": "#"}]}"##.to_owned()),
        (
            SchemaKind::Json,
            json!({"description": "x".repeat(1 << 20)}).to_string(),
        ),
        (
            SchemaKind::Protobuf,
            "import \"elsewhere.proto\"; message A {}".to_owned(),
        ),
        (
            SchemaKind::Protobuf,
            format!("message A {{}} //{}", "x".repeat(1 << 20)),
        ),
        (SchemaKind::Avro, "\"long\"".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let (topic, subject) = (format!("t{number}"), format!("t{number}-value"));
        // No registry should take them, but who knows.
        let answer = json!({"id": 1, "version": 1, "schemaType": kind, "schema": schema}).to_string();
        let latest = || settings(|settings| settings.source = SchemaSource::Latest);
        let json = text(JsonSchemaSerializer::with_registry(
            set.registry(),
            latest(),
            None,
        ));
        let protobuf = text(DynamicProtobufSerializer::with_registry(
            set.registry(),
            latest(),
            None,
            None,
        ));
        let with = |serializer: &dyn Serializer<str>| {
            set.mock.push_fault(Fault::Body(answer.clone()));
            write(serializer, &topic, "{}")
        };
        for outcome in [with(&json), with(&protobuf)] {
            let error = outcome.expect_err("it cannot be used");
            assert_eq!(
                (error.kind(), error.subject()),
                (ErrorKind::Schema, Some(&*subject)),
                "{error}"
            );
        }
    }
}
