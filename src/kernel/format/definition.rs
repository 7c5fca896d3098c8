//! What a definition file says, word for word. Nothing is checked here but the TOML itself: [`super::check`] does the rest.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::scan::{Dialect, Heading, Syntax};

/// A definition file: one format family.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatDef {
    /// Name of the family, as in `--input-format`.
    pub(super) name: Spanned<String>,
    /// The table that its patterns feed unless they name another.
    pub(super) table: Spanned<String>,
    /// What it is, in one line.
    pub(super) title: String,
    /// The daemon's own documentation of the layout.
    pub(super) url: String,
    /// A family whose words hold here, too, where this definition does not say something else: its fragments, what its captures and
    /// tags mean, and how its lines make records. Of the family that has the same name and is replaced, the patterns stay as well,
    /// behind the own ones.
    pub(super) extends: Option<Spanned<String>>,
    /// `each`: a pattern tries all ways of an ambiguous part (`.*?`) before the next pattern does. `together`: patterns that
    /// begin alike share it, which reads it once; for families whose patterns differ only behind it.
    pub(super) backtrack: Option<BacktrackDef>,
    /// How lines make records.
    #[serde(default)]
    pub(super) records: RecordsDef,
    /// How values in columns are told apart, for patterns that go by `columns`.
    pub(super) delimited: Option<Spanned<DelimitedDef>>,
    /// Which capture of this family holds a whole record of another one, and which one tells the program.
    pub(super) carries: Option<CarriesDef>,
    /// Fragments that patterns name as `{name}`, beside those of the library. `{name:capture}` captures what it takes.
    #[serde(default)]
    pub(super) define: BTreeMap<String, Spanned<String>>,
    /// The types of fragments: what a capture means that is written as `{name:capture}`.
    #[serde(default)]
    pub(super) tag: BTreeMap<String, Spanned<CaptureDef>>,
    /// Patterns that Grok expressions name as `%{NAME}`, beside those of the library.
    #[serde(default)]
    pub(super) patterns: BTreeMap<String, Spanned<String>>,
    /// What captures mean, for all patterns.
    #[serde(default)]
    pub(super) capture: BTreeMap<String, Spanned<CaptureDef>>,
    /// Where such logs are on this machine: paths, with wildcards. They are read where no path is named, rotated ones too.
    #[serde(default)]
    pub(super) files: Vec<Spanned<String>>,
    /// The patterns; the first that takes a record wins, so the most specific stands first. Those that go by keys see at the first
    /// byte whether a record may be theirs, so in front of regular expressions they cost nothing, and behind them much.
    pub(super) pattern: Vec<PatternDef>,
    /// Lines, and what they are worth.
    #[serde(default)]
    pub(super) sample: Vec<Spanned<SampleDef>>,
    /// What captures mean in the family that it extends.
    #[serde(skip)]
    pub(super) inherited: BTreeMap<String, Spanned<CaptureDef>>,
}

impl FormatDef {
    /// What `{name}` in a pattern stands for.
    pub(super) fn fragment(&self, name: &str) -> Option<&str> {
        let own = self.define.get(name).map(|text| text.get_ref().as_str());
        own.or_else(|| super::library::library().define.get(name).map(String::as_str))
    }

