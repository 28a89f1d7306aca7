//! A proxy that spoils connections: what is written through it arrives in single bytes, late, in part, or not at all.

use std::collections::VecDeque;
use std::future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Whose bytes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Broker,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Pass,
    /// Every byte goes by itself, both ways.
    SingleBytes,
    /// After so many bytes of one side, both sides get a reset.
    Reset(Side, usize),
    /// After so many bytes of one side, nothing arrives any more, either way, and nobody is told.
    Silence(Side, usize),
    /// The broker's bytes come one by one, with this pause after each.
    Drip(Duration),
    /// The connection is accepted, and that is all.
    BlackHole,
}

/// How many bytes went through a connection: the client's, and the broker's.
pub(crate) type Traffic = (usize, usize);

#[derive(Debug)]
struct State {
    target: SocketAddr,
    /// The fates of the next connections, and of those after them.
    fates: VecDeque<Fate>,
    then: Fate,
    /// Of each connection since the last plan, in the order in which they came.
    traffic: Vec<Traffic>,
    /// Counts plans: what happens to older connections is not noted any more.
    plan: usize,
    connections: Vec<JoinHandle<()>>,
}

/// A listener in front of a broker. Dropping it ends it and all its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that spoils nothing yet.
    pub(crate) async fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State {
            target,
            fates: VecDeque::new(),
            then: Fate::Pass,
            traffic: Vec::new(),
            plan: 0,
            connections: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("it listens");
                let mut state = lock(&shared);
                let fate = state.fates.pop_front().unwrap_or(state.then);
                let number = state.traffic.len();
                state.traffic.push((0, 0));
                let (target, plan) = (state.target, state.plan);
                let note = {
                    let shared = Arc::clone(&shared);
                    move |from: Side, count: usize| {
                        let mut state = lock(&shared);
                        if state.plan == plan {
                            match from {
                                Side::Client => state.traffic[number].0 += count,
                                Side::Broker => state.traffic[number].1 += count,
                            }
                        }
                    }
                };
                let connection = tokio::spawn(serve(client, target, fate, note));
                state.connections.retain(|connection| !connection.is_finished());
                state.connections.push(connection);
            }
        });
        Proxy {
            address,
            state,
            listening,
        }
    }

    /// The fates of the next connections, in their order, and of all after them. Counts traffic anew.
    pub(crate) fn plan(&self, fates: impl IntoIterator<Item = Fate>, then: Fate) {
        let mut state = lock(&self.state);
        state.fates = fates.into_iter().collect();
        state.then = then;
        state.traffic.clear();
        state.plan += 1;
    }

    /// Where later connections lead.
    pub(crate) fn retarget(&self, target: SocketAddr) {
        lock(&self.state).target = target;
    }

    /// What went through each connection since the last plan.
    pub(crate) fn traffic(&self) -> Vec<Traffic> {
        lock(&self.state).traffic.clone()
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        for connection in lock(&self.state).connections.drain(..) {
            connection.abort();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(
    client: TcpStream,
    target: SocketAddr,
    fate: Fate,
    note: impl Fn(Side, usize) + Clone + Send + 'static,
) {
    if fate == Fate::BlackHole {
        return future::pending().await;
    }
    let Ok(broker) = TcpStream::connect(target).await else {
        return;
    };
    for stream in [&client, &broker] {
        stream.set_nodelay(true).expect("a socket");
        if matches!(fate, Fate::Reset(..)) {
            // Whoever drops it now sends a reset, and not an end.
            stream.set_zero_linger().expect("a socket");
        }
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let requests = copy(&mut from_client, &mut to_broker, fate, Side::Client, note.clone());
    let answers = copy(&mut from_broker, &mut to_client, fate, Side::Broker, note);
    // Both end with the first that ends.
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
    if matches!(fate, Fate::Silence(..)) {
        // Both sides keep a connection on which nothing comes: the halves still live.
        future::pending().await
    }
}

/// Copies what comes until the end, or until the connection's fate strikes.
async fn copy(
    input: &mut OwnedReadHalf,
    output: &mut OwnedWriteHalf,
    fate: Fate,
    from: Side,
    note: impl Fn(Side, usize),
) {
    let mut left = match fate {
        Fate::Reset(whose, at) | Fate::Silence(whose, at) if whose == from => at,
        _ => usize::MAX,
    };
    let step = match fate {
        Fate::SingleBytes => 1,
        Fate::Drip(_) if from == Side::Broker => 1,
        _ => 4_096,
    };
    let mut buffer = vec![0; step];
    loop {
        if left == 0 {
            return;
        }
        let room = step.min(left);
        let Ok(count @ 1..) = input.read(&mut buffer[..room]).await else {
            return;
        };
        // Before they go on: who has them may ask for the count.
        note(from, count);
        if output.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        left -= count;
        if let Fate::Drip(pause) = fate
            && from == Side::Broker
        {
            tokio::time::sleep(pause).await;
        }
    }
}
