//! The accumulator as its user has it: many threads that append, one driver that takes, seals and completes.

// loom's build replaces the locks by its own, which work inside of loom only.
#![cfg(not(loom))]

mod model;
mod scenarios;

use bytes::Bytes;
use ottla_accumulator::{
    Accumulator, AccumulatorConfig, DeliveryFailure, FailureKind, Persistence, Record, SealedBatch,
};
use ottla_protocol::compression::Decompressor;
use ottla_protocol::records::RecordBatch;

fn accumulator(batch_size: usize, buffer_memory: usize) -> Accumulator {
    let mut config = AccumulatorConfig::default();
    config.batch_size = batch_size;
    config.buffer_memory = buffer_memory;
    Accumulator::new(config)
}

fn record(value: &[u8]) -> Record<'_> {
    Record {
        value: Some(value),
        timestamp_ms: 1_700_000_000_000,
        ..Record::default()
    }
}

fn expired() -> DeliveryFailure {
    DeliveryFailure::new(FailureKind::Timeout, Persistence::PossiblyPersisted)
}

/// The values of a batch, read from its bytes as a broker reads them.
fn values(batch: &SealedBatch) -> Vec<Vec<u8>> {
    read(&batch.header(None), batch.payload())
}

fn read(header: &[u8], payload: &[Bytes]) -> Vec<Vec<u8>> {
    let mut wire = header.to_vec();
    payload.iter().for_each(|slice| wire.extend_from_slice(slice));
    let batch = RecordBatch::decode(wire.into()).expect("a batch");
    batch.check_crc().expect("its checksum");
    let mut decompressor = Decompressor::new();
    let records = batch.records(&mut decompressor, 64 << 20).expect("readable");
    records
        .map(|record| record.expect("a record").value.unwrap_or_default().to_vec())
        .collect()
}
