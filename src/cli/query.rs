//! SQL once: each statement in order, its rows to stdout or a file; or line by line, in the REPL.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement;
use futures::StreamExt as _;
use tokio::runtime::Runtime;

use super::Exit;
use super::config::{AlertIf, Config, OnError, Script, Talk};
use super::tell::{self, Problem};
use crate::interrupt::Interrupts;
use crate::output::people::{footer, new_unparsed};
use crate::output::{OutputError, OutputFormat, ProgressLine, Target, Written, live, write_file, write_screen};
use crate::query::{SavedQuery, SavedQueryError};
use crate::repl::ReplError;
use crate::session::{Answer, FollowOptions, Session, Trace};

/// How long `--follow` waits before it looks for new lines.
const LOOK: Duration = Duration::from_millis(500);

/// How long tasks of a cancelled query may take to notice.
pub(super) const LAST_MOMENT: Duration = Duration::from_millis(200);

/// Runs all scripts.
pub(super) fn run(config: &Config) -> Result<Exit, Problem> {
    let runtime = runtime(config)?;
    let session = Session::try_new(&config.session)?;
    let interrupts = interrupts()?;
    let mut run =
        Run { config, session: &session, interrupts, sql: String::new(), exit: Exit::Done, last_rows: None, files_written: 0 };
    let result = runtime.block_on(async {
        for script in &config.scripts {
            let next = match script {
                Script::Saved(query, given) => run.saved(query, given).await?,
                script => {
                    let (origin, text) = read(script)?;
                    run.script(&origin, &text).await?
                }
            };
            if next == Next::Stop {
                break;
            }
        }
        Ok::<(), Problem>(())
    });
    runtime.shutdown_timeout(LAST_MOMENT);
    result?;
    let alert = match (config.alert, run.last_rows) {
        (AlertIf::Rows, Some(rows)) => rows > 0,
        (AlertIf::Empty, Some(rows)) => rows == 0,
        _ => false,
    };
    Ok(if alert && run.exit == Exit::Done { Exit::Alert } else { run.exit })
}

/// Opens the REPL.
pub(super) fn interactive(config: &Config) -> Result<Exit, Problem> {
    let runtime = runtime(config)?;
    let session = Session::try_new(&config.session)?;
    let rc = config.rc.as_deref().map(|path| read(&Script::File(path.to_owned()))).transpose()?;
    let show = |answer_files: &[crate::table::FileReport], summary, rows| {
        tell::input(config, answer_files, summary, rows);
    };
    let options = crate::repl::ReplOptions {
        output: config.output.clone(),
        rc: rc.map(|(_, text)| text),
        quiet: config.talk == Talk::Quiet,
        queries: config.query_folder.clone(),
        progress: config.progress,
        aside: &|| Session::try_new(&config.session).ok(),
        report: &show,
    };
    let ended = crate::repl::run(&runtime, &session, options);
    runtime.shutdown_timeout(LAST_MOMENT);
    match ended {
        Ok(0) => Ok(Exit::Done),
        Ok(code) => Ok(Exit::Chosen(code)),
        Err(ReplError::Interrupted) => Ok(interrupted()),
        Err(error) => Err(Problem::new(Exit::Failed, error.to_string(), None)),
    }
}

/// Listens for Ctrl-C.
pub(super) fn interrupts() -> Result<Interrupts, Problem> {
    Interrupts::listen().map_err(|error| Problem::new(Exit::Failed, format!("cannot listen for Ctrl-C: {error}"), None))
}

/// Says that Ctrl-C was pressed.
pub(super) fn interrupted() -> Exit {
    // Nobody is left to be told that stderr is gone.
    let _ = writeln!(std::io::stderr(), "interrupted");
    Exit::Interrupted
}

pub(super) fn runtime(config: &Config) -> Result<Runtime, Problem> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(config.threads).enable_all().build();
    built.map_err(|error| Problem::new(Exit::Failed, format!("cannot start threads: {error}"), None))
}

