//! What tokens say, and what token endpoints answer, without I/O.
//!
//! A client looks at a token only to know when it ends, and whether it is one at all; whether it is good is for the
//! broker to say (Java's `ClientJwtValidator`).

use super::Secret;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// What comes from a stranger's server is cut off here where it is shown.
const SHOWN_CHARACTERS_MAX: usize = 200;
/// More than any token has.
const TOKEN_BYTES_MAX: usize = 256 << 10;
/// Some encoders pad, though RFC 7515 says not to.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The claims that an installation may name otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimNames {
    /// Who the token is about (`sasl.oauthbearer.sub.claim.name`).
    pub subject: String,
    /// What it allows (`sasl.oauthbearer.scope.claim.name`).
    pub scope: String,
}

impl Default for ClaimNames {
    fn default() -> ClaimNames {
        ClaimNames {
            subject: "sub".to_owned(),
            scope: "scope".to_owned(),
        }
    }
}

/// What a client needs to know of a token (RFC 7519).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jwt {
    /// Who the token is about.
    pub subject: String,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
    /// When it was made, if it says so.
    pub issued_at_ms: Option<i64>,
}

impl Jwt {
    /// Reads a token, and believes everything in it: its signature is for the broker.
    ///
    /// # Errors
    ///
    /// It is not made of three parts, or a claim is missing or of the wrong kind.
    pub fn read(token: &str, names: &ClaimNames) -> Result<Jwt, JwtError> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtError::NotThreeParts);
        };
        if header.is_empty() || claims.is_empty() || signature.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return Err(JwtError::NotThreeParts);
        }
        object(header)?;
        let claims = object(claims)?;
        let subject = claims.get(&names.subject).and_then(Value::as_str);
        let subject = subject.map(str::trim).filter(|subject| !subject.is_empty());
        let scope_fits = match claims.get(&names.scope) {
            None | Some(Value::Null | Value::String(_)) => true,
            Some(Value::Array(scopes)) => scopes.iter().all(Value::is_string),
            Some(_) => false,
        };
        if !scope_fits {
            return Err(JwtError::Claim {
                name: names.scope.clone(),
            });
        }
        Ok(Jwt {
            subject: subject
                .ok_or_else(|| JwtError::Claim {
                    name: names.subject.clone(),
                })?
                .to_owned(),
            expires_at_ms: seconds(&claims, "exp")?.ok_or(JwtError::Claim {
                name: "exp".to_owned(),
            })?,
            issued_at_ms: seconds(&claims, "iat")?,
        })
    }
}

fn object(part: &str) -> Result<Map<String, Value>, JwtError> {
    let json = BASE64.decode(part).map_err(|_| JwtError::NotJson)?;
    let json = Zeroizing::new(json);
    match serde_json::from_slice(&json) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(JwtError::NotJson),
    }
}

/// A time in seconds as milliseconds; numbers beyond all bounds end where `i64` does.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, JwtError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            // The conversion saturates.
            Some(seconds) if seconds >= 0.0 => Ok(Some((seconds * 1_000.0) as i64)),
            _ => Err(JwtError::Claim {
                name: name.to_owned(),
            }),
        },
    }
}

/// Why a text is no token that can be used. Nothing of the text shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtError {
    /// It has not three parts with dots between: perhaps it is an opaque token, which brokers do not take.
    NotThreeParts,
    /// The first or the second part is not JSON in Base64.
    NotJson,
    /// A claim is missing, empty, or of another kind than it must be.
    Claim {
        /// Its name, from the configuration or the standard.
        name: String,
    },
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwtError::NotThreeParts => f.write_str("it is no signed JWT (header.claims.signature)"),
            JwtError::NotJson => f.write_str("it is no JWT: a part of it is not JSON in Base64"),
            JwtError::Claim { name } => write!(f, "its claim {name:?} is missing or of the wrong kind"),
        }
    }
}

impl std::error::Error for JwtError {}

/// The token in the answer of a token endpoint (RFC 6749, 5.1): `access_token`, or else `id_token`.
pub fn token_of_answer(body: &[u8]) -> Option<Secret> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
        return None;
    };
    let mut found = None;
    // All are taken out, so that none stays in memory that is not cleared.
    for name in ["access_token", "id_token", "refresh_token"] {
        if let Some(Value::String(token)) = answer.remove(name) {
            let token = Secret::new(token);
            let is_wanted = name != "refresh_token" && !token.reveal().trim().is_empty();
            if is_wanted && found.is_none() {
                found = Some(Secret::new(token.reveal().trim()));
            }
        }
    }
    found
}

