//! The readers that are not ours: Java's console consumer, kcat, and Kafka's dump of its own files.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, bail};

use super::compare::Record;
use crate::kafka::java;
use crate::maven::Library;

/// Reads `records` records of `topic` from its beginning with Java's console consumer.
pub(crate) fn java_consumer(
    library: &Library,
    bootstrap: &str,
    topic: &str,
    records: usize,
    take: impl FnMut(&Record<'_>),
) -> anyhow::Result<()> {
    let consumer = java::console_consumer(library, bootstrap, topic, records, SHOWN);
    java_records(consumer, records, take)
}

/// The same, of what is committed.
pub(crate) fn java_committed(
    library: &Library,
    bootstrap: &str,
    topic: &str,
    records: usize,
    take: impl FnMut(&Record<'_>),
) -> anyhow::Result<()> {
    let mut consumer = java::console_consumer(library, bootstrap, topic, records, SHOWN);
    consumer.args(["--isolation-level", "read_committed"]);
    java_records(consumer, records, take)
}

/// What Java's consumer prints of a record, in front of its value.
const SHOWN: &[&str] = &["timestamp", "partition", "offset", "key"];

fn java_records(
    mut consumer: Command,
    records: usize,
    mut take: impl FnMut(&Record<'_>),
) -> anyhow::Result<()> {
    let mut count = 0;
    for_each_line(&mut consumer, |line| {
        let record = java_record(line).with_context(|| format!("Java's consumer printed `{line}`"))?;
        take(&record);
        count += 1;
        Ok(())
    })?;
    // It ends in peace when nothing comes for a while. That says nothing of the records that it has not read.
    if count < records {
        bail!("Java's consumer stopped after {count} of {records} records");
    }
    Ok(())
}

/// `CreateTime:1700000000000<tab>Partition:0<tab>Offset:5<tab>key<tab>value`
fn java_record(line: &str) -> Option<Record<'_>> {
    let mut fields = line.splitn(5, '\t');
    let mut number = |name: &str| fields.next()?.strip_prefix(name)?.parse::<u64>().ok();
    Some(Record {
        timestamp_ms: i64::try_from(number("CreateTime:")?).ok()?,
        partition: usize::try_from(number("Partition:")?).ok()?,
        offset: number("Offset:")?,
        key: fields.next()?,
        value: fields.next()?,
    })
}

/// Reads all that is committed of `topic` with kcat (librdkafka), to the end of each partition.
pub(crate) fn kcat(bootstrap: &str, topic: &str, mut take: impl FnMut(&Record<'_>)) -> anyhow::Result<()> {
    let mut kcat = Command::new("kcat");
    kcat.args([
        "-C",
        "-q",
        "-e",
        "-b",
        bootstrap,
        "-t",
        topic,
        "-o",
        "beginning",
        "-f",
        r"%p\t%o\t%T\t%k\t%s\n",
        "-X",
        "check.crcs=true",
    ]);
    for_each_line(&mut kcat, |line| {
        let record = kcat_record(line).with_context(|| format!("kcat printed `{line}`"))?;
        take(&record);
        Ok(())
    })
}

fn kcat_record(line: &str) -> Option<Record<'_>> {
    let mut fields = line.splitn(5, '\t');
    Some(Record {
        partition: fields.next()?.parse().ok()?,
        offset: fields.next()?.parse().ok()?,
        timestamp_ms: fields.next()?.parse().ok()?,
        key: fields.next()?,
        value: fields.next()?,
    })
}

/// What Kafka's dump finds in the files of a topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump {
    pub(crate) batches: usize,
    pub(crate) records: usize,
}

/// Dumps the files of `topic` under `data`, iterating into the batches: every batch has to be valid, and of `codec`.
pub(crate) fn dump(library: &Library, data: &Path, topic: &str, codec: &str) -> anyhow::Result<Dump> {
    let files = segments(data, topic)?;
    let files = files
        .iter()
        .map(|file| file.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(",");
    // It moved between the modules in 4.x.
    let class = if library.is_at_least(4, 2) {
        "org.apache.kafka.tools"
    } else {
        "kafka.tools"
    };
    let mut dump = java::tool(library, &format!("{class}.DumpLogSegments"));
    dump.args(["--deep-iteration", "--files", &files]);
    let mut found = Dump::default();
    for_each_line(&mut dump, |line| dump_line(line, codec, &mut found))?;
    Ok(found)
}

fn dump_line(line: &str, codec: &str, found: &mut Dump) -> anyhow::Result<()> {
    if line.starts_with("| offset:") {
        found.records += 1;
    } else if line.starts_with("baseOffset:") {
        found.batches += 1;
        let says = |what: &str| {
            line.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                // Older versions shout the codec's name.
                .to_lowercase()
                .contains(what)
        };
        if !says("isvalid: true") {
            bail!("a batch that is not valid: {line}");
        }
        if !says(&format!("compresscodec: {codec}")) {
            bail!("a batch that is not of the codec {codec}: {line}");
        }
    } else if !line.starts_with("Dumping ") && !line.contains("tarting offset:") && !line.is_empty() {
        bail!("the dump says: {line}");
    }
    Ok(())
}

/// The log files of all partitions of `topic`.
fn segments(data: &Path, topic: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut segments = Vec::new();
    for partition in fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))? {
        let partition = partition?;
        let name = partition.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-'));
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            continue;
        }
        for file in fs::read_dir(partition.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                segments.push(path);
            }
        }
    }
    segments.sort();
    if segments.is_empty() {
        bail!("{} holds no partition of {topic}", data.display());
    }
    Ok(segments)
}

