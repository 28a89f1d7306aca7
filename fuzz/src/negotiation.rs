//! What a broker answers to ApiVersions, the first thing that it says: against a model of the fallbacks.
//!
//! Input: answers, each with its length in front (8 bits). The versions that are asked for only get older, nothing else is
//! asked before one was accepted, and what was accepted stands in the answer.

use std::time::Duration;

use bytes::Bytes;
use ottla_network::{ConnectionId, Endpoint, IoAction, Network, NetworkConfig, NetworkEvent};
use ottla_protocol::Message as _;
use ottla_protocol::messages::ApiVersionsResponse;
use ottla_protocol::wire::Reader;
use ottla_time::Time;

use crate::within;

const NODE: i32 = 1;
const API_VERSIONS: i16 = 18;
const UNSUPPORTED_VERSION: i16 = 35;
const NEWEST: i16 = 4;

/// One input.
pub fn run(input: &[u8]) {
    within(256 * 1024 + 256 * input.len(), || negotiate(input));
}

/// Returns the version in which the broker was understood.
fn negotiate(mut input: &[u8]) -> Option<i16> {
    let now = Time::from_millis(1);
    let mut network = Network::new(NetworkConfig::default(), 7).expect("good settings");
    network.connect(NODE, Endpoint::new("broker", 9092), now);
    let mut expected = Model::Ask(NEWEST);
    loop {
        let (asked, ended) = turn(&mut network, now);
        match (&expected, asked, ended) {
            (Model::Ask(version), Some((asked, ..)), None) => assert_eq!(asked, *version),
            (Model::Ready(version, response), None, Some(true)) => {
                check_versions(&network, response);
                return Some(*version);
            }
            (Model::Refused, None, Some(false)) => return None,
            (expected, asked, ended) => panic!("{expected:?}, but {asked:?} and {ended:?}"),
        }
        let Some((&length, rest)) = input.split_first() else {
            // The broker says nothing more.
            network.handle_timeout(now + Duration::from_secs(60));
            assert_eq!(turn(&mut network, now).1, Some(false));
            return None;
        };
        let (answer, rest) = rest.split_at(usize::from(length).min(rest.len()));
        input = rest;
        let (version, correlation_id, id) = asked.expect("the model says so");
        expected = Model::of(answer, version);
        let size = answer.len() as i32 + 4;
        let frame = [&size.to_be_bytes()[..], &correlation_id.to_be_bytes(), answer].concat();
        network.handle_read(id, frame.into(), now);
    }
}

/// What comes of an answer.
#[derive(Debug)]
enum Model {
    /// It is asked for in this version.
    Ask(i16),
    Ready(i16, ApiVersionsResponse),
    Refused,
}

impl Model {
    fn of(answer: &[u8], version: i16) -> Model {
        let code = answer.first_chunk().map(|code| i16::from_be_bytes(*code));
        match code {
            Some(0) => match ApiVersionsResponse::decode(
                &mut Reader::from_bytes(&Bytes::copy_from_slice(answer)),
                version,
            ) {
                Ok(response) => Model::Ready(version, response),
                Err(_) => Model::Refused,
            },
            Some(UNSUPPORTED_VERSION) if version > 0 => {
                Model::Ask(newest_in_version_0(answer).unwrap_or(0).clamp(0, version - 1))
            }
            _ => Model::Refused,
        }
    }
}

/// The newest version of ApiVersions in an answer of version 0: a code, and ranges of three numbers.
fn newest_in_version_0(answer: &[u8]) -> Option<i16> {
    let number = |at: usize| Some(i16::from_be_bytes(*answer.get(at..)?.first_chunk()?));
    let count = i32::from_be_bytes(*answer.get(2..)?.first_chunk()?);
    let count = usize::try_from(count).ok()?;
    if answer.len() < count.checked_mul(6)?.checked_add(6)? {
        return None;
    }
    (0..count)
        .map(|index| 6 + 6 * index)
        .find(|&at| number(at) == Some(API_VERSIONS))
        .and_then(|at| number(at + 4))
}

/// Does what the network wants. The version, the correlation id and the connection of what it asks, if it asks, and whether it became
/// ready, if the attempt ended.
fn turn(network: &mut Network, now: Time) -> (Option<(i16, i32, ConnectionId)>, Option<bool>) {
    let (mut asked, mut ended) = (None, None);
    while let Some(action) = network.poll_io() {
        let id = action.connection();
        match action {
            IoAction::Resolve { .. } => {
                network.handle_resolved(id, Ok(vec![([127, 0, 0, 1], 9092).into()]), now);
            }
            IoAction::Dial { .. } => network.handle_connected(id, now),
            IoAction::Write { header, body, .. } => {
                let number = |at: usize| i16::from_be_bytes(*header[at..].first_chunk().expect("a header"));
                assert_eq!(number(4), API_VERSIONS, "nothing else goes first");
                let correlation_id = i32::from_be_bytes(*header[8..].first_chunk().expect("a header"));
                assert_eq!(
                    asked.replace((number(6), correlation_id, id)),
                    None,
                    "one at a time"
                );
                network.handle_written(id, header.len() + body.bytes_total(), now);
            }
            _ => {}
        }
    }
    while let Some(event) = network.poll_event() {
        match event {
            NetworkEvent::Ready { .. } => ended = Some(true),
            NetworkEvent::Disconnected { error, .. } => {
                assert!(!error.to_string().contains('\n'), "{error}");
                ended = Some(false);
            }
            _ => {}
        }
    }
    (asked, ended)
}

/// The first range of each key, and no other.
fn check_versions(network: &Network, response: &ApiVersionsResponse) {
    let versions = network.versions(NODE).expect("it is ready");
    for api in &response.api_keys {
        let first = response
            .api_keys
            .iter()
            .find(|other| other.api_key == api.api_key);
        let range = versions.range(api.api_key).expect("it was listed");
        let first = first.expect("it is in there");
        assert_eq!((range.min, range.max), (first.min_version, first.max_version));
    }
    assert!(versions.apis.len() <= response.api_keys.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_gets_through() {
        assert_eq!(negotiate(include_bytes!("../corpus/negotiation/newest")), Some(4));
        assert_eq!(negotiate(include_bytes!("../corpus/negotiation/older")), Some(2));
        assert_eq!(negotiate(include_bytes!("../corpus/negotiation/oldest")), Some(0));
    }
}
