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

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look};
use regex_syntax::utf8::{Utf8Range, Utf8Sequences};
use thiserror::Error;

use super::ahead::Ahead;
use super::byteset::ByteSet;
use super::program::{Literal, Prefer, Program, Run, SKIP, Step, TAKE};

/// More steps than any sane pattern needs; counted repetitions of groups are unrolled, so they need a bound.
const MAX_STEPS: usize = 1 << 14;

/// Groups from this number on are no captures: they stand at the end of each pattern of a set.
pub(super) const ACCEPT: u32 = 1 << 20;
/// Groups from this number on mean nothing: they keep branches apart.
pub(super) const MARK: u32 = 1 << 21;
/// Groups from these numbers on are where the capture of a slot begins, and where it ends: so a set can join what patterns begin with inside
/// of a capture.
pub(super) const BEGIN: u32 = 1 << 22;
pub(super) const END: u32 = 1 << 23;

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
    /// Unicode classes do not occur in byte patterns.
    #[error("it uses a Unicode class")]
    Unicode,
}

/// Lowers `hir`, whose named captures are numbered by `slot`.
pub(super) fn lower(hir: &Hir, captures: usize, slot: impl Fn(&str) -> Option<u16>) -> Result<Program, NotLowered> {
    let mut lowering = Lowering { steps: vec![], owners: vec![], open: vec![], slot: &slot };
    lowering.emit(hir, &Ahead::END, &[])?;
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

/// How many of the first parts have one way only, whatever follows them in this sequence.
pub(super) fn clear_parts(parts: &[Hir]) -> usize {
    let mut lowering = Lowering { steps: vec![], owners: vec![], open: vec![], slot: &|_| Some(0) };
    let is_ambiguous = |step: &Step| match step {
        Step::Greedy { .. } | Step::Lazy { .. } => true,
        Step::Branch { ways, .. } => ways.contains(&(TAKE | SKIP)),
        _ => false,
    };
    let Ok(follows) = follows(parts, &Ahead::END) else { return 0 };
    for (index, (part, follow)) in parts.iter().zip(&follows).enumerate() {
        let before = lowering.steps.len();
        if lowering.emit(part, follow, &[]).is_err() || lowering.steps[before..].iter().any(is_ambiguous) {
            return index;
        }
    }
    parts.len()
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

    /// Emits steps for `hir`. `rest` is what comes right behind it, as far as it is known to be fixed text.
    fn emit(&mut self, hir: &Hir, follow: &Ahead, rest: &[u8]) -> Result<(), NotLowered> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => {
                let step = match *literal.0 {
                    [byte] => Step::Byte(byte),
                    ref bytes => Step::Literal(Literal::new(bytes)),
                };
                self.push(step)?;
            }
            HirKind::Class(class) => match characters(class) {
                Some(branches) => self.emit_alternation(&branches, follow, rest)?,
                None => {
                    self.push(Step::Set(byte_class(class)?))?;
                }
            },
            HirKind::Look(look) => {
                let step = match look {
                    Look::Start => Step::Start,
                    Look::End => Step::End,
                    Look::WordAscii => Step::WordBoundary { negated: false },
                    Look::WordAsciiNegate => Step::WordBoundary { negated: true },
                    other => return Err(NotLowered::Look(format!("{other:?}"))),
                };
                self.push(step)?;
            }
            HirKind::Capture(capture) if capture.index >= END => {
                self.push(Step::Close((capture.index - END) as u16))?;
                self.open.pop();
            }
            HirKind::Capture(capture) if capture.index >= BEGIN => {
                let slot = (capture.index - BEGIN) as u16;
                self.push(Step::Open(slot))?;
                self.open.push(slot);
            }
            HirKind::Capture(capture) if capture.index >= MARK => {}
            HirKind::Capture(capture) if capture.index >= ACCEPT => {
                self.push(Step::Accept(capture.index - ACCEPT))?;
            }
            HirKind::Capture(capture) => match capture.name.as_deref().and_then(self.slot) {
                Some(slot) => {
                    self.push(Step::Open(slot))?;
                    self.open.push(slot);
                    self.emit(&capture.sub, follow, rest)?;
                    self.open.pop();
                    self.push(Step::Close(slot))?;
                }
                None => self.emit(&capture.sub, follow, rest)?,
            },
            HirKind::Concat(parts) => {
                for (index, (part, part_follow)) in parts.iter().zip(&follows(parts, follow)?).enumerate() {
                    let mut fixed = vec![];
                    if fixed_prefix(&parts[index + 1..], &mut fixed) {
                        fixed.extend_from_slice(rest);
                    }
                    self.emit(part, part_follow, &fixed)?;
                }
            }
            HirKind::Alternation(branches) => self.emit_alternation(branches, follow, rest)?,
            HirKind::Repetition(repetition) => {
                let (min, max) = (repetition.min, repetition.max.unwrap_or(u32::MAX));
                if let HirKind::Class(class) = repetition.sub.kind()
                    && characters(class).is_none()
                {
                    return self.emit_run(byte_class(class)?, min, max, repetition.greedy, follow, rest);
                }
                if let HirKind::Literal(literal) = repetition.sub.kind()
                    && let [byte] = *literal.0
                {
                    return self.emit_run(ByteSet::of(byte), min, max, repetition.greedy, follow, rest);
                }
                if min == 0
                    && max == u32::MAX
                    && let Some((stop, escape)) = escaped_text(&repetition.sub, follow)
                {
                    self.push(Step::Escaped { stop, escape })?;
                    return Ok(());
                }
                self.emit_loop(&repetition.sub, min, max, repetition.greedy, follow)?;
            }
        }
        Ok(())
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

    fn emit_alternation(&mut self, branches: &[Hir], follow: &Ahead, rest: &[u8]) -> Result<(), NotLowered> {
        let mut jumps = vec![];
        let ahead = branches.iter().map(|branch| first(branch, follow)).collect::<Result<Vec<_>, _>>()?;
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
    fn emit_loop(&mut self, sub: &Hir, min: u32, max: u32, greedy: bool, follow: &Ahead) -> Result<(), NotLowered> {
        let nullable = sub.properties().minimum_len().unwrap_or(0) == 0;
        if nullable && (max > 1) {
            return Err(NotLowered::EmptyLoop);
        }
        let again = first(sub, follow)?;
        let prefer = if greedy { Prefer::Take } else { Prefer::Skip };
        // One more of it, and then whatever.
        let again = if max > 1 { first(sub, &Ahead::ANYTHING)?.union(&again) } else { again };
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

/// The bytes of the characters of a class, where they are more than one byte: the syntax tree has a class of characters for
/// `a|ä`, although the parser was told that bytes are bytes.
fn characters(class: &Class) -> Option<Vec<Hir>> {
    let Class::Unicode(class) = class else { return None };
    if class.is_ascii() {
        return None;
    }
    let sequences = class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
    let range = |range: &Utf8Range| Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(range.start, range.end)])));
    Some(sequences.map(|sequence| Hir::concat(sequence.as_slice().iter().map(range).collect())).collect())
}

