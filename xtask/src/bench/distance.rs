//! How far apart the cores are: what hands data from thread to thread depends on it more than on any client, and where a
//! hypervisor decides, it changes from minute to minute.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

/// So many that two threads that begin on one core have found two.
const TRIPS: u32 = 50_000;

/// Nanoseconds that a cache line takes from one thread to another one and back.
pub(super) fn round_trip_ns() -> f64 {
    let turn = AtomicU32::new(0);
    let wait_for = |number: u32| {
        while turn.load(Ordering::Acquire) != number {
            spin_loop();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for trip in 0..TRIPS {
                wait_for(2 * trip + 1);
                turn.store(2 * trip + 2, Ordering::Release);
            }
        });
        // The other thread has begun when this one is over.
        let trip = |trip: u32| {
            turn.store(2 * trip + 1, Ordering::Release);
            wait_for(2 * trip + 2);
        };
        (0..TRIPS / 2).for_each(trip);
        let start = Instant::now();
        (TRIPS / 2..TRIPS).for_each(trip);
        start.elapsed().as_nanos() as f64 / f64::from(TRIPS / 2)
    })
}
