//! What the mock lets through as the next version of a subject, for Protobuf and JSON Schema, by Confluent's rules.

use super::{Set, wait};
use crate::ErrorKind;
use crate::mock::Fault;
use crate::registry::{Compatibility, Reference, Schema, SchemaKind};
use serde_json::{Value, json};

/// An earlier version, a later one, and whether readers of the later read the earlier, and the other way around.
type Case<'c> = (&'c str, &'c str, bool, bool);

#[track_caller]
fn check(kind: SchemaKind, cases: &[Case<'_>]) {
    let set = Set::new();
    let registry = set.registry();
    for (number, (old, new, backward, forward)) in cases.iter().enumerate() {
        let (old, new) = (Schema::new(kind, *old), Schema::new(kind, *new));
        for (level, expected) in [
            (Compatibility::Backward, *backward),
            (Compatibility::Forward, *forward),
            (Compatibility::Full, *backward && *forward),
            (Compatibility::None, true),
        ] {
            let subject = format!("{number} {level:?}");
            wait(registry.register(&subject, &old, false)).expect("the first");
            wait(registry.set_compatibility(&subject, level)).expect("set");
            let found = wait(registry.is_compatible(&subject, &new));
            assert_eq!(
                found,
                Ok(expected),
                "{level:?} of\n{}\nand\n{}",
                old.text,
                new.text
            );
            let registered = wait(registry.register(&subject, &new, false));
            assert_eq!(registered.is_ok(), expected, "{registered:?}");
            if let Err(error) = registered {
                assert_eq!(
                    (error.kind(), error.subject()),
                    (ErrorKind::Incompatible, Some(&*subject))
                );
            }
        }
    }
}

/// In a message `M`.
fn proto(fields: &str) -> String {
    format!(
        "syntax = \"proto3\"; package p; message M {{ {fields} }} message N {{ int32 a = 1; }} enum E {{ E0 = 0; }}"
    )
}

#[test]
fn protobuf_is_compared_by_what_stands_on_the_wire() {
    let cases: Vec<_> = [
        // Fields may come and go, and change their names.
        ("int32 a = 1;", "int32 a = 1; string b = 2;", true, true),
        ("int32 a = 1;", "int32 b = 1;", true, true),
        // Numbers of one kind, texts and bytes.
        ("int32 a = 1;", "int64 a = 1;", true, true),
        ("int32 a = 1;", "bool a = 1;", true, true),
        ("E a = 1;", "uint32 a = 1;", true, true),
        ("string a = 1;", "bytes a = 1;", true, true),
        ("fixed32 a = 1;", "sfixed32 a = 1;", true, true),
        ("int32 a = 1;", "sint32 a = 1;", false, false),
        ("int32 a = 1;", "string a = 1;", false, false),
        ("float a = 1;", "double a = 1;", false, false),
        ("int32 a = 1;", "N a = 1;", false, false),
        ("N a = 1;", "M a = 1;", false, false),
        ("N a = 1;", "p.N a = 1;", true, true),
        (
            "google.protobuf.Timestamp a = 1;",
            "google.protobuf.Duration a = 1;",
            false,
            false,
        ),
        // Labels, of numbers only.
        ("optional int32 a = 1;", "repeated int32 a = 1;", false, false),
        ("optional string a = 1;", "repeated string a = 1;", true, true),
        ("int32 a = 1;", "repeated int32 a = 1;", true, true),
        // Maps.
        (
            "map<string, int32> a = 1;",
            "map<string, int64> a = 1;",
            true,
            true,
        ),
        (
            "map<string, int32> a = 1;",
            "map<string, string> a = 1;",
            false,
            false,
        ),
        ("map<string, int32> a = 1;", "int32 a = 1;", false, false),
        (
            "map<string, int32> a = 1;",
            "map<string, int32> b = 1;",
            true,
            true,
        ),
        // Messages in messages: gone is gone, also where nobody has it.
        (
            "message I { int32 a = 1; } I a = 1;",
            "message I { int32 a = 1; } I a = 1; message J {}",
            true,
            false,
        ),
        (
            "message I { int32 a = 1; } I a = 1;",
            "message I { string a = 1; } I a = 1;",
            false,
            false,
        ),
        (
            "message I { M up = 1; } I a = 1;",
            "message I { M up = 1; int32 b = 2; } I a = 1;",
            true,
            true,
        ),
        // Enums.
        (
            "enum I { A = 0; } I a = 1;",
            "enum I { B = 0; C = 1; } I a = 1;",
            true,
            true,
        ),
        // Oneofs.
        (
            "oneof x { int32 a = 1; }",
            "oneof x { int32 a = 1; int32 b = 2; }",
            true,
            false,
        ),
        (
            "int32 a = 1;",
            "oneof x { int32 a = 1; int32 b = 2; }",
            true,
            true,
        ),
        (
            "int32 a = 1; int32 b = 2;",
            "oneof x { int32 a = 1; int32 b = 2; }",
            false,
            true,
        ),
        (
            "int32 a = 1; oneof x { int32 b = 2; }",
            "oneof x { int32 a = 1; int32 b = 2; }",
            false,
            true,
        ),
        ("oneof x { int32 a = 1; }", "string a = 1;", false, false),
    ]
    .map(|(old, new, backward, forward)| (proto(old), proto(new), backward, forward))
    .into();
    let cases: Vec<_> = cases
        .iter()
        .map(|(old, new, b, f)| (&**old, &**new, *b, *f))
        .collect();
    check(SchemaKind::Protobuf, &cases);
    let whole = [
        // A package, a message, and required fields.
        (
            "syntax = \"proto3\"; package a; message M {}",
            "syntax = \"proto3\"; package b; message M {}",
            false,
            false,
        ),
        ("message M {}", "message M {} message N {}", true, false),
        (
            "message M {} message N {}",
            "message N {} message M {}",
            true,
            true,
        ),
        (
            "message M {}",
            "message M { required int32 a = 1; }",
            false,
            false,
        ),
        (
            "message M { optional int32 a = 1; }",
            "message M { required int32 a = 1; }",
            false,
            false,
        ),
    ];
    check(SchemaKind::Protobuf, &whole);
}

#[test]
fn json_schema_is_compared_by_what_it_allows() {
    let of = |properties: Value| json!({"type": "object", "properties": properties});
    let closed = |properties: Value| json!({"type": "object", "additionalProperties": false, "properties": properties});
    let text = || json!({"type": "string"});
    let number = || json!({"type": "number"});
    let cases = [
        (text(), number(), false, false),
        (json!({"type": "integer"}), number(), true, false),
        (text(), json!({}), true, false),
        (text(), json!(true), true, false),
        (json!(false), text(), true, false),
        // Words for people say nothing.
        (
            json!({"title": "a"}),
            json!({"description": "b", "default": 1}),
            true,
            true,
        ),
        // Texts and numbers.
        (
            json!({"type": "string", "maxLength": 3}),
            json!({"type": "string", "maxLength": 4}),
            true,
            false,
        ),
        (text(), json!({"type": "string", "minLength": 1}), false, true),
        (json!({"pattern": "a"}), json!({"pattern": "b"}), false, false),
        (
            json!({"type": "number", "minimum": 2}),
            json!({"type": "number", "minimum": 1}),
            true,
            false,
        ),
        (
            json!({"type": "number", "exclusiveMaximum": 2}),
            number(),
            true,
            false,
        ),
        (
            json!({"type": "number", "multipleOf": 4}),
            json!({"type": "number", "multipleOf": 2}),
            true,
            false,
        ),
        (json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), true, false),
        (json!({"const": 1}), json!({"const": 2}), false, false),
        // Objects that take whatever comes: a property that is named is narrower.
        (of(json!({})), of(json!({"a": {"type": "string"}})), false, true),
        (of(json!({})), of(json!({"a": {}})), true, true),
        (
            of(json!({"a": {"type": "string"}})),
            of(json!({"a": {"type": "number"}})),
            false,
            false,
        ),
        // Objects that take no others: one that is named is wider, if it is not required.
        (
            closed(json!({})),
            closed(json!({"a": {"type": "string"}})),
            true,
            false,
        ),
        (
            closed(json!({})),
            json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"type": "string"}}}),
            false,
            false,
        ),
        (
            closed(json!({})),
            json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"type": "string", "default": "x"}}}),
            true,
            false,
        ),
        (closed(json!({})), of(json!({})), true, false),
        // And those in between.
        (
            json!({"additionalProperties": {"type": "string"}}),
            json!({"additionalProperties": {"type": "string"}, "properties": {"a": {"type": "string"}}}),
            true,
            true,
        ),
        (
            json!({"additionalProperties": {"type": "string"}}),
            json!({"additionalProperties": {"type": "string"}, "properties": {"a": {"type": "number"}}}),
            false,
            false,
        ),
        (
            json!({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": false}),
            json!({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": false,
                "properties": {"xa": {"type": "string"}}}),
            true,
            true,
        ),
        (
            json!({"properties": {"a": {}}, "required": ["a"]}),
            json!({"properties": {"a": {}}}),
            true,
            false,
        ),
        (
            json!({"dependencies": {"a": ["b", "c"]}}),
            json!({"dependencies": {"a": ["b"]}}),
            true,
            false,
        ),
        (
            json!({"type": "object", "maxProperties": 2}),
            json!({"type": "object", "maxProperties": 1}),
            false,
            true,
        ),
        // Arrays.
        (
            json!({"items": {"type": "integer"}}),
            json!({"items": {"type": "number"}}),
            true,
            false,
        ),
        (
            json!({"type": "array"}),
            json!({"items": {"type": "number"}}),
            false,
            true,
        ),
        (
            json!({"type": "array", "uniqueItems": true}),
            json!({"type": "array"}),
            true,
            false,
        ),
        (
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            json!({"prefixItems": [{"type": "string"}, {"type": "string"}], "items": false}),
            true,
            false,
        ),
        (
            json!({"items": [{"type": "string"}], "additionalItems": false}),
            json!({"items": [{"type": "string"}]}),
            true,
            false,
        ),
        // Several at once.
        (text(), json!({"type": ["string", "null"]}), true, false),
        (
            text(),
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
            true,
            false,
        ),
        (
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"oneOf": [{"type": "string"}, {"type": "null"}]}),
            true,
            true,
        ),
        (
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            true,
            false,
        ),
        (
            json!({"allOf": [{"type": "string"}, {"maxLength": 3}]}),
            json!({"allOf": [{"maxLength": 3}]}),
            true,
            false,
        ),
        (
            json!({"not": {"type": "number"}}),
            json!({"not": {"type": "integer"}}),
            true,
            false,
        ),
        // References, also to oneself.
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}),
            number(),
            true,
            false,
        ),
        (
            json!({"$id": "n", "properties": {"next": {"$ref": "#"}}}),
            json!({"$id": "n", "properties": {"next": {"$ref": "#"}}, "maxProperties": 1}),
            false,
            true,
        ),
    ];
    let cases =
        cases.map(|(old, new, backward, forward)| (old.to_string(), new.to_string(), backward, forward));
    let cases: Vec<_> = cases
        .iter()
        .map(|(old, new, b, f)| (&**old, &**new, *b, *f))
        .collect();
    check(SchemaKind::Json, &cases);
}

