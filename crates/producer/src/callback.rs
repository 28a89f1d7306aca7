//! Callbacks: outcomes that are told to a function, in the order of each partition.
//!
//! One thread for each producer runs them, started by the first; they delay neither the producer's I/O nor its codecs. A
//! record's callback is noted under the lock under which it is appended, so each partition's callbacks run in the order of
//! its records, whichever threads sent them. Each partition has a lane, whose first delivery is the only one that is
//! polled: a batch costs one wake-up.

use crate::Error;
use ottla_sender::{Delivery, RecordMetadata};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

/// What a callback is told.
pub(crate) type Outcome = Result<RecordMetadata, Error>;

/// One object that is told the outcomes of many records: what [`Producer::send_to`](crate::Producer::send_to) takes. It
/// costs no allocation for each record, as a closure does.
///
/// Every `Fn(u64, Result<RecordMetadata, Error>)` is one.
pub trait DeliveryHandler: Send + Sync + 'static {
    /// Tells the outcome of the record that was sent with `number`.
    fn on_delivery(&self, number: u64, outcome: Result<RecordMetadata, Error>);
}

impl<F: Fn(u64, Outcome) + Send + Sync + 'static> DeliveryHandler for F {
    fn on_delivery(&self, number: u64, outcome: Outcome) {
        self(number, outcome);
    }
}

/// Who is told about a record.
pub(crate) enum Callback {
    Closure(Box<dyn FnOnce(Outcome) + Send>),
    Handler(Arc<dyn DeliveryHandler>, u64),
    /// A closure that holds so many bytes.
    Weighed(Box<dyn FnOnce(Outcome) + Send>, usize),
}

impl Callback {
    /// A panic is the callback's own affair: the panic hook has told of it, and the others are still told.
    pub(crate) fn run(self, outcome: Outcome) {
        let _ = catch_unwind(AssertUnwindSafe(|| match self {
            Callback::Closure(closure) | Callback::Weighed(closure, _) => closure(outcome),
            Callback::Handler(handler, number) => handler.on_delivery(number, outcome),
        }));
    }

    /// How many it counts as, among those that may wait.
    fn weight(&self) -> usize {
        match self {
            Callback::Closure(_) | Callback::Handler(..) => 1,
            Callback::Weighed(_, bytes) => 1 + bytes / CALLBACK_BYTES,
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// How many callbacks may wait, with little memory to send: more than come in flight on a fast network.
const WAITING_MIN: usize = 128 << 10;

/// One more may wait for each of so many bytes of `buffer.memory`. A callback that waits takes about 120 bytes, so all
/// together take up to 16 MB and a quarter of `buffer.memory`.
const BYTES_PER_WAITING: u64 = 512;

/// What a callback that waits takes, about.
const CALLBACK_BYTES: usize = 120;

/// How many callbacks of one partition run before another partition has its turn.
const TURN_MAX: usize = 256;

/// The callbacks of a producer. Dropped, it lets the thread run what is outstanding, and end.
#[derive(Debug)]
pub(crate) struct Callbacks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wakes: Arc<Wakes>,
    /// Notified when callbacks have run.
    settled: Condvar,
    waiting_max: usize,
}

#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    /// Lanes by topic, and in it by partition.
    by_topic: HashMap<Arc<str>, Vec<Option<usize>>>,
    /// Noted, and not yet run to the end; by their weight.
    outstanding: usize,
    /// The same, by the flush that waits for them: each flush begins a new group.
    groups: VecDeque<usize>,
    /// The number of the first of `groups`.
    first_group: u64,
    has_thread: bool,
    /// Those who wait for room or for the end of callbacks.
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct Lane {
    entries: VecDeque<Entry>,
    waker: Waker,
}

#[derive(Debug)]
struct Entry {
    delivery: Delivery,
    callback: Callback,
    weight: usize,
    group: u64,
}

/// The lanes whose first delivery has its outcome: what the thread waits for.
#[derive(Debug, Default)]
struct Wakes {
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Due {
    lanes: VecDeque<usize>,
    closed: bool,
}

#[derive(Debug)]
struct LaneWaker {
    wakes: Arc<Wakes>,
    lane: usize,
}

impl Wake for LaneWaker {
    fn wake(self: Arc<Self>) {
        self.wakes.push(self.lane);
    }
}

impl Wakes {
    fn push(&self, lane: usize) {
        self.due.lock().lanes.push_back(lane);
        self.changed.notify_all();
    }
}

thread_local! {
    /// Whether this is a producer's thread for callbacks.
    static RUNS_CALLBACKS: Cell<bool> = const { Cell::new(false) };
}

/// The right to note callbacks: while it is held, nobody else notes any.
pub(crate) struct Noting<'a> {
    shared: &'a Arc<Shared>,
    state: MutexGuard<'a, State>,
}

impl Callbacks {
    pub(crate) fn new(buffer_memory: u64) -> Callbacks {
        let more = usize::try_from(buffer_memory / BYTES_PER_WAITING).unwrap_or(usize::MAX);
        Callbacks::with_limit(WAITING_MIN.saturating_add(more))
    }

    fn with_limit(waiting_max: usize) -> Callbacks {
        let shared = Shared {
            state: Mutex::default(),
            wakes: Arc::default(),
            settled: Condvar::new(),
            waiting_max,
        };
        Callbacks {
            shared: Arc::new(shared),
        }
    }

    /// Starts the thread, if it is not there. After that a callback that is noted will run.
    pub(crate) fn start(&self) -> Result<(), Error> {
        let mut state = self.shared.state.lock();
        if !state.has_thread {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name("ottla-callbacks".to_owned())
                .spawn(move || run(&shared))
                .map_err(|error| Error::start(format!("the thread for callbacks cannot start: {error}")))?;
            state.has_thread = true;
        }
        Ok(())
    }

    /// Begins to note a callback; `None` if there is no room.
    pub(crate) fn note(&self) -> Option<Noting<'_>> {
        let state = self.shared.state.lock();
        let shared = &self.shared;
        (state.outstanding < shared.waiting_max).then_some(Noting { shared, state })
    }

    /// Ready when there is room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.state.lock();
        if state.outstanding < self.shared.waiting_max {
            return Poll::Ready(());
        }
        state.register(cx);
        Poll::Pending
    }

