//! How much memory something takes.

use peak_alloc::PeakAlloc;

/// It counts what Rust allocates, by all threads; not what C allocates (libFuzzer, zstd).
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Does `what`, and panics if it held more than `bytes_max` at any time.
pub fn within<T>(bytes_max: usize, what: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let value = what();
    let held = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(
        held <= bytes_max,
        "{held} bytes of memory were held, {bytes_max} are allowed"
    );
    value
}
