//! What became of the files of each family.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use logsql_kernel::format::Catalog;

use super::compare::{self, Verdict};
use super::expectation::{Expectations, Expected, FamilySpec, FileSpec};
use super::read::{self, File, Reading, Row};

/// Zones that stamps without one are assumed to be in: none, one that goes back in autumn, one with half an hour, and one that
/// turns its clock by half an hour.
const ZONES: [&str; 4] = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"];

/// How well the files of a family are read.
#[derive(Clone, Default)]
pub(crate) struct Score {
    pub(crate) files: usize,
    pub(crate) detected: usize,
    /// Files that wait for a reader.
    later: usize,
    pub(crate) records: usize,
    /// Records that are rows of their table.
    in_table: usize,
    /// Those of them that have a time, or whose line has none.
    pub(crate) landed: usize,
    pub(crate) values: usize,
    pub(crate) equal: usize,
    /// Values that differ because the source is wrong, and lines that it made or damaged.
    wrong: usize,
    /// What is not as it should be, to be shown.
    pub(crate) differences: Vec<String>,
}

impl Score {
    pub(crate) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.detected += other.detected;
        self.later += other.later;
        self.records += other.records;
        self.in_table += other.in_table;
        self.landed += other.landed;
        self.values += other.values;
        self.equal += other.equal;
        self.wrong += other.wrong;
    }

    /// The line above the rows.
    pub(crate) fn head() -> String {
        format!(
            "{:<18}{:>6}{:>6}{:>7}{:>9}{:>9}{:>9}{:>8}{:>8}{:>8}{:>8}{:>9}\n",
            "family", "files", "right", "later", "records", "table", "landed", "%", "values", "equal", "%", "source's"
        )
    }

    pub(crate) fn row(&self, name: &str, note: &str) -> String {
        format!(
            "{name:<18}{:>6}{:>6}{:>7}{:>9}{:>9}{:>9}{:>8.1}{:>8}{:>8}{:>8.1}{:>9}  {note}\n",
            self.files,
            self.detected,
            self.later,
            self.records,
            self.in_table,
            self.landed,
            percent(self.landed, self.records),
            self.values,
            self.equal,
            percent(self.equal, self.values),
            self.wrong,
        )
    }
}

pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn time_zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a time zone")
}