    /// Resolves when all that were noted before this call have run, or at the deadline. A callback itself does not wait:
    /// it would wait for its own end.
    pub(crate) fn finished(&self, deadline: Option<Instant>) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let group = shared.state.lock().next_group();
        let mut has_timer = false;
        poll_fn(move |cx| {
            let mut state = shared.state.lock();
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if over || RUNS_CALLBACKS.get() || state.has_run(group) {
                return Poll::Ready(());
            }
            state.register(cx);
            drop(state);
            if let Some(deadline) = deadline
                && !has_timer
            {
                // The producer's own timers may be gone by now. Without a thread this ends with the callbacks.
                let shared = Arc::clone(&shared);
                let timer = thread::Builder::new().name("ottla-close".to_owned());
                has_timer = timer.spawn(move || shared.end_waits(group, deadline)).is_ok();
            }
            Poll::Pending
        })
    }
}

impl Shared {
    /// Sleeps until all groups before this one have run, or the deadline; then wakes whoever waits *by then*. The waker
    /// of the poll that started this may be somebody else's, or nobody's: a future moves between tasks, and `wait`
    /// tries first without a waker.
    fn end_waits(&self, group: u64, deadline: Instant) {
        let mut state = self.state.lock();
        while !state.has_run(group) && !self.settled.wait_until(&mut state, deadline).timed_out() {}
        let woken = std::mem::take(&mut state.waiting);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        self.shared.wakes.due.lock().closed = true;
        self.shared.wakes.changed.notify_all();
    }
}

impl Noting<'_> {
    /// Notes what to call with the outcome of `delivery`, which was appended since this was made.
    pub(crate) fn push(mut self, delivery: Delivery, callback: Callback) {
        let wakes = &self.shared.wakes;
        let lane = self.state.lane(&delivery, wakes);
        let group = self.state.join_group();
        let weight = callback.weight();
        self.state.outstanding += weight;
        let entries = &mut self.state.lanes[lane].entries;
        let was_empty = entries.is_empty();
        entries.push_back(Entry {
            delivery,
            callback,
            weight,
            group,
        });
        if was_empty && self.state.lanes[lane].poll_first().is_ready() {
            drop(self.state);
            wakes.push(lane);
        }
    }
}

