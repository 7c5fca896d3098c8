//! The part of a set's patterns that somebody who looks at few captures need not read.
//!
//! ```text
//!   2026/11/21 … [error] 7#7: ─┬─ *9 …, client: …, server: …   → nginx_error          SELECT level, count(*)
//!                              └─ …                            → nginx_error_plain
//!
//!   Whatever stands behind the colon, the record is one of the two, and its level is known:
//!
//!   2026/11/21 … [error] 7#7: … → one of them
//! ```
//!
//! That is so where some pattern takes any text from there on, where no capture that is looked at is in the rest, and where all
//! patterns that end there come to the same. Whether a line is a record does not change, nor does any of its values.

use std::collections::BTreeSet;

use super::byteset::ByteSet;
use super::tree::{Repetition, Tree};

/// What is looked at.
pub(super) struct Interest<'a> {
    /// The slot of a name.
    pub(super) slot: &'a dyn Fn(&str) -> Option<usize>,
    /// Slots that are looked at.
    pub(super) needed: &'a BTreeSet<usize>,
    /// Do all of these patterns come to the same?
    pub(super) are_alike: &'a dyn Fn(&[usize]) -> bool,
}

/// The tree without what need not be read; `None` if nothing is saved.
pub(super) fn without_rest(joined: &Tree, interest: &Interest<'_>) -> Option<Tree> {
    let mut parts = vec![];
    flatten(joined, &mut parts);
    for (index, part) in parts.iter().enumerate() {
        // Where captures begin or end stays.
        if is_mark(part) {
            continue;
        }
        let rest = &parts[index..];
        let mut ends = Ends::default();
        if !takes_anything(rest.iter().copied()) || !rest.iter().all(|part| ends.add(part, interest)) {
            continue;
        }
        let Some(&first) = ends.patterns.first() else { continue };
        // One pattern whose rest is one run is as quick as it can be.
        if ends.patterns.len() == 1 && rest.iter().filter(|part| !is_mark(part)).count() <= 2 {
            return None;
        }
        if !(interest.are_alike)(&ends.patterns) {
            continue;
        }
        let kept = parts[..index].iter().map(|&part| part.clone());
        return Some(Tree::concat(kept.chain([Tree::anything(), Tree::Accept(first as u32)])));
    }
    // What differs at its end may have branches that do not.
    let (last, before) = parts.split_last()?;
    let Tree::Alternation(branches) = last else { return None };
    let shorter: Vec<Option<Tree>> = branches.iter().map(|branch| without_rest(branch, interest)).collect();
    if shorter.iter().all(Option::is_none) {
        return None;
    }
    let branches = branches.iter().zip(shorter).map(|(branch, shorter)| shorter.unwrap_or_else(|| branch.clone()));
    let last = Tree::alternation(branches.collect());
    Some(Tree::concat(before.iter().map(|&part| part.clone()).chain([last])))
}

/// Where a capture begins or ends.
fn is_mark(tree: &Tree) -> bool {
    matches!(tree, Tree::Open(_) | Tree::Close(_))
}

fn flatten<'a>(tree: &'a Tree, parts: &mut Vec<&'a Tree>) {
    match tree {
        Tree::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(tree),
    }
}

/// Does this sequence take every text?
fn takes_anything<'a>(parts: impl IntoIterator<Item = &'a Tree, IntoIter: Clone>) -> bool {
    let mut parts = parts.into_iter();
    parts.clone().all(takes_nothing) && parts.any(takes_all)
}

/// Does it take the empty text, wherever it stands?
fn takes_nothing(tree: &Tree) -> bool {
    match tree {
        Tree::Empty | Tree::Open(_) | Tree::Close(_) | Tree::Accept(_) => true,
        Tree::Byte(_) | Tree::Literal(_) | Tree::Set(_) | Tree::Look(_) => false,
        Tree::Capture(_, sub) => takes_nothing(sub),
        Tree::Repetition(repetition) => repetition.min == 0 || takes_nothing(&repetition.sub),
        Tree::Concat(parts) => parts.iter().all(takes_nothing),
        Tree::Alternation(branches) => branches.iter().any(takes_nothing),
    }
}

/// Does it take every text, and the empty one too?
fn takes_all(tree: &Tree) -> bool {
    match tree {
        Tree::Capture(_, sub) => takes_all(sub),
        Tree::Repetition(repetition) => match **repetition {
            Repetition { min: 0, max: u32::MAX, sub: Tree::Set(ByteSet::ALL), .. } => true,
            Repetition { max: 0, .. } => false,
            Repetition { ref sub, .. } => takes_all(sub),
        },
        Tree::Concat(parts) => takes_anything(parts.iter()),
        Tree::Alternation(branches) => branches.iter().any(takes_all),
        _ => false,
    }
}

/// The patterns that end in a rest.
#[derive(Default)]
struct Ends {
    patterns: Vec<usize>,
}

impl Ends {
    /// Goes through a part of it; `false` if something in it is looked at.
    fn add(&mut self, tree: &Tree, interest: &Interest<'_>) -> bool {
        let is_needed = |name: &str| (interest.slot)(name).is_none_or(|slot| interest.needed.contains(&slot));
        match tree {
            Tree::Empty | Tree::Byte(_) | Tree::Literal(_) | Tree::Set(_) | Tree::Look(_) => true,
            Tree::Repetition(repetition) => self.add(&repetition.sub, interest),
            Tree::Concat(parts) | Tree::Alternation(parts) => parts.iter().all(|part| self.add(part, interest)),
            Tree::Capture(name, sub) => !is_needed(name) && self.add(sub, interest),
            Tree::Open(name) | Tree::Close(name) => !is_needed(name),
            Tree::Accept(pattern) => {
                self.patterns.push(*pattern as usize);
                true
            }
        }
    }
}
