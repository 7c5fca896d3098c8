//! What log lines look like: definitions, checked and compiled.
//!
//! ```text
//!   TOML ──► FormatDef ──check──► Format { patterns: [Pattern { Matcher, feeds of each column }] }
//!   (definition.rs: as typed)      (check.rs: names, types, samples)        │
//!                                                                   Catalog ┴─► detect.rs: which family is this?
//! ```
//!
//! A family is what a file is detected as. Its patterns are tried in order on each record; each feeds one table. A family
//! can be an envelope (`carries`): its records hold records of other families, whose patterns say `within`.

mod check;
mod definition;
mod detect;
mod feed;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thiserror::Error;

pub use check::{SampleFailure, nearest};
pub use detect::{Candidate, Detection, Miss, detect, explain};
pub(crate) use feed::{Address, Extract, Feed, Part, Source, Take, TextRule};

use crate::scan::{Matcher, PatternSet, Ways};
use crate::table::TableDef;

/// The built-in definitions: file name and text.
pub const BUILTIN: &[(&str, &str)] = &[
    ("access.toml", include_str!("builtin/access.toml")),
    ("aws_elb.toml", include_str!("builtin/aws_elb.toml")),
    ("aws_s3.toml", include_str!("builtin/aws_s3.toml")),
    ("aws_cloudfront.toml", include_str!("builtin/aws_cloudfront.toml")),
    ("traefik.toml", include_str!("builtin/traefik.toml")),
    ("uwsgi.toml", include_str!("builtin/uwsgi.toml")),
    ("lighttpd.toml", include_str!("builtin/lighttpd.toml")),
    ("nginx_error.toml", include_str!("builtin/nginx_error.toml")),
    ("apache_error.toml", include_str!("builtin/apache_error.toml")),
    ("bind.toml", include_str!("builtin/bind.toml")),
    ("dnsmasq.toml", include_str!("builtin/dnsmasq.toml")),
    ("unbound.toml", include_str!("builtin/unbound.toml")),
    ("postgresql.toml", include_str!("builtin/postgresql.toml")),
    ("mysql.toml", include_str!("builtin/mysql.toml")),
    ("mysql_slow.toml", include_str!("builtin/mysql_slow.toml")),
    ("mysql_general.toml", include_str!("builtin/mysql_general.toml")),
    ("mongodb.toml", include_str!("builtin/mongodb.toml")),
    ("redis.toml", include_str!("builtin/redis.toml")),
    ("pgbouncer.toml", include_str!("builtin/pgbouncer.toml")),
    ("clickhouse.toml", include_str!("builtin/clickhouse.toml")),
    ("elasticsearch.toml", include_str!("builtin/elasticsearch.toml")),
    ("syslog.toml", include_str!("builtin/syslog.toml")),
    ("php_error.toml", include_str!("builtin/php_error.toml")),
    ("glog.toml", include_str!("builtin/glog.toml")),
    ("docker_cri.toml", include_str!("builtin/docker_cri.toml")),
    ("rails.toml", include_str!("builtin/rails.toml")),
    ("laravel.toml", include_str!("builtin/laravel.toml")),
    ("python_logging.toml", include_str!("builtin/python_logging.toml")),
    ("go_log.toml", include_str!("builtin/go_log.toml")),
    ("log4j.toml", include_str!("builtin/log4j.toml")),
];

