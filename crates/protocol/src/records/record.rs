//! One record on its way into a batch: its exact size, then its bytes.

use super::varint::{SHORT_MAX, SHORT_WINDOW, Short, WINDOW_SIZE, Window, size, zigzag, zigzag_len};
use bytes::BytesMut;

/// A record's header: a name and bytes, or a null value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header<'a> {
    /// The name; not unique within a record.
    pub key: &'a str,
    /// The value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    pub const fn new(key: &'a str, value: &'a [u8]) -> Header<'a> {
        Header {
            key,
            value: Some(value),
        }
    }
}

/// Where a record's bytes go: a contiguous buffer, or a chain of chunks.
pub trait RecordSink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Appends what `encode` writes: it is given 32 bytes, and returns how many of them count.
    ///
    /// A sink over contiguous memory should hand out its own bytes where it has room for 32, so that the few bytes
    /// between a record's fields are written where they belong; by default, they are copied there.
    #[inline]
    fn put_with(&mut self, encode: impl FnOnce(&mut [u8; 32]) -> usize)
    where
        Self: Sized,
    {
        let mut bytes = [0; WINDOW_SIZE];
        let len = encode(&mut bytes).min(WINDOW_SIZE);
        self.put(&bytes[..len]);
    }
}

impl RecordSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_with(&mut self, encode: impl FnOnce(&mut [u8; 32]) -> usize) {
        let start = self.len();
        if self.capacity() - start >= WINDOW_SIZE {
            self.extend_from_slice(&[0; WINDOW_SIZE]);
            let len = self.last_chunk_mut().map_or(0, encode);
            self.truncate(start + len.min(WINDOW_SIZE));
        } else {
            // A vector of exactly the right capacity must not grow.
            let mut bytes = [0; WINDOW_SIZE];
            let len = encode(&mut bytes).min(WINDOW_SIZE);
            self.extend_from_slice(&bytes[..len]);
        }
    }
}

impl RecordSink for BytesMut {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A sink over memory that was written before, such as a recycled buffer: the cheapest one, since nothing has to be
/// cleared and its position lives in a register.
///
/// ```
/// use ottla_protocol::records::{RecordRef, SliceSink};
/// let mut chunk = vec![0; 100].into_boxed_slice();
/// let record = RecordRef { value: Some(b"v1"), ..RecordRef::default() };
/// let size = record.encoded_size();
/// let mut sink = SliceSink::new(&mut chunk[40..]);
/// record.write_to(size, &mut sink);
/// assert_eq!(sink.position(), size.total());
/// assert_eq!(chunk[40..][..size.total()], [16, 0, 0, 0, 1, 4, b'v', b'1', 0]);
/// ```
#[derive(Debug)]
pub struct SliceSink<'a> {
    bytes: &'a mut [u8],
    position: usize,
}

impl<'a> SliceSink<'a> {
    /// A sink that fills `bytes` from the front. Bytes after what is put may be overwritten too.
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> SliceSink<'a> {
        SliceSink { bytes, position: 0 }
    }

    /// The number of bytes put.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }
}

impl RecordSink for SliceSink<'_> {
    /// # Panics
    ///
    /// If there is no room.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.position + bytes.len();
        self.bytes[self.position..end].copy_from_slice(bytes);
        self.position = end;
    }

    #[inline]
    fn put_with(&mut self, encode: impl FnOnce(&mut [u8; 32]) -> usize) {
        if let Some(window) = self.bytes[self.position..].first_chunk_mut() {
            self.position += encode(window).min(WINDOW_SIZE);
        } else {
            let mut bytes = [0; WINDOW_SIZE];
            let len = encode(&mut bytes).min(WINDOW_SIZE);
            self.put(&bytes[..len]);
        }
    }
}

/// The size of an encoded record, computed once and handed to [`RecordRef::write_to`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordSize {
    total: usize,
    /// What the record's length field says: the bytes after it.
    body: usize,
}

impl RecordSize {
    /// The bytes that [`RecordRef::write_to`] writes.
    #[inline]
    pub const fn total(self) -> usize {
        self.total
    }
}

/// A record of batch format v2, borrowed from wherever its parts are.
///
/// ```
/// use ottla_protocol::records::RecordRef;
/// let record = RecordRef { value: Some(b"v1"), ..RecordRef::default() };
/// let size = record.encoded_size();
/// let mut buffer = Vec::with_capacity(size.total());
/// record.write_to(size, &mut buffer);
/// assert_eq!(buffer.len(), size.total());
/// assert_eq!(buffer, [16, 0, 0, 0, 1, 4, b'v', b'1', 0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Milliseconds from the batch's base timestamp, which is the first record's; may be negative.
    pub timestamp_delta: i64,
    /// The record's index in its batch.
    pub offset_delta: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; a null value is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header<'a>],
}

