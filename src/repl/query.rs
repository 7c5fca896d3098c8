//! One statement: planned, run, written; and given up at once when Ctrl-C is pressed.
//!
//! ```text
//!   Session::run ── batches ──► the thread of the REPL ── write_stream ──► terminal, file
//!          ▲                               │
//!          └──────── dropped ◄── Ctrl-C ───┘
//! ```
//!
//! The query runs in tasks of its own, so that an operator that computes for long without a pause keeps nobody from the prompt.
//! What goes to a terminal comes in slices, with a look at Ctrl-C after each.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};

use super::script::Then;
use super::seen::Noticed;
use super::voice::Problem;
use super::{Flow, Repl};
use crate::output::people::{bytes, count, footer, new_unparsed};
use crate::output::{
    Color, Expanded, OutputError, OutputFormat, OutputOptions, ProgressLine, Target, Written, live, terminal_width, write_file,
    write_screen, write_stream,
};
use crate::session::{Answer, FollowOptions, Trace};
use crate::source::Severity;
use crate::table::{FileReport, Summary};

/// Rows that are written between two looks at Ctrl-C.
const SLICE_ROWS: usize = 1024;

/// How long the tasks of a query that was given up may take to report what they read.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// How long `\tail` waits before it looks for new lines.
const LOOK: Duration = Duration::from_millis(500);

/// Where results go.
pub(super) enum Sink {
    /// To stdout.
    Screen,
    /// One after the other into a file of text.
    Text { file: File, path: PathBuf, format: OutputFormat },
    /// A file that holds one result and is there when it is complete.
    Whole { path: PathBuf, format: OutputFormat, state: Whole },
}

/// Whether a file for one result has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Empty,
    Written,
}

/// What was written, and where if that is a file; and how long a pager kept us waiting.
#[derive(Default)]
struct Shown {
    written: Written,
    path: Option<PathBuf>,
    waited: Duration,
}

impl Shown {
    fn of(written: Written) -> Self {
        Self { written, ..Self::default() }
    }

    fn to(path: &Path) -> impl Fn(Written) -> Self {
        move |written| Self { path: Some(path.to_owned()), ..Self::of(written) }
    }
}

/// A statement that is followed, until somebody wants no more.
struct Following {
    options: FollowOptions,
    interrupt: BoxFuture<'static, ()>,
}

/// How a statement ended.
enum Outcome {
    Done { shown: Shown, shows: bool, planned: Duration },
    Interrupted,
    ClosedPipe,
    Failed(Problem),
}

