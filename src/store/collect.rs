//! Brings what is new in logs into a store.
//!
//! ```text
//!   listing ──seam──► files with something new ──► units of up to 1 GiB ──► for each table: scan ─► sort ─► one file per day
//!                       └─ up to where? the last whole record                                                 │
//!                                                    commit: rows and checkpoints of the unit, together ◄─────┘
//! ```
//!
//! A unit is what is lost if the power fails, and what is sorted in memory: a larger file is collected in parts. Rows are sorted by time, file and offset, which no two rows have in common, so the files
//! are the same for any number of threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use futures::{StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;

use super::disk::Disk;
use super::error::StoreError;
use super::manifest::{Manifest, Source, Text};
use super::seam::{Copies, Place, places, state_of, text_upto};
use super::sort::{Windows, sorted, stored_rows};
use super::write::{DayFiles, DayFilesArgs, NewFile, Sources};
use super::writer::StoreWriter;
use crate::kernel::decode::count_lines;
use crate::kernel::table::{TableDef, UNPARSED, tables};
use crate::session::Session;
use crate::source::{self, Compression, Fill, ReadOptions, Severity, Snapshot, SourceError, is_rotated};
use crate::table::{Begin, FileFormat, FileReport, FileSet, FileStatus, LogFile, LogTable, Part, Remark, Rest};

/// How much text there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// What is written together.
    pub unit: u64,
    /// What of a large log is.
    pub part: u64,
    /// What of a large log is held in memory.
    pub window: u64,
}

impl Sizes {
    /// The sizes for this much memory, where the rows of a text take about twice as much as it.
    pub fn within(memory_bytes: usize) -> Self {
        let memory = memory_bytes as u64;
        // Less makes small files, and more is done again after a crash.
        let (least, most) = (32 << 20, 1 << 30);
        Self { unit: (memory / 5).clamp(least, most), part: most, window: (memory / 16).clamp(16 << 20, 128 << 20) }
    }
}

/// What a compressed log unpacks to, about.
const RATIO: u64 = 8;

/// How far before the end of a live log its last record is looked for: that is longer than any record.
const LAST_RECORD_BYTES: u64 = 2 << 20;

/// A log with a live name that nobody wrote to for so long has its last record.
const QUIET_S: i64 = 24 * 60 * 60;

/// A log that is not found any more is forgotten after this time.
const FORGET_S: i64 = 400 * 24 * 60 * 60;

/// How to collect.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// zstd's level.
    pub level: i32,
    /// What about files that are the beginning of others?
    pub copies: Copies,
    /// How bytes are read.
    pub read: ReadOptions,
    /// How much text is dealt with at once.
    pub sizes: Sizes,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Collected {
    /// Files of which something was collected.
    pub files: usize,
    /// Files of which all was in the store already.
    pub known: usize,
    /// Rows, by table.
    pub rows: BTreeMap<String, u64>,
    /// Bytes of the files, as they are on the disk.
    pub bytes_read: u64,
    /// Bytes of new Parquet files.
    pub bytes_written: u64,
    /// What was left for another time, or lost, and why.
    pub remarks: Vec<(PathBuf, Remark)>,
}

/// A file with something new.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) file: Arc<LogFile>,
    /// The source that it continues.
    pub(super) source: Option<usize>,
    /// What its text is up to the end of the part; not known yet of what is packed.
    pub(super) text: Option<Text>,
    /// The part goes to the end of the file.
    pub(super) done: bool,
}

