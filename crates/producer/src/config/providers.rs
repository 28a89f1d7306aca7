//! `config.providers`: values that stand elsewhere, as in Java (KIP-297, KIP-421).
//!
//! `${name:path:key}` and `${name:key}` are replaced in every value, but only by providers that `config.providers` names:
//! without it a password may contain `${`. Java's three are here, under the names of their classes; a class of one's own
//! is Java code, and refused. What cannot be found stays as it is, as in Java, with a warning.

use super::error::{ConfigError, Warning};
use super::properties::Properties;
use super::settings::Entry;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

const KEY: &str = "config.providers";
const PREFIX: &str = "config.providers.";

/// A file of secrets that is larger is none.
const BYTES_MAX: u64 = 1 << 20;

/// The entries with their values resolved, without those that only configure providers.
pub(super) struct Resolved {
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<Warning>,
    pub(super) errors: Vec<ConfigError>,
}

/// One of Java's providers.
enum Provider {
    Environment,
    /// A `.properties` file for each path.
    File(Allowed),
    /// A file for each key, in the folder that is the path.
    Directory(Allowed),
}

/// Where files may be read: everywhere, or below these folders.
struct Allowed(Option<Vec<PathBuf>>);

/// Why a variable has no value.
enum Lack {
    /// It stays as it is, as in Java.
    Warn(String),
    /// Java refuses it too.
    Refuse(String),
}

/// Replaces what the providers of `entries` have.
pub(super) fn resolve(entries: &[Entry]) -> Resolved {
    let mut resolved = Resolved {
        entries: Vec::new(),
        warnings: Vec::new(),
        errors: Vec::new(),
    };
    let names = entries.iter().rev().find(|entry| entry.key == KEY);
    let names = names.map_or("", |entry| entry.value.as_str());
    let names = || names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut providers = BTreeMap::new();
    for name in names() {
        if let Some(provider) = provider(name, entries, &mut resolved) {
            providers.insert(name, provider);
        }
    }
    for entry in entries {
        let configures = |name: &str| {
            let rest = entry.key.strip_prefix(PREFIX)?.strip_prefix(name)?;
            (rest == ".class" || rest.starts_with(".param.")).then_some(())
        };
        if names().any(|name| configures(name).is_some()) {
            continue;
        }
        let mut entry = entry.clone();
        if !providers.is_empty() && entry.key != KEY {
            replace(&mut entry, &providers, &mut resolved);
        }
        resolved.entries.push(entry);
    }
    resolved
}

/// The provider of that name; what is wrong with it is noted.
fn provider(name: &str, entries: &[Entry], resolved: &mut Resolved) -> Option<Provider> {
    let last = |key: &str| entries.iter().rev().find(|entry| entry.key == key);
    let class_key = format!("{PREFIX}{name}.class");
    let Some(class) = last(&class_key) else {
        let origin = last(KEY).map(|entry| &entry.origin);
        let text = format!("{class_key} is not set, so that nothing is replaced by {name:?}");
        resolved.warnings.push(Warning::new(KEY, text, origin));
        return None;
    };
    let parameter = |parameter: &str| last(&format!("{PREFIX}{name}.param.{parameter}"));
    let allowed = || {
        let paths = parameter("allowed.paths").map(|entry| entry.value.as_str());
        Allowed(
            paths
                .filter(|paths| !paths.is_empty())
                .map(|paths| paths.split(',').map(normal).collect()),
        )
    };
    match class.value.trim() {
        "org.apache.kafka.common.config.provider.EnvVarConfigProvider" => {
            if let Some(pattern) = parameter("allowlist.pattern") {
                let reason = "is a regular expression of Java's, which is not evaluated here: take it out";
                let error = ConfigError::key(&pattern.key, reason, Some(&pattern.origin));
                resolved.errors.push(error);
            }
            Some(Provider::Environment)
        }
        "org.apache.kafka.common.config.provider.FileConfigProvider" => Some(Provider::File(allowed())),
        "org.apache.kafka.common.config.provider.DirectoryConfigProvider" => {
            Some(Provider::Directory(allowed()))
        }
        _ => {
            let reason = "is Java code; EnvVarConfigProvider, FileConfigProvider and DirectoryConfigProvider of \
                          org.apache.kafka.common.config.provider are built in";
            let error = ConfigError::key(&class_key, reason, Some(&class.origin));
            resolved.errors.push(error);
            None
        }
    }
}

