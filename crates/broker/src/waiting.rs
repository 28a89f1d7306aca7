//! What ends a wait: replication, records, another leader, or time.

use crate::api::code;
use crate::cluster::{Cluster, ConnectionId};
use crate::group::Answer;
use crate::request::{Outcome, RequestContext};
use crate::timer::Timer;
use crate::topic::TopicKey;
use crate::wait::{Missing, Wait, Waiter};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce::ProduceResponse;
use ottla_time::Time;

impl Cluster {
    /// Lets a request wait, until `deadline` at most. The partitions that can end the wait know its ticket.
    pub(crate) fn wait(
        &mut self,
        context: &RequestContext,
        wait: Wait,
        partitions: &[(TopicKey, i32)],
        deadline: Option<Time>,
    ) -> u64 {
        let ticket = self.new_ticket();
        let timer = deadline.map(|at| self.timers.set(at, Timer::Wait(ticket)));
        for &(topic, index) in partitions {
            if let Some(partition) = self.topics.partition_mut(topic, index) {
                partition.waiting.insert(ticket);
            }
        }
        let waiter = Waiter {
            context: context.clone(),
            timer,
            wait,
        };
        self.waiters.insert(ticket, waiter);
        ticket
    }

    /// Takes a waiting request out of everything that knows it.
    pub(crate) fn take_waiter(&mut self, ticket: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        if let Some(timer) = waiter.timer {
            self.timers.cancel(timer);
        }
        match &waiter.wait {
            Wait::Produce { missing, .. } => {
                for place in missing {
                    if let Some(partition) = self.topics.partition_mut(place.topic, place.partition) {
                        partition.waiting.remove(&ticket);
                    }
                }
            }
            Wait::Fetch { partitions, .. } => {
                for &(topic, index) in partitions {
                    if let Some(partition) = self.topics.partition_mut(topic, index) {
                        partition.waiting.remove(&ticket);
                    }
                }
            }
            Wait::Join | Wait::Sync => {}
        }
        Some(waiter)
    }

    /// The requests of a connection that has ended wait no longer.
    pub(crate) fn forget_waiters_of(&mut self, id: ConnectionId) {
        // A connection has one waiting request at most, but it is not worth an index of its own.
        let of_connection = |(_, waiter): &(&u64, &Waiter)| waiter.context.connection == id;
        let tickets: Vec<u64> = self
            .waiters
            .iter()
            .filter(of_connection)
            .map(|(&ticket, _)| ticket)
            .collect();
        for ticket in tickets {
            self.take_waiter(ticket);
        }
    }

    /// More of a partition can be read, and acks=all may be fulfilled.
    pub(crate) fn high_watermark_moved(&mut self, topic: TopicKey, index: i32) {
        let Some(partition) = self.topics.partition(topic, index) else {
            return;
        };
        if partition.waiting.is_empty() {
            return;
        }
        let tickets: Vec<u64> = partition.waiting.iter().copied().collect();
        for ticket in tickets {
            self.look_again(ticket);
        }
    }

    /// A partition has another leader: who waits for the old one hears of it.
    pub(crate) fn leader_changed(&mut self, topic: TopicKey, index: i32) {
        self.high_watermark_moved(topic, index);
    }

    /// Something has changed that a waiting request may wait for.
    pub(crate) fn look_again(&mut self, ticket: u64) {
        let Some(Waiter { wait, .. }) = self.waiters.get(&ticket) else {
            return;
        };
        match wait {
            Wait::Produce { .. } => self.look_at_produce(ticket),
            Wait::Fetch { .. } => {
                if self.is_fetch_ready(ticket) {
                    self.wait_is_over(ticket);
                }
            }
            Wait::Join | Wait::Sync => {}
        }
    }

    fn look_at_produce(&mut self, ticket: u64) {
        let Some(Waiter {
            wait: Wait::Produce { missing, .. },
            ..
        }) = self.waiters.get(&ticket)
        else {
            return;
        };
        let looked: Vec<(Missing, Option<ErrorCode>)> = missing
            .iter()
            .filter_map(|place| Some((*place, self.replication_outcome(place)?)))
            .collect();
        if looked.is_empty() {
            return;
        }
        let mut left = 0;
        if let Some(Waiter {
            wait: Wait::Produce { response, missing },
            ..
        }) = self.waiters.get_mut(&ticket)
        {
            for (place, error) in &looked {
                missing.retain(|other| other.place != place.place);
                if let Some(error) = error {
                    set_error(response, place, *error);
                }
            }
            left = missing.len();
        }
        for (place, _) in &looked {
            if let Some(partition) = self.topics.partition_mut(place.topic, place.partition) {
                partition.waiting.remove(&ticket);
            }
        }
        if left == 0 {
            self.wait_is_over(ticket);
        }
    }

    /// How the wait for a partition's followers ended: `None` if it has not, else the error if there is one.
    fn replication_outcome(&self, place: &Missing) -> Option<Option<ErrorCode>> {
        let Some(topic) = self.topics.topic(place.topic) else {
            return Some(Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        };
        let Some(partition) = topic.partition(place.partition) else {
            return Some(Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        };
        if partition.leader_epoch != place.leader_epoch {
            return Some(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        }
        if partition.log.high_watermark() < place.offset {
            return None;
        }
        let too_few = partition.is_under_min_isr(topic.config.min_insync_replicas);
        Some(too_few.then_some(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND))
    }

    /// A waiting request is answered as things stand.
    pub(crate) fn wait_is_over(&mut self, ticket: u64) {
        let Some(Waiter { context, wait, .. }) = self.take_waiter(ticket) else {
            return;
        };
        let outcome = match wait {
            Wait::Produce {
                mut response,
                missing,
            } => {
                for place in &missing {
                    set_error(&mut response, place, ErrorCode::REQUEST_TIMED_OUT);
                }
                self.tell_leaders(&context, &mut response);
                context.answer::<ProduceRequest>(&response)
            }
            Wait::Fetch { request, .. } => self.answer_fetch(&context, &request),
            // Groups end these waits themselves.
            Wait::Join | Wait::Sync => Outcome::Nothing,
        };
        self.finish_waiter(&context, outcome);
    }

    /// Hands the groups' answers to the requests that wait for them.
    pub(crate) fn answer_group_waiters(&mut self) {
        while let Some((ticket, answer)) = self.groups.poll_answer() {
            let Some(Waiter { context, .. }) = self.take_waiter(ticket) else {
                continue;
            };
            let outcome = match answer {
                Answer::Join(answer) => Self::answer_join(&context, answer),
                Answer::Sync(answer) => Self::answer_sync(&context, answer),
            };
            self.finish_waiter(&context, outcome);
        }
    }
}

fn set_error(response: &mut ProduceResponse, place: &Missing, error: ErrorCode) {
    let (topic, partition) = place.place;
    let answer = response
        .responses
        .get_mut(topic)
        .and_then(|topic| topic.partition_responses.get_mut(partition));
    if let Some(answer) = answer {
        answer.error_code = code(error);
    }
}
