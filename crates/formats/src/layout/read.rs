//! Reading records by the steps of a layout.

use super::{Code, Encoding, Extent, Found, Layout, Number, Step, Text};
use crate::fields::Fields;
use std::borrow::Cow;

/// More headers than this are not a record's but a number that was misread.
const HEADERS_MAX: u64 = 1 << 16;

impl Layout {
    /// Reads the record at the beginning of `bytes`; `ended` says that nothing follows them.
    ///
    /// # Errors
    /// What is there is no record of this layout. The text is for people.
    pub fn read<'a>(&self, bytes: &'a [u8], ended: bool) -> Result<Found<'a>, String> {
        if bytes.is_empty() {
            return Ok(if ended { Found::End } else { Found::Incomplete });
        }
        let mut reader = Reader {
            bytes,
            at: 0,
            ended,
            lengths: [0; 2],
            headers: 0,
            fields: Fields::default(),
        };
        match reader.steps(&self.steps, true) {
            // Whatever a step could not find, more bytes may bring.
            Err(Stop::Missing) if !ended => Ok(Found::Incomplete),
            Err(Stop::Missing) => Err("the input ends in the middle of a record".to_owned()),
            Err(Stop::Wrong(reason)) => Err(reason),
            Ok(()) if reader.at == 0 => Err("the layout found a record of no bytes".to_owned()),
            Ok(()) => Ok(Found::Record(reader.fields, reader.at)),
        }
    }
}

/// Why a step did not succeed.
enum Stop {
    /// The bytes end too early.
    Missing,
    Wrong(String),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
    /// Of key and value.
    lengths: [usize; 2],
    headers: u64,
    fields: Fields<'a>,
}

impl<'a> Reader<'a> {
    /// `last` says that the record ends with these steps.
    fn steps(&mut self, steps: &[Step], last: bool) -> Result<(), Stop> {
        for (index, step) in steps.iter().enumerate() {
            let last = last && index + 1 == steps.len();
            match step {
                Step::Literal(literal) => {
                    let found = self.take(literal.len())?;
                    if found != literal.as_slice() {
                        return Err(Stop::Wrong(format!(
                            "\"{}\" stands there, and the layout says \"{}\"",
                            found.escape_ascii(),
                            literal.escape_ascii()
                        )));
                    }
                }
                Step::Number(number, encoding) => {
                    let value = self.number(*encoding, last)?;
                    self.keep(*number, value)?;
                }
                Step::Text(text, extent, code) => {
                    let bytes = self.extent(*text, extent, last)?;
                    let bytes = decode(bytes, *code).map_err(Stop::Wrong)?;
                    match text {
                        // An empty key is none, as franz-go has it; an empty value is one.
                        Text::Key => self.fields.key = Some(bytes).filter(|bytes| !bytes.is_empty()),
                        Text::Value => self.fields.value = Some(bytes),
                    }
                }
                Step::Headers(steps) => self.headers(steps)?,
            }
        }
        Ok(())
    }

    fn headers(&mut self, steps: &[Step]) -> Result<(), Stop> {
        if self.headers > HEADERS_MAX {
            return Err(Stop::Wrong(format!(
                "{} headers are more than a record may have here ({HEADERS_MAX})",
                self.headers
            )));
        }
        let outer = (self.fields.key.take(), self.fields.value.take());
        for _ in 0..self.headers {
            let lengths = self.lengths;
            self.steps(steps, false)?;
            self.lengths = lengths;
            let name = self.fields.key.take().unwrap_or_default().into_owned();
            let name = String::from_utf8(name)
                .map_err(|_| Stop::Wrong("a header's name is not UTF-8".to_owned()))?;
            let value = self.fields.value.take();
            self.fields.headers.push((Cow::Owned(name), value));
        }
        (self.fields.key, self.fields.value) = outer;
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(Stop::Missing)?;
        self.at += count;
        Ok(taken)
    }

