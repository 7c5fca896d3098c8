//! Where the value of each option comes from.
//!
//! ```text
//!   /etc/logsql/config.toml  <  $XDG_CONFIG_HOME/logsql/config.toml  <  LOGSQL_<OPTION>  <  the command line
//!   └──────────── read by `settings`, checked against clap's own list of options ─────┘       └─ clap
//! ```
//!
//! The long name of an option is its key in the file and, in capitals, its variable: there is no second list. What files and variables say becomes
//! the default of clap's option, so types, lists of values and messages are the same wherever a value comes from.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::options::{Options, Subcommands};
use super::tell::Problem;
use crate::settings::{Known, Place, Setting, SettingsError, Written};
use crate::table::nearest;

/// Options that say what this run is to do: they have neither a key nor a variable.
const JOB: [&str; 19] = [
    "chart",
    "command",
    "completions",
    "config",
    "csv",
    "fail-if-empty",
    "fail-if-rows",
    "file",
    "help",
    "json",
    "line",
    "man-page",
    "markdown",
    "ndjson",
    "no-config",
    "no-pager",
    "output",
    "tsv",
    "version",
];

/// Options that name files: in a file of settings they are relative to its folder.
const PATHS: [&str; 3] = ["formats", "rc", "store"];

/// Sections of the configuration, for what is no option.
const SECTIONS: [(&str, &[&str]); 2] = [
    ("mail", &["host", "port", "tls", "user", "password-file", "from", "ca-file"]),
    (
        "schedule",
        &["file", "mail", "command", "when", "window", "catch-up", "retries", "retry-delay", "lag", "timeout", "in-doubt"],
    ),
];

/// Variables that are no option's.
const VARIABLES: [&str; 7] = [
    "LOGSQL_COMPLETE",
    "LOGSQL_CORPUS",
    "LOGSQL_EDITOR_COMMAND",
    "LOGSQL_HISTORY",
    "LOGSQL_PAGER",
    "LOGSQL_PYLOGSPARSER",
    "LOGSQL_SIMD",
];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    CommandLine,
    Variable(String),
    File(Place),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Variable(name) => f.write_str(name),
            Self::File(place) => place.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value that a file or a variable gives to an option.
#[derive(Clone, Debug)]
struct Given {
    option: String,
    values: Vec<OsString>,
    origin: Origin,
}

/// One line of `config show`.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) option: String,
    pub(super) values: Vec<String>,
    /// What it is without a value.
    pub(super) default: Option<String>,
    pub(super) origin: Origin,
    pub(super) is_list: bool,
}

/// All that was given, and where.
#[derive(Debug, Default)]
pub(super) struct Sources {
    given: Vec<Given>,
    matches: ArgMatches,
    /// The files that are looked at, those that win last.
    pub(super) files: Vec<PathBuf>,
    /// What they say beside options.
    sections: Vec<Setting>,
    /// What is wrong with them.
    pub(super) errors: Vec<Problem>,
}

/// Why a command line is not taken.
pub(super) enum Refused {
    /// clap says it; help and version are among this.
    Clap(clap::Error),
    Problem(Problem),
}

/// The command with its options; switches take `=false` too, so that what a file turns on can be turned off.
pub(super) fn command() -> clap::Command {
    // All at once: an argument that is changed by its name moves to the end of the help.
    Options::command().mut_args(|arg| {
        if !is_setting(&arg) || !matches!(arg.get_action(), ArgAction::SetTrue) {
            return arg;
        }
        let arg = arg.action(ArgAction::Set).num_args(0..=1).require_equals(true).default_missing_value("true");
        arg.default_value("false").value_parser(BoolishValueParser::new()).value_name("BOOL").hide_default_value(true)
    })
}

fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| !JOB.contains(&long))
}

fn variable(option: &str) -> String {
    format!("LOGSQL_{}", option.to_ascii_uppercase().replace('-', "_"))
}

