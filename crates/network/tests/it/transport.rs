//! The driver with real sockets, with pipes in memory under paused time, and with streams that behave badly.

use crate::client::Client;
use crate::support::{METADATA, NODE, PRODUCE, config, frame, request, versions_answer};
use bytes::Bytes;
use ottla_network::transport::{BoxFuture, Connector, Resolver, Stream, SystemResolver, TcpConnector};
use ottla_network::{Endpoint, NetworkErrorKind, NetworkEvent, OutgoingRequest, Segments, SetupStage};
use ottla_time::{Clock, Time};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};

/// A request as a broker reads it.
struct Received {
    api_key: i16,
    correlation_id: i32,
    /// After the header without its tagged fields.
    rest: Vec<u8>,
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Received> {
    let length = stream.read_i32().await?;
    let mut content = vec![0; length as usize];
    stream.read_exact(&mut content).await?;
    let api_key = i16::from_be_bytes([content[0], content[1]]);
    let correlation_id = i32::from_be_bytes(content[4..8].try_into().unwrap());
    assert_eq!(content[8..12], *b"\0\x02me");
    Ok(Received {
        api_key,
        correlation_id,
        rest: content.split_off(12),
    })
}

/// Answers ApiVersions and then every Metadata request with its own body, until the stream ends.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let request = receive(&mut stream).await?;
        let answer = match request.api_key {
            18 => versions_answer(request.correlation_id),
            _ => frame(&[&request.correlation_id.to_be_bytes(), &request.rest]),
        };
        stream.write_all(&answer).await?;
    }
}

/// Answers ApiVersions and hands the stream back.
async fn greet(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> impl AsyncRead + AsyncWrite + Unpin {
    let request = receive(&mut stream).await.unwrap();
    assert_eq!(request.api_key, 18);
    stream
        .write_all(&versions_answer(request.correlation_id))
        .await
        .unwrap();
    stream
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nothing listens.
async fn dead() -> SocketAddr {
    listen().await.1
}

/// A broker on a socket that does `behave` for the first connection.
async fn tcp_broker<F: Future + Send + 'static>(
    behave: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> SocketAddr
where
    F::Output: Send,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        behave(stream).await
    });
    address
}

/// Connects to a pipe, whose other end gets a task of its own.
struct Pipes<B> {
    buffer_bytes: usize,
    behave: B,
}

impl<B> fmt::Debug for Pipes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipes")
    }
}

impl<B, F> Connector for Pipes<B>
where
    B: Fn(u16, DuplexStream) -> F + Send + Sync,
    F: Future<Output = ()> + Send + 'static,
{
    fn connect(&self, _: &Endpoint, address: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (ours, theirs) = duplex(self.buffer_bytes);
        tokio::spawn((self.behave)(address.port(), theirs));
        Box::pin(async { Ok(Box::new(ours) as Box<dyn Stream>) })
    }
}

