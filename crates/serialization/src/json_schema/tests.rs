//! Schemas that allow, refuse, and cannot be used.

use super::*;
use crate::{AddedHeaders, ErrorKind, Output, Payload, Role, SerializeError, Serializer, Target};
use serde::Serialize;
use serde_json::{Map, Value, json};

fn schema(schema: &Value) -> JsonSchema {
    JsonSchema::parse(&schema.to_string()).expect("a schema")
}

#[derive(Serialize)]
struct Order {
    id: i64,
    lines: Vec<Line>,
    note: Option<String>,
}

#[derive(Serialize)]
struct Line {
    price: f64,
}

fn order_schema() -> Value {
    json!({
        "title": "Order",
        "type": "object",
        "required": ["id", "lines"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "lines": {"type": "array", "items": {"$ref": "#/definitions/line"}},
            "note": {"oneOf": [{"type": "null"}, {"type": "string", "maxLength": 5}]},
            "customer": {"anyOf": [{"type": "null"}, {"properties": {"name": {"type": "string"}}}]},
        },
        "definitions": {"line": {"properties": {"price": {"type": "number", "exclusiveMinimum": 0}}}},
    })
}

#[test]
fn what_is_allowed_is_written_as_it_came() {
    let serializer = JsonSchemaSerializer::plain(schema(&order_schema()));
    let order = Order {
        id: 7,
        lines: vec![Line { price: 0.5 }],
        note: None,
    };
    let (mut bytes, mut headers) = (b"-".to_vec(), AddedHeaders::new());
    let target = Target::new("t", Role::Value);
    let payload = serializer
        .serialize(&target, Some(&order), &mut Output::new(&mut bytes, &mut headers))
        .expect("allowed");
    assert_eq!(
        (payload, &bytes[..]),
        (
            Payload::Bytes,
            &br#"-{"id":7,"lines":[{"price":0.5}],"note":null}"#[..]
        )
    );
    let payload = serializer.serialize(
        &target,
        None::<&Order>,
        &mut Output::new(&mut bytes, &mut headers),
    );
    assert_eq!(payload, Ok(Payload::Null));
    let wrong = Order { id: 0, ..order };
    let mut output = Output::new(&mut bytes, &mut headers);
    let error = serializer
        .serialize(&target, Some(&wrong), &mut output)
        .expect_err("not above 0");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Value, Some("id")));
    assert!(
        error.to_string().starts_with("value for topic \"t\": field id: "),
        "{error}"
    );
    assert!(
        serializer
            .without_check()
            .serialize(&target, Some(&wrong), &mut output)
            .is_ok()
    );
}

#[test]
fn the_field_at_fault_is_named() {
    let schema = schema(&order_schema());
    assert_eq!(schema.title(), Some("Order"));
    for (value, field, says) in [
        (json!([]), "", "object"),
        (json!({"id": 1}), "lines", "required"),
        (json!({"id": 1.5, "lines": []}), "id", "integer"),
        (json!({"id": 1, "lines": [], "more": 1}), "more", "more"),
        (
            json!({"id": 1, "lines": [{"price": 1}, {"price": 0}]}),
            "lines[1].price",
            "exclusiveMinimum",
        ),
        (json!({"id": 1, "lines": [], "note": "too long"}), "note", "oneOf"),
        (
            json!({"id": 1, "lines": [], "customer": {"name": 1}}),
            "customer.name",
            "string",
        ),
    ] {
        let error = schema.check(value.to_string().as_bytes()).expect_err("refused");
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Value, Some(field)),
            "{error}"
        );
        assert!(error.message().contains(says), "{error}");
        assert!(
            !error.message().contains("too long"),
            "values are nobody's business: {error}"
        );
    }
    for text in ["", "{", "{} {}", "nul"] {
        assert_eq!(
            schema.check(text.as_bytes()).expect_err(text).kind(),
            ErrorKind::Value
        );
    }
}

#[test]
fn a_schema_is_of_draft_7_unless_it_says_so() {
    let tuple = json!({"items": [{"type": "string"}]});
    assert!(schema(&tuple).check(b"[1]").is_err());
    let newer = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{"type": "string"}]});
    assert!(schema(&newer).check(b"[1]").is_err());
    let older = json!({"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://a/b", "minimum": 1,
                       "exclusiveMinimum": true});
    assert!(schema(&older).check(b"1").is_err() && schema(&older).check(b"2").is_ok());
}

