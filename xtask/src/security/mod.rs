//! `cargo xtask security`: Kafka's console producer and ours, side by side, through every door of a real Kafka.
//!
//! Each case is a `producer.properties` file that both get as it is: each SASL mechanism, with TLS and without, with each
//! form of store; set-ups that are common beside these ([`setups`]); and files that are wrong, and peers that nobody should
//! believe. Both get a record through, or neither does, but for the exceptions that the cases list with their reasons. What
//! gets through is read back. A refusal of ours is one line, names what is wrong, holds no secret, and does not wait for
//! `max.block.ms`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::acceptance::{self, readers};
use crate::kafka::{self, Cluster, java};
use crate::program::Program;
use crate::project;
use crate::test::Counts;
use cases::{Case, Expected};

mod cases;
mod renewal;
mod setups;

const TOPIC: &str = "security";

/// How long ours may wait: what fails with this is a test that failed.
const MAX_BLOCK_MS: &str = "20000";

/// What stands in the clients' files and is told to nobody.
const SECRETS: [&str; 3] = ["alice-secret", "store-secret", "key-secret"];

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What continuous integration runs: each way in once, and not once more with each version of TLS.
    #[arg(long)]
    short: bool,
    /// Only cases whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// Instead: sessions that end every 2 s, under load for so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["short", "only"])]
    renewals: Option<u64>,
    /// A program that was built before [default: a build of this checkout].
    #[arg(long)]
    program: Option<PathBuf>,
}

/// `cargo xtask security`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    acceptance::require_kcat()?;
    let program = match &arguments.program {
        Some(path) => Program::at(path.clone()),
        None => Program::build(false)?,
    };
    if let Some(seconds) = arguments.renewals {
        return renewal::run(&program, seconds);
    }
    let mut cases = short_cases();
    if !arguments.short {
        cases.extend(cases::matrix_by_version());
    }
    cases.retain(|case| {
        arguments
            .only
            .as_ref()
            .is_none_or(|part| case.name.contains(part))
    });
    if cases.is_empty() {
        bail!("no case has that name");
    }
    let cluster = Cluster::start(&kafka::Options {
        tls: true,
        sasl: true,
        ..kafka::Options::default()
    })?;
    let Counts { passed, failed, .. } = check(&cluster, &program, &cases, true)?;
    if failed > 0 {
        bail!(
            "{failed} of {} ways in are not as they should be",
            passed + failed
        );
    }
    println!("{passed} ways in are as they should be, for Java and for us");
    Ok(())
}

/// The short form, for every run of the tests, in a cluster with TLS and SASL: each case is one test.
pub(crate) fn short(cluster: &Cluster) -> anyhow::Result<Counts> {
    let cases = short_cases();
    if let Err(missing) = acceptance::require_kcat() {
        if project::in_ci() {
            return Err(missing);
        }
        eprintln!("\nSKIPPING the ways in: {missing:#}\n");
        return Ok(Counts {
            skipped: cases.len(),
            ..Counts::default()
        });
    }
    check(cluster, &Program::build(false)?, &cases, false)
}

fn short_cases() -> Vec<Case> {
    [setups::setups(), cases::matrix(), cases::odd(), cases::refused()].concat()
}

/// How one producer fared.
#[derive(Debug, Default)]
struct Outcome {
    code: i32,
    took: Duration,
    /// The first words of its error.
    said: String,
}

