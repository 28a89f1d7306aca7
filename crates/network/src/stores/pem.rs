//! PEM, as Kafka reads it (KIP-651).

use super::key::{decrypt, from_pkcs1, from_pkcs8, from_sec1};
use super::{Identity, Store, StoreError, StoreForm};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// One text with any number of certificates and at most one key: with a key it is a keystore, without a truststore.
pub(super) fn read(bytes: &[u8], key_password: Option<&str>) -> Result<Store, StoreError> {
    if bytes.first_chunk::<4>() == Some(b"\xfe\xed\xfe\xed") || bytes.first() == Some(&0x30) {
        return Err(StoreError::OtherForm {
            expected: StoreForm::Pem,
            looks_like: "JKS or PKCS12: set the type of the store",
        });
    }
    let certificates = certificates(bytes)?;
    match key(bytes, key_password)? {
        None => Ok(Store {
            trusted: certificates,
            identities: Vec::new(),
        }),
        Some(_) if certificates.is_empty() => Err(StoreError::NoCertificate),
        Some(key) => Ok(Store {
            trusted: Vec::new(),
            identities: vec![Identity {
                chain: certificates,
                key,
            }],
        }),
    }
}

/// All certificates in the text, in their order.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let mut found = Vec::new();
    for section in sections(bytes)? {
        if let (SectionKind::Certificate, der) = section {
            found.push(CertificateDer::from(der.to_vec()));
        }
    }
    Ok(found)
}

/// The one key in the text.
pub(super) fn key(
    bytes: &[u8],
    password: Option<&str>,
) -> Result<Option<PrivateKeyDer<'static>>, StoreError> {
    let mut found = None;
    for (kind, der) in sections(bytes)? {
        let key = match kind {
            SectionKind::PrivateKey => from_pkcs8(&der)?,
            SectionKind::RsaPrivateKey => from_pkcs1(&der)?,
            SectionKind::EcPrivateKey => from_sec1(&der)?,
            SectionKind::Certificate => continue,
            // `sections` gives only one other kind.
            _ => decrypt(&der, password.ok_or(StoreError::MissingKeyPassword)?)?,
        };
        if found.replace(key).is_some() {
            return Err(StoreError::SeveralKeys);
        }
    }
    Ok(found)
}

/// What a section is and its bytes, which may be a key's.
type Section = (SectionKind, Zeroizing<Vec<u8>>);

/// Certificates and keys in the text. Encrypted keys come as the kind of a CRL, which is of no use here and which the
/// parser gives no name of its own.
fn sections(bytes: &[u8]) -> Result<Vec<Section>, StoreError> {
    const BEGIN: &str = "-----BEGIN ";
    let mut text = std::str::from_utf8(bytes).map_err(|_| StoreError::OtherForm {
        expected: StoreForm::Pem,
        looks_like: "no text",
    })?;
    let mut found = Vec::new();
    while let Some(start) = text.find(BEGIN) {
        let section = &text[start + BEGIN.len()..];
        let (label, body) = section.split_once("-----").ok_or(CUT_OFF)?;
        let end = format!("-----END {label}-----");
        let length = body.find(&end).ok_or(CUT_OFF)?;
        text = &body[length + end.len()..];
        let body = &body[..length];
        let kind = match label {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => SectionKind::Certificate,
            "PRIVATE KEY" => SectionKind::PrivateKey,
            "RSA PRIVATE KEY" => SectionKind::RsaPrivateKey,
            "EC PRIVATE KEY" => SectionKind::EcPrivateKey,
            "ENCRYPTED PRIVATE KEY" => SectionKind::Crl,
            _ => continue,
        };
        if body.contains("Proc-Type:") {
            return Err(StoreError::Unsupported {
                detail: "its key is encrypted in OpenSSL's own old way (Proc-Type); convert it: openssl pkcs8 -topk8 -in \
                         OLD -out NEW"
                    .to_owned(),
            });
        }
        found.push((kind, decode(body)?));
    }
    Ok(found)
}

/// The bytes of a section. Kafka takes any white space for the end of a line: a value in a `.properties` file may have
/// become one line.
fn decode(body: &str) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    const LINE: usize = 64;
    let letters: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let mut whole = Zeroizing::new(String::with_capacity(letters.len() + letters.len() / LINE + 64));
    whole.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in letters.as_bytes().chunks(LINE) {
        // What is not ASCII is refused by the parser.
        whole.push_str(std::str::from_utf8(line).unwrap_or("?"));
        whole.push('\n');
    }
    whole.push_str("-----END PRIVATE KEY-----\n");
    match <(SectionKind, Vec<u8>)>::from_pem_slice(whole.as_bytes()) {
        Ok((_, der)) => Ok(Zeroizing::new(der)),
        Err(_) => Err(StoreError::Malformed {
            detail: "what stands between BEGIN and END is not base64",
        }),
    }
}

const CUT_OFF: StoreError = StoreError::Malformed {
    detail: "a -----BEGIN …----- has no -----END …----- of the same name",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<usize, StoreError>) {
        let found = read(text.as_bytes(), None).map(|store| store.trusted.len());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn white_space_and_words_between_do_not_matter() {
        let one = "-----BEGIN CERTIFICATE-----\nAAEC\nAwQF\n-----END CERTIFICATE-----\n";
        check(one, Ok(1));
        check(&one.replace('\n', " "), Ok(1));
        check(&one.replace('\n', "\r\n"), Ok(1));
        check(&format!("Bag Attributes: a-b\n{one}subject=x\n{one}"), Ok(2));
        check("nothing", Ok(0));
        let whole = read(one.replace('\n', " ").as_bytes(), None).unwrap();
        assert_eq!(&*whole.trusted[0], [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_broken_says_how() {
        check("-----BEGIN CERTIFICATE-----\nAAEC\n", Err(CUT_OFF));
        check("-----BEGIN CERTIFICATE", Err(CUT_OFF));
        check(
            "-----BEGIN CERTIFICATE-----\nA?\n-----END CERTIFICATE-----",
            Err(StoreError::Malformed {
                detail: "what stands between BEGIN and END is not base64",
            }),
        );
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----";
        check(encrypted, Err(StoreError::MissingKeyPassword));
        let old =
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END RSA PRIVATE KEY-----";
        let error = read(old.as_bytes(), Some("x")).unwrap_err();
        assert!(error.to_string().contains("openssl pkcs8 -topk8"), "{error}");
        let error = read(b"\xfe\xed\xfe\xed\0", None).unwrap_err();
        assert!(error.to_string().contains("set the type"), "{error}");
    }
}
