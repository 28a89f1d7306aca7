//! `cargo xtask ci`: all that a change has to pass, step by step, with what each step took.
//!
//! Each step runs as a process of its own, `cargo xtask ci --here <step>`, and what it prints goes to `target/ci/<step>.log`:
//! who looks at a run that failed wants the end of what failed, not the ten thousand lines of what went well.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::links;
use crate::metadata::{Package, Workspace};
use crate::portable;
use crate::project;
use crate::test;

/// A check with its name.
type Step = (&'static str, fn() -> anyhow::Result<()>);

/// The name of the last step: its last line, which counts the tests, is the last of all.
const TEST: &str = "test";

/// How many lines of a step that failed are shown.
const SHOWN_LINES: usize = 60;

/// All checks, the quick ones first.
const STEPS: &[Step] = &[
    ("fmt", fmt),
    ("lock file", lock_file),
    ("layers", || xtask(&["layers"])),
    ("codegen", || xtask(&["codegen", "--check"])),
    ("msrv", msrv),
    ("deny", deny),
    ("clippy", clippy),
    ("doc", doc),
    ("api", || xtask(&["api", "--check"])),
    ("features", features),
    ("crates alone", crates_alone),
    ("package", package),
    ("portable", portable::run),
    ("fuzz", || xtask(&["fuzz", "--smoke"])),
    ("loom", || xtask(&["loom"])),
    ("simulation", || xtask(&["sim", "--seeds", "2000"])),
    ("instructions", || xtask(&["bench", "--instructions"])),
    (TEST, test::run),
];

/// Which steps.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these steps, by name.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(STEPS.iter().map(|step| step.0)))]
    steps: Vec<String>,
    /// Run them in this process, and show all that they print.
    #[arg(long)]
    here: bool,
}

/// `cargo xtask ci`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let wanted = |name: &str| arguments.steps.is_empty() || arguments.steps.iter().any(|step| step == name);
    let mut steps = STEPS.iter().filter(|step| wanted(step.0));
    if arguments.here {
        return steps.try_for_each(|(_, step)| step());
    }
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut count = None;
    for (name, _) in steps {
        let step_start = Instant::now();
        let log = Log::of(name)?;
        let passed = log.run(name)?;
        let verdict = if passed { "ok" } else { "FAILED" };
        eprintln!(
            "{verdict:>6} {:>7.1} s  {name}",
            step_start.elapsed().as_secs_f32()
        );
        if *name == TEST {
            count = log.last_line();
        }
        if !passed {
            failed.push((name, log));
        }
    }
    eprintln!("{:>6} {:>7.1} s  in all", "", start.elapsed().as_secs_f32());
    for (name, log) in &failed {
        eprintln!(
            "\n=== {name} failed; the end of {}:\n{}",
            log.path.display(),
            log.end()
        );
    }
    if let Some(count) = count {
        println!("{count}");
    }
    if !failed.is_empty() {
        return Err(project::Reported.into());
    }
    Ok(())
}

/// What a step prints.
struct Log {
    path: PathBuf,
}

impl Log {
    fn of(step: &str) -> anyhow::Result<Self> {
        let folder = project::target().join("ci");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{}.log", step.replace(' ', "-")));
        Ok(Self { path })
    }

