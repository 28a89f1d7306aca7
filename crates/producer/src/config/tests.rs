//! Tests of the whole configuration: the table as data, the rules between keys, and what messages say.

use super::reference;
use super::*;
use std::time::Duration;

fn base() -> ConfigBuilder {
    ConfigBuilder::new().set("bootstrap.servers", "a:1")
}

fn with(settings: &[(&str, &str)]) -> ConfigBuilder {
    let mut builder = base();
    builder.extend(settings.iter().copied());
    builder
}

#[track_caller]
fn accepts(settings: &[(&str, &str)]) -> (Config, Vec<Warning>) {
    with(settings)
        .build()
        .unwrap_or_else(|error| panic!("{settings:?}: {error}"))
}

/// The error names every one of `keys`, in its text and as data.
#[track_caller]
fn refuses(settings: &[(&str, &str)], keys: &[&str]) -> String {
    let error = with(settings).build().expect_err("a configuration that is wrong");
    let text = error.to_string();
    let blamed: Vec<_> = error.keys_to_blame().collect();
    for key in keys {
        assert!(
            text.contains(key) && blamed.contains(key),
            "{text} does not name {key}"
        );
    }
    text
}

#[test]
fn table_is_sorted_and_whole() {
    assert_eq!(DEFINITIONS.len(), 113);
    for pair in DEFINITIONS.windows(2) {
        assert!(
            pair[0].name < pair[1].name,
            "{} stands before {}",
            pair[0].name,
            pair[1].name
        );
    }
    for definition in DEFINITIONS {
        assert!(definition.about.ends_with('.'), "{}", definition.name);
        if let Preset::Is(text) = definition.default
            && let Err(reason) = value::parse(definition, text)
        {
            panic!("{} does not take its own default: {reason}", definition.name);
        }
        if let Meaning::Partly(works) = definition.meaning {
            for works in works {
                assert!(
                    value::parse(definition, works).is_ok(),
                    "{}={works}",
                    definition.name
                );
            }
        }
    }
}

/// Every key at its default by name is accepted, but for those whose default is what does not stand yet.
#[test]
fn defaults_by_name() {
    for definition in DEFINITIONS {
        let Preset::Is(text) = definition.default else {
            continue;
        };
        let result = with(&[(definition.name, text)]).build();
        let partly = matches!(definition.meaning, Meaning::Partly(works) if !works.contains(&text));
        match result {
            Ok((_, warnings)) => {
                assert!(!partly, "{}={text} was accepted", definition.name);
                let ignored = matches!(definition.meaning, Meaning::NoMeaning(_));
                assert_eq!(!warnings.is_empty(), ignored, "{}: {warnings:?}", definition.name);
            }
            Err(error) => assert!(partly && error.to_string().contains(definition.name), "{error}"),
        }
    }
}

/// A value other than the default of a key that does nothing is never taken in silence: key and reason are told.
#[test]
fn nothing_is_ignored_in_silence() {
    for definition in DEFINITIONS {
        let other = match definition.kind {
            KeyType::Boolean if definition.default == Preset::Is("true") => "false",
            KeyType::Boolean => "true",
            KeyType::Short | KeyType::Int | KeyType::Long => "77",
            KeyType::Double => "0.21",
            _ => "something.else",
        };
        let result = with(&[(definition.name, other)]).build();
        match definition.meaning {
            Meaning::Refused(reason) | Meaning::JavaCode(reason) => {
                let error = result.expect_err(definition.name).to_string();
                assert!(
                    error.contains(definition.name) && error.contains(reason),
                    "{error}"
                );
            }
            Meaning::NoMeaning(reason) => {
                let warnings = result.expect(definition.name).1;
                let told = |warning: &Warning| {
                    warning.key() == definition.name && warning.to_string().contains(reason)
                };
                assert!(warnings.iter().any(told), "{}: {warnings:?}", definition.name);
            }
            Meaning::Partly(_) => {
                let error = result.expect_err(definition.name).to_string();
                assert!(error.contains(definition.name), "{error}");
            }
            _ => {}
        }
    }
}