/// Collects what is new in the inputs of a session. `step` is told how many bytes of how many there are behind us.
pub async fn collect(
    session: &Session,
    writer: &mut StoreWriter,
    options: &CollectOptions,
    step: &(dyn Fn(u64, u64) + Sync),
) -> Result<Collected, StoreError> {
    let mut collected = Collected::default();
    session.report().begin_query();
    let listing = session.schema().inputs().listing().await?;
    // Files are read in units, in another order: their memory is needed for sorting.
    session.schema().context().options.read.keep.release();
    collected.remarks.extend(listing.problems.iter().cloned());
    let snapshots = || listing.stored.iter().map(|(snapshot, _)| snapshot).chain(listing.files.iter().map(|file| &file.snapshot));
    let all: Vec<&Snapshot> = snapshots().collect();
    let found = tokio::task::block_in_place(|| places(&writer.manifest, &all, options.copies, &options.read));
    let seen: Vec<usize> = found.iter().filter_map(|place| place.source).collect();
    collected.known = listing.stored.len();
    for (snapshot, remark) in &listing.stored {
        collected.remarks.extend(remark.iter().map(|remark| (snapshot.path.clone(), remark.clone())));
    }

    let mut work = vec![];
    for (file, place) in listing.files.iter().zip(&found[listing.stored.len()..]) {
        match new_part(session, file, place, options).await {
            Ok(Some(part)) => work.push(part),
            Ok(None) => {}
            Err(remark) => collected.remarks.push((file.snapshot.path.clone(), remark)),
        }
    }
    let total = work.iter().map(Work::bytes_left).sum();
    let mut done = 0;
    for mut unit in units(work, options.sizes.unit) {
        while !unit.is_empty() {
            let unfinished: Vec<Work> = unit.iter().filter(|work| !work.done).cloned().collect();
            done += unit.iter().map(|work| new_bytes(&work.file)).sum::<u64>();
            Unit { session, writer, options, collected: &mut collected, reports: vec![], bytes_read: 0 }.run(unit).await?;
            step(done, total);
            // What was too much for one unit.
            unit = vec![];
            for work in unfinished {
                unit.extend(next_part(session, writer, &work, options, &mut collected.remarks).await);
            }
        }
    }
    note_seen(writer, &seen, options.now)?;
    Ok(collected)
}

/// What is behind the part of a file that was just collected, if it was.
async fn next_part(
    session: &Session,
    writer: &StoreWriter,
    before: &Work,
    options: &CollectOptions,
    remarks: &mut Vec<(PathBuf, Remark)>,
) -> Option<Work> {
    let snapshot = &before.file.snapshot;
    let place = tokio::task::block_in_place(|| places(&writer.manifest, &[snapshot], options.copies, &options.read)).pop()?;
    let end = before.file.part.map(|part| part.end);
    // A file that gave trouble is where it was.
    let goes_on = matches!(&place.rest, Rest::From(begin) if Some(begin.offset) == end);
    if !goes_on {
        return None;
    }
    match new_part(session, &before.file, &place, options).await {
        Ok(part) => part,
        Err(remark) => {
            remarks.push((snapshot.path.clone(), remark));
            None
        }
    }
}

