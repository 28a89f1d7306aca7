//! The HTTP client against servers that the tests write by hand: good ones, broken ones, proxies.

use ottla_network::Endpoint;
use ottla_network::http::{
    Authorization, HttpClient, HttpError, HttpMethod, HttpRequest, HttpResponse, Proxy,
};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.expect("a connection").0
}

/// Head and body of the next request; empty when the connection ends.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    loop {
        let (head, body) = match text.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => (
                String::from_utf8_lossy(&text[..at]).to_lowercase(),
                text.len() - at - 4,
            ),
            None => (String::new(), 0),
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if !head.is_empty() && body >= length {
            return String::from_utf8(text).expect("text");
        }
        let mut chunk = [0; 1_024];
        match stream.read(&mut chunk).await.expect("a request") {
            0 => return String::new(),
            count => text.extend_from_slice(&chunk[..count]),
        }
    }
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), bytes: &str) {
    // A client that has seen enough may be gone.
    let _ = stream.write_all(bytes.as_bytes()).await;
    let _ = stream.flush().await;
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(url: &str) -> HttpRequest {
    HttpRequest::new(HttpMethod::Get, url.parse().expect("a URL"))
}

fn post(url: &str, body: &str) -> HttpRequest {
    let mut request = HttpRequest::new(HttpMethod::Post, url.parse().expect("a URL"));
    request.body = Some(Zeroizing::new(body.as_bytes().to_vec()));
    request
}

fn check(response: Result<HttpResponse, HttpError>, status: u16, body: &str) {
    let response = response.expect("an answer");
    assert_eq!(
        (response.status, response.body.as_slice()),
        (status, body.as_bytes())
    );
}

#[tokio::test]
async fn requests_say_what_they_were_given_and_share_a_connection() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        let first = read_request(&mut stream).await;
        answer(
            &mut stream,
            "HTTP/1.1 201 Fine\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n",
        )
        .await;
        let second = read_request(&mut stream).await;
        answer(&mut stream, OK).await;
        (first, second)
    });
    let client = HttpClient::builder().build();
    let mut request = post(&format!("http://user:x@127.0.0.1:{port}/a/b?c=d"), "{}");
    request.authorization = Some(Authorization::basic("al", "canary"));
    request.headers.push(("x-more", "1".to_owned()));
    let shown = format!("{request:?} {client:?}");
    check(client.exchange(request).await, 201, "abcd");
    check(
        client.exchange(get(&format!("http://127.0.0.1:{port}"))).await,
        200,
        "ok",
    );
    let (first, second) = server.await.expect("both came on one connection");
    assert!(first.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{first}");
    for part in [
        format!("host: 127.0.0.1:{port}\r\n"),
        // al:canary
        "authorization: Basic YWw6Y2FuYXJ5\r\n".to_owned(),
        "content-type: application/json\r\n".to_owned(),
        "x-more: 1\r\n".to_owned(),
        "\r\n\r\n{}".to_owned(),
    ] {
        assert!(first.contains(&part), "{part}: {first}");
    }
    assert!(!second.contains("authorization") && second.starts_with("GET / HTTP/1.1\r\n"));
    assert!(!shown.contains("canary") && !shown.contains("user:x"), "{shown}");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let mut stream = accept(&listener).await;
            assert!(!read_request(&mut stream).await.is_empty());
            // It says that it stays open, and closes.
            answer(&mut stream, OK).await;
        }
    });
    let client = HttpClient::builder().build();
    for _ in 0..3 {
        check(
            client.exchange(get(&format!("http://127.0.0.1:{port}/"))).await,
            200,
            "ok",
        );
    }
    server.await.expect("three connections");
}

