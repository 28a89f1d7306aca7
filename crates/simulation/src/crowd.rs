//! The users of a seed as threads of their own: they act at the marked points in the middle of the sender's work
//! (`ottla_time::points`), too, and not only between its turns.

use crate::desk::Desk;
use crate::executor::{Tasks, WakeList, Woken};
use crate::scenario::{Interruptions, chance};
use crate::trace::Trace;
use fastrand::Rng;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

/// The users.
pub(crate) struct Crowd {
    pub(crate) desk: Rc<Desk>,
    pub(crate) list: WakeList,
    pub(crate) trace: Rc<Trace>,
    tasks: RefCell<Tasks>,
    random: RefCell<Rng>,
    often: Interruptions,
    /// Users who were woken, and go on in the middle of a turn if they can.
    held: RefCell<Vec<usize>>,
    /// Whether the sender is at work.
    at_work: Cell<bool>,
    driver_woken: Cell<bool>,
}

impl Crowd {
    pub(crate) fn new(desk: Rc<Desk>, trace: Rc<Trace>, often: Interruptions, random: Rng) -> Rc<Crowd> {
        let list = desk.list.clone();
        let crowd = Rc::new(Crowd {
            desk,
            trace,
            tasks: RefCell::new(Tasks::new(list.clone())),
            list,
            random: RefCell::new(random),
            often,
            held: RefCell::default(),
            at_work: Cell::new(false),
            driver_woken: Cell::new(false),
        });
        visit(&crowd);
        crowd
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().spawn(future);
    }

    /// How many users have not ended.
    pub(crate) fn left(&self) -> usize {
        self.tasks.borrow().left()
    }

    /// A user was woken. True if he waits for the sender's next turn, to go on in the middle of it: then one has to come.
    pub(crate) fn holds(&self, task: usize) -> bool {
        let holds = self.often.waits > 0 && chance(&mut self.random.borrow_mut(), self.often.waits);
        if holds {
            self.held.borrow_mut().push(task);
        }
        holds
    }

    pub(crate) fn poll(&self, woken: Woken) {
        match woken {
            Woken::Task(index) => self.tasks.borrow_mut().poll(index),
            Woken::Delivery(number) => {
                self.desk.poll_delivery(number);
                let ledger = self.desk.ledger.borrow();
                let state = &ledger.entries[number].state;
                self.trace.note(
                    self.desk.now(),
                    "delivery",
                    [number as u64, 0],
                    format_args!("{number}: {state:?}"),
                );
            }
            Woken::Driver => self.driver_woken.set(true),
        }
    }

    /// Whether the driver was woken since the last call.
    pub(crate) fn take_driver_woken(&self) -> bool {
        self.driver_woken.take()
    }

    /// Lets the sender work: meanwhile users may act.
    pub(crate) fn while_at_work<T>(&self, work: impl FnOnce() -> T) -> T {
        self.at_work.set(true);
        let done = work();
        self.at_work.set(false);
        done
    }

    /// Those who waited for a turn, and found no place in it, go on. True if there were any.
    pub(crate) fn let_go(&self) -> bool {
        let held = self.held.take();
        let any = !held.is_empty();
        held.into_iter().for_each(|index| self.poll(Woken::Task(index)));
        any
    }

    /// The sender is at a point where others may act.
    #[cfg_attr(
        not(ottla_mutants),
        expect(dead_code, reason = "without the cfg there are no points")
    )]
    fn act(&self, point: &'static str) {
        if !self.at_work.get() || !chance(&mut self.random.borrow_mut(), self.often.acts) {
            return;
        }
        // Those who are woken meanwhile may go on at the next point.
        let woken = self.list.len();
        let held = std::mem::take(&mut *self.held.borrow_mut());
        if woken == 0 && held.is_empty() {
            return;
        }
        self.desk.counters.borrow_mut().interruptions += 1;
        self.trace.note(
            self.desk.now(),
            "meanwhile",
            [woken as u64, held.len() as u64],
            point,
        );
        self.desk.meanwhile.set(true);
        held.into_iter().for_each(|index| self.poll(Woken::Task(index)));
        for _ in 0..woken {
            if let Some(woken) = self.list.pop() {
                self.poll(woken);
            }
        }
        self.desk.meanwhile.set(false);
    }
}

/// From now on the points of this thread are the crowd's.
#[cfg(ottla_mutants)]
fn visit(crowd: &Rc<Crowd>) {
    let crowd = Rc::downgrade(crowd);
    ottla_time::points::visit(Some(Box::new(move |point| {
        if let Some(crowd) = crowd.upgrade() {
            crowd.act(point);
        }
    })));
}

#[cfg(not(ottla_mutants))]
fn visit(_crowd: &Rc<Crowd>) {}
