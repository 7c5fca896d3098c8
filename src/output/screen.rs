//! Standard output: the terminal itself, or a pager where a result is higher than the terminal.
//!
//! ```text
//!   text ──► held ──┬─ the result ends ─────────────► terminal
//!                   └─ more lines than the terminal ─► pager, which gets all the rest as it comes
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use datafusion::execution::SendableRecordBatchStream;

use super::progress::ProgressLine;
use super::terminal::terminal_height;
use super::{OutputError, OutputOptions, Target, Written, write_stream};

/// What long results are read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    /// A command line for the shell.
    pub command: String,
    /// When it is used.
    pub when: PagerWhen,
}

/// When a pager is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagerWhen {
    /// For every result.
    Always,
    /// For what is higher than the terminal.
    TooHigh,
}

/// Writes a result to standard output, by the pager if there is one; and how long that kept us waiting. `None` if the user left it before
/// its end.
pub async fn write_screen(
    rows: SendableRecordBatchStream,
    options: &OutputOptions,
    progress: Option<&ProgressLine>,
) -> Result<Option<(Written, Duration)>, OutputError> {
    let named = |source| OutputError::Write { target: "standard output".to_owned(), source };
    // The descriptor itself: std's own stdout would cut what we write into lines.
    let out = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(named)?);
    let on_terminal = options.target == Target::Terminal;
    let mut screen = Screen {
        out,
        state: match &options.pager {
            Some(pager) if on_terminal => State::Held { lines: 0, pager: pager.clone() },
            _ => State::Direct,
        },
        held: vec![],
        waited: Duration::ZERO,
        // A line on stderr does not disturb what goes into a file.
        progress: progress.filter(|_| on_terminal),
    };
    let written = write_stream(rows, &mut screen, options).await;
    let paged = matches!(screen.state, State::Paged(_));
    match (screen.finish(), written) {
        (Ok(()), Err(OutputError::ClosedPipe)) if paged => Ok(None),
        (Err(source), Ok(_)) => Err(named(source)),
        (_, written) => written.map(|written| Some((written, screen.waited))),
    }
}

struct Screen<'p> {
    out: File,
    state: State,
    /// What the pager gets first, or the terminal if there is no pager after all.
    held: Vec<u8>,
    /// For the pager: what somebody reads takes its time.
    waited: Duration,
    progress: Option<&'p ProgressLine>,
}

enum State {
    Held { lines: usize, pager: Pager },
    Paged(Child),
    Direct,
}

impl Write for Screen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(progress) = self.progress.take() {
            progress.end();
        }
        match &mut self.state {
            State::Direct => self.out.write(bytes),
            State::Paged(child) => match &mut child.stdin {
                Some(stdin) => {
                    let began = Instant::now();
                    let written = stdin.write(bytes);
                    self.waited += began.elapsed();
                    written
                }
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
            State::Held { lines, pager } => {
                self.held.extend_from_slice(bytes);
                *lines += bytes.iter().filter(|byte| **byte == b'\n').count();
                // The prompt and the line under the result need their places.
                let room = usize::from(terminal_height().unwrap_or(24)).saturating_sub(2);
                if *lines > room || pager.when == PagerWhen::Always {
                    let child = start(&pager.command)?;
                    self.state = State::Paged(child);
                    if let State::Paged(Child { stdin: Some(stdin), .. }) = &mut self.state {
                        stdin.write_all(&self.held)?;
                    }
                }
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Paged(Child { stdin: Some(stdin), .. }) => stdin.flush(),
            _ => Ok(()),
        }
    }
}

impl Screen<'_> {
    /// Waits until the pager is left, or writes what was held.
    fn finish(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Direct) {
            State::Direct => Ok(()),
            State::Held { .. } => self.out.write_all(&std::mem::take(&mut self.held)),
            State::Paged(mut child) => {
                drop(child.stdin.take());
                let began = Instant::now();
                let status = child.wait()?;
                self.waited += began.elapsed();
                // What the shell says where there is no such program: then its beginning at least is seen.
                if matches!(status.code(), Some(126 | 127)) {
                    return self.out.write_all(&std::mem::take(&mut self.held));
                }
                Ok(())
            }
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // A query that was cancelled: what is in the pager is still being read.
        let _ = self.finish();
    }
}

fn start(command: &str) -> io::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // Ends by itself if all fits, shows our colours, and leaves what was read on the screen.
        shell.env("LESS", "FRX");
    }
    shell.spawn()
}
