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
mod expand;
mod feed;
pub mod import;
mod library;
mod nearest;
mod notation;
mod schema;
mod screen;
mod trees;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thiserror::Error;

pub use check::{SampleFailure, SampleOutcome, SampleValue};
pub use detect::{Candidate, Detection, Miss, detect, explain};
pub(crate) use feed::{Address, Extract, Feed, Part, Source, Take, TextRule, Unescape};
pub use nearest::nearest;
pub use notation::{GrokError, GrokSearch};
pub use schema::schema;

use screen::Screen;

use crate::decode::time::{Layout, Stamp};
use crate::scan::{Ahead, Begin, Dialect, Heading, Matcher, PatternSet, Scratch, Span, Syntax, Ways};
use crate::table::{TableDef, table};

/// What is known of a built-in definition without compiling it.
struct Outline {
    file: &'static str,
    text: &'static str,
    /// Another number as soon as the text is another one.
    hash: u64,
    name: &'static str,
    table: &'static str,
    title: &'static str,
    url: &'static str,
    patterns: &'static [&'static str],
    /// The envelope, if any, and the table of its patterns.
    feeds: &'static [(Option<&'static str>, &'static str)],
    is_joined: bool,
    carries: bool,
    carries_lines: bool,
    carries_like: Option<&'static str>,
    has_header: bool,
    /// Those of its patterns for whole lines.
    screens: &'static [Screen],
    /// The bytes of the text before the samples, where nothing stands behind these.
    head: usize,
}

/// The built-in definitions, by the build script.
const OUTLINES: &[Outline] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// The built-in definitions: file name and text.
pub fn builtin_definitions() -> impl Iterator<Item = (&'static str, &'static str)> {
    OUTLINES.iter().map(|outline| (outline.file, outline.text))
}

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

impl Pattern {
    /// What a line looks like that names the columns of its records.
    pub(crate) fn heading(&self) -> Option<&Heading> {
        self.matcher
            .as_keyed()
            .and_then(|keyed| keyed.dialect())
            .map(Arc::as_ref)
            .and_then(|dialect: &Dialect| dialect.heading.as_ref())
    }
}

/// A checked family of layouts. A built-in one is compiled when somebody asks for more than what it is.
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
    pub text: Cow<'static, str>,
    /// For a built-in one, another number as soon as the text is another one.
    hash: Option<u64>,
    /// The names of its patterns, most specific first.
    pub pattern_names: Vec<String>,
    /// Where such logs are on this machine, as patterns of paths.
    pub files: Vec<String>,
    /// Which tables its patterns feed, by the family whose records they read the inside of.
    feeds: Vec<(Option<String>, &'static TableDef)>,
    /// Its records can have several lines.
    is_joined: bool,
    /// Its records can hold records of other families.
    is_envelope: bool,
    /// And these can be lines of any of them.
    carries_lines: bool,
    /// And these can be what this other envelope carries.
    carries_like: Option<String>,
    /// Lines say what the columns of those behind them are.
    has_header: bool,
    /// Those of its patterns for whole lines.
    screens: Cow<'static, [Screen]>,
    /// The bytes of the definition before its samples, which only tests ask for.
    head: usize,
    /// The family that it extends, where that is not one of the built-in ones.
    base: Option<Arc<Format>>,
    compiled: OnceLock<Compiled>,
    /// Lines, and what they are worth.
    samples: OnceLock<Vec<Sample>>,
    /// Its patterns for whole lines as one.
    set: OnceLock<Arc<PatternSet>>,
}

/// Is it worked out what tells the lines of a family from others before it is compiled, or did the build script do that?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Screens {
    Made,
    Known,
}

/// The costly part of a family.
#[derive(Debug)]
struct Compiled {
    /// Its patterns, most specific first.
    patterns: Vec<Arc<Pattern>>,
    /// What the first line of a record looks like, where records span lines.
    start: Option<Arc<Matcher>>,
    /// What a line that is no record looks like.
    comment: Option<Arc<Matcher>>,
    /// What such a line begins with that tells the day of those behind it.
    day: Option<Arc<str>>,
    /// How its patterns come back to an ambiguous part that they share.
    ways: Ways,
    /// The capture that holds a record of another family.
    carries: Option<String>,
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
    /// What the first line of a record looks like in files of each family. Detection asks for it, and not for all that is tried on their lines.
    starts: Mutex<HashMap<String, Option<Arc<PatternSet>>>>,
    /// What is tried on the records inside of each family's records, by table.
    carried: Mutex<CarriedByTable>,
    /// The family of the file that was looked at before.
    latest: Mutex<Option<String>>,
}

/// By envelope and table.
type CarriedByTable = HashMap<(String, String), CarriedList>;

/// What is tried on the records inside, one after the other.
pub(crate) type CarriedList = Arc<Vec<Arc<Carried>>>;

/// What is tried on the lines of a file.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) patterns: Vec<Arc<Pattern>>,
    /// All of them together.
    pub(crate) set: Sets,
    /// What the first line of a record looks like, if not each line is a record.
    pub(crate) starts: Option<Arc<PatternSet>>,
    /// What a line that says nothing looks like.
    pub(crate) comment: Option<Arc<Matcher>>,
    /// What a line looks like that names the columns of those behind it.
    pub(crate) headings: Vec<Heading>,
    /// What a comment begins with that tells the day of those behind it.
    day: Option<Arc<str>>,
}

/// A set of patterns, and what of it is needed by those who look at few captures.
#[derive(Debug)]
pub(crate) struct Sets {
    whole: Arc<PatternSet>,
    /// By the captures that are looked at, and by what patterns are alike to whoever does.
    parts: Mutex<SetsByInterest>,
}

/// Parts of a set that are kept.
const MAX_PARTS: usize = 8;

/// By captures and classes of patterns.
type SetsByInterest = HashMap<(BTreeSet<usize>, Vec<usize>), Arc<PatternSet>>;

impl Sets {
    fn new(whole: Arc<PatternSet>) -> Self {
        Self { whole, parts: Mutex::default() }
    }

