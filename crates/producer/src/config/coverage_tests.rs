//! Which test shows that a key does what it says, or that it is refused or ignored with its reason.
//!
//! A test that sets a key to its default shows nothing. Each key was forgotten in turn, in the configuration and in the settings
//! of its layer, and one of its tests failed, but for those whose values, if they are taken, all mean the same here:
//! `metrics.recording.level`, `sasl.client.callback.handler.class`, `sasl.oauthbearer.jwt.validator.class`.

use super::{DEFINITIONS, Definition, Meaning};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where tests are, by a short name.
const FILES: &[(&str, &str)] = &[
    ("broker-sasl", "crates/producer/tests/it/sasl.rs"),
    ("choices", "crates/producer/src/config/choices.rs"),
    ("config", "crates/producer/src/config/tests.rs"),
    ("configured", "crates/producer/tests/it/configured.rs"),
    ("connections", "crates/network/tests/it/time.rs"),
    ("connector", "crates/network/src/transport/connector.rs"),
    ("delivery", "crates/sender/tests/it/delivery.rs"),
    ("doors", "xtask/src/security/cases.rs"),
    ("faults", "crates/producer/tests/it/faults.rs"),
    ("idempotence", "crates/sender/tests/it/idempotence.rs"),
    ("jwt", "crates/network/src/sasl/jwt.rs"),
    ("layers", "crates/producer/src/producer/tests.rs"),
    ("metadata", "crates/sender/tests/it/metadata.rs"),
    ("metrics", "crates/metrics/src/oracle_tests.rs"),
    ("oauth", "crates/producer/tests/it/oauth.rs"),
    ("oauth-keys", "crates/producer/src/config/oauth_tests.rs"),
    ("partitioning", "crates/sender/tests/it/partitioning.rs"),
    ("providers", "crates/producer/src/config/providers.rs"),
    ("rebootstrap", "crates/sender/tests/it/rebootstrap.rs"),
    ("records", "crates/producer/tests/it/records.rs"),
    ("redirect", "crates/producer/tests/it/redirect.rs"),
    ("sasl", "crates/producer/src/config/sasl_tests.rs"),
    ("serializers", "crates/producer/src/config/serializers.rs"),
    ("settings", "crates/producer/tests/it/settings.rs"),
    ("states", "crates/network/tests/it/states.rs"),
    ("telemetry", "crates/producer/tests/it/telemetry.rs"),
    ("tls", "crates/network/tests/it/tls.rs"),
    ("tls-keys", "crates/producer/src/config/tls_tests.rs"),
    ("transactions", "crates/producer/tests/it/transactions.rs"),
    ("trouble", "crates/sender/tests/it/trouble.rs"),
];

/// The test of a key that reaches the layer below unchanged; what the layer does with it is the other test's.
const LAYERS: &str = "layers settings_reach_their_layers";

/// The test of all keys that are ignored with a warning, or refused with a reason.
const NOT_IN_SILENCE: &str = "config nothing_is_ignored_in_silence";

