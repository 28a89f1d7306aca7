//! What must always hold, found out from outside: by a scan of the logs.

use std::collections::{BTreeMap, BTreeSet};

use ottla_broker::{EventKind, Isolation, LogBatch, PartitionState, Pose};
use ottla_protocol::compression::Decompressor;
use ottla_protocol::records::ControlRecord;

use super::world::{TOPIC, TOPIC_BYTES_MAX, World};

impl World {
    /// After every operation.
    pub(super) fn check(&mut self) {
        self.check_markers();
        // A topic that is deleted and created again is another one.
        let topic_id = self.cluster.topic_id(TOPIC);
        self.acked.retain(|acked| Some(acked.topic_id) == topic_id);
        for partition in 0..self.cluster.partition_count(TOPIC).unwrap_or(0) {
            let state = self
                .cluster
                .partition_state(TOPIC, partition)
                .expect("a partition");
            let batches = self.cluster.batches(TOPIC, partition).expect("a partition");
            check_offsets(&state, &batches);
            check_sequences(&batches);
            self.check_acked(partition, &state, &batches);
            // What a transaction began with may be gone otherwise.
            if state.log_start == 0 {
                self.check_readers(partition, &state, &batches);
            }
        }
        let held = self.cluster.log_bytes();
        assert!(held <= 8 * TOPIC_BYTES_MAX, "{held} bytes of logs");
    }

    /// When nothing is wrong any more and time has passed.
    pub(super) fn check_healed(&self) {
        assert_eq!(self.open_requests(), 0, "requests that nobody answers");
        for id in ["x", "y"] {
            if let Some(transaction) = self.cluster.transaction(id) {
                let state = transaction.state;
                let ended = matches!(state, "Empty" | "CompleteCommit" | "CompleteAbort");
                assert!(ended, "{id} is still {state}");
            }
        }
        for partition in 0..self.cluster.partition_count(TOPIC).unwrap_or(0) {
            let state = self
                .cluster
                .partition_state(TOPIC, partition)
                .expect("a partition");
            assert_eq!(
                state.high_watermark, state.log_end,
                "everything is replicated: {state:?}"
            );
            // Before KIP-890 a late batch could open a transaction that nobody ends.
            if self.pose >= Pose::V3_9 {
                assert_eq!(
                    state.last_stable, state.high_watermark,
                    "a transaction hangs: {state:?}"
                );
            }
        }
    }

    /// Until a decision is carried out, all markers say what was decided.
    fn check_markers(&mut self) {
        let count = self.cluster.events_count();
        let new = usize::try_from(count - self.events_seen).unwrap_or(usize::MAX);
        self.events_seen = count;
        let kinds: Vec<EventKind> = self
            .cluster
            .events()
            .rev()
            .take(new)
            .map(|event| event.kind.clone())
            .collect();
        for kind in kinds.into_iter().rev() {
            match kind {
                EventKind::Transaction {
                    producer_id, state, ..
                } if state.starts_with("Prepare") => {
                    self.decided.insert(producer_id, state == "PrepareCommit");
                }
                EventKind::Marker {
                    producer_id,
                    committed,
                    ..
                } => {
                    let decided = self.decided.get(&producer_id).copied();
                    assert_eq!(Some(committed), decided, "the marker of {producer_id}");
                }
                _ => {}
            }
        }
    }

    /// What all replicas had is where it was said to be.
    fn check_acked(&mut self, partition: i32, state: &PartitionState, batches: &[LogBatch]) {
        let by_offset: BTreeMap<i64, &LogBatch> = batches
            .iter()
            .map(|log| (log.batch.header().base_offset, log))
            .collect();
        self.acked.retain(|acked| {
            if acked.partition != partition {
                return true;
            }
            if acked.base_offset < state.log_start {
                return false;
            }
            assert!(acked.base_offset < state.high_watermark, "{acked:?} in {state:?}");
            let log = by_offset.get(&acked.base_offset);
            let header = log.unwrap_or_else(|| panic!("{acked:?} is gone")).batch.header();
            assert_eq!(
                ((header.producer_id, header.producer_epoch), header.base_sequence),
                (acked.identity, acked.sequence),
                "another batch stands at {}",
                acked.base_offset
            );
            true
        });
    }

