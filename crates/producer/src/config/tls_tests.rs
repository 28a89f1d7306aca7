//! What each key about TLS comes to, before any file is read.

use super::tls::{Identity, TlsSettings, Trust};
use super::*;
use ottla_network::stores::StoreForm;
use ottla_network::tls::TlsVersion;

fn builder(settings: &[(&str, &str)]) -> ConfigBuilder {
    let mut builder = ConfigBuilder::new()
        .set("bootstrap.servers", "a:1")
        .set("security.protocol", "SSL");
    builder.extend(settings.iter().copied());
    builder
}

#[track_caller]
fn accepts(settings: &[(&str, &str)]) -> TlsSettings {
    let (config, warnings) = builder(settings)
        .build()
        .unwrap_or_else(|error| panic!("{settings:?}: {error}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    config.tls().expect("TLS is used").clone()
}

/// The error names all of `keys`.
#[track_caller]
fn refuses(settings: &[(&str, &str)], keys: &[&str]) {
    let error = builder(settings).build().expect_err("a contradiction");
    let blamed: Vec<_> = error.keys_to_blame().collect();
    assert!(keys.iter().all(|key| blamed.contains(key)), "{error}");
}

fn password(password: &Option<Password>) -> Option<&str> {
    password.as_ref().map(Password::reveal)
}

#[test]
fn stores_in_files() {
    let tls = accepts(&[]);
    assert!(tls.trust.is_none() && tls.identity.is_none() && tls.verifies_names);
    let tls = accepts(&[
        ("ssl.truststore.location", "t.p12"),
        ("ssl.truststore.password", "tp"),
        ("ssl.truststore.type", "pkcs12"),
        ("ssl.keystore.location", "k.jks"),
        ("ssl.keystore.password", "kp"),
        ("ssl.key.password", "own"),
    ]);
    let Some(Trust::File(trust)) = &tls.trust else {
        panic!("{tls:?}")
    };
    assert_eq!(
        (trust.path.as_str(), trust.form, password(&trust.password)),
        ("t.p12", StoreForm::Pkcs12, Some("tp"))
    );
    let Some(Identity::File { file, key_password }) = &tls.identity else {
        panic!("{tls:?}")
    };
    assert_eq!(
        (file.path.as_str(), file.form, password(&file.password)),
        ("k.jks", StoreForm::Jks, Some("kp"))
    );
    assert_eq!(password(key_password), Some("own"));
    refuses(
        &[("ssl.truststore.password", "p")],
        &["ssl.truststore.password", "ssl.truststore.location"],
    );
    refuses(
        &[("ssl.keystore.password", "p")],
        &["ssl.keystore.password", "ssl.keystore.location"],
    );
    refuses(
        &[("ssl.keystore.location", "k")],
        &["ssl.keystore.location", "ssl.keystore.password"],
    );
    refuses(&[("ssl.keystore.type", "BKS")], &["ssl.keystore.type"]);
    refuses(&[("ssl.truststore.type", "BKS")], &["ssl.truststore.type"]);
}

#[test]
fn certificates_and_keys_in_the_configuration_itself() {
    let pem = [("ssl.truststore.type", "PEM"), ("ssl.keystore.type", "PEM")];
    let with = |more: &[(&'static str, &'static str)]| [&pem[..], more].concat();
    let tls = accepts(&with(&[
        ("ssl.truststore.certificates", "T"),
        ("ssl.keystore.certificate.chain", "C"),
        ("ssl.keystore.key", "K"),
        ("ssl.key.password", "P"),
    ]));
    let Some(Trust::Inline(trust)) = &tls.trust else {
        panic!("{tls:?}")
    };
    let Some(Identity::Inline {
        key,
        chain,
        key_password,
    }) = &tls.identity
    else {
        panic!("{tls:?}")
    };
    let found = [
        trust.reveal(),
        key.reveal(),
        chain.reveal(),
        password(key_password).unwrap_or_default(),
    ];
    assert_eq!(found, ["T", "K", "C", "P"]);
    refuses(
        &with(&[("ssl.keystore.key", "K")]),
        &["ssl.keystore.key", "ssl.keystore.certificate.chain"],
    );
    refuses(
        &[("ssl.truststore.certificates", "T")],
        &["ssl.truststore.certificates", "ssl.truststore.type"],
    );
    let both = with(&[
        ("ssl.truststore.certificates", "T"),
        ("ssl.truststore.location", "t"),
    ]);
    refuses(&both, &["ssl.truststore.certificates", "ssl.truststore.location"]);
}

#[test]
fn versions_suites_and_names() {
    let tls = accepts(&[("ssl.protocol", "TLSv1.2")]);
    assert_eq!(tls.versions, [TlsVersion::Tls12]);
    let tls = accepts(&[("ssl.enabled.protocols", "TLSv1.3"), ("ssl.cipher.suites", "A,B")]);
    assert_eq!(
        (tls.versions, tls.cipher_suites),
        (vec![TlsVersion::Tls13], vec!["A".to_owned(), "B".to_owned()])
    );
    refuses(&[("ssl.protocol", "SSLv3")], &["ssl.protocol"]);
    let none = [("ssl.protocol", "TLSv1.2"), ("ssl.enabled.protocols", "TLSv1.3")];
    refuses(&none, &["ssl.enabled.protocols", "ssl.protocol"]);
    assert!(!accepts(&[("ssl.endpoint.identification.algorithm", "")]).verifies_names);
    assert!(accepts(&[("ssl.endpoint.identification.algorithm", "HTTPS")]).verifies_names);
    refuses(
        &[("ssl.endpoint.identification.algorithm", "ldaps")],
        &["ssl.endpoint.identification.algorithm"],
    );
    // Without TLS nothing of it is looked at.
    let (config, _) = builder(&none)
        .set("security.protocol", "PLAINTEXT")
        .build()
        .expect("valid");
    assert!(config.tls().is_none());
}