/// Runs all cases, Java's beside ours, and holds the outcomes against each other and against what is in the topic.
fn check(cluster: &Cluster, program: &Program, cases: &[Case], verbose: bool) -> anyhow::Result<Counts> {
    let start = Instant::now();
    let clients = cluster.clients().context("a cluster with TLS and SASL")?;
    let stores = clients.with_file_name("stores");
    let folder = clients.with_file_name("cases");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let secrets = folder.join("secrets.properties");
    fs::write(&secrets, setups::SECRETS).with_context(|| format!("cannot write {}", secrets.display()))?;
    let file = |case: &Case| folder.join(format!("{}.properties", case.name));
    let mut java = Java::start(cluster, &clients)?;
    let token = java.token()?;
    let mut ways = Vec::with_capacity(cases.len());
    for case in cases {
        ways.push((
            case.name.as_str(),
            case.write(&clients, &stores, &token, &secrets, &file(case))?,
            file(case),
        ));
    }
    let lines: String = cases
        .iter()
        .zip(&ways)
        .map(|(case, way)| line(case, way))
        .collect();
    java.tell(&lines)?;
    let (java, ours) = thread::scope(|scope| {
        let java = scope.spawn(move || java.outcomes());
        let ours = ways
            .iter()
            .map(|(name, address, file)| Ok((*name, ours(program, name, address, file)?)))
            .collect::<anyhow::Result<BTreeMap<_, _>>>();
        // A panic in there is one of ours.
        (java.join().expect("reading does not panic"), ours)
    });
    let (java, ours) = (java?, ours?);
    let mut came = BTreeSet::new();
    readers::kcat(&cluster.bootstrap(), TOPIC, |record| {
        came.insert(record.value.to_owned());
    })?;
    let mut counts = Counts::default();
    for case in cases {
        let name = case.name.as_str();
        let java = java
            .get(name)
            .with_context(|| format!("Java did not tell of {name}"))?;
        let ours = &ours[name];
        let through = |who: &str| came.contains(&format!("{who} {name}"));
        match verdict(case, through("java"), java, through("ottla"), ours, &stores) {
            Ok(()) => {
                counts.passed += 1;
                if verbose {
                    println!("{}", summary(case, java, ours));
                }
            }
            Err(error) => {
                counts.failed += 1;
                println!("test security::{name} ... FAILED: {error:#}");
            }
        }
    }
    println!(
        "test security ... {} of {} ways in are as they should be ({:.0} s)",
        counts.passed,
        cases.len(),
        start.elapsed().as_secs_f32()
    );
    Ok(counts)
}

/// What Java is told of a case.
fn line(case: &Case, (name, address, file): &(&str, String, PathBuf)) -> String {
    // Of what is hopeless Java notices little: it connects again until then.
    let max_block_ms = match case.expected {
        Expected::Neither(_) => "2000",
        _ => MAX_BLOCK_MS,
    };
    format!("{name}\t{address}\t{}\t{max_block_ms}\n", file.display())
}

/// Whether both fared as they should.
fn verdict(
    case: &Case,
    java_through: bool,
    java: &Outcome,
    ours_through: bool,
    ours: &Outcome,
    stores: &Path,
) -> anyhow::Result<()> {
    if java_through != (java.code == 0) || ours_through != (ours.code == 0) {
        bail!("who says that it worked, and what is in the topic, are two things: {java:?} and {ours:?}");
    }
    if let Some(secret) = SECRETS.iter().find(|secret| ours.said.contains(**secret)) {
        bail!("the error holds the secret {secret}: {}", ours.said);
    }
    match case.expected {
        Expected::Both if java_through && ours_through => Ok(()),
        Expected::Ours(_) if ours_through => Ok(()),
        Expected::Neither(says) if !java_through && !ours_through => {
            let says = says.replace("{stores}", &stores.to_string_lossy());
            if ours.said.lines().count() != 1
                || !ours.said.contains(&says)
                || ours.said.contains("max.block.ms")
            {
                bail!(
                    "the error is not one line that says `{says}` at once: {}",
                    ours.said
                );
            }
            Ok(())
        }
        expected => bail!("{expected:?}, but Java: {java:?}, ours: {ours:?}"),
    }
}

