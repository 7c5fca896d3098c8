//! Rows in the order in which they are stored: by time, file and offset, which no two rows have in common.
//!
//! ```text
//!   batches, in any order ──► held as they are ──► keys of all rows, sorted ──► batches, gathered column by column
//!                                    │
//!                                    └─ memory ends ──► DataFusion's sort, which goes to disk
//! ```
//!
//! A log is nearly in order already, and its rows are wide. So the keys alone are sorted, and each row is copied once, when its batch is
//! made; DataFusion merges one stream for each batch, and copies all columns twice. Columns that are NULL in all of these rows are not
//! copied at all.
//!
//! A large log is read in windows, one after the other, and its rows leave as soon as they are an hour older than the newest: memory does not
//! grow with the log, and is used again rather than asked for. A row that comes when those of its time are gone is late; late rows are
//! stored in files of their own.

use std::borrow::BorrowMut;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimestampMicrosecondType, UInt64Type};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Result as DfResult;
use datafusion::dataframe::DataFrame;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, SortExpr, col};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;

use super::derive::Derived;
use super::error::StoreError;
use super::table::{ORDER, is_stored};
use crate::kernel::table::TableDef;
use crate::session::Session;

/// Rows that are gathered at a time.
const GATHERED_ROWS: usize = 32 << 10;

/// How far rows may be from their place in a log before they are late.
const SLACK_US: i64 = 3_600_000_000;

/// The rows of a table as they are stored, in any order.
pub(super) async fn stored_rows(
    session: &Session,
    table: Arc<dyn TableProvider>,
    def: &TableDef,
    raw: bool,
) -> Result<(SendableRecordBatchStream, Arc<TaskContext>), StoreError> {
    let schema = def.schema();
    let stored = schema.fields().iter().filter(|field| is_stored(field, raw)).map(|field| {
        let column = || col(field.name().as_str());
        Derived::of(field.name(), schema).map_or_else(column, Derived::taken_apart)
    });
    let frame = session.frame(table)?.select(stored.collect::<Vec<Expr>>())?;
    let context = Arc::new(frame.task_ctx());
    Ok((frame.execute_stream().await?, context))
}

/// Rows in the order in which they are stored. `several`: they may come from more than one file.
pub(super) async fn sorted(
    session: &Session,
    mut rows: SendableRecordBatchStream,
    context: &TaskContext,
    several: bool,
) -> Result<SendableRecordBatchStream, StoreError> {
    let schema = rows.schema();
    let order = Order::of(&schema, several);
    let mut held = Held::new(Arc::clone(&schema), context);
    while let Some(batch) = rows.try_next().await? {
        if held.push(&batch).is_err() {
            let held = futures::stream::iter(std::mem::take(&mut held.batches).into_iter().flatten().map(Ok));
            let all = RecordBatchStreamAdapter::new(Arc::clone(&schema), held.chain(rows));
            return sorted_on_disk(session, Box::pin(all), several).await;
        }
    }
    let mut keys = order.keys(&held.batches, 0);
    keys.par_sort_unstable();
    let gathered = futures::stream::iter(Gather::new(held, keys));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, gathered)))
}

/// The rows of one log, which come window by window.
pub(super) struct Windows {
    order: Order,
    held: Held,
    /// Rows that are not gathered yet, in order.
    waiting: Vec<Key>,
    /// Rows that came too late.
    late: Vec<Key>,
    /// Rows before this time are gone.
    gone: i64,
    newest: i64,
    /// There was no memory for more.
    is_full: bool,
}

impl Windows {
    pub(super) fn new(schema: &SchemaRef, context: &TaskContext) -> Self {
        let held = Held::new(Arc::clone(schema), context);
        let (waiting, late) = (vec![], vec![]);
        Self { order: Order::of(schema, false), held, waiting, late, gone: i64::MIN, newest: i64::MIN, is_full: false }
    }

    /// Takes the rows of the next window. What may be written then is to be had by [`Self::ready`].
    pub(super) fn take(&mut self, batches: Vec<RecordBatch>) {
        let known = self.held.batches.len();
        for batch in batches {
            // A window is small: it is held as a whole.
            self.is_full |= self.held.push(&batch).is_err();
        }
        for key in self.order.keys(&self.held.batches, known) {
            let is_late = !key.is_timeless && key.time < self.gone;
            if is_late { &mut self.late } else { &mut self.waiting }.push(key);
            self.newest = if key.is_timeless { self.newest } else { self.newest.max(key.time) };
        }
        self.waiting.par_sort_unstable();
    }

