//! The primitive types of Kafka's wire protocol: [`Reader`], [`Writer`], and what they share.
//!
//! All numbers are big-endian. A *flexible* version of a message writes lengths as unsigned varints plus one (0 is
//! null) and ends each structure with tagged fields; an older version writes 16-bit lengths for strings and 32-bit ones
//! for the rest (-1 is null). The methods take that as the argument `flexible`.

mod error;
mod reader;
mod structure;
mod tagged;
mod uuid;
pub mod varint;
mod writer;

pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use reader::{Reader, TagReader};
pub use structure::Structure;
pub use tagged::TaggedFields;
pub use uuid::{ParseUuidError, Uuid};
pub use writer::{TagWriter, Writer};

/// The longest string that Kafka's own implementation reads or writes, in bytes of UTF-8.
///
/// The old form has a signed 16-bit length; Java keeps that limit for compact strings too.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// A number or [`Uuid`] of fixed width, as element of an array.
pub trait Scalar: Copy + private::Sealed {
    /// How many bytes it takes on the wire.
    const BYTES: usize;

    /// Reads it from exactly [`Self::BYTES`] bytes; shorter input gives zero.
    fn from_wire(bytes: &[u8]) -> Self;

    /// Appends its [`Self::BYTES`] bytes.
    fn to_wire(self, out: &mut Vec<u8>);
}

macro_rules! scalar {
    ($($type:ty),*) => {$(
        impl private::Sealed for $type {}

        impl Scalar for $type {
            const BYTES: usize = size_of::<$type>();

            #[inline]
            fn from_wire(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(Self::default(), |bytes| Self::from_be_bytes(*bytes))
            }

            #[inline]
            fn to_wire(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}

scalar!(i8, i16, u16, i32, u32, i64, f64);

impl private::Sealed for Uuid {}

impl Scalar for Uuid {
    const BYTES: usize = 16;

    #[inline]
    fn from_wire(bytes: &[u8]) -> Self {
        bytes
            .first_chunk()
            .map_or(Self::ZERO, |bytes| Self::from_bytes(*bytes))
    }

    #[inline]
    fn to_wire(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

mod private {
    pub trait Sealed {}
}
