//! The samples of pylogsparser: those in its normalizers and those in its tests, read by our own formats, or by the definitions that an import
//! makes of the normalizers. A sample is right if one way of reading gives all of its values.
//!
//! `LOGSQL_PYLOGSPARSER` names the folder of its unpacked source distribution (`pip download --no-binary :all: --no-deps pylogsparser`); it is not part of
//! the repository. `pylogsparser.py` takes the samples out of it, `pylogsparser.toml` says what its tags are called here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use jiff::tz::TimeZone;
use logsql_kernel::format::Catalog;
use logsql_kernel::format::import::{ConfigFile, Imported};
use serde::Deserialize;
use serde_json::Value;

use super::compare::{self, Verdict};
use super::expectation::{FileSpec, Rule};
use super::read::{self, Cell, File, Reading, Row};

/// Samples that were right when this was written. It may not get worse.
const HOLDS: usize = 234;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    /// The program in front of a message, for samples that are messages of syslog.
    heads: BTreeMap<String, String>,
    /// Other places of a tag than a column, or a key of `fields`, of its own name.
    tags: BTreeMap<String, Vec<Rule>>,
    /// Samples that do not come out, and why: where, what their line begins with, and the reason.
    differs: Vec<Differs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Differs {
    place: String,
    #[serde(default)]
    line: String,
    why: String,
}

#[derive(Deserialize)]
struct Sample {
    place: String,
    line: String,
    expected: BTreeMap<String, String>,
    missing: Vec<String>,
}

impl Sample {
    /// What of it does not come out of a reading.
    fn wrong(&self, reading: &Reading, words: &Words) -> Vec<String> {
        let rows: Vec<&Row> = reading.rows.values().flatten().collect();
        if rows.is_empty() {
            return vec!["no row".to_owned()];
        }
        let mut wrong = vec![];
        for (tag, value) in &self.expected {
            let own = Rule { column: format!("{tag} fields.{tag}"), ..Rule::default() };
            let rules = words.tags.get(tag).into_iter().flatten().chain([&own]);
            let is_right = |rule: &Rule, row: &Row| is_right(rule, value, row, &self.line);
            if !rules.clone().any(|rule| rows.iter().any(|row| is_right(rule, row))) {
                wrong.push(format!("{tag} is not {value:?}"));
            }
        }
        for tag in &self.missing {
            let column = words.tags.get(tag).and_then(|rules| rules.first()).map_or(tag.as_str(), |rule| rule.column.as_str());
            if rows.iter().any(|row| column.split(' ').any(|column| row.cells.contains_key(column))) {
                wrong.push(format!("{tag} is there"));
            }
        }
        wrong
    }
}

fn is_right(rule: &Rule, value: &str, row: &Row, raw: &str) -> bool {
    let is = |text: &str| rule.map.get(value).map_or(value, String::as_str) == text;
    if rule.column == "_table" {
        return is(row.table);
    }
    let value = Value::String(value.to_owned());
    if matches!(compare::compare(rule, &value, row, raw.as_bytes(), &TimeZone::UTC), Verdict::Equal) {
        return true;
    }
    // It drops the offset that a stamp has.
    let (Some(Cell::Time(time)), Some(Cell::Number(offset))) = (row.cells.get("time"), row.cells.get("time_offset")) else {
        return false;
    };
    let mut cells = row.cells.clone();
    cells.insert("time", Cell::Time(time + (*offset as i64) * 60_000_000));
    rule.column == "time"
        && matches!(
            compare::compare(rule, &value, &Row { table: row.table, cells }, raw.as_bytes(), &TimeZone::UTC),
            Verdict::Equal
        )
}

