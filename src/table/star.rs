//! `*` without the meta columns.
//!
//! ```text
//!   SELECT * FROM access_log              →  SELECT * EXCLUDE (_file, _line, …) FROM access_log
//!   SELECT * FROM access_log a, hosts h   →  SELECT a.* EXCLUDE (_file, …), h.* FROM …
//!   SELECT * FROM a JOIN b USING (host)   →  SELECT a.* EXCLUDE (_file, …), b.* EXCLUDE (_file, …, host) FROM …
//!   … a NATURAL JOIN b                    →  … a JOIN b USING (columns of both that are not meta columns)
//! ```
//!
//! DataFusion expands `*` to all columns of a table when it plans, and it calls a name in EXCLUDE ambiguous if two
//! relations have it; so this is done on the parsed statement, and per relation where there are several. A common table
//! expression hides the log table of its name. Subqueries and views need nothing: they lost the meta columns when they
//! were rewritten themselves, or were asked for them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, DFParser, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, ReplaceSelectElement,
    ReplaceSelectItem, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement as SqlStatement,
    TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::catalog::{CATALOG, SCHEMA};
use crate::kernel::table::TableDef;

/// What a name in FROM is, if it is a log table.
pub type Lookup<'a> = dyn Fn(&str) -> Option<&'static TableDef> + 'a;

/// Rewrites each `*` of a statement so that it does not show meta columns of log tables.
pub fn hide_meta(statement: &mut DfStatement, lookup: &Lookup<'_>) {
    match statement {
        DfStatement::Statement(statement) => hide_in_sql(statement, lookup),
        DfStatement::Explain(explain) => hide_meta(&mut explain.statement, lookup),
        DfStatement::CopyTo(copy) => {
            if let CopyToSource::Relation(name) = &copy.source
                && lookup_name(name, lookup).is_some()
                && let Some(query) = select_all(name)
            {
                copy.source = CopyToSource::Query(query);
            }
            if let CopyToSource::Query(query) = &mut copy.source {
                let _ = query.visit(&mut Hider { lookup, frames: Vec::new() });
            }
        }
        DfStatement::CreateExternalTable(_) | DfStatement::Reset(_) => {}
    }
}

fn hide_in_sql(statement: &mut SqlStatement, lookup: &Lookup<'_>) {
    let _ = statement.visit(&mut Hider { lookup, frames: Vec::new() });
}

/// `SELECT * FROM name`.
fn select_all(name: &ObjectName) -> Option<Box<Query>> {
    let statement = DFParser::parse_sql(&format!("SELECT * FROM {name}")).ok()?.pop_front()?;
    let DfStatement::Statement(statement) = statement else { return None };
    match *statement {
        SqlStatement::Query(query) => Some(query),
        _ => None,
    }
}

/// A name as the planner compares it: folded unless it is quoted.
fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn folded(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(fold)).collect()
}

/// The log table of this name, if the name is one of ours.
fn lookup_name(name: &ObjectName, lookup: &Lookup<'_>) -> Option<&'static TableDef> {
    let parts = folded(name)?;
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [table] | [SCHEMA, table] | [CATALOG, SCHEMA, table] => lookup(table),
        _ => None,
    }
}

/// Walks over all queries of a statement and knows which common table expressions each one sees.
struct Hider<'a> {
    lookup: &'a Lookup<'a>,
    frames: Vec<Frame>,
}

/// A query that is being walked over.
struct Frame {
    /// Names of common table expressions that its body sees.
    visible: HashSet<String>,
    /// Its own ones, by the address of their query, with the names that each of them sees: those before it.
    own: Vec<(*const Query, HashSet<String>)>,
}

impl VisitorMut for Hider<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let address: *const Query = query;
        let mut visible = match self.frames.last() {
            None => HashSet::new(),
            Some(frame) => match frame.own.iter().find(|(own, _)| std::ptr::eq(*own, address)) {
                Some((_, seen)) => seen.clone(),
                None => frame.visible.clone(),
            },
        };
        let mut own = Vec::new();
        if let Some(with) = &query.with {
            for expression in &with.cte_tables {
                let name = fold(&expression.alias.name);
                let mut seen = visible.clone();
                if with.recursive {
                    seen.insert(name.clone());
                }
                let address: *const Query = &*expression.query;
                own.push((address, seen));
                visible.insert(name);
            }
        }
        let hidden = |name: &ObjectName| match folded(name).as_deref() {
            Some([single]) if visible.contains(single) => None,
            _ => lookup_name(name, self.lookup),
        };
        rewrite(&mut query.body, &hidden);
        self.frames.push(Frame { visible, own });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }
}

