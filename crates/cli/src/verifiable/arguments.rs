//! The flags of `ottla verifiable`: those of kafka-verifiable-producer, and a few more.

use crate::connection::Connection;
use crate::exit::Failure;
use clap::Args;
use ottla::config::{ConfigBuilder, Origin};
use std::path::PathBuf;

/// Send rising numbers, and print a line of JSON for each with what became of it.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,

    /// The topic
    #[arg(short = 't', long, value_name = "TOPIC")]
    pub(super) topic: String,

    /// How many records; without end if it is below 0
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    max_messages: i64,

    /// Records in a second, about; as many as possible if it is below 0
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    pub(super) throughput: i64,

    /// When a broker acknowledges: -1 (or all), 1 or 0; a configuration that says otherwise wins, as in Java's tool
    #[arg(long, value_name = "ACKS", default_value = "-1", allow_hyphen_values = true)]
    acks: String,

    /// The timestamp of the first record, in milliseconds since 1970-01-01 UTC; time goes on from there
    #[arg(
        long,
        value_name = "MILLISECONDS",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    message_create_time: i64,

    /// Put this number and a dot before each value
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(super) value_prefix: Option<i64>,

    /// Give the records keys: 0, 1, and so on up to below this number, and over again; without it they have none
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeating_keys: Option<u32>,

    /// Fill each value up to so many bytes: with a blank, and then with itself, over and over (not in Java's tool)
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub(super) value_bytes: Option<u32>,

    /// The old name of --command-config
    #[arg(long = "producer.config", value_name = "FILE", hide = true)]
    producer_config: Option<PathBuf>,
}

impl Arguments {
    /// How many records to send.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.max_messages).unwrap_or(u64::MAX)
    }

    /// The timestamp of the first record, if it is not the time of the send.
    pub(super) fn create_time(&self) -> Option<i64> {
        Some(self.message_create_time).filter(|&time| time >= 0)
    }

    /// The configuration. As in Java's tool there are no retries unless it says otherwise, and it wins over `--acks`.
    pub(super) fn builder(&self) -> Result<ConfigBuilder, Failure> {
        if !["-1", "all", "0", "1"].contains(&self.acks.as_str()) {
            return Err(Failure::usage(format!(
                "--acks: {:?} is none of -1, all, 1 and 0",
                self.acks
            )));
        }
        let defaults = ConfigBuilder::new()
            .set_from("acks", &self.acks, Origin::Flag("--acks"))
            .set("retries", "0");
        self.connection
            .builder_over(defaults, self.producer_config.as_slice(), "", &[])
    }
}
