//! A real Kafka that believes signed tokens, and an issuer that the tests play; Java's producer beside ours.
//!
//! The broker verifies every signature by the issuer's public keys: it is the oracle for what is signed here.

use crate::web::{Reply, Web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ottla::{Producer, ProducerBuilder, Record};
use ottla_network::tls::{JwtAlgorithm, JwtSigner};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A way into a real Kafka, and the keys of the issuer that it believes.
struct Kafka {
    /// The properties of a client, without an endpoint.
    client: String,
    issuer: PathBuf,
    library: String,
}

/// `None`, said loudly, where there is no such Kafka, and never with `CI` set.
fn kafka() -> Option<Kafka> {
    let variables = ["OTTLA_KAFKA_CLIENTS", "OTTLA_KAFKA_LIB"].map(std::env::var);
    let [Ok(clients), Ok(library)] = variables else {
        let in_ci = std::env::var_os("CI").is_some();
        assert!(
            !in_ci,
            "with CI set, OTTLA_KAFKA_CLIENTS and OTTLA_KAFKA_LIB must be there"
        );
        println!("SKIPPED: OTTLA_KAFKA_CLIENTS and OTTLA_KAFKA_LIB name no real Kafka");
        return None;
    };
    let clients = PathBuf::from(clients);
    Some(Kafka {
        client: fs::read_to_string(clients.join("oidc.properties")).expect("a client's file"),
        issuer: clients.with_file_name("issuer"),
        library,
    })
}

impl Kafka {
    fn path(&self, name: &str) -> String {
        self.issuer.join(name).display().to_string()
    }

    /// Writes a client's file with more settings.
    fn file(&self, folder: &Path, settings: &[(&str, &str)]) -> PathBuf {
        let mut text = self.client.clone();
        for (key, value) in settings {
            text.push_str(&format!("{key}={}\n", value.replace('\\', "\\\\")));
        }
        let path = folder.join("producer.properties");
        fs::write(&path, text).expect("a file");
        path
    }

    /// A token by the issuer, for that audience.
    fn token(&self, audience: &str, left: u64) -> String {
        let pem = fs::read(self.issuer.join("rsa.pem")).expect("the issuer's key");
        let signer = JwtSigner::new(&pem, None, JwtAlgorithm::Rs256, None).expect("a key");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let header = json!({"alg": "RS256", "kid": "rsa"});
        let claims = json!({"iss": "https://issuer.example", "aud": audience, "sub": "alice", "iat": now,
                            "exp": now + left, "scope": "kafka"});
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!("{}.{}", part(header), part(claims));
        let signature = signer.sign(unsigned.as_bytes()).expect("signed");
        format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// An endpoint: it gives a token to who has a secret, and an assertion back as the token that it is.
    async fn endpoint(&self, audience: &'static str, left: u64) -> Web {
        let issuer = Kafka {
            client: String::new(),
            issuer: self.issuer.clone(),
            library: String::new(),
        };
        Web::start(None, move |_, request| {
            let token = field(request, "assertion").unwrap_or_else(|| issuer.token(audience, left));
            Reply::Answer(
                200,
                json!({"access_token": token, "token_type": "Bearer"}).to_string(),
            )
        })
        .await
    }
}

fn field(request: &str, name: &str) -> Option<String> {
    let form = request.rsplit("\r\n\r\n").next()?;
    let pair = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.map(str::to_owned)
}

fn topic() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("oidc-{}-{}-{number}", std::process::id(), now.as_nanos())
}

fn builder(file: &Path) -> ProducerBuilder {
    let builder = Producer::builder().properties_file(file).expect("it can be read");
    builder.set("linger.ms", "1").set("max.block.ms", "20000")
}

const SECRET: [(&str, &str); 2] = [
    ("sasl.oauthbearer.client.credentials.client.id", "alice"),
    ("sasl.oauthbearer.client.credentials.client.secret", "canary"),
];

#[tokio::test]
async fn tokens_and_sessions_end_under_load_and_every_record_is_there_once() {
    let Some(kafka) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // The broker ends a session after 2 s, and a token lasts for 4.
    let web = kafka.endpoint("kafka", 4).await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    let endpoint = [
        ("sasl.oauthbearer.token.endpoint.url", url.as_str()),
        ("sasl.login.refresh.window.factor", "0.5"),
    ];
    let file = kafka.file(folder.path(), &[&SECRET[..], &endpoint].concat());
    let producer = builder(&file).build().expect("a producer");
    let topic = topic();
    let mut sent = 0;
    while web.asked().len() < 3 {
        let mut deliveries = Vec::new();
        for _ in 0..50 {
            let record = Record::to(&topic).partition(0).value("v");
            deliveries.push(producer.send(&record).await.expect("queued"));
        }
        for delivery in deliveries {
            let offset = delivery.await.expect("acknowledged").offset();
            // None is missing, and none is there twice.
            assert_eq!(offset, Some(sent));
            sent += 1;
        }
    }
    producer.close(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused_in_the_brokers_words() {
    let Some(kafka) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let web = kafka.endpoint("others", 60).await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    let endpoint = [("sasl.oauthbearer.token.endpoint.url", url.as_str())];
    let file = kafka.file(folder.path(), &[&SECRET[..], &endpoint].concat());
    let producer = builder(&file).build().expect("a producer");
    let error = producer
        .send(&Record::to(topic()).value("v"))
        .await
        .expect_err("refused");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("OAUTHBEARER") && text.contains("invalid_token"),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
}

/// The settings of an assertion that the broker believes as a token.
fn assertion<'a>(
    url: &'a str,
    key: &'a str,
    template: &'a str,
    algorithm: &'a str,
) -> [(&'static str, &'a str); 9] {
    [
        ("sasl.oauthbearer.token.endpoint.url", url),
        (
            "sasl.oauthbearer.jwt.retriever.class",
            "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever",
        ),
        ("sasl.oauthbearer.assertion.algorithm", algorithm),
        ("sasl.oauthbearer.assertion.private.key.file", key),
        ("sasl.oauthbearer.assertion.template.file", template),
        ("sasl.oauthbearer.assertion.claim.iss", "https://issuer.example"),
        ("sasl.oauthbearer.assertion.claim.aud", "kafka"),
        ("sasl.oauthbearer.assertion.claim.sub", "bob"),
        ("sasl.oauthbearer.assertion.claim.jti.include", "true"),
    ]
}

#[tokio::test]
async fn a_broker_verifies_what_is_signed_here() {
    let Some(kafka) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let web = kafka.endpoint("kafka", 60).await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    for (algorithm, key, id) in [("RS256", "rsa.pem", "rsa"), ("ES256", "ec.pem", "ec")] {
        let template = folder.path().join("template.json");
        fs::write(&template, json!({"header": {"kid": id}}).to_string()).expect("a file");
        let (key, template) = (kafka.path(key), template.display().to_string());
        let file = kafka.file(folder.path(), &assertion(&url, &key, &template, algorithm));
        let producer = builder(&file).build().expect("a producer");
        let record = producer.send(&Record::to(topic()).value("v")).await;
        record.expect("queued").await.expect("the broker verified it");
        producer.close(Duration::from_secs(10)).await;
    }
}

/// Sends one line by Java's console producer, which asks only endpoints and reads only files that are allowed by name.
async fn java(kafka: &Kafka, file: &Path, url: &str, files: &[&str]) {
    let allowed = "-Dorg.apache.kafka.sasl.oauthbearer.allowed";
    let bootstrap = kafka
        .client
        .lines()
        .find_map(|line| line.strip_prefix("bootstrap.servers="));
    let mut java = Command::new("java")
        .args([
            "-Xmx256m",
            &format!("{allowed}.urls={url}"),
            &format!("{allowed}.files={}", files.join(",")),
        ])
        .args([
            "-cp",
            &format!("{}/*", kafka.library),
            "org.apache.kafka.tools.ConsoleProducer",
        ])
        .args([
            "--topic",
            &topic(),
            "--bootstrap-server",
            bootstrap.expect("an address"),
        ])
        .arg("--command-config")
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("java runs");
    let mut input = java.stdin.take().expect("a pipe");
    input.write_all(b"v\n").expect("java reads");
    drop(input);
    // Aside, because this thread answers what it asks.
    let output = tokio::task::spawn_blocking(move || java.wait_with_output()).await;
    let output = output.expect("no panic").expect("java ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("ERROR"), "{said}");
}

/// What matters of a request: where it goes, what it says of itself, and its form; what is different each time is left
/// out of an assertion.
fn essence(request: &str) -> Vec<String> {
    let (head, form) = request.split_once("\r\n\r\n").expect("a head");
    let wanted = ["authorization", "accept", "cache-control", "content-type"];
    let mut lines: Vec<String> = head.lines().take(1).map(str::to_owned).collect();
    let mut headers: Vec<String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .filter(|(name, _)| wanted.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    lines.append(&mut headers);
    lines.extend(form.split('&').map(|pair| match pair.split_once("assertion=") {
        Some((name, jwt)) => {
            let part = |index: usize| -> Value {
                let part = jwt.split('.').nth(index).expect("a part");
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("Base64")).expect("JSON")
            };
            let mut claims = part(1);
            let life = claims["exp"].as_i64().zip(claims["iat"].as_i64());
            let before = claims["iat"].as_i64().zip(claims["nbf"].as_i64());
            for name in ["exp", "iat", "nbf", "jti"] {
                claims[name] = json!(claims[name].is_null());
            }
            let spans = [life, before].map(|span| span.map(|(later, earlier)| later - earlier));
            format!("{name}assertion={} {claims} {spans:?}", part(0))
        }
        None => pair.to_owned(),
    }));
    lines
}

#[tokio::test]
async fn java_asks_for_tokens_as_we_do_with_the_same_file() {
    let Some(kafka) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let web = kafka.endpoint("kafka", 600).await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    let template = folder.path().join("template.json");
    fs::write(&template, r#"{"header":{"kid":"rsa"},"payload":{"more":["1"]}}"#).expect("a file");
    let (key, template) = (kafka.path("rsa.pem"), template.display().to_string());
    let secret = [
        ("sasl.oauthbearer.client.credentials.client.id", "a b"),
        ("sasl.oauthbearer.client.credentials.client.secret", "c:d/\u{e9}+"),
        ("sasl.oauthbearer.header.urlencode", "true"),
        ("sasl.oauthbearer.scope", "x y/z*~"),
        ("sasl.oauthbearer.token.endpoint.url", url.as_str()),
    ];
    let bearer = assertion(&url, &key, &template, "RS256");
    for settings in [&secret[..], &bearer[..]] {
        let file = kafka.file(folder.path(), settings);
        let before = web.asked().len();
        let producer = builder(&file).build().expect("a producer");
        let record = producer.send(&Record::to(topic()).value("v")).await;
        record.expect("queued").await.expect("acknowledged");
        producer.close(Duration::from_secs(10)).await;
        java(&kafka, &file, &url, &[&key, &template]).await;
        let asked = &web.asked()[before..];
        assert_eq!(asked.len(), 2, "one token each: {asked:?}");
        assert_eq!(essence(&asked[0]), essence(&asked[1]));
    }
}