#[test]
fn defaults_are_javas() {
    let (config, warnings) = accepts(&[]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.bootstrap_servers()[0].to_string(), "a:1");
    assert_eq!(config.client_id(), None);
    assert_eq!(config.acks(), Acks::All);
    assert_eq!(config.acks().wire_value(), -1);
    assert_eq!(config.batch_size(), 16_384);
    assert_eq!(config.buffer_memory(), 33_554_432);
    assert_eq!(config.codec(), Codec::new(Compression::None));
    assert_eq!(config.connections_max_idle(), Some(Duration::from_secs(540)));
    assert_eq!(config.delivery_timeout(), Duration::from_secs(120));
    assert_eq!(config.linger(), Duration::from_millis(5));
    assert_eq!(config.max_block(), Duration::from_secs(60));
    assert_eq!(config.max_in_flight(), 5);
    assert_eq!(config.max_request_size(), 1_048_576);
    assert_eq!(config.metadata_max_age(), Duration::from_secs(300));
    assert_eq!(config.metadata_max_idle(), Duration::from_secs(300));
    assert_eq!(config.partitioner(), PartitionerKind::Default);
    assert!(config.partitioner_adaptive() && !config.partitioner_ignore_keys());
    assert_eq!(config.partitioner_availability_timeout(), None);
    assert_eq!(config.receive_buffer_bytes(), Some(32_768));
    assert_eq!(config.send_buffer_bytes(), Some(131_072));
    assert_eq!(config.reconnect_backoff(), Duration::from_millis(50));
    assert_eq!(config.reconnect_backoff_max(), Duration::from_secs(1));
    assert_eq!(config.request_timeout(), Duration::from_secs(30));
    assert_eq!(config.retries(), 2_147_483_647);
    assert_eq!(config.retry_backoff(), Duration::from_millis(100));
    assert_eq!(config.retry_backoff_max(), Duration::from_secs(1));
    assert_eq!(config.security_protocol(), SecurityProtocol::Plaintext);
    assert_eq!(config.socket_connection_setup_timeout(), Duration::from_secs(10));
    assert_eq!(
        config.socket_connection_setup_timeout_max(),
        Duration::from_secs(30)
    );
    assert_eq!(config.transactional_id(), None);
    assert!(config.enable_idempotence());
}

#[test]
fn values_that_are_set() {
    let (config, _) = accepts(&[
        ("acks", " 1 "),
        ("batch.size", "0"),
        ("client.id", ""),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "-7"),
        ("connections.max.idle.ms", "-1"),
        ("linger.ms", "0"),
        (
            "partitioner.class",
            "org.apache.kafka.clients.producer.RoundRobinPartitioner",
        ),
        ("receive.buffer.bytes", "-1"),
        ("security.protocol", "plaintext"),
    ]);
    assert_eq!(config.acks(), Acks::Leader);
    assert_eq!(config.batch_size(), 1);
    assert_eq!(config.client_id(), Some(""));
    assert_eq!(Ok(config.codec()), Codec::with_level(Compression::Zstd, -7));
    assert_eq!(config.connections_max_idle(), None);
    assert_eq!(config.linger(), Duration::ZERO);
    assert_eq!(config.partitioner(), PartitionerKind::RoundRobin);
    assert_eq!(config.receive_buffer_bytes(), None);
    assert!(!config.enable_idempotence());
}

