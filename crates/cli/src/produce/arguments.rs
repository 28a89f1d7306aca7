//! The flags of `ottla produce`.

use super::format::Formats;
use super::report::Form;
use crate::connection::Connection;
use crate::exit::Failure;
use clap::{Args, ValueEnum};
use ottla::config::{Codec, ConfigBuilder, Origin};
use ottla_formats::escape::{delimiter, unescape};
use ottla_formats::layout::Layout;
use ottla_formats::template::Template;
use std::ffi::OsString;
use std::path::PathBuf;

/// Shown behind the flags.
const EXAMPLES: &str = "\
Examples:
  Type records, a line each, into a broker in memory:
    ottla produce -b embedded -t orders
  Keys and values from a file, and where each record went:
    ottla produce -b HOST:9092 -t orders -K : -l orders.txt --output json
  With the producer.properties of a Java client, compressed:
    ottla produce -F producer.properties -t orders -z zstd -l orders.txt
  From one cluster to another, with keys, headers and timestamps:
    kcat -C -e -J -b OLD:9092 -t orders | ottla produce -b NEW:9092 -t orders --input json";

/// What and how to send.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,

    /// The topic; without this flag it is the first argument
    #[arg(help_heading = "Cluster", short = 't', long, value_name = "TOPIC")]
    topic: Option<String>,

    /// The files to send, `-` for standard input (also when there is none): standard input is lines, a file is one
    /// message unless -l
    #[arg(value_name = "TOPIC | FILE")]
    positionals: Vec<OsString>,

    /// What lines are: the value (and the key, with -K), or the JSON that `kcat -C -J` prints
    #[arg(help_heading = "Input", long, value_enum, value_name = "FORM", default_value_t = InputForm::Lines)]
    pub(super) input: InputForm,

    /// How records follow each other, in place of lines, as rpk writes it: '%k %v\n', '%K{big32}%k%V{big32}%v',
    /// '%H %h{%k=%v }%v\n'; also %p, %d (timestamp), {hex} and {base64}
    #[arg(help_heading = "Input", short = 'f', long, value_name = "LAYOUT", value_parser = clap::value_parser!(Layout),
          allow_hyphen_values = true, conflicts_with_all = ["key_delimiter", "record_delimiter", "lines"])]
    format: Option<Layout>,

    #[command(flatten)]
    pub(super) formats: Formats,

    /// With --input json, send each record to the partition that it says
    #[arg(help_heading = "Records", long, conflicts_with = "partition")]
    pub(super) keep_partition: bool,

    /// Each line of a file is a record
    #[arg(help_heading = "Input", short = 'l', long)]
    pub(super) lines: bool,

    /// What separates a line's key from its value, with escapes (\n \r \t \0 \\ \xHH); a line without it has no key
    #[arg(help_heading = "Input", short = 'K', long, value_name = "DELIMITER", value_parser = bytes_not_empty, allow_hyphen_values = true)]
    key_delimiter: Option<Bytes>,

    /// What ends a record, with escapes [default: \n]
    #[arg(help_heading = "Input", short = 'D', long, value_name = "DELIMITER", value_parser = bytes_not_empty, allow_hyphen_values = true)]
    record_delimiter: Option<Bytes>,

    /// The key of every record; one that is read wins
    #[arg(
        help_heading = "Records",
        short = 'k',
        long,
        value_name = "KEY",
        allow_hyphen_values = true
    )]
    pub(super) key: Option<String>,

    /// A header of every record; NAME alone has no value
    #[arg(help_heading = "Records", short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, Option<String>)>,

    /// Send empty keys and values as nulls
    #[arg(help_heading = "Input", short = 'Z', long)]
    pub(super) empty_is_null: bool,

    /// Send keys and values that equal this as nulls
    #[arg(help_heading = "Input", long, value_name = "TEXT", value_parser = bytes, allow_hyphen_values = true)]
    null_marker: Option<Bytes>,

    /// The partition of every record, in place of the partitioner's choice
    #[arg(help_heading = "Records", short = 'p', long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    pub(super) partition: Option<i32>,

    /// How a record without a partition gets one: default, round_robin, or a name of librdkafka's such as
    /// consistent_random
    #[arg(help_heading = "Records", long, value_name = "NAME")]
    partitioner: Option<String>,

    /// The timestamp of every record, in milliseconds since 1970-01-01 UTC
    #[arg(help_heading = "Records", long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(i64).range(0..))]
    pub(super) timestamp: Option<i64>,

    /// The codec of the batches: none, gzip, snappy, lz4 or zstd, with its level
    #[arg(help_heading = "Delivery", short = 'z', long, value_name = "CODEC[:LEVEL]", value_parser = codec)]
    compression: Option<Codec>,

    /// When a broker acknowledges: all (or -1), 1 or 0
    #[arg(
        help_heading = "Delivery",
        long,
        value_name = "ACKS",
        allow_hyphen_values = true
    )]
    acks: Option<String>,

    /// End after this many records
    #[arg(help_heading = "Input", short = 'c', long, value_name = "NUMBER")]
    pub(super) count: Option<u64>,

    /// Records in a second, at most
    #[arg(help_heading = "Delivery", long, value_name = "NUMBER", value_parser = rate)]
    pub(super) rate: Option<f64>,

    /// Bytes of keys and values in a second, at most
    #[arg(help_heading = "Delivery", long, value_name = "BYTES", value_parser = rate)]
    pub(super) max_bytes_rate: Option<f64>,

    /// With -X transactional.id=ID: commit after so many records; without this all are one transaction. Ctrl-C and bad
    /// input abort the one that is open
    #[arg(help_heading = "Delivery", long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) txn_records: Option<u64>,

    /// Print a line for each record, in the order of the input, when it is acknowledged or has failed
    #[arg(help_heading = "Output", long, value_enum, value_name = "FORM")]
    output: Option<Output>,

    /// Print this for each record that is acknowledged, as rpk writes it: %t topic, %p partition, %o offset, %d
    /// timestamp, %i line; with escapes
    #[arg(help_heading = "Output", short = 'o', long, value_name = "TEMPLATE", value_parser = clap::value_parser!(Template),
          allow_hyphen_values = true, conflicts_with = "output")]
    output_format: Option<Template>,

    /// No progress, no warnings and no summary; errors are still told
    #[arg(help_heading = "Output", short = 'q', long)]
    pub(super) quiet: bool,
}

