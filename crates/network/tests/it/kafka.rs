//! A real Kafka. Its bootstrap address is in `OTTLA_KAFKA_BOOTSTRAP`; without it these tests say `SKIPPED:`, and with
//! `CI` set they fail.

use crate::client::Client;
use crate::support::config;
use ottla_network::{Endpoint, NetworkErrorKind, NetworkEvent, OutgoingRequest, Segments};
use ottla_protocol::messages::{MetadataRequest, MetadataResponse};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, Message};
use ottla_time::Clock as _;
use std::time::Duration;

/// The first bootstrap server, if there is one.
fn bootstrap() -> Option<Endpoint> {
    let Ok(servers) = std::env::var("OTTLA_KAFKA_BOOTSTRAP") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and OTTLA_KAFKA_BOOTSTRAP is not"
        );
        println!("SKIPPED: OTTLA_KAFKA_BOOTSTRAP does not name a Kafka");
        return None;
    };
    let (host, port) = servers.split(',').next()?.rsplit_once(':').expect("host:port");
    Some(Endpoint::new(host, port.parse().expect("a port")))
}

async fn ready(endpoint: Endpoint) -> Client {
    let mut client = Client::new(config());
    client.driver.connect(-1, endpoint, client.clock.now());
    match client.event().await {
        NetworkEvent::Ready { node: -1, versions } => {
            let produce = versions
                .range(ApiKey::PRODUCE.0)
                .expect("every broker takes Produce");
            assert!(produce.min <= 3 && produce.max >= 3, "{produce:?}");
            assert!(versions.range(ApiKey::API_VERSIONS.0).is_some());
        }
        other => panic!("{other:?}"),
    }
    client
}

/// Metadata in every version that both sides know, all in flight at once.
#[tokio::test]
async fn metadata_in_every_version() {
    let Some(bootstrap) = bootstrap() else { return };
    let mut client = ready(bootstrap).await;
    let theirs = client
        .driver
        .network()
        .versions(-1)
        .unwrap()
        .range(ApiKey::METADATA.0)
        .unwrap();
    let versions =
        MetadataRequest::VERSIONS.min.max(theirs.min)..=MetadataRequest::VERSIONS.max.min(theirs.max);
    for version in versions.clone() {
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            ..MetadataRequest::default()
        };
        let timeout = Duration::from_secs(30);
        client.send(
            -1,
            OutgoingRequest::encode(version as u64, &request, version, timeout).unwrap(),
        );
    }
    for version in versions {
        let NetworkEvent::Response { id, body, .. } = client.event().await else {
            panic!("a response")
        };
        assert_eq!(id, version as u64);
        let mut reader = Reader::from_bytes(&body);
        let response = MetadataResponse::decode(&mut reader, version).unwrap();
        reader.finish().unwrap();
        assert!(response.brokers.iter().all(|broker| broker.port > 0) && !response.brokers.is_empty());
    }
}

/// A broker closes on what it cannot read: the request fails, and the next attempt is good again.
#[tokio::test]
async fn a_broker_that_closes_can_be_had_again() {
    let Some(bootstrap) = bootstrap() else { return };
    let mut client = ready(bootstrap.clone()).await;
    let mut request = OutgoingRequest::encode(
        5,
        &MetadataRequest::default(),
        MetadataRequest::VERSIONS.max,
        Duration::from_secs(30),
    )
    .unwrap();
    request.body = Segments::new();
    client.send(-1, request);
    assert!(matches!(
        client.event().await,
        NetworkEvent::Failed {
            id: 5,
            written: true,
            ..
        }
    ));
    let NetworkEvent::Disconnected { error, .. } = client.event().await else {
        panic!("a disconnect")
    };
    assert!(
        matches!(error.kind(), NetworkErrorKind::Closed { during: None, .. }),
        "{error}"
    );
    client.driver.connect(-1, bootstrap, client.clock.now());
    assert!(matches!(
        client.event().await,
        NetworkEvent::Ready { node: -1, .. }
    ));
}
