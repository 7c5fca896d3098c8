//! What a scan of log files is: its files, its columns, its filters. DataFusion asks it to take over as much as it can.
//!
//! ```text
//!   DataSourceExec
//!     FileScanConfig { file groups: pieces of files, limit }
//!       LogSource { table, files, projection, filters }
//!         └─ create_file_opener ──► ProjectionOpener ──► LogOpener (opener.rs)
//!                                   expressions          columns
//! ```
//!
//! The list of files is fixed when the scan is planned, each with its size and time; the opener checks them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::{self, Formatter};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::object_store::ObjectStore;
use datafusion::object_store::path::Path as Location;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, SortOrderPushdownResult, apply_expression_roots};

use super::bounds::TIME;
use super::facts::Facts;
use super::file_set::LogFile;
use super::lanes::Lanes;
use super::log_table::partitioned_file_mtime;
use super::opener::{LogOpener, OpenerMetrics};
use super::options::ScanContext;
use super::pushdown::Pushed;
use super::report::{FileTally, ScanReport};
use crate::kernel::decode::ScanPlan;
use crate::kernel::table::TableDef;
use crate::source::{KeptMember, RestartPoint};

/// One file of a scan.
#[derive(Debug)]
pub(super) struct ScanFile {
    pub(super) file: Arc<LogFile>,
    pub(super) tally: Arc<FileTally>,
    /// Partitions without other work help to read it.
    pub(super) has_helpers: bool,
    /// The next member of the same solid archive: they are read one after the other, in one pass.
    pub(super) next: Option<usize>,
    /// The bytes of a member of a solid archive, where they are in memory already.
    pub(super) kept: Option<KeptMember>,
    /// Where it is entered though it is compressed; empty if nowhere. The pieces begin there, and at 0.
    pub(super) points: Arc<[RestartPoint]>,
}

impl ScanFile {
    /// Does one reader read all of it?
    pub(super) fn is_whole(&self) -> bool {
        !self.file.snapshot.is_splittable() && self.points.is_empty()
    }

    /// How many bytes of the file a piece takes.
    pub(super) fn bytes_of(&self, piece: &Range<u64>) -> u64 {
        let size = self.file.snapshot.size;
        if self.points.is_empty() {
            return if self.file.snapshot.is_splittable() { piece.end - piece.start } else { size };
        }
        let raw = |text: u64| self.points.iter().find(|point| point.text() >= text).map_or(size, RestartPoint::raw);
        let start = if piece.start == 0 { 0 } else { raw(piece.start) };
        raw(piece.end).saturating_sub(start)
    }
}

/// The pieces of a compressed file that is entered at these points.
pub(super) fn pieces_between(points: &[RestartPoint]) -> Vec<Range<u64>> {
    let starts = std::iter::once(0).chain(points.iter().map(RestartPoint::text));
    let ends = points.iter().map(RestartPoint::text).chain(std::iter::once(u64::MAX));
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// The files of a scan, by the location that stands for their path.
#[derive(Debug, Default)]
pub(super) struct ScanFiles {
    files: Vec<ScanFile>,
    by_location: HashMap<Location, usize>,
    /// What all of them give, where that is known.
    pub(super) known: Option<Facts>,
    /// Pieces that are not read, since no row in them can pass; of how many; and their bytes.
    skipped: (usize, usize, u64),
}

impl ScanFiles {
    /// Adds a file, and returns its number.
    pub(super) fn push(&mut self, location: Location, file: ScanFile) -> usize {
        let at = self.files.len();
        self.by_location.insert(location, at);
        self.files.push(file);
        at
    }

    /// So many of so many pieces are left out.
    pub(super) fn skip(&mut self, skipped: usize, of: usize, bytes: u64) {
        let (pieces, all, sum) = self.skipped;
        self.skipped = (pieces + skipped, all + of, sum + bytes);
    }

    /// File `next` is read behind file `at`.
    pub(super) fn chain(&mut self, at: usize, next: usize) {
        self.files[at].next = Some(next);
    }

    pub(super) fn file(&self, at: usize) -> &ScanFile {
        &self.files[at]
    }

    /// The files that are read behind file `at`.
    pub(super) fn behind(&self, at: usize) -> Vec<usize> {
        std::iter::successors(self.files[at].next, |at| self.files[*at].next).collect()
    }

    /// The file at a location, with its number.
    pub(super) fn find(&self, location: &Location) -> DfResult<(usize, &ScanFile)> {
        let at = self.by_location.get(location).copied();
        at.and_then(|at| self.files.get(at).map(|file| (at, file)))
            .ok_or_else(|| internal_datafusion_err!("no file of this scan is at {location}"))
    }

    /// The families of the files, each once, in the order of the files.
    fn formats(&self) -> Vec<&str> {
        let mut formats: Vec<&str> = Vec::new();
        for file in &self.files {
            let name = file.file.format.name().unwrap_or("none");
            if !formats.contains(&name) {
                formats.push(name);
            }
        }
        formats
    }
}

/// Which pieces a scan begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum First {
    /// As they were listed.
    #[default]
    Listed,
    /// The ones that were written last: the first rows of `ORDER BY time DESC` are likely to be there.
    Newest,
    /// The ones that were written first.
    Oldest,
}

