//! `logsql format list|show|why|import|new|test|schema`: what formats are known, what they say, why a file is what it is, and what a new one could be.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::DataType;
use futures::StreamExt as _;

use super::Exit;
use super::config::Config;
use super::options::FormatCommand;
use super::query::{LAST_MOMENT, runtime};
use super::tell::{self, Mark, Problem};
use crate::kernel::format::{Catalog, Format, SampleOutcome};
use crate::kernel::table::{UNPARSED, tables};
use crate::propose::propose;
use crate::session::{Session, SessionOptions};
use crate::table::{FileSet, InputSpec, nearest};

/// Characters of a sample's values that are shown where all are right.
const SAMPLE_CHARS: usize = 120;

/// Lines that a proposal is made of.
const PROPOSAL_LINES: usize = 5000;

/// Runs a `format` command.
pub(super) fn run(config: &Config, command: &FormatCommand) -> Result<Exit, Problem> {
    match command {
        FormatCommand::List => list(config),
        FormatCommand::Show { name, program } => show(config, name, *program),
        FormatCommand::Why { paths } => why(config, paths),
        FormatCommand::Import { files, kind } => super::import::run(config, files, *kind),
        FormatCommand::New { paths, name, feeds } => new(config, paths, name.as_deref(), feeds),
        FormatCommand::Test { names } => test(config, names),
        FormatCommand::Schema => {
            tell::out(&format!("{:#}\n", crate::kernel::format::schema()))?;
            Ok(Exit::Done)
        }
    }
}

pub(super) fn catalog(config: &Config) -> Result<Arc<Catalog>, Problem> {
    let options = &config.session;
    Ok(crate::session::load_formats(&options.definition_folders, options.server_root.as_deref())?.catalog)
}

fn list(config: &Config) -> Result<Exit, Problem> {
    let catalog = catalog(config)?;
    let mut text = String::new();
    let width = catalog.formats().iter().map(|format| format.name.len()).max().unwrap_or(0);
    for format in catalog.formats() {
        text += &format!("{:width$}  {}\n", format.name, format.title);
        text += &format!("{:width$}  {} → {}\n", "", format.pattern_names.join(", "), format.tables().join(", "));
        text += &format!("{:width$}  {}\n", "", format.url);
    }
    tell::out(&text)?;
    Ok(Exit::Done)
}

fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Format, Problem> {
    catalog.family_of(name).map(AsRef::as_ref).ok_or_else(|| crate::table::TableError::unknown_format(name, catalog).into())
}

