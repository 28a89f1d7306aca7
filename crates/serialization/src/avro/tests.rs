//! Avro against itself, and against the library of Apache Avro for Java.

use super::{AvroSchema, AvroValue};
use crate::ErrorKind;
use crate::oracle::{ask, hex};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn schema(json: Value) -> AvroSchema {
    AvroSchema::parse(&json.to_string()).expect("a schema")
}

#[track_caller]
fn written<T: Serialize + ?Sized>(schema: &AvroSchema, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    schema.write(value, &mut bytes).expect("it fits");
    bytes
}

#[track_caller]
fn refused<T: Serialize + ?Sized>(schema: &AvroSchema, value: &T, field: Option<&str>, says: &str) {
    let error = schema.write(value, &mut Vec::new()).expect_err("it does not fit");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Value, field),
        "{error}"
    );
    assert!(error.message().contains(says), "{error}");
}

#[derive(Serialize)]
struct Order {
    id: u32,
    customer: Option<String>,
    lines: Vec<Line>,
    state: State,
    payment: Payment,
    tags: BTreeMap<String, i64>,
    token: Vec<u8>,
    hash: [u8; 4],
}

#[derive(Serialize)]
struct Line {
    item: String,
    price: f64,
}

#[derive(Serialize)]
enum State {
    Open,
    #[expect(dead_code, reason = "a schema has more symbols than are used")]
    Paid,
}

#[derive(Serialize)]
enum Payment {
    Card { number: String },
    Cash(i64),
    Null,
}

fn order_schema() -> AvroSchema {
    schema(
        json!({"type": "record", "name": "Order", "namespace": "shop", "fields": [
            {"name": "id", "type": "long"},
            {"name": "customer", "type": ["null", "string"]},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
                {"name": "item", "type": "string"}, {"name": "price", "type": "double"}]}}},
            {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["Open", "Paid"]}},
            {"name": "payment", "type": ["null", {"type": "record", "name": "Card", "fields": [
                {"name": "number", "type": "string"}]}, {"type": "fixed", "name": "Voucher", "size": 2},
                {"type": "record", "name": "Cash", "fields": [{"name": "cents", "type": "long"}]}, "long"]},
            {"name": "tags", "type": {"type": "map", "values": "int"}},
            {"name": "token", "type": "bytes"},
            {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 4}},
        ]}),
    )
}

fn order() -> Order {
    let line = |item: &str, price| Line {
        item: item.to_owned(),
        price,
    };
    Order {
        id: 3,
        customer: Some("é".to_owned()),
        lines: vec![line("a", 1.5), line("b", -2.0)],
        state: State::Open,
        payment: Payment::Card {
            number: "42".to_owned(),
        },
        tags: BTreeMap::from([("x".to_owned(), -1)]),
        token: vec![0, 255],
        hash: [1, 2, 3, 4],
    }
}