#[test]
fn typed_setters_are_the_same_keys() {
    let (config, _) = base()
        .acks(Acks::None)
        .batch_size(1_000)
        .buffer_memory(2_000)
        .client_id("c")
        .codec(Compression::Lz4)
        .delivery_timeout(Duration::from_secs(90))
        .enable_idempotence(false)
        .linger(Duration::from_micros(1_500))
        .max_block(Duration::from_millis(3))
        .max_in_flight(6)
        .max_request_size(3_000)
        .partitioner(PartitionerKind::Librdkafka(LibrdkafkaScheme::Fnv1aRandom))
        .request_timeout(Duration::from_millis(4_000))
        .retries(7)
        .build()
        .expect("valid");
    assert_eq!(config.acks(), Acks::None);
    assert_eq!(
        (
            config.batch_size(),
            config.buffer_memory(),
            config.max_request_size()
        ),
        (1_000, 2_000, 3_000)
    );
    assert_eq!(config.client_id(), Some("c"));
    assert_eq!(Ok(config.codec()), Codec::with_level(Compression::Lz4, 9));
    assert_eq!(config.delivery_timeout(), Duration::from_secs(90));
    assert_eq!(config.linger(), Duration::from_millis(2));
    assert_eq!(config.max_block(), Duration::from_millis(3));
    assert_eq!((config.max_in_flight(), config.retries()), (6, 7));
    assert_eq!(
        config.partitioner(),
        PartitionerKind::Librdkafka(LibrdkafkaScheme::Fnv1aRandom)
    );
    assert_eq!(config.request_timeout(), Duration::from_secs(4));
}

#[test]
fn idempotence_rules() {
    const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
    const IDEMPOTENCE: &str = "enable.idempotence";
    let text = refuses(&[(IN_FLIGHT, "6")], &[IN_FLIGHT, IDEMPOTENCE]);
    assert!(text.contains("by default"), "{text}");
    refuses(&[(IN_FLIGHT, "6"), ("acks", "1")], &[IN_FLIGHT, IDEMPOTENCE]);
    accepts(&[(IN_FLIGHT, "6"), (IDEMPOTENCE, "false")]);
    accepts(&[("acks", "1")]);
    accepts(&[("retries", "0")]);
    accepts(&[(IDEMPOTENCE, "true")]);
    // Asked for by name, a conflict is an error.
    for (key, value) in [("acks", "0"), ("retries", "0")] {
        let report = with(&[(IDEMPOTENCE, "true"), (key, value)]).check();
        let blames_both = |error: &ConfigError| error.keys_to_blame().eq([key, IDEMPOTENCE]);
        assert!(
            report.config.is_none() && report.errors.iter().any(blames_both),
            "{:?}",
            report.errors
        );
    }
}

#[test]
fn transaction_rules() {
    #[track_caller]
    fn check(settings: &[(&str, &str)], keys: &[&str]) {
        let report = with(settings).check();
        assert!(
            report
                .errors
                .iter()
                .any(|error| error.keys_to_blame().eq(keys.iter().copied())),
            "{settings:?}: {:?}",
            report.errors
        );
    }
    check(
        &[("transactional.id", "t"), ("acks", "1")],
        &["transactional.id", "acks"],
    );
    check(
        &[("transactional.id", "t"), ("enable.idempotence", "false")],
        &["transactional.id", "enable.idempotence"],
    );
    check(&[("transactional.id", " ")], &["transactional.id"]);
    let two_phase = "transaction.two.phase.commit.enable";
    check(
        &[(two_phase, "true"), ("transaction.timeout.ms", "60000")],
        &["transaction.timeout.ms", two_phase],
    );
}

