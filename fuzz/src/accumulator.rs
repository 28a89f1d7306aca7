//! Any operations on an accumulator, against a model that is a list of records for each partition.
//!
//! What leaves in a batch is what was appended, in order; every delivery resolves once, with its own offset, also after
//! splits; a flush ends when what was before it is resolved; and when everything is gone the memory is free.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use bytes::Bytes;
use ottla_accumulator::{
    Accumulator, AccumulatorConfig, AppendError, BatchIdentity, Delivery, DeliveryFailure, FailureKind,
    FlushWait, MemoryWait, Partition, Persistence, Record, SealedBatch, Sealer,
};
use ottla_protocol::compression::{Compression, Decompressor};
use ottla_protocol::records::{Header, RecordBatch};
use ottla_time::{Clock as _, ManualClock};

const PARTITIONS: usize = 3;

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    // Too short an input is none.
    let _ = operations(&mut Unstructured::new(input));
}

/// A record that was appended: what it is, and the outcome to come.
struct Appended {
    number: u64,
    value_len: usize,
    delivery: Option<Delivery>,
}

/// A batch that was taken, sealed, and is with a writer.
struct Flying {
    partition: usize,
    batch: SealedBatch,
    records: Vec<Appended>,
    /// Slices that a writer still holds, if it does.
    written: Option<Vec<Bytes>>,
}

struct World {
    accumulator: Accumulator,
    clock: ManualClock,
    partitions: Vec<Arc<Partition>>,
    sealer: Sealer,
    /// Records that wait in each partition, oldest first.
    queued: Vec<VecDeque<Appended>>,
    flying: Vec<Flying>,
    waits: Vec<MemoryWait>,
    flushes: Vec<(FlushWait, u64)>,
    next_number: u64,
    next_offset: i64,
}

fn operations(input: &mut Unstructured<'_>) -> Result<()> {
    let compression = *input.choose(&[Compression::None, Compression::Lz4, Compression::Snappy])?;
    let mut config = AccumulatorConfig::default();
    config.batch_size = usize::from(u16::arbitrary(input)? % 2_000);
    config.buffer_memory = input.int_in_range(4_000..=200_000)?;
    config.compression = compression;
    let accumulator = Accumulator::new(config);
    let topic = accumulator.topic("t".into());
    let mut world = World {
        partitions: (0..PARTITIONS)
            .map(|number| topic.partition(number as i32, number))
            .collect(),
        accumulator,
        clock: ManualClock::new(1_000_000),
        sealer: Sealer::new(compression).expect("compiled in"),
        queued: (0..PARTITIONS).map(|_| VecDeque::new()).collect(),
        flying: Vec::new(),
        waits: Vec::new(),
        flushes: Vec::new(),
        next_number: 0,
        next_offset: 0,
    };
    let result = world.play(input);
    world.end();
    result
}

impl World {
    fn play(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        while !input.is_empty() {
            let partition = input.int_in_range(0..=PARTITIONS - 1)?;
            match input.int_in_range(0..=9)? {
                0..=3 => self.append(partition, input)?,
                4 => self.take(partition),
                5 => self.acknowledge(usize::from(u8::arbitrary(input)?)),
                6 => self.split(usize::from(u8::arbitrary(input)?)),
                7 => self.fail(usize::from(u8::arbitrary(input)?)),
                8 => {
                    let wait = self.accumulator.flushes().begin();
                    self.flushes.push((wait, self.next_number));
                }
                _ => {
                    self.clock
                        .advance(Duration::from_millis(u64::from(u8::arbitrary(input)?)));
                    if bool::arbitrary(input)? {
                        self.waits.pop();
                    }
                }
            }
            self.check_flushes();
        }
        Ok(())
    }