type Resolve<'a> = dyn Fn(&ObjectName) -> Option<&'static TableDef> + 'a;

fn rewrite(body: &mut SetExpr, resolve: &Resolve<'_>) {
    match body {
        SetExpr::Select(select) => rewrite_select(select, resolve),
        SetExpr::SetOperation { left, right, .. } => {
            rewrite(left, resolve);
            rewrite(right, resolve);
        }
        // Visited by themselves, or without a `*`.
        _ => {}
    }
}

/// One relation of a FROM clause.
struct Relation {
    /// What stands before `.*`; `None` if it cannot be named.
    name: Option<ObjectName>,
    /// Its table, if it is a log table.
    def: Option<&'static TableDef>,
    /// Columns of it that `*` does not show: meta columns, and those that USING has from another relation.
    exclude: Vec<String>,
    /// It is there to be compared with only (semi and anti joins).
    silent: bool,
}

impl Relation {
    fn has(&self, column: &str) -> bool {
        self.def.is_some_and(|def| def.column(column).is_some())
    }
}

/// The relations of a FROM clause, in the order in which `*` shows them.
#[derive(Default)]
struct From {
    relations: Vec<Relation>,
    /// A NATURAL join is left, or something else whose columns we cannot tell apart.
    opaque: bool,
}

/// Does a subquery without a name get one?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    AsTyped,
    /// `*` becomes one item per relation, so that each needs a name.
    All,
}

fn relations(select: &mut Select, resolve: &Resolve<'_>, naming: Naming) -> From {
    let mut from = From::default();
    for item in &mut select.from {
        collect(item, resolve, &mut from, naming);
    }
    from
}

fn rewrite_select(select: &mut Select, resolve: &Resolve<'_>) {
    let mut from = relations(select, resolve, Naming::AsTyped);
    let has_meta = |relation: &Relation| relation.def.is_some_and(|def| def.plain < def.columns.len());
    if !from.relations.iter().any(has_meta) {
        return;
    }
    if select.projection.is_empty() && select.flavor == SelectFlavor::FromFirstNoSelect {
        select.flavor = SelectFlavor::Standard;
        select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
    }
    let expands = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    if expands && from.relations.len() > 1 {
        from = relations(select, resolve, Naming::All);
    }
    let items = std::mem::take(&mut select.projection);
    for item in items {
        match item {
            SelectItem::Wildcard(options) => expand(options, &from, &mut select.projection),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), mut options) => {
                let wanted = folded(&name);
                let named = |relation: &&Relation| relation.name.as_ref().and_then(folded) == wanted && wanted.is_some();
                if let Some(def) = from.relations.iter().find(named).and_then(|relation| relation.def) {
                    exclude(&mut options, meta(def));
                }
                let kind = SelectItemQualifiedWildcardKind::ObjectName(name);
                select.projection.push(SelectItem::QualifiedWildcard(kind, options));
            }
            other => select.projection.push(other),
        }
    }
}

fn meta(def: &'static TableDef) -> impl Iterator<Item = &'static str> {
    def.columns[def.plain..].iter().map(|column| column.name)
}

/// Adds the relations of one item of FROM, and says what its joins do to `*`.
fn collect(item: &mut TableWithJoins, resolve: &Resolve<'_>, from: &mut From, naming: Naming) {
    let first = from.relations.len();
    collect_factor(&mut item.relation, resolve, from, naming);
    for join in &mut item.joins {
        let middle = from.relations.len();
        collect_factor(&mut join.relation, resolve, from, naming);
        let (left, right) = from.relations[first..].split_at_mut(middle - first);
        let kept = match &join.join_operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Side::Right,
            _ => Side::Left,
        };
        match &join.join_operator {
            JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) | JoinOperator::Anti(_) | JoinOperator::LeftAnti(_) => {
                right.iter_mut().for_each(|relation| relation.silent = true);
            }
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => {
                left.iter_mut().for_each(|relation| relation.silent = true);
            }
            _ => {}
        }
        let Some(constraint) = constraint(&mut join.join_operator) else { continue };
        if let JoinConstraint::Natural = constraint {
            match common_columns(left, right) {
                Some(common) if common.is_empty() => *constraint = JoinConstraint::None,
                Some(common) => *constraint = JoinConstraint::Using(common.iter().map(|name| object_name(name)).collect()),
                None => from.opaque = true,
            }
        }
        if let JoinConstraint::Using(columns) = constraint {
            let columns: Vec<String> = columns.iter().filter_map(|name| folded(name)?.pop()).collect();
            from.opaque |= !merge_using(left, right, &columns, kept);
        }
    }
}