#[test]
fn a_struct_is_a_record() {
    let bytes = written(&order_schema(), &order());
    let read = order_schema().read(&bytes).expect("it is Avro");
    let text = |text: &str| AvroValue::String(text.to_owned());
    let named = |fields: Vec<(&str, AvroValue)>| {
        AvroValue::Record(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    };
    let line = |item, price| named(vec![("item", text(item)), ("price", AvroValue::Double(price))]);
    let expected = named(vec![
        ("id", AvroValue::Long(3)),
        ("customer", AvroValue::Union(1, Box::new(text("é")))),
        ("lines", AvroValue::Array(vec![line("a", 1.5), line("b", -2.0)])),
        ("state", AvroValue::Enum("Open".to_owned())),
        (
            "payment",
            AvroValue::Union(1, Box::new(named(vec![("number", text("42"))]))),
        ),
        ("tags", AvroValue::Map(vec![("x".to_owned(), AvroValue::Int(-1))])),
        ("token", AvroValue::Bytes(vec![0, 255])),
        ("hash", AvroValue::Fixed(vec![1, 2, 3, 4])),
    ]);
    assert_eq!(read, expected);
    assert_eq!(
        written(&order_schema(), &expected),
        bytes,
        "the generic value says the same"
    );
}

#[test]
fn an_enum_chooses_the_branch_of_its_name() {
    #[derive(Serialize)]
    struct Holder {
        payment: Payment,
    }
    let of = |payment| {
        let schema = schema(
            json!({"type": "record", "name": "H", "fields": [{"name": "payment", "type": [
            "null", "long", {"type": "record", "name": "Card", "fields": [{"name": "number", "type": "string"}]}]}]}),
        );
        (schema, Holder { payment })
    };
    let (schema, null) = of(Payment::Null);
    assert_eq!(written(&schema, &null), [0]);
    let (schema, cash) = of(Payment::Cash(1));
    refused(&schema, &cash, Some("payment"), "the variant Cash fits no branch");
    let (schema, card) = of(Payment::Card {
        number: String::new(),
    });
    assert_eq!(written(&schema, &card), [4, 0]);
}

/// Texts in JSON may name the branches of unions, as Avro's own JSON does, or leave them out where it is clear.
#[cfg(feature = "json")]
#[test]
fn json_names_the_branches_of_unions() {
    let record = |name: &str, field: &str| {
        json!({"type": "record", "name": name, "fields": [
        {"name": field, "type": ["null", "long"]}]})
    };
    let schema = schema(json!({"type": "record", "name": "R", "fields": [
        {"name": "plain", "type": ["null", "int", "string", "double"]},
        {"name": "record", "type": ["null", record("shop.A", "x"), record("shop.B", "x"), "string"]},
        {"name": "one", "type": ["null", record("shop.C", "string"), "string"]},
        {"name": "map", "type": ["null", {"type": "map", "values": ["null", "string"]}, "bytes"]},
        {"name": "named", "type": ["null", {"type": "enum", "name": "shop.E", "symbols": ["U", "V"]},
            {"type": "fixed", "name": "shop.F", "size": 2}, {"type": "array", "items": ["null", "int"]}]},
    ]}));
    let nothing = json!({"plain": null, "record": null, "one": null, "map": null, "named": null});
    let written = |field: &str, value: &Value| {
        let mut text = nothing.clone();
        text[field] = value.clone();
        let value = crate::JsonValue::parse(text.to_string().as_bytes()).expect("JSON");
        let mut bytes = Vec::new();
        let outcome = schema.write(&value, &mut bytes);
        outcome.map(|()| bytes.into_iter().filter(|byte| *byte != 0).collect::<Vec<_>>())
    };
    for (field, value, expected) in [
        ("plain", json!("x"), &[4, 2, b'x'][..]),
        ("plain", json!({"string": "x"}), &[4, 2, b'x']),
        ("plain", json!({"int": 7}), &[2, 14]),
        ("plain", json!({"double": 1}), &[6, 240, 63]),
        ("plain", json!({"null": null}), &[]),
        // Of several records only the name tells which one is meant; what is in it may be named, too.
        ("record", json!({"shop.B": {"x": 1}}), &[4, 2, 2]),
        ("record", json!({"shop.A": {"x": {"long": 1}}}), &[2, 2, 2]),
        ("record", json!({"string": "x"}), &[6, 2, b'x']),
        ("one", json!({"shop.C": {"string": 1}}), &[2, 2, 2]),
        // A name always means the branch, though a field is called so.
        ("one", json!({"string": "x"}), &[4, 2, b'x']),
        ("map", json!({"k": "x"}), &[2, 2, 2, b'k', 2, 2, b'x']),
        (
            "map",
            json!({"map": {"k": {"string": "x"}}}),
            &[2, 2, 2, b'k', 2, 2, b'x'],
        ),
        (
            "map",
            json!({"a": "x", "map": "y"}),
            &[2, 4, 2, b'a', 2, 2, b'x', 6, b'm', b'a', b'p', 2, 2, b'y'],
        ),
        ("map", json!({"bytes": "\u{ff}"}), &[4, 2, 255]),
        ("named", json!("V"), &[2, 2]),
        ("named", json!({"shop.E": "V"}), &[2, 2]),
        ("named", json!({"shop.F": "ab"}), &[4, b'a', b'b']),
        (
            "named",
            json!({"array": [{"int": 1}, 2, null]}),
            &[6, 6, 2, 2, 2, 4],
        ),
    ] {
        assert_eq!(written(field, &value), Ok(expected.to_vec()), "{field}: {value}");
    }
    for (field, value, place, says) in [
        ("plain", json!({"int": "x"}), "plain.int", "is no int"),
        (
            "plain",
            json!({"long": 1}),
            "plain",
            "\"long\" is no branch of the union (null, int, string, double)",
        ),
        (
            "plain",
            json!({"int": 1, "string": "x"}),
            "plain",
            "fits no branch",
        ),
        ("plain", json!({}), "plain", "fits no branch"),
        ("record", json!({"x": 1}), "record", "name it, as {"),
        (
            "record",
            json!({"shop.A": {"y": 1}}),
            "record.shop.A.y",
            "no such field",
        ),
        ("map", json!({"map": "x"}), "map.map", "is no map"),
    ] {
        let error = written(field, &value).expect_err("it does not fit");
        assert_eq!(error.field(), Some(place), "{error}");
        assert!(error.message().contains(says), "{error}");
    }
    // From Rust a map is a map.
    let map = BTreeMap::from([("map", "x")]);
    let value = BTreeMap::from([("map", Some(map))]);
    let mut bytes = Vec::new();
    schema.write(&value, &mut bytes).expect("it fits");
    assert!(
        bytes.ends_with(&[2, 2, 6, b'm', b'a', b'p', 2, 2, b'x', 0, 0]),
        "{bytes:?}"
    );
}

#[test]
fn the_field_at_fault_is_named() {
    let mut value = serde_json::to_value(order()).expect("JSON");
    value["payment"] = Value::Null;
    value["hash"] = json!([1, 2, 3, 4]);
    let schema = order_schema();
    assert!(schema.write(&value, &mut Vec::new()).is_ok());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = value.clone();
        change(&mut changed);
        changed
    };
    for (changed, field, says) in [
        (
            with(&|v| v["lines"][1]["price"] = json!("x")),
            "lines[1].price",
            "is no double: \"x\"",
        ),
        (
            with(&|v| v["id"] = json!(u64::MAX)),
            "id",
            "does not fit in a long",
        ),
        (
            with(&|v| v["tags"]["y"] = json!(1_u64 << 40)),
            "tags.y",
            "is no int",
        ),
        (with(&|v| v["hash"] = json!([1, 2])), "hash", "2 bytes, not 4"),
        (
            with(&|v| v["token"] = json!([1, 256])),
            "token[1]",
            "256 is no byte",
        ),
        (
            with(&|v| v["state"] = json!("Lost")),
            "state",
            "is no shop.State: \"Lost\"",
        ),
        (with(&|v| v["surplus"] = json!(1)), "surplus", "no such field"),
        (
            with(&|v| drop(v.as_object_mut().expect("an object").remove("id"))),
            "id",
            "it is missing",
        ),
        (
            with(&|v| v["payment"] = json!({"number": "1"})),
            "payment",
            "more than one branch",
        ),
        (
            with(&|v| v["customer"] = json!(true)),
            "customer",
            "fits no branch of the union (null, string)",
        ),
    ] {
        refused(&schema, &changed, Some(field), says);
    }
}

