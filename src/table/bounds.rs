//! Which pieces can hold a row that the filters let pass, by the times of their rows and by their values.
//!
//! ```text
//!   proven    a query has read the time of every row of the piece    kept in the file's index
//!   assumed   the stamps at the piece's two ends, and some slack     only with --assume-ordered
//!   values    all values of a column, or a Bloom filter of them      values.rs, kept there, too
//! ```
//!
//! What follows from that for a filter is DataFusion's business ([`PruningStatistics`]), as it is for Parquet.
//!
//! A log is nearly in order of time, but nothing in it says how nearly: a request that took an hour is written behind those
//! that came later. So what was not read is only skipped if its bounds are proven, or the user says how far lines may be from
//! their place.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringViewArray, TimestampMicrosecondArray, UInt16Array, UInt64Array};
use arrow::datatypes::DataType;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::values::FileValues;
use crate::kernel::decode::TimeBounds;
use crate::kernel::table::TableDef;

/// The column that pieces have bounds of.
pub(super) const TIME: &str = "time";

/// What is known of the pieces of a file, for rows of a table.
pub(super) struct Known<'a> {
    pub(super) table: &'static TableDef,
    pub(super) pieces: &'a [Range<u64>],
    /// The times of each of them.
    pub(super) times: &'a [Option<TimeBounds>],
    /// The values of the file.
    pub(super) values: &'a FileValues,
}

/// For each of the pieces: does no row that may be in it pass the filter, as it is at this moment?
/// Where that cannot be told, rows may pass: a piece too many is read, none is missed.
pub(super) fn excluded(filter: Arc<dyn PhysicalExpr>, known: &Known<'_>) -> Vec<bool> {
    let none = || vec![false; known.pieces.len()];
    if known.times.iter().all(Option::is_none) && !known.values.is_about(known.table.name) {
        return none();
    }
    let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(known.table.schema())).try_build(filter);
    let kept = predicate.and_then(|predicate| predicate.prune(known));
    kept.map_or_else(|_| none(), |kept| kept.into_iter().map(|kept| !kept).collect())
}

/// A value as the text that it is kept as; `None` for NULL, and for what such columns do not hold.
fn text_of(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.clone(),
        ScalarValue::UInt16(number) => number.map(|number| number.to_string()),
        _ => None,
    }
}

impl Known<'_> {
    fn time(&self, time: impl Fn(&TimeBounds) -> i64) -> ArrayRef {
        let of = |bounds: &Option<TimeBounds>| bounds.as_ref().filter(|bounds| bounds.times > 0).map(&time);
        let times: TimestampMicrosecondArray = self.times.iter().map(of).collect();
        Arc::new(times.with_timezone("UTC"))
    }

    fn count(&self, count: impl Fn(&TimeBounds) -> u64) -> ArrayRef {
        Arc::new(self.times.iter().map(|bounds| bounds.as_ref().map(&count)).collect::<UInt64Array>())
    }

    /// The least or the greatest value of a column in each piece, where all of them are known.
    fn extreme(&self, column: &str, is_least: bool) -> Option<ArrayRef> {
        fn choose<T: Ord>(values: impl Iterator<Item = T>, is_least: bool) -> Option<T> {
            if is_least { values.min() } else { values.max() }
        }
        let field = self.table.schema().field_with_name(column).ok()?;
        let listed = self.pieces.iter().map(|piece| self.values.listed(self.table.name, column, piece));
        match field.data_type() {
            DataType::UInt16 => {
                let numbers = |texts: Vec<&str>| texts.iter().map(|text| text.parse::<u16>()).collect::<Result<Vec<_>, _>>().ok();
                let extreme = |texts| choose(numbers(texts)?.into_iter(), is_least);
                Some(Arc::new(listed.map(|texts| texts.and_then(extreme)).collect::<UInt16Array>()))
            }
            DataType::Utf8View => {
                let extreme = |texts: Vec<&str>| choose(texts.into_iter(), is_least).map(str::to_owned);
                Some(Arc::new(listed.map(|texts| texts.and_then(extreme)).collect::<StringViewArray>()))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for Known<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        if column.name == TIME { Some(self.time(|bounds| bounds.min)) } else { self.extreme(&column.name, true) }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        if column.name == TIME { Some(self.time(|bounds| bounds.max)) } else { self.extreme(&column.name, false) }
    }

    fn num_containers(&self) -> usize {
        self.pieces.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIME).then(|| self.count(|bounds| bounds.nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(self.count(|bounds| bounds.times + bounds.nulls))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        if !self.values.knows_some(self.table.name, &column.name) {
            return None;
        }
        let texts: Vec<String> = values.iter().map(text_of).collect::<Option<_>>()?;
        let contained = |piece| self.values.contained(self.table.name, &column.name, piece, &texts);
        Some(self.pieces.iter().map(contained).collect())
    }
}
