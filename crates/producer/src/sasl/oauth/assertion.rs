//! Assertions: what is shown to a token endpoint instead of a secret (RFC 7523).

use crate::config::oauth::{Assertion, MadeAssertion};
use crate::sasl::{CredentialFailure, Secret, read_secret, wall_ms};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

impl Assertion {
    /// The assertion for one request. Its files are read anew each time.
    pub(super) async fn get(&self) -> Result<Secret, CredentialFailure> {
        match self {
            Assertion::File(path) => {
                let text = read_secret(path.clone()).await?;
                let text = text.reveal().trim();
                if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(CredentialFailure::lasting(format!(
                        "{} holds no assertion",
                        path.display()
                    )));
                }
                Ok(Secret::new(text))
            }
            Assertion::Made(made) => made.get().await,
        }
    }
}

impl MadeAssertion {
    async fn get(&self) -> Result<Secret, CredentialFailure> {
        let key = read_secret(self.key_file.clone()).await?;
        let template = match &self.template_file {
            None => None,
            Some(path) => Some(read_secret(path.clone()).await?),
        };
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            CredentialFailure::transient(format!("the system has no random numbers: {error}"))
        })?;
        let this = self.clone();
        // A signature with RSA takes as long as a hundred batches.
        let signing = tokio::task::spawn_blocking(move || {
            let unsigned = this.unsigned(template.as_ref(), wall_ms() / 1_000, id)?;
            this.sign(&unsigned, &key)
        });
        signing
            .await
            .map_err(|_| CredentialFailure::transient("the runtime is shutting down"))?
    }

    /// Header and claims, with a dot between. What is worked out here comes before what the template says, and that
    /// before what the configuration says, as in Java.
    fn unsigned(
        &self,
        template: Option<&Secret>,
        now_seconds: i64,
        id: [u8; 16],
    ) -> Result<String, CredentialFailure> {
        let mut header = Map::new();
        let mut claims = Map::new();
        for (name, value) in &self.claims {
            claims.insert((*name).to_owned(), json!(value));
        }
        if let Some(template) = template {
            for (part, into) in [("header", &mut header), ("payload", &mut claims)] {
                into.extend(self.part_of_template(template, part)?);
            }
        }
        header.insert("alg".to_owned(), json!(self.algorithm.to_ascii_uppercase()));
        header.insert("typ".to_owned(), json!("JWT"));
        claims.insert("iat".to_owned(), json!(now_seconds));
        claims.insert("exp".to_owned(), json!(now_seconds + self.expires_after_seconds));
        claims.insert("nbf".to_owned(), json!(now_seconds - self.not_before_seconds));
        if self.has_id {
            claims.insert("jti".to_owned(), json!(uuid(id)));
        }
        let section = |map: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(map).to_string());
        Ok(format!("{}.{}", section(header), section(claims)))
    }

    fn part_of_template(
        &self,
        template: &Secret,
        part: &'static str,
    ) -> Result<Map<String, Value>, CredentialFailure> {
        let path = self.template_file.as_deref().unwrap_or(&self.key_file).display();
        let template: Value = serde_json::from_str(template.reveal())
            .map_err(|_| CredentialFailure::lasting(format!("{path} is no JSON")))?;
        match template.get(part) {
            None | Some(Value::Null) if template.is_object() => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            _ => Err(CredentialFailure::lasting(format!(
                "{path} must be an object with the objects \"header\" and \"payload\""
            ))),
        }
    }

    #[cfg(feature = "tls-no-provider")]
    fn sign(&self, unsigned: &str, key: &Secret) -> Result<Secret, CredentialFailure> {
        use ottla_network::tls::{JwtSigner, SignerError};
        let passphrase = self.passphrase.as_ref().map(crate::config::Password::reveal);
        let signed = self.algorithm.parse().and_then(|algorithm| {
            let signer = JwtSigner::new(key.reveal().as_bytes(), passphrase, algorithm, None)?;
            signer.sign(unsigned.as_bytes())
        });
        let signature = signed.map_err(|error: SignerError| {
            CredentialFailure::lasting(format!("{}: {error}", self.key_file.display()))
        })?;
        Ok(Secret::new(format!(
            "{unsigned}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }

    #[cfg(not(feature = "tls-no-provider"))]
    fn sign(&self, _: &str, _: &Secret) -> Result<Secret, CredentialFailure> {
        Err(CredentialFailure::lasting(format!(
            "{}: signing takes the feature tls",
            self.key_file.display()
        )))
    }
}

/// 16 random bytes as Java's `UUID.randomUUID` writes them.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> MadeAssertion {
        MadeAssertion {
            algorithm: "rs256".to_owned(),
            key_file: "key.pem".into(),
            passphrase: None,
            template_file: Some("template.json".into()),
            claims: vec![("aud", "endpoint".to_owned()), ("sub", "me".to_owned())],
            expires_after_seconds: 300,
            not_before_seconds: 60,
            has_id: true,
        }
    }

    fn parts(text: &str) -> Vec<Value> {
        let decoded = text
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).expect("Base64"));
        decoded
            .map(|part| serde_json::from_slice(&part).expect("JSON"))
            .collect()
    }

    #[test]
    fn what_is_worked_out_comes_before_the_template_and_that_before_the_settings() {
        let template = Secret::new(
            r#"{"header":{"kid":"k1","alg":"none"},"payload":{"sub":"other","more":[1],"exp":1}}"#,
        );
        let unsigned = made().unsigned(Some(&template), 1_000, [0xff; 16]).expect("made");
        assert_eq!(
            parts(&unsigned),
            [
                json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}),
                json!({"aud": "endpoint", "sub": "other", "more": [1], "iat": 1_000, "exp": 1_300, "nbf": 940,
                       "jti": "ffffffff-ffff-4fff-bfff-ffffffffffff"}),
            ]
        );
        let without = made().unsigned(None, 1_000, [0; 16]).expect("made");
        assert_eq!(parts(&without)[1]["sub"], json!("me"));
        assert!(made().unsigned(Some(&Secret::new("{}")), 0, [0; 16]).is_ok());
    }

    #[test]
    fn a_template_that_is_none_says_so_and_not_what_it_holds() {
        for text in [
            "canary",
            "[]",
            r#"{"header":"canary"}"#,
            r#"{"payload":["canary"]}"#,
        ] {
            let error = made()
                .unsigned(Some(&Secret::new(text)), 0, [0; 16])
                .expect_err(text);
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("template.json") && !shown.contains("canary"),
                "{shown}"
            );
        }
    }
}