#[tokio::test]
async fn what_a_server_may_do_wrong_is_one_error_each() {
    let long = "x".repeat(20_000);
    let endless = format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n{long}");
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n{long}\r\n0\r\n\r\n");
    let until_closed = format!("HTTP/1.1 200 OK\r\n\r\n{long}");
    let too_large = HttpError::TooLarge { bytes_max: 1_000 }.to_string();
    for (bytes, part) in [
        ("", "closed it before the answer was whole"),
        ("SSH-2.0-x\r\n", "no HTTP/1"),
        ("\x15\x03\x01\0\x02\x02\x46", "no HTTP/1"),
        ("HTTP/1.1 canary\r\n\r\n", "no HTTP/1"),
        (endless.as_str(), "no HTTP/1"),
        (many.as_str(), "no HTTP/1"),
        (large.as_str(), too_large.as_str()),
        (chunked.as_str(), too_large.as_str()),
        (until_closed.as_str(), too_large.as_str()),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            "closed it before the answer was whole",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\ncanary",
            "no",
        ),
    ] {
        let (listener, port) = listener().await;
        let bytes = bytes.to_owned();
        let server = tokio::spawn(async move {
            let mut stream = accept(&listener).await;
            read_request(&mut stream).await;
            answer(&mut stream, &bytes).await;
        });
        let mut request = post(&format!("http://127.0.0.1:{port}/canary?canary"), "canary");
        request.authorization = Some(Authorization::raw("canary"));
        request.response_bytes_max = 1_000;
        let client = HttpClient::builder().build();
        let error = client.exchange(request).await.expect_err(part);
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("canary"), "{part}: {text}");
        server.await.expect("it answered");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nothing_goes_elsewhere() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        read_request(&mut stream).await;
        let elsewhere = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/other\r\nContent-Length: 0\r\n\r\n"
        );
        answer(&mut stream, &elsewhere).await;
        // Nothing more is asked before the client goes.
        assert_eq!(read_request(&mut stream).await, "");
    });
    let client = HttpClient::builder().build();
    check(
        client.exchange(get(&format!("http://127.0.0.1:{port}/"))).await,
        302,
        "",
    );
    drop(client);
    server.await.expect("one request");
}

