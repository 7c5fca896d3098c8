//! Opens one piece of one file and turns it into a stream of batches.
//!
//! ```text
//!   PartitionedFile ──► is it the file of the plan?  ──► first line, stamps  ──► PieceStream
//!   (location, size,    (size, time; then the source     (only if asked for)        │ poll: one step of ≤ 1 MiB
//!    time, range)        checks the content)                                        ▼
//!                                        fill ──► decode ──► consume ──► verify ──► batch
//! ```
//!
//! A batch leaves only after the file was found to be still the same one. A step that yields no batch gives the other
//! tasks their turn, so that a query can be cancelled at any time. However the stream ends, its counts reach the report.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use datafusion::common::{Result as DfResult, exec_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;

use super::bounds::{Known, TIME, excluded};
use super::error::TableError;
use super::facts::Facts;
use super::file_index::{FileIndex, Header, ReadAhead};
use super::file_set::LogFile;
use super::gap::AfterGap;
use super::lanes::{Announced, LaneStream};
use super::log_table::{partitioned_file_mtime, snapshot_mtime};
use super::options::{OnChange, ScanOptions};
use super::report::{FileTally, LineCounts, PieceEnd};
use super::source::{LogSource, ScanFile};
use super::values::{INDEXED, Observer, SharedObserver};
use crate::kernel::decode::{DecodeError, DecodeOptions, LogDecoder, Piece, ScanPlan, StampContext, Status, Tail, TimeBounds};
use crate::source::{
    self, Begins, ByteReader, Change, ChangeKind, FileKind, Fill, Issue, Pass, ReadOptions, RestartPoints, Snapshot, SourceError,
    Stretch,
};

type BatchStream = BoxStream<'static, DfResult<RecordBatch>>;

/// What one partition counts.
#[derive(Clone, Debug)]
pub(super) struct OpenerMetrics {
    bytes: Count,
    lines: Count,
    unparsed: Count,
    ruled_out: Count,
    skipped_pieces: Count,
    skipped_bytes: Count,
}

impl OpenerMetrics {
    pub(super) fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name: &'static str| MetricBuilder::new(set).counter(name, partition);
        Self {
            bytes: counter("bytes_scanned"),
            lines: counter("lines"),
            unparsed: counter("unparsed_lines"),
            ruled_out: counter("lines_ruled_out"),
            skipped_pieces: counter("pieces_skipped"),
            skipped_bytes: counter("bytes_skipped"),
        }
    }

    /// So many pieces are not read.
    pub(super) fn skip(&self, pieces: usize, bytes: u64) {
        self.skipped_pieces.add(pieces);
        self.skipped_bytes.add(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}

/// Opens pieces for one partition of a scan.
#[derive(Debug)]
pub struct LogOpener {
    source: Arc<LogSource>,
    limit: Option<usize>,
    metrics: OpenerMetrics,
}

impl LogOpener {
    pub(super) fn new(source: Arc<LogSource>, limit: Option<usize>, metrics: OpenerMetrics) -> Self {
        Self { source, limit, metrics }
    }
}

impl FileOpener for LogOpener {
    fn open(&self, file: PartitionedFile) -> DfResult<FileOpenFuture> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (at, scan) = self.source.files().find(&file.object_meta.location)?;
        let is_first = file.range.as_ref().is_none_or(|range| range.start == 0);
        // At once, so that a helper that is opened a moment later knows.
        let announced = (is_first && scan.has_helpers).then(|| self.source.lanes(at).announce());
        let opening = Opening {
            source: Arc::clone(&self.source),
            limit: self.limit,
            metrics: self.metrics.clone(),
            cancelled: Arc::clone(&cancelled),
            pass: Pass::default(),
        };
        let behind = self.source.files().behind(at);
        let waiting = CancelOnDrop(cancelled);
        Ok(Box::pin(async move {
            let opening = Arc::new(opening);
            let (first, run) = (Arc::clone(&opening), behind.clone());
            let opened = blocking(move || {
                first.prepare(at, &run)?;
                first.open(at, Some(&file), announced.as_ref())
            });
            let opened = opened.await?.unwrap_or_else(|| futures::stream::empty().boxed());
            if behind.is_empty() {
                return Ok(opened);
            }
            let others = futures::stream::iter(behind).then(move |at| {
                let _waiting = &waiting;
                let next = Arc::clone(&opening);
                async move {
                    let opened = blocking(move || next.open(at, None, None)).await?;
                    Ok::<_, DataFusionError>(opened.unwrap_or_else(|| futures::stream::empty().boxed()))
                }
            });
            Ok(opened.chain(others.try_flatten()).boxed())
        }))
    }
}

