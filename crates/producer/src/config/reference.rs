//! The reference of all keys, written from the table.

use super::table::DEFINITIONS;
use std::fmt::Write;

/// The text of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Written from the table in the source by `ottla config list --output markdown`; a test compares them. Names,\n\
         types and defaults are those of Apache Kafka's producer 4.3.1. A key that does nothing yet is refused unless\n\
         it has its default value.\n\n\
         | key | type | default | allowed | importance | here |\n|---|---|---|---|---|---|\n",
    );
    for definition in DEFINITIONS {
        let row = format!(
            "| `{}` | {} | {} | {} | {} | {}{} |\n",
            definition.name,
            definition.kind,
            definition.default,
            definition.allowed,
            definition.importance,
            definition.about,
            here(&definition.meaning.to_string()),
        );
        // Writing to a `String` cannot fail.
        let _ = text.write_str(&row);
    }
    text
}

/// What a key does here, as a sentence of its own; nothing about one that simply works.
fn here(meaning: &str) -> String {
    if meaning == "used" {
        return String::new();
    }
    format!(" **{}{}.**", meaning[..1].to_uppercase(), &meaning[1..])
}
