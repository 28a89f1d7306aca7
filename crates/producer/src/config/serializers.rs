//! The serializers that `key.serializer` and `value.serializer` name, by Java's and Confluent's classes.

use super::error::{ConfigError, Origin, Warning};
use super::settings::{Entry, Reading};
use super::suggest::nearest;
use ottla_serialization::Role;
use ottla_serialization::builtin::Encoding;
use std::fmt;

/// What turns keys or values into bytes, as `key.serializer` and `value.serializer` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SerializerKind {
    /// Text: `StringSerializer`.
    String,
    /// Bytes as they are: `ByteArraySerializer`, `ByteBufferSerializer` and `BytesSerializer`.
    Bytes,
    /// 2 bytes: `ShortSerializer`.
    Short,
    /// 4 bytes: `IntegerSerializer`.
    Integer,
    /// 8 bytes: `LongSerializer`.
    Long,
    /// 4 bytes: `FloatSerializer`.
    Float,
    /// 8 bytes: `DoubleSerializer`.
    Double,
    /// 1 byte: `BooleanSerializer`.
    Boolean,
    /// The 36 characters of a UUID: `UUIDSerializer`.
    Uuid,
    /// Nothing: `VoidSerializer`.
    Void,
    /// Elements of one kind: `ListSerializer`.
    List,
    /// JSON without a schema: Confluent's `KafkaJsonSerializer`, Connect's `JsonSerializer`.
    Json,
    /// Avro by a schema of the registry: `KafkaAvroSerializer`.
    Avro,
    /// Protobuf by a schema of the registry: `KafkaProtobufSerializer`.
    Protobuf,
    /// JSON by a schema of the registry: `KafkaJsonSchemaSerializer`.
    JsonSchema,
}

use SerializerKind as Kind;

/// The packages of the classes.
const KAFKA: &str = "org.apache.kafka.common.serialization.";
const CONFLUENT: &str = "io.confluent.kafka.serializers.";

/// Package, class and what it is here. The first class of a kind is the one that stands for it.
const CLASSES: &[(&str, &str, Kind)] = &[
    (KAFKA, "StringSerializer", Kind::String),
    (KAFKA, "ByteArraySerializer", Kind::Bytes),
    (KAFKA, "ByteBufferSerializer", Kind::Bytes),
    (KAFKA, "BytesSerializer", Kind::Bytes),
    (KAFKA, "ShortSerializer", Kind::Short),
    (KAFKA, "IntegerSerializer", Kind::Integer),
    (KAFKA, "LongSerializer", Kind::Long),
    (KAFKA, "FloatSerializer", Kind::Float),
    (KAFKA, "DoubleSerializer", Kind::Double),
    (KAFKA, "BooleanSerializer", Kind::Boolean),
    (KAFKA, "UUIDSerializer", Kind::Uuid),
    (KAFKA, "VoidSerializer", Kind::Void),
    (KAFKA, "ListSerializer", Kind::List),
    (CONFLUENT, "KafkaJsonSerializer", Kind::Json),
    ("org.apache.kafka.connect.json.", "JsonSerializer", Kind::Json),
    (CONFLUENT, "KafkaAvroSerializer", Kind::Avro),
    (CONFLUENT, "protobuf.KafkaProtobufSerializer", Kind::Protobuf),
    (CONFLUENT, "json.KafkaJsonSchemaSerializer", Kind::JsonSchema),
];

impl SerializerKind {
    /// The kind that a class of Java's or Confluent's has, by its full name.
    pub fn of_class(class: &str) -> Option<SerializerKind> {
        let known = CLASSES
            .iter()
            .find(|(package, name, _)| class.strip_prefix(package).is_some_and(|class| class == *name));
        known.map(|(_, _, kind)| *kind)
    }

    /// The full name of the class that stands for the kind.
    pub fn class(self) -> String {
        let known = CLASSES.iter().find(|(_, _, kind)| *kind == self);
        // Every kind is in the table; a test looks.
        known.map_or_else(String::new, |(package, name, _)| format!("{package}{name}"))
    }

    /// Whether it writes by schemas of a registry.
    pub fn needs_registry(self) -> bool {
        matches!(self, Kind::Avro | Kind::Protobuf | Kind::JsonSchema)
    }

    /// What it takes, for messages.
    pub(crate) fn takes(self) -> &'static str {
        match self {
            Kind::String => "text",
            Kind::Bytes => "bytes",
            Kind::Short => "an integer of 16 bits",
            Kind::Integer => "an integer of 32 bits",
            Kind::Long => "an integer of 64 bits",
            Kind::Float => "a number of 32 bits",
            Kind::Double => "a number of 64 bits",
            Kind::Boolean => "a boolean",
            Kind::Uuid => "a UUID",
            Kind::Void => "nothing but null",
            Kind::List => "a list",
            Kind::Json | Kind::Avro | Kind::Protobuf | Kind::JsonSchema => "what serde can write",
        }
    }
}