    /// Rows that no row of a later window will precede, but late ones.
    pub(super) fn ready(&mut self) -> impl Iterator<Item = DfResult<RecordBatch>> {
        let upto = if self.is_full { self.newest } else { self.newest.saturating_sub(SLACK_US) };
        self.gone = self.gone.max(upto);
        self.is_full = false;
        // Without a time there is an order all the same: that of the lines.
        let is_ready = |key: &Key| if key.is_timeless { self.order.time.is_none() } else { key.time < self.gone };
        let ready = self.waiting.partition_point(is_ready);
        let ready = self.waiting.drain(..ready).collect();
        Gather::new(&mut self.held, ready)
    }

    /// The rows that are left, and those that came too late.
    pub(super) fn rest(&mut self, late: bool) -> impl Iterator<Item = DfResult<RecordBatch>> {
        let mut keys = std::mem::take(if late { &mut self.late } else { &mut self.waiting });
        keys.par_sort_unstable();
        Gather::new(&mut self.held, keys)
    }
}

/// The same by DataFusion, which takes more time and less memory.
async fn sorted_on_disk(
    session: &Session,
    rows: SendableRecordBatchStream,
    several: bool,
) -> Result<SendableRecordBatchStream, StoreError> {
    let schema = rows.schema();
    let rows = Arc::new(Once { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) });
    let frame: DataFrame = session.frame(Arc::new(StreamingTable::try_new(Arc::clone(&schema), vec![rows])?))?;
    let order: Vec<SortExpr> = ORDER
        .iter()
        .filter(|name| schema.index_of(name).is_ok() && (several || **name != "_file"))
        .map(|name| col(*name).sort(true, false))
        .collect();
    Ok(frame.sort(order)?.execute_stream().await?)
}

/// Rows that can be read once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let none = || Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::empty()));
        rows.unwrap_or_else(|| none())
    }
}

/// Batches, and the memory that they take.
struct Held {
    schema: SchemaRef,
    /// `None` once no row of it is left.
    batches: Vec<Option<RecordBatch>>,
    /// Rows of each that are not gathered yet, and the memory of each.
    left: Vec<(usize, usize)>,
    memory: MemoryReservation,
    nulls: Nulls,
}

/// Columns of NULL of each type, which all have the same memory.
#[derive(Default)]
struct Nulls(HashMap<DataType, ArrayRef>);

impl Nulls {
    fn of(&mut self, kind: &DataType, rows: usize) -> ArrayRef {
        let known = self.0.get(kind).filter(|known| known.len() >= rows).map(|known| known.slice(0, rows));
        known.unwrap_or_else(|| {
            let made = new_null_array(kind, rows.max(GATHERED_ROWS));
            self.0.insert(kind.clone(), Arc::clone(&made));
            made.slice(0, rows)
        })
    }
}

impl Held {
    fn new(schema: SchemaRef, context: &TaskContext) -> Self {
        let memory = MemoryConsumer::new("rows to be stored").register(context.memory_pool());
        Self { schema, batches: vec![], left: vec![], memory, nulls: Nulls::default() }
    }

    /// Takes a batch. An error if there is no memory for it and its keys; it is held then all the same.
    fn push(&mut self, batch: &RecordBatch) -> DfResult<()> {
        let rows = batch.num_rows();
        let mut bytes = rows * size_of::<Key>();
        let mut hold = |column: &ArrayRef| {
            if column.null_count() == rows {
                return self.nulls.of(column.data_type(), rows);
            }
            bytes += held_bytes(column);
            Arc::clone(column)
        };
        let columns = batch.columns().iter().map(&mut hold).collect();
        self.batches.push(Some(RecordBatch::try_new(batch.schema(), columns)?));
        let grown = self.memory.try_grow(bytes);
        self.left.push((rows, if grown.is_ok() { bytes } else { 0 }));
        grown
    }