/// What lines of the input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputForm {
    /// The value, and with -K the key
    Lines,
    /// {"key","payload","headers","ts","partition"}, as `kcat -C -J` prints it
    Json,
}

/// A form of the lines on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// {"line","topic","partition","offset","timestamp"}, or {"line","topic","error","persistence"}
    Json,
}

/// A value of a flag that is bytes; a type of its own, as clap takes `Vec` for a flag that is repeated.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

fn bytes(text: &str) -> Result<Bytes, String> {
    unescape(text).map(Bytes)
}

fn bytes_not_empty(text: &str) -> Result<Bytes, String> {
    delimiter(text).map(Bytes)
}

fn codec(text: &str) -> Result<Codec, String> {
    text.parse()
        .map_err(|error: ottla::config::CodecError| error.to_string())
}

/// Both kcat's `name=value` and rpk's `name:value`: whichever separator comes first.
fn header(text: &str) -> Result<(String, Option<String>), String> {
    match text.split_once(['=', ':']) {
        Some(("", _)) => Err("a header needs a name".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None if text.is_empty() => Err("a header needs a name".to_owned()),
        None => Ok((text.to_owned(), None)),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl Arguments {
    /// The topic and the sources, from `-t` and the positional arguments.
    pub(super) fn topic_and_sources(&self) -> Result<(String, Vec<Source>), Failure> {
        let (topic, files) = match (&self.topic, self.positionals.split_first()) {
            (Some(topic), _) => (topic.clone(), self.positionals.as_slice()),
            (None, Some((first, files))) => match first.to_str() {
                Some(topic) => (topic.to_owned(), files),
                None => return Err(Failure::usage("the topic is not valid UTF-8")),
            },
            (None, None) => {
                return Err(Failure::usage(
                    "no topic: name it with -t, or as the first argument",
                ));
            }
        };
        if topic.is_empty() {
            return Err(Failure::usage("the topic is empty"));
        }
        let mut sources: Vec<_> = files
            .iter()
            .map(|file| {
                if file == "-" {
                    Source::Stdin
                } else {
                    Source::File(PathBuf::from(file))
                }
            })
            .collect();
        if sources.is_empty() {
            sources.push(Source::Stdin);
        }
        if sources.iter().filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Failure::usage("standard input is named more than once"));
        }
        if self.input == InputForm::Json && (self.key_delimiter.is_some() || self.format.is_some()) {
            return Err(Failure::usage(
                "--input json says what a record is: -K and -f do not go with it",
            ));
        }
        if self.keep_partition && self.input != InputForm::Json {
            return Err(Failure::usage("--keep-partition needs --input json"));
        }
        let whole_file = !self.file_is_records() && sources.iter().any(|source| *source != Source::Stdin);
        if whole_file && (self.key_delimiter.is_some() || self.record_delimiter.is_some()) {
            return Err(Failure::usage(
                "-K and -D are for lines, and a file without -l is one message: add -l",
            ));
        }
        Ok((topic, sources))
    }

    /// The configuration, with what has a flag of its own.
    pub(super) fn builder(&self) -> Result<ConfigBuilder, Failure> {
        let mut builder = self.connection.builder()?;
        if let Some(acks) = &self.acks {
            builder = builder.set_from("acks", acks, Origin::Flag("--acks"));
        }
        if let Some(partitioner) = &self.partitioner {
            builder = builder.set_from("partitioner.class", partitioner, Origin::Flag("--partitioner"));
        }
        if let Some(codec) = self.compression {
            let (name, flag) = (codec.compression().name(), Origin::Flag("-z"));
            builder = builder.set_from("compression.type", name, flag.clone());
            if let Some(level) = codec.level() {
                builder = builder.set_from(format!("compression.{name}.level"), level.to_string(), flag);
            }
        }
        Ok(self.formats.configure(builder))
    }

    /// Whether a file holds many records, and is not one.
    pub(super) fn file_is_records(&self) -> bool {
        self.lines || self.input == InputForm::Json || self.format.is_some()
    }

    /// What to print of each record.
    pub(super) fn report_form(&self) -> Option<Form> {
        let json = self.output.map(|Output::Json| Form::Json);
        json.or_else(|| self.output_format.clone().map(Form::Template))
    }

    /// How much of the input may be one record: more than the record itself, where it is written in other letters.
    pub(super) fn input_bytes_max(&self, record_bytes_max: usize) -> usize {
        /// What stands around the key and the value.
        const AROUND_BYTES: usize = 64 << 10;
        let widest = match (self.input, &self.format) {
            // \u0000 for one byte.
            (InputForm::Json, _) => 6,
            // Two digits for one byte.
            (_, Some(_)) => 2,
            (InputForm::Lines, None) => return record_bytes_max,
        };
        record_bytes_max
            .saturating_mul(widest)
            .saturating_add(AROUND_BYTES)
    }

    /// The layout of the input, if it is not lines.
    pub(super) fn layout(&self) -> Option<&Layout> {
        self.format.as_ref()
    }

    pub(super) fn key_delimiter(&self) -> Option<&[u8]> {
        self.key_delimiter.as_ref().map(|bytes| bytes.0.as_slice())
    }

    pub(super) fn record_delimiter(&self) -> &[u8] {
        self.record_delimiter.as_ref().map_or(b"\n", |bytes| &bytes.0)
    }

    pub(super) fn null_marker(&self) -> Option<&[u8]> {
        self.null_marker.as_ref().map(|bytes| bytes.0.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Command, Program};
    use clap::Parser;

    fn parse(flags: &[&str]) -> Arguments {
        let flags = ["ottla", "produce"].iter().chain(flags);
        match Program::try_parse_from(flags)
            .unwrap_or_else(|error| panic!("{error}"))
            .command
        {
            Command::Produce(arguments) => *arguments,
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn positionals_are_files_only_with_a_topic_flag() {
        let file = |name: &str| Source::File(PathBuf::from(name));
        let split = |flags: &[&str]| {
            parse(flags)
                .topic_and_sources()
                .map_err(|failure| format!("{failure:?}"))
        };
        assert_eq!(split(&["t"]), Ok(("t".to_owned(), vec![Source::Stdin])));
        assert_eq!(split(&["-t", "t"]), Ok(("t".to_owned(), vec![Source::Stdin])));
        assert_eq!(
            split(&["-t", "t", "a", "-"]),
            Ok(("t".to_owned(), vec![file("a"), Source::Stdin]))
        );
        assert_eq!(split(&["t", "a"]), Ok(("t".to_owned(), vec![file("a")])));
        assert!(split(&[]).is_err_and(|error| error.contains("no topic")));
        assert!(split(&["t", "-", "-"]).is_err_and(|error| error.contains("more than once")));
        assert!(split(&["t", "a", "-K", ":"]).is_err_and(|error| error.contains("add -l")));
        assert!(split(&["t", "a", "-l", "-K", ":"]).is_ok());
        assert!(split(&["t", "-", "-K", ":"]).is_ok());
    }

    #[test]
    fn headers_in_both_forms() {
        let some = |name: &str, value: &str| Ok((name.to_owned(), Some(value.to_owned())));
        assert_eq!(header("a=b:c"), some("a", "b:c"));
        assert_eq!(header("a:b=c"), some("a", "b=c"));
        assert_eq!(header("a="), some("a", ""));
        assert_eq!(header("a"), Ok(("a".to_owned(), None)));
        assert!(header("=a").is_err() && header("").is_err());
    }

    #[test]
    fn flags_become_keys() {
        let arguments = parse(&[
            "t",
            "-b",
            "a:1",
            "-z",
            "zstd:-5",
            "--acks",
            "-1",
            "--partitioner",
            "round_robin",
            "-K",
            "\\t",
            "-D",
            "\\0",
        ]);
        let (config, _) = arguments.builder().expect("valid").build().expect("valid");
        assert_eq!(config.codec().to_string(), "zstd:-5");
        assert_eq!(config.acks(), ottla::config::Acks::All);
        assert_eq!(config.partitioner(), ottla::config::PartitionerKind::RoundRobin);
        assert_eq!(
            (arguments.key_delimiter(), arguments.record_delimiter()),
            (Some(b"\t".as_slice()), b"\0".as_slice())
        );
    }
}
