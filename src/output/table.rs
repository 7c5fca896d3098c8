//! The table for people.
//!
//! ```text
//!   ┌────────┬───────────────┐         first rows ──► widths ──► frame, names, rows … frame
//!   │ status │ path          │                          │
//!   ├────────┼───────────────┤                          └─ too narrow ──► one value per line (record.rs)
//!   │    200 │ /index.html   │
//!   │    404 │ /a-very-long… │
//!   └────────┴───────────────┘
//! ```
//!
//! Widths come from the first rows, so memory is bounded whatever the result is. On a terminal these are all rows that
//! are shown (40 if nobody says otherwise); the rows after them are only counted. Elsewhere the table streams: a cell that
//! is wider than its column pushes the rest of its line to the right.
//!
//! Cells are cut (to the column, and to 1 KiB before that) only if there is a width to fit into. A number or a time is
//! never cut.

use super::layout::{self, Fit, Wish, text_width};
use super::record::{Look, Records, push_blanks, push_bold, push_dim};
use super::sanitise::sanitise_cell;
use super::sink::TextSink;
use super::value::Column;
use super::{Arrival, Charset, Expanded, Header, MaxRows, OutputError, OutputOptions, Target, TextWriter};

/// A cell shows at most this much of its value.
const CELL_BYTES: usize = 1024;

/// A column of a table that fits into nothing is padded to at most this: beyond it rows are ragged.
const WIDEST_PADDING: usize = 1024;

/// Widths are decided after this many rows or bytes of text, whichever comes first.
const SAMPLE_ROWS: usize = 1000;
const SAMPLE_BYTES: usize = 1024 * 1024;

/// What is known of a column before its first value.
pub(super) struct Heading {
    pub(super) name: String,
    pub(super) is_number: bool,
    pub(super) is_rigid: bool,
}

pub(super) struct Table {
    options: OutputOptions,
    headings: Vec<Heading>,
    null: String,
    /// Rows that are still to be shown.
    left: u64,
    shown: u64,
    state: State,
}

enum State {
    /// The sample is being collected: the rendered cells of whole rows, one after the other.
    Sampling { cells: Vec<Cell>, rows: usize, bytes: usize },
    /// The widths are known and the head of the table is written.
    Grid { widths: Vec<usize> },
    /// One value per line.
    Records(Box<Records>),
    /// All that will be shown is written.
    Done,
}

/// A rendered, sanitised value.
struct Cell {
    text: String,
    width: usize,
    is_null: bool,
}

impl Table {
    pub(super) fn new(headings: Vec<Heading>, options: &OutputOptions) -> Self {
        let headings: Vec<Heading> =
            headings.into_iter().map(|heading| Heading { name: sanitise_cell(&heading.name).into_owned(), ..heading }).collect();
        let left = match (options.target, options.max_rows) {
            (Target::Terminal, MaxRows::Rows(rows)) => rows,
            _ => u64::MAX,
        };
        let mut table = Self {
            headings,
            null: sanitise_cell(options.null.as_deref().unwrap_or("NULL")).into_owned(),
            left,
            shown: 0,
            state: State::Sampling { cells: Vec::new(), rows: 0, bytes: 0 },
            options: options.clone(),
        };
        if options.expanded == Expanded::On {
            table.state = table.records(usize::MAX);
        }
        table
    }

    fn records(&self, limit: usize) -> State {
        let names: Vec<String> = self.headings.iter().map(|heading| heading.name.clone()).collect();
        State::Records(Box::new(Records::new(Look::Expanded, &names, limit, &self.options)))
    }

    fn cell_bytes(&self) -> usize {
        if self.options.width.is_some() { CELL_BYTES } else { usize::MAX }
    }

