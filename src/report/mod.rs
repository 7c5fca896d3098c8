//! Reports: the results of saved queries on one page.
//!
//! ```text
//!   SavedQuery ──run──► Section: rows, what was read, or what went wrong
//!                          │
//!   Report { sections } ───┼──► html       one file: nothing from elsewhere, read without a script; charts by svg.rs
//!                          ├──► markdown
//!                          └──► json
//! ```
//!
//! Cells are rendered by the writers of [`crate::output`], so a value looks the same everywhere, and is as harmless. A query that fails is
//! a section that says so; the others are there all the same.

mod svg;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use futures::StreamExt as _;
use jiff::Timestamp;

use crate::output::html::{Scripts, page_end, page_start, push_text};
use crate::output::people::{bytes, count};
use crate::output::{Chart, OutputError, OutputFormat, OutputOptions, sanitise_cell, text_of};
use crate::query::{Alert, AlertOn, Clock, SavedQuery, SavedQueryError};
use crate::session::{QueryError, Session, TimeWindow};
use crate::table::{FileReport, FileStatus, Summary};

/// Rows of one query that a page has: what is beyond them is counted.
const MOST_ROWS: usize = 1000;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// A page for a browser.
    Html,
    /// Markdown.
    Markdown,
    /// One JSON object.
    Json,
}

impl ReportFormat {
    /// The form of a report in an output format, where that can hold more than one result.
    pub fn of(format: OutputFormat) -> Option<Self> {
        match format {
            OutputFormat::Html => Some(Self::Html),
            OutputFormat::Markdown => Some(Self::Markdown),
            OutputFormat::Json => Some(Self::Json),
            _ => None,
        }
    }
}

/// The result of one query.
#[derive(Debug)]
pub struct Section {
    /// The name of the query.
    pub name: String,
    description: String,
    needs: Vec<String>,
    sql: String,
    /// Parameters and their values.
    values: Vec<(String, String)>,
    /// Its rows, or what went wrong.
    pub rows: Result<Rows, QueryError>,
    chart: Option<Chart>,
    /// When its result is an alert.
    alert: Option<Alert>,
    /// What was read for it.
    pub files: Vec<FileReport>,
    /// The sums of that.
    pub summary: Summary,
    took: Duration,
}

/// Rows that are in memory.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// How many there are, with those that are not in memory.
    pub total: u64,
}

impl Rows {
    /// The number in a column of the first row.
    fn first_number(&self, column: &str) -> Option<f64> {
        let batch = self.batches.iter().find(|batch| batch.num_rows() > 0)?;
        let numbers = arrow::compute::cast(&batch.column_by_name(column)?.slice(0, 1), &DataType::Float64).ok()?;
        let numbers = numbers.as_primitive_opt::<Float64Type>()?;
        numbers.is_valid(0).then(|| numbers.value(0))
    }

    fn kept(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }
}

/// Runs a query for a report. Wrong parameters and wrong files of queries are errors; a query that fails is a section.
pub async fn run(
    session: &Session,
    query: &SavedQuery,
    given: &[(String, String)],
    clock: &Clock,
    options: &OutputOptions,
) -> Result<Section, SavedQueryError> {
    let statement = query.statement()?;
    let values = query.bind(given, clock)?;
    let began = Instant::now();
    let rows = collect(session, statement, values).await;
    session.report().settle().await;
    let chart = match (&rows, &query.chart) {
        (Ok(rows), Some(spec)) => Chart::of(spec, &rows.schema, &rows.batches, options).unwrap_or_default(),
        _ => None,
    };
    Ok(Section {
        name: query.name.clone(),
        description: query.description.clone(),
        needs: query.needs.clone(),
        sql: query.sql().to_owned(),
        values: query.params.iter().filter_map(|param| Some((param.name.clone(), param.text(given)?.to_owned()))).collect(),
        rows,
        chart,
        alert: query.alert.clone(),
        files: session.report().current(),
        summary: session.report().summary(),
        took: began.elapsed(),
    })
}

