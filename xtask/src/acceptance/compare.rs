//! Compares what was acked with what readers find.
//!
//! Written apart from all that it checks: it knows lines, reports and records, and no code of Ottla's.

use std::fmt;

use super::input::Input;

/// How many faults of a comparison are shown; the rest is counted.
const SHOWN_MAX: usize = 5;

/// Where a line is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) partition: usize,
    pub(crate) offset: u64,
    /// In milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
}

/// A record as a reader found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) partition: usize,
    pub(crate) offset: u64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

/// How exact reported timestamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timestamps {
    /// They are the records' own.
    Exact,
    /// They may be later than the record's. A broker answers a batch that it has already (a retry, after the first
    /// answer was lost) with the batch's latest timestamp as the time of the append (`UnifiedLog.append` of 4.3.1), and
    /// a producer, Java's too, takes that for a topic with LogAppendTime.
    NotBefore,
}

/// What is wrong, the first few in words.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    shown: Vec<String>,
    count: usize,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(fault());
        }
    }

    /// An error where there is any fault.
    pub(crate) fn into_result(self) -> anyhow::Result<()> {
        if self.count == 0 {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{self}"))
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown.join("; "))?;
        match self.count - self.shown.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Where the program said that each line is.
#[derive(Debug)]
pub(crate) struct Acks {
    positions: Vec<Option<Position>>,
}

impl Acks {
    pub(crate) fn new(lines: usize) -> Self {
        Self {
            positions: vec![None; lines],
        }
    }

    /// Notes that `line` (from 0) is said to be at `position`.
    pub(crate) fn add(&mut self, line: usize, position: Position, faults: &mut Faults) {
        match self.positions.get_mut(line) {
            None => faults.add(|| format!("line {} was acked, and is none of ours", line + 1)),
            Some(Some(first)) => {
                let first = *first;
                faults.add(|| format!("line {} was acked twice: {first:?} and {position:?}", line + 1));
            }
            Some(empty) => *empty = Some(position),
        }
    }

    /// Faults that show without a reader: a line that was not acked, two lines at one place, a key in a partition that
    /// is not Java's, lines of a key out of order.
    pub(crate) fn check(&self, input: Input, partition_of_key: &[usize], faults: &mut Faults) {
        let mut last_of_key: Vec<Option<u64>> = vec![None; input.keys()];
        for (line, position) in self.positions.iter().enumerate() {
            let Some(position) = position else {
                faults.add(|| format!("line {} was never acked", line + 1));
                continue;
            };
            let key = input.key_number(line);
            let java = partition_of_key[key];
            if position.partition != java {
                faults.add(|| format!("line {} is in {position:?}, and Java chose {java}", line + 1));
            }
            // Rising offsets in one partition also say that no two lines share a place.
            if last_of_key[key].is_some_and(|last| last >= position.offset) {
                faults.add(|| {
                    format!(
                        "line {} is at {position:?}, before an earlier one of its key",
                        line + 1
                    )
                });
            }
            last_of_key[key] = Some(position.offset);
        }
    }
}

/// Holds what one reader finds against the acks.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    input: Input,
    acks: &'a Acks,
    timestamps: Timestamps,
    found: Vec<bool>,
    faults: Faults,
    /// Records with a later timestamp in their report.
    later: usize,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(input: Input, acks: &'a Acks, timestamps: Timestamps) -> Self {
        let found = vec![false; input.lines];
        Self {
            input,
            acks,
            timestamps,
            found,
            faults: Faults::default(),
            later: 0,
        }
    }

    /// Takes the next record of the reader.
    pub(crate) fn record(&mut self, record: &Record<'_>) {
        let Some(line) = self.input.line_of(record.value) else {
            return self.faults.add(|| format!("{record:?} is none of our lines"));
        };
        if record.key != self.input.key(line) || record.value != self.input.value(line) {
            return self
                .faults
                .add(|| format!("{record:?} is not what line {} says", line + 1));
        }
        let Some(position) = self.acks.positions[line] else {
            return self
                .faults
                .add(|| format!("{record:?} is line {}, which was not acked", line + 1));
        };
        if (record.partition, record.offset) != (position.partition, position.offset) {
            return self
                .faults
                .add(|| format!("{record:?} is line {}, acked at {position:?}", line + 1));
        }
        let later = position.timestamp_ms > record.timestamp_ms;
        self.later += usize::from(later);
        if position.timestamp_ms != record.timestamp_ms
            && !(later && self.timestamps == Timestamps::NotBefore)
        {
            self.faults
                .add(|| format!("{record:?} has another timestamp than its report {position:?}"));
        }
        if std::mem::replace(&mut self.found[line], true) {
            self.faults.add(|| format!("{record:?} was read twice"));
        }
    }

    /// After the reader's last record: every acked line has to have been there. Returns how many of the reported
    /// timestamps are later than the records'.
    pub(crate) fn finish(mut self) -> anyhow::Result<usize> {
        for (line, _) in self.found.iter().enumerate().filter(|(_, found)| !**found) {
            let position = self.acks.positions[line];
            self.faults
                .add(|| format!("line {} was not there: {position:?}", line + 1));
        }
        self.faults.into_result()?;
        Ok(self.later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Input = Input { lines: 60 };
    const PARTITIONS: usize = 2;

    fn partition_of_key() -> Vec<usize> {
        (0..INPUT.keys()).map(|key| key % PARTITIONS).collect()
    }

    /// A log as a producer without faults leaves it, and its reports.
    fn log() -> Vec<(usize, Position)> {
        let mut next = [0; PARTITIONS];
        let mut log = Vec::new();
        for line in 0..INPUT.lines {
            let partition = INPUT.key_number(line) % PARTITIONS;
            log.push((
                line,
                Position {
                    partition,
                    offset: next[partition],
                    timestamp_ms: 5,
                },
            ));
            next[partition] += 1;
        }
        log
    }

    /// All that the checker says about these reports and this log.
    fn verdict(
        reports: &[(usize, Position)],
        log: &[(usize, Position)],
        timestamps: Timestamps,
    ) -> anyhow::Result<usize> {
        let mut faults = Faults::default();
        let mut acks = Acks::new(INPUT.lines);
        for &(line, position) in reports {
            acks.add(line, position, &mut faults);
        }
        acks.check(INPUT, &partition_of_key(), &mut faults);
        faults.into_result()?;
        let mut comparison = Comparison::new(INPUT, &acks, timestamps);
        for &(line, position) in log {
            let (key, value) = (INPUT.key(line), INPUT.value(line));
            comparison.record(&Record {
                partition: position.partition,
                offset: position.offset,
                timestamp_ms: position.timestamp_ms,
                key: &key,
                value: &value,
            });
        }
        comparison.finish()
    }

    #[track_caller]
    fn caught(reports: &[(usize, Position)], log: &[(usize, Position)], says: &str) {
        let error = verdict(reports, log, Timestamps::Exact)
            .expect_err("a planted bug")
            .to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_faultless_run_passes() {
        assert_eq!(verdict(&log(), &log(), Timestamps::Exact).expect("no fault"), 0);
    }

    #[test]
    fn a_dropped_record_is_caught() {
        let mut found = log();
        found.remove(17);
        caught(&log(), &found, "line 18 was not there");
    }

    #[test]
    fn a_line_without_a_report_is_caught() {
        let mut reports = log();
        reports.remove(17);
        caught(&reports, &log(), "line 18 was never acked");
    }

    #[test]
    fn a_report_twice_is_caught() {
        let mut reports = log();
        reports.push(reports[3]);
        caught(&reports, &log(), "line 4 was acked twice");
    }

    #[test]
    fn a_doubled_record_is_caught() {
        let mut found = log();
        found.push((
            3,
            Position {
                offset: 1_000,
                ..found[3].1
            },
        ));
        caught(&log(), &found, "is line 4, acked at");
    }

    #[test]
    fn swapped_records_are_caught() {
        let mut found = log();
        let (a, b) = (found[2].1, found[4].1);
        (found[2].1, found[4].1) = (b, a);
        caught(&log(), &found, "acked at");
    }

    #[test]
    fn lines_of_a_key_out_of_order_are_caught() {
        let mut reports = log();
        // The next line of the same key.
        let next = INPUT.keys();
        assert_eq!(INPUT.key_number(0), INPUT.key_number(next));
        let (a, b) = (reports[0].1, reports[next].1);
        (reports[0].1, reports[next].1) = (b, a);
        let found = reports.clone();
        caught(&reports, &found, "before an earlier one of its key");
    }

    #[test]
    fn a_false_ack_is_caught() {
        let mut found = log();
        let last = found.pop().expect("a record");
        caught(&log(), &found, &format!("line {} was not there", last.0 + 1));
    }

    #[test]
    fn another_partition_than_javas_is_caught() {
        let mut reports = log();
        reports[5].1.partition = 1 - reports[5].1.partition;
        caught(&reports, &log(), "and Java chose");
    }

    #[test]
    fn changed_bytes_are_caught() {
        let reports = log();
        let mut acks = Acks::new(INPUT.lines);
        let mut faults = Faults::default();
        reports
            .iter()
            .for_each(|&(line, position)| acks.add(line, position, &mut faults));
        let mut comparison = Comparison::new(INPUT, &acks, Timestamps::Exact);
        let value = INPUT.value(0).replace('.', ",").replace("sends", "SENDS");
        let (
            key,
            Position {
                partition, offset, ..
            },
        ) = (INPUT.key(0), reports[0].1);
        let record = Record {
            partition,
            offset,
            timestamp_ms: reports[0].1.timestamp_ms,
            key: &key,
            value: &value,
        };
        comparison.record(&record);
        let error = comparison.finish().expect_err("changed").to_string();
        assert!(error.contains("is not what line 1 says"), "{error}");
    }

    #[test]
    fn another_timestamp_is_caught() {
        let mut found = log();
        found[9].1.timestamp_ms += 1;
        caught(&log(), &found, "another timestamp");
        assert!(verdict(&log(), &found, Timestamps::NotBefore).is_err());
    }

    #[test]
    fn a_later_report_is_caught_unless_batches_were_repeated() {
        let mut reports = log();
        reports[9].1.timestamp_ms += 1;
        caught(&reports, &log(), "another timestamp");
        assert_eq!(
            verdict(&reports, &log(), Timestamps::NotBefore).expect("allowed"),
            1
        );
    }
}
