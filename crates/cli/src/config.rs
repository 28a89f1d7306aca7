//! `ottla config`: what keys there are, what is in effect, and whether it is right.

use crate::connection::{Connection, warn};
use crate::exit::Failure;
use crate::label;
use clap::{Subcommand, ValueEnum};
use ottla::config::{DEFINITIONS, Definition, Setting, Value, markdown};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show every key: type, default, allowed values, and what it does
    List {
        /// Only keys that contain this
        #[arg(value_name = "PART")]
        part: Option<String>,
        /// The form to show them in
        #[arg(long, value_enum, default_value_t = Form::Text)]
        output: Form,
    },
    /// Print the configuration in effect as a .properties file, and where each value comes from
    Dump {
        #[command(flatten)]
        connection: Connection,
        /// Print what is set only, without defaults
        #[arg(long)]
        set: bool,
    },
    /// Check a configuration and report everything that is wrong with it
    Check {
        /// .properties files; later ones win
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// A form of the list.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// docs/configuration.md
    Markdown,
    /// One object for each key, on a line
    Json,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List { part, output } => {
            let part = part.as_deref().unwrap_or_default();
            let definitions: Vec<_> = DEFINITIONS
                .iter()
                .filter(|definition| definition.name.contains(part))
                .collect();
            if definitions.is_empty() {
                return Err(Failure::usage(format!("no key contains {part:?}")));
            }
            print(&match output {
                Form::Text => text(&definitions),
                Form::Markdown => markdown(),
                Form::Json => json(&definitions),
            })
        }
        Command::Dump { connection, set } => dump(connection, *set),
        Command::Check { files, connection } => check(files, connection),
    }
}

fn text(definitions: &[&Definition]) -> String {
    let mut text = String::new();
    for definition in definitions {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{}\n    {}, {}, default {}, allowed: {}\n    {}\n    ({})",
            definition.name,
            definition.kind,
            definition.importance,
            definition.default,
            definition.allowed,
            definition.about,
            definition.meaning,
        );
    }
    text
}

fn json(definitions: &[&Definition]) -> String {
    let object = |definition: &&Definition| {
        let object = serde_json::json!({
            "name": definition.name,
            "type": definition.kind.to_string(),
            "default": definition.default.to_string(),
            "importance": definition.importance.to_string(),
            "allowed": definition.allowed.to_string(),
            "meaning": definition.meaning.to_string(),
            "about": definition.about,
        });
        format!("{object}\n")
    };
    definitions.iter().map(object).collect()
}

fn dump(connection: &Connection, set_only: bool) -> Result<ExitCode, Failure> {
    let report = connection.builder()?.check();
    warn(&report.warnings);
    let mut text = String::new();
    for setting in &report.settings {
        if set_only && setting.origin().is_none() {
            continue;
        }
        if let Some(origin) = setting.origin() {
            let _ = writeln!(text, "# {origin}");
        }
        if let Some(why) = setting.derived() {
            let _ = writeln!(text, "# {why}");
        }
        text.push_str(&line(setting));
    }
    let code = print(&text)?;
    match wrong(&report.errors) {
        0 => Ok(code),
        _ => Ok(ExitCode::from(crate::exit::USAGE)),
    }
}

/// A setting as it stands in a file; secrets stay hidden.
fn line(setting: &Setting) -> String {
    let name = setting.definition().name;
    match setting.value() {
        Value::Null => format!("# {name} has no value\n"),
        value => format!("{name}={}\n", escape(&value.to_string())),
    }
}

/// As `java.util.Properties` writes a value.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (index, character) in value.chars().enumerate() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            // Otherwise white space at the beginning is dropped when it is read.
            ' ' if index == 0 => text.push_str("\\ "),
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04X}");
                }
            }
        }
    }
    text
}

fn check(files: &[PathBuf], connection: &Connection) -> Result<ExitCode, Failure> {
    let report = connection.builder_with(files)?.check();
    warn(&report.warnings);
    let errors = wrong(&report.errors);
    if errors > 0 {
        return Ok(ExitCode::from(crate::exit::USAGE));
    }
    let set = report
        .settings
        .iter()
        .filter(|setting| setting.origin().is_some())
        .count();
    print(&format!(
        "ok: {}, {}\n",
        counted(set, "key set", "keys set"),
        counted(report.warnings.len(), "warning", "warnings")
    ))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Reports errors and counts them. That no server is named is none here: a command may name it with `-b`.
fn wrong(errors: &[ottla::config::ConfigError]) -> usize {
    let mut stderr = io::stderr().lock();
    let mut count = 0;
    for error in errors {
        if error.origin().is_none() && error.keys_to_blame().eq(["bootstrap.servers"]) {
            let _ = writeln!(stderr, "note: {error}");
        } else {
            let _ = writeln!(stderr, "{} {error}", label::error());
            count += 1;
        }
    }
    count
}

/// Writes to standard output; a reader that has gone away is no error.
fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::delivery(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla::config::Properties;

    #[test]
    fn what_is_dumped_reads_back() {
        for value in ["", " a ", "a=b:c", "a\\b", "é\u{1f600}\n\t\r\u{1}", "#a", "C:\\x"] {
            let text = format!("k={}\n", escape(value));
            let properties = Properties::from_latin_1(text.as_bytes()).expect("valid");
            assert_eq!(properties.value("k"), Some(value), "{text}");
        }
    }
}
