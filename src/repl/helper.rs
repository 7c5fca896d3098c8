//! What the line editor asks while somebody types: completions, a hint, colours, and whether the input is complete.
//!
//! ```text
//!   \mo⇥            commands                SELECT cl⇥ FROM access_log     columns of the tables that are named
//!   \i ~/⇥          files                   … FROM ac⇥                     tables
//!   FROM '/var/⇥    files                   sel⇥                           keywords, functions
//!   status = 4⇥     values of results, and of columns that have few
//! ```

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use datafusion::catalog::SchemaProvider as _;
use futures::StreamExt as _;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use tokio::runtime::Runtime;

use super::command::{Argument, COMMANDS, find, name_and_rest};
use super::input::GOES_ON;
use super::lexer::{End, Kind, Token, tokens};
use super::script::{Rest, split, unquote};
use super::seen::{SeenValues, Values};
use crate::kernel::table::{table, tables};
use crate::output::{Color, OutputFormat, sanitise, sanitise_cell};
use crate::session::Session;

/// Nobody waits longer for a completion.
const PATIENCE: Duration = Duration::from_millis(500);

/// Records of a table that are looked at for its values, and how many values a column may have to be listed.
const SAMPLED: usize = 20_000;
const FEW: usize = 100;

/// Words of SQL, for completion and colour.
const KEYWORDS: &[&str] = &[
    "ALL",
    "ANALYZE",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COPY",
    "CREATE",
    "CROSS",
    "CURRENT",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXTERNAL",
    "EXTRACT",
    "FALSE",
    "FILTER",
    "FIRST",
    "FOLLOWING",
    "FROM",
    "FULL",
    "GROUP",
    "GROUPING",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LAST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCATION",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECEDING",
    "RANGE",
    "RECURSIVE",
    "RIGHT",
    "ROW",
    "ROWS",
    "SELECT",
    "SET",
    "SETS",
    "SHOW",
    "SIMILAR",
    "STORED",
    "TABLE",
    "THEN",
    "TIMESTAMP",
    "TO",
    "TRUE",
    "UNBOUNDED",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

const KEYWORD: &str = "\x1b[34;1m";
const TEXT: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const BRACKET: &str = "\x1b[33;1m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The helper of the line editor.
pub(super) struct SqlHelper<'a> {
    session: &'a Session,
    /// Not the one that queries run on: one that was cancelled may still keep its workers busy.
    runtime: &'a Runtime,
    /// Where values are looked up, and what opens it.
    aside: OnceCell<Option<Session>>,
    open_aside: &'a dyn Fn() -> Option<Session>,
    /// Values by table and column.
    few: RefCell<HashMap<(String, String), Values>>,
    /// Values of results.
    seen: SeenValues,
    functions: OnceCell<Vec<String>>,
    /// Columns of tables that are not of the taxonomy.
    columns: RefCell<HashMap<String, Vec<String>>>,
    files: FilenameCompleter,
    hints: HistoryHinter,
    color: Color,
    /// The line is drawn for the last time.
    is_final: Cell<bool>,
}

impl<'a> SqlHelper<'a> {
    pub(super) fn new(
        session: &'a Session,
        open_aside: &'a dyn Fn() -> Option<Session>,
        runtime: &'a Runtime,
        seen: SeenValues,
        color: Color,
    ) -> Self {
        Self {
            session,
            runtime,
            aside: OnceCell::new(),
            open_aside,
            few: RefCell::default(),
            seen,
            functions: OnceCell::new(),
            columns: RefCell::default(),
            files: FilenameCompleter::new(),
            hints: HistoryHinter::new(),
            color,
            is_final: Cell::new(false),
        }
    }

    fn table_names(&self) -> Vec<String> {
        self.session.schema().table_names()
    }

    /// The names of all functions; asked for once.
    fn functions(&self) -> &[String] {
        self.functions.get_or_init(|| self.session.function_names())
    }

    /// Values that a column of one of these tables may be compared with: those of results, and all of a column that has few.
    fn values_of(&self, tables: &[String], column: &str) -> Values {
        let mut values = self.seen.borrow().get(column).cloned().unwrap_or_default();
        for name in tables.iter().filter(|name| self.columns_of(name).iter().any(|known| known == column)) {
            let few = self.few_values(name, column);
            values.is_text |= few.is_text;
            let new: Vec<String> = few.texts.into_iter().filter(|text| !values.texts.contains(text)).collect();
            values.texts.extend(new);
        }
        values
    }

