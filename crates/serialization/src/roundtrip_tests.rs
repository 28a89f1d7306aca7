//! From a value to bytes, and back by somebody else's reading.

use crate::builtin::{
    BooleanSerializer, BytesSerializer, DoubleSerializer, Encoding, FloatSerializer, IntegerSerializer,
    LongSerializer, ShortSerializer, StringSerializer, UuidSerializer,
};
use crate::{AddedHeaders, Output, Payload, Role, Serializer, Target};
use proptest::prelude::*;

/// The bytes of a value, behind some that were there; none for a null payload.
fn bytes<T: ?Sized>(serializer: &impl Serializer<T>, value: Option<&T>) -> Option<Vec<u8>> {
    let (mut bytes, mut headers) = (b"before".to_vec(), AddedHeaders::new());
    let mut output = Output::new(&mut bytes, &mut headers);
    let payload = serializer.serialize(&Target::new("t", Role::Value), value, &mut output);
    assert!(headers.is_empty() && bytes.starts_with(b"before"));
    (payload.expect("it fits") == Payload::Bytes).then(|| bytes[6..].to_vec())
}

/// What was written of a number, whose length has to be right.
fn number<T, const N: usize>(serializer: &impl Serializer<T>, value: &T) -> [u8; N] {
    assert_eq!(bytes(serializer, None), None, "null is null");
    let bytes = bytes(serializer, Some(value)).expect("it is not null");
    bytes.try_into().expect("the length of the type")
}

proptest! {
    #[test]
    fn numbers_come_back(short: i16, integer: i32, long: i64, float: f32, double: f64, is: bool) {
        prop_assert_eq!(i16::from_be_bytes(number(&ShortSerializer, &short)), short);
        prop_assert_eq!(i32::from_be_bytes(number(&IntegerSerializer, &integer)), integer);
        prop_assert_eq!(i64::from_be_bytes(number(&LongSerializer, &long)), long);
        prop_assert_eq!(f32::from_be_bytes(number(&FloatSerializer, &float)).to_bits(), float.to_bits());
        prop_assert_eq!(f64::from_be_bytes(number(&DoubleSerializer, &double)).to_bits(), double.to_bits());
        prop_assert_eq!(number(&BooleanSerializer, &is), [u8::from(is)]);
    }

    #[test]
    fn texts_and_bytes_come_back(text: String, raw: Vec<u8>, uuid: [u8; 16]) {
        let written = bytes(&StringSerializer::default(), Some(text.as_str())).expect("it is not null");
        prop_assert_eq!(String::from_utf8(written).expect("UTF-8"), text);
        prop_assert_eq!(bytes(&BytesSerializer, Some(raw.as_slice())), Some(raw));
        let written = bytes(&UuidSerializer::new(Encoding::default()), Some(&uuid)).expect("it is not null");
        let written = String::from_utf8(written).expect("UTF-8");
        prop_assert_eq!(u128::from_str_radix(&written.replace('-', ""), 16), Ok(u128::from_be_bytes(uuid)));
    }
}

#[cfg(feature = "json")]
mod json {
    use super::*;
    use crate::{JsonSerializer, JsonText};
    use serde_json::Value;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // Those that every reader reads to the last digit.
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        /// By serde, and by way of a text that is read and written again.
        #[test]
        fn json_comes_back(value in values()) {
            let written = bytes(&JsonSerializer, Some(&value)).expect("it is not null");
            let read: Value = serde_json::from_slice(&written).expect("JSON");
            prop_assert_eq!(read, value);
            let text = std::str::from_utf8(&written).expect("UTF-8");
            let again = bytes(&JsonText::new(JsonSerializer), Some(text));
            prop_assert_eq!(again, Some(written.clone()));
        }
    }
}
