//! `sasl.jaas.config`: one entry of a JAAS file, as Java's clients have their credentials.
//!
//! ```text
//! org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="alice-secret";
//! ```
//!
//! The grammar is that of Java's `JaasConfig`, which reads with a `StreamTokenizer`: a class, a flag in any case, options,
//! a semicolon; comments as in C, and from a single `/` to the end of the line. Values are quoted with `"` or `'` and have
//! C's escapes, or are words that begin with a letter. A quote that is never closed is an error here; Java takes what is
//! there.
//!
//! Nothing of an entry but known names shows in an error: whatever else is in it may be a secret in the wrong place.

use super::Secret;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_until, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{opt, recognize, value};
use nom::error::ErrorKind;
use nom::multi::many0_count;
use nom::sequence::preceded;
use nom::{IResult, Parser as _};
use std::fmt;

/// An entry is not longer than this, in bytes: a token may be in it.
const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// More options than any login module has.
const OPTIONS_MAX: usize = 256;

/// One entry: a login module with its options.
#[derive(Clone, PartialEq, Eq)]
pub struct JaasEntry {
    module: String,
    options: Vec<(String, Secret)>,
}

/// The login modules that have a meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginModule {
    /// Kafka's for PLAIN.
    Plain,
    /// Kafka's for SCRAM.
    Scram,
    /// Kafka's for OAUTHBEARER.
    OauthBearer,
    /// Amazon's for AWS_MSK_IAM.
    MskIam,
    /// Java's for Kerberos (GSSAPI), which is not built in.
    Kerberos,
}

const MODULES: [(&str, LoginModule); 5] = [
    (
        "org.apache.kafka.common.security.plain.PlainLoginModule",
        LoginModule::Plain,
    ),
    (
        "org.apache.kafka.common.security.scram.ScramLoginModule",
        LoginModule::Scram,
    ),
    (
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
        LoginModule::OauthBearer,
    ),
    ("software.amazon.msk.auth.iam.IAMLoginModule", LoginModule::MskIam),
    (
        "com.sun.security.auth.module.Krb5LoginModule",
        LoginModule::Kerberos,
    ),
];

/// What is wrong with an entry; nothing of its text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JaasError {
    /// There is nothing in it.
    Empty,
    /// It is longer than 256 KiB or has more than 256 options.
    TooLong,
    /// It does not begin with the name of a class.
    Module,
    /// The class is not one of those that are known here.
    UnknownModule,
    /// The flag after the class is missing or none of the four.
    Flag,
    /// An option has no name where one is due.
    OptionName {
        /// Which option, from 1.
        number: usize,
    },
    /// An option has no value.
    OptionValue {
        /// Which option, from 1.
        number: usize,
    },
    /// A quote is not closed on its line.
    OpenQuote,
    /// A comment is not closed.
    OpenComment,
    /// The semicolon at the end is missing.
    NoSemicolon,
    /// Something comes after the semicolon.
    SecondEntry,
}

impl JaasEntry {
    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// It is not one entry by the grammar.
    pub fn parse(text: &str) -> Result<JaasEntry, JaasError> {
        if text.len() > ENTRY_BYTES_MAX {
            return Err(JaasError::TooLong);
        }
        let rest = skip(text)?;
        if rest.is_empty() {
            return Err(JaasError::Empty);
        }
        let (rest, module) = token(rest)?.ok_or(JaasError::Module)?;
        let (mut rest, flag) = token(skip(rest)?)?.ok_or(JaasError::Flag)?;
        let flags = ["required", "requisite", "sufficient", "optional"];
        if !flags
            .iter()
            .any(|known| known.eq_ignore_ascii_case(flag.reveal()))
        {
            return Err(JaasError::Flag);
        }
        let mut entry = JaasEntry {
            module: module.reveal().to_owned(),
            options: Vec::new(),
        };
        loop {
            rest = skip(rest)?;
            if let Some(after) = rest.strip_prefix(';') {
                rest = after;
                break;
            }
            if rest.is_empty() {
                return Err(JaasError::NoSemicolon);
            }
            rest = entry.option_from(rest)?;
        }
        if skip(rest)?.is_empty() {
            Ok(entry)
        } else {
            Err(JaasError::SecondEntry)
        }
    }

