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

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Repetition};

use super::lower::{ACCEPT, BEGIN, END, MARK};
use super::set::empty_group;

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
pub(super) fn without_rest(joined: &Hir, interest: &Interest<'_>) -> Option<Hir> {
    let mut parts = vec![];
    flatten(joined, &mut parts);
    for (index, part) in parts.iter().enumerate() {
        // What keeps branches apart stays, and where captures begin or end.
        if is_mark(part) {
            continue;
        }
        let rest = &parts[index..];
        let mut ends = Ends::default();
        if !takes_anything(rest) || !rest.iter().all(|part| ends.add(part, interest)) {
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
        return Some(Hir::concat(kept.chain([anything(), empty_group(ACCEPT + first as u32)]).collect()));
    }
    // What differs at its end may have branches that do not.
    let (last, before) = parts.split_last()?;
    let HirKind::Alternation(branches) = last.kind() else { return None };
    let shorter: Vec<Option<Hir>> = branches.iter().map(|branch| without_rest(branch, interest)).collect();
    if shorter.iter().all(Option::is_none) {
        return None;
    }
    let branches = branches.iter().zip(shorter).map(|(branch, shorter)| shorter.unwrap_or_else(|| branch.clone()));
    let last = Hir::alternation(branches.collect());
    Some(Hir::concat(before.iter().map(|&part| part.clone()).chain([last]).collect()))
}

/// A group that takes nothing and ends nothing.
fn is_mark(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Capture(capture) if capture.name.is_none() && capture.index >= MARK)
}

fn flatten<'a>(hir: &'a Hir, parts: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(hir),
    }
}

fn anything() -> Hir {
    let byte = Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(0, u8::MAX)])));
    Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(byte) })
}

/// Does this sequence take every text?
fn takes_anything(parts: &[&Hir]) -> bool {
    parts.iter().all(|part| takes_nothing(part)) && parts.iter().any(|part| takes_all(part))
}

/// Does it take the empty text, wherever it stands?
fn takes_nothing(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
        HirKind::Capture(capture) => takes_nothing(&capture.sub),
        HirKind::Repetition(repetition) => repetition.min == 0 || takes_nothing(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().all(takes_nothing),
        HirKind::Alternation(branches) => branches.iter().any(takes_nothing),
    }
}

/// Does it take every text, and the empty one too?
fn takes_all(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
        HirKind::Capture(capture) => takes_all(&capture.sub),
        HirKind::Repetition(Repetition { min: 0, max: None, sub, .. }) => is_any_byte(sub),
        HirKind::Repetition(Repetition { max: Some(0), .. }) => false,
        HirKind::Repetition(repetition) => takes_all(&repetition.sub),
        HirKind::Concat(parts) => takes_anything(&parts.iter().collect::<Vec<_>>()),
        HirKind::Alternation(branches) => branches.iter().any(takes_all),
    }
}

fn is_any_byte(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Bytes(class)) => matches!(class.ranges(), [all] if (all.start(), all.end()) == (0, u8::MAX)),
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
    fn add(&mut self, hir: &Hir, interest: &Interest<'_>) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => true,
            HirKind::Repetition(repetition) => self.add(&repetition.sub, interest),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(|part| self.add(part, interest)),
            HirKind::Capture(capture) => match &capture.name {
                Some(name) => {
                    let is_needed = (interest.slot)(name).is_none_or(|slot| interest.needed.contains(&slot));
                    !is_needed && self.add(&capture.sub, interest)
                }
                None if capture.index >= END => !interest.needed.contains(&((capture.index - END) as usize)),
                None if capture.index >= BEGIN => !interest.needed.contains(&((capture.index - BEGIN) as usize)),
                None if capture.index >= MARK => true,
                None => {
                    self.patterns.push((capture.index - ACCEPT) as usize);
                    true
                }
            },
        }
    }
}
