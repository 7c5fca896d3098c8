//! Which pieces can hold a row that the filters let pass, by the times of their rows.
//!
//! ```text
//!   proven    a query has read the time of every row of the piece    kept in the file's index
//!   assumed   the stamps at the piece's two ends, and some slack     only with --assume-ordered
//! ```
//!
//! A log is nearly in order of time, but nothing in it says how nearly: a request that took an hour is written behind those
//! that came later. So what was not read is only skipped if its bounds are proven, or the user says how far lines may be from
//! their place.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result as DfResult, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::kernel::decode::TimeBounds;

/// The column that pieces have bounds of.
pub(super) const TIME: &str = "time";

/// Does no row within these bounds pass the filter, as it is at this moment?
pub(super) fn excludes(filter: Arc<dyn PhysicalExpr>, table: &SchemaRef, bounds: TimeBounds) -> DfResult<bool> {
    let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(table)).try_build(filter)?;
    Ok(predicate.prune(&OnePiece(bounds))? == [false])
}

/// The statistics of one piece.
struct OnePiece(TimeBounds);

impl OnePiece {
    fn time(&self, column: &Column, time: i64) -> Option<ArrayRef> {
        let time = (self.0.times > 0).then_some(time);
        (column.name == TIME).then(|| Arc::new(TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC")) as ArrayRef)
    }
}

impl PruningStatistics for OnePiece {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.time(column, self.0.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.time(column, self.0.max)
    }

    fn num_containers(&self) -> usize {
        1
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIME).then(|| Arc::new(UInt64Array::from(vec![self.0.nulls])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(vec![self.0.times + self.0.nulls])))
    }

    fn contained(&self, _column: &Column, _values: &std::collections::HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
