//! Fairness and shares by example, and all of it against a naive model.

use super::*;
use proptest::prelude::*;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(wait: Pin<&mut MemoryWait>) -> Option<Reservation> {
    match wait.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(reservation) => Some(reservation),
        Poll::Pending => None,
    }
}

/// `bytes` held by an account of its own, so that no share limits it.
fn hold(pool: &Arc<MemoryPool>, bytes: usize) -> (Account, Reservation) {
    let account = pool.account();
    let held = account.try_reserve(bytes).expect("it is free");
    (account, held)
}

#[test]
fn waiters_of_mixed_sizes_are_served_in_order() {
    let pool = MemoryPool::new(100);
    let held = hold(&pool, 60);
    let rest = hold(&pool, 40);
    let (one, other) = (pool.account(), pool.account());
    let mut large = pin!(one.wait(90));
    let mut small = pin!(other.wait(5));
    assert!(poll(large.as_mut()).is_none() && poll(small.as_mut()).is_none());

    drop(rest);
    // 40 are free, the small one would fit: but the large one stands before it.
    assert!(poll(small.as_mut()).is_none());
    assert_eq!(
        pool.account()
            .try_reserve(1)
            .expect_err("a newcomer does not overtake"),
        Denied::Full
    );
    drop(held);
    let large = poll(large.as_mut()).expect("100 were free");
    let small = poll(small.as_mut()).expect("10 remain");
    assert_eq!((large.bytes(), small.bytes(), pool.used()), (90, 5, 95));
    drop((large, small));
    assert_eq!((pool.used(), pool.waiting()), (0, 0));
}

#[test]
fn a_cancelled_waiter_passes_its_permits_on() {
    let pool = MemoryPool::new(100);
    let held = hold(&pool, 100);
    let (one, other) = (pool.account(), pool.account());
    let mut first = Box::pin(one.wait(80));
    let mut second = pin!(other.wait(30));
    assert!(poll(first.as_mut()).is_none());
    let wakes = Arc::new(CountWakes::default());
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&wakes.clone().into()))
            .is_pending()
    );

    drop(held);
    // The first has 80 and the second 20 of its 30.
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    drop(first);
    let woken = wakes.0.load(Ordering::Relaxed);
    assert_eq!(woken, 1, "the second is woken when the first gives up");
    assert_eq!(poll(second).expect("granted").bytes(), 30);
    assert_eq!(pool.used(), 0);
}

#[test]
fn a_partition_holds_at_most_twice_what_it_leaves_free() {
    let pool = MemoryPool::new(300);
    let stuck = pool.account();
    let mut held = Vec::new();
    while let Ok(more) = stuck.try_reserve(10) {
        held.push(more);
    }
    assert_eq!(stuck.held(), 200);
    assert_eq!(stuck.try_reserve(10).expect_err("its share"), Denied::Share);

    // A second one takes two fifths of what a newcomer would have; something is always left for the others.
    let second = pool.account();
    while let Ok(more) = second.try_reserve(10) {
        held.push(more);
    }
    assert_eq!((second.held(), pool.used()), (70, 270));
    assert!(pool.account().try_reserve(30).is_ok());
}

#[test]
fn waiters_of_a_stuck_partition_stand_before_nobody_else() {
    let pool = MemoryPool::new(300);
    let (stuck, healthy) = (pool.account(), pool.account());
    let held = stuck.try_reserve(200).expect("nothing is held yet");
    let mut waiters: Vec<_> = (0..1_000).map(|_| Box::pin(stuck.wait(10))).collect();
    assert!(waiters.iter_mut().all(|wait| poll(wait.as_mut()).is_none()));
    for _ in 0..100 {
        let permits = healthy.try_reserve(60).expect("they wait in a line of their own");
        drop(permits);
    }
    assert!(waiters.iter_mut().all(|wait| poll(wait.as_mut()).is_none()));
    drop(held);
    // 200 bytes, in order: each counts at once.
    let granted: Vec<_> = waiters.iter_mut().map(|wait| poll(wait.as_mut())).collect();
    let count = granted.iter().flatten().count();
    assert!(
        granted[..count].iter().all(Option::is_some) && count == 20,
        "{count}"
    );
}

#[test]
fn a_partition_that_is_stuck_uses_what_others_give_back() {
    let pool = MemoryPool::new(300);
    let (stuck, other) = (pool.account(), pool.account());
    let first = stuck.try_reserve(10).expect("free");
    let most = other.try_reserve(290).expect("it holds nothing yet");
    let mut wait = pin!(stuck.wait(10));
    assert!(poll(wait.as_mut()).is_none());
    drop(most);
    assert_eq!(poll(wait).expect("others gave back").bytes(), 10);
    drop(first);
    assert_eq!((pool.used(), stuck.held()), (0, 0));
}

