//! HTTP/1.1 without I/O: as much of it as one request and one response on a connection of their own need.
//!
//! Both ends say `Connection: close`. Bodies come with a length, in chunks, or until the connection ends.

use super::http::{HttpError, Method, Request, Response};

/// Start line and headers together; a registry's have a few hundred bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// A chunk's line: its size, and extensions that nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Interim responses before the real one.
const INTERIM_MAX: usize = 8;

/// The bytes of a request, whose host is sent as `host`.
///
/// # Errors
/// URL or credentials hold what cannot be sent.
pub fn request_bytes(request: &Request, host: &str) -> Result<Vec<u8>, HttpError> {
    let path = request
        .url
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]))
        .unwrap_or("/");
    let unsendable = |text: &str| text.bytes().any(|byte| byte < b' ' || byte == 0x7F);
    let authorization = request.authorization.as_deref();
    if unsendable(path) || path.contains(' ') || unsendable(host) || authorization.is_some_and(unsendable) {
        return Err(HttpError::Refused(
            "the URL or the credentials hold a control character or a space".to_owned(),
        ));
    }
    let mut head = format!(
        "{} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {}, application/json\r\nConnection: close\r\n",
        request.method.name(),
        request.media_type
    );
    if let Some(authorization) = authorization {
        head.push_str(&format!("Authorization: {authorization}\r\n"));
    }
    if let Some(body) = &request.body {
        head.push_str(&format!(
            "Content-Type: {}\r\nContent-Length: {}\r\n",
            request.media_type,
            body.len()
        ));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
    Ok(bytes)
}

/// The bytes of a response.
pub fn response_bytes(response: &Response) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {} Status\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n",
        response.status,
        response.body.len()
    );
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&response.body);
    bytes
}

/// A request as a server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// What to do; `None` for a method that is not among them.
    pub method: Option<Method>,
    /// Path and query, as they were sent.
    pub target: String,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl ReceivedRequest {
    /// A request.
    pub fn new(
        method: Method,
        target: impl Into<String>,
        authorization: Option<String>,
        body: Vec<u8>,
    ) -> ReceivedRequest {
        ReceivedRequest {
            method: Some(method),
            target: target.into(),
            authorization,
            body,
        }
    }
}

/// Reads one response.
#[derive(Debug)]
pub struct ResponseReader(MessageReader);

impl ResponseReader {
    /// For a body of at most so many bytes.
    pub fn new(body_bytes_max: usize) -> ResponseReader {
        ResponseReader(MessageReader::new(body_bytes_max, false))
    }

    /// Takes bytes from the connection; there is a response when it is whole.
    ///
    /// # Errors
    /// It is no HTTP, or too large.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Response>, HttpError> {
        let done = self.0.push(bytes)?;
        Ok(done.then(|| self.response()))
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// The response was not whole.
    pub fn end(&mut self) -> Result<Response, HttpError> {
        self.0.end()?;
        Ok(self.response())
    }

    fn response(&mut self) -> Response {
        Response::new(self.0.head.status, std::mem::take(&mut self.0.body))
    }
}

/// Reads one request.
#[derive(Debug)]
pub struct RequestReader(MessageReader);

impl RequestReader {
    /// For a body of at most so many bytes.
    pub fn new(body_bytes_max: usize) -> RequestReader {
        RequestReader(MessageReader::new(body_bytes_max, true))
    }

    /// Takes bytes from the connection; there is a request when it is whole.
    ///
    /// # Errors
    /// It is no HTTP, or too large.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<ReceivedRequest>, HttpError> {
        if !self.0.push(bytes)? {
            return Ok(None);
        }
        let head = std::mem::take(&mut self.0.head);
        let all = [Method::Get, Method::Post, Method::Put, Method::Delete];
        Ok(Some(ReceivedRequest {
            method: all.into_iter().find(|method| method.name() == head.method),
            target: head.target,
            authorization: head.authorization,
            body: std::mem::take(&mut self.0.body),
        }))
    }
}

#[derive(Debug)]
struct MessageReader {
    is_request: bool,
    body_bytes_max: usize,
    pending: Vec<u8>,
    head: Head,
    body: Vec<u8>,
    part: Part,
    interim: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    /// So many bytes of a body with a length.
    Length(usize),
    /// A body that ends with the connection.
    Rest,
    ChunkLine,
    /// So many bytes of a chunk.
    Chunk(usize),
    ChunkEnd,
    /// Lines behind the last chunk.
    Trailer,
    Done,
}