#[test]
fn timeouts_and_backoffs() {
    let text = refuses(
        &[("delivery.timeout.ms", "30004")],
        &["delivery.timeout.ms", "linger.ms", "request.timeout.ms"],
    );
    assert!(text.contains("30005"), "{text}");
    accepts(&[("delivery.timeout.ms", "30005")]);

    let (config, warnings) = accepts(&[("request.timeout.ms", "200000")]);
    assert_eq!(config.delivery_timeout(), Duration::from_millis(200_005));
    assert_eq!(warnings[0].key(), "delivery.timeout.ms");
    let (config, _) = accepts(&[("linger.ms", "9223372036854775807")]);
    assert_eq!(config.linger(), Duration::from_millis(2_147_483_647));
    assert_eq!(config.delivery_timeout(), Duration::from_millis(2_147_483_647));

    let (config, warnings) = accepts(&[("reconnect.backoff.ms", "3000")]);
    assert_eq!(config.reconnect_backoff_max(), Duration::from_secs(3));
    assert!(warnings.is_empty());
    let (config, warnings) = accepts(&[("retry.backoff.ms", "3000")]);
    assert_eq!(
        (config.retry_backoff(), config.retry_backoff_max()),
        (Duration::from_secs(1), Duration::from_secs(1))
    );
    assert_eq!(warnings[0].key(), "retry.backoff.ms");
    let (config, _) = accepts(&[("socket.connection.setup.timeout.ms", "40000")]);
    assert_eq!(config.socket_connection_setup_timeout(), Duration::from_secs(30));
}

#[test]
fn unknown_keys_get_a_suggestion_and_keep_their_value() {
    let (_, warnings) = accepts(&[("ssl.key.pasword", "canary"), ("our.own", "g")]);
    let texts: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    assert!(
        texts[0].contains("did you mean ssl.key.password?") && !texts[0].contains("canary"),
        "{texts:?}"
    );
    assert!(
        texts[1].contains("our.own") && !texts[1].contains("did you mean"),
        "{texts:?}"
    );

    let error = with(&[("lingr.ms", "5")])
        .refuse_unknown_keys()
        .build()
        .expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "set in code: lingr.ms: unknown key; did you mean linger.ms?"
    );
}

