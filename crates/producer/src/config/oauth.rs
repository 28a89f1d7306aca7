//! The keys of OAUTHBEARER about tokens from an endpoint (KIP-768, KIP-1139, KIP-1258).

use super::password::Password;
use super::sasl::{Login, Problem};
use super::settings::Settings;
use super::value::Value;
use ottla_network::http::HttpUrl;
use ottla_network::sasl::jaas::JaasEntry;
use ottla_network::sasl::jwt::{ClaimNames, RefreshPolicy};
use ottla_network::sasl::{BearerToken, Secret};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";
const JAAS: &str = "sasl.jaas.config";
const RETRIEVER: &str = "sasl.oauthbearer.jwt.retriever.class";
const PACKAGE: &str = "org.apache.kafka.common.security.oauthbearer.";
const ASSERTION_FILE: &str = "sasl.oauthbearer.assertion.file";
const ISSUER: &str = "sasl.oauthbearer.assertion.claim.iss";
const KEY_FILE: &str = "sasl.oauthbearer.assertion.private.key.file";
const PASSPHRASE: &str = "sasl.oauthbearer.assertion.private.key.passphrase";
const TEMPLATE_FILE: &str = "sasl.oauthbearer.assertion.template.file";
const CLIENT_ID: &str = "sasl.oauthbearer.client.credentials.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.credentials.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const BACKOFF: &str = "sasl.login.retry.backoff.ms";
const BACKOFF_MAX: &str = "sasl.login.retry.backoff.max.ms";

/// Java waits for ever where nothing is set; these end within the default of `request.timeout.ms`, so that the reason
/// is told.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Where tokens come from, and when. It shows no secret.
#[derive(Clone, Debug)]
pub(crate) struct OauthSettings {
    pub(crate) endpoint: HttpUrl,
    pub(crate) grant: Grant,
    pub(crate) scope: Option<String>,
    pub(crate) extensions: Vec<(String, String)>,
    pub(crate) names: ClaimNames,
    pub(crate) refresh: RefreshPolicy,
    pub(crate) retry_backoff: Duration,
    /// How long is tried in all.
    pub(crate) retry_backoff_max: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    /// For an endpoint with https: from the options of the login module, as in Java.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<super::tls::TlsSettings>,
}

/// How the client asks for a token.
#[derive(Clone, Debug)]
pub(crate) enum Grant {
    /// By a name and a secret (RFC 6749, 4.4).
    ClientSecret {
        id: String,
        secret: Secret,
        url_encode: bool,
    },
    /// By an assertion instead of the secret (RFC 7523, 2.2; KIP-1258).
    ClientAssertion {
        id: Option<String>,
        assertion: Assertion,
    },
    /// For an assertion (RFC 7523, 2.1; KIP-1139).
    JwtBearer { assertion: Assertion },
}

/// Where an assertion comes from.
#[derive(Clone, Debug)]
pub(crate) enum Assertion {
    /// Somebody else signs it, and puts it there.
    File(PathBuf),
    /// It is signed here.
    Made(Box<MadeAssertion>),
}

/// What an assertion says, and what signs it.
#[derive(Clone, Debug)]
pub(crate) struct MadeAssertion {
    pub(crate) algorithm: String,
    pub(crate) key_file: PathBuf,
    #[cfg_attr(
        not(feature = "tls-no-provider"),
        allow(dead_code, reason = "keys are opened by the code that reads TLS's")
    )]
    pub(crate) passphrase: Option<Password>,
    pub(crate) template_file: Option<PathBuf>,
    /// `aud`, `iss` and `sub`, as far as they are set.
    pub(crate) claims: Vec<(&'static str, String)>,
    pub(crate) expires_after_seconds: i64,
    pub(crate) not_before_seconds: i64,
    pub(crate) has_id: bool,
}