/// Opening looks at the file, and may count the lines of all pieces before this one: not where others wait for their turn.
async fn blocking<T: Send + 'static>(open: impl FnOnce() -> DfResult<T> + Send + 'static) -> DfResult<T> {
    tokio::task::spawn_blocking(open).await.map_err(|error| match error.try_into_panic() {
        Ok(payload) => TableError::panicked("opening a file", &payload).into(),
        Err(_) => exec_datafusion_err!("the query was cancelled"),
    })?
}

/// What it takes to open one piece.
struct Opening {
    source: Arc<LogSource>,
    limit: Option<usize>,
    metrics: OpenerMetrics,
    cancelled: Arc<AtomicBool>,
    /// The walk through the archive that the file is in.
    pass: Pass,
}

impl Opening {
    /// Follows the stamps of members of a solid archive that are too large to be kept, where the query needs that: all of
    /// them in one pass, before the one that reads them.
    fn prepare(&self, at: usize, behind: &[usize]) -> DfResult<()> {
        let pass = Pass::default();
        for at in std::iter::once(&at).chain(behind) {
            let ScanFile { file, tally, .. } = self.source.files().file(*at);
            if !file.snapshot.member.as_ref().is_some_and(|member| member.is_read_through()) {
                continue;
            }
            let plan = self.source.plan(*at, file)?;
            if plan.needs_stamp_context()
                && let Err(error) = self.before(file, 0..u64::MAX).stamps(&pass)
            {
                tally.fail(&error);
            }
        }
        Ok(())
    }

    /// Opens file `at`, or the part of it that `target` says. `None` if there is nothing to read, or no way to.
    fn open(&self, at: usize, target: Option<&PartitionedFile>, announced: Option<&Announced>) -> DfResult<Option<BatchStream>> {
        let source = Arc::clone(&self.source);
        let scan = source.files().file(at);
        let file = &scan.file;
        let snapshot = &file.snapshot;
        let range = match target.and_then(|target| target.range.as_ref()) {
            Some(range) => Some(range_of(range.start, range.end)?),
            None => None,
        };
        let opener = StretchOpener {
            source: Arc::clone(&source),
            plan: source.plan(at, file)?,
            file: Arc::clone(file),
            tally: Arc::clone(&scan.tally),
            limit: self.limit,
            metrics: self.metrics.clone(),
            points: None,
        };
        // What cannot be entered in the middle is read as a whole by whoever has its beginning.
        let whole = scan.is_whole();
        if whole && range.as_ref().is_some_and(|range| range.start > 0) {
            return Ok(source.lanes(at).join().map(|text| LaneStream::new(text, opener).boxed()));
        }
        let counted = opener.count();
        // The plan may be older than our list, or come from elsewhere: one of them is not of this generation.
        let is_other = |target: &PartitionedFile| {
            target.object_meta.size != snapshot.size || partitioned_file_mtime(target) != snapshot_mtime(snapshot)
        };
        if target.is_some_and(is_other) {
            let change = Change { kind: ChangeKind::Replaced, at: 0 };
            return opener.changed(&counted, change).map(|()| None);
        }
        let read = &source.context().options.read;
        if let Some(announced) = announced
            && opener.can_be_shared()
            && file.begin() == 0
        {
            let points = source.context().keeps(snapshot).then(RestartPoints::default);
            match source::share(snapshot, opener.plan.needs_line_numbers(), points.as_ref(), read) {
                Ok(Some(text)) => {
                    let text = Arc::new(text);
                    let opener = StretchOpener { points, ..opener };
                    announced.share(&text);
                    counted.end(PieceEnd::Whole);
                    return Ok(Some(LaneStream::new(text, opener).boxed()));
                }
                Ok(None) => {}
                Err(error) => return opener.failed(&counted, error).map(|()| None),
            }
        }
        let all = file.begin()..if whole { u64::MAX } else { snapshot.size };
        let range = range.filter(|_| !whole).unwrap_or(all);
        let pass = scan.kept.as_ref().map_or_else(|| self.pass.clone(), Pass::of);
        let before = self.before(file, range.clone());
        if !whole && before.is_excluded(&pass) {
            counted.skip(scan.bytes_of(&range));
            return Ok(None);
        }
        if let Some(at) = scan.points.iter().position(|point| point.text() == range.start) {
            return self.open_at(scan, at, range, &opener, counted);
        }
        let counts_lines = opener.plan.needs_line_numbers() && range.start > 0;
        let first_line = if counts_lines { before.first_line(&pass) } else { Ok(1) };
        // The beginning of a stream is gone before its end is seen: there the year nearest to now is taken.
        let stamps = (snapshot.kind != FileKind::Regular).then(StampContext::default);
        let opened = first_line.and_then(|first_line| {
            let piece = Piece { start: range.start, end: range.end, first_line, stamps };
            open_piece(&pass, snapshot, piece, read)
        });
        match opened {
            Ok((piece, reader)) => Ok(Some(opener.stream(range, piece, reader, counted, pass)?.boxed())),
            Err(error) => opener.failed(&counted, error).map(|()| None),
        }
    }

