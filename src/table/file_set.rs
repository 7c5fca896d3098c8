//! The files behind a table: which they are, what each one was when the query began, and which format it has.
//!
//! ```text
//!   arguments or well-known places ──resolve──► Snapshot of each file ──detect, in parallel──► Listing
//!                                                                                                │ LogFile
//!     FileSet keeps the listing of the latest query; a file that is still the same one           │  snapshot
//!     (device, inode, first bytes; not shorter) keeps its detected format                        │  format
//!                                                                                                ▼  pieces, line counts
//!                                                                             LogTable::scan, opener.rs
//! ```
//!
//! One `FileSet` may serve many tables: each takes the files whose format feeds it. A query sees one listing, however
//! many tables it names; the next query looks again.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use super::bounds::TIME;
use super::error::TableError;
use super::facts::{self, Facts};
use super::file_index::FileIndex;
use super::history::{History, Part, Rest, Stored};
use super::opener::CancelOnDrop;
use super::options::ScanContext;
use super::report::{Remark, ScanReport, remark_of};
use super::saved_index;
use super::values::INDEXED;
use crate::kernel::decode::{PlanError, Required, ScanPlan, ScanPlanArgs};
use crate::kernel::format::{Catalog, Detection, detect, explain};
use crate::kernel::table::{TableDef, UNPARSED, table, tables};
use crate::source::{self, Encoding, FileKind, Fill, Glimpse, ListedMember, Severity, Snapshot, SourceError};

/// The family of files that have none: all their lines are unparsed.
const NO_FORMAT: &str = "";

/// Members of an archive that may wait to be looked at: their first bytes, and what each takes besides.
const WAITING_BYTES: usize = 4 << 20;
const MEMBER_BYTES: usize = 512;

/// Where the files of a set come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSpec {
    /// Paths, globs, folders, `-`, `NAME=GLOB`.
    Args(Vec<OsString>),
    /// The places where daemons log on this machine, under this root.
    WellKnown(PathBuf),
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// This family, by content, and the table that its lines feed: the family's own, unless none of what was looked at is of that.
    Detected(String, &'static str),
    /// This family, because the user said so.
    Forced(String),
    /// Lines that no format takes.
    Unknown,
    /// Nothing.
    Empty,
    /// It could not be looked at; the text says why.
    Unreadable(Remark),
}

impl FileFormat {
    /// The family, where there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Detected(name, _) | Self::Forced(name) => Some(name),
            Self::Unknown | Self::Empty | Self::Unreadable(_) => None,
        }
    }
}

/// One file of a listing.
#[derive(Debug)]
pub struct LogFile {
    /// What it was when the query began.
    pub snapshot: Snapshot,
    /// What it holds.
    pub format: FileFormat,
    /// Its path as `_file` shows it.
    pub name: String,
    /// The part of it that is read, where that is not all.
    pub part: Option<Part>,
    pieces: OnceLock<Vec<Range<u64>>>,
    pub(super) index: FileIndex,
}

impl LogFile {
    fn new(context: &ScanContext, snapshot: Snapshot, format: FileFormat) -> Self {
        let name = match snapshot.kind {
            FileKind::Stdin => "-".to_owned(),
            FileKind::Regular | FileKind::Stream => snapshot.path.to_string_lossy().into_owned(),
        };
        let index = saved_index::recall(context, &snapshot, format.name());
        Self { snapshot, format, name, part: None, pieces: OnceLock::new(), index }
    }

    /// How its records become rows of a table.
    pub(super) fn plan(
        &self,
        context: &ScanContext,
        table: &TableDef,
        columns: &[usize],
        filter_columns: &[usize],
        required: &[Required],
    ) -> Result<ScanPlan, PlanError> {
        ScanPlan::try_new(&ScanPlanArgs {
            catalog: context.formats(),
            format: self.format.name().unwrap_or(NO_FORMAT),
            table: table.name,
            columns,
            filter_columns,
            required,
            file: &self.name,
            zone: context.options.zone.clone(),
            reference_us: self.snapshot.time_hint_ns().div_euclid(1000),
        })
    }

