//! The settings of TLS.

use super::verifier::Verifier;
use crate::stores::Identity;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Everything about TLS that connections share. Cheap to clone.
#[derive(Clone)]
pub struct TlsConfig {
    pub(super) client: Arc<ClientConfig>,
    /// Whether this client has a certificate.
    pub(super) has_identity: bool,
    /// Why there are no newer ones.
    pub(super) stale: Option<Arc<str>>,
}

impl TlsConfig {
    /// Settings that trust nobody yet.
    pub fn builder() -> TlsConfigBuilder {
        TlsConfigBuilder::default()
    }

    /// The same settings, with the reason why newer ones cannot be used: a failure with these tells it
    /// ([`TlsFailure::Stale`](crate::TlsFailure::Stale)).
    #[must_use]
    pub fn stale(mut self, reason: impl Into<Arc<str>>) -> TlsConfig {
        self.stale = Some(reason.into());
        self
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TlsConfig");
        shown.field("has_identity", &self.has_identity);
        if let Some(stale) = &self.stale {
            shown.field("stale", stale);
        }
        shown.finish_non_exhaustive()
    }
}

/// A version of TLS that is supported here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl FromStr for TlsVersion {
    type Err = TlsConfigError;

    /// By Java's name: `TLSv1.2` or `TLSv1.3`.
    fn from_str(name: &str) -> Result<TlsVersion, TlsConfigError> {
        match name {
            "TLSv1.2" => Ok(TlsVersion::Tls12),
            "TLSv1.3" => Ok(TlsVersion::Tls13),
            _ => Err(TlsConfigError::UnknownVersion {
                name: name.to_owned(),
            }),
        }
    }
}

/// Collects settings for a [`TlsConfig`].
#[derive(Clone, Debug, Default)]
#[must_use = "build() makes the configuration"]
pub struct TlsConfigBuilder {
    trusted: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    ignores_names: bool,
    versions: Option<Vec<TlsVersion>>,
    cipher_suites: Vec<String>,
    provider: Option<Arc<CryptoProvider>>,
}

impl TlsConfigBuilder {
    /// Trusts these certificates, too.
    pub fn trust(
        mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> TlsConfigBuilder {
        self.trusted.extend(certificates);
        self
    }

    /// Trusts what the operating system trusts, too.
    ///
    /// # Errors
    ///
    /// There is nothing to read.
    #[cfg(feature = "native-roots")]
    pub fn trust_platform(self) -> Result<TlsConfigBuilder, TlsConfigError> {
        let found = rustls_native_certs::load_native_certs();
        match found.errors.first() {
            Some(error) if found.certs.is_empty() => Err(TlsConfigError::PlatformRoots {
                detail: error.to_string(),
            }),
            _ => Ok(self.trust(found.certs)),
        }
    }

    /// The key and the certificate that this client shows to brokers that want one (mTLS).
    pub fn identity(mut self, identity: Identity) -> TlsConfigBuilder {
        self.identity = Some(identity);
        self
    }

    /// Whether a broker's certificate must name the host that was connected to. It does by default, and should.
    pub fn verify_names(mut self, verify: bool) -> TlsConfigBuilder {
        self.ignores_names = !verify;
        self
    }

    /// The versions that may be used, instead of all.
    pub fn versions(mut self, versions: impl IntoIterator<Item = TlsVersion>) -> TlsConfigBuilder {
        self.versions = Some(versions.into_iter().collect());
        self
    }

    /// The cipher suites that may be used, by Java's names, instead of all; none is as if this was not called. Names of
    /// suites that are not supported here are passed over, as long as one is left.
    pub fn cipher_suites<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> TlsConfigBuilder {
        self.cipher_suites = names.into_iter().map(Into::into).collect();
        self
    }

    /// Where cryptography comes from, instead of what is compiled in.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> TlsConfigBuilder {
        self.provider = Some(provider);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// What cannot work.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        let mut provider = match self.provider {
            Some(provider) => CryptoProvider::clone(&provider),
            None => compiled_in().ok_or(TlsConfigError::NoProvider)?,
        };
        if !self.cipher_suites.is_empty() {
            select(&mut provider.cipher_suites, &self.cipher_suites)?;
        }
        let versions = supported_versions(self.versions.as_deref());
        if self.trusted.is_empty() {
            return Err(TlsConfigError::NobodyTrusted);
        }
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier::new(self.trusted, !self.ignores_names, algorithms);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .map_err(|_| TlsConfigError::NothingInCommon)?
            // Not as dangerous as the name: `Verifier` is stricter than nothing, and laxer in two documented points.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let has_identity = self.identity.is_some();
        let mut client = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain, identity.key)
                .map_err(|error| TlsConfigError::Identity {
                    detail: error.to_string(),
                })?,
        };
        // One session for each broker; clusters have more brokers than the default of 256 keeps only rarely.
        client.resumption = Resumption::in_memory_sessions(256);
        Ok(TlsConfig {
            client: Arc::new(client),
            has_identity,
            stale: None,
        })
    }
}