    /// The set for somebody who looks at no captures but `needed`, and to whom patterns of one class are one.
    pub(crate) fn set_for(&self, needed: BTreeSet<usize>, classes: &[usize]) -> Arc<PatternSet> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        // A session may ask for anything, one thing after the other.
        if parts.len() >= MAX_PARTS {
            parts.clear();
        }
        let part = parts.entry((needed, classes.to_vec())).or_insert_with_key(|(needed, classes)| {
            self.whole.without_rest(needed, classes).map_or_else(|| Arc::clone(&self.whole), Arc::new)
        });
        Arc::clone(part)
    }
}

impl Deref for Sets {
    type Target = PatternSet;

    fn deref(&self) -> &PatternSet {
        &self.whole
    }
}

impl Lines {
    /// Does the line name the columns of those behind it?
    #[inline]
    pub(crate) fn is_heading(&self, line: &[u8]) -> bool {
        self.headings.iter().any(|heading| heading.is(line))
    }

    /// Does the line tell the day of those behind it?
    pub(crate) fn tells_day(&self, line: &[u8]) -> bool {
        self.day.as_ref().is_some_and(|day| line.starts_with(day.as_bytes()))
    }

    /// The day, and the time of it, that a comment tells.
    pub(crate) fn day_of(&self, comment: &[u8]) -> Option<Stamp> {
        let told = comment.strip_prefix(self.day.as_ref()?.as_bytes())?.trim_ascii();
        let layout = Layout::Rfc3339Utc;
        layout.parse(told).or_else(|| layout.parse(&[told, b" 00:00:00"].concat()))
    }

    /// Is a line that no pattern takes a comment?
    pub(crate) fn is_comment(&self, line: &[u8], scratch: &mut Scratch) -> bool {
        self.comment.as_ref().is_some_and(|comment| takes(comment, line, scratch))
    }
}

fn takes(matcher: &Matcher, line: &[u8], scratch: &mut Scratch) -> bool {
    matcher.find(line, &mut vec![Span::NONE; matcher.captures().len()], scratch).is_ok()
}

/// Is an envelope's record a line, or does it stand in another envelope's? What the latter carries is no envelope: there is an end to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Outer,
    Inner,
}

/// What is tried on the record inside of another one, where that one has the captures required.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) requires: Vec<(String, Vec<Vec<u8>>)>,
    pub(crate) patterns: Vec<Arc<Pattern>>,
    pub(crate) set: Sets,
    /// What the record can begin with.
    pub(crate) ahead: Ahead,
    /// Where it is the record of an envelope, too: the capture that holds a record, and what is tried on that.
    pub(crate) carries: Option<(String, CarriedList)>,
}

