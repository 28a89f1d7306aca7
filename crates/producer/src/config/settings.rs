//! All keys with their values, defaults included, and where each came from.

use super::alias;
use super::definition::{Definition, Meaning, Preset};
use super::error::{ConfigError, Origin, Warning};
use super::password::HIDDEN;
use super::providers;
use super::strangers;
use super::suggest::nearest;
use super::table::{DEFINITIONS, definition};
use super::value::{Value, parse};
use std::time::Duration;
use zeroize::Zeroizing;

/// A key and its value, as they were given.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// It may be a secret, whatever the key.
    pub(super) value: Zeroizing<String>,
    pub(super) origin: Origin,
    /// Whether a provider has put something into the value: then no message shows it.
    pub(super) provided: bool,
}

/// One key of the table with the value that it has in a configuration.
#[derive(Clone, Debug)]
pub struct Setting {
    definition: &'static Definition,
    value: Value,
    origin: Option<Origin>,
    derived: Option<String>,
    provided: bool,
}

impl Setting {
    /// The row of the table.
    pub fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// The value in effect; secrets hide themselves.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where it was set; `None` for a default.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Why the value is neither the default nor what was set, where another key decided it.
    pub fn derived(&self) -> Option<&str> {
        self.derived.as_deref()
    }
}

/// What to do about a key that the table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownKeys {
    Warn,
    Refuse,
}

/// A row for each row of the table, in its order.
#[derive(Clone)]
pub(super) struct Settings(Vec<Setting>);

/// What reading the entries found out; `settings` is whole even if there are errors (a bad value counts as not set).
pub(super) struct Reading {
    pub(super) settings: Settings,
    pub(super) warnings: Vec<Warning>,
    pub(super) errors: Vec<ConfigError>,
    /// Whether the credentials of SASL come from elsewhere.
    pub(super) own_credentials: bool,
    /// Keys about serializers and the schema registry, in the order in which they were given.
    pub(super) more: Vec<Entry>,
}

impl Reading {
    pub(super) fn of(entries: &[Entry], unknown_keys: UnknownKeys) -> Reading {
        let mut reading = Reading {
            settings: Settings::defaults(),
            warnings: Vec::new(),
            errors: Vec::new(),
            own_credentials: false,
            more: Vec::new(),
        };
        let mut resolved = providers::resolve(entries);
        reading.warnings.append(&mut resolved.warnings);
        reading.errors.append(&mut resolved.errors);
        for entry in reading.translated(&resolved.entries, unknown_keys) {
            reading.apply(&entry);
        }
        reading.check_meanings();
        reading
    }

    /// The entries by Java's names; only the last of each key.
    fn translated(&mut self, entries: &[Entry], unknown_keys: UnknownKeys) -> Vec<Entry> {
        let codec_names = ["compression.type", "compression.codec"];
        let codec = entries
            .iter()
            .rev()
            .find(|entry| codec_names.contains(&entry.key.as_str()));
        let codec = codec.map(|entry| entry.value.trim());
        let mut by_key: Vec<Entry> = Vec::new();
        match alias::credentials(entries) {
            Some(Ok(entry)) => by_key.push(entry),
            Some(Err(error)) => self.errors.push(error),
            None => {}
        }
        for entry in entries {
            if definition(&entry.key).is_some() {
                self.replace(&mut by_key, entry.clone());
                continue;
            }
            if is_more(&entry.key) {
                self.more.push(entry.clone());
                continue;
            }
            match alias::translate(&entry.key, &entry.value, codec, &entry.origin) {
                Some(Ok(translation)) => {
                    self.warnings.push(translation.warning);
                    for (key, value) in translation.settings {
                        let value = Zeroizing::new(value);
                        self.replace(
                            &mut by_key,
                            Entry {
                                key,
                                value,
                                origin: entry.origin.clone(),
                                provided: entry.provided,
                            },
                        );
                    }
                }
                Some(Err(error)) => self.errors.push(error),
                None => self.unknown(entry, unknown_keys),
            }
        }
        by_key
    }

    fn replace(&mut self, by_key: &mut Vec<Entry>, entry: Entry) {
        let Some(earlier) = by_key.iter_mut().find(|earlier| earlier.key == entry.key) else {
            by_key.push(entry);
            return;
        };
        let same_source = match (&earlier.origin, &entry.origin) {
            (Origin::File { path: earlier, .. }, Origin::File { path, .. }) => earlier == path,
            (Origin::Flag(earlier), Origin::Flag(flag)) => earlier == flag,
            _ => false,
        };
        if same_source && earlier.value != entry.value {
            let text = format!("replaces the value that was set before it ({})", earlier.origin);
            self.warnings
                .push(Warning::new(&entry.key, text, Some(&entry.origin)));
        }
        *earlier = entry;
    }

    fn unknown(&mut self, entry: &Entry, unknown_keys: UnknownKeys) {
        if let Some(owner) = strangers::owner(&entry.key) {
            let text = format!("ignored: {owner}");
            self.warnings
                .push(Warning::new(&entry.key, text, Some(&entry.origin)));
            return;
        }
        let known = DEFINITIONS
            .iter()
            .map(|definition| definition.name)
            .chain(alias::names())
            .chain(super::serializers::KEYS.iter().map(|(key, _)| *key));
        #[cfg(feature = "schema-registry")]
        let known = known
            .chain(super::registry::names())
            .chain(super::schemas::KEYS.iter().map(|(key, _)| *key));
        let hint = nearest(&entry.key, known)
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        match unknown_keys {
            UnknownKeys::Warn => {
                let text = format!("unknown key, ignored{hint}");
                self.warnings
                    .push(Warning::new(&entry.key, text, Some(&entry.origin)));
            }
            UnknownKeys::Refuse => {
                let text = format!("unknown key{hint}");
                self.errors
                    .push(ConfigError::key(&entry.key, text, Some(&entry.origin)));
            }
        }
    }

