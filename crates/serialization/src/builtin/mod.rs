//! Serializers for plain types, with the bytes of those that Java's client has in `org.apache.kafka.common.serialization`.
//!
//! A null value is a null payload in all of them.

mod bytes;
mod list;
mod number;
mod text;

pub use bytes::{ByteBufferSerializer, BytesSerializer, VoidSerializer};
pub use list::ListSerializer;
pub use number::{
    BooleanSerializer, DoubleSerializer, FloatSerializer, IntegerSerializer, LongSerializer, ShortSerializer,
};
pub use text::{Encoding, StringSerializer, UnknownEncoding, UuidSerializer};
