//! JSON Schema: any text is a schema or an error, and any JSON is allowed or not, within the thread's stack and some time.
//! The input is a schema, a zero byte, and a value.

use crate::parts;
use ottla_serialization::ErrorKind;
use ottla_serialization::json_schema::JsonSchema;

/// One input.
pub fn run(input: &[u8]) {
    let Some((schema, value)) = parts(input) else {
        return;
    };
    let schema = match JsonSchema::parse(schema) {
        Ok(schema) => schema,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Schema, "{error}"),
    };
    let verdict = schema.check(value);
    if let Err(error) = &verdict {
        assert_eq!(error.kind(), ErrorKind::Value, "{error}");
        assert!(error.message().len() < 8 * 1024, "{error}");
    }
    assert_eq!(verdict, schema.check(value));
}
