//! One request for all who ask the same at once.

use super::BoxFuture;
use crate::SerializeError;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

type Outcome<V> = Result<V, SerializeError>;

/// The requests under way, by what they ask. Whoever waits drives the request; when the last one stops waiting, it ends.
pub(super) struct Flights<K, V> {
    under_way: Mutex<HashMap<K, Weak<Flight<V>>, foldhash::fast::FixedState>>,
}

/// After so many, those that have ended are forgotten.
const FORGET_AT: usize = 64;

impl<K: Hash + Eq, V: Clone> Flights<K, V> {
    pub(super) fn new() -> Flights<K, V> {
        Flights {
            under_way: Mutex::new(HashMap::default()),
        }
    }

    /// Waits for the request that asks this, or makes it.
    pub(super) fn join(&self, key: K, make: impl FnOnce() -> BoxFuture<Outcome<V>>) -> Waiting<V> {
        let mut under_way = self.under_way.lock();
        // One that has ended answers nobody who asks later: things may have changed.
        let flight = under_way
            .get(&key)
            .and_then(Weak::upgrade)
            .filter(|flight| !flight.has_ended());
        let flight = flight.unwrap_or_else(|| {
            if under_way.len() >= FORGET_AT {
                under_way.retain(|_, flight| flight.strong_count() > 0);
            }
            let flight = Arc::new(Flight {
                state: Mutex::new(State::Flying(make())),
                audience: Arc::default(),
            });
            under_way.insert(key, Arc::downgrade(&flight));
            flight
        });
        let seat = flight.audience.seat();
        Waiting {
            flight,
            seat,
            has_polled: false,
        }
    }
}

struct Flight<V> {
    state: Mutex<State<V>>,
    audience: Arc<Audience>,
}

enum State<V> {
    Flying(BoxFuture<Outcome<V>>),
    Ended(Outcome<V>),
}

impl<V> Flight<V> {
    fn has_ended(&self) -> bool {
        // Who holds the lock polls it, so it flies.
        self.state
            .try_lock()
            .is_some_and(|state| matches!(*state, State::Ended(_)))
    }
}

/// All who wait for a flight: the request wakes them all, because any of them may have to drive it on.
#[derive(Default)]
struct Audience {
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    wakers: Vec<Option<Waker>>,
    /// Left by who waits no longer: callers that only look come and go by the thousand while a request flies.
    free: Vec<usize>,
}

impl Audience {
    fn seat(&self) -> usize {
        let mut seats = self.seats.lock();
        match seats.free.pop() {
            Some(seat) => seat,
            None => {
                seats.wakers.push(None);
                seats.wakers.len() - 1
            }
        }
    }
}

impl Wake for Audience {
    fn wake(self: Arc<Self>) {
        let mut seats = self.seats.lock();
        let wakers: Vec<_> = seats.wakers.iter_mut().filter_map(Option::take).collect();
        drop(seats);
        for waker in wakers {
            waker.wake();
        }
    }
}

/// Waits for a flight.
pub(super) struct Waiting<V> {
    flight: Arc<Flight<V>>,
    seat: usize,
    has_polled: bool,
}

impl<V: Clone> Future for Waiting<V> {
    type Output = Outcome<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<V>> {
        self.has_polled = true;
        let audience = &self.flight.audience;
        // Before the poll: what wakes during it must find us.
        if let Some(seat) = audience.seats.lock().wakers.get_mut(self.seat) {
            *seat = Some(cx.waker().clone());
        }
        let mut state = self.flight.state.lock();
        let outcome = match &mut *state {
            State::Ended(outcome) => return Poll::Ready(outcome.clone()),
            State::Flying(request) => {
                let everybody = Waker::from(Arc::clone(audience));
                match request.as_mut().poll(&mut Context::from_waker(&everybody)) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(outcome) => outcome,
                }
            }
        };
        *state = State::Ended(outcome.clone());
        drop(state);
        Arc::clone(audience).wake();
        Poll::Ready(outcome)
    }
}

impl<V> Drop for Waiting<V> {
    fn drop(&mut self) {
        let mut seats = self.flight.audience.seats.lock();
        if let Some(seat) = seats.wakers.get_mut(self.seat) {
            *seat = None;
        }
        seats.free.push(self.seat);
        drop(seats);
        // If it was this one whom the request woke, somebody else has to drive it on.
        if self.has_polled {
            Arc::clone(&self.flight.audience).wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Ready when the gate is open; counts how often it was made.
    struct Gate {
        is_open: Arc<Mutex<(bool, Option<Waker>)>>,
    }

    impl Future for Gate {
        type Output = Outcome<u32>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<u32>> {
            let mut gate = self.is_open.lock();
            if gate.0 {
                return Poll::Ready(Ok(7));
            }
            gate.1 = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(waiting: &mut Waiting<u32>, woken: &Arc<Woken>) -> Poll<Outcome<u32>> {
        let waker = Waker::from(Arc::clone(woken));
        Pin::new(waiting).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn one_request_serves_all_and_survives_who_began_it() {
        let flights = Flights::new();
        let gate = Arc::new(Mutex::new((false, None::<Waker>)));
        let made = AtomicUsize::new(0);
        let join = || {
            flights.join("key", || {
                made.fetch_add(1, Ordering::Relaxed);
                Box::pin(Gate {
                    is_open: Arc::clone(&gate),
                })
            })
        };
        let (woken_1, woken_2) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let (mut first, mut second) = (join(), join());
        assert!(poll(&mut first, &woken_1).is_pending() && poll(&mut second, &woken_2).is_pending());
        drop(first);
        assert!(
            woken_2.0.load(Ordering::Relaxed) > 0,
            "somebody has to drive it on"
        );
        assert!(poll(&mut second, &woken_2).is_pending());
        let before = woken_2.0.load(Ordering::Relaxed);
        let waker = {
            let mut gate = gate.lock();
            gate.0 = true;
            gate.1.take()
        };
        waker.expect("it waits").wake();
        assert!(woken_2.0.load(Ordering::Relaxed) > before);
        assert_eq!(poll(&mut second, &woken_2), Poll::Ready(Ok(7)));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        // It has ended: who asks now asks anew.
        let mut third = join();
        assert_eq!(poll(&mut third, &woken_1), Poll::Ready(Ok(7)));
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    /// Every `try_send` joins to see whether all is known, and waits for nothing.
    #[test]
    fn who_only_looks_takes_no_room_and_wakes_nobody() {
        let flights: Flights<u8, u32> = Flights::new();
        let gate = Arc::new(Mutex::new((false, None)));
        let join = || {
            flights.join(1, || {
                Box::pin(Gate {
                    is_open: Arc::clone(&gate),
                })
            })
        };
        let woken = Arc::<Woken>::default();
        let mut waiting = join();
        assert!(poll(&mut waiting, &woken).is_pending());
        for _ in 0..1_000 {
            drop(join());
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        assert_eq!(waiting.flight.audience.seats.lock().wakers.len(), 2);
    }

    #[test]
    fn a_request_that_nobody_waits_for_ends() {
        let flights: Flights<u8, u32> = Flights::new();
        let gate = Arc::new(Mutex::new((false, None)));
        let waiting = flights.join(1, || {
            Box::pin(Gate {
                is_open: Arc::clone(&gate),
            })
        });
        assert_eq!(Arc::strong_count(&gate), 2);
        drop(waiting);
        assert_eq!(Arc::strong_count(&gate), 1);
    }
}
