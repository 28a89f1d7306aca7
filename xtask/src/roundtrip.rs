//! `cargo xtask roundtrip`: decodes and encodes what others have encoded, a message on each line.
//!
//! A line is `KEY KIND VERSION HEX`: KEY is an API key or a message's name, KIND `request`, `response`, `header` or
//! `data`, HEX the message, which may be empty. For each line one comes out: the hex of the message encoded again, or
//! `error: …`. Whatever a line says, it costs the others nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, Write as _};
use std::sync::LazyLock;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::wire::{Reader, Writer};

/// Decodes a message of the version and encodes it again.
type Through = fn(&Bytes, i16) -> anyhow::Result<Vec<u8>>;

/// By kind, and by API key or name.
static MESSAGES: LazyLock<HashMap<(&'static str, String), Through>> = LazyLock::new(|| {
    macro_rules! table {
        ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
            [$((stringify!($kind), $key, <$message>::NAME, through::<$message> as Through)),*]
        };
    }
    let mut messages = HashMap::new();
    for (kind, key, name, function) in ottla_protocol::for_each_message!(table) {
        messages.insert((kind, name.to_owned()), function);
        if key >= 0 {
            messages.insert((kind, key.to_string()), function);
        }
    }
    messages
});

/// Reads lines from standard input to its end and answers each.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        writeln!(output, "{}", answer(&String::from_utf8_lossy(&line)))?;
    }
    output.flush()?;
    Ok(())
}

/// The answer to one line.
pub(crate) fn answer(line: &str) -> String {
    match roundtrip(line) {
        Ok(message) => hex(&message),
        // An answer is one line, whatever the error has in it.
        Err(error) => format!("error: {error:#}").replace(['\n', '\r'], " "),
    }
}

fn roundtrip(line: &str) -> anyhow::Result<Vec<u8>> {
    let mut words = line.split_ascii_whitespace();
    let (Some(key), Some(kind), Some(version)) = (words.next(), words.next(), words.next()) else {
        bail!("a line is `KEY KIND VERSION HEX`");
    };
    let message = unhex(words.next().unwrap_or_default())?;
    if words.next().is_some() {
        bail!("more than `KEY KIND VERSION HEX`");
    }
    let version = version
        .parse()
        .with_context(|| format!("`{version}` is no version"))?;
    let kind = match kind {
        "request" => "request",
        "response" => "response",
        "header" => "header",
        "data" => "data",
        _ => bail!("`{kind}` is not request, response, header or data"),
    };
    let Some(through) = MESSAGES.get(&(kind, key.to_owned())) else {
        bail!("there is no {kind} `{key}`");
    };
    through(&Bytes::from(message), version)
}

fn through<M: Message>(bytes: &Bytes, version: i16) -> anyhow::Result<Vec<u8>> {
    let mut reader = Reader::from_bytes(bytes);
    let message = M::decode(&mut reader, version)?;
    reader.finish()?;
    let mut writer = Writer::with_capacity(bytes.len());
    message.encode(&mut writer, version)?;
    Ok(writer.into_vec())
}

fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        bail!("an odd number of hexadecimal digits");
    }
    pairs
        .iter()
        .map(|pair| match pair.map(digit) {
            [Some(high), Some(low)] => Ok(high << 4 | low),
            _ => bail!("`{}` is not hexadecimal", String::from_utf8_lossy(pair)),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were() {
        for (line, expected) in [
            ("18 request 0 ", ""),
            ("18 request 0", ""),
            ("ApiVersionsRequest request 3 0261026200", "0261026200"),
            ("18 request 3 0261026200\r\n", "0261026200"),
            ("ResponseHeader header 0 0000000A", "0000000a"),
        ] {
            assert_eq!(answer(line), expected, "{line}");
        }
    }

    #[test]
    fn everything_else_is_an_error_on_one_line() {
        for line in [
            "",
            "\n",
            "18",
            "18 request",
            "18 request x 00",
            "18 request 99999 00",
            "18 request -1 00",
            "18 request 5 00",
            "999 request 0 00",
            "18 banana 0 00",
            "ResponseHeader header 0 0",
            "ResponseHeader header 0 zz",
            "ResponseHeader header 0 00000001 00",
            "ResponseHeader header 0 0000000100",
            "ResponseHeader header 0 000000",
            "ResponseHeader header 0 \u{fffd}\u{fffd}",
        ] {
            let answer = answer(line);
            assert!(
                answer.starts_with("error: ") && !answer.contains('\n'),
                "{line:?}: {answer}"
            );
        }
    }
}
