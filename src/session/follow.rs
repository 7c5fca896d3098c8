//! A query over what is still to come: rows of lines that are written while it runs, as one stream without an end.
//!
//! ```text
//!   Projection ─ Sort by time ─ Filter ─ TableScan access_log
//!                                            └── the records that no look before had (store/follow.rs)
//!
//!   the newest rows of now ──► pause ──► look ──► pause ──► look ──► …
//! ```
//!
//! A row is one record, so that it is final when it is there. What counts or joins changes with each line, and is run again instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, Result as DfResult, ScalarValue};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::sql::parser::Statement;
use futures::StreamExt as _;

use super::{Answer, QueryError, Session, Trace};
use crate::kernel::table::UNPARSED;
use crate::source::FileKind;
use crate::store::Follower;
use crate::table::{HistoryTable, LogFile, LogTable, log_table_of};

/// Batches that wait for somebody to take them.
const WAITING: usize = 2;

/// Looking takes at most this part of the time.
const SHARE: u32 = 10;

/// How a query is followed.
#[derive(Clone, Debug)]
pub struct FollowOptions {
    /// So many of the newest rows come first.
    pub last: usize,
    /// How long to wait before looking again, at least.
    pub every: Duration,
    /// Whether rows tell where they come from.
    pub trace: Trace,
    /// Counts new lines that no format takes, for whoever wants to tell.
    pub unparsed: Arc<AtomicU64>,
}

impl Session {
    /// Plans a statement and follows it: the newest of its rows, and then those that are new, until nobody wants more.
    pub async fn follow(
        &self,
        statement: Statement,
        values: Vec<(String, ScalarValue)>,
        options: FollowOptions,
    ) -> Result<Answer, QueryError> {
        self.report().begin_query();
        let plan = Box::pin(self.planned(statement, values)).await?;
        let log = self.followed(&plan)?;
        let listing = log.files().listing().await.map_err(|error| self.explain(&error.into()))?;
        if listing.files.iter().any(|file| file.snapshot.kind != FileKind::Regular) {
            return Err(QueryError::new(
                "only files can be followed",
                "a stream gives its rows as they come, without --follow: `tail -f x.log | logsql \"SELECT …\" -`",
            ));
        }
        let mut follower = Follower::new(self.schema.context().options.read.clone());
        let there = Box::pin(follower.skip(self, &listing, log.def())).await;
        let newest = over(&plan, &log, there, Rows::Newest(options.last));
        let newest = newest.and_then(|newest| self.with_origin(newest, options.trace));
        let (newest, origin) = newest.map_err(|error| self.explain(&error))?;
        let mut newest = Box::pin(self.start(newest)).await.map_err(|error| self.explain(&error))?;
        let backwards = !is_sorted(&plan);
        let mut builder = RecordBatchReceiverStream::builder(newest.schema(), WAITING);
        let sender = builder.tx();
        let session = self.clone();
        builder.spawn(async move {
            let mut batches = vec![];
            while let Some(batch) = newest.next().await {
                let batch = batch?;
                batches.push(if backwards { reversed(&batch)? } else { batch });
            }
            if backwards {
                batches.reverse();
            }
            for batch in batches {
                if sender.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
            let mut pause = options.every;
            loop {
                tokio::time::sleep(pause).await;
                let began = Instant::now();
                session.report().begin_query();
                let listing = log.files().listing().await?;
                let parts = Box::pin(follower.look(&session, &listing, log.def())).await;
                if !parts.is_empty() {
                    let (plan, _) = session.with_origin(over(&plan, &log, parts, Rows::InOrder)?, options.trace)?;
                    let mut rows = Box::pin(session.start(plan)).await?;
                    while let Some(batch) = rows.next().await {
                        let batch = batch?;
                        if batch.num_rows() > 0 && sender.send(Ok(batch)).await.is_err() {
                            return Ok(());
                        }
                    }
                    session.report().settle().await;
                    if log.def().name != UNPARSED {
                        options.unparsed.fetch_add(session.report().summary().unparsed, Ordering::Relaxed);
                    }
                }
                follower.read();
                pause = options.every.max(began.elapsed() * SHARE);
            }
        });
        Ok(Answer { rows: builder.build(), shows: true, origin })
    }

    /// The one table whose records the rows of a plan are.
    fn followed(&self, plan: &LogicalPlan) -> Result<Arc<LogTable>, QueryError> {
        match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::SubqueryAlias(_) => {
                self.followed(plan.inputs()[0])
            }
            LogicalPlan::Limit(_) => Err(QueryError::new(
                "LIMIT ends, and what is followed does not",
                "leave LIMIT out; `--tail N` and `\\tail` begin with the newest rows",
            )),
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source).map_err(|error| self.explain(&error))?;
                match log_table_of(provider.as_ref()) {
                    Some(log) => Ok(Arc::new(log.clone())),
                    None => Err(not_records()),
                }
            }
            _ => Err(not_records()),
        }
    }
}

fn not_records() -> QueryError {
    QueryError::new(
        "only rows that are one record of a log each can be followed",
        "as in `SELECT * FROM access_log WHERE status >= 500`; what counts or joins is run again and again with `\\watch`",
    )
}

/// Which rows of the files, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// So many of the latest, latest first.
    Newest(usize),
    /// All, earliest first.
    InOrder,
}

/// The plan over other files.
fn over(plan: &LogicalPlan, log: &Arc<LogTable>, files: Vec<Arc<LogFile>>, rows: Rows) -> DfResult<LogicalPlan> {
    if !is_records(plan) {
        let inputs = plan.inputs().into_iter().map(|input| over(input, log, files.clone(), rows));
        return plan.with_new_exprs(plan.expressions(), inputs.collect::<DfResult<_>>()?);
    }
    let table = Arc::new(log.over(files));
    let replaced = plan.clone().transform_down(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let old = source_as_provider(&scan.source)?;
        let table: Arc<dyn TableProvider> = match old.downcast_ref::<HistoryTable>() {
            Some(history) => Arc::new(history.only_present(Arc::clone(&table))),
            None => Arc::clone(&table) as Arc<dyn TableProvider>,
        };
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source: provider_as_source(table), ..scan.clone() })))
    })?;
    let plan = replaced.data;
    let column = |name: &str| plan.schema().iter().find(|(_, field)| field.name() == name).map(Column::from).map(Expr::Column);
    // Lines of one second are in the order in which they were logged.
    let (time, offset) = (column("time"), column("_offset"));
    let order =
        |ascending: bool| time.iter().chain(&offset).map(move |key| key.clone().sort(ascending, false)).collect::<Vec<_>>();
    let (newest_first, in_order) = (order(false), order(true));
    let has_time = time.is_some();
    let builder = LogicalPlanBuilder::from(plan);
    match rows {
        Rows::Newest(last) if has_time => builder.sort_with_limit(newest_first, Some(last)),
        // Nobody knows which are the latest.
        Rows::Newest(_) => builder.limit(0, Some(0)),
        Rows::InOrder if !in_order.is_empty() => builder.sort(in_order),
        Rows::InOrder => Ok(builder),
    }?
    .build()
}

/// Are these the rows of the table as it has them?
fn is_records(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => is_records(plan.inputs()[0]),
        _ => false,
    }
}

/// Does the statement say in which order it wants the rows of a look?
fn is_sorted(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Sort(_)) || plan.inputs().iter().any(|input| is_sorted(input))
}

fn reversed(batch: &RecordBatch) -> DfResult<RecordBatch> {
    let order = UInt64Array::from_iter_values((0..batch.num_rows() as u64).rev());
    Ok(take_record_batch(batch, &order)?)
}