/// A definition that is refused.
#[derive(Debug, Error)]
#[error("{origin}:{line}:{column}: {message}")]
pub struct DefinitionError {
    /// The file it comes from.
    pub origin: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// One layout of a record.
#[derive(Debug)]
pub struct Pattern {
    /// Its name; what `_format` says.
    pub name: String,
    /// The table that it feeds.
    pub table: &'static TableDef,
    /// Finds its fields.
    pub matcher: Matcher,
    /// The family whose inner record it reads, if it does not read whole lines.
    pub within: Option<String>,
    /// Captures of that envelope, and the values they may have.
    pub(crate) requires: Vec<(String, Vec<Vec<u8>>)>,
    /// It takes nearly anything.
    pub catch_all: bool,
    /// For each column of the table, where its value comes from, best first.
    pub(crate) columns: Vec<Vec<Feed>>,
    /// Captures that the table has no column for.
    pub(crate) fields: Vec<(String, Feed)>,
    /// How much fixed text and how many fields a record needs: the more, the more it says.
    pub specificity: usize,
}

/// A checked family of layouts.
#[derive(Debug)]
pub struct Format {
    /// Name of the family.
    pub name: String,
    /// The table that its patterns feed unless they name another.
    pub table: &'static TableDef,
    /// What it is, in one line.
    pub title: String,
    /// The daemon's own documentation.
    pub url: String,
    /// Where the definition comes from.
    pub origin: String,
    /// Its definition, as typed.
    pub text: String,
    /// Its patterns, most specific first.
    pub patterns: Vec<Arc<Pattern>>,
    /// What the first line of a record looks like, where records span lines.
    pub(crate) start: Option<Arc<Matcher>>,
    /// How its patterns come back to an ambiguous part that they share.
    pub(crate) ways: Ways,
    /// The capture that holds a record of another family.
    pub(crate) carries: Option<String>,
    /// Lines, and what they are worth.
    pub samples: Vec<Sample>,
    /// Its patterns for whole lines as one, worked out when it is first needed.
    pub(crate) set: OnceLock<Arc<PatternSet>>,
}

/// A record, and what it is worth.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The record.
    pub line: String,
    /// The pattern that has to take it; `None` if none of the family may.
    pub pattern: Option<String>,
    /// Expected values by column, as text.
    pub expect: Vec<(String, Option<String>)>,
    /// The time of the file in microseconds, for stamps without a year.
    pub reference_us: i64,
    /// The zone of stamps without one.
    pub zone: jiff::tz::TimeZone,
    /// Line of the definition file where the sample stands.
    pub at_line: usize,
}

/// All formats that are known.
///
/// Nothing is compiled before it is needed: a query without a log table needs no format, and most queries need few of them.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Those of the user first. The built-in ones come when somebody asks.
    formats: OnceLock<Vec<Arc<Format>>>,
    has_builtin: bool,
    /// What is tried on the lines of each family.
    lines: Mutex<HashMap<String, Arc<Lines>>>,
    /// What is tried on the records inside of each family's records, by table.
    carried: Mutex<CarriedByTable>,
}

/// By envelope and table.
type CarriedByTable = HashMap<(String, String), Arc<Vec<Carried>>>;

/// What is tried on the lines of a file.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) patterns: Vec<Arc<Pattern>>,
    /// All of them together.
    pub(crate) set: Arc<PatternSet>,
    /// What the first line of a record looks like, if not each line is a record.
    pub(crate) starts: Option<PatternSet>,
}

/// What is tried on the record inside of another one, where that one has the captures required.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) requires: Vec<(String, Vec<Vec<u8>>)>,
    pub(crate) patterns: Vec<Arc<Pattern>>,
    pub(crate) set: PatternSet,
}

impl Clone for Catalog {
    /// A copy is made to be changed, so it begins without what was worked out.
    fn clone(&self) -> Self {
        Self { formats: self.formats.clone(), has_builtin: self.has_builtin, ..Self::default() }
    }
}

impl Catalog {
    /// The built-in formats. Their samples are checked by the tests, not at each start.
    pub fn builtin() -> Self {
        Self { has_builtin: true, ..Self::default() }
    }

    fn compile_builtin() -> Result<Vec<Arc<Format>>, DefinitionError> {
        let compiled = BUILTIN.iter().map(|(name, text)| check::compile(&format!("builtin/{name}"), text).map(Arc::new));
        let formats: Vec<Arc<Format>> = compiled.collect::<Result<_, _>>()?;
        check_envelopes(&formats)?;
        Ok(formats)
    }

    /// A catalog with `format` in front, in the place of one of the same name.
    fn with(&self, format: &Arc<Format>) -> Self {
        let others = self.formats().iter().filter(|other| other.name != format.name);
        let formats: Vec<Arc<Format>> = std::iter::once(format).chain(others).map(Arc::clone).collect();
        Self { formats: OnceLock::from(formats), has_builtin: self.has_builtin, ..Self::default() }
    }

    /// Adds a definition; it comes before those that are there, and replaces one of the same name. Its samples have to pass.
    pub fn add(&mut self, origin: &str, text: &str) -> Result<(), DefinitionError> {
        let format = Arc::new(check::compile(origin, text)?);
        let grown = self.with(&format);
        check_envelopes(grown.formats())?;
        for pattern in &format.patterns {
            pattern.matcher.check_regex().map_err(|error| DefinitionError {
                origin: origin.to_owned(),
                line: 1,
                column: 1,
                message: format!("pattern `{}`: {error}", pattern.name),
                hint: Some("write it shorter, without large counts such as {1000}".to_owned()),
            })?;
        }
        if format.samples.is_empty() {
            return Err(DefinitionError {
                origin: origin.to_owned(),
                line: 1,
                column: 1,
                message: format!("format `{}` has no sample", format.name),
                hint: Some("add a [[sample]] with a line and the values expected of it".to_owned()),
            });
        }
        if let Some(failure) = grown.check_samples(&format).into_iter().next() {
            return Err(DefinitionError {
                origin: origin.to_owned(),
                line: failure.at_line,
                column: 1,
                message: failure.to_string(),
                hint: Some(format!("see all with `logsql format test {origin}`")),
            });
        }
        *self = grown;
        Ok(())
    }

