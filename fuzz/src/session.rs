//! A peer that says anything, in any pieces, at any time, to the states of a connection.
//!
//! Two networks get the same bytes, one in the pieces of the input and one byte by byte: they must tell the same. Every
//! request that was taken ends with one event, and memory is bounded.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use bytes::Bytes;
use ottla_network::{
    ConnectionId, Endpoint, IoAction, IoFailure, Network, NetworkConfig, NetworkEvent, OutgoingRequest,
    Segments,
};
use ottla_time::Time;

use crate::within;

const NODE: i32 = 1;

/// The limits are made small, so that an input reaches them.
const FRAME_BYTES_MAX: usize = 4 * 1024;

/// What the states may hold besides what the input says: a few queues, and twice what a peer may make us buffer.
const MEMORY_BYTES: usize = 512 * 1024;

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    within(MEMORY_BYTES + 256 * input.len(), || {
        // Too short an input is none.
        let _ = operations(&mut Unstructured::new(input));
    });
}

/// Returns how many requests were answered.
fn operations(input: &mut Unstructured<'_>) -> Result<usize> {
    let mut sides = [Side::new(false), Side::new(true)];
    while !input.is_empty() {
        let operation = Operation::arbitrary(input)?;
        for side in &mut sides {
            side.run(&operation);
        }
        assert_eq!(sides[0].told, sides[1].told, "after {operation:?}");
    }
    for side in &mut sides {
        side.network.remove(NODE, side.now);
        side.drain();
        assert!(
            side.open.is_empty(),
            "these requests never ended: {:?}",
            side.open.keys()
        );
        assert_eq!(side.network.requests_outstanding(NODE), 0);
    }
    assert_eq!(sides[0].told, sides[1].told, "at the end");
    Ok(sides[0].answered)
}

#[derive(Debug)]
enum Operation<'a> {
    /// These bytes arrive.
    Read(&'a [u8]),
    /// A frame with the correlation id that is due next, or one beside it.
    Answer(&'a [u8], i32),
    Send {
        api_key: i16,
        flexible: bool,
        expects_response: bool,
        body: usize,
    },
    Advance(Duration),
    Connect,
    Disconnect,
    Closed,
    /// From now on the socket takes everything, or nothing.
    Writable(bool),
    /// From now on dials succeed, or fail.
    Reachable(bool),
}

impl<'a> Operation<'a> {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Operation<'a>> {
        Ok(match input.int_in_range(0..=11)? {
            0 | 1 => Operation::Read(bytes(input)?),
            2..=4 => Operation::Answer(
                bytes(input)?,
                if input.ratio(1, 8)? {
                    i32::arbitrary(input)?
                } else {
                    0
                },
            ),
            5 | 6 => Operation::Send {
                api_key: *input.choose(&[0, 3, 18])?,
                flexible: bool::arbitrary(input)?,
                expects_response: bool::arbitrary(input)?,
                body: input.int_in_range(0..=2_000)?,
            },
            7 => Operation::Advance(Duration::from_millis(u64::from(u16::arbitrary(input)?))),
            8 => Operation::Connect,
            9 => Operation::Disconnect,
            10 => Operation::Closed,
            _ if bool::arbitrary(input)? => Operation::Writable(bool::arbitrary(input)?),
            _ => Operation::Reachable(bool::arbitrary(input)?),
        })
    }
}

fn bytes<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let length = usize::from(u8::arbitrary(input)?);
    input.bytes(length.min(input.len()))
}

/// A network and the I/O around it.
struct Side {
    network: Network,
    byte_by_byte: bool,
    now: Time,
    connection: Option<ConnectionId>,
    /// Correlation ids of what was written and has not been answered.
    due: VecDeque<i32>,
    unwritten: usize,
    writable: bool,
    reachable: bool,
    next_id: u64,
    /// Requests that were taken and have not ended.
    open: HashMap<u64, bool>,
    answered: usize,
    /// A hash over all events, in order, and their number.
    told: (u64, usize),
}

impl Side {
    fn new(byte_by_byte: bool) -> Side {
        let mut config = NetworkConfig::default();
        config.setup_frame_bytes_max = FRAME_BYTES_MAX;
        config.produce_frame_bytes_max = FRAME_BYTES_MAX;
        config.frame_bytes_max = FRAME_BYTES_MAX;
        config.requests_outstanding_max = 8;
        let mut side = Side {
            network: Network::new(config, 1).expect("settings within their ranges"),
            byte_by_byte,
            now: Time::from_millis(1_000),
            connection: None,
            due: VecDeque::new(),
            unwritten: 0,
            writable: true,
            reachable: true,
            next_id: 0,
            open: HashMap::new(),
            answered: 0,
            told: (0, 0),
        };
        side.run(&Operation::Connect);
        side
    }

