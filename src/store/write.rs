//! Sorted rows to Parquet files, one for each day.
//!
//! ```text
//!   batches, in order of time ──► columns encoded beside each other ──► groups of rows of one day ──► .tmp-… ──► table=…/date=…/…
//! ```
//!
//! | columns | encoding |
//! |---|---|
//! | times | dictionary (a log has many lines per second, and they are sorted), else deltas |
//! | `_line`, `_offset` | deltas |
//! | all others | dictionary, as long as it is smaller than 1 MiB per group of rows; else numbers as deltas, texts with their lengths apart |
//!
//! Addresses and ids have Bloom filters, all columns statistics per group and per page. Files are complete, synced and read back under
//! a temporary name; [`DayFiles::finish`] gives them, and whoever commits them gives them their names.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::manifest::StoredFile;

/// Rows of one group: enough for dictionaries to pay, few enough to be passed over.
const GROUP_ROWS: usize = 256 << 10;

/// Bytes of the rows of one group, in memory.
const GROUP_BYTES: usize = 256 << 20;

/// Rows and bytes of one page. Each is compressed by itself: paths in pages of 20,000 rows, which is usual, take a twentieth more.
const PAGE_ROWS: usize = GROUP_ROWS.div_ceil(3);
const PAGE_BYTES: usize = 4 << 20;

const DAY_US: i64 = 86_400_000_000;

/// Days that have a folder of their own: 1970 to 2099. A clock that is further off is broken, and may show another day in every line.
const DAYS: std::ops::Range<i64> = 0..47_482;

/// The name that Hive, Spark and DuckDB read as NULL.
const NO_DAY: &str = "__HIVE_DEFAULT_PARTITION__";

/// Tells the temporary files of one process apart.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A name for a file of `folder` that is not complete yet.
pub(super) fn temporary_in(folder: &Path) -> PathBuf {
    folder.join(format!(".tmp-{}-{}.logsql", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)))
}

/// A file that is complete, but not yet under its name.
#[derive(Debug)]
pub(super) struct NewFile {
    /// Where it is.
    pub(super) temporary: PathBuf,
    /// What it will be.
    pub(super) stored: StoredFile,
}

/// What is known of logs, by their names.
pub(super) type Sources = HashMap<String, Vec<serde_json::Value>>;

/// The name of the note about the logs that the rows of a file come from.
pub(super) const SOURCES_NOTE: &str = "logsql.sources";

/// Logs that are named in one file.
const NAMED_SOURCES: usize = 1000;

/// What the files of one table have in common.
pub(super) struct DayFilesArgs<'a> {
    /// The folder of the store.
    pub(super) root: &'a Path,
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) table: &'a str,
    /// The columns of the batches.
    pub(super) schema: &'a SchemaRef,
    /// zstd's.
    pub(super) level: i32,
    /// What is noted in each file.
    pub(super) notes: Vec<(String, String)>,
    /// What is noted of each log, by its name, in the files that have rows of it.
    pub(super) sources: Sources,
    /// When the logs were written last, for rows without a time.
    pub(super) written: i64,
}

/// Writes the files of one table.
pub(super) struct DayFiles {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    table: String,
    /// As it is stored.
    schema: SchemaRef,
    time: Option<usize>,
    properties: WriterPropertiesPtr,
    sources: Sources,
    written: i64,
    open: Option<OpenFile>,
    done: Vec<NewFile>,
}

struct OpenFile {
    temporary: PathBuf,
    day: Option<i64>,
    writer: SerializedFileWriter<Box<dyn DiskFile>>,
    columns: ArrowRowGroupWriterFactory,
    groups: usize,
    group: Option<Group>,
    /// The logs that its rows come from.
    logs: BTreeSet<String>,
    rows: u64,
    min_time: Option<i64>,
    max_time: Option<i64>,
    timeless: u64,
}

