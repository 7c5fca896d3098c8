//! Writers: a stream of Arrow batches becomes what the user asked for.
//!
//! ```text
//!                           ┌─ delimited  csv, tsv          ┐
//!                           ├─ json       json, ndjson      │
//!   stream ─► write_stream ─┼─ markdown   markdown          ├─► TextSink ─► Sink ─► stdout, pager, …
//!      │                    ├─ table ───► record (too wide) │                ▲
//!      │                    ├─ record     line              ┘                │
//!      │                    └─ columnar   parquet, arrow ────────────────────┘
//!      └────► write_file: the same into a temporary file, then rename
//! ```
//!
//! All writers stream: memory is bounded by a batch, or by a row group. A batch is flushed as soon as it is rendered, so
//! that rows are seen while the query goes on, and a reader that has gone away is noticed by the next batch at the latest.
//!
//! What a value looks like is decided in `value.rs` and `instant.rs`, once for all formats:
//!
//! | value | csv, tsv | json, ndjson | table, line, markdown, html |
//! |---|---|---|---|
//! | NULL | empty, or [`OutputOptions::null`] | `null` | `NULL` (dim where there is colour), or the same option |
//! | text | as it is | JSON string | control characters, line feeds and tabs are shown |
//! | instant | `2026-11-21T00:55:04.123456Z` | the same, in quotes | `2026-11-21 00:55:04.123456Z` |
//! | duration | `PT93784.500S` | the same, in quotes | `1 day 02:03:04.500` |
//! | bytes | hex digits | hex digits in quotes | hex digits |
//! | list, map, struct | `[a, b]`, `{k: v}` | `["a","b"]`, `{"k":"v"}` | `[a, b]`, `{k: v}` |
//! | NaN, infinity | `NaN`, `inf`, `-inf` | `null` | `NaN`, `inf`, `-inf` |
//!
//! **Log text is never sent to a terminal as it is.** Where the target is a terminal, every text format goes through
//! [`sanitise()`]; tables, lines, Markdown and HTML always do. To a pipe or a file csv, tsv, json, ndjson, Parquet and Arrow carry the
//! text unchanged. Colour is ours alone and is added afterwards.
//!
//! Nothing here decides: whether there is a terminal, how wide it is, whether to colour and which format is the default
//! are the caller's to know ([`OutputOptions`]). The line under a result (`N rows (M shown)`) is the caller's too, from [`Written`].

mod chart;
mod columnar;
mod delimited;
mod file;
pub mod html;
mod instant;
mod json;
mod layout;
mod markdown;
pub mod people;
mod plot;
mod progress;
mod record;
mod sanitise;
mod screen;
mod sink;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashSet;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use jiff::tz::TimeZone;

pub use chart::{Chart, ChartError, ChartKind, ChartSpec, Series, number};
pub(crate) use file::sync_folder;
pub use file::{write_file, write_whole};
pub use progress::ProgressLine;
pub use sanitise::{for_terminal, sanitise, sanitise_cell};
pub use screen::{Pager, PagerWhen, write_screen};
pub use terminal::terminal_width;

pub(crate) use layout::text_width;

use columnar::Container;
use instant::Stamp;
use sink::{Sink, TextSink};
use value::{Column, JsonEscape, Spelling};

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// A framed table for people.
    Table,
    /// RFC 4180, with line feeds.
    Csv,
    /// One line per row, fields between tabs, `\t \n \r \\` escaped.
    Tsv,
    /// One array of objects.
    Json,
    /// One object per line.
    Ndjson,
    /// A table in GitHub's Markdown.
    Markdown,
    /// A page with a table.
    Html,
    /// `column = value`, one per line.
    Line,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC.
    Arrow,
}

impl OutputFormat {
    /// All formats, in the order in which help lists them.
    pub const ALL: [Self; 10] = [
        Self::Table,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::Ndjson,
        Self::Markdown,
        Self::Html,
        Self::Line,
        Self::Parquet,
        Self::Arrow,
    ];

    /// The name that `--format` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Line => "line",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// The format that a file name asks for, if it says.
    pub fn from_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" => Self::Html,
            "txt" => Self::Table,
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            _ => return None,
        })
    }

    /// Whether the format is not text: never for a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for OutputFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "jsonl" => return Ok(Self::Ndjson),
            "md" => return Ok(Self::Markdown),
            _ => {}
        }
        let found = Self::ALL.into_iter().find(|format| format.name() == lower);
        found.ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

