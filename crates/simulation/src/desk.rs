//! Where the users of the producer sit: its handle, their clock, and the ledger of what they sent.

use crate::counters::Counters;
use crate::ledger::{Ledger, State};
use crate::payload::Payload;
use crate::scenario::{Scenario, chance};
use crate::transactions::Transaction;
use fastrand::Rng;
use ottla_protocol::records::Header;
use ottla_sender::{Delivery, FailureKind, Handle, Persistence, SendError, SendRecord, Topic, TrySendError};
use ottla_time::{Clock, ManualClock, Time};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::executor::{WakeList, Woken};

/// What is allowed beyond a deadline: the promise is that everything resolves by its deadline and one second.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Shared by all users of a seed.
pub(crate) struct Desk {
    handle: RefCell<Handle>,
    /// The handles of producers that have ended.
    ended: RefCell<Vec<Handle>>,
    pub(crate) clock: Arc<ManualClock>,
    /// Names and partitions, as they were at the beginning.
    pub(crate) topics: Vec<(String, i32)>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) random: RefCell<Rng>,
    pub(crate) counters: RefCell<Counters>,
    pub(crate) list: WakeList,
    /// The first promise that was broken.
    pub(crate) broken: RefCell<Option<String>>,
    /// Timers that the world has not taken over yet.
    sleeps: RefCell<Vec<(Time, Waker)>>,
    pub(crate) max_block: Duration,
    pub(crate) delivery_timeout: Duration,
    value_len_max: usize,
    /// Set when the users close the producer.
    pub(crate) closing: Cell<bool>,
    /// The numbers of the records that were sent when all was well again.
    pub(crate) probes: RefCell<Vec<u32>>,
    /// How many sends wait.
    pub(crate) waiting: Cell<u32>,
    /// How many of them wait for memory, and for nothing else.
    pub(crate) waiting_for_memory: Cell<u32>,
    /// Those of them whose record is larger than a batch and has a partition: number, topic and partition.
    line: RefCell<Vec<(u32, usize, i32)>>,
    /// Who waited when a later one got memory: (the one that waited, the later one).
    overtaken: RefCell<Vec<(u32, u32)>>,
    batch_size: usize,
    /// The partitions that each topic has, the least and the most: some get more meanwhile.
    counts: RefCell<Vec<(i32, i32)>>,
    /// The transactions that have ended, one way or the other.
    pub(crate) transactions: RefCell<Vec<Transaction>>,
    /// Whether the one that was begun when all was well again was committed.
    pub(crate) last_committed: Cell<bool>,
    /// How many producers there were before this one.
    pub(crate) generation: Cell<u32>,
    /// Who waits for the next one.
    restarts: RefCell<Option<Waker>>,
    /// Whether nothing more will be sent.
    pub(crate) done: Cell<bool>,
    /// How many transactions have begun.
    pub(crate) begun: Cell<u32>,
    /// Whether it is the middle of the sender's work.
    pub(crate) meanwhile: Cell<bool>,
    /// Whether the transactional producer came to its end before anybody closed it.
    pub(crate) ended_by_itself: Cell<bool>,
}

/// How a user sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The topic, by its place.
    pub(crate) topic: usize,
    /// The partition, if it is always the same.
    pub(crate) partition: Option<i32>,
    pub(crate) keyed: bool,
    /// Values are about so long.
    pub(crate) value_len: usize,
    /// Without waiting.
    pub(crate) tries: bool,
    /// Of a hundred sends so many are dropped while they wait.
    pub(crate) cancels: u32,
    /// Of a hundred deliveries so many are dropped.
    pub(crate) drops: u32,
}

