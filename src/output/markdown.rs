//! A Markdown table (GitHub's dialect), row by row.
//!
//! ```text
//!   | status | path |
//!   | ---: | --- |
//!   | 200 | /a\|b &lt;script> |
//! ```
//!
//! Log text stays text: what Markdown or HTML would take as markup is escaped, a line feed is `<br>`, control characters
//! are shown. The columns are not padded, so that no row waits for a later one.

use super::sanitise::sanitise_cell;
use super::sink::TextSink;
use super::value::Column;
use super::{OutputError, TextWriter};

pub(super) struct Markdown {
    names: Vec<String>,
    is_number: Vec<bool>,
    null: String,
    scratch: String,
}

impl Markdown {
    pub(super) fn new(names: Vec<String>, is_number: Vec<bool>, null: Option<&str>) -> Self {
        let null = null.unwrap_or("NULL").to_owned();
        Self { names, is_number, null, scratch: String::new() }
    }
}

/// Appends the text of a cell.
fn push_cell(out: &mut String, text: &str) {
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push_str("<br>");
        }
        push_line(out, &sanitise_cell(line.strip_suffix('\r').unwrap_or(line)));
    }
}

fn push_line(out: &mut String, line: &str) {
    let blank = line.len() - line.trim_start().len();
    for (at, c) in line.char_indices() {
        match c {
            // An entity, because in a code span of a careless renderer a backslash would not help.
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // Markup at the beginning of a block only: headings, quotes, lists, rules.
            '#' | '>' | '-' | '+' | '=' if at == blank => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
}

impl TextWriter for Markdown {
    fn start(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        if self.names.is_empty() {
            return Ok(());
        }
        out.text.push('|');
        for name in &self.names {
            out.text.push(' ');
            push_cell(&mut out.text, name);
            out.text.push_str(" |");
        }
        out.text.push_str("\n|");
        for is_number in &self.is_number {
            out.text.push_str(if *is_number { " ---: |" } else { " --- |" });
        }
        out.text.push('\n');
        Ok(())
    }

    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        if columns.is_empty() {
            return Ok(());
        }
        for row in 0..rows {
            out.text.push('|');
            for column in columns {
                out.text.push(' ');
                if column.is_null(row) {
                    push_cell(&mut out.text, &self.null);
                } else if column.is_plain() {
                    column.text(row, &mut out.text);
                } else {
                    let text = match column.as_str(row) {
                        Some(text) => text,
                        None => {
                            self.scratch.clear();
                            column.text(row, &mut self.scratch);
                            self.scratch.as_str()
                        }
                    };
                    push_cell(&mut out.text, text);
                }
                out.text.push_str(" |");
            }
            out.text.push('\n');
            out.row_done()?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut TextSink<'_>) -> Result<(), OutputError> {
        Ok(())
    }
}
