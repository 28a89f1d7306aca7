//! From the texts of `.proto` files to descriptors.

use super::NESTING_MAX;
use crate::{ErrorKind, SerializeError};
use base64::Engine as _;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};
use std::collections::BTreeMap;
use std::fmt;

/// The name of the schema's own file, which no import has.
pub(super) const ROOT: &str = "ottla.schema.proto";
/// A schema has a few KiB; what is larger is a mistake.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// With all that it imports.
const ALL_BYTES_MAX: usize = 4 << 20;

pub(super) fn wrong(message: impl fmt::Display) -> SerializeError {
    SerializeError::new(ErrorKind::Schema, format!("Protobuf schema: {message}"))
}

/// Compiles a text with what it imports.
pub(super) fn compile(text: &str, others: &[(&str, &str)]) -> Result<DescriptorPool, SerializeError> {
    let mut imports = BTreeMap::new();
    let mut bytes = check(text)?;
    for (name, text) in others {
        bytes += check(text)?;
        if bytes > ALL_BYTES_MAX {
            return Err(wrong(format_args!(
                "with its imports larger than {ALL_BYTES_MAX} bytes"
            )));
        }
        if imports
            .insert(*name, *text)
            .is_some_and(|earlier| earlier != *text)
        {
            return Err(wrong(format_args!("two different files have the name {name:?}")));
        }
    }
    let imports = imports
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let files = Files {
        root: text.to_owned(),
        imports: imports.collect(),
    };
    let mut compiler = Compiler::with_file_resolver(files);
    compiler.include_imports(true);
    compiler.open_file(ROOT).map_err(wrong)?;
    // Not its own pool: that was made before it looked at options, and takes `[packed = false]` for packed.
    DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).map_err(wrong)
}

/// How many bytes the text has, if it can be compiled without harm.
fn check(text: &str) -> Result<usize, SerializeError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong(format_args!("larger than {TEXT_BYTES_MAX} bytes")));
    }
    if super::is_nested_too_deep(text) {
        return Err(wrong(format_args!("nested deeper than {NESTING_MAX}")));
    }
    Ok(text.len())
}

struct Files {
    root: String,
    imports: BTreeMap<String, String>,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let text = match name {
            ROOT => &self.root,
            _ => match self.imports.get(name) {
                Some(text) => text,
                None => return GoogleFileResolver::new().open_file(name),
            },
        };
        // Registries keep files in both forms.
        File::from_source(name, text).or_else(|error| descriptor(name, text).ok_or(error))
    }
}

fn descriptor(name: &str, text: &str) -> Option<File> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text.trim())
        .ok()?;
    let mut file = prost_types::FileDescriptorProto::decode(&bytes[..]).ok()?;
    file.name = Some(name.to_owned());
    Some(File::from_file_descriptor_proto(file))
}
