//! What is in the logs of the cluster.

use super::World;
use crate::oracle::{self, Logs};
use crate::payload::Payload;
use ottla_broker::Isolation;
use ottla_protocol::compression::Decompressor;
use std::collections::BTreeSet;

impl World {
    /// The numbers of the records that a reader of committed records sees.
    pub(super) fn read_committed(&mut self) -> Result<BTreeSet<u32>, String> {
        let mut seen = BTreeSet::new();
        if !self.scenario.transactional {
            return Ok(seen);
        }
        for (name, partitions) in &self.scenario.topics {
            for partition in 0..*partitions {
                let records = self.cluster.records(name, partition, Isolation::ReadCommitted);
                for record in records.map_err(|error| error.to_string())? {
                    if let Some(number) = Payload::number_of(record.value.as_deref())
                        && !seen.insert(number)
                    {
                        return Err(format!("record {number} is committed twice"));
                    }
                }
            }
        }
        Ok(seen)
    }

    pub(super) fn read_logs(&self) -> Result<Logs, String> {
        let mut logs = self.buried.clone();
        for topic in 0..self.scenario.topics.len() {
            self.read_topic(topic, &mut logs)?;
        }
        Ok(logs)
    }

    /// Adds what is in the logs of a topic.
    pub(super) fn read_topic(&self, topic: usize, logs: &mut Logs) -> Result<(), String> {
        let ledger = self.desk.ledger.borrow();
        let mut decompressor = Decompressor::new();
        let (name, partitions) = &self.scenario.topics[topic];
        for partition in 0..*partitions {
            let mut log = Vec::new();
            let batches = self
                .cluster
                .batches(name, partition)
                .map_err(|error| error.to_string())?;
            for batch in batches {
                let batch = batch.batch;
                if batch.header().attributes.is_control() {
                    continue;
                }
                let base = batch.header().base_offset;
                let read = batch.visit_records(&mut decompressor, 64 << 20, |record| {
                    let offset = base + i64::from(record.offset_delta);
                    log.push(oracle::read(&ledger.entries, offset, record));
                });
                read.map_err(|error| format!("a batch in the log that nobody can read: {error}"))?;
            }
            logs.entry((topic as u8, partition)).or_default().push(log);
        }
        Ok(())
    }
}
