//! The requests to coordinators, in the version that both sides speak.

use crate::ProducerIdentity;
use crate::offsets::{GroupMetadata, GroupOffset};
use bytes::Bytes;
use ottla_protocol::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest,
    InitProducerIdRequest, TxnOffsetCommitRequest,
};
use ottla_protocol::wire::Writer;
use ottla_protocol::{ApiKey, Request, VersionRange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which protocol of transactions the cluster speaks (KIP-890).
///
/// Exhaustive on purpose: who drives this by hand sends Produce by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Partitions are added before they are written to (AddPartitionsToTxn), and the epoch stays. Produce up to
    /// version 11.
    V1,
    /// Writing adds the partition, and each end of a transaction brings a new epoch. Produce from version 12 on.
    V2,
}

/// A request without frame and header, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutgoingRequest {
    /// Which API.
    pub api_key: ApiKey,
    /// The version that the body is encoded in.
    pub api_version: i16,
    /// Whether that version is flexible, so that the headers carry tagged fields.
    pub flexible: bool,
    /// The body.
    pub body: Bytes,
}

/// Why a request cannot be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// Broker and client have no version of it in common.
    Version(ApiKey),
    /// It cannot be encoded, for this reason: a name that is too long.
    Encode(String),
}

/// The versions that a broker speaks, by API.
pub(crate) type Versions<'a> = &'a dyn Fn(ApiKey) -> Option<VersionRange>;

/// FindCoordinator's types of keys.
pub(crate) const KEY_TYPE_GROUP: i8 = 0;
pub(crate) const KEY_TYPE_TRANSACTION: i8 = 1;

/// The version from which InitProducerId takes the identity that is to be renewed (KIP-360).
pub(crate) const RENEWS_FROM: i16 = 3;

pub(crate) fn find_coordinator(
    versions: Versions<'_>,
    key_type: i8,
    key: &str,
) -> Result<OutgoingRequest, Unsendable> {
    // Version 0 knows groups only.
    let ours = VersionRange::new(1, 6);
    encode(versions, ours, |version| {
        let mut request = FindCoordinatorRequest {
            key_type,
            ..FindCoordinatorRequest::default()
        };
        if version >= 4 {
            request.coordinator_keys.push(key.to_owned());
        } else {
            request.key = key.to_owned();
        }
        request
    })
}

/// `renews` is the identity that the producer has.
pub(crate) fn init_producer_id(
    versions: Versions<'_>,
    transactional_id: &str,
    timeout_ms: i32,
    renews: Option<ProducerIdentity>,
) -> Result<OutgoingRequest, Unsendable> {
    // Version 6 is for two-phase commit and not stable.
    let ours = VersionRange::new(if renews.is_some() { RENEWS_FROM } else { 0 }, 5);
    encode(versions, ours, |_| {
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id.to_owned()),
            transaction_timeout_ms: timeout_ms,
            ..InitProducerIdRequest::default()
        };
        match renews {
            Some(identity) => InitProducerIdRequest {
                producer_id: identity.producer_id,
                producer_epoch: identity.producer_epoch,
                ..request
            },
            None => request,
        }
    })
}

pub(crate) fn add_partitions(
    versions: Versions<'_>,
    transactional_id: &str,
    identity: ProducerIdentity,
    partitions: &BTreeMap<Arc<str>, BTreeSet<i32>>,
) -> Result<OutgoingRequest, Unsendable> {
    // From version 4 on it is for brokers among themselves.
    encode(versions, VersionRange::new(0, 3), |_| {
        let topics = partitions
            .iter()
            .map(|(name, partitions)| AddPartitionsToTxnTopic {
                name: name.to_string(),
                partitions: partitions.iter().copied().collect(),
                ..AddPartitionsToTxnTopic::default()
            });
        AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: transactional_id.to_owned(),
            v3_and_below_producer_id: identity.producer_id,
            v3_and_below_producer_epoch: identity.producer_epoch,
            v3_and_below_topics: topics.collect(),
            ..AddPartitionsToTxnRequest::default()
        }
    })
}

pub(crate) fn add_offsets(
    versions: Versions<'_>,
    transactional_id: &str,
    identity: ProducerIdentity,
    group_id: &str,
) -> Result<OutgoingRequest, Unsendable> {
    encode(versions, VersionRange::new(0, 4), |_| AddOffsetsToTxnRequest {
        transactional_id: transactional_id.to_owned(),
        producer_id: identity.producer_id,
        producer_epoch: identity.producer_epoch,
        group_id: group_id.to_owned(),
        ..AddOffsetsToTxnRequest::default()
    })
}

