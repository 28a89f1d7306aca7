//! Entries of a JAAS file: any text is an entry or an error that shows none of it; an entry that is written again, in
//! quotes, is the same entry.

use crate::within;
use ottla_network::sasl::jaas::JaasEntry;

/// One input: a text.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    within(64 * 1024 + 64 * text.len(), || {
        let Ok(entry) = JaasEntry::parse(text) else { return };
        let mut again = String::from("a.B required");
        for (name, value) in entry.options() {
            again.push_str(&format!(" {}={}", quoted(name), quoted(value.reveal())));
        }
        again.push(';');
        let read = JaasEntry::parse(&again);
        // Every sign may take four, and so the text may get too long.
        let Ok(read) = read else {
            assert!(again.len() > 256 * 1024, "{again:?}");
            return;
        };
        let list = |entry: &JaasEntry| -> Vec<(String, String)> {
            let options = entry.options();
            options
                .map(|(name, value)| (name.to_owned(), value.reveal().to_owned()))
                .collect()
        };
        assert_eq!(list(&entry), list(&read), "{again:?}");
    });
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