    /// Do the times of its rows of a table depend on the lines before them, up to its beginning, and behind them, up to its end?
    pub fn is_dated_as_a_whole(&self, context: &ScanContext, table: &TableDef) -> bool {
        let plan = |time: usize| self.plan(context, table, &[time], &[], &[]);
        table.column(TIME).is_some_and(|time| plan(time).is_ok_and(|plan| plan.needs_stamp_context()))
    }

    /// The same file, but only the records that begin in a part of it.
    pub fn with_part(&self, context: &ScanContext, part: Part) -> Self {
        let file = Self::new(context, self.snapshot.clone(), self.format.clone());
        Self { part: Some(part), ..file }
    }

    /// Where the part begins that is read.
    pub(super) fn begin(&self) -> u64 {
        self.part.map_or(0, |part| part.begin.offset)
    }

    /// The pieces that it is read in. They are cut once: pieces of different sizes do not fit together.
    pub(super) fn pieces(&self, piece_bytes: u64) -> Result<&[Range<u64>], SourceError> {
        if let Some(pieces) = self.pieces.get() {
            return Ok(pieces);
        }
        let mut pieces = source::pieces(&self.snapshot, piece_bytes)?;
        if let Some(part) = self.part.filter(|_| self.snapshot.is_splittable()) {
            let inside = |piece: Range<u64>| piece.start.max(part.begin.offset)..piece.end.min(part.end);
            pieces = pieces.into_iter().map(inside).filter(|piece| !piece.is_empty()).collect();
        }
        Ok(self.pieces.get_or_init(|| pieces))
    }

    /// What is known of all its records, for rows of `table`.
    pub(super) fn known(&self, table: &str, piece_bytes: u64) -> Option<Facts> {
        let facts = self.index.facts();
        if !self.snapshot.is_splittable() {
            return facts.exact(table, &(self.begin()..u64::MAX));
        }
        let pieces = self.pieces(piece_bytes).ok()?;
        facts::sum(pieces.iter().map(|piece| facts.exact(table, piece)))
    }

    /// Columns of `table` whose values are kept ([`FileValues`](super::values)), and are not known yet of all its rows.
    pub fn columns_to_index(&self, context: &ScanContext, table: &TableDef) -> Vec<&'static str> {
        let all = self.begin()..u64::MAX;
        let pieces = match self.snapshot.is_splittable() {
            true => self.pieces(context.options.piece_bytes).unwrap_or(&[]),
            false => std::slice::from_ref(&all),
        };
        let values = self.index.values();
        let is_known = |column: &str| pieces.iter().all(|piece| values.knows(table.name, column, piece));
        INDEXED.into_iter().filter(|column| table.column(column).is_some() && !is_known(column)).collect()
    }

    /// Do its lines belong to rows of `table`?
    pub fn feeds(&self, formats: &Catalog, table: &str) -> bool {
        match &self.format {
            FileFormat::Detected(name, _) | FileFormat::Forced(name) => formats.feeds(name, table),
            FileFormat::Unknown => table == UNPARSED,
            FileFormat::Empty | FileFormat::Unreadable(_) => false,
        }
    }
}

/// A file of the spec, and its format where the user named one.
#[derive(Debug)]
struct Input {
    snapshot: Snapshot,
    format: Option<String>,
}

/// Is it still the same log, perhaps a longer one?
fn continues(new: &Snapshot, older: &LogFile) -> bool {
    let old = &older.snapshot;
    // The hash of a head that was shorter than 1 KiB changes when the file grows: then it is looked at again.
    (new.dev, new.ino, new.head_hash, new.kind) == (old.dev, old.ino, old.head_hash, old.kind)
        && new.compression == old.compression
        && new.size >= old.size
        && matches!(older.format, FileFormat::Detected(..) | FileFormat::Unknown)
}

