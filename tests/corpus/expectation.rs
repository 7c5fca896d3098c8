//! What should come of the corpus: the two files beside this one, and what the sources say.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// All that is expected.
pub(crate) struct Expectations {
    /// Percent of the records that should land, by goal.
    pub(crate) goals: BTreeMap<String, f64>,
    /// Percent of the values that should be equal.
    pub(crate) values: f64,
    /// Percent of the files whose family should be found.
    pub(crate) detected: f64,
    pub(crate) families: BTreeMap<String, FamilySpec>,
    pub(crate) words: Words,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesToml {
    goal: BTreeMap<String, f64>,
    values: f64,
    detected: f64,
    family: BTreeMap<String, FamilySpec>,
}

/// A folder of the corpus.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FamilySpec {
    /// Which goal it counts for.
    pub(crate) goal: String,
    /// What holds now.
    #[serde(default)]
    pub(crate) holds: Holds,
    /// What all its files should be, unless they say something else.
    #[serde(default)]
    all: FileSpec,
    #[serde(default)]
    file: BTreeMap<String, FileSpec>,
}

/// Percent that may not be fallen short of.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holds {
    pub(crate) landed: f64,
    pub(crate) values: f64,
}

/// What a file should be. What is not said for a file is as for its folder.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSpec {
    /// The family of its lines; `none` where there is none.
    #[serde(default)]
    pub(crate) format: String,
    /// The family that the whole file should be detected as, where that is not the one of most lines that are judged.
    detected: Option<String>,
    /// The table that its records should be rows of.
    #[serde(default)]
    pub(crate) table: String,
    /// The same for some lines.
    #[serde(default)]
    lines: BTreeMap<String, String>,
    /// Lines that no program writes like that, and why: the source made or damaged them. They are not judged.
    #[serde(default)]
    broken: BTreeMap<String, String>,
    /// Lines that have no time.
    #[serde(default)]
    untimed: String,
    /// The zone of its stamps, where the source of the expectations means another one than usual.
    pub(crate) zone: Option<String>,
    /// The time of the file, for stamps without a year.
    pub(crate) anchor: Option<String>,
    /// The first and the last year that its stamps may have where they do not say it.
    pub(crate) years: Option<[i16; 2]>,
    /// The source gives texts without the head that they have in a log: programs by lines, none where only time and host are gone. They are
    /// read behind a head of ours, with the program that the source names in this word, if it does.
    #[serde(default)]
    heads: BTreeMap<String, String>,
    head_word: Option<String>,
    /// Lines of other logs that somebody put into the same file: they are read as files of their own, with the other lines blank.
    #[serde(default)]
    parts: BTreeMap<String, FileSpec>,
    /// Which kind of reader it waits for.
    pub(crate) later: Option<String>,
    /// Why it holds no log lines. It is read all the same, but not judged.
    pub(crate) not_logs: Option<String>,
}

impl FamilySpec {
    /// What is expected of a file, and of the lines of other logs in it.
    pub(crate) fn parts(&self, name: &str) -> Vec<(Part, FileSpec)> {
        let whole = self.file.get(name).map_or_else(|| self.all.or(&FileSpec::default()), |own| own.or(&self.all));
        let others = whole.parts.keys().chain(whole.broken.keys());
        let rest = Part::Rest(others.cloned().collect());
        let parts: Vec<_> = whole.parts.iter().map(|(lines, own)| (Part::Lines(lines.clone()), own.or(&whole))).collect();
        std::iter::once((rest, whole)).chain(parts).collect()
    }
}

/// Which lines of a file are judged together.
pub(crate) enum Part {
    /// All but these.
    Rest(Vec<String>),
    Lines(String),
}

impl Part {
    fn has(&self, line: u64) -> bool {
        match self {
            Self::Rest(others) => !others.iter().any(|lines| holds_line(lines, line)),
            Self::Lines(lines) => holds_line(lines, line),
        }
    }

    /// The file with all other lines blank, so that lines keep their numbers.
    pub(crate) fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let lines = (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n'));
        lines.flat_map(|(line, text)| if self.has(line) { text } else { b"\n" }).copied().collect()
    }
}

/// Is the line in a list such as `1,3-5,9-`? `all` has every line.
fn holds_line(list: &str, line: u64) -> bool {
    list.split(',').any(|part| match part.split_once('-') {
        Some((first, last)) => {
            first.parse().is_ok_and(|first: u64| line >= first) && last.parse().map_or(last.is_empty(), |last: u64| line <= last)
        }
        None => part == "all" || part.parse() == Ok(line),
    })
}