/// What a record can begin with that one of the branches takes.
fn first_of<const N: usize>(branches: &[Hir], follow: &Ahead<N>) -> Result<Ahead<N>, NotLowered> {
    branches.iter().try_fold(Ahead::NOTHING, |all, branch| Ok(all.union(&first(branch, follow)?)))
}

fn byte_class(class: &Class) -> Result<ByteSet, NotLowered> {
    let mut set = ByteSet::EMPTY;
    match class {
        Class::Bytes(class) => class.ranges().iter().for_each(|range| set.insert_range(range.start(), range.end())),
        // What is ASCII only is printed as a Unicode class too; anything beyond is refused.
        Class::Unicode(class) => {
            for range in class.ranges() {
                let (Ok(start), Ok(end)) = (u8::try_from(range.start()), u8::try_from(range.end())) else {
                    return Err(NotLowered::Unicode);
                };
                if end > 127 {
                    return Err(NotLowered::Unicode);
                }
                set.insert_range(start, end);
            }
        }
    }
    Ok(set)
}

/// What a record can begin with.
pub(super) fn ahead_of<const N: usize>(hir: &Hir) -> Ahead<N> {
    first(hir, &Ahead::END).unwrap_or(Ahead::ANYTHING)
}

/// What can come where `hir` begins and `follow` is behind it.
fn first<const N: usize>(hir: &Hir, follow: &Ahead<N>) -> Result<Ahead<N>, NotLowered> {
    Ok(match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => *follow,
        HirKind::Literal(literal) => {
            // What is behind the bytes that are looked at does not matter.
            let near = literal.0.iter().take(N).rev();
            near.fold(*follow, |behind, &byte| behind.behind(ByteSet::of(byte), 1))
        }
        HirKind::Class(class) => match characters(class) {
            Some(branches) => first_of(&branches, follow)?,
            None => follow.behind(byte_class(class)?, 1),
        },
        HirKind::Capture(capture) => first(&capture.sub, follow)?,
        HirKind::Concat(parts) => {
            // What is behind the bytes that are looked at does not matter.
            let mut len = 0;
            let far = parts.iter().position(|part| {
                len += part.properties().minimum_len().unwrap_or(0);
                len >= N
            });
            let near = far.map_or(&parts[..], |last| &parts[..=last]);
            near.iter().rev().try_fold(*follow, |behind, part| first(part, &behind))?
        }
        HirKind::Alternation(branches) => first_of(branches, follow)?,
        HirKind::Repetition(repetition) => {
            let (min, max) = (repetition.min, repetition.max.unwrap_or(u32::MAX));
            if let HirKind::Class(class) = repetition.sub.kind()
                && characters(class).is_none()
            {
                return Ok(follow.behind_run(byte_class(class)?, min, max));
            }
            // What comes behind the first of several is not worked out.
            let mut once = first(&repetition.sub, if max > 1 { &Ahead::ANYTHING } else { follow })?;
            if max > 1 && repetition.sub.properties().minimum_len().unwrap_or(0) == 0 {
                once = once.union(follow);
            }
            if min == 0 { once.union(follow) } else { once }
        }
    })
}

