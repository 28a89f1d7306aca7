//! From `sasl.*` to who the client says it is.

use super::choices::SecurityProtocol;
use super::error::ConfigError;
use super::settings::{Reading, Settings};
use super::value::Value;
use crate::sasl::UnsecuredToken;
use ottla_network::sasl::jaas::{JaasEntry, LoginModule};
use ottla_network::sasl::{Mechanism, PasswordCredentials};
use std::path::PathBuf;

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
    File {
        path: PathBuf,
        extensions: Vec<(String, String)>,
    },
    /// AWS keys of the environment or the shared file.
    Aws { profile: Option<String> },
    /// The program brings them.
    Own,
}

/// What is wrong, and which key is to blame.
struct Problem(&'static str, String);

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
    match sasl(settings) {
        Ok(sasl) => Some(sasl),
        Err(Problem(key, reason)) => {
            let error = ConfigError::key(key, reason, settings.setting(key).origin());
            reading.errors.push(error);
            None
        }
    }
}

fn sasl(settings: &Settings) -> Result<Sasl, Problem> {
    let mechanism = mechanism(settings)?;
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
    let problem = |reason: String| Problem(JAAS, reason);
    if settings.text(HANDLER).is_none() {
        let token = UnsecuredToken::read(entry).map_err(problem)?;
        return Ok(token.map_or(Login::Own, Login::Unsecured));
    }
    let endpoint = settings.text(ENDPOINT).unwrap_or_default();
    // `file:/path` and `file:///path` are what Java's URL takes.
    let path = endpoint.strip_prefix("file:");
    let Some(path) = path
        .map(|path| path.strip_prefix("//").unwrap_or(path))
        .filter(|path| path.starts_with('/'))
    else {
        let reason = "must be file:///… with an absolute path; getting tokens over HTTP does nothing yet (a program can \
                      bring its own by ProducerBuilder::credentials)";
        return Err(Problem(ENDPOINT, reason.to_owned()));
    };
    let extensions = entry.options().filter_map(|(name, value)| {
        let name = name.strip_prefix("extension_")?;
        Some((name.to_owned(), value.reveal().to_owned()))
    });
    Ok(Login::File {
        path: path.into(),
        extensions: extensions.collect(),
    })
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
