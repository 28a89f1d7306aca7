//! What an error about a certificate has to know of it, and how long it is valid.

use crate::der::{BIT_STRING, Der, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING};
use std::fmt;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ELLIPTIC_CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

const BOOLEAN: u8 = 0x01;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version and the extensions are marked by these tags.
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_3: u8 = 0xa3;

/// What stands in a certificate, as far as it matters here.
#[derive(Debug)]
pub(super) struct Certificate {
    /// 1 to 3.
    pub(super) version: u32,
    /// Seconds since the Unix epoch.
    pub(super) not_before: i64,
    /// Seconds since the Unix epoch.
    pub(super) not_after: i64,
    pub(super) key: Key,
    /// CA:TRUE.
    pub(super) is_authority: bool,
}

/// The kind of a public key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa { bits: usize },
    Curve(&'static str),
    Other(&'static str),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Rsa { bits } => write!(f, "RSA with {bits} bits"),
            Key::Curve(name) => write!(f, "ECDSA on {name}"),
            Key::Other(name) => f.write_str(name),
        }
    }
}

impl Certificate {
    /// Reads a certificate; `None` if it is none.
    pub(super) fn parse(der: &[u8]) -> Option<Certificate> {
        let mut certificate = Der(der).sequence()?.sequence()?;
        let version = match certificate.optional(EXPLICIT_0) {
            Some(version) => Der(version).unsigned()?.checked_add(1)?,
            None => 1,
        };
        certificate.expect(INTEGER)?;
        let _signature_algorithm = certificate.sequence()?;
        let _issuer = certificate.sequence()?;
        let mut validity = certificate.sequence()?;
        let not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        let _subject = certificate.sequence()?;
        let key = key(certificate.sequence()?)?;
        let mut is_authority = false;
        while let Some((tag, content)) = certificate.any() {
            if tag == EXPLICIT_3 {
                is_authority = says_authority(Der(content).sequence()?)?;
            }
        }
        Some(Certificate {
            version,
            not_before,
            not_after,
            key,
            is_authority,
        })
    }
}

fn says_authority(mut extensions: Der<'_>) -> Option<bool> {
    while !extensions.is_empty() {
        let mut extension = extensions.sequence()?;
        let name = extension.expect(OBJECT_IDENTIFIER)?;
        let _critical = extension.optional(BOOLEAN);
        let value = extension.expect(OCTET_STRING)?;
        if name == BASIC_CONSTRAINTS {
            return Some(Der(value).sequence()?.optional(BOOLEAN) == Some(&[0xff]));
        }
    }
    Some(false)
}

fn key(mut info: Der<'_>) -> Option<Key> {
    let mut algorithm = info.sequence()?;
    Some(match algorithm.expect(OBJECT_IDENTIFIER)? {
        RSA => {
            // One byte says how many bits at the end do not count: none.
            let (_, bytes) = info.expect(BIT_STRING)?.split_first()?;
            let modulus = Der(bytes).sequence()?.expect(INTEGER)?;
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
            Key::Rsa {
                bits: (8 * modulus.len()).saturating_sub(unused),
            }
        }
        ELLIPTIC_CURVE => Key::Curve(match algorithm.optional(OBJECT_IDENTIFIER) {
            Some(P256) => "P-256",
            Some(P384) => "P-384",
            Some(P521) => "P-521",
            _ => "a curve of its own",
        }),
        ED25519 => Key::Other("Ed25519"),
        DSA => Key::Other("DSA"),
        _ => Key::Other("a key of an unknown kind"),
    })
}

/// A time in UTC, as certificates have it: `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(der: &mut Der<'_>) -> Option<i64> {
    let (tag, text) = der.any()?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i64 = text[..2].parse().ok()?;
            // RFC 5280: 50 to 99 are of the last century.
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let number = |at: usize| rest[at..at + 2].parse::<i64>().ok();
    let (month, day) = (number(0)?, number(2)?);
    let (hour, minute, second) = (number(4)?, number(6)?, number(8)?);
    if !(1..=12).contains(&month) {
        return None;
    }
    Some(86_400 * days_since_epoch(year, month, day) + 3_600 * hour + 60 * minute + second)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: years begin in March here, so that leap days come last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    146_097 * era + day_of_era - 719_468
}

/// A time as people write it.
pub(super) fn show_time(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = 400 * era + year_of_era + next_year;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC",
        rest / 3_600,
        rest / 60 % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let utc = |text: &[u8]| time(&mut Der(&[&[UTC_TIME, text.len() as u8], text].concat()));
        let general = |text: &[u8]| time(&mut Der(&[&[GENERALIZED_TIME, text.len() as u8], text].concat()));
        assert_eq!(utc(b"700101000000Z"), Some(0));
        assert_eq!(utc(b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc(b"500101000000Z"), Some(-631_152_000));
        assert_eq!(general(b"20240229120000Z"), Some(1_709_208_000));
        assert_eq!(general(b"99991231235959Z"), Some(253_402_300_799));
        for wrong in [
            &b"700101000000"[..],
            b"7001010000Z",
            b"701301000000Z",
            b"-00101000000Z",
        ] {
            assert_eq!(utc(wrong), None);
        }
        for seconds in [0, 951_782_400, 1_709_208_000, 2_524_607_940, 253_402_300_740] {
            let shown = show_time(seconds);
            let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
            assert_eq!(
                general(format!("{digits}00Z").as_bytes()),
                Some(seconds),
                "{shown}"
            );
        }
    }

    #[test]
    fn garbage_is_no_certificate() {
        for bytes in [&b""[..], b"\x30\0", b"\x30\x02\x30\0", &[0x30; 64]] {
            assert!(Certificate::parse(bytes).is_none());
        }
    }
}
