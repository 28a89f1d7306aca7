//! Records as lines of JSON, in the envelope that `kcat -C -J` prints.
//!
//! kcat copies bytes into its strings as they are, so that a line need not be UTF-8: keys and values are read as bytes.
//! Fields that say where a record was (`topic`, `offset`, `broker`) are of no use for sending it, and are passed over
//! like all that are unknown.

use crate::fields::{Fields, Header};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Reads one line. An error is one for people.
pub fn parse(line: &[u8]) -> Result<Fields<'_>, String> {
    let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|error| reason(&error))?;
    Ok(envelope.0)
}

/// Without the place: every line is line 1 to serde_json.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    if error.is_data() {
        reason.to_owned()
    } else {
        format!("not JSON: {reason}, at byte {}", error.column())
    }
}

struct Envelope<'a>(Fields<'a>);

/// Bytes of a string: UTF-8 or not.
struct Bytes<'a>(Cow<'a, [u8]>);

/// The headers, name and value by turns.
struct Headers<'a>(Vec<Header<'a>>);

/// The names of fields that we read; the others are `Other`.
enum Name {
    Key,
    Value,
    Headers,
    Partition,
    Timestamp,
    TimestampType,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let Bytes(name) = Bytes::deserialize(deserializer)?;
        Ok(match &*name {
            b"key" => Name::Key,
            // kcat says payload; value is what Kafka calls it.
            b"payload" | b"value" => Name::Value,
            b"headers" => Name::Headers,
            b"partition" => Name::Partition,
            b"ts" => Name::Timestamp,
            b"tstype" => Name::TimestampType,
            _ => Name::Other,
        })
    }
}

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes<'de>, D::Error> {
        struct BytesVisitor;

        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Bytes<'de>, E> {
                Ok(Bytes(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes<'de>, E> {
                Ok(Bytes(Cow::Owned(bytes.to_vec())))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Bytes<'de>, E> {
                self.visit_borrowed_bytes(text.as_bytes())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes<'de>, E> {
                self.visit_bytes(text.as_bytes())
            }
        }

        // An array of numbers would be taken for bytes too, but no visitor of ours visits it.
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

impl<'de> Deserialize<'de> for Headers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers<'de>, D::Error> {
        struct HeadersVisitor;

        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = Headers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of names and values by turns")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Headers<'de>, A::Error> {
                let mut headers = Vec::new();
                while let Some(Bytes(name)) = sequence.next_element()? {
                    let name = text(name).ok_or_else(|| A::Error::custom("a header's name is not UTF-8"))?;
                    let value: Option<Option<Bytes<'de>>> = sequence.next_element()?;
                    let value = value.ok_or_else(|| A::Error::custom("the last header has no value"))?;
                    headers.push((name, value.map(|Bytes(value)| value)));
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_seq(HeadersVisitor)
    }
}