#[test]
fn what_is_missing_gets_its_default_and_order_does_not_matter() {
    let schema = schema(json!({"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "int"},
        {"name": "b", "type": {"type": "array", "items": "int"}, "default": [1, 2]},
        {"name": "c", "type": ["null", "string"]},
        {"name": "d", "type": ["string", "null"], "default": "x"},
        {"name": "e", "type": "bytes", "default": "\u{ff}"},
        {"name": "f", "type": "boolean"},
    ]}));
    #[derive(Serialize)]
    struct Some {
        f: bool,
        c: &'static str,
        a: i8,
    }
    let bytes = written(
        &schema,
        &Some {
            f: true,
            c: "z",
            a: 1,
        },
    );
    assert_eq!(bytes, [2, 4, 2, 4, 0, 2, 2, b'z', 0, 2, b'x', 2, 0xFF, 1]);
    let bytes = written(&schema, &json!({"a": 1, "f": false}));
    assert_eq!(bytes, [2, 4, 2, 4, 0, 0, 0, 2, b'x', 2, 0xFF, 0]);
}

#[test]
fn recursion_ends() {
    #[derive(Serialize)]
    struct Node {
        next: Option<Box<Node>>,
    }
    let schema = schema(json!({"type": "record", "name": "Node", "fields": [
        {"name": "next", "type": ["null", "Node"]}]}));
    let list = |length: usize| {
        let mut node = Node { next: None };
        for _ in 1..length {
            node = Node {
                next: Some(Box::new(node)),
            };
        }
        node
    };
    assert_eq!(written(&schema, &list(3)), [2, 2, 0]);
    assert!(schema.write(&list(200), &mut Vec::new()).is_ok());
    let error = schema.write(&list(1_000), &mut Vec::new()).expect_err("too deep");
    assert!(error.message().contains("deeper than 200"), "{error}");
    assert!(schema.read(&[2; 10_000]).is_err(), "what is read is bounded, too");
    // Records of nothing but themselves cost no bytes at all.
    let empty = AvroSchema::parse(r#"{"type":"record","name":"E","fields":[{"name":"e","type":"E"}]}"#);
    assert!(empty.expect("a schema").read(&[]).is_err());
}

#[test]
fn what_is_no_schema_is_refused() {
    for (text, says) in [
        ("", "EOF"),
        ("\"nothing\"", "unknown type"),
        ("7", "a type is"),
        (r#"{"type":"record","name":"a b","fields":[]}"#, "no name"),
        (r#"{"type":"record","name":"R"}"#, "fields"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"x"}]}"#,
            "unknown type",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "twice",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
            "default",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}}]}"#,
            "default",
        ),
        (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "twice"),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "size"),
        (r#"["int","int"]"#, "two of int"),
        (r#"["int",["null"]]"#, "directly"),
        (
            r#"[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":1}]"#,
            "defined twice",
        ),
    ] {
        let error = AvroSchema::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Schema);
        assert!(error.message().contains(says), "{text}: {error}");
    }
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(100),
        "}".repeat(100)
    );
    assert!(AvroSchema::parse(&deep).is_err());
    let huge = format!("\"{}\"", "x".repeat(2 << 20));
    assert!(AvroSchema::parse(&huge).is_err());
}