/// A name that no output format has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown output format `{name}`: there are table, csv, tsv, json, ndjson, markdown, html, line, parquet and arrow")]
pub struct UnknownFormat {
    /// What was asked for.
    pub name: String,
}

/// Where the bytes end up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// Before somebody's eyes, also through a pager.
    Terminal,
    /// In another program.
    #[default]
    Pipe,
    /// In a file.
    File,
}

/// Whether our own colour escapes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// Names bold, NULL dim.
    Always,
    /// Plain text.
    #[default]
    Never,
}

/// Whether column names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// Above the rows, or above each record.
    #[default]
    Show,
    /// Rows only. Markdown, JSON and `line` have no form without names, and keep them.
    Hide,
}

/// How many rows a table on a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxRows {
    /// At most this many; the others are counted.
    Rows(u64),
    /// All.
    Inf,
}

impl Default for MaxRows {
    fn default() -> Self {
        Self::Rows(40)
    }
}

impl FromStr for MaxRows {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "inf" | "all" => Ok(Self::Inf),
            number => number.parse().map(Self::Rows),
        }
    }
}

/// What is done about text that a spreadsheet would run as a formula. For csv and tsv.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CsvSafety {
    /// Nothing: the next program gets what was logged.
    #[default]
    Raw,
    /// A `'` in front of text that begins with `=`, `+`, `-`, `@`, a tab or a line break. Numbers are not touched.
    FormulaSafe,
}

/// When a table gives way to one value per line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expanded {
    /// Never: cells are cut, and at last the table is wider than the screen.
    Off,
    /// Always.
    On,
    /// Where the columns would be too narrow to be read, or the only row would be cut.
    #[default]
    Auto,
}

/// The characters that frames are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// `│ ─ …`
    #[default]
    Unicode,
    /// `| - ~`
    Ascii,
}

impl Charset {
    /// What a terminal can show, from `TERM` and from the locale: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is
    /// set and not empty.
    pub fn of(term: Option<&str>, locale: Option<&str>) -> Self {
        let folded = locale.unwrap_or_default().to_ascii_lowercase();
        match term {
            Some("dumb") => Self::Ascii,
            _ if folded.contains("utf-8") || folded.contains("utf8") => Self::Unicode,
            _ => Self::Ascii,
        }
    }

    /// The mark of a cut.
    fn mark(self) -> char {
        match self {
            Self::Unicode => '…',
            Self::Ascii => '~',
        }
    }
}

/// When the rows of a result come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrival {
    /// One after the other.
    #[default]
    Now,
    /// When their time comes: what is there is shown at once.
    Live,
}

/// What was decided about the output of a result.
#[derive(Debug, Clone)]
pub struct OutputOptions {
    /// The form.
    pub format: OutputFormat,
    /// The width to fit a table into by cutting cells, or `None` to cut nothing.
    pub width: Option<u16>,
    /// Whether colour escapes are written (tables and `line` only).
    pub color: Color,
    /// Where the bytes end up. For a terminal all text is sanitised, and [`Self::max_rows`] holds.
    pub target: Target,
    /// The text for NULL, where the default of the format is not wanted. JSON has `null` in any case.
    pub null: Option<String>,
    /// For a table on a terminal. A table elsewhere has all rows.
    pub max_rows: MaxRows,
    /// Whether names are written.
    pub header: Header,
    /// For csv and tsv.
    pub csv: CsvSafety,
    /// For tables.
    pub expanded: Expanded,
    /// For frames and the mark of a cut.
    pub charset: Charset,
    /// The zone in which instants are shown in all text formats, or `None` for UTC. They name it: `Z` or `+01:00`. A
    /// column whose type has a zone of its own (`AT TIME ZONE`) keeps that.
    pub zone: Option<TimeZone>,
    /// In place of a table: a drawing of the result.
    pub chart: Option<ChartSpec>,
    /// For results on a terminal.
    pub pager: Option<Pager>,
    /// For tables.
    pub arrival: Arrival,
}

impl OutputOptions {
    /// The defaults of a format: to a pipe, no colour, nothing cut, UTC.
    pub fn new(format: OutputFormat) -> Self {
        Self {
            format,
            width: None,
            color: Color::default(),
            target: Target::default(),
            null: None,
            max_rows: MaxRows::default(),
            header: Header::default(),
            csv: CsvSafety::default(),
            expanded: Expanded::default(),
            charset: Charset::default(),
            zone: None,
            chart: None,
            pager: None,
            arrival: Arrival::default(),
        }
    }
}

