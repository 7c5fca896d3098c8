//! Patterns for records that name their fields: JSON objects, logfmt and its relatives, CEF, XML, and columns with a header.
//!
//! ```text
//!   json = { time = "ts", client_ip = ["request.client_ip", "request.remote_ip"] }      a path for each capture
//!
//!   ts ───────► slot 1                   the keys of all patterns of a set are one tree, so that one pass
//!   request ──► client_ip ──► slot 2     over the record finds the values that any of them wants
//!               remote_ip ──► slot 3
//! ```
//!
//! A path is the keys from the outermost object inwards, joined by dots. Keys may hold dots themselves, and writers do not
//! agree on it (`{"log":{"level":"x"}}`, `{"log.level":"x"}`), so a path means all of these. In an array, the number of an
//! item is its key. Of values with the same path the last one counts, as in most readers of JSON.
//!
//! Records of a file mostly have the same keys in the same order. So for each key it is [`Learned`] which one came behind it,
//! and the next key is compared with that one before it is looked up.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::delimited::Dialect;
use super::program::Failure;
use super::{Span, cef, delimited, json, logfmt, xml};

/// No slot, no node.
pub(super) const NONE: u16 = u16::MAX;
/// The node of the outermost keys.
pub(super) const ROOT: u16 = 0;
/// The slot of the whole record.
pub(super) const WHOLE: u16 = 0;
/// Between the keys of a path that means two values beside each other: `date + time`.
const JOIN: &str = " + ";
/// The bytes between such values at most: ` time=`, `" time="`, `, `.
const MAX_JOIN_GAP: usize = 16;
/// Keys that a reader learns at most, and how long they may be.
const MAX_LEARNED: usize = 1024;
const MAX_LEARNED_BYTES: usize = 64;

/// How records name their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// One JSON object.
    Json,
    /// `key=value key="quoted value"`
    Logfmt,
    /// The same as firewalls send it: behind a priority, or cut off at its end.
    Pairs,
    /// `CEF:0|vendor|product|version|id|name|severity|key=value`
    Cef,
    /// `LEEF:1.0|vendor|product|version|id|key=value`
    Leef,
    /// One XML element.
    Xml,
    /// By the place of the value; a header or the definition says which is which.
    Delimited,
}

impl Syntax {
    /// All of them, with their names in definitions.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("json", Self::Json),
        ("logfmt", Self::Logfmt),
        ("pairs", Self::Pairs),
        ("cef", Self::Cef),
        ("leef", Self::Leef),
        ("xml", Self::Xml),
        ("columns", Self::Delimited),
    ];

    /// What a record can begin with.
    pub(crate) fn ahead<const N: usize>(self) -> Ahead<N> {
        let mut first = ByteSet::EMPTY;
        b" \t\r\n".iter().for_each(|&blank| first.insert(blank));
        match self {
            Self::Json => first.insert(b'{'),
            Self::Logfmt => (0..=255).filter(|&byte| logfmt::begins_key(byte)).for_each(|byte| first.insert(byte)),
            Self::Pairs => {
                (0..=255).filter(|&byte| logfmt::begins_key(byte) || byte == b'<').for_each(|byte| first.insert(byte));
            }
            Self::Cef => return cef::ahead(cef::CEF),
            Self::Leef => return cef::ahead(cef::LEEF),
            Self::Xml => return Ahead::ANYTHING.behind(ByteSet::of(b'<'), 1),
            Self::Delimited => return Ahead::ANYTHING,
        }
        Ahead::ANYTHING.behind(first, 1)
    }

    /// May the record be one, by its first bytes?
    #[inline]
    fn begins(self, record: &[u8]) -> bool {
        let first = || record.iter().find(|byte| !json::is_blank(**byte));
        match self {
            Self::Json => first() == Some(&b'{'),
            Self::Logfmt => first().is_some_and(|&first| logfmt::begins_key(first)),
            Self::Pairs => first().is_some_and(|&first| logfmt::begins_key(first) || first == b'<'),
            Self::Cef => cef::begins(cef::CEF, record),
            Self::Leef => cef::begins(cef::LEEF, record),
            Self::Xml => record.first() == Some(&b'<'),
            Self::Delimited => !record.is_empty(),
        }
    }

    /// How its values are escaped.
    pub(crate) fn escapes(self) -> Escapes {
        match self {
            Self::Json | Self::Logfmt | Self::Pairs => Escapes::Quoted,
            Self::Cef | Self::Leef => Escapes::Backslash,
            Self::Xml => Escapes::Entities,
            Self::Delimited => Escapes::Doubled,
        }
    }
}

