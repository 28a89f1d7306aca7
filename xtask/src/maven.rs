//! The jars of a Kafka, fetched by Maven's own client and kept between runs.
//!
//! [`library`] gives the folder for one version: `<cache>/kafka/<version>/lib` ([`project::cache`]). The folder appears
//! under that name only when it is whole, so an interrupted download is never mistaken for one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use anyhow::{Context as _, bail};

use crate::project;

/// The Kafka that everything here is built for and tested with.
pub(crate) const DEFAULT_VERSION: &str = "4.3.1";

/// What Maven is asked for, with the version as a property.
const POM: &str = include_str!("../poms/kafka/pom.xml");

/// The same for versions before 2.4.
const OLD_POM: &str = include_str!("../poms/kafka-before-2.4/pom.xml");

/// A copy of the pom beside the jars says that they are whole, and of which pom.
const MARKER: &str = "complete.xml";

/// The logger of brokers, kept out of the folder that tools use (theirs is slf4j-nop, and there may be only one).
const BROKER_LOGGER: &str = "slf4j-simple";

/// Which jars.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The version of Kafka.
    #[arg(long, default_value = DEFAULT_VERSION)]
    version: String,
}

/// `cargo xtask jars`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!("{}", library(&arguments.version)?.lib.display());
    Ok(())
}

/// The jars of one version of Kafka.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    /// All jars that clients, tools and brokers need; with slf4j-nop as the logger.
    pub(crate) lib: PathBuf,
    /// The logger of a broker.
    logging: PathBuf,
    /// Kafka's version.
    pub(crate) version: String,
    /// Classes of ours that its brokers need.
    classes: Option<PathBuf>,
}

impl Library {
    fn in_folder(folder: &Path, version: &str) -> Self {
        Self {
            lib: folder.join("lib"),
            logging: folder.join("logging"),
            version: version.to_owned(),
            classes: None,
        }
    }

    /// The same with classes of ours for its brokers.
    pub(crate) fn with_classes(self, classes: PathBuf) -> Self {
        Self {
            classes: Some(classes),
            ..self
        }
    }

    /// The class path of tools and clients, as Java wants it (Java expands the `*`, not a shell).
    pub(crate) fn class_path(&self) -> String {
        self.lib.join("*").to_string_lossy().into_owned()
    }

    /// The class path of a broker: as that of the tools, but with a logger that writes to standard error.
    pub(crate) fn broker_class_path(&self) -> anyhow::Result<String> {
        let mut jars = vec![self.logging.join("*").to_string_lossy().into_owned()];
        for jar in jars_in(&self.lib)? {
            if !file_name(&jar).starts_with("slf4j-nop-") {
                jars.push(jar.to_string_lossy().into_owned());
            }
        }
        let classes = self.classes.iter();
        jars.extend(classes.map(|folder| folder.to_string_lossy().into_owned()));
        Ok(jars.join(":"))
    }

    /// Whether this is version `major`.`minor` or newer.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        release(&self.version) >= (major, minor)
    }

    /// The one jar of the artifact `name`, as `kafka-clients`.
    pub(crate) fn jar(&self, name: &str) -> anyhow::Result<PathBuf> {
        let jar = self.lib.join(format!("{name}-{}.jar", self.version));
        if !jar.is_file() {
            bail!(
                "{} is not there: remove {} to fetch it again",
                jar.display(),
                self.lib.display()
            );
        }
        Ok(jar)
    }
}

/// The first two numbers of a version.
pub(crate) fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The jars of Kafka `version`, fetched if they are not in the cache yet.
pub(crate) fn library(version: &str) -> anyhow::Result<Library> {
    let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if version.is_empty() || version.starts_with('.') || !version.chars().all(well_formed) {
        bail!("`{version}` is not a version of Kafka");
    }
    let all = project::cache().join("kafka");
    let folder = all.join(version);
    let pom = pom(version);
    if is_complete(&folder, pom) {
        return Ok(Library::in_folder(&folder, version));
    }
    // Several commands may find the jars missing at once: each fetches into a folder of its own, the first one's stays.
    let fetched = all.join(format!(".{version}.{}", process::id()));
    remove(&fetched)?;
    let result = fetch(version, pom, &fetched).and_then(|()| put_in_place(&fetched, &folder, pom));
    remove(&fetched)?;
    result.with_context(|| format!("cannot fetch Kafka {version}"))?;
    Ok(Library::in_folder(&folder, version))
}

