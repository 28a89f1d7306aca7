//! The mock over HTTP, on a thread of its own.
#![expect(
    clippy::disallowed_methods,
    reason = "this is I/O, for tests, behind a feature: it has threads, and its delays are real"
)]

use super::{Fault, MockRegistry};
use crate::registry::{RequestReader, response_bytes};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A schema is smaller.
const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Who sends nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A [`MockRegistry`] that listens on the loopback interface until it is dropped.
pub struct MockServer {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl MockServer {
    /// Listens on a free port.
    ///
    /// # Errors
    /// There is none, or no thread.
    pub fn start(registry: MockRegistry) -> io::Result<MockServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::Builder::new().name("ottla-mock-registry".to_owned());
        let listener = thread.spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let registry = registry.clone();
                if let Ok(stream) = stream {
                    // A client that goes away is no trouble of ours.
                    thread::spawn(move || serve(stream, &registry).ok());
                }
            }
        })?;
        Ok(MockServer {
            address,
            is_over,
            listener: Some(listener),
        })
    }

    /// Its address, as `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // It looks only when somebody comes.
        let came = TcpStream::connect(self.address);
        if let (Ok(_), Some(listener)) = (came, self.listener.take()) {
            // It does not panic; and there is nothing to do if it did.
            let _ = listener.join();
        }
    }
}

impl fmt::Debug for MockServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MockServer").field(&self.address).finish()
    }
}

fn serve(mut stream: TcpStream, registry: &MockRegistry) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = RequestReader::new(REQUEST_BYTES_MAX);
    let mut buffer = [0; 4096];
    let request = loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        match reader.push(&buffer[..count]) {
            Ok(Some(request)) => break request,
            Ok(None) => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    };
    let (fault, response) = registry.answer(&request);
    match fault {
        Some(Fault::Close) => return Ok(()),
        Some(Fault::Delay(delay)) => thread::sleep(delay),
        _ => {}
    }
    stream.write_all(&response_bytes(&response))
}
