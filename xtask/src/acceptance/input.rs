//! The lines that are produced: each has a key, is exactly 100 bytes long, and can be told from every other.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// The length of a line, without its end.
const LINE_BYTES: usize = 100;

/// How many different keys there are: enough for every partition to get many, few enough that each has many lines.
const KEYS_MAX: usize = 10_000;

/// Digits of a line's number, which its value begins with.
const NUMBER_DIGITS: usize = 10;

/// What the rest of a value is cut from: neither random (codecs have something to do) nor constant (but not too much).
const FILLER: &str = "Ottla sends what it is given, once, in order, to the partition that Java would choose; \
                      here are 0123456789 digits and some Umlaute: äöüß, and then it begins again. ";

/// A number of lines, each made when it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) lines: usize,
}

impl Input {
    /// The key of a line: 1 to 7 hexadecimal digits, so that every tail of murmur2's four-byte steps occurs.
    pub(crate) fn key(self, line: usize) -> String {
        key(self.key_number(line))
    }

    /// The number of a line's key, below [`Input::keys`].
    pub(crate) fn key_number(self, line: usize) -> usize {
        // A stride that shares no factor with the count visits every key, and neighbours differ.
        line.wrapping_mul(7_919) % self.keys()
    }

    /// All keys that occur.
    pub(crate) fn all_keys(self) -> impl Iterator<Item = String> {
        (0..self.keys()).map(key)
    }

    /// What a line says after its key.
    pub(crate) fn value(self, line: usize) -> String {
        let length = LINE_BYTES - self.key(line).len() - 1;
        let mut value = format!("{line:0NUMBER_DIGITS$} ");
        let start = line % FILLER.chars().count();
        for filler in FILLER.chars().cycle().skip(start) {
            if value.len() + filler.len_utf8() > length {
                break;
            }
            value.push(filler);
        }
        // A two-byte character may not have fitted.
        value.extend(std::iter::repeat_n('.', length - value.len()));
        value
    }

    /// The line that begins a value, if it is one of ours.
    pub(crate) fn line_of(self, value: &str) -> Option<usize> {
        let line = value.get(..NUMBER_DIGITS)?.parse().ok()?;
        (line < self.lines).then_some(line)
    }

    /// A whole line: key, tab, value, end.
    pub(crate) fn text(self, line: usize) -> String {
        format!("{}\t{}\n", self.key(line), self.value(line))
    }

    /// Writes all lines to a file.
    pub(crate) fn write(self, path: &Path) -> anyhow::Result<()> {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            (0..self.lines).try_for_each(|line| file.write_all(self.text(line).as_bytes()))?;
            file.flush()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// How many keys there are.
    pub(crate) fn keys(self) -> usize {
        (self.lines / 20).clamp(1, KEYS_MAX)
    }
}

fn key(number: usize) -> String {
    format!("{:x}", number * number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_has_a_hundred_bytes_and_is_known_again() {
        let input = Input { lines: 5_000 };
        for line in 0..input.lines {
            let text = input.text(line);
            assert_eq!(text.len(), LINE_BYTES + 1, "{text}");
            assert_eq!(input.line_of(&input.value(line)), Some(line));
        }
    }

    #[test]
    fn every_key_occurs() {
        let input = Input { lines: 20_000 };
        let used: BTreeSet<_> = (0..input.lines).map(|line| input.key(line)).collect();
        let all: BTreeSet<_> = input.all_keys().collect();
        assert_eq!(used, all);
        assert_eq!(all.len(), input.keys());
    }

    #[test]
    fn a_value_of_another_is_not_ours() {
        let input = Input { lines: 10 };
        assert_eq!(input.line_of("0000000010 too far"), None);
        assert_eq!(input.line_of("short"), None);
        assert_eq!(input.line_of("äöüßäöü"), None);
    }
}