#[test]
fn messages_say_key_value_and_place() {
    let error = base()
        .set_from("linger.ms", "soon", Origin::Flag("-X"))
        .build()
        .expect_err("no number");
    assert_eq!(
        error.to_string(),
        "-X: linger.ms=soon: expected a whole number (long), at least 0"
    );
    let variables = [
        ("OTTLA_CONFIG_BATCH_SIZE", "-1"),
        ("OTTLA_KAFKA_LIB", "x"),
        ("HOME", "y"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let error = base()
        .from_environment(variables)
        .build()
        .expect_err("below zero");
    assert_eq!(
        error.to_string(),
        "environment OTTLA_CONFIG_BATCH_SIZE: batch.size=-1: expected at least 0"
    );
    let error = ConfigBuilder::new().build().expect_err("no server");
    assert!(
        error.to_string().starts_with("bootstrap.servers: is not set"),
        "{error}"
    );
    let error = base()
        .set("client.dns.lookup", "a\nb\u{1b}")
        .build()
        .expect_err("no such choice");
    assert!(!error.to_string().contains(char::is_control), "{error}");
}

#[test]
fn a_canary_secret_shows_nowhere() {
    let secrets = DEFINITIONS.iter().filter(|definition| definition.is_secret());
    let builder = secrets.fold(base(), |builder, definition| {
        builder.set(definition.name, "canary")
    });
    let builder = builder.set("canary", "canary2").set("linger.ms", "5");
    let report = builder.check();
    assert_eq!(report.errors.len(), 0, "{:?}", report.errors);
    for text in [
        format!("{builder:?}"),
        format!("{:?}", report.errors),
        format!("{:?}", report.settings),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(!format!("{:?}", report.warnings).contains("canary2"));
}

#[test]
fn files_replace_and_are_named() {
    let folder = std::env::temp_dir().join(format!("ottla-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    let path = folder.join("producer.properties");
    std::fs::write(
        &path,
        "# first\nlinger.ms = 7\nbatch.size=9\nlinger.ms: 8\nclient.id=\u{e9}\n",
    )
    .expect("written");
    let read = || {
        base()
            .set("linger.ms", "6")
            .from_properties_file(&path)
            .expect("readable")
    };
    let (config, warnings) = read().set("batch.size", "10").build().expect("valid");
    assert_eq!(
        (config.linger(), config.batch_size()),
        (Duration::from_millis(8), 10)
    );
    assert_eq!(config.client_id(), Some("\u{c3}\u{a9}"));
    let texts: Vec<_> = warnings.iter().map(Warning::to_string).collect();
    assert!(texts[0].contains(":5: looks like UTF-8"), "{texts:?}");
    assert!(
        texts[1].contains(":4: linger.ms: replaces") && texts[1].contains(":2)"),
        "{texts:?}"
    );
    let linger = config
        .settings()
        .iter()
        .find(|setting| setting.definition().name == "linger.ms")
        .expect("a key");
    assert_eq!(
        linger.origin(),
        Some(&Origin::File {
            path: std::sync::Arc::new(path.clone()),
            line: 4
        })
    );

    std::fs::write(&path, "a=b\nc=\\u00g0").expect("written");
    let error = ConfigBuilder::new()
        .from_properties_file(&path)
        .expect_err("malformed");
    assert!(
        error.to_string().contains("producer.properties:2: malformed"),
        "{error}"
    );
    std::fs::remove_dir_all(&folder).expect("removed");
    let error = ConfigBuilder::new()
        .from_properties_file(&path)
        .expect_err("not there");
    assert!(error.to_string().contains("producer.properties: "), "{error}");
}

#[test]
fn names_of_librdkafka() {
    let (config, warnings) = ConfigBuilder::new()
        .set("metadata.broker.list", "a, b:2")
        .set("queue.buffering.max.ms", "9")
        .set("compression.level", "12")
        .set("compression.codec", "lz4")
        .set("partitioner", "murmur2_random")
        .build()
        .expect("valid");
    let servers: Vec<_> = config
        .bootstrap_servers()
        .iter()
        .map(BootstrapServer::to_string)
        .collect();
    assert_eq!(servers, ["a:9092", "b:2"]);
    assert_eq!(config.linger(), Duration::from_millis(9));
    assert_eq!(Ok(config.codec()), Codec::with_level(Compression::Lz4, 12));
    assert_eq!(
        config.partitioner(),
        PartitionerKind::Librdkafka(LibrdkafkaScheme::Murmur2Random)
    );
    assert_eq!(warnings.len(), 5);
    // The later of the two names wins.
    let (config, _) = accepts(&[("queue.buffering.max.ms", "9"), ("linger.ms", "4")]);
    assert_eq!(config.linger(), Duration::from_millis(4));
}

/// The table's ranges of levels, and its defaults, are the codecs' own.
#[test]
fn levels_are_the_codecs() {
    for compression in Compression::ALL {
        let Some(levels) = compression.levels() else {
            continue;
        };
        let key = definition(&format!("compression.{compression}.level")).expect("a key of the table");
        let default = compression.default_level().expect("it has levels");
        assert_eq!(key.default.to_string(), default.to_string());
        for level in [
            *levels.start() - 1,
            *levels.start(),
            0,
            *levels.end(),
            *levels.end() + 1,
        ] {
            let allowed = value::parse(key, &level.to_string()).is_ok();
            assert_eq!(
                allowed,
                Codec::with_level(compression, level).is_ok(),
                "{compression}:{level}"
            );
        }
    }
}

#[test]
fn every_key_is_in_the_reference() {
    let text = reference::markdown();
    for definition in DEFINITIONS {
        assert!(
            text.contains(&format!("| `{}` |", definition.name)),
            "{}",
            definition.name
        );
    }
    // The keys of the registry have a table of their own.
    let (keys, registry) = text.split_once("\n## ").unwrap_or((text.as_str(), ""));
    for (table, bars) in [(keys, 7), (registry, 3)] {
        assert!(
            table
                .lines()
                .all(|line| !line.starts_with('|') || line.matches('|').count() == bars),
            "a cell has a bar"
        );
    }
}
