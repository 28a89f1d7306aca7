//! The flags of `ottla perf`: those of kafka-producer-perf-test, and `--plot`.

use super::payload::Payloads;
use crate::connection::{Connection, property};
use crate::exit::Failure;
use clap::{ArgGroup, Args};
use ottla::config::{ConfigBuilder, Origin};
use ottla_formats::escape::delimiter;
#[cfg(feature = "plot")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Send as fast as possible, or at a rate, and tell throughput and latency.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("payload").required(true).args(["record_size", "payload_file", "payload_monotonic"]))]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,

    /// The topic
    #[arg(short = 't', long, value_name = "TOPIC")]
    pub(super) topic: String,

    /// How many records
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) num_records: u64,

    /// The size of each value in bytes; values are random letters
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    record_size: Option<u32>,

    /// A file with values to choose from at random
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,

    /// Send rising numbers as values
    #[arg(long)]
    payload_monotonic: bool,

    /// What ends a value in the file, with escapes
    #[arg(
        long,
        value_name = "DELIMITER",
        default_value = "\\n",
        allow_hyphen_values = true
    )]
    payload_delimiter: String,

    /// Records in a second, about; as many as possible if it is below 0
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = -1.0,
        allow_negative_numbers = true
    )]
    pub(super) throughput: f64,

    /// Keys of the configuration; they win over the file
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE", value_parser = property)]
    command_property: Vec<(String, String)>,

    /// The old name of --command-property
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE", value_parser = property, hide = true)]
    producer_props: Vec<(String, String)>,

    /// The old name of --command-config
    #[arg(long = "producer.config", value_name = "FILE", hide = true)]
    producer_config: Option<PathBuf>,

    /// The records to leave out of a second summary, that of the steady state
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    warmup_records: i64,

    /// How often to tell of progress, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    reporting_interval: u64,

    /// Print the producer's metrics in the end
    #[arg(long)]
    print_metrics: bool,

    /// Send in transactions of this id; it wins over transactional.id of the configuration
    #[arg(long, value_name = "ID")]
    transactional_id: Option<String>,

    /// Commit each transaction after so long [default: 3000, if there are transactions]; without an id one is made up
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    transaction_duration_ms: Option<u64>,

    /// Draw throughput and latency over time into this file
    #[cfg(feature = "plot")]
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// As in Java's tool.
const TRANSACTION_DURATION: Duration = Duration::from_secs(3);

fn has_transactional_id(builder: &ConfigBuilder) -> bool {
    let settings = builder.check().settings;
    let mut settings = settings.iter();
    settings.any(|setting| setting.definition().name == "transactional.id" && setting.origin().is_some())
}

impl Arguments {
    pub(super) fn prints_metrics(&self) -> bool {
        self.print_metrics
    }

    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.warmup_records() >= self.num_records {
            return Err(Failure::usage(
                "--warmup-records must be fewer than --num-records, or nothing is left to measure",
            ));
        }
        Ok(())
    }

    /// The configuration. As in Java's tool the client has a name of its own unless it is given another.
    pub(super) fn builder(&self) -> Result<ConfigBuilder, Failure> {
        let defaults = ConfigBuilder::new().set("client.id", "perf-producer-client");
        let files = self.producer_config.as_slice();
        let more: Vec<_> = self.producer_props.iter().chain(&self.command_property).collect();
        let mut builder = self
            .connection
            .builder_over(defaults, files, "--command-property", &more)?;
        let made_up = || {
            // As Java's tool does where only the duration is given.
            let random = fastrand::u128(..);
            format!("performance-producer-{random:032x}")
        };
        if let Some(id) = &self.transactional_id {
            builder = builder.set_from("transactional.id", id, Origin::Flag("--transactional-id"));
        } else if self.transaction_duration_ms.is_some() && !has_transactional_id(&builder) {
            let flag = Origin::Flag("--transaction-duration-ms");
            builder = builder.set_from("transactional.id", made_up(), flag);
        }
        Ok(builder)
    }

    /// How long a transaction is open.
    pub(super) fn transaction_duration(&self) -> Duration {
        self.transaction_duration_ms
            .map_or(TRANSACTION_DURATION, Duration::from_millis)
    }

    pub(super) fn payloads(&self) -> Result<Payloads, Failure> {
        if let Some(size) = self.record_size {
            return Ok(Payloads::random(size as usize));
        }
        match &self.payload_file {
            Some(path) => {
                let delimiter = delimiter(&self.payload_delimiter)
                    .map_err(|reason| Failure::usage(format!("--payload-delimiter: {reason}")))?;
                Payloads::from_file(path, &delimiter)
            }
            None => Ok(Payloads::monotonic()),
        }
    }

    pub(super) fn warmup_records(&self) -> u64 {
        u64::try_from(self.warmup_records).unwrap_or(0)
    }

    pub(super) fn reporting_interval(&self) -> Duration {
        Duration::from_millis(self.reporting_interval)
    }

    #[cfg(feature = "plot")]
    pub(super) fn plot(&self) -> Option<&Path> {
        self.plot.as_deref()
    }
}
