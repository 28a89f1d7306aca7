//! Text, and UUIDs, which are text.

use crate::{Output, Payload, SerializeError, Serializer, Target};
use std::fmt;
use std::str::FromStr;

/// Text in an [`Encoding`], UTF-8 unless another is given: Java's `StringSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringSerializer(Encoding);

impl StringSerializer {
    /// Text in that encoding (Java's `key.serializer.encoding`, `value.serializer.encoding`, `serializer.encoding`).
    pub fn new(encoding: Encoding) -> StringSerializer {
        StringSerializer(encoding)
    }
}

impl<T: AsRef<str> + ?Sized> Serializer<T> for StringSerializer {
    #[inline]
    fn serialize(
        &self,
        _target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        self.0.encode(value.as_ref(), output.bytes);
        Ok(Payload::Bytes)
    }
}

/// The 36 characters of a UUID in an [`Encoding`]: Java's `UUIDSerializer`. The UUID is given by its 16 bytes or as one
/// number.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidSerializer(Encoding);

impl UuidSerializer {
    /// In that encoding.
    pub fn new(encoding: Encoding) -> UuidSerializer {
        UuidSerializer(encoding)
    }
}

impl Serializer<[u8; 16]> for UuidSerializer {
    fn serialize(
        &self,
        _target: &Target<'_>,
        value: Option<&[u8; 16]>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        let text = uuid_text(value);
        // Hexadecimal digits and hyphens.
        let text = std::str::from_utf8(&text).unwrap_or_default();
        self.0.encode(text, output.bytes);
        Ok(Payload::Bytes)
    }

    fn is_constant_size(&self) -> bool {
        true
    }
}

impl Serializer<u128> for UuidSerializer {
    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&u128>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let bytes = value.map(|value| value.to_be_bytes());
        self.serialize(target, bytes.as_ref(), output)
    }

    fn is_constant_size(&self) -> bool {
        true
    }
}

fn uuid_text(uuid: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

/// How characters become bytes: the six that every Java has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// ASCII; other characters become `?`.
    Ascii,
    /// ISO-8859-1; other characters become `?`.
    Latin1,
    /// UTF-16, big end first, behind a mark that says so.
    Utf16,
    /// UTF-16, big end first.
    Utf16Be,
    /// UTF-16, little end first.
    Utf16Le,
}

impl Encoding {
    #[inline]
    fn encode(self, text: &str, bytes: &mut Vec<u8>) {
        /// The byte order mark.
        const MARK: [u8; 2] = [0xFE, 0xFF];
        match self {
            Encoding::Utf8 => bytes.extend_from_slice(text.as_bytes()),
            Encoding::Ascii => bytes.extend(text.chars().map(|char| single_byte(char, 0x7F))),
            Encoding::Latin1 => bytes.extend(text.chars().map(|char| single_byte(char, 0xFF))),
            // Java writes no mark in front of nothing.
            Encoding::Utf16 if text.is_empty() => {}
            Encoding::Utf16 => {
                bytes.extend_from_slice(&MARK);
                bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Encoding::Utf16Be => bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Encoding::Utf16Le => bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
    }
}

fn single_byte(char: char, max: u8) -> u8 {
    u8::try_from(u32::from(char))
        .ok()
        .filter(|byte| *byte <= max)
        .unwrap_or(b'?')
}

/// The name is none of the encodings here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEncoding(String);

impl fmt::Display for UnknownEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no such encoding here: {:?}; expected UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE or UTF-16LE",
            self.0
        )
    }
}

impl std::error::Error for UnknownEncoding {}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Java's names and the usual other ones, in any case.
    fn from_str(name: &str) -> Result<Encoding, UnknownEncoding> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Encoding::Utf8,
            "US-ASCII" | "ASCII" => Encoding::Ascii,
            "ISO-8859-1" | "ISO8859_1" | "ISO8859-1" | "LATIN1" => Encoding::Latin1,
            "UTF-16" | "UTF16" => Encoding::Utf16,
            "UTF-16BE" => Encoding::Utf16Be,
            "UTF-16LE" => Encoding::Utf16Le,
            _ => return Err(UnknownEncoding(name.to_owned())),
        })
    }
}
