//! Whether a reader can read what a writer wrote: Avro's rules of schema resolution.

use super::schema::{Graph, Index, Node, Record, Symbols, short};
use hashbrown::HashSet;

/// Differences that are told; one would be enough to refuse.
const DIFFERENCES_MAX: usize = 20;

/// Why not; empty if it can.
pub(super) fn incompatibilities(reader: &Graph, writer: &Graph) -> Vec<String> {
    let mut check = Check {
        reader,
        writer,
        seen: HashSet::default(),
    };
    let mut differences = Vec::new();
    check.pair(reader.root, writer.root, "", &mut differences);
    differences.truncate(DIFFERENCES_MAX);
    differences
}

struct Check<'a> {
    reader: &'a Graph,
    writer: &'a Graph,
    /// Pairs that were or are being looked at: types may hold themselves.
    seen: HashSet<(Index, Index), foldhash::fast::FixedState>,
}

impl Check<'_> {
    fn fits(&mut self, reader: Index, writer: Index) -> bool {
        let mut differences = Vec::new();
        // A pair that is tried as a branch must not count as seen afterwards: there it may have been found wanting.
        let seen = self.seen.clone();
        self.pair(reader, writer, "", &mut differences);
        if !differences.is_empty() {
            self.seen = seen;
        }
        differences.is_empty()
    }

    fn pair(&mut self, reader: Index, writer: Index, path: &str, differences: &mut Vec<String>) {
        if !self.seen.insert((reader, writer)) || differences.len() >= DIFFERENCES_MAX {
            return;
        }
        let (reads, writes) = (self.reader.node(reader), self.writer.node(writer));
        let mut differ = |what: String| differences.push(format!("{}: {what}", place(path)));
        match (reads, writes) {
            (_, Node::Union(branches)) => {
                // Whatever branch was written, it must be readable.
                for branch in branches {
                    let name = self.writer.node(*branch).name();
                    if !self.fits(reader, *branch) {
                        differ(format!(
                            "the writer's union has {name}, which the reader cannot read"
                        ));
                    }
                }
            }
            (Node::Union(branches), _) => {
                if !branches.iter().any(|branch| self.fits(*branch, writer)) {
                    differ(format!("the reader's union lacks the writer's {}", writes.name()));
                }
            }
            (Node::Array(reads), Node::Array(writes)) => {
                self.pair(*reads, *writes, &format!("{path}/items"), differences);
            }
            (Node::Map(reads), Node::Map(writes)) => {
                self.pair(*reads, *writes, &format!("{path}/values"), differences);
            }
            (Node::Fixed(reads), Node::Fixed(writes)) => {
                if !same_name(&reads.name, &reads.aliases, &writes.name) {
                    differ(format!("the name is {}, expected {}", reads.name, writes.name));
                } else if reads.size != writes.size {
                    differ(format!("the size is {}, expected {}", reads.size, writes.size));
                }
            }
            (Node::Enum(reads), Node::Enum(writes)) => {
                if let Some(difference) = symbols(reads, writes) {
                    differ(difference);
                }
            }
            (Node::Record(reads), Node::Record(writes)) => self.records(reads, writes, path, differences),
            _ if promotes(reads, writes) => {}
            _ => differ(format!(
                "the reader has {}, the writer {}",
                reads.name(),
                writes.name()
            )),
        }
    }

    fn records(&mut self, reads: &Record, writes: &Record, path: &str, differences: &mut Vec<String>) {
        if !same_name(&reads.name, &reads.aliases, &writes.name) {
            differences.push(format!(
                "{}: the name is {}, expected {}",
                place(path),
                reads.name,
                writes.name
            ));
            return;
        }
        for field in &reads.fields {
            let path = format!("{path}/{}", field.name);
            let written = writes
                .fields
                .iter()
                .find(|written| written.name == field.name)
                .or_else(|| {
                    writes
                        .fields
                        .iter()
                        .find(|written| field.aliases.contains(&written.name))
                });
            match written {
                Some(written) => self.pair(field.node, written.node, &path, differences),
                None if field.default.is_some() => {}
                None => differences.push(format!(
                    "{}: the reader's field is not written, and has no default",
                    place(&path)
                )),
            }
        }
    }
}

fn symbols(reads: &Symbols, writes: &Symbols) -> Option<String> {
    if !same_name(&reads.name, &reads.aliases, &writes.name) {
        return Some(format!("the name is {}, expected {}", reads.name, writes.name));
    }
    if reads.default.is_some() {
        return None;
    }
    let missing: Vec<_> = writes
        .symbols
        .iter()
        .filter(|symbol| !reads.symbols.contains(symbol))
        .map(String::as_str)
        .collect();
    (!missing.is_empty()).then(|| format!("the reader lacks the symbols {}", missing.join(", ")))
}

/// Java compares names without their namespaces.
fn same_name(reader: &str, aliases: &[String], writer: &str) -> bool {
    short(reader) == short(writer) || aliases.iter().any(|alias| alias == writer)
}

/// Whether the reader takes the writer's type for its own.
fn promotes(reads: &Node, writes: &Node) -> bool {
    reads == writes
        || matches!(
            (reads, writes),
            (Node::Long, Node::Int)
                | (Node::Float, Node::Int | Node::Long)
                | (Node::Double, Node::Int | Node::Long | Node::Float)
                | (Node::Bytes, Node::String)
                | (Node::String, Node::Bytes)
        )
}

fn place(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}
