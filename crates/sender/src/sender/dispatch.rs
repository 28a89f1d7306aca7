//! From ready partitions to requests.

use super::{InFlight, Sender};
use crate::node::Versions;
use crate::partition::{Carried, Pending};
use crate::produce::{self, Part, TopicParts};
use crate::{Acks, Action, ApiRange, Request, SealJob};
use ottla_accumulator::BatchIdentity;
use ottla_protocol::ApiKey;
use ottla_protocol::wire::Uuid;
use ottla_time::Time;
use smallvec::SmallVec;
use std::sync::Arc;

/// The versions of Metadata that this client speaks; 0 cannot ask for no topic.
const METADATA_VERSIONS: (i16, i16) = (1, 13);
/// The versions of InitProducerId that this client speaks; 6 is for two-phase commit and not stable.
const INIT_PRODUCER_ID_VERSIONS: (i16, i16) = (0, 5);

/// The highest versions that both sides speak.
pub(super) fn negotiate(ranges: impl IntoIterator<Item = ApiRange>) -> Versions {
    let mut versions = Versions {
        produce: None,
        metadata: None,
        init_producer_id: None,
        telemetry: false,
    };
    for range in ranges {
        let highest = |(min, max): (i16, i16)| {
            let version = max.min(range.max);
            (version >= min.max(range.min)).then_some(version)
        };
        if range.key == ApiKey::PRODUCE.0 {
            versions.produce = highest((produce::VERSION_MIN, produce::VERSION_MAX));
        } else if range.key == ApiKey::METADATA.0 {
            versions.metadata = highest(METADATA_VERSIONS);
        } else if range.key == ApiKey::INIT_PRODUCER_ID.0 {
            versions.init_producer_id = highest(INIT_PRODUCER_ID_VERSIONS);
        } else if range.key == ApiKey::PUSH_TELEMETRY.0 {
            // Brokers offer both of its APIs or none, and there is one version of each.
            versions.telemetry = highest((0, 0)).is_some();
        }
    }
    versions
}

impl Sender {
    /// Sends what is ready to the nodes that can take it.
    pub(super) fn dispatch(&mut self, now: Time) {
        self.note_stalls(now);
        let in_flight_max = self.shared.config.max_in_flight;
        let able = |(&id, node): (&i32, &crate::node::Node)| {
            (!node.ready.is_empty() && node.can_send(in_flight_max, now)).then_some(id)
        };
        let nodes: SmallVec<[i32; 8]> = self.nodes.iter().filter_map(able).collect();
        for id in nodes {
            while self
                .nodes
                .get(&id)
                .is_some_and(|node| node.can_send(in_flight_max, now))
                && self.send_one(id, now)
            {}
        }
    }

    /// Sends one Produce request, with at most one batch of each partition. False if there was nothing to send.
    fn send_one(&mut self, id: i32, now: Time) -> bool {
        let Some(version) = self.produce_version(id) else {
            return false;
        };
        let batches = self.collect(id, now);
        if batches.is_empty() {
            return false;
        }
        let mut topics: Vec<TopicParts> = Vec::new();
        // Neighbours by topic: the broker wants each topic once.
        let mut order: Vec<&(usize, Pending)> = batches.iter().collect();
        order.sort_by_key(|(slot, _)| self.partitions[*slot].topic);
        let mut last_topic = None;
        let mut sent_as: SmallVec<[(Uuid, usize); 2]> = SmallVec::new();
        for (slot, pending) in order {
            let state = &self.partitions[*slot];
            let topic = &self.metadata.topics[state.topic];
            if last_topic != Some(state.topic) {
                last_topic = Some(state.topic);
                sent_as.push((topic.id, state.topic));
                topics.push(TopicParts {
                    name: Arc::clone(topic.shared.name()),
                    id: topic.id,
                    parts: Vec::new(),
                });
            }
            if let Some(parts) = topics.last_mut() {
                parts.parts.push(Part {
                    partition: state.queue.number(),
                    header: pending.batch.header(pending.stamp.map(|stamp| BatchIdentity {
                        producer_id: stamp.producer_id,
                        producer_epoch: stamp.producer_epoch,
                        base_sequence: stamp.base_sequence,
                        transactional: self.shared.transactions.is_some(),
                    })),
                    payload: pending.batch.payload().to_vec(),
                });
            }
        }
        let ids_known = topics.iter().all(|topic| topic.id != Uuid::ZERO);
        let version = if ids_known {
            version
        } else {
            version.min(produce::VERSION_NAMES_MAX)
        };
        if version <= produce::VERSION_NAMES_MAX {
            sent_as.clear();
        }
        self.transaction_written();
        let transactional_id = self
            .shared
            .transactions
            .as_ref()
            .map(|transactions| transactions.id());
        let config = &self.shared.config;
        let timeout = config.request_timeout;
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let request = Request {
            id: self.next_request,
            api_key: ApiKey::PRODUCE.0,
            api_version: version,
            flexible: produce::is_flexible(version),
            body: produce::encode(version, transactional_id, config.acks, timeout_ms, topics),
            expects_response: config.acks != Acks::None,
            timeout,
        };
        let slots: Vec<usize> = batches.iter().map(|(slot, _)| *slot).collect();
        for (slot, pending) in &batches {
            self.partitions[*slot].in_flight.push(Carried {
                request: request.id,
                created: pending.batch.created(),
            });
        }
        self.measure_produce(&batches, now);
        self.in_flight.insert(
            request.id,
            InFlight::Produce {
                node: id,
                version,
                sent: now,
                topics: sent_as,
                batches,
            },
        );
        self.send(id, request);
        // The next batch of a partition may follow at once, if its window is open.
        for slot in slots {
            self.evaluate(slot, now);
        }
        true
    }

