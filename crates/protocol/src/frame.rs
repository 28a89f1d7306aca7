//! Whole requests and responses: a size, a header and a message.
//!
//! On a connection each message follows its size, a signed 32-bit number that does not count itself. A request's header
//! says what follows; a response's header has only the correlation id of its request, so a client has to remember which
//! API and version that was. Responses come in the order of their requests.

use bytes::Bytes;

use crate::message::{Message, Request};
use crate::messages::{RequestHeader, ResponseHeader};
use crate::wire::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Writer};

/// The bytes of the size before a request or a response.
pub const SIZE_BYTES: usize = 4;

/// Encodes a request with its size and header, ready to be written to a connection.
///
/// The header's API key and version are set here; the caller chooses `correlation_id` and checks it in the response.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    append_request(&mut writer, request, version, correlation_id, client_id)?;
    Ok(writer.into_bytes())
}

/// As [`encode_request`], behind what has been written before.
pub fn append_request<R: Request>(
    writer: &mut Writer,
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<(), EncodeError> {
    let header = RequestHeader {
        request_api_key: R::KEY.0,
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
        ..RequestHeader::default()
    };
    append(writer, &header, R::header_version(version), request, version)
}

/// Encodes a response with its size and header: what a broker writes.
pub fn encode_response<R: Request>(
    response: &R::Response,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    let header = ResponseHeader {
        correlation_id,
        ..ResponseHeader::default()
    };
    let mut writer = Writer::new();
    append(
        &mut writer,
        &header,
        R::response_header_version(version),
        response,
        version,
    )?;
    Ok(writer.into_bytes())
}

fn append<H: Message, M: Message>(
    writer: &mut Writer,
    header: &H,
    header_version: i16,
    message: &M,
    version: i16,
) -> Result<(), EncodeError> {
    let start = writer.len();
    writer.i32(0);
    header.encode(writer, header_version)?;
    message.encode(writer, version)?;
    let length = writer.len() - start - SIZE_BYTES;
    let Ok(size) = i32::try_from(length) else {
        let kind = EncodeErrorKind::TooLong {
            length,
            limit: i32::MAX as usize,
        };
        return Err(EncodeError::new(kind, "").in_message(M::NAME, version));
    };
    writer.patch_i32(start, size);
    Ok(())
}

/// Splits the first whole frame from `input`, without its size; none until all of it is there.
///
/// A size that is negative or above `size_max` is an error at once: no memory should be set aside for it.
pub fn split_frame(input: &mut Bytes, size_max: usize) -> Result<Option<Bytes>, FrameSizeError> {
    let Some(digits) = input.first_chunk::<SIZE_BYTES>() else {
        return Ok(None);
    };
    let size = check_size(*digits, size_max)?;
    if input.len() - SIZE_BYTES < size {
        return Ok(None);
    }
    let mut frame = input.split_to(SIZE_BYTES + size);
    Ok(Some(frame.split_off(SIZE_BYTES)))
}

/// The size of the frame that follows these bytes, if it is within `0..=size_max`.
pub fn check_size(digits: [u8; SIZE_BYTES], size_max: usize) -> Result<usize, FrameSizeError> {
    let size = i32::from_be_bytes(digits);
    match usize::try_from(size) {
        Ok(size) if size <= size_max => Ok(size),
        _ => Err(FrameSizeError { size, size_max }),
    }
}

/// A frame's size is negative, or above what the caller takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameSizeError {
    /// The size.
    pub size: i32,
    /// The caller's limit.
    pub size_max: usize,
}

impl std::fmt::Display for FrameSizeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "a frame of {} bytes, at most {} are expected",
            self.size, self.size_max
        )
    }
}

impl std::error::Error for FrameSizeError {}

/// Decodes a frame (without its size) as the response to a request `R` of this version: the correlation id and the
/// response.
///
/// ApiVersions has a special case that the caller sees as an error code: a broker that does not know the version
/// answers with version 0 and UNSUPPORTED_VERSION. [`decode_api_versions`] reads that too.
pub fn decode_response<R: Request>(frame: &Bytes, version: i16) -> Result<(i32, R::Response), DecodeError> {
    let mut reader = Reader::from_bytes(frame);
    let header = ResponseHeader::decode(&mut reader, R::response_header_version(version))?;
    let response = R::Response::decode(&mut reader, version)?;
    finish::<R::Response>(&reader, version)?;
    Ok((header.correlation_id, response))
}

/// Decodes a frame as the answer to ApiVersions, which may be of version 0 whatever version was asked for (KIP-511).
pub fn decode_api_versions(
    frame: &Bytes,
    version: i16,
) -> Result<(i32, crate::messages::ApiVersionsResponse), DecodeError> {
    use crate::messages::ApiVersionsRequest;
    /// Behind the correlation id.
    const ERROR_CODE_AT: usize = 4;
    let code = frame
        .get(ERROR_CODE_AT..)
        .and_then(|rest| rest.first_chunk().copied())
        .map(i16::from_be_bytes);
    let unsupported = code == Some(crate::ErrorCode::UNSUPPORTED_VERSION.0);
    decode_response::<ApiVersionsRequest>(frame, if unsupported { 0 } else { version })
}

