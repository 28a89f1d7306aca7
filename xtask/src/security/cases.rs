//! The ways into a cluster, good and bad, and who gets through.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::Token;

/// The forms in which a client can have its certificates.
const FORMS: [&str; 4] = ["jks", "pkcs12", "pem", "inline"];

/// The mechanisms of SASL, as the clients' files name them.
const MECHANISMS: [&str; 4] = ["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"];

/// Who gets a record through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Java's producer and ours.
    Both,
    /// Neither, and ours says this.
    Neither(&'static str),
    /// Ours; what Java does is its own affair, for this reason.
    Ours(&'static str),
}

/// One way in.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// The cluster's file that it begins with.
    file: String,
    /// The cluster's file whose listener is used.
    listener: String,
    /// What is set instead, and what is not set at all; `{stores}` is the folder of stores, `{token}` and `{hmac}` are the
    /// parts of a delegation token.
    changes: Vec<(&'static str, Option<String>)>,
    /// What stands after all that, as it is; `{secrets}` is a file of secrets.
    text: &'static str,
    pub(super) expected: Expected,
}

impl Case {
    pub(super) fn new(name: impl Into<String>, file: &str, expected: Expected) -> Self {
        Self {
            name: name.into(),
            file: file.to_owned(),
            listener: file.to_owned(),
            changes: Vec::new(),
            text: "",
            expected,
        }
    }

    fn at(mut self, listener: &str) -> Self {
        listener.clone_into(&mut self.listener);
        self
    }

    fn set(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.changes.push((key, Some(value.into())));
        self
    }

    pub(super) fn text(mut self, text: &'static str) -> Self {
        self.text = text;
        self
    }

    pub(super) fn without(mut self, key: &'static str) -> Self {
        self.changes.push((key, None));
        self
    }

    /// Writes the case's own `producer.properties`, and returns the address in it.
    pub(super) fn write(
        &self,
        clients: &Path,
        stores: &Path,
        token: &Token,
        secrets: &Path,
        to: &Path,
    ) -> anyhow::Result<String> {
        let read = |file: &str| {
            let path = clients.join(format!("{file}.properties"));
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let address = read(&self.listener)?
            .lines()
            .find_map(|line| line.strip_prefix("bootstrap.servers="))
            .context("a file without bootstrap.servers")?
            .to_owned();
        let mut text = format!("bootstrap.servers={address}\n");
        let is_changed = |line: &str| {
            let key = line.split('=').next().unwrap_or_default();
            key == "bootstrap.servers" || self.changes.iter().any(|(changed, _)| *changed == key)
        };
        for line in read(&self.file)?.lines().filter(|line| !is_changed(line)) {
            text.push_str(&format!("{line}\n"));
        }
        for (key, value) in &self.changes {
            if let Some(value) = value {
                let value = value
                    .replace("{stores}", &stores.to_string_lossy())
                    .replace("{token}", &token.id)
                    .replace("{hmac}", &token.hmac);
                text.push_str(&format!("{key}={}\n", value.replace('\\', "\\\\")));
            }
        }
        text.push_str(&self.text.replace("{secrets}", &secrets.to_string_lossy()));
        fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
        Ok(address)
    }
}

/// Each mechanism, with TLS and without, with each form of store; and TLS alone.
pub(super) fn matrix() -> Vec<Case> {
    let mut cases = vec![Case::new("plaintext", "plaintext", Expected::Both)];
    let mut add = |file: String| cases.push(Case::new(file.clone(), &file, Expected::Both));
    for form in FORMS {
        add(format!("ssl-{form}"));
        add(format!("mtls-{form}"));
    }
    for mechanism in MECHANISMS {
        add(format!("sasl-plaintext-{mechanism}"));
        for form in FORMS {
            add(format!("sasl-ssl-{mechanism}-{form}"));
        }
    }
    cases
}

/// The whole matrix again, with each version of TLS by itself.
pub(super) fn matrix_by_version() -> Vec<Case> {
    let with_tls = || {
        matrix()
            .into_iter()
            .filter(|case| case.file.contains("ssl") || case.file.contains("mtls"))
    };
    let of = |version: &'static str| {
        with_tls().map(move |mut case| {
            case.name = format!("{}-{version}", case.name);
            case.set("ssl.protocol", version)
                .set("ssl.enabled.protocols", version)
        })
    };
    of("TLSv1.2").chain(of("TLSv1.3")).collect()
}

/// What is less usual, and works.
pub(super) fn odd() -> Vec<Case> {
    use Expected::{Both, Ours};
    vec![
        Case::new("tls-1.2", "ssl-jks", Both)
            .set("ssl.protocol", "TLSv1.2")
            .set("ssl.enabled.protocols", "TLSv1.2"),
        Case::new("tls-1.3", "ssl-pkcs12", Both).set("ssl.enabled.protocols", "TLSv1.3"),
        Case::new("one-cipher-suite", "ssl-pem", Both).set("ssl.cipher.suites", "TLS_AES_256_GCM_SHA384"),
        Case::new("the-name-is-not-checked", "misnamed", Both)
            .set("ssl.endpoint.identification.algorithm", ""),
        Case::new("trust-in-the-certificate-itself", "ssl-pem", Both)
            .set("ssl.truststore.location", "{stores}/broker.crt"),
        Case::new("two-forms-at-once", "mtls-jks", Both)
            .set("ssl.truststore.type", "PEM")
            .set("ssl.truststore.location", "{stores}/ca.pem")
            .without("ssl.truststore.password"),
        Case::new("old-pkcs12", "mtls-pkcs12", Both).set("ssl.keystore.location", "{stores}/client-old.p12"),
        Case::new("pkcs12-that-says-jks", "ssl-pkcs12", Both).set("ssl.truststore.type", "JKS"),
        Case::new("jks-that-says-pkcs12", "ssl-jks", Both).set("ssl.truststore.type", "PKCS12"),
        Case::new("delegation-token-256", "sasl-plaintext-scram-sha-256", Both)
            .set("sasl.jaas.config", token_jaas(" tokenauth=true")),
        Case::new("delegation-token-512", "sasl-ssl-scram-sha-512-pem", Both)
            .set("sasl.jaas.config", token_jaas(" tokenauth=\"true\"")),
        Case::new(
            "newer-encrypted-key",
            "mtls-pem",
            Ours("Java 17 opens no key in PBES2"),
        )
        .set("ssl.keystore.location", "{stores}/client-pbes2.pem"),
    ]
}

/// The entry of a client that has a delegation token.
fn token_jaas(options: &str) -> String {
    format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{{token}}\" \
         password=\"{{hmac}}\"{options};"
    )
}