/// The rows of one group, which are encoded as they come: between two groups nobody waits for the other one.
struct Group {
    /// Each column, and its writers: of a map, the keys and the values are two columns.
    columns: Vec<(usize, FieldRef, Vec<ArrowColumnWriter>)>,
    rows: usize,
    /// What the rows took in memory.
    bytes: usize,
}

impl DayFiles {
    pub(super) fn try_new(args: DayFilesArgs<'_>) -> Result<Self, StoreError> {
        let schema = stored_schema(args.schema);
        let properties = properties(&schema, args.level, args.notes)
            .map_err(|source| StoreError::Encode { path: args.root.to_owned(), source })?;
        Ok(Self {
            root: args.root.to_owned(),
            disk: Arc::clone(args.disk),
            table: args.table.to_owned(),
            time: schema.index_of("time").ok(),
            schema,
            properties: Arc::new(properties),
            sources: args.sources,
            written: args.written,
            open: None,
            done: vec![],
        })
    }

    /// Takes rows, which follow those before them in time.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let (day, upto) = self.day_at(batch, from);
            if self.open.as_ref().is_none_or(|open| open.day != day) {
                self.close()?;
                self.open(day)?;
            }
            let rows = batch.slice(from, upto - from);
            // A slice has the buffers of the whole batch.
            let bytes = batch.get_array_memory_size() / batch.num_rows() * rows.num_rows();
            if let Some(open) = &mut self.open {
                let path = open.temporary.clone();
                open.note(&rows, self.time);
                open.write(&self.schema, &rows, bytes).map_err(|error| write_error(&path, error))?;
            }
            from = upto;
        }
        Ok(())
    }

    /// The day of row `from`, and the first row behind it that is of another one.
    fn day_at(&self, batch: &RecordBatch, from: usize) -> (Option<i64>, usize) {
        let rows = batch.num_rows();
        let Some(times) = self.time.map(|at| batch.column(at).as_primitive::<TimestampMicrosecondType>()) else {
            return (None, rows);
        };
        let day = |row: usize| {
            let day = times.is_valid(row).then(|| times.value(row).div_euclid(DAY_US));
            day.filter(|day| DAYS.contains(day))
        };
        let first = day(from);
        // They are sorted: mostly all of a batch is one day.
        let upto = if day(rows - 1) == first && first.is_some() {
            rows
        } else {
            (from + 1..rows).find(|row| day(*row) != first).unwrap_or(rows)
        };
        (first, upto)
    }

    fn folder(&self, day: Option<i64>) -> PathBuf {
        self.root.join(format!("table={}", self.table)).join(format!("date={}", day.map_or_else(|| NO_DAY.to_owned(), date)))
    }

    fn open(&mut self, day: Option<i64>) -> Result<(), StoreError> {
        let folder = self.folder(day);
        let temporary = temporary_in(&folder);
        let failed = |source| StoreError::Io { verb: "write", path: temporary.clone(), source };
        self.disk.make_folder(&folder).map_err(failed)?;
        let file = self.disk.create(&temporary).map_err(failed)?;
        let encode = |source| StoreError::Encode { path: temporary.clone(), source };
        let types = ArrowSchemaConverter::new().convert(&self.schema).map_err(encode)?;
        let writer = SerializedFileWriter::new(file, types.root_schema_ptr(), Arc::clone(&self.properties)).map_err(encode)?;
        let columns = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&self.schema));
        let (min_time, max_time) = (None, None);
        let logs = BTreeSet::new();
        self.open = Some(OpenFile {
            temporary,
            day,
            writer,
            columns,
            groups: 0,
            group: None,
            logs,
            rows: 0,
            min_time,
            max_time,
            timeless: 0,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if let Err(error) = open.end_group() {
            let path = open.temporary.clone();
            self.open = Some(open);
            return Err(write_error(&path, error));
        }
        let OpenFile { temporary, day, mut writer, logs, rows, min_time, max_time, timeless, .. } = open;
        let sources = logs.iter().filter_map(|log| self.sources.get(log)).flatten().take(NAMED_SOURCES).cloned().collect();
        let sources = serde_json::Value::Array(sources).to_string();
        writer.append_key_value_metadata(KeyValue::new(SOURCES_NOTE.to_owned(), sources));
        let closed = writer.into_inner().map_err(|error| write_error(&temporary, error)).and_then(|mut file| {
            let synced = file.flush().and_then(|()| file.sync());
            synced.map_err(|source| StoreError::Io { verb: "write", path: temporary.clone(), source })
        });
        if let Err(error) = closed.and_then(|()| verify(&temporary, rows)) {
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        let bytes = std::fs::metadata(&temporary).map_or(0, |metadata| metadata.len());
        let stored = StoredFile {
            name: String::new(),
            table: self.table.clone(),
            day: day.map(date),
            rows,
            bytes,
            min_time,
            max_time,
            timeless,
            written: self.written,
        };
        self.done.push(NewFile { temporary, stored });
        Ok(())
    }

    /// The files, each complete and on the disk.
    pub(super) fn finish(mut self) -> Result<Vec<NewFile>, StoreError> {
        self.close()?;
        Ok(std::mem::take(&mut self.done))
    }
}

impl Drop for DayFiles {
    fn drop(&mut self) {
        let unfinished = self.open.take().map(|open| open.temporary);
        let finished = std::mem::take(&mut self.done).into_iter().map(|file| file.temporary);
        for path in unfinished.into_iter().chain(finished) {
            // Nobody is left to be told; the next writer sweeps.
            let _ = self.disk.remove(&path);
        }
    }
}

impl OpenFile {
    /// Takes down what the file will be known by.
    fn note(&mut self, batch: &RecordBatch, time: Option<usize>) {
        self.rows += batch.num_rows() as u64;
        self.note_logs(batch);
        let Some(at) = time else {
            self.timeless += batch.num_rows() as u64;
            return;
        };
        let times = batch.column(at).as_primitive::<TimestampMicrosecondType>();
        self.timeless += times.null_count() as u64;
        self.min_time = self.min_time.into_iter().chain(min(times)).min();
        self.max_time = self.max_time.into_iter().chain(max(times)).max();
    }

    fn note_logs(&mut self, batch: &RecordBatch) {
        let Some(names) = batch.column_by_name("_file").and_then(|names| names.as_string_view_opt()) else { return };
        let mut last = None;
        for name in names.iter().flatten() {
            if last != Some(name) {
                last = Some(name);
                if !self.logs.contains(name) {
                    self.logs.insert(name.to_owned());
                }
            }
        }
    }

    /// Encodes all columns of some rows beside each other.
    fn write(&mut self, schema: &Schema, rows: &RecordBatch, bytes: usize) -> Result<(), ParquetError> {
        let group = match &mut self.group {
            Some(group) => group,
            None => self.group.insert(Group::new(schema, self.columns.create_column_writers(self.groups)?)),
        };
        let encoded = group.columns.par_iter_mut().map(|(at, field, writers)| {
            let leaves = compute_leaves(field, rows.column(*at))?;
            leaves.iter().zip(writers).try_for_each(|(leaf, writer)| writer.write(leaf))
        });
        encoded.collect::<Result<(), ParquetError>>()?;
        group.rows += rows.num_rows();
        group.bytes += bytes;
        if group.rows >= GROUP_ROWS || group.bytes >= GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    /// Writes the columns of a group one after the other, if there is one.
    fn end_group(&mut self) -> Result<(), ParquetError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        self.groups += 1;
        let chunks = group
            .columns
            .into_par_iter()
            .map(|(.., writers)| writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<Vec<ArrowColumnChunk>, _>>());
        let chunks = chunks.collect::<Result<Vec<_>, ParquetError>>()?;
        let mut group = self.writer.next_row_group()?;
        for chunk in chunks.into_iter().flatten() {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}

impl Group {
    fn new(schema: &Schema, writers: Vec<ArrowColumnWriter>) -> Self {
        let mut writers = writers.into_iter();
        let fields = schema.fields().iter().enumerate();
        let of =
            |(at, field): (usize, &FieldRef)| (at, Arc::clone(field), writers.by_ref().take(leaves(field.data_type())).collect());
        Self { columns: fields.map(of).collect(), rows: 0, bytes: 0 }
    }
}

fn write_error(path: &Path, error: ParquetError) -> StoreError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => StoreError::Io { verb: "write", path: path.to_owned(), source: *source },
            Err(inner) => StoreError::Encode { path: path.to_owned(), source: ParquetError::External(inner) },
        },
        source => StoreError::Encode { path: path.to_owned(), source },
    }
}

