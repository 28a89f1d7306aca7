//! What the sending threads and the sender share.

use crate::telemetry::Instance;
use crate::transactions::Transactions;
use crate::waits::Waits;
use crate::{SenderConfig, Topic, Wakeup};
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use ottla_accumulator::Accumulator;
use ottla_partitioning::Partitioner;
use ottla_time::{Clock, Time, points};
use ottla_transactions::{TransactionConfig, TransactionManager};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};

type TopicMap = HashMap<Arc<str>, Arc<Topic>, foldhash::fast::FixedState>;

/// What a sending thread wants of the sender.
pub(crate) enum Command {
    /// Somebody needs metadata of the topic.
    Want(Arc<Topic>),
    /// A flush has begun.
    Flush,
    /// Send what there is until the deadline, then fail the rest, then finish.
    Close(Time),
}

pub(crate) struct Shared {
    /// Tells this producer from all others of the process.
    pub(crate) id: u64,
    pub(crate) config: SenderConfig,
    pub(crate) accumulator: Accumulator,
    /// The least of all limits on the size of a batch, in bytes.
    pub(crate) size_max: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) partitioner: Box<dyn Partitioner>,
    pub(crate) wakeup: Wakeup,
    pub(crate) waits: Arc<Waits>,
    /// Set if the producer is transactional.
    pub(crate) transactions: Option<Arc<Transactions>>,
    /// The name that brokers give this client.
    pub(crate) instance: Instance,
    topics: ArcSwap<TopicMap>,
    /// Held while a topic is added; seeds each topic's random choices.
    adding: Mutex<fastrand::Rng>,
    commands: Mutex<Vec<Command>>,
    finished: AtomicBool,
    closers: Mutex<Vec<Waker>>,
}

impl Shared {
    pub(crate) fn new(
        config: SenderConfig,
        accumulator: Accumulator,
        clock: Arc<dyn Clock>,
        partitioner: Box<dyn Partitioner>,
        seed: u64,
    ) -> Shared {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let manager = |config: &TransactionConfig| TransactionManager::new(config.clone(), seed);
        let transactions = config.transactions.as_ref().map(manager);
        let transactions = transactions.map(|manager| Arc::new(Transactions::new(manager)));
        Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            size_max: config.max_request_size.min(accumulator.memory().limit()),
            config,
            accumulator,
            clock,
            partitioner,
            wakeup: Wakeup::default(),
            waits: Arc::default(),
            transactions,
            instance: Instance::default(),
            topics: ArcSwap::from_pointee(TopicMap::with_hasher(foldhash::fast::FixedState::with_seed(seed))),
            adding: Mutex::new(fastrand::Rng::with_seed(seed)),
            commands: Mutex::default(),
            finished: AtomicBool::new(false),
            closers: Mutex::default(),
        }
    }

    /// The topic of that name, new or known.
    pub(crate) fn topic(&self, name: &str) -> Arc<Topic> {
        if let Some(topic) = self.topics.load().get(name) {
            return Arc::clone(topic);
        }
        let mut random = self.adding.lock();
        let known = self.topics.load();
        if let Some(topic) = known.get(name) {
            return Arc::clone(topic);
        }
        let name: Arc<str> = name.into();
        let topic = Arc::new(Topic::new(
            Arc::clone(&name),
            self.id,
            self.accumulator.batch_size(),
            random.u64(..),
        ));
        let mut topics = TopicMap::clone(&known);
        topics.insert(name, Arc::clone(&topic));
        self.topics.store(Arc::new(topics));
        topic
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.load().values().cloned().collect()
    }

    pub(crate) fn command(&self, command: Command) {
        self.commands.lock().push(command);
        self.wakeup.notify();
    }

    pub(crate) fn take_commands(&self) -> Vec<Command> {
        points::reach("the commands are taken");
        std::mem::take(&mut *self.commands.lock())
    }

    /// Whether the sender has stopped, for good.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    /// True when the sender has stopped; else the task is woken when it does.
    pub(crate) fn poll_finished(&self, cx: &mut Context<'_>) -> bool {
        let mut closers = self.closers.lock();
        if self.is_finished() {
            return true;
        }
        if !closers.iter().any(|waker| waker.will_wake(cx.waker())) {
            closers.push(cx.waker().clone());
        }
        false
    }

    /// The sender stops: everybody who waits for anything finds that out.
    pub(crate) fn finish(&self) {
        self.accumulator.close();
        points::reach("the sender is about to stop");
        self.finished.store(true, Ordering::SeqCst);
        points::reach("the sender has stopped");
        if let Some(transactions) = &self.transactions {
            transactions.lock().close();
        }
        points::reach("those who close are told");
        let closers = std::mem::take(&mut *self.closers.lock());
        closers.into_iter().for_each(Waker::wake);
        self.wake_everybody();
    }

    /// Wakes the sends that wait for metadata or memory, so that they see a close.
    pub(crate) fn wake_everybody(&self) {
        self.waits.wake_all();
        self.topics().iter().for_each(|topic| topic.wake());
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("accumulator", &self.accumulator)
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