    /// Reads `name=value`, and returns what comes after it. Of two options of one name the last one holds.
    fn option_from<'a>(&mut self, text: &'a str) -> Result<&'a str, JaasError> {
        let number = self.options.len() + 1;
        if number > OPTIONS_MAX {
            return Err(JaasError::TooLong);
        }
        let (rest, name) = token(text)?.ok_or(JaasError::OptionName { number })?;
        let missing = JaasError::OptionValue { number };
        let rest = skip(rest)?.strip_prefix('=').ok_or(missing)?;
        let (rest, value) = token(skip(rest)?)?.ok_or(missing)?;
        let name = name.reveal().to_owned();
        match self.options.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.options.push((name, value)),
        }
        Ok(rest)
    }

    /// Which login module it is.
    ///
    /// # Errors
    ///
    /// None that is known here.
    pub fn module(&self) -> Result<LoginModule, JaasError> {
        let known = MODULES.iter().find(|(name, _)| *name == self.module);
        known.map(|&(_, module)| module).ok_or(JaasError::UnknownModule)
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&Secret> {
        let found = self.options.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// All options, in the order of their first appearance.
    pub fn options(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl fmt::Debug for JaasEntry {
    /// The module if it is a known one, and how many options there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JaasEntry")
            .field("module", &self.module().ok())
            .field("options", &self.options.len())
            .finish()
    }
}

impl fmt::Display for JaasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JaasError::Empty => f.write_str("there is no login module in it"),
            JaasError::TooLong => f.write_str("it is longer than 256 KiB or has more than 256 options"),
            JaasError::Module => f.write_str("it must begin with the class of a login module"),
            JaasError::UnknownModule => {
                f.write_str("its login module is not known here; these are:")?;
                for (index, (name, _)) in MODULES.iter().enumerate() {
                    write!(f, "{} {name}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            JaasError::Flag => f.write_str(
                "after the login module must come one of required, requisite, sufficient, optional",
            ),
            JaasError::OptionName { number } => {
                write!(
                    f,
                    "option {number} has no name where one is due; values with other signs than letters, "
                )?;
                f.write_str("digits, '-', '_', '$' and '.' must be in quotes")
            }
            JaasError::OptionValue { number } => {
                write!(
                    f,
                    "option {number} is not of the form name=\"value\"; only values that begin with a letter "
                )?;
                f.write_str("can do without quotes")
            }
            JaasError::OpenQuote => f.write_str("a quote is not closed on its line"),
            JaasError::OpenComment => f.write_str("a comment is not closed"),
            JaasError::NoSemicolon => f.write_str("the semicolon at its end is missing"),
            JaasError::SecondEntry => {
                f.write_str("something comes after the semicolon; only one login module is taken")
            }
        }
    }
}

impl std::error::Error for JaasError {}

/// Skips white space and comments.
fn skip(text: &str) -> Result<&str, JaasError> {
    // What a `StreamTokenizer` takes for white space, by default: everything up to the space.
    let space = take_while1::<_, _, nom::error::Error<&str>>(|character: char| character <= ' ');
    let block = (tag("/*"), take_until("*/"), tag("*/"));
    // A single slash begins a comment, too.
    let line = (char('/'), opt(is_not("\r\n")));
    let mut blanks = many0_count(alt((
        value((), space),
        value((), block),
        value((), not_open(line)),
    )));
    let (rest, _) = blanks.parse(text).map_err(|_| JaasError::OpenComment)?;
    if rest.starts_with("/*") {
        return Err(JaasError::OpenComment);
    }
    Ok(rest)
}

/// A parser that does not take the start of a block comment, which is tried before it.
fn not_open<'a, O>(
    mut parser: impl nom::Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> impl FnMut(&'a str) -> IResult<&'a str, O> {
    move |text| {
        if text.starts_with("/*") {
            return Err(nom::Err::Error(nom::error::Error::new(text, ErrorKind::Not)));
        }
        parser.parse(text)
    }
}

/// A word or something in quotes; `None` if there is neither.
fn token(text: &str) -> Result<Option<(&str, Secret)>, JaasError> {
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        return quoted(&text[1..], quote).map(Some);
    }
    Ok(word(text).ok().map(|(rest, word)| (rest, Secret::new(word))))
}

/// A word begins with a letter: with a digit, a dot or a minus a `StreamTokenizer` would read a number.
fn word(text: &str) -> IResult<&str, &str> {
    let is_letter = |character: char| {
        character.is_ascii_alphabetic() || matches!(character, '_' | '$') || character >= '\u{a0}'
    };
    let is_inner = move |character: char| {
        is_letter(character) || character.is_ascii_digit() || matches!(character, '-' | '.')
    };
    recognize(preceded(
        nom::character::complete::satisfy(is_letter),
        take_while(is_inner),
    ))
    .parse(text)
}

/// What follows an opening quote, up to the closing one, and what comes after that.
fn quoted(text: &str, quote: char) -> Result<(&str, Secret), JaasError> {
    // As large as it can get: growing would leave copies behind.
    let mut content = zeroize::Zeroizing::new(String::with_capacity(2 * text.len().min(ENTRY_BYTES_MAX)));
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\n' | '\r' => return Err(JaasError::OpenQuote),
            '\\' => {
                let (_, escaped) = characters.next().ok_or(JaasError::OpenQuote)?;
                match escaped {
                    'a' => content.push('\u{7}'),
                    'b' => content.push('\u{8}'),
                    'f' => content.push('\u{c}'),
                    'n' => content.push('\n'),
                    'r' => content.push('\r'),
                    't' => content.push('\t'),
                    'v' => content.push('\u{b}'),
                    '0'..='7' => {
                        let (code, digits) = octal(&text[at + 1..]);
                        content.push(char::from(code));
                        for _ in 1..digits {
                            characters.next();
                        }
                    }
                    other => content.push(other),
                }
            }
            _ if character == quote => {
                let secret = Secret::new(std::mem::take(&mut *content));
                return Ok((&text[at + 1..], secret));
            }
            other => content.push(other),
        }
    }
    Err(JaasError::OpenQuote)
}