    /// Takes over what the family that it extends says and this one does not. What goes wrong with that is told at `extends`.
    pub(super) fn inherit(&mut self, base: Self) {
        let at = self.extends.as_ref().map_or(0..0, Spanned::span);
        fn add<T>(own: &mut BTreeMap<String, Spanned<T>>, base: BTreeMap<String, Spanned<T>>, at: &Range<usize>) {
            for (name, value) in base {
                own.entry(name).or_insert_with(|| Spanned::new(at.clone(), value.into_inner()));
            }
        }
        let moved = |text: Spanned<String>| Spanned::new(at.clone(), text.into_inner());
        add(&mut self.define, base.define, &at);
        add(&mut self.tag, base.tag, &at);
        add(&mut self.patterns, base.patterns, &at);
        add(&mut self.inherited, base.capture, &at);
        add(&mut self.inherited, base.inherited, &at);
        self.backtrack = self.backtrack.or(base.backtrack);
        self.records.start = self.records.start.take().or_else(|| base.records.start.map(moved));
        self.records.comment = self.records.comment.take().or_else(|| base.records.comment.map(moved));
        self.records.day = self.records.day.take().or_else(|| base.records.day.map(moved));
        let delimited = || base.delimited.map(|value| Spanned::new(at.clone(), value.into_inner()));
        self.delimited = self.delimited.take().or_else(delimited);
        // What the extended envelope carries, this one does.
        if let (None, Some(carries)) = (&self.carries, base.carries) {
            let like = carries.like.unwrap_or_else(|| base.name.clone());
            self.carries = Some(CarriesDef { capture: moved(carries.capture), lines: carries.lines, like: Some(moved(like)) });
        }
        if base.name.get_ref() == self.name.get_ref() {
            let is_own = |name: &String| self.pattern.iter().any(|pattern| pattern.name.get_ref() == name);
            let others: Vec<PatternDef> = base.pattern.into_iter().filter(|pattern| !is_own(pattern.name.get_ref())).collect();
            self.pattern.extend(others);
            self.files.extend(base.files.into_iter().map(moved));
        }
    }
}

/// How patterns come back to an ambiguous part.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BacktrackDef {
    #[default]
    Each,
    Together,
}

/// How lines make records.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsDef {
    /// What the first line of a record looks like, from its first byte; other lines belong to the record before them.
    /// Without it every line is a record.
    pub(super) start: Option<Spanned<String>>,
    /// What a line that says nothing about an event looks like, from its first byte: `#Fields: …`. If no pattern takes it, it
    /// counts as blank.
    pub(super) comment: Option<Spanned<String>>,
    /// What a comment begins with that tells the day, and the time of that day, of the lines behind it whose own time has none:
    /// `#Date:`. A day ends where the clock goes back by more than an hour.
    pub(super) day: Option<Spanned<String>>,
}

/// How values in columns are told apart, and which one is which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DelimitedDef {
    /// The byte between two values: `,`, `;`, `|`, a blank or a tab. Without it, the header has it: tabs if there is one in it, or
    /// else blanks. A value may stand between quotes, and two quotes inside of it are one.
    pub(super) separator: Option<char>,
    /// What a line begins with that has the names of the columns behind it, such as `#Fields:`. They hold until the next one.
    pub(super) header: Option<String>,
    /// What a line begins with that is nothing but the names of the columns: `Date,User,`.
    pub(super) titles: Option<String>,
    /// The columns in their order, where no line names them.
    #[serde(default)]
    pub(super) names: Vec<String>,
    /// The last so many of these are not written by older versions.
    #[serde(default)]
    pub(super) optional: usize,
}

impl DelimitedDef {
    /// Do lines name the columns?
    pub(super) fn has_header(&self) -> bool {
        self.header.is_some() || self.titles.is_some()
    }

    /// What is wrong with it, or what it means.
    pub(super) fn dialect(&self) -> Result<Dialect, &'static str> {
        let heading = match (&self.header, &self.titles) {
            (Some(_), Some(_)) => return Err("`header` and `titles` exclude each other"),
            (Some(begin), None) | (None, Some(begin)) if begin.len() < 2 => {
                return Err("two bytes at least have to tell the line with the names from others");
            }
            (Some(begin), None) => Some(Heading { begin: begin.as_bytes().into(), is_behind: true }),
            (None, Some(begin)) => Some(Heading { begin: begin.as_bytes().into(), is_behind: false }),
            (None, None) => None,
        };
        if heading.is_none() && self.names.is_empty() {
            return Err("nobody says which columns there are: give `header`, `titles` or `names`");
        }
        if !self.names.is_empty() && (self.separator.is_none() || self.optional + 2 > self.names.len()) {
            return Err("`names` needs a `separator`, and two of them at least that are not optional");
        }
        let separator = match self.separator {
            None => None,
            Some(byte) if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, '"' | '\n' | '\r') => {
                Some(byte as u8)
            }
            Some(_) => return Err("a separator is one byte, and no letter, digit or quote"),
        };
        let names = self.names.iter().map(|name| name.as_str().into()).collect();
        Ok(Dialect { separator, heading, names, optional: self.optional })
    }
}