/// The files as they were when the query began.
#[derive(Debug)]
pub struct Listing {
    /// All of them, also those that feed no table.
    pub files: Vec<Arc<LogFile>>,
    /// What was named and is not among them.
    pub problems: Vec<(PathBuf, Remark)>,
    /// All of these is in the store; with a word about it, where there is one.
    pub stored: Vec<(Snapshot, Option<Remark>)>,
    archives: Vec<Arc<ListedArchive>>,
    generation: u64,
}

/// What was found in an archive. It stays true as long as the archive is the same.
#[derive(Debug)]
struct ListedArchive {
    snapshot: Snapshot,
    format: Option<String>,
    files: Vec<Arc<LogFile>>,
    problems: Vec<(PathBuf, Remark)>,
}

impl Listing {
    /// The tables that files of the listing feed, with the number of files; the one with most files first. A file
    /// counts for the table of its lines, not for those that its inner records feed.
    pub fn tables(&self, formats: &Catalog) -> Vec<(&'static TableDef, usize)> {
        let mut found: Vec<(&'static TableDef, usize)> = Vec::new();
        for file in &self.files {
            let own = match &file.format {
                FileFormat::Detected(_, own) => table(own),
                other => other.name().and_then(|name| formats.format(name)).map(|format| format.table),
            };
            let Some(own) = own else { continue };
            match found.iter_mut().find(|(table, _)| table.name == own.name) {
                Some((_, count)) => *count += 1,
                None => found.push((own, 1)),
            }
        }
        // Of two tables with as many files, the first of the taxonomy.
        let rank = |name: &str| tables().iter().position(|table| table.name == name);
        found.sort_by_key(|(table, count)| (std::cmp::Reverse(*count), rank(table.name)));
        found
    }
}

/// What of the files of a listing is in a store.
struct AtTheSeam {
    store: Option<Arc<dyn Stored>>,
    parts: HashMap<(u64, u64, u64), Part>,
    stored: Vec<(Snapshot, Option<Remark>)>,
}

impl AtTheSeam {
    fn new(history: Option<&Arc<dyn History>>, query: u64) -> Self {
        // Without a store that can be read there is no table to list files for: see `LogSchema`.
        Self { store: history.and_then(|history| history.at(query).ok()), parts: HashMap::new(), stored: vec![] }
    }

    /// Takes out what is in the store as a whole, and notes where the rest of the others begins.
    fn leave_stored<T>(&mut self, files: &mut Vec<T>, of: impl Fn(&T) -> Option<&Snapshot>) {
        let Some(store) = &self.store else { return };
        let asked: Vec<&Snapshot> = files.iter().filter_map(&of).collect();
        let mut rests = store.rests(&asked).into_iter();
        files.retain(|file| {
            let Some(snapshot) = of(file) else { return true };
            match rests.next() {
                Some(Rest::Nothing(remark)) => {
                    self.stored.push((snapshot.clone(), remark));
                    false
                }
                Some(Rest::From(begin)) => {
                    self.parts.insert(snapshot.key(), Part { begin, end: u64::MAX });
                    true
                }
                Some(Rest::All) | None => true,
            }
        });
    }
}

/// The files behind one or more tables.
#[derive(Debug)]
pub struct FileSet {
    context: Arc<ScanContext>,
    spec: InputSpec,
    forced: Option<String>,
    history: Option<Arc<dyn History>>,
    /// The files do not depend on the query.
    is_fixed: bool,
    latest: Mutex<Option<Arc<Listing>>>,
}

impl FileSet {
    /// The files of `spec`; all of format `format`, if one is given. Nothing is looked at yet.
    pub fn try_new(context: Arc<ScanContext>, spec: InputSpec, format: Option<&str>) -> Result<Self, TableError> {
        let named = format.or(context.options.input_format.as_deref());
        let forced = named.map(|name| {
            let family = context.formats().family_of(name);
            family.map(|family| family.name.clone()).ok_or_else(|| TableError::unknown_format(name, context.formats()))
        });
        let forced = forced.transpose()?;
        Ok(Self { context, spec, forced, history: None, is_fixed: false, latest: Mutex::new(None) })
    }

