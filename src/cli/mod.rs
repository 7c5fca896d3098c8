//! The command line: options as typed → `Config` as decided → one call.
//!
//! ```text
//!   files, variables ─┐
//!   args ─sources.rs──┴─► Options ──resolve──► Config ──► query.rs    SQL once, results to stdout or a file
//!                            │                       ├──► repl        the same session, line by line
//!                            │                       ├──► report.rs   saved queries, and pages of their results
//!                            │                       ├──► collect.rs  logs into a store, once or again and again
//!                            │                       ├──► tables.rs   what there is to query
//!                            │                       ├──► index.rs    what is known of large files
//!                            │                       └──► formats.rs  what is known, and why a file is what it is
//!                            ├──► settings.rs  what is set, and where
//!                            ├──► schedule.rs  reports by the clock, decided like any other line when they are due
//!                            └──► manual.rs    completions and manual pages, made of the options
//! ```
//!
//! Data goes to stdout, all else to stderr. Exit codes: 0 done; 1 query or run-time error; 2 usage; 3 done, but input
//! could not be read or parsed and that was said to matter; 10 `--fail-if-rows`/`--fail-if-empty`; 130 interrupted.

mod collect;
mod config;
mod formats;
mod import;
mod index;
mod manual;
mod options;
mod query;
mod report;
mod schedule;
mod settings;
mod sources;
mod tables;
mod tell;

use std::ffi::OsString;
use std::process::ExitCode;

use config::Config;
use options::{Command, Options, Subcommands};
use sources::{Refused, Sources};
use tell::Problem;

/// How a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// All is well; also when the reader of the output went away.
    #[default]
    Done,
    /// A query or its run failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Done, but not everything could be read or parsed.
    Incomplete,
    /// `--fail-if-rows` or `--fail-if-empty` came true.
    Alert,
    /// Ctrl-C.
    Interrupted,
    /// What `.exit CODE` said in the REPL.
    Chosen(u8),
}

impl Exit {
    /// The code for the shell.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Alert => 10,
            Self::Interrupted => 130,
            Self::Chosen(code) => code,
        }
    }
}

/// Runs the program.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if manual::complete() {
        return Exit::Done.code().into();
    }
    // The names of all zones are a walk through folders, which is over when the first zone is asked for. Without a thread it is done then.
    let _ = std::thread::Builder::new().name("zones".to_owned()).spawn(jiff::tz::db);
    let started = match sources::parse(args.into_iter().collect()) {
        Ok((options, sources)) => start(options, &sources),
        Err(Refused::Problem(problem)) => Err(problem),
        Err(Refused::Clap(error)) => {
            // Help and version are answers and go to stdout; clap knows which is which.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return code.code().into();
        }
    };
    match started {
        Ok(exit) => exit.code().into(),
        Err(problem) => {
            tell::problem(&problem);
            problem.exit.code().into()
        }
    }
}

fn start(options: Options, sources: &Sources) -> Result<Exit, Problem> {
    // What needs no configuration works with a wrong one, too.
    match &options.command {
        _ if options.man_page => return manual::page(&[], None),
        None if let Some(shell) = options.completions => return manual::registration(shell),
        Some(Subcommands::Completions { shell }) => return manual::registration(*shell),
        Some(Subcommands::Man { command, dir }) => return manual::page(command, dir.as_deref()),
        Some(Subcommands::Config(command)) => {
            let command = command.clone();
            return settings::run(options, sources, &command);
        }
        Some(Subcommands::Schedule(command)) => return schedule::run(sources, command),
        _ => {}
    }
    let config = Config::resolve(options, sources)?;
    match &config.command {
        Command::Query => query::run(&config),
        Command::Repl => query::interactive(&config),
        Command::Tables => tables::run(&config),
        Command::Format(command) => formats::run(&config, command),
        Command::Index(command) => index::run(&config, command),
        Command::Report(options) => report::run(&config, options),
        Command::Collect(command) => collect::run(&config, command),
    }
}