#[test]
fn types_of_other_schemas_are_found() {
    let inner = r#"{"type":"record","name":"a.Inner","fields":[{"name":"x","type":"int"}]}"#;
    let outer = r#"{"type":"record","name":"b.Outer","fields":[{"name":"inner","type":"a.Inner"}]}"#;
    assert!(AvroSchema::parse(outer).is_err());
    let schema = AvroSchema::parse_with(outer, &[inner]).expect("a schema");
    assert_eq!(schema.name(), Some("b.Outer"));
    assert_eq!(written(&schema, &json!({"inner": {"x": 1}})), [2]);
}

#[test]
fn resolution_follows_avro() {
    let record = |fields: Value| json!({"type": "record", "name": "R", "fields": fields});
    let int = json!({"name": "a", "type": "int"});
    for (reader, writer, is_compatible) in [
        (json!("long"), json!("int"), true),
        (json!("int"), json!("long"), false),
        (json!("double"), json!("float"), true),
        (json!("string"), json!("bytes"), true),
        (json!(["null", "long"]), json!("int"), true),
        (json!("int"), json!(["null", "int"]), false),
        (json!(["null", "int", "string"]), json!(["int", "null"]), true),
        (
            record(json!([int, {"name": "b", "type": "int"}])),
            record(json!([int])),
            false,
        ),
        (
            record(json!([int, {"name": "b", "type": "int", "default": 1}])),
            record(json!([int])),
            true,
        ),
        (record(json!([])), record(json!([int])), true),
        (
            record(json!([{"name": "z", "aliases": ["a"], "type": "int"}])),
            record(json!([int])),
            true,
        ),
        (
            json!({"type": "record", "name": "S", "fields": []}),
            record(json!([])),
            false,
        ),
        (
            json!({"type": "record", "name": "n.R", "fields": []}),
            record(json!([])),
            true,
        ),
        (
            json!({"type": "enum", "name": "E", "symbols": ["A"]}),
            json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}),
            false,
        ),
        (
            json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}),
            json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}),
            true,
        ),
        (
            json!({"type": "fixed", "name": "F", "size": 1}),
            json!({"type": "fixed", "name": "F", "size": 2}),
            false,
        ),
        (
            json!({"type": "array", "items": "long"}),
            json!({"type": "array", "items": "int"}),
            true,
        ),
        (
            json!({"type": "map", "values": "int"}),
            json!({"type": "map", "values": "long"}),
            false,
        ),
        (
            record(json!([{"name": "next", "type": ["null", "R"]}])),
            record(json!([{"name": "next", "type": ["null", "R"]}])),
            true,
        ),
    ] {
        let differences = schema(reader.clone()).incompatibilities(&schema(writer.clone()));
        assert_eq!(
            differences.is_empty(),
            is_compatible,
            "{reader} reads {writer}: {differences:?}"
        );
    }
}

