//! One file for each family of APIs: what a request does to the cluster, and how it is answered.

mod api_versions;
mod config;
mod coordinator;
mod fetch;
mod group;
mod metadata;
mod named;
mod offsets;
mod produce;
mod telemetry;
mod topics;
mod transaction;

use crate::cluster::{Cluster, ConnectionId};
use crate::fault::Strikes;
use crate::request::{Outcome, RequestContext};
use bytes::Bytes;
use ottla_protocol::frame::decode_request_header;
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, ErrorCode, Request, messages};

/// Frames of APIs other than Produce are no larger than this, in bytes: what they are decoded to is larger than they
/// are, and no client has reason to send more.
const SMALL_FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Takes a request's header off its frame.
pub(crate) fn parse_header(
    connection: ConnectionId,
    broker: i32,
    frame: &Bytes,
) -> Result<(RequestContext, Bytes), &'static str> {
    let mut reader = Reader::from_bytes(frame);
    let header = decode_request_header(&mut reader).map_err(|_| "not a request header")?;
    let api = ApiKey(header.request_api_key);
    if api != ApiKey::PRODUCE && frame.len() > SMALL_FRAME_BYTES_MAX {
        return Err("the frame is too large for its API");
    }
    let context = RequestContext {
        connection,
        broker,
        api,
        version: header.request_api_version,
        correlation_id: header.correlation_id,
        client_id: header.client_id,
        strikes: Strikes::default(),
    };
    Ok((context, frame.slice(reader.offset()..)))
}

/// Calls a macro with every API that is carried out: its key, its request's type, and the method of the cluster.
macro_rules! for_each_api {
    ($use:ident) => {
        $use! {
            PRODUCE: messages::ProduceRequest => produce,
            FETCH: messages::FetchRequest => fetch,
            LIST_OFFSETS: messages::ListOffsetsRequest => list_offsets,
            METADATA: messages::MetadataRequest => metadata,
            OFFSET_COMMIT: messages::OffsetCommitRequest => offset_commit,
            OFFSET_FETCH: messages::OffsetFetchRequest => offset_fetch,
            FIND_COORDINATOR: messages::FindCoordinatorRequest => find_coordinator,
            JOIN_GROUP: messages::JoinGroupRequest => join_group,
            HEARTBEAT: messages::HeartbeatRequest => heartbeat,
            LEAVE_GROUP: messages::LeaveGroupRequest => leave_group,
            SYNC_GROUP: messages::SyncGroupRequest => sync_group,
            DESCRIBE_GROUPS: messages::DescribeGroupsRequest => describe_groups,
            LIST_GROUPS: messages::ListGroupsRequest => list_groups,
            CREATE_TOPICS: messages::CreateTopicsRequest => create_topics,
            DELETE_TOPICS: messages::DeleteTopicsRequest => delete_topics,
            SASL_HANDSHAKE: messages::SaslHandshakeRequest => sasl_handshake,
            SASL_AUTHENTICATE: messages::SaslAuthenticateRequest => sasl_authenticate,
            DELETE_RECORDS: messages::DeleteRecordsRequest => delete_records_api,
            INIT_PRODUCER_ID: messages::InitProducerIdRequest => init_producer_id,
            OFFSET_FOR_LEADER_EPOCH: messages::OffsetForLeaderEpochRequest => offset_for_leader_epoch,
            ADD_PARTITIONS_TO_TXN: messages::AddPartitionsToTxnRequest => add_partitions_to_txn,
            ADD_OFFSETS_TO_TXN: messages::AddOffsetsToTxnRequest => add_offsets_to_txn,
            END_TXN: messages::EndTxnRequest => end_txn,
            TXN_OFFSET_COMMIT: messages::TxnOffsetCommitRequest => txn_offset_commit,
            DESCRIBE_CONFIGS: messages::DescribeConfigsRequest => describe_configs,
            CREATE_PARTITIONS: messages::CreatePartitionsRequest => create_partitions,
            DELETE_GROUPS: messages::DeleteGroupsRequest => delete_groups,
            DESCRIBE_CLUSTER: messages::DescribeClusterRequest => describe_cluster,
            DESCRIBE_PRODUCERS: messages::DescribeProducersRequest => describe_producers,
            DESCRIBE_TRANSACTIONS: messages::DescribeTransactionsRequest => describe_transactions,
            LIST_TRANSACTIONS: messages::ListTransactionsRequest => list_transactions,
            GET_TELEMETRY_SUBSCRIPTIONS: messages::GetTelemetrySubscriptionsRequest => get_telemetry_subscriptions,
            PUSH_TELEMETRY: messages::PushTelemetryRequest => push_telemetry,
            DESCRIBE_TOPIC_PARTITIONS: messages::DescribeTopicPartitionsRequest => describe_topic_partitions,
        }
    };
}

macro_rules! define_dispatch {
    ($($key:ident: $request:ty => $method:ident,)*) => {
        /// Carries a request out. What cannot be decoded ends the connection, as with a real broker.
        pub(crate) fn dispatch(cluster: &mut Cluster, context: &RequestContext, reader: &mut Reader<'_>) -> Outcome {
            match context.api {
                ApiKey::API_VERSIONS => cluster.api_versions(context, reader),
                $(ApiKey::$key => with::<$request>(cluster, context, reader, Cluster::$method),)*
                _ => Outcome::Close("the API is not supported"),
            }
        }
    };
}

for_each_api!(define_dispatch);

fn with<R: Request>(
    cluster: &mut Cluster,
    context: &RequestContext,
    reader: &mut Reader<'_>,
    handle: fn(&mut Cluster, &RequestContext, R) -> Outcome,
) -> Outcome {
    // Java leaves bytes after the request unread, so they are here, too.
    match R::decode(reader, context.version) {
        Ok(request) => handle(cluster, context, request),
        Err(_) => Outcome::Close("the request cannot be decoded"),
    }
}

/// The number of an error as it stands on the wire.
pub(crate) const fn code(error: ErrorCode) -> i16 {
    error.0
}

/// The number of what went wrong, or of no error.
pub(crate) fn code_of(result: Result<(), ErrorCode>) -> i16 {
    code(result.err().unwrap_or(ErrorCode::NONE))
}