    /// Opens the piece of a compressed file that begins at point `at`.
    fn open_at(
        &self,
        scan: &ScanFile,
        at: usize,
        range: Range<u64>,
        opener: &StretchOpener,
        counted: Counted,
    ) -> DfResult<Option<BatchStream>> {
        let (point, behind) = (&scan.points[at], scan.points.get(at + 1));
        let opened = source::open_at(&scan.file.snapshot, point, behind, &self.source.context().options.read);
        match opened {
            Ok(reader) => {
                let first_line = point.line_feeds() + 1;
                // A file whose stamps depend on those before them is entered nowhere.
                let piece = Piece { start: range.start, end: range.end, first_line, stamps: Some(StampContext::default()) };
                let reader = Box::new(AfterGap::behind(point.before(), reader));
                Ok(Some(opener.stream(range, piece, reader, counted, Pass::default())?.boxed()))
            }
            Err(error) => opener.failed(&counted, error).map(|()| None),
        }
    }

    fn before(&self, file: &Arc<LogFile>, range: Range<u64>) -> Before {
        let (source, file, cancelled) = (Arc::clone(&self.source), Arc::clone(file), Arc::clone(&self.cancelled));
        Before { source, file, range, cancelled }
    }
}

/// What is before a piece of a file, which may take reading the file.
struct Before {
    source: Arc<LogSource>,
    file: Arc<LogFile>,
    range: Range<u64>,
    cancelled: Arc<AtomicBool>,
}

impl Before {
    /// The number of the piece's first line.
    fn first_line(&self, pass: &Pass) -> Result<u64, SourceError> {
        // Where the lines of a file are counted from its part on, those before it were counted when they were collected.
        let before = self.file.part.filter(|_| self.is_known()).map_or(0, |part| part.begin.line.saturating_sub(1));
        Ok(before + self.look(pass, |ahead, index, place| index.first_line(ahead, place))?)
    }

    /// Is this piece one of those that the file is cut into?
    fn is_known(&self) -> bool {
        let cut = self.file.pieces(self.source.context().options.piece_bytes);
        self.file.snapshot.is_splittable() && cut.is_ok_and(|pieces| pieces.contains(&self.range))
    }

    /// What the stamps before the piece say about those in it.
    fn stamps(&self, pass: &Pass) -> Result<StampContext, SourceError> {
        let Some(plan) = self.source.time_plan(&self.file) else { return Ok(StampContext::default()) };
        self.look(pass, |ahead, index, place| index.stamps(ahead, place, &plan))
    }

    /// The last line before the piece that says what columns are.
    fn header(&self, pass: &Pass) -> Result<Option<Header>, SourceError> {
        let Some(plan) = self.source.stamp_plan(&self.file) else { return Ok(None) };
        self.look(pass, |ahead, _, _| ahead.header_before(self.range.start, &plan))
    }