/// Random schemas and values that fit them, from a seed.
struct Maker {
    random: fastrand::Rng,
    named: usize,
}

impl Maker {
    fn schema(&mut self, depth: usize) -> Value {
        let kinds = if depth < 3 { 14 } else { 8 };
        match self.random.usize(..kinds) {
            0 => json!("null"),
            1 => json!("boolean"),
            2 => json!("int"),
            3 => json!("long"),
            4 => json!("float"),
            5 => json!("double"),
            6 => json!("bytes"),
            7 => json!("string"),
            8 => json!({"type": "fixed", "name": self.name("F"), "size": self.random.usize(..5)}),
            9 => json!({"type": "enum", "name": self.name("E"), "symbols": ["A", "B", "C_1"]}),
            10 => json!({"type": "array", "items": self.schema(depth + 1)}),
            11 => json!({"type": "map", "values": self.schema(depth + 1)}),
            12 => {
                let mut branches: Vec<Value> = Vec::new();
                for _ in 0..self.random.usize(1..4) {
                    let branch = self.schema(depth + 1);
                    let kind = |branch: &Value| branch.get("type").unwrap_or(branch).clone();
                    let is_new = branches.iter().all(|earlier| kind(earlier) != kind(&branch));
                    if !branch.is_array() && is_new {
                        branches.push(branch);
                    }
                }
                if branches.is_empty() {
                    branches.push(json!("null"));
                }
                Value::Array(branches)
            }
            _ => {
                let name = self.name("R");
                let fields: Vec<_> = (0..self.random.usize(..4))
                    .map(|at| json!({"name": format!("f{at}"), "type": self.schema(depth + 1)}))
                    .collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.named += 1;
        format!("{prefix}{}", self.named)
    }

    fn long(&mut self) -> i64 {
        let bits = self.random.u32(..64);
        self.random.i64(..) >> bits
    }

    fn text(&mut self) -> String {
        (0..self.random.usize(..6))
            .map(|_| self.random.char(..))
            .collect()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.random.u8(..)).collect()
    }

    fn value(&mut self, schema: &Value) -> AvroValue {
        let kind = schema.get("type").unwrap_or(schema);
        match kind.as_str() {
            None => {
                let branches = schema.as_array().expect("a union");
                let branch = self.random.usize(..branches.len());
                AvroValue::Union(branch as u32, Box::new(self.value(&branches[branch])))
            }
            Some("null") => AvroValue::Null,
            Some("boolean") => AvroValue::Boolean(self.random.bool()),
            Some("int") => AvroValue::Int((self.long() >> 32) as i32),
            Some("long") => AvroValue::Long(self.long()),
            Some("float") => AvroValue::Float(self.random.i32(..) as f32 / 8.0),
            Some("double") => AvroValue::Double(self.random.i32(..) as f64 / 8.0),
            Some("bytes") => {
                let length = self.random.usize(..5);
                AvroValue::Bytes(self.bytes(length))
            }
            Some("string") => AvroValue::String(self.text()),
            Some("fixed") => AvroValue::Fixed(self.bytes(schema["size"].as_u64().expect("a size") as usize)),
            Some("enum") => AvroValue::Enum(["A", "B", "C_1"][self.random.usize(..3)].to_owned()),
            Some("array") => {
                let length = self.random.usize(..4);
                AvroValue::Array((0..length).map(|_| self.value(&schema["items"])).collect())
            }
            // Java's map has an order of its own, so there is at most one entry.
            Some("map") => {
                let length = self.random.usize(..2);
                AvroValue::Map(
                    (0..length)
                        .map(|_| (self.text(), self.value(&schema["values"])))
                        .collect(),
                )
            }
            Some(_) => {
                let fields = schema["fields"].as_array().expect("fields");
                let value = |field: &Value| {
                    let name = field["name"].as_str().expect("a name").to_owned();
                    (name, self.value(&field["type"]))
                };
                AvroValue::Record(fields.iter().map(value).collect())
            }
        }
    }
}

/// The value in Avro's own JSON, as Java's encoder writes it.
fn shown(schema: &Value, value: &AvroValue) -> Value {
    let characters = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    match value {
        AvroValue::Null => Value::Null,
        AvroValue::Boolean(is) => json!(is),
        AvroValue::Int(number) => json!(number),
        AvroValue::Long(number) => json!(number),
        AvroValue::Float(number) => json!(f64::from(*number)),
        AvroValue::Double(number) => json!(number),
        AvroValue::Bytes(bytes) | AvroValue::Fixed(bytes) => json!(characters(bytes)),
        AvroValue::String(text) | AvroValue::Enum(text) => json!(text),
        AvroValue::Array(items) => items.iter().map(|item| shown(&schema["items"], item)).collect(),
        AvroValue::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), shown(&schema["values"], value)))
                .collect(),
        ),
        AvroValue::Union(branch, value) => {
            let branch = &schema[*branch as usize];
            let kind = branch.get("name").or(branch.get("type")).unwrap_or(branch);
            match &**value {
                AvroValue::Null => Value::Null,
                value => json!({kind.as_str().expect("a name"): shown(branch, value)}),
            }
        }
        AvroValue::Record(fields) => {
            let types = schema["fields"].as_array().expect("fields");
            Value::Object(
                fields
                    .iter()
                    .zip(types)
                    .map(|((name, value), field)| (name.clone(), shown(&field["type"], value)))
                    .collect(),
            )
        }
    }
}

