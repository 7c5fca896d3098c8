//! From what was typed to what was decided: defaults, environment, conflicts. All here, once.

use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Exit;
use super::options::{CollectArgs, CollectCommand, Command, ExpandedArg, IndexArgs, MmapArg, Options, Subcommands, When};
use super::sources::Sources;
use super::tell::Problem;
use crate::output::{
    Charset, ChartSpec, Color, CsvSafety, Expanded, Header, MaxRows, OutputFormat, OutputOptions, Pager, PagerWhen, Target,
    UnknownFormat,
};
use crate::query::{Clock, SavedQuery, TIME_FORMS, duration, moment};
use crate::session::{PseudonymKey, SessionOptions, TimeWindow, xdg_folder};
use crate::source::{DecompressLimit, MmapMode, ReadOptions, ResolveOptions};
use crate::store::{Copies, is_store};
use crate::table::{IndexOptions, InputSpec, OnChange, ScanOptions};

/// A piece of SQL to run, and where it comes from.
#[derive(Clone, Debug)]
pub(super) enum Script {
    Text(String),
    File(PathBuf),
    /// A saved query, with values for parameters.
    Saved(Box<SavedQuery>, Vec<(String, String)>),
}

/// What to do about the index.
#[derive(Clone, Debug)]
pub(super) enum IndexCommand {
    Build,
    List,
    Remove(Vec<OsString>),
    Clear,
}

/// What becomes of the rest after a failed statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnError {
    Stop,
    GoOn,
}

/// When a result is an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlertIf {
    Never,
    Rows,
    Empty,
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Talk {
    Quiet,
    Normal,
    Verbose,
}

/// Rows that come before those that are still to be logged: as many as tail shows.
const NEWEST: usize = 10;

/// What was decided.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) command: Command,
    pub(super) scripts: Vec<Script>,
    pub(super) rc: Option<PathBuf>,
    pub(super) on_error: OnError,
    /// Whether statements are followed, and how many of the newest rows come first.
    pub(super) follow: Option<usize>,
    pub(super) alert: AlertIf,
    pub(super) session: SessionOptions,
    pub(super) output: OutputOptions,
    pub(super) output_file: Option<PathBuf>,
    pub(super) talk: Talk,
    /// Whether a long query says how far it is.
    pub(super) progress: bool,
    /// Colours on stderr.
    pub(super) color_messages: Color,
    pub(super) strict: bool,
    pub(super) max_errors: Option<u64>,
    pub(super) threads: usize,
    /// Now, and here: for times that are given as text.
    pub(super) clock: Clock,
    /// Where the user's own definitions are.
    pub(super) format_folder: Option<PathBuf>,
    /// Where the user's saved queries are.
    pub(super) query_folder: Option<PathBuf>,
}

