//! The network of a seed: from the producer's connection states to the brokers and back.

use super::{Event, World};
use crate::call::END_TXN_OF_PROTOCOL_2;
use crate::link::{Dial, Link, delay};
use bytes::Bytes;
use ottla_broker::Output;
use ottla_network::{IoAction, IoFailure};
use ottla_protocol::ApiKey;
use ottla_time::Clock;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// API key, version and correlation id of a request.
pub(super) fn head(frame: &[u8]) -> Option<(ApiKey, i16, i32)> {
    let key = i16::from_be_bytes(frame.get(..2)?.try_into().ok()?);
    let version = i16::from_be_bytes(frame.get(2..4)?.try_into().ok()?);
    let correlation = i32::from_be_bytes(frame.get(4..8)?.try_into().ok()?);
    Some((ApiKey(key), version, correlation))
}

/// Frames larger than this are no requests of this producer, in bytes.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// The address of each host where nobody listens has this in front.
const DEAD: u8 = 66;

impl World {
    /// Does what the producer's network wants done. True if it wanted anything.
    pub(super) fn carry_out_io(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.client.network.poll_io() {
            any = true;
            match action {
                IoAction::Resolve { connection, endpoint } => {
                    let host = endpoint
                        .host()
                        .strip_prefix("broker-")
                        .and_then(|id| id.parse().ok());
                    let at = self.now + Duration::from_micros(self.random.u64(..3_000));
                    let host = host.unwrap_or(0);
                    self.queue.push(
                        at,
                        Event::Resolved {
                            connection,
                            host,
                            generation: self.desk.generation.get(),
                        },
                    );
                }
                IoAction::Dial {
                    connection, address, ..
                } => self.dial(connection, address),
                IoAction::Write {
                    connection,
                    header,
                    body,
                } => {
                    let Some(&link) = self.by_connection.get(&connection) else {
                        continue;
                    };
                    self.note_end(link, &header);
                    let backlog = &mut self.links[link].backlog;
                    backlog.push_back(header);
                    backlog.extend(body);
                    self.pump(link);
                }
                IoAction::Close { connection } => self.close_client(connection),
                _ => {}
            }
        }
        any
    }

    pub(super) fn handle_net(&mut self, event: Event) {
        match event {
            Event::Resolved { generation, .. } if generation != self.desk.generation.get() => {}
            Event::Resolved { connection, host, .. } => self.resolved(connection, host),
            Event::DialArrives(link) => self.dial_arrives(link),
            Event::DialEnds { link, accepted } => self.dial_ends(link, accepted),
            Event::Up { link, bytes } => self.up_arrives(link, &bytes),
            Event::UpEnds(link) => {
                let link = &mut self.links[link];
                if let Some(id) = link.accepted
                    && std::mem::take(&mut link.broker_open)
                {
                    self.cluster.handle_closed(id, self.now);
                }
            }
            Event::Down { link, bytes } => self.down_arrives(link, bytes),
            Event::DownEnds(link) => self.down_ends(link),
            _ => {}
        }
    }

    fn resolved(&mut self, connection: ottla_network::ConnectionId, host: i32) {
        self.driver_due = true;
        let found = if self.names_work && host > 0 {
            let mut found = vec![SocketAddr::from(([10, 0, 0, host as u8], 9092))];
            if self.scenario.dead_addresses {
                found.insert(0, SocketAddr::from(([DEAD, 0, 0, host as u8], 9092)));
            }
            Ok(found)
        } else {
            Err(IoFailure::new(io::ErrorKind::NotFound, "no such host"))
        };
        self.client.network.handle_resolved(connection, found, self.now);
    }

    fn dial(&mut self, connection: ottla_network::ConnectionId, address: SocketAddr) {
        let octets = match address {
            SocketAddr::V4(address) => address.ip().octets(),
            SocketAddr::V6(_) => [DEAD; 4],
        };
        let broker = i32::from(octets[3]);
        let weather = self.weather[broker as usize - 1];
        let link = self.links.len();
        self.links
            .push(Link::new(broker, connection, &weather, FRAME_BYTES_MAX));
        self.by_connection.insert(connection, link);
        let refused = octets[0] == DEAD || weather.dial == Dial::Refused;
        let there = delay(&weather, self.scenario.jitter, &mut self.random);
        let at = self.links[link].up.arrival(self.now, there, weather.stalled.0);
        if refused {
            self.queue.push(
                at + weather.latency,
                Event::DialEnds {
                    link,
                    accepted: false,
                },
            );
        } else if weather.dial != Dial::Silent {
            self.queue.push(at, Event::DialArrives(link));
        }
    }

