//! What a store holds, as tables.
//!
//! ```text
//!   manifest ──► files of the table ──► those whose times can pass the filters ──► FileScanConfig ── ParquetSource
//!                                                                                     row groups, pages, Bloom filters
//! ```
//!
//! The list of files is the manifest's, never that of the folder: what is not named there is not part of the store. A lock keeps them
//! there until the last reader of the query is gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{
    Column, ColumnStatistics, DFSchema, Result as DfResult, ScalarValue, Statistics, internal_datafusion_err,
};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::datasource::physical_plan::{FileGroup, FileGroupPartitioner, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::object_store::path::Path as Location;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;

use super::derive::{column, stored_fields};
use super::error::StoreError;
use super::lock::ReadLock;
use super::manifest::{Manifest, StoredFile};
use super::seam::{Copies, places};
use crate::kernel::table::{SOURCE, TableDef};
use crate::source::{ReadOptions, Snapshot};
use crate::table::{History, Rest, Stored, TableError};

/// What the rows of a file are sorted by, as far as they have it. No two rows have all of it in common.
pub(super) const ORDER: [&str; 3] = ["time", "_file", "_offset"];

/// What `_source` says of rows of a store.
const STORE: &str = "store";

/// A store that queries read.
#[derive(Debug)]
pub struct StoreHistory {
    root: PathBuf,
    copies: Copies,
    read: ReadOptions,
    /// Weak: a session that is idle keeps no file of the store.
    now: Mutex<(u64, Weak<StoredNow>)>,
}

impl StoreHistory {
    /// The store in `folder`; an error if there is none that can be read.
    pub fn open(folder: &Path, copies: Copies, read: ReadOptions) -> Result<Self, StoreError> {
        Manifest::read(folder)?;
        let failed = |source| StoreError::Io { verb: "read", path: folder.to_owned(), source };
        let root = std::fs::canonicalize(folder).map_err(failed)?;
        Ok(Self { root, copies, read, now: Mutex::default() })
    }
}

impl History for StoreHistory {
    fn at(&self, query: u64) -> Result<Arc<dyn Stored>, TableError> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let (of, Some(stored)) = (now.0, now.1.upgrade())
            && of == query
        {
            return Ok(stored);
        }
        // The lock first: what the manifest names is then there until it is dropped.
        let lock = Arc::new(ReadLock::take(&self.root));
        let manifest =
            Manifest::read(&self.root).map_err(|error| TableError::Store { path: self.root.clone(), source: Box::new(error) })?;
        let (root, read) = (self.root.clone(), self.read.clone());
        let stored = Arc::new(StoredNow { root, manifest, lock, copies: self.copies, read });
        *now = (query, Arc::downgrade(&stored));
        Ok(stored)
    }
}

/// What a store holds at one moment.
#[derive(Debug)]
struct StoredNow {
    root: PathBuf,
    manifest: Manifest,
    lock: Arc<ReadLock>,
    copies: Copies,
    read: ReadOptions,
}

impl Stored for StoredNow {
    fn rows(&self, def: &'static TableDef) -> Option<Arc<dyn TableProvider>> {
        let files: Vec<StoredFile> = self.manifest.files.iter().filter(|file| file.table == def.name).cloned().collect();
        if files.is_empty() {
            return None;
        }
        Some(Arc::new(StoreTable::new(self.root.clone(), def, files, Arc::clone(&self.lock))))
    }

    fn rests(&self, files: &[&Snapshot]) -> Vec<Rest> {
        places(&self.manifest, files, self.copies, &self.read).into_iter().map(|place| place.rest).collect()
    }
}

/// Some Parquet files of one table.
#[derive(Debug)]
pub(super) struct StoreTable {
    root: PathBuf,
    /// The columns of the table.
    schema: SchemaRef,
    /// Those of the files.
    table_schema: TableSchema,
    files: Vec<StoredFile>,
    lock: Arc<ReadLock>,
}

impl StoreTable {
    pub(super) fn new(root: PathBuf, def: &TableDef, files: Vec<StoredFile>, lock: Arc<ReadLock>) -> Self {
        let schema = Arc::clone(def.schema());
        let stored = stored_fields(&schema).into_iter().map(Arc::new);
        let (source, stored): (Vec<_>, Vec<_>) = stored.partition(|field| field.name() == SOURCE);
        let table_schema = TableSchema::builder(Arc::new(Schema::new(stored))).with_table_partition_cols(source).build();
        Self { root, schema, table_schema, files, lock }
    }