/// What is new in a file, up to its last whole record. `Err` says why it has to wait.
async fn new_part(
    session: &Session,
    file: &Arc<LogFile>,
    place: &Place,
    options: &CollectOptions,
) -> Result<Option<Work>, Remark> {
    let snapshot = &file.snapshot;
    let begin = match &place.rest {
        Rest::All => Begin { offset: 0, line: 1 },
        Rest::From(begin) => *begin,
        Rest::Nothing(_) => return Ok(None),
    };
    if let FileFormat::Unreadable(remark) = &file.format {
        return Err(remark.clone());
    }
    if file.format == FileFormat::Empty {
        return Ok(None);
    }
    let age = options.now.saturating_sub(snapshot.mtime_ns.div_euclid(1_000_000_000));
    let is_quiet = age >= i64::try_from(options.read.sealed_after.as_secs()).unwrap_or(i64::MAX);
    if !snapshot.is_splittable() || snapshot.member.is_some() {
        let is_packed = snapshot.compression != Compression::None && snapshot.member.is_none();
        if is_packed && !is_quiet && options.copies == Copies::Skip && !is_complete(snapshot, &options.read) {
            let text = "is not complete yet; left to the next run".to_owned();
            return Err(Remark { severity: Severity::Note, text, hint: None });
        }
        let file = match begin.offset {
            0 => Arc::clone(file),
            _ => Arc::new(file.with_part(session.schema().context(), Part { begin, end: u64::MAX })),
        };
        return Ok(Some(Work { file, source: place.source, text: None, done: true }));
    }
    // What is still written to ends with the last record that is whole.
    let is_final = is_quiet && (options.copies == Copies::Read || is_rotated(&snapshot.path) || age >= QUIET_S);
    let part = options.sizes.part;
    let is_large = snapshot.size.saturating_sub(begin.offset) > part.saturating_mul(3) / 2;
    let cut = match is_large && can_be_cut(session, file) {
        true => last_whole(session, file, begin, begin.offset + part, &options.read).await?,
        false => None,
    };
    let cut = cut.filter(|end| *end > begin.offset);
    let end = match cut {
        Some(end) => Some(end),
        None if is_final => Some(snapshot.size),
        None => last_whole(session, file, begin, snapshot.size, &options.read).await?,
    };
    let Some(end) = end.filter(|end| *end > begin.offset) else { return Ok(None) };
    let (read, whole) = (options.read.clone(), snapshot.clone());
    let text = blocking(move || {
        let line = begin.line + lines_in(&whole, begin.offset, end, &read)?;
        text_upto(&whole, end, line, &read)
    });
    let text = text.await.map_err(|error| later(&error))?;
    let part = Part { begin, end };
    Ok(Some(Work {
        file: Arc::new(file.with_part(session.schema().context(), part)),
        source: place.source,
        text,
        done: end == snapshot.size,
    }))
}

/// Is a part of a file read as it is in all of it?
fn can_be_cut(session: &Session, file: &LogFile) -> bool {
    let context = session.schema().context();
    let mut fed = tables().iter().filter(|def| file.feeds(session.formats(), def.name));
    file.snapshot.is_splittable() && file.snapshot.member.is_none() && !fed.any(|def| file.is_dated_as_a_whole(context, def))
}

fn later(error: &SourceError) -> Remark {
    Remark { severity: Severity::Warning, text: format!("left to the next run: {error}"), hint: None }
}

/// What reads files, where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(look).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.try_into_panic().unwrap_or_else(|_| Box::new("the task was cancelled"))),
    }
}

/// Where the last record before `upto` begins, if there may be more lines of it, or else where it ends.
pub(super) async fn last_whole(
    session: &Session,
    file: &Arc<LogFile>,
    begin: Begin,
    upto: u64,
    read: &ReadOptions,
) -> Result<Option<u64>, Remark> {
    let (snapshot, read) = (file.snapshot.clone(), read.clone());
    let end = blocking(move || last_line_feed(&snapshot, begin.offset, upto, &read)).await.map_err(|error| later(&error))?;
    let joins = file.format.name().and_then(|name| session.formats().format(name)).is_some_and(|format| format.is_joined());
    let Some(end) = end.filter(|_| joins) else { return Ok(end) };
    let from = Begin { offset: end.saturating_sub(LAST_RECORD_BYTES).max(begin.offset), line: 1 };
    let tail = Arc::new(file.with_part(session.schema().context(), Part { begin: from, end }));
    let last = last_record(session, tail).await;
    last.map_err(|error| Remark { severity: Severity::Warning, text: format!("left to the next run: {error}"), hint: None })
}

/// The offset of the last record that begins in a part of a file.
async fn last_record(session: &Session, tail: Arc<LogFile>) -> Result<Option<u64>, StoreError> {
    use arrow::array::AsArray as _;
    use arrow::datatypes::UInt64Type;
    let context = session.schema().context();
    let Some(def) = tail.format.name().and_then(|name| session.formats().format(name)).map(|format| format.table) else {
        return Ok(None);
    };
    let set = Arc::new(FileSet::fixed(Arc::clone(context), vec![tail]));
    let table = Arc::new(LogTable::new(Arc::clone(context), def, set));
    let batches = session.frame(table)?.select_columns(&["_offset"])?.collect().await?;
    let offsets = batches.iter().filter_map(|batch| arrow::compute::max(batch.column(0).as_primitive::<UInt64Type>()));
    Ok(offsets.max())
}

