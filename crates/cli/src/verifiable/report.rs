//! The lines of JSON, as `org.apache.kafka.tools.VerifiableProducer` of 4.3.1 prints them.

use super::values::Values;
use crate::outcomes::Outcome;
use ottla::{Error, ErrorCode};
use ottla_formats::json;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the lines. After the first error of writing it only counts.
pub(super) struct Report<W> {
    out: W,
    buffer: Vec<u8>,
    topic: String,
    values: Values,
    text: String,
    pub(super) acked: u64,
    pub(super) failed: u64,
    error: Option<io::Error>,
    /// Set when nobody can read the lines any more.
    ended: Arc<AtomicBool>,
}

/// A buffer of this size is written out.
const WRITE_BYTES: usize = 64 << 10;

impl<W: Write> Report<W> {
    pub(super) fn new(out: W, topic: &str, values: Values, ended: Arc<AtomicBool>) -> Report<W> {
        Report {
            out,
            buffer: Vec::with_capacity(WRITE_BYTES + 1_024),
            topic: topic.to_owned(),
            values,
            text: String::new(),
            acked: 0,
            failed: 0,
            error: None,
            ended,
        }
    }

    /// A line that has nothing but its name and its time.
    pub(super) fn event(&mut self, name: &str) {
        self.begin(name);
        self.end();
        self.flush();
    }

    /// What became of the record of this number.
    pub(super) fn outcome(&mut self, number: u64, outcome: &Outcome) {
        match outcome {
            Ok(metadata) => {
                self.acked += 1;
                self.begin("producer_send_success");
                self.record(number);
                self.buffer.extend_from_slice(b",\"offset\":");
                // Java's offset is -1 where the broker tells none, as with acks=0.
                json::integer(&mut self.buffer, metadata.offset().unwrap_or(-1));
                self.buffer.extend_from_slice(b",\"partition\":");
                json::integer(&mut self.buffer, i64::from(metadata.partition()));
            }
            Err(error) => {
                self.failed += 1;
                self.begin("producer_send_error");
                self.record(number);
                self.field("exception", &exception(error));
                self.field("message", &error.to_string());
                // Not in Java's lines: whether the record may be in the log all the same.
                self.field("persistence", &error.persistence().to_string());
            }
        }
        self.end();
    }

    /// The last line.
    pub(super) fn tool_data(&mut self, sent: u64, target: i64, seconds: f64) {
        let average = if seconds > 0.0 {
            self.acked as f64 / seconds
        } else {
            0.0
        };
        self.begin("tool_data");
        for (name, value) in [("sent", sent.cast_signed()), ("acked", self.acked.cast_signed())] {
            self.number(name, value);
        }
        self.number("target_throughput", target);
        let average = format!(",\"avg_throughput\":{average:?}");
        self.buffer.extend_from_slice(average.as_bytes());
        self.end();
        self.flush();
    }

    pub(super) fn flush(&mut self) {
        if self.error.is_none()
            && !self.buffer.is_empty()
            && let Err(error) = self.out.write_all(&self.buffer).and_then(|()| self.out.flush())
        {
            self.error = Some(error);
            self.ended.store(true, Ordering::Relaxed);
        }
        self.buffer.clear();
    }

