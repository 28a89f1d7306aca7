//! SCRAM from the broker's side (RFC 5802): it never sees the password, and proves that it has seen it before.

use super::conversation::Reply;
use super::options::SaslOptions;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;

/// What Kafka uses where nothing else is said.
const ITERATIONS: u32 = 4_096;

/// The hash function of the mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// What a broker keeps of a password.
#[derive(Clone, PartialEq)]
pub(super) struct Credential {
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// The broker's side of one authentication.
pub(crate) struct ScramServer {
    hash: Hash,
    state: State,
}

enum State {
    First,
    Last {
        user: String,
        is_token: bool,
        nonce: String,
        /// What is signed, up to the client's last message.
        signed: String,
        credential: Credential,
    },
    Over,
}

impl fmt::Debug for ScramServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramServer")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Credential {
    pub(super) fn new(password: &str, hash: Hash, random: &mut fastrand::Rng) -> Credential {
        let salt: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(24).collect();
        let salted = hash.salted(password.as_bytes(), &salt);
        Credential {
            stored_key: hash.digest(&hash.hmac(&salted, b"Client Key")),
            server_key: hash.hmac(&salted, b"Server Key"),
            salt,
        }
    }
}

impl ScramServer {
    pub(super) fn new(hash: Hash) -> ScramServer {
        ScramServer {
            hash,
            state: State::First,
        }
    }

    pub(super) fn step(
        &mut self,
        options: &mut SaslOptions,
        message: &[u8],
        random: &mut fastrand::Rng,
    ) -> Result<Reply, String> {
        let refused = || {
            let name = match self.hash {
                Hash::Sha256 => "SCRAM-SHA-256",
                Hash::Sha512 => "SCRAM-SHA-512",
            };
            format!(
                "Authentication failed during authentication due to invalid credentials with SASL mechanism {name}"
            )
        };
        let message = std::str::from_utf8(message).map_err(|_| refused())?;
        let (reply, next) = match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.challenge(options, message, random).ok_or_else(refused)?,
            State::Last {
                user,
                is_token,
                nonce,
                signed,
                credential,
            } => {
                let bytes = self
                    .verify(message, &nonce, &signed, &credential)
                    .ok_or_else(refused)?;
                let principal = if is_token { format!("token:{user}") } else { user };
                let done = Reply::Done {
                    bytes,
                    principal,
                    life: None,
                };
                (done, State::Over)
            }
            State::Over => return Err(refused()),
        };
        self.state = next;
        Ok(reply)
    }

    /// Answers `n,[a=id],n=user,r=nonce[,extensions]`.
    fn challenge(
        &self,
        options: &mut SaslOptions,
        message: &str,
        random: &mut fastrand::Rng,
    ) -> Option<(Reply, State)> {
        let rest = message.strip_prefix("n,")?;
        let (_authorization_id, bare) = rest.split_once(',')?;
        let mut attributes = bare.split(',');
        let user = attributes.next()?.strip_prefix("n=")?;
        let client_nonce = attributes
            .next()?
            .strip_prefix("r=")
            .filter(|nonce| !nonce.is_empty())?;
        let is_token = attributes.any(|extension| extension == "tokenauth=true");
        let user = user.replace("=2C", ",").replace("=3D", "=");
        let credential = options.credential(is_token, &user, self.hash, random)?;
        let server_nonce: String = std::iter::repeat_with(|| random.alphanumeric())
            .take(24)
            .collect();
        let nonce = format!("{client_nonce}{server_nonce}");
        let challenge = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(&credential.salt));
        let state = State::Last {
            user,
            is_token,
            nonce,
            signed: format!("{bare},{challenge}"),
            credential,
        };
        Some((Reply::Continue(challenge.into_bytes()), state))
    }

    /// Checks `c=…,r=nonce,p=proof`, and gives the broker's own proof.
    fn verify(&self, message: &str, nonce: &str, signed: &str, credential: &Credential) -> Option<Vec<u8>> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        if without_proof.split(',').nth(1)?.strip_prefix("r=")? != nonce {
            return None;
        }
        let signed = format!("{signed},{without_proof}");
        let proof = STANDARD.decode(proof).ok()?;
        let signature = self.hash.hmac(&credential.stored_key, signed.as_bytes());
        if proof.len() != signature.len() {
            return None;
        }
        let client_key: Vec<u8> = proof
            .iter()
            .zip(&signature)
            .map(|(proof, mask)| proof ^ mask)
            .collect();
        if self.hash.digest(&client_key) != credential.stored_key {
            return None;
        }
        let own = self.hash.hmac(&credential.server_key, signed.as_bytes());
        Some(format!("v={}", STANDARD.encode(own)).into_bytes())
    }
}

impl Hash {
    fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match self {
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
        }
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    fn salted(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, ITERATIONS).to_vec(),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, ITERATIONS).to_vec(),
        }
    }
}
