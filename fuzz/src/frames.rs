//! A stream of frames, whole and in pieces: sizes, headers of requests, answers to ApiVersions.
//!
//! Input: the largest frame that is taken (16 bits), the size of the pieces (8 bits), then the stream.

use bytes::{Bytes, BytesMut};
use ottla_protocol::frame::{self, SIZE_BYTES};
use ottla_protocol::messages::ApiVersionsRequest;
use ottla_protocol::wire::{Reader, Writer};
use ottla_protocol::{ApiVersions, Message};

use crate::within;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&[high, low, piece], stream)) = input.split_first_chunk() else {
        return;
    };
    let size_max = usize::from(u16::from_be_bytes([high, low]));
    let stream = Bytes::copy_from_slice(stream);
    // Frames are slices of the stream.
    let (frames, error) = within(64 * (stream.len() + 1), || split(&mut stream.clone(), size_max));
    assert_eq!(
        (frames.clone(), error),
        split_in_pieces(&stream, size_max, usize::from(piece) + 1)
    );
    for frame in frames {
        assert!(frame.len() <= size_max);
        request(&frame);
        response(&frame);
    }
}

/// All frames that are whole, and whether a size was refused.
fn split(stream: &mut Bytes, size_max: usize) -> (Vec<Bytes>, bool) {
    let mut frames = Vec::new();
    loop {
        let before = stream.len();
        match frame::split_frame(stream, size_max) {
            Ok(Some(frame)) => {
                assert_eq!(before, stream.len() + SIZE_BYTES + frame.len());
                frames.push(frame);
            }
            Ok(None) => return (frames, false),
            Err(error) => {
                assert!(error.size < 0 || error.size as usize > size_max, "{error}");
                return (frames, true);
            }
        }
    }
}

/// The same, from a buffer that fills piece by piece.
fn split_in_pieces(stream: &[u8], size_max: usize, piece: usize) -> (Vec<Bytes>, bool) {
    let mut frames = Vec::new();
    let mut buffer = BytesMut::new();
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        let mut filled = buffer.split().freeze();
        let (more, refused) = split(&mut filled, size_max);
        frames.extend(more);
        if refused {
            return (frames, true);
        }
        buffer = BytesMut::from(filled);
    }
    (frames, false)
}

fn request(frame: &Bytes) {
    let mut reader = Reader::from_bytes(frame);
    let Ok(header) = frame::decode_request_header(&mut reader) else {
        return;
    };
    if header.request_api_key == 18 {
        let version = header.request_api_version;
        if let Ok(request) = frame::decode_request::<ApiVersionsRequest>(&mut reader, version) {
            assert_eq!(reader.remaining(), 0);
            let mut writer = Writer::new();
            request
                .encode(&mut writer, version)
                .expect("what was read is written");
        }
    }
}

fn response(frame: &Bytes) {
    for version in 0..=ApiVersionsRequest::VERSIONS.max {
        let Ok((_, response)) = frame::decode_api_versions(frame, version) else {
            continue;
        };
        let versions = ApiVersions::from_response(&response);
        for (key, range) in versions.iter() {
            assert_eq!(versions.range(key), Some(range));
        }
        // Which version is agreed on is one that both have.
        if let Ok(agreed) = versions.negotiate::<ApiVersionsRequest>() {
            let range = versions
                .range(ottla_protocol::ApiKey::API_VERSIONS)
                .expect("it was agreed on");
            assert!(range.contains(agreed) && ApiVersionsRequest::VERSIONS.contains(agreed));
        }
    }
}