fn text(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Envelope<'de>, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut fields = Fields::default();
        let mut seen = [false; 6];
        let mut known_time = true;
        while let Some(name) = map.next_key::<Name>()? {
            let (index, label) = match name {
                Name::Key => (0, "key"),
                Name::Value => (1, "payload"),
                Name::Headers => (2, "headers"),
                Name::Partition => (3, "partition"),
                Name::Timestamp => (4, "ts"),
                Name::TimestampType => (5, "tstype"),
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(A::Error::custom(format_args!("{label:?} stands there twice")));
            }
            let wrong = |error: A::Error| A::Error::custom(format_args!("{label:?}: {error}"));
            match name {
                Name::Key => {
                    let key: Option<Bytes<'de>> = map.next_value().map_err(wrong)?;
                    fields.key = key.map(|Bytes(key)| key);
                }
                Name::Value => {
                    let value: Option<Bytes<'de>> = map.next_value().map_err(wrong)?;
                    fields.value = value.map(|Bytes(value)| value);
                }
                Name::Headers => {
                    let headers: Option<Headers<'de>> = map.next_value().map_err(wrong)?;
                    fields.headers = headers.map_or_else(Vec::new, |Headers(headers)| headers);
                }
                Name::Partition => {
                    let partition: Option<i32> = map.next_value().map_err(wrong)?;
                    fields.partition = partition.filter(|&partition| partition >= 0);
                }
                Name::Timestamp => {
                    let timestamp: Option<i64> = map.next_value().map_err(wrong)?;
                    fields.timestamp_ms = timestamp.filter(|&timestamp| timestamp >= 0);
                }
                Name::TimestampType => {
                    let kind: Option<Bytes<'de>> = map.next_value().map_err(wrong)?;
                    known_time = kind.is_none_or(|Bytes(kind)| *kind != *b"unknown");
                }
                Name::Other => {}
            }
        }
        if !seen[1] {
            // Without this a misspelt name would send a record that deletes.
            return Err(A::Error::custom(
                "there is no \"payload\" (null would be a record without value)",
            ));
        }
        if !known_time {
            fields.timestamp_ms = None;
        }
        Ok(Envelope(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(bytes))
    }

    #[test]
    fn a_line_of_kcat_is_read() {
        let line = br#"{"topic":"a","partition":3,"offset":7,"tstype":"create","ts":1700000000000,"broker":1,"headers":["h","v","n",null,"h",""],"key":"k","payload":"v\u0000\/\n"}"#;
        let fields = parse(line).expect("an envelope");
        assert_eq!((fields.key, fields.value), (bytes(b"k"), bytes(b"v\0/\n")));
        assert_eq!(
            (fields.partition, fields.timestamp_ms),
            (Some(3), Some(1_700_000_000_000))
        );
        assert_eq!(
            fields.headers,
            [
                ("h".into(), bytes(b"v")),
                ("n".into(), None),
                ("h".into(), bytes(b""))
            ]
        );
    }

    #[test]
    fn nulls_are_not_empty() {
        let fields = parse(br#" {"key":null,"payload":null,"ts":5,"tstype":"unknown","partition":-1} "#);
        assert_eq!(fields, Ok(Fields::default()));
        let fields = parse(br#"{"value":"","key":""}"#).expect("an envelope");
        assert_eq!((fields.key, fields.value), (bytes(b""), bytes(b"")));
    }

    #[test]
    fn bytes_that_are_not_utf_8_stay() {
        let fields = parse(b"{\"payload\":\"\xff\xfe\\\"\x80\",\"key\":\"\xc3\"}").expect("an envelope");
        assert_eq!(
            (fields.key, fields.value),
            (bytes(b"\xc3"), bytes(b"\xff\xfe\"\x80"))
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        #[track_caller]
        fn check(line: &str, part: &str) {
            let error = parse(line.as_bytes()).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
            assert!(!error.contains("line 1"), "{error}");
        }
        check("", "not JSON: EOF");
        check("hello", "not JSON: expected value, at byte 1");
        check(r#"{"payload":"a"} x"#, "not JSON: trailing characters");
        check("[1]", "an object");
        check("{}", "no \"payload\"");
        check(r#"{"key":"a"}"#, "no \"payload\"");
        check(
            r#"{"payload":{"a":1}}"#,
            "\"payload\": invalid type: map, expected a string",
        );
        check(r#"{"payload":[104,105]}"#, "\"payload\": invalid type");
        check(r#"{"payload":"a","value":"b"}"#, "\"payload\" stands there twice");
        check(r#"{"payload":"a","ts":"x"}"#, "\"ts\": invalid type");
        check(
            r#"{"payload":"a","partition":3000000000}"#,
            "\"partition\": invalid value",
        );
        check(
            r#"{"payload":"a","headers":["h"]}"#,
            "the last header has no value",
        );
        check(
            r#"{"payload":"a","headers":{"h":"v"}}"#,
            "names and values by turns",
        );
        check(r#"{"payload":"a","headers":[null,"v"]}"#, "expected a string");
        assert!(
            parse(b"{\"payload\":\"a\",\"headers\":[\"\xff\",\"v\"]}")
                .is_err_and(|e| e.contains("not UTF-8"))
        );
    }
}
