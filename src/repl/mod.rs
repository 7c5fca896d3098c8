//! The REPL: one session, statement by statement.
//!
//! ```text
//!   input.rs ── lines ──► script.rs ──┬─ commands ──► command.rs ──► act.rs ──► list.rs, settings, files, shell
//!      ▲                              └─ statements ──► query.rs ──► Session::run ──► output::write_stream
//!      │                                                  └─ Ctrl-C drops the stream
//!   helper.rs: completion, hints, colours        history.rs: the file        voice.rs: all that goes to stderr
//!   seen.rs: what results had in them, for completion and for the way back to the log
//! ```
//!
//! The command line builds the session and calls [`run`] on the thread that owns the terminal. That thread reads, writes
//! and waits; queries run on the runtime. An error ends a statement, never the session; log text reaches a terminal only
//! through the sanitiser of [`crate::output`].
//!
//! Without a terminal the same commands and statements are read line by line, without prompts.

mod act;
mod command;
mod helper;
mod history;
mod input;
mod lexer;
mod list;
mod query;
mod script;
mod seen;
mod voice;

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::ScalarValue;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use crate::interrupt::Interrupts;
use crate::kernel::table::UNPARSED;
use crate::output::people::{bytes, count};
use crate::output::{Color, OutputOptions, for_terminal};
use crate::session::Session;
use crate::table::{FileReport, InputSpec, Summary};

use act::expand_home;
use helper::SqlHelper;
use input::{Ask, Input, Line};
use list::Tables;
use query::Sink;
use script::{Item, Rest, split};
use seen::{Places, SeenValues};
use voice::{Problem, Talk, Voice};

/// What a REPL is opened with.
pub struct ReplOptions<'a> {
    /// How results are shown.
    pub output: OutputOptions,
    /// Commands and statements that are run first, quietly.
    pub rc: Option<String>,
    /// Whether only errors are said: no greeting, no line under a result.
    pub quiet: bool,
    /// Where the user's saved queries are.
    pub queries: Option<PathBuf>,
    /// Whether a long query says how far it is.
    pub progress: bool,
    /// Opens another session over the same logs: what completion looks up is no query of the user's, and is in no report.
    pub aside: &'a dyn Fn() -> Option<Session>,
    /// Says what a query had to leave out: its files, their sums, and the number of its rows.
    pub report: &'a dyn Fn(&[FileReport], Summary, u64),
}

