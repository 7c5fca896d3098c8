//! The commands: one table, from which they are read, completed, explained and corrected.
//!
//! Both dialects are understood: `\d` and `.tables` are the same, and any name may follow either sign.

use std::time::Duration;

use thiserror::Error;

use super::script::{interval, newest, unquote};
use crate::output::{ChartError, ChartSpec, Expanded, Header, MaxRows, OutputFormat};
use crate::table::nearest;

/// What an argument is, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    None,
    Table,
    File,
    Format,
    /// One of these words.
    OneOf(&'static [&'static str]),
    Free,
}

/// How a command is written and what it does.
pub(super) struct Definition {
    /// As it is shown: with `\`, and with `.`.
    pub(super) usage: (&'static str, &'static str),
    /// All names, without their sign.
    pub(super) names: &'static [&'static str],
    pub(super) argument: Argument,
    pub(super) about: &'static str,
    verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Describe,
    Unparsed,
    Report,
    Save,
    Formats,
    Why,
    Raw,
    Watch,
    Tail,
    Edit,
    Functions,
    Expand,
    Mode,
    Chart,
    Headers,
    Null,
    MaxRows,
    Pset,
    Set,
    Unset,
    Timing,
    Output,
    Once,
    Read,
    History,
    Shell,
    Help,
    Quit,
}

const SWITCH: &[&str] = &["on", "off"];

