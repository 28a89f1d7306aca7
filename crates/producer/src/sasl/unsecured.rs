//! Tokens that nobody signs, for trials: what Java's `OAuthBearerUnsecuredLoginCallbackHandler` makes.

use super::{BearerToken, BoxFuture, CredentialFailure, CredentialProvider, Credentials, Mechanism, wall_ms};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ottla_network::Endpoint;
use ottla_network::sasl::jaas::JaasEntry;
use serde_json::{Map, Value, json};

/// The claims of the tokens, but for their times.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnsecuredToken {
    claims: Map<String, Value>,
    life_seconds: i64,
    extensions: Vec<(String, String)>,
}

impl UnsecuredToken {
    /// Reads the options of the login module; `None` if there is none of these.
    pub(crate) fn read(entry: &JaasEntry) -> Result<Option<UnsecuredToken>, String> {
        let mut token = UnsecuredToken {
            claims: Map::new(),
            life_seconds: 3_600,
            extensions: Vec::new(),
        };
        let mut principal = "sub";
        let mut is_wanted = false;
        for (name, value) in entry.options() {
            let Some(what) = name.strip_prefix("unsecuredLogin") else {
                continue;
            };
            is_wanted = true;
            let value = value.reveal();
            let wrong = |what: &str| format!("its option {name} must be {what}");
            if let Some(claim) = what.strip_prefix("StringClaim_") {
                token.claims.insert(claim.to_owned(), json!(value));
            } else if let Some(claim) = what.strip_prefix("NumberClaim_") {
                let number: f64 = value.trim().parse().map_err(|_| wrong("a number"))?;
                token.claims.insert(claim.to_owned(), json!(number));
            } else if let Some(claim) = what.strip_prefix("ListClaim_") {
                token.claims.insert(claim.to_owned(), list(value));
            } else if let Some(extension) = what.strip_prefix("Extension_") {
                token.extensions.push((extension.to_owned(), value.to_owned()));
            } else {
                match what {
                    "LifetimeSeconds" => {
                        let seconds = value
                            .trim()
                            .parse()
                            .ok()
                            .filter(|seconds| (1..=315_360_000).contains(seconds));
                        token.life_seconds = seconds.ok_or_else(|| wrong("a number of seconds above 0"))?;
                    }
                    "PrincipalClaimName" => principal = value,
                    // The name matters to who checks the scope.
                    "ScopeClaimName" => {}
                    _ => return Err(format!("its option {name} is not known")),
                }
            }
        }
        if is_wanted && !token.claims.get(principal).is_some_and(Value::is_string) {
            return Err(format!(
                "its option unsecuredLoginStringClaim_{principal} is missing, which names the user"
            ));
        }
        // The rest of what can be wrong shows when one is made.
        if is_wanted {
            token.token(0).map_err(|error| error.message)?;
        }
        Ok(is_wanted.then_some(token))
    }

    fn token(&self, now_ms: i64) -> Result<BearerToken, CredentialFailure> {
        let issued = now_ms as f64 / 1_000.0;
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), json!(issued));
        claims.insert("exp".to_owned(), json!(issued + self.life_seconds as f64));
        let section = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!(
            "{}.{}.",
            section(json!({"alg": "none"})),
            section(Value::Object(claims))
        );
        let invalid = |error: super::SaslFailure| CredentialFailure::lasting(error.to_string());
        let mut token = BearerToken::new(text).map_err(invalid)?;
        for (name, value) in &self.extensions {
            token = token.with_extension(name, value).map_err(invalid)?;
        }
        Ok(token)
    }
}

impl CredentialProvider for UnsecuredToken {
    fn credentials(
        &self,
        _endpoint: &Endpoint,
        _mechanism: Mechanism,
    ) -> BoxFuture<Result<Credentials, CredentialFailure>> {
        let made = self.token(wall_ms()).map(Credentials::Token);
        Box::pin(std::future::ready(made))
    }
}

/// The first character is what separates the elements, as in `|a|b`.
fn list(text: &str) -> Value {
    match text.chars().next() {
        None => json!([]),
        Some(separator) => text[separator.len_utf8()..].split(separator).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> Result<Option<UnsecuredToken>, String> {
        let text = format!("a.B required {options};");
        UnsecuredToken::read(&JaasEntry::parse(&text).expect("by the grammar"))
    }

    #[test]
    fn tokens_as_java_makes_them() {
        let token = read(
            "unsecuredLoginStringClaim_sub=alice unsecuredLoginNumberClaim_n=\"7\" unsecuredLoginListClaim_scope=\"|a|b\" \
             unsecuredLoginLifetimeSeconds=\"60\" unsecuredLoginExtension_traceId=x",
        );
        let token = token
            .expect("good options")
            .expect("a token")
            .token(1_500)
            .expect("it can be made");
        let sections: Vec<&str> = token.token().reveal().split('.').collect();
        let decoded = |section: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(section).expect("Base64")).expect("JSON")
        };
        assert_eq!((decoded(sections[0]), sections[2]), (json!({"alg": "none"}), ""));
        assert_eq!(
            decoded(sections[1]),
            json!({"sub": "alice", "n": 7.0, "scope": ["a", "b"], "iat": 1.5, "exp": 61.5})
        );
        assert_eq!(token.extensions(), [("traceId".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn options_that_are_wrong_say_so() {
        assert_eq!(read(""), Ok(None));
        for (options, part) in [
            ("unsecuredLoginLifetimeSeconds=\"60\"", "StringClaim_sub"),
            (
                "unsecuredLoginStringClaim_sub=a unsecuredLoginLifetimeSeconds=x",
                "seconds",
            ),
            (
                "unsecuredLoginStringClaim_sub=a unsecuredLoginNumberClaim_n=x",
                "a number",
            ),
            (
                "unsecuredLoginStringClaim_sub=a unsecuredLoginOther=x",
                "not known",
            ),
            (
                "unsecuredLoginStringClaim_sub=a unsecuredLoginExtension_auth=x",
                "reserved",
            ),
            (
                "unsecuredLoginStringClaim_sub=a unsecuredLoginPrincipalClaimName=p",
                "StringClaim_p",
            ),
        ] {
            let error = read(options).expect_err("wrong");
            assert!(error.contains(part), "{options}: {error}");
        }
    }
}
