//! Files as people have them: for durability, throughput, the cloud, with secrets kept elsewhere, old ones. Both producers
//! take each as it is.
//!
//! There is none with a `transactional.id`: Java's console producer begins no transaction, sends nothing, and closes after two
//! minutes in which it takes a whole core.

use super::cases::{Case, Expected};

/// The value of this variable is a user's password, for files that name it.
pub(super) const PASSWORD_VARIABLE: &str = "OTTLA_SECURITY_PASSWORD";

/// What stands in the file of secrets, for files that name it.
pub(super) const SECRETS: &str = "# Kept apart from the settings.\npassword=alice-secret\n";

/// The set-ups, in the open and behind doors.
pub(super) fn setups() -> Vec<Case> {
    use Expected::Both;
    let open = |name: &str, text| Case::new(format!("setup-{name}"), "plaintext", Both).text(text);
    let locked = |name: &str, text| Case::new(format!("setup-{name}"), "sasl-ssl-plain-pem", Both).text(text);
    vec![
        // First: nobody tells when its record is there, and the topic is read at the end.
        open("fire-and-forget", FIRE_AND_FORGET),
        open("as-kafka-ships-it", "compression.type=none\n"),
        open("durable", DURABLE),
        open("throughput", THROUGHPUT),
        open("in-order-without-idempotence", IN_ORDER),
        open("application", APPLICATION),
        open("old", OLD),
        open("odd-text", ODD_TEXT),
        locked("cloud", CLOUD),
        locked("secret-in-the-environment", ENVIRONMENT).without("sasl.jaas.config"),
        locked("secret-in-a-file", FILE).without("sasl.jaas.config"),
    ]
}

const FIRE_AND_FORGET: &str = "\
acks=0
retries=0
compression.type=snappy
linger.ms=0
";

const DURABLE: &str = "\
acks=all
enable.idempotence=true
max.in.flight.requests.per.connection=5
retries=2147483647
delivery.timeout.ms=120000
request.timeout.ms=30000
retry.backoff.ms=100
compression.type=zstd
compression.zstd.level=3
";

const THROUGHPUT: &str = "\
acks=1
batch.size=131072
linger.ms=50
buffer.memory=67108864
max.request.size=4194304
compression.type=lz4
send.buffer.bytes=-1
receive.buffer.bytes=-1
partitioner.ignore.keys=true
";

const IN_ORDER: &str = "\
enable.idempotence=false
acks=-1
max.in.flight.requests.per.connection=1
retries=10
compression.type=gzip
compression.gzip.level=9
";

/// With what an application's file has beside the connection, classes of Java's among it.
const APPLICATION: &str = "\
client.id=checkout-1
key.serializer=org.apache.kafka.common.serialization.StringSerializer
value.serializer=org.apache.kafka.common.serialization.StringSerializer
partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner
interceptor.classes=
metric.reporters=org.apache.kafka.common.metrics.JmxReporter
metrics.recording.level=INFO
auto.include.jmx.reporter=true
enable.metrics.push=true
client.dns.lookup=use_all_dns_ips
connections.max.idle.ms=300000
metadata.max.age.ms=60000
";

/// As clouds offer it for download: for all kinds of clients at once, with their registry's keys.
const CLOUD: &str = "\
# Required connection configs for Kafka producer, consumer, and admin
client.dns.lookup=use_all_dns_ips
session.timeout.ms=45000
acks=all
# Required connection configs for a schema registry
schema.registry.url=https://registry.example
basic.auth.credentials.source=USER_INFO
basic.auth.user.info=KEY:SECRET
";

/// Keys of producers of long ago, which Java ignores with a warning.
const OLD: &str = "\
metadata.fetch.timeout.ms=60000
block.on.buffer.full=true
timeout.ms=30000
";

/// All that the form allows.
const ODD_TEXT: &str = "
! a comment of the other kind
  client.id  :  caf\\u00e9\\ \\
      nord
acks all
compression.type:\\
  lz4
linger.ms\t=\t1
batch.size=16384
batch.size=32768
";

const ENVIRONMENT: &str = "\
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username=\"alice\" \\
  password=\"${env:OTTLA_SECURITY_PASSWORD}\";
";

const FILE: &str = "\
config.providers=file
config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" \\
  password=\"${file:{secrets}:password}\";
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_variable_that_is_set() {
        assert!(ENVIRONMENT.contains(&format!("${{env:{PASSWORD_VARIABLE}}}")));
    }
}
