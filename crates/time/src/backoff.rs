//! Exponential backoff with jitter.

use std::time::Duration;

/// The base of the exponential: each failure doubles the delay.
const MULTIPLIER: f64 = 2.0;
/// The delay is drawn from ± 20 % of the exponential, so that clients that failed together do not come back together.
const JITTER: f64 = 0.2;

/// Kafka's exponential backoff (KIP-580, `ExponentialBackoff` of the Java client): the n-th delay is
/// `min(jitter20(initial × 2^min(n, log2(max ÷ initial))), max)`, in whole milliseconds.
///
/// If `initial >= max` the delay is `max`, without jitter, as in Java.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialBackoff {
    initial: Duration,
    max: Duration,
    /// The exponent at which the maximum is reached; 0 for a constant backoff.
    exponent_max: f64,
}

impl ExponentialBackoff {
    /// A backoff that starts near `initial` and grows to at most `max`.
    pub fn new(initial: Duration, max: Duration) -> ExponentialBackoff {
        let exponent_max = if initial >= max {
            0.0
        } else {
            let initial_ms = (initial.as_secs_f64() * 1e3).max(1.0);
            ((max.as_secs_f64() * 1e3) / initial_ms).log2().max(0.0)
        };
        ExponentialBackoff {
            initial,
            max,
            exponent_max,
        }
    }

    /// The delay before the attempt that follows `failures + 1` failures in a row (so 0 for the first).
    pub fn delay(&self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        if self.initial >= self.max {
            return self.max;
        }
        let exponent = f64::from(failures).min(self.exponent_max);
        let jitter = 1.0 - JITTER + 2.0 * JITTER * random.f64();
        let delay_ms = self.initial.as_secs_f64() * 1e3 * MULTIPLIER.powf(exponent) * jitter;
        // Java counts in whole milliseconds, rounded down.
        Duration::from_millis(delay_ms as u64).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(backoff: &ExponentialBackoff, failures: u32) -> (u128, u128) {
        let mut random = fastrand::Rng::with_seed(u64::from(failures));
        let delays = (0..10_000).map(|_| backoff.delay(failures, &mut random).as_millis());
        delays.fold((u128::MAX, 0), |(low, high), ms| (low.min(ms), high.max(ms)))
    }

    /// The ranges that the Java client 4.3.1 showed for 100/1000.
    #[test]
    fn ranges_equal_java() {
        let backoff = ExponentialBackoff::new(Duration::from_millis(100), Duration::from_millis(1_000));
        assert_eq!(range(&backoff, 0), (80, 119));
        assert_eq!(range(&backoff, 1), (160, 239));
        assert_eq!(range(&backoff, 2), (320, 479));
        assert_eq!(range(&backoff, 3), (640, 959));
        let (low, high) = range(&backoff, 4);
        assert!((799..=800).contains(&low) && high == 1_000, "{low}..{high}");
        assert_eq!(range(&backoff, u32::MAX).1, 1_000);
    }

    #[test]
    fn constant_when_initial_is_not_below_max() {
        let backoff = ExponentialBackoff::new(Duration::from_millis(500), Duration::from_millis(500));
        assert_eq!(range(&backoff, 9), (500, 500));
        let zero = ExponentialBackoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(range(&zero, 0), (0, 0));
        let from_zero = ExponentialBackoff::new(Duration::ZERO, Duration::from_secs(1));
        assert_eq!(range(&from_zero, 40), (0, 0));
    }
}