/// What a token endpoint says against a request (RFC 6749, 5.2, and Okta's names): the error, and its description in
/// brackets. Made fit to be shown; it may still repeat what it was sent.
pub fn refusal_of_answer(body: &[u8]) -> Option<String> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        return None;
    };
    let text = |names: [&str; 2]| {
        let text = names.iter().find_map(|name| answer.get(*name)?.as_str());
        text.map(printable).filter(|text| !text.is_empty())
    };
    let error = text(["error", "errorCode"]);
    let description = text(["error_description", "errorSummary"]);
    match (error, description) {
        (Some(error), Some(description)) => Some(format!("{error} ({description})")),
        (error, description) => error.or(description),
    }
}

fn printable(text: &str) -> String {
    let fits = |character: &char| character.is_ascii_graphic() || *character == ' ';
    let text: String = text
        .trim()
        .chars()
        .filter(fits)
        .take(SHOWN_CHARACTERS_MAX)
        .collect();
    text.trim_end().to_owned()
}

/// When a token is renewed before it ends: `sasl.login.refresh.*`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// The share of the token's life after which it is renewed (`sasl.login.refresh.window.factor`).
    pub window_factor: f64,
    /// How much chance is added to that (`sasl.login.refresh.window.jitter`).
    pub window_jitter: f64,
    /// The least time between two renewals (`sasl.login.refresh.min.period.seconds`).
    pub period_min: Duration,
    /// How long before its end it is renewed at the latest (`sasl.login.refresh.buffer.seconds`).
    pub buffer: Duration,
}

impl Default for RefreshPolicy {
    fn default() -> RefreshPolicy {
        RefreshPolicy {
            window_factor: 0.8,
            window_jitter: 0.05,
            period_min: Duration::from_secs(60),
            buffer: Duration::from_secs(300),
        }
    }
}

