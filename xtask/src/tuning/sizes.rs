//! `cargo xtask tuning`: what the size of a batch does to the bytes that go over the wire, for each codec, as a table and as
//! `docs/manual/batch-size.svg`.
//!
//! Sizes are the same on every machine, or nearly (some codecs choose their code by the processor), whatever else it does.

use std::fmt::Write as _;

use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::BatchBuilder;

use super::chart::{self, Chart, Line, Scale};
use super::kibibytes;

/// Sizes of batches in bytes: what `batch.size` is by default is 16 KiB.
const BATCH_SIZES: [usize; 8] = [
    1 << 10,
    4 << 10,
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    1 << 20,
];

/// Records of each measurement: several of the largest batches.
const RECORDS: usize = 20_000;

/// Bytes over the wire for each record, in the order of the sizes.
struct Measured {
    codec: Compression,
    bytes: Vec<f64>,
}

/// `cargo xtask tuning`.
pub(super) fn run() -> anyhow::Result<()> {
    let values = events();
    let lines = Compression::ALL
        .into_iter()
        .map(|codec| measure(codec, &values))
        .collect::<anyhow::Result<Vec<_>>>()?;
    print!("{}", table(&lines));
    super::write_plot("batch-size.svg", &svg(&lines))
}

/// Events in JSON as applications send them, about 270 bytes each: names that repeat, numbers and ids that do not.
fn events() -> Vec<String> {
    const STATES: [&str; 4] = ["placed", "paid", "shipped", "returned"];
    const CITIES: [&str; 6] = ["Lisbon", "Oslo", "Turin", "Ghent", "Brno", "Cork"];
    let mut random = fastrand::Rng::with_seed(7);
    let event = |number| {
        let (state, city) = (random.choice(STATES), random.choice(CITIES));
        format!(
            "{{\"eventId\":\"{:016x}\",\"eventType\":\"order.{}\",\"timestamp\":{},\"order\":{{\"number\":{number},\
             \"customer\":\"customer-{}\",\"city\":\"{}\",\"total\":{}.{:02},\"currency\":\"EUR\",\"items\":{}}},\
             \"source\":{{\"service\":\"checkout\",\"host\":\"checkout-{}\",\"version\":\"4.12.1\"}}}}",
            random.u64(..),
            state.unwrap_or_default(),
            1_760_000_000_000_u64 + number as u64 * 3,
            random.u32(..50_000),
            city.unwrap_or_default(),
            random.u32(1..900),
            random.u32(..100),
            random.u32(1..9),
            random.u32(1..12),
        )
    };
    (0..RECORDS).map(event).collect()
}

fn measure(codec: Compression, values: &[String]) -> anyhow::Result<Measured> {
    let mut compressor = Compressor::new(codec)?;
    let mut bytes = Vec::new();
    for size in BATCH_SIZES {
        let mut sent = 0;
        let mut batch = BatchBuilder::new(size);
        for (number, value) in values.iter().enumerate() {
            let timestamp_ms = 1_760_000_000_000 + number as i64 * 3;
            if batch
                .append(timestamp_ms, None, Some(value.as_bytes()), &[])
                .is_err()
            {
                let full = std::mem::replace(&mut batch, BatchBuilder::new(size));
                sent += full.finish_compressed(&mut compressor)?.len();
                batch.append(timestamp_ms, None, Some(value.as_bytes()), &[])?;
            }
        }
        sent += batch.finish_compressed(&mut compressor)?.len();
        bytes.push(sent as f64 / values.len() as f64);
    }
    Ok(Measured { codec, bytes })
}

/// In Markdown.
fn table(lines: &[Measured]) -> String {
    let mut text = String::from("| `batch.size` |");
    for line in lines {
        let _ = write!(text, " {} |", line.codec);
    }
    let _ = writeln!(text, "\n|---:|{}", "---:|".repeat(lines.len()));
    for (index, size) in BATCH_SIZES.into_iter().enumerate() {
        let _ = write!(text, "| {} |", kibibytes(size));
        for line in lines {
            let _ = write!(text, " {:.0} |", line.bytes[index]);
        }
        text.push('\n');
    }
    text
}

fn svg(lines: &[Measured]) -> String {
    let lines = lines.iter().map(|line| Line {
        name: line.codec.name().to_owned(),
        values: line.bytes.clone(),
    });
    chart::draw(&[Chart {
        title: "Bytes over the wire for each JSON event of about 270 bytes",
        scale: Scale::Linear(50.0),
        height: 400.0,
        sizes: &BATCH_SIZES,
        lines: lines.collect(),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_batches_compress_better_and_are_drawn() {
        let values = &events()[..2_000];
        let [none, lz4] =
            [Compression::None, Compression::Lz4].map(|codec| measure(codec, values).expect("measured"));
        assert!(none.bytes.iter().all(|bytes| *bytes > 200.0));
        assert!(lz4.bytes[0] > lz4.bytes[2] && lz4.bytes[2] > lz4.bytes[5]);
        let lines = [none, lz4];
        let table = table(&lines);
        assert!(
            table.starts_with("| `batch.size` | none | lz4 |\n|---:|---:|---:|\n| 1 KiB | "),
            "{table}"
        );
        assert_eq!(svg(&lines).matches("<polyline").count(), 2);
    }
}