    /// A row was gathered.
    fn let_go(&mut self, batch: u32) {
        let at = batch as usize;
        let (rows, bytes) = &mut self.left[at];
        *rows -= 1;
        if *rows == 0 {
            self.batches[at] = None;
            self.memory.shrink(*bytes);
        }
    }
}

/// The memory of a column.
fn held_bytes(column: &ArrayRef) -> usize {
    match column.as_string_view_opt() {
        // Several batches may be views of the same text.
        Some(texts) => texts.len() * size_of::<u128>() + texts.total_buffer_bytes_used(),
        None => column.get_buffer_memory_size(),
    }
}

/// Where a row is, by what it is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    is_timeless: bool,
    time: i64,
    file: u32,
    offset: u64,
    batch: u32,
    row: u32,
}

/// The columns that rows are sorted by.
#[derive(Clone, Copy, Debug)]
struct Order {
    time: Option<usize>,
    file: Option<usize>,
    offset: Option<usize>,
}

impl Order {
    fn of(schema: &SchemaRef, several: bool) -> Self {
        let column = |name: &str| schema.index_of(name).ok();
        Self { time: column("time"), file: column("_file").filter(|_| several), offset: column("_offset") }
    }

    /// The keys of all rows of the batches from `first` on.
    fn keys(&self, batches: &[Option<RecordBatch>], first: usize) -> Vec<Key> {
        let mut files: HashMap<String, u32> = HashMap::new();
        let mut keys = Vec::with_capacity(batches[first..].iter().flatten().map(RecordBatch::num_rows).sum());
        for (number, batch) in (0u32..).zip(batches).skip(first) {
            let Some(batch) = batch else { continue };
            let times = self.time.map(|at| batch.column(at).as_primitive::<TimestampMicrosecondType>());
            let offsets = self.offset.map(|at| batch.column(at).as_primitive::<UInt64Type>());
            let names = self.file.map(|at| batch.column(at).as_string_view());
            let mut last: Option<(&str, u32)> = None;
            for (row, at) in (0u32..).zip(0..batch.num_rows()) {
                let name = names.map_or("", |names| names.value(at));
                let file = match last {
                    Some((known, file)) if known == name => file,
                    _ => match files.get(name) {
                        Some(file) => *file,
                        None => {
                            let next = u32::try_from(files.len()).unwrap_or(u32::MAX);
                            *files.entry(name.to_owned()).or_insert(next)
                        }
                    },
                };
                last = Some((name, file));
                let time = times.filter(|times| times.is_valid(at)).map(|times| times.value(at));
                let offset = offsets.map_or(0, |offsets| offsets.value(at));
                keys.push(Key { is_timeless: time.is_none(), time: time.unwrap_or(0), file, offset, batch: number, row });
            }
        }
        if files.len() > 1 {
            let ranks = ranks(&files);
            keys.par_iter_mut().for_each(|key| key.file = ranks[key.file as usize]);
        }
        keys
    }
}

/// The place of each file among the others, by their names.
fn ranks(files: &HashMap<String, u32>) -> Vec<u32> {
    let mut names: Vec<(&String, u32)> = files.iter().map(|(name, file)| (name, *file)).collect();
    names.sort_unstable();
    let mut ranks = vec![0; names.len()];
    for (rank, (_, file)) in (0u32..).zip(names) {
        ranks[file as usize] = rank;
    }
    ranks
}

/// Batches of sorted rows, made of what is held.
struct Gather<H> {
    held: H,
    keys: Vec<Key>,
    at: usize,
    /// Columns that are NULL in all that is held.
    is_null: Vec<bool>,
}

impl<H: BorrowMut<Held>> Gather<H> {
    fn new(held: H, keys: Vec<Key>) -> Self {
        let Held { batches, schema, .. } = held.borrow();
        let is_null = |at: usize| batches.iter().flatten().all(|batch| batch.column(at).null_count() == batch.num_rows());
        let is_null = (0..schema.fields().len()).map(is_null).collect();
        Self { held, keys, at: 0, is_null }
    }

