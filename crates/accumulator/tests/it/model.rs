//! Any operations, against a model that is a list of records for each partition and a sum.

use crate::{accumulator, expired, record, values};
use ottla_accumulator::{Accumulator, AppendError, Delivery, FlushWait, Partition, SealedBatch, Sealer};
use ottla_protocol::compression::Compression;
use ottla_time::ManualClock;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

const PARTITIONS: usize = 3;

#[derive(Clone, Debug)]
enum Operation {
    Append {
        partition: usize,
        len: usize,
    },
    /// The oldest batch goes to a writer.
    Take {
        partition: usize,
    },
    Acknowledge {
        at: usize,
    },
    Fail {
        at: usize,
    },
    Split {
        at: usize,
    },
    Flush,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (0..PARTITIONS, 0..1_500_usize)
            .prop_map(|(partition, len)| Operation::Append { partition, len }),
        2 => (0..PARTITIONS).prop_map(|partition| Operation::Take { partition }),
        2 => any::<usize>().prop_map(|at| Operation::Acknowledge { at }),
        1 => any::<usize>().prop_map(|at| Operation::Fail { at }),
        1 => any::<usize>().prop_map(|at| Operation::Split { at }),
        1 => Just(Operation::Flush),
    ]
}

struct Queued {
    value: Vec<u8>,
    delivery: Delivery,
    number: usize,
}

struct Flying {
    batch: SealedBatch,
    records: Vec<Queued>,
}

struct World {
    accumulator: Accumulator,
    partitions: Vec<Arc<Partition>>,
    sealer: Sealer,
    clock: ManualClock,
    queued: Vec<VecDeque<Queued>>,
    flying: Vec<Flying>,
    /// Each with how many records had been appended before it.
    flushes: Vec<(Pin<Box<FlushWait>>, usize)>,
    appended: usize,
    next_offset: i64,
    /// Parts share their parent's generation: a flush then waits for what is in the same batch, too.
    any_split: bool,
}

impl World {
    fn new(batch_size: usize, buffer_memory: usize) -> World {
        let accumulator = accumulator(batch_size, buffer_memory);
        let topic = accumulator.topic("t".into());
        World {
            partitions: (0..PARTITIONS)
                .map(|number| topic.partition(number as i32, number))
                .collect(),
            accumulator,
            sealer: Sealer::new(Compression::None).expect("no codec"),
            clock: ManualClock::new(0),
            queued: (0..PARTITIONS).map(|_| VecDeque::new()).collect(),
            flying: Vec::new(),
            flushes: Vec::new(),
            appended: 0,
            next_offset: 0,
            any_split: false,
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Append { partition, len } => self.append(partition, len),
            Operation::Take { partition } => self.take(partition),
            Operation::Acknowledge { at } => self.acknowledge(at),
            Operation::Fail { at } => self.fail(at),
            Operation::Split { at } => self.split(at),
            Operation::Flush => {
                let wait = Box::pin(self.accumulator.flushes().begin());
                self.flushes.push((wait, self.appended));
            }
        }
        self.check();
    }