/// How values are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// As in JSON, between quotes.
    Quoted,
    /// A quote between quotes is written as two.
    Doubled,
    /// `\=`, `\|`, `\\` and line ends, anywhere.
    Backslash,
    /// `&amp;` and its like.
    Entities,
}

impl Escapes {
    /// Does the value have any? `before` is the byte in front of it.
    #[inline]
    pub(crate) fn are_in(self, value: &[u8], before: Option<u8>) -> bool {
        let mark = match self {
            Self::Quoted | Self::Doubled if before != Some(b'"') => return false,
            Self::Entities if before == Some(b'[') => return false,
            Self::Quoted | Self::Backslash => b'\\',
            Self::Doubled => b'"',
            Self::Entities => b'&',
        };
        memchr::memchr(mark, value).is_some()
    }

    /// The value without its escapes. `before` is the byte in front of it.
    #[inline]
    pub(crate) fn undo(self, value: &[u8], before: Option<u8>) -> Cow<'_, [u8]> {
        match self {
            Self::Quoted if before == Some(b'"') => json::plain(value),
            Self::Doubled if before == Some(b'"') && memchr::memmem::find(value, b"\"\"").is_some() => {
                Cow::Owned(delimited::undouble(value))
            }
            Self::Backslash => cef::plain(value),
            // Text of a CDATA section has none.
            Self::Entities if before != Some(b'[') => xml::plain(value),
            _ => Cow::Borrowed(value),
        }
    }
}

/// What has to be true of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is there and not null.
    Present,
    /// It is not there, or null.
    Absent,
    /// It is one of these, as it is written.
    OneOf(Vec<Box<[u8]>>),
    /// It is of this type.
    Type(ValueType),
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A text; but in JSON, all values are.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl ValueType {
    /// The names in definitions.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("text", Self::Text),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
    ];
}

/// Does a test hold for one of the slots?
#[derive(Clone, Debug)]
struct Condition {
    slots: Vec<u16>,
    test: Test,
}

impl Condition {
    fn holds(&self, syntax: Syntax, record: &[u8], slots: &[Span]) -> bool {
        let mut values = self.slots.iter().filter_map(|&slot| {
            let span = slots[usize::from(slot)];
            Some((span, span.of(record)?))
        });
        match &self.test {
            Test::Present => values.next().is_some(),
            Test::Absent => values.next().is_none(),
            Test::OneOf(texts) => values.any(|(_, value)| texts.iter().any(|text| **text == *value)),
            Test::Type(wanted) => values.any(|(span, value)| {
                let before = (span.start as usize).checked_sub(1).and_then(|at| record.get(at));
                let found = match value.first() {
                    _ if syntax != Syntax::Json || before == Some(&b'"') => ValueType::Text,
                    Some(b'{') => ValueType::Object,
                    Some(b'[') => ValueType::Array,
                    Some(b't' | b'f') => ValueType::Boolean,
                    _ => ValueType::Number,
                };
                found == *wanted
            }),
        }
    }
}

/// One layout of such a record: which keys are captured, and what makes a record one of this layout.
pub struct Keyed {
    syntax: Syntax,
    /// How columns are told apart, where it goes by columns.
    dialect: Option<Arc<Dialect>>,
    /// The names of the captures and their paths. The first one is the whole record.
    names: Vec<Box<str>>,
    paths: Vec<Box<str>>,
    /// So many of them are captured, the others are only looked at.
    captured: usize,
    has: Vec<Condition>,
    /// The pattern as a set of its own.
    alone: KeySet,
}

/// A path that stands twice in a pattern.
#[derive(Debug)]
pub struct TwicePath(pub String);

impl Keyed {
    /// A layout from captures with their paths, best first, and what has to be true of captures or of paths.
    pub fn try_new(
        syntax: Syntax,
        captures: &BTreeMap<String, Vec<String>>,
        has: &BTreeMap<String, Test>,
    ) -> Result<Self, TwicePath> {
        Self::with_dialect(syntax, None, captures, has)
    }

    /// A layout by columns.
    pub fn delimited(
        dialect: Arc<Dialect>,
        captures: &BTreeMap<String, Vec<String>>,
        has: &BTreeMap<String, Test>,
    ) -> Result<Self, TwicePath> {
        Self::with_dialect(Syntax::Delimited, Some(dialect), captures, has)
    }