impl State {
    fn lane(&mut self, delivery: &Delivery, wakes: &Arc<Wakes>) -> usize {
        // A record that was appended stands in a partition, whose number is not below 0.
        let number = usize::try_from(delivery.partition()).unwrap_or(0);
        let known = self.by_topic.get(delivery.topic());
        if let Some(lane) = known.and_then(|partitions| *partitions.get(number)?) {
            return lane;
        }
        let lane = self.lanes.len();
        let wakes = Arc::clone(wakes);
        self.lanes.push(Lane {
            entries: VecDeque::new(),
            waker: Waker::from(Arc::new(LaneWaker { wakes, lane })),
        });
        let partitions = self.by_topic.entry(delivery.topic().into()).or_default();
        if partitions.len() <= number {
            partitions.resize(number + 1, None);
        }
        partitions[number] = Some(lane);
        lane
    }

    /// Counts one more in the group that is open, and tells its number.
    fn join_group(&mut self) -> u64 {
        if self.groups.is_empty() {
            self.groups.push_back(0);
        }
        let last = self.groups.len() - 1;
        self.groups[last] += 1;
        self.first_group + last as u64
    }

    /// Closes the group that is open, and tells the first number that comes after it.
    fn next_group(&mut self) -> u64 {
        if self.groups.back().is_some_and(|count| *count > 0) {
            self.groups.push_back(0);
        }
        self.first_group + self.groups.len().saturating_sub(1) as u64
    }

    /// Whether all groups before this one have run.
    fn has_run(&self, group: u64) -> bool {
        self.first_group >= group
    }

    /// Takes note that these have run; returns who is to be woken.
    fn settle(&mut self, groups: impl Iterator<Item = (u64, usize)>) -> Vec<Waker> {
        for (group, weight) in groups {
            self.outstanding -= weight;
            // A group goes when it is empty, so one that an entry is in is here.
            self.groups[(group - self.first_group) as usize] -= 1;
        }
        // The last one stays open.
        while self.groups.len() > 1 && self.groups[0] == 0 {
            self.groups.pop_front();
            self.first_group += 1;
        }
        std::mem::take(&mut self.waiting)
    }

    fn register(&mut self, cx: &mut Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }
}

impl Lane {
    /// The outcome of the first delivery; if it is not there, the lane is woken when it is.
    fn poll_first(&mut self) -> Poll<Outcome> {
        let Some(first) = self.entries.front_mut() else {
            return Poll::Pending;
        };
        let mut cx = Context::from_waker(&self.waker);
        Pin::new(&mut first.delivery).poll(&mut cx).map_err(Error::from)
    }
}

/// The thread: runs what is due, until the producer is gone and nothing is outstanding.
fn run(shared: &Shared) {
    RUNS_CALLBACKS.set(true);
    while let Some(lane) = next_due(shared) {
        let (due, more) = take_due(shared, lane);
        let mut groups = Vec::with_capacity(due.len());
        for (entry, outcome) in due {
            groups.push((entry.group, entry.weight));
            entry.callback.run(outcome);
        }
        let woken = shared.state.lock().settle(groups.into_iter());
        shared.settled.notify_all();
        woken.into_iter().for_each(Waker::wake);
        if more {
            shared.wakes.push(lane);
        }
    }
}

fn next_due(shared: &Shared) -> Option<usize> {
    let mut due = shared.wakes.due.lock();
    loop {
        if let Some(lane) = due.lanes.pop_front() {
            return Some(lane);
        }
        // Every delivery has its outcome in the end, so what is outstanding comes by here.
        if due.closed && MutexGuard::unlocked(&mut due, || shared.state.lock().outstanding == 0) {
            return None;
        }
        if due.lanes.is_empty() {
            shared.wakes.changed.wait(&mut due);
        }
    }
}

/// The first entries of a lane that have their outcome, and whether there may be more.
fn take_due(shared: &Shared, lane: usize) -> (Vec<(Entry, Outcome)>, bool) {
    let mut due = Vec::new();
    let mut state = shared.state.lock();
    let lane = &mut state.lanes[lane];
    while due.len() < TURN_MAX {
        let Poll::Ready(outcome) = lane.poll_first() else {
            return (due, false);
        };
        if let Some(entry) = lane.entries.pop_front() {
            due.push((entry, outcome));
        }
    }
    (due, true)
}
