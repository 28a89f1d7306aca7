//! The state machine of one group's membership.

use super::offsets::Offsets;
use super::{Answer, JoinRequest, Member, Ticket};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Where a group stands.
///
/// ```text
///           a member joins                 all joined, or time is over
///  Empty ──────────────────► Preparing ───────────────────────────────► Completing
///    ▲                        │  ▲  ▲                                     │     │
///    └── nobody joined again ─┘  │  └──── a member comes or goes ─────────┘     │ the leader's
///                                └─────── a member comes or goes ── Stable ◄────┘ assignment
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GroupState {
    /// No members; there may be offsets.
    #[default]
    Empty,
    /// Members are to join (again).
    PreparingRebalance,
    /// The generation stands; the leader's assignment is missing.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl GroupState {
    /// The name that DescribeGroups and ListGroups tell.
    pub(crate) fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

/// What JoinGroup is answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct JoinAnswer {
    pub(crate) error: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    /// For the leader: (member, instance, metadata) of every member.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

impl JoinAnswer {
    fn error(error: ErrorCode, member_id: &str) -> JoinAnswer {
        JoinAnswer {
            error,
            generation: -1,
            member_id: member_id.to_owned(),
            ..JoinAnswer::default()
        }
    }
}

/// What SyncGroup is answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SyncAnswer {
    pub(crate) error: ErrorCode,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl SyncAnswer {
    fn error(error: ErrorCode) -> SyncAnswer {
        SyncAnswer {
            error,
            ..SyncAnswer::default()
        }
    }
}

/// Who a request says it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) generation: i32,
}

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    state: GroupState,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Ids that were handed out and not yet used, and when they are forgotten.
    pending: BTreeMap<String, Time>,
    /// When a rebalance does not wait any longer.
    rebalance_deadline: Option<Time>,
    pub(crate) offsets: Offsets,
    answers: VecDeque<(Ticket, Answer)>,
}

impl Group {
    /// JoinGroup; the answer comes with the ticket, now or later.
    pub(crate) fn join(&mut self, request: &JoinRequest, ticket: Ticket, limits: JoinLimits, now: Time) {
        if let Err(error) = self.try_join(request, ticket, limits, now) {
            let member_id = if error == ErrorCode::MEMBER_ID_REQUIRED {
                &request.new_member_id
            } else {
                &request.member_id
            };
            let answer = JoinAnswer::error(error, member_id);
            self.answers.push_back((ticket, Answer::Join(answer)));
        }
    }

    fn try_join(
        &mut self,
        request: &JoinRequest,
        ticket: Ticket,
        limits: JoinLimits,
        now: Time,
    ) -> Result<(), ErrorCode> {
        self.check_protocols(request)?;
        let static_member = request
            .instance_id
            .as_deref()
            .and_then(|instance| self.member_of_instance(instance));
        let member_id = match (request.member_id.as_str(), static_member) {
            ("", Some(old_id)) => {
                self.replace_static(&old_id, &request.new_member_id);
                request.new_member_id.clone()
            }
            ("", None) => {
                if self.members.len() + self.pending.len() >= limits.members_max {
                    return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
                }
                if request.id_required && request.instance_id.is_none() {
                    self.pending
                        .insert(request.new_member_id.clone(), now + request.session_timeout);
                    return Err(ErrorCode::MEMBER_ID_REQUIRED);
                }
                request.new_member_id.clone()
            }
            (member_id, Some(known)) if known != member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
            (member_id, _)
                if self.members.contains_key(member_id) || self.pending.contains_key(member_id) =>
            {
                member_id.to_owned()
            }
            _ => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
        };
        self.pending.remove(&member_id);
        self.admit(member_id, request, ticket, limits, now);
        Ok(())
    }