/// Numbers as numbers: Java writes 1.0E10 where we write 10000000000.0.
fn same(ours: &Value, javas: &Value) -> bool {
    match (ours, javas) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() => {
            a.as_f64() == b.as_f64() || a.as_f64().map(|a| a as f32) == b.as_f64().map(|b| b as f32)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn cases(count: u64) -> impl Iterator<Item = (Value, AvroValue, Vec<u8>)> {
    (0..count).map(|seed| {
        let mut maker = Maker {
            random: fastrand::Rng::with_seed(seed),
            named: 0,
        };
        let json = maker.schema(0);
        let value = maker.value(&json);
        let parsed = schema(json.clone());
        let bytes = written(&parsed, &value);
        assert_eq!(parsed.read(&bytes), Ok(value.clone()), "seed {seed}: {json}");
        (json, value, bytes)
    })
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(cases(5_000).count(), 5_000);
}

#[test]
fn bytes_are_those_of_apache_avro() {
    let cases: Vec<_> = cases(3_000).collect();
    let question = |(schema, _, bytes): &(Value, AvroValue, Vec<u8>)| {
        format!(
            "{} {}",
            hex(schema.to_string().bytes()),
            hex(bytes.iter().copied())
        )
    };
    let Some(answers) = ask("AvroOracle", &cases.iter().map(question).collect::<Vec<_>>()) else {
        return;
    };
    let mut compared = 0;
    for ((schema, value, bytes), answer) in cases.iter().zip(&answers) {
        let (again, json) = answer.split_once(' ').expect("two words");
        assert_eq!(again, hex(bytes.iter().copied()), "{schema}");
        let json: Value = serde_json::from_str(json).expect("JSON");
        let ours = shown(schema, value);
        // It says nothing at all about values that are only records without fields; the bytes are compared all the same.
        if json.is_null() {
            continue;
        }
        compared += 1;
        assert!(same(&ours, &json), "{schema}\nours {ours}\nJava {json}");
    }
    assert!(compared > 1_500, "{compared} of 3000 compared");
}
