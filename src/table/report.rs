//! The scan report: what each query read of each file, and what it did not.
//!
//! ```text
//!   LogTable::scan ── register ──► FileTally (one per scan and file) ◄── merge ── streams of the file's pieces
//!                                       │
//!            current() ◄────────────────┤            of the query that runs or has just run: for the lines on stderr
//!            SELECT * FROM scan_report ◄┘            of the latest query that scanned files, before this one
//! ```
//!
//! For every file of every scan: records + continuations + blank + unparsed + ruled_out = lines. A stream that is
//! dropped early has counted what it decoded until then, so the sum holds for stopped files too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use crate::kernel::decode::{ScanCounts, UnparsedSample};
use crate::source::{Change, Issue, Severity, SourceError};

/// Name of the table.
pub const SCAN_REPORT: &str = "scan_report";

/// How many unparsed lines of a file are kept as samples.
const SAMPLES: usize = 5;

/// How it went with one file in one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStatus {
    /// All of it was read.
    Read,
    /// A part was read; the query needed no more.
    StoppedEarly,
    /// The query needed nothing of it (or was only explained).
    NotRead,
    /// Its format feeds other tables.
    OtherTable,
    /// All that it holds has been collected: its rows come from the store.
    Stored,
    /// No format takes it: its lines are in `unparsed` only.
    NoFormat,
    /// All of it was read but pieces whose rows cannot pass the filter, by their times.
    PartsSkipped,
    /// Nothing of it was read: what was asked for is known from an earlier scan.
    FromIndex,
    /// It has no bytes.
    Empty,
    /// It changed while it was read; what was read before that was kept.
    Changed,
    /// It cannot be read, or not to its end.
    Failed,
}

impl FileStatus {
    /// The status as the column `status` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::StoppedEarly => "stopped early",
            Self::NotRead => "not read",
            Self::OtherTable => "feeds another table",
            Self::Stored => "in the store",
            Self::NoFormat => "no format takes it",
            Self::PartsSkipped => "parts skipped",
            Self::FromIndex => "known from the index",
            Self::Empty => "empty",
            Self::Changed => "changed",
            Self::Failed => "failed",
        }
    }
}

/// What is to be said about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub severity: Severity,
    /// What happened; without the path.
    pub text: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

/// How many lines there were, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounts {
    /// Lines.
    pub lines: u64,
    /// Records.
    pub records: u64,
    /// Lines that continue a record.
    pub continuations: u64,
    /// Blank lines and comments.
    pub blank: u64,
    /// Lines that no pattern takes.
    pub unparsed: u64,
    /// Lines that the filter excluded before they were split.
    pub ruled_out: u64,
    /// Rows handed out.
    pub rows: u64,
    /// Fields that were not of their type.
    pub bad_values: u64,
}

impl LineCounts {
    /// Does every line have its place? Holds for every file of every scan.
    pub fn balanced(&self) -> bool {
        self.records + self.continuations + self.blank + self.unparsed + self.ruled_out == self.lines
    }

    /// Is none of the parts more than this?
    pub(super) fn is_within(&self, most: u64) -> bool {
        let parts = [self.records, self.continuations, self.blank, self.unparsed, self.ruled_out, self.bad_values];
        parts.iter().all(|part| *part <= most)
    }

    /// What a scan counted.
    pub(super) fn of(counts: &ScanCounts) -> Self {
        let ScanCounts { lines, records, continuations, blank, unparsed, ruled_out, rows, bad_values, .. } = *counts;
        Self { lines, records, continuations, blank, unparsed, ruled_out, rows, bad_values }
    }

    pub(super) fn add(&mut self, counts: &Self) {
        self.lines += counts.lines;
        self.records += counts.records;
        self.continuations += counts.continuations;
        self.blank += counts.blank;
        self.unparsed += counts.unparsed;
        self.ruled_out += counts.ruled_out;
        self.rows += counts.rows;
        self.bad_values += counts.bad_values;
    }
}

