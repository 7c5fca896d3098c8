//! Turns bytes of logs into Arrow batches.
//!
//! ```text
//!   bytes of a piece ──► records ──► patterns ──► rows (spans) ──► filter ──► columns ──► RecordBatch
//!                           │            │                           │
//!                           │            └─ takes none: unparsed     └─ only the filter's columns are read for all rows,
//!                           └─ blank, continuation                      the others for the rows that are left
//! ```
//!
//! The contract is that of arrow's readers: [`LogDecoder::decode`] takes bytes from the cursor on and says how many it is
//! done with; [`LogDecoder::flush`] gives the rows so far. A piece is a range of the file: it owns the records that
//! *begin* in it, so the decoder is given bytes from the byte before the piece on, and beyond its end until its last
//! record is whole. Cutting a file into pieces, wherever, changes no row.
//!
//! Counting is part of the contract: `records + continuations + blank + unparsed + ruled_out = lines`, whatever the
//! columns and the filter are.

mod column;
mod plan;
mod prefilter;
mod rows;
mod stamp;
pub mod time;
mod value;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;
use memchr::{memchr, memchr_iter, memrchr};
use thiserror::Error;

use column::{Chunk, ColumnBuilder, Tally};
use plan::{Entry, Inner};
pub use plan::{PlanError, ScanPlan, ScanPlanArgs};
pub use prefilter::Required;
use prefilter::{Prefilter, Seen};
use rows::{LineFailure, Rows};
use stamp::StampTracker;
pub use stamp::{Day, DaySummary, StampContext, StampSummary, TimeBounds};
pub(crate) use value::is_null;

use crate::format::{Source, nearest_pattern};
use crate::scan::{ABREAST, Escapes, Found, PatternSet, Scratch, Span, Tracing};

/// Rows whose values are read together: their spans and bytes stay in the cache.
const CHUNK_ROWS: usize = 1024;
/// Bytes that one call of `decode` goes through at most, so that the caller can look up in between.
const STEP_BYTES: usize = 1 << 20;
/// Bytes of text that a batch holds at most, give or take a chunk.
const BATCH_TEXT_BYTES: usize = 16 << 20;
/// Lines that one record joins at most.
const MAX_JOINED_LINES: u64 = 1000;
/// Unparsed lines that are kept for the report.
const MAX_SAMPLES: usize = 5;
/// Bytes of such a line that are kept.
const SAMPLE_BYTES: usize = 512;

/// A range of a file: the records that begin in it.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset behind the last byte.
    pub end: u64,
    /// Number of the line that holds the byte at `start`, from 1. Only needed where line numbers are asked for.
    pub first_line: u64,
    /// What the records before the piece say about times. `None` if that is not known: the decoder asks for it at the first
    /// record that needs it ([`Status::NeedStamps`]).
    pub stamps: Option<StampContext>,
}

impl Piece {
    /// A whole file of `size` bytes; `u64::MAX` where the size is not known.
    pub fn whole(size: u64) -> Self {
        Self { start: 0, end: size, first_line: 1, stamps: Some(StampContext::default()) }
    }
}

/// What becomes of a last line without a line feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tail {
    /// It is a line.
    #[default]
    Keep,
    /// It is still being written, and left for the next query.
    Hold,
}

/// How records are decoded.
#[derive(Clone, Copy, Debug)]
pub struct DecodeOptions {
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Rows after which nothing more is wanted.
    pub limit: Option<usize>,
    /// Bytes of a record at most.
    pub max_record_bytes: usize,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { batch_rows: 8192, limit: None, max_record_bytes: 1 << 20 }
    }
}

/// Chooses among rows by some of their columns.
pub trait RowFilter: Send {
    /// One value for each row of `batch`, which has the plan's filter columns in their order. NULL is no.
    fn evaluate(&mut self, batch: &RecordBatch) -> Result<BooleanArray, Box<dyn Error + Send + Sync>>;
}

/// A batch that cannot be made.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The filter failed.
    #[error("the filter failed")]
    Filter(#[source] Box<dyn Error + Send + Sync>),
    /// Columns do not make a batch.
    #[error("columns do not make a batch")]
    Batch(#[from] ArrowError),
}

/// What was read so far.
#[derive(Clone, Debug, Default)]
pub struct ScanCounts {
    /// Offset of the piece that was read.
    pub piece_start: u64,
    /// Lines.
    pub lines: u64,
    /// Records that a pattern took, of whichever table.
    pub records: u64,
    /// Lines that belong to the record before them.
    pub continuations: u64,
    /// Empty lines and comments.
    pub blank: u64,
    /// Lines that no pattern takes.
    pub unparsed: u64,
    /// Lines that the filter ruled out before they were split.
    pub ruled_out: u64,
    /// Rows given out.
    pub rows: u64,
    /// Values that were not of their column's type.
    pub bad_values: u64,
    /// The first unparsed lines.
    pub samples: Vec<UnparsedSample>,
}

/// An unparsed line, for the report.
#[derive(Clone, Debug)]
pub struct UnparsedSample {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Lines of the piece before it.
    pub lines_before: u64,
    /// Why.
    pub reason: &'static str,
    /// Its first bytes.
    pub raw: Vec<u8>,
}

/// What [`LogDecoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that are done with.
    pub used: usize,
    /// What comes next.
    pub status: Status,
}

/// What the decoder wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The bytes behind those that were used, and more of them than before if none were.
    NeedMore,
    /// A call of [`LogDecoder::set_stamps`]: the time of the record at the cursor depends on those before the piece.
    NeedStamps,
    /// A call of [`LogDecoder::set_header`]: what the record at the cursor means depends on a line before the piece.
    NeedHeader,
    /// A flush.
    BatchReady,
    /// A last flush: the piece is read, or the limit is reached.
    Done,
}

