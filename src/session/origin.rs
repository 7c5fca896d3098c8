//! Which line of which file a row is: asked of a query beside its own columns.
//!
//! ```text
//!   Limit ─ Sort ─ Projection status, path            ─ Filter ─ TableScan access_log
//!   Limit ─ Sort ─ Projection status, path, $file, $offset ─ … ─ Projection …, _file AS $file, _offset AS $offset ─ TableScan
//! ```
//!
//! Only where a row is one record: what groups, joins, unites or drops duplicates has no such place.

use std::sync::Arc;

use datafusion::common::{Column, Result as DfResult, TableReference};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

use crate::table::LogTable;

/// The columns that are added, at the end. SQL cannot ask for such names without quotes.
const FILE: &str = "$file";
const OFFSET: &str = "$offset";

/// The plan with both columns at its end, and the table whose records the rows are.
pub(super) fn with_origin(plan: &LogicalPlan) -> DfResult<Option<(LogicalPlan, TableReference)>> {
    let Some((plan, table)) = traced(plan)? else { return Ok(None) };
    let names: Vec<&str> = plan.schema().fields().iter().rev().take(2).map(|field| field.name().as_str()).collect();
    Ok((names == [OFFSET, FILE]).then_some((plan, table)))
}

fn traced(plan: &LogicalPlan) -> DfResult<Option<(LogicalPlan, TableReference)>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source)?;
            let has = |name: &str| scan.projected_schema.has_column_with_unqualified_name(name);
            if provider.downcast_ref::<LogTable>().is_none() || !has("_file") || !has("_offset") {
                return Ok(None);
            }
            let mut exprs: Vec<Expr> = scan.projected_schema.iter().map(|field| Expr::Column(Column::from(field))).collect();
            for (name, alias) in [("_file", FILE), ("_offset", OFFSET)] {
                exprs.push(Expr::Column(Column::new(Some(scan.table_name.clone()), name)).alias(alias));
            }
            let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan.clone()))?);
            Ok(Some((plan, scan.table_name.clone())))
        }
        LogicalPlan::Projection(projection) => {
            let Some((input, table)) = traced(&projection.input)? else { return Ok(None) };
            let mut exprs = projection.expr.clone();
            for name in [FILE, OFFSET] {
                let found = input.schema().iter().find(|(_, field)| field.name() == name).map(Column::from);
                exprs.extend(found.map(Expr::Column));
            }
            Ok(Some((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?), table)))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_) => {
            let inputs = plan.inputs();
            let [input] = inputs.as_slice() else { return Ok(None) };
            let Some((input, table)) = traced(input)? else { return Ok(None) };
            Ok(Some((plan.with_new_exprs(plan.expressions(), vec![input])?, table)))
        }
        _ => Ok(None),
    }
}
