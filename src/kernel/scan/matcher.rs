//! A pattern that is ready to be matched: a regular expression, lowered where that is possible and run by the regex crate where
//! it is not; or the keys of records that name their fields.

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use thiserror::Error;

use super::Span;
use super::ahead::Ahead;
use super::keys::{Frames, Keyed};
use super::lower::{NotLowered, ahead_of, lower};
use super::program::{Failure, Outcome, Program, Stacks};
use super::tree::Tree;

/// Compiled size of one pattern at most; beyond it a definition is a mistake or an attack.
const SIZE_LIMIT: usize = 4 << 20;
/// The same for all patterns that feed one table, as one.
const SET_SIZE_LIMIT: usize = 64 << 20;

/// A pattern that does not compile.
#[derive(Debug, Error)]
pub enum PatternError {
    /// The text is no regular expression.
    #[error("{message}")]
    Syntax {
        /// What is wrong, in one line.
        message: String,
        /// Byte offset in the pattern.
        at: usize,
    },
    /// The compiled form is too large.
    #[error("the pattern is too large: {0}")]
    TooLarge(String),
}

/// A compiled pattern. It matches a whole record or nothing.
#[derive(Debug)]
pub enum Matcher {
    /// A regular expression.
    Regex(Box<RegexMatcher>),
    /// The names of fields: keys, or columns.
    Keyed(Arc<Keyed>),
}

/// A regular expression that is ready to be matched.
pub struct RegexMatcher {
    regex: Box<str>,
    tree: Tree,
    captures: Vec<Box<str>>,
    /// Most patterns are only ever run as a part of a set, so each is lowered when it is first run alone.
    engine: OnceLock<Result<Program, NotLowered>>,
    /// The regex crate's machine: built when it is first needed, because that costs more than lowering does.
    oracle: OnceLock<Option<Oracle>>,
}

/// The regex crate's machine, and the group of each capture.
type Oracle = (Regex, Vec<usize>);

/// What a thread keeps between records: stacks of the machine, locations of the regex.
#[derive(Default)]
pub struct Scratch {
    pub(super) stacks: Stacks,
    pub(super) frames: Frames,
    /// Locations, and the address of the regex that they belong to.
    locations: Option<(usize, CaptureLocations)>,
}

impl Scratch {
    /// The line that says what the columns of the records behind it are, from now on.
    pub fn set_header(&mut self, header: Option<&[u8]>) {
        self.frames.set_header(header);
    }

    /// The line that says what the columns are.
    pub fn header(&self) -> Option<&[u8]> {
        self.frames.header()
    }

    /// Locations belong to one regex, and are kept for as long as that one asks.
    pub(super) fn locations(&mut self, regex: &Regex) -> &mut CaptureLocations {
        let owner = regex.as_str().as_ptr() as usize;
        if self.locations.as_ref().is_none_or(|(other, _)| *other != owner) {
            self.locations = None;
        }
        &mut self.locations.get_or_insert_with(|| (owner, regex.capture_locations())).1
    }
}

impl fmt::Debug for RegexMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegexMatcher").field(&self.regex).finish()
    }
}

impl Matcher {
    /// Compiles a regular expression. It is anchored at both ends, `.` takes line feeds, and there is no Unicode.
    pub fn try_new(pattern: &str) -> Result<Self, PatternError> {
        // Bytes are bytes, but for what a pattern says of characters itself.
        let mut parser = ParserBuilder::new().utf8(false).unicode(false).dot_matches_new_line(true).build();
        let hir = parser.parse(pattern).map_err(|error| syntax_error(&error))?;
        let tree = Tree::of(&hir).ok_or_else(|| PatternError::TooLarge("it has too many classes of characters".to_owned()))?;
        Ok(Self::Regex(Box::new(RegexMatcher::new(pattern, tree))))
    }

    /// The same for an expression that was read before: `tree` is what [`tree`](RegexMatcher::tree) said of it. `None` if it did not.
    pub fn with_tree(pattern: &str, tree: &[u8]) -> Option<Self> {
        Some(Self::Regex(Box::new(RegexMatcher::new(pattern, Tree::from_bytes(tree)?))))
    }

    /// The regular expression, if it is one.
    pub fn as_regex(&self) -> Option<&RegexMatcher> {
        match self {
            Self::Regex(regex) => Some(regex),
            Self::Keyed(_) => None,
        }
    }

    /// The keys, if it goes by keys.
    pub fn as_keyed(&self) -> Option<&Arc<Keyed>> {
        match self {
            Self::Regex(_) => None,
            Self::Keyed(keyed) => Some(keyed),
        }
    }