    /// Are the times and values of the rows in the piece such that none of them passes the filters, as they are at this moment?
    fn is_excluded(&self, pass: &Pass) -> bool {
        let Self { source, file, range, .. } = self;
        let table = source.table();
        let asked = source.pushed().columns();
        let is_asked = |name: &str| table.column(name).is_some_and(|column| asked.contains(&column));
        let Some(filter) = source.pushed().conjunction() else { return false };
        let known = file.index.facts().bounds(table.name, range).filter(|_| is_asked(TIME));
        // Whatever is wrong with the file is told where it is read.
        let bounds = known.or_else(|| is_asked(TIME).then(|| self.assumed_bounds(pass).unwrap_or(None))?);
        let values = file.index.values();
        if bounds.is_none() && !INDEXED.iter().any(|name| is_asked(name) && values.knows_some(table.name, name)) {
            return false;
        }
        let known = Known { table, pieces: std::slice::from_ref(range), times: &[bounds], values: &values };
        excluded(filter, &known) == [true]
    }

    /// A scan has read all of the piece.
    fn learn(&self, decoder: &LogDecoder, issues: &[Issue], is_anchored: bool, observer: Option<&SharedObserver>) {
        let Self { source, file, range, .. } = self;
        let end = if file.snapshot.is_splittable() { file.snapshot.size } else { u64::MAX };
        // A damaged or truncated file has rows that were not seen, and one that grows may have held its last line back.
        let is_harmless = |issue: &Issue| match issue {
            Issue::Moved { .. } => true,
            Issue::Grown { .. } => range.end < end,
            _ => false,
        };
        // A stream is another one each time.
        let is_kept = file.snapshot.kind == FileKind::Regular && range.start < range.end;
        if !is_kept || !decoder.looked_at_all() || !issues.iter().all(is_harmless) {
            return;
        }
        let table = source.table().name;
        if let Some(rows) = decoder.total_rows() {
            let counts = LineCounts { rows, bad_values: 0, ..LineCounts::of(decoder.counts()) };
            file.index.facts().learn(table, range, Facts { counts, times: decoder.time_bounds() }, is_anchored);
        }
        if let Some(observer) = observer {
            let mut observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
            if file.index.values().learn(table, range, &mut observer) {
                file.index.facts().is_news = true;
            }
        }
        source.context().learned(file);
    }

    /// Between which times its rows lie, as far as the user's word for the order of lines goes.
    fn assumed_bounds(&self, pass: &Pass) -> Result<Option<TimeBounds>, SourceError> {
        let Some(slack) = self.source.context().options.assume_ordered else { return Ok(None) };
        // What is compressed has no ends to look at.
        if !self.file.snapshot.is_splittable() {
            return Ok(None);
        }
        let Some(plan) = self.source.stamp_plan(&self.file) else { return Ok(None) };
        let slack_us = i64::try_from(slack.as_micros()).unwrap_or(i64::MAX);
        self.look(pass, |ahead, index, place| match ahead.pieces.len() {
            // What is small is read.
            1 => Ok(None),
            _ => index.assumed_bounds(ahead, place, slack_us, &plan),
        })
    }

