//! Time as a value: what the crates of Ottla without I/O use in place of a clock.
//!
//! Code without I/O never reads a clock; it is told what time it is. [`Time`] is monotonic, in nanoseconds from an
//! origin that its user chooses; wall-clock time is a plain `i64` of milliseconds since the Unix epoch and is passed
//! apart, because it may jump. Who must ask for the time lazily (an append needs it only when it opens a batch) takes a
//! [`Clock`]. [`ExponentialBackoff`] is Kafka's (KIP-580): it is here because connections and the sender share it.
//!
//! ```
//! use ottla_time::{ExponentialBackoff, Time};
//! use std::time::Duration;
//!
//! let backoff = ExponentialBackoff::new(Duration::from_millis(100), Duration::from_secs(1));
//! let mut random = fastrand::Rng::with_seed(7);
//! let now = Time::ZERO + Duration::from_secs(3);
//! let retry_at = now + backoff.delay(0, &mut random);
//! assert!(retry_at >= now + Duration::from_millis(80) && retry_at < now + Duration::from_millis(120));
//! ```

mod backoff;
mod clock;
#[doc(hidden)]
pub mod mutants;
#[doc(hidden)]
pub mod points;
mod time;

pub use backoff::ExponentialBackoff;
pub use clock::{Clock, ManualClock};
pub use time::Time;