/// Which side's column `*` shows of a USING column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Leaves each of the columns to one relation. `false` if we cannot tell which relation has it.
fn merge_using(left: &mut [Relation], right: &mut [Relation], columns: &[String], kept: Side) -> bool {
    for column in columns {
        let losers = if kept == Side::Left { &mut *right } else { &mut *left };
        let visible = |relation: &&mut Relation| !relation.silent && !relation.exclude.contains(column);
        let mut candidates: Vec<&mut Relation> = losers.iter_mut().filter(visible).collect();
        if candidates.len() > 1 {
            if candidates.iter().any(|relation| relation.def.is_none()) {
                return false;
            }
            candidates.retain(|relation| relation.has(column));
        }
        for loser in candidates {
            loser.exclude.push(column.clone());
        }
    }
    true
}

/// The columns of both sides that are not meta columns; `None` if the columns of a relation are not known.
fn common_columns(left: &[Relation], right: &[Relation]) -> Option<Vec<String>> {
    let columns = |side: &[Relation]| -> Option<Vec<String>> {
        let mut names = Vec::new();
        for relation in side.iter().filter(|relation| !relation.silent) {
            let def = relation.def?;
            names.extend(def.columns[..def.plain].iter().map(|column| column.name.to_owned()));
        }
        Some(names)
    };
    let left = columns(left)?;
    Some(columns(right)?.into_iter().filter(|name| left.contains(name)).collect())
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as Op;
    match operator {
        Op::Join(c)
        | Op::Inner(c)
        | Op::Left(c)
        | Op::LeftOuter(c)
        | Op::Right(c)
        | Op::RightOuter(c)
        | Op::FullOuter(c)
        | Op::CrossJoin(c)
        | Op::Semi(c)
        | Op::LeftSemi(c)
        | Op::RightSemi(c)
        | Op::Anti(c)
        | Op::LeftAnti(c)
        | Op::RightAnti(c)
        | Op::StraightJoin(c) => Some(c),
        Op::AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}

fn collect_factor(factor: &mut TableFactor, resolve: &Resolve<'_>, from: &mut From, naming: Naming) {
    let mut relation = Relation { name: None, def: None, exclude: Vec::new(), silent: false };
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
            relation.def = if renamed { None } else { resolve(name) };
            relation.name = Some(alias.as_ref().map_or_else(|| name.clone(), |alias| ObjectName::from(vec![alias.name.clone()])));
            if let Some(def) = relation.def {
                relation.exclude = meta(def).map(str::to_owned).collect();
            }
        }
        TableFactor::Derived { alias, .. } => {
            if alias.is_none() && naming == Naming::All {
                let name = Ident::with_quote('"', format!("_subquery_{}", from.relations.len()));
                *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
            }
            relation.name = alias.as_ref().map(|alias| ObjectName::from(vec![alias.name.clone()]));
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            return collect(table_with_joins, resolve, from, naming);
        }
        TableFactor::NestedJoin { alias: Some(alias), .. }
        | TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => {
            relation.name = Some(ObjectName::from(vec![alias.name.clone()]));
        }
        // It has columns, but no name to ask for all of them.
        _ => {}
    }
    from.relations.push(relation);
}