/// The offset behind the last line feed that is not before `begin` and before `upto`.
pub(super) fn last_line_feed(file: &Snapshot, begin: u64, upto: u64, read: &ReadOptions) -> Result<Option<u64>, SourceError> {
    let mut end = upto.min(file.size);
    while end > begin {
        let start = end.saturating_sub(read.block_bytes as u64).max(begin);
        let mut reader = source::open(file, start, read)?;
        let len = usize::try_from(end - start).unwrap_or(usize::MAX);
        let Fill { bytes, .. } = reader.fill(len)?;
        if let Some(at) = memchr::memrchr(b'\n', &bytes[..bytes.len().min(len)]) {
            return Ok(Some(start + at as u64 + 1));
        }
        end = start;
    }
    Ok(None)
}

/// The lines from one offset to another. A hole ends a line as a line feed does.
pub(super) fn lines_in(file: &Snapshot, begin: u64, end: u64, read: &ReadOptions) -> Result<u64, SourceError> {
    let mut lines = 0;
    for extent in source::data_extents(file)? {
        let (start, stop) = (extent.start.max(begin), extent.end.min(end));
        if start >= stop {
            continue;
        }
        let mut reader = source::open(file, start, read)?;
        let mut closed = true;
        while reader.offset() < stop {
            let left = usize::try_from(stop - reader.offset()).unwrap_or(usize::MAX);
            let Fill { bytes, end } = reader.fill(1)?;
            let take = bytes.len().min(left);
            lines += count_lines(&bytes[..take]);
            closed = bytes[..take].last().is_none_or(|byte| *byte == b'\n');
            reader.consume(take);
            if end && take == 0 {
                break;
            }
        }
        lines += u64::from(!closed && stop < file.size);
    }
    Ok(lines)
}

/// Can it be unpacked to its end?
fn is_complete(file: &Snapshot, read: &ReadOptions) -> bool {
    tokio::task::block_in_place(|| packed_text(file, read)).is_ok_and(|(_, is_whole)| is_whole)
}

/// What identifies the text of a file that has to be unpacked: up to the end of its last line. And whether it could be unpacked to
/// its end.
fn packed_text(file: &Snapshot, read: &ReadOptions) -> Result<(Option<Text>, bool), SourceError> {
    let mut reader = source::open(file, 0, read)?;
    let (mut lines, mut end_of_lines) = (0, 0);
    let is_whole = loop {
        let Fill { bytes, end } = match reader.fill(1) {
            Ok(fill) => fill,
            Err(_) => break false,
        };
        let len = bytes.len();
        lines += count_lines(bytes);
        let last = memchr::memrchr(b'\n', bytes);
        let begin = reader.offset();
        reader.consume(len);
        end_of_lines = last.map_or(end_of_lines, |at| begin + at as u64 + 1);
        if end {
            break !reader.issues().iter().any(|issue| issue.severity() == Severity::Loss);
        }
    };
    reader.verify().map_err(|change| SourceError::Changed { path: file.path.clone(), change })?;
    if end_of_lines == 0 {
        return Ok((None, is_whole));
    }
    Ok((text_upto(file, end_of_lines, lines + 1, read)?, is_whole))
}

impl Work {
    /// How much there is to read of it in all its parts, about.
    fn bytes_left(&self) -> u64 {
        match self.done {
            true => new_bytes(&self.file),
            false => self.file.snapshot.size.saturating_sub(self.file.part.map_or(0, |part| part.begin.offset)),
        }
    }
}

/// How much there is to read of a file, about.
fn new_bytes(file: &LogFile) -> u64 {
    match (&file.part, file.snapshot.compression) {
        (Some(part), _) if file.snapshot.is_splittable() => part.end.min(file.snapshot.size) - part.begin.offset,
        (_, Compression::None) => file.snapshot.size,
        _ => file.snapshot.size.saturating_mul(RATIO),
    }
}