    fn cell(&self, column: &Column<'_>, row: usize) -> Cell {
        if column.is_null(row) {
            return Cell { width: text_width(&self.null), text: self.null.clone(), is_null: true };
        }
        let mut text = String::new();
        let value = match column.as_str(row) {
            Some(value) => value,
            None => {
                column.text(row, &mut text);
                text.as_str()
            }
        };
        let (start, is_cut) = layout::prefix(value, self.cell_bytes());
        let mut text = sanitise_cell(start).into_owned();
        if is_cut {
            text.push(self.options.charset.mark());
        }
        Cell { width: text_width(&text), text, is_null: false }
    }

    /// Keeps a rendered row for the sample, or writes it.
    fn take(&mut self, row: Vec<Cell>, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        match &mut self.state {
            State::Sampling { cells, rows, bytes } => {
                *rows += 1;
                *bytes += row.iter().map(|cell| cell.text.len() + size_of::<Cell>()).sum::<usize>();
                cells.extend(row);
                if *rows >= SAMPLE_ROWS || *bytes >= SAMPLE_BYTES {
                    self.settle(out)?;
                }
            }
            State::Grid { widths } => {
                let widths = std::mem::take(widths);
                self.push_row(&row, &widths, &mut out.text);
                self.state = State::Grid { widths };
            }
            State::Records(_) | State::Done => {}
        }
        Ok(())
    }

    /// Decides the widths, or that there will be no table, and writes the sample.
    fn settle(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        let State::Sampling { cells, rows, .. } = &mut self.state else { return Ok(()) };
        let (cells, rows) = (std::mem::take(cells), *rows);
        let Some(widths) = self.widths(&cells, rows) else {
            // The rows were rendered under the limits of a cell, which are also those of this form.
            self.state = self.records(CELL_BYTES);
            return self.write_records(&cells, out);
        };
        self.push_head(&widths, &mut out.text);
        let count = self.headings.len();
        if count > 0 {
            for row in cells.chunks(count) {
                self.push_row(row, &widths, &mut out.text);
                out.row_done()?;
            }
        }
        self.state = State::Grid { widths };
        Ok(())
    }

    /// The widths of the columns, or `None` if one value per line serves better.
    fn widths(&self, cells: &[Cell], rows: usize) -> Option<Vec<usize>> {
        let count = self.headings.len();
        let mut wishes: Vec<Wish> = self
            .headings
            .iter()
            .map(|heading| Wish {
                cells: 0,
                head: if self.options.header == Header::Show { text_width(&heading.name) } else { 0 },
                is_rigid: heading.is_rigid,
            })
            .collect();
        for (at, cell) in cells.iter().enumerate() {
            let wish = &mut wishes[at % count];
            wish.cells = wish.cells.max(cell.width);
        }
        // Two blanks and a bar for each column, and the bar on the left.
        let room = self.options.width.map(|width| usize::from(width).saturating_sub(3 * count + 1));
        let mut shared = layout::share(&wishes, room.unwrap_or(usize::MAX));
        let is_better_as_records = match shared.fit {
            Fit::Whole => {
                // Values that are still to come may be longer.
                let live = room.filter(|_| self.options.arrival == Arrival::Live);
                if let (Some(room), Some(last)) = (live, self.headings.iter().rposition(|heading| !heading.is_rigid)) {
                    shared.columns[last] += room - shared.columns.iter().sum::<usize>();
                }
                false
            }
            Fit::Cut if self.options.arrival == Arrival::Live => false,
            // There is nothing to compare one row with.
            Fit::Cut => rows == 1,
            Fit::Poor => rows > 0,
        };
        if is_better_as_records && self.options.expanded == Expanded::Auto {
            return None;
        }
        Some(shared.columns.into_iter().map(|width| width.min(WIDEST_PADDING)).collect())
    }

    fn write_records(&mut self, cells: &[Cell], out: &mut TextSink<'_>) -> Result<(), OutputError> {
        let State::Records(records) = &mut self.state else {
            return Ok(());
        };
        for row in cells.chunks(self.headings.len().max(1)) {
            records.push_rendered(row.iter().map(|cell| (!cell.is_null).then_some(cell.text.as_str())), &mut out.text);
            out.row_done()?;
        }
        Ok(())
    }

