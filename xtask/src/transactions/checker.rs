//! What the client said of its transactions, and whether a reader sees just that.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};

/// A transaction and the attempt at it.
type Attempt = (u64, u32);

/// What became of an attempt, as far as the client said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Committed,
    Aborted,
    /// It was begun, and there is no word of its end.
    Unknown,
}

/// Everything that the clients said.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    attempts: BTreeMap<Attempt, Verdict>,
    /// The attempt that was begun and not ended.
    open: Option<Attempt>,
}

impl Ledger {
    /// Takes a line of the client.
    pub(super) fn note(&mut self, line: &str) -> anyhow::Result<()> {
        let parsed = || {
            let mut words = line.split(' ');
            let word = words.next()?;
            let attempt = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            words.next().is_none().then_some((word, attempt))
        };
        let (word, attempt) = parsed().with_context(|| format!("the client printed `{line}`"))?;
        let verdict = match word {
            "begin" => {
                let last = self.attempts.last_key_value().map(|(last, _)| *last);
                if self.open.is_some() || last.is_some_and(|last| last >= attempt) {
                    bail!(
                        "the client printed `{line}` after {last:?}, with {:?} open",
                        self.open
                    );
                }
                self.open = Some(attempt);
                self.attempts.insert(attempt, Verdict::Unknown);
                return Ok(());
            }
            "committed" => Verdict::Committed,
            "aborted" => Verdict::Aborted,
            "unknown" => Verdict::Unknown,
            _ => bail!("the client printed `{line}`"),
        };
        if self.open.take() != Some(attempt) {
            bail!("the client printed `{line}` of a transaction that is not open");
        }
        self.attempts.insert(attempt, verdict);
        Ok(())
    }

    /// The client is gone: what is open stays unknown.
    pub(super) fn lose(&mut self) {
        self.open = None;
    }

    /// The transaction that was begun last.
    pub(super) fn begun(&self) -> Option<u64> {
        self.attempts.last_key_value().map(|((number, _), _)| *number)
    }

    /// The first transaction that was not begun.
    pub(super) fn next(&self) -> u64 {
        self.begun().map_or(0, |begun| begun + 1)
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.attempts.values().filter(|found| **found == verdict).count()
    }

    /// A reader's check of transactions with `size` records each, spread over 6 partitions.
    pub(super) fn reading(&self, size: usize) -> Reading<'_> {
        Reading {
            ledger: self,
            size,
            found: BTreeMap::new(),
            last: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }
}

/// What a reader found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) records: usize,
    /// Transactions of unknown fate that are there.
    pub(super) unknown_there: usize,
}

/// One reader's pass over the topic.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    ledger: &'a Ledger,
    size: usize,
    /// How many records of each attempt were found.
    found: BTreeMap<Attempt, usize>,
    /// The last record of each partition.
    last: BTreeMap<usize, (u64, u32, usize)>,
    wrong: Vec<String>,
}

