//! Tokens from an endpoint that the tests answer for, to a cluster that takes them.

use crate::web::{Reply, Web, certificates};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ottla::{Producer, ProducerBuilder, Record};
use ottla_broker::{EventKind, SaslOptions, TestCluster};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
const HANDLER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
const ID: &str = "sasl.oauthbearer.client.credentials.client.id";
const SECRET: &str = "sasl.oauthbearer.client.credentials.client.secret";
/// What the cluster wants tokens to be signed with.
const SIGNATURE: &str = "c2lnbmVk";

fn cluster() -> TestCluster {
    cluster_with(SaslOptions::new())
}

fn cluster_with(sasl: SaslOptions) -> TestCluster {
    let builder = TestCluster::builder()
        .topic("t", 1)
        .sasl(sasl.token_signature(SIGNATURE));
    // Every event is remembered: renewals are counted by them.
    let builder = builder.configure(|config| config.limits.events_max = 1_000_000);
    builder.start_blocking().expect("a cluster")
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_secs_f64()
}

/// A token that is as old and lasts as long as is said, in seconds.
fn token(subject: &str, age: f64, left: f64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"sub": subject, "iat": now() - age, "exp": now() + left, "scope": "kafka"});
    format!("{}.{}.{SIGNATURE}", part(json!({"alg": "RS256"})), part(claims))
}

fn good(subject: &str) -> Reply {
    let answer =
        json!({"access_token": token(subject, 0.0, 600.0), "token_type": "Bearer", "expires_in": 600});
    Reply::Answer(200, answer.to_string())
}

fn builder(cluster: &TestCluster, url: &str, options: &str) -> ProducerBuilder {
    Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("sasl.jaas.config", format!("{MODULE} required {options};"))
        .set("sasl.login.callback.handler.class", HANDLER)
        .set("sasl.oauthbearer.token.endpoint.url", url)
        .set("linger.ms", "1")
        .set("max.block.ms", "50000")
}

/// Sends one record; neither the error nor the producer's own picture shows a secret.
async fn send_one(builder: ProducerBuilder) -> Result<(), String> {
    let shown = format!("{builder:?}");
    let producer = builder.build().map_err(|error| format!("{error} {error:?}"))?;
    assert!(!format!("{shown} {producer:?}").contains("canary"));
    let sent = async { producer.send(&Record::to("t").value("v")).await?.await }.await;
    producer.close(Duration::from_secs(5)).await;
    sent.map(drop).map_err(|error| format!("{error} {error:?}"))
}

/// Who authenticated, and how often again.
fn authenticated(cluster: &TestCluster) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    let mut renewed = 0;
    for event in cluster.events() {
        if let EventKind::Authenticated { principal, again, .. } = event.kind {
            renewed += usize::from(again);
            if !names.contains(&principal) {
                names.push(principal);
            }
        }
    }
    (names, renewed)
}

