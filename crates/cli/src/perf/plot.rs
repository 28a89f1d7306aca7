//! `--plot`: throughput and latency over time, as SVG.

use super::series::Drawn;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::fs;
use std::path::Path;

/// In pixels.
const SIZE: (u32, u32) = (960, 640);
const MARGIN: u32 = 16;
const AXIS_LEFT: u32 = 88;
const AXIS_BELOW: u32 = 40;
const FONT: (&str, u32) = ("sans-serif", 14);
const TITLE_FONT: (&str, u32) = ("sans-serif", 17);

/// A latency at the bottom of its axis, which is logarithmic and has no zero.
const LATENCY_MS_MIN: f64 = 0.01;

/// How far the axis of latency goes beyond the highest of them, so that the legend hides none.
const LEGEND_ROOM: f64 = 4.0;

/// Of the three lines of latency; colours that people with colour blindness can tell apart.
const LATENCIES: [(&str, RGBColor); 3] = [
    ("50th", RGBColor(0, 114, 178)),
    ("99th", RGBColor(230, 159, 0)),
    ("max", RGBColor(213, 94, 0)),
];

/// Draws the points into a file.
pub(super) fn write(path: &Path, title: &str, points: &[Drawn]) -> Result<(), Box<dyn Error>> {
    fs::write(path, svg(title, points)?)?;
    Ok(())
}

fn svg(title: &str, points: &[Drawn]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(SIZE.1 / 2);
        throughput(&upper, title, points)?;
        latency(&lower, points)?;
        root.present()?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn seconds(points: &[Drawn]) -> std::ops::Range<f64> {
    0.0..points.last().map_or(1.0, |point| point.seconds).max(0.1)
}

fn throughput(area: &Area<'_>, title: &str, points: &[Drawn]) -> Result<(), Box<dyn Error>> {
    let most = points
        .iter()
        .map(|point| point.records_per_second)
        .fold(1.0, f64::max);
    let mib = points
        .iter()
        .map(|point| point.mib_per_second)
        .fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, TITLE_FONT)
        .margin(MARGIN)
        .x_label_area_size(AXIS_BELOW)
        .y_label_area_size(AXIS_LEFT)
        .build_cartesian_2d(seconds(points), 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .label_style(FONT)
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(BLACK.mix(0.04))
        .y_desc(format!("records/s (at most {mib:.1} MB/s)"))
        .y_label_formatter(&|value| thousands(*value))
        .draw()?;
    let line = points
        .iter()
        .map(|point| (point.seconds, point.records_per_second));
    let colour = RGBColor(0, 158, 115);
    chart.draw_series(AreaSeries::new(line, 0.0, colour.mix(0.2)).border_style(colour))?;
    Ok(())
}

fn latency(area: &Area<'_>, points: &[Drawn]) -> Result<(), Box<dyn Error>> {
    let all = points.iter().filter_map(|point| point.latency_ms);
    let most = all
        .clone()
        .map(|[_, _, max]| max)
        .fold(LATENCY_MS_MIN * 10.0, f64::max);
    let least = all
        .map(|[median, _, _]| median)
        .fold(most, f64::min)
        .max(LATENCY_MS_MIN);
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(AXIS_BELOW)
        .y_label_area_size(AXIS_LEFT)
        .build_cartesian_2d(seconds(points), (least * 0.8..most * LEGEND_ROOM).log_scale())?;
    chart
        .configure_mesh()
        .label_style(FONT)
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(BLACK.mix(0.04))
        .x_desc("seconds")
        .y_desc("latency in ms")
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    for (which, (name, colour)) in LATENCIES.into_iter().enumerate() {
        let mut legend = Some(());
        // Where nothing came there is no line.
        for run in points.split(|point| point.latency_ms.is_none()) {
            let line = run.iter().filter_map(|point| {
                let latency = point.latency_ms?[which].max(LATENCY_MS_MIN);
                Some((point.seconds, latency))
            });
            let series = match run.len() {
                0 => continue,
                // A line of one point would not be seen.
                1 => chart.draw_series(line.map(|at| Circle::new(at, 2, colour.filled())))?,
                _ => chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?,
            };
            if legend.take().is_some() {
                series
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            }
        }
    }
    chart
        .configure_series_labels()
        .label_font(FONT)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    Ok(())
}

/// `1.5M`, `20k`.
fn thousands(value: f64) -> String {
    match value {
        1_000_000.0.. => format!("{}M", short(value / 1_000_000.0)),
        1_000.0.. => format!("{}k", short(value / 1_000.0)),
        _ => short(value),
    }
}

/// Without digits that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_charts_and_the_legend_are_there() {
        let point = |seconds, latency_ms| Drawn {
            seconds,
            records_per_second: 20_000.0 * seconds,
            mib_per_second: 2.0,
            latency_ms,
        };
        let some = Some([0.0, 2.0, 30.0]);
        let points = [
            point(0.1, some),
            point(0.2, some),
            point(0.3, None),
            point(0.4, some),
        ];
        let text = svg("a title", &points).expect("drawn");
        for part in [
            "<svg",
            "a title",
            "records/s (at most 2.0 MB/s)",
            "latency in ms",
            "50th",
            "99th",
            "\nmax\n",
            "seconds",
            "</svg>",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        // Nothing at all is an empty plot, not an error.
        assert!(svg("nothing", &[]).is_ok_and(|text| text.contains("</svg>")));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(thousands(1_500_000.0), "1.5M");
        assert_eq!(thousands(20_000.0), "20k");
        assert_eq!(thousands(0.0), "0");
        assert_eq!(short(0.05), "0.05");
        assert_eq!(short(100.0), "100");
    }
}
