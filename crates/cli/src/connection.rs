//! The flags that every command has which configures a producer.

use crate::broker::{EMBEDDED, Embedded};
use crate::exit::Failure;
use crate::label;
use clap::Args;
use ottla::config::{Config, ConfigBuilder, Origin, Warning};
use std::io::Write;
use std::path::PathBuf;

/// Where the cluster is, and every key of the configuration.
#[derive(Args, Debug)]
pub(crate) struct Connection {
    /// Brokers to ask first, as host:port separated by commas; `embedded` is one in memory inside this process
    #[arg(
        help_heading = "Cluster",
        short = 'b',
        long = "bootstrap-server",
        visible_alias = "bootstrap-servers",
        value_name = "HOST:PORT"
    )]
    bootstrap_server: Option<String>,

    /// Set a key of the configuration (`ottla config list` shows them); it wins over the file
    #[arg(help_heading = "Cluster", short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,

    /// Read keys from a .properties file, by Java's rules
    #[arg(
        help_heading = "Cluster",
        short = 'F',
        long = "command-config",
        value_name = "FILE"
    )]
    command_config: Vec<PathBuf>,
}

pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ if text == "list" || text == "dump" => Err(format!("see `ottla config {text}`")),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

impl Connection {
    /// The broker inside this process, if `-b embedded` asks for one.
    fn embedded(&self) -> Result<Option<Embedded>, Failure> {
        let wanted = self.bootstrap_server.as_deref() == Some(EMBEDDED);
        wanted.then(Embedded::start).transpose()
    }

    /// Everything that is set: the environment, over that the files in their order, `-X`, and the flags.
    pub(crate) fn builder(&self) -> Result<ConfigBuilder, Failure> {
        self.builder_with(&[])
    }

    /// The same with more files after those of `-F`.
    pub(crate) fn builder_with(&self, files: &[PathBuf]) -> Result<ConfigBuilder, Failure> {
        self.builder_over(ConfigBuilder::new(), files, "", &[])
    }

    /// The same over what is set already, which everything here wins over, and with more keys from `flag`.
    pub(crate) fn builder_over(
        &self,
        defaults: ConfigBuilder,
        files: &[PathBuf],
        flag: &'static str,
        more: &[&(String, String)],
    ) -> Result<ConfigBuilder, Failure> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut builder = defaults.refuse_unknown_keys().from_environment(variables);
        for path in self.command_config.iter().chain(files) {
            builder = builder.from_properties_file(path).map_err(Failure::usage)?;
        }
        for (key, value) in &self.properties {
            builder = builder.set_from(key, value, Origin::Flag("-X"));
        }
        for (key, value) in more {
            builder = builder.set_from(key, value, Origin::Flag(flag));
        }
        // Where the embedded broker listens is known when it runs.
        if let Some(servers) = self
            .bootstrap_server
            .as_ref()
            .filter(|servers| *servers != EMBEDDED)
        {
            builder = builder.set_from("bootstrap.servers", servers, Origin::Flag("-b"));
        }
        Ok(builder)
    }
}

/// Starts the broker inside this process, if `connection` asks for one, and makes the configuration.
pub(crate) fn build_with_embedded(
    connection: &Connection,
    mut builder: ConfigBuilder,
    quiet: bool,
) -> Result<(Option<Embedded>, Config), Failure> {
    let embedded = connection.embedded()?;
    if let Some(embedded) = &embedded {
        let servers = embedded.bootstrap_servers();
        builder = builder.set_from("bootstrap.servers", servers, Origin::Flag("-b"));
    }
    Ok((embedded, build(builder, quiet)?))
}

/// Makes the configuration; says what is odd about it unless `quiet`.
fn build(builder: ConfigBuilder, quiet: bool) -> Result<Config, Failure> {
    let (config, warnings) =
        builder
            .build()
            .map_err(|error| match error.keys_to_blame().eq(["bootstrap.servers"]) {
                true if error.origin().is_none() => Failure::usage(format!("{error}; name a broker with -b")),
                _ => Failure::usage(error),
            })?;
    if !quiet {
        warn(&warnings);
    }
    Ok(config)
}

/// Warnings, a line each.
pub(crate) fn warn(warnings: &[Warning]) {
    let mut stderr = std::io::stderr().lock();
    for warning in warnings {
        let _ = writeln!(stderr, "{} {warning}", label::warning());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_key_and_value() {
        assert_eq!(property("a.b= c=d "), Ok(("a.b".to_owned(), " c=d ".to_owned())));
        assert_eq!(property("a="), Ok(("a".to_owned(), String::new())));
        assert!(property("=a").is_err() && property("a").is_err());
        assert!(property("list").is_err_and(|hint| hint.contains("ottla config list")));
    }
}
