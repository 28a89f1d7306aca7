//! What the keys about tokens from an endpoint say, each of them, and what they say wrong.

use super::oauth::{Assertion, Grant, OauthSettings};
use super::sasl::Login;
use super::{Config, ConfigBuilder};
use std::path::PathBuf;
use std::time::Duration;

const PACKAGE: &str = "org.apache.kafka.common.security.oauthbearer";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const JAAS: &str = "sasl.jaas.config";
const RETRIEVER: &str = "sasl.oauthbearer.jwt.retriever.class";
const ID: (&str, &str) = ("sasl.oauthbearer.client.credentials.client.id", "me");
const SECRET: (&str, &str) = ("sasl.oauthbearer.client.credentials.client.secret", "canary");
const KEY_FILE: (&str, &str) = ("sasl.oauthbearer.assertion.private.key.file", "/key.pem");

fn builder(settings: &[(&str, &str)]) -> ConfigBuilder {
    let start = ConfigBuilder::new()
        .bootstrap_servers("localhost:9092")
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set(JAAS, format!("{PACKAGE}.OAuthBearerLoginModule required;"))
        .set(
            "sasl.login.callback.handler.class",
            format!("{PACKAGE}.OAuthBearerLoginCallbackHandler"),
        )
        .set(ENDPOINT, "http://endpoint/token");
    settings
        .iter()
        .fold(start, |builder, &(key, value)| builder.set(key, value))
}

#[track_caller]
fn login(settings: &[(&str, &str)]) -> (Config, Login) {
    let (config, warnings) = builder(settings).build().expect("a good configuration");
    let login = config.sasl().expect("SASL").login.clone();
    let shown = format!("{config:?} {warnings:?} {login:?}");
    assert!(!shown.contains("canary"), "{shown}");
    (config, login)
}