/// All commands, in the order of the help.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        usage: ("\\d[+] [TABLE]", ".tables, .schema TABLE"),
        names: &["d", "tables", "dt", "d+", "schema", "describe"],
        argument: Argument::Table,
        about: "the tables, or the columns and files of one; `+` with a value of each",
        verb: Verb::Describe,
    },
    Definition {
        usage: ("\\unparsed", ".unparsed"),
        names: &["unparsed"],
        argument: Argument::None,
        about: "the first lines that no format takes",
        verb: Verb::Unparsed,
    },
    Definition {
        usage: ("\\report [NAME]", ".report [NAME]"),
        names: &["report"],
        argument: Argument::Free,
        about: "what the last query read; or run a saved query (NAME PARAM=VALUE …)",
        verb: Verb::Report,
    },
    Definition {
        usage: ("\\save NAME", ".save NAME"),
        names: &["save"],
        argument: Argument::Free,
        about: "save the last statement, for `\\report NAME`",
        verb: Verb::Save,
    },
    Definition {
        usage: ("\\formats", ".formats"),
        names: &["formats"],
        argument: Argument::None,
        about: "the formats that are known",
        verb: Verb::Formats,
    },
    Definition {
        usage: ("\\why FILE", ".why FILE"),
        names: &["why"],
        argument: Argument::File,
        about: "which format a file has, and why not another",
        verb: Verb::Why,
    },
    Definition {
        usage: ("\\raw N", ".raw N"),
        names: &["raw"],
        argument: Argument::Free,
        about: "the log line that row N of the last result is, with its file and number",
        verb: Verb::Raw,
    },
    Definition {
        usage: ("\\h [WORD]", ".functions [WORD]"),
        names: &["h", "functions", "df"],
        argument: Argument::Free,
        about: "the functions for logs, or all with WORD in them",
        verb: Verb::Functions,
    },
    Definition {
        usage: ("\\x [on|off|auto]", ".expanded [on|off|auto]"),
        names: &["x", "expanded"],
        argument: Argument::OneOf(&["on", "off", "auto"]),
        about: "one value per line",
        verb: Verb::Expand,
    },
    Definition {
        usage: ("\\pset format FORMAT", ".mode FORMAT"),
        names: &["mode"],
        argument: Argument::Format,
        about: "table, csv, tsv, json, ndjson, markdown, html, line, parquet, arrow",
        verb: Verb::Mode,
    },
    Definition {
        usage: ("\\chart [CHART|off]", ".chart [CHART|off]"),
        names: &["chart"],
        argument: Argument::OneOf(&["bar", "line", "spark", "heatmap", "off"]),
        about: "draw results: bar, line, spark or heatmap, as in `bar x=status y=hits`",
        verb: Verb::Chart,
    },
    Definition {
        usage: ("\\t [on|off]", ".headers [on|off]"),
        names: &["headers", "header", "t"],
        argument: Argument::OneOf(SWITCH),
        about: "names above the rows (`\\t on` is without)",
        verb: Verb::Headers,
    },
    Definition {
        usage: ("\\pset null TEXT", ".nullvalue TEXT"),
        names: &["nullvalue"],
        argument: Argument::Free,
        about: "text that stands for NULL",
        verb: Verb::Null,
    },
    Definition {
        usage: ("\\maxrows N|inf", ".maxrows N|inf"),
        names: &["maxrows"],
        argument: Argument::Free,
        about: "rows that a table on the terminal shows",
        verb: Verb::MaxRows,
    },
    Definition {
        usage: ("\\timing [on|off]", ".timer on|off"),
        names: &["timing", "timer"],
        argument: Argument::OneOf(SWITCH),
        about: "time, files, bytes and lines of each query",
        verb: Verb::Timing,
    },
    Definition {
        usage: ("\\o [FILE]", ".output [FILE]"),
        names: &["o", "output", "out"],
        argument: Argument::File,
        about: "results go to FILE, or to the screen again",
        verb: Verb::Output,
    },
    Definition {
        usage: ("\\g [FILE], \\gx", ".once FILE"),
        names: &["once"],
        argument: Argument::File,
        about: "in place of `;`: one result to FILE, or one value per line",
        verb: Verb::Once,
    },
    Definition {
        usage: ("\\watch [SECONDS]", ".watch [SECONDS]"),
        names: &["watch"],
        argument: Argument::Free,
        about: "run the last statement again and again; or in place of `;`",
        verb: Verb::Watch,
    },
    Definition {
        usage: ("\\tail [TABLE] [ROWS]", ".tail [TABLE] [ROWS]"),
        names: &["tail", "follow"],
        argument: Argument::Table,
        about: "the newest rows, and new ones as they are logged; or in place of `;`",
        verb: Verb::Tail,
    },
    Definition {
        usage: ("\\set [NAME [VALUE]]", ".param NAME VALUE"),
        names: &["set", "parameter", "param"],
        argument: Argument::OneOf(SETTINGS),
        about: "all settings; or one, one of the engine, or the value of `$NAME`",
        verb: Verb::Set,
    },
    Definition {
        usage: ("\\unset NAME", ".unset NAME"),
        names: &["unset"],
        argument: Argument::Free,
        about: "`$NAME` has no value any more",
        verb: Verb::Unset,
    },
    Definition {
        usage: ("\\e [FILE]", ".edit [FILE]"),
        names: &["e", "edit"],
        argument: Argument::File,
        about: "edit the last statement, or FILE, with $EDITOR",
        verb: Verb::Edit,
    },
    Definition {
        usage: ("\\i FILE", ".read FILE"),
        names: &["i", "read", "include"],
        argument: Argument::File,
        about: "run the commands and statements of FILE",
        verb: Verb::Read,
    },
    Definition {
        usage: ("\\s", ".history"),
        names: &["s", "history"],
        argument: Argument::None,
        about: "what was typed so far",
        verb: Verb::History,
    },
    Definition {
        usage: ("\\! [COMMAND]", ".shell [COMMAND]"),
        names: &["!", "shell", "system"],
        argument: Argument::File,
        about: "run a command of the system, or a shell",
        verb: Verb::Shell,
    },
    Definition { usage: ("\\?", ".help"), names: &["?", "help"], argument: Argument::None, about: "this list", verb: Verb::Help },
    Definition {
        usage: ("\\q [CODE]", ".quit, .exit [CODE]"),
        names: &["q", "quit", "exit"],
        argument: Argument::None,
        about: "leave (so does Ctrl-D)",
        verb: Verb::Quit,
    },
    // The ways of psql to say what has a name of its own here.
    Definition { usage: ("", ""), names: &["pset"], argument: Argument::OneOf(SETTINGS), about: "", verb: Verb::Pset },
];

/// What `\set` and `\pset` change, besides variables and the engine.
pub(super) const SETTINGS: &[&str] = &["chart", "expanded", "format", "headers", "maxrows", "null", "timing", "tz"];

/// On, off, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
    Toggle,
}

/// Whether columns are shown with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    Show,
    Hide,
}