/// What can follow each of the parts of a sequence.
fn follows(parts: &[Hir], end: &Ahead) -> Result<Vec<Ahead>, NotLowered> {
    let mut behind = *end;
    let mut follows = vec![behind; parts.len()];
    for (part, follow) in parts.iter().zip(&mut follows).rev() {
        *follow = behind;
        behind = first(part, &behind)?;
    }
    Ok(follows)
}

/// Collects the fixed text at the beginning of `parts`; true if they are fixed text to their end.
fn fixed_prefix(parts: &[Hir], text: &mut Vec<u8>) -> bool {
    parts.iter().all(|part| match part.kind() {
        HirKind::Empty => true,
        HirKind::Literal(literal) => {
            text.extend_from_slice(&literal.0);
            true
        }
        HirKind::Capture(capture) => fixed_prefix(std::slice::from_ref(&capture.sub), text),
        HirKind::Concat(parts) => fixed_prefix(parts, text),
        _ => false,
    })
}

/// `[^"\\]|\\.` before `"`: the stop and the escape byte.
fn escaped_text(sub: &Hir, follow: &Ahead) -> Option<(u8, u8)> {
    let HirKind::Alternation(branches) = sub.kind() else { return None };
    let (plain, escaped) = match &branches[..] {
        [a, b] if matches!(a.kind(), HirKind::Class(_)) => (a, b),
        [b, a] if matches!(a.kind(), HirKind::Class(_)) => (a, b),
        _ => return None,
    };
    let HirKind::Class(class) = plain.kind() else { return None };
    let HirKind::Concat(parts) = escaped.kind() else { return None };
    let [lead, any] = &parts[..] else { return None };
    let HirKind::Literal(literal) = lead.kind() else { return None };
    let HirKind::Class(any) = any.kind() else { return None };
    let [escape] = *literal.0 else { return None };
    let stops: Vec<u8> = byte_class(class).ok()?.complement().iter().collect();
    let [a, b] = stops[..] else { return None };
    let stop = if a == escape {
        b
    } else if b == escape {
        a
    } else {
        return None;
    };
    // The run is possessive, so nothing that follows may begin with a byte of it.
    (byte_class(any).ok()? == ByteSet::ALL && follow.first() == ByteSet::of(stop) && !follow.can_end()).then_some((stop, escape))
}
