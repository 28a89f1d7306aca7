//! One connection's requests and answers: headers, correlation, what is written and what is due.

use crate::error::{LooksLike, NetworkErrorKind, SendError};
use crate::frame::FrameReader;
use crate::{NetworkConfig, OutgoingRequest};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_protocol::ApiKey;
use ottla_protocol::wire::{Reader, TaggedFields};
use ottla_time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Correlation ids from here to `i32::MAX` are left to SASL, as in the Java client (`SaslClientAuthenticator`).
const CORRELATION_ID_RESERVED: i32 = 2_147_483_640;
/// How many they are.
const CORRELATION_IDS_RESERVED: u8 = 8;
/// The shortest answer.
pub(crate) const CORRELATION_ID_BYTES: usize = 4;
/// Headers are cut from blocks of this size: one allocation for about a hundred requests.
const HEADER_BLOCK_BYTES: usize = 4_096;

/// Who is waiting for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The session, before it is ready.
    ApiVersions,
    /// The session, to authenticate: before it is ready, or again.
    Sasl,
    /// The client, under its own number.
    Client(u64),
}

/// A request that was handed to the I/O and is not complete.
#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) purpose: Purpose,
    pub(crate) api_key: i16,
    pub(crate) timeout: Duration,
    correlation_id: i32,
    flexible_answer: bool,
    /// A message of SASL without header, as brokers before 1.0 take it: its answer has none, either.
    bare: bool,
    expects_response: bool,
    bytes_total: usize,
    bytes_unwritten: usize,
    deadline: Time,
}

impl Outstanding {
    /// Whether a byte of it was taken by the I/O.
    pub(crate) fn is_touched(&self) -> bool {
        self.bytes_unwritten < self.bytes_total
    }
}

/// The requests of one connection in the order in which they were sent, and the stream of answers.
#[derive(Debug, Default)]
pub(crate) struct Session {
    correlation_id_next: i32,
    /// Which of the reserved ids comes next.
    sasl_id_next: u8,
    outstanding: VecDeque<Outstanding>,
    /// How many of the oldest are wholly written.
    written_count: usize,
    bytes_unwritten: usize,
    /// Whether the I/O could not take everything at once.
    has_backlog: bool,
    frames: FrameReader,
}

/// What is the same for all sessions of a client.
#[derive(Debug)]
pub(crate) struct HeaderWriter {
    /// The client's id as the header has it: a nullable string, never compact, whatever the version.
    client_id_field: Bytes,
    block: BytesMut,
}

impl HeaderWriter {
    /// `client_id` has at most `i16::MAX` bytes: [`NetworkConfig`] was checked.
    pub(crate) fn new(client_id: Option<&str>) -> HeaderWriter {
        let mut field = BytesMut::new();
        match client_id {
            Some(id) => {
                field.put_i16(id.len() as i16);
                field.put_slice(id.as_bytes());
            }
            None => field.put_i16(-1),
        }
        HeaderWriter {
            client_id_field: field.freeze(),
            block: BytesMut::new(),
        }
    }

    /// The frame's length and the request's header, or `None` if the frame were too long.
    fn write(&mut self, request: &OutgoingRequest, correlation_id: i32) -> Option<Bytes> {
        let header_bytes = 8 + self.client_id_field.len() + usize::from(request.flexible);
        let length = i32::try_from(request.body.bytes_total().checked_add(header_bytes)?).ok()?;
        if self.block.capacity() < 4 + header_bytes {
            self.block = BytesMut::with_capacity(HEADER_BLOCK_BYTES.max(4 + header_bytes));
        }
        self.block.put_i32(length);
        self.block.put_i16(request.api_key);
        self.block.put_i16(request.api_version);
        self.block.put_i32(correlation_id);
        self.block.put_slice(&self.client_id_field);
        if request.flexible {
            // No tagged fields.
            self.block.put_u8(0);
        }
        Some(self.block.split().freeze())
    }
}

