//! A producer that was built without a C compiler, and linked statically: it starts, and tells what it misses.
//!
//! With `HOST:PORT` and a topic it sends one record there; without, it asks where nobody answers.

use ottla::blocking::wait;
use ottla::{Producer, Record};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next();
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());
    let nowhere = servers.is_none();
    let builder = Producer::builder()
        // Nobody listens on the port for multiplexers of 1978.
        .bootstrap_servers(servers.unwrap_or_else(|| "127.0.0.1:1".to_owned()))
        .set("compression.type", "zstd")
        .set("max.block.ms", if nowhere { "300" } else { "60000" });
    let outcome = builder.build().and_then(|producer| {
        let delivery = wait(producer.send(&Record::to(topic).value("from a portable program")))?;
        wait(delivery)
    });
    match outcome {
        Ok(at) => println!("{}-{} at {:?}", at.topic(), at.partition(), at.offset()),
        Err(error) if nowhere && error.is_timeout() => println!("nobody answers, as is right: {error}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