    /// Takes up a member that may join, and begins a rebalance where its coming needs one.
    fn admit(
        &mut self,
        member_id: String,
        request: &JoinRequest,
        ticket: Ticket,
        limits: JoinLimits,
        now: Time,
    ) {
        let is_leader = self.leader.as_deref() == Some(member_id.as_str());
        let is_new = !self.members.contains_key(&member_id);
        let member = self
            .members
            .entry(member_id.clone())
            .or_insert_with(|| Member::new(request, now));
        let changed = member.update(request, now) || is_new;
        if let Some(earlier) = member.joining.take() {
            let answer = JoinAnswer::error(ErrorCode::REBALANCE_IN_PROGRESS, &member_id);
            self.answers.push_back((earlier, Answer::Join(answer)));
        }
        let settled = match self.state {
            GroupState::Stable => !changed && !is_leader,
            GroupState::CompletingRebalance => !changed,
            GroupState::Empty | GroupState::PreparingRebalance => false,
        };
        if settled {
            let answer = self.join_answer(&member_id);
            self.answers.push_back((ticket, Answer::Join(answer)));
            return;
        }
        if let Some(member) = self.members.get_mut(&member_id) {
            member.joining = Some(ticket);
        }
        // A group keeps its type when its last member leaves, until somebody of another type comes.
        if self.state == GroupState::Empty {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        let initial_delay = (self.state == GroupState::Empty).then_some(limits.initial_delay);
        self.prepare(initial_delay, now);
        self.complete_join_if_ready(now);
    }

    fn check_protocols(&self, request: &JoinRequest) -> Result<(), ErrorCode> {
        if request.protocols.is_empty() || request.protocol_type.is_empty() {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if self.members.is_empty() {
            return Ok(());
        }
        // What the member itself said before counts, too, as with Kafka.
        let same_type = self.protocol_type.as_deref() == Some(request.protocol_type.as_str());
        let knows = |member: &Member, name: &String| member.protocols.iter().any(|(other, _)| other == name);
        let common = |name: &String| self.members.values().all(|member| knows(member, name));
        if same_type && request.protocols.iter().any(|(name, _)| common(name)) {
            Ok(())
        } else {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        }
    }

    fn member_of_instance(&self, instance_id: &str) -> Option<String> {
        let same = |(_, member): &(&String, &Member)| member.instance_id.as_deref() == Some(instance_id);
        self.members.iter().find(same).map(|(id, _)| id.clone())
    }

    /// A static member came back without its id: the new id takes the old one's place, and the old one is fenced.
    fn replace_static(&mut self, old_id: &str, new_id: &str) {
        let Some(mut member) = self.members.remove(old_id) else {
            return;
        };
        if let Some(ticket) = member.joining.take() {
            let answer = JoinAnswer::error(ErrorCode::FENCED_INSTANCE_ID, old_id);
            self.answers.push_back((ticket, Answer::Join(answer)));
        }
        if let Some(ticket) = member.syncing.take() {
            let answer = SyncAnswer::error(ErrorCode::FENCED_INSTANCE_ID);
            self.answers.push_back((ticket, Answer::Sync(answer)));
        }
        if self.leader.as_deref() == Some(old_id) {
            self.leader = Some(new_id.to_owned());
        }
        self.members.insert(new_id.to_owned(), member);
    }

    /// Begins a rebalance, unless one is under way.
    fn prepare(&mut self, initial_delay: Option<Duration>, now: Time) {
        if self.state == GroupState::PreparingRebalance {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(ticket) = member.syncing.take() {
                let answer = SyncAnswer::error(ErrorCode::REBALANCE_IN_PROGRESS);
                self.answers.push_back((ticket, Answer::Sync(answer)));
            }
        }
        self.state = GroupState::PreparingRebalance;
        let longest = self.members.values().map(|member| member.rebalance_timeout).max();
        self.rebalance_deadline = Some(now + initial_delay.unwrap_or(longest.unwrap_or_default()));
    }

    fn complete_join_if_ready(&mut self, now: Time) {
        let all_joined =
            self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        // A first member waits out the initial delay, so that others find the same first generation.
        let may_end = self.generation > 0 || self.rebalance_deadline.is_none_or(|deadline| deadline <= now);
        if self.state == GroupState::PreparingRebalance && all_joined && may_end {
            self.complete_join(now);
        }
    }

    /// The rebalance does not wait any longer: who has not joined is out, the others get the new generation.
    fn complete_join(&mut self, now: Time) {
        self.rebalance_deadline = None;
        self.members
            .retain(|_, member| member.joining.is_some() || member.instance_id.is_some());
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.become_empty();
            return;
        }
        self.protocol = self.choose_protocol();
        let leader_stays = self
            .leader
            .as_ref()
            .is_some_and(|leader| self.members.contains_key(leader));
        if !leader_stays {
            let joined = self.members.iter().find(|(_, member)| member.joining.is_some());
            self.leader = joined
                .or_else(|| self.members.iter().next())
                .map(|(id, _)| id.clone());
        }
        self.state = GroupState::CompletingRebalance;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.join_answer(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.expires = now + member.session_timeout;
                if let Some(ticket) = member.joining.take() {
                    self.answers.push_back((ticket, Answer::Join(answer)));
                }
            }
        }
    }