/// The last version may go with what the first does not.
#[test]
fn transitive_levels_look_at_all_versions() {
    let versions = |kind, texts: [&str; 3]| texts.map(|text| Schema::new(kind, text));
    let message = |fields: &str| format!("message M {{ {fields} }}");
    let texts = ["optional int32 a = 1;", "", "optional string a = 1;"].map(message);
    let objects = [
        r#"{"properties": {"a": {}}}"#,
        r#"{"properties": {"a": {"default": 1}}, "required": ["a"]}"#,
        r#"{"properties": {"a": {}}, "required": ["a"]}"#,
    ];
    let set = Set::new();
    let registry = set.registry();
    for (level, transitive, [first, second, third]) in [
        (
            Compatibility::Full,
            Compatibility::FullTransitive,
            versions(SchemaKind::Protobuf, [&*texts[0], &*texts[1], &*texts[2]]),
        ),
        (
            Compatibility::Backward,
            Compatibility::BackwardTransitive,
            versions(SchemaKind::Json, objects),
        ),
    ] {
        let subject = format!("{transitive:?}");
        wait(registry.set_compatibility(&subject, level)).expect("set");
        for schema in [&first, &second] {
            wait(registry.register(&subject, schema, false)).expect("compatible");
        }
        let last = wait(registry.is_compatible(&subject, &third)).expect("asked");
        wait(registry.set_compatibility(&subject, transitive)).expect("set");
        let all = wait(registry.is_compatible(&subject, &third)).expect("asked");
        assert_eq!((last, all), (true, false), "{level:?}");
    }
}

