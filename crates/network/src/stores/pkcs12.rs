//! PKCS#12, by the crate `p12-keystore`: keytool's stores and OpenSSL's, with ciphers old and new.

use super::key::from_pkcs8;
use super::{Identity, Store, StoreError};
use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls_pki_types::CertificateDer;

/// Reads a store. Java trusts only certificates that carry its own mark, and the leaf of each key; a store without keys
/// that OpenSSL made has no marks, and all its certificates are taken here.
pub(super) fn read(
    bytes: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Store, StoreError> {
    let Some(password) = password else {
        return Err(StoreError::MissingPassword);
    };
    if key_password.is_some_and(|key_password| key_password != password) {
        return Err(StoreError::KeyPasswordDiffers);
    }
    let archive = Pkcs12Archive::from_pkcs12(bytes, password).map_err(|error| convert(&error))?;
    let mut store = Store::default();
    for key in &archive.keys {
        let chain = chain(key, &archive.certs);
        let Some(leaf) = chain.first() else {
            return Err(StoreError::NoCertificate);
        };
        store.trusted.push(leaf.clone());
        let key = from_pkcs8(key.key.as_der())?;
        store.identities.push(Identity { chain, key });
    }
    let is_marked = |bag: &&CertificateBag| bag.trusted || archive.keys.is_empty();
    let marked = archive.certs.iter().filter(is_marked);
    store.trusted.extend(marked.map(certificate));
    Ok(store)
}

/// The certificate of a key, and those that signed it, as far as they are there.
fn chain(key: &PrivateKeyBag, certificates: &[CertificateBag]) -> Vec<CertificateDer<'static>> {
    let is_leaf = |bag: &&CertificateBag| match (&key.local_key_id, &bag.local_key_id) {
        (Some(key), Some(certificate)) => AsRef::<[u8]>::as_ref(key) == certificate.as_slice(),
        _ => false,
    };
    let mut chain: Vec<&CertificateBag> = certificates.iter().find(is_leaf).into_iter().collect();
    // Each certificate once, so that two which signed each other come to an end.
    while let Some(last) = chain
        .last()
        .filter(|last| last.cert.issuer() != last.cert.subject())
    {
        let is_issuer = |bag: &&CertificateBag| bag.cert.subject() == last.cert.issuer();
        match certificates.iter().find(is_issuer) {
            Some(issuer) if !chain.iter().any(|bag| bag.cert.as_der() == issuer.cert.as_der()) => {
                chain.push(issuer);
            }
            _ => break,
        }
    }
    chain.into_iter().map(certificate).collect()
}

fn certificate(bag: &CertificateBag) -> CertificateDer<'static> {
    CertificateDer::from(bag.cert.as_der().to_vec())
}

fn convert(error: &Error) -> StoreError {
    match error {
        // A wrong password shows in the check over everything, or, without one, in the padding.
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => StoreError::WrongPassword,
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => StoreError::Unsupported {
            detail: "the store is encrypted in a way that is not supported here; write it anew: keytool -importkeystore \
                     -srckeystore OLD -destkeystore NEW -deststoretype PKCS12"
                .to_owned(),
        },
        _ => StoreError::Malformed {
            detail: "it is no PKCS12",
        },
    }
}