#[test]
fn references_are_found_by_name_and_by_address() {
    let inner = json!({"type": "integer"}).to_string();
    let middle = json!({"$id": "http://b/", "items": {"$ref": "inner.json"}}).to_string();
    for (root, others, base) in [
        (
            json!({"items": {"$ref": "inner.json"}}),
            vec![("inner.json", &inner)],
            "[1]",
        ),
        (
            json!({"$id": "http://a/x/root.json", "items": {"$ref": "inner.json#"}}),
            vec![("inner.json", &inner)],
            "[1]",
        ),
        (
            json!({"$id": "http://a/root.json", "items": {"$ref": "http://b/"}}),
            vec![("middle", &middle), ("http://b/inner.json", &inner)],
            "[[1]]",
        ),
    ] {
        let schema = JsonSchema::parse_with(
            &root.to_string(),
            &others
                .iter()
                .map(|(name, text)| (*name, &***text))
                .collect::<Vec<_>>(),
        )
        .expect("found");
        assert_eq!(schema.check(base.as_bytes()), Ok(()), "{root}");
        assert!(
            schema.check(base.replace('1', "true").as_bytes()).is_err(),
            "{root}"
        );
    }
    let lost = JsonSchema::parse(r#"{"items": {"$ref": "http://127.0.0.1:1/x.json"}}"#);
    let error = lost.expect_err("it is not fetched");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.message().contains("x.json"), "{error}");
    let twice = JsonSchema::parse_with("{}", &[("a", "true"), ("a", "false")]);
    assert!(
        twice
            .expect_err("two of a name")
            .message()
            .contains("two different")
    );
}

/// `a0` refers to `a1`, and so on; `made` makes what refers to the next.
fn chain(length: usize, made: impl Fn(Value) -> Value) -> Value {
    let link = |at: usize| json!({"$ref": format!("#/definitions/a{at}")});
    let mut definitions: Map<_, _> = (0..length)
        .map(|at| (format!("a{at}"), made(link(at + 1))))
        .collect();
    definitions.insert(format!("a{length}"), json!({"type": ["integer", "object"]}));
    json!({"properties": {"v": link(0)}, "definitions": definitions})
}