/// Reads the command line, with what files and variables say behind it.
pub(super) fn parse(args: Vec<OsString>) -> Result<(Options, Sources), Refused> {
    let command = command();
    let mut sources = Sources { files: files(&args).map_err(Refused::Problem)?, ..Sources::default() };
    sources.load(&command);
    let command = command.mut_args(|arg| match sources.given.iter().find(|given| arg.get_long() == Some(&given.option)) {
        Some(given) => {
            arg.default_values(given.values.iter().map(|value| clap::builder::OsStr::from(value.clone())).collect::<Vec<_>>())
        }
        None => arg,
    });
    sources.matches = command.try_get_matches_from(args).map_err(Refused::Clap)?;
    let options = Options::from_arg_matches(&sources.matches).map_err(Refused::Clap)?;
    // What tells what is wrong has to run all the same.
    let may_be_wrong =
        matches!(options.command, Some(Subcommands::Config(_) | Subcommands::Completions { .. } | Subcommands::Man { .. }));
    if !may_be_wrong && !sources.errors.is_empty() {
        return Err(Refused::Problem(sources.errors.swap_remove(0)));
    }
    Ok((options, sources))
}

fn id(option: &str) -> String {
    option.replace('-', "_")
}

/// The files of settings. Which ones is asked before clap knows its defaults, so the two options are looked for by hand.
fn files(args: &[OsString]) -> Result<Vec<PathBuf>, Problem> {
    let mut args = args.iter().skip(1).take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        if arg == "--no-config" {
            return Ok(vec![]);
        }
        let named = if arg == "--config" {
            args.next().map(PathBuf::from)
        } else {
            arg.to_str().and_then(|arg| arg.strip_prefix("--config=")).map(PathBuf::from)
        };
        if let Some(path) = named {
            return if path.is_file() {
                Ok(vec![path])
            } else {
                Err(Problem::usage(format!("--config: there is no file `{}`", path.display()), None))
            };
        }
    }
    let own = super::config::config_folder().map(|folder| folder.join("config.toml"));
    Ok(std::iter::once(PathBuf::from("/etc/logsql/config.toml")).chain(own).collect())
}

impl Sources {
    /// Takes what files and variables say; what is wrong goes to `errors`.
    fn load(&mut self, command: &clap::Command) {
        let options: Vec<&Arg> = command.get_arguments().filter(|arg| is_setting(arg)).collect();
        let mut given: Vec<Given> = vec![];
        for path in self.files.clone() {
            match read_file(&path, &options) {
                Ok(settings) => {
                    for setting in settings {
                        if setting.section.is_empty() {
                            match from_file(setting, &options, &path) {
                                Ok(new) => replace(&mut given, new),
                                Err(error) => self.errors.push(error.into()),
                            }
                        } else {
                            self.sections.retain(|old| (&old.section, &old.key) != (&setting.section, &setting.key));
                            self.sections.push(setting);
                        }
                    }
                }
                Err(errors) => self.errors.extend(errors),
            }
        }
        for arg in &options {
            let option = arg.get_long().unwrap_or_default();
            let name = variable(option);
            // An empty variable is one that is not set.
            let Some(value) = std::env::var_os(&name).filter(|value| !value.is_empty()) else { continue };
            let values = match arg.get_action() {
                ArgAction::Append if PATHS.contains(&option) => std::env::split_paths(&value).map(Into::into).collect(),
                ArgAction::Append => value.to_string_lossy().lines().map(Into::into).collect(),
                _ => vec![value],
            };
            let new = Given { option: option.to_owned(), values, origin: Origin::Variable(name.clone()) };
            match check(arg, &new.values) {
                Ok(()) => replace(&mut given, new),
                Err((message, hint)) => self.errors.push(Problem::usage(format!("{name}: {message}"), hint)),
            }
        }
        self.given = given;
    }

    /// Where the value of an option comes from.
    pub(super) fn origin(&self, option: &str) -> Origin {
        if self.is_typed(option) {
            return Origin::CommandLine;
        }
        self.given.iter().find(|given| given.option == option).map_or(Origin::Default, |given| given.origin.clone())
    }

    /// What an option is called where its value comes from: for messages.
    pub(super) fn name(&self, option: &str) -> String {
        match self.origin(option) {
            Origin::Variable(name) => name,
            Origin::File(place) => format!("{place}: {option}"),
            Origin::CommandLine | Origin::Default => format!("--{option}"),
        }
    }

