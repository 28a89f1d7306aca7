//! From JSON to the graph.

use super::default;
use super::schema::{Field, Fixed, Graph, Index, Node, Record, Symbols};
use crate::{ErrorKind, SerializeError};
use hashbrown::HashMap;
use serde_json::{Map, Value};

/// A schema has a few KiB; registries hand out some of hundreds.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Types inside of types; serde_json's own limit is near.
const DEPTH_MAX: usize = 60;
const NODES_MAX: usize = 50_000;

pub(super) fn parse(text: &str, others: &[&str]) -> Result<Graph, SerializeError> {
    let mut parser = Parser::default();
    for other in others {
        parser.document(other)?;
    }
    parser.graph.root = parser.document(text)?;
    parser.defaults()?;
    Ok(parser.graph)
}

#[derive(Default)]
struct Parser {
    graph: Graph,
    names: HashMap<String, Index, foldhash::fast::FixedState>,
    /// Fields whose default is still JSON: record, field, value.
    defaults: Vec<(Index, usize, Value)>,
}

fn wrong(message: impl Into<String>) -> SerializeError {
    SerializeError::new(ErrorKind::Schema, format!("Avro schema: {}", message.into()))
}

impl Parser {
    fn document(&mut self, text: &str) -> Result<Index, SerializeError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong(format!("larger than {TEXT_BYTES_MAX} bytes")));
        }
        let json: Value = match serde_json::from_str(text) {
            Ok(json) => json,
            // A lone primitive may stand without quotation marks, as Java's parser takes it.
            Err(_) if primitive(text.trim()).is_some() => Value::String(text.trim().to_owned()),
            Err(error) => return Err(wrong(error.to_string())),
        };
        self.schema(&json, "", 0)
    }

    fn add(&mut self, node: Node) -> Result<Index, SerializeError> {
        if self.graph.nodes.len() >= NODES_MAX {
            return Err(wrong(format!("more than {NODES_MAX} types")));
        }
        self.graph.nodes.push(node);
        // NODES_MAX is far below 2^32.
        Ok((self.graph.nodes.len() - 1) as Index)
    }

    fn schema(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<Index, SerializeError> {
        if depth > DEPTH_MAX {
            return Err(wrong(format!("types are nested deeper than {DEPTH_MAX}")));
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => self.union(branches, namespace, depth),
            Value::Object(object) => self.object(object, namespace, depth),
            other => Err(wrong(format!(
                "a type is a name, an object or an array, not {other}"
            ))),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<Index, SerializeError> {
        if let Some(node) = primitive(name) {
            return self.add(node);
        }
        let full = full_name(name, namespace);
        match self.names.get(&full).or_else(|| self.names.get(name)) {
            Some(index) => Ok(*index),
            None => Err(wrong(format!(
                "unknown type {full:?}; types of other schemas need a reference"
            ))),
        }
    }

    fn union(&mut self, branches: &[Value], namespace: &str, depth: usize) -> Result<Index, SerializeError> {
        let mut indexes = Vec::with_capacity(branches.len());
        for branch in branches {
            let index = self.schema(branch, namespace, depth + 1)?;
            let node = self.graph.node(index);
            if matches!(node, Node::Union(_)) {
                return Err(wrong("a union is directly in a union"));
            }
            let is_twice = |earlier: &Index| {
                *earlier == index
                    || !matches!(node, Node::Pending) && self.graph.node(*earlier).name() == node.name()
            };
            if indexes.iter().any(is_twice) {
                return Err(wrong(format!("a union has two of {}", node.name())));
            }
            indexes.push(index);
        }
        self.add(Node::Union(indexes))
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<Index, SerializeError> {
        let kind = object
            .get("type")
            .ok_or_else(|| wrong("an object has no \"type\""))?;
        let Value::String(kind) = kind else {
            return self.schema(kind, namespace, depth + 1);
        };
        match kind.as_str() {
            "record" | "error" => self.record(object, namespace, depth),
            "enum" => self.symbols(object, namespace),
            "fixed" => self.fixed(object, namespace),
            "array" => {
                let items = self.inner(object, "items", namespace, depth)?;
                self.add(Node::Array(items))
            }
            "map" => {
                let values = self.inner(object, "values", namespace, depth)?;
                self.add(Node::Map(values))
            }
            name => self.named(name, namespace),
        }
    }

    fn inner(
        &mut self,
        object: &Map<String, Value>,
        key: &str,
        namespace: &str,
        depth: usize,
    ) -> Result<Index, SerializeError> {
        let json = object
            .get(key)
            .ok_or_else(|| wrong(format!("an object has no {key:?}")))?;
        self.schema(json, namespace, depth + 1)
    }

    /// A place for a named type, which what is inside of it may name.
    fn declare(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
    ) -> Result<(Index, String, Vec<String>), SerializeError> {
        let name = text(object, "name")?.ok_or_else(|| wrong("a named type has no \"name\""))?;
        let namespace = match text(object, "namespace")? {
            Some(own) => own,
            None => namespace,
        };
        let full = full_name(name, namespace);
        if !full.split('.').all(is_name) || primitive(&full).is_some() {
            return Err(wrong(format!("{full:?} is no name for a type")));
        }
        let index = self.add(Node::Pending)?;
        if self.names.insert(full.clone(), index).is_some() {
            return Err(wrong(format!("{full:?} is defined twice")));
        }
        let own_namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let aliases = texts(object, "aliases")?;
        let aliases = aliases
            .iter()
            .map(|alias| full_name(alias, own_namespace))
            .collect();
        Ok((index, full, aliases))
    }

    fn finish(&mut self, index: Index, node: Node) -> Index {
        self.graph.nodes[index as usize] = node;
        index
    }

    fn fixed(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Index, SerializeError> {
        let (index, name, aliases) = self.declare(object, namespace)?;
        let size = object.get("size").and_then(Value::as_u64);
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size <= i32::MAX as usize);
        let size = size.ok_or_else(|| wrong(format!("{name}: a fixed has a size")))?;
        Ok(self.finish(index, Node::Fixed(Fixed { name, aliases, size })))
    }

    fn symbols(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Index, SerializeError> {
        let (index, name, aliases) = self.declare(object, namespace)?;
        let symbols = texts(object, "symbols")?;
        for (at, symbol) in symbols.iter().enumerate() {
            if !is_name(symbol) || symbols[..at].contains(symbol) {
                return Err(wrong(format!(
                    "{name}: the symbol {symbol:?} is no name, or is twice"
                )));
            }
        }
        let default = text(object, "default")?.map(str::to_owned);
        if default.as_ref().is_some_and(|default| !symbols.contains(default)) {
            return Err(wrong(format!("{name}: the default is none of the symbols")));
        }
        let node = Node::Enum(Symbols {
            name,
            aliases,
            symbols,
            default,
        });
        Ok(self.finish(index, node))
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<Index, SerializeError> {
        let (index, name, aliases) = self.declare(object, namespace)?;
        let namespace = name
            .rsplit_once('.')
            .map_or("", |(namespace, _)| namespace)
            .to_owned();
        let list = object.get("fields").and_then(Value::as_array);
        let list = list.ok_or_else(|| wrong(format!("{name}: a record has \"fields\"")))?;
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        for json in list {
            let object = json
                .as_object()
                .ok_or_else(|| wrong(format!("{name}: a field is an object")))?;
            let field = text(object, "name")?.filter(|field| is_name(field));
            let field = field.ok_or_else(|| wrong(format!("{name}: a field has no proper name")))?;
            if fields.iter().any(|earlier| earlier.name == field) {
                return Err(wrong(format!("{name}: the field {field} is there twice")));
            }
            let node = self.inner(object, "type", &namespace, depth).map_err(|error| {
                let path = match error.field() {
                    Some(inner) => format!("{field}.{inner}"),
                    None => field.to_owned(),
                };
                error.with_field(path)
            })?;
            if let Some(default) = object.get("default") {
                self.defaults.push((index, fields.len(), default.clone()));
            }
            fields.push(Field {
                name: field.to_owned(),
                aliases: texts(object, "aliases")?,
                node,
                default: None,
                absent: None,
            });
        }
        let node = Node::Record(Record {
            name,
            aliases,
            fields,
        });
        Ok(self.finish(index, node))
    }

    /// Defaults become bytes only when all types are known.
    fn defaults(&mut self) -> Result<(), SerializeError> {
        // A default of a record may leave out fields that have a default of their own, so those that need nothing go
        // first; each round settles at least one, or none is left that can be.
        let mut pending = std::mem::take(&mut self.defaults);
        while !pending.is_empty() {
            let mut left = Vec::new();
            let mut failure = None;
            let before = pending.len();
            for (record, field, json) in pending {
                let Node::Record(found) = self.graph.node(record) else {
                    continue;
                };
                let mut bytes = Vec::new();
                match default::write(&self.graph, found.fields[field].node, &json, &mut bytes) {
                    Ok(()) => {
                        if let Node::Record(found) = &mut self.graph.nodes[record as usize] {
                            found.fields[field].default = Some(bytes);
                        }
                    }
                    Err(message) => {
                        let path = format!("{}.{}", found.name, found.fields[field].name);
                        failure.get_or_insert_with(|| wrong(format!("default: {message}")).with_field(path));
                        left.push((record, field, json));
                    }
                }
            }
            match failure {
                Some(failure) if left.len() == before => return Err(failure),
                _ => pending = left,
            }
        }
        for index in 0..self.graph.nodes.len() {
            let absent = |node: &Node| match node {
                Node::Record(record) => record
                    .fields
                    .iter()
                    .map(|field| self.absent(field.node))
                    .collect(),
                _ => Vec::new(),
            };
            let absent: Vec<_> = absent(&self.graph.nodes[index]);
            if let Node::Record(record) = &mut self.graph.nodes[index] {
                for (field, absent) in record.fields.iter_mut().zip(absent) {
                    field.absent = absent;
                }
            }
        }
        Ok(())
    }

    fn absent(&self, node: Index) -> Option<Vec<u8>> {
        match self.graph.node(node) {
            Node::Null => Some(Vec::new()),
            Node::Union(branches) => {
                let null = |branch: &Index| *self.graph.node(*branch) == Node::Null;
                let position = branches.iter().position(null)?;
                let mut bytes = Vec::new();
                super::encode::long(position as i64, &mut bytes);
                Some(bytes)
            }
            _ => None,
        }
    }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn is_name(name: &str) -> bool {
    let first = |char: char| char.is_ascii_alphabetic() || char == '_';
    name.starts_with(first) && name.chars().all(|char| first(char) || char.is_ascii_digit())
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, SerializeError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(format!("{key:?} is text, not {other}"))),
    }
}

fn texts(object: &Map<String, Value>, key: &str) -> Result<Vec<String>, SerializeError> {
    let list = match object.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong(format!("{key:?} is a list of texts, not {other}"))),
    };
    list.iter()
        .map(|text| {
            text.as_str()
                .map(str::to_owned)
                .ok_or_else(|| wrong(format!("{key:?} holds {text}")))
        })
        .collect()
}
