//! Charts in characters.
//!
//! ```text
//!   bar      GET   1,234  ████████████▌        line   1,234 ┤    ⢀⠔⠢⡀          heatmap      00    03    06 …
//!            POST    120  █▏                                │⠤⠒⠒⠁  ⠑⠤⣀                Mon  ░░░░▒▒▓▓██▓▓
//!   spark    hits  ▁▂▅█▃▁  1 to 1,234                     0 ┤                        Tue  ░░  ░░▒▒▓▓░░
//!                                                           00:00     23:00
//! ```
//!
//! The crates that draw on terminals either take the screen over or know numbers only: labels out of logs that have to be made
//! harmless, gaps where there is NULL, and a terminal that has ASCII alone are what most of this is about.

use std::fmt::Write as _;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt as _;

use super::chart::number;
use super::layout::{push_cut, text_width};
use super::record::{push_blanks, push_bold, push_dim};
use super::sanitise::sanitise_cell;
use super::sink::{Sink, TextSink};
use super::{Charset, Chart, ChartKind, ChartSpec, Color, MaxRows, OutputError, OutputOptions, Written, text_of};

/// Rows that a drawing is made of; the others are counted.
const MOST_ROWS: usize = 100_000;

/// Where no terminal says how wide it is.
const WIDTH: usize = 80;

/// Lines of a line chart.
const LINES: usize = 12;

/// Colours of series, one after the other.
const COLOURS: [&str; 4] = ["\x1b[34m", "\x1b[33m", "\x1b[32m", "\x1b[35m"];

/// Marks of series where there are no colours and no dots.
const MARKS: [char; 4] = ['*', '+', 'o', 'x'];

/// Draws a result.
pub(super) async fn write(
    mut stream: SendableRecordBatchStream,
    sink: Sink<'_>,
    spec: &ChartSpec,
    options: &OutputOptions,
) -> Result<Written, OutputError> {
    let mut out = TextSink::new(sink);
    let schema = stream.schema();
    let wanted = spec.columns(&schema)?;
    let most = match (spec.kind, options.max_rows) {
        (ChartKind::Bar, MaxRows::Rows(rows)) => usize::try_from(rows).unwrap_or(MOST_ROWS).min(MOST_ROWS),
        _ => MOST_ROWS,
    };
    let (mut rows, mut shown) = (0, 0);
    let mut kept: Vec<RecordBatch> = vec![];
    // Only what is drawn stays in memory.
    let mut columns: Vec<usize> = std::iter::once(wanted.x).chain(wanted.ys).collect();
    columns.sort_unstable();
    columns.dedup();
    let narrow = schema.project(&columns).map_err(|source| OutputError::Encode { source })?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        let take = batch.num_rows().min(most - shown);
        if take > 0 {
            kept.push(batch.slice(0, take).project(&columns).map_err(|source| OutputError::Encode { source })?);
            shown += take;
        }
    }
    // The columns that were meant by their place have their names now.
    let named = ChartSpec {
        kind: spec.kind,
        x: Some(schema.field(wanted.x).name().clone()),
        y: columns.iter().filter(|at| **at != wanted.x).map(|at| schema.field(*at).name().clone()).collect(),
    };
    out.text = match Chart::of(&named, &narrow, &kept, options)? {
        Some(chart) => draw(&chart, &named, options),
        // No rows, or nothing but NULL.
        None => text_of(&narrow, &kept, &OutputOptions { chart: None, ..options.clone() })?,
    };
    out.flush()?;
    Ok(Written { rows, shown: shown as u64 })
}

fn draw(chart: &Chart, spec: &ChartSpec, options: &OutputOptions) -> String {
    let pen = Pen { width: options.width.map_or(WIDTH, usize::from).max(20), color: options.color, charset: options.charset };
    let mut out = String::new();
    match chart.kind {
        ChartKind::Bar => pen.bars(chart, spec, &mut out),
        ChartKind::Line => pen.lines(chart, &mut out),
        ChartKind::Spark => pen.sparks(chart, &mut out),
        ChartKind::Heatmap => pen.heat(chart, &mut out),
    }
    out
}

/// What it is drawn with.
struct Pen {
    width: usize,
    color: Color,
    charset: Charset,
}

impl Pen {
    fn colored(&self, series: usize, text: &str, out: &mut String) {
        match self.color {
            Color::Always => {
                let _ = write!(out, "{}{text}\x1b[0m", COLOURS[series % COLOURS.len()]);
            }
            Color::Never => out.push_str(text),
        }
    }

    /// A text cut to a width, and filled up to it.
    fn cell(&self, text: &str, width: usize, out: &mut String) {
        let text = sanitise_cell(text);
        let used = push_cut(out, &text, text_width(&text), width, self.charset.mark());
        push_blanks(out, width - used);
    }

