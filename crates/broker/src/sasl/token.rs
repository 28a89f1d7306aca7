//! OAUTHBEARER with tokens that nobody signed, as Kafka's `OAuthBearerUnsecuredValidatorCallbackHandler` takes them; or
//! with a signature that is only compared.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::time::Duration;

/// What a client is told whose token is not taken (RFC 7628).
pub(super) const INVALID: &str = "{\"status\":\"invalid_token\"}";

/// What matters of a token.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    pub(super) subject: String,
    /// How long it is good for.
    pub(super) life: Duration,
}

/// Takes `n,,^Aauth=Bearer <token>^A…^A^A` apart, and checks the token. With a `signature`, the token must have just that
/// one; without, none.
pub(super) fn check(message: &[u8], wall_ms: i64, signature: Option<&str>) -> Result<Token, ()> {
    let text = std::str::from_utf8(message).map_err(drop)?;
    let mut parts = text.strip_suffix("\u{1}\u{1}").ok_or(())?.split('\u{1}');
    if !parts.next().is_some_and(|header| header.starts_with("n,")) {
        return Err(());
    }
    let token = parts
        .find_map(|part| part.strip_prefix("auth=Bearer "))
        .ok_or(())?;
    let mut sections = token.split('.');
    let (Some(header), Some(claims), Some(signed), None) =
        (sections.next(), sections.next(), sections.next(), sections.next())
    else {
        return Err(());
    };
    if signed != signature.unwrap_or_default() {
        return Err(());
    }
    let (header, claims) = (object(header)?, object(claims)?);
    let is_unsigned = header.get("alg").and_then(Value::as_str) == Some("none");
    if is_unsigned != signature.is_none() {
        return Err(());
    }
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| !subject.is_empty())
        .ok_or(())?;
    let expires = claims
        .get("exp")
        .and_then(Value::as_f64)
        .filter(|seconds| *seconds >= 0.0)
        .ok_or(())?;
    let life_ms = expires * 1_000.0 - wall_ms as f64;
    if life_ms <= 0.0 {
        return Err(());
    }
    Ok(Token {
        subject: subject.to_owned(),
        // Converting saturates; a token for longer than a century lasts a century.
        life: Duration::from_millis((life_ms as u64).min(3_153_600_000_000)),
    })
}

fn object(section: &str) -> Result<Value, ()> {
    let json = URL_SAFE_NO_PAD.decode(section).map_err(drop)?;
    let value: Value = serde_json::from_slice(&json).map_err(drop)?;
    if value.is_object() { Ok(value) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(header: &str, claims: &str) -> String {
        let (header, claims) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("n,,\u{1}auth=Bearer {header}.{claims}.\u{1}\u{1}")
    }

    #[test]
    fn only_unsigned_tokens_that_last_are_taken() {
        let check = |header: &str, claims: &str| check(message(header, claims).as_bytes(), 10_000, None);
        assert_eq!(
            check(r#"{"alg":"none"}"#, r#"{"sub":"alice","exp":12.5,"iat":1}"#),
            Ok(Token {
                subject: "alice".to_owned(),
                life: Duration::from_millis(2_500)
            })
        );
        for (header, claims) in [
            (r#"{"alg":"RS256"}"#, r#"{"sub":"alice","exp":12}"#),
            (r#"{"alg":"none"}"#, r#"{"sub":"alice","exp":10}"#),
            (r#"{"alg":"none"}"#, r#"{"sub":"","exp":12}"#),
            (r#"{"alg":"none"}"#, r#"{"exp":12}"#),
            (r#"{"alg":"none"}"#, r#"{"sub":"alice"}"#),
            (r#"{"alg":"none"}"#, "[]"),
            (r#"{"alg":"none""#, "{}"),
        ] {
            assert_eq!(check(header, claims), Err(()), "{header} {claims}");
        }
    }

    #[test]
    fn a_signature_that_is_expected_is_compared() {
        let signed = |signature: &str| {
            let unsigned = message(r#"{"alg":"RS256"}"#, r#"{"sub":"alice","exp":12}"#);
            unsigned.replace(".\u{1}\u{1}", &format!(".{signature}\u{1}\u{1}"))
        };
        assert!(check(signed("c2ln").as_bytes(), 10_000, Some("c2ln")).is_ok());
        for (message, expected) in [
            (signed("other"), Some("c2ln")),
            (signed(""), Some("c2ln")),
            (signed("c2ln"), None),
        ] {
            assert_eq!(check(message.as_bytes(), 10_000, expected), Err(()), "{message}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        for message in [
            &b""[..],
            b"n,,\x01\x01",
            b"\xff",
            b"n,,\x01auth=Bearer a.b\x01\x01",
            b"auth=Bearer a.b.\x01\x01",
        ] {
            assert_eq!(check(message, 0, None), Err(()));
        }
    }
}
