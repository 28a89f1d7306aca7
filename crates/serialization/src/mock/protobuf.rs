//! Whether the messages of one `.proto` file can be read by those of another, by the rules of Confluent's registry.
//!
//! Fields are the same if they have the same number. They may come and go and change their names, and their types may
//! change where the bytes do not: numbers of one kind on the wire, texts and bytes. What a reader may not find any more is
//! a message, a required field, a field of a oneof, or one of the wrong kind.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use std::collections::{BTreeMap, BTreeSet};

/// Differences that are told; one would be enough to refuse.
const DIFFERENCES_MAX: usize = 20;

/// A file, and all that it imports and that is not Protobuf's own.
pub(super) struct Files {
    pub(super) root: FileDescriptorProto,
    pub(super) imports: Vec<FileDescriptorProto>,
}

/// Why readers with `reader` cannot read what `writer` wrote; empty if they can.
pub(super) fn incompatibilities(writer: &Files, reader: &Files) -> Vec<String> {
    let mut check = Check {
        writer: Types::of(writer),
        reader: Types::of(reader),
        seen: BTreeSet::new(),
        differences: Vec::new(),
    };
    let packages = [writer, reader].map(|files| files.root.package().to_owned());
    if packages[0] != packages[1] {
        check.differ(
            "/",
            format_args!("the package was {:?}, and is {:?}", packages[0], packages[1]),
        );
    }
    check.messages(
        (&packages[0], &writer.root.message_type),
        (&packages[1], &reader.root.message_type),
        "",
    );
    check.differences.truncate(DIFFERENCES_MAX);
    check.differences
}

/// A message with its full name.
#[derive(Clone, Copy)]
struct Named<'f> {
    name: &'f str,
    package: &'f str,
    message: &'f DescriptorProto,
    /// Proto2 has a label at each field; elsewhere a field may have none.
    is_proto2: bool,
}

impl Named<'_> {
    /// The name without the package: what a reader has to have, too.
    fn local_name(&self) -> &str {
        let rest = self.name.strip_prefix(self.package);
        rest.and_then(|rest| rest.strip_prefix('.')).unwrap_or(self.name)
    }

    fn is_map_entry(&self) -> bool {
        is_map_entry(self.message)
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

/// What a full name stands for.
enum Definition<'f> {
    Message(&'f str, &'f DescriptorProto, bool),
    Enum,
}

/// All types by their full names.
struct Types<'f>(BTreeMap<String, Definition<'f>>);

impl<'f> Types<'f> {
    fn of(files: &'f Files) -> Types<'f> {
        let mut types = Types(BTreeMap::new());
        for file in files.imports.iter().chain([&files.root]) {
            let package = file.package();
            let is_proto2 = matches!(file.syntax(), "" | "proto2");
            for message in &file.message_type {
                types.add(package, package, message, is_proto2);
            }
            for names in &file.enum_type {
                types.0.insert(joined(package, names.name()), Definition::Enum);
            }
        }
        types
    }

    /// Parsers have bounded how deep messages may stand in messages.
    fn add(&mut self, package: &'f str, scope: &str, message: &'f DescriptorProto, is_proto2: bool) {
        let name = joined(scope, message.name());
        for inner in &message.nested_type {
            self.add(package, &name, inner, is_proto2);
        }
        for names in &message.enum_type {
            self.0.insert(joined(&name, names.name()), Definition::Enum);
        }
        self.0
            .insert(name, Definition::Message(package, message, is_proto2));
    }

    /// The full name that a name stands for within a message: the innermost scope that has it.
    fn resolve(&self, scope: &str, name: &str) -> Option<(&str, &Definition<'f>)> {
        let find = |name: &str| {
            let (name, definition) = self.0.get_key_value(name)?;
            Some((name.as_str(), definition))
        };
        if let Some(full) = name.strip_prefix('.') {
            return find(full);
        }
        let mut scope = Some(scope);
        while let Some(inside) = scope.filter(|scope| !scope.is_empty()) {
            if let Some(found) = find(&joined(inside, name)) {
                return Some(found);
            }
            scope = inside.rsplit_once('.').map(|(outer, _)| outer);
        }
        find(name)
    }

    fn message(&self, name: &str) -> Option<Named<'_>> {
        let (name, definition) = self.0.get_key_value(name)?;
        match definition {
            Definition::Message(package, message, is_proto2) => Some(Named {
                name,
                package,
                message,
                is_proto2: *is_proto2,
            }),
            Definition::Enum => None,
        }
    }

