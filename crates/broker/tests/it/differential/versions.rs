//! What is offered: APIs, versions, features.

use super::{Script, compare};
use crate::link::Link;
use crate::session::Session;
use ottla_protocol::messages::ApiVersionsRequest;
use ottla_protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

/// Which versions are offered, and which features.
struct Versions;

impl Script for Versions {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        for version in 0..=4 {
            let request = ApiVersionsRequest {
                client_software_name: "test".to_owned(),
                client_software_version: "1.0".to_owned(),
                ..ApiVersionsRequest::default()
            };
            let answer = session.call(&request, version).expect("an answer");
            let ranges: BTreeMap<i16, (i16, i16)> = answer
                .api_keys
                .iter()
                .map(|api| (api.api_key, (api.min_version, api.max_version)))
                .collect();
            // What the core does not offer at all is no difference.
            for key in OFFERED {
                session.note(format!("{version}: {key} {:?}", ranges.get(&key.0)));
            }
            let features = ["group.version", "transaction.version"];
            for name in features {
                let supported = answer
                    .supported_features
                    .iter()
                    .find(|feature| feature.name == name);
                let finalised = answer
                    .finalized_features
                    .iter()
                    .find(|feature| feature.name == name);
                session.note(format!(
                    "{version}: {name} {:?} {:?}",
                    supported.map(|feature| (feature.min_version, feature.max_version)),
                    finalised.map(|feature| (feature.min_version_level, feature.max_version_level)),
                ));
            }
        }
        for name in ["", "-x", "a b"] {
            let request = ApiVersionsRequest {
                client_software_name: name.to_owned(),
                ..ApiVersionsRequest::default()
            };
            let answer = session.call(&request, 3).expect("an answer");
            session.note(format!("name {name:?} -> {}", ErrorCode(answer.error_code)));
        }
    }
}

const OFFERED: [ApiKey; 31] = [
    ApiKey::PRODUCE,
    ApiKey::FETCH,
    ApiKey::LIST_OFFSETS,
    ApiKey::METADATA,
    ApiKey::OFFSET_COMMIT,
    ApiKey::OFFSET_FETCH,
    ApiKey::FIND_COORDINATOR,
    ApiKey::JOIN_GROUP,
    ApiKey::HEARTBEAT,
    ApiKey::LEAVE_GROUP,
    ApiKey::SYNC_GROUP,
    ApiKey::DESCRIBE_GROUPS,
    ApiKey::LIST_GROUPS,
    ApiKey::API_VERSIONS,
    ApiKey::CREATE_TOPICS,
    ApiKey::DELETE_TOPICS,
    ApiKey::DELETE_RECORDS,
    ApiKey::INIT_PRODUCER_ID,
    ApiKey::OFFSET_FOR_LEADER_EPOCH,
    ApiKey::ADD_PARTITIONS_TO_TXN,
    ApiKey::ADD_OFFSETS_TO_TXN,
    ApiKey::END_TXN,
    ApiKey::TXN_OFFSET_COMMIT,
    ApiKey::DESCRIBE_CONFIGS,
    ApiKey::CREATE_PARTITIONS,
    ApiKey::DELETE_GROUPS,
    ApiKey::DESCRIBE_CLUSTER,
    ApiKey::DESCRIBE_PRODUCERS,
    ApiKey::DESCRIBE_TRANSACTIONS,
    ApiKey::LIST_TRANSACTIONS,
    ApiKey::DESCRIBE_TOPIC_PARTITIONS,
];

#[test]
fn versions_and_features() {
    compare(Versions);
}