/// A command that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Tables,
    Columns(String, Samples),
    Unparsed,
    Report(Option<String>),
    Save(String),
    Formats,
    Why(String),
    Raw(usize),
    Watch(Duration),
    /// A table, or the last statement; and how many rows come first.
    Tail(Option<String>, usize),
    Edit(Option<String>),
    Functions(Option<String>),
    /// `None` is a switch.
    Expand(Option<Expanded>),
    ShowMode,
    Mode(OutputFormat),
    /// `None` draws tables again.
    Chart(Option<ChartSpec>),
    /// `None` is a switch.
    Headers(Option<Header>),
    Null(String),
    MaxRows(MaxRows),
    ShowSettings(Option<String>),
    /// The zone in which times are shown.
    Zone(String),
    /// A setting of the engine.
    Engine {
        name: String,
        value: String,
    },
    Variable {
        name: String,
        value: String,
    },
    /// `None` is all.
    Unset(Option<String>),
    Timing(Switch),
    Output(Option<String>),
    Once(String),
    Read(String),
    History,
    Shell(Option<String>),
    Help,
    /// With an exit code, if it was given one.
    Quit(Option<u8>),
}

/// A command that makes no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum CommandError {
    #[error("there is no command `{name}`")]
    Unknown { name: String, nearest: Vec<String> },
    #[error("`{name}` needs more: `{usage}`")]
    Missing { name: String, usage: String },
    #[error(transparent)]
    Chart(ChartError),
    #[error("`{name}` cannot be `{value}`")]
    BadValue { name: String, value: String, expected: &'static str },
}

impl CommandError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest, .. } if nearest.is_empty() => Some("`\\?` lists the commands".to_owned()),
            Self::Unknown { nearest, .. } => {
                let names: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("did you mean {}? `\\?` lists the commands", names.join(" or ")))
            }
            Self::Missing { .. } => None,
            Self::Chart(error) => error.hint(),
            Self::BadValue { expected, .. } => Some(format!("it is {expected}")),
        }
    }
}

/// The definition that has this name.
pub(super) fn find(name: &str) -> Option<&'static Definition> {
    COMMANDS.iter().find(|definition| definition.names.contains(&name))
}

/// A command's name with its sign, and the rest of its line.
pub(super) fn name_and_rest(line: &str) -> (&str, &str) {
    // `\!ls` needs no blank, and `\d;` is a habit.
    let word_end = match line.strip_prefix("\\!") {
        Some(_) => 2,
        None => line.find(char::is_whitespace).unwrap_or(line.len()),
    };
    let (name, rest) = line.split_at(word_end);
    (name, rest.trim())
}

/// Reads a command.
pub(super) fn parse(line: &str) -> Result<Command, CommandError> {
    let (given, rest) = name_and_rest(line.trim());
    let name = given.trim_end_matches(';');
    let bare = name.strip_prefix(['\\', '.']).unwrap_or(name);
    // `\T` of psql is another command, but nobody's `.QUIT` is.
    let definition = find(bare).or_else(|| find(&bare.to_ascii_lowercase())).ok_or_else(|| unknown(name, bare))?;
    let rest = if definition.verb == Verb::Shell { rest } else { rest.trim_end_matches(';').trim_end() };
    arguments(definition, name, rest)
}

fn unknown(name: &str, bare: &str) -> CommandError {
    let sign = if name.starts_with('.') { '.' } else { '\\' };
    let names = COMMANDS.iter().flat_map(|definition| definition.names.iter().copied());
    let near = if bare.is_empty() { vec![] } else { nearest(bare, names) };
    CommandError::Unknown { name: name.to_owned(), nearest: near.iter().map(|near| format!("{sign}{near}")).collect() }
}