/// An envelope around records of other families.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CarriesDef {
    /// The capture with the inner record.
    pub(super) capture: Spanned<String>,
    /// What it holds can be a line of any family.
    #[serde(default)]
    pub(super) lines: bool,
    /// What is written to be within this envelope may be within the other one as well: a journal holds what syslog does.
    pub(super) like: Option<Spanned<String>>,
}

/// One layout of a record: a regular expression, or the names of fields in records that name them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternDef {
    /// Its name; what `_format` says.
    pub(super) name: Spanned<String>,
    /// The layout, with `{fragments}` and named captures. It has to take the whole record.
    pub(super) regex: Option<Spanned<String>>,
    /// Or: the record is one JSON object, and these are the paths of its captures, or several for one, best first. A path is the
    /// keys from the outside inwards with dots between them; keys may hold dots themselves, so `log.level` means both
    /// `{"log":{"level":…}}` and `{"log.level":…}`. The number of an item is its key in an array. What no capture takes goes to
    /// `fields`, by its path. Of values with the same path the last one counts; `null` is none.
    pub(super) json: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// Or: the record is logfmt, `key=value key="quoted value"`, and these are the keys of its captures.
    pub(super) logfmt: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// Or: a Grok expression, `%{IP:client_ip} %{NUMBER:status:int}`. Fields that are named like columns, or as other tools name
    /// them, fill these; all others go to `fields`.
    pub(super) grok: Option<Spanned<String>>,
    /// Or: the text of nginx's `log_format`, perhaps with `escape=json` in front. Captures are named like its variables.
    pub(super) log_format: Option<Spanned<String>>,
    /// Or: the text of Apache's `LogFormat`.
    pub(super) apache: Option<Spanned<String>>,
    /// Or: the text of Apache's `ErrorLogFormat`.
    pub(super) error_log_format: Option<Spanned<String>>,
    /// Or: PostgreSQL's `log_line_prefix`; level and text stand behind it. `records.start` has to say what a record begins with.
    pub(super) log_line_prefix: Option<Spanned<String>>,
    /// Or: the same as firewalls send it, maybe behind a priority or cut off. `date + time` is two values beside each other, as in
    /// all layouts by names.
    pub(super) pairs: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// Or: CEF, by the keys of its extension and the names of its head.
    pub(super) cef: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// Or: LEEF.
    pub(super) leef: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// Or: one XML element, by the names from inside of it on; attributes are like elements.
    pub(super) xml: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// Or: values in columns, by the names of those. `[delimited]` says how they are told apart.
    pub(super) columns: Option<Spanned<BTreeMap<String, OneOrMany>>>,
    /// For all layouts by names: what a record has to have to be one of this layout, by capture or by path.
    #[serde(default)]
    pub(super) has: BTreeMap<String, Spanned<HasDef>>,
    /// The table that it feeds, where that is not the family's.
    pub(super) table: Option<Spanned<String>>,
    /// The family whose inner record it reads; it then never reads whole lines.
    pub(super) within: Option<Spanned<String>>,
    /// Values that the envelope's captures must have; `postfix/*` stands for all that begin so, and the empty text for none.
    #[serde(default)]
    pub(super) requires: BTreeMap<String, Spanned<OneOrMany>>,
    /// What captures mean, where that is not what the family says.
    #[serde(default)]
    pub(super) capture: BTreeMap<String, Spanned<CaptureDef>>,
    /// Columns with a fixed value; `fields.NAME` for a key of the map.
    #[serde(default)]
    pub(super) constant: BTreeMap<String, Spanned<String>>,
    /// Captures that are put together of others: `url = "{scheme}://{vhost}{path}"`. Of several texts, the first counts whose
    /// captures all have a value. What such a capture means is said as for any other. `{{` is a brace.
    #[serde(default)]
    pub(super) concat: BTreeMap<String, Spanned<OneOrMany>>,
    /// A pattern that takes nearly anything; it never decides what a file is.
    #[serde(default)]
    pub(super) catch_all: bool,
}