    fn dial_arrives(&mut self, index: usize) {
        let link = &mut self.links[index];
        let accepted = self.cluster.accept(link.broker, "10.0.0.9", self.now);
        if let Ok(id) = accepted {
            link.accepted = Some(id);
            link.broker_open = true;
            self.by_accepted.insert(id, index);
        }
        let at = self.down_arrival(index);
        let accepted = accepted.is_ok();
        self.queue.push(
            at,
            Event::DialEnds {
                link: index,
                accepted,
            },
        );
    }

    fn dial_ends(&mut self, index: usize, accepted: bool) {
        let link = &mut self.links[index];
        if !link.client_open {
            return;
        }
        self.driver_due = true;
        let connection = link.connection;
        if accepted {
            self.client.network.handle_connected(connection, self.now);
            return;
        }
        link.client_open = false;
        self.by_connection.remove(&connection);
        self.desk.counters.borrow_mut().dials_failed += 1;
        let failure = IoFailure::new(io::ErrorKind::ConnectionRefused, "connection refused");
        self.client
            .network
            .handle_connect_failed(connection, failure, self.now);
    }

    /// The producer's side of a connection ends; what its kernel took is still on its way.
    pub(super) fn close_client(&mut self, connection: ottla_network::ConnectionId) {
        let Some(index) = self.by_connection.remove(&connection) else {
            return;
        };
        let link = &mut self.links[index];
        link.client_open = false;
        link.backlog.clear();
        if !link.up.black {
            let at = self.up_arrival(index);
            self.queue.push(at, Event::UpEnds(index));
        }
    }

    fn up_arrival(&mut self, index: usize) -> ottla_time::Time {
        let link = &mut self.links[index];
        let weather = &self.weather[link.broker as usize - 1];
        let way = delay(weather, self.scenario.jitter, &mut self.random);
        link.up.arrival(self.now, way, weather.stalled.0)
    }

    fn down_arrival(&mut self, index: usize) -> ottla_time::Time {
        let link = &mut self.links[index];
        let weather = &self.weather[link.broker as usize - 1];
        let way = delay(weather, self.scenario.jitter, &mut self.random);
        link.down.arrival(self.now, way, weather.stalled.1)
    }

    /// Lets the kernel take what it has room for.
    fn pump(&mut self, index: usize) {
        while self.links[index].client_open {
            let mut bytes = self.links[index].take_writable();
            if bytes.is_empty() {
                break;
            }
            let link = &mut self.links[index];
            self.client
                .network
                .handle_written(link.connection, bytes.len(), self.now);
            if link.up.black {
                continue;
            }
            let mut ends = false;
            if let Some(left) = &mut link.up.cut {
                ends = *left <= bytes.len();
                bytes.truncate(*left);
                *left -= bytes.len();
            }
            let at = self.up_arrival(index);
            self.queue.push(at, Event::Up { link: index, bytes });
            if ends {
                self.reset(index);
                break;
            }
        }
        if !self.links[index].backlog.is_empty() {
            self.desk.counters.borrow_mut().partial_writes += 1;
        }
    }

    /// A connection breaks: both sides hear of it, after what is on its way.
    pub(super) fn reset(&mut self, index: usize) {
        self.links[index].up.black = true;
        self.desk.counters.borrow_mut().resets += 1;
        let at = self.up_arrival(index);
        self.queue.push(at, Event::UpEnds(index));
        let at = self.down_arrival(index);
        self.queue.push(at, Event::DownEnds(index));
    }

    fn up_arrives(&mut self, index: usize, bytes: &[u8]) {
        let link = &mut self.links[index];
        link.in_transit -= bytes.len();
        if let (true, Some(id)) = (link.broker_open, link.accepted) {
            link.decoder.extend(bytes);
            loop {
                match self.links[index].decoder.next_frame() {
                    Ok(Some(frame)) => self.frame_arrives(index, id, frame),
                    Ok(None) => break,
                    Err(error) => {
                        self.desk.fail(format!("a frame that no producer sends: {error}"));
                        break;
                    }
                }
            }
        }
        if !self.links[index].backlog.is_empty() {
            self.driver_due = true;
            self.pump(index);
        }
    }