    fn append(&mut self, partition: usize, input: &mut Unstructured<'_>) -> Result<()> {
        let value_len = usize::from(u16::arbitrary(input)? % 3_000);
        let key = bool::arbitrary(input)?.then_some([b'k'; 3]);
        let number = self.next_number;
        let name = number.to_be_bytes();
        let headers = [Header {
            key: "number",
            value: Some(&name),
        }];
        let value = vec![b'v'; value_len];
        let record = Record {
            key: key.as_ref().map(|key| &key[..]),
            value: Some(&value),
            headers: &headers,
            timestamp_ms: self.clock.wall_ms(),
        };
        let mut permits = None;
        loop {
            let appended =
                self.partitions[partition].append(&self.accumulator, &record, permits.as_mut(), &self.clock);
            match appended {
                Ok(appended) => {
                    self.next_number += 1;
                    self.queued[partition].push_back(Appended {
                        number,
                        value_len,
                        delivery: bool::arbitrary(input)?.then_some(appended.delivery),
                    });
                    return Ok(());
                }
                Err(AppendError::Memory { needed, .. }) => {
                    assert!(permits.is_none(), "who waited for memory gets on");
                    let mut wait = self.partitions[partition].wait_for_memory(needed);
                    match poll(&mut wait) {
                        Some(granted) => {
                            assert_eq!(granted.bytes(), needed);
                            permits = Some(granted);
                        }
                        None => {
                            self.waits.push(wait);
                            return Ok(());
                        }
                    }
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn take(&mut self, partition: usize) {
        let Some(closed) = self.partitions[partition].take() else {
            assert!(
                self.queued[partition].is_empty(),
                "records wait, and no batch has them"
            );
            return;
        };
        let count = closed.record_count() as usize;
        let records: Vec<Appended> = self.queued[partition].drain(..count).collect();
        let ratio = self.partitions[partition].compression_ratio();
        let batch = self.sealer.seal(closed, ratio).expect("the codec works");
        self.fly(partition, batch, records);
    }

    /// Looks at the bytes of a sealed batch, which must be the records.
    fn fly(&mut self, partition: usize, batch: SealedBatch, records: Vec<Appended>) {
        let identity = BatchIdentity {
            producer_id: 7,
            producer_epoch: 1,
            base_sequence: 5,
            transactional: false,
        };
        let mut wire = batch.header(Some(identity)).to_vec();
        batch
            .payload()
            .iter()
            .for_each(|slice| wire.extend_from_slice(slice));
        assert_eq!(wire.len(), batch.wire_len());
        let decoded = RecordBatch::decode(wire.into()).expect("a batch");
        decoded.check_crc().expect("its checksum");
        assert_eq!(decoded.header().producer_id, 7);
        let mut decompressor = Decompressor::new();
        let mut found = decoded.records(&mut decompressor, 64 << 20).expect("readable");
        for record in &records {
            let read = found.next().expect("a record for each").expect("readable");
            assert_eq!(
                read.headers[0].value.as_deref(),
                Some(&record.number.to_be_bytes()[..])
            );
            assert_eq!(
                read.value.as_ref().map(|value| value.len()),
                Some(record.value_len)
            );
        }
        assert!(found.next().is_none(), "a record that nobody appended");
        drop(found);
        let written = Some(batch.payload().to_vec());
        self.flying.push(Flying {
            partition,
            batch,
            records,
            written,
        });
    }

    fn acknowledge(&mut self, at: usize) {
        let Some(mut flying) = self.take_flying(at) else {
            return;
        };
        let base = self.next_offset;
        self.next_offset += flying.records.len() as i64;
        assert!(flying.batch.complete(base, -1));
        for (index, record) in (0..).zip(&flying.records) {
            if let Some(delivery) = &record.delivery {
                let metadata = delivery.outcome().expect("resolved").expect("acknowledged");
                assert_eq!(metadata.offset(), Some(base + index));
                assert_eq!(metadata.partition() as usize, flying.partition);
            }
        }
        assert!(!flying.batch.complete(0, -1), "the first outcome stands");
        flying.written = None;
    }

    fn split(&mut self, at: usize) {
        let Some(mut flying) = self.take_flying(at) else {
            return;
        };
        let ratio = self.partitions[flying.partition].compression_ratio();
        let before = self.accumulator.memory().used();
        let parts = match self.sealer.split(flying.batch, ratio, &self.accumulator) {
            Ok(parts) => parts,
            Err(batch) => {
                assert_eq!(flying.records.len(), 1, "only a single record cannot be split");
                batch.fail(failure());
                return;
            }
        };
        let partition = flying.partition;
        for part in parts {
            let records: Vec<_> = flying.records.drain(..part.record_count as usize).collect();
            assert!(!records.is_empty());
            self.fly(partition, part.batch.expect("the codec works"), records);
        }
        assert!(flying.records.is_empty());
        let after = self.accumulator.memory().used();
        assert!(
            flying.written.is_some() || after <= before + 1_024,
            "{before} bytes became {after}"
        );
    }

    fn fail(&mut self, at: usize) {
        let Some(flying) = self.take_flying(at) else {
            return;
        };
        assert!(flying.batch.fail(failure()));
        for delivery in flying.records.iter().flat_map(|record| &record.delivery) {
            let failed = delivery.outcome().expect("resolved").expect_err("failed");
            assert_eq!(failed.kind, FailureKind::Network);
        }
    }

    fn take_flying(&mut self, at: usize) -> Option<Flying> {
        let count = self.flying.len();
        (count > 0).then(|| self.flying.swap_remove(at % count))
    }

    /// A flush is over when nothing that was appended before it is unresolved.
    fn check_flushes(&mut self) {
        let queued = self.queued.iter().flatten();
        let flying = self.flying.iter().flat_map(|flying| &flying.records);
        let oldest = queued
            .chain(flying)
            .map(|record| record.number)
            .min()
            .unwrap_or(u64::MAX);
        self.flushes.retain_mut(|(wait, before)| {
            let over = poll(wait).is_some();
            // A batch that was open when the flush began belongs to it with what it takes later.
            assert!(
                !over || oldest >= *before,
                "flushed, but record {oldest} is not resolved"
            );
            !over
        });
    }

    fn end(mut self) {
        self.waits.clear();
        for partition in 0..PARTITIONS {
            while !self.queued[partition].is_empty() {
                self.take(partition);
            }
        }
        while !self.flying.is_empty() {
            self.acknowledge(0);
        }
        self.check_flushes();
        assert!(
            self.flushes.is_empty(),
            "everything is resolved, and a flush waits"
        );
        assert_eq!(self.accumulator.memory().used(), 0);
        assert_eq!(self.accumulator.memory().waiting(), 0);
        assert!(
            self.partitions
                .iter()
                .all(|partition| partition.memory_held() == 0)
        );
    }
}

fn failure() -> DeliveryFailure {
    DeliveryFailure::new(FailureKind::Network, Persistence::PossiblyPersisted)
}

fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
