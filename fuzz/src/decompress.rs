//! Any bytes as compressed data of any codec: never more than the limit, never a context that remembers the last input.
//!
//! Input: codec (8 bits, modulo), limit (16 bits), then the data.

use ottla_protocol::compression::{Codec, Compression, Compressor, Decompressor};

use crate::within;

/// For the contexts: gzip's window, blocks of lz4 and snappy.
const CONTEXT_BYTES: usize = 512 * 1024;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&[codec, high, low], data)) = input.split_first_chunk() else {
        return;
    };
    let compression = Compression::ALL[usize::from(codec) % Compression::ALL.len()];
    let limit = usize::from(u16::from_be_bytes([high, low]));
    let mut decompressor = Decompressor::new();
    let mut output = vec![1, 2, 3];
    // A vector that grows holds the old and the new one for a moment.
    let result = within(4 * limit + CONTEXT_BYTES, || {
        decompressor.decompress(compression, data, limit, &mut output)
    });
    assert!(output.starts_with(&[1, 2, 3]));
    // A context that was used, also for something that failed, gives the same.
    let mut again = vec![1, 2, 3];
    let second = decompressor.decompress(compression, data, limit, &mut again);
    assert_eq!(result.is_ok(), second.is_ok(), "{result:?} {second:?}");
    if result.is_err() {
        // It may hold a part, of at most what memory was allowed for.
        return;
    }
    assert_eq!(output, again);
    assert!(output.len() <= 3 + limit, "{} bytes of {limit}", output.len() - 3);
    // With exactly the limit that it needs it is the same, with one byte less it is refused.
    let size = output.len() - 3;
    let mut exact = Vec::new();
    decompressor
        .decompress(compression, data, size, &mut exact)
        .expect("it fits exactly");
    assert_eq!(exact, output[3..]);
    if let Some(less) = size.checked_sub(1) {
        assert!(
            decompressor
                .decompress(compression, data, less, &mut Vec::new())
                .is_err()
        );
    }
    // What is inside survives our own compressor.
    let mut compressed = Vec::new();
    let mut compressor = Compressor::new(Codec::new(compression)).expect("it is compiled in");
    compressor
        .compress(&[&exact], &mut compressed)
        .expect("there is memory");
    let mut back = Vec::new();
    decompressor
        .decompress(compression, &compressed, size, &mut back)
        .expect("it is ours");
    assert_eq!(back, exact);
}