#[tokio::test]
async fn waits_end_at_their_deadline() {
    let (listener, port) = listener().await;
    let client = HttpClient::builder().build();
    // The kernel takes the connection; nobody ever answers.
    let mut request = get(&format!("http://127.0.0.1:{port}/"));
    request.timeout = Duration::from_millis(50);
    let error = client.exchange(request).await.expect_err("silence");
    assert!(
        matches!(error, HttpError::Timeout { .. }) && error.is_transient(),
        "{error}"
    );
    drop(listener);
    let error = client
        .exchange(get(&format!("http://127.0.0.1:{port}/")))
        .await
        .expect_err("nobody");
    assert!(
        matches!(error, HttpError::Connection { .. }) && error.to_string().contains(&port.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let client = HttpClient::builder().build();
    for (url, authorization) in [
        ("https://127.0.0.1:1/", None),
        ("http://127.0.0.1:1/", Some("canary\r\nX: y")),
    ] {
        let mut request = get(url);
        request.authorization = authorization.map(Authorization::raw);
        let error = client.exchange(request).await.expect_err(url);
        assert!(matches!(error, HttpError::Request { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_proxy_gets_the_whole_address_and_its_own_credentials() {
    let (listener, port) = listener().await;
    let server = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        let request = read_request(&mut stream).await;
        answer(&mut stream, OK).await;
        request
    });
    let proxy = Proxy::parse(&format!("http://me:can%61ry@127.0.0.1:{port}")).expect("a proxy");
    let shown = format!("{proxy:?}");
    assert!(
        !shown.contains("canary") && !shown.contains("can%61ry"),
        "{shown}"
    );
    let client = HttpClient::builder().proxy(proxy).build();
    check(
        client.exchange(get("http://registry.invalid/subjects?x")).await,
        200,
        "ok",
    );
    let request = server.await.expect("a request");
    assert!(
        request.starts_with("GET http://registry.invalid:80/subjects?x HTTP/1.1\r\n"),
        "{request}"
    );
    // me:canary
    assert!(
        request.contains("proxy-authorization: Basic bWU6Y2FuYXJ5\r\n")
            && request.contains("host: registry.invalid\r\n"),
        "{request}"
    );
    assert!(Proxy::parse("https://127.0.0.1:1").is_err() && Proxy::parse("127.0.0.1:3128").is_ok());
}

/// TLS on the server's side, with certificates by openssl.
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc-rs"))]
mod tls {
    use super::*;
    use crate::tools::{Tools, tools};
    use ottla_network::stores::{Store, StoreForm};
    use ottla_network::tls::{CryptoProvider, TlsConfig, TlsConfigBuilder};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig};
    use std::sync::Arc;
    use tokio_rustls::TlsAcceptor;

    #[cfg(feature = "tls-aws-lc-rs")]
    fn provider() -> CryptoProvider {
        rustls::crypto::aws_lc_rs::default_provider()
    }

    #[cfg(not(feature = "tls-aws-lc-rs"))]
    fn provider() -> CryptoProvider {
        rustls::crypto::ring::default_provider()
    }

    const SAN: &str = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1";

    fn trust(tools: &Tools, file: &str) -> TlsConfigBuilder {
        let store = Store::read(StoreForm::Pem, &tools.read(file), None, None).expect("PEM");
        TlsConfig::builder().trust(store.trusted)
    }

    fn client(config: TlsConfigBuilder) -> HttpClient {
        let config = config.build().expect("settings");
        HttpClient::builder().tls(Arc::new(config)).build()
    }

    fn identity(tools: &Tools, name: &str) -> ottla_network::stores::Identity {
        let text = |end: &str| String::from_utf8(tools.read(&format!("{name}.{end}"))).expect("text");
        Store::from_pem_parts(&text("key"), &text("crt"), None).expect("an identity")
    }

    /// A server that wants certificates of `ca` from its clients, or none.
    fn acceptor(tools: &Tools, wants_certificates: bool) -> TlsAcceptor {
        let provider = Arc::new(provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if wants_certificates {
            let mut roots = RootCertStore::empty();
            let authorities = Store::read(StoreForm::Pem, &tools.read("ca.crt"), None, None).expect("PEM");
            roots.add_parsable_certificates(authorities.trusted);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let server = identity(tools, "server");
        let config = builder.with_single_cert(server.chain, server.key);
        TlsAcceptor::from(Arc::new(config.expect("a certificate")))
    }

    /// Answers one request on each connection whose handshake succeeds, and says what was asked.
    async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
        loop {
            let stream = accept(&listener).await;
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let request = read_request(&mut stream).await;
                    let body = request.lines().next().unwrap_or_default().to_owned();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    answer(&mut stream, &head).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    }

    #[tokio::test]
    async fn https_believes_the_truststore_and_shows_the_keystore() {
        let Some(tools) = tools() else { return };
        tools.authority("ca");
        tools.authority("stranger");
        tools.certificate("server", "ca", "rsa:2048", SAN, 30);
        tools.certificate("me", "ca", "rsa:2048", "extendedKeyUsage=clientAuth", 30);
        let (open, open_port) = listener().await;
        let (closed, closed_port) = listener().await;
        let servers = [
            tokio::spawn(serve(open, acceptor(&tools, false))),
            tokio::spawn(serve(closed, acceptor(&tools, true))),
        ];
        let url = |port: u16| format!("https://localhost:{port}/t");
        let trusting = client(trust(&tools, "ca.crt"));
        check(
            trusting.exchange(get(&url(open_port))).await,
            200,
            "GET /t HTTP/1.1",
        );
        let known = client(trust(&tools, "ca.crt").identity(identity(&tools, "me")));
        check(
            known.exchange(get(&url(closed_port))).await,
            200,
            "GET /t HTTP/1.1",
        );

        // Refused, each for its reason, in words about a server.
        let refused = async |client: HttpClient, url: String, part: &str| {
            let mut request = get(&url);
            request.authorization = Some(Authorization::raw("canary"));
            let error = client.exchange(request).await.expect_err(part);
            let text = error.to_string();
            assert!(
                text.contains(part) && !text.contains("broker") && !format!("{error:?}").contains("canary"),
                "{part}: {error:?}"
            );
        };
        let stranger = client(trust(&tools, "stranger.crt"));
        refused(
            stranger,
            url(open_port),
            "the server's certificate is signed by nobody",
        )
        .await;
        let nameless = trust(&tools, "ca.crt");
        refused(
            client(nameless),
            format!("https://[::ffff:127.0.0.1]:{open_port}/"),
            "is not for",
        )
        .await;
        refused(trusting, url(closed_port), "refused a client without certificate").await;
        for server in servers {
            server.abort();
        }
        let (plain, port) = listener().await;
        let server = tokio::spawn(async move {
            let mut stream = accept(&plain).await;
            answer(&mut stream, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        refused(client(trust(&tools, "ca.crt")), url(port), "HTTP, not TLS").await;
        server.await.expect("one connection");
    }

    #[tokio::test]
    async fn a_proxy_opens_a_tunnel_and_sees_no_request() {
        let Some(tools) = tools() else { return };
        tools.authority("ca");
        tools.certificate("server", "ca", "rsa:2048", SAN, 30);
        let (listener_of_proxy, port) = listener().await;
        let acceptor = acceptor(&tools, false);
        // What the proxy was asked, and what came through the tunnel.
        let proxy = tokio::spawn(async move {
            let mut said = Vec::new();
            for refusal in [Some("407 No"), Some("502 Down"), Some("200 OK\r\n\r\nmore"), None] {
                let mut stream = accept(&listener_of_proxy).await;
                said.push(read_request(&mut stream).await);
                match refusal {
                    Some(status) => answer(&mut stream, &format!("HTTP/1.1 {status}\r\n\r\n")).await,
                    None => {
                        answer(
                            &mut stream,
                            "HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n",
                        )
                        .await;
                        let mut stream = acceptor.accept(stream).await.expect("TLS");
                        said.push(read_request(&mut stream).await);
                        answer(&mut stream, OK).await;
                    }
                }
            }
            said
        });
        let config = trust(&tools, "ca.crt").build().expect("settings");
        let client = HttpClient::builder()
            .tls(Arc::new(config))
            .proxy(
                Proxy::new(Endpoint::new("127.0.0.1", port))
                    .authorization(Authorization::basic("me", "canary")),
            )
            .build();
        let request = || {
            let mut request = get("https://localhost:7/secret?canary");
            request.authorization = Some(Authorization::raw("Bearer canary"));
            request
        };
        for (part, is_transient) in [
            ("other credentials (407)", false),
            ("answered 502", true),
            ("more than its answer", false),
        ] {
            let error = client.exchange(request()).await.expect_err(part);
            let text = format!("{error} {error:?}");
            assert!(text.contains(part) && !text.contains("canary"), "{text}");
            assert_eq!(error.is_transient(), is_transient);
        }
        check(client.exchange(request()).await, 200, "ok");
        let said = proxy.await.expect("four connections");
        for asked in &said[..4] {
            assert!(asked.starts_with("CONNECT localhost:7 HTTP/1.1\r\n"), "{asked}");
            assert!(
                asked.contains("Proxy-Authorization: Basic bWU6Y2FuYXJ5\r\n"),
                "{asked}"
            );
            assert!(!asked.contains("secret") && !asked.contains("Bearer"), "{asked}");
        }
        assert!(
            said[4].starts_with("GET /secret?canary HTTP/1.1\r\n"),
            "{}",
            said[4]
        );
        assert!(!said[4].to_lowercase().contains("proxy-authorization"));
    }
}
