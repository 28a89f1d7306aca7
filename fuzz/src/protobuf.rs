//! Protobuf by a schema in text: any text is a schema or an error, any JSON fits it or not, what was written is read as what it
//! was, and the same value has the same bytes. The input is a schema, a zero byte, and a value in JSON or in Protobuf, which is
//! taken for a payload with a registry's id, too.

use crate::parts;
use ottla_serialization::protobuf::ProtobufSchema;
use ottla_serialization::registry::{WireForm, message_indexes};
use ottla_serialization::{ErrorKind, JsonValue};

/// One input.
pub fn run(input: &[u8]) {
    framed(input);
    let Some((schema, value)) = parts(input) else {
        return;
    };
    framed(value);
    let schema = match ProtobufSchema::parse(schema, None) {
        Ok(schema) => schema,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Schema, "{error}"),
    };
    assert_eq!(schema.message_indexes(), [0]);
    if let Ok(value) = JsonValue::parse(value) {
        let mut bytes = Vec::new();
        match schema.write(&value, &mut bytes) {
            Ok(()) => again(&schema, &bytes),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Value, "{error}"),
        }
    }
    // What JSON cannot say (a time beyond year 9999, unknown fields, a text that is none) is not read.
    if schema.read(value).is_ok() {
        again(&schema, value);
    }
}

fn again(schema: &ProtobufSchema, bytes: &[u8]) {
    let Ok(json) = schema.read(bytes) else { return };
    let value = JsonValue::parse(json.as_bytes()).expect("JSON");
    let mut first = Vec::new();
    // A message from the network may lack what is required.
    if schema.write(&value, &mut first).is_err() {
        return;
    }
    let mut second = Vec::new();
    let json = schema.read(&first).expect("it was just written");
    let value = JsonValue::parse(json.as_bytes()).expect("JSON");
    schema
        .write(&value, &mut second)
        .expect("it was read by this schema");
    assert_eq!(first, second, "{json}");
}

/// Ids and paths to messages: what is read is written again as it was, in its shortest form.
fn framed(payload: &[u8]) {
    for (payload, header) in [(payload, None), (&[][..], Some(payload))] {
        let Ok(form) = WireForm::read(payload, header, true) else {
            continue;
        };
        let mut path = vec![0; 5];
        message_indexes(&form.message_indexes, &mut path);
        let again = WireForm::read(&path, None, true).expect("well formed");
        assert_eq!(again.message_indexes, form.message_indexes);
        assert!(form.message_indexes.len() <= payload.len().max(header.map_or(0, <[u8]>::len)) + 1);
    }
}