    /// The same files, without what is in a store of them.
    pub fn with_history(self, history: Option<Arc<dyn History>>) -> Self {
        Self { history, ..self }
    }

    /// These files, and no others.
    pub fn fixed(context: Arc<ScanContext>, files: Vec<Arc<LogFile>>) -> Self {
        let listing = Listing { files, problems: vec![], stored: vec![], archives: vec![], generation: 0 };
        let latest = Mutex::new(Some(Arc::new(listing)));
        Self { context, spec: InputSpec::Args(vec![]), forced: None, history: None, is_fixed: true, latest }
    }

    /// Where the files come from.
    pub fn spec(&self) -> &InputSpec {
        &self.spec
    }

    pub(super) fn report(&self) -> &Arc<ScanReport> {
        &self.context.report
    }

    /// The files as the running query sees them. Looks at them now if no other table of the query has: this reads
    /// from disks, so call it where blocking is allowed, or use [`Self::listing`].
    pub fn listing_blocking(&self) -> Arc<Listing> {
        self.list(&AtomicBool::new(false))
    }

    /// The files as the running query sees them. Dropping the future ends the look at a stream that has no data yet.
    pub async fn listing(self: &Arc<Self>) -> Result<Arc<Listing>, TableError> {
        if let Some(listing) = self.fresh() {
            return Ok(listing);
        }
        let cancelled = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let (set, flag) = (Arc::clone(self), Arc::clone(&cancelled.0));
        tokio::task::spawn_blocking(move || set.list(&flag)).await.map_err(TableError::listing_panicked)
    }

    /// What each family makes of each of these files, and which of the arguments are no such file.
    #[expect(clippy::type_complexity, reason = "two lists for one caller")]
    pub fn explain(
        context: &Arc<ScanContext>,
        args: &[OsString],
    ) -> Result<(Vec<(PathBuf, Result<Detection, Remark>)>, Vec<(PathBuf, Remark)>), TableError> {
        let set = Self::try_new(Arc::clone(context), InputSpec::Args(args.to_vec()), None)?;
        let never = AtomicBool::new(false);
        let (inputs, problems) = set.inputs(&never);
        let mut problems = problems;
        let mut explained = Vec::new();
        for input in inputs {
            let mut look = |member: ListedMember| {
                let chunks = member
                    .head
                    .map_or_else(|| set.sample(&member.snapshot, &never), |head| Ok(vec![source::head_in_lines(head)]));
                let expected = set.expected(&member.snapshot.path);
                let detection = chunks.map(|chunks| explain(context.formats(), &slices(&chunks), expected));
                explained.push((member.snapshot.path, detection));
            };
            if input.snapshot.archive.is_none() {
                look(ListedMember { snapshot: input.snapshot, head: None });
                continue;
            }
            match source::list_members(&input.snapshot, &context.options.read, context.options.sample_bytes, &mut look) {
                Ok(issues) => problems.extend(issues.iter().map(problem)),
                Err(error) => problems.push((input.snapshot.path, remark_of(&error))),
            }
        }
        Ok((explained, problems))
    }

