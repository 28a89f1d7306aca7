//! Every interleaving of two threads at the completion of a batch and at the memory: `cargo xtask loom`.

use crate::delivery::{Completion, Delivery, Outcome};
use crate::details::{Detail, Details};
use crate::memory::{MemoryPool, MemoryWait, Reservation};
use crate::partition::Record;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Counts its wake-ups. Not one of loom's atomics: it is only read when all threads have ended.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

fn acked(base_offset: i64) -> Outcome {
    Outcome::Acked {
        base_offset,
        log_append_time_ms: -1,
    }
}

fn batch() -> Arc<Completion> {
    let batch = Completion::new("t".into(), 0);
    let mut details = Details::default();
    for _ in 0..4 {
        details.push(Detail::of(&Record::default()));
    }
    batch.set_details(details);
    Arc::new(batch)
}

fn delivery(batch: &Arc<Completion>, index: u32) -> Delivery {
    Delivery::new(batch, index)
}

fn poll<F: Future + Unpin>(future: &mut F, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(wakes));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

fn offset(delivery: &Delivery) -> Option<i64> {
    delivery.outcome()?.ok()?.offset()
}

#[test]
fn who_polls_while_the_batch_completes_is_told_or_woken() {
    loom::model(|| {
        let batch = batch();
        let mut polled = delivery(&batch, 1);
        let other = Arc::clone(&batch);
        let completer = loom::thread::spawn(move || assert!(other.complete(acked(40))));
        let wakes = Arc::<Wakes>::default();
        let pending = poll(&mut polled, &wakes).is_pending();
        completer.join().expect("no panic");
        assert!(!pending || wakes.any(), "neither told nor woken");
        assert_eq!(offset(&polled), Some(41));
    });
}

#[test]
fn one_of_two_outcomes_stands() {
    loom::model(|| {
        let batch = batch();
        let looked = delivery(&batch, 0);
        let other = Arc::clone(&batch);
        let completer = loom::thread::spawn(move || other.complete(acked(1)));
        let mine = batch.complete(acked(2));
        let theirs = completer.join().expect("no panic");
        assert!(mine != theirs, "one and only one is first");
        assert_eq!(offset(&looked), Some(if mine { 2 } else { 1 }));
    });
}

#[test]
fn who_polls_while_a_batch_is_split_and_completed_in_parts_is_told_or_woken() {
    loom::model(|| {
        let batch = batch();
        let (mut front, mut rest) = (delivery(&batch, 0), delivery(&batch, 1));
        let other = Arc::clone(&batch);
        let completer = loom::thread::spawn(move || {
            assert!(other.split());
            assert!(other.complete_part(0, 1, acked(7)));
            assert!(other.complete_part(1, 1, acked(9)));
        });
        let wakes = [Arc::<Wakes>::default(), Arc::default()];
        let pending = [
            poll(&mut front, &wakes[0]).is_pending(),
            poll(&mut rest, &wakes[1]).is_pending(),
        ];
        completer.join().expect("no panic");
        for (pending, wakes) in pending.iter().zip(&wakes) {
            assert!(!pending || wakes.any(), "neither told nor woken");
        }
        assert_eq!((offset(&front), offset(&rest)), (Some(7), Some(9)));
    });
}

#[test]
fn a_delivery_that_is_dropped_while_the_batch_completes_takes_no_other_with_it() {
    loom::model(|| {
        let batch = batch();
        let (mut dropped, mut kept) = (delivery(&batch, 0), delivery(&batch, 1));
        let wakes = Arc::<Wakes>::default();
        assert!(poll(&mut dropped, &Arc::default()).is_pending());
        assert!(poll(&mut kept, &wakes).is_pending());
        let other = Arc::clone(&batch);
        let completer = loom::thread::spawn(move || assert!(other.complete(acked(0))));
        drop(dropped);
        completer.join().expect("no panic");
        assert!(wakes.any());
    });
}

/// A pool of 100 bytes, of which all are taken, and who waits for them in turn.
fn full_pool<const WAITS: usize>() -> (Arc<MemoryPool>, Reservation, [MemoryWait; WAITS]) {
    let pool = MemoryPool::new(100);
    let held = pool
        .account()
        .try_reserve(100)
        .expect("an empty account may take all");
    let waits = std::array::from_fn(|_| pool.account().wait(60));
    (pool, held, waits)
}

#[test]
fn who_waits_while_memory_comes_free_is_told_or_woken() {
    loom::model(|| {
        let (pool, held, [mut wait]) = full_pool();
        let holder = loom::thread::spawn(move || drop(held));
        let wakes = Arc::<Wakes>::default();
        let first = poll(&mut wait, &wakes);
        holder.join().expect("no panic");
        let permits = match first {
            Poll::Ready(permits) => permits,
            Poll::Pending => {
                assert!(wakes.any(), "neither told nor woken");
                match poll(&mut wait, &wakes) {
                    Poll::Ready(permits) => permits,
                    Poll::Pending => panic!("woken in vain"),
                }
            }
        };
        assert_eq!((permits.bytes(), pool.used()), (60, 60));
        drop(permits);
        assert_eq!((pool.used(), pool.waiting()), (0, 0));
    });
}

#[test]
fn who_gives_up_while_memory_comes_free_passes_it_on() {
    loom::model(|| {
        let (pool, held, [mut gives_up, mut stays]) = full_pool();
        let wakes = Arc::<Wakes>::default();
        assert!(poll(&mut gives_up, &Arc::default()).is_pending());
        assert!(poll(&mut stays, &wakes).is_pending());
        let holder = loom::thread::spawn(move || drop(held));
        drop(gives_up);
        holder.join().expect("no panic");
        assert!(wakes.any(), "the memory of who gave up is lost");
        let Poll::Ready(permits) = poll(&mut stays, &wakes) else {
            panic!("woken in vain")
        };
        drop(permits);
        assert_eq!((pool.used(), pool.waiting()), (0, 0));
    });
}

#[test]
fn two_threads_never_hold_more_than_there_is() {
    loom::model(|| {
        let pool = MemoryPool::new(100);
        let other = Arc::clone(&pool);
        let taker = loom::thread::spawn(move || other.account().try_reserve(60).ok());
        let mine = pool.account().try_reserve(60).ok();
        let theirs = taker.join().expect("no panic");
        assert!(mine.is_some() != theirs.is_some(), "exactly one has room");
        assert_eq!(pool.used(), 60);
        drop((mine, theirs));
        assert_eq!(pool.used(), 0);
    });
}
