//! Requests whose answers come later.

use crate::request::RequestContext;
use crate::timer::TimerId;
use crate::topic::TopicKey;
use ottla_protocol::messages::fetch::FetchRequest;
use ottla_protocol::messages::produce::ProduceResponse;

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) context: RequestContext,
    /// Ends the wait, if time does.
    pub(crate) timer: Option<TimerId>,
    pub(crate) wait: Wait,
}

/// What is waited for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// acks=all: the followers.
    Produce {
        response: ProduceResponse,
        /// What is not replicated yet.
        missing: Vec<Missing>,
    },
    /// A Fetch: more bytes.
    Fetch {
        request: FetchRequest,
        /// The partitions that it reads.
        partitions: Vec<(TopicKey, i32)>,
    },
    /// A JoinGroup: the other members.
    Join,
    /// A SyncGroup: the leader.
    Sync,
}

/// A partition of a Produce that waits for its followers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
    /// The high watermark that ends the wait.
    pub(crate) offset: i64,
    /// The leader's epoch at the append: another one means that nobody knows.
    pub(crate) leader_epoch: i32,
    /// Where the partition stands in the response.
    pub(crate) place: (usize, usize),
}