#[tokio::test]
async fn a_client_gets_its_token_by_name_and_secret() {
    let cluster = cluster();
    let web = Web::start(None, |_, _| good("me")).await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    // Among the options of the login module, as it used to be; by keys of their own; and the keys come first.
    let old = "clientId=\"a b\" clientSecret=\"can:ary\" scope=\"x y\" extension_traceId=\"7\"";
    send_one(builder(&cluster, &url, old)).await.expect("taken");
    let new = builder(&cluster, &url, "clientId=no clientSecret=no scope=no")
        .set(ID, "a b")
        .set(SECRET, "can:ary")
        .set("sasl.oauthbearer.scope", "x y")
        .set("sasl.oauthbearer.header.urlencode", "true");
    send_one(new).await.expect("taken");
    assert_eq!(authenticated(&cluster).0, ["me"]);
    let asked = web.asked();
    // Once for each producer, whatever the number of its connections.
    assert_eq!(asked.len(), 2, "{asked:?}");
    // "a b:can:ary", and "a+b:can%3Aary".
    for (asked, basic) in asked.iter().zip(["YSBiOmNhbjphcnk=", "YStiOmNhbiUzQWFyeQ=="]) {
        assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
        for part in [
            format!("authorization: Basic {basic}\r\n").as_str(),
            "accept: application/json\r\n",
            "cache-control: no-cache\r\n",
            "content-type: application/x-www-form-urlencoded\r\n",
            "\r\n\r\ngrant_type=client_credentials&scope=x+y",
        ] {
            assert!(asked.contains(part), "{part}: {asked}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_with_tls_is_believed_by_the_options_of_the_login_module() {
    let Some(certificates) = certificates() else {
        return;
    };
    let cluster = cluster();
    let web = Web::start(Some(certificates.acceptor(true)), |_, _| good("me")).await;
    let url = format!("https://localhost:{}/token", web.port);
    let identity = format!(
        "{}{}",
        certificates.read("client.key"),
        certificates.read("client.crt")
    );
    let identity = certificates.write("client.pem", &identity);
    let trust = format!(
        "ssl.truststore.type=PEM ssl.truststore.location=\"{}\"",
        certificates.path("ca.crt")
    );
    let options = format!(
        "clientId=me clientSecret=canary {trust} ssl.keystore.type=PEM ssl.keystore.location=\"{identity}\""
    );
    send_one(builder(&cluster, &url, &options)).await.expect("taken");
    assert_eq!(authenticated(&cluster).0, ["me"]);
    for (options, part) in [
        (
            "clientId=me clientSecret=canary".to_owned(),
            "the server's certificate is signed by nobody",
        ),
        (
            format!("clientId=me clientSecret=canary {trust}"),
            "refused a client without certificate",
        ),
        (
            "clientId=me clientSecret=canary ssl.truststore.type=PEM ssl.truststore.location=\"/no/such\""
                .to_owned(),
            "ssl.truststore.location: /no/such",
        ),
        (
            "clientId=me clientSecret=canary ssl.truststore.password=canary".to_owned(),
            "its options for TLS",
        ),
    ] {
        let error = send_one(builder(&cluster, &url, &options)).await.expect_err(part);
        assert!(
            error.contains(part) && !error.contains("canary"),
            "{part}: {error}"
        );
        assert!(error.contains("sasl.jaas.config"), "{error}");
    }
}

/// What an endpoint may do wrong, and what is said of it.
#[tokio::test]
async fn whatever_an_endpoint_answers_is_one_error_without_a_secret() {
    let claims = |text: &str| {
        let token = format!(
            "{}.{}.{SIGNATURE}",
            URL_SAFE_NO_PAD.encode("{}"),
            URL_SAFE_NO_PAD.encode(text)
        );
        json!({ "access_token": token }).to_string()
    };
    let large = json!({"access_token": "x".repeat(300_000)}).to_string();
    let echo = json!({"error": "invalid_client", "error_description": "no such secret: canary-1"});
    let cases: Vec<(u16, String, &str)> = vec![
        (401, echo.to_string(), "answered 401; check client id"),
        (
            400,
            json!({"error": "invalid_scope", "error_description": "what\nscope?"}).to_string(),
            "answered 400: invalid_scope (whatscope?)",
        ),
        (403, "<html>canary-1</html>".to_owned(), "answered 403"),
        (404, String::new(), "sasl.oauthbearer.token.endpoint.url"),
        (302, String::new(), "redirects are not followed"),
        (
            503,
            json!({"error": "temporarily_unavailable"}).to_string(),
            "temporarily_unavailable",
        ),
        (200, String::new(), "answered without a token"),
        (200, "canary-1".to_owned(), "answered without a token"),
        (200, "[".repeat(100_000), "answered without a token"),
        (
            200,
            json!({"token": "canary-1"}).to_string(),
            "answered without a token",
        ),
        (200, large, "larger than"),
        (
            200,
            json!({"access_token": "canary-1"}).to_string(),
            "no signed JWT",
        ),
        (200, json!({"access_token": "canary-1.x.y"}).to_string(), "no JWT"),
        (200, claims(r#"{"sub":"canary-1"}"#), "\"exp\""),
        (200, claims(r#"{"exp":9999999999}"#), "\"sub\""),
        (200, claims(r#"{"sub":"canary-1","exp":7}"#), "compare the clocks"),
    ];
    let cluster = cluster();
    for (status, body, part) in cases {
        let web = Web::start(None, move |_, _| Reply::Answer(status, body.clone())).await;
        let url = format!("http://127.0.0.1:{}/token?x=1", web.port);
        check_refused(&cluster, &url, status, part).await;
        let asked = web.asked().len();
        // What may pass is asked for again, at each attempt to connect; the rest is asked for once or twice.
        let fits = if status >= 500 { 2..100 } else { 1..5 };
        assert!(fits.contains(&asked), "{status}: {asked}");
    }
    assert!(cluster.records("t", 0).is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_none_or_says_nothing_is_told_apart() {
    let cluster = cluster();
    for (reply, part) in [
        ("SSH-2.0-canary-1\r\n", "no HTTP/1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "closed it"),
    ] {
        let web = Web::start(None, move |_, _| Reply::Raw(reply.to_owned())).await;
        let url = format!("http://127.0.0.1:{}/token?x=1", web.port);
        check_refused(&cluster, &url, 0, part).await;
    }
    let silent = Web::start(None, |_, _| Reply::Silence).await;
    let url = format!("http://127.0.0.1:{}/token", silent.port);
    check_refused(&cluster, &url, 0, "in time").await;
    drop(silent);
    check_refused(&cluster, &url, 0, "no connection").await;
    assert!(cluster.records("t", 0).is_empty());
}

async fn check_refused(cluster: &TestCluster, url: &str, status: u16, part: &str) {
    let builder = builder(cluster, url, "clientId=me clientSecret=\"canary-1\"")
        .set("sasl.login.connect.timeout.ms", "100")
        .set("sasl.login.read.timeout.ms", "100")
        .set("sasl.login.retry.backoff.ms", "1")
        .set("sasl.login.retry.backoff.max.ms", "20")
        .set("max.block.ms", "2000");
    let error = send_one(builder).await.expect_err(part);
    assert!(
        error.contains(part) && !error.contains("canary"),
        "{status} {part}: {error}"
    );
}

#[tokio::test]
async fn tokens_are_renewed_beside_the_load_and_nothing_is_lost() {
    let cluster = cluster_with(SaslOptions::new().session_max(Duration::from_secs(60)));
    // Each lasts for 2 s, and so do the sessions.
    let web = Web::start(None, |_, _| {
        let answer = json!({"access_token": token("me", 0.0, 2.0)});
        Reply::Answer(200, answer.to_string())
    })
    .await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    let producer = builder(&cluster, &url, "clientId=me clientSecret=canary")
        .set("sasl.login.refresh.window.factor", "0.5")
        .set("sasl.login.refresh.window.jitter", "0")
        .set("sasl.login.refresh.min.period.seconds", "0")
        .set("sasl.login.refresh.buffer.seconds", "0")
        .build()
        .expect("a producer");
    let mut sent = 0;
    // As long as it takes to authenticate again, and with newer tokens.
    while authenticated(&cluster).1 < 2 || web.asked().len() < 3 {
        let mut deliveries = Vec::new();
        for _ in 0..100 {
            let value = format!("{sent}");
            deliveries.push(
                producer
                    .send(&Record::to("t").value(value.as_str()))
                    .await
                    .expect("queued"),
            );
            sent += 1;
        }
        for delivery in deliveries {
            delivery.await.expect("acknowledged");
        }
    }
    producer.close(Duration::from_secs(5)).await;
    let found = cluster.records("t", 0).into_iter();
    let values: Vec<String> = found
        .map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned())
        .collect();
    assert_eq!(
        values,
        (0..sent).map(|number| number.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(authenticated(&cluster).0, ["me"]);
}

#[tokio::test]
async fn a_renewal_that_hangs_holds_up_nobody() {
    let cluster = cluster();
    // So old that it is renewed at once, and that is never answered.
    let web = Web::start(None, |number, _| match number {
        0 => Reply::Answer(
            200,
            json!({"access_token": token("me", 5_000.0, 3_000.0)}).to_string(),
        ),
        _ => Reply::Silence,
    })
    .await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    let producer = builder(&cluster, &url, "clientId=me clientSecret=canary")
        .set("sasl.login.refresh.window.factor", "0.5")
        .set("sasl.login.refresh.min.period.seconds", "0")
        .build()
        .expect("a producer");
    while web.asked().len() < 2 {
        let delivery = producer.send(&Record::to("t").value("v")).await.expect("queued");
        delivery.await.expect("acknowledged");
    }
    // It waits for its answer now. What is sent goes out, and over a new connection, too.
    cluster.cluster().close_connections(None);
    for _ in 0..10 {
        let delivery = producer.send(&Record::to("t").value("v")).await.expect("queued");
        delivery.await.expect("acknowledged");
    }
    assert_eq!(web.asked().len(), 2);
    producer.close(Duration::from_secs(5)).await;
}

/// The value of a field in the form that was sent.
fn field(asked: &str, name: &str) -> Option<String> {
    let form = asked.rsplit("\r\n\r\n").next()?;
    let pair = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.map(str::to_owned)
}

fn part(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("Base64")).expect("JSON")
}

#[tokio::test]
async fn an_assertion_stands_for_the_secret() {
    let Some(certificates) = certificates() else {
        return;
    };
    certificates
        .openssl("pkcs8 -topk8 -in client.key -v2 aes-256-cbc -out locked.pem -passout pass:canary-key");
    let key = certificates.path("locked.pem");
    let template = certificates.write(
        "template.json",
        r#"{"header":{"kid":"k7"},"payload":{"more":[1]}}"#,
    );
    let cluster = cluster();
    let web = Web::start(None, |_, _| good("me")).await;
    let url = format!("http://127.0.0.1:{}/token", web.port);
    let assertion = |name: &str| format!("sasl.oauthbearer.assertion.{name}");
    let made = |builder: ProducerBuilder| {
        builder
            .set(assertion("algorithm"), "es256")
            .set(assertion("private.key.file"), &key)
            .set(assertion("private.key.passphrase"), "canary-key")
            .set(assertion("template.file"), &template)
            .set(assertion("claim.aud"), "endpoint")
            .set(assertion("claim.iss"), "me")
            .set(assertion("claim.sub"), "me too")
            .set(assertion("claim.exp.seconds"), "100")
            .set(assertion("claim.nbf.seconds"), "10")
            .set(assertion("claim.jti.include"), "true")
            .set("sasl.oauthbearer.scope", "a b")
    };
    let package = "org.apache.kafka.common.security.oauthbearer";
    let bearer = |builder: ProducerBuilder| {
        builder.set(
            "sasl.oauthbearer.jwt.retriever.class",
            format!("{package}.JwtBearerJwtRetriever"),
        )
    };
    let start = || builder(&cluster, &url, "");
    let file = certificates.write("assertion", " a.b.c\n");
    let from_file = |builder: ProducerBuilder| builder.set(assertion("file"), &file);
    for builder in [
        bearer(made(start())),
        made(start()).set(ID, "the id"),
        bearer(from_file(start())),
        from_file(start()),
    ] {
        send_one(builder).await.expect("taken");
    }
    let asked = web.asked();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(
        asked
            .iter()
            .all(|asked| !asked.contains("authorization:") && !asked.contains("canary"))
    );
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    assert_eq!(field(&asked[0], "grant_type").as_deref(), Some(grant));
    assert_eq!(field(&asked[0], "scope").as_deref(), Some("a+b"));
    let jwt = field(&asked[0], "assertion").expect("an assertion");
    assert_eq!(part(&jwt, 0), json!({"alg": "ES256", "typ": "JWT", "kid": "k7"}));
    let claims = part(&jwt, 1);
    let of = |name: &str| claims[name].as_i64().expect("a number");
    assert_eq!((of("exp") - of("iat"), of("iat") - of("nbf")), (100, 10));
    assert!((now() - of("iat") as f64).abs() < 60.0);
    assert_eq!(claims["jti"].as_str().map(str::len), Some(36));
    for (name, value) in [
        ("aud", json!("endpoint")),
        ("iss", json!("me")),
        ("sub", json!("me too")),
        ("more", json!([1])),
    ] {
        assert_eq!(claims[name], value);
    }
    // Both halves of a signature on P-256.
    let signature = jwt.rsplit('.').next().expect("a signature");
    assert_eq!(URL_SAFE_NO_PAD.decode(signature).expect("Base64").len(), 64);

    assert_eq!(
        field(&asked[1], "grant_type").as_deref(),
        Some("client_credentials")
    );
    assert_eq!(field(&asked[1], "client_id").as_deref(), Some("the+id"));
    let assertion_type = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    assert_eq!(
        field(&asked[1], "client_assertion_type").as_deref(),
        Some(assertion_type)
    );
    let second = field(&asked[1], "client_assertion").expect("an assertion");
    assert_ne!(part(&second, 1)["jti"], claims["jti"]);
    assert_eq!(field(&asked[2], "assertion").as_deref(), Some("a.b.c"));
    assert_eq!(field(&asked[3], "client_assertion").as_deref(), Some("a.b.c"));

    // What cannot be signed says why, and holds neither key nor passphrase.
    let wrong = certificates.write("wrong.json", "canary");
    for (name, value, part) in [
        (
            "private.key.passphrase",
            "canary-other",
            "private.key.passphrase does not open the key",
        ),
        ("algorithm", "RS256", "RS256 takes an RSA key"),
        ("private.key.file", "/no/such/key", "cannot read /no/such/key"),
        ("private.key.file", &wrong, "it holds no private key"),
        ("template.file", &wrong, "is no JSON"),
    ] {
        let error = send_one(bearer(made(start())).set(assertion(name), value)).await;
        let error = error.expect_err(part);
        assert!(
            error.contains(part) && !error.contains("canary"),
            "{part}: {error}"
        );
    }
}
