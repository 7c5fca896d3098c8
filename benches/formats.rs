//! How fast each built-in format is counted by one of its columns, on one core: a table, the slowest first.
//!
//! `cargo run --release -p logsql-kernel --example formats -- [MiB of each] [name …]`. The log of a format is its own samples, in turn: as
//! many layouts beside each other as hardly any file has, so a lower bound. Beside it the same of the samples of one pattern, the one that has most: nearer to
//! what a file is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use logsql_kernel::decode::{ScanPlan, ScanPlanArgs};
use logsql_kernel::format::{Catalog, Format};
use logsql_kernel::table::table;

mod reading;

use reading::rows;

/// Runs of each, of which the fastest counts.
const RUNS: usize = 3;

/// Records under a header.
const UNDER_HEADER: usize = 256;

/// What a format is measured with.
struct Case<'a> {
    format: &'a str,
    /// The family that its lines are detected as: an envelope, or itself.
    outer: &'a str,
    table: &'a str,
    column: &'a str,
    /// Patterns that the samples are of.
    patterns: usize,
    lines: Vec<&'a str>,
    /// The same of one pattern.
    one: Vec<&'a str>,
}

/// The samples of the family that are rows of the table which most of them feed, and the column that most of them have a value in.
fn case<'a>(format: &'a Format) -> Option<Case<'a>> {
    let of_pattern = |name: &str| format.patterns().iter().find(|pattern| pattern.name == name);
    let outer_of = |pattern: &'a logsql_kernel::format::Pattern| pattern.within.as_deref().unwrap_or(&format.name);
    let samples: Vec<_> = format
        .samples()
        .iter()
        .filter_map(|sample| {
            let pattern = of_pattern(sample.pattern.as_deref()?)?;
            Some((outer_of(pattern), pattern.table.name, sample))
        })
        .collect();
    let most =
        |counts: BTreeMap<(&'a str, &'a str), usize>| counts.into_iter().max_by_key(|(_, count)| *count).map(|(key, _)| key);
    let mut places = BTreeMap::new();
    samples.iter().for_each(|(outer, table, _)| *places.entry((*outer, *table)).or_default() += 1);
    let (outer, table) = most(places)?;
    let samples: Vec<_> =
        samples.into_iter().filter(|sample| (sample.0, sample.1) == (outer, table)).map(|sample| sample.2).collect();
    let mut columns = BTreeMap::new();
    for (column, _) in
        samples.iter().flat_map(|sample| &sample.expect).filter(|(column, value)| value.is_some() && !column.starts_with("time"))
    {
        *columns.entry((column.as_str(), "")).or_default() += 1;
    }
    let column = most(columns).map_or("_format", |(column, _)| column);
    let mut of_patterns = BTreeMap::new();
    samples.iter().for_each(|sample| *of_patterns.entry((sample.pattern.as_deref().unwrap_or_default(), "")).or_default() += 1);
    let patterns = of_patterns.len();
    let (pattern, _) = most(of_patterns)?;
    let lines: Vec<&str> = samples.iter().map(|sample| sample.line.as_str()).collect();
    let of_one = samples.iter().filter(|sample| sample.pattern.as_deref() == Some(pattern));
    let one = of_one.map(|sample| sample.line.as_str()).collect();
    Some(Case { format: &format.name, outer, table, column, patterns, lines, one })
}

/// The lines in turn, up to so many bytes. Under a header its record stands many times, as in a file.
fn repeated(lines: &[&str], plan: &ScanPlan, bytes: usize) -> Vec<u8> {
    let mut log = vec![];
    while log.len() < bytes {
        for sample in lines.iter().map(|line| line.trim_end()) {
            let parts = sample.rsplit_once('\n');
            let under = parts.filter(|(head, _)| head.lines().any(|line| plan.is_header(line.as_bytes())));
            log.extend_from_slice(under.map_or(sample, |(head, _)| head).as_bytes());
            log.push(b'\n');
            for record in under.iter().flat_map(|(_, record)| [record; UNDER_HEADER]) {
                log.extend_from_slice(record.as_bytes());
                log.push(b'\n');
            }
        }
    }
    log
}

/// Seconds and rows.
fn timed(plan: &Arc<ScanPlan>, log: &[u8]) -> (f64, usize) {
    let start = Instant::now();
    let rows = rows(plan, log);
    (start.elapsed().as_secs_f64(), rows)
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mib: usize = arguments.next().and_then(|size| size.parse().ok()).unwrap_or(16);
    let names: Vec<String> = arguments.collect();
    let catalog = Catalog::builtin();
    let mut measured = vec![];
    for format in catalog.formats().iter().filter(|format| names.is_empty() || names.contains(&format.name)) {
        let Some(case) = case(format) else { continue };
        let of = table(case.table).expect("a table");
        let columns: Vec<usize> = of.column(case.column).into_iter().collect();
        let plan = Arc::new(
            ScanPlan::try_new(&ScanPlanArgs {
                catalog: &catalog,
                format: case.outer,
                table: case.table,
                columns: &columns,
                filter_columns: &[],
                required: &[],
                file: "bench",
                zone: TimeZone::UTC,
                reference_us: 1_795_305_600_000_000,
            })
            .expect("a plan"),
        );
        let fastest = |lines: &[&str]| {
            let log = &repeated(lines, &plan, mib << 20)[..];
            let runs = (0..RUNS).map(|_| timed(&plan, log));
            let (seconds, rows) = runs.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, 0));
            (log.len() as f64 / 1e6 / seconds, rows)
        };
        let ((speed, rows), (one, _)) = (fastest(&case.lines), fastest(&case.one));
        measured.push((speed, one, case, rows));
    }
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| format | in | table | column | patterns | MB/s a core | of one pattern | rows |\n|---|---|---|---|---:|---:|---:|---:|"
    )?;
    for (speed, one, case, rows) in measured {
        let outer = if case.outer == case.format { "" } else { case.outer };
        writeln!(
            out,
            "| {} | {outer} | {} | {} | {} | {speed:.0} | {one:.0} | {rows} |",
            case.format, case.table, case.column, case.patterns
        )?;
    }
    Ok(())
}