    /// The values of a column that has few, in the first records of a table; asked for once.
    fn few_values(&self, table: &str, column: &str) -> Values {
        let key = (table.to_owned(), column.to_owned());
        if let Some(known) = self.few.borrow().get(&key) {
            return known.clone();
        }
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (name, of) = (quoted(column), quoted(table));
        let sql = format!(
            "SELECT DISTINCT {name} FROM (SELECT {name} FROM {of} LIMIT {SAMPLED}) WHERE {name} IS NOT NULL LIMIT {}",
            FEW + 1
        );
        let found = async {
            let session = self.aside.get_or_init(self.open_aside).as_ref()?;
            let statement = session.statements(&sql).ok()?.pop()?;
            let mut rows = session.run(statement).await.ok()?.rows;
            let mut values = Values::default();
            while let Some(batch) = rows.next().await {
                values.add(batch.ok()?.column(0));
            }
            (values.texts.len() <= FEW).then_some(values)
        };
        let found = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, Box::pin(found)).await });
        // Who asks once more has more luck: by then it is known what the files are.
        let Ok(found) = found else { return Values::default() };
        let mut found = found.unwrap_or_default();
        found.texts.sort_unstable();
        self.few.borrow_mut().insert(key, found.clone());
        found
    }

    fn columns_of(&self, name: &str) -> Vec<String> {
        if let Some(def) = table(name) {
            return def.columns.iter().map(|column| column.name.to_owned()).collect();
        }
        if let Some(known) = self.columns.borrow().get(name) {
            return known.clone();
        }
        let schema = self.session.schema();
        let found = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, schema.table(name)).await });
        let columns: Vec<String> = match found {
            Ok(Ok(Some(provider))) => provider.schema().fields().iter().map(|field| field.name().clone()).collect(),
            _ => vec![],
        };
        self.columns.borrow_mut().insert(name.to_owned(), columns.clone());
        columns
    }

    /// The tables that a statement names: known names anywhere, and whatever follows `FROM` and `JOIN`.
    fn tables_in(&self, statement: &str) -> Vec<String> {
        let names = self.table_names();
        let mut found: Vec<String> = Vec::new();
        let mut behind_from = false;
        for token in tokens(statement, 0).filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment)) {
            let word = &statement[token.at.clone()];
            let name = match token.kind {
                Kind::Word => word.to_lowercase(),
                Kind::Name | Kind::Text if token.end == End::Closed => unquote(word).to_owned(),
                _ => String::new(),
            };
            let is_table = names.contains(&name) || (behind_from && matches!(token.kind, Kind::Name | Kind::Text));
            if is_table && !name.is_empty() && !found.contains(&name) {
                found.push(name);
            }
            behind_from = matches!(word.to_ascii_uppercase().as_str(), "FROM" | "JOIN");
        }
        found
    }

    fn candidates(&self, line: &str, pos: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let script = split(&line[..pos]);
        // A command is complete at any time, so it is the last item rather than the rest.
        let last_line = line[..pos].rfind('\n').map_or(0, |at| at + 1);
        let typed = line[last_line..pos].trim_start();
        let is_command = script.rest == Rest::Nothing && typed.starts_with(['\\', '.']);
        if is_command {
            return self.command_candidates(line, pos - typed.len(), pos);
        }
        let from = script.rest_at.min(pos);
        let before: Vec<Token> = tokens(&line[..pos], from).collect();
        match before.last() {
            Some(token) if token.end == End::Open && matches!(token.kind, Kind::Text | Kind::Name) => {
                match self.value_candidates(line, from, token.at.start, &line[token.at.clone()]) {
                    found if found.is_empty() => self.file_candidates(line, token.at.start, pos),
                    found => Ok((token.at.start, found)),
                }
            }
            Some(token) if token.kind == Kind::Number => {
                Ok((token.at.start, self.value_candidates(line, from, token.at.start, &line[token.at.clone()])))
            }
            Some(token) if token.kind == Kind::Comment => Ok((pos, vec![])),
            Some(token) if token.kind == Kind::Word => {
                Ok((token.at.start, self.word_candidates(line, from, token.at.start, &line[token.at.clone()])))
            }
            _ => match self.value_candidates(line, from, pos, "") {
                found if found.is_empty() => Ok((pos, self.word_candidates(line, from, pos, ""))),
                found => Ok((pos, found)),
            },
        }
    }

    /// Values for what is compared: `status = 4⇥`, `method IN ('GET', 'P⇥`.
    fn value_candidates(&self, line: &str, from: usize, at: usize, typed: &str) -> Vec<Pair> {
        let before: Vec<Token> =
            tokens(&line[..at], from).filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment)).collect();
        let Some(column) = compared_column(line, &before) else { return vec![] };
        let end = from + statement_len(&line[from..]);
        let values = self.values_of(&self.tables_in(&line[from..end]), &column);
        // It is written at the prompt, and listed, as it is.
        let texts = values.texts.iter().filter(|text| matches!(sanitise_cell(text), Cow::Borrowed(_)));
        let written = texts.map(|text| if values.is_text { format!("'{}'", text.replace('\'', "''")) } else { text.clone() });
        written.filter(|text| text.starts_with(typed)).map(|text| pair(&text)).collect()
    }

    fn command_candidates(&self, line: &str, start: usize, pos: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[start..pos];
        let (name, argument) = name_and_rest(typed);
        let sign = &typed[..1];
        if name.len() == typed.len() {
            let names = COMMANDS.iter().flat_map(|command| command.names.iter().copied());
            let names: Vec<String> = names.map(|name| format!("{sign}{name}")).collect();
            return Ok((start, matching(typed, names.iter().map(String::as_str))));
        }
        let Some(command) = find(&name[1..]) else { return Ok((pos, vec![])) };
        let from = pos - argument.len();
        let found = match command.argument {
            Argument::None | Argument::Free => vec![],
            Argument::File => return self.file_candidates(line, from, pos),
            Argument::Table => matching(argument, self.table_names().iter().map(String::as_str)),
            Argument::Format => matching(argument, OutputFormat::ALL.iter().map(|format| format.name())),
            Argument::OneOf(words) => match argument.strip_prefix("format ") {
                Some(format) => {
                    let formats = OutputFormat::ALL.iter().map(|format| format.name());
                    return Ok((pos - format.len(), matching(format, formats)));
                }
                None => matching(argument, words.iter().copied()),
            },
        };
        Ok((from, found))
    }

    fn file_candidates(&self, line: &str, start: usize, pos: usize) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (at, mut files) = self.files.complete_path(&line[start..pos], pos - start)?;
        // The list is printed as it is, and a file may have any name.
        files.retain(|file| matches!(sanitise_cell(&file.display), Cow::Borrowed(_)));
        Ok((start + at, files))
    }

    fn word_candidates(&self, line: &str, from: usize, word_at: usize, word: &str) -> Vec<Pair> {
        let before: Vec<Token> =
            tokens(&line[..word_at], from).filter(|token| !matches!(token.kind, Kind::Blank | Kind::Comment)).collect();
        let previous = before.last().map(|token| line[token.at.clone()].to_ascii_uppercase());
        let names = self.table_names();
        if matches!(previous.as_deref(), Some("FROM" | "JOIN" | "TABLE" | "DESCRIBE")) {
            return matching(word, names.iter().map(String::as_str));
        }
        let end = from + split(&line[from..]).items.first().map_or(line.len() - from, |_| statement_len(&line[from..]));
        let mut named = self.tables_in(&line[from..end]);
        if named.is_empty() && !word.is_empty() {
            named = tables().iter().map(|def| def.name.to_owned()).collect();
        }
        let mut columns: Vec<String> = named.iter().flat_map(|name| self.columns_of(name)).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut found = matching(word, columns.iter().map(String::as_str));
        if word.is_empty() || previous.as_deref() == Some(".") {
            return found;
        }
        found.extend(matching(word, names.iter().map(String::as_str)));
        let is_lower = word.chars().next().is_some_and(char::is_lowercase);
        let keywords = KEYWORDS.iter().filter(|keyword| starts_with(keyword, word));
        found.extend(keywords.map(|keyword| pair(&if is_lower { keyword.to_lowercase() } else { (*keyword).to_owned() })));
        let calls = self.functions().iter().filter(|name| starts_with(name, word));
        found.extend(calls.map(|name| Pair { display: format!("{name}()"), replacement: format!("{name}(") }));
        found
    }
}

