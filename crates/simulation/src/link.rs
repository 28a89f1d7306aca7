//! One TCP connection between the producer and a broker, and the weather on the way to each broker.

use fastrand::Rng;
use ottla_broker::FrameDecoder;
use ottla_time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// What a dial comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dial {
    /// Whatever the broker says.
    #[default]
    Open,
    /// Nobody listens.
    Refused,
    /// No answer, ever.
    Silent,
}

/// How the network between the producer and one broker is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// One way, without trouble.
    pub(crate) latency: Duration,
    /// What each way takes longer at the moment.
    pub(crate) extra: Duration,
    /// Nothing arrives before this: what is sent meanwhile comes late. To the broker, and back.
    pub(crate) stalled: (Time, Time),
    pub(crate) dial: Dial,
    /// Connections made now take so many bytes at a time.
    pub(crate) window: usize,
    /// Pieces that arrive are no larger than this.
    pub(crate) segment: usize,
    /// Connections made now end after so many bytes to the broker, or back.
    pub(crate) cut: (Option<usize>, Option<usize>),
}

impl Weather {
    pub(crate) fn fair(latency: Duration, window: usize) -> Weather {
        Weather {
            latency,
            extra: Duration::ZERO,
            stalled: (Time::ZERO, Time::ZERO),
            dial: Dial::Open,
            window,
            segment: usize::MAX,
            cut: (None, None),
        }
    }
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Way {
    /// When the last bytes arrive: nothing overtakes on a connection.
    last_arrival: Time,
    /// Everything is lost from now on, and nobody is told.
    pub(crate) black: bool,
    /// The connection ends after so many more bytes.
    pub(crate) cut: Option<usize>,
    /// What is under way does not arrive any more.
    pub(crate) lost: bool,
}

impl Way {
    fn new(cut: Option<usize>) -> Way {
        Way {
            last_arrival: Time::ZERO,
            black: false,
            cut,
            lost: false,
        }
    }

    /// When what is sent now arrives.
    pub(crate) fn arrival(&mut self, now: Time, delay: Duration, stalled: Time) -> Time {
        let at = (now + delay).max(stalled).max(self.last_arrival);
        self.last_arrival = at;
        at
    }

    /// What is sent from now on arrives then at the earliest.
    pub(crate) fn hold(&mut self, until: Time) {
        self.last_arrival = self.last_arrival.max(until);
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) broker: i32,
    /// As the producer's network calls it.
    pub(crate) connection: ottla_network::ConnectionId,
    /// As the cluster calls it, once it has taken it up.
    pub(crate) accepted: Option<ottla_broker::ConnectionId>,
    /// Whether the producer's side is there.
    pub(crate) client_open: bool,
    /// Whether the broker's side is there.
    pub(crate) broker_open: bool,
    pub(crate) up: Way,
    pub(crate) down: Way,
    /// What the producer wrote and its kernel has not taken.
    pub(crate) backlog: VecDeque<bytes::Bytes>,
    /// What the kernel has taken and the broker has not got.
    pub(crate) in_transit: usize,
    pub(crate) window: usize,
    pub(crate) segment: usize,
    pub(crate) decoder: FrameDecoder,
    /// The requests to end a transaction that have not arrived: their correlation ids, and how many transactions had begun.
    pub(crate) ends: VecDeque<(i32, u32)>,
}

impl Link {
    pub(crate) fn new(
        broker: i32,
        connection: ottla_network::ConnectionId,
        weather: &Weather,
        frame_bytes_max: usize,
    ) -> Link {
        Link {
            broker,
            connection,
            accepted: None,
            client_open: true,
            broker_open: false,
            up: Way::new(weather.cut.0),
            down: Way::new(weather.cut.1),
            backlog: VecDeque::new(),
            in_transit: 0,
            window: weather.window,
            segment: weather.segment,
            decoder: FrameDecoder::new(frame_bytes_max),
            ends: VecDeque::new(),
        }
    }

    /// The bytes that the kernel takes now: a copy, as it makes one.
    pub(crate) fn take_writable(&mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut room = self.window.saturating_sub(self.in_transit).min(self.segment);
        while room > 0 {
            let Some(piece) = self.backlog.front_mut() else {
                break;
            };
            let count = piece.len().min(room);
            taken.extend_from_slice(&piece.split_to(count));
            room -= count;
            if piece.is_empty() {
                self.backlog.pop_front();
            }
        }
        self.in_transit += taken.len();
        taken
    }
}

/// How long one way takes.
pub(crate) fn delay(weather: &Weather, jitter: Duration, random: &mut Rng) -> Duration {
    let jitter = jitter.as_nanos() as u64;
    let jitter = if jitter == 0 { 0 } else { random.u64(0..jitter) };
    weather.latency + weather.extra + Duration::from_nanos(jitter)
}