/// Reads the corpus.
pub(crate) struct Scorer<'a> {
    folder: &'a Path,
    expectations: &'a Expectations,
    catalog: Catalog,
    /// What may not be, whatever the score is.
    pub(crate) problems: Vec<String>,
    /// How long detection took of each file, while definitions were compiled and again.
    times: Vec<(Duration, Duration, String)>,
    /// The entries of the list of the sources' errors that were met.
    met: BTreeSet<&'a str>,
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(folder: &'a Path, expectations: &'a Expectations) -> Self {
        let met = BTreeSet::new();
        Self { folder, expectations, catalog: Catalog::builtin(), problems: vec![], times: vec![], met }
    }

    /// Reads all files of a family.
    pub(crate) fn family(&mut self, name: &str, family: &FamilySpec) -> Score {
        let mut total = Score::default();
        let folder = self.folder.join(name);
        let expected = Expected::load(&folder.join("expected.jsonl"));
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name of UTF-8"));
        let mut names: Vec<String> = names.filter(|file| file != "SOURCE.txt" && file != "expected.jsonl").collect();
        names.sort();
        for file_name in names {
            let expected: Vec<&Expected> = expected.iter().filter(|expected| expected.file == file_name).collect();
            let bytes = std::fs::read(folder.join(&file_name)).expect("a file");
            let whole = File { name: format!("{name}/{file_name}"), bytes };
            let parts = family.parts(&file_name);
            let Some(format) = self.whole(&whole, &parts[0].1) else { continue };
            for (index, (part, spec)) in parts.iter().enumerate() {
                if spec.later.is_some() {
                    total.later += 1;
                    continue;
                }
                if spec.not_logs.is_some() {
                    continue;
                }
                let bytes = spec.with_heads(&part.of(&whole.bytes), &expected);
                let zone = spec.zone.clone().or_else(|| self.expectations.words.zone_of(&expected));
                let zone = time_zone(zone.as_deref().unwrap_or("UTC"));
                let file = File { name: whole.name.clone(), bytes };
                let reading = read::read(&self.catalog, &file, spec, &zone);
                if index == 0 {
                    // Without the heads that it has lost, a file is of no family.
                    let detected = if spec.has_heads() { &reading.format } else { &format };
                    total.files += 1;
                    total.detected += usize::from(detected == spec.detected());
                    total.wrong += spec.broken_lines(&whole.bytes);
                    if detected != spec.detected() {
                        total.differences.push(format!("{}: is {detected:?}, not {:?}", file.name, spec.detected()));
                    }
                }
                let mut score = self.part(&file, spec, &expected, &reading, &zone);
                total.add(&score);
                total.differences.append(&mut score.differences);
            }
        }
        // Records that did not land first.
        total.differences.sort_by_key(|difference| !difference.contains(": in ["));
        total
    }

    /// Reads a file as it is in all zones; the family that it was detected as.
    fn whole(&mut self, file: &File, spec: &FileSpec) -> Option<String> {
        let read = |zone: &str| read::read(&self.catalog, file, spec, &time_zone(zone));
        let Ok(readings) = catch_unwind(AssertUnwindSafe(|| ZONES.map(read))) else {
            self.problems.push(format!("{}: panics", file.name));
            return None;
        };
        for (reading, zone) in readings.iter().zip(ZONES) {
            let problems = reading.problems(file, spec, &readings[0]);
            self.problems.extend(problems.map(|problem| format!("{} in {zone}: {problem}", file.name)));
        }
        let [first, second, ..] = readings;
        self.times.push((first.detection, second.detection, file.name.clone()));
        Some(first.format)
    }

    fn part(&mut self, file: &File, spec: &FileSpec, expected: &[&Expected], reading: &Reading, zone: &TimeZone) -> Score {
        let mut score = Score::default();
        let inside = |line: u64| expected.iter().any(|record| record.line < line && line < record.line + record.lines);
        for (line, text) in (1..).zip(file.bytes.split(|&byte| byte == b'\n')) {
            let rows = reading.rows.get(&line).map_or(&[][..], Vec::as_slice);
            let table = spec.table_of(line);
            let mut records = expected.iter().filter(|record| record.line == line);
            // A line without a row continues a record, unless the source says that a record begins there.
            let begins = !rows.is_empty() || records.clone().next().is_some();
            let is_none = records.any(|record| record.is_error()) || text.iter().all(u8::is_ascii_whitespace);
            if !begins || is_none || inside(line) {
                continue;
            }
            score.records += 1;
            let row = rows.iter().find(|row| row.table == table);
            score.in_table += usize::from(row.is_some());
            if row.is_some_and(|row| row.has_time() || spec.is_untimed(line)) {
                score.landed += 1;
            } else {
                let tables: Vec<&str> = rows.iter().map(|row| row.table).collect();
                let what = if row.is_some() { "no time".to_owned() } else { format!("in {tables:?}, not in {table}") };
                score.differences.push(format!("{}:{line}: {what}: {:.150}", file.name, text.escape_ascii().to_string()));
            }
            for record in expected.iter().filter(|record| record.line == line && record.is_valid()) {
                self.values(&mut score, (&file.name, text), record, (table, row), zone);
            }
        }
        score
    }

    /// Compares the values of a record.
    fn values(
        &mut self,
        score: &mut Score,
        (file, text): (&str, &[u8]),
        record: &Expected,
        (table, row): (&str, Option<&Row>),
        zone: &TimeZone,
    ) {
        for (word, value) in record.words() {
            let Some(rule) = self.expectations.words.rule(record, &word, file, table) else { continue };
            let verdict = match row {
                Some(row) => compare::compare(rule, value, row, text, zone),
                None => compare::missing(rule, value),
            };
            let Verdict::Differs(got) = verdict else {
                score.values += usize::from(matches!(verdict, Verdict::Equal));
                score.equal += usize::from(matches!(verdict, Verdict::Equal));
                continue;
            };
            let wrong = self.expectations.words.wrong.iter().find(|wrong| wrong.is_for(file, record.line, &word));
            if let Some(wrong) = wrong {
                self.met.insert(&wrong.at);
                score.wrong += 1;
                continue;
            }
            score.values += 1;
            if row.is_some() {
                score.differences.push(format!("{file}:{} {word}: expected {value}, got {got}", record.line));
            }
        }
    }

    /// Are all families listed, and is everything that is listed there?
    pub(crate) fn check_lists(&mut self) {
        for entry in std::fs::read_dir(self.folder).expect("the corpus") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name of UTF-8");
            let is_listed = self.expectations.families.contains_key(&name) || name == "pcap" || name == "README.md";
            if !is_listed {
                self.problems.push(format!("files.toml: nothing is said of {name}"));
            }
        }
        let stale = self.expectations.words.wrong.iter().filter(|wrong| !self.met.contains(wrong.at.as_str()));
        self.problems.extend(stale.map(|wrong| format!("words.toml: {} does not differ", wrong.at)));
    }

    /// How long detection took.
    pub(crate) fn detection_times(&mut self) -> String {
        self.times.sort();
        let Some((cold, _, file)) = self.times.last() else { return String::new() };
        let mut warm: Vec<Duration> = self.times.iter().map(|(_, warm, _)| *warm).collect();
        warm.sort();
        let slow = self.times.iter().filter(|(cold, ..)| cold.as_millis() >= 20).count();
        let list = |(cold, _, file): &(Duration, Duration, String)| format!("    {cold:?} {file}\n");
        let listed: String = self.times.iter().rev().take_while(|(cold, ..)| cold.as_millis() >= 20).map(list).collect();
        format!(
            "{listed}detection: median {:?}, at most {:?}; while definitions are compiled at most {cold:?} ({file}), {slow} of {} files over 20 ms\n",
            warm[warm.len() / 2],
            warm[warm.len() - 1],
            warm.len(),
        )
    }
}
