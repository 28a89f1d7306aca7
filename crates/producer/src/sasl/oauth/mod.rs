//! Tokens for OAUTHBEARER from an endpoint: OIDC's client credentials (KIP-768), and assertions (KIP-1139).
//!
//! ```text
//!  connection ──► a token that lasts ─────────────► at once
//!             └─► none: one request for all who wait
//!  renewal, beside it: waits for its time, asks, keeps the new token; every 10 s until the old one ends
//! ```
//!
//! The first token is got when the first connection wants one. From then on it is renewed in the background, so that
//! neither a new connection nor a session that has to be renewed waits for it.

mod assertion;
mod endpoint;

use super::{BearerToken, BoxFuture, CredentialFailure, CredentialProvider, Credentials, Mechanism, wall_ms};
use crate::Error;
use crate::config::oauth::OauthSettings;
use endpoint::{Endpoint, Got};
use ottla_network::http::HttpClient;
use parking_lot::Mutex;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a renewal that failed waits before it is tried again, as in Java's `ExpiringCredentialRefreshingLogin`.
const RENEW_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The least time between two renewals, whatever is configured: an endpoint must not be stormed because a token says that
/// it is old.
const RENEW_AFTER_MIN: Duration = Duration::from_secs(1);

/// Gets tokens, and keeps the last one.
pub(super) struct Oauth {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    state: Mutex<State>,
    /// Whoever holds it asks the endpoint; the others wait for what comes of it.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Got>,
    /// Counts what was asked in vain, and what came of the last time.
    failures: u64,
    last_failure: Option<CredentialFailure>,
    renewal: Option<JoinHandle<()>>,
}

impl Oauth {
    /// Gets tokens by these settings. It reads the stores of TLS, and asks nothing yet.
    pub(super) fn new(settings: OauthSettings) -> Result<Oauth, Error> {
        let endpoint = Endpoint {
            client: client(&settings)?,
            settings,
        };
        Ok(Oauth {
            shared: Arc::new(Shared {
                endpoint,
                state: Mutex::default(),
                asking: tokio::sync::Mutex::default(),
            }),
        })
    }
}

impl CredentialProvider for Oauth {
    fn credentials(
        &self,
        _endpoint: &ottla_network::Endpoint,
        _mechanism: Mechanism,
    ) -> BoxFuture<Result<Credentials, CredentialFailure>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Shared::token(&shared).await.map(Credentials::Token) })
    }
}

impl Drop for Oauth {
    fn drop(&mut self) {
        if let Some(renewal) = self.shared.state.lock().renewal.take() {
            renewal.abort();
        }
    }
}

impl fmt::Debug for Oauth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oauth")
            .field("settings", &self.shared.endpoint.settings)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The token that is held, or a new one.
    async fn token(self: &Arc<Shared>) -> Result<BearerToken, CredentialFailure> {
        let failures_before = {
            let state = self.state.lock();
            if let Some(token) = state.lasting() {
                return Ok(token);
            }
            state.failures
        };
        let _asking = self.asking.lock().await;
        {
            // Somebody else may have asked meanwhile.
            let state = self.state.lock();
            if let Some(token) = state.lasting() {
                return Ok(token);
            }
            if state.failures != failures_before
                && let Some(failure) = &state.last_failure
            {
                return Err(failure.clone());
            }
        }
        match self.endpoint.token().await {
            Ok(got) => {
                let token = got.token.clone();
                self.keep(got);
                Ok(token)
            }
            Err(failure) => {
                let mut state = self.state.lock();
                state.failures += 1;
                state.last_failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Keeps a token, and sees to its renewal.
    fn keep(self: &Arc<Shared>, got: Got) {
        let mut state = self.state.lock();
        state.held = Some(got);
        if state.renewal.as_ref().is_none_or(JoinHandle::is_finished) {
            let renewal = tokio::spawn(renew(Arc::downgrade(self)));
            state.renewal = Some(renewal);
        }
    }

    /// How long to wait before the token that is held is renewed; `None` if there is none, or it has ended.
    fn renewal_due_in(&self) -> Option<Duration> {
        let policy = self.endpoint.settings.refresh;
        let state = self.state.lock();
        let held = state.held.as_ref()?;
        let at_ms = policy.refresh_at_ms(&held.jwt, held.at_ms, fastrand::f64())?;
        Some(millis(at_ms.saturating_sub(wall_ms())))
    }
}

impl State {
    /// The token that is held, if it has not ended.
    fn lasting(&self) -> Option<BearerToken> {
        let held = self.held.as_ref()?;
        (held.jwt.expires_at_ms > wall_ms()).then(|| held.token.clone())
    }
}

/// Renews the token time after time. It ends with whoever it works for, and when a token ended before there was a new
/// one: then the next connection asks, and tells why there is none.
async fn renew(shared: Weak<Shared>) {
    loop {
        let Some(wait) = shared.upgrade().and_then(|shared| shared.renewal_due_in()) else {
            return;
        };
        tokio::time::sleep(wait.max(RENEW_AFTER_MIN)).await;
        loop {
            let Some(shared) = shared.upgrade() else { return };
            let asking = shared.asking.lock().await;
            if shared.state.lock().lasting().is_none() {
                return;
            }
            if let Ok(got) = shared.endpoint.token().await {
                shared.state.lock().held = Some(got);
                break;
            }
            drop(asking);
            drop(shared);
            tokio::time::sleep(RENEW_AGAIN_AFTER).await;
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(feature = "tls-no-provider")]
fn client(settings: &OauthSettings) -> Result<HttpClient, Error> {
    use crate::tls::{SharedTlsFiles, TlsFiles};
    let mut builder = HttpClient::builder();
    if let Some(tls) = &settings.tls {
        let files = TlsFiles::read(tls.clone());
        let files = files.map_err(|error| Error::start(format!("sasl.jaas.config: its option {error}")))?;
        builder = builder.tls(Arc::new(SharedTlsFiles(Arc::new(files))));
    }
    Ok(builder.build())
}

#[cfg(not(feature = "tls-no-provider"))]
fn client(_: &OauthSettings) -> Result<HttpClient, Error> {
    Ok(HttpClient::builder().build())
}
