//! JSON: one array, or one object per line.
//!
//! ```text
//!   json   [                                     ndjson   {"status":200,"path":"/"}
//!          {"status":200,"path":"/"},                     {"status":404,"path":null}
//!          {"status":404,"path":null}
//!          ]
//! ```
//!
//! Every row has every column, NULL is `null`, integers are exact whatever their size. The array, too, has one row
//! per line, so that line tools can look at it. Names that occur twice are told apart (`a`, `a_2`): most readers keep
//! only the last of two equal keys.

use super::sink::TextSink;
use super::value::{Column, JsonEscape, push_json_string};
use super::{OutputError, TextWriter};

/// What is round the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Array,
    Lines,
}

pub(super) struct Json {
    layout: Layout,
    /// `{"a":` for the first column, `,"b":` for the others.
    keys: Vec<String>,
    rows: u64,
}

impl Json {
    /// `names` must differ from each other.
    pub(super) fn new(layout: Layout, names: &[String], escape: JsonEscape) -> Self {
        let key = |(at, name): (usize, &String)| {
            let mut key = String::from(if at == 0 { "{" } else { "," });
            push_json_string(&mut key, name, escape);
            key.push(':');
            key
        };
        Self { layout, keys: names.iter().enumerate().map(key).collect(), rows: 0 }
    }
}

impl TextWriter for Json {
    fn start(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        if self.layout == Layout::Array {
            out.text.push('[');
        }
        Ok(())
    }

    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        for row in 0..rows {
            if self.layout == Layout::Array {
                out.text.push_str(if self.rows == 0 { "\n" } else { ",\n" });
            }
            for (key, column) in self.keys.iter().zip(columns) {
                out.text.push_str(key);
                column.json(row, &mut out.text);
            }
            out.text.push_str(if columns.is_empty() { "{}" } else { "}" });
            if self.layout == Layout::Lines {
                out.text.push('\n');
            }
            self.rows += 1;
            out.row_done()?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        if self.layout == Layout::Array {
            out.text.push_str(if self.rows == 0 { "]\n" } else { "\n]\n" });
        }
        Ok(())
    }
}
