//! One value per line: for rows that are too wide for a table.
//!
//! ```text
//!   line         status = 200           expanded table   ─[ RECORD 1 ]──────────
//!                path   = /index.html                    status │ 200
//!                                                        path   │ /index.html
//!                status = 404
//!                path   = NULL
//! ```
//!
//! A value stays on its line: line feeds, tabs and control characters in it are shown. Nothing is cut unless a limit
//! is given.

use super::layout::{self, text_width};
use super::sanitise::sanitise_cell;
use super::sink::TextSink;
use super::value::Column;
use super::{Charset, Color, Header, OutputError, OutputOptions, TextWriter};

/// How a record is set off from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// `name = value`, an empty line between the records.
    Line,
    /// A numbered rule above each record, a bar between name and value.
    Expanded,
}

pub(super) struct Records {
    look: Look,
    names: Vec<String>,
    widest_name: usize,
    null: String,
    color: Color,
    charset: Charset,
    header: Header,
    /// Rules are drawn to the widest value, but not beyond the screen.
    screen: Option<usize>,
    /// The most bytes of a value that are shown.
    limit: usize,
    rows: u64,
    /// The lines of the record at hand.
    body: String,
    widest_value: usize,
    scratch: String,
}

impl Records {
    pub(super) fn new(look: Look, names: &[String], limit: usize, options: &OutputOptions) -> Self {
        let names: Vec<String> = names.iter().map(|name| sanitise_cell(name).into_owned()).collect();
        Self {
            look,
            widest_name: names.iter().map(|name| text_width(name)).max().unwrap_or(0),
            names,
            null: sanitise_cell(options.null.as_deref().unwrap_or("NULL")).into_owned(),
            color: options.color,
            charset: options.charset,
            header: options.header,
            screen: options.width.map(usize::from),
            limit,
            rows: 0,
            body: String::new(),
            widest_value: 0,
            scratch: String::new(),
        }
    }

    /// Appends one row.
    pub(super) fn push_row(&mut self, columns: &[Column<'_>], row: usize, out: &mut String) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.begin();
        for (at, column) in columns.iter().enumerate() {
            if column.is_null(row) {
                self.push_null(at);
                continue;
            }
            let text = match column.as_str(row) {
                Some(text) => text,
                None => {
                    scratch.clear();
                    column.text(row, &mut scratch);
                    &scratch
                }
            };
            let (text, is_cut) = layout::prefix(text, self.limit);
            self.push_value(at, &sanitise_cell(text));
            if is_cut {
                self.body.insert(self.body.len() - 1, self.charset.mark());
            }
        }
        self.end(out);
        self.scratch = scratch;
    }

    /// Appends one row of values that are rendered and sanitised already, `None` being NULL.
    pub(super) fn push_rendered<'v>(&mut self, values: impl Iterator<Item = Option<&'v str>>, out: &mut String) {
        self.begin();
        for (at, value) in values.enumerate() {
            match value {
                Some(text) => self.push_value(at, text),
                None => self.push_null(at),
            }
        }
        self.end(out);
    }

    fn begin(&mut self) {
        self.rows += 1;
        self.body.clear();
        self.body.shrink_to(64 * 1024);
        self.widest_value = 0;
    }

    fn push_name(&mut self, at: usize) {
        let name = &self.names[at];
        self.body.push_str(name);
        push_blanks(&mut self.body, self.widest_name - text_width(name));
        self.body.push_str(match (self.look, self.charset) {
            (Look::Line, _) => " = ",
            (Look::Expanded, Charset::Unicode) => " │ ",
            (Look::Expanded, Charset::Ascii) => " | ",
        });
    }

    fn push_value(&mut self, at: usize, text: &str) {
        self.push_name(at);
        self.body.push_str(text);
        self.body.push('\n');
        self.widest_value = self.widest_value.max(text_width(text));
    }

    fn push_null(&mut self, at: usize) {
        self.push_name(at);
        push_dim(&mut self.body, &self.null, self.color);
        self.body.push('\n');
        self.widest_value = self.widest_value.max(text_width(&self.null));
    }

    fn end(&mut self, out: &mut String) {
        match (self.look, self.header) {
            (Look::Expanded, Header::Show) => self.push_rule(out),
            _ if self.rows > 1 => out.push('\n'),
            _ => {}
        }
        out.push_str(&self.body);
    }

    fn push_rule(&self, out: &mut String) {
        let dash = match self.charset {
            Charset::Unicode => '─',
            Charset::Ascii => '-',
        };
        let title = format!("[ RECORD {} ]", self.rows);
        let natural = (self.widest_name + 3 + self.widest_value).max(title.len() + 2);
        let width = natural.min(self.screen.unwrap_or(natural)).min(240);
        out.push(dash);
        push_bold(out, &title, self.color);
        for _ in title.len() + 1..width {
            out.push(dash);
        }
        out.push('\n');
    }
}

impl TextWriter for Records {
    fn start(&mut self, _out: &mut TextSink<'_>) -> Result<(), OutputError> {
        Ok(())
    }

    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        for row in 0..rows {
            self.push_row(columns, row, &mut out.text);
            out.row_done()?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut TextSink<'_>) -> Result<(), OutputError> {
        Ok(())
    }
}

pub(super) fn push_blanks(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// Appends a sanitised text, dim where there is colour.
pub(super) fn push_dim(out: &mut String, text: &str, color: Color) {
    push_styled(out, "\x1b[2m", text, color);
}

/// Appends a sanitised text, bold where there is colour.
pub(super) fn push_bold(out: &mut String, text: &str, color: Color) {
    push_styled(out, "\x1b[1m", text, color);
}

fn push_styled(out: &mut String, style: &str, text: &str, color: Color) {
    match color {
        Color::Never => out.push_str(text),
        Color::Always => {
            out.push_str(style);
            out.push_str(text);
            out.push_str("\x1b[0m");
        }
    }
}