    fn extent(&mut self, text: Text, extent: &Extent, last: bool) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        match extent {
            Extent::Length => self.take(self.lengths[text as usize]),
            Extent::Rest if self.ended => self.take(rest.len()),
            Extent::Rest => Err(Stop::Missing),
            Extent::Delimiter(delimiter) => match memchr::memmem::find(rest, delimiter) {
                Some(end) => {
                    self.at += end + delimiter.len();
                    Ok(&rest[..end])
                }
                // The last record need not be ended.
                None if self.ended && last => self.take(rest.len()),
                None => Err(Stop::Missing),
            },
        }
    }

    fn number(&mut self, encoding: Encoding, last: bool) -> Result<u64, Stop> {
        match encoding {
            Encoding::Constant(value) => Ok(value),
            Encoding::Big(count) => Ok(fold(self.take(count)?.iter())),
            Encoding::Little(count) => Ok(fold(self.take(count)?.iter().rev())),
            Encoding::Hexadecimal(count) => digits(self.take(count)?, 16),
            Encoding::Decimal => {
                let rest = &self.bytes[self.at..];
                let end = rest.iter().position(|byte| !byte.is_ascii_digit());
                let end = match end {
                    Some(end) => end,
                    None if self.ended && last => rest.len(),
                    None => return Err(Stop::Missing),
                };
                digits(self.take(end)?, 10)
            }
        }
    }

    fn keep(&mut self, number: Number, value: u64) -> Result<(), Stop> {
        let large = |what: &str| Stop::Wrong(format!("{what} {value} is too large"));
        match number {
            Number::KeyLength => {
                self.lengths[Text::Key as usize] = usize::try_from(value).map_err(|_| large("the length"))?;
            }
            Number::ValueLength => {
                self.lengths[Text::Value as usize] =
                    usize::try_from(value).map_err(|_| large("the length"))?;
            }
            Number::Headers => self.headers = value,
            Number::Partition => {
                self.fields.partition = Some(i32::try_from(value).map_err(|_| large("the partition"))?);
            }
            Number::Timestamp => {
                self.fields.timestamp_ms = Some(i64::try_from(value).map_err(|_| large("the timestamp"))?);
            }
            Number::Ignored => {}
        }
        Ok(())
    }
}

fn fold<'b>(bytes: impl Iterator<Item = &'b u8>) -> u64 {
    bytes.fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn digits(digits: &[u8], base: u32) -> Result<u64, Stop> {
    let wrong = || Stop::Wrong(format!("\"{}\" is not a number", digits.escape_ascii()));
    let text = std::str::from_utf8(digits).map_err(|_| wrong())?;
    // The standard library takes a sign too.
    if !text.chars().all(|digit| digit.is_digit(base)) {
        return Err(wrong());
    }
    u64::from_str_radix(text, base).map_err(|_| wrong())
}

fn decode(bytes: &[u8], code: Code) -> Result<Cow<'_, [u8]>, String> {
    let decoded = match code {
        Code::Plain => return Ok(Cow::Borrowed(bytes)),
        Code::Hexadecimal => hexadecimal(bytes),
        Code::Base64 => base64(bytes),
    };
    let name = if code == Code::Base64 { "base64" } else { "hex" };
    let shown = &bytes[..bytes.len().min(40)];
    decoded
        .map(Cow::Owned)
        .ok_or_else(|| format!("\"{}\" is not {name}", shown.escape_ascii()))
}

