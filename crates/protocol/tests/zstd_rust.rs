//! zstd with and without C: each reads what the other writes.

#![cfg(any(feature = "zstd", feature = "zstd-rust"))]

use ottla_protocol::compression::{Compression, Compressor, DecompressError, Decompressor};

/// Text that compresses, without any library to make it.
fn text(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice([&b"orders "[..], b"customer ", b"paid ", b"42 "][(state >> 30) as usize]);
    }
    bytes.truncate(len);
    bytes
}

fn read(frame: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    Decompressor::new().decompress(Compression::Zstd, frame, limit, &mut out)?;
    Ok(out)
}

#[test]
fn chunks_come_back_as_one_and_limits_hold() {
    let mut compressor = Compressor::new(Compression::Zstd).expect("compiled in");
    for len in [0, 1, 100, 131_072, 131_073, 500_000] {
        let text = text(len);
        let chunks: Vec<&[u8]> = text.chunks(777).collect();
        let mut frame = b"before".to_vec();
        compressor.compress(&chunks, &mut frame).expect("no error");
        let frame = &frame[6..];
        assert_eq!(read(frame, len).expect("fits"), text);
        assert!(len < 1_000 || frame.len() * 3 < len, "{} of {len}", frame.len());
        if len > 0 {
            assert!(
                matches!(read(frame, len - 1), Err(DecompressError::TooLarge { .. })),
                "{len}"
            );
            assert!(read(&frame[..frame.len() - 1], len).is_err(), "{len}: cut off");
        }
    }
}

/// What `zstd-rust` writes for [`text`] of 200 bytes: C has to read it. (That it reads C's is in `records_golden.rs`.)
const WRITTEN_BY_RUST: &str = "28b52ffd00389d0200ec01006f726465727320637573746f6d657220706169642034323432343220343211a8\
    10c5cb7e07101462d507101ae388562ad6cfc2894e2c8d2210c96489238802e19260e6b0fa61a37a40afd357\
    205c9002";

#[test]
fn what_is_written_without_c_is_read_with_it() {
    let hex = WRITTEN_BY_RUST.as_bytes().chunks(2);
    let frame: Vec<u8> = hex
        .map(|digits| {
            u8::from_str_radix(std::str::from_utf8(digits).expect("ASCII"), 16).expect("hexadecimal")
        })
        .collect();
    assert_eq!(read(&frame, 1_000).expect("a frame"), text(200));
    if cfg!(not(feature = "zstd")) {
        let mut written = Vec::new();
        let mut compressor = Compressor::new(Compression::Zstd).expect("compiled in");
        compressor.compress(&[text(200)], &mut written).expect("no error");
        let written: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, WRITTEN_BY_RUST);
    }
}

/// Damage anywhere ends in an error or in bytes within the limit, and never in a panic.
#[test]
fn damage_is_an_error() {
    let mut frame = Vec::new();
    let mut compressor = Compressor::new(Compression::Zstd).expect("compiled in");
    compressor.compress(&[text(3_000)], &mut frame).expect("no error");
    for position in 0..frame.len() {
        for bit in 0..8 {
            let mut damaged = frame.clone();
            damaged[position] ^= 1 << bit;
            assert!(
                read(&damaged, 4_000).is_ok_and(|bytes| bytes.len() <= 4_000)
                    || read(&damaged, 4_000).is_err()
            );
        }
    }
}