    fn apply(&mut self, entry: &Entry) {
        let Some(setting) = self
            .settings
            .0
            .iter_mut()
            .find(|setting| setting.definition.name == entry.key)
        else {
            return;
        };
        match parse(setting.definition, &entry.value) {
            Ok(parsed) => {
                if let Some(remark) = parsed.remark {
                    self.warnings
                        .push(Warning::new(&entry.key, remark, Some(&entry.origin)));
                }
                setting.value = parsed.value;
                setting.origin = Some(entry.origin.clone());
                setting.provided = entry.provided;
            }
            Err(reason) => {
                self.errors.push(ConfigError::value(
                    setting.definition,
                    if entry.provided { HIDDEN } else { &entry.value },
                    reason,
                    Some(&entry.origin),
                ));
            }
        }
    }

    /// Refuses what does nothing yet, and says so where a key can do nothing here.
    fn check_meanings(&mut self) {
        for setting in &self.settings.0 {
            let Some(origin) = &setting.origin else { continue };
            let definition = setting.definition;
            let is_default = setting.value == default_value(definition);
            let refused = |reason: String| {
                let value = if setting.provided {
                    HIDDEN.to_owned()
                } else {
                    setting.value.to_string()
                };
                ConfigError::value(definition, &value, reason, Some(origin))
            };
            match definition.meaning {
                Meaning::Used | Meaning::Mapped(_) => {}
                Meaning::Partly(works) => {
                    let value = setting.value.to_string();
                    if !works.iter().any(|works| works.eq_ignore_ascii_case(&value)) {
                        let reason = format!("does nothing yet; only {} works so far", works.join(", "));
                        self.errors.push(refused(reason));
                    }
                }
                Meaning::NoMeaning(why) => {
                    let text = format!("is ignored: {why}");
                    self.warnings
                        .push(Warning::new(definition.name, text, Some(origin)));
                }
                Meaning::JavaCode(_) | Meaning::Refused(_) if is_default => {}
                Meaning::JavaCode(why) | Meaning::Refused(why) => self.errors.push(refused(why.to_owned())),
            }
        }
    }
}

impl Settings {
    fn defaults() -> Settings {
        let setting = |definition| Setting {
            definition,
            value: default_value(definition),
            origin: None,
            derived: None,
            provided: false,
        };
        Settings(DEFINITIONS.iter().map(setting).collect())
    }

    pub(super) fn as_slice(&self) -> &[Setting] {
        &self.0
    }

    /// The setting of a key of the table.
    pub(super) fn setting(&self, key: &'static str) -> &Setting {
        // `Settings` has a row for each row of the sorted table, and only names from the table are asked for: building
        // any configuration asks for all of them, so every test would show a name that is not there.
        let position = self
            .0
            .binary_search_by(|setting| setting.definition.name.cmp(key));
        &self.0[position.expect("a key of the table")]
    }

    /// Lets another key decide this one; `why` shows in `config dump`.
    pub(super) fn derive(&mut self, key: &'static str, value: Value, why: String) {
        if let Some(setting) = self.0.iter_mut().find(|setting| setting.definition.name == key) {
            setting.value = value;
            setting.derived = Some(why);
        }
    }

    pub(super) fn is_set(&self, key: &'static str) -> bool {
        self.setting(key).origin.is_some()
    }

    pub(super) fn boolean(&self, key: &'static str) -> bool {
        matches!(self.setting(key).value, Value::Boolean(true))
    }

    /// A whole number; 0 for a key that has none.
    pub(super) fn integer(&self, key: &'static str) -> i64 {
        match self.setting(key).value {
            Value::Integer(value) => value,
            _ => 0,
        }
    }

    /// A number; 0 for a key that has none.
    #[cfg(feature = "oauth")]
    pub(super) fn double(&self, key: &'static str) -> f64 {
        match self.setting(key).value {
            Value::Double(value) => value,
            _ => 0.0,
        }
    }

    /// A text, if there is one.
    pub(super) fn text(&self, key: &'static str) -> Option<&str> {
        match &self.setting(key).value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self, key: &'static str) -> &[String] {
        match &self.setting(key).value {
            Value::List(values) => values,
            _ => &[],
        }
    }

    /// Milliseconds as a duration; none below zero.
    pub(super) fn millis(&self, key: &'static str) -> Duration {
        Duration::from_millis(u64::try_from(self.integer(key)).unwrap_or(0))
    }

    /// A number of bytes; none below zero.
    pub(super) fn bytes(&self, key: &'static str) -> usize {
        usize::try_from(self.integer(key).max(0)).unwrap_or(usize::MAX)
    }
}

/// Whether a key that the table does not have is known all the same.
fn is_more(key: &str) -> bool {
    #[cfg(feature = "schema-registry")]
    if super::registry::is_key(key) || super::schemas::is_key(key) {
        return true;
    }
    super::serializers::KEYS.iter().any(|(known, _)| *known == key)
}

/// The value of a key that nobody sets.
fn default_value(definition: &Definition) -> Value {
    match definition.default {
        Preset::Required | Preset::Null => Value::Null,
        // The table's test reads every default.
        Preset::Is(text) => parse(definition, text).map_or(Value::Null, |parsed| parsed.value),
    }
}