/// Why a REPL ended before its input did, or ended badly.
#[derive(Debug, Error)]
pub enum ReplError {
    /// The terminal or standard input cannot be read.
    #[error("cannot read standard input")]
    Read(#[source] io::Error),
    /// Standard input is a log file of this session.
    #[error("standard input cannot be both a log and what is typed; name a file instead of `-`")]
    StdinTaken,
    /// Ctrl-C, where nobody can be asked what to do next.
    #[error("interrupted")]
    Interrupted,
    /// Nobody looked at the errors when they were printed.
    #[error("{failed} of the commands and statements failed")]
    Failed {
        /// How many.
        failed: u64,
    },
}

/// Reads commands and statements until there are no more, and carries them out.
///
/// Call it on the main thread and outside of `runtime`. Without a terminal, statements that failed make it
/// [`ReplError::Failed`] at the end, unless it is left with an exit code: that is the answer, and 0 without one.
pub fn run(runtime: &Runtime, session: &Session, options: ReplOptions<'_>) -> Result<u8, ReplError> {
    if let InputSpec::Args(args) = session.schema().inputs().spec()
        && args.iter().any(|arg| arg == "-" || arg.as_encoded_bytes().ends_with(b"=-"))
    {
        return Err(ReplError::StdinTaken);
    }
    let ReplOptions { output, rc, quiet, queries, progress, aside, report } = options;
    let color = if io::stderr().is_terminal() { output.color } else { Color::Never };
    let talk = if quiet { Talk::Quiet } else { Talk::Normal };
    let voice = Voice { talk, color };
    let interrupts = Interrupts::listen().map_err(ReplError::Read)?;
    let clock = Builder::new_current_thread().enable_time().build().map_err(ReplError::Read)?;
    let color = output.color;
    let values = SeenValues::default();
    let helper = || SqlHelper::new(session, aside, &clock, SeenValues::clone(&values), color);
    let mut input = Input::open(runtime, &interrupts, voice, color, helper).map_err(ReplError::Read)?;
    let mut repl = Repl {
        runtime,
        clock: &clock,
        interrupts,
        session,
        report,
        output,
        voice,
        timing: false,
        sink: Sink::Screen,
        once: None,
        depth: 0,
        queries,
        last_sql: String::new(),
        values: SeenValues::clone(&values),
        places: Places::default(),
        progress,
        variables: BTreeMap::new(),
        is_greeted: Arc::default(),
        failed: 0,
        exit_code: None,
        said: HashSet::new(),
    };
    let talk = if input.has_prompt() && talk == Talk::Normal { Talk::Chatty } else { talk };
    if let Some(rc) = rc {
        repl.voice.talk = Talk::Quiet;
        let flow = repl.run_all(&rc, &input);
        repl.failed = 0;
        repl.is_greeted = Arc::default();
        if flow == Flow::Quit {
            return Ok(repl.exit_code.unwrap_or(0));
        }
    }
    repl.voice.talk = talk;
    if talk == Talk::Chatty {
        repl.greet(&mut input);
    }
    repl.read_and_run(&mut input)
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoOn,
    /// Something failed and was told; the next statement may do better.
    Failed,
    /// Ctrl-C: what else was typed along with it is dropped.
    Interrupted,
    Quit,
}

/// The state of a REPL.
struct Repl<'a> {
    runtime: &'a Runtime,
    /// For waiting with a limit: the other one's timers stand still while all its workers compute.
    clock: &'a Runtime,
    interrupts: Interrupts,
    session: &'a Session,
    report: &'a dyn Fn(&[FileReport], Summary, u64),
    output: OutputOptions,
    voice: Voice,
    timing: bool,
    sink: Sink,
    /// Where the next result goes, if not where all go.
    once: Option<PathBuf>,
    /// Files that are being read by one another.
    depth: usize,
    /// Where the user's saved queries are.
    queries: Option<PathBuf>,
    /// What was typed as SQL last, to be saved, edited and run again.
    last_sql: String,
    /// Values of results, for completion.
    values: SeenValues,
    /// Where the rows of the last result are.
    places: Places,
    /// Whether a long query says how far it is.
    progress: bool,
    /// What `$name` stands for in statements.
    variables: BTreeMap<String, ScalarValue>,
    /// Whether it was said what there is, or nobody waits for that any more.
    is_greeted: Arc<AtomicBool>,
    failed: u64,
    /// With which the user left.
    exit_code: Option<u8>,
    /// Remarks about files that were made before.
    said: HashSet<(PathBuf, String)>,
}

