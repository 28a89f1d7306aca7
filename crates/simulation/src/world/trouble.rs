//! Trouble strikes, and ends.

use super::{Event, World};
use crate::link::{Dial, Weather};
use crate::plan::Trouble;
use crate::scenario::BROKERS;
use ottla_broker::{Fault, FaultAction};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_time::Time;
use std::time::Duration;

impl World {
    pub(super) fn strike(&mut self, trouble: Trouble) {
        self.trace
            .note(self.now, "trouble", [0, 0], format_args!("{trouble:?}"));
        self.desk.counters.borrow_mut().faults += 1;
        let back = self.begin(&trouble);
        if let Some(back) = back {
            self.queue.push(self.now + back, Event::Relief(trouble));
        }
        self.driver_due = true;
    }

    /// Begins; returns when it is to end, if it ends by itself.
    fn begin(&mut self, trouble: &Trouble) -> Option<Duration> {
        let desk = std::rc::Rc::clone(&self.desk);
        let mut counters = desk.counters.borrow_mut();
        match *trouble {
            Trouble::Rule(ref fault) => {
                self.cluster.add_fault(fault.clone());
                return None;
            }
            Trouble::Kill { broker, back } => {
                counters.kills += 1;
                self.kill(broker);
                return Some(back);
            }
            Trouble::KillLeader { back } => {
                counters.kills += 1;
                return self.kill_leader(back);
            }
            Trouble::Freeze { broker, back } => {
                counters.freezes += 1;
                let frozen = self.cluster.freeze_broker(broker);
                self.known(frozen);
                return Some(back);
            }
            Trouble::MoveLeader { unclean } => self.move_leader(unclean),
            Trouble::Stale { broker, back } => {
                counters.stale_metadata += 1;
                let stale = self.cluster.set_stale_metadata(broker, true);
                self.known(stale);
                return Some(back);
            }
            Trouble::OutOfSync { back } => {
                counters.replicas_out += 1;
                self.set_in_sync(false);
                return Some(back);
            }
            Trouble::Limit { bytes, back } => {
                counters.limits_lowered += 1;
                self.limit(bytes);
                return back;
            }
            Trouble::WallJump { by_ms } => {
                counters.wall_jumps += 1;
                self.clock.jump_wall_ms(by_ms);
            }
            Trouble::LostVerdict => {
                let end = |action| Fault::new(action).api(ApiKey::END_TXN).times(1);
                self.cluster.add_fault(end(FaultAction::DropResponse));
                let abort = FaultAction::Error(ErrorCode::TRANSACTION_ABORTABLE);
                self.cluster.add_fault(end(abort).skip(1));
            }
            Trouble::HoldEnd { up, back } => self.hold_end = Some((up, back)),
            Trouble::CloseAll { broker } => self.cluster.close_connections(Some(broker)),
            Trouble::NoNames { back } => {
                self.names_work = false;
                return Some(back);
            }
            Trouble::Black { broker, up, down } => {
                counters.half_open += 1;
                self.blacken(broker, up, down);
            }
            _ => {
                drop(counters);
                return self.change_weather(trouble);
            }
        }
        None
    }

    /// The brokers and topics that trouble is drawn for are the cluster's own.
    pub(super) fn known(&self, result: Result<(), ottla_broker::Unknown>) {
        if let Err(error) = result {
            self.desk.fail(error.to_string());
        }
    }

    fn kill(&mut self, broker: i32) {
        let killed = self.cluster.kill_broker(broker);
        self.known(killed);
        self.wire.died(broker);
    }

    fn kill_leader(&mut self, back: Duration) -> Option<Duration> {
        let (topic, partitions) = self.random.choice(&self.scenario.topics)?.clone();
        let partition = self.random.i32(0..partitions);
        let leader = self.cluster.partition_state(&topic, partition).ok()?.leader;
        if leader > 0 {
            self.kill(leader);
            let trouble = Trouble::Kill { broker: leader, back };
            self.queue.push(self.now + back, Event::Relief(trouble));
        }
        None
    }

    fn move_leader(&mut self, unclean: bool) {
        let Some((topic, partitions)) = self.random.choice(&self.scenario.topics).cloned() else {
            return;
        };
        let partition = self.random.i32(0..partitions);
        let Ok(state) = self.cluster.partition_state(&topic, partition) else {
            return;
        };
        let others: Vec<i32> = state
            .in_sync
            .into_iter()
            .filter(|&broker| broker != state.leader)
            .collect();
        if let Some(to) = self.random.choice(others) {
            let moved = self.cluster.move_leader(&topic, partition, to, unclean);
            self.known(moved);
        }
    }

    /// Takes all followers of each partition out of sync, or lets them catch up.
    fn set_in_sync(&mut self, in_sync: bool) {
        for (topic, partitions) in self.scenario.topics.clone() {
            for partition in 0..partitions {
                let Ok(state) = self.cluster.partition_state(&topic, partition) else {
                    continue;
                };
                for broker in (1..=BROKERS).filter(|&broker| broker != state.leader) {
                    if state.in_sync.contains(&broker) != in_sync && state.leader > 0 {
                        let set = self.cluster.set_in_sync(&topic, partition, broker, in_sync);
                        self.known(set);
                    }
                }
            }
        }
    }

