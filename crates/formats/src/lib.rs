//! How records are written as text, for the program `ottla`: what it reads, and what it prints of them.
//!
//! - [`envelope`]: a record as a line of JSON, as `kcat -C -J` prints it.
//! - [`layout`]: rpk's language for how records follow each other in a stream (`%k %v\n`).
//! - [`template`]: rpk's language for what is printed of a record (`%p@%o\n`).
//! - [`escape`]: bytes in flags (`\t`, `\x00`).
//! - [`json`]: the few pieces of JSON that are written for each record.
//!
//! Nothing here does I/O or knows of Kafka: bytes go in, and [`Fields`](fields::Fields) come out.
//!
//! ```
//! use ottla_formats::envelope;
//! use ottla_formats::layout::{Found, Layout};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layout: Layout = "%k=%v\\n".parse()?;
//! let Found::Record(fields, length) = layout.read(b"a=1\nb=2\n", true)? else { panic!("there is one") };
//! assert_eq!((fields.key.as_deref(), length), (Some(b"a".as_slice()), 4));
//!
//! let fields = envelope::parse(br#"{"key":null,"payload":"x"}"#)?;
//! assert_eq!(fields.value.as_deref(), Some(b"x".as_slice()));
//! # Ok(())
//! # }
//! ```

pub mod envelope;
pub mod escape;
pub mod fields;
pub mod json;
pub mod layout;
pub mod template;
