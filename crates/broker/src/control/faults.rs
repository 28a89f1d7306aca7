//! Rules for what goes wrong, and the events that tell what happened.

use crate::cluster::Cluster;
use crate::event::Event;
use crate::fault::Fault;

impl Cluster {
    /// Adds a rule; returns its number, which stands in the events when it strikes.
    pub fn add_fault(&mut self, fault: Fault) -> u64 {
        self.faults.add(fault)
    }

    /// Removes a rule that has not struck for the last time yet.
    pub fn remove_fault(&mut self, number: u64) -> bool {
        self.faults.remove(number).is_some()
    }

    /// Removes all rules.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The events that are remembered, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter()
    }

    /// Forgets the events so far; their numbers go on.
    pub fn clear_events(&mut self) {
        self.events.clear();
    }

    /// How many events there were in all, those included that were forgotten or not recorded.
    pub fn events_count(&self) -> u64 {
        self.events.count()
    }
}
