//! Parquet and Arrow IPC: the same columns, for the next program.
//!
//! | | Parquet | Arrow |
//! |---|---|---|
//! | container | one file, written from front to end, so a pipe will do too | IPC file in a file, IPC stream in a pipe |
//! | text | `STRING`, whether it was a view, large or a dictionary | as it is; dictionaries unpacked |
//! | time | `TIMESTAMP(µs, UTC)` | the same |
//! | packed | zstd 3, dictionaries, row groups of up to 1 M rows or 128 MiB, statistics per page | no |
//!
//! Dictionaries are unpacked for Arrow because the file format allows only one per column, and each batch of a query may
//! bring its own. Two columns of one name are told apart as `a` and `a_2`: readers refuse such files or lose a column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use futures::StreamExt;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowWriter, encode_arrow_schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use datafusion::execution::SendableRecordBatchStream;

use super::sink::Sink;
use super::{OutputError, OutputFormat, Written, unique_names};

const GROUP_ROWS: usize = 1024 * 1024;
const GROUP_BYTES: usize = 128 * 1024 * 1024;
const ZSTD_LEVEL: i32 = 3;

/// Which container of Arrow IPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    File,
    Stream,
}

/// What the encoders have in common: Parquet, IPC file, IPC stream.
trait Encoder: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError>;
    fn finish(&mut self) -> Result<(), OutputError>;
    fn flush(&mut self) -> Result<(), OutputError>;
}

pub(super) async fn write_parquet(stream: SendableRecordBatchStream, sink: &mut Sink<'_>) -> Result<Written, OutputError> {
    let schema = stored_schema(&stream.schema(), &plain_type)?;
    let result = match parquet_writer(&mut *sink, &schema) {
        Ok(writer) => encode(stream, Parquet(writer), &schema).await,
        Err(error) => Err(error),
    };
    result.map_err(|error| sink.failure().unwrap_or(error))
}

pub(super) async fn write_arrow(
    stream: SendableRecordBatchStream,
    sink: &mut Sink<'_>,
    container: Container,
) -> Result<Written, OutputError> {
    let schema = stored_schema(&stream.schema(), &unpacked_type)?;
    let result = match container {
        Container::File => match FileWriter::try_new(&mut *sink, &schema) {
            Ok(writer) => encode(stream, ArrowFile(writer), &schema).await,
            Err(source) => Err(arrow_error(source)),
        },
        Container::Stream => match StreamWriter::try_new(&mut *sink, &schema) {
            Ok(writer) => encode(stream, ArrowStream(writer), &schema).await,
            Err(source) => Err(arrow_error(source)),
        },
    };
    result.map_err(|error| sink.failure().unwrap_or(error))
}

async fn encode(
    mut stream: SendableRecordBatchStream,
    mut encoder: impl Encoder,
    schema: &SchemaRef,
) -> Result<Written, OutputError> {
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = stored(&batch?, schema)?;
        rows += batch.num_rows() as u64;
        encoder.write(&batch)?;
        encoder.flush()?;
    }
    encoder.finish()?;
    Ok(Written { rows, shown: rows })
}

struct Parquet<'s, 'w>(ArrowWriter<&'s mut Sink<'w>>);
struct ArrowFile<'s, 'w>(FileWriter<&'s mut Sink<'w>>);
struct ArrowStream<'s, 'w>(StreamWriter<&'s mut Sink<'w>>);

impl Encoder for Parquet<'_, '_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.0.write(batch).map_err(parquet_error)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.0.finish().map_err(parquet_error)?;
        std::io::Write::flush(self.0.inner_mut()).map_err(|error| parquet_error(error.into()))
    }

    /// Nothing to show before a row group is full; what is seen to is that one does not grow without end.
    fn flush(&mut self) -> Result<(), OutputError> {
        if self.0.memory_size() >= GROUP_BYTES { self.0.flush().map_err(parquet_error) } else { Ok(()) }
    }
}

impl Encoder for ArrowFile<'_, '_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.0.write(batch).map_err(arrow_error)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.0.finish().map_err(arrow_error)
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        self.0.flush().map_err(arrow_error)
    }
}

impl Encoder for ArrowStream<'_, '_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.0.write(batch).map_err(arrow_error)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.0.finish().map_err(arrow_error)
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        self.0.flush().map_err(arrow_error)
    }
}

fn parquet_writer<'s, 'w>(sink: &'s mut Sink<'w>, schema: &SchemaRef) -> Result<ArrowWriter<&'s mut Sink<'w>>, OutputError> {
    if schema.fields().is_empty() {
        return Err(OutputError::NoColumns { format: OutputFormat::Parquet });
    }
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(parquet_error)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(concat!("logsql ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        // The writer would note its own input types (views), which older readers do not know.
        .set_key_value_metadata(Some(vec![KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(schema))]))
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(sink, Arc::clone(schema), options).map_err(parquet_error)
}

fn parquet_error(source: parquet::errors::ParquetError) -> OutputError {
    OutputError::Parquet { source }
}

fn arrow_error(source: arrow::error::ArrowError) -> OutputError {
    OutputError::Encode { source }
}

/// The schema as it is stored: every type mapped, every name once.
fn stored_schema(schema: &Schema, map: &dyn Fn(&DataType) -> DataType) -> Result<SchemaRef, OutputError> {
    let fields: Vec<Field> =
        schema.fields().iter().zip(unique_names(schema)).map(|(field, name)| mapped_field(field, map).with_name(name)).collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

fn mapped_field(field: &Field, map: &dyn Fn(&DataType) -> DataType) -> Field {
    field.clone().with_data_type(mapped(field.data_type(), map))
}

/// The type with `map` applied to it and to all types inside it.
fn mapped(data_type: &DataType, map: &dyn Fn(&DataType) -> DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(mapped_field(field, map));
    match data_type {
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::ListView(field) => DataType::ListView(inner(field)),
        DataType::LargeListView(field) => DataType::LargeListView(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => match map(other) {
            same if same == *other => same,
            // A dictionary of views is a view and then a string.
            changed => mapped(&changed, map),
        },
    }
}

/// Without dictionaries and runs.
fn unpacked_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => (**values).clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        other => other.clone(),
    }
}

/// Without dictionaries, runs and views. Text becomes the large kind: one batch of long lines may exceed the 2 GiB that
/// the small kind holds, and in the file both are the same.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::LargeUtf8,
        DataType::BinaryView => DataType::LargeBinary,
        DataType::ListView(field) => DataType::List(Arc::clone(field)),
        DataType::LargeListView(field) => DataType::LargeList(Arc::clone(field)),
        other => unpacked_type(other),
    }
}

/// The batch with the stored schema.
fn stored(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, OutputError> {
    let columns: Result<Vec<ArrayRef>, _> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(
            |(column, field)| {
                if column.data_type() == field.data_type() { Ok(compact(column)) } else { cast(column, field.data_type()) }
            },
        )
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.map_err(arrow_error)?, &options).map_err(arrow_error)
}

/// IPC writes the whole buffers behind a view column, even if a filter left three rows of them.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => {
            let views = column.as_string_view();
            let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
            if held > 2 * views.total_buffer_bytes_used() { Arc::new(views.gc()) } else { Arc::clone(column) }
        }
        DataType::BinaryView => {
            let views = column.as_binary_view();
            let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
            if held > 2 * views.total_buffer_bytes_used() { Arc::new(views.gc()) } else { Arc::clone(column) }
        }
        _ => Arc::clone(column),
    }
}
