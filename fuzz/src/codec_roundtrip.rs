//! Any data in any chunks through any codec and level: it comes back, also through a compressor that was used before.
//!
//! Input: codec, level, first chunk, other chunks, repetitions (8 bits each), then the data.

use ottla_protocol::compression::{Codec, Compression, Compressor, Decompressor};

/// One input.
pub fn run(input: &[u8]) {
    let Some((&[codec, level, first, other, repetitions], data)) = input.split_first_chunk() else {
        return;
    };
    let compression = Compression::ALL[usize::from(codec) % Compression::ALL.len()];
    let codec = match compression.levels() {
        // Above 12, zstd takes the time that a fuzzer would rather spend on other inputs.
        Some(levels) => {
            let (low, high) = (*levels.start().max(&-7), *levels.end().min(&12));
            let level = low + i32::from(level) % (high - low + 1);
            // gzip has no level 0.
            Codec::with_level(compression, level).unwrap_or(Codec::new(compression))
        }
        None => Codec::new(compression),
    };
    // Repetitions make more than a block of what compresses well.
    let data = data.repeat(1 + usize::from(repetitions));
    let (head, tail) = data.split_at(data.len().min(usize::from(first)));
    let chunks: Vec<&[u8]> = std::iter::once(head)
        .chain(tail.chunks(16 * (1 + usize::from(other))))
        .collect();

    let mut compressor = Compressor::new(codec).expect("it is compiled in");
    let mut decompressor = Decompressor::new();
    let mut before = Vec::new();
    for _ in 0..2 {
        let mut compressed = Vec::new();
        compressor
            .compress(&chunks, &mut compressed)
            .expect("there is memory");
        let mut back = Vec::new();
        decompressor
            .decompress(compression, &compressed, data.len(), &mut back)
            .expect("it is ours");
        assert_eq!(back, data, "{codec:?}");
        assert!(
            before.is_empty() || before == compressed,
            "{codec:?}: the context remembers"
        );
        before = compressed;
    }
}
