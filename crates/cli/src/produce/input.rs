//! Reading: big blocks that end where a record ends.

use super::arguments::Source;
use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender};

/// How much is asked for at once: large enough that a system call costs nothing for each record, small enough that
/// the blocks on their way stay in the cache.
const READ_BYTES: usize = 256 << 10;
/// Blocks that wait for the sender; with it, the memory of the input is bounded.
pub(super) const BLOCKS_WAITING_MAX: usize = 4;

/// What the reader hands over, in order.
pub(super) enum Input {
    /// Whole records, each ended by the delimiter but for perhaps the last of a source.
    Lines(Block),
    /// One record: a whole file.
    Whole(Vec<u8>),
    /// A record that is longer than any that could be sent; it was skipped.
    TooLong,
    /// A source cannot be read; nothing follows.
    Failed(String),
    /// All sources are read.
    End,
    /// A signal came.
    Interrupted,
}

/// A buffer, filled up to some point. Its memory goes back to the reader.
pub(super) struct Block {
    bytes: Vec<u8>,
    filled: usize,
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The memory, to be used again.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }
}

/// How sources become records.
pub(super) struct Format {
    /// Whether files are read as lines.
    pub(super) lines: bool,
    pub(super) delimiter: Vec<u8>,
    /// The longest record in bytes.
    pub(super) record_bytes_max: usize,
}

/// Reads all sources and hands over what they hold, until the receiver is gone.
pub(super) fn read(
    sources: &[Source],
    format: &Format,
    inputs: &SyncSender<Input>,
    memory: &Receiver<Vec<u8>>,
) {
    for source in sources {
        let result = match source {
            Source::Stdin => {
                read_lines(io::stdin().lock(), format, inputs, memory).map_err(|error| (error, "-".into()))
            }
            Source::File(path) => File::open(path)
                .and_then(|file| match format.lines {
                    true => read_lines(file, format, inputs, memory),
                    false => read_whole(file, format, inputs),
                })
                .map_err(|error| (error, path.display().to_string())),
        };
        match result {
            Ok(true) => {}
            Ok(false) => return,
            Err((error, name)) => {
                let _ = inputs.send(Input::Failed(format!("cannot read {name}: {error}")));
                return;
            }
        }
    }
    let _ = inputs.send(Input::End);
}

