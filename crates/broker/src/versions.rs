//! Which versions of which APIs each pose speaks.
//!
//! The numbers were read off the releases themselves (`ApiKeys` of kafka-clients 2.1.1, 2.8.2, 3.9.1, 4.0.0 and 4.3.1).
//! Versions that KIP-896 removed from the schemas cannot be spoken in any pose: the tables begin where those do.

use crate::config::{Pose, TransactionVersion};
use ottla_protocol::ApiKey;

/// The range of versions of an API in each pose, oldest pose first; `None` where the release has not got the API.
struct Row {
    api: ApiKey,
    ranges: [Option<(i16, i16)>; 5],
}

const fn row(api: ApiKey, ranges: [Option<(i16, i16)>; 5]) -> Row {
    Row { api, ranges }
}

const fn all(api: ApiKey, min: i16, max: [i16; 5]) -> Row {
    let [a, b, c, d, e] = max;
    row(
        api,
        [
            Some((min, a)),
            Some((min, b)),
            Some((min, c)),
            Some((min, d)),
            Some((min, e)),
        ],
    )
}

/// Every API that the broker carries out.
const TABLE: &[Row] = &[
    all(ApiKey::PRODUCE, 3, [7, 9, 11, 12, 13]),
    all(ApiKey::FETCH, 4, [10, 12, 17, 17, 18]),
    all(ApiKey::LIST_OFFSETS, 1, [4, 6, 9, 10, 11]),
    all(ApiKey::METADATA, 0, [7, 11, 12, 13, 13]),
    all(ApiKey::OFFSET_COMMIT, 2, [6, 8, 9, 9, 10]),
    all(ApiKey::OFFSET_FETCH, 1, [5, 7, 9, 9, 10]),
    all(ApiKey::FIND_COORDINATOR, 0, [2, 3, 6, 6, 6]),
    row(
        ApiKey::JOIN_GROUP,
        [
            Some((0, 3)),
            Some((0, 7)),
            Some((0, 9)),
            Some((2, 9)),
            Some((0, 9)),
        ],
    ),
    all(ApiKey::HEARTBEAT, 0, [2, 4, 4, 4, 4]),
    all(ApiKey::LEAVE_GROUP, 0, [2, 4, 5, 5, 5]),
    all(ApiKey::SYNC_GROUP, 0, [2, 5, 5, 5, 5]),
    all(ApiKey::DESCRIBE_GROUPS, 0, [2, 5, 5, 6, 6]),
    all(ApiKey::LIST_GROUPS, 0, [2, 4, 5, 5, 5]),
    all(ApiKey::SASL_HANDSHAKE, 0, [1, 1, 1, 1, 1]),
    all(ApiKey::API_VERSIONS, 0, [2, 3, 4, 4, 4]),
    all(ApiKey::CREATE_TOPICS, 2, [3, 7, 7, 7, 7]),
    all(ApiKey::DELETE_TOPICS, 1, [3, 6, 6, 6, 6]),
    all(ApiKey::DELETE_RECORDS, 0, [1, 2, 2, 2, 2]),
    all(ApiKey::INIT_PRODUCER_ID, 0, [1, 4, 5, 5, 5]),
    all(ApiKey::OFFSET_FOR_LEADER_EPOCH, 2, [2, 4, 4, 4, 4]),
    all(ApiKey::ADD_PARTITIONS_TO_TXN, 0, [1, 3, 5, 5, 5]),
    all(ApiKey::ADD_OFFSETS_TO_TXN, 0, [1, 3, 4, 4, 4]),
    all(ApiKey::END_TXN, 0, [1, 3, 4, 5, 5]),
    all(ApiKey::TXN_OFFSET_COMMIT, 0, [2, 3, 4, 5, 5]),
    all(ApiKey::DESCRIBE_CONFIGS, 1, [2, 4, 4, 4, 4]),
    all(ApiKey::SASL_AUTHENTICATE, 0, [0, 2, 2, 2, 2]),
    all(ApiKey::CREATE_PARTITIONS, 0, [1, 3, 3, 3, 3]),
    all(ApiKey::DELETE_GROUPS, 0, [1, 2, 2, 2, 2]),
    row(
        ApiKey::DESCRIBE_CLUSTER,
        [None, Some((0, 0)), Some((0, 1)), Some((0, 2)), Some((0, 2))],
    ),
    row(
        ApiKey::DESCRIBE_PRODUCERS,
        [None, Some((0, 0)), Some((0, 0)), Some((0, 0)), Some((0, 0))],
    ),
    row(
        ApiKey::DESCRIBE_TRANSACTIONS,
        [None, None, Some((0, 0)), Some((0, 0)), Some((0, 0))],
    ),
    row(
        ApiKey::LIST_TRANSACTIONS,
        [None, None, Some((0, 1)), Some((0, 1)), Some((0, 2))],
    ),
    row(
        ApiKey::GET_TELEMETRY_SUBSCRIPTIONS,
        [None, None, Some((0, 0)), Some((0, 0)), Some((0, 0))],
    ),
    row(
        ApiKey::PUSH_TELEMETRY,
        [None, None, Some((0, 0)), Some((0, 0)), Some((0, 0))],
    ),
    row(
        ApiKey::DESCRIBE_TOPIC_PARTITIONS,
        [None, None, Some((0, 0)), Some((0, 0)), Some((0, 0))],
    ),
];

