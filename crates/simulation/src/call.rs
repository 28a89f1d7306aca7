//! Requests about transactions, as far as they can end a producer that has no twin.

use crate::counters::Counters;
use crate::wire::End;
use bytes::Bytes;
use ottla_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
    TxnOffsetCommitResponse,
};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_sender::Request;

/// The version of EndTxn that a transaction of protocol 2 ends with (KIP-890).
pub(crate) const END_TXN_OF_PROTOCOL_2: i16 = 5;

/// A request that may tell a producer that it is fenced.
///
/// A coordinator that gives a transaction up because of its timeout raises the epoch, and whatever comes after that is
/// refused as if there were a twin. Only of an abort this is known to be harmless (KIP-588). An InitProducerId without an
/// answer may be carried out later, and fences who sent it. A commit that may be done, and is to be aborted, is the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Init,
    AddPartitions(i16),
    AddOffsets(i16),
    CommitOffsets(i16),
    Commit(i16),
    Abort(i16),
}

impl Call {
    pub(crate) fn read(request: &Request) -> Option<Call> {
        let version = request.api_version;
        let key = ApiKey(request.api_key);
        Some(match key {
            ApiKey::INIT_PRODUCER_ID => Call::Init,
            ApiKey::ADD_PARTITIONS_TO_TXN => Call::AddPartitions(version),
            ApiKey::ADD_OFFSETS_TO_TXN => Call::AddOffsets(version),
            ApiKey::TXN_OFFSET_COMMIT => Call::CommitOffsets(version),
            ApiKey::END_TXN => {
                let body = Bytes::from(request.body.concat());
                let request = EndTxnRequest::decode(&mut Reader::from_bytes(&body), version).ok()?;
                match request.committed {
                    true => Call::Commit(version),
                    false => Call::Abort(version),
                }
            }
            _ => return None,
        })
    }

    /// Whether it is EndTxn.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Call::Commit(_) | Call::Abort(_))
    }

    /// Counts what became of it.
    pub(crate) fn count(self, end: &End<'_>, counters: &mut Counters) {
        match end {
            End::Failed { written: true } => match self {
                Call::Init => counters.lost_inits += 1,
                Call::AddPartitions(_) => counters.lost_additions += 1,
                Call::AddOffsets(_) | Call::CommitOffsets(_) => counters.lost_offsets += 1,
                Call::Commit(_) | Call::Abort(_) => counters.lost_ends += 1,
            },
            End::Answered(body) => {
                let codes = self.codes(body);
                let refused = codes.iter().any(|&code| {
                    matches!(
                        ErrorCode(code),
                        ErrorCode::NOT_COORDINATOR
                            | ErrorCode::COORDINATOR_NOT_AVAILABLE
                            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                    )
                });
                counters.coordinator_refusals += u64::from(refused);
                if let (Call::Commit(version) | Call::Abort(version), [0]) = (self, &codes[..]) {
                    match version {
                        ..END_TXN_OF_PROTOCOL_2 => counters.ended_1 += 1,
                        _ => counters.ended_2 += 1,
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether a producer may be at its end for this.
    pub(crate) fn excuses(self, end: &End<'_>) -> bool {
        match (self, end) {
            (Call::Init, End::Failed { written }) => *written,
            // No coordinator says this of an abort; a planted fault does.
            (Call::Abort(_), End::Answered(body)) => self.codes(body) == [ErrorCode::TRANSACTION_ABORTABLE.0],
            (_, End::Answered(body)) => self.codes(body).into_iter().any(|code| match ErrorCode(code) {
                ErrorCode::PRODUCER_FENCED
                | ErrorCode::INVALID_PRODUCER_EPOCH
                | ErrorCode::INVALID_PRODUCER_ID_MAPPING => true,
                // The coordinator has aborted it, or a planted fault says so.
                ErrorCode::INVALID_TXN_STATE | ErrorCode::TRANSACTION_ABORTABLE => {
                    matches!(self, Call::Commit(_))
                }
                _ => false,
            }),
            _ => false,
        }
    }

    fn codes(self, body: &Bytes) -> Vec<i16> {
        let mut reader = Reader::from_bytes(body);
        match self {
            Call::Init => Vec::new(),
            Call::AddPartitions(version) => AddPartitionsToTxnResponse::decode(&mut reader, version)
                .map(|answer| answer.results_by_topic_v3_and_below)
                .unwrap_or_default()
                .iter()
                .flat_map(|topic| &topic.results_by_partition)
                .map(|partition| partition.partition_error_code)
                .collect(),
            Call::AddOffsets(version) => AddOffsetsToTxnResponse::decode(&mut reader, version)
                .map(|answer| vec![answer.error_code])
                .unwrap_or_default(),
            Call::CommitOffsets(version) => TxnOffsetCommitResponse::decode(&mut reader, version)
                .map(|answer| answer.topics)
                .unwrap_or_default()
                .iter()
                .flat_map(|topic| &topic.partitions)
                .map(|partition| partition.error_code)
                .collect(),
            Call::Commit(version) | Call::Abort(version) => EndTxnResponse::decode(&mut reader, version)
                .map(|answer| vec![answer.error_code])
                .unwrap_or_default(),
        }
    }
}
