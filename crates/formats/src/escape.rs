//! Escapes in the flags that take bytes.

/// The bytes that `text` stands for: `\n`, `\r`, `\t`, `\0`, `\\` and `\xHH`.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            return Err("a single backslash stands at the end; write \\\\ for one".to_owned());
        };
        rest = after;
        bytes.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = after
                    .get(..2)
                    .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let digits = digits.ok_or("\\x takes two hexadecimal digits")?;
                rest = &after[2..];
                digits.iter().fold(0, |value, &digit| {
                    value * 16 + (digit as char).to_digit(16).unwrap_or(0) as u8
                })
            }
            _ => return Err("unknown escape; there are \\n, \\r, \\t, \\0, \\\\ and \\xHH".to_owned()),
        });
    }
    Ok(bytes)
}

/// [`unescape`], for what must not be empty.
pub fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    match unescape(text)? {
        bytes if bytes.is_empty() => Err("must not be empty".to_owned()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        #[track_caller]
        fn check(text: &str, expected: Result<&[u8], &str>) {
            match (unescape(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{text}: {found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
        check(r"a\n\r\t\0\\\x7Cé", Ok("a\n\r\t\0\\|é".as_bytes()));
        check(r"\xfF\x00", Ok(&[0xff, 0]));
        check("", Ok(b""));
        check(r"a\", Err("backslash"));
        check(r"\x1", Err("two hexadecimal"));
        check(r"\x+1", Err("two hexadecimal"));
        check(r"\q", Err("unknown escape"));
        assert!(delimiter("").is_err());
    }
}
