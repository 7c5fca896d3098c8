//! How long it takes to find out what a file is, format by format: a table, the slowest first.
//!
//! `cargo run --release -p logsql-kernel --example detect -- [name …]`. The file of a format is its own samples. Definitions are compiled
//! when the first file asks for them, and stay: so each file is looked at by a process of its own (this program starts itself), the
//! first time *cold*, and again *warm*.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use logsql_kernel::format::{Catalog, detect};

/// As in the program: half of what compiling does is to allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What tells a process that it is to look at one format.
const ONE: &str = "--one";
/// What a detection should take at most.
const GOAL: Duration = Duration::from_millis(20);
/// Processes for each file, of which the fastest counts, and looks at it once it is warm.
const RUNS: usize = 3;

/// The samples of a format that are lines of a file. They are read by a process that measures nothing: reading them compiles the format.
fn log(catalog: &Catalog, name: &str) -> Option<String> {
    let format = catalog.formats().iter().find(|format| format.name == name)?;
    let lines = format.samples().iter().filter(|sample| sample.pattern.is_some()).map(|sample| sample.line.trim_end());
    Some(lines.flat_map(|line| [line, "\n"]).collect())
}

/// In a process that has compiled nothing yet: microseconds cold, warm, and what was found.
fn one(log: &[u8]) -> String {
    let catalog = Catalog::builtin();
    let look = || {
        let start = Instant::now();
        let found = detect(&catalog, &[log], None).best.map_or_else(|| "-".to_owned(), |best| best.format);
        (start.elapsed(), found)
    };
    let (cold, found) = look();
    let warm = (0..RUNS).map(|_| look().0).min().unwrap_or(cold);
    format!("{} {} {found}", cold.as_micros(), warm.as_micros())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout().lock();
    if let [first, file] = &names[..]
        && first == ONE
    {
        writeln!(out, "{}", one(&std::fs::read(file)?))?;
        return Ok(());
    }
    let catalog = Catalog::builtin();
    let program = std::env::current_exe()?;
    let file = std::env::temp_dir().join(format!("logsql-bench-detect-{}.log", std::process::id()));
    let mut measured = vec![];
    for format in catalog.formats().iter().filter(|format| names.is_empty() || names.contains(&format.name)) {
        let Some(log) = log(&catalog, &format.name).filter(|log| !log.is_empty()) else { continue };
        std::fs::write(&file, &log)?;
        let mut best: Option<(Duration, Duration, String)> = None;
        for _ in 0..RUNS {
            let answer = String::from_utf8(Command::new(&program).arg(ONE).arg(&file).output()?.stdout)?;
            let mut words = answer.split_whitespace();
            let mut time = || words.next().and_then(|time| time.parse().ok()).map(Duration::from_micros);
            let (Some(cold), Some(warm)) = (time(), time()) else { continue };
            let found = words.next().unwrap_or_default().to_owned();
            if best.as_ref().is_none_or(|(known, ..)| cold < *known) {
                best = Some((cold, warm, found));
            }
        }
        if let Some((cold, warm, found)) = best {
            measured.push((cold, warm, found, &format.name, log.lines().count()));
        }
    }
    std::fs::remove_file(&file)?;
    measured.sort_by(|a, b| b.cmp(a));
    writeln!(out, "| format | lines | cold ms | warm ms | found |\n|---|---:|---:|---:|---|")?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    for (cold, warm, found, name, lines) in &measured {
        let found = if found == *name { "" } else { found };
        writeln!(out, "| {name} | {lines} | {:.1} | {:.2} | {found} |", ms(*cold), ms(*warm))?;
    }
    let median = measured.get(measured.len() / 2).map_or(0.0, |(cold, ..)| ms(*cold));
    let slow = measured.iter().filter(|(cold, ..)| *cold > GOAL).count();
    writeln!(out, "\n{} files, cold median {median:.1} ms, {slow} over {} ms", measured.len(), GOAL.as_millis())?;
    Ok(())
}