fn of_line(by_lines: &BTreeMap<String, String>, line: u64) -> Option<&str> {
    by_lines.iter().find(|(lines, _)| holds_line(lines, line)).map(|(_, value)| value.as_str())
}

impl FileSpec {
    /// Of a file of this time.
    pub(crate) fn at(anchor: &str) -> Self {
        Self { anchor: Some(anchor.to_owned()), ..Self::default() }
    }

    /// With what `all` says where it says nothing itself.
    fn or(&self, all: &Self) -> Self {
        let text = |own: &String, all: &String| if own.is_empty() { all.clone() } else { own.clone() };
        Self {
            format: text(&self.format, &all.format).replace("none", ""),
            table: text(&self.table, &all.table),
            zone: self.zone.clone().or_else(|| all.zone.clone()),
            anchor: self.anchor.clone().or_else(|| all.anchor.clone()),
            years: self.years.or(all.years),
            later: self.later.clone().or_else(|| all.later.clone()),
            // A file whose family is given holds logs, whatever the others hold.
            not_logs: self.not_logs.clone().or_else(|| all.not_logs.clone().filter(|_| self.format.is_empty())),
            ..self.clone()
        }
    }

    /// The family that the whole file should be detected as.
    pub(crate) fn detected(&self) -> &str {
        self.detected.as_deref().map_or(&self.format, |own| if own == "none" { "" } else { own })
    }

    /// The table that a record at this line should be a row of.
    pub(crate) fn table_of(&self, line: u64) -> &str {
        of_line(&self.lines, line).unwrap_or(&self.table)
    }

    /// How many lines the source made or damaged.
    pub(crate) fn broken_lines(&self, bytes: &[u8]) -> usize {
        let lines = (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n'));
        lines.filter(|(line, _)| of_line(&self.broken, *line).is_some()).count()
    }

    /// Are lines read behind a head of ours?
    pub(crate) fn has_heads(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Has the line no time?
    pub(crate) fn is_untimed(&self, line: u64) -> bool {
        holds_line(&self.untimed, line) || of_line(&self.heads, line).is_some()
    }

    /// The file with heads in front of the lines that have lost theirs.
    pub(crate) fn with_heads(&self, bytes: &[u8], expected: &[&Expected]) -> Vec<u8> {
        let mut whole = vec![];
        for (line, text) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
            if let Some(program) = of_line(&self.heads, line) {
                let own = self.head_word.as_deref().and_then(|word| {
                    let record = expected.iter().find(|record| record.line == line)?;
                    record.words().into_iter().find(|(name, _)| name == word)?.1.as_str().filter(|own| own.len() > 1)
                });
                let program = own.unwrap_or(program);
                // A message number stands by itself; a program has a colon behind it; some lines have kept theirs.
                let end = match program.as_bytes() {
                    [] => "",
                    [b'%', ..] => ": ",
                    _ => "[1]: ",
                };
                whole.extend_from_slice(format!("Nov 21 00:00:00 host {program}{end}").as_bytes());
            }
            whole.extend_from_slice(text);
        }
        whole
    }
}

/// What the words of the sources are called here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Words {
    /// By schema and word.
    schema: BTreeMap<String, Schema>,
    /// Differences that are the source's error.
    #[serde(default)]
    pub(crate) wrong: Vec<Wrong>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schema {
    /// The zone of its times.
    zone: Option<String>,
    words: BTreeMap<String, RuleDef>,
}

/// A value of a source that is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wrong {
    /// `folder/file:line word`, or `folder/file word` for all lines.
    pub(crate) at: String,
    /// What is wrong with it.
    #[serde(rename = "why")]
    _why: String,
}

impl Wrong {
    /// Is it about this value?
    pub(crate) fn is_for(&self, file: &str, line: u64, word: &str) -> bool {
        let Some((place, own)) = self.at.split_once(' ') else { return false };
        own == word && (place == file || place.strip_prefix(file).is_some_and(|rest| rest == format!(":{line}")))
    }
}

/// A column, or a rule, or several of which the first that applies counts.
#[derive(Deserialize)]
#[serde(untagged)]
enum RuleDef {
    Column(String),
    One(Rule),
    Many(Vec<Rule>),
}

