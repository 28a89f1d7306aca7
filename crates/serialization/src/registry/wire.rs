//! How a record says which schema it has.
//!
//! In front of the payload: a byte 0, the id in four bytes, and for Protobuf the path to the message. Or in the header
//! `__key_schema_id` or `__value_schema_id`: a byte 1, the schema's GUID in sixteen bytes, and for Protobuf the path; the
//! payload is then the format's alone.

use crate::{Output, Role};
use std::fmt;
use std::str::FromStr;

/// The header that tells a key's schema.
pub const KEY_SCHEMA_ID_HEADER: &str = "__key_schema_id";
/// The header that tells a value's schema.
pub const VALUE_SCHEMA_ID_HEADER: &str = "__value_schema_id";

const MAGIC_ID: u8 = 0;
const MAGIC_GUID: u8 = 1;

/// Nested messages beyond that are nobody's; a path from the network has no other bound.
const INDEXES_MAX: usize = 64;

/// A schema's id that is the same in all registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

impl FromStr for Guid {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Guid, WireError> {
        let mut digits = text.bytes().filter(|byte| *byte != b'-');
        let mut digit = || digits.next().and_then(|byte| char::from(byte).to_digit(16));
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(WireError("a GUID has 32 hexadecimal digits"));
            };
            *byte = (high * 16 + low) as u8;
        }
        match digits.next() {
            None => Ok(Guid(bytes)),
            Some(_) => Err(WireError("a GUID has 32 hexadecimal digits")),
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Which schema a record has.
///
/// Not `non_exhaustive`: the wire has these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// The number that the registry gave.
    Id(u32),
    /// The GUID.
    Guid(Guid),
}

/// The path to a Protobuf message: its index in the file, and those of the messages inside.
pub fn message_indexes(indexes: &[u32], bytes: &mut Vec<u8>) {
    // The first message of a file is nearly always meant; it has a short form.
    if indexes == [0] {
        bytes.push(0);
        return;
    }
    zigzag(indexes.len() as u64, bytes);
    for index in indexes {
        zigzag(u64::from(*index), bytes);
    }
}

/// As Java's `ByteUtils.writeVarint`, for numbers that are not negative.
fn zigzag(number: u64, bytes: &mut Vec<u8>) {
    let mut rest = number << 1;
    while rest >= 0x80 {
        bytes.push((rest as u8 & 0x7F) | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// What is written with each record of one schema and topic: made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Magic byte and id: of a length that the compiler knows.
    Prefix([u8; 5]),
    /// The same with a path to a message behind it.
    LongPrefix(Vec<u8>),
    Header(Vec<u8>),
}

impl Framing {
    /// `indexes` is `None` but for Protobuf.
    pub(crate) fn new(id: SchemaId, indexes: Option<&[u32]>) -> Framing {
        let mut bytes = Vec::new();
        match id {
            SchemaId::Id(id) => {
                bytes.push(MAGIC_ID);
                bytes.extend_from_slice(&id.to_be_bytes());
            }
            SchemaId::Guid(guid) => {
                bytes.push(MAGIC_GUID);
                bytes.extend_from_slice(&guid.0);
            }
        }
        if let Some(indexes) = indexes {
            message_indexes(indexes, &mut bytes);
        }
        match id {
            SchemaId::Id(_) => match <[u8; 5]>::try_from(&bytes[..]) {
                Ok(prefix) => Framing::Prefix(prefix),
                Err(_) => Framing::LongPrefix(bytes),
            },
            SchemaId::Guid(_) => Framing::Header(bytes),
        }
    }

    #[inline]
    pub(crate) fn write(&self, role: Role, output: &mut Output<'_>) {
        match self {
            Framing::Prefix(prefix) => output.bytes.extend_from_slice(prefix),
            Framing::LongPrefix(prefix) => output.bytes.extend_from_slice(prefix),
            Framing::Header(value) => output.headers.add(header_name(role), value),
        }
    }
}

fn header_name(role: Role) -> &'static str {
    match role {
        Role::Key => KEY_SCHEMA_ID_HEADER,
        Role::Value => VALUE_SCHEMA_ID_HEADER,
    }
}

/// A record taken apart, as `DualSchemaIdDeserializer` does: the header wins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireForm<'a> {
    /// Which schema it has.
    pub id: SchemaId,
    /// The path to the message, for Protobuf.
    pub message_indexes: Vec<u32>,
    /// What the format itself wrote.
    pub payload: &'a [u8],
}

