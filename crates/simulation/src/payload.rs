//! What is in a record: it names its own topic, partition and number, so that a reader knows whether it is where it
//! belongs.

use ottla_protocol::records::RecordView;

/// The bytes at the beginning of a value: topic, the partition that was asked for, and the number.
const HEAD_LEN: usize = 6;

/// A record as its sender made it; all of its bytes follow from this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) number: u32,
    pub(crate) topic: u8,
    /// The partition that was asked for, if one was.
    pub(crate) partition: Option<u8>,
    /// The length of the value. Below the head's length the record is empty, and has no name.
    pub(crate) len: usize,
    pub(crate) has_key: bool,
    pub(crate) has_header: bool,
}

/// No partition was asked for.
const ANY: u8 = u8::MAX;

impl Payload {
    /// Whether nobody can tell it from others of its kind.
    pub(crate) fn is_nameless(&self) -> bool {
        self.len < HEAD_LEN
    }

    pub(crate) fn key(&self) -> Option<[u8; 2]> {
        self.has_key.then_some([b'k', (self.number % 41) as u8])
    }

    pub(crate) fn header_value(&self) -> [u8; 4] {
        self.number.to_le_bytes()
    }

    /// `None` for an empty one.
    pub(crate) fn value(&self) -> Option<Vec<u8>> {
        if self.is_nameless() {
            return None;
        }
        let mut value = Vec::with_capacity(self.len);
        value.push(self.topic);
        value.push(self.partition.unwrap_or(ANY));
        value.extend_from_slice(&self.number.to_le_bytes());
        // Half of them can be compressed, half cannot.
        let step = if self.number.is_multiple_of(2) { 0 } else { 0x9d };
        let mut byte = self.number as u8;
        while value.len() < self.len {
            value.push(byte);
            byte = byte.rotate_left(3).wrapping_add(step);
        }
        Some(value)
    }

    /// The number that a value names; `None` if it is empty.
    pub(crate) fn number_of(value: Option<&[u8]>) -> Option<u32> {
        let digits = value?.get(2..HEAD_LEN)?;
        Some(u32::from_le_bytes(digits.try_into().ok()?))
    }

    /// Whether a record that was read is this one, to the last byte.
    pub(crate) fn matches(&self, record: &RecordView<'_>) -> bool {
        let headers = record.headers.iter().map(|(_, value)| value);
        let header = self.header_value();
        let expected = self.has_header.then_some(Some(&header[..]));
        self.value().as_deref() == record.value
            && self.key().as_ref().map(|key| &key[..]) == record.key
            && headers.eq(expected)
    }
}
