//! What the records are made of, the same bytes for every client: files of values and of keys, from a fixed seed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::case::Payload;

/// How many values there are before the first comes again: more than a window of lz4 holds.
const VALUES: usize = 1_024;
/// How many keys: enough that ten thousand partitions all get some.
const KEYS: usize = 1 << 16;
/// The size of a key, in bytes.
pub(super) const KEY_BYTES: usize = 16;
const SEED: u64 = 0x0077_1a00;

const WORDS: [&str; 32] = [
    "delivery",
    "before",
    "noon",
    "ring",
    "twice",
    "leave",
    "with",
    "neighbour",
    "fragile",
    "gift",
    "wrapped",
    "please",
    "call",
    "when",
    "late",
    "the",
    "door",
    "code",
    "changed",
    "second",
    "floor",
    "left",
    "side",
    "blue",
    "handle",
    "carefully",
    "return",
    "label",
    "inside",
    "large",
    "box",
    "express",
];

/// Writes a file of values; where it is.
pub(super) fn values(folder: &Path, payload: Payload, size: usize) -> anyhow::Result<PathBuf> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut bytes = Vec::with_capacity(VALUES * size);
    for _ in 0..VALUES {
        match payload {
            Payload::Random => bytes.extend((0..size).map(|_| random.u8(..))),
            Payload::Json => bytes.extend_from_slice(document(&mut random, size).as_bytes()),
        }
    }
    write(folder.join(format!("{payload:?}-{size}")), &bytes)
}

/// Writes a file of keys, all different; where it is.
pub(super) fn keys(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut order: Vec<usize> = (0..KEYS).collect();
    random.shuffle(&mut order);
    let mut text = String::with_capacity(KEYS * KEY_BYTES);
    for number in order {
        // A `String` takes everything.
        let _ = write!(text, "customer-{number:07}");
    }
    write(folder.join("keys"), text.as_bytes())
}

fn write(file: PathBuf, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// An order as an application may send it, of exactly `size` bytes if they are enough for it.
fn document(random: &mut fastrand::Rng, size: usize) -> String {
    let mut text = format!(
        "{{\"id\":\"{:016x}{:016x}\",\"time\":\"2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"customer\":{},\"status\":\"{}\",\
         \"items\":[",
        random.u64(..),
        random.u64(..),
        random.u32(1..=30),
        random.u32(0..24),
        random.u32(0..60),
        random.u32(0..60),
        random.u32(0..1000),
        random.u32(10_000..999_999),
        ["placed", "paid", "shipped", "returned"][random.usize(0..4)],
    );
    for item in 0..random.usize(2..6) {
        let comma = if item == 0 { "" } else { "," };
        // A `String` takes everything.
        let _ = write!(
            text,
            "{comma}{{\"sku\":\"{}{}-{}\",\"quantity\":{},\"price\":{}.{:02},\"currency\":\"EUR\"}}",
            random.uppercase(),
            random.uppercase(),
            random.u32(10_000..99_999),
            random.u32(1..9),
            random.u32(1..500),
            random.u32(0..100)
        );
    }
    text.push_str("],\"note\":\"");
    const END: &str = "\"}";
    while text.len() + END.len() < size {
        text.push_str(WORDS[random.usize(0..WORDS.len())]);
        text.push(' ');
    }
    text.truncate(size.saturating_sub(END.len()));
    text + END
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_json_of_the_size_asked_for() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let document = document(&mut random, 1_024);
            assert_eq!(document.len(), 1_024);
            serde_json::from_str::<serde_json::Value>(&document).expect(&document);
        }
    }

    #[test]
    fn keys_have_the_size_that_is_said() {
        assert_eq!(format!("customer-{:07}", KEYS - 1).len(), KEY_BYTES);
    }
}
