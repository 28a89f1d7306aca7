//! Sums, counts and maxima over the last windows.

use ottla_time::Time;
use std::time::Duration;

/// How long a window is, and how many make an average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) length: Duration,
    pub(crate) count: usize,
}

/// One thing that is measured: everything that its metrics are made of.
///
/// The rules are those of Java's `SampledStat`: values fall into a sample until it is as old as a window; then the next
/// one begins, and one more is kept than there are windows, because the oldest overlaps with the time that is looked at.
/// A sample whose last value is older than all windows together is forgotten when somebody looks.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    samples: Vec<Sample>,
    current: usize,
    total: f64,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    started: Time,
    last_event: Time,
    count: u64,
    sum: f64,
    max: f64,
}

/// What the windows hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) max: f64,
}

impl Sample {
    fn new(now: Time) -> Sample {
        Sample {
            started: now,
            last_event: now,
            count: 0,
            sum: 0.0,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Samples {
    pub(crate) fn record(&mut self, windows: Windows, value: f64, now: Time) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now));
        }
        if now.since(self.samples[self.current].started) >= windows.length {
            self.current = (self.current + 1) % (windows.count + 1);
            if self.current >= self.samples.len() {
                self.samples.push(Sample::new(now));
            } else {
                self.samples[self.current] = Sample::new(now);
            }
        }
        let sample = &mut self.samples[self.current];
        sample.last_event = now;
        sample.count += 1;
        sample.sum += value;
        sample.max = sample.max.max(value);
        self.total += value;
        self.count += 1;
    }

    /// The sum of all values since the beginning.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// How many values there were since the beginning.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What the windows hold at `now`.
    pub(crate) fn recent(&mut self, windows: Windows, now: Time) -> Recent {
        self.forget(windows, now);
        let nothing = Recent {
            count: 0,
            sum: 0.0,
            max: f64::NEG_INFINITY,
        };
        self.samples.iter().fold(nothing, |recent, sample| Recent {
            count: recent.count + sample.count,
            sum: recent.sum + sample.sum,
            max: recent.max.max(sample.max),
        })
    }

    /// The time that the windows cover at `now`: at least all but one of them, so that the first values do not make a
    /// rate that nobody has seen.
    pub(crate) fn elapsed(&mut self, windows: Windows, now: Time) -> Duration {
        self.forget(windows, now);
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now));
        }
        let oldest = self.samples.iter().map(|sample| sample.started).min();
        let elapsed = now.since(oldest.unwrap_or(now));
        let full = elapsed.as_nanos() / windows.length.as_nanos().max(1);
        let least = windows.count.saturating_sub(1) as u128;
        let missing = u32::try_from(least.saturating_sub(full)).unwrap_or(u32::MAX);
        (elapsed + windows.length.saturating_mul(missing)).max(Duration::from_millis(1))
    }

    fn forget(&mut self, windows: Windows, now: Time) {
        let expiry = windows
            .length
            .saturating_mul(u32::try_from(windows.count).unwrap_or(u32::MAX));
        for sample in &mut self.samples {
            if now.since(sample.last_event) >= expiry {
                *sample = Sample::new(now);
            }
        }
    }
}