    fn gather(&mut self, rows: usize) -> DfResult<RecordBatch> {
        let held = self.held.borrow_mut();
        let keys = &self.keys[self.at..self.at + rows];
        // The batches that these rows are in, which are few.
        let mut places: HashMap<u32, usize> = HashMap::new();
        let mut sources: Vec<&RecordBatch> = vec![];
        let mut indices = Vec::with_capacity(rows);
        for key in keys {
            let place = *places.entry(key.batch).or_insert_with(|| {
                sources.extend(&held.batches[key.batch as usize]);
                sources.len() - 1
            });
            indices.push((place, key.row as usize));
        }
        let fields = held.schema.fields();
        let null = |(field, is_null): (&FieldRef, &bool)| is_null.then(|| held.nulls.of(field.data_type(), rows));
        let nulls: Vec<Option<ArrayRef>> = fields.iter().zip(&self.is_null).map(null).collect();
        let gather = |(at, null): (usize, Option<ArrayRef>)| {
            let columns = || sources.iter().map(|batch| batch.column(at).as_ref()).collect::<Vec<&dyn Array>>();
            null.map_or_else(|| interleave(&columns(), &indices), Ok)
        };
        let columns = nulls.into_par_iter().enumerate().map(gather).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&held.schema), columns)?;
        keys.iter().for_each(|key| held.let_go(key.batch));
        self.at += rows;
        Ok(batch)
    }
}

impl<H: BorrowMut<Held>> Iterator for Gather<H> {
    type Item = DfResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = (self.keys.len() - self.at).min(GATHERED_ROWS);
        (rows > 0).then(|| self.gather(rows))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringViewArray, TimestampMicrosecondArray, UInt64Array};
    use arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use proptest::prelude::*;

    use super::*;

    fn batch(rows: &[(Option<i64>, u8, u64)]) -> RecordBatch {
        let zone = Some("UTC".into());
        let schema = Schema::new(vec![
            Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, zone), true),
            Field::new("text", DataType::Utf8View, true),
            Field::new("never", DataType::Utf8View, true),
            Field::new("_file", DataType::Utf8View, true),
            Field::new("_offset", DataType::UInt64, true),
        ]);
        let text = |row: &(Option<i64>, u8, u64)| (!row.2.is_multiple_of(3)).then(|| format!("the text of row {}", row.2));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            Arc::new(rows.iter().map(text).collect::<StringViewArray>()),
            new_null_array(&DataType::Utf8View, rows.len()),
            Arc::new(rows.iter().map(|row| Some(format!("/var/log/{}", row.1))).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<UInt64Array>()),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    fn context(bytes: usize) -> TaskContext {
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(bytes))).build_arc().unwrap();
        TaskContext::default().with_runtime(runtime)
    }

    proptest! {
        #[test]
        fn rows_come_in_order_each_once(
            batches in prop::collection::vec(prop::collection::vec((prop::option::weighted(0.9, 0i64..50), 0u8..3), 1..40), 1..12),
        ) {
            let mut offset = 0;
            let batches: Vec<Vec<(Option<i64>, u8, u64)>> = batches
                .into_iter()
                .map(|rows| rows.into_iter().map(|(time, file)| { offset += 1; (time, file, offset) }).collect())
                .collect();
            let schema = batch(&batches[0]).schema();
            let mut held = Held::new(Arc::clone(&schema), &context(1 << 20));
            for rows in &batches {
                held.push(&batch(rows)).unwrap();
            }
            let mut keys = Order::of(&schema, true).keys(&held.batches, 0);
            keys.sort_unstable();
            let found: Vec<RecordBatch> = Gather::new(held, keys).collect::<DfResult<_>>().unwrap();
            let found = arrow::compute::concat_batches(&schema, &found).unwrap();
            let mut expected: Vec<_> = batches.concat();
            expected.sort_by_key(|row| (row.0.is_none(), row.0, row.1, row.2));
            prop_assert_eq!(found, batch(&expected));
        }
    }

    #[test]
    fn what_is_too_much_is_said_to_be() {
        let mut held = Held::new(batch(&[]).schema(), &context(1000));
        assert!(held.push(&batch(&[(Some(1), 1, 1)])).is_ok());
        assert!(held.push(&batch(&(0..100).map(|at| (Some(1), 1, at)).collect::<Vec<_>>())).is_err());
        assert_eq!(held.batches.len(), 2, "the rows are not lost");
    }
}
