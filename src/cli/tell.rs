//! What is said on stderr: errors, hints, and what became of the input. One place, so that nothing that a log or a path
//! contains reaches a terminal raw.

use std::fmt::Display;
use std::io::Write as _;

use super::Exit;
use super::config::{Config, Talk};
pub(super) use crate::output::people::{bytes, count};
use crate::output::{Color, OutputError, for_terminal};
use crate::query::SavedQueryError;
use crate::session::{QueryError, SessionError};
use crate::settings::SettingsError;
use crate::source::Severity;
use crate::store::StoreError;
use crate::table::{FileReport, FileStatus, InputSpec, Summary, TableError};

/// Files that are named one by one; the others are counted.
const NAMED_FILES: usize = 5;

/// Why the program ends.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) exit: Exit,
    message: String,
    /// The place in the SQL.
    excerpt: Option<String>,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Problem {
    pub(super) fn new(exit: Exit, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { exit, message: message.into(), excerpt: None, causes: vec![], hints: hint.into_iter().collect() }
    }

    pub(super) fn usage(message: impl Into<String>, hint: Option<String>) -> Self {
        Self::new(Exit::Usage, message, hint)
    }

    /// An error of any kind, with what caused it.
    pub(super) fn of(exit: Exit, error: &dyn std::error::Error, hint: Option<String>) -> Self {
        Self::new(exit, error.to_string(), hint).caused_by(error)
    }

    /// All of it in one line.
    pub(super) fn text(&self) -> String {
        let causes: String = self.causes.iter().map(|cause| format!(": {cause}")).collect();
        let hints: String = self.hints.iter().map(|hint| format!(" ({hint})")).collect();
        format!("{}{causes}{hints}", self.message)
    }

    fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            self.causes.push(cause.to_string());
            source = cause.source();
        }
        self
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        let exit = match error {
            SessionError::Engine(_) | SessionError::ReadDefinition { .. } => Exit::Failed,
            _ => Exit::Usage,
        };
        Self::new(exit, error.to_string(), error.hint()).caused_by(&error)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let mut problem = Self::new(Exit::Failed, error.message.clone(), error.hint.clone()).caused_by(&error);
        problem.excerpt = error.excerpt;
        problem
    }
}

impl From<OutputError> for Problem {
    fn from(error: OutputError) -> Self {
        Self::new(Exit::Failed, error.to_string(), error.hint()).caused_by(&error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(Exit::Failed, error.to_string(), error.hint()).caused_by(&error)
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        Self::new(Exit::Failed, error.to_string(), error.hint()).caused_by(&error)
    }
}

impl From<SavedQueryError> for Problem {
    fn from(error: SavedQueryError) -> Self {
        let exit =
            if matches!(error, SavedQueryError::Io { .. } | SavedQueryError::Editor { .. }) { Exit::Failed } else { Exit::Usage };
        Self::new(exit, error.to_string(), error.hint()).caused_by(&error)
    }
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string(), error.hint)
    }
}

/// Colours on stderr, where nothing is decided yet.
pub(super) fn color() -> Color {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    if is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) { Color::Always } else { Color::Never }
}

/// Text to stdout; a reader that went away wanted no more.
pub(super) fn out(text: &str) -> Result<(), Problem> {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let shown = if is_terminal { for_terminal(text) } else { text.to_owned() };
    match std::io::stdout().write_all(shown.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Problem::new(Exit::Failed, format!("cannot write to standard output: {error}"), None))
        }
        _ => Ok(()),
    }
}