/// What is written together: logs of one time beside each other, and the members of an archive in one pass.
fn units(work: Vec<Work>, unit_bytes: u64) -> Vec<Vec<Work>> {
    let mut groups: BTreeMap<PathBuf, Vec<Work>> = BTreeMap::new();
    for work in work {
        let archive = work.file.snapshot.member.as_ref().map(|member| member.archive_path().to_owned());
        groups.entry(archive.unwrap_or_else(|| work.file.snapshot.path.clone())).or_default().push(work);
    }
    let mut groups: Vec<Vec<Work>> = groups.into_values().collect();
    groups.sort_by_key(|group| group.iter().map(|work| work.file.snapshot.time_hint_ns()).min());
    let mut units: Vec<Vec<Work>> = vec![];
    let mut bytes = 0;
    for group in groups {
        let more: u64 = group.iter().map(|work| new_bytes(&work.file)).sum();
        match units.last_mut() {
            Some(unit) if bytes + more <= unit_bytes => {
                unit.extend(group);
                bytes += more;
            }
            _ => {
                units.push(group);
                bytes = more;
            }
        }
    }
    units
}

struct Unit<'a> {
    session: &'a Session,
    writer: &'a mut StoreWriter,
    options: &'a CollectOptions,
    collected: &'a mut Collected,
    /// What was read of its files, by all scans so far.
    reports: Vec<FileReport>,
    bytes_read: u64,
}

