//! Each way to say who one is: `cargo run -p ottla --example authentication -- KIND HOST:PORT`.
//!
//! Without arguments those that need no TLS are shown to a broker in memory. Names and passwords stand here for
//! shortness; `examples/configurations` has them come from the environment and from files.

use ottla::sasl::{BoxFuture, CredentialFailure, CredentialProvider, Credentials, Endpoint, Mechanism};
use ottla::sasl::{PasswordCredentials, Secret};
use ottla::{Producer, ProducerBuilder, Record};
use ottla_broker::{SaslOptions, TestCluster};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// The settings of one kind, by the names that Java's clients have, too.
type Settings = &'static [(&'static str, &'static str)];

/// Every kind by its name. With TLS, whom to trust: `ca.pem`; without these two lines it is whom the system trusts.
pub(crate) const KINDS: [(&str, Settings); 7] = [
    // Nobody is asked who he is; only the broker shows who it is.
    (
        "tls",
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", "ca.pem"),
        ],
    ),
    // Both show a certificate. `client.pem` holds the key and its chain.
    (
        "mutual-tls",
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", "ca.pem"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", "client.pem"),
        ],
    ),
    // A name and a password, which the broker gets to read: not without TLS.
    (
        "plain",
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            (
                "sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"alice\" password=\"alice-secret\";",
            ),
        ],
    ),
    // The same, and neither shows the other the password.
    (
        "scram",
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            (
                "sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required \
             username=\"alice\" password=\"alice-secret\";",
            ),
        ],
    ),
    // A token of an identity service, which is renewed before it ends.
    (
        "oauth",
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "OAUTHBEARER"),
            (
                "sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
            ),
            (
                "sasl.login.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
            ),
            (
                "sasl.oauthbearer.token.endpoint.url",
                "https://login.example.com/token",
            ),
            ("sasl.oauthbearer.client.credentials.client.id", "orders"),
            (
                "sasl.oauthbearer.client.credentials.client.secret",
                "orders-secret",
            ),
        ],
    ),
    // Amazon's: keys come from the environment, or from the shared file.
    (
        "aws",
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "AWS_MSK_IAM"),
            (
                "sasl.jaas.config",
                "software.amazon.msk.auth.iam.IAMLoginModule required;",
            ),
            (
                "sasl.client.callback.handler.class",
                "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
            ),
        ],
    ),
    // From wherever: see `Vault`.
    (
        "own",
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
        ],
    ),
];

/// Credentials that change while the producer runs: it is asked whenever a connection authenticates.
#[derive(Debug)]
struct Vault;

impl CredentialProvider for Vault {
    fn credentials(&self, _: &Endpoint, _: Mechanism) -> BoxFuture<Result<Credentials, CredentialFailure>> {
        Box::pin(async {
            let secret = Secret::new("alice-secret".to_owned());
            Ok(Credentials::Password(PasswordCredentials::new("alice", secret)))
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => in_memory(),
        [kind, servers] => send(builder(kind)?.bootstrap_servers(servers)),
        _ => Err("usage: authentication [KIND HOST:PORT]".into()),
    }
}

pub(crate) fn builder(kind: &str) -> Result<ProducerBuilder, Box<dyn Error>> {
    let Some((_, settings)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
        return Err(format!("{kind} is none of {}", names.join(", ")).into());
    };
    let mut builder = Producer::builder();
    for (key, value) in *settings {
        builder = builder.set(*key, *value);
    }
    Ok(match kind {
        "own" => builder.credentials(Arc::new(Vault)),
        _ => builder,
    })
}

/// A broker in memory has no TLS, so these do without.
pub(crate) fn in_memory() -> Result<(), Box<dyn Error>> {
    let users = SaslOptions::new().user("alice", "alice-secret");
    let cluster = TestCluster::builder()
        .topic("orders", 3)
        .sasl(users)
        .start_blocking()?;
    for kind in ["plain", "scram", "own"] {
        println!("{kind}");
        let servers = cluster.bootstrap_servers();
        send(
            builder(kind)?
                .bootstrap_servers(servers)
                .set("security.protocol", "SASL_PLAINTEXT"),
        )?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn send(builder: ProducerBuilder) -> Result<(), Box<dyn Error>> {
    let producer = builder.build()?;
    let outcome = match producer.send(&Record::to("orders").value("placed")).await {
        Ok(delivery) => delivery.await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(at) => println!("{}-{} at {:?}", at.topic(), at.partition(), at.offset()),
        // Neither text holds a secret.
        Err(error) if error.is_authentication() => eprintln!("{error}. {}", error.advice()),
        Err(error) => return Err(error.into()),
    }
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