/// What Maven is asked for `version`.
fn pom(version: &str) -> &'static str {
    if release(version) < (2, 4) { OLD_POM } else { POM }
}

fn is_complete(folder: &Path, pom: &str) -> bool {
    fs::read_to_string(folder.join(MARKER)).is_ok_and(|marker| marker == pom)
}

/// Fetches the jars of `version` into `folder`, and marks it as complete.
fn fetch(version: &str, pom: &str, folder: &Path) -> anyhow::Result<()> {
    require_maven()?;
    eprintln!("fetching the jars of Kafka {version}");
    let (lib, logging) = (folder.join("lib"), folder.join("logging"));
    fs::create_dir_all(&lib).with_context(|| format!("cannot create {}", lib.display()))?;
    fs::create_dir_all(&logging)?;
    fs::write(folder.join("pom.xml"), pom)?;
    run_maven(
        Command::new("mvn")
            .args(["-q", "-B", "-Dstyle.color=never", "dependency:copy-dependencies"])
            .arg(format!("-Dkafka.version={version}"))
            .arg(format!("-DoutputDirectory={}", lib.display()))
            .current_dir(folder),
    )?;
    for jar in jars_in(&lib)? {
        if file_name(&jar).starts_with(BROKER_LOGGER) {
            fs::rename(&jar, logging.join(file_name(&jar)))?;
        }
    }
    Library::in_folder(folder, version).jar("kafka-clients")?;
    fs::write(folder.join(MARKER), pom)?;
    Ok(())
}

fn require_maven() -> anyhow::Result<()> {
    match Command::new("mvn").arg("-v").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => bail!(
            "`mvn -v` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("Maven is not installed: `mvn` is not in the PATH (Debian: apt-get install maven)")
        }
        Err(error) => Err(error).context("cannot run `mvn`"),
    }
}

fn run_maven(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot run `mvn`")?;
    if !output.status.success() {
        // Its first error says what is wrong; the others are advice about Maven.
        let said = String::from_utf8_lossy(&output.stdout);
        let error = said.split_once("[ERROR] ").map_or(&*said, |(_, error)| error);
        bail!(
            "mvn: {}",
            error
                .lines()
                .next()
                .unwrap_or("no reason given")
                .trim_end_matches(" -> [Help 1]")
        );
    }
    Ok(())
}

/// Gives `fetched` its final name, unless another process was faster.
fn put_in_place(fetched: &Path, folder: &Path, pom: &str) -> anyhow::Result<()> {
    if is_complete(folder, pom) {
        return Ok(());
    }
    // What another pom left there. Who still runs from it keeps its open jars.
    remove(folder)?;
    match fs::rename(fetched, folder) {
        Err(_) if is_complete(folder, pom) => Ok(()),
        result => result.with_context(|| format!("cannot write {}", folder.display())),
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The jars in `folder`, by name: a class path must not depend on the order of a directory.
fn jars_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut jars = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jar") {
            jars.push(path);
        }
    }
    jars.sort();
    Ok(jars)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_no_folder_elsewhere() {
        for version in ["", "../4.3.1", ".4", "4.3.1/..", "4 3"] {
            let error = library(version).expect_err("refused").to_string();
            assert!(error.contains("is not a version of Kafka"), "{version}: {error}");
        }
    }

    #[test]
    fn only_a_folder_of_this_pom_is_complete() {
        let folder = std::env::temp_dir().join(format!("ottla-maven-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        assert!(!is_complete(&folder, POM));
        fs::write(folder.join(MARKER), "<project/>").expect("a marker");
        assert!(!is_complete(&folder, POM));
        fs::write(folder.join(MARKER), POM).expect("a marker");
        assert!(is_complete(&folder, POM));
        assert!(!is_complete(&folder, OLD_POM));
        remove(&folder).expect("removed");
    }
}
