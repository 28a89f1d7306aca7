//! Private keys: what they look like, and how encrypted PKCS#8 is opened.

use super::StoreError;
use crate::der::{Der, OBJECT_IDENTIFIER, OCTET_STRING};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

/// 1.2.840.113549.1.12.1.3, PBE-SHA1-3DES: the only form that Java 17 opens where it reads PEM.
const PBE_SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
/// 1.2.840.113549.1.5.13.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// More rounds than anybody uses; each costs a hash. Java refuses more, too (`PKCS12KeyStore`).
const ITERATIONS_MAX: u32 = 5_000_000;
/// What scrypt may take: sixteen times what OpenSSL asks for.
const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How often scrypt may take it.
const SCRYPT_PARALLEL_MAX: u16 = 16;

/// A key as PKCS#8 has it.
pub(super) fn from_pkcs8(der: &[u8]) -> Result<PrivateKeyDer<'static>, StoreError> {
    check_sequence(der)?;
    Ok(PrivatePkcs8KeyDer::from(der.to_vec()).into())
}

pub(super) fn from_pkcs1(der: &[u8]) -> Result<PrivateKeyDer<'static>, StoreError> {
    check_sequence(der)?;
    Ok(PrivatePkcs1KeyDer::from(der.to_vec()).into())
}

pub(super) fn from_sec1(der: &[u8]) -> Result<PrivateKeyDer<'static>, StoreError> {
    check_sequence(der)?;
    Ok(PrivateSec1KeyDer::from(der.to_vec()).into())
}

/// Opens an `EncryptedPrivateKeyInfo`.
pub(super) fn decrypt(der: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, StoreError> {
    let mut outer = Der(der).sequence().ok_or(MALFORMED)?;
    let mut algorithm = outer.sequence().ok_or(MALFORMED)?;
    match algorithm.expect(OBJECT_IDENTIFIER) {
        Some(PBE_SHA1_3DES) => {
            let data = outer.expect(OCTET_STRING).ok_or(MALFORMED)?;
            let plain = decrypt_3des(algorithm, data, password)?;
            from_pkcs8(&plain).map_err(|_| StoreError::WrongKeyPassword)
        }
        Some(PBES2) => {
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| unsupported())?;
            if !is_affordable(&encrypted.encryption_algorithm) {
                return Err(MALFORMED);
            }
            // Its error does not say whether the password or the algorithm is to blame; the padding almost always shows
            // a wrong password.
            let plain = encrypted
                .decrypt(password)
                .map_err(|_| StoreError::WrongKeyPassword)?;
            from_pkcs8(plain.as_bytes()).map_err(|_| StoreError::WrongKeyPassword)
        }
        _ => Err(unsupported()),
    }
}

/// Whether deriving the key ends in some seconds, and within some memory. The library believes what the file says.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    match scheme {
        EncryptionScheme::Pbes2(parameters) => match &parameters.kdf {
            Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= ITERATIONS_MAX,
            Kdf::Scrypt(scrypt) => {
                let bytes = scrypt
                    .cost_parameter
                    .checked_mul(128 * u64::from(scrypt.block_size));
                // A cost of 0 would make it panic.
                scrypt.cost_parameter.is_power_of_two()
                    && bytes.is_some_and(|bytes| bytes <= SCRYPT_BYTES_MAX)
                    && scrypt.parallelization <= SCRYPT_PARALLEL_MAX
            }
            _ => false,
        },
        _ => false,
    }
}

const MALFORMED: StoreError = StoreError::Malformed {
    detail: "a key in it is no PKCS#8",
};

fn unsupported() -> StoreError {
    StoreError::Unsupported {
        detail: "the key is encrypted in a way that is not supported here; encrypt it anew: openssl pkcs8 -topk8 -in OLD \
                 -out NEW"
            .to_owned(),
    }
}

fn check_sequence(der: &[u8]) -> Result<(), StoreError> {
    match Der(der).sequence() {
        Some(inner) if !inner.is_empty() => Ok(()),
        _ => Err(MALFORMED),
    }
}

/// RFC 7292's password-based encryption with SHA-1 and three-key DES.
fn decrypt_3des(
    mut algorithm: Der<'_>,
    data: &[u8],
    password: &str,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut parameters = algorithm.sequence().ok_or(MALFORMED)?;
    let salt = parameters.expect(OCTET_STRING).ok_or(MALFORMED)?;
    let iterations = parameters.unsigned().ok_or(MALFORMED)?;
    if iterations == 0 || iterations > ITERATIONS_MAX || salt.is_empty() || salt.len() > 1_024 {
        return Err(MALFORMED);
    }
    let mut key = Zeroizing::new([0; 24]);
    derive(1, password, salt, iterations, &mut *key);
    let mut iv = [0; 8];
    derive(2, password, salt, iterations, &mut iv);
    let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&*key, &iv).map_err(|_| MALFORMED)?;
    let mut plain = Zeroizing::new(data.to_vec());
    let length = cipher
        .decrypt_padded::<Pkcs7>(&mut plain)
        .map_err(|_| StoreError::WrongKeyPassword)?
        .len();
    plain.truncate(length);
    Ok(plain)
}

/// RFC 7292, appendix B.2, with SHA-1: `purpose` 1 gives a key, 2 an initialisation vector.
fn derive(purpose: u8, password: &str, salt: &[u8], iterations: u32, output: &mut [u8]) {
    const BLOCK: usize = 64;
    // Two zero bytes end the password.
    let password: Zeroizing<Vec<u8>> = Zeroizing::new(
        password
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_be_bytes)
            .collect(),
    );
    let repeated = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let mut input = Zeroizing::new([repeated(salt), repeated(&password)].concat());
    for part in output.chunks_mut(20) {
        let mut hash: [u8; 20] = Sha1::new()
            .chain_update([purpose; BLOCK])
            .chain_update(&*input)
            .finalize()
            .into();
        for _ in 1..iterations {
            hash = Sha1::digest(hash).into();
        }
        part.copy_from_slice(&hash[..part.len()]);
        let addend: Vec<u8> = hash.iter().copied().cycle().take(BLOCK).collect();
        for block in input.chunks_mut(BLOCK) {
            add_with_one(block, &addend);
        }
    }
}

/// `block` becomes `block + addend + 1`, big end first, without what runs over.
fn add_with_one(block: &mut [u8], addend: &[u8]) {
    let mut carry = 1_u16;
    for (byte, addend) in block.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*addend) + carry;
        // The low byte; the high one goes on.
        *byte = sum.to_be_bytes()[1];
        carry = sum >> 8;
    }
}
