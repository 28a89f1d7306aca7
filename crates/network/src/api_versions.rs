//! The first exchange on a connection: what the broker can do.

use crate::error::NetworkErrorKind;
use crate::session::{API_VERSIONS, unsigned_varint};
use crate::{ApiRange, BrokerVersions, FinalizedFeature, NetworkConfig, OutgoingRequest};
use bytes::{Buf, BufMut, Bytes, BytesMut};
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

/// The request in `version`.
pub(crate) fn request(version: i16, config: &NetworkConfig) -> OutgoingRequest {
    let mut body = BytesMut::new();
    if version >= 3 {
        for value in [&config.client_software_name, &config.client_software_version] {
            put_unsigned_varint(&mut body, value.len() as u32 + 1);
            body.put_slice(value.as_bytes());
        }
        body.put_u8(0);
    }
    OutgoingRequest {
        id: 0,
        api_key: API_VERSIONS,
        api_version: version,
        flexible: version >= 3,
        body: body.freeze().into(),
        expects_response: true,
        timeout: config.request_timeout,
    }
}

/// The answer to a request in `version`.
///
/// A broker that does not know the version answers in version 0, with UNSUPPORTED_VERSION and, since KIP-511, the
/// versions of ApiVersions that it knows; if it does not say, version 0 is left to try.
pub(crate) fn answer(body: &Bytes, version: i16) -> Result<Answer, NetworkErrorKind> {
    let malformed = || NetworkErrorKind::Malformed {
        detail: "ApiVersions".to_owned(),
    };
    let code = i16::from_be_bytes(*body.first_chunk().ok_or_else(malformed)?);
    match code {
        0 => decode(body.clone(), version)
            .map(Answer::Versions)
            .ok_or_else(malformed),
        UNSUPPORTED_VERSION if version > 0 => {
            let known = decode(body.clone(), 0).and_then(|versions| versions.range(API_VERSIONS));
            Ok(Answer::Retry(
                known
                    .map_or(0, |range| range.max)
                    .clamp(0, VERSION_MAX)
                    .min(version - 1),
            ))
        }
        code => Err(NetworkErrorKind::ApiVersionsRefused { code }),
    }
}

fn decode(mut input: Bytes, version: i16) -> Option<BrokerVersions> {
    let flexible = version >= 3;
    let mut versions = BrokerVersions {
        finalized_features_epoch: -1,
        ..BrokerVersions::default()
    };
    input.try_get_i16().ok()?;
    let count = if flexible {
        unsigned_varint(&mut input)?.checked_sub(1)?
    } else {
        input.try_get_u32().ok()?
    };
    if count as usize > input.len() / 6 {
        return None;
    }
    for _ in 0..count {
        let [key, min, max] = [
            input.try_get_i16().ok()?,
            input.try_get_i16().ok()?,
            input.try_get_i16().ok()?,
        ];
        versions.apis.push(ApiRange { key, min, max });
        if flexible {
            skip_tagged(&mut input)?;
        }
    }
    versions.apis.sort_by_key(|range| range.key);
    versions.apis.dedup_by_key(|range| range.key);
    if version >= 1 {
        let throttle_ms = input.try_get_i32().ok()?;
        versions.throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
    }
    if flexible {
        for _ in 0..unsigned_varint(&mut input)? {
            let tag = unsigned_varint(&mut input)?;
            let length = unsigned_varint(&mut input)? as usize;
            let mut field = (length <= input.len()).then(|| input.split_to(length))?;
            match tag {
                1 => versions.finalized_features_epoch = field.try_get_i64().ok()?,
                2 => versions.finalized_features = features(&mut field)?,
                _ => {}
            }
        }
    }
    Some(versions)
}

fn features(field: &mut Bytes) -> Option<Vec<FinalizedFeature>> {
    let mut features = Vec::new();
    for _ in 0..unsigned_varint(field)?.checked_sub(1)? {
        let length = unsigned_varint(field)?.checked_sub(1)? as usize;
        let name = (length <= field.len()).then(|| field.split_to(length))?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        let [max_level, min_level] = [field.try_get_i16().ok()?, field.try_get_i16().ok()?];
        skip_tagged(field)?;
        features.push(FinalizedFeature {
            name,
            min_level,
            max_level,
        });
    }
    Some(features)
}

fn skip_tagged(input: &mut Bytes) -> Option<()> {
    for _ in 0..unsigned_varint(input)? {
        unsigned_varint(input)?;
        let length = unsigned_varint(input)? as usize;
        (length <= input.len()).then(|| input.advance(length))?;
    }
    Some(())
}

fn put_unsigned_varint(output: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        output.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    output.put_u8(value as u8);
}
