//! `logsql report`: saved queries, one by one like any SQL, or together on a page.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;

use super::Exit;
use super::config::{Config, Script, Talk};
use super::options::ReportOptions;
use super::query::{LAST_MOMENT, interrupted, interrupts, runtime};
use super::tell::{self, Mark, Problem};
use crate::output::{sanitise_cell, write_whole};
use crate::query::{Clock, Library, SavedQuery, SavedQueryError, check_given, create, is_name, open_editor};
use crate::report::{Report, ReportFormat, Section};
use crate::session::Session;

/// Names at the begin of the words, and paths behind them.
pub(super) fn split(words: Vec<OsString>, folder: Option<&Path>) -> Result<(Vec<SavedQuery>, Vec<OsString>), Problem> {
    let library = Library::load(folder)?;
    let mut queries: Vec<SavedQuery> = vec![];
    let mut paths = vec![];
    for word in words {
        let name = word.to_str().filter(|word| paths.is_empty() && is_name(word) && *word != "-");
        match name {
            // A file without a dot in its name has to be written with its folder, as `./name`.
            Some(name) if library.has(name) || !Path::new(name).exists() => {
                for query in library.find(name)? {
                    if queries.iter().all(|other| other.name != query.name) {
                        queries.push(query.clone());
                    }
                }
            }
            _ => paths.push(word),
        }
    }
    Ok((queries, paths))
}

/// The queries with what is given for their parameters.
pub(super) fn scripts(queries: Vec<SavedQuery>, options: &ReportOptions) -> Result<Vec<Script>, Problem> {
    let mut given = vec![];
    for param in &options.param {
        let Some((name, value)) = param.split_once('=') else {
            let hint = Some("write `--param NAME=VALUE`".to_owned());
            return Err(Problem::usage(format!("`{param}` has no value"), hint));
        };
        given.push((name.to_owned(), value.to_owned()));
    }
    check_given(&queries, &given)?;
    Ok(queries.into_iter().map(|query| Script::Saved(Box::new(query), given.clone())).collect())
}

/// Runs what was asked for.
pub(super) fn run(config: &Config, options: &ReportOptions) -> Result<Exit, Problem> {
    let library = Library::load(config.query_folder.as_deref())?;
    if let Some(name) = &options.show {
        return show(&library, name);
    }
    if let Some(name) = &options.edit {
        return edit(config, &library, name);
    }
    if options.list {
        return list(config, &library);
    }
    if config.scripts.is_empty() {
        let hint = Some("`logsql report --list` lists them".to_owned());
        return Err(Problem::usage("name a saved query, or a topic", hint));
    }
    match ReportFormat::of(config.output.format) {
        Some(format) => page(config, options, format),
        None => super::query::run(config),
    }
}

/// All queries on one page.
fn page(config: &Config, options: &ReportOptions, format: ReportFormat) -> Result<Exit, Problem> {
    let runtime = runtime(config)?;
    let session = Session::try_new(&config.session)?;
    let mut exit = Exit::Done;
    let interrupt = interrupts()?.next();
    let sections = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupt => Ok(None),
            sections = Box::pin(sections(config, &session, &config.clock, &mut exit)) => sections.map(Some),
        }
    });
    runtime.shutdown_timeout(LAST_MOMENT);
    let Some(sections) = sections? else { return Ok(interrupted()) };
    let title = title(options, &sections);
    let report = Report { title, made: config.clock.now, window: config.session.window, sections };
    let text = report.render(format, &config.output)?;
    match &config.output_file {
        Some(path) => write_whole(&text, path)?,
        None => tell::out(&text)?,
    }
    Ok(exit)
}

pub(super) async fn sections(
    config: &Config,
    session: &Session,
    clock: &Clock,
    exit: &mut Exit,
) -> Result<Vec<Section>, Problem> {
    let mut sections = vec![];
    for script in &config.scripts {
        let Script::Saved(query, given) = script else { continue };
        let section = crate::report::run(session, query, given, clock, &config.output).await?;
        // Every section says how much it read; what is wrong with a file is said once, since all of them read the same files.
        if sections.is_empty() {
            let rows = section.rows.as_ref().map_or(1, |rows| rows.total);
            tell::input(config, &section.files, section.summary, if config.scripts.len() > 1 { 1 } else { rows });
        }
        let input = tell::input_exit(config, section.summary);
        if let Err(error) = &section.rows {
            tell::line(config.color_messages, Mark::Error, &format!("{}: {}", section.name, error.message));
            *exit = Exit::Failed;
        } else if input != Exit::Done && *exit == Exit::Done {
            *exit = input;
        }
        sections.push(section);
    }
    Ok(sections)
}

/// What stands above a page.
pub(super) fn title(options: &ReportOptions, sections: &[Section]) -> String {
    match (&options.title, sections) {
        (Some(title), _) => title.clone(),
        (None, [section]) => format!("Log report: {}", section.name),
        (None, _) => "Log report".to_owned(),
    }
}

fn list(config: &Config, library: &Library) -> Result<Exit, Problem> {
    let width = library.queries().iter().map(|query| query.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut topic = None;
    for query in library.queries() {
        if topic != Some(&query.topic) {
            let name = query.topic.as_deref().unwrap_or("without a topic");
            text += &format!("{}{name}\n", if topic.is_some() { "\n" } else { "" });
            topic = Some(&query.topic);
        }
        let params: Vec<String> = query
            .params
            .iter()
            .map(|param| match &param.default {
                Some(default) => format!("{}={default}", param.name),
                None => format!("{}=…", param.name),
            })
            .collect();
        let params = if params.is_empty() { String::new() } else { format!(" [{}]", params.join(" ")) };
        text += &format!("  {:width$}  {}{}\n", query.name, sanitise_cell(&query.description), sanitise_cell(&params));
    }
    tell::out(&text)?;
    for error in library.broken() {
        tell::line(config.color_messages, Mark::Warning, &error.to_string());
    }
    if config.talk >= Talk::Normal && std::io::stdout().is_terminal() {
        tell::line(config.color_messages, Mark::Hint, "a topic runs all of its queries: `logsql report web -o report.html`");
    }
    Ok(Exit::Done)
}

fn show(library: &Library, name: &str) -> Result<Exit, Problem> {
    for query in library.find(name)? {
        tell::out(&format!("-- {} ({})\n{}", query.name, query.origin, query.text))?;
    }
    Ok(Exit::Done)
}

/// Opens the editor on the user's own file, which is the shipped one at first, and looks at what came of it.
fn edit(config: &Config, library: &Library, name: &str) -> Result<Exit, Problem> {
    let path = library.path_of(name)?;
    if !path.exists() {
        let shipped = library.queries().iter().find(|query| query.name == name);
        let text = shipped.map_or_else(
            || {
                "-- description: what it answers\n-- needs: access_log\n\nSELECT status, count(*) FROM access_log GROUP BY 1\n"
                    .to_owned()
            },
            |query| query.text.clone(),
        );
        create(&path, &text)?;
    }
    open_editor(&path)?;
    let text =
        std::fs::read_to_string(&path).map_err(|source| SavedQueryError::Io { verb: "read", path: path.clone(), source })?;
    let edited = SavedQuery::parse(name, crate::query::Origin::File(path.clone()), &text).map_err(SavedQueryError::from)?;
    edited.statement().map_err(SavedQueryError::from)?;
    tell::line(config.color_messages, Mark::Note, &format!("saved `{}`; run it with `logsql report {name}`", path.display()));
    Ok(Exit::Done)
}
