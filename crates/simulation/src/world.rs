//! One seed: the producer, its users, the brokers, the network between them, and the time that passes for all.

mod admin;
mod agenda;
mod end;
mod logs;
mod net;
mod recreation;
mod trouble;
mod upkeep;

pub(crate) use admin::TRANSACTIONAL_ID;

use crate::client::{Around, Client};
use crate::counters::Counters;
use crate::crowd::Crowd;
use crate::desk::Desk;
use crate::executor::{WakeList, Woken};
use crate::link::{Link, Weather};
use crate::oracle::Logs;
use crate::plan::Trouble;
use crate::queue::Queue;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::wire::Wire;
use fastrand::Rng;
use ottla_broker::{Cluster, EventKind};
use ottla_partitioning::DefaultPartitioner;
use ottla_sender::{SealJob, Sealed, Sender};
use ottla_time::{Clock, ManualClock, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The wall's time when a seed begins.
const WALL_MS: i64 = 1_700_000_000_000;
/// A seed that has not ended by then hangs.
const END_AT_MOST: Time = Time::from_millis(200_000);
/// A seed lasts at least so long.
const END_AT_LEAST: Time = Time::from_millis(60_000);
/// What is on its way when the producer has finished gets so long to arrive.
const AFTERMATH: Duration = Duration::from_secs(5);

/// What happens at a moment.
enum Event {
    /// A user's timer.
    Wake(Waker),
    /// The driver, which was woken before.
    Driver,
    ClientTimer,
    BrokerTimer,
    Resolved {
        connection: ottla_network::ConnectionId,
        host: i32,
        generation: u32,
    },
    DialArrives(usize),
    DialEnds {
        link: usize,
        accepted: bool,
    },
    Up {
        link: usize,
        bytes: Vec<u8>,
    },
    UpEnds(usize),
    Down {
        link: usize,
        bytes: Vec<u8>,
    },
    DownEnds(usize),
    /// A batch of the producer of this generation is compressed.
    Sealed(Sealed, u32),
    Strike(Trouble),
    Relief(Trouble),
    Heal,
    /// A twin of the transactional producer tries to initialise itself.
    Twin(u32),
    /// A topic gets another partition.
    Grow,
    /// A topic is to be deleted as soon as a Produce for it is in flight.
    Delete(u32),
    /// It is created anew.
    Create(usize),
    /// Nothing: a seed that has nothing more to do lasts until then.
    Last,
}

/// What a seed came to.
#[derive(Debug)]
pub struct Course {
    /// What happened how often.
    pub counters: Counters,
    /// A hash of all that happened, in order.
    pub hash: u64,
    /// How much virtual time passed.
    pub lasted: Duration,
    /// What did not hold, if anything.
    pub failure: Option<String>,
}

/// Everything of a seed.
pub(crate) struct World {
    scenario: Scenario,
    now: Time,
    clock: Arc<ManualClock>,
    queue: Queue<Event>,
    trace: Rc<Trace>,
    random: Rng,
    desk: Rc<Desk>,
    crowd: Rc<Crowd>,
    list: WakeList,
    client: Client,
    wire: Wire,
    jobs: Vec<SealJob>,
    sealing: usize,
    cluster: Cluster,
    links: Vec<Link>,
    by_connection: BTreeMap<ottla_network::ConnectionId, usize>,
    by_accepted: BTreeMap<ottla_broker::ConnectionId, usize>,
    weather: Vec<Weather>,
    names_work: bool,
    /// The next EndTxn, or its answer, takes so long.
    hold_end: Option<(bool, Duration)>,
    /// A topic is to be made anew between two batches.
    ambush: Option<recreation::Ambush>,
    /// The logs of topics that were deleted.
    buried: Logs,
    healed: bool,
    driver_due: bool,
    driver_pending: bool,
    client_timer: Time,
    broker_timer: Time,
    finished_at: Option<Time>,
    /// The connections on which the twin waits for an answer, and since when it has whose identity.
    twin_connections: BTreeSet<ottla_broker::ConnectionId>,
    twin_since: Option<(Time, u32)>,
    /// The producer that the twin last meant to fence, if it has tried.
    twin_of: Option<u32>,
    /// Whether another producer came while the twin was waiting for an answer: nobody knows who is fenced then.
    twin_unsure: bool,
}

/// Runs a seed to its end.
pub fn run(seed: u64, prints: bool) -> Course {
    let mut random = Rng::with_seed(seed);
    let scenario = Scenario::new(seed, &mut random);
    let trace = Rc::new(Trace::new(prints));
    if prints {
        println!("{scenario:#?}");
    }
    trace.note(Time::ZERO, "seed", [seed, 0], seed);
    match World::new(scenario, trace, random) {
        Ok(mut world) => {
            let failure = world.live().err();
            world.course(failure)
        }
        Err(error) => Course {
            counters: Counters::default(),
            hash: 0,
            lasted: Duration::ZERO,
            failure: Some(error),
        },
    }
}

impl World {
    fn new(scenario: Scenario, trace: Rc<Trace>, mut random: Rng) -> Result<World, String> {
        let clock = Arc::new(ManualClock::new(WALL_MS));
        let mut cluster = Cluster::new(scenario.cluster.clone()).map_err(|error| error.to_string())?;
        for broker in cluster.broker_ids() {
            cluster.set_address(broker, &format!("broker-{broker}"), 9092);
        }
        let (sender, handle) = Sender::new(
            scenario.sender.clone(),
            scenario.accumulator.clone(),
            Box::new(DefaultPartitioner::new()),
            Arc::clone(&clock) as Arc<dyn Clock>,
            random.u64(..),
        );
        let list = WakeList::default();
        let client = Client::new(sender, &scenario, &list)?;
        let desk = Desk::new(handle, Arc::clone(&clock), &scenario, random.fork(), list.clone());
        let desk = Rc::new(desk);
        let often = scenario.interruptions;
        let crowd = Crowd::new(Rc::clone(&desk), Rc::clone(&trace), often, random.fork());
        let topic_ids = scenario
            .topics
            .iter()
            .map(|(name, _)| cluster.topic_id(name).into_iter().collect())
            .collect();
        let wire = Wire::new(&scenario, topic_ids);
        let mut world = World {
            now: Time::ZERO,
            clock,
            queue: Queue::default(),
            trace,
            desk,
            crowd,
            list,
            client,
            wire,
            jobs: Vec::new(),
            sealing: 0,
            cluster,
            links: Vec::new(),
            by_connection: BTreeMap::new(),
            by_accepted: BTreeMap::new(),
            weather: scenario
                .latency
                .iter()
                .map(|&latency| Weather::fair(latency, scenario.window))
                .collect(),
            names_work: true,
            hold_end: None,
            ambush: None,
            buried: Logs::new(),
            healed: false,
            driver_due: true,
            driver_pending: false,
            client_timer: Time::MAX,
            broker_timer: Time::MAX,
            finished_at: None,
            twin_connections: BTreeSet::new(),
            twin_since: None,
            twin_of: None,
            twin_unsure: false,
            random: random.fork(),
            scenario,
        };
        world.plan(&mut random);
        Ok(world)
    }

    fn live(&mut self) -> Result<(), String> {
        self.settle()?;
        while let Some((at, event)) = self.queue.pop() {
            if at < self.now {
                return Err(format!("something is due at {at}, in the past"));
            }
            if at > END_AT_MOST {
                return Err(format!("it does not end: {} users still wait", self.crowd.left()));
            }
            if let Some(finished_at) = self.finished_at
                && at > (finished_at + AFTERMATH).max(END_AT_LEAST)
            {
                break;
            }
            self.now = at;
            self.clock.advance_to(at);
            self.handle(event)?;
            self.settle()?;
            self.check()?;
        }
        if self.crowd.left() > 0 || self.finished_at.is_none() {
            return Err(format!(
                "nothing happens any more, and {} users still wait",
                self.crowd.left()
            ));
        }
        self.check_end()
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Wake(waker) => waker.wake(),
            Event::Driver => {
                self.driver_pending = false;
                self.driver_due = true;
            }
            Event::ClientTimer => {
                if self.client_timer <= self.now {
                    self.client_timer = Time::MAX;
                }
                self.driver_due = true;
            }
            Event::BrokerTimer => {
                if self.broker_timer <= self.now {
                    self.broker_timer = Time::MAX;
                }
                self.cluster.handle_timeout(self.now, self.clock.wall_ms());
            }
            Event::Sealed(_, generation) if generation != self.desk.generation.get() => self.sealing -= 1,
            Event::Sealed(sealed, _) => {
                self.sealing -= 1;
                self.client.sealed(sealed, self.now, &self.crowd);
                self.driver_due = true;
            }
            Event::Strike(trouble) => {
                if !self.healed && self.finished_at.is_none() {
                    self.strike(trouble);
                }
            }
            Event::Relief(trouble) => self.relieve(&trouble),
            Event::Heal => self.heal(),
            Event::Twin(attempt) => self.twin(attempt),
            Event::Grow => self.grow(),
            Event::Delete(attempt) => self.delete(attempt),
            Event::Create(topic) => self.create(topic),
            Event::Last => {}
            event => self.handle_net(event),
        }
        Ok(())
    }

    /// Lets everything run that can run at this moment.
    fn settle(&mut self) -> Result<(), String> {
        if self.scenario.growths > 0 {
            self.note_growth();
        }
        loop {
            let mut quiet = true;
            while let Some(woken) = self.list.pop() {
                quiet = false;
                match woken {
                    Woken::Driver => self.wake_driver(),
                    Woken::Task(index) if self.crowd.holds(index) => {
                        self.client.force_turn();
                        self.driver_due = true;
                    }
                    woken => self.crowd.poll(woken),
                }
            }
            for (at, waker) in self.desk.take_sleeps() {
                self.queue.push(at.max(self.now), Event::Wake(waker));
            }
            if std::mem::take(&mut self.driver_due) {
                quiet = false;
                self.run_client()?;
            }
            quiet &= !self.crowd.let_go();
            quiet &= !self.drain_cluster();
            if quiet {
                // Who acts while the driver asks for its next timer may wake it.
                self.set_timers();
            }
            if self.crowd.take_driver_woken() {
                self.wake_driver();
            }
            if quiet && self.list.len() == 0 && !self.driver_due {
                if !(self.client.finished && self.desk.wants_restart()) {
                    return Ok(());
                }
                self.restart()?;
            }
        }
    }

    /// A thread that was woken runs a little later.
    fn wake_driver(&mut self) {
        let delay_max = self.scenario.driver_delay_max.as_nanos() as u64;
        if delay_max == 0 {
            self.driver_due = true;
        } else if !self.driver_pending {
            self.driver_pending = true;
            let delay = Duration::from_nanos(self.random.u64(..delay_max));
            self.queue.push(self.now + delay, Event::Driver);
        }
    }

    fn run_client(&mut self) -> Result<(), String> {
        loop {
            let mut progress = {
                let mut around = Around {
                    wire: &mut self.wire,
                    trace: &self.trace,
                    desk: &self.desk,
                    crowd: &self.crowd,
                    jobs: &mut self.jobs,
                };
                self.client.turn(self.now, &mut around)?
            };
            progress |= self.carry_out_io();
            self.start_sealing();
            if self.client.finished && self.finished_at.is_none() {
                self.finished_at = Some(self.now);
                let nodes: Vec<i32> = self.client.network.nodes().collect();
                nodes
                    .into_iter()
                    .for_each(|node| self.client.network.disconnect(node, self.now));
                progress = true;
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// The transactional producer can do no more, and has closed: another one takes its place.
    fn restart(&mut self) -> Result<(), String> {
        self.check_cause_of_end()?;
        let (sender, handle) = Sender::new(
            self.scenario.sender.clone(),
            self.scenario.accumulator.clone(),
            Box::new(DefaultPartitioner::new()),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            self.random.u64(..),
        );
        self.client = Client::new(sender, &self.scenario, &self.list)?;
        let open: Vec<_> = self.by_connection.keys().copied().collect();
        open.into_iter()
            .for_each(|connection| self.close_client(connection));
        self.wire.restart();
        self.twin_unsure |= !self.twin_connections.is_empty();
        self.finished_at = None;
        self.driver_due = true;
        self.trace.note(self.now, "restart", [0, 0], "");
        self.desk.restarted(Some(handle));
        Ok(())
    }

    fn start_sealing(&mut self) {
        for job in std::mem::take(&mut self.jobs) {
            let delay = self.random.u64(..self.scenario.seal_delay_max.as_nanos() as u64);
            let sealed = job.run(&mut self.client.sealer);
            self.sealing += 1;
            let sealed = Event::Sealed(sealed, self.desk.generation.get());
            self.queue.push(self.now + Duration::from_nanos(delay), sealed);
        }
    }

    fn set_timers(&mut self) {
        if let Some(at) = self.client.poll_timeout(&self.crowd)
            && at < self.client_timer
        {
            self.client_timer = at;
            self.queue.push(at.max(self.now), Event::ClientTimer);
        }
        if let Some(at) = self.cluster.poll_timeout()
            && at < self.broker_timer
        {
            self.broker_timer = at;
            self.queue.push(at.max(self.now), Event::BrokerTimer);
        }
    }

    /// Counts what the cluster did since the last call.
    fn count_cluster_events(&mut self) {
        let mut counters = self.desk.counters.borrow_mut();
        for event in self.cluster.events() {
            match &event.kind {
                EventKind::Duplicate { .. } => counters.duplicates += 1,
                EventKind::Leader { .. } => counters.leader_moves += 1,
                EventKind::Truncated { .. } => counters.truncations += 1,
                EventKind::Request { .. } | EventKind::Accepted { .. } | EventKind::Closed { .. } => continue,
                _ => {}
            }
            self.trace.note(
                self.now,
                "broker",
                [event.number, 0],
                format_args!("{:?}", event.kind),
            );
        }
        drop(counters);
        self.cluster.clear_events();
    }

    fn course(&self, failure: Option<String>) -> Course {
        let mut counters = self.desk.counters.borrow().clone();
        counters.events = self.trace.events();
        Course {
            counters,
            hash: self.trace.hash(),
            lasted: self.now.since(Time::ZERO),
            failure: failure.map(|failure| format!("{failure} (at {})", self.now)),
        }
    }
}
