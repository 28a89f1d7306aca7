//! Whether what the pages in Markdown link to is there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::project;

/// Folders below the root that hold no pages of ours.
const NOT_OURS: &[&str] = &["target", "corpus"];

/// Looks at every page of the repository; links to the web are not followed.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    let pages = pages(&project::root())?;
    for page in &pages {
        let text = fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
        let folder = page.parent().unwrap_or(Path::new("."));
        let missing = targets(&text).filter(|target| !folder.join(target).exists());
        faults.extend(missing.map(|target| format!("{}: there is no {target}", page.display())));
    }
    if pages.is_empty() || !faults.is_empty() {
        bail!("{} pages; {}", pages.len(), faults.join("\n  "));
    }
    Ok(())
}

fn pages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with('.') || NOT_OURS.contains(&name) {
            continue;
        }
        if path.is_dir() {
            found.extend(pages(&path)?);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    Ok(found)
}

/// What `](…)` names, without the part of a page, and without what is no file.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0;
        let file = target.split('#').next()?;
        (!file.is_empty() && !file.contains("://")).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_addresses_and_parts() {
        let text = "[a](b.md), [c](https://d), [e](#f) ![g](h.svg) [i](../j.md#k)\n`x[0](y`";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["b.md", "h.svg", "../j.md"]);
    }
}
