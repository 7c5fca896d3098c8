//! What is said on stderr: errors, hints, notes. All of it is made safe for a terminal first, for it may hold log text.

use std::io::Write as _;

use crate::output::{Color, OutputError, for_terminal};
use crate::session::QueryError;

use super::command::CommandError;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Talk {
    /// Errors only.
    Quiet,
    /// What belongs to results, too.
    Normal,
    /// To a person: that a setting was changed, too.
    Chatty,
}

/// Says things.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    pub(super) talk: Talk,
    pub(super) color: Color,
}

/// What went wrong, and what to do about it.
#[derive(Debug)]
pub(super) struct Problem {
    message: String,
    /// The place in the SQL.
    excerpt: Option<String>,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, hint: Option<&str>) -> Self {
        Self { message: message.into(), excerpt: None, hint: hint.map(str::to_owned) }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self { message: error.message, excerpt: error.excerpt, hint: error.hint }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        Self { hint: error.hint(), excerpt: None, message: error.to_string() }
    }
}

impl From<OutputError> for Problem {
    fn from(error: OutputError) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        let hint = match &error {
            // The hint for the command line names an option.
            OutputError::Binary { format } => Some(format!("name a file first: `\\o result.{format}`")),
            error => error.hint(),
        };
        Self { message, excerpt: None, hint }
    }
}

impl Voice {
    pub(super) fn problem(self, problem: &Problem) {
        self.marked("error", "31;1", &problem.message);
        if let Some(excerpt) = &problem.excerpt {
            line(&for_terminal(excerpt));
        }
        if let Some(hint) = &problem.hint {
            self.marked("hint", "36", hint);
        }
    }

    pub(super) fn warning(self, text: &str) {
        self.marked("warning", "33;1", text);
    }

    /// What is good to know, unless quiet was asked for.
    pub(super) fn note(self, text: &str) {
        if self.talk >= Talk::Normal {
            line(&for_terminal(text));
        }
    }

    /// That something was done as asked.
    pub(super) fn done(self, text: &str) {
        if self.talk >= Talk::Chatty {
            line(&for_terminal(text));
        }
    }

    fn marked(self, word: &str, code: &str, text: &str) {
        let text = for_terminal(text);
        line(&match self.color {
            Color::Always => format!("\x1b[{code}m{word}:\x1b[0m {text}"),
            Color::Never => format!("{word}: {text}"),
        });
    }
}

fn line(text: &str) {
    // Nobody is left to be told that stderr is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}
