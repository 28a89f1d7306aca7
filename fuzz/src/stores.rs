//! Keystores and truststores: any bytes are read or refused, in memory that follows from them, and no error or `Debug`
//! shows a password or a key.
//!
//! Input: the form and the passwords (8 bits), then the store. A JKS gets the hash that its password asks for, so that
//! what is behind it is reached, and has to be the same as without a password. For PEM, bytes that are no text are put
//! between the marks of an encrypted key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla_network::stores::{Store, StoreError, StoreForm};
use sha1::{Digest as _, Sha1};

use crate::within;

/// Whatever shows it shows a password.
const PASSWORD: &str = "canary";
/// What makes its readers work for long: each round is a hash. A fuzzer has no time for that.
const ROUNDS_MAX: u64 = 2_048;
/// 1.3.6.1.4.1.11591.4.11: scrypt, which takes memory besides time.
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

/// One input.
pub fn run(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let password = (choice & 4 != 0).then_some(PASSWORD);
    let key_password = (choice & 8 != 0).then_some(PASSWORD);
    // What decodes PKCS#12 copies each layer several times.
    within(2 * 1024 * 1024 + 128 * bytes.len(), || match choice & 3 {
        0 => jks(bytes, key_password),
        1 if !is_hard(bytes) => drop(check(StoreForm::Pkcs12, bytes, password, key_password)),
        2 => match std::str::from_utf8(bytes) {
            Ok(_) => drop(check(StoreForm::Pem, bytes, password, key_password)),
            Err(_) if !is_hard(bytes) => encrypted_key(bytes),
            Err(_) => {}
        },
        _ => {}
    });
}

fn check(
    form: StoreForm,
    bytes: &[u8],
    password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Store, StoreError> {
    // The same text outside of a store costs nothing to show.
    let shows = |text: &str| {
        text.contains(PASSWORD)
            && !bytes
                .windows(PASSWORD.len())
                .any(|part| part == PASSWORD.as_bytes())
    };
    let read = Store::read(form, bytes, password, key_password);
    match &read {
        Ok(store) => {
            assert!(!store.trusted.is_empty() || !store.identities.is_empty());
            for identity in &store.identities {
                assert!(!identity.key.secret_der().is_empty());
                assert!(format!("{identity:?}").len() < 100, "{identity:?}");
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.is_empty() && !text.contains('\n') && text.len() < 400,
                "{text}"
            );
            assert!(!shows(&format!("{error:?} {text}")), "{text}");
        }
    }
    read
}

fn jks(bytes: &[u8], key_password: Option<&str>) {
    let _ = check(StoreForm::Jks, bytes, Some(PASSWORD), key_password);
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let hash = Sha1::new()
        .chain_update(&password)
        .chain_update(b"Mighty Aphrodite")
        .chain_update(bytes)
        .finalize();
    let whole = [bytes, &hash].concat();
    if !whole.starts_with(b"\xfe\xed\xfe\xed") {
        return;
    }
    let with = check(StoreForm::Jks, &whole, Some(PASSWORD), key_password);
    // Without the store's password its keys need their own.
    let without = check(StoreForm::Jks, &whole, None, Some(PASSWORD));
    match (with, without) {
        (Ok(with), Ok(without)) => {
            assert_eq!(with.trusted, without.trusted);
            assert_eq!(with.identities.len(), without.identities.len());
        }
        (Err(with), Err(without)) => assert_eq!(with, without),
        (with, without) => panic!("{with:?}, and without a password {without:?}"),
    }
}

/// An encrypted key by itself opens with its password, or not; without one it says so.
fn encrypted_key(der: &[u8]) {
    const KEY: &str = "ENCRYPTED PRIVATE KEY";
    let pem = format!(
        "-----BEGIN {KEY}-----\n{}\n-----END {KEY}-----\n",
        STANDARD.encode(der)
    );
    let certificate = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
    let text = format!("{pem}{certificate}");
    let missing = check(StoreForm::Pem, text.as_bytes(), None, None);
    assert_eq!(missing.err(), Some(StoreError::MissingKeyPassword));
    let _ = check(StoreForm::Pem, text.as_bytes(), None, Some(PASSWORD));
}

/// Whether there is a number of rounds in there that takes long.
fn is_hard(bytes: &[u8]) -> bool {
    let max = match bytes.windows(SCRYPT.len()).any(|part| part == SCRYPT) {
        true => 64,
        false => ROUNDS_MAX,
    };
    has_integer_above(max, bytes, 0)
}

/// Whether this DER has such a number, in what is nested, too.
fn has_integer_above(max: u64, mut der: &[u8], depth: usize) -> bool {
    while let [tag, length, rest @ ..] = der {
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at(usize::from(length & 0x7f).min(rest.len()));
                (
                    bytes
                        .iter()
                        .fold(0, |length, byte| length << 8 | usize::from(*byte)),
                    rest,
                )
            }
            _ => return false,
        };
        let (content, rest) = rest.split_at(length.min(rest.len()));
        der = rest;
        let is_above = match tag {
            // What is longer is no number of rounds.
            2 if content.len() <= 5 => {
                content
                    .iter()
                    .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
                    > max
            }
            _ if (*tag == 4 || tag & 0x20 != 0) && depth < 16 => has_integer_above(max, content, depth + 1),
            _ => false,
        };
        if is_above {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this the target could fuzz nothing but magic numbers, and nobody would see it.
    #[test]
    fn the_corpus_opens() {
        for (name, choice, bytes) in [
            ("jks", 0, &include_bytes!("../corpus/stores/jks")[..]),
            ("pkcs12", 13, include_bytes!("../corpus/stores/pkcs12")),
            ("pkcs12-old", 13, include_bytes!("../corpus/stores/pkcs12-old")),
            ("pem", 10, include_bytes!("../corpus/stores/pem")),
        ] {
            assert_eq!(bytes[0], choice, "{name}");
            let bytes = &bytes[1..];
            let form = [StoreForm::Jks, StoreForm::Pkcs12, StoreForm::Pem][usize::from(choice & 3)];
            assert!(form == StoreForm::Pem || !is_hard(bytes), "{name}");
            let store = match form {
                StoreForm::Jks => Store::read(form, &[bytes, &[0; 20]].concat(), None, Some(PASSWORD)),
                _ => Store::read(form, bytes, Some(PASSWORD), Some(PASSWORD)),
            };
            let store = store.expect(name);
            assert_eq!(store.identities.len(), 1, "{name}");
        }
    }
}