impl RefreshPolicy {
    /// When to renew a token that was got at `now_ms`, as Java's `ExpiringCredentialRefreshingLogin` works it out;
    /// `chance` is between 0 and 1. `None` if it has ended already.
    pub fn refresh_at_ms(&self, token: &Jwt, now_ms: i64, chance: f64) -> Option<i64> {
        let ends = token.expires_at_ms;
        if ends <= now_ms {
            return None;
        }
        let share = self.window_factor + self.window_jitter * chance.clamp(0.0, 1.0);
        // Saturates; a life of more than 292 million years is not renewed.
        let after = |start: i64| start.saturating_add((ends.saturating_sub(start) as f64 * share) as i64);
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let earliest = now_ms.saturating_add(millis(self.period_min));
        let latest = ends.saturating_sub(millis(self.buffer));
        if earliest > latest {
            // Both do not fit into such a short life: the share of what is left decides alone.
            return Some(after(now_ms).clamp(now_ms, ends));
        }
        let start = token
            .issued_at_ms
            .filter(|issued| *issued <= now_ms)
            .unwrap_or(now_ms);
        Some(after(start).clamp(earliest, latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", BASE64.encode(header), BASE64.encode(claims))
    }

    fn read(claims: &str) -> Result<Jwt, JwtError> {
        Jwt::read(&token("{\"alg\":\"RS256\"}", claims), &ClaimNames::default())
    }

    #[test]
    fn tokens_say_whose_they_are_and_when_they_end() {
        let jwt = read(r#"{"sub":"me","exp":1.5,"iat":1,"scope":["a"],"more":{}}"#).unwrap();
        assert_eq!(
            (jwt.subject.as_str(), jwt.expires_at_ms, jwt.issued_at_ms),
            ("me", 1_500, Some(1_000))
        );
        let names = ClaimNames {
            subject: "client".to_owned(),
            scope: "scp".to_owned(),
        };
        let other = token("{}", r#"{"client":"me","exp":1e300,"scp":"a b","scope":7}"#);
        assert_eq!(Jwt::read(&other, &names).unwrap().expires_at_ms, i64::MAX);
        // With padding, as some make them.
        assert!(Jwt::read("e30=.eyJzdWIiOiJhIiwiZXhwIjoxfQ==.x", &ClaimNames::default()).is_ok());
    }

    #[test]
    fn what_is_no_token_says_why_and_nothing_of_itself() {
        for (claims, part) in [
            (r#"{"exp":1}"#, "\"sub\""),
            (r#"{"sub":" ","exp":1}"#, "\"sub\""),
            (r#"{"sub":7,"exp":1}"#, "\"sub\""),
            (r#"{"sub":"canary"}"#, "\"exp\""),
            (r#"{"sub":"canary","exp":"1"}"#, "\"exp\""),
            (r#"{"sub":"canary","exp":-1}"#, "\"exp\""),
            (r#"{"sub":"canary","exp":1,"iat":"x"}"#, "\"iat\""),
            (r#"{"sub":"canary","exp":1,"scope":7}"#, "\"scope\""),
            (r#"{"sub":"canary","exp":1,"scope":[7]}"#, "\"scope\""),
            ("[]", "JSON"),
            ("canary", "JSON"),
        ] {
            let error = read(claims).expect_err(claims);
            let text = format!("{error} {error:?}");
            assert!(
                text.contains(part) && !text.contains("canary"),
                "{claims}: {text}"
            );
        }
        for text in [
            "",
            "canary",
            "a.b",
            "a.b.",
            ".b.c",
            "a..c",
            "a.b.c.d",
            "ca!.nary.x",
        ] {
            let error = Jwt::read(text, &ClaimNames::default()).expect_err(text);
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn answers_of_endpoints() {
        let of = |body: &str| token_of_answer(body.as_bytes()).map(|token| token.reveal().to_owned());
        assert_eq!(
            of(r#"{"access_token":" t ","id_token":"i"}"#).as_deref(),
            Some("t")
        );
        assert_eq!(of(r#"{"access_token":"","id_token":"i"}"#).as_deref(), Some("i"));
        for body in [
            "",
            "{}",
            "[]",
            "t",
            r#"{"access_token":7}"#,
            r#"{"refresh_token":"r"}"#,
        ] {
            assert_eq!(of(body), None, "{body}");
        }
        let refusal = |body: &str| refusal_of_answer(body.as_bytes());
        assert_eq!(
            refusal(r#"{"error":"invalid_client","error_description":"Bad\n\u001b[1mcredentials"}"#)
                .as_deref(),
            Some("invalid_client (Bad[1mcredentials)")
        );
        assert_eq!(
            refusal(r#"{"errorCode":"E1","errorSummary":"S"}"#).as_deref(),
            Some("E1 (S)")
        );
        let long = refusal(&format!("{{\"error\":\"{}\"}}", "x".repeat(9_999)));
        assert_eq!(long.map(|text| text.len()), Some(SHOWN_CHARACTERS_MAX));
        assert_eq!((refusal("{}"), refusal("<html>")), (None, None));
    }

    #[test]
    fn renewal_comes_as_in_java() {
        let policy = RefreshPolicy::default();
        let at = |issued_s: Option<i64>, expires_s: i64, now_s: i64, chance: f64| {
            let jwt = Jwt {
                subject: String::new(),
                expires_at_ms: expires_s * 1_000,
                issued_at_ms: issued_s.map(|seconds| seconds * 1_000),
            };
            policy
                .refresh_at_ms(&jwt, now_s * 1_000, chance)
                .map(|at| at as f64 / 1_000.0)
        };
        // An hour: after 80 to 85 % of it.
        assert_eq!(at(None, 3_600, 0, 0.0), Some(2_880.0));
        assert_eq!(at(None, 3_600, 0, 1.0), Some(3_060.0));
        // The life began before the token was got; and a clock that says otherwise is not believed.
        assert_eq!(at(Some(0), 3_600, 600, 0.0), Some(2_880.0));
        assert_eq!(at(Some(900), 3_600, 600, 0.0), Some(3_000.0));
        // Never within the last five minutes, nor within the next one.
        assert_eq!(at(None, 1_000, 0, 0.0), Some(700.0));
        assert_eq!(at(Some(0), 10_000, 9_500, 0.0), Some(9_560.0));
        // Six minutes are not left: the share of what is.
        assert_eq!(at(Some(0), 10_000, 9_900, 0.0), Some(9_980.0));
        assert_eq!(at(None, 10, 0, 0.0), Some(8.0));
        assert_eq!(at(None, 10, 10, 0.0), None);
    }
}
