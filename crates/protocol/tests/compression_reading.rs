//! What others may write and we have to read: every variant of the codecs' formats that Java's readers accept, and more;
//! made by other encoders than ours, or by hand.

#![cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]

use flate2::GzBuilder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use ottla_protocol::compression::{Compression, Compressor, DecompressError, Decompressor};
use std::io::Write;

/// Text that does not repeat within a block alone.
fn content(len: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| format!("{} {:x};", n % 5000, n.wrapping_mul(0x9e37_79b1) >> 20).into_bytes())
        .take(len)
        .collect()
}

fn decompress(compression: Compression, input: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let mut plain = Vec::new();
    Decompressor::new().decompress(compression, input, 1 << 20, &mut plain)?;
    Ok(plain)
}

fn reason(compression: Compression, input: &[u8]) -> &'static str {
    match decompress(compression, input) {
        Err(DecompressError::Corrupt {
            compression: found,
            reason,
        }) if found == compression => reason,
        other => panic!("{compression}: expected corrupt input, found {other:?}"),
    }
}

fn compress(compression: Compression, input: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let mut compressor = Compressor::new(compression).expect("compiled in");
    compressor
        .compress(&[input], &mut compressed)
        .expect("compresses");
    compressed
}

fn lz4_frame(info: FrameInfo, content: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).expect("into memory");
    encoder.finish().expect("into memory")
}

#[test]
fn lz4_frames_of_every_kind() {
    let sizes = [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ];
    for len in [0, 1, 1000, 65_536, 300_000] {
        let content = content(len);
        for (size, mode) in sizes
            .iter()
            .flat_map(|&size| [BlockMode::Independent, BlockMode::Linked].map(|mode| (size, mode)))
        {
            for (block_checksums, content_checksum, announced) in [
                (false, false, false),
                (true, false, true),
                (false, true, false),
                (true, true, true),
            ] {
                let info = FrameInfo::new()
                    .block_size(size)
                    .block_mode(mode)
                    .block_checksums(block_checksums)
                    .content_checksum(content_checksum)
                    .content_size(announced.then_some(len as u64));
                let frame = lz4_frame(info, &content);
                let plain = decompress(Compression::Lz4, &frame).expect("a frame");
                assert!(plain == content, "{len} {size:?} {mode:?}");
            }
        }
    }
}

#[test]
fn lz4_frames_in_a_row() {
    let (first, second) = (content(70_000), content(10));
    let skippable = [0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let frames = [
        &skippable[..],
        &compress(Compression::Lz4, &first),
        &lz4_frame(FrameInfo::new().block_mode(BlockMode::Linked), &second),
        // As in Java, what is no frame ends the reading.
        b"trailing",
    ];
    assert_eq!(
        decompress(Compression::Lz4, &frames.concat()),
        Ok([first, second].concat())
    );
}

#[test]
fn lz4_damage_is_named() {
    let info = FrameInfo::new()
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(1000));
    let frame = lz4_frame(info, &content(1000));
    let damaged = |at: usize| {
        let mut damaged = frame.clone();
        damaged[at] ^= 1;
        reason(Compression::Lz4, &damaged)
    };
    assert_eq!(damaged(0), "no frame");
    assert_eq!(damaged(4), "the frame needs a dictionary");
    assert_eq!(damaged(6), "the frame header's checksum does not match");
    assert_eq!(damaged(14), "the frame header's checksum does not match");
    assert_eq!(damaged(25), "a block's checksum does not match");
    assert_eq!(damaged(frame.len() - 1), "the content's checksum does not match");
    let cut = |len: usize| reason(Compression::Lz4, &frame[..len]);
    assert_eq!(cut(3), "no frame");
    assert_eq!(cut(10), "the frame header is cut off");
    assert_eq!(cut(15), "the end mark is missing");
    assert_eq!(cut(20), "a block is cut off");
    assert_eq!(cut(frame.len() - 8), "the end mark is missing");
}

#[test]
fn gzip_members_with_everything_a_header_can_hold() {
    let content = content(100_000);
    let member = |builder: GzBuilder| {
        let mut encoder: GzEncoder<Vec<u8>> = builder.write(Vec::new(), flate2::Compression::default());
        encoder.write_all(&content).expect("into memory");
        encoder.finish().expect("into memory")
    };
    let plain = member(GzBuilder::new());
    let full = member(
        GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(vec![1, 2, 3])
            .mtime(5),
    );
    assert_eq!(decompress(Compression::Gzip, &plain).as_ref(), Ok(&content));
    assert_eq!(decompress(Compression::Gzip, &full).as_ref(), Ok(&content));

    // Members follow each other; as in Java, what is none ends the reading.
    let three = [
        &plain[..],
        &full,
        &compress(Compression::Gzip, b"end"),
        b"trailing",
    ]
    .concat();
    assert_eq!(
        decompress(Compression::Gzip, &three),
        Ok([&content[..], &content, b"end"].concat())
    );

    // A header with a CRC of its own: that of the ten bytes before it.
    let mut with_crc = plain.clone();
    with_crc[3] = 2;
    let mut crc = flate2::Crc::new();
    crc.update(&with_crc[..10]);
    with_crc.splice(10..10, (crc.sum() as u16).to_le_bytes());
    assert_eq!(decompress(Compression::Gzip, &with_crc).as_ref(), Ok(&content));
    with_crc[10] ^= 1;
    assert_eq!(reason(Compression::Gzip, &with_crc), "no gzip header");
}

