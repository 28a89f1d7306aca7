//! Throughput and latency, told as `org.apache.kafka.tools.ProducerPerformance` of 4.3.1 tells them.

use hdrhistogram::Histogram;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Latencies of so many records, in microseconds, to three digits. Java keeps half a million samples in milliseconds;
/// here every record counts.
type Latencies = Histogram<u64>;

/// A latency beyond an hour counts as one.
pub(super) const LATENCY_MAX: Duration = Duration::from_secs(3_600);

/// Numbers over the whole run, and over the window since the last line.
pub(super) struct Statistics {
    steady_state: bool,
    silent: bool,
    interval: Duration,
    start: Instant,
    end: Instant,
    latencies: Latencies,
    total: Sums,
    window: Sums,
    window_start: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u64,
    bytes: u64,
    latency: Duration,
    latency_max: Duration,
}

impl Sums {
    fn add(&mut self, latency: Duration, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        self.latency += latency;
        self.latency_max = self.latency_max.max(latency);
    }

    fn latency_average_ms(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        milliseconds(self.latency) / self.count as f64
    }

    /// Records and MiB in a second.
    fn rates(&self, time: Duration) -> (f64, f64) {
        // No time is no reason for an infinite rate.
        let seconds = time.as_secs_f64().max(0.001);
        (
            self.count as f64 / seconds,
            self.bytes as f64 / seconds / f64::from(1 << 20),
        )
    }
}

impl Statistics {
    /// From `start` on; of the steady state after the warm-up, if it is that.
    pub(super) fn new(steady_state: bool, interval: Duration, start: Instant) -> Statistics {
        let most = LATENCY_MAX.as_micros() as u64;
        Statistics {
            steady_state,
            silent: false,
            interval,
            start,
            end: start,
            // Both bounds are constant, and in order.
            latencies: Latencies::new_with_bounds(1, most, 3)
                .unwrap_or_else(|_| unreachable!("valid bounds")),
            total: Sums::default(),
            window: Sums::default(),
            window_start: start,
        }
    }

    /// No more lines but the last.
    pub(super) fn silence(&mut self) {
        self.silent = true;
    }

    /// A record was acknowledged. Writes a line if it is time for one.
    pub(super) fn record(
        &mut self,
        latency: Duration,
        bytes: u64,
        now: Instant,
        out: &mut impl Write,
    ) -> io::Result<()> {
        self.latencies.saturating_record(latency.as_micros() as u64);
        self.total.add(latency, bytes);
        self.window.add(latency, bytes);
        self.end = now;
        let elapsed = now.saturating_duration_since(self.window_start);
        if elapsed < self.interval {
            return Ok(());
        }
        let (window, first) = (self.window, self.total.count == self.window.count);
        self.window = Sums::default();
        self.window_start = now;
        if self.steady_state && first {
            writeln!(out, "In steady state.")?;
        }
        if self.silent {
            return Ok(());
        }
        let (records, mib) = window.rates(elapsed);
        writeln!(
            out,
            "{} records sent, {records:.1} records/sec ({mib:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
            window.count,
            window.latency_average_ms(),
            milliseconds(window.latency_max),
        )
    }

    /// The last line. Java's percentiles are whole milliseconds, and so scripts read them.
    pub(super) fn write_total(&self, out: &mut impl Write) -> io::Result<()> {
        let (records, mib) = self.total.rates(self.end.saturating_duration_since(self.start));
        let percentile = |quantile| (self.latencies.value_at_quantile(quantile) as f64 / 1_000.0).round();
        writeln!(
            out,
            "{}{} records sent, {records:.6} records/sec ({mib:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max latency, \
             {:.0} ms 50th, {:.0} ms 95th, {:.0} ms 99th, {:.0} ms 99.9th.",
            self.total.count,
            if self.steady_state { " steady state" } else { "" },
            self.total.latency_average_ms(),
            milliseconds(self.total.latency_max),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999),
        )
    }

    /// The percentiles in full, which Java's lines have no room for.
    pub(super) fn exact(&self) -> String {
        // The histogram rounds up to what it can tell apart, which may be above the greatest that was seen.
        let most = milliseconds(self.total.latency_max);
        let percentile = |quantile| (self.latencies.value_at_quantile(quantile) as f64 / 1_000.0).min(most);
        format!(
            "{}latency in ms: {:.3} 50th, {:.3} 95th, {:.3} 99th, {:.3} 99.9th, {:.3} 99.99th, {:.3} max",
            if self.steady_state { "steady state " } else { "" },
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999),
            percentile(0.9999),
            most,
        )
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(out: &[u8]) -> Vec<String> {
        String::from_utf8_lossy(out).lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_those_of_java() {
        let start = Instant::now();
        let mut out = Vec::new();
        let mut statistics = Statistics::new(false, Duration::from_secs(5), start);
        for number in 1..=1_000_u64 {
            let now = start + Duration::from_millis(number * 10);
            statistics
                .record(Duration::from_millis(number), 1_024, now, &mut out)
                .expect("written");
        }
        statistics.write_total(&mut out).expect("written");
        assert_eq!(
            lines(&out),
            [
                "500 records sent, 100.0 records/sec (0.10 MB/sec), 250.5 ms avg latency, 500.0 ms max latency.",
                "500 records sent, 100.0 records/sec (0.10 MB/sec), 750.5 ms avg latency, 1000.0 ms max latency.",
                "1000 records sent, 100.000000 records/sec (0.10 MB/sec), 500.50 ms avg latency, 1000.00 ms max latency, \
                 500 ms 50th, 950 ms 95th, 990 ms 99th, 999 ms 99.9th.",
            ]
        );
        assert!(
            statistics.exact().starts_with("latency in ms: 500."),
            "{}",
            statistics.exact()
        );
    }

    #[test]
    fn the_steady_state_is_told_once() {
        let start = Instant::now();
        let mut out = Vec::new();
        let mut statistics = Statistics::new(true, Duration::from_secs(1), start);
        for second in 1..=2 {
            let now = start + Duration::from_secs(second);
            statistics
                .record(Duration::from_millis(1), 1, now, &mut out)
                .expect("written");
        }
        statistics.write_total(&mut out).expect("written");
        let lines = lines(&out);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0], "In steady state.");
        assert!(lines[3].starts_with("2 steady state records sent, 1.000000 records/sec"));
    }

    #[test]
    fn nothing_is_not_infinite() {
        let mut out = Vec::new();
        let statistics = Statistics::new(false, Duration::from_secs(1), Instant::now());
        statistics.write_total(&mut out).expect("written");
        assert!(
            lines(&out)[0].starts_with("0 records sent, 0.000000 records/sec (0.00 MB/sec), 0.00 ms avg")
        );
    }
}
