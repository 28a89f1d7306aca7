//! The reader and the writer without messages: what embedders write by hand.

use bytes::Bytes;
use ottla_protocol::wire::{DecodeErrorKind, Reader, Uuid, Writer};
use proptest::prelude::*;

/// One value of each kind that the wire has.
#[derive(Debug, Clone)]
enum Value {
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Float64(f64),
    Uuid([u8; 16]),
    UnsignedVarint(u32),
    Varint(i32),
    Varlong(i64),
    Text(bool, Option<String>),
    Bytes(bool, Option<Vec<u8>>),
    Numbers(bool, Option<Vec<i64>>),
    Texts(bool, Option<Vec<String>>),
    Chunks(bool, Option<Vec<Vec<u8>>>),
}

fn value() -> impl Strategy<Value = Value> {
    use proptest::collection::vec;
    use proptest::option::of;
    let bytes = || vec(any::<u8>(), 0..40);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Int8),
        any::<i16>().prop_map(Value::Int16),
        any::<u16>().prop_map(Value::Uint16),
        any::<i32>().prop_map(Value::Int32),
        any::<u32>().prop_map(Value::Uint32),
        any::<i64>().prop_map(Value::Int64),
        any::<f64>().prop_map(Value::Float64),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        any::<u32>().prop_map(Value::UnsignedVarint),
        any::<i32>().prop_map(Value::Varint),
        any::<i64>().prop_map(Value::Varlong),
        (any::<bool>(), of(".{0,30}")).prop_map(|(flexible, text)| Value::Text(flexible, text)),
        (any::<bool>(), of(bytes())).prop_map(|(flexible, bytes)| Value::Bytes(flexible, bytes)),
        (any::<bool>(), of(vec(any::<i64>(), 0..9)))
            .prop_map(|(flexible, all)| Value::Numbers(flexible, all)),
        (any::<bool>(), of(vec(".{0,9}", 0..9))).prop_map(|(flexible, all)| Value::Texts(flexible, all)),
        (any::<bool>(), of(vec(bytes(), 0..9))).prop_map(|(flexible, all)| Value::Chunks(flexible, all)),
    ]
}

fn write(value: &Value, writer: &mut Writer) {
    match value.clone() {
        Value::Bool(value) => writer.bool(value),
        Value::Int8(value) => writer.i8(value),
        Value::Int16(value) => writer.i16(value),
        Value::Uint16(value) => writer.u16(value),
        Value::Int32(value) => writer.i32(value),
        Value::Uint32(value) => writer.u32(value),
        Value::Int64(value) => writer.i64(value),
        Value::Float64(value) => writer.f64(value),
        Value::Uuid(value) => writer.uuid(Uuid::from_bytes(value)),
        Value::UnsignedVarint(value) => writer.unsigned_varint(value),
        Value::Varint(value) => writer.varint(value),
        Value::Varlong(value) => writer.varlong(value),
        Value::Text(flexible, text) => writer
            .nullable_string(flexible, true, text.as_deref(), "f")
            .unwrap(),
        Value::Bytes(flexible, bytes) => {
            writer
                .nullable_bytes(flexible, true, bytes.map(Bytes::from).as_ref(), "f")
                .unwrap();
        }
        Value::Numbers(flexible, all) => writer
            .nullable_scalars(flexible, true, all.as_deref(), "f")
            .unwrap(),
        Value::Texts(flexible, all) => writer
            .nullable_strings(flexible, true, all.as_deref(), "f")
            .unwrap(),
        Value::Chunks(flexible, all) => {
            let all = all.map(|all| all.into_iter().map(Bytes::from).collect::<Vec<_>>());
            writer
                .nullable_bytes_array(flexible, true, all.as_deref(), "f")
                .unwrap();
        }
    }
}

fn check(value: &Value, reader: &mut Reader<'_>) {
    match value.clone() {
        Value::Bool(value) => assert_eq!(reader.bool("f"), Ok(value)),
        Value::Int8(value) => assert_eq!(reader.i8("f"), Ok(value)),
        Value::Int16(value) => assert_eq!(reader.i16("f"), Ok(value)),
        Value::Uint16(value) => assert_eq!(reader.u16("f"), Ok(value)),
        Value::Int32(value) => assert_eq!(reader.i32("f"), Ok(value)),
        Value::Uint32(value) => assert_eq!(reader.u32("f"), Ok(value)),
        Value::Int64(value) => assert_eq!(reader.i64("f"), Ok(value)),
        Value::Float64(value) => assert_eq!(reader.f64("f").map(f64::to_bits), Ok(value.to_bits())),
        Value::Uuid(value) => assert_eq!(reader.uuid("f"), Ok(Uuid::from_bytes(value))),
        Value::UnsignedVarint(value) => assert_eq!(reader.unsigned_varint("f"), Ok(value)),
        Value::Varint(value) => assert_eq!(reader.varint("f"), Ok(value)),
        Value::Varlong(value) => assert_eq!(reader.varlong("f"), Ok(value)),
        Value::Text(flexible, text) => assert_eq!(reader.nullable_string(flexible, "f"), Ok(text)),
        Value::Bytes(flexible, bytes) => {
            assert_eq!(reader.nullable_bytes(flexible, "f"), Ok(bytes.map(Bytes::from)));
        }
        Value::Numbers(flexible, all) => assert_eq!(reader.nullable_scalars(flexible, "f"), Ok(all)),
        Value::Texts(flexible, all) => assert_eq!(reader.nullable_strings(flexible, "f"), Ok(all)),
        Value::Chunks(flexible, all) => {
            let all = all.map(|all| all.into_iter().map(Bytes::from).collect());
            assert_eq!(reader.nullable_bytes_array(flexible, "f"), Ok(all));
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in proptest::collection::vec(value(), 0..20)) {
        let mut writer = Writer::new();
        for value in &values {
            write(value, &mut writer);
        }
        let bytes = writer.into_bytes();
        for mut reader in [Reader::new(&bytes), Reader::from_bytes(&bytes)] {
            for value in &values {
                check(value, &mut reader);
            }
            prop_assert_eq!(reader.offset(), bytes.len());
            prop_assert!(reader.finish().is_ok());
        }
    }

    #[test]
    fn ids_survive_text(bytes in any::<[u8; 16]>()) {
        let id = Uuid::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
}

#[test]
fn null_is_no_value_where_none_is_asked_for() {
    for flexible in [false, true] {
        let null = if flexible { &[0][..] } else { &[0xff; 4] };
        let kinds = [
            Reader::new(null).string(flexible, "f").map(drop),
            Reader::new(null).bytes(flexible, "f").map(drop),
            Reader::new(null).scalars::<i32>(flexible, "f").map(drop),
            Reader::new(null).strings(flexible, "f").map(drop),
            Reader::new(null).bytes_array(flexible, "f").map(drop),
            Reader::new(null).count(flexible, 1, "f").map(drop),
        ];
        for result in kinds {
            assert_eq!(
                result.map_err(|error| error.kind().clone()),
                Err(DecodeErrorKind::UnexpectedNull)
            );
        }
    }
}

#[test]
fn a_size_can_be_filled_in_afterwards() {
    let mut writer = Writer::from(vec![9]);
    writer.i32(0);
    writer.raw(b"body");
    writer.patch_i32(1, 4);
    assert_eq!(writer.as_slice(), [9, 0, 0, 0, 4, b'b', b'o', b'd', b'y']);
    writer.patch_i32(7, -1);
    assert_eq!(
        writer.as_slice(),
        [9, 0, 0, 0, 4, b'b', b'o', b'd', b'y'],
        "beyond the end nothing is written"
    );
}