    /// The names of the captures, in the order of their spans.
    pub fn captures(&self) -> &[Box<str>] {
        match self {
            Self::Regex(regex) => &regex.captures,
            Self::Keyed(keyed) => keyed.names(),
        }
    }

    /// The fewest bytes that a record can have.
    pub fn min_bytes(&self) -> usize {
        match self {
            Self::Regex(regex) => regex.tree.min_len(),
            Self::Keyed(keyed) => keyed.min_bytes(),
        }
    }

    /// What a record can begin with.
    pub(crate) fn ahead<const N: usize>(&self) -> Ahead<N> {
        match self {
            Self::Regex(regex) => ahead_of(&regex.tree),
            Self::Keyed(keyed) => keyed.ahead(),
        }
    }

    /// Matches the whole record; on success `slots[i]` is the span of `captures()[i]`.
    #[inline]
    pub fn find(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<(), Failure> {
        match self {
            Self::Regex(regex) => regex.find(record, slots, scratch),
            Self::Keyed(keyed) => keyed.find(record, slots, &mut scratch.frames),
        }
    }
}

impl RegexMatcher {
    fn new(pattern: &str, tree: Tree) -> Self {
        let mut captures = vec![];
        tree.captures(&mut captures);
        // In a verbose pattern a line feed ends a comment on the last line; in a plain one it would be text.
        let end = if pattern.trim_start().starts_with("(?x") { "\n" } else { "" };
        let regex = format!(r"\A(?:{pattern}{end})\z").into();
        Self { regex, tree, captures, engine: OnceLock::new(), oracle: OnceLock::new() }
    }

    /// Can the regex crate build the pattern? A lowered one is built only when it is needed.
    pub fn check_regex(&self) -> Result<(), PatternError> {
        self.build().map(|oracle| {
            self.oracle.get_or_init(|| Some(oracle));
        })
    }

    fn build(&self) -> Result<Oracle, PatternError> {
        let regex = build(&self.regex, SIZE_LIMIT)?;
        let group = |name: &str| regex.capture_names().position(|own| own == Some(name)).unwrap_or(usize::MAX);
        let groups = self.captures.iter().map(|name| group(name)).collect();
        Ok((regex, groups))
    }

    /// The names of the captures, in the order of their spans.
    pub fn captures(&self) -> &[Box<str>] {
        &self.captures
    }

    /// The lowered program, or why there is none.
    pub fn program(&self) -> Result<&Program, &NotLowered> {
        let lowered = self.engine.get_or_init(|| {
            let slot = |name: &str| self.captures.iter().position(|capture| &**capture == name);
            lower(&self.tree, self.captures.len(), |name| slot(name).and_then(|slot| u16::try_from(slot).ok()))
        });
        lowered.as_ref()
    }

    /// Texts that every record has: of each list, one of its texts.
    pub(crate) fn texts(&self) -> Vec<Vec<Vec<u8>>> {
        let mut texts = vec![];
        self.tree.texts(&mut texts);
        texts
    }

    /// What was read of the expression, to be written down; `None` if it has something that cannot be.
    pub fn tree(&self) -> Option<Vec<u8>> {
        self.tree.to_bytes()
    }

    pub(super) fn as_tree(&self) -> &Tree {
        &self.tree
    }

    /// The regular expression, anchored.
    pub fn regex(&self) -> &str {
        &self.regex
    }

