//! A schema as a graph: named types may name themselves.

use super::{AvroValue, decode, encode, parse};
use crate::SerializeError;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A parsed Avro schema. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct AvroSchema {
    pub(super) graph: Arc<Graph>,
}

impl AvroSchema {
    /// Reads a schema from its JSON.
    ///
    /// # Errors
    /// It is no schema, or larger than 1 MiB.
    pub fn parse(text: &str) -> Result<AvroSchema, SerializeError> {
        AvroSchema::parse_with(text, &[])
    }

    /// Reads a schema that names types of others: those come first, in the order in which they need each other.
    ///
    /// # Errors
    /// One of them is no schema, or larger than 1 MiB.
    pub fn parse_with(text: &str, others: &[&str]) -> Result<AvroSchema, SerializeError> {
        let graph = Arc::new(parse::parse(text, others)?);
        Ok(AvroSchema { graph })
    }

    /// The full name, if the schema is a record, an enum or a fixed.
    pub fn name(&self) -> Option<&str> {
        match self.graph.node(self.graph.root) {
            Node::Record(record) => Some(&record.name),
            Node::Enum(symbols) => Some(&symbols.name),
            Node::Fixed(fixed) => Some(&fixed.name),
            _ => None,
        }
    }

    /// Appends the value's bytes.
    ///
    /// # Errors
    /// The value does not fit; the error names the field. What was appended is to be thrown away.
    pub fn write<T: Serialize + ?Sized>(&self, value: &T, bytes: &mut Vec<u8>) -> Result<(), SerializeError> {
        encode::write(&self.graph, value, bytes)
    }

    /// Reads a value that was written with this schema.
    ///
    /// # Errors
    /// The bytes are no such value, or more than one.
    pub fn read(&self, bytes: &[u8]) -> Result<AvroValue, SerializeError> {
        decode::read(&self.graph, bytes)
    }

    /// Why a reader with this schema cannot read what `writer` wrote; nothing if it can (Avro's schema resolution).
    pub fn incompatibilities(&self, writer: &AvroSchema) -> Vec<String> {
        super::compatibility::incompatibilities(&self.graph, &writer.graph)
    }
}

impl fmt::Debug for AvroSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvroSchema")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// A node's number in its graph.
pub(super) type Index = u32;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Index,
}

impl Graph {
    #[inline]
    pub(super) fn node(&self, index: Index) -> &Node {
        // Indexes come from this graph's own parser, and nodes are never removed.
        &self.nodes[index as usize]
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(Fixed),
    Enum(Symbols),
    Array(Index),
    Map(Index),
    Union(Vec<Index>),
    Record(Record),
    /// A named type that is being read; none is left when the parser is done.
    Pending,
}

#[derive(Debug, PartialEq)]
pub(super) struct Fixed {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) size: usize,
}

#[derive(Debug, PartialEq)]
pub(super) struct Symbols {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) symbols: Vec<String>,
    pub(super) default: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) node: Index,
    /// The bytes of the default.
    pub(super) default: Option<Vec<u8>>,
    /// What is written when the field is missing and has no default: null, where the type has one.
    pub(super) absent: Option<Vec<u8>>,
}

impl Node {
    /// The full name of a named type, and the type's name of others: what tells the branches of a union apart.
    pub(super) fn name(&self) -> &str {
        match self {
            Node::Null => "null",
            Node::Boolean => "boolean",
            Node::Int => "int",
            Node::Long => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Bytes => "bytes",
            Node::String => "string",
            Node::Fixed(fixed) => &fixed.name,
            Node::Enum(symbols) => &symbols.name,
            Node::Array(_) => "array",
            Node::Map(_) => "map",
            Node::Union(_) => "union",
            Node::Record(record) => &record.name,
            Node::Pending => "unfinished",
        }
    }

    /// The name without its namespace.
    pub(super) fn short_name(&self) -> &str {
        short(self.name())
    }
}

/// A name without its namespace.
pub(super) fn short(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, short)| short)
}
