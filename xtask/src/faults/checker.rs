//! Holds what was said of each record against what readers find.
//!
//! Written apart from all that it checks: it knows numbers, reports and records, and no code of Ottla's.

use std::fmt::Write as _;

use crate::acceptance::compare::{Faults, Record};

/// What records look like: see `ottla verifiable --help`.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) prefix: u32,
    pub(super) value_bytes: usize,
    /// Where Java puts each key; keys are the numbers below its length.
    pub(super) partition_of_key: Vec<usize>,
}

impl Shape {
    fn key(&self, number: usize) -> usize {
        number % self.partition_of_key.len()
    }

    fn value(&self, number: usize) -> String {
        let mut value = format!("{}.{number}", self.prefix);
        let unit = format!("{value} ");
        value.clear();
        while value.len() < self.value_bytes.max(unit.len() - 1) {
            // A `String` takes everything.
            let _ = write!(value, "{unit}");
        }
        value.truncate(self.value_bytes.max(unit.len() - 1));
        value
    }

    /// The number of a record that is whole and ours.
    fn number(&self, key: &str, value: &str) -> Option<usize> {
        let rest = value.strip_prefix(&format!("{}.", self.prefix))?;
        let number = rest.split(' ').next()?.parse().ok()?;
        let whole = value == self.value(number) && key == self.key(number).to_string();
        whole.then_some(number)
    }
}

/// What was said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It is in the log, there.
    Acked { partition: usize, offset: u64 },
    /// It failed and is not in the log.
    NotPersisted,
    /// It failed and may be in the log.
    PossiblyPersisted,
    /// It failed and is in the log.
    Persisted,
}

/// All that was said of one topic's records.
#[derive(Debug)]
pub(super) struct Reports {
    shape: Shape,
    said: Vec<Option<Said>>,
    faults: Faults,
}

/// How many were said to be what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) acked: usize,
    pub(super) not_persisted: usize,
    pub(super) possibly_persisted: usize,
    pub(super) persisted: usize,
}

impl Reports {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            said: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Notes what was said of the record with this key and value.
    pub(super) fn add(&mut self, key: &str, value: &str, said: Said) {
        let Some(number) = self.shape.number(key, value) else {
            return self
                .faults
                .add(|| format!("a report of what was never sent: {key:?} {value:?}"));
        };
        if number >= self.said.len() {
            self.said.resize(number + 1, None);
        }
        if let Some(first) = self.said[number].replace(said) {
            self.faults
                .add(|| format!("record {number} ended twice: {first:?} and {said:?}"));
        }
        if let Said::Acked { partition, .. } = said {
            let java = self.shape.partition_of_key[self.shape.key(number)];
            if partition != java {
                self.faults
                    .add(|| format!("record {number} is in {partition}, and Java chose {java}"));
            }
        }
    }

    /// After the last report: each of `sent` records has to have one. What is wrong so far is an error.
    pub(super) fn finish(&mut self, sent: usize) -> anyhow::Result<Totals> {
        if self.said.len() > sent {
            let more = self.said.len() - sent;
            self.faults
                .add(|| format!("{sent} records were sent, and reports tell of {more} more"));
        }
        self.said.resize(sent, None);
        let mut totals = Totals::default();
        for (number, said) in self.said.iter().enumerate() {
            match said {
                Some(Said::Acked { .. }) => totals.acked += 1,
                Some(Said::NotPersisted) => totals.not_persisted += 1,
                Some(Said::PossiblyPersisted) => totals.possibly_persisted += 1,
                Some(Said::Persisted) => totals.persisted += 1,
                None => self.faults.add(|| format!("nothing was said of record {number}")),
            }
        }
        std::mem::take(&mut self.faults).into_result()?;
        Ok(totals)
    }

    /// For one reader.
    pub(super) fn reading(&self) -> Reading<'_> {
        let partitions = self
            .shape
            .partition_of_key
            .iter()
            .max()
            .map_or(0, |most| most + 1);
        Reading {
            reports: self,
            found: vec![false; self.said.len()],
            last: vec![None; partitions],
            faults: Faults::default(),
            records: 0,
            doubtful: 0,
        }
    }
}

/// What one reader finds.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    reports: &'a Reports,
    found: Vec<bool>,
    /// By partition: the last record's offset and number.
    last: Vec<Option<(u64, usize)>>,
    faults: Faults,
    records: usize,
    doubtful: usize,
}

/// What a reader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) records: usize,
    /// Those that were said to be possibly persisted.
    pub(super) doubtful: usize,
}

