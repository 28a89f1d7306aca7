//! The built-in serializers against Java's.

use crate::builtin::*;
use crate::oracle::{ask, hex, samples};
use crate::{AddedHeaders, Output, Payload, Role, Serializer, Target};
use proptest::prelude::*;
use std::io::Cursor;

/// A question to the oracle, and what we say.
#[derive(Clone, Debug)]
struct Case {
    question: String,
    ours: String,
}

fn payload<T: ?Sized>(serializer: &impl Serializer<T>, value: Option<&T>) -> String {
    let (mut bytes, mut headers) = (vec![0xAB], AddedHeaders::new());
    let target = Target::new("topic", Role::Value);
    let payload = serializer
        .serialize(&target, value, &mut Output::new(&mut bytes, &mut headers))
        .expect("every value fits");
    assert!(bytes[0] == 0xAB && headers.is_empty());
    match payload {
        Payload::Null => {
            assert_eq!(bytes.len(), 1, "a null appends nothing");
            "null".to_owned()
        }
        Payload::Bytes => hex(bytes[1..].iter().copied()),
    }
}

fn case<T>(kind: &str, serializer: &impl Serializer<T>, value: Option<T>, text: fn(&T) -> String) -> Case {
    let shown = value.as_ref().map_or("null".to_owned(), text);
    Case {
        question: format!("{kind} {shown}"),
        ours: payload(serializer, value.as_ref()),
    }
}

fn list<T: Clone>(
    kind: &str,
    serializer: impl Serializer<T>,
    values: Vec<Option<T>>,
    text: fn(&T) -> String,
) -> Case {
    let shown: String = values
        .iter()
        .map(|value| format!("{},", value.as_ref().map_or("null".to_owned(), text)))
        .collect();
    Case {
        question: format!("list {kind} {shown}"),
        ours: payload(&ListSerializer::new(serializer), Some(&values)),
    }
}

#[expect(clippy::ptr_arg, reason = "the type that the serializer takes")]
fn utf_16(text: &String) -> String {
    hex(text.encode_utf16().flat_map(u16::to_be_bytes))
}

#[expect(clippy::ptr_arg, reason = "the type that the serializer takes")]
fn bytes(bytes: &Vec<u8>) -> String {
    hex(bytes.iter().copied())
}

fn maybe<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    prop::option::weighted(0.9, strategy)
}

fn plain() -> impl Strategy<Value = Case> {
    let encodings = prop::sample::select(vec![
        "UTF-8",
        "US-ASCII",
        "ISO-8859-1",
        "UTF-16",
        "UTF-16BE",
        "UTF-16LE",
    ]);
    let blob = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (encodings.clone(), maybe(any::<String>())).prop_map(|(encoding, text)| {
            let serializer = StringSerializer::new(encoding.parse().expect("a name"));
            case(&format!("string:{encoding}"), &serializer, text, utf_16)
        }),
        (encodings, maybe(any::<u128>())).prop_map(|(encoding, uuid)| {
            let serializer = UuidSerializer::new(encoding.parse().expect("a name"));
            case(&format!("uuid:{encoding}"), &serializer, uuid, |uuid| {
                format!("{uuid:x}")
            })
        }),
        maybe(blob()).prop_map(|value| case("bytes", &BytesSerializer, value, bytes)),
        maybe(blob()).prop_map(|value| case("wrapped", &BytesSerializer, value, bytes)),
        (blob(), any::<prop::sample::Index>()).prop_map(|(value, position)| {
            let position = position.index(value.len() + 1);
            let mut buffer = Cursor::new(value);
            buffer.set_position(position as u64);
            case(
                &format!("buffer:{position}"),
                &ByteBufferSerializer,
                Some(buffer),
                |buffer| bytes(buffer.get_ref()),
            )
        }),
        maybe(any::<i16>()).prop_map(|value| case("short", &ShortSerializer, value, |n| format!("{n:x}"))),
        maybe(any::<i32>())
            .prop_map(|value| case("integer", &IntegerSerializer, value, |n| format!("{n:x}"))),
        maybe(any::<i64>()).prop_map(|value| case("long", &LongSerializer, value, |n| format!("{n:x}"))),
        maybe(any::<f32>().prop_union(prop::num::f32::ANY)).prop_map(|value| case(
            "float",
            &FloatSerializer,
            value,
            |n| format!("{:x}", n.to_bits())
        )),
        maybe(any::<f64>().prop_union(prop::num::f64::ANY)).prop_map(|value| case(
            "double",
            &DoubleSerializer,
            value,
            |n| format!("{:x}", n.to_bits())
        )),
        maybe(any::<bool>()).prop_map(|value| {
            case("boolean", &BooleanSerializer, value, |is| {
                u8::from(*is).to_string()
            })
        }),
        Just(case("void", &VoidSerializer, None, |()| String::new())),
    ]
}

