//! Coordinators of transactions and groups.

use super::Unknown;
use crate::cluster::Cluster;
use crate::event::EventKind;

impl Cluster {
    /// Moves the coordinator of a transactional id or group to a broker; requests to another one are answered with
    /// NOT_COORDINATOR from then on.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn move_coordinator(&mut self, key: &str, to: i32) -> Result<(), Unknown> {
        if !self.nodes.contains_key(&to) {
            return Err(Unknown::broker(to));
        }
        self.moved_coordinators.insert(key.to_owned(), to);
        self.events.record(self.now, || EventKind::Coordinator {
            key: key.into(),
            broker: to,
        });
        Ok(())
    }

    /// Ends an open transaction as its timeout does, whatever its `transaction.timeout.ms`. False if none is open.
    ///
    /// # Errors
    ///
    /// An id that the cluster has not got.
    pub fn time_out_transaction(&mut self, id: &str) -> Result<bool, Unknown> {
        self.transactions
            .find(id)
            .ok_or_else(|| Unknown::transaction(id))?;
        let open = self.transactions.time_out_one(id);
        if open {
            self.transaction_decided(id);
        }
        Ok(open)
    }

    /// Sets the epoch of a transactional id's producer, so that a test gets to where epochs are used up.
    ///
    /// # Errors
    ///
    /// An id that the cluster has not got.
    pub fn set_transactional_epoch(&mut self, id: &str, epoch: i16) -> Result<(), Unknown> {
        let transaction = self
            .transactions
            .find_mut(id)
            .ok_or_else(|| Unknown::transaction(id))?;
        transaction.epoch = epoch;
        Ok(())
    }
}