impl Repl<'_> {
    /// Runs the statements of `text`, usually one. The first error ends them.
    pub(super) fn sql(&mut self, text: &str, then: &Then) -> Flow {
        let statements = match self.session.statements(text) {
            Ok(statements) => statements,
            Err(error) => return self.failed(error.in_sql(text)),
        };
        self.last_sql = text.trim().trim_end_matches(';').to_owned();
        match then {
            Then::Watch(every) => return self.watch(*every),
            Then::Tail(_) if statements.len() > 1 => {
                return self.failed(Problem::new("only one statement can be followed", None));
            }
            _ => {}
        }
        for statement in statements {
            let values = self.values_in(text);
            match self.statement(statement, text, values, then) {
                Flow::GoOn => {}
                flow => return flow,
            }
        }
        Flow::GoOn
    }

    /// Runs what was run last again and again, until Ctrl-C.
    pub(super) fn watch(&mut self, every: Duration) -> Flow {
        if self.last_sql.is_empty() {
            return self.failed(Problem::new("there is no statement to run again yet", None));
        }
        let text = self.last_sql.clone();
        let seconds = every.as_secs_f64();
        loop {
            let now = jiff::Zoned::now().strftime("%F %T").to_string();
            self.voice.note(&format!("{now} (every {seconds} s; Ctrl-C ends it)"));
            match self.sql(&text, &Then::Usual) {
                Flow::GoOn => {}
                flow => return flow,
            }
            let interrupt = self.interrupts.next();
            let waited = self.clock.block_on(async {
                tokio::select! {
                    () = interrupt => false,
                    () = tokio::time::sleep(every) => true,
                }
            });
            if !waited {
                if io::stdin().is_terminal() {
                    self.voice.note("");
                }
                return Flow::Interrupted;
            }
        }
    }

    /// Follows a table, or what was run last, until Ctrl-C.
    pub(super) fn tail(&mut self, table: Option<&str>, rows: usize) -> Flow {
        let text = match table {
            Some(table) => format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")),
            None if self.last_sql.is_empty() => {
                let hint = "name a table: `\\tail access_log`";
                return self.failed(Problem::new("there is no statement to follow yet", Some(hint)));
            }
            None => self.last_sql.clone(),
        };
        self.sql(&text, &Then::Tail(rows))
    }

    /// The variables that a text names.
    fn values_in(&self, text: &str) -> Vec<(String, ScalarValue)> {
        let named = self.variables.iter().filter(|(name, _)| text.contains(&format!("${name}")));
        named.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Runs one statement of a text, with values for its parameters.
    pub(super) fn statement(
        &mut self,
        statement: Statement,
        text: &str,
        values: Vec<(String, ScalarValue)>,
        then: &Then,
    ) -> Flow {
        let began = Instant::now();
        let once = self.once.take();
        let file = match then {
            Then::File(file) => Some(super::expand_home(file)),
            Then::Usual | Then::Expand | Then::Watch(_) | Then::Tail(_) => once,
        };
        let interrupt = self.interrupts.next();
        let unparsed = Arc::new(AtomicU64::new(0));
        let outcome = match then {
            Then::Tail(rows) => {
                let unparsed = Arc::clone(&unparsed);
                let options = FollowOptions { last: *rows, every: LOOK, trace: Trace::Records, unparsed };
                let following = Some(Following { options, interrupt: interrupt.boxed() });
                self.runtime.block_on(Box::pin(self.answer((statement, values), text, then, file.as_deref(), began, following)))
            }
            _ => self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = interrupt => Outcome::Interrupted,
                    outcome = Box::pin(self.answer((statement, values), text, then, file.as_deref(), began, None)) => outcome,
                }
            }),
        };
        let is_followed = matches!(then, Then::Tail(_));
        let report = self.session.report();
        // What its tasks read until they noticed belongs to the report.
        let _ = self.clock.block_on(async { tokio::time::timeout(LAST_MOMENT, report.settle()).await });
        let summary = report.summary();
        match outcome {
            Outcome::Done { shown: Shown { written, path, waited }, shows, planned } => {
                let took = began.elapsed().saturating_sub(waited);
                self.tell_input(&report.current(), summary, if shows && !is_followed { written.rows } else { 1 });
                match unparsed.load(Ordering::Relaxed) {
                    0 => {}
                    lines => self.voice.warning(&format!("{}: see `\\unparsed`", new_unparsed(lines))),
                }
                if shows {
                    self.close(written, path.as_deref(), took);
                }
                if self.timing {
                    self.tell_timing(planned, took);
                }
                Flow::GoOn
            }
            Outcome::Interrupted => {
                // The terminal has written `^C`, and the cursor stands behind it. Without one, the program ends and says so.
                if io::stdin().is_terminal() {
                    self.voice.note("\ncancelled");
                }
                Flow::Interrupted
            }
            Outcome::ClosedPipe => Flow::Quit,
            Outcome::Failed(problem) => {
                // What was wrong with the input may be why.
                self.tell_input(&report.current(), summary, 1);
                self.failed(problem)
            }
        }
    }

    async fn answer(
        &mut self,
        (statement, values): (Statement, Vec<(String, ScalarValue)>),
        text: &str,
        then: &Then,
        file: Option<&Path>,
        began: Instant,
        following: Option<Following>,
    ) -> Outcome {
        let session = self.session;
        let explain = |error: OutputError| match error {
            OutputError::ClosedPipe => Outcome::ClosedPipe,
            OutputError::Query(error) => Outcome::Failed(session.explain(&error).in_sql(text).into()),
            error => Outcome::Failed(error.into()),
        };
        let to_screen = file.is_none() && matches!(self.sink, Sink::Screen);
        let trace = if to_screen { Trace::Records } else { Trace::No };
        let answer = match following {
            None => session.run_traced(statement, values, trace).await,
            Some(Following { options, mut interrupt }) => {
                let options = FollowOptions { trace, ..options };
                let answer = tokio::select! {
                    biased;
                    () = &mut interrupt => return Outcome::Interrupted,
                    answer = Box::pin(session.follow(statement, values, options)) => answer,
                };
                answer.map(|answer| Answer { rows: until(answer.rows, interrupt), ..answer })
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failed(error.in_sql(text).into()),
        };
        let planned = began.elapsed();
        let shows = answer.shows;
        let noticed = Noticed::default();
        let rows = if shows && to_screen { noticed.watch(answer.rows, answer.origin) } else { answer.rows };
        let written = match (shows, file) {
            (false, _) => drain(rows).await.map(|()| Some(Shown::default())),
            (true, Some(path)) => {
                let options = self.file_options(path);
                let _progress = self.progress_line();
                write_file(rows, path, &options).await.map(Shown::to(path)).map(Some)
            }
            (true, None) => self.write(rows, then).await,
        };
        if shows && to_screen {
            self.places = noticed.end(&self.values);
        }
        match written {
            Ok(Some(shown)) => Outcome::Done { shown, shows, planned },
            // The pager was left: how many rows there are was not found out.
            Ok(None) => Outcome::Done { shown: Shown::default(), shows: false, planned },
            Err(error) => explain(error),
        }
    }

    fn progress_line(&self) -> Option<ProgressLine> {
        let report = Arc::clone(self.session.report());
        self.progress.then(|| ProgressLine::start(move || report.progress()))
    }

    async fn write(&mut self, rows: SendableRecordBatchStream, then: &Then) -> Result<Option<Shown>, OutputError> {
        match &mut self.sink {
            Sink::Screen => {
                let mut options = screen_options(&self.output);
                match then {
                    Then::Expand => options.expanded = Expanded::On,
                    Then::Tail(_) => options = live(options),
                    _ => {}
                }
                let rows = if options.target == Target::Terminal { sliced(rows) } else { rows };
                let progress = self.progress_line().filter(|_| !matches!(then, Then::Tail(_)));
                let written = write_screen(rows, &options, progress.as_ref()).await?;
                Ok(written.map(|(written, waited)| Shown { waited, ..Shown::of(written) }))
            }
            Sink::Text { file, path, format } => {
                let options = to_file(&self.output, *format);
                Ok(Some(Shown::to(path)(write_stream(rows, file, &options).await?)))
            }
            Sink::Whole { path, state: Whole::Written, .. } => {
                let source = io::Error::new(io::ErrorKind::AlreadyExists, "it holds a result; name another file with `\\o`");
                Err(OutputError::Write { target: path.display().to_string(), source })
            }
            Sink::Whole { path, format, state } => {
                let options = to_file(&self.output, *format);
                let written = write_file(rows, path, &options).await?;
                *state = Whole::Written;
                Ok(Some(Shown::to(path)(written)))
            }
        }
    }

    /// Says what was left out of the input. What is no loss is said once in a session.
    fn tell_input(&mut self, files: &[FileReport], summary: Summary, rows: u64) {
        let mut files = files.to_vec();
        for file in &mut files {
            let said = &mut self.said;
            file.remarks
                .retain(|remark| remark.severity == Severity::Loss || said.insert((file.path.clone(), remark.text.clone())));
        }
        (self.report)(&files, summary, rows);
    }

    /// The options for one result in a file of this name.
    fn file_options(&self, path: &Path) -> OutputOptions {
        to_file(&self.output, OutputFormat::from_extension(path).unwrap_or(self.output.format))
    }

    /// The line under a result.
    fn close(&self, written: Written, path: Option<&Path>, took: Duration) {
        let line = footer(written, self.session.report().summary().bytes_read, took);
        match path {
            Some(path) => self.voice.note(&format!("{line} → {}", path.display())),
            None if self.output.target == Target::Terminal => self.voice.note(&line),
            None => {}
        }
    }

    fn tell_timing(&self, planned: Duration, took: Duration) {
        let summary = self.session.report().summary();
        let seconds = took.as_secs_f64();
        let mut text = format!("time: {:.3} s, of which {:.3} s planning", seconds, planned.as_secs_f64());
        if summary.files > 0 {
            let rate = (summary.lines as f64 / seconds.max(1e-6)) as u64;
            text += &format!(
                "; {} {}, {} read, {} lines ({} lines/s)",
                count(summary.files),
                if summary.files == 1 { "file" } else { "files" },
                bytes(summary.bytes_read),
                count(summary.lines),
                count(rate)
            );
        }
        self.voice.note(&text);
    }
}