fn lists() -> impl Strategy<Value = Case> {
    fn some<S: Strategy>(strategy: S) -> impl Strategy<Value = Vec<Option<S::Value>>>
    where
        S::Value: Clone,
    {
        prop::collection::vec(prop::option::weighted(0.7, strategy), 0..6)
    }
    prop_oneof![
        some(any::<i16>()).prop_map(|v| list("short", ShortSerializer, v, |n| format!("{n:x}"))),
        some(any::<i32>()).prop_map(|v| list("integer", IntegerSerializer, v, |n| format!("{n:x}"))),
        some(any::<i64>()).prop_map(|v| list("long", LongSerializer, v, |n| format!("{n:x}"))),
        some(any::<f32>()).prop_map(|v| list("float", FloatSerializer, v, |n| format!("{:x}", n.to_bits()))),
        some(any::<f64>())
            .prop_map(|v| list("double", DoubleSerializer, v, |n| format!("{:x}", n.to_bits()))),
        some(any::<u128>()).prop_map(|v| list("uuid", UuidSerializer::default(), v, |n| format!("{n:x}"))),
        some(any::<bool>())
            .prop_map(|v| list("boolean", BooleanSerializer, v, |is| u8::from(*is).to_string())),
        some(any::<String>()).prop_map(|v| list("string", StringSerializer::default(), v, utf_16)),
    ]
}

#[test]
fn payloads_are_javas() {
    let mut cases = samples(&plain(), 6_000);
    cases.extend(samples(&lists(), 2_000));
    let questions: Vec<_> = cases.iter().map(|case| case.question.clone()).collect();
    let Some(answers) = ask("SerializersOracle", &questions) else {
        return;
    };
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(&case.ours, answer, "{}", case.question);
    }
    let nulls = answers.iter().filter(|answer| *answer == "null").count();
    assert!((100..4_000).contains(&nulls), "{nulls} nulls");
}

/// The samples above hardly ever make those.
#[test]
fn not_a_number_is_javas() {
    let float = |bits: u32| {
        case("float", &FloatSerializer, Some(f32::from_bits(bits)), |n| {
            format!("{:x}", n.to_bits())
        })
    };
    let double = |bits: u64| {
        case("double", &DoubleSerializer, Some(f64::from_bits(bits)), |n| {
            format!("{:x}", n.to_bits())
        })
    };
    let cases = [
        float(0x7FC0_0001),
        float(0xFFC0_0000),
        double(0x7FF8_0000_0000_0001),
        double(0xFFF8_0000_0000_0000),
    ];
    let questions: Vec<_> = cases.iter().map(|case| case.question.clone()).collect();
    let Some(answers) = ask("SerializersOracle", &questions) else {
        return;
    };
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(&case.ours, answer, "{}", case.question);
    }
}

#[test]
fn an_element_that_fails_is_named() {
    let (mut output, mut headers) = (Vec::new(), AddedHeaders::new());
    let list = vec![Some(()), None];
    let error = ListSerializer::new(VoidSerializer)
        .serialize(
            &Target::new("t", Role::Key),
            Some(&list),
            &mut Output::new(&mut output, &mut headers),
        )
        .expect_err("refused");
    assert_eq!(error.field(), Some("[0]"));
}