impl Unit<'_> {
    async fn run(&mut self, mut work: Vec<Work>) -> Result<(), StoreError> {
        while !work.is_empty() {
            let files = self.write(&work).await?;
            let reports = std::mem::take(&mut self.reports);
            let before = work.len();
            work.retain(|work| {
                let path = &work.file.snapshot.path;
                let trouble = reports.iter().filter(|report| report.path == *path).find_map(|report| trouble(report, work));
                self.collected.remarks.extend(trouble.clone().map(|remark| (path.clone(), remark)));
                trouble.is_none()
            });
            if work.len() < before {
                // Rows of a file that changed under us are among the others: once more, without it.
                discard(self.writer.disk.as_ref(), &files);
                continue;
            }
            for (path, remark) in reports.iter().flat_map(|report| report.remarks.iter().map(|remark| (&report.path, remark))) {
                let said = self.collected.remarks.iter().any(|(of, other)| of == path && other == remark);
                if !said && remark.severity != Severity::Note {
                    self.collected.remarks.push((path.clone(), remark.clone()));
                }
            }
            return self.commit(work, files);
        }
        Ok(())
    }

    /// Writes the rows of all tables.
    async fn write(&mut self, work: &[Work]) -> Result<Vec<NewFile>, StoreError> {
        let formats = self.session.formats();
        self.reports.clear();
        self.bytes_read = 0;
        let mut files = vec![];
        for def in tables() {
            let fed: Vec<Arc<LogFile>> =
                work.iter().map(|work| &work.file).filter(|file| file.feeds(formats, def.name)).cloned().collect();
            if fed.is_empty() || (def.name == UNPARSED && self.is_all_parsed(work)) {
                continue;
            }
            match self.write_table(def, fed).await {
                Ok(written) => files.extend(written),
                Err(error) => {
                    discard(self.writer.disk.as_ref(), &files);
                    return Err(error);
                }
            }
        }
        Ok(files)
    }

    /// Did the scans so far see every line of every file, and none that no format takes?
    fn is_all_parsed(&self, work: &[Work]) -> bool {
        let formats = self.session.formats();
        work.iter().all(|work| {
            let own = work.file.format.name().and_then(|name| formats.format(name)).map(|format| format.table.name);
            let is_own = |report: &&FileReport| report.path == work.file.snapshot.path && Some(report.table.as_str()) == own;
            let mut scans = self.reports.iter().filter(is_own).peekable();
            scans.peek().is_some() && scans.all(|report| report.status == FileStatus::Read && report.counts.unparsed == 0)
        })
    }

    /// Notes what a scan has read, once it is over.
    async fn note_scan(&mut self) -> u64 {
        self.session.report().settle().await;
        self.reports.extend(self.session.report().current());
        self.session.report().summary().bytes_read
    }

    async fn write_table(&mut self, def: &'static TableDef, files: Vec<Arc<LogFile>>) -> Result<Vec<NewFile>, StoreError> {
        let context = Arc::clone(self.session.schema().context());
        let notes = self.notes(def, &files);
        let sources: Sources = files.iter().map(|file| (file.name.clone(), vec![source_note(file)])).collect();
        let written = files.iter().map(|file| file.snapshot.time_hint_ns().div_euclid(1000)).max().unwrap_or(0);
        let (session, raw, level) = (self.session, self.writer.manifest.raw, self.options.level);
        let (root, disk) = (self.writer.root.clone(), Arc::clone(&self.writer.disk));
        let rows_of = |files: Vec<Arc<LogFile>>| {
            let set = Arc::new(FileSet::fixed(Arc::clone(&context), files));
            stored_rows(session, Arc::new(LogTable::new(Arc::clone(&context), def, set)), def, raw)
        };
        let new_files = |schema: &SchemaRef| {
            let (root, disk, table) = (&root, &disk, def.name);
            let (notes, sources) = (notes.clone(), sources.clone());
            DayFiles::try_new(DayFilesArgs { root, disk, table, schema, level, notes, sources, written })
        };
        let windows = self.windows(&files);
        if windows.is_empty() {
            let several = files.len() > 1;
            self.session.report().begin_query();
            let (rows, context) = rows_of(files).await?;
            let rows = sorted(self.session, rows, &context, several).await?;
            let new = new_files(&rows.schema())?;
            let written = write_stream(rows, new, &disk).await?;
            let bytes = self.note_scan().await;
            self.bytes_read = self.bytes_read.max(bytes);
            return Ok(written);
        }
        let mut bytes = 0;
        let mut begun: Option<(Windows, Writing, Writing)> = None;
        let read = async {
            let mut windows = windows.into_iter();
            let mut coming: Option<SpawnedTask<DfResult<Vec<RecordBatch>>>> = None;
            loop {
                let batches = match coming.take() {
                    Some(task) => task.join().await.map_err(|_| StoreError::Task { doing: "reading a log" })??,
                    None => vec![],
                };
                if let Some((held, ..)) = &mut begun {
                    bytes += self.note_scan().await;
                    held.take(batches);
                }
                // While rows are written, the next ones are read.
                if let Some(window) = windows.next() {
                    self.session.report().begin_query();
                    let (rows, context) = rows_of(vec![window]).await?;
                    if begun.is_none() {
                        let schema = rows.schema();
                        let new = || Ok::<_, StoreError>(Writing::begin(new_files(&schema)?));
                        begun = Some((Windows::new(&schema, &context), new()?, new()?));
                    }
                    coming = Some(SpawnedTask::spawn(rows.try_collect()));
                }
                let Some((held, in_order, late)) = &mut begun else { return Ok(()) };
                in_order.write_all(held.ready()).await?;
                if coming.is_none() {
                    in_order.write_all(held.rest(false)).await?;
                    return late.write_all(held.rest(true)).await;
                }
            }
        };
        let mut failed = read.await.err();
        self.bytes_read = self.bytes_read.max(bytes);
        let mut written = vec![];
        for writing in begun.into_iter().flat_map(|(_, in_order, late)| [in_order, late]) {
            match writing.finish().await {
                Ok(files) => written.extend(files),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            None => Ok(written),
            Some(error) => {
                discard(disk.as_ref(), &written);
                Err(error)
            }
        }
    }

    /// A large log, cut into windows. None if there is more than one file, or one that has to be read as a whole.
    fn windows(&self, files: &[Arc<LogFile>]) -> Vec<Arc<LogFile>> {
        let [file] = files else { return vec![] };
        let all = Part { begin: Begin { offset: 0, line: 1 }, end: file.snapshot.size };
        let Part { mut begin, end } = file.part.unwrap_or(all);
        let (size, read) = (self.options.sizes.window, &self.options.read);
        if end.saturating_sub(begin.offset) <= size || !can_be_cut(self.session, file) {
            return vec![];
        }
        // Whatever is wrong with the file is told where it is read.
        let mut cuts = vec![begin.offset];
        while let Some(&last) = cuts.last().filter(|last| **last < end) {
            let cut = || last_line_feed(&file.snapshot, last, last + size, read);
            match tokio::task::block_in_place(cut) {
                Ok(Some(cut)) if last + size < end => cuts.push(cut),
                Ok(_) => cuts.push(end),
                Err(_) => return vec![],
            }
        }
        let spans: Vec<(u64, u64)> = cuts.iter().copied().zip(cuts[1..].iter().copied()).collect();
        let count = |(from, to): &(u64, u64)| lines_in(&file.snapshot, *from, *to, read);
        let before_last = &spans[..spans.len().saturating_sub(1)];
        let counted = tokio::task::block_in_place(|| before_last.par_iter().map(count).collect::<Result<Vec<_>, _>>());
        let Ok(counted) = counted else { return vec![] };
        let mut windows = vec![];
        for ((offset, end), lines) in spans.into_iter().zip(counted.into_iter().chain([0])) {
            begin = Begin { offset, ..begin };
            windows.push(Arc::new(file.with_part(self.session.schema().context(), Part { begin, end })));
            begin.line += lines;
        }
        windows
    }

    /// What the rows of a file were read with, for whoever finds it.
    fn notes(&self, def: &TableDef, files: &[Arc<LogFile>]) -> Vec<(String, String)> {
        let mut formats: Vec<String> = files
            .iter()
            .filter_map(|file| self.session.formats().format(file.format.name()?))
            .map(|format| format!("{}@{:016x}", format.name, source::stable_hash(format.text.as_bytes())))
            .collect();
        formats.sort();
        formats.dedup();
        vec![("logsql.table".to_owned(), def.name.to_owned()), ("logsql.definitions".to_owned(), formats.join(" "))]
    }

    fn commit(&mut self, work: Vec<Work>, files: Vec<NewFile>) -> Result<(), StoreError> {
        let now = self.options.now;
        let read = &self.options.read;
        let text_of = |work: &Work| match (work.text, &work.file.snapshot.member) {
            (Some(text), _) => Some(text),
            (None, Some(_)) => None,
            // Its rows are there. If its text cannot be known again, it is known as it stands.
            (None, None) => {
                tokio::task::block_in_place(|| packed_text(&work.file.snapshot, read)).ok().and_then(|(text, _)| text)
            }
        };
        let sources: Vec<_> = work.into_iter().map(|work| noted(&Work { text: text_of(&work), ..work }, now)).collect();
        for file in &files {
            *self.collected.rows.entry(file.stored.table.clone()).or_default() += file.stored.rows;
            self.collected.bytes_written += file.stored.bytes;
        }
        self.collected.files += sources.len();
        self.collected.bytes_read += self.bytes_read;
        self.writer.commit(files, |manifest| {
            for (at, source) in sources {
                match at {
                    Some(at) => manifest.sources[at] = source,
                    None => manifest.sources.push(source),
                }
            }
        })
    }
}

