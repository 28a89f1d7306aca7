//! `.properties` files for clients of a cluster with TLS and SASL: one for each way in, for Java and for us.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::listeners::{Listener, USER};
use super::stores::Stores;

/// Where the clients' files are, in a cluster's folder.
pub(crate) fn folder(cluster: &Path) -> PathBuf {
    cluster.join("clients")
}

/// Writes a file for each way into the cluster. `bootstrap` gives the addresses of a listener; `None` is the plain one.
pub(crate) fn write(
    folder: &Path,
    listeners: &[Listener],
    stores: Option<&Stores>,
    bootstrap: impl Fn(Option<Listener>) -> String,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let save = |name: &str, listener: Option<Listener>, settings: &[(&str, String)]| {
        let protocol = listener.map_or("PLAINTEXT", Listener::protocol);
        let mut text = format!(
            "bootstrap.servers={}\nsecurity.protocol={protocol}\n",
            bootstrap(listener)
        );
        for (key, value) in settings {
            text.push_str(&format!("{key}={}\n", escape(value)));
        }
        let path = folder.join(format!("{name}.properties"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    save("plaintext", None, &[])?;
    for &listener in listeners {
        match (listener, stores) {
            (Listener::Ssl, Some(stores)) => {
                for (form, trust) in trusts(stores)? {
                    save(&format!("ssl-{form}"), Some(listener), &trust)?;
                }
            }
            (Listener::Mtls, Some(stores)) => {
                for ((form, trust), key) in trusts(stores)?.into_iter().zip(keys(stores)?) {
                    save(&format!("mtls-{form}"), Some(listener), &[trust, key].concat())?;
                }
            }
            (Listener::SaslPlaintext, _) => {
                for (mechanism, login) in logins() {
                    save(&format!("sasl-plaintext-{mechanism}"), Some(listener), &login)?;
                }
            }
            (Listener::SaslSsl, Some(stores)) => {
                for (mechanism, login) in logins() {
                    for (form, trust) in trusts(stores)? {
                        save(
                            &format!("sasl-ssl-{mechanism}-{form}"),
                            Some(listener),
                            &[login.clone(), trust].concat(),
                        )?;
                    }
                }
            }
            (Listener::Expired | Listener::Misnamed, Some(stores)) => {
                let [_, _, (_, trust), _] = trusts(stores)?;
                save(&listener.name().to_lowercase(), Some(listener), &trust)?;
            }
            (Listener::Oidc, _) => save("oidc", Some(listener), &signed_tokens())?,
            (_, None) => {}
        }
    }
    Ok(())
}

type Settings = Vec<(&'static str, String)>;

/// Whom to trust, in each form that Kafka knows.
fn trusts(stores: &Stores) -> anyhow::Result<[(&'static str, Settings); 4]> {
    let store = |form: &str, file| {
        vec![
            ("ssl.truststore.type", form.to_owned()),
            ("ssl.truststore.location", stores.path(file)),
            ("ssl.truststore.password", Stores::PASSWORD.to_owned()),
        ]
    };
    Ok([
        ("jks", store("JKS", "trust.jks")),
        ("pkcs12", store("PKCS12", "trust.p12")),
        (
            "pem",
            vec![
                ("ssl.truststore.type", "PEM".to_owned()),
                ("ssl.truststore.location", stores.path("ca.pem")),
            ],
        ),
        (
            "inline",
            vec![
                ("ssl.truststore.type", "PEM".to_owned()),
                ("ssl.truststore.certificates", stores.read("ca.pem")?),
            ],
        ),
    ])
}

/// The client's key and certificate, in the same forms.
fn keys(stores: &Stores) -> anyhow::Result<[Settings; 4]> {
    let key_password = ("ssl.key.password", Stores::KEY_PASSWORD.to_owned());
    let store = |form: &str, file| {
        vec![
            ("ssl.keystore.type", form.to_owned()),
            ("ssl.keystore.location", stores.path(file)),
        ]
    };
    let password = ("ssl.keystore.password", Stores::PASSWORD.to_owned());
    Ok([
        [
            store("JKS", "client.jks"),
            vec![password.clone(), key_password.clone()],
        ]
        .concat(),
        [store("PKCS12", "client.p12"), vec![password]].concat(),
        [store("PEM", "client.pem"), vec![key_password.clone()]].concat(),
        vec![
            ("ssl.keystore.type", "PEM".to_owned()),
            ("ssl.keystore.key", stores.read("client.key.pem")?),
            ("ssl.keystore.certificate.chain", stores.read("client.crt")?),
            key_password,
        ],
    ])
}

/// How the user logs in, by each mechanism.
fn logins() -> [(&'static str, Settings); 4] {
    let (user, password) = USER;
    let login = |mechanism: &str, module: &str, options: String| {
        vec![
            ("sasl.mechanism", mechanism.to_owned()),
            (
                "sasl.jaas.config",
                format!("org.apache.kafka.common.security.{module} required {options};"),
            ),
        ]
    };
    let secret = || format!("username=\"{user}\" password=\"{password}\"");
    let scram = "scram.ScramLoginModule";
    [
        ("plain", login("PLAIN", "plain.PlainLoginModule", secret())),
        ("scram-sha-256", login("SCRAM-SHA-256", scram, secret())),
        ("scram-sha-512", login("SCRAM-SHA-512", scram, secret())),
        (
            "oauthbearer",
            login(
                "OAUTHBEARER",
                "oauthbearer.OAuthBearerLoginModule",
                format!("unsecuredLoginStringClaim_sub=\"{user}\""),
            ),
        ),
    ]
}

/// A token from an endpoint, whose address is missing: whoever uses this plays it.
fn signed_tokens() -> Settings {
    let package = "org.apache.kafka.common.security.oauthbearer";
    vec![
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        (
            "sasl.jaas.config",
            format!("{package}.OAuthBearerLoginModule required;"),
        ),
        (
            "sasl.login.callback.handler.class",
            format!("{package}.OAuthBearerLoginCallbackHandler"),
        ),
    ]
}

/// A value as `java.util.Properties` reads it back.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n")
}
