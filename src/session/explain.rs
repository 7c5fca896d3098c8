//! What an error of the engine means: in the user's terms, with the place in the SQL and what to do.
//!
//! ```text
//!   error: there is no column `statsu`        message
//!     SELECT statsu FROM access_log           excerpt: the place
//!            ^^^^^^
//!   hint: did you mean `status`?              hint
//! ```
//!
//! The engine says where, for most mistakes; where it does not, the name that it complains about is looked for in the SQL.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use thiserror::Error;

use super::Session;
use crate::kernel::table::tables;
use crate::output::{sanitise_cell, text_width};
use crate::table::catalog::{CATALOG, SCHEMA};
use crate::table::{TableError, nearest};

/// Columns of an excerpt: with its indentation it fits into 80.
const EXCERPT_WIDTH: usize = 72;

/// Columns that are named where none of them is near.
const NAMED_COLUMNS: usize = 12;

/// What a clause or a statement begins with, for words that are nearly one.
const KEYWORDS: [&str; 24] = [
    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "OFFSET", "JOIN", "LEFT", "INNER", "UNION", "WITH",
    "EXPLAIN", "CREATE", "DROP", "SHOW", "DESCRIBE", "VALUES", "COPY", "SET", "USING", "QUALIFY", "WINDOW",
];

/// A query that fails: before it runs, or while it does.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong.
    pub message: String,
    /// The line of the SQL with the place marked below it, once [`Self::in_sql`] was told the SQL.
    pub excerpt: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it came from, where that says more.
    #[source]
    pub source: Option<Box<DataFusionError>>,
    place: Place,
}

/// Where in the SQL it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Unknown,
    /// Line and column, from 1; to the end of the word if the last column is not known.
    At { line: usize, column: usize, last: Option<usize> },
    /// Where this name stands.
    Name(String),
    /// The end of the SQL.
    End,
}

impl QueryError {
    /// An error that no place in the SQL is to blame for.
    pub(super) fn new(message: &str, hint: &str) -> Self {
        Self { message: message.to_owned(), excerpt: None, hint: Some(hint.to_owned()), source: None, place: Place::Unknown }
    }

    /// The error with its place in the SQL that was given to [`Session::statements`].
    #[must_use]
    pub fn in_sql(mut self, sql: &str) -> Self {
        if let Some((line, from, to)) = self.place.find(sql) {
            self.excerpt = Some(excerpt(sql, line, from, to));
            if self.hint.is_none() && matches!(self.place, Place::At { .. }) && self.message.starts_with(NO_PARSE) {
                self.hint = keyword_hint(sql, line, from);
            }
        }
        self
    }
}

const NO_PARSE: &str = "the SQL does not parse";

