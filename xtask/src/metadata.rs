//! What `cargo metadata` says about the workspace, as far as anybody here asks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use crate::project;

/// The packages of the workspace, or of all that it is built from.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) manifest_path: PathBuf,
    /// The registries it may be published to: none at all for what stays here.
    #[serde(default)]
    pub(crate) publish: Option<Vec<String>>,
    /// The oldest compiler that it promises to build with.
    #[serde(default)]
    pub(crate) rust_version: Option<String>,
}

impl Package {
    /// Whether the package is for others.
    pub(crate) fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }
}

/// A line of a package's `Cargo.toml`.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    #[serde(deserialize_with = "kind")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) uses_default_features: bool,
}

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Development,
}

impl Workspace {
    /// The workspace's own packages.
    pub(crate) fn load() -> anyhow::Result<Self> {
        Self::parse(&["--no-deps"])
    }

    /// All packages that any member is built from, on any platform.
    pub(crate) fn load_with_dependencies() -> anyhow::Result<Self> {
        Self::parse(&[])
    }

    fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let text = project::output(
            project::cargo()
                .args(["metadata", "--format-version", "1"])
                .args(arguments),
        )?;
        serde_json::from_str(&text).context("cannot read what `cargo metadata` printed")
    }
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    Ok(match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("normal") => Kind::Normal,
        Some("build") => Kind::Build,
        Some(_) => Kind::Development,
    })
}
