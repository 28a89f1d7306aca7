//! Transactions around the records of a command.

use crate::park::Parker;
use ottla::{Error, Producer};
use std::time::{Duration, Instant};

/// Begins, counts and ends transactions, one after the other.
pub(crate) struct Transactions<'a> {
    producer: &'a Producer,
    parker: &'a Parker,
    /// For how long an end that is in doubt is asked for again.
    patience: Duration,
    initialized: bool,
    open: Option<Open>,
    pub(crate) committed: u64,
}

/// The transaction that is open.
struct Open {
    records: u64,
    begun: Instant,
}

impl<'a> Transactions<'a> {
    /// None if the producer has no `transactional.id`.
    pub(crate) fn of(producer: &'a Producer, parker: &'a Parker) -> Option<Transactions<'a>> {
        producer.config().transactional_id()?;
        Some(Transactions {
            producer,
            parker,
            patience: producer.config().delivery_timeout(),
            initialized: false,
            open: None,
            committed: 0,
        })
    }

    /// Registers the id, and ends what a predecessor has left open.
    pub(crate) fn init(&mut self) -> Result<(), Error> {
        if !self.initialized {
            self.parker.wait(self.producer.init_transactions())?;
            self.initialized = true;
        }
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins one if none is open.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        if self.open.is_none() {
            self.init()?;
            self.parker.wait(self.producer.begin_transaction())?;
            self.open = Some(Open {
                records: 0,
                begun: Instant::now(),
            });
        }
        Ok(())
    }

    /// A record was sent in it.
    pub(crate) fn count(&mut self) {
        if let Some(open) = &mut self.open {
            open.records += 1;
        }
    }

    /// Whether so many records are in it.
    pub(crate) fn holds(&self, records: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.records >= records)
    }

    /// Whether it is so old.
    pub(crate) fn lasts(&self, time: Duration) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.begun.elapsed() >= time)
    }

    /// Commits what is open. After an error it is not open any more: it is aborted, or its outcome is unknown and the
    /// error says so.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let deadline = Instant::now() + self.patience;
        loop {
            match self.parker.wait(self.producer.commit_transaction()) {
                Ok(()) => {
                    self.committed += open.records;
                    return Ok(());
                }
                // The same call again tells what became of it.
                Err(error) if error.is_retriable() && Instant::now() < deadline => {}
                Err(error) => {
                    if error.is_abortable() {
                        let _ = self.parker.wait(self.producer.abort_transaction());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Aborts what is open; returns how many records are lost with it.
    pub(crate) fn abort(&mut self) -> Result<u64, Error> {
        let Some(open) = self.open.take() else {
            return Ok(0);
        };
        self.parker.wait(self.producer.abort_transaction())?;
        Ok(open.records)
    }
}
