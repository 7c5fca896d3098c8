//! Columns that follow from others, and are not written twice.
//!
//! ```text
//!   url      path, `?`, query              stored: url_other, where it is something else
//!   request  method, url, protocol         stored: request_other, where it is something else
//! ```
//!
//! Together they are more than half of an access log, and no codec sees that one column repeats another. What is NULL, though it would
//! follow, is stored as an empty text, which no column of a log has.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// A column that follows from others.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Derived {
    /// Its name.
    column: &'static str,
    /// What is stored of it.
    other: &'static str,
    /// What it follows from.
    parts: &'static [&'static str],
    /// What is between its parts.
    glue: u8,
    /// So many of its parts have to be there; the others may be NULL.
    least: usize,
}

static DERIVED: [Derived; 2] = [
    Derived { column: "url", other: "url_other", parts: &["path", "query"], glue: b'?', least: 1 },
    Derived { column: "request", other: "request_other", parts: &["method", "url", "protocol"], glue: b' ', least: 2 },
];

impl Derived {
    /// Of a column of a table with these columns.
    pub(super) fn of(column: &str, schema: &Schema) -> Option<&'static Self> {
        let derived = DERIVED.iter().find(|derived| derived.column == column)?;
        derived.parts.iter().all(|part| schema.index_of(part).is_ok()).then_some(derived)
    }

    /// What is stored of it, as an expression over the columns of a table.
    pub(super) fn taken_apart(&'static self) -> Expr {
        let columns = std::iter::once(&self.column).chain(self.parts).map(|name| col(*name)).collect();
        Rewrite::udf(self, Form::Stored).call(columns).alias(self.other)
    }

    /// What is stored of it.
    fn stored(&self, actual: &StringViewArray, parts: &[&StringViewArray]) -> StringViewArray {
        let mut stored = StringViewBuilder::with_capacity(actual.len());
        for row in 0..actual.len() {
            let is_actual = actual.is_valid(row);
            let derived = self.pieces(parts, row);
            match (is_actual.then(|| actual.value(row)), derived) {
                (None, None) => stored.append_null(),
                (Some(actual), Some(pieces)) if self.is(actual, &pieces) => stored.append_null(),
                (Some(actual), _) => stored.append_value(actual),
                (None, Some(_)) => stored.append_value(""),
            }
        }
        stored.finish()
    }

    /// The parts of a row, if there are enough of them.
    fn pieces<'a>(&self, parts: &[&'a StringViewArray], row: usize) -> Option<[Option<&'a str>; 3]> {
        let mut pieces = [None; 3];
        for (piece, part) in pieces.iter_mut().zip(parts) {
            *piece = part.is_valid(row).then(|| part.value(row));
        }
        pieces[..self.least].iter().all(Option::is_some).then_some(pieces)
    }

    fn is(&self, text: &str, pieces: &[Option<&str>; 3]) -> bool {
        let mut rest = text.as_bytes();
        for (at, piece) in pieces.iter().flatten().enumerate() {
            if at > 0 {
                match rest.split_first() {
                    Some((glue, behind)) if *glue == self.glue => rest = behind,
                    _ => return false,
                }
            }
            match rest.strip_prefix(piece.as_bytes()) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.is_empty()
    }

    /// The column again, of what is stored.
    fn put_together(&self, stored: &StringViewArray, parts: &[&StringViewArray]) -> StringViewArray {
        let mut column = StringViewBuilder::with_capacity(stored.len());
        let mut text = String::new();
        for row in 0..stored.len() {
            match (stored.is_valid(row).then(|| stored.value(row)), self.pieces(parts, row)) {
                (Some(""), _) | (None, None) => column.append_null(),
                (Some(other), _) => column.append_value(other),
                (None, Some(pieces)) => {
                    text.clear();
                    for (at, piece) in pieces.iter().flatten().enumerate() {
                        if at > 0 {
                            text.push(char::from(self.glue));
                        }
                        text.push_str(piece);
                    }
                    column.append_value(&text);
                }
            }
        }
        column.finish()
    }

    /// The column as an expression over the columns of a store.
    fn expr(&'static self, stored: &SchemaRef, config: &Arc<ConfigOptions>) -> DfResult<Arc<dyn PhysicalExpr>> {
        let mut args: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new_with_schema(self.other, stored)?)];
        for part in self.parts {
            args.push(column(part, stored, config)?);
        }
        let udf = Arc::new(Rewrite::udf(self, Form::Whole));
        Ok(Arc::new(ScalarFunctionExpr::try_new(udf, args, stored, Arc::clone(config))?))
    }
}