#[test]
fn what_is_referred_to_is_compared_too_and_must_be_there() {
    let set = Set::new();
    let registry = set.registry();
    let inner = |field: &str| {
        Schema::new(
            SchemaKind::Protobuf,
            format!("syntax = \"proto3\"; package p; message I {{ {field} i = 1; }}"),
        )
    };
    let outer = |field: &str| {
        let text = "syntax = \"proto3\"; package p; import \"i.proto\"; message O { I i = 1; }";
        let reference = Reference::to_schema("i.proto", format!("inner {field}"), inner(field));
        Schema::new(SchemaKind::Protobuf, text).with_reference(reference)
    };
    wait(registry.register("o", &outer("int32"), false)).expect("the first");
    wait(registry.register("o", &outer("int64"), false)).expect("compatible");
    let error = wait(registry.register("o", &outer("string"), false)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    assert!(error.message().contains("/O/1/1: "), "{error}");
    let part = |kind: &str| Schema::new(SchemaKind::Json, json!({"type": kind}).to_string());
    let whole = |kind: &str| {
        let reference = Reference::to_schema("part.json", format!("part {kind}"), part(kind));
        let text = json!({"properties": {"a": {"$ref": "part.json"}}}).to_string();
        Schema::new(SchemaKind::Json, text).with_reference(reference)
    };
    wait(registry.register("w", &whole("integer"), false)).expect("the first");
    wait(registry.register("w", &whole("number"), false)).expect("compatible");
    let error = wait(registry.register("w", &whole("string"), false)).expect_err("refused");
    assert!(error.message().contains("#/properties/a: "), "{error}");
    for (kind, text) in [
        (SchemaKind::Protobuf, "message {"),
        (SchemaKind::Protobuf, "import \"nowhere.proto\"; message M {}"),
        (SchemaKind::Json, "7"),
        (SchemaKind::Json, "{"),
    ] {
        let error = wait(registry.register("x", &Schema::new(kind, text), false)).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    }
}

/// Parts that each name the next one twice, or each other: comparing them ends.
#[test]
fn comparing_ends() {
    let set = Set::new();
    let registry = set.registry();
    let huge = |last: &str| {
        let mut parts = serde_json::Map::new();
        for number in 0..60 {
            let next = json!({"$ref": format!("#/$defs/{}", number + 1)});
            let twice = json!({"oneOf": [{"properties": {"a": next}}, {"properties": {"b": next}}]});
            parts.insert(number.to_string(), twice);
        }
        parts.insert("60".to_owned(), json!({"type": last}));
        Schema::new(
            SchemaKind::Json,
            json!({"$ref": "#/$defs/0", "$defs": parts}).to_string(),
        )
    };
    wait(registry.register("huge", &huge("string"), false)).expect("the first");
    let error = wait(registry.register("huge", &huge("number"), false)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    let circle = |word: &str| {
        let text = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, word: 1});
        Schema::new(SchemaKind::Json, text.to_string())
    };
    wait(registry.register("circle", &circle("x"), false)).expect("the first");
    let _ = wait(registry.register("circle", &circle("y"), false));
}

/// Redpanda's registry can only be asked about one version.
#[test]
fn a_registry_that_is_not_asked_about_all_versions_is_asked_about_the_last() {
    let set = Set::new();
    let registry = set.registry();
    let schema = Schema::new(SchemaKind::Avro, "\"long\"");
    set.mock.push_fault(Fault::Status(404));
    assert_eq!(wait(registry.is_compatible("s", &schema)), Ok(true));
    let path = "POST /compatibility/subjects/s/versions";
    assert_eq!(
        set.mock.take_requests(),
        [path.to_owned(), format!("{path}/latest")]
    );
    // What is wrong with the schema is told all the same.
    let error =
        wait(registry.is_compatible("s", &Schema::new(SchemaKind::Avro, "{"))).expect_err("no schema");
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Refused, Some("s")));
}
