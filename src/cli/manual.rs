//! What is made of the options beside their help: completions for shells, and manual pages.
//!
//! A shell asks the program itself for candidates (clap's dynamic engine, with `LOGSQL_COMPLETE` set by what `logsql completions` prints), so
//! names of the user's own formats, saved queries and jobs are among them. A run that is not asked looks at one variable more.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use clap::Arg;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::Shells;

use super::Exit;
use super::options::Shell;
use super::sources::command;
use super::tell::{self, Mark, Problem};
use crate::kernel::format::Catalog;
use crate::kernel::table::tables;
use crate::output::OutputFormat;
use crate::query::Library;
use crate::schedule::JobFolders;
use crate::table::{SCAN_REPORT, nearest};

/// The variable by which a shell asks for candidates.
const VARIABLE: &str = "LOGSQL_COMPLETE";

/// Answers a shell that asks for candidates; says whether one did.
pub(super) fn complete() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(completed).var(VARIABLE).try_complete(std::env::args_os(), folder.as_deref());
    asked.unwrap_or_else(|error| {
        let _ = error.print();
        true
    })
}

/// What a shell has to read to ask for candidates.
pub(super) fn registration(shell: Shell) -> Result<Exit, Problem> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let mut script = vec![];
    let completer = Shells::builtins();
    let completer = completer.completer(name).expect("clap completes for these shells");
    // The name, not a path: what the shell runs as `logsql` is what it asks.
    completer
        .write_registration(VARIABLE, "logsql", "logsql", "logsql", &mut script)
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot make completions: {error}"), None))?;
    tell::out(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// The manual page of a command, or those of all in a folder.
pub(super) fn page(words: &[String], folder: Option<&Path>) -> Result<Exit, Problem> {
    let mut command = command();
    command.build();
    if let Some(folder) = folder {
        let failed =
            |error: std::io::Error| Problem::new(Exit::Failed, format!("cannot write to `{}`: {error}", folder.display()), None);
        std::fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(command, folder).map_err(failed)?;
        tell::line(tell::color(), Mark::Note, &format!("wrote the pages to `{}`", folder.display()));
        return Ok(Exit::Done);
    }
    let mut found = &command;
    for word in words {
        found = found.find_subcommand(word).ok_or_else(|| {
            let names: Vec<&str> = found.get_subcommands().map(clap::Command::get_name).collect();
            let hint = match nearest(word, names.iter().copied()).first() {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => format!("`{}` has no commands", found.get_name()),
                None => format!("there are {}", names.join(", ")),
            };
            Problem::usage(format!("there is no command `{word}`"), Some(hint))
        })?;
    }
    let mut page = vec![];
    clap_mangen::Man::new(found.clone())
        .render(&mut page)
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot make the page: {error}"), None))?;
    tell::out(&String::from_utf8_lossy(&page))?;
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        let words: String = words.iter().flat_map(|word| [" ", word]).collect();
        tell::line(tell::color(), Mark::Hint, &format!("read it with `logsql man{words} | man -l -`"));
    }
    Ok(Exit::Done)
}

/// A command with candidates for an argument. (clap's own `mut_arg` moves it to the end, where a positional one is another one.)
fn with(command: clap::Command, id: &str, change: impl Fn(Arg) -> Arg) -> clap::Command {
    command.mut_args(|arg| if arg.get_id() == id { change(arg) } else { arg })
}

/// Candidates from a list.
fn listed(list: fn() -> Vec<CompletionCandidate>) -> impl Fn(Arg) -> Arg {
    move |arg| arg.add(ArgValueCandidates::new(list))
}

/// Candidates for what is typed.
fn typed(complete: fn(&OsStr) -> Vec<CompletionCandidate>) -> impl Fn(Arg) -> Arg {
    move |arg| arg.add(ArgValueCompleter::new(complete))
}

