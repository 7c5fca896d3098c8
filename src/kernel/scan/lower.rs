//! Lowers a regular expression to a [`Program`].
//!
//! The syntax tree is walked once, with what can follow each part known (`Follow`). That decides everything:
//!
//! ```text
//!   [^ ]*  followed by ' '            the run cannot end anywhere else   → possessive run, one memchr
//!   (?:[^"\\]|\\.)*  followed by '"'  a quoted text with escapes          → one memchr2 loop
//!   (?:A|B), (?:A)?, (?:A)*           the next byte decides               → branch without a way back
//!   the same, where both could go on  priority as written                 → branch that may be come back to
//!   .*?  followed by ", client: "     leftmost place where the rest fits  → its first byte, then try
//! ```
//!
//! Sets may be over-approximated: a branch is then ambiguous where it need not be, never wrong.

use regex_syntax::hir::Look;
use thiserror::Error;

use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::program::{Literal, Prefer, Program, Run, SKIP, Step, TAKE};
use super::tree::{Repetition, Tree};

/// More steps than any sane pattern needs; counted repetitions of groups are unrolled, so they need a bound.
const MAX_STEPS: usize = 1 << 14;

/// Why a pattern runs on the regex crate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotLowered {
    /// A loop whose body can match nothing has an order of attempts that steps do not reproduce.
    #[error("a repeated group can match the empty text")]
    EmptyLoop,
    /// Only a bound on memory.
    #[error("it would take more than {MAX_STEPS} steps")]
    TooLong,
    /// `(?m)`, Unicode word boundaries and the like.
    #[error("it uses `{0}`")]
    Look(String),
}

/// Lowers `tree`, whose captures are numbered by `slot`.
pub(super) fn lower(tree: &Tree, captures: usize, slot: impl Fn(&str) -> Option<u16>) -> Result<Program, NotLowered> {
    let mut lowering = Lowering { steps: vec![], owners: vec![], open: vec![], slot: &slot };
    lowering.emit(tree, &Ahead::END, &[])?;
    // What a set has at the end of each of its patterns, a single pattern has here.
    lowering.push(Step::Accept(0))?;
    let (steps, owners) = fuse(&lowering.steps, &lowering.owners);
    Ok(Program { steps, owners, captures })
}

/// Makes one step of a capture that is nothing but a run or a quoted text: most fields are, and each step costs a jump.
fn fuse(steps: &[Step], owners: &[Option<u16>]) -> (Vec<Step>, Vec<Option<u16>>) {
    let mut is_target = vec![false; steps.len() + 1];
    for step in steps {
        if let Step::Branch { skip: to, .. } | Step::Jump(to) = step {
            is_target[*to as usize] = true;
        }
    }
    let mut moved = vec![0; steps.len() + 1];
    let mut fused: Vec<Step> = vec![];
    let mut fused_owners = vec![];
    let mut at = 0;
    while at < steps.len() {
        moved[at] = fused.len() as u32;
        let field = match &steps[at..] {
            [Step::Open(slot), Step::Run { run, min, max }, Step::Close(_), ..] => {
                Some(Step::Field { slot: *slot, run: run.clone(), min: *min, max: *max })
            }
            [Step::Open(slot), Step::Escaped { stop, escape }, Step::Close(_), ..] => {
                Some(Step::Quoted { slot: *slot, stop: *stop, escape: *escape })
            }
            _ => None,
        };
        match field {
            Some(field) if !is_target[at + 1] && !is_target[at + 2] => {
                fused.push(field);
                fused_owners.push(owners[at + 1]);
                at += 3;
            }
            _ => {
                fused.push(steps[at].clone());
                fused_owners.push(owners[at]);
                at += 1;
            }
        }
    }
    moved[steps.len()] = fused.len() as u32;
    for step in &mut fused {
        if let Step::Branch { skip: to, .. } | Step::Jump(to) = step {
            *to = moved[*to as usize];
        }
    }
    (fused, fused_owners)
}