/// Where in the file's structure the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a line that began before the piece.
    LineBefore,
    /// At a line that may continue a record which began before the piece.
    RecordBefore,
    /// At a line of this piece.
    Record,
    /// In the rest of a line that is too long and begins no record.
    LongLine,
    /// In the rest of a line that is too long and begins a record.
    LongStart,
    /// In lines of a record that is too long.
    LongRecord,
}

/// What is known of the line at the cursor. Nothing of it depends on how many bytes are given at a time.
enum Line {
    /// Where its text begins and ends, and where the next line begins.
    Whole((usize, usize), usize),
    /// Its text is longer than a record may be: where the first bytes of it are, and where the next line begins if that is
    /// in sight.
    Long((usize, usize), Option<usize>),
    /// So many NUL bytes are before its text.
    Nuls(usize),
    /// Its end is not in sight.
    More,
}

/// What the patterns made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// One of them takes it.
    Yes,
    /// None does.
    No,
    /// One does, and its time depends on the stamps before the piece, which are not known.
    NeedsStamps,
    /// The line that says what its columns are is before the piece, and not known.
    NeedsHeader,
    /// It is no record, but says what the columns of those behind it are.
    Header,
    /// It says so, and there are rows that have to be read before.
    NeedsDrain,
}

/// Decodes one piece of a file.
pub struct LogDecoder {
    plan: Arc<ScanPlan>,
    piece: Piece,
    options: DecodeOptions,
    filter: Option<Box<dyn RowFilter>>,
    tail: Tail,
    at: At,
    /// Offset in the file of the cursor.
    offset: u64,
    /// The NUL bytes that were passed over last: a line whose text follows them begins with them.
    nuls: Range<u64>,
    /// Number of the line at the cursor.
    line: u64,
    rows: Rows,
    builders: Vec<ColumnBuilder>,
    filter_builders: Vec<ColumnBuilder>,
    /// Rows in the builders.
    built: usize,
    built_bytes: usize,
    /// It is known which line before says what the columns are, or that there is none.
    header_known: bool,
    /// The rows in the chunk are to be read before a header changes what their columns are.
    needs_drain: bool,
    /// The line at this offset of the file is known to begin a record.
    known_start: Option<u64>,
    prefiltered: Seen,
    slots: Vec<Span>,
    start_slots: Vec<Span>,
    scratch: Scratch,
    tracing: Tracing,
    /// The piece was read, and nothing has gone wrong.
    is_done: bool,
    tracker: StampTracker,
    times: TimeBounds,
    counts: ScanCounts,
}

impl Drop for LogDecoder {
    fn drop(&mut self) {
        // What was left in the middle of something may be anything.
        if self.is_done {
            self.plan.set.hand_on(std::mem::take(&mut self.tracing));
        }
    }
}

/// Counts the line feeds in `bytes`.
pub fn count_lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

impl LogDecoder {
    /// A decoder for one piece. Bytes are to be given from [`start_offset`](Self::start_offset) on.
    pub fn new(plan: Arc<ScanPlan>, piece: Piece, options: DecodeOptions) -> Self {
        let builders = |columns: &[usize]| columns.iter().map(|&column| ColumnBuilder::new(plan.wanted[column])).collect();
        Self {
            at: if piece.start == 0 { At::Record } else { At::LineBefore },
            offset: piece.start.saturating_sub(1),
            nuls: 0..0,
            line: piece.first_line,
            rows: Rows::new(plan.stride, plan.zone.clone(), plan.reference_us),
            builders: builders(&plan.output),
            filter_builders: builders(&plan.filter),
            built: 0,
            built_bytes: 0,
            header_known: piece.start == 0,
            needs_drain: false,
            known_start: None,
            prefiltered: Seen::default(),
            slots: vec![Span::NONE; plan.captures],
            start_slots: vec![Span::NONE; plan.lines.starts.as_deref().map_or(0, PatternSet::captures)],
            scratch: Scratch::default(),
            tracing: plan.set.tracing(&plan.reader()),
            is_done: false,
            tracker: StampTracker::new(plan.zone.clone(), plan.reference_us, piece.stamps),
            times: TimeBounds::default(),
            counts: ScanCounts { piece_start: piece.start, ..ScanCounts::default() },
            filter: None,
            tail: Tail::Keep,
            plan,
            piece,
            options,
        }
    }

    /// Only rows that the filter takes are given out.
    #[must_use]
    pub fn with_filter(mut self, filter: Box<dyn RowFilter>) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Where in the file the caller has to begin: the byte before the piece tells whether a line begins with it.
    pub fn start_offset(&self) -> u64 {
        self.piece.start.saturating_sub(1)
    }

    /// What becomes of a last line without a line feed, from now on.
    pub fn set_tail(&mut self, tail: Tail) {
        self.tail = tail;
    }

    /// What the records before the piece say about times, if a record asks for it.
    pub fn set_stamps(&mut self, stamps: StampContext) {
        self.tracker.set_context(stamps);
    }

    /// The last line before the piece that says what columns are, if there is one ([`ScanPlan::is_header`]).
    pub fn set_header(&mut self, header: Option<&[u8]>) {
        self.scratch.set_header(header);
        self.header_known = true;
    }

    /// How many bytes the next call should have at least after one that used none of `given`.
    pub fn wants(&self, given: usize) -> usize {
        (given * 2).max(1 << 16)
    }

    /// What was read so far.
    pub fn counts(&self) -> &ScanCounts {
        &self.counts
    }

    /// Between which times all rows so far lie, those included that the filter does not take. `None` where the plan does not
    /// read the time of every row.
    pub fn time_bounds(&self) -> Option<TimeBounds> {
        let reads_all = match self.filter {
            Some(_) => self.plan.filters_by_time(),
            None => self.plan.gives_time(),
        };
        (reads_all && self.looked_at_all()).then_some(self.times)
    }

    /// Were all rows so far looked at? No line was ruled out before it was split, and behind a limit there are rows that were not read.
    pub fn looked_at_all(&self) -> bool {
        self.counts.ruled_out == 0 && !self.is_sated()
    }