fn arguments(definition: &Definition, name: &str, rest: &str) -> Result<Command, CommandError> {
    let text = (!rest.is_empty()).then(|| unquote(rest).to_owned());
    let bad = |expected| CommandError::BadValue { name: name.to_owned(), value: rest.to_owned(), expected };
    let needed = || {
        let usage = if name.starts_with('.') { definition.usage.1 } else { definition.usage.0 };
        text.clone().ok_or_else(|| CommandError::Missing { name: name.to_owned(), usage: usage.to_owned() })
    };
    Ok(match definition.verb {
        Verb::Describe => {
            let samples = if name.ends_with('+') { Samples::Show } else { Samples::Hide };
            text.map_or(Command::Tables, |table| Command::Columns(table, samples))
        }
        Verb::Unparsed => Command::Unparsed,
        Verb::Report => Command::Report((!rest.is_empty()).then(|| rest.to_owned())),
        Verb::Save => Command::Save(needed()?),
        Verb::Formats => Command::Formats,
        Verb::Why => Command::Why(needed()?),
        Verb::Raw => match needed()?.parse() {
            Ok(row @ 1..) => Command::Raw(row),
            _ => return Err(bad("the number of a row, from 1")),
        },
        Verb::Watch => Command::Watch(interval(rest).ok_or_else(|| bad("seconds, from 0.1 to a day"))?),
        Verb::Tail => tail(rest).ok_or_else(|| bad("a table, and a number of rows"))?,
        Verb::Edit => Command::Edit(text),
        Verb::Functions => Command::Functions(text),
        Verb::Expand => expand(rest).ok_or_else(|| bad("`on`, `off` or `auto`"))?,
        Verb::Mode => match &text {
            None => Command::ShowMode,
            Some(format) => mode(format).ok_or_else(|| bad(FORMATS))?,
        },
        Verb::Chart => match rest {
            "" | "off" => Command::Chart(None),
            rest => Command::Chart(Some(rest.parse().map_err(|error: ChartError| CommandError::Chart(error))?)),
        },
        Verb::Headers => {
            let switch = switch(rest).ok_or_else(|| bad("`on` or `off`"))?;
            let tuples_only = name.ends_with('t');
            Command::Headers(match (switch, tuples_only) {
                (Switch::Toggle, _) => None,
                (Switch::On, false) | (Switch::Off, true) => Some(Header::Show),
                (Switch::Off, false) | (Switch::On, true) => Some(Header::Hide),
            })
        }
        Verb::Null => Command::Null(text.unwrap_or_default()),
        Verb::MaxRows => Command::MaxRows(needed()?.parse().map_err(|_| bad("a number or `inf`"))?),
        Verb::Pset if rest.is_empty() => Command::ShowSettings(None),
        Verb::Pset => return set(name, rest),
        Verb::Set => return variable(name, rest),
        Verb::Unset => Command::Unset(Some(needed()?.trim_start_matches('$').to_owned())),
        Verb::Timing => Command::Timing(switch(rest).ok_or_else(|| bad("`on` or `off`"))?),
        Verb::Output => Command::Output(text.filter(|file| file != "stdout")),
        Verb::Once => Command::Once(needed()?),
        Verb::Read => Command::Read(needed()?),
        Verb::History => Command::History,
        Verb::Shell => Command::Shell((!rest.is_empty()).then(|| rest.to_owned())),
        Verb::Help => Command::Help,
        Verb::Quit if rest.is_empty() => Command::Quit(None),
        Verb::Quit => Command::Quit(Some(rest.parse().map_err(|_| bad("an exit code from 0 to 255"))?)),
    })
}

const FORMATS: &str = "table, csv, tsv, json, ndjson, markdown, html, line, parquet or arrow";

fn mode(name: &str) -> Option<Command> {
    match name {
        // What other programs call a framed table.
        "aligned" | "box" | "column" => Some(Command::Mode(OutputFormat::Table)),
        "tabs" => Some(Command::Mode(OutputFormat::Tsv)),
        name => name.parse().ok().map(Command::Mode),
    }
}

/// `\pset NAME VALUE`
fn set(name: &str, rest: &str) -> Result<Command, CommandError> {
    let (what, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let of = |what: &str| find(what).filter(|command| SETTINGS.contains(&what) && command.verb != Verb::Set);
    let given = value.trim();
    match what {
        "format" => arguments(of_verb(Verb::Mode), &format!("{name} {what}"), given),
        "null" => Ok(Command::Null(unquote(given).to_owned())),
        "tuples_only" => arguments(of_verb(Verb::Headers), "\\t", given),
        "x" => arguments(of_verb(Verb::Expand), &format!("{name} {what}"), given),
        "tz" if given.is_empty() => Err(CommandError::Missing { name: name.to_owned(), usage: format!("{name} tz ZONE") }),
        "tz" => Ok(Command::Zone(unquote(given).to_owned())),
        what => match of(what) {
            Some(definition) => arguments(definition, &format!("{name} {what}"), given),
            None => Err(CommandError::BadValue {
                name: name.to_owned(),
                value: what.to_owned(),
                expected: "`chart`, `expanded`, `format`, `headers`, `maxrows`, `null`, `timing` or `tz`",
            }),
        },
    }
}

fn of_verb(verb: Verb) -> &'static Definition {
    COMMANDS.iter().find(|definition| definition.verb == verb).expect("each verb has a command")
}