/// The source that a file is, once a part of it was read; and the one in whose place it comes.
pub(super) fn noted(work: &Work, now: i64) -> (Option<usize>, Source) {
    let snapshot = &work.file.snapshot;
    let (state, member) = state_of(snapshot);
    let (text, done) = (work.text, work.done);
    let source =
        Source { path: snapshot.path.clone(), dev: snapshot.dev, ino: snapshot.ino, state, member, text, done, seen: now };
    (work.source, source)
}

/// What is noted of a log in the files that have rows of it.
fn source_note(file: &LogFile) -> serde_json::Value {
    let snapshot = &file.snapshot;
    let (state, member) = state_of(snapshot);
    serde_json::json!({
        "path": file.name,
        "size": state.size,
        "head": format!("{:016x}", state.head),
        "tail": format!("{:016x}", state.tail),
        "mtime_ns": snapshot.mtime_ns,
        "member": member,
        "bytes": file.part.map(|part| [part.begin.offset, part.end.min(snapshot.size)]),
    })
}

/// Why the rows of a file cannot be taken as they were read.
fn trouble(report: &FileReport, work: &Work) -> Option<Remark> {
    let later =
        |text: String| Some(Remark { severity: Severity::Warning, text: format!("left to the next run: {text}"), hint: None });
    match report.status {
        FileStatus::Changed => later("it changed while it was read".to_owned()),
        // Of what is packed, all that could be unpacked is kept: there is no more.
        FileStatus::Failed if work.file.snapshot.is_splittable() => {
            later(report.remarks.first().map_or_else(|| "it cannot be read".to_owned(), |remark| remark.text.clone()))
        }
        FileStatus::StoppedEarly | FileStatus::NotRead => later("it was not read to its end".to_owned()),
        _ => None,
    }
}

