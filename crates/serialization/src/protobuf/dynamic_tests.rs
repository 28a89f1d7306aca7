//! Messages by a schema in text: named faults, bounds, and Google's library as the oracle.

use super::*;
use crate::oracle::{ask, hex};
use crate::{AddedHeaders, ErrorKind, JsonText, Role};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SHOP: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/timestamp.proto";
    message Other {}
    message Order {
        message Line { string item = 1; double price = 2; }
        enum State { UNKNOWN = 0; PAID = 1; }
        int64 id = 1;
        repeated Line lines = 2;
        State state = 3;
        map<string, int32> counts = 4;
        bytes photo = 5;
        google.protobuf.Timestamp placed_at = 6;
        oneof way { string street = 7; bool pick_up = 8; }
        optional int32 floor = 9;
        repeated sint32 deltas = 10;
    }
"#;

fn order() -> ProtobufSchema {
    ProtobufSchema::parse(SHOP, Some("shop.Order")).expect("a schema")
}

fn written<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0xAB];
    order().write(value, &mut bytes).expect("it fits");
    bytes.split_off(1)
}

#[derive(Serialize)]
struct Order {
    id: Id,
    lines: Vec<Line>,
    counts: BTreeMap<char, u8>,
    photo: Blob,
    floor: Option<i32>,
    state: State,
}

#[derive(Serialize)]
struct Id(i64);

#[derive(Serialize)]
enum State {
    #[serde(rename = "PAID")]
    Paid,
}

#[derive(Serialize)]
struct Line {
    item: &'static str,
    price: f32,
}

struct Blob(&'static [u8]);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn a_struct_is_a_message() {
    let value = Order {
        id: Id(150),
        lines: vec![Line {
            item: "a",
            price: f32::NAN,
        }],
        counts: BTreeMap::from([('b', 2), ('a', 1)]),
        photo: Blob(&[0, 255]),
        floor: Some(0),
        state: State::Paid,
    };
    let expected = [
        &[0x08, 0x96, 0x01][..],
        &[0x12, 12, 0x0A, 1, b'a', 0x11, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F],
        &[0x18, 1],
        &[0x22, 5, 0x0A, 1, b'a', 0x10, 1, 0x22, 5, 0x0A, 1, b'b', 0x10, 2],
        &[0x2A, 2, 0, 255],
        // Zero, and yet there: the field is optional.
        &[0x48, 0],
    ];
    assert_eq!(written(&value), expected.concat());
    let json = json!({"id": "150", "counts": {"a": 1}, "placedAt": "1970-01-01T00:00:01Z", "pick_up": true,
                      "deltas": [-1, 1], "photo": "AP8=", "floor": null});
    let expected = [
        &[0x08, 0x96, 0x01, 0x22, 5, 0x0A, 1, b'a', 0x10, 1, 0x2A, 2, 0, 255][..],
        &[0x32, 2, 0x08, 1, 0x40, 1, 0x52, 2, 1, 2],
    ];
    assert_eq!(written(&json), expected.concat());
    let read = order().read(&expected.concat()).expect("a message");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&read).expect("JSON"),
        json!({"id": "150", "counts": {"a": 1}, "placedAt": "1970-01-01T00:00:01Z", "pickUp": true, "deltas": [-1, 1],
               "photo": "AP8="})
    );
}

#[test]
fn a_long_message_has_a_long_length() {
    for length in [0, 1, 127, 128, 20_000] {
        let bytes = written(&json!({"lines": [{"item": "x".repeat(length)}]}));
        let read = order().read(&bytes).expect("a message");
        assert_eq!(read.matches('x').count(), length);
    }
}

