//! The TCP front, as a client sees it.

use crate::batch::Batch;
use crate::link::{Link as _, Socket};
use crate::session::{Session, Target};
use ottla_broker::{Cluster, ClusterConfig, Fault, FaultAction, ListenOptions, Server, TestCluster};
use ottla_protocol::ApiKey;
use ottla_protocol::messages::MetadataRequest;
use ottla_protocol::wire::Uuid;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn target(topic: &str) -> Target<'_> {
    Target {
        version: 9,
        acks: -1,
        transactional_id: None,
        topic,
        topic_id: Uuid::ZERO,
        partition: 0,
    }
}

#[test]
fn records_go_in_and_can_be_looked_at() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .start_blocking()
        .expect("free ports");
    let mut session = Session::new(Socket::new(&cluster.bootstrap_servers()));
    for _ in 0..3 {
        session.produce("two", target("t"), Some(Batch::plain(2).build()));
    }
    assert_eq!(cluster.records("t", 0).len(), 6);
    assert_eq!(cluster.committed_records("t", 0).len(), 6);
    session.read("t", 0, 0, false);
    assert_eq!(
        session.lines.iter().filter(|line| line.starts_with("  ")).count(),
        3
    );
}

#[test]
fn every_broker_listens_and_tells_of_the_others() {
    let cluster = TestCluster::builder()
        .brokers(3)
        .start_blocking()
        .expect("free ports");
    let mut told = Vec::new();
    for address in cluster.addresses() {
        let mut session = Session::new(Socket::new(&address.to_string()));
        let metadata = session.call(&MetadataRequest::default(), 9).expect("an answer");
        let addresses: Vec<String> = metadata
            .brokers
            .iter()
            .map(|broker| format!("{}:{}", broker.host, broker.port))
            .collect();
        told.push(addresses.join(","));
    }
    assert_eq!(told, vec![cluster.bootstrap_servers(); 3]);
}

#[test]
fn a_killed_broker_breaks_its_connections_and_refuses_new_ones_until_it_is_back() {
    let cluster = TestCluster::builder()
        .brokers(2)
        .start_blocking()
        .expect("free ports");
    let address = cluster.addresses()[0];
    let mut stream = TcpStream::connect(address).expect("broker 1 listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a socket");
    // One answer, so that the broker has taken the connection up.
    let mut session = Session::new(Socket::new(&address.to_string()));
    session.call(&MetadataRequest::default(), 9).expect("an answer");
    cluster.cluster().kill_broker(1).expect("broker 1");
    let mut byte = [0];
    assert!(matches!(stream.read(&mut byte), Ok(0) | Err(_)), "closed");
    assert!(session.link.exchange(&metadata_frame()).is_none());
    assert!(
        session.link.exchange(&metadata_frame()).is_none(),
        "nobody answers"
    );
    cluster.cluster().start_broker(1).expect("broker 1");
    assert!(session.link.exchange(&metadata_frame()).is_some());
}

fn metadata_frame() -> Vec<u8> {
    let request = MetadataRequest::default();
    ottla_protocol::frame::encode_request(&request, 9, 1, None)
        .expect("a request")
        .to_vec()
}

#[test]
fn requests_byte_by_byte_and_many_at_once() {
    let cluster = TestCluster::builder().start_blocking().expect("free ports");
    let mut stream = TcpStream::connect(cluster.addresses()[0]).expect("the broker listens");
    stream.set_nodelay(true).expect("a socket");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a socket");
    let frame = metadata_frame();
    for byte in &frame {
        stream.write_all(&[*byte]).expect("the broker reads");
    }
    stream.write_all(&frame.repeat(100)).expect("the broker reads");
    for _ in 0..101 {
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("an answer");
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
        stream.read_exact(&mut body).expect("an answer");
    }
}

#[test]
fn garbage_closes_the_connection_and_others_go_on() {
    let cluster = TestCluster::builder().start_blocking().expect("free ports");
    let mut good = Session::new(Socket::new(&cluster.bootstrap_servers()));
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 8],
        &[0, 0, 0, 2, 0, 18],
        &[0, 0, 0, 0],
    ] {
        let mut stream = TcpStream::connect(cluster.addresses()[0]).expect("the broker listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket");
        stream.write_all(garbage).expect("the broker reads");
        let mut rest = Vec::new();
        assert!(
            matches!(stream.read_to_end(&mut rest), Ok(0) | Err(_)),
            "{garbage:?}"
        );
        good.call(&MetadataRequest::default(), 9).expect("an answer");
    }
}

#[test]
fn a_delayed_answer_takes_its_time() {
    let cluster = TestCluster::builder().start_blocking().expect("free ports");
    let delay = Duration::from_millis(60);
    cluster.add_fault(Fault::new(FaultAction::Delay(delay)).api(ApiKey::METADATA));
    let mut session = Session::new(Socket::new(&cluster.bootstrap_servers()));
    let before = cluster.cluster().now();
    session.call(&MetadataRequest::default(), 9).expect("an answer");
    assert!(cluster.cluster().now().since(before) >= delay);
}

#[tokio::test]
async fn a_server_runs_on_the_caller_s_runtime() {
    let cluster = Cluster::new(ClusterConfig::default()).expect("a good configuration");
    let server = Server::start(cluster, &ListenOptions::new()).expect("free ports");
    let address = server.bootstrap_servers();
    let answered = tokio::task::spawn_blocking(move || {
        Session::new(Socket::new(&address))
            .call(&MetadataRequest::default(), 9)
            .is_some()
    });
    assert!(answered.await.expect("no panic"));
    assert_eq!(server.cluster().broker_ids(), [1]);
}

#[test]
fn a_taken_port_is_said() {
    let first = TestCluster::builder().start_blocking().expect("free ports");
    let port = first.addresses()[0].port();
    let second = TestCluster::builder()
        .listen(ListenOptions::new().port(port))
        .start_blocking();
    let error = second.expect_err("the port is taken").to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}

/// Somebody sends while a test waits, in a thread and in a task.
#[tokio::test]
async fn who_waits_sees_what_happens() {
    let cluster = TestCluster::builder()
        .topic("t", 1)
        .start()
        .await
        .expect("free ports");
    let end = |cluster: &mut Cluster| cluster.partition_state("t", 0).expect("a partition").log_end;
    let never = cluster.wait_until_blocking(Duration::ZERO, |cluster| end(cluster) > 0);
    assert!(!never, "nobody has sent anything");
    let address = cluster.addresses()[0].to_string();
    let sent = tokio::task::spawn_blocking(move || {
        let mut session = Session::new(Socket::new(&address));
        for _ in 0..3 {
            session.produce("a record", target("t"), Some(Batch::plain(1).build()));
        }
    });
    let mut looks = 0;
    cluster
        .wait_until(|cluster| {
            looks += 1;
            end(cluster) == 3
        })
        .await;
    assert!(looks < 1_000, "{looks} looks for a handful of changes");
    assert!(cluster.wait_until_blocking(Duration::from_secs(60), |cluster| end(cluster) == 3));
    sent.await.expect("the sender ends");
    assert_eq!(cluster.all_records("t").len(), 3);
}
