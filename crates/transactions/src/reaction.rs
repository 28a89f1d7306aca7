//! What the answer of a coordinator means: the error table of the transactional requests.

use ottla_protocol::ErrorCode;
use ottla_time::mutant;

/// The requests about transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rpc {
    FindCoordinator,
    InitProducerId,
    AddPartitions,
    AddOffsets,
    CommitOffsets,
    EndCommit,
    EndAbort,
}

/// What to do about an answer. Ordered by how much it outweighs others of the same response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reaction {
    /// It is done.
    Done,
    /// The transaction has to be aborted.
    Abort,
    /// The same, if the epoch can be renewed after it (KIP-360); else the producer is at its end.
    AbortIfRenewable,
    /// Ask again, after a backoff.
    Retry,
    /// Ask again, where the coordinator is now.
    FindCoordinator,
    /// The producer is refused, and may ask again when the application does.
    Refused,
    /// The producer is at its end.
    Fatal,
}

/// The table. As `TransactionManager` of the Java client 4.3.1 has it.
pub(crate) fn reaction(rpc: Rpc, code: ErrorCode) -> Reaction {
    use Reaction::{Abort, AbortIfRenewable, Done, Fatal, FindCoordinator, Refused, Retry};
    match (rpc, code) {
        (_, ErrorCode::NONE) => Done,
        (Rpc::EndCommit, code) if code.is_retriable() && mutant!("commit is done whatever the answer") => Done,
        (_, ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH) if mutant!("fenced is tried again") => {
            Retry
        }
        (_, ErrorCode::NOT_COORDINATOR) if mutant!("a coordinator that moved is asked again") => Retry,
        (_, ErrorCode::CONCURRENT_TRANSACTIONS) if mutant!("concurrent transactions end the producer") => Fatal,

        (Rpc::FindCoordinator, ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR) => Retry,
        (_, ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR) => FindCoordinator,
        (Rpc::CommitOffsets, ErrorCode::REQUEST_TIMED_OUT) => FindCoordinator,
        (_, code) if code.is_retriable() => Retry,

        (
            Rpc::InitProducerId,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTION_ABORTABLE,
        ) => Refused,

        (Rpc::AddPartitions | Rpc::AddOffsets | Rpc::EndCommit, ErrorCode::UNKNOWN_PRODUCER_ID)
        | (Rpc::EndAbort, ErrorCode::UNKNOWN_PRODUCER_ID) => AbortIfRenewable,

        // An abort that cannot be done, by the coordinator's own word, leaves nothing to do.
        (Rpc::EndAbort | Rpc::InitProducerId, _) => Fatal,
        (_, ErrorCode::TRANSACTION_ABORTABLE) => Abort,

        (
            Rpc::AddPartitions,
            ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_TXN_STATE
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ) => Fatal,
        (Rpc::AddPartitions, _) => Abort,

        (
            Rpc::AddOffsets | Rpc::CommitOffsets | Rpc::FindCoordinator,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ) => Abort,
        (
            Rpc::CommitOffsets,
            ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_INSTANCE_ID
            // Not in Java's table, where it ends the producer for what is one topic's rights.
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::OFFSET_METADATA_TOO_LARGE
            | ErrorCode::INVALID_COMMIT_OFFSET_SIZE
            | ErrorCode::INVALID_GROUP_ID
            | ErrorCode::GROUP_ID_NOT_FOUND
            | ErrorCode::STALE_MEMBER_EPOCH,
        ) => Abort,

        _ => Fatal,
    }
}

/// Whether a failed EndTxn proves that it changed nothing. An answer in the coordinator's name that it could not finish
/// may come after it had written its decision.
pub(crate) fn proves_not_ended(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::INVALID_TXN_STATE
            | ErrorCode::TRANSACTION_ABORTABLE
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            // Something else is under way for the id, be it an earlier attempt or a successor's transaction; a real
            // coordinator answers this even to a producer that it has fenced.
            | ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::UNKNOWN_PRODUCER_ID
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RPCS: [Rpc; 7] = [
        Rpc::InitProducerId,
        Rpc::AddPartitions,
        Rpc::AddOffsets,
        Rpc::CommitOffsets,
        Rpc::EndCommit,
        Rpc::EndAbort,
        Rpc::FindCoordinator,
    ];

    fn letter(reaction: Reaction) -> char {
        match reaction {
            Reaction::Done => '0',
            Reaction::Abort => 'A',
            Reaction::AbortIfRenewable => '?',
            Reaction::Retry => 'r',
            Reaction::FindCoordinator => 'C',
            Reaction::Refused => 'U',
            Reaction::Fatal => 'F',
        }
    }

    /// What Java does: a column for each request, in the order of `RPCS`.
    #[test]
    fn the_table_is_javas() {
        for (code, expected) in [
            (0, "0000000"),
            (15, "CCCCCCr"),
            (16, "CCCCCCr"),
            (7, "rrrCrrr"),
            (14, "rrrrrrr"),
            (51, "rrrrrrr"),
            (3, "rrrrrrr"),
            (47, "FFFFFFF"),
            (90, "FFFFFFF"),
            (53, "UFFFFFF"),
            (31, "UAFFFFF"),
            // Offsets of a topic that may not be read: Java ends the producer, here the transaction.
            (29, "FAFAFFF"),
            (30, "FAAAFFA"),
            (48, "FFFFFFF"),
            (49, "FFFFFFF"),
            (59, "F??F??F"),
            (120, "UAAAAFA"),
            (22, "FAFAFFF"),
            (25, "FAFAFFF"),
            (82, "FAFAFFF"),
            (43, "FAFFFFF"),
            (55, "FAFFFFF"),
            (-1, "FAFFFFF"),
            (999, "FAFFFFF"),
        ] {
            let found: String = RPCS
                .iter()
                .map(|&rpc| letter(reaction(rpc, ErrorCode(code))))
                .collect();
            assert_eq!(found, expected, "{}", ErrorCode(code));
        }
    }

    #[test]
    fn every_code_has_a_reaction_and_none_but_0_is_done() {
        for code in i16::MIN..=i16::MAX {
            for rpc in RPCS {
                assert_eq!(
                    reaction(rpc, ErrorCode(code)) == Reaction::Done,
                    code == 0,
                    "{rpc:?} {code}"
                );
            }
        }
    }
}