#[test]
fn permits_may_be_used_by_another_partition_than_waited_for_them() {
    let pool = MemoryPool::new(100);
    let (one, other) = (pool.account(), pool.account());
    let mut permits = one.try_reserve(40).expect("free");
    let taken = other.take_over(&mut permits, 30).expect("30 of 40");
    assert!(other.take_over(&mut permits, 30).is_none());
    assert_eq!((one.held(), other.held(), pool.used()), (10, 30, 40));
    drop((permits, taken));
    assert_eq!((one.held(), other.held(), pool.used()), (0, 0, 0));
}

#[test]
fn accounts_of_partitions_that_are_gone_are_used_again() {
    let pool = MemoryPool::new(100);
    let account = pool.account();
    let id = account.id;
    let held = account.try_reserve(10).expect("free");
    drop(account);
    assert_ne!(pool.account().id, id, "something is charged to it");
    drop(held);
    let again = [pool.account(), pool.account()];
    assert!(again.iter().any(|account| account.id == id));
    assert!(again[0].id != again[1].id && again.iter().all(|account| account.held() == 0));
}

#[test]
fn chunks_are_recycled_and_never_kept_beyond_the_limit() {
    let pool = MemoryPool::new(300 << 10);
    let account = pool.account();
    let mut permits = account.try_reserve(256 << 10).expect("free");
    let chunk = permits.chunk(4).expect("permits for 256 KiB");
    let address = chunk.buffer.as_ptr();
    drop(chunk);
    assert_eq!(pool.inner.lock().kept_bytes, 256 << 10);

    let mut permits = account.try_reserve(256 << 10).expect("free");
    let chunk = permits.chunk(4).expect("permits for 256 KiB");
    assert_eq!(chunk.buffer.as_ptr(), address, "the touched buffer comes back");
    drop(chunk);

    let mut permits = account.try_reserve(64 << 10).expect("free");
    let _chunk = permits.chunk(3).expect("permits for 64 KiB");
    let kept = pool.inner.lock().kept_bytes;
    assert_eq!(kept, 0, "64 KiB in use and 256 KiB kept would exceed 300 KiB");
}

#[test]
fn permits_of_a_reservation_are_never_lost() {
    let pool = MemoryPool::new(64 << 10);
    let account = pool.account();
    let mut permits = account.try_reserve(20 << 10).expect("free");
    let chunk = permits.chunk(2).expect("16 of 20 KiB");
    assert!(permits.chunk(2).is_none(), "4 KiB are left");
    let state = account.take_over(&mut permits, 512).expect("4 KiB are left");
    assert_eq!(pool.used(), 20 << 10);
    drop(permits);
    assert_eq!(pool.used(), (16 << 10) + 512);
    drop((chunk, state));
    assert_eq!((pool.used(), account.held()), (0, 0));
}

/// One call of a user.
#[derive(Clone, Debug)]
enum Operation {
    TryReserve {
        account: usize,
        bytes: usize,
    },
    Wait {
        account: usize,
        bytes: usize,
    },
    /// Gives a reservation back.
    Release(usize),
    /// Gives a wait up.
    Cancel(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let (account, bytes) = (0..4_usize, 1..60_usize);
    prop_oneof![
        (account.clone(), bytes.clone())
            .prop_map(|(account, bytes)| Operation::TryReserve { account, bytes }),
        (account, bytes).prop_map(|(account, bytes)| Operation::Wait { account, bytes }),
        any::<usize>().prop_map(Operation::Release),
        any::<usize>().prop_map(Operation::Cancel),
    ]
}

/// The rules once more, without any index: every line is a list that is searched.
#[derive(Default)]
struct Model {
    used: usize,
    held: [usize; 4],
    /// Waits that are not over, in the order in which they came: id, account, bytes.
    own: Vec<(usize, usize, usize)>,
    /// The common line, with what it has collected.
    common: Vec<(usize, usize, usize, usize)>,
    granted: Vec<(usize, usize, usize)>,
}

const LIMIT: usize = 100;

impl Model {
    fn within_share(&self, account: usize, bytes: usize) -> bool {
        let outstanding: usize = self
            .common
            .iter()
            .map(|(_, _, bytes, collected)| bytes - collected)
            .sum();
        let unclaimed = (LIMIT - self.used).saturating_sub(outstanding);
        self.held[account] == 0 || self.held[account] + bytes <= 2 * unclaimed
    }

