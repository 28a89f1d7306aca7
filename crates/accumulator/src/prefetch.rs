//! Memory that will be written soon, asked for before.
//!
//! A processor sees by itself that memory is written from end to end, in a dozen places or so at a time. Who appends to a
//! hundred batches in turns waits for every line of every record: that was a third of a record's time.

/// Caches are asked for so many bytes at a time.
pub(crate) const LINE: usize = 64;

/// Asks for the beginning of `spare`, behind the line in which it begins. What is written in one go beyond two lines, the
/// processor sees coming.
#[inline]
pub(crate) fn beginning(spare: &[u8]) {
    for line in [1, 2] {
        if let Some(byte) = spare.get(line * LINE) {
            place(byte);
        }
    }
}

/// Asks for the line in which this is. It is a hint, and changes nothing.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn place<T>(place: &T) {
    safe_arch::prefetch_et0(place);
}

/// Elsewhere there is no way to say it without `unsafe`.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn place<T>(_: &T) {}