/// Prints an error: what, why, and what to do next.
pub(super) fn problem(problem: &Problem) {
    let color = color();
    line(color, Mark::Error, &problem.message);
    if let Some(excerpt) = &problem.excerpt {
        say(excerpt);
    }
    for cause in &problem.causes {
        say(&format!("  caused by: {cause}"));
    }
    for hint in &problem.hints {
        line(color, Mark::Hint, hint);
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Error,
    Warning,
    Hint,
    Note,
}

/// Prints one marked line.
pub(super) fn line(color: Color, mark: Mark, text: &str) {
    let (word, code) = match mark {
        Mark::Error => ("error", "31;1"),
        Mark::Warning => ("warning", "33;1"),
        Mark::Hint => ("hint", "36"),
        Mark::Note => ("note", "2"),
    };
    let text = for_terminal(text);
    let shown = match color {
        Color::Always => format!("\x1b[{code}m{word}:\x1b[0m {text}"),
        Color::Never => format!("{word}: {text}"),
    };
    // Nobody is left to be told that stderr is gone.
    let _ = writeln!(std::io::stderr(), "{shown}");
}

/// Prints a line as it is, but safe for a terminal.
pub(super) fn say(text: &(impl Display + ?Sized)) {
    let _ = writeln!(std::io::stderr(), "{}", for_terminal(text.to_string()));
}

/// What a query had to leave out, and how it bears on the exit code.
pub(super) fn input(config: &Config, files: &[FileReport], summary: Summary, rows: u64) -> Exit {
    say_input(config, files, summary, rows);
    input_exit(config, summary)
}

/// How what was left out bears on the exit code.
pub(super) fn input_exit(config: &Config, summary: Summary) -> Exit {
    let named = is_named(config);
    let lost = summary.changed + summary.failed + summary.lossy;
    let strict = config.strict && (lost + summary.unparsed > 0 || (named && summary.no_format > 0));
    let too_many = config.max_errors.is_some_and(|max| summary.unparsed > max);
    // Files that the user named are wanted; of the usual places one takes what one may read.
    if strict || too_many || summary.changed > 0 || (named && lost > 0) { Exit::Incomplete } else { Exit::Done }
}

fn is_named(config: &Config) -> bool {
    matches!(config.session.inputs, InputSpec::Args(_)) || !config.session.bindings.is_empty()
}

fn say_input(config: &Config, files: &[FileReport], summary: Summary, rows: u64) {
    let named = is_named(config);
    if config.talk >= Talk::Normal {
        remarks(config, files, named);
        unparsed(config, files, summary);
        if rows == 0 {
            emptiness(config, files, named);
        }
    }
    if config.talk == Talk::Verbose {
        for file in files {
            say(&format!(
                "{}: {}, {}, {} lines, {} records, {} unparsed",
                file.path.display(),
                file.format.as_deref().unwrap_or("no format"),
                file.status.as_str(),
                count(file.counts.lines),
                count(file.counts.records),
                count(file.counts.unparsed)
            ));
        }
    }
}

fn remarks(config: &Config, files: &[FileReport], named: bool) {
    let mut said: Vec<String> = vec![];
    let mut hints: Vec<&str> = vec![];
    for file in files {
        for remark in &file.remarks {
            let matters = match remark.severity {
                Severity::Loss => true,
                Severity::Warning => named,
                Severity::Note => config.talk == Talk::Verbose,
            };
            let text = format!("{}: {}", file.path.display(), remark.text);
            if matters && !said.contains(&text) {
                said.push(text);
                hints.extend(remark.hint.as_deref().filter(|hint| !hints.contains(hint)));
            }
        }
    }
    for text in said.iter().take(NAMED_FILES) {
        line(config.color_messages, Mark::Warning, text);
    }
    if said.len() > NAMED_FILES {
        say(&format!("  … and {} more; see `SELECT * FROM scan_report`", said.len() - NAMED_FILES));
    }
    for hint in hints.iter().take(2) {
        line(config.color_messages, Mark::Hint, hint);
    }
}

fn unparsed(config: &Config, files: &[FileReport], summary: Summary) {
    if summary.unparsed == 0 || files.iter().all(|file| file.table == crate::kernel::table::UNPARSED) {
        return;
    }
    let first = files.iter().find_map(|file| Some((file, file.samples.iter().min_by_key(|sample| sample.offset)?)));
    let place = first.map(|(file, sample)| {
        let text = String::from_utf8_lossy(&sample.raw);
        let shown: String = text.chars().take(60).collect();
        let dots = if shown.len() < text.len() { "…" } else { "" };
        let at = sample.line.map_or_else(|| format!("byte {}", sample.offset), |line| line.to_string());
        let place = format!(", first {}:{at}", file.path.display());
        // The line itself has no pseudonyms.
        if config.session.pseudonyms.is_some() { place } else { format!("{place}: {shown}{dots}") }
    });
    let text = format!(
        "{} of {} lines {} not parsed{}",
        count(summary.unparsed),
        count(summary.lines),
        if summary.unparsed == 1 { "is" } else { "are" },
        place.unwrap_or_default()
    );
    line(config.color_messages, Mark::Warning, &text);
    line(config.color_messages, Mark::Hint, "list them with `SELECT * FROM unparsed`");
}

/// An empty result says why it may be empty.
fn emptiness(config: &Config, files: &[FileReport], named: bool) {
    if files.is_empty() {
        return;
    }
    let read = files.iter().filter(|file| file.counts.lines > 0).count();
    let Some(table) = files.iter().map(|file| file.table.as_str()).find(|table| !table.is_empty()) else { return };
    if read > 0 || files.iter().any(|file| file.table == crate::kernel::table::UNPARSED) {
        return;
    }
    let elsewhere = files.iter().filter(|file| file.status == FileStatus::OtherTable).count();
    let text = match (named, elsewhere) {
        (false, 0) => format!("no file in the usual places of this machine feeds `{table}`"),
        (true, 0) => format!("no file feeds `{table}`"),
        (_, n) => format!("no file feeds `{table}`; {n} of {} feed other tables", files.len()),
    };
    line(config.color_messages, Mark::Note, &text);
    let hint = if named {
        "see what they feed with `logsql tables PATH…`"
    } else {
        "name files: `logsql \"SELECT …\" PATH…`; `logsql tables` shows what was found"
    };
    line(config.color_messages, Mark::Hint, hint);
}
