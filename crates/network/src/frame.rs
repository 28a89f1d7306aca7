//! Frames out of a stream of bytes: four bytes of length, then as many bytes of an answer.

use crate::error::{LooksLike, NetworkErrorKind};
use bytes::{Buf, Bytes, BytesMut};
use std::ops::RangeInclusive;

/// The length in front of a frame.
const LENGTH_BYTES: usize = 4;

/// Cuts frames out of what was read. A frame that came whole is a slice of the input; one that came in parts is put
/// together, and memory for it grows with what came, never with what its length promises.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// The start of a frame, length included; empty if the input ended at a frame's end.
    partial: BytesMut,
}

impl FrameReader {
    /// The next whole frame without its length, or `None` when `input` is used up. Its length has to be one of
    /// `lengths`.
    pub(crate) fn next(
        &mut self,
        input: &mut Bytes,
        lengths: RangeInclusive<usize>,
    ) -> Result<Option<Bytes>, NetworkErrorKind> {
        if self.partial.is_empty() {
            if let Some(length) = frame_length(input, &lengths)?
                && input.len() >= LENGTH_BYTES + length
            {
                input.advance(LENGTH_BYTES);
                return Ok(Some(input.split_to(length)));
            }
        } else {
            self.fill(input, LENGTH_BYTES);
            if let Some(length) = frame_length(&self.partial, &lengths)? {
                self.fill(input, LENGTH_BYTES + length);
                if self.partial.len() == LENGTH_BYTES + length {
                    let mut frame = std::mem::take(&mut self.partial).freeze();
                    frame.advance(LENGTH_BYTES);
                    return Ok(Some(frame));
                }
            }
        }
        self.partial.extend_from_slice(input);
        input.clear();
        Ok(None)
    }

    /// Moves bytes from `input` until `partial` is `length` long, if there are as many.
    fn fill(&mut self, input: &mut Bytes, length: usize) {
        let missing = length.saturating_sub(self.partial.len()).min(input.len());
        self.partial.extend_from_slice(&input[..missing]);
        input.advance(missing);
    }
}

/// The length that `bytes` start with, once there are four of them.
fn frame_length(bytes: &[u8], lengths: &RangeInclusive<usize>) -> Result<Option<usize>, NetworkErrorKind> {
    let Some(&start) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(start);
    match usize::try_from(length) {
        Ok(length) if lengths.contains(&length) => Ok(Some(length)),
        _ => Err(NetworkErrorKind::FrameLength {
            length,
            bytes_max: *lengths.end(),
            looks_like: looks_like(start),
        }),
    }
}

/// What the first four bytes of an impossible answer tell about who sent them.
pub(crate) fn looks_like(start: [u8; LENGTH_BYTES]) -> LooksLike {
    match start {
        // The content types of TLS records, version 3.0 to 3.4. A server that wants TLS answers plain text with an
        // alert, 0x15.
        [0x14..=0x17, 0x03, 0x00..=0x04, _] => LooksLike::Tls,
        [b'H', b'T', b'T', b'P'] => LooksLike::Http,
        [b'S', b'S', b'H', b'-'] => LooksLike::Ssh,
        _ if start
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n')) =>
        {
            LooksLike::Text
        }
        // Up to 256 MiB: no limit of this client is set so high by mistake, and no text starts with such a byte.
        [0x00..=0x0f, ..] if i32::from_be_bytes(start) >= LENGTH_BYTES as i32 => LooksLike::LongFrame,
        _ => LooksLike::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(chunks: &[&[u8]], bytes_max: usize) -> (Vec<Vec<u8>>, Option<NetworkErrorKind>) {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            let mut input = Bytes::copy_from_slice(chunk);
            loop {
                match reader.next(&mut input, 4..=bytes_max) {
                    Ok(Some(frame)) => frames.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(kind) => return (frames, Some(kind)),
                }
            }
            assert!(input.is_empty());
        }
        (frames, None)
    }

    #[test]
    fn reads_and_writes_of_one_byte_give_the_same_frames() {
        let stream = b"\0\0\0\x04abcd\0\0\0\x06efghij\0\0\0\x04klmn";
        let expected = vec![b"abcd".to_vec(), b"efghij".to_vec(), b"klmn".to_vec()];
        assert_eq!(read_all(&[stream], 6), (expected.clone(), None));
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read_all(&bytes, 6), (expected.clone(), None));
        for at in 0..stream.len() {
            assert_eq!(
                read_all(&[&stream[..at], &stream[at..]], 6),
                (expected.clone(), None),
                "split at {at}"
            );
        }
    }

    #[test]
    fn impossible_lengths_say_what_they_look_like() {
        let check = |start: &[u8; 4], expected: LooksLike| {
            for chunks in [vec![&start[..]], start.chunks(1).collect()] {
                let (frames, error) = read_all(&chunks, 1_024);
                assert!(frames.is_empty());
                let Some(NetworkErrorKind::FrameLength {
                    length,
                    bytes_max,
                    looks_like,
                }) = error
                else {
                    panic!("{start:?}: {error:?}");
                };
                assert_eq!((length, bytes_max), (i32::from_be_bytes(*start), 1_024));
                assert_eq!(looks_like, expected, "{start:?}");
            }
        };
        check(&(-1_i32).to_be_bytes(), LooksLike::Garbage);
        check(&0_i32.to_be_bytes(), LooksLike::Garbage);
        check(&3_i32.to_be_bytes(), LooksLike::Garbage);
        check(&1_025_i32.to_be_bytes(), LooksLike::LongFrame);
        check(&i32::MAX.to_be_bytes(), LooksLike::Garbage);
        check(&i32::MIN.to_be_bytes(), LooksLike::Garbage);
        check(b"HTTP", LooksLike::Http);
        check(b"SSH-", LooksLike::Ssh);
        check(b"220 ", LooksLike::Text);
        check(b"\x15\x03\x03\x00", LooksLike::Tls);
        check(b"\x16\x03\x01\x02", LooksLike::Tls);
    }

    #[test]
    fn memory_grows_with_what_came_and_not_with_the_length() {
        let mut reader = FrameReader::default();
        let mut input = Bytes::from_static(b"\x3f\xff\xff\xff1");
        assert_eq!(reader.next(&mut input, 4..=i32::MAX as usize), Ok(None));
        assert!(reader.partial.capacity() < 1_024);
    }

    #[test]
    fn a_whole_frame_is_a_slice_of_the_input() {
        let mut input = Bytes::from_static(b"\0\0\0\x04abcd");
        let address = input[4..].as_ptr();
        let frame = FrameReader::default().next(&mut input, 4..=4).unwrap().unwrap();
        assert_eq!(frame.as_ptr(), address);
    }
}
