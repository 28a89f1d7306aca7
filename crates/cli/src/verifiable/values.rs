//! What is sent: keys and values that follow from a record's number, so that a reader can check them.

use std::fmt::Write as _;

/// How numbers become keys and values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    pub(super) prefix: Option<i64>,
    pub(super) repeating_keys: Option<u32>,
    pub(super) bytes: usize,
}

impl Values {
    /// Writes the key of a record; false if it has none.
    pub(super) fn write_key(self, number: u64, out: &mut String) -> bool {
        out.clear();
        let Some(keys) = self.repeating_keys else {
            return false;
        };
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{}", number % u64::from(keys));
        true
    }

    /// Writes the value of a record: its number, with the prefix and the filler that were asked for.
    pub(super) fn write_value(self, number: u64, out: &mut String) {
        out.clear();
        let _ = match self.prefix {
            Some(prefix) => write!(out, "{prefix}.{number}"),
            None => write!(out, "{number}"),
        };
        let unit = out.len() + 1;
        while out.len() < self.bytes {
            // Everything but the end is the value and a blank, over and over; so the filler tells a foreign byte.
            let next = match out.len() % unit {
                at if at == unit - 1 => ' ',
                at => char::from(out.as_bytes()[at]),
            };
            out.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_follow_from_the_number() {
        let check = |values: Values, number, key: Option<&str>, value: &str| {
            let mut out = "what was here before".to_owned();
            assert_eq!(values.write_key(number, &mut out).then_some(out.as_str()), key);
            values.write_value(number, &mut out);
            assert_eq!(out, value);
        };
        let mut values = Values {
            prefix: None,
            repeating_keys: None,
            bytes: 0,
        };
        check(values, 12, None, "12");
        values.prefix = Some(7);
        values.repeating_keys = Some(5);
        check(values, 12, Some("2"), "7.12");
        values.bytes = 12;
        check(values, 12, Some("2"), "7.12 7.12 7.");
        values.bytes = 3;
        check(values, 12, Some("2"), "7.12");
        values.prefix = Some(-7);
        values.bytes = 6;
        check(values, 0, Some("0"), "-7.0 -");
    }
}