/// What has to be refused, by both, with one line that says what is wrong.
pub(super) fn refused() -> Vec<Case> {
    [refused_passwords(), refused_stores(), refused_peers()].concat()
}

fn refused_passwords() -> Vec<Case> {
    use Expected::Neither;
    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
    const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let jaas = |module: &str, user: &str, password: &str| {
        format!("{module} required username=\"{user}\" password=\"{password}\";")
    };
    let plain = "sasl-plaintext-plain";
    let scram = "sasl-plaintext-scram-sha-256";
    vec![
        Case::new(
            "wrong-password-plain",
            plain,
            Neither("Invalid username or password"),
        )
        .set("sasl.jaas.config", jaas(PLAIN, "alice", "wrong")),
        Case::new(
            "wrong-password-plain-tls",
            "sasl-ssl-plain-pem",
            Neither("Invalid username or password"),
        )
        .set("sasl.jaas.config", jaas(PLAIN, "alice", "wrong")),
        Case::new("wrong-password-scram-256", scram, Neither("invalid credentials"))
            .set("sasl.jaas.config", jaas(SCRAM, "alice", "wrong")),
        Case::new(
            "wrong-password-scram-512",
            "sasl-plaintext-scram-sha-512",
            Neither("invalid credentials"),
        )
        .set("sasl.jaas.config", jaas(SCRAM, "alice", "wrong")),
        Case::new("unknown-user", scram, Neither("invalid credentials"))
            .set("sasl.jaas.config", jaas(SCRAM, "nobody", "alice-secret")),
        Case::new(
            "delegation-token-as-a-user",
            "sasl-plaintext-scram-sha-512",
            Neither("invalid credentials"),
        )
        .set("sasl.jaas.config", token_jaas("")),
        Case::new(
            "token-without-subject",
            "sasl-plaintext-oauthbearer",
            Neither("unsecuredLoginStringClaim_sub"),
        )
        .set(
            "sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
        ),
        Case::new("unknown-mechanism", plain, Neither("sasl.mechanism")).set("sasl.mechanism", "SCRAM-SHA-1"),
        Case::new("kerberos", plain, Neither("GSSAPI")).set("sasl.mechanism", "GSSAPI"),
        Case::new("no-jaas", plain, Neither("sasl.jaas.config")).without("sasl.jaas.config"),
        Case::new("broken-jaas", plain, Neither("sasl.jaas.config")).set(
            "sasl.jaas.config",
            format!("{PLAIN} required username=\"alice\" password=\"alice-secret\""),
        ),
        Case::new("unknown-module", plain, Neither("sasl.jaas.config")).set(
            "sasl.jaas.config",
            jaas("com.example.LoginModule", "alice", "alice-secret"),
        ),
    ]
}