pub(crate) fn commit_offsets(
    versions: Versions<'_>,
    protocol: Protocol,
    transactional_id: &str,
    identity: ProducerIdentity,
    group: &GroupMetadata,
    offsets: &[GroupOffset],
) -> Result<OutgoingRequest, Unsendable> {
    let names_member =
        group.generation_id >= 0 || !group.member_id.is_empty() || group.group_instance_id.is_some();
    let ours = match protocol {
        // An older version would drop what fences a consumer that is not a member any more.
        Protocol::V1 => VersionRange::new(if names_member { 3 } else { 0 }, 4),
        // From here on it adds the group to the transaction.
        Protocol::V2 => VersionRange::new(5, 5),
    };
    encode(versions, ours, |version| {
        let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for offset in offsets {
            let partition = TxnOffsetCommitRequestPartition {
                partition_index: offset.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch.filter(|_| version >= 2).unwrap_or(-1),
                committed_metadata: Some(offset.metadata.clone().unwrap_or_default()),
                ..TxnOffsetCommitRequestPartition::default()
            };
            topics.entry(&offset.topic).or_default().push(partition);
        }
        let request = TxnOffsetCommitRequest {
            transactional_id: transactional_id.to_owned(),
            group_id: group.group_id.clone(),
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            topics: topics
                .into_iter()
                .map(|(name, partitions)| TxnOffsetCommitRequestTopic {
                    name: name.to_owned(),
                    partitions,
                    ..TxnOffsetCommitRequestTopic::default()
                })
                .collect(),
            ..TxnOffsetCommitRequest::default()
        };
        if version < 3 {
            return request;
        }
        TxnOffsetCommitRequest {
            generation_id: group.generation_id,
            member_id: group.member_id.clone(),
            group_instance_id: group.group_instance_id.clone(),
            ..request
        }
    })
}

pub(crate) fn end(
    versions: Versions<'_>,
    protocol: Protocol,
    transactional_id: &str,
    identity: ProducerIdentity,
    committed: bool,
) -> Result<OutgoingRequest, Unsendable> {
    let ours = match protocol {
        Protocol::V1 => VersionRange::new(0, 4),
        Protocol::V2 => VersionRange::new(5, 5),
    };
    encode(versions, ours, |_| EndTxnRequest {
        transactional_id: transactional_id.to_owned(),
        producer_id: identity.producer_id,
        producer_epoch: identity.producer_epoch,
        committed,
        ..EndTxnRequest::default()
    })
}

fn encode<R: Request>(
    versions: Versions<'_>,
    ours: VersionRange,
    make: impl FnOnce(i16) -> R,
) -> Result<OutgoingRequest, Unsendable> {
    let both = versions(R::KEY).and_then(|theirs| theirs.intersection(ours));
    let version = both.ok_or(Unsendable::Version(R::KEY))?.max;
    let mut writer = Writer::default();
    make(version)
        .encode(&mut writer, version)
        .map_err(|error| Unsendable::Encode(error.to_string()))?;
    Ok(OutgoingRequest {
        api_key: R::KEY,
        api_version: version,
        flexible: R::is_flexible(version),
        body: writer.into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::Message;
    use ottla_protocol::wire::Reader;

    const IDENTITY: ProducerIdentity = ProducerIdentity {
        producer_id: 4_000,
        producer_epoch: 7,
    };

    /// Every version that a broker could have as its only one: each request is made or refused, and what is made can
    /// be read.
    #[test]
    fn every_version_encodes_or_is_refused() {
        let group = GroupMetadata::new("g").member(3, "m");
        let offsets = [GroupOffset {
            leader_epoch: Some(2),
            ..GroupOffset::new("t", 1, 77)
        }];
        let partitions = BTreeMap::from([(Arc::from("t"), BTreeSet::from([0, 2]))]);
        for version in 0..8 {
            let versions = |_| Some(VersionRange::new(version, version));
            let mut made = vec![
                find_coordinator(&versions, KEY_TYPE_TRANSACTION, "x"),
                init_producer_id(&versions, "x", 1_000, None),
                init_producer_id(&versions, "x", 1_000, Some(IDENTITY)),
                add_partitions(&versions, "x", IDENTITY, &partitions),
                add_offsets(&versions, "x", IDENTITY, "g"),
            ];
            for protocol in [Protocol::V1, Protocol::V2] {
                made.push(commit_offsets(
                    &versions, protocol, "x", IDENTITY, &group, &offsets,
                ));
                made.push(end(&versions, protocol, "x", IDENTITY, true));
            }
            let found: String = made
                .iter()
                .map(|made| match made {
                    Ok(request) => {
                        assert_eq!(request.api_version, version);
                        '+'
                    }
                    Err(Unsendable::Version(_)) => '-',
                    Err(Unsendable::Encode(error)) => panic!("version {version}: {error}"),
                })
                .collect();
            // find, init, renew, add partitions, add offsets, v1: commit offsets, end; v2: the same.
            let expected = [
                "-+-++-+--",
                "++-++-+--",
                "++-++-+--",
                "++++++++-",
                "+++-+++--",
                "+++----++",
                "+--------",
                "---------",
            ];
            let expected = match version {
                3 => "+++++++--",
                other => expected[usize::try_from(other).expect("positive")],
            };
            assert_eq!(found, expected, "version {version}");
        }
    }

    #[test]
    fn offsets_go_by_topic() {
        let versions = |_| Some(VersionRange::new(0, 9));
        let offsets = [
            GroupOffset::new("b", 1, 10),
            GroupOffset::new("a", 0, 20),
            GroupOffset::new("b", 0, 30),
        ];
        let made = commit_offsets(
            &versions,
            Protocol::V2,
            "x",
            IDENTITY,
            &GroupMetadata::new("g"),
            &offsets,
        );
        let made = made.expect("it can be made");
        let read = TxnOffsetCommitRequest::decode(&mut Reader::from_bytes(&made.body), made.api_version);
        let read = read.expect("it can be read");
        assert_eq!((made.api_version, read.topics.len()), (5, 2));
        assert_eq!((read.generation_id, read.member_id.as_str()), (-1, ""));
        assert_eq!(read.topics[1].name, "b");
        assert_eq!(read.topics[1].partitions[1].committed_offset, 30);
    }
}