#[track_caller]
fn oauth(settings: &[(&str, &str)]) -> OauthSettings {
    match login(settings).1 {
        Login::Oauth(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses(settings: &[(&str, &str)], parts: &[&str]) {
    let error = builder(settings).build().expect_err("a bad configuration");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The settings of client credentials, with one key more.
#[track_caller]
fn with(key: &str, value: &str) -> OauthSettings {
    oauth(&[ID, SECRET, (key, value)])
}

#[test]
fn keys_of_the_request_for_a_token() {
    let plain = oauth(&[ID, SECRET]);
    assert_eq!(plain.endpoint.to_string(), "http://endpoint/token");
    let Grant::ClientSecret {
        id,
        secret,
        url_encode: false,
    } = &plain.grant
    else {
        panic!("{plain:?}")
    };
    assert_eq!((id.as_str(), secret.reveal()), ("me", "canary"));
    assert_eq!(plain.scope, None);
    assert_eq!(
        with("sasl.oauthbearer.scope", " a b ").scope.as_deref(),
        Some("a b")
    );
    let encoded = with("sasl.oauthbearer.header.urlencode", "true");
    assert!(matches!(
        encoded.grant,
        Grant::ClientSecret { url_encode: true, .. }
    ));
    // The older way, which the keys come before.
    let jaas = format!(
        "{PACKAGE}.OAuthBearerLoginModule required clientId=old clientSecret=canary scope=s extension_a=\"b\";"
    );
    let old = oauth(&[(JAAS, &jaas)]);
    assert_eq!(old.scope.as_deref(), Some("s"));
    assert_eq!(old.extensions, [("a".to_owned(), "b".to_owned())]);
    let both = oauth(&[(JAAS, &jaas), ID, ("sasl.oauthbearer.scope", "new")]);
    assert_eq!(both.scope.as_deref(), Some("new"));
    assert!(matches!(&both.grant, Grant::ClientSecret { id, .. } if id == "me"));
}

#[test]
fn keys_of_waits_and_renewals() {
    let ms = Duration::from_millis;
    let default = oauth(&[ID, SECRET]);
    assert_eq!(
        (default.connect_timeout, default.read_timeout),
        (ms(10_000), ms(20_000))
    );
    assert_eq!(
        (default.retry_backoff, default.retry_backoff_max),
        (ms(100), ms(10_000))
    );
    assert_eq!(with("sasl.login.connect.timeout.ms", "7").connect_timeout, ms(7));
    assert_eq!(with("sasl.login.read.timeout.ms", "7").read_timeout, ms(7));
    assert_eq!(with("sasl.login.retry.backoff.ms", "7").retry_backoff, ms(7));
    assert_eq!(
        with("sasl.login.retry.backoff.max.ms", "700").retry_backoff_max,
        ms(700)
    );
    let refresh = default.refresh;
    assert_eq!((refresh.window_factor, refresh.window_jitter), (0.8, 0.05));
    assert_eq!((refresh.period_min, refresh.buffer), (ms(60_000), ms(300_000)));
    let refresh = |key, value| with(key, value).refresh;
    assert_eq!(
        refresh("sasl.login.refresh.window.factor", "0.5").window_factor,
        0.5
    );
    assert_eq!(
        refresh("sasl.login.refresh.window.jitter", "0.25").window_jitter,
        0.25
    );
    assert_eq!(
        refresh("sasl.login.refresh.min.period.seconds", "7").period_min,
        ms(7_000)
    );
    assert_eq!(
        refresh("sasl.login.refresh.buffer.seconds", "7").buffer,
        ms(7_000)
    );
    assert_eq!(
        with("sasl.oauthbearer.sub.claim.name", "client").names.subject,
        "client"
    );
    assert_eq!(
        with("sasl.oauthbearer.scope.claim.name", "scp").names.scope,
        "scp"
    );
}

#[test]
fn keys_of_assertions() {
    let bearer = format!("{PACKAGE}.JwtBearerJwtRetriever");
    let bearer = (RETRIEVER, bearer.as_str());
    let file = ("sasl.oauthbearer.assertion.file", "/assertion");
    let settings = oauth(&[bearer, file, KEY_FILE]);
    assert!(matches!(
        settings.grant,
        Grant::JwtBearer { assertion: Assertion::File(path) } if path.as_os_str() == "/assertion"
    ));
    let made = |more: &[(&str, &str)]| match oauth(&[&[bearer, KEY_FILE][..], more].concat()).grant {
        Grant::JwtBearer {
            assertion: Assertion::Made(made),
        } => *made,
        other => panic!("{other:?}"),
    };
    let default = made(&[]);
    assert_eq!(default.key_file, PathBuf::from("/key.pem"));
    assert_eq!((default.algorithm.as_str(), default.has_id), ("RS256", false));
    assert_eq!(
        (default.expires_after_seconds, default.not_before_seconds),
        (300, 60)
    );
    assert!(default.claims.is_empty() && default.passphrase.is_none() && default.template_file.is_none());
    let of =
        |name: &str, value: &str| made(&[(format!("sasl.oauthbearer.assertion.{name}").as_str(), value)]);
    assert_eq!(of("algorithm", "es256").algorithm, "es256");
    assert_eq!(of("claim.aud", "a").claims, [("aud", "a".to_owned())]);
    assert_eq!(of("claim.iss", "i").claims, [("iss", "i".to_owned())]);
    assert_eq!(of("claim.sub", "s").claims, [("sub", "s".to_owned())]);
    assert_eq!(of("claim.exp.seconds", "7").expires_after_seconds, 7);
    assert_eq!(of("claim.nbf.seconds", "7").not_before_seconds, 7);
    assert!(of("claim.jti.include", "true").has_id);
    assert_eq!(of("template.file", "/t").template_file, Some("/t".into()));
    let passphrase = of("private.key.passphrase", "canary").passphrase;
    assert_eq!(passphrase.as_ref().map(super::Password::reveal), Some("canary"));

    // With client credentials: a file, or an issuer, stands for the secret; the id goes along if there is one.
    for (settings, has_id) in [
        (&[file][..], false),
        (&[file, ID], true),
        (&[KEY_FILE, ("sasl.oauthbearer.assertion.claim.iss", "i")], false),
    ] {
        match oauth(settings).grant {
            Grant::ClientAssertion { id, .. } => assert_eq!(id.is_some(), has_id),
            other => panic!("{other:?}"),
        }
    }
    // Without an issuer it is the secret, as in Java.
    assert!(matches!(
        oauth(&[ID, SECRET, KEY_FILE]).grant,
        Grant::ClientSecret { .. }
    ));
}

#[test]
fn classes_of_java_have_their_counterparts() {
    for (retriever, endpoint) in [
        ("DefaultJwtRetriever", "http://a"),
        ("ClientCredentialsJwtRetriever", "https://a:7/t"),
    ] {
        let retriever = format!("{PACKAGE}.{retriever}");
        let settings = oauth(&[ID, SECRET, (RETRIEVER, &retriever), (ENDPOINT, endpoint)]);
        assert!(matches!(settings.grant, Grant::ClientSecret { .. }));
    }
    for retriever in ["DefaultJwtRetriever", "FileJwtRetriever"] {
        let retriever = format!("{PACKAGE}.{retriever}");
        for url in ["file:/token", "file:///token"] {
            let (_, login) = login(&[(RETRIEVER, &retriever), (ENDPOINT, url)]);
            assert!(matches!(login, Login::File { path, .. } if path.as_os_str() == "/token"));
        }
    }
    let handler = format!("{PACKAGE}.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler");
    let jaas = format!("{PACKAGE}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=me;");
    let (_, unsecured) = login(&[("sasl.login.callback.handler.class", &handler), (JAAS, &jaas)]);
    assert!(matches!(unsecured, Login::Unsecured(_)));
    let validator = format!("{PACKAGE}.ClientJwtValidator");
    let _ = oauth(&[ID, SECRET, ("sasl.oauthbearer.jwt.validator.class", &validator)]);
}

#[test]
fn what_only_brokers_look_at_is_said_to_be_ignored() {
    for (key, value) in [
        ("sasl.oauthbearer.jwks.endpoint.url", "http://a/jwks"),
        ("sasl.oauthbearer.jwks.endpoint.refresh.ms", "7"),
        ("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", "7"),
        ("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", "7"),
        ("sasl.oauthbearer.expected.audience", "a"),
        ("sasl.oauthbearer.expected.issuer", "a"),
        ("sasl.oauthbearer.clock.skew.seconds", "7"),
    ] {
        let (_, warnings) = builder(&[ID, SECRET, (key, value)]).build().expect("it is taken");
        let text = warnings.iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains(key) && text.contains("broker"), "{key}: {text}");
    }
}

/// Settings, and what the error says.
type Refused<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn what_is_wrong_says_what_to_change() {
    let bearer = format!("{PACKAGE}.JwtBearerJwtRetriever");
    let file = format!("{PACKAGE}.FileJwtRetriever");
    let broker = format!("{PACKAGE}.BrokerJwtValidator");
    let jaas = |options: &str| format!("{PACKAGE}.OAuthBearerLoginModule required {options};");
    let settings: &[Refused<'_>] = &[
        (&[SECRET], &[ID.0, "clientId", "sasl.oauthbearer.assertion.file"]),
        (&[ID], &[SECRET.0, "clientSecret"]),
        (&[ENDPOINT_EMPTY], &[ENDPOINT, "is not set"]),
        (&[(ENDPOINT, "ftp://canary")], &[ENDPOINT, "http://"]),
        (&[(ENDPOINT, "http://me:canary@a/")], &[ENDPOINT, SECRET.0]),
        (&[(ENDPOINT, "file:token")], &[ENDPOINT, "absolute"]),
        (&[(RETRIEVER, &file)], &[ENDPOINT, "file:///"]),
        (
            &[(RETRIEVER, "com.example.Own")],
            &[RETRIEVER, "JwtBearerJwtRetriever", "ProducerBuilder::credentials"],
        ),
        (
            &[(RETRIEVER, &bearer)],
            &[KEY_FILE.0, "sasl.oauthbearer.assertion.file"],
        ),
        (
            &[ID, SECRET, ("sasl.oauthbearer.jwt.validator.class", &broker)],
            &["sasl.oauthbearer.jwt.validator.class", "ClientJwtValidator"],
        ),
        (
            &[ID, SECRET, ("sasl.login.retry.backoff.ms", "-1")],
            &["sasl.login.retry.backoff.ms", "below 0"],
        ),
        (
            &[ID, SECRET, ("sasl.login.retry.backoff.max.ms", "99")],
            &["sasl.login.retry.backoff.max.ms", "less than"],
        ),
        (
            &[(
                JAAS,
                &jaas("clientId=a clientSecret=canary extension_auth=\"canary\""),
            )],
            &[JAAS, "reserved"],
        ),
        (
            &[
                ID,
                SECRET,
                ("sasl.login.callback.handler.class", "com.example.Own"),
            ],
            &["sasl.login.callback.handler.class"],
        ),
    ];
    for (settings, parts) in settings {
        refuses(settings, parts);
    }
    // An endpoint alone does nothing: Java's default handler does not look at it.
    let error = ConfigBuilder::new()
        .bootstrap_servers("localhost:9092")
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set(JAAS, jaas("clientId=a clientSecret=canary"))
        .set(ENDPOINT, "http://a")
        .build()
        .expect_err("no handler")
        .to_string();
    assert!(
        error.contains("sasl.login.callback.handler.class")
            && error.contains("OAuthBearerLoginCallbackHandler"),
        "{error}"
    );
}

const ENDPOINT_EMPTY: (&str, &str) = (ENDPOINT, "");
