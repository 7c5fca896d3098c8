//! `logsql format list|show|why|import|test`: what formats are known, what they say, and why a file is what it is.

use std::ffi::OsString;
use std::path::Path;

use super::Exit;
use super::config::Config;
use super::options::FormatCommand;
use super::tell::{self, Mark, Problem};
use crate::kernel::format::{Candidate, Catalog, Format, SampleFailure};
use crate::kernel::table::{UNPARSED, tables};
use crate::session::Session;
use crate::table::FileSet;

/// Families that `why` shows beside the best one.
const RUNNERS_UP: usize = 3;

/// Runs a `format` command.
pub(super) fn run(config: &Config, command: &FormatCommand) -> Result<Exit, Problem> {
    match command {
        FormatCommand::List => list(config),
        FormatCommand::Show { name, program } => show(config, name, *program),
        FormatCommand::Why { paths } => why(config, paths),
        FormatCommand::Import { files, kind } => super::import::run(config, files, *kind),
        FormatCommand::Test { names } => test(config, names),
    }
}

pub(super) fn catalog(config: &Config) -> Result<Catalog, Problem> {
    let options = &config.session;
    Ok(crate::session::load_formats(&options.definition_folders, options.server_root.as_deref())?.0)
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
        text += &format!("{}: ", path.display());
        match &detection.best {
            Some(best) => {
                let formats = session.formats();
                let fed = tables().iter().map(|table| table.name).filter(|table| *table != UNPARSED);
                let fed = fed.filter(|table| formats.feeds(&best.format, table));
                let (lines, inside): (Vec<&str>, Vec<&str>) = fed.partition(|table| formats.feeds_by_lines(&best.format, table));
                text += &format!("{} (mostly `{}`), feeds {}\n", best.format, best.pattern, lines.join(", "));
                if !inside.is_empty() {
                    text += &format!("  its records may also hold rows of {}\n", inside.join(", "));
                }
            }
            None => text += "no format takes half of its lines\n",
        }
        for (index, candidate) in detection.candidates.iter().take(1 + RUNNERS_UP).enumerate() {
            text += &describe(candidate, index == 0 && detection.best.is_some());
        }
        if detection.candidates.is_empty() {
            text += "  no format takes any of its lines\n";
        }
    }
    tell::out(&text)?;
    Ok(exit)
}

fn describe(candidate: &Candidate, chosen: bool) -> String {
    let percent = 100.0 * candidate.taken as f64 / candidate.lines.max(1) as f64;
    let mark = if chosen { "→" } else { " " };
    let mut text = format!("{mark} {}: {} of {} lines ({percent:.0} %)\n", candidate.format, candidate.taken, candidate.lines);
    if let Some(miss) = &candidate.miss {
        let field = miss.field.as_ref().map(|field| format!(" in `{field}`")).unwrap_or_default();
        text += &format!("    first miss: `{}` failed at column {}{field}\n", miss.pattern, miss.column);
        let line = String::from_utf8_lossy(&miss.text);
        // The place of the failure stays in sight, also in a long line.
        let from = miss.column.saturating_sub(60);
        let shown: String = line.chars().skip(from).take(100).collect();
        let shown = crate::output::sanitise_cell(&shown).into_owned();
        text += &format!("    {shown}\n    {:>width$}\n", "^", width = miss.column - from);
    }
    text
}

fn test(config: &Config, names: &[OsString]) -> Result<Exit, Problem> {
    let catalog = catalog(config)?;
    let mut tested: Vec<(String, usize, Vec<SampleFailure>)> = vec![];
    if names.is_empty() {
        for format in catalog.formats() {
            tested.push((format.name.clone(), format.samples().len(), catalog.check_samples(format)));
        }
    }
    for name in names {
        let path = Path::new(name);
        if path.is_file() {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Problem::new(Exit::Failed, format!("cannot read `{}`: {error}", path.display()), None))?;
            let (format, failures) = catalog
                .test(&path.display().to_string(), &text)
                .map_err(|error| Problem::from(crate::session::SessionError::from(error)))?;
            tested.push((format.name.clone(), format.samples().len(), failures));
        } else {
            let format = find(&catalog, &name.to_string_lossy())?;
            tested.push((format.name.clone(), format.samples().len(), catalog.check_samples(format)));
        }
    }
    let mut text = String::new();
    let mut exit = Exit::Done;
    for (name, samples, failures) in &tested {
        if failures.is_empty() && *samples > 0 {
            text += &format!("{name}: {samples} samples, all as expected\n");
            continue;
        }
        exit = Exit::Failed;
        if *samples == 0 {
            text += &format!("{name}: has no sample\n");
        } else {
            text += &format!("{name}: {} of {samples} samples fail\n", failures.len());
        }
        for failure in failures {
            text += &format!("  line {}: {}\n", failure.at_line, failure.sample.escape_debug());
            for (what, expected, got) in &failure.differences {
                text += &format!("    {what}: expected {expected}, got {got}\n");
            }
        }
    }
    tell::out(&text)?;
    Ok(exit)
}
