//! Faults on request: which requests go wrong, and how.
//!
//! A [`Fault`] is a rule: what has to match, how many matches pass before it strikes, how often it strikes, and what it
//! does. Rules are tried in the order in which they were added; all that strike take effect together, except that the
//! first decides where two exclude each other (two errors for one partition, two ways to spoil an answer).

use bytes::Bytes;
use ottla_protocol::{ApiKey, ErrorCode};
use std::time::Duration;

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultAction {
    /// The request (or the partitions that match) is refused with this error, and nothing is done.
    Error(ErrorCode),
    /// The request is carried out, and answered with this error all the same.
    ErrorAfter(ErrorCode),
    /// The request is taken up so much later; what comes after it on its connection waits, as in a slow broker.
    Delay(Duration),
    /// The answer is so much longer under way; what comes after it is handled meanwhile (but answers keep their order).
    DelayResponse(Duration),
    /// The answer says that the client is throttled for so long.
    Throttle(Duration),
    /// The request is carried out, and never answered.
    DropResponse,
    /// The request is neither carried out nor answered.
    DropRequest,
    /// The connection is closed when the request arrives; nothing is done.
    Disconnect,
    /// The request is carried out; then the connection is closed without an answer.
    DisconnectAfter,
    /// The request is carried out, and the connection is closed after so many bytes of the answer (its length field
    /// counts).
    CloseAtByte(usize),
    /// The request is carried out, only so many bytes of the answer are sent, and nothing ever after.
    Partial(usize),
    /// The request is carried out, and these bytes are sent in place of the answer.
    Garbage(Bytes),
    /// The answer's body is replaced by these bytes; length and correlation id are right.
    GarbageBody(Bytes),
    /// The answer carries a correlation id that is off by so much.
    WrongCorrelationId(i32),
    /// The answer to a Produce leaves the matching partitions out, and nothing is done for them.
    OmitPartitions,
}

/// The partition of an API that names topics only: any.
pub(crate) const WHOLE_TOPIC: i32 = -1;

impl FaultAction {
    /// Whether the action concerns single partitions of a request that has some.
    fn is_by_partition(&self) -> bool {
        matches!(
            self,
            FaultAction::Error(_) | FaultAction::ErrorAfter(_) | FaultAction::OmitPartitions
        )
    }
}

/// A rule: when it matches, how often, and what it does.
///
/// ```
/// use ottla_broker::{Fault, FaultAction};
/// use ottla_protocol::{ApiKey, ErrorCode};
///
/// // The second and third batches for partition 1 of `orders` are appended, and the answers are lost.
/// let fault = Fault::new(FaultAction::DropResponse).api(ApiKey::PRODUCE).topic("orders").partition(1).skip(1).times(2);
/// # let _ = (fault, Fault::new(FaultAction::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    action: FaultAction,
    api: Option<ApiKey>,
    broker: Option<i32>,
    connection: Option<u64>,
    topic: Option<String>,
    partition: Option<i32>,
    skip: u64,
    times: Option<u64>,
}

impl Fault {
    /// A rule that matches every request and always strikes.
    pub fn new(action: FaultAction) -> Fault {
        Fault {
            action,
            api: None,
            broker: None,
            connection: None,
            topic: None,
            partition: None,
            skip: 0,
            times: None,
        }
    }

    /// Only requests of this API.
    pub fn api(mut self, api: ApiKey) -> Fault {
        self.api = Some(api);
        self
    }

    /// Only requests to this broker.
    pub fn broker(mut self, broker: i32) -> Fault {
        self.broker = Some(broker);
        self
    }

    /// Only requests on this connection (its number stands in the events).
    pub fn connection(mut self, connection: u64) -> Fault {
        self.connection = Some(connection);
        self
    }

