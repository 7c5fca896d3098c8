//! Layouts in the words that people have already: Grok, nginx's `log_format`, Apache's `LogFormat` and `ErrorLogFormat`, PostgreSQL's `log_line_prefix`.
//!
//! ```text
//!   "%{IP:ip} %{DATA:x}"       ──grok.rs───┐
//!   '$remote_addr [$status]'   ──nginx.rs──┼──► Translated: a regular expression with named captures,  ──check.rs──► Pattern
//!   '%h %l \"%r\" %>s'         ──apache.rs─┘    and what each capture means unless the definition says otherwise
//! ```
//!
//! A layout of a server says more than a regular expression does: which variable is a number, which may hold blanks, how quotes were
//! escaped. So it also gives a line as the server would write it, and what that is worth: a definition that was made from a
//! configuration has a sample like any other.

mod apache;
mod apache_error;
mod dialect;
mod grok;
mod grok_library;
mod nginx;
mod postgres;
mod server;
mod strftime;

use std::collections::BTreeMap;

use super::definition::CaptureDef;

pub(crate) use apache::log_format as apache;
pub(crate) use apache_error::{error_log_format, error_log_start};
pub(crate) use dialect::{Dialect, Lookaround, translate};
pub(crate) use grok::{Grok, column_of, whole as whole_grok};
pub use grok::{GrokError, GrokSearch};
pub(crate) use nginx::log_format as nginx;
pub(crate) use postgres::log_line_prefix as postgres;

/// A layout, as the rest of the program knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Translated {
    /// The regular expression.
    pub(crate) regex: String,
    /// What its captures mean.
    pub(crate) captures: BTreeMap<String, CaptureDef>,
    /// A line as the server would write it.
    pub(crate) line: String,
    /// What some of its columns are worth.
    pub(crate) expect: BTreeMap<&'static str, &'static str>,
}

/// A layout that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotationError {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl NotationError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

/// A type of the definition language, with its options.
pub(crate) fn typed(kind: &str, column: &str) -> CaptureDef {
    CaptureDef { kind: Some(kind.to_owned()), column: Some(column.to_owned()), ..CaptureDef::default() }
}

/// Text with what means something to a regular expression escaped; braces too, which mean fragments here.
pub(crate) fn literal(text: &str) -> String {
    regex_syntax::escape(text)
}