impl Place {
    /// Index of the line, and characters from and to in it.
    fn find(&self, sql: &str) -> Option<(usize, usize, usize)> {
        match self {
            Self::Unknown => None,
            Self::At { line, column, last } => {
                let text = sql.split('\n').nth(line.checked_sub(1)?)?;
                let from = column.checked_sub(1)?;
                let rest: Vec<char> = text.chars().skip(from).collect();
                let word = rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len()).max(1);
                let to = last.map_or(from + word, |last| last.max(*column) - 1);
                Some((line - 1, from, to.max(from + 1)))
            }
            Self::Name(name) => sql.split('\n').enumerate().find_map(|(line, text)| {
                let lower = text.to_lowercase();
                // Lower case may be longer: then the place is not told.
                let same = lower.len() == text.len();
                let at = same.then(|| whole_word(&lower, &name.to_lowercase())).flatten()?;
                let from = text[..at].chars().count();
                Some((line, from, from + name.chars().count()))
            }),
            Self::End => {
                let sql = sql.trim_end();
                let line = sql.matches('\n').count();
                let length = sql.rsplit('\n').next().unwrap_or_default().chars().count();
                Some((line, length, length + 1))
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn whole_word(text: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find(word).filter(|_| !word.is_empty()) {
        let (at, end) = (from + found, from + found + word.len());
        let free = |c: Option<char>| c.is_none_or(|c| !is_word(c));
        if free(text[..at].chars().next_back()) && free(text[end..].chars().next()) {
            return Some(at);
        }
        from = end;
    }
    None
}

/// The line and a mark below it; of a long line the part around the place.
fn excerpt(sql: &str, line: usize, from: usize, to: usize) -> String {
    let text: Vec<char> = sql.split('\n').nth(line).unwrap_or_default().trim_end().chars().collect();
    let (from, to) = (from.min(text.len()), to.max(from + 1));
    let start = from.saturating_sub(EXCERPT_WIDTH / 2).min(text.len().saturating_sub(EXCERPT_WIDTH));
    let end = text.len().min(start + EXCERPT_WIDTH);
    let shown = |from: usize, to: usize| {
        let part: String = text[from.min(end)..to.min(end).max(from.min(end))].iter().collect();
        sanitise_cell(&part.replace('\t', " ")).into_owned()
    };
    let (before, marked, after) = (shown(start, from), shown(from, to), shown(to, end));
    let number = if sql.trim_end().contains('\n') { format!("{} | ", line + 1) } else { String::new() };
    let cut = |is: bool| if is { "…" } else { "" };
    let blanks = number.len() + usize::from(start > 0) + text_width(&before);
    let marks = text_width(&marked).max(1);
    format!("  {number}{}{before}{marked}{after}{}\n  {:blanks$}{:^>marks$}", cut(start > 0), cut(end < text.len()), "", "")
}

/// A word at the place, or before it, that is nearly a keyword: `SELECT a FRM b` fails at `b`.
fn keyword_hint(sql: &str, line: usize, from: usize) -> Option<String> {
    let text: Vec<char> = sql.split('\n').nth(line)?.chars().collect();
    let here: String = text.get(from..)?.iter().take_while(|c| is_word(**c)).collect();
    let before: String = text[..from.min(text.len())].iter().collect();
    let before = before.trim_end().rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
    [before, here.as_str()].into_iter().find_map(|word| {
        let known = word.len() < 3 || KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word));
        let near = if known { vec![] } else { nearest(&word.to_uppercase(), KEYWORDS) };
        near.first().map(|keyword| format!("`{word}` may be meant as `{keyword}`"))
    })
}

/// What is to be said, before the place is known.
struct Said {
    message: String,
    hint: Option<String>,
    place: Place,
}

impl Said {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, place: Place::Unknown }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(mut self, name: &str) -> Self {
        self.place = Place::Name(name.to_owned());
        self
    }
}

impl Session {
    /// Says an error of the engine in the user's terms.
    pub fn explain(&self, error: &DataFusionError) -> QueryError {
        let said = match root(error) {
            DataFusionError::Plan(text) | DataFusionError::Execution(text) if no_value(text).is_some() => {
                let name = no_value(text).unwrap_or_default();
                Said::new(format!("`{name}` has no value")).at(name).hint(format!(
                    "`\\set {} VALUE` in the REPL gives it one; a saved query takes `--param`",
                    name.trim_start_matches('$')
                ))
            }
            DataFusionError::SchemaError(inner, _) => schema_error(inner),
            DataFusionError::SQL(inner, _) => syntax_error(strip_prefix(&inner.to_string())),
            DataFusionError::Plan(text) => self.plan_error(text),
            DataFusionError::ResourcesExhausted(text) => Said::new(format!("too little memory: {text}"))
                .hint("allow more with --memory-limit, or select fewer columns or groups"),
            DataFusionError::External(inner) => {
                let hint = inner.downcast_ref::<TableError>().and_then(TableError::hint);
                Said { hint, ..Said::new(chain(inner.as_ref())) }
            }
            DataFusionError::ArrowError(inner, _) if matches!(**inner, arrow::error::ArrowError::DivideByZero) => {
                Said::new("division by zero").hint("`a / nullif(b, 0)` is NULL instead")
            }
            DataFusionError::Execution(text) => Said::new(text),
            DataFusionError::NotImplemented(text) => not_implemented(text),
            other => Said::new(strip_prefix(&other.strip_backtrace())),
        };
        // What fails while it runs may name a value.
        let runs = !matches!(root(error), DataFusionError::SchemaError(..) | DataFusionError::SQL(..) | DataFusionError::Plan(_));
        let said = match &self.pseudonyms {
            Some(pseudonyms) if runs => Said { message: pseudonyms.in_error(&said.message), ..said },
            _ => said,
        };
        let place = span(error).unwrap_or(said.place);
        QueryError { message: said.message, excerpt: None, hint: said.hint, source: None, place }
    }

