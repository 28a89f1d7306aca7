//! What `sasl.*` says, and what it says wrong.

use super::{Config, ConfigBuilder, Warning};
use ottla_network::sasl::Mechanism;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

fn builder(settings: &[(&str, &str)]) -> ConfigBuilder {
    let start = ConfigBuilder::new()
        .bootstrap_servers("localhost:9092")
        .set("security.protocol", "SASL_PLAINTEXT");
    settings
        .iter()
        .fold(start, |builder, &(key, value)| builder.set(key, value))
}

#[track_caller]
fn accepts(settings: &[(&str, &str)]) -> (Config, Vec<Warning>) {
    let (config, warnings) = builder(settings).build().expect("a good configuration");
    assert!(!format!("{config:?} {warnings:?}").contains("canary"));
    (config, warnings)
}

#[track_caller]
fn refuses(settings: &[(&str, &str)], parts: &[&str]) {
    let error = builder(settings).build().expect_err("a bad configuration");
    let text = format!("{error} {error:?}");
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn passwords_of_either_module_and_for_each_mechanism() {
    for (name, mechanism) in [
        ("PLAIN", Mechanism::Plain),
        ("SCRAM-SHA-256", Mechanism::ScramSha256),
        ("SCRAM-SHA-512", Mechanism::ScramSha512),
    ] {
        for module in [PLAIN, SCRAM] {
            let jaas = format!("{module} required username=\"alice\" password=\"canary\";");
            let (config, warnings) = accepts(&[("sasl.mechanism", name), ("sasl.jaas.config", &jaas)]);
            assert_eq!(config.sasl_mechanism(), Some(mechanism));
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }
    let (config, warnings) = accepts(&[
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password", "canary"),
    ]);
    assert_eq!(
        (config.sasl_mechanism(), warnings.len()),
        (Some(Mechanism::Plain), 3)
    );
}

#[test]
fn without_sasl_nothing_of_it_is_looked_at() {
    let settings = [
        ("security.protocol", "plaintext"),
        ("sasl.jaas.config", "canary"),
        ("sasl.mechanism", "NONE"),
    ];
    assert_eq!(accepts(&settings).0.sasl_mechanism(), None);
}

#[test]
fn what_is_wrong_says_what_to_change() {
    let jaas = |text: &str| format!("{PLAIN} required {text};");
    let whole = jaas("username=alice password=canary");
    refuses(
        &[("sasl.jaas.config", &whole)],
        &["sasl.mechanism", "by default GSSAPI", "SCRAM-SHA-512"],
    );
    refuses(
        &[("sasl.mechanism", "GSSAPI")],
        &["GSSAPI (Kerberos), which is not built in"],
    );
    refuses(
        &[("sasl.mechanism", "plain"), ("sasl.jaas.config", &whole)],
        &["expected one of PLAIN"],
    );
    refuses(
        &[("sasl.mechanism", "PLAIN")],
        &["sasl.jaas.config", "is not set", "PlainLoginModule required"],
    );
    for (text, part) in [
        ("canary", "one of required"),
        (jaas("username=alice").as_str(), "option password is missing"),
        (jaas("password=canary").as_str(), "option username is missing"),
        (
            jaas("username=\"\" password=canary").as_str(),
            "username is empty",
        ),
        (jaas("username=alice password=can!canary").as_str(), "in quotes"),
        (
            jaas("username=alice password=canary tokenauth=true").as_str(),
            "SCRAM-SHA-256",
        ),
        (jaas("username=alice password=\"canary\\0\"").as_str(), "NUL"),
        (whole.trim_end_matches(';'), "semicolon"),
        ("com.example.Login required password=canary;", "PlainLoginModule"),
        (
            "software.amazon.msk.auth.iam.IAMLoginModule required;",
            "not one for sasl.mechanism=PLAIN",
        ),
    ] {
        refuses(
            &[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", text)],
            &["sasl.jaas.config", part],
        );
    }
    refuses(
        &[("sasl.mechanism", "PLAIN"), ("sasl.password", "canary")],
        &["sasl.username"],
    );
}