fn port(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A body of many pieces, too long for any socket buffer, and more pieces than one write takes.
fn long_body() -> Segments {
    (0..400_u32)
        .map(|index| Bytes::from(vec![index as u8; 1 + (index as usize * 97) % 30_000]))
        .collect()
}

#[tokio::test]
async fn requests_and_answers_over_tcp() {
    let address = tcp_broker(echo).await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    assert_eq!(client.events(1).await, ["ready 1"]);
    for id in 0..100 {
        client.send(NODE, request(id, METADATA, b"body"));
    }
    let expected: Vec<_> = (0..100).map(|id| format!("response 1 {id} body")).collect();
    assert_eq!(client.events(100).await, expected);
}

#[tokio::test]
async fn a_long_body_in_many_pieces_arrives_whole() {
    let address = tcp_broker(echo).await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    assert_eq!(client.events(1).await, ["ready 1"]);
    let body = long_body();
    assert!(body.bytes_total() > 4 * 1024 * 1024);
    client.send(
        NODE,
        OutgoingRequest {
            body: body.clone(),
            ..request(5, METADATA, b"")
        },
    );
    loop {
        match client.event().await {
            NetworkEvent::Drained { node: NODE } => {}
            NetworkEvent::Response {
                id: 5, body: echoed, ..
            } => {
                assert!(echoed == body.to_vec());
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A pipe that holds one byte: reads and writes of one byte, in both directions.
#[tokio::test(start_paused = true)]
async fn reads_and_writes_of_one_byte() {
    let behave = |_, stream| async { drop(echo(stream).await) };
    let mut client = Client::with(Pipes {
        buffer_bytes: 1,
        behave,
    });
    client.connect(NODE, port(1));
    let mut events = client.events(1).await;
    client.send(NODE, request(5, METADATA, b"five"));
    client.send(NODE, request(6, METADATA, b"six"));
    events.extend(client.events(3).await);
    assert_eq!(
        events,
        ["ready 1", "response 1 5 five", "drained 1", "response 1 6 six"]
    );
}

/// A broker that takes nothing more keeps megabytes waiting, and nobody else; in the end it times out.
#[tokio::test(start_paused = true)]
async fn a_frozen_broker_holds_up_nobody_else() {
    let behave = |port, stream| async move {
        if port == 1 {
            let _stream = greet(stream).await;
            pending::<()>().await;
        } else {
            drop(echo(stream).await);
        }
    };
    let mut client = Client::with(Pipes {
        buffer_bytes: 4_096,
        behave,
    });
    client.connect(1, port(1));
    client.connect(2, port(2));
    let mut ready = client.events(2).await;
    ready.sort();
    assert_eq!(ready, ["ready 1", "ready 2"]);
    client.send(
        1,
        OutgoingRequest {
            body: long_body(),
            ..request(1, METADATA, b"")
        },
    );
    client.send(1, request(2, METADATA, b"behind it"));
    for id in 0..1_000 {
        client.send(2, request(id, METADATA, b"x"));
        assert_eq!(client.events(1).await, [format!("response 2 {id} x")]);
    }
    assert_eq!(client.clock.now(), Time::ZERO, "somebody waited");
    assert_eq!(
        client.events(3).await,
        [
            "failed 1 1 written=true",
            "failed 1 2 written=false",
            "disconnected 1"
        ]
    );
    assert!(client.clock.now().since(Time::ZERO + Duration::from_secs(30)) < Duration::from_millis(10));
}

/// Always has more to read: an answer, however long, is there as soon as its request is written.
struct Flood {
    answers: VecDeque<Bytes>,
    /// How many of the answers can be read.
    due: usize,
    /// Which ports were written to, and how many bytes, in this order.
    log: Arc<Mutex<Vec<(u16, usize)>>>,
    port: u16,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.due == 0 {
            // The driver reads after it wrote, so it comes back without being woken.
            return Poll::Pending;
        }
        let Some(answer) = self.answers.front_mut() else {
            return Poll::Pending;
        };
        let piece = answer.split_to(answer.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if answer.is_empty() {
            self.answers.pop_front();
            self.due -= 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Each request is written in one go.
        self.due += 1;
        let count = pieces.iter().map(|piece| piece.len()).sum();
        self.log.lock().unwrap().push((self.port, count));
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Clone, Debug, Default)]
struct Floods {
    log: Arc<Mutex<Vec<(u16, usize)>>>,
}

impl Floods {
    /// Answers ApiVersions, and on port 1 one request at length.
    fn flood(&self, port: u16) -> Box<dyn Stream> {
        let mut answers = VecDeque::from([versions_answer(0)]);
        if port == 1 {
            answers.push_back(frame(&[b"\0\0\0\x01", &vec![1; 15 * 1024 * 1024]]));
        }
        Box::new(Flood {
            answers,
            due: 0,
            log: Arc::clone(&self.log),
            port,
        })
    }
}

impl Connector for Floods {
    fn connect(&self, endpoint: &Endpoint, address: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        if address.port() < 10 {
            let stream = self.flood(address.port());
            return Box::pin(async { Ok(stream) });
        }
        let behave = |_, stream| async { drop(echo(stream).await) };
        Pipes {
            buffer_bytes: 4_096,
            behave,
        }
        .connect(endpoint, address)
    }
}

/// A broker that takes bytes as fast as they come has its turn, and the others have theirs.
#[tokio::test(start_paused = true)]
async fn a_long_write_holds_up_nobody_else() {
    let floods = Floods::default();
    let mut client = Client::with(floods.clone());
    client.connect(2, port(2));
    client.connect(3, port(3));
    assert_eq!(client.events(2).await, ["ready 2", "ready 3"]);
    floods.log.lock().unwrap().clear();
    for id in 0..20 {
        client.send(2, silent(id, vec![vec![7; 10_000]; 100]));
    }
    client.send(3, silent(20, vec![vec![8; 10]]));
    let events = client.events(21).await;
    assert!(
        events.iter().all(|event| event.starts_with("written")),
        "{events:?}"
    );
    let log = floods.log.lock().unwrap();
    let before: usize = log
        .iter()
        .take_while(|(port, _)| *port == 2)
        .map(|(_, count)| count)
        .sum();
    let after: usize = log
        .iter()
        .skip_while(|(port, _)| *port == 2)
        .map(|(_, count)| count)
        .sum();
    assert!(
        before > 1_000_000 && after > 10_000_000,
        "{before} bytes before, {after} after"
    );
}

/// Both the driver's other sockets and the runtime's other tasks get their turns while it lasts.
#[tokio::test(start_paused = true)]
async fn a_flooding_broker_holds_up_nobody_else() {
    let mut client = Client::with(Floods::default());
    client.connect(1, port(1));
    client.connect(2, port(12));
    assert_eq!(client.events(2).await, ["ready 1", "ready 2"]);
    client.send(1, request(5, METADATA, b"flood"));
    client.send(2, request(6, METADATA, b"six"));
    assert_eq!(client.events(1).await, ["response 2 6 six"]);
    client.send(2, request(7, METADATA, b"seven"));
    assert_eq!(client.events(1).await, ["response 2 7 seven"]);
    assert!(matches!(
        client.event().await,
        NetworkEvent::Response { node: 1, id: 5, .. }
    ));
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let address = dead().await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    let error = client.error().await;
    let NetworkErrorKind::Connect {
        address: tried,
        failure,
    } = error.kind()
    else {
        panic!("{error}")
    };
    assert_eq!(
        (*tried, failure.kind),
        (address, io::ErrorKind::ConnectionRefused)
    );
}

/// Always the same addresses.
#[derive(Debug)]
struct Fixed(Vec<SocketAddr>);

impl Resolver for Fixed {
    fn resolve(&self, _: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let addresses = self.0.clone();
        Box::pin(async { Ok(addresses) })
    }
}

#[tokio::test]
async fn the_first_of_several_addresses_refuses_and_the_next_is_tried() {
    let addresses = vec![dead().await, tcp_broker(echo).await];
    let mut config = config();
    config.reconnect_backoff = Duration::ZERO;
    config.reconnect_backoff_max = Duration::ZERO;
    let mut client = Client::new(config);
    client.driver = client.driver.with_resolver(Arc::new(Fixed(addresses)));
    let endpoint = Endpoint::new("broker", 9092);
    client.driver.connect(NODE, endpoint.clone(), client.clock.now());
    assert_eq!(client.events(1).await, ["disconnected 1"]);
    client.driver.connect(NODE, endpoint, client.clock.now());
    assert_eq!(client.events(1).await, ["ready 1"]);
}

#[tokio::test]
async fn localhost_is_resolved_by_the_system() {
    let address = tcp_broker(echo).await;
    let found = SystemResolver
        .resolve(&Endpoint::new("localhost", address.port()))
        .await
        .unwrap();
    assert!(
        found.contains(&address) || found.iter().all(SocketAddr::is_ipv6),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_error() {
    #[derive(Debug)]
    struct Nothing;
    impl Resolver for Nothing {
        fn resolve(&self, _: &Endpoint) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Err(io::Error::other("no such host")) })
        }
    }
    let mut client = Client::new(config());
    client.driver = client.driver.with_resolver(Arc::new(Nothing));
    client.connect(NODE, port(1));
    let error = client.error().await;
    assert!(matches!(error.kind(), NetworkErrorKind::Resolve(_)));
    assert!(
        error
            .to_string()
            .contains("the name cannot be resolved: no such host"),
        "{error}"
    );
}

/// A dial that never ends, as a SYN that is dropped; and a peer that accepts and is silent.
#[tokio::test(start_paused = true)]
async fn accept_then_silence_and_a_dropped_syn_time_out() {
    #[derive(Debug)]
    struct Never;
    impl Connector for Never {
        fn connect(&self, _: &Endpoint, _: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>> {
            Box::pin(pending())
        }
    }
    let silent = |_, stream: DuplexStream| async {
        let _stream = stream;
        pending::<()>().await;
    };
    for (client, expected) in [
        (Client::with(Never), SetupStage::Dialing),
        (
            Client::with(Pipes {
                buffer_bytes: 1_024,
                behave: silent,
            }),
            SetupStage::ApiVersions,
        ),
    ] {
        let mut client = client;
        let start = client.clock.now();
        client.connect(NODE, port(1));
        let error = client.error().await;
        let timeout = Duration::from_secs(10);
        assert_eq!(
            error.kind(),
            &NetworkErrorKind::SetupTimeout {
                stage: expected,
                timeout
            }
        );
        let passed = client.clock.now().since(start);
        assert!(
            passed >= timeout && passed < timeout + Duration::from_millis(10),
            "{passed:?}"
        );
    }
}

/// The timer moves to an earlier deadline, and on when a later one is left.
#[tokio::test(start_paused = true)]
async fn deadlines_are_kept() {
    let behave = |_, stream| async {
        let _stream = greet(stream).await;
        pending::<()>().await;
    };
    let mut client = Client::with(Pipes {
        buffer_bytes: 1_024,
        behave,
    });
    client.connect(NODE, port(1));
    assert_eq!(client.events(1).await, ["ready 1"]);
    client.send(NODE, request(5, METADATA, b"five"));
    client.send(
        NODE,
        OutgoingRequest {
            timeout: Duration::from_millis(1_500),
            ..request(6, PRODUCE, b"six")
        },
    );
    let error = client.error().await;
    let timeout = Duration::from_millis(1_500);
    assert_eq!(
        error.kind(),
        &NetworkErrorKind::RequestTimeout { api_key: 0, timeout }
    );
    let passed = client.clock.now().since(Time::ZERO);
    assert!(
        passed >= timeout && passed < timeout + Duration::from_millis(10),
        "{passed:?}"
    );
}

/// What the peer said before it closed counts more than how it closed.
#[tokio::test]
async fn a_http_server_is_recognised() {
    let address = tcp_broker(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        // Ends in order, with everything read.
        let mut rest = Vec::new();
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    let error = client.error().await;
    assert!(
        error.to_string().contains("a HTTP server listens there"),
        "{error}"
    );
}

#[tokio::test]
async fn a_close_fails_what_is_outstanding() {
    let address = tcp_broker(|stream| async {
        let mut stream = greet(stream).await;
        receive(&mut stream).await.unwrap();
    })
    .await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    assert_eq!(client.events(1).await, ["ready 1"]);
    client.send(NODE, request(5, METADATA, b"five"));
    assert_eq!(
        client.events(2).await,
        ["failed 1 5 written=true", "disconnected 1"]
    );
}

#[tokio::test]
async fn disconnecting_closes_the_socket() {
    let (listener, address) = listen().await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    let peer = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = greet(stream).await;
        stream.read(&mut [0]).await.unwrap()
    };
    let ours = async {
        assert_eq!(client.events(1).await, ["ready 1"]);
        client.driver.disconnect(NODE, client.clock.now());
        assert_eq!(client.events(1).await, ["disconnected 1"]);
        // Carried out by the next poll, which has no event to give.
        let nothing: Poll<NetworkEvent> =
            poll_fn(|cx| Poll::Ready(client.driver.poll_event(cx, client.clock.now()))).await;
        assert!(nothing.is_pending());
    };
    let both = async { tokio::join!(peer, ours) };
    let (read, ()) = tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("the end of the stream");
    assert_eq!(read, 0);
}

#[tokio::test]
async fn plain_tcp_has_the_java_clients_options() {
    let (_listener, address) = listen().await;
    let endpoint = Endpoint::new("127.0.0.1", address.port());
    assert!(TcpConnector::default().connect(&endpoint, address).await.is_ok());
    let mut left_alone = TcpConnector::default();
    (left_alone.send_buffer_bytes, left_alone.receive_buffer_bytes) = (None, None);
    assert!(left_alone.connect(&endpoint, address).await.is_ok());
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// After an exchange nothing wakes the driver until something happens: no readiness is left stale.
#[tokio::test]
async fn an_idle_driver_sleeps() {
    let address = tcp_broker(echo).await;
    let mut client = Client::new(config());
    client.connect(NODE, address);
    assert_eq!(client.events(1).await, ["ready 1"]);
    client.send(NODE, request(5, METADATA, b"five"));
    assert_eq!(client.events(1).await, ["response 1 5 five"]);

    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let poll = |client: &mut Client| {
        client
            .driver
            .poll_event(&mut Context::from_waker(&waker), client.clock.now())
            .is_pending()
    };
    assert!(poll(&mut client));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 0);

    // And it is woken when something does: by the answer, not before.
    client.send(NODE, request(6, METADATA, b"six"));
    assert!(poll(&mut client));
    while count.0.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!poll(&mut client));
}

/// The driver moves between threads with its task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_a_runtime_with_threads() {
    let addresses = [tcp_broker(echo).await, tcp_broker(echo).await];
    let task = tokio::spawn(async move {
        let mut client = Client::new(config());
        for (node, address) in addresses.into_iter().enumerate() {
            client.connect(node as i32, address);
        }
        let mut ready = client.events(2).await;
        ready.sort();
        assert_eq!(ready, ["ready 0", "ready 1"]);
        for round in 0..200 {
            for node in 0..2 {
                client.send(node, request(round, METADATA, b"x"));
            }
            assert_eq!(client.events(2).await.len(), 2);
        }
    });
    task.await.unwrap();
}

/// Takes as many bytes at each write as a script says, and remembers everything. It greets, and says nothing more.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Recording>>);

#[derive(Default)]
struct Recording {
    has_greeted: bool,
    /// What was written after the greeting.
    bytes: Vec<u8>,
    /// The number of pieces offered at each write after the greeting.
    pieces: Vec<usize>,
    /// How much the next writes take, each of them after a wait; then everything.
    takes: VecDeque<usize>,
    /// Whether the wait is over.
    has_waited: bool,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Connector for Recorder {
    fn connect(&self, _: &Endpoint, _: SocketAddr) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let stream = self.clone();
        Box::pin(async { Ok(Box::new(stream) as Box<dyn Stream>) })
    }
}

impl AsyncRead for Recorder {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut recording = self.0.lock().unwrap();
        // The driver reads after it wrote ApiVersions.
        if std::mem::replace(&mut recording.has_greeted, true) {
            return Poll::Pending;
        }
        buffer.put_slice(&versions_answer(0));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let recording = &mut *self.0.lock().unwrap();
        let offered: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        if !recording.has_greeted {
            return Poll::Ready(Ok(offered.len()));
        }
        if !recording.takes.is_empty() && !std::mem::replace(&mut recording.has_waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        recording.has_waited = false;
        let take = recording
            .takes
            .pop_front()
            .map_or(offered.len(), |take| take.clamp(1, offered.len()));
        recording.bytes.extend(&offered[..take]);
        recording.pieces.push(pieces.len());
        Poll::Ready(Ok(take))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A client that is ready on a recorder.
async fn recorded() -> (Client, Recorder) {
    let recorder = Recorder::default();
    let mut client = Client::with(recorder.clone());
    client.connect(NODE, port(1));
    assert_eq!(client.events(1).await, ["ready 1"]);
    (client, recorder)
}

/// A request that is complete when it is written, in pieces.
fn silent(id: u64, pieces: Vec<Vec<u8>>) -> OutgoingRequest {
    let body = pieces.into_iter().map(Bytes::from).collect();
    OutgoingRequest {
        expects_response: false,
        body,
        ..request(id, PRODUCE, b"")
    }
}

/// The frame of such a request.
fn silent_frame(correlation_id: i32, body: &[u8]) -> Bytes {
    frame(&[b"\0\0\0\x0b", &correlation_id.to_be_bytes(), b"\0\x02me\0", body])
}

#[tokio::test(start_paused = true)]
async fn queued_requests_go_in_one_vectored_write() {
    let (mut client, recorder) = recorded().await;
    client.send(NODE, silent(5, vec![vec![5; 61], vec![6; 1_000]]));
    client.send(NODE, silent(6, vec![vec![7; 61], vec![8; 2_000], vec![9; 7]]));
    assert_eq!(client.events(2).await, ["written 1 5", "written 1 6"]);
    let recording = recorder.0.lock().unwrap();
    // Two headers and five pieces of bodies.
    assert_eq!(recording.pieces, [7]);
    let bodies = [
        [vec![5; 61], vec![6; 1_000]].concat(),
        [vec![7; 61], vec![8; 2_000], vec![9; 7]].concat(),
    ];
    assert_eq!(
        recording.bytes,
        [silent_frame(1, &bodies[0]), silent_frame(2, &bodies[1])].concat()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However much each write takes, and however the requests are cut: the same bytes, each request told once.
    #[test]
    fn partial_writes_do_not_matter(
        bodies in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..150), 1..4),
        takes in prop::collection::vec(1..3_000_usize, 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut client, recorder) = recorded().await;
            recorder.0.lock().unwrap().takes = takes.into();
            let mut expected = Vec::new();
            for (id, body) in bodies.iter().enumerate() {
                client.send(NODE, silent(id as u64, body.clone()));
                expected.extend(silent_frame(id as i32 + 1, &body.concat()));
            }
            let mut written = Vec::new();
            while written.len() < bodies.len() {
                match client.event().await {
                    NetworkEvent::Written { id, .. } => written.push(id),
                    NetworkEvent::Drained { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(written, (0..bodies.len() as u64).collect::<Vec<_>>());
            assert_eq!(client.driver.network().bytes_unwritten(NODE), 0);
            assert_eq!(recorder.0.lock().unwrap().bytes, expected);
        });
    }
}