/// One file in one scan.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// The table it was scanned for.
    pub table: String,
    /// Its format, where one was found or named.
    pub format: Option<String>,
    /// How it went.
    pub status: FileStatus,
    /// Its size; of a compressed file, compressed; 0 for a stream.
    pub bytes: u64,
    /// Bytes taken from the device.
    pub bytes_read: u64,
    /// Bytes of pieces whose rows cannot pass the filter, by their times.
    pub bytes_skipped: u64,
    /// Its lines.
    pub counts: LineCounts,
    /// What was wrong with it.
    pub remarks: Vec<Remark>,
    /// The first unparsed lines.
    pub samples: Vec<UnparsedLine>,
}

/// An unparsed line, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnparsedLine {
    /// Number of the line, from 1, where all lines before it were read.
    pub line: Option<u64>,
    /// Offset of its first byte in the file, after decompression.
    pub offset: u64,
    /// Why no format takes it.
    pub reason: &'static str,
    /// Its first bytes.
    pub raw: Vec<u8>,
}

/// The sums of a report. A file that was scanned twice (a self join, two tables) counts once, with its larger numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files of which anything was read.
    pub files: u64,
    /// Bytes taken from devices.
    pub bytes_read: u64,
    /// Bytes of pieces whose rows cannot pass the filter, by their times.
    pub bytes_skipped: u64,
    /// Lines read.
    pub lines: u64,
    /// Records found.
    pub records: u64,
    /// Lines that no pattern took.
    pub unparsed: u64,
    /// Fields that were not of their type.
    pub bad_values: u64,
    /// Files that no format takes.
    pub no_format: u64,
    /// Files that changed while they were read.
    pub changed: u64,
    /// Files that could not be read, or not to their end.
    pub failed: u64,
    /// Files with another loss of log text, such as a damaged gzip member.
    pub lossy: u64,
}

/// How far the scans of a query are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are read.
    pub files: u64,
    /// Those that are done with.
    pub files_done: u64,
    /// Their bytes; 0 of a stream.
    pub bytes: u64,
    /// Bytes that were read or skipped.
    pub bytes_done: u64,
    /// Rows that the scans gave.
    pub rows: u64,
}

/// What was read and what was not, by query.
#[derive(Debug, Default)]
pub struct ScanReport {
    state: Mutex<State>,
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    current: Vec<Arc<FileTally>>,
    latest: Vec<FileReport>,
}

