//! CSV and TSV.
//!
//! ```text
//!   csv   id,name,note          tsv   id⇥name⇥note
//!         1,"a ""b"", c",             1⇥a "b", c⇥
//!         2,"",x                      2⇥⇥x\ty
//! ```
//!
//! CSV is RFC 4180 with line feeds between the rows: a field is quoted if it holds a comma, a quote, a line feed or a
//! carriage return. NULL is an empty field, an empty text is `""`. In a result of one column NULL is `""` too: most
//! readers skip an empty line, and a row must not get lost.
//!
//! TSV has one line per row whatever the text holds: tab, line feed, carriage return and backslash are `\t`, `\n`,
//! `\r` and `\\`, the way `COPY` of PostgreSQL and the `TabSeparated` of ClickHouse write them. NULL is an empty
//! field, as is an empty text; with `\N` as the text for NULL they differ.

use super::sanitise::sanitise;
use super::sink::TextSink;
use super::value::Column;
use super::{CsvSafety, Header, OutputError, OutputOptions, Target, TextWriter};

/// What stands between two fields, and how a field is kept apart from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Csv,
    Tsv,
}

pub(super) struct Delimited {
    dialect: Dialect,
    names: Vec<String>,
    header: Header,
    null: Option<String>,
    safety: CsvSafety,
    target: Target,
    /// For values that are not text already.
    scratch: String,
}

impl Delimited {
    pub(super) fn new(dialect: Dialect, names: Vec<String>, options: &OutputOptions) -> Self {
        let null = options.null.as_deref().map(|null| match options.target {
            Target::Terminal => sanitise(null).into_owned(),
            Target::Pipe | Target::File => null.to_owned(),
        });
        Self { dialect, names, header: options.header, null, safety: options.csv, target: options.target, scratch: String::new() }
    }

    fn separator(&self) -> char {
        match self.dialect {
            Dialect::Csv => ',',
            Dialect::Tsv => '\t',
        }
    }

    fn push_null(&self, out: &mut String) {
        match (&self.null, self.dialect) {
            (Some(null), _) => out.push_str(null),
            (None, Dialect::Csv) if self.names.len() == 1 => out.push_str("\"\""),
            (None, _) => {}
        }
    }

    fn push_text(&self, text: &str, out: &mut String) {
        let shown = match self.target {
            Target::Terminal => sanitise(text),
            Target::Pipe | Target::File => text.into(),
        };
        let guard = match self.safety {
            CsvSafety::FormulaSafe if is_formula(&shown) => "'",
            _ => "",
        };
        match self.dialect {
            Dialect::Csv => self.push_csv(guard, &shown, out),
            Dialect::Tsv => push_tsv(guard, &shown, out),
        }
    }

    fn push_csv(&self, guard: &str, text: &str, out: &mut String) {
        let is_quoted = text.is_empty()
            || text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
            || self.null.as_deref() == Some(text);
        if !is_quoted {
            out.push_str(guard);
            return out.push_str(text);
        }
        out.push('"');
        out.push_str(guard);
        for (at, part) in text.split('"').enumerate() {
            if at > 0 {
                out.push_str("\"\"");
            }
            out.push_str(part);
        }
        out.push('"');
    }
}

/// Whether a spreadsheet would compute this text instead of showing it (OWASP's list, with the full-width signs that
/// some spreadsheets fold).
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'])
}

fn push_tsv(guard: &str, text: &str, out: &mut String) {
    out.push_str(guard);
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\\' => "\\\\",
            _ => continue,
        };
        out.push_str(&text[done..at]);
        out.push_str(escaped);
        done = at + 1;
    }
    out.push_str(&text[done..]);
}

impl TextWriter for Delimited {
    fn start(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        if self.header == Header::Hide || self.names.is_empty() {
            return Ok(());
        }
        for (at, name) in self.names.iter().enumerate() {
            if at > 0 {
                out.text.push(self.separator());
            }
            self.push_text(name, &mut out.text);
        }
        out.text.push('\n');
        Ok(())
    }

    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        for row in 0..rows {
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    out.text.push(self.separator());
                }
                if column.is_null(row) {
                    self.push_null(&mut out.text);
                } else if column.is_plain() {
                    column.text(row, &mut out.text);
                } else if let Some(text) = column.as_str(row) {
                    self.push_text(text, &mut out.text);
                } else {
                    scratch.clear();
                    column.text(row, &mut scratch);
                    self.push_text(&scratch, &mut out.text);
                }
            }
            out.text.push('\n');
            out.row_done()?;
        }
        self.scratch = scratch;
        Ok(())
    }

    fn finish(&mut self, _out: &mut TextSink<'_>) -> Result<(), OutputError> {
        Ok(())
    }
}
