//! TLS from the configuration: reads the stores, and reads them again when a file changed.

use crate::Error;
use crate::config::ConfigError;
use crate::config::tls::{Identity, StoreFile, TlsSettings, Trust};
use ottla_network::TlsFailure;
use ottla_network::stores::{self, Store, StoreError};
use ottla_network::tls::{TlsConfig, TlsConfigError, TlsSource};
use ottla_network::transport::BoxFuture;
use parking_lot::Mutex;
use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

/// The settings of TLS for each new connection.
pub(crate) struct TlsFiles {
    settings: TlsSettings,
    state: Mutex<State>,
}

struct State {
    config: TlsConfig,
    stamps: Vec<Stamp>,
    /// Why the files as they are now are not used.
    failure: Option<ConfigError>,
}

/// By what a changed file is known; `None` where there is no file.
type Stamp = Option<(SystemTime, u64)>;

impl TlsFiles {
    /// Reads all files.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or what is in it cannot be used.
    pub(crate) fn read(settings: TlsSettings) -> Result<TlsFiles, Error> {
        // Before the files, so that what changes meanwhile is read again.
        let stamps = stamps(&settings);
        let config = load(&settings)?;
        Ok(TlsFiles {
            settings,
            state: Mutex::new(State {
                config,
                stamps,
                failure: None,
            }),
        })
    }

    /// The settings as the files are now. Files that cannot be used, perhaps because they are being written, are left
    /// alone until the next connection; what was read before goes on, and if it does not do, the failure tells both.
    fn current(&self) -> TlsConfig {
        let stamps = stamps(&self.settings);
        let mut state = self.state.lock();
        if stamps == state.stamps {
            state.failure = None;
        } else {
            match load(&self.settings) {
                Ok(config) => {
                    *state = State {
                        config,
                        stamps,
                        failure: None,
                    };
                }
                Err(error) => state.failure = Some(error),
            }
        }
        match &state.failure {
            None => state.config.clone(),
            Some(error) => state.config.clone().stale(error.to_string()),
        }
    }

    /// Why the files were not used as they were at the last connection.
    pub(crate) fn failure(&self) -> Option<ConfigError> {
        self.state.lock().failure.clone()
    }
}

/// [`TlsFiles`], shared between connections.
#[derive(Debug)]
pub(crate) struct SharedTlsFiles(pub(crate) Arc<TlsFiles>);