/// A scan of log files.
#[derive(Clone, Debug)]
pub struct LogSource {
    context: Arc<ScanContext>,
    table: &'static TableDef,
    files: Arc<ScanFiles>,
    table_schema: TableSchema,
    projection: SplitProjection,
    pushed: Pushed,
    batch_rows: usize,
    metrics: ExecutionPlanMetricsSet,
    /// Which pieces are read first.
    first: First,
    /// Decoding plans by file, made when the first piece of the file is opened. They depend on the columns and filters.
    plans: Arc<Vec<OnceLock<Arc<ScanPlan>>>>,
    /// Where those who read the same file meet, by file.
    lanes: Arc<Vec<Arc<Lanes>>>,
}

impl LogSource {
    pub(super) fn new(context: Arc<ScanContext>, table: &'static TableDef, files: ScanFiles) -> Self {
        let table_schema = TableSchema::builder(Arc::clone(table.schema())).build();
        let count = files.files.len();
        let metrics = ExecutionPlanMetricsSet::new();
        OpenerMetrics::new(&metrics, 0).skip(files.skipped.0, files.skipped.2);
        Self {
            context,
            table,
            files: Arc::new(files),
            projection: SplitProjection::unprojected(&table_schema),
            table_schema,
            pushed: Pushed::default(),
            batch_rows: 8192,
            metrics,
            first: First::default(),
            plans: no_plans(count),
            lanes: no_lanes(count),
        }
    }

    pub(super) fn context(&self) -> &ScanContext {
        &self.context
    }

    pub(super) fn files(&self) -> &ScanFiles {
        &self.files
    }

    pub(super) fn lanes(&self, at: usize) -> &Arc<Lanes> {
        &self.lanes[at]
    }

    pub(super) fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    pub(super) fn pushed(&self) -> &Pushed {
        &self.pushed
    }

    /// The columns that are read of every row: those of the filters, where there are some.
    pub(super) fn columns_of_all_rows(&self) -> impl Iterator<Item = &'static str> {
        let is_filtered = self.pushed.all().next().is_some();
        let columns = if is_filtered { self.pushed.columns() } else { self.projection.file_indices.clone() };
        let fields = self.table.schema().fields();
        columns.into_iter().filter_map(move |at| fields.get(at).map(|field| field.name().as_str()))
    }

    pub(super) fn table(&self) -> &'static TableDef {
        self.table
    }

    /// How records of file `at` become columns.
    pub(super) fn plan(&self, at: usize, file: &LogFile) -> DfResult<Arc<ScanPlan>> {
        let slot = self.plans.get(at).ok_or_else(|| internal_datafusion_err!("file {at} of the scan has no plan"))?;
        if let Some(plan) = slot.get() {
            return Ok(Arc::clone(plan));
        }
        let (columns, filter_columns) = (&self.projection.file_indices, self.pushed.columns());
        let plan = file.plan(&self.context, self.table, columns, &filter_columns, &self.pushed.required());
        let plan = plan.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::clone(slot.get_or_init(|| Arc::new(plan))))
    }

    /// A plan that reads nothing but the time of records of the file.
    pub(super) fn time_plan(&self, file: &LogFile) -> Option<Arc<ScanPlan>> {
        let time = self.table.column(TIME)?;
        file.plan(&self.context, self.table, &[time], &[], &[]).ok().map(Arc::new)
    }

    /// A plan that reads the time of all records of the file, of whichever table.
    pub(super) fn stamp_plan(&self, file: &LogFile) -> Option<Arc<ScanPlan>> {
        file.index.stamp_plan(|| {
            let table = self.context.formats().format(file.format.name()?)?.table;
            let time = table.column(TIME)?;
            file.plan(&self.context, table, &[time], &[], &[]).ok().map(Arc::new)
        })
    }

    fn changed(&self) -> Self {
        let count = self.plans.len();
        Self { plans: no_plans(count), lanes: no_lanes(count), ..self.clone() }
    }
}