fn column(pose: Pose) -> usize {
    match pose {
        Pose::V2_1 => 0,
        Pose::V2_8 => 1,
        Pose::V3_9 => 2,
        Pose::V4_0 => 3,
        Pose::V4_3 => 4,
    }
}

/// Every API of a pose with its range of versions, in the order of their keys.
pub(crate) fn supported(pose: Pose) -> impl Iterator<Item = (ApiKey, i16, i16)> {
    TABLE
        .iter()
        .filter_map(move |row| row.ranges[column(pose)].map(|(min, max)| (row.api, min, max)))
}

/// Whether a pose carries out this version of an API.
pub(crate) fn is_supported(pose: Pose, api: ApiKey, version: i16) -> bool {
    let range = TABLE
        .iter()
        .find(|row| row.api == api)
        .and_then(|row| row.ranges[column(pose)]);
    range.is_some_and(|(min, max)| (min..=max).contains(&version))
}

/// Whether an API is offered only by clusters that want to know their clients' metrics.
pub(crate) fn is_telemetry(api: ApiKey) -> bool {
    matches!(api, ApiKey::GET_TELEMETRY_SUBSCRIPTIONS | ApiKey::PUSH_TELEMETRY)
}

/// The lowest version that is advertised. Brokers from 4.0 advertise Produce from 0, although they refuse what is
/// below 3: librdkafka would not talk to them otherwise (KIP-896). The older releases really had them.
pub(crate) fn advertised_min(api: ApiKey, min: i16) -> i16 {
    if api == ApiKey::PRODUCE { 0 } else { min }
}

/// A feature that ApiVersions announces: name, least and greatest level, finalised level.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
    pub(crate) finalised: i16,
}

/// The features of a pose (KIP-584), as far as clients look at them.
pub(crate) fn features(pose: Pose, transactions: TransactionVersion) -> Vec<Feature> {
    let feature = |name, min, max, finalised| Feature {
        name,
        min,
        max,
        finalised,
    };
    let transaction = |max| feature("transaction.version", 0, max, transactions.level());
    match pose {
        Pose::V2_1 | Pose::V2_8 => Vec::new(),
        Pose::V3_9 => vec![feature("metadata.version", 1, 21, 21), transaction(1)],
        Pose::V4_0 => vec![
            feature("group.version", 0, 1, 1),
            feature("metadata.version", 7, 25, 25),
            transaction(2),
        ],
        Pose::V4_3 => vec![
            feature("group.version", 0, 1, 1),
            feature("metadata.version", 7, 30, 30),
            transaction(2),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_keys_and_ranges_are_ranges() {
        let keys: Vec<i16> = TABLE.iter().map(|row| row.api.0).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for row in TABLE {
            for (min, max) in row.ranges.into_iter().flatten() {
                assert!(0 <= min && min <= max, "{:?}", row.api);
            }
        }
    }

    #[test]
    fn poses_differ_where_producers_look() {
        let produce = |pose| {
            supported(pose)
                .find(|&(api, ..)| api == ApiKey::PRODUCE)
                .map(|(_, _, max)| max)
        };
        let poses = [Pose::V2_1, Pose::V2_8, Pose::V3_9, Pose::V4_0, Pose::V4_3];
        assert_eq!(
            poses.map(produce),
            [Some(7), Some(9), Some(11), Some(12), Some(13)]
        );
        assert!(!is_supported(Pose::V4_3, ApiKey::PRODUCE, 2));
        assert!(!is_supported(Pose::V2_8, ApiKey::END_TXN, 5));
        assert!(is_supported(Pose::V4_0, ApiKey::END_TXN, 5));
        assert_eq!(features(Pose::V2_8, TransactionVersion::V0).len(), 0);
    }
}