#[derive(Debug, Default)]
struct Head {
    status: u16,
    method: String,
    target: String,
    authorization: Option<String>,
    length: Option<usize>,
    is_chunked: bool,
}

fn wrong(why: &str) -> HttpError {
    HttpError::Protocol(why.to_owned())
}

impl MessageReader {
    fn new(body_bytes_max: usize, is_request: bool) -> MessageReader {
        MessageReader {
            is_request,
            body_bytes_max,
            pending: Vec::new(),
            head: Head::default(),
            body: Vec::new(),
            part: Part::Head,
            interim: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<bool, HttpError> {
        self.pending.extend_from_slice(bytes);
        while self.part != Part::Done && self.step()? {}
        Ok(self.part == Part::Done)
    }

    fn end(&mut self) -> Result<(), HttpError> {
        match self.part {
            Part::Rest | Part::Done => Ok(()),
            Part::Head if self.pending.is_empty() => Err(HttpError::Connection(
                "it was closed without an answer".to_owned(),
            )),
            _ => Err(HttpError::Connection(
                "it was closed within the answer".to_owned(),
            )),
        }
    }

    /// Whether there was enough for a step.
    fn step(&mut self) -> Result<bool, HttpError> {
        match self.part {
            Part::Head => return self.step_head(),
            Part::Length(left) | Part::Chunk(left) => {
                let taken = self.take_body(left)?;
                let left = left - taken;
                self.part = match self.part {
                    Part::Length(_) if left == 0 => Part::Done,
                    Part::Length(_) => Part::Length(left),
                    _ if left == 0 => Part::ChunkEnd,
                    _ => Part::Chunk(left),
                };
                return Ok(left == 0);
            }
            Part::Rest => {
                self.take_body(usize::MAX)?;
                return Ok(false);
            }
            Part::ChunkLine => {
                let Some(line) = self.line(CHUNK_LINE_BYTES_MAX)? else {
                    return Ok(false);
                };
                let digits = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16).map_err(|_| wrong("a bad chunk size"))?;
                self.part = if size == 0 {
                    Part::Trailer
                } else {
                    Part::Chunk(size)
                };
            }
            Part::ChunkEnd => match self.line(2)? {
                None => return Ok(false),
                Some(line) if line.is_empty() => self.part = Part::ChunkLine,
                Some(_) => return Err(wrong("a chunk is longer than its size")),
            },
            Part::Trailer => match self.line(HEAD_BYTES_MAX)? {
                None => return Ok(false),
                Some(line) if line.is_empty() => self.part = Part::Done,
                Some(_) => {}
            },
            Part::Done => return Ok(false),
        }
        Ok(true)
    }

    fn take_body(&mut self, left: usize) -> Result<usize, HttpError> {
        let taken = left.min(self.pending.len());
        if self.body.len() + taken > self.body_bytes_max {
            return Err(HttpError::Protocol(format!(
                "a body of more than {} bytes",
                self.body_bytes_max
            )));
        }
        self.body.extend(self.pending.drain(..taken));
        Ok(taken)
    }

    /// A line without its end, if it is there.
    fn line(&mut self, bytes_max: usize) -> Result<Option<String>, HttpError> {
        let end = self.pending.iter().position(|byte| *byte == b'\n');
        let Some(end) = end.filter(|end| *end < bytes_max) else {
            return if end.is_some() || self.pending.len() >= bytes_max {
                Err(wrong("a line that is too long"))
            } else {
                Ok(None)
            };
        };
        let line = self.pending.drain(..=end).collect();
        let mut line = String::from_utf8(line).map_err(|_| wrong("a line that is no text"))?;
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(Some(line))
    }

    fn step_head(&mut self) -> Result<bool, HttpError> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = self.pending.windows(END.len()).position(|window| window == END) else {
            // What does not begin like HTTP is told at once: it may never send an empty line.
            let begins = self
                .pending
                .iter()
                .zip(b"HTTP/1.")
                .all(|(found, wanted)| found == wanted);
            if !self.is_request && !begins {
                return Err(wrong("the answer does not begin with HTTP/1"));
            }
            if self.pending.len() > HEAD_BYTES_MAX {
                return Err(wrong("too many headers"));
            }
            return Ok(false);
        };
        if end > HEAD_BYTES_MAX {
            return Err(wrong("too many headers"));
        }
        let head: Vec<u8> = self.pending.drain(..end + END.len()).collect();
        // Only what is ASCII is looked at.
        let head = Head::parse(&String::from_utf8_lossy(&head[..end]), self.is_request)?;
        if !self.is_request && (100..200).contains(&head.status) {
            self.interim += 1;
            return if self.interim > INTERIM_MAX {
                Err(wrong("too many interim responses"))
            } else {
                Ok(true)
            };
        }
        self.part = match (head.is_chunked, head.length) {
            _ if matches!(head.status, 204 | 304) => Part::Done,
            (true, _) => Part::ChunkLine,
            (false, Some(0)) => Part::Done,
            (false, Some(length)) => Part::Length(length),
            // A request without a length has no body.
            (false, None) if self.is_request => Part::Done,
            (false, None) => Part::Rest,
        };
        self.head = head;
        Ok(true)
    }
}