    fn append(&mut self, partition: usize, len: usize) {
        let value = vec![self.appended as u8; len];
        let used = self.accumulator.memory().used();
        let appended =
            self.partitions[partition].append(&self.accumulator, &record(&value), None, &self.clock);
        match appended {
            Ok(appended) => {
                self.queued[partition].push_back(Queued {
                    value,
                    delivery: appended.delivery,
                    number: self.appended,
                });
                self.appended += 1;
            }
            Err(AppendError::Memory { needed, .. }) => {
                assert!(needed > 0);
                assert_eq!(self.accumulator.memory().used(), used, "nothing was taken");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn take(&mut self, partition: usize) {
        let Some(batch) = self.partitions[partition].take() else {
            assert!(self.queued[partition].is_empty());
            return;
        };
        let count = batch.record_count() as usize;
        let records: Vec<Queued> = self.queued[partition].drain(..count).collect();
        let ratio = self.partitions[partition].compression_ratio();
        let batch = self.sealer.seal(batch, ratio).expect("no codec");
        self.fly(batch, records);
    }

    fn fly(&mut self, batch: SealedBatch, records: Vec<Queued>) {
        let expected: Vec<_> = records.iter().map(|record| record.value.clone()).collect();
        assert_eq!(values(&batch), expected, "the records, in their order");
        self.flying.push(Flying { batch, records });
    }

    fn land(&mut self, at: usize) -> Option<Flying> {
        let at = at.checked_rem(self.flying.len())?;
        Some(self.flying.swap_remove(at))
    }

    fn acknowledge(&mut self, at: usize) {
        let Some(Flying { batch, records }) = self.land(at) else {
            return;
        };
        let base = self.next_offset;
        self.next_offset += records.len() as i64;
        assert!(batch.complete(base, -1) && !batch.fail(expired()));
        for (offset, record) in (base..).zip(&records) {
            let metadata = record.delivery.outcome().expect("resolved").expect("acked");
            assert_eq!(metadata.offset(), Some(offset));
            assert_eq!(metadata.value_size(), Some(record.value.len()));
        }
    }

    fn fail(&mut self, at: usize) {
        let Some(Flying { batch, records }) = self.land(at) else {
            return;
        };
        assert!(batch.fail(expired()) && !batch.complete(0, -1));
        for record in &records {
            let failure = record.delivery.outcome().expect("resolved").expect_err("failed");
            assert_eq!(failure.persistence, expired().persistence);
        }
    }

    fn split(&mut self, at: usize) {
        let Some(Flying { batch, mut records }) = self.land(at) else {
            return;
        };
        let ratio = self.partitions[0].compression_ratio();
        match self.sealer.split(batch, ratio, &self.accumulator) {
            Ok(parts) => {
                self.any_split = true;
                for part in parts {
                    let rest = records.split_off(part.record_count as usize);
                    self.fly(
                        part.batch.expect("no codec"),
                        std::mem::replace(&mut records, rest),
                    );
                }
                assert!(records.is_empty());
            }
            Err(batch) => {
                assert_eq!(records.len(), 1, "only a single record cannot be split");
                self.flying.push(Flying {
                    batch: *batch,
                    records,
                });
            }
        }
    }

    fn unresolved(&self) -> impl Iterator<Item = &Queued> {
        let flying = self.flying.iter().flat_map(|flying| &flying.records);
        self.queued.iter().flatten().chain(flying)
    }

    fn check(&mut self) {
        assert!(self.unresolved().all(|record| !record.delivery.is_resolved()));
        let held: usize = self.unresolved().map(|record| record.value.len()).sum();
        let used = self.accumulator.memory().used();
        assert!(used >= held, "{used} bytes are charged, {held} are held");
        if held == 0 && self.unresolved().next().is_none() {
            assert_eq!(used, 0, "nothing is there");
        }
        let oldest = self.unresolved().map(|record| record.number).min();
        let oldest = oldest.unwrap_or(usize::MAX);
        let any_split = self.any_split;
        let context = &mut Context::from_waker(Waker::noop());
        self.flushes.retain_mut(|(wait, before)| {
            let ready = wait.as_mut().poll(context).is_ready();
            let resolved = oldest >= *before;
            assert!(
                !ready || resolved,
                "a flush of what came before {before} ended before {oldest}"
            );
            let must_end = resolved && (!any_split || oldest == usize::MAX);
            assert!(
                ready || !must_end,
                "a flush of what came before {before} still waits"
            );
            !ready
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn it_behaves_like_the_model(
        batch_size in 0..3_000_usize,
        buffer_memory in 8_000..100_000_usize,
        operations in proptest::collection::vec(operation(), 0..200),
    ) {
        let mut world = World::new(batch_size, buffer_memory);
        operations.into_iter().for_each(|operation| world.apply(operation));
        for partition in 0..PARTITIONS {
            while world.partitions[partition].inspect(&world.accumulator).oldest.is_some() {
                world.take(partition);
            }
        }
        while !world.flying.is_empty() {
            world.acknowledge(0);
            world.check();
        }
        assert!(world.flushes.is_empty());
        assert_eq!(world.accumulator.memory().used(), 0);
    }
}