    /// Only requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Fault {
        self.topic = Some(topic.into());
        self
    }

    /// Only requests that name this partition.
    pub fn partition(mut self, partition: i32) -> Fault {
        self.partition = Some(partition);
        self
    }

    /// The first `skip` matching requests pass.
    pub fn skip(mut self, skip: u64) -> Fault {
        self.skip = skip;
        self
    }

    /// The rule strikes at most so many requests.
    pub fn times(mut self, times: u64) -> Fault {
        self.times = Some(times);
        self
    }

    /// The rule strikes one request.
    pub fn once(self) -> Fault {
        self.times(1)
    }

    fn matches_request(&self, request: &RequestFacts<'_>) -> bool {
        let named = |topic: &str, partition: i32| self.matches_partition(topic, partition);
        self.api.is_none_or(|api| api == request.api)
            && self.broker.is_none_or(|broker| broker == request.broker)
            && self
                .connection
                .is_none_or(|connection| connection == request.connection)
            && ((self.topic.is_none() && self.partition.is_none())
                || request
                    .partitions
                    .iter()
                    .any(|(topic, partition)| named(topic, *partition)))
    }

    fn matches_partition(&self, topic: &str, partition: i32) -> bool {
        self.topic.as_deref().is_none_or(|wanted| wanted == topic)
            && self
                .partition
                .is_none_or(|wanted| wanted == partition || partition == WHOLE_TOPIC)
    }
}

/// What rules are matched against.
#[derive(Debug)]
pub(crate) struct RequestFacts<'a> {
    pub(crate) api: ApiKey,
    pub(crate) broker: i32,
    pub(crate) connection: u64,
    pub(crate) partitions: &'a [(std::sync::Arc<str>, i32)],
}

#[derive(Debug)]
struct Rule {
    number: u64,
    fault: Fault,
    matched: u64,
    struck: u64,
}

/// All rules of a cluster.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    rules: Vec<Rule>,
    next_number: u64,
}

/// How many rules there may be; the plan is walked for every request.
const RULES_MAX: usize = 100_000;

impl FaultPlan {
    /// Adds a rule and returns its number.
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        if self.rules.len() < RULES_MAX {
            self.rules.push(Rule {
                number,
                fault,
                matched: 0,
                struck: 0,
            });
        }
        number
    }

    /// Removes a rule; how often it struck, if it is there.
    pub(crate) fn remove(&mut self, number: u64) -> Option<u64> {
        let index = self.rules.iter().position(|rule| rule.number == number)?;
        Some(self.rules.remove(index).struck)
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule wants to know which partitions a request names.
    pub(crate) fn needs_partitions(&self) -> bool {
        let wanted = |rule: &Rule| {
            rule.fault.topic.is_some()
                || rule.fault.partition.is_some()
                || rule.fault.action.is_by_partition()
        };
        self.rules.iter().any(wanted)
    }

    /// The rules that strike this request, which they count.
    pub(crate) fn strike(&mut self, request: &RequestFacts<'_>) -> Strikes {
        let mut strikes = Strikes::default();
        for rule in &mut self.rules {
            if !rule.fault.matches_request(request) {
                continue;
            }
            rule.matched += 1;
            if rule.matched <= rule.fault.skip || rule.fault.times.is_some_and(|times| rule.struck >= times) {
                continue;
            }
            rule.struck += 1;
            strikes.rules.push((rule.number, rule.fault.clone()));
        }
        // A rule that can never strike again is only walked for nothing.
        self.rules
            .retain(|rule| rule.fault.times.is_none_or(|times| rule.struck < times));
        strikes
    }
}

/// The rules that strike one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strikes {
    pub(crate) rules: Vec<(u64, Fault)>,
}

impl Strikes {
    fn actions(&self) -> impl Iterator<Item = &FaultAction> {
        self.rules.iter().map(|(_, fault)| &fault.action)
    }

