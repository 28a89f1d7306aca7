//! SCRAM (RFC 5802, RFC 7677): a proof of the password that does not show it, and the broker's proof in return.
//!
//! As Java's client: names and passwords are used as they are in UTF-8, without SASLprep (`ScramFormatter.normalize`),
//! and delegation tokens say so by the extension `tokenauth=true`, which is part of what is signed (KIP-48).

use super::error::SaslFailure;
use super::{PasswordCredentials, SaslClient, Step};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The least number of iterations that a broker may ask for, as in Java.
pub const ITERATIONS_MIN: u32 = 4_096;
/// The largest: about a second of work. Kafka creates credentials with at most 16,384.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// `n,,`: no channel binding, no authorization id.
const GS2_HEADER: &str = "n,,";
/// The header in Base64, as the last message repeats it.
const CHANNEL_BINDING: &str = "c=biws";

/// The hash function of the mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// The client of both mechanisms.
pub(super) struct Scram {
    hash: Hash,
    credentials: PasswordCredentials,
    nonce: String,
    state: State,
}

/// What is expected next.
enum State {
    /// The broker's first message.
    Challenge,
    /// Its last one, with this signature.
    Signature {
        key: Zeroizing<Vec<u8>>,
        message: Zeroizing<String>,
    },
    /// Nothing any more.
    Over,
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram")
            .field("hash", &self.hash)
            .field("user", &self.credentials.user)
            .finish_non_exhaustive()
    }
}

impl Scram {
    pub(super) fn new(
        hash: Hash,
        credentials: &PasswordCredentials,
        nonce: &str,
    ) -> Result<Scram, SaslFailure> {
        let invalid = |reason| Err(SaslFailure::InvalidCredentials { reason });
        if credentials.user.is_empty() || credentials.user.contains('\0') {
            return invalid("the user's name is empty or has a NUL");
        }
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            return invalid("a nonce must be printable ASCII without a comma");
        }
        Ok(Scram {
            hash,
            credentials: credentials.clone(),
            nonce: nonce.to_owned(),
            state: State::Challenge,
        })
    }

    /// The first message without its header: what is signed later.
    fn first_bare(&self) -> String {
        // In this order, so that the signs that are put in are not replaced again.
        let user = self.credentials.user.replace('=', "=3D").replace(',', "=2C");
        let extension = if self.credentials.is_delegation_token {
            ",tokenauth=true"
        } else {
            ""
        };
        format!("n={user},r={}{extension}", self.nonce)
    }

    /// Answers the broker's first message: the proof, and what its signature will be checked against.
    fn prove(&mut self, answer: &[u8]) -> Result<Step, SaslFailure> {
        let text = text(answer)?;
        let challenge = Challenge::parse(text)?;
        // The broker's nonce begins with ours, or the message is an answer to somebody else.
        let ours = self.nonce.as_bytes();
        let is_ours = challenge.nonce.as_bytes().get(..ours.len());
        if challenge.nonce.len() <= ours.len() || !is_ours.is_some_and(|start| bool::from(start.ct_eq(ours)))
        {
            return malformed("its nonce does not go on from ours");
        }
        let iterations = u32::try_from(challenge.iterations).ok();
        let Some(iterations) = iterations.filter(|count| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(count))
        else {
            return Err(SaslFailure::Iterations {
                iterations: challenge.iterations,
            });
        };

        let without_proof = format!("{CHANNEL_BINDING},r={}", challenge.nonce);
        let signed = Zeroizing::new(format!("{},{text},{without_proof}", self.first_bare()));
        let password = self.credentials.password.reveal().as_bytes();
        let salted = self.hash.salted_password(password, &challenge.salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let stored_key = self.hash.digest(&client_key);
        let client_signature = self.hash.hmac(&stored_key, signed.as_bytes());
        let mut proof = client_key;
        for (byte, mask) in proof.iter_mut().zip(client_signature.iter()) {
            *byte ^= mask;
        }
        let last = format!("{without_proof},p={}", STANDARD.encode(&*proof));
        self.state = State::Signature {
            key: self.hash.hmac(&salted, b"Server Key"),
            message: signed,
        };
        Ok(Step::Send(Zeroizing::new(last.into_bytes())))
    }

    /// Reads the broker's last message.
    fn verify(&self, key: &[u8], message: &str, answer: &[u8]) -> Result<Step, SaslFailure> {
        let text = text(answer)?;
        let first = text.split(',').next().unwrap_or_default();
        if let Some(error) = first.strip_prefix("e=") {
            return Err(SaslFailure::refused(error));
        }
        let Some(signature) = first.strip_prefix("v=") else {
            return malformed("its last message has no signature");
        };
        let Ok(signature) = STANDARD.decode(signature) else {
            return malformed("its signature is no Base64");
        };
        if bool::from(self.hash.hmac(key, message.as_bytes()).ct_eq(&signature)) {
            Ok(Step::Done)
        } else {
            Err(SaslFailure::ServerNotProven)
        }
    }
}

impl SaslClient for Scram {
    fn first(&mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(format!("{GS2_HEADER}{}", self.first_bare()).into_bytes())
    }

    fn step(&mut self, answer: &[u8]) -> Result<Step, SaslFailure> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Challenge => self.prove(answer),
            State::Signature { key, message } => self.verify(&key, &message, answer),
            State::Over => malformed("SCRAM is over, and the broker goes on"),
        }
    }
}

/// The broker's first message, taken apart.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u64,
}