    /// Whether an option stands on the command line.
    pub(super) fn is_typed(&self, option: &str) -> bool {
        let id = match option {
            "command" => "sql".to_owned(),
            option => id(option),
        };
        self.matches.ids().any(|known| *known == id.as_str()) && self.matches.value_source(&id) == Some(ValueSource::CommandLine)
    }

    /// The value of an option, wherever it comes from.
    pub(super) fn value(&self, option: &str) -> Option<String> {
        let mut raw = self.matches.try_get_raw(&id(option)).ok().flatten()?;
        raw.next_back().map(|value| value.to_string_lossy().into_owned())
    }

    /// … if it stands on the command line.
    pub(super) fn typed_value(&self, option: &str) -> Option<String> {
        if self.is_typed(option) { self.value(option) } else { None }
    }

    /// An option of all commands that stands on the command line, and is none of these.
    pub(super) fn typed_beside(&self, options: &[&str]) -> Option<String> {
        let command = command();
        let mut longs = command.get_arguments().filter_map(Arg::get_long);
        longs.find(|long| !options.contains(long) && self.is_typed(long)).map(str::to_owned)
    }

    /// What the files say in a section.
    pub(super) fn section(&self, name: &str) -> impl Iterator<Item = &Setting> {
        self.sections.iter().filter(move |setting| setting.section == name)
    }

    /// Every option that has a key, in the order of the help.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let command = command();
        let options = command.get_arguments().filter(|arg| is_setting(arg));
        let shown = options.map(|arg| {
            let option = arg.get_long().unwrap_or_default().to_owned();
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let default = help.split_once("[default: ").and_then(|(_, rest)| Some(rest.rsplit_once(']')?.0.to_owned()));
            let raw = self.matches.try_get_raw(arg.get_id().as_str()).ok().flatten();
            let values: Vec<String> = raw.into_iter().flatten().map(|value| value.to_string_lossy().into_owned()).collect();
            let origin = self.origin(&option);
            let is_default = origin == Origin::Default;
            Shown {
                default: default.or_else(|| values.first().filter(|_| is_default).cloned()),
                values: if is_default { vec![] } else { values },
                origin,
                is_list: matches!(arg.get_action(), ArgAction::Append),
                option,
            }
        });
        shown.collect()
    }

    /// Variables that look like ours and are none, with what was meant perhaps.
    pub(super) fn stray_variables() -> Vec<(String, Option<String>)> {
        let command = command();
        let known: Vec<String> = command
            .get_arguments()
            .filter(|arg| is_setting(arg))
            .filter_map(|arg| arg.get_long().map(variable))
            .chain(VARIABLES.map(str::to_owned))
            .collect();
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut stray: Vec<String> = names
            .filter(|name| name.starts_with("LOGSQL_") && !name.starts_with("LOGSQL_RUN_") && !known.contains(name))
            .collect();
        stray.sort();
        stray
            .into_iter()
            .map(|name| {
                let near = nearest(&name, known.iter().map(String::as_str)).into_iter().next();
                (name, near)
            })
            .collect()
    }
}

fn replace(given: &mut Vec<Given>, new: Given) {
    given.retain(|old| old.option != new.option);
    given.push(new);
}

/// Reads one file of settings, if it is there.
fn read_file(path: &Path, options: &[&Arg]) -> Result<Vec<Setting>, Vec<Problem>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => {
            return Err(vec![Problem::usage(
                format!("cannot read `{}`: {error}", path.display()),
                Some("run without it: `--no-config`".to_owned()),
            )]);
        }
    };
    let mut known: Vec<Known<'_>> = vec![("", options.iter().filter_map(|arg| arg.get_long()).collect())];
    known.extend(SECTIONS.map(|(name, keys)| (name, keys.to_vec())));
    crate::settings::read(&path.display().to_string(), &text, &known)
        .map_err(|errors| errors.into_iter().map(Into::into).collect())
}