impl Carried {
    fn new<'a>(requires: &[(String, Vec<Vec<u8>>)], patterns: impl Iterator<Item = &'a Arc<Pattern>>, ways: Ways) -> Self {
        let patterns: Vec<Arc<Pattern>> = patterns.map(Arc::clone).collect();
        let set = PatternSet::new(patterns.iter().map(|pattern| &pattern.matcher), ways);
        let ahead = patterns.iter().fold(Ahead::NOTHING, |all, pattern| all.union(&pattern.matcher.ahead()));
        Self { requires: requires.to_vec(), patterns, set: Sets::new(Arc::new(set)), ahead, carries: None }
    }
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

    /// A catalog with `format` in front, in the place of one of the same name.
    fn with(&self, format: &Arc<Format>) -> Self {
        let others = self.formats().iter().filter(|other| other.name != format.name);
        let formats: Vec<Arc<Format>> = std::iter::once(format).chain(others).map(Arc::clone).collect();
        Self { formats: OnceLock::from(formats), has_builtin: self.has_builtin, ..Self::default() }
    }

    /// Adds a definition; it comes before those that are there, and replaces one of the same name. Its samples have to pass.
    pub fn add(&mut self, origin: &str, text: &str) -> Result<(), DefinitionError> {
        let format = Arc::new(self.compile(origin, text)?);
        let grown = self.with(&format);
        check_envelopes(&format, grown.formats())?;
        for pattern in format.patterns() {
            let Some(regex) = pattern.matcher.as_regex() else { continue };
            regex.check_regex().map_err(|error| DefinitionError {
                origin: origin.to_owned(),
                line: 1,
                column: 1,
                message: format!("pattern `{}`: {error}", pattern.name),
                hint: Some("write it shorter, without large counts such as {1000}".to_owned()),
            })?;
        }
        if format.samples().is_empty() {
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

    /// Adds definitions, each with its text and where it comes from: those that others extend before these.
    pub fn add_all(&mut self, definitions: Vec<(String, String)>) -> Result<(), DefinitionError> {
        #[derive(Default, serde::Deserialize)]
        struct Head {
            name: Option<String>,
            extends: Option<String>,
        }
        // What cannot be read is told when it is added.
        let head = |text: &str| toml::from_str::<Head>(text).unwrap_or_default();
        let mut waiting: Vec<_> = definitions.into_iter().map(|(origin, text)| (head(&text), origin, text)).collect();
        while !waiting.is_empty() {
            let is_ready = |(at, (head, ..)): &(usize, &(Head, String, String))| {
                let base = head.extends.as_ref().filter(|base| head.name.as_ref() != Some(base));
                !waiting
                    .iter()
                    .enumerate()
                    .any(|(other, (head, ..))| other != *at && base.is_some() && head.name.as_ref() == base)
            };
            let next = waiting.iter().enumerate().find(is_ready).map_or(0, |(at, _)| at);
            let (_, origin, text) = waiting.remove(next);
            self.add(&origin, &text)?;
        }
        Ok(())
    }

    /// Adds a definition that was made of a server's own layout. Its sample was made with it and proves nothing, so it is not run.
    pub fn add_made(&mut self, origin: &str, text: &str) -> Result<(), DefinitionError> {
        *self = self.with(&Arc::new(self.compile(origin, text)?));
        Ok(())
    }

    fn compile(&self, origin: &str, text: &str) -> Result<Format, DefinitionError> {
        check::compile((origin, text), Screens::Made, &|name| self.format(name).map(Arc::clone), &|| {
            self.formats().iter().map(|format| format.name.clone()).collect()
        })
    }

    /// Compiles a definition and checks all of its samples beside the formats that are there, without adding it.
    pub fn test(&self, origin: &str, text: &str) -> Result<(Arc<Format>, Vec<SampleFailure>), DefinitionError> {
        let format = Arc::new(self.compile(origin, text)?);
        let failures = self.with(&format).check_samples(&format);
        Ok((format, failures))
    }

    /// All formats; those of the user come first.
    pub fn formats(&self) -> &[Arc<Format>] {
        self.formats.get_or_init(|| if self.has_builtin { builtin_formats().to_vec() } else { vec![] })
    }

    /// The family of this name.
    pub fn format(&self, name: &str) -> Option<&Arc<Format>> {
        self.formats().iter().find(|format| format.name == name)
    }

    /// The family of this name, or of a pattern of this name.
    pub fn family_of(&self, name: &str) -> Option<&Arc<Format>> {
        self.format(name)
            .or_else(|| self.formats().iter().find(|format| format.pattern_names.iter().any(|pattern| pattern == name)))
    }

    /// Are there patterns of the family for what is inside of the envelope's records?
    pub fn is_read_inside(&self, format: &str, envelope: &str) -> bool {
        let Some(family) = self.format(format) else { return false };
        let like = self.format(envelope).and_then(|envelope| envelope.carries_like.as_deref());
        family.feeds.iter().any(|(within, _)| within.as_deref().is_some_and(|within| within == envelope || Some(within) == like))
    }

    /// Can records of the family be rows of the table?
    pub fn feeds(&self, format: &str, table: &str) -> bool {
        self.feeds_by_lines(format, table)
            || self.feeds_inside(format, table)
            || self.envelopes_inside(format).any(|envelope| self.feeds_inside(&envelope.name, table))
    }

    /// Can what the family's records carry be rows of the table?
    fn feeds_inside(&self, format: &str, table: &str) -> bool {
        let Some(envelope) = self.format(format) else { return false };
        let like = envelope.carries_like.as_deref();
        self.formats().iter().any(|other| {
            other.feeds_within(Some(format), table)
                || like.is_some_and(|like| other.feeds_within(Some(like), table))
                || (envelope.carries_lines && !other.is_envelope && other.feeds_within(None, table))
        })
    }

    /// The envelopes whose records the family's records carry: containers hold what syslog writes.
    fn envelopes_inside<'a>(&'a self, format: &'a str) -> impl Iterator<Item = &'a Arc<Format>> {
        let is_inside = move |other: &&Arc<Format>| other.is_envelope && self.is_read_inside(&other.name, format);
        self.formats().iter().filter(is_inside)
    }

    /// Can whole lines of the family be rows of the table, and not only what is inside of them?
    pub fn feeds_by_lines(&self, format: &str, table: &str) -> bool {
        let Some(family) = self.format(format) else { return table == crate::table::UNPARSED };
        table == crate::table::UNPARSED
            || family.feeds_within(None, table)
            || (family.is_inner() && family.feeds.iter().any(|(_, fed)| fed.name == table))
            || self.neighbours(family).any(|other| other.feeds_within(None, table) && table == family.table.name)
    }

    /// The other families whose lines may stand in a file of this one.
    fn neighbours<'a>(&'a self, family: &'a Format) -> impl Iterator<Item = &'a Arc<Format>> {
        let is_like = |other: &&Arc<Format>| {
            other.name != family.name
                && other.table.name == family.table.name
                && other.is_joined == family.is_joined
                && other.feeds_within(None, family.table.name)
        };
        self.formats().iter().filter(is_like)
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
                let ways = family.map_or(Ways::Each, |family| family.compiled().ways);
                Arc::new(PatternSet::new(patterns.iter().map(|pattern| &pattern.matcher), ways))
            }
        };
        let starts = self.starts_of(format);
        let comment = family.and_then(|family| family.compiled().comment.clone());
        let mut headings: Vec<Heading> = vec![];
        for heading in patterns.iter().filter_map(|pattern| pattern.heading()) {
            if !headings.contains(heading) {
                headings.push(heading.clone());
            }
        }
        let day = family.and_then(|family| family.compiled().day.clone());
        let lines = Arc::new(Lines { patterns, set: Sets::new(set), starts, comment, headings, day });
        known.insert(format.to_owned(), Arc::clone(&lines));
        lines
    }

    fn patterns_of(&self, format: &str) -> Vec<Arc<Pattern>> {
        let Some(family) = self.format(format) else { return vec![] };
        if family.is_inner() {
            // A file of them has lost its envelopes, and with those the values that are required: the first that takes a line has it.
            return family.patterns().to_vec();
        }
        let others: Vec<&Arc<Pattern>> = self
            .neighbours(family)
            .flat_map(|other| other.own())
            // What needs a header would make each line that nobody takes depend on all before it.
            .filter(|pattern| pattern.table.name == family.table.name && (family.has_header || pattern.heading().is_none()))
            .collect();
        let specific = others.iter().filter(|pattern| !pattern.catch_all);
        // What takes any JSON or logfmt takes no other line, so it may stand behind all.
        let lax = others.iter().filter(|pattern| pattern.catch_all && pattern.matcher.as_keyed().is_some());
        family.own().chain(specific.copied()).chain(lax.copied()).map(Arc::clone).collect()
    }

    /// What is tried on what records of this family carry, for rows of the table: patterns of one family that require the same
    /// are tried as one.
    pub(crate) fn carried(&self, format: &str, table: &str) -> CarriedList {
        let mut known = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (format.to_owned(), table.to_owned());
        let carried = known.entry(key).or_insert_with(|| Arc::new(self.carried_by(format, table, Depth::Outer)));
        Arc::clone(carried)
    }

    fn carried_by(&self, format: &str, table: &str, depth: Depth) -> Vec<Arc<Carried>> {
        let mut carried = vec![];
        let like = self.format(format).and_then(|family| family.carries_like.as_deref());
        let envelopes: Vec<&str> = std::iter::once(format).chain(like).collect();
        let has = |family: &Format| envelopes.iter().any(|envelope| family.feeds_within(Some(envelope), table));
        for family in self.formats() {
            let in_turn = match depth {
                Depth::Outer if family.is_envelope && self.is_read_inside(&family.name, format) => {
                    Some(self.carried_by(&family.name, table, Depth::Inner)).filter(|in_turn| !in_turn.is_empty()).map(Arc::new)
                }
                _ => None,
            };
            if in_turn.is_none() && !has(family) {
                continue;
            }
            let is_inside = |p: &Pattern| p.within.as_deref().is_some_and(|within| envelopes.contains(&within));
            let inner = family.patterns().iter().filter(|p| is_inside(p) && (p.table.name == table || in_turn.is_some()));
            let inner: Vec<&Arc<Pattern>> = inner.collect();
            let carries = in_turn.and_then(|in_turn| Some((family.carries()?.to_owned(), in_turn)));
            for alike in inner.chunk_by(|a, b| a.requires == b.requires) {
                let alike = Carried::new(&alike[0].requires, alike.iter().copied(), family.compiled().ways);
                carried.push(Carried { carries: carries.clone(), ..alike });
            }
        }
        if self.format(format).is_some_and(|family| family.carries_lines) {
            let others = self.formats().iter().filter(|other| !other.is_envelope && other.feeds_within(None, table));
            let others: Vec<&Arc<Pattern>> = others
                .flat_map(|other| other.own())
                .filter(|pattern| pattern.table.name == table && pattern.heading().is_none())
                .collect();
            let specific = others.iter().filter(|pattern| !pattern.catch_all);
            let lax = others.iter().filter(|pattern| pattern.catch_all && pattern.matcher.as_keyed().is_some());
            carried.push(Carried::new(&[], specific.chain(lax).copied(), Ways::Each));
        }
        // Behind syslog's head, a line is also one of an access log whose client is `Nov`. `postfix/postgrey` is nearer to what a family
        // asks for by name than to one that takes `postfix/*`.
        let is_open = |values: &Vec<Vec<u8>>| values.iter().any(|value| value.ends_with(b"*"));
        let is_any = |carried: &Carried| carried.requires.iter().any(|(_, values)| is_open(values));
        carried.sort_by_key(|carried: &Carried| (carried.carries.is_none(), is_any(carried)));
        carried.into_iter().map(Arc::new).collect()
    }

    /// What the first line of a record can look like in a file of this family, if not each line is a record.
    pub(crate) fn starts_of(&self, format: &str) -> Option<Arc<PatternSet>> {
        let mut known = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(starts) = known.get(format) {
            return starts.clone();
        }
        let start = |family: &Arc<Format>| if family.is_joined { family.compiled().start.clone() } else { None };
        let starts = self.format(format).and_then(|family| {
            let own = start(family)?;
            let starts: Vec<Arc<Matcher>> = std::iter::once(own).chain(self.neighbours(family).filter_map(start)).collect();
            Some(Arc::new(PatternSet::new(starts.iter().map(|start| &**start), Ways::Each)))
        });
        known.insert(format.to_owned(), starts.clone());
        starts
    }

    /// A number that is another one as soon as any definition is. `hash` makes numbers of bytes.
    pub fn fingerprint(&self, hash: impl Fn(&[u8]) -> u64) -> u64 {
        let of_format = |format: &Arc<Format>| format.hash.unwrap_or_else(|| hash(format.text.as_bytes()));
        let all: Vec<u8> = self.formats().iter().flat_map(|format| of_format(format).to_le_bytes()).collect();
        hash(&all)
    }

    /// What each sample of a family comes to, beside the formats that are there.
    pub fn sample_outcomes(&self, format: &Arc<Format>) -> Vec<SampleOutcome> {
        let is_there = self.formats().iter().any(|own| Arc::ptr_eq(own, format));
        if is_there { check::outcomes(self, format) } else { check::outcomes(&self.with(format), format) }
    }

    /// Runs the samples of a family.
    pub fn check_samples(&self, format: &Format) -> Vec<SampleFailure> {
        check::samples(self, format)
    }
}

