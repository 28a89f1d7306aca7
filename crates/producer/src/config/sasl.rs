//! From `sasl.*` to who the client says it is.

use super::choices::SecurityProtocol;
use super::error::ConfigError;
#[cfg(feature = "oauth")]
use super::oauth::ENDPOINT;
use super::settings::{Reading, Settings};
use super::value::Value;
use crate::sasl::UnsecuredToken;
use ottla_network::sasl::jaas::{JaasEntry, LoginModule};
use ottla_network::sasl::{Mechanism, PasswordCredentials};
#[cfg(feature = "oauth")]
use std::path::PathBuf;

#[cfg(not(feature = "oauth"))]
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const HANDLER: &str = "sasl.login.callback.handler.class";
const JAAS: &str = "sasl.jaas.config";
const MECHANISM: &str = "sasl.mechanism";
const PROTOCOL: &str = "security.protocol";

/// How the client authenticates, as far as the configuration says it.
#[derive(Clone, Debug)]
pub(crate) struct Sasl {
    pub(crate) mechanism: Mechanism,
    pub(crate) login: Login,
}

/// Where the credentials come from.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    /// The configuration has them.
    Password(PasswordCredentials),
    /// A token that nobody signs.
    Unsecured(UnsecuredToken),
    /// A file with a token.
    #[cfg(feature = "oauth")]
    File {
        path: PathBuf,
        extensions: Vec<(String, String)>,
    },
    /// An endpoint that gives tokens.
    #[cfg(feature = "oauth")]
    Oauth(Box<super::oauth::OauthSettings>),
    /// AWS keys of the environment or the shared file.
    Aws { profile: Option<String> },
    /// The program brings them.
    Own,
}

