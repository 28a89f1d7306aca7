//! `.properties` files, read exactly as `java.util.Properties` reads them.
//!
//! A file is cut into natural lines (ended by `\n`, `\r` or both). Blank ones and those whose first visible character is
//! `#` or `!` are skipped; a line that ends in an odd number of backslashes goes on in the next one, whose leading white
//! space is dropped. A logical line is a key, a separator (`=`, `:` or white space) and a value, with the escapes `\t`,
//! `\n`, `\r`, `\f`, `\uXXXX`; a backslash before any other character stands for that character.

use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while_m_n};
use nom::character::complete::{anychar, char, none_of, one_of};
use nom::combinator::{all_consuming, cut, map_res, opt, value};
use nom::multi::fold_many0;
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};
use std::fmt;

/// The entries of a `.properties` file, in their order. Where a key is repeated, the last one wins.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<Property>,
}

/// One entry of a `.properties` file.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property {
    /// The key; it may be empty.
    pub key: String,
    /// The value, untrimmed at its end, as in Java.
    pub value: String,
    /// The line on which the entry begins, from 1.
    pub line: usize,
}

impl Properties {
    /// Reads a file's bytes as ISO-8859-1, one character for each byte: what `Properties.load(InputStream)` does and
    /// with it every tool of Kafka. Other characters are written as `\uXXXX`.
    ///
    /// # Errors
    /// A malformed `\uXXXX`, or half of a surrogate pair, with its line.
    pub fn from_latin_1(bytes: &[u8]) -> Result<Properties, PropertiesError> {
        let text: String = bytes.iter().copied().map(char::from).collect();
        Properties::from_text(&text)
    }

    /// Reads text that is decoded already, as `Properties.load(Reader)` does.
    ///
    /// # Errors
    /// A malformed `\uXXXX`, or half of a surrogate pair, with its line.
    pub fn from_text(text: &str) -> Result<Properties, PropertiesError> {
        let mut entries = Vec::new();
        for line in LogicalLines::new(text) {
            let (key, value) = entry(&line.text).map_err(|reason| PropertiesError {
                line: line.number,
                reason,
            })?;
            entries.push(Property {
                key,
                value,
                line: line.number,
            });
        }
        Ok(Properties { entries })
    }

    /// The entries, in the order of the file, repeated keys included.
    pub fn entries(&self) -> &[Property] {
        &self.entries
    }

    /// The value of `key`: the last one, if it is repeated.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value.as_str())
    }
}

impl fmt::Debug for Properties {
    /// Names the keys only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property")
            .field("key", &self.key)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// A `.properties` file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    line: usize,
    reason: &'static str,
}

impl PropertiesError {
    /// The line on which the entry begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &str {
        self.reason
    }
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for PropertiesError {}

/// A line without its continuations; escapes still stand.
struct LogicalLine {
    number: usize,
    text: String,
}

/// Joins natural lines and drops blank ones and comments.
struct LogicalLines<'a> {
    rest: &'a str,
    number: usize,
}

struct NaturalLine<'a> {
    text: &'a str,
    /// Whether nothing follows its first terminator; for Java, the second half of `\r\n` is something.
    is_last: bool,
}