/// The built-in formats, not compiled yet.
fn builtin_formats() -> &'static [Arc<Format>] {
    static BUILTIN: OnceLock<Vec<Arc<Format>>> = OnceLock::new();
    BUILTIN.get_or_init(|| OUTLINES.iter().map(|outline| Arc::new(Format::outlined(outline))).collect())
}

fn builtin_format(name: &str) -> Option<Arc<Format>> {
    builtin_formats().iter().find(|format| format.name == name).map(Arc::clone)
}

/// The definition of a built-in format, as far as `text` has it.
fn compile_builtin(origin: &str, text: &str, screens: Screens) -> Result<Format, DefinitionError> {
    check::compile((origin, text), screens, &builtin_format, &|| {
        builtin_formats().iter().map(|format| format.name.clone()).collect()
    })
}

impl Format {
    /// Can its records have several lines?
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    fn outlined(outline: &Outline) -> Self {
        let table = |name: &str| table(name).expect("the build script and the tests know the tables");
        Self {
            name: outline.name.to_owned(),
            table: table(outline.table),
            title: outline.title.to_owned(),
            url: outline.url.to_owned(),
            origin: format!("builtin/{}", outline.file),
            text: Cow::Borrowed(outline.text),
            hash: Some(outline.hash),
            pattern_names: outline.patterns.iter().map(|&name| name.to_owned()).collect(),
            files: vec![],
            feeds: outline.feeds.iter().map(|(within, fed)| (within.map(str::to_owned), table(fed))).collect(),
            is_joined: outline.is_joined,
            is_envelope: outline.carries,
            carries_lines: outline.carries_lines,
            carries_like: outline.carries_like.map(str::to_owned),
            has_header: outline.has_header,
            screens: Cow::Borrowed(outline.screens),
            head: outline.head,
            base: None,
            compiled: OnceLock::new(),
            samples: OnceLock::new(),
            set: OnceLock::new(),
        }
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let head = &self.text[..self.head];
            let compiled = compile_builtin(&self.origin, head, Screens::Known).expect("the tests compile the built-in formats");
            compiled.compiled.into_inner().expect("compiled just now")
        })
    }

    /// Its patterns, most specific first.
    pub fn patterns(&self) -> &[Arc<Pattern>] {
        &self.compiled().patterns
    }

    /// Lines, and what they are worth.
    pub fn samples(&self) -> &[Sample] {
        self.samples.get_or_init(|| {
            let whole =
                compile_builtin(&self.origin, &self.text, Screens::Known).expect("the tests compile the built-in formats");
            whole.samples.into_inner().expect("compiled just now")
        })
    }

    /// The tables that it feeds, each once.
    pub fn tables(&self) -> Vec<&'static str> {
        let mut tables: Vec<&str> = self.feeds.iter().map(|(_, table)| table.name).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// Do patterns for whole lines, or for what is inside of another family's records, feed the table?
    fn feeds_within(&self, within: Option<&str>, table: &str) -> bool {
        self.feeds.iter().any(|(of, fed)| of.as_deref() == within && fed.name == table)
    }

    /// What lines look like that name the columns of those behind them.
    pub(crate) fn headings(&self) -> impl Iterator<Item = &Heading> {
        self.own().filter_map(|pattern| pattern.heading())
    }

    /// Can what its records hold be lines of any family?
    pub(crate) fn carries_lines(&self) -> bool {
        self.carries_lines
    }

    /// Its patterns for whole lines.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Arc<Pattern>> {
        self.patterns().iter().filter(|pattern| pattern.within.is_none())
    }

    /// Is it found only inside of other families' records?
    pub fn is_inner(&self) -> bool {
        self.feeds.iter().all(|(within, _)| within.is_some())
    }

    /// Is a line that none of them takes a comment?
    pub(crate) fn is_comment(&self, line: &[u8], scratch: &mut Scratch) -> bool {
        self.compiled().comment.as_ref().is_some_and(|comment| takes(comment, line, scratch))
    }

    /// The same as one.
    pub(crate) fn set(&self) -> &Arc<PatternSet> {
        self.set.get_or_init(|| Arc::new(PatternSet::new(self.own().map(|pattern| &pattern.matcher), self.compiled().ways)))
    }

    /// The same if it is compiled already.
    pub(crate) fn known_set(&self) -> Option<&PatternSet> {
        self.set.get().map(Arc::as_ref)
    }

    /// The capture that holds a record of another family.
    pub(crate) fn carries(&self) -> Option<&str> {
        if self.is_envelope { self.compiled().carries.as_deref() } else { None }
    }
}

