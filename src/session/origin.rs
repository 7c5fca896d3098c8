//! Which line of which file a row is: asked of a query beside its own columns.
//!
//! ```text
//!   Limit ─ Sort ─ Projection status, path            ─ Filter ─ TableScan access_log
//!   Limit ─ Sort ─ Projection status, path, $file, $offset ─ … ─ Projection …, _file AS $file, _offset AS $offset ─ TableScan
//! ```
//!
//! Only where a row is one record: what groups, joins, unites or drops duplicates has no such place.
//!
//! In a store, file and offset are those of the log when it was collected: days of one log share them, so the time is a part of the
//! place, too. Unless the store keeps lines, the text is looked for in the logs that are there still: in the one of that name and those beside
//! it, to which it may have been rotated. It is that line if all of its columns are those of the row.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::{Column, Result as DfResult, ScalarValue, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, col, lit};
use futures::StreamExt as _;

use super::{QueryError, Session};
use crate::kernel::table::{TableDef, table};
use crate::table::{Begin, FileSet, HistoryTable, InputSpec, LogTable, Part};

/// The columns that are added, at the end. SQL cannot ask for such names without quotes.
const FILE: &str = "$file";
const OFFSET: &str = "$offset";
const TIME: &str = "$time";

/// The table whose records rows are. The last columns of such rows say which record each one is, and were not asked for.
#[derive(Clone, Debug)]
pub struct Origin {
    /// As SQL names it.
    table: String,
    /// A part of the table is in a store: the table as log files have it.
    stored: Option<&'static TableDef>,
    /// So many columns at the end of rows: file, offset, and time if records of a store may be among them.
    pub columns: usize,
}

/// Which record of its table a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as `_file` names it.
    pub file: String,
    /// The offset of its first byte.
    pub offset: u64,
    /// Its time in microseconds since 1970, where that is a part of the place.
    pub time: Option<i64>,
}

/// The lines of a log that a row comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLine {
    /// Here they are.
    Found {
        /// The file that they are in now, or were in when they were collected.
        file: String,
        /// Number of the first one, from 1.
        line: u64,
        /// Their text.
        raw: String,
    },
    /// The row is in the store, but no file here has the lines any more.
    NotKept {
        /// Number of the first one, from 1.
        line: u64,
    },
    /// There is no such record any more.
    Gone,
}

/// The plan with these columns at its end, and the table whose records the rows are.
pub(super) fn with_origin(plan: &LogicalPlan) -> DfResult<Option<(LogicalPlan, Origin)>> {
    let Some((plan, name, stored)) = traced(plan)? else { return Ok(None) };
    let fields = plan.schema().fields();
    let expected: &[&str] = match stored.and_then(|def| def.column("time")) {
        Some(_) => &[FILE, OFFSET, TIME],
        None => &[FILE, OFFSET],
    };
    let columns = expected.len();
    let last = fields.len().checked_sub(columns).map_or(&[][..], |from| &fields[from..]);
    let is_expected = last.iter().map(|field| field.name().as_str()).eq(expected.iter().copied());
    Ok(is_expected.then(|| (plan, Origin { table: name.to_quoted_string(), stored, columns })))
}

type Traced = (LogicalPlan, TableReference, Option<&'static TableDef>);

fn traced(plan: &LogicalPlan) -> DfResult<Option<Traced>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source)?;
            let history = provider.downcast_ref::<HistoryTable>().map(HistoryTable::def);
            let has = |name: &str| scan.projected_schema.has_column_with_unqualified_name(name);
            if (provider.downcast_ref::<LogTable>().is_none() && history.is_none()) || !has("_file") || !has("_offset") {
                return Ok(None);
            }
            let mut exprs: Vec<Expr> = scan.projected_schema.iter().map(|field| Expr::Column(Column::from(field))).collect();
            let time = Some(("time", TIME)).filter(|_| history.is_some() && has("time"));
            for (name, alias) in [("_file", FILE), ("_offset", OFFSET)].into_iter().chain(time) {
                exprs.push(Expr::Column(Column::new(Some(scan.table_name.clone()), name)).alias(alias));
            }
            let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan.clone()))?);
            Ok(Some((plan, scan.table_name.clone(), history.and_then(|def| table(def.name)))))
        }
        LogicalPlan::Projection(projection) => {
            let Some((input, table, stored)) = traced(&projection.input)? else { return Ok(None) };
            let mut exprs = projection.expr.clone();
            for name in [FILE, OFFSET, TIME] {
                let found = input.schema().iter().find(|(_, field)| field.name() == name).map(Column::from);
                exprs.extend(found.map(Expr::Column));
            }
            Ok(Some((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?), table, stored)))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_) => {
            let inputs = plan.inputs();
            let [input] = inputs.as_slice() else { return Ok(None) };
            let Some((input, table, stored)) = traced(input)? else { return Ok(None) };
            Ok(Some((plan.with_new_exprs(plan.expressions(), vec![input])?, table, stored)))
        }
        _ => Ok(None),
    }
}

