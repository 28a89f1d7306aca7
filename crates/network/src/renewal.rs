//! Authenticating again before a session ends (KIP-368).
//!
//! A broker that limits sessions says how long this one lasts, and closes the connection at the first request that
//! comes later. As Java's client does, this one looks at the time when it is about to send, and then lets nothing but
//! SASL go before the broker is satisfied again; answers that are due from before keep coming meanwhile. A session that
//! has ended while nobody used it is no loss: the broker takes a SaslHandshake also then.
//!
//! Where credentials have to be got first, requests go on as long as the session lasts.

use crate::OutgoingRequest;
use crate::authentication::Authentication;
use ottla_time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// When authenticating again begins, as a share of the session's life: from this on, with this much chance added.
/// Java's `SaslClientAuthenticator` has the same numbers.
const FACTOR: f64 = 0.85;
const JITTER: f64 = 0.10;

/// The life of a session that ends, and its renewal if that is under way.
#[derive(Debug)]
pub(crate) struct Renewal {
    due_at: Time,
    expires_at: Time,
    /// When the renewal began, if it did.
    pub(crate) began_at: Time,
    /// When the credentials have to be there, if they are waited for.
    pub(crate) credentials_until: Time,
    pub(crate) authentication: Option<Authentication>,
    /// What is sent when the renewal is done, in this order.
    pub(crate) held: VecDeque<OutgoingRequest>,
}

impl Renewal {
    /// Of a session that begins now.
    pub(crate) fn new(lifetime: Duration, now: Time, random: &mut fastrand::Rng) -> Renewal {
        // A lifetime of more than this is one without end, and would be more than a `Duration` can multiply.
        let lifetime = lifetime.min(Duration::from_secs(u64::from(u32::MAX)));
        Renewal {
            due_at: now + lifetime.mul_f64(FACTOR + JITTER * random.f64()),
            expires_at: now + lifetime,
            began_at: now,
            credentials_until: Time::MAX,
            authentication: None,
            held: VecDeque::new(),
        }
    }

    /// Whether it should begin, and has not.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.authentication.is_none() && now >= self.due_at
    }

    /// Whether requests have to wait.
    pub(crate) fn is_holding(&self, now: Time) -> bool {
        let Some(authentication) = &self.authentication else {
            return false;
        };
        // Behind what waits, everything waits.
        !authentication.is_waiting() || now >= self.expires_at || !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_in_the_last_part_of_the_life() {
        let mut random = fastrand::Rng::with_seed(7);
        let now = Time::from_millis(500);
        let mut least = Time::MAX;
        let mut most = Time::ZERO;
        for _ in 0..1_000 {
            let renewal = Renewal::new(Duration::from_secs(100), now, &mut random);
            least = least.min(renewal.due_at);
            most = most.max(renewal.due_at);
        }
        assert!(least >= now + Duration::from_millis(85_000) && least < now + Duration::from_millis(85_500));
        assert!(most < now + Duration::from_millis(95_000) && most > now + Duration::from_millis(94_500));
        // The largest that a broker can say.
        let renewal = Renewal::new(Duration::from_millis(i64::MAX as u64), now, &mut random);
        assert!(!renewal.is_due(now) && !renewal.is_holding(now));
    }
}