impl Config {
    /// Decides everything.
    pub(super) fn resolve(options: Options, sources: &Sources) -> Result<Self, Problem> {
        let Options { words, run, input, output, limits, command, .. } = options;
        let mut scripts: Vec<Script> = run.sql.into_iter().map(Script::Text).collect();
        scripts.extend(run.file.into_iter().map(Script::File));
        let mut paths = words;
        let mut store = input.store;
        let config_home = config_folder();
        let query_folder = config_home.as_ref().map(|home| home.join("queries"));
        let format_folder = config_home.as_ref().map(|home| home.join("formats"));
        let command = match command {
            Some(Subcommands::Tables { paths: more }) => {
                paths.extend(more);
                Command::Tables
            }
            Some(Subcommands::Repl { paths: more }) => {
                paths.extend(more);
                Command::Repl
            }
            Some(Subcommands::Convert(convert)) => {
                paths.extend(convert.paths);
                if let (Some(_), Some(_)) = (&store, &output.output) {
                    return Err(Problem::usage(
                        "-o and --store name the same thing for `convert`",
                        Some("leave one out".to_owned()),
                    ));
                }
                store = store.or_else(|| output.output.clone());
                Command::Collect(CollectCommand { name: "convert", parquet: convert.parquet, follow: None, is_complete: true })
            }
            Some(Subcommands::Collect(collect)) => {
                paths.extend(collect.paths);
                let CollectArgs { follow, parquet, .. } = collect;
                Command::Collect(CollectCommand { name: "collect", parquet, follow, is_complete: false })
            }
            Some(Subcommands::Format(command)) => Command::Format(command),
            Some(Subcommands::Index(mut index)) => {
                paths.append(&mut index.paths);
                Command::Index(match index {
                    IndexArgs { list: true, .. } => IndexCommand::List,
                    IndexArgs { remove: true, .. } => IndexCommand::Remove(std::mem::take(&mut paths)),
                    IndexArgs { clear: true, .. } => IndexCommand::Clear,
                    IndexArgs { .. } => IndexCommand::Build,
                })
            }
            Some(Subcommands::Report(mut report)) => {
                // Names before paths: which is which, the saved queries tell.
                paths.append(&mut report.words);
                let (queries, rest) = super::report::split(paths, query_folder.as_deref())?;
                paths = rest;
                scripts = super::report::scripts(queries, &report)?;
                Command::Report(report)
            }
            Some(
                Subcommands::Config(_) | Subcommands::Schedule(_) | Subcommands::Completions { .. } | Subcommands::Man { .. },
            ) => Command::Tables,
            None => {
                if scripts.is_empty() && paths.first().is_some_and(is_sql) {
                    let sql = paths.remove(0).into_string().map_err(|word| {
                        Problem::usage(format!("the SQL is not valid UTF-8: {}", word.to_string_lossy()), None)
                    })?;
                    scripts.push(Script::Text(sql));
                }
                match (scripts.is_empty(), std::io::stdin().is_terminal()) {
                    (false, _) => Command::Query,
                    (true, true) => Command::Repl,
                    // Nothing to run and nobody to ask: the script is what comes in.
                    (true, false) if paths.iter().any(|path| path == "-") => {
                        return Err(Problem::usage(
                            "there is no SQL to run on standard input",
                            Some("give it as the first word: `… | logsql \"SELECT count(*) FROM access_log\" -`".to_owned()),
                        ));
                    }
                    (true, false) => {
                        scripts.push(Script::File("-".into()));
                        Command::Query
                    }
                }
            }
        };

        let store = place_of_store(store, sources.is_typed("store"), &mut paths, &command)?;
        // A machine in UTC has its zone as one whose clock might be changed: then stamps would be followed for nothing.
        let machine_zone = match TimeZone::system() {
            zone if matches!(zone.iana_name(), Some("UTC" | "Etc/UTC" | "Etc/UCT" | "UCT" | "Zulu" | "Universal")) => {
                TimeZone::UTC
            }
            zone => zone,
        };
        let assumed = zone(input.assume_tz.as_deref(), &sources.name("assume-tz"))?.unwrap_or_else(|| machine_zone.clone());
        let shown = zone(output.tz.as_deref(), &sources.name("tz"))?;
        let clock = Clock { now: Timestamp::now(), zone: shown.clone().unwrap_or_else(|| machine_zone.clone()) };
        let bound = |text: &Option<String>, flag: &str| {
            text.as_deref().map(|text| moment(text, &clock).ok_or_else(|| bad_time(flag, text))).transpose()
        };
        let window =
            TimeWindow { since: bound(&run.since, &sources.name("since"))?, until: bound(&run.until, &sources.name("until"))? };

        let threads = match limits.threads {
            Some(0) => return Err(Problem::usage(format!("{}: there must be at least 1", sources.name("threads")), None)),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let memory_bytes = match &limits.memory_limit {
            Some(text) => size(text, &sources.name("memory-limit"))?,
            None => machine_memory().map_or(1 << 30, |bytes| bytes / 10 * 6),
        };
        let disk_bytes = match &limits.disk_limit {
            Some(text) => size(text, &sources.name("disk-limit"))? as u64,
            None => free_disk(&std::env::temp_dir()).map_or(1 << 30, |free| (free / 2).min(10 << 30)),
        };

        let is_followed = run.follow || run.tail.is_some();
        if is_followed && !(matches!(command, Command::Query) && output.output.is_none()) {
            let hint = "as in `logsql --follow \"SELECT * FROM access_log\"`; in the REPL it is `\\tail`".to_owned();
            return Err(Problem::usage("--follow is for SQL, and what is followed has no end to wait for a file", Some(hint)));
        }

        let file_format = output.output.as_deref().and_then(OutputFormat::from_extension);
        let shortcuts = [
            (output.csv, OutputFormat::Csv),
            (output.tsv, OutputFormat::Tsv),
            (output.json, OutputFormat::Json),
            (output.ndjson, OutputFormat::Ndjson),
            (output.markdown, OutputFormat::Markdown),
            (output.line, OutputFormat::Line),
        ];
        let shortcut = shortcuts.into_iter().find(|(given, _)| *given).map(|(_, format)| format);
        let named = output.format.as_deref().map(str::parse).transpose().map_err(|error: UnknownFormat| {
            match sources.is_typed("format") {
                true => Problem::usage(error.to_string(), None),
                false => Problem::usage(format!("{}: {error}", sources.name("format")), None),
            }
        })?;
        let chart = output.chart.as_deref().filter(|text| !text.is_empty()).map(str::parse::<ChartSpec>).transpose();
        let chart = chart.map_err(|error| Problem::usage(format!("--chart: {error}"), error.hint()))?;
        let on_terminal = std::io::stdout().is_terminal();
        let default = if on_terminal || chart.is_some() { OutputFormat::Table } else { OutputFormat::Tsv };
        // What is typed wins over what is set for good, and the name of a file is typed.
        let (named, set) = if sources.is_typed("format") { (named, None) } else { (None, named) };
        let format = shortcut.or(named).or(file_format).or(set).unwrap_or(default);
        if chart.is_some() && format != OutputFormat::Table {
            return Err(Problem::usage(
                format!("--chart draws with characters, and the result is to be {format}"),
                Some("leave one of them out; `logsql report … -o page.html` draws charts for a browser".to_owned()),
            ));
        }
        let target = match (&output.output, on_terminal) {
            (Some(_), _) => Target::File,
            (None, true) => Target::Terminal,
            (None, false) => Target::Pipe,
        };
        let max_rows = output.max_rows.as_deref().map(str::parse::<MaxRows>).transpose();
        let max_rows =
            max_rows.map_err(|_| Problem::usage(format!("{} takes a number or `inf`", sources.name("max-rows")), None))?;
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = env("LC_ALL").or_else(|| env("LC_CTYPE")).or_else(|| env("LANG"));
        let term = env("TERM");
        let color = |terminal: bool| match output.color {
            Some(When::Always) => Color::Always,
            Some(When::Never) => Color::Never,
            Some(When::Auto) | None => {
                let forced = env("CLICOLOR_FORCE").is_some_and(|value| value != "0");
                let refused = env("NO_COLOR").is_some() || term.as_deref() == Some("dumb");
                if !refused && (terminal || forced) { Color::Always } else { Color::Never }
            }
        };
        let paging = if output.no_pager { When::Never } else { output.paging.unwrap_or(When::Auto) };
        let pager = match paging {
            When::Never => None,
            _ if target != Target::Terminal || term.as_deref() == Some("dumb") => None,
            paging => pager_command().map(|command| Pager {
                command,
                when: if matches!(paging, When::Always) { PagerWhen::Always } else { PagerWhen::TooHigh },
            }),
        };
        let all_rows = pager.as_ref().is_some_and(|pager| pager.when == PagerWhen::Always);
        let output_options = OutputOptions {
            width: (target == Target::Terminal).then(crate::output::terminal_width).flatten(),
            color: if target == Target::File { Color::Never } else { color(on_terminal) },
            target,
            null: output.null.clone(),
            max_rows: max_rows.unwrap_or_else(|| if all_rows { MaxRows::Inf } else { MaxRows::default() }),
            header: if output.no_header { Header::Hide } else { Header::Show },
            csv: if output.csv_safe { CsvSafety::FormulaSafe } else { CsvSafety::Raw },
            expanded: match output.expanded {
                Some(ExpandedArg::On) => Expanded::On,
                Some(ExpandedArg::Off) => Expanded::Off,
                // Only a person profits from a switch.
                Some(ExpandedArg::Auto) | None if target == Target::Terminal => Expanded::Auto,
                Some(ExpandedArg::Auto) | None => Expanded::Off,
            },
            charset: Charset::of(term.as_deref(), locale.as_deref()),
            zone: shown.clone(),
            pager,
            chart,
            ..OutputOptions::new(format)
        };

        let pseudonyms = match (output.anonymize || output.anonymize_key.is_some(), &output.anonymize_key) {
            (false, _) => None,
            (true, Some(text)) if text.is_empty() => return Err(Problem::usage("the key of pseudonyms is empty", None)),
            (true, Some(text)) => Some(PseudonymKey::of_text(text)),
            (true, None) => Some(kept_key()?),
        };
        let slack = |text: &str| {
            let hint = "write how far a line may be from its place, like `--assume-ordered=10m` or `--assume-ordered=2h`";
            duration(text).ok_or_else(|| {
                Problem::usage(
                    format!("{}: `{text}` is no length of time", sources.name("assume-ordered")),
                    Some(hint.to_owned()),
                )
            })
        };
        let assume_ordered = input.assume_ordered.as_deref().map(slack).transpose()?;
        let scan = ScanOptions {
            read: ReadOptions {
                mmap: match input.mmap {
                    None | Some(MmapArg::Auto) => MmapMode::Auto,
                    Some(MmapArg::Always) => MmapMode::Always,
                    Some(MmapArg::Never) => MmapMode::Never,
                },
                decompress_limit: if input.no_decompress_limit { DecompressLimit::Unlimited } else { DecompressLimit::default() },
                ..ReadOptions::default()
            },
            resolve: ResolveOptions { recursive: input.recursive, follow_symlinks: !input.no_follow },
            zone: assumed,
            assume_ordered,
            input_format: input.input_format,
            on_change: if input.strict { OnChange::Fail } else { OnChange::Report },
            // What is collected is not scanned again.
            index: index_folder().filter(|_| !input.no_index && !matches!(command, Command::Collect(_))).map(IndexOptions::new),
            ..ScanOptions::default()
        };
        let inputs = match (&store, paths.is_empty()) {
            // The store was named as what there is to read, and nothing else was.
            (Some(Store { is_all: true, .. }), true) => InputSpec::Args(vec![]),
            (_, true) => InputSpec::WellKnown("/".into()),
            (_, false) => InputSpec::Args(paths),
        };
        let mut definition_folders: Vec<PathBuf> = input.formats;
        definition_folders.extend(config_home.iter().map(|home| home.join("formats")).filter(|folder| folder.is_dir()));
        definition_folders.extend(Some(PathBuf::from("/etc/logsql/formats")).filter(|folder| folder.is_dir()));
        let rc = match (run.no_rc, run.rc) {
            (true, _) => None,
            (false, Some(file)) => Some(file),
            (false, None) => config_home.map(|home| home.join("rc.sql")).filter(|file| file.is_file()),
        };
        let interactive = matches!(command, Command::Repl);
        let is_convert = matches!(&command, Command::Collect(CollectCommand { is_complete: true, .. }));
        Ok(Self {
            command,
            scripts,
            rc,
            on_error: if run.bail.unwrap_or(!interactive) { OnError::Stop } else { OnError::GoOn },
            follow: run.tail.or_else(|| run.follow.then_some(NEWEST)),
            alert: match (run.fail_if_rows, run.fail_if_empty) {
                (true, _) => AlertIf::Rows,
                (_, true) => AlertIf::Empty,
                _ => AlertIf::Never,
            },
            session: SessionOptions {
                inputs,
                store: store.map(|store| store.folder),
                copies: if is_convert { Copies::Read } else { Copies::Skip },
                bindings: input.table,
                definition_folders,
                server_root: (!input.no_server_config).then(|| "/".into()),
                scan,
                window,
                memory_bytes,
                disk_bytes,
                threads,
                shown_zone: shown.and_then(|zone| zone.iana_name().map(str::to_owned)),
                settings: datafusion_settings(),
                pseudonyms,
            },
            output: output_options,
            output_file: output.output,
            talk: match (output.quiet, output.verbose) {
                (true, _) => Talk::Quiet,
                (_, true) => Talk::Verbose,
                _ => Talk::Normal,
            },
            progress: !output.quiet && std::io::stderr().is_terminal() && !matches!(term.as_deref(), None | Some("dumb")),
            color_messages: color(std::io::stderr().is_terminal()),
            strict: input.strict,
            max_errors: input.max_errors,
            threads,
            clock,
            format_folder,
            query_folder,
        })
    }
}

/// A store, and whether it is all that there is to read.
struct Store {
    folder: PathBuf,
    is_all: bool,
}

/// Which store is meant: by its folder among the paths, or by its option. One that is set once for all is not meant where paths are
/// named.
fn place_of_store(
    named: Option<PathBuf>,
    is_typed: bool,
    paths: &mut Vec<OsString>,
    command: &Command,
) -> Result<Option<Store>, Problem> {
    if let Command::Collect(collect) = command {
        let folder = named.ok_or_else(|| {
            let hint = match collect.is_complete {
                true => "`logsql convert PATH… -o DIR`",
                false => "`logsql collect --store DIR`",
            };
            Problem::usage(format!("`{}` needs a folder to write to", collect.name), Some(hint.to_owned()))
        })?;
        return Ok(Some(Store { folder, is_all: false }));
    }
    let mut found: Vec<PathBuf> = vec![];
    paths.retain(|path| {
        let is_store = is_store(Path::new(path));
        found.extend(is_store.then(|| PathBuf::from(path)));
        !is_store
    });
    let is_all = !found.is_empty() && paths.is_empty();
    found.extend(named.filter(|_| is_typed || (found.is_empty() && paths.is_empty())));
    let mut found = found.into_iter();
    let folder = found.next();
    if found.next().is_some() {
        let hint = "convert or collect into one folder, or query them one by one".to_owned();
        return Err(Problem::usage("there is more than one store", Some(hint)));
    }
    Ok(folder.map(|folder| Store { folder, is_all }))
}

/// The pager that the user wants, or else less, if it is there.
fn pager_command() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok();
    match set("LOGSQL_PAGER").or_else(|| set("PAGER")) {
        Some(command) => Some(command).filter(|command| !matches!(command.trim(), "" | "cat")),
        None => {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).any(|folder| folder.join("less").is_file()).then(|| "less".to_owned())
        }
    }
}

