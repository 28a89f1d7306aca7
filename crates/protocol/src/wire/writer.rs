//! Writing the primitive types.

use bytes::Bytes;

use super::error::{EncodeError, EncodeErrorKind};
use super::{STRING_BYTES_MAX, Scalar, TaggedFields, Uuid, varint};

type Result<T> = std::result::Result<T, EncodeError>;

/// The longest bytes or array that a signed 32-bit length can tell.
const LENGTH_MAX: usize = i32::MAX as usize;

/// A growing buffer that messages are written to.
///
/// After an error the content is of no use.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub const fn new() -> Self {
        Self { out: Vec::new() }
    }

    /// An empty writer that takes `capacity` bytes without growing.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
        }
    }

    /// What has been written.
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Forgets what has been written and keeps the memory.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// What has been written.
    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }

    /// What has been written.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.out)
    }

    /// Makes room for `additional` bytes.
    pub fn reserve(&mut self, additional: usize) {
        self.out.reserve(additional);
    }

    /// Overwrites the four bytes at `offset`, such as a size that is known only afterwards.
    ///
    /// Bytes that have not been written yet are left alone.
    pub fn patch_i32(&mut self, offset: usize, value: i32) {
        if let Some(place) = self.out.get_mut(offset..offset + 4) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Writes bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes a boolean.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    /// Writes an `int8`.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an `int16`.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a `uint16`.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an `int32`.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a `uint32`.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an `int64`.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a `float64`.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an id.
    #[inline]
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(value.as_bytes());
    }

    /// Writes an unsigned varint.
    #[inline]
    pub fn unsigned_varint(&mut self, value: u32) {
        if value < 0x80 {
            self.out.push(value as u8);
        } else {
            self.unsigned_varint_long(value);
        }
    }

    #[inline(never)]
    fn unsigned_varint_long(&mut self, value: u32) {
        let mut digits = [0; varint::U32_BYTES_MAX];
        let length = varint::put_u32(value, &mut digits);
        self.raw(&digits[..length]);
    }

    /// Writes a signed (zig-zag) varint.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(varint::zigzag_i32(value));
    }

    /// Writes a signed (zig-zag) 64-bit varint.
    pub fn varlong(&mut self, value: i64) {
        let mut digits = [0; varint::U64_BYTES_MAX];
        let length = varint::put_u64(varint::zigzag_i64(value), &mut digits);
        self.raw(&digits[..length]);
    }

    /// Writes a string.
    pub fn string(&mut self, flexible: bool, value: &str, field: &'static str) -> Result<()> {
        if value.len() > STRING_BYTES_MAX {
            return Err(too_long(value.len(), STRING_BYTES_MAX, field));
        }
        if flexible {
            self.unsigned_varint(value.len() as u32 + 1);
        } else {
            self.i16(value.len() as i16);
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    /// Writes a string, or null where `nullable`.
    pub fn nullable_string(
        &mut self,
        flexible: bool,
        nullable: bool,
        value: Option<&str>,
        field: &'static str,
    ) -> Result<()> {
        match value {
            Some(value) => self.string(flexible, value, field),
            None if nullable => {
                self.raw(if flexible { &[0] } else { &[0xff; 2] });
                Ok(())
            }
            None => Err(unexpected_null(field)),
        }
    }

    /// Writes bytes.
    pub fn bytes(&mut self, flexible: bool, value: &[u8], field: &'static str) -> Result<()> {
        self.count(flexible, value.len(), field)?;
        self.raw(value);
        Ok(())
    }

    /// Writes bytes, or null where `nullable`.
    pub fn nullable_bytes(
        &mut self,
        flexible: bool,
        nullable: bool,
        value: Option<&Bytes>,
        field: &'static str,
    ) -> Result<()> {
        match value {
            Some(value) => self.bytes(flexible, value, field),
            None => self.null(flexible, nullable, field),
        }
    }

    /// Writes the length of bytes or the count of an array.
    pub fn count(&mut self, flexible: bool, count: usize, field: &'static str) -> Result<()> {
        if count > LENGTH_MAX {
            return Err(too_long(count, LENGTH_MAX, field));
        }
        if flexible {
            self.unsigned_varint(count as u32 + 1);
        } else {
            self.i32(count as i32);
        }
        Ok(())
    }

    /// Writes null in the place of bytes or an array, where `nullable`.
    pub fn null(&mut self, flexible: bool, nullable: bool, field: &'static str) -> Result<()> {
        if !nullable {
            return Err(unexpected_null(field));
        }
        self.raw(if flexible { &[0] } else { &[0xff; 4] });
        Ok(())
    }

    /// Writes an array of numbers or ids.
    pub fn scalars<T: Scalar>(&mut self, flexible: bool, values: &[T], field: &'static str) -> Result<()> {
        self.count(flexible, values.len(), field)?;
        self.out.reserve(values.len() * T::BYTES);
        for value in values {
            value.to_wire(&mut self.out);
        }
        Ok(())
    }

    /// Writes an array of numbers or ids, or null where `nullable`.
    pub fn nullable_scalars<T: Scalar>(
        &mut self,
        flexible: bool,
        nullable: bool,
        values: Option<&[T]>,
        field: &'static str,
    ) -> Result<()> {
        match values {
            Some(values) => self.scalars(flexible, values, field),
            None => self.null(flexible, nullable, field),
        }
    }

    /// Writes an array of strings.
    pub fn strings(&mut self, flexible: bool, values: &[String], field: &'static str) -> Result<()> {
        self.count(flexible, values.len(), field)?;
        for (index, value) in values.iter().enumerate() {
            self.string(flexible, value, "")
                .map_err(|error| error.in_element(field, index))?;
        }
        Ok(())
    }

    /// Writes an array of strings, or null where `nullable`.
    pub fn nullable_strings(
        &mut self,
        flexible: bool,
        nullable: bool,
        values: Option<&[String]>,
        field: &'static str,
    ) -> Result<()> {
        match values {
            Some(values) => self.strings(flexible, values, field),
            None => self.null(flexible, nullable, field),
        }
    }

    /// Writes an array of bytes.
    pub fn bytes_array(&mut self, flexible: bool, values: &[Bytes], field: &'static str) -> Result<()> {
        self.count(flexible, values.len(), field)?;
        for (index, value) in values.iter().enumerate() {
            self.bytes(flexible, value, "")
                .map_err(|error| error.in_element(field, index))?;
        }
        Ok(())
    }

    /// Writes an array of bytes, or null where `nullable`.
    pub fn nullable_bytes_array(
        &mut self,
        flexible: bool,
        nullable: bool,
        values: Option<&[Bytes]>,
        field: &'static str,
    ) -> Result<()> {
        match values {
            Some(values) => self.bytes_array(flexible, values, field),
            None => self.null(flexible, nullable, field),
        }
    }

    /// Refuses to drop a field that is set and that the version does not have.
    #[inline]
    pub fn absent(&self, is_set: bool, field: &'static str) -> Result<()> {
        if is_set {
            Err(EncodeError::new(EncodeErrorKind::FieldNotInVersion, field))
        } else {
            Ok(())
        }
    }

    /// Refuses to drop unknown tagged fields in a version that has none.
    #[inline]
    pub fn no_tagged_fields(&self, unknown: &TaggedFields) -> Result<()> {
        if unknown.is_empty() {
            return Ok(());
        }
        Err(EncodeError::new(
            EncodeErrorKind::TaggedFieldsNotInVersion,
            TAGGED_FIELDS,
        ))
    }

    /// Writes the tagged fields of a structure that knows none.
    #[inline]
    pub fn unknown_tagged_fields(&mut self, unknown: &TaggedFields) -> Result<()> {
        if unknown.is_empty() {
            self.out.push(0);
            return Ok(());
        }
        let tags = self.begin_tags(unknown);
        self.end_tags(tags)
    }

    /// Begins the tagged fields of a structure. [`begin_tag`](Self::begin_tag) and [`end_tag`](Self::end_tag) add the
    /// known ones in the order of their tags, [`end_tags`](Self::end_tags) what is left of the unknown ones.
    pub fn begin_tags<'u>(&mut self, unknown: &'u TaggedFields) -> TagWriter<'u> {
        let count_at = self.out.len();
        // The count is known at the end only; nearly always it takes this one byte.
        self.out.push(0);
        TagWriter {
            count_at,
            count: 0,
            content_at: 0,
            unknown: unknown.entries(),
        }
    }

    /// Begins the field `tag`, after the unknown ones that come before it.
    pub fn begin_tag(&mut self, tags: &mut TagWriter<'_>, tag: u32) -> Result<()> {
        while let Some(((next, content), rest)) = tags.unknown.split_first() {
            if *next == tag {
                return Err(EncodeError::new(EncodeErrorKind::TagTaken { tag }, TAGGED_FIELDS));
            }
            if *next > tag {
                break;
            }
            tags.unknown = rest;
            self.unknown_tag(tags, *next, content)?;
        }
        tags.count += 1;
        self.unsigned_varint(tag);
        tags.content_at = self.out.len();
        self.out.push(0);
        Ok(())
    }

    /// Ends the field that was begun last: its size is known now.
    pub fn end_tag(&mut self, tags: &TagWriter<'_>) -> Result<()> {
        let size = self.out.len() - tags.content_at - 1;
        if size > LENGTH_MAX {
            return Err(too_long(size, LENGTH_MAX, TAGGED_FIELDS));
        }
        self.replace_byte(tags.content_at, size as u32);
        Ok(())
    }

    /// Writes the unknown fields that are left, and the count in front of all.
    pub fn end_tags(&mut self, mut tags: TagWriter<'_>) -> Result<()> {
        for (tag, content) in tags.unknown {
            self.unknown_tag(&mut tags, *tag, content)?;
        }
        self.replace_byte(tags.count_at, tags.count);
        Ok(())
    }

    fn unknown_tag(&mut self, tags: &mut TagWriter<'_>, tag: u32, content: &Bytes) -> Result<()> {
        if content.len() > LENGTH_MAX {
            return Err(too_long(content.len(), LENGTH_MAX, TAGGED_FIELDS));
        }
        tags.count += 1;
        self.unsigned_varint(tag);
        self.unsigned_varint(content.len() as u32);
        self.raw(content);
        Ok(())
    }

    /// Puts a varint in the place of the byte at `offset`, which was kept free for it.
    fn replace_byte(&mut self, offset: usize, value: u32) {
        let mut digits = [0; varint::U32_BYTES_MAX];
        let length = varint::put_u32(value, &mut digits);
        if length == 1 {
            self.out[offset] = digits[0];
        } else {
            self.out.splice(offset..=offset, digits[..length].iter().copied());
        }
    }
}

/// A writer that appends to what is there.
impl From<Vec<u8>> for Writer {
    fn from(out: Vec<u8>) -> Self {
        Self { out }
    }
}

/// What errors call the part of a structure that has no name in the schemas.
const TAGGED_FIELDS: &str = "tagged_fields";

/// Where a [`Writer`] stands among the tagged fields of one structure.
#[derive(Debug)]
pub struct TagWriter<'u> {
    count_at: usize,
    count: u32,
    content_at: usize,
    unknown: &'u [(u32, Bytes)],
}

#[cold]
fn too_long(length: usize, limit: usize, field: &'static str) -> EncodeError {
    EncodeError::new(EncodeErrorKind::TooLong { length, limit }, field)
}

#[cold]
fn unexpected_null(field: &'static str) -> EncodeError {
    EncodeError::new(EncodeErrorKind::UnexpectedNull, field)
}