    /// How many rows there were so far, those included that the filter does not take. `None` where not all were looked at.
    pub fn total_rows(&self) -> Option<u64> {
        match &self.filter {
            Some(_) => self.time_bounds().map(|bounds| bounds.times + bounds.nulls),
            None => (!self.is_sated()).then_some(self.counts.rows + self.built as u64),
        }
    }

    /// The turns of the year so far, where the plan needs a stamp context.
    pub fn stamp_summary(&self) -> StampSummary {
        self.tracker.summary()
    }

    /// The stamp context for what comes behind.
    pub fn stamp_context(&self) -> StampContext {
        self.tracker.context()
    }

    /// Goes through `bytes`, which begin at the cursor; `end` says that nothing follows them in the file.
    pub fn decode(&mut self, bytes: &[u8], end: bool) -> Result<Decoded, DecodeError> {
        if self.piece.start >= self.piece.end {
            return Ok(Decoded { used: 0, status: Status::Done });
        }
        let plan = Arc::clone(&self.plan);
        let window = bytes.len();
        self.tracing.planes.reset();
        self.prefiltered = Seen::default();
        let mut at = 0;
        let status = loop {
            if self.rows.len() >= CHUNK_ROWS || self.needs_drain {
                self.drain(&plan, bytes)?;
                self.needs_drain = false;
            }
            if self.is_sated() {
                break Status::Done;
            }
            if self.built >= self.options.batch_rows || self.built_bytes >= BATCH_TEXT_BYTES {
                break Status::BatchReady;
            }
            if at == window {
                break if end { Status::Done } else { Status::NeedMore };
            }
            if at >= STEP_BYTES {
                break Status::NeedMore;
            }
            match self.step(&plan, bytes, at, end) {
                Step::To(next) => at = next,
                Step::More => break Status::NeedMore,
                Step::Stamps => break Status::NeedStamps,
                Step::Header => break Status::NeedHeader,
                Step::Done => break Status::Done,
            }
        };
        self.drain(&plan, bytes)?;
        self.offset += at as u64;
        let full = self.built >= self.options.batch_rows || self.built_bytes >= BATCH_TEXT_BYTES;
        let status = match status {
            Status::NeedMore if full => Status::BatchReady,
            Status::NeedMore | Status::BatchReady if self.is_sated() => Status::Done,
            status => status,
        };
        self.is_done = status == Status::Done;
        Ok(Decoded { used: at, status })
    }

