//! Charts as inline SVG, without a script.
//!
//! Lengths across are shares of the width, so that a chart fits a telephone and a sheet of paper, and its text keeps its size. Only the
//! points of a line have to be in numbers: they are in a drawing of 1000 × 100 inside, which is stretched.

use std::fmt::Write as _;

use crate::output::html::push_text;
use crate::output::{Chart, ChartKind, number};

/// Bars that are drawn: more are no picture any more.
const MOST_BARS: usize = 20;

/// Points of a line that are drawn.
const MOST_POINTS: usize = 2000;

/// Colours that there are.
const COLOURS: usize = 4;

/// Height of one bar with its label.
const ROW: usize = 36;

/// Height of a line chart, without its legend.
const HEIGHT: usize = 180;

/// Height of a line chart that is to be small.
const LOW: usize = 48;

/// Height of a row of a heat map.
const FIELD: usize = 24;

/// Appends a chart.
pub(super) fn draw(out: &mut String, chart: &Chart, title: &str) {
    match chart.kind {
        ChartKind::Bar => bars(out, chart, title),
        ChartKind::Line => lines(out, chart, title, HEIGHT),
        ChartKind::Spark => lines(out, chart, title, LOW),
        ChartKind::Heatmap => heat(out, chart, title),
    }
}

fn start(out: &mut String, height: usize, title: &str) {
    let _ = write!(out, "<svg role=\"img\" height=\"{height}\"><title>");
    push_text(out, title);
    out.push_str("</title>\n");
}

fn label(out: &mut String, place: &str, text: &str, most: usize) {
    let _ = write!(out, "<text {place}>");
    let cut: String = text.chars().take(most).collect();
    push_text(out, &cut);
    if cut.len() < text.len() {
        out.push('…');
    }
    out.push_str("</text>\n");
}

/// One row per label: the label, its number, and below them the bar. The first series only.
fn bars(out: &mut String, chart: &Chart, title: &str) {
    let Some(series) = chart.series.first() else { return };
    let shown = chart.labels.len().min(MOST_BARS);
    // A bar that goes to the left would need an axis in the middle; sizes have none.
    let most = chart.range().1;
    start(out, shown * ROW, title);
    for (at, (name, value)) in chart.labels.iter().zip(&series.values).take(shown).enumerate() {
        let top = at * ROW;
        // Cut where the number begins, however wide the page is.
        let _ = write!(out, "<svg class=\"cut\" x=\"0\" y=\"{top}\" width=\"82%\" height=\"18\">");
        label(out, "x=\"0\" y=\"14\"", name, 100);
        out.push_str("</svg>\n");
        let told = value.map_or_else(|| "–".to_owned(), number);
        label(out, &format!("class=\"faint\" x=\"100%\" y=\"{}\" text-anchor=\"end\"", top + 14), &told, 40);
        let _ = writeln!(out, "<rect class=\"track\" x=\"0\" y=\"{}\" width=\"100%\" height=\"8\" rx=\"2\"/>", top + 20);
        let share = value.map_or(0.0, |value| if most > 0.0 { (value / most).clamp(0.0, 1.0) * 100.0 } else { 0.0 });
        let _ = writeln!(out, "<rect class=\"bar s0\" x=\"0\" y=\"{}\" width=\"{share:.2}%\" height=\"8\" rx=\"2\"/>", top + 20);
    }
    out.push_str("</svg>\n");
    if shown < chart.labels.len() {
        let _ = writeln!(out, "<p class=\"dim\">The first {shown} of {} are drawn.</p>", chart.labels.len());
    }
}

