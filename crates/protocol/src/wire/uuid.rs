//! Topic, directory and instance ids.

use std::fmt;
use std::str::FromStr;

/// A 128-bit id in Kafka's form: text is base64url without padding, zero means "none".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// No id: what Kafka sends where an id could be.
    pub const ZERO: Self = Self([0; 16]);

    /// The id with these bytes, the most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id of these two halves, as Java builds it.
    pub const fn from_halves(most_significant: u64, least_significant: u64) -> Self {
        Self((((most_significant as u128) << 64) | least_significant as u128).to_be_bytes())
    }

    /// The bytes, the most significant first.
    pub const fn into_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The bytes, the most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether this is [`Self::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 128 bits in sixes, the last two of which stand alone.
const TEXT_BYTES: usize = 22;

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = String::with_capacity(TEXT_BYTES);
        for index in 0..TEXT_BYTES as u32 {
            // The last digit holds two bits, at its top.
            let digit = if index == 21 {
                bits << 4
            } else {
                bits >> (122 - 6 * index)
            };
            text.push(char::from(ALPHABET[(digit & 0x3f) as usize]));
        }
        formatter.pad(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The text is no id: 22 digits of base64url without padding are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseUuidError;

impl fmt::Display for ParseUuidError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not an id: 22 digits of base64url without padding are expected")
    }
}

impl std::error::Error for ParseUuidError {}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        if text.len() != TEXT_BYTES {
            return Err(ParseUuidError);
        }
        let mut bits = 0_u128;
        for (index, byte) in text.bytes().enumerate() {
            let digit = ALPHABET
                .iter()
                .position(|&letter| letter == byte)
                .ok_or(ParseUuidError)? as u128;
            if index < TEXT_BYTES - 1 {
                bits = (bits << 6) | digit;
            } else if digit & 0xf == 0 {
                bits = (bits << 2) | (digit >> 4);
            } else {
                return Err(ParseUuidError);
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_java() {
        // From org.apache.kafka.common.Uuid of kafka-clients 4.3.1.
        for (most, least, text) in [
            (0, 0, "AAAAAAAAAAAAAAAAAAAAAA"),
            (0, 1, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (u64::MAX, u64::MAX, "_____________________w"),
            (
                0x0123_4567_89ab_cdef,
                0xfedc_ba98_7654_3210,
                "ASNFZ4mrze_-3LqYdlQyEA",
            ),
        ] {
            let id = Uuid::from_halves(most, least);
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAA+A",
            "AAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(ParseUuidError), "{text}");
        }
    }
}