    fn fresh(&self) -> Option<Arc<Listing>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|listing| self.is_fixed || listing.generation == self.context.report.generation()).map(Arc::clone)
    }

    fn list(&self, cancelled: &AtomicBool) -> Arc<Listing> {
        // The lock is held while files are looked at: the other tables of the query wait for the same listing.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.context.report.generation();
        if let Some(listing) = latest.as_ref().filter(|listing| self.is_fixed || listing.generation == generation) {
            return Arc::clone(listing);
        }
        let (mut snapshots, mut problems) = self.inputs(cancelled);
        let mut seam = AtTheSeam::new(self.history.as_ref(), generation);
        // Before anybody looks into them: most files are in the store as a whole.
        seam.leave_stored(&mut snapshots, |input| Some(&input.snapshot).filter(|snapshot| snapshot.archive.is_none()));
        let older: HashMap<&Path, &Arc<LogFile>> =
            latest.iter().flat_map(|listing| &listing.files).map(|file| (file.snapshot.path.as_path(), file)).collect();
        let look = |input: &Input| self.look(input, &older, cancelled);
        let (archives, others): (Vec<_>, Vec<_>) =
            snapshots.iter().enumerate().partition(|(_, input)| input.snapshot.archive.is_some());
        // A stream may keep us waiting: not in the pool that others need.
        let (streams, plain): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(_, input)| input.snapshot.kind != FileKind::Regular);
        let mut files: Vec<(usize, Arc<LogFile>)> = plain.par_iter().map(|(at, file)| (*at, look(file))).collect();
        files.extend(streams.iter().map(|(at, file)| (*at, look(file))));
        let known = latest.as_ref().map_or(&[][..], |listing| &listing.archives);
        let (streamed, expandable): (Vec<_>, Vec<_>) =
            archives.into_iter().partition(|(_, input)| input.snapshot.kind != FileKind::Regular);
        let archives: Vec<_> =
            expandable.par_iter().map(|(at, input)| (*at, self.expand(input, &older, known, cancelled))).collect();
        let streamed = streamed.iter().map(|(at, input)| (*at, self.expand(input, &older, known, cancelled)));
        let archives: Vec<_> = archives.into_iter().chain(streamed).collect();
        for (at, archive) in &archives {
            problems.extend_from_slice(&archive.problems);
            files.extend(archive.files.iter().map(|file| (*at, Arc::clone(file))));
        }
        files.sort_by_key(|(at, _)| *at);
        // A member may be named beside its archive.
        let mut seen = HashSet::new();
        files.retain(|(_, file)| seen.insert(file.snapshot.key()) || file.snapshot.member.is_none());
        let mut files: Vec<Arc<LogFile>> = files.into_iter().map(|(_, file)| file).collect();
        seam.leave_stored(&mut files, |file| Some(&file.snapshot).filter(|snapshot| snapshot.member.is_some()));
        for file in &mut files {
            match seam.parts.get(&file.snapshot.key()) {
                Some(part) if file.part != Some(*part) => *file = Arc::new(file.with_part(&self.context, *part)),
                None if file.part.is_some() => {
                    *file = Arc::new(LogFile::new(&self.context, file.snapshot.clone(), file.format.clone()))
                }
                _ => {}
            }
        }
        let stored = seam.stored;
        let archives = archives.into_iter().map(|(_, archive)| archive).collect();
        let listing = Arc::new(Listing { files, problems, stored, archives, generation });
        if !cancelled.load(Ordering::Relaxed) {
            *latest = Some(Arc::clone(&listing));
        }
        listing
    }

    /// [`Self::resolve`], and what arrives by streams is known to be an archive or none.
    fn inputs(&self, cancelled: &AtomicBool) -> (Vec<Input>, Vec<(PathBuf, Remark)>) {
        let (mut inputs, problems) = self.resolve();
        for input in inputs.iter_mut().filter(|input| input.snapshot.kind != FileKind::Regular) {
            // What is wrong with it is told where it is read.
            while !cancelled.load(Ordering::Relaxed)
                && source::settle_stream(&mut input.snapshot, &self.context.options.read).is_ok_and(|is_known| !is_known)
            {
            }
        }
        (inputs, problems)
    }

    /// The files of the spec, each once, and what was wrong with the rest.
    fn resolve(&self) -> (Vec<Input>, Vec<(PathBuf, Remark)>) {
        let options = &self.context.options.resolve;
        let mut files: Vec<Input> = Vec::new();
        let mut known: HashMap<(u64, u64, u64), usize> = HashMap::new();
        let mut issues = Vec::new();
        let mut add = |inputs: source::Inputs, format: Option<&String>| {
            issues.extend(inputs.issues.iter().map(problem));
            for snapshot in inputs.files {
                let at = *known.entry(snapshot.key()).or_insert(files.len());
                // A file that is named with a format and without one has that format.
                match files.get_mut(at) {
                    Some(file) => file.format = file.format.take().or_else(|| format.cloned()),
                    None => files.push(Input { snapshot, format: format.cloned() }),
                }
            }
        };
        match &self.spec {
            InputSpec::WellKnown(root) => {
                let configured: Vec<PathBuf> = self.context.configured().iter().map(|log| log.pattern.clone()).collect();
                for found in source::discover(root, options, &configured) {
                    add(found.inputs, self.forced.as_ref());
                }
            }
            InputSpec::Args(args) => {
                let split: Vec<_> = args.iter().map(|arg| self.split_format(arg)).collect();
                let plain: Vec<&OsStr> = split.iter().filter(|(f, _)| f.is_none()).map(|(_, arg)| *arg).collect();
                add(source::resolve(&plain, options), self.forced.as_ref());
                for (format, arg) in split.iter().filter(|(format, _)| format.is_some()) {
                    add(source::resolve(&[arg], options), format.as_ref());
                }
            }
        }
        (files, issues)
    }

    /// `NAME=GLOB`, where NAME is a format and there is no file of that name.
    fn split_format<'a>(&self, arg: &'a OsStr) -> (Option<String>, &'a OsStr) {
        let bytes = arg.as_bytes();
        let split = bytes.iter().position(|byte| *byte == b'=').filter(|_| !Path::new(arg).exists());
        let format = split.and_then(|at| std::str::from_utf8(&bytes[..at]).ok());
        match (split, format.and_then(|name| self.context.formats().family_of(name))) {
            (Some(at), Some(family)) => (Some(family.name.clone()), OsStr::from_bytes(&bytes[at + 1..])),
            _ => (None, arg),
        }
    }

    /// The members of an archive.
    fn expand(
        &self,
        input: &Input,
        older: &HashMap<&Path, &Arc<LogFile>>,
        known: &[Arc<ListedArchive>],
        cancelled: &AtomicBool,
    ) -> Arc<ListedArchive> {
        let Input { snapshot, format } = input;
        if let Some(known) = known.iter().find(|known| known.snapshot == *snapshot && known.format == *format) {
            return Arc::clone(known);
        }
        let options = &self.context.options;
        // What each member is, by its place in the archive. It is found out beside the unpacking, which waits only if that is far ahead.
        let looked = Mutex::new(Vec::new());
        let look = |at: usize, member| {
            let found = self.look_at_member(member, format.as_ref(), older, cancelled);
            looked.lock().unwrap_or_else(PoisonError::into_inner).push((at, found));
        };
        let (mut count, waiting) = (0, AtomicUsize::new(0));
        let listed = rayon::in_place_scope(|scope| {
            source::list_members(snapshot, &options.read, options.sample_bytes, &mut |member| {
                let (at, bytes) = (count, member.head.as_ref().map_or(0, Vec::len) + MEMBER_BYTES);
                count += 1;
                if waiting.load(Ordering::Relaxed) + bytes > WAITING_BYTES {
                    return look(at, member);
                }
                waiting.fetch_add(bytes, Ordering::Relaxed);
                let (look, waiting) = (&look, &waiting);
                scope.spawn(move |_| {
                    look(at, member);
                    waiting.fetch_sub(bytes, Ordering::Relaxed);
                });
            })
        });
        let mut looked = looked.into_inner().unwrap_or_else(PoisonError::into_inner);
        looked.sort_by_key(|(at, _)| *at);
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        for (_, found) in looked {
            match found {
                Ok(file) => files.push(file),
                Err(problem) => problems.push(problem),
            }
        }
        match listed {
            Ok(issues) => problems.extend(issues.iter().map(problem)),
            Err(error) => problems.push((snapshot.path.clone(), remark_of(&error))),
        }
        Arc::new(ListedArchive { snapshot: snapshot.clone(), format: format.clone(), files, problems })
    }

    /// A member as a file, or why it is none.
    fn look_at_member(
        &self,
        member: ListedMember,
        format: Option<&String>,
        older: &HashMap<&Path, &Arc<LogFile>>,
        cancelled: &AtomicBool,
    ) -> Result<Arc<LogFile>, (PathBuf, Remark)> {
        let ListedMember { snapshot, head } = member;
        let known = older.get(snapshot.path.as_path()).filter(|older| continues(&snapshot, older));
        let chunks = || head.map_or_else(|| self.sample(&snapshot, cancelled), |head| Ok(vec![source::head_in_lines(head)]));
        let format = match (format, known) {
            (Some(forced), _) => self.forced_as(forced, chunks),
            (None, Some(known)) => known.format.clone(),
            (None, None) => {
                let chunks = chunks();
                let first = chunks.as_ref().ok().and_then(|chunks| chunks.first());
                let binary = first.and_then(|first| source::not_text_content(&first[..first.len().min(1024)]));
                let format = self.format_of(chunks, None);
                // A log may have odd bytes; what no format takes and is no text is none.
                if format == FileFormat::Unknown
                    && snapshot.encoding == Encoding::Utf8
                    && let Some(reason) = binary
                {
                    let text = format!("{reason}, skipped");
                    return Err((snapshot.path, Remark { severity: Severity::Note, text, hint: None }));
                }
                format
            }
        };
        Ok(Arc::new(LogFile::new(&self.context, snapshot, format)))
    }

    fn look(&self, input: &Input, older: &HashMap<&Path, &Arc<LogFile>>, cancelled: &AtomicBool) -> Arc<LogFile> {
        let Input { snapshot, format } = input;
        let older = older.get(snapshot.path.as_path());
        let format = match (format, older) {
            (Some(forced), _) => self.forced_as(forced, || self.sample(snapshot, cancelled)),
            (None, Some(older)) if continues(snapshot, older) => older.format.clone(),
            (None, _) => self.detect(snapshot, cancelled),
        };
        match older {
            // Nothing has happened to it: what is known about its pieces is still true.
            Some(older) if older.snapshot == *snapshot && older.format == format => Arc::clone(older),
            _ => Arc::new(LogFile::new(&self.context, snapshot.clone(), format)),
        }
    }

    /// A family that is found inside of envelopes is forced on what they carry: on whole lines only where there are none.
    fn forced_as(&self, name: &str, chunks: impl FnOnce() -> Result<Vec<Vec<u8>>, Remark>) -> FileFormat {
        let formats = self.context.formats();
        if formats.format(name).is_some_and(|family| family.is_inner())
            && let FileFormat::Detected(envelope, _) = self.format_of(chunks(), None)
            && formats.is_read_inside(name, &envelope)
        {
            return FileFormat::Forced(envelope);
        }
        FileFormat::Forced(name.to_owned())
    }

    fn detect(&self, snapshot: &Snapshot, cancelled: &AtomicBool) -> FileFormat {
        self.format_of(self.sample(snapshot, cancelled), self.expected(&snapshot.path))
    }

    /// The family that a configuration says the file is of.
    fn expected(&self, path: &Path) -> Option<&str> {
        let path = match &self.spec {
            InputSpec::WellKnown(root) => Path::new("/").join(path.strip_prefix(root).unwrap_or(path)),
            InputSpec::Args(_) => std::path::absolute(path).ok()?,
        };
        let logs = self.context.configured().iter().filter(|log| log.format.is_some());
        let known = logs.filter_map(|log| Some((source::is_log_of(&log.pattern, &path)?, log)));
        known.max_by_key(|(is_live, _)| *is_live).and_then(|(_, log)| log.format.as_deref())
    }

    fn format_of(&self, chunks: Result<Vec<Vec<u8>>, Remark>, expected: Option<&str>) -> FileFormat {
        let chunks = match chunks {
            Ok(chunks) => chunks,
            Err(remark) => return FileFormat::Unreadable(remark),
        };
        if chunks.iter().all(Vec::is_empty) {
            return FileFormat::Empty;
        }
        match detect(self.context.formats(), &slices(&chunks), expected).best {
            Some(best) => FileFormat::Detected(best.format, best.table.name),
            None => FileFormat::Unknown,
        }
    }

    /// Bytes of the head, and of the middle and the tail where the file can be entered there.
    fn sample(&self, snapshot: &Snapshot, cancelled: &AtomicBool) -> Result<Vec<Vec<u8>>, Remark> {
        let len = self.context.options.sample_bytes;
        let mut glimpse = Glimpse::open(snapshot).map_err(|error| remark_of(&error))?;
        let mut sample_at = |at: u64| match &mut glimpse {
            Some(glimpse) => glimpse.at(at, len).map_err(|error| remark_of(&error)),
            None => self.sample_at(snapshot, at, cancelled),
        };
        // The first place of all is where a line begins. Of the others nothing is asked: they are a help, and the scan will say what
        // is wrong there.
        let (first, others) = match (snapshot.is_splittable(), snapshot.sparse) {
            (true, true) => places_of_data(&source::data_extents(snapshot).map_err(|error| remark_of(&error))?),
            (true, false) if snapshot.size > 3 * len as u64 => {
                (0, vec![snapshot.size / 2 - len as u64 / 2, snapshot.size - len as u64])
            }
            _ => (0, vec![]),
        };
        let mut chunks = vec![sample_at(first)?];
        chunks.extend(others.into_iter().filter_map(|at| sample_at(at).ok()));
        Ok(chunks)
    }

    fn sample_at(&self, snapshot: &Snapshot, at: u64, cancelled: &AtomicBool) -> Result<Vec<u8>, Remark> {
        let options = &self.context.options;
        let mut reader = source::open(snapshot, at, &options.read).map_err(|error| remark_of(&error))?;
        let sample = loop {
            let Fill { bytes, end } = reader.fill(options.sample_bytes).map_err(|error| remark_of(&error))?;
            let enough = end || bytes.len() >= options.sample_bytes || bytes.contains(&b'\n');
            if enough || cancelled.load(Ordering::Relaxed) {
                break bytes[..bytes.len().min(options.sample_bytes)].to_vec();
            }
        };
        // A compressed file that is cut before anything comes out of it is not empty.
        let loss = reader.issues().iter().find(|issue| issue.severity() == Severity::Loss);
        match loss.filter(|_| sample.is_empty()) {
            Some(issue) => Err(Remark { severity: Severity::Loss, text: issue.to_string(), hint: None }),
            None => Ok(sample),
        }
    }
}

/// Where to look into a file with holes: at its first data, and at some behind other holes. A log that is truncated under a daemon
/// that goes on at its old offset begins with one.
fn places_of_data(extents: &[Range<u64>]) -> (u64, Vec<u64>) {
    let mut places =
        [0, extents.len() / 2, extents.len().saturating_sub(1)].map(|at| extents.get(at).map_or(0, |extent| extent.start));
    places.sort_unstable();
    (places[0], places[1..].iter().filter(|at| **at != places[0]).copied().collect())
}

fn slices(chunks: &[Vec<u8>]) -> Vec<&[u8]> {
    chunks.iter().map(Vec::as_slice).collect()
}

fn problem(issue: &source::FileIssue) -> (PathBuf, Remark) {
    let remark = match &issue.problem {
        source::Problem::Error(error) => remark_of(error),
        _ => {
            let text = issue.to_string();
            let prefix = format!("{}: ", issue.path.display());
            let text = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
            Remark { severity: issue.severity, text, hint: issue.hint() }
        }
    };
    (issue.path.clone(), Remark { severity: issue.severity, ..remark })
}
