//! AWS's signature, version 4, of a presigned request without a body: the part that AWS_MSK_IAM needs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The algorithm's name.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) host: &'a str,
    /// Every parameter of the query, as it is, in any order.
    pub(super) query: Vec<(&'static str, &'a str)>,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(super) date_time: &'a str,
    /// `<date>/<region>/<service>/aws4_request`.
    pub(super) scope: &'a str,
}

impl Request<'_> {
    /// The signature in hexadecimal digits. `scope` is taken apart at its slashes to derive the key.
    pub(super) fn sign(&self, secret_access_key: &str) -> String {
        let mut parts: Vec<String> = (self.query.iter())
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        parts.sort_unstable();
        let canonical = format!(
            "GET\n/\n{}\nhost:{}\n\nhost\n{}",
            parts.join("&"),
            self.host,
            hexadecimal(&Sha256::digest(b""))
        );
        let to_sign = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            self.date_time,
            self.scope,
            hexadecimal(&Sha256::digest(canonical.as_bytes()))
        );
        let first = Zeroizing::new(format!("AWS4{secret_access_key}").into_bytes());
        let key = self
            .scope
            .split('/')
            .fold(first, |key, part| hmac(&key, part.as_bytes()));
        hexadecimal(&hmac(&key, to_sign.as_bytes()))
    }
}

/// `(YYYYMMDD, YYYYMMDDTHHMMSSZ)` of a time in milliseconds since the Unix epoch; times before it count as the epoch.
pub(super) fn date_and_time(unix_ms: i64) -> (String, String) {
    let seconds = unix_ms.max(0) / 1_000;
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days-to-civil: years begin in March, and 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}{month:02}{day:02}");
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    let date_time = format!("{date}T{hour:02}{minute:02}{second:02}Z");
    (date, date_time)
}

/// Percent-encoding as AWS wants it: everything but RFC 3986's unreserved characters, in capitals.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hmac(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (unix_ms, expected) in [
            (0, "19700101T000000Z"),
            (-5, "19700101T000000Z"),
            (951_782_399_999, "20000228T235959Z"),
            (951_782_400_000, "20000229T000000Z"),
            (951_868_800_000, "20000301T000000Z"),
            (1_767_225_599_000, "20251231T235959Z"),
            (4_107_542_400_000, "21000301T000000Z"),
        ] {
            let (date, date_time) = date_and_time(unix_ms);
            assert_eq!((date.as_str(), date_time.as_str()), (&expected[..8], expected));
        }
    }

    #[test]
    fn encoding() {
        assert_eq!(encode("kafka-cluster:Connect"), "kafka-cluster%3AConnect");
        assert_eq!(encode("a/b+c=~ä"), "a%2Fb%2Bc%3D~%C3%A4");
    }
}
