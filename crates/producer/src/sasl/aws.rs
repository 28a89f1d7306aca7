//! AWS keys from where AWS's own tools look first: the environment, then the shared file.

use super::{
    AwsCredentials, AwsSignature, BoxFuture, CredentialFailure, CredentialProvider, Credentials, Mechanism,
    Secret, read_secret, wall_ms,
};
use ottla_network::Endpoint;
use std::path::PathBuf;

/// Looks anew for each authentication, so that keys that somebody renews are found.
#[derive(Clone, Debug)]
pub(super) struct AwsKeys {
    profile: Option<String>,
}

impl AwsKeys {
    /// With a profile only the shared file counts.
    pub(super) fn new(profile: Option<String>) -> AwsKeys {
        AwsKeys { profile }
    }
}

impl CredentialProvider for AwsKeys {
    fn credentials(
        &self,
        _endpoint: &Endpoint,
        _mechanism: Mechanism,
    ) -> BoxFuture<Result<Credentials, CredentialFailure>> {
        let profile = self.profile.clone();
        Box::pin(async move {
            let credentials = match from_variables(&variable).filter(|_| profile.is_none()) {
                Some(credentials) => credentials,
                None => {
                    let profile = profile
                        .or_else(|| variable("AWS_PROFILE"))
                        .unwrap_or_else(|| "default".to_owned());
                    let path = shared_file(&variable).ok_or_else(|| {
                        CredentialFailure::lasting("no AWS keys: neither AWS_ACCESS_KEY_ID nor HOME is set")
                    })?;
                    let text = read_secret(path.clone()).await?;
                    from_file(text.reveal(), &profile).ok_or_else(|| {
                        let place = path.display();
                        CredentialFailure::lasting(format!(
                            "{place} has no AWS keys for the profile {profile}"
                        ))
                    })?
                }
            };
            Ok(Credentials::Aws(AwsSignature {
                credentials,
                region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
                signed_at_ms: wall_ms(),
            }))
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Option<AwsCredentials> {
    Some(AwsCredentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?.into(),
        session_token: variable("AWS_SESSION_TOKEN").map(Secret::new),
    })
}

fn shared_file(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    match variable("AWS_SHARED_CREDENTIALS_FILE") {
        Some(path) => Some(path.into()),
        None => Some(PathBuf::from(variable("HOME")?).join(".aws/credentials")),
    }
}

/// The keys of a profile: `[profile]`, and `name = value` on the lines after it.
fn from_file(text: &str, profile: &str) -> Option<AwsCredentials> {
    let (mut id, mut key, mut token) = (None, None, None);
    let mut is_ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_ours = name.trim() == profile;
        } else if is_ours && let Some((name, value)) = line.split_once('=') {
            let value = value.trim();
            match name.trim() {
                "aws_access_key_id" => id = Some(value.to_owned()),
                "aws_secret_access_key" => key = Some(Secret::new(value)),
                "aws_session_token" => token = Some(Secret::new(value)),
                _ => {}
            }
        }
    }
    Some(AwsCredentials {
        access_key_id: id?,
        secret_access_key: key?,
        session_token: token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_environment_and_of_a_profile() {
        let variables = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKID".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("canary".to_owned()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        let keys = from_variables(&variables).expect("keys");
        assert_eq!(
            (keys.access_key_id.as_str(), keys.secret_access_key.reveal()),
            ("AKID", "canary")
        );
        assert!(keys.session_token.is_none() && !format!("{keys:?}").contains("canary"));
        assert_eq!(shared_file(&variables), Some("/home/me/.aws/credentials".into()));
        assert!(from_variables(&|_| None).is_none());

        let text = "# keys\n[default]\naws_access_key_id=A\naws_secret_access_key = B==\n\n[ other ]\n\
                    aws_access_key_id = C\naws_secret_access_key=D\naws_session_token=E\nregion=x\n[half]\naws_access_key_id=F\n";
        let read = |profile: &str| {
            let keys = from_file(text, profile)?;
            let token = keys.session_token.map(|token| token.reveal().to_owned());
            Some((
                keys.access_key_id,
                keys.secret_access_key.reveal().to_owned(),
                token,
            ))
        };
        assert_eq!(read("default"), Some(("A".to_owned(), "B==".to_owned(), None)));
        assert_eq!(
            read("other"),
            Some(("C".to_owned(), "D".to_owned(), Some("E".to_owned())))
        );
        assert_eq!((read("half"), read("none")), (None, None));
    }
}