/// The command with what stands where.
fn completed() -> clap::Command {
    let mut root = command();
    root = with(root, "words", typed(sql_or_path));
    root = with(root, "sql", typed(sql));
    root = with(root, "input_format", listed(formats));
    root =
        with(root, "format", listed(|| OutputFormat::ALL.iter().map(|format| CompletionCandidate::new(format.name())).collect()));
    for id in ["file", "output"] {
        root = with(root, id, typed(paths));
    }
    for id in ["tz", "assume_tz"] {
        root = with(root, id, listed(zones));
    }
    for id in ["since", "until"] {
        root = with(root, id, listed(times));
    }
    for name in ["tables", "repl"] {
        root = root.mut_subcommand(name, |command| with(command, "paths", typed(paths)));
    }
    root.mut_subcommand("report", |command| {
        let command = with(command, "words", typed(query_or_path));
        with(with(command, "show", listed(queries)), "edit", listed(queries))
    })
    .mut_subcommand("format", |command| {
        command
            .mut_subcommand("show", |command| with(command, "name", listed(formats)))
            .mut_subcommand("why", |command| with(command, "paths", typed(paths)))
            .mut_subcommand("new", |command| with(command, "paths", typed(paths)))
            .mut_subcommand("test", |command| with(command, "names", typed(format_or_path)))
    })
    .mut_subcommand("schedule", |mut command| {
        for name in ["run", "remove", "next", "export"] {
            command = command.mut_subcommand(name, |command| with(command, "names", listed(jobs)));
        }
        command.mut_subcommand("add", |command| with(command, "name", listed(queries)))
    })
    .mut_subcommand("man", |command| {
        with(command, "command", listed(|| command_names().into_iter().map(CompletionCandidate::new).collect()))
    })
}

