//! What goes wrong with TLS. It needs no TLS library, so that the states can carry it.

use crate::LooksLike;
use std::fmt;

/// Why TLS with a broker could not be agreed upon. Trying again does not help: certificates, stores or settings have
/// to change, on one side or the other. (A connection that is merely closed during the handshake is no such failure.)
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The broker's certificate, or one above it, is not good any more.
    Expired {
        /// Since when.
        detail: String,
    },
    /// The broker's certificate, or one above it, is not good yet.
    NotYetValid {
        /// From when on.
        detail: String,
    },
    /// Nobody in the truststore has signed the broker's certificate.
    UnknownIssuer {
        /// How many certificates are trusted.
        trusted: usize,
    },
    /// The broker's certificate is for other names.
    WrongName {
        /// The name that was connected to.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The broker's certificate has no subject alternative name, only a common name.
    NoSubjectAlternativeName {
        /// The name that was connected to.
        expected: String,
    },
    /// The broker identifies itself by a certificate that is an authority's (CA:TRUE).
    AuthorityAsBroker,
    /// The broker's certificate is of X.509 version 1.
    VersionOne,
    /// The key or the signature of a certificate is of a kind that is not supported here.
    UnsupportedKey {
        /// Which.
        detail: String,
    },
    /// The broker's certificate is wrong in another way.
    InvalidCertificate {
        /// In which.
        detail: String,
    },
    /// Both sides have no version or no cipher suite in common.
    Incompatible {
        /// Which of them, and how it showed.
        detail: String,
    },
    /// The broker refused this client's certificate, or wants one.
    ClientCertificate {
        /// The broker's alert.
        alert: String,
        /// Whether this client has a certificate.
        is_configured: bool,
    },
    /// The broker ended the handshake with this alert.
    Alert {
        /// Its name.
        alert: String,
    },
    /// The answer is no TLS.
    NotTls {
        /// What it looks like.
        looks_like: LooksLike,
    },
    /// A Kafka broker listens there, without TLS.
    PlaintextBroker,
    /// The files with certificates and keys changed, and cannot be used any more.
    Stores {
        /// Which file, and why.
        detail: String,
    },
    /// The broker broke the rules of TLS.
    Protocol {
        /// Which.
        detail: String,
    },
    /// It failed, and with settings that are not the newest: files have changed, and cannot be used as they are now.
    Stale {
        /// What failed.
        failure: Box<TlsFailure>,
        /// Which file cannot be used, and why.
        detail: String,
    },
}

impl TlsFailure {
    /// Whether what listens there is no Kafka broker with TLS at all.
    pub(crate) fn is_wrong_peer(&self) -> bool {
        match self {
            TlsFailure::NotTls { .. } | TlsFailure::PlaintextBroker => true,
            TlsFailure::Stale { failure, .. } => failure.is_wrong_peer(),
            _ => false,
        }
    }

