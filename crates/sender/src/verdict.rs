//! What an error of a Produce request means for its batch.

use crate::Acks;
use ottla_protocol::ErrorCode;
use ottla_time::mutant;

/// Whether an answer with this code proves that nothing was appended.
///
/// A leader checks these before it appends. Every other code can also be the answer of a leader that has appended and
/// then failed to replicate: with acks=all even NOT_LEADER_OR_FOLLOWER comes from a leader that lost its leadership
/// while it waited for the replicas.
pub(crate) fn proves_not_appended(code: ErrorCode, acks: Acks) -> bool {
    match code {
        ErrorCode::NOT_LEADER_OR_FOLLOWER
            if mutant!("a lost leadership proves that nothing was appended") =>
        {
            true
        }
        ErrorCode::CORRUPT_MESSAGE
        | ErrorCode::MESSAGE_TOO_LARGE
        | ErrorCode::INVALID_TOPIC_EXCEPTION
        | ErrorCode::RECORD_LIST_TOO_LARGE
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::INVALID_REQUIRED_ACKS
        | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::INVALID_TIMESTAMP
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::INVALID_REQUEST
        | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::POLICY_VIOLATION
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        | ErrorCode::INVALID_RECORD
        | ErrorCode::PRODUCER_FENCED
        | ErrorCode::TRANSACTION_ABORTABLE => true,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_TOPIC_ID => acks != Acks::All,
        _ => false,
    }
}

/// What to do about the code, where its name alone does not say it.
pub(crate) fn advice(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::MESSAGE_TOO_LARGE => {
            Some("lower batch.size or raise the topic's max.message.bytes (the broker's message.max.bytes)")
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Some("this client may not write to the topic: grant it WRITE")
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => Some("this client may not write to the cluster"),
        ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            Some("fewer replicas are in sync than the topic's min.insync.replicas")
        }
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => Some("choose a compression.type that the broker knows"),
        ErrorCode::INVALID_TIMESTAMP => {
            Some("the record's timestamp is outside what the topic allows (message.timestamp.*.max.ms)")
        }
        ErrorCode::INVALID_RECORD => Some("a compacted topic takes no record without key"),
        _ => None,
    }
}