/// A column of a table as an expression over the columns of a store.
pub(super) fn column(name: &str, stored: &SchemaRef, config: &Arc<ConfigOptions>) -> DfResult<Arc<dyn PhysicalExpr>> {
    match DERIVED.iter().find(|derived| derived.column == name && stored.index_of(derived.other).is_ok()) {
        Some(derived) => derived.expr(stored, config),
        None => Ok(Arc::new(Column::new_with_schema(name, stored)?)),
    }
}

/// The columns of a table as a store has them.
pub(super) fn stored_fields(schema: &Schema) -> Vec<Field> {
    let name = |field: &Field| {
        Derived::of(field.name(), schema).map_or_else(|| field.name().as_str(), |derived| derived.other).to_owned()
    };
    schema.fields().iter().map(|field| field.as_ref().clone().with_name(name(field))).collect()
}

/// The function that goes from a column to what is stored of it, or back. It has no name in SQL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rewrite {
    derived: &'static Derived,
    to: Form,
    signature: Signature,
}

/// What a column is rewritten to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// The column itself.
    Whole,
    /// What is stored of it.
    Stored,
}

impl Rewrite {
    fn udf(derived: &'static Derived, to: Form) -> ScalarUDF {
        let signature = Signature::any(1 + derived.parts.len(), Volatility::Immutable);
        ScalarUDF::new_from_impl(Self { derived, to, signature })
    }
}

impl ScalarUDFImpl for Rewrite {
    fn name(&self) -> &str {
        match self.to {
            Form::Whole => self.derived.column,
            Form::Stored => self.derived.other,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let view = |value: &ColumnarValue| {
            Ok::<_, datafusion::error::DataFusionError>(cast(&value.to_array(args.number_rows)?, &DataType::Utf8View)?)
        };
        let arrays = args.args.iter().map(view).collect::<DfResult<Vec<ArrayRef>>>()?;
        let views: Vec<&StringViewArray> = arrays.iter().map(|array| array.as_string_view()).collect();
        let column = match self.to {
            Form::Whole => self.derived.put_together(views[0], &views[1..]),
            Form::Stored => self.derived.stored(views[0], &views[1..]),
        };
        Ok(ColumnarValue::Array(Arc::new(column)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;

    use super::*;

    #[test]
    fn what_is_put_together_is_what_was_there() {
        let rows: [[Option<&str>; 6]; 8] = [
            // method, url, protocol, request, path, query
            [Some("GET"), Some("/a?b=c"), Some("HTTP/1.1"), Some("GET /a?b=c HTTP/1.1"), Some("/a"), Some("b=c")],
            [Some("GET"), Some("/a"), None, Some("GET /a"), Some("/a"), None],
            [None, None, None, Some("\\x16\\x03"), None, None],
            [None, None, None, None, None, None],
            [Some("GET"), Some("/a?"), Some("HTTP/1.1"), Some("GET /a? HTTP/1.1"), Some("/a"), None],
            [Some("GET"), Some("/a"), Some("HTTP/1.1"), Some("GET  /a HTTP/1.1"), Some("/a"), None],
            [Some("GET"), None, Some("HTTP/1.1"), None, Some("/a"), Some("x")],
            [Some("GET"), Some("/ä"), Some("HTTP/2"), None, Some("/ä"), None],
        ];
        let names = ["method", "url", "protocol", "request", "path", "query"];
        let schema = Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Utf8View, true)).to_vec()));
        let columns = (0..6).map(|at| Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row[at]))) as ArrayRef);
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let stored_schema = Arc::new(Schema::new(stored_fields(&schema)));
        let stored = schema.fields().iter().enumerate().map(|(at, field)| match Derived::of(field.name(), &schema) {
            Some(derived) => {
                let text = |name: &str| batch.column_by_name(name).unwrap().as_string_view();
                let parts: Vec<&StringViewArray> = derived.parts.iter().map(|part| text(part)).collect();
                Arc::new(derived.stored(text(derived.column), &parts))
            }
            None => Arc::clone(batch.column(at)),
        });
        let stored = RecordBatch::try_new(Arc::clone(&stored_schema), stored.collect()).unwrap();
        assert_eq!(stored.column_by_name("url_other").unwrap().null_count(), 6, "two are something else");
        let config = Arc::new(ConfigOptions::default());
        for (at, name) in names.iter().enumerate() {
            let found = column(name, &stored_schema, &config).unwrap().evaluate(&stored).unwrap().into_array(8).unwrap();
            assert_eq!(found.as_string_view(), batch.column(at).as_string_view(), "{name}");
        }
    }
}
