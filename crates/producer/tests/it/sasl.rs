//! Producing to a cluster that wants to know who comes.

use ottla::sasl::{BearerToken, BoxFuture, CredentialFailure, CredentialProvider, Credentials, Mechanism};
use ottla::{Producer, ProducerBuilder, Record};
use ottla_broker::{EventKind, SaslMechanism, SaslOptions, TestCluster};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const OAUTH: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

fn options() -> SaslOptions {
    SaslOptions::new()
        .user("al=ice,", "canary-1")
        .delegation_token("t1", "canary-2")
}

fn cluster(options: SaslOptions) -> TestCluster {
    let cluster = TestCluster::builder().topic("t", 1).sasl(options);
    cluster.start_blocking().expect("a cluster")
}

fn builder(cluster: &TestCluster, mechanism: &str, jaas: &str) -> ProducerBuilder {
    Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", mechanism)
        .set("sasl.jaas.config", jaas)
        // An answer comes at once: what takes this long is not told.
        .set("max.block.ms", "50000")
}

/// Sends one record; the error, if there is one, and the producer's own picture of itself show no secret.
async fn send_one(builder: ProducerBuilder) -> Result<(), String> {
    let producer = builder.build().map_err(|error| error.to_string())?;
    assert!(!format!("{producer:?}").contains("canary"));
    let sent = async { producer.send(&Record::to("t").value("v")).await?.await }.await;
    producer.close(Duration::from_secs(5)).await;
    sent.map(drop).map_err(|error| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("canary") && !error.is_timeout(), "{text}");
        text
    })
}