    fn try_reserve(&mut self, account: usize, bytes: usize) -> Result<(), Denied> {
        if self.own.iter().any(|wait| wait.1 == account) || !self.within_share(account, bytes) {
            return Err(Denied::Share);
        }
        if !self.common.is_empty() || LIMIT - self.used < bytes {
            return Err(Denied::Full);
        }
        self.used += bytes;
        self.held[account] += bytes;
        Ok(())
    }

    /// Lets everybody move on who can.
    fn advance(&mut self) {
        loop {
            // Of the heads of the own lines, the one that needs the least to be free goes first, as the pool does it.
            let heads = (0..4).filter_map(|account| self.own.iter().position(|wait| wait.1 == account));
            let needs = |at: usize| {
                let (_, account, bytes) = self.own[at];
                let sum = self.held[account] + bytes;
                (
                    if self.held[account] == 0 {
                        0
                    } else {
                        sum.div_ceil(2)
                    },
                    account,
                )
            };
            let first = heads.min_by_key(|&at| needs(at));
            let Some(at) = first.filter(|&at| self.within_share(self.own[at].1, self.own[at].2)) else {
                break;
            };
            let (id, account, bytes) = self.own.remove(at);
            self.held[account] += bytes;
            self.common.push((id, account, bytes, 0));
        }
        while let Some((id, account, bytes, collected)) = self.common.first_mut() {
            let now = (LIMIT - self.used).min(*bytes - *collected);
            *collected += now;
            self.used += now;
            if *collected < *bytes {
                break;
            }
            self.granted.push((*id, *account, *bytes));
            self.common.remove(0);
        }
    }

    fn cancel(&mut self, id: usize) {
        self.own.retain(|wait| wait.0 != id);
        if let Some(at) = self.common.iter().position(|wait| wait.0 == id) {
            let (_, account, bytes, collected) = self.common.remove(at);
            self.held[account] -= bytes;
            self.used -= collected;
        }
        self.advance();
    }
}

proptest! {
    /// Every answer and every grant is the model's; nothing is lost, and at the end everything is free.
    #[test]
    fn it_behaves_like_the_model(operations in proptest::collection::vec(operation(), 1..120)) {
        let pool = MemoryPool::new(LIMIT);
        let accounts: Vec<_> = (0..4).map(|_| pool.account()).collect();
        let mut model = Model::default();
        let mut reservations: Vec<(usize, Reservation)> = Vec::new();
        let mut waits: Vec<(usize, Pin<Box<MemoryWait>>)> = Vec::new();
        for (step, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::TryReserve { account, bytes } => {
                    let permits = accounts[account].try_reserve(bytes);
                    let expected = model.try_reserve(account, bytes);
                    prop_assert_eq!(permits.as_ref().map(drop).map_err(|denied| *denied), expected);
                    reservations.extend(permits.ok().map(|permits| (account, permits)));
                }
                Operation::Wait { account, bytes } => {
                    waits.push((step, Box::pin(accounts[account].wait(bytes))));
                    model.own.push((step, account, bytes));
                    model.advance();
                }
                Operation::Release(at) if !reservations.is_empty() => {
                    let (account, permits) = reservations.swap_remove(at % reservations.len());
                    model.used -= permits.bytes();
                    model.held[account] -= permits.bytes();
                    drop(permits);
                    model.advance();
                }
                Operation::Cancel(at) if !waits.is_empty() => {
                    let (id, wait) = waits.swap_remove(at % waits.len());
                    drop(wait);
                    model.cancel(id);
                }
                _ => {}
            }
            let mut pending = Vec::new();
            for (id, mut wait) in std::mem::take(&mut waits) {
                let expected = model.granted.iter().find(|granted| granted.0 == id);
                match (poll(wait.as_mut()), expected) {
                    (Some(permits), Some(&(_, account, bytes))) => {
                        prop_assert_eq!(permits.bytes(), bytes);
                        reservations.push((account, permits));
                    }
                    (None, None) => pending.push((id, wait)),
                    (permits, expected) => prop_assert!(false, "{permits:?}, expected {expected:?}"),
                }
            }
            waits = pending;
            prop_assert_eq!(pool.used(), model.used);
            prop_assert!(pool.used() <= LIMIT);
            let held: Vec<_> = accounts.iter().map(Account::held).collect();
            prop_assert_eq!(&held[..], &model.held[..]);
        }
        drop((waits, reservations));
        prop_assert_eq!((pool.used(), pool.waiting()), (0, 0));
    }
}