    /// Looks at the file as it is cut, of which this piece is one.
    fn look<T>(
        &self,
        pass: &Pass,
        look: impl Fn(&ReadAhead<'_>, &FileIndex, usize) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let Self { source, file, range, cancelled } = self;
        let options = &source.context().options;
        // How many bytes come out of what is compressed is known at its end.
        let unpacked = 0..u64::MAX;
        let known =
            if file.snapshot.is_splittable() { file.pieces(options.piece_bytes)? } else { std::slice::from_ref(&unpacked) };
        let foreign = [0..range.start, range.clone(), range.end..file.snapshot.size.max(range.end)];
        let scratch = FileIndex::default();
        // A range of someone else's cut: all before it is one piece.
        let (pieces, index, place) = match known.iter().position(|known| known == range) {
            Some(place) => (known, &file.index, place),
            None => (&foreign[..], &scratch, 1),
        };
        let ahead = ReadAhead {
            snapshot: &file.snapshot,
            pass,
            pieces,
            headers: &index.headers,
            read: &options.read,
            zone: &options.zone,
            max_record_bytes: options.max_record_bytes,
            cancelled,
        };
        look(&ahead, index, place)
    }
}

fn range_of(start: i64, end: i64) -> DfResult<Range<u64>> {
    match (u64::try_from(start), u64::try_from(end)) {
        (Ok(start), Ok(_)) if end == i64::MAX => Ok(start..u64::MAX),
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(exec_datafusion_err!("the range {start}..{end} is no range of a file")),
    }
}

/// Says when nobody waits any more for what was begun elsewhere.
pub(super) struct CancelOnDrop(pub(super) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes streams of one file's pieces.
pub(super) struct StretchOpener {
    source: Arc<LogSource>,
    plan: Arc<ScanPlan>,
    file: Arc<LogFile>,
    tally: Arc<FileTally>,
    limit: Option<usize>,
    metrics: OpenerMetrics,
    /// Where the file can be entered, which is found out as it is read.
    points: Option<RestartPoints>,
}

impl StretchOpener {
    /// All of the file has been unpacked.
    pub(super) fn finish(&self) {
        if let Some(points) = &self.points {
            self.file.index.learn_points(points.take());
            self.source.context().learned(&self.file);
        }
    }

    /// Counts what is about to be read.
    pub(super) fn count(&self) -> Counted {
        self.tally.start_piece();
        Counted { tally: Arc::clone(&self.tally), metrics: self.metrics.clone(), told: 0, ended: false }
    }

    /// Can any line be read without those before it?
    fn can_be_shared(&self) -> bool {
        !self.plan.joins_lines() && !self.plan.needs_stamp_context() && !self.plan.has_headers()
    }

    /// The batches of a stretch of whole lines.
    pub(super) fn open(&self, stretch: Stretch) -> DfResult<PieceStream> {
        let Stretch { start, end, first_line, reader } = stretch;
        let piece = Piece { start, end, first_line, stamps: Some(StampContext::default()) };
        let reader = if start > 0 { Box::new(AfterGap::new(reader)) } else { reader };
        self.stream(start..end, piece, reader, self.count(), Pass::default())
    }

    fn stream(
        &self,
        range: Range<u64>,
        piece: Piece,
        reader: Box<dyn ByteReader>,
        counted: Counted,
        pass: Pass,
    ) -> DfResult<PieceStream> {
        let ScanOptions { max_record_bytes, step_bytes, on_change, .. } = self.source.context().options;
        let options = DecodeOptions { batch_rows: self.source.batch_rows(), limit: self.limit, max_record_bytes };
        let mut decoder = LogDecoder::new(Arc::clone(&self.plan), piece, options);
        let observer = self.observer(&range);
        let filter = self.source.pushed().row_filter(self.source.table().schema(), observer.clone())?;
        // Without a filter, all rows are those that come out.
        let sees_batches = filter.is_none();
        if let Some(filter) = filter {
            decoder = decoder.with_filter(Box::new(filter));
        }
        let work = Some(Work { reader, decoder, counted, tail_known: false });
        let cancelled = Arc::new(AtomicBool::new(false));
        let (source, file) = (Arc::clone(&self.source), Arc::clone(&self.file));
        let before = Arc::new(Before { source, file, range, cancelled: Arc::clone(&cancelled) });
        let is_anchored = self.plan.needs_stamp_context();
        let _cancelled = CancelOnDrop(cancelled);
        Ok(PieceStream {
            before,
            pass,
            asked: None,
            observer,
            sees_batches,
            is_anchored,
            _cancelled,
            work,
            want: 1,
            step_bytes,
            on_change,
        })
    }

    /// Who looks at the values of a piece as it is read, where they are kept and not known yet.
    fn observer(&self, range: &Range<u64>) -> Option<SharedObserver> {
        if !self.source.context().keeps(&self.file.snapshot) {
            return None;
        }
        let table = self.source.table().name;
        let values = self.file.index.values();
        let unknown = self.source.columns_of_all_rows().filter(|column| !values.knows(table, column, range));
        Observer::of(unknown).map(|observer| Arc::new(Mutex::new(observer)))
    }

    /// What comes of a file that is not any more what it was.
    pub(super) fn changed(&self, counted: &Counted, change: Change) -> DfResult<()> {
        counted.tally.change(&change);
        match self.source.context().options.on_change {
            OnChange::Report => Ok(()),
            OnChange::Fail => Err(TableError::Changed { path: self.file.snapshot.path.clone(), change }.into()),
        }
    }

    /// What comes of a file that cannot be read.
    pub(super) fn failed(&self, counted: &Counted, error: SourceError) -> DfResult<()> {
        if let SourceError::Changed { change, .. } = error {
            return self.changed(counted, change);
        }
        counted.tally.fail(&error);
        match self.source.context().options.on_change {
            OnChange::Report => Ok(()),
            OnChange::Fail => Err(DataFusionError::External(Box::new(error))),
        }
    }
}

/// A reader for `piece`, at the offset where its decoder begins.
///
/// The decoder looks at the byte before its piece to see whether a line begins there. Behind a hole and behind a byte
/// order mark one does, though that byte is no line feed: one is put there.
pub(super) fn open_piece(
    pass: &Pass,
    snapshot: &Snapshot,
    mut piece: Piece,
    read: &ReadOptions,
) -> Result<(Piece, Box<dyn ByteReader>), SourceError> {
    let mark = u64::from(snapshot.bom_len);
    if piece.start <= mark && mark > 0 && snapshot.is_splittable() {
        piece.start = mark;
        return Ok((piece, Box::new(AfterGap::new(source::open_in(pass, snapshot, mark, read)?))));
    }
    if piece.start > 0 && snapshot.sparse {
        let reader = source::open_in(pass, snapshot, piece.start, read)?;
        if reader.begins() == Begins::Line {
            return Ok((piece, Box::new(AfterGap::new(reader))));
        }
    }
    if piece.start > 0 && !snapshot.is_splittable() {
        let mut reader = source::open_in(pass, snapshot, 0, read)?;
        skip(reader.as_mut(), piece.start - 1)?;
        return Ok((piece, reader));
    }
    let mut reader = source::open_in(pass, snapshot, piece.start.saturating_sub(1), read)?;
    if !snapshot.is_splittable() {
        // Only what comes out of it tells whether a mark was skipped.
        reader.fill(1)?;
        if reader.offset() > 0 {
            piece.start = reader.offset();
            return Ok((piece, Box::new(AfterGap::new(reader))));
        }
    }
    Ok((piece, reader))
}

/// Moves a reader of what cannot be entered in the middle to `offset`, or to its end.
fn skip(reader: &mut dyn ByteReader, offset: u64) -> Result<(), SourceError> {
    while reader.offset() < offset {
        let left = usize::try_from(offset - reader.offset()).unwrap_or(usize::MAX);
        let Fill { bytes, end } = reader.fill(1)?;
        let take = bytes.len().min(left);
        if take == 0 && end {
            break;
        }
        reader.consume(take);
    }
    Ok(())
}

/// Counts a piece in the report exactly once, however it ends.
pub(super) struct Counted {
    tally: Arc<FileTally>,
    metrics: OpenerMetrics,
    /// Bytes that the progress knows of.
    told: u64,
    ended: bool,
}

impl Counted {
    /// Tells how far the reader is.
    fn advance(&mut self, bytes_read: u64) {
        self.tally.advance(bytes_read.saturating_sub(self.told));
        self.told = self.told.max(bytes_read);
    }

    /// Without anything to count.
    pub(super) fn end(mut self, end: PieceEnd) {
        self.ended = true;
        self.tally.end_piece(end, 0, None, &[]);
    }

    /// No row of the piece, which has so many bytes, can pass the filters.
    fn skip(mut self, bytes: u64) {
        self.ended = true;
        self.metrics.skip(1, bytes);
        self.tally.advance(bytes);
        self.tally.end_piece(PieceEnd::Skipped(bytes), 0, None, &[]);
    }

    fn finish(mut self, end: PieceEnd, reader: &dyn ByteReader, decoder: &LogDecoder) {
        self.ended = true;
        self.advance(reader.bytes_read());
        let counts = decoder.counts();
        self.metrics.bytes.add(usize::try_from(reader.bytes_read()).unwrap_or(usize::MAX));
        self.metrics.lines.add(usize::try_from(counts.lines).unwrap_or(usize::MAX));
        self.metrics.unparsed.add(usize::try_from(counts.unparsed).unwrap_or(usize::MAX));
        self.metrics.ruled_out.add(usize::try_from(counts.ruled_out).unwrap_or(usize::MAX));
        self.tally.end_piece(end, reader.bytes_read(), Some(counts), reader.issues());
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.ended {
            self.tally.end_piece(PieceEnd::Early, 0, None, &[]);
        }
    }
}

/// What is at work while a piece is read.
struct Work {
    reader: Box<dyn ByteReader>,
    decoder: LogDecoder,
    counted: Counted,
    /// It was decided what becomes of a last line without a line feed.
    tail_known: bool,
}

/// The batches of one piece.
pub(super) struct PieceStream {
    before: Arc<Before>,
    /// The walk through the archive that the file is in: a small member is still there, and read again at once.
    pass: Pass,
    /// Somebody is finding out about what is before the piece.
    asked: Option<JoinHandle<Result<Answer, SourceError>>>,
    /// Who looks at the values.
    observer: Option<SharedObserver>,
    /// Batches have all rows that were read.
    sees_batches: bool,
    /// Times depend on the time of the file.
    is_anchored: bool,
    _cancelled: CancelOnDrop,
    /// `None` once the piece is over.
    work: Option<Work>,
    /// How many bytes the next step needs at least.
    want: usize,
    step_bytes: usize,
    on_change: OnChange,
}

/// What is before a piece.
enum Answer {
    Stamps(StampContext),
    Header(Option<Header>),
}

/// What a step came to.
enum Step {
    Batch(RecordBatch),
    /// Nothing yet.
    Yield,
    /// What the stamps before the piece say has to be known.
    NeedStamps,
    /// So does the line that says what columns are.
    NeedHeader,
    /// The last batch, if there is one.
    Done(Option<RecordBatch>),
}

/// What stops a piece.
enum Stop {
    Changed(Change),
    Failed(SourceError),
    Decode(DecodeError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Changed { change, .. } => Self::Changed(change),
            error => Self::Failed(error),
        }
    }
}

impl Work {
    fn step(&mut self, want: &mut usize, step_bytes: usize) -> Result<Step, Stop> {
        let Fill { bytes, end } = self.reader.fill(*want)?;
        if end && bytes.last().is_some_and(|byte| *byte != b'\n') && !self.tail_known {
            self.look_at_tail()?;
            return Ok(Step::Yield);
        }
        // More than a step only if the decoder cannot go on with less.
        let take = bytes.len().min(step_bytes.max(*want));
        let last = end && take == bytes.len();
        let decoded = self.decoder.decode(&bytes[..take], last).map_err(Stop::Decode)?;
        self.reader.consume(decoded.used);
        match decoded.status {
            Status::NeedMore if last && decoded.used == 0 => self.finish(),
            Status::NeedMore => {
                *want = if decoded.used == 0 { self.decoder.wants(take) } else { 1 };
                Ok(Step::Yield)
            }
            Status::BatchReady => {
                *want = 1;
                self.reader.verify().map_err(Stop::Changed)?;
                let batch = self.decoder.flush().map_err(Stop::Decode)?;
                Ok(batch.map_or(Step::Yield, Step::Batch))
            }
            Status::NeedStamps => Ok(Step::NeedStamps),
            Status::NeedHeader => Ok(Step::NeedHeader),
            Status::Done => self.finish(),
        }
    }

