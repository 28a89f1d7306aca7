//! Two ways to a broker for raw requests: the core without a socket, and a real Kafka over TCP.

use bytes::Bytes;
use ottla_broker::{Cluster, ClusterConfig, ConnectionId, Output};
use ottla_time::Time;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Carries one request, and brings its answer.
pub(crate) trait Link {
    /// Sends a frame (with its length) and waits for the frame that answers it (without). `None` if the broker closed
    /// the connection; the next request opens a new one.
    fn exchange(&mut self, frame: &[u8]) -> Option<Bytes>;
}

/// What the wall shows to the core.
pub(crate) const WALL_MS: i64 = 1_700_000_000_000;

/// The core, whose time moves to its next deadline when it has nothing to say.
pub(crate) struct Core {
    pub(crate) cluster: Cluster,
    pub(crate) now: Time,
    broker: i32,
    connection: Option<ConnectionId>,
}

impl Core {
    pub(crate) fn new(config: ClusterConfig) -> Core {
        Core {
            cluster: Cluster::new(config).expect("a good configuration"),
            now: Time::ZERO,
            broker: 1,
            connection: None,
        }
    }

    /// The next requests go to another broker.
    pub(crate) fn connect(&mut self, broker: i32) {
        self.broker = broker;
        self.connection = None;
    }

    pub(crate) fn connection(&mut self) -> ConnectionId {
        match self.connection {
            Some(id) => id,
            None => {
                let id = self
                    .cluster
                    .accept(self.broker, "test", self.now)
                    .expect("a broker that is up");
                self.connection = Some(id);
                id
            }
        }
    }

    fn wall_ms(&self) -> i64 {
        WALL_MS + i64::try_from(self.now.as_millis()).expect("a short test")
    }

    /// Hands a frame (with its length) over.
    pub(crate) fn submit(&mut self, frame: &[u8]) -> ConnectionId {
        let id = self.connection();
        let wall_ms = self.wall_ms();
        self.cluster
            .handle_frame(id, Bytes::copy_from_slice(&frame[4..]), self.now, wall_ms);
        id
    }

    /// Moves time on.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        let wall_ms = self.wall_ms();
        self.cluster.handle_timeout(self.now, wall_ms);
    }

    /// What comes next, with time moved on as far as it takes.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.cluster.poll_output() {
                return Some(output);
            }
            let deadline = self.cluster.poll_timeout()?;
            self.now = self.now.max(deadline);
            let wall_ms = self.wall_ms();
            self.cluster.handle_timeout(self.now, wall_ms);
        }
    }
}

impl Link for Core {
    fn exchange(&mut self, frame: &[u8]) -> Option<Bytes> {
        let id = self.submit(frame);
        loop {
            match self.next_output() {
                Some(Output::Send { connection, bytes }) if connection == id => {
                    return Some(bytes.slice(4..));
                }
                Some(Output::Close { connection, .. }) if connection == id => {
                    self.connection = None;
                    return None;
                }
                Some(_) => {}
                None => panic!("the core neither answers nor closes"),
            }
        }
    }
}

/// A real broker.
pub(crate) struct Socket {
    address: String,
    stream: Option<TcpStream>,
}

impl Socket {
    pub(crate) fn new(address: &str) -> Socket {
        Socket {
            address: address.to_owned(),
            stream: None,
        }
    }

    fn stream(&mut self) -> &mut TcpStream {
        let address = &self.address;
        self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(address).expect("the real Kafka listens");
            stream.set_nodelay(true).expect("a TCP socket");
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .expect("a TCP socket");
            stream
        })
    }

    fn receive(&mut self) -> Option<Bytes> {
        let stream = self.stream();
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).ok()?;
        Some(Bytes::from(frame))
    }
}

impl Link for Socket {
    fn exchange(&mut self, frame: &[u8]) -> Option<Bytes> {
        // A broker that has closed the connection may let the write fail, or only the read.
        let written = self.stream().write_all(frame);
        let answer = written.ok().and_then(|()| self.receive());
        if answer.is_none() {
            self.stream = None;
        }
        answer
    }
}