    /// Compiles a definition and checks all of its samples beside the formats that are there, without adding it.
    pub fn test(&self, origin: &str, text: &str) -> Result<(Arc<Format>, Vec<SampleFailure>), DefinitionError> {
        let format = Arc::new(check::compile(origin, text)?);
        let failures = self.with(&format).check_samples(&format);
        Ok((format, failures))
    }

    /// All formats; those of the user come first.
    pub fn formats(&self) -> &[Arc<Format>] {
        self.formats.get_or_init(|| {
            static COMPILED: OnceLock<Vec<Arc<Format>>> = OnceLock::new();
            let compiled = || Self::compile_builtin().expect("the tests compile the built-in formats");
            if self.has_builtin { COMPILED.get_or_init(compiled).clone() } else { vec![] }
        })
    }

    /// The family of this name.
    pub fn format(&self, name: &str) -> Option<&Arc<Format>> {
        self.formats().iter().find(|format| format.name == name)
    }

    /// The family of this name, or of a pattern of this name.
    pub fn family_of(&self, name: &str) -> Option<&Arc<Format>> {
        self.format(name).or_else(|| self.formats().iter().find(|format| format.patterns.iter().any(|p| p.name == name)))
    }

    /// Can records of the family be rows of the table?
    pub fn feeds(&self, format: &str, table: &str) -> bool {
        table == crate::table::UNPARSED
            || self.patterns_of(format).iter().any(|pattern| pattern.table.name == table)
            || self
                .formats()
                .iter()
                .flat_map(|other| &other.patterns)
                .any(|pattern| pattern.within.as_deref() == Some(format) && pattern.table.name == table)
    }

    /// The patterns that are tried on the lines of a file of this family: its own, then those of the families that
    /// feed the same table, so that a file which changes its layout in the middle is followed.
    pub(crate) fn lines_of(&self, format: &str) -> Arc<Lines> {
        let mut known = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = known.get(format) {
            return Arc::clone(lines);
        }
        let patterns = self.patterns_of(format);
        let family = self.format(format);
        let set = match family {
            Some(family) if family.own().count() == patterns.len() => Arc::clone(family.set()),
            _ => {
                let ways = family.map_or(Ways::Each, |family| family.ways);
                Arc::new(PatternSet::new(patterns.iter().map(|pattern| &pattern.matcher), ways))
            }
        };
        let lines = Arc::new(Lines { patterns, set, starts: family.and_then(|family| self.starts_of(family)) });
        known.insert(format.to_owned(), Arc::clone(&lines));
        lines
    }

    fn patterns_of(&self, format: &str) -> Vec<Arc<Pattern>> {
        let Some(family) = self.format(format) else { return vec![] };
        let others = self
            .formats()
            .iter()
            .filter(|other| other.name != family.name && other.table.name == family.table.name)
            .filter(|other| other.start.is_some() == family.start.is_some())
            .flat_map(|other| &other.patterns)
            .filter(|pattern| pattern.within.is_none() && !pattern.catch_all && pattern.table.name == family.table.name);
        family.own().chain(others).map(Arc::clone).collect()
    }

    /// What is tried on what records of this family carry, for rows of the table: patterns of one family that require the same
    /// are tried as one.
    pub(crate) fn carried(&self, format: &str, table: &str) -> Arc<Vec<Carried>> {
        let mut known = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (format.to_owned(), table.to_owned());
        if let Some(carried) = known.get(&key) {
            return Arc::clone(carried);
        }
        let mut carried = vec![];
        for family in self.formats() {
            let inner = family.patterns.iter().filter(|p| p.within.as_deref() == Some(format) && p.table.name == table);
            let inner: Vec<&Arc<Pattern>> = inner.collect();
            for alike in inner.chunk_by(|a, b| a.requires == b.requires) {
                carried.push(Carried {
                    requires: alike[0].requires.clone(),
                    patterns: alike.iter().map(|pattern| Arc::clone(pattern)).collect(),
                    set: PatternSet::new(alike.iter().map(|pattern| &pattern.matcher), family.ways),
                });
            }
        }
        let carried = Arc::new(carried);
        known.insert(key, Arc::clone(&carried));
        carried
    }