    /// The file ends within a line. If it has grown since, that line is still being written, and left to the next query.
    fn look_at_tail(&mut self) -> Result<(), Stop> {
        self.tail_known = true;
        self.reader.verify().map_err(Stop::Changed)?;
        if self.reader.issues().iter().any(|issue| matches!(issue, Issue::Grown { .. })) {
            self.decoder.set_tail(Tail::Hold);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Step, Stop> {
        self.reader.verify().map_err(Stop::Changed)?;
        Ok(Step::Done(self.decoder.flush().map_err(Stop::Decode)?))
    }
}

impl PieceStream {
    fn step(&mut self) -> Poll<Option<DfResult<RecordBatch>>> {
        let Some(mut work) = self.work.take() else { return Poll::Ready(None) };
        let step = catch_unwind(AssertUnwindSafe(|| work.step(&mut self.want, self.step_bytes)));
        work.counted.advance(work.reader.bytes_read());
        let stop = match step {
            Ok(Ok(Step::Batch(batch))) => {
                self.observe(&batch);
                work.counted.tally.give(batch.num_rows());
                self.work = Some(work);
                return Poll::Ready(Some(Ok(batch)));
            }
            Ok(Ok(Step::Yield)) => {
                self.work = Some(work);
                return Poll::Pending;
            }
            Ok(Ok(Step::NeedStamps)) => {
                let pass = self.pass.clone();
                self.ask(move |before| before.stamps(&pass).map(Answer::Stamps));
                self.work = Some(work);
                return Poll::Pending;
            }
            Ok(Ok(Step::NeedHeader)) => {
                let pass = self.pass.clone();
                self.ask(move |before| before.header(&pass).map(Answer::Header));
                self.work = Some(work);
                return Poll::Pending;
            }
            Ok(Ok(Step::Done(batch))) => {
                batch.iter().for_each(|batch| self.observe(batch));
                let Work { reader, decoder, counted, .. } = work;
                // Years are counted back from the end only where a stamp has none.
                let is_anchored = self.is_anchored && decoder.stamp_summary().first.is_some();
                self.before.learn(&decoder, reader.issues(), is_anchored, self.observer.as_ref());
                counted.tally.give(batch.as_ref().map_or(0, RecordBatch::num_rows));
                counted.finish(PieceEnd::Whole, reader.as_ref(), &decoder);
                return Poll::Ready(batch.map(Ok));
            }
            Ok(Err(stop)) => stop,
            Err(payload) => {
                // The decoder's state is not to be trusted: its counts are left out.
                let doing = format!("decoding {}", self.before.file.name);
                return Poll::Ready(Some(Err(TableError::panicked(&doing, &payload).into())));
            }
        };
        Poll::Ready(self.stop(work, stop).map(Err))
    }

    fn observe(&self, batch: &RecordBatch) {
        if let Some(observer) = self.observer.as_ref().filter(|_| self.sees_batches) {
            observer.lock().unwrap_or_else(PoisonError::into_inner).see(batch);
        }
    }

    /// Has somebody look at what is before the piece.
    fn ask(&mut self, look: impl FnOnce(&Before) -> Result<Answer, SourceError> + Send + 'static) {
        let before = Arc::clone(&self.before);
        self.asked = Some(tokio::task::spawn_blocking(move || look(&before)));
    }

    /// The piece ends early.
    fn stop(&self, work: Work, stop: Stop) -> Option<DataFusionError> {
        let tally = Arc::clone(&work.counted.tally);
        let Work { reader, decoder, counted, .. } = work;
        counted.finish(PieceEnd::Early, reader.as_ref(), &decoder);
        let path = || self.before.file.snapshot.path.clone();
        match stop {
            Stop::Changed(change) => {
                tally.change(&change);
                Some(TableError::Changed { path: path(), change }.into()).filter(|_| self.on_change == OnChange::Fail)
            }
            Stop::Failed(error) => {
                tally.fail(&error);
                Some(DataFusionError::External(Box::new(error))).filter(|_| self.on_change == OnChange::Fail)
            }
            Stop::Decode(error) => Some(decode_error(error)),
        }
    }

    /// Waits for what is before the piece, if the decoder asked for it.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<DfResult<RecordBatch>>> {
        let Some(asked) = &mut self.asked else { return Poll::Ready(None) };
        let Poll::Ready(answer) = asked.poll_unpin(context) else { return Poll::Pending };
        self.asked = None;
        let error = match (answer, self.work.take()) {
            (Ok(Ok(answer)), Some(mut work)) => {
                match answer {
                    Answer::Stamps(stamps) => work.decoder.set_stamps(stamps),
                    Answer::Header(header) => work.decoder.set_header(header.as_deref()),
                }
                self.work = Some(work);
                None
            }
            (Ok(Err(error)), Some(work)) => self.stop(work, error.into()),
            (Err(error), _) => Some(match error.try_into_panic() {
                Ok(payload) => TableError::panicked("looking at what is before a piece of a file", &payload).into(),
                Err(_) => exec_datafusion_err!("the query was cancelled"),
            }),
            (Ok(_), None) => None,
        };
        Poll::Ready(error.map(Err))
    }
}

/// A filter's error is one of DataFusion's, wrapped on its way through the decoder.
fn decode_error(error: DecodeError) -> DataFusionError {
    match error {
        DecodeError::Filter(inner) => match inner.downcast::<DataFusionError>() {
            Ok(error) => *error,
            Err(other) => DataFusionError::External(other),
        },
        error => DataFusionError::External(Box::new(error)),
    }
}

impl Stream for PieceStream {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.asked.is_some() {
            match self.wait(context) {
                Poll::Ready(None) => {}
                waiting_or_failed => return waiting_or_failed,
            }
        }
        let polled = self.step();
        if polled.is_pending() {
            context.waker().wake_by_ref();
        }
        polled
    }
}

impl Drop for PieceStream {
    fn drop(&mut self) {
        if let Some(Work { reader, decoder, counted, .. }) = self.work.take() {
            counted.finish(PieceEnd::Early, reader.as_ref(), &decoder);
        }
    }
}
