//! A regular expression as a tree over bytes: what sets are joined from and programs are lowered from.
//!
//! regex-syntax reads the text. In its tree captures go by number, where a set has to compare those of several patterns by name; a copy copies all of
//! it; and its constructors join branches that a set keeps apart. Here copies share, and a part may also be where a capture begins or ends, or
//! where a pattern of a set does.
//!
//! Reading a text takes longer than all that is done with its tree. So the build script reads those of the built-in
//! definitions and writes their trees down, as bytes ([`Tree::to_bytes`]).

use std::sync::Arc;

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use regex_syntax::utf8::{Utf8Sequence, Utf8Sequences};

use super::byteset::ByteSet;

/// A regular expression, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Empty,
    Byte(u8),
    Literal(Arc<[u8]>),
    Set(ByteSet),
    Look(Look),
    Capture(Arc<str>, Arc<Tree>),
    /// Where a capture begins whose parts stand beside this, and where it ends.
    Open(Arc<str>),
    Close(Arc<str>),
    /// Where this pattern of a set ends.
    Accept(u32),
    Concat(Arc<Parts>),
    Alternation(Arc<Parts>),
    Repetition(Arc<Repetition>),
}

/// The parts of a sequence, or ways.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    parts: Vec<Tree>,
    min_len: usize,
}

impl std::ops::Deref for Parts {
    type Target = [Tree];

