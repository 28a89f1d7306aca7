//! Futures under the virtual clock: whatever wakes a task puts it on one list, and nothing else polls it.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Who is to be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// A task, by its place.
    Task(usize),
    /// The delivery of a record, by the record's number.
    Delivery(usize),
    /// The driver of the sender.
    Driver,
}

/// Those who were woken and not polled since.
#[derive(Clone, Debug, Default)]
pub(crate) struct WakeList(Arc<Mutex<VecDeque<Woken>>>);

struct ListWaker {
    list: WakeList,
    who: Woken,
}

impl Wake for ListWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.list.0.lock().push_back(self.who);
    }
}

impl WakeList {
    pub(crate) fn waker(&self, who: Woken) -> Waker {
        Waker::from(Arc::new(ListWaker {
            list: self.clone(),
            who,
        }))
    }

    pub(crate) fn push(&self, who: Woken) {
        self.0.lock().push_back(who);
    }

    pub(crate) fn pop(&self) -> Option<Woken> {
        self.0.lock().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// The tasks of a seed: the users of the producer.
pub(crate) struct Tasks {
    list: WakeList,
    tasks: Vec<Option<Task>>,
    left: usize,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Waker,
}

impl Tasks {
    pub(crate) fn new(list: WakeList) -> Tasks {
        Tasks {
            list,
            tasks: Vec::new(),
            left: 0,
        }
    }

    /// Adds a task, which is polled at the next opportunity.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        let who = Woken::Task(self.tasks.len());
        let waker = self.list.waker(who);
        self.tasks.push(Some(Task {
            future: Box::pin(future),
            waker,
        }));
        self.left += 1;
        self.list.push(who);
    }

    pub(crate) fn poll(&mut self, index: usize) {
        let Some(place) = self.tasks.get_mut(index) else {
            return;
        };
        let Some(task) = place else { return };
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
        if poll == Poll::Ready(()) {
            *place = None;
            self.left -= 1;
        }
    }

    /// How many have not ended.
    pub(crate) fn left(&self) -> usize {
        self.left
    }
}