impl Reading<'_> {
    /// Takes a record: partitions one after the other or mixed, but each in order.
    pub(super) fn record(&mut self, partition: usize, value: &str) {
        let parsed = || {
            let mut parts = value.split('.');
            let number = parts.next()?.parse().ok()?;
            let attempt = parts.next()?.parse().ok()?;
            let index = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some((number, attempt, index))
        };
        let Some((number, attempt, index)) = parsed() else {
            return self.wrong.push(format!("`{value}` is no record of ours"));
        };
        // Strictly ascending: a record that is there twice is found here, and so is one out of its order.
        let last = self.last.insert(partition, (number, attempt, index));
        if last.is_some_and(|last| last >= (number, attempt, index)) {
            self.wrong
                .push(format!("{value} stands behind {last:?} in partition {partition}"));
        }
        if index % 6 != partition || index >= self.size {
            self.wrong.push(format!("{value} is in partition {partition}"));
        }
        match self.ledger.attempts.get(&(number, attempt)) {
            Some(Verdict::Committed | Verdict::Unknown) => {}
            Some(Verdict::Aborted) => self.wrong.push(format!("{value} was aborted, and is seen")),
            None => self
                .wrong
                .push(format!("{value} is of a transaction that was never begun")),
        }
        *self.found.entry((number, attempt)).or_default() += 1;
    }

    /// Whether each committed transaction is there whole, and each of unknown fate whole or not at all.
    pub(super) fn finish(mut self) -> anyhow::Result<Read> {
        let mut unknown_there = 0;
        for (attempt, verdict) in &self.ledger.attempts {
            let found = self.found.get(attempt).copied().unwrap_or(0);
            let (whole, none) = (found == self.size, found == 0);
            let fine = match verdict {
                Verdict::Committed => whole,
                Verdict::Aborted => none,
                Verdict::Unknown => whole || none,
            };
            unknown_there += usize::from(*verdict == Verdict::Unknown && whole);
            if !fine {
                self.wrong.push(format!(
                    "{attempt:?}, {verdict:?}: {found} of {} records",
                    self.size
                ));
            }
        }
        if let Some(first) = self.wrong.first() {
            bail!("{} things are wrong; the first: {first}", self.wrong.len());
        }
        Ok(Read {
            records: self.found.values().sum(),
            unknown_there,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for line in [
            "begin 0 0",
            "committed 0 0",
            "begin 1 0",
            "aborted 1 0",
            "begin 1 1",
            "committed 1 1",
            "begin 2 0",
        ] {
            ledger.note(line).expect(line);
        }
        ledger.lose();
        ledger
    }

    /// Transactions of two records: 0.0 and 1.1 are committed, 1.0 aborted, 2.0 unknown.
    fn read(values: &[&str]) -> anyhow::Result<Read> {
        let ledger = ledger();
        let mut reading = ledger.reading(2);
        for value in values {
            let index: usize = value
                .rsplit('.')
                .next()
                .expect("a part")
                .parse()
                .expect("a number");
            reading.record(index % 6, value);
        }
        reading.finish()
    }

    const WHOLE: [&str; 4] = ["0.0.0", "0.0.1", "1.1.0", "1.1.1"];

    #[test]
    fn what_was_said_is_accepted_with_the_unknown_or_without() {
        let found = read(&WHOLE).expect("fine");
        assert_eq!((found.records, found.unknown_there), (4, 0));
        let found = read(&[&WHOLE[..], &["2.0.0", "2.0.1"]].concat()).expect("fine");
        assert_eq!((found.records, found.unknown_there), (6, 1));
    }

    #[test]
    fn planted_bugs_are_caught() {
        for (values, says) in [
            (&WHOLE[..3], "1 of 2 records"),
            (&["0.0.0", "0.0.1"][..], "0 of 2 records"),
            (&["0.0.0", "0.0.0", "0.0.1", "1.1.0", "1.1.1"][..], "behind"),
            (&["1.1.0", "1.1.1", "0.0.0", "0.0.1"][..], "behind"),
            (&["0.0.0", "0.0.1", "1.0.0", "1.1.0", "1.1.1"][..], "aborted"),
            (
                &["0.0.0", "0.0.1", "1.1.0", "1.1.1", "2.0.0"][..],
                "1 of 2 records",
            ),
            (&["0.0.0", "0.0.1", "1.1.0", "1.1.1", "3.0.0"][..], "never begun"),
            (
                &["0.0.0", "0.0.1", "1.1.0", "1.1.1", "x.0"][..],
                "no record of ours",
            ),
        ] {
            let error = read(values).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_client_that_contradicts_itself_is_caught() {
        for lines in [
            &["begin 0 0", "begin 1 0"][..],
            &["committed 0 0"],
            &["begin 1 0", "committed 0 0"],
            &["begin 1 0", "committed 1 0", "begin 0 0"],
            &["hello"],
        ] {
            let mut ledger = Ledger::default();
            let result = lines.iter().try_for_each(|line| ledger.note(line));
            assert!(result.is_err(), "{lines:?}");
        }
    }
}
