//! What a line has to begin with and to hold to be worth a look: a family none of whose patterns can take one is not compiled.
//!
//! ```text
//!   has = { level = true, insertId = true }     `level"` and `insertId"`
//!   regex = 'client (?<ip>[^#]+)#.*: query: '   `: query: `, `client `
//! ```
//!
//! What lines can begin with tells most patterns apart, but all JSON begins alike.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use toml::Spanned;

use super::definition::{HasDef, OneOrMany, PatternDef};
use crate::scan::{Begin, Matcher, Syntax};

/// What is known of a pattern's lines without compiling it. That of built-in definitions is the build script's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Screen {
    /// What they can begin with. Beside the rest, since what has addresses in it is written when the program starts, page by page.
    pub(crate) begin: Cow<'static, Begin>,
    /// Texts that a record has.
    pub(crate) texts: Cow<'static, [Ways]>,
}

/// One of these texts.
pub(crate) type Ways = Cow<'static, [Cow<'static, [u8]>]>;

/// Texts of a pattern that are looked for at most, the longest first.
const MAX_TEXTS: usize = 3;
/// Bytes of a text at least.
const MIN_BYTES: usize = 3;
/// Ways that a text can be at most.
const MAX_WAYS: usize = 16;

impl Screen {
    /// `regex` is the pattern's expression, if it has one.
    pub(crate) fn new(pattern: &PatternDef, regex: Option<&Matcher>, begin: Begin) -> Self {
        let ways = |ways: Vec<Vec<u8>>| ways.into_iter().map(Cow::Owned).collect::<Vec<_>>();
        let texts: Vec<Ways> = texts(pattern, regex).into_iter().map(|text| Cow::Owned(ways(text))).collect();
        Self { begin: Cow::Owned(begin), texts: Cow::Owned(texts) }
    }

    /// Are its texts in what `holds` tells texts of?
    pub(crate) fn is_held(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        self.texts.iter().all(|ways| ways.iter().any(|way| holds(way)))
    }
}

/// What a record of the pattern has to hold: of each list, one of its texts.
fn texts(pattern: &PatternDef, regex: Option<&Matcher>) -> Vec<Vec<Vec<u8>>> {
    let mut needs = match (regex.and_then(Matcher::as_regex), pattern.keyed().next()) {
        (Some(regex), _) => regex.texts(),
        (None, Some((syntax, keys))) => keyed(syntax, keys.get_ref(), &pattern.has),
        (None, None) => vec![],
    };
    let least = |ways: &Vec<Vec<u8>>| ways.iter().map(Vec::len).min().unwrap_or(0);
    needs.retain(|ways| least(ways) >= MIN_BYTES && ways.len() <= MAX_WAYS);
    needs.sort_by_key(|ways| std::cmp::Reverse(least(ways)));
    needs.truncate(MAX_TEXTS);
    needs
}

fn keyed(syntax: Syntax, keys: &BTreeMap<String, OneOrMany>, has: &BTreeMap<String, Spanned<HasDef>>) -> Vec<Vec<Vec<u8>>> {
    // What stands behind a key. Other layouts say who they are with their first bytes, or in a header.
    let behind = match syntax {
        Syntax::Json => "\"",
        Syntax::Logfmt | Syntax::Pairs => "=",
        Syntax::Xml => "",
        Syntax::Cef | Syntax::Leef | Syntax::Delimited => return vec![],
    };
    let mut needs = vec![];
    for (what, condition) in has {
        if matches!(condition.get_ref(), HasDef::Is(false)) {
            continue;
        }
        let one = [what.clone()];
        let paths = keys.get(what).map_or(&one[..], OneOrMany::values);
        let key = |path: &String| {
            let last = path.rsplit('.').next()?;
            let is_name = !last.contains(" + ") && !last.bytes().all(|byte| byte.is_ascii_digit()) && is_plain(last);
            is_name.then(|| format!("{last}{behind}").into_bytes())
        };
        needs.extend(paths.iter().map(key).collect::<Option<Vec<_>>>());
        if let HasDef::Value(values) = condition.get_ref()
            && values.values().iter().all(|value| is_plain(value))
        {
            needs.push(values.values().iter().map(|value| value.clone().into_bytes()).collect());
        }
    }
    needs
}

/// Is the text written only as it is, whatever escapes its layout has?
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:$ ".contains(&byte))
}

/// Which three bytes stand beside each other somewhere in a sample: one look at it, however many texts are asked for.
pub(crate) struct Sample<'a> {
    chunks: &'a [&'a [u8]],
    /// A bit for each hash of three bytes, once somebody asks.
    threes: OnceCell<Box<[u64; HASHES / 64]>>,
    /// Letters may be written by their numbers, as in JSON and XML: then nothing can be said.
    is_escaped: bool,
}

/// Hashes of three bytes.
const HASHES: usize = 1 << 16;

impl<'a> Sample<'a> {
    pub(crate) fn new(chunks: &'a [&'a [u8]]) -> Self {
        Self { chunks, threes: OnceCell::new(), is_escaped: chunks.iter().any(|chunk| is_escaped(chunk)) }
    }

    fn threes(&self) -> Box<[u64; HASHES / 64]> {
        let mut threes = Box::new([0u64; HASHES / 64]);
        for chunk in self.chunks {
            // Of the first two bytes nothing is asked, so what is noted with them does no harm.
            let mut three = 0;
            for &byte in *chunk {
                three = three >> 8 | u32::from(byte) << 16;
                let hash = hash(three);
                threes[hash / 64] |= 1 << (hash % 64);
            }
        }
        threes
    }

    /// May the text be in it?
    pub(crate) fn may_hold(&self, text: &[u8]) -> bool {
        let is_there = |three: &[u8]| {
            let hash = hash(three.iter().rev().fold(0, |three, &byte| three << 8 | u32::from(byte)));
            self.threes.get_or_init(|| self.threes())[hash / 64] & 1 << (hash % 64) != 0
        };
        self.is_escaped || text.windows(3).all(is_there)
    }

    /// Is the text in this line of it?
    pub(crate) fn holds(&self, line: &[u8], text: &[u8]) -> bool {
        self.is_escaped || memchr::memmem::find(line, text).is_some()
    }
}

/// Of three bytes, the first one lowest.
fn hash(three: u32) -> usize {
    (three.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

/// May letters be written by their numbers in it?
fn is_escaped(sample: &[u8]) -> bool {
    [&b"\\u"[..], b"&#"].iter().any(|mark| memchr::memmem::find(sample, mark).is_some())
}
