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
    section(
        &mut text,
        "Serializers",
        "Keys of Java's serializers, beside `key.serializer` and `value.serializer`.",
        super::serializers::KEYS.iter().copied(),
    );
    #[cfg(feature = "schema-registry")]
    section(
        &mut text,
        "The schema registry",
        "Keys of Confluent's clients, which Kafka's own producer does not know. `Config::schema_registry` makes a client\n\
         of them, and `Config::schema_settings` says how serializers use it. Keys about Java's objects (`avro.*`,\n\
         `json.*`, `specific.avro.reader` and the like) are ignored with a warning.",
        super::registry::reference(),
    );
    text
}

fn section(
    text: &mut String,
    title: &str,
    about: &str,
    keys: impl Iterator<Item = (&'static str, &'static str)>,
) {
    // Writing to a `String` cannot fail.
    let _ = write!(text, "\n## {title}\n\n{about}\n\n| key | here |\n|---|---|\n");
    for (key, about) in keys {
        let _ = writeln!(text, "| `{key}` | {about} |");
    }
}

/// What a key does here, as a sentence of its own; nothing about one that simply works.
fn here(meaning: &str) -> String {
    if meaning == "used" {
        return String::new();
    }
    format!(" **{}{}.**", meaning[..1].to_uppercase(), &meaning[1..])
}