    /// Matches the whole record; on success `slots[i]` is the span of `captures()[i]`.
    #[inline]
    pub fn find(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<(), Failure> {
        if let Ok(program) = self.program() {
            match program.run(record, slots, &mut scratch.stacks) {
                Outcome::Matched(_) => return Ok(()),
                Outcome::Failed(failure) => return Err(failure),
                Outcome::Exhausted => {}
            }
        }
        self.find_by_regex(record, slots, scratch)
    }

    /// The slow twin of [`find`](Self::find): the regex crate does all of the work.
    pub fn find_by_regex(&self, record: &[u8], slots: &mut [Span], scratch: &mut Scratch) -> Result<(), Failure> {
        let Some((oracle, groups)) = self.oracle.get_or_init(|| self.build().ok()) else { return Err(Failure::default()) };
        let locations = scratch.locations(oracle);
        if oracle.captures_read(locations, record).is_none() {
            return Err(Failure::default());
        }
        for (slot, &group) in slots.iter_mut().zip(groups) {
            *slot = locations.get(group).map_or(Span::NONE, |(start, end)| Span { start: start as u32, end: end as u32 });
        }
        Ok(())
    }
}

/// The regex crate's machine for an expression. The patterns of a set have passed one by one.
fn build(regex: &str, limit: usize) -> Result<Regex, PatternError> {
    let mut builder = RegexBuilder::new(regex);
    builder.unicode(false).dot_matches_new_line(true).size_limit(limit);
    builder.build().map_err(|error| PatternError::TooLarge(error.to_string()))
}

pub(super) fn build_set(regex: &str) -> Result<Regex, PatternError> {
    build(regex, SET_SIZE_LIMIT)
}

fn syntax_error(error: &regex_syntax::Error) -> PatternError {
    let (message, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start.offset),
        other => (other.to_string(), 0),
    };
    PatternError::Syntax { message, at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{PatternSet, Ways, check_traces};

    fn spans(matcher: &Matcher, line: &[u8]) -> (Option<Vec<Span>>, Option<Vec<Span>>) {
        let mut scratch = Scratch::default();
        let mut fast = vec![Span::NONE; matcher.captures().len()];
        let mut slow = fast.clone();
        let a = matcher.find(line, &mut fast, &mut scratch).is_ok().then_some(fast);
        let regex = matcher.as_regex().expect("a regex");
        let b = regex.find_by_regex(line, &mut slow, &mut scratch).is_ok().then_some(slow);
        (a, b)
    }

    #[test]
    fn programs_and_regexes_agree_on_spans_and_verdicts() {
        let patterns = [
            r"(?<a>[^ ]*) (?<b>[^ ]+)",
            r#""(?<q>(?:[^"\\]|\\.)*)" (?<n>\d{3}) (?<m>\d+|-)"#,
            r#""(?<q>[^"\\]*(?:\\.[^"\\]*)*)"(?: (?<t>.*))?"#,
            r"(?<m>.*?)(?:, client: (?<c>[^,]*))?(?:, server: (?<s>[^,]*))?",
            r"(?<m>.*), (?<l>.*)",
            r"(?<a>a|ab)(?<b>c|bcd)(?<d>d*)",
            r"(?:(?<w>\w+)[ ,])*end",
            r"(?:(?<x>a)|b){2,3}c?",
            r"\b(?<w>\w+)\b.*",
            r"(?<a>a*?)(?<b>a*)",
            r"(?<a>(?:ab)+?)(?<b>(?:ab)*)",
            r"(?x) (?<k>[a-z]+) = (?<v>\d+) # comment",
            r"(?<a>a{2,4}?)(?<b>a+)b?",
        ];
        let words: &[&[u8]] = &[
            b"",
            b"a",
            b"b",
            b"ab",
            b"abcd",
            b"aaaa",
            b" ",
            b", ",
            b", client: ",
            b", server: ",
            b"\"",
            b"\\",
            b"200",
            b"-",
            b"end",
            b"x=1",
            b"c",
            b"\n",
            b"\xff",
            b"d",
        ];
        for pattern in patterns {
            let matcher = Matcher::try_new(pattern).expect(pattern);
            let regex = matcher.as_regex().expect("a regex");
            assert!(regex.program().is_ok(), "{pattern}: {:?}", regex.program().err());
            let set = PatternSet::new([&matcher], Ways::Each);
            for a in words {
                for b in words {
                    for c in words {
                        let alike: Vec<Vec<u8>> = words.iter().map(|d| [*a, *b, *c, *d].concat()).collect();
                        check_traces(&set, &alike.iter().map(Vec::as_slice).collect::<Vec<_>>());
                        for d in words {
                            let line = [*a, *b, *c, *d].concat();
                            let (fast, slow) = spans(&matcher, &line);
                            assert_eq!(
                                fast,
                                slow,
                                "{pattern} on {:?}\n{}",
                                line.escape_ascii().to_string(),
                                regex.program().expect("lowered")
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_pattern_that_would_explode_is_decided_by_the_regex() {
        let matcher = Matcher::try_new(r"(?:a|a)*(?:a|a)*(?:a|a)*b").expect("compiles");
        let line = vec![b'a'; 5000];
        let (fast, slow) = spans(&matcher, &line);
        assert_eq!((fast, slow), (None, None));
    }

    #[test]
    fn syntax_errors_say_where() {
        let Err(PatternError::Syntax { at, .. }) = Matcher::try_new("abc[") else { panic!("`abc[` compiled") };
        assert_eq!(at, 3);
    }
}