/// What a file says for an option.
fn from_file(setting: Setting, options: &[&Arg], path: &Path) -> Result<Given, SettingsError> {
    let arg = options.iter().find(|arg| arg.get_long() == Some(&setting.key)).expect("only known keys are read");
    let written = match (&setting.value, arg.get_action()) {
        (Written::One(value), _) => vec![value.clone()],
        (Written::Many(values), ArgAction::Append) => values.clone(),
        (Written::Many(_), _) => return Err(setting.wrong(format!("`{}` takes one value", setting.key), None)),
        (Written::Named(_), _) => return Err(setting.wrong(format!("`{}` takes no table", setting.key), None)),
    };
    let values: Vec<OsString> = if PATHS.contains(&setting.key.as_str()) {
        written.iter().map(|value| beside(path, value).into_os_string()).collect()
    } else {
        written.into_iter().map(Into::into).collect()
    };
    check(arg, &values).map_err(|(message, hint)| setting.wrong(format!("{}: {message}", setting.key), hint.as_deref()))?;
    Ok(Given { option: setting.key, values, origin: Origin::File(setting.place) })
}

/// A path of a file of settings: relative to its folder, and `~/` is the home.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => file.parent().unwrap_or_else(|| Path::new("")).join(path),
    }
}

/// Asks clap whether an option takes these values; alone, so that what is wrong is theirs.
fn check(arg: &Arg, values: &[OsString]) -> Result<(), (String, Option<String>)> {
    let long = arg.get_long().unwrap_or_default();
    let typed = |value: &OsString| [OsStr::new("--"), OsStr::new(long), OsStr::new("="), value].into_iter().collect::<OsString>();
    let alone = clap::Command::new("logsql").no_binary_name(true).arg(arg.clone().global(false));
    let Err(error) = alone.try_get_matches_from(values.iter().map(typed)) else { return Ok(()) };
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    // `invalid value 'x' for '--threads <N>': invalid digit`: which option it is, the place tells.
    let message = match (message.split_once(" for '--"), message.split_once("': ")) {
        (Some((value, _)), Some((_, why))) if !why.is_empty() => format!("{value}: {why}"),
        (Some((value, _)), _) => value.to_owned(),
        (None, _) => message.to_owned(),
    };
    let possible = text.lines().map(str::trim).find_map(|line| line.strip_prefix("[possible values: ")?.strip_suffix(']'));
    Err((message, possible.map(|values| format!("there are {values}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_found_by_its_long_name() {
        let command = command();
        command.clone().debug_assert();
        for arg in command.get_arguments().filter(|arg| is_setting(arg)) {
            assert_eq!(arg.get_id().as_str(), id(arg.get_long().expect("it has one")));
        }
        for job in JOB.iter().filter(|job| !matches!(**job, "help" | "version")) {
            assert!(command.get_arguments().any(|arg| arg.get_long() == Some(job)), "there is no option --{job}");
        }
    }

    #[test]
    fn switches_stand_together_and_can_be_turned_off() {
        let parsed = |args: &[&str]| {
            let matches = command().try_get_matches_from(["logsql"].iter().chain(args)).expect("is right");
            let options = Options::from_arg_matches(&matches).expect("is right");
            (options.output.quiet, options.input.recursive, options.input.strict)
        };
        assert_eq!(parsed(&["-qr", "--strict"]), (true, true, true));
        assert_eq!(parsed(&["--quiet=false", "--recursive=yes", "SELECT 1"]), (false, true, false));
        assert_eq!(parsed(&["tables", "-q"]), (true, false, false));
    }

    #[test]
    fn what_clap_refuses_is_said_shortly() {
        let command = command();
        let arg = |long: &str| command.get_arguments().find(|arg| arg.get_long() == Some(long)).expect("there is one");
        assert_eq!(check(arg("threads"), &["2".into()]), Ok(()));
        let (message, _) = check(arg("threads"), &["two".into()]).expect_err("no number");
        assert_eq!(message, "invalid value 'two': invalid digit found in string");
        let (message, hint) = check(arg("color"), &["allways".into()]).expect_err("no such value");
        assert_eq!((message.as_str(), hint.as_deref()), ("invalid value 'allways'", Some("there are auto, always, never")));
    }
}
