//! The group coordinator: enough of the classic protocol for a plain consumer, and committed offsets.
//!
//! JoinGroup and SyncGroup wait for others; a waiting request is known here by a ticket, and answers come out of
//! [`Groups::poll_answer`] with it.

mod member;
mod membership;
mod offsets;

pub(crate) use member::{JoinRequest, Member};
pub(crate) use membership::{Caller, Group, GroupState, JoinAnswer, JoinLimits, SyncAnswer};
pub(crate) use offsets::{CommittedOffset, OffsetKey};

use ottla_protocol::ErrorCode;
use ottla_time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The number of a request that waits.
pub(crate) type Ticket = u64;

/// The end of a wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Join(JoinAnswer),
    Sync(SyncAnswer),
}

/// All consumer groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<Arc<str>, Group>,
    /// When each group next has something to do by itself.
    deadlines: BTreeSet<(Time, Arc<str>)>,
    answers: VecDeque<(Ticket, Answer)>,
    groups_max: usize,
}

impl Groups {
    pub(crate) fn new(groups_max: usize) -> Groups {
        Groups {
            groups_max,
            ..Groups::default()
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    /// Every group, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.groups.iter()
    }

    /// Changes a group; its waits and deadlines are seen to afterwards. `None` if it does not exist.
    pub(crate) fn with<T>(&mut self, id: &str, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let (key, _) = self.groups.get_key_value(id)?;
        let key = Arc::clone(key);
        let group = self.groups.get_mut(id)?;
        if let Some(deadline) = group.deadline() {
            self.deadlines.remove(&(deadline, Arc::clone(&key)));
        }
        let result = change(group);
        self.answers.extend(group.take_answers());
        if let Some(deadline) = group.deadline() {
            self.deadlines.insert((deadline, key));
        }
        Some(result)
    }

    /// The same, and the group is created if it does not exist.
    pub(crate) fn with_new<T>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Group) -> T,
    ) -> Result<T, ErrorCode> {
        if !self.groups.contains_key(id) {
            if self.groups.len() >= self.groups_max {
                return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
            }
            self.groups.insert(Arc::from(id), Group::default());
        }
        self.with(id, change).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)
    }

    /// Deletes a group without members.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ErrorCode> {
        match self.groups.get(id) {
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(group) if group.state() != GroupState::Empty => Err(ErrorCode::NON_EMPTY_GROUP),
            Some(_) => {
                self.groups.remove(id);
                Ok(())
            }
        }
    }

    /// Forgets the offsets of a topic that was deleted.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        for group in self.groups.values_mut() {
            group.offsets.forget_topic(topic);
        }
    }

    /// Lets sessions and rebalances run out.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some((deadline, id)) = self.deadlines.first().cloned() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(group) = self.groups.get_mut(&id) {
                group.handle_timeout(now);
                self.answers.extend(group.take_answers());
                if let Some(next) = group.deadline() {
                    self.deadlines.insert((next, id));
                }
            }
        }
    }

    /// The first moment at which a group has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// The next request that does not wait any longer.
    pub(crate) fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        self.answers.pop_front()
    }
}