async fn collect(
    session: &Session,
    statement: datafusion::sql::parser::Statement,
    values: Vec<(String, datafusion::common::ScalarValue)>,
) -> Result<Rows, QueryError> {
    let mut answer = session.run_bound(statement, values).await?;
    let mut rows = Rows { schema: answer.rows.schema(), batches: vec![], total: 0 };
    let mut room = MOST_ROWS;
    while let Some(batch) = answer.rows.next().await {
        let batch = batch.map_err(|error| session.explain(&error))?;
        rows.total += batch.num_rows() as u64;
        let kept = batch.num_rows().min(room);
        room -= kept;
        if kept > 0 {
            rows.batches.push(batch.slice(0, kept));
        }
    }
    Ok(rows)
}

/// All results, and what they are of.
#[derive(Debug)]
pub struct Report {
    /// What stands above it.
    pub title: String,
    /// When it was made.
    pub made: Timestamp,
    /// The time that it is about.
    pub window: TimeWindow,
    /// Its parts.
    pub sections: Vec<Section>,
}

impl Report {
    /// The report as text of this form.
    pub fn render(&self, format: ReportFormat, options: &OutputOptions) -> Result<String, OutputError> {
        match format {
            ReportFormat::Html => self.html(&OutputOptions { format: OutputFormat::Html, ..options.clone() }),
            ReportFormat::Markdown => self.markdown(&OutputOptions { format: OutputFormat::Markdown, ..options.clone() }),
            ReportFormat::Json => self.json(&OutputOptions { format: OutputFormat::Json, ..options.clone() }),
        }
    }

    /// `since 2026-11-20 00:00, until now`
    fn range(&self) -> String {
        let moment = |us: Option<i64>| us.and_then(|us| Timestamp::from_microsecond(us).ok());
        match (moment(self.window.since), moment(self.window.until)) {
            (None, None) => "all times".to_owned(),
            (Some(since), None) => format!("since {since:.0}"),
            (None, Some(until)) => format!("until {until:.0}"),
            (Some(since), Some(until)) => format!("from {since:.0} until {until:.0}"),
        }
    }