fn hexadecimal(bytes: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

/// The standard alphabet with its padding; ends of lines are passed over.
fn base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let text: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in &text[..text.len() - padding] {
        bits = bits << 6 | u32::from(value(byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of `input`, shown as `key=value[headers]@partition/timestamp`; the same must come of every prefix.
    fn records(layout: &str, input: &[u8]) -> Result<Vec<String>, String> {
        let layout: Layout = layout.parse().unwrap_or_else(|error| panic!("{layout}: {error}"));
        let mut rest = input;
        let mut shown = Vec::new();
        loop {
            match layout.read(rest, true)? {
                Found::End => return Ok(shown),
                Found::Incomplete => panic!("the input has ended"),
                Found::Record(fields, used) => {
                    // With the beginning alone a record is the same, or not yet there.
                    for end in 0..rest.len() {
                        match layout.read(&rest[..end], false) {
                            Ok(Found::Incomplete) => {}
                            Ok(Found::Record(early, length)) => assert_eq!((&early, length), (&fields, used)),
                            other => panic!("{other:?} after {end} bytes"),
                        }
                    }
                    shown.push(show(&fields));
                    rest = &rest[used..];
                }
            }
        }
    }

    fn show(fields: &Fields<'_>) -> String {
        let text = |bytes: &Option<Cow<'_, [u8]>>| match bytes {
            Some(bytes) => bytes.escape_ascii().to_string(),
            None => "null".to_owned(),
        };
        let mut shown = format!("{}={}", text(&fields.key), text(&fields.value));
        for (name, value) in &fields.headers {
            shown.push_str(&format!(" {name}:{}", text(value)));
        }
        if let Some(partition) = fields.partition {
            shown.push_str(&format!(" p{partition}"));
        }
        if let Some(timestamp) = fields.timestamp_ms {
            shown.push_str(&format!(" t{timestamp}"));
        }
        shown
    }

    #[test]
    fn records_are_read() {
        #[track_caller]
        fn check(layout: &str, input: &[u8], expected: &[&str]) {
            assert_eq!(
                records(layout, input),
                Ok(expected.iter().map(|&e| e.to_owned()).collect()),
                "{layout}"
            );
        }
        check("%v\\n", b"a\n\nb", &["null=a", "null=", "null=b"]);
        check("%k %v\n", b"a b c\n d\n", &["a=b c", "null=d"]);
        check("%v", b"a\nb\n", &["null=a\\nb\\n"]);
        check(
            "%K{byte}%V{big16}%k%v",
            b"\x01\x00\x02abc\x00\x00\x00",
            &["a=bc", "null="],
        );
        check("%V{little32}%v", b"\x03\0\0\0abc", &["null=abc"]);
        check("%V{3}%v", b"abcdef", &["null=abc", "null=def"]);
        check("%K %V %k%v\n", b"1 2 abc\n", &["a=bc"]);
        check(
            "%k{hex}:%v{base64}\n",
            b"00ff:aGk=\n:\n",
            &["\\x00\\xff=hi", "null="],
        );
        check("%V{hex4}%v{base64}", b"4YQ==4YWI=", &["null=a", "null=ab"]);
        check(
            "%p %d %o %v\n",
            b"3 1700000000000 9 x\n",
            &["null=x p3 t1700000000000"],
        );
        check(
            "%k %H %h{%k=%v }%v\n",
            b"a 2 h=v g= b\nc 0 d\n",
            &["a=b h:v g:", "c=d"],
        );
        check(
            "%H{big8}%h{%K{big8}%V{big8}%k%v}%V{big8}%v",
            b"\x01\x01\x02hvw\x01x",
            &["null=x h:vw"],
        );
        check("{%%%v%}", b"", &[]);
        check("%{%%%v%}", b"{%a}{%b}", &["null=a", "null=b"]);
        check("%v %p", b"a 12", &["null=a p12"]);
    }

    #[test]
    fn what_is_no_record_is_said() {
        #[track_caller]
        fn check(layout: &str, input: &[u8], part: &str) {
            let error = records(layout, input).expect_err(layout);
            assert!(error.contains(part), "{layout}: {error}");
        }
        check("%k %v\n", b"ab", "middle of a record");
        check("%V{3}%v", b"ab", "middle of a record");
        check("<%v>", b"x", "\"x\" stands there, and the layout says \"<\"");
        check("%V %v", b"x a", "\"\" is not a number");
        check("%V{hex8}%v", b"+1a", "not a number");
        check("%V %v", b"99999999999999999999 a", "not a number");
        check(
            "%p %v\n",
            b"3000000000 a\n",
            "the partition 3000000000 is too large",
        );
        check("%v{hex}\n", b"abc\n", "is not hex");
        check("%v{base64}\n", b"a\n", "is not base64");
        check("%v{base64}\n", b"a===\n", "is not base64");
        check("%H %h{%k }%v\n", b"9999999 a b\n", "headers are more");
        check("%H{1}%h{%k }%v\n", b"\xff v\n", "not UTF-8");
        check("%V{big64}%v", &[0xff; 9], "");
    }
}