    fn with_dialect(
        syntax: Syntax,
        dialect: Option<Arc<Dialect>>,
        captures: &BTreeMap<String, Vec<String>>,
        has: &BTreeMap<String, Test>,
    ) -> Result<Self, TwicePath> {
        let mut names: Vec<Box<str>> = vec!["".into()];
        let mut paths = names.clone();
        for (name, alternatives) in captures {
            for path in alternatives {
                if paths.iter().any(|known| **known == **path) {
                    return Err(TwicePath(path.clone()));
                }
                names.push(name.as_str().into());
                paths.push(path.as_str().into());
            }
        }
        let captured = names.len();
        let mut conditions = vec![];
        for (what, test) in has {
            let called = |list: &[Box<str>]| -> Vec<u16> {
                (1u16..).zip(&list[1..]).filter(|(_, known)| ***known == **what).map(|(slot, _)| slot).collect()
            };
            let mut slots = called(&names[..captured]);
            if slots.is_empty() {
                slots = called(&paths);
            }
            if slots.is_empty() {
                slots = vec![names.len() as u16];
                names.push(what.as_str().into());
                paths.push(what.as_str().into());
            }
            conditions.push(Condition { slots, test: test.clone() });
        }
        // Values that are only captured beside each other are looked at, too.
        for path in paths.clone() {
            for part in parts_of(&path) {
                if !paths.iter().any(|known| **known == *part) {
                    names.push(part.into());
                    paths.push(part.into());
                }
            }
        }
        let alone = KeySet::empty(syntax, dialect.clone());
        let mut keyed = Self { syntax, dialect, names, paths, captured, has: conditions, alone };
        keyed.alone = KeySet::new([(0, &keyed)]);
        Ok(keyed)
    }

    /// How columns are told apart, where it goes by columns.
    pub fn dialect(&self) -> Option<&Arc<Dialect>> {
        self.dialect.as_ref()
    }

    /// What a record can begin with.
    pub(crate) fn ahead<const N: usize>(&self) -> Ahead<N> {
        self.dialect.as_ref().map_or_else(|| self.syntax.ahead(), |dialect| Self::ahead_of(dialect))
    }

    /// What the first record in columns, or the header before it, can begin with.
    pub(crate) fn ahead_of<const N: usize>(dialect: &Dialect) -> Ahead<N> {
        match &dialect.heading {
            // Under a header any line may be a record, but none before there is one.
            Some(heading) if dialect.names.is_empty() => {
                heading.begin.iter().rev().fold(Ahead::ANYTHING, |behind, &byte| behind.behind(ByteSet::of(byte), 1))
            }
            _ => Ahead::ANYTHING,
        }
    }

    /// How its records name their fields.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The names of the captures. The first is the whole record, and those behind [`captured`](Self::captured) are only looked at.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// How many captures there are.
    pub fn captured(&self) -> usize {
        self.captured
    }

    /// The bytes that a record has at least: what it has to have.
    pub(super) fn min_bytes(&self) -> usize {
        let of = |condition: &Condition| match &condition.test {
            Test::Absent => 0,
            test => {
                let path = condition.slots.iter().map(|&slot| self.paths[usize::from(slot)].len()).min().unwrap_or(0);
                let value = if let Test::OneOf(texts) = test { texts.iter().map(|text| text.len()).min() } else { None };
                path + value.unwrap_or(1) + 4
            }
        };
        self.has.iter().map(of).sum::<usize>() + 2
    }

    /// Matches a record; on success `slots[i]` is the span of `names()[i]`.
    pub(super) fn find(&self, record: &[u8], slots: &mut [Span], frames: &mut Frames) -> Result<(), Failure> {
        self.alone.find(record, slots, frames, None, None::<fn(usize) -> usize>).map(|_| ())
    }

