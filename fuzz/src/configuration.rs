//! Files of properties as configurations: any bytes end in a report, whose messages show no secret and stay on one line.

use crate::within;
use ottla::config::{ConfigBuilder, DEFINITIONS, KeyType, Properties};

/// Stands in every secret.
const CANARY: &str = "canary6021";

/// One input: a `.properties` file.
pub fn run(input: &[u8]) {
    // Entries are copied a few times on their way, and each error and warning has its text.
    within(4 * 1024 * 1024 + 512 * input.len(), || {
        let properties = match Properties::from_latin_1(input) {
            Ok(properties) => properties,
            Err(error) => {
                assert!(error.line() >= 1, "{error}");
                return;
            }
        };
        let mut builder = ConfigBuilder::new();
        for entry in properties.entries() {
            // Providers would read the files of this machine.
            if entry.key.starts_with("config.providers") {
                continue;
            }
            builder = builder.set(entry.key.as_str(), entry.value.as_str());
        }
        for definition in DEFINITIONS
            .iter()
            .filter(|definition| definition.kind == KeyType::Password)
        {
            if properties.value(definition.name).is_some() {
                builder = builder.set(definition.name, CANARY);
            }
        }
        let report = builder.check();
        assert_eq!(report.config.is_some(), report.errors.is_empty());
        let errors = report.errors.iter().map(ToString::to_string);
        let texts = errors.chain(report.warnings.iter().map(ToString::to_string));
        for text in texts {
            assert!(!text.contains(CANARY), "{text}");
            assert!(!text.contains('\n'), "{text:?}");
        }
        assert!(!format!("{report:?}").contains(CANARY));
    });
}
