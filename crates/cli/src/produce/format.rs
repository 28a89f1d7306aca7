//! What keys and values of the input are, and the serializers that write them.

use super::arguments::Arguments;
use crate::exit::Failure;
use clap::{Args, ValueEnum};
use ottla::config::{Config, ConfigBuilder, Origin, SerializerKind};
use ottla::serialization::registry::{Schema, SchemaKind};
use ottla::serialization::{JsonText, Output, Payload, Readiness, Role, SerializeError, Serializer, Target};
use ottla::{ConfiguredSerializer, Producer, SchemaChoice, TypedProducer};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Flags about what keys and values are.
#[derive(Args, Debug)]
pub(super) struct Formats {
    /// What keys are, and how they are written [default: what key.serializer names, or bytes]
    #[arg(long, value_enum, value_name = "FORMAT")]
    key_format: Option<Format>,

    /// What values are, and how they are written: avro, protobuf and json-schema are read as JSON [default: what
    /// value.serializer names, or bytes]
    #[arg(long, value_enum, value_name = "FORMAT")]
    value_format: Option<Format>,

    /// The schema of keys, as --value-schema
    #[arg(long, visible_alias = "schema-key-id", value_name = "SCHEMA")]
    key_schema: Option<SchemaFlag>,

    /// The schema of values: its number in the registry, `latest` (or `topic`) for the subject's latest version,
    /// `subject:NAME` for that of another subject, or a file, which is registered if it is not yet
    #[arg(long, visible_aliases = ["schema", "schema-id"], value_name = "SCHEMA")]
    value_schema: Option<SchemaFlag>,

    /// The message of a Protobuf schema of keys, by its full name [default: the first]
    #[arg(long, visible_alias = "schema-key-type", value_name = "NAME")]
    key_message: Option<String>,

    /// The message of a Protobuf schema of values, by its full name [default: the first]
    #[arg(long, visible_alias = "schema-type", value_name = "NAME")]
    value_message: Option<String>,
}

/// What keys or values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Bytes as they are
    Bytes,
    /// Text, which has to be UTF-8
    String,
    /// A whole number, written in 2 bytes
    Short,
    /// A whole number, written in 4 bytes
    #[value(alias = "integer")]
    Int,
    /// A whole number, written in 8 bytes
    Long,
    /// A number, written in 4 bytes
    Float,
    /// A number, written in 8 bytes
    Double,
    /// true or false, written in 1 byte
    #[value(alias = "bool")]
    Boolean,
    /// A UUID
    Uuid,
    /// JSON, which is checked and written as it is
    Json,
    /// Avro, by a schema of the registry
    Avro,
    /// Protobuf, by a schema of the registry
    Protobuf,
    /// JSON that is held against a schema of the registry
    JsonSchema,
}

impl Format {
    fn kind(self) -> SerializerKind {
        match self {
            Format::Bytes => SerializerKind::Bytes,
            Format::String => SerializerKind::String,
            Format::Short => SerializerKind::Short,
            Format::Int => SerializerKind::Integer,
            Format::Long => SerializerKind::Long,
            Format::Float => SerializerKind::Float,
            Format::Double => SerializerKind::Double,
            Format::Boolean => SerializerKind::Boolean,
            Format::Uuid => SerializerKind::Uuid,
            Format::Json => SerializerKind::Json,
            Format::Avro => SerializerKind::Avro,
            Format::Protobuf => SerializerKind::Protobuf,
            Format::JsonSchema => SerializerKind::JsonSchema,
        }
    }
}

/// Where a schema is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SchemaFlag {
    Id(u32),
    Latest,
    LatestOf(String),
    File(PathBuf),
}

impl FromStr for SchemaFlag {
    type Err = String;

