//! A query that runs: in a task of its own, and only as long as somebody wants its rows.
//!
//! ```text
//!   plan ──► joins that can be stopped ──► task ── batches ──► Running ──► whoever asked
//!                        ▲                                        │
//!                        └───────────── stop ◄──── dropped ───────┘
//! ```
//!
//! A task is dropped where it pauses, and operators pause where their input does. Joins may compute for hours between two batches of
//! their input, and for ever between two rows that pass: so their filters look whether they are still wanted, and what they give
//! passes through DataFusion's own pause. Other operators are bounded by the batches that they are given.
//!
//! This is done to the plan that is about to run here, behind all optimisers: an engine for several machines has cut it before.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{Stream, StreamExt as _};

/// Batches that wait for somebody to take them.
const WAITING: usize = 2;

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

/// A join that ends when it is told to, and pauses now and then.
fn stoppable(node: Arc<dyn ExecutionPlan>, stop: &Arc<AtomicBool>) -> DfResult<Transformed<Arc<dyn ExecutionPlan>>> {
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
            return exec_err!("the query was given up");
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
