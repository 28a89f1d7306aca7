//! Signatures for assertions (RFC 7515): RS256 and ES256, by the cryptography that TLS has.

use super::config::compiled_in;
use crate::der::{Der, INTEGER};
use crate::stores::{StoreError, private_key};
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::sign::SigningKey;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The bytes of each half of a signature on P-256.
const HALF_BYTES: usize = 32;

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// RSA with PKCS#1 and SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl JwtAlgorithm {
    /// Its name in a header.
    pub fn name(self) -> &'static str {
        match self {
            JwtAlgorithm::Rs256 => "RS256",
            JwtAlgorithm::Es256 => "ES256",
        }
    }

    fn scheme(self) -> SignatureScheme {
        match self {
            JwtAlgorithm::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
            JwtAlgorithm::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl FromStr for JwtAlgorithm {
    type Err = SignerError;

    /// By its name, in any case.
    fn from_str(name: &str) -> Result<JwtAlgorithm, SignerError> {
        let all = [JwtAlgorithm::Rs256, JwtAlgorithm::Es256];
        all.into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or(SignerError::UnknownAlgorithm)
    }
}

/// A private key that signs.
#[derive(Clone)]
pub struct JwtSigner {
    key: Arc<dyn SigningKey>,
    algorithm: JwtAlgorithm,
}

impl JwtSigner {
    /// Takes a key in PEM, which `passphrase` opens if it is encrypted. `provider` is what signs, instead of what is
    /// compiled in.
    ///
    /// # Errors
    ///
    /// The key cannot be read, or is of another kind than the algorithm takes.
    pub fn new(
        pem: &[u8],
        passphrase: Option<&str>,
        algorithm: JwtAlgorithm,
        provider: Option<&CryptoProvider>,
    ) -> Result<JwtSigner, SignerError> {
        let compiled_in = compiled_in();
        let provider = provider.or(compiled_in.as_ref()).ok_or(SignerError::NoProvider)?;
        let key = private_key(pem, passphrase).map_err(SignerError::Key)?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|_| SignerError::WrongKey { algorithm })?;
        if key.choose_scheme(&[algorithm.scheme()]).is_none() {
            return Err(SignerError::WrongKey { algorithm });
        }
        Ok(JwtSigner { key, algorithm })
    }

    /// The signature of `message`, in the form that a JWT has.
    ///
    /// # Errors
    ///
    /// The cryptography refuses to sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signer = self.key.choose_scheme(&[self.algorithm.scheme()]);
        let signature = signer.and_then(|signer| signer.sign(message).ok());
        let signature = signature.ok_or(SignerError::Failed)?;
        match self.algorithm {
            JwtAlgorithm::Rs256 => Ok(signature),
            JwtAlgorithm::Es256 => halves(&signature).ok_or(SignerError::Failed),
        }
    }
}

impl fmt::Debug for JwtSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSigner")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// From a SEQUENCE of two INTEGERs, as TLS has it, to both numbers with 32 bytes each (RFC 7518, 3.4).
fn halves(signature: &[u8]) -> Option<Vec<u8>> {
    let mut sequence = Der(signature).sequence()?;
    let mut halves = Vec::with_capacity(2 * HALF_BYTES);
    for _ in 0..2 {
        let number = sequence.expect(INTEGER)?;
        let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
        let number = &number[first..];
        halves.resize(halves.len() + HALF_BYTES.checked_sub(number.len())?, 0);
        halves.extend_from_slice(number);
    }
    sequence.is_empty().then_some(halves)
}

/// Why nothing can be signed. Nothing of a key shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerError {
    /// No cryptography is compiled in, and none was given.
    NoProvider,
    /// There is no such algorithm here.
    UnknownAlgorithm,
    /// The key cannot be read.
    Key(StoreError),
    /// The key is of another kind.
    WrongKey {
        /// What it should sign by.
        algorithm: JwtAlgorithm,
    },
    /// It was not signed.
    Failed,
}

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PASSPHRASE: &str = "sasl.oauthbearer.assertion.private.key.passphrase";
        match self {
            SignerError::NoProvider => {
                f.write_str("no cryptography is compiled in; it takes the feature tls or tls-aws-lc-rs")
            }
            SignerError::UnknownAlgorithm => f.write_str("expected RS256 or ES256"),
            // The stores' own words name the key of the configuration that they know.
            SignerError::Key(error) => {
                f.write_str(&error.to_string().replace("ssl.key.password", PASSPHRASE))
            }
            SignerError::WrongKey { algorithm } => {
                let wanted = match algorithm {
                    JwtAlgorithm::Rs256 => "an RSA key of at least 2048 bits",
                    JwtAlgorithm::Es256 => "a key on the curve P-256",
                };
                write!(f, "{} takes {wanted}, and this is none", algorithm.name())
            }
            SignerError::Failed => f.write_str("the key does not sign"),
        }
    }
}

impl std::error::Error for SignerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_on_p256_have_two_halves() {
        let numbers = |first: &[u8], second: &[u8]| {
            let mut inner = Vec::new();
            for number in [first, second] {
                inner.extend([INTEGER, number.len() as u8]);
                inner.extend(number);
            }
            halves(&[&[0x30, inner.len() as u8][..], &inner].concat())
        };
        let long = [&[0][..], &[0xff; 32]].concat();
        assert_eq!(
            numbers(&long, &[7]),
            Some([&[0xff; 32][..], &[0; 31], &[7]].concat())
        );
        assert_eq!(numbers(&[0xff; 33], &[7]), None);
        assert_eq!((halves(b""), halves(b"\x30\x03\x02\x01\x01")), (None, None));
    }
}