    fn deref(&self) -> &[Tree] {
        &self.parts
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repetition {
    pub(super) min: u32,
    /// `u32::MAX`: as often as there are any.
    pub(super) max: u32,
    pub(super) greedy: bool,
    pub(super) sub: Tree,
}

impl Tree {
    /// Any text.
    pub(super) fn anything() -> Self {
        Self::repetition(0, u32::MAX, true, Self::Set(ByteSet::ALL))
    }

    fn literal(text: &[u8]) -> Self {
        match *text {
            [] => Self::Empty,
            [byte] => Self::Byte(byte),
            _ => Self::Literal(text.into()),
        }
    }

    fn repetition(min: u32, max: u32, greedy: bool, sub: Self) -> Self {
        Self::Repetition(Arc::new(Repetition { min, max, greedy, sub }))
    }

    /// One behind the other. What is fixed text is one text.
    pub(super) fn concat(parts: impl IntoIterator<Item = Self>) -> Self {
        fn add(part: Tree, flat: &mut Vec<Tree>, text: &mut Vec<u8>) {
            match part {
                Tree::Empty => {}
                Tree::Byte(byte) => text.push(byte),
                Tree::Literal(bytes) => text.extend_from_slice(&bytes),
                Tree::Concat(parts) => parts.iter().for_each(|part| add(part.clone(), flat, text)),
                _ => {
                    end(flat, text);
                    flat.push(part);
                }
            }
        }
        fn end(flat: &mut Vec<Tree>, text: &mut Vec<u8>) {
            if !text.is_empty() {
                flat.push(Tree::literal(text));
                text.clear();
            }
        }
        let (mut flat, mut text) = (vec![], vec![]);
        parts.into_iter().for_each(|part| add(part, &mut flat, &mut text));
        end(&mut flat, &mut text);
        match flat.len() {
            0 | 1 => flat.pop().unwrap_or(Self::Empty),
            _ => {
                let min_len = flat.iter().fold(0, |sum: usize, part| sum.saturating_add(part.min_len()));
                Self::Concat(Arc::new(Parts { parts: flat, min_len }))
            }
        }
    }

    /// One of them. Of none, nothing is taken.
    pub(super) fn alternation(mut branches: Vec<Self>) -> Self {
        match branches.len() {
            0 | 1 => branches.pop().unwrap_or(Self::Set(ByteSet::EMPTY)),
            _ => {
                let min_len = branches.iter().map(Self::min_len).min().unwrap_or(0);
                Self::Alternation(Arc::new(Parts { parts: branches, min_len }))
            }
        }
    }

    /// The fewest bytes that it takes.
    pub(super) fn min_len(&self) -> usize {
        match self {
            Self::Empty | Self::Look(_) | Self::Open(_) | Self::Close(_) | Self::Accept(_) => 0,
            Self::Byte(_) | Self::Set(_) => 1,
            Self::Literal(text) => text.len(),
            Self::Capture(_, sub) => sub.min_len(),
            Self::Concat(parts) | Self::Alternation(parts) => parts.min_len,
            Self::Repetition(repetition) => repetition.sub.min_len().saturating_mul(repetition.min as usize),
        }
    }

    /// Adds the names of the captures, in the order in which they begin.
    pub(super) fn captures(&self, names: &mut Vec<Box<str>>) {
        match self {
            Self::Capture(name, sub) => {
                names.push((**name).into());
                sub.captures(names);
            }
            Self::Concat(parts) | Self::Alternation(parts) => parts.iter().for_each(|part| part.captures(names)),
            Self::Repetition(repetition) => repetition.sub.captures(names),
            _ => {}
        }
    }

    /// Adds the texts that are in every match.
    pub(super) fn texts(&self, texts: &mut Vec<Vec<Vec<u8>>>) {
        match self {
            Self::Byte(byte) => texts.push(vec![vec![*byte]]),
            Self::Literal(text) => texts.push(vec![text.to_vec()]),
            Self::Capture(_, sub) => sub.texts(texts),
            Self::Concat(parts) => parts.iter().for_each(|part| part.texts(texts)),
            Self::Repetition(repetition) if repetition.min > 0 => repetition.sub.texts(texts),
            // One of each way, the longest that it has.
            Self::Alternation(ways) => {
                let least = |text: &Vec<Vec<u8>>| text.iter().map(Vec::len).min().unwrap_or(0);
                let of_way = |way: &Self| {
                    let mut own = vec![];
                    way.texts(&mut own);
                    own.into_iter().max_by_key(least)
                };
                if let Some(all) = ways.iter().map(of_way).collect::<Option<Vec<_>>>() {
                    texts.push(all.into_iter().flatten().collect());
                }
            }
            _ => {}
        }
    }
}

/// Ways to write characters that the classes of one expression have at most. Each is a sequence of sets: a letter of any script is one of 700.
const MAX_CHARACTERS: usize = 1 << 17;

impl Tree {
    /// The tree that regex-syntax read; `None` if its classes of characters are too large.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        Self::within(hir, &mut { MAX_CHARACTERS })
    }

    /// The same, where so many ways to write characters are left.
    fn within(hir: &Hir, left: &mut usize) -> Option<Self> {
        let of_all =
            |parts: &[Hir], left: &mut usize| parts.iter().map(|part| Self::within(part, left)).collect::<Option<Vec<_>>>();
        Some(match hir.kind() {
            HirKind::Empty => Self::Empty,
            HirKind::Literal(literal) => Self::literal(&literal.0),
            HirKind::Class(class) => of_class(class, left)?,
            HirKind::Look(look) => Self::Look(*look),
            HirKind::Capture(capture) => {
                let sub = Self::within(&capture.sub, left)?;
                match &capture.name {
                    Some(name) => Self::Capture((**name).into(), Arc::new(sub)),
                    None => sub,
                }
            }
            HirKind::Concat(parts) => Self::concat(of_all(parts, left)?),
            HirKind::Alternation(branches) => Self::alternation(of_all(branches, left)?),
            HirKind::Repetition(own) => {
                Self::repetition(own.min, own.max.unwrap_or(u32::MAX), own.greedy, Self::within(&own.sub, left)?)
            }
        })
    }
}

/// A class is one byte, or one of the ways to write its characters: the syntax tree has a class of characters for `a|ä`, although the
/// parser was told that bytes are bytes.
fn of_class(class: &Class, left: &mut usize) -> Option<Tree> {
    let mut set = ByteSet::EMPTY;
    match class {
        Class::Bytes(class) => class.ranges().iter().for_each(|range| set.insert_range(range.start(), range.end())),
        Class::Unicode(class) if class.is_ascii() => {
            class.ranges().iter().for_each(|range| set.insert_range(range.start() as u8, range.end() as u8));
        }
        Class::Unicode(class) => {
            let byte = |first, last| {
                let mut set = ByteSet::EMPTY;
                set.insert_range(first, last);
                Tree::Set(set)
            };
            let sequences = class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
            let way = |bytes: Utf8Sequence| Tree::concat(bytes.as_slice().iter().map(|range| byte(range.start, range.end)));
            let ways: Vec<Tree> = sequences.take(*left).map(way).collect();
            *left -= ways.len();
            return (*left > 0).then(|| Tree::alternation(ways));
        }
    }
    Some(Tree::Set(set))
}

/// The kinds of a tree, as bytes.
const EMPTY: u8 = 0;
const BYTE: u8 = 1;
const LITERAL: u8 = 2;
const SET: u8 = 3;
const LOOK: u8 = 4;
const CAPTURE: u8 = 5;
const CONCAT: u8 = 6;
const ALTERNATION: u8 = 7;
const REPETITION: u8 = 8;

/// What can be looked for between bytes, by its number. Others do not occur in definitions.
const LOOKS: [Look; 4] = [Look::Start, Look::End, Look::WordAscii, Look::WordAsciiNegate];

impl Tree {
    /// The tree of a pattern, to be written down; `None` if something in it has no number.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![];
        self.write(&mut bytes)?;
        Some(bytes)
    }

    fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        let write_all = |kind: u8, parts: &[Self], out: &mut Vec<u8>| {
            out.push(kind);
            write_number(parts.len(), out);
            parts.iter().try_for_each(|part| part.write(out))
        };
        let write_text = |kind: u8, text: &[u8], out: &mut Vec<u8>| {
            out.push(kind);
            write_number(text.len(), out);
            out.extend_from_slice(text);
        };
        match self {
            Self::Empty => out.push(EMPTY),
            Self::Byte(byte) => out.extend([BYTE, *byte]),
            Self::Literal(text) => write_text(LITERAL, text, out),
            Self::Set(set) => {
                let ranges: Vec<[u8; 2]> = set.ranges().map(|(first, last)| [first, last]).collect();
                out.extend([SET, u8::try_from(ranges.len()).ok()?]);
                out.extend(ranges.iter().flatten());
            }
            Self::Look(look) => out.extend([LOOK, LOOKS.iter().position(|known| known == look)? as u8]),
            Self::Capture(name, sub) => {
                write_text(CAPTURE, name.as_bytes(), out);
                sub.write(out)?;
            }
            Self::Concat(parts) => write_all(CONCAT, parts, out)?,
            Self::Alternation(branches) => write_all(ALTERNATION, branches, out)?,
            Self::Repetition(own) => {
                out.push(REPETITION);
                write_number(own.min as usize, out);
                write_number(own.max as usize, out);
                out.push(u8::from(own.greedy));
                own.sub.write(out)?;
            }
            Self::Open(_) | Self::Close(_) | Self::Accept(_) => return None,
        }
        Some(())
    }

    /// What [`to_bytes`](Self::to_bytes) wrote down.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        Self::read(&mut bytes).filter(|_| bytes.is_empty())
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let read_all = |from: &mut &[u8]| (0..read_number(from)?).map(|_| Self::read(from)).collect::<Option<Vec<_>>>();
        Some(match *from.split_off_first()? {
            EMPTY => Self::Empty,
            BYTE => Self::Byte(*from.split_off_first()?),
            LITERAL => Self::Literal(read_text(from)?.into()),
            SET => {
                let mut set = ByteSet::EMPTY;
                for _ in 0..*from.split_off_first()? {
                    set.insert_range(*from.split_off_first()?, *from.split_off_first()?);
                }
                Self::Set(set)
            }
            LOOK => Self::Look(*LOOKS.get(usize::from(*from.split_off_first()?))?),
            CAPTURE => Self::Capture(std::str::from_utf8(read_text(from)?).ok()?.into(), Arc::new(Self::read(from)?)),
            CONCAT => Self::concat(read_all(from)?),
            ALTERNATION => Self::alternation(read_all(from)?),
            REPETITION => {
                let (min, max) = (u32::try_from(read_number(from)?).ok()?, u32::try_from(read_number(from)?).ok()?);
                let greedy = *from.split_off_first()? != 0;
                Self::repetition(min, max, greedy, Self::read(from)?)
            }
            _ => return None,
        })
    }
}

fn read_text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = read_number(from)?;
    from.split_off(..len)
}

/// Seven bits a byte, the low ones first; the eighth says that there are more.
fn write_number(mut number: usize, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(from: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = *from.split_off_first()?;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(regex: &str) -> Tree {
        let parser = &mut regex_syntax::ParserBuilder::new().utf8(false).unicode(false).build();
        Tree::of(&parser.parse(regex).expect(regex)).expect(regex)
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        for regex in [
            "",
            "a",
            "abc",
            "[^ ]*x",
            r"\A(?<a>\d{2,4}?)(?<b>ä|(?u:[é-ü]))?\b.*\z",
            "(?<a>(?<b>x)|)",
            "[[a-z]&&[A-Z]]",
            "x{300,}",
        ] {
            let tree = tree(regex);
            let bytes = tree.to_bytes().expect(regex);
            assert_eq!(Tree::from_bytes(&bytes), Some(tree), "{regex}");
            // What is cut off is nothing, and no memory is asked for that its numbers speak of.
            assert!((0..bytes.len()).all(|len| Tree::from_bytes(&bytes[..len]).is_none()), "{regex}");
        }
        assert_eq!(tree("(?m)^a").to_bytes(), None);
        assert_eq!(Tree::from_bytes(&[CONCAT, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn classes_of_characters_are_bounded() {
        let of = |regex: &str| Tree::of(&regex_syntax::parse(regex).expect("syntax"));
        assert!(of(r"\pL+").is_some());
        assert!(of(&r"\pL".repeat(1000)).is_none());
    }

    #[test]
    fn fixed_text_is_one_text_wherever_its_parts_stood() {
        let parts = ["ab", "c", ""].map(tree);
        assert_eq!(Tree::concat(parts), tree("abc"));
        assert_eq!((tree("a(?:bc|d)e*").min_len(), tree("(?:ab){3}c?").min_len(), tree("é").min_len()), (2, 6, 2));
        let mut names = vec![];
        tree("(?<a>(?<b>x)+)(?:(?<c>y)|z)").captures(&mut names);
        assert_eq!(names, ["a", "b", "c"].map(Box::from));
    }
}
