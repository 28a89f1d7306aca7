//! `cargo xtask tuning`: what the size of a batch does to the bytes that go over the wire, for each codec, as a table and as
//! `docs/manual/batch-size.svg`.
//!
//! Sizes are the same on every machine, or nearly (some codecs choose their code by the processor), whatever else it does.

use std::fmt::Write as _;
use std::fs;

use anyhow::Context as _;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::BatchBuilder;

use crate::project;

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
struct Line {
    codec: Compression,
    bytes: Vec<f64>,
}

/// `cargo xtask tuning`.
pub(crate) fn run() -> anyhow::Result<()> {
    let values = events();
    let lines = Compression::ALL
        .into_iter()
        .map(|codec| measure(codec, &values))
        .collect::<anyhow::Result<Vec<_>>>()?;
    print!("{}", table(&lines));
    let path = project::root().join("docs/manual/batch-size.svg");
    fs::write(&path, svg(&lines)).with_context(|| format!("cannot write {}", path.display()))
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

fn measure(codec: Compression, values: &[String]) -> anyhow::Result<Line> {
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
    Ok(Line { codec, bytes })
}

/// In Markdown.
fn table(lines: &[Line]) -> String {
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

fn kibibytes(size: usize) -> String {
    match size >> 10 {
        1024 => "1 MiB".to_owned(),
        kibibytes => format!("{kibibytes} KiB"),
    }
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
/// The names of the codecs stand behind their lines.
const RIGHT: f64 = 80.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 50.0;
/// Apart enough for people with colour blindness, too.
const COLOURS: [&str; 5] = ["#111827", "#0072b2", "#d55e00", "#009e73", "#cc79a7"];

fn svg(lines: &[Line]) -> String {
    let most = lines
        .iter()
        .flat_map(|line| &line.bytes)
        .copied()
        .fold(1.0, f64::max)
        * 1.05;
    let x = |index: usize| {
        let (size, first) = (BATCH_SIZES[index] as f64, BATCH_SIZES[0] as f64);
        let last = BATCH_SIZES[BATCH_SIZES.len() - 1] as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * (size / first).log2() / (last / first).log2()
    };
    let y = |bytes: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * bytes / most;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        (WIDTH / 2.0, 22.0),
        "middle",
        "Bytes over the wire for each JSON event of about 270 bytes",
    );
    text(&mut svg, (WIDTH / 2.0, HEIGHT - 10.0), "middle", "batch.size");
    for bytes in (0..=most as usize).step_by(50) {
        let y = y(bytes as f64);
        // A `String` takes everything, here and below.
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e5e7eb\"/>",
            WIDTH - RIGHT
        );
        text(&mut svg, (LEFT - 8.0, y + 4.0), "end", &bytes.to_string());
    }
    for (index, size) in BATCH_SIZES.into_iter().enumerate() {
        text(
            &mut svg,
            (x(index), HEIGHT - BOTTOM + 18.0),
            "middle",
            &kibibytes(size),
        );
    }
    for (line, colour) in lines.iter().zip(COLOURS) {
        let points: Vec<_> = line
            .bytes
            .iter()
            .enumerate()
            .map(|(index, bytes)| format!("{:.1},{:.1}", x(index), y(*bytes)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
    }
    let ends = lines
        .iter()
        .map(|line| y(line.bytes.last().copied().unwrap_or_default()));
    for (line, y) in lines.iter().zip(apart(&ends.collect::<Vec<_>>())) {
        let at = (WIDTH - RIGHT + 8.0, y + 4.0);
        text(&mut svg, at, "start", line.codec.name());
    }
    svg + "</svg>\n"
}

/// Moves what lies closer together than text is high.
fn apart(ys: &[f64]) -> Vec<f64> {
    const TEXT_HEIGHT: f64 = 14.0;
    let mut order: Vec<usize> = (0..ys.len()).collect();
    order.sort_by(|a, b| ys[*a].total_cmp(&ys[*b]));
    let mut moved = ys.to_vec();
    for pair in order.windows(2) {
        moved[pair[1]] = moved[pair[1]].max(moved[pair[0]] + TEXT_HEIGHT);
    }
    moved
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#111827\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lie_on_each_other() {
        assert_eq!(apart(&[100.0, 10.0, 101.0]), [100.0, 10.0, 114.0]);
    }

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
