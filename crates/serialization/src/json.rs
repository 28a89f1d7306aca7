//! JSON by serde.

use crate::{Output, Payload, SerializeError, Serializer, Target};
use serde::Serialize;

/// Anything that serde can serialize, as compact JSON. A null value is a null payload, not the text `null`.
///
/// Numbers that JSON has no form for (infinite, not a number) become `null`, as serde_json has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonSerializer;

impl<T: Serialize + ?Sized> Serializer<T> for JsonSerializer {
    #[inline]
    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        match serde_json::to_writer(&mut *output.bytes, value) {
            Ok(()) => Ok(Payload::Bytes),
            Err(_) => Err(explain(value).at(target)),
        }
    }
}

/// Serializes the value once more, this time watching where it is: who fails pays for it.
#[cold]
pub(crate) fn explain<T: Serialize + ?Sized>(value: &T) -> SerializeError {
    let mut sink = serde_json::Serializer::new(std::io::sink());
    match serde_path_to_error::serialize(value, &mut sink) {
        // It failed before: a value that changes between two looks.
        Ok(()) => SerializeError::value("the value cannot be written as JSON"),
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            SerializeError::value(error.inner().to_string()).with_field(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddedHeaders, Role};
    use serde::ser::Error as _;
    use std::collections::BTreeMap;

    fn json<T: Serialize + ?Sized>(value: Option<&T>) -> Result<(Payload, String), SerializeError> {
        let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
        let mut output = Output::new(&mut bytes, &mut headers);
        let payload = JsonSerializer.serialize(&Target::new("t", Role::Value), value, &mut output)?;
        Ok((payload, String::from_utf8(bytes).expect("JSON is text")))
    }

    #[derive(Serialize)]
    struct Order {
        number: u32,
        lines: Vec<Line>,
    }

    #[derive(Serialize)]
    struct Line {
        price: Price,
    }

    struct Price(i64);

    impl Serialize for Price {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 < 0 {
                return Err(S::Error::custom("a price is not negative"));
            }
            serializer.serialize_i64(self.0)
        }
    }

    fn order(prices: &[i64]) -> Order {
        let line = |price: &i64| Line { price: Price(*price) };
        Order {
            number: 7,
            lines: prices.iter().map(line).collect(),
        }
    }

    #[test]
    fn a_value_is_compact_json_and_none_is_null() {
        let text = r#"{"number":7,"lines":[{"price":1},{"price":2}]}"#.to_owned();
        assert_eq!(json(Some(&order(&[1, 2]))), Ok((Payload::Bytes, text)));
        assert_eq!(json::<Order>(None), Ok((Payload::Null, String::new())));
        assert_eq!(json(Some("a")), Ok((Payload::Bytes, "\"a\"".to_owned())));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let error = json(Some(&order(&[1, -2]))).expect_err("refused");
        assert_eq!(error.field(), Some("lines[1].price"));
        assert_eq!(
            error.to_string(),
            "value for topic \"t\": field lines[1].price: a price is not negative"
        );
        let keys = BTreeMap::from([((1, 2), 3)]);
        let error = json(Some(&BTreeMap::from([("map", keys)]))).expect_err("refused");
        assert!(error.message().contains("key must be a string"), "{error}");
    }
}
