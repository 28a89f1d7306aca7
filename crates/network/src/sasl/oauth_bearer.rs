//! OAUTHBEARER (RFC 7628, KIP-255): a token in one message.

use super::error::SaslFailure;
use super::{BearerToken, SaslClient, Step};
use zeroize::Zeroizing;

/// Separates the parts of the message.
const SEPARATOR: u8 = 0x01;

/// The client of OAUTHBEARER.
#[derive(Debug)]
pub(super) struct OauthBearer {
    token: BearerToken,
    /// What the broker said against the token; it has been told that this was heard.
    refusal: Option<String>,
}

impl OauthBearer {
    pub(super) fn new(token: &BearerToken) -> OauthBearer {
        OauthBearer {
            token: token.clone(),
            refusal: None,
        }
    }
}

impl SaslClient for OauthBearer {
    fn first(&mut self) -> Zeroizing<Vec<u8>> {
        let token = self.token.token().reveal();
        let extensions = self.token.extensions();
        let extension_bytes: usize = extensions
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        let mut message = Zeroizing::new(Vec::with_capacity(32 + token.len() + extension_bytes));
        message.extend_from_slice(b"n,,");
        message.push(SEPARATOR);
        message.extend_from_slice(b"auth=Bearer ");
        message.extend_from_slice(token.as_bytes());
        message.push(SEPARATOR);
        for (name, value) in extensions {
            message.extend_from_slice(name.as_bytes());
            message.push(b'=');
            message.extend_from_slice(value.as_bytes());
            message.push(SEPARATOR);
        }
        message.push(SEPARATOR);
        message
    }

    /// An empty answer is success. Everything else is an error in JSON, which the client has to acknowledge before the
    /// broker ends the conversation (RFC 7628, 3.2.3).
    fn step(&mut self, answer: &[u8]) -> Result<Step, SaslFailure> {
        if let Some(refusal) = &self.refusal {
            return Err(SaslFailure::refused(refusal));
        }
        if answer.is_empty() {
            return Ok(Step::Done);
        }
        self.refusal = Some(String::from_utf8_lossy(answer).into_owned());
        Ok(Step::Send(Zeroizing::new(vec![SEPARATOR])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_token_and_extensions() {
        let token = BearerToken::new("eyJ0.e30.").unwrap();
        let mut client = OauthBearer::new(&token);
        assert_eq!(client.first().as_slice(), b"n,,\x01auth=Bearer eyJ0.e30.\x01\x01");
        assert_eq!(client.step(b""), Ok(Step::Done));
        let token = token
            .with_extension("traceId", "1 2")
            .unwrap()
            .with_extension("b", "3")
            .unwrap();
        assert_eq!(
            OauthBearer::new(&token).first().as_slice(),
            b"n,,\x01auth=Bearer eyJ0.e30.\x01traceId=1 2\x01b=3\x01\x01"
        );
    }

    #[test]
    fn a_refusal_is_acknowledged_and_then_told() {
        let mut client = OauthBearer::new(&BearerToken::new("t").unwrap());
        client.first();
        let answer = br#"{"status":"invalid_token"}"#;
        assert_eq!(client.step(answer), Ok(Step::Send(Zeroizing::new(vec![1]))));
        for answer in [&b""[..], b"x"] {
            let failure = client.step(answer).unwrap_err();
            assert!(failure.to_string().contains("invalid_token"), "{failure}");
        }
    }
}
