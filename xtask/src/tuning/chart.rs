//! Lines over sizes of batches, as SVG: few shapes and text that any browser shows, light or dark.

use std::fmt::Write as _;

use super::kibibytes;

/// How wide a picture is.
pub(super) const WIDTH: f64 = 760.0;
const LEFT: f64 = 60.0;
/// The names stand behind their lines.
const RIGHT: f64 = 90.0;
const TITLE_HEIGHT: f64 = 34.0;
const BOTTOM: f64 = 50.0;
/// Apart enough for people with colour blindness, too.
const COLOURS: [&str; 5] = ["#111827", "#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// One diagram.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// Where values are on the y axis.
    pub(super) scale: Scale,
    /// The height with title and axis, in pixels.
    pub(super) height: f64,
    /// Sizes in bytes, along the x axis, each twice the one before or more.
    pub(super) sizes: &'a [usize],
    pub(super) lines: Vec<Line>,
}

/// What the y axis shows.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// From zero on, with a grid line each so many.
    Linear(f64),
    /// With as much room between 1 and 10 as between 10 and 100.
    Logarithmic,
}

/// One line: a value for each size.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
}

/// One picture of all charts, below each other.
pub(super) fn draw(charts: &[Chart<'_>]) -> String {
    let height: f64 = charts.iter().map(|chart| chart.height).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 0.0;
    for chart in charts {
        Frame::new(chart, top).draw(&mut svg, chart);
        top += chart.height;
    }
    svg + "</svg>\n"
}

/// Where things are in the picture.
struct Frame {
    top: f64,
    bottom: f64,
    least: f64,
    most: f64,
    is_logarithmic: bool,
}

impl Frame {
    fn new(chart: &Chart<'_>, top: f64) -> Self {
        let values = || chart.lines.iter().flat_map(|line| &line.values).copied();
        let (is_logarithmic, least) = match chart.scale {
            Scale::Linear(_) => (false, 0.0),
            Scale::Logarithmic => (true, values().fold(f64::MAX, f64::min).max(1e-3) / 1.2),
        };
        Self {
            top: top + TITLE_HEIGHT,
            bottom: top + chart.height - BOTTOM,
            least,
            most: values().fold(f64::MIN_POSITIVE, f64::max) * if is_logarithmic { 1.2 } else { 1.05 },
            is_logarithmic,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let part = if self.is_logarithmic {
            (value.max(self.least) / self.least).ln() / (self.most / self.least).ln()
        } else {
            value / self.most
        };
        self.bottom - (self.bottom - self.top) * part
    }

    /// The values that have a line across the picture.
    fn grid(&self, scale: Scale) -> Vec<f64> {
        match scale {
            Scale::Linear(step) => (0..)
                .map(|at| f64::from(at) * step)
                .take_while(|value| *value <= self.most)
                .collect(),
            Scale::Logarithmic => (-3..6)
                .flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(exponent)))
                .filter(|value| (self.least..=self.most).contains(value))
                .collect(),
        }
    }

    fn draw(&self, svg: &mut String, chart: &Chart<'_>) {
        text(svg, (WIDTH / 2.0, self.top - 14.0), "middle", chart.title);
        text(svg, (WIDTH / 2.0, self.bottom + 38.0), "middle", "batch.size");
        for value in self.grid(chart.scale) {
            let y = self.y(value);
            // A `String` takes everything, here and below.
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e5e7eb\"/>",
                WIDTH - RIGHT
            );
            text(svg, (LEFT - 8.0, y + 4.0), "end", &value.to_string());
        }
        for size in chart.sizes {
            let at = (x(chart.sizes, *size), self.bottom + 18.0);
            text(svg, at, "middle", &kibibytes(*size));
        }
        for (line, colour) in chart.lines.iter().zip(COLOURS) {
            let points = chart.sizes.iter().zip(&line.values);
            let points: Vec<_> = points
                .map(|(size, value)| format!("{:.1},{:.1}", x(chart.sizes, *size), self.y(*value)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            );
        }
        let ends = chart.lines.iter();
        let ends: Vec<_> = ends
            .map(|line| self.y(line.values.last().copied().unwrap_or_default()))
            .collect();
        for (line, (y, colour)) in chart.lines.iter().zip(apart(&ends).into_iter().zip(COLOURS)) {
            let at = (WIDTH - RIGHT + 8.0, y + 4.0);
            coloured(svg, at, "start", &line.name, colour);
        }
    }
}

/// Where a size is, by its logarithm.
fn x(sizes: &[usize], size: usize) -> f64 {
    let [first, last] = [sizes.first(), sizes.last()].map(|size| size.copied().unwrap_or(1) as f64);
    LEFT + (WIDTH - LEFT - RIGHT) * (size as f64 / first).log2() / (last / first).log2()
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

fn text(svg: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    coloured(svg, at, anchor, words, "#111827");
}

fn coloured(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str, colour: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, values: [f64; 2]) -> Chart<'static> {
        Chart {
            title: "t",
            scale,
            height: 400.0,
            sizes: &[1 << 10, 1 << 12],
            lines: vec![Line {
                name: "a".to_owned(),
                values: values.to_vec(),
            }],
        }
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        assert_eq!(apart(&[100.0, 10.0, 101.0]), [100.0, 10.0, 114.0]);
    }

    #[test]
    fn a_greater_value_is_higher_and_the_ends_are_at_the_borders() {
        for scale in [Scale::Linear(10.0), Scale::Logarithmic] {
            let chart = chart(scale, [2.0, 40.0]);
            let frame = Frame::new(&chart, 0.0);
            assert!(frame.y(40.0) < frame.y(2.0) && frame.y(40.0) > frame.top && frame.y(2.0) < frame.bottom);
        }
        assert_eq!(x(&[1 << 10, 1 << 12], 1 << 10), LEFT);
        assert_eq!(
            x(&[1 << 10, 1 << 12], 1 << 11),
            LEFT + (WIDTH - LEFT - RIGHT) / 2.0
        );
    }

    #[test]
    fn the_grid_has_round_numbers() {
        let linear = chart(Scale::Linear(10.0), [2.0, 25.0]);
        assert_eq!(Frame::new(&linear, 0.0).grid(linear.scale), [0.0, 10.0, 20.0]);
        let logarithmic = chart(Scale::Logarithmic, [0.9, 25.0]);
        assert_eq!(
            Frame::new(&logarithmic, 0.0).grid(logarithmic.scale),
            [1.0, 2.0, 5.0, 10.0, 20.0]
        );
    }

    #[test]
    fn each_chart_is_drawn() {
        let svg = draw(&[
            chart(Scale::Linear(10.0), [2.0, 25.0]),
            chart(Scale::Logarithmic, [2.0, 25.0]),
        ]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("height=\"800\""), "{svg}");
    }
}