/// How many of the first parts have one way only, whatever follows them in this sequence; `most` at most.
pub(super) fn clear_parts(parts: &[Tree], most: usize) -> usize {
    let mut lowering = Lowering { steps: vec![], owners: vec![], open: vec![], slot: &|_| Some(0) };
    let is_ambiguous = |step: &Step| match step {
        Step::Greedy { .. } | Step::Lazy { .. } => true,
        Step::Branch { ways, .. } => ways.contains(&(TAKE | SKIP)),
        _ => false,
    };
    for (index, (part, follow)) in parts.iter().zip(&follows(parts, &Ahead::END)).enumerate().take(most) {
        let before = lowering.steps.len();
        if lowering.emit(part, follow, &[]).is_err() || lowering.steps[before..].iter().any(is_ambiguous) {
            return index;
        }
    }
    most
}

struct Lowering<'a> {
    steps: Vec<Step>,
    owners: Vec<Option<u16>>,
    open: Vec<u16>,
    slot: &'a dyn Fn(&str) -> Option<u16>,
}

impl Lowering<'_> {
    fn push(&mut self, step: Step) -> Result<usize, NotLowered> {
        if self.steps.len() >= MAX_STEPS {
            return Err(NotLowered::TooLong);
        }
        self.steps.push(step);
        self.owners.push(self.open.last().copied());
        Ok(self.steps.len() - 1)
    }

    /// Emits steps for `tree`. `rest` is what comes right behind it, as far as it is known to be fixed text.
    fn emit(&mut self, tree: &Tree, follow: &Ahead, rest: &[u8]) -> Result<(), NotLowered> {
        let step = match tree {
            Tree::Empty => return Ok(()),
            Tree::Byte(byte) => Step::Byte(*byte),
            Tree::Literal(text) => Step::Literal(Literal::new(text)),
            Tree::Set(set) => Step::Set(*set),
            Tree::Look(Look::Start) => Step::Start,
            Tree::Look(Look::End) => Step::End,
            Tree::Look(Look::WordAscii) => Step::WordBoundary { negated: false },
            Tree::Look(Look::WordAsciiNegate) => Step::WordBoundary { negated: true },
            Tree::Look(other) => return Err(NotLowered::Look(format!("{other:?}"))),
            Tree::Accept(pattern) => Step::Accept(*pattern),
            Tree::Open(name) => return self.emit_open(name),
            Tree::Close(name) => return self.emit_close(name),
            Tree::Capture(name, sub) => {
                self.emit_open(name)?;
                self.emit(sub, follow, rest)?;
                return self.emit_close(name);
            }
            Tree::Concat(parts) => {
                for (index, (part, part_follow)) in parts.iter().zip(&follows(parts, follow)).enumerate() {
                    let mut fixed = vec![];
                    if fixed_prefix(&parts[index + 1..], &mut fixed) {
                        fixed.extend_from_slice(rest);
                    }
                    self.emit(part, part_follow, &fixed)?;
                }
                return Ok(());
            }
            Tree::Alternation(branches) => return self.emit_alternation(branches, follow, rest),
            Tree::Repetition(repetition) => return self.emit_repetition(repetition, follow, rest),
        };
        self.push(step)?;
        Ok(())
    }

    fn emit_open(&mut self, name: &str) -> Result<(), NotLowered> {
        if let Some(slot) = (self.slot)(name) {
            self.push(Step::Open(slot))?;
            self.open.push(slot);
        }
        Ok(())
    }

    fn emit_close(&mut self, name: &str) -> Result<(), NotLowered> {
        if let Some(slot) = (self.slot)(name) {
            self.open.pop();
            self.push(Step::Close(slot))?;
        }
        Ok(())
    }

    fn emit_repetition(&mut self, repetition: &Repetition, follow: &Ahead, rest: &[u8]) -> Result<(), NotLowered> {
        let Repetition { min, max, greedy, ref sub } = *repetition;
        if let Some(set) = one_byte(sub) {
            return self.emit_run(set, min, max, greedy, follow, rest);
        }
        if min == 0
            && max == u32::MAX
            && let Some((stop, escape)) = escaped_text(sub, follow)
        {
            self.push(Step::Escaped { stop, escape })?;
            return Ok(());
        }
        self.emit_loop(sub, min, max, greedy, follow)
    }

    fn emit_run(
        &mut self,
        set: ByteSet,
        min: u32,
        max: u32,
        greedy: bool,
        follow: &Ahead,
        rest: &[u8],
    ) -> Result<(), NotLowered> {
        let run = Run::new(set);
        let step = if min == max || set.is_disjoint(follow.first()) {
            Step::Run { run, min, max }
        } else if greedy {
            Step::Greedy { run, min, max, follow: Box::new(*follow) }
        } else {
            let literal = (rest.len() > 1).then(|| Box::from(rest));
            Step::Lazy { run, min, max, follow: Box::new(*follow), literal }
        };
        self.push(step)?;
        Ok(())
    }

    fn emit_alternation(&mut self, branches: &[Tree], follow: &Ahead, rest: &[u8]) -> Result<(), NotLowered> {
        let mut jumps = vec![];
        let ahead: Vec<Ahead> = branches.iter().map(|branch| first(branch, follow)).collect();
        // For each branch, what those behind it begin with.
        let mut skips = vec![Ahead::NOTHING; branches.len()];
        for index in (1..branches.len()).rev() {
            skips[index - 1] = skips[index].union(&ahead[index]);
        }
        // A branch may close what was opened before all of them.
        let open = self.open.clone();
        for (index, branch) in branches.iter().enumerate() {
            self.open.clone_from(&open);
            if index + 1 == branches.len() {
                self.emit(branch, follow, rest)?;
                break;
            }
            let choice = self.push_branch(&ahead[index], &skips[index], Prefer::Take)?;
            self.emit(branch, follow, rest)?;
            jumps.push(self.push(Step::Jump(0))?);
            self.land(choice);
        }
        for jump in jumps {
            self.steps[jump] = Step::Jump(self.steps.len() as u32);
        }
        Ok(())
    }

    /// `sub` from `min` to `max` times: copies for the counted part, a loop for the unbounded one.
    fn emit_loop(&mut self, sub: &Tree, min: u32, max: u32, greedy: bool, follow: &Ahead) -> Result<(), NotLowered> {
        if sub.min_len() == 0 && max > 1 {
            return Err(NotLowered::EmptyLoop);
        }
        let again = first(sub, follow);
        let prefer = if greedy { Prefer::Take } else { Prefer::Skip };
        // One more of it, and then whatever.
        let again = if max > 1 { first(sub, &Ahead::ANYTHING).union(&again) } else { again };
        let between = again.union(follow);
        for index in 0..min {
            let inner = if index + 1 < min {
                &again
            } else if max > min {
                &between
            } else {
                follow
            };
            self.emit(sub, inner, &[])?;
        }
        if max == u32::MAX {
            let head = self.push_branch(&again, follow, prefer)?;
            self.emit(sub, &between, &[])?;
            self.push(Step::Jump(head as u32))?;
            self.land(head);
        } else {
            let mut choices = vec![];
            for index in min..max {
                choices.push(self.push_branch(&again, follow, prefer)?);
                self.emit(sub, if index + 1 < max { &between } else { follow }, &[])?;
            }
            for choice in choices {
                self.land(choice);
            }
        }
        Ok(())
    }

    fn push_branch(&mut self, take: &Ahead, skip: &Ahead, prefer: Prefer) -> Result<usize, NotLowered> {
        let mut ways = Box::new([0; 257]);
        for (ahead, way) in [(take, TAKE), (skip, SKIP)] {
            ahead.first().iter().for_each(|byte| ways[usize::from(byte)] |= way);
            ways[256] |= if ahead.can_end() { way } else { 0 };
        }
        let ahead = ways.contains(&(TAKE | SKIP)).then(|| Box::new([*take, *skip]));
        self.push(Step::Branch { ways, ahead, skip: 0, prefer })
    }

    /// Makes the branch at `choice` skip to here.
    fn land(&mut self, choice: usize) {
        let here = self.steps.len() as u32;
        if let Step::Branch { skip, .. } = &mut self.steps[choice] {
            *skip = here;
        }
    }
}

