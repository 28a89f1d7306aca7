//! The layouts of `-f`, as rpk has them: how records follow each other in the input.
//!
//! `%k %v\n` is a key up to a blank and a value up to the end of the line; `%K{big16}%k%V{big32}%v` has lengths before
//! the bytes. The model is franz-go's `RecordReader`. What it leaves to chance is an error here: a number that does not
//! fit, a value that is cut off, a layout that reads nothing. `%t` and regular expressions are not there.

mod compile;
mod read;

use std::fmt;

/// A layout that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    steps: Vec<Step>,
}

/// What is read next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Exactly these bytes.
    Literal(Vec<u8>),
    /// A number.
    Number(Number, Encoding),
    /// Bytes.
    Text(Text, Extent, Code),
    /// Key and value of each header by these steps, as often as [`Number::Headers`] said.
    Headers(Vec<Step>),
}

/// Numbers that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    KeyLength,
    ValueLength,
    Headers,
    Partition,
    Timestamp,
    /// Of no use for sending: the offset, the leader's epoch, the producer's id and epoch.
    Ignored,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As many decimal digits as there are.
    Decimal,
    /// So many hexadecimal digits.
    Hexadecimal(usize),
    /// So many bytes, the highest first.
    Big(usize),
    /// So many bytes, the lowest first.
    Little(usize),
    /// Not written at all.
    Constant(u64),
}

/// Bytes that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Key,
    Value,
}

/// Where bytes end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Extent {
    /// After as many as were read as its length.
    Length,
    /// Before these, which are passed over.
    Delimiter(Vec<u8>),
    /// With the input.
    Rest,
}

/// What the bytes are in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Plain,
    Base64,
    Hexadecimal,
}

/// Why a layout is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutError(String);

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayoutError {}

/// What [`Layout::read`] found at the beginning of the bytes. It is exhaustive: these are all cases there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record, of so many bytes.
    Record(crate::fields::Fields<'a>, usize),
    /// The beginning of a record; more bytes are needed.
    Incomplete,
    /// Nothing.
    End,
}