    /// A file that is called as one of the others is can be written with `./` in front.
    fn from_str(text: &str) -> Result<SchemaFlag, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let id = text
                .parse()
                .map_err(|_| "no registry has such a number".to_owned())?;
            return Ok(SchemaFlag::Id(id));
        }
        match (text, text.strip_prefix("subject:")) {
            ("", _) | (_, Some("")) => Err("expected a number, latest, subject:NAME or a file".to_owned()),
            ("latest" | "topic", _) => Ok(SchemaFlag::Latest),
            (_, Some(subject)) => Ok(SchemaFlag::LatestOf(subject.to_owned())),
            (file, None) => Ok(SchemaFlag::File(PathBuf::from(file))),
        }
    }
}

/// The flags of keys or of values.
struct Part<'a> {
    role: Role,
    format: Option<Format>,
    format_flag: &'static str,
    schema: Option<&'a SchemaFlag>,
    schema_flag: &'static str,
    message: Option<&'a str>,
}

impl Formats {
    fn part(&self, role: Role) -> Part<'_> {
        match role {
            Role::Key => Part {
                role,
                format: self.key_format,
                format_flag: "--key-format",
                schema: self.key_schema.as_ref(),
                schema_flag: "--key-schema",
                message: self.key_message.as_deref(),
            },
            Role::Value => Part {
                role,
                format: self.value_format,
                format_flag: "--value-format",
                schema: self.value_schema.as_ref(),
                schema_flag: "--value-schema",
                message: self.value_message.as_deref(),
            },
        }
    }

    /// The configuration, with the classes that stand for the formats.
    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        for role in [Role::Key, Role::Value] {
            let part = self.part(role);
            let kind = match (part.format, part.schema) {
                (Some(format), _) => Some((format.kind(), part.format_flag)),
                (None, Some(SchemaFlag::File(file))) => {
                    kind_of_file(file).map(|kind| (kind, part.schema_flag))
                }
                (None, _) => None,
            };
            if let Some((kind, flag)) = kind {
                let key = format!("{role}.serializer");
                builder = builder.set_from(key, kind.class(), Origin::Flag(flag));
            }
        }
        builder
    }
}

/// What a schema's file is called by custom.
fn kind_of_file(file: &Path) -> Option<SerializerKind> {
    match file.extension()?.to_str()? {
        "avsc" => Some(SerializerKind::Avro),
        "proto" => Some(SerializerKind::Protobuf),
        "json" => Some(SerializerKind::JsonSchema),
        _ => None,
    }
}

/// A producer of keys and values as they stand in the input.
pub(super) type InputProducer = TypedProducer<[u8], [u8]>;

/// A producer of what the input holds; none where it is bytes.
pub(super) fn typed(arguments: &Arguments, producer: &Producer) -> Result<Option<InputProducer>, Failure> {
    let config = producer.config();
    let kinds = [config.key_serializer(), config.value_serializer()];
    let parts = [Role::Key, Role::Value].map(|role| arguments.formats.part(role));
    for (kind, part) in kinds.iter().zip(&parts) {
        let by_schema = kind.is_some_and(SerializerKind::needs_registry);
        if part.schema.is_some() && !by_schema {
            let (schema, format) = (part.schema_flag, part.format_flag);
            return Err(Failure::usage(format!(
                "{schema} needs {format} avro, protobuf or json-schema"
            )));
        }
    }
    if kinds
        .iter()
        .all(|kind| kind.is_none_or(|kind| kind == SerializerKind::Bytes))
    {
        return Ok(None);
    }
    let [key, value] = parts.map(|part| serializer(config, &part));
    Ok(Some(InputProducer::new(producer.clone(), key?, value?)))
}