/// Says in the report which files a plan needs no scan of, since what they would give is known: DataFusion has put that in the place
/// of the scan.
pub fn settle(plan: &Arc<dyn ExecutionPlan>, report: &ScanReport) -> DfResult<()> {
    let mut scanned = Vec::new();
    plan.apply(|node| {
        let config = node.downcast_ref::<DataSourceExec>().and_then(|exec| exec.downcast_to_file_source::<LogSource>());
        if let Some((_, source)) = config {
            scanned.extend(source.files.files.iter().map(|file| Arc::clone(&file.tally)));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    report.settle_unscanned(&scanned);
    Ok(())
}

fn no_plans(count: usize) -> Arc<Vec<OnceLock<Arc<ScanPlan>>>> {
    Arc::new((0..count).map(|_| OnceLock::new()).collect())
}

fn no_lanes(count: usize) -> Arc<Vec<Arc<Lanes>>> {
    Arc::new((0..count).map(|_| Arc::default()).collect())
}

impl FileSource for LogSource {
    fn create_file_opener(
        &self,
        _object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> DfResult<Arc<dyn FileOpener>> {
        let metrics = OpenerMetrics::new(&self.metrics, partition);
        let opener = LogOpener::new(Arc::new(self.clone()), base_config.limit, metrics);
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), self.table_schema.file_schema())
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_rows: batch_size, ..self.clone() })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.pushed.predicate.as_ref().map(Arc::clone)
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &'static str {
        "log"
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut Formatter<'_>) -> fmt::Result {
        let formats = self.files.formats().join(", ");
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, ", table={}, formats=[{formats}]", self.table.name)?;
                if let Some(predicate) = &self.pushed.predicate {
                    write!(f, ", predicate={predicate}")?;
                }
                if let (skipped @ 1.., all, bytes) = self.files.skipped {
                    write!(f, ", skipped={skipped} of {all} pieces ({bytes} bytes)")?;
                }
                match self.first {
                    First::Listed => {}
                    First::Newest => write!(f, ", newest first")?,
                    First::Oldest => write!(f, ", oldest first")?,
                }
                for dynamic in &self.pushed.dynamic {
                    write!(f, ", dynamic={dynamic}")?;
                }
                Ok(())
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "table={}", self.table.name)?;
                writeln!(f, "formats={formats}")?;
                if let Some(predicate) = &self.pushed.predicate {
                    writeln!(f, "predicate={predicate}")?;
                }
                Ok(())
            }
        }
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        _eq_properties: &EquivalenceProperties,
    ) -> DfResult<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        // A sort sees the columns that the scan gives out.
        let given = |column: &Column| self.projection.source.iter().nth(column.index()).map(|given| &given.expr);
        let is_time = |sort: &PhysicalSortExpr| {
            let given = sort.expr.downcast_ref::<Column>().and_then(given);
            given.and_then(|expr| expr.downcast_ref::<Column>()).is_some_and(|column| column.name() == TIME)
        };
        let Some(sort) = order.first().filter(|sort| is_time(sort)) else { return Ok(SortOrderPushdownResult::Unsupported) };
        let first = if sort.options.descending { First::Newest } else { First::Oldest };
        // Log lines are not quite in order: somebody has to sort them.
        Ok(SortOrderPushdownResult::Inexact { inner: Arc::new(Self { first, ..self.clone() }) })
    }

    fn reorder_files(&self, mut files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        let written = |file: &PartitionedFile| (partitioned_file_mtime(file), file.range.as_ref().map_or(0, |range| range.start));
        match self.first {
            First::Listed => {}
            First::Newest => files.sort_by_key(|file| Reverse(written(file))),
            First::Oldest => files.sort_by_key(written),
        }
        files
    }

    // LogTable has cut the files: pieces must stay as their line counts were taken.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn repartitioned(
        &self,
        _target_partitions: usize,
        _repartition_file_min_size: usize,
        _output_ordering: Option<LexOrdering>,
        _config: &FileScanConfig,
    ) -> DfResult<Option<FileScanConfig>> {
        Ok(None)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let (pushed, verdicts) = self.pushed.with(filters, self.table_schema.file_schema());
        let any = verdicts.iter().any(|verdict| matches!(verdict, PushedDown::Yes));
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(verdicts);
        if !any {
            return Ok(propagation);
        }
        let source: Arc<dyn FileSource> = Arc::new(Self { pushed, ..self.changed() });
        Ok(propagation.with_updated_node(source))
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> DfResult<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.table_schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.changed() })))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        apply_expression_roots(self.pushed.all().chain(self.projection.source.iter().map(|column| &column.expr)), f)
    }
}