/// The options for rows that come when their time comes: all of them, where they can be seen at once.
pub fn live(options: OutputOptions) -> OutputOptions {
    OutputOptions { arrival: Arrival::Live, max_rows: MaxRows::Inf, pager: None, chart: None, ..options }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows of the result.
    pub rows: u64,
    /// Rows that were written: fewer than [`Self::rows`] where a table stopped at [`OutputOptions::max_rows`].
    pub shown: u64,
}

/// Why a result was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The reader wanted no more (`| head`, a pager that was left): not a failure of ours.
    #[error("the reader of the output went away")]
    ClosedPipe,
    /// A disk is full, a device is gone, a file may not be written.
    #[error("cannot write to `{target}`")]
    Write {
        /// The file, or `standard output`.
        target: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The query ended in an error while its result was read.
    #[error(transparent)]
    Query(#[from] DataFusionError),
    /// A value or a type cannot be written in this format.
    #[error("cannot encode the result")]
    Encode {
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
    /// The Parquet writer gave up.
    #[error("cannot encode the result as Parquet")]
    Parquet {
        /// What it said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A format that needs columns got a result that has none.
    #[error("a result without columns cannot be written as {format}")]
    NoColumns {
        /// The format.
        format: OutputFormat,
    },
    /// The result has nothing for the chart that was asked for.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// Parquet or Arrow was to be printed on a screen.
    #[error("{format} is binary and is not written to a terminal")]
    Binary {
        /// The format.
        format: OutputFormat,
    },
    /// A file was written and could not be read back, so it was not published.
    #[error("`{path}` was not written: its copy could not be read back: {reason}")]
    Unreadable {
        /// The file that was asked for.
        path: String,
        /// What is wrong with the copy.
        reason: String,
    },
}

impl OutputError {
    /// What to do about it, if that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Binary { format } => Some(format!("name a file with `-o result.{format}`, or pipe it into a program")),
            Self::Chart(error) => error.hint(),
            Self::NoColumns { .. } => Some("select at least one column".to_owned()),
            Self::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space or name a file on another disk; the file that was there is unchanged".to_owned())
            }
            _ => None,
        }
    }
}

/// Writes a result to an open sink, usually standard output.
///
/// Each batch is flushed. [`OutputError::ClosedPipe`] means that the reader went away: the stream is dropped at
/// once, and nothing is wrong. Writing blocks, so the future belongs on the thread that waits for the query.
pub async fn write_stream(
    stream: SendableRecordBatchStream,
    sink: &mut (dyn Write + Send),
    options: &OutputOptions,
) -> Result<Written, OutputError> {
    write_named(stream, sink, options, "standard output").await
}

/// [`write_stream`] with the name that errors give the sink.
async fn write_named(
    stream: SendableRecordBatchStream,
    sink: &mut (dyn Write + Send),
    options: &OutputOptions,
    name: &str,
) -> Result<Written, OutputError> {
    let mut sink = Sink::new(sink, name);
    if options.format.is_binary() && options.target == Target::Terminal {
        return Err(OutputError::Binary { format: options.format });
    }
    if let (OutputFormat::Table, Some(spec)) = (options.format, &options.chart) {
        return plot::write(stream, sink, spec, options).await;
    }
    match (options.format, options.target) {
        (OutputFormat::Parquet, _) => columnar::write_parquet(stream, &mut sink).await,
        (OutputFormat::Arrow, Target::File) => columnar::write_arrow(stream, &mut sink, Container::File).await,
        (OutputFormat::Arrow, _) => columnar::write_arrow(stream, &mut sink, Container::Stream).await,
        _ => write_text(stream, sink, options).await,
    }
}

