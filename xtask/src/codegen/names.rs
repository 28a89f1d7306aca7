//! Rust names for the schemas' names.

use std::collections::HashMap;

use super::schema::{Kind, Schema};

/// `TimeoutMs` as `timeout_ms`.
pub(crate) fn snake(name: &str) -> String {
    // One word to Kafka's people, though it is not written as one.
    let name = name.replace("KRaft", "Kraft");
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            let after_word = !letters[index - 1].is_ascii_uppercase();
            let before_word = letters.get(index + 1).is_some_and(char::is_ascii_lowercase);
            if after_word || before_word {
                out.push('_');
            }
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The name of a field in Rust code: raw where it is a keyword.
pub(crate) fn field(name: &str) -> String {
    let name = snake(name);
    if matches!(
        name.as_str(),
        "type" | "match" | "ref" | "where" | "move" | "use" | "in" | "loop" | "final"
    ) {
        format!("r#{name}")
    } else {
        name
    }
}

/// The name of an API without `Request` or `Response`, or of a message that is neither.
pub(crate) fn api(schema: &Schema) -> &str {
    match schema.kind {
        Kind::Request => schema.name.strip_suffix("Request").unwrap_or(&schema.name),
        Kind::Response => schema.name.strip_suffix("Response").unwrap_or(&schema.name),
        Kind::Header | Kind::Data => &schema.name,
    }
}

/// The Rust types of the structures in the messages of one file, by message and schema name.
///
/// A type is called as in the schema. Where the request and the response of one API have different structures of one
/// name, they are called `Request…` and `Response…`.
pub(crate) fn types<'a>(schemas: &[&'a Schema]) -> HashMap<(&'a str, &'a str), String> {
    let mut uses = HashMap::<&str, usize>::new();
    for structure in schemas.iter().flat_map(|schema| &schema.structs) {
        *uses.entry(structure.name.as_str()).or_default() += 1;
    }
    let mut names = HashMap::new();
    for schema in schemas {
        for structure in &schema.structs {
            let prefix = match (uses[structure.name.as_str()], schema.kind) {
                (1, _) => "",
                (_, Kind::Request) => "Request",
                (_, Kind::Response) => "Response",
                (_, Kind::Header | Kind::Data) => "",
            };
            names.insert(
                (schema.name.as_str(), structure.name.as_str()),
                format!("{prefix}{}", structure.name),
            );
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (name, expected) in [
            ("TimeoutMs", "timeout_ms"),
            ("KRaftVersionFeature", "kraft_version_feature"),
            ("UserSCRAMCredentials", "user_scram_credentials"),
            ("LogIV2Size", "log_iv2_size"),
            ("name", "name"),
        ] {
            assert_eq!(snake(name), expected);
        }
        assert_eq!(field("Type"), "r#type");
    }
}
