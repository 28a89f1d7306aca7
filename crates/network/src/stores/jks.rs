//! Java's keystore (`sun.security.provider.JavaKeyStore`).
//!
//! Its integrity hangs on a SHA-1 over password and content, its keys on a stream of SHA-1 hashes: weak, but what many
//! installations have. Everything is checked against the bytes that remain.

use super::key::from_pkcs8;
use super::{Identity, Store, StoreError};
use crate::der::{Der, OBJECT_IDENTIFIER, OCTET_STRING};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

/// What goes into the digest of a store besides password and content.
const WHITENER: &[u8] = b"Mighty Aphrodite";
const HASH_BYTES: usize = 20;
const KEY_ENTRY: u32 = 1;
const CERTIFICATE_ENTRY: u32 = 2;
/// 1.3.6.1.4.1.42.2.17.1.1: how Java protects a key here.
const KEY_PROTECTOR: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];

/// Reads a store that begins with the magic number of JKS.
pub(super) fn read(
    bytes: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Store, StoreError> {
    let body_length = bytes.len().checked_sub(HASH_BYTES).ok_or(TRUNCATED)?;
    let (body, hash) = bytes.split_at(body_length);
    if let Some(password) = password
        && digest(&[&utf16(password), WHITENER, body])[..] != *hash
    {
        return Err(StoreError::WrongPassword);
    }
    let mut input = Input(body);
    input.u32()?;
    let version = input.u32()?;
    if !matches!(version, 1 | 2) {
        return Err(StoreError::Malformed {
            detail: "its version is neither 1 nor 2",
        });
    }
    // The count is not believed: an entry takes bytes, and they end.
    let count = input.u32()?;
    let mut store = Store::default();
    for _ in 0..count {
        match input.u32()? {
            KEY_ENTRY => {
                input.skip_alias_and_date()?;
                let protected = input.long_bytes()?;
                let chain = input.chain(version)?;
                // As in Java: whoever owns a key trusts its certificate.
                store.trusted.extend(chain.first().cloned());
                let Some(password) = key_password.or(password) else {
                    continue;
                };
                let key = unprotect(protected, password)?;
                store.identities.push(Identity { chain, key });
            }
            CERTIFICATE_ENTRY => {
                input.skip_alias_and_date()?;
                let certificate = input.certificate(version)?;
                store.trusted.push(certificate);
            }
            _ => {
                return Err(StoreError::Malformed {
                    detail: "an entry is neither a key nor a certificate",
                });
            }
        }
    }
    Ok(store)
}

const TRUNCATED: StoreError = StoreError::Malformed {
    detail: "the file is cut off",
};

/// What remains of the store.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, StoreError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    fn long_bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| TRUNCATED)?)
    }

    fn skip_alias_and_date(&mut self) -> Result<(), StoreError> {
        self.text()?;
        self.take(8)?;
        Ok(())
    }

    fn certificate(&mut self, version: u32) -> Result<CertificateDer<'static>, StoreError> {
        if version == 2 && self.text()? != b"X.509" {
            return Err(StoreError::Unsupported {
                detail: "it holds a certificate that is not X.509".to_owned(),
            });
        }
        Ok(CertificateDer::from(self.long_bytes()?.to_vec()))
    }

    fn chain(&mut self, version: u32) -> Result<Vec<CertificateDer<'static>>, StoreError> {
        let count = self.u32()?;
        let mut chain = Vec::new();
        for _ in 0..count {
            chain.push(self.certificate(version)?);
        }
        Ok(chain)
    }
}

/// Opens a key. The stream that it is mixed with begins at the salt in front of it; a hash behind it says whether the
/// password was right.
fn unprotect(protected: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, StoreError> {
    let data = protected_data(protected)?;
    let (salt, rest) = data.split_at_checked(HASH_BYTES).ok_or(TRUNCATED)?;
    let (encrypted, check) = rest
        .split_at_checked(rest.len().saturating_sub(HASH_BYTES))
        .ok_or(TRUNCATED)?;
    let password = utf16(password);
    let mut plain = Zeroizing::new(encrypted.to_vec());
    let mut stream = Zeroizing::new(<[u8; HASH_BYTES]>::try_from(salt).map_err(|_| TRUNCATED)?);
    for block in plain.chunks_mut(HASH_BYTES) {
        *stream = digest(&[&password, &*stream]);
        block
            .iter_mut()
            .zip(stream.iter())
            .for_each(|(byte, mask)| *byte ^= mask);
    }
    if digest(&[&password, &plain])[..] != *check {
        return Err(StoreError::WrongKeyPassword);
    }
    from_pkcs8(&plain)
}

/// The octets of an `EncryptedPrivateKeyInfo` with Java's own algorithm.
fn protected_data(protected: &[u8]) -> Result<&[u8], StoreError> {
    const MALFORMED: StoreError = StoreError::Malformed {
        detail: "a key in it is no EncryptedPrivateKeyInfo",
    };
    let mut outer = Der(protected).sequence().ok_or(MALFORMED)?;
    let mut algorithm = outer.sequence().ok_or(MALFORMED)?;
    if algorithm.expect(OBJECT_IDENTIFIER) != Some(KEY_PROTECTOR) {
        return Err(StoreError::Unsupported {
            detail: "a key in it is encrypted as no keytool does for JKS".to_owned(),
        });
    }
    outer.expect(OCTET_STRING).ok_or(MALFORMED)
}

fn digest(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// A password as Java's characters, big end first.
fn utf16(password: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.encode_utf16().flat_map(u16::to_be_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store whose integrity holds, whatever stands in it.
    fn sealed(body: &[u8], password: &str) -> Vec<u8> {
        let hash = digest(&[&utf16(password), WHITENER, body]);
        [body, &hash].concat()
    }

    #[track_caller]
    fn check(body: &[u8], expected: &str) {
        let error = read(&sealed(body, "p"), Some("p"), None).expect_err("not a store");
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn what_is_sealed_and_wrong_is_refused() {
        const MAGIC: &[u8] = b"\xfe\xed\xfe\xed";
        let store = |rest: &[u8]| [MAGIC, rest].concat();
        check(MAGIC, "cut off");
        check(&store(b"\0\0\0\x03\0\0\0\0"), "version");
        check(&store(b"\0\0\0\x02\xff\xff\xff\xff"), "cut off");
        check(&store(b"\0\0\0\x02\0\0\0\x01\0\0\0\x03"), "neither a key");
        check(
            &store(b"\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x01a\0\0\0\0\0\0\0\0\0\x03PGP"),
            "X.509",
        );
        // A certificate of 4 GiB.
        check(
            &store(b"\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x01a\0\0\0\0\0\0\0\0\0\x05X.509\xff\xff\xff\xff"),
            "cut off",
        );
        check(
            &store(b"\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x01a\0\0\0\0\0\0\0\0\0\0\0\x02\x30\0\0\0\0\0"),
            "EncryptedPrivateKeyInfo",
        );
    }

    #[test]
    fn one_changed_bit_breaks_the_seal() {
        let body = b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\0";
        let whole = sealed(body, "secret");
        assert!(read(&whole, Some("secret"), None).is_ok());
        assert_eq!(
            read(&whole, Some("Secret"), None).unwrap_err(),
            StoreError::WrongPassword
        );
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(
                read(&changed, Some("secret"), None).unwrap_err(),
                StoreError::WrongPassword
            );
        }
    }
}