/// Reads the keys, for the handler that gets tokens from somewhere.
pub(super) fn read(settings: &Settings, entry: &JaasEntry) -> Result<Login, Problem> {
    let extensions = extensions(entry)?;
    let endpoint = text(settings, ENDPOINT).unwrap_or_default();
    let retriever = text(settings, RETRIEVER).unwrap_or_default();
    let is_file = endpoint.starts_with("file:");
    let grant: fn(&Settings, &JaasEntry) -> Result<Grant, Problem> = match retriever
        .strip_prefix(PACKAGE)
        .unwrap_or_default()
    {
        "DefaultJwtRetriever" | "FileJwtRetriever" if is_file => {
            return file(endpoint, extensions);
        }
        "FileJwtRetriever" => {
            return Err(Problem(
                ENDPOINT,
                "must be file:///… with an absolute path for FileJwtRetriever".to_owned(),
            ));
        }
        "DefaultJwtRetriever" | "ClientCredentialsJwtRetriever" => client_credentials,
        "JwtBearerJwtRetriever" => jwt_bearer,
        _ => {
            let reason = format!(
                "no such retriever here; expected {PACKAGE}DefaultJwtRetriever, or FileJwtRetriever, \
                     ClientCredentialsJwtRetriever or JwtBearerJwtRetriever of that package (a program can bring \
                     its own tokens by ProducerBuilder::credentials)"
            );
            return Err(Problem(RETRIEVER, reason));
        }
    };
    let endpoint = url(endpoint)?;
    #[cfg(feature = "tls-no-provider")]
    let tls = if endpoint.is_tls() {
        Some(tls(entry)?)
    } else {
        None
    };
    #[cfg(not(feature = "tls-no-provider"))]
    if endpoint.is_tls() {
        let reason = "is https, which takes TLS, and that is not compiled in: it takes the feature tls";
        return Err(Problem(ENDPOINT, reason.to_owned()));
    }
    let (retry_backoff, retry_backoff_max) = backoff(settings)?;
    Ok(Login::Oauth(Box::new(OauthSettings {
        endpoint,
        grant: grant(settings, entry)?,
        scope: either(settings, SCOPE, entry, "scope").map(|scope| scope.trim().to_owned()),
        extensions,
        names: names(settings),
        refresh: refresh(settings),
        retry_backoff,
        retry_backoff_max,
        connect_timeout: timeout(settings, "sasl.login.connect.timeout.ms", CONNECT_TIMEOUT),
        read_timeout: timeout(settings, "sasl.login.read.timeout.ms", READ_TIMEOUT),
        #[cfg(feature = "tls-no-provider")]
        tls,
    })))
}

/// SASL's extensions, which stand among the options of the login module (KIP-342).
fn extensions(entry: &JaasEntry) -> Result<Vec<(String, String)>, Problem> {
    let wrong = |error: &dyn std::fmt::Display| Problem(JAAS, format!("an option extension_…: {error}"));
    let mut trial = BearerToken::new("t").map_err(|error| wrong(&error))?;
    let mut extensions = Vec::new();
    for (name, value) in entry.options() {
        if let Some(name) = name.strip_prefix("extension_") {
            trial = trial
                .with_extension(name, value.reveal())
                .map_err(|error| wrong(&error))?;
            extensions.push((name.to_owned(), value.reveal().to_owned()));
        }
    }
    Ok(extensions)
}

/// `file:/path` and `file:///path` are what Java's URL takes.
fn file(endpoint: &str, extensions: Vec<(String, String)>) -> Result<Login, Problem> {
    let path = endpoint.strip_prefix("file:").unwrap_or_default();
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') {
        let reason = "must be file:///… with an absolute path";
        return Err(Problem(ENDPOINT, reason.to_owned()));
    }
    Ok(Login::File {
        path: path.into(),
        extensions,
    })
}

fn url(endpoint: &str) -> Result<HttpUrl, Problem> {
    if endpoint.is_empty() {
        let reason = "is not set; expected https://…, http://… or file:///…";
        return Err(Problem(ENDPOINT, reason.to_owned()));
    }
    let url: HttpUrl = endpoint
        .parse()
        .map_err(|error| Problem(ENDPOINT, format!("{error}; or file:///… with an absolute path")))?;
    if url.user_info().is_some() {
        let reason = format!("has a user in it; set {CLIENT_ID} and {CLIENT_SECRET} instead");
        return Err(Problem(ENDPOINT, reason));
    }
    Ok(url)
}

fn client_credentials(settings: &Settings, entry: &JaasEntry) -> Result<Grant, Problem> {
    // The issuer alone decides, as in Java: without it the other keys about assertions are not looked at.
    if text(settings, ASSERTION_FILE).is_some() || text(settings, ISSUER).is_some() {
        return Ok(Grant::ClientAssertion {
            id: either(settings, CLIENT_ID, entry, "clientId"),
            assertion: assertion(settings)?,
        });
    }
    let missing = |key, option| {
        let reason = format!(
            "is not set, and client credentials need it (or the option {option} in {JAAS}; or an assertion: \
             {ASSERTION_FILE} or {ISSUER})"
        );
        Problem(key, reason)
    };
    let id = either(settings, CLIENT_ID, entry, "clientId").ok_or_else(|| missing(CLIENT_ID, "clientId"))?;
    let secret = password(settings, CLIENT_SECRET).map(|secret| Secret::new(secret.reveal()));
    let secret = secret.or_else(|| entry.option("clientSecret").cloned());
    Ok(Grant::ClientSecret {
        id,
        secret: secret.ok_or_else(|| missing(CLIENT_SECRET, "clientSecret"))?,
        url_encode: settings.boolean("sasl.oauthbearer.header.urlencode"),
    })
}

fn jwt_bearer(settings: &Settings, _: &JaasEntry) -> Result<Grant, Problem> {
    Ok(Grant::JwtBearer {
        assertion: assertion(settings)?,
    })
}

