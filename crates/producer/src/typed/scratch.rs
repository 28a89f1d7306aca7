//! Where key and value are written before they are copied into their batch.

use super::TypedRecord;
use crate::Record;
use ottla_protocol::records::Header;
use ottla_serialization::{AddedHeaders, Headers, Payload};
use std::cell::Cell;

/// A record's own headers, as serializers see them.
pub(super) struct Seen<'a>(pub(super) &'a [Header<'a>]);

impl Headers for Seen<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.0.get(index).map(|header| (header.key, header.value))
    }
}

/// Where key and value are written before they are copied into their batch. Each thread keeps one.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) added: AddedHeaders,
    pub(super) payloads: (Payload, Payload),
}

/// A buffer that grew beyond that for one record is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static KEPT: Cell<Option<Scratch>> = const { Cell::new(None) };
}

impl Scratch {
    /// The thread's own; a new one while that is in use.
    pub(super) fn take() -> Scratch {
        KEPT.take().unwrap_or(Scratch {
            key: Vec::new(),
            value: Vec::new(),
            added: AddedHeaders::new(),
            payloads: (Payload::Null, Payload::Null),
        })
    }

    pub(super) fn give_back(mut self) {
        if self.key.capacity().max(self.value.capacity()) > KEPT_BYTES_MAX {
            return;
        }
        self.key.clear();
        self.value.clear();
        self.added.clear();
        KEPT.set(Some(self));
    }

    pub(super) fn record<'a, K: ?Sized, V: ?Sized>(&'a self, typed: &'a TypedRecord<'_, K, V>) -> Record<'a> {
        let mut record = Record::to(typed.topic.borrowed());
        if self.payloads.0 == Payload::Bytes {
            record = record.key(&self.key);
        }
        if self.payloads.1 == Payload::Bytes {
            record = record.value(&self.value);
        }
        for header in &typed.headers {
            record = record.header(header.key, header.value);
        }
        for (name, value) in self.added.iter() {
            record = record.header(name, Some(value));
        }
        if let Some(timestamp_ms) = typed.timestamp_ms {
            record = record.timestamp_ms(timestamp_ms);
        }
        if let Some(partition) = typed.partition {
            record = record.partition(partition);
        }
        record
    }
}
