//! `cargo xtask codegen`: Rust types for all of Kafka's messages, from the schemas in the jar of kafka-clients.
//!
//! One file for each API, request and response together, in `crates/protocol/src/generated`, which is committed.
//! `--check` compares instead of writing. The schemas' own prose is not copied: docs say what the types cannot.
//!
//! Where the committed code does not compile, xtask does not either with its default features; then it is
//! `cargo run -p xtask --no-default-features -- codegen`.

mod file;
mod layout;
mod names;
mod schema;
mod structure;
mod table;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::{maven, project};
use layout::Sizes;
use schema::Schema;

/// Where the code goes, from the root of the checkout.
const FOLDER: &str = "crates/protocol/src/generated";

/// Where the table for tests goes, from the root of the checkout.
const TABLE: &str = "crates/protocol/tests/messages/schemas.rs";

/// The most memory, in bytes, that decoding may give for one byte of input.
const RATIO_MAX: f64 = 64.0;

/// How to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if the committed code is not what would be written.
    #[arg(long)]
    check: bool,
    /// Print the worst ratio of memory to wire bytes for each message, not only the worst of all.
    #[arg(long)]
    ratios: bool,
}

/// `cargo xtask codegen`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let jar = maven::library(maven::DEFAULT_VERSION)?.jar("kafka-clients")?;
    let schemas = schema::read_jar(&jar)?;
    let mut texts = file::render(&schemas, maven::DEFAULT_VERSION)?
        .into_iter()
        .map(|(name, text)| (format!("{FOLDER}/{name}"), text))
        .collect::<BTreeMap<_, _>>();
    texts.insert(TABLE.into(), table::render(&schemas, maven::DEFAULT_VERSION)?);
    let mut files = BTreeMap::new();
    for (name, text) in texts {
        let text = format(&text).with_context(|| format!("in {name}"))?;
        files.insert(name, text);
    }
    print_ratios(&schemas, arguments.ratios)?;
    if arguments.check {
        check(&files)
    } else {
        write(&files)
    }
}

fn print_ratios(schemas: &[Schema], all: bool) -> anyhow::Result<()> {
    let mut worst = (0.0, String::new());
    for schema in schemas.iter().filter(|schema| !schema.valid.is_empty()) {
        let (ratio, place) = Sizes::of(schema).worst(schema);
        if all {
            println!("{:44} {ratio:5.1} {place}", schema.name);
        }
        if ratio > worst.0 {
            worst = (ratio, format!("{}, {place}", schema.name));
        }
    }
    println!(
        "worst ratio of memory to wire bytes: {:.1} ({})",
        worst.0, worst.1
    );
    if worst.0 > RATIO_MAX {
        bail!("a ratio above {RATIO_MAX}: box what is rarely used");
    }
    Ok(())
}

/// Formats code as `cargo fmt` would.
fn format(text: &str) -> anyhow::Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(project::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run rustfmt")?;
    // rustfmt reads all of its input before it writes, so this cannot block.
    rustfmt
        .stdin
        .take()
        .context("rustfmt has no standard input")?
        .write_all(text.as_bytes())?;
    let output = rustfmt.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "rustfmt refuses the code: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What is there, by path from the root of the checkout.
fn existing() -> anyhow::Result<BTreeMap<String, String>> {
    let root = project::root();
    let mut names = vec![TABLE.to_owned()];
    let folder = root.join(FOLDER);
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            names.push(format!("{FOLDER}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    let mut files = BTreeMap::new();
    for name in names {
        match fs::read_to_string(root.join(&name)) {
            Ok(text) => {
                files.insert(name, text);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        }
    }
    Ok(files)
}

fn check(files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let existing = existing()?;
    let names: BTreeSet<_> = existing.keys().chain(files.keys()).collect();
    let stale: Vec<_> = names
        .into_iter()
        .filter(|name| existing.get(*name) != files.get(*name))
        .collect();
    if !stale.is_empty() {
        bail!("generated files are not current, run `cargo xtask codegen`: {stale:?}");
    }
    println!("{} files are current", files.len());
    Ok(())
}

fn write(files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let root = project::root();
    fs::create_dir_all(root.join(FOLDER))?;
    let existing = existing()?;
    let mut changed = 0;
    for (name, text) in files {
        if existing.get(name) != Some(text) {
            fs::write(root.join(name), text).with_context(|| format!("cannot write {name}"))?;
            changed += 1;
        }
    }
    for name in existing.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(root.join(name))?;
        changed += 1;
    }
    println!("{} files, {changed} changed", files.len());
    Ok(())
}