fn serializer(config: &Config, part: &Part<'_>) -> Result<InputSerializer, Failure> {
    let kind = match part.role {
        Role::Key => config.key_serializer(),
        Role::Value => config.value_serializer(),
    };
    let Some(kind) = kind else {
        return Ok(InputSerializer(None));
    };
    let choice = match part.schema {
        None => SchemaChoice::default(),
        Some(SchemaFlag::Id(id)) => SchemaChoice::id(*id),
        Some(SchemaFlag::Latest) => SchemaChoice::latest(),
        Some(SchemaFlag::LatestOf(subject)) => SchemaChoice::latest_of(subject),
        Some(SchemaFlag::File(file)) => {
            SchemaChoice::own(Schema::new(schema_kind(kind), schema_text(file, part)?))
        }
    };
    let choice = match part.message {
        Some(message) => choice.message(message),
        None => choice,
    };
    let serializer =
        ConfiguredSerializer::with_schema(config, part.role, choice).map_err(|error| match part.schema {
            None if kind.needs_registry() => {
                Failure::usage(format!("{error}; here {} says which", part.schema_flag))
            }
            _ => Failure::usage(error),
        })?;
    Ok(InputSerializer::from(serializer))
}

fn schema_kind(kind: SerializerKind) -> SchemaKind {
    match kind {
        SerializerKind::Protobuf => SchemaKind::Protobuf,
        SerializerKind::JsonSchema => SchemaKind::Json,
        _ => SchemaKind::Avro,
    }
}

fn schema_text(file: &Path, part: &Part<'_>) -> Result<String, Failure> {
    /// What no registry takes need not be read.
    const BYTES_MAX: u64 = 16 << 20;
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| {
            let (flag, file) = (part.schema_flag, file.display());
            Failure::usage(format!("{flag}: cannot read {file}: {error}"))
        })?;
    Ok(text)
}

/// Reads what stands in the input, and writes it by the configured serializer; without one, bytes as they are.
#[derive(Debug)]
struct InputSerializer(Option<Configured>);

#[derive(Debug)]
struct Configured {
    plain: ConfiguredSerializer,
    /// The same, for text in JSON.
    json: JsonText<ConfiguredSerializer>,
}

impl From<ConfiguredSerializer> for InputSerializer {
    fn from(serializer: ConfiguredSerializer) -> InputSerializer {
        InputSerializer(Some(Configured {
            json: JsonText::new(serializer.clone()),
            plain: serializer,
        }))
    }
}

impl Serializer<[u8]> for InputSerializer {
    fn prepare(&self, target: &Target<'_>, value: Option<&[u8]>) -> Result<Readiness, SerializeError> {
        match &self.0 {
            // Whether there is a value is all that matters.
            Some(serializer) => serializer.plain.prepare(target, value.map(|_| &())),
            None => Ok(Readiness::Ready),
        }
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&[u8]>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(value) = value else {
            return Ok(Payload::Null);
        };
        let Some(serializer) = &self.0 else {
            output.bytes.extend_from_slice(value);
            return Ok(Payload::Bytes);
        };
        write(serializer, target, value, output).map_err(|error| error.at(target))
    }
}

fn write(
    Configured { plain, json }: &Configured,
    target: &Target<'_>,
    value: &[u8],
    output: &mut Output<'_>,
) -> Result<Payload, SerializeError> {
    match plain.kind() {
        SerializerKind::Bytes => {
            output.bytes.extend_from_slice(value);
            Ok(Payload::Bytes)
        }
        SerializerKind::Short | SerializerKind::Integer | SerializerKind::Long => {
            let number: i64 = parsed(value, "a whole number")?;
            plain.serialize(target, Some(&number), output)
        }
        SerializerKind::Float => {
            let number: f32 = parsed(value, "a number")?;
            plain.serialize(target, Some(&number), output)
        }
        SerializerKind::Double => {
            let number: f64 = parsed(value, "a number")?;
            plain.serialize(target, Some(&number), output)
        }
        SerializerKind::Boolean => {
            let is: bool = parsed(value, "true or false")?;
            plain.serialize(target, Some(&is), output)
        }
        SerializerKind::Uuid => plain.serialize(target, Some(text(value)?.trim()), output),
        SerializerKind::String | SerializerKind::Void => plain.serialize(target, Some(text(value)?), output),
        SerializerKind::Json => {
            let checked: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(value);
            checked.map_err(|error| SerializeError::value(format!("no JSON: {error}")))?;
            // As it is: numbers keep all their digits.
            output.bytes.extend_from_slice(value);
            Ok(Payload::Bytes)
        }
        // Lists, and all else that has a schema.
        _ => json.serialize(target, Some(value), output),
    }
}

