//! Topics are deleted and made anew while batches are on their way to them.

use super::net::head;
use super::{Event, World};
use crate::wire::PRODUCE_BY_ID;
use ottla_protocol::ApiKey;
use ottla_time::Time;
use std::time::Duration;

/// How often is looked for a request in flight, when a topic is to be deleted, and how many times.
const DELETE_EVERY: Duration = Duration::from_micros(700);
const DELETE_ATTEMPTS_MAX: u32 = 4_000;
/// A topic is away no longer than this.
const AWAY_MAX: Duration = Duration::from_millis(600);
/// After this the first batch of an ambush is in the logs of all replicas.
const APPENDED_AFTER: Duration = Duration::from_millis(20);
/// So long after the first batch of an ambush is answered, the answer of the next comes.
const BETWEEN_ANSWERS: Duration = Duration::from_millis(30);
/// How often an ambush is laid until it succeeds.
const AMBUSHES_MAX: u32 = 30;

/// A topic is to be made anew between two batches of a partition that follow one another on a connection.
///
/// The first is appended, and its answer held on the way back. The second is held on the way there, and comes when the topic
/// is gone. Meanwhile the producer hears of the next topic from another broker. Then it learns that the first batch is
/// acked, and a little later that the second one is not.
///
/// Or the leaders move before the first arrives. Then its late answer names a leader of the deleted topic, in an epoch that
/// the next topic has not reached.
#[derive(Debug, Default)]
pub(super) struct Ambush {
    laid: u32,
    hold: Option<Hold>,
}

/// A connection that is held, from when until when.
#[derive(Clone, Copy, Debug)]
struct Hold {
    link: usize,
    since: Time,
    until: Time,
}

impl World {
    /// Deletes a topic under a Produce request that names it by its id; if there is none, a little later.
    pub(super) fn delete(&mut self, attempt: u32) {
        if self.is_too_late_to_delete() || attempt > DELETE_ATTEMPTS_MAX {
            return;
        }
        if attempt == 0 && self.ambush.is_none() && self.random.bool() {
            self.ambush = Some(Ambush::default());
            return;
        }
        if attempt == 0 && self.random.u32(..100) < 70 {
            // Where nothing arrives, what is sent now waits, while other brokers tell of the new topic.
            let broker = self.random.usize(..self.weather.len());
            let until = self.now + Duration::from_millis(self.random.u64(500..2_500));
            self.weather[broker].stalled.0 = self.weather[broker].stalled.0.max(until);
            let soon = Duration::from_millis(self.random.u64(20..400));
            self.queue.push(self.now + soon, Event::Delete(1));
            return;
        }
        let flies = |&topic: &usize| {
            self.cluster.topic_id(&self.scenario.topics[topic].0).is_some() && self.wire.flies_by_id(topic)
        };
        let Some(topic) = (0..self.scenario.topics.len()).find(flies) else {
            self.queue
                .push(self.now + DELETE_EVERY, Event::Delete(attempt + 1));
            return;
        };
        self.bury(topic);
        let away = Duration::from_micros(self.random.u64(..AWAY_MAX.as_micros() as u64));
        let away = if self.random.bool() { away } else { Duration::ZERO };
        self.queue.push(self.now + away, Event::Create(topic));
    }

    /// A topic that was deleted is created anew.
    pub(super) fn create(&mut self, topic: usize) {
        self.make_anew(topic);
        if self.random.bool() {
            // Who loses a connection asks for metadata, and hears of the new topic.
            let broker = self.random.i32(1..=crate::scenario::BROKERS);
            self.cluster.close_connections(Some(broker));
        }
    }

    /// A frame arrives on a connection. If it is a Produce request that names topics by their ids, an ambush may have waited
    /// for it.
    pub(super) fn spring_ambush(&mut self, index: usize, frame: &[u8]) {
        if !matches!(head(frame), Some((ApiKey::PRODUCE, PRODUCE_BY_ID.., _)))
            || !self.links[index].client_open
        {
            return;
        }
        let Some(mut ambush) = self.ambush.take() else {
            return;
        };
        if self.is_too_late_to_delete() {
            return;
        }
        match ambush.hold.filter(|hold| self.now < hold.until) {
            Some(hold) if hold.link == index && self.now >= hold.since + APPENDED_AFTER => {
                if self.recreate_behind(hold) {
                    return;
                }
            }
            Some(_) => {}
            None if ambush.laid == AMBUSHES_MAX => return,
            None => {
                ambush.laid += 1;
                ambush.hold = Some(self.lay_ambush(index));
            }
        }
        self.ambush = Some(ambush);
    }

    /// Holds what comes behind the request that arrives on this connection, and longer what goes back.
    fn lay_ambush(&mut self, index: usize) -> Hold {
        let there = APPENDED_AFTER + Duration::from_millis(self.random.u64(1..30));
        let until = self.now + Duration::from_millis(self.random.u64(150..400));
        let link = &mut self.links[index];
        link.up.hold(self.now + there);
        link.down.hold(until);
        let broker = link.broker;
        if self.random.u32(..100) < 30 {
            self.lead_away(broker);
        }
        Hold {
            link: index,
            since: self.now,
            until,
        }
    }

    /// What a broker leads is led by others from now on.
    fn lead_away(&mut self, broker: i32) {
        for (topic, partitions) in self.scenario.topics.clone() {
            for partition in 0..partitions {
                let Ok(state) = self.cluster.partition_state(&topic, partition) else {
                    continue;
                };
                let to = state.in_sync.into_iter().find(|&other| other != broker);
                if let Some(to) = to.filter(|_| state.leader == broker) {
                    let moved = self.cluster.move_leader(&topic, partition, to, false);
                    self.known(moved);
                }
            }
        }
    }

    /// Makes a topic anew if batches of one of its partitions stand in line on this connection. True if there was one.
    fn recreate_behind(&mut self, hold: Hold) -> bool {
        let broker = self.links[hold.link].broker;
        let Some(topic) = self.wire.pipelined_by_id(broker) else {
            return false;
        };
        if self.cluster.topic_id(&self.scenario.topics[topic].0).is_none() {
            return false;
        }
        self.links[hold.link].down.hold(hold.until + BETWEEN_ANSWERS);
        self.bury(topic);
        self.make_anew(topic);
        // Who loses a connection asks another broker for metadata.
        let others = (1..=crate::scenario::BROKERS).filter(|&other| other != broker);
        let other = self.random.choice(others.collect::<Vec<i32>>());
        self.cluster.close_connections(other);
        true
    }

    /// Whether there is no time left for a topic to be away, or nobody who would see it.
    fn is_too_late_to_delete(&self) -> bool {
        let latest = Time::ZERO + self.scenario.trouble.saturating_sub(2 * AWAY_MAX);
        self.finished_at.is_some() || self.now >= latest
    }

    /// Deletes a topic, and keeps what is in its logs.
    fn bury(&mut self, topic: usize) {
        let mut buried = std::mem::take(&mut self.buried);
        if let Err(error) = self.read_topic(topic, &mut buried) {
            self.desk.fail(error);
        }
        self.buried = buried;
        self.cluster.delete_topic(&self.scenario.topics[topic].0);
        self.desk.counters.borrow_mut().topics_recreated += 1;
    }

    fn make_anew(&mut self, topic: usize) {
        match self.cluster.create_topic(&self.scenario.cluster.topics[topic]) {
            Ok(id) => self.wire.recreated(topic, id),
            Err(error) => self.desk.fail(error.to_string()),
        }
    }
}
