//! Where lines come from.
//!
//! ```text
//!   a terminal              ──► rustyline: editing, history, completion     on the thread that runs the REPL
//!   a terminal without keys ──► prompt and line     (TERM=dumb)           ┐
//!   a pipe, a file          ──► line                                      ┘ a thread that reads when asked
//! ```
//!
//! The plain reader has a thread of its own so that Ctrl-C is noticed while it waits.

use std::cell::RefCell;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{
    Behavior, Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    ExternalPrinter as _, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::helper::SqlHelper;
use super::history;
use super::script::{Rest, split};
use super::voice::Voice;
use crate::interrupt::Interrupts;
use crate::output::{Color, sanitise};

/// The prompt, and what stands before the lines that go on. As wide as each other, so that lines are aligned.
pub(super) const PROMPT: &str = "logsql> ";
pub(super) const GOES_ON: &str = "   ...> ";

/// Where a line came from, or why there is none.
#[derive(Debug)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C: what was typed is dropped.
    Dropped,
    /// Ctrl-D, or the end of the file.
    End,
}

/// What a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    New,
    More,
}

/// A source of lines.
pub(super) enum Input<'a> {
    Editor(Box<LineEditor<'a>>),
    Plain(Plain<'a>),
}

impl<'a> Input<'a> {
    /// The best source there is for standard input. `make_helper` is called if it can be used.
    pub(super) fn open(
        runtime: &'a Runtime,
        interrupts: &Interrupts,
        voice: Voice,
        color: Color,
        make_helper: impl FnOnce() -> SqlHelper<'a>,
    ) -> io::Result<Self> {
        let stdin_is_terminal = io::stdin().is_terminal();
        let term = std::env::var("TERM").unwrap_or_default();
        // What the line editor cannot draw on.
        let plain = !stdin_is_terminal || matches!(term.as_str(), "" | "dumb" | "cons25" | "emacs");
        if plain {
            let prompts = if stdin_is_terminal { Prompts::Show } else { Prompts::None };
            return Ok(Self::Plain(Plain::start(runtime, interrupts, prompts)?));
        }
        LineEditor::new(voice, color, make_helper()).map(Box::new).map(Self::Editor)
    }

    /// The next line. For the editor: a whole input, which ends where a statement does.
    pub(super) fn read(&mut self, ask: Ask) -> io::Result<Line> {
        match self {
            Self::Editor(editor) => editor.read(),
            Self::Plain(plain) => plain.read(ask),
        }
    }

    /// What was typed so far, oldest first.
    pub(super) fn history(&self) -> Vec<String> {
        match self {
            Self::Editor(editor) => history::entries(editor.editor.history()),
            Self::Plain(_) => vec![],
        }
    }

    /// Puts a text at the next prompt, to be run or changed. Says whether that is possible.
    pub(super) fn offer(&self, text: &str) -> bool {
        match self {
            Self::Editor(editor) => {
                editor.offered.replace(sanitise(text).into_owned());
                true
            }
            Self::Plain(_) => false,
        }
    }

    /// What writes lines above the prompt, whatever is being typed there. `None` where there is no such thing, or it was taken before.
    pub(super) fn take_printer(&mut self) -> Option<Printer> {
        match self {
            Self::Editor(editor) => editor.printer.take(),
            Self::Plain(_) => None,
        }
    }

    /// Is a person at the other end?
    pub(super) fn has_prompt(&self) -> bool {
        match self {
            Self::Editor(_) => true,
            Self::Plain(plain) => plain.prompts == Prompts::Show,
        }
    }
}

/// Writes above the prompt, from any thread.
pub(super) type Printer = Box<dyn FnMut(String) + Send>;

/// The line editor and its history.
pub(super) struct LineEditor<'a> {
    editor: Editor<SqlHelper<'a>, FileHistory>,
    file: Option<PathBuf>,
    voice: Voice,
    /// What stands at the next prompt.
    offered: RefCell<String>,
    printer: Option<Printer>,
}

