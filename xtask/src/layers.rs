//! `cargo xtask layers`: proves that the crates depend on each other as the design says, and on nothing that does I/O
//! where they must not.
//!
//! [`LAYERS`] is the one table of what is allowed. Each crate is looked at alone: a build of the whole workspace unites
//! the features of its members, and would hide that one of them pulls in a runtime.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::metadata::{Kind, Package, Workspace};
use crate::project;

/// How far a crate keeps away from I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Io {
    /// None, under any of its features.
    Never,
    /// Only behind its default features.
    ByDefault,
    /// It is there to do I/O.
    Free,
}

/// One crate's place.
struct Layer {
    package: &'static str,
    /// What it may depend on; arrows point down only.
    may_use: &'static [&'static str],
    /// What its tests may use beside that.
    tests_may_use: &'static [&'static str],
    io: Io,
}

/// Every crate of ours, from the bottom up; what a crate may use stands above it.
const LAYERS: &[Layer] = &[
    Layer {
        package: "ottla-time",
        may_use: &[],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-metrics",
        may_use: &["ottla-time"],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-protocol",
        may_use: &[],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-formats",
        may_use: &[],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-partitioning",
        may_use: &[],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-serialization",
        may_use: &["ottla-time"],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-accumulator",
        may_use: &["ottla-protocol", "ottla-time"],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-transactions",
        may_use: &["ottla-protocol", "ottla-time"],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-network",
        may_use: &["ottla-metrics", "ottla-protocol", "ottla-time"],
        tests_may_use: &[],
        io: Io::ByDefault,
    },
    Layer {
        package: "ottla-broker",
        may_use: &["ottla-protocol", "ottla-time"],
        tests_may_use: &[],
        io: Io::ByDefault,
    },
    Layer {
        package: "ottla-sender",
        may_use: &[
            "ottla-accumulator",
            "ottla-metrics",
            "ottla-partitioning",
            "ottla-protocol",
            "ottla-time",
            "ottla-transactions",
        ],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla",
        may_use: &[
            "ottla-accumulator",
            "ottla-metrics",
            "ottla-network",
            "ottla-partitioning",
            "ottla-protocol",
            "ottla-sender",
            "ottla-serialization",
            "ottla-time",
            "ottla-transactions",
        ],
        tests_may_use: &["ottla-broker"],
        io: Io::Free,
    },
    Layer {
        package: "ottla-simulation",
        may_use: &[
            "ottla-accumulator",
            "ottla-broker",
            "ottla-network",
            "ottla-partitioning",
            "ottla-protocol",
            "ottla-sender",
            "ottla-time",
            "ottla-transactions",
        ],
        tests_may_use: &[],
        io: Io::Never,
    },
    Layer {
        package: "ottla-cli",
        may_use: &["ottla", "ottla-broker", "ottla-formats", "ottla-time"],
        tests_may_use: &[],
        io: Io::Free,
    },
    Layer {
        package: "xtask",
        may_use: &["ottla-protocol", "ottla-simulation", "ottla-time"],
        tests_may_use: &[],
        io: Io::Free,
    },
    Layer {
        package: "ottla-portable",
        may_use: &["ottla"],
        tests_may_use: &[],
        io: Io::Free,
    },
    Layer {
        package: "ottla-benches",
        may_use: &[
            "ottla",
            "ottla-accumulator",
            "ottla-broker",
            "ottla-network",
            "ottla-partitioning",
            "ottla-protocol",
            "ottla-sender",
            "ottla-serialization",
            "ottla-time",
            "ottla-transactions",
        ],
        tests_may_use: &[],
        io: Io::Free,
    },
];

/// Packages that do I/O, or exist only to do it. `rustix`, `libc` and `getrandom` are not among them: memory maps,
/// hashes and seeds need those too.
const IO_PACKAGES: &[&str] = &[
    "async-io",
    "async-std",
    "h2",
    "hyper",
    "mio",
    "polling",
    "quinn",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tokio-util",
];

/// What clippy forbids where there is no I/O; the packages link to it.
const CLIPPY_WITHOUT_IO: &str = "crates/clippy-without-io.toml";

/// `cargo xtask layers`.
pub(crate) fn run() -> anyhow::Result<()> {
    let workspace = Workspace::load()?;
    let mut faults = edge_faults(&workspace);
    for package in &workspace.packages {
        let Some(layer) = layer(&package.name) else {
            continue;
        };
        faults.extend(io_faults(layer)?);
        faults.extend(clippy_faults(layer, package)?);
    }
    if !faults.is_empty() {
        bail!("the layers are broken:\n  {}", faults.join("\n  "));
    }
    println!(
        "layers: {} crates, all arrows point down",
        workspace.packages.len()
    );
    Ok(())
}

fn layer(package: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.package == package)
}

/// Edges between our crates that the table does not allow.
fn edge_faults(workspace: &Workspace) -> Vec<String> {
    let ours: BTreeSet<&str> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let Some(layer) = layer(&package.name) else {
            faults.push(format!(
                "{} has no place in the table of xtask/src/layers.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if !ours.contains(name) || name == package.name {
                continue;
            }
            let in_tests = dependency.kind == Kind::Development && layer.tests_may_use.contains(&name);
            if !layer.may_use.contains(&name) && !in_tests {
                faults.push(format!(
                    "{} must not depend on {name} ({:?} dependency)",
                    package.name, dependency.kind
                ));
            }
            // A default feature named here would bring the I/O back that `--no-default-features` leaves out below.
            let brings_io = self::layer(name).is_some_and(|used| used.io == Io::ByDefault);
            if layer.io != Io::Free && brings_io && dependency.uses_default_features {
                faults.push(format!(
                    "{} must use {name} without default features",
                    package.name
                ));
            }
        }
    }
    faults
}