impl Repl<'_> {
    fn read_and_run(&mut self, input: &mut Input<'_>) -> Result<u8, ReplError> {
        let mut buffer = String::new();
        loop {
            let ask = if buffer.is_empty() { Ask::New } else { Ask::More };
            let (flow, ended) = match input.read(ask).map_err(ReplError::Read)? {
                Line::Text(line) => {
                    buffer.push_str(&line);
                    if !line.ends_with('\n') {
                        buffer.push('\n');
                    }
                    (self.run_complete(&mut buffer, input), false)
                }
                Line::Dropped => {
                    buffer.clear();
                    (if input.has_prompt() { Flow::GoOn } else { Flow::Interrupted }, false)
                }
                Line::End => (self.run_all(&std::mem::take(&mut buffer), input), true),
            };
            match flow {
                Flow::Interrupted if !input.has_prompt() => return Err(ReplError::Interrupted),
                Flow::Interrupted => buffer.clear(),
                Flow::GoOn | Flow::Failed => {}
                Flow::Quit => break,
            }
            if ended {
                break;
            }
        }
        match self.exit_code {
            Some(code) => Ok(code),
            None if self.failed > 0 && !input.has_prompt() => Err(ReplError::Failed { failed: self.failed }),
            None => Ok(0),
        }
    }

    /// Runs all of a text; its last statement may lack its `;`.
    fn run_all(&mut self, text: &str, input: &Input<'_>) -> Flow {
        let mut buffer = format!("{text}\n");
        match self.run_complete(&mut buffer, input) {
            Flow::GoOn | Flow::Failed if split(&buffer).rest != Rest::Nothing => self.sql(buffer.trim(), &script::Then::Usual),
            flow => flow,
        }
    }

    /// Runs what is complete in the buffer and leaves the rest in it.
    fn run_complete(&mut self, buffer: &mut String, input: &Input<'_>) -> Flow {
        let script = split(buffer);
        let rest_at = if script.rest == Rest::Nothing { buffer.len() } else { script.rest_at };
        buffer.drain(..rest_at);
        if !script.items.is_empty() {
            // What is shown now is not to be disturbed.
            self.is_greeted.store(true, Ordering::Relaxed);
        }
        for item in script.items {
            let flow = match item {
                Item::Command(line) => self.command(&line, input),
                Item::Sql { text, then } => self.sql(&text, &then),
            };
            if matches!(flow, Flow::Interrupted | Flow::Quit) {
                return flow;
            }
        }
        Flow::GoOn
    }

    /// Tells a failure.
    fn failed(&mut self, problem: impl Into<Problem>) -> Flow {
        self.failed += 1;
        self.voice.problem(&problem.into());
        Flow::Failed
    }

    /// Waits for something that is not a query, unless Ctrl-C is pressed. Files are looked at as they are now.
    fn look<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        self.session.report().begin_query();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupts.next() => None,
                found = Box::pin(what) => Some(found),
            }
        })
    }

    /// Says hello, and what there is. To look for that takes its time, so the prompt does not wait for it.
    fn greet(&self, input: &mut Input<'_>) {
        self.voice.note(concat!("logsql ", env!("CARGO_PKG_VERSION"), ": logs are SQL tables; `\\?` for help, `\\q` to leave"));
        let Some(mut printer) = input.take_printer() else {
            let Some(tables) = self.look(list::tables(self.session)) else { return };
            self.voice.note(&welcome(&tables, self.session));
            return;
        };
        self.session.report().begin_query();
        let (session, is_greeted) = (self.session.clone(), Arc::clone(&self.is_greeted));
        self.runtime.spawn(async move {
            let tables = list::tables(&session).await;
            if !is_greeted.swap(true, Ordering::Relaxed) {
                printer(format!("{}\n", for_terminal(welcome(&tables, &session))));
            }
        });
    }
}

/// What there is to ask, in lines.
fn welcome(tables: &Tables, session: &Session) -> String {
    let mut lines: Vec<String> = vec![];
    let fed: Vec<(&str, (u64, u64))> = tables
        .rows
        .iter()
        .filter_map(|row| row.files.map(|files| (row.name.as_str(), files)))
        // Any file may have lines for that one.
        .filter(|(name, (files, _))| *files > 0 && *name != UNPARSED)
        .collect();
    let width = fed.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, (files, size)) in &fed {
        let noun = if *files == 1 { "file" } else { "files" };
        lines.push(format!("  {name:width$}  {} {noun}, {}", count(*files), bytes(*size)));
    }
    if fed.is_empty() {
        let place = match session.schema().inputs().spec() {
            InputSpec::WellKnown(_) => "in the usual places of this machine",
            InputSpec::Args(_) => "in what was named",
        };
        lines.push(format!("  no log of a known format {place}"));
        lines.push("  a path is a table too: `SELECT * FROM '/srv/logs/access.log' LIMIT 10;`".to_owned());
    }
    for (others, what) in [(&tables.unknown, "of no known format"), (&tables.unreadable, "cannot be read")] {
        if !others.is_empty() {
            let noun = if others.len() == 1 { "file" } else { "files" };
            lines.push(format!("  {} {noun} {what}: see `\\d`", count(others.len() as u64)));
        }
    }
    lines.join("\n")
}