impl<'a> LineEditor<'a> {
    fn new(voice: Voice, color: Color, helper: SqlHelper<'a>) -> io::Result<Self> {
        let behavior = if io::stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
        let config = Config::builder()
            .max_history_size(history::ENTRIES)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(to_io)?
            .completion_type(CompletionType::List)
            .color_mode(if color == Color::Always { ColorMode::Enabled } else { ColorMode::Disabled })
            .behavior(behavior)
            .build();
        let mut editor = Editor::with_config(config).map_err(to_io)?;
        editor.set_helper(Some(helper));
        let enter = KeyEvent(KeyCode::Enter, Modifiers::NONE);
        editor.bind_sequence(Event::from(enter), EventHandler::Conditional(Box::new(Enter)));
        let mut file = history::path();
        if let Some(path) = &file
            && let Err(error) = history::load(editor.history_mut(), path)
        {
            voice.warning(&format!("no history: `{}`: {error}", path.display()));
            file = None;
        }
        let printer = editor.create_external_printer().ok().map(|mut printer| {
            // Nobody is left to be told that the terminal is gone.
            Box::new(move |text| drop(printer.print(text))) as Printer
        });
        Ok(Self { editor, file, voice, offered: RefCell::default(), printer })
    }

    fn read(&mut self) -> io::Result<Line> {
        let offered = self.offered.take();
        match self.editor.readline_with_initial(PROMPT, (&offered, "")) {
            Ok(line) => {
                self.remember(&line);
                Ok(Line::Text(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Dropped),
            Err(ReadlineError::Eof) => Ok(Line::End),
            // The window has another size: nothing is lost.
            Err(ReadlineError::Signal(_)) => Ok(Line::Dropped),
            Err(error) => Err(to_io(error)),
        }
    }

    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        // Only a full memory could refuse it.
        let _ = self.editor.add_history_entry(sanitise(line.trim_end()).as_ref());
        if let Some(path) = &self.file
            && let Err(error) = self.editor.append_history(path)
        {
            self.voice.warning(&format!("the history is not kept: `{}`: {error}", path.display()));
            self.file = None;
        }
    }
}

fn to_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}

/// Enter: carries out what is complete, and makes a new line of what is not.
struct Enter;

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        match split(context.line()).rest {
            Rest::Nothing => Some(Cmd::AcceptLine),
            // As far in as the first line is behind its prompt; the helper draws a prompt into it.
            Rest::Statement => Some(Cmd::Insert(1, format!("\n{:1$}", "", GOES_ON.len()))),
            // Blanks in quotes would be text.
            Rest::Quoted => Some(Cmd::Newline),
        }
    }
}

/// Whether prompts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prompts {
    Show,
    None,
}

/// Lines without editing.
pub(super) struct Plain<'a> {
    runtime: &'a Runtime,
    interrupts: Interrupts,
    prompts: Prompts,
    ask: mpsc::Sender<()>,
    lines: UnboundedReceiver<io::Result<Option<String>>>,
    /// A line was asked for and has not come yet.
    is_asked: bool,
}

impl<'a> Plain<'a> {
    fn start(runtime: &'a Runtime, interrupts: &Interrupts, prompts: Prompts) -> io::Result<Self> {
        let (ask, asked) = mpsc::channel();
        let (sender, lines) = unbounded_channel();
        // It ends with the program: nothing can wake it from waiting for a line.
        std::thread::Builder::new().name("repl-stdin".to_owned()).spawn(move || {
            let mut stdin = io::stdin().lock();
            while asked.recv().is_ok() {
                if sender.send(read_line(&mut stdin)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { runtime, interrupts: interrupts.clone(), prompts, ask, lines, is_asked: false })
    }

    fn read(&mut self, ask: Ask) -> io::Result<Line> {
        if self.prompts == Prompts::Show {
            let prompt = if ask == Ask::New { PROMPT } else { GOES_ON };
            io::stderr().write_all(prompt.as_bytes())?;
        }
        if !self.is_asked {
            self.is_asked = self.ask.send(()).is_ok();
        }
        let lines = &mut self.lines;
        let interrupt = self.interrupts.next();
        let line = self.runtime.block_on(async {
            tokio::select! {
                () = interrupt => Ok(Line::Dropped),
                line = lines.recv() => match line {
                    Some(Ok(Some(line))) => Ok(Line::Text(line)),
                    Some(Ok(None)) | None => Ok(Line::End),
                    Some(Err(error)) => Err(error),
                },
            }
        });
        self.is_asked &= matches!(line, Ok(Line::Dropped));
        if self.prompts == Prompts::Show && !matches!(line, Ok(Line::Text(_))) {
            io::stderr().write_all(b"\n")?;
        }
        line
    }
}

fn read_line(stdin: &mut io::StdinLock<'_>) -> io::Result<Option<String>> {
    let mut line = String::new();
    match stdin.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(line)),
    }
}