/// One case in a line.
fn summary(case: &Case, java: &Outcome, ours: &Outcome) -> String {
    let millis = |outcome: &Outcome| outcome.took.as_millis();
    let name = &case.name;
    match case.expected {
        Expected::Both => format!("{name}: both ({} ms, Java {} ms)", millis(ours), millis(java)),
        Expected::Ours(reason) => format!(
            "{name}: ours, and Java {} ({reason})",
            if java.code == 0 { "too" } else { "not" }
        ),
        Expected::Neither(_) => format!(
            "{name}: neither\n  ours after {} ms: {}\n  Java after {} ms: {}",
            millis(ours),
            ours.said.trim(),
            millis(java),
            java.said
        ),
    }
}

/// Sends one value with our program.
fn ours(program: &Program, name: &str, address: &str, file: &Path) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let mut command = program.produce(address, TOPIC);
    command
        .arg("-F")
        .arg(file)
        .args(["-q", "-X", &format!("max.block.ms={MAX_BLOCK_MS}")]);
    let mut child = command
        .env(setups::PASSWORD_VARIABLE, SECRETS[0])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run our program")?;
    // One that refuses its configuration ends without reading.
    let _ = writeln!(
        child.stdin.take().context("a pipe that was just asked for")?,
        "ottla {name}"
    );
    let output = child.wait_with_output()?;
    Ok(Outcome {
        code: output.status.code().unwrap_or(-1),
        took: start.elapsed(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The virtual machine with Kafka's console producer. Dropping it ends it.
#[derive(Debug)]
struct Java {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// A delegation token: its id, and its HMAC in Base64.
struct Token {
    id: String,
    hmac: String,
}

impl Java {
    fn start(cluster: &Cluster, clients: &Path) -> anyhow::Result<Self> {
        let source = project::root().join("xtask/java/Security.java");
        let mut command: Command = java::tool(cluster.library(), &source.to_string_lossy());
        let mut child = command
            .args([&cluster.bootstrap(), TOPIC])
            .arg(clients.join("sasl-plaintext-scram-sha-256.properties"))
            .env(setups::PASSWORD_VARIABLE, SECRETS[0])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run `java`")?;
        let output = child.stdout.take().context("a pipe that was just asked for")?;
        let output = BufReader::new(output);
        let mut java = Self { child, output };
        java.wait_for_topic(cluster)?;
        Ok(java)
    }

    /// Ours must not be the one that waits for a topic that Java makes.
    fn wait_for_topic(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let folder = cluster.data(1).join(format!("{TOPIC}-0"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !folder.exists() {
            if let Some(status) = self.child.try_wait()? {
                bail!("Security.java ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("Security.java made no topic within 60 s");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What it got from the cluster, which is the first that it prints.
    fn token(&mut self) -> anyhow::Result<Token> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("cannot read what Java prints")?;
        match line.trim_end().split('\t').collect::<Vec<_>>()[..] {
            ["TOKEN", id, hmac] => Ok(Token {
                id: id.to_owned(),
                hmac: hmac.to_owned(),
            }),
            _ => bail!("Security.java got no delegation token"),
        }
    }

    /// Hands over all cases.
    fn tell(&mut self, lines: &str) -> anyhow::Result<()> {
        let mut stdin = self
            .child
            .stdin
            .take()
            .context("a pipe that was just asked for")?;
        // It reads a line for each case; all of them fit in a pipe's buffer many times over.
        stdin.write_all(lines.as_bytes()).context("Java takes no cases")
    }

    fn outcomes(&mut self) -> anyhow::Result<BTreeMap<String, Outcome>> {
        let mut outcomes = BTreeMap::new();
        for line in self.output.by_ref().lines() {
            let line = line.context("cannot read what Java prints")?;
            let mut parts = line.splitn(4, '\t');
            let mut next = || parts.next().context("a part of the line");
            let (name, code, millis, said) = (next()?, next()?, next()?, next()?);
            let outcome = Outcome {
                code: code.parse()?,
                took: Duration::from_millis(millis.parse()?),
                said: said.to_owned(),
            };
            outcomes.insert(name.to_owned(), outcome);
        }
        Ok(outcomes)
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
