//! Credentials that are got when a connection authenticates, and the interface for those of one's own.
//!
//! [`ProducerBuilder::credentials`](crate::ProducerBuilder::credentials) takes a [`CredentialProvider`]: tokens of an
//! identity service for OAUTHBEARER, passwords of a vault for PLAIN and SCRAM, keys of a role for AWS_MSK_IAM. It is
//! asked at each authentication, also when a session is renewed, and needs no particular runtime in its signature.

mod aws;
#[cfg(feature = "oauth")]
mod file;
#[cfg(feature = "oauth")]
mod oauth;
mod unsecured;

pub use ottla_network::Endpoint;
pub use ottla_network::sasl::{
    AwsCredentials, AwsSignature, BearerToken, CredentialFailure, Credentials, Mechanism,
    PasswordCredentials, SaslFailure, Secret,
};
pub use ottla_network::transport::{BoxFuture, CredentialProvider};
pub(crate) use unsecured::UnsecuredToken;

use crate::Error;
use crate::config::{Config, Login};
use ottla_network::sasl::SaslConfig;
use std::sync::Arc;

/// What the network has to know, and whom it asks for the rest.
pub(crate) struct SetUp {
    pub(crate) network: SaslConfig,
    pub(crate) provider: Option<Arc<dyn CredentialProvider>>,
}

/// How the configuration wants to authenticate; `None` without SASL. One's own provider comes before what the
/// configuration says.
pub(crate) fn set_up(
    config: &Config,
    own: Option<Arc<dyn CredentialProvider>>,
) -> Result<Option<SetUp>, Error> {
    let Some(sasl) = config.sasl() else {
        return Ok(None);
    };
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)
        .map_err(|error| Error::start(format!("the system has no random numbers for SASL: {error}")))?;
    let mut network = SaslConfig::new(sasl.mechanism, entropy);
    if own.is_some() {
        return Ok(Some(SetUp {
            network,
            provider: own,
        }));
    }
    let provider: Arc<dyn CredentialProvider> = match &sasl.login {
        Login::Password(credentials) => {
            network = network.with_credentials(Credentials::Password(credentials.clone()));
            return Ok(Some(SetUp {
                network,
                provider: None,
            }));
        }
        Login::Unsecured(token) => Arc::new(token.clone()),
        #[cfg(feature = "oauth")]
        Login::File { path, extensions } => Arc::new(file::TokenFile::new(path.clone(), extensions.clone())),
        #[cfg(feature = "oauth")]
        Login::Oauth(settings) => Arc::new(oauth::Oauth::new((**settings).clone())?),
        Login::Aws { profile } => Arc::new(aws::AwsKeys::new(profile.clone())),
        Login::Own => {
            return Err(Error::start(
                "sasl.jaas.config says nothing of a token: give options such as unsecuredLoginStringClaim_sub, or a \
                 provider by ProducerBuilder::credentials",
            ));
        }
    };
    Ok(Some(SetUp {
        network,
        provider: Some(provider),
    }))
}

/// Milliseconds since the Unix epoch.
fn wall_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// Reads a file with a secret in it, on a thread for blocking work.
async fn read_secret(path: std::path::PathBuf) -> Result<Secret, CredentialFailure> {
    /// More than any token or file of credentials has.
    const BYTES_MAX: u64 = 1 << 20;
    let shown = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?
            .take(BYTES_MAX)
            .read_to_string(&mut text)?;
        std::io::Result::Ok(Secret::new(text))
    });
    match reading.await {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(CredentialFailure::lasting(format!(
            "cannot read {shown}: {error}"
        ))),
        Err(_) => Err(CredentialFailure::transient("the runtime is shutting down")),
    }
}