#[test]
fn what_is_no_schema_is_refused() {
    let wide = |next: Value| json!({"allOf": [next, {"anyOf": [next, {"type": "string"}]}]});
    for (text, says) in [
        (String::new(), "EOF"),
        ("[]".to_owned(), "neither"),
        (r#"{"type": "nothing"}"#.to_owned(), "type: "),
        (r##"{"$ref": "#"}"##.to_owned(), "itself"),
        (
            r##"{"items": {"anyOf": [{"type": "null"}, {"$ref": "#/items"}]}}"##.to_owned(),
            "itself",
        ),
        (r##"{"$ref": "#/definitions/nothing"}"##.to_owned(), "nothing"),
        (r##"{"$ref": "#nothing"}"##.to_owned(), "nothing"),
        (r#"{"$schema": "http://a/own"}"#.to_owned(), "own"),
        (
            r#"{"pattern": "(((a{100}){100}){100}){100}"}"#.to_owned(),
            "regex",
        ),
        (chain(20_000, |next| next).to_string(), "200 parts"),
        (chain(30, wide).to_string(), "10000"),
        (format!("{}{}", "[".repeat(200), "]".repeat(200)), "recursion"),
        (json!({"description": "x".repeat(1 << 20)}).to_string(), "larger"),
    ] {
        let error = JsonSchema::parse(&text).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
        let shown: String = text.chars().take(80).collect();
        assert!(error.message().contains(says), "{shown}: {error}");
    }
}

#[test]
fn recursion_ends_where_the_value_does() {
    let list =
        schema(&json!({"properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}, "required": ["n"]}));
    assert_eq!(list.check(br#"{"n": 1, "next": {"n": 2}}"#), Ok(()));
    let error = list
        .check(br#"{"n": 1, "next": {"n": 2, "next": {}}}"#)
        .expect_err("refused");
    assert_eq!(error.field(), Some("next.next.n"));
    // As deep as may be, in the worst way there is, on this thread's stack.
    let wrapped = |next: Value| json!({"oneOf": [{"allOf": [{"not": {"not": next}}]}, false]});
    for parts in [1, 2, 5, 20, 35] {
        let mut deep = chain(parts, wrapped);
        deep["definitions"][format!("a{parts}")] = json!({"$ref": "#"});
        let deep = schema(&deep);
        let mut accepted = 0;
        for depth in 1..=120 {
            let value = format!("{}0{}", r#"{"v":"#.repeat(depth), "}".repeat(depth));
            match deep.check(value.as_bytes()) {
                Ok(()) => accepted = depth,
                Err(error) => assert!(error.message().contains("deep"), "{error}"),
            }
        }
        assert!(
            accepted > 0 && (parts > 1 || accepted > 50),
            "{parts} parts: {accepted}"
        );
    }
    let value = format!("{}0{}", r#"{"next":"#.repeat(200), "}".repeat(200));
    let error = list.check(value.as_bytes()).expect_err("too deep");
    assert!(error.message().contains("recursion"), "{error}");
}

#[test]
fn a_pattern_cannot_take_for_ever() {
    let slow = schema(&json!({"pattern": "^(?=(a+)+$)(a|aa)+\\1$"}));
    let error = slow
        .check(format!("\"{}b\"", "a".repeat(60)).as_bytes())
        .expect_err("given up");
    assert_eq!(error.kind(), ErrorKind::Value);
}

/// Verdicts are those of another implementation, over random schemas and values.
#[test]
fn verdicts_agree_with_another_implementation() {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut allowed, mut refused) = (0, 0);
    for _ in 0..300 {
        let text = random_schema(&mut random, 3);
        let mut compiler = boon::Compiler::new();
        compiler.set_default_draft(boon::Draft::V7);
        compiler
            .add_resource("mem:///s.json", text.clone())
            .expect("a resource");
        let mut schemas = boon::Schemas::new();
        let theirs = compiler.compile("mem:///s.json", &mut schemas).expect("a schema");
        let ours = schema(&text);
        for _ in 0..20 {
            let value = random_value(&mut random, 3);
            let verdict: Result<(), SerializeError> = ours.check(value.to_string().as_bytes());
            assert_eq!(
                verdict.is_ok(),
                schemas.validate(&value, theirs).is_ok(),
                "{text} {value}: {verdict:?}"
            );
            *(if verdict.is_ok() {
                &mut allowed
            } else {
                &mut refused
            }) += 1;
        }
    }
    assert!(
        allowed > 1_000 && refused > 1_000,
        "{allowed} allowed, {refused} refused"
    );
}

fn random_schema(random: &mut fastrand::Rng, depth: u32) -> Value {
    let names = ["a", "b", "c"];
    let types = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    let mut schema = Map::new();
    for _ in 0..random.u32(0..3) {
        let inner = |random: &mut fastrand::Rng| match depth {
            0 => Value::Bool(random.bool()),
            _ => random_schema(random, depth - 1),
        };
        let (keyword, value) = match random.u32(0..20) {
            0..4 => ("type", json!(types[random.usize(..types.len())])),
            4 => ("type", json!(["null", types[random.usize(1..types.len())]])),
            5 => ("minimum", json!(random.i32(-3..3))),
            6 => ("exclusiveMaximum", json!(f64::from(random.i32(-6..6)) / 2.0)),
            7 => ("multipleOf", json!(random.i32(1..4))),
            8 => ("maxLength", json!(random.u32(0..4))),
            9 => ("pattern", json!(["^a", "b$", "[0-9]", "ä"][random.usize(..4)])),
            10 => ("enum", json!([random_value(random, 1)])),
            11 => ("required", json!([names[random.usize(..3)]])),
            12 => ("properties", json!({names[random.usize(..3)]: inner(random)})),
            13 => ("additionalProperties", inner(random)),
            14 => ("items", inner(random)),
            15 => ("uniqueItems", json!(true)),
            16 => ("anyOf", json!([inner(random), inner(random)])),
            17 => ("oneOf", json!([inner(random), inner(random)])),
            18 => ("not", inner(random)),
            _ => ("contains", inner(random)),
        };
        schema.insert(keyword.to_owned(), value);
    }
    Value::Object(schema)
}

fn random_value(random: &mut fastrand::Rng, depth: u32) -> Value {
    match random.u32(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 | 3 => json!(random.i32(-4..7)),
        4 => json!(f64::from(random.i32(-8..8)) / 4.0),
        5 => json!(["", "a", "ab", "1", "ä", "abcd"][random.usize(..6)]),
        6 => (0..random.u32(0..4))
            .map(|_| random_value(random, depth - 1))
            .collect(),
        _ => {
            let names = ["a", "b", "c"]
                .into_iter()
                .filter(|_| random.bool())
                .collect::<Vec<_>>();
            let field = |name: &str| (name.to_owned(), random_value(random, depth - 1));
            Value::Object(names.into_iter().map(field).collect())
        }
    }
}
