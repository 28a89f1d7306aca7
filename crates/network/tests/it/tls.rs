//! Certificates that brokers have, against `openssl s_server`: believed, or refused with what to change.

use crate::tools::{Tools, tools};
use ottla_network::stores::{Identity, Store, StoreForm};
use ottla_network::tls::{TlsConfig, TlsConfigBuilder, TlsConnector};
use ottla_network::transport::{Connector, TcpConnector};
use ottla_network::{Endpoint, IoFailure, TlsFailure};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// `openssl s_server` with one certificate, for as long as the value lives.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    #[allow(
        clippy::disallowed_methods,
        reason = "somebody has to read what the server prints"
    )]
    fn start(tools: &Tools, name: &str, more: &str) -> Server {
        let arguments = format!("s_server -accept 127.0.0.1:0 -key {name}.key -cert {name}.crt {more}");
        let mut child = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(tools.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut lines = output.lines().map_while(Result::ok);
        let accept = lines
            .find(|line| line.starts_with("ACCEPT "))
            .expect("it listens");
        let port = accept.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.expect("a port");
        // What it prints later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, port }
    }

    /// Connects as to `host`.
    fn connect(&self, config: TlsConfigBuilder, host: &str) -> Result<(), TlsFailure> {
        self.connect_by(config.build().expect("settings"), host)
    }

    fn connect_by(&self, config: TlsConfig, host: &str) -> Result<(), TlsFailure> {
        let connector = TlsConnector::new(Arc::new(TcpConnector::default()), Arc::new(config));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let connected = runtime
            .expect("a runtime")
            .block_on(connector.connect(&Endpoint::new(host, self.port), address));
        match connected {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = IoFailure::from(error);
                let text = failure.to_string();
                Err(failure.tls.unwrap_or_else(|| panic!("not told apart: {text}")))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn trust(tools: &Tools, file: &str) -> TlsConfigBuilder {
    let store = Store::read(StoreForm::Pem, &tools.read(file), None, None).expect("PEM");
    TlsConfig::builder().trust(store.trusted)
}

fn identity(tools: &Tools, name: &str) -> Identity {
    let text = |end: &str| String::from_utf8(tools.read(&format!("{name}.{end}"))).expect("text");
    Store::from_pem_parts(&text("key"), &text("crt"), None).expect("an identity")
}

#[track_caller]
fn refused(result: Result<(), TlsFailure>, part: &str) {
    let failure = result.expect_err(part);
    let text = format!("{failure} ({})", failure.hint());
    assert!(text.contains(part), "{text}");
}

const SAN: &str = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1";

#[test]
fn a_certificate_is_believed_if_everything_about_it_is_right() {
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    tools.authority("stranger");
    tools.certificate("good", "ca", "rsa:2048", SAN, 30);
    let server = Server::start(&tools, "good", "");
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(server.connect(trust(&tools, "ca.crt"), host), Ok(()));
    }
    refused(
        server.connect(trust(&tools, "ca.crt"), "elsewhere.example"),
        r#"not for "elsewhere.example" but for "localhost""#,
    );
    refused(server.connect(trust(&tools, "ca.crt"), "::1"), "not for");
    let nameless = trust(&tools, "ca.crt").verify_names(false);
    assert_eq!(server.connect(nameless, "elsewhere.example"), Ok(()));
    // The name is all that is skipped.
    for names in [true, false] {
        let stranger = trust(&tools, "stranger.crt").verify_names(names);
        refused(server.connect(stranger, "localhost"), "signed by nobody");
    }
}

#[test]
fn a_failure_with_old_settings_says_why_there_are_no_newer_ones() {
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    tools.authority("old");
    tools.certificate("good", "ca", "rsa:2048", SAN, 30);
    let server = Server::start(&tools, "good", "");
    let stale = |file| {
        let config = trust(&tools, file).build().expect("settings");
        config.stale("trust.pem: it holds nothing")
    };
    // As long as they do, nothing is wrong.
    assert_eq!(server.connect_by(stale("ca.crt"), "localhost"), Ok(()));
    let failure = server.connect_by(stale("old.crt"), "localhost");
    let failure = failure.expect_err("signed by another authority");
    assert!(matches!(failure, TlsFailure::Stale { .. }), "{failure:?}");
    for part in ["signed by nobody", "trust.pem: it holds nothing"] {
        refused(Err(failure.clone()), part);
    }
}

#[test]
fn odd_certificates_are_refused_with_what_to_change() {
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    for (name, key, extensions, days, part) in [
        ("expired", "rsa:2048", SAN, -1, "renew the broker's certificate"),
        (
            "common",
            "rsa:2048",
            "basicConstraints=CA:FALSE",
            30,
            "no subject alternative name",
        ),
        ("one", "rsa:2048", "", 30, "as X.509 version 3"),
        ("small", "rsa:1024", SAN, 30, "RSA with 1024 bits"),
        (
            "authority",
            "rsa:2048",
            "basicConstraints=CA:TRUE\nsubjectAltName=DNS:localhost",
            30,
            "CA:FALSE",
        ),
    ] {
        tools.certificate(name, "ca", key, extensions, days);
        // The least that lets the server use a small key.
        let server = Server::start(&tools, name, "-cipher DEFAULT@SECLEVEL=0");
        refused(server.connect(trust(&tools, "ca.crt"), "localhost"), part);
    }
}

#[test]
fn a_certificate_of_the_truststore_is_believed_but_for_name_validity_and_key() {
    let Some(tools) = tools() else { return };
    tools.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.crt -days 30 -subj /CN=self -addext \
         subjectAltName=DNS:localhost",
    );
    let server = Server::start(&tools, "self", "");
    assert_eq!(
        server.connect(trust(&tools, "self.crt"), "localhost"),
        Ok(()),
        "CA:TRUE, self-signed"
    );
    refused(server.connect(trust(&tools, "self.crt"), "other"), "not for");
    drop(server);

    tools.authority("ca");
    tools.certificate("old", "ca", "rsa:2048", SAN, -1);
    let server = Server::start(&tools, "old", "");
    refused(server.connect(trust(&tools, "old.crt"), "localhost"), "expired");
    drop(server);

    // Two certificates of one name and different keys: only the one that stands in the store is believed.
    tools.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout twin.key -out twin.crt -days 30 -subj /CN=self -addext \
         subjectAltName=DNS:localhost",
    );
    let server = Server::start(&tools, "twin", "");
    assert!(server.connect(trust(&tools, "self.crt"), "localhost").is_err());
}

