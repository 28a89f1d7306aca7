//! Messages made from the schemas alone: random bytes that are valid, in the form that a writer gives them.
//!
//! This knows the protocol a second time, as a table and an interpreter of it, so that the generated code is not only
//! held against itself.

/// A range of versions, both ends included.
pub(crate) type Versions = (i16, i16);

/// No version.
pub(crate) const NONE: Versions = (0, -1);

#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) versions: Versions,
    pub(crate) flexible: Versions,
    /// The message's own structure is the last.
    pub(crate) structs: &'static [Struct],
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    present: Versions,
    tagged: Versions,
    tag: u32,
    nullable: Versions,
    flexible: Versions,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Structure(&'static str),
    Array(&'static Kind),
}

pub(crate) const fn field(
    name: &'static str,
    kind: Kind,
    present: Versions,
    tagged: Versions,
    tag: u32,
    nullable: Versions,
    flexible: Versions,
) -> Field {
    Field {
        name,
        kind,
        present,
        tagged,
        tag,
        nullable,
        flexible,
    }
}

fn contains(versions: Versions, version: i16) -> bool {
    versions.0 <= version && version <= versions.1
}

/// A small generator (splitmix64): the same seed gives the same messages everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, which is left out.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Writes one random message.
pub(crate) struct Maker<'a> {
    schema: &'a Schema,
    version: i16,
    random: &'a mut Random,
    out: Vec<u8>,
}

/// A random message of the version, as bytes.
pub(crate) fn make(schema: &Schema, version: i16, random: &mut Random) -> Vec<u8> {
    let mut maker = Maker {
        schema,
        version,
        random,
        out: Vec::new(),
    };
    maker.structure(schema.name, false);
    maker.out
}

impl Maker<'_> {
    /// With `set`, every value differs from every default, as is needed of what is tagged: defaults are not written.
    fn structure(&mut self, name: &str, set: bool) {
        let Some(structure) = self
            .schema
            .structs
            .iter()
            .find(|structure| structure.name == name)
        else {
            panic!("{name} is in the table");
        };
        let version = self.version;
        for field in structure.fields {
            if contains(field.present, version) && !contains(field.tagged, version) {
                self.value(&field.kind, field, set);
            }
        }
        if contains(self.schema.flexible, version) {
            self.tagged_fields(structure);
        }
    }

    fn tagged_fields(&mut self, structure: &Struct) {
        let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in structure.fields {
            if contains(field.tagged, self.version) && self.random.below(2) == 0 {
                let outer = std::mem::take(&mut self.out);
                self.value(&field.kind, field, true);
                fields.push((field.tag, std::mem::replace(&mut self.out, outer)));
            }
        }
        if self.random.below(8) == 0 {
            // Unknown ones, some with tags and contents that take more than a byte to count.
            for tag in [1000, 70_000].into_iter().take(1 + self.random.below(2)) {
                let length = [0, 3, 200][self.random.below(3)];
                fields.push((tag, (0..length).map(|_| self.random.next() as u8).collect()));
            }
        }
        fields.sort_by_key(|field| field.0);
        self.unsigned_varint(fields.len());
        for (tag, content) in fields {
            self.unsigned_varint(tag as usize);
            self.unsigned_varint(content.len());
            self.out.extend(content);
        }
    }

    fn value(&mut self, kind: &Kind, field: &Field, set: bool) {
        let version = self.version;
        let flexible = contains(field.flexible, version);
        let null = contains(field.nullable, version) && !set && self.random.below(3) == 0;
        match kind {
            Kind::Bool => self.number(1, true),
            Kind::Int8 => self.number(1, set),
            Kind::Int16 | Kind::Uint16 => self.number(2, set),
            Kind::Int32 => self.number(4, set),
            Kind::Int64 => self.number(8, set),
            Kind::Float64 => {
                let number = self.random.below(1_000_000) as f64 / 7.0;
                self.out.extend(number.to_be_bytes());
            }
            Kind::Uuid => self.number(16, set),
            Kind::String if null => self.out.extend(if flexible { &[0][..] } else { &[0xff; 2] }),
            Kind::String => self.text(flexible, set),
            Kind::Bytes | Kind::Records | Kind::Array(_) if null => {
                self.out.extend(if flexible { &[0][..] } else { &[0xff; 4] });
            }
            Kind::Bytes | Kind::Records => {
                let length = usize::from(set) + self.random.below(40);
                self.count(flexible, length);
                self.out.extend((0..length).map(|_| self.random.next() as u8));
            }
            Kind::Structure(_) if null => self.out.push(0xff),
            Kind::Structure(name) => {
                if contains(field.nullable, version) {
                    self.out.push(1);
                }
                self.structure(name, set);
            }
            Kind::Array(element) => {
                let length = usize::from(set) + self.random.below(4);
                self.count(flexible, length);
                for _ in 0..length {
                    self.element(element, field);
                }
            }
        }
    }

    fn element(&mut self, kind: &Kind, field: &Field) {
        match kind {
            // No element is null, whatever its array may be.
            Kind::Structure(name) => self.structure(name, false),
            Kind::String => self.text(contains(field.flexible, self.version), false),
            Kind::Array(_) | Kind::Bytes | Kind::Records | Kind::Bool => {
                panic!("{}: no schema has arrays of {kind:?}", field.name)
            }
            scalar => self.value(scalar, field, false),
        }
    }

    /// Small where it must not be a default: no schema has one of these.
    fn number(&mut self, bytes: usize, set: bool) {
        let start = self.out.len();
        if set || self.random.below(4) == 0 {
            self.out.resize(start + bytes - 1, 0);
            // A boolean that is true is 1 when it is written again, and no default is 1 where it matters.
            let small = if bytes == 1 {
                1
            } else {
                1 + self.random.below(100) as u8
            };
            self.out.push(small);
        } else {
            self.out.extend((0..bytes).map(|_| self.random.next() as u8));
        }
    }

    fn text(&mut self, flexible: bool, set: bool) {
        const LETTERS: [char; 6] = ['a', 'Z', '0', '\u{e9}', '\u{20ac}', '\u{1f600}'];
        let length = usize::from(set) + self.random.below(12);
        let text: String = (0..length)
            .map(|_| LETTERS[self.random.below(LETTERS.len())])
            .collect();
        if flexible {
            self.unsigned_varint(text.len() + 1);
        } else {
            self.out.extend((text.len() as u16).to_be_bytes());
        }
        self.out.extend(text.as_bytes());
    }

    fn count(&mut self, flexible: bool, count: usize) {
        if flexible {
            self.unsigned_varint(count + 1);
        } else {
            self.out.extend((count as u32).to_be_bytes());
        }
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
