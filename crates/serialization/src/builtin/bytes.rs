//! Bytes as they are, and nothing.

use crate::{Output, Payload, SerializeError, Serializer, Target};
use std::io::Cursor;

/// Bytes as they are: Java's `ByteArraySerializer` and `BytesSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesSerializer;

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for BytesSerializer {
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
        output.bytes.extend_from_slice(value.as_ref());
        Ok(Payload::Bytes)
    }
}

/// All of a buffer, wherever its position is: Java's `ByteBufferSerializer`, which rewinds (KAFKA-4852). A cursor plays
/// Java's buffer here.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByteBufferSerializer;

impl<B: AsRef<[u8]>> Serializer<Cursor<B>> for ByteBufferSerializer {
    fn serialize(
        &self,
        _target: &Target<'_>,
        value: Option<&Cursor<B>>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        output.bytes.extend_from_slice(value.get_ref().as_ref());
        Ok(Payload::Bytes)
    }
}

/// Null, always: Java's `VoidSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VoidSerializer;

impl Serializer<()> for VoidSerializer {
    fn serialize(
        &self,
        _target: &Target<'_>,
        _value: Option<&()>,
        _output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        Ok(Payload::Null)
    }
}
