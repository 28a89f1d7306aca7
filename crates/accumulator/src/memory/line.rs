//! Who waits for memory, and who holds it.

use super::SHARE_OF_FREE;
use ottla_time::mutant;
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};

/// The accounts of a pool, the common line, and a line of its own for each account that holds its share.
///
/// A wait stands in one line at a time. It begins in the account's own line, even if it leaves it at once, so that those
/// of one partition keep their order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    accounts: Vec<AccountState>,
    /// Places in `accounts` of those that were closed.
    vacant: Vec<u32>,
    /// All waits, by id.
    waits: BTreeMap<u64, Wait>,
    next_id: u64,
    /// The common line: ids of waits, by their place.
    common: BTreeMap<u64, u64>,
    next_place: u64,
    /// Bytes that the common line has yet to collect.
    outstanding: usize,
    /// Accounts whose own line is not empty, by the free bytes at which its head may go on.
    blocked: BTreeSet<(usize, u32)>,
}

#[derive(Debug, Default)]
struct AccountState {
    /// Bytes that are charged, those included that the common line is to collect.
    held: usize,
    /// Waits that hold no place in the common line yet. Ids ascend, so they are places too.
    own: BTreeSet<u64>,
    /// Where the account stands in [`Lines::blocked`].
    blocked_until_free: Option<usize>,
    /// Whether the partition is gone; the account follows when it holds nothing any more.
    closed: bool,
}

#[derive(Debug)]
struct Wait {
    account: u32,
    needed: usize,
    /// What the common line has collected for it so far; counted as used.
    granted: usize,
    /// Its place in the common line; `None` while it stands in its account's own line.
    place: Option<u64>,
    waker: Option<Waker>,
}

impl Lines {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    pub(super) fn is_common_line_busy(&self) -> bool {
        !self.common.is_empty()
    }

    pub(super) fn is_own_line_busy(&self, account: u32) -> bool {
        !self.accounts[account as usize].own.is_empty()
    }

    pub(super) fn open_account(&mut self) -> u32 {
        if let Some(vacant) = self.vacant.pop() {
            self.accounts[vacant as usize] = AccountState::default();
            return vacant;
        }
        self.accounts.push(AccountState::default());
        // There is one for each partition of a topic, and their numbers are int32.
        (self.accounts.len() - 1) as u32
    }

    pub(super) fn close_account(&mut self, account: u32) {
        self.accounts[account as usize].closed = true;
        self.vacate_if_done(account);
    }

    fn vacate_if_done(&mut self, account: u32) {
        let state = &self.accounts[account as usize];
        if state.closed && state.held == 0 && state.own.is_empty() {
            self.vacant.push(account);
        }
    }

    pub(super) fn held(&self, account: u32) -> usize {
        self.accounts[account as usize].held
    }

    pub(super) fn charge(&mut self, account: u32, bytes: usize) {
        self.accounts[account as usize].held += bytes;
        self.index(account);
    }

    pub(super) fn discharge(&mut self, account: u32, bytes: usize) {
        let state = &mut self.accounts[account as usize];
        debug_assert!(state.held >= bytes, "released {bytes} of {} held", state.held);
        state.held -= bytes;
        self.index(account);
        if bytes > 0 {
            self.vacate_if_done(account);
        }
    }

    /// Puts the account where it belongs in `blocked`, after its line or what it holds has changed.
    fn index(&mut self, account: u32) {
        let state = &mut self.accounts[account as usize];
        if state.own.is_empty() && state.blocked_until_free.is_none() {
            return;
        }
        let head = state.own.first().and_then(|id| self.waits.get(id));
        let until = head.map(|wait| free_for_share(state.held, wait.needed));
        if until == state.blocked_until_free {
            return;
        }
        if let Some(before) = std::mem::replace(&mut state.blocked_until_free, until) {
            self.blocked.remove(&(before, account));
        }
        self.blocked.extend(until.map(|until| (until, account)));
    }