impl Head {
    fn parse(text: &str, is_request: bool) -> Result<Head, HttpError> {
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default();
        let mut words = start.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (first, second, third) = (word(), word(), word());
        let mut head = Head::default();
        let version = if is_request { &third } else { &first };
        if !matches!(version.as_str(), "HTTP/1.1" | "HTTP/1.0") {
            return Err(wrong("it is not HTTP/1"));
        }
        if is_request {
            (head.method, head.target) = (first, second);
        } else {
            let status = second
                .parse()
                .ok()
                .filter(|status| (100..600).contains(status) && second.len() == 3);
            head.status = status.ok_or_else(|| wrong("a bad status"))?;
        }
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a bad header"))?;
            head.header(name, value.trim())?;
        }
        Ok(head)
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
        if name.eq_ignore_ascii_case("content-length") {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let length = value.parse().ok().filter(|_| is_number);
            let length = length.ok_or_else(|| wrong("a bad Content-Length"))?;
            if self.length.is_some_and(|earlier| earlier != length) {
                return Err(wrong("two lengths"));
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(wrong("an unknown Transfer-Encoding"));
            }
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case("authorization") {
            self.authorization = Some(value.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fed whole, and byte by byte.
    fn read(bytes: &[u8]) -> Result<Response, HttpError> {
        let feed = |step: usize| {
            let mut reader = ResponseReader::new(64);
            for piece in bytes.chunks(step) {
                if let Some(response) = reader.push(piece)? {
                    return Ok(response);
                }
            }
            reader.end()
        };
        let (whole, pieces) = (feed(bytes.len().max(1)), feed(1));
        assert_eq!(whole.is_ok(), pieces.is_ok(), "{whole:?} {pieces:?}");
        if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
            assert_eq!(whole, pieces);
        }
        whole
    }

    #[test]
    fn bodies_come_in_three_ways() {
        for bytes in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: a\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ] {
            assert_eq!(
                read(bytes.as_bytes()),
                Ok(Response::new(200, "hello")),
                "{bytes:?}"
            );
        }
        assert_eq!(
            read(b"HTTP/1.1 204 None\r\n\r\n"),
            Ok(Response::new(204, Vec::new()))
        );
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for bytes in [
            "",
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 999 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123456789",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            assert!(read(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2 * HEAD_BYTES_MAX));
        assert_eq!(read(endless.as_bytes()), Err(wrong("too many headers")));
        let interim = "HTTP/1.1 100 C\r\n\r\n".repeat(INTERIM_MAX + 1);
        assert_eq!(read(interim.as_bytes()), Err(wrong("too many interim responses")));
    }

    #[test]
    fn a_request_arrives_as_it_was_sent() {
        let mut request = Request::new(Method::Post, "http://a:1/x/y?z=1");
        request.body = Some(b"{}".to_vec());
        request.authorization = Some("Basic abc".to_owned());
        let bytes = request_bytes(&request, "a:1").expect("sendable");
        let received = RequestReader::new(8).push(&bytes).expect("HTTP").expect("whole");
        assert_eq!(received.method, Some(Method::Post));
        assert_eq!(received.target, "/x/y?z=1");
        assert_eq!(received.authorization.as_deref(), Some("Basic abc"));
        assert_eq!(received.body, b"{}");
        request.authorization = Some("Bearer a\r\nX: y".to_owned());
        assert!(request_bytes(&request, "a:1").is_err());
    }
}