    fn bars(&self, chart: &Chart, spec: &ChartSpec, out: &mut String) {
        let Some(series) = chart.series.first() else { return };
        let name = spec.x.as_deref().unwrap_or_default();
        let told: Vec<String> = series.values.iter().map(|value| value.map_or_else(|| "NULL".to_owned(), number)).collect();
        let widest =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text_width(&sanitise_cell(text))).max().unwrap_or(0);
        let labels = widest(&mut chart.labels.iter().map(String::as_str).chain([name])).min(self.width * 2 / 5);
        let numbers = widest(&mut told.iter().map(String::as_str).chain([series.name.as_str()])).min(self.width / 4);
        let room = self.width.saturating_sub(labels + numbers + 4).max(1);
        // A bar that goes to the left would need an axis in the middle; sizes have none.
        let most = chart.range().1;
        let mut head = String::new();
        self.cell(name, labels, &mut head);
        head.push_str("  ");
        let mut title = String::new();
        self.cell(&series.name, text_width(&sanitise_cell(&series.name)).min(numbers), &mut title);
        push_blanks(&mut head, numbers.saturating_sub(text_width(&title)));
        push_bold(out, &(head + &title), self.color);
        out.push('\n');
        for ((label, value), told) in chart.labels.iter().zip(&series.values).zip(&told) {
            self.cell(label, labels, out);
            push_blanks(out, 2 + numbers.saturating_sub(told.len()));
            out.push_str(told);
            let share = value.map_or(0.0, |value| if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 });
            let bar = self.bar(share, room);
            if !bar.is_empty() {
                out.push_str("  ");
                self.colored(0, &bar, out);
            }
            out.push('\n');
        }
    }

    /// A bar in eighths of a character; what is more than nothing has one at least.
    fn bar(&self, share: f64, room: usize) -> String {
        const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        if share <= 0.0 {
            return String::new();
        }
        match self.charset {
            Charset::Ascii => "#".repeat(((share * room as f64).round() as usize).max(1)),
            Charset::Unicode => {
                let eighths = ((share * room as f64 * 8.0).round() as usize).max(1);
                let mut bar = "█".repeat(eighths / 8);
                bar.extend(Some(PARTS[eighths % 8]).filter(|part| *part != ' '));
                bar
            }
        }
    }

    fn lines(&self, chart: &Chart, out: &mut String) {
        let (least, most) = chart.range();
        let span = if most > least { most - least } else { 1.0 };
        let ticks: Vec<String> = [most, (most + least) / 2.0, least].into_iter().map(number).collect();
        let left = ticks.iter().map(|tick| text_width(tick)).max().unwrap_or(0);
        let columns = self.width.saturating_sub(left + 2).max(8);
        if chart.series.len() > 1 {
            for (at, series) in chart.series.iter().enumerate() {
                let mark = if self.charset == Charset::Ascii { MARKS[at % MARKS.len()] } else { '●' };
                self.colored(at, &mark.to_string(), out);
                let _ = write!(out, " {}  ", sanitise_cell(&series.name));
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        let mut canvas = Canvas::new(columns, LINES, self.charset);
        for (at, series) in chart.series.iter().enumerate() {
            canvas.line(at, &series.values, |value| (value - least) / span);
        }
        let (bar, tick) = if self.charset == Charset::Ascii { ('|', '+') } else { ('│', '┤') };
        for row in 0..LINES {
            let told = match row {
                0 => Some(&ticks[0]),
                _ if row == LINES / 2 => Some(&ticks[1]),
                _ if row == LINES - 1 => Some(&ticks[2]),
                _ => None,
            };
            let text = told.map_or("", String::as_str);
            push_blanks(out, left - text_width(text));
            let _ = write!(out, "{text} {}", if told.is_some() { tick } else { bar });
            canvas.row(row, self, out);
            out.push('\n');
        }
        // The first and the last label, below the points that they are of.
        let ends = [chart.labels.first(), chart.labels.last().filter(|_| chart.labels.len() > 1)];
        let ends: Vec<_> = ends.into_iter().flatten().map(|label| sanitise_cell(label)).collect();
        let mut foot = String::new();
        push_blanks(&mut foot, left + 2);
        let first = push_cut(&mut foot, &ends[0], text_width(&ends[0]), columns / 2, self.charset.mark());
        if let Some(last) = ends.get(1) {
            let mut end = String::new();
            let used = push_cut(&mut end, last, text_width(last), columns.saturating_sub(first + 1), self.charset.mark());
            push_blanks(&mut foot, columns.saturating_sub(first + used));
            foot += &end;
        }
        push_dim(out, &foot, self.color);
        out.push('\n');
    }

    fn sparks(&self, chart: &Chart, out: &mut String) {
        let steps: &[char] = match self.charset {
            Charset::Unicode => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Charset::Ascii => &['_', '.', ':', '-', '=', '+', '*', '#'],
        };
        let names = chart.series.iter().map(|series| text_width(&sanitise_cell(&series.name))).max().unwrap_or(0);
        let names = names.min(self.width / 3);
        for (at, series) in chart.series.iter().enumerate() {
            let numbers = || series.values.iter().copied().flatten();
            let (least, most) = (numbers().fold(f64::INFINITY, f64::min), numbers().fold(f64::NEG_INFINITY, f64::max));
            let told = if least <= most { format!("{} to {}", number(least), number(most)) } else { "NULL".to_owned() };
            let room = self.width.saturating_sub(names + told.len() + 4).max(8);
            self.cell(&series.name, names, out);
            out.push_str("  ");
            let mut drawn = String::new();
            for group in groups(&series.values, room) {
                let values: Vec<f64> = group.iter().copied().flatten().collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let share = if most > least { (mean - least) / (most - least) } else { 0.5 };
                drawn.push(if values.is_empty() { ' ' } else { steps[((share * 7.0).round() as usize).min(7)] });
            }
            self.colored(at, &drawn, out);
            let _ = writeln!(out, "  {told}");
        }
    }

    fn heat(&self, chart: &Chart, out: &mut String) {
        let shades: [char; 4] = match self.charset {
            Charset::Unicode => ['░', '▒', '▓', '█'],
            Charset::Ascii => ['.', ':', '+', '#'],
        };
        let most = chart.range().1;
        let mut head = String::from("     ");
        for (hour, label) in chart.labels.iter().enumerate() {
            head.push_str(if hour % 3 == 0 { label } else { "  " });
        }
        push_dim(out, head.trim_end(), self.color);
        out.push('\n');
        let mut top = (f64::NEG_INFINITY, String::new());
        for series in &chart.series {
            self.cell(&series.name, 5, out);
            let mut row = String::new();
            for (value, hour) in series.values.iter().zip(&chart.labels) {
                let share = value.map_or(0.0, |value| if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 });
                let shade = if value.is_none() { ' ' } else { shades[((share * 4.0).ceil() as usize).clamp(1, 4) - 1] };
                row.extend([shade, shade]);
                if value.is_some_and(|value| value > top.0) {
                    top = (value.unwrap_or_default(), format!("{} {hour} h", series.name));
                }
            }
            self.colored(2, row.trim_end(), out);
            out.push('\n');
        }
        let scale: String = shades.iter().flat_map(|shade| [*shade, *shade]).collect();
        let _ = writeln!(out, "     0 {scale} {} ({})", number(most), top.1);
    }
}

