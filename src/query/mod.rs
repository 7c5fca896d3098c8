//! Saved queries: one `.sql` file each, whose comments at its head say what it is for.
//!
//! ```text
//!   queries/*.sql ──build.rs──► shipped ┐
//!                                       ├─► Library ──find──► SavedQuery ──bind(--param)──► typed values ──► Session::run_bound
//!   the user's folder ─────────────────┘   (the user's win)      │
//!                                                                └─ header.rs: description, needs, param, chart, …
//! ```
//!
//! Values of parameters are bound to the plan as typed literals. They never become SQL text, so nothing in them can change what a
//! query does.

mod editor;
mod header;
mod moment;
mod param;

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use datafusion::common::ScalarValue;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{Expr, Statement as SqlStatement, Value, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use thiserror::Error;

pub use editor::open_editor;
pub use header::{Alert, AlertOn, Comparison, Metric};
pub use moment::{Clock, TIME_FORMS, duration, moment};
pub use param::{Param, ParamKind};

use crate::output::ChartSpec;
use crate::schedule::cron::Cron;
use crate::table::nearest;

/// The queries that come with the program: name and text.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/queries.rs"));

/// Where a saved query is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It comes with the program.
    Shipped,
    /// It is the user's.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped => f.write_str("shipped"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is wrong with the file of a query, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}:{line}:{column}: {message}")]
pub struct QueryFileError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The character of the line, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why a query cannot be had, or not with these parameters.
#[derive(Debug, Error)]
pub enum SavedQueryError {
    /// There is none of this name.
    #[error("there is no saved query `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// There is no user, as far as the environment tells.
    #[error("there is no folder for saved queries")]
    NoFolder,
    /// A name that no file of a query may have.
    #[error("`{name}` is no name for a query")]
    BadName {
        /// The name.
        name: String,
    },
    /// Its file is wrong.
    #[error(transparent)]
    File(#[from] QueryFileError),
    /// Its file cannot be read or written.
    #[error("cannot {verb} `{}`", path.display())]
    Io {
        /// Read, or write.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A parameter without a default that was not given.
    #[error("`{query}` needs the parameter `{name}`")]
    MissingParam {
        /// The query.
        query: String,
        /// The parameter.
        name: String,
    },
    /// A parameter that none of the queries has.
    #[error("there is no parameter `{name}`")]
    UnknownParam {
        /// The name.
        name: String,
        /// Parameters that there are.
        known: Vec<String>,
    },
    /// A value that is not of its parameter's type.
    #[error("the parameter `{name}` cannot be `{value}`")]
    BadValue {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// The user's editor did not do its work.
    #[error("the editor {what}")]
    Editor {
        /// What became of it.
        what: String,
    },
}

impl SavedQueryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        match self {
            Self::Unknown { nearest, .. } if nearest.is_empty() => Some("`logsql report --list` lists them".to_owned()),
            Self::Unknown { nearest, .. } => Some(format!("did you mean {}?", list(nearest))),
            Self::NoFolder => Some("set HOME or XDG_CONFIG_HOME".to_owned()),
            Self::BadName { .. } => Some("use letters, figures, `_` and `-`, 64 at most".to_owned()),
            Self::File(error) => error.hint.clone(),
            Self::MissingParam { name, .. } => Some(format!("give it: `--param {name}=…`")),
            Self::UnknownParam { known, .. } if known.is_empty() => Some("the query has no parameters".to_owned()),
            Self::UnknownParam { known, .. } => Some(format!("there is {}", list(known))),
            Self::BadValue { expected, .. } => Some((*expected).to_owned()),
            Self::Editor { .. } => Some("set EDITOR to one that is there".to_owned()),
            Self::Io { .. } => None,
        }
    }
}

/// A saved query.
#[derive(Clone, Debug)]
pub struct SavedQuery {
    /// Its name: that of its file.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
    /// What it answers.
    pub description: String,
    /// What it belongs to: `web`, `dns` …
    pub topic: Option<String>,
    /// The tables that it reads.
    pub needs: Vec<String>,
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// How its result is drawn.
    pub chart: Option<ChartSpec>,
    /// When it is run, as in a crontab.
    pub schedule: Option<Cron>,
    /// When its result is an alert.
    pub alert: Option<Alert>,
    /// What its result is called as a metric.
    pub metric: Option<Metric>,
    /// The whole file.
    pub text: String,
    /// Where in it the SQL begins.
    sql_at: usize,
}

impl SavedQuery {
    /// Reads the header of a file. Its SQL is looked at by [`Self::statement`].
    pub fn parse(name: &str, origin: Origin, text: &str) -> Result<Self, QueryFileError> {
        header::parse(name, origin, text)
    }

    /// The SQL, without the header.
    pub fn sql(&self) -> &str {
        self.text[self.sql_at..].trim()
    }

    /// The statement: one that only reads, and whose parameters are those of the header.
    pub fn statement(&self) -> Result<Statement, QueryFileError> {
        // All of the file, so that lines are its lines; what is no SQL is a comment.
        let parsed = DFParser::parse_sql_with_dialect(&self.text, &GenericDialect {});
        let statements = parsed.map_err(|error| {
            let text = error.strip_backtrace();
            let (message, line, column) = place_of(&text).unwrap_or_else(|| (text.as_str(), self.sql_line(), 1));
            self.error((line, column), format!("the SQL does not parse: {message}"), None)
        })?;
        let wrong = |message: &str| self.error((self.sql_line(), 1), message.to_owned(), Some("a saved query is one SELECT"));
        let mut statements = statements.into_iter();
        let statement = match (statements.next(), statements.next()) {
            (Some(statement), None) => statement,
            (None, _) => return Err(wrong("there is no SQL")),
            (Some(_), Some(_)) => return Err(wrong("there are several statements")),
        };
        match &statement {
            Statement::Statement(sql) if matches!(sql.as_ref(), SqlStatement::Query(_)) => self.check_params(sql)?,
            // What writes or changes a session is no report.
            _ => return Err(wrong("it does more than read")),
        }
        Ok(statement)
    }

    /// Every `$name` is a parameter of the header, and the other way round.
    fn check_params(&self, sql: &SqlStatement) -> Result<(), QueryFileError> {
        let mut used = vec![];
        let _ = visit_expressions(sql, |expr| {
            if let Expr::Value(value) = expr
                && let Value::Placeholder(name) = &value.value
            {
                used.push(name.trim_start_matches('$').to_owned());
            }
            ControlFlow::<()>::Continue(())
        });
        if let Some(unknown) = used.iter().find(|name| self.params.iter().all(|param| param.name != **name)) {
            let near = nearest(unknown, self.params.iter().map(|param| param.name.as_str()));
            let hint = match near.first() {
                Some(near) => format!("did you mean `${near}`?"),
                None => format!("add a line `-- param: {unknown} text`"),
            };
            let place = self.place_of_param(unknown);
            return Err(self.error(place, format!("there is no parameter `{unknown}`"), Some(&hint)));
        }
        let Some(param) = self.params.iter().find(|param| !used.contains(&param.name)) else { return Ok(()) };
        let hint = format!("write `${}` in the SQL, or remove the line", param.name);
        Err(self.error((param.line, 4), format!("the parameter `{}` is not used", param.name), Some(&hint)))
    }

    fn place_of_param(&self, wanted: &str) -> (u64, u64) {
        let wanted = format!("${wanted}");
        let tokens = Tokenizer::new(&GenericDialect {}, &self.text).tokenize_with_location().unwrap_or_default();
        let found = tokens.iter().find(|token| matches!(&token.token, Token::Placeholder(name) if *name == wanted));
        found.map_or_else(|| (self.sql_line(), 1), |token| (token.span.start.line, token.span.start.column))
    }

    fn sql_line(&self) -> u64 {
        self.text[..self.sql_at].matches('\n').count() as u64 + 1
    }

    fn error(&self, (line, column): (u64, u64), message: String, hint: Option<&str>) -> QueryFileError {
        let file = file_name(&self.name, &self.origin);
        QueryFileError { file, line, column, message, hint: hint.map(str::to_owned) }
    }

    /// The values of all parameters: what is given, and defaults. What is given for other queries is passed over.
    pub fn bind(&self, given: &[(String, String)], clock: &Clock) -> Result<Vec<(String, ScalarValue)>, SavedQueryError> {
        let value = |param: &Param| {
            let Some(text) = param.text(given) else {
                return Err(SavedQueryError::MissingParam { query: self.name.clone(), name: param.name.clone() });
            };
            Ok((param.name.clone(), param.value(text, clock)?))
        };
        self.params.iter().map(value).collect()
    }
}

/// Refuses what is given for no parameter of any of the queries.
pub fn check_given(queries: &[SavedQuery], given: &[(String, String)]) -> Result<(), SavedQueryError> {
    let known = || queries.iter().flat_map(|query| query.params.iter().map(|param| param.name.clone()));
    let Some((name, _)) = given.iter().find(|(name, _)| known().all(|known| known != *name)) else { return Ok(()) };
    let mut names: Vec<String> = known().collect();
    names.sort();
    names.dedup();
    Err(SavedQueryError::UnknownParam { name: name.clone(), known: names })
}

fn file_name(name: &str, origin: &Origin) -> String {
    match origin {
        Origin::Shipped => format!("queries/{name}.sql"),
        Origin::File(path) => path.display().to_string(),
    }
}

/// A message of the SQL parser, and where: it ends with `at Line: 3, Column: 14`.
fn place_of(text: &str) -> Option<(&str, u64, u64)> {
    let (message, place) = text.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let column = column.trim_end_matches(|c: char| !c.is_ascii_digit());
    let message = message.rsplit_once("ParserError(\"").map_or(message, |(_, message)| message);
    Some((message.trim_start_matches("SQL error: "), line.parse().ok()?, column.parse().ok()?))
}

/// A name that a file may have: no path, nothing that a shell reads.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// All saved queries.
#[derive(Clone, Debug, Default)]
pub struct Library {
    queries: Vec<SavedQuery>,
    /// Files that are wrong: told when they are asked for, and in the list.
    broken: Vec<(String, QueryFileError)>,
    folder: Option<PathBuf>,
}

impl Library {
    /// The shipped queries, and those of the user in `folder`, which win.
    pub fn load(folder: Option<&Path>) -> Result<Self, SavedQueryError> {
        let mut library = Self { folder: folder.map(Path::to_owned), ..Self::default() };
        if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
            for path in files(folder)? {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|source| SavedQueryError::Io { verb: "read", path: path.clone(), source })?;
                library.add(&name, Origin::File(path), &text);
            }
        }
        for (name, text) in SHIPPED {
            if !library.names().any(|known| known == *name) {
                library.add(name, Origin::Shipped, text);
            }
        }
        library.queries.sort_by(|a, b| (&a.topic, &a.name).cmp(&(&b.topic, &b.name)));
        Ok(library)
    }

    fn add(&mut self, name: &str, origin: Origin, text: &str) {
        match SavedQuery::parse(name, origin, text) {
            Ok(query) => self.queries.push(query),
            Err(error) => self.broken.push((name.to_owned(), error)),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.queries.iter().map(|query| query.name.as_str()).chain(self.broken.iter().map(|(name, _)| name.as_str()))
    }

    fn topics(&self) -> impl Iterator<Item = &str> {
        self.queries.iter().filter_map(|query| query.topic.as_deref())
    }

    /// All queries, by topic and name.
    pub fn queries(&self) -> &[SavedQuery] {
        &self.queries
    }

    /// What is wrong with files that could not be read as queries.
    pub fn broken(&self) -> impl Iterator<Item = &QueryFileError> {
        self.broken.iter().map(|(_, error)| error)
    }

    /// Whether there is a query or a topic of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names().chain(self.topics()).any(|known| known == name)
    }

    /// The query of this name, or all of the topic of this name.
    pub fn find(&self, name: &str) -> Result<Vec<&SavedQuery>, SavedQueryError> {
        if let Some((_, error)) = self.broken.iter().find(|(broken, _)| broken == name) {
            return Err(error.clone().into());
        }
        if let Some(query) = self.queries.iter().find(|query| query.name == name) {
            return Ok(vec![query]);
        }
        let of_topic: Vec<&SavedQuery> = self.queries.iter().filter(|query| query.topic.as_deref() == Some(name)).collect();
        if of_topic.is_empty() {
            let nearest = nearest(name, self.names().chain(self.topics()));
            return Err(SavedQueryError::Unknown { name: name.to_owned(), nearest });
        }
        Ok(of_topic)
    }

    /// The file of the user's own query of this name, whether it is there or not.
    pub fn path_of(&self, name: &str) -> Result<PathBuf, SavedQueryError> {
        match &self.folder {
            Some(folder) if is_name(name) => Ok(folder.join(format!("{name}.sql"))),
            Some(_) => Err(SavedQueryError::BadName { name: name.to_owned() }),
            None => Err(SavedQueryError::NoFolder),
        }
    }

    /// Saves SQL as a query of the user's. One that is there is not overwritten.
    pub fn save(&self, name: &str, sql: &str) -> Result<PathBuf, SavedQueryError> {
        let path = self.path_of(name)?;
        let text = format!("-- description: {name}\n\n{}\n", sql.trim());
        // What cannot be read back is not saved.
        SavedQuery::parse(name, Origin::File(path.clone()), &text)?.statement()?;
        create(&path, &text)?;
        Ok(path)
    }
}

