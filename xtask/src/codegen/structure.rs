//! The Rust code of one structure: type, defaults, reading and writing.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};

use super::layout::Sizes;
use super::names;
use super::schema::{Field, Schema, Struct, Type};
use super::versions::{Condition, Versions};

/// What the code of a structure depends on, besides the structure.
pub(crate) struct Renderer<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) sizes: &'a Sizes,
    /// Rust types by message and schema name.
    pub(crate) types: &'a HashMap<(&'a str, &'a str), String>,
}

/// Statements under conditions; neighbours with the same condition share one `if`.
#[derive(Default)]
struct Block {
    statements: Vec<(Condition, String)>,
}

impl Block {
    fn push(&mut self, condition: Condition, statement: String) {
        if condition == Condition::Never {
            return;
        }
        match self.statements.last_mut() {
            Some((last, statements)) if *last == condition => {
                statements.push('\n');
                statements.push_str(&statement);
            }
            _ => self.statements.push((condition, statement)),
        }
    }

    fn render(&self) -> String {
        let mut out = String::new();
        for (condition, statements) in &self.statements {
            match condition {
                Condition::If(expression) => out += &format!("if {expression} {{\n{statements}\n}}\n"),
                Condition::Always | Condition::Never => out += &format!("{statements}\n"),
            }
        }
        out
    }
}