    fn partitioned(&self, file: &StoredFile) -> DfResult<PartitionedFile> {
        let path = self.root.join(&file.name);
        let mut partitioned = PartitionedFile::new(String::new(), file.bytes);
        partitioned.object_meta.location = Location::from_absolute_path(&path)?;
        if !self.table_schema.table_partition_cols().is_empty() {
            partitioned = partitioned.with_partition_values(vec![ScalarValue::Utf8View(Some(STORE.to_owned()))]);
        }
        Ok(partitioned.with_statistics(Arc::new(self.statistics(std::slice::from_ref(file)))))
    }

    /// What is known of some of the files without opening them.
    fn statistics(&self, files: &[StoredFile]) -> Statistics {
        let count = |rows: u64| Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        let columns = self.table_schema.file_schema().fields().iter().map(|field| {
            let unknown = ColumnStatistics::new_unknown();
            if field.name() != "time" {
                return unknown;
            }
            let time = |us: Option<i64>| Precision::Exact(ScalarValue::TimestampMicrosecond(us, Some("UTC".into())));
            let nulls = files.iter().map(|file| file.timeless).sum();
            let known = |end: Option<i64>| end.map_or(Precision::Absent, |us| time(Some(us)));
            ColumnStatistics {
                null_count: count(nulls),
                min_value: known(files.iter().filter_map(|file| file.min_time).min()),
                max_value: known(files.iter().filter_map(|file| file.max_time).max()),
                ..unknown
            }
        });
        let source = self.table_schema.table_partition_cols().iter().map(|_| ColumnStatistics::new_unknown());
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        Statistics {
            num_rows: count(files.iter().map(|file| file.rows).sum()),
            total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
            column_statistics: columns.chain(source).collect(),
        }
    }

    /// Columns of some of the files, as they are there.
    fn scan_files(
        &self,
        state: &dyn Session,
        files: &[StoredFile],
        columns: Vec<usize>,
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::local_filesystem();
        let runtime = state.runtime_env();
        let readers =
            CachedParquetFileReaderFactory::new(runtime.object_store(&url)?, runtime.cache_manager.get_file_metadata_cache());
        let readers = Arc::new(LockedReaders { readers, _lock: Arc::clone(&self.lock) });
        let mut options = state.default_table_options().parquet;
        // Filters are applied while columns are read, so that the others are read for the rows that are left.
        options.global.pushdown_filters = true;
        options.global.reorder_filters = true;
        let source = ParquetSource::new(self.table_schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(readers);
        let statistics = self.statistics(files);
        let files = files.iter().map(|file| self.partitioned(file)).collect::<DfResult<Vec<_>>>()?;
        let partitions = state.config().target_partitions();
        let groups = FileGroup::new(files).split_files(partitions);
        // Large files are shared: each partition takes the groups of rows in its part.
        let shared = FileGroupPartitioner::new().with_target_partitions(partitions).repartition_file_groups(&groups);
        let groups = shared.unwrap_or(groups);
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(Some(columns))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// The rows of all files as they are stored, merged: each file is in that order.
    pub(super) fn merged(&self, state: &SessionState, raw: bool) -> DfResult<SendableRecordBatchStream> {
        // A file that is read by two is not read in order.
        let config = state.config().clone().with_target_partitions(1);
        let state = SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build();
        let fields = self.table_schema.file_schema().fields().iter().enumerate();
        let columns: Vec<usize> = fields.filter(|(_, field)| is_stored(field, raw)).map(|(at, _)| at).collect();
        let scan = |file| self.scan_files(&state, std::slice::from_ref(file), columns.clone(), None);
        let files = UnionExec::try_new(self.files.iter().map(scan).collect::<DfResult<Vec<_>>>()?)?;
        let schema = files.schema();
        let by = ORDER.iter().filter(|name| schema.index_of(name).is_ok()).map(|name| {
            let options = SortOptions { descending: false, nulls_first: false };
            Ok(PhysicalSortExpr::new(Arc::new(PhysicalColumn::new_with_schema(name, &schema)?), options))
        });
        let by = LexOrdering::new(by.collect::<DfResult<Vec<_>>>()?);
        let by = by.ok_or_else(|| internal_datafusion_err!("rows of a store have no place"))?;
        SortPreservingMergeExec::new(by, files).execute(0, state.task_ctx())
    }

    /// Columns of the table, as expressions over those of the files.
    fn exprs(&self, columns: &[usize], state: &dyn Session) -> DfResult<Vec<ProjectionExpr>> {
        let stored = self.table_schema.table_schema();
        let config = Arc::new(state.config_options().clone());
        let expr = |at: &usize| {
            let name = self.schema.field(*at).name();
            Ok(ProjectionExpr { expr: column(name, stored, &config)?, alias: name.clone() })
        };
        columns.iter().map(expr).collect()
    }

    /// The files that can hold a row that passes, by their times.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> DfResult<Vec<StoredFile>> {
        let Some(filter) = conjunction(filters.iter().filter(|filter| !filter.is_volatile()).map(unqualified)) else {
            return Ok(self.files.clone());
        };
        let schema = Arc::clone(&self.schema);
        // A filter with a subquery in it is only known when it runs.
        let Ok(filter) = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&schema))?) else {
            return Ok(self.files.clone());
        };
        let predicate = PruningPredicateBuilder::new().with_file_schema(schema).try_build(filter)?;
        let keep = predicate.prune(&FileTimes(&self.files))?;
        Ok(self.files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
    }
}