fn show(config: &Config, name: &str, program: bool) -> Result<Exit, Problem> {
    let catalog = catalog(config)?;
    let format = find(&catalog, name)?;
    if !program {
        tell::out(&format!("# {}\n{}", format.origin, format.text))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for pattern in format.patterns() {
        if name != format.name && name != pattern.name {
            continue;
        }
        text += &format!("{} → {}\n", pattern.name, pattern.table.name);
        let Some(regex) = pattern.matcher.as_regex() else {
            text += &pattern.matcher.as_keyed().map(ToString::to_string).unwrap_or_default();
            continue;
        };
        for (slot, capture) in pattern.matcher.captures().iter().enumerate() {
            text += &format!("  capture {slot}: {capture}\n");
        }
        match regex.program() {
            Ok(program) => text += &program.to_string(),
            Err(reason) => text += &format!("  runs on the regex engine: {reason}\n"),
        }
    }
    tell::out(&text)?;
    Ok(Exit::Done)
}

fn why(config: &Config, paths: &[OsString]) -> Result<Exit, Problem> {
    let session = Session::try_new(&config.session)?;
    let mut exit = Exit::Done;
    let mut text = String::new();
    let (explained, problems) = FileSet::explain(session.schema().context(), paths)?;
    for (path, remark) in problems {
        tell::line(config.color_messages, Mark::Warning, &format!("{}: {}", path.display(), remark.text));
        exit = Exit::Incomplete;
    }
    for (path, detection) in explained {
        let detection = match detection {
            Ok(detection) => detection,
            Err(remark) => {
                tell::line(config.color_messages, Mark::Warning, &format!("{}: {}", path.display(), remark.text));
                exit = Exit::Incomplete;
                continue;
            }
        };
        text += &session.describe_detection(&path, &detection);
    }
    tell::out(&text)?;
    Ok(exit)
}

/// Proposes a definition for the lines of files that no format takes.
fn new(config: &Config, paths: &[OsString], name: Option<&str>, feeds: &str) -> Result<Exit, Problem> {
    let known = || tables().iter().map(|table| table.name).filter(|table| *table != UNPARSED);
    let table = tables().iter().find(|table| table.name == feeds && table.name != UNPARSED).ok_or_else(|| {
        let near = nearest(feeds, known());
        let hint = near.first().map_or_else(
            || format!("there are {}", known().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        Problem::usage(format!("there is no table `{feeds}`"), Some(hint))
    })?;
    let options = SessionOptions { inputs: InputSpec::Args(paths.to_vec()), ..config.session.clone() };
    let session = Session::try_new(&options)?;
    let runtime = runtime(config)?;
    let lines = runtime.block_on(unparsed_lines(&session));
    runtime.shutdown_timeout(LAST_MOMENT);
    let lines = lines?;
    let shown = Path::new(&paths[0]).display();
    if lines.is_empty() {
        let hint = format!("see what they are with `logsql format why {shown}`");
        return Err(Problem::new(Exit::Failed, "there is no line that no format takes".to_owned(), Some(hint)));
    }
    let mut name = match name {
        Some(name) if is_family(name) => name.to_owned(),
        Some(name) => {
            let hint = "use lower-case letters, figures and `_`, and begin with a letter".to_owned();
            return Err(Problem::usage(format!("`{name}` is no name for a format"), Some(hint)));
        }
        None => {
            let stem = Path::new(&paths[0]).file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
            let stem: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            if is_family(&stem) { stem } else { "mine".to_owned() }
        }
    };
    let catalog = catalog(config)?;
    if catalog.family_of(&name).is_some() {
        name += "_mine";
    }
    let modified = std::fs::metadata(&paths[0]).and_then(|metadata| metadata.modified()).ok();
    let reference = modified.and_then(|modified| jiff::Timestamp::try_from(modified).ok()).unwrap_or(config.clock.now);
    let reference = jiff::Timestamp::from_second(reference.as_second()).unwrap_or(reference);
    let proposal = propose(&name, table, &lines, reference, &catalog)
        .map_err(|error| Problem::from(crate::session::SessionError::from(error)))?;
    let target = match &config.output_file {
        Some(path) => {
            crate::output::write_whole(&proposal.text, path)?;
            path.display().to_string()
        }
        None => {
            tell::out(&proposal.text)?;
            format!("{name}.toml")
        }
    };
    tell::line(
        config.color_messages,
        Mark::Note,
        &format!("it takes {} of {} lines", tell::count(proposal.taken as u64), tell::count(lines.len() as u64)),
    );
    tell::line(
        config.color_messages,
        Mark::Hint,
        &format!(
            "edit it, run `logsql format test {target}`, and put it into ~/.config/logsql/formats or name its folder with --formats"
        ),
    );
    Ok(Exit::Done)
}

fn is_family(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Lines that no format takes, from the begin of the files on.
async fn unparsed_lines(session: &Session) -> Result<Vec<String>, Problem> {
    let sql = format!("SELECT CAST(raw AS VARCHAR) FROM unparsed LIMIT {PROPOSAL_LINES}");
    let Some(statement) = session.statements(&sql)?.pop() else { return Ok(vec![]) };
    let mut answer = session.run(statement).await?;
    let mut lines = vec![];
    while let Some(batch) = answer.rows.next().await {
        let batch = batch.map_err(|error| session.explain(&error))?;
        let texts = arrow::compute::cast(batch.column(0), &DataType::Utf8)
            .map_err(|error| Problem::new(Exit::Failed, error.to_string(), None))?;
        lines.extend(texts.as_string::<i32>().iter().flatten().map(|line| line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    Ok(lines)
}

fn test(config: &Config, names: &[OsString]) -> Result<Exit, Problem> {
    let catalog = catalog(config)?;
    let mut formats: Vec<Arc<Format>> = vec![];
    for name in names {
        let path = Path::new(name);
        if path.is_file() {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Problem::new(Exit::Failed, format!("cannot read `{}`: {error}", path.display()), None))?;
            let (format, _) = catalog
                .test(&path.display().to_string(), &text)
                .map_err(|error| Problem::from(crate::session::SessionError::from(error)))?;
            formats.push(format);
        } else {
            let name = name.to_string_lossy();
            find(&catalog, &name)?;
            formats.extend(catalog.family_of(&name).map(Arc::clone));
        }
    }
    if names.is_empty() {
        formats = catalog.formats().to_vec();
    }
    let mut text = String::new();
    let mut exit = Exit::Done;
    for format in &formats {
        let outcomes = catalog.sample_outcomes(format);
        let failed = outcomes.iter().filter(|outcome| !outcome.is_right()).count();
        if outcomes.is_empty() || failed > 0 {
            exit = Exit::Failed;
        }
        text += &match (outcomes.len(), failed) {
            (0, _) => format!("{}: has no sample\n", format.name),
            (all, 0) => format!("{}: {all} samples, all as expected\n", format.name),
            (all, failed) => format!("{}: {failed} of {all} samples fail\n", format.name),
        };
        let width = outcomes.iter().map(|outcome| outcome.at_line.to_string().len()).max().unwrap_or(0);
        for outcome in &outcomes {
            text += &describe_sample(outcome, width);
        }
    }
    tell::out(&text)?;
    Ok(exit)
}

/// A line for a sample; where it fails, the sample as it stands and a diff of its values, too.
fn describe_sample(outcome: &SampleOutcome, width: usize) -> String {
    let SampleOutcome { at_line, sample, pattern, values } = outcome;
    let pattern = pattern.as_deref().unwrap_or("(none)");
    if outcome.is_right() {
        let values: Vec<String> = values.iter().map(|value| format!("{} = {}", value.what, value.got)).collect();
        let shown = if values.is_empty() { sample.escape_debug().to_string() } else { values.join(", ") };
        let mut short: String = shown.chars().take(SAMPLE_CHARS).collect();
        if short.len() < shown.len() {
            short.push('…');
        }
        return format!("  ok    line {at_line:width$}  {pattern}: {short}\n");
    }
    let mut text = format!("  FAIL  line {at_line:width$}  {pattern}: {}\n", sample.escape_debug());
    for value in values {
        if value.is_same {
            text += &format!("          {} = {}\n", value.what, value.got);
        } else {
            text += &format!("        - {} = {}\n        + {} = {}\n", value.what, value.expected, value.what, value.got);
        }
    }
    text
}