/// Replaces each `${…}` of the value whose provider is there. What a provider brings is not looked into again.
fn replace(entry: &mut Entry, providers: &BTreeMap<&str, Provider>, resolved: &mut Resolved) {
    if !entry.value.contains("${") {
        return;
    }
    let text = std::mem::take(&mut entry.value);
    let mut rest = text.as_str();
    while let Some((before, variable, after)) = next_variable(rest) {
        entry.value.push_str(before);
        let whole = &rest[before.len()..rest.len() - after.len()];
        rest = after;
        let found = providers
            .get(variable.provider)
            .map(|provider| provider.value(&variable));
        let lack = match found {
            Some(Ok(value)) => {
                push(&mut entry.value, &value);
                entry.provided = true;
                continue;
            }
            None => None,
            Some(Err(lack)) => Some(lack),
        };
        entry.value.push_str(whole);
        match lack {
            None => {}
            Some(Lack::Warn(reason)) => {
                let text = format!("{whole} stays as it is: {reason}");
                let warning = Warning::new(&entry.key, text, Some(&entry.origin));
                resolved.warnings.push(warning);
            }
            Some(Lack::Refuse(reason)) => {
                let error = ConfigError::key(&entry.key, format!("{whole}: {reason}"), Some(&entry.origin));
                resolved.errors.push(error);
            }
        }
    }
    push(&mut entry.value, rest);
}

/// Appends, and leaves no copy of a secret behind when the text has to move.
fn push(value: &mut Zeroizing<String>, more: &str) {
    if value.capacity() - value.len() < more.len() {
        let mut larger = Zeroizing::new(String::with_capacity(2 * (value.len() + more.len())));
        larger.push_str(value);
        *value = larger;
    }
    value.push_str(more);
}

/// `${provider:path:key}`; the path is empty where it is left out.
struct Variable<'a> {
    provider: &'a str,
    path: &'a str,
    key: &'a str,
}

/// The first variable, what stands before it, and what behind it; as Java's `\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}` finds it.
fn next_variable(text: &str) -> Option<(&str, Variable<'_>, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find("${").map(|start| from + start) {
        let inner = &text[start + 2..];
        let end = inner.find('}')?;
        let (inside, after) = (&inner[..end], &inner[end + 1..]);
        if let Some((provider, rest)) = inside.split_once(':') {
            let (path, key) = rest.split_once(':').unwrap_or(("", rest));
            return Some((&text[..start], Variable { provider, path, key }, after));
        }
        // No colon: the search goes on behind the `$`, for another `${` may stand inside.
        from = start + 2;
    }
    None
}

impl Provider {
    fn value(&self, variable: &Variable<'_>) -> Result<Zeroizing<String>, Lack> {
        match self {
            Provider::Environment if !variable.path.is_empty() => Err(Lack::Refuse(
                "a variable of the environment has no path".to_owned(),
            )),
            Provider::Environment => std::env::var(variable.key)
                .map(Zeroizing::new)
                .map_err(|error| Lack::Warn(format!("environment: {error}"))),
            Provider::File(allowed) => {
                let bytes = read(&allowed.path(variable.path)?)?;
                let text = text(&bytes)?;
                let properties = Properties::from_text(text)
                    .map_err(|error| Lack::Refuse(format!("line {}: {}", error.line(), error.reason())))?;
                properties
                    .value(variable.key)
                    .map(|value| Zeroizing::new(value.to_owned()))
                    .ok_or_else(|| Lack::Warn("the file does not have this key".to_owned()))
            }
            Provider::Directory(allowed) => {
                let folder = allowed.path(variable.path)?;
                let mut names = Path::new(variable.key).components();
                // A key is the name of a file in the folder, not a way out of it.
                let is_name = matches!((names.next(), names.next()), (Some(Component::Normal(_)), None));
                let file = folder.join(variable.key);
                if !is_name || !file.is_file() {
                    return Err(Lack::Warn("the folder does not have this file".to_owned()));
                }
                let bytes = read(&file)?;
                Ok(Zeroizing::new(text(&bytes)?.to_owned()))
            }
        }
    }
}