/// The values in at most so many groups of neighbours.
fn groups(values: &[Option<f64>], most: usize) -> impl Iterator<Item = &[Option<f64>]> {
    let count = values.len().min(most);
    (0..count).map(move |at| &values[at * values.len() / count..(at + 1) * values.len() / count])
}

/// Dots: two by four in a character of braille, or one in ASCII.
struct Canvas {
    columns: usize,
    dots: (usize, usize),
    /// Of each character: its dots, and the series that drew last.
    cells: Vec<(u8, usize)>,
    charset: Charset,
}

impl Canvas {
    fn new(columns: usize, rows: usize, charset: Charset) -> Self {
        let dots = match charset {
            Charset::Unicode => (columns * 2, rows * 4),
            Charset::Ascii => (columns, rows),
        };
        Self { columns, dots, cells: vec![(0, 0); columns * rows], charset }
    }

    fn set(&mut self, series: usize, x: usize, y: usize) {
        // The order of the dots of braille: down the left, down the right, the lowest last.
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let (column, row, bit) = match self.charset {
            Charset::Unicode => (x / 2, y / 4, BITS[y % 4][x % 2]),
            Charset::Ascii => (x, y, 1),
        };
        if let Some(cell) = self.cells.get_mut(row * self.columns + column).filter(|_| column < self.columns) {
            *cell = (cell.0 | bit, series);
        }
    }

    /// Draws a series from the left to the right, with gaps where there are no numbers.
    fn line(&mut self, series: usize, values: &[Option<f64>], share: impl Fn(f64) -> f64) {
        let (width, height) = self.dots;
        let last = values.len().max(2) - 1;
        let mut before: Option<(usize, usize)> = None;
        for (at, value) in values.iter().enumerate() {
            let here = value.map(|value| {
                let up = (share(value).clamp(0.0, 1.0) * (height - 1) as f64).round() as usize;
                (at * (width - 1) / last, height - 1 - up)
            });
            match (before, here) {
                (Some(from), Some(to)) => self.segment(series, from, to),
                (None, Some((x, y))) => self.set(series, x, y),
                _ => {}
            }
            before = here;
        }
    }