/// The items that stand for `*`.
fn expand(mut options: WildcardAdditionalOptions, from: &From, items: &mut Vec<SelectItem>) {
    let shown: Vec<&Relation> = from.relations.iter().filter(|relation| !relation.silent).collect();
    if let [only] = shown.as_slice() {
        exclude(&mut options, only.exclude.iter().map(String::as_str));
        return items.push(SelectItem::Wildcard(options));
    }
    let by_name = !from.opaque && shown.iter().all(|relation| relation.name.is_some());
    if !by_name {
        // The planner knows better than we which columns there are; it only has to be unambiguous.
        if let [only] = shown.iter().filter_map(|relation| relation.def).collect::<Vec<_>>().as_slice() {
            exclude(&mut options, meta(only));
        }
        return items.push(SelectItem::Wildcard(options));
    }
    let excluded = excluded_names(&options);
    let mut replaced: Vec<ReplaceSelectElement> = match &options.opt_replace {
        Some(replace) => replace.items.iter().map(|item| (**item).clone()).collect(),
        None => Vec::new(),
    };
    let unknown = shown.iter().filter(|relation| relation.def.is_none()).count();
    let plain = WildcardAdditionalOptions { opt_exclude: None, opt_except: None, opt_replace: None, ..options };
    for (index, relation) in shown.iter().enumerate() {
        // What the user excluded or replaced goes to the relation that has it; a name that none is known to have goes
        // to the one whose columns are not known, or to the last, so that the planner can say what is wrong.
        let owner = |column: &str| -> bool {
            if shown.iter().any(|other| other.has(column)) {
                return relation.has(column);
            }
            if unknown == 1 { relation.def.is_none() } else { index + 1 == shown.len() }
        };
        let mut options = plain.clone();
        exclude(&mut options, relation.exclude.iter().map(String::as_str));
        let own: Vec<&str> = excluded.iter().map(String::as_str).filter(|name| owner(name)).collect();
        exclude(&mut options, own.into_iter());
        let gone = excluded_names(&options);
        let here = |element: &ReplaceSelectElement| {
            let column = fold(&element.column_name);
            owner(&column) && !gone.contains(&column)
        };
        let (mine, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut replaced).into_iter().partition(here);
        replaced = rest;
        if !mine.is_empty() {
            options.opt_replace = Some(ReplaceSelectItem { items: mine.into_iter().map(Box::new).collect() });
        }
        if let Some(name) = &relation.name {
            let kind = SelectItemQualifiedWildcardKind::ObjectName(name.clone());
            items.push(SelectItem::QualifiedWildcard(kind, options));
        }
    }
}

/// What EXCLUDE and EXCEPT of a `*` name.
fn excluded_names(options: &WildcardAdditionalOptions) -> Vec<String> {
    let mut names = Vec::new();
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => names.extend(folded(name).and_then(|mut parts| parts.pop())),
        Some(ExcludeSelectItem::Multiple(list)) => {
            names.extend(list.iter().filter_map(|name| folded(name)?.pop()));
        }
        None => {}
    }
    if let Some(except) = &options.opt_except {
        names.push(fold(&except.first_element));
        names.extend(except.additional_elements.iter().map(fold));
    }
    names
}

/// Excludes these columns too.
fn exclude<'a>(options: &mut WildcardAdditionalOptions, columns: impl Iterator<Item = &'a str>) {
    let mut known = excluded_names(options);
    let mut list = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(list)) => list,
        None => Vec::new(),
    };
    for column in columns {
        if !known.iter().any(|other| other == column) {
            known.push(column.to_owned());
            list.push(object_name(column));
        }
    }
    options.opt_exclude = (!list.is_empty()).then_some(ExcludeSelectItem::Multiple(list));
}

