//! Numbers in network byte order, and booleans.

use crate::{Output, Payload, SerializeError, Serializer, Target};

macro_rules! numbers {
    ($($(#[$about:meta])* $name:ident: $number:ty;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Serializer<$number> for $name {
            #[inline]
            fn serialize(
                &self,
                _target: &Target<'_>,
                value: Option<&$number>,
                output: &mut Output<'_>,
            ) -> Result<Payload, SerializeError> {
                let Some(value) = value else {
                    return Ok(Payload::Null);
                };
                output.bytes.extend_from_slice(&value.to_be_bytes());
                Ok(Payload::Bytes)
            }

            fn is_constant_size(&self) -> bool {
                true
            }
        }
    )*};
}

numbers! {
    /// 2 bytes: Java's `ShortSerializer`.
    ShortSerializer: i16;
    /// 4 bytes: Java's `IntegerSerializer`.
    IntegerSerializer: i32;
    /// 8 bytes: Java's `LongSerializer`.
    LongSerializer: i64;
    /// 4 bytes, the bits as they are (of not-a-number too): Java's `FloatSerializer`.
    FloatSerializer: f32;
}

/// 8 bytes: Java's `DoubleSerializer`, which makes all not-a-numbers the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoubleSerializer;

impl Serializer<f64> for DoubleSerializer {
    #[inline]
    fn serialize(
        &self,
        _target: &Target<'_>,
        value: Option<&f64>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        /// What `Double.doubleToLongBits` returns for all of them.
        const NOT_A_NUMBER: u64 = 0x7FF8_0000_0000_0000;
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        let bits = if value.is_nan() {
            NOT_A_NUMBER
        } else {
            value.to_bits()
        };
        output.bytes.extend_from_slice(&bits.to_be_bytes());
        Ok(Payload::Bytes)
    }

    fn is_constant_size(&self) -> bool {
        true
    }
}

/// One byte, 0 or 1: Java's `BooleanSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BooleanSerializer;

impl Serializer<bool> for BooleanSerializer {
    fn serialize(
        &self,
        _target: &Target<'_>,
        value: Option<&bool>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        output.bytes.push(u8::from(*value));
        Ok(Payload::Bytes)
    }
}