/// Runs `reader` and gives each line that it prints to `take`; what it says beside is for errors.
fn for_each_line(
    reader: &mut Command,
    mut take: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = reader.get_program().to_string_lossy().into_owned();
    let mut child = reader
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{name}`"))?;
    let output = child.stdout.take().context("a pipe that was just asked for")?;
    let mut errors = child.stderr.take().context("a pipe that was just asked for")?;
    // Read at the same time: neither pipe may fill while the other is waited for.
    let said = thread::spawn(move || {
        let mut said = String::new();
        errors.read_to_string(&mut said).map(|_| said)
    });
    let mut taken = Ok(());
    for line in BufReader::with_capacity(1 << 16, output).lines() {
        taken = line
            .with_context(|| format!("cannot read what {name} prints"))
            .and_then(|line| take(&line));
        if taken.is_err() {
            // The first line that cannot be right ends it.
            child.kill()?;
            break;
        }
    }
    let status = child.wait()?;
    let said = said
        .join()
        .map_err(|_| anyhow::anyhow!("the reader of errors panicked"))?
        .unwrap_or_default();
    taken?;
    if !status.success() {
        bail!("`{name}` ended with {status}: {}", said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_readers_show_the_same_record() {
        let java = java_record("CreateTime:7\tPartition:2\tOffset:5\tk\ta\tb").expect("a record");
        let kcat = kcat_record("2\t5\t7\tk\ta\tb").expect("a record");
        assert_eq!(java, kcat);
        let record = Record {
            partition: 2,
            offset: 5,
            timestamp_ms: 7,
            key: "k",
            value: "a\tb",
        };
        assert_eq!(java, record);
    }

    #[test]
    fn what_is_no_record_is_none() {
        assert_eq!(java_record("Processed a total of 3 messages"), None);
        assert_eq!(kcat_record("% ERROR: gone"), None);
    }

    const BATCH: &str = "baseOffset: 0 lastOffset: 1 count: 2 baseSequence: -1 position: 0 CreateTime: 7 size: 99 \
                         magic: 2 compresscodec: lz4 crc: 12 isvalid: true";

    #[test]
    fn a_dump_is_counted() {
        let mut found = Dump::default();
        let lines = [
            "Dumping /d/t-0/0.log",
            "Log starting offset: 0",
            BATCH,
            "| offset: 0 CreateTime: 7",
            "| offset: 1",
        ];
        for line in lines {
            dump_line(line, "lz4", &mut found).expect("fine");
        }
        assert_eq!(
            found,
            Dump {
                batches: 1,
                records: 2
            }
        );
    }

    #[test]
    fn a_broken_batch_is_caught() {
        for (line, says) in [
            (BATCH.replace("isvalid: true", "isvalid: false"), "not valid"),
            (BATCH.replace("lz4", "none"), "not of the codec lz4"),
            (
                "Found 17 invalid bytes at the end of 0.log".to_owned(),
                "the dump says",
            ),
        ] {
            let error = dump_line(&line, "lz4", &mut Dump::default())
                .expect_err(&line)
                .to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