#[test]
fn the_field_at_fault_is_named() {
    for (value, field) in [
        (json!([]), ""),
        (json!({"more": 1}), "more"),
        (json!({"lines": [{"more": 1}]}), "lines[0].more"),
        (json!({"id": 1.5}), "id"),
        (
            json!({"lines": [{"price": 1}, {"price": "much"}]}),
            "lines[1].price",
        ),
        (json!({"counts": {"a": 3_000_000_000_u32}}), "counts.a"),
        (json!({"state": "LOST"}), "state"),
        (json!({"placedAt": "yesterday"}), "placedAt"),
        (json!({"photo": "?"}), "photo"),
    ] {
        let error = order().write(&value, &mut Vec::new()).expect_err("refused");
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Value, Some(field)),
            "{value}: {error}"
        );
    }
    let message = |fields: &[(&str, ProtobufValue)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        ProtobufValue::Message(fields.collect())
    };
    let text = || ProtobufValue::String("x".to_owned());
    for (value, field) in [
        (text(), None),
        (message(&[("more", text())]), Some("more")),
        (message(&[("id", ProtobufValue::I32(1))]), Some("id")),
        (message(&[("state", text())]), Some("state")),
        (message(&[("deltas", ProtobufValue::I32(1))]), Some("deltas")),
        (
            message(&[("lines", ProtobufValue::List(vec![message(&[("price", text())])]))]),
            Some("lines[0].price"),
        ),
        (
            message(&[("counts", ProtobufValue::Map(vec![(text(), text())]))]),
            Some("counts[0]"),
        ),
    ] {
        let error = order().write_value(&value, &mut Vec::new()).expect_err("refused");
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Value, field),
            "{value:?}: {error}"
        );
    }
    let required = "syntax = \"proto2\"; message A { optional A a = 1; required int32 b = 2; }";
    let required = ProtobufSchema::parse(required, None).expect("a schema");
    let error = required
        .write(&json!({"b": 1, "a": {}}), &mut Vec::new())
        .expect_err("a.b is missing");
    assert_eq!(error.field(), Some("a.b"));
}

#[test]
fn recursion_ends() {
    let list = ProtobufSchema::parse("syntax = \"proto3\"; message A { A a = 1; }", None).expect("a schema");
    let nested = |depth| (0..depth).fold(json!({}), |inner, _| json!({"a": inner}));
    assert!(list.write(&nested(99), &mut Vec::new()).is_ok());
    let error = list.write(&nested(200), &mut Vec::new()).expect_err("too deep");
    assert!(error.message().contains("deeper"), "{error}");
    let value = (0..200).fold(ProtobufValue::Message(Vec::new()), |inner, _| {
        ProtobufValue::Message(vec![("a".to_owned(), inner)])
    });
    let error = list.write_value(&value, &mut Vec::new()).expect_err("too deep");
    assert!(error.message().contains("deeper"), "{error}");
}

#[test]
fn what_is_no_schema_is_refused() {
    let deep = format!("{}{}", "message A {".repeat(200), "}".repeat(200));
    let options = format!("option (x) = {}{};", "{a:".repeat(20_000), "}".repeat(20_000));
    for (text, message, says) in [
        ("", None, "no message"),
        ("nonsense", None, "expected"),
        (SHOP, Some("Order"), "\"Order\""),
        (SHOP, Some("shop.Order.CountsEntry"), "CountsEntry"),
        (SHOP, Some("google.protobuf.Timestamp"), "Timestamp"),
        ("import \"a.proto\"; message A {}", None, "a.proto"),
        ("import \"ottla.schema.proto\"; message A {}", None, "import"),
        ("message A { optional B b = 1; }", None, "B"),
        (
            "syntax = \"proto3\"; message A { int32 a = 1; int32 b = 1; }",
            None,
            "1",
        ),
        (&deep, None, "nested deeper"),
        (&options, None, "nested deeper"),
        (&" ".repeat((1 << 20) + 1), None, "larger"),
    ] {
        let error = ProtobufSchema::parse(text, message).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
        let shown: String = text.chars().take(60).collect();
        assert!(error.message().contains(says), "{shown}: {error}");
    }
    let cycle = [
        ("a.proto", "import \"b.proto\";"),
        ("b.proto", "import \"a.proto\";"),
    ];
    let error = ProtobufSchema::parse_with("import \"a.proto\"; message A {}", &cycle, None);
    assert_eq!(error.expect_err("a cycle").kind(), ErrorKind::Schema);
    let twice = [("a.proto", "message A {}"), ("a.proto", "message B {}")];
    let error = ProtobufSchema::parse_with("message C {}", &twice, None).expect_err("two of a name");
    assert!(error.message().contains("two different"), "{error}");
}

/// The compiler's pool does not know options that the schema sets.
#[test]
fn options_count() {
    let text = "syntax = \"proto3\"; message A { repeated int32 a = 1 [packed = false]; int32 b = 2 [json_name = \"c\"]; }";
    let schema = ProtobufSchema::parse(text, None).expect("a schema");
    let mut bytes = Vec::new();
    schema
        .write(&json!({"a": [1, 2], "c": 3}), &mut bytes)
        .expect("it fits");
    assert_eq!(bytes, [8, 1, 8, 2, 16, 3]);
}

