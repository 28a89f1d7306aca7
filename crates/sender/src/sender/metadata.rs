//! Asking for metadata, and what follows from an answer.

use super::{InFlight, Sender};
use crate::node::{Link, Node};
use crate::partition::PartitionState;
use crate::topic::{Layout, Refusal};
use crate::{Address, Request};
use bytes::Bytes;
use ottla_protocol::messages::metadata::{
    MetadataRequestTopic, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::{MetadataRequest, MetadataResponse};
use ottla_protocol::wire::{Reader, Uuid, Writer};
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_time::{Time, mutant};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What can be done about metadata that is due.
enum Source {
    /// Ask this node.
    Ready(i32),
    /// A connection is on its way.
    Wait,
    /// Connect to this node first.
    Connect(i32),
}

impl Sender {
    pub(super) fn refresh_metadata(&mut self, now: Time) {
        self.metadata_blocked = false;
        if self.rebootstrap_if_overdue(now) {
            // The ends of the connections come back, and bring another turn.
            self.metadata_blocked = true;
            return;
        }
        let due = self.metadata.due(self.shared.config.metadata_max_age);
        if due.is_none_or(|due| due > now) {
            return;
        }
        self.metadata.wanted_since.get_or_insert(now);
        match self.metadata_source(now) {
            Some(Source::Ready(node)) => self.ask_for_metadata(node, now),
            Some(Source::Connect(node)) => {
                self.connect(node);
                self.metadata_blocked = true;
            }
            Some(Source::Wait) | None => self.metadata_blocked = true,
        }
    }

    /// The ready node with the least in flight; else a connection that is on its way; else the node that was tried
    /// longest ago. While no node of the cluster can be reached, the bootstrap servers count too (KIP-899).
    fn metadata_source(&self, now: Time) -> Option<Source> {
        let cluster_lost = self.shared.config.rebootstrap_trigger.is_some()
            && self.nodes.iter().all(|(&id, node)| id < 0 || node.failed);
        let anew = self.metadata.rebootstrapping;
        let eligible = |id: i32| match id {
            0.. => !anew,
            _ => anew || !self.metadata.known || cluster_lost,
        };
        let ready = self.nodes.iter().filter(|(id, node)| {
            (**id < 0 || !anew)
                && node
                    .versions()
                    .is_some_and(|versions| versions.metadata.is_some())
                && now >= node.throttled_until
        });
        // A bootstrap connection that stands is as good as any until the cluster's own are up.
        if let Some((&id, _)) = ready.min_by_key(|(id, node)| (node.in_flight, **id < 0)) {
            return Some(Source::Ready(id));
        }
        let nodes = || self.nodes.iter().filter(|(id, _)| eligible(**id));
        // A node that failed before may be dead: it is not waited for while another can be tried.
        if nodes().any(|(_, node)| node.link == Link::Connecting && !node.failed) {
            return Some(Source::Wait);
        }
        let idle = nodes().filter(|(_, node)| node.link == Link::Idle);
        // -1 before -2: bootstrap servers in their order.
        idle.min_by_key(|(id, node)| (node.tried, id.unsigned_abs()))
            .map(|(&id, _)| Source::Connect(id))
    }

    fn ask_for_metadata(&mut self, node: i32, now: Time) {
        let Some(version) = self.nodes.get(&node).and_then(|node| node.versions()?.metadata) else {
            return;
        };
        self.forget_idle_topics(now);
        let asked = self.metadata.topics.iter().filter(|topic| !topic.idle);
        let topics = asked.map(|topic| MetadataRequestTopic {
            name: Some(topic.shared.name().to_string()),
            ..MetadataRequestTopic::default()
        });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            // As the Java producer: whether a topic is created is up to the broker.
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        };
        let mut writer = Writer::default();
        if let Err(error) = request.encode(&mut writer, version) {
            // Names are checked before they come here, so this is a defect; it must not become a spin.
            let cause: Arc<str> = error.to_string().into();
            self.metadata
                .topics
                .iter()
                .for_each(|topic| topic.shared.delay(Arc::clone(&cause)));
            self.metadata_failed(now);
            return;
        }
        let request = Request {
            id: self.next_request,
            api_key: ApiKey::METADATA.0,
            api_version: version,
            flexible: MetadataRequest::is_flexible(version),
            body: vec![writer.into_bytes()],
            expects_response: true,
            timeout: self.shared.config.request_timeout,
        };
        self.metadata.in_flight = Some(request.id);
        self.metadata.wanted = false;
        self.metadata.grown = false;
        self.in_flight
            .insert(request.id, InFlight::Metadata { node, version });
        self.send(node, request);
    }

    /// Stops asking for topics that nothing was sent to for `metadata.max.idle.ms`. The next send to one waits for its
    /// metadata again; the numbering of its partitions is kept.
    fn forget_idle_topics(&mut self, now: Time) {
        let max_idle = self.shared.config.metadata_max_idle;
        for topic in &mut self.metadata.topics {
            let has_work = |&slot: &usize| {
                let state = &self.partitions[slot];
                state.has_work() || !state.in_flight.is_empty()
            };
            let in_use = topic.used + max_idle > now
                || topic.shared.is_awaited()
                || topic.partitions.iter().any(has_work);
            if !in_use && !topic.idle {
                topic.idle = true;
                topic.shared.unpublish();
            }
        }
    }

    /// No answer this time: again after a backoff, if possible elsewhere.
    pub(super) fn metadata_failed(&mut self, now: Time) {
        self.metadata.in_flight = None;
        self.metadata.wanted = true;
        self.metadata.failures = self.metadata.failures.saturating_add(1);
        self.back_off_metadata(now);
    }

    fn back_off_metadata(&mut self, now: Time) {
        let failures = self.metadata.failures.saturating_sub(1);
        self.metadata.not_before = now + self.retry_backoff.delay(failures, &mut self.random);
    }

    pub(super) fn handle_metadata(&mut self, node: i32, version: i16, body: &Bytes, now: Time) {
        let answer = match MetadataResponse::decode(&mut Reader::from_bytes(body), version) {
            Ok(answer) if self.must_rebootstrap(&answer) => {
                // A bootstrap server that says so, too, is asked again after a backoff.
                self.metadata_failed(now);
                let not_before = self.metadata.not_before;
                if !self.metadata.rebootstrapping {
                    self.rebootstrap(now);
                }
                self.metadata.not_before = not_before;
                return;
            }
            Ok(answer) if !answer.brokers.is_empty() => answer,
            // A broker that knows no broker is starting up.
            _ => return self.metadata_failed(now),
        };
        self.throttle(node, answer.throttle_time_ms, now);
        self.metadata.in_flight = None;
        self.metadata.refreshed = Some(now);
        self.shared.config.metrics.at(now).metadata_refreshed();
        (self.metadata.wanted_since, self.metadata.rebootstrapping) = (None, false);
        self.metadata.known = true;
        for broker in &answer.brokers {
            self.learn_node(broker.node_id, &broker.host, broker.port);
        }
        let listed: BTreeSet<i32> = answer.brokers.iter().map(|broker| broker.node_id).collect();
        self.forget_nodes(&listed);
        let mut progress = false;
        for topic in answer.topics {
            progress |= self.handle_topic(topic, now);
        }
        // What is still missing is asked for again, ever more slowly while nothing changes.
        let missing = self.metadata.topics.iter().any(|topic| topic.shared.is_awaited());
        self.metadata.wanted |= missing;
        self.metadata.failures = if progress {
            0
        } else {
            self.metadata.failures.saturating_add(1)
        };
        self.back_off_metadata(now);
        if self.metadata.grown {
            // A topic that was added meanwhile does not pay for the others.
            self.metadata.wanted = true;
            self.metadata.not_before = Time::ZERO;
        }
        for slot in 0..self.partitions.len() {
            if self.partitions[slot].has_work() {
                self.evaluate(slot, now);
            }
        }
    }

    /// Whether a broker says that what is known of the cluster is of no use.
    fn must_rebootstrap(&self, answer: &MetadataResponse) -> bool {
        self.shared.config.rebootstrap_trigger.is_some()
            && ErrorCode::from(answer.error_code) == ErrorCode::REBOOTSTRAP_REQUIRED
    }

    /// A broker of the cluster and where it listens.
    pub(super) fn learn_node(&mut self, id: i32, host: &str, port: i32) {
        let Ok(port) = u16::try_from(port) else { return };
        if id < 0 {
            return;
        }
        let address = Address {
            host: host.to_owned(),
            port,
        };
        let node = self.nodes.entry(id).or_insert_with(|| Node::new(address.clone()));
        if node.address != address {
            node.address = address;
            node.failed = false;
            // The driver replaces a connection to the old address when it is asked for one to the new.
            if node.link != Link::Idle {
                let address = node.address.clone();
                self.actions
                    .push_back(crate::Action::Connect { node: id, address });
            }
        }
    }

    /// Forgets nodes that left the cluster, once nothing is under way to them.
    fn forget_nodes(&mut self, listed: &BTreeSet<i32>) {
        let with_work = self.partitions.iter().filter(|state| state.has_work());
        let leaders: BTreeSet<i32> = with_work.filter_map(|state| state.leader).collect();
        let gone: Vec<i32> = self
            .nodes
            .iter()
            .filter(|(id, node)| {
                **id >= 0 && !listed.contains(id) && node.link == Link::Idle && node.in_flight == 0
            })
            .map(|(id, _)| *id)
            .filter(|id| !leaders.contains(id))
            .collect();
        for id in gone {
            self.nodes.remove(&id);
        }
    }

    /// True if the answer brought something new.
    fn handle_topic(&mut self, answer: MetadataResponseTopic, now: Time) -> bool {
        let Some(name) = answer.name.as_deref() else {
            return false;
        };
        let Some(index) = self.metadata.topic(name) else {
            return false;
        };
        if self.metadata.topics[index].idle {
            return false;
        }
        let code = ErrorCode::from(answer.error_code);
        let topic = &self.metadata.topics[index].shared;
        if code != ErrorCode::NONE && !code.is_retriable() {
            topic.refuse(Refusal::Cluster(code));
            return true;
        }
        if code != ErrorCode::NONE {
            topic.delay(code.to_string().into());
        }
        if answer.partitions.is_empty() {
            // A topic that vanishes for a moment keeps its partitions and what is queued for them.
            self.metadata.wanted |= code != ErrorCode::NONE;
            return false;
        }
        let recreated = answer.topic_id != Uuid::ZERO && answer.topic_id != self.metadata.topics[index].id;
        if recreated {
            let before = std::mem::replace(&mut self.metadata.topics[index].id, answer.topic_id);
            for &slot in &self.metadata.topics[index].partitions {
                let state = &mut self.partitions[slot];
                // As in Java's `Metadata`: whatever the epochs of the old topic were, those of this one are news.
                state.leader_epoch = -1;
                // A cluster that has learnt to give ids has not made the topic anew.
                if before != Uuid::ZERO {
                    state.begin_anew();
                }
            }
        }
        let changed = self.count_partitions(
            index,
            &answer.partitions,
            recreated || answer.topic_id == Uuid::ZERO,
            now,
        );
        let mut moved = false;
        for partition in &answer.partitions {
            moved |= self.handle_leader(index, partition, now);
        }
        // An idle topic shows nothing, although everything is known.
        let shown = self.metadata.topics[index].shared.partition_count().is_some();
        if changed || moved || !shown {
            self.publish(index);
        }
        changed || moved || recreated || !shown
    }

    /// Makes room for partitions that are new, and takes leave of those that are gone if the answer `may_shrink` the
    /// topic. They count from 0 without a gap. True if there are more or fewer now.
    ///
    /// A topic of the same id never loses a partition: an answer with fewer is an old one.
    fn count_partitions(
        &mut self,
        index: usize,
        partitions: &[MetadataResponsePartition],
        may_shrink: bool,
        now: Time,
    ) -> bool {
        let mut numbers: Vec<i32> = partitions
            .iter()
            .map(|partition| partition.partition_index)
            .collect();
        numbers.sort_unstable();
        let announced = (0..)
            .zip(&numbers)
            .take_while(|(expected, number)| *expected == **number);
        let announced = announced.count();
        let topic = &mut self.metadata.topics[index];
        while topic.partitions.len() < announced {
            let slot = self.partitions.len();
            // Fewer than the numbers of partitions, which are int32.
            let queue = topic.accumulator.partition(topic.partitions.len() as i32, slot);
            topic.partitions.push(slot);
            self.partitions.push(PartitionState::new(queue, index));
        }
        let before = topic.existing;
        if announced == before || (announced < before && !may_shrink) {
            return false;
        }
        topic.existing = announced;
        for number in announced..self.metadata.topics[index].partitions.len() {
            // What is queued for it waits for it to come back, until its deadline.
            self.set_leader(self.metadata.topics[index].partitions[number], None, -1, now);
        }
        true
    }

    /// True if the leader is another one now.
    fn handle_leader(&mut self, index: usize, answer: &MetadataResponsePartition, now: Time) -> bool {
        let number = usize::try_from(answer.partition_index).unwrap_or(usize::MAX);
        let Some(&slot) = self.metadata.topics[index].partitions.get(number) else {
            return false;
        };
        if ErrorCode::from(answer.error_code).refreshes_metadata() {
            self.metadata.wanted = true;
        }
        let state = &self.partitions[slot];
        // An answer of a broker that lags behind what another one told.
        if answer.leader_epoch >= 0 && answer.leader_epoch < state.leader_epoch {
            return false;
        }
        let leader =
            (answer.leader_id >= 0 && self.nodes.contains_key(&answer.leader_id)).then_some(answer.leader_id);
        self.set_leader(slot, leader, answer.leader_epoch, now)
    }

    /// A hint from a Produce answer (KIP-951): taken only if it is news. True if it was; the topic has to be published
    /// then. None are the hints about a topic that was deleted meanwhile: its epochs may be higher than any that the next
    /// topic of the name has for long, and metadata would not lead away from that leader.
    pub(super) fn learn_leader(&mut self, slot: usize, leader: i32, epoch: i32, now: Time) -> bool {
        let state = &self.partitions[slot];
        let outlived = state.outlived && !mutant!("leader hints of a deleted topic are taken");
        let news = leader >= 0 && epoch > state.leader_epoch && !outlived && self.nodes.contains_key(&leader);
        let news = news || (mutant!("leader hints of any age are taken") && self.nodes.contains_key(&leader));
        if news {
            self.set_leader(slot, Some(leader), epoch, now);
        }
        news
    }

    pub(super) fn set_leader(&mut self, slot: usize, leader: Option<i32>, epoch: i32, now: Time) -> bool {
        let state = &mut self.partitions[slot];
        let newer = epoch > state.leader_epoch;
        let moved = state.leader != leader;
        state.leader_epoch = epoch;
        state.leader = leader;
        if moved {
            // What stands in the old leader's queue is stale there.
            state.in_ready_queue = None;
        }
        if moved || newer {
            // KIP-951: a batch that failed at the old leader need not back off before it tries the new one.
            if let Some(first) = state.pending.front_mut() {
                first.not_before = now;
            }
            self.evaluate(slot, now);
        }
        moved
    }

    /// Shows the sending threads the topic as it is now.
    pub(super) fn publish(&self, index: usize) {
        let topic = &self.metadata.topics[index];
        let existing = &topic.partitions[..topic.existing];
        let states = || existing.iter().map(|&slot| &self.partitions[slot]);
        let layout = Layout {
            partitions: states().map(|state| Arc::clone(&state.queue)).collect(),
            available: states()
                .filter(|state| state.leader.is_some())
                .map(|state| state.queue.number())
                .collect(),
        };
        let leaders = states().map(|state| state.leader).collect();
        topic.shared.publish(layout, leaders);
    }
}
