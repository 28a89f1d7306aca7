//! From text to typed values, by Java's rules (`ConfigDef.parseType`).

use super::definition::{Allowed, Definition, KeyType};
use super::password::{HIDDEN, Password};
use std::fmt;

/// The typed value of a setting.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Not set, and without a default.
    Null,
    /// Of a boolean key.
    Boolean(bool),
    /// Of a short, int or long key.
    Integer(i64),
    /// Of a double key.
    Double(f64),
    /// Of a string or class key.
    Text(String),
    /// Of a list key.
    List(Vec<String>),
    /// Of a password key.
    Password(Password),
}

impl fmt::Display for Value {
    /// The value as it could stand in a file, but for secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Boolean(value) => value.fmt(f),
            Value::Integer(value) => value.fmt(f),
            Value::Double(value) => value.fmt(f),
            Value::Text(value) => f.write_str(value),
            Value::List(values) => f.write_str(&values.join(",")),
            Value::Password(_) => f.write_str(HIDDEN),
        }
    }
}

/// A value, and what is worth a warning about how it was written.
pub(super) struct Parsed {
    pub(super) value: Value,
    pub(super) remark: Option<String>,
}

/// Reads `text` as a value of `definition`, or says what is wrong with it.
pub(super) fn parse(definition: &Definition, text: &str) -> Result<Parsed, String> {
    let text = trim(text);
    let mut remark = None;
    let value = match definition.kind {
        KeyType::Boolean => Value::Boolean(boolean(text)?),
        KeyType::Short => Value::Integer(integer(
            definition,
            text,
            i64::from(i16::MIN),
            i64::from(i16::MAX),
        )?),
        KeyType::Int => Value::Integer(integer(
            definition,
            text,
            i64::from(i32::MIN),
            i64::from(i32::MAX),
        )?),
        KeyType::Long => Value::Integer(integer(definition, text, i64::MIN, i64::MAX)?),
        KeyType::Double => Value::Double(double(text)?),
        KeyType::String | KeyType::Class => Value::Text(text.to_owned()),
        KeyType::Password => Value::Password(Password::new(text)),
        KeyType::List => {
            let (values, repeated) = list(text)?;
            remark = repeated.map(|element| format!("{element:?} stands there more than once"));
            Value::List(values)
        }
    };
    check(definition.allowed, &value)?;
    Ok(Parsed { value, remark })
}

/// Java's `String.trim`: every character up to the space counts as white space, and none above.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

fn boolean(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err("expected true or false".to_owned())
    }
}

fn integer(definition: &Definition, text: &str, least: i64, most: i64) -> Result<i64, String> {
    let expected = || match definition.allowed {
        Allowed::Any => format!("expected a whole number ({})", definition.kind),
        allowed => format!("expected a whole number ({}), {allowed}", definition.kind),
    };
    let value: i64 = text.parse().map_err(|_| expected())?;
    if value < least || value > most {
        Err(expected())
    } else {
        Ok(value)
    }
}

/// `Double.parseDouble`, without its hexadecimal form: Rust's grammar, where the words for what is not finite differ and
/// a type suffix may follow.
fn double(text: &str) -> Result<f64, String> {
    let error = || "expected a number".to_owned();
    let (sign, magnitude) = match text.strip_prefix(['+', '-']) {
        Some(magnitude) => (if text.starts_with('-') { -1.0 } else { 1.0 }, magnitude),
        None => (1.0, text),
    };
    match magnitude {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    let digits = magnitude.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(magnitude);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Err(error());
    }
    digits
        .parse::<f64>()
        .map(|value| sign * value)
        .map_err(|_| error())
}

/// The elements, and one that stands there twice. Java drops repeated ones with a warning and refuses empty ones.
fn list(text: &str) -> Result<(Vec<String>, Option<String>), String> {
    let mut values: Vec<String> = Vec::new();
    let mut repeated = None;
    if text.is_empty() {
        return Ok((values, None));
    }
    // Java splits at `\s*,\s*`, whose white space is ASCII's and the vertical tab.
    let is_space = |character: char| character.is_ascii_whitespace() || character == '\u{b}';
    for element in text.split(',').map(|element| element.trim_matches(is_space)) {
        if element.is_empty() {
            return Err("an element of the list is empty".to_owned());
        }
        if values.iter().any(|value| value == element) {
            repeated = Some(element.to_owned());
        } else {
            values.push(element.to_owned());
        }
    }
    Ok((values, repeated))
}