#[test]
fn imports_and_nested_messages_are_found() {
    let schema = ProtobufSchema::parse_with(
        "syntax = \"proto3\"; import \"a/b.proto\"; message X {} message C { message D { a.B b = 1; } }",
        &[
            (
                "a/b.proto",
                "syntax = \"proto3\"; package a; import public \"e.proto\"; message B { E e = 1; }",
            ),
            (
                "e.proto",
                "syntax = \"proto3\"; package a; message E { int32 n = 1; }",
            ),
        ],
        Some("C.D"),
    )
    .expect("a schema");
    assert_eq!((schema.name(), schema.message_indexes()), ("C.D", vec![1, 0]));
    let mut bytes = Vec::new();
    schema
        .write(&json!({"b": {"e": {"n": 1}}}), &mut bytes)
        .expect("it fits");
    assert_eq!(bytes, [0x0A, 4, 0x0A, 2, 0x08, 1]);
}

#[test]
fn a_text_becomes_a_message() {
    let serializer = JsonText::new(DynamicProtobufSerializer::plain(order()));
    let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
    let mut output = Output::new(&mut bytes, &mut headers);
    let target = Target::new("t", Role::Value);
    assert_eq!(
        serializer.serialize(&target, Some("{\"id\": 1}"), &mut output),
        Ok(Payload::Bytes)
    );
    assert_eq!(
        serializer.serialize(&target, None::<&str>, &mut output),
        Ok(Payload::Null)
    );
    for text in ["{\"id\": ", "{\"id\": 1, \"id\": 2}"] {
        let error = serializer
            .serialize(&target, Some(text.as_bytes()), &mut output)
            .expect_err(text);
        assert!(
            error
                .to_string()
                .starts_with("value for topic \"t\": it is no JSON"),
            "{error}"
        );
    }
    assert_eq!(bytes, [8, 1]);
}

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64",
    "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// Random schemas, and values of theirs.
struct Generator {
    random: fastrand::Rng,
    is_proto_3: bool,
    messages: Vec<Vec<Field>>,
}

#[derive(Clone)]
struct Field {
    name: String,
    number: u32,
    label: Label,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Label {
    Implicit,
    Optional,
    Required,
    Repeated,
    Unpacked,
    Map(usize),
    OneOf,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Scalar(usize),
    Enum,
    Message(usize),
}

impl Generator {
    fn new(seed: u64) -> Generator {
        let mut random = fastrand::Rng::with_seed(seed);
        let is_proto_3 = random.bool();
        let mut generator = Generator {
            random,
            is_proto_3,
            messages: Vec::new(),
        };
        let count = generator.random.usize(1..4);
        for _ in 0..count {
            let fields = generator.random.u32(0..7);
            let fields = (0..fields).map(|at| generator.field(at, count)).collect();
            generator.messages.push(fields);
        }
        generator
    }

    fn field(&mut self, at: u32, messages: usize) -> Field {
        let kind = match self.random.u32(0..10) {
            0..7 => Kind::Scalar(self.random.usize(..SCALARS.len())),
            7 => Kind::Enum,
            _ => Kind::Message(self.random.usize(..messages)),
        };
        let is_message = matches!(kind, Kind::Message(_));
        let label = match self.random.u32(0..8) {
            0 if self.is_proto_3 && !is_message => Label::Implicit,
            1 if !self.is_proto_3 && !is_message => Label::Required,
            2 | 3 => Label::Repeated,
            4 if !is_message && !matches!(kind, Kind::Scalar(13 | 14)) => Label::Unpacked,
            // Keys are whole numbers, booleans and text.
            5 => Label::Map(self.random.usize(2..14)),
            6 => Label::OneOf,
            _ => Label::Optional,
        };
        let number = match self.random.u32(0..6) {
            // Tags of two and of five bytes.
            0 => 1_000 + at,
            1 => 500_000_000 + at,
            _ => 10 - at,
        };
        Field {
            name: format!("f_{at}"),
            number,
            label,
            kind,
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "syntax = \"{}\"; package p; enum E {{ ZERO = 0; ONE = 1; MINUS = -1; MOST = 2147483647; }}\n",
            if self.is_proto_3 { "proto3" } else { "proto2" }
        );
        for (at, fields) in self.messages.iter().enumerate() {
            let _ = writeln!(text, "message M{at} {{");
            for field in fields {
                let kind = match field.kind {
                    Kind::Scalar(scalar) => SCALARS[scalar].to_owned(),
                    Kind::Enum => "E".to_owned(),
                    Kind::Message(message) => format!("M{message}"),
                };
                let (name, number) = (&field.name, field.number);
                let _ = match field.label {
                    Label::Implicit => writeln!(text, "  {kind} {name} = {number};"),
                    Label::Optional => writeln!(text, "  optional {kind} {name} = {number};"),
                    Label::Required => writeln!(text, "  required {kind} {name} = {number};"),
                    Label::Repeated => writeln!(text, "  repeated {kind} {name} = {number};"),
                    Label::Unpacked => {
                        let is_packed = !self.is_proto_3;
                        writeln!(
                            text,
                            "  repeated {kind} {name} = {number} [packed = {is_packed}];"
                        )
                    }
                    Label::Map(key) => {
                        writeln!(text, "  map<{}, {kind}> {name} = {number};", SCALARS[key])
                    }
                    Label::OneOf => writeln!(text, "  oneof o_{name} {{ {kind} {name} = {number}; }}"),
                };
            }
            text.push_str("}\n");
        }
        text
    }