/// The key of pseudonyms of this user, made when it is needed first.
fn kept_key() -> Result<PseudonymKey, Problem> {
    let hint = "give one with --anonymize-key";
    let Some(folder) = xdg_folder("XDG_STATE_HOME", ".local/state") else {
        return Err(Problem::new(Exit::Failed, "there is no folder for the key of pseudonyms", Some(hint.to_owned())));
    };
    let path = folder.join("anonymize.key");
    PseudonymKey::kept(&path).map_err(|error| {
        Problem::new(
            Exit::Failed,
            format!("cannot keep the key of pseudonyms in `{}`: {error}", path.display()),
            Some(hint.to_owned()),
        )
    })
}

/// SQL has a blank in it; a path rarely has, and one that exists is a path.
fn is_sql(word: &OsString) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.iter().any(u8::is_ascii_whitespace) && !Path::new(word).exists()
}

/// `$XDG_CONFIG_HOME/logsql`.
pub(super) fn config_folder() -> Option<PathBuf> {
    xdg_folder("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_CACHE_HOME/logsql/index`.
fn index_folder() -> Option<PathBuf> {
    xdg_folder("XDG_CACHE_HOME", ".cache").map(|cache| cache.join("index"))
}

/// Settings of the engine, from variables such as `DATAFUSION_EXECUTION_BATCH_SIZE`.
fn datafusion_settings() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("DATAFUSION_")).collect()
}

