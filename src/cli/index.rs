//! `logsql index`: what is known of large files from earlier scans; finding it out, listing it, forgetting it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use futures::StreamExt as _;
use jiff::Timestamp;

use super::Exit;
use super::config::{Config, IndexCommand};
use super::query;
use super::tell::{self, Mark, Problem};
use crate::session::Session;
use crate::table::{IndexEntry, IndexOptions, IndexedTable};

/// Does what was asked for.
pub(super) fn run(config: &Config, command: &IndexCommand) -> Result<Exit, Problem> {
    let Some(index) = &config.session.scan.index else {
        let hint = "set XDG_CACHE_HOME or HOME, and leave --no-index (LOGSQL_NO_INDEX) out";
        return Err(Problem::new(Exit::Failed, "there is no place for an index", Some(hint.to_owned())));
    };
    match command {
        IndexCommand::Build => build(config, index),
        IndexCommand::List => list(&index.entries()),
        IndexCommand::Remove(paths) => remove(config, index, paths),
        IndexCommand::Clear => forget(index.entries().iter()),
    }
}

/// Reads what is not known yet: the rows of each table that the files feed, their times, and some of their values.
fn build(config: &Config, index: &IndexOptions) -> Result<Exit, Problem> {
    let runtime = query::runtime(config)?;
    let session = Session::try_new(&config.session)?;
    let listing = session.schema().inputs().listing_blocking();
    let large: Vec<_> = listing.files.iter().filter(|file| index.takes(&file.snapshot)).collect();
    let mut exit = Exit::Done;
    for (table, _) in listing.tables(session.formats()) {
        if !large.iter().any(|file| file.feeds(session.formats(), table.name)) {
            continue;
        }
        let feeding = large.iter().filter(|file| file.feeds(session.formats(), table.name));
        // Values are a by-product of reading them.
        let columns: BTreeSet<&str> = feeding.flat_map(|file| file.columns_to_index(session.schema().context(), table)).collect();
        let values: String = columns.iter().map(|column| format!(", max({column})")).collect();
        let sql = format!("SELECT count(*), min(time), max(time){values} FROM {}", table.name);
        let ran = runtime.block_on(async {
            for statement in session.statements(&sql)? {
                let mut rows = session.run(statement).await?.rows;
                while let Some(batch) = rows.next().await {
                    batch.map_err(|error| session.explain(&error))?;
                }
            }
            Ok::<(), crate::session::QueryError>(())
        });
        ran?;
        let told = tell::input(config, &session.report().current(), session.report().summary(), 1);
        if exit == Exit::Done {
            exit = told;
        }
    }
    runtime.shutdown_timeout(query::LAST_MOMENT);
    let paths: Vec<_> = large.iter().filter_map(|file| std::path::absolute(&file.snapshot.path).ok()).collect();
    let entries: Vec<_> = index.entries().into_iter().filter(|entry| paths.contains(&entry.path)).collect();
    list(&entries)?;
    let small = listing.files.len() - large.len();
    if small > 0 {
        let files = if small == 1 { "file is" } else { "files are" };
        let text = format!("{small} {files} read anew each time: small, in an archive, or no file on a disk");
        tell::line(config.color_messages, Mark::Note, &text);
    }
    Ok(exit)
}

fn list(entries: &[IndexEntry]) -> Result<Exit, Problem> {
    let mut text = String::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.index_bytes;
        let state = if entry.is_current { "" } else { ", not that file any more" };
        let (log, index) = (tell::bytes(entry.log_bytes), tell::bytes(entry.index_bytes));
        text += &format!("{}: {log}, index {index}{state}\n", entry.path.display());
        for IndexedTable { name: table, rows, times, columns } in &entry.tables {
            let moment = |us: i64| Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |time| time.to_string());
            let times = times.map_or_else(String::new, |(min, max)| format!(", {} to {}", moment(min), moment(max)));
            let values = if columns.is_empty() { String::new() } else { format!(", values of {}", columns.join(", ")) };
            text += &format!("  {table}  {} rows{times}{values}\n", tell::count(*rows));
        }
    }
    let files = if entries.len() == 1 { "file" } else { "files" };
    text += &format!("{} {files}, index {}\n", entries.len(), tell::bytes(bytes));
    tell::out(&text)?;
    Ok(Exit::Done)
}

fn remove(config: &Config, index: &IndexOptions, paths: &[OsString]) -> Result<Exit, Problem> {
    let wanted: Vec<_> = paths.iter().filter_map(|path| std::path::absolute(Path::new(path)).ok()).collect();
    let entries = index.entries();
    for path in wanted.iter().filter(|path| entries.iter().all(|entry| entry.path != **path)) {
        tell::line(config.color_messages, Mark::Note, &format!("nothing is known of {}", path.display()));
    }
    forget(entries.iter().filter(|entry| wanted.contains(&entry.path)))
}

fn forget<'a>(entries: impl Iterator<Item = &'a IndexEntry>) -> Result<Exit, Problem> {
    let mut count = 0;
    for entry in entries {
        std::fs::remove_file(&entry.index)
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot remove {}: {error}", entry.index.display()), None))?;
        count += 1;
    }
    let files = if count == 1 { "file" } else { "files" };
    tell::out(&format!("forgot what was known of {count} {files}\n"))?;
    Ok(Exit::Done)
}