impl<'a> LogicalLines<'a> {
    fn new(text: &'a str) -> LogicalLines<'a> {
        LogicalLines {
            rest: text,
            number: 0,
        }
    }

    fn natural_line(&mut self) -> Option<NaturalLine<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let text = self.rest;
        let end = text.find(['\n', '\r']).unwrap_or(text.len());
        let terminator = match &text.as_bytes()[end..] {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        self.rest = &text[end + terminator..];
        let is_last = self.rest.is_empty() && terminator < 2;
        Some(NaturalLine {
            text: text[..end].trim_start_matches(is_space),
            is_last,
        })
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        let mut line: Option<LogicalLine> = None;
        while let Some(natural) = self.natural_line() {
            let is_first = line.as_ref().is_none_or(|line| line.text.is_empty());
            // While nothing but backslashes has been read, Java still sees the beginning of a line: a comment or a
            // blank line is skipped there, even after a continuation.
            if is_first && (natural.text.is_empty() || natural.text.starts_with(['#', '!'])) {
                continue;
            }
            let current = line.get_or_insert_with(|| LogicalLine {
                number: self.number,
                text: String::new(),
            });
            match without_continuation(natural.text) {
                Some(part) => current.text.push_str(part),
                None => {
                    current.text.push_str(natural.text);
                    return line;
                }
            }
            if natural.is_last {
                // A line that nothing continues is an entry, even an empty one.
                return line;
            }
        }
        // Without such a last line, what consisted of backslashes only is none.
        line.filter(|line| !line.text.is_empty())
    }
}

/// The line without the backslash that continues it, if there is one.
fn without_continuation(natural: &str) -> Option<&str> {
    let backslashes = natural.bytes().rev().take_while(|&byte| byte == b'\\').count();
    (backslashes % 2 == 1).then(|| &natural[..natural.len() - 1])
}

/// The white space of the format; a vertical tab and whatever lies beyond ASCII are not part of it.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

fn entry(line: &str) -> Result<(String, String), &'static str> {
    let separator = (take_while(is_space), opt(one_of("=:")), take_while(is_space));
    let key = text_of(none_of("\\=: \t\u{c}"));
    let value = text_of(none_of("\\"));
    match all_consuming(separated_pair(key, separator, value)).parse(line) {
        Ok((_, (key, value))) => Ok((joined(&key)?, joined(&value)?)),
        // Every other text is an entry.
        Err(_) => Err("malformed \\uXXXX escape: four hexadecimal digits have to follow"),
    }
}

/// UTF-16 as in Java, because an escape may write one half of a character beyond the first plane.
fn text_of<'a, P>(plain: P) -> impl Parser<&'a str, Output = Vec<u16>, Error = nom::error::Error<&'a str>>
where
    P: Parser<&'a str, Output = char, Error = nom::error::Error<&'a str>>,
{
    fold_many0(
        alt((plain.map(Piece::Character), escaped)),
        Vec::new,
        |mut units, piece| {
            match piece {
                Piece::Unit(unit) => units.push(unit),
                Piece::Character(character) => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
            }
            units
        },
    )
}

#[derive(Clone)]
enum Piece {
    Character(char),
    Unit(u16),
}

fn escaped(text: &str) -> IResult<&str, Piece> {
    let digits = take_while_m_n(4, 4, |character: char| character.is_ascii_hexdigit());
    let unit = map_res(digits, |digits| u16::from_str_radix(digits, 16));
    let control = |letter, character| value(Piece::Character(character), char(letter));
    let escape = alt((
        preceded(char('u'), cut(unit)).map(Piece::Unit),
        control('t', '\t'),
        control('n', '\n'),
        control('r', '\r'),
        control('f', '\u{c}'),
        anychar.map(Piece::Character),
    ));
    preceded(char('\\'), escape).parse(text)
}