/// A script and where it comes from.
fn read(script: &Script) -> Result<(String, String), Problem> {
    match script {
        Script::Text(text) => Ok(("SQL".to_owned(), text.clone())),
        Script::File(path) if path == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Problem::new(Exit::Failed, format!("cannot read standard input: {error}"), None))?;
            Ok(("standard input".to_owned(), text))
        }
        Script::Saved(query, _) => Ok((query.name.clone(), query.text.clone())),
        Script::File(path) => {
            let text = std::fs::read_to_string(path);
            let text =
                text.map_err(|error| Problem::new(Exit::Failed, format!("cannot read `{}`: {error}", path.display()), None))?;
            Ok((path.display().to_string(), text))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

struct Run<'a> {
    config: &'a Config,
    session: &'a Session,
    interrupts: Interrupts,
    /// What is being run, for the places of errors.
    sql: String,
    exit: Exit,
    last_rows: Option<u64>,
    files_written: usize,
}

impl Run<'_> {
    async fn script(&mut self, origin: &str, text: &str) -> Result<Next, Problem> {
        self.sql = text.to_owned();
        let statements = self.session.statements(text).map_err(|error| error.in_sql(text))?;
        if statements.is_empty() && self.config.talk >= Talk::Normal {
            tell::line(self.config.color_messages, tell::Mark::Note, &format!("{origin} has no statement"));
        }
        for statement in statements {
            if self.one(statement, vec![]).await? == Next::Stop {
                return Ok(Next::Stop);
            }
        }
        Ok(Next::GoOn)
    }

    /// A saved query; under its name, where several are shown to people.
    async fn saved(&mut self, query: &SavedQuery, given: &[(String, String)]) -> Result<Next, Problem> {
        let (statement, values) = (query.statement().map_err(SavedQueryError::from)?, query.bind(given, &self.config.clock)?);
        self.sql = query.sql().to_owned();
        let format = self.config.output.format;
        if self.config.scripts.len() > 1 && matches!(format, OutputFormat::Table | OutputFormat::Line) {
            let before = if self.last_rows.is_some() { "\n" } else { "" };
            tell::out(&format!("{before}{}: {}\n", query.name, query.description))?;
        }
        self.one(statement, values).await
    }

    async fn one(&mut self, statement: Statement, values: Vec<(String, ScalarValue)>) -> Result<Next, Problem> {
        let began = Instant::now();
        if let Some(last) = self.config.follow {
            return self.followed(statement, values, last, began).await;
        }
        let interrupt = self.interrupts.next();
        let outcome = tokio::select! {
            biased;
            () = interrupt => {
                self.exit = interrupted();
                return Ok(Next::Stop);
            }
            outcome = Box::pin(self.statement(statement, values, began)) => outcome,
        };
        match outcome {
            Err(problem) if self.config.on_error == OnError::GoOn => {
                tell::problem(&problem);
                self.exit = problem.exit;
                Ok(Next::GoOn)
            }
            outcome => outcome,
        }
    }

    /// Shows new rows until Ctrl-C, which is how that ends.
    async fn followed(
        &mut self,
        statement: Statement,
        values: Vec<(String, ScalarValue)>,
        last: usize,
        began: Instant,
    ) -> Result<Next, Problem> {
        let unparsed = Arc::new(AtomicU64::new(0));
        let options = FollowOptions { last, every: LOOK, trace: Trace::No, unparsed: Arc::clone(&unparsed) };
        let mut interrupt = Box::pin(self.interrupts.next());
        let answer = tokio::select! {
            biased;
            () = &mut interrupt => return Ok(Next::Stop),
            answer = Box::pin(self.session.follow(statement, values, options)) => answer,
        };
        let rows = answer.map_err(|error| error.in_sql(&self.sql))?.rows;
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(rows.schema(), rows.take_until(interrupt)));
        let options = live(self.config.output.clone());
        let written = match write_screen(rows, &options, None).await {
            Err(OutputError::ClosedPipe) => return Ok(Next::Stop),
            Err(OutputError::Query(error)) => return Err(self.session.explain(&error).in_sql(&self.sql).into()),
            Err(error) => return Err(error.into()),
            Ok(written) => written.unwrap_or_default().0,
        };
        self.last_rows = Some(written.rows);
        let lines = unparsed.load(Ordering::Relaxed);
        if lines > 0 && self.config.talk >= Talk::Normal {
            let text = format!("{}: see `SELECT * FROM unparsed`", new_unparsed(lines));
            tell::line(self.config.color_messages, tell::Mark::Warning, &text);
        }
        if self.config.talk >= Talk::Normal && options.target == Target::Terminal {
            tell::say(&footer(written, 0, began.elapsed()));
        }
        Ok(Next::Stop)
    }

    async fn statement(
        &mut self,
        statement: Statement,
        values: Vec<(String, ScalarValue)>,
        began: Instant,
    ) -> Result<Next, Problem> {
        let answer = self.session.run_bound(statement, values).await.map_err(|error| error.in_sql(&self.sql))?;
        let shows = answer.shows;
        let (written, waited) = match self.write(answer).await {
            Err(Failure::ClosedPipe) => return Ok(Next::Stop),
            Err(Failure::Problem(problem)) => {
                // What was wrong with the input may be why.
                self.session.report().settle().await;
                tell::input(self.config, &self.session.report().current(), self.session.report().summary(), 1);
                return Err(problem);
            }
            Ok(written) => written,
        };
        self.session.report().settle().await;
        let report = self.session.report();
        let summary = report.summary();
        let exit = tell::input(self.config, &report.current(), summary, if shows { written.rows } else { 1 });
        if exit != Exit::Done {
            self.exit = exit;
        }
        if shows {
            self.last_rows = Some(written.rows);
        }
        let talks = self.config.talk == Talk::Verbose
            || (self.config.talk == Talk::Normal && self.config.output.target == Target::Terminal);
        if shows && talks {
            tell::say(&footer(written, summary.bytes_read, began.elapsed().saturating_sub(waited)));
        }
        Ok(Next::GoOn)
    }

    /// Writes the rows, and tells how long a pager kept us waiting.
    async fn write(&mut self, answer: Answer) -> Result<(Written, Duration), Failure> {
        let options = &self.config.output;
        let report = Arc::clone(self.session.report());
        let progress = self.config.progress.then(|| ProgressLine::start(move || report.progress()));
        let failed = |error: OutputError| match error {
            OutputError::ClosedPipe => Failure::ClosedPipe,
            OutputError::Query(error) => Failure::Problem(self.session.explain(&error).in_sql(&self.sql).into()),
            error => Failure::Problem(error.into()),
        };
        if !answer.shows {
            // A statement without rows still has to be run to its end.
            let mut rows = answer.rows;
            while let Some(batch) = rows.next().await {
                batch.map_err(|error| Failure::Problem(self.session.explain(&error).into()))?;
            }
            return Ok(Default::default());
        }
        match &self.config.output_file {
            Some(path) => {
                self.files_written += 1;
                if self.files_written > 1 {
                    let hint = Some("run the others by themselves; html, markdown and json hold a report of several".to_owned());
                    return Err(Failure::Problem(Problem::usage(
                        "-o takes the result of one statement, and there are several",
                        hint,
                    )));
                }
                write_file(answer.rows, path, options).await.map(|written| (written, Duration::ZERO)).map_err(failed)
            }
            None => {
                let written = write_screen(answer.rows, options, progress.as_ref()).await.map_err(failed)?;
                Ok(written.unwrap_or_default())
            }
        }
    }
}

enum Failure {
    ClosedPipe,
    Problem(Problem),
}
