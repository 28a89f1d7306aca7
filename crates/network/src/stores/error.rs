//! What can be wrong with a store.

use super::StoreForm;
use std::fmt;

/// Why a store cannot be used: what is wrong, and what to change. It never holds a part of a key or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// No such form.
    UnknownForm {
        /// What was asked for.
        name: String,
    },
    /// This form is left out of the program.
    NotCompiledIn {
        /// The form.
        form: &'static str,
        /// What to build with.
        feature: &'static str,
    },
    /// The bytes are of another form.
    OtherForm {
        /// The form that was expected.
        expected: StoreForm,
        /// What the bytes look like.
        looks_like: &'static str,
    },
    /// Java's form with stronger encryption of old, which is not read here.
    Jceks,
    /// The store's password does not open it, or its bytes were changed.
    WrongPassword,
    /// The key's password does not open the key.
    WrongKeyPassword,
    /// It takes a password, and none is given.
    MissingPassword,
    /// A key takes a password, and none is given.
    MissingKeyPassword,
    /// PKCS#12 has one password for everything.
    KeyPasswordDiffers,
    /// It holds neither a certificate nor a key.
    Empty,
    /// There is a certificate, but no key.
    NoKey,
    /// There is a key, but no certificate.
    NoCertificate,
    /// There are several keys, and nothing says which one is meant.
    SeveralKeys,
    /// Something in it is of a kind that is not supported.
    Unsupported {
        /// What.
        detail: String,
    },
    /// The bytes make no sense.
    Malformed {
        /// Where.
        detail: &'static str,
    },
}

impl StoreError {
    /// Bytes that are of no form, or of another one than `expected`.
    pub(super) fn other_form(expected: StoreForm, bytes: &[u8]) -> StoreError {
        let looks_like = match bytes {
            [] => "an empty file",
            _ if bytes.windows(11).any(|window| window == b"-----BEGIN ") => {
                "PEM: set the type of the store to PEM"
            }
            _ => "no store",
        };
        StoreError::OtherForm { expected, looks_like }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::UnknownForm { name } => {
                write!(f, "there is no store of type {name:?} here; expected JKS, PKCS12 or PEM")
            }
            StoreError::NotCompiledIn { form, feature } => {
                write!(f, "{form} is not compiled in; it takes the feature {feature}")
            }
            StoreError::OtherForm { expected, looks_like } => {
                let expected = match expected {
                    StoreForm::Pem => "PEM",
                    _ => "JKS or PKCS12",
                };
                write!(f, "expected {expected}, but it looks like {looks_like}")
            }
            StoreError::Jceks => f.write_str(
                "it is JCEKS, which is not read here; convert it: keytool -importkeystore -srckeystore FILE \
                 -srcstoretype JCEKS -destkeystore NEW -deststoretype PKCS12",
            ),
            StoreError::WrongPassword => {
                f.write_str("the password of the store is wrong, or the file was damaged")
            }
            StoreError::WrongKeyPassword => f.write_str("ssl.key.password does not open the key"),
            StoreError::MissingPassword => f.write_str("the store takes a password, and none is set"),
            StoreError::MissingKeyPassword => {
                f.write_str("the key is encrypted, and ssl.key.password is not set")
            }
            StoreError::KeyPasswordDiffers => f.write_str(
                "ssl.key.password differs from the password of the store, but PKCS12 has one password for both: leave \
                 it out",
            ),
            StoreError::Empty => f.write_str(
                "it holds neither a certificate nor a key (in PEM: between -----BEGIN …----- and -----END …-----)",
            ),
            StoreError::NoKey => f.write_str("it holds no private key"),
            StoreError::NoCertificate => f.write_str("it holds no certificate for the key"),
            StoreError::SeveralKeys => f.write_str("it holds more than one private key"),
            StoreError::Unsupported { detail } => f.write_str(detail),
            StoreError::Malformed { detail } => write!(f, "it cannot be read: {detail}"),
        }
    }
}

impl std::error::Error for StoreError {}
