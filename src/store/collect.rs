//! Brings what is new in logs into a store.
//!
//! ```text
//!   listing ──seam──► files with something new ──► units of about 1 GiB ──► for each table: scan ─► sort ─► one file per day
//!                       └─ up to where? the last whole record                                                 │
//!                                                    commit: rows and checkpoints of the unit, together ◄─────┘
//! ```
//!
//! A unit is what is lost if the power fails. Rows are sorted by time, file and offset, which no two rows have in common, so the files
//! are the same for any number of threads. The sort is DataFusion's, which goes to disk where memory ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{SortExpr, col};
use futures::StreamExt as _;

use super::disk::Disk;
use super::error::StoreError;
use super::manifest::{Manifest, Source, Text};
use super::seam::{Copies, Place, places, state_of, text_upto};
use super::table::is_stored;
use super::write::{DayFiles, DayFilesArgs, NewFile};
use super::writer::StoreWriter;
use crate::kernel::decode::count_lines;
use crate::kernel::table::{TableDef, UNPARSED, tables};
use crate::session::Session;
use crate::source::{self, Compression, Fill, ReadOptions, Severity, Snapshot, SourceError, is_rotated};
use crate::table::{Begin, FileFormat, FileReport, FileSet, FileStatus, LogFile, LogTable, Part, Remark, Rest};

/// The text of one unit, about.
const UNIT_BYTES: u64 = 1 << 30;

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
    let bytes_of = |work: &[Work]| work.iter().map(|work| new_bytes(&work.file)).sum::<u64>();
    let total = bytes_of(&work);
    let mut done = 0;
    for unit in units(work) {
        let bytes = bytes_of(&unit);
        Unit { session, writer, options, collected: &mut collected }.run(unit).await?;
        done += bytes;
        step(done, total);
    }
    note_seen(writer, &seen, options.now)?;
    Ok(collected)
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
    let end = match is_final {
        true => Some(snapshot.size),
        false => last_whole(session, file, begin, options).await?,
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

/// Where the last record of a log that is being written begins, if it may get more lines, or else where it ends.
pub(super) async fn last_whole(
    session: &Session,
    file: &Arc<LogFile>,
    begin: Begin,
    options: &CollectOptions,
) -> Result<Option<u64>, Remark> {
    let (snapshot, read) = (file.snapshot.clone(), options.read.clone());
    let end = blocking(move || last_line_feed(&snapshot, begin.offset, &read)).await.map_err(|error| later(&error))?;
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

/// The offset behind the last line feed that is not before `begin`.
pub(super) fn last_line_feed(file: &Snapshot, begin: u64, read: &ReadOptions) -> Result<Option<u64>, SourceError> {
    let mut end = file.size;
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

/// How much there is to read of a file, about.
fn new_bytes(file: &LogFile) -> u64 {
    match (&file.part, file.snapshot.compression) {
        (Some(part), _) if file.snapshot.is_splittable() => part.end.min(file.snapshot.size) - part.begin.offset,
        (_, Compression::None) => file.snapshot.size,
        _ => file.snapshot.size.saturating_mul(RATIO),
    }
}

/// What is written together: logs of one time beside each other, and the members of an archive in one pass.
fn units(work: Vec<Work>) -> Vec<Vec<Work>> {
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
            Some(unit) if bytes + more <= UNIT_BYTES => {
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
}

impl Unit<'_> {
    async fn run(&mut self, mut work: Vec<Work>) -> Result<(), StoreError> {
        while !work.is_empty() {
            let files = self.write(&work).await?;
            let reports = self.session.report().current();
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
    async fn write(&self, work: &[Work]) -> Result<Vec<NewFile>, StoreError> {
        let formats = self.session.formats();
        self.session.report().begin_query();
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
        self.session.report().settle().await;
        Ok(files)
    }

    /// Did the scans so far see every line of every file, and none that no format takes?
    fn is_all_parsed(&self, work: &[Work]) -> bool {
        let formats = self.session.formats();
        let reports = self.session.report().current();
        work.iter().all(|work| {
            let own = work.file.format.name().and_then(|name| formats.format(name)).map(|format| format.table.name);
            let is_own = |report: &&FileReport| report.path == work.file.snapshot.path && Some(report.table.as_str()) == own;
            reports.iter().find(is_own).is_some_and(|report| report.status == FileStatus::Read && report.counts.unparsed == 0)
        })
    }

    async fn write_table(&self, def: &'static TableDef, files: Vec<Arc<LogFile>>) -> Result<Vec<NewFile>, StoreError> {
        let context = self.session.schema().context();
        let notes = self.notes(def, &files);
        let sources = files.iter().map(|file| (file.name.clone(), vec![source_note(file)])).collect();
        let written = files.iter().map(|file| file.snapshot.time_hint_ns().div_euclid(1000)).max().unwrap_or(0);
        let several = files.len() > 1;
        let set = Arc::new(FileSet::fixed(Arc::clone(context), files));
        let table = Arc::new(LogTable::new(Arc::clone(context), def, set));
        let stream = sorted(self.session, table, def, self.writer.manifest.raw, several).await?;
        let args = DayFilesArgs {
            root: &self.writer.root,
            disk: &self.writer.disk,
            table: def.name,
            schema: &stream.schema(),
            level: self.options.level,
            notes,
            sources,
            written,
        };
        write_stream(stream, DayFiles::try_new(args)?, &self.writer.disk).await
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
        self.collected.bytes_read += self.session.report().summary().bytes_read;
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

/// The rows of a table with the columns that are stored, in the order in which they are.
pub(super) async fn sorted(
    session: &Session,
    table: Arc<dyn TableProvider>,
    def: &TableDef,
    raw: bool,
    several: bool,
) -> Result<SendableRecordBatchStream, StoreError> {
    let stored: Vec<&str> =
        def.schema().fields().iter().filter(|field| is_stored(field, raw)).map(|field| field.name().as_str()).collect();
    let time = def.column("time").map(|_| "time");
    let file = several.then_some("_file");
    let order: Vec<SortExpr> =
        time.into_iter().chain(file).chain(["_offset"]).map(|column| col(column).sort(true, false)).collect();
    Ok(session.frame(table)?.select_columns(&stored)?.sort(order)?.execute_stream().await?)
}

/// Writes sorted rows, beside whoever sorts them.
pub(super) async fn write_stream(
    mut stream: SendableRecordBatchStream,
    mut files: DayFiles,
    disk: &Arc<dyn Disk>,
) -> Result<Vec<NewFile>, StoreError> {
    let (to, mut from) = tokio::sync::mpsc::channel(4);
    let writing = tokio::task::spawn_blocking(move || {
        while let Some(batch) = from.blocking_recv() {
            files.write(&batch)?;
        }
        files.finish()
    });
    let mut failed = None;
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) if batch.num_rows() == 0 => {}
            // Who writes has ended, with an error.
            Ok(batch) => {
                if to.send(batch).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(to);
    let written = writing.await.map_err(|_| StoreError::Task { doing: "writing Parquet files" })?;
    match (written, failed) {
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