    fn frame_arrives(&mut self, index: usize, id: ottla_broker::ConnectionId, frame: Bytes) {
        let link = &self.links[index];
        self.trace.bytes(&frame);
        let late = !link.client_open;
        self.trace.note(
            self.now,
            "frame",
            [frame.len() as u64, u64::from(late)],
            format_args!(
                "API {:?} of {} bytes for {}{}",
                frame.get(..4),
                frame.len(),
                link.broker,
                if late { ", late" } else { "" }
            ),
        );
        if late {
            self.desk.counters.borrow_mut().late_arrivals += 1;
        }
        self.count_late_end(index, &frame);
        self.spring_ambush(index, &frame);
        self.cluster
            .handle_frame(id, frame, self.now, self.clock.wall_ms());
    }

    /// A request goes out. If it is EndTxn, trouble may have waited for it.
    fn note_end(&mut self, index: usize, header: &Bytes) {
        let Some((ApiKey::END_TXN, _, correlation)) = header.get(4..).and_then(head) else {
            return;
        };
        let link = &mut self.links[index];
        link.ends.push_back((correlation, self.desk.begun.get()));
        if let Some((up, back)) = self.hold_end.take() {
            let way = if up { &mut link.up } else { &mut link.down };
            way.hold(self.now + back);
        }
    }

    /// Counts an EndTxn that arrives when its producer has begun another transaction.
    fn count_late_end(&mut self, index: usize, frame: &Bytes) {
        let Some((ApiKey::END_TXN, version, correlation)) = head(frame) else {
            return;
        };
        let ends = &mut self.links[index].ends;
        let Some(at) = ends.iter().position(|&(sent, _)| sent == correlation) else {
            return;
        };
        let begun = ends.remove(at).map(|(_, begun)| begun);
        if begun.is_none_or(|begun| begun >= self.desk.begun.get()) {
            return;
        }
        let mut counters = self.desk.counters.borrow_mut();
        match version {
            ..END_TXN_OF_PROTOCOL_2 => counters.late_ends_1 += 1,
            _ => counters.late_ends_2 += 1,
        }
        let transaction = self.cluster.transaction(super::TRANSACTIONAL_ID);
        let is_open = transaction.is_some_and(|transaction| transaction.state == "Ongoing");
        counters.late_ends_open += u64::from(is_open);
    }

    /// Takes what the brokers want done. True if they wanted anything.
    pub(super) fn drain_cluster(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.cluster.poll_output() {
            any = true;
            match output {
                Output::Send { connection, bytes } => {
                    if let Some(&link) = self.by_accepted.get(&connection) {
                        self.send_down(link, bytes);
                    } else if self.twin_connections.remove(&connection) {
                        self.twin_answered(&bytes);
                    }
                }
                Output::Close { connection, at_once } => {
                    let Some(link) = self.by_accepted.remove(&connection) else {
                        continue;
                    };
                    self.links[link].broker_open = false;
                    // A broker that dies may take with it what was on its way.
                    self.links[link].down.lost |= at_once && self.random.bool();
                    if !self.links[link].down.black {
                        let at = self.down_arrival(link);
                        self.queue.push(at, Event::DownEnds(link));
                    }
                }
                _ => {}
            }
        }
        self.count_cluster_events();
        any
    }

    fn send_down(&mut self, index: usize, bytes: Bytes) {
        let link = &mut self.links[index];
        if link.down.black {
            return;
        }
        let mut bytes = Vec::from(bytes);
        let mut ends = false;
        if let Some(left) = &mut link.down.cut {
            ends = *left <= bytes.len();
            bytes.truncate(*left);
            *left -= bytes.len();
        }
        let segment = link.segment.max(1);
        for piece in bytes.chunks(segment) {
            let at = self.down_arrival(index);
            self.queue.push(
                at,
                Event::Down {
                    link: index,
                    bytes: piece.to_vec(),
                },
            );
        }
        if ends {
            self.links[index].down.black = true;
            self.reset(index);
        }
    }

    fn down_arrives(&mut self, index: usize, bytes: Vec<u8>) {
        let link = &self.links[index];
        if link.client_open && !link.down.lost {
            self.driver_due = true;
            self.client
                .network
                .handle_read(link.connection, bytes.into(), self.now);
        }
    }

    fn down_ends(&mut self, index: usize) {
        let link = &mut self.links[index];
        if !link.client_open {
            return;
        }
        link.client_open = false;
        link.backlog.clear();
        let connection = link.connection;
        self.by_connection.remove(&connection);
        self.driver_due = true;
        self.client
            .network
            .handle_closed(connection, IoFailure::end_of_stream(), self.now);
    }
}