/// The columns that expressions need, each once, in the order in which they are first needed.
fn stored_columns(exprs: &[ProjectionExpr]) -> Vec<usize> {
    let mut needed: Vec<usize> = vec![];
    for expr in exprs {
        let columns: BTreeSet<usize> = collect_columns(&expr.expr).iter().map(PhysicalColumn::index).collect();
        for column in columns {
            if !needed.contains(&column) {
                needed.push(column);
            }
        }
    }
    needed
}

/// The filter may name the table as the query does.
fn unqualified(filter: &Expr) -> Expr {
    use datafusion::common::tree_node::{Transformed, TreeNode as _};
    let rename = |expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    };
    filter.clone().transform(rename).map_or_else(|_| filter.clone(), |renamed| renamed.data)
}

/// The times of files, as statistics of containers.
struct FileTimes<'a>(&'a [StoredFile]);

impl FileTimes<'_> {
    fn times(&self, column: &Column, of: impl Fn(&StoredFile) -> Option<i64>) -> Option<ArrayRef> {
        let times = || TimestampMicrosecondArray::from(self.0.iter().map(of).collect::<Vec<_>>()).with_timezone("UTC");
        (column.name == "time").then(|| Arc::new(times()) as ArrayRef)
    }
}

impl PruningStatistics for FileTimes<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |file| file.min_time)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |file| file.max_time)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = || UInt64Array::from(self.0.iter().map(|file| file.timeless).collect::<Vec<_>>());
        (column.name == "time").then(|| Arc::new(nulls()) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(self.0.iter().map(|file| file.rows).collect::<Vec<_>>())))
    }

    fn contained(&self, _column: &Column, _values: &std::collections::HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Opens files for as long as they are locked.
#[derive(Debug)]
struct LockedReaders {
    readers: CachedParquetFileReaderFactory,
    _lock: Arc<ReadLock>,
}

impl ParquetFileReaderFactory for LockedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DfResult<Box<dyn AsyncFileReader + Send>> {
        self.readers.create_reader(partition, file, metadata_size_hint, metrics)
    }
}

#[async_trait]
impl TableProvider for StoreTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
        let files = self.pruned(state, args.filters().unwrap_or_default())?;
        if files.is_empty() {
            let schema = match args.projection() {
                Some(columns) => Arc::new(self.schema().project(columns)?),
                None => self.schema(),
            };
            return Ok(ScanResult::new(Arc::new(EmptyExec::new(schema))));
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let columns = self.exprs(args.projection().unwrap_or(&all), state)?;
        let stored = stored_columns(&columns);
        let scan = self.scan_files(state, &files, stored.clone(), args.limit())?;
        let is_stored = |(at, column): (usize, &ProjectionExpr)| {
            column.expr.downcast_ref::<PhysicalColumn>().is_some_and(|column| column.index() == stored[at])
        };
        if stored.len() == columns.len() && columns.iter().enumerate().all(is_stored) {
            return Ok(ScanResult::new(scan));
        }
        let scanned = scan.schema();
        let onto_scan = |column: ProjectionExpr| {
            Ok(ProjectionExpr { expr: reassign_expr_columns(column.expr, &scanned)?, alias: column.alias })
        };
        let columns = columns.into_iter().map(onto_scan).collect::<DfResult<Vec<_>>>()?;
        Ok(ScanResult::new(Arc::new(ProjectionExec::try_new(columns, scan)?)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// A field of the store's files.
pub(super) fn is_stored(field: &Field, raw: bool) -> bool {
    field.name() != SOURCE && (raw || field.name() != "_raw")
}