    /// Why lines are missing, unless it is that their reader went away.
    pub(super) fn error(&self) -> Option<&io::Error> {
        let error = self.error.as_ref();
        error.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    fn begin(&mut self, name: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.buffer.extend_from_slice(b"{\"timestamp\":");
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        json::integer(&mut self.buffer, now);
        self.field("name", name);
    }

    fn record(&mut self, number: u64) {
        let (values, mut text) = (self.values, std::mem::take(&mut self.text));
        if values.write_key(number, &mut text) {
            self.field("key", &text);
        } else {
            self.buffer.extend_from_slice(b",\"key\":null");
        }
        values.write_value(number, &mut text);
        self.field("value", &text);
        self.text = text;
        let topic = std::mem::take(&mut self.topic);
        self.field("topic", &topic);
        self.topic = topic;
    }

    fn name(&mut self, name: &str) {
        self.buffer.extend_from_slice(b",\"");
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }

    fn field(&mut self, name: &str, text: &str) {
        self.name(name);
        json::string(&mut self.buffer, text);
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        json::integer(&mut self.buffer, value);
    }

    fn end(&mut self) {
        self.buffer.extend_from_slice(b"}\n");
        if self.buffer.len() >= WRITE_BYTES {
            self.flush();
        }
    }
}

/// The exception that Java's producer would have failed with, as `getClass().toString()` shows it.
fn exception(error: &Error) -> String {
    let class = match error.code() {
        Some(code) => return format!("class org.apache.kafka.common.errors.{}", exception_of(code)),
        None if error.is_timeout() => "errors.TimeoutException",
        None => "KafkaException",
    };
    format!("class org.apache.kafka.common.{class}")
}

/// Java names its exceptions after the codes, with exceptions; these are those that a producer can meet.
fn exception_of(code: ErrorCode) -> String {
    let name = code.name().unwrap_or("UNKNOWN_SERVER_ERROR");
    let irregular = match name {
        "UNKNOWN_SERVER_ERROR" => "UnknownServerException",
        "CORRUPT_MESSAGE" => "CorruptRecordException",
        "REQUEST_TIMED_OUT" => "TimeoutException",
        "MESSAGE_TOO_LARGE" => "RecordTooLargeException",
        "RECORD_LIST_TOO_LARGE" => "RecordBatchTooLargeException",
        "NETWORK_EXCEPTION" => "NetworkException",
        "INVALID_TOPIC_EXCEPTION" => "InvalidTopicException",
        "TOPIC_AUTHORIZATION_FAILED" => "TopicAuthorizationException",
        "CLUSTER_AUTHORIZATION_FAILED" => "ClusterAuthorizationException",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" => "TransactionalIdAuthorizationException",
        "OUT_OF_ORDER_SEQUENCE_NUMBER" => "OutOfOrderSequenceException",
        "DUPLICATE_SEQUENCE_NUMBER" => "DuplicateSequenceException",
        "INVALID_PRODUCER_ID_MAPPING" => "InvalidPidMappingException",
        "INVALID_TRANSACTION_TIMEOUT" => "InvalidTxnTimeoutException",
        "KAFKA_STORAGE_ERROR" => "KafkaStorageException",
        "SASL_AUTHENTICATION_FAILED" => "SaslAuthenticationException",
        _ => "",
    };
    if !irregular.is_empty() {
        return irregular.to_owned();
    }
    let mut class = String::with_capacity(name.len() + 10);
    for word in name.split('_').filter(|word| !word.is_empty()) {
        class.push_str(&word[..1]);
        class.push_str(&word[1..].to_ascii_lowercase());
    }
    class.push_str("Exception");
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_javas() {
        for (code, class) in [
            (3, "UnknownTopicOrPartitionException"),
            (6, "NotLeaderOrFollowerException"),
            (7, "TimeoutException"),
            (10, "RecordTooLargeException"),
            (19, "NotEnoughReplicasException"),
            (47, "InvalidProducerEpochException"),
            (9_999, "UnknownServerException"),
        ] {
            assert_eq!(exception_of(ErrorCode(code)), class);
        }
    }

    #[test]
    fn lines_are_those_of_java() {
        let values = Values {
            prefix: None,
            repeating_keys: None,
            bytes: 0,
        };
        let ended = Arc::new(AtomicBool::new(false));
        let mut report = Report::new(Vec::new(), "t", values, Arc::clone(&ended));
        report.event("startup_complete");
        report.acked = 3;
        report.tool_data(4, -1, 2.0);
        report.tool_data(4, -1, 0.0);
        let text = String::from_utf8(std::mem::take(&mut report.out)).expect("UTF-8");
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines[0]["name"], "startup_complete");
        assert!(lines[0]["timestamp"].as_i64().is_some_and(|time| time > 0));
        assert_eq!(lines[1]["name"], "tool_data");
        assert_eq!(
            (&lines[1]["sent"], &lines[1]["acked"]),
            (&4.into(), &3.into()),
            "{text}"
        );
        assert_eq!(lines[1]["target_throughput"], -1);
        assert!(text.contains("\"avg_throughput\":1.5}") && text.contains("\"avg_throughput\":0.0}"));
        assert!(!ended.load(Ordering::Relaxed));
    }
}
