//! Sending no faster than asked.

use std::time::{Duration, Instant};

/// When the next record is due, so that neither rate is exceeded over the whole time.
#[derive(Debug)]
pub(crate) struct Pace {
    records_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    start: Instant,
    records: u64,
    bytes: u64,
}

impl Pace {
    /// From now on; `None` without any rate.
    pub(crate) fn new(
        records_per_second: Option<f64>,
        bytes_per_second: Option<f64>,
        start: Instant,
    ) -> Option<Pace> {
        if records_per_second.is_none() && bytes_per_second.is_none() {
            return None;
        }
        Some(Pace {
            records_per_second,
            bytes_per_second,
            start,
            records: 0,
            bytes: 0,
        })
    }

    /// Counts a record of that many bytes and says when it may go: once those before it have had their time.
    pub(crate) fn due(&mut self, bytes: usize) -> Instant {
        let by_records = self
            .records_per_second
            .map_or(0.0, |rate| self.records as f64 / rate);
        let by_bytes = self.bytes_per_second.map_or(0.0, |rate| self.bytes as f64 / rate);
        self.records += 1;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let after = Duration::try_from_secs_f64(by_records.max(by_bytes)).unwrap_or(Duration::MAX);
        // So slow a rate that the time cannot be told: as late as can be waited for, over and over.
        self.start
            .checked_add(after)
            .unwrap_or_else(|| self.start + Duration::from_secs(1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rates_hold() {
        let start = Instant::now();
        let due = |pace: &mut Pace, bytes| pace.due(bytes).duration_since(start).as_millis();
        let mut pace = Pace::new(Some(10.0), None, start).expect("a rate");
        assert_eq!(
            [due(&mut pace, 9), due(&mut pace, 9), due(&mut pace, 9)],
            [0, 100, 200]
        );
        let mut pace = Pace::new(Some(10.0), Some(100.0), start).expect("a rate");
        assert_eq!(
            [due(&mut pace, 50), due(&mut pace, 1), due(&mut pace, 1)],
            [0, 500, 510]
        );
        assert!(Pace::new(None, None, start).is_none());
        let mut pace = Pace::new(Some(f64::MIN_POSITIVE), None, start).expect("a rate");
        pace.due(1);
        assert!(pace.due(1) > start);
    }
}