impl Session {
    /// Queues a request and returns its header, which goes in front of its body.
    pub(crate) fn send(
        &mut self,
        purpose: Purpose,
        request: &OutgoingRequest,
        headers: &mut HeaderWriter,
        now: Time,
    ) -> Result<Bytes, SendError> {
        let correlation_id = match purpose {
            Purpose::Sasl => CORRELATION_ID_RESERVED + i32::from(self.sasl_id_next),
            _ => self.correlation_id_next,
        };
        let header = headers.write(request, correlation_id).ok_or(SendError::TooLong)?;
        if purpose == Purpose::Sasl {
            self.sasl_id_next = (self.sasl_id_next + 1) % CORRELATION_IDS_RESERVED;
        } else {
            self.correlation_id_next = match correlation_id.wrapping_add(1) {
                CORRELATION_ID_RESERVED => i32::MIN,
                next => next,
            };
        }
        let bytes_total = header.len() + request.body.bytes_total();
        self.bytes_unwritten += bytes_total;
        self.outstanding.push_back(Outstanding {
            purpose,
            api_key: request.api_key,
            timeout: request.timeout,
            correlation_id,
            // A client must understand the answer of a broker that does not know the version it asked in (KIP-511).
            flexible_answer: request.flexible && request.api_key != ApiKey::API_VERSIONS.0,
            bare: false,
            expects_response: request.expects_response,
            bytes_total,
            bytes_unwritten: bytes_total,
            deadline: now + request.timeout,
        });
        Ok(header)
    }

    /// Queues a message of SASL without header, and returns its length, which goes in front of it.
    pub(crate) fn send_bare(
        &mut self,
        message: &Bytes,
        timeout: Duration,
        now: Time,
    ) -> Result<Bytes, SendError> {
        let length = i32::try_from(message.len()).map_err(|_| SendError::TooLong)?;
        let bytes_total = 4 + message.len();
        self.bytes_unwritten += bytes_total;
        self.outstanding.push_back(Outstanding {
            purpose: Purpose::Sasl,
            api_key: ApiKey::SASL_AUTHENTICATE.0,
            timeout,
            correlation_id: 0,
            flexible_answer: false,
            bare: true,
            expects_response: true,
            bytes_total,
            bytes_unwritten: bytes_total,
            deadline: now + timeout,
        });
        Ok(Bytes::copy_from_slice(&length.to_be_bytes()))
    }

    /// The I/O took `count` bytes. Calls `complete` for each request that needs no more than that, and returns whether
    /// a backlog is gone now.
    pub(crate) fn written(&mut self, mut count: usize, mut complete: impl FnMut(Purpose)) -> bool {
        self.bytes_unwritten = self.bytes_unwritten.saturating_sub(count);
        while let Some(request) = self.outstanding.get_mut(self.written_count) {
            let taken = count.min(request.bytes_unwritten);
            request.bytes_unwritten -= taken;
            count -= taken;
            if request.bytes_unwritten > 0 {
                break;
            }
            if request.expects_response {
                self.written_count += 1;
            } else if let Some(done) = self.outstanding.remove(self.written_count) {
                complete(done.purpose);
            }
        }
        let had_backlog = self.has_backlog;
        self.has_backlog = self.bytes_unwritten > 0;
        had_backlog && !self.has_backlog
    }

    /// The next answer in `input`, with the request it answers; `None` when `input` is used up.
    pub(crate) fn next_answer(
        &mut self,
        input: &mut Bytes,
        config: &NetworkConfig,
    ) -> Result<Option<(Purpose, Bytes)>, NetworkErrorKind> {
        if input.is_empty() {
            return Ok(None);
        }
        let Some(oldest) = self.outstanding.front() else {
            return Err(NetworkErrorKind::Unsolicited);
        };
        if self.written_count == 0 {
            return Err(if oldest.expects_response && oldest.is_touched() {
                NetworkErrorKind::AnsweredBeforeWritten
            } else {
                NetworkErrorKind::Unsolicited
            });
        }
        let bytes_max = match (oldest.purpose, ApiKey(oldest.api_key)) {
            (Purpose::ApiVersions | Purpose::Sasl, _) => config.setup_frame_bytes_max,
            (_, ApiKey::PRODUCE) => config.produce_frame_bytes_max,
            _ => config.frame_bytes_max,
        };
        let bytes_min = if oldest.bare { 0 } else { CORRELATION_ID_BYTES };
        let purpose = oldest.purpose;
        let frame = self.frames.next(input, bytes_min..=bytes_max);
        let Some(mut frame) = frame.map_err(|kind| first_answer(purpose, kind))? else {
            return Ok(None);
        };
        if !oldest.bare {
            // The frame reader gives no frame shorter than a correlation id.
            let received = frame.get_i32();
            if received != oldest.correlation_id {
                return Err(NetworkErrorKind::CorrelationMismatch {
                    expected: oldest.correlation_id,
                    received,
                });
            }
        }
        if oldest.flexible_answer {
            skip_tagged_fields(&mut frame)?;
        }
        self.outstanding.pop_front();
        self.written_count -= 1;
        Ok(Some((purpose, frame)))
    }

