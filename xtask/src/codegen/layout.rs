//! How much memory a structure takes for the bytes that it takes on the wire.
//!
//! An array may cost a peer as little as its elements' least bytes; the memory that we give for an element is its size.
//! The worst ratio over all arrays of a message bounds what decoding it can allocate, because the reader makes nested
//! arrays share one budget (see `Reader`). The sizes here are a model of what rustc does on 64-bit machines; a test in
//! the crate compares it with the real sizes.

use std::collections::HashMap;

use super::schema::{Field, Schema, Struct, Type};
use super::versions::Versions;

/// Memory and alignment of a value.
#[derive(Debug, Clone, Copy)]
struct Layout {
    size: usize,
    align: usize,
}

const fn layout(size: usize, align: usize) -> Layout {
    Layout { size, align }
}

/// What a message's structures take.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    layouts: HashMap<String, (usize, usize)>,
    least: HashMap<String, usize>,
}

impl Sizes {
    pub(crate) fn of(schema: &Schema) -> Self {
        let mut sizes = Self::default();
        for structure in &schema.structs {
            let flexible = !schema.flexible.and(structure.domain).is_empty();
            let layout = sizes.memory(structure, flexible);
            sizes
                .layouts
                .insert(structure.name.clone(), (layout.size, layout.align));
            let least = sizes.least_bytes(structure, schema.flexible);
            sizes.least.insert(structure.name.clone(), least);
        }
        sizes
    }

    /// The size of a structure in memory.
    pub(crate) fn size(&self, name: &str) -> usize {
        self.layouts.get(name).map_or(0, |layout| layout.0)
    }

    /// The fewest bytes that a structure takes on the wire, over all its versions.
    pub(crate) fn least(&self, name: &str) -> usize {
        self.least.get(name).copied().unwrap_or(0)
    }

    /// The worst ratio of memory to wire bytes of the arrays in the message, and which array it is.
    pub(crate) fn worst(&self, schema: &Schema) -> (f64, String) {
        let mut worst = (0.0, String::from("no arrays"));
        let mut consider = |memory: usize, wire: usize, what: String| {
            let ratio = memory as f64 / wire.max(1) as f64;
            if ratio > worst.0 {
                worst = (ratio, what);
            }
        };
        for structure in &schema.structs {
            for field in &structure.fields {
                let Type::Array(element) = &field.kind else {
                    continue;
                };
                let wire = field
                    .present
                    .iter()
                    .map(|version| {
                        self.least_of(element, field.flexible.contains(version), version, Versions::NONE)
                    })
                    .min();
                let what = format!("{}.{}", structure.name, field.name);
                consider(self.layout_of(element).size, wire.unwrap_or(1), what);
            }
        }
        if !schema.flexible.is_empty() {
            // An entry of `TaggedFields`, and the box that the first one brings.
            consider(40 + 24, 2, String::from("an unknown tagged field"));
        }
        worst
    }

    fn memory(&self, structure: &Struct, flexible: bool) -> Layout {
        let mut layouts: Vec<_> = structure
            .fields
            .iter()
            .map(|field| self.layout_of(&field.kind))
            .collect();
        if flexible {
            layouts.push(layout(8, 8));
        }
        let align = layouts.iter().map(|layout| layout.align).max().unwrap_or(1);
        let size: usize = layouts.iter().map(|layout| layout.size).sum();
        layout(size.next_multiple_of(align), align)
    }

    fn layout_of(&self, kind: &Type) -> Layout {
        match kind {
            Type::Bool | Type::Int8 => layout(1, 1),
            Type::Int16 | Type::Uint16 => layout(2, 2),
            Type::Int32 | Type::Uint32 => layout(4, 4),
            Type::Int64 | Type::Float64 => layout(8, 8),
            Type::Uuid => layout(16, 1),
            // None hides in a niche.
            Type::String | Type::Array(_) => layout(24, 8),
            Type::Bytes | Type::Records => layout(32, 8),
            // So here: structures that can be null have a string or an array.
            Type::Struct(name) => self
                .layouts
                .get(name)
                .map_or(layout(0, 1), |(size, align)| layout(*size, *align)),
        }
    }

    fn least_bytes(&self, structure: &Struct, flexible: Versions) -> usize {
        let of_version = |version| {
            let fields: usize = structure
                .fields
                .iter()
                .map(|field| self.least_of_field(field, version))
                .sum();
            fields + usize::from(flexible.contains(version))
        };
        structure.domain.iter().map(of_version).min().unwrap_or(0)
    }

    fn least_of_field(&self, field: &Field, version: i16) -> usize {
        if !field.present.contains(version) || field.tagged.contains(version) {
            return 0;
        }
        self.least_of(
            &field.kind,
            field.flexible.contains(version),
            version,
            field.nullable,
        )
    }

    fn least_of(&self, kind: &Type, flexible: bool, version: i16, nullable: Versions) -> usize {
        match kind {
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            Type::String => {
                if flexible {
                    1
                } else {
                    2
                }
            }
            Type::Bytes | Type::Records | Type::Array(_) => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(_) if nullable.contains(version) => 1,
            Type::Struct(name) => self.least(name),
        }
    }
}