impl<'a> Challenge<'a> {
    /// `r=<nonce>,s=<salt in Base64>,i=<iterations>`, and extensions after it, which have no meaning here.
    fn parse(text: &'a str) -> Result<Challenge<'a>, SaslFailure> {
        let mut attributes = text.split(',');
        let mut next = |name: &str| {
            attributes
                .next()
                .and_then(|attribute| attribute.strip_prefix(name))
        };
        if let Some(error) = text.strip_prefix("e=") {
            return Err(SaslFailure::refused(error));
        }
        if text.starts_with("m=") {
            return malformed("it needs an extension that is not known (m=)");
        }
        let Some(nonce) = next("r=") else {
            return malformed("its first message has no nonce");
        };
        let salt = next("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let Some(salt) = salt.filter(|salt| !salt.is_empty()) else {
            return malformed("its first message has no salt");
        };
        let digits = next("i=").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(iterations) = digits.filter(|digits| !digits.is_empty()) else {
            return malformed("its first message has no number of iterations");
        };
        Ok(Challenge {
            nonce,
            salt,
            // More than can be read is more than can be taken.
            iterations: iterations.parse().unwrap_or(u64::MAX),
        })
    }
}

impl Hash {
    fn hmac(self, key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
        // HMAC takes keys of any length.
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        Zeroizing::new(match self {
            Hash::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_LENGTH);
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
            Hash::Sha512 => {
                let mut mac = Hmac::<Sha512>::new_from_slice(key).expect(ANY_LENGTH);
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
        })
    }

    fn digest(self, message: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        })
    }

    /// `Hi` of RFC 5802, which is PBKDF2.
    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        match self {
            Hash::Sha256 => {
                let mut salted = Zeroizing::new(vec![0; 32]);
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
                salted
            }
            Hash::Sha512 => {
                let mut salted = Zeroizing::new(vec![0; 64]);
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut salted);
                salted
            }
        }
    }
}

fn text(answer: &[u8]) -> Result<&str, SaslFailure> {
    std::str::from_utf8(answer).map_err(|_| SaslFailure::Malformed {
        reason: "it is no UTF-8",
    })
}

fn malformed<T>(reason: &'static str) -> Result<T, SaslFailure> {
    Err(SaslFailure::Malformed { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SIGNATURE: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn pencil() -> Scram {
        let credentials = PasswordCredentials::new("user", "pencil");
        Scram::new(Hash::Sha256, &credentials, "rOprNGfwEbeRWgbNEkqO").unwrap()
    }

    fn sent(step: Result<Step, SaslFailure>) -> String {
        match step {
            Ok(Step::Send(message)) => String::from_utf8(message.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let mut scram = pencil();
        assert_eq!(scram.first().as_slice(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            sent(scram.step(CHALLENGE.as_bytes())),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.step(SIGNATURE.as_bytes()), Ok(Step::Done));
        assert!(scram.step(SIGNATURE.as_bytes()).is_err(), "it is over");
    }

    #[test]
    fn names_are_escaped_and_tokens_named() {
        let first = |credentials: &PasswordCredentials| {
            let mut scram = Scram::new(Hash::Sha512, credentials, "abc").unwrap();
            String::from_utf8(scram.first().to_vec()).unwrap()
        };
        assert_eq!(
            first(&PasswordCredentials::new("a=b,c", "x")),
            "n,,n=a=3Db=2Cc,r=abc"
        );
        assert_eq!(
            first(&PasswordCredentials::delegation_token("id", "x")),
            "n,,n=id,r=abc,tokenauth=true"
        );
    }

    #[test]
    fn a_broker_that_lies_is_found_out() {
        let replies = |reply: &str| {
            let mut scram = pencil();
            scram.first();
            scram.step(reply.as_bytes()).unwrap_err()
        };
        for (reply, part) in [
            ("", "no nonce"),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096", "does not go on"),
            ("r=xOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=4096", "does not go on"),
            ("r=short,s=W22Z,i=4096", "does not go on"),
            ("r=rOprNGfwEbeRWgbNEkqOmore,s=,i=4096", "no salt"),
            ("r=rOprNGfwEbeRWgbNEkqOmore,s=!,i=4096", "no salt"),
            ("r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z", "no number"),
            ("r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=", "no number"),
            ("r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=+4096", "no number"),
            ("r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=4095", "4095 iterations"),
            (
                "r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=1000001",
                "1000001 iterations",
            ),
            (
                "r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=2147483648",
                "2147483648 iterations",
            ),
            (
                "r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=99999999999999999999999",
                "iterations",
            ),
            ("m=x,r=rOprNGfwEbeRWgbNEkqOmore,s=W22Z,i=4096", "extension"),
            ("e=unknown-user", "unknown-user"),
        ] {
            let failure = replies(reply);
            assert!(failure.to_string().contains(part), "{reply}: {failure}");
        }
        let signature = |reply: &str| {
            let mut scram = pencil();
            scram.step(CHALLENGE.as_bytes()).unwrap();
            scram.step(reply.as_bytes()).unwrap_err()
        };
        assert_eq!(
            signature("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
            SaslFailure::ServerNotProven
        );
        assert_eq!(signature("v="), SaslFailure::ServerNotProven);
        assert!(matches!(signature("v=!"), SaslFailure::Malformed { .. }));
        assert!(matches!(signature(""), SaslFailure::Malformed { .. }));
        assert!(signature("e=invalid-proof").to_string().contains("invalid-proof"));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut scram = Scram::new(Hash::Sha512, &PasswordCredentials::new("u", "canary"), "n").unwrap();
        scram.first();
        scram.step(b"r=nmore,s=W22Z,i=4096").unwrap();
        assert!(!format!("{scram:?}").contains("canary"));
    }
}