impl Reading<'_> {
    /// Takes the next record of the reader; each partition's come in the order of the log.
    pub(super) fn record(&mut self, record: &Record<'_>) {
        self.records += 1;
        let shape = &self.reports.shape;
        let Some(number) = shape.number(record.key, record.value) else {
            return self.faults.add(|| format!("{record:?} is not what was sent"));
        };
        let java = shape.partition_of_key[shape.key(number)];
        if record.partition != java {
            self.faults
                .add(|| format!("{record:?} is misplaced: Java chose {java}"));
        }
        if let Some(last) = self.last.get_mut(record.partition) {
            // Nothing but records of ours is in the log, so that a gap is one of the reader, or of the broker.
            let expected = last.map_or(0, |(offset, _)| offset + 1);
            if record.offset != expected {
                self.faults
                    .add(|| format!("{record:?} where offset {expected} comes next"));
            }
            if last.is_some_and(|(_, before)| before > number) {
                self.faults
                    .add(|| format!("{record:?} is out of order: it comes after {last:?}"));
            }
            *last = Some((record.offset, number));
        }
        match self.reports.said.get(number).copied().flatten() {
            Some(Said::Acked { partition, offset })
                if (partition, offset) != (record.partition, record.offset) =>
            {
                self.faults
                    .add(|| format!("{record:?} was acked at {partition}@{offset}"));
            }
            Some(Said::NotPersisted) => self
                .faults
                .add(|| format!("{record:?} was said not to be persisted")),
            Some(Said::PossiblyPersisted) => self.doubtful += 1,
            Some(Said::Acked { .. } | Said::Persisted) => {}
            None => self
                .faults
                .add(|| format!("{record:?}, and nothing was said of it")),
        }
        if let Some(found) = self.found.get_mut(number)
            && std::mem::replace(found, true)
        {
            self.faults.add(|| format!("{record:?} is there twice"));
        }
    }

    /// After the reader's last record: what was said to be there has to have been there.
    pub(super) fn finish(mut self) -> anyhow::Result<Found> {
        for (number, said) in self.reports.said.iter().enumerate() {
            if let Some(said @ (Said::Acked { .. } | Said::Persisted)) = said
                && !self.found[number]
            {
                self.faults.add(|| format!("record {number} is lost: {said:?}"));
            }
        }
        self.faults.into_result()?;
        Ok(Found {
            records: self.records,
            doubtful: self.doubtful,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: usize = 3;
    const RECORDS: usize = 90;

    fn shape() -> Shape {
        Shape {
            prefix: 7,
            value_bytes: 24,
            partition_of_key: (0..10).map(|key| key % PARTITIONS).collect(),
        }
    }

    type Place = (usize, u64);
    type Log = Vec<(Place, usize)>;
    type Reported = Vec<(usize, Said)>;

    /// What a producer without faults leaves: a log, in which each place has a number, and what it said. Every tenth
    /// record failed: some truly not there, some there in spite of doubt.
    fn run() -> (Reported, Log) {
        let mut next = [0; PARTITIONS];
        let (mut said, mut log) = (Vec::new(), Vec::new());
        for number in 0..RECORDS {
            let partition = shape().partition_of_key[shape().key(number)];
            let place = (partition, next[partition]);
            let (says, there) = match number % 40 {
                10 => (Said::NotPersisted, false),
                20 => (Said::PossiblyPersisted, false),
                30 => (Said::PossiblyPersisted, true),
                31 => (Said::Persisted, true),
                _ => {
                    let (partition, offset) = place;
                    (Said::Acked { partition, offset }, true)
                }
            };
            said.push((number, says));
            if there {
                log.push((place, number));
                next[partition] += 1;
            }
        }
        (said, log)
    }

    /// All that the checker says, the reports' verdict before the reader's.
    fn verdict(said: &[(usize, Said)], log: &[(Place, usize)]) -> anyhow::Result<(Totals, Found)> {
        let shape = shape();
        let mut reports = Reports::new(shape.clone());
        for &(number, said) in said {
            reports.add(&shape.key(number).to_string(), &shape.value(number), said);
        }
        let totals = reports.finish(RECORDS)?;
        let mut reading = reports.reading();
        for &((partition, offset), number) in log {
            reading.record(&Record {
                partition,
                offset,
                timestamp_ms: 5,
                key: &shape.key(number).to_string(),
                value: &shape.value(number),
            });
        }
        Ok((totals, reading.finish()?))
    }

    #[test]
    fn the_truth_passes() {
        let (said, log) = run();
        let (totals, found) = verdict(&said, &log).expect("all true");
        assert_eq!(
            (totals.not_persisted, totals.possibly_persisted, totals.persisted),
            (2, 4, 2)
        );
        assert_eq!(totals.acked + 8, RECORDS);
        assert_eq!((found.records, found.doubtful), (log.len(), 2));
    }

    /// Each lie alone has to be found, and called by its name.
    #[track_caller]
    fn caught(name: &str, lie: impl FnOnce(&mut Reported, &mut Log)) {
        let (mut said, mut log) = run();
        lie(&mut said, &mut log);
        let fault = verdict(&said, &log).expect_err("a lie").to_string();
        assert!(fault.contains(name), "{fault}");
    }

    /// Takes a record out of the log and closes the gap.
    fn remove(log: &mut Log, number: usize) {
        let at = log.iter().position(|entry| entry.1 == number).expect("there");
        let ((partition, offset), _) = log.remove(at);
        for ((other, later), _) in log.iter_mut() {
            if *other == partition && *later > offset {
                *later -= 1;
            }
        }
    }

    /// Appends a record to a partition.
    fn append(log: &mut Log, partition: usize, number: usize) {
        let next = log.iter().filter(|entry| entry.0.0 == partition).count() as u64;
        log.push(((partition, next), number));
    }

    fn last_of(log: &[(Place, usize)], partition: usize) -> usize {
        log.iter()
            .rev()
            .find(|entry| entry.0.0 == partition)
            .expect("records")
            .1
    }

    #[test]
    fn an_acked_record_that_is_lost_is_caught() {
        // The last of its partition, so that nothing behind it is moved.
        caught("is lost", |_, log| {
            let last = last_of(log, 0);
            remove(log, last);
        });
        caught("was acked at", |_, log| remove(log, 5));
        caught("is lost: Persisted", |said, log| {
            let last = last_of(log, 0);
            said[last].1 = Said::Persisted;
            remove(log, last);
        });
    }

    #[test]
    fn a_duplicate_is_caught() {
        caught("is there twice", |_, log| {
            let last = last_of(log, 1);
            append(log, 1, last);
        });
        caught("is there twice", |_, log| {
            append(log, shape().partition_of_key[0], 30)
        });
    }

    #[test]
    fn a_swap_is_caught() {
        caught("out of order", |said, log| {
            // Both agree on the wrong order, so that only the order is wrong.
            let (one, other) = (0, 3);
            let place = |log: &[(Place, usize)], number| {
                log.iter().position(|entry| entry.1 == number).expect("there")
            };
            let (first, second) = (place(log, one), place(log, other));
            assert_eq!(log[first].0.0, log[second].0.0, "one partition");
            log[first].1 = other;
            log[second].1 = one;
            let (a, b) = (said[one].1, said[other].1);
            said[one].1 = b;
            said[other].1 = a;
        });
    }

    #[test]
    fn a_false_ack_is_caught() {
        let acked = |partition, offset| Said::Acked { partition, offset };
        caught("was acked at", |said, _| said[4].1 = acked(1, 77));
        caught("is lost", |said, _| said[10].1 = acked(0, 5));
        caught("Java chose", |said, _| said[4].1 = acked(2, 1));
    }

    #[test]
    fn a_false_persistence_is_caught() {
        caught("said not to be persisted", |said, _| {
            said[4].1 = Said::NotPersisted
        });
        caught("said not to be persisted", |said, _| {
            said[30].1 = Said::NotPersisted
        });
        caught("is lost: Persisted", |said, _| said[10].1 = Said::Persisted);
    }

    #[test]
    fn a_misplaced_record_is_caught() {
        caught("misplaced", |_, log| {
            let last = last_of(log, 0);
            remove(log, last);
            append(log, 1, last);
        });
    }

    #[test]
    fn silence_and_two_reports_are_caught() {
        caught("nothing was said of record 12", |said, _| {
            said.remove(12);
        });
        caught("ended twice", |said, _| said.push((3, Said::PossiblyPersisted)));
        caught("reports tell of 1 more", |said, _| {
            said.push((RECORDS, Said::NotPersisted));
        });
    }

    #[test]
    fn foreign_and_torn_records_are_caught() {
        let (said, _) = run();
        let mut reports = Reports::new(shape());
        for &(number, said) in &said {
            let (key, value) = (shape().key(number).to_string(), shape().value(number));
            reports.add(&key, &value, said);
        }
        reports.finish(RECORDS).expect("all true");
        let good = shape().value(4);
        for value in ["8.4 8.4", "7.4", &good[1..], &good.replace("4 7", "4 6"), "x"] {
            let mut reading = reports.reading();
            reading.record(&Record {
                partition: 1,
                offset: 0,
                timestamp_ms: 5,
                key: "4",
                value,
            });
            let fault = reading.finish().expect_err(value).to_string();
            assert!(fault.contains("is not what was sent"), "{fault}");
        }
    }

    #[test]
    fn a_gap_of_the_reader_is_caught() {
        caught("comes next", |_, log| {
            log.remove(0);
        });
    }
}
