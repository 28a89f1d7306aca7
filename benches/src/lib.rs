//! Shared parts of the benchmarks that are programs of their own: they measure what no closure in a loop can show, print a
//! table, and fail if a promise of the design is broken.

use std::fs;
use std::time::Duration;

/// Resident memory of this process in bytes; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The value below which `share` of the samples lie; zero if there are none.
pub fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or_default()
}

/// Whether the program was started to be compiled and listed only, as `cargo test --benches` does.
pub fn only_listed() -> bool {
    std::env::args().any(|argument| argument == "--list" || argument == "--test")
}