/// The provider that was compiled in; with both, the one that was asked for by name; without one, what the program has
/// made the default of its process.
pub(super) fn compiled_in() -> Option<CryptoProvider> {
    #[cfg(feature = "tls-aws-lc-rs")]
    return Some(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc-rs")))]
    return Some(rustls::crypto::ring::default_provider());
    #[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc-rs")))]
    return CryptoProvider::get_default().map(|provider| CryptoProvider::clone(provider));
}

fn supported_versions(chosen: Option<&[TlsVersion]>) -> Vec<&'static SupportedProtocolVersion> {
    let all = [
        (TlsVersion::Tls13, &rustls::version::TLS13),
        (TlsVersion::Tls12, &rustls::version::TLS12),
    ];
    let is_chosen = |version| chosen.is_none_or(|chosen| chosen.contains(&version));
    all.into_iter()
        .filter(|(version, _)| is_chosen(*version))
        .map(|(_, supported)| supported)
        .collect()
}

/// Keeps the named suites, in the order in which they are named.
fn select(suites: &mut Vec<SupportedCipherSuite>, names: &[String]) -> Result<(), TlsConfigError> {
    let find = |name: &String| suites.iter().find(|suite| java_name(suite) == *name).copied();
    let selected: Vec<_> = names.iter().filter_map(find).collect();
    if selected.is_empty() {
        return Err(TlsConfigError::NoCipherSuite {
            supported: suites.iter().map(java_name).collect(),
        });
    }
    *suites = selected;
    Ok(())
}

/// rustls writes `TLS13_` where everybody else has `TLS_`.
fn java_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

/// Why settings of TLS cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// No cryptography is compiled in, and none was given.
    NoProvider,
    /// There is no certificate to trust.
    NobodyTrusted,
    /// The certificates of the operating system cannot be read.
    PlatformRoots {
        /// Why.
        detail: String,
    },
    /// No such version is supported here.
    UnknownVersion {
        /// What was asked for.
        name: String,
    },
    /// None of the suites is supported here.
    NoCipherSuite {
        /// Those that are.
        supported: Vec<String>,
    },
    /// The versions that are left have no cipher suite that is left.
    NothingInCommon,
    /// The client's key or certificate cannot be used.
    Identity {
        /// Why.
        detail: String,
    },
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsConfigError::NoProvider => f.write_str(
                "no cryptography for TLS is compiled in; it takes the feature tls-ring (in the crate ottla: tls) or \
                 tls-aws-lc-rs, or a provider that the program installs as rustls's default",
            ),
            TlsConfigError::NobodyTrusted => f.write_str("the truststore holds no certificate"),
            TlsConfigError::PlatformRoots { detail } => {
                write!(f, "the certificates that the operating system trusts cannot be read: {detail}")
            }
            TlsConfigError::UnknownVersion { name } => {
                write!(f, "{name:?} is not supported here; expected TLSv1.2 or TLSv1.3")
            }
            TlsConfigError::NoCipherSuite { supported } => {
                write!(f, "none of these suites is supported here; there are {}", supported.join(", "))
            }
            TlsConfigError::NothingInCommon => {
                f.write_str("the enabled versions of TLS and the cipher suites do not fit together: nothing is left")
            }
            TlsConfigError::Identity { detail } => {
                write!(f, "the client's key and certificate cannot be used: {detail}")
            }
        }
    }
}

impl std::error::Error for TlsConfigError {}

#[cfg(all(test, any(feature = "tls-ring", feature = "tls-aws-lc-rs")))]
mod tests {
    use super::*;

    fn builder() -> TlsConfigBuilder {
        // Nothing is connected to: any bytes will do for a certificate.
        TlsConfig::builder().trust([CertificateDer::from(vec![0x30, 0])])
    }

    #[test]
    fn suites_go_by_javas_names() {
        let provider = compiled_in().unwrap();
        let names: Vec<_> = provider.cipher_suites.iter().map(java_name).collect();
        for name in [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
    }

    #[test]
    fn what_cannot_work_says_so() {
        let check = |builder: TlsConfigBuilder, part: &str| {
            let error = builder.build().expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        };
        check(TlsConfig::builder(), "no certificate");
        check(
            builder().cipher_suites(["TLS_RSA_WITH_RC4_128_MD5"]),
            "there are TLS_AES_256",
        );
        check(builder().versions([]), "nothing is left");
        check(
            builder()
                .versions([TlsVersion::Tls13])
                .cipher_suites(["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]),
            "nothing is left",
        );
        assert!("TLSv1.1".parse::<TlsVersion>().is_err());
        let some = ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_AES_128_GCM_SHA256"];
        assert!(builder().cipher_suites(some).build().is_ok());
    }
}