impl ScanReport {
    /// A new query begins: files are looked at anew, and what was reported so far is what `scan_report` shows.
    pub fn begin_query(&self) {
        let mut state = self.state();
        if !state.current.is_empty() {
            let done = std::mem::take(&mut state.current);
            state.latest = done.iter().map(|tally| tally.report()).collect();
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Which query it is: file lists of an earlier one are stale.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The files of the query that runs or has just run.
    pub fn current(&self) -> Vec<FileReport> {
        self.state().current.iter().map(|tally| tally.report()).collect()
    }

    /// How far the query is that runs.
    pub fn progress(&self) -> Progress {
        let mut all = Progress::default();
        for tally in &self.state().current {
            let state = tally.state();
            if state.fixed.is_none() {
                all.files += 1;
                all.files_done += u64::from(state.pieces > 0 && state.finished >= state.pieces);
                all.bytes += tally.bytes;
                all.bytes_done += tally.live.load(Ordering::Relaxed).min(tally.bytes);
                all.rows += tally.live_rows.load(Ordering::Relaxed);
            }
        }
        all
    }

    /// The files of the latest query before this one that scanned any.
    pub fn latest(&self) -> Vec<FileReport> {
        self.state().latest.clone()
    }

    /// Waits until the streams of a query that was stopped have added their counts: they are dropped by other tasks.
    pub async fn settle(&self) {
        for _ in 0..250 {
            if self.state().current.iter().all(|tally| tally.is_idle()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The sums over [`Self::current`].
    pub fn summary(&self) -> Summary {
        summarise(&self.current())
    }

    pub(super) fn register(&self, tally: FileTally) -> Arc<FileTally> {
        let tally = Arc::new(tally);
        self.state().current.push(Arc::clone(&tally));
        tally
    }

    /// Files of which none of these scans are left in the plan, though what they hold is known.
    pub(super) fn settle_unscanned(&self, scanned: &[Arc<FileTally>]) {
        let scanned: HashSet<*const FileTally> = scanned.iter().map(Arc::as_ptr).collect();
        self.state()
            .current
            .iter()
            .filter(|tally| !scanned.contains(&Arc::as_ptr(tally)))
            .for_each(|tally| tally.settle_from_index());
    }

    /// Something about a path that never became a file of a scan; said once per query.
    pub(super) fn remark(&self, path: &Path, table: &str, remark: Remark) {
        let mut state = self.state();
        let said = state.current.iter().any(|tally| tally.path == path && tally.state().remarks.contains(&remark));
        if !said {
            let tally = FileTally::new(path.to_owned(), table, None, 0);
            let status = if remark.severity == Severity::Loss { FileStatus::Failed } else { FileStatus::NotRead };
            tally.settle_as(status);
            tally.remark(remark);
            state.current.push(Arc::new(tally));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock: a panic elsewhere, which is reported there; the numbers are still numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summarise(files: &[FileReport]) -> Summary {
    let mut by_path: HashMap<&Path, Summary> = HashMap::new();
    for file in files {
        let is = |status| u64::from(file.status == status);
        let one = Summary {
            files: u64::from(file.bytes_read > 0 || file.counts.lines > 0),
            bytes_read: file.bytes_read,
            bytes_skipped: file.bytes_skipped,
            lines: file.counts.lines,
            records: file.counts.records,
            unparsed: file.counts.unparsed,
            bad_values: file.counts.bad_values,
            no_format: is(FileStatus::NoFormat),
            changed: is(FileStatus::Changed),
            failed: is(FileStatus::Failed),
            lossy: u64::from(
                !matches!(file.status, FileStatus::Failed | FileStatus::Changed)
                    && file.remarks.iter().any(|remark| remark.severity == Severity::Loss),
            ),
        };
        by_path.entry(&file.path).or_default().zip(&one, u64::max);
    }
    let mut sum = Summary::default();
    for one in by_path.values() {
        sum.zip(one, |a, b| a + b);
    }
    sum
}

impl Summary {
    fn zip(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        for (a, b) in [
            (&mut self.files, other.files),
            (&mut self.bytes_read, other.bytes_read),
            (&mut self.bytes_skipped, other.bytes_skipped),
            (&mut self.lines, other.lines),
            (&mut self.records, other.records),
            (&mut self.unparsed, other.unparsed),
            (&mut self.bad_values, other.bad_values),
            (&mut self.no_format, other.no_format),
            (&mut self.changed, other.changed),
            (&mut self.failed, other.failed),
            (&mut self.lossy, other.lossy),
        ] {
            *a = with(*a, b);
        }
    }
}

/// What the streams of one file in one scan add up.
#[derive(Debug)]
pub(super) struct FileTally {
    path: PathBuf,
    table: String,
    format: Option<String>,
    bytes: u64,
    /// Bytes that were read or skipped so far, by pieces that still run too.
    live: AtomicU64,
    /// Rows that were given so far.
    live_rows: AtomicU64,
    state: Mutex<TallyState>,
}

#[derive(Debug, Default)]
struct TallyState {
    /// Set where it is known without reading.
    fixed: Option<FileStatus>,
    pieces: usize,
    started: usize,
    running: usize,
    finished: usize,
    changed: bool,
    failed: bool,
    bytes_read: u64,
    bytes_skipped: u64,
    counts: LineCounts,
    /// Its lines, where they are known without reading them.
    known: Option<LineCounts>,
    remarks: Vec<Remark>,
    /// Samples by the offset of their piece.
    samples: Vec<(u64, UnparsedSample)>,
    /// Lines of each piece that was read to its end, by its offset.
    lines: BTreeMap<u64, u64>,
}

impl TallyState {
    /// The first samples. A line has a number only where all pieces before it were read to their end.
    fn first_samples(&self, all_read: bool) -> Vec<UnparsedLine> {
        let number = |start: u64, sample: &UnparsedSample| {
            let before: u64 = self.lines.range(..start).map(|(_, lines)| lines).sum();
            (start == 0 || all_read).then_some(before + sample.lines_before + 1)
        };
        let mut samples: Vec<UnparsedLine> = self
            .samples
            .iter()
            .map(|(start, sample)| UnparsedLine {
                line: number(*start, sample),
                offset: sample.offset,
                reason: sample.reason,
                raw: sample.raw.clone(),
            })
            .collect();
        samples.sort_by_key(|sample| sample.offset);
        samples.truncate(SAMPLES);
        samples
    }
}

impl FileTally {
    pub(super) fn new(path: PathBuf, table: &str, format: Option<String>, bytes: u64) -> Self {
        Self {
            path,
            table: table.to_owned(),
            format,
            bytes,
            live: AtomicU64::new(0),
            live_rows: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// It will not be read, and this is why.
    pub(super) fn settle_as(&self, status: FileStatus) {
        self.state().fixed = Some(status);
    }

    /// It will be read in so many pieces.
    pub(super) fn expect_pieces(&self, pieces: usize) {
        self.state().pieces = pieces;
    }

    /// So many bytes are no piece of the scan, since none of their rows can pass the filter.
    pub(super) fn skip(&self, bytes: u64) {
        self.advance(bytes);
        self.state().bytes_skipped += bytes;
    }

    /// What its lines are is known.
    pub(super) fn know(&self, counts: LineCounts) {
        self.state().known = Some(counts);
    }

    /// The plan did without a scan of it, since what it would give is known.
    pub(super) fn settle_from_index(&self) {
        let mut state = self.state();
        if let Some(known) = state.known.filter(|_| state.started == 0 && state.fixed.is_none()) {
            state.fixed = Some(FileStatus::FromIndex);
            state.counts = known;
        }
    }

    /// A piece is being read.
    pub(super) fn start_piece(&self) {
        let mut state = self.state();
        state.started += 1;
        state.running += 1;
    }

    /// So many bytes more were read or skipped.
    pub(super) fn advance(&self, bytes: u64) {
        self.live.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many rows more were given.
    pub(super) fn give(&self, rows: usize) {
        self.live_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// A piece is over.
    pub(super) fn end_piece(&self, end: PieceEnd, bytes_read: u64, counts: Option<&ScanCounts>, issues: &[Issue]) {
        let mut state = self.state();
        state.running -= 1;
        match end {
            PieceEnd::Whole => state.finished += 1,
            PieceEnd::Skipped(bytes) => {
                state.finished += 1;
                state.bytes_skipped += bytes;
            }
            PieceEnd::Early => {}
        }
        state.bytes_read += bytes_read;
        if let Some(counts) = counts {
            state.counts.add(&LineCounts::of(counts));
            if end == PieceEnd::Whole {
                state.lines.insert(counts.piece_start, counts.lines);
            }
            state.samples.extend(counts.samples.iter().map(|sample| (counts.piece_start, sample.clone())));
        }
        for issue in issues {
            push_new(&mut state.remarks, Remark { severity: issue.severity(), text: issue.to_string(), hint: None });
        }
    }

    /// It is not the file any more that it was.
    pub(super) fn change(&self, change: &Change) {
        let mut state = self.state();
        state.changed = true;
        let hint = Some("run the query again: the file was rotated or rewritten".to_owned());
        push_new(&mut state.remarks, Remark { severity: Severity::Loss, text: change.to_string(), hint });
    }

    /// It cannot be read (any further).
    pub(super) fn fail(&self, error: &SourceError) {
        let mut state = self.state();
        state.failed = true;
        push_new(&mut state.remarks, remark_of(error));
    }

    pub(super) fn remark(&self, remark: Remark) {
        push_new(&mut self.state().remarks, remark);
    }

    fn is_idle(&self) -> bool {
        self.state().running == 0
    }

    fn report(&self) -> FileReport {
        let state = self.state();
        let status = match state.fixed {
            _ if state.changed => FileStatus::Changed,
            _ if state.failed => FileStatus::Failed,
            Some(status) => status,
            None if state.started == 0 => match state.pieces == 0 && state.bytes_skipped > 0 {
                true => FileStatus::PartsSkipped,
                false => FileStatus::NotRead,
            },
            // A plan that runs several times (the inner side of a recursive query) finishes a piece several times.
            None if state.finished == state.started && state.finished >= state.pieces => match state.bytes_skipped {
                0 => FileStatus::Read,
                _ => FileStatus::PartsSkipped,
            },
            None => FileStatus::StoppedEarly,
        };
        FileReport {
            path: self.path.clone(),
            table: self.table.clone(),
            format: self.format.clone(),
            status,
            bytes: self.bytes,
            bytes_read: state.bytes_read,
            bytes_skipped: state.bytes_skipped,
            counts: state.counts,
            remarks: state.remarks.clone(),
            samples: state.first_samples(status == FileStatus::Read),
        }
    }

    fn state(&self) -> MutexGuard<'_, TallyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the stream of a piece ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceEnd {
    /// At the piece's end.
    Whole,
    /// It was not read: none of its rows, in so many bytes, can pass the filter.
    Skipped(u64),
    /// Before: the query needed no more, or something went wrong.
    Early,
}

/// What is said about a file that cannot be read: without its path, with the system's reason.
pub(super) fn remark_of(error: &SourceError) -> Remark {
    let prefix = format!("{}: ", error.path().display());
    let mut text = error.to_string();
    if let Some(rest) = text.strip_prefix(&prefix) {
        text = rest.to_owned();
    }
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    Remark { severity: Severity::Loss, text, hint: error.hint() }
}

fn push_new(remarks: &mut Vec<Remark>, remark: Remark) {
    if !remarks.contains(&remark) {
        remarks.push(remark);
    }
}

/// The table `scan_report`.
#[derive(Debug)]
pub struct ReportTable {
    report: Arc<ScanReport>,
}

impl ReportTable {
    /// The table over a session's report.
    pub fn new(report: Arc<ScanReport>) -> Self {
        Self { report }
    }
}

const NUMBERS: [&str; 11] = [
    "bytes",
    "bytes_read",
    "bytes_skipped",
    "lines",
    "records",
    "continuations",
    "blank",
    "unparsed",
    "ruled_out",
    "rows",
    "bad_values",
];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![text("file"), text("table_name"), text("format"), text("status")];
    fields.extend(NUMBERS.iter().map(|name| Field::new(*name, DataType::UInt64, true)));
    fields.push(text("remarks"));
    Arc::new(Schema::new(fields))
});

/// The report as a batch.
fn batch(files: &[FileReport]) -> DfResult<RecordBatch> {
    let mut texts: [StringBuilder; 5] = std::array::from_fn(|_| StringBuilder::new());
    let mut numbers: [UInt64Builder; 11] = std::array::from_fn(|_| UInt64Builder::new());
    for file in files {
        let remarks: Vec<&str> = file.remarks.iter().map(|remark| remark.text.as_str()).collect();
        let remarks = (!remarks.is_empty()).then(|| remarks.join("; "));
        let path = file.path.to_string_lossy();
        let values = [Some(&*path), Some(&file.table), file.format.as_deref(), Some(file.status.as_str()), remarks.as_deref()];
        for (builder, value) in texts.iter_mut().zip(values) {
            builder.append_option(value);
        }
        let c = &file.counts;
        let values = [
            file.bytes,
            file.bytes_read,
            file.bytes_skipped,
            c.lines,
            c.records,
            c.continuations,
            c.blank,
            c.unparsed,
            c.ruled_out,
            c.rows,
            c.bad_values,
        ];
        for (builder, value) in numbers.iter_mut().zip(values) {
            builder.append_value(value);
        }
    }
    let mut texts = texts.into_iter().map(|mut builder| Arc::new(builder.finish()) as ArrayRef);
    let mut columns: Vec<ArrayRef> = texts.by_ref().take(4).collect();
    columns.extend(numbers.into_iter().map(|mut builder| Arc::new(builder.finish()) as ArrayRef));
    columns.extend(texts);
    Ok(RecordBatch::try_new(Arc::clone(&SCHEMA), columns)?)
}

#[async_trait]
impl TableProvider for ReportTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.map(Vec::as_slice);
        let args = ScanArgs::default().with_projection(projection).with_filters(Some(filters)).with_limit(limit);
        Ok(self.scan_with_args(state, args).await?.into_inner())
    }

    async fn scan_with_args<'a>(&self, _state: &dyn Session, args: ScanArgs<'a>) -> DfResult<ScanResult> {
        let batch = batch(&self.report.latest())?;
        let projection = args.projection().map(<[usize]>::to_vec);
        let plan = MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(&SCHEMA), projection)?;
        Ok(ScanResult::new(plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: u64, records: u64) -> ScanCounts {
        ScanCounts { lines, records, unparsed: lines - records, ..ScanCounts::default() }
    }

    #[test]
    fn a_file_is_read_when_all_its_pieces_are_and_stopped_early_when_one_is_not() {
        let report = ScanReport::default();
        let tally = report.register(FileTally::new("a.log".into(), "access_log", None, 10));
        tally.expect_pieces(2);
        assert_eq!(report.current()[0].status, FileStatus::NotRead);
        tally.start_piece();
        tally.end_piece(PieceEnd::Whole, 5, Some(&counts(3, 2)), &[]);
        assert_eq!(report.current()[0].status, FileStatus::StoppedEarly);
        tally.start_piece();
        tally.end_piece(PieceEnd::Whole, 5, Some(&counts(1, 1)), &[]);
        let file = &report.current()[0];
        assert_eq!((file.status, file.bytes_read, file.counts.lines), (FileStatus::Read, 10, 4));
        assert!(file.counts.balanced());
    }

    #[test]
    fn a_file_that_was_scanned_twice_counts_once_in_the_summary() {
        let report = ScanReport::default();
        for table in ["syslog", "dns_log"] {
            let tally = report.register(FileTally::new("syslog".into(), table, None, 10));
            tally.expect_pieces(1);
            tally.start_piece();
            tally.end_piece(PieceEnd::Whole, 10, Some(&counts(7, 6)), &[]);
        }
        let summary = report.summary();
        assert_eq!((summary.files, summary.lines, summary.unparsed, summary.bytes_read), (1, 7, 1, 10));
    }

    #[test]
    fn the_table_shows_the_query_before_this_one_and_a_query_without_scans_does_not_hide_it() {
        let report = ScanReport::default();
        report.begin_query();
        report.register(FileTally::new("a.log".into(), "access_log", None, 10));
        report.begin_query();
        assert_eq!(report.latest().len(), 1);
        report.begin_query();
        assert_eq!(report.latest().len(), 1);
        assert_eq!(batch(&report.latest()).unwrap().num_rows(), 1);
    }

    #[test]
    fn a_remark_is_said_once_per_query() {
        let report = ScanReport::default();
        let error = SourceError::PermissionDenied { path: "/var/log/btmp".into() };
        for _ in 0..2 {
            report.remark(error.path(), "access_log", remark_of(&error));
        }
        let files = report.current();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].remarks[0].text, "permission denied");
        assert_eq!(files[0].status, FileStatus::Failed);
        assert_eq!(report.summary().failed, 1);
    }
}