    fn limit(&mut self, bytes: i32) {
        for (topic, _) in self.scenario.topics.clone() {
            if self.cluster.topic_id(&topic).is_none() {
                continue;
            }
            let changed = self
                .cluster
                .configure_topic(&topic, |config| config.max_message_bytes = bytes);
            self.known(changed);
        }
    }

    fn blacken(&mut self, broker: i32, up: bool, down: bool) {
        for link in self
            .links
            .iter_mut()
            .filter(|link| link.broker == broker && link.client_open)
        {
            link.up.black |= up;
            link.down.black |= down;
        }
    }

    fn change_weather(&mut self, trouble: &Trouble) -> Option<Duration> {
        let mut counters = self.desk.counters.borrow_mut();
        match *trouble {
            Trouble::Cut {
                broker,
                up,
                bytes,
                back,
            } => {
                let weather = &mut self.weather[broker as usize - 1];
                weather.cut = if up {
                    (Some(bytes), None)
                } else {
                    (None, Some(bytes))
                };
                let open = |link: &&mut crate::link::Link| link.broker == broker && link.client_open;
                for link in self.links.iter_mut().filter(open) {
                    (link.up.cut, link.down.cut) = weather.cut;
                }
                Some(back)
            }
            Trouble::Stall {
                broker,
                up,
                down,
                back,
            } => {
                counters.stalls += 1;
                let until = self.now + back;
                let stalled = &mut self.weather[broker as usize - 1].stalled;
                *stalled = (
                    if up { until } else { stalled.0 },
                    if down { until } else { stalled.1 },
                );
                None
            }
            Trouble::Slow { broker, extra, back } => {
                self.weather[broker as usize - 1].extra = extra;
                Some(back)
            }
            Trouble::Narrow {
                broker,
                window,
                segment,
                back,
            } => {
                let weather = &mut self.weather[broker as usize - 1];
                (weather.window, weather.segment) = (window, segment);
                for link in self.links.iter_mut().filter(|link| link.broker == broker) {
                    (link.window, link.segment) = (window, segment);
                }
                Some(back)
            }
            Trouble::Refuse { broker, silent, back } => {
                self.weather[broker as usize - 1].dial = if silent { Dial::Silent } else { Dial::Refused };
                Some(back)
            }
            _ => None,
        }
    }

    /// What ends by itself ends.
    pub(super) fn relieve(&mut self, trouble: &Trouble) {
        self.trace
            .note(self.now, "relief", [0, 0], format_args!("{trouble:?}"));
        match *trouble {
            Trouble::Kill { broker, .. } | Trouble::Freeze { broker, .. } => {
                if let Trouble::Kill { .. } = trouble {
                    // The last of its answers may have come since it died.
                    self.wire.died(broker);
                }
                let started = self.cluster.start_broker(broker);
                self.known(started);
            }
            Trouble::Stale { broker, .. } => {
                let fresh = self.cluster.set_stale_metadata(broker, false);
                self.known(fresh);
            }
            Trouble::OutOfSync { .. } => self.set_in_sync(true),
            Trouble::Limit { .. } => self.limit(MAX_MESSAGE_BYTES),
            Trouble::NoNames { .. } => self.names_work = true,
            Trouble::Cut { broker, .. } => self.weather[broker as usize - 1].cut = (None, None),
            Trouble::Slow { broker, .. } => self.weather[broker as usize - 1].extra = Duration::ZERO,
            Trouble::Narrow { broker, .. } => {
                let weather = &mut self.weather[broker as usize - 1];
                (weather.window, weather.segment) = (self.scenario.window, usize::MAX);
            }
            Trouble::Refuse { broker, .. } => self.weather[broker as usize - 1].dial = Dial::Open,
            _ => {}
        }
    }

    /// All trouble ends.
    pub(super) fn heal(&mut self) {
        self.trace.note(self.now, "healed", [0, 0], "");
        self.healed = true;
        self.hold_end = None;
        self.names_work = true;
        self.cluster.clear_faults();
        for broker in 1..=BROKERS {
            let started = self.cluster.start_broker(broker);
            self.known(started);
            let fresh = self.cluster.set_stale_metadata(broker, false);
            self.known(fresh);
        }
        self.set_in_sync(true);
        self.limit(MAX_MESSAGE_BYTES);
        let latencies = self.scenario.latency.iter();
        self.weather = latencies
            .map(|&latency| Weather::fair(latency, usize::MAX))
            .collect();
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            (link.window, link.segment) = (usize::MAX, usize::MAX);
            (link.up.cut, link.down.cut) = (None, None);
            let black = link.up.black || link.down.black;
            // Where nothing went through, the other side knows nothing of the connection any more.
            if black && (link.client_open || link.broker_open) {
                link.in_transit = 0;
                self.reset(index);
            }
        }
        self.driver_due = true;
        debug_assert!(self.now > Time::ZERO);
    }
}

/// Kafka's default for `message.max.bytes`.
const MAX_MESSAGE_BYTES: i32 = 1_048_588;
