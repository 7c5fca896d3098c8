//! `delta(value) OVER (ORDER BY time)` and `rate(value, time) OVER (ORDER BY time)`: how a number changes from row to row.
//!
//! The row before is the latest one that has a value: a gap in a log is no change to NULL and back.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, Float64Builder};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, TimestampMicrosecondType};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Documentation, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};

use super::{Arg, Described, Kind, arg, coerce, documentation, usage};

/// What is told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// The difference.
    Delta,
    /// The difference per second.
    Rate,
}

impl Change {
    pub(super) const ALL: [Self; 2] = [Self::Delta, Self::Rate];

    fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Rate => "rate",
        }
    }

    fn args(self) -> &'static [Arg] {
        const DELTA: &[Arg] = &[arg("value", Kind::Number)];
        const RATE: &[Arg] = &[arg("value", Kind::Number), arg("time", Kind::Time)];
        match self {
            Self::Delta => DELTA,
            Self::Rate => RATE,
        }
    }

    pub(super) fn described(self) -> Described {
        let (about, example) = match self {
            Self::Delta => (
                "difference to the row before; a window function",
                "SELECT minute, hits, delta(hits) OVER (ORDER BY minute) FROM (SELECT time_bucket('1 minute', time) AS minute, count(*) AS hits FROM access_log GROUP BY 1)",
            ),
            Self::Rate => (
                "difference to the row before, per second between them; a window function",
                "SELECT time, rate(pid, time) OVER (ORDER BY time) AS forks_per_second FROM syslog",
            ),
        };
        Described { name: self.name(), usage: usage(self.name(), self.args()), about, example }
    }
}

/// One of them, for DataFusion.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Changes {
    change: Change,
    signature: Signature,
    documentation: Documentation,
}

impl Changes {
    pub(super) fn new(change: Change) -> Self {
        let documentation = documentation(&change.described());
        Self { change, signature: Signature::user_defined(Volatility::Immutable), documentation }
    }
}

impl WindowUDFImpl for Changes {
    fn name(&self) -> &str {
        self.change.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        coerce(self.change.name(), self.change.args(), arg_types)
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> DfResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, true)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn partition_evaluator(&self, _args: PartitionEvaluatorArgs<'_>) -> DfResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Before { change: self.change }))
    }
}

#[derive(Debug)]
struct Before {
    change: Change,
}

impl PartitionEvaluator for Before {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> DfResult<ArrayRef> {
        let numbers = values[0].as_primitive::<Float64Type>();
        let times = values.get(1).map(|times| times.as_primitive::<TimestampMicrosecondType>());
        let mut out = Float64Builder::with_capacity(rows);
        let mut before: Option<(f64, i64)> = None;
        for row in 0..rows {
            let time = match (self.change, times) {
                (Change::Rate, Some(times)) => times.is_valid(row).then(|| times.value(row)),
                _ => Some(0),
            };
            let Some(now) = numbers.is_valid(row).then(|| numbers.value(row)).zip(time) else {
                out.append_null();
                continue;
            };
            let change = before.map(|before| now.0 - before.0);
            out.append_option(match (self.change, before) {
                (Change::Delta, _) => change,
                // At one moment there is no rate.
                (Change::Rate, Some(before)) => {
                    let seconds = (now.1 - before.1) as f64 / 1e6;
                    change.map(|change| change / seconds).filter(|_| seconds != 0.0)
                }
                (Change::Rate, None) => None,
            });
            before = Some(now);
        }
        Ok(Arc::new(out.finish()))
    }
}