impl TlsSource for SharedTlsFiles {
    fn config(&self) -> BoxFuture<Result<TlsConfig, TlsFailure>> {
        let files = Arc::clone(&self.0);
        Box::pin(async move {
            // A file system may be slow, and all connections share one thread.
            let current = tokio::task::spawn_blocking(move || files.current());
            current.await.map_err(|_| TlsFailure::Stores {
                detail: "the runtime stops, so the certificates were not read".to_owned(),
            })
        })
    }
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn files(settings: &TlsSettings) -> impl Iterator<Item = &StoreFile> {
    let trust = match &settings.trust {
        Some(Trust::File(file)) => Some(file),
        _ => None,
    };
    let identity = match &settings.identity {
        Some(Identity::File { file, .. }) => Some(file),
        _ => None,
    };
    trust.into_iter().chain(identity)
}

fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let stamp = |file: &StoreFile| {
        let metadata = fs::metadata(&file.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files(settings).map(stamp).collect()
}

fn load(settings: &TlsSettings) -> Result<TlsConfig, ConfigError> {
    let mut builder = TlsConfig::builder()
        .verify_names(settings.verifies_names)
        .versions(settings.versions.iter().copied())
        .cipher_suites(settings.cipher_suites.iter().cloned());
    builder = match &settings.trust {
        Some(Trust::File(file)) => builder.trust(read(file, None)?.trusted),
        Some(Trust::Inline(certificates)) => {
            let read = Store::read(
                stores::StoreForm::Pem,
                certificates.reveal().as_bytes(),
                None,
                None,
            );
            builder.trust(
                read.map_err(|error| ConfigError::unusable(TRUST, &error))?
                    .trusted,
            )
        }
        None => builder
            .trust_platform()
            .map_err(|error| ConfigError::unusable("ssl.truststore.location", &error))?,
    };
    if let Some(identity) = &settings.identity {
        builder = builder.identity(load_identity(identity)?);
    }
    builder.build().map_err(|error| {
        let key = match error {
            TlsConfigError::NoCipherSuite { .. } => "ssl.cipher.suites",
            _ => "security.protocol",
        };
        ConfigError::unusable(key, &error)
    })
}

const TRUST: &str = "ssl.truststore.certificates";

fn load_identity(identity: &Identity) -> Result<stores::Identity, ConfigError> {
    match identity {
        Identity::File { file, key_password } => {
            let store = read(file, key_password.as_ref().map(crate::config::Password::reveal))?;
            let found = store.identities.into_iter().next();
            found.ok_or_else(|| unusable_file(file, &StoreError::NoKey))
        }
        Identity::Inline {
            key,
            chain,
            key_password,
        } => {
            let key_password = key_password.as_ref().map(crate::config::Password::reveal);
            Store::from_pem_parts(key.reveal(), chain.reveal(), key_password)
                .map_err(|error| ConfigError::unusable("ssl.keystore.key", &error))
        }
    }
}

fn read(file: &StoreFile, key_password: Option<&str>) -> Result<Store, ConfigError> {
    let bytes = fs::read(&file.path).map_err(|error| unusable_file(file, &error))?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let password = file.password.as_ref().map(crate::config::Password::reveal);
    Store::read(file.form, &bytes, password, key_password).map_err(|error| unusable_store(file, &error))
}

fn unusable_store(file: &StoreFile, error: &StoreError) -> ConfigError {
    match error {
        StoreError::WrongPassword => {
            let password = file.key.replace("location", "password");
            unusable_file(
                file,
                &format_args!("{password} does not open it, or it was damaged"),
            )
        }
        _ => unusable_file(file, error),
    }
}

fn unusable_file(file: &StoreFile, error: &dyn fmt::Display) -> ConfigError {
    ConfigError::unusable(file.key, &format_args!("{}: {error}", file.path))
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;
    use crate::config::ConfigBuilder;
    use std::process::Command;

    fn openssl(folder: &std::path::Path, name: &str) -> String {
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -days 3 -subj /CN=a";
        let made = Command::new("openssl")
            .args(arguments.split_whitespace())
            .arg("-out")
            .arg(folder.join(name))
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::read_to_string(folder.join(name)).expect("a certificate")
    }

    #[test]
    fn a_changed_file_that_cannot_be_used_is_reported_until_it_is_repaired() {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "with CI set, openssl must be there"
            );
            println!("SKIPPED: there is no openssl");
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (openssl(folder.path(), "1.pem"), openssl(folder.path(), "2.pem"));
        let path = folder.path().join("trust.pem");
        fs::write(&path, &first).expect("written");
        let (config, _) = ConfigBuilder::new()
            .bootstrap_servers("localhost:9092")
            .set("security.protocol", "SSL")
            .set("ssl.truststore.type", "PEM")
            .set("ssl.truststore.location", path.display().to_string())
            .build()
            .expect("a good configuration");
        let files = TlsFiles::read(config.tls().expect("TLS")).expect("the file is good");
        let said = |files: &TlsFiles| {
            files.current();
            files.failure().map(|error| error.to_string())
        };
        assert_eq!(said(&files), None);
        // Each has another length, so that no clock is needed to tell them apart.
        for (text, part) in [
            ("canary", Some("ssl.truststore.location")),
            ("", Some("trust.pem")),
        ] {
            fs::write(&path, text).expect("written");
            let found = said(&files).expect("it cannot be used");
            assert!(
                part.is_some_and(|part| found.contains(part)) && !found.contains("canary"),
                "{found}"
            );
            assert!(format!("{:?}", files.current()).contains("stale"));
        }
        fs::remove_file(&path).expect("it was there");
        assert!(said(&files).is_some_and(|said| said.contains("trust.pem")));
        fs::write(&path, format!("{first}{second}")).expect("written");
        assert_eq!(said(&files), None);
        assert!(!format!("{:?}", files.current()).contains("stale"));
    }
}
