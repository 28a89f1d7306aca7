//! Adaptive partitioning (KIP-794): telling the sending threads which partitions can take more.
//!
//! Java weighs the queues of every topic in every round of its sender. Here a topic is weighed when a queue of it was
//! looked at, and at most so often that it costs next to nothing: once in a microsecond for each of its partitions.

use super::Sender;
use ottla_partitioning::PartitionLoad;
use ottla_time::Time;
use std::time::Duration;

/// A topic's load is weighed at most once in this time: thousands of batches a second need no fresher one.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// And once in this time for each partition, each of which takes a few nanoseconds.
const INTERVAL_FOR_EACH: Duration = Duration::from_micros(1);

impl Sender {
    /// A queue of the topic is longer or shorter now.
    pub(super) fn load_changed(&mut self, topic: usize) {
        let state = &mut self.metadata.topics[topic];
        let weighs = self.shared.config.adaptive_partitioning && !state.load_changed;
        if weighs && state.shared.lanes().is_used() {
            state.load_changed = true;
            self.loads_changed.push(topic);
        }
    }

    /// Notes since when a node has had data to take without being able to.
    pub(super) fn note_stalls(&mut self, now: Time) {
        let in_flight_max = self.shared.config.max_in_flight;
        for node in self.nodes.values_mut() {
            if node.ready.is_empty() || node.can_send(in_flight_max, now) {
                node.stalled_since = None;
            } else {
                node.stalled_since.get_or_insert(now);
            }
        }
    }

    /// Weighs the topics whose queues changed, if it is time. What is put off is done in a later turn: as long as records
    /// come, there is one.
    pub(super) fn weigh_loads(&mut self, now: Time) {
        let mut changed = std::mem::take(&mut self.loads_changed);
        changed.retain(|&topic| {
            let state = &self.metadata.topics[topic];
            let partitions = u32::try_from(state.partitions.len()).unwrap_or(u32::MAX);
            let interval = INTERVAL_MIN.max(INTERVAL_FOR_EACH * partitions);
            if state.load_weighed > Time::ZERO && now < state.load_weighed + interval {
                return true;
            }
            self.weigh(topic, now);
            false
        });
        self.loads_changed = changed;
    }

    fn weigh(&mut self, topic: usize, now: Time) {
        let state = &mut self.metadata.topics[topic];
        state.load_changed = false;
        state.load_weighed = now;
        let loads = state.partitions[..state.existing].iter().filter_map(|&slot| {
            let partition = &self.partitions[slot];
            let leader = self.nodes.get(&partition.leader?)?;
            Some(PartitionLoad {
                partition: partition.queue.number(),
                queued_batches: partition.waiting_batches(),
                stalled: leader
                    .stalled_since
                    .map_or(Duration::ZERO, |since| now.since(since)),
            })
        });
        let partition_count = i32::try_from(state.existing).unwrap_or(i32::MAX);
        let timeout = self.shared.config.availability_timeout;
        self.load_table.rebuild(partition_count, timeout, loads);
        state.shared.weigh(&self.load_table);
    }
}
