//! The keys about TLS, and the rules between them (Java's `DefaultSslEngineFactory`).

use super::choices::SecurityProtocol;
use super::error::ConfigError;
use super::password::Password;
#[cfg(any(feature = "oauth", feature = "schema-registry"))]
use super::settings::{Entry, UnknownKeys};
use super::settings::{Reading, Settings};
use super::value::Value;
use ottla_network::stores::StoreForm;
use ottla_network::tls::TlsVersion;

const CHAIN: &str = "ssl.keystore.certificate.chain";
const IDENTIFICATION: &str = "ssl.endpoint.identification.algorithm";
const KEY: &str = "ssl.keystore.key";
const KEY_LOCATION: &str = "ssl.keystore.location";
const KEY_PASSWORD: &str = "ssl.key.password";
const KEY_STORE_PASSWORD: &str = "ssl.keystore.password";
const KEY_TYPE: &str = "ssl.keystore.type";
const PROTOCOL: &str = "ssl.protocol";
const PROTOCOLS: &str = "ssl.enabled.protocols";
const TRUST: &str = "ssl.truststore.certificates";
const TRUST_LOCATION: &str = "ssl.truststore.location";
const TRUST_PASSWORD: &str = "ssl.truststore.password";
const TRUST_TYPE: &str = "ssl.truststore.type";

/// What the keys say, before any file is read.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    /// Without one, what the platform trusts.
    pub(crate) trust: Option<Trust>,
    pub(crate) identity: Option<Identity>,
    pub(crate) verifies_names: bool,
    pub(crate) versions: Vec<TlsVersion>,
    pub(crate) cipher_suites: Vec<String>,
}

/// Whom to trust.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    File(StoreFile),
    Inline(Password),
}

/// Who this client is.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    File {
        file: StoreFile,
        key_password: Option<Password>,
    },
    Inline {
        key: Password,
        chain: Password,
        key_password: Option<Password>,
    },
}

/// A file with certificates or keys.
#[derive(Clone, Debug)]
pub(crate) struct StoreFile {
    /// The key that names it.
    pub(crate) key: &'static str,
    pub(crate) path: String,
    pub(crate) form: StoreForm,
    pub(crate) password: Option<Password>,
}

/// The settings, if connections use TLS.
pub(super) fn settings(settings: &Settings) -> Option<Result<TlsSettings, ConfigError>> {
    let protocol: SecurityProtocol = settings.text("security.protocol")?.parse().ok()?;
    let uses_tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl);
    uses_tls.then(|| read(settings))
}

/// The settings that keys of their own give, for a server that is no broker.
#[cfg(any(feature = "oauth", feature = "schema-registry"))]
pub(super) fn from_entries(entries: &[Entry]) -> Result<TlsSettings, ConfigError> {
    let reading = Reading::of(entries, UnknownKeys::Refuse);
    match reading.errors.into_iter().next() {
        Some(error) => Err(error),
        None => read(&reading.settings),
    }
}

/// Reports what contradicts each other.
pub(super) fn check(reading: &mut Reading) {
    if let Some(Err(error)) = settings(&reading.settings) {
        reading.errors.push(error);
    }
}

fn read(settings: &Settings) -> Result<TlsSettings, ConfigError> {
    Ok(TlsSettings {
        trust: trust(settings)?,
        identity: identity(settings)?,
        verifies_names: verifies_names(settings)?,
        versions: versions(settings)?,
        cipher_suites: settings.list("ssl.cipher.suites").to_vec(),
    })
}