    fn message(&mut self, message: usize, depth: u32) -> ProtobufValue {
        let fields = self.messages[message].clone();
        let mut values = Vec::new();
        for field in fields {
            if matches!(field.kind, Kind::Message(_)) && depth == 0 {
                continue;
            }
            if field.label != Label::Required && self.random.u32(0..10) < 3 {
                continue;
            }
            let count = self.random.usize(0..4);
            let value = match field.label {
                Label::Repeated | Label::Unpacked => {
                    ProtobufValue::List((0..count).map(|_| self.value(field.kind, depth)).collect())
                }
                Label::Map(key) => {
                    let entry = |_| {
                        (
                            self.value(Kind::Scalar(key), depth),
                            self.value(field.kind, depth),
                        )
                    };
                    ProtobufValue::Map((0..count).map(entry).collect())
                }
                _ => self.value(field.kind, depth),
            };
            values.push((field.name, value));
        }
        self.random.shuffle(&mut values);
        ProtobufValue::Message(values)
    }

    fn value(&mut self, kind: Kind, depth: u32) -> ProtobufValue {
        let small = self.random.bool();
        let random = &mut self.random;
        let whole = if small { random.u64(..3) } else { random.u64(..) };
        let scalar = match kind {
            Kind::Scalar(scalar) => SCALARS[scalar],
            Kind::Enum => return ProtobufValue::Enum([0, 1, -1, i32::MAX][random.usize(..4)]),
            Kind::Message(message) => return self.message(message, depth - 1),
        };
        match scalar {
            "double" => ProtobufValue::F64([0.0, 1.5, f64::NAN, f64::INFINITY, -1e300][random.usize(..5)]),
            "float" => ProtobufValue::F32([0.0, 0.1, f32::NAN, f32::NEG_INFINITY, 1e-40][random.usize(..5)]),
            "int32" | "sint32" | "sfixed32" => ProtobufValue::I32(whole as i32),
            "int64" | "sint64" | "sfixed64" => ProtobufValue::I64(whole as i64),
            "uint32" | "fixed32" => ProtobufValue::U32(whole as u32),
            "uint64" | "fixed64" => ProtobufValue::U64(whole),
            "bool" => ProtobufValue::Bool(small),
            "string" => ProtobufValue::String(
                (0..random.usize(..6))
                    .map(|_| random.char('a'..'\u{d7ff}'))
                    .collect(),
            ),
            _ => ProtobufValue::Bytes((0..random.usize(..200)).map(|_| random.u8(..)).collect()),
        }
    }