impl<'a> WireForm<'a> {
    /// Reads a payload and the last header for its schema, if there is one.
    ///
    /// # Errors
    /// It was not written with a schema registry.
    pub fn read(
        payload: &'a [u8],
        header: Option<&[u8]>,
        has_indexes: bool,
    ) -> Result<WireForm<'a>, WireError> {
        let mut rest = payload;
        let (id, message_indexes) = match header {
            Some(mut header) => read_id(&mut header, has_indexes)?,
            None => read_id(&mut rest, has_indexes)?,
        };
        Ok(WireForm {
            id,
            message_indexes,
            payload: rest,
        })
    }
}

fn read_id(source: &mut &[u8], has_indexes: bool) -> Result<(SchemaId, Vec<u32>), WireError> {
    let id = match take(source, 1)?[0] {
        MAGIC_ID => SchemaId::Id(u32::from_be_bytes(take_array(source)?)),
        MAGIC_GUID => SchemaId::Guid(Guid(take_array(source)?)),
        _ => return Err(WireError("unknown magic byte")),
    };
    let indexes = if has_indexes {
        read_indexes(source)?
    } else {
        Vec::new()
    };
    Ok((id, indexes))
}

fn take<'a>(source: &mut &'a [u8], count: usize) -> Result<&'a [u8], WireError> {
    let (taken, rest) = source
        .split_at_checked(count)
        .ok_or(WireError("too short for a schema id"))?;
    *source = rest;
    Ok(taken)
}

fn take_array<const N: usize>(source: &mut &[u8]) -> Result<[u8; N], WireError> {
    let mut array = [0; N];
    array.copy_from_slice(take(source, N)?);
    Ok(array)
}

fn read_indexes(source: &mut &[u8]) -> Result<Vec<u32>, WireError> {
    let count = read_index(source)? as usize;
    if count == 0 {
        return Ok(vec![0]);
    }
    if count > INDEXES_MAX {
        return Err(WireError("too many message indexes"));
    }
    (0..count).map(|_| read_index(source)).collect()
}

fn read_index(source: &mut &[u8]) -> Result<u32, WireError> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let byte = take(source, 1)?[0];
        if shift == 28 && byte > 0x0F {
            break;
        }
        number |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            // Odd ones stand for negative numbers.
            return match number % 2 {
                0 => Ok(number / 2),
                _ => Err(WireError("a message index is negative")),
            };
        }
    }
    Err(WireError("a message index is too large"))
}

/// What is no schema id, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError(&'static str);

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AddedHeaders;
    use proptest::prelude::*;

    fn written(id: SchemaId, indexes: Option<&[u32]>) -> (Vec<u8>, Option<Vec<u8>>) {
        let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
        let mut output = Output::new(&mut bytes, &mut headers);
        Framing::new(id, indexes).write(Role::Value, &mut output);
        let header = headers.iter().next().map(|(name, value)| {
            assert_eq!(name, "__value_schema_id");
            value.to_vec()
        });
        (bytes, header)
    }

    #[test]
    fn bytes_are_confluents() {
        assert_eq!(written(SchemaId::Id(258), None).0, [0, 0, 0, 1, 2]);
        assert_eq!(written(SchemaId::Id(1), Some(&[0])).0, [0, 0, 0, 0, 1, 0]);
        assert_eq!(written(SchemaId::Id(1), Some(&[1])).0, [0, 0, 0, 0, 1, 2, 2]);
        assert_eq!(
            written(SchemaId::Id(1), Some(&[2, 64])).0,
            [0, 0, 0, 0, 1, 4, 4, 128, 1]
        );
        let guid: Guid = "89791762-2336-4186-9674-299b90a802e2".parse().expect("a GUID");
        assert_eq!(guid.to_string(), "89791762-2336-4186-9674-299b90a802e2");
        let (payload, header) = written(SchemaId::Guid(guid), Some(&[0]));
        let header = header.expect("one header");
        assert!(payload.is_empty());
        assert_eq!((header[0], &header[1..17], header[17]), (1, &guid.0[..], 0));
    }

    #[test]
    fn what_is_no_guid_is_refused() {
        for text in ["", "89791762", "g9791762-2336-4186-9674-299b90a802e2"] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
        assert!("89791762-2336-4186-9674-299b90a802e2ff".parse::<Guid>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id in any::<u32>(), guid in any::<Option<[u8; 16]>>(), indexes in prop::option::of(
            prop::collection::vec(0..=u32::MAX >> 1, 1..9))) {
            let id = guid.map_or(SchemaId::Id(id), |guid| SchemaId::Guid(Guid(guid)));
            let (mut payload, header) = written(id, indexes.as_deref());
            payload.extend_from_slice(b"rest");
            let read = WireForm::read(&payload, header.as_deref(), indexes.is_some()).expect("well formed");
            prop_assert_eq!(read.id, id);
            prop_assert_eq!(read.message_indexes, indexes.unwrap_or_default());
            prop_assert_eq!(read.payload, b"rest");
        }
    }
}