    /// What to look at or to change.
    pub fn hint(&self) -> &'static str {
        match self {
            TlsFailure::Expired { .. } => {
                "renew the broker's certificate; if it is still good, this machine's clock is wrong"
            }
            TlsFailure::NotYetValid { .. } => "check the clocks of both machines",
            TlsFailure::UnknownIssuer { .. } => {
                "put the authority that signed it, or the certificate itself, into ssl.truststore.location or \
                 ssl.truststore.certificates"
            }
            TlsFailure::WrongName { .. } => {
                "connect by a name of the certificate (bootstrap.servers, advertised.listeners) or issue one with this \
                 name; an empty ssl.endpoint.identification.algorithm skips the name, and only that"
            }
            TlsFailure::NoSubjectAlternativeName { .. } => {
                "issue the certificate with the broker's name as subject alternative name; an empty \
                 ssl.endpoint.identification.algorithm skips the name, and only that"
            }
            TlsFailure::AuthorityAsBroker => {
                "issue a certificate of its own for the broker (CA:FALSE), or put this very certificate into the \
                 truststore"
            }
            TlsFailure::VersionOne => {
                "issue the broker's certificate as X.509 version 3: keytool does, and openssl x509 with -extfile"
            }
            TlsFailure::UnsupportedKey { .. } => {
                "issue certificates with RSA keys of at least 2048 bits, or with ECDSA on P-256 or P-384 (P-521 takes \
                 the feature tls-aws-lc-rs)"
            }
            TlsFailure::InvalidCertificate { .. } => "issue the broker's certificate anew",
            TlsFailure::Incompatible { .. } => {
                "compare ssl.enabled.protocols, ssl.protocol and ssl.cipher.suites with the broker's; a key on P-521 takes the \
                 feature tls-aws-lc-rs; and with TLS 1.2 a broker that wants a client certificate (ssl.keystore.location) \
                 answers like this too"
            }
            TlsFailure::ClientCertificate {
                is_configured: false, ..
            } => {
                "the broker wants a client certificate: set ssl.keystore.location, or ssl.keystore.key and \
                 ssl.keystore.certificate.chain"
            }
            TlsFailure::ClientCertificate { .. } => {
                "the broker does not accept the certificate in ssl.keystore: its truststore must have the authority \
                 that signed it, and it must not be expired"
            }
            TlsFailure::Alert { .. } => "the broker's log says more",
            TlsFailure::NotTls { looks_like } => match looks_like {
                LooksLike::Http => "a HTTP server listens there: check the port",
                LooksLike::Ssh => "a SSH server listens there: check the port",
                _ => "check the port, and whether security.protocol fits this listener",
            },
            TlsFailure::PlaintextBroker => {
                "set security.protocol to PLAINTEXT or SASL_PLAINTEXT, or use the port of a TLS listener"
            }
            TlsFailure::Stores { .. } => "repair the file; new connections read it again",
            TlsFailure::Protocol { .. } => "check what listens on this port; the broker's log may say more",
            TlsFailure::Stale { .. } => "repair the file; new connections read it again",
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFailure::Expired { detail } => write!(f, "the broker's certificate has expired{detail}"),
            TlsFailure::NotYetValid { detail } => {
                write!(f, "the broker's certificate is not valid yet{detail}")
            }
            TlsFailure::UnknownIssuer { trusted } => write!(
                f,
                "the broker's certificate is signed by nobody whom this client trusts ({trusted} certificates)"
            ),
            TlsFailure::WrongName { expected, presented } => {
                write!(f, "the broker's certificate is not for {expected:?} but for ")?;
                write_names(f, presented)
            }
            TlsFailure::NoSubjectAlternativeName { expected } => write!(
                f,
                "the broker's certificate names {expected:?} nowhere: it has no subject alternative name, and a common \
                 name does not count"
            ),
            TlsFailure::AuthorityAsBroker => f.write_str(
                "the broker's certificate is an authority's (CA:TRUE), which must not identify a broker",
            ),
            TlsFailure::VersionOne => f.write_str("the broker's certificate is of X.509 version 1"),
            TlsFailure::UnsupportedKey { detail } => {
                write!(
                    f,
                    "the broker's certificate has a key or signature that is not supported: {detail}"
                )
            }
            TlsFailure::InvalidCertificate { detail } => {
                write!(f, "the broker's certificate is invalid: {detail}")
            }
            TlsFailure::Incompatible { detail } => write!(f, "no TLS in common with the broker: {detail}"),
            TlsFailure::ClientCertificate { alert, is_configured } => {
                let certificate = if *is_configured {
                    "this client's certificate"
                } else {
                    "a client without certificate"
                };
                write!(f, "the broker refused {certificate} (alert {alert})")
            }
            TlsFailure::Alert { alert } => write!(f, "the broker ended the TLS handshake with alert {alert}"),
            TlsFailure::NotTls { looks_like } => f.write_str(match looks_like {
                LooksLike::Http => "the answer is HTTP, not TLS",
                LooksLike::Ssh => "the answer is SSH, not TLS",
                LooksLike::Text => "the answer is text, not TLS",
                _ => "the answer is no TLS",
            }),
            TlsFailure::PlaintextBroker => f.write_str("this listener speaks Kafka without TLS"),
            TlsFailure::Stores { detail } => f.write_str(detail),
            TlsFailure::Protocol { detail } => write!(f, "TLS failed: {detail}"),
            TlsFailure::Stale { failure, detail } => write!(
                f,
                "{failure}; and this was with what was read before a file changed, which cannot be used now: {detail}"
            ),
        }
    }
}

/// Some of the names: a certificate may have hundreds, and its issuer chose them, so they are escaped.
fn write_names(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    const SHOWN_MAX: usize = 8;
    for (index, name) in names.iter().take(SHOWN_MAX).enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(f, "{separator}{name:?}")?;
    }
    match names.len().checked_sub(SHOWN_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, " and {more} more"),
    }
}

impl std::error::Error for TlsFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_a_certificate_are_escaped_and_cut() {
        let presented = std::iter::once("a\nb".to_owned()).chain((1..20).map(|n| n.to_string()));
        let failure = TlsFailure::WrongName {
            expected: "kafka".to_owned(),
            presented: presented.collect(),
        };
        let text = failure.to_string();
        assert!(text.contains(r#"not for "kafka" but for "a\nb", "1""#), "{text}");
        assert!(text.ends_with(r#""7" and 12 more"#), "{text}");
    }
}
