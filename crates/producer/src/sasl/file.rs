//! A token in a file, as whoever renews it writes it.

use super::{
    BearerToken, BoxFuture, CredentialFailure, CredentialProvider, Credentials, Mechanism, read_secret,
};
use ottla_network::Endpoint;
use std::path::PathBuf;

/// Reads the file anew for each authentication.
#[derive(Clone, Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    extensions: Vec<(String, String)>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf, extensions: Vec<(String, String)>) -> TokenFile {
        TokenFile { path, extensions }
    }
}

impl CredentialProvider for TokenFile {
    fn credentials(
        &self,
        _endpoint: &Endpoint,
        _mechanism: Mechanism,
    ) -> BoxFuture<Result<Credentials, CredentialFailure>> {
        let this = self.clone();
        Box::pin(async move {
            let text = read_secret(this.path.clone()).await?;
            let invalid = |error| CredentialFailure::lasting(format!("{}: {error}", this.path.display()));
            let mut token = BearerToken::new(text.reveal().trim()).map_err(invalid)?;
            for (name, value) in this.extensions {
                token = token
                    .with_extension(name, value)
                    .map_err(|error| CredentialFailure::lasting(error.to_string()))?;
            }
            Ok(Credentials::Token(token))
        })
    }
}