    /// A new wait, at the end of the account's own line.
    pub(super) fn join(&mut self, account: u32, needed: usize) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let wait = Wait {
            account,
            needed,
            granted: 0,
            place: None,
            waker: None,
        };
        self.waits.insert(id, wait);
        self.accounts[account as usize].own.insert(id);
        self.index(account);
        id
    }

    /// Bytes that nobody is to get before, when `free` are free.
    pub(super) fn unclaimed(&self, free: usize) -> usize {
        free.saturating_sub(self.outstanding)
    }

    /// Moves those on into the common line who are within their account's share while this much is free.
    pub(super) fn admit(&mut self, free: usize) {
        while let Some(&(until, account)) = self.blocked.first()
            && until <= self.unclaimed(free)
        {
            let state = &mut self.accounts[account as usize];
            let Some(id) = state.own.pop_first() else {
                unreachable!("an account without a line is not blocked")
            };
            let Some(wait) = self.waits.get_mut(&id) else {
                unreachable!("a wait leaves its line when it ends")
            };
            wait.place = Some(self.next_place);
            self.common.insert(self.next_place, id);
            self.next_place += 1;
            // From now on it counts, so that a line of many cannot pass at once.
            let needed = wait.needed;
            self.outstanding += needed;
            self.charge(account, needed);
        }
    }

    /// Gives what is free to the head of the common line, and on, until nothing is left. Returns whom to wake.
    pub(super) fn grant(&mut self, used: &mut usize, limit: usize) -> Vec<Waker> {
        let mut woken = Vec::new();
        // Those who have theirs and were not polled since stand at the front; they are few.
        for id in self.common.values() {
            let Some(wait) = self.waits.get_mut(id) else {
                unreachable!("a wait leaves its line when it ends")
            };
            let now = limit.saturating_sub(*used).min(wait.needed - wait.granted);
            wait.granted += now;
            *used += now;
            self.outstanding -= now;
            if wait.granted < wait.needed {
                break;
            }
            woken.extend(
                wait.waker
                    .take()
                    .filter(|_| !mutant!("lost wake-up of who waits for memory")),
            );
        }
        woken
    }

    /// Ready with the bytes if the wait has them all, which ends it; otherwise the waker is called when it has. Also
    /// returns a waker to drop outside the lock: it may be the last holder of a task that waits here too.
    pub(super) fn poll(&mut self, id: u64, waker: &Waker) -> (Poll<usize>, Option<Waker>) {
        let Some(wait) = self.waits.get_mut(&id) else {
            return (Poll::Pending, None);
        };
        if wait.place.is_some() && wait.granted == wait.needed {
            let bytes = wait.granted;
            return (Poll::Ready(bytes), self.end(id).and_then(|wait| wait.waker));
        }
        (Poll::Pending, wait.waker.replace(waker.clone()))
    }

    /// Ends a wait that is given up. Returns the bytes that were collected for it, which are free again, and a waker to
    /// drop outside the lock.
    pub(super) fn leave(&mut self, id: u64) -> (usize, Option<Waker>) {
        let Some(wait) = self.end(id) else {
            return (0, None);
        };
        if wait.place.is_some() {
            self.outstanding -= wait.needed - wait.granted;
            self.discharge(wait.account, wait.needed);
        } else {
            self.vacate_if_done(wait.account);
        }
        (wait.granted, wait.waker)
    }

    fn end(&mut self, id: u64) -> Option<Wait> {
        let wait = self.waits.remove(&id)?;
        match wait.place {
            Some(place) => drop(self.common.remove(&place)),
            None => {
                self.accounts[wait.account as usize].own.remove(&id);
                self.index(wait.account);
            }
        }
        Some(wait)
    }
}

/// The free bytes at which a partition that holds `held` may have `needed` more.
pub(super) fn free_for_share(held: usize, needed: usize) -> usize {
    if held == 0 {
        return 0;
    }
    held.saturating_add(needed).div_ceil(SHARE_OF_FREE)
}