    /// What the first line of a record can look like in a file of this family, if not each line is a record.
    fn starts_of(&self, family: &Format) -> Option<PatternSet> {
        let own = family.start.as_deref()?;
        let others = self.formats().iter().filter(|other| other.name != family.name && other.table.name == family.table.name);
        let starts = std::iter::once(own).chain(others.filter_map(|other| other.start.as_deref()));
        Some(PatternSet::new(starts, Ways::Each))
    }

    /// Runs the samples of a family.
    pub fn check_samples(&self, format: &Format) -> Vec<SampleFailure> {
        check::samples(self, format)
    }
}

impl Format {
    /// Its patterns for whole lines.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Arc<Pattern>> {
        self.patterns.iter().filter(|pattern| pattern.within.is_none())
    }

    /// The same as one.
    pub(crate) fn set(&self) -> &Arc<PatternSet> {
        self.set.get_or_init(|| Arc::new(PatternSet::new(self.own().map(|pattern| &pattern.matcher), self.ways)))
    }
}

fn check_envelopes(formats: &[Arc<Format>]) -> Result<(), DefinitionError> {
    for format in formats {
        for pattern in &format.patterns {
            let Some(within) = &pattern.within else { continue };
            if formats.iter().any(|envelope| envelope.name == *within && envelope.carries.is_some()) {
                continue;
            }
            return Err(DefinitionError {
                origin: format.origin.clone(),
                line: 1,
                column: 1,
                message: format!("pattern `{}` is within `{within}`, which carries nothing", pattern.name),
                hint: Some("name a family that has a `[carries]` table, such as `syslog`".to_owned()),
            });
        }
    }
    Ok(())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_sample_is_worth_what_it_should_be() {
        Catalog::compile_builtin().unwrap_or_else(|error| panic!("{error}\n{:?}", error.hint));
        let catalog = Catalog::builtin();
        let mut failures = String::new();
        for format in catalog.formats() {
            for failure in catalog.check_samples(format) {
                failures += &format!("{}:{}: {failure}\n", format.origin, failure.at_line);
            }
        }
        assert!(failures.is_empty(), "{failures}");
    }

    #[test]
    fn every_builtin_pattern_has_a_sample_and_a_link() {
        let catalog = Catalog::builtin();
        for format in catalog.formats() {
            assert!(format.url.starts_with("https://"), "{}: {}", format.name, format.url);
            for pattern in &format.patterns {
                let has = format.samples.iter().any(|sample| sample.pattern.as_deref() == Some(&pattern.name));
                assert!(has, "pattern `{}` has no sample", pattern.name);
            }
        }
    }

    #[test]
    fn names_are_unique_over_all_families() {
        let catalog = Catalog::builtin();
        let mut names: Vec<&str> = catalog.formats().iter().flat_map(|f| &f.patterns).map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    const GOOD: &str = r#"
name = "mine"
table = "error_log"
title = "a test"
url = "https://example.org"
[define]
word = '[a-z]+'
[capture]
n = { type = "integer", column = "pid" }
[[pattern]]
name = "mine"
regex = '(?<level>{word}) (?<n>\d+) (?<extra>{word}): (?<message>.*)'
[[sample]]
line = "warn 17 blue: hello"
pattern = "mine"
expect = { level = "warn", pid = 17, message = "hello", "fields.extra" = "blue" }
null = ["module"]
[[sample]]
line = "warn: hello"
"#;

    fn refused(text: &str) -> String {
        let mut catalog = Catalog::default();
        let error = catalog.add("mine.toml", text).expect_err("the definition is bad");
        assert!(catalog.formats().is_empty(), "a refused definition is not added");
        format!("{error} | {}", error.hint.as_deref().unwrap_or_default())
    }

    #[test]
    fn a_good_definition_is_taken() {
        let mut catalog = Catalog::default();
        catalog.add("mine.toml", GOOD).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(catalog.formats().len(), 1);
    }

    #[test]
    fn bad_definitions_are_refused_with_the_place_and_the_mend() {
        let cases = [
            (
                GOOD.replace("type = \"integer\"", "type = \"integr\""),
                "mine.toml:9:5: unknown field type `integr` | did you mean `integer`?",
            ),
            (
                GOOD.replace("pid = 17", "pid = 18"),
                "mine.toml:13:1: sample `warn 17 blue: hello` fails; pid: expected `18`, got `17` | see all with `logsql format test mine.toml`",
            ),
            (
                GOOD.replace("{word})", "{wort})"),
                "mine.toml:12:9: there is no fragment `{wort}` | add it to [define]: wort = '…'",
            ),
            (
                GOOD.replace("error_log", "errorlog"),
                "mine.toml:3:9: there is no table `errorlog` | tables: access_log, error_log, dns_log, syslog, auth_log, ",
            ),
            (
                GOOD.replace("column = \"pid\"", "column = \"message\""),
                "mine.toml:9:5: column `message` of `error_log` does not hold this type | give its capture `type = \"text\"`, or name another column",
            ),
            (GOOD.replace("title", "titel"), "mine.toml:4:1: unknown field `titel`"),
            (GOOD.replace("(?<message>.*)", "(?<message>.*"), "mine.toml:12:9: bad pattern: unclosed group"),
            (
                GOOD.split("[[sample]]").next().unwrap_or_default().to_owned(),
                "mine.toml:1:1: format `mine` has no sample | add a [[sample]] with a line and the values expected of it",
            ),
            (GOOD.replace("n = {", "m = {"), "mine.toml:9:5: no pattern captures `m`"),
        ];
        for (text, expected) in cases {
            let got = refused(&text);
            assert!(got.starts_with(expected), "expected {expected}\n     got {got}");
        }
    }

    /// A line of some sample, damaged: cut, doubled, with bytes replaced that mean something to layouts.
    fn damaged_line() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::prelude::*;
        let catalog = Catalog::builtin();
        let lines: Vec<Vec<u8>> =
            catalog.formats().iter().flat_map(|format| &format.samples).map(|sample| sample.line.clone().into_bytes()).collect();
        let telling = prop::sample::select(b" \"\\[]:,-./#()<>=\n\t\0\xff0a9Z".to_vec());
        let edit = (any::<prop::sample::Index>(), 0..4u8, telling);
        (prop::sample::select(lines.clone()), prop::sample::select(lines), prop::collection::vec(edit, 0..6)).prop_map(
            |(mut line, other, edits)| {
                for (at, how, byte) in edits {
                    let at = at.index(line.len() + 1);
                    match how {
                        0 => line.insert(at, byte),
                        1 if at < line.len() => line[at] = byte,
                        2 if at < line.len() => drop(line.remove(at)),
                        _ => {
                            line.truncate(at);
                            line.extend_from_slice(&other[at.min(other.len())..]);
                        }
                    }
                }
                line
            },
        )
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_builtin_set_gives_the_verdict_and_the_spans_of_its_regex(line in damaged_line()) {
            use crate::scan::{Scratch, Span};
            static CATALOG: OnceLock<Catalog> = OnceLock::new();
            let catalog = CATALOG.get_or_init(Catalog::builtin);
            let mut scratch = Scratch::default();
            for format in catalog.formats() {
                let lines = catalog.lines_of(&format.name);
                let mut fast = vec![Span::NONE; lines.set.captures()];
                let mut slow = fast.clone();
                let a = lines.set.find(&line, &mut fast, &mut scratch).ok();
                let b = lines.set.find_by_regex(&line, &mut slow, &mut scratch).ok();
                proptest::prop_assert_eq!(a, b, "{} on {}", format.name, line.escape_ascii());
                if a.is_some() {
                    proptest::prop_assert_eq!(&fast, &slow, "{} on {}", format.name, line.escape_ascii());
                }
            }
        }

        #[test]
        fn traces_give_what_every_builtin_set_gives(
            records in proptest::collection::vec(damaged_line(), 1..12),
            good in proptest::collection::vec(damaged_line(), 1..3),
        ) {
            static CATALOG: OnceLock<Catalog> = OnceLock::new();
            let catalog = CATALOG.get_or_init(Catalog::builtin);
            // Most records of a file are like others.
            let records: Vec<&[u8]> = good.iter().chain(&records).chain(&good).map(Vec::as_slice).collect();
            for format in catalog.formats() {
                crate::scan::check_traces(&catalog.lines_of(&format.name).set, &records);
            }
        }
    }

    #[test]
    fn traces_give_what_every_builtin_set_gives_on_its_samples() {
        let catalog = Catalog::builtin();
        for format in catalog.formats() {
            let lines: Vec<&[u8]> = format.samples.iter().map(|sample| sample.line.as_bytes()).collect();
            let set = &catalog.lines_of(&format.name).set;
            crate::scan::check_traces(set, &lines);
            for line in lines {
                crate::scan::check_traces(set, &[line]);
            }
        }
    }
}