    fn plan_error(&self, text: &str) -> Said {
        if let Some(name) = text.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
            let name = name.strip_prefix(&format!("{CATALOG}.{SCHEMA}.")).unwrap_or(name);
            let unknown = self.schema.unknown(name);
            return Said { hint: unknown.hint(), ..Said::new(unknown.to_string()).at(name) };
        }
        if let Some((name, _)) = text.strip_prefix("Invalid function '").and_then(|rest| rest.split_once('\'')) {
            return self.unknown_function(name);
        }
        if text.starts_with("Aggregate function calls cannot be nested") {
            return Said::new("an aggregate function cannot be inside of another")
                .hint("compute the inner one in a subquery: `SELECT max(n) FROM (SELECT sum(bytes) AS n FROM access_log GROUP BY host)`");
        }
        if text.starts_with("Aggregate function calls cannot contain window function calls") {
            return Said::new("a window function cannot be inside of an aggregate function")
                .hint("compute it in a subquery: `SELECT max(r) FROM (SELECT rank() OVER (…) AS r FROM …)`");
        }
        if text.contains("must be in GROUP BY or an aggregate function")
            && let Some((_, rest)) = text.split_once("column \"")
            && let Some((column, _)) = rest.split_once("\" must appear")
        {
            let column = column.rsplit('.').next().unwrap_or(column);
            let said = Said::new(format!("`{column}` is neither in GROUP BY nor inside of an aggregate function"));
            return said.at(column).hint(format!(
                "add it to GROUP BY, or take one value of each group: `max({column})`, `first_value({column})`; \
                     a window function beside GROUP BY sees groups, not rows: use a subquery"
            ));
        }
        if let Some((left, operator, right)) = uncoercible(text) {
            let message = format!("`{operator}` does not go between {left} and {right}");
            return Said::new(message).hint("cast one of them: `CAST(column AS DOUBLE)`, `CAST(column AS TEXT)`");
        }
        match function_error(text) {
            Some(ours) => Said::new(ours),
            None => not_implemented(text),
        }
    }

    /// Ours come first: they are what other names are tried for.
    fn unknown_function(&self, name: &str) -> Said {
        let ours = crate::function::described();
        if self.context.state().window_functions().contains_key(&name.to_lowercase()) {
            let said = Said::new(format!("`{name}` is a window function, and there is no OVER behind it")).at(name);
            let example = ours.iter().find(|function| function.name.eq_ignore_ascii_case(name)).map(|function| function.example);
            let example = example.map_or_else(|| format!("{name}(…) OVER (ORDER BY time)"), str::to_owned);
            return said.hint(format!("`{example}`; beside GROUP BY, compute it in a subquery"));
        }
        let others = self.function_names();
        // A name of two letters is near to everything.
        let others = others.iter().map(String::as_str).filter(|name| name.len() > 2);
        let names = ours.iter().map(|function| function.name).chain(others);
        let near = nearest(name, names);
        let said = Said::new(format!("there is no function `{name}`")).at(name);
        match near.as_slice() {
            [] => said.hint("`SHOW FUNCTIONS` lists all, and `\\h WORD` in the REPL looks for a word"),
            near => said.hint(did_you_mean(near)),
        }
    }
}

