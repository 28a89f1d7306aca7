//! Listeners beside the plain one: TLS, SASL, and who may log in.

use std::fmt::Write as _;
use std::path::Path;

use super::issuer;
use super::properties::Ports;
use super::stores::Stores;

/// The one user that all mechanisms know, and its password.
pub(crate) const USER: (&str, &str) = ("alice", "alice-secret");

/// Signs delegation tokens: with it a broker gives them out.
const TOKEN_SECRET: &str = "token-secret";

/// A listener for clients, by the name that Kafka gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// TLS, where clients have no certificate.
    Ssl,
    /// TLS, where clients must have a certificate.
    Mtls,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
    /// TLS with a certificate that has expired.
    Expired,
    /// TLS with a certificate of another host.
    Misnamed,
    /// SASL without TLS, for tokens that an issuer has signed.
    Oidc,
}

impl Listener {
    /// The listeners that a cluster has beside the plain one. `checks_tokens`: the brokers can tell who signed a token.
    pub(crate) fn chosen(tls: bool, sasl: bool, checks_tokens: bool) -> Vec<Listener> {
        let all = [
            (Listener::Ssl, tls),
            (Listener::Mtls, tls),
            (Listener::SaslPlaintext, sasl),
            (Listener::SaslSsl, tls && sasl),
            (Listener::Expired, tls),
            (Listener::Misnamed, tls),
            (Listener::Oidc, sasl && checks_tokens),
        ];
        let chosen = all.into_iter().filter(|(_, chosen)| *chosen);
        chosen.map(|(listener, _)| listener).collect()
    }

    /// Its name in Kafka's settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Listener::Ssl => "SSL",
            Listener::Mtls => "MTLS",
            Listener::SaslPlaintext => "SASL_PLAINTEXT",
            Listener::SaslSsl => "SASL_SSL",
            Listener::Expired => "EXPIRED",
            Listener::Misnamed => "MISNAMED",
            Listener::Oidc => "OIDC",
        }
    }

    /// The `security.protocol` of its clients.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Listener::Mtls | Listener::Expired | Listener::Misnamed => "SSL",
            Listener::Oidc => "SASL_PLAINTEXT",
            listener => listener.name(),
        }
    }

    fn has_tls(self) -> bool {
        !matches!(self, Listener::SaslPlaintext | Listener::Oidc)
    }

    /// The store with its key and certificate.
    fn keystore(self) -> &'static str {
        match self {
            Listener::Expired => "expired.p12",
            Listener::Misnamed => "misnamed.p12",
            _ => "broker.p12",
        }
    }

    fn has_sasl(self) -> bool {
        matches!(self, Listener::SaslPlaintext | Listener::SaslSsl)
    }
}

/// What a node's properties say about its listeners. `stores` are there if one has TLS; `newest` names of mechanisms
/// are those of Kafka 2.0 and newer.
pub(crate) fn properties(ports: &Ports, stores: Option<&Stores>, issuer: &Path) -> String {
    let mut text = String::new();
    let mut set = |key: String, value: &str| {
        // A `String` takes everything.
        let _ = writeln!(text, "{key}={}", value.replace('\\', "\\\\"));
    };
    let listeners = || ports.others.iter().map(|(listener, _)| *listener);
    for listener in listeners().filter(|listener| listener.has_tls()) {
        let Some(stores) = stores else { continue };
        let prefix = format!("listener.name.{}.ssl", listener.name().to_lowercase());
        set(format!("{prefix}.keystore.type"), "PKCS12");
        set(
            format!("{prefix}.keystore.location"),
            &stores.path(listener.keystore()),
        );
        set(format!("{prefix}.keystore.password"), Stores::PASSWORD);
        set(format!("{prefix}.key.password"), Stores::PASSWORD);
        set(format!("{prefix}.truststore.type"), "PKCS12");
        set(format!("{prefix}.truststore.location"), &stores.path("trust.p12"));
        set(format!("{prefix}.truststore.password"), Stores::PASSWORD);
        let client_auth = if listener == Listener::Mtls {
            "required"
        } else {
            "none"
        };
        set(format!("{prefix}.client.auth"), client_auth);
    }
    let (user, password) = USER;
    for listener in listeners().filter(|listener| listener.has_sasl()) {
        let prefix = format!("listener.name.{}", listener.name().to_lowercase());
        let modules = [
            (
                "plain",
                format!("plain.PlainLoginModule required user_{user}=\"{password}\""),
            ),
            ("scram-sha-256", "scram.ScramLoginModule required".to_owned()),
            ("scram-sha-512", "scram.ScramLoginModule required".to_owned()),
            (
                "oauthbearer",
                "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\""
                    .to_owned(),
            ),
        ];
        for (mechanism, module) in modules {
            let entry = format!("org.apache.kafka.common.security.{module};");
            set(format!("{prefix}.{mechanism}.sasl.jaas.config"), &entry);
        }
    }
    if listeners().any(|listener| listener == Listener::Oidc) {
        let prefix = "listener.name.oidc.oauthbearer";
        let package = "org.apache.kafka.common.security.oauthbearer";
        let keys = issuer.join(issuer::JWKS);
        set(
            "listener.name.oidc.sasl.enabled.mechanisms".to_owned(),
            "OAUTHBEARER",
        );
        // A broker wants a log-in of its own for each mechanism, though it never uses this one.
        for (key, value) in [
            (
                "sasl.jaas.config",
                format!(
                    "{package}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
                ),
            ),
            (
                "sasl.server.callback.handler.class",
                format!("{package}.OAuthBearerValidatorCallbackHandler"),
            ),
            ("connections.max.reauth.ms", "2000".to_owned()),
            (
                "sasl.oauthbearer.jwks.endpoint.url",
                format!("file://{}", keys.display()),
            ),
            ("sasl.oauthbearer.expected.issuer", issuer::ISSUER.to_owned()),
            ("sasl.oauthbearer.expected.audience", issuer::AUDIENCE.to_owned()),
        ] {
            set(format!("{prefix}.{key}"), &value);
        }
    }
    if listeners().any(Listener::has_sasl) {
        set(
            "sasl.enabled.mechanisms".to_owned(),
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        );
        set("delegation.token.secret.key".to_owned(), TOKEN_SECRET);
    }
    text
}

/// The arguments that let a node's data folder begin with the SCRAM user.
pub(crate) fn scram_arguments() -> Vec<String> {
    let (user, password) = USER;
    let of = |mechanism| format!("{mechanism}=[name={user},password={password}]");
    ["SCRAM-SHA-256", "SCRAM-SHA-512"]
        .into_iter()
        .flat_map(|mechanism| ["--add-scram".to_owned(), of(mechanism)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sasl_over_tls_takes_both() {
        let names = |tls, sasl| {
            let chosen = Listener::chosen(tls, sasl, true).into_iter().map(Listener::name);
            chosen.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(false, false), "");
        assert_eq!(names(true, false), "SSL MTLS EXPIRED MISNAMED");
        assert_eq!(names(false, true), "SASL_PLAINTEXT OIDC");
        assert_eq!(
            names(true, true),
            "SSL MTLS SASL_PLAINTEXT SASL_SSL EXPIRED MISNAMED OIDC"
        );
    }
}