impl Allowed {
    fn path(&self, path: &str) -> Result<PathBuf, Lack> {
        if path.is_empty() {
            return Err(Lack::Warn("it names no path".to_owned()));
        }
        let path = normal(path);
        match &self.0 {
            Some(allowed) if !allowed.iter().any(|allowed| path.starts_with(allowed)) => {
                Err(Lack::Warn("its path is not among allowed.paths".to_owned()))
            }
            _ => Ok(path),
        }
    }
}

/// The path without `.` and `..`, as Java's `Path.normalize`: nothing is looked up.
fn normal(path: &str) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in Path::new(path.trim()).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Lack> {
    let refuse = |reason: String| Lack::Refuse(format!("cannot read {}: {reason}", path.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(refuse("it is larger than 1 MiB".to_owned()));
    }
    Ok(bytes)
}

/// Java reads these files as UTF-8, unlike the configuration itself.
fn text(bytes: &[u8]) -> Result<&str, Lack> {
    std::str::from_utf8(bytes).map_err(|_| Lack::Refuse("the file is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigBuilder};

    const ENV: &str = "org.apache.kafka.common.config.provider.EnvVarConfigProvider";
    const FILE: &str = "org.apache.kafka.common.config.provider.FileConfigProvider";
    const DIRECTORY: &str = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";

    fn builder(settings: &[(&str, &str)]) -> ConfigBuilder {
        let mut builder = ConfigBuilder::new()
            .set("bootstrap.servers", "a:1")
            .refuse_unknown_keys();
        builder.extend(settings.iter().copied());
        builder
    }

    #[track_caller]
    fn accepts(settings: &[(&str, &str)]) -> (Config, Vec<Warning>) {
        builder(settings)
            .build()
            .unwrap_or_else(|error| panic!("{settings:?}: {error}"))
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ottla-providers-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        folder
    }

    #[test]
    fn without_config_providers_nothing_is_replaced() {
        let (config, warnings) = accepts(&[("client.id", "${env:PATH}")]);
        assert_eq!(config.client_id(), Some("${env:PATH}"));
        assert!(warnings.is_empty());
    }

    #[test]
    fn the_environment_is_asked_by_the_name_that_is_given() {
        let path = std::env::var("PATH").expect("every test has a PATH");
        let given = [("config.providers", "vars"), ("config.providers.vars.class", ENV)];
        let with = |value: &str| {
            let mut settings = given.to_vec();
            settings.push(("client.id", value));
            accepts(&settings)
        };
        let (config, warnings) = with("a-${vars:PATH}-${vars:PATH}-${env:PATH}-$${x}-${");
        assert_eq!(
            config.client_id(),
            Some(format!("a-{path}-{path}-${{env:PATH}}-$${{x}}-${{").as_str())
        );
        assert!(warnings.is_empty(), "{warnings:?}");
        // As in Java, what is not there stays; here it is said.
        let (config, warnings) = with("${vars:OTTLA_NOBODY_SETS_THIS}");
        assert_eq!(config.client_id(), Some("${vars:OTTLA_NOBODY_SETS_THIS}"));
        assert!(
            warnings[0]
                .to_string()
                .contains("client.id: ${vars:OTTLA_NOBODY_SETS_THIS} stays"),
            "{warnings:?}"
        );
        let mut refused = given.to_vec();
        refused.push(("client.id", "${vars:some/path:PATH}"));
        let error = builder(&refused).build().expect_err("a path");
        assert!(error.to_string().contains("has no path"), "{error}");
        let mut pattern = given.to_vec();
        pattern.push(("config.providers.vars.param.allowlist.pattern", "A.*"));
        let error = builder(&pattern).build().expect_err("a pattern");
        assert!(error.to_string().contains("allowlist.pattern"), "{error}");
    }

    #[test]
    fn files_and_folders_are_read_where_that_is_allowed() {
        let folder = folder("files");
        std::fs::write(
            folder.join("secrets.properties"),
            "user=al\u{ef}ce\nlinger = 77\nnested=${file:x:y}\n",
        )
        .expect("written");
        std::fs::write(folder.join("token"), "line\n").expect("written");
        let here = folder.display();
        let given = [
            ("config.providers", "file, dir".to_owned()),
            ("config.providers.file.class", FILE.to_owned()),
            ("config.providers.dir.class", DIRECTORY.to_owned()),
            (
                "config.providers.dir.param.allowed.paths",
                format!("/nowhere,{here}"),
            ),
        ];
        let with = |key: &'static str, value: String| {
            let mut builder = builder(&[]);
            builder.extend(given.iter().map(|(key, value)| (*key, value.as_str())));
            builder.set(key, value).build()
        };
        let client_id = |value: String| {
            let (config, warnings) = with("client.id", value).expect("valid");
            (config.client_id().expect("set").to_owned(), warnings)
        };
        // UTF-8, unlike the configuration itself; values are not looked into again.
        let both =
            format!("${{file:{here}/secrets.properties:user}}/${{file:{here}/secrets.properties:nested}}");
        assert_eq!(client_id(both).0, "al\u{ef}ce/${file:x:y}");
        let (config, _) = with(
            "linger.ms",
            format!("${{file:{here}/./x/../secrets.properties:linger}}"),
        )
        .expect("valid");
        assert_eq!(config.linger().as_millis(), 77);
        // The end of the line counts until the key trims it, as Java's strings do.
        assert_eq!(client_id(format!("${{dir:{here}:token}}")).0, "line");
        for (value, why) in [
            (format!("${{dir:{here}:none}}"), "does not have this file"),
            (format!("${{dir:{here}:../x}}"), "does not have this file"),
            (format!("${{dir:{here}/../..:token}}"), "not among allowed.paths"),
            (
                format!("${{file:{here}/secrets.properties:none}}"),
                "does not have this key",
            ),
            ("${file:key}".to_owned(), "no path"),
        ] {
            let (id, warnings) = client_id(value.clone());
            assert_eq!(id, value);
            assert!(warnings[0].to_string().contains(why), "{warnings:?}");
        }
        let error = with("client.id", format!("${{file:{here}/none:user}}")).expect_err("no file");
        assert!(error.to_string().contains("cannot read"), "{error}");
        std::fs::remove_dir_all(&folder).expect("ours");
    }

    /// A value that a provider brought may be a secret, whatever its key is.
    #[test]
    fn what_a_provider_brings_shows_in_no_error() {
        let folder = folder("canary");
        std::fs::write(folder.join("s"), "linger=canary\n").expect("written");
        let value = format!("${{f:{}:linger}}", folder.join("s").display());
        let settings = [("config.providers", "f"), ("config.providers.f.class", FILE)];
        for key in [
            "linger.ms",
            "sasl.login.class",
            "client.dns.lookup",
            "security.protocol",
        ] {
            let error = builder(&settings)
                .set(key, value.as_str())
                .build()
                .expect_err("no good value");
            assert!(
                error.to_string().contains(key) && !error.to_string().contains("canary"),
                "{error}"
            );
        }
        std::fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn a_class_of_ones_own_is_refused_and_a_missing_one_is_said() {
        let error = builder(&[
            ("config.providers", "v"),
            ("config.providers.v.class", "com.acme.Vault"),
        ])
        .build();
        let error = error.expect_err("Java code");
        assert!(error.to_string().contains("config.providers.v.class"), "{error}");
        let (_, warnings) = accepts(&[("config.providers", "v")]);
        assert!(
            warnings[0]
                .to_string()
                .contains("config.providers.v.class is not set"),
            "{warnings:?}"
        );
    }
}