    /// The fields of a record that it takes under this header and that no capture does.
    pub fn rest<'a>(&self, record: &'a [u8], header: Option<&[u8]>) -> Vec<Field<'a>> {
        let mut found: Vec<Field<'_>> = vec![];
        match (self.syntax, &self.dialect) {
            (Syntax::Json, _) => json::fields(&self.alone, self.captured, record, &mut found),
            (Syntax::Logfmt, _) => logfmt::fields(&self.alone, record, logfmt::End::Whole, &mut found),
            (Syntax::Pairs, _) => logfmt::fields(&self.alone, record, logfmt::End::MayBeCut, &mut found),
            (Syntax::Cef, _) => cef::fields(&self.alone, cef::CEF, record, &mut found),
            (Syntax::Leef, _) => cef::fields(&self.alone, cef::LEEF, record, &mut found),
            (Syntax::Xml, _) => xml::fields(&self.alone, record, &mut found),
            (Syntax::Delimited, Some(dialect)) => delimited::fields(&self.alone, dialect, header, record, &mut found),
            (Syntax::Delimited, None) => {}
        }
        self.alone.drop_joined(record, &mut found);
        found.retain(|field| !matches!(field.value, b"" | b"-"));
        // A capture takes its best path that is there; what else it could have taken is a field.
        let is_captured = |slot: u16| slot != NONE && usize::from(slot) < self.captured;
        let mut taken: Vec<u16> = found.iter().map(|field| field.slot).filter(|&slot| is_captured(slot)).collect();
        taken.sort_unstable();
        taken.dedup_by(|later, first| self.names[usize::from(*later)] == self.names[usize::from(*first)]);
        // Of several with one path the last one counts.
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|&a, &b| found[a].path.cmp(&found[b].path));
        let mut is_field: Vec<bool> = found.iter().map(|field| !taken.contains(&field.slot)).collect();
        for pair in order.windows(2).filter(|pair| found[pair[0]].path == found[pair[1]].path) {
            is_field[pair[0]] = false;
        }
        found.into_iter().zip(is_field).filter(|(_, is_field)| *is_field).map(|(field, _)| field).collect()
    }
}

impl Keyed {
    /// The value of a field without its escapes.
    pub(crate) fn plain<'a>(&self, field: &Field<'a>) -> Cow<'a, [u8]> {
        let mark = if self.syntax == Syntax::Xml { b'[' } else { b'"' };
        self.syntax.escapes().undo(field.value, field.quoted.then_some(mark))
    }
}

/// A field of a record.
#[derive(Debug)]
pub struct Field<'a> {
    /// Its path, without escapes.
    pub path: Vec<u8>,
    /// Its value as it stands in the record, without quotes.
    pub value: &'a [u8],
    /// It stands between quotes, or what else says whether it may have escapes.
    pub quoted: bool,
    pub(super) slot: u16,
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("syntax", &self.syntax).field("names", &self.names).finish_non_exhaustive()
    }
}

impl fmt::Display for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.syntax {
            Syntax::Json => "JSON object",
            Syntax::Logfmt => "logfmt",
            Syntax::Pairs => "key=value",
            Syntax::Cef => "CEF",
            Syntax::Leef => "LEEF",
            Syntax::Xml => "XML element",
            Syntax::Delimited => "values in columns",
        };
        writeln!(f, "  {what}, by its keys:")?;
        for (name, path) in self.names.iter().zip(&self.paths).take(self.captured).skip(1) {
            writeln!(f, "    {path} → {name}")?;
        }
        for condition in &self.has {
            let paths: Vec<&str> = condition.slots.iter().map(|&slot| &*self.paths[usize::from(slot)]).collect();
            let paths = paths.join(" or ");
            match &condition.test {
                Test::Present => writeln!(f, "    has {paths}")?,
                Test::Absent => writeln!(f, "    has no {paths}")?,
                Test::Type(wanted) => {
                    let name = ValueType::NAMES.iter().find(|(_, known)| known == wanted).map_or("", |(name, _)| *name);
                    writeln!(f, "    has {paths}: {name}")?;
                }
                Test::OneOf(texts) => {
                    let texts: Vec<String> = texts.iter().map(|text| format!("`{}`", String::from_utf8_lossy(text))).collect();
                    writeln!(f, "    has {paths}: {}", texts.join(" or "))?;
                }
            }
        }
        Ok(())
    }
}

/// What is known of a key: the slot of its value, and the node of the keys inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: u16,
    pub(super) node: u16,
}

impl Entry {
    /// Nobody asks for it.
    pub(super) const NONE: Self = Self { slot: NONE, node: NONE };
}

/// Keys at one place in a record.
#[derive(Debug, Default)]
struct Node {
    /// In order.
    keys: Vec<(Box<[u8]>, Entry)>,
    /// Items with smaller numbers than this may be wanted.
    items: u32,
}

