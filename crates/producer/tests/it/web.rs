//! A web server that the tests answer for, with TLS or without, and certificates by openssl.

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a server does with a request.
pub(crate) enum Reply {
    /// It answers with this status and body.
    Answer(u16, String),
    /// It sends this as it is, and closes.
    Raw(String),
    /// It says nothing, for ever.
    Silence,
}

/// A server on a port of its own, until it is dropped. It remembers what it was asked.
pub(crate) struct Web {
    pub(crate) port: u16,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    /// `reply` gets the number of the request, from 0, and its text.
    pub(crate) async fn start(
        acceptor: Option<TlsAcceptor>,
        reply: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (reply, remembered) = (Arc::new(reply), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reply, asked) = (Arc::clone(&reply), Arc::clone(&remembered));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, &*reply, &asked).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &*reply, &asked).await;
                            }
                        }
                    }
                });
            }
        });
        Web { port, asked, task }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    reply: &(dyn Fn(usize, &str) -> Reply + Send + Sync),
    asked: &Mutex<Vec<String>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut asked = asked.lock().expect("no panic");
            asked.push(request.clone());
            asked.len() - 1
        };
        let (bytes, stays) = match reply(number, &request) {
            Reply::Answer(status, body) => (
                format!(
                    "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
                true,
            ),
            Reply::Raw(bytes) => (bytes, false),
            Reply::Silence => std::future::pending().await,
        };
        // A client that has seen enough may be gone.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let _ = stream.flush().await;
        if !stays {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// The whole request, if one comes.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("a number"));
            if bytes.len() >= end + 4 + length {
                return Some(String::from_utf8(bytes).expect("text"));
            }
        }
        let mut chunk = [0; 4_096];
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

/// Passes bytes on between each of its clients and a server without TLS.
pub(crate) async fn front(acceptor: TlsAcceptor, port: u16) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let own = listener.local_addr().expect("it is bound").port();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut behind = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    (own, task)
}

/// `ca.crt`, and `server` and `client`, each with `.key` and `.crt`.
pub(crate) struct Certificates(TempDir);

/// `None`, said loudly, where there is no openssl, and never with `CI` set.
pub(crate) fn certificates() -> Option<Certificates> {
    let there = Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if there.is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "with CI set, openssl must be there"
        );
        println!("SKIPPED: there is no openssl");
        return None;
    }
    let certificates = Certificates(tempfile::tempdir().expect("a folder"));
    certificates.write(
        "extensions",
        "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
    );
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    // Some platforms trust an authority of the name "localhost".
    certificates.openssl(&format!(
        "req -x509 {new} -subj /CN=ottla-test-authority -keyout ca.key -out ca.crt -days 3"
    ));
    for name in ["server", "client"] {
        certificates.openssl(&format!(
            "req -new {new} -subj /CN=localhost -keyout {name}.key -out {name}.csr"
        ));
        certificates.openssl(&format!(
            "x509 -req -in {name}.csr -out {name}.crt -CA ca.crt -CAkey ca.key -CAcreateserial -days 3 -extfile extensions"
        ));
    }
    Some(certificates)
}

impl Certificates {
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect(name);
        self.path(name)
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }

    /// A certificate of the authority for this name, with `.key` and `.crt`.
    pub(crate) fn issue(&self, name: &str) {
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        self.write(
            &format!("{name}.extensions"),
            &format!("basicConstraints=CA:FALSE\nsubjectAltName=DNS:{name}\n"),
        );
        self.openssl(&format!(
            "req -new {new} -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -out {name}.crt -CA ca.crt -CAkey ca.key -CAcreateserial -days 3 -extfile \
             {name}.extensions"
        ));
    }

    /// TLS for the server, which wants certificates of its clients or none.
    pub(crate) fn acceptor(&self, wants_certificates: bool) -> TlsAcceptor {
        self.acceptor_of("server", wants_certificates)
    }

    /// TLS with the certificate of this name.
    pub(crate) fn acceptor_of(&self, name: &str, wants_certificates: bool) -> TlsAcceptor {
        let chain = |name: &str| -> Vec<CertificateDer<'static>> {
            let found = CertificateDer::pem_file_iter(self.path(name)).expect("PEM");
            found
                .map(|certificate| certificate.expect("a certificate"))
                .collect()
        };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if wants_certificates {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(chain("ca.crt"));
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
        let config = builder.with_single_cert(chain(&format!("{name}.crt")), key);
        TlsAcceptor::from(Arc::new(config.expect("a certificate")))
    }
}