fn check(allowed: Allowed, value: &Value) -> Result<(), String> {
    let fits = match (allowed, value) {
        (Allowed::Any, _) => true,
        (Allowed::AtLeast(least), Value::Integer(value)) => *value >= least,
        (Allowed::Between(least, most), Value::Integer(value)) => (least..=most).contains(value),
        (Allowed::BetweenOr(least, most, other), Value::Integer(value)) => {
            (least..=most).contains(value) || *value == other
        }
        (Allowed::BetweenDoubles(least, most), Value::Double(value)) => (least..=most).contains(value),
        (Allowed::OneOf(texts), Value::Text(value)) => texts.contains(&value.as_str()),
        (Allowed::OneOfIgnoringCase(texts), Value::Text(value)) => {
            texts.iter().any(|text| text.eq_ignore_ascii_case(value))
        }
        (Allowed::NonEmpty, Value::Text(value)) => !value.is_empty(),
        (Allowed::NonEmpty, Value::List(values)) => !values.is_empty(),
        // A rule that does not fit the type allows nothing; the table's test would show it.
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(match allowed {
        Allowed::NonEmpty => "must not be empty".to_owned(),
        Allowed::OneOf(texts) => {
            let near = match value {
                Value::Text(value) => texts.iter().find(|text| text.eq_ignore_ascii_case(value)),
                _ => None,
            };
            match near {
                Some(near) => {
                    format!("expected one of {allowed}; did you mean {near}? (upper and lower case matter)")
                }
                None => format!("expected one of {allowed}"),
            }
        }
        Allowed::OneOfIgnoringCase(_) => format!("expected one of {allowed}"),
        _ => format!("expected {allowed}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::definition;
    use super::*;

    #[track_caller]
    fn accepts(key: &str, text: &str, shown: &str) {
        let definition = definition(key).expect("a key of the table");
        match parse(definition, text) {
            Ok(parsed) => assert_eq!(parsed.value.to_string(), shown, "{key}={text:?}"),
            Err(reason) => panic!("{key}={text:?}: {reason}"),
        }
    }

    #[track_caller]
    fn refuses(key: &str, text: &str, reason_part: &str) {
        let definition = definition(key).expect("a key of the table");
        match parse(definition, text) {
            Ok(parsed) => panic!("{key}={text:?} was taken as {}", parsed.value),
            Err(reason) => assert!(reason.contains(reason_part), "{key}={text:?}: {reason}"),
        }
    }

    #[test]
    fn text_is_trimmed_as_in_java() {
        accepts("acks", " \t\u{1}all\u{0} ", "all");
        // A no-break space is no white space for `String.trim`.
        refuses("acks", "all\u{a0}", "expected one of");
        accepts("client.id", "  ", "");
    }

    #[test]
    fn words_are_exact() {
        accepts("acks", "-1", "-1");
        refuses("acks", "ALL", "did you mean all?");
        refuses("acks", "2", "expected one of all, -1, 0, 1");
        refuses("compression.type", "LZ4", "did you mean lz4?");
        accepts("security.protocol", "sasl_Ssl", "sasl_Ssl");
        refuses("security.protocol", "TLS", "SASL_PLAINTEXT");
        accepts("enable.idempotence", "FaLsE", "false");
        refuses("enable.idempotence", "yes", "true or false");
        refuses("enable.idempotence", "", "true or false");
    }

    #[test]
    fn numbers_keep_their_range() {
        accepts("linger.ms", "+5", "5");
        accepts("linger.ms", "9223372036854775807", "9223372036854775807");
        refuses("linger.ms", "9223372036854775808", "long");
        refuses("linger.ms", "-1", "at least 0");
        refuses("linger.ms", "0.5", "whole number");
        refuses("batch.size", "2147483648", "int");
        refuses("batch.size", "", "whole number");
        accepts("compression.gzip.level", "-1", "-1");
        refuses("compression.gzip.level", "0", "1 to 9, or -1");
        refuses("sasl.login.refresh.buffer.seconds", "40000", "short");
        accepts("sasl.login.refresh.window.factor", "5e-1d", "0.5");
        refuses("sasl.login.refresh.window.factor", "NaN", "0.5 to 1");
        refuses("sasl.login.refresh.window.factor", "inf", "expected a number");
        refuses("sasl.login.refresh.window.factor", "--1", "expected a number");
    }

    #[test]
    fn lists_are_split_and_without_repetition() {
        accepts("bootstrap.servers", " a:1 ,b:2,\ta:1", "a:1,b:2");
        refuses("bootstrap.servers", "a:1,,b:2", "empty");
        refuses("bootstrap.servers", "a:1,", "empty");
        refuses("bootstrap.servers", " ", "must not be empty");
        accepts("ssl.cipher.suites", "", "");
    }

    #[test]
    fn secrets_are_not_shown() {
        accepts("sasl.jaas.config", "canary", "[hidden]");
    }
}