/// The place that the engine tells.
fn span(error: &DataFusionError) -> Option<Place> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let place = diagnostic.span.map(|span| {
                let (start, end) = (span.start, span.end);
                let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                let last = (end.line == start.line).then(|| number(end.column));
                Place::At { line: number(start.line), column: number(start.column), last }
            });
            place.or_else(|| span(inner))
        }
        DataFusionError::Context(_, inner) => span(inner),
        DataFusionError::Shared(inner) => span(inner),
        DataFusionError::Collection(errors) => errors.first().and_then(span),
        _ => None,
    }
}

/// `Expected: an expression, found: x at Line: 1, Column: 8`
fn syntax_error(text: &str) -> Said {
    let (message, place) = match text.rsplit_once(" at Line: ") {
        Some((message, at)) => {
            let at =
                at.split_once(", Column: ").and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?)));
            (message, at.map_or(Place::Unknown, |(line, column)| Place::At { line, column, last: None }))
        }
        None if text.ends_with("found: EOF") => (text, Place::End),
        None => (text, Place::Unknown),
    };
    let message = message.replace("found: EOF", "found: the end");
    let message = message.strip_prefix("Expected: ").map_or_else(|| message.clone(), |rest| format!("expected {rest}"));
    Said { place, ..Said::new(format!("{NO_PARSE}: {}", message.replace(", found: ", ", found "))) }
}

/// The parameter of a statement that was given none.
fn no_value(text: &str) -> Option<&str> {
    let late = text.strip_prefix("Placeholder '").and_then(|rest| rest.split_once("' was not provided a value"));
    let early =
        ["name ", "id "].iter().find_map(|of| text.strip_prefix("No value found for placeholder with ")?.strip_prefix(of));
    late.map(|(name, _)| name).or(early)
}

/// What the engine says in terms of its own.
fn not_implemented(text: &str) -> Said {
    match text.strip_prefix("Physical plan does not support logical expression ").map(|rest| rest.split('(').next()) {
        Some(Some("WindowFunction")) => Said::new("a window function cannot be in GROUP BY, WHERE or HAVING").hint(
            "compute it in a subquery: `SELECT … FROM (SELECT *, rank() OVER (…) AS r FROM …) WHERE r = 1`; or use QUALIFY",
        ),
        Some(Some("AggregateFunction")) => {
            Said::new("an aggregate function cannot stand there").hint("use HAVING for a condition on groups, or a subquery")
        }
        _ => Said::new(text),
    }
}

/// `Cannot coerce arithmetic expression UInt16 + Utf8View to valid types`
fn uncoercible(text: &str) -> Option<(&'static str, &str, &'static str)> {
    let (_, rest) = text.split_once("Cannot coerce arithmetic expression ")?;
    let (rest, _) = rest.split_once(" to valid types")?;
    let operator = ["+", "-", "*", "/", "%"].into_iter().find(|operator| rest.contains(&format!(" {operator} ")))?;
    let (left, right) = rest.split_once(&format!(" {operator} "))?;
    Some((kind(left)?, operator, kind(right)?))
}

/// A type of the engine, for people.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.split('(').next().unwrap_or_default().trim() {
        "Utf8" | "LargeUtf8" | "Utf8View" => "text",
        "Timestamp" | "Date32" | "Date64" => "a time",
        "Interval" | "Duration" => "an interval",
        "Boolean" => "a yes or no",
        "Map" => "a map",
        "List" | "LargeList" => "a list",
        name if name.starts_with("Int") || name.starts_with("UInt") || name.starts_with("Float") => "a number",
        _ => return None,
    })
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The error inside of what the engine wrapped around it.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        DataFusionError::External(inner) => inner.downcast_ref::<DataFusionError>().map_or(error, root),
        other => other,
    }
}

fn strip_prefix(text: &str) -> &str {
    let known =
        ["Error during planning: ", "Execution error: ", "sql parser error: ", "SQL error: ", "Arrow error: ", "Parser error: "];
    known.iter().fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text))
}

/// What a function says about its arguments, without what the engine puts around it.
fn function_error(text: &str) -> Option<&str> {
    let ours = text.split_once("user-defined coercion failed with: Error during planning: ").map_or(text, |(_, ours)| ours);
    ours.split_once(". No function matches").map(|(ours, _)| ours)
}