    /// Runs `step` as a process of its own, and says whether it went well.
    fn run(&self, step: &str) -> anyhow::Result<bool> {
        let file =
            File::create(&self.path).with_context(|| format!("cannot write {}", self.path.display()))?;
        let program = env::current_exe().context("where this program is")?;
        let status = Command::new(program)
            .args(["ci", "--here", step])
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("a second handle of a log")?)
            .stderr(file)
            .status()
            .with_context(|| format!("cannot run the step {step}"))?;
        Ok(status.success())
    }

    fn text(&self) -> String {
        fs::read(&self.path).map_or_else(
            |error| format!("(cannot be read: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    fn last_line(&self) -> Option<String> {
        self.text().lines().next_back().map(str::to_owned)
    }

    fn end(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

fn fmt() -> anyhow::Result<()> {
    project::run(project::cargo().args(["fmt", "--all", "--check"]))
}

/// The lock file says what the manifests need: everything after this uses it as it is.
fn lock_file() -> anyhow::Result<()> {
    project::output(project::cargo().args(["metadata", "--locked", "--format-version", "1"])).map(drop)
}

fn clippy() -> anyhow::Result<()> {
    project::run(project::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn doc() -> anyhow::Result<()> {
    links::check()?;
    documented_features()?;
    let mut doc = project::cargo();
    project::run(
        doc.args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Each feature that others may choose stands in a table on its crate's page.
fn documented_features() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for package in Workspace::load()?
        .packages
        .iter()
        .filter(|package| package.is_published())
    {
        // A program has no such page.
        let Ok(page) = fs::read_to_string(package.manifest_path.with_file_name("src/lib.rs")) else {
            continue;
        };
        let names = package.features.keys().map(String::as_str);
        faults.extend(missing_features(&page, names).into_iter().map(|name| {
            format!(
                "{}: the table in src/lib.rs has no feature `{name}`",
                package.name
            )
        }));
    }
    all_well(&faults)
}

/// Which of these features no row of a table names in its first cell.
fn missing_features<'a>(page: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("//! | "));
    let named: String = cells.filter_map(|row| row.split(" | ").next()).collect();
    names
        .filter(|name| *name != "default" && !name.starts_with('_'))
        .filter(|name| !named.contains(&format!("`{name}`")))
        .collect()
}

/// Every feature of every crate alone, none, and all together.
fn features() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for package in Workspace::load()?
        .packages
        .iter()
        .filter(|package| package.is_published())
    {
        for selection in selections(package) {
            let mut check = project::cargo();
            check.args([
                "check",
                "--quiet",
                "--package",
                &package.name,
                "--no-default-features",
            ]);
            if let Err(error) = check_quietly(check.args(["--features", &selection])) {
                faults.push(format!(
                    "{} with the features `{selection}`: {error:#}",
                    package.name
                ));
            }
        }
    }
    all_well(&faults)
}

/// No feature, each one that is not hidden, and all of them.
fn selections(package: &Package) -> BTreeSet<String> {
    // `dep:x` without a feature of that name is no feature; names with an underscore in front are nobody's to choose.
    let names = || package.features.keys().filter(|name| !name.starts_with('_'));
    let alone = names().cloned();
    let all = names().cloned().collect::<Vec<_>>().join(",");
    alone.chain([String::new(), all]).collect()
}

/// Each crate built and tested by itself, with its default features: what a build of the workspace unites cannot help.
fn crates_alone() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for package in Workspace::load()?
        .packages
        .iter()
        .filter(|package| package.is_published())
    {
        let mut tests = project::cargo();
        tests.args(["test", "--quiet", "--package", &package.name, "--all-targets"]);
        // Tests of real clients and brokers run once, in the step "test": here they say that they are skipped, and
        // those that would compile a client first are left out.
        tests.args(["--", "--skip", "foreign::"]).env_remove("CI");
        for variable in test::VARIABLES {
            tests.env_remove(variable);
        }
        if let Err(error) = check_quietly(&mut tests) {
            faults.push(format!("{} alone: {error:#}", package.name));
        }
    }
    all_well(&faults)
}

fn all_well(faults: &[String]) -> anyhow::Result<()> {
    if !faults.is_empty() {
        bail!("{}", faults.join("\n  "));
    }
    Ok(())
}

/// Packages as they would be published, each built from its package.
fn package() -> anyhow::Result<()> {
    let workspace = Workspace::load()?;
    let mut package = project::cargo();
    package.args(["package", "--workspace", "--quiet"]);
    for private in workspace
        .packages
        .iter()
        .filter(|package| !package.is_published())
    {
        package.args(["--exclude", &private.name]);
    }
    forget_packages(&workspace)?;
    if !project::in_ci() {
        // Who runs this by hand is in the middle of a change.
        package.arg("--allow-dirty");
    }
    project::run(&mut package)
}

/// Removes what an earlier run left of our packages in cargo's home. Cargo unpacks a package once for each version, and
/// believes the folder from then on: the same version with other contents would be built from the old ones.
fn forget_packages(workspace: &Workspace) -> anyhow::Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let Some(home) = home.or_else(|| Some(env::home_dir()?.join(".cargo"))) else {
        bail!("neither CARGO_HOME nor a home folder is known");
    };
    let published = || {
        let packages = workspace.packages.iter();
        packages.filter(|package| package.is_published())
    };
    for kind in ["src", "cache"] {
        // A folder for each registry; there is none before the first package was fetched.
        let Ok(registries) = fs::read_dir(home.join("registry").join(kind)) else {
            continue;
        };
        for registry in registries {
            let registry = registry?.path();
            for package in published() {
                let name = format!("{}-{}", package.name, package.version);
                unless_absent(fs::remove_dir_all(registry.join(&name)))?;
                unless_absent(fs::remove_file(registry.join(name + ".crate")))?;
            }
        }
    }
    Ok(())
}

/// What is to be removed may be gone.
fn unless_absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Licences, bans and sources. (Advisories come from a repository that not every machine reaches.)
fn deny() -> anyhow::Result<()> {
    match Command::new("cargo-deny")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !project::in_ci() => {
            eprintln!("SKIPPED: cargo-deny is not installed (cargo install cargo-deny --locked)");
            Ok(())
        }
        Err(error) => Err(error).context("cannot run cargo-deny (.ci/run installs it)"),
        Ok(_) => project::run(project::cargo().args([
            "deny",
            "--all-features",
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ])),
    }
}

/// What the libraries are built from promises to build with the Rust that they promise.
///
/// This reads promises: the old compiler itself is not run, because no other toolchain can be had where this runs. Our
/// own code is held by clippy's `incompatible_msrv`, which knows since when each item of the standard library is there.
fn msrv() -> anyhow::Result<()> {
    let ours = Workspace::load()?;
    let all = Workspace::load_with_dependencies()?;
    let published: Vec<_> = ours
        .packages
        .iter()
        .filter(|package| package.is_published())
        .collect();
    let mut faults = BTreeSet::new();
    for package in &published {
        let promised = package
            .rust_version
            .as_deref()
            .with_context(|| format!("{} promises no rust-version", package.name))?;
        for needed in normal_dependencies(&package.name)? {
            let version = all
                .packages
                .iter()
                .find(|p| p.name == needed.0 && p.version == needed.1);
            let wanted = version.and_then(|p| p.rust_version.as_deref()).unwrap_or("1.0");
            if numbers(wanted) > numbers(promised) {
                faults.insert(format!(
                    "{} promises Rust {promised}, but {} {} needs {wanted}",
                    package.name, needed.0, needed.1
                ));
            }
        }
    }
    if !faults.is_empty() {
        bail!(
            "the promised Rust is too old:\n  {}",
            faults.into_iter().collect::<Vec<_>>().join("\n  ")
        );
    }
    eprintln!(
        "no dependency of {} crates needs a newer Rust than they promise",
        published.len()
    );
    Ok(())
}

/// Name and version of all that `package` is built from, with all its features.
fn normal_dependencies(package: &str) -> anyhow::Result<BTreeSet<(String, String)>> {
    let arguments = [
        "tree",
        "--package",
        package,
        "--all-features",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
    ];
    let tree = project::output(project::cargo().args(arguments).arg("{p}"))?;
    Ok(tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((
                words.next()?.to_owned(),
                words.next()?.trim_start_matches('v').to_owned(),
            ))
        })
        .collect())
}