fn joined(units: &[u16]) -> Result<String, &'static str> {
    String::from_utf16(units)
        .map_err(|_| "half of a surrogate pair: a \\uD8XX to \\uDFXX escape without the other half")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, usize)]) {
        let properties = Properties::from_text(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let found: Vec<_> = properties
            .entries()
            .iter()
            .map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn separators() {
        check("a=b", &[("a", "b", 1)]);
        check("a:b\rc d\r\ne\tf", &[("a", "b", 1), ("c", "d", 2), ("e", "f", 3)]);
        check(" a = b = c \n", &[("a", "b = c ", 1)]);
        check("a ==b", &[("a", "=b", 1)]);
        check("a b:c", &[("a", "b:c", 1)]);
        check("a\u{c}:\u{c}b", &[("a", "b", 1)]);
        check("a", &[("a", "", 1)]);
        check("=b", &[("", "b", 1)]);
        check("a\u{b}=b", &[("a\u{b}", "b", 1)]);
    }

    #[test]
    fn blank_lines_and_comments() {
        check("\n  \t\n# a=b\n ! c=d \\\ne=f", &[("e", "f", 5)]);
        check("a=b # c", &[("a", "b # c", 1)]);
        check("", &[]);
        check("\u{b}", &[("\u{b}", "", 1)]);
    }

    #[test]
    fn continuations() {
        check("a=b,\\\n   c,\\\r\n\td\ne=f", &[("a", "b,c,d", 1), ("e", "f", 4)]);
        check("a=b\\\\\nc=d", &[("a", "b\\", 1), ("c", "d", 2)]);
        check("a=b\\\\\\\nc", &[("a", "b\\c", 1)]);
        check("a=\\\n# no comment", &[("a", "# no comment", 1)]);
        check("a=b\\\n\nc=d", &[("a", "b", 1), ("c", "d", 3)]);
        check("a=b\\", &[("a", "b", 1)]);
        // Java's quirks at the beginning of a line.
        check("\\\n# a comment\na=b", &[("a", "b", 1)]);
        check("\\", &[("", "", 1)]);
        check("\\\n", &[("", "", 1)]);
        check("\\\n\n", &[]);
        check("\\\r", &[("", "", 1)]);
        check("\\\r\n", &[]);
    }

    #[test]
    fn escapes() {
        check(r"a\=b\:c\ d=e", &[("a=b:c d", "e", 1)]);
        check(r"a=\t\n\r\f\b\q\\\u00e9", &[("a", "\t\n\r\u{c}bq\\é", 1)]);
        check(r"\u0061=\u003d\UD83D", &[("a", "=UD83D", 1)]);
        check(r"a=\ud83d\uDE00", &[("a", "\u{1f600}", 1)]);
        check("a=\\\u{1f600}", &[("a", "\u{1f600}", 1)]);
        check(r"\#a=b", &[("#a", "b", 1)]);
    }

    #[test]
    fn malformed_escapes_name_their_line() {
        for (text, line) in [
            ("a=b\n\nc=\\u12", 3),
            ("a=\\u00g0", 1),
            ("\\uu0041=b", 1),
            ("a=\\ud83d", 1),
            ("a=\\ude00\\ud83d", 1),
        ] {
            let error = Properties::from_text(text).expect_err(text);
            assert_eq!(error.line(), line, "{text:?}: {error}");
        }
    }

    #[test]
    fn later_values_win_and_bytes_are_latin_1() {
        let properties = Properties::from_latin_1(b"a=1\na=\xe9\xc3\xa9\n").expect("valid");
        assert_eq!(properties.value("a"), Some("\u{e9}\u{c3}\u{a9}"));
        assert_eq!(properties.value("b"), None);
        assert_eq!(properties.entries().len(), 2);
    }

    #[test]
    fn values_stay_out_of_debug() {
        let properties = Properties::from_text("ssl.key.password=canary").expect("valid");
        assert!(!format!("{properties:?}").contains("canary"));
    }

    /// As `Properties.store` writes a key or a value, every character that could mean something escaped.
    fn escaped(text: &str) -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
    }

    proptest::proptest! {
        #[test]
        fn any_text_reads_back(key: String, value: String, comment in "[^\r\n]*") {
            let text = format!("#{comment}\n{}={}\r\n", escaped(&key), escaped(&value));
            let properties = Properties::from_text(&text).expect("valid");
            proptest::prop_assert_eq!(properties.entries().len(), 1);
            proptest::prop_assert_eq!(&properties.entries()[0].key, &key);
            proptest::prop_assert_eq!(&properties.entries()[0].value, &value);
        }

        #[test]
        fn any_bytes_end_in_entries_or_an_error_with_a_line(bytes: Vec<u8>) {
            let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n' || byte == b'\r').count();
            match Properties::from_latin_1(&bytes) {
                Ok(properties) => {
                    let numbers: Vec<_> = properties.entries().iter().map(|entry| entry.line).collect();
                    proptest::prop_assert!(numbers.is_sorted() && numbers.iter().all(|&line| (1..=lines).contains(&line)));
                }
                Err(error) => proptest::prop_assert!((1..=lines).contains(&error.line())),
            }
        }
    }
}
