//! Which filters a scan takes over, and how it applies them.
//!
//! ```text
//!   WHERE status = 500 AND random() < 0.1 ──┬─ status = 500   static     applied to every record    Yes: leaves the plan
//!                                           └─ random() < 0.1 volatile   not taken                  No: FilterExec keeps it
//!   ORDER BY time LIMIT 10, joins ────────────  time > ?      dynamic    applied to every record as it is at that moment;
//!                                                                        whoever made it checks again
//! ```
//!
//! Only static filters are in [`Pushed::predicate`], which `FileSource::filter` shows: DataFusion concludes equalities
//! from it. The batch that a filter sees holds the columns it names and no others.

use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch, StringViewArray};
use arrow::compute::and_kleene;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::logical_expr::utils::conjunction as logical_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterTracking, InListExpr, LikeExpr, Literal};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, conjunction, split_conjunction};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::filter_pushdown::PushedDown;

use super::bounds::{Known, TIME, excluded};
use super::file_index::FileIndex;
use super::values::{INDEXED, SharedObserver};
use crate::kernel::decode::{Required, RowFilter};
use crate::kernel::table::TableDef;

/// The filters that a scan applies.
#[derive(Clone, Debug, Default)]
pub(super) struct Pushed {
    /// The conjunction of the static ones.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Those that change while the query runs.
    pub(super) dynamic: Vec<Arc<dyn PhysicalExpr>>,
}

impl Pushed {
    /// These filters too, as far as they can be applied to a record of `schema`; and which ones that is.
    pub(super) fn with(&self, filters: Vec<Arc<dyn PhysicalExpr>>, schema: &Schema) -> (Self, Vec<PushedDown>) {
        let mut grown = self.clone();
        let mut taken = Vec::new();
        let verdicts = filters
            .into_iter()
            .map(|filter| {
                let known = |name: &str, index: usize| schema.fields().get(index).is_some_and(|f| f.name() == name);
                let columns = collect_columns(&filter);
                if is_volatile(&filter) || !columns.iter().all(|column| known(column.name(), column.index())) {
                    return PushedDown::No;
                }
                if DynamicFilterTracking::classify(&filter).contains_dynamic_filter() {
                    grown.dynamic.push(filter);
                } else {
                    taken.push(filter);
                }
                PushedDown::Yes
            })
            .collect();
        if !taken.is_empty() {
            grown.predicate = Some(conjunction(grown.predicate.take().into_iter().chain(taken)));
        }
        (grown, verdicts)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.predicate.iter().chain(&self.dynamic)
    }

    /// The columns that they look at, in the table's order.
    pub(super) fn columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> =
            self.all().flat_map(|filter| collect_columns(filter).into_iter().map(|column| column.index())).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// All of them in one, if there are any.
    pub(super) fn conjunction(&self) -> Option<Arc<dyn PhysicalExpr>> {
        let mut all = self.all().map(Arc::clone).peekable();
        all.peek().is_some().then(|| conjunction(all))
    }

    /// What a record's text has to hold for the predicate to be true, as far as that can be told.
    pub(super) fn required(&self) -> Vec<Required> {
        let conjuncts = self.predicate.iter().flat_map(|predicate| split_conjunction(predicate));
        conjuncts.filter_map(required_of).collect()
    }

    /// What applies them to batches of [`Self::columns`], all of which the observer sees; `None` if there are none.
    pub(super) fn row_filter(&self, table: &Schema, observer: Option<SharedObserver>) -> DfResult<Option<BatchFilter>> {
        let narrow = table.project(&self.columns())?;
        let filters = self.all().map(|filter| reassign_expr_columns(Arc::clone(filter), &narrow));
        let filters = filters.collect::<DfResult<Vec<_>>>()?;
        Ok((!filters.is_empty()).then_some(BatchFilter { filters, observer }))
    }
}

/// `column = 'x'`, `column IN ('x', 'y')`, `column LIKE '%x%'`, `starts_with(column, 'x')`, `column ~ 'x'`.
fn required_of(filter: &Arc<dyn PhysicalExpr>) -> Option<Required> {
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
        let (column, value) = match (column_of(binary.left()), column_of(binary.right())) {
            (Some(column), None) => (column, text_of(binary.right())?),
            (None, Some(column)) if *binary.op() == Operator::Eq => (column, text_of(binary.left())?),
            _ => return None,
        };
        let text = match binary.op() {
            Operator::Eq => value,
            Operator::RegexMatch => fixed_part(&value)?,
            _ => return None,
        };
        return Some(Required { column, any: vec![text] });
    }
    if let Some(like) = filter.downcast_ref::<LikeExpr>() {
        if like.negated() || like.case_insensitive() {
            return None;
        }
        let pattern = text_of(like.pattern()).filter(|pattern| !pattern.contains('\\'))?;
        let longest = pattern.split(['%', '_']).max_by_key(|part| part.len())?;
        return Some(Required { column: column_of(like.expr())?, any: vec![longest.to_owned()] });
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        let any: Option<Vec<String>> = list.list().iter().map(text_of).collect();
        return Some(Required { column: column_of(list.expr())?, any: any.filter(|_| !list.negated())? });
    }
    let function = filter.downcast_ref::<ScalarFunctionExpr>()?;
    match (function.name(), function.args()) {
        ("starts_with" | "contains" | "ends_with", [column, text]) => {
            Some(Required { column: column_of(column)?, any: vec![text_of(text)?] })
        }
        _ => None,
    }
}

fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// A value as the text that a log has for it, in a column of text or of whole numbers.
fn text_of(expr: &Arc<dyn PhysicalExpr>) -> Option<String> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.clone(),
        ScalarValue::UInt16(number) => number.map(|number| number.to_string()),
        ScalarValue::UInt64(number) => number.map(|number| number.to_string()),
        _ => None,
    }
}

/// The longest fixed text that every match of a regular expression holds.
fn fixed_part(regex: &str) -> Option<String> {
    use regex_syntax::hir::{Hir, HirKind};
    fn longest(hir: &Hir) -> Option<&[u8]> {
        match hir.kind() {
            HirKind::Literal(literal) => Some(&literal.0),
            HirKind::Capture(capture) => longest(&capture.sub),
            HirKind::Concat(parts) => parts.iter().filter_map(longest).max_by_key(|text| text.len()),
            HirKind::Repetition(repetition) if repetition.min > 0 => longest(&repetition.sub),
            _ => None,
        }
    }
    let hir = regex_syntax::parse(regex).ok()?;
    longest(&hir).and_then(|text| String::from_utf8(text.to_vec()).ok())
}

/// Applies filters to batches.
pub(super) struct BatchFilter {
    filters: Vec<Arc<dyn PhysicalExpr>>,
    observer: Option<SharedObserver>,
}

impl RowFilter for BatchFilter {
    fn evaluate(&mut self, batch: &RecordBatch) -> Result<BooleanArray, Box<dyn Error + Send + Sync>> {
        if let Some(observer) = &self.observer {
            observer.lock().unwrap_or_else(PoisonError::into_inner).see(batch);
        }
        let mut kept: Option<BooleanArray> = None;
        for filter in &self.filters {
            let array = filter.evaluate(batch)?.into_array(batch.num_rows())?;
            let array = as_boolean_array(&array)?;
            kept = Some(match kept {
                Some(kept) => and_kleene(&kept, array)?,
                None => array.clone(),
            });
            if kept.as_ref().is_some_and(|kept| kept.true_count() == 0) {
                break;
            }
        }
        Ok(kept.unwrap_or_else(|| BooleanArray::from(vec![true; batch.num_rows()])))
    }
}

/// Decides by the filters that look at nothing but the time and values that may be known which pieces have to be read at all.
#[derive(Debug)]
pub(super) struct PiecePruner {
    predicate: Arc<dyn PhysicalExpr>,
    table: &'static TableDef,
}

impl PiecePruner {
    /// `None` if no filter is about these columns alone.
    pub(super) fn try_new(state: &dyn Session, table: &'static TableDef, filters: &[Expr]) -> DfResult<Option<Self>> {
        let is_known = |column: &str| column == TIME || INDEXED.contains(&column);
        let about_known = filters.iter().filter(|filter| is_about(filter, is_known)).cloned();
        let Some(filter) = logical_conjunction(about_known) else { return Ok(None) };
        let schema = DFSchema::try_from(Arc::clone(table.schema()))?;
        let predicate = state.create_physical_expr(unqualified(filter)?, &schema)?;
        Ok(Some(Self { predicate, table }))
    }

    /// For each of the pieces of a file: can no row pass, by what is known of it?
    pub(super) fn excluded(&self, index: &FileIndex, pieces: &[Range<u64>]) -> Vec<bool> {
        let times: Vec<_> = {
            let facts = index.facts();
            pieces.iter().map(|range| facts.bounds(self.table.name, range)).collect()
        };
        let values = index.values();
        excluded(Arc::clone(&self.predicate), &Known { table: self.table, pieces, times: &times, values: &values })
    }
}

/// Decides by the filters that look at nothing but `_file` which files have to be read at all.
#[derive(Debug)]
pub(super) struct FilePruner {
    predicate: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl FilePruner {
    /// `None` if no filter is about `_file` alone.
    pub(super) fn try_new(state: &dyn Session, filters: &[Expr]) -> DfResult<Option<Self>> {
        let about_file = filters.iter().filter(|filter| is_about(filter, |column| column == "_file")).cloned();
        let Some(filter) = logical_conjunction(about_file) else { return Ok(None) };
        let schema = Arc::new(Schema::new(vec![Field::new("_file", DataType::Utf8View, true)]));
        // The filter may name the table as the query does; here there is one column.
        let filter = unqualified(filter)?;
        let predicate = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&schema))?)?;
        Ok(Some(Self { predicate, schema }))
    }

    /// Can a record of the file of this name pass?
    pub(super) fn keeps(&self, name: &str) -> DfResult<bool> {
        let column = Arc::new(StringViewArray::from_iter_values([name]));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![column])?;
        let array = self.predicate.evaluate(&batch)?.into_array(1)?;
        let array = as_boolean_array(&array)?;
        Ok(array.is_valid(0) && array.value(0))
    }
}

/// Does it look at such columns and at nothing else?
fn is_about(filter: &Expr, is_such: impl Fn(&str) -> bool) -> bool {
    let columns = filter.column_refs();
    let mut subquery = false;
    let walked = filter.apply(|expr| {
        subquery |= matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::Placeholder(_));
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok()
        && !subquery
        && !filter.is_volatile()
        && !columns.is_empty()
        && columns.iter().all(|column| is_such(&column.name))
}

fn unqualified(filter: Expr) -> DfResult<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::Transformed;
    let rename = |expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    };
    Ok(filter.transform(rename)?.data)
}
