//! What a broker answers when it does not do as asked.

use std::fmt;

/// An error code of the protocol. 0 is success.
///
/// Codes that this version does not know are values like others, and count as neither retriable nor fatal: Java takes
/// them for [`UNKNOWN_SERVER_ERROR`](Self::UNKNOWN_SERVER_ERROR), with which they share all answers here but the number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What a client can do about an error: the groups of KIP-1050, as the exceptions of kafka-clients 4.3.1 have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// No error.
    Success,
    /// The same request may succeed later.
    Retriable,
    /// The same request may succeed once the client has newer metadata, or has found the coordinator again.
    RefreshRetriable,
    /// The transaction has to be aborted; then the producer can go on.
    Abortable,
    /// The producer or consumer is at its end; the application may go on with a new one.
    ApplicationRecoverable,
    /// The configuration, the credentials, the rights or the request itself have to change.
    InvalidConfiguration,
    /// None of these: it depends on the API what it means.
    Other,
}

impl ErrorCode {
    /// Whether this is success.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The name in Kafka's documentation, such as `NOT_LEADER_OR_FOLLOWER`.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.1)
    }

    /// What a client can do about it.
    pub fn class(self) -> ErrorClass {
        self.row().map_or(ErrorClass::Other, |row| row.2)
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        matches!(self.class(), ErrorClass::Retriable | ErrorClass::RefreshRetriable)
    }

    /// Whether it says that what the client knows of leaders or coordinators is out of date.
    ///
    /// That is Java's `InvalidMetadataException` and, with KIP-1050, the two codes of a lost coordinator, for which
    /// [`refreshes_coordinator`](Self::refreshes_coordinator) holds too.
    pub fn refreshes_metadata(self) -> bool {
        self.class() == ErrorClass::RefreshRetriable
    }

    /// Whether the coordinator has to be found again.
    pub fn refreshes_coordinator(self) -> bool {
        matches!(self, Self::COORDINATOR_NOT_AVAILABLE | Self::NOT_COORDINATOR)
    }

    /// Whether an answer to Produce with this code ends an idempotent or transactional producer.
    ///
    /// As `TransactionManager` of the Java client has it; a producer without idempotence only fails the batch.
    pub fn is_fatal_to_producer(self) -> bool {
        matches!(
            self,
            Self::CLUSTER_AUTHORIZATION_FAILED
                | Self::UNSUPPORTED_VERSION
                | Self::INVALID_PRODUCER_ID_MAPPING
                | Self::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | Self::PRODUCER_FENCED
        )
    }

    /// Whether it says that the principal may not do this.
    pub fn is_authorization(self) -> bool {
        matches!(
            self,
            Self::TOPIC_AUTHORIZATION_FAILED
                | Self::GROUP_AUTHORIZATION_FAILED
                | Self::CLUSTER_AUTHORIZATION_FAILED
                | Self::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | Self::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        )
    }

    /// Whether it says that the client is not who it claims to be, or cannot show it.
    pub fn is_authentication(self) -> bool {
        matches!(
            self,
            Self::UNSUPPORTED_SASL_MECHANISM | Self::ILLEGAL_SASL_STATE | Self::SASL_AUTHENTICATION_FAILED
        )
    }

    /// Success, or the error.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }

    fn row(self) -> Option<&'static (ErrorCode, &'static str, ErrorClass)> {
        // The codes have no gaps.
        let row = TABLE.get(usize::try_from(i32::from(self.0) + 1).ok()?)?;
        debug_assert_eq!(row.0, self);
        Some(row)
    }
}

/// `NOT_LEADER_OR_FOLLOWER (6)`, or `error code 999` if it is not known.
impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{name} ({})", self.0),
            None => write!(formatter, "error code {}", self.0),
        }
    }
}

impl std::error::Error for ErrorCode {}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $class:ident;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// All codes that are known, in order of their numbers.
            pub fn all() -> impl ExactSizeIterator<Item = Self> {
                TABLE.iter().map(|row| row.0)
            }
        }

        static TABLE: [(ErrorCode, &str, ErrorClass); [$($code),*].len()] =
            [$((ErrorCode::$name, stringify!($name), ErrorClass::$class)),*];
    };
}

