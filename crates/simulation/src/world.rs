//! One seed: the producer, its users, the brokers, the network between them, and the time that passes for all.

mod admin;
mod net;
mod trouble;

pub(crate) use admin::TRANSACTIONAL_ID;

use crate::client::{Around, Client};
use crate::counters::Counters;
use crate::crowd::Crowd;
use crate::desk::{Desk, GRACE};
use crate::executor::{WakeList, Woken};
use crate::link::{Link, Weather};
use crate::oracle::{self, Logs};
use crate::payload::Payload;
use crate::plan::{self, Trouble};
use crate::queue::Queue;
use crate::scenario::{FAULTS_MIN, Promise, RECORDS_MIN, Scenario};
use crate::trace::Trace;
use crate::wire::Wire;
use crate::{ledger::State, transactions, user};
use fastrand::Rng;
use ottla_broker::{Cluster, EventKind, Isolation};
use ottla_partitioning::DefaultPartitioner;
use ottla_protocol::compression::{Compression, Decompressor};
use ottla_sender::{SealJob, Sealed, Sender};
use ottla_time::{Clock, ManualClock, Time, mutants};
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

    /// Puts in what is known beforehand: bursts, flushes, faults, and the end.
    fn plan(&mut self, random: &mut Rng) {
        let scenario = &self.scenario;
        let until = match scenario.closes_early {
            true => Time::ZERO + scenario.trouble.mul_f64(0.5 + random.f64() / 2.0),
            false => Time::ZERO + scenario.trouble,
        };
        if !scenario.transactional {
            for burst in user::bursts(scenario, until, random) {
                self.crowd.spawn(user::send_burst(Rc::clone(&self.desk), burst));
            }
        }
        for _ in 0..random.usize(1..=5) {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            let patience = (random.u32(..100) < 20).then(|| Duration::from_millis(random.u64(1..200)));
            self.crowd.spawn(user::flush(Rc::clone(&self.desk), at, patience));
        }
        for (at, trouble) in plan::draw(scenario, until, random) {
            self.queue.push(at, Event::Strike(trouble));
        }
        let healed = Time::ZERO + scenario.trouble;
        self.queue.push(healed, Event::Heal);
        self.queue.push(END_AT_LEAST, Event::Last);
        if scenario.transactional && random.u32(..100) < 15 {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            self.queue.push(at, Event::Twin(0));
        }
        for _ in 0..scenario.growths {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            self.queue.push(at, Event::Grow);
        }
        for _ in 0..scenario.recreations {
            let at = Time::ZERO + scenario.trouble.mul_f64(random.f64());
            self.queue.push(at, Event::Delete(0));
        }
        if scenario.closes_early {
            let timeout = if random.bool() {
                Duration::from_millis(random.u64(0..6_000))
            } else {
                Duration::from_micros(random.u64(0..20_000))
            };
            self.desk.counters.borrow_mut().closes_in_trouble += 1;
            if scenario.transactional {
                let never = Time::ZERO + scenario.trouble;
                self.crowd
                    .spawn(transactions::conduct(Rc::clone(&self.desk), never));
            }
            self.crowd
                .spawn(user::close(Rc::clone(&self.desk), until, timeout, true));
            return;
        }
        // The first probes find out what changed meanwhile; the second have to be acked.
        let settled = healed + scenario.sender.delivery_timeout + GRACE + scenario.sender.max_block;
        let again = settled + scenario.sender.delivery_timeout + GRACE;
        self.crowd.spawn(user::flush(Rc::clone(&self.desk), again, None));
        if scenario.transactional {
            self.crowd
                .spawn(transactions::conduct(Rc::clone(&self.desk), settled));
        } else {
            self.crowd
                .spawn(user::probe(Rc::clone(&self.desk), settled, false));
            self.crowd.spawn(user::probe(Rc::clone(&self.desk), again, true));
        }
        let end = (again + scenario.sender.delivery_timeout * 3 + GRACE).max(END_AT_LEAST);
        self.crowd.spawn(user::close(
            Rc::clone(&self.desk),
            end,
            Duration::from_secs(1),
            false,
        ));
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
            Event::Delete(attempt) => self.delete(attempt)?,
            Event::Create(topic) => self.create(topic)?,
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

    /// Nobody ends a producer but a twin, and what [`crate::call::Call`] knows.
    fn check_cause_of_end(&self) -> Result<(), String> {
        let fenced = self.twin_of == Some(self.desk.generation.get());
        // Before Kafka 2.5 nothing can follow a gap.
        let old = self.scenario.cluster.pose == ottla_broker::Pose::V2_1;
        if fenced || old || self.twin_unsure || self.wire.excuses_the_end() {
            return Ok(());
        }
        Err("the transactional producer is at its end, and nobody fenced it".to_owned())
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

    /// What has to hold at any moment, and costs little to look at.
    fn check(&mut self) -> Result<(), String> {
        self.desk.check_overtaken();
        if let Some(broken) = self.desk.broken.borrow_mut().take() {
            return Err(broken);
        }
        let mut ledger = self.desk.ledger.borrow_mut();
        let patience = self.desk.delivery_timeout + GRACE;
        if let Some(number) = ledger.overdue(self.now, patience) {
            return Err(format!(
                "record {number} is not resolved, a second after delivery.timeout.ms"
            ));
        }
        let used = self.desk.handle().memory_used();
        let limit = self.scenario.accumulator.buffer_memory;
        let plain = self.scenario.accumulator.compression == Compression::None;
        let split = self.desk.counters.borrow().too_large > 0;
        // The compressed form of a batch, and the parts of one that is split, are charged even if nothing is free.
        let most = if plain && !split { limit } else { limit + limit / 4 };
        if used > most {
            return Err(format!("{used} bytes are in use, of {limit}"));
        }
        if plain && used < ledger.unresolved_bytes {
            let held = ledger.unresolved_bytes;
            return Err(format!(
                "{used} bytes are in use, and {held} bytes of records are not resolved"
            ));
        }
        let at_rest = ledger.unresolved == 0
            && ledger.unwatched == 0
            && self.desk.waiting.get() == 0
            && self.sealing == 0
            && self.wire.is_quiet();
        if at_rest && used > 0 {
            return Err(format!("{used} bytes are in use, and there is no record"));
        }
        if self.desk.waiting_for_memory.get() > 0
            && ledger.unresolved == 0
            && ledger.unwatched == 0
            && self.sealing == 0
            && self.wire.is_quiet()
        {
            return Err("a send waits for memory, and no record has any".to_owned());
        }
        let open = self.by_connection.values().map(|&link| &self.links[link]);
        let in_writers: usize = open.flat_map(|link| &link.backlog).map(unaccounted).sum();
        if used < in_writers {
            return Err(format!("{used} bytes are in use, and writers hold {in_writers}"));
        }
        // Who has finished waits for nothing.
        if self.finished_at.is_some() {
            return Ok(());
        }
        self.wire.check(self.now)
    }

    /// What a seed has at least, whatever happens in it. A planted bug is not found by this: that it makes a seed small is
    /// no harm that a user could see.
    fn check_floors(&self) -> Result<(), String> {
        if mutants::is_any_planted() {
            return Ok(());
        }
        let counters = self.desk.counters.borrow();
        let enough = counters.records >= RECORDS_MIN
            && counters.faults >= FAULTS_MIN as u64
            && self.now >= END_AT_LEAST;
        if enough {
            return Ok(());
        }
        Err(format!(
            "the seed is too small: {} records and {} faults in {}",
            counters.records, counters.faults, self.now
        ))
    }

    fn check_end(&mut self) -> Result<(), String> {
        let used = self.desk.handle().memory_used() + self.desk.memory_left_behind();
        if used > 0 {
            return Err(format!("{used} bytes are in use at the end"));
        }
        let ledger = self.desk.ledger.borrow();
        for (number, entry) in ledger.entries.iter().enumerate() {
            let Some(delivery) = &entry.delivery else { continue };
            let same = match (delivery.outcome(), &entry.state) {
                (Some(Ok(metadata)), State::Acked { offset }) => metadata.offset() == *offset,
                (Some(Err(failure)), State::Failed { persistence }) => failure.persistence == *persistence,
                (None, _) => return Err(format!("record {number} is not resolved after the close")),
                (Some(_), State::Queued) => {
                    return Err(format!("record {number} was resolved, and nobody was woken"));
                }
                _ => false,
            };
            if !same {
                return Err(format!("record {number} has two outcomes"));
            }
        }
        drop(ledger);
        let logs = self.read_logs()?;
        let committed = self.read_committed()?;
        let ledger = self.desk.ledger.borrow();
        oracle::check(&ledger.entries, &logs, self.scenario.promise)?;
        if self.scenario.transactional {
            self.check_transactions(&ledger.entries, &committed)?;
        }
        self.check_probes(&ledger.entries)?;
        self.check_floors()
    }

    /// The numbers of the records that a reader of committed records sees.
    fn read_committed(&mut self) -> Result<BTreeSet<u32>, String> {
        let mut seen = BTreeSet::new();
        if !self.scenario.transactional {
            return Ok(seen);
        }
        for (name, partitions) in &self.scenario.topics {
            for partition in 0..*partitions {
                let records = self.cluster.records(name, partition, Isolation::ReadCommitted);
                for record in records.map_err(|error| error.to_string())? {
                    if let Some(number) = Payload::number_of(record.value.as_deref())
                        && !seen.insert(number)
                    {
                        return Err(format!("record {number} is committed twice"));
                    }
                }
            }
        }
        Ok(seen)
    }

    fn check_transactions(
        &self,
        entries: &[crate::ledger::Entry],
        committed: &BTreeSet<u32>,
    ) -> Result<(), String> {
        let transactions = self.desk.transactions.borrow();
        // Before Kafka 3.6 a broker takes a batch that comes after the end of its transaction for one of the next
        // (KAFKA-14402); nothing that a producer does helps.
        let may_mix = self.scenario.cluster.pose < ottla_broker::Pose::V3_9;
        transactions::check(entries, &transactions, committed, may_mix)?;
        let topic = &self.scenario.topics[0].0;
        let offset = self.cluster.committed_offset(transactions::GROUP, topic, 0);
        transactions::check_offset(&transactions, offset)?;
        if let Some(fenced) = self.twin_since
            && !self.twin_unsure
        {
            transactions::check_fenced(entries, &transactions, fenced)?;
        }
        if self.desk.ended_by_itself.get() {
            self.check_cause_of_end()?;
        }
        if !self.scenario.closes_early && !self.desk.last_committed.get() {
            return Err("no transaction was committed when all was well again".to_owned());
        }
        Ok(())
    }

    /// After trouble everything works again.
    fn check_probes(&self, entries: &[crate::ledger::Entry]) -> Result<(), String> {
        if self.scenario.closes_early || self.scenario.promise == Promise::Nothing {
            return Ok(());
        }
        let probes = self.desk.probes.borrow();
        let mut probes = probes.iter().map(|&number| &entries[number as usize]);
        match probes.find(|entry| !matches!(entry.state, State::Acked { .. })) {
            Some(entry) => {
                let (number, state) = (entry.payload.number, &entry.state);
                Err(format!(
                    "record {number} was sent when all was well again, and not acked: {state:?}"
                ))
            }
            None => Ok(()),
        }
    }

    fn read_logs(&self) -> Result<Logs, String> {
        let mut logs = self.buried.clone();
        for topic in 0..self.scenario.topics.len() {
            self.read_topic(topic, &mut logs)?;
        }
        Ok(logs)
    }

    /// Adds what is in the logs of a topic.
    fn read_topic(&self, topic: usize, logs: &mut Logs) -> Result<(), String> {
        let ledger = self.desk.ledger.borrow();
        let mut decompressor = Decompressor::new();
        let (name, partitions) = &self.scenario.topics[topic];
        for partition in 0..*partitions {
            let mut log = Vec::new();
            let batches = self
                .cluster
                .batches(name, partition)
                .map_err(|error| error.to_string())?;
            for batch in batches {
                let batch = batch.batch;
                if batch.header().attributes.is_control() {
                    continue;
                }
                let base = batch.header().base_offset;
                let read = batch.visit_records(&mut decompressor, 64 << 20, |record| {
                    let offset = base + i64::from(record.offset_delta);
                    log.push(oracle::read(&ledger.entries, offset, record));
                });
                read.map_err(|error| format!("a batch in the log that nobody can read: {error}"))?;
            }
            logs.entry((topic as u8, partition)).or_default().push(log);
        }
        Ok(())
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

/// What a writer holds of a batch's memory, if the piece is of a batch: what stands between batches is shorter.
fn unaccounted(piece: &bytes::Bytes) -> usize {
    piece.len().saturating_sub(HEAD_LEN_MAX)
}

/// The headers of a frame and of a batch, with what a request says before its first batch, in bytes.
const HEAD_LEN_MAX: usize = 512;