/// The options for the screen as it is now: the window may have another size than before.
pub(super) fn screen_options(output: &OutputOptions) -> OutputOptions {
    let width = if output.target == Target::Terminal { terminal_width() } else { output.width };
    OutputOptions { width, ..output.clone() }
}

/// The options for a file.
pub(super) fn to_file(output: &OutputOptions, format: OutputFormat) -> OutputOptions {
    OutputOptions {
        format,
        width: None,
        color: Color::Never,
        target: Target::File,
        // A file is not narrow.
        expanded: if output.expanded == Expanded::On { Expanded::On } else { Expanded::Off },
        ..output.clone()
    }
}

/// The rows up to Ctrl-C.
fn until(rows: SendableRecordBatchStream, interrupt: BoxFuture<'static, ()>) -> SendableRecordBatchStream {
    let pressed = interrupt.map(|()| {
        // The terminal has written `^C`, and the cursor stands behind it.
        if io::stdin().is_terminal() {
            let _ = io::stderr().write_all(b"\n");
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(rows.schema(), rows.take_until(pressed)))
}

/// The rows in small pieces, with a pause after each for others to have their turn.
fn sliced(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let pieces = rows.flat_map(|batch| {
        let pieces: Vec<Result<_, DataFusionError>> = match batch {
            Ok(batch) => (0..batch.num_rows().max(1))
                .step_by(SLICE_ROWS)
                .map(|at| Ok(batch.slice(at, SLICE_ROWS.min(batch.num_rows() - at))))
                .collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(pieces)
    });
    let paused = pieces.then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, paused))
}

async fn drain(mut rows: SendableRecordBatchStream) -> Result<(), OutputError> {
    while let Some(batch) = rows.next().await {
        batch?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use arrow::array::{Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    #[tokio::test]
    async fn slices_are_all_the_rows_in_order() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let batch = |range: std::ops::Range<i64>| {
            let numbers = Arc::new(Int64Array::from_iter_values(range));
            RecordBatch::try_new(Arc::clone(&schema), vec![numbers]).map_err(DataFusionError::from)
        };
        let batches = vec![batch(0..2500), batch(0..0), batch(2500..2501)];
        let rows = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter(batches)));
        let pieces: Vec<RecordBatch> = sliced(rows).map(Result::unwrap).collect().await;
        assert!(pieces.iter().all(|piece| piece.num_rows() <= SLICE_ROWS));
        let all = arrow::compute::concat_batches(&schema, &pieces).unwrap();
        let column = all.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        assert_eq!(column.values().to_vec(), (0..2501).collect::<Vec<i64>>());
    }
}
