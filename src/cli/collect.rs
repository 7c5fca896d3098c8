//! `logsql convert` and `logsql collect`: logs into a store, once or again and again.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Exit;
use super::config::{Config, Talk, size};
use super::options::{CollectCommand, ParquetOptions};
use super::query::{LAST_MOMENT, runtime};
use super::tell::{self, Mark, Problem, bytes, count};
use crate::query::duration;
use crate::session::Session;
use crate::source::Severity;
use crate::store::{CollectOptions, Collected, KeepOptions, Kept, RealDisk, Sizes, StoreWriter, collect, keep};
use crate::table::Remark;

/// Progress is shown after this time.
const PATIENCE: Duration = Duration::from_millis(500);

/// Remarks that are shown one by one; the others are counted.
const NAMED_REMARKS: usize = 5;

/// Runs the command.
pub(super) fn run(config: &Config, command: &CollectCommand) -> Result<Exit, Problem> {
    if config.session.window != crate::session::TimeWindow::default() {
        let hint = "all of a log is collected; put the window on the query".to_owned();
        return Err(Problem::usage(format!("`{}` takes no --since or --until", command.name), Some(hint)));
    }
    let length = |text: &Option<String>, flag: &str| {
        let parse = |text: &String| {
            let hint = "write `90d`, `12h` or `5m`".to_owned();
            duration(text).ok_or_else(|| Problem::usage(format!("{flag}: `{text}` is no length of time"), Some(hint)))
        };
        text.as_ref().map(parse).transpose()
    };
    let ParquetOptions { raw, level, keep: age, max_size } = &command.parquet;
    let age = length(age, "--keep")?;
    let max_bytes = max_size.as_deref().map(|text| size(text, "--max-size")).transpose()?.map(|bytes| bytes as u64);
    let every = length(&command.follow, "--follow")?;
    let folder = config.session.store.clone().unwrap_or_default();
    let runtime = runtime(config)?;
    let mut writer = StoreWriter::open(&folder, Arc::new(RealDisk), command.name, *raw)?;
    let session = Session::try_new(&config.session)?;
    let mut exit = Exit::Done;
    loop {
        let now = Timestamp::now().as_second();
        let options = CollectOptions {
            level: *level,
            copies: config.session.copies,
            read: config.session.scan.read.clone(),
            sizes: Sizes::within(config.session.memory_bytes),
            now,
        };
        let keep_options = KeepOptions {
            age_s: age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
            bytes: max_bytes,
            level: *level,
            now,
            is_complete: command.is_complete,
        };
        let round = runtime.block_on(async {
            tokio::select! {
                round = Box::pin(round(config, &session, &mut writer, &options, &keep_options)) => Some(round),
                _ = interrupted() => None,
            }
        });
        let Some(round) = round else { return Ok(stop(runtime, command)) };
        let (collected, kept) = round?;
        exit = tell_round(config, &collected, kept, exit);
        let Some(every) = every else { break };
        let slept = runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(every) => true,
                _ = interrupted() => false,
            }
        });
        if !slept {
            return Ok(stop(runtime, command));
        }
    }
    runtime.shutdown_timeout(LAST_MOMENT);
    Ok(exit)
}

/// Ctrl-C, or what a service manager sends.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

/// To be told to stop is how a follower ends; anything else was not done to its end.
fn stop(runtime: tokio::runtime::Runtime, command: &CollectCommand) -> Exit {
    runtime.shutdown_timeout(LAST_MOMENT);
    if command.follow.is_some() {
        return Exit::Done;
    }
    let _ = writeln!(std::io::stderr(), "interrupted; what is finished is in the store, and the next run goes on from there");
    Exit::Interrupted
}

async fn round(
    config: &Config,
    session: &Session,
    writer: &mut StoreWriter,
    options: &CollectOptions,
    keep_options: &KeepOptions,
) -> Result<(Collected, Kept), Problem> {
    let (done, total) = (AtomicU64::new(0), AtomicU64::new(0));
    let step = |behind: u64, of: u64| {
        done.store(behind, Ordering::Relaxed);
        total.store(of, Ordering::Relaxed);
    };
    let began = Instant::now();
    let work = async {
        let collected = Box::pin(collect(session, writer, options, &step)).await?;
        let kept = Box::pin(keep(session, writer, keep_options)).await?;
        Ok::<_, Problem>((collected, kept))
    };
    let shows = config.talk >= Talk::Normal && std::io::stderr().is_terminal();
    let show = async {
        loop {
            tokio::time::sleep(PATIENCE).await;
            if shows {
                let read = session.report().summary().bytes_read;
                let rate = bytes((read as f64 / began.elapsed().as_secs_f64()) as u64);
                let (done, total) = (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
                let share =
                    done.saturating_mul(100).checked_div(total).map_or_else(String::new, |share| format!(" · {share}% done"));
                let _ = write!(std::io::stderr(), "\r\x1b[J{} read of this part{share} · {rate}/s\r", bytes(read));
            }
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = show => unreachable!("it has no end"),
    };
    if shows && began.elapsed() >= PATIENCE {
        let _ = write!(std::io::stderr(), "\r\x1b[J");
    }
    result
}

/// Says what came of it.
fn tell_round(config: &Config, collected: &Collected, kept: Kept, before: Exit) -> Exit {
    let is_loss = |(_, remark): &&(PathBuf, Remark)| remark.severity == Severity::Loss;
    if config.talk >= Talk::Normal {
        let matters = |(_, remark): &&(PathBuf, Remark)| config.talk == Talk::Verbose || remark.severity != Severity::Note;
        let shown: Vec<_> = collected.remarks.iter().filter(matters).collect();
        for (path, remark) in shown.iter().take(NAMED_REMARKS) {
            tell::line(config.color_messages, Mark::Warning, &format!("{}: {}", path.display(), remark.text));
        }
        if shown.len() > NAMED_REMARKS {
            tell::say(&format!("  … and {} more", shown.len() - NAMED_REMARKS));
        }
        let rows: u64 = collected.rows.values().sum();
        if rows > 0 || collected.files > 0 {
            let tables: Vec<String> = collected.rows.iter().map(|(table, rows)| format!("{} {table}", count(*rows))).collect();
            tell::say(&format!(
                "{} rows of {} files ({}) · {} read, {} written",
                count(rows),
                count(collected.files as u64),
                tables.join(", "),
                bytes(collected.bytes_read),
                bytes(collected.bytes_written)
            ));
        } else if config.talk == Talk::Verbose
            || !matches!(&config.command, super::options::Command::Collect(c) if c.follow.is_some())
        {
            tell::say(&format!("nothing new; {} files are in the store as they stand", count(collected.known as u64)));
        }
        if kept.removed > 0 {
            let (files, rows) = (count(kept.removed as u64), count(kept.removed_rows));
            tell::say(&format!("{files} files with {rows} rows removed: {}", bytes(kept.removed_bytes)));
        }
    }
    if before == Exit::Done && collected.remarks.iter().any(|remark| is_loss(&remark)) { Exit::Incomplete } else { before }
}