    /// The sum of what holds the request back.
    pub(crate) fn delay(&self) -> Duration {
        self.actions()
            .filter_map(|action| match action {
                FaultAction::Delay(delay) => Some(*delay),
                _ => None,
            })
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The sum of what holds the answer back.
    pub(crate) fn response_delay(&self) -> Duration {
        self.actions()
            .filter_map(|action| match action {
                FaultAction::DelayResponse(delay) => Some(*delay),
                _ => None,
            })
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The throttle time of the answer, in milliseconds.
    pub(crate) fn throttle_ms(&self) -> i32 {
        let longest = self
            .actions()
            .filter_map(|action| match action {
                FaultAction::Throttle(time) => Some(*time),
                _ => None,
            })
            .max();
        longest.map_or(0, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX))
    }

    /// What becomes of the request before it is carried out, if anything.
    pub(crate) fn before(&self) -> Option<&FaultAction> {
        self.actions()
            .find(|action| matches!(action, FaultAction::DropRequest | FaultAction::Disconnect))
    }

    /// What becomes of the answer, if anything.
    pub(crate) fn spoil(&self) -> Option<&FaultAction> {
        self.actions().find(|action| {
            matches!(
                action,
                FaultAction::DropResponse
                    | FaultAction::DisconnectAfter
                    | FaultAction::CloseAtByte(_)
                    | FaultAction::Partial(_)
                    | FaultAction::Garbage(_)
                    | FaultAction::GarbageBody(_)
                    | FaultAction::WrongCorrelationId(_)
            )
        })
    }

    /// The error for a partition that is not touched.
    pub(crate) fn error_for(&self, topic: &str, partition: i32) -> Option<ErrorCode> {
        self.rules.iter().find_map(|(_, fault)| match fault.action {
            FaultAction::Error(code) if fault.matches_partition(topic, partition) => Some(code),
            _ => None,
        })
    }

    /// The error that is told for a partition although all went well.
    pub(crate) fn error_after_for(&self, topic: &str, partition: i32) -> Option<ErrorCode> {
        self.rules.iter().find_map(|(_, fault)| match fault.action {
            FaultAction::ErrorAfter(code) if fault.matches_partition(topic, partition) => Some(code),
            _ => None,
        })
    }

    /// Whether the answer leaves a partition out.
    pub(crate) fn omits(&self, topic: &str, partition: i32) -> bool {
        self.rules.iter().any(|(_, fault)| {
            fault.action == FaultAction::OmitPartitions && fault.matches_partition(topic, partition)
        })
    }

    /// The error for a request that is not carried out and names no partitions.
    pub(crate) fn error(&self) -> Option<ErrorCode> {
        self.actions().find_map(|action| match action {
            FaultAction::Error(code) => Some(*code),
            _ => None,
        })
    }

    /// The error that such a request is answered with although all went well.
    pub(crate) fn error_after(&self) -> Option<ErrorCode> {
        self.actions().find_map(|action| match action {
            FaultAction::ErrorAfter(code) => Some(*code),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn strike(plan: &mut FaultPlan, api: ApiKey, partitions: &[(&str, i32)]) -> Vec<u64> {
        let partitions: Vec<(Arc<str>, i32)> = partitions
            .iter()
            .map(|&(topic, index)| (topic.into(), index))
            .collect();
        let facts = RequestFacts {
            api,
            broker: 1,
            connection: 9,
            partitions: &partitions,
        };
        plan.strike(&facts)
            .rules
            .iter()
            .map(|&(number, _)| number)
            .collect()
    }

    #[test]
    fn rules_match_skip_and_end() {
        let mut plan = FaultPlan::default();
        let second = plan.add(
            Fault::new(FaultAction::DropResponse)
                .api(ApiKey::PRODUCE)
                .topic("a")
                .skip(1)
                .once(),
        );
        let other_broker = plan.add(Fault::new(FaultAction::DropRequest).broker(2));
        assert!(plan.needs_partitions());
        assert_eq!(strike(&mut plan, ApiKey::METADATA, &[("a", 0)]), [0_u64; 0]);
        assert_eq!(strike(&mut plan, ApiKey::PRODUCE, &[("b", 0)]), [0_u64; 0]);
        assert_eq!(
            strike(&mut plan, ApiKey::PRODUCE, &[("b", 0), ("a", 3)]),
            [0_u64; 0],
            "the first passes"
        );
        assert_eq!(strike(&mut plan, ApiKey::PRODUCE, &[("a", 0)]), [second]);
        assert_eq!(strike(&mut plan, ApiKey::PRODUCE, &[("a", 0)]), [0_u64; 0]);
        assert_eq!(plan.remove(other_broker), Some(0));
        assert!(plan.is_empty());
    }

    #[test]
    fn errors_strike_the_partitions_they_name() {
        let mut plan = FaultPlan::default();
        plan.add(
            Fault::new(FaultAction::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER))
                .topic("a")
                .partition(1),
        );
        let partitions: Vec<(Arc<str>, i32)> = vec![("a".into(), 0), ("a".into(), 1)];
        let facts = RequestFacts {
            api: ApiKey::PRODUCE,
            broker: 1,
            connection: 0,
            partitions: &partitions,
        };
        let strikes = plan.strike(&facts);
        assert_eq!(strikes.error_for("a", 0), None);
        assert_eq!(strikes.error_for("a", 1), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(strikes.error_after_for("a", 1), None);
    }
}