impl Session {
    /// The lines of the log that a row comes from.
    pub async fn line_of(&self, origin: &Origin, place: &Place) -> Result<SourceLine, QueryError> {
        let Place { file, offset, time } = place;
        let mut values = vec![
            ("file".to_owned(), ScalarValue::Utf8View(Some(file.clone()))),
            ("offset".to_owned(), ScalarValue::UInt64(Some(*offset))),
        ];
        // The other columns are asked for only where the line may have to be looked for.
        let others = if origin.stored.is_some() { ", *" } else { "" };
        let at_time = match time {
            Some(us) => {
                values.push(("time".to_owned(), ScalarValue::TimestampMicrosecond(Some(*us), Some("UTC".into()))));
                " AND time = $time"
            }
            None if origin.columns > 2 => " AND time IS NULL",
            None => "",
        };
        let sql = format!("SELECT _line, _raw{others} FROM {} WHERE _file = $file AND _offset = $offset{at_time}", origin.table);
        let Some(statement) = self.statements(&sql)?.pop() else { return Ok(SourceLine::Gone) };
        let rows = self.run_bound(statement, values).await?.rows;
        let Some(row) = first_row(rows).await.map_err(|error| self.explain(&error))? else { return Ok(SourceLine::Gone) };
        let line = row.column(0).as_primitive_opt::<UInt64Type>().map_or(0, |lines| lines.value(0));
        if let Some(raw) = text_of(&row, "_raw") {
            return Ok(SourceLine::Found { file: file.clone(), line, raw });
        }
        let Some(def) = origin.stored else { return Ok(SourceLine::Gone) };
        let begin = Begin { offset: *offset, line };
        for path in self.may_hold(file).await {
            // Whatever keeps us from reading a file, the line is not to be had from it.
            if let Ok(Some(raw)) = self.same_line(def, path.clone(), begin, &row).await {
                return Ok(SourceLine::Found { file: path.to_string_lossy().into_owned(), line, raw });
            }
        }
        Ok(SourceLine::NotKept { line })
    }

    /// Logs that the lines of this one may be in: the one of that name, and those beside it whose names begin alike.
    async fn may_hold(&self, file: &str) -> Vec<OsString> {
        let mut paths = vec![OsString::from(file)];
        let Ok(listing) = self.schema.inputs().listing().await else { return paths };
        let own = Path::new(file);
        let files = listing.files.iter().map(|file| &file.snapshot).chain(listing.stored.iter().map(|(snapshot, _)| snapshot));
        for snapshot in files.filter(|snapshot| snapshot.member.is_none()) {
            let path = &snapshot.path;
            if path.parent() == own.parent() && stem(path) == stem(own) && !paths.iter().any(|known| known == path.as_os_str()) {
                paths.push(path.clone().into_os_string());
            }
        }
        paths
    }

    /// The text of the record at a place of a log, if it is the one that this row was made of.
    async fn same_line(
        &self,
        def: &'static TableDef,
        path: OsString,
        begin: Begin,
        row: &RecordBatch,
    ) -> Result<Option<String>, QueryError> {
        let context = self.schema.context();
        let files = FileSet::try_new(Arc::clone(context), InputSpec::Args(vec![path]), None);
        let files = Arc::new(files.map_err(|error| self.explain(&error.into()))?);
        let listing = files.listing().await.map_err(|error| self.explain(&error.into()))?;
        let part = Part { begin, end: begin.offset.saturating_add(1) };
        let feeding = listing.files.iter().filter(|file| file.feeds(context.formats(), def.name));
        let parts = feeding.map(|file| Arc::new(file.with_part(context, part))).collect();
        let log = Arc::new(LogTable::new(Arc::clone(context), def, files).over(parts));
        let found = async {
            let plan = LogicalPlanBuilder::scan("log", provider_as_source(log), None)?;
            let plan = plan.filter(col("_offset").eq(lit(begin.offset)))?.build()?;
            first_row(Box::pin(self.start(plan)).await?).await
        };
        let Some(found) = found.await.map_err(|error| self.explain(&error))? else { return Ok(None) };
        let schema = row.schema();
        let mut logged = schema.fields().iter().map(|field| field.name()).filter(|name| !name.starts_with('_'));
        Ok(if logged.all(|name| text_of(row, name) == text_of(&found, name)) { text_of(&found, "_raw") } else { None })
    }
}

/// What logs of one kind have in common in their names: `access` of `access.log.2.gz` and of `access-20261121.log`.
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

async fn first_row(mut rows: SendableRecordBatchStream) -> DfResult<Option<RecordBatch>> {
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(Some(batch.slice(0, 1)));
        }
    }
    Ok(None)
}

/// A value of a row as text; `None` for NULL, and for what is not there.
fn text_of(row: &RecordBatch, name: &str) -> Option<String> {
    let column = row.column_by_name(name).filter(|column| column.is_valid(0))?;
    array_value_to_string(column, 0).ok()
}