    fn push_head(&self, widths: &[usize], out: &mut String) {
        if widths.is_empty() {
            return;
        }
        self.push_frame(Edge::Top, widths, out);
        if self.options.header == Header::Hide {
            return;
        }
        let bar = self.bar();
        for (heading, width) in self.headings.iter().zip(widths) {
            out.push(bar);
            out.push(' ');
            let mut name = String::new();
            let full = text_width(&heading.name);
            let used = layout::push_cut(&mut name, &heading.name, full, *width, self.options.charset.mark());
            let blanks = width.saturating_sub(used);
            if heading.is_number {
                push_blanks(out, blanks);
                push_bold(out, &name, self.options.color);
            } else {
                push_bold(out, &name, self.options.color);
                push_blanks(out, blanks);
            }
            out.push(' ');
        }
        out.push(bar);
        out.push('\n');
        self.push_frame(Edge::Middle, widths, out);
    }

    fn push_row(&self, cells: &[Cell], widths: &[usize], out: &mut String) {
        let bar = self.bar();
        for ((cell, heading), width) in cells.iter().zip(&self.headings).zip(widths) {
            out.push(bar);
            out.push(' ');
            let blanks = width.saturating_sub(cell.width);
            if heading.is_number {
                push_blanks(out, blanks);
            }
            if cell.is_null {
                push_dim(out, &cell.text, self.options.color);
            } else if self.options.width.is_some() && !heading.is_rigid && cell.width > *width {
                let used = layout::push_cut(out, &cell.text, cell.width, *width, self.options.charset.mark());
                // A wide character may not have found room in the last column.
                push_blanks(out, width - used);
            } else {
                out.push_str(&cell.text);
            }
            if !heading.is_number {
                push_blanks(out, blanks);
            }
            out.push(' ');
        }
        out.push(bar);
        out.push('\n');
    }

    fn push_frame(&self, edge: Edge, widths: &[usize], out: &mut String) {
        let [left, dash, cross, right] = match (self.options.charset, edge) {
            (Charset::Ascii, _) => ['+', '-', '+', '+'],
            (Charset::Unicode, Edge::Top) => ['┌', '─', '┬', '┐'],
            (Charset::Unicode, Edge::Middle) => ['├', '─', '┼', '┤'],
            (Charset::Unicode, Edge::Bottom) => ['└', '─', '┴', '┘'],
        };
        for (at, width) in widths.iter().enumerate() {
            out.push(if at == 0 { left } else { cross });
            out.extend(std::iter::repeat_n(dash, width + 2));
        }
        out.push(right);
        out.push('\n');
    }

    fn bar(&self) -> char {
        match self.options.charset {
            Charset::Unicode => '│',
            Charset::Ascii => '|',
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Edge {
    Top,
    Middle,
    Bottom,
}

impl TextWriter for Table {
    fn start(&mut self, _out: &mut TextSink<'_>) -> Result<(), OutputError> {
        Ok(())
    }

    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        let rows = rows.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for row in 0..rows {
            if let State::Records(records) = &mut self.state {
                records.push_row(columns, row, &mut out.text);
            } else {
                let rendered = columns.iter().map(|column| self.cell(column, row)).collect();
                self.take(rendered, out)?;
            }
            out.row_done()?;
        }
        if self.options.arrival == Arrival::Live && rows > 0 {
            self.settle(out)?;
        }
        self.left -= rows as u64;
        self.shown += rows as u64;
        if self.left == 0 {
            // Shown at once, while the rest is still being counted.
            self.finish(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        self.settle(out)?;
        if let State::Grid { widths } = std::mem::replace(&mut self.state, State::Done)
            && !widths.is_empty()
        {
            self.push_frame(Edge::Bottom, &widths, &mut out.text);
        }
        Ok(())
    }

    fn shown(&self) -> Option<u64> {
        Some(self.shown)
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }
}
