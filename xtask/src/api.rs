//! `cargo xtask api`: what each library offers, one item a line, in `docs/api/<package>.txt`; `--check` says what the
//! committed lists do not say.
//!
//! A change to what others may use is seen in review, as a line that came or went. The lists are made of rustdoc's JSON by
//! the crate `public-api`. Derived and blanket implementations are left out, and automatic traits but for those that are
//! missing: `Send` and `Sync` are the rule, and what lacks them is a line.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use public_api::PublicApi;

use crate::metadata::{Package, Workspace};
use crate::project;

/// The Rust whose rustdoc the lists are of. The JSON's format is not stable, and paths of the standard library move: with
/// another Rust there is nothing to compare. `public-api` in `Cargo.toml` goes with it.
const RUST: &str = "1.95";

/// Set for the processes that cargo starts as its rustdoc.
const AS_RUSTDOC: &str = "OTTLA_XTASK_AS_RUSTDOC";

/// How many lines of each list that differ are shown.
const SHOWN_LINES: usize = 20;

/// Modules that are not listed, with their package. The messages are generated: `cargo xtask codegen --check` holds them.
const NOT_LISTED: &[(&str, &str)] = &[("ottla-protocol", "ottla_protocol::messages::")];

/// Write or compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compare with what is committed, and write nothing.
    #[arg(long)]
    check: bool,
}