/// Somebody who writes files, beside whoever sorts their rows.
struct Writing {
    to: tokio::sync::mpsc::Sender<RecordBatch>,
    writer: tokio::task::JoinHandle<Result<Vec<NewFile>, StoreError>>,
}

impl Writing {
    fn begin(mut files: DayFiles) -> Self {
        let (to, mut from) = tokio::sync::mpsc::channel(4);
        let writer = tokio::task::spawn_blocking(move || {
            while let Some(batch) = from.blocking_recv() {
                files.write(&batch)?;
            }
            files.finish()
        });
        Self { to, writer }
    }

    /// False if the writer has ended, with an error.
    async fn write(&self, batch: RecordBatch) -> bool {
        batch.num_rows() == 0 || self.to.send(batch).await.is_ok()
    }

    async fn write_all(&self, batches: impl Iterator<Item = DfResult<RecordBatch>>) -> Result<(), StoreError> {
        for batch in batches {
            if !self.write(batch?).await {
                break;
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<Vec<NewFile>, StoreError> {
        drop(self.to);
        self.writer.await.map_err(|_| StoreError::Task { doing: "writing Parquet files" })?
    }
}

/// Writes sorted rows.
pub(super) async fn write_stream(
    mut stream: SendableRecordBatchStream,
    files: DayFiles,
    disk: &Arc<dyn Disk>,
) -> Result<Vec<NewFile>, StoreError> {
    let writing = Writing::begin(files);
    let mut failed = None;
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) => {
                if !writing.write(batch).await {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    match (writing.finish().await, failed) {
        (Ok(files), None) => Ok(files),
        (Ok(files), Some(error)) => {
            discard(disk.as_ref(), &files);
            Err(error.into())
        }
        (Err(error), _) => Err(error),
    }
}

/// Removes files that nobody will name.
pub(super) fn discard(disk: &dyn Disk, files: &[NewFile]) {
    for file in files {
        let _ = disk.remove(&file.temporary);
    }
}

/// Notes that logs are still there, at most once a day, and forgets those that are not since long.
fn note_seen(writer: &mut StoreWriter, seen: &[usize], now: i64) -> Result<(), StoreError> {
    let is_due =
        |manifest: &Manifest| seen.iter().any(|at| manifest.sources.get(*at).is_some_and(|source| now - source.seen > QUIET_S));
    if !is_due(&writer.manifest) {
        return Ok(());
    }
    writer.commit(vec![], |manifest| {
        for at in seen {
            if let Some(source) = manifest.sources.get_mut(*at) {
                source.seen = now;
            }
        }
        manifest.sources.retain(|source| now - source.seen <= FORGET_S);
    })
}
