//! Confluent's keys about how serializers use the schema registry.

use super::error::{ConfigError, Warning};
use super::registry::Given;
use super::serializers::{SerializerChoice, Serializers, class_key};
use super::settings::Reading;
use ottla_serialization::Role;
use ottla_serialization::registry::{
    IdForm, RecordName, SchemaSource, SerializerSettings, SubjectStrategy, TopicName, TopicRecordName,
};
use std::sync::Arc;

const AUTO_REGISTER: &str = "auto.register.schemas";
const LATEST: &str = "use.latest.version";
const LATEST_STRICT: &str = "latest.compatibility.strict";
const LATEST_TTL: &str = "latest.cache.ttl.sec";
const BY_ID: &str = "use.schema.id";
const ID_STRICT: &str = "id.compatibility.strict";
const NORMALIZE: &str = "normalize.schemas";
const JSON_CHECK: &str = "json.fail.invalid.schema";
const KEY_STRATEGY: &str = "key.subject.name.strategy";
const VALUE_STRATEGY: &str = "value.subject.name.strategy";
const KEY_ID_FORM: &str = "key.schema.id.serializer";
const VALUE_ID_FORM: &str = "value.schema.id.serializer";

/// The keys and what they are for.
pub(super) const KEYS: &[(&str, &str)] = &[
    (
        AUTO_REGISTER,
        "Whether a serializer registers the schema that it was given; `true` by default. Without it the schema must be \
         registered already.",
    ),
    (
        ID_STRICT,
        "Whether the schema of `use.schema.id` must be able to stand for the serializer's own; `true` by default.",
    ),
    (
        JSON_CHECK,
        "Whether a value that does not fit its JSON Schema is refused; `true` by default (in Java `false`).",
    ),
    (
        KEY_ID_FORM,
        "Where readers find the id of a key's schema: `io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer` \
         (the default) or `…HeaderSchemaIdSerializer`.",
    ),
    (
        KEY_STRATEGY,
        "The subject of keys: `io.confluent.kafka.serializers.subject.TopicNameStrategy` (the default), \
         `…RecordNameStrategy` or `…TopicRecordNameStrategy`.",
    ),
    (
        LATEST_TTL,
        "How long the latest version is used before it is asked for again: `-1`, for ever, and nothing else here.",
    ),
    (
        LATEST_STRICT,
        "Whether the latest version must be able to stand for the serializer's own schema; `true` by default.",
    ),
    (
        NORMALIZE,
        "Whether the registry normalizes schemas; `false` by default.",
    ),
    (
        LATEST,
        "Whether the subject's latest version is written with; `false` by default. As in Java, `auto.register.schemas` \
         goes before it where a serializer has a schema of its own.",
    ),
    (
        BY_ID,
        "The id of the schema to write with. As in Java, `auto.register.schemas` goes before it where a serializer has a \
         schema of its own.",
    ),
    (VALUE_ID_FORM, "The same for values."),
    (VALUE_STRATEGY, "The subject of values."),
];

/// Keys that are about Java's objects, or about readers: they change nothing that is sent from here.
const IGNORED: &[&str] = &[
    "avro.reflection.allow.null",
    "avro.remove.java.properties",
    "avro.use.logical.type.converters",
    "json.default.property.inclusion",
    "json.fail.unknown.properties",
    "json.oneof.for.nullables",
    "json.schema.spec.version",
    "json.write.dates.iso8601",
    "schema.reflection",
    "skip.known.types",
    "specific.avro.reader",
];

/// Whether a key is one of these.
pub(super) fn is_key(name: &str) -> bool {
    KEYS.iter().any(|(key, _)| *key == name) || IGNORED.contains(&name)
}

/// How serializers of keys and values use the registry.
#[derive(Clone, Debug)]
pub(crate) struct SchemaSettings {
    key: SerializerSettings,
    value: SerializerSettings,
    /// Where a schema comes from when the serializer has none of its own; `None` if no key says so.
    pub(crate) without_own: Option<SchemaSource>,
    /// Whether values are held against their JSON Schema.
    #[cfg_attr(
        not(feature = "json-schema"),
        allow(dead_code, reason = "there is nobody to ask")
    )]
    pub(crate) checks_json: bool,
}

impl SchemaSettings {
    pub(crate) fn of(&self, role: Role) -> &SerializerSettings {
        match role {
            Role::Key => &self.key,
            Role::Value => &self.value,
        }
    }
}