/// What is wrong, and which key is to blame.
pub(super) struct Problem(pub(super) &'static str, pub(super) String);

/// Reads what `security.protocol` asks for; problems are added to the errors of `reading`.
pub(super) fn read(reading: &mut Reading) -> Option<Sasl> {
    let settings = &reading.settings;
    let protocol: SecurityProtocol = settings.text(PROTOCOL)?.parse().ok()?;
    if !matches!(
        protocol,
        SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl
    ) {
        return None;
    }
    match sasl(settings, reading.own_credentials) {
        Ok(sasl) => Some(sasl),
        Err(Problem(key, reason)) => {
            let error = ConfigError::key(key, reason, settings.setting(key).origin());
            reading.errors.push(error);
            None
        }
    }
}

fn sasl(settings: &Settings, own_credentials: bool) -> Result<Sasl, Problem> {
    let mechanism = mechanism(settings)?;
    if own_credentials {
        let login = Login::Own;
        return Ok(Sasl { mechanism, login });
    }
    let Value::Password(text) = settings.setting(JAAS).value() else {
        return Err(Problem(
            JAAS,
            format!(
                "is not set, and {MECHANISM}={mechanism} needs it, as in: {};",
                example(mechanism)
            ),
        ));
    };
    let entry = JaasEntry::parse(text.reveal()).map_err(|error| Problem(JAAS, error.to_string()))?;
    let module = entry.module().map_err(|error| Problem(JAAS, error.to_string()))?;
    let wrong_module = || {
        let reason = format!(
            "its login module is not one for {MECHANISM}={mechanism}; expected: {}",
            example(mechanism)
        );
        Err(Problem(JAAS, reason))
    };
    let login = match mechanism {
        // Kafka's two modules do the same: they put name and password where either mechanism finds them.
        Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha512 => match module {
            LoginModule::Plain | LoginModule::Scram => Login::Password(password(&entry, mechanism)?),
            _ => return wrong_module(),
        },
        Mechanism::OauthBearer if module == LoginModule::OauthBearer => token(settings, &entry)?,
        Mechanism::AwsMskIam if module == LoginModule::MskIam => aws(&entry)?,
        _ => return wrong_module(),
    };
    Ok(Sasl { mechanism, login })
}

fn mechanism(settings: &Settings) -> Result<Mechanism, Problem> {
    let name = settings.text(MECHANISM).unwrap_or_default();
    if name == "GSSAPI" {
        let how = if settings.is_set(MECHANISM) {
            "is"
        } else {
            "is by default"
        };
        return Err(Problem(
            MECHANISM,
            format!(
                "{how} GSSAPI (Kerberos), which is not built in; set one that the brokers offer, too: {}",
                names()
            ),
        ));
    }
    name.parse().map_err(|_| {
        Problem(
            MECHANISM,
            format!("no such mechanism here; expected one of {}", names()),
        )
    })
}

fn names() -> String {
    let names: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
    names.join(", ")
}

fn password(entry: &JaasEntry, mechanism: Mechanism) -> Result<PasswordCredentials, Problem> {
    let option = |name: &str| {
        let missing = || {
            Problem(
                JAAS,
                format!("its option {name} is missing, which {mechanism} needs"),
            )
        };
        entry.option(name).ok_or_else(missing)
    };
    let (user, password) = (option("username")?, option("password")?);
    let mut credentials = PasswordCredentials::new(user.reveal(), password.clone());
    let is_token = entry.option("tokenauth");
    credentials.is_delegation_token = is_token.is_some_and(|flag| flag.reveal().eq_ignore_ascii_case("true"));
    if credentials.is_delegation_token && mechanism == Mechanism::Plain {
        let reason = "tokenauth is for delegation tokens, which take SCRAM-SHA-256 or SCRAM-SHA-512";
        return Err(Problem(JAAS, reason.to_owned()));
    }
    if user.reveal().contains('\0') || password.reveal().contains('\0') {
        return Err(Problem(JAAS, "user and password cannot have a NUL".to_owned()));
    }
    if user.reveal().is_empty() {
        return Err(Problem(JAAS, "its option username is empty".to_owned()));
    }
    Ok(credentials)
}

/// Java's default handler makes tokens that nobody signs, the other one gets them from an endpoint.
fn token(settings: &Settings, entry: &JaasEntry) -> Result<Login, Problem> {
    let handler = settings.text(HANDLER);
    if handler.is_some_and(|name| !name.ends_with(UNSECURED_HANDLER)) {
        return endpoint(settings, entry);
    }
    let token = UnsecuredToken::read(entry).map_err(|reason| Problem(JAAS, reason))?;
    match token {
        Some(token) => Ok(Login::Unsecured(token)),
        None if settings.text(ENDPOINT).is_some() => {
            let reason = format!(
                "must be {OAUTH_HANDLER} for {ENDPOINT} to be used; as it is, tokens that nobody signs are made"
            );
            Err(Problem(HANDLER, reason))
        }
        None => Ok(Login::Own),
    }
}

const OAUTH_HANDLER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
const UNSECURED_HANDLER: &str = ".OAuthBearerUnsecuredLoginCallbackHandler";

#[cfg(feature = "oauth")]
fn endpoint(settings: &Settings, entry: &JaasEntry) -> Result<Login, Problem> {
    super::oauth::read(settings, entry)
}

#[cfg(not(feature = "oauth"))]
fn endpoint(_: &Settings, _: &JaasEntry) -> Result<Login, Problem> {
    let reason = "getting tokens is not compiled in: it takes the feature oauth (or a program that brings its own, by \
                  ProducerBuilder::credentials)";
    Err(Problem(HANDLER, reason.to_owned()))
}

fn aws(entry: &JaasEntry) -> Result<Login, Problem> {
    let taken = ["awsProfileName", "awsDebugCreds"];
    if entry.options().any(|(name, _)| !taken.contains(&name)) {
        let reason = "of the options of IAMLoginModule only awsProfileName is taken: keys come from the environment, the \
                      shared file or the program, not from a role";
        return Err(Problem(JAAS, reason.to_owned()));
    }
    let profile = entry.option("awsProfileName");
    Ok(Login::Aws {
        profile: profile.map(|name| name.reveal().to_owned()),
    })
}

/// What the key could look like.
fn example(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => {
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"…\" password=\"…\""
        }
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"…\" password=\"…\""
        }
        Mechanism::OauthBearer => {
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
        }
        _ => "software.amazon.msk.auth.iam.IAMLoginModule required",
    }
}