/// The column before a comparison that the tokens end with.
fn compared_column(line: &str, before: &[Token]) -> Option<String> {
    let text = |token: &Token| &line[token.at.clone()];
    let is = |token: &Token, words: &[&str]| words.iter().any(|word| text(token).eq_ignore_ascii_case(word));
    let mut rest = before;
    match rest.last()? {
        token if is(token, &["(", ","]) => {
            while let [left @ .., last] = rest
                && (matches!(last.kind, Kind::Text | Kind::Number) || text(last) == ",")
            {
                rest = left;
            }
            let [left @ .., list, bracket] = rest else { return None };
            if !(is(list, &["IN"]) && text(bracket) == "(") {
                return None;
            }
            rest = left;
        }
        token if is(token, &["LIKE", "ILIKE"]) => rest = &rest[..rest.len() - 1],
        token if token.kind == Kind::Symbol && matches!(text(token), "=" | "<" | ">") => {
            while let [left @ .., last] = rest
                && matches!(text(last), "=" | "<" | ">" | "!")
            {
                rest = left;
            }
        }
        _ => return None,
    }
    if let [left @ .., last] = rest
        && is(last, &["NOT"])
    {
        rest = left;
    }
    let column = rest.last()?;
    match column.kind {
        Kind::Word => Some(text(column).to_lowercase()),
        Kind::Name if column.end == End::Closed => Some(unquote(text(column)).to_owned()),
        _ => None,
    }
}