#[test]
fn gzip_damage_is_named() {
    let member = compress(Compression::Gzip, &content(1000));
    let damaged = |at: usize| {
        let mut damaged = member.clone();
        damaged[at] ^= 1;
        reason(Compression::Gzip, &damaged)
    };
    let end = member.len();
    assert_eq!(damaged(0), "no gzip header");
    assert_eq!(damaged(end - 8), "the checksum does not match");
    assert_eq!(damaged(end - 4), "the size does not match");
    assert_eq!(
        reason(Compression::Gzip, &member[..end - 1]),
        "the trailer is missing"
    );
    assert_eq!(
        reason(Compression::Gzip, &member[..end - 9]),
        "the deflate stream ends early"
    );
    assert_eq!(
        reason(Compression::Gzip, &member[..10]),
        "the deflate stream ends early"
    );
    assert_eq!(reason(Compression::Gzip, b""), "no gzip header");
}

#[test]
fn snappy_without_and_with_streams() {
    let content = content(50_000);
    let raw = snap::raw::Encoder::new().compress_vec(&content).expect("fits");
    assert_eq!(decompress(Compression::Snappy, &raw).as_ref(), Ok(&content));

    // Streams of blocks of any size follow each other.
    let stream = compress(Compression::Snappy, &content);
    let large_block = [&stream[..16], &(raw.len() as u32).to_be_bytes(), &raw].concat();
    let both = [&stream[..], &large_block].concat();
    assert_eq!(
        decompress(Compression::Snappy, &both),
        Ok([&content[..], &content].concat())
    );

    // A later version that says that this one can read it.
    let mut later = stream.clone();
    later[11] = 2;
    assert_eq!(decompress(Compression::Snappy, &later).as_ref(), Ok(&content));

    assert_eq!(
        reason(Compression::Snappy, &stream[..12]),
        "the header is cut off"
    );
    assert_eq!(
        reason(Compression::Snappy, &stream[..18]),
        "a block's length is cut off"
    );
    assert_eq!(reason(Compression::Snappy, &stream[..100]), "a block is cut off");
    assert_eq!(reason(Compression::Snappy, &[0xff; 12]), "a block's size is none");
    // A block of four bytes that announces 512 KiB.
    assert_eq!(
        reason(Compression::Snappy, &[0x80, 0x80, 0x20, 0]),
        "a block announces more than it can hold"
    );
}

#[test]
fn zstd_frames_of_every_kind() {
    let content = content(300_000);
    let skippable = [0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let mut frames = skippable.to_vec();
    for (announced, checksum, window_log) in [
        (true, true, 0),
        (false, true, 10),
        (true, false, 27),
        (false, false, 20),
    ] {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("a context");
        encoder.include_contentsize(announced).expect("a parameter");
        encoder.include_checksum(checksum).expect("a parameter");
        encoder.window_log(window_log).expect("a parameter");
        if announced {
            encoder
                .set_pledged_src_size(Some(content.len() as u64))
                .expect("a parameter");
        }
        encoder.write_all(&content).expect("into memory");
        let frame = encoder.finish().expect("into memory");
        assert_eq!(decompress(Compression::Zstd, &frame).as_ref(), Ok(&content));
        if checksum {
            let mut damaged = frame.clone();
            *damaged.last_mut().expect("a checksum") ^= 1;
            assert!(matches!(
                decompress(Compression::Zstd, &damaged),
                Err(DecompressError::Corrupt { .. })
            ));
        }
        frames.extend(&frame);
    }
    assert_eq!(
        decompress(Compression::Zstd, &frames),
        Err(DecompressError::TooLarge { limit: 1 << 20 })
    );
    let mut plain = Vec::new();
    Decompressor::new()
        .decompress(Compression::Zstd, &frames, 4 * content.len(), &mut plain)
        .expect("four frames");
    assert!(plain == content.repeat(4));
}

/// What a few bytes can announce: a content of any size, and 128 KiB for each block.
#[test]
fn zstd_announcements_are_not_believed() {
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0xc0 | 0x20];
    let announced = [&header[..], &(1u64 << 40).to_le_bytes(), &[1, 0, 0]].concat();
    let mut plain = Vec::new();
    let result = Decompressor::new().decompress(Compression::Zstd, &announced, 1 << 30, &mut plain);
    assert!(
        matches!(result, Err(DecompressError::Corrupt { .. })),
        "{result:?}"
    );
    assert!(plain.capacity() < 1024, "{}", plain.capacity());

    // A hundred blocks that repeat one byte 128 Ki times each.
    let run = (1u32 << 17) << 3 | 1 << 1;
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    for index in 0..100 {
        bomb.extend_from_slice(&(run | u32::from(index == 99)).to_le_bytes()[..3]);
        bomb.push(7);
    }
    assert_eq!(
        decompress(Compression::Zstd, &bomb),
        Err(DecompressError::TooLarge { limit: 1 << 20 })
    );
    let mut plain = Vec::new();
    Decompressor::new()
        .decompress(Compression::Zstd, &bomb, 100 << 17, &mut plain)
        .expect("valid");
    assert_eq!(plain.len(), 100 << 17);
}