    pub(super) fn send(&mut self, node: i32, request: Request) {
        self.next_request += 1;
        if let Some(node) = self.nodes.get_mut(&node) {
            node.in_flight += 1;
        }
        self.measure_in_flight();
        self.actions.push_back(Action::Send { node, request });
    }

    /// Takes batches off the node's queue until the request is full.
    fn collect(&mut self, id: i32, now: Time) -> Vec<(usize, Pending)> {
        let mut batches = Vec::new();
        let mut size = 0;
        let waiting = self.nodes.get(&id).map_or(0, |node| node.ready.len());
        for _ in 0..waiting {
            let Some(slot) = self.nodes.get_mut(&id).and_then(|node| node.ready.pop_front()) else {
                break;
            };
            // An entry from before the leader moved.
            if self.partitions[slot].in_ready_queue != Some(id) {
                continue;
            }
            self.partitions[slot].in_ready_queue = None;
            self.expire(slot, now);
            // Much may have happened since it was put there: a retry that backs off, a gap, an expiry.
            if !self.may_send(slot, now) || !self.prepare(slot) {
                self.evaluate(slot, now);
                continue;
            }
            let state = &mut self.partitions[slot];
            let Some(first) = state.pending.front() else {
                continue;
            };
            let len = first.batch.wire_len();
            if !batches.is_empty() && size + len > self.shared.config.max_request_size {
                // It goes first next time.
                state.in_ready_queue = Some(id);
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.ready.push_front(slot);
                }
                break;
            }
            size += len;
            if let Some(mut pending) = state.pending.pop_front() {
                pending.attempts += 1;
                if let (Some(sequences), None) = (&mut state.sequences, pending.stamp) {
                    pending.stamp = Some(sequences.stamp(pending.batch.record_count()));
                }
                batches.push((slot, pending));
            }
        }
        batches
    }

    /// Whether the partition's next batch may be sent now, if it has one.
    fn may_send(&mut self, slot: usize, now: Time) -> bool {
        let numbered = self.is_numbered(slot, now);
        let state = &self.partitions[slot];
        let open = state.in_flight.len() < state.window(self.shared.config.idempotent);
        numbered && open && state.pending.front().is_none_or(|first| first.not_before <= now)
    }

    /// Sees to it that the partition has a sealed batch. False if it has none yet, or none at all.
    fn prepare(&mut self, slot: usize) -> bool {
        let state = &mut self.partitions[slot];
        if !state.pending.is_empty() {
            return true;
        }
        if self.shared.config.compresses() {
            self.start_sealing(slot);
            return false;
        }
        let Some(batch) = state.queue.take() else {
            return false;
        };
        state.queued = state.queue.inspect(&self.shared.accumulator);
        let sealed = self.sealer.seal(batch, state.queue.compression_ratio());
        state.pending.extend(sealed.map(Pending::new));
        !state.pending.is_empty()
    }

    /// With compression: works on a full batch while the one before it is on the wire.
    pub(super) fn seal_ahead(&mut self, slot: usize) {
        let state = &self.partitions[slot];
        if self.shared.config.compresses() && state.queued.closed > 0 && state.pending.is_empty() {
            self.start_sealing(slot);
        }
    }

    fn start_sealing(&mut self, slot: usize) {
        let state = &mut self.partitions[slot];
        if state.sealing.is_some() {
            return;
        }
        let Some(batch) = state.queue.take() else { return };
        state.sealing = Some(batch.sealing());
        state.queued = state.queue.inspect(&self.shared.accumulator);
        self.actions.push_back(Action::Seal(SealJob {
            partition: Arc::clone(&state.queue),
            batch: Box::new(batch),
        }));
    }
}
