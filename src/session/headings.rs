//! What the columns of an answer are called: as they were written.
//!
//! The engine calls a column without a name by its own notation, `sum(access_log.bytes)` or `Utf8("x")`; the user wrote
//! `sum(bytes)` and `'x'`, and looks for that in the header of a CSV file and among the keys of JSON.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::{Column, DFSchema};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Query, Select, SelectItem, SetExpr, Statement as SqlStatement};

/// The expressions of the outermost SELECT as they were written; `None` for what has a name.
pub(super) struct Headings {
    /// From the first column on, and those behind the last `*`, of which nobody knows yet how many columns it is.
    front: Vec<Option<String>>,
    back: Vec<Option<String>>,
}

impl Headings {
    /// Those of a query; none of another statement.
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        let Statement::Statement(statement) = statement else { return None };
        let SqlStatement::Query(query) = &**statement else { return None };
        let items = &first_select(query)?.projection;
        let name = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => Some(match expr {
                SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) => None,
                expr => Some(expr.to_string()),
            }),
            SelectItem::ExprWithAlias { .. } => Some(None),
            _ => None,
        };
        let front: Vec<_> = items.iter().map_while(name).collect();
        let mut back = vec![];
        if front.len() < items.len() {
            back.extend(items.iter().rev().map_while(name));
            back.reverse();
        }
        let is_any = front.iter().chain(&back).any(Option::is_some);
        is_any.then_some(Self { front, back })
    }

    /// Puts them over the plan's columns.
    pub(super) fn over(self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let own: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let Some(between) = own.len().checked_sub(self.front.len() + self.back.len()) else { return Ok(plan) };
        let nameless = std::iter::repeat_n(None, between);
        let written = self.front.into_iter().chain(nameless).chain(self.back);
        let names: Vec<String> = own.iter().zip(written).map(|(own, written)| written.unwrap_or_else(|| own.clone())).collect();
        let mut seen = HashSet::new();
        // Two columns of one name are what the engine's notation may still tell apart.
        if names == own || !names.iter().all(|name| seen.insert(name.as_str())) {
            return Ok(plan);
        }
        let exprs = columns(plan.schema()).zip(&own).zip(names);
        let exprs = exprs.map(|((column, own), name)| if *own == name { column } else { column.alias(name) }).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
    }
}

fn columns(schema: &DFSchema) -> impl Iterator<Item = Expr> {
    schema.iter().map(|(relation, field)| Expr::Column(Column::new(relation.cloned(), field.name())))
}

/// The SELECT whose names a query's columns have.
fn first_select(query: &Query) -> Option<&Select> {
    let mut body = &*query.body;
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(inner) => body = &inner.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}
