//! `cargo xtask fuzz`: the fuzz targets, for seconds or for as long as wanted.
//!
//! The targets are in `fuzz/`, a workspace of its own, and run with cargo-fuzz on the stable toolchain: without a
//! sanitizer, because there is no unsafe code to look into; every assertion and check of overflow is on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::project;

/// The cargo-fuzz that this was written for.
const CARGO_FUZZ: &str = "0.13.2";

/// A smoke run ends with the first of the two: the runs are for a fast machine, the seconds for a slow one.
const SMOKE_RUNS: u32 = 100_000;
const SMOKE_SECONDS: u32 = 5;

/// A single input that takes longer is a finding.
const INPUT_SECONDS_MAX: u32 = 10;

/// The process with its corpus; what an input may take is counted far more closely by the targets.
const MEMORY_MIB_MAX: u32 = 1_024;

/// How long, and what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Each target for some seconds, always with the same seed.
    #[arg(long)]
    smoke: bool,
    /// Each target for so many minutes.
    #[arg(long, conflicts_with = "smoke", required_unless_present = "smoke")]
    minutes: Option<u32>,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
}

/// `cargo xtask fuzz`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    require_cargo_fuzz()?;
    let all = targets()?;
    let wanted = match &arguments.target {
        Some(target) if all.contains(target) => vec![target.clone()],
        Some(target) => bail!(
            "there is no target `{target}`: the targets are {}",
            all.join(", ")
        ),
        None => all,
    };
    // Compiled first, for an error of the compiler is no finding.
    project::run(
        project::cargo()
            .current_dir(folder())
            .args([
                "fuzz",
                "build",
                "--fuzz-dir",
                ".",
                "--sanitizer",
                "none",
                "--target-dir",
            ])
            .arg(output())
            .args(&arguments.target),
    )?;
    let mut failed = Vec::new();
    for target in wanted {
        let start = Instant::now();
        eprintln!("\n=== {target}");
        if let Err(error) = fuzz(&target, arguments.minutes) {
            eprintln!("error: {error:#}");
            failed.push(target.clone());
        }
        eprintln!("{target}: {:.1} s", start.elapsed().as_secs_f32());
    }
    if !failed.is_empty() {
        bail!("fuzzing found something in {}", failed.join(", "));
    }
    Ok(())
}

fn fuzz(target: &str, minutes: Option<u32>) -> anyhow::Result<()> {
    let found = output().join("corpus").join(target);
    let artifacts = output().join("artifacts").join(target);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    // The program itself, not `cargo fuzz run`: nothing is compiled while the time runs, and all targets are of one build.
    let program = program(target)?;
    let mut command = Command::new(&program);
    // libFuzzer writes what it finds into the first folder, and only reads the second.
    command.arg(found).arg(folder().join("corpus").join(target));
    command.args([
        // With the separator at its end it is a folder.
        format!("-artifact_prefix={}/", artifacts.display()),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        "-print_final_stats=1".to_owned(),
    ]);
    match minutes {
        Some(minutes) => command.arg(format!("-max_total_time={}", u64::from(minutes) * 60)),
        None => command.args([
            format!("-max_total_time={SMOKE_SECONDS}"),
            format!("-runs={SMOKE_RUNS}"),
            "-seed=1".to_owned(),
        ]),
    };
    project::run(&mut command).with_context(|| {
        format!(
            "the input is in {}; {} FILE runs it again",
            artifacts.display(),
            program.display()
        )
    })
}

/// What cargo-fuzz has built: it always names the platform.
fn program(target: &str) -> anyhow::Result<PathBuf> {
    let rustc = project::output(Command::new("rustc").arg("-vV").current_dir(folder()))?;
    let host = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    Ok(output().join(host).join("release").join(target))
}

fn require_cargo_fuzz() -> anyhow::Result<()> {
    let version = project::output(project::cargo().args(["fuzz", "--version"]));
    let expected = format!("cargo-fuzz {CARGO_FUZZ}");
    match version {
        Ok(version) if version.trim() == expected => Ok(()),
        Ok(version) => {
            eprintln!(
                "warning: this is {}, and {expected} is what was tried",
                version.trim()
            );
            Ok(())
        }
        Err(_) => bail!(
            "cargo-fuzz is not installed: `cargo install cargo-fuzz --version {CARGO_FUZZ} --locked` installs it"
        ),
    }
}

fn folder() -> PathBuf {
    project::root().join("fuzz")
}

/// For what is built and what is found.
fn output() -> PathBuf {
    project::target().join("fuzz")
}

/// The names of all targets: a file for each.
fn targets() -> anyhow::Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        targets.extend(name(&entry?.path()));
    }
    targets.sort();
    Ok(targets)
}

fn name(file: &Path) -> Option<String> {
    let is_source = file.extension().is_some_and(|extension| extension == "rs");
    file.file_stem()
        .filter(|_| is_source)
        .map(|stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn a_length_is_needed_and_only_one() {
        for (line, accepted) in [
            (&["fuzz"][..], false),
            (&["fuzz", "--smoke"], true),
            (&["fuzz", "--minutes", "3", "--target", "wire"], true),
            (&["fuzz", "--smoke", "--minutes", "3"], false),
            (&["fuzz", "--target", "wire"], false),
        ] {
            assert_eq!(Line::try_parse_from(line).is_ok(), accepted, "{line:?}");
        }
    }

    #[test]
    fn every_target_is_built_and_has_a_corpus() {
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("the manifest");
        let targets = targets().expect("the folder");
        assert!(!targets.is_empty());
        for target in targets {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")),
                "{target}"
            );
            let corpus = fs::read_dir(folder().join("corpus").join(&target));
            assert!(corpus.is_ok_and(|files| files.count() > 0), "{target}");
        }
    }
}