    /// As the oracle shows it.
    fn shown(&self, kind: Kind, value: &ProtobufValue) -> String {
        let (Kind::Message(message), ProtobufValue::Message(values)) = (kind, value) else {
            return scalar(value);
        };
        let mut fields: Vec<_> = self.messages[message].iter().collect();
        fields.sort_by_key(|field| field.number);
        let mut text = "{".to_owned();
        for field in fields {
            let Some((name, value)) = values.iter().find(|(name, _)| *name == field.name) else {
                continue;
            };
            let shown = match (field.label, value) {
                (_, ProtobufValue::List(items)) if items.is_empty() => continue,
                (_, ProtobufValue::Map(entries)) if entries.is_empty() => continue,
                (_, ProtobufValue::List(items)) => {
                    let items: String = items
                        .iter()
                        .map(|item| self.shown(field.kind, item) + ",")
                        .collect();
                    format!("[{items}]")
                }
                (_, ProtobufValue::Map(entries)) => {
                    let pair = |(key, value)| (scalar(key), self.shown(field.kind, value));
                    let entries: BTreeMap<_, _> =
                        entries.iter().map(|(key, value)| pair((key, value))).collect();
                    let entries: String = entries
                        .iter()
                        .map(|(key, value)| format!("{key}={value},"))
                        .collect();
                    format!("({entries})")
                }
                (Label::Implicit, value) if is_default(value) => continue,
                _ => self.shown(field.kind, value),
            };
            let _ = write!(text, "{name}={shown},");
        }
        text + "}"
    }
}

fn is_default(value: &ProtobufValue) -> bool {
    matches!(&*scalar(value), "0" | "#0" | "false" | "'")
}

fn scalar(value: &ProtobufValue) -> String {
    match value {
        ProtobufValue::Bool(is) => is.to_string(),
        ProtobufValue::I32(number) | ProtobufValue::Enum(number) => number.to_string(),
        ProtobufValue::I64(number) => number.to_string(),
        // Java has no unsigned ones.
        ProtobufValue::U32(number) => number.cast_signed().to_string(),
        ProtobufValue::U64(number) => number.cast_signed().to_string(),
        ProtobufValue::F32(number) => format!("#{:x}", number.to_bits()),
        ProtobufValue::F64(number) => format!("#{:x}", number.to_bits()),
        ProtobufValue::String(text) => format!("'{}", hex(text.bytes())),
        ProtobufValue::Bytes(bytes) => format!("'{}", hex(bytes.iter().copied())),
        ProtobufValue::Message(_) | ProtobufValue::List(_) | ProtobufValue::Map(_) => "?".to_owned(),
    }
}

/// A schema, bytes by it, and what they say.
fn case(seed: u64) -> (ProtobufSchema, Vec<u8>, String) {
    let mut generator = Generator::new(seed);
    let text = generator.text();
    let schema = ProtobufSchema::parse(&text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
    let value = generator.message(0, 4);
    let mut bytes = Vec::new();
    schema
        .write_value(&value, &mut bytes)
        .unwrap_or_else(|error| panic!("{text} {value:?}: {error}"));
    (schema, bytes, generator.shown(Kind::Message(0), &value))
}

#[test]
fn json_and_values_have_the_same_bytes() {
    for seed in 0..300 {
        let (schema, bytes, shown) = case(seed);
        let json = schema.read(&bytes).expect("a message");
        let json = crate::JsonValue::parse(json.as_bytes()).expect("JSON");
        let mut again = Vec::new();
        schema
            .write(&json, &mut again)
            .unwrap_or_else(|error| panic!("seed {seed}: {json:?}: {error}"));
        assert_eq!(again, bytes, "seed {seed}: {shown}");
    }
}

#[test]
fn bytes_are_those_of_googles_library() {
    let mut cases: Vec<_> = (0..700).map(case).collect();
    let extended = "syntax = \"proto2\"; message M { optional group G = 3 { optional int32 n = 1; } optional int32 b = 5; \
                    extensions 4; } extend M { repeated M e = 4; }";
    let extended = ProtobufSchema::parse(extended, None).expect("a schema");
    let mut bytes = Vec::new();
    extended
        .write(
            &json!({"b": 1, "[e]": [{}, {"g": {"n": 2}}], "g": {"n": 3}}),
            &mut bytes,
        )
        .expect("it fits");
    assert_eq!(
        bytes,
        [0x1B, 8, 3, 0x1C, 0x22, 0, 0x22, 4, 0x1B, 8, 2, 0x1C, 0x28, 1]
    );
    // Java's library only knows extensions that it is told of.
    cases.retain(|(_, bytes, _)| bytes.len() < 20_000);
    let question = |(schema, bytes, _): &(ProtobufSchema, Vec<u8>, String)| {
        format!(
            "{} {} {}",
            hex(schema.descriptor_set()),
            schema.name(),
            hex(bytes.iter().copied())
        )
    };
    let questions: Vec<_> = cases.iter().map(question).collect();
    let Some(answers) = ask("ProtobufOracle", &questions) else {
        return;
    };
    for ((schema, bytes, shown), answer) in cases.iter().zip(&answers) {
        let expected = format!("{} {shown}", hex(bytes.iter().copied()));
        assert_eq!(*answer, expected, "{schema:?}");
    }
    let long = cases.iter().filter(|(_, bytes, _)| bytes.len() > 200).count();
    assert!(long > 50, "{long} long messages");
}