impl RecordRef<'_> {
    /// The exact size of the record, length field included.
    #[inline]
    pub fn encoded_size(&self) -> RecordSize {
        let mut body = 1
            + size(zigzag(self.timestamp_delta))
            + size(zigzag(i64::from(self.offset_delta)))
            + field_size(self.key)
            + field_size(self.value);
        if self.headers.is_empty() {
            body += 1;
        } else {
            body += headers_size(self.headers);
        }
        RecordSize {
            total: size(zigzag_len(body)) + body,
            body,
        }
    }

    /// Writes the record; `size` is what [`RecordRef::encoded_size`] returned for it.
    ///
    /// # Panics
    ///
    /// If the record takes more than 2 GiB, which its length field cannot say. Who limits [`RecordSize::total`] first,
    /// as every producer has to, never meets it.
    #[inline]
    pub fn write_to<S: RecordSink>(&self, size: RecordSize, sink: &mut S) {
        assert!(size.body <= i32::MAX as usize, "a record is limited to 2 GiB");
        match self.key {
            Some(key) => {
                sink.put_with(|bytes| {
                    let mut window = Window::new(bytes);
                    self.write_start(size, &mut window);
                    window.varint(zigzag_len(key.len()));
                    window.len()
                });
                sink.put(key);
                sink.put_with(|bytes| {
                    let mut window = Window::new(bytes);
                    self.write_value_len(&mut window);
                    window.len()
                });
            }
            None => sink.put_with(|bytes| {
                let mut window = Window::new(bytes);
                self.write_start(size, &mut window);
                window.varint(zigzag(-1));
                self.write_value_len(&mut window);
                window.len()
            }),
        }
        if let Some(value) = self.value {
            sink.put(value);
        }
        sink.put_with(|bytes| {
            let mut window = Window::new(bytes);
            window.varint(zigzag_len(self.headers.len()));
            window.len()
        });
        if !self.headers.is_empty() {
            write_headers(self.headers, sink);
        }
    }

    /// Writes the record to the front of `bytes` in one go, if it is of the usual kind, and returns its size: without
    /// headers, of less than a megabyte, with deltas of less than a million, and with a few bytes of room to spare. What is
    /// behind it may be overwritten, also if nothing is returned.
    ///
    /// The same bytes as of [`write_to`](RecordRef::write_to), in half the time: nothing is computed twice.
    #[inline]
    pub fn write_short(&self, bytes: &mut [u8]) -> Option<usize> {
        let timestamp_delta = zigzag(self.timestamp_delta);
        let offset_delta = zigzag(i64::from(self.offset_delta));
        let (key_len, value_len) = (self.key.map(<[u8]>::len), self.value.map(<[u8]>::len));
        let parts_len = key_len.unwrap_or(0).checked_add(value_len.unwrap_or(0))?;
        // No other number is larger than one of these, or than what they add up to.
        let largest = timestamp_delta | offset_delta | zigzag_len(parts_len + SHORT_OVERHEAD);
        if largest >= SHORT_MAX || !self.headers.is_empty() || bytes.len() < parts_len + SHORT_OVERHEAD {
            return None;
        }
        let timestamp_delta = Short::varint(timestamp_delta);
        let before_key = Short::varint(offset_delta).then(Short::varint(short_len(key_len)));
        let before_value = Short::varint(short_len(value_len));
        // The attributes and the number of headers are a byte each.
        let body = 2 + timestamp_delta.len() + before_key.len() + before_value.len() + parts_len;
        let start = Short::varint(zigzag_len(body))
            .then(Short::byte(0))
            .then(timestamp_delta);
        let mut at = start.write_at(bytes, 0)?;
        match self.key {
            None => at = before_key.then(before_value).write_at(bytes, at)?,
            Some(key) => {
                at = before_key.write_at(bytes, at)?;
                bytes.get_mut(at..)?.get_mut(..key.len())?.copy_from_slice(key);
                at = before_value.write_at(bytes, at + key.len())?;
            }
        }
        let value = self.value.unwrap_or_default();
        bytes
            .get_mut(at..)?
            .get_mut(..value.len())?
            .copy_from_slice(value);
        at += value.len();
        *bytes.get_mut(at)? = 0;
        Some(at + 1)
    }

    #[inline]
    fn write_start(&self, size: RecordSize, window: &mut Window<'_>) {
        window.varint(zigzag_len(size.body));
        // The attributes of a record: none is defined.
        window.byte(0);
        window.varint(zigzag(self.timestamp_delta));
        window.varint(zigzag(i64::from(self.offset_delta)));
    }

    #[inline]
    fn write_value_len(&self, window: &mut Window<'_>) {
        window.varint(self.value.map_or(zigzag(-1), |value| zigzag_len(value.len())));
    }
}