/// The length of the first statement, with what ends it.
fn statement_len(text: &str) -> usize {
    let end = tokens(text, 0).find(|token| token.kind == Kind::Symbol && &text[token.at.clone()] == ";");
    end.map_or(text.len(), |token| token.at.end)
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn pair(text: &str) -> Pair {
    Pair { display: text.to_owned(), replacement: text.to_owned() }
}

fn matching<'n>(prefix: &str, names: impl Iterator<Item = &'n str>) -> Vec<Pair> {
    names.filter(|name| starts_with(name, prefix)).map(pair).collect()
}

impl Completer for SqlHelper<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        self.candidates(line, pos)
    }
}

impl Hinter for SqlHelper<'_> {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<String> {
        // Without colours a hint looks as if it had been typed.
        if line.trim().is_empty() || self.color == Color::Never {
            return None;
        }
        let hint = self.hints.hint(line, pos, context)?;
        // One line is a hint; more would push the screen about.
        let first = hint.lines().next()?.trim_end();
        (!first.is_empty()).then(|| sanitise_cell(first).into_owned())
    }
}

impl Validator for SqlHelper<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match split(context.input()).rest {
            Rest::Nothing => ValidationResult::Valid(None),
            Rest::Statement | Rest::Quoted => ValidationResult::Incomplete,
        })
    }
}

impl Highlighter for SqlHelper<'_> {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        let cursor = (!self.is_final.get()).then_some(pos);
        Cow::Owned(colored(line, cursor))
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        if default { Cow::Owned(format!("{BOLD}{prompt}{PLAIN}")) } else { Cow::Borrowed(prompt) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("{DIM}{hint}{PLAIN}"))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.is_final.set(kind == CmdKind::ForcedRefresh);
        true
    }
}

impl Helper for SqlHelper<'_> {}

/// The line with colours; exactly as wide as without.
fn colored(line: &str, cursor: Option<usize>) -> String {
    let line = harmless(line);
    let all: Vec<Token> = tokens(&line, 0).collect();
    let brackets = cursor.map(|cursor| brackets(&line, &all, cursor)).unwrap_or_default();
    let mut out = String::with_capacity(2 * line.len());
    let mut is_command = false;
    for (index, token) in all.iter().enumerate() {
        let text = &line[token.at.clone()];
        let line_starts = index == 0 || line[..token.at.start].ends_with('\n');
        is_command = (is_command && !line_starts) || (line_starts && text == "\\");
        let code = match token.kind {
            _ if is_command => "",
            Kind::Word if KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(text)) => KEYWORD,
            Kind::Text | Kind::Name => TEXT,
            Kind::Number => NUMBER,
            Kind::Comment => DIM,
            Kind::Symbol if brackets.contains(&Some(token.at.start)) => BRACKET,
            _ => "",
        };
        // Writing to a string cannot fail.
        let _ = match token.kind {
            Kind::Blank => write!(out, "{}", indented(text)),
            _ if code.is_empty() => write!(out, "{text}"),
            _ => write!(out, "{code}{text}{PLAIN}"),
        };
    }
    out
}

/// Blanks, with prompts where lines go on: the indentation that Enter made becomes one of the same width.
fn indented(blank: &str) -> Cow<'_, str> {
    let indentation = format!("\n{:1$}", "", GOES_ON.len());
    if blank.contains(&indentation) {
        Cow::Owned(blank.replace(&indentation, &format!("\n{DIM}{GOES_ON}{PLAIN}")))
    } else {
        Cow::Borrowed(blank)
    }
}

