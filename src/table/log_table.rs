//! A table over log files.
//!
//! ```text
//!   LogTable { table of the taxonomy, FileSet }
//!      │ scan: the files whose format feeds the table, as they are now
//!      │       each cut into pieces, the pieces dealt to as many groups as there are partitions
//!      ▼
//!   DataSourceExec ── FileScanConfig ── LogSource          (source.rs)
//! ```
//!
//! The groups are a beginning only: partitions take pieces from one queue, so that none of them waits for another.

use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result as DfResult, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::object_store::path::Path as Location;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::bounds::TIME;
use super::facts::{self, Facts};
use super::file_set::{FileFormat, FileSet, Listing, LogFile};
use super::options::ScanContext;
use super::pushdown::{FilePruner, PiecePruner};
use super::report::{FileStatus, FileTally, Remark};
use super::source::{LogSource, ScanFile, ScanFiles, pieces_between};
use crate::kernel::decode::{ScanPlan, ScanPlanArgs};
use crate::kernel::table::{TableDef, UNPARSED};
use crate::source::{RestartPoint, Severity, Snapshot};

/// A table of the taxonomy over a set of files.
#[derive(Clone, Debug)]
pub struct LogTable {
    context: Arc<ScanContext>,
    def: &'static TableDef,
    files: Arc<FileSet>,
}

impl LogTable {
    /// The rows of table `def` in these files.
    pub fn new(context: Arc<ScanContext>, def: &'static TableDef, files: Arc<FileSet>) -> Self {
        Self { context, def, files }
    }