/// `cargo xtask api`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let rustc = project::output(
        Command::new("rustc")
            .arg("--version")
            .current_dir(project::root()),
    )?;
    if !is_ours(&rustc) {
        let rustc = rustc.trim();
        if arguments.check {
            eprintln!("SKIPPED: the lists are of Rust {RUST}, and this is {rustc}");
            return Ok(());
        }
        bail!("the lists are of Rust {RUST}, and this is {rustc}: change RUST in xtask/src/api.rs with it");
    }
    let packages = libraries()?;
    document()?;
    let folder = project::root().join("docs/api");
    let mut faults = 0;
    for package in &packages {
        let path = folder.join(format!("{}.txt", package.name));
        let list = list(package)?;
        if arguments.check {
            faults += usize::from(differs(&path, &list));
        } else {
            fs::write(&path, list).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    let stray = stray(&folder, &packages)?;
    if arguments.check && (faults > 0 || !stray.is_empty()) {
        for path in &stray {
            eprintln!("{} is of no library", path.display());
        }
        bail!("docs/api is not what the libraries offer: `cargo xtask api` writes it");
    }
    for path in stray {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Whether this process is to be rustdoc.
pub(crate) fn is_rustdoc() -> bool {
    env::var_os(AS_RUSTDOC).is_some()
}

/// Runs rustdoc with its unstable flags allowed.
///
/// For rustdoc alone: with `RUSTC_BOOTSTRAP` set for all of cargo, build scripts that look at it would run again, and half
/// of the dependencies be compiled twice.
pub(crate) fn rustdoc() -> ExitCode {
    let rustdoc = env::var_os(AS_RUSTDOC).unwrap_or_else(|| "rustdoc".into());
    let status = Command::new(rustdoc)
        .args(env::args_os().skip(1))
        .env_remove(AS_RUSTDOC)
        .env("RUSTC_BOOTSTRAP", "1")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot run rustdoc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_ours(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let patch = number.strip_prefix(RUST).and_then(|rest| rest.strip_prefix('.'));
    patch.is_some_and(|patch| patch.parse::<u32>().is_ok())
}

/// The packages that others may depend on.
fn libraries() -> anyhow::Result<Vec<Package>> {
    let packages = Workspace::load()?.packages.into_iter();
    Ok(packages
        .filter(|package| {
            package.is_published() && package.manifest_path.with_file_name("src/lib.rs").exists()
        })
        .collect())
}

/// Has rustdoc write its JSON for all libraries, with all features. What they depend on is that of the step "doc".
fn document() -> anyhow::Result<()> {
    let rustdoc = env::var_os("RUSTDOC").unwrap_or_else(|| OsString::from("rustdoc"));
    project::run(
        project::cargo()
            .args([
                "doc",
                "--workspace",
                "--lib",
                "--no-deps",
                "--all-features",
                "--quiet",
            ])
            .env("RUSTDOC", env::current_exe().context("where this program is")?)
            .env(AS_RUSTDOC, rustdoc)
            .env("RUSTDOCFLAGS", "-Zunstable-options --output-format json"),
    )
}

/// The list of one library, a line for each item.
fn list(package: &Package) -> anyhow::Result<String> {
    let name = package.name.replace('-', "_");
    let json = project::target().join("doc").join(name).with_extension("json");
    let api = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| format!("cannot read {}", json.display()))?;
    let hidden = NOT_LISTED.iter().filter(|(of, _)| *of == package.name);
    let hidden: Vec<_> = hidden.map(|(_, module)| *module).collect();
    Ok(lines(&api, &hidden))
}

fn lines(api: &PublicApi, hidden: &[&str]) -> String {
    let lines = api.items().map(ToString::to_string);
    let listed =
        lines.filter(|line| !is_automatic(line) && !hidden.iter().any(|module| line.contains(module)));
    listed.map(|line| line + "\n").collect()
}

/// Whether this is an implementation that the compiler made, and nobody misses.
fn is_automatic(line: &str) -> bool {
    const TRAITS: [&str; 7] = [
        "core::marker::Freeze",
        "core::marker::Send",
        "core::marker::Sync",
        "core::marker::Unpin",
        "core::marker::UnsafeUnpin",
        "core::panic::unwind_safe::RefUnwindSafe",
        "core::panic::unwind_safe::UnwindSafe",
    ];
    let Some((head, _)) = line.split_once(" for ") else {
        return false;
    };
    let negative = head
        .split(' ')
        .any(|word| word == "!core::marker::Send" || word == "!core::marker::Sync");
    head.starts_with("impl") && !negative && TRAITS.iter().any(|name| head.ends_with(name))
}

/// Says what the committed list lacks and what it has too much; whether there is anything of the kind.
fn differs(path: &Path, list: &str) -> bool {
    let committed = fs::read_to_string(path).unwrap_or_default();
    if committed == list {
        return false;
    }
    let [old, new]: [BTreeSet<_>; 2] = [&committed, list].map(|text| text.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}"));
    let came = new.difference(&old).map(|line| format!("+ {line}"));
    let differences: Vec<_> = gone.chain(came).collect();
    eprintln!("{}: {} lines differ", path.display(), differences.len());
    for line in differences.iter().take(SHOWN_LINES) {
        eprintln!("  {line}");
    }
    true
}

/// Lists of libraries that are no more.
fn stray(folder: &Path, packages: &[Package]) -> anyhow::Result<Vec<PathBuf>> {
    let mut stray = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let is_list = path.extension().is_some_and(|extension| extension == "txt");
        if is_list
            && !packages
                .iter()
                .any(|package| path.file_stem().is_some_and(|stem| *stem == *package.name))
        {
            stray.push(path);
        }
    }
    Ok(stray)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_traits_are_left_out_unless_they_are_missing() {
        assert!(is_automatic("impl core::marker::Send for a::B"));
        assert!(is_automatic(
            "impl<T> core::panic::unwind_safe::UnwindSafe for a::B<T>"
        ));
        assert!(!is_automatic("impl !core::marker::Sync for a::B"));
        assert!(!is_automatic("impl core::fmt::Display for a::B"));
        assert!(!is_automatic("pub fn a::f(b: core::marker::Send)"));
    }

    #[test]
    fn only_the_same_rust_is_compared() {
        assert!(is_ours("rustc 1.95.0 (59807616e 2026-04-14)\n"));
        assert!(!is_ours("rustc 1.96.0 (59807616e 2026-04-14)\n"));
        assert!(!is_ours("rustc 1.95.0-nightly (59807616e 2026-04-14)\n") && !is_ours(""));
    }

    #[test]
    fn a_list_that_lacks_an_item_differs() {
        let path = env::temp_dir().join(format!("ottla-api-{}.txt", std::process::id()));
        fs::write(&path, "pub fn a::b()\n").expect("written");
        assert!(!differs(&path, "pub fn a::b()\n"));
        assert!(differs(&path, "pub fn a::b()\npub fn a::c()\n"));
        assert!(differs(&path, ""));
        fs::remove_file(&path).expect("removed");
        assert!(differs(&path, "pub fn a::b()\n"), "there is none");
    }
}
