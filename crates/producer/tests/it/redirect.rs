//! Brokers that are found by name, with TLS: each has to show a certificate for its own.

use crate::web::{Certificates, certificates, front};
use ottla::transport::{BoxFuture, Endpoint, Resolver};
use ottla::{Producer, ProducerBuilder, Record};
use ottla_broker::{EventKind, SaslOptions, TestCluster};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::task::JoinHandle;

const TOPIC: &str = "t";
const JAAS: &str =
    "org.apache.kafka.common.security.plain.PlainLoginModule required username=alice password=canary;";

/// A cluster whose brokers are behind TLS, each with the certificate of this name.
struct Fronted {
    cluster: TestCluster,
    /// By broker, in the order of their ids.
    ports: Vec<u16>,
    fronts: Vec<JoinHandle<()>>,
}

impl Drop for Fronted {
    fn drop(&mut self) {
        self.fronts.iter().for_each(JoinHandle::abort);
    }
}

impl Fronted {
    async fn start(certificates: &Certificates, names: &[&str]) -> Fronted {
        let brokers = i32::try_from(names.len()).expect("a few");
        let cluster = TestCluster::builder()
            .brokers(brokers)
            .topic(TOPIC, brokers)
            .sasl(SaslOptions::new().user("alice", "canary"))
            .start_blocking()
            .expect("loopback has free ports");
        let (mut ports, mut fronts) = (Vec::new(), Vec::new());
        for (name, address) in names.iter().zip(cluster.addresses()) {
            let (port, task) = front(certificates.acceptor_of(name, false), address.port()).await;
            ports.push(port);
            fronts.push(task);
        }
        let ids = cluster.cluster().broker_ids();
        for (partition, (broker, port)) in (0..).zip(ids.into_iter().zip(&ports)) {
            let mut guard = cluster.cluster();
            guard.set_address(broker, "127.0.0.1", *port);
            guard
                .move_leader(TOPIC, partition, broker, false)
                .expect("it is there");
        }
        Fronted {
            cluster,
            ports,
            fronts,
        }
    }

    /// A producer that knows the first broker, at this host.
    fn builder(&self, certificates: &Certificates, host: &str) -> ProducerBuilder {
        Producer::builder()
            .bootstrap_servers(format!("{host}:{}", self.ports[0]))
            .set("security.protocol", "SASL_SSL")
            .set("ssl.truststore.type", "PEM")
            .set("ssl.truststore.location", certificates.path("ca.crt"))
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.jaas.config", JAAS)
            .set("linger.ms", "0")
    }

    /// How many connections reached the broker behind the front, and how many of them showed it credentials.
    fn visits(&self, broker: i32) -> (usize, usize) {
        let events = self.cluster.events();
        let accepted: Vec<u64> = events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::Accepted {
                    connection,
                    broker: at,
                } if at == broker => Some(connection),
                _ => None,
            })
            .collect();
        let shown = events.iter().filter(|event| {
            matches!(event.kind, EventKind::Authenticated { connection, .. } if accepted.contains(&connection))
        });
        (accepted.len(), shown.count())
    }
}

async fn send(producer: &Producer, partition: i32) -> Result<(), ottla::Error> {
    let record = Record::to(TOPIC).partition(partition).value("v");
    producer.send(&record).await?.await.map(drop)
}

/// Metadata may lead anywhere. What stands there gets neither credentials nor records unless its certificate names the
/// host that metadata named; and nobody else waits for it.
#[tokio::test]
async fn metadata_leads_to_a_host_that_the_certificate_does_not_name() {
    let Some(certificates) = certificates() else {
        return;
    };
    certificates.issue("elsewhere.example");
    let fronted = Fronted::start(&certificates, &["server", "elsewhere.example"]).await;
    let ids = fronted.cluster.cluster().broker_ids();
    let builder = || {
        fronted
            .builder(&certificates, "127.0.0.1")
            .set("request.timeout.ms", "1000")
            .set("delivery.timeout.ms", "2000")
            .set("reconnect.backoff.ms", "5")
            .set("reconnect.backoff.max.ms", "20")
    };
    let producer = builder().build().expect("a good configuration");
    send(&producer, 0)
        .await
        .expect("the first broker is whom it says it is");
    let error = send(&producer, 1).await.expect_err("the second is not");
    let text = error.to_string();
    assert!(
        text.contains(r#"not for "127.0.0.1" but for "elsewhere.example""#) && !text.contains("canary"),
        "{text}"
    );
    assert!(fronted.cluster.records(TOPIC, 1).is_empty());
    assert_eq!(
        fronted.visits(ids[1]),
        (0, 0),
        "nothing got through the handshake"
    );
    send(&producer, 0)
        .await
        .expect("the first broker has no part in it");

    // By a producer that checks no names the second is reached, too: it was the name, and nothing else.
    let careless = builder()
        .set("ssl.endpoint.identification.algorithm", "")
        .build()
        .expect("a good configuration");
    send(&careless, 1).await.expect("its authority is trusted");
    let (connections, authenticated) = fronted.visits(ids[1]);
    assert!(
        connections > 0 && authenticated == connections,
        "{connections} {authenticated}"
    );
}

/// Knows one alias, and the canonical name behind it.
#[derive(Debug)]
struct Alias;

impl Resolver for Alias {
    fn resolve(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port()));
        Box::pin(async move { Ok(vec![address]) })
    }

    fn canonical_name(&self, address: IpAddr) -> BoxFuture<io::Result<String>> {
        assert_eq!(address, IpAddr::from(Ipv4Addr::LOCALHOST));
        Box::pin(async { Ok("canonical.example".to_owned()) })
    }
}

/// `client.dns.lookup`, whose second choice is for clusters behind an alias.
#[tokio::test]
async fn an_alias_is_verified_by_its_canonical_name() {
    let Some(certificates) = certificates() else {
        return;
    };
    certificates.issue("canonical.example");
    let fronted = Fronted::start(&certificates, &["canonical.example"]).await;
    let broker = fronted.cluster.cluster().broker_ids()[0];
    // Metadata has the canonical name, as a broker's configuration would.
    fronted
        .cluster
        .cluster()
        .set_address(broker, "canonical.example", fronted.ports[0]);
    let builder = || {
        fronted
            .builder(&certificates, "alias.example")
            .resolver(Arc::new(Alias))
    };
    let producer = builder().build().expect("a good configuration");
    let error = send(&producer, 0)
        .await
        .expect_err("no certificate has the alias");
    assert!(
        error.to_string().contains(r#"not for "alias.example""#),
        "{error}"
    );
    let canonical = builder().set("client.dns.lookup", "resolve_canonical_bootstrap_servers_only");
    let producer = canonical.build().expect("a good configuration");
    send(&producer, 0)
        .await
        .expect("the canonical name is in the certificate");
}