    fn kind<'t>(&'t self, scope: &str, field: &'t FieldDescriptorProto) -> Kind<'t> {
        let Some(name) = field.type_name.as_deref() else {
            return Kind::Scalar(Scalar::of(field.r#type()));
        };
        match self.resolve(scope, name) {
            Some((_, Definition::Enum)) => Kind::Scalar(Scalar::Number),
            Some((full, Definition::Message(..))) => match self.message(full) {
                Some(entry) if entry.is_map_entry() => Kind::Map(entry),
                found => Kind::Message(name, found),
            },
            None => Kind::Message(name, None),
        }
    }
}

fn joined(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        scope => format!("{scope}.{name}"),
    }
}

/// What a field holds.
enum Kind<'t> {
    Scalar(Scalar),
    Map(Named<'t>),
    /// The name as it stands there, and the message if it is known: Protobuf's own are not.
    Message(&'t str, Option<Named<'t>>),
}

impl Kind<'_> {
    fn name(&self) -> &'static str {
        match self {
            Kind::Scalar(_) => "a scalar",
            Kind::Map(_) => "a map",
            Kind::Message(..) => "a message",
        }
    }
}

/// Scalars that are read as each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    /// int32, int64, uint32, uint64, bool and enums.
    Number,
    /// sint32 and sint64.
    Signed,
    /// string and bytes.
    Text,
    /// fixed32 and sfixed32.
    Fixed32,
    /// fixed64 and sfixed64.
    Fixed64,
    Float,
    Double,
}

impl Scalar {
    fn of(kind: Type) -> Scalar {
        match kind {
            Type::Sint32 | Type::Sint64 => Scalar::Signed,
            Type::String | Type::Bytes => Scalar::Text,
            Type::Fixed32 | Type::Sfixed32 => Scalar::Fixed32,
            Type::Fixed64 | Type::Sfixed64 => Scalar::Fixed64,
            Type::Float => Scalar::Float,
            Type::Double => Scalar::Double,
            _ => Scalar::Number,
        }
    }
}

/// The fields of a message by their numbers.
struct Members<'f> {
    all: BTreeMap<i32, &'f FieldDescriptorProto>,
    /// Names of the oneofs that fields are in.
    oneof_of: BTreeMap<i32, &'f str>,
    oneofs: BTreeMap<&'f str, Vec<i32>>,
}

impl<'f> Members<'f> {
    fn of(message: &'f DescriptorProto) -> Members<'f> {
        let mut members = Members {
            all: BTreeMap::new(),
            oneof_of: BTreeMap::new(),
            oneofs: BTreeMap::new(),
        };
        for field in &message.field {
            members.all.insert(field.number(), field);
            // An optional field of proto3 stands in a oneof that nobody wrote.
            let index = field.oneof_index.filter(|_| !field.proto3_optional());
            let oneof = index
                .and_then(|index| usize::try_from(index).ok())
                .and_then(|index| message.oneof_decl.get(index));
            if let Some(oneof) = oneof {
                members.oneof_of.insert(field.number(), oneof.name());
                members
                    .oneofs
                    .entry(oneof.name())
                    .or_default()
                    .push(field.number());
            }
        }
        members
    }

    fn is_alone(&self, number: i32) -> bool {
        self.all.contains_key(&number) && !self.oneof_of.contains_key(&number)
    }
}

struct Check<'f> {
    writer: Types<'f>,
    reader: Types<'f>,
    /// Pairs of messages that were or are being looked at, by their full names: messages may hold themselves.
    seen: BTreeSet<(String, String)>,
    differences: Vec<String>,
}

type Scoped<'m> = (&'m str, &'m [DescriptorProto]);