/// Writes a new file, and the folder that it is in.
pub fn create(path: &Path, text: &str) -> Result<(), SavedQueryError> {
    let failed = |source| SavedQueryError::Io { verb: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, SavedQueryError> {
    let failed = |source| SavedQueryError::Io { verb: "read", path: folder.to_owned(), source };
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SavedQuery, QueryFileError> {
        let query = SavedQuery::parse("q", Origin::Shipped, text)?;
        query.statement().map(|_| query)
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_place() {
        for (text, expected, hint) in [
            ("SELECT 1", "1:1: there is no description", Some("begin with `-- description: what it answers`")),
            ("-- description: x\n-- chrat: bar\nSELECT 1", "2:4: there is no header `chrat`", Some("did you mean `chart`?")),
            (
                "-- description: x\n-- no header\nSELECT 1",
                "2:4: a header is written `key: value`",
                Some("leave an empty line before a comment"),
            ),
            (
                "-- description: x\n-- param: n integr = 1\nSELECT $n",
                "2:13: there is no type `integr`",
                Some("there are text, integer, number, time, interval and boolean"),
            ),
            (
                "-- description: x\n-- param: n integer = two\nSELECT $n",
                "2:23: the parameter `n` cannot be `two`",
                Some("it is a whole number"),
            ),
            (
                "-- description: x\n-- chart: pie\nSELECT 1",
                "2:11: there is no chart `pie`",
                Some("there are bar, line, spark and heatmap"),
            ),
            (
                "-- description: x\n-- schedule: 61 * * * *\nSELECT 1",
                "2:14: `61` is no minute of a schedule",
                Some("write `minute hour day month weekday`, as in a crontab: `0 6 * * *`; a time zone may stand behind it"),
            ),
            (
                "-- description: x\n-- alert: rows are many\nSELECT 1",
                "2:11: an alert is a comparison",
                Some("write `rows > 0`, or `COLUMN >= 0.5` for the first row"),
            ),
            (
                "-- description: x\n-- needs: acess_log\nSELECT 1",
                "2:11: there is no table `acess_log`",
                Some("did you mean `access_log`?"),
            ),
            ("-- description: x\n-- description: y\nSELECT 1", "2:4: `description` is there twice", None),
            ("-- description: x\n", "2:1: there is no SQL", Some("a saved query is one SELECT")),
            ("-- description: x\nSELECT 1; SELECT 2", "2:1: there are several statements", Some("a saved query is one SELECT")),
            ("-- description: x\nDROP TABLE x", "2:1: it does more than read", Some("a saved query is one SELECT")),
            ("-- description: x\nCOPY (SELECT 1) TO 'x.csv'", "2:1: it does more than read", Some("a saved query is one SELECT")),
            (
                "-- description: x\n-- param: top integer = 1\n\nSELECT *\nFROM x LIMIT $tpo",
                "5:14: there is no parameter `tpo`",
                Some("did you mean `$top`?"),
            ),
            (
                "-- description: x\n-- param: top integer = 1\nSELECT 1",
                "2:4: the parameter `top` is not used",
                Some("write `$top` in the SQL, or remove the line"),
            ),
        ] {
            let error = parse(text).expect_err(text);
            let expected = format!("queries/q.sql:{expected}");
            assert_eq!((error.to_string(), error.hint.as_deref()), (expected, hint), "{text}");
        }
        let error = parse("-- description: x\n\nSELECT 1\nFORM x y z").expect_err("no SQL").to_string();
        assert!(error.starts_with("queries/q.sql:4:"), "{error}");
    }

    #[test]
    fn a_header_is_read_and_parameters_are_typed() {
        let text = "-- description: errors of a host\n-- topic: web\n-- needs: access_log, error_log\n\
                    -- param: host text = null -- one virtual host\n-- param: top integer = 20\n-- param: day time\n\
                    -- chart: bar x=a y=b,c\n-- schedule: */5 0-6 1,15 * mon-fri\n-- alert: share > 0.05\n\
                    -- metric: errors_total counter\n\n-- a comment\nSELECT $host, $top, $day";
        let query = parse(text).expect("is right");
        assert_eq!((query.topic.as_deref(), query.needs.len(), query.params.len()), (Some("web"), 2, 3));
        assert_eq!(query.params[0].about, "one virtual host");
        assert!(query.sql().starts_with("-- a comment\nSELECT"));
        let clock = Clock { now: "2026-11-21T12:00:00Z".parse().expect("a time"), zone: jiff::tz::TimeZone::UTC };
        let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        let values = query.bind(&given(&[("day", "yesterday"), ("host", "'; DROP TABLE x; --")]), &clock).expect("bound");
        assert_eq!(values[0].1, ScalarValue::Utf8(Some("'; DROP TABLE x; --".to_owned())));
        assert_eq!(values[1].1, ScalarValue::Int64(Some(20)));
        assert_eq!(values[2].1, ScalarValue::TimestampMicrosecond(Some(1_795_132_800_000_000), Some("UTC".into())));
        assert_eq!(query.bind(&[], &clock).expect_err("lacks day").to_string(), "`q` needs the parameter `day`");
        let error = query.bind(&given(&[("day", "never")]), &clock).expect_err("is none");
        assert_eq!(error.to_string(), "the parameter `day` cannot be `never`");
        assert_eq!(error.hint().as_deref(), Some(TIME_FORMS));
        let error = check_given(&[query], &given(&[("dya", "today")])).expect_err("is none");
        assert_eq!(error.hint().as_deref(), Some("there is `day` or `host` or `top`"));
    }

    #[test]
    fn a_name_is_no_path() {
        for name in ["../x", "a/b", "", "a b", "x.sql", "ä", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("top-talkers_2"));
    }

    #[test]
    fn the_users_queries_win_and_broken_ones_are_told_when_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let (shipped, _) = SHIPPED[0];
        let broken = folder.path().join("broken.sql");
        std::fs::write(folder.path().join(format!("{shipped}.sql")), "-- description: mine\nSELECT 1").expect("written");
        std::fs::write(&broken, "SELECT 1").expect("written");
        let library = Library::load(Some(folder.path())).expect("loaded");
        assert_eq!(library.find(shipped).expect("is there")[0].description, "mine");
        let error = library.find("broken").expect_err("is broken").to_string();
        assert_eq!(error, format!("{}:1:1: there is no description", broken.display()));
        let hint = library.find(&shipped[1..]).expect_err("is none").hint().unwrap_or_default();
        assert!(hint.contains(&format!("`{shipped}`")), "{hint}");
        let path = library.save("new", "SELECT 2").expect("saved");
        assert!(library.save("new", "SELECT 3").is_err(), "a query is not overwritten");
        assert!(std::fs::read_to_string(path).expect("is there").ends_with("\nSELECT 2\n"));
        assert!(library.save("../new", "SELECT 3").is_err());
    }

    #[test]
    fn every_shipped_query_is_right_and_of_a_topic() {
        let library = Library::load(None).expect("loaded");
        assert_eq!(library.broken().next(), None);
        assert!(library.queries().len() >= 40, "{}", library.queries().len());
        for query in library.queries() {
            if let Err(error) = query.statement() {
                panic!("{error}");
            }
            assert!(is_name(&query.name) && !query.needs.is_empty(), "{}", query.name);
            let topic = query.topic.as_deref().expect("a topic");
            assert!(library.queries().iter().all(|other| other.name != topic), "{topic} is a topic and a query");
        }
    }
}