/// More than what [`RecordRef::write_short`] writes besides key and value: five numbers of up to three bytes, two bytes, and
/// what the last window covers beyond its number.
const SHORT_OVERHEAD: usize = 5 * 3 + 2 + SHORT_WINDOW;

/// The length of a nullable field, as the zig-zag form that stands in front of it.
#[inline]
fn short_len(len: Option<usize>) -> u64 {
    len.map_or(zigzag(-1), zigzag_len)
}

/// A nullable field: its length and its bytes.
#[inline]
fn field_size(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => size(zigzag_len(bytes.len())) + bytes.len(),
        None => 1,
    }
}

fn headers_size(headers: &[Header<'_>]) -> usize {
    let fields = |header: &Header<'_>| field_size(Some(header.key.as_bytes())) + field_size(header.value);
    size(zigzag_len(headers.len())) + headers.iter().map(fields).sum::<usize>()
}

fn write_headers<S: RecordSink>(headers: &[Header<'_>], sink: &mut S) {
    for header in headers {
        write_field(Some(header.key.as_bytes()), sink);
        write_field(header.value, sink);
    }
}

fn write_field<S: RecordSink>(field: Option<&[u8]>, sink: &mut S) {
    sink.put_with(|bytes| {
        let mut window = Window::new(bytes);
        window.varint(field.map_or(zigzag(-1), |bytes| zigzag_len(bytes.len())));
        window.len()
    });
    sink.put(field.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: RecordRef<'_>, hex: &str) {
        let size = record.encoded_size();
        let (mut vec, mut bytes) = (Vec::new(), BytesMut::new());
        record.write_to(size, &mut vec);
        record.write_to(size, &mut bytes);
        let written: String = vec.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hex);
        assert_eq!(vec.len(), size.total());
        assert_eq!(bytes, vec);
        for room in [size.total(), size.total() + 100] {
            let mut slice = vec![0xff; room];
            let mut sink = SliceSink::new(&mut slice);
            record.write_to(size, &mut sink);
            assert_eq!(sink.position(), size.total());
            assert_eq!(slice[..size.total()], vec);
        }
        let mut short = vec![0xff; size.total() + SHORT_OVERHEAD];
        if let Some(len) = record.write_short(&mut short) {
            assert_eq!((len, &short[..len]), (size.total(), &*vec));
        } else {
            assert!(
                !record.headers.is_empty() || size.total() > 1 << 20 || record.timestamp_delta == i64::MIN
            );
        }
        let mut exact = Vec::with_capacity(size.total());
        record.write_to(size, &mut exact);
        assert_eq!((exact.len(), exact.capacity()), (size.total(), size.total()));
    }

    /// What the Java client 4.3.1 wrote for these records.
    #[test]
    fn golden() {
        let headers = [
            Header::new("h", &[1, 2]),
            Header {
                key: "n",
                value: None,
            },
        ];
        let first = RecordRef {
            key: Some(b"k"),
            value: Some(b"v1"),
            headers: &headers,
            ..Default::default()
        };
        check(first, "22000000026b047631040268040102026e01");
        let second = RecordRef {
            timestamp_delta: 5,
            offset_delta: 1,
            value: Some(b"v2"),
            ..Default::default()
        };
        check(second, "10000a020104763200");
        let third = RecordRef {
            timestamp_delta: -1,
            offset_delta: 2,
            key: Some(b"k3"),
            ..Default::default()
        };
        check(third, "10000104046b330100");
    }

    #[test]
    fn the_longest_prefix_fits_the_stack() {
        let value = vec![7; 3 << 20];
        let record = RecordRef {
            timestamp_delta: i64::MIN,
            offset_delta: i32::MAX,
            value: Some(&value),
            ..Default::default()
        };
        let size = record.encoded_size();
        let mut vec = Vec::new();
        record.write_to(size, &mut vec);
        assert_eq!(vec.len(), size.total());
        assert_eq!(vec[vec.len() - 1], 0);
        assert!(vec.ends_with(&[7, 7, 7, 0]));
    }
}
