//! Bars with their ranges, as SVG: few shapes and text that any browser shows, light or dark.

use std::fmt::Write as _;

/// One case.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// One client in it.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: &'static str,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
    /// Whether it stands out.
    pub(super) ours: bool,
}

const WIDTH: f64 = 760.0;
/// Where bars begin: the names stand before.
const LEFT: f64 = 140.0;
/// What stands behind the longest bar: its number.
const RIGHT: f64 = 70.0;
const BAR_HEIGHT: f64 = 16.0;
const BAR_STEP: f64 = 22.0;
const TITLE_HEIGHT: f64 = 30.0;
const PANEL_GAP: f64 = 14.0;

/// One picture of all panels, below each other.
pub(super) fn draw(title: &str, panels: &[Panel]) -> String {
    let of_panel = |panel: &Panel| TITLE_HEIGHT + panel.bars.len() as f64 * BAR_STEP + PANEL_GAP;
    let height = TITLE_HEIGHT + panels.iter().map(of_panel).sum::<f64>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        10.0,
        20.0,
        "font-size=\"15\" font-weight=\"bold\"",
        title,
    );
    let mut top = TITLE_HEIGHT;
    for panel in panels {
        draw_panel(&mut svg, top, panel);
        top += of_panel(panel);
    }
    svg + "</svg>\n"
}

fn draw_panel(svg: &mut String, top: f64, panel: &Panel) {
    text(svg, 10.0, top + 20.0, "font-weight=\"bold\"", &panel.title);
    let most = panel
        .bars
        .iter()
        .map(|bar| bar.greatest)
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    for (row, bar) in panel.bars.iter().enumerate() {
        let y = top + TITLE_HEIGHT + row as f64 * BAR_STEP;
        let middle = y + BAR_HEIGHT / 2.0;
        let colour = if bar.ours { "#c2410c" } else { "#94a3b8" };
        text(svg, LEFT - 8.0, middle + 4.0, "text-anchor=\"end\"", bar.name);
        // A `String` takes everything, here and below.
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{colour}\"/>",
            bar.median * scale
        );
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#111827\"/>",
            LEFT + bar.least * scale,
            LEFT + bar.greatest * scale
        );
        text(
            svg,
            LEFT + bar.greatest * scale + 6.0,
            middle + 4.0,
            "",
            &number(bar.median),
        );
    }
}

fn text(svg: &mut String, x: f64, y: f64, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {style} fill=\"#111827\">{words}</text>"
    );
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_medians_and_text_is_escaped() {
        let bar = |name, median, ours| Bar {
            name,
            median,
            least: median,
            greatest: median,
            ours,
        };
        let panel = Panel {
            title: "a < b & c".to_owned(),
            bars: vec![bar("one", 50.0, true), bar("two", 100.0, false)],
        };
        let svg = draw("title", &[panel]);
        let longest = WIDTH - LEFT - RIGHT;
        for part in [
            "a &lt; b &amp; c",
            &format!("width=\"{:.1}\" height=\"16\" fill=\"#c2410c\"", longest / 2.0),
            &format!("width=\"{longest:.1}\" height=\"16\" fill=\"#94a3b8\""),
        ] {
            assert!(svg.contains(part), "{part} is missing in\n{svg}");
        }
    }
}