/// The keys of values that are captured beside each other.
fn parts_of(path: &str) -> impl Iterator<Item = &str> {
    path.split(JOIN).take(if path.contains(JOIN) { usize::MAX } else { 0 })
}

/// The keyed patterns of a set that have one syntax, as one.
pub(super) struct KeySet {
    /// Tells it from all others.
    id: u64,
    syntax: Syntax,
    dialect: Option<Arc<Dialect>>,
    /// The path of each slot.
    paths: Vec<Box<str>>,
    /// Slots of values beside each other: the first one, the last one, and all of it.
    joined: Vec<[u16; 3]>,
    nodes: Vec<Node>,
    /// Of CEF and LEEF, the slots of the parts of the head.
    head: Vec<u16>,
    patterns: Vec<Wanted>,
}

/// What a pattern wants of a record.
struct Wanted {
    pattern: usize,
    /// The slots of its captures.
    slots: Vec<u16>,
    has: Vec<Condition>,
}

impl KeySet {
    fn empty(syntax: Syntax, dialect: Option<Arc<Dialect>>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Self { id, syntax, dialect, paths: vec!["".into()], joined: vec![], nodes: vec![], head: vec![], patterns: vec![] }
    }

    /// Joins patterns of one syntax and dialect, which have their numbers in the whole set.
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = (usize, &'a Keyed)>) -> Self {
        let mut patterns = patterns.into_iter().peekable();
        let first = patterns.peek().map(|(_, first)| (first.syntax, first.dialect.clone()));
        let (syntax, dialect) = first.unwrap_or((Syntax::Json, None));
        let mut set = Self::empty(syntax, dialect);
        for (pattern, keyed) in patterns {
            let slots = keyed.paths.iter().map(|path| {
                let known = set.paths.iter().position(|other| other == path);
                known.unwrap_or_else(|| {
                    set.paths.push(path.clone());
                    set.paths.len() - 1
                }) as u16
            });
            let slots: Vec<u16> = slots.collect();
            let joined = |condition: &Condition| Condition {
                slots: condition.slots.iter().map(|&slot| slots[usize::from(slot)]).collect(),
                test: condition.test.clone(),
            };
            let has = keyed.has.iter().map(joined).collect();
            set.patterns.push(Wanted { pattern, slots, has });
        }
        let paths = set.paths.clone();
        let slot = |path: &str| paths.iter().position(|known| **known == *path).map_or(NONE, |slot| slot as u16);
        set.joined = (0u16..)
            .zip(&paths)
            .filter_map(|(whole, path)| Some([slot(parts_of(path).next()?), slot(parts_of(path).last()?), whole]))
            .collect();
        let wanted: BTreeMap<&str, u16> = (0u16..).zip(&paths).skip(1).map(|(slot, path)| (&**path, slot)).collect();
        set.node(wanted, &mut HashMap::new());
        set.head = match syntax {
            Syntax::Cef => cef::CEF.slots(&set),
            Syntax::Leef => cef::LEEF.slots(&set),
            _ => vec![],
        };
        set
    }

    /// The slot of a part of the head.
    #[inline]
    pub(super) fn head_slot(&self, part: usize) -> u16 {
        self.head.get(part).copied().unwrap_or(NONE)
    }

    /// The node for the rests of paths; the same rests are the same node.
    fn node<'p>(&mut self, rests: BTreeMap<&'p str, u16>, known: &mut HashMap<Vec<(&'p str, u16)>, u16>) -> u16 {
        let name: Vec<(&str, u16)> = rests.iter().map(|(rest, slot)| (*rest, *slot)).collect();
        if let Some(&node) = known.get(&name) {
            return node;
        }
        let Ok(index) = u16::try_from(self.nodes.len()) else { return NONE };
        self.nodes.push(Node::default());
        known.insert(name, index);
        let mut keys: BTreeMap<&str, (u16, BTreeMap<&str, u16>)> = BTreeMap::new();
        for (rest, slot) in rests {
            keys.entry(rest).or_insert((NONE, BTreeMap::new())).0 = slot;
            for (dot, _) in rest.match_indices('.') {
                keys.entry(&rest[..dot]).or_insert((NONE, BTreeMap::new())).1.insert(&rest[dot + 1..], slot);
            }
        }
        let keys = keys.into_iter().map(|(key, (slot, inside))| {
            let node = if inside.is_empty() { NONE } else { self.node(inside, known) };
            (key.as_bytes().into(), Entry { slot, node })
        });
        let keys: Vec<(Box<[u8]>, Entry)> = keys.collect();
        let number = |key: &[u8]| std::str::from_utf8(key).ok()?.parse::<u32>().ok();
        let items = keys.iter().filter_map(|(key, _)| number(key)).max().map_or(0, |last| last.saturating_add(1));
        self.nodes[usize::from(index)] = Node { keys, items };
        index
    }

