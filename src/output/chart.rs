//! What a chart shows: labels and numbers out of a result. How it is drawn is for those who draw it.

use std::fmt;
use std::str::FromStr;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};

use super::value::{columns, is_number};
use super::{OutputError, OutputOptions, spelling};

/// The form of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// One bar per row: for things.
    Bar,
    /// One point per row: for times.
    Line,
}

/// How a result is to be drawn: `bar x=status y=hits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartSpec {
    /// The form.
    pub kind: ChartKind,
    /// The column of labels, or the first one.
    pub x: Option<String>,
    /// The columns of numbers, or the first one with numbers besides the labels.
    pub y: Vec<String>,
}

/// A description of a chart that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// There is no such form.
    #[error("there is no chart `{0}`")]
    Kind(String),
    /// There is no such part.
    #[error("`{0}` says nothing about a chart")]
    Part(String),
}

impl ChartError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kind(_) => "there are bar and line".to_owned(),
            Self::Part(_) => "write `bar x=COLUMN y=COLUMN,COLUMN`".to_owned(),
        })
    }
}

impl FromStr for ChartSpec {
    type Err = ChartError;

    fn from_str(text: &str) -> Result<Self, ChartError> {
        let mut words = text.split_whitespace();
        let kind = match words.next().unwrap_or_default() {
            "bar" => ChartKind::Bar,
            "line" => ChartKind::Line,
            other => return Err(ChartError::Kind(other.to_owned())),
        };
        let mut spec = Self { kind, x: None, y: vec![] };
        for word in words {
            match word.split_once('=') {
                Some(("x", column)) => spec.x = Some(column.to_owned()),
                Some(("y", columns)) => spec.y = columns.split(',').map(str::to_owned).collect(),
                _ => return Err(ChartError::Part(word.to_owned())),
            }
        }
        Ok(spec)
    }
}

impl fmt::Display for ChartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bar => "bar",
            Self::Line => "line",
        })
    }
}

/// The numbers of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name of the column.
    pub name: String,
    /// One for each label; NULL, NaN and infinity are nothing that can be drawn.
    pub values: Vec<Option<f64>>,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// The form.
    pub kind: ChartKind,
    /// What the rows are. Text of logs, not yet safe for anything.
    pub labels: Vec<String>,
    /// The numbers.
    pub series: Vec<Series>,
}

impl Chart {
    /// The chart of a result, or `None` where that has no such columns, or no rows.
    pub fn of(
        spec: &ChartSpec,
        schema: &Schema,
        batches: &[RecordBatch],
        options: &OutputOptions,
    ) -> Result<Option<Self>, OutputError> {
        let position = |name: &String| schema.fields().iter().position(|field| field.name() == name);
        let x = spec.x.as_ref().map_or(Some(0), position);
        let Some(x) = x.filter(|x| *x < schema.fields().len()) else { return Ok(None) };
        let has_numbers = |at: &usize| is_number(schema.field(*at).data_type());
        let ys: Vec<usize> = if spec.y.is_empty() {
            (0..schema.fields().len()).filter(|at| *at != x).find(has_numbers).into_iter().collect()
        } else {
            spec.y.iter().filter_map(position).filter(has_numbers).collect()
        };
        let encode = |source| OutputError::Encode { source };
        let spelling = spelling(options);
        let mut labels = vec![];
        let mut series: Vec<Series> =
            ys.iter().map(|at| Series { name: schema.field(*at).name().clone(), values: vec![] }).collect();
        for batch in batches {
            let shown = columns(&batch.columns()[x..=x], &spelling).map_err(encode)?;
            for row in 0..batch.num_rows() {
                let mut label = String::new();
                if shown[0].is_null(row) {
                    label.push_str(options.null.as_deref().unwrap_or("NULL"));
                } else {
                    shown[0].text(row, &mut label);
                }
                labels.push(label);
            }
            for (at, series) in ys.iter().zip(&mut series) {
                let numbers = cast(batch.column(*at), &DataType::Float64).map_err(encode)?;
                let numbers = numbers.as_primitive::<Float64Type>();
                series.values.extend(numbers.iter().map(|number| number.filter(|number| number.is_finite())));
            }
        }
        let drawable = !labels.is_empty() && series.iter().any(|series| series.values.iter().any(Option::is_some));
        Ok(drawable.then_some(Self { kind: spec.kind, labels, series }))
    }

    /// The least and the greatest number, and zero: where the axis goes.
    pub fn range(&self) -> (f64, f64) {
        let numbers = self.series.iter().flat_map(|series| series.values.iter().copied().flatten());
        numbers.fold((0.0, 0.0), |(least, most): (f64, f64), number| (least.min(number), most.max(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::OutputFormat;
    use super::*;
    use arrow::array::{Array, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn labels_and_numbers_are_taken_from_their_columns() {
        let name: Arc<dyn Array> = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
        let hits: Arc<dyn Array> = Arc::new(Int64Array::from(vec![Some(3), Some(-1), None]));
        let share: Arc<dyn Array> = Arc::new(Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY]));
        let batch = RecordBatch::try_from_iter([("name", name), ("hits", hits), ("share", share)]).expect("a batch");
        let options = OutputOptions::new(OutputFormat::Table);
        let chart = |spec: &str| {
            let spec = spec.parse::<ChartSpec>().expect("a chart");
            Chart::of(&spec, &batch.schema(), std::slice::from_ref(&batch), &options).expect("made")
        };
        let found = chart("bar").expect("drawable");
        assert_eq!(found.labels, ["a", "NULL", "c"]);
        assert_eq!(found.series, [Series { name: "hits".to_owned(), values: vec![Some(3.0), Some(-1.0), None] }]);
        assert_eq!(found.range(), (-1.0, 3.0));
        let two = chart("line x=hits y=hits,share").expect("drawable");
        assert_eq!((two.labels[0].as_str(), two.series.len()), ("3", 2));
        assert_eq!(two.series[1].values, [Some(0.5), None, None]);
        assert_eq!(chart("bar x=none"), None);
        assert_eq!(chart("bar y=name"), None);
        assert_eq!("bar z=1".parse::<ChartSpec>().expect_err("wrong").to_string(), "`z=1` says nothing about a chart");
    }
}
