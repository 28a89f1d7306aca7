//! ApiVersions: what the broker speaks.

use super::code;
use crate::cluster::Cluster;
use crate::request::{Outcome, RequestContext};
use crate::versions;
use ottla_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, ErrorCode, Message};

impl Cluster {
    /// ApiVersions is the one API that answers a version it does not speak: in version 0, with the versions that it does
    /// (KIP-511).
    pub(super) fn api_versions(&mut self, context: &RequestContext, reader: &mut Reader<'_>) -> Outcome {
        let pose = self.config.pose;
        let ours = versions::supported(pose).find(|&(api, ..)| api == ApiKey::API_VERSIONS);
        let supported = versions::is_supported(pose, ApiKey::API_VERSIONS, context.version);
        if !supported {
            let response = ApiVersionsResponse {
                error_code: code(ErrorCode::UNSUPPORTED_VERSION),
                api_keys: ours.into_iter().map(describe).collect(),
                ..ApiVersionsResponse::default()
            };
            return context.answer_as::<ApiVersionsRequest>(&response, 0);
        }
        let Ok(request) = ApiVersionsRequest::decode(reader, context.version) else {
            return Outcome::Close("the request cannot be decoded");
        };
        let named = is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version);
        let error = if let Some(error) = context.error() {
            Some(error)
        } else if context.version >= 3 && !named {
            Some(ErrorCode::INVALID_REQUEST)
        } else {
            None
        };
        let response = match error {
            Some(error) => ApiVersionsResponse {
                error_code: code(error),
                ..ApiVersionsResponse::default()
            },
            None => self.versions(context),
        };
        context.answer::<ApiVersionsRequest>(&response)
    }

    fn versions(&self, context: &RequestContext) -> ApiVersionsResponse {
        let pose = self.config.pose;
        let flexible = context.version >= 3;
        let features = if flexible {
            versions::features(pose, self.config.effective_transaction_version())
        } else {
            Vec::new()
        };
        // Until version 4 a feature with a least level of 0 is left out: older clients refuse it (KAFKA-17492).
        let told = |min: i16| context.version >= 4 || min > 0;
        ApiVersionsResponse {
            error_code: code(context.told(ErrorCode::NONE)),
            api_keys: versions::supported(pose)
                .filter(|&(api, ..)| self.offers(api))
                .map(describe)
                .collect(),
            throttle_time_ms: context.throttle_ms(),
            supported_features: features
                .iter()
                .filter(|feature| told(feature.min))
                .map(|feature| SupportedFeatureKey {
                    name: feature.name.to_owned(),
                    min_version: feature.min,
                    max_version: feature.max,
                    ..SupportedFeatureKey::default()
                })
                .collect(),
            finalized_features_epoch: if features.is_empty() { -1 } else { 1 },
            finalized_features: features
                .iter()
                .filter(|feature| feature.finalised > 0)
                .map(|feature| FinalizedFeatureKey {
                    name: feature.name.to_owned(),
                    max_version_level: feature.finalised,
                    min_version_level: feature.finalised,
                    ..FinalizedFeatureKey::default()
                })
                .collect(),
            ..ApiVersionsResponse::default()
        }
    }
}

fn describe((api, min, max): (ApiKey, i16, i16)) -> ApiVersion {
    ApiVersion {
        api_key: api.0,
        min_version: versions::advertised_min(api, min),
        max_version: max,
        ..ApiVersion::default()
    }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let bytes = name.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|&byte| inner(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names() {
        for good in ["a", "apache-kafka-java", "4.3.1", "9"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