    /// May the record be one of these, by its first byte?
    #[inline]
    pub(super) fn begins(&self, record: &[u8]) -> bool {
        self.syntax.begins(record)
    }

    /// Are its records JSON?
    pub(super) fn is_json(&self) -> bool {
        self.syntax == Syntax::Json
    }

    /// Captures values beside each other.
    #[inline]
    fn join(&self, slots: &mut [Span]) {
        for &[first, last, whole] in &self.joined {
            let [first, last] = [first, last].map(|slot| slots.get(usize::from(slot)).copied().unwrap_or(Span::NONE));
            if is_beside(first.end as usize, last.start as usize) && first != Span::NONE && last != Span::NONE {
                slots[usize::from(whole)] = Span { start: first.start, end: last.end };
            }
        }
    }

    /// Takes out the fields that are captured beside each other.
    fn drop_joined(&self, record: &[u8], found: &mut Vec<Field<'_>>) {
        for [first, last, _] in &self.joined {
            let place = |slot: u16| {
                let value = found.iter().find(|field| field.slot == slot)?.value;
                let start = (value.as_ptr() as usize).checked_sub(record.as_ptr() as usize)?;
                Some((start, start + value.len()))
            };
            let beside = place(*first).zip(place(*last)).filter(|(first, last)| is_beside(first.1, last.0));
            if beside.is_some() {
                found.retain(|field| field.slot != *first && field.slot != *last);
            }
        }
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    /// The first of its patterns in the whole set.
    pub(super) fn first(&self) -> usize {
        self.patterns.iter().map(|wanted| wanted.pattern).min().unwrap_or(usize::MAX)
    }

    /// Its patterns and the slots of their captures.
    pub(super) fn slots(&self) -> impl Iterator<Item = (usize, &[u16])> {
        self.patterns.iter().map(|wanted| (wanted.pattern, &*wanted.slots))
    }

    /// What is known of a key, which is not escaped.
    pub(super) fn entry(&self, node: u16, key: &[u8]) -> Entry {
        let Some(node) = self.nodes.get(usize::from(node)) else { return Entry::NONE };
        node.keys.binary_search_by(|(known, _)| (**known).cmp(key)).map_or(Entry::NONE, |at| node.keys[at].1)
    }

    /// What is known of an item of an array.
    pub(super) fn item(&self, node: u16, index: u32) -> Entry {
        match self.nodes.get(usize::from(node)) {
            Some(known) if index < known.items => self.entry(node, index.to_string().as_bytes()),
            _ => Entry::NONE,
        }
    }

    /// Which pattern takes the whole record; `slots` then has the values. `ends`, if there is such a plane, gives the next byte
    /// that may end a text.
    pub(super) fn find(
        &self,
        record: &[u8],
        slots: &mut [Span],
        frames: &mut Frames,
        learned: Option<&mut Learned>,
        ends: Option<impl Fn(usize) -> usize>,
    ) -> Result<usize, Failure> {
        if !self.syntax.begins(record) || record.len() > u32::MAX as usize {
            return Err(Failure::default());
        }
        slots.fill(Span::NONE);
        let keys = Keys { set: self, learned, last: 0 };
        match (self.syntax, ends) {
            (Syntax::Json, Some(ends)) => json::scan(keys, record, slots, &mut frames.json, ends)?,
            (Syntax::Json, None) => json::scan(keys, record, slots, &mut frames.json, |at| json::end_of_text(record, at))?,
            (Syntax::Logfmt, _) => logfmt::scan(keys, record, logfmt::End::Whole, slots)?,
            (Syntax::Pairs, _) => logfmt::scan(keys, record, logfmt::End::MayBeCut, slots)?,
            (Syntax::Cef, _) => cef::scan(keys, cef::CEF, record, slots)?,
            (Syntax::Leef, _) => cef::scan(keys, cef::LEEF, record, slots)?,
            (Syntax::Xml, _) => xml::scan(keys, record, slots, &mut frames.xml)?,
            (Syntax::Delimited, _) => delimited::scan(frames.layout(self).ok_or_else(Failure::default)?, record, slots)?,
        }
        self.join(slots);
        let mut missing = None;
        for wanted in &self.patterns {
            match wanted.has.iter().find(|condition| !condition.holds(self.syntax, record, slots)) {
                None => return Ok(wanted.pattern),
                Some(condition) => missing = missing.or_else(|| condition.slots.first().copied()),
            }
        }
        Err(Failure { at: record.len() as u32, capture: missing })
    }
}

/// Are values, one of which ends where the other one begins or a bit before, beside each other?
#[inline]
fn is_beside(end: usize, start: usize) -> bool {
    start.checked_sub(end).is_some_and(|gap| gap <= MAX_JOIN_GAP)
}

/// What a reader keeps between records: stacks, so that none allocates, and what the header before them says.
#[derive(Default)]
pub(super) struct Frames {
    json: Vec<json::Frame>,
    xml: Vec<xml::Frame>,
    header: Option<Box<[u8]>>,
    /// The columns under this header, by set.
    layouts: Vec<(u64, Option<delimited::Layout>)>,
}

impl Frames {
    pub(super) fn set_header(&mut self, header: Option<&[u8]>) {
        if self.header.as_deref() != header {
            self.header = header.map(Box::from);
            self.layouts.clear();
        }
    }

