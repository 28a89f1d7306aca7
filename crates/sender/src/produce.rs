//! The body of a Produce request, written by hand: the batches stay where they are.

use crate::Acks;
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::records::BATCH_HEADER_SIZE;
use ottla_protocol::wire::Uuid;
use std::sync::Arc;

/// The lowest version with record batches.
pub(crate) const VERSION_MIN: i16 = 3;
/// The highest version; from here on topics go by their ids.
pub(crate) const VERSION_MAX: i16 = 13;
/// The highest version of transactions whose partitions are added beforehand; each later one adds them itself (KIP-890).
pub(crate) const VERSION_ADDED_MAX: i16 = 11;
/// The highest version that names topics.
pub(crate) const VERSION_NAMES_MAX: i16 = 12;
const FLEXIBLE_FROM: i16 = 9;

/// Whether this version of Produce has compact fields and tags.
pub(crate) fn is_flexible(version: i16) -> bool {
    version >= FLEXIBLE_FROM
}

/// One batch in a request.
pub(crate) struct Part {
    pub(crate) partition: i32,
    pub(crate) header: [u8; BATCH_HEADER_SIZE],
    pub(crate) payload: Vec<Bytes>,
}

/// The batches of one topic.
pub(crate) struct TopicParts {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) parts: Vec<Part>,
}

/// Encodes the body in pieces: what is small in between shares one buffer, the payloads are not copied.
pub(crate) fn encode(
    version: i16,
    transactional_id: Option<&str>,
    acks: Acks,
    timeout_ms: i32,
    topics: Vec<TopicParts>,
) -> Vec<Bytes> {
    let parts: usize = topics.iter().map(|topic| topic.parts.len()).sum();
    let names: usize = topics.iter().map(|topic| topic.name.len() + 24).sum();
    let mut out = Pieces {
        pieces: Vec::with_capacity(2 * parts + 1),
        small: BytesMut::with_capacity(
            32 + transactional_id.map_or(0, str::len) + names + parts * (BATCH_HEADER_SIZE + 16),
        ),
        flexible: is_flexible(version),
    };
    match transactional_id {
        Some(id) => out.string(id),
        None => out.null_string(),
    }
    out.small.put_i16(acks.wire_value());
    out.small.put_i32(timeout_ms);
    out.length(topics.len());
    for topic in topics {
        if version > VERSION_NAMES_MAX {
            out.small.put_slice(topic.id.as_bytes());
        } else {
            out.string(&topic.name);
        }
        out.length(topic.parts.len());
        for part in topic.parts {
            out.small.put_i32(part.partition);
            out.records(&part.header, part.payload);
            out.tags();
        }
        out.tags();
    }
    out.tags();
    out.finish()
}

struct Pieces {
    pieces: Vec<Bytes>,
    small: BytesMut,
    flexible: bool,
}

impl Pieces {
    fn null_string(&mut self) {
        if self.flexible {
            self.small.put_u8(0)
        } else {
            self.small.put_i16(-1)
        }
    }

    fn string(&mut self, text: &str) {
        if self.flexible {
            self.unsigned_varint(text.len() + 1);
        } else {
            // A topic's name has at most 249 characters; a broker refuses any other. A transactional id has got through
            // InitProducerId, which could not have encoded a longer one.
            self.small.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.small.put_slice(text.as_bytes());
    }

    /// The length of an array or of bytes. Requests are bounded by max.request.size, an int32.
    fn length(&mut self, length: usize) {
        if self.flexible {
            self.unsigned_varint(length + 1)
        } else {
            self.small.put_i32(length as i32)
        }
    }

    fn records(&mut self, header: &[u8], payload: Vec<Bytes>) {
        let payload_len: usize = payload.iter().map(Bytes::len).sum();
        self.length(header.len() + payload_len);
        self.small.put_slice(header);
        self.pieces.push(self.small.split().freeze());
        self.pieces.extend(payload);
    }

    fn tags(&mut self) {
        if self.flexible {
            self.small.put_u8(0);
        }
    }

    fn unsigned_varint(&mut self, value: usize) {
        let mut rest = value;
        while rest >= 0x80 {
            self.small.put_u8((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.small.put_u8(rest as u8);
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.small.is_empty() {
            self.pieces.push(self.small.freeze());
        }
        self.pieces
    }
}
