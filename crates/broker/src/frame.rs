//! Cutting a stream of bytes into request frames.

use bytes::{Buf, Bytes, BytesMut};
use ottla_protocol::frame::{FrameSizeError, SIZE_BYTES, check_size};

/// Collects bytes until they are whole frames. A frame is what follows its four bytes of length.
///
/// A frame shares the memory of the buffer that it was read into.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    frame_bytes_max: usize,
}

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
        // A size that cannot be is said by `next_frame`, and gets no room.
        let announced = self.announced().ok().flatten();
        let missing = announced.map_or(0, |size| (size + SIZE_BYTES).saturating_sub(self.buffer.len()));
        self.buffer.reserve(missing.clamp(READ_BYTES, 1024 * 1024));
        &mut self.buffer
    }

    /// Adds bytes that came some other way than through [`buffer_mut`](FrameDecoder::buffer_mut).
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    ///
    /// A size that no client sends. The connection cannot be used any more.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameSizeError> {
        let Some(size) = self.announced()? else {
            return Ok(None);
        };
        if self.buffer.len() - SIZE_BYTES < size {
            return Ok(None);
        }
        self.buffer.advance(SIZE_BYTES);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// The size of the frame that has begun.
    fn announced(&self) -> Result<Option<usize>, FrameSizeError> {
        let digits = self.buffer.first_chunk::<SIZE_BYTES>();
        digits
            .map(|digits| check_size(*digits, self.frame_bytes_max))
            .transpose()
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
            let error = decoder.next_frame().expect_err("no such frame");
            assert_eq!((error.size, error.size_max), (announced, 1_000));
        }
    }
}