    /// The rows since the last flush, if there are any.
    pub fn flush(&mut self) -> Result<Option<RecordBatch>, DecodeError> {
        if self.built == 0 {
            return Ok(None);
        }
        let columns = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.built));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.plan.schema), columns, &options)?;
        self.counts.rows += self.built as u64;
        (self.built, self.built_bytes) = (0, 0);
        Ok(Some(batch))
    }

    fn is_sated(&self) -> bool {
        self.options.limit.is_some_and(|limit| self.counts.rows as usize + self.built >= limit)
    }

    /// Deals with what is at `at`: usually one record.
    #[inline]
    fn step(&mut self, plan: &ScanPlan, bytes: &[u8], at: usize, end: bool) -> Step {
        match self.at {
            At::Record if plan.lines.starts.is_none() => {
                let next = self.plain_lines(plan, bytes, at);
                if next > at {
                    return Step::To(next);
                }
                if self.is_beyond(at) {
                    return Step::Done;
                }
                self.line_record(plan, bytes, at, end)
            }
            At::Record => {
                let next = self.plain_records(plan, bytes, at);
                if next > at {
                    return Step::To(next);
                }
                self.joined_record(plan, bytes, at, end)
            }
            At::LineBefore => {
                let Some(feed) = memchr(b'\n', &bytes[at..]) else { return Step::To(bytes.len()) };
                let next = at + feed + 1;
                // The line that holds the piece's first byte is ours only if it begins there.
                self.line += u64::from(self.offset + next as u64 > self.piece.start);
                self.at = if plan.lines.starts.is_none() { At::Record } else { At::RecordBefore };
                Step::To(next)
            }
            At::RecordBefore => {
                if self.is_beyond(at) {
                    return Step::Done;
                }
                let (text, next) = match self.line_at(bytes, at, end) {
                    Line::Whole(text, next) => (text, Some(next)),
                    Line::Long(text, next) => (text, next),
                    Line::Nuls(count) => return self.pass_nuls(at, count),
                    Line::More => return Step::More,
                };
                if self.is_start(plan, bytes, text) {
                    self.at = At::Record;
                    return Step::To(at);
                }
                let Some(next) = next else {
                    self.at = At::LineBefore;
                    return Step::To(bytes.len());
                };
                self.line += 1;
                Step::To(next)
            }
            At::LongLine | At::LongStart => match memchr(b'\n', &bytes[at..]) {
                None => Step::To(bytes.len()),
                Some(feed) => {
                    self.line += 1;
                    self.at = if self.at == At::LongLine { At::Record } else { At::LongRecord };
                    Step::To(at + feed + 1)
                }
            },
            At::LongRecord => {
                let line = self.line_at(bytes, at, end);
                let (text, next) = match line {
                    Line::Whole(text, next) => (text, Some(next)),
                    Line::Long(text, next) => (text, next),
                    Line::Nuls(count) => return self.pass_nuls(at, count),
                    Line::More => return Step::More,
                };
                if self.is_start(plan, bytes, text) {
                    self.at = At::Record;
                    return Step::To(at);
                }
                let is_whole = matches!(line, Line::Whole(..));
                if is_whole && next.is_some_and(|next| self.is_held(bytes, next, text, end)) {
                    return Step::Done;
                }
                self.counts.lines += 1;
                if is_whole && is_blank(&bytes[text.0..text.1]) {
                    self.counts.blank += 1;
                } else {
                    self.counts.continuations += 1;
                }
                let Some(next) = next else {
                    self.at = At::LongStart;
                    return Step::To(bytes.len());
                };
                self.line += 1;
                Step::To(next)
            }
        }
    }

    /// Offset in the file of the line at `at`.
    #[inline]
    fn begin(&self, at: usize) -> u64 {
        let offset = self.offset + at as u64;
        if self.nuls.end == offset && !self.nuls.is_empty() { self.nuls.start } else { offset }
    }

    /// Whether the line at `at` begins behind the piece.
    #[inline]
    fn is_beyond(&self, at: usize) -> bool {
        self.begin(at) >= self.piece.end
    }

    #[inline]
    fn line_at(&mut self, bytes: &[u8], at: usize, end: bool) -> Line {
        let max = self.options.max_record_bytes;
        let Some((text, next)) = line_of(bytes, at, self.tracing.planes.next_feed(bytes, at), end) else {
            let nuls = bytes[at..].iter().take_while(|&&byte| byte == 0).count();
            // A hole in a file reads as NUL bytes; they are no text, so they do not make a line long. The last of them stays,
            // so that a line of nothing else is a line.
            if nuls > 1 << 16 {
                return Line::Nuls(nuls.min(bytes.len() - at - 1));
            }
            let start = at + nuls;
            // The last byte may be the half of a line end.
            return if bytes.len() - start > max + 1 { Line::Long((start, start + max), None) } else { Line::More };
        };
        if text.1 - text.0 > max { Line::Long((text.0, text.0 + max), Some(next)) } else { Line::Whole(text, next) }
    }

    fn pass_nuls(&mut self, at: usize, count: usize) -> Step {
        self.nuls = self.begin(at)..self.offset + (at + count) as u64;
        Step::To(at + count)
    }

    /// Before which offset in `bytes` lines from `at` on may be looked at without caring for the end of the piece, for holes in
    /// the file and for other callers' turn.
    #[inline]
    fn plain_end(&self, bytes: &[u8], at: usize) -> usize {
        let first = self.offset + at as u64;
        if self.nuls.end == first && !self.nuls.is_empty() {
            return at;
        }
        let piece_end = usize::try_from(self.piece.end.saturating_sub(first)).map_or(usize::MAX, |left| at.saturating_add(left));
        bytes.len().min(STEP_BYTES).min(piece_end)
    }

    /// The text of the line `at..feed`, unless it may be blank, begins with NUL bytes or is too long.
    #[inline]
    fn plain_text(&self, bytes: &[u8], at: usize, feed: usize) -> Option<(usize, usize)> {
        let end = feed - usize::from(feed > at && bytes[feed - 1] == b'\r');
        let is_odd = matches!(bytes[at], 0 | b'\t' | b'\n' | b'\r' | b' ') || end - at > self.options.max_record_bytes;
        (!is_odd).then_some((at, end))
    }

    /// As many records of one line as there are before one that needs a closer look; where that begins. Most lines of most
    /// files go through here.
    #[inline]
    fn plain_lines(&mut self, plan: &ScanPlan, bytes: &[u8], mut at: usize) -> usize {
        let stop = self.plain_end(bytes, at);
        let prefilter = plan.prefilter.as_ref().filter(|_| self.filter.is_some());
        while at < stop && self.rows.len() < CHUNK_ROWS {
            let Some(prefilter) = prefilter else {
                let lines = self.next_lines(bytes, at, stop, ABREAST);
                let done = self.plain_records_of(plan, bytes, lines.all());
                at = lines.end_of(done).unwrap_or(at);
                if done == 0 || done < lines.count {
                    break;
                }
                continue;
            };
            at = self.rule_out(prefilter, bytes, at);
            let Some(feed) = self.tracing.planes.next_feed(bytes, at).filter(|_| at < stop) else { break };
            let Some(text) = self.plain_text(bytes, at, feed) else { break };
            if !prefilter.may_pass(&bytes[text.0..text.1]) {
                self.counts.lines += 1;
                self.counts.ruled_out += 1;
                self.line += 1;
            } else if !self.plain_record(plan, bytes, text) {
                break;
            }
            at = feed + 1;
        }
        at
    }

    /// The next lines from `at` on, at most so many, up to one that needs a closer look.
    #[inline]
    fn next_lines(&mut self, bytes: &[u8], at: usize, stop: usize, most: usize) -> Lines {
        let mut lines = Lines { texts: [(0, 0); ABREAST], nexts: [0; ABREAST], count: 0 };
        let mut next = at;
        while lines.count < most.min(ABREAST) && next < stop {
            let Some(feed) = self.tracing.planes.next_feed(bytes, next) else { break };
            let Some(text) = self.plain_text(bytes, next, feed) else { break };
            next = feed + 1;
            (lines.texts[lines.count], lines.nexts[lines.count]) = (text, next);
            lines.count += 1;
        }
        lines
    }

    /// Records of one line each, up to one that has to wait: how many.
    #[inline]
    fn plain_records_of(&mut self, plan: &ScanPlan, bytes: &[u8], lines: &[(usize, usize)]) -> usize {
        let tracing = (&mut self.tracing.planes, &mut self.tracing.traces);
        let is_abreast = !plan.has_headers() && plan.set.try_abreast(bytes, lines, tracing);
        let mut lane = 0;
        while lane < lines.len() {
            if is_abreast {
                let alike = self.alike_records(plan, &lines[lane..], lane);
                if alike > 0 {
                    lane += alike;
                    continue;
                }
            }
            let text = lines[lane];
            let chosen = if is_abreast { plan.set.choose(lane, &mut self.tracing.traces) } else { None };
            let taken = match chosen {
                Some(found) => self.taken(plan, bytes, text, found),
                None => self.take(plan, bytes, text),
            };
            if !self.count_line(plan, bytes, text, taken) {
                return lane;
            }
            lane += 1;
        }
        lines.len()
    }

    /// So many of the lines, of which the first one is lane `first` of those that were tried at once, are records of one pattern, of which
    /// nothing but rows come, or nothing.
    #[inline]
    fn alike_records(&mut self, plan: &ScanPlan, lines: &[(usize, usize)], first: usize) -> usize {
        let (count, pattern) = plan.set.chosen_from(first, first + lines.len(), &self.tracing.traces);
        let entry = &plan.entries[pattern];
        if count < 2 || !entry.inner.is_empty() || !entry.tracked.is_empty() {
            return 0;
        }
        if let Some(kind) = entry.kind {
            self.rows.add_all(plan, (kind, first), &lines[..count], &self.tracing.traces, self.line);
        }
        self.counts.records += count as u64;
        self.counts.lines += count as u64;
        self.line += count as u64;
        count
    }

    /// Passes over the lines that the prefilter finds nothing in, as far as they are whole and begin in the piece. Where the
    /// next line begins.
    fn rule_out(&mut self, prefilter: &Prefilter, bytes: &[u8], at: usize) -> usize {
        let before = &bytes[at..prefilter.next(bytes, at, &mut self.prefiltered)];
        let Some(last) = memrchr(b'\n', before) else { return at };
        let mut next = at + last + 1;
        // A line that begins behind the piece is somebody else's.
        let left = self.piece.end.saturating_sub(self.offset + at as u64);
        if let Ok(left) = usize::try_from(left)
            && left <= last
        {
            next = at + left + memchr(b'\n', &before[left - 1..]).unwrap_or(0);
        }
        let lines = count_lines(&bytes[at..next]);
        self.counts.lines += lines;
        self.counts.ruled_out += lines;
        self.line += lines;
        self.tracing.planes.skip_to(next);
        next
    }

    /// The same where records may have several lines: the line behind such a record begins another one.
    #[inline]
    fn plain_records(&mut self, plan: &ScanPlan, bytes: &[u8], mut at: usize) -> usize {
        let stop = self.plain_end(bytes, at);
        // Where records of several lines are near, looking far ahead is in vain.
        let mut most = 2;
        while at < stop && self.rows.len() < CHUNK_ROWS {
            // The last line only tells whether the record before it ends there, so it may lie behind the piece.
            let lines = self.next_lines(bytes, at, bytes.len(), most);
            most = ABREAST.min(most * 2);
            let within = lines.all().iter().take_while(|text| text.0 < stop).count();
            let whole = self.whole_records(plan, bytes, at, &lines.all()[..lines.count.min(within + 1)]);
            let done = self.plain_records_of(plan, bytes, &lines.all()[..whole]);
            let Some(next) = lines.end_of(done) else { break };
            self.known_start = Some(self.offset + next as u64);
            at = next;
            if done < whole || whole + 1 < lines.count {
                break;
            }
        }
        at
    }

    /// How many of the lines, the first of which begins at `at`, are a record each.
    #[inline]
    fn whole_records(&mut self, plan: &ScanPlan, bytes: &[u8], at: usize, lines: &[(usize, usize)]) -> usize {
        let Some((&first, others)) = lines.split_first() else { return 0 };
        if self.known_start != Some(self.offset + at as u64) && !self.is_start(plan, bytes, first) {
            return 0;
        }
        let Some(starts) = plan.lines.starts.as_ref() else { return 0 };
        let tracing = (&mut self.tracing.planes, &mut self.tracing.start_traces);
        let is_abreast = !plan.has_headers() && starts.try_abreast(bytes, others, tracing);
        let mut lane = 0;
        while lane < others.len() {
            let alike = if is_abreast { starts.chosen_from(lane, others.len(), &self.tracing.start_traces).0 } else { 0 };
            if alike > 0 {
                lane += alike;
                continue;
            }
            let is_chosen = is_abreast && starts.choose(lane, &mut self.tracing.start_traces).is_some();
            if !is_chosen && !self.is_start(plan, bytes, others[lane]) {
                return lane;
            }
            lane += 1;
        }
        others.len()
    }

    /// `false` if the record has to wait.
    #[inline]
    fn plain_record(&mut self, plan: &ScanPlan, bytes: &[u8], text: (usize, usize)) -> bool {
        let taken = self.take(plan, bytes, text);
        self.count_line(plan, bytes, text, taken)
    }

    #[inline]
    fn count_line(&mut self, plan: &ScanPlan, bytes: &[u8], text: (usize, usize), taken: Taken) -> bool {
        match taken {
            Taken::Yes => {}
            Taken::No => self.unparsed(plan, bytes, text, "no format takes it"),
            Taken::Header => self.counts.blank += 1,
            Taken::NeedsStamps | Taken::NeedsHeader | Taken::NeedsDrain => return false,
        }
        self.counts.lines += 1;
        self.line += 1;
        true
    }

    /// A record of one line.
    #[inline]
    fn line_record(&mut self, plan: &ScanPlan, bytes: &[u8], at: usize, end: bool) -> Step {
        let (line, next) = match self.line_at(bytes, at, end) {
            Line::Whole(text, next) => (text, next),
            Line::Long(text, next) => return self.long_line(plan, bytes, text, next, At::Record),
            Line::Nuls(count) => return self.pass_nuls(at, count),
            Line::More => return Step::More,
        };
        if self.is_held(bytes, next, line, end) {
            return Step::Done;
        }
        if is_blank(&bytes[line.0..line.1]) {
            self.counts.blank += 1;
        } else {
            match self.take(plan, bytes, line) {
                Taken::Yes => {}
                Taken::No => self.unparsed(plan, bytes, line, "no format takes it"),
                Taken::Header => self.counts.blank += 1,
                Taken::NeedsStamps => return Step::Stamps,
                Taken::NeedsHeader => return Step::Header,
                Taken::NeedsDrain => return Step::To(at),
            }
        }
        self.counts.lines += 1;
        self.line += 1;
        Step::To(next)
    }

    /// A line that is longer than a record may be: no pattern is tried on it. `behind` it is a record, or more of its own.
    fn long_line(&mut self, plan: &ScanPlan, bytes: &[u8], text: (usize, usize), next: Option<usize>, behind: At) -> Step {
        self.counts.lines += 1;
        self.unparsed(plan, bytes, text, "longer than a record may be");
        if let Some(next) = next {
            self.line += 1;
            self.at = behind;
            return Step::To(next);
        }
        self.at = if behind == At::Record { At::LongLine } else { At::LongStart };
        Step::To(bytes.len())
    }

    fn is_held(&self, bytes: &[u8], next: usize, line: (usize, usize), end: bool) -> bool {
        self.tail == Tail::Hold && end && next == bytes.len() && line.0 < next && bytes[next - 1] != b'\n'
    }

    /// A record of one or several lines.
    fn joined_record(&mut self, plan: &ScanPlan, bytes: &[u8], at: usize, end: bool) -> Step {
        let max = self.options.max_record_bytes;
        let line = self.line_at(bytes, at, end);
        let first = match line {
            Line::Whole(text, _) | Line::Long(text, _) => text,
            Line::Nuls(count) => return self.pass_nuls(at, count),
            Line::More => return Step::More,
        };
        let starts = self.known_start == Some(self.offset + at as u64) || self.is_start(plan, bytes, first);
        // Lines behind the piece that begin no record belong to it: the next piece passes them over.
        if starts && self.is_beyond(at) {
            return Step::Done;
        }
        let mut next = match line {
            // What says what columns are is no record, and nothing belongs to it.
            Line::Whole(text, _) if starts && plan.is_header(&bytes[text.0..text.1]) => {
                return self.line_record(plan, bytes, at, end);
            }
            Line::Whole(_, next) if starts => next,
            Line::Long(_, next) if starts => return self.long_line(plan, bytes, first, next, At::LongRecord),
            _ => return self.line_record(plan, bytes, at, end),
        };
        if self.is_held(bytes, next, first, end) {
            return Step::Done;
        }
        let after_first = next;
        let (mut text_end, mut lines, mut blank) = (first.1, 1, 0);
        let mut long = false;
        while next < bytes.len() {
            // From here on no line can be joined, whatever it is.
            long = next - first.0 > max;
            if long {
                break;
            }
            let (line, behind) = match self.line_at(bytes, next, end) {
                Line::Whole(text, behind) => (text, behind),
                Line::Nuls(count) if next + count - first.0 <= max => return Step::More,
                Line::More => return Step::More,
                Line::Long(..) | Line::Nuls(_) => {
                    long = true;
                    break;
                }
            };
            if self.is_held(bytes, behind, line, end) {
                break;
            }
            if self.is_start(plan, bytes, line) {
                self.known_start = Some(self.offset + next as u64);
                break;
            }
            if is_blank(&bytes[line.0..line.1]) {
                blank += 1;
            } else if lines == MAX_JOINED_LINES || line.1 - first.0 > max {
                long = true;
                break;
            } else {
                (text_end, lines) = (line.1, lines + 1);
            }
            next = behind;
        }
        if !long && next == bytes.len() && !end {
            return Step::More;
        }
        let whole = self.take(plan, bytes, (first.0, text_end));
        let by_first = if whole == Taken::No && lines > 1 { self.take(plan, bytes, first) } else { Taken::No };
        match (whole, by_first) {
            (Taken::NeedsStamps, _) | (_, Taken::NeedsStamps) => return Step::Stamps,
            (Taken::NeedsHeader, _) | (_, Taken::NeedsHeader) => return Step::Header,
            (Taken::NeedsDrain, _) | (_, Taken::NeedsDrain) => return Step::To(at),
            (Taken::Yes | Taken::Header, _) => self.counts.continuations += lines - 1,
            // A layout without room for more lines: the first one is a record all the same.
            (Taken::No, Taken::Yes | Taken::Header) => {
                self.line += 1;
                self.unparsed_lines(plan, bytes, (after_first, text_end));
                self.line -= 1;
            }
            (Taken::No, Taken::No) => self.unparsed_lines(plan, bytes, (first.0, text_end)),
        }
        self.counts.lines += lines + blank;
        self.counts.blank += blank;
        self.line += lines + blank;
        if long {
            self.at = At::LongRecord;
        }
        Step::To(next)
    }

    /// Tries all patterns on a record; a row may come of it.
    #[inline]
    fn take(&mut self, plan: &ScanPlan, bytes: &[u8], record: (usize, usize)) -> Taken {
        let text = &bytes[record.0..record.1];
        if plan.has_headers() {
            if plan.is_header(text) {
                return self.header(text);
            }
            if !self.header_known {
                return Taken::NeedsHeader;
            }
            // It may have as many values as there are columns.
            if plan.lines.tells_day(text) {
                return Taken::No;
            }
        }
        let slots = &mut self.slots[..plan.set.captures()];
        let tracing = (&mut self.tracing.planes, &mut self.tracing.traces);
        match plan.set.find_in(bytes, record, slots, &mut self.scratch, tracing) {
            Ok(found) => self.taken(plan, bytes, record, found),
            Err(_) => Taken::No,
        }
    }

    /// What becomes of a record that a pattern takes.
    #[inline]
    fn taken(&mut self, plan: &ScanPlan, bytes: &[u8], record: (usize, usize), found: Found) -> Taken {
        let text = &bytes[record.0..record.1];
        let entry = &plan.entries[found.pattern];
        let spans = found.trace.map_or(&*self.slots, |trace| self.tracing.traces.spans(trace));
        // Most records are rows or not, and that is all: 58 instructions less for each.
        if entry.inner.is_empty() && entry.tracked.is_empty() {
            self.counts.records += 1;
            if let Some(kind) = entry.kind {
                self.rows.add(plan, (kind, record), spans, (self.line, None));
            }
            return Taken::Yes;
        }
        // Every record moves the clock, also one that gives no row.
        let mut stamps = entry.tracked.iter().filter_map(|(source, layout)| match source {
            Source::Capture(slot) => layout.parse(spans[usize::from(*slot)].of(text)?),
            source => layout.parse(&source.value(text, spans)?),
        });
        let stamp = stamps.next();
        if stamp.as_ref().is_some_and(|stamp| self.tracker.needs_context(stamp)) {
            return Taken::NeedsStamps;
        }
        let time = stamp.and_then(|stamp| self.tracker.resolve(&stamp));
        self.counts.records += 1;
        let kept = self.rows.unescaped.len();
        let mut unescaped = None;
        for inner in &entry.inner {
            let spans = found.trace.map_or(&*self.slots, |trace| self.tracing.traces.spans(trace));
            if !inner.is_possible(spans, |span| span.of(text)) {
                continue;
            }
            if let Some(kind) = self.inside(plan, (bytes, record), (inner, entry.escapes), found.trace, &mut unescaped) {
                if let Some(trace) = found.trace {
                    copy_spans(self.tracing.traces.spans(trace), &mut self.slots[..plan.set.captures()]);
                }
                self.rows.add(plan, (kind, record), &self.slots, (self.line, time));
                return Taken::Yes;
            }
        }
        // Without a row, nobody asks for the text.
        self.rows.unescaped.truncate(kept);
        if let Some(kind) = entry.kind {
            let spans = found.trace.map_or(&*self.slots, |trace| self.tracing.traces.spans(trace));
            self.rows.add(plan, (kind, record), spans, (self.line, time));
        }
        Taken::Yes
    }

    /// The kind of row that the record inside of another one is, if it is one. Its captures are then behind those of the outer one,
    /// which are in a trace or in the slots.
    fn inside(
        &mut self,
        plan: &ScanPlan,
        (bytes, record): (&[u8], (usize, usize)),
        (inner, escapes): (&Inner, Option<Escapes>),
        trace: Option<usize>,
        unescaped: &mut Option<(usize, usize)>,
    ) -> Option<u16> {
        let inside = &plan.carried[inner.carried];
        let (outer_slots, inner_slots) = self.slots.split_at_mut(inside.slots.start);
        let spans = trace.map_or(&*outer_slots, |trace| self.tracing.traces.spans(trace));
        let carried = spans[inner.capture];
        let inner_slots = &mut inner_slots[..inside.set.captures()];
        let place = (record.0 + carried.start as usize, record.0 + carried.end as usize);
        let before = || place.0.checked_sub(1).map(|before| bytes[before]);
        let taken_in = match (escapes, Rows::place_of(carried)) {
            (None, taken_in) => taken_in,
            (Some(escapes), None) => escapes.are_in(&bytes[place.0..place.1], before()).then(|| {
                let unescape = || self.rows.unescape(&bytes[place.0..place.1], before(), escapes);
                *unescaped.get_or_insert_with(unescape)
            }),
            (Some(escapes), Some(place)) => Some(*unescaped.get_or_insert_with(|| self.rows.unescape_again(place, escapes))),
        };
        let pattern = if let Some(place) = taken_in {
            inner_slots.fill(Span::NONE);
            let pattern = inside.set.find(self.rows.unescaped(place), inner_slots, &mut self.scratch).ok()?;
            for span in inner_slots.iter_mut().filter(|span| **span != Span::NONE) {
                *span = Rows::unescaped_span(*span, place.0);
            }
            pattern
        } else {
            // Most records inside are of other programs.
            if !inside.carried.ahead.accepts(&bytes[..place.1], place.0) {
                return None;
            }
            inner_slots.fill(Span::NONE);
            let traces = &mut self.tracing.carried_traces[inner.carried];
            let tracing = (&mut self.tracing.planes, &mut *traces);
            let found = inside.set.find_in(bytes, place, inner_slots, &mut self.scratch, tracing).ok()?;
            if let Some(trace) = found.trace {
                copy_spans(traces.spans(trace), inner_slots);
            }
            for span in inner_slots.iter_mut().filter(|span| **span != Span::NONE) {
                *span = Span { start: span.start + carried.start, end: span.end + carried.start };
            }
            found.pattern
        };
        let entry = &inner.entries[pattern];
        entry.kind.or_else(|| self.inside_in_turn(plan, (bytes, record), entry))
    }

    /// The same of the record that an inner record holds.
    #[cold]
    fn inside_in_turn(&mut self, plan: &ScanPlan, (bytes, record): (&[u8], (usize, usize)), entry: &Entry) -> Option<u16> {
        let mut unescaped = None;
        entry.inner.iter().find_map(|inner| {
            let text_of = |span: Span| match Rows::place_of(span) {
                None => span.of(&bytes[record.0..record.1]),
                Some(place) => Some(self.rows.unescaped(place)),
            };
            let is_possible = inner.is_possible(&self.slots, text_of);
            is_possible.then(|| self.inside(plan, (bytes, record), (inner, entry.escapes), None, &mut unescaped)).flatten()
        })
    }

    /// A line that says what the columns of those behind it are.
    fn header(&mut self, line: &[u8]) -> Taken {
        if self.rows.len() > 0 && self.scratch.header() != Some(line) {
            self.needs_drain = true;
            return Taken::NeedsDrain;
        }
        self.set_header(Some(line));
        Taken::Header
    }

    /// Each line of a record that no pattern takes is unparsed.
    fn unparsed_lines(&mut self, plan: &ScanPlan, bytes: &[u8], record: (usize, usize)) {
        let line = self.line;
        let mut at = record.0;
        let feed = |at: usize| memchr(b'\n', &bytes[at..record.1]).map(|feed| at + feed);
        while let Some((text, next)) = line_of(&bytes[..record.1], at, feed(at), true).filter(|_| at < record.1) {
            if !is_blank(&bytes[text.0..text.1]) {
                self.unparsed(plan, bytes, text, "no format takes it");
            }
            self.line += 1;
            at = next;
        }
        self.line = line;
    }

    fn unparsed(&mut self, plan: &ScanPlan, bytes: &[u8], line: (usize, usize), reason: &'static str) {
        let text = &bytes[line.0..line.1];
        if plan.lines.is_comment(text, &mut self.scratch) {
            if let Some(day) = plan.lines.day_of(text) {
                self.tracker.set_day(&day);
            }
            self.counts.blank += 1;
            return;
        }
        self.counts.unparsed += 1;
        if self.counts.samples.len() < MAX_SAMPLES {
            self.counts.samples.push(UnparsedSample {
                offset: self.offset + line.0 as u64,
                lines_before: self.line - self.piece.first_line,
                reason,
                raw: text[..text.len().min(SAMPLE_BYTES)].to_vec(),
            });
        }
        if let Some(kind) = plan.unparsed_kind {
            let failure = self.nearest(plan, text, reason);
            self.rows.push(kind, line.0, line.1);
            self.rows.fail(failure);
            if plan.needs_line_numbers() {
                self.rows.lines.push(self.line);
            }
        }
    }

    /// The pattern that read furthest.
    fn nearest(&mut self, plan: &ScanPlan, text: &[u8], reason: &'static str) -> LineFailure {
        let near = nearest_pattern(&plan.lines.patterns, text, &mut self.scratch);
        LineFailure {
            reason,
            pattern: near.as_ref().map(|near| near.pattern.name.as_str().into()),
            column: near.as_ref().map(|near| near.column as u64),
            field: near.and_then(|near| near.field).map(Into::into),
        }
    }

    #[inline]
    fn is_start(&mut self, plan: &ScanPlan, bytes: &[u8], line: (usize, usize)) -> bool {
        if plan.has_headers() && plan.is_header(&bytes[line.0..line.1]) {
            return true;
        }
        let tracing = (&mut self.tracing.planes, &mut self.tracing.start_traces);
        let starts = plan.lines.starts.as_ref();
        starts.is_some_and(|starts| starts.find_in(bytes, line, &mut self.start_slots, &mut self.scratch, tracing).is_ok())
    }

    /// Reads the values of the rows in the chunk, and forgets the rows.
    fn drain(&mut self, plan: &ScanPlan, bytes: &[u8]) -> Result<(), DecodeError> {
        let count = self.rows.len();
        if count == 0 {
            return Ok(());
        }
        let only = self.rows.only_kind().map(|kind| &plan.kinds[usize::from(kind)]);
        let (header, requests) = (self.scratch.header(), RefCell::default());
        let chunk = Chunk { plan, bytes, rows: &self.rows, offset: self.offset, header, only, requests };
        let mut tally = Tally::default();
        let mut chosen: Option<Vec<usize>> = None;
        if let Some(filter) = &mut self.filter {
            for (builder, &column) in self.filter_builders.iter_mut().zip(&plan.filter) {
                builder.append(&chunk, column, 0..count, &mut tally);
            }
            let columns = self.filter_builders.iter_mut().map(ColumnBuilder::finish).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&plan.filter_schema), columns, &options)?;
            self.times = self.times.with(tally.times);
            let mask = filter.evaluate(&batch).map_err(DecodeError::Filter)?;
            let is_chosen = |&row: &usize| mask.is_valid(row) && mask.value(row);
            chosen = Some((0..count).filter(is_chosen).collect());
        }
        let wanted = self.options.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.counts.rows as usize + self.built));
        let mut out = Tally::default();
        for (builder, &column) in self.builders.iter_mut().zip(&plan.output) {
            match &chosen {
                None => builder.append(&chunk, column, 0..count.min(wanted), &mut out),
                Some(chosen) => builder.append(&chunk, column, chosen.iter().copied().take(wanted), &mut out),
            }
        }
        self.built += chosen.map_or(count, |chosen| chosen.len()).min(wanted);
        self.built_bytes += out.text_bytes;
        self.counts.bad_values += out.bad;
        if self.filter.is_none() {
            self.times = self.times.with(out.times);
        }
        self.rows.clear();
        Ok(())
    }
}

