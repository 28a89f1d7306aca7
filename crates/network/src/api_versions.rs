//! The first exchange on a connection: what the broker can do.

use crate::error::NetworkErrorKind;
use crate::{ApiRange, BrokerVersions, FinalizedFeature, NetworkConfig, OutgoingRequest};
use bytes::Bytes;
use ottla_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, Message};
use std::time::Duration;

/// The newest version of ApiVersions that this client speaks, and tries first.
pub(crate) const VERSION_MAX: i16 = 4;
/// UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

/// What the answer means for the setup.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// The broker's abilities.
    Versions(BrokerVersions),
    /// Ask again, in this older version.
    Retry(i16),
}

/// The request in `version`, which is at most [`VERSION_MAX`].
pub(crate) fn request(version: i16, config: &NetworkConfig) -> OutgoingRequest {
    let request = ApiVersionsRequest {
        client_software_name: config.client_software_name.clone(),
        client_software_version: config.client_software_version.clone(),
        ..ApiVersionsRequest::default()
    };
    OutgoingRequest::encode(0, &request, version, config.request_timeout)
        // Every version up to the newest is known, and `NetworkConfig::check` bounds both strings.
        .expect("ApiVersions can be encoded")
}

/// The answer to a request in `version`. Bytes after the message are let pass, as Java does.
///
/// A broker that does not know the version answers in version 0, with UNSUPPORTED_VERSION and, since KIP-511, the
/// versions of ApiVersions that it knows; if it does not say, version 0 is left to try.
pub(crate) fn answer(body: &Bytes, version: i16) -> Result<Answer, NetworkErrorKind> {
    let code = body.first_chunk().map(|&code| i16::from_be_bytes(code));
    match code {
        // An empty body is left to the decoder, whose error says where it ends.
        None | Some(0) => {
            let response =
                ApiVersionsResponse::decode(&mut Reader::from_bytes(body), version).map_err(|error| {
                    NetworkErrorKind::Malformed {
                        detail: error.to_string(),
                    }
                })?;
            Ok(Answer::Versions(versions(response)))
        }
        Some(UNSUPPORTED_VERSION) if version > 0 => {
            let newest = ApiVersionsResponse::decode(&mut Reader::from_bytes(body), 0)
                .ok()
                .and_then(|response| versions(response).range(ApiKey::API_VERSIONS.0))
                .map_or(0, |range| range.max);
            // Older than what was tried, whatever the broker says: it must not make us ask for ever.
            Ok(Answer::Retry(newest.clamp(0, version - 1)))
        }
        Some(code) => Err(NetworkErrorKind::ApiVersionsRefused { code }),
    }
}

fn versions(response: ApiVersionsResponse) -> BrokerVersions {
    let mut apis: Vec<_> = (response.api_keys.iter())
        .map(|api| ApiRange {
            key: api.api_key,
            min: api.min_version,
            max: api.max_version,
        })
        .collect();
    // If a key comes twice, the first stays.
    apis.sort_by_key(|range| range.key);
    apis.dedup_by_key(|range| range.key);
    let finalized_features = (response.finalized_features.into_iter())
        .map(|feature| FinalizedFeature {
            name: feature.name,
            min_level: feature.min_version_level,
            max_level: feature.max_version_level,
        })
        .collect();
    BrokerVersions {
        apis,
        finalized_features,
        finalized_features_epoch: response.finalized_features_epoch,
        throttle: Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0)),
    }
}