/// The tests of each key that does something; the others have [`NOT_IN_SILENCE`].
#[rustfmt::skip]
const TESTS: &[(&str, &[&str])] = &[
    ("acks", &[LAYERS, "records every_codec_and_acks_delivers_each_record_once_and_in_order", "records acks_zero_ends_without_an_offset"]),
    ("batch.size", &[LAYERS, "delivery a_full_batch_is_sent_at_once"]),
    ("bootstrap.servers", &[LAYERS, "metadata every_bootstrap_down_then_up_recovers"]),
    ("buffer.memory", &[LAYERS, "delivery memory_exhausted_for_max_block_is_a_typed_error_and_nothing_is_queued"]),
    ("client.dns.lookup", &["states the_first_of_several_addresses_refuses_and_the_next_is_tried", "states an_alias_is_called_by_the_canonical_name_of_each_of_its_addresses", "redirect an_alias_is_verified_by_its_canonical_name"]),
    ("client.id", &[LAYERS, "states api_versions_goes_first_and_alone"]),
    ("compression.gzip.level", &["config levels_are_the_codecs", "settings levels_of_compression_change_what_is_sent"]),
    ("compression.lz4.level", &["config levels_are_the_codecs", "settings levels_of_compression_change_what_is_sent"]),
    ("compression.type", &[LAYERS, "settings levels_of_compression_change_what_is_sent", "records every_codec_and_acks_delivers_each_record_once_and_in_order"]),
    ("compression.zstd.level", &["config levels_are_the_codecs", "settings levels_of_compression_change_what_is_sent"]),
    ("config.providers", &["providers without_config_providers_nothing_is_replaced", "providers files_and_folders_are_read_where_that_is_allowed"]),
    ("connections.max.idle.ms", &[LAYERS, "connections an_idle_connection_is_closed_and_can_be_had_again_at_once"]),
    ("delivery.timeout.ms", &[LAYERS, "delivery a_batch_that_expires_in_flight_is_possibly_persisted_and_its_late_answer_changes_nothing"]),
    ("enable.idempotence", &[LAYERS, "config idempotence_rules", "idempotence a_lost_response_is_sent_again_as_it_was_and_acked_once"]),
    ("enable.metrics.push", &["telemetry all_metrics_are_pushed_and_the_last_push_has_them_all", "telemetry who_switches_it_off_tells_nothing"]),
    ("key.serializer", &["serializers javas_classes_have_their_counterparts", "configured another_type_is_an_error_that_names_class_and_type"]),
    ("linger.ms", &[LAYERS, "delivery a_single_record_is_sent_at_linger_and_not_before"]),
    ("max.block.ms", &[LAYERS, "delivery memory_exhausted_for_max_block_is_a_typed_error_and_nothing_is_queued"]),
    ("max.in.flight.requests.per.connection", &[LAYERS, "trouble what_stands_in_the_queue_of_ready_partitions_is_looked_at_again_before_it_is_sent"]),
    ("max.request.size", &[LAYERS, "delivery a_request_stays_within_max_request_size_and_the_start_position_rotates", "records a_record_that_cannot_be_sent_is_refused_at_once"]),
    ("metadata.max.age.ms", &[LAYERS, "metadata metadata_is_asked_for_again_when_it_is_old"]),
    ("metadata.max.idle.ms", &[LAYERS, "metadata a_topic_is_asked_for_until_it_was_idle_for_long_enough", "metadata a_topic_that_is_not_used_is_no_longer_asked_for"]),
    ("metadata.recovery.rebootstrap.trigger.ms", &[LAYERS, "rebootstrap without_metadata_for_long_it_begins_again_and_what_is_queued_goes_to_the_new_leader"]),
    ("metadata.recovery.strategy", &[LAYERS, "rebootstrap without_the_strategy_only_the_brokers_that_are_known_are_asked"]),
    ("metrics.num.samples", &[LAYERS, "metrics windows_are_those_of_java"]),
    ("metrics.recording.level", &["settings metrics_recording_level_leaves_out_none"]),
    ("metrics.sample.window.ms", &[LAYERS, "metrics windows_are_those_of_java"]),
    ("partitioner.adaptive.partitioning.enable", &[LAYERS, "partitioning without_adaptive_partitioning_every_partition_gets_its_part"]),
    ("partitioner.availability.timeout.ms", &[LAYERS, "partitioning an_unavailable_broker_gets_nothing_after_the_timeout"]),
    ("partitioner.class", &["choices names_are_those_of_the_table", "settings partitioner_class_chooses_who_chooses"]),
    ("partitioner.ignore.keys", &["settings partitioner_ignore_keys_spreads_a_key"]),
    ("receive.buffer.bytes", &[LAYERS, "connector buffers_are_as_large_as_was_asked_for"]),
    ("reconnect.backoff.max.ms", &[LAYERS, "connections reconnect_backoff_grows_with_jitter_and_is_reset_when_ready"]),
    ("reconnect.backoff.ms", &[LAYERS, "connections reconnect_backoff_grows_with_jitter_and_is_reset_when_ready"]),
    ("request.timeout.ms", &[LAYERS, "delivery each_request_has_the_timeout_that_is_set", "connections silent_link_loss_is_detected_within_the_request_timeout", "faults a_silent_connection_is_given_up_after_request_timeout"]),
    ("retries", &[LAYERS, "delivery retries_zero_means_one_attempt"]),
    ("retry.backoff.max.ms", &[LAYERS, "delivery retries_wait_longer_and_longer_up_to_the_maximum"]),
    ("retry.backoff.ms", &[LAYERS, "delivery retries_wait_longer_and_longer_up_to_the_maximum"]),
    ("sasl.client.callback.handler.class", &[NOT_IN_SILENCE]),
    ("sasl.jaas.config", &["sasl passwords_of_either_module_and_for_each_mechanism", "broker-sasl every_mechanism_lets_the_right_client_in"]),
    ("sasl.login.callback.handler.class", &["oauth-keys classes_of_java_have_their_counterparts", "broker-sasl a_token_that_is_refused_says_why"]),
    ("sasl.login.connect.timeout.ms", &["oauth-keys keys_of_waits_and_renewals", "oauth an_endpoint_that_is_none_or_says_nothing_is_told_apart"]),
    ("sasl.login.read.timeout.ms", &["oauth-keys keys_of_waits_and_renewals", "oauth an_endpoint_that_is_none_or_says_nothing_is_told_apart"]),
    ("sasl.login.refresh.buffer.seconds", &["oauth-keys keys_of_waits_and_renewals", "jwt renewal_comes_as_in_java", "oauth tokens_are_renewed_beside_the_load_and_nothing_is_lost"]),
    ("sasl.login.refresh.min.period.seconds", &["oauth-keys keys_of_waits_and_renewals", "oauth a_renewal_that_hangs_holds_up_nobody"]),
    ("sasl.login.refresh.window.factor", &["oauth-keys keys_of_waits_and_renewals", "jwt renewal_comes_as_in_java", "oauth tokens_are_renewed_beside_the_load_and_nothing_is_lost"]),
    ("sasl.login.refresh.window.jitter", &["oauth-keys keys_of_waits_and_renewals", "jwt renewal_comes_as_in_java", "oauth tokens_are_renewed_beside_the_load_and_nothing_is_lost"]),
    ("sasl.login.retry.backoff.max.ms", &["oauth-keys keys_of_waits_and_renewals", "oauth whatever_an_endpoint_answers_is_one_error_without_a_secret"]),
    ("sasl.login.retry.backoff.ms", &["oauth-keys keys_of_waits_and_renewals", "oauth whatever_an_endpoint_answers_is_one_error_without_a_secret"]),
    ("sasl.mechanism", &["sasl passwords_of_either_module_and_for_each_mechanism", "broker-sasl every_mechanism_lets_the_right_client_in"]),
    ("sasl.oauthbearer.assertion.algorithm", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.claim.aud", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.claim.exp.seconds", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.claim.iss", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.claim.jti.include", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.claim.nbf.seconds", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.claim.sub", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.file", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.private.key.file", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.private.key.passphrase", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.assertion.template.file", &["oauth-keys keys_of_assertions", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.client.credentials.client.id", &["oauth-keys keys_of_the_request_for_a_token", "oauth a_client_gets_its_token_by_name_and_secret"]),
    ("sasl.oauthbearer.client.credentials.client.secret", &["oauth-keys keys_of_the_request_for_a_token", "oauth a_client_gets_its_token_by_name_and_secret"]),
    ("sasl.oauthbearer.header.urlencode", &["oauth-keys keys_of_the_request_for_a_token", "oauth a_client_gets_its_token_by_name_and_secret"]),
    ("sasl.oauthbearer.jwt.retriever.class", &["oauth-keys classes_of_java_have_their_counterparts", "oauth an_assertion_stands_for_the_secret"]),
    ("sasl.oauthbearer.jwt.validator.class", &[NOT_IN_SILENCE, "oauth-keys classes_of_java_have_their_counterparts"]),
    ("sasl.oauthbearer.scope", &["oauth-keys keys_of_the_request_for_a_token", "oauth a_client_gets_its_token_by_name_and_secret"]),
    ("sasl.oauthbearer.scope.claim.name", &["oauth-keys keys_of_waits_and_renewals", "jwt tokens_say_whose_they_are_and_when_they_end"]),
    ("sasl.oauthbearer.sub.claim.name", &["oauth-keys keys_of_waits_and_renewals", "jwt tokens_say_whose_they_are_and_when_they_end"]),
    ("sasl.oauthbearer.token.endpoint.url", &["oauth-keys classes_of_java_have_their_counterparts", "oauth a_client_gets_its_token_by_name_and_secret"]),
    ("security.protocol", &["doors matrix", "tls-keys versions_suites_and_names"]),
    ("send.buffer.bytes", &[LAYERS, "connector buffers_are_as_large_as_was_asked_for"]),
    ("socket.connection.setup.timeout.max.ms", &[LAYERS, "connections setup_timeout_grows"]),
    ("socket.connection.setup.timeout.ms", &[LAYERS, "connections setup_timeout_grows"]),
    ("ssl.cipher.suites", &["tls-keys versions_suites_and_names", "tls versions_and_suites_are_those_that_are_set"]),
    ("ssl.enabled.protocols", &["tls-keys versions_suites_and_names", "tls versions_and_suites_are_those_that_are_set"]),
    ("ssl.endpoint.identification.algorithm", &["tls-keys versions_suites_and_names", "tls odd_certificates_are_refused_with_what_to_change"]),
    ("ssl.key.password", &["tls-keys stores_in_files", "doors matrix"]),
    ("ssl.keystore.certificate.chain", &["tls-keys certificates_and_keys_in_the_configuration_itself", "doors matrix"]),
    ("ssl.keystore.key", &["tls-keys certificates_and_keys_in_the_configuration_itself", "doors matrix"]),
    ("ssl.keystore.location", &["tls-keys stores_in_files", "doors matrix"]),
    ("ssl.keystore.password", &["tls-keys stores_in_files", "doors matrix"]),
    ("ssl.keystore.type", &["tls-keys stores_in_files", "doors matrix"]),
    ("ssl.protocol", &["tls-keys versions_suites_and_names", "doors matrix"]),
    ("ssl.truststore.certificates", &["tls-keys certificates_and_keys_in_the_configuration_itself", "doors matrix"]),
    ("ssl.truststore.location", &["tls-keys stores_in_files", "doors matrix"]),
    ("ssl.truststore.password", &["tls-keys stores_in_files", "doors matrix"]),
    ("ssl.truststore.type", &["tls-keys stores_in_files", "doors matrix"]),
    ("transaction.timeout.ms", &[LAYERS, "transactions a_transaction_that_is_open_for_longer_than_its_timeout_is_aborted"]),
    ("transactional.id", &[LAYERS, "transactions what_is_committed_is_seen_and_what_is_aborted_is_not"]),
    ("value.serializer", &["configured each_plain_class_takes_what_it_is_for", "configured avro_by_class_name_against_a_registry_in_the_process"]),
];

/// Whether the key's test is that of all keys that do nothing: a value that is not the default is refused or warned of.
fn is_told_only(definition: &Definition) -> bool {
    matches!(
        definition.meaning,
        Meaning::NoMeaning(_) | Meaning::JavaCode(_) | Meaning::Refused(_)
    )
}

#[test]
fn every_key_has_its_tests() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !workspace.join("crates/sender").is_dir() {
        println!("SKIPPED: the package stands alone, without the other crates' tests");
        return;
    }
    let files: BTreeMap<&str, PathBuf> = FILES
        .iter()
        .map(|(name, path)| (*name, workspace.join(path)))
        .collect();
    let mut tests: BTreeMap<&str, &[&str]> = TESTS.iter().copied().collect();
    assert_eq!(tests.len(), TESTS.len(), "a key stands there twice");
    for definition in DEFINITIONS {
        let key = definition.name;
        let named = match tests.remove(key) {
            Some(named) => named,
            None if is_told_only(definition) => &[NOT_IN_SILENCE],
            None => panic!("{key} does something: name the test that shows it"),
        };
        assert!(!named.is_empty(), "{key}");
        for test in named {
            let (file, function) = test.split_once(' ').expect("a file and a function");
            let path = files
                .get(file)
                .unwrap_or_else(|| panic!("{key}: {file} is not among the files"));
            let text = std::fs::read_to_string(path)
                .unwrap_or_else(|error| panic!("{key}: {}: {error}", path.display()));
            assert!(
                text.contains(&format!("fn {function}(")),
                "{key}: {function} is not in {}",
                path.display()
            );
            let told = file != "layers" || text.contains(&format!("\"{key}\","));
            assert!(told, "{key} is not among the settings that reach their layers");
        }
    }
    assert!(tests.is_empty(), "no keys: {tests:?}");
}