    fn segment(&mut self, series: usize, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            let share = step as f64 / steps as f64;
            (a as f64 + (b as f64 - a as f64) * share).round() as usize
        };
        for step in 0..=steps {
            self.set(series, between(from.0, to.0, step), between(from.1, to.1, step));
        }
    }

    fn row(&self, row: usize, pen: &Pen, out: &mut String) {
        let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
        let used = cells.iter().rposition(|(dots, _)| *dots != 0).map_or(0, |last| last + 1);
        let glyph = |(dots, series): &(u8, usize)| match (self.charset, dots) {
            (_, 0) => ' ',
            (Charset::Unicode, dots) => char::from_u32(0x2800 + u32::from(*dots)).unwrap_or(' '),
            (Charset::Ascii, _) => MARKS[series % MARKS.len()],
        };
        for run in cells[..used].chunk_by(|a, b| a.1 == b.1) {
            let text: String = run.iter().map(glyph).collect();
            pen.colored(run[0].1, &text, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OutputFormat, Series};
    use super::*;
    use proptest::prelude::*;

    fn drawn(kind: ChartKind, labels: &[&str], values: &[(&str, Vec<Option<f64>>)], width: u16, charset: Charset) -> String {
        let series = values.iter().map(|(name, values)| Series { name: (*name).to_owned(), values: values.clone() }).collect();
        let chart = Chart { kind, labels: labels.iter().map(|label| (*label).to_owned()).collect(), series };
        let spec = ChartSpec { kind, x: Some("what".to_owned()), y: vec![] };
        draw(&chart, &spec, &OutputOptions { width: Some(width), charset, ..OutputOptions::new(OutputFormat::Table) })
    }

    #[test]
    fn bars_are_shares_of_the_longest() {
        let values = vec![Some(1000.0), Some(125.0), Some(0.0), None];
        assert_eq!(
            drawn(ChartKind::Bar, &["GET", "PO\x1b[2JST", "日本", "none"], &[("hits", values)], 40, Charset::Unicode),
            "what          hits\n\
             GET          1,000  ████████████████████\n\
             PO\\x1b[2JST    125  ██▌\n\
             日本             0\n\
             none          NULL\n"
        );
    }

    #[test]
    fn a_line_has_gaps_and_both_ends_of_its_axes() {
        let values = vec![Some(0.0), Some(4.0), None, Some(2.0)];
        let chart = drawn(ChartKind::Line, &["a", "b", "c", "d"], &[("n", values)], 24, Charset::Ascii);
        let lines: Vec<&str> = chart.lines().collect();
        assert_eq!(lines.len(), LINES + 1, "{chart}");
        assert!(lines[0].starts_with("4 +") && lines[11].starts_with("0 +*") && lines[12].starts_with("   a"), "{chart}");
        assert!(lines[12].ends_with('d') && lines[6].starts_with("2 +") && lines[6].ends_with('*'), "{chart}");
    }

    #[test]
    fn sparks_and_heat_maps_are_in_proportion() {
        let values = vec![Some(0.0), None, Some(7.0), Some(3.5)];
        assert_eq!(drawn(ChartKind::Spark, &["a"; 4], &[("n", values)], 60, Charset::Unicode), "n  ▁ █▅  0 to 7\n");
        let labels: Vec<String> = (0..24).map(|hour| format!("{hour:02}")).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let mut hours = vec![None; 24];
        (hours[1], hours[2]) = (Some(1.0), Some(8.0));
        assert_eq!(
            drawn(ChartKind::Heatmap, &labels, &[("Mon", hours), ("Tue", vec![None; 24])], 80, Charset::Ascii),
            "     00    03    06    09    12    15    18    21\n\
             Mon    ..##\n\
             Tue  \n\
             \x20    0 ..::++## 8 (Mon 02 h)\n"
        );
    }

    proptest! {
        #[test]
        fn no_numbers_are_too_odd_and_nothing_is_wider_than_the_screen(
            values in prop::collection::vec(prop::option::of(prop_oneof![any::<i32>().prop_map(f64::from), -1e300..1e300]), 1..60),
            label in ".{0,30}",
            width in 20_u16..200,
        ) {
            for kind in [ChartKind::Bar, ChartKind::Line, ChartKind::Spark] {
                for charset in [Charset::Unicode, Charset::Ascii] {
                    let labels = vec![label.as_str(); values.len()];
                    let text = drawn(kind, &labels, &[("n", values.clone()), ("m", values.clone())], width, charset);
                    prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
                    // Numbers are never cut.
                    if values.iter().flatten().all(|value| value.abs() < 1e6) && width >= 50 {
                        for line in text.lines() {
                            prop_assert!(text_width(line) <= usize::from(width), "{kind} {width}\n{text}");
                        }
                    }
                }
            }
        }
    }
}
