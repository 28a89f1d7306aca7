//! The transaction manager, shared by the callers and the sender.

use ottla_time::{Time, mutant, points};
use ottla_transactions::{Call, State, TransactionError, TransactionManager};
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::sync::Arc;
use std::task::{Context, Waker};

/// What callers and sender share of transactions. The manager's lock is taken before the gate's, and an append holds the
/// gate alone.
#[derive(Debug)]
pub(crate) struct Transactions {
    id: String,
    inner: Mutex<Inner>,
    /// The number of the transaction that takes records. Held while a record is appended: once it is closed, no record
    /// comes in behind the back of a commit.
    gate: RwLock<Option<u64>>,
}

#[derive(Debug)]
struct Inner {
    manager: TransactionManager,
    /// Those who wait for an outcome. Emptied at each news; who still waits registers again.
    waiting: Vec<Waker>,
    /// Why the last connection ended, for the error of a call that takes too long.
    cause: Option<Arc<str>>,
}

/// The manager, locked. When it is released, the gate says what the manager says, and those who wait for news are awake.
pub(crate) struct Locked<'a> {
    transactions: &'a Transactions,
    inner: Option<MutexGuard<'a, Inner>>,
}

/// While this is held, the transaction stays open.
pub(crate) type Entered<'a> = RwLockReadGuard<'a, Option<u64>>;

impl Transactions {
    pub(crate) fn new(manager: TransactionManager) -> Transactions {
        Transactions {
            id: manager.config().transactional_id.clone(),
            inner: Mutex::new(Inner {
                manager,
                waiting: Vec::new(),
                cause: None,
            }),
            gate: RwLock::new(None),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        points::reach("the transaction is looked at");
        let inner = self.inner.lock();
        points::hold();
        Locked {
            transactions: self,
            inner: Some(inner),
        }
    }

    /// The number of the transaction that takes records.
    pub(crate) fn open_number(&self) -> Result<u64, TransactionError> {
        let open = *self.gate.read();
        open.ok_or_else(|| self.why_closed())
    }

    /// Keeps the transaction open while a record is appended to it.
    pub(crate) fn enter(&self, number: u64) -> Result<Entered<'_>, TransactionError> {
        let gate = self.gate.read();
        if *gate == Some(number) {
            return Ok(gate);
        }
        drop(gate);
        Err(self.why_closed())
    }

    fn why_closed(&self) -> TransactionError {
        let inner = self.inner.lock();
        let illegal = || {
            let state = inner.manager.state();
            let kind = ottla_transactions::TransactionErrorKind::Illegal {
                call: Call::Send,
                state,
            };
            TransactionError::new(kind).with_detail("the transaction that it was sent in has ended")
        };
        inner.manager.check_open(Call::Send).err().unwrap_or_else(illegal)
    }
}

impl Locked<'_> {
    /// Has the task woken at the next news.
    pub(crate) fn register(&mut self, cx: &Context<'_>) {
        let waiting = &mut self.inner_mut().waiting;
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }

    /// A connection ended for this reason.
    pub(crate) fn note_cause(&mut self, cause: &Arc<str>) {
        self.inner_mut().cause = Some(Arc::clone(cause));
    }

    pub(crate) fn cause(&self) -> Option<Arc<str>> {
        self.inner.as_ref()?.cause.clone()
    }

    /// When a request is due, if that is a question of time.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.manager().poll_timeout()
    }

    fn inner_mut(&mut self) -> &mut Inner {
        match &mut self.inner {
            Some(inner) => inner,
            None => unreachable!("it is taken in drop only"),
        }
    }

    fn manager(&self) -> &TransactionManager {
        match &self.inner {
            Some(inner) => &inner.manager,
            None => unreachable!("it is taken in drop only"),
        }
    }
}

impl std::ops::Deref for Locked<'_> {
    type Target = TransactionManager;

    fn deref(&self) -> &TransactionManager {
        self.manager()
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut TransactionManager {
        &mut self.inner_mut().manager
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        let open = (inner.manager.state() == State::Open).then(|| inner.manager.number());
        let open = match inner.manager.state() {
            State::Committing if mutant!("records go in behind a commit") => Some(inner.manager.number()),
            _ => open,
        };
        let gate = *self.transactions.gate.read();
        if gate != open {
            *self.transactions.gate.write() = open;
        }
        let waiting = if inner.manager.take_news() {
            std::mem::take(&mut inner.waiting)
        } else {
            Vec::new()
        };
        drop(inner);
        points::release();
        waiting.into_iter().for_each(Waker::wake);
    }
}