impl Renderer<'_> {
    fn rust_type<'n>(&'n self, name: &'n str) -> &'n str {
        self.types
            .get(&(self.schema.name.as_str(), name))
            .map_or(name, String::as_str)
    }

    /// All code of the structure.
    pub(crate) fn render(&self, structure: &Struct) -> anyhow::Result<String> {
        let name = self.rust_type(&structure.name);
        let flexible = !self.schema.flexible.and(structure.domain).is_empty();
        let mut defaults = Vec::new();
        for field in &structure.fields {
            defaults.push(
                self.default_value(field)
                    .with_context(|| format!("in {name}.{}", field.name))?,
            );
        }
        let mut out = self.doc(structure);
        out += "#[derive(Clone, Debug, PartialEq)]\n";
        writeln!(out, "pub struct {name} {{")?;
        for field in &structure.fields {
            out += &field_doc(field, structure.domain);
            writeln!(
                out,
                "pub {}: {},",
                names::field(&field.name),
                self.field_type(field)
            )?;
        }
        if flexible {
            out += "/// Tagged fields that the schema does not know.\n";
            out += "pub unknown_tagged_fields: TaggedFields,\n";
        }
        out += "}\n\n";
        writeln!(
            out,
            "impl Default for {name} {{\nfn default() -> Self {{\nSelf::DEFAULT\n}}\n}}\n"
        )?;
        let least = self.sizes.least(&structure.name);
        if least == 0 && !structure.used_by.is_empty() {
            bail!("{name} may take no bytes at all, so a count of it cannot be checked");
        }
        let body = self.read(structure)?;
        let (reader, version) = (used("reader", &body), used("version", &body));
        writeln!(
            out,
            "impl Structure for {name} {{\nconst LEAST_BYTES: usize = {least};\n\nconst DEFAULT: Self = Self {{"
        )?;
        for (field, default) in structure.fields.iter().zip(defaults) {
            let value = default.unwrap_or_else(|| self.rust_default(field));
            writeln!(out, "{}: {value},", names::field(&field.name))?;
        }
        if flexible {
            out += "unknown_tagged_fields: TaggedFields::new(),\n";
        }
        out += "};\n\n";
        writeln!(
            out,
            "fn read(&mut self, {reader}: &mut Reader<'_>, {version}: i16) -> Result<(), DecodeError> {{"
        )?;
        writeln!(out, "{body}Ok(())\n}}\n")?;
        let body = self.write(structure)?;
        let (writer, version) = (used("writer", &body), used("version", &body));
        writeln!(
            out,
            "fn write(&self, {writer}: &mut Writer, {version}: i16) -> Result<(), EncodeError> {{"
        )?;
        writeln!(out, "{body}Ok(())\n}}\n}}\n")?;
        Ok(out)
    }

    fn doc(&self, structure: &Struct) -> String {
        let schema = self.schema;
        let mut out = String::new();
        if structure.name == schema.name {
            let what = match schema.key {
                Some(key) => format!(
                    "The {} of `{}` (API key {key})",
                    schema.kind.name(),
                    names::api(schema)
                ),
                None if schema.name.ends_with("Header") => {
                    String::from("What stands before each message of its kind")
                }
                None => format!("`{}`, which is stored in records", schema.name),
            };
            let flexible = match schema.flexible {
                versions if versions.is_empty() => String::from("never flexible"),
                versions => format!("flexible from {}", versions.low),
            };
            out += &format!("/// {what}: {}, {flexible}.\n", schema.valid);
            if schema.latest_version_unstable {
                out += &format!("///\n/// Version {} is not stable yet.\n", schema.valid.high);
            }
        } else {
            let users: Vec<_> = structure
                .used_by
                .iter()
                .filter_map(|user| user.split_once('.'))
                .map(|(parent, field)| {
                    let field = names::field(field);
                    format!("[`{field}`]({}::{field})", self.rust_type(parent))
                })
                .collect();
            out += &format!(
                "/// The structure in {}, of [`{}`].\n",
                users.join(" and "),
                schema.name
            );
        }
        out
    }

    fn element_type(&self, kind: &Type) -> String {
        match kind {
            Type::Bool => "bool".into(),
            Type::Int8 => "i8".into(),
            Type::Int16 => "i16".into(),
            Type::Uint16 => "u16".into(),
            Type::Int32 => "i32".into(),
            Type::Uint32 => "u32".into(),
            Type::Int64 => "i64".into(),
            Type::Float64 => "f64".into(),
            Type::Uuid => "Uuid".into(),
            Type::String => "String".into(),
            Type::Bytes | Type::Records => "Bytes".into(),
            Type::Struct(name) => self.rust_type(name).to_owned(),
            Type::Array(element) => format!("Vec<{}>", self.element_type(element)),
        }
    }

    fn field_type(&self, field: &Field) -> String {
        let kind = self.element_type(&field.kind);
        if field.nullable.is_empty() {
            kind
        } else {
            format!("Option<{kind}>")
        }
    }

    /// The default as an expression, if it is not that of the Rust type.
    fn default_value(&self, field: &Field) -> anyhow::Result<Option<String>> {
        let nullable = !field.nullable.is_empty();
        Ok(match (&field.kind, field.default.as_deref()) {
            (_, Some("null")) => None,
            (Type::Bool, Some("true" | "True")) => Some("true".into()),
            (Type::Bool, None | Some("false" | "False")) => None,
            (
                Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Uint32 | Type::Int64,
                Some(text),
            ) => match integer(text)? {
                0 => None,
                number => Some(self.number(&field.kind, number)),
            },
            (Type::Float64, Some(text)) => Some(format!("{:?}", text.parse::<f64>()?)),
            // Java's default for records is null, whatever the schema says about other types.
            (Type::Records, None) => None,
            (Type::String, Some("") | None) if nullable => Some("Some(String::new())".into()),
            (Type::String, Some("") | None) => None,
            (Type::Bytes | Type::Array(_) | Type::Struct(_), None) if nullable => {
                Some(format!("Some({})", self.empty(&field.kind)))
            }
            (_, None) => None,
            (kind, Some(text)) => bail!("the default `{text}` of a {kind:?} is not supported"),
        })
    }

    /// The default of a field whose schema says nothing else.
    fn rust_default(&self, field: &Field) -> String {
        if field.nullable.is_empty() {
            self.empty(&field.kind)
        } else {
            "None".into()
        }
    }

    /// The default of a type, as a constant expression.
    fn empty(&self, kind: &Type) -> String {
        match kind {
            Type::Bool => "false".into(),
            Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Uint32 | Type::Int64 => "0".into(),
            Type::Float64 => "0.0".into(),
            Type::Uuid => "Uuid::ZERO".into(),
            Type::String => "String::new()".into(),
            Type::Bytes | Type::Records => "Bytes::new()".into(),
            Type::Array(_) => "Vec::new()".into(),
            Type::Struct(name) => format!("{}::DEFAULT", self.rust_type(name)),
        }
    }

    /// A number as people write it: the ends of a type by their names.
    fn number(&self, kind: &Type, number: i64) -> String {
        let rust_type = self.element_type(kind);
        let (low, high) = match kind {
            Type::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
            Type::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Type::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Type::Int64 => (i64::MIN, i64::MAX),
            _ => (-1, -1),
        };
        match number {
            _ if number == low && low != -1 => format!("{rust_type}::MIN"),
            _ if number == high && high != -1 => format!("{rust_type}::MAX"),
            _ => number.to_string(),
        }
    }

    /// Whether `self.field` is not the default, as an expression.
    fn is_set(&self, field: &Field) -> anyhow::Result<String> {
        let name = format!("self.{}", names::field(&field.name));
        let nullable = !field.nullable.is_empty();
        let default = self.default_value(field)?;
        Ok(match &field.kind {
            _ if nullable && default.is_none() => format!("{name}.is_some()"),
            Type::Bool if default.is_some() => format!("!{name}"),
            Type::Bool => name,
            Type::String | Type::Bytes | Type::Records | Type::Array(_) if nullable => {
                format!("{name}.as_ref().is_none_or(|value| !value.is_empty())")
            }
            Type::String | Type::Bytes | Type::Records | Type::Array(_) => format!("!{name}.is_empty()"),
            Type::Uuid => format!("!{name}.is_zero()"),
            Type::Struct(kind) => format!("{name} != {}::default()", self.rust_type(kind)),
            Type::Float64 => format!("{name} != {}", default.as_deref().unwrap_or("0.0")),
            _ => format!("{name} != {}", default.as_deref().unwrap_or("0")),
        })
    }

    /// `true`, `false` or the name of the variable that says whether the version is flexible.
    fn flexible_argument(&self, field: &Field, versions: Versions) -> &'static str {
        match field.flexible.condition(versions) {
            Condition::Always => "true",
            Condition::Never => "false",
            Condition::If(_) => "flexible",
        }
    }

    /// `let flexible = …;` if `body` needs it.
    fn flexible_variable(&self, structure: &Struct, body: &str) -> String {
        let condition = self.schema.flexible.condition(structure.domain);
        if mentions(body, "flexible") {
            format!("let flexible = {};\n", condition.expression())
        } else {
            String::new()
        }
    }

    fn flexible_condition(&self, structure: &Struct) -> Condition {
        match self.schema.flexible.condition(structure.domain) {
            Condition::If(_) => Condition::If("flexible".into()),
            other => other,
        }
    }

    fn read(&self, structure: &Struct) -> anyhow::Result<String> {
        let mut block = Block::default();
        for field in &structure.fields {
            let versions = field.present.without(field.tagged)?;
            block.push(
                versions.condition(structure.domain),
                self.read_field(field, versions),
            );
        }
        block.push(self.flexible_condition(structure), self.read_tags(structure));
        let body = block.render();
        Ok(self.flexible_variable(structure, &body) + &body)
    }

    fn read_field(&self, field: &Field, versions: Versions) -> String {
        let (name, label) = (names::field(&field.name), names::snake(&field.name));
        let nullable = !field.nullable.is_empty();
        let flexible = self.flexible_argument(field, versions);
        let prefix = if nullable { "nullable_" } else { "" };
        let (method, arguments) = match &field.kind {
            Type::Bool => ("bool".into(), ""),
            Type::Uuid => ("uuid".into(), ""),
            Type::Int8
            | Type::Int16
            | Type::Uint16
            | Type::Int32
            | Type::Uint32
            | Type::Int64
            | Type::Float64 => (self.element_type(&field.kind), ""),
            Type::String => (format!("{prefix}string"), "flexible, "),
            Type::Bytes | Type::Records => (format!("{prefix}bytes"), "flexible, "),
            Type::Struct(_) => (format!("{prefix}structure"), "version, "),
            Type::Array(element) => match **element {
                Type::String => (format!("{prefix}strings"), "flexible, "),
                Type::Bytes => (format!("{prefix}bytes_array"), "flexible, "),
                Type::Struct(_) => (format!("{prefix}array"), "flexible, version, "),
                _ => (format!("{prefix}scalars"), "flexible, "),
            },
        };
        let arguments = arguments.replace("flexible", flexible);
        let mut statement = format!("reader.read_{method}(&mut self.{name}, {arguments}\"{label}\")?;");
        let refused = match field.nullable.condition_outside(versions) {
            Condition::If(expression) => Some(format!("{expression} && ")),
            Condition::Always => Some(String::new()),
            Condition::Never => None,
        };
        if let Some(refused) = refused.filter(|_| nullable) {
            statement += &format!(
                "\nif {refused}self.{name}.is_none() {{ return Err(reader.unexpected_null(\"{label}\")); }}"
            );
        }
        statement
    }

    fn read_tags(&self, structure: &Struct) -> String {
        let domain = structure.domain.and(self.schema.flexible);
        let known: Vec<_> = tagged(structure);
        if known.is_empty() {
            return "reader.unknown_tagged_fields(&mut self.unknown_tagged_fields)?;".into();
        }
        let mut arms = String::new();
        for (tag, field) in known {
            let guard = match field.tagged.condition(domain) {
                Condition::If(expression) => format!(" if {expression}"),
                Condition::Always | Condition::Never => String::new(),
            };
            arms += &format!("{tag}{guard} => {{ {} }}\n", self.read_field(field, field.tagged));
        }
        format!(
            "let mut tags = reader.tags()?;
            while let Some(tag) = reader.next_tag(&mut tags)? {{
                match tag {{
                    {arms}
                    _ => reader.unknown_tag(tag, &tags, &mut self.unknown_tagged_fields)?,
                }}
                reader.end_tag(&tags)?;
            }}"
        )
    }

    fn write(&self, structure: &Struct) -> anyhow::Result<String> {
        let mut block = Block::default();
        for field in &structure.fields {
            if !field.ignorable {
                let absent = field.present.condition_outside(structure.domain);
                let check = format!(
                    "writer.absent({}, \"{}\")?;",
                    self.is_set(field)?,
                    names::snake(&field.name)
                );
                block.push(absent, check);
            }
        }
        for field in &structure.fields {
            let versions = field.present.without(field.tagged)?;
            block.push(
                versions.condition(structure.domain),
                self.write_field(field, versions),
            );
        }
        match self.flexible_condition(structure) {
            Condition::Never => {}
            Condition::Always => block.push(Condition::Always, self.write_tags(structure)?),
            Condition::If(flexible) => block.push(
                Condition::Always,
                format!(
                    "if {flexible} {{\n{}\n}} else {{\nwriter.no_tagged_fields(&self.unknown_tagged_fields)?;\n}}",
                    self.write_tags(structure)?
                ),
            ),
        }
        let body = block.render();
        Ok(self.flexible_variable(structure, &body) + &body)
    }

    fn write_field(&self, field: &Field, versions: Versions) -> String {
        let (name, label) = (
            format!("self.{}", names::field(&field.name)),
            names::snake(&field.name),
        );
        let nullable = !field.nullable.is_empty();
        let flexible = self.flexible_argument(field, versions);
        let null = field.nullable.condition(versions);
        let null = null.expression();
        let call = match (&field.kind, nullable) {
            (Type::Bool, _) => return format!("writer.bool({name});"),
            (Type::Uuid, _) => return format!("writer.uuid({name});"),
            (
                Type::Int8
                | Type::Int16
                | Type::Uint16
                | Type::Int32
                | Type::Uint32
                | Type::Int64
                | Type::Float64,
                _,
            ) => return format!("writer.{}({name});", self.element_type(&field.kind)),
            (Type::String, true) => {
                format!("nullable_string({flexible}, {null}, {name}.as_deref(), \"{label}\")")
            }
            (Type::String, false) => format!("string({flexible}, &{name}, \"{label}\")"),
            (Type::Bytes | Type::Records, true) => {
                format!("nullable_bytes({flexible}, {null}, {name}.as_ref(), \"{label}\")")
            }
            (Type::Bytes | Type::Records, false) => format!("bytes({flexible}, &{name}, \"{label}\")"),
            (Type::Struct(_), true) => {
                format!("nullable_structure({null}, {name}.as_ref(), version, \"{label}\")")
            }
            (Type::Struct(_), false) => format!("structure(&{name}, version, \"{label}\")"),
            (Type::Array(element), _) => {
                let (method, version) = match **element {
                    Type::String => ("strings", ""),
                    Type::Bytes => ("bytes_array", ""),
                    Type::Struct(_) => ("array", "version, "),
                    _ => ("scalars", ""),
                };
                if nullable {
                    format!("nullable_{method}({flexible}, {null}, {name}.as_deref(), {version}\"{label}\")")
                } else {
                    format!("{method}({flexible}, &{name}, {version}\"{label}\")")
                }
            }
        };
        format!("writer.{call}?;")
    }

    fn write_tags(&self, structure: &Struct) -> anyhow::Result<String> {
        let domain = structure.domain.and(self.schema.flexible);
        let known = tagged(structure);
        if known.is_empty() {
            return Ok("writer.unknown_tagged_fields(&self.unknown_tagged_fields)?;".into());
        }
        let mut out = String::from("let mut tags = writer.begin_tags(&self.unknown_tagged_fields);\n");
        for (tag, field) in known {
            let in_version = match field.tagged.condition(domain) {
                Condition::If(expression) => format!("{expression} && "),
                Condition::Always | Condition::Never => String::new(),
            };
            out += &format!(
                "if {in_version}{} {{\nwriter.begin_tag(&mut tags, {tag})?;\n{}\nwriter.end_tag(&tags)?;\n}}\n",
                self.is_set(field)?,
                self.write_field(field, field.tagged),
            );
        }
        out += "writer.end_tags(tags)?;";
        Ok(out)
    }
}