impl Desk {
    pub(crate) fn new(
        handle: Handle,
        clock: Arc<ManualClock>,
        scenario: &Scenario,
        random: Rng,
        list: WakeList,
    ) -> Desk {
        Desk {
            topics: scenario.topics.clone(),
            handle: RefCell::new(handle),
            ended: RefCell::default(),
            clock,
            ledger: RefCell::default(),
            random: RefCell::new(random),
            counters: RefCell::default(),
            list,
            broken: RefCell::default(),
            sleeps: RefCell::default(),
            max_block: scenario.sender.max_block,
            delivery_timeout: scenario.sender.delivery_timeout,
            value_len_max: scenario.value_len_max,
            closing: Cell::new(false),
            probes: RefCell::default(),
            waiting: Cell::new(0),
            waiting_for_memory: Cell::new(0),
            line: RefCell::default(),
            overtaken: RefCell::default(),
            batch_size: scenario.accumulator.batch_size,
            counts: RefCell::new(scenario.topics.iter().map(|&(_, count)| (count, count)).collect()),
            transactions: RefCell::default(),
            last_committed: Cell::new(false),
            generation: Cell::new(0),
            restarts: RefCell::default(),
            done: Cell::new(false),
            begun: Cell::new(0),
            meanwhile: Cell::new(false),
            ended_by_itself: Cell::new(false),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The producer.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.borrow().clone()
    }

    pub(crate) fn topic(&self, index: usize) -> Arc<Topic> {
        self.handle.borrow().topic(&self.topics[index].0)
    }

    /// Bytes that producers hold which have ended: none, or they leak.
    pub(crate) fn memory_left_behind(&self) -> usize {
        self.ended.borrow().iter().map(Handle::memory_used).sum()
    }

    /// The producer can do no more: its process ends, and another one takes its place. False if it is not to be, because
    /// the users close.
    pub(crate) async fn restart(&self, patience: Duration) -> bool {
        let closed = self.handle().close(patience);
        let start = self.now();
        if self.until(start + patience + GRACE, closed).await.is_none() {
            self.fail(format!(
                "a close of {start} with a timeout of {patience:?} still waits"
            ));
        }
        let before = self.generation.get();
        poll_fn(|cx| {
            if self.generation.get() > before || self.closing.get() {
                return Poll::Ready(());
            }
            *self.restarts.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        !self.closing.get()
    }

    /// Whether a producer is to be replaced.
    pub(crate) fn wants_restart(&self) -> bool {
        self.restarts.borrow().is_some()
    }

    /// The producer was replaced, unless the users close.
    pub(crate) fn restarted(&self, handle: Option<Handle>) {
        if let Some(handle) = handle {
            let ended = self.handle.replace(handle);
            self.ended.borrow_mut().push(ended);
            self.generation.set(self.generation.get() + 1);
            self.ended_by_itself.set(false);
            self.counters.borrow_mut().restarts += 1;
        }
        if let Some(waker) = self.restarts.take() {
            waker.wake();
        }
    }

    /// How many records were sent, or tried.
    pub(crate) fn records(&self) -> u64 {
        self.counters.borrow().records
    }

    /// The topic has more partitions now; nobody need know it yet.
    pub(crate) fn grow(&self, topic: usize, count: i32) {
        self.counts.borrow_mut()[topic].1 = count;
    }

    /// Says that a promise was broken; the first one counts.
    pub(crate) fn fail(&self, what: String) {
        self.broken.borrow_mut().get_or_insert(what);
    }

    /// The timers that were set since the last call.
    pub(crate) fn take_sleeps(&self) -> Vec<(Time, Waker)> {
        std::mem::take(&mut *self.sleeps.borrow_mut())
    }

    pub(crate) async fn sleep_until(&self, at: Time) {
        let mut armed = false;
        poll_fn(|cx| self.poll_sleep(at, &mut armed, cx)).await;
    }

    fn poll_sleep(&self, at: Time, armed: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
        if self.now() >= at {
            return Poll::Ready(());
        }
        if !*armed {
            *armed = true;
            self.sleeps.borrow_mut().push((at, cx.waker().clone()));
        }
        Poll::Pending
    }

    /// In the middle of the sender's work it may go on before this user does.
    pub(crate) async fn breathe(&self) {
        let mut goes_on = !self.meanwhile.get() || chance(&mut self.random.borrow_mut(), 60);
        poll_fn(|cx| {
            if std::mem::replace(&mut goes_on, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// The future's output, unless it takes until `at`.
    pub(crate) async fn until<F: Future>(&self, at: Time, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut armed = false;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.poll_sleep(at, &mut armed, cx).map(|()| None)
        })
        .await
    }

    /// Sends a record of this kind.
    pub(crate) async fn send(self: &Rc<Self>, manner: Manner) {
        let payload = self.next_payload(manner);
        let (number, partition) = (payload.number, payload.partition.map(i32::from));
        self.ledger.borrow_mut().begin(payload.clone());
        self.counters.borrow_mut().records += 1;
        let (key, value, header) = (payload.key(), payload.value(), payload.header_value());
        let headers = [Header {
            key: "n",
            value: Some(&header),
        }];
        let record = SendRecord {
            key: key.as_ref().map(|key| &key[..]),
            value: value.as_deref(),
            headers: if payload.has_header { &headers } else { &[] },
            partition,
            ..SendRecord::default()
        };
        let topic = &self.topic(manner.topic);
        if manner.tries {
            match self.handle().try_send(topic, &record) {
                Ok(delivery) => self.queued(number, delivery, manner),
                Err(error) => {
                    if matches!(error, TrySendError::Metadata | TrySendError::Memory) {
                        self.counters.borrow_mut().try_refused += 1;
                    }
                    self.never_queued(number);
                }
            }
            return;
        }
        self.send_waiting(number, topic, &record, manner).await;
    }

    async fn send_waiting(
        self: &Rc<Self>,
        number: u32,
        topic: &Topic,
        record: &SendRecord<'_>,
        manner: Manner,
    ) {
        let handle = self.handle();
        let mut sending = pin!(handle.send(topic, record));
        let start = self.now();
        let first = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
        let sent = match first {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                self.count_wait(topic, manner);
                let cancel = chance(&mut self.random.borrow_mut(), manner.cancels);
                let patience = if cancel {
                    Duration::from_micros(self.random.borrow_mut().u64(0..200_000))
                } else {
                    self.max_block + GRACE
                };
                let for_memory = u32::from(self.waits_for_memory(topic, manner));
                self.waiting.set(self.waiting.get() + 1);
                self.waiting_for_memory
                    .set(self.waiting_for_memory.get() + for_memory);
                self.join_line(number, manner, for_memory > 0);
                let waited = self.until(start + patience, sending).await;
                self.waiting.set(self.waiting.get() - 1);
                self.waiting_for_memory
                    .set(self.waiting_for_memory.get() - for_memory);
                self.line.borrow_mut().retain(|(other, ..)| *other != number);
                match waited {
                    Some(sent) => sent,
                    None => {
                        if !cancel {
                            self.fail(format!(
                                "the send of record {number} still waits after max.block.ms"
                            ));
                        }
                        self.counters.borrow_mut().sends_cancelled += 1;
                        self.ledger.borrow_mut().never_queued(number);
                        return;
                    }
                }
            }
        };
        match sent {
            Ok(delivery) => self.queued(number, delivery, manner),
            Err(error) => {
                if matches!(error, SendError::MemoryTimeout { .. }) {
                    self.counters.borrow_mut().memory_timeouts += 1;
                }
                if error == SendError::Closed && !self.closing.get() {
                    self.fail(format!(
                        "record {number} was refused as if the producer was closed"
                    ));
                }
                self.never_queued(number);
            }
        }
    }

    /// A record that is larger than a batch needs memory of its own, so those of one partition that wait for it go on in
    /// their order.
    fn join_line(&self, number: u32, manner: Manner, for_memory: bool) {
        if let Some(partition) = manner.partition
            && for_memory
            && self.is_large(number)
        {
            self.line.borrow_mut().push((number, manner.topic, partition));
        }
    }

    fn is_large(&self, number: u32) -> bool {
        self.ledger.borrow().entries[number as usize].payload.len > self.batch_size
    }

    fn check_line(&self, number: u32, manner: Manner) {
        let waits = |&(other, topic, partition): &(u32, usize, i32)| {
            other < number && topic == manner.topic && Some(partition) == manner.partition
        };
        if self.is_large(number) {
            let line = self.line.borrow();
            let overtaken = line.iter().copied().filter(waits);
            let pairs = overtaken.map(|(other, ..)| (other, number));
            self.overtaken.borrow_mut().extend(pairs);
        }
    }

    /// To be called when a moment is over: who has its memory and was not polled yet has gone on by then.
    pub(crate) fn check_overtaken(&self) {
        for (other, number) in self.overtaken.take() {
            if self.line.borrow().iter().any(|&(waits, ..)| waits == other) {
                self.fail(format!(
                    "record {number} got memory before record {other}, which waits"
                ));
            }
        }
    }

    /// Whether a send that waits has all that it needs to know.
    fn waits_for_memory(&self, topic: &Topic, manner: Manner) -> bool {
        let asked = manner
            .partition
            .map_or(0, |partition| usize::try_from(partition).unwrap_or(usize::MAX));
        topic.partition_count().is_some_and(|count| asked < count)
    }

    fn count_wait(&self, topic: &Topic, manner: Manner) {
        let mut counters = self.counters.borrow_mut();
        if self.waits_for_memory(topic, manner) {
            counters.memory_waits += 1;
        } else {
            counters.metadata_waits += 1;
        }
    }

    fn never_queued(&self, number: u32) {
        self.counters.borrow_mut().never_queued += 1;
        self.ledger.borrow_mut().never_queued(number);
    }

    fn queued(self: &Rc<Self>, number: u32, delivery: Delivery, manner: Manner) {
        let partition = delivery.partition();
        self.check_choice(number, partition);
        self.check_line(number, manner);
        let (drops, later) = {
            let mut random = self.random.borrow_mut();
            (chance(&mut random, manner.drops), chance(&mut random, 50))
        };
        if drops && !later {
            self.counters.borrow_mut().deliveries_dropped += 1;
            self.ledger
                .borrow_mut()
                .queued(number, partition, None, self.now());
            return;
        }
        self.ledger
            .borrow_mut()
            .queued(number, partition, Some(delivery), self.now());
        self.poll_delivery(number as usize);
        // One of those that are dropped is dropped a while after it was polled, by the send that comes then.
        if drops && number >= 16 && self.ledger.borrow_mut().drop_delivery(number as usize - 16) {
            self.counters.borrow_mut().deliveries_dropped += 1;
        }
    }

    /// The partition that was asked for, or that the key decides.
    fn check_choice(&self, number: u32, partition: i32) {
        let ledger = self.ledger.borrow();
        let payload = &ledger.entries[number as usize].payload;
        let (least, most) = self.counts.borrow()[usize::from(payload.topic)];
        let belongs = match (payload.partition, payload.key()) {
            (Some(asked), _) => i32::from(asked) == partition,
            (None, Some(key)) => {
                let hash = ottla_partitioning::murmur2(&key) & 0x7fff_ffff;
                (least..=most).any(|count| (hash % count as u32) as i32 == partition)
            }
            (None, None) => (0..most).contains(&partition),
        };
        if !belongs {
            self.fail(format!(
                "record {number} went to {}/{partition}: {payload:?}",
                payload.topic
            ));
        }
    }

    fn next_payload(&self, manner: Manner) -> Payload {
        let mut random = self.random.borrow_mut();
        let empty = random.u32(..100) == 0;
        let len = match random.u32(..1_000) {
            ..990 => random.usize(6..=manner.value_len.max(6)),
            _ => random.usize(6..=self.value_len_max),
        };
        Payload {
            number: self.ledger.borrow().next_number(),
            topic: manner.topic as u8,
            partition: manner.partition.map(|partition| partition as u8),
            len: if empty { 0 } else { len },
            has_key: manner.keyed && !empty,
            has_header: !empty && chance(&mut random, 10),
        }
    }

    /// Looks at a delivery that was woken, or that is new.
    pub(crate) fn poll_delivery(&self, number: usize) {
        let mut ledger = self.ledger.borrow_mut();
        let entry = &mut ledger.entries[number];
        if entry.state != State::Queued {
            return;
        }
        let Some(delivery) = &mut entry.delivery else {
            return;
        };
        let waker = self.list.waker(Woken::Delivery(number));
        let Poll::Ready(outcome) = pin!(delivery).poll(&mut Context::from_waker(&waker)) else {
            return;
        };
        let partition = entry.partition;
        let state = match outcome {
            Ok(metadata) => {
                if metadata.partition() != partition {
                    self.fail(format!(
                        "record {number} was acked in partition {}",
                        metadata.partition()
                    ));
                }
                State::Acked {
                    offset: metadata.offset(),
                }
            }
            Err(failure) => {
                let mut counters = self.counters.borrow_mut();
                if failure.kind == FailureKind::Internal {
                    self.fail(format!("record {number} failed for a defect: {failure}"));
                }
                if failure.kind == FailureKind::Timeout {
                    counters.expiries += 1;
                    counters.expiries_in_flight +=
                        u64::from(failure.persistence != Persistence::NotPersisted);
                }
                State::Failed {
                    persistence: failure.persistence,
                }
            }
        };
        ledger.resolved(number, state);
        drop(ledger);
        self.count_outcome(number);
    }

    fn count_outcome(&self, number: usize) {
        let ledger = self.ledger.borrow();
        let mut counters = self.counters.borrow_mut();
        match &ledger.entries[number].state {
            State::Acked { .. } => counters.acked += 1,
            State::Failed {
                persistence: Persistence::NotPersisted,
            } => counters.failed_not_persisted += 1,
            _ => counters.failed_possibly_persisted += 1,
        }
    }
}