fn zone(name: Option<&str>, flag: &str) -> Result<Option<TimeZone>, Problem> {
    let Some(name) = name else { return Ok(None) };
    if name.eq_ignore_ascii_case("utc") {
        return Ok(Some(TimeZone::UTC));
    }
    if name.eq_ignore_ascii_case("local") {
        return Ok(Some(TimeZone::system()));
    }
    TimeZone::get(name).map(Some).map_err(|_| {
        Problem::usage(
            format!("{flag}: unknown time zone `{name}`"),
            Some("use a name such as `Europe/Berlin`, `UTC` or `local`".to_owned()),
        )
    })
}

fn bad_time(flag: &str, text: &str) -> Problem {
    Problem::usage(format!("{flag}: `{text}` is no time"), Some(TIME_FORMS.to_owned()))
}

pub(super) fn size(text: &str, flag: &str) -> Result<usize, Problem> {
    let parse = || {
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
        let number: f64 = lower[..digits].parse().ok()?;
        let shift = match lower[digits..].trim().trim_end_matches("ib").trim_end_matches('b') {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return None,
        };
        let bytes = number * f64::from(1u32 << 10).powi(shift / 10);
        (bytes >= 1.0 && bytes < usize::MAX as f64).then_some(bytes as usize)
    };
    parse().ok_or_else(|| Problem::usage(format!("{flag}: `{text}` is no size"), Some("write `512M` or `4G`".to_owned())))
}

/// Memory that this process may use: the machine's, or what its cgroup allows.
fn machine_memory() -> Option<usize> {
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
    });
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| {
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/').to_owned();
        let limit = fs::read_to_string(Path::new("/sys/fs/cgroup").join(path).join("memory.max"));
        let limit = limit.or_else(|_| fs::read_to_string("/sys/fs/cgroup/memory.max"));
        limit.ok()?.trim().parse::<usize>().ok()
    });
    total.into_iter().chain(group).min()
}

fn free_disk(folder: &Path) -> Option<u64> {
    crate::source::free_bytes(folder).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [("1", 1), ("1k", 1024), ("512M", 512 << 20), ("1.5g", 3 << 29), ("2GiB", 2 << 30)] {
            assert_eq!(size(text, "-m").ok(), Some(expected), "{text}");
        }
        for text in ["", "x", "-1", "1q", "0", "99999999999T"] {
            assert!(size(text, "-m").is_err(), "{text}");
        }
    }

    #[test]
    fn sql_has_a_blank_in_it() {
        assert!(is_sql(&"SELECT 1".into()));
        assert!(!is_sql(&"access.log".into()));
    }
}