/// Up to three octal digits, the third only after 0 to 3, as in C and Java: the value, and how many there were.
fn octal(text: &str) -> (u8, usize) {
    let first_is_small = matches!(text.as_bytes().first(), Some(b'0'..=b'3'));
    let most = if first_is_small { 3 } else { 2 };
    let digits = text
        .bytes()
        .take(most)
        .take_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold((0, 0), |(code, count), digit| {
        (code * 8 + (digit - b'0'), count + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn options(text: &str) -> Vec<(String, String)> {
        let entry = JaasEntry::parse(text).unwrap();
        let options = entry.options();
        options
            .map(|(name, value)| (name.to_owned(), value.reveal().to_owned()))
            .collect()
    }

    #[track_caller]
    fn values(text: &str) -> Vec<String> {
        let text = format!("a.B required {text};");
        options(&text).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn entries_as_people_have_them() {
        let text = "org.apache.kafka.common.security.plain.PlainLoginModule Required\n  username=\"alice\"\n  \
                    password='al\"ice=;secret' ;  ";
        let entry = JaasEntry::parse(text).unwrap();
        assert_eq!(entry.module(), Ok(LoginModule::Plain));
        assert_eq!(entry.option("username"), Some(&Secret::new("alice")));
        assert_eq!(entry.option("password"), Some(&Secret::new("al\"ice=;secret")));
        assert_eq!(entry.option("other"), None);
        assert_eq!(
            JaasEntry::parse("software.amazon.msk.auth.iam.IAMLoginModule required;")
                .unwrap()
                .module(),
            Ok(LoginModule::MskIam)
        );
        assert_eq!(
            JaasEntry::parse("x.Y optional;").unwrap().module(),
            Err(JaasError::UnknownModule)
        );
    }

    #[test]
    fn values_as_a_stream_tokenizer_reads_them() {
        assert_eq!(
            values("a=b_c-d.e$1 x=\"\" y = '' z=\u{e4}\u{20ac}"),
            ["b_c-d.e$1", "", "", "\u{e4}\u{20ac}"]
        );
        assert_eq!(
            values(r#"a="\a\b\f\n\r\t\v\\\"\'\q" b="\101\0\7778\18""#),
            ["\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"'q", "A\0?78\u{1}8"]
        );
        assert_eq!(
            values("a=1x=2".replace("1x=2", "x x=y a=z").as_str()),
            ["z", "y"],
            "the last one holds"
        );
        assert_eq!(
            values("/* x */ a=b // c=d\n e=f / g=h\n \"i j\"=k"),
            ["b", "f", "k"]
        );
    }

    #[test]
    fn what_is_no_entry_says_so_without_showing_it() {
        for (text, expected) in [
            ("", JaasError::Empty),
            (" // x", JaasError::Empty),
            ("/* canary", JaasError::OpenComment),
            ("=canary", JaasError::Module),
            ("canary", JaasError::Flag),
            ("a.B canary x=y;", JaasError::Flag),
            ("a.B required", JaasError::NoSemicolon),
            ("a.B required x=canary", JaasError::NoSemicolon),
            (
                "a.B required x=\"canary\" y;",
                JaasError::OptionValue { number: 2 },
            ),
            ("a.B required x=my canary;", JaasError::OptionValue { number: 2 }),
            ("a.B required x=canary!;", JaasError::OptionName { number: 2 }),
            ("a.B required x=1canary;", JaasError::OptionValue { number: 1 }),
            ("a.B required x=-canary;", JaasError::OptionValue { number: 1 }),
            ("a.B required x=;", JaasError::OptionValue { number: 1 }),
            ("a.B required x=\"canary;", JaasError::OpenQuote),
            ("a.B required x=\"canary\n\";", JaasError::OpenQuote),
            ("a.B required x=\"canary\\", JaasError::OpenQuote),
            ("a.B required; c.D required;", JaasError::SecondEntry),
        ] {
            let error = JaasEntry::parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        assert_eq!(
            JaasEntry::parse(&" ".repeat(ENTRY_BYTES_MAX + 1)),
            Err(JaasError::TooLong)
        );
        let many: String = (0..=OPTIONS_MAX).map(|number| format!(" o{number}=x")).collect();
        assert_eq!(
            JaasEntry::parse(&format!("a.B required{many};")),
            Err(JaasError::TooLong)
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let entry = JaasEntry::parse("canary.canary required canary=\"canary\";").unwrap();
        assert!(!format!("{entry:?}").contains("canary"));
    }
}