#[cfg(not(feature = "tls-aws-lc-rs"))]
#[test]
fn a_key_on_p521_takes_another_provider() {
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    tools.certificate("p521", "ca", "ec -pkeyopt ec_paramgen_curve:P-521", SAN, 30);
    let server = Server::start(&tools, "p521", "");
    refused(
        server.connect(trust(&tools, "ca.crt"), "localhost"),
        "tls-aws-lc-rs",
    );
}

#[test]
fn versions_and_suites_are_those_that_are_set() {
    use ottla_network::tls::TlsVersion::{Tls12, Tls13};
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    tools.certificate("good", "ca", "rsa:2048", SAN, 30);
    let new = Server::start(&tools, "good", "-tls1_3");
    let old = Server::start(&tools, "good", "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384");
    let with = |versions| trust(&tools, "ca.crt").versions([versions]);
    assert_eq!(new.connect(with(Tls13), "localhost"), Ok(()));
    assert_eq!(old.connect(with(Tls12), "localhost"), Ok(()));
    refused(new.connect(with(Tls12), "localhost"), "ssl.enabled.protocols");
    refused(old.connect(with(Tls13), "localhost"), "ssl.enabled.protocols");
    let suite = |name| trust(&tools, "ca.crt").cipher_suites([name]);
    assert_eq!(
        old.connect(suite("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), "localhost"),
        Ok(())
    );
    refused(
        old.connect(suite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "localhost"),
        "ssl.cipher.suites",
    );
}

#[test]
fn a_client_shows_its_certificate_where_it_is_wanted() {
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    tools.certificate("good", "ca", "rsa:2048", SAN, 30);
    tools.certificate("client", "ca", "rsa:2048", "extendedKeyUsage=clientAuth", 30);
    // With TLS 1.2 the refusal belongs to the handshake.
    let server = Server::start(
        &tools,
        "good",
        "-tls1_2 -Verify 2 -verify_return_error -CAfile ca.crt",
    );
    let with = trust(&tools, "ca.crt").identity(identity(&tools, "client"));
    assert_eq!(server.connect(with, "localhost"), Ok(()));
    refused(
        server.connect(trust(&tools, "ca.crt"), "localhost"),
        "ssl.keystore.location",
    );
}