/// One serializer as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SerializerChoice {
    pub(crate) kind: SerializerKind,
    /// `value.serializer=org.apache…`, for messages.
    pub(crate) setting: String,
    pub(crate) encoding: Encoding,
    /// What a list is of.
    pub(crate) elements: Option<SerializerKind>,
    pub(crate) origin: Option<Origin>,
}

/// What stands for key and value; nothing where no class is named, or one that has no counterpart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Serializers {
    key: Option<SerializerChoice>,
    value: Option<SerializerChoice>,
}

impl Serializers {
    pub(crate) fn of(&self, role: Role) -> Option<&SerializerChoice> {
        match role {
            Role::Key => self.key.as_ref(),
            Role::Value => self.value.as_ref(),
        }
    }
}

/// The key that names the class.
pub(crate) fn class_key(role: Role) -> &'static str {
    match role {
        Role::Key => "key.serializer",
        Role::Value => "value.serializer",
    }
}

/// Keys of Java's own serializers that its producer's table does not have, and what they are for.
pub(super) const KEYS: &[(&str, &str)] = &[
    (
        "default.list.key.serde.inner",
        "What a list as a key is of, where `key.serializer` is Java's `ListSerializer`: one of \
         `org.apache.kafka.common.serialization.Serdes$…Serde`.",
    ),
    ("default.list.value.serde.inner", "The same for values."),
    (
        "key.serializer.encoding",
        "How Java's `StringSerializer` and `UUIDSerializer` write keys; `UTF-8` by default.",
    ),
    (
        "serializer.encoding",
        "The same for keys and values, where they have none of their own.",
    ),
    ("value.serializer.encoding", "The same for values."),
];

/// Reads the classes and what goes with them. What is wrong is in `reading`.
pub(super) fn read(reading: &mut Reading) -> Serializers {
    Serializers {
        key: choice(reading, Role::Key),
        value: choice(reading, Role::Value),
    }
}

fn choice(reading: &mut Reading, role: Role) -> Option<SerializerChoice> {
    let key = class_key(role);
    let setting = reading.settings.setting(key);
    let (class, origin) = (reading.settings.text(key)?.to_owned(), setting.origin().cloned());
    let Some(kind) = SerializerKind::of_class(&class) else {
        let all = CLASSES
            .iter()
            .map(|(package, name, _)| format!("{package}{name}"));
        let all: Vec<_> = all.collect();
        let hint = nearest(&class, all.iter().map(String::as_str))
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        let text =
            format!("is ignored: this class has no counterpart here, so bytes are sent as they are{hint}");
        reading.warnings.push(Warning::new(key, text, origin.as_ref()));
        return None;
    };
    let mut wrong = Vec::new();
    let encoding = encoding(&reading.more, role, &mut wrong);
    let elements = (kind == Kind::List)
        .then(|| elements(&reading.more, role, origin.as_ref(), &mut wrong))
        .flatten();
    reading.errors.append(&mut wrong);
    Some(SerializerChoice {
        kind,
        setting: format!("{key}={class}"),
        encoding,
        elements,
        origin,
    })
}

/// The last that was set of a key that the table does not have.
fn last<'e>(entries: &'e [Entry], key: &str) -> Option<&'e Entry> {
    entries
        .iter()
        .rev()
        .find(|entry| entry.key == key && !entry.value.trim().is_empty())
}

fn encoding(entries: &[Entry], role: Role, wrong: &mut Vec<ConfigError>) -> Encoding {
    let own = format!("{role}.serializer.encoding");
    let Some(entry) = last(entries, &own).or_else(|| last(entries, "serializer.encoding")) else {
        return Encoding::default();
    };
    match entry.value.trim().parse() {
        Ok(encoding) => encoding,
        Err(error) => {
            let error: ottla_serialization::builtin::UnknownEncoding = error;
            wrong.push(ConfigError::key(
                &entry.key,
                error.to_string(),
                Some(&entry.origin),
            ));
            Encoding::default()
        }
    }
}

