//! `cargo xtask oracle`: random instances of every message at every version, encoded by the Java client, have to come
//! back byte for byte from our decoding and encoding.
//!
//! `xtask/java/MessagesOracle.java` makes the instances and prints them as `cargo xtask roundtrip` reads them. The same
//! seed gives the same lines.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use ottla_protocol::Message as _;

use crate::guard::Guard;
use crate::{kafka, maven, project, roundtrip};

/// The program that makes the instances, from the root of the checkout.
const PROGRAM: &str = "xtask/java/MessagesOracle.java";

/// So many differences are printed; the others are counted.
const DIFFERENCES_SHOWN_MAX: usize = 20;

/// So much of a message is printed: one that is longer is made again from its seed.
const LINE_SHOWN_CHARACTERS_MAX: usize = 2_000;

/// How many, and which.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Other seeds give other instances.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many instances of each message at each version.
    #[arg(long, default_value_t = 200)]
    count: u32,
    /// Print the instances (`KEY KIND VERSION HEX`) instead of comparing.
    #[arg(long)]
    print: bool,
}

/// `cargo xtask oracle`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    kafka::java::require()?;
    let class_path = maven::library(maven::DEFAULT_VERSION)?.class_path();
    if arguments.print {
        let mut output = std::io::stdout().lock();
        return with_instances(&class_path, arguments.seed, arguments.count, |mut lines| {
            std::io::copy(&mut lines, &mut output)?;
            output.flush()?;
            Ok(())
        });
    }
    let start = Instant::now();
    let report = compare(&class_path, arguments.seed, arguments.count)?;
    report.print(arguments.seed);
    eprintln!("seed {}, {:.1} s", arguments.seed, start.elapsed().as_secs_f32());
    if report.is_clean(arguments.count) {
        Ok(())
    } else {
        Err(project::Reported.into())
    }
}

/// Compares `count` instances of each message at each version, as the Java client on `class_path` writes them.
fn compare(class_path: &str, seed: u64, count: u32) -> anyhow::Result<Report> {
    let mut report = Report::default();
    with_instances(class_path, seed, count, |lines| report.read(lines))?;
    Ok(report)
}

