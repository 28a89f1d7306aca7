//! Throughput and latency over time, for the plot: as many points as a plot has room for, however long the run.

use super::statistics::LATENCY_MAX;
use hdrhistogram::Histogram;
use std::time::Duration;

/// More points than this cannot be told apart; then two and two become one.
const POINTS_MAX: usize = 240;
/// The first width of a point.
const WIDTH: Duration = Duration::from_millis(100);

/// What happened, by time.
pub(super) struct Series {
    width: Duration,
    points: Vec<Point>,
}

/// What happened in one width of time.
struct Point {
    bytes: u64,
    latencies: Histogram<u32>,
}

/// A point as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    /// The middle of its time, since the start.
    pub(super) seconds: f64,
    pub(super) records_per_second: f64,
    pub(super) mib_per_second: f64,
    /// The median, the 99th percentile and the maximum in milliseconds; none if nothing came.
    pub(super) latency_ms: Option<[f64; 3]>,
}

impl Series {
    pub(super) fn new() -> Series {
        Series {
            width: WIDTH,
            points: Vec::new(),
        }
    }

    /// A record was acknowledged so long after the start.
    pub(super) fn record(&mut self, at: Duration, latency: Duration, bytes: u64) {
        let mut index = self.index(at);
        while index >= POINTS_MAX {
            self.halve();
            index = self.index(at);
        }
        while self.points.len() <= index {
            self.points.push(Point::new());
        }
        let point = &mut self.points[index];
        point.bytes += bytes;
        point.latencies.saturating_record(latency.as_micros() as u64);
    }

    fn index(&self, at: Duration) -> usize {
        usize::try_from(at.as_micros() / self.width.as_micros()).unwrap_or(usize::MAX)
    }

    /// Doubles the width.
    fn halve(&mut self) {
        self.width *= 2;
        let mut merged = Vec::with_capacity(POINTS_MAX);
        let mut points = std::mem::take(&mut self.points).into_iter();
        while let Some(mut point) = points.next() {
            if let Some(second) = points.next() {
                point.bytes += second.bytes;
                // Both have the same bounds, so that nothing can be out of range.
                let _ = point.latencies.add(second.latencies);
            }
            merged.push(point);
        }
        self.points = merged;
    }

    /// All points; the last one's time ends with the run.
    pub(super) fn drawn(&self, end: Duration) -> Vec<Drawn> {
        let width = self.width.as_secs_f64();
        let points = self.points.iter().enumerate();
        points
            .map(|(index, point)| {
                let begin = index as f64 * width;
                let seconds = (end.as_secs_f64() - begin).clamp(width / 10.0, width);
                let latencies = &point.latencies;
                let ms = |microseconds: u64| microseconds as f64 / 1_000.0;
                Drawn {
                    seconds: begin + seconds / 2.0,
                    records_per_second: latencies.len() as f64 / seconds,
                    mib_per_second: point.bytes as f64 / seconds / f64::from(1 << 20),
                    latency_ms: (!latencies.is_empty()).then(|| {
                        [
                            ms(latencies.value_at_quantile(0.5)),
                            ms(latencies.value_at_quantile(0.99)),
                            ms(latencies.max()),
                        ]
                    }),
                }
            })
            .collect()
    }
}

impl Point {
    fn new() -> Point {
        let most = LATENCY_MAX.as_micros() as u64;
        Point {
            bytes: 0,
            // Both bounds are constant, and in order.
            latencies: Histogram::new_with_bounds(1, most, 2)
                .unwrap_or_else(|_| unreachable!("valid bounds")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_as_many_points_and_loses_nothing() {
        let mut series = Series::new();
        let end = Duration::from_secs(3_600);
        for second in 0..3_600_u32 {
            let latency = Duration::from_micros(u64::from(second % 10) + 1);
            series.record(Duration::from_secs(u64::from(second)), latency, 1 << 20);
        }
        let drawn = series.drawn(end);
        assert!(
            (POINTS_MAX / 2..=POINTS_MAX).contains(&drawn.len()),
            "{}",
            drawn.len()
        );
        let width = series.width.as_secs_f64();
        let all_but_last = &drawn[..drawn.len() - 1];
        for point in all_but_last {
            assert!((point.records_per_second - 1.0).abs() < 0.1, "{point:?}");
            assert!((point.mib_per_second - 1.0).abs() < 0.1, "{point:?}");
        }
        let total: usize = series
            .points
            .iter()
            .map(|point| usize::try_from(point.latencies.len()).expect("few"))
            .sum();
        assert_eq!(total, 3_600);
        assert!((drawn[0].seconds - width / 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_stall_is_a_gap() {
        let mut series = Series::new();
        series.record(Duration::ZERO, Duration::from_millis(2), 1);
        series.record(Duration::from_millis(250), Duration::from_millis(200), 1);
        let drawn = series.drawn(Duration::from_millis(260));
        assert_eq!(drawn.len(), 3);
        assert_eq!(drawn[1].latency_ms, None);
        assert_eq!(drawn[1].records_per_second, 0.0);
        let [median, _, max] = drawn[2].latency_ms.expect("a record");
        assert!((median - 200.0).abs() < 2.0 && (max - 200.0).abs() < 2.0);
    }
}