/// Who authenticated, in order: name, mechanism, again or not.
fn authenticated(cluster: &TestCluster) -> Vec<(String, &'static str, bool)> {
    let events = cluster.events().into_iter();
    events
        .filter_map(|event| match event.kind {
            EventKind::Authenticated {
                principal,
                mechanism,
                again,
                ..
            } => Some((principal, mechanism, again)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn every_mechanism_lets_the_right_client_in() {
    for (mechanism, jaas, principal) in [
        (
            "PLAIN",
            format!("{PLAIN} required username=\"al=ice,\" password='canary-1';"),
            "al=ice,",
        ),
        (
            "SCRAM-SHA-256",
            format!("{SCRAM} required username=\"al=ice,\" password='canary-1';"),
            "al=ice,",
        ),
        (
            "SCRAM-SHA-512",
            format!("{SCRAM} required username=\"al=ice,\" password='canary-1';"),
            "al=ice,",
        ),
        (
            "SCRAM-SHA-256",
            format!("{SCRAM} required username=t1 password='canary-2' tokenauth=true;"),
            "token:t1",
        ),
        (
            "OAUTHBEARER",
            format!("{OAUTH} required unsecuredLoginStringClaim_sub=alice;"),
            "alice",
        ),
    ] {
        let cluster = cluster(options());
        send_one(builder(&cluster, mechanism, &jaas))
            .await
            .expect("the record is taken");
        assert_eq!(cluster.records("t", 0).len(), 1);
        let who = authenticated(&cluster);
        assert!(
            !who.is_empty()
                && who
                    .iter()
                    .all(|who| *who == (principal.to_owned(), mechanism, false)),
            "{who:?}"
        );
    }
}

#[tokio::test]
async fn the_wrong_client_is_told_at_once_and_does_not_storm() {
    let cluster = cluster(options().mechanisms_only([SaslMechanism::Plain, SaslMechanism::ScramSha256]));
    for (mechanism, jaas, part) in [
        (
            "PLAIN",
            format!("{PLAIN} required username=\"al=ice,\" password=canary;"),
            "Invalid username or password",
        ),
        (
            "PLAIN",
            format!("{PLAIN} required username=bob password='canary-1';"),
            "Invalid username or password",
        ),
        (
            "SCRAM-SHA-256",
            format!("{SCRAM} required username=\"al=ice,\" password=canary;"),
            "invalid credentials",
        ),
        (
            "SCRAM-SHA-256",
            format!("{SCRAM} required username=bob password=canary;"),
            "invalid credentials",
        ),
        (
            "SCRAM-SHA-512",
            format!("{SCRAM} required username=bob password=canary;"),
            "PLAIN, SCRAM-SHA-256",
        ),
        (
            "OAUTHBEARER",
            format!("{OAUTH} required unsecuredLoginStringClaim_sub=a;"),
            "PLAIN, SCRAM-SHA-256",
        ),
    ] {
        let error = send_one(builder(&cluster, mechanism, &jaas))
            .await
            .expect_err("refused");
        assert!(error.contains(part), "{mechanism}: {error}");
    }
    assert!(cluster.records("t", 0).is_empty() && authenticated(&cluster).is_empty());
    let accepted = cluster
        .events()
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Accepted { .. }))
        .count();
    assert!(accepted <= 18, "{accepted} connections for six producers");
}

#[tokio::test]
async fn a_client_without_sasl_is_told_at_once_that_the_listener_wants_it() {
    let cluster = cluster(options().mechanisms_only([SaslMechanism::ScramSha256]));
    let plain = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("max.block.ms", "50000");
    let error = send_one(plain).await.expect_err("refused");
    assert!(
        error.contains("wants SASL, by SCRAM-SHA-256") && error.contains("security.protocol"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_says_why() {
    let cluster = cluster(options());
    let file = std::env::temp_dir().join(format!("ottla-token-{}", std::process::id()));
    std::fs::write(&file, "canary.canary.canary\n").expect("a file");
    let handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
    let from_file = || {
        builder(&cluster, "OAUTHBEARER", &format!("{OAUTH} required;"))
            .set("sasl.login.callback.handler.class", handler)
            .set(
                "sasl.oauthbearer.token.endpoint.url",
                format!("file://{}", file.display()),
            )
    };
    let error = send_one(from_file()).await.expect_err("refused");
    assert!(error.contains("invalid_token"), "{error}");
    std::fs::remove_file(&file).expect("it was there");
    let error = send_one(from_file()).await.expect_err("no file");
    assert!(error.contains("cannot read"), "{error}");
    let error = send_one(builder(&cluster, "OAUTHBEARER", &format!("{OAUTH} required;"))).await;
    assert!(
        error
            .expect_err("no token")
            .contains("unsecuredLoginStringClaim_sub")
    );
}

#[derive(Debug)]
struct Own(Result<&'static str, &'static str>);

impl CredentialProvider for Own {
    fn credentials(
        &self,
        _endpoint: &ottla::sasl::Endpoint,
        mechanism: Mechanism,
    ) -> BoxFuture<Result<Credentials, CredentialFailure>> {
        assert_eq!(mechanism, Mechanism::OauthBearer);
        let result = self.0;
        Box::pin(async move {
            tokio::task::yield_now().await;
            let token = result.map_err(CredentialFailure::lasting)?;
            Ok(Credentials::Token(BearerToken::new(token).expect("a token")))
        })
    }
}

#[tokio::test]
async fn a_provider_of_ones_own_is_asked() {
    let cluster = cluster(options());
    let own =
        |own: Own| builder(&cluster, "OAUTHBEARER", &format!("{OAUTH} required;")).credentials(Arc::new(own));
    // {"alg":"none"} and {"sub":"own","exp":9999999999}.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJvd24iLCJleHAiOjk5OTk5OTk5OTl9.";
    send_one(own(Own(Ok(token)))).await.expect("the record is taken");
    assert!(
        authenticated(&cluster)
            .iter()
            .all(|(principal, ..)| principal == "own")
    );
    let error = send_one(own(Own(Err("the vault is locked"))))
        .await
        .expect_err("no token");
    assert!(error.contains("the vault is locked"), "{error}");
}

#[tokio::test]
async fn sessions_are_renewed_under_load_and_nothing_is_lost() {
    let sasl = options().session_max(Duration::from_millis(200));
    let builder_of_cluster = TestCluster::builder().topic("t", 1).sasl(sasl);
    // Every event is remembered: the renewals are counted by them.
    let builder_of_cluster = builder_of_cluster.configure(|config| config.limits.events_max = 1_000_000);
    let cluster = builder_of_cluster.start_blocking().expect("a cluster");
    let jaas = format!("{SCRAM} required username=\"al=ice,\" password='canary-1';");
    // On a slow machine a session may end before it is renewed; then the connection is made anew, and what was under way
    // is sent again.
    let builder = builder(&cluster, "SCRAM-SHA-256", &jaas).set("linger.ms", "1");
    let producer = builder.build().expect("a producer");
    let mut deliveries = Vec::new();
    let renewed = || {
        authenticated(&cluster)
            .iter()
            .filter(|(.., again)| *again)
            .count()
    };
    // Each round waits for its records, so the load goes on as long as it takes to renew five times.
    let mut sent = 0;
    while renewed() < 5 {
        for _ in 0..200 {
            let mut value = String::new();
            write!(value, "{sent}").expect("a string takes everything");
            deliveries.push(
                producer
                    .send(&Record::to("t").value(value.as_str()))
                    .await
                    .expect("queued"),
            );
            sent += 1;
        }
        for delivery in deliveries.drain(..) {
            delivery.await.expect("acknowledged");
        }
    }
    producer.close(Duration::from_secs(5)).await;
    let records = cluster.records("t", 0);
    let values: Vec<String> = records
        .iter()
        .map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned())
        .collect();
    let expected: Vec<String> = (0..sent).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
}
