//! `logsql tables`: what there is to query, from which files, in which format, how much; and what could not be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Exit;
use super::config::Config;
use super::tell::{self, Mark, Problem};
use crate::kernel::table::{UNPARSED, tables};
use crate::session::Session;
use crate::source::Severity;
use crate::table::{FileFormat, InputSpec};

/// Files of one table that are listed one by one.
const SHOWN_FILES: usize = 12;

/// Lists the tables.
pub(super) fn run(config: &Config) -> Result<Exit, Problem> {
    let session = Session::try_new(&config.session)?;
    let listing = session.schema().inputs().listing_blocking();
    let mut text = String::new();
    let mut by_table: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut bytes: BTreeMap<usize, u64> = BTreeMap::new();
    // Tables that get what is inside of the records of a family.
    let mut inside: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut others = vec![];
    for file in &listing.files {
        let path = file.snapshot.path.display();
        let size = tell::bytes(file.snapshot.size);
        match &file.format {
            FileFormat::Detected(format, _) | FileFormat::Forced(format) => {
                let forced = if matches!(file.format, FileFormat::Forced(_)) { " (forced)" } else { "" };
                for (index, table) in tables().iter().enumerate().filter(|(_, table)| table.name != UNPARSED) {
                    if session.formats().feeds_by_lines(format, table.name) {
                        by_table.entry(index).or_default().push(format!("  {path}  {format}{forced}  {size}"));
                        *bytes.entry(index).or_default() += file.snapshot.size;
                    } else if file.feeds(session.formats(), table.name) {
                        inside.entry(format.as_str()).or_default().insert(index);
                    }
                }
            }
            FileFormat::Unknown => others.push((Severity::Warning, format!("{path}: no format takes it ({size})"))),
            FileFormat::Empty => others.push((Severity::Note, format!("{path}: empty"))),
            FileFormat::Unreadable(remark) => others.push((remark.severity, format!("{path}: {}", remark.text))),
        }
    }
    for (index, files) in &by_table {
        let table = &tables()[*index];
        let noun = if files.len() == 1 { "file" } else { "files" };
        let size = tell::bytes(bytes.get(index).copied().unwrap_or(0));
        text += &format!("{}: {} ({} {noun}, {size})\n", table.name, table.about, files.len());
        for file in files.iter().take(SHOWN_FILES) {
            text += &format!("{file}\n");
        }
        if files.len() > SHOWN_FILES {
            text += &format!("  … and {} more\n", files.len() - SHOWN_FILES);
        }
    }
    for (format, fed) in &inside {
        let fed: Vec<&str> = fed.iter().map(|index| tables()[*index].name).collect();
        text += &format!("{format} records may also hold rows of {}\n", fed.join(", "));
    }
    if by_table.is_empty() {
        let place = match config.session.inputs {
            InputSpec::WellKnown(_) => "in the usual places of this machine",
            InputSpec::Args(_) => "in what was named",
        };
        text += &format!("no log of a known format {place}\n");
    }
    tell::out(&text)?;
    others
        .extend(listing.problems.iter().map(|(path, remark)| (remark.severity, format!("{}: {}", path.display(), remark.text))));
    let lost = others.iter().any(|(severity, _)| *severity == Severity::Loss);
    let rank = |severity: Severity| match severity {
        Severity::Loss => 0,
        Severity::Warning => 1,
        Severity::Note => 2,
    };
    others.sort_by_key(|(severity, _)| rank(*severity));
    for (severity, text) in &others {
        let mark = if *severity == Severity::Note { Mark::Note } else { Mark::Warning };
        tell::line(config.color_messages, mark, text);
    }
    if others.iter().any(|(_, text)| text.contains("no format takes it")) {
        tell::line(config.color_messages, Mark::Hint, "see why with `logsql format why PATH`");
    }
    if by_table.is_empty() {
        tell::line(config.color_messages, Mark::Hint, "name files: `logsql tables PATH…`");
    } else {
        tell::line(config.color_messages, Mark::Hint, "try `logsql \"SELECT * FROM TABLE LIMIT 10\"`");
    }
    let named = matches!(config.session.inputs, InputSpec::Args(_));
    Ok(if lost && (named || config.strict) { Exit::Incomplete } else { Exit::Done })
}
