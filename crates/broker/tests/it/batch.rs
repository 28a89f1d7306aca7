//! Batches of records, good ones and bad ones.

use bytes::Bytes;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{BatchBuilder, crc32c_append};

/// When the records of the tests were made: before every broker's present.
pub(crate) const TIMESTAMP: i64 = 1_600_000_000_000;

/// What a batch is to be.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) producer: Option<(i64, i16)>,
    pub(crate) sequence: i32,
    pub(crate) records: i32,
    pub(crate) transactional: bool,
    pub(crate) compression: Compression,
    pub(crate) keyed: bool,
    pub(crate) timestamp: i64,
    pub(crate) value_bytes: usize,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            producer: None,
            sequence: -1,
            records: 1,
            transactional: false,
            compression: Compression::None,
            keyed: true,
            timestamp: TIMESTAMP,
            value_bytes: 20,
        }
    }
}

impl Batch {
    /// A batch without a producer.
    pub(crate) fn plain(records: i32) -> Batch {
        Batch {
            records,
            ..Batch::default()
        }
    }

    /// A batch of an idempotent producer.
    pub(crate) fn idempotent(producer: (i64, i16), sequence: i32, records: i32) -> Batch {
        Batch {
            producer: Some(producer),
            sequence,
            records,
            ..Batch::default()
        }
    }

    /// A batch inside a transaction.
    pub(crate) fn transactional(producer: (i64, i16), sequence: i32, records: i32) -> Batch {
        Batch {
            transactional: true,
            ..Batch::idempotent(producer, sequence, records)
        }
    }

    pub(crate) fn build(&self) -> Bytes {
        let mut builder = BatchBuilder::new(usize::MAX);
        for index in 0..self.records {
            let key = format!("key-{index}");
            let value = vec![b'a' + (index % 26) as u8; self.value_bytes];
            let key = self.keyed.then_some(key.as_bytes());
            builder
                .append(self.timestamp + i64::from(index), key, Some(&value), &[])
                .expect("no limit");
        }
        if let Some((producer_id, epoch)) = self.producer {
            builder.set_producer(producer_id, epoch, self.sequence);
        }
        builder.set_transactional(self.transactional);
        let mut compressor = Compressor::new(self.compression).expect("a codec that is compiled in");
        builder.finish_compressed(&mut compressor).expect("memory")
    }
}

/// Bytes of a batch that were changed, with a checksum that is right again.
pub(crate) fn changed(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let crc = crc32c_append(0, &bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes)
}

/// Bytes of a batch that were damaged.
pub(crate) fn damaged(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    Bytes::from(bytes)
}