/// `1.88` as numbers that compare.
fn numbers(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = version
        .split('.')
        .map(|number| number.parse().unwrap_or(0))
        .collect();
    numbers.resize(3, 0);
    numbers
}

/// Runs another of our commands, as a person would.
fn xtask(arguments: &[&str]) -> anyhow::Result<()> {
    let program = env::current_exe().context("where this program is")?;
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .status()?;
    // It has said what is wrong.
    if status.success() {
        Ok(())
    } else {
        Err(project::Reported.into())
    }
}

/// Runs a command of cargo that should have nothing to say: a warning fails it, and all it printed is shown then.
fn check_quietly(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Cargo shows the warnings of what it built earlier again, so nothing hides in a cache.
    let warned = said.lines().any(|line| line.starts_with("warning"));
    if !output.status.success() || warned {
        eprint!("{}{said}", String::from_utf8_lossy(&output.stdout));
        bail!("{}", if warned { "warnings" } else { "it failed" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.88") < numbers("1.100"));
        assert!(numbers("1.88") == numbers("1.88.0"));
        assert!(numbers("1.88.1") > numbers("1.88"));
    }

    #[test]
    fn a_feature_has_to_stand_in_the_table() {
        let page = "//! `a` is no row\n//! | feature | |\n//! | `b`, `c-d` | yes | not `e` |\n";
        let names = ["default", "_f", "a", "b", "c", "c-d", "e"];
        assert_eq!(missing_features(page, names.into_iter()), ["a", "c", "e"]);
    }

    #[test]
    fn features_are_checked_alone_and_together() {
        let package = Package {
            features: ["default", "gzip", "_hidden"]
                .map(|name| (name.to_owned(), Vec::new()))
                .into(),
            ..Package::default()
        };
        let selections: Vec<_> = selections(&package).into_iter().collect();
        assert_eq!(selections, ["", "default", "default,gzip", "gzip"]);
    }
}