fn assertion(settings: &Settings) -> Result<Assertion, Problem> {
    if let Some(path) = text(settings, ASSERTION_FILE) {
        return Ok(Assertion::File(path.into()));
    }
    let Some(key_file) = text(settings, KEY_FILE) else {
        let reason =
            format!("is not set, and neither is {ASSERTION_FILE}: an assertion comes from one of them");
        return Err(Problem(KEY_FILE, reason));
    };
    let claims = [
        ("aud", "sasl.oauthbearer.assertion.claim.aud"),
        ("iss", ISSUER),
        ("sub", "sasl.oauthbearer.assertion.claim.sub"),
    ];
    let claims = claims
        .into_iter()
        .filter_map(|(claim, key)| Some((claim, text(settings, key)?.to_owned())));
    Ok(Assertion::Made(Box::new(MadeAssertion {
        algorithm: text(settings, "sasl.oauthbearer.assertion.algorithm")
            .unwrap_or("RS256")
            .to_owned(),
        key_file: key_file.into(),
        passphrase: password(settings, PASSPHRASE),
        template_file: text(settings, TEMPLATE_FILE).map(PathBuf::from),
        claims: claims.collect(),
        expires_after_seconds: settings.integer("sasl.oauthbearer.assertion.claim.exp.seconds"),
        not_before_seconds: settings.integer("sasl.oauthbearer.assertion.claim.nbf.seconds"),
        has_id: settings.boolean("sasl.oauthbearer.assertion.claim.jti.include"),
    })))
}

fn names(settings: &Settings) -> ClaimNames {
    let mut names = ClaimNames::default();
    for (name, key) in [
        (&mut names.subject, "sasl.oauthbearer.sub.claim.name"),
        (&mut names.scope, "sasl.oauthbearer.scope.claim.name"),
    ] {
        if let Some(text) = text(settings, key) {
            text.clone_into(name);
        }
    }
    names
}

fn refresh(settings: &Settings) -> RefreshPolicy {
    let seconds = |key| Duration::from_secs(u64::try_from(settings.integer(key)).unwrap_or(0));
    let mut policy = RefreshPolicy::default();
    policy.window_factor = settings.double("sasl.login.refresh.window.factor");
    policy.window_jitter = settings.double("sasl.login.refresh.window.jitter");
    policy.period_min = seconds("sasl.login.refresh.min.period.seconds");
    policy.buffer = seconds("sasl.login.refresh.buffer.seconds");
    policy
}

fn backoff(settings: &Settings) -> Result<(Duration, Duration), Problem> {
    let (first, most) = (settings.integer(BACKOFF), settings.integer(BACKOFF_MAX));
    for (key, value) in [(BACKOFF, first), (BACKOFF_MAX, most)] {
        if value < 0 {
            return Err(Problem(key, "cannot be below 0".to_owned()));
        }
    }
    if most < first {
        let reason = format!("{most} is less than {BACKOFF}={first}, which is the first part of it");
        return Err(Problem(BACKOFF_MAX, reason));
    }
    Ok((settings.millis(BACKOFF), settings.millis(BACKOFF_MAX)))
}

/// Not set, and 0, which is for ever in Java, are the default here.
fn timeout(settings: &Settings, key: &'static str, default: Duration) -> Duration {
    Some(settings.millis(key))
        .filter(|timeout| !timeout.is_zero())
        .unwrap_or(default)
}

/// TLS for the endpoint has its keys among the options of the login module, as in Java: whom brokers trust and whom a
/// public identity service trusts are different things.
#[cfg(feature = "tls-no-provider")]
fn tls(entry: &JaasEntry) -> Result<super::tls::TlsSettings, Problem> {
    use super::error::Origin;
    use super::settings::Entry;
    let entries: Vec<Entry> = entry
        .options()
        .filter(|(name, _)| name.starts_with("ssl."))
        .map(|(name, value)| Entry {
            key: name.to_owned(),
            value: zeroize::Zeroizing::new(value.reveal().to_owned()),
            origin: Origin::Code,
            provided: false,
        })
        .collect();
    super::tls::from_entries(&entries)
        .map_err(|error| Problem(JAAS, format!("its options for TLS: {}", error.without_origin())))
}

/// The key of the configuration, or else the option of the login module, which is the older way.
fn either(settings: &Settings, key: &'static str, entry: &JaasEntry, option: &str) -> Option<String> {
    let of_entry = || entry.option(option).map(Secret::reveal);
    let found = text(settings, key).or_else(of_entry);
    found.filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn text<'a>(settings: &'a Settings, key: &'static str) -> Option<&'a str> {
    settings.text(key).filter(|text| !text.is_empty())
}

fn password(settings: &Settings, key: &'static str) -> Option<Password> {
    match settings.setting(key).value() {
        Value::Password(password) if !password.reveal().is_empty() => Some(password.clone()),
        _ => None,
    }
}
