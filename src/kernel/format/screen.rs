//! Texts that a sample has to hold to be worth a look: a family whose texts are nowhere in it is not compiled.
//!
//! ```text
//!   has = { level = true, insertId = true }     `level"` and `insertId"`
//!   regex = 'client (?<ip>[^#]+)#.*: query: '   `: query: `, `client `
//! ```
//!
//! What lines can begin with ([`Ahead`](crate::scan::Ahead)) tells most families apart, but all JSON begins alike.

use std::collections::BTreeMap;

use toml::Spanned;

use super::definition::{HasDef, OneOrMany, PatternDef};
use crate::scan::{Matcher, Syntax};

/// For each pattern, texts that all have to be there: of each list, one of its texts.
pub(crate) type Needs = Vec<Vec<Vec<Vec<u8>>>>;

/// Texts of a pattern that are looked for at most, the longest first.
const MAX_TEXTS: usize = 3;
/// Bytes of a text at least.
const MIN_BYTES: usize = 3;
/// Ways that a text can be at most.
const MAX_WAYS: usize = 16;

/// What a record of the pattern has to hold. `regex` is its expression, if it has one.
pub(crate) fn needs(pattern: &PatternDef, regex: Option<&Matcher>) -> Vec<Vec<Vec<u8>>> {
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

/// Can one of the patterns take a part of what `holds` tells texts of?
pub(crate) fn may_take(needs: &[Vec<Vec<Vec<u8>>>], holds: impl Fn(&[u8]) -> bool) -> bool {
    needs.iter().any(|pattern| pattern.iter().all(|ways| ways.iter().any(|way| holds(way))))
}

/// Which three bytes stand beside each other somewhere in a sample: one look at it, however many texts are asked for.
pub(crate) struct Sample {
    /// A bit for each hash of three bytes.
    threes: Box<[u64; HASHES / 64]>,
    /// Letters may be written by their numbers, as in JSON and XML: then nothing can be said.
    is_escaped: bool,
}

/// Hashes of three bytes.
const HASHES: usize = 1 << 16;

impl Sample {
    pub(crate) fn new(chunks: &[&[u8]]) -> Self {
        let mut threes = Box::new([0u64; HASHES / 64]);
        for three in chunks.iter().flat_map(|chunk| chunk.windows(3)) {
            let hash = hash(three);
            threes[hash / 64] |= 1 << (hash % 64);
        }
        Self { threes, is_escaped: chunks.iter().any(|chunk| is_escaped(chunk)) }
    }

    /// May the text be in it?
    pub(crate) fn may_hold(&self, text: &[u8]) -> bool {
        let is_there = |three: &[u8]| {
            let hash = hash(three);
            self.threes[hash / 64] & 1 << (hash % 64) != 0
        };
        self.is_escaped || text.windows(3).all(is_there)
    }

    /// Is the text in this line of it?
    pub(crate) fn holds(&self, line: &[u8], text: &[u8]) -> bool {
        self.is_escaped || memchr::memmem::find(line, text).is_some()
    }
}

fn hash(three: &[u8]) -> usize {
    let number = u32::from(three[0]) | u32::from(three[1]) << 8 | u32::from(three[2]) << 16;
    (number.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

/// May letters be written by their numbers in it?
fn is_escaped(sample: &[u8]) -> bool {
    [&b"\\u"[..], b"&#"].iter().any(|mark| memchr::memmem::find(sample, mark).is_some())
}