fn text(value: &[u8]) -> Result<&str, SerializeError> {
    std::str::from_utf8(value).map_err(|error| {
        let message = format!(
            "expected text in UTF-8, and byte {} is none",
            error.valid_up_to() + 1
        );
        SerializeError::value(message)
    })
}

fn parsed<T: FromStr>(value: &[u8], expected: &str) -> Result<T, SerializeError> {
    /// What is longer is no number.
    const SHOWN_MAX: usize = 40;
    let text = text(value)?.trim();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        SerializeError::value(format!("expected {expected}, found {shown:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla::serialization::AddedHeaders;

    #[test]
    fn a_schema_is_a_number_a_subject_or_a_file() {
        let read = |text: &str| text.parse::<SchemaFlag>();
        assert_eq!(read("42"), Ok(SchemaFlag::Id(42)));
        assert_eq!(read("./42"), Ok(SchemaFlag::File("./42".into())));
        assert_eq!(read("topic"), Ok(SchemaFlag::Latest));
        assert_eq!(read("subject:a"), Ok(SchemaFlag::LatestOf("a".to_owned())));
        assert_eq!(read("a.avsc"), Ok(SchemaFlag::File("a.avsc".into())));
        assert!(read("4294967296").is_err() && read("").is_err() && read("subject:").is_err());
    }

    fn written(format: Format, value: &str) -> Result<(Payload, Vec<u8>), String> {
        let config = ConfigBuilder::new()
            .bootstrap_servers("a:1")
            .set("value.serializer", format.kind().class());
        let (config, _) = config.build().expect("a good configuration");
        let serializer = ConfiguredSerializer::new(&config, Role::Value).expect("a serializer");
        let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
        let target = Target::new("t", Role::Value);
        let mut output = Output::new(&mut bytes, &mut headers);
        let payload =
            InputSerializer::from(serializer).serialize(&target, Some(value.as_bytes()), &mut output);
        let payload = payload.map_err(|error| error.to_string())?;
        Ok((payload, bytes))
    }

    #[test]
    fn text_of_the_input_becomes_what_its_format_says() {
        for (format, text, expected) in [
            (Format::Bytes, "\u{0}x", &b"\0x"[..]),
            (Format::String, "ü", "ü".as_bytes()),
            (Format::Short, "-1", &[255, 255]),
            (Format::Int, " 7 ", &[0, 0, 0, 7]),
            (Format::Long, "7", &[0, 0, 0, 0, 0, 0, 0, 7]),
            (Format::Float, "0.1", &0.1_f32.to_be_bytes()),
            (Format::Double, "1e3", &1_000_f64.to_be_bytes()),
            (Format::Boolean, "true", &[1]),
            (
                Format::Uuid,
                "0123abcd-4567-89ef-0123-456789abcdef",
                b"0123abcd-4567-89ef-0123-456789abcdef",
            ),
            (
                Format::Json,
                r#"{"a": 1.00000000000000000001}"#,
                br#"{"a": 1.00000000000000000001}"#,
            ),
        ] {
            assert_eq!(
                written(format, text),
                Ok((Payload::Bytes, expected.to_vec())),
                "{format:?}"
            );
        }
        for (format, text, part) in [
            (
                Format::Int,
                "x",
                "value for topic \"t\": expected a whole number, found \"x\"",
            ),
            (Format::Int, "3000000000", "32 bits"),
            (Format::Short, "1.5", "a whole number"),
            (Format::Double, "", "a number"),
            (Format::Boolean, "yes", "true or false"),
            (Format::Uuid, "x", "no UUID"),
            (Format::Json, "{", "no JSON: EOF"),
        ] {
            let error = written(format, text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}