/// `\set NAME VALUE`, `.parameter set $NAME VALUE`
fn variable(name: &str, rest: &str) -> Result<Command, CommandError> {
    let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let behind = behind.trim();
    // The ways of sqlite.
    let rest = match (name.trim_start_matches(['\\', '.']), word) {
        ("parameter" | "param", "set") => behind,
        ("parameter" | "param", "list") => "",
        ("parameter" | "param", "clear") => return Ok(Command::Unset(None)),
        ("parameter" | "param", "unset") if !behind.is_empty() => {
            return Ok(Command::Unset(Some(behind.trim_start_matches('$').to_owned())));
        }
        _ => rest,
    };
    let (what, value) = rest.split_once([' ', '\t', '=']).unwrap_or((rest, ""));
    let value = value.trim_start_matches(['=', ' ', '\t']).trim();
    let is_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
    match (what.trim_start_matches(['$', ':']), value) {
        ("", _) => Ok(Command::ShowSettings(None)),
        (what, "") => Ok(Command::ShowSettings(Some(what.to_owned()))),
        (what, value) if SETTINGS.contains(&what) => set(name, &format!("{what} {value}")),
        (what, value) if what.starts_with("datafusion.") => {
            Ok(Command::Engine { name: what.to_owned(), value: unquote(value).to_owned() })
        }
        (what, value) if is_name(what) => Ok(Command::Variable { name: what.to_owned(), value: value.to_owned() }),
        (what, _) => Err(CommandError::BadValue {
            name: name.to_owned(),
            value: what.to_owned(),
            expected: "a name of letters, digits and `_`, or a setting such as `maxrows` or `datafusion.execution.batch_size`",
        }),
    }
}

/// `\tail`, `\tail 20`, `\tail access_log`, `\tail access_log 20`
fn tail(rest: &str) -> Option<Command> {
    let (table, rows) = match rest.rsplit_once(char::is_whitespace) {
        Some((table, rows)) => (table.trim(), rows),
        None if rest.bytes().all(|byte| byte.is_ascii_digit()) => ("", rest),
        None => (rest, ""),
    };
    let table = (!table.is_empty()).then(|| unquote(table).to_owned());
    Some(Command::Tail(table, newest(rows)?))
}

fn expand(text: &str) -> Option<Command> {
    Some(Command::Expand(match (text, switch(text)) {
        ("auto", _) => Some(Expanded::Auto),
        (_, Some(Switch::On)) => Some(Expanded::On),
        (_, Some(Switch::Off)) => Some(Expanded::Off),
        (_, Some(Switch::Toggle)) => None,
        (_, None) => return None,
    }))
}

fn switch(text: &str) -> Option<Switch> {
    match text.to_ascii_lowercase().as_str() {
        "" => Some(Switch::Toggle),
        "on" | "true" | "yes" | "1" => Some(Switch::On),
        "off" | "false" | "no" | "0" => Some(Switch::Off),
        _ => None,
    }
}

