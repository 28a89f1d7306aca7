//! What has to hold at the end of a seed, and of each producer in it.

use super::{END_AT_LEAST, World};
use crate::ledger::{Entry, State};
use crate::scenario::{FAULTS_MIN, Promise, RECORDS_MIN};
use crate::{oracle, transactions};
use ottla_time::mutants;
use std::collections::BTreeSet;

impl World {
    /// Nobody ends a producer but a twin, and what [`crate::call::Call`] knows.
    pub(super) fn check_cause_of_end(&self) -> Result<(), String> {
        let fenced = self.twin_of == Some(self.desk.generation.get());
        // Before Kafka 2.5 nothing can follow a gap.
        let old = self.scenario.cluster.pose == ottla_broker::Pose::V2_1;
        if fenced || old || self.twin_unsure || self.wire.excuses_the_end() {
            return Ok(());
        }
        Err("the transactional producer is at its end, and nobody fenced it".to_owned())
    }

    /// What a seed has at least, whatever happens in it. A planted bug is not found by this: that it makes a seed small is
    /// no harm that a user could see.
    fn check_floors(&self) -> Result<(), String> {
        if mutants::is_any_planted() {
            return Ok(());
        }
        let counters = self.desk.counters.borrow();
        let enough = counters.records >= RECORDS_MIN
            && counters.faults >= FAULTS_MIN as u64
            && self.now >= END_AT_LEAST;
        if enough {
            return Ok(());
        }
        Err(format!(
            "the seed is too small: {} records and {} faults in {}",
            counters.records, counters.faults, self.now
        ))
    }

    pub(super) fn check_end(&mut self) -> Result<(), String> {
        let used = self.desk.handle().memory_used() + self.desk.memory_left_behind();
        if used > 0 {
            return Err(format!("{used} bytes are in use at the end"));
        }
        let ledger = self.desk.ledger.borrow();
        for (number, entry) in ledger.entries.iter().enumerate() {
            let Some(delivery) = &entry.delivery else { continue };
            let same = match (delivery.outcome(), &entry.state) {
                (Some(Ok(metadata)), State::Acked { offset }) => metadata.offset() == *offset,
                (Some(Err(failure)), State::Failed { persistence }) => failure.persistence == *persistence,
                (None, _) => return Err(format!("record {number} is not resolved after the close")),
                (Some(_), State::Queued) => {
                    return Err(format!("record {number} was resolved, and nobody was woken"));
                }
                _ => false,
            };
            if !same {
                return Err(format!("record {number} has two outcomes"));
            }
        }
        drop(ledger);
        let logs = self.read_logs()?;
        let committed = self.read_committed()?;
        let ledger = self.desk.ledger.borrow();
        oracle::check(&ledger.entries, &logs, self.scenario.promise)?;
        if self.scenario.transactional {
            self.check_transactions(&ledger.entries, &committed)?;
        }
        self.check_probes(&ledger.entries)?;
        self.check_floors()
    }

    fn check_transactions(&self, entries: &[Entry], committed: &BTreeSet<u32>) -> Result<(), String> {
        let transactions = self.desk.transactions.borrow();
        // Before Kafka 3.6 a broker takes a batch that comes after the end of its transaction for one of the next
        // (KAFKA-14402); nothing that a producer does helps.
        let may_mix = self.scenario.cluster.pose < ottla_broker::Pose::V3_9;
        transactions::check(entries, &transactions, committed, may_mix)?;
        let topic = &self.scenario.topics[0].0;
        let offset = self.cluster.committed_offset(transactions::GROUP, topic, 0);
        transactions::check_offset(&transactions, offset)?;
        if let Some(fenced) = self.twin_since
            && !self.twin_unsure
        {
            transactions::check_fenced(entries, &transactions, fenced)?;
        }
        if self.desk.ended_by_itself.get() {
            self.check_cause_of_end()?;
        }
        if !self.scenario.closes_early && !self.desk.last_committed.get() {
            return Err("no transaction was committed when all was well again".to_owned());
        }
        Ok(())
    }

    /// After trouble everything works again.
    fn check_probes(&self, entries: &[Entry]) -> Result<(), String> {
        if self.scenario.closes_early || self.scenario.promise == Promise::Nothing {
            return Ok(());
        }
        let probes = self.desk.probes.borrow();
        let mut probes = probes.iter().map(|&number| &entries[number as usize]);
        match probes.find(|entry| !matches!(entry.state, State::Acked { .. })) {
            Some(entry) => {
                let (number, state) = (entry.payload.number, &entry.state);
                Err(format!(
                    "record {number} was sent when all was well again, and not acked: {state:?}"
                ))
            }
            None => Ok(()),
        }
    }
}
