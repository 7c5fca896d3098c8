//! Commands, carried out.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use datafusion::common::ScalarValue;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::command::{Command, SETTINGS, Samples, Switch, help, parse};
use super::input::Input;
use super::list::{self, Detail, Tables, Values};
use super::query::{Sink, Whole, screen_options};
use super::script::{Then, unquote};
use super::seen::Places;
use super::voice::Problem;
use super::{Flow, Repl};
use crate::function::{self, Described};
use crate::output::people::{bytes, count};
use crate::output::{
    Expanded, Header, MaxRows, OutputError, OutputFormat, OutputOptions, Target, for_terminal, sanitise_cell, write_screen,
};
use crate::query::{Clock, Library, SavedQuery, SavedQueryError, check_given, open_editor};
use crate::session::SourceLine;
use crate::table::{FileSet, nearest};

/// How many lines `\unparsed` shows.
const UNPARSED_LINES: usize = 20;

/// How many things of a kind are named one by one.
const NAMED: usize = 10;

/// Files may read files, but not themselves for ever.
const DEEPEST: usize = 16;

impl Repl<'_> {
    /// Carries out one line that is a command.
    pub(super) fn command(&mut self, line: &str, input: &Input<'_>) -> Flow {
        let command = match parse(line) {
            Ok(command) => command,
            Err(error) => return self.failed(error),
        };
        match command {
            Command::Tables => self.show_tables(),
            Command::Columns(name, samples) => self.show_columns(&name, samples),
            Command::Unparsed => self.sql(&format!("SELECT * FROM unparsed LIMIT {UNPARSED_LINES}"), &Then::Usual),
            Command::Report(None) => self.sql("SELECT * FROM scan_report", &Then::Usual),
            Command::Report(Some(words)) => self.saved(&words),
            Command::Save(name) => self.save(&name),
            Command::Formats => self.show_formats(),
            Command::Why(path) => self.why(&path),
            Command::Raw(row) => self.raw(row),
            Command::Watch(every) => self.watch(every),
            Command::Tail(table, rows) => self.tail(table.as_deref(), rows),
            Command::ShowSettings(name) => self.show_settings(name.as_deref()),
            Command::Engine { name, value } => self.sql(&format!("SET {name} = '{}'", value.replace('\'', "''")), &Then::Usual),
            Command::Edit(file) => self.edit(file.as_deref(), input),
            Command::Functions(None) => self.show_functions(),
            Command::Functions(Some(word)) => {
                // What a function does is a sentence, and a table would cut it.
                let then = if self.output.target == Target::Terminal { Then::Expand } else { Then::Usual };
                let last = std::mem::take(&mut self.last_sql);
                let flow = self.sql(&functions_sql(&word), &then);
                self.last_sql = last;
                flow
            }
            Command::Read(path) => self.read_file(&path, input),
            Command::History => {
                let lines: Vec<String> = input.history().iter().map(|entry| sanitise_cell(entry).into_owned()).collect();
                self.print(&lines.iter().fold(String::new(), |text, line| text + line + "\n"))
            }
            Command::Shell(command) => self.shell(command.as_deref(), input),
            Command::Help => self.print(&help()),
            Command::Quit(code) => {
                self.exit_code = code;
                Flow::Quit
            }
            setting => self.set(setting),
        }
    }

    /// Commands that change how things are shown.
    fn set(&mut self, command: Command) -> Flow {
        match command {
            Command::Expand(wanted) => {
                let usual = if self.output.target == Target::Terminal { Expanded::Auto } else { Expanded::Off };
                let flipped = if self.output.expanded == Expanded::On { usual } else { Expanded::On };
                self.output.expanded = wanted.unwrap_or(flipped);
                self.voice.done(match self.output.expanded {
                    Expanded::On => "one value per line: on",
                    Expanded::Off => "one value per line: off",
                    Expanded::Auto => "one value per line: where a table would be too wide",
                });
            }
            Command::ShowMode => return self.print(&format!("{}\n", self.output.format)),
            Command::Mode(format) => {
                if format.is_binary() && matches!(self.sink, Sink::Screen) && self.output.target == Target::Terminal {
                    let hint = format!("name a file: `\\o result.{format}`");
                    return self
                        .failed(Problem::new(format!("{format} is binary and is not written to a terminal"), Some(&hint)));
                }
                self.output.format = format;
                self.voice.done(&format!("format: {format}"));
            }
            Command::Chart(chart) => {
                self.voice.done(&match &chart {
                    Some(chart) => format!("results are drawn: {}; `\\chart off` ends that", chart.kind),
                    None => "results are tables".to_owned(),
                });
                self.output.chart = chart;
            }
            Command::Headers(wanted) => {
                let flipped = if self.output.header == Header::Show { Header::Hide } else { Header::Show };
                self.output.header = wanted.unwrap_or(flipped);
                self.voice.done(if self.output.header == Header::Show { "names: shown" } else { "names: hidden" });
            }
            Command::Null(text) => {
                self.voice.done(&format!("NULL is shown as `{text}`"));
                self.output.null = Some(text);
            }
            Command::MaxRows(rows) => {
                self.output.max_rows = rows;
                self.voice.done(&match rows {
                    MaxRows::Rows(rows) => format!("a table shows {} rows", count(rows)),
                    MaxRows::Inf => "a table shows all rows".to_owned(),
                });
            }
            Command::Timing(switch) => {
                self.timing = match switch {
                    Switch::On => true,
                    Switch::Off => false,
                    Switch::Toggle => !self.timing,
                };
                self.voice.done(if self.timing { "timing: on" } else { "timing: off" });
            }
            Command::Zone(name) => return self.show_zone(&name),
            Command::Variable { name, value } => {
                let value = value_of(&value);
                self.voice.done(&format!("${name} is {}", shown(&value)));
                self.variables.insert(name, value);
            }
            Command::Unset(None) => self.variables.clear(),
            Command::Unset(Some(name)) if self.variables.remove(&name).is_none() => {
                let names: Vec<&str> = self.variables.keys().map(String::as_str).collect();
                let near = nearest(&name, names.iter().copied());
                let hint = near.first().map(|near| format!("did you mean `{near}`?"));
                return self.failed(Problem::new(format!("`${name}` has no value"), hint.as_deref()));
            }
            Command::Unset(Some(_)) => {}
            Command::Output(file) => return self.redirect(file.as_deref()),
            Command::Once(file) => self.once = Some(expand_home(&file)),
            // All others have been carried out before.
            _ => {}
        }
        Flow::GoOn
    }

    /// Times are shown in this zone, and so is the day of `now()`.
    fn show_zone(&mut self, name: &str) -> Flow {
        let zone = match name {
            "local" => Ok(TimeZone::system()),
            name if name.eq_ignore_ascii_case("utc") => Ok(TimeZone::UTC),
            name => TimeZone::get(name),
        };
        let Ok(zone) = zone else {
            let hint = "use a name such as `Europe/Berlin`, `UTC` or `local`";
            return self.failed(Problem::new(format!("unknown time zone `{name}`"), Some(hint)));
        };
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        self.voice.done(&format!("times are shown in {name}"));
        self.output.zone = Some(zone);
        self.quietly(&format!("SET datafusion.execution.time_zone = '{name}'"))
    }

    /// Runs a statement that nobody typed.
    fn quietly(&mut self, sql: &str) -> Flow {
        let last = std::mem::take(&mut self.last_sql);
        let flow = self.sql(sql, &Then::Usual);
        self.last_sql = last;
        flow
    }

    /// The settings of the session and the variables, or what one of them is.
    fn show_settings(&mut self, name: Option<&str>) -> Flow {
        if let Some(name) = name.filter(|name| name.starts_with("datafusion")) {
            let name = name.replace('\'', "''");
            return self.quietly(&format!(
                "SELECT name AS setting, value, description AS what FROM information_schema.df_settings \
                 WHERE name LIKE '{name}%' ORDER BY 1"
            ));
        }
        let on = |is: bool| if is { "on" } else { "off" }.to_owned();
        let output = &self.output;
        let rows = match output.max_rows {
            MaxRows::Rows(rows) => rows.to_string(),
            MaxRows::Inf => "inf".to_owned(),
        };
        let expanded = match output.expanded {
            Expanded::On => "on",
            Expanded::Off => "off",
            Expanded::Auto => "auto",
        };
        let of = |setting: &str| match setting {
            "chart" => {
                (output.chart.as_ref().map_or_else(|| "off".to_owned(), |chart| chart.kind.to_string()), "how results are drawn")
            }
            "expanded" => (expanded.to_owned(), "one value per line"),
            "format" => (output.format.to_string(), "the form of results"),
            "headers" => (on(output.header == Header::Show), "names above the rows"),
            "maxrows" => (rows.clone(), "rows that a table on the terminal shows"),
            "null" => (output.null.clone().unwrap_or_default(), "text that stands for NULL, if not that of the format"),
            "timing" => (on(self.timing), "time, files, bytes and lines of each query"),
            _ => {
                let zone = output.zone.as_ref().and_then(|zone| zone.iana_name().map(str::to_owned));
                (zone.unwrap_or_else(|| "UTC".to_owned()), "the zone in which times are shown")
            }
        };
        let mut found: Vec<(String, String, &str)> =
            SETTINGS.iter().map(|name| ((*name).to_owned(), of(name))).map(|(name, (value, what))| (name, value, what)).collect();
        found.extend(self.variables.iter().map(|(name, value)| (format!("${name}"), shown(value), "a variable")));
        if let Some(name) = name {
            found.retain(|(setting, ..)| setting.trim_start_matches('$') == name);
            if found.is_empty() {
                let hint =
                    format!("`\\set {name} VALUE` gives it one; `\\set` lists all, `\\set datafusion` those of the engine");
                return self.failed(Problem::new(format!("`{name}` has no value"), Some(&hint)));
            }
        }
        let text = |pick: fn(&(String, String, &str)) -> String| Values::Text(found.iter().map(pick).collect());
        self.show_list(vec![
            ("setting", text(|row| row.0.clone())),
            ("value", text(|row| row.1.clone())),
            ("what", text(|row| row.2.to_owned())),
        ])
    }

    fn redirect(&mut self, file: Option<&str>) -> Flow {
        let Some(file) = file else {
            if !matches!(self.sink, Sink::Screen) {
                self.voice.done("results go to the screen");
            }
            self.sink = Sink::Screen;
            return Flow::GoOn;
        };
        let path = expand_home(file);
        let format = OutputFormat::from_extension(&path).unwrap_or(self.output.format);
        if format.is_binary() {
            self.sink = Sink::Whole { path: path.clone(), format, state: Whole::Empty };
            self.voice.done(&format!("the next result goes to `{}` as {format}; `\\o` ends that", path.display()));
            return Flow::GoOn;
        }
        match std::fs::File::create(&path) {
            Ok(file) => {
                self.voice.done(&format!("results go to `{}` as {format}; `\\o` ends that", path.display()));
                self.sink = Sink::Text { file, path, format };
                Flow::GoOn
            }
            Err(error) => self.failed(Problem::new(format!("cannot write `{}`: {error}", path.display()), None)),
        }
    }

    fn show_tables(&mut self) -> Flow {
        let Some(tables) = self.look(list::tables(self.session)) else { return Flow::Interrupted };
        let Tables { rows, unreadable, unknown } = tables;
        let for_people = self.output.target == Target::Terminal;
        let sizes = rows.iter().map(|row| row.files.map(|(_, bytes)| bytes));
        let sizes = if for_people {
            Values::Text(sizes.map(|size| size.map_or(String::new(), bytes)).collect())
        } else {
            Values::Number(sizes.collect())
        };
        let columns = vec![
            ("table", Values::Text(rows.iter().map(|row| row.name.clone()).collect())),
            ("what", Values::Text(rows.iter().map(|row| row.about.clone()).collect())),
            ("files", Values::Number(rows.iter().map(|row| row.files.map(|(files, _)| files)).collect())),
            ("size", sizes),
        ];
        let flow = self.show_list(columns);
        for text in unreadable.iter().take(NAMED) {
            self.voice.warning(text);
        }
        if unreadable.len() > NAMED {
            self.voice.warning(&format!("… and {} more that cannot be read", count((unreadable.len() - NAMED) as u64)));
        }
        if !unknown.is_empty() {
            let named: Vec<&str> = unknown.iter().take(3).map(String::as_str).collect();
            let dots = if unknown.len() > named.len() { ", …" } else { "" };
            let number =
                if unknown.len() == 1 { "1 file has".to_owned() } else { format!("{} files have", count(unknown.len() as u64)) };
            self.voice.note(&format!("{number} no known format (`\\why FILE` says more): {}{dots}", named.join(", ")));
        }
        flow
    }

    fn show_columns(&mut self, name: &str, samples: Samples) -> Flow {
        let Some(found) = self.look(list::detail(self.session, name)) else { return Flow::Interrupted };
        let detail = match found {
            Ok(Some(detail)) => detail,
            Ok(None) => {
                let unknown = self.session.schema().unknown(name);
                return self.failed(Problem::new(unknown.to_string(), unknown.hint().as_deref()));
            }
            Err(error) => return self.failed(self.session.explain(&error)),
        };
        let Detail { about, columns, files, has_meta } = detail;
        if !about.is_empty() {
            self.voice.note(&format!("{name}: {about}"));
        }
        let text =
            |pick: fn(&list::ColumnRow) -> &String| Values::Text(columns.iter().map(|column| pick(column).clone()).collect());
        let mut shown = vec![
            ("column", text(|column| &column.name)),
            ("type", text(|column| &column.kind)),
            ("what", text(|column| &column.about)),
        ];
        if samples == Samples::Show {
            match self.look(list::samples(self.session, name, &columns)) {
                None => return Flow::Interrupted,
                Some(Err(error)) => return self.failed(error),
                Some(Ok(samples)) => shown.push(("sample", Values::Text(samples))),
            }
        }
        let flow = self.show_list(shown);
        if has_meta {
            self.voice.note("(meta) columns are not part of `SELECT *`: name them");
        }
        let total = files.iter().map(|(_, _, size)| size).sum();
        if !files.is_empty() {
            let noun = if files.len() == 1 { "file" } else { "files" };
            self.voice.note(&format!("{} {noun}, {}:", count(files.len() as u64), bytes(total)));
        }
        for (path, format, size) in files.iter().take(NAMED) {
            self.voice.note(&format!("  {path}  {format}  {}", bytes(*size)));
        }
        if files.len() > NAMED {
            self.voice.note(&format!("  … and {} more", count((files.len() - NAMED) as u64)));
        }
        flow
    }

    fn show_formats(&mut self) -> Flow {
        let formats = self.session.formats().formats();
        let columns = vec![
            ("format", Values::Text(formats.iter().map(|format| format.name.clone()).collect())),
            ("table", Values::Text(formats.iter().map(|format| format.table.name.to_owned()).collect())),
            ("what", Values::Text(formats.iter().map(|format| format.title.clone()).collect())),
        ];
        self.show_list(columns)
    }

    /// The functions that are for logs. The engine's own are too many to be read.
    fn show_functions(&mut self) -> Flow {
        let functions = function::described();
        let text = |pick: fn(&Described) -> String| Values::Text(functions.iter().map(pick).collect());
        let flow = self.show_list(vec![
            ("function", text(|function| function.usage.clone())),
            ("what", text(|function| function.about.to_owned())),
            ("example", text(|function| function.example.to_owned())),
        ]);
        self.voice.note(
            "approximate and quick: `approx_percentile_cont(value, 0.95)`, `approx_median(value)`, `approx_distinct(value)`",
        );
        self.voice.note("these and all others: `\\h WORD` looks a word up, such as `\\h percentile` or `\\h date`");
        flow
    }

    /// Runs the saved query, or all of the topic, that the first word names; the other words are values for parameters.
    fn saved(&mut self, words: &str) -> Flow {
        let mut words = words.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut given = vec![];
        for word in words {
            let Some((param, value)) = word.split_once('=') else {
                let hint = "write `\\report NAME PARAM=VALUE`, without blanks in the value";
                return self.failed(Problem::new(format!("`{word}` has no value"), Some(hint)));
            };
            given.push((param.to_owned(), unquote(value).to_owned()));
        }
        let queries = Library::load(self.queries.as_deref())
            .and_then(|library| Ok(library.find(name)?.into_iter().cloned().collect::<Vec<SavedQuery>>()));
        let queries = queries.and_then(|queries| check_given(&queries, &given).map(|()| queries));
        let queries = match queries {
            Ok(queries) => queries,
            Err(error) => return self.failed(Problem::new(error.to_string(), error.hint().as_deref())),
        };
        for query in &queries {
            if queries.len() > 1 {
                self.voice.note(&format!("{}: {}", query.name, query.description));
            }
            let clock = Clock { now: Timestamp::now(), zone: self.output.zone.clone().unwrap_or_else(TimeZone::system) };
            let bound = query
                .statement()
                .map_err(SavedQueryError::from)
                .and_then(|statement| Ok((statement, query.bind(&given, &clock)?)));
            let flow = match bound {
                Ok((statement, values)) => self.statement(statement, query.sql(), values, &Then::Usual),
                Err(error) => self.failed(Problem::new(error.to_string(), error.hint().as_deref())),
            };
            if flow != Flow::GoOn {
                return flow;
            }
        }
        Flow::GoOn
    }

    fn save(&mut self, name: &str) -> Flow {
        if self.last_sql.is_empty() {
            return self.failed(Problem::new("there is no statement to save yet", None));
        }
        let saved = Library::load(self.queries.as_deref()).and_then(|library| library.save(name, &self.last_sql));
        match saved {
            Ok(path) => {
                self.voice.done(&format!("saved as `{}`", path.display()));
                Flow::GoOn
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                self.failed(Problem::new(format!("{error}{cause}"), error.hint().as_deref()))
            }
        }
    }

    fn why(&mut self, path: &str) -> Flow {
        let path = expand_home(path).into_os_string();
        let (explained, problems) = match FileSet::explain(self.session.schema().context(), &[path]) {
            Ok(explained) => explained,
            Err(error) => return self.failed(Problem::new(error.to_string(), error.hint().as_deref())),
        };
        for (path, remark) in &problems {
            self.voice.warning(&format!("{}: {}", path.display(), remark.text));
        }
        let mut text = String::new();
        for (path, detection) in explained {
            let detection = match detection {
                Ok(detection) => detection,
                Err(remark) => {
                    self.voice.warning(&format!("{}: {}", path.display(), remark.text));
                    continue;
                }
            };
            text += &self.session.describe_detection(&path, &detection);
        }
        self.print(&text)
    }

    /// The record of the log that a row of the last result is.
    fn raw(&mut self, row: usize) -> Flow {
        let Places { origin, rows, total } = &self.places;
        let Some(origin) = origin else {
            let hint = "it works for rows that are one record each: `SELECT * FROM access_log WHERE status = 500 LIMIT 10`";
            let message =
                if *total == 0 { "there is no result yet" } else { "a row of the last result is no single line of a log" };
            return self.failed(Problem::new(message, Some(hint)));
        };
        let Some(place) = rows.get(row - 1) else {
            let message = match *total {
                0 => "the last result has no rows".to_owned(),
                total if row > total => format!("the last result has {} rows", count(total as u64)),
                _ => format!("only the first {} rows are remembered", count(rows.len() as u64)),
            };
            return self.failed(Problem::new(message, None));
        };
        let session = self.session;
        match self.look(session.line_of(origin, place)) {
            None => Flow::Interrupted,
            Some(Err(error)) => self.failed(error),
            Some(Ok(SourceLine::Gone)) => {
                let message = format!("`{}` has no such record any more", place.file);
                self.failed(Problem::new(message, Some("run the query again: the file was rotated or rewritten")))
            }
            Some(Ok(SourceLine::NotKept { line })) => {
                let (file, offset) = (&place.file, count(place.offset));
                let message = format!(
                    "the store does not keep lines, and no log here has this one: it was line {line} of `{file}`, at byte {offset}"
                );
                let hint = "a store that `collect` or `convert` begins with `--raw` keeps them";
                self.failed(Problem::new(message, Some(hint)))
            }
            Some(Ok(SourceLine::Found { file, line, raw })) => {
                let raw = raw.trim_end_matches(['\n', '\r']);
                self.print(&format!("{}:{line}\n{raw}\n", sanitise_cell(&file)))
            }
        }
    }

    /// Opens the editor on the last statement, or on a file. What comes back stands at the prompt.
    fn edit(&mut self, file: Option<&str>, input: &Input<'_>) -> Flow {
        if !input.has_prompt() {
            return self.failed(Problem::new("there is no terminal for an editor", None));
        }
        let edited = match file {
            Some(file) => {
                let path = expand_home(file);
                open_editor(&path).and_then(|()| read_edited(&path))
            }
            None => {
                let path = std::env::temp_dir().join(format!("logsql-{}-{:x}.sql", std::process::id(), self.said.len()));
                let text = if self.last_sql.is_empty() { String::new() } else { format!("{};\n", self.last_sql) };
                // Not through a link that somebody else put there, and for nobody else to read.
                let written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
                let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
                let edited = written
                    .map_err(|source| SavedQueryError::Io { verb: "write", path: path.clone(), source })
                    .and_then(|()| open_editor(&path))
                    .and_then(|()| read_edited(&path));
                // If it is not there, that is as well.
                let _ = std::fs::remove_file(&path);
                edited
            }
        };
        match edited {
            Ok(text) => {
                let text = text.trim();
                if text.is_empty() || input.offer(text) { Flow::GoOn } else { self.run_all(text, input) }
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                self.failed(Problem::new(format!("{error}{cause}"), error.hint().as_deref()))
            }
        }
    }

    fn read_file(&mut self, path: &str, input: &Input<'_>) -> Flow {
        let path = expand_home(path);
        if self.depth == DEEPEST {
            return self.failed(Problem::new(format!("cannot read `{}`: {DEEPEST} files read each other", path.display()), None));
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                self.depth += 1;
                let flow = self.run_all(&text, input);
                self.depth -= 1;
                flow
            }
            Err(error) => self.failed(Problem::new(format!("cannot read `{}`: {error}", path.display()), None)),
        }
    }

    fn shell(&mut self, command: Option<&str>, input: &Input<'_>) -> Flow {
        let mut process = match command {
            Some(command) => {
                let mut process = std::process::Command::new("/bin/sh");
                process.arg("-c").arg(command);
                process
            }
            None => std::process::Command::new(std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())),
        };
        if !input.has_prompt() {
            // What comes in is for us.
            process.stdin(Stdio::null());
        }
        // A name for `ps`, not a path of ours.
        process.arg0("sh");
        match process.status() {
            Ok(status) if status.success() => Flow::GoOn,
            Ok(status) => self.failed(Problem::new(format!("the command ended with {status}"), None)),
            Err(error) => self.failed(Problem::new(format!("cannot start a shell: {error}"), None)),
        }
    }

    fn show_list(&mut self, columns: Vec<(&str, Values)>) -> Flow {
        let options = OutputOptions {
            format: list::format_of_list(self.output.format),
            max_rows: MaxRows::Inf,
            null: Some(String::new()),
            chart: None,
            ..screen_options(&self.output)
        };
        let shown = list::stream_of(columns).map_err(OutputError::from);
        let shown = shown.and_then(|rows| self.runtime.block_on(Box::pin(write_screen(rows, &options, None))));
        match shown {
            Ok(_) => Flow::GoOn,
            Err(OutputError::ClosedPipe) => Flow::Quit,
            Err(error) => self.failed(error),
        }
    }

    /// Text to stdout.
    fn print(&mut self, text: &str) -> Flow {
        let shown = if self.output.target == Target::Terminal { for_terminal(text) } else { text.to_owned() };
        match std::io::stdout().write_all(shown.as_bytes()).and_then(|()| std::io::stdout().flush()) {
            Ok(()) => Flow::GoOn,
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Flow::Quit,
            Err(error) => self.failed(Problem::new(format!("cannot write to standard output: {error}"), None)),
        }
    }
}

