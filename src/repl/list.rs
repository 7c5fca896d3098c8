//! Lists that commands show: tables, columns, formats. They are results like others: sanitised, fitted to the window.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::SchemaProvider as _;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt as _, stream};

use crate::kernel::table::{TableDef, table};
use crate::output::OutputFormat;
use crate::session::{QueryError, Session};
use crate::source::Severity;
use crate::table::{FileFormat, Listing, Remark, SCAN_REPORT, def_of, log_table_of};

/// Rows that are looked through for a value of each column.
const SAMPLED: usize = 1000;

/// One table.
#[derive(Debug)]
pub(super) struct TableRow {
    pub(super) name: String,
    pub(super) about: String,
    /// How many files feed it and how large they are, where there are files behind it.
    pub(super) files: Option<(u64, u64)>,
}

/// The tables, and files that are in none of them.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) rows: Vec<TableRow>,
    pub(super) unreadable: BTreeSet<String>,
    pub(super) unknown: BTreeSet<String>,
}

/// Looks at the files behind all tables.
pub(super) async fn tables(session: &Session) -> Tables {
    let schema = session.schema();
    let mut found = Tables::default();
    for name in schema.table_names() {
        let (about, files) = match schema.table(&name).await {
            Err(error) => (session.explain(&error).message, None),
            Ok(None) => continue,
            Ok(Some(provider)) => match log_table_of(provider.as_ref()) {
                None if name == SCAN_REPORT => ("what the last query read of each file".to_owned(), None),
                None => ("made in this session".to_owned(), None),
                Some(log) => {
                    let about =
                        if log.def().name == name { log.def().about.to_owned() } else { format!("as {}", log.def().name) };
                    match log.files().listing().await {
                        Err(error) => (error.to_string(), None),
                        Ok(listing) => {
                            found.note_others(&listing);
                            (about, Some(files_of(session, &listing, log.def())))
                        }
                    }
                }
            },
        };
        found.rows.push(TableRow { name, about, files });
    }
    found
}

impl Tables {
    fn note_others(&mut self, listing: &Listing) {
        let matters = |remark: &Remark| remark.severity != Severity::Note;
        for file in &listing.files {
            match &file.format {
                FileFormat::Unreadable(remark) if matters(remark) => {
                    self.unreadable.insert(format!("{}: {}", file.name, remark.text));
                }
                FileFormat::Unknown => {
                    self.unknown.insert(file.name.clone());
                }
                _ => {}
            }
        }
        for (path, remark) in listing.problems.iter().filter(|(_, remark)| matters(remark)) {
            self.unreadable.insert(format!("{}: {}", path.display(), remark.text));
        }
    }
}

fn files_of(session: &Session, listing: &Listing, def: &TableDef) -> (u64, u64) {
    let feeding = listing.files.iter().filter(|file| file.feeds(session.formats(), def.name));
    feeding.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.snapshot.size))
}

/// One column of a table.
#[derive(Debug)]
pub(super) struct ColumnRow {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) about: String,
}

/// A table in detail.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) about: String,
    pub(super) columns: Vec<ColumnRow>,
    /// Path, format, bytes.
    pub(super) files: Vec<(String, String, u64)>,
    pub(super) has_meta: bool,
}

/// Describes a table, or `None` if there is none of this name.
pub(super) async fn detail(session: &Session, name: &str) -> Result<Option<Detail>, DataFusionError> {
    let schema = session.schema();
    let provider = match schema.table(name).await? {
        Some(provider) => Some(provider),
        // Without quotes SQL has names in lower case.
        None => schema.table(&name.to_lowercase()).await?,
    };
    let Some(provider) = provider else { return Ok(None) };
    let log = log_table_of(provider.as_ref());
    let def = def_of(provider.as_ref());
    let is_meta = |name: &str| def.is_some_and(|def| def.columns[def.plain..].iter().any(|meta| meta.name == name));
    let columns = provider.schema();
    let columns = columns.fields().iter().map(|field| {
        let known = def.and_then(|def| def.columns.iter().find(|column| column.name == field.name()));
        let about = known.map_or("", |column| column.about);
        let about = if is_meta(field.name()) { format!("(meta) {about}") } else { about.to_owned() };
        ColumnRow { name: field.name().clone(), kind: type_name(field.data_type()), about }
    });
    let columns: Vec<ColumnRow> = columns.collect();
    let files = match log {
        None => vec![],
        Some(log) => {
            let listing = log.files().listing().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let feeding = listing.files.iter().filter(|file| file.feeds(session.formats(), log.def().name));
            let format = |format: &FileFormat| format.name().unwrap_or("no format").to_owned();
            feeding.map(|file| (file.name.clone(), format(&file.format), file.snapshot.size)).collect()
        }
    };
    let about = def.or_else(|| table(name)).map_or(String::new(), |def| def.about.to_owned());
    let has_meta = columns.iter().any(|column| is_meta(&column.name));
    Ok(Some(Detail { about, columns, files, has_meta }))
}

/// A value of each column, out of the first rows of a table; nothing where there is none.
pub(super) async fn samples(session: &Session, name: &str, columns: &[ColumnRow]) -> Result<Vec<String>, QueryError> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let sql = format!("SELECT {} FROM {} LIMIT {SAMPLED}", names.join(", "), quoted(name));
    let mut samples = vec![String::new(); columns.len()];
    let Some(statement) = session.statements(&sql)?.pop() else { return Ok(samples) };
    let mut rows = session.run(statement).await?.rows;
    let options = FormatOptions::default();
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| session.explain(&error))?;
        for (sample, column) in samples.iter_mut().zip(batch.columns()).filter(|(sample, _)| sample.is_empty()) {
            let Ok(formatter) = ArrayFormatter::try_new(column, &options) else { continue };
            let first = (0..column.len()).filter(|row| column.is_valid(*row)).map(|row| formatter.value(row).to_string());
            *sample = first.map(|text| text.trim_end().to_owned()).find(|text| !text.is_empty()).unwrap_or_default();
        }
    }
    Ok(samples)
}

/// A type in words that fit into a column.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Timestamp(_, Some(zone)) => format!("timestamp {zone}"),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map({}, {})", type_name(fields[0].data_type()), type_name(fields[1].data_type()))
            }
            _ => "map".to_owned(),
        },
        DataType::List(item) | DataType::LargeList(item) => format!("list({})", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

/// A column of a list.
pub(super) enum Values {
    Text(Vec<String>),
    Number(Vec<Option<u64>>),
}

/// The list as a result.
pub(super) fn stream_of(columns: Vec<(&str, Values)>) -> Result<SendableRecordBatchStream, DataFusionError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (name, values) in columns {
        let (kind, array): (DataType, ArrayRef) = match values {
            Values::Text(values) => (DataType::Utf8, Arc::new(StringArray::from(values))),
            Values::Number(values) => (DataType::UInt64, Arc::new(UInt64Array::from(values))),
        };
        fields.push(Field::new(name, kind, true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)]))))
}

/// The format of a list, where results have this one.
pub(super) fn format_of_list(format: OutputFormat) -> OutputFormat {
    if format.is_binary() { OutputFormat::Table } else { format }
}