    /// The last stable offset and what a read_committed reader sees, against a scan.
    fn check_readers(&mut self, partition: i32, state: &PartitionState, batches: &[LogBatch]) {
        let scan = Scan::new(batches, state.high_watermark);
        assert_eq!(
            state.last_stable, scan.last_stable,
            "partition {partition}: {state:?}"
        );
        let committed = self
            .cluster
            .records(TOPIC, partition, Isolation::ReadCommitted)
            .expect("a partition");
        let seen: Vec<i64> = committed.iter().map(|record| record.offset).collect();
        assert_eq!(seen, scan.visible, "partition {partition}: {state:?}");
    }
}

fn check_offsets(state: &PartitionState, batches: &[LogBatch]) {
    let PartitionState {
        log_start,
        last_stable,
        high_watermark,
        log_end,
        ..
    } = *state;
    assert!(
        0 <= log_start
            && log_start <= last_stable
            && last_stable <= high_watermark
            && high_watermark <= log_end,
        "{state:?}"
    );
    let mut expected = None;
    for log in batches {
        let header = log.batch.header();
        match expected {
            None => assert!(header.base_offset <= log_start, "the start is missing: {state:?}"),
            Some(offset) => assert_eq!(header.base_offset, offset, "a gap"),
        }
        assert_eq!(header.last_offset_delta + 1, header.record_count);
        expected = Some(header.last_offset() + 1);
    }
    assert_eq!(expected.unwrap_or(log_start), log_end, "{state:?}");
}

fn check_sequences(batches: &[LogBatch]) {
    let mut seen = BTreeSet::new();
    for log in batches {
        let header = log.batch.header();
        // Kafka takes a producer with the epoch -1 for none.
        if header.attributes.is_control() || header.producer_id < 0 || header.producer_epoch < 0 {
            continue;
        }
        for record in 0..header.record_count {
            let sequence = header.base_sequence.wrapping_add(record) & i32::MAX;
            let new = seen.insert((header.producer_id, header.producer_epoch, sequence));
            assert!(new, "sequence {sequence} twice: {header:?}");
        }
    }
}

/// What readers should see of a log.
#[derive(Debug)]
struct Scan {
    last_stable: i64,
    /// The offsets of committed records.
    visible: Vec<i64>,
}

impl Scan {
    fn new(batches: &[LogBatch], high_watermark: i64) -> Scan {
        // Producer → where its transaction began, and its records' offsets.
        let mut open: BTreeMap<i64, (i64, Vec<i64>)> = BTreeMap::new();
        let mut last_stable = high_watermark;
        let mut visible = Vec::new();
        for log in batches {
            let header = log.batch.header();
            let offsets = header.base_offset..=header.last_offset();
            if header.attributes.is_control() {
                let Some((first, offsets)) = open.remove(&header.producer_id) else {
                    continue;
                };
                if header.base_offset >= high_watermark {
                    last_stable = last_stable.min(first);
                }
                if is_commit(log) {
                    visible.extend(offsets);
                }
            } else if header.attributes.is_transactional() {
                let transaction = open
                    .entry(header.producer_id)
                    .or_insert((header.base_offset, Vec::new()));
                transaction.1.extend(offsets);
            } else {
                visible.extend(offsets);
            }
        }
        let first_open = open.values().map(|(first, _)| *first).min();
        last_stable = last_stable.min(first_open.unwrap_or(last_stable));
        visible.sort_unstable();
        visible.retain(|offset| *offset < last_stable);
        Scan { last_stable, visible }
    }
}

fn is_commit(log: &LogBatch) -> bool {
    let mut records = log
        .batch
        .records(&mut Decompressor::new(), 1_000)
        .expect("records that are not compressed");
    let record = records
        .next()
        .expect("a record")
        .expect("a record that can be read");
    match ControlRecord::decode(&record) {
        Ok(ControlRecord::EndTransaction(marker)) => marker.committed,
        other => panic!("{other:?}"),
    }
}