/// False if the receiver is gone.
fn read_lines(
    source: impl Read,
    format: &Format,
    inputs: &SyncSender<Input>,
    memory: &Receiver<Vec<u8>>,
) -> io::Result<bool> {
    let mut lines = Lines::new(source, format);
    while let Some(input) = lines.next(memory.try_recv().unwrap_or_default())? {
        if inputs.send(input).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read_whole(file: File, format: &Format, inputs: &SyncSender<Input>) -> io::Result<bool> {
    let mut bytes = Vec::new();
    let limit = format.record_bytes_max;
    file.take((limit as u64).saturating_add(1))
        .read_to_end(&mut bytes)?;
    let input = if bytes.len() > limit {
        Input::TooLong
    } else {
        Input::Whole(bytes)
    };
    Ok(inputs.send(input).is_ok())
}

/// Cuts a stream into blocks that end with a delimiter.
struct Lines<'a, R> {
    source: R,
    format: &'a Format,
    /// What was read behind the last block: the beginning of a record, or after a skipped record, more than one.
    rest: Vec<u8>,
    ended: bool,
}

impl<'a, R: Read> Lines<'a, R> {
    fn new(source: R, format: &'a Format) -> Lines<'a, R> {
        Lines {
            source,
            format,
            rest: Vec::new(),
            ended: false,
        }
    }

    /// The next block, in `memory`, which may hold anything.
    fn next(&mut self, mut memory: Vec<u8>) -> io::Result<Option<Input>> {
        if self.ended && self.rest.is_empty() {
            return Ok(None);
        }
        let mut filled = self.rest.len();
        memory.resize(memory.len().max(filled + READ_BYTES), 0);
        memory[..filled].copy_from_slice(&self.rest);
        self.rest.clear();
        let overlap = self.format.delimiter.len() - 1;
        let mut searched = 0;
        loop {
            if let Some(end) = self.last_end(&memory[searched..filled]) {
                let end = searched + end;
                self.rest.extend_from_slice(&memory[end..filled]);
                return Ok(Some(Input::Lines(Block {
                    bytes: memory,
                    filled: end,
                })));
            }
            searched = filled.saturating_sub(overlap);
            if filled > self.format.record_bytes_max + overlap {
                return self.skip(memory, searched, filled).map(Some);
            }
            if memory.len() - filled < READ_BYTES {
                memory.resize(filled + READ_BYTES.max(filled), 0);
            }
            match read_some(&mut self.source, &mut memory[filled..])? {
                0 => {
                    self.ended = true;
                    let last = (filled > 0).then_some(Input::Lines(Block {
                        bytes: memory,
                        filled,
                    }));
                    return Ok(last);
                }
                count => filled += count,
            }
        }
    }

    /// Reads on to the end of a record that is too long and keeps what follows it.
    fn skip(&mut self, mut memory: Vec<u8>, searched: usize, filled: usize) -> io::Result<Input> {
        let overlap = self.format.delimiter.len() - 1;
        memory.copy_within(searched..filled, 0);
        let mut filled = filled - searched;
        loop {
            match read_some(&mut self.source, &mut memory[filled..filled + READ_BYTES])? {
                0 => {
                    self.ended = true;
                    return Ok(Input::TooLong);
                }
                count => filled += count,
            }
            if let Some(start) = memchr::memmem::find(&memory[..filled], &self.format.delimiter) {
                self.rest.extend_from_slice(&memory[start + overlap + 1..filled]);
                return Ok(Input::TooLong);
            }
            memory.copy_within(filled - overlap.min(filled)..filled, 0);
            filled = overlap.min(filled);
        }
    }

    /// Where the last delimiter in these bytes ends, read from the front: `|||` holds `||` and one more `|`.
    fn last_end(&self, bytes: &[u8]) -> Option<usize> {
        let delimiter = &self.format.delimiter;
        match **delimiter {
            [byte] => memchr::memrchr(byte, bytes).map(|at| at + 1),
            _ => memchr::memmem::find_iter(bytes, delimiter)
                .last()
                .map(|at| at + delimiter.len()),
        }
    }
}

/// `read`, but for signals.
fn read_some(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The records of a block, without their delimiters.
pub(super) fn records<'a>(bytes: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let finder = memchr::memmem::Finder::new(delimiter);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = match *delimiter {
            [byte] => memchr::memchr(byte, rest),
            _ => finder.find(rest),
        };
        let (record, after) = match at {
            Some(at) => (&rest[..at], &rest[at + delimiter.len()..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that gives at most so many bytes at once.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(bytes.len());
            let (now, later) = self.0.split_at(count);
            bytes[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    /// The records of `text`, read `step` bytes at a time; `None` for one that is too long.
    fn cut(text: &[u8], delimiter: &[u8], record_bytes_max: usize, step: usize) -> Vec<Option<Vec<u8>>> {
        let format = Format {
            lines: true,
            delimiter: delimiter.to_vec(),
            record_bytes_max,
        };
        let mut lines = Lines::new(Trickle(text, step), &format);
        let mut found = Vec::new();
        // Used memory holds what must not show.
        let mut memory = vec![b'\n'; 10];
        while let Some(input) = lines.next(memory).expect("readable") {
            memory = Vec::new();
            match input {
                Input::Lines(block) => {
                    assert!(!block.bytes().is_empty());
                    found.extend(records(block.bytes(), delimiter).map(|record| Some(record.to_vec())));
                    memory = block.into_memory();
                }
                _ => found.push(None),
            }
        }
        found
    }

    #[track_caller]
    fn check(text: &str, delimiter: &str, expected: &[&str]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|record| Some(record.as_bytes().to_vec()))
            .collect();
        for step in [1, 2, 3, 7, usize::MAX] {
            assert_eq!(
                cut(text.as_bytes(), delimiter.as_bytes(), 100, step),
                expected,
                "{text:?} by {step}"
            );
        }
    }

    #[test]
    fn records_end_with_the_delimiter() {
        check("", "\n", &[]);
        check("a", "\n", &["a"]);
        check("a\n", "\n", &["a"]);
        check("a\n\nb\n", "\n", &["a", "", "b"]);
        check("\n", "\n", &[""]);
        check("a\r\nb", "\n", &["a\r", "b"]);
        check("a||b|c||", "||", &["a", "b|c"]);
        check("a|||b", "||", &["a", "|b"]);
        check("aXYaXYXY", "aXY", &["", "", "XY"]);
    }

    #[test]
    fn records_that_are_too_long_are_skipped() {
        for delimiter in [b"\n".as_slice(), b"\r\n"] {
            for step in [1, 3, usize::MAX] {
                let join = |parts: &[&[u8]]| parts.concat();
                let long = vec![b'x'; 600_000];
                let text = join(&[
                    b"a", delimiter, &long, delimiter, b"b", delimiter, b"c", delimiter, &long,
                ]);
                let step = if step == usize::MAX { step } else { step * 1_000 };
                let found = cut(&text, delimiter, 1_000, step);
                let short = |text: &[u8]| Some(text.to_vec());
                let expected = [short(b"a"), None, short(b"b"), short(b"c"), None];
                // Read at once, the whole text up to its last delimiter may come as one block.
                let shape: Vec<_> = found
                    .iter()
                    .map(|record| record.clone().filter(|bytes| bytes.len() <= 1_000))
                    .collect();
                assert_eq!(shape, expected, "by {step}");
            }
        }
    }
}
