//! Tokens, and what token endpoints answer: any bytes are read or refused, by a simple model of what a token must be; what
//! is shown of a refusal is fit to be shown; and a token is renewed neither in the past nor after its end.

use crate::within;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ottla_network::sasl::jwt::{ClaimNames, Jwt, RefreshPolicy, refusal_of_answer, token_of_answer};
use serde_json::Value;

/// One input: an answer, a token, and the claims of one.
pub fn run(input: &[u8]) {
    // JSON becomes values: an object with one member takes a node of eleven.
    within(64 * 1024 + 256 * input.len(), || {
        if let Some(token) = token_of_answer(input) {
            assert!(!token.reveal().trim().is_empty());
            assert!(!format!("{token:?}").contains(token.reveal()) || "[hidden]".contains(token.reveal()));
        }
        if let Some(said) = refusal_of_answer(input) {
            // Two texts of 200 characters at most, and brackets.
            assert!(said.len() <= 403 && said.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
        }
        let names = ClaimNames::default();
        if let Ok(text) = std::str::from_utf8(input)
            && let Ok(jwt) = Jwt::read(text, &names)
        {
            renewal(&jwt);
        }
        let token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(input));
        match (Jwt::read(&token, &names), expected(input)) {
            (Ok(jwt), Some(subject)) => {
                assert_eq!(jwt.subject, subject);
                renewal(&jwt);
            }
            (Err(_), None) => {}
            (read, expected) => panic!("{read:?}, but expected {expected:?}"),
        }
    });
}

/// Whose token it is, if these are the claims of one.
fn expected(claims: &[u8]) -> Option<String> {
    let claims: Value = serde_json::from_slice(claims).ok()?;
    let claims = claims.as_object()?;
    let time = |name: &str| claims.get(name).filter(|value| !value.is_null());
    let is_time = |value: &Value| value.as_f64().is_some_and(|seconds| seconds >= 0.0);
    let is_scope = |value: &Value| match value {
        Value::Null | Value::String(_) => true,
        Value::Array(scopes) => scopes.iter().all(Value::is_string),
        _ => false,
    };
    let subject = claims.get("sub")?.as_str()?.trim();
    let fits = !subject.is_empty()
        && time("exp").is_some_and(is_time)
        && time("iat").is_none_or(is_time)
        && claims.get("scope").is_none_or(is_scope);
    fits.then(|| subject.to_owned())
}

fn renewal(jwt: &Jwt) {
    assert!(jwt.expires_at_ms >= 0);
    for (now_ms, chance) in [(0, 0.0), (1_700_000_000_000, 0.5), (i64::MAX, 1.0)] {
        match RefreshPolicy::default().refresh_at_ms(jwt, now_ms, chance) {
            Some(at) => assert!(
                now_ms <= at && at <= jwt.expires_at_ms,
                "{jwt:?} at {now_ms}: {at}"
            ),
            None => assert!(jwt.expires_at_ms <= now_ms),
        }
    }
}
