//! A table whose past is in a store and whose present is in log files.
//!
//! ```text
//!   access_log ──► HistoryTable ──┬─► what the store has of it                 _source = 'store'
//!                                 └─► LogTable over what it has not, yet       _source = 'live'
//! ```
//!
//! Where one ends and the other begins is decided once per query: [`History::at`] gives what the store holds at this moment, its rows
//! and, for every log file, where the rest begins ([`Stored::rests`]). Both are of the same state of the store, so a record is in one of
//! them, whatever is collected meanwhile.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{ScanArgs, ScanResult, Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use datafusion::scalar::ScalarValue;

use super::error::TableError;
use super::log_table::LogTable;
use super::report::Remark;
use crate::kernel::table::{SOURCE, TableDef};
use crate::source::Snapshot;

/// What `_source` says of rows of log files.
const LIVE: &str = "live";

/// A place in a file: the first byte of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Offset of the byte, after decompression.
    pub offset: u64,
    /// Number of the line, from 1.
    pub line: u64,
}

/// A part of a file: the records that begin in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    pub begin: Begin,
    /// The offset behind its last byte. Only what can be entered in the middle has another end than its own.
    pub end: u64,
}

/// What of a file is not in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it.
    All,
    /// What begins there.
    From(Begin),
    /// Nothing; with a word about why, where it does not go without saying.
    Nothing(Option<Remark>),
}

/// A store of what was collected.
pub trait History: Debug + Send + Sync {
    /// What it holds as query number `query` sees it: the same whenever it is asked for, as long as somebody has it.
    fn at(&self, query: u64) -> Result<Arc<dyn Stored>, TableError>;
}

/// What a store holds at one moment.
pub trait Stored: Debug + Send + Sync {
    /// Its rows of a table, with the columns of `table_with_source`; `None` if it has none.
    fn rows(&self, def: &'static TableDef) -> Option<Arc<dyn TableProvider>>;

    /// What it has not of each of these files.
    fn rests(&self, files: &[&Snapshot]) -> Vec<Rest>;
}

/// A table of the taxonomy, out of a store and out of log files.
#[derive(Debug)]
pub struct HistoryTable {
    def: &'static TableDef,
    past: Option<Arc<dyn TableProvider>>,
    present: Arc<LogTable>,
    /// As long as the table is there, the query sees this state of the store.
    _stored: Option<Arc<dyn Stored>>,
}

impl HistoryTable {
    /// The rows of a store, and those of `present`, which it has not. `def` has the column that tells them apart.
    pub fn new(def: &'static TableDef, stored: Arc<dyn Stored>, present: Arc<LogTable>) -> Self {
        Self { def, past: stored.rows(def), present, _stored: Some(stored) }
    }

    /// The same table with other log files, and without its past.
    pub fn only_present(&self, present: Arc<LogTable>) -> Self {
        Self { def: self.def, past: None, present, _stored: None }
    }

    /// Which table of the taxonomy it is, with the column that tells its two sides apart.
    pub fn def(&self) -> &'static TableDef {
        self.def
    }

    /// Its side of log files.
    pub fn present(&self) -> &Arc<LogTable> {
        &self.present
    }

    /// The rows of log files, with the columns that were asked for.
    async fn live(&self, state: &dyn Session, columns: &[usize], args: &ScanArgs<'_>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let source = self.def.column(SOURCE);
        let of_log: Vec<usize> = columns.iter().copied().filter(|column| Some(*column) != source).collect();
        let filters: Vec<Expr> =
            args.filters().unwrap_or_default().iter().filter(|filter| !names_source(filter)).cloned().collect();
        let inner = ScanArgs::default().with_projection(Some(&of_log)).with_filters(Some(&filters)).with_limit(args.limit());
        let plan = self.present.scan_with_args(state, inner).await?.into_inner();
        if of_log.len() == columns.len() {
            return Ok(plan);
        }
        let live = ScalarValue::Utf8View(Some(LIVE.to_owned()));
        let mut given = 0..;
        let exprs = columns.iter().map(|column| {
            let name = self.def.columns[*column].name;
            let expr: Arc<dyn PhysicalExpr> = match Some(*column) == source {
                true => lit(live.clone()),
                false => Arc::new(Column::new(name, given.next().unwrap_or(0))),
            };
            ProjectionExpr { expr, alias: name.to_owned() }
        });
        Ok(Arc::new(ProjectionExec::try_new(exprs.collect::<Vec<_>>(), plan)?))
    }
}

/// Log files have no such column: the filter is applied above them.
fn names_source(filter: &Expr) -> bool {
    filter.column_refs().iter().any(|column| column.name == SOURCE)
}

/// Which table of the taxonomy a provider is, whatever its rows come from.
pub fn def_of(provider: &dyn TableProvider) -> Option<&'static TableDef> {
    let log = || provider.downcast_ref::<LogTable>().map(LogTable::def);
    provider.downcast_ref::<HistoryTable>().map(HistoryTable::def).or_else(log)
}

/// The part of a provider that reads log files.
pub fn log_table_of(provider: &dyn TableProvider) -> Option<&LogTable> {
    let present = provider.downcast_ref::<HistoryTable>().map(|table| table.present().as_ref());
    present.or_else(|| provider.downcast_ref::<LogTable>())
}

#[async_trait]
impl TableProvider for HistoryTable {
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
        let all: Vec<usize> = (0..self.def.columns.len()).collect();
        let columns = args.projection().unwrap_or(&all).to_vec();
        let live = self.live(state, &columns, &args).await?;
        let Some(past) = &self.past else { return Ok(ScanResult::new(live)) };
        let past_args = ScanArgs::default().with_projection(Some(&columns)).with_filters(args.filters()).with_limit(args.limit());
        let past = past.scan_with_args(state, past_args).await?.into_inner();
        let is_empty = |plan: &Arc<dyn ExecutionPlan>| {
            let below = plan.downcast_ref::<ProjectionExec>().map_or(plan, ProjectionExec::input);
            below.downcast_ref::<EmptyExec>().is_some()
        };
        if is_empty(&live) {
            return Ok(ScanResult::new(past));
        }
        if is_empty(&past) {
            return Ok(ScanResult::new(live));
        }
        Ok(ScanResult::new(UnionExec::try_new(vec![past, live])?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
