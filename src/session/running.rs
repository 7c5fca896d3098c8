//! A query that runs: in a task of its own, and only as long as somebody wants its rows.
//!
//! ```text
//!   plan ──► sources and joins that can be stopped ──► task ── batches ──► Running ──► whoever asked
//!                        ▲                                                    │
//!                        └────────────────── stop ◄───────── dropped ─────────┘
//! ```
//!
//! A task is dropped where it pauses, and it pauses after 128 batches (tokio's budget): with a function that takes a millisecond per row that is a
//! quarter of an hour. So sources ([`Wanted`]) fail once nobody wants their rows any more, and give no more rows at once than those above them are through with
//! quickly. Joins may compute for hours between two batches of their input, and for ever between two rows that pass: so their filters look
//! whether they are still wanted, too, and what they give passes through DataFusion's own pause.
//!
//! This is done to the plan that is about to run here, behind all optimisers: an engine for several machines has cut it before.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, exec_err, internal_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, execute_stream};
use futures::{Stream, StreamExt as _};

/// Batches that wait for somebody to take them.
const WAITING: usize = 2;

/// Longer than this nobody should be busy with the rows that were given at once.
const LONG: Duration = Duration::from_millis(50);

/// Who is through with them before may have more.
const SHORT: Duration = Duration::from_millis(10);

/// Rows that are given at first, when nobody knows what is done with them.
const FIRST: usize = 128;

/// Starts a plan. Its tasks end when the rows are dropped.
pub(super) fn start(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
    let stop = Arc::new(AtomicBool::new(false));
    let plan = plan.transform_up(|node| stoppable(node, &stop))?.data;
    let mut rows = execute_stream(plan, context)?;
    let mut builder = RecordBatchReceiverStream::builder(rows.schema(), WAITING);
    let sender = builder.tx();
    builder.spawn(async move {
        while let Some(batch) = rows.next().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    Ok(Box::pin(Running { rows: builder.build(), stop }))
}

/// A source or a join that ends when it is told to. A join pauses now and then, too.
fn stoppable(node: Arc<dyn ExecutionPlan>, stop: &Arc<AtomicBool>) -> DfResult<Transformed<Arc<dyn ExecutionPlan>>> {
    // What was distributed waits in queues, where a source that has ended ends nothing.
    if node.children().is_empty() || node.is::<RepartitionExec>() {
        return Ok(Transformed::yes(Arc::new(WantedExec { input: node, stop: Arc::clone(stop) })));
    }
    let wanted = |filter: &JoinFilter| {
        let inner = Arc::clone(filter.expression());
        let expression = Arc::new(WhileWanted { inner, stop: Arc::clone(stop) });
        Some(JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema())))
    };
    let join: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        match join.filter() {
            Some(filter) => Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(wanted(filter)).build()?),
            None => node,
        }
    } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        match join.filter() {
            Some(filter) => join.builder().with_filter(wanted(filter)).build_exec()?,
            None => node,
        }
    } else if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        match join.filter() {
            Some(filter) => Arc::new(SortMergeJoinExec::try_new(
                Arc::clone(join.left()),
                Arc::clone(join.right()),
                join.on().to_vec(),
                wanted(filter),
                join.join_type(),
                join.sort_options().to_vec(),
                join.null_equality(),
            )?),
            None => node,
        }
    } else if node.is::<CrossJoinExec>() || node.is::<PiecewiseMergeJoinExec>() {
        node
    } else {
        return Ok(Transformed::no(node));
    };
    Ok(Transformed::yes(Arc::new(CooperativeExec::new(join))))
}

/// The rows of a query. Whoever drops them wants no more.
struct Running {
    rows: SendableRecordBatchStream,
    stop: Arc<AtomicBool>,
}

impl Stream for Running {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.poll_next_unpin(context)
    }
}

impl RecordBatchStream for Running {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Something whose rows are [`Wanted`].
#[derive(Debug)]
struct WantedExec {
    input: Arc<dyn ExecutionPlan>,
    stop: Arc<AtomicBool>,
}

impl DisplayAs for WantedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for WantedExec {
    fn name(&self) -> &str {
        "WantedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else { return internal_err!("there is one input") };
        Ok(Arc::new(Self { input, stop: Arc::clone(&self.stop) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        Ok(Box::pin(Wanted { rows, stop: Arc::clone(&self.stop), rest: None, portion: FIRST, given: None }))
    }
}

/// Rows that come only as long as somebody wants them, and in portions that whoever takes them is through with quickly.
struct Wanted {
    rows: SendableRecordBatchStream,
    stop: Arc<AtomicBool>,
    /// What of a batch is not given yet.
    rest: Option<RecordBatch>,
    /// Rows that may be given at once.
    portion: usize,
    /// How many were given last, and when.
    given: Option<(usize, Instant)>,
}

impl Wanted {
    /// So many rows at once, after so many took so long.
    fn next_portion(portion: usize, (rows, took): (usize, Duration)) -> usize {
        if took > LONG {
            // What waited for a reader in between was no work: the portions grow again as quickly.
            let share = LONG.as_secs_f64() / took.as_secs_f64();
            ((rows as f64 * share) as usize).clamp(1, portion)
        } else if took < SHORT {
            portion.saturating_mul(2)
        } else {
            portion
        }
    }
}

impl Stream for Wanted {
    type Item = DfResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stop.load(Ordering::Relaxed) {
            return Poll::Ready(Some(given_up()));
        }
        if let Some((rows, since)) = self.given.take() {
            self.portion = Self::next_portion(self.portion, (rows, since.elapsed()));
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match ready!(self.rows.poll_next_unpin(context)) {
                Some(Ok(batch)) => batch,
                end => return Poll::Ready(end),
            },
        };
        let rows = batch.num_rows().min(self.portion);
        self.rest = (rows < batch.num_rows()).then(|| batch.slice(rows, batch.num_rows() - rows));
        self.given = Some((rows, Instant::now()));
        Poll::Ready(Some(Ok(if self.rest.is_some() { batch.slice(0, rows) } else { batch })))
    }
}

impl RecordBatchStream for Wanted {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

/// What is found by whom nobody waits for.
fn given_up<T>() -> DfResult<T> {
    exec_err!("the query was given up")
}

/// An expression that fails once nobody wants its value any more.
#[derive(Debug)]
struct WhileWanted {
    inner: Arc<dyn PhysicalExpr>,
    stop: Arc<AtomicBool>,
}

impl PhysicalExpr for WhileWanted {
    fn return_field(&self, schema: &Schema) -> DfResult<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        if self.stop.load(Ordering::Relaxed) {
            return given_up();
        }
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        let inner = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Self { inner, stop: Arc::clone(&self.stop) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

impl fmt::Display for WhileWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for WhileWanted {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for WhileWanted {}

impl Hash for WhileWanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_follow_the_time_that_they_take() {
        let after = |portion, rows, millis| Wanted::next_portion(portion, (rows, Duration::from_millis(millis)));
        assert_eq!(after(512, 512, 0), 1024);
        assert_eq!(after(512, 512, 20), 512);
        assert_eq!(after(8192, 8192, 800), 512);
        // The end of a batch was less than a portion, and slow.
        assert_eq!(after(8192, 100, 500), 10);
        // One row is the least.
        assert_eq!(after(1, 1, 60_000), 1);
        assert_eq!(after(usize::MAX, 8192, 1), usize::MAX);
    }
}