/// A format that is text: rows in, characters out.
trait TextWriter: Send {
    /// What comes before the rows. Called when the first batch is there, so that a query that fails writes nothing.
    fn start(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError>;

    /// The rows of one batch.
    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError>;

    /// What comes after the rows.
    fn finish(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError>;

    /// How many rows were written, if not all.
    fn shown(&self) -> Option<u64> {
        None
    }

    /// Whether further rows need only be counted.
    fn is_done(&self) -> bool {
        false
    }
}

async fn write_text(
    mut stream: SendableRecordBatchStream,
    sink: Sink<'_>,
    options: &OutputOptions,
) -> Result<Written, OutputError> {
    let mut out = TextSink::new(sink);
    let mut writer = text_writer(&stream.schema(), options, html::Layout::Page);
    let spelling = spelling(options);
    let mut rows = 0;
    let mut batches = 0_u64;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batches == 0 {
            writer.start(&mut out)?;
        }
        batches += 1;
        rows += batch.num_rows() as u64;
        if !writer.is_done() {
            render(&batch, &spelling, writer.as_mut(), &mut out)?;
            out.flush()?;
        }
    }
    if batches == 0 {
        writer.start(&mut out)?;
    }
    writer.finish(&mut out)?;
    out.flush()?;
    Ok(Written { rows, shown: writer.shown().unwrap_or(rows) })
}

/// The text of a result that is in memory, in a format that is text; HTML as a part of a page.
pub fn text_of(schema: &Schema, batches: &[RecordBatch], options: &OutputOptions) -> Result<String, OutputError> {
    let mut text = vec![];
    {
        let mut out = TextSink::new(Sink::new(&mut text, "memory"));
        let mut writer = text_writer(schema, options, html::Layout::Part);
        let spelling = spelling(options);
        writer.start(&mut out)?;
        for batch in batches {
            render(batch, &spelling, writer.as_mut(), &mut out)?;
        }
        writer.finish(&mut out)?;
        out.flush()?;
    }
    Ok(String::from_utf8(text).expect("writers write text"))
}

fn render(
    batch: &RecordBatch,
    spelling: &Spelling,
    writer: &mut dyn TextWriter,
    out: &mut TextSink<'_>,
) -> Result<(), OutputError> {
    let columns = value::columns(batch.columns(), spelling).map_err(|source| OutputError::Encode { source })?;
    writer.batch(&columns, batch.num_rows(), out)
}

fn text_writer(schema: &Schema, options: &OutputOptions, layout: html::Layout) -> Box<dyn TextWriter> {
    let are_numbers = || schema.fields().iter().map(|field| value::is_number(field.data_type())).collect();
    let names = || schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let json = |layout| Box::new(json::Json::new(layout, &unique_names(schema), json_escape(options.target)));
    match options.format {
        OutputFormat::Csv => Box::new(delimited::Delimited::new(delimited::Dialect::Csv, names(), options)),
        OutputFormat::Tsv => Box::new(delimited::Delimited::new(delimited::Dialect::Tsv, names(), options)),
        OutputFormat::Json => json(json::Layout::Array),
        OutputFormat::Ndjson => json(json::Layout::Lines),
        OutputFormat::Markdown => Box::new(markdown::Markdown::new(names(), are_numbers(), options.null.as_deref())),
        OutputFormat::Html => Box::new(html::Html::new(layout, names(), are_numbers(), options)),
        OutputFormat::Line => Box::new(record::Records::new(record::Look::Line, &names(), usize::MAX, options)),
        // The binary formats have gone another way.
        OutputFormat::Table | OutputFormat::Parquet | OutputFormat::Arrow => {
            let heading = |field: &std::sync::Arc<arrow::datatypes::Field>| table::Heading {
                name: field.name().clone(),
                is_number: value::is_number(field.data_type()),
                is_rigid: value::is_rigid(field.data_type()),
            };
            Box::new(table::Table::new(schema.fields().iter().map(heading).collect(), options))
        }
    }
}

fn spelling(options: &OutputOptions) -> Spelling {
    let stamp = match options.format {
        OutputFormat::Table | OutputFormat::Line | OutputFormat::Markdown | OutputFormat::Html => Stamp::Table,
        _ => Stamp::Rfc3339,
    };
    Spelling { stamp, zone: options.zone.clone(), inner_null: "NULL", json: json_escape(options.target) }
}

fn json_escape(target: Target) -> JsonEscape {
    match target {
        Target::Terminal => JsonEscape::Terminal,
        Target::Pipe | Target::File => JsonEscape::Needed,
    }
}

/// The names of the columns, each once: the second `a` is `a_2`, or the next number that is free.
fn unique_names(schema: &Schema) -> Vec<String> {
    let given: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut taken = HashSet::new();
    let unique = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        let mut name = field.name().clone();
        let mut number = 2_u64;
        while !taken.insert(name.clone()) {
            name = loop {
                let candidate = format!("{}_{number}", field.name());
                number += 1;
                if !given.contains(candidate.as_str()) {
                    break candidate;
                }
            };
        }
        name
    };
    schema.fields().iter().map(unique).collect()
}