/// I/O that the crate can reach and must not.
fn io_faults(layer: &Layer) -> anyhow::Result<Vec<String>> {
    let features = match layer.io {
        Io::Never => "--all-features",
        Io::ByDefault => "--no-default-features",
        Io::Free => return Ok(Vec::new()),
    };
    let tree = project::output(project::cargo().args([
        "tree",
        "--package",
        layer.package,
        features,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    Ok(io_packages(&tree)
        .map(|package| format!("{package} is reachable from {} ({features})", layer.package))
        .collect())
}

/// The packages of [`IO_PACKAGES`] in what `cargo tree` printed, each once.
fn io_packages(tree: &str) -> impl Iterator<Item = &str> {
    let found: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    found.into_iter().filter(|name| IO_PACKAGES.contains(name))
}

/// A crate without I/O has clippy's list of what it may not use.
fn clippy_faults(layer: &Layer, package: &Package) -> anyhow::Result<Option<String>> {
    if layer.io == Io::Free {
        return Ok(None);
    }
    let list = project::root().join(CLIPPY_WITHOUT_IO);
    let list = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let folder = package.manifest_path.parent().unwrap_or_else(|| Path::new("."));
    if fs::read_to_string(folder.join("clippy.toml")).is_ok_and(|own| own == list) {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} has no link to clippy's list: ln -s ../clippy-without-io.toml {}",
        layer.package,
        folder.join("clippy.toml").display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn workspace(edges: &[(&str, &str, Kind, bool)]) -> Workspace {
        let names: BTreeSet<&str> = edges.iter().flat_map(|&(from, to, _, _)| [from, to]).collect();
        let packages = names.into_iter().map(|name| Package {
            name: name.to_owned(),
            dependencies: edges
                .iter()
                .filter(|&&(from, ..)| from == name)
                .map(|&(_, to, kind, uses_default_features)| Dependency {
                    name: to.to_owned(),
                    kind,
                    uses_default_features,
                })
                .collect(),
            ..Package::default()
        });
        Workspace {
            packages: packages.collect(),
        }
    }

    /// Nothing is `unsafe`, so Miri has nothing to find; who allows it brings runs of Miri along.
    #[test]
    fn every_package_forbids_unsafe() {
        let root = project::root();
        let read = |path: &Path| {
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        for workspace in ["Cargo.toml", "fuzz/Cargo.toml"] {
            let manifest = read(&root.join(workspace));
            assert!(manifest.contains("unsafe_code = \"forbid\""), "{workspace}");
        }
        let crates = fs::read_dir(root.join("crates")).expect("the crates");
        let crates = crates.map(|entry| entry.expect("a folder").path().join("Cargo.toml"));
        let others = ["benches", "xtask"].map(|name| root.join(name).join("Cargo.toml"));
        let manifests: Vec<_> = crates.filter(|path| path.exists()).chain(others).collect();
        assert!(manifests.len() > 10);
        for manifest in manifests {
            let text = read(&manifest);
            assert!(
                text.contains("[lints]\nworkspace = true\n"),
                "{}",
                manifest.display()
            );
        }
    }

    #[test]
    fn the_table_points_down_only() {
        for (index, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use {
                let below = LAYERS[..index].iter().any(|lower| lower.package == *used);
                assert!(
                    below,
                    "{} may use {used}, which does not stand above it in the table",
                    layer.package
                );
            }
        }
    }

    #[test]
    fn an_edge_of_the_table_is_allowed() {
        let edges = [("ottla-sender", "ottla-protocol", Kind::Normal, true)];
        assert_eq!(edge_faults(&workspace(&edges)), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_is_a_fault_in_tests_too() {
        for kind in [Kind::Normal, Kind::Build, Kind::Development] {
            let faults = edge_faults(&workspace(&[("ottla-protocol", "ottla-sender", kind, true)]));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(
                faults[0].starts_with("ottla-protocol must not depend on ottla-sender"),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn what_only_tests_may_use_is_a_fault_elsewhere() {
        let edge = |kind| workspace(&[("ottla", "ottla-broker", kind, true)]);
        assert_eq!(edge_faults(&edge(Kind::Development)), Vec::<String>::new());
        assert_eq!(edge_faults(&edge(Kind::Normal)).len(), 1);
    }

    #[test]
    fn the_simulation_uses_no_default_features_of_the_network() {
        let edge = |defaults| workspace(&[("ottla-simulation", "ottla-network", Kind::Normal, defaults)]);
        assert_eq!(edge_faults(&edge(false)), Vec::<String>::new());
        assert_eq!(edge_faults(&edge(true)).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_is_a_fault() {
        let faults = edge_faults(&workspace(&[("ottla-new", "ottla-time", Kind::Normal, true)]));
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with("ottla-new has no place")),
            "{faults:?}"
        );
    }

    #[test]
    fn io_is_found_by_whole_names() {
        let tree =
            "ottla-sender v0.1.0 (/x)\nbytes v1.0.0\ntokio v1.47.0\ntokio-macros v2.0.0\ntokio v1.47.0 (*)\n";
        assert_eq!(io_packages(tree).collect::<Vec<_>>(), ["tokio"]);
    }
}