/// The fields that are tagged in some version, in order of their tags.
fn tagged(structure: &Struct) -> Vec<(u32, &Field)> {
    let mut fields: Vec<_> = structure
        .fields
        .iter()
        .filter(|field| !field.tagged.is_empty())
        .filter_map(|field| field.tag.map(|tag| (tag, field)))
        .collect();
    fields.sort_by_key(|(tag, _)| *tag);
    fields
}

/// A parameter's name, marked as unused if `body` does not mention it.
fn used(name: &str, body: &str) -> String {
    if mentions(body, name) {
        name.to_owned()
    } else {
        format!("_{name}")
    }
}

/// Whether `body` has the variable `name`: not in a string, not a field, not a part of a longer word.
fn mentions(body: &str, name: &str) -> bool {
    let inside =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    body.split('"').step_by(2).any(|code| {
        code.match_indices(name).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            !inside(before) && before != Some('.') && !inside(code[at + name.len()..].chars().next())
        })
    })
}

/// A number as the schemas write it: decimal or hexadecimal.
fn integer(text: &str) -> anyhow::Result<i64> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.with_context(|| format!("`{text}` is no number"))
}

/// Type, versions, and what the schema says about null, default and loss.
fn field_doc(field: &Field, domain: Versions) -> String {
    let kind = schema_type(&field.kind);
    let mut out = format!("/// `{kind}`");
    if field.tagged.is_empty() {
        if field.present != domain {
            out += &format!(", {}", field.present);
        }
    } else {
        out += &format!(
            ", tag {} {}",
            field.tag.unwrap_or_default(),
            in_versions(field.tagged, domain)
        );
    }
    if field.nullable == field.present {
        out += ", can be null";
    } else if !field.nullable.is_empty() {
        out += &format!(", can be null {}", in_versions(field.nullable, domain));
    }
    out += ".";
    match field.default.as_deref() {
        None | Some("") => {}
        Some(default) => out += &format!(" Default: {}.", default.to_ascii_lowercase()),
    }
    if field.present != domain {
        out += if field.ignorable {
            " Other versions drop it."
        } else {
            " Other versions refuse it."
        };
    }
    out + "\n"
}

fn in_versions(versions: Versions, domain: Versions) -> String {
    match versions.condition(domain) {
        Condition::Always => String::from("in all versions"),
        _ if versions.high == domain.high => format!("from version {}", versions.low),
        _ => format!("in {versions}"),
    }
}

fn schema_type(kind: &Type) -> String {
    match kind {
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("[]{}", schema_type(element)),
        other => format!("{other:?}").to_ascii_lowercase(),
    }
}
