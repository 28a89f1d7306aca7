//! From the configuration's log-in to what the network authenticates with.

use crate::Error;
use crate::config::{Config, Login};
use ottla_network::sasl::{Credentials, SaslConfig};

/// What the network has to know; `None` without SASL.
pub(crate) fn network_config(config: &Config) -> Result<Option<SaslConfig>, Error> {
    let Some(sasl) = config.sasl() else {
        return Ok(None);
    };
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy)
        .map_err(|error| Error::start(format!("the system has no random numbers for SASL: {error}")))?;
    let network = SaslConfig::new(sasl.mechanism, entropy);
    Ok(Some(match &sasl.login {
        Login::Password(credentials) => network.with_credentials(Credentials::Password(credentials.clone())),
    }))
}
