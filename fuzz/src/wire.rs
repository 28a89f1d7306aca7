//! The primitive types: any sequence of reads over any bytes, on both kinds of readers; what was read is written and
//! read again.
//!
//! Input: the number of reads, one byte for each (its kind), then what they read from.

use bytes::Bytes;
use ottla_protocol::wire::{DecodeError, Reader, TaggedFields, Uuid, Writer};

use crate::within;

/// What one read gave.
#[derive(Debug, PartialEq)]
enum Value {
    Bool(bool),
    I8(i8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    /// By its bits: NaN is not itself.
    F64(u64),
    Uuid(Uuid),
    Unsigned(u32),
    Varint(i32),
    Varlong(i64),
    Text(bool, Option<String>),
    Bytes(bool, Option<Bytes>),
    Integers(bool, Option<Vec<i32>>),
    Texts(bool, Option<Vec<String>>),
    Blobs(bool, Option<Vec<Bytes>>),
    Tagged(TaggedFields),
}

/// One input.
pub fn run(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else {
        return;
    };
    let (reads, content) = rest.split_at(usize::from(count).min(rest.len()));
    let content = Bytes::copy_from_slice(content);
    // A string of one byte takes 24 and its text, an unknown tag of two bytes 40; vectors of values are ours.
    let bytes_max = 64 * content.len() + 64 * reads.len() * size_of::<Value>() + 4_096;
    let values = within(bytes_max, || {
        let mut reader = Reader::from_bytes(&content);
        all(&mut reader, reads)
    });
    let copied = all(&mut Reader::new(&content), reads);
    assert_eq!(values.0, copied.0);
    assert_eq!(
        values.1.map(|error| error.to_string()),
        copied.1.map(|error| error.to_string())
    );

    let mut writer = Writer::new();
    for value in &values.0 {
        write(&mut writer, value);
    }
    let written = writer.into_bytes();
    let (again, error) = all(&mut Reader::from_bytes(&written), &reads[..values.0.len()]);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(values.0, again);
}

/// All values up to the first error.
fn all(reader: &mut Reader<'_>, reads: &[u8]) -> (Vec<Value>, Option<DecodeError>) {
    let mut values = Vec::new();
    for &kind in reads {
        let before = reader.offset();
        match read(reader, kind) {
            Ok(value) => values.push(value),
            Err(error) => {
                assert!(
                    error.offset() >= before
                        && error.offset() <= before + reader.remaining() + reader.offset()
                );
                return (values, Some(error));
            }
        }
        assert!(reader.offset() >= before);
    }
    (values, None)
}

fn read(reader: &mut Reader<'_>, kind: u8) -> Result<Value, DecodeError> {
    let flexible = kind & 0x80 != 0;
    Ok(match kind & 0x1f {
        0 => Value::Bool(reader.bool("f")?),
        1 => Value::I8(reader.i8("f")?),
        2 => Value::I16(reader.i16("f")?),
        3 => Value::U16(reader.u16("f")?),
        4 => Value::I32(reader.i32("f")?),
        5 => Value::U32(reader.u32("f")?),
        6 => Value::I64(reader.i64("f")?),
        7 => Value::F64(reader.f64("f")?.to_bits()),
        8 => Value::Uuid(reader.uuid("f")?),
        9 => Value::Unsigned(reader.unsigned_varint("f")?),
        10 => Value::Varint(reader.varint("f")?),
        11 => Value::Varlong(reader.varlong("f")?),
        12 => Value::Text(flexible, reader.nullable_string(flexible, "f")?),
        13 => Value::Text(flexible, Some(reader.string(flexible, "f")?)),
        14 => Value::Text(flexible, Some(reader.str(flexible, "f")?.to_owned())),
        15 => Value::Bytes(flexible, reader.nullable_bytes(flexible, "f")?),
        16 => Value::Bytes(flexible, Some(reader.bytes(flexible, "f")?)),
        17 => Value::Integers(flexible, reader.nullable_scalars(flexible, "f")?),
        18 => Value::Integers(flexible, Some(reader.scalars(flexible, "f")?)),
        19 => Value::Texts(flexible, reader.nullable_strings(flexible, "f")?),
        20 => Value::Texts(flexible, Some(reader.strings(flexible, "f")?)),
        21 => Value::Blobs(flexible, reader.nullable_bytes_array(flexible, "f")?),
        22 => Value::Blobs(flexible, Some(reader.bytes_array(flexible, "f")?)),
        _ => {
            let mut fields = TaggedFields::new();
            reader.unknown_tagged_fields(&mut fields)?;
            let tags: Vec<_> = fields.iter().map(|(tag, _)| tag).collect();
            assert!(
                tags.is_sorted() && tags.windows(2).all(|pair| pair[0] != pair[1]),
                "{tags:?}"
            );
            Value::Tagged(fields)
        }
    })
}

fn write(writer: &mut Writer, value: &Value) {
    let result = match value {
        Value::Bool(value) => return writer.bool(*value),
        Value::I8(value) => return writer.i8(*value),
        Value::I16(value) => return writer.i16(*value),
        Value::U16(value) => return writer.u16(*value),
        Value::I32(value) => return writer.i32(*value),
        Value::U32(value) => return writer.u32(*value),
        Value::I64(value) => return writer.i64(*value),
        Value::F64(value) => return writer.f64(f64::from_bits(*value)),
        Value::Uuid(value) => return writer.uuid(*value),
        Value::Unsigned(value) => return writer.unsigned_varint(*value),
        Value::Varint(value) => return writer.varint(*value),
        Value::Varlong(value) => return writer.varlong(*value),
        Value::Text(flexible, value) => writer.nullable_string(*flexible, true, value.as_deref(), "f"),
        Value::Bytes(flexible, value) => writer.nullable_bytes(*flexible, true, value.as_ref(), "f"),
        Value::Integers(flexible, value) => writer.nullable_scalars(*flexible, true, value.as_deref(), "f"),
        Value::Texts(flexible, value) => writer.nullable_strings(*flexible, true, value.as_deref(), "f"),
        Value::Blobs(flexible, value) => writer.nullable_bytes_array(*flexible, true, value.as_deref(), "f"),
        Value::Tagged(value) => writer.unknown_tagged_fields(value),
    };
    result.expect("what was read is written");
}
