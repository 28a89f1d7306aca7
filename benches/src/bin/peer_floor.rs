//! The least that any producer has to do, measured beside them: copy each record into a batch, compute the batch's
//! checksum, and give it to a socket. There is no broker at the other end (`--bootstrap` is a socket that reads and
//! forgets), nothing is acknowledged, and nothing is shared between threads.

use std::error::Error;
use std::io::Write as _;
use std::net::TcpStream;

#[path = "../../peers/common.rs"]
mod common;
use common::{Arguments, Moment, report};

/// What stands before each value: length, attributes, timestamp, offset, key and value's length, about.
const RECORD_HEADER: [u8; 9] = [0x5a; 9];

/// A batch's own header.
const BATCH_HEADER: [u8; 61] = [0; 61];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let mut stream = TcpStream::connect(&arguments.bootstrap)?;
    stream.set_nodelay(true)?;
    send(&mut stream, &arguments, arguments.warmup)?;
    let begin = Moment::now();
    send(&mut stream, &arguments, arguments.count)?;
    report("floor", "copy, checksum, send", &arguments, &begin, 0, Vec::new())
}

fn send(stream: &mut TcpStream, arguments: &Arguments, count: u64) -> Result<(), Box<dyn Error>> {
    let mut batch = Vec::with_capacity(arguments.batch_bytes);
    batch.extend_from_slice(&BATCH_HEADER);
    for number in 0..count {
        let value = arguments.values.get(number);
        if batch.len() + RECORD_HEADER.len() + value.len() > arguments.batch_bytes {
            write(stream, &mut batch)?;
        }
        batch.extend_from_slice(&RECORD_HEADER);
        batch.extend_from_slice(value);
    }
    write(stream, &mut batch)
}

fn write(stream: &mut TcpStream, batch: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    // The checksum covers what stands behind it.
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    stream.write_all(batch)?;
    batch.truncate(BATCH_HEADER.len());
    Ok(())
}