/// Decodes the header of a request's frame (without its size), and leaves the reader before the message.
///
/// The header's first fields say which version it is of itself; a key that is not known, or a version that we do not
/// have, is read as the older form, which every header begins with. For them the reader is of no further use.
pub fn decode_request_header(reader: &mut Reader<'_>) -> Result<RequestHeader, DecodeError> {
    let mut peek = reader.clone();
    let key = crate::ApiKey(peek.i16("request_api_key")?);
    let version = peek.i16("request_api_version")?;
    let header_version = if key.is_flexible(version) { 2 } else { 1 };
    RequestHeader::decode(reader, header_version)
}

/// Decodes the message behind a request's header; nothing may follow it.
pub fn decode_request<R: Request>(reader: &mut Reader<'_>, version: i16) -> Result<R, DecodeError> {
    let request = R::decode(reader, version)?;
    finish::<R>(reader, version)?;
    Ok(request)
}

fn finish<M: Message>(reader: &Reader<'_>, version: i16) -> Result<(), DecodeError> {
    match reader.remaining() {
        0 => Ok(()),
        remaining => Err(reader
            .error(DecodeErrorKind::TrailingBytes { remaining }, "")
            .in_message(M::NAME, version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse};

    #[test]
    fn a_request_is_size_header_and_message() {
        let request = ApiVersionsRequest::default();
        let frame = encode_request(&request, 0, 7, Some("me")).unwrap();
        // As kafka-clients 4.3.1 writes it.
        assert_eq!(
            frame[..],
            [0, 0, 0, 12, 0, 18, 0, 0, 0, 0, 0, 7, 0, 2, b'm', b'e']
        );
        let frame = encode_request(&request, 3, 7, None).unwrap();
        // The client id is null in the old form though the header is flexible.
        assert_eq!(
            frame[..],
            [0, 0, 0, 14, 0, 18, 0, 3, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 1, 0]
        );
    }

    #[test]
    fn a_broker_reads_what_a_client_writes_and_the_reverse() {
        for version in MetadataRequest::VERSIONS.min..=MetadataRequest::VERSIONS.max {
            let request = MetadataRequest::default();
            let mut input = encode_request(&request, version, -5, Some("client")).unwrap();
            let frame = split_frame(&mut input, 1000).unwrap().unwrap();
            assert!(input.is_empty());
            let mut reader = Reader::from_bytes(&frame);
            let header = decode_request_header(&mut reader).unwrap();
            assert_eq!((header.request_api_key, header.request_api_version), (3, version));
            assert_eq!(
                (header.correlation_id, header.client_id.as_deref()),
                (-5, Some("client"))
            );
            assert_eq!(
                decode_request::<MetadataRequest>(&mut reader, version),
                Ok(request)
            );

            let response = MetadataResponse::default();
            let mut input = encode_response::<MetadataRequest>(&response, version, -5).unwrap();
            let frame = split_frame(&mut input, 1000).unwrap().unwrap();
            assert_eq!(
                decode_response::<MetadataRequest>(&frame, version),
                Ok((-5, response))
            );
        }
    }

    #[test]
    fn an_old_broker_answers_api_versions_with_version_0() {
        let answer = ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION.0,
            ..ApiVersionsResponse::default()
        };
        let mut input = encode_response::<ApiVersionsRequest>(&answer, 0, 1).unwrap();
        let frame = split_frame(&mut input, 1000).unwrap().unwrap();
        assert!(decode_response::<ApiVersionsRequest>(&frame, 4).is_err());
        assert_eq!(decode_api_versions(&frame, 4), Ok((1, answer)));
    }

    #[test]
    fn frames_are_split_when_they_are_whole() {
        let whole = Bytes::from_static(&[0, 0, 0, 2, 8, 9, 0, 0, 0, 0, 1]);
        for end in 0..6 {
            let mut input = whole.slice(..end);
            assert_eq!(split_frame(&mut input, 2), Ok(None));
            assert_eq!(
                input.len(),
                end,
                "nothing is taken from a frame that is not whole"
            );
        }
        let mut input = whole;
        assert_eq!(split_frame(&mut input, 2), Ok(Some(Bytes::from_static(&[8, 9]))));
        assert_eq!(split_frame(&mut input, 2), Ok(Some(Bytes::new())));
        assert_eq!(input, Bytes::from_static(&[1]));
    }

    #[test]
    fn sizes_out_of_range_are_refused_before_the_frame_comes() {
        for size in [-1, i32::MIN, 3, i32::MAX] {
            let mut input = Bytes::copy_from_slice(&size.to_be_bytes());
            assert_eq!(
                split_frame(&mut input, 2),
                Err(FrameSizeError { size, size_max: 2 })
            );
        }
    }

    #[test]
    fn bytes_behind_a_message_are_an_error() {
        let mut input = encode_response::<MetadataRequest>(&MetadataResponse::default(), 9, 1).unwrap();
        let mut longer = split_frame(&mut input, 1000).unwrap().unwrap().to_vec();
        longer.push(0);
        let error = decode_response::<MetadataRequest>(&Bytes::from(longer), 9).unwrap_err();
        assert_eq!(error.kind(), &DecodeErrorKind::TrailingBytes { remaining: 1 });
        assert_eq!(error.message(), Some("MetadataResponse"));
    }
}