/// Hands the lines that the program prints to `consume`, while it prints them.
fn with_instances(
    class_path: &str,
    seed: u64,
    count: u32,
    consume: impl FnOnce(&mut dyn BufRead) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut child = Command::new("java")
        .args(["-Xmx512m", "-cp", class_path])
        .arg(project::root().join(PROGRAM))
        .args([seed.to_string(), count.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A group of its own, which the guard ends with us: Java notices a closed pipe only at its end.
        .process_group(0)
        .spawn()
        .context("cannot run `java`")?;
    let guard = Guard::over(child.id())?;
    let output = child.stdout.take().context("a pipe that was just asked for")?;
    consume(&mut BufReader::with_capacity(1 << 16, output))?;
    let status = child.wait().context("cannot wait for `java`")?;
    guard.release();
    if !status.success() {
        bail!("{PROGRAM} failed ({status})");
    }
    Ok(())
}

/// A message at a version: `request`, `18`, 3.
type Form = (String, String, i16);

/// What became of the instances.
#[derive(Debug, Default)]
struct Report {
    /// How many there were of each form.
    instances: HashMap<Form, u32>,
    difference_count: usize,
    /// The first of them, as they are printed.
    differences: Vec<String>,
}

impl Report {
    fn read(&mut self, lines: &mut dyn BufRead) -> anyhow::Result<()> {
        let mut line = String::new();
        while {
            line.clear();
            lines
                .read_line(&mut line)
                .context("cannot read what Java prints")?
                > 0
        } {
            self.line(line.trim_end_matches('\n'))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let mut words = line.splitn(4, ' ');
        let (Some(key), Some(kind), Some(Ok(version)), Some(hex)) = (
            words.next(),
            words.next(),
            words.next().map(str::parse),
            words.next(),
        ) else {
            bail!("{PROGRAM} printed `{}`", shown(line));
        };
        let form = (kind.to_owned(), key.to_owned(), version);
        *self.instances.entry(form).or_default() += 1;
        let answer = roundtrip::answer(line);
        if answer != hex {
            self.difference_count += 1;
            if self.differences.len() < DIFFERENCES_SHOWN_MAX {
                self.differences
                    .push(format!("Java:  {}\nOttla: {}", shown(line), shown(&answer)));
            }
        }
        Ok(())
    }

    /// The forms of which there were not `count` instances, though they exist, and those that do not exist.
    fn gaps(&self, count: u32) -> Vec<String> {
        let expected = forms();
        let missing = expected
            .iter()
            .filter(|form| self.instances.get(form) != Some(&count));
        let unknown = self.instances.keys().filter(|form| !expected.contains(form));
        let mut gaps: Vec<_> = missing
            .chain(unknown)
            .map(|form| {
                let (kind, key, version) = form;
                let instances = self.instances.get(form).copied().unwrap_or(0);
                format!("{kind} {key} version {version}: {instances} instances from Java")
            })
            .collect();
        gaps.sort();
        gaps
    }

    fn is_clean(&self, count: u32) -> bool {
        self.difference_count == 0 && self.gaps(count).is_empty()
    }

    fn print(&self, seed: u64) {
        for difference in &self.differences {
            println!("seed {seed}\n{difference}");
        }
        let count = self.instances.values().copied().max().unwrap_or(0);
        for gap in self.gaps(count) {
            println!("{gap}");
        }
        let mut messages: Vec<_> = self.instances.keys().map(|(kind, key, _)| (kind, key)).collect();
        messages.sort();
        messages.dedup();
        let instances: u64 = self.instances.values().copied().map(u64::from).sum();
        println!(
            "{} messages, {} versions, {instances} instances, {} differences",
            messages.len(),
            self.instances.len(),
            self.difference_count
        );
    }
}

/// Every message at every version that the protocol crate has.
fn forms() -> Vec<Form> {
    macro_rules! list {
        ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
            [$((stringify!($kind), $key, <$message>::NAME, $min, $max)),*]
        };
    }
    let messages: &[(&str, i16, &str, i16, i16)] = &ottla_protocol::for_each_message!(list);
    messages
        .iter()
        .flat_map(|&(kind, key, name, min, max)| {
            let key = if key >= 0 {
                key.to_string()
            } else {
                name.to_owned()
            };
            (min..=max).map(move |version| (kind.to_owned(), key.clone(), version))
        })
        .collect()
}

fn shown(line: &str) -> String {
    match line.char_indices().nth(LINE_SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}… ({} characters)", &line[..end], line.len()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &str) -> Report {
        let mut report = Report::default();
        report
            .read(&mut lines.as_bytes())
            .expect("lines that are well formed");
        report
    }

    #[test]
    fn a_difference_and_a_refusal_are_found() {
        assert_eq!(
            report("18 request 3 0261026200\n18 request 0 \n").difference_count,
            0
        );
        // A boolean that is neither 0 nor 1 comes back as 1.
        let different = report("3 request 4 0000000002\n");
        assert_eq!(different.difference_count, 1);
        assert!(
            different.differences[0].contains("Ottla: 0000000001"),
            "{different:?}"
        );
        let refused = report("18 request 3 02610262\n");
        assert!(refused.differences[0].contains("Ottla: error: "), "{refused:?}");
    }

    #[test]
    fn what_java_left_out_is_a_gap() {
        let report = report("18 request 3 0261026200\n18 request 99 00\n");
        let gaps = report.gaps(1);
        assert_eq!(gaps.len(), forms().len());
        assert!(!report.is_clean(1));
        assert!(
            gaps.contains(&"request 18 version 99: 1 instances from Java".to_owned()),
            "{gaps:?}"
        );
        assert!(!gaps.contains(&"request 18 version 3: 1 instances from Java".to_owned()));
    }

    #[test]
    fn a_line_of_something_else_ends_the_comparison() {
        for line in [
            "\n",
            "Exception in thread\n",
            "18 request x 00\n",
            "18 request 3\n",
        ] {
            assert!(Report::default().read(&mut line.as_bytes()).is_err(), "{line:?}");
        }
    }

    /// The short form; `cargo xtask oracle` takes more.
    #[test]
    fn every_message_that_java_encodes_comes_back() {
        let Some(library) = std::env::var_os(crate::test::LIBRARY_VARIABLE) else {
            assert!(!project::in_ci(), "{} is not set", crate::test::LIBRARY_VARIABLE);
            println!("SKIPPED: {} is not set", crate::test::LIBRARY_VARIABLE);
            return;
        };
        let class_path = std::path::Path::new(&library).join("*");
        let report = compare(&class_path.to_string_lossy(), 7, 10).expect("Java runs");
        report.print(7);
        assert!(report.is_clean(10));
    }
}
