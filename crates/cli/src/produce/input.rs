//! Reading: big blocks that end where a record ends.

use super::arguments::Source;
use ottla_formats::fields::Fields;
use ottla_formats::layout::{Found, Layout};
use std::borrow::Cow;
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
    /// Records that a layout found in so many bytes.
    Records(Vec<Fields<'static>>, usize),
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
    /// What says how records follow each other, in place of lines.
    pub(super) layout: Option<Layout>,
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
    let mut numbers = 0..;
    for source in sources {
        let result = match (source, &format.layout) {
            (Source::Stdin, Some(layout)) => {
                read_layout(io::stdin().lock(), layout, format, inputs, &mut numbers)
                    .map_err(|error| (error, "-".into()))
            }
            (Source::Stdin, None) => {
                read_lines(io::stdin().lock(), format, inputs, memory).map_err(|error| (error, "-".into()))
            }
            (Source::File(path), layout) => File::open(path)
                .and_then(|file| match (layout, format.lines) {
                    (Some(layout), _) => read_layout(file, layout, format, inputs, &mut numbers),
                    (None, true) => read_lines(file, format, inputs, memory),
                    (None, false) => read_whole(file, format, inputs),
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

/// Records that are handed over together.
const RECORDS_TOGETHER_MAX: usize = 1_024;

/// Reads what a layout describes. False if the receiver is gone, or what was read is no record.
fn read_layout(
    mut source: impl Read,
    layout: &Layout,
    format: &Format,
    inputs: &SyncSender<Input>,
    numbers: &mut impl Iterator<Item = u64>,
) -> io::Result<bool> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut ended = false;
    loop {
        let (mut records, mut used, mut wrong, mut more) = (Vec::new(), 0, None, false);
        while records.len() < RECORDS_TOGETHER_MAX && wrong.is_none() && !more {
            match layout.read(&buffer[used..], ended) {
                Ok(Found::Record(fields, length)) => {
                    numbers.next();
                    records.push(owned(fields));
                    used += length;
                }
                Ok(Found::Incomplete | Found::End) => more = true,
                Err(reason) => wrong = Some(reason),
            }
        }
        buffer.drain(..used);
        // Whoever waits for what was read gets it before more is waited for.
        if !records.is_empty() && inputs.send(Input::Records(records, used)).is_err() {
            return Ok(false);
        }
        if wrong.is_none() && more && buffer.len() > format.record_bytes_max {
            wrong = Some(format!("it is longer than {} bytes", format.record_bytes_max));
        }
        if let Some(reason) = wrong {
            let number = numbers.next().unwrap_or_default() + 1;
            let _ = inputs.send(Input::Failed(format!("record {number}: {reason}")));
            return Ok(false);
        }
        if more && ended {
            return Ok(true);
        }
        if more {
            let filled = buffer.len();
            buffer.resize(filled + READ_BYTES.max(filled), 0);
            let count = read_some(&mut source, &mut buffer[filled..])?;
            buffer.truncate(filled + count);
            ended = count == 0;
        }
    }
}

/// The same, without the buffer it was read from.
fn owned(fields: Fields<'_>) -> Fields<'static> {
    fn bytes(bytes: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
        Cow::Owned(bytes.into_owned())
    }
    let headers = fields.headers.into_iter();
    Fields {
        key: fields.key.map(bytes),
        value: fields.value.map(bytes),
        headers: headers
            .map(|(name, value)| (Cow::Owned(name.into_owned()), value.map(bytes)))
            .collect(),
        partition: fields.partition,
        timestamp_ms: fields.timestamp_ms,
    }
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
            layout: None,
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

    /// The values of `text`, read step by step; then why reading ended early, if it did.
    fn laid_out(
        layout: &str,
        text: &[u8],
        record_bytes_max: usize,
        step: usize,
    ) -> (Vec<Vec<u8>>, Option<String>) {
        let format = Format {
            lines: true,
            delimiter: b"\n".to_vec(),
            layout: None,
            record_bytes_max,
        };
        let layout = layout.parse().expect("a layout");
        let (sender, receiver) = std::sync::mpsc::sync_channel(100_000);
        let whole =
            read_layout(Trickle(text, step), &layout, &format, &sender, &mut (0..)).expect("readable");
        drop(sender);
        let (mut values, mut failed, mut bytes) = (Vec::new(), None, 0);
        for input in receiver {
            match input {
                Input::Records(records, used) => {
                    bytes += used;
                    values.extend(
                        records
                            .into_iter()
                            .map(|fields| fields.value.unwrap_or_default().into_owned()),
                    );
                }
                Input::Failed(reason) => failed = Some(reason),
                _ => unreachable!("a layout makes records"),
            }
        }
        assert_eq!(whole, failed.is_none());
        assert!(!whole || bytes == text.len());
        (values, failed)
    }

    #[test]
    fn layouts_are_read_however_the_bytes_come() {
        for step in [1, 2, 3, 7, usize::MAX] {
            let (values, failed) = laid_out("%K{byte}%V{byte}%k%v", b"\x01\x02abc\x00\x01d", 100, step);
            assert_eq!((values, failed), (vec![b"bc".to_vec(), b"d".to_vec()], None));
            let (values, failed) = laid_out("%v\n", b"a\nb", 100, step);
            assert_eq!((values, failed), (vec![b"a".to_vec(), b"b".to_vec()], None));
            let (values, failed) = laid_out("<%v>", b"<a><b>c>", 100, step);
            assert_eq!(values.len(), 2);
            assert!(failed.is_some_and(|reason| reason.starts_with("record 3: ")));
        }
        let many: Vec<u8> = (0..5_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        assert_eq!(laid_out("%v\n", &many, 100, 1_000).0.len(), 5_000);
        let (_, failed) = laid_out("%V{big64}%v", &[0x7f; 2_000], 1_000, 100);
        assert!(failed.is_some_and(|reason| reason.starts_with("record 1: it is longer than 1000")));
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
