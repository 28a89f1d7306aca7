//! Avro: any text is a schema or an error, any JSON fits it or not, and what was written is read as what it was. The input is
//! a schema, a zero byte, and a value in JSON or in Avro.

use crate::parts;
use crate::within;
use ottla_serialization::avro::AvroSchema;
use ottla_serialization::{ErrorKind, JsonValue};

/// One input.
pub fn run(input: &[u8]) {
    let Some((schema, value)) = parts(input) else {
        return;
    };
    // A default is kept as bytes beside the graph, and an array of nulls costs nothing on the wire.
    within(4 * 1024 * 1024 + 512 * input.len(), || {
        let schema = match AvroSchema::parse(schema) {
            Ok(schema) => schema,
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Schema, "{error}"),
        };
        if let Ok(value) = JsonValue::parse(value) {
            let mut bytes = Vec::new();
            match schema.write(&value, &mut bytes) {
                Ok(()) => again(&schema, &bytes),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Value, "{error}"),
            }
        }
        if schema.read(value).is_ok() {
            again(&schema, value);
        }
    });
}

/// What is read and written is read as the same; NaN, which is not equal to itself, by its text.
fn again(schema: &AvroSchema, bytes: &[u8]) {
    let read = schema.read(bytes).expect("it was written, or read before");
    let mut rewritten = Vec::new();
    schema
        .write(&read, &mut rewritten)
        .expect("it was read by this schema");
    let reread = schema.read(&rewritten).expect("it was just written");
    assert_eq!(format!("{read:?}"), format!("{reread:?}"));
}