/// What was pasted may steer the terminal; it is kept, but not sent.
fn harmless(line: &str) -> Cow<'_, str> {
    match sanitise(line) {
        Cow::Borrowed(same) => Cow::Borrowed(same),
        Cow::Owned(_) => {
            let mut bytes = [0; 4];
            let shown = |c: char| match sanitise(c.encode_utf8(&mut bytes)) {
                Cow::Borrowed(_) => Some(c),
                Cow::Owned(_) => None,
            };
            Cow::Owned(line.chars().filter_map(shown).collect())
        }
    }
}

/// The bracket at or before the cursor, and its partner.
fn brackets(line: &str, all: &[Token], cursor: usize) -> [Option<usize>; 2] {
    let symbol = |token: &Token| (token.kind == Kind::Symbol).then(|| line.as_bytes()[token.at.start]);
    let is_bracket = |token: &&Token| symbol(token).is_some_and(|byte| b"()[]".contains(&byte));
    let near: Vec<(usize, &Token)> = all
        .iter()
        .enumerate()
        .filter(|(_, token)| is_bracket(token) && (token.at.start == cursor || token.at.end == cursor))
        .collect();
    let Some((index, token)) = near.last().copied() else { return [None; 2] };
    let (open, close) = if matches!(symbol(token), Some(b'(' | b')')) { (b'(', b')') } else { (b'[', b']') };
    let forwards = symbol(token) == Some(open);
    let mut depth = 0;
    let mut partner = None;
    let mut visit = |token: &Token| {
        match symbol(token) {
            Some(byte) if byte == open => depth += 1,
            Some(byte) if byte == close => depth -= 1,
            _ => {}
        }
        if depth == 0 && partner.is_none() {
            partner = Some(token.at.start);
        }
    };
    if forwards {
        all[index..].iter().for_each(&mut visit);
    } else {
        all[..=index].iter().rev().for_each(&mut visit);
    }
    [partner.map(|_| token.at.start), partner]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("\x1b[") {
            out += &rest[..at];
            let end = rest[at..].find('m').unwrap();
            rest = &rest[at + end + 1..];
        }
        out + rest
    }

    #[test]
    fn colours_change_no_character_but_the_indentation_that_becomes_a_prompt() {
        for line in ["SELECT 'a' || \"b\", 1.5 FROM t -- x", "\\d access_log", "", "SELECT (1\n  , 2)", "sel'"] {
            assert_eq!(bare(&colored(line, Some(1))), line);
        }
        assert_eq!(bare(&colored("SELECT 1\n        , 2\n          FROM t;", None)), "SELECT 1\n   ...> , 2\n   ...>   FROM t;");
        assert_eq!(bare(&colored("SELECT\n        \n        1", None)), "SELECT\n   ...> \n   ...> 1");
        // Inside of quotes blanks are blanks.
        assert_eq!(bare(&colored("'a\n        b'", None)), "'a\n        b'");
    }

    #[test]
    fn keywords_are_coloured_in_any_case_and_not_in_quotes() {
        assert_eq!(colored("select 'from'", None), "\x1b[34;1mselect\x1b[0m \x1b[32m'from'\x1b[0m");
    }

    #[test]
    fn control_characters_are_not_sent() {
        assert_eq!(bare(&colored("SELECT '\u{7}\u{9b}31m\u{202e}'", None)), "SELECT '31m'");
    }

    #[test]
    fn what_is_compared_is_found() {
        for (line, column) in [
            ("SELECT 1 WHERE status = ", Some("status")),
            ("WHERE a.Method <> ", Some("method")),
            ("WHERE \"Odd\" IN ('a', 'b', ", Some("Odd")),
            ("WHERE method NOT IN (", Some("method")),
            ("WHERE url NOT LIKE ", Some("url")),
            ("SELECT count(", None),
            ("SELECT a, ", None),
            ("= ", None),
            ("", None),
        ] {
            let all: Vec<Token> = tokens(line, 0).filter(|token| token.kind != Kind::Blank).collect();
            assert_eq!(compared_column(line, &all).as_deref(), column, "{line}");
        }
    }

    #[test]
    fn brackets_find_their_partner() {
        let at = |line: &str, cursor| brackets(line, &tokens(line, 0).collect::<Vec<_>>(), cursor);
        assert_eq!(at("f(a, (b), ')')", 14), [Some(13), Some(1)]);
        assert_eq!(at("f(a, (b))", 1), [Some(1), Some(8)]);
        assert_eq!(at("f(a", 2), [None, None]);
        assert_eq!(at("f", 1), [None, None]);
    }

    #[test]
    fn the_words_are_sorted_and_once() {
        assert!(KEYWORDS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
