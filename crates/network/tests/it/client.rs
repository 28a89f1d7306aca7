//! A driver on a tokio runtime, as tests use it.

use crate::support::{config, describe};
use ottla_network::transport::{Connector, NetworkDriver};
use ottla_network::{Endpoint, Network, NetworkConfig, NetworkError, NetworkEvent, OutgoingRequest};
use ottla_time::{Clock, Time};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// tokio's time, which tests may pause.
#[derive(Debug)]
pub(crate) struct TokioClock(tokio::time::Instant);

impl TokioClock {
    fn new() -> TokioClock {
        TokioClock(tokio::time::Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Time {
        Time::ZERO + self.0.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        0
    }
}

/// A driver and its clock.
pub(crate) struct Client {
    pub(crate) driver: NetworkDriver,
    pub(crate) clock: TokioClock,
}

impl Client {
    pub(crate) fn new(config: NetworkConfig) -> Client {
        Client {
            driver: NetworkDriver::new(Network::new(config, 7).unwrap()),
            clock: TokioClock::new(),
        }
    }

    pub(crate) fn with(connector: impl Connector + 'static) -> Client {
        let mut client = Client::new(config());
        client.driver = client.driver.with_connector(Arc::new(connector));
        client
    }

    pub(crate) fn connect(&mut self, node: i32, address: SocketAddr) {
        self.driver.connect(
            node,
            Endpoint::new(address.ip().to_string(), address.port()),
            self.clock.now(),
        );
    }

    pub(crate) fn send(&mut self, node: i32, request: OutgoingRequest) {
        self.driver.send(node, request, self.clock.now()).unwrap();
    }

    pub(crate) async fn event(&mut self) -> NetworkEvent {
        let event = self.driver.next_event(&self.clock);
        // Longer than every deadline. Under paused time it is over as soon as everybody waits.
        tokio::time::timeout(Duration::from_secs(3_600), event)
            .await
            .expect("an event by the last deadline")
    }

    pub(crate) async fn events(&mut self, count: usize) -> Vec<String> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(describe(&self.event().await));
        }
        events
    }

    pub(crate) async fn error(&mut self) -> NetworkError {
        loop {
            if let NetworkEvent::Disconnected { error, .. } = self.event().await {
                return error;
            }
        }
    }
}