/// All series over the rows, in their order, with the ends of both axes named.
fn lines(out: &mut String, chart: &Chart, title: &str, height: usize) {
    let points = chart.labels.len().min(MOST_POINTS);
    let (least, most) = chart.range();
    let span = if most > least { most - least } else { 1.0 };
    let legend = if chart.series.len() > 1 { 22 } else { 0 };
    let (top, bottom) = (legend + 18, legend + 18 + height);
    start(out, bottom + 24, title);
    if legend > 0 {
        for (at, series) in chart.series.iter().enumerate() {
            let left = at * 100 / chart.series.len();
            let _ = writeln!(
                out,
                "<rect class=\"bar s{}\" x=\"{left}%\" y=\"3\" width=\"10\" height=\"10\" rx=\"2\"/>",
                at % COLOURS
            );
            label(out, &format!("x=\"{left}%\" y=\"13\" dx=\"15\""), &series.name, 24);
        }
    }
    label(out, &format!("class=\"faint\" x=\"0\" y=\"{}\"", top - 5), &number(most), 40);
    for at in [top, (top + bottom) / 2, bottom] {
        let _ = writeln!(out, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/>");
    }
    let _ = writeln!(
        out,
        "<svg x=\"0\" y=\"{top}\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\">"
    );
    for (at, series) in chart.series.iter().enumerate() {
        for run in runs(&series.values[..points.min(series.values.len())]) {
            let _ = write!(out, "<polyline class=\"s{}\" points=\"", at % COLOURS);
            // One point alone is a line too, if a short one.
            let last = run.last().map(|(at, value)| (at + 1, *value)).filter(|_| run.len() == 1);
            for (at, value) in run.into_iter().chain(last) {
                let x = at as f64 * 1000.0 / (points.max(2) - 1) as f64;
                let y = 100.0 - (value - least) / span * 100.0;
                let _ = write!(out, "{x:.1},{y:.2} ");
            }
            out.push_str("\"/>\n");
        }
    }
    out.push_str("</svg>\n");
    let under = bottom + 16;
    label(out, &format!("class=\"faint\" x=\"0\" y=\"{under}\""), &chart.labels[0], 24);
    if points > 1 {
        let place = format!("class=\"faint\" x=\"100%\" y=\"{under}\" text-anchor=\"end\"");
        label(out, &place, &chart.labels[points - 1], 24);
    }
    out.push_str("</svg>\n");
    if points < chart.labels.len() {
        let _ = writeln!(out, "<p class=\"dim\">The first {points} of {} are drawn.</p>", chart.labels.len());
    }
}

/// One row per series and one field per label: the more, the fuller. What there is nothing for stays empty.
fn heat(out: &mut String, chart: &Chart, title: &str) {
    let most = chart.range().1;
    let rows = chart.series.len();
    start(out, rows * FIELD + 20, title);
    // The names of the rows are as wide as the first of so many fields.
    let width = 100.0 / (chart.labels.len() + 2) as f64;
    for (at, series) in chart.series.iter().enumerate() {
        let top = at * FIELD;
        label(out, &format!("class=\"faint\" x=\"0\" y=\"{}\"", top + 16), &series.name, 5);
        for (column, value) in series.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
            let x = (column + 2) as f64 * width;
            // Little is more than nothing.
            let _ = write!(
                out,
                "<rect class=\"bar s0\" x=\"{x:.2}%\" y=\"{top}\" width=\"{width:.2}%\" height=\"{}\" fill-opacity=\"{:.2}\"><title>",
                FIELD - 2,
                share.max(0.06)
            );
            push_text(out, &format!("{} {} h: {}", series.name, chart.labels[column], number(*value)));
            out.push_str("</title></rect>\n");
        }
    }
    for (column, name) in chart.labels.iter().enumerate().step_by(3) {
        let place = format!("class=\"faint\" x=\"{:.2}%\" y=\"{}\"", (column + 2) as f64 * width, rows * FIELD + 14);
        label(out, &place, name, 5);
    }
    out.push_str("</svg>\n");
    let _ = writeln!(out, "<p class=\"dim\">The fullest field is {}.</p>", number(most));
}

/// Stretches of numbers without a gap, with their places.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs: Vec<Vec<(usize, f64)>> = vec![vec![]];
    for (at, value) in values.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push((at, *value)),
            _ => runs.push(vec![]),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Series;

    fn chart(kind: ChartKind, labels: &[&str], values: Vec<Option<f64>>) -> String {
        let series = vec![Series { name: "<n>".to_owned(), values }];
        let mut out = String::new();
        draw(&mut out, &Chart { kind, labels: labels.iter().map(|label| (*label).to_owned()).collect(), series }, "<t>");
        out
    }

    #[test]
    fn bars_are_shares_of_the_largest_and_labels_are_text() {
        let svg = chart(ChartKind::Bar, &["</svg><script>", "b\u{202e}", "c"], vec![Some(50.0), Some(200.0), None]);
        assert!(
            svg.contains("width=\"25.00%\"") && svg.contains("width=\"100.00%\"") && svg.contains("width=\"0.00%\""),
            "{svg}"
        );
        assert!(svg.contains("&lt;/svg&gt;&lt;script&gt;") && svg.contains("b\\u{202e}") && !svg.contains("<script"), "{svg}");
        assert!(svg.contains("<title>&lt;t&gt;</title>"));
    }

    #[test]
    fn a_line_ends_where_there_is_no_number() {
        let svg = chart(ChartKind::Line, &["a", "b", "c", "d"], vec![Some(0.0), Some(4.0), None, Some(2.0)]);
        assert!(
            svg.contains("points=\"0.0,100.00 333.3,0.00 \"") && svg.contains("points=\"1000.0,50.00 1333.3,50.00 \""),
            "{svg}"
        );
        // No numbers to divide by.
        assert!(!chart(ChartKind::Line, &["a"], vec![Some(0.0)]).contains("NaN"));
    }

    #[test]
    fn a_heat_map_is_a_field_per_hour_of_the_week() {
        let svg = chart(ChartKind::Heatmap, &["00", "01"], vec![Some(2.0), Some(4.0)]);
        assert!(svg.contains("fill-opacity=\"0.50\"") && svg.contains("fill-opacity=\"1.00\""), "{svg}");
        assert!(svg.contains("<title>&lt;n&gt; 01 h: 4</title>"), "{svg}");
    }
}
