//! Asking a token endpoint: the request, its repetition, and what may be answered.

use crate::config::oauth::{Grant, OauthSettings};
use crate::sasl::{BearerToken, CredentialFailure, Secret, wall_ms};
use ottla_network::http::{Authorization, HttpClient, HttpError, HttpMethod, HttpRequest};
use ottla_network::sasl::jwt::{Jwt, refusal_of_answer, token_of_answer};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Answers have one to three tokens of a few KiB.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What does not get better by asking again, as Java's `HttpJwtRetriever` has it.
fn is_final(status: u16) -> bool {
    matches!(status, 400..=407 | 409..=415 | 501 | 505)
}

/// A token that was got, and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) token: BearerToken,
    pub(super) jwt: Jwt,
    pub(super) at_ms: i64,
}

/// A token endpoint, and who asks it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) client: HttpClient,
    pub(super) settings: OauthSettings,
}

/// One form, ready to be sent, and what must not be shown of it.
struct Asked {
    authorization: Option<Authorization>,
    body: Zeroizing<String>,
    secrets: Vec<Secret>,
}

impl Endpoint {
    /// A new token. Asks again, with growing waits, while that may help and there is time.
    pub(super) async fn token(&self) -> Result<Got, CredentialFailure> {
        let end = Instant::now() + self.settings.retry_backoff_max;
        let mut wait = self.settings.retry_backoff;
        loop {
            let failure = match self.ask().await {
                Ok(got) => return Ok(got),
                Err(failure) => failure,
            };
            let left = end.saturating_duration_since(Instant::now());
            if !failure.is_transient || left.is_zero() || wait.is_zero() {
                return Err(failure);
            }
            tokio::time::sleep(wait.min(left)).await;
            wait = wait.saturating_mul(2);
        }
    }

    async fn ask(&self) -> Result<Got, CredentialFailure> {
        let asked = self.asked().await?;
        let mut request = HttpRequest::new(HttpMethod::Post, self.settings.endpoint.clone());
        request.authorization = asked.authorization.clone();
        request.headers = vec![
            ("cache-control", "no-cache".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        request.body = Some(Zeroizing::new(asked.body.as_bytes().to_vec()));
        request.connect_timeout = self.settings.connect_timeout;
        request.timeout = self.settings.connect_timeout + self.settings.read_timeout;
        request.response_bytes_max = ANSWER_BYTES_MAX;
        let answer = self
            .client
            .exchange(request)
            .await
            .map_err(|error| self.unanswered(&error))?;
        if !matches!(answer.status, 200 | 201) {
            return Err(self.refused(answer.status, &answer.body, &asked));
        }
        let token = token_of_answer(&answer.body).ok_or_else(|| {
            self.lasting("answered without a token: access_token in a JSON object was expected")
        })?;
        self.checked(token)
    }

    fn checked(&self, token: Secret) -> Result<Got, CredentialFailure> {
        let jwt = Jwt::read(token.reveal(), &self.settings.names)
            .map_err(|error| self.lasting(&format!("gave a token that brokers do not take: {error}")))?;
        let now_ms = wall_ms();
        if jwt.expires_at_ms <= now_ms {
            let seconds = (now_ms - jwt.expires_at_ms) / 1_000;
            return Err(self.lasting(&format!(
                "gave a token that ended {seconds} s ago; compare the clocks of both machines"
            )));
        }
        let invalid =
            |error: crate::sasl::SaslFailure| self.lasting(&format!("gave what is no token: {error}"));
        let mut token = BearerToken::new(token).map_err(invalid)?;
        for (name, value) in &self.settings.extensions {
            token = token.with_extension(name, value).map_err(invalid)?;
        }
        Ok(Got {
            token,
            jwt,
            at_ms: now_ms,
        })
    }

    async fn asked(&self) -> Result<Asked, CredentialFailure> {
        let mut form = Form::default();
        let mut secrets = Vec::new();
        let mut authorization = None;
        match &self.settings.grant {
            Grant::ClientSecret {
                id,
                secret,
                url_encode,
            } => {
                let (user, password) = if *url_encode {
                    (url_encoded(id), url_encoded(secret.reveal()))
                } else {
                    (
                        Zeroizing::new(id.clone()),
                        Zeroizing::new(secret.reveal().to_owned()),
                    )
                };
                authorization = Some(Authorization::basic(&user, &password));
                secrets.push(secret.clone());
                form.add("grant_type", "client_credentials");
            }
            Grant::ClientAssertion { id, assertion } => {
                let assertion = assertion.get().await?;
                form.add(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                form.add("client_assertion", assertion.reveal());
                form.add("grant_type", "client_credentials");
                if let Some(id) = id {
                    form.add("client_id", id);
                }
                secrets.push(assertion);
            }
            Grant::JwtBearer { assertion } => {
                let assertion = assertion.get().await?;
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.add("assertion", assertion.reveal());
                secrets.push(assertion);
            }
        }
        if let Some(scope) = &self.settings.scope {
            form.add("scope", scope);
        }
        Ok(Asked {
            authorization,
            body: form.0,
            secrets,
        })
    }

    fn lasting(&self, what: &str) -> CredentialFailure {
        CredentialFailure::lasting(format!("the token endpoint {} {what}", self.settings.endpoint))
    }

    fn unanswered(&self, error: &HttpError) -> CredentialFailure {
        let hint = match error {
            HttpError::Tls(failure) => format!(
                " ({}; ssl.* for the token endpoint stands among the options of sasl.jaas.config)",
                failure.hint().replace("the broker", "the server")
            ),
            _ => String::new(),
        };
        let message = format!("the token endpoint {}: {error}{hint}", self.settings.endpoint);
        if error.is_transient() {
            CredentialFailure::transient(message)
        } else {
            CredentialFailure::lasting(message)
        }
    }

    fn refused(&self, status: u16, body: &[u8], asked: &Asked) -> CredentialFailure {
        // A server that repeats what it was sent must not bring a secret into a log.
        let said = refusal_of_answer(body)
            .filter(|said| !asked.secrets.iter().any(|secret| said.contains(secret.reveal())));
        let said = said.map_or_else(String::new, |said| format!(": {said}"));
        let hint = match status {
            300..=399 => "; redirects are not followed, so set the address that it names",
            400 | 401 | 403 => "; check client id, secret or assertion, and scope",
            404 | 405 => "; check sasl.oauthbearer.token.endpoint.url",
            _ => "",
        };
        let message = format!(
            "the token endpoint {} answered {status}{said}{hint}",
            self.settings.endpoint
        );
        if is_final(status) || (300..400).contains(&status) {
            CredentialFailure::lasting(message)
        } else {
            CredentialFailure::transient(message)
        }
    }
}

/// A body of the type `application/x-www-form-urlencoded`.
#[derive(Default)]
struct Form(Zeroizing<String>);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        let value = url_encoded(value);
        // As one piece: growing would leave a copy behind that nobody clears.
        let mut grown = Zeroizing::new(String::with_capacity(self.0.len() + name.len() + value.len() + 2));
        grown.push_str(&self.0);
        if !grown.is_empty() {
            grown.push('&');
        }
        grown.push_str(name);
        grown.push('=');
        grown.push_str(&value);
        self.0 = grown;
    }
}

/// As Java's `URLEncoder` writes it.
fn url_encoded(text: &str) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'.' | b'-' | b'*' | b'_' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => {
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_as_by_java() {
        let mut form = Form::default();
        form.add("scope", "a b*c/d=ä~");
        form.add("x", "");
        assert_eq!(*form.0, "scope=a+b*c%2Fd%3D%C3%A4%7E&x=");
    }
}