fn refused_stores() -> Vec<Case> {
    use Expected::Neither;
    let trust = "ssl.truststore.password";
    let location = "ssl.truststore.location";
    vec![
        Case::new("wrong-password-jks", "ssl-jks", Neither(trust)).set(trust, "wrong"),
        Case::new("wrong-password-pkcs12", "ssl-pkcs12", Neither(trust)).set(trust, "wrong"),
        Case::new("password-of-pem", "ssl-pem", Neither(trust)).set(trust, "wrong"),
        Case::new(
            "wrong-keystore-password",
            "mtls-pkcs12",
            Neither("ssl.keystore.password"),
        )
        .set("ssl.keystore.password", "wrong"),
        Case::new("wrong-key-password-jks", "mtls-jks", Neither("ssl.key.password"))
            .set("ssl.key.password", "wrong"),
        Case::new("wrong-key-password-pem", "mtls-pem", Neither("ssl.key.password"))
            .set("ssl.key.password", "wrong"),
        Case::new("no-such-store", "ssl-jks", Neither("{stores}/none.jks"))
            .set(location, "{stores}/none.jks"),
        Case::new("jks-that-says-pem", "ssl-pem", Neither(location)).set(location, "{stores}/trust.jks"),
        Case::new("pem-that-says-jks", "ssl-jks", Neither(location)).set(location, "{stores}/ca.pem"),
        Case::new("unknown-store-type", "ssl-jks", Neither("ssl.truststore.type"))
            .set("ssl.truststore.type", "ZIP"),
        Case::new("old-tls", "ssl-jks", Neither("ssl.protocol"))
            .set("ssl.protocol", "TLSv1.1")
            .set("ssl.enabled.protocols", "TLSv1.1"),
        Case::new("unknown-cipher-suite", "ssl-jks", Neither("ssl.cipher.suites"))
            .set("ssl.cipher.suites", "TLS_NONE_WITH_NOTHING"),
    ]
}

fn refused_peers() -> Vec<Case> {
    use Expected::Neither;
    vec![
        Case::new("foreign-authority", "ssl-pem", Neither("truststore"))
            .set("ssl.truststore.location", "{stores}/foreign.pem"),
        Case::new(
            "foreign-authority-and-sasl",
            "sasl-ssl-plain-pem",
            Neither("truststore"),
        )
        .set("ssl.truststore.location", "{stores}/foreign.pem"),
        Case::new("expired-certificate", "expired", Neither("expired")),
        Case::new("expired-certificate-without-name", "expired", Neither("expired"))
            .set("ssl.endpoint.identification.algorithm", ""),
        Case::new("another-hosts-certificate", "misnamed", Neither("127.0.0.1")),
        Case::new("no-certificate-of-the-client", "ssl-jks", Neither("keystore")).at("mtls-jks"),
        Case::new(
            "foreign-certificate-of-the-client",
            "mtls-pkcs12",
            Neither("certificate"),
        )
        .set("ssl.keystore.location", "{stores}/foreign-client.p12"),
        Case::new("plain-text-to-tls", "plaintext", Neither("security.protocol")).at("ssl-jks"),
        Case::new("tls-to-plain-text", "ssl-jks", Neither("security.protocol")).at("plaintext"),
        Case::new(
            "sasl-in-plain-text-to-tls",
            "sasl-plaintext-plain",
            Neither("security.protocol"),
        )
        .at("sasl-ssl-plain-jks"),
        Case::new(
            "sasl-over-tls-to-plain-text",
            "sasl-ssl-plain-jks",
            Neither("security.protocol"),
        )
        .at("sasl-plaintext-plain"),
        Case::new(
            "sasl-where-there-is-none",
            "sasl-plaintext-plain",
            Neither("security.protocol"),
        )
        .at("plaintext"),
        Case::new(
            "no-sasl-where-it-is-wanted",
            "plaintext",
            Neither("security.protocol"),
        )
        .at("sasl-plaintext-plain"),
        Case::new(
            "no-sasl-where-it-is-wanted-tls",
            "ssl-jks",
            Neither("security.protocol"),
        )
        .at("sasl-ssl-plain-jks"),
    ]
}
