//! What a chart shows: labels and numbers out of a result. How it is drawn is for those who draw it.

use std::fmt;
use std::str::FromStr;

use arrow::array::{Array as _, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::instant::zone_of;
use super::value::{columns, is_number};
use super::{OutputError, OutputOptions, spelling};

/// The form of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// One bar per row: for things.
    Bar,
    /// One point per row: for times.
    Line,
    /// The same in one line of text.
    Spark,
    /// One field per hour of the day and day of the week: for times.
    Heatmap,
}

impl ChartKind {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::Bar, Self::Line, Self::Spark, Self::Heatmap];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bar => "bar",
            Self::Line => "line",
            Self::Spark => "spark",
            Self::Heatmap => "heatmap",
        }
    }
}

/// How a result is to be drawn: `bar x=status y=hits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartSpec {
    /// The form.
    pub kind: ChartKind,
    /// The column of labels, or the first one; of a heat map the column of times.
    pub x: Option<String>,
    /// The columns of numbers, or the first one with numbers besides the labels. A heat map without any counts rows.
    pub y: Vec<String>,
}

/// A description of a chart that cannot be read, or that a result has nothing for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// There is no such form.
    #[error("there is no chart `{0}`")]
    Kind(String),
    /// There is no such part.
    #[error("`{0}` says nothing about a chart")]
    Part(String),
    /// The result has no such column.
    #[error("the result has no column `{name}` to draw")]
    Column {
        /// What was asked for.
        name: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// There is nothing to draw.
    #[error("the result has no column of numbers to draw")]
    NoNumbers,
    /// There is no time.
    #[error("the result has no column of times for a heat map")]
    NoTimes,
}

impl ChartError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kind(_) => "there are bar, line, spark and heatmap".to_owned(),
            Self::Part(_) => "write `bar x=COLUMN y=COLUMN,COLUMN`".to_owned(),
            Self::Column { columns, .. } => format!("columns: {}", columns.join(", ")),
            Self::NoNumbers => "select one besides the labels: `SELECT status, count(*) AS hits …`".to_owned(),
            Self::NoTimes => "select one: `SELECT time_bucket('1 hour', time) AS hour, count(*) AS hits …`".to_owned(),
        })
    }
}

impl FromStr for ChartSpec {
    type Err = ChartError;

    fn from_str(text: &str) -> Result<Self, ChartError> {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let kind = ChartKind::ALL.into_iter().find(|kind| kind.name() == word);
        let kind = kind.ok_or_else(|| ChartError::Kind(word.to_owned()))?;
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
        f.write_str(self.name())
    }
}

/// The numbers of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name of the column; of a heat map the day of the week.
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

/// Where the labels and the numbers of a chart are.
pub(super) struct Columns {
    pub(super) x: usize,
    pub(super) ys: Vec<usize>,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl ChartSpec {
    /// The columns of a result that it means.
    pub(super) fn columns(&self, schema: &Schema) -> Result<Columns, ChartError> {
        let position = |name: &String| match schema.index_of(name) {
            Ok(at) => Ok(at),
            Err(_) => {
                let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
                Err(ChartError::Column { name: name.clone(), columns })
            }
        };
        let is_time = |at: &usize| matches!(schema.field(*at).data_type(), DataType::Timestamp(..));
        let has_numbers = |at: &usize| is_number(schema.field(*at).data_type());
        let mut all = 0..schema.fields().len();
        let x = match (&self.x, self.kind) {
            (Some(name), ChartKind::Heatmap) => Some(position(name)?).filter(is_time).ok_or(ChartError::NoTimes)?,
            (None, ChartKind::Heatmap) => all.find(is_time).ok_or(ChartError::NoTimes)?,
            (Some(name), _) => position(name)?,
            (None, _) => 0,
        };
        let ys: Vec<usize> = if self.y.is_empty() {
            (0..schema.fields().len()).filter(|at| *at != x).find(has_numbers).into_iter().collect()
        } else {
            self.y.iter().map(position).collect::<Result<Vec<_>, _>>()?.into_iter().filter(has_numbers).collect()
        };
        if ys.is_empty() && (self.kind != ChartKind::Heatmap || !self.y.is_empty()) {
            return Err(ChartError::NoNumbers);
        }
        Ok(Columns { x, ys })
    }
}

impl Chart {
    /// The chart of a result, or `None` where that has no such columns, or no rows.
    pub fn of(
        spec: &ChartSpec,
        schema: &Schema,
        batches: &[RecordBatch],
        options: &OutputOptions,
    ) -> Result<Option<Self>, OutputError> {
        let Ok(Columns { x, ys }) = spec.columns(schema) else { return Ok(None) };
        let encode = |source| OutputError::Encode { source };
        if spec.kind == ChartKind::Heatmap {
            return Self::of_times(x, ys.first().copied(), batches, options).map_err(encode);
        }
        let spelling = spelling(options);
        let mut labels = vec![];
        let mut series: Vec<Series> =
            ys.iter().map(|at| Series { name: schema.field(*at).name().clone(), values: vec![] }).collect();
        for batch in batches {
            let shown = columns(&batch.columns()[x..=x], &spelling).map_err(encode)?;
            for row in 0..batch.num_rows() {
                let mut label = String::new();
                match shown[0].is_null(row) {
                    true => label.push_str("NULL"),
                    false => shown[0].text(row, &mut label),
                }
                labels.push(label);
            }
            for (at, series) in ys.iter().zip(&mut series) {
                series.values.extend(numbers(batch, *at).map_err(encode)?.iter().map(finite));
            }
        }
        let drawable = !labels.is_empty() && series.iter().any(|series| series.values.iter().any(Option::is_some));
        Ok(drawable.then_some(Self { kind: spec.kind, labels, series }))
    }

