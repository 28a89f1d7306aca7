//! Reading the primitive types from bytes that may be anything.

use bytes::Bytes;

use super::error::{DecodeError, DecodeErrorKind};
use super::{STRING_BYTES_MAX, Scalar, TaggedFields, Uuid, varint};

type Result<T> = std::result::Result<T, DecodeError>;

/// A cursor over one message.
///
/// Each method takes the name of the field that it reads, for errors only. After an error the reader is of no further
/// use. Over [`Bytes`] the fields of type bytes share the input; over a slice they are copies.
///
/// No count or length is believed before the bytes that it promises are there. For nested arrays the reader also keeps
/// account of what the outer arrays' outstanding elements need at least, so that all arrays together never get more
/// memory than the input pays for.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Bytes of the input behind `rest`: not zero inside a tagged field.
    behind: usize,
    total: usize,
    /// The least that the outstanding elements of the arrays being read take, of `rest`.
    pub(super) owed: usize,
    source: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// A reader that copies fields of type bytes.
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            rest: input,
            behind: 0,
            total: input.len(),
            owed: 0,
            source: None,
        }
    }

    /// A reader whose fields of type bytes share `input`.
    pub fn from_bytes(input: &'a Bytes) -> Self {
        Self {
            source: Some(input),
            ..Self::new(input)
        }
    }

    /// How many bytes have not been read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes of the input have been read.
    pub fn offset(&self) -> usize {
        self.total - self.behind - self.rest.len()
    }

    /// Succeeds if everything has been read.
    pub fn finish(&self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            remaining => Err(self.error(DecodeErrorKind::TrailingBytes { remaining }, "")),
        }
    }

    /// An error at the current offset.
    #[cold]
    #[inline(never)]
    pub fn error(&self, kind: DecodeErrorKind, field: &'static str) -> DecodeError {
        DecodeError::new(kind, self.offset(), field)
    }

    /// The error for a null that the version does not allow.
    #[cold]
    #[inline(never)]
    pub fn unexpected_null(&self, field: &'static str) -> DecodeError {
        self.error(DecodeErrorKind::UnexpectedNull, field)
    }

    #[cold]
    #[inline(never)]
    fn truncated(&self, needed: usize, field: &'static str) -> DecodeError {
        self.error(
            DecodeErrorKind::Truncated {
                needed,
                remaining: self.rest.len(),
            },
            field,
        )
    }

    /// Takes the next `length` bytes.
    #[inline]
    pub fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.truncated(length, field)),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.truncated(N, field)),
        }
    }

    /// Reads a boolean; every byte but 0 is true.
    #[inline]
    pub fn bool(&mut self, field: &'static str) -> Result<bool> {
        self.fixed::<1>(field).map(|[byte]| byte != 0)
    }

    /// Reads an `int8`.
    #[inline]
    pub fn i8(&mut self, field: &'static str) -> Result<i8> {
        self.fixed(field).map(i8::from_be_bytes)
    }

    /// Reads an `int16`.
    #[inline]
    pub fn i16(&mut self, field: &'static str) -> Result<i16> {
        self.fixed(field).map(i16::from_be_bytes)
    }

    /// Reads a `uint16`.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16> {
        self.fixed(field).map(u16::from_be_bytes)
    }

    /// Reads an `int32`.
    #[inline]
    pub fn i32(&mut self, field: &'static str) -> Result<i32> {
        self.fixed(field).map(i32::from_be_bytes)
    }

    /// Reads a `uint32`.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32> {
        self.fixed(field).map(u32::from_be_bytes)
    }

    /// Reads an `int64`.
    #[inline]
    pub fn i64(&mut self, field: &'static str) -> Result<i64> {
        self.fixed(field).map(i64::from_be_bytes)
    }

    /// Reads a `float64`.
    #[inline]
    pub fn f64(&mut self, field: &'static str) -> Result<f64> {
        self.fixed(field).map(f64::from_be_bytes)
    }

    /// Reads an id.
    #[inline]
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid> {
        self.fixed(field).map(Uuid::from_bytes)
    }

    /// Reads an unsigned 32-bit varint.
    #[inline]
    pub fn unsigned_varint(&mut self, field: &'static str) -> Result<u32> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(*byte))
            }
            _ => self.unsigned_varint_long(field),
        }
    }

    #[inline(never)]
    fn unsigned_varint_long(&mut self, field: &'static str) -> Result<u32> {
        let (value, length) = varint::take_u32(self.rest).map_err(|error| self.varint_error(error, field))?;
        self.take(length, field)?;
        Ok(value)
    }

    /// Reads a signed (zig-zag) 32-bit varint.
    pub fn varint(&mut self, field: &'static str) -> Result<i32> {
        self.unsigned_varint(field).map(varint::unzigzag_u32)
    }

    /// Reads a signed (zig-zag) 64-bit varint.
    pub fn varlong(&mut self, field: &'static str) -> Result<i64> {
        let (value, length) = varint::take_u64(self.rest).map_err(|error| self.varint_error(error, field))?;
        self.take(length, field)?;
        Ok(varint::unzigzag_u64(value))
    }

    #[cold]
    fn varint_error(&self, error: varint::VarintError, field: &'static str) -> DecodeError {
        match error {
            varint::VarintError::Truncated => self.truncated(self.rest.len() + 1, field),
            varint::VarintError::Overflow => self.error(DecodeErrorKind::VarintOverflow, field),
        }
    }

    /// Reads a string.
    pub fn string(&mut self, flexible: bool, field: &'static str) -> Result<String> {
        self.str(flexible, field).map(str::to_owned)
    }

    /// Reads a string or null.
    pub fn nullable_string(&mut self, flexible: bool, field: &'static str) -> Result<Option<String>> {
        Ok(self.nullable_str(flexible, field)?.map(str::to_owned))
    }

    /// Reads a string without copying it.
    pub fn str(&mut self, flexible: bool, field: &'static str) -> Result<&'a str> {
        match self.nullable_str(flexible, field)? {
            Some(text) => Ok(text),
            None => Err(self.unexpected_null(field)),
        }
    }

    /// Reads a string or null without copying it.
    pub fn nullable_str(&mut self, flexible: bool, field: &'static str) -> Result<Option<&'a str>> {
        let length = if flexible {
            self.unsigned_varint(field)?
                .checked_sub(1)
                .map(|length| length as usize)
        } else {
            self.length(i64::from(self.peek_i16()), 2, field)?
        };
        let Some(length) = length else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(self.error(DecodeErrorKind::StringTooLong { length }, field));
        }
        let bytes = self.take(length, field)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(DecodeError::new(
                DecodeErrorKind::InvalidUtf8,
                self.offset() - length,
                field,
            )),
        }
    }

    /// Reads bytes.
    pub fn bytes(&mut self, flexible: bool, field: &'static str) -> Result<Bytes> {
        match self.nullable_bytes(flexible, field)? {
            Some(bytes) => Ok(bytes),
            None => Err(self.unexpected_null(field)),
        }
    }

    /// Reads bytes or null; record batches are such bytes.
    pub fn nullable_bytes(&mut self, flexible: bool, field: &'static str) -> Result<Option<Bytes>> {
        match self.nullable_length(flexible, field)? {
            Some(length) => self.shared(length, field).map(Some),
            None => Ok(None),
        }
    }

    #[inline(always)]
    pub(super) fn shared(&mut self, length: usize, field: &'static str) -> Result<Bytes> {
        let start = self.offset();
        let taken = self.take(length, field)?;
        Ok(match self.source {
            Some(source) => source.slice(start..start + length),
            None => Bytes::copy_from_slice(taken),
        })
    }

    /// Reads the length of bytes or of an array; none is null.
    #[inline]
    pub(super) fn nullable_length(&mut self, flexible: bool, field: &'static str) -> Result<Option<usize>> {
        if flexible {
            Ok(self
                .unsigned_varint(field)?
                .checked_sub(1)
                .map(|length| length as usize))
        } else {
            self.length(i64::from(self.peek_i32()), 4, field)
        }
    }

    fn peek_i16(&self) -> i16 {
        self.rest
            .first_chunk()
            .map_or(0, |bytes| i16::from_be_bytes(*bytes))
    }

    fn peek_i32(&self) -> i32 {
        self.rest
            .first_chunk()
            .map_or(0, |bytes| i32::from_be_bytes(*bytes))
    }

    /// Takes the `width` bytes of a length that was peeked at.
    #[inline]
    fn length(&mut self, length: i64, width: usize, field: &'static str) -> Result<Option<usize>> {
        if length < -1 {
            return Err(self.error(DecodeErrorKind::NegativeLength { length }, field));
        }
        self.take(width, field)?;
        Ok(usize::try_from(length).ok())
    }

    /// Reads how many elements an array has that cannot be null; see [`nullable_count`](Self::nullable_count).
    #[inline(never)]
    pub fn count(&mut self, flexible: bool, least_bytes: usize, field: &'static str) -> Result<usize> {
        match self.nullable_count(flexible, least_bytes, field)? {
            Some(count) => Ok(count),
            None => Err(self.unexpected_null(field)),
        }
    }

    /// Reads how many elements an array has, none for null.
    ///
    /// The count is refused unless the bytes that remain can hold so many elements of `least_bytes` (not 0).
    #[inline]
    pub fn nullable_count(
        &mut self,
        flexible: bool,
        least_bytes: usize,
        field: &'static str,
    ) -> Result<Option<usize>> {
        let at = self.offset();
        let Some(count) = self.nullable_length(flexible, field)? else {
            return Ok(None);
        };
        self.check_count(count, least_bytes, at, field)?;
        Ok(Some(count))
    }

    #[inline]
    fn check_count(&self, count: usize, least_bytes: usize, at: usize, field: &'static str) -> Result<()> {
        let free = self.rest.len().saturating_sub(self.owed);
        // The product saturates for absurd counts only, and no input is that long.
        if count.saturating_mul(least_bytes) > free {
            let most = free / least_bytes.max(1);
            return Err(DecodeError::new(
                DecodeErrorKind::CountTooLarge { count, most },
                at,
                field,
            ));
        }
        Ok(())
    }

    /// Reads an array of numbers or ids.
    pub fn scalars<T: Scalar>(&mut self, flexible: bool, field: &'static str) -> Result<Vec<T>> {
        match self.nullable_scalars(flexible, field)? {
            Some(items) => Ok(items),
            None => Err(self.unexpected_null(field)),
        }
    }

    /// Reads an array of numbers or ids, or null.
    pub fn nullable_scalars<T: Scalar>(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<Vec<T>>> {
        let Some(count) = self.nullable_count(flexible, T::BYTES, field)? else {
            return Ok(None);
        };
        let bytes = self.take(count * T::BYTES, field)?;
        Ok(Some(bytes.chunks_exact(T::BYTES).map(T::from_wire).collect()))
    }

    /// Reads an array of strings.
    pub fn strings(&mut self, flexible: bool, field: &'static str) -> Result<Vec<String>> {
        match self.nullable_strings(flexible, field)? {
            Some(items) => Ok(items),
            None => Err(self.unexpected_null(field)),
        }
    }

    /// Reads an array of strings, or null.
    pub fn nullable_strings(&mut self, flexible: bool, field: &'static str) -> Result<Option<Vec<String>>> {
        let least_bytes = if flexible { 1 } else { 2 };
        let Some(count) = self.nullable_count(flexible, least_bytes, field)? else {
            return Ok(None);
        };
        self.owed += count * least_bytes;
        let mut items = Vec::with_capacity(count);
        for index in 0..count {
            self.owed -= least_bytes;
            items.push(
                self.string(flexible, "")
                    .map_err(|error| error.in_element(field, index))?,
            );
        }
        Ok(Some(items))
    }

    /// Reads an array of bytes.
    pub fn bytes_array(&mut self, flexible: bool, field: &'static str) -> Result<Vec<Bytes>> {
        match self.nullable_bytes_array(flexible, field)? {
            Some(items) => Ok(items),
            None => Err(self.unexpected_null(field)),
        }
    }

    /// Reads an array of bytes, or null.
    pub fn nullable_bytes_array(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<Vec<Bytes>>> {
        let least_bytes = if flexible { 1 } else { 4 };
        let Some(count) = self.nullable_count(flexible, least_bytes, field)? else {
            return Ok(None);
        };
        self.owed += count * least_bytes;
        let mut items = Vec::with_capacity(count);
        for index in 0..count {
            self.owed -= least_bytes;
            items.push(
                self.bytes(flexible, "")
                    .map_err(|error| error.in_element(field, index))?,
            );
        }
        Ok(Some(items))
    }

    /// Reads the tagged fields of a structure that knows none.
    #[inline]
    pub fn unknown_tagged_fields(&mut self, unknown: &mut TaggedFields) -> Result<()> {
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(());
        }
        self.unknown_tagged_fields_some(unknown)
    }

    #[inline(never)]
    fn unknown_tagged_fields_some(&mut self, unknown: &mut TaggedFields) -> Result<()> {
        let mut tags = self.tags()?;
        while let Some(tag) = self.next_tag(&mut tags)? {
            self.unknown_tag(tag, &tags, unknown)?;
            self.end_tag(&tags)?;
        }
        Ok(())
    }

    /// Reads how many tagged fields a structure has. [`next_tag`](Self::next_tag) and [`end_tag`](Self::end_tag) go
    /// through them.
    pub fn tags(&mut self) -> Result<TagReader<'a>> {
        let at = self.offset();
        let left = self.unsigned_varint(TAGGED_FIELDS)? as usize;
        // A tag and a size, each of one byte at least.
        self.check_count(left, 2, at, TAGGED_FIELDS)?;
        Ok(TagReader {
            left,
            previous: None,
            after: &[],
            owed: 0,
        })
    }

    /// Reads the next tag and its size, and confines the reader to the field.
    pub fn next_tag(&mut self, tags: &mut TagReader<'a>) -> Result<Option<u32>> {
        if tags.left == 0 {
            return Ok(None);
        }
        let tag = self.unsigned_varint(TAGGED_FIELDS)?;
        if let Some(previous) = tags.previous
            && tag <= previous
        {
            return Err(self.error(DecodeErrorKind::TagOrder { tag, previous }, TAGGED_FIELDS));
        }
        let size = self.unsigned_varint(TAGGED_FIELDS)? as usize;
        let Some((content, after)) = self.rest.split_at_checked(size) else {
            return Err(self.truncated(size, TAGGED_FIELDS));
        };
        tags.left -= 1;
        tags.previous = Some(tag);
        tags.after = after;
        // What the arrays outside are owed lies behind the field.
        tags.owed = std::mem::take(&mut self.owed);
        self.behind += after.len();
        self.rest = content;
        Ok(Some(tag))
    }

    /// Keeps the content of the tagged field that the reader stands in.
    pub fn unknown_tag(&mut self, tag: u32, tags: &TagReader<'a>, unknown: &mut TaggedFields) -> Result<()> {
        let content = self.shared(self.rest.len(), TAGGED_FIELDS)?;
        unknown.push_last(tag, content, tags.left);
        Ok(())
    }

    /// Leaves the tagged field, which must have been read to its end.
    pub fn end_tag(&mut self, tags: &TagReader<'a>) -> Result<()> {
        self.finish().map_err(|error| error.in_field(TAGGED_FIELDS))?;
        self.behind -= tags.after.len();
        self.rest = tags.after;
        self.owed = tags.owed;
        Ok(())
    }
}

/// What errors call the part of a structure that has no name in the schemas.
const TAGGED_FIELDS: &str = "tagged_fields";

/// Where a [`Reader`] stands among the tagged fields of one structure.
#[derive(Debug)]
pub struct TagReader<'a> {
    left: usize,
    previous: Option<u32>,
    /// What follows the current field.
    after: &'a [u8],
    owed: usize,
}
