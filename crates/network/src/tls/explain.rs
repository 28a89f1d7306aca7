//! From errors of rustls to ours.

use super::config::TlsConfig;
use super::x509::{Certificate, Key, show_time};
use crate::frame::looks_like;
use crate::{LooksLike, TlsFailure};
use rustls::{AlertDescription, CertificateError, Error, OtherError};
use rustls_pki_types::CertificateDer;
use std::io;

/// The least RSA key that is believed: below it, signatures can be forged with money.
const RSA_BITS_MIN: usize = 2_048;

/// Why a certificate is not believed.
pub(super) fn certificate(error: &Error, leaf: &CertificateDer<'_>, trusted: usize) -> TlsFailure {
    let parsed = Certificate::parse(leaf);
    if let Some(certificate) = &parsed
        && certificate.version == 1
    {
        return TlsFailure::VersionOne;
    }
    let Error::InvalidCertificate(error) = error else {
        return TlsFailure::InvalidCertificate {
            detail: error.to_string(),
        };
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired {
            detail: parsed.map_or_else(String::new, |certificate| validity(&certificate)),
        },
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid {
                detail: parsed.map_or_else(String::new, |certificate| validity(&certificate)),
            }
        }
        CertificateError::UnknownIssuer => match parsed {
            Some(Certificate {
                is_authority: true, ..
            }) => TlsFailure::AuthorityAsBroker,
            _ => TlsFailure::UnknownIssuer { trusted },
        },
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str().into_owned();
            if presented.is_empty() {
                TlsFailure::NoSubjectAlternativeName { expected }
            } else {
                // As rustls writes them: `DnsName("localhost")`.
                let name = |text: &String| text.split('"').nth(1).unwrap_or(text).to_owned();
                let presented = presented.iter().map(name).collect();
                TlsFailure::WrongName { expected, presented }
            }
        }
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            signature(error, parsed.as_ref())
        }
        _ => match parsed {
            Some(Certificate {
                is_authority: true, ..
            }) => TlsFailure::AuthorityAsBroker,
            _ => TlsFailure::InvalidCertificate {
                detail: error.to_string(),
            },
        },
    }
}

/// From when to when the broker's own certificate is good; if another one of the chain is to blame, it shows by that.
fn validity(certificate: &Certificate) -> String {
    format!(
        " (its own is valid from {} to {})",
        show_time(certificate.not_before),
        show_time(certificate.not_after)
    )
}

/// A signature that cannot be checked: because the key is too weak or too strange, or because it is wrong.
fn signature(error: &CertificateError, certificate: Option<&Certificate>) -> TlsFailure {
    match certificate.map(|certificate| &certificate.key) {
        Some(key @ Key::Rsa { bits }) if *bits < RSA_BITS_MIN => TlsFailure::UnsupportedKey {
            detail: key.to_string(),
        },
        Some(key @ (Key::Curve(_) | Key::Other(_))) if *error != CertificateError::BadSignature => {
            TlsFailure::UnsupportedKey {
                detail: key.to_string(),
            }
        }
        _ if *error == CertificateError::BadSignature => TlsFailure::InvalidCertificate {
            detail: "a signature is wrong: the broker has not the key of its certificate, or one of them was changed"
                .to_owned(),
        },
        _ => TlsFailure::UnsupportedKey {
            detail: error.to_string(),
        },
    }
}

/// Why a handshake, or what follows it, failed; `None` if that says nothing about TLS. `received` is the start of what
/// the peer sent.
pub(super) fn failure(error: &io::Error, received: &[u8], config: &TlsConfig) -> Option<TlsFailure> {
    let failure = cause(error, received, config.has_identity)?;
    Some(match &config.stale {
        None => failure,
        Some(detail) => TlsFailure::Stale {
            failure: Box::new(failure),
            detail: detail.to_string(),
        },
    })
}

fn cause(error: &io::Error, received: &[u8], has_identity: bool) -> Option<TlsFailure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    if let Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) = error
        && let Some(failure) = reason.downcast_ref::<TlsFailure>()
    {
        return Some(failure.clone());
    }
    Some(match error {
        Error::AlertReceived(alert) => self::alert(*alert, has_identity),
        Error::PeerIncompatible(reason) => TlsFailure::Incompatible {
            detail: format!("{reason:?}"),
        },
        Error::InvalidMessage(_) if !is_tls(received) => TlsFailure::NotTls {
            looks_like: received
                .first_chunk()
                .map_or(LooksLike::Garbage, |start| looks_like(*start)),
        },
        _ => TlsFailure::Protocol {
            detail: error.to_string(),
        },
    })
}

/// Whether this is the start of a record of TLS.
fn is_tls(received: &[u8]) -> bool {
    matches!(received, [0x14..=0x17, 0x03, ..])
}

fn alert(alert: AlertDescription, has_identity: bool) -> TlsFailure {
    let name = format!("{alert:?}");
    match alert {
        AlertDescription::BadCertificate
        | AlertDescription::CertificateRequired
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::NoCertificate
        | AlertDescription::AccessDenied => TlsFailure::ClientCertificate {
            alert: name,
            is_configured: has_identity,
        },
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => TlsFailure::Incompatible {
            detail: format!("it answered with the alert {name}"),
        },
        _ => TlsFailure::Alert { alert: name },
    }
}