impl PatternDef {
    /// The layouts by names that it has.
    pub(super) fn keyed(&self) -> impl Iterator<Item = (Syntax, &Spanned<BTreeMap<String, OneOrMany>>)> {
        let all = [
            (Syntax::Json, &self.json),
            (Syntax::Logfmt, &self.logfmt),
            (Syntax::Pairs, &self.pairs),
            (Syntax::Cef, &self.cef),
            (Syntax::Leef, &self.leef),
            (Syntax::Xml, &self.xml),
            (Syntax::Delimited, &self.columns),
        ];
        all.into_iter().filter_map(|(syntax, keys)| Some((syntax, keys.as_ref()?)))
    }
}

/// What a record has to have.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum HasDef {
    /// `true`: it is there, and not null. `false`: it is not.
    Is(bool),
    /// One of these values.
    Value(OneOrMany),
    /// A value of this type: `text`, `number`, `boolean`, `object` or `array`.
    Typed {
        /// The name of the type.
        #[serde(rename = "type")]
        kind: String,
    },
}

/// A value or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// One value.
    One(String),
    /// Any of these.
    Many(Vec<String>),
}

impl OneOrMany {
    /// The values.
    pub(super) fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// What a capture means.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaptureDef {
    /// Its type; text where nothing is said.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// The column, where it is not named like the capture; the prefix of the columns where a type fills several. `fields.NAME` is
    /// no column but a key of the map.
    pub(super) column: Option<String>,
    /// The layout of a time, or several; the first that fits counts.
    pub(super) layout: Option<OneOrMany>,
    /// The unit of a duration.
    pub(super) unit: Option<String>,
    /// How text was escaped.
    pub(super) unescape: Option<String>,
    /// The text is a part of a URL: `%20` is a blank. Other escapes are undone before.
    #[serde(default)]
    pub(super) url_decode: bool,
    /// Which item of a list counts.
    pub(super) take: Option<String>,
    /// Texts that mean another one.
    #[serde(default)]
    pub(super) map: BTreeMap<String, String>,
    /// What all texts mean that are not in `map`; the empty text for nothing. Without it, they mean themselves.
    pub(super) other: Option<String>,
    /// Texts that mean nothing, beside `-` and the empty one.
    #[serde(default)]
    pub(super) null: Vec<String>,
    /// Texts are lower-cased.
    #[serde(default)]
    pub(super) lower: bool,
    /// Line ends behind a text are no part of it.
    #[serde(default)]
    pub(super) chomp: bool,
    /// Blanks and line ends around a text are no part of it.
    #[serde(default)]
    pub(super) trim: bool,
}

/// A record, and what it is worth.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleDef {
    /// The record; several lines where the family joins lines.
    pub(super) line: String,
    /// The pattern that has to take it. Without it, no pattern of the family may.
    pub(super) pattern: Option<String>,
    /// The values of some of its columns.
    #[serde(default)]
    pub(super) expect: toml::Table,
    /// Columns that have to be NULL.
    #[serde(default)]
    pub(super) null: Vec<String>,
    /// The time of the file, for stamps without a year; RFC 3339.
    pub(super) reference: Option<String>,
    /// The zone of stamps without one; UTC where nothing is said.
    pub(super) zone: Option<String>,
    /// Where the line comes from: for people.
    #[serde(rename = "source")]
    pub(super) _source: Option<String>,
}
