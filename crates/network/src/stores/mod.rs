//! Keystores and truststores, as Kafka's clients have them: JKS, PKCS#12 and PEM, without I/O.
//!
//! Bytes and passwords go in, certificates and keys come out. Where Java accepts a file, so does this; what it cannot
//! read is refused with what to change. Keys and passwords show in no `Debug` and no error.
//!
//! ```
//! use ottla_network::stores::{StoreError, StoreForm, Store};
//!
//! let error = Store::read(StoreForm::Pem, b"no certificate", None, None).unwrap_err();
//! assert_eq!(error, StoreError::Empty);
//! ```

mod error;
mod jks;
mod key;
mod pem;
#[cfg(feature = "pkcs12")]
mod pkcs12;

pub use error::StoreError;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::str::FromStr;

/// The form of a store: Kafka's `ssl.keystore.type` and `ssl.truststore.type`.
///
/// As in Java (`keystore.type.compat`), the two binary forms stand for each other: which one a file has, it tells itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreForm {
    /// Java's own form.
    Jks,
    /// PKCS#12, by the feature `pkcs12`.
    Pkcs12,
    /// Certificates and keys as text (KIP-651).
    Pem,
}

impl FromStr for StoreForm {
    type Err = StoreError;

    fn from_str(name: &str) -> Result<StoreForm, StoreError> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("JKS") {
            Ok(StoreForm::Jks)
        } else if is("PKCS12") {
            Ok(StoreForm::Pkcs12)
        } else if is("PEM") {
            Ok(StoreForm::Pem)
        } else {
            Err(StoreError::UnknownForm {
                name: name.to_owned(),
            })
        }
    }
}

/// What a store holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Store {
    /// The certificates that it says to trust.
    pub trusted: Vec<CertificateDer<'static>>,
    /// The keys with their certificates.
    pub identities: Vec<Identity>,
}

/// A private key and its certificate, followed by those that signed it.
pub struct Identity {
    /// The leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate. Its memory is cleared when it is dropped.
    pub key: PrivateKeyDer<'static>,
}

impl Store {
    /// Reads a store. `password` opens it, `key_password` the keys in it where they have one of their own (JKS, and
    /// encrypted keys in PEM). Without a password JKS is not checked for integrity, as in Java, and gives no keys.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds nothing.
    pub fn read(
        form: StoreForm,
        bytes: &[u8],
        password: Option<&str>,
        key_password: Option<&str>,
    ) -> Result<Store, StoreError> {
        let store = match (form, bytes.first_chunk::<4>()) {
            (StoreForm::Pem, _) => pem::read(bytes, key_password)?,
            (_, Some(b"\xfe\xed\xfe\xed")) => jks::read(bytes, password, key_password)?,
            (_, Some(b"\xce\xce\xce\xce")) => return Err(StoreError::Jceks),
            // The SEQUENCE around everything.
            (_, Some([0x30, ..])) => read_pkcs12(bytes, password, key_password)?,
            _ => return Err(StoreError::other_form(form, bytes)),
        };
        if store.trusted.is_empty() && store.identities.is_empty() {
            return Err(StoreError::Empty);
        }
        Ok(store)
    }

    /// A key and its certificates from two texts (`ssl.keystore.key` and `ssl.keystore.certificate.chain`).
    ///
    /// # Errors
    ///
    /// One of them holds none, or cannot be read.
    pub fn from_pem_parts(
        key: &str,
        certificate_chain: &str,
        key_password: Option<&str>,
    ) -> Result<Identity, StoreError> {
        let chain = pem::certificates(certificate_chain.as_bytes())?;
        if chain.is_empty() {
            return Err(StoreError::NoCertificate);
        }
        let key = pem::key(key.as_bytes(), key_password)?.ok_or(StoreError::NoKey)?;
        Ok(Identity { chain, key })
    }
}

/// The one private key in a text.
#[cfg(feature = "tls")]
pub(crate) fn private_key(pem: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, StoreError> {
    pem::key(pem, password)?.ok_or(StoreError::NoKey)
}

#[cfg(feature = "pkcs12")]
fn read_pkcs12(
    bytes: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Store, StoreError> {
    pkcs12::read(bytes, password, key_password)
}

#[cfg(not(feature = "pkcs12"))]
fn read_pkcs12(_: &[u8], _: Option<&str>, _: Option<&str>) -> Result<Store, StoreError> {
    Err(StoreError::NotCompiledIn {
        form: "PKCS12",
        feature: "pkcs12",
    })
}

impl Clone for Identity {
    fn clone(&self) -> Identity {
        Identity {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}
