//! What can be wrong with a table, before any row of it is read.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

use crate::kernel::format::Catalog;

/// Why a table cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// No format has this name.
    #[error("unknown format `{name}`")]
    UnknownFormat {
        /// As typed.
        name: String,
        /// Formats with a name like it.
        nearest: Vec<String>,
    },
    /// No table of the taxonomy has this name.
    #[error("unknown table `{name}`")]
    UnknownTable {
        /// As typed.
        name: String,
        /// Tables with a name like it.
        nearest: Vec<String>,
    },
    /// A binding that is not `name[:format]=glob`.
    #[error("`{text}` is not of the form NAME[:FORMAT]=GLOB")]
    Binding {
        /// As typed.
        text: String,
    },
    /// A table bound to files whose format feeds other tables.
    #[error("table `{name}`: its files feed {}", list(.tables))]
    AmbiguousBinding {
        /// The table.
        name: String,
        /// The tables that the files feed.
        tables: Vec<String>,
    },
    /// Files of several tables, named as one.
    #[error("the files of '{path}' feed {}", list(.tables))]
    Ambiguous {
        /// The path or glob.
        path: String,
        /// The tables that the files feed.
        tables: Vec<String>,
    },
    /// Files that feed no table.
    #[error("no format takes the files of '{path}'")]
    NoFormat {
        /// The path or glob.
        path: String,
        /// What is wrong with the first of them, where it cannot be read.
        reason: Option<String>,
    },
    /// A path or glob without files.
    #[error("no file matches '{path}'")]
    NoFile {
        /// The path or glob.
        path: String,
        /// What is wrong, where something is there.
        reason: Option<String>,
    },
    /// An option of CREATE EXTERNAL TABLE that does not exist.
    #[error("unknown option `{name}`")]
    UnknownOption {
        /// As typed.
        name: String,
    },
    /// A clause of CREATE EXTERNAL TABLE that makes no sense for logs.
    #[error("{clause} is not supported for log tables")]
    UnsupportedClause {
        /// The clause.
        clause: &'static str,
    },
    /// A file changed under a query that does not bear it.
    #[error("{}: {change}", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// How it changed.
        change: crate::source::Change,
    },
    /// A store that cannot be read.
    #[error("cannot read the store {}", .path.display())]
    Store {
        /// Its folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A broken invariant of ours.
    #[error("internal error while {doing}: {message}")]
    Panicked {
        /// What was being done.
        doing: String,
        /// What the panic said.
        message: String,
    },
}

impl TableError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownFormat { nearest, .. } if nearest.is_empty() => Some("see all with `logsql format list`".to_owned()),
            Self::UnknownTable { nearest, .. } if nearest.is_empty() => Some("see all with `logsql tables`".to_owned()),
            Self::UnknownFormat { nearest, .. } | Self::UnknownTable { nearest, .. } => {
                Some(format!("did you mean {}?", list_or(nearest)))
            }
            Self::Binding { .. } => Some("for example `--table shop:nginx_combined='/srv/shop/*.log*'`".to_owned()),
            Self::Ambiguous { path, tables } => {
                let table = tables.first().map_or("access_log", String::as_str);
                Some(format!("name the table: `--table {table}='{path}'`, then `FROM {table}`"))
            }
            Self::AmbiguousBinding { name, tables } => {
                let table = tables.first().map_or("access_log", String::as_str);
                Some(format!(
                    "bind one table of the taxonomy at a time (`--table {table}=…`), or name a format (`--table {name}:FORMAT=…`)"
                ))
            }
            Self::NoFormat { path, .. } => Some(format!(
                "see why with `logsql format why {path}`, read the lines with `SELECT * FROM unparsed`, or name a format with `--input-format`"
            )),
            Self::NoFile { .. } => Some("globs are matched here, not by the shell: `*`, `?`, `[…]`, `**`".to_owned()),
            Self::UnknownOption { .. } => Some("options are: `format`".to_owned()),
            Self::UnsupportedClause { .. } => {
                Some("the columns of a log table are those of its kind; see them with `\\d`".to_owned())
            }
            Self::Changed { .. } => Some("run the query again: the file was rotated or rewritten".to_owned()),
            Self::Store { .. } => Some("name the folder that `logsql collect` or `logsql convert` wrote".to_owned()),
            Self::Panicked { .. } => Some("this is a bug in logsql; please report it with the query".to_owned()),
        }
    }

    /// The error for a name that no format has.
    pub fn unknown_format(name: &str, formats: &Catalog) -> Self {
        let names = formats
            .formats()
            .iter()
            .flat_map(|format| std::iter::once(format.name.as_str()).chain(format.pattern_names.iter().map(String::as_str)));
        Self::UnknownFormat { name: name.to_owned(), nearest: nearest(name, names) }
    }

    pub(super) fn listing_panicked(error: tokio::task::JoinError) -> Self {
        Self::panicked("looking at files", &error.try_into_panic().unwrap_or_else(|_| Box::new("the task was cancelled")))
    }

    pub(super) fn panicked(doing: &str, payload: &Box<dyn std::any::Any + Send>) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Self::Panicked { doing: doing.to_owned(), message: text.to_owned() }
    }
}

impl From<TableError> for DataFusionError {
    fn from(error: TableError) -> Self {
        Self::External(Box::new(error))
    }
}

/// The names most like `name`, nearest first; none if nothing is like it.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let name = name.to_lowercase();
    let mut found: Vec<(usize, usize, String)> = Vec::new();
    for other in names {
        let contained = name.len() >= 3 && other.len() >= 3 && (other.contains(&name) || name.contains(other));
        let edits = distance(&name, &other.to_lowercase());
        let distance = if contained { 1 } else { edits };
        if distance <= (name.len() / 3).max(1) && !found.iter().any(|(_, _, known)| known == other) {
            found.push((distance, edits, other.to_owned()));
        }
    }
    found.sort();
    found.truncate(3);
    found.into_iter().map(|(_, _, name)| name).collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours that make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "no table".to_owned(),
    }
}

fn list_or(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_typing_error_finds_its_neighbours() {
        let names = ["access_log", "error_log", "dns_log", "syslog", "unparsed", "scan_report"];
        assert_eq!(nearest("acess_log", names), ["access_log"]);
        assert_eq!(nearest("Access_Log", names), ["access_log"]);
        assert_eq!(nearest("access", names), ["access_log"]);
        assert_eq!(nearest("sylsog", names), ["syslog"]);
        assert_eq!(nearest("customers", names), [] as [String; 0]);
    }
}
