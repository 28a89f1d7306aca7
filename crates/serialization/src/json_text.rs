//! Values that come as text in JSON, and leave in any format that serde writes.

use crate::{Output, Payload, Readiness, SerializeError, Serializer, Target};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _};
use std::collections::BTreeSet;
use std::fmt;

/// Reads a value's JSON text (`str` or `[u8]`), and lets another serializer write what it says: by a schema in Avro,
/// Protobuf or JSON Schema, with a registry or without. That is what a program needs whose values are lines of text.
///
/// For Avro a value of a union stands as it is, or as in [Avro's JSON](https://avro.apache.org/docs/1.12.0/specification/#json-encoding),
/// by the name of its branch: `{"string": "x"}`, `{"shop.Order": {"id": 1}}`. An object with one key that is the name of one
/// of the union's branches always means that branch.
///
/// ```
/// use ottla_serialization::{AddedHeaders, JsonSerializer, JsonText, Output, Role, Serializer, Target};
///
/// # fn main() -> Result<(), ottla_serialization::SerializeError> {
/// // Any of `AvroSerializer`, `DynamicProtobufSerializer` and `JsonSchemaSerializer` stands here as well.
/// let serializer = JsonText::new(JsonSerializer);
/// let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
/// let mut output = Output::new(&mut bytes, &mut headers);
/// let _ = serializer.serialize(&Target::new("orders", Role::Value), Some("{ \"b\": 1, \"a\": [] }"), &mut output)?;
/// assert_eq!(bytes, br#"{"b":1,"a":[]}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonText<S>(S);

impl<S: Serializer<JsonValue>> JsonText<S> {
    /// Lets `serializer` write what texts say.
    pub fn new(serializer: S) -> JsonText<S> {
        JsonText(serializer)
    }

    fn write(
        &self,
        target: &Target<'_>,
        text: Option<&[u8]>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let value = text.map(JsonValue::parse).transpose();
        let value = value.map_err(|error| error.at(target))?;
        self.0.serialize(target, value.as_ref(), output)
    }
}

impl<S: Serializer<JsonValue>> Serializer<[u8]> for JsonText<S> {
    /// The other serializer is asked with the value `null`: the text is read only once.
    fn prepare(&self, target: &Target<'_>, value: Option<&[u8]>) -> Result<Readiness, SerializeError> {
        self.0.prepare(target, value.map(|_| &JsonValue::NULL))
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&[u8]>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        self.write(target, value, output)
    }
}

impl<S: Serializer<JsonValue>> Serializer<str> for JsonText<S> {
    fn prepare(&self, target: &Target<'_>, value: Option<&str>) -> Result<Readiness, SerializeError> {
        self.0.prepare(target, value.map(|_| &JsonValue::NULL))
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&str>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        self.write(target, value.map(str::as_bytes), output)
    }
}

/// What a JSON text says, with its keys in their order: it is written again as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonValue(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl JsonValue {
    const NULL: JsonValue = JsonValue(Node::Null);

    /// Reads a text.
    ///
    /// # Errors
    /// It is no JSON, has the same key twice in an object, or is nested deeper than 127.
    pub fn parse(text: &[u8]) -> Result<JsonValue, SerializeError> {
        serde_json::from_slice(text)
            .map(JsonValue)
            .map_err(|error| SerializeError::value(format!("it is no JSON: {error}")))
    }
}

impl Serialize for JsonValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(crate::JSON_TEXT, &self.0)
    }
}

impl Serialize for Node {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => serializer.serialize_unit(),
            Node::Boolean(is) => serializer.serialize_bool(*is),
            Node::Integer(number) => serializer.serialize_i64(*number),
            Node::Unsigned(number) => serializer.serialize_u64(*number),
            Node::Float(number) => serializer.serialize_f64(*number),
            Node::Text(text) => serializer.serialize_str(text),
            Node::Array(items) => serializer.collect_seq(items),
            Node::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Node, E> {
        Ok(Node::Boolean(is))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(i64::try_from(number).map_or(Node::Unsigned(number), Node::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some((name, value)) = entries.next_entry::<String, Node>()? {
            object.push((name, value));
        }
        let names: BTreeSet<_> = object.iter().map(|(name, _)| name).collect();
        if names.len() < object.len() {
            return Err(A::Error::custom("an object has the same key twice"));
        }
        Ok(Node::Object(object))
    }
}