/// A list has elements of a plain kind: Java's serdes of those are known.
fn elements(
    entries: &[Entry],
    role: Role,
    origin: Option<&Origin>,
    wrong: &mut Vec<ConfigError>,
) -> Option<SerializerKind> {
    let key = format!("default.list.{role}.serde.inner");
    let Some(entry) = last(entries, &key) else {
        let reason = format!(
            "is not set, and {}={KAFKA}ListSerializer needs it",
            class_key(role)
        );
        wrong.push(ConfigError::key(&key, reason, origin));
        return None;
    };
    let serde = entry.value.trim().strip_prefix(KAFKA);
    let serde = serde.and_then(|serde| serde.strip_prefix("Serdes$")?.strip_suffix("Serde"));
    let kind = serde.and_then(|serde| SerializerKind::of_class(&format!("{KAFKA}{serde}Serializer")));
    let kind = kind.filter(|kind| !matches!(kind, Kind::List | Kind::Void));
    if kind.is_none() {
        let reason =
            format!("no such serde here; expected {KAFKA}Serdes$IntegerSerde or another of a plain type");
        wrong.push(ConfigError::key(&key, reason, Some(&entry.origin)));
    }
    kind
}

impl fmt::Display for SerializerKind {
    /// The class.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.class())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigBuilder};

    fn builder(settings: &[(&str, &str)]) -> ConfigBuilder {
        let start = ConfigBuilder::new().bootstrap_servers("localhost:9092");
        settings
            .iter()
            .fold(start, |builder, &(key, value)| builder.set(key, value))
    }

    fn config(settings: &[(&str, &str)]) -> Config {
        let (config, warnings) = builder(settings).build().expect("a good configuration");
        assert!(warnings.is_empty(), "{warnings:?}");
        config
    }

    #[test]
    fn javas_classes_have_their_counterparts() {
        for (package, name, kind) in CLASSES {
            let class = format!("{package}{name}");
            let url = ("schema.registry.url", "http://a");
            let settings = [
                ("key.serializer", class.as_str()),
                ("value.serializer", &class),
                url,
            ];
            let list = [
                (
                    "default.list.key.serde.inner",
                    "org.apache.kafka.common.serialization.Serdes$UUIDSerde",
                ),
                (
                    "default.list.value.serde.inner",
                    "org.apache.kafka.common.serialization.Serdes$LongSerde",
                ),
            ];
            let count = if cfg!(feature = "schema-registry") { 3 } else { 2 };
            let list = if *kind == Kind::List { &list[..] } else { &[] };
            if kind.needs_registry() && count == 2 {
                continue;
            }
            let config = config(&[&settings[..count], list].concat());
            assert_eq!(
                (config.key_serializer(), config.value_serializer()),
                (Some(*kind), Some(*kind)),
                "{class}"
            );
            assert_eq!(SerializerKind::of_class(&kind.class()), Some(*kind));
        }
        let none = config(&[]);
        assert_eq!((none.key_serializer(), none.value_serializer()), (None, None));
    }

    #[test]
    fn a_class_without_counterpart_is_told_and_bytes_go_on() {
        let (config, warnings) = builder(&[("value.serializer", "com.example.Own")])
            .build()
            .expect("no error");
        assert_eq!(config.value_serializer(), None);
        assert!(warnings[0].to_string().contains("no counterpart"), "{warnings:?}");
        let misspelt = "org.apache.kafka.common.serialization.StringSerialiser";
        let (_, warnings) = builder(&[("key.serializer", misspelt)])
            .build()
            .expect("no error");
        let text = warnings[0].to_string();
        assert!(
            text.starts_with("set in code: key.serializer") && text.ends_with("StringSerializer?"),
            "{text}"
        );
    }

    #[test]
    fn encodings_and_elements_are_read() {
        let list = "org.apache.kafka.common.serialization.ListSerializer";
        let text = "org.apache.kafka.common.serialization.StringSerializer";
        let settings = [
            ("key.serializer", text),
            ("value.serializer", list),
            (
                "default.list.value.serde.inner",
                "org.apache.kafka.common.serialization.Serdes$StringSerde",
            ),
            ("serializer.encoding", "UTF-16"),
            ("key.serializer.encoding", "ISO-8859-1"),
        ];
        let config = config(&settings);
        let choice = |role| config.serializers().of(role).expect("a choice").clone();
        assert_eq!(choice(Role::Key).encoding, Encoding::Latin1);
        assert_eq!(
            (choice(Role::Value).encoding, choice(Role::Value).elements),
            (Encoding::Utf16, Some(Kind::String))
        );
        for (settings, part) in [
            (
                &[("value.serializer", list)][..],
                "default.list.value.serde.inner: is not set",
            ),
            (
                &[
                    ("value.serializer", list),
                    ("default.list.value.serde.inner", "x"),
                ],
                "Serdes$IntegerSerde",
            ),
            (
                &[("key.serializer", text), ("serializer.encoding", "EBCDIC")],
                "no such encoding",
            ),
        ] {
            let error = builder(settings).build().expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