fn did_you_mean(near: &[String]) -> String {
    format!("did you mean {}?", near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "))
}

fn schema_error(error: &SchemaError) -> Said {
    let (field, valid_fields) = match error {
        SchemaError::FieldNotFound { field, valid_fields } => (field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            let said = Said::new(format!("`{}` is a column of several tables", field.name())).at(field.name());
            return said.hint(format!("say of which: `a.{}`", field.name()));
        }
        other => return Said::new(other.to_string()),
    };
    let asked = field.name();
    let said = Said::new(match &field.relation {
        Some(relation) => format!("there is no column `{asked}` in `{}`", relation.table()),
        None => format!("there is no column `{asked}`"),
    });
    let said = said.at(asked);
    let valid: Vec<&str> = valid_fields.iter().map(|column| column.name()).collect();
    // What other tools call it; only where the query really has that column.
    let aliases = tables().iter().filter_map(|table| table.alias(asked));
    if let Some(name) = aliases.into_iter().find(|name| valid.contains(name)) {
        return said.hint(format!("it is called `{name}` here"));
    }
    let near = nearest(asked, valid.iter().copied());
    if !near.is_empty() {
        return said.hint(did_you_mean(&near));
    }
    let shown: Vec<&str> = valid.iter().filter(|name| !name.starts_with('_')).copied().collect();
    match shown.len() {
        0 => said,
        all if all > NAMED_COLUMNS => {
            said.hint(format!("columns: {}, and {} more", shown[..NAMED_COLUMNS].join(", "), all - NAMED_COLUMNS))
        }
        _ => said.hint(format!("columns: {}", shown.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: Place, sql: &str) -> String {
        let error = QueryError { message: NO_PARSE.to_owned(), excerpt: None, hint: None, source: None, place }.in_sql(sql);
        format!("{}\n{}", error.excerpt.unwrap_or_default(), error.hint.unwrap_or_default())
    }

    fn name(name: &str) -> Place {
        Place::Name(name.to_owned())
    }

    #[test]
    fn the_place_is_marked() {
        assert_eq!(at(name("b"), "SELECT ab, b FROM t"), "  SELECT ab, b FROM t\n             ^\n");
        assert_eq!(at(name("B"), "SELECT 1,\n  b FROM t"), "  2 |   b FROM t\n        ^\n");
        assert_eq!(at(name("none"), "SELECT 1"), "\n");
        assert_eq!(at(Place::End, "SELECT 1 FROM "), "  SELECT 1 FROM\n               ^\n");
        let frm = Place::At { line: 1, column: 14, last: None };
        assert_eq!(at(frm, "SELECT a FRM b_c"), "  SELECT a FRM b_c\n               ^^^\n`FRM` may be meant as `FROM`");
    }

    #[test]
    fn a_long_line_is_cut_and_a_hostile_one_harmless() {
        let sql = format!("SELECT {} wrong, {}", "a, ".repeat(100), "b, ".repeat(100));
        let shown = at(name("wrong"), &sql);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("  …") && lines[0].ends_with('…') && lines[0].chars().count() < 80, "{shown}");
        let mark = lines[1].find('^').expect("a mark");
        assert_eq!(lines[0].chars().skip(mark).take(5).collect::<String>(), "wrong");
        let shown = at(name("x"), "SELECT '\x1b]0;\u{202e}', 日本, x");
        let (line, marks) = shown.split_once('\n').expect("two lines");
        assert!(!line.contains('\x1b') && !line.contains('\u{202e}'), "{line}");
        assert_eq!(text_width(&line[..line.rfind('x').expect("it")]), marks.find('^').expect("a mark"));
    }

    #[test]
    fn no_place_is_out_of_bounds() {
        for (line, column, last) in
            [(0, 0, None), (1, 0, Some(9)), (1, 99, None), (9, 1, None), (1, 5, Some(2)), (2, 1, Some(400))]
        {
            let _ = at(Place::At { line, column, last }, "SELECT\n1");
        }
    }
}