/// The captures of a trace. What is behind them no trace has: it belongs to patterns that go by keys.
fn copy_spans(from: &[Span], to: &mut [Span]) {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
}

/// Lines that are looked at together: what is between their ends, and where the next one begins.
struct Lines {
    texts: [(usize, usize); ABREAST],
    nexts: [usize; ABREAST],
    count: usize,
}

impl Lines {
    fn all(&self) -> &[(usize, usize)] {
        &self.texts[..self.count]
    }

    /// Where the line behind the first `count` ones begins.
    fn end_of(&self, count: usize) -> Option<usize> {
        self.nexts.get(count.checked_sub(1)?).copied()
    }
}

/// What a step did.
enum Step {
    /// The cursor moves.
    To(usize),
    /// The bytes do not suffice.
    More,
    /// The stamps before the piece have to be known.
    Stamps,
    /// The header before the piece has to be known.
    Header,
    /// The piece is read.
    Done,
}

/// The line at `at`, whose line feed is at `feed`: where its text begins and ends, and where the next line begins. `None`
/// if its end is not in sight.
#[inline]
fn line_of(bytes: &[u8], at: usize, feed: Option<usize>, end: bool) -> Option<((usize, usize), usize)> {
    let (mut stop, next) = match feed {
        Some(feed) => (feed, feed + 1),
        None if end => (bytes.len(), bytes.len()),
        None => return None,
    };
    if stop > at && bytes[stop - 1] == b'\r' {
        stop -= 1;
    }
    let mut start = at;
    // A writer that was truncated under its hands leaves NUL bytes before the line.
    while start < stop && bytes[start] == 0 {
        start += 1;
    }
    Some(((start, stop), next))
}

#[inline]
fn is_blank(line: &[u8]) -> bool {
    match line.first() {
        None => true,
        Some(b' ' | b'\t') => line.iter().all(u8::is_ascii_whitespace),
        Some(_) => false,
    }
}