/// The help: commands, then keys.
pub(super) fn help() -> String {
    let shown = || COMMANDS.iter().filter(|definition| !definition.about.is_empty());
    let first = shown().map(|definition| definition.usage.0.len()).max().unwrap_or(0);
    let second = shown().map(|definition| definition.usage.1.len()).max().unwrap_or(0);
    let mut text = String::from("A statement ends with `;`. A command begins with `\\` or `.` and ends with its line.\n\n");
    for Definition { usage: (backslash, dot), about, .. } in shown() {
        text += &format!("  {backslash:first$}  {dot:second$}  {about}\n");
    }
    text += "\n  Tab completes, Ctrl-R searches what was typed before, Ctrl-C stops a query or drops the input, Ctrl-D leaves\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_say_the_same() {
        for (backslash, dot) in [
            ("\\d", ".tables"),
            ("\\dt;", ".schema"),
            ("\\d access_log;", ".schema \"access_log\""),
            ("\\d+ 'a b.log'", ".d+ 'a b.log'"),
            ("\\d 'a b.log'", ".schema 'a b.log'"),
            ("\\timing on", ".timer ON"),
            ("\\o /tmp/a b", ".output '/tmp/a b'"),
            ("\\o", ".output stdout"),
            ("\\i x.sql", ".read x.sql"),
            ("\\pset format csv", ".mode csv"),
            ("\\pset null -", ".nullvalue '-'"),
            ("\\t on", ".headers off"),
            ("\\x on", "\\pset expanded on"),
            ("\\h date", ".functions date"),
            ("\\raw 3;", ".raw 3"),
            ("\\watch 2", ".watch"),
            ("\\tail access_log", ".tail 'access_log' 10"),
            ("\\tail 3", ".follow 3"),
            ("\\set host web1", ".parameter set $host web1"),
            ("\\set host = web1;", ".set host web1"),
            ("\\set", ".parameter list"),
            ("\\unset host", ".parameter unset $host"),
            ("\\set maxrows 5", ".maxrows 5"),
            ("\\pset expanded auto", ".set expanded auto"),
            ("\\pset tuples_only on", ".headers off"),
            ("\\e x.sql", ".edit 'x.sql'"),
            ("\\chart bar x=a", ".chart bar x=a"),
            ("\\chart", ".chart off"),
            ("\\report status-codes top=3;", ".report status-codes top=3"),
            ("\\q", ".exit"),
            ("\\q 7", ".exit 7;"),
            ("quit;", "exit"),
            ("\\?", "HELP"),
        ] {
            let read = parse(backslash);
            assert!(read.is_ok(), "{backslash}: {read:?}");
            assert_eq!(read, parse(dot), "{backslash} and {dot}");
        }
    }

    #[test]
    fn arguments_are_read_and_checked() {
        assert_eq!(parse("\\x"), Ok(Command::Expand(None)));
        assert_eq!(parse("\\x auto"), Ok(Command::Expand(Some(Expanded::Auto))));
        assert_eq!(parse(".maxrows inf"), Ok(Command::MaxRows(MaxRows::Inf)));
        assert_eq!(parse("\\!ls -l;"), Ok(Command::Shell(Some("ls -l;".to_owned()))));
        assert_eq!(parse("\\!"), Ok(Command::Shell(None)));
        for (line, error) in [
            (".maxrows many", "`.maxrows` cannot be `many`"),
            (".maxrows", "`.maxrows` needs more: `.maxrows N|inf`"),
            ("\\raw 0", "`\\raw` cannot be `0`"),
            (".exit now", "`.exit` cannot be `now`"),
            ("\\watch often", "`\\watch` cannot be `often`"),
            (".mode xml", "`.mode` cannot be `xml`"),
            ("\\x maybe", "`\\x` cannot be `maybe`"),
            ("\\i", "`\\i` needs more: `\\i FILE`"),
            ("\\set a-b 1", "`\\set` cannot be `a-b`"),
            ("\\set maxrows many", "`\\set maxrows` cannot be `many`"),
            ("\\tail access_log many", "`\\tail` cannot be `access_log many`"),
            ("\\pset border 2", "`\\pset` cannot be `border`"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn an_unknown_command_names_the_nearest_in_its_own_dialect() {
        assert_eq!(parse(".tabels").unwrap_err().hint().unwrap(), "did you mean `.tables`? `\\?` lists the commands");
        assert_eq!(parse("\\timng").unwrap_err().hint().unwrap(), "did you mean `\\timing`? `\\?` lists the commands");
        assert_eq!(parse("\\").unwrap_err().hint().unwrap(), "`\\?` lists the commands");
    }

    #[test]
    fn every_name_is_once_in_the_table_and_every_usage_in_the_help() {
        let mut names: Vec<&str> = COMMANDS.iter().flat_map(|definition| definition.names.iter().copied()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let help = help();
        for definition in COMMANDS {
            assert!(help.contains(definition.usage.0) && help.contains(definition.usage.1));
        }
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
    }
}
