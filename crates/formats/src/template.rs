//! The templates of `-o`: what is printed of a record that was acknowledged.

use crate::escape;
use crate::json;
use std::fmt;
use std::str::FromStr;

/// A template that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Line,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its number in the input, from 1.
    pub line: u64,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset, if the broker told it.
    pub offset: Option<i64>,
    /// The timestamp in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
}

/// Why a template is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError(String);

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TemplateError {}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character == '\\' {
                // Left to `unescape`, and so is what it escapes: it may be a percent sign to no one.
                literal.push(character);
                literal.extend(characters.next());
                continue;
            }
            if character != '%' {
                literal.push(character);
                continue;
            }
            let part = match characters.next() {
                None | Some('%') => {
                    literal.push('%');
                    continue;
                }
                Some(brace @ ('{' | '}')) => {
                    literal.push(brace);
                    continue;
                }
                Some('t') => Part::Topic,
                Some('p') => Part::Partition,
                Some('o') => Part::Offset,
                Some('d') => Part::Timestamp,
                Some('i') => Part::Line,
                Some(other) => {
                    return Err(TemplateError(format!(
                        "%{other} is unknown; there are %t %p %o %d %i, and %% %{{ %}} (keys and values are not kept)"
                    )));
                }
            };
            if characters.peek() == Some(&'{') {
                return Err(TemplateError(
                    "numbers are decimal here: braces behind them are not known (%{ is one to print)"
                        .to_owned(),
                ));
            }
            end_literal(&mut literal, &mut parts)?;
            parts.push(part);
        }
        end_literal(&mut literal, &mut parts)?;
        Ok(Template { parts })
    }
}

fn end_literal(literal: &mut String, parts: &mut Vec<Part>) -> Result<(), TemplateError> {
    if !literal.is_empty() {
        let bytes = escape::unescape(&std::mem::take(literal)).map_err(TemplateError)?;
        parts.push(Part::Literal(bytes));
    }
    Ok(())
}

impl Template {
    /// Appends what is printed of a record.
    pub fn write(&self, place: &Place<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Topic => out.extend_from_slice(place.topic.as_bytes()),
                Part::Partition => json::integer(out, i64::from(place.partition)),
                // As Java and rpk have it where the broker told none.
                Part::Offset => json::integer(out, place.offset.unwrap_or(-1)),
                Part::Timestamp => json::integer(out, place.timestamp_ms),
                Part::Line => json::integer(out, place.line.cast_signed()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let place = Place {
            line: 7,
            topic: "t",
            partition: 3,
            offset: Some(9),
            timestamp_ms: 1_700_000_000_000,
        };
        #[track_caller]
        fn check(template: &str, place: &Place<'_>, expected: &str) {
            let template: Template = template
                .parse()
                .unwrap_or_else(|error| panic!("{template}: {error}"));
            let mut out = Vec::new();
            template.write(place, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
        check(
            "Produced to partition %p at offset %o with timestamp %d.\\n",
            &place,
            "Produced to partition 3 at offset 9 with timestamp 1700000000000.\n",
        );
        check("%i:%t%%%{%}\\x41 é%", &place, "7:t%{}A é%");
        check("", &place, "");
        let unknown = Place {
            offset: None,
            ..place
        };
        check("%o", &unknown, "-1");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (template, part) in [
            ("%v", "keys and values are not kept"),
            ("%o{hex64}", "decimal"),
            ("\\q", "unknown escape"),
            ("\\", "backslash"),
            ("\\x4%o", "\\x takes two"),
        ] {
            let TemplateError(error) = template.parse::<Template>().expect_err(template);
            assert!(error.contains(part), "{template}: {error}");
        }
    }
}