    /// The protocol that all members know and most prefer.
    fn choose_protocol(&self) -> Option<String> {
        let known_by_all = |name: &str| {
            self.members
                .values()
                .all(|member| member.protocols.iter().any(|(n, _)| n == name))
        };
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_by_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|&(_, count)| count)
            .map(|(name, _)| name.to_owned())
    }

    fn join_answer(&self, member_id: &str) -> JoinAnswer {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = if leader == member_id {
            let describe = |(id, member): (&String, &Member)| {
                (id.clone(), member.instance_id.clone(), member.metadata(&protocol))
            };
            self.members.iter().map(describe).collect()
        } else {
            Vec::new()
        };
        JoinAnswer {
            error: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: Some(protocol),
            leader,
            member_id: member_id.to_owned(),
            members,
        }
    }

    fn become_empty(&mut self) {
        self.state = GroupState::Empty;
        self.leader = None;
        self.protocol = None;
        self.rebalance_deadline = None;
    }

    /// SyncGroup; the answer comes with the ticket, now or later.
    pub(crate) fn sync(
        &mut self,
        caller: Caller<'_>,
        assignments: Vec<(String, Bytes)>,
        ticket: Ticket,
        now: Time,
    ) {
        let error = match self.check_member(caller) {
            Err(error) => Some(error),
            Ok(()) if self.state == GroupState::PreparingRebalance => Some(ErrorCode::REBALANCE_IN_PROGRESS),
            Ok(()) => None,
        };
        if let Some(error) = error {
            self.answers
                .push_back((ticket, Answer::Sync(SyncAnswer::error(error))));
            return;
        }
        if let Some(member) = self.members.get_mut(caller.member_id) {
            member.expires = now + member.session_timeout;
            if let Some(earlier) = member.syncing.replace(ticket) {
                let answer = SyncAnswer::error(ErrorCode::REBALANCE_IN_PROGRESS);
                self.answers.push_back((earlier, Answer::Sync(answer)));
            }
        }
        if self.state == GroupState::CompletingRebalance && self.leader.as_deref() == Some(caller.member_id) {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
            }
            for (member_id, assignment) in assignments {
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.assignment = assignment;
                }
            }
            self.state = GroupState::Stable;
        }
        if self.state == GroupState::Stable {
            self.answer_syncs(now);
        }
    }

    fn answer_syncs(&mut self, now: Time) {
        for member in self.members.values_mut() {
            if let Some(ticket) = member.syncing.take() {
                member.expires = now + member.session_timeout;
                let answer = SyncAnswer {
                    error: ErrorCode::NONE,
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                };
                self.answers.push_back((ticket, Answer::Sync(answer)));
            }
        }
    }

    /// Heartbeat.
    pub(crate) fn heartbeat(&mut self, caller: Caller<'_>, now: Time) -> ErrorCode {
        if let Err(error) = self.check_member(caller) {
            return error;
        }
        if let Some(member) = self.members.get_mut(caller.member_id) {
            member.expires = now + member.session_timeout;
        }
        if self.state == GroupState::PreparingRebalance {
            ErrorCode::REBALANCE_IN_PROGRESS
        } else {
            ErrorCode::NONE
        }
    }

    /// LeaveGroup of one member, by its id or its instance.
    pub(crate) fn leave(&mut self, member_id: &str, instance_id: Option<&str>, now: Time) -> ErrorCode {
        let known = instance_id.and_then(|instance| self.member_of_instance(instance));
        let id = match (instance_id, known) {
            (Some(_), None) => return ErrorCode::UNKNOWN_MEMBER_ID,
            (Some(_), Some(known)) if !member_id.is_empty() && known != member_id => {
                return ErrorCode::FENCED_INSTANCE_ID;
            }
            (Some(_), Some(known)) => known,
            (None, _) => member_id.to_owned(),
        };
        if self.pending.remove(&id).is_some() {
            self.complete_join_if_ready(now);
            return ErrorCode::NONE;
        }
        if self.remove_member(&id, now) {
            ErrorCode::NONE
        } else {
            ErrorCode::UNKNOWN_MEMBER_ID
        }
    }

    fn remove_member(&mut self, id: &str, now: Time) -> bool {
        let Some(member) = self.members.remove(id) else {
            return false;
        };
        if let Some(ticket) = member.joining {
            let answer = JoinAnswer::error(ErrorCode::UNKNOWN_MEMBER_ID, id);
            self.answers.push_back((ticket, Answer::Join(answer)));
        }
        if let Some(ticket) = member.syncing {
            self.answers.push_back((
                ticket,
                Answer::Sync(SyncAnswer::error(ErrorCode::UNKNOWN_MEMBER_ID)),
            ));
        }
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare(None, now),
            GroupState::Empty | GroupState::PreparingRebalance => {}
        }
        self.complete_join_if_ready(now);
        true
    }

    /// Whether a caller may commit offsets; `None` for the generation-less commit of a plain client.
    pub(crate) fn check_commit(&self, caller: Caller<'_>, transactional: bool) -> Result<(), ErrorCode> {
        if caller.generation < 0 && caller.member_id.is_empty() && caller.instance_id.is_none() {
            let allowed = transactional || self.state == GroupState::Empty;
            return if allowed {
                Ok(())
            } else {
                Err(ErrorCode::UNKNOWN_MEMBER_ID)
            };
        }
        self.check_member(caller)?;
        if !transactional && self.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// A commit shows that a member is alive.
    pub(crate) fn touch(&mut self, member_id: &str, now: Time) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.expires = now + member.session_timeout;
        }
    }

    fn check_member(&self, caller: Caller<'_>) -> Result<(), ErrorCode> {
        let known = caller
            .instance_id
            .and_then(|instance| self.member_of_instance(instance));
        if known.is_some_and(|known| known != caller.member_id) {
            return Err(ErrorCode::FENCED_INSTANCE_ID);
        }
        if !self.members.contains_key(caller.member_id) {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if caller.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        Ok(())
    }

    /// Lets sessions, handed-out ids and the rebalance run out.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.pending.retain(|_, expires| *expires > now);
        let expired = |member: &Member| !member.is_waiting() && member.expires <= now;
        let dead: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| expired(member))
            .map(|(id, _)| id.clone())
            .collect();
        for id in dead {
            self.remove_member(&id, now);
        }
        if self.rebalance_deadline.is_some_and(|deadline| deadline <= now) {
            self.complete_join(now);
        } else {
            self.complete_join_if_ready(now);
        }
    }

    /// When the group next has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Time> {
        let sessions = self
            .members
            .values()
            .filter(|member| !member.is_waiting())
            .map(|member| member.expires);
        sessions
            .chain(self.pending.values().copied())
            .chain(self.rebalance_deadline)
            .min()
    }

    pub(super) fn take_answers(&mut self) -> VecDeque<(Ticket, Answer)> {
        std::mem::take(&mut self.answers)
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or("")
    }

    pub(crate) fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or("")
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members.iter()
    }
}

/// What the cluster's configuration says about joining.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinLimits {
    pub(crate) members_max: usize,
    pub(crate) initial_delay: Duration,
}
