//! Whether a broker's certificate is believed.

use super::explain;
use super::x509::Certificate;
use crate::TlsFailure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// rustls's own rules, but for two things that Java's clients have and clusters rely on: a certificate of the truststore
/// is believed as it is, and the name may go unchecked. Nothing is believed because an error was overlooked: each check
/// is made, or is not.
#[derive(Debug)]
pub(super) struct Verifier {
    authorities: RootCertStore,
    /// All that is trusted, byte by byte.
    trusted: Vec<CertificateDer<'static>>,
    verifies_names: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        verifies_names: bool,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Verifier {
        let mut authorities = RootCertStore::empty();
        // One that cannot be an authority may still be a broker's own certificate.
        authorities.add_parsable_certificates(trusted.iter().cloned());
        Verifier {
            authorities,
            trusted,
            verifies_names,
            algorithms,
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        if self.trusted.iter().any(|trusted| trusted == leaf) {
            check_validity(leaf, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.authorities,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if self.verifies_names {
            verify_server_name(&parsed, name)?;
        }
        Ok(())
    }

    /// The error with its reason in our words, which the connector finds again.
    fn explained(&self, error: Error, leaf: &CertificateDer<'_>) -> Error {
        failed(explain::certificate(&error, leaf, self.trusted.len()))
    }
}

/// What building a chain would check of a certificate that needs none.
fn check_validity(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate = Certificate::parse(leaf).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > certificate.not_after {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

fn failed(failure: TlsFailure) -> Error {
    CertificateError::Other(OtherError(Arc::new(failure))).into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, server_name, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| self.explained(error, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
            .map_err(|error| self.explained(error, cert))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
            .map_err(|error| self.explained(error, cert))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
