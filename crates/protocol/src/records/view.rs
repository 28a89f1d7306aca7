//! The fields of one encoded record, borrowed from its bytes.

use super::error::{RecordsError, RecordsErrorKind};
use super::varint;

/// A decoded record, borrowed from the batch: what a reader takes that only looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// Milliseconds from the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Offsets from the batch's base offset.
    pub offset_delta: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers, which were checked.
    pub headers: HeadersView<'a>,
}

/// The headers of a record, decoded as they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadersView<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> RecordView<'a> {
    /// Reads the record at `start` of `bytes`; also returns where the next one begins.
    pub(super) fn decode(bytes: &'a [u8], start: usize) -> Result<(RecordView<'a>, usize), RecordsError> {
        let mut cursor = Cursor {
            bytes,
            position: start,
        };
        let length = cursor.varint(32)?;
        let body = cursor.position;
        let Ok(announced) = usize::try_from(length) else {
            return Err(RecordsError::at(start, RecordsErrorKind::Length(length)));
        };
        if announced > bytes.len() - body {
            return Err(RecordsError::at(
                start,
                RecordsErrorKind::Truncated { needed: announced },
            ));
        }
        let end = body + announced;
        let mut cursor = Cursor {
            bytes: &bytes[..end],
            position: body,
        };
        // The attributes: no bit of them means anything yet.
        cursor.bytes(1)?;
        let timestamp_delta = cursor.varint(64)?;
        let offset_delta = cursor.int()?;
        let key = cursor.nullable()?;
        let value = cursor.nullable()?;
        let headers = cursor.headers()?;
        if cursor.position != end {
            let used = cursor.position - body;
            return Err(RecordsError::at(
                start,
                RecordsErrorKind::RecordLength { announced, used },
            ));
        }
        Ok((
            RecordView {
                timestamp_delta,
                offset_delta,
                key,
                value,
                headers,
            },
            end,
        ))
    }
}

impl<'a> HeadersView<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The keys and values in order. Keys are UTF-8 by convention only.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut cursor = Cursor {
            bytes: self.bytes,
            position: 0,
        };
        // They were read once when the record was, so that no read fails now.
        (0..self.count).map_while(move |_| cursor.header().ok())
    }
}

/// Reads fields one after the other.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    #[inline]
    fn varint(&mut self, bits: u32) -> Result<i64, RecordsError> {
        match varint::read(self.rest(), bits) {
            Some((value, size)) => {
                self.position += size;
                Ok(value)
            }
            None if self.rest().len() < varint::size_max(bits) => Err(self.truncated(1)),
            None => Err(RecordsError::at(self.position, RecordsErrorKind::Varint)),
        }
    }

    /// A varint of 32 bits, which [`varint::read`] keeps to their range.
    fn int(&mut self) -> Result<i32, RecordsError> {
        Ok(self.varint(32)? as i32)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], RecordsError> {
        match self.rest().get(..len) {
            Some(bytes) => {
                self.position += len;
                Ok(bytes)
            }
            None => Err(self.truncated(len)),
        }
    }

    /// A length and as many bytes; -1 is null, and so is, as Java reads it, every other negative length.
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, RecordsError> {
        match usize::try_from(self.int()?) {
            Ok(len) => self.bytes(len).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn header(&mut self) -> Result<(&'a [u8], Option<&'a [u8]>), RecordsError> {
        let start = self.position;
        let Some(key) = self.nullable()? else {
            return Err(RecordsError::at(start, RecordsErrorKind::NullHeaderKey));
        };
        Ok((key, self.nullable()?))
    }

    fn headers(&mut self) -> Result<HeadersView<'a>, RecordsError> {
        let start = self.position;
        let count = self.int()?;
        // A header takes two bytes at least.
        let possible = usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.rest().len() / 2);
        let Some(count) = possible else {
            return Err(RecordsError::at(start, RecordsErrorKind::Count(count)));
        };
        let first = self.position;
        for _ in 0..count {
            self.header()?;
        }
        Ok(HeadersView {
            bytes: &self.bytes[first..self.position],
            count,
        })
    }

    #[cold]
    fn truncated(&self, needed: usize) -> RecordsError {
        RecordsError::at(self.position, RecordsErrorKind::Truncated { needed })
    }
}