fn read_edited(path: &Path) -> Result<String, SavedQueryError> {
    std::fs::read_to_string(path).map_err(|source| SavedQueryError::Io { verb: "read", path: path.to_owned(), source })
}

/// What a variable is set to: a number, yes or no, nothing, or a text.
fn value_of(text: &str) -> ScalarValue {
    let bare = unquote(text);
    if bare.len() < text.len() {
        return ScalarValue::from(bare);
    }
    let number = || text.parse().map(|number: i64| ScalarValue::Int64(Some(number)));
    let fraction =
        || text.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| ScalarValue::Float64(Some(number)));
    match text.to_ascii_lowercase().as_str() {
        "null" => ScalarValue::Null,
        "true" => ScalarValue::Boolean(Some(true)),
        "false" => ScalarValue::Boolean(Some(false)),
        _ => number().ok().or_else(fraction).unwrap_or_else(|| ScalarValue::from(text)),
    }
}

/// As it would be written in SQL.
fn shown(value: &ScalarValue) -> String {
    match value {
        ScalarValue::Utf8(Some(text)) => format!("'{}'", text.replace('\'', "''")),
        value => value.to_string(),
    }
}

/// The functions with `word` in their name or description.
fn functions_sql(word: &str) -> String {
    let word = word.to_lowercase().replace('\'', "''").replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!(
        "SELECT routine_name AS function, replace(max(syntax_example), chr(10), ' or ') AS usage, \
         btrim(replace(max(description), chr(10), ' ')) AS description \
         FROM information_schema.routines \
         WHERE lower(routine_name) LIKE '%{word}%' OR lower(description) LIKE '%{word}%' GROUP BY 1 ORDER BY 1"
    )
}

/// `~/` is the user's folder: no shell sees what is typed here.
pub(super) fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_what_it_looks_like_and_text_in_quotes_is_text() {
        for (text, written) in [
            ("5", "5"),
            ("-1.5", "-1.5"),
            ("'5'", "'5'"),
            ("web1", "'web1'"),
            ("it's", "'it''s'"),
            ("TRUE", "true"),
            ("null", "NULL"),
            ("inf", "'inf'"),
        ] {
            assert_eq!(shown(&value_of(text)), written);
        }
    }
}