/// The values of the byte that it takes, if it takes one.
fn one_byte(tree: &Tree) -> Option<ByteSet> {
    match tree {
        Tree::Byte(byte) => Some(ByteSet::of(*byte)),
        Tree::Set(set) => Some(*set),
        _ => None,
    }
}

/// What a record can begin with.
pub(super) fn ahead_of<const N: usize>(tree: &Tree) -> Ahead<N> {
    first(tree, &Ahead::END)
}

/// What can come where `tree` begins and `follow` is behind it.
fn first<const N: usize>(tree: &Tree, follow: &Ahead<N>) -> Ahead<N> {
    match tree {
        Tree::Empty | Tree::Look(_) | Tree::Open(_) | Tree::Close(_) | Tree::Accept(_) => *follow,
        Tree::Byte(byte) => follow.behind(ByteSet::of(*byte), 1),
        Tree::Literal(text) => follow.behind_text(text),
        Tree::Set(set) => follow.behind(*set, 1),
        Tree::Capture(_, sub) => first(sub, follow),
        Tree::Concat(parts) => {
            // What is behind the bytes that are looked at does not matter.
            let mut len: usize = 0;
            let far = parts.iter().position(|part| {
                len = len.saturating_add(part.min_len());
                len >= N
            });
            let near = far.map_or(&parts[..], |last| &parts[..=last]);
            near.iter().rev().fold(*follow, |behind, part| first(part, &behind))
        }
        Tree::Alternation(branches) => branches.iter().fold(Ahead::NOTHING, |all, branch| all.union(&first(branch, follow))),
        Tree::Repetition(repetition) => {
            let Repetition { min, max, ref sub, .. } = **repetition;
            if let Some(set) = one_byte(sub) {
                return follow.behind_run(set, min, max);
            }
            // What comes behind the first of several is not worked out.
            let mut once = first(sub, if max > 1 { &Ahead::ANYTHING } else { follow });
            if max > 1 && sub.min_len() == 0 {
                once = once.union(follow);
            }
            if min == 0 { once.union(follow) } else { once }
        }
    }
}

