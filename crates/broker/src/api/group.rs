//! The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and what tools ask about groups.

use super::code;
use crate::cluster::Cluster;
use crate::group::{Caller, Group, JoinAnswer, JoinLimits, JoinRequest, SyncAnswer};
use crate::request::{Outcome, RequestContext};
use crate::wait::Wait;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsResponse};
use ottla_protocol::messages::describe_groups::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use ottla_protocol::messages::heartbeat::HeartbeatResponse;
use ottla_protocol::messages::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use ottla_protocol::messages::leave_group::{LeaveGroupResponse, MemberIdentity, MemberResponse};
use ottla_protocol::messages::list_groups::{ListGroupsResponse, ListedGroup};
use ottla_protocol::messages::sync_group::SyncGroupResponse;
use ottla_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, SyncGroupRequest,
};
use ottla_protocol::wire::Uuid;
use std::time::Duration;

fn millis(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

impl Cluster {
    pub(super) fn join_group(&mut self, context: &RequestContext, request: JoinGroupRequest) -> Outcome {
        if let Err(error) = self.check_join(context, &request) {
            let answer = JoinAnswer {
                error,
                generation: -1,
                member_id: request.member_id,
                ..JoinAnswer::default()
            };
            return Self::answer_join(context, answer);
        }
        let client_id = context.client_id.clone().unwrap_or_default();
        let unique = Uuid::from_halves(self.random.u64(..), self.random.u64(..));
        let prefix = request.group_instance_id.as_deref().unwrap_or(&client_id);
        let client_host = self
            .connections
            .get(&context.connection)
            .map_or_else(String::new, |connection| format!("/{}", connection.client_host));
        // Version 0 has one timeout for both.
        let rebalance_ms = if context.version == 0 {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        };
        let join = JoinRequest {
            new_member_id: format!("{prefix}-{unique}"),
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            client_id,
            client_host,
            session_timeout: millis(request.session_timeout_ms),
            rebalance_timeout: millis(rebalance_ms),
            protocol_type: request.protocol_type,
            protocols: request
                .protocols
                .into_iter()
                .map(|protocol| (protocol.name, protocol.metadata))
                .collect(),
            id_required: context.version >= 4,
        };
        let limits = JoinLimits {
            members_max: self.config.limits.group_members_max,
            initial_delay: self.config.group_initial_rebalance_delay,
        };
        let now = self.now;
        let ticket = self.wait(context, Wait::Join, &[], None);
        let group_id = &request.group_id;
        let joined = if join.member_id.is_empty() {
            self.groups
                .with_new(group_id, |group| group.join(&join, ticket, limits, now))
        } else {
            let known = self
                .groups
                .with(group_id, |group| group.join(&join, ticket, limits, now));
            known.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
        };
        if let Err(error) = joined {
            self.take_waiter(ticket);
            let answer = JoinAnswer {
                error,
                generation: -1,
                member_id: join.member_id,
                ..JoinAnswer::default()
            };
            return Self::answer_join(context, answer);
        }
        Outcome::Wait
    }

    fn check_join(&self, context: &RequestContext, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        if let Some(error) = context.error() {
            return Err(error);
        }
        if request.group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        self.check_coordinator(&request.group_id, context.broker)?;
        let allowed = self.config.group_min_session_timeout_ms..=self.config.group_max_session_timeout_ms;
        if !allowed.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        let size: usize = request
            .protocols
            .iter()
            .map(|protocol| protocol.metadata.len() + protocol.name.len())
            .sum();
        if size > self.config.limits.group_metadata_bytes_max {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        Ok(())
    }

    /// Answers a JoinGroup that waited.
    pub(crate) fn answer_join(context: &RequestContext, answer: JoinAnswer) -> Outcome {
        let error = context.told(answer.error);
        // Before version 7 there is no null here.
        let name = answer
            .protocol
            .or_else(|| (context.version < 7).then(String::new));
        let response = JoinGroupResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(error),
            generation_id: answer.generation,
            protocol_type: answer.protocol_type,
            protocol_name: name,
            leader: answer.leader,
            member_id: answer.member_id,
            members: answer
                .members
                .into_iter()
                .map(
                    |(member_id, group_instance_id, metadata)| JoinGroupResponseMember {
                        member_id,
                        group_instance_id,
                        metadata,
                        ..JoinGroupResponseMember::default()
                    },
                )
                .collect(),
            ..JoinGroupResponse::default()
        };
        context.answer::<JoinGroupRequest>(&response)
    }

    pub(super) fn sync_group(&mut self, context: &RequestContext, request: SyncGroupRequest) -> Outcome {
        let refuse = |error| {
            Self::answer_sync(
                context,
                SyncAnswer {
                    error,
                    ..SyncAnswer::default()
                },
            )
        };
        // Since version 5 (KIP-559), so that a proxy knows what it carries.
        let unnamed = request.protocol_type.is_none() || request.protocol_name.is_none();
        let checked = match context.error() {
            Some(error) => Err(error),
            None if context.version >= 5 && unnamed => Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
            None => self.check_coordinator(&request.group_id, context.broker),
        };
        if let Err(error) = checked {
            return refuse(error);
        }
        let assignments: Vec<_> = request
            .assignments
            .into_iter()
            .map(|assigned| (assigned.member_id, assigned.assignment))
            .collect();
        let size: usize = assignments
            .iter()
            .map(|(id, assignment)| id.len() + assignment.len())
            .sum();
        if size > self.config.limits.group_metadata_bytes_max {
            return refuse(ErrorCode::INVALID_REQUEST);
        }
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        };
        let now = self.now;
        let ticket = self.wait(context, Wait::Sync, &[], None);
        let known = self.groups.with(&request.group_id, |group| {
            group.sync(caller, assignments, ticket, now)
        });
        if known.is_none() {
            self.take_waiter(ticket);
            return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        Outcome::Wait
    }

    /// Answers a SyncGroup that waited.
    pub(crate) fn answer_sync(context: &RequestContext, answer: SyncAnswer) -> Outcome {
        let response = SyncGroupResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(context.told(answer.error)),
            protocol_type: answer.protocol_type,
            protocol_name: answer.protocol,
            assignment: answer.assignment,
            ..SyncGroupResponse::default()
        };
        context.answer::<SyncGroupRequest>(&response)
    }

    pub(super) fn heartbeat(&mut self, context: &RequestContext, request: HeartbeatRequest) -> Outcome {
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        };
        let now = self.now;
        let error = if let Some(error) = context.error() {
            error
        } else if let Err(error) = self.check_coordinator(&request.group_id, context.broker) {
            error
        } else {
            let beat = self
                .groups
                .with(&request.group_id, |group| group.heartbeat(caller, now));
            beat.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID)
        };
        let response = HeartbeatResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(context.told(error)),
            ..HeartbeatResponse::default()
        };
        context.answer::<HeartbeatRequest>(&response)
    }

    pub(super) fn leave_group(&mut self, context: &RequestContext, request: LeaveGroupRequest) -> Outcome {
        let mut response = LeaveGroupResponse {
            throttle_time_ms: context.throttle_ms(),
            ..LeaveGroupResponse::default()
        };
        let checked = match context.error() {
            Some(error) => Err(error),
            None => self.check_coordinator(&request.group_id, context.broker),
        };
        if let Err(error) = checked {
            response.error_code = code(error);
            return context.answer::<LeaveGroupRequest>(&response);
        }
        let now = self.now;
        let mut leave = |member_id: &str, instance_id: Option<&str>| {
            let left = self.groups.with(&request.group_id, |group| {
                group.leave(member_id, instance_id, now)
            });
            left.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID)
        };
        if context.version >= 3 {
            let answer = |member: &MemberIdentity| MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: code(leave(&member.member_id, member.group_instance_id.as_deref())),
                ..MemberResponse::default()
            };
            response.members = request.members.iter().map(answer).collect();
            response.error_code = code(context.told(ErrorCode::NONE));
        } else {
            response.error_code = code(context.told(leave(&request.member_id, None)));
        }
        context.answer::<LeaveGroupRequest>(&response)
    }

    pub(super) fn describe_groups(
        &mut self,
        context: &RequestContext,
        request: DescribeGroupsRequest,
    ) -> Outcome {
        let describe = |id: &String| {
            let found = match context.error() {
                Some(error) => Err(error),
                None => self
                    .check_coordinator(id, context.broker)
                    .map(|()| self.groups.find(id)),
            };
            let mut group = match found {
                Ok(Some(group)) => described(id, group),
                Ok(None) if context.version >= 6 => DescribedGroup {
                    error_code: code(ErrorCode::GROUP_ID_NOT_FOUND),
                    error_message: Some(format!("Group {id} not found.")),
                    group_id: id.clone(),
                    group_state: "Dead".to_owned(),
                    ..DescribedGroup::default()
                },
                // Older versions tell that a group does not exist by its state.
                Ok(None) => DescribedGroup {
                    group_id: id.clone(),
                    group_state: "Dead".to_owned(),
                    ..DescribedGroup::default()
                },
                Err(error) => DescribedGroup {
                    error_code: code(error),
                    group_id: id.clone(),
                    ..DescribedGroup::default()
                },
            };
            group.error_code = code(context.told(ErrorCode(group.error_code)));
            group
        };
        let response = DescribeGroupsResponse {
            throttle_time_ms: context.throttle_ms(),
            groups: request.groups.iter().map(describe).collect(),
            ..DescribeGroupsResponse::default()
        };
        context.answer::<DescribeGroupsRequest>(&response)
    }

    pub(super) fn list_groups(&mut self, context: &RequestContext, request: ListGroupsRequest) -> Outcome {
        let fits = |filter: &[String], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let own = |id: &str| self.coordinator_of(id) == Some(context.broker);
        let listed = self
            .groups
            .iter()
            .filter(|(id, group)| own(id) && fits(&request.states_filter, group.state().name()))
            .filter(|_| fits(&request.types_filter, "classic"));
        let response = ListGroupsResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(context.told(context.error().unwrap_or(ErrorCode::NONE))),
            groups: listed
                .map(|(id, group)| ListedGroup {
                    group_id: id.to_string(),
                    protocol_type: group.protocol_type().to_owned(),
                    group_state: if context.version >= 4 {
                        group.state().name().to_owned()
                    } else {
                        String::new()
                    },
                    group_type: if context.version >= 5 {
                        "classic".to_owned()
                    } else {
                        String::new()
                    },
                    ..ListedGroup::default()
                })
                .collect(),
            ..ListGroupsResponse::default()
        };
        context.answer::<ListGroupsRequest>(&response)
    }

    pub(super) fn delete_groups(
        &mut self,
        context: &RequestContext,
        request: DeleteGroupsRequest,
    ) -> Outcome {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for id in &request.groups_names {
            let result = match context.error() {
                Some(error) => Err(error),
                None => self
                    .check_coordinator(id, context.broker)
                    .and_then(|()| self.groups.delete(id)),
            };
            results.push(DeletableGroupResult {
                group_id: id.clone(),
                error_code: code(context.told(result.err().unwrap_or(ErrorCode::NONE))),
                ..DeletableGroupResult::default()
            });
        }
        let response = DeleteGroupsResponse {
            throttle_time_ms: context.throttle_ms(),
            results,
            ..DeleteGroupsResponse::default()
        };
        context.answer::<DeleteGroupsRequest>(&response)
    }
}

fn described(id: &str, group: &Group) -> DescribedGroup {
    let protocol = group.protocol();
    DescribedGroup {
        group_id: id.to_owned(),
        group_state: group.state().name().to_owned(),
        protocol_type: group.protocol_type().to_owned(),
        protocol_data: protocol.to_owned(),
        members: group
            .members()
            .map(|(member_id, member)| DescribedGroupMember {
                member_id: member_id.clone(),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                member_metadata: member.metadata(protocol),
                member_assignment: member.assignment.clone(),
                ..DescribedGroupMember::default()
            })
            .collect(),
        ..DescribedGroup::default()
    }
}
