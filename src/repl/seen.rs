//! What the last results had in them: values to complete with, and the place in the logs of each row.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt as _;

use crate::session::{Origin, Place};

/// Rows of a result that are remembered.
const ROWS: usize = 10_000;

/// Rows that are looked at for values.
const SAMPLED: usize = 1000;

/// Values of a column that are remembered, and how long one may be.
const VALUES: usize = 200;
const LONGEST: usize = 100;

/// Values of a column, and whether SQL writes them in quotes.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub(super) texts: Vec<String>,
    pub(super) is_text: bool,
}

impl Values {
    /// Adds those of a column.
    pub(super) fn add(&mut self, column: &dyn Array) {
        self.is_text = matches!(plain(column.data_type()), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if !self.is_text && !plain(column.data_type()).is_numeric() {
            return;
        }
        let options = FormatOptions::default();
        let Ok(formatter) = ArrayFormatter::try_new(column, &options) else { return };
        for row in (0..column.len().min(SAMPLED)).filter(|row| column.is_valid(*row)) {
            let text = formatter.value(row).to_string();
            if text.len() <= LONGEST && self.texts.len() < VALUES && !self.texts.contains(&text) {
                self.texts.push(text);
            }
        }
    }
}

fn plain(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    }
}

/// Values by the name of their column: of all results of the session, for completion.
pub(super) type SeenValues = Rc<RefCell<HashMap<String, Values>>>;

/// Where the rows of the last result are.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The table, where each row is one record of it.
    pub(super) origin: Option<Origin>,
    /// Those of the first rows.
    pub(super) rows: Vec<Place>,
    /// How many rows there were.
    pub(super) total: usize,
}

/// What is noticed of a result while it passes.
#[derive(Clone, Debug, Default)]
pub(super) struct Noticed {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    first: Option<RecordBatch>,
    places: Places,
}

impl Noticed {
    /// The rows as they were asked for.
    pub(super) fn watch(&self, rows: SendableRecordBatchStream, origin: Option<Origin>) -> SendableRecordBatchStream {
        let hidden = origin.as_ref().map_or(0, |origin| origin.columns);
        let schema = rows.schema();
        let shown: Vec<usize> = (0..schema.fields().len().saturating_sub(hidden)).collect();
        let narrow: SchemaRef = match schema.project(&shown) {
            Ok(narrow) => Arc::new(narrow),
            Err(_) => schema,
        };
        let state = Arc::clone(&self.state);
        lock(&state).places.origin = origin;
        let rows = rows.map(move |batch| {
            let batch = batch?;
            let asked = batch.project(&shown).map_err(DataFusionError::from)?;
            lock(&state).take(&batch, &asked, hidden);
            Ok(asked)
        });
        Box::pin(RecordBatchStreamAdapter::new(narrow, rows))
    }

    /// All that was noticed: values go to the others, places are given back.
    pub(super) fn end(&self, values: &SeenValues) -> Places {
        let state = std::mem::take(&mut *lock(&self.state));
        if let Some(batch) = state.first {
            let mut values = values.borrow_mut();
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let known = values.entry(field.name().clone()).or_default();
                let earlier = std::mem::take(known);
                known.add(column);
                // The latest come first, and the earliest are forgotten.
                for text in earlier.texts {
                    if known.texts.len() < VALUES && earlier.is_text == known.is_text && !known.texts.contains(&text) {
                        known.texts.push(text);
                    }
                }
            }
        }
        state.places
    }
}

impl State {
    fn take(&mut self, batch: &RecordBatch, asked: &RecordBatch, hidden: usize) {
        self.places.total += batch.num_rows();
        if self.first.is_none() && asked.num_rows() > 0 {
            self.first = Some(asked.slice(0, asked.num_rows().min(SAMPLED)));
        }
        let room = ROWS.saturating_sub(self.places.rows.len());
        if hidden == 0 || room == 0 {
            return;
        }
        let column = |at: usize| batch.column(batch.num_columns() - hidden + at);
        let (Some(files), Some(offsets)) = (column(0).as_string_view_opt(), column(1).as_primitive_opt::<UInt64Type>()) else {
            return;
        };
        let times = (hidden > 2).then(|| column(2).as_primitive_opt::<TimestampMicrosecondType>()).flatten();
        let place = |(row, (file, offset)): (usize, (Option<&str>, Option<u64>))| Place {
            file: file.unwrap_or_default().to_owned(),
            offset: offset.unwrap_or_default(),
            time: times.filter(|times| times.is_valid(row)).map(|times| times.value(row)),
        };
        self.places.rows.extend(files.iter().zip(offsets).enumerate().map(place).take(room));
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