fn object_name(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::table::table;

    const META: &str = "EXCLUDE (_file, _line, _offset, _format, _raw)";

    fn rewritten(sql: &str) -> String {
        let mut statement = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        hide_meta(&mut statement, &|name| match name {
            "shop" | "dir/*.gz" => table("access_log"),
            name => table(name),
        });
        statement.to_string()
    }

    fn check(sql: &str, expected: &str) {
        assert_eq!(rewritten(sql), expected.replace("META", META), "{sql}");
    }

    #[test]
    fn one_log_table_loses_its_meta_columns_and_nothing_else_changes() {
        check("SELECT * FROM access_log", "SELECT * META FROM access_log");
        check("SELECT * FROM ACCESS_LOG AS a", "SELECT * META FROM ACCESS_LOG AS a");
        check("SELECT a.*, 1 FROM shop AS a", "SELECT a.* META, 1 FROM shop AS a");
        check("SELECT *, _file FROM 'dir/*.gz'", "SELECT * META, _file FROM 'dir/*.gz'");
        check("SELECT * FROM public.access_log", "SELECT * META FROM public.access_log");
        for sql in [
            "SELECT * FROM unparsed",
            "SELECT * FROM hosts",
            "SELECT count(*) FROM access_log",
            "SELECT * FROM information_schema.syslog",
            "SELECT status FROM access_log",
            "SELECT * FROM (SELECT status FROM access_log)",
        ] {
            assert_eq!(rewritten(sql), sql);
        }
    }

    #[test]
    fn what_the_user_excludes_or_replaces_stays() {
        check(
            "SELECT * EXCLUDE (status, _file) FROM access_log",
            "SELECT * EXCLUDE (status, _file, _line, _offset, _format, _raw) FROM access_log",
        );
        check(
            "SELECT * EXCEPT (_raw) FROM access_log",
            "SELECT * EXCLUDE (_file, _line, _offset, _format) EXCEPT (_raw) FROM access_log",
        );
        check(
            "SELECT * EXCLUDE (status) REPLACE (upper(client_ip) AS client_ip) FROM access_log a JOIN hosts h ON a.client_ip = h.ip",
            "SELECT a.* EXCLUDE (_file, _line, _offset, _format, _raw, status) REPLACE (upper(client_ip) AS client_ip), h.* \
             FROM access_log a JOIN hosts h ON a.client_ip = h.ip",
        );
    }

    #[test]
    fn several_relations_lose_them_one_by_one() {
        check("SELECT * FROM access_log a, error_log", "SELECT a.* META, error_log.* META FROM access_log a, error_log");
        check(
            "SELECT * FROM access_log JOIN (SELECT 1 AS x) ON true",
            "SELECT access_log.* META, \"_subquery_1\".* FROM access_log JOIN (SELECT 1 AS x) AS \"_subquery_1\" ON true",
        );
        check(
            "SELECT * FROM access_log LEFT SEMI JOIN error_log USING (client_ip)",
            "SELECT * META FROM access_log LEFT SEMI JOIN error_log USING(client_ip)",
        );
    }

    #[test]
    fn a_using_column_is_shown_once_from_the_side_that_has_all_its_values() {
        check(
            "SELECT * FROM access_log a JOIN error_log e USING (client_ip)",
            "SELECT a.* META, e.* EXCLUDE (_file, _line, _offset, _format, _raw, client_ip) \
             FROM access_log a JOIN error_log e USING(client_ip)",
        );
        check(
            "SELECT * FROM access_log a RIGHT JOIN hosts h USING (client_ip)",
            "SELECT a.* EXCLUDE (_file, _line, _offset, _format, _raw, client_ip), h.* \
             FROM access_log a RIGHT JOIN hosts h USING(client_ip)",
        );
    }

    #[test]
    fn a_natural_join_of_log_tables_does_not_compare_meta_columns() {
        let sql = rewritten("SELECT 1 FROM syslog NATURAL JOIN dns_log");
        assert!(sql.contains("USING("), "{sql}");
        assert!(!sql.contains("_file"), "{sql}");
        assert!(sql.contains("time"), "{sql}");
        // The columns of the other side are not known: the planner's own NATURAL compares those that both have.
        check("SELECT * FROM access_log NATURAL JOIN hosts", "SELECT * META FROM access_log NATURAL JOIN hosts");
    }

    #[test]
    fn a_common_table_expression_hides_the_log_table_of_its_name_but_not_from_itself() {
        check(
            "WITH access_log AS (SELECT * FROM access_log WHERE status = 500) SELECT * FROM access_log",
            "WITH access_log AS (SELECT * META FROM access_log WHERE status = 500) SELECT * FROM access_log",
        );
        check(
            "WITH x AS (SELECT * FROM syslog), syslog AS (SELECT 1) SELECT * FROM syslog, x",
            "WITH x AS (SELECT * META FROM syslog), syslog AS (SELECT 1) SELECT * FROM syslog, x",
        );
        check(
            "SELECT (SELECT count(*) FROM (SELECT * FROM syslog)) FROM access_log",
            "SELECT (SELECT count(*) FROM (SELECT * META FROM syslog)) FROM access_log",
        );
        check(
            "WITH syslog AS (SELECT 1) SELECT * FROM access_log WHERE EXISTS (SELECT * FROM syslog)",
            "WITH syslog AS (SELECT 1) SELECT * META FROM access_log WHERE EXISTS (SELECT * FROM syslog)",
        );
    }

    #[test]
    fn every_statement_with_a_query_is_rewritten() {
        check("EXPLAIN SELECT * FROM syslog", "EXPLAIN SELECT * META FROM syslog");
        check("CREATE VIEW v AS SELECT * FROM syslog", "CREATE VIEW v AS SELECT * META FROM syslog");
        check(
            "SELECT * FROM syslog UNION ALL (SELECT * FROM syslog LIMIT 1)",
            "SELECT * META FROM syslog UNION ALL (SELECT * META FROM syslog LIMIT 1)",
        );
        check("COPY syslog TO 'x.parquet'", "COPY (SELECT * META FROM syslog) TO x.parquet");
        check("COPY (SELECT * FROM syslog) TO 'x.csv'", "COPY (SELECT * META FROM syslog) TO x.csv");
    }
}