codes! {
    /// The broker failed in a way that has no code.
    UNKNOWN_SERVER_ERROR = -1, Other;
    /// No error.
    NONE = 0, Success;
    /// The offset is outside of what the log holds.
    OFFSET_OUT_OF_RANGE = 1, Other;
    /// A record batch did not pass the broker's checks.
    CORRUPT_MESSAGE = 2, Retriable;
    /// The broker does not host the partition.
    UNKNOWN_TOPIC_OR_PARTITION = 3, RefreshRetriable;
    /// The size to fetch is not valid.
    INVALID_FETCH_SIZE = 4, Other;
    /// The partition has no leader, as during an election.
    LEADER_NOT_AVAILABLE = 5, RefreshRetriable;
    /// The broker is not the partition's leader or follower.
    NOT_LEADER_OR_FOLLOWER = 6, RefreshRetriable;
    /// The broker gave up waiting; what was asked may have happened.
    REQUEST_TIMED_OUT = 7, Retriable;
    /// The broker is not there.
    BROKER_NOT_AVAILABLE = 8, Other;
    /// The replica is not there.
    REPLICA_NOT_AVAILABLE = 9, RefreshRetriable;
    /// The batch is larger than the topic allows.
    MESSAGE_TOO_LARGE = 10, Other;
    /// The controller has moved.
    STALE_CONTROLLER_EPOCH = 11, Other;
    /// The metadata of an offset is too long.
    OFFSET_METADATA_TOO_LARGE = 12, Other;
    /// The connection ended before the response; clients set this themselves.
    NETWORK_EXCEPTION = 13, RefreshRetriable;
    /// The coordinator is still loading its state.
    COORDINATOR_LOAD_IN_PROGRESS = 14, Retriable;
    /// There is no coordinator yet.
    COORDINATOR_NOT_AVAILABLE = 15, RefreshRetriable;
    /// The broker is not the coordinator.
    NOT_COORDINATOR = 16, RefreshRetriable;
    /// The topic's name is not valid, or the topic is internal.
    INVALID_TOPIC_EXCEPTION = 17, InvalidConfiguration;
    /// The batch is larger than a segment of the log.
    RECORD_LIST_TOO_LARGE = 18, InvalidConfiguration;
    /// Too few replicas are in sync; nothing was appended.
    NOT_ENOUGH_REPLICAS = 19, Retriable;
    /// Appended, but to fewer replicas than the topic requires.
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, Retriable;
    /// The broker does not know this value of acks.
    INVALID_REQUIRED_ACKS = 21, InvalidConfiguration;
    /// The group has a newer generation.
    ILLEGAL_GENERATION = 22, ApplicationRecoverable;
    /// The member shares no protocol with the group.
    INCONSISTENT_GROUP_PROTOCOL = 23, Other;
    /// The group's id is not valid.
    INVALID_GROUP_ID = 24, Other;
    /// The group has no such member.
    UNKNOWN_MEMBER_ID = 25, ApplicationRecoverable;
    /// The session timeout is outside of what the broker allows.
    INVALID_SESSION_TIMEOUT = 26, Other;
    /// The group is rebalancing.
    REBALANCE_IN_PROGRESS = 27, Other;
    /// The offsets to commit are too large.
    INVALID_COMMIT_OFFSET_SIZE = 28, Other;
    /// The principal may not use the topic.
    TOPIC_AUTHORIZATION_FAILED = 29, InvalidConfiguration;
    /// The principal may not use the group.
    GROUP_AUTHORIZATION_FAILED = 30, InvalidConfiguration;
    /// The principal may not do this to the cluster.
    CLUSTER_AUTHORIZATION_FAILED = 31, InvalidConfiguration;
    /// A record's timestamp is outside of what the topic allows.
    INVALID_TIMESTAMP = 32, Other;
    /// The broker does not offer the SASL mechanism.
    UNSUPPORTED_SASL_MECHANISM = 33, InvalidConfiguration;
    /// The request does not fit the state of authentication.
    ILLEGAL_SASL_STATE = 34, InvalidConfiguration;
    /// The broker does not have this version of the API.
    UNSUPPORTED_VERSION = 35, InvalidConfiguration;
    /// There is a topic of this name.
    TOPIC_ALREADY_EXISTS = 36, Other;
    /// The number of partitions is not valid.
    INVALID_PARTITIONS = 37, Other;
    /// The replication factor is not valid.
    INVALID_REPLICATION_FACTOR = 38, InvalidConfiguration;
    /// The assignment of replicas is not valid.
    INVALID_REPLICA_ASSIGNMENT = 39, Other;
    /// The configuration is not valid.
    INVALID_CONFIG = 40, InvalidConfiguration;
    /// The broker is not the controller.
    NOT_CONTROLLER = 41, Retriable;
    /// The request is malformed or contradicts itself.
    INVALID_REQUEST = 42, Other;
    /// The topic's record format does not allow this.
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, InvalidConfiguration;
    /// A policy of the cluster refuses this.
    POLICY_VIOLATION = 44, Other;
    /// A batch's sequence does not follow the last one.
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, Other;
    /// The batch was appended before, too long ago for its offset to be known.
    DUPLICATE_SEQUENCE_NUMBER = 46, Other;
    /// A producer with a newer epoch has the same id.
    INVALID_PRODUCER_EPOCH = 47, ApplicationRecoverable;
    /// The transaction is in a state that does not allow this.
    INVALID_TXN_STATE = 48, Other;
    /// The producer id is not that of the transactional id.
    INVALID_PRODUCER_ID_MAPPING = 49, ApplicationRecoverable;
    /// The transaction timeout is above the broker's limit.
    INVALID_TRANSACTION_TIMEOUT = 50, Other;
    /// Another operation on the transaction has not ended.
    CONCURRENT_TRANSACTIONS = 51, Retriable;
    /// A newer coordinator took over the transaction.
    TRANSACTION_COORDINATOR_FENCED = 52, Other;
    /// The principal may not use the transactional id.
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, InvalidConfiguration;
    /// The broker has no security configured.
    SECURITY_DISABLED = 54, Other;
    /// Not attempted, because another part of the request failed.
    OPERATION_NOT_ATTEMPTED = 55, Other;
    /// The broker's disk failed.
    KAFKA_STORAGE_ERROR = 56, RefreshRetriable;
    /// The broker has no such log directory.
    LOG_DIR_NOT_FOUND = 57, Other;
    /// Authentication failed.
    SASL_AUTHENTICATION_FAILED = 58, InvalidConfiguration;
    /// The broker knows nothing of the producer id.
    UNKNOWN_PRODUCER_ID = 59, Other;
    /// The partition is being reassigned.
    REASSIGNMENT_IN_PROGRESS = 60, Other;
    /// Delegation tokens are not enabled.
    DELEGATION_TOKEN_AUTH_DISABLED = 61, Other;
    /// There is no such delegation token.
    DELEGATION_TOKEN_NOT_FOUND = 62, Other;
    /// The delegation token belongs to another.
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, Other;
    /// Delegation tokens are not given over this kind of connection.
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, Other;
    /// The principal may not use the delegation token.
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, InvalidConfiguration;
    /// The delegation token has expired.
    DELEGATION_TOKEN_EXPIRED = 66, Other;
    /// The type of the principal is not valid.
    INVALID_PRINCIPAL_TYPE = 67, Other;
    /// The group still has members.
    NON_EMPTY_GROUP = 68, Other;
    /// There is no such group.
    GROUP_ID_NOT_FOUND = 69, Other;
    /// There is no such fetch session.
    FETCH_SESSION_ID_NOT_FOUND = 70, Retriable;
    /// The fetch session is at another epoch.
    INVALID_FETCH_SESSION_EPOCH = 71, Retriable;
    /// The leader has no listener like the one that was asked.
    LISTENER_NOT_FOUND = 72, RefreshRetriable;
    /// Topics cannot be deleted in this cluster.
    TOPIC_DELETION_DISABLED = 73, Other;
    /// The client's leader epoch is older than the broker's.
    FENCED_LEADER_EPOCH = 74, RefreshRetriable;
    /// The client's leader epoch is newer than the broker's.
    UNKNOWN_LEADER_EPOCH = 75, Retriable;
    /// The broker does not have the compression.
    UNSUPPORTED_COMPRESSION_TYPE = 76, Other;
    /// The broker has registered anew since.
    STALE_BROKER_EPOCH = 77, Other;
    /// The leader does not know its high watermark yet.
    OFFSET_NOT_AVAILABLE = 78, Retriable;
    /// The group gives the member an id first.
    MEMBER_ID_REQUIRED = 79, Other;
    /// The preferred leader is not there.
    PREFERRED_LEADER_NOT_AVAILABLE = 80, RefreshRetriable;
    /// The group is full.
    GROUP_MAX_SIZE_REACHED = 81, Other;
    /// Another member has the same static id.
    FENCED_INSTANCE_ID = 82, ApplicationRecoverable;
    /// No eligible leader is there.
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, RefreshRetriable;
    /// The partition needs no election.
    ELECTION_NOT_NEEDED = 84, RefreshRetriable;
    /// No reassignment is under way.
    NO_REASSIGNMENT_IN_PROGRESS = 85, Other;
    /// The group still subscribes to the topic.
    GROUP_SUBSCRIBED_TO_TOPIC = 86, Other;
    /// The broker refuses a record.
    INVALID_RECORD = 87, InvalidConfiguration;
    /// Offsets of an open transaction are in the way.
    UNSTABLE_OFFSET_COMMIT = 88, Retriable;
    /// A quota is used up.
    THROTTLING_QUOTA_EXCEEDED = 89, Retriable;
    /// A newer producer has the same transactional id.
    PRODUCER_FENCED = 90, ApplicationRecoverable;
    /// There is no such resource.
    RESOURCE_NOT_FOUND = 91, Other;
    /// The request names a resource twice.
    DUPLICATE_RESOURCE = 92, Other;
    /// The credential is not acceptable.
    UNACCEPTABLE_CREDENTIAL = 93, Other;
    /// The sets of voters differ.
    INCONSISTENT_VOTER_SET = 94, Other;
    /// The version of the update is not valid.
    INVALID_UPDATE_VERSION = 95, Other;
    /// The features could not be updated.
    FEATURE_UPDATE_FAILED = 96, Other;
    /// The forwarded principal could not be read.
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, Other;
    /// There is no such snapshot.
    SNAPSHOT_NOT_FOUND = 98, Other;
    /// The position is outside of the snapshot.
    POSITION_OUT_OF_RANGE = 99, Other;
    /// The broker hosts no topic of this id.
    UNKNOWN_TOPIC_ID = 100, RefreshRetriable;
    /// The broker's id is in use.
    DUPLICATE_BROKER_REGISTRATION = 101, Other;
    /// The broker's id is not registered.
    BROKER_ID_NOT_REGISTERED = 102, Other;
    /// The topic's log has another id.
    INCONSISTENT_TOPIC_ID = 103, RefreshRetriable;
    /// The request is meant for another cluster.
    INCONSISTENT_CLUSTER_ID = 104, Other;
    /// There is no such transactional id.
    TRANSACTIONAL_ID_NOT_FOUND = 105, Other;
    /// The fetch session mixes topic names and ids.
    FETCH_SESSION_TOPIC_ID_ERROR = 106, Retriable;
    /// A replica of the new set is not eligible.
    INELIGIBLE_REPLICA = 107, Other;
    /// The change made another broker the leader.
    NEW_LEADER_ELECTED = 108, Other;
    /// The offset is only in tiered storage now.
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, Other;
    /// The coordinator has fenced the member's epoch.
    FENCED_MEMBER_EPOCH = 110, Other;
    /// Another member still has the static id.
    UNRELEASED_INSTANCE_ID = 111, Other;
    /// The coordinator does not have the assignor.
    UNSUPPORTED_ASSIGNOR = 112, Other;
    /// The member's epoch is old.
    STALE_MEMBER_EPOCH = 113, Other;
    /// Brokers and controllers answer different requests.
    MISMATCHED_ENDPOINT_TYPE = 114, Other;
    /// The broker has no such kind of endpoint yet.
    UNSUPPORTED_ENDPOINT_TYPE = 115, Other;
    /// There is no controller of this id.
    UNKNOWN_CONTROLLER_ID = 116, Other;
    /// The telemetry subscription is not the current one.
    UNKNOWN_SUBSCRIPTION_ID = 117, Other;
    /// The telemetry is larger than the broker takes.
    TELEMETRY_TOO_LARGE = 118, Other;
    /// The controller refuses the broker's registration.
    INVALID_REGISTRATION = 119, Other;
    /// The transaction failed; aborting it helps.
    TRANSACTION_ABORTABLE = 120, Abortable;
    /// The record's state does not allow its acknowledgement.
    INVALID_RECORD_STATE = 121, Other;
    /// There is no such share session.
    SHARE_SESSION_NOT_FOUND = 122, Retriable;
    /// The share session is at another epoch.
    INVALID_SHARE_SESSION_EPOCH = 123, Retriable;
    /// The share group's state has another epoch.
    FENCED_STATE_EPOCH = 124, Other;
    /// The voter's key is not the replica's.
    INVALID_VOTER_KEY = 125, Other;
    /// The voter is there already.
    DUPLICATE_VOTER = 126, Other;
    /// There is no such voter.
    VOTER_NOT_FOUND = 127, Other;
    /// The regular expression is not valid.
    INVALID_REGULAR_EXPRESSION = 128, Other;
    /// The client's metadata is too old; it has to start from its bootstrap servers.
    REBOOTSTRAP_REQUIRED = 129, Other;
    /// The topology is not valid.
    STREAMS_INVALID_TOPOLOGY = 130, Other;
    /// The topology's epoch is not valid.
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, Other;
    /// The topology's epoch is old.
    STREAMS_TOPOLOGY_FENCED = 132, Other;
    /// The broker has too many share sessions.
    SHARE_SESSION_LIMIT_REACHED = 133, Retriable;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_no_gaps() {
        for (index, code) in ErrorCode::all().enumerate() {
            assert_eq!(code.0, index as i16 - 1);
        }
        assert_eq!(ErrorCode::all().len(), 135);
    }

    #[test]
    fn every_number_is_classified() {
        for number in i16::MIN..=i16::MAX {
            let code = ErrorCode(number);
            assert_eq!(code.name().is_some(), (-1..=133).contains(&number));
            if code.name().is_none() {
                assert_eq!(code.class(), ErrorCode::UNKNOWN_SERVER_ERROR.class());
                assert_eq!(code.to_string(), format!("error code {number}"));
            }
            assert!(!(code.is_retriable() && code.is_fatal_to_producer()));
            assert!(!code.refreshes_metadata() || code.is_retriable());
        }
    }

    #[test]
    fn codes_that_java_retries() {
        // Of kafka-clients 4.3.1: Errors.forCode(code).exception() instanceof RetriableException, then
        // InvalidMetadataException. `cargo test --test messages_java` compares all of the table where Java is there.
        let retriable: Vec<i16> = ErrorCode::all()
            .filter(|code| code.is_retriable())
            .map(i16::from)
            .collect();
        let expected = [
            2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89,
            100, 103, 106, 122, 123, 133,
        ];
        assert_eq!(retriable, expected);
        let refreshing: Vec<i16> = ErrorCode::all()
            .filter(|code| code.refreshes_metadata() && !code.refreshes_coordinator())
            .map(i16::from)
            .collect();
        assert_eq!(refreshing, [3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103]);
    }

    #[test]
    fn names_and_numbers_are_shown() {
        assert_eq!(ErrorCode(6).to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
        assert_eq!(ErrorCode(0).into_result(), Ok(()));
        assert_eq!(
            ErrorCode(3).into_result(),
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        );
    }
}
