//! Cutting a stream of bytes into request frames.

use bytes::{Buf, Bytes, BytesMut};
use std::fmt;

/// Collects bytes until they are whole frames. A frame is what follows its four bytes of length.
///
/// A frame shares the memory of the buffer that it was read into.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    frame_bytes_max: usize,
}

/// A length field that no client sends. The connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The length that was announced.
    pub announced: i32,
    /// The largest length that is taken.
    pub frame_bytes_max: usize,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrameError {
            announced,
            frame_bytes_max,
        } = self;
        write!(
            f,
            "a frame of {announced} bytes was announced; 0 to {frame_bytes_max} are taken"
        )
    }
}

impl std::error::Error for FrameError {}

/// How much room a read gets at least: a batch of the default size and its request fit.
const READ_BYTES: usize = 64 * 1024;

impl FrameDecoder {
    /// A decoder that takes frames of up to `frame_bytes_max` bytes.
    pub fn new(frame_bytes_max: usize) -> FrameDecoder {
        FrameDecoder {
            buffer: BytesMut::new(),
            frame_bytes_max,
        }
    }

    /// Where the next bytes are to be read into: at the end of what is there, with room for at least the rest of the
    /// frame that has begun, though never for more than 1 MiB that did not arrive.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        let missing = self
            .announced()
            .map_or(0, |length| (length + 4).saturating_sub(self.buffer.len()));
        self.buffer.reserve(missing.clamp(READ_BYTES, 1024 * 1024));
        &mut self.buffer
    }

    /// Adds bytes that came some other way than through [`buffer_mut`](FrameDecoder::buffer_mut).
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let announced = i32::from_be_bytes(*head);
        let length = usize::try_from(announced)
            .ok()
            .filter(|&length| length <= self.frame_bytes_max)
            .ok_or(FrameError {
                announced,
                frame_bytes_max: self.frame_bytes_max,
            })?;
        if self.buffer.len() - 4 < length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn announced(&self) -> Option<usize> {
        let head = self.buffer.first_chunk::<4>()?;
        usize::try_from(i32::from_be_bytes(*head))
            .ok()
            .filter(|&length| length <= self.frame_bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_do_not_depend_on_how_bytes_arrive() {
        let mut stream = Vec::new();
        for frame in [&b"one"[..], b"", b"three"] {
            stream.extend_from_slice(&(frame.len() as i32).to_be_bytes());
            stream.extend_from_slice(frame);
        }
        for size in 1..=stream.len() {
            let mut decoder = FrameDecoder::new(5);
            let mut frames = Vec::new();
            for chunk in stream.chunks(size) {
                decoder.extend(chunk);
                while let Some(frame) = decoder.next_frame().expect("good frames") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "chunks of {size}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_anything_is_allocated() {
        for (head, announced) in [
            (&b"GET "[..], 0x4745_5420),
            (&[0x16, 3, 1, 2][..], 0x1603_0102),
            (&[0xff; 4][..], -1),
            (&[0x7f, 0xff, 0xff, 0xff][..], i32::MAX),
        ] {
            let mut decoder = FrameDecoder::new(1_000);
            decoder.extend(head);
            assert!(decoder.buffer_mut().capacity() < 2 * READ_BYTES);
            assert_eq!(
                decoder.next_frame(),
                Err(FrameError {
                    announced,
                    frame_bytes_max: 1_000
                })
            );
        }
    }
}
