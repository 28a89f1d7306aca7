//! Lines of JSON as `kcat -C -J` prints them, which `ottla produce --input json` reads.
//!
//! Input: a line. Memory is bounded by it; what was read, written again by hand, reads the same; and where serde_json
//! finds the same strings in a line of UTF-8, they are the same strings.

use ottla_formats::envelope;
use ottla_formats::fields::Fields;
use serde_json::Value;

use crate::within;

/// One input.
pub fn run(input: &[u8]) {
    let fields = within(128 * (input.len() + 64), || envelope::parse(input));
    let fields = match fields {
        Ok(fields) => fields,
        Err(error) => {
            // The place that serde_json tells is not the file's; what quotes the line may say anything.
            assert!(
                !error.is_empty() && (error.contains('"') || !error.contains("at line")),
                "{error}"
            );
            return;
        }
    };
    let again = write(&fields);
    assert_eq!(envelope::parse(&again).as_ref(), Ok(&fields));
    if let Ok(value) = serde_json::from_slice::<Value>(input) {
        let text = |name: &str| value[name].as_str().map(str::as_bytes);
        assert_eq!(fields.key.as_deref(), text("key"));
        assert_eq!(fields.value.as_deref(), text("payload").or(text("value")));
        let pairs = value["headers"].as_array().map_or(0, |headers| headers.len());
        assert_eq!(fields.headers.len() * 2, pairs);
    }
}

fn write(fields: &Fields<'_>) -> Vec<u8> {
    let mut out = b"{\"payload\":".to_vec();
    string(fields.value.as_deref(), &mut out);
    out.extend_from_slice(b",\"key\":");
    string(fields.key.as_deref(), &mut out);
    out.extend_from_slice(b",\"headers\":[");
    for (index, (name, value)) in fields.headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(Some(name.as_bytes()), &mut out);
        out.push(b',');
        string(value.as_deref(), &mut out);
    }
    out.push(b']');
    if let Some(partition) = fields.partition {
        out.extend_from_slice(format!(",\"partition\":{partition}").as_bytes());
    }
    if let Some(timestamp) = fields.timestamp_ms {
        out.extend_from_slice(format!(",\"ts\":{timestamp}").as_bytes());
    }
    out.push(b'}');
    out
}

/// As kcat does: escapes where JSON asks for them, and all other bytes as they are.
fn string(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(bytes) = bytes else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