fn trust(settings: &Settings) -> Result<Option<Trust>, ConfigError> {
    let form = form(settings, TRUST_TYPE)?;
    let (path, password) = (text(settings, TRUST_LOCATION), password(settings, TRUST_PASSWORD));
    let wrong = |keys: &[&'static str], reason: &str| Err(conflict(settings, keys, reason));
    let is_pem = form == StoreForm::Pem;
    match (path, self::password(settings, TRUST)) {
        (_, Some(_)) if !is_pem => wrong(&[TRUST, TRUST_TYPE], NEEDS_PEM),
        (Some(_), Some(_)) => wrong(&[TRUST_LOCATION, TRUST], "are both set: one of them is enough"),
        (Some(_), _) | (_, Some(_)) if is_pem && password.is_some() => wrong(
            &[TRUST_PASSWORD, TRUST_TYPE],
            "do not go together: PEM has no password for certificates",
        ),
        (None, None) if password.is_some() => wrong(
            &[TRUST_PASSWORD, TRUST_LOCATION],
            "go together: only the first is set",
        ),
        (_, Some(certificates)) => Ok(Some(Trust::Inline(certificates))),
        (Some(path), None) => Ok(Some(Trust::File(StoreFile {
            key: TRUST_LOCATION,
            path,
            form,
            password,
        }))),
        (None, None) => Ok(None),
    }
}

fn identity(settings: &Settings) -> Result<Option<Identity>, ConfigError> {
    let form = form(settings, KEY_TYPE)?;
    let (path, password) = (
        text(settings, KEY_LOCATION),
        password(settings, KEY_STORE_PASSWORD),
    );
    let key_password = self::password(settings, KEY_PASSWORD);
    let wrong = |keys: &[&'static str], reason: &str| Err(conflict(settings, keys, reason));
    let is_pem = form == StoreForm::Pem;
    match (self::password(settings, KEY), self::password(settings, CHAIN)) {
        (Some(_), _) if !is_pem => wrong(&[KEY, KEY_TYPE], NEEDS_PEM),
        (Some(_), None) | (None, Some(_)) => wrong(&[KEY, CHAIN], "go together: only one is set"),
        (Some(_), Some(_)) if path.is_some() => {
            wrong(&[KEY_LOCATION, KEY], "are both set: one of them is enough")
        }
        _ if is_pem && password.is_some() => wrong(
            &[KEY_STORE_PASSWORD, KEY_TYPE],
            "do not go together: in PEM only the key has a password (ssl.key.password)",
        ),
        (Some(key), Some(chain)) => Ok(Some(Identity::Inline {
            key,
            chain,
            key_password,
        })),
        (None, None) => match (path, password) {
            (None, None) => Ok(None),
            (None, Some(_)) => wrong(
                &[KEY_STORE_PASSWORD, KEY_LOCATION],
                "go together: only the first is set",
            ),
            (Some(_), None) if !is_pem => wrong(
                &[KEY_LOCATION, KEY_STORE_PASSWORD],
                "go together: only the first is set",
            ),
            (Some(path), password) => Ok(Some(Identity::File {
                file: StoreFile {
                    key: KEY_LOCATION,
                    path,
                    form,
                    password,
                },
                key_password,
            })),
        },
    }
}

const NEEDS_PEM: &str = "do not go together: the first takes the type PEM";

fn verifies_names(settings: &Settings) -> Result<bool, ConfigError> {
    match text(settings, IDENTIFICATION) {
        None => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("https") => Ok(true),
        Some(_) => Err(conflict(
            settings,
            &[IDENTIFICATION],
            "takes https, or nothing to leave the broker's name unchecked",
        )),
    }
}

/// The enabled versions up to the one that Java's context is made for. Versions that nobody should use any more are
/// passed over, as long as one is left.
fn versions(settings: &Settings) -> Result<Vec<TlsVersion>, ConfigError> {
    let newest = match text(settings, PROTOCOL).as_deref() {
        None | Some("TLS" | "TLSv1.3") => TlsVersion::Tls13,
        Some("TLSv1.2") => TlsVersion::Tls12,
        Some(_) => return Err(conflict(settings, &[PROTOCOL], "takes TLSv1.3, TLSv1.2 or TLS")),
    };
    let enabled = settings.list(PROTOCOLS).iter();
    let mut versions: Vec<TlsVersion> = enabled.filter_map(|name| name.parse().ok()).collect();
    versions.retain(|version| *version <= newest);
    if versions.is_empty() {
        let reason = "leave no version of TLS: supported are TLSv1.2 and TLSv1.3";
        return Err(conflict(settings, &[PROTOCOLS, PROTOCOL], reason));
    }
    Ok(versions)
}

fn form(settings: &Settings, key: &'static str) -> Result<StoreForm, ConfigError> {
    let name = settings.text(key).unwrap_or("JKS");
    name.parse().map_err(|error: ottla_network::stores::StoreError| {
        ConfigError::key(key, error.to_string(), settings.setting(key).origin())
    })
}

fn text(settings: &Settings, key: &'static str) -> Option<String> {
    settings
        .text(key)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn password(settings: &Settings, key: &'static str) -> Option<Password> {
    match settings.setting(key).value() {
        Value::Password(password) => Some(password.clone()),
        _ => None,
    }
}

fn conflict(settings: &Settings, keys: &[&'static str], reason: &str) -> ConfigError {
    let origin = keys.iter().find_map(|key| settings.setting(key).origin());
    ConfigError::keys(keys, format!("{} {reason}", keys.join(" and ")), origin)
}