    /// The sums over the hours of the week, on the clock of the zone that times are shown in.
    fn of_times(
        x: usize,
        y: Option<usize>,
        batches: &[RecordBatch],
        options: &OutputOptions,
    ) -> Result<Option<Self>, ArrowError> {
        let mut sums = [[None::<f64>; 24]; 7];
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for batch in batches {
            let times = batch.column(x);
            let own_zone = match times.data_type() {
                DataType::Timestamp(_, Some(name)) => zone_of(name),
                // As a clock on some wall showed it.
                DataType::Timestamp(_, None) => Some(TimeZone::UTC),
                _ => None,
            };
            let zone = own_zone.or_else(|| options.zone.clone()).unwrap_or(TimeZone::UTC);
            let times = cast(times, &micros)?;
            let values = y.map(|y| numbers(batch, y)).transpose()?;
            for (row, time) in times.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
                let local = time.and_then(|time| Timestamp::from_microsecond(time).ok()).map(|time| zone.to_datetime(time));
                let value = values.as_ref().map_or(Some(1.0), |values| finite(values.is_valid(row).then(|| values.value(row))));
                if let (Some(local), Some(value)) = (local, value) {
                    let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
                    *sums[day][usize::from(local.hour().unsigned_abs())].get_or_insert(0.0) += value;
                }
            }
        }
        let series: Vec<Series> =
            DAYS.iter().zip(&sums).map(|(day, sums)| Series { name: (*day).to_owned(), values: sums.to_vec() }).collect();
        let drawable = series.iter().any(|series| series.values.iter().any(Option::is_some));
        let labels = (0..24).map(|hour| format!("{hour:02}")).collect();
        Ok(drawable.then_some(Self { kind: ChartKind::Heatmap, labels, series }))
    }

    /// The least and the greatest number, and zero: where the axis goes.
    pub fn range(&self) -> (f64, f64) {
        let numbers = self.series.iter().flat_map(|series| series.values.iter().copied().flatten());
        numbers.fold((0.0, 0.0), |(least, most): (f64, f64), number| (least.min(number), most.max(number)))
    }
}

/// A column as numbers.
fn numbers(batch: &RecordBatch, at: usize) -> Result<Float64Array, ArrowError> {
    Ok(cast(batch.column(at), &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// A number, as short as it can be: `1,234`, `12.5`, `0.0123`.
pub fn number(value: f64) -> String {
    let places = match value.abs() {
        size if size.fract() == 0.0 || size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.places$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}{grouped}{rest}", if value < 0.0 { "-" } else { "" })
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
        assert_eq!(chart("heatmap"), None);
        let spec = "bar x=none".parse::<ChartSpec>().expect("a chart");
        let error = spec.columns(&batch.schema()).err().expect("no such column");
        assert_eq!(error.to_string(), "the result has no column `none` to draw");
        assert_eq!("bar z=1".parse::<ChartSpec>().expect_err("wrong").to_string(), "`z=1` says nothing about a chart");
    }

    #[test]
    fn a_heat_map_sums_over_the_hours_of_the_week_of_a_zone() {
        // A Saturday, a minute before midnight in UTC, and a week before.
        let at = |text: &str| text.parse::<Timestamp>().expect("a time").as_microsecond();
        let times = [at("2026-11-21T23:59:00Z"), at("2026-11-14T23:00:00Z"), at("2026-11-16T00:00:00Z")];
        let time: Arc<dyn Array> = Arc::new(arrow::array::TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC"));
        let hits: Arc<dyn Array> = Arc::new(Int64Array::from(vec![Some(3), Some(4), None]));
        let batch = RecordBatch::try_from_iter([("hits", hits), ("time", time)]).expect("a batch");
        let spec = "heatmap".parse::<ChartSpec>().expect("a chart");
        let chart = |zone: Option<TimeZone>| {
            let options = OutputOptions { zone, ..OutputOptions::new(OutputFormat::Table) };
            Chart::of(&spec, &batch.schema(), std::slice::from_ref(&batch), &options).expect("made").expect("drawable")
        };
        let utc = chart(None);
        assert_eq!((utc.series.len(), utc.labels[23].as_str(), utc.series[5].name.as_str()), (7, "23", "Sat"));
        assert_eq!((utc.series[5].values[23], utc.series[0].values[0]), (Some(7.0), None));
        let berlin = chart(TimeZone::get("Europe/Berlin").ok());
        assert_eq!((berlin.series[5].values[23], berlin.series[6].values[0]), (None, Some(7.0)));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0"), (1234567.0, "1,234,567"), (-1234.56, "-1,235"), (12.345, "12.3"), (0.01234, "0.0123")] {
            assert_eq!(number(value), text);
        }
    }
}