/// Reads the keys; what is wrong is in `reading`.
pub(super) fn read(reading: &mut Reading, serializers: &Serializers) -> Option<SchemaSettings> {
    for entry in &reading.more {
        if IGNORED.contains(&entry.key.as_str()) {
            let text = "is ignored: it is about Java's objects";
            reading
                .warnings
                .push(Warning::new(&entry.key, text, Some(&entry.origin)));
        }
    }
    let given = Given {
        entries: &reading.more,
        settings: &reading.settings,
    };
    let read = settings(&given);
    let missing: Vec<_> = [Role::Key, Role::Value]
        .into_iter()
        .filter_map(|role| Some((role, serializers.of(role)?)))
        .filter(|(_, choice)| choice.kind.needs_registry() && !given.has_registry())
        .map(|(role, choice)| no_registry(role, choice))
        .collect();
    reading.errors.extend(missing);
    match read {
        Ok(settings) => Some(settings),
        Err(error) => {
            reading.errors.push(error);
            None
        }
    }
}

fn no_registry(role: Role, choice: &SerializerChoice) -> ConfigError {
    let reason = format!("{} needs schema.registry.url, which is not set", choice.setting);
    ConfigError::keys(
        &[class_key(role), "schema.registry.url"],
        reason,
        choice.origin.as_ref(),
    )
}

fn settings(given: &Given<'_>) -> Result<SchemaSettings, ConfigError> {
    let registers = given.boolean(AUTO_REGISTER)?.unwrap_or(true);
    let latest = given.boolean(LATEST)?.unwrap_or(false);
    // −1 is Java's way to say none.
    let id = match given.text(BY_ID) {
        None | Some("-1") => None,
        Some(_) => given.number(BY_ID)?,
    };
    let id = id.and_then(|id| u32::try_from(id).ok()).map(SchemaSource::Id);
    let without_own = id.or(latest.then_some(SchemaSource::Latest));
    let latest_strict = given.boolean(LATEST_STRICT)?.unwrap_or(true);
    let id_strict = given.boolean(ID_STRICT)?.unwrap_or(true);
    if given.text(LATEST_TTL).is_some_and(|seconds| seconds != "-1") {
        return Err(given.wrong(LATEST_TTL, "only -1 works: the latest version is asked for once"));
    }
    let mut common = SerializerSettings::default();
    common.source = match without_own {
        _ if registers => SchemaSource::Register,
        Some(source) => source,
        None => SchemaSource::LookUp,
    };
    common.normalize = given.boolean(NORMALIZE)?.unwrap_or(false);
    common.latest_compatibility_strict = match common.source {
        SchemaSource::Id(_) => id_strict,
        _ => latest_strict,
    };
    let of_part = |strategy_key: &str, form_key: &str| -> Result<SerializerSettings, ConfigError> {
        let mut settings = common.clone();
        settings.subject_strategy = strategy(given, strategy_key)?;
        settings.id_form = id_form(given, form_key)?;
        Ok(settings)
    };
    Ok(SchemaSettings {
        key: of_part(KEY_STRATEGY, KEY_ID_FORM)?,
        value: of_part(VALUE_STRATEGY, VALUE_ID_FORM)?,
        without_own,
        checks_json: given.boolean(JSON_CHECK)?.unwrap_or(true),
    })
}

fn strategy(given: &Given<'_>, key: &str) -> Result<Arc<dyn SubjectStrategy>, ConfigError> {
    const PACKAGE: &str = "io.confluent.kafka.serializers.subject.";
    let Some(class) = given.text(key) else {
        return Ok(Arc::new(TopicName));
    };
    Ok(match class.strip_prefix(PACKAGE) {
        Some("TopicNameStrategy") => Arc::new(TopicName),
        Some("RecordNameStrategy") => Arc::new(RecordName),
        Some("TopicRecordNameStrategy") => Arc::new(TopicRecordName),
        _ => {
            let reason = format!(
                "no such strategy here; expected {PACKAGE}TopicNameStrategy, RecordNameStrategy or \
                 TopicRecordNameStrategy (code may bring a strategy of its own)"
            );
            return Err(given.wrong(key, reason));
        }
    })
}