fn command_names() -> Vec<String> {
    command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Names of families and of their patterns.
fn formats() -> Vec<CompletionCandidate> {
    let folder = super::config::config_folder().map(|folder| folder.join("formats")).filter(|folder| folder.is_dir());
    let folders: Vec<_> = folder.into_iter().collect();
    // A definition that is wrong is told by the run, not here.
    let catalog =
        crate::session::load_formats(&folders, None).map_or_else(|_| Arc::new(Catalog::builtin()), |formats| formats.catalog);
    let families = catalog.formats().iter().flat_map(|format| {
        let family = CompletionCandidate::new(format.name.clone()).help(Some(format.title.to_string().into()));
        let patterns = format.pattern_names.iter().filter(|name| **name != format.name);
        std::iter::once(family).chain(patterns.map(|name| CompletionCandidate::new(name.to_string())))
    });
    families.collect()
}

fn zones() -> Vec<CompletionCandidate> {
    let known = jiff::tz::db().available().map(|name| CompletionCandidate::new(name.as_str()));
    ["UTC", "local"].into_iter().map(CompletionCandidate::new).chain(known).collect()
}

fn times() -> Vec<CompletionCandidate> {
    ["1h", "1d", "7d", "today", "yesterday"].into_iter().map(CompletionCandidate::new).collect()
}

/// Files of jobs, and saved queries of the user's with a schedule.
fn jobs() -> Vec<CompletionCandidate> {
    let folder = super::config::config_folder();
    let below = |name: &str| folder.as_ref().map(|folder| folder.join(name));
    let folders = JobFolders { schedules: below("schedules"), queries: below("queries"), reports: None };
    let found = folders.load(&[]).unwrap_or_default();
    found.jobs.into_iter().map(|job| CompletionCandidate::new(job.name).help(Some(job.cron.to_string().into()))).collect()
}

/// Saved queries and topics.
fn queries() -> Vec<CompletionCandidate> {
    let folder = super::config::config_folder().map(|folder| folder.join("queries"));
    let Ok(library) = Library::load(folder.as_deref()) else { return vec![] };
    let mut topics: Vec<&str> = library.queries().iter().filter_map(|query| query.topic.as_deref()).collect();
    topics.dedup();
    let topics = topics.into_iter().map(|topic| CompletionCandidate::new(topic).help(Some("all queries of this topic".into())));
    let names = library
        .queries()
        .iter()
        .map(|query| CompletionCandidate::new(query.name.clone()).help(Some(query.description.clone().into())));
    topics.chain(names).collect()
}

/// Those that begin with what is typed.
fn beginning(candidates: Vec<CompletionCandidate>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let begins = |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(typed.as_encoded_bytes());
    candidates.into_iter().filter(begins).collect()
}

fn paths(typed: &OsStr) -> Vec<CompletionCandidate> {
    PathCompleter::any().complete(typed)
}

fn query_or_path(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = beginning(queries(), typed);
    found.extend(paths(typed));
    found
}

fn format_or_path(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = beginning(formats(), typed);
    found.extend(paths(typed));
    found
}

/// SQL has a blank in it.
fn sql_or_path(typed: &OsStr) -> Vec<CompletionCandidate> {
    if typed.to_str().is_some_and(|typed| typed.contains(' ')) { sql(typed) } else { paths(typed) }
}

/// SQL with its last word completed: the tables, and behind one that is named its columns.
fn sql(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return vec![] };
    // zsh and fish hand the quote on and want it not back, bash does neither.
    let typed = typed.trim_start_matches(['"', '\'']);
    let from = typed
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |at| at + typed[at..].chars().next().map_or(1, char::len_utf8));
    let (before, word) = typed.split_at(from);
    let upper = before.to_ascii_uppercase();
    let wants_table = ["FROM", "JOIN", "INTO", "TABLE", "DESCRIBE"].iter().any(|key| upper.trim_end().ends_with(key))
        || (upper.trim_end().ends_with(',') && upper.contains("FROM") && !upper.contains("WHERE"));
    let names: Vec<&str> = tables().iter().map(|table| table.name).chain([SCAN_REPORT]).collect();
    let mut candidates: Vec<&str> = vec![];
    if !wants_table {
        let words: Vec<&str> = typed.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let named = tables().iter().filter(|table| words.contains(&table.name));
        candidates = named.flat_map(|table| table.columns.iter().map(|column| column.name)).collect();
    }
    if candidates.is_empty() {
        candidates = names;
    }
    candidates.sort_unstable();
    candidates.dedup();
    let whole = |name: &str| CompletionCandidate::new(OsString::from(format!("{before}{name}")));
    candidates.into_iter().filter(|name| name.starts_with(word)).map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(found: &[CompletionCandidate]) -> Vec<String> {
        found.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn tables_and_their_columns_are_completed_inside_of_sql() {
        let at = |text: &str| values(&sql_or_path(OsStr::new(text)));
        assert_eq!(at("SELECT * FROM acc"), ["SELECT * FROM access_log"]);
        assert_eq!(at("SELECT count(*) FROM dns_log JOIN auth"), ["SELECT count(*) FROM dns_log JOIN auth_log"]);
        assert_eq!(at("SELECT 1 FROM access_log WHERE user_a"), ["SELECT 1 FROM access_log WHERE user_agent"]);
        assert_eq!(at("\"SELECT * FROM acc"), ["SELECT * FROM access_log"]);
        assert!(at("SELECT 1 FROM ").contains(&"SELECT 1 FROM scan_report".to_owned()));
    }

    #[test]
    fn names_of_queries_and_formats_are_completed() {
        assert!(values(&query_or_path(OsStr::new("slowest"))).contains(&"slowest-urls".to_owned()));
        assert!(values(&formats()).contains(&"combined".to_owned()));
        completed().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_a_page() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example"), "`{}` has no examples", command.get_name());
            let mut page = vec![];
            clap_mangen::Man::new(command.clone()).render(&mut page).expect("rendered");
            assert!(page.len() > 200);
            command.get_subcommands().for_each(look);
        }
        look(&command());
    }
}