/// How far a pattern got with a record that it does not take.
pub(crate) struct Nearest<'a> {
    pub(crate) pattern: &'a Pattern,
    /// The byte of the record where it failed, from 1.
    pub(crate) column: usize,
    /// The field that was being read there.
    pub(crate) field: Option<&'a str>,
}

/// The pattern that got furthest with a record; of several, the first. What begins as JSON is meant to be JSON, however much of it
/// a layout for any text takes.
pub(crate) fn nearest_pattern<'a>(
    patterns: impl IntoIterator<Item = &'a Arc<Pattern>>,
    record: &[u8],
    scratch: &mut Scratch,
) -> Option<Nearest<'a>> {
    let mut nearest: Option<Nearest<'a>> = None;
    for pattern in patterns {
        let captures = pattern.matcher.captures();
        let Err(failure) = pattern.matcher.find(record, &mut vec![Span::NONE; captures.len()], scratch) else { continue };
        let column = failure.at as usize + 1;
        let is_json = |matcher: &Matcher| matcher.as_keyed().is_some_and(|keyed| keyed.syntax() == Syntax::Json);
        let rank = |matcher, column| (is_json(matcher) && column > 1, column);
        if nearest.as_ref().is_none_or(|best| rank(&pattern.matcher, column) > rank(&best.pattern.matcher, best.column)) {
            let field = failure.capture.and_then(|slot| captures.get(usize::from(slot))).map(|name| &**name);
            nearest = Some(Nearest { pattern, column, field });
        }
    }
    nearest
}