    pub(super) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    #[inline]
    fn layout(&mut self, set: &KeySet) -> Option<&delimited::Layout> {
        let known = self.layouts.iter().position(|(id, _)| *id == set.id);
        let known = known.unwrap_or_else(|| {
            let layout = set.dialect.as_ref().and_then(|dialect| delimited::Layout::new(dialect, set, self.header.as_deref()));
            self.layouts.push((set.id, layout));
            self.layouts.len() - 1
        });
        self.layouts[known].1.as_ref()
    }
}

/// The keys of a reader's records, and which one came behind which.
#[derive(Default)]
pub(super) struct Learned {
    keys: Vec<Known>,
    /// By node.
    numbers: Vec<HashMap<Box<[u8]>, u32>>,
}

struct Known {
    /// With the byte that ends it.
    text: Box<[u8]>,
    node: u16,
    entry: Entry,
    /// The keys that came behind it, the latest first.
    next: [u32; 2],
}

/// Looks up the keys of one record.
pub(super) struct Keys<'a> {
    pub(super) set: &'a KeySet,
    learned: Option<&'a mut Learned>,
    /// The key before, among the learned ones; 0 is the begin.
    last: u32,
}

impl Keys<'_> {
    /// Does `rest` begin with one of the keys that came behind the last one? With the length of it and of what ends it.
    #[inline(always)]
    pub(super) fn guess(&mut self, node: u16, rest: &[u8]) -> Option<(usize, Entry)> {
        let learned = self.learned.as_deref_mut()?;
        let next = learned.keys.get(self.last as usize)?.next;
        for (place, number) in next.into_iter().enumerate() {
            let Some(known) = learned.keys.get(number as usize) else { continue };
            if known.node == node && number > 0 && rest.starts_with(&known.text) {
                let found = (known.text.len(), known.entry);
                if place > 0 {
                    learned.keys[self.last as usize].next = [next[1], next[0]];
                }
                self.last = number;
                return Some(found);
            }
        }
        None
    }

    /// Looks up a key that was not guessed. `text` has the byte that ends it, and no escapes.
    #[cold]
    pub(super) fn look_up(&mut self, node: u16, text: &[u8]) -> Entry {
        let key = &text[..text.len() - 1];
        let Some(learned) = self.learned.as_deref_mut() else { return self.set.entry(node, key) };
        if learned.keys.is_empty() {
            learned.keys.push(Known { text: Box::default(), node: NONE, entry: Entry::NONE, next: [0; 2] });
            learned.numbers.resize_with(self.set.nodes.len(), HashMap::new);
        }
        let Some(numbers) = learned.numbers.get_mut(usize::from(node)) else { return Entry::NONE };
        let number = match numbers.get(text) {
            Some(&number) => number,
            None => {
                let entry = self.set.entry(node, key);
                if learned.keys.len() >= MAX_LEARNED || text.len() > MAX_LEARNED_BYTES {
                    return entry;
                }
                learned.keys.push(Known { text: text.into(), node, entry, next: [0; 2] });
                let number = learned.keys.len() as u32 - 1;
                numbers.insert(text.into(), number);
                number
            }
        };
        let last = &mut learned.keys[self.last as usize].next;
        *last = [number, last[0]];
        self.last = number;
        learned.keys[number as usize].entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Matcher, PatternSet, Scratch, Ways, check_traces};

    fn keyed(captures: &[(&str, &[&str])], has: &[(&str, Test)]) -> Matcher {
        let captures = captures.iter().map(|(name, paths)| ((*name).to_owned(), paths.iter().map(|p| (*p).to_owned()).collect()));
        let has = has.iter().map(|(what, test)| ((*what).to_owned(), test.clone())).collect();
        Matcher::Keyed(Keyed::try_new(Syntax::Json, &captures.collect(), &has).expect("no path stands twice").into())
    }

    fn one_of(value: &str) -> Test {
        Test::OneOf(vec![value.as_bytes().into()])
    }

    #[test]
    fn the_first_pattern_whose_tests_hold_takes_the_record() {
        let matchers = [
            keyed(&[("time", &["time"])], &[("v", one_of("0")), ("time", Test::Type(ValueType::Text))]),
            Matcher::try_new(r#"\{"regex":(?<n>\d+).*"#).expect("a regex"),
            keyed(&[("level", &["level", "lvl"])], &[("level", Test::Present), ("v", Test::Absent)]),
            keyed(&[("a", &["a"])], &[("a.b", Test::Type(ValueType::Number))]),
            Matcher::try_new(r"(?<all>.*)").expect("a regex"),
        ];
        let set = PatternSet::new(&matchers, Ways::Each);
        let lines: [(&[u8], usize); 9] = [
            (br#"{"v":0,"time":"x"}"#, 0),
            (br#"{"v":0,"time":1}"#, 4),
            (br#"{"regex":1}"#, 1),
            (br#"{"regex":1,"v":0,"time":"x"}"#, 0),
            (br#"{"lvl":"x"}"#, 2),
            (br#"{"level":null}"#, 4),
            (br#"{"a":{"b":-1}}"#, 3),
            (br#"{"a":{"b":"1"}}"#, 4),
            (b"{", 4),
        ];
        for (line, expected) in lines {
            let mut slots = vec![Span::NONE; set.captures()];
            let mut scratch = Scratch::default();
            assert_eq!(set.find(line, &mut slots, &mut scratch), Ok(expected), "{}", line.escape_ascii());
            assert_eq!(set.find_by_regex(line, &mut slots, &mut scratch), Ok(expected), "{}", line.escape_ascii());
        }
        check_traces(&set, &lines.map(|(line, _)| line));
    }

    #[test]
    fn a_path_means_nested_keys_and_keys_with_dots() {
        let matcher = keyed(&[("x", &["a.b.c"])], &[]);
        for line in [r#"{"a":{"b":{"c":1}}}"#, r#"{"a.b":{"c":1}}"#, r#"{"a":{"b.c":1}}"#, r#"{"a.b.c":1}"#] {
            let mut slots = [Span::NONE; 2];
            assert_eq!(matcher.find(line.as_bytes(), &mut slots, &mut Scratch::default()), Ok(()));
            assert_eq!(slots[1].of(line.as_bytes()), Some(&b"1"[..]), "{line}");
        }
    }

    #[test]
    fn a_pattern_says_which_keys_it_wants() {
        let tests = [("v", one_of("0")), ("level", Test::Present), ("x", Test::Absent), ("time", Test::Type(ValueType::Number))];
        let matcher = keyed(&[("time", &["ts"]), ("level", &["level", "lvl"])], &tests);
        let expected = [
            "  JSON object, by its keys:",
            "    level → level",
            "    lvl → level",
            "    ts → time",
            "    has level or lvl",
            "    has ts: number",
            "    has v: `0`",
            "    has no x",
            "",
        ];
        assert_eq!(matcher.as_keyed().expect("it goes by keys").to_string(), expected.join("\n"));
    }

    #[test]
    fn many_keys_are_read_though_few_are_learned() {
        let matcher = keyed(&[("x", &["k4000"])], &[("k4000", Test::Present)]);
        let set = PatternSet::new([&matcher], Ways::Each);
        let members: Vec<String> = (0..5000).map(|i| format!("\"k{i}\":{i}")).collect();
        let line = format!("{{{}}}", members.join(","));
        check_traces(&set, &[line.as_bytes(), br#"{"k4000":1}"#]);
    }
}
