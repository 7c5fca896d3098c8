//! `logsql config show|check|path`: what is set, where, and whether that makes sense.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Exit;
use super::config::Config;
use super::options::{ConfigCommand, Options};
use super::sources::{self, Origin, Refused, Sources};
use super::tell::{self, Mark, Problem};
use crate::settings::{Written, quoted};

/// Runs a `config` command.
pub(super) fn run(options: Options, sources: &Sources, command: &ConfigCommand) -> Result<Exit, Problem> {
    match command {
        ConfigCommand::Show => show(options, sources),
        ConfigCommand::Check { file } => check(options, sources, file.as_ref()),
        ConfigCommand::Path => path(sources),
    }
}

/// All options, as a file of settings would have them; those without a value as comments.
fn show(options: Options, sources: &Sources) -> Result<Exit, Problem> {
    let shown = sources.shown();
    let mut lines: Vec<(String, String)> = vec![];
    for setting in &shown {
        let values: Vec<String> = setting.values.iter().map(|value| value_of(value)).collect();
        lines.push(match (values.as_slice(), setting.is_list) {
            ([], _) => (
                format!("# {} =", setting.option),
                setting.default.as_ref().map_or_else(|| "not set".to_owned(), |default| format!("default: {default}")),
            ),
            ([one], false) => (format!("{} = {one}", setting.option), setting.origin.to_string()),
            (many, _) => (format!("{} = [{}]", setting.option, many.join(", ")), setting.origin.to_string()),
        });
    }
    for section in ["mail", "schedule"] {
        let mut settings = sources.section(section).peekable();
        if settings.peek().is_some() {
            lines.push((String::new(), String::new()));
            lines.push((format!("[{section}]"), String::new()));
        }
        for setting in settings {
            let value = match &setting.value {
                Written::One(value) => value_of(value),
                Written::Many(values) => {
                    format!("[{}]", values.iter().map(|value| value_of(value)).collect::<Vec<_>>().join(", "))
                }
                Written::Named(values) => {
                    let pairs: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {}", value_of(value))).collect();
                    format!("{{ {} }}", pairs.join(", "))
                }
            };
            lines.push((format!("{} = {value}", setting.key), Origin::File(setting.place.clone()).to_string()));
        }
    }
    let width = lines.iter().map(|(left, _)| left.chars().count()).filter(|width| *width <= 40).max().unwrap_or(0);
    let mut text = String::new();
    for (left, right) in &lines {
        text += &match right.is_empty() {
            true => format!("{left}\n"),
            false => format!("{left:width$}  # {right}\n"),
        };
    }
    tell::out(&text)?;
    told(options, sources)
}

/// A value as TOML has it.
fn value_of(text: &str) -> String {
    let is_bare = text.parse::<i64>().is_ok() || matches!(text, "true" | "false");
    if is_bare { text.to_owned() } else { quoted(text) }
}

fn check(options: Options, sources: &Sources, file: Option<&PathBuf>) -> Result<Exit, Problem> {
    let Some(file) = file else {
        let exit = told(options, sources)?;
        if exit == Exit::Done {
            let there: Vec<String> = there(sources).map(|path| format!("`{}`", path.display())).collect();
            let what = if there.is_empty() {
                "there is no configuration file".to_owned()
            } else {
                format!("{} is right", there.join(" and "))
            };
            tell::out(&format!("{what}\n"))?;
        }
        return Ok(exit);
    };
    let args: Vec<OsString> = vec!["logsql".into(), "--config".into(), file.into(), "config".into(), "check".into()];
    match sources::parse(args) {
        Ok((options, sources)) => check(options, &sources, None),
        Err(Refused::Problem(problem)) => Err(problem),
        Err(Refused::Clap(error)) => Err(Problem::usage(error.to_string(), None)),
    }
}

/// Says all that is wrong.
fn told(options: Options, sources: &Sources) -> Result<Exit, Problem> {
    for problem in &sources.errors {
        tell::problem(problem);
    }
    let mut exit = if sources.errors.is_empty() { Exit::Done } else { Exit::Usage };
    if exit == Exit::Done
        // What only shows when values are put to use: sizes, zones, times.
        && let Err(problem) = Config::resolve(options, sources)
    {
        tell::problem(&problem);
        exit = Exit::Usage;
    }
    for (name, near) in Sources::stray_variables() {
        tell::line(tell::color(), Mark::Warning, &format!("the variable `{name}` is no option's"));
        if let Some(near) = near {
            tell::line(tell::color(), Mark::Hint, &format!("did you mean `{near}`?"));
        }
    }
    Ok(exit)
}

fn there(sources: &Sources) -> impl Iterator<Item = &PathBuf> {
    sources.files.iter().filter(|path| path.is_file())
}

/// The files that are looked at, those that win last.
fn path(sources: &Sources) -> Result<Exit, Problem> {
    let mut text = String::new();
    for path in &sources.files {
        text += &format!("{}{}\n", path.display(), if path.is_file() { "" } else { "  (not there)" });
    }
    tell::out(&text)?;
    Ok(Exit::Done)
}