    /// Gives every outstanding request more time.
    pub(crate) fn extend_deadlines(&mut self, by: Duration) {
        for request in &mut self.outstanding {
            request.deadline += by;
        }
    }

    /// The outstanding request whose deadline comes first.
    pub(crate) fn most_urgent(&self) -> Option<(&Outstanding, Time)> {
        let request = self.outstanding.iter().min_by_key(|request| request.deadline)?;
        Some((request, request.deadline))
    }

    pub(crate) fn outstanding_count(&self) -> usize {
        self.outstanding.len()
    }

    pub(crate) fn bytes_unwritten(&self) -> usize {
        self.bytes_unwritten
    }

    /// Ends the session: what was outstanding, oldest first.
    pub(crate) fn into_outstanding(self) -> impl Iterator<Item = Outstanding> {
        self.outstanding.into_iter()
    }
}

/// Garbage in the middle may be an accident of the way there. Where it comes first, no broker listens, and trying again
/// does not help.
fn first_answer(purpose: Purpose, mut kind: NetworkErrorKind) -> NetworkErrorKind {
    if let NetworkErrorKind::FrameLength { looks_like, .. } = &mut kind
        && (purpose, *looks_like) == (Purpose::ApiVersions, LooksLike::Garbage)
    {
        *looks_like = LooksLike::NoBroker;
    }
    kind
}

/// Skips the tagged fields of an answer's header: Kafka has none there yet.
fn skip_tagged_fields(frame: &mut Bytes) -> Result<(), NetworkErrorKind> {
    let mut reader = Reader::from_bytes(frame);
    reader
        .unknown_tagged_fields(&mut TaggedFields::new())
        .map_err(|error| NetworkErrorKind::Malformed {
            detail: format!("the header: {error}"),
        })?;
    let header_bytes = reader.offset();
    frame.advance(header_bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of the next two requests of a session that would use `next`.
    fn ids_after(next: i32) -> [i32; 2] {
        let mut session = Session {
            correlation_id_next: next,
            ..Session::default()
        };
        let mut headers = HeaderWriter::new(None);
        let request = OutgoingRequest {
            id: 1,
            api_key: 3,
            api_version: 0,
            flexible: false,
            body: crate::Segments::new(),
            expects_response: true,
            timeout: Duration::from_secs(1),
        };
        [(); 2].map(|()| {
            let header = session
                .send(Purpose::Client(1), &request, &mut headers, Time::ZERO)
                .unwrap();
            assert_eq!(
                (header.len(), &header[12..]),
                (14, &[0xff; 2][..]),
                "a null client id"
            );
            i32::from_be_bytes(*header[8..].first_chunk().unwrap())
        })
    }

    #[test]
    fn correlation_ids_leave_out_those_of_sasl() {
        assert_eq!(ids_after(0), [0, 1]);
        assert_eq!(ids_after(2_147_483_638), [2_147_483_638, 2_147_483_639]);
        assert_eq!(ids_after(2_147_483_639), [2_147_483_639, -2_147_483_648]);
        assert_eq!(ids_after(-1), [-1, 0]);
    }

    #[test]
    fn many_headers_come_out_of_one_block() {
        let mut headers = HeaderWriter::new(Some("me"));
        let request = |bytes: usize| OutgoingRequest {
            id: 1,
            api_key: 0,
            api_version: 9,
            flexible: true,
            body: Bytes::from(vec![0; bytes]).into(),
            expects_response: true,
            timeout: Duration::ZERO,
        };
        for id in 0..1_000 {
            let header = headers.write(&request(id), id as i32).unwrap();
            assert_eq!(
                header,
                [
                    &(13 + id as u32).to_be_bytes()[..],
                    b"\0\0\0\x09",
                    &(id as u32).to_be_bytes(),
                    b"\0\x02me\0"
                ]
                .concat()
            );
        }
    }
}