/// What a family reads the inside of has to have one.
fn check_envelopes(format: &Format, formats: &[Arc<Format>]) -> Result<(), DefinitionError> {
    let is_envelope = |name: &str| formats.iter().any(|envelope| envelope.name == name && envelope.is_envelope);
    if let Some(like) = format.carries_like.as_deref().filter(|like| !is_envelope(like)) {
        return Err(DefinitionError {
            origin: format.origin.clone(),
            line: 1,
            column: 1,
            message: format!("what is in this envelope is like what is in `{like}`, which carries nothing"),
            hint: Some("name a family that has a `[carries]` table, such as `syslog`".to_owned()),
        });
    }
    for pattern in format.patterns() {
        let Some(within) = &pattern.within else { continue };
        if is_envelope(within) {
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
        for (file, text) in builtin_definitions() {
            compile_builtin(file, text, Screens::Known).unwrap_or_else(|error| panic!("{error}\n{:?}", error.hint));
        }
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
    fn every_outline_says_what_the_definition_says() {
        let catalog = Catalog::builtin();
        for format in catalog.formats() {
            let compiled = compile_builtin(&format.origin, &format.text, Screens::Made).expect(&format.name);
            check_envelopes(format, catalog.formats()).expect(&format.name);
            let facts = |f: &Format| format!("{:?}", (&f.name, f.table.name, &f.title, &f.url, &f.pattern_names, f.tables()));
            assert_eq!(facts(format), facts(&compiled));
            let more = |f: &Format| {
                let feeds: Vec<_> = f.feeds.iter().map(|(within, table)| (within.clone(), table.name)).collect();
                (feeds, f.is_joined, f.is_envelope, (f.carries_lines, f.carries_like.clone()), f.has_header, f.screens.clone())
            };
            assert_eq!(more(format), more(&compiled), "{}", format.name);
        }
    }

    #[test]
    fn every_builtin_pattern_has_a_sample_and_a_link() {
        let catalog = Catalog::builtin();
        for format in catalog.formats() {
            assert!(format.url.starts_with("https://"), "{}: {}", format.name, format.url);
            for pattern in format.patterns() {
                let has = format.samples().iter().any(|sample| sample.pattern.as_deref() == Some(&pattern.name));
                assert!(has, "pattern `{}` has no sample", pattern.name);
            }
        }
    }

    #[test]
    fn every_builtin_pattern_lowers() {
        let catalog = Catalog::builtin();
        for pattern in catalog.formats().iter().flat_map(|format| format.patterns()) {
            let Some(regex) = pattern.matcher.as_regex() else { continue };
            assert!(regex.program().is_ok(), "{}: {:?}", pattern.name, regex.program().err());
        }
    }

    #[test]
    fn names_are_unique_over_all_families() {
        let catalog = Catalog::builtin();
        let mut names: Vec<&str> = catalog.formats().iter().flat_map(|f| f.patterns()).map(|p| p.name.as_str()).collect();
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

    fn keyed(layout: &str) -> String {
        format!(
            "\nname = \"mine\"\ntable = \"error_log\"\ntitle = \"a test\"\nurl = \"https://example.org\"\n[[pattern]]\nname = \"mine\"\n{layout}\n"
        )
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
            (GOOD.replace("{word})", "{wort})"), "mine.toml:12:9: there is no fragment `{wort}` | did you mean `{"),
            (
                GOOD.replace("error_log", "errorlog"),
                "mine.toml:3:9: there is no table `errorlog` | tables: access_log, error_log, dns_log, syslog, auth_log, mail_log, dhcp_log, firewall_log, proxy_log, database_log, transfer_log, app_log, unparsed",
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
            (GOOD.replace("regex = ", "rogex = "), "mine.toml:12:1: unknown field `rogex`"),
            (
                GOOD.replace("regex = ", "json = { level = \"l\" }\nregex = "),
                "mine.toml:11:8: pattern `mine` needs one layout | one of `regex`, `grok`, `log_format` (nginx), `apache`, `error_log_format` (Apache), `log_line_prefix` (PostgreSQL), `json`, `logfmt`, `pairs`, `cef`, `leef`, `xml`, `columns`",
            ),
            (
                GOOD.replacen("[[sample]]", "has = { level = true }\n[[sample]]", 1),
                "mine.toml:13:17: `has.level` of a layout without names",
            ),
            (
                noted("app_log", "grok = '%{HTPDATE:x}'", "x", ""),
                "mine.toml:7:8: there is no pattern `HTPDATE` | did you mean `%{HTTPDATE}`?",
            ),
            (noted("access_log", "log_format = 'x'", "x", ""), "mine.toml:7:14: a `log_format` without a variable"),
            (noted("access_log", "apache = '%Y'", "x", ""), "mine.toml:7:10: unknown directive `%Y`"),
            (keyed("json = { level = [\"l\", \"l\"] }"), "mine.toml:8:8: two captures have the path `l`"),
            (
                keyed("json = { level = \"a.b.c.d.e.f.g.h.i\" }"),
                "mine.toml:8:8: the path `a.b.c.d.e.f.g.h.i` has no key, or more than 8",
            ),
            (
                keyed("json = { level = \"l\" }\nhas = { level = { type = \"string\" } }"),
                "mine.toml:9:17: unknown type of a value: `string` | types: text, number, boolean, object, array",
            ),
            (
                keyed("logfmt = { message = \"m\" }\ncapture = { message = { type = \"time\", layout = [\"iso\"] } }"),
                "mine.toml:9:23: capture `message` needs a time layout | layouts: clf",
            ),
        ];
        for (text, expected) in cases {
            let got = refused(&text);
            assert!(got.starts_with(expected), "expected {expected}\n     got {got}");
        }
    }

    /// A definition with one layout of a server or of Grok.
    fn noted(table: &str, layout: &str, line: &str, expect: &str) -> String {
        format!(
            "name = \"noted\"\ntable = \"{table}\"\ntitle = \"a test\"\nurl = \"https://example.org\"\n[[pattern]]\nname = \"noted\"\n\
             {layout}\n[[sample]]\nline = '''{line}'''\npattern = \"noted\"\nexpect = {{ {expect} }}\n"
        )
    }

    #[test]
    fn layouts_of_servers_fill_our_columns() {
        let cases = [
            noted(
                "access_log",
                r#"log_format = '$remote_addr|$msec|$request_time|"$request"|$status|$http_host|$custom'"#,
                r#"2001:db8::1|1795222504.123|0.250|"GET /a\x22b?x=1 HTTP/1.1"|301|www.example.com|a | b"#,
                r#"client_ip = "2001:db8::1", time = "2026-11-21T00:55:04.123Z", duration_ms = 250.0, path = '/a"b', status = 301, vhost = "www.example.com", "fields.custom" = "a | b""#,
            ),
            noted(
                "access_log",
                r#"log_format = 'escape=json {"ip":"$remote_addr","req":"$request","up":"$upstream_response_time","n":$bytes_sent,"ua":"$http_user_agent","user":"$remote_user","q":$args}'"#,
                r#"{"ip":"192.0.2.1","req":"GET /\"a HTTP/1.1","up":"0.001, 0.250 : 0.125","n":17,"ua":"x\u0009y","user":"","q":}"#,
                r#"client_ip = "192.0.2.1", path = '/"a', upstream_ms = 125.0, bytes = 17, user_agent = "x\ty""#,
            ),
            noted(
                "access_log",
                r#"apache = '%v:%p %h %l %u [%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t] \"%r\" %>s %O %D %{X-Real-IP}i %U%q'"#,
                r#"www.example.com:443 ::1 - a b c [2026-11-21 00:55:04.250] "POST /x?y HTTP/2.0" 200 99 1500 192.0.2.7, 192.0.2.8 /x?y"#,
                r#"vhost = "www.example.com", server_port = 443, client_ip = "::1", user_name = "a b c", time = "2026-11-21T00:55:04.250Z", method = "POST", query = "y", status = 200, bytes = 99, duration_ms = 1.5, "fields.http_x_real_ip" = "192.0.2.7, 192.0.2.8", "fields.url" = "/x?y""#,
            ),
            noted(
                "access_log",
                r#"grok = '^%{COMBINEDAPACHELOG}$'"#,
                r#"192.0.2.1 - bob [21/Nov/2026:00:55:04 +0000] "GET /a?b HTTP/1.1" 200 17 "-" "curl""#,
                r#"client_ip = "192.0.2.1", user_name = "bob", time = "2026-11-21T00:55:04Z", method = "GET", url = "/a?b", path = "/a", status = 200, bytes = 17, user_agent = "curl""#,
            ),
            noted(
                "database_log",
                r#"log_line_prefix = '%p|%a|%u@%d|%h|%m|'"#,
                r#"17|psql|bob@[unknown]|192.0.2.1|2026-11-21 00:55:04.123 UTC|LOG:  duration: 1.5 ms  statement: SELECT 1"#,
                r#"time = "2026-11-21T00:55:04.123Z", pid = 17, application = "psql", user_name = "bob", client_ip = "192.0.2.1", level = "LOG", duration_ms = 1.5, statement = "SELECT 1""#,
            ),
            noted(
                "app_log",
                r#"grok = '%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} \[%{DATA:thread}\] (?<job>job-%{INT}) took %{NUMBER:took:float}: %{GREEDYDATA:msg}'"#,
                r#"2026-11-21T00:55:04Z WARN [main] job-7 took 1.5: all of it"#,
                r#"time = "2026-11-21T00:55:04Z", level = "WARN", thread = "main", message = "all of it", "fields.job" = "job-7", "fields.took" = "1.5""#,
            ),
        ];
        for text in cases {
            let mut catalog = Catalog::builtin();
            catalog.add("mine.toml", &text).unwrap_or_else(|error| panic!("{error} | {:?}\n{text}", error.hint));
            let format = catalog.format("noted").expect("added");
            for pattern in format.patterns() {
                let regex = pattern.matcher.as_regex().expect("not by keys");
                assert!(regex.program().is_ok(), "{text}: {:?}", regex.program().err());
            }
        }
    }

    #[test]
    fn every_layout_of_a_server_takes_the_line_that_it_gives() {
        for (key, layout, read) in [
            (
                "log_format",
                r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
                notation::nginx as fn(&str) -> _,
            ),
            (
                "log_format",
                r#"$time_iso8601 $server_name:$server_port $upstream_addr $upstream_status $upstream_cache_status $ssl_protocol $request_id $pid $hostname $request_uri"#,
                notation::nginx,
            ),
            ("log_format", r#"escape=json {"a":"$uri","b":"$args","c":$msec,"d":"$request_method"}"#, notation::nginx),
            ("log_format", r#"$protocol $status $bytes_sent $bytes_received $session_time"#, notation::nginx),
            ("apache", r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\" %T/%D"#, notation::apache),
            ("apache", r#"%a %A %{remote}p %p %m %U%q %H %P %k %X %L %{SSL_PROTOCOL}x %{ms}T %I %O %v %{%s}t"#, notation::apache),
        ] {
            let read = read(layout).expect(layout);
            let expect: Vec<String> = read.expect.iter().map(|(column, value)| format!("{column} = '{value}'")).collect();
            let text = noted("access_log", &format!("{key} = '{layout}'"), &read.line, &expect.join(", "));
            let (_, failures) = Catalog::builtin().test("mine.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(failures.is_empty(), "{}", failures[0]);
        }
    }

    #[test]
    fn the_library_can_be_read_and_each_type_has_its_fragment() {
        let library = library::library();
        for name in library.tag.keys() {
            assert!(library.define.contains_key(name), "{name}");
        }
        for (name, regex) in &library.define {
            let whole = format!("(?:{regex})");
            let lowered = Matcher::try_new(&whole).expect(name);
            assert!(lowered.as_regex().expect("a regex").program().is_ok(), "{name}");
        }
    }

    #[test]
    fn fragments_have_types_that_definitions_share() {
        let base = r#"
name = "base"
table = "app_log"
title = "a test"
url = "https://example.org"
[define]
unit = 'u\d+'
[tag]
unit = { column = "logger", map = { u1 = "first" } }
[capture]
reason = { column = "message" }
[records]
start = '\d'
[[pattern]]
name = "base"
regex = '{epoch:time} {unit:which} (?<reason>.*)'
[[sample]]
line = "1795222923 u1 it is so"
pattern = "base"
expect = { time = "2026-11-21T01:02:03Z", logger = "first", message = "it is so" }
"#;
        let own = r#"
name = "own"
table = "app_log"
title = "a test"
url = "https://example.org"
extends = "base"
[[pattern]]
name = "own"
regex = '{iso_time:time} <{unit:which}> from {ip_port:source} {mac:hw}: (?<reason>.*)'
capture = { hw = { type = "mac", column = "fields.mac" } }
[[sample]]
line = """
2026-11-21T01:02:03Z <u1> from [2001:db8::1]:443 00-1A-2B-3C-4D-5E: it is
  so"""
pattern = "own"
expect = { time = "2026-11-21T01:02:03Z", logger = "first", message = "it is\n  so", "fields.mac" = "00:1a:2b:3c:4d:5e" }
"#;
        let mut catalog = Catalog::default();
        let files = [("a_own.toml", own), ("base.toml", base)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        catalog.add_all(files.to_vec()).unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
        assert!(catalog.format("own").expect("added").is_joined(), "how lines make records is inherited");
        assert_eq!(catalog.format("own").expect("added").pattern_names, ["own"]);

        // The family of the same name is replaced by itself and more.
        let grown = own.replace("name = \"own\"\ntable", "name = \"base\"\ntable");
        let mut grown_catalog = catalog.clone();
        grown_catalog.add("grown.toml", &grown).unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
        assert_eq!(grown_catalog.format("base").expect("added").pattern_names, ["own", "base"]);
        // And again on top of that.
        let again = grown.replace("<{unit", "<<{unit").replace("<u1", "<<u1").replace("= \"own\"\n", "= \"again\"\n");
        grown_catalog.add("again.toml", &again).unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
        assert_eq!(grown_catalog.format("base").expect("added").pattern_names, ["again", "own", "base"]);

        for (from, to, expected) in [
            (
                "extends = \"base\"",
                "extends = \"bsae\"",
                "own.toml:6:11: there is no format `bsae` to extend | did you mean `base`?",
            ),
            ("{unit:which}", "{unti:which}", "own.toml:9:9: there is no fragment `{unti}` | did you mean `{unit}`?"),
            (
                "extends = \"base\"",
                "tag = { unti = {} }\nextends = \"base\"",
                "own.toml:6:16: there is no fragment `{unti}` for this tag | did you mean `unit`?",
            ),
        ] {
            let error = catalog.clone().add("own.toml", &own.replace(from, to)).expect_err(to);
            let told = format!("{error} | {}", error.hint.as_deref().unwrap_or_default());
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn values_are_put_together_and_decoded() {
        let text = r#"
name = "own"
table = "access_log"
title = "a test"
url = "https://example.org"
[capture]
at = { type = "time", layout = "compact", column = "time" }
url = { type = "url", url_decode = true }
client = { type = "ip_port" }
[[pattern]]
name = "own"
regex = '(?<date>\d{8}) (?<clock>\d\d:\d\d:\d\d) (?<ip>[^ ]+) (?<number>\d+) (?<scheme>[a-z]+|-) (?<vhost>[^ ]+) (?<place>[^ ]+)'
concat = { at = "{date} {clock}", url = ["{scheme}://{vhost}{place}", "{place}"], client = "[{ip}]:{number}", "fields.braces" = "{{{ip}}}" }
[[sample]]
line = "20261121 01:02:03 2001:db8::1 443 https www.example.com /a%20b%zz%2?c=%41"
pattern = "own"
expect = { time = "2026-11-21T01:02:03Z", url = "https://www.example.com/a b%zz%2?c=A", path = "/a b%zz%2", query = "c=A", client_ip = "2001:db8::1", client_port = 443, "fields.braces" = "{2001:db8::1}" }
[[sample]]
line = "20261121 01:02:03 192.0.2.1 443 - www.example.com /a"
pattern = "own"
expect = { url = "/a", vhost = "www.example.com" }
"#;
        let mut catalog = Catalog::default();
        catalog.add("own.toml", text).unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
        for (from, to, expected) in [
            ("{date} {clock}", "{date} {clokc}", "own.toml:13:17: the pattern captures no `clokc` | did you mean `{clock}`?"),
            ("{date} {clock}", "{date {clock}", "own.toml:13:17: the pattern captures no `date {clock` | "),
            ("{date} {clock}", "{date} {clock", "own.toml:13:17: `{date} {clock` has a brace without another one | captures"),
            ("at = \"{", "vhost = \"{", "own.toml:13:20: `vhost` is captured and put together | "),
            (
                "layout = \"compact\"",
                "layout = \"clock\"",
                "own.toml:7:6: capture `at` has no day, and no line tells it | say in",
            ),
        ] {
            let error = Catalog::default().add("own.toml", &text.replace(from, to)).expect_err(to);
            let told = format!("{error} | {}", error.hint.as_deref().unwrap_or_default());
            assert!(told.starts_with(expected), "{told}");
        }
    }

    /// A line of some sample, damaged: cut, doubled, with bytes replaced that mean something to layouts.
    fn damaged_line() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::prelude::*;
        let catalog = Catalog::builtin();
        let lines: Vec<Vec<u8>> =
            catalog.formats().iter().flat_map(|format| format.samples()).map(|sample| sample.line.clone().into_bytes()).collect();
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
                // For somebody who looks at one capture, or at none.
                let one = lines.set.captures() / (1 + line.len() % 2);
                let needed: BTreeSet<usize> = (one < lines.set.captures()).then_some(one).into_iter().collect();
                let few = lines.set.set_for(needed, &vec![0; lines.patterns.len()]);
                let mut looked_at = vec![Span::NONE; few.captures()];
                let found = few.find(&line, &mut looked_at, &mut scratch);
                proptest::prop_assert_eq!(found.is_ok(), a.is_some(), "{} on {}", format.name, line.escape_ascii());
                // What is in the captures of other patterns means nothing.
                let captures = |pattern: usize| 0..lines.patterns[pattern].matcher.captures().len();
                if a.is_some_and(|pattern| captures(pattern).any(|capture| lines.set.slot(pattern, capture) == one)) {
                    proptest::prop_assert_eq!(looked_at[one], fast[one], "{} on {}", format.name, line.escape_ascii());
                }
                if format.set().find(&line, &mut vec![Span::NONE; format.set().captures()], &mut scratch).is_ok() {
                    let chunks = [&line[..]];
                    let sample = screen::Sample::new(&chunks);
                    let holds = |text: &[u8]| sample.may_hold(text) && sample.holds(&line, text);
                    let is_seen = |screen: &Screen| screen.begin.accepts(&line, 0) && screen.is_held(holds);
                    proptest::prop_assert!(format.screens.iter().any(is_seen), "{} is not looked for in {}", format.name, line.escape_ascii());
                }
                if let Some(pattern) = a {
                    let (fast, slow) = (lines.set.spans_of(pattern, &fast), lines.set.spans_of(pattern, &slow));
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
    fn every_builtin_set_gives_what_its_regex_gives_on_its_samples() {
        let catalog = Catalog::builtin();
        let mut scratch = Scratch::default();
        for format in catalog.formats() {
            let set = &*catalog.lines_of(&format.name).set;
            for sample in format.samples() {
                let line = sample.line.as_bytes();
                let (mut fast, mut slow) = (vec![Span::NONE; set.captures()], vec![Span::NONE; set.captures()]);
                let found = set.find(line, &mut fast, &mut scratch).ok();
                assert_eq!(found, set.find_by_regex(line, &mut slow, &mut scratch).ok(), "{} on {}", format.name, sample.line);
                if let Some(pattern) = found {
                    let (fast, slow) = (set.spans_of(pattern, &fast), set.spans_of(pattern, &slow));
                    assert_eq!(fast, slow, "{} on {}", format.name, sample.line);
                }
            }
        }
    }

    #[test]
    fn traces_give_what_every_builtin_set_gives_on_its_samples() {
        let catalog = Catalog::builtin();
        for format in catalog.formats() {
            let lines: Vec<&[u8]> = format.samples().iter().map(|sample| sample.line.as_bytes()).collect();
            let set = &*catalog.lines_of(&format.name).set;
            crate::scan::check_traces(set, &lines);
            for line in lines {
                crate::scan::check_traces(set, &[line]);
            }
        }
    }
}