    /// Which table of the taxonomy it is.
    pub fn def(&self) -> &'static TableDef {
        self.def
    }

    /// The same table over these files.
    pub fn over(&self, files: Vec<Arc<LogFile>>) -> Self {
        Self { files: Arc::new(FileSet::fixed(Arc::clone(&self.context), files)), ..self.clone() }
    }

    /// Its files, and those beside them.
    pub fn files(&self) -> &Arc<FileSet> {
        &self.files
    }

    /// The pieces of the files that feed the table, and the source that reads them.
    fn plan_files(&self, listing: &Listing, pruners: &Pruners, partitions: usize) -> DfResult<(ScanFiles, Vec<PartitionedFile>)> {
        let report = self.files.report();
        let piece_bytes = self.context.options.piece_bytes;
        let mut known = Some(Vec::new());
        let mut files = ScanFiles::default();
        let mut pieces = Vec::new();
        // Behind all others: see `lanes.rs`.
        let mut helpers = Vec::new();
        // The latest member of each solid archive.
        let mut last_of: HashMap<PathBuf, usize> = HashMap::new();
        for (path, remark) in &listing.problems {
            let mut remark = remark.clone();
            let is_beside = |file: &Arc<LogFile>| file.snapshot.path.parent() == path.parent();
            let feeds = |file: &&Arc<LogFile>| file.feeds(self.context.formats(), self.def.name);
            // Its neighbour is a log of this table, so it is probably another one.
            if remark.severity == Severity::Warning && listing.files.iter().filter(feeds).any(is_beside) {
                remark.severity = Severity::Loss;
            }
            report.remark(path, self.def.name, remark);
        }
        for (snapshot, remark) in &listing.stored {
            let tally = report.register(FileTally::new(snapshot.path.clone(), self.def.name, None, snapshot.size));
            tally.settle_as(FileStatus::Stored);
            remark.iter().for_each(|remark| tally.remark(remark.clone()));
        }
        for file in &listing.files {
            let format = file.format.name().map(str::to_owned);
            let tally = FileTally::new(file.snapshot.path.clone(), self.def.name, format, file.snapshot.size);
            if let FileFormat::Unreadable(remark) = &file.format {
                report.remark(&file.snapshot.path, self.def.name, remark.clone());
                continue;
            }
            let tally = report.register(tally);
            if !file.feeds(self.context.formats(), self.def.name) {
                self.explain_absence(file, &tally);
                continue;
            }
            if !pruners.file.as_ref().map_or(Ok(true), |pruner| pruner.keeps(&file.name))? {
                continue;
            }
            if self.context.keeps(&file.snapshot)
                && let Some(facts) = file.known(self.def.name, piece_bytes)
            {
                tally.know(facts.counts);
                if let Some(known) = &mut known {
                    known.push(facts);
                }
            } else {
                known = None;
            }
            let points = self.points(file);
            let scan = ScanFile { file: Arc::clone(file), tally, has_helpers: false, next: None, kept: None, points };
            let between = (!scan.points.is_empty()).then(|| pieces_between(&scan.points));
            let ranges = between.as_deref().map_or_else(|| file.pieces(piece_bytes), Ok);
            match ranges {
                Ok(ranges) => {
                    let tally = Arc::clone(&scan.tally);
                    let (ranges, skipped) = split_off(&scan, ranges, pruners.piece.as_ref());
                    let skipped_bytes = skipped.iter().map(|range| scan.bytes_of(range)).sum();
                    tally.skip(skipped_bytes);
                    files.skip(skipped.len(), ranges.len() + skipped.len(), skipped_bytes);
                    if ranges.is_empty() {
                        continue;
                    }
                    tally.expect_pieces(ranges.len());
                    let location = location_of(&file.snapshot);
                    let member = file.snapshot.member.as_ref();
                    // What is in memory needs none of the members before it.
                    let kept = member.and_then(|member| member.take_kept());
                    let solid = member.filter(|member| member.is_solid() && kept.is_none());
                    let archive = solid.map(|member| member.archive_path());
                    let before = archive.and_then(|archive| last_of.get(archive).copied());
                    if before.is_none() {
                        pieces.extend(ranges.iter().map(|range| partitioned_file(&file.snapshot, &location, range)));
                    }
                    let has_helpers = partitions > 1 && file.snapshot.is_shareable() && file.part.is_none() && scan.is_whole();
                    if has_helpers {
                        let help = |at| partitioned_file(&file.snapshot, &location, &(at..at + 1));
                        helpers.extend((1..partitions.min(MAX_LANES) as u64).map(help));
                    }
                    let at = files.push(location, ScanFile { has_helpers, kept, ..scan });
                    if let Some(before) = before {
                        files.chain(before, at);
                    }
                    if let Some(archive) = archive {
                        last_of.insert(archive.to_owned(), at);
                    }
                }
                Err(error) => scan.tally.fail(&error),
            }
        }
        pieces.append(&mut helpers);
        files.known = known.and_then(|known| facts::sum(known.into_iter().map(Some)));
        Ok((files, pieces))
    }

    /// Where a compressed file is entered. Nowhere, if what a stamp says depends on those before it: that is followed from the begin.
    fn points(&self, file: &LogFile) -> Arc<[RestartPoint]> {
        let none = || Arc::from([]);
        let is_kept = self.context.keeps(&file.snapshot) && file.part.is_none();
        let Some(points) = file.index.points().filter(|_| is_kept) else { return none() };
        let time: Vec<usize> = self.def.column(TIME).into_iter().collect();
        let plan = ScanPlan::try_new(&ScanPlanArgs {
            catalog: self.context.formats(),
            format: file.format.name().unwrap_or_default(),
            table: self.def.name,
            columns: &time,
            filter_columns: &[],
            required: &[],
            file: &file.name,
            zone: self.context.options.zone.clone(),
            reference_us: file.snapshot.time_hint_ns().div_euclid(1000),
        });
        if plan.is_ok_and(|plan| !plan.needs_stamp_context()) { Arc::clone(points) } else { none() }
    }

    /// What the whole scan gives, where that is known. Without a filter and a limit, DataFusion answers counts, and the first and
    /// last time, from that.
    fn statistics(&self, known: Option<Facts>) -> Statistics {
        let mut statistics = Statistics::new_unknown(self.def.schema());
        let Some(Facts { counts, times }) = known else { return statistics };
        statistics.num_rows = exact(counts.rows);
        let time = self.def.column(TIME).and_then(|time| statistics.column_statistics.get_mut(time));
        if let (Some(bounds), Some(time)) = (times, time) {
            let moment = |us| Precision::Exact(ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())));
            time.null_count = exact(bounds.nulls);
            if bounds.times > 0 {
                (time.min_value, time.max_value) = (moment(bounds.min), moment(bounds.max));
            }
        }
        statistics
    }

    fn explain_absence(&self, file: &LogFile, tally: &FileTally) {
        match &file.format {
            FileFormat::Unknown => {
                tally.settle_as(FileStatus::NoFormat);
                let path = file.snapshot.path.display();
                tally.remark(Remark {
                    severity: Severity::Warning,
                    text: "no format takes it".to_owned(),
                    hint: Some(format!("see why with `logsql format why {path}`")),
                });
            }
            FileFormat::Empty => tally.settle_as(FileStatus::Empty),
            FileFormat::Detected(..) | FileFormat::Forced(_) | FileFormat::Unreadable(_) => {
                tally.settle_as(FileStatus::OtherTable);
            }
        }
    }
}

