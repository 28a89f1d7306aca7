//! The pieces of a message that are written one after the other, without being copied into one buffer.

use bytes::Bytes;
use smallvec::SmallVec;
use std::fmt;

/// How many pieces fit without an allocation: small requests have one, Produce has three for each partition.
const INLINE: usize = 4;

/// Bytes in pieces. The total length is known without a walk; empty pieces are dropped.
#[derive(Clone, Default)]
pub struct Segments {
    pieces: SmallVec<[Bytes; INLINE]>,
    bytes_total: usize,
}

impl fmt::Debug for Segments {
    /// How much it is: the bytes are other people's data, or a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {} pieces", self.bytes_total, self.pieces.len())
    }
}

impl Segments {
    /// Nothing.
    pub fn new() -> Segments {
        Segments::default()
    }

    /// Nothing, with room for `pieces` pieces.
    pub fn with_capacity(pieces: usize) -> Segments {
        Segments {
            pieces: SmallVec::with_capacity(pieces),
            bytes_total: 0,
        }
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes_total += piece.len();
            self.pieces.push(piece);
        }
    }

    /// The length of all pieces together, in bytes.
    pub fn bytes_total(&self) -> usize {
        self.bytes_total
    }

    /// The pieces in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Everything in one vector: for tests and for I/O that cannot write in pieces.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

impl From<Bytes> for Segments {
    fn from(piece: Bytes) -> Segments {
        let mut segments = Segments::new();
        segments.push(piece);
        segments
    }
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Segments {
        let mut segments = Segments::new();
        segments.extend(pieces);
        segments
    }
}

impl Extend<Bytes> for Segments {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, pieces: I) {
        let pieces = pieces.into_iter();
        self.pieces.reserve(pieces.size_hint().0);
        pieces.for_each(|piece| self.push(piece));
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = IntoPieces;

    fn into_iter(self) -> IntoPieces {
        IntoPieces(self.pieces.into_iter())
    }
}

/// The pieces of [`Segments`] one by one, in order.
pub struct IntoPieces(smallvec::IntoIter<[Bytes; INLINE]>);

impl fmt::Debug for IntoPieces {
    /// How many are left: as for [`Segments`], the bytes stay secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces", self.len())
    }
}

impl Iterator for IntoPieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for IntoPieces {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bytes_and_drops_empty_pieces() {
        let segments: Segments = [&b"ab"[..], b"", b"cde"]
            .into_iter()
            .map(Bytes::from_static)
            .collect();
        assert_eq!((segments.bytes_total(), segments.pieces().len()), (5, 2));
        assert_eq!(segments.to_vec(), b"abcde");
        assert_eq!(segments.into_iter().count(), 2);
    }
}