fn id_form(given: &Given<'_>, key: &str) -> Result<IdForm, ConfigError> {
    const PACKAGE: &str = "io.confluent.kafka.serializers.schema.id.";
    let Some(class) = given.text(key) else {
        return Ok(IdForm::Prefix);
    };
    match class.strip_prefix(PACKAGE) {
        Some("PrefixSchemaIdSerializer") => Ok(IdForm::Prefix),
        Some("HeaderSchemaIdSerializer") => Ok(IdForm::Header),
        _ => {
            let reason =
                format!("expected {PACKAGE}PrefixSchemaIdSerializer or {PACKAGE}HeaderSchemaIdSerializer");
            Err(given.wrong(key, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigBuilder};

    const AVRO: (&str, &str) = (
        "value.serializer",
        "io.confluent.kafka.serializers.KafkaAvroSerializer",
    );
    const URL: (&str, &str) = ("schema.registry.url", "http://a");

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
    fn where_a_schema_comes_from() {
        let register = SchemaSource::Register;
        for (settings, source, without_own) in [
            (&[][..], register, None),
            (&[(AUTO_REGISTER, "false")], SchemaSource::LookUp, None),
            (&[(LATEST, "true")], register, Some(SchemaSource::Latest)),
            (&[(BY_ID, "-1")], register, None),
            (&[(BY_ID, "7")], register, Some(SchemaSource::Id(7))),
            (
                &[(AUTO_REGISTER, "FALSE"), (LATEST, "true")],
                SchemaSource::Latest,
                Some(SchemaSource::Latest),
            ),
            (
                &[(AUTO_REGISTER, "false"), (LATEST, "true"), (BY_ID, "0")],
                SchemaSource::Id(0),
                Some(SchemaSource::Id(0)),
            ),
        ] {
            let config = config(settings);
            let found = config.schemas();
            assert_eq!(found.without_own, without_own, "{settings:?}");
            for role in [Role::Key, Role::Value] {
                assert_eq!(found.of(role).source, source, "{settings:?}");
                assert_eq!(config.schema_settings(role).source, source);
            }
        }
    }

    #[test]
    fn how_it_is_found_and_told() {
        let config = config(&[
            (NORMALIZE, "true"),
            (LATEST_STRICT, "false"),
            (LATEST_TTL, "-1"),
            (JSON_CHECK, "false"),
            (
                KEY_STRATEGY,
                "io.confluent.kafka.serializers.subject.RecordNameStrategy",
            ),
            (
                VALUE_STRATEGY,
                "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
            ),
            (
                VALUE_ID_FORM,
                "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer",
            ),
            (
                KEY_ID_FORM,
                "io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer",
            ),
        ]);
        let subject = |role| {
            let settings = config.schema_settings(role);
            assert!(settings.normalize && !settings.latest_compatibility_strict);
            let subject = settings.subject_strategy.subject("t", role, Some("a.B"));
            (subject.expect("it has a name"), settings.id_form)
        };
        assert_eq!(subject(Role::Key), ("a.B".to_owned(), IdForm::Prefix));
        assert_eq!(subject(Role::Value), ("t-a.B".to_owned(), IdForm::Header));
        assert!(!config.schemas().checks_json);
        let topic = "io.confluent.kafka.serializers.subject.TopicNameStrategy";
        let (config, warnings) = builder(&[(VALUE_STRATEGY, topic), ("schema.reflection", "true")])
            .build()
            .expect("a good configuration");
        let strategy = &config.schema_settings(Role::Value).subject_strategy;
        assert_eq!(strategy.subject("t", Role::Value, None), Ok("t-value".to_owned()));
        assert!(
            warnings[0].to_string().contains("schema.reflection"),
            "{warnings:?}"
        );
        // An id is checked by a key of its own.
        let config = super::tests::config(&[(AUTO_REGISTER, "false"), (BY_ID, "1"), (ID_STRICT, "false")]);
        assert!(!config.schema_settings(Role::Value).latest_compatibility_strict);
    }

    #[test]
    fn what_is_wrong_names_its_keys() {
        for (settings, part) in [
            (&[AVRO][..], "KafkaAvroSerializer needs schema.registry.url"),
            (
                &[AVRO, URL, (AUTO_REGISTER, "maybe")],
                "auto.register.schemas: expected true or false",
            ),
            (&[(BY_ID, "x")], "use.schema.id"),
            (&[(LATEST_TTL, "60")], "only -1 works"),
            (
                &[(KEY_STRATEGY, "com.example.Own")],
                "key.subject.name.strategy: no such strategy",
            ),
            (&[(VALUE_ID_FORM, "x")], "HeaderSchemaIdSerializer"),
        ] {
            let error = builder(settings).build().expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