    fn run(&mut self, operation: &Operation<'_>) {
        match operation {
            Operation::Read(bytes) => self.read(bytes),
            Operation::Answer(body, beside) => {
                let correlation_id = self.due.pop_front().unwrap_or(0).wrapping_add(*beside);
                let size = body.len() as i32 + 4;
                self.read(&[&size.to_be_bytes()[..], &correlation_id.to_be_bytes(), body].concat());
            }
            Operation::Send {
                api_key,
                flexible,
                expects_response,
                body,
            } => {
                let request = OutgoingRequest {
                    id: self.next_id,
                    api_key: *api_key,
                    api_version: 3,
                    flexible: *flexible,
                    body: Segments::from(Bytes::from(vec![0; *body])),
                    expects_response: *expects_response,
                    timeout: Duration::from_secs(5),
                };
                if self.network.send(NODE, request, self.now).is_ok() {
                    self.open.insert(self.next_id, *expects_response);
                    self.next_id += 1;
                }
            }
            Operation::Advance(by) => {
                self.now += *by;
                self.network.handle_timeout(self.now);
            }
            Operation::Connect => self
                .network
                .connect(NODE, Endpoint::new("broker", 9092), self.now),
            Operation::Disconnect => self.network.disconnect(NODE, self.now),
            Operation::Closed => {
                if let Some(connection) = self.connection.take() {
                    self.network
                        .handle_closed(connection, IoFailure::end_of_stream(), self.now);
                }
            }
            Operation::Writable(writable) => self.writable = *writable,
            Operation::Reachable(reachable) => self.reachable = *reachable,
        }
        self.drain();
    }

    fn read(&mut self, bytes: &[u8]) {
        let Some(connection) = self.connection else {
            return;
        };
        let piece = if self.byte_by_byte { 1 } else { bytes.len().max(1) };
        for piece in bytes.chunks(piece) {
            self.network
                .handle_read(connection, Bytes::copy_from_slice(piece), self.now);
        }
    }

    fn drain(&mut self) {
        loop {
            if let Some(action) = self.network.poll_io() {
                self.act(action);
            } else if let Some(connection) = self.connection.filter(|_| self.writable && self.unwritten > 0) {
                self.network
                    .handle_written(connection, std::mem::take(&mut self.unwritten), self.now);
            } else if let Some(event) = self.network.poll_event() {
                self.hear(&event);
            } else {
                return;
            }
        }
    }

    fn act(&mut self, action: IoAction) {
        match action {
            IoAction::Resolve { connection, endpoint } => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port()));
                self.network
                    .handle_resolved(connection, Ok(vec![address]), self.now);
            }
            IoAction::Dial { connection, .. } if self.reachable => {
                self.connection = Some(connection);
                self.due.clear();
                self.unwritten = 0;
                self.network.handle_connected(connection, self.now);
            }
            IoAction::Dial { connection, .. } => {
                let refused = IoFailure::new(std::io::ErrorKind::ConnectionRefused, "refused");
                self.network.handle_connect_failed(connection, refused, self.now);
            }
            IoAction::Write {
                connection,
                header,
                body,
            } if self.connection == Some(connection) => {
                self.unwritten += header.len() + body.bytes_total();
                let frame_size = header.len() + body.bytes_total() - 4;
                assert_eq!(header[..4], (frame_size as u32).to_be_bytes());
                let correlation_id = header[8..12].first_chunk().copied().map(i32::from_be_bytes);
                self.due.extend(correlation_id);
            }
            IoAction::Close { connection } if self.connection == Some(connection) => self.connection = None,
            _ => {}
        }
    }

    fn hear(&mut self, event: &NetworkEvent) {
        self.answered += usize::from(matches!(event, NetworkEvent::Response { .. }));
        let ended = match event {
            NetworkEvent::Response { id, .. } => Some((*id, true)),
            NetworkEvent::Written { id, .. } => Some((*id, false)),
            NetworkEvent::Failed { id, .. } => Some((*id, self.open.get(id).copied().unwrap_or(true))),
            _ => None,
        };
        if let Some((id, answered)) = ended {
            let expected = self.open.remove(&id);
            assert_eq!(expected, Some(answered), "{event:?} ends no open request");
        }
        // Only a hash is kept: the input may make many events.
        for byte in format!("{event:?}").bytes() {
            self.told.0 = (self.told.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.told.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this the target could fuzz nothing but the set-up, and nobody would see it.
    #[test]
    fn the_corpus_gets_as_far_as_answers() {
        let input = include_bytes!("../corpus/session/answered");
        assert_eq!(operations(&mut Unstructured::new(input)), Ok(2));
    }
}