/// What can follow each of the parts of a sequence.
fn follows(parts: &[Tree], end: &Ahead) -> Vec<Ahead> {
    let mut behind = *end;
    let mut follows = vec![behind; parts.len()];
    for (part, follow) in parts.iter().zip(&mut follows).rev() {
        *follow = behind;
        behind = first(part, &behind);
    }
    follows
}

/// Collects the fixed text at the beginning of `parts`; true if they are fixed text to their end.
fn fixed_prefix(parts: &[Tree], text: &mut Vec<u8>) -> bool {
    parts.iter().all(|part| match part {
        Tree::Empty => true,
        Tree::Byte(byte) => {
            text.push(*byte);
            true
        }
        Tree::Literal(literal) => {
            text.extend_from_slice(literal);
            true
        }
        Tree::Capture(_, sub) => fixed_prefix(std::slice::from_ref(sub), text),
        Tree::Concat(parts) => fixed_prefix(parts, text),
        _ => false,
    })
}

/// `[^"\\]|\\.` before `"`: the stop and the escape byte.
fn escaped_text(sub: &Tree, follow: &Ahead) -> Option<(u8, u8)> {
    let Tree::Alternation(branches) = sub else { return None };
    let (plain, escaped) = match &branches[..] {
        [Tree::Set(plain), Tree::Concat(escaped)] | [Tree::Concat(escaped), Tree::Set(plain)] => (plain, escaped),
        _ => return None,
    };
    let [Tree::Byte(escape), Tree::Set(ByteSet::ALL)] = escaped[..] else { return None };
    let stops: Vec<u8> = plain.complement().iter().collect();
    let stop = match stops[..] {
        [a, b] if a == escape => b,
        [a, b] if b == escape => a,
        _ => return None,
    };
    // The run is possessive, so nothing that follows may begin with a byte of it.
    (follow.first() == ByteSet::of(stop) && !follow.can_end()).then_some((stop, escape))
}