/// What leaves out files and pieces before they are dealt.
#[derive(Debug, Default)]
struct Pruners {
    file: Option<FilePruner>,
    piece: Option<PiecePruner>,
}

/// The pieces that have to be read, and those in which no row can pass.
fn split_off(scan: &ScanFile, ranges: &[Range<u64>], pruner: Option<&PiecePruner>) -> (Vec<Range<u64>>, Vec<Range<u64>>) {
    let Some(pruner) = pruner else { return (ranges.to_vec(), Vec::new()) };
    // Of what is read as a whole, the range is that of its text, whose end is not known.
    let whole = scan.is_whole().then(|| std::slice::from_ref(&ALL));
    let mut excluded = pruner.excluded(&scan.file.index, whole.unwrap_or(ranges)).into_iter();
    ranges.iter().cloned().partition(|_| !excluded.next().unwrap_or(false))
}

/// All of a text.
const ALL: Range<u64> = 0..u64::MAX;

fn exact(count: u64) -> Precision<usize> {
    usize::try_from(count).map_or(Precision::Absent, Precision::Exact)
}

/// How many partitions read one compressed file at most: what unpacks it is not quicker than a few of them.
const MAX_LANES: usize = 8;

/// Marks what is no text of a path; a path that holds it has it doubled.
const ESCAPE: char = '\u{FFFD}';

/// The location of a file, or of a member of an archive: names in there may differ in what a location does not keep.
fn location_of(snapshot: &Snapshot) -> Location {
    let path = location(&snapshot.path);
    match &snapshot.member {
        Some(member) => path.join(format!("{ESCAPE}{}", member.start())),
        None => path,
    }
}

/// A file's path as a location that is the same for no other path, whatever bytes it has.
pub(super) fn location(path: &Path) -> Location {
    if path.as_os_str() == "-" {
        return Location::from(format!("{ESCAPE}stdin"));
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut text = String::new();
    for chunk in absolute.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            text.extend(std::iter::repeat_n(c, if c == ESCAPE { 2 } else { 1 }));
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("{ESCAPE}{byte:02X}")));
    }
    Location::from(text)
}

fn partitioned_file(snapshot: &Snapshot, location: &Location, range: &Range<u64>) -> PartitionedFile {
    let mut file = PartitionedFile::new(String::new(), snapshot.size);
    file.object_meta.location = location.clone();
    if let Some(time) = arrow::temporal_conversions::timestamp_ns_to_datetime(snapshot_mtime(snapshot)) {
        file.object_meta.last_modified = time.and_utc();
    }
    // How long a text is that is unpacked is known at its end.
    let end = i64::try_from(range.end).unwrap_or(i64::MAX);
    match i64::try_from(range.start) {
        Ok(start) if *range != (0..snapshot.size) => file.with_range(start, end),
        _ => file,
    }
}

/// The time of a snapshot as far as a `PartitionedFile` can hold it.
pub(super) fn snapshot_mtime(snapshot: &Snapshot) -> i64 {
    snapshot.mtime_ns
}

/// The time that [`partitioned_file`] wrote down.
pub(super) fn partitioned_file_mtime(file: &PartitionedFile) -> i64 {
    file.object_meta.last_modified.timestamp_nanos_opt().unwrap_or(i64::MIN)
}