/// Reads the footer back: what cannot be opened must never be named.
fn verify(path: &Path, rows: u64) -> Result<(), StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|source| StoreError::Io { verb: "read", path: path.to_owned(), source })?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| unreadable(error.to_string()))?;
    match u64::try_from(metadata.file_metadata().num_rows()) {
        Ok(found) if found == rows => Ok(()),
        found => Err(unreadable(format!("it should have {rows} rows and says {}", found.unwrap_or(0)))),
    }
}

/// How many columns of Parquet a column of this type is.
fn leaves(kind: &DataType) -> usize {
    match kind {
        DataType::Map(entries, _) => leaves(entries.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(field) => leaves(field.data_type()),
        _ => 1,
    }
}

/// The columns as they are stored: without views, which other readers do not know.
fn stored_schema(schema: &Schema) -> SchemaRef {
    let stored = |field: Field| match field.data_type() {
        DataType::Utf8View => field.with_data_type(DataType::Utf8),
        _ => field,
    };
    Arc::new(Schema::new(schema.fields().iter().map(|field| stored(field.as_ref().clone())).collect::<Vec<_>>()))
}

fn properties(schema: &SchemaRef, level: i32, notes: Vec<(String, String)>) -> Result<WriterProperties, ParquetError> {
    let mut metadata = vec![KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(schema))];
    metadata.extend(notes.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
        .set_created_by(concat!("logsql ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(metadata));
    if let Ok(time) = schema.index_of("time") {
        let time = i32::try_from(time).unwrap_or(0);
        builder =
            builder.set_sorting_columns(Some(vec![SortingColumn { column_idx: time, descending: false, nulls_first: false }]));
    }
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        // Behind a dictionary that grew too large.
        let encoding = match field.data_type() {
            DataType::Utf8 => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
            DataType::UInt16 | DataType::UInt64 | DataType::Int16 | DataType::Timestamp(..) => {
                Some(Encoding::DELTA_BINARY_PACKED)
            }
            _ => None,
        };
        if let Some(encoding) = encoding {
            builder = builder.set_column_encoding(path.clone(), encoding);
        }
        if matches!(field.name().as_str(), "_line" | "_offset") {
            builder = builder.set_column_dictionary_enabled(path.clone(), false);
        }
        if is_looked_up(field.name()) {
            builder = builder.set_column_bloom_filter_fpp(path.clone(), 0.01).set_column_bloom_filter_max_ndv(path, 100_000);
        }
    }
    Ok(builder.build())
}

/// Is it an address or an id, of which a query wants one?
fn is_looked_up(column: &str) -> bool {
    column.ends_with("_ip") || column.ends_with("_mac") || (column.ends_with("_id") && column != "msg_id")
}

/// A day since 1970 as `2026-11-21`.
pub(super) fn date(day: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    let date = i32::try_from(day).ok().and_then(|day| epoch.checked_add(jiff::Span::new().try_days(day).ok()?).ok());
    date.map_or_else(|| NO_DAY.to_owned(), |date| date.to_string())
}
