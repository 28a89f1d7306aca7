//! Instruction counts against committed figures: a gate that the load of the machine cannot move.
//!
//! valgrind runs a small program of ours twice for each case, with different numbers of repetitions; the difference of the
//! counts is what the repetitions took. Another compiler gives other figures, so they stand under its version. Another
//! processor does not, as long as it has AVX2: valgrind shows every program the same one, by which the C library and the
//! checksums choose their code.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::project;

/// The figures: for each compiler, for each case, instructions for one repetition.
const FIGURES: &str = "benches/instructions.json";

/// How far a count may be from its figure.
const TOLERANCE: f64 = 0.02;

/// The second run has so many times the repetitions of the first.
const FACTOR: u64 = 3;

type Figures = BTreeMap<String, BTreeMap<String, f64>>;

/// `cargo xtask bench --instructions`: compares, or writes down if the counts are to be accepted.
pub(crate) fn run(accept: bool) -> anyhow::Result<()> {
    if !has_valgrind()? {
        return Ok(());
    }
    let file = project::root().join(FIGURES);
    let text = fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
    let mut figures: Figures =
        serde_json::from_str(&text).with_context(|| format!("cannot read {FIGURES}"))?;
    let compiler = compiler()?;
    let known = figures.get(&compiler);
    if known.is_none() && !accept {
        let others: Vec<_> = figures.keys().map(String::as_str).collect();
        eprintln!(
            "SKIPPED: {FIGURES} has instruction counts of {}, and this is {compiler} (--accept writes its own down)",
            others.join(", ")
        );
        return Ok(());
    }
    let counts = counts(&build()?)?;
    if accept {
        let counts = counts
            .into_iter()
            .map(|(case, count)| (case, (count * 10.0).round() / 10.0));
        figures.insert(compiler, counts.collect());
        fs::write(&file, serde_json::to_string_pretty(&figures)? + "\n")?;
        eprintln!("{FIGURES} is written");
        return Ok(());
    }
    compare(known.unwrap_or(&BTreeMap::new()), &counts)
}

/// Whether valgrind is there; where nothing may be missing it has to be.
fn has_valgrind() -> anyhow::Result<bool> {
    match Command::new("valgrind")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !project::in_ci() => {
            eprintln!("SKIPPED: valgrind is not installed (Debian: apt-get install valgrind)");
            Ok(false)
        }
        Err(error) => Err(error).context("cannot run valgrind (.ci/run installs it)"),
        Ok(_) => Ok(true),
    }
}

/// Version and platform of the compiler.
fn compiler() -> anyhow::Result<String> {
    let said = project::output(Command::new("rustc").arg("-vV").current_dir(project::root()))?;
    let field = |name: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or("unknown")
    };
    Ok(format!("rustc {} {}", field("release: "), field("host: ")))
}

/// Builds the program, with the settings of the simulation, which take a third of a release's time.
fn build() -> anyhow::Result<PathBuf> {
    let mut build = project::cargo();
    build.args([
        "build",
        "--quiet",
        "--profile",
        "instructions",
        "--package",
        "ottla-benches",
    ]);
    project::run(build.args(["--features", "instructions", "--bin", "instructions"]))?;
    Ok(project::target().join("instructions").join("instructions"))
}

/// Instructions for one repetition of each case.
fn counts(program: &Path) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut counts = BTreeMap::new();
    for line in project::output(&mut Command::new(program))?.lines() {
        let (case, repetitions) = line.split_once(' ').context("expected `CASE REPETITIONS`")?;
        let repetitions: u64 = repetitions.parse().context("a number of repetitions")?;
        let few = executed(program, case, repetitions)?;
        let many = executed(program, case, repetitions * FACTOR)?;
        let each = many.saturating_sub(few) as f64 / (repetitions * (FACTOR - 1)) as f64;
        counts.insert(case.to_owned(), each);
    }
    Ok(counts)
}

/// How many instructions a whole run executes.
fn executed(program: &Path, case: &str, repetitions: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(program)
        .args([case, &repetitions.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{case}: {}", said.trim());
    }
    references(&said).with_context(|| format!("valgrind counted nothing: {}", said.trim()))
}

/// The count in what valgrind says at its end: `==123== I   refs:      1,234,567`.
fn references(said: &str) -> Option<u64> {
    let line = said
        .lines()
        .find(|line| line.contains(" refs:") && line.contains("== I"))?;
    line.split_once(':')?.1.trim().replace(',', "").parse().ok()
}

/// Prints all counts beside their figures, and fails if one is larger than it may be.
fn compare(figures: &BTreeMap<String, f64>, counts: &BTreeMap<String, f64>) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    println!("{:<20} {:>12} {:>12}", "instructions", "committed", "now");
    for (case, &now) in counts {
        let Some(&figure) = figures.get(case) else {
            faults.push(format!("{case} has no figure"));
            continue;
        };
        let change = now / figure - 1.0;
        println!("{case:<20} {figure:>12.1} {now:>12.1} {:>+7.1} %", change * 100.0);
        if change > TOLERANCE {
            faults.push(format!("{case} takes {:+.1} % instructions", change * 100.0));
        } else if change < -TOLERANCE {
            eprintln!(
                "{case} got better by more than {:.0} %: write it down",
                TOLERANCE * 100.0
            );
        }
    }
    if !faults.is_empty() {
        bail!(
            "{} (if that is meant: cargo xtask bench --instructions --accept)",
            faults.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_off_what_valgrind_says() {
        let said = "==77== Cachegrind, a cache and branch-prediction profiler\n==77== \n==77== I   refs:      12,345,678\n";
        assert_eq!(references(said), Some(12_345_678));
        assert_eq!(references("==77== I refs:  99\n"), Some(99));
        assert_eq!(references("==77== D   refs:      12\n"), None);
    }

    #[test]
    fn only_more_instructions_than_the_figure_are_a_fault() {
        let of = |count: f64| BTreeMap::from([("send".to_owned(), count)]);
        assert!(compare(&of(100.0), &of(101.9)).is_ok());
        assert!(compare(&of(100.0), &of(102.1)).is_err());
        assert!(compare(&of(100.0), &of(50.0)).is_ok());
        assert!(compare(&BTreeMap::new(), &of(50.0)).is_err());
    }
}