/// Deals the pieces to at most `groups` groups, in order, so that each has about as many bytes.
fn deal(pieces: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    // The last piece of an unpacked text has no end. It must not weigh more than all others together, which would leave them to one group.
    let is_endless = |piece: &PartitionedFile| piece.range.as_ref().is_some_and(|range| range.end == i64::MAX);
    let size = |piece: &PartitionedFile| if is_endless(piece) { piece.object_meta.size } else { piece.effective_size() }.max(1);
    let total: u64 = pieces.iter().map(size).sum();
    let share = total.div_ceil(groups.max(1) as u64).max(1);
    let mut dealt: Vec<Vec<PartitionedFile>> = Vec::new();
    let mut done = 0;
    for piece in pieces {
        let group = usize::try_from(done / share).unwrap_or(0);
        done += size(&piece);
        if dealt.len() <= group && dealt.len() < groups.max(1) {
            dealt.push(Vec::new());
        }
        if let Some(last) = dealt.last_mut() {
            last.push(piece);
        }
    }
    dealt.into_iter().map(FileGroup::new).collect()
}

#[async_trait]
impl TableProvider for LogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.def.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
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

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> DfResult<ScanResult> {
        let listing = self.files.listing().await?;
        let filters = args.filters().unwrap_or_default();
        let pruners = match self.def.name {
            UNPARSED => Pruners::default(),
            _ => Pruners { file: FilePruner::try_new(state, filters)?, piece: PiecePruner::try_new(state, self.def, filters)? },
        };
        let partitions = state.config().target_partitions();
        let (files, pieces) = self.plan_files(&listing, &pruners, partitions)?;
        if pieces.is_empty() {
            let schema = match args.projection() {
                Some(columns) => Arc::new(self.def.schema().project(columns)?),
                None => self.schema(),
            };
            return Ok(ScanResult::new(Arc::new(EmptyExec::new(schema))));
        }
        let groups = deal(pieces, partitions);
        let statistics = self.statistics(files.known.filter(|_| filters.is_empty() && args.limit().is_none()));
        let source = Arc::new(LogSource::new(Arc::clone(&self.context), self.def, files));
        // The URL names a store that is always there; this source never asks it.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(args.limit())
            .with_projection_indices(args.projection().map(<[usize]>::to_vec))?
            .build();
        let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        Ok(ScanResult::new(plan))
    }

    /// The logical filters choose files; the physical ones, which come later, are applied to every record.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn no_two_paths_have_one_location() {
        let odd = Path::new(OsStr::from_bytes(b"/var/log/a\xff.log"));
        let paths = [
            odd,
            Path::new("/var/log/a\u{FFFD}FF.log"),
            Path::new("/var/log/a%FF.log"),
            Path::new("/var/log/a b?*.log"),
            Path::new("/var/log/../log/x"),
            Path::new("/-"),
            Path::new("-"),
        ];
        for (i, a) in paths.iter().enumerate() {
            for b in &paths[..i] {
                assert_ne!(location(a), location(b), "{} {}", a.display(), b.display());
            }
        }
    }

    #[test]
    fn pieces_are_dealt_evenly_and_in_order() {
        let piece = |size| PartitionedFile::new("x", size);
        for (sizes, groups) in [(vec![1; 10], 3), (vec![100, 1, 1, 1], 2), (vec![1], 7), (vec![0, 0, 5], 2)] {
            let count = sizes.len();
            let dealt = deal(sizes.iter().map(|size| piece(*size)).collect(), groups);
            assert!(dealt.len() <= groups);
            assert!(dealt.iter().all(|group| !group.is_empty()));
            let seen: Vec<u64> = dealt.iter().flat_map(FileGroup::iter).map(|f| f.object_meta.size).collect();
            assert_eq!(seen.len(), count);
            assert_eq!(seen, sizes);
        }
        let text = (0..10).map(|at| piece(100).with_range(at * 100, if at < 9 { at * 100 + 100 } else { i64::MAX }));
        assert_eq!(deal(text.collect(), 2).iter().map(FileGroup::len).collect::<Vec<_>>(), [5, 5]);
    }
}