/// What a word of a source is here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The columns, separated by blanks, that may hold it: one of those that the table has is equal.
    pub(crate) column: String,
    /// Only for these tables.
    #[serde(default)]
    pub(crate) tables: Vec<String>,
    /// Only for files whose path begins so.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    /// Layouts of a time, for `strptime`.
    #[serde(default)]
    pub(crate) time: Vec<String>,
    /// What the source leaves out in front.
    #[serde(default)]
    pub(crate) prefix: String,
    /// The source leaves the escapes of bytes (`\x16`).
    #[serde(default)]
    pub(crate) unescape: bool,
    /// What the source leaves around it.
    #[serde(default)]
    pub(crate) trim: String,
    /// The source leaves in it what has columns of its own here.
    #[serde(default)]
    pub(crate) within: bool,
    /// Our column has more in it.
    #[serde(default)]
    pub(crate) holds: bool,
    /// Letters are not told apart.
    #[serde(default)]
    pub(crate) fold: bool,
    /// What makes our unit of the source's.
    pub(crate) factor: Option<f64>,
    /// Values that are others here.
    #[serde(default)]
    pub(crate) map: BTreeMap<String, String>,
    /// Values that say nothing about the line.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
}

impl Words {
    pub(crate) fn zone_of(&self, expected: &[&Expected]) -> Option<String> {
        self.schema.get(expected.first()?.schema.as_deref()?)?.zone.clone()
    }

    /// What the word is in a row of this table.
    pub(crate) fn rule(&self, record: &Expected, word: &str, file: &str, table: &str) -> Option<&Rule> {
        let rules = match self.schema.get(record.schema.as_deref()?)?.words.get(word)? {
            RuleDef::Column(_) => unreachable!("made a rule when it was loaded"),
            RuleDef::One(rule) => std::slice::from_ref(rule),
            RuleDef::Many(rules) => rules,
        };
        rules.iter().find(|rule| {
            (rule.tables.is_empty() || rule.tables.iter().any(|own| own == table))
                && (rule.files.is_empty() || rule.files.iter().any(|own| file.starts_with(own.as_str())))
        })
    }
}

impl Expectations {
    pub(crate) fn load() -> Self {
        let files: FilesToml = toml::from_str(include_str!("files.toml")).unwrap_or_else(|error| panic!("files.toml: {error}"));
        let mut words: Words = toml::from_str(include_str!("words.toml")).unwrap_or_else(|error| panic!("words.toml: {error}"));
        for rule in words.schema.values_mut().flat_map(|schema| schema.words.values_mut()) {
            if let RuleDef::Column(column) = rule {
                *rule = RuleDef::One(Rule { column: std::mem::take(column), ..Rule::default() });
            }
        }
        Self { goals: files.goal, values: files.values, detected: files.detected, families: files.family, words }
    }
}

/// A line of `expected.jsonl`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) file: String,
    pub(crate) line: u64,
    #[serde(default = "one")]
    pub(crate) lines: u64,
    schema: Option<String>,
    #[serde(default)]
    fields: Value,
    result: Option<String>,
    #[serde(default)]
    header: bool,
    must_not_match: Option<Value>,
}

fn one() -> u64 {
    1
}

impl Expected {
    fn parse(line: &str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("expected.jsonl: {error}: {line}"))
    }

    /// All records of a file of them; none where there is no such file.
    pub(crate) fn load(path: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty()).map(Self::parse).collect()
    }

    /// Does the source say that the line is no record?
    pub(crate) fn is_error(&self) -> bool {
        self.header || self.result.as_deref() == Some("error")
    }

    /// Does the source give values for the line?
    pub(crate) fn is_valid(&self) -> bool {
        !self.is_error() && self.must_not_match.is_none()
    }

    /// All values by the path of their names; a list of one value is that value.
    pub(crate) fn words(&self) -> Vec<(String, &Value)> {
        fn walk<'a>(path: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
            match value {
                Value::Object(members) => {
                    for (name, member) in members {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        walk(&path, member, found);
                    }
                }
                Value::Array(items) => {
                    if let [item] = items.as_slice() {
                        walk(path, item, found);
                    }
                }
                _ => found.push((path.to_owned(), value)),
            }
        }
        let mut found = vec![];
        walk("", &self.fields, &mut found);
        found
    }
}