    /// Every file that was read for any of the queries, once.
    fn files(&self) -> Vec<&FileReport> {
        let mut files: Vec<&FileReport> = vec![];
        let read = |file: &&FileReport| file.status != FileStatus::OtherTable || file.counts.lines > 0;
        for file in self.sections.iter().flat_map(|section| &section.files).filter(read) {
            match files.iter_mut().find(|other| other.path == file.path) {
                // A table that reads all of a file says more of it than one that stops early.
                Some(other) if other.counts.lines < file.counts.lines => *other = file,
                Some(_) => {}
                None => files.push(file),
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// `12 files, 1.2 MB, 4,096 lines, 3 of them not parsed`
    fn summary(&self) -> String {
        let files = self.files();
        let sum = |of: fn(&FileReport) -> u64| files.iter().map(|file| of(file)).sum::<u64>();
        let noun = if files.len() == 1 { "file" } else { "files" };
        let unparsed = match sum(|file| file.counts.unparsed) {
            0 => "all of them parsed".to_owned(),
            lines => format!("{} of them not parsed", count(lines)),
        };
        format!(
            "{} {noun}, {}, {} lines, {unparsed}",
            count(files.len() as u64),
            bytes(sum(|file| file.bytes)),
            count(sum(|file| file.counts.lines))
        )
    }

    /// The files as rows.
    fn file_rows(&self) -> Result<RecordBatch, OutputError> {
        let files = self.files();
        let numbers = |of: fn(&FileReport) -> u64| Arc::new(files.iter().map(|file| Some(of(file))).collect::<UInt64Array>());
        let path = |file: &&FileReport| Some(PathBuf::from(&file.path).display().to_string());
        let columns: [(&str, ArrayRef); 6] = [
            ("file", Arc::new(files.iter().map(path).collect::<StringArray>())),
            ("format", Arc::new(files.iter().map(|file| file.format.clone()).collect::<StringArray>())),
            ("status", Arc::new(files.iter().map(|file| Some(file.status.as_str())).collect::<StringArray>())),
            ("bytes", numbers(|file| file.bytes)),
            ("lines", numbers(|file| file.counts.lines)),
            ("unparsed", numbers(|file| file.counts.unparsed)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
            .map_err(|source| OutputError::Encode { source })
    }

    fn html(&self, options: &OutputOptions) -> Result<String, OutputError> {
        let mut out = page_start(&self.title, Scripts::Sort);
        out.push_str("<header>\n<h1>");
        push_text(&mut out, &self.title);
        let _ = write!(out, "</h1>\n<p class=\"dim\">{} · {} · made {:.0}</p>\n", self.range(), self.summary(), self.made);
        if self.sections.len() > 1 {
            out.push_str("<nav aria-label=\"Contents\"><ul>\n");
            for section in &self.sections {
                // A name has only letters, figures, `_` and `-`.
                let _ = writeln!(out, "<li><a href=\"#{0}\">{0}</a></li>", section.name);
            }
            out.push_str("</ul></nav>\n");
        }
        out.push_str("</header>\n<main>\n");
        for section in &self.sections {
            section.html(&mut out, options)?;
        }
        out.push_str("</main>\n<footer>\n<section>\n<h2>Files</h2>\n");
        let files = self.file_rows()?;
        out.push_str(&text_of(&files.schema(), &[files], options)?);
        let _ = write!(
            out,
            "<p>Times are in {}. Made by logsql {}.</p>\n</section>\n</footer>\n",
            zone(options),
            env!("CARGO_PKG_VERSION")
        );
        out.push_str(&page_end(Scripts::Sort));
        Ok(out)
    }

    fn markdown(&self, options: &OutputOptions) -> Result<String, OutputError> {
        let title = sanitise_cell(&self.title);
        let mut out = format!("# {title}\n\n{} · {} · made {:.0}\n", self.range(), self.summary(), self.made);
        for section in &self.sections {
            section.markdown(&mut out, options)?;
        }
        let files = self.file_rows()?;
        let _ = write!(out, "\n## Files\n\n{}", text_of(&files.schema(), &[files], options)?);
        Ok(out)
    }

    fn json(&self, options: &OutputOptions) -> Result<String, OutputError> {
        let moment = |us: Option<i64>| {
            let moment = us.and_then(|us| Timestamp::from_microsecond(us).ok());
            moment.map_or_else(|| "null".to_owned(), |moment| text(&moment.to_string()))
        };
        let mut out = format!(
            "{{\"title\":{},\"made\":{},\"since\":{},\"until\":{},\n\"queries\":[",
            text(&self.title),
            text(&self.made.to_string()),
            moment(self.window.since),
            moment(self.window.until)
        );
        for (at, section) in self.sections.iter().enumerate() {
            out.push_str(if at > 0 { ",\n" } else { "\n" });
            section.json(&mut out, options)?;
        }
        let files = self.file_rows()?;
        let _ = write!(out, "\n],\n\"files\":{}}}\n", text_of(&files.schema(), &[files], options)?.trim_end());
        Ok(out)
    }
}

/// A JSON string.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn zone(options: &OutputOptions) -> String {
    let name = options.zone.as_ref().and_then(|zone| zone.iana_name().map(str::to_owned));
    name.unwrap_or_else(|| "UTC".to_owned())
}

impl Section {
    /// Whether the alert of its query comes true. A column that is not there or has no number is no alert.
    pub fn is_alert(&self) -> bool {
        let (Some(alert), Ok(rows)) = (&self.alert, &self.rows) else { return false };
        let value = match &alert.on {
            AlertOn::Rows => Some(rows.total as f64),
            AlertOn::Column(name) => rows.first_number(name),
        };
        value.is_some_and(|value| alert.comparison.holds(value, alert.bound))
    }

    /// `12 rows · 3 files, 1.2 MB in 0.12 s · top = 20`
    fn remark(&self, rows: &Rows) -> String {
        let noun = if rows.total == 1 { "row" } else { "rows" };
        let shown = if rows.kept() < rows.total { format!(" ({} shown)", count(rows.kept())) } else { String::new() };
        let files = if self.summary.files == 1 { "file" } else { "files" };
        let mut remark = format!(
            "{} {noun}{shown} · {} {files}, {} in {:.2} s",
            count(rows.total),
            count(self.summary.files),
            bytes(self.summary.bytes_read),
            self.took.as_secs_f64()
        );
        for (name, value) in &self.values {
            let _ = write!(remark, " · {name} = {}", sanitise_cell(value));
        }
        remark
    }

    /// Why there are no rows, if there are none.
    fn emptiness(&self, rows: &Rows) -> Option<String> {
        if rows.total > 0 {
            return None;
        }
        let needs = self.needs.join(", ");
        Some(match self.summary.files {
            0 => format!("No file feeds {needs}."),
            _ => "No rows: nothing of that kind happened in this time.".to_owned(),
        })
    }

    fn html(&self, out: &mut String, options: &OutputOptions) -> Result<(), OutputError> {
        let _ = write!(out, "<section id=\"{}\">\n<h2>", self.name);
        push_text(out, &self.description);
        out.push_str("</h2>\n");
        match &self.rows {
            Err(error) => {
                out.push_str("<p class=\"alarm\">");
                push_text(out, &error.message);
                if let Some(hint) = &error.hint {
                    out.push_str("<br>");
                    push_text(out, hint);
                }
                out.push_str("</p>\n");
            }
            Ok(rows) => {
                // What the numbers mean, the query says.
                let _ = write!(out, "<p class=\"dim\"><a href=\"#{}-sql\">", self.name);
                push_text(out, &self.remark(rows));
                out.push_str("</a></p>\n");
                if let Some(chart) = &self.chart {
                    svg::draw(out, chart, &self.description);
                }
                match self.emptiness(rows) {
                    Some(why) => {
                        let _ = writeln!(out, "<p>{why}</p>");
                    }
                    None => out.push_str(&text_of(&rows.schema, &rows.batches, options)?),
                }
            }
        }
        let _ = write!(out, "<details><summary>SQL</summary><pre id=\"{}-sql\">", self.name);
        for line in self.sql.lines() {
            push_text(out, line);
            out.push('\n');
        }
        out.push_str("</pre></details>\n</section>\n");
        Ok(())
    }

    fn markdown(&self, out: &mut String, options: &OutputOptions) -> Result<(), OutputError> {
        let _ = write!(out, "\n## {}\n\n", sanitise_cell(&self.description));
        match &self.rows {
            Err(error) => {
                let _ = writeln!(out, "**Failed:** {}", sanitise_cell(&error.message));
            }
            Ok(rows) => {
                let _ = write!(out, "{}\n\n", self.remark(rows));
                match self.emptiness(rows) {
                    Some(why) => {
                        let _ = writeln!(out, "{why}");
                    }
                    None => out.push_str(&text_of(&rows.schema, &rows.batches, options)?),
                }
            }
        }
        let sql: Vec<_> = self.sql.lines().map(sanitise_cell).collect();
        // A fence that no line of the SQL can end.
        let fence = "`".repeat(self.sql.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
        let _ = write!(out, "\n{fence}sql\n{}\n{fence}\n", sql.join("\n"));
        Ok(())
    }

    fn json(&self, out: &mut String, options: &OutputOptions) -> Result<(), OutputError> {
        let _ = write!(out, "{{\"name\":{},\"description\":{},", text(&self.name), text(&self.description));
        match &self.rows {
            Err(error) => {
                let _ = write!(out, "\"error\":{}}}", text(&error.message));
            }
            Ok(rows) => {
                let cells = text_of(&rows.schema, &rows.batches, options)?;
                let _ = write!(out, "\"row_count\":{},\"rows\":{}}}", rows.total, cells.trim_end());
            }
        }
        Ok(())
    }
}