fn files(folder: &Path) -> Vec<ConfigFile> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    paths.sort();
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned();
    paths.iter().map(|path| ConfigFile { path: path.display().to_string(), text: read(path) }).collect()
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[test]
fn samples_of_pylogsparser_come_out_as_well_as_they_did() {
    let Some(folder) = std::env::var_os("LOGSQL_PYLOGSPARSER") else {
        super::say("skipped: LOGSQL_PYLOGSPARSER is not set\n");
        return;
    };
    let folder = Path::new(&folder);
    let shown = std::env::var("LOGSQL_CORPUS_ONLY").unwrap_or_default();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let words = std::fs::read_to_string(own.join("pylogsparser.toml")).expect("pylogsparser.toml");
    let words: Words = toml::from_str(&words).unwrap_or_else(|error| panic!("pylogsparser.toml: {error}"));
    let script = own.join("pylogsparser.py");
    let taken = Command::new("python3").args(["-W", "ignore"]).arg(script).arg(folder).output().expect("python3");
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let samples = String::from_utf8(taken.stdout).expect("UTF-8");
    let samples: Vec<Sample> = samples.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect();

    let (shared, normalizers): (Vec<_>, Vec<_>) =
        files(&folder.join("normalizers")).into_iter().partition(|file| name_of(&file.path).starts_with("common_"));
    let builtin = Catalog::builtin();
    let (mut all, mut families) = (Catalog::builtin(), BTreeMap::new());
    let mut table = String::new();
    for file in normalizers {
        let mut imported = Imported::default();
        imported.pylogsparser(&builtin, &file, &shared);
        for made in imported.made {
            all.add(&file.path, &made.text).unwrap_or_else(|error| panic!("{error}\n{}", made.text));
            families.insert(name_of(&file.path).to_owned(), made.name);
        }
        if shown == "notes" || shown == name_of(&file.path) {
            let _ = writeln!(table, "{}", imported.notes.join("\n"));
        }
    }

    // Without a year, a stamp is of the time when the samples were made, or when the tests run.
    let then = FileSpec::at("2012-06-30T00:00:00Z");
    let now = FileSpec::at("2026-11-21T12:00:00Z");
    let (mut right, mut unexplained, mut stale) = (0, vec![], vec![]);
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut lists = String::new();
    for sample in &samples {
        let is_old = sample.expected.get("date").is_some_and(|date| date.as_str() < "2013");
        let spec = if is_old { &then } else { &now };
        let file = |line: String| File { name: sample.place.clone(), bytes: format!("{line}\n").into_bytes() };
        let mut ways = vec![("ours", read::read(&builtin, &file(sample.line.clone()), spec, &TimeZone::UTC))];
        if let Some(head) = words.heads.get(&sample.place) {
            let line = format!("Nov 21 00:00:00 host {head}: {}", sample.line);
            ways.push(("ours", read::read(&builtin, &file(line), spec, &TimeZone::UTC)));
        }
        let imported = file(sample.line.clone());
        let forced = |family: &String| ("imported", read::read_as(&all, family, &imported, spec, &TimeZone::UTC));
        // A line of the tests may be any normalizer's; its own is found by the content, or named with `-i`.
        match families.get(&sample.place) {
            Some(family) => ways.push(forced(family)),
            None if sample.place.ends_with(".xml") => {}
            None => {
                ways.push(("imported", read::read(&all, &imported, spec, &TimeZone::UTC)));
                ways.extend(families.values().chain([&"syslog".to_owned()]).map(forced));
            }
        }
        let wrong: Vec<_> = ways.iter().map(|(way, reading)| (*way, &reading.format, sample.wrong(reading, &words))).collect();
        let is_by = |own: &str| wrong.iter().any(|(way, _, wrong)| *way == own && wrong.is_empty());
        let is_right = wrong.iter().any(|(.., wrong)| wrong.is_empty());
        right += usize::from(is_right);
        let count = counts.entry(&sample.place).or_default();
        *count = [count[0] + 1, count[1] + usize::from(is_by("ours")), count[2] + usize::from(is_right)];
        let known = words.differs.iter().find(|known| known.place == sample.place && sample.line.starts_with(&known.line));
        let line = format!("{}: {:.90}", sample.place, sample.line.escape_debug().to_string());
        match (is_right, known) {
            (true, None) => {}
            (true, Some(known)) if known.line.is_empty() => {}
            (true, Some(_)) => stale.push(line),
            (false, Some(known)) => drop(writeln!(lists, "    {line}\n        {}", known.why)),
            (false, None) => {
                let _ = writeln!(lists, "    {line}");
                if let Some((way, format, wrong)) =
                    wrong.iter().filter(|(.., wrong)| *wrong != ["no row"]).min_by_key(|(.., wrong)| wrong.len())
                {
                    let _ = writeln!(lists, "        {way} ({format}): {:.600}", wrong.join("; "));
                }
                unexplained.push(line);
            }
        }
    }
    let _ = writeln!(table, "{:<56}{:>9}{:>9}{:>9}", "samples of", "all", "by ours", "right");
    for (place, [all, ours, right]) in &counts {
        let _ = writeln!(table, "{place:<56}{all:>9}{ours:>9}{right:>9}");
    }
    let _ = writeln!(table, "{:<56}{:>9}{:>9}{right:>9}\n{lists}", "", samples.len(), "");
    super::say(&table);
    assert!(right >= HOLDS, "{right} samples are right, were {HOLDS}");
    assert!(stale.is_empty(), "pylogsparser.toml: these come out:\n{}", stale.join("\n"));
    assert!(unexplained.is_empty(), "pylogsparser.toml says nothing of these:\n{}", unexplained.join("\n"));
}
