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
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::kernel::decode::TimeBounds;

/// The column that pieces have bounds of.
pub(super) const TIME: &str = "time";

/// For each of the pieces, of which these bounds are known: does no row within them pass the filter, as it is at this moment?
/// Where that cannot be told, rows may pass: a piece too many is read, none is missed.
pub(super) fn excluded(filter: Arc<dyn PhysicalExpr>, table: &SchemaRef, pieces: &[Option<TimeBounds>]) -> Vec<bool> {
    if pieces.iter().all(Option::is_none) {
        return vec![false; pieces.len()];
    }
    let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(table)).try_build(filter);
    let kept = predicate.and_then(|predicate| predicate.prune(&Pieces(pieces)));
    kept.map_or_else(|_| vec![false; pieces.len()], |kept| kept.into_iter().map(|kept| !kept).collect())
}

/// The statistics of pieces.
struct Pieces<'a>(&'a [Option<TimeBounds>]);

impl Pieces<'_> {
    fn time(&self, column: &Column, time: impl Fn(&TimeBounds) -> i64) -> Option<ArrayRef> {
        let of = |bounds: &Option<TimeBounds>| bounds.as_ref().filter(|bounds| bounds.times > 0).map(&time);
        let times: TimestampMicrosecondArray = self.0.iter().map(of).collect();
        (column.name == TIME).then(|| Arc::new(times.with_timezone("UTC")) as ArrayRef)
    }

    fn count(&self, count: impl Fn(&TimeBounds) -> u64) -> ArrayRef {
        Arc::new(self.0.iter().map(|bounds| bounds.as_ref().map(&count)).collect::<UInt64Array>())
    }
}

impl PruningStatistics for Pieces<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.time(column, |bounds| bounds.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.time(column, |bounds| bounds.max)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIME).then(|| self.count(|bounds| bounds.nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(self.count(|bounds| bounds.times + bounds.nulls))
    }

    fn contained(&self, _column: &Column, _values: &std::collections::HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