impl Check<'_> {
    fn differ(&mut self, path: &str, what: impl std::fmt::Display) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(format!("{path}: {what}"));
        }
    }

    /// Messages side by side, at the top of the file or in a message.
    fn messages(&mut self, (in_writer, old): Scoped<'_>, (in_reader, new): Scoped<'_>, path: &str) {
        for message in old.iter().filter(|message| !is_map_entry(message)) {
            let path = format!("{path}/{}", message.name());
            if !new.iter().any(|other| other.name() == message.name()) {
                self.differ(&path, "the message is gone");
                continue;
            }
            let names = [in_writer, in_reader].map(|scope| joined(scope, message.name()));
            self.message(&names, &path);
        }
    }

    /// Two messages by their full names.
    fn message(&mut self, names: &[String; 2], path: &str) {
        if !self.seen.insert((names[0].clone(), names[1].clone())) {
            return;
        }
        let (writer, reader) = (self.writer.message(&names[0]), self.reader.message(&names[1]));
        let (Some(writer), Some(reader)) = (writer, reader) else {
            return;
        };
        let (old, new) = (writer.message.clone(), reader.message.clone());
        let is_proto2 = [writer.is_proto2, reader.is_proto2];
        let members = [Members::of(&old), Members::of(&new)];
        self.oneofs(&members, path);
        self.fields(&members, path);
        for (number, field) in &members[0].all {
            if let Some(other) = members[1].all.get(number) {
                let labels = [0, 1].map(|side| {
                    let is_free = members[side].is_alone(*number);
                    let field = [*field, *other][side];
                    label(field, is_proto2[side]).filter(|_| is_free)
                });
                self.types(names, [field, other], labels, &format!("{path}/{number}"));
            }
        }
        self.messages((&names[0], &old.nested_type), (&names[1], &new.nested_type), path);
    }

    /// Of fields that can only be there one at a time, a reader forgets all but the last.
    fn oneofs(&mut self, [old, new]: &[Members<'_>; 2], path: &str) {
        for (name, numbers) in &new.oneofs {
            let path = format!("{path}/{name}");
            let moved = numbers.iter().filter(|number| old.is_alone(**number)).count();
            let has_others = numbers.iter().any(|number| old.oneof_of.contains_key(number));
            if moved > 1 {
                self.differ(&path, "several fields have come into the oneof");
            } else if moved == 1 && has_others {
                self.differ(&path, "a field has come into a oneof that was there");
            }
        }
        for (name, numbers) in &old.oneofs {
            // Without the oneof, its fields are as others.
            if !new.oneofs.contains_key(name) {
                continue;
            }
            for number in numbers.iter().filter(|number| !new.all.contains_key(number)) {
                self.differ(&format!("{path}/{name}/{number}"), "the field of a oneof is gone");
            }
        }
    }

    /// Fields that came or went.
    fn fields(&mut self, [old, new]: &[Members<'_>; 2], path: &str) {
        for (side, other, what) in [(old, new, "gone"), (new, old, "new")] {
            for (number, field) in &side.all {
                if !other.all.contains_key(number) && field.label() == Label::Required {
                    self.differ(
                        &format!("{path}/{number}"),
                        format_args!("a required field is {what}"),
                    );
                }
            }
        }
    }

    fn types(
        &mut self,
        scopes: &[String; 2],
        [old, new]: [&FieldDescriptorProto; 2],
        labels: [Option<Label>; 2],
        path: &str,
    ) {
        let kinds = (
            self.writer.kind(&scopes[0], old),
            self.reader.kind(&scopes[1], new),
        );
        match kinds {
            (Kind::Scalar(old), Kind::Scalar(new)) if old != new => {
                self.differ(
                    path,
                    format_args!("the kind of the scalar was {old:?}, and is {new:?}"),
                );
            }
            (Kind::Scalar(Scalar::Text), Kind::Scalar(_)) => {}
            (Kind::Scalar(_), Kind::Scalar(_)) => {
                if let [Some(old), Some(new)] = labels
                    && old != new
                {
                    self.differ(
                        path,
                        format_args!("the label of a number was {old:?}, and is {new:?}"),
                    );
                }
            }
            (Kind::Map(old), Kind::Map(new)) => {
                let scopes = [old.name.to_owned(), new.name.to_owned()];
                let entries = [old.message.clone(), new.message.clone()];
                for number in [1, 2] {
                    let find =
                        |entry: usize| entries[entry].field.iter().find(|field| field.number() == number);
                    if let (Some(old), Some(new)) = (find(0), find(1)) {
                        self.types(&scopes, [old, new], [None, None], path);
                    }
                }
            }
            (Kind::Message(_, Some(old)), Kind::Message(_, Some(new))) => {
                if old.local_name() == new.local_name() {
                    let names = [old.name.to_owned(), new.name.to_owned()];
                    self.message(&names, path);
                } else {
                    let names = [old.name, new.name].map(str::to_owned);
                    self.differ(
                        path,
                        format_args!("the message was {}, and is {}", names[0], names[1]),
                    );
                }
            }
            (Kind::Message(old, _), Kind::Message(new, _)) => {
                if old.trim_start_matches('.') != new.trim_start_matches('.') {
                    let names = [old, new].map(str::to_owned);
                    self.differ(
                        path,
                        format_args!("the message was {}, and is {}", names[0], names[1]),
                    );
                }
            }
            (old, new) => {
                let (old, new) = (old.name(), new.name());
                self.differ(path, format_args!("it was {old}, and is {new}"));
            }
        }
    }
}

/// The label that stands at a field; in proto3 there may be none.
fn label(field: &FieldDescriptorProto, is_proto2: bool) -> Option<Label> {
    match field.label() {
        Label::Optional if !is_proto2 && !field.proto3_optional() => None,
        label => Some(label),
    }
}
