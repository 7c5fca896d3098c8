//! `sessionize(time, gap) OVER (PARTITION BY client_ip ORDER BY time)`: which visit of a client a row belongs to.
//!
//! A visit ends when nothing comes for longer than `gap`. Rows without a time belong to none. What `row_number` and `lag` need two
//! subqueries for is one window function here.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, UInt64Builder};
use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Documentation, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};

use super::{Arg, Described, Kind, arg, coerce, documentation, usage};

const NAME: &str = "sessionize";

const ARGS: &[Arg] = &[arg("time", Kind::Time), arg("gap", Kind::Interval)];

pub(super) fn described() -> Described {
    Described {
        name: NAME,
        usage: usage(NAME, ARGS),
        about: "number of the visit, from 1: a new one begins after a longer pause; a window function",
        example: "SELECT client_ip, sessionize(time, '30 minutes') OVER (PARTITION BY client_ip ORDER BY time) AS visit FROM access_log",
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sessionize {
    signature: Signature,
    documentation: Documentation,
}

impl Sessionize {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), documentation: documentation(&described()) }
    }
}

impl WindowUDFImpl for Sessionize {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        coerce(NAME, ARGS, arg_types)
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> DfResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::UInt64, true)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn partition_evaluator(&self, _args: PartitionEvaluatorArgs<'_>) -> DfResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Visits))
    }
}

#[derive(Debug)]
struct Visits;

impl PartitionEvaluator for Visits {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> DfResult<ArrayRef> {
        let times = values[0].as_primitive::<TimestampMicrosecondType>();
        let mut out = UInt64Builder::with_capacity(rows);
        let (mut visit, mut before) = (0, None::<i64>);
        // The gap is that of the first row: one per window.
        let gap = if rows == 0 { None } else { gap_of(&values[1])? };
        for time in times {
            let (Some(time), Some(gap)) = (time, gap) else {
                out.append_null();
                continue;
            };
            if before.is_none_or(|before| time.abs_diff(before) > gap) {
                visit += 1;
            }
            before = Some(time);
            out.append_value(visit);
        }
        Ok(Arc::new(out.finish()))
    }
}

/// The gap in microseconds; NULL if it is NULL.
fn gap_of(gaps: &ArrayRef) -> DfResult<Option<u64>> {
    if gaps.is_null(0) {
        return Ok(None);
    }
    let interval = match gaps.data_type() {
        DataType::Interval(_) => gaps.as_primitive::<IntervalMonthDayNanoType>().value(0),
        _ => {
            let text = gaps.as_string_view().value(0);
            match parse_interval_month_day_nano(text) {
                Ok(interval) => interval,
                Err(_) => return exec_err!("`{NAME}`: its argument `gap` is wrong: `{text}` is no interval; write '30 minutes'"),
            }
        }
    };
    let micros = i64::from(interval.days) * 86_400_000_000 + interval.nanoseconds / 1000;
    match u64::try_from(micros) {
        Ok(micros) if interval.months == 0 => Ok(Some(micros)),
        _ => exec_err!("`{NAME}`: its argument `gap` is wrong: it has to be positive, and without months"),
    }
}
