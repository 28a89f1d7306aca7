//! The values that are sent.

use crate::exit::Failure;
use std::fs;
use std::path::Path;

/// Where values come from.
#[derive(Debug)]
pub(super) struct Payloads {
    kind: Kind,
    random: fastrand::Rng,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    /// Letters, new ones for each record.
    Random,
    /// One of these.
    Listed(Vec<Vec<u8>>),
    /// The record's number.
    Monotonic,
}

/// The same values in every run, as in Java's tool (though not the same as Java's).
const SEED: u64 = 0;

/// The file is held in memory.
const FILE_BYTES_MAX: u64 = 1 << 30;

impl Payloads {
    pub(super) fn random(size: usize) -> Payloads {
        Payloads::new(Kind::Random, vec![0; size])
    }

    pub(super) fn monotonic() -> Payloads {
        Payloads::new(Kind::Monotonic, Vec::new())
    }

    fn new(kind: Kind, buffer: Vec<u8>) -> Payloads {
        Payloads {
            kind,
            random: fastrand::Rng::with_seed(SEED),
            buffer,
        }
    }

    /// The values of a file, each ended by the delimiter.
    pub(super) fn from_file(path: &Path, delimiter: &[u8]) -> Result<Payloads, Failure> {
        let cannot = |reason: &dyn std::fmt::Display| {
            Failure::input(format!("cannot read payloads from {}: {reason}", path.display()))
        };
        let size = fs::metadata(path).map_err(|error| cannot(&error))?.len();
        if size > FILE_BYTES_MAX {
            return Err(cannot(&"it is larger than 1 GiB"));
        }
        let bytes = fs::read(path).map_err(|error| cannot(&error))?;
        let mut values = Vec::new();
        let mut start = 0;
        for at in memchr::memmem::find_iter(&bytes, delimiter) {
            values.push(bytes[start..at].to_vec());
            start = at + delimiter.len();
        }
        if start < bytes.len() {
            values.push(bytes[start..].to_vec());
        }
        if values.is_empty() {
            return Err(cannot(&"it is empty"));
        }
        Ok(Payloads::new(Kind::Listed(values), Vec::new()))
    }

    /// How many values a file had.
    pub(super) fn listed(&self) -> Option<usize> {
        match &self.kind {
            Kind::Listed(values) => Some(values.len()),
            _ => None,
        }
    }

    /// The value of the record of this number.
    pub(super) fn next(&mut self, number: u64) -> &[u8] {
        match &self.kind {
            Kind::Listed(values) => &values[self.random.usize(..values.len())],
            Kind::Monotonic => {
                self.buffer.clear();
                ottla_formats::json::integer(&mut self.buffer, number.cast_signed());
                &self.buffer
            }
            Kind::Random => {
                self.random.fill(&mut self.buffer);
                for byte in &mut self.buffer {
                    // Nearly even over the 26 letters, and without a division.
                    *byte = b'A' + ((u16::from(*byte) * 26) >> 8) as u8;
                }
                &self.buffer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_are_letters_and_differ() {
        let mut payloads = Payloads::random(1_000);
        let first = payloads.next(0).to_vec();
        let second = payloads.next(1).to_vec();
        assert_eq!((first.len(), second.len()), (1_000, 1_000));
        assert_ne!(first, second);
        assert!(first.iter().all(u8::is_ascii_uppercase));
        assert!((b'A'..=b'Z').all(|letter| first.contains(&letter)));
        assert_eq!(
            Payloads::random(1_000).next(0),
            first,
            "the same values in every run"
        );
    }

    #[test]
    fn values_come_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("payloads");
        fs::write(&path, "one||two||||three").expect("written");
        let mut payloads = Payloads::from_file(&path, b"||").expect("values");
        assert_eq!(payloads.listed(), Some(4));
        let seen: std::collections::BTreeSet<Vec<u8>> =
            (0..200).map(|number| payloads.next(number).to_vec()).collect();
        assert_eq!(
            seen.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            [b"".as_slice(), b"one", b"three", b"two"]
        );
        fs::write(&path, "").expect("written");
        assert!(Payloads::from_file(&path, b"\n").is_err());
        assert_eq!(Payloads::monotonic().next(42), b"42");
    }
}
